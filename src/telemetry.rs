//! Logs to stderr, as JSON lines or text, by `[log]` of the configuration.
//!
//! A log line has ids of messages, referrals and requests: never a name, an NHS number, a query
//! or a body.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::config::Log;

/// Starts logging for this process. A second call changes nothing.
pub fn start(log: &Log) {
    // A panic's own words may repeat what was worked on; where it was is enough to find it.
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map_or_else(String::new, |at| format!("{}:{}", at.file(), at.line()));
        tracing::error!(at, "a panic");
    }));
    let filter = EnvFilter::try_new(&log.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    // Already started: the first one stays.
    drop(if log.format == "json" {
        lines.json().flatten_event(true).try_init()
    } else {
        lines.with_ansi(false).try_init()
    });
}
