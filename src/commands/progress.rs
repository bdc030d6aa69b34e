//! Progress of work that takes longer than two seconds, on a terminal only: count, rate, time left.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Work that is shorter than this shows nothing.
const QUIET: Duration = Duration::from_secs(2);
/// Time between two lines.
const STEP: Duration = Duration::from_millis(250);

/// A line on stderr that is written over. Off a terminal it writes nothing.
#[derive(Debug)]
pub struct Progress {
    what: &'static str,
    began: Instant,
    shown: Option<Instant>,
    on: bool,
}

impl Progress {
    /// Progress of `what`, such as `rows`.
    pub fn new(what: &'static str) -> Self {
        Self { what, began: Instant::now(), shown: None, on: std::io::stderr().is_terminal() }
    }

    /// `done` of `total` (0: not known) are done.
    pub fn at(&mut self, done: u64, total: u64) {
        let now = Instant::now();
        let due = self.shown.map_or(now - self.began >= QUIET, |shown| now - shown >= STEP);
        if !self.on || !due {
            return;
        }
        self.shown = Some(now);
        let line = describe(self.what, done, total, now - self.began);
        drop(write!(std::io::stderr(), "\r\x1b[K{line}"));
    }

    /// Clears the line.
    pub fn end(&mut self) {
        if self.shown.take().is_some() {
            drop(write!(std::io::stderr(), "\r\x1b[K"));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

fn describe(what: &str, done: u64, total: u64, took: Duration) -> String {
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    let rate = done.saturating_mul(1000) / millis;
    match total.checked_sub(done).filter(|_| total > 0 && rate > 0) {
        Some(rest) => format!("{done} of {total} {what}, {rate} a second, {} s left", rest / rate),
        None => format!("{done} {what}, {rate} a second"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_count_rate_and_time_left() {
        let took = Duration::from_secs(4);
        assert_eq!(describe("rows", 400, 1000, took), "400 of 1000 rows, 100 a second, 6 s left");
        assert_eq!(describe("rows", 400, 0, took), "400 rows, 100 a second");
        assert_eq!(describe("rows", 0, 10, Duration::ZERO), "0 rows, 0 a second");
    }
}
