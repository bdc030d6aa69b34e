//! Leg 9: outcomes into the GP record, tracked until the practice system has them.
//!
//! Rows are sent by `delivery::runner`. When the row that ends an episode is acknowledged and so
//! are all before it, the ledger row becomes `closed` or `returned` in the same commit as that
//! acknowledgement. Until then the ledger says `open`, waiting on `practice-system`.

pub mod acknowledge;
pub mod document;
pub mod entry;
pub mod file_record;
pub mod gather;
pub mod hl7v2;
pub mod itk3;
pub mod mesh;
mod practice;
pub mod progress;
mod route;
pub mod settle;
pub mod state;
pub mod wording;

use std::future::Future;

use jiff::Timestamp;

use crate::delivery::{WRITEBACK, runner};
use crate::fhir::ids::OdsCode;
use crate::referral::Gateway;
use crate::store::commit::OutboxRow;

pub use acknowledge::acknowledged;
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

/// Writes back to practice systems until `shutdown`, then lets the sends under way finish.
pub async fn run(gateway: Gateway, shutdown: impl Future<Output = ()>) {
    runner::run_queues(gateway, WRITEBACK, practice::Practice::new, shutdown).await;
}
