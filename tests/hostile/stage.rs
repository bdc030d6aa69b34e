//! Two referrals, the pool that has them, and everybody else.

use fingerpost::config::{Config, Role};
use fingerpost::store::{EntrySearch, Search, param};
use reqwest::Method;
use serde_json::{Value, json};

use super::program::fingerpost;
use super::referrals::{bars_message, nhs_number};
use super::running::{self, Reply, Running, send};

pub const JSON: &str = "application/fhir+json";
/// What no answer to a stranger and no line of the log may hold.
pub const PLANTED: [&str; 2] = ["Zyxwvplanted", "planted free text"];
/// Types whose resources are counted.
const KINDS: [&str; 12] = [
    "ServiceRequest",
    "Task",
    "Patient",
    "Observation",
    "Encounter",
    "CarePlan",
    "EpisodeOfCare",
    "Provenance",
    "HealthcareService",
    "Practitioner",
    "PractitionerRole",
    "Location",
];

pub struct Stage {
    pub running: Running,
    /// A referral that was accepted, with a measure, and one that waits.
    pub accepted: Referral,
    pub waiting: Referral,
    pub measure: String,
    /// Tokens.
    pub surgery: String,
    pub own: String,
    pub other: String,
    pub ops: String,
    pub wellness: String,
    pub ig: String,
    /// The pool that has the referrals, and one that has not.
    pub pool: String,
    pub elsewhere: String,
}

pub struct Referral {
    pub id: String,
    pub task: String,
    pub patient: String,
}

impl Stage {
    /// On the embedded store, or the one at `url`.
    pub async fn set(url: Option<String>) -> Self {
        let running = running::start(|config| {
            let file = |config: &Config, name: &str| config.beside_store(name).unwrap().display().to_string();
            (config.audit.key_file, config.access.key_file) = (file(config, "audit.pem"), file(config, "access.pem"));
            if let Some(url) = url {
                config.store.url = url;
            }
            config.access.unknown_burst = 100_000;
        })
        .await;
        fingerpost::directory::publish(&running.gateway).await.unwrap();
        let surgery = running.practice("surgery");
        let (accepted, waiting) = (refer(&running, &surgery, 1).await, refer(&running, &surgery, 2).await);
        let visible = running.gateway.store.visibility("Task", &accepted.task).await.unwrap();
        let pool = visible.iter().find(|(kind, _)| *kind == param::POOL).unwrap().1.clone();
        let elsewhere = if pool == "formby" { "bootle" } else { "formby" }.to_owned();
        let token = |client, role, ods, pools: &[&str]| running.token(client, role, ods, pools);
        let mut stage = Self {
            own: token("own", Role::Pool, "FPE01", &[&pool]),
            other: token("other", Role::Pool, "FPE04", &[&elsewhere]),
            ops: token("ops", Role::Ops, "FPG01", &[]),
            wellness: token("wellness", Role::Consumer, "RY0", &[]),
            ig: token("ig", Role::Ig, "FPG01", &[]),
            measure: String::new(),
            surgery,
            accepted,
            waiting,
            pool,
            elsewhere,
            running,
        };
        let mut task = stage.read("Task", &stage.accepted.task).await;
        task["status"] = json!("accepted");
        let reply = stage.ask(Method::PUT, &format!("/fhir/Task/{}", stage.accepted.task), &stage.own, &task).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let reply = stage.ask(Method::POST, "/fhir/Observation", &stage.own, &stage.observation()).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        stage.measure = reply.json()["id"].as_str().unwrap().to_owned();
        stage
    }

    pub async fn read(&self, kind: &str, id: &str) -> Value {
        let stored = self.running.gateway.store.read(kind, id).await.unwrap().unwrap();
        serde_json::from_slice(&stored.body).unwrap()
    }

    /// A measure of the person who was accepted.
    pub fn observation(&self) -> Value {
        json!({"resourceType": "Observation", "status": "final",
            "code": {"coding": [{"system": "http://snomed.info/sct", "code": "718466001"}]},
            "subject": {"reference": format!("Patient/{}", self.accepted.patient)},
            "basedOn": [{"reference": format!("ServiceRequest/{}", self.accepted.id)}],
            "effectiveDateTime": self.running.gateway.clock.now().to_string(),
            "valueQuantity": {"value": 21, "unit": "score", "system": "http://unitsofmeasure.org", "code": "{score}"}})
    }

