//! A gateway with referrals in it, a pool that works on them, and simulated peers around it.
#![allow(dead_code)] // each test file uses its own part

use std::time::{Duration, Instant};

use bytes::Bytes;
use fingerpost::access::Caller;
use fingerpost::audit::Agent;
use fingerpost::clock::Clock;
use fingerpost::config::{Config, PracticeSystem as System, Receiver, Role};
use fingerpost::delivery::signature::Secret;
use fingerpost::demo::practice::PracticeSystem;
use fingerpost::demo::wellness::WellnessDatabase;
use fingerpost::fhir::ids::OdsCode;
use fingerpost::gateway::Gateway;
use fingerpost::outcome::{Write, record};
use fingerpost::referral::{Answer, Channel, Received, process};
use fingerpost::rejection::Rejection;
use fingerpost::store::{Stored, param};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::referrals;

pub const PRACTICE: &str = "N84001";
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub struct House {
    pub gateway: Gateway,
    pub dir: tempfile::TempDir,
}

/// A gateway of which `set` may change the configuration.
pub async fn house(set: impl FnOnce(&mut Config)) -> House {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::development(dir.path());
    // In the test's own folder, also for a store that has no folder.
    config.audit.key_file = dir.path().join("audit-key.pem").display().to_string();
    config.access.key_file = dir.path().join("access-key.pem").display().to_string();
    config.delivery.receivers.clear();
    config.delivery.retry_first_ms = 20;
    config.delivery.retry_max_ms = 200;
    // Longer than a busy machine needs: a peer that is to be too slow hangs longer, or the test sets less.
    config.delivery.timeout_ms = 20_000;
    std::fs::write(dir.path().join("secret"), SECRET).unwrap();
    set(&mut config);
    for receiver in &mut config.delivery.receivers {
        receiver.secret_file = dir.path().join("secret");
    }
    let gateway = Gateway::open_or_create(config, Clock::System).await.unwrap();
    House { gateway, dir }
}

pub fn receiver(name: &str, url: &str) -> Receiver {
    let events = ["referral", "task", "outcome"].map(str::to_owned).to_vec();
    Receiver { name: name.into(), url: url.into(), secret_file: "secret".into(), events }
}

pub async fn wellness() -> WellnessDatabase {
    WellnessDatabase::start(Secret::parse(SECRET).unwrap()).await.unwrap()
}

pub fn writes_back(config: &mut Config, to: &PracticeSystem) {
    let ods = OdsCode::parse(PRACTICE).unwrap();
    let base_url = to.base_url.clone();
    config.writeback.practices.push(System { base_url, ..System::new(ods, &["fhir"]) });
}

/// One referral and the pool that has it.
pub struct Referred {
    pub referral: String,
    pub task: String,
    pub patient: String,
    pub pool: Caller,
}

impl House {
    /// The `n`th synthetic person is referred.
    pub async fn refer(&self, n: u32) -> Referred {
        let answer = self.send(&referrals::bars_message(n, PRACTICE)).await;
        let id = |kind: &str| answer.resources.iter().find(|(k, ..)| k == kind).unwrap().1.clone();
        let (task, patient) = (id("Task"), id("Patient"));
        let visible = self.gateway.store.visibility("Task", &task).await.unwrap();
        let pool = visible.iter().find(|(p, _)| *p == param::POOL).unwrap().1.clone();
        Referred { referral: answer.referral, task, patient, pool: caller(&pool) }
    }

    pub async fn send(&self, bundle: &Value) -> Answer {
        let id = Uuid::new_v4();
        let received = Received {
            id,
            channel: Channel::Bars,
            agent: Agent::of("surgery", PRACTICE, "referrer"),
            at: self.gateway.clock.now(),
            request: id.to_string(),
            correlation: "journey".into(),
            content_type: "application/fhir+json".into(),
            keys: vec![],
            bytes: Bytes::from(bundle.to_string()),
            source: "surgery".into(),
            tree: None,
            bundle: None,
            replays: None,
        };
        process(&self.gateway, received).await.unwrap()
    }

    pub async fn read(&self, kind: &str, id: &str) -> Value {
        serde_json::from_slice(&self.gateway.store.read(kind, id).await.unwrap().unwrap().body).unwrap()
    }

    pub async fn create(&self, to: &Referred, resource: Value) -> Result<Stored, Rejection> {
        let kind = resource["resourceType"].as_str().unwrap().to_owned();
        record(&self.gateway, &to.pool, Write { kind, resource, ..Write::default() }).await
    }

    pub async fn update(&self, by: &Caller, resource: Value, if_match: Option<u32>) -> Result<Stored, Rejection> {
        let text = |name: &str| resource[name].as_str().unwrap().to_owned();
        let (kind, id) = (text("resourceType"), Some(text("id")));
        record(&self.gateway, by, Write { kind, id, resource, if_match, ..Write::default() }).await
    }

    /// The Task moved to `status`, as the pool would: read, change, write.
    pub async fn moves(&self, to: &Referred, status: &str) -> Result<Stored, Rejection> {
        let mut task = self.read("Task", &to.task).await;
        task["status"] = json!(status);
        task["statusReason"] = json!({"text": "as agreed"});
        self.update(&to.pool, task, None).await
    }

    /// `(state, waiting on)` in the ledger.
    pub async fn ledger(&self, referral: &str) -> (&'static str, String) {
        let row = self.gateway.store.ledger_row(referral).await.unwrap().unwrap();
        (row.state.word(), row.waiting_on)
    }

    /// Runs deliveries and write-backs until the handle is dropped.
    pub fn runs(&self) -> Running {
        let never = std::future::pending::<()>;
        Running(vec![
            tokio::spawn(fingerpost::delivery::run(self.gateway.clone(), never())),
            tokio::spawn(fingerpost::writeback::run(self.gateway.clone(), never())),
        ])
    }
}

/// Runners that stop dead - as in a crash - when dropped.
pub struct Running(Vec<JoinHandle<()>>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

pub fn caller(pool: &str) -> Caller {
    Caller {
        client: "pool-client".into(),
        ods: OdsCode::parse("FPE01").unwrap(),
        role: Role::Pool,
        pools: vec![pool.to_owned()],
        scopes: vec!["system/*.cruds".into()],
        user: String::new(),
        address: String::new(),
    }
}

/// Longer than the busiest machine takes.
pub const UNTIL_MAX: Duration = Duration::from_secs(120);

/// Waits until `holds`.
pub async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < UNTIL_MAX, "it did not come to pass: {what}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// A SWEMWBS raw total.
pub fn swemwbs(to: &Referred, raw: &str) -> Value {
    let number: Value = serde_json::from_str(raw).unwrap();
    json!({"resourceType": "Observation", "status": "final",
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "718466001"}]},
        "subject": {"reference": format!("Patient/{}", to.patient)},
        "basedOn": [{"reference": format!("ServiceRequest/{}", to.referral)}],
        "effectiveDateTime": "2026-02-01T10:00:00Z",
        "valueQuantity": {"value": number, "unit": "score", "system": "http://unitsofmeasure.org", "code": "{score}"}})
}
