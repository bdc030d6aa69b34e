//! What one outcome changes, gathered and then committed whole: resource versions, entries for the
//! practice, deliveries, ledger, episode, audit entry. A preview is the same, shown instead.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::contact::{Came, came};
use super::episode::{Event, next};
use super::filing::{self, Draft};
use super::journey::Journey;
use super::{Write, care, preview};
use crate::access::Caller;
use crate::audit::{Action, Entry, Kind};
use crate::clock::instant;
use crate::delivery;
use crate::fhir::episode as said;
use crate::fhir::{self, observation, version};
use crate::gateway::Gateway;
use crate::rejection::Rejection;
use crate::store::commit::{Commit, Episode, LedgerRow, LedgerState, OutboxRow, ResourceWrite};
use crate::store::filing::Filing;
use crate::store::{Store, StoreError, Stored, countdown};

/// What the ledger says a referral waits for when its outcome is on the way to the practice.
const PRACTICE_SYSTEM: &str = "practice-system";

/// One outcome's changes. The first resource added is the answer.
pub struct Change<'a> {
    pub(super) journey: &'a Journey,
    pub(super) at: Timestamp,
    pub(super) items: Vec<Item>,
    pub(super) event: Option<Event>,
    ledger: Option<LedgerRow>,
    episode: Option<Episode>,
    ends_as: Option<LedgerState>,
    /// Who has the person from now on; empty: nobody of the pool yet.
    worker: Option<String>,
    alerts: Vec<ResourceWrite>,
    told: Vec<OutboxRow>,
    clocks: Vec<countdown::Change>,
}

/// One resource version.
pub(super) struct Item {
    pub resource: Value,
    pub version: u32,
    /// The event under which the practice's system must have it too.
    pub files: Option<String>,
}

impl<'a> Change<'a> {
    /// Nothing yet.
    pub fn new(journey: &'a Journey, at: Timestamp) -> Self {
        Self {
            journey,
            at,
            items: Vec::new(),
            event: None,
            ledger: None,
            episode: None,
            ends_as: None,
            worker: None,
            alerts: Vec::new(),
            told: Vec::new(),
            clocks: Vec::new(),
        }
    }

    /// Says what happens to the episode by it. A measure need not: that is seen.
    pub fn step(&mut self, event: Option<Event>) {
        self.event = event;
    }

    /// Adds a resource version.
    pub fn add(&mut self, resource: Value, version: u32) {
        self.items.push(Item { resource, version, files: None });
    }

    /// Adds a version that the practice's system must have too, under `outcome.` and `event`,
    /// unless the person's choice keeps it here.
    pub fn file(&mut self, event: &str, resource: Value, version: u32) {
        self.items.push(Item { resource, version, files: Some(format!("outcome.{event}")) });
    }

    /// Files an entry at the version that follows what is stored. Returns false, having done
    /// nothing, when it is stored already and `once`.
    pub async fn file_next(
        &mut self,
        store: &Store,
        event: &str,
        resource: Value,
        once: bool,
    ) -> Result<bool, StoreError> {
        let (kind, id) = (fhir::kind(&resource), fhir::id(&resource));
        let before = store.read(kind, id).await?.map_or(0, |stored| stored.version);
        if once && before > 0 {
            return Ok(false);
        }
        self.file(event, resource, before + 1);
        Ok(true)
    }

    /// Says which link worker has the person.
    pub fn assign(&mut self, worker: String) {
        self.worker = Some(worker);
    }

    /// Adds the gateway's own notices, who is told of them, and the clock that runs until somebody
    /// answers. They are neither filed nor part of the answer.
    pub fn alert(&mut self, notices: Vec<ResourceWrite>, told: Vec<OutboxRow>, clock: countdown::Change) {
        self.alerts.extend(notices);
        self.told.extend(told);
        self.clocks.push(clock);
    }

    /// Stops such a clock.
    pub fn stop_clock(&mut self, stop: countdown::Change) {
        self.clocks.push(stop);
    }

    /// The pool's work is over: the episode ends and the ledger waits for the practice's system.
    pub fn end(&mut self, state: LedgerState) {
        self.ends_as = Some(state);
        self.episode = Some(Episode { open: false, ..self.journey.episode.clone() });
        self.ledger =
            Some(LedgerRow { waiting_on: PRACTICE_SYSTEM.to_owned(), since: self.at, ..self.journey.ledger.clone() });
    }

