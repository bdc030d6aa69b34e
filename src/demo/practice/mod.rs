//! A simulated practice system, with a FHIR side and a MESH side on one record. It behaves like
//! the real ones at their worst, by switches: see [`Habits`].
//!
//! Not here: whole-record rules of a real system; it keeps what it is sent.

mod desk;
pub mod mesh_side;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::routing::post;
use serde_json::Value;

use super::peer::{Peer, Steering};
use crate::fhir::each;

/// What a practice system holds.
#[derive(Debug, Default)]
pub struct Record {
    /// The entries, in the order in which they were filed.
    pub entries: Vec<Value>,
    /// What a person at the practice has yet to accept.
    pub tray: Vec<Value>,
    /// Documents that came, by title.
    pub documents: Vec<String>,
    /// Requests that came in, repeats included.
    pub requests: u64,
    /// Idempotency keys seen, and the entry of each.
    keys: HashMap<String, usize>,
    /// ITK3 messages seen, by id.
    messages: Vec<String>,
    /// `(system, value)` of the identifiers of the first `indexed` entries, and where those stand.
    identifiers: HashMap<(String, String), Vec<usize>>,
    indexed: usize,
}

impl Record {
    /// Where the entries stand that have this identifier, in order.
    fn find(&mut self, system: &str, value: &str) -> Vec<usize> {
        for (at, entry) in self.entries.iter().enumerate().skip(self.indexed) {
            for one in each(&entry["identifier"]) {
                let text = |name: &str| one[name].as_str().unwrap_or("").to_owned();
                self.identifiers.entry((text("system"), text("value"))).or_default().push(at);
            }
        }
        self.indexed = self.entries.len();
        self.identifiers.get(&(system.to_owned(), value.to_owned())).cloned().unwrap_or_default()
    }

    /// Puts another entry in the place of one.
    fn replace(&mut self, at: usize, entry: Value) {
        self.entries[at] = entry;
        self.identifiers.clear();
        self.indexed = 0;
    }
}

/// How a practice system differs from a good one.
#[derive(Debug, Clone, Default)]
pub struct Habits {
    /// Codes that its dictionary lacks: it keeps the text and drops the code.
    pub lacks: Vec<String>,
    /// A person must accept each entry: FHIR answers 202, and the business acknowledgement is late.
    pub manual: bool,
    /// The practice has switched the route off (20010).
    pub switched_off: bool,
    /// It refuses whole messages (20009).
    pub refuses_payload: bool,
    /// It files again what it has: it ignores `If-None-Exist`, `Idempotency-Key` and message ids.
    pub forgetful: bool,
    /// It cannot be searched.
    pub closed: bool,
    /// NHS numbers that it does not know (30002).
    pub unknown: Vec<String>,
    /// NHS numbers of people who left (30003).
    pub moved: Vec<String>,
    /// Infrastructure acknowledgements are lost.
    pub loses_infrastructure: bool,
    /// Business acknowledgements are lost.
    pub loses_business: bool,
    /// Each acknowledgement is sent twice.
    pub repeats: bool,
}

impl Habits {
    /// The code with which it refuses what concerns this person, if it does.
    fn refuses(&self, nhs_number: &str) -> Option<&'static str> {
        let has = |list: &[String]| list.iter().any(|one| one == nhs_number);
        match () {
            () if self.switched_off => Some("20010"),
            () if self.refuses_payload => Some("20009"),
            () if has(&self.unknown) => Some("30002"),
            () if has(&self.moved) => Some("30003"),
            () => None,
        }
    }

    /// What of an entry it keeps.
    fn kept(&self, mut entry: Value) -> Value {
        if let Some(codings) = entry["code"]["coding"].as_array_mut() {
            codings.retain(|coding| !self.lacks.iter().any(|code| coding["code"].as_str() == Some(code)));
        }
        entry
    }
}

/// The simulated system.
pub struct PracticeSystem {
    /// Its FHIR base address.
    pub base_url: String,
    /// How writes to it misbehave.
    pub steering: Steering,
    /// How searches of it misbehave.
    pub searches: Steering,
    shared: Shared,
    _peer: Peer,
}

/// Its record and habits, shared by its sides.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shared {
    record: Arc<Mutex<Record>>,
    habits: Arc<Mutex<Habits>>,
}

impl Shared {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn habits(&self) -> Habits {
        self.habits.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl PracticeSystem {
    /// Starts one on a loopback port.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> std::io::Result<Self> {
        let (steering, searches, shared) = (Steering::default(), Steering::default(), Shared::default());
        let desk = desk::Desk { steering: steering.clone(), searches: searches.clone(), shared: shared.clone() };
        let router = Router::new()
            .route("/fhir/Observation", post(desk::create).put(desk::update).get(desk::search))
            .with_state(desk);
        let peer = Peer::start(router).await?;
        Ok(Self { base_url: format!("{}/fhir", peer.url), steering, searches, shared, _peer: peer })
    }

    /// What it holds.
    pub fn record(&self) -> MutexGuard<'_, Record> {
        self.shared.record()
    }

    /// Its habits, to look at or set.
    pub fn habits(&self) -> MutexGuard<'_, Habits> {
        self.shared.habits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A person at the practice accepts everything in the tray. How many entries there were.
    pub fn accept(&self) -> usize {
        let mut record = self.record();
        let tray = std::mem::take(&mut record.tray);
        let count = tray.len();
        record.entries.extend(tray);
        count
    }

    /// The codes filed, in order; `""` for an entry that was kept without its code.
    pub fn codes(&self) -> Vec<String> {
        let code = |entry: &Value| entry["code"]["coding"][0]["code"].as_str().unwrap_or("").to_owned();
        self.record().entries.iter().map(code).collect()
    }
}
