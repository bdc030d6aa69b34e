//! The last leg: ids and links set, versions made, one commit.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use super::legs::{Chosen, Routed};
use super::{Answer, Channel, Outcome, Received, Stop, hold_id};
use crate::audit::{self, Action, Entry, Kind};
use crate::delivery;
use crate::fhir::{self, ids::stable_id, provenance, task, version};
use crate::gateway::Gateway;
use crate::mapping::Lineage;
use crate::parsing::message;
use crate::store::commit::{Cause, Commit, Episode, LedgerRow, LedgerState, Message, ResourceWrite, digest};
use crate::store::countdown::Change;
use crate::store::{StoreError, param};

/// The logical ids of one referral's resources: all follow from the ServiceRequest's.
#[derive(Debug, Clone)]
pub(crate) struct Ids {
    pub referral: String,
    pub task: String,
    pub provenance: String,
}

impl Ids {
    pub fn of(referral: &str) -> Self {
        let of = |kind: &str| stable_id(&[kind, referral]).to_string();
        Self { referral: referral.to_owned(), task: of("Task"), provenance: of("Provenance") }
    }
}

/// Commits a routed referral: as new, as a change, or - when nothing in it is new - as a
/// duplicate, of which only the audit entry and the door keys are kept.
pub(super) async fn commit(gateway: &Gateway, received: &Received, routed: Routed) -> Result<Answer, Stop> {
    let draft = Draft::of(received, &routed);
    let writes = draft.writes(gateway, received, &routed).await?;
    let found = &routed.matched.referral.found;
    let is_new = !found.current.contains_key("ServiceRequest");
    let mut commit = Commit { keys: received.keys.clone(), ..Commit::default() };
    let result = if writes.changed.is_empty() && !is_new { Outcome::Duplicate } else { Outcome::Committed };
    if result == Outcome::Committed {
        let event = if is_new { "referral.received" } else { "referral.updated" };
        commit.outbox = delivery::rows(&gateway.config, event, &draft.ids.referral, &writes.current, received.at);
        commit.message = Some(kept(received, "committed"));
        commit.ledger.extend(draft.ledger(received, &routed));
        commit.episodes.extend(draft.episode(&routed));
        commit.countdowns.extend(draft.clock(gateway, received, &routed).await?);
        // What the ledger does not know was never held.
        if found.ledger.is_some() || received.replays.is_some() {
            commit.released = releases(&draft.ids.referral, received, &[]);
        }
        commit.writes = writes.changed;
    }
    commit.audit.push(draft.entry(received, &routed, &writes.current, &result, is_new));
    gateway.store.commit(commit).await?;
    delivery::wake();
    Ok(Answer {
        referral: draft.ids.referral.clone(),
        result,
        resources: writes.current,
        assigned: draft.assigned(&routed),
        findings: draft.findings(&routed),
    })
}

/// The resources with their ids and links set, before versions.
struct Draft {
    ids: Ids,
    resources: Vec<Value>,
    links: BTreeMap<String, String>,
}

struct Writes {
    changed: Vec<ResourceWrite>,
    /// Every resource of the referral as it stands after the commit.
    current: Vec<(String, String, u32)>,
}

impl Draft {
    fn of(received: &Received, routed: &Routed) -> Self {
        let referral = &routed.matched.referral;
        let parsed = &referral.found.parsed;
        let ids = Ids::of(&parsed.referral);
        let mut resources = referral.mapped.resources.clone();
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for resource in &mut resources {
            let kind = fhir::kind(resource).to_owned();
            let n = seen.entry(kind.clone()).and_modify(|n| *n += 1).or_insert(0);
            let id = match kind.as_str() {
                "ServiceRequest" => ids.referral.clone(),
                "Patient" => routed.matched.person.patient.clone(),
                _ => stable_id(&[&kind, &ids.referral, &n.to_string()]).to_string(),
            };
            resource["id"] = json!(id);
        }
        let links = links(&parsed.entries, &resources);
        for resource in &mut resources {
            message::relink(resource, &links);
            point_at_patient(resource, &routed.matched.person.patient);
        }
        let mut draft = Self { ids, resources, links };
        draft.note_open_episode(routed);
        draft.add_task(received, routed);
        draft
    }

