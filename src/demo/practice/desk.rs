//! The FHIR side: conditional create, conditional update and search of Observations.

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{Record, Shared};
use crate::demo::peer::{Next, Steering};
use crate::fhir::ids::NHS_NUMBER;

/// Who takes requests.
#[derive(Clone)]
pub struct Desk {
    /// How writes misbehave.
    pub steering: Steering,
    /// How searches misbehave.
    pub searches: Steering,
    /// The record and habits.
    pub shared: Shared,
}

/// `POST Observation` with `If-None-Exist`.
pub async fn create(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> Response {
    file(desk, headers, body, false).await
}

/// `PUT Observation?identifier=`.
pub async fn update(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> Response {
    file(desk, headers, body, true).await
}

/// `GET Observation?identifier=SYSTEM|VALUE`.
pub async fn search(State(desk): State<Desk>, Query(query): Query<Vec<(String, String)>>) -> Response {
    desk.shared.record().requests += 1;
    if desk.shared.habits().closed {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let lost = match desk.searches.next().await {
        Next::Refuse(answer) => return answer,
        Next::Serve => false,
        Next::Lose => true,
    };
    let wanted = query.iter().find(|(name, _)| name == "identifier").map_or("|", |(_, value)| value.as_str());
    let (system, value) = wanted.split_once('|').unwrap_or(("", wanted));
    let found: Vec<Value> = {
        let record = &mut *desk.shared.record();
        record.find(system, value).into_iter().map(|at| json!({"resource": record.entries[at]})).collect()
    };
    let bundle = json!({"resourceType": "Bundle", "type": "searchset", "total": found.len(), "entry": found});
    let answer = ([("content-type", "application/fhir+json")], bundle.to_string()).into_response();
    desk.searches.answer(lost, answer).await
}

async fn file(desk: Desk, headers: HeaderMap, body: Bytes, updates: bool) -> Response {
    let Ok(entry) = serde_json::from_slice::<Value>(&body) else { return StatusCode::BAD_REQUEST.into_response() };
    desk.shared.record().requests += 1;
    let lost = match desk.steering.next().await {
        Next::Refuse(answer) => return answer,
        Next::Serve => false,
        Next::Lose => true,
    };
    let answer = keep(&desk.shared, headers.get("idempotency-key").and_then(|key| key.to_str().ok()), entry, updates);
    desk.steering.answer(lost, answer).await
}

/// Files an entry, or finds that it was filed: by the key, then by the identifier.
fn keep(shared: &Shared, key: Option<&str>, entry: Value, updates: bool) -> Response {
    let habits = shared.habits();
    let person = &entry["subject"]["identifier"];
    let number = person["value"].as_str().filter(|_| person["system"].as_str() == Some(NHS_NUMBER)).unwrap_or("");
    if let Some(code) = habits.refuses(number) {
        return refused(code);
    }
    let Some(key) = key else { return (StatusCode::BAD_REQUEST, "an Idempotency-Key is needed").into_response() };
    let record = &mut *shared.record();
    let entry = habits.kept(entry);
    if habits.manual {
        record.tray.retain(|waiting| waiting["identifier"] != entry["identifier"]);
        record.tray.push(entry);
        return StatusCode::ACCEPTED.into_response();
    }
    match record.keys.get(key) {
        Some(at) if !habits.forgetful => shown(StatusCode::OK, &record.entries[*at], *at),
        _ => put(record, key, entry, updates, habits.forgetful),
    }
}

fn put(record: &mut Record, key: &str, entry: Value, updates: bool, forgetful: bool) -> Response {
    let own = &entry["identifier"][0];
    let (system, value) = (own["system"].as_str().unwrap_or(""), own["value"].as_str().unwrap_or(""));
    let known = record.find(system, value).into_iter().find(|at| record.entries[*at]["identifier"][0] == *own);
    let (status, at) = match known {
        Some(at) if updates => {
            record.replace(at, entry);
            (StatusCode::OK, at)
        }
        Some(at) if !forgetful => (StatusCode::OK, at),
        _ => {
            record.entries.push(entry);
            (StatusCode::CREATED, record.entries.len() - 1)
        }
    };
    record.keys.insert(key.to_owned(), at);
    shown(status, &record.entries[at], at)
}

fn refused(code: &str) -> Response {
    let outcome = json!({"resourceType": "OperationOutcome", "issue": [{
        "severity": "error",
        "code": "processing",
        "details": {"coding": [{"system": "https://fhir.hl7.org.uk/CodeSystem/UKCore-ITKResponseCode", "code": code}]},
    }]});
    let headers = [("content-type", "application/fhir+json")];
    (StatusCode::UNPROCESSABLE_ENTITY, headers, outcome.to_string()).into_response()
}

fn shown(status: StatusCode, entry: &Value, at: usize) -> Response {
    let mut shown = entry.clone();
    shown["id"] = json!(format!("entry-{at}"));
    let headers =
        [("location", format!("Observation/entry-{at}")), ("content-type", "application/fhir+json".to_owned())];
    (status, headers, shown.to_string()).into_response()
}