    /// The pool's work goes on: the episode is open, and the ledger waits for the pool.
    pub fn reopen(&mut self) {
        let episode = Episode { open: true, ..self.journey.episode.clone() };
        self.ledger = Some(LedgerRow {
            state: LedgerState::Open,
            waiting_on: episode.pool.clone(),
            since: self.at,
            ..self.journey.ledger.clone()
        });
        self.episode = Some(episode);
    }

    /// Commits all of it and returns the first resource; for a preview, shows it instead: a
    /// Parameters, and nothing is kept.
    pub async fn commit(mut self, gateway: &Gateway, caller: &Caller, write: &Write) -> Result<Stored, Rejection> {
        let sent = &write.resource;
        self.restricted(gateway, sent).await?;
        let (mut writes, mut filed, mut shown) = (Vec::new(), Vec::new(), Vec::new());
        let items = std::mem::take(&mut self.items);
        let care = care::next(gateway, &self, &items).await?;
        for item in items.into_iter().chain(care) {
            let (resource, files) = match item.files {
                None => (labelled(item.resource), None),
                Some(event) => {
                    let (resource, is_filed) = filing::finished(self.journey, sent, item.resource)?;
                    shown.push((resource.clone(), is_filed));
                    (resource, Some(event).filter(|_| is_filed))
                }
            };
            let write = version::write(resource, item.version, self.at, &self.journey.visible, String::new());
            filed.extend(files.map(|event| self.row(&event, &write)));
            writes.push(write);
        }
        if write.show {
            return Ok(preview::stored(self.journey, self.at, &shown));
        }
        let unsent = self.ends_as.filter(|_| filed.is_empty());
        if let (Some(state), Some(ledger)) = (unsent, &mut self.ledger) {
            settle(gateway, state, ledger).await?;
        }
        let waits = self.ledger.clone().filter(|row| row.state == LedgerState::Open);
        let Some(answer) = writes.first().map(stored) else { return Err(Rejection::not_found()) };
        let contact = self.contact(&writes);
        let mut outbox = self.deliveries(gateway, &writes);
        let filings = filed.iter().filter_map(Filing::queued).collect();
        outbox.extend(filed);
        outbox.append(&mut self.told);
        let clocks: Vec<_> = contact.into_iter().chain(std::mem::take(&mut self.clocks)).collect();
        writes.append(&mut self.alerts);
        let commit = Commit {
            audit: vec![self.entry(caller, write, &writes)],
            countdowns: clocks,
            writes: writes.into_iter().chain(write.also.iter().cloned()).collect(),
            episodes: self.episode().into_iter().collect(),
            ledger: self.ledger.into_iter().collect(),
            outbox,
            filings,
            ..Commit::default()
        };
        gateway.store.commit(commit).await?;
        delivery::wake();
        // What was under way may have arrived while this was committed.
        if let (Some(state), Some(mut ledger)) = (unsent, waits)
            && settle(gateway, state, &mut ledger).await?
        {
            gateway.store.commit(Commit { ledger: vec![ledger], ..Commit::default() }).await?;
        }
        Ok(answer)
    }

    /// What is sent to the practice in words of its own, not for the person's eyes: an entry each.
    async fn restricted(&mut self, gateway: &Gateway, sent: &Value) -> Result<(), Rejection> {
        for (of, kind, note) in filing::restricted(sent)? {
            let effective = instant(self.at);
            let draft = Draft {
                event: "restricted-note",
                of: &of,
                effective: &effective,
                status: "final",
                slots: vec![("kind", kind), ("note", note)],
            };
            let entry = filing::entry(self.journey, sent, &draft)?;
            if self.journey.share.files(super::entries::Needs::All) {
                self.file_next(&gateway.store, draft.event, entry, true).await?;
            }
        }
        Ok(())
    }

    /// The event, said or seen; `None` where the episode does not feel it.
    pub(super) fn happened(&self, writes: &[Item]) -> Option<Event> {
        let measure = |item: &Item| matches!(fhir::kind(&item.resource), "QuestionnaireResponse" | "Observation");
        self.event.or_else(|| writes.first().is_some_and(measure).then_some(Event::Assess))
    }

    /// The episode, where it is ended, reopened or another link worker's.
    fn episode(&self) -> Option<Episode> {
        let Some(worker) = &self.worker else { return self.episode.clone() };
        let episode = self.episode.as_ref().unwrap_or(&self.journey.episode);
        Some(Episode { worker: worker.clone(), ..episode.clone() })
    }