    /// A second referral of one person is linked to the episode that is open; it makes no Task.
    fn note_open_episode(&mut self, routed: &Routed) {
        let Some(episode) = &routed.matched.open_elsewhere else { return };
        for request in self.resources.iter_mut().filter(|r| fhir::kind(r) == "ServiceRequest") {
            request["meta"]["tag"] = json!([{"system": "https://fingerpost.dev/CodeSystem/hold-cause",
                "code": Cause::DuplicateEpisode.word(), "display": "The person has an open episode already"}]);
            let link = json!({"reference": format!("Task/{}", episode.task)});
            match request["supportingInfo"].as_array_mut() {
                Some(links) => links.push(link),
                None => request["supportingInfo"] = json!([link]),
            }
        }
    }

    fn add_task(&mut self, received: &Received, routed: &Routed) {
        let Chosen::Now(decision) = &routed.pool else { return };
        let request = self.resources.iter().find(|r| fhir::kind(r) == "ServiceRequest");
        let task = task::requested(task::NewTask {
            id: &self.ids.task,
            referral: &self.ids.referral,
            patient: &routed.matched.person.patient,
            practice: routed.matched.person.practice.as_str(),
            pool: (&decision.pool, &decision.pool_name),
            worker: decision.worker.as_deref(),
            priority: request.and_then(|request| request["priority"].as_str()),
            at: received.at,
        });
        self.resources.push(task);
    }

    /// New versions of what changed. What has not changed keeps its version.
    async fn writes(&self, gateway: &Gateway, received: &Received, routed: &Routed) -> Result<Writes, StoreError> {
        let found = &routed.matched.referral.found;
        let lineage = &routed.matched.referral.mapped.lineage;
        let mut writes = Writes { changed: Vec::new(), current: Vec::new() };
        for (at, resource) in self.resources.iter().enumerate() {
            let (kind, id) = (fhir::kind(resource), fhir::id(resource));
            let current = match found.current.get(kind) {
                Some((version, body)) => Some((*version, body.clone())),
                // Only a patient can be here before the referral is.
                None if found.current.is_empty() && kind != "Patient" => None,
                None => stored(gateway, kind, id).await?,
            };
            let version = current.as_ref().map_or(0, |(version, _)| *version);
            if current.is_some_and(|(_, body)| version::content(body) == *resource) {
                writes.current.push((kind.to_owned(), id.to_owned(), version));
                continue;
            }
            let mut visible = self.visible(received, routed);
            if kind == "Patient" && version > 0 {
                visible.extend(gateway.store.visibility(kind, id).await?);
            }
            let own = lineage_of(lineage, Some(at));
            writes.push(version::write(resource.clone(), version + 1, received.at, &visible, own));
        }
        if !writes.changed.is_empty() {
            let provenance = self.provenance(gateway, received, routed, &lineage_of(lineage, None), &writes);
            let version = found.current.get("Provenance").map_or(0, |(version, _)| *version);
            let visible = self.visible(received, routed);
            writes.push(version::write(provenance, version + 1, received.at, &visible, String::new()));
        }
        self.keep_task(found, &mut writes);
        Ok(writes)
    }

    /// The Task as it stands, where this message does not touch it.
    fn keep_task(&self, found: &super::legs::Found, writes: &mut Writes) {
        let made = writes.current.iter().any(|(kind, ..)| kind == "Task");
        if let Some((version, _)) = found.current.get("Task").filter(|_| !made) {
            writes.current.push(("Task".to_owned(), self.ids.task.clone(), *version));
        }
    }

    fn visible(&self, received: &Received, routed: &Routed) -> Vec<(u8, String)> {
        let mut rows = vec![
            (param::PRACTICE, routed.matched.person.practice.to_string()),
            (param::POOL, routed.pool.pool().to_owned()),
        ];
        if received.channel != Channel::EmisExtract {
            rows.push((param::PRACTICE, received.agent.ods.clone()));
        }
        rows
    }

