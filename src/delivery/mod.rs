//! Leg 7: committed outbox rows to whoever subscribed; tried again, given up visibly.

mod rows;

pub use rows::{WEBHOOK, WRITEBACK, practice_row, rows};
