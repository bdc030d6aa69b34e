//! What one outcome changes, gathered and then committed whole: resource versions, entries for the
//! practice, deliveries, ledger, episode, audit entry.

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::Write;
use super::journey::Journey;
use crate::access::Caller;
use crate::audit::{self, Action, Entry, Kind};
use crate::delivery;
use crate::fhir::version;
use crate::referral::Gateway;
use crate::rejection::Rejection;
use crate::store::commit::{Commit, Episode, LedgerRow, OutboxRow, ResourceWrite};
use crate::store::filing::Filing;
use crate::store::{Store, StoreError, Stored, countdown};

/// What the ledger says a referral waits for when its outcome is on the way to the practice.
const PRACTICE_SYSTEM: &str = "practice-system";

/// One outcome's changes. The first resource added is the answer.
pub struct Change<'a> {
    journey: &'a Journey,
    at: Timestamp,
    writes: Vec<ResourceWrite>,
    filed: Vec<OutboxRow>,
    ledger: Option<LedgerRow>,
    episode: Option<Episode>,
}

impl<'a> Change<'a> {
    /// Nothing yet.
    pub fn new(journey: &'a Journey, at: Timestamp) -> Self {
        Self { journey, at, writes: Vec::new(), filed: Vec::new(), ledger: None, episode: None }
    }

    /// Adds a resource version.
    pub fn add(&mut self, resource: Value, version: u32) {
        self.writes.push(version::write(resource, version, self.at, &self.journey.visible, String::new()));
    }

    /// Adds a version that the practice's system must have too, under `outcome.` and `event`.
    pub fn file(&mut self, event: &str, resource: Value, version: u32) {
        self.add(resource, version);
        let Some(write) = self.writes.last() else { return };
        let this = [(write.kind.clone(), write.id.clone(), write.version)];
        let event = format!("outcome.{event}");
        let row = delivery::practice_row(&self.journey.practice, &event, &self.journey.episode.id, &this, self.at);
        self.filed.push(row);
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
        let (kind, id) = (crate::fhir::kind(&resource), crate::fhir::id(&resource));
        let before = store.read(kind, id).await?.map_or(0, |stored| stored.version);
        if once && before > 0 {
            return Ok(false);
        }
        self.file(event, resource, before + 1);
        Ok(true)
    }

    /// The pool's work is over: the episode ends and the ledger waits for the practice's system.
    pub fn end(&mut self) {
        self.episode = Some(Episode { open: false, ..self.journey.episode.clone() });
        self.ledger =
            Some(LedgerRow { waiting_on: PRACTICE_SYSTEM.to_owned(), since: self.at, ..self.journey.ledger.clone() });
    }

    /// Commits all of it and returns the first resource.
    pub async fn commit(self, gateway: &Gateway, caller: &Caller, write: &Write) -> Result<Stored, Rejection> {
        let Some(first) = self.writes.first() else { return Err(Rejection::not_found()) };
        let answer = Stored {
            kind: first.kind.clone(),
            id: first.id.clone(),
            version: first.version,
            at: first.at,
            deleted: false,
            body: first.body.clone(),
            lineage: String::new(),
        };
        let entry = self.entry(caller, write);
        let contact = self.contact();
        let mut outbox = self.deliveries(gateway);
        let filings = self.filed.iter().filter_map(Filing::queued).collect();
        outbox.extend(self.filed);
        let commit = Commit {
            countdowns: contact.into_iter().collect(),
            writes: self.writes.into_iter().chain(write.also.iter().cloned()).collect(),
            ledger: self.ledger.into_iter().collect(),
            episodes: self.episode.into_iter().collect(),
            outbox,
            filings,
            audit: vec![entry],
            ..Commit::default()
        };
        gateway.store.commit(commit).await?;
        delivery::wake();
        Ok(answer)
    }

    /// The first finished contact, the person's answer or the end stops the clock.
    fn contact(&self) -> Option<countdown::Change> {
        let why = self.writes.iter().find_map(|write| {
            let body: Value = serde_json::from_slice(&write.body).ok()?;
            match (write.kind.as_str(), body["status"].as_str()?) {
                ("Encounter", "finished") => Some("first contact"),
                ("Task", "requested" | "received") => None,
                ("Task", "accepted" | "in-progress" | "on-hold") => Some("the person accepted"),
                ("Task", _) => Some("ended"),
                _ => None,
            }
        })?;
        Some(countdown::Change::Stop { referral: self.journey.episode.id.clone(), at: self.at, why })
    }

    /// Subscribers are told of the Task and of everything else, each under its own event.
    fn deliveries(&self, gateway: &Gateway) -> Vec<OutboxRow> {
        let named = |task: bool| -> Vec<(String, String, u32)> {
            let chosen = self.writes.iter().filter(|write| (write.kind == "Task") == task);
            chosen.map(|write| (write.kind.clone(), write.id.clone(), write.version)).collect()
        };
        let episode = &self.journey.episode.id;
        [("task.updated", named(true)), ("outcome.recorded", named(false))]
            .into_iter()
            .filter(|(_, resources)| !resources.is_empty())
            .flat_map(|(event, resources)| delivery::rows(&gateway.config, event, episode, &resources, self.at))
            .collect()
    }

    fn entry(&self, caller: &Caller, write: &Write) -> Entry {
        let is_new = write.id.is_none();
        Entry {
            id: Uuid::new_v4(),
            at: self.at,
            kind: Kind::Rest,
            interaction: if is_new { "create" } else { "update" }.to_owned(),
            action: if is_new { Action::C } else { Action::U },
            outcome: audit::Outcome::Success,
            agent: caller.agent(),
            purpose: "TREAT".to_owned(),
            request: write.request.clone(),
            entities: self.writes.iter().map(|w| format!("{}/{}/_history/{}", w.kind, w.id, w.version)).collect(),
            patients: vec![self.journey.patient().to_owned()],
            query: String::new(),
            detail: String::new(),
        }
    }
}
