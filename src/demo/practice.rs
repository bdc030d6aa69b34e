//! A simulated practice system: a FHIR endpoint that keeps Observations in a person's record,
//! each once by its `Idempotency-Key`, with conditional create and update on their identifier.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};

use super::peer::{Next, Peer, Steering};

/// What a practice system holds.
#[derive(Debug, Default)]
pub struct Record {
    /// The entries, in the order in which they were filed.
    pub entries: Vec<Value>,
    /// Requests that came in, repeats included.
    pub requests: u64,
    /// Idempotency keys seen, and the entry of each.
    keys: HashMap<String, usize>,
}

/// The simulated system.
pub struct PracticeSystem {
    /// Its FHIR base address.
    pub base_url: String,
    /// How it misbehaves.
    pub steering: Steering,
    record: Arc<Mutex<Record>>,
    _peer: Peer,
}

#[derive(Clone)]
struct Desk {
    steering: Steering,
    record: Arc<Mutex<Record>>,
}

impl PracticeSystem {
    /// Starts one on a loopback port.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> std::io::Result<Self> {
        let (steering, record) = (Steering::default(), Arc::new(Mutex::new(Record::default())));
        let desk = Desk { steering: steering.clone(), record: record.clone() };
        let router = Router::new().route("/fhir/Observation", post(file).put(file)).with_state(desk);
        let peer = Peer::start(router).await?;
        Ok(Self { base_url: format!("{}/fhir", peer.url), steering, record, _peer: peer })
    }

    /// What it holds.
    pub fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The codes filed, in order.
    pub fn codes(&self) -> Vec<String> {
        let code = |entry: &Value| entry["code"]["coding"][0]["code"].as_str().unwrap_or("").to_owned();
        self.record().entries.iter().map(code).collect()
    }
}

async fn file(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> Response {
    let Ok(entry) = serde_json::from_slice::<Value>(&body) else { return StatusCode::BAD_REQUEST.into_response() };
    let lost = match desk.steering.next().await {
        Next::Refuse(answer) => {
            desk.record.lock().unwrap_or_else(PoisonError::into_inner).requests += 1;
            return answer;
        }
        Next::Serve => false,
        Next::Lose => true,
    };
    let answer = {
        let mut record = desk.record.lock().unwrap_or_else(PoisonError::into_inner);
        record.requests += 1;
        keep(&mut record, headers.get("idempotency-key").and_then(|key| key.to_str().ok()), entry)
    };
    desk.steering.answer(lost, answer).await
}

/// Files an entry, or finds that it was filed: by the key, then by the identifier.
fn keep(record: &mut Record, key: Option<&str>, entry: Value) -> Response {
    let Some(key) = key else { return (StatusCode::BAD_REQUEST, "an Idempotency-Key is needed").into_response() };
    if let Some(at) = record.keys.get(key) {
        return shown(StatusCode::OK, &record.entries[*at], *at);
    }
    let known = record.entries.iter().position(|known| known["identifier"][0] == entry["identifier"][0]);
    let (status, at) = match known {
        Some(at) => {
            record.entries[at] = entry;
            (StatusCode::OK, at)
        }
        None => {
            record.entries.push(entry);
            (StatusCode::CREATED, record.entries.len() - 1)
        }
    };
    record.keys.insert(key.to_owned(), at);
    shown(status, &record.entries[at], at)
}

fn shown(status: StatusCode, entry: &Value, at: usize) -> Response {
    let mut shown = entry.clone();
    shown["id"] = json!(format!("entry-{at}"));
    let headers =
        [("location", format!("Observation/entry-{at}")), ("content-type", "application/fhir+json".to_owned())];
    (status, headers, shown.to_string()).into_response()
}
