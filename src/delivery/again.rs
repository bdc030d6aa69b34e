//! What was given up, queued again because a person says so: under the same key, with a reason and an
//! audit entry in the same commit.
//!
//! A row keeps its place: it goes before those of its episode that still wait, and after those that
//! have gone meanwhile. The receiver knows it by its `webhook-id`, and each resource by its version.
//! Not here: write-backs, which have states of their own (`writeback::person`).

use uuid::Uuid;

use super::{WEBHOOK, WRITEBACK};
use crate::audit::Entry;
use crate::gateway::Gateway;
use crate::store::StoreError;
use crate::store::commit::Commit;
use crate::store::delivery::{Delivery, DeliveryState};
use crate::store::filing::Requeue;

/// Rows that are queued again in one commit.
const BATCH: usize = 100;

/// Why it was not done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refusal {
    /// There is no such delivery.
    #[error("there is no such delivery")]
    Unknown,
    /// It is an entry on its way into a GP record.
    #[error("it is a write-back: `fingerpost writeback retry` sends it again")]
    WriteBack,
    /// Only what was given up can be queued again.
    #[error("it is {0}: only what was given up is queued again")]
    Cannot(&'static str),
    /// It would be given up at once.
    #[error("no receiver of that name is configured: it would be given up at once")]
    NoReceiver,
    /// The reason is none, or has patient data.
    #[error("{0}")]
    Reason(String),
    /// The store's fault; what was queued before stays queued.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Queues one delivery again, now. `entry` is the audit entry, without the reason; `reason` is one
/// that `referral::reason` has checked.
///
/// # Errors
/// See [`Refusal`].
pub async fn one(gateway: &Gateway, id: Uuid, reason: &str, entry: Entry) -> Result<Delivery, Refusal> {
    let row = gateway.store.delivery(id).await?.ok_or(Refusal::Unknown)?;
    if row.queue.starts_with(WRITEBACK) {
        return Err(Refusal::WriteBack);
    }
    if row.state != DeliveryState::GivenUp {
        return Err(Refusal::Cannot(row.state.word()));
    }
    known(gateway, &row.queue)?;
    queue(gateway, std::slice::from_ref(&row), reason, &entry).await?;
    gateway.store.delivery(id).await?.ok_or(Refusal::Unknown)
}

/// Queues everything again that was given up of one receiver, oldest first; how many that was. An
/// audit entry each, made from `entry`.
///
/// # Errors
/// See [`Refusal`].
pub async fn all_of(gateway: &Gateway, receiver: &str, reason: &str, entry: Entry) -> Result<u64, Refusal> {
    let name = format!("{WEBHOOK}{receiver}");
    known(gateway, &name)?;
    let (mut after, mut count) = (0, 0);
    loop {
        let rows = gateway.store.deliveries(&name, DeliveryState::GivenUp, after, BATCH).await?;
        let Some(last) = rows.last() else { return Ok(count) };
        after = last.place;
        queue(gateway, &rows, reason, &entry).await?;
        count += u64::try_from(rows.len()).unwrap_or(u64::MAX);
    }
}

fn known(gateway: &Gateway, queue: &str) -> Result<(), Refusal> {
    let name = queue.strip_prefix(WEBHOOK).unwrap_or("");
    let known = gateway.config.delivery.receivers.iter().any(|receiver| receiver.name == name);
    if known { Ok(()) } else { Err(Refusal::NoReceiver) }
}

async fn queue(gateway: &Gateway, rows: &[Delivery], reason: &str, entry: &Entry) -> Result<(), StoreError> {
    let due = gateway.clock.now();
    let why = format!("by a person: {reason}");
    let commit = Commit {
        requeue: rows.iter().map(|row| Requeue { id: row.id, due, why: why.clone() }).collect(),
        audit: rows.iter().map(|row| said(row, entry)).collect(),
        ..Commit::default()
    };
    gateway.store.commit(commit).await?;
    super::wake();
    Ok(())
}

fn said(row: &Delivery, entry: &Entry) -> Entry {
    let mut entry = Entry { id: Uuid::new_v4(), ..entry.clone() };
    entry.entities.push(format!("ServiceRequest/{}", row.episode));
    entry.entities.extend(row.resources.iter().map(|(kind, id, version)| format!("{kind}/{id}/_history/{version}")));
    entry.detail = format!("delivery {} of {} to {}: queued again", row.id, row.event, row.queue);
    entry
}
