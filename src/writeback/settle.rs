//! What else changes when a filing does: the ledger, when it was the last one; earlier versions of
//! the same entry; and whoever must be told.

use jiff::Timestamp;
use uuid::Uuid;

use super::PRACTICE_SYSTEM;
use super::progress::{Alert, Next};
use crate::audit::{Action, Agent, Entry, Kind, Outcome};
use crate::delivery;
use crate::fhir::ids::stable_id;
use crate::gateway::Gateway;
use crate::store::StoreError;
use crate::store::commit::{Commit, LedgerRow, LedgerState, OutboxRow};
use crate::store::filing::{Filing, FilingState, Requeue};

/// How the ledger ends when the entry of this event, and all others, are in the record.
fn ends(event: &str) -> Option<LedgerState> {
    match event {
        "outcome.closed" => Some(LedgerState::Closed),
        "outcome.declined" | "outcome.returned" => Some(LedgerState::Returned),
        _ => None,
    }
}

/// Everything that changes with a filing, as one commit's content.
///
/// # Errors
/// When the store does not answer.
pub async fn with(gateway: &Gateway, next: Next) -> Result<Commit, StoreError> {
    let Next { filing, resend, alert } = next;
    let mut commit = Commit::default();
    commit.requeue.extend(resend.map(|due| Requeue { id: filing.id, due, why: filing.why.clone() }));
    commit.outbox = alert.map(|alert| told(gateway, &filing, alert)).unwrap_or_default();
    if filing.state.is_in_record() {
        let others = gateway.store.filings_of(&filing.episode).await?;
        let others: Vec<Filing> = others.into_iter().filter(|other| other.id != filing.id).collect();
        let overtaken = |other: &&Filing| is_earlier(other, &filing) && !other.state.is_in_record();
        commit.filings = others.iter().filter(overtaken).map(superseded).collect();
        commit.ledger = closes(gateway, &filing, &others, &commit.filings).await?.into_iter().collect();
    }
    commit.filings.insert(0, filing);
    Ok(commit)
}

/// Closes referrals all of whose entries are in the record and which still wait for it: two gateways
/// that each filed one of the last two at the same instant each saw the other's as on its way. Looks
/// at those that have waited since before `before`, at most `count`. How many it closed.
///
/// # Errors
/// When the store does not answer.
pub async fn sweep(gateway: &Gateway, before: Timestamp, count: usize) -> Result<usize, StoreError> {
    let mut closed = 0;
    for row in gateway.store.ledger_waiting(PRACTICE_SYSTEM, before, count).await? {
        let filings = gateway.store.filings_of(&row.id).await?;
        let Some((last, others)) = filings.split_last() else { continue };
        if !last.state.is_in_record() {
            continue;
        }
        let Some(row) = closes(gateway, last, others, &[]).await? else { continue };
        let audit = vec![swept(gateway, &row)];
        gateway.store.commit(Commit { ledger: vec![row], audit, ..Commit::default() }).await?;
        closed += 1;
    }
    Ok(closed)
}

fn swept(gateway: &Gateway, row: &LedgerRow) -> Entry {
    Entry {
        id: Uuid::new_v4(),
        at: row.since,
        kind: Kind::WriteBack,
        interaction: "write-back".to_owned(),
        action: Action::U,
        outcome: Outcome::Success,
        agent: Agent::gateway(&gateway.config.gateway.ods),
        purpose: "TREAT".to_owned(),
        request: String::new(),
        entities: vec![format!("ServiceRequest/{}", row.id)],
        patients: Vec::new(),
        query: String::new(),
        detail: format!("{}: all of it is in the record", row.state.word()),
    }
}

/// True for an earlier version of the same entry in the same practice.
pub fn is_earlier(one: &Filing, than: &Filing) -> bool {
    let name = |filing: &Filing| (filing.resource.0.clone(), filing.resource.1.clone());
    one.practice == than.practice && name(one) == name(than) && one.resource.2 < than.resource.2
}

/// A later version took its place.
pub fn superseded(filing: &Filing) -> Filing {
    Filing {
        version: filing.version.saturating_add(1),
        state: FilingState::Superseded,
        deadline: None,
        look_at: None,
        why: "a later version is in the record".to_owned(),
        ..filing.clone()
    }
}

/// The ledger row that closes when this filing is in the record with all others of its episode.
async fn closes(
    gateway: &Gateway,
    filing: &Filing,
    others: &[Filing],
    overtaken: &[Filing],
) -> Result<Option<LedgerRow>, StoreError> {
    let gone = |other: &Filing| overtaken.iter().any(|one| one.id == other.id);
    if !others.iter().all(|other| other.state.is_in_record() || gone(other)) {
        return Ok(None);
    }
    let all = others.iter().chain([filing]);
    let said = all.filter_map(|one| ends(&one.event)).next_back();
    let Some(end) = said.or(ended(gateway, &filing.episode).await?) else { return Ok(None) };
    let ledger = gateway.store.ledger_row(&filing.episode).await?;
    let waits = |row: &LedgerRow| row.state == LedgerState::Open && row.waiting_on == PRACTICE_SYSTEM;
    Ok(ledger.filter(waits).map(|row| LedgerRow {
        state: end,
        since: gateway.clock.now(),
        waiting_on: String::new(),
        ..row
    }))
}

/// How the ledger ends where the person shares nothing and so nothing that says it was sent: by the
/// Task.
async fn ended(gateway: &Gateway, episode: &str) -> Result<Option<LedgerState>, StoreError> {
    let Some(episode) = gateway.store.episode(episode).await?.filter(|episode| !episode.open) else { return Ok(None) };
    let Some(task) = gateway.store.read("Task", &episode.task).await? else { return Ok(None) };
    let task: serde_json::Value = serde_json::from_slice(&task.body).unwrap_or_default();
    Ok(match task["status"].as_str() {
        Some("completed") => Some(LedgerState::Closed),
        Some("rejected") => Some(LedgerState::Returned),
        _ => None,
    })
}

/// Says it in the log and the meters, and gives the rows that tell subscribers.
fn told(gateway: &Gateway, filing: &Filing, alert: Alert) -> Vec<OutboxRow> {
    let event = alert.event();
    tracing::error!(
        filing = %filing.id,
        practice = %filing.practice,
        state = filing.state.word(),
        route = filing.route,
        why = filing.why,
        "{event}: somebody must look"
    );
    metrics::counter!("fingerpost_writeback_alerts_total", "alert" => event).increment(1);
    let this = [filing.resource.clone()];
    let rows = delivery::rows(&gateway.config, event, &filing.episode, &this, gateway.clock.now());
    // The same alert again, of a filing that moved since, is another one.
    let again = |row: OutboxRow| {
        let id = stable_id(&[&row.id.to_string(), &filing.version.to_string()]);
        OutboxRow { id, ..row }
    };
    rows.into_iter().map(again).collect()
}