    fn provenance(
        &self,
        gateway: &Gateway,
        received: &Received,
        routed: &Routed,
        lineage: &str,
        writes: &Writes,
    ) -> Value {
        let before = routed.matched.referral.found.current.get("Provenance");
        let route = match &routed.pool {
            Chosen::Now(decision) => serde_json::to_string(decision).unwrap_or_default(),
            Chosen::Before(pool) => before.and_then(|(_, body)| provenance::route(body)).map_or_else(
                || json!({"pool": pool, "reasons": ["an open episode is with this pool"]}).to_string(),
                str::to_owned,
            ),
        };
        let targets: Vec<String> =
            writes.current.iter().map(|(kind, id, v)| format!("{kind}/{id}/_history/{v}")).collect();
        let mapping = format!("{} {}", received.channel.mapping(), gateway.mappings.version());
        provenance::of_referral(provenance::Source {
            id: &self.ids.provenance,
            targets: &targets,
            message: (&received.id.to_string(), &digest(&received.bytes)),
            mapping: &mapping,
            sender: if received.agent.ods.is_empty() {
                routed.matched.person.practice.as_str()
            } else {
                &received.agent.ods
            },
            written_at: routed.matched.referral.found.parsed.written_at,
            received_at: received.at,
            route: &route,
            lineage,
        })
    }

    /// Where the referral now stands. A change to one that is with a pool, or ended, leaves it there.
    fn ledger(&self, received: &Received, routed: &Routed) -> Option<LedgerRow> {
        let (state, waiting_on) = match (&routed.matched.open_elsewhere, &routed.pool) {
            (Some(episode), _) => (LedgerState::Returned, format!("linked to the open episode {}", episode.id)),
            (None, Chosen::Now(decision)) => (LedgerState::Open, decision.pool.clone()),
            (None, Chosen::Before(_)) => return None,
        };
        Some(LedgerRow {
            id: self.ids.referral.clone(),
            message: received.id,
            practice: Some(routed.matched.person.practice.clone()),
            state,
            since: received.at,
            waiting_on,
            received_at: received.at,
        })
    }

    fn episode(&self, routed: &Routed) -> Option<Episode> {
        let Chosen::Now(decision) = &routed.pool else { return None };
        Some(Episode {
            id: self.ids.referral.clone(),
            nhs_number: routed.matched.person.nhs_number.as_str().to_owned(),
            task: self.ids.task.clone(),
            pool: decision.pool.clone(),
            worker: decision.worker.clone().unwrap_or_default(),
            open: true,
        })
    }

    /// The clock of the pool that it goes to.
    async fn clock(
        &self,
        gateway: &Gateway,
        received: &Received,
        routed: &Routed,
    ) -> Result<Option<Change>, StoreError> {
        let Chosen::Now(decision) = &routed.pool else { return Ok(None) };
        let id = &self.ids.referral;
        // A referral that was here before may have had a clock; a new one has not.
        let before = match routed.matched.referral.found.ledger {
            Some(_) => gateway.store.countdown(id).await?,
            None => None,
        };
        let round = before.map_or(1, |before| before.round + 1);
        Ok(super::clocks::begin(gateway, id, &decision.pool, round, received.at))
    }

    fn entry(
        &self,
        received: &Received,
        routed: &Routed,
        current: &[(String, String, u32)],
        result: &Outcome,
        is_new: bool,
    ) -> Entry {
        let detail = match result {
            Outcome::Duplicate => "nothing new in it".to_owned(),
            _ => format!("to pool {}", routed.pool.pool()),
        };
        Entry {
            action: if is_new { Action::C } else { Action::U },
            entities: current.iter().map(|(kind, id, v)| format!("{kind}/{id}/_history/{v}")).collect(),
            patients: vec![format!("Patient/{}", routed.matched.person.patient)],
            detail,
            ..entry(received, audit::Outcome::Success)
        }
    }