    pub async fn ask(&self, method: Method, path: &str, token: &str, body: &Value) -> Reply {
        let request = self.running.request(method, path, token).header("content-type", JSON);
        send(request.body(body.to_string())).await
    }

    /// How much there is of everything but audit entries.
    pub async fn counts(&self) -> Vec<(String, u64)> {
        let store = &self.running.gateway.store;
        let mut counts = Vec::new();
        for kind in KINDS {
            let found = store.search(Search::of(kind)).await.unwrap().found;
            let versions = found.iter().map(|stored| u64::from(stored.version)).sum();
            counts.push((kind.to_owned(), versions));
        }
        counts.extend(store.queues().await.unwrap().into_iter().map(|(queue, rows, _)| (queue, rows)));
        counts.extend(store.ledger_counts(None).await.unwrap());
        let filings = store.filing_counts().await.unwrap();
        counts.extend(filings.into_iter().map(|(practice, state, _, n)| (format!("{practice} {state}"), n)));
        counts.extend(store.caseloads().await.unwrap().into_iter().map(|(pool, n)| (format!("load {pool}"), n)));
        counts.push(("clocks".into(), store.running_countdowns().await.unwrap().len() as u64));
        counts.push(("holds".into(), store.holds().await.unwrap().len() as u64));
        counts.sort();
        counts
    }

    /// Every audit entry's text, newest last.
    pub async fn log(&self) -> Vec<String> {
        let find = EntrySearch { count: 100_000, ..EntrySearch::default() };
        let entries = self.running.gateway.store.find_entries(find).await.unwrap();
        entries.into_iter().map(|(_, leaf)| String::from_utf8(leaf).unwrap()).collect()
    }

    /// The audit log verifies and the books agree, by the commands.
    pub fn is_whole(&self) {
        let config = &self.running.gateway.config;
        let text = format!(
            "[gateway]\nmode = \"development\"\n[store]\nurl = \"{}\"\n[audit]\nkey_file = \"{}\"\n[access]\nkey_file = \"{}\"\n",
            config.store.url, config.audit.key_file, config.access.key_file
        );
        std::fs::write(self.running.dir.path().join("whole.toml"), text).unwrap();
        let run = |args: &[&str]| {
            let args = [args, &["--config", "whole.toml"]].concat();
            fingerpost(self.running.dir.path(), &args, &[]).expect(0)
        };
        run(&["audit", "verify"]);
        assert_eq!(run(&["ledger", "--summary", "--json"]).json()["reconciles"], true);
    }
}

async fn refer(running: &Running, token: &str, n: u32) -> Referral {
    let mut bundle = bars_message(n, "N84001");
    for entry in bundle["entry"].as_array_mut().unwrap() {
        match entry["resource"]["resourceType"].as_str().unwrap() {
            "Patient" => entry["resource"]["name"][0]["family"] = json!(PLANTED[0]),
            "CarePlan" => entry["resource"]["description"] = json!(PLANTED[1]),
            _ => {}
        }
    }
    let reply = running.message(token, JSON, bundle.to_string()).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let episode = running.gateway.store.open_episode(&nhs_number(n)).await.unwrap().unwrap();
    let task = fingerpost::referral::moves::task_of(&episode.id);
    let body = running.gateway.store.read("Task", &task).await.unwrap().unwrap().body;
    let content: Value = serde_json::from_slice(&body).unwrap();
    let patient = content["for"]["reference"].as_str().unwrap().trim_start_matches("Patient/").to_owned();
    Referral { id: episode.id, task, patient }
}

/// Tells nothing of the people of the stage.
#[track_caller]
pub fn quiet(name: &str, text: &str) {
    let numbers = [nhs_number(1), nhs_number(2)];
    for word in PLANTED.into_iter().chain(numbers.iter().map(String::as_str)) {
        assert!(!text.contains(word), "{name}: it repeats patient data: {text}");
    }
}
