//! Leg 9: outcomes into the GP record, tracked until the practice system has them.
//!
//! Rows are sent by `delivery::runner`. When the row that ends an episode is acknowledged and so
//! are all before it, the ledger row becomes `closed` or `returned` in the same commit as that
//! acknowledgement. Until then the ledger says `open`, waiting on `practice-system`.

pub mod acknowledge;
pub mod document;
pub mod entry;
pub mod file_record;
pub mod hl7v2;
pub mod itk3;
pub mod mesh;
mod practice;
mod route;
pub mod state;
pub mod wording;

use std::future::Future;

use jiff::Timestamp;

use crate::delivery::{WRITEBACK, runner};
use crate::fhir::ids::OdsCode;
use crate::referral::Gateway;
use crate::store::commit::{LedgerState, OutboxRow};

pub use route::Route;

/// What the ledger says a referral waits for while its practice system has not all of it.
pub const PRACTICE_SYSTEM: &str = "practice-system";

/// The rows that file these resource versions in the system of `practice`, one a resource, so
/// that each has its own idempotency key and acknowledgement.
pub fn rows(
    practice: &OdsCode,
    event: &str,
    episode: &str,
    resources: &[(String, String, u32)],
    at: Timestamp,
) -> Vec<OutboxRow> {
    resources
        .iter()
        .map(|one| crate::delivery::practice_row(practice, event, episode, std::slice::from_ref(one), at))
        .collect()
}

/// How the ledger ends when the row of this event, and all before it, are acknowledged.
fn ends(event: &str) -> Option<LedgerState> {
    match event {
        "outcome.closed" => Some(LedgerState::Closed),
        "outcome.declined" | "outcome.returned" => Some(LedgerState::Returned),
        _ => None,
    }
}

/// Writes back to practice systems until `shutdown`, then lets the sends under way finish.
pub async fn run(gateway: Gateway, shutdown: impl Future<Output = ()>) {
    runner::run_queues(gateway, WRITEBACK, practice::Practice::new, shutdown).await;
}