    /// Which of the sender's entries got which id.
    fn assigned(&self, routed: &Routed) -> Vec<(String, String, String)> {
        let entries = &routed.matched.referral.found.parsed.entries;
        let ours = entries.iter().filter_map(|(url, kind)| {
            let id = self.links.get(url)?.split_once('/')?.1;
            Some((url.clone(), kind.clone(), id.to_owned()))
        });
        ours.collect()
    }

    fn findings(&self, routed: &Routed) -> Vec<String> {
        let referral = &routed.matched.referral;
        let mut findings = referral.found.parsed.findings.clone();
        findings.extend(referral.mapped.findings.iter().map(ToString::to_string));
        if routed.matched.open_elsewhere.is_some() {
            findings
                .push("duplicate-episode: the person has an open episode; this referral was linked to it".to_owned());
        }
        findings
    }
}

impl Writes {
    fn push(&mut self, write: ResourceWrite) {
        self.current.push((write.kind.clone(), write.id.clone(), write.version));
        self.changed.push(write);
    }
}

async fn stored(gateway: &Gateway, kind: &str, id: &str) -> Result<Option<(u32, Value)>, StoreError> {
    let stored = gateway.store.read(kind, id).await?;
    Ok(stored.map(|stored| (stored.version, serde_json::from_slice(&stored.body).unwrap_or(Value::Null))))
}

/// `fullUrl` to `Type/id`: the nth entry of a type became the nth resource of that type.
fn links(entries: &[(String, String)], resources: &[Value]) -> BTreeMap<String, String> {
    let mut links = BTreeMap::new();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (url, kind) in entries {
        let n = seen.entry(kind).and_modify(|n| *n += 1).or_insert(0);
        if let Some(resource) = resources.iter().filter(|r| fhir::kind(r) == kind).nth(*n) {
            links.insert(url.clone(), format!("{kind}/{}", fhir::id(resource)));
        }
    }
    links
}

fn point_at_patient(resource: &mut Value, patient: &str) {
    let element = match fhir::kind(resource) {
        "ServiceRequest" | "Flag" => "subject",
        "Consent" => "patient",
        _ => return,
    };
    resource[element]["reference"] = json!(format!("Patient/{patient}"));
}

/// The lineage of one mapped resource, or of all, as JSON text.
fn lineage_of(all: &[Lineage], resource: Option<usize>) -> String {
    let own: Vec<&Lineage> = all.iter().filter(|row| resource.is_none_or(|at| row.resource == at)).collect();
    serde_json::to_string(&own).unwrap_or_default()
}

/// The message as it is kept.
pub(super) fn kept(received: &Received, outcome: &'static str) -> Message {
    let staged = received.channel == Channel::EmisExtract;
    Message {
        id: received.id,
        channel: received.channel.word().to_owned(),
        sender: received.source.clone(),
        received_at: received.at,
        content_type: received.content_type.clone(),
        digest: digest(&received.bytes),
        // An EMIS candidate's rows are kept in staging; a copy here would be a second truth.
        bytes: if staged { bytes::Bytes::new() } else { received.bytes.clone() },
        outcome,
    }
}

/// The audit entry of an intake, to be filled in.
pub(super) fn entry(received: &Received, outcome: audit::Outcome) -> Entry {
    let interaction = match received.channel {
        Channel::Bars => "process-message",
        Channel::Fhir => "transaction",
        Channel::EmisExtract => "emis-extract",
    };
    Entry {
        outcome,
        request: if received.request.is_empty() { received.id.to_string() } else { received.request.clone() },
        ..Entry::care(Kind::Intake, interaction, Action::C, received.agent.clone(), received.at)
    }
}

/// The holds of a referral that are over: all that it can have, but those still `held`.
pub(super) fn releases(referral: &str, received: &Received, held: &[Cause]) -> Vec<Uuid> {
    let causes = Cause::ALL.iter().map(|(cause, _)| *cause).filter(|cause| !held.contains(cause));
    let mut ids: Vec<Uuid> = causes.map(|cause| hold_id(referral, cause)).collect();
    let still: Vec<Uuid> = held.iter().map(|cause| hold_id(referral, *cause)).collect();
    ids.extend(received.replays.filter(|id| !still.contains(id)));
    ids
}
