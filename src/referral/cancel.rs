//! A referral that its sender withdraws: the ServiceRequest says so, the Task stops, the ledger
//! shows it as withdrawn. A referral that was only waiting or held is withdrawn too.

use serde_json::json;

use super::commit::{Ids, entry, kept, releases};
use super::legs::Found;
use super::{Answer, Channel, Outcome, Received, Stop};
use crate::audit::{self, Action};
use crate::delivery;
use crate::fhir::{ids::OdsCode, task, version};
use crate::gateway::Gateway;
use crate::store::commit::{Commit, Episode, LedgerRow, LedgerState, ResourceWrite};
use crate::store::countdown::Change;

/// Task states after which a pool's work is over.
const ENDED: [&str; 5] = ["completed", "rejected", "cancelled", "failed", "entered-in-error"];

/// Commits the cancellation.
pub(super) async fn commit(gateway: &Gateway, received: &Received, found: Found) -> Result<Answer, Stop> {
    let ids = Ids::of(&found.parsed.referral);
    let writes = writes(gateway, received, &found, &ids).await?;
    let current = writes.iter().map(|w| (w.kind.clone(), w.id.clone(), w.version)).collect::<Vec<_>>();
    let already = found.ledger.as_ref().is_some_and(|row| row.state == LedgerState::Withdrawn) && writes.is_empty();
    let mut commit = Commit { keys: received.keys.clone(), ..Commit::default() };
    if !already {
        commit.message = Some(kept(received, "committed"));
        commit.ledger.push(withdrawn(received, &found));
        commit.released = releases(&ids.referral, received, &[]);
        commit.episodes.extend(closed(gateway, &ids).await?);
        let why = "withdrawn by its sender";
        commit.countdowns.push(Change::Stop { referral: ids.referral.clone(), at: received.at, why });
        commit.outbox = delivery::rows(&gateway.config, "referral.cancelled", &ids.referral, &current, received.at);
    }
    let mut entry = entry(received, audit::Outcome::Success);
    entry.action = Action::U;
    entry.entities = current.iter().map(|(kind, id, v)| format!("{kind}/{id}/_history/{v}")).collect();
    entry.patients.extend(patient(&found));
    entry.detail = if already { "withdrawn before".to_owned() } else { "withdrawn by its sender".to_owned() };
    commit.audit.push(entry);
    commit.writes = writes;
    gateway.store.commit(commit).await?;
    Ok(Answer {
        assigned: assigned(&found, &ids),
        referral: ids.referral,
        result: if already { Outcome::Duplicate } else { Outcome::Withdrawn },
        resources: current,
        findings: found.parsed.findings,
    })
}

async fn writes(gateway: &Gateway, received: &Received, found: &Found, ids: &Ids) -> Result<Vec<ResourceWrite>, Stop> {
    let Some((at, request)) = found.current.get("ServiceRequest") else { return Ok(Vec::new()) };
    let status = status(received, found);
    let mut writes = Vec::new();
    if request["status"].as_str() != Some(&status) {
        let mut request = version::content(request.clone());
        request["status"] = json!(status);
        let visible = gateway.store.visibility("ServiceRequest", &ids.referral).await?;
        writes.push(version::write(request, at + 1, received.at, &visible, String::new()));
    }
    let running = found.current.get("Task").filter(|(_, task)| !ENDED.contains(&task["status"].as_str().unwrap_or("")));
    if let Some((at, task)) = running {
        let visible = gateway.store.visibility("Task", &ids.task).await?;
        let task = task::cancelled(version::content(task.clone()), received.at);
        writes.push(version::write(task, at + 1, received.at, &visible, String::new()));
    }
    Ok(writes)
}

/// The sender's word for it; EMIS has only "deleted", which says that it never should have been.
fn status(received: &Received, found: &Found) -> String {
    let sent = found.parsed.tree.inputs.get("sr").and_then(|request| request["status"].as_str());
    match received.channel {
        Channel::EmisExtract => "entered-in-error".to_owned(),
        _ => sent.unwrap_or("revoked").to_owned(),
    }
}

fn withdrawn(received: &Received, found: &Found) -> LedgerRow {
    LedgerRow {
        id: found.parsed.referral.clone(),
        message: received.id,
        practice: found.ledger.as_ref().and_then(|row| row.practice.clone()).or_else(|| practice(found)),
        state: LedgerState::Withdrawn,
        since: received.at,
        waiting_on: String::new(),
        received_at: received.at,
    }
}

fn practice(found: &Found) -> Option<OdsCode> {
    let org = found.parsed.tree.inputs.get("org")?;
    OdsCode::parse(org["ODSCode"].as_str()?).ok()
}

async fn closed(gateway: &Gateway, ids: &Ids) -> Result<Option<Episode>, Stop> {
    let episode = gateway.store.episode(&ids.referral).await?;
    Ok(episode.filter(|episode| episode.open).map(|episode| Episode { open: false, ..episode }))
}

fn patient(found: &Found) -> Option<String> {
    let (_, request) = found.current.get("ServiceRequest")?;
    request["subject"]["reference"].as_str().map(str::to_owned)
}

fn assigned(found: &Found, ids: &Ids) -> Vec<(String, String, String)> {
    let request = found.parsed.entries.iter().find(|(_, kind)| kind == "ServiceRequest");
    request.map(|(url, kind)| (url.clone(), kind.clone(), ids.referral.clone())).into_iter().collect()
}
