//! One try at one outbox row: what the receiver answered, and what the row becomes. Pure but for
//! the request itself. No text made here holds an address, a body or patient data.

use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use crate::config::Delivery;
use crate::store::commit::Sent;

/// Bytes of an answer that are read; the rest is left.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// The longest `Retry-After` that is honoured.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What a receiver answered.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
    /// `Location`, where there is one.
    pub location: Option<String>,
    /// The body's beginning.
    pub body: Bytes,
}

/// How a try ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver has it.
    Done,
    /// Not yet; the reason, and how long the receiver asked to wait.
    Retry(String, Option<Duration>),
    /// It will never have it this way: a person must look.
    GiveUp(String),
}

/// What became of the request itself.
pub enum Sending {
    /// The receiver answered.
    Answered(Answer),
    /// It left, or may have left, and no answer came.
    Unanswered(&'static str),
    /// No connection was made: nothing left the house.
    Unreached,
}

/// Sends one request and reads the answer's beginning.
pub async fn send(client: &reqwest::Client, request: reqwest::Request, now: Timestamp) -> Sending {
    match client.execute(request).await {
        Ok(response) => Sending::Answered(read(response, now).await),
        Err(fault) if fault.is_connect() => Sending::Unreached,
        Err(fault) if fault.is_timeout() => Sending::Unanswered("no answer in time"),
        Err(_) => Sending::Unanswered("the connection broke before an answer came"),
    }
}

async fn read(mut response: reqwest::Response, now: Timestamp) -> Answer {
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let retry_after = header("retry-after").and_then(|text| wait(&text, now));
    let (status, location) = (response.status().as_u16(), header("location"));
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() >= ANSWER_BYTES_MAX {
            body.truncate(ANSWER_BYTES_MAX);
            break;
        }
    }
    Answer { status, retry_after, location, body: body.into() }
}

/// `Retry-After` in seconds or as an HTTP date. <https://www.rfc-editor.org/rfc/rfc9110#field.retry-after>
fn wait(text: &str, now: Timestamp) -> Option<Duration> {
    let wait = match text.trim().parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
            Duration::try_from(at.duration_since(now)).unwrap_or_default()
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// The verdict on an answer by its status alone: 2xx is success, 410 gives up, all else is tried again.
pub fn by_status(answer: &Answer) -> Verdict {
    match answer.status {
        200..=299 => Verdict::Done,
        410 => Verdict::GiveUp("the receiver answered 410: it wants no more".to_owned()),
        300..=399 => Verdict::Retry(format!("the receiver answered {}; redirects are refused", answer.status), None),
        status => Verdict::Retry(format!("the receiver answered {status}"), answer.retry_after),
    }
}

/// What the row becomes: a retry past `attempts_max` is given up. `chance` in 0..1 spreads retries.
pub fn decide(config: &Delivery, tries_before: u32, verdict: Verdict, now: Timestamp, chance: f64) -> Sent {
    let (why, asked) = match verdict {
        Verdict::Done => return Sent::Done,
        Verdict::GiveUp(why) => return Sent::GivenUp { why },
        Verdict::Retry(why, asked) => (why, asked),
    };
    let tries = tries_before.saturating_add(1);
    if tries >= config.attempts_max {
        return Sent::GivenUp { why: format!("{why}; given up after {tries} tries") };
    }
    let wait = backoff(config, tries_before, chance).max(asked.unwrap_or_default());
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::from_hours(24));
    Sent::Retry { next: now.checked_add(wait).unwrap_or(now), why }
}

/// Doubles from `retry_first_ms` up to `retry_max_ms`; between half and all of that, by chance.
pub fn backoff(config: &Delivery, tries_before: u32, chance: f64) -> Duration {
    let doubled = config.retry_first_ms.saturating_mul(1_u64.checked_shl(tries_before).unwrap_or(u64::MAX));
    let whole = Duration::from_millis(doubled.min(config.retry_max_ms));
    whole.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn config() -> Delivery {
        let config: crate::config::Config = toml::from_str(crate::config::DEFAULTS).unwrap();
        config.delivery
    }

    fn retry(asked: Option<u64>) -> Verdict {
        Verdict::Retry("the receiver answered 500".into(), asked.map(Duration::from_secs))
    }

    fn waits(tries_before: u32, asked: Option<u64>, chance: f64) -> i128 {
        match decide(&config(), tries_before, retry(asked), Timestamp::UNIX_EPOCH, chance) {
            Sent::Retry { next, .. } => next.duration_since(Timestamp::UNIX_EPOCH).as_millis(),
            _ => -1,
        }
    }

    #[test]
    fn waits_double_up_to_the_limit_and_are_spread() {
        assert_eq!((waits(0, None, 1.0), waits(0, None, 0.0)), (500, 250));
        assert_eq!((waits(1, None, 1.0), waits(3, None, 1.0)), (1000, 4000));
        let mut long = config();
        long.attempts_max = u32::MAX;
        for tries in [20, 63, 64, 1000] {
            let sent = decide(&long, tries, retry(None), Timestamp::UNIX_EPOCH, 1.0);
            assert!(matches!(sent, Sent::Retry { next, .. } if next.as_millisecond() == 600_000));
        }
    }

    #[test]
    fn retry_after_is_honoured_in_both_forms() {
        assert_eq!(waits(0, Some(7), 0.0), 7000);
        assert_eq!(wait("120", Timestamp::UNIX_EPOCH), Some(Duration::from_secs(120)));
        assert_eq!(wait("Thu, 01 Jan 1970 00:01:00 GMT", Timestamp::UNIX_EPOCH), Some(Duration::from_secs(60)));
        assert_eq!(wait("99999999", Timestamp::UNIX_EPOCH), Some(RETRY_AFTER_MAX));
        assert_eq!(wait("soon", Timestamp::UNIX_EPOCH), None);
    }

    #[test]
    fn gives_up_after_the_last_try_and_says_why() {
        let sent = decide(&config(), 11, retry(None), Timestamp::UNIX_EPOCH, 0.5);
        assert!(matches!(sent, Sent::GivenUp { why } if why.contains("after 12 tries")));
    }

    #[test]
    fn only_2xx_is_success_and_410_ends_it() {
        let verdict = |status| by_status(&Answer { status, ..Answer::default() });
        assert_eq!(verdict(204), Verdict::Done);
        assert!(matches!(verdict(410), Verdict::GiveUp(_)));
        for status in [100, 301, 307, 400, 404, 429, 500, 503] {
            assert!(matches!(verdict(status), Verdict::Retry(..)), "{status}");
        }
    }
}
