//! Leg 7: committed outbox rows to whoever subscribed; tried again, given up visibly.
//!
//! - `rows`: what must leave, to whom, under which key. Pure.
//! - `runner`: the loops, shared with `writeback`; `breaker`: who is let rest; `attempt`: one try's
//!   verdict.
//! - `again`: a person's word to send again what was given up.
//! - `webhook`, `signature`, `reach`, `contents`: a configured receiver.
//!
//! A receiver has its own queue, so a dead one holds only its own rows; order is kept per episode.
//! A row given up stays in the store as `given-up`, is logged as an error, counted in
//! `fingerpost_sends_total{result="given-up"}` and, where anything was disclosed, audited;
//! `fingerpost deliveries` lists it and queues it again.
//! Not here: FHIR Subscription resources; receivers are configured.

pub mod again;
pub mod attempt;
pub mod breaker;
pub mod contents;
pub mod reach;
mod rows;
pub mod runner;
pub mod signature;
mod webhook;

use std::future::Future;

pub use rows::{WEBHOOK, WRITEBACK, practice_row, rows};
pub use runner::wake;

use crate::gateway::Gateway;

/// Delivers to the configured receivers until `shutdown`, then lets the sends under way finish.
pub async fn run(gateway: Gateway, shutdown: impl Future<Output = ()>) {
    runner::run_queues(gateway, WEBHOOK, webhook::Webhook::new, shutdown).await;
}
