//! Leg 9: outcomes into the GP record, tracked until the practice system has them.

use jiff::Timestamp;

use crate::fhir::ids::OdsCode;
use crate::store::commit::OutboxRow;

/// The row that files these resource versions in the system of `practice`, under `event`.
pub fn rows(
    practice: &OdsCode,
    event: &str,
    episode: &str,
    resources: &[(String, String, u32)],
    at: Timestamp,
) -> Vec<OutboxRow> {
    vec![crate::delivery::practice_row(practice, event, episode, resources, at)]
}