    fn row(&self, event: &str, write: &ResourceWrite) -> OutboxRow {
        let this = [(write.kind.clone(), write.id.clone(), write.version)];
        delivery::practice_row(&self.journey.practice, event, &self.journey.episode.id, &this, self.at)
    }

    /// The first contact at which they met, the person's answer or the end stops the clock.
    fn contact(&self, writes: &[ResourceWrite]) -> Option<countdown::Change> {
        let why = writes.iter().find_map(|write| {
            let body: Value = serde_json::from_slice(&write.body).ok()?;
            match (write.kind.as_str(), body["status"].as_str()?) {
                ("Encounter", "finished") if came(&body) == Came::Met => Some("first contact"),
                ("Task", "requested" | "received") => None,
                ("Task", "accepted" | "in-progress" | "on-hold") => Some("the person accepted"),
                ("Task", _) => Some("ended"),
                _ => None,
            }
        })?;
        Some(countdown::Change::Stop { referral: self.journey.episode.id.clone(), at: self.at, why })
    }

    /// Subscribers are told of the Task and of everything else, each under its own event.
    fn deliveries(&self, gateway: &Gateway, writes: &[ResourceWrite]) -> Vec<OutboxRow> {
        let named = |task: bool| -> Vec<(String, String, u32)> {
            let chosen = writes.iter().filter(|write| (write.kind == "Task") == task);
            chosen.map(|write| (write.kind.clone(), write.id.clone(), write.version)).collect()
        };
        let episode = &self.journey.episode.id;
        [("task.updated", named(true)), ("outcome.recorded", named(false))]
            .into_iter()
            .filter(|(_, resources)| !resources.is_empty())
            .flat_map(|(event, resources)| delivery::rows(&gateway.config, event, episode, &resources, self.at))
            .collect()
    }

    fn entry(&self, caller: &Caller, write: &Write, writes: &[ResourceWrite]) -> Entry {
        let (word, action) = if write.id.is_none() { ("create", Action::C) } else { ("update", Action::U) };
        Entry {
            request: write.request.clone(),
            entities: writes.iter().map(ResourceWrite::entity).collect(),
            patients: vec![self.journey.patient().to_owned()],
            detail: match self.worker.as_deref() {
                None => String::new(),
                Some("") => "nobody of the pool has the person".to_owned(),
                Some(worker) => format!("link worker {worker} has the person"),
            },
            ..Entry::care(Kind::Rest, word, action, caller.agent(), self.at)
        }
    }
}

/// Where nothing that ends the episode is sent, nobody is waited for once all that was sent before
/// is in the record. Returns whether that is so.
async fn settle(gateway: &Gateway, state: LedgerState, ledger: &mut LedgerRow) -> Result<bool, StoreError> {
    let filings = gateway.store.filings_of(&ledger.id).await?;
    let done = filings.iter().all(|filing| filing.state.is_in_record());
    if done {
        ledger.state = state;
        ledger.waiting_on = String::new();
    }
    Ok(done)
}

/// A resource that holds words which the person must not read online says so itself.
fn labelled(mut resource: Value) -> Value {
    if fhir::kind(&resource) == "Task"
        && let Some(labels) = resource.pointer_mut("/meta/security").and_then(Value::as_array_mut)
    {
        labels.retain(|label| label["code"] != observation::HIDDEN);
        if labels.is_empty()
            && let Some(meta) = resource["meta"].as_object_mut()
        {
            meta.shift_remove("security");
        }
    }
    if said::restricted(&resource).is_empty() || observation::is_hidden(&resource) {
        return resource;
    }
    if !resource["meta"]["security"].is_array() {
        resource["meta"]["security"] = json!([]);
    }
    if let Some(labels) = resource["meta"]["security"].as_array_mut() {
        labels.push(observation::hidden());
    }
    resource
}

fn stored(write: &ResourceWrite) -> Stored {
    Stored {
        kind: write.kind.clone(),
        id: write.id.clone(),
        version: write.version,
        at: write.at,
        deleted: false,
        body: write.body.clone(),
        lineage: String::new(),
    }
}

/// The state that an episode is in after an event; as it is where nothing happened to it.
pub(super) fn after(journey: &Journey, event: Option<Event>) -> super::episode::State {
    event.and_then(|event| next(journey.state, event).ok()).unwrap_or(journey.state)
}
