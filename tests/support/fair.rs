//! Many outcomes to many practices, one in twenty of them slow or down: how long the healthy ones
//! wait, what the sick ones cost. Used by the bench and, in small, by a test.
#![allow(dead_code, clippy::unwrap_used, missing_docs)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use fingerpost::clock::Clock;
use fingerpost::config::{Config, PracticeSystem};
use fingerpost::delivery::practice_row;
use fingerpost::fhir::ids::OdsCode;
use fingerpost::gateway::Gateway;
use fingerpost::store::commit::{Commit, ResourceWrite};
use fingerpost::store::filing::Filing;
use serde_json::json;

/// One practice in this many is sick.
pub const SICK_EVERY: usize = 20;
/// Longer than the gateway waits.
const SLOW: Duration = Duration::from_secs(20);
/// Outcomes in one commit.
const BATCH: usize = 10;

#[derive(Clone, Default)]
struct Peers {
    /// Idempotency key to first arrival.
    arrivals: Arc<Mutex<HashMap<String, Instant>>>,
    /// Requests to each sick practice.
    sick: Arc<Mutex<HashMap<String, u32>>>,
}

async fn take(
    State(peers): State<Peers>,
    Path((name, _)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if name.starts_with("slow") || name.starts_with("down") {
        *peers.sick.lock().unwrap().entry(name.clone()).or_insert(0) += 1;
        if name.starts_with("slow") {
            tokio::time::sleep(SLOW).await;
        }
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if body.is_empty() {
        return StatusCode::METHOD_NOT_ALLOWED.into_response(); // it cannot be searched
    }
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or("").to_owned();
    peers.arrivals.lock().unwrap().entry(key).or_insert_with(Instant::now);
    (StatusCode::CREATED, [("content-type", "application/fhir+json")], body).into_response()
}

/// What a run showed.
#[derive(Debug, Clone)]
pub struct Report {
    pub healthy: usize,
    pub p50: Duration,
    pub p99: Duration,
    /// Most requests to one sick practice.
    pub worst_sick: u32,
    pub took: Duration,
    /// Peak resident memory of the whole process, peers included, MiB.
    pub peak_mib: u64,
}

/// Sends `outcomes` to `practices` at `per_second`; one in [`SICK_EVERY`] is sick when `sick`.
pub async fn run(outcomes: usize, practices: usize, per_second: usize, sick: bool) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let peers = Peers::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/{name}/{*rest}", post(take).get(take).put(take)).with_state(peers.clone());
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let gateway = gateway(folder.path(), &address, practices, sick).await;
    let running = tokio::spawn(fingerpost::writeback::run(gateway.clone(), std::future::pending()));
    let started = Instant::now();
    let sent = record(&gateway, outcomes, practices, per_second, sick).await;
    let healthy: Vec<&(String, Instant)> = sent.iter().filter(|(key, _)| !key.is_empty()).collect();
    while peers.arrivals.lock().unwrap().len() < healthy.len() && started.elapsed() < Duration::from_secs(600) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = started.elapsed();
    running.abort();
    serving.abort();
    let arrivals = peers.arrivals.lock().unwrap();
    let mut waits: Vec<Duration> =
        healthy.iter().map(|(key, at)| arrivals[key].saturating_duration_since(*at)).collect();
    waits.sort_unstable();
    let worst_sick = peers.sick.lock().unwrap().values().copied().max().unwrap_or(0);
    let at = |share: f64| waits[((waits.len() as f64 * share) as usize).min(waits.len() - 1)];
    Report { healthy: waits.len(), p50: at(0.5), p99: at(0.99), worst_sick, took, peak_mib: peak_mib() }
}

fn ods(n: usize) -> OdsCode {
    OdsCode::parse(&format!("Z{n:05}")).unwrap()
}

fn is_sick(n: usize, sick: bool) -> bool {
    sick && n % SICK_EVERY == 7
}

async fn gateway(folder: &std::path::Path, address: &str, practices: usize, sick: bool) -> Gateway {
    let mut config = Config::development(folder);
    config.delivery.receivers.clear();
    config.delivery.timeout_ms = 2000;
    config.delivery.retry_max_ms = 10_000;
    let mut gateway = Gateway::open_or_create(config, Clock::System).await.unwrap();
    // The place need not know them: nobody is referred.
    let mut config = (*gateway.config).clone();
    for n in 0..practices {
        let name = match is_sick(n, sick) {
            true if n % (2 * SICK_EVERY) < SICK_EVERY => format!("slow{n}"),
            true => format!("down{n}"),
            false => format!("p{n}"),
        };
        let base_url = format!("{address}/{name}/fhir");
        config.writeback.practices.push(PracticeSystem { base_url, ..PracticeSystem::new(ods(n), &["fhir"]) });
    }
    gateway.config = Arc::new(config);
    gateway
}

/// Commits the outcomes; `(key, when)` of each, the key empty for a sick practice.
async fn record(
    gateway: &Gateway,
    outcomes: usize,
    practices: usize,
    per_second: usize,
    sick: bool,
) -> Vec<(String, Instant)> {
    let mut sent = Vec::with_capacity(outcomes);
    let pace = Duration::from_secs_f64(BATCH as f64 / per_second as f64);
    let mut tick = tokio::time::interval(pace);
    for batch in 0..outcomes.div_ceil(BATCH) {
        tick.tick().await;
        let mut commit = Commit::default();
        let mut keys = Vec::new();
        for n in batch * BATCH..((batch + 1) * BATCH).min(outcomes) {
            let (practice, write) = (n % practices, observation(n, gateway.clock.now()));
            let this = [(write.kind.clone(), write.id.clone(), 1)];
            let episode = format!("episode-{n}");
            let row = practice_row(&ods(practice), "outcome.recorded", &episode, &this, write.at);
            keys.push(if is_sick(practice, sick) { String::new() } else { row.id.to_string() });
            commit.filings.extend(Filing::queued(&row));
            commit.outbox.push(row);
            commit.writes.push(write);
        }
        gateway.store.commit(commit).await.unwrap();
        fingerpost::delivery::wake();
        let now = Instant::now();
        sent.extend(keys.into_iter().map(|key| (key, now)));
    }
    sent
}

fn observation(n: usize, at: jiff::Timestamp) -> ResourceWrite {
    let id = format!("o-{n}");
    let body = json!({
        "resourceType": "Observation", "id": id, "status": "final",
        "identifier": [{"system": "https://fingerpost.dev/id/outcome", "value": id}],
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "871731000000106"}]},
        "subject": {"identifier": {"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9990000018"}},
        "note": [{"text": "A synthetic outcome."}],
    });
    ResourceWrite {
        kind: "Observation".into(),
        id,
        version: 1,
        at,
        deleted: false,
        body: body.to_string().into(),
        index: Vec::new(),
        lineage: String::new(),
    }
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / 1024
}
