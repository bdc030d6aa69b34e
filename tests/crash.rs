//! The real binary, killed with SIGKILL at random moments under load, again and again, on each
//! store. At the end: every referral that was acknowledged is there once, every delivery and
//! write-back had its effect once, and the log verifies.
//!
//! `FINGERPOST_CRASH_ROUNDS` says how often it is killed (4 where it does not say; the acceptance
//! run is 100).
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/message_headers.rs"]
mod message_headers;
#[path = "support/peers.rs"]
mod peers;
#[path = "support/postgres.rs"]
mod postgres;
#[path = "support/program.rs"]
mod program;
#[path = "support/referrals.rs"]
mod referrals;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use peers::Peer;
use program::fingerpost;
use serde_json::{Value, json};

/// Senders at once.
const SENDERS: u32 = 8;
/// One referral in this many is accepted by its pool, which makes a write-back.
const ACCEPT_EVERY: u32 = 3;
/// How long the queues may take to empty after the last kill.
const SETTLE: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_done_twice_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    House::new(folder.path(), "sqlite:fingerpost.db").await.ordeal().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_done_twice_on_postgresql() {
    let Some(server) = postgres::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    House::new(folder.path(), &server.url).await.ordeal().await;
}

struct House<'a> {
    folder: &'a Path,
    wellness: Peer,
    practice: Peer,
    /// Where the gateway listens now; it changes with each start.
    address: Arc<Mutex<String>>,
    /// n -> ServiceRequest id, for every referral that was acknowledged.
    acknowledged: Arc<Mutex<BTreeMap<u32, String>>>,
    accepted: Arc<Mutex<Vec<String>>>,
    tokens: (String, String),
}

impl<'a> House<'a> {
    async fn new(folder: &'a Path, store: &str) -> Self {
        let wellness = Peer::wellness(7).await;
        let practice = Peer::practice(5).await;
        std::fs::write(folder.join("secret"), "whsec_c3ludGhldGljLXNlY3JldC1mb3ItdGVzdHMtb25seQ==").unwrap();
        let config = format!(
            r#"
[gateway]
mode = "development"
[store]
url = "{store}"
[serve]
listen = ["127.0.0.1:0"]
base_url = "http://gateway.test"
[nhs]
test_numbers = "allow"
[audit]
key_file = "audit-key.pem"
[delivery]
allow_loopback = true
retry_first_ms = 20
retry_max_ms = 200
lease_seconds = 2
timeout_ms = 1000
[[delivery.receivers]]
name = "wellness"
url = "{}"
secret_file = "secret"
events = ["referral"]
[[writeback.practices]]
ods = "N84001"
routes = ["fhir"]
base_url = "{}"
[access]
key_file = "token-key.pem"
token_seconds = 3600
[[access.clients]]
id = "surgery"
name = "Surgery"
ods = "N84001"
role = "referrer"
[[access.clients]]
id = "workers"
name = "Link workers"
ods = "FPE05"
role = "pool"
pools = ["crosby-maghull"]
"#,
            wellness.url, practice.url
        );
        std::fs::write(folder.join("gateway.toml"), config).unwrap();
        fingerpost(folder, &["migrate", "--config", "gateway.toml"], &[]).expect(0);
        let token = |client: &str| {
            let ran = fingerpost(folder, &["token", "--client", client, "--json", "--config", "gateway.toml"], &[]);
            ran.expect(0).json()["access_token"].as_str().unwrap().to_owned()
        };
        Self {
            folder,
            wellness,
            practice,
            address: Arc::default(),
            acknowledged: Arc::default(),
            accepted: Arc::default(),
            tokens: (token("surgery"), token("workers")),
        }
    }

    /// Starts the gateway and waits until it listens.
    fn serve(&self) -> Child {
        let mut child = Command::new(env!("CARGO_BIN_EXE_fingerpost"))
            .args(["serve", "--config", "gateway.toml"])
            .env("FINGERPOST__LOG__FILTER", "error")
            .current_dir(self.folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let ready =
            out.lines().map_while(Result::ok).find_map(|line| line.strip_prefix("listening on ").map(str::to_owned));
        *self.address.lock().unwrap() = ready.expect("the gateway says where it listens");
        child
    }

    async fn ordeal(self) {
        let rounds: u32 = std::env::var("FINGERPOST_CRASH_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(4);
        let next = Arc::new(AtomicU32::new(0));
        let stop = Arc::new(AtomicU32::new(0));
        let mut gateway = self.serve();
        let senders: Vec<_> =
            (0..SENDERS).map(|_| tokio::spawn(self.sender().run(next.clone(), stop.clone()))).collect();
        for round in 0..rounds {
            tokio::time::sleep(Duration::from_millis(fastrand::u64(100..700))).await;
            gateway.kill().unwrap();
            gateway.wait().unwrap();
            gateway = self.serve();
            if round % 10 == 9 {
                println!(
                    "killed {} times, {} referrals acknowledged",
                    round + 1,
                    self.acknowledged.lock().unwrap().len()
                );
            }
        }
        stop.store(1, Ordering::SeqCst);
        for sender in senders {
            sender.await.unwrap();
        }
        self.settle().await;
        self.judge().await;
        gateway.kill().unwrap();
        gateway.wait().unwrap();
        fingerpost(self.folder, &["audit", "verify", "--config", "gateway.toml"], &[]).expect(0);
        let ledger =
            fingerpost(self.folder, &["ledger", "--json", "--summary", "--config", "gateway.toml"], &[]).expect(0);
        let ledger = ledger.json();
        assert_eq!(ledger["reconciles"], true, "{ledger}");
        assert_eq!(ledger["totals"]["received"], json!(self.acknowledged.lock().unwrap().len()), "{ledger}");
    }

    fn sender(&self) -> Sender {
        Sender {
            address: self.address.clone(),
            acknowledged: self.acknowledged.clone(),
            accepted: self.accepted.clone(),
            tokens: self.tokens.clone(),
            http: reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap(),
        }
    }

    /// Waits until both neighbours have all that they must get.
    async fn settle(&self) {
        let started = std::time::Instant::now();
        let wanted = (self.acknowledged.lock().unwrap().len(), self.accepted.lock().unwrap().len());
        while started.elapsed() < SETTLE {
            if self.wellness.effects().len() >= wanted.0 && self.practice.effects().len() >= wanted.1 {
                // Whatever would come twice has a moment to do so.
                tokio::time::sleep(Duration::from_secs(3)).await;
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn judge(&self) {
        let acknowledged = self.acknowledged.lock().unwrap().clone();
        assert!(!acknowledged.is_empty(), "nothing was sent");
        let sender = self.sender();
        for (n, id) in &acknowledged {
            let found =
                sender.get(&format!("ServiceRequest?identifier=https://surgery.example/id/referral|R-{n}"), 0).await;
            let ids: Vec<_> =
                found["entry"].as_array().into_iter().flatten().map(|e| e["resource"]["id"].clone()).collect();
            assert_eq!(ids, [json!(id)], "referral {n}");
        }
        let delivered = count(self.wellness.effects().iter().map(|bundle| subject(bundle, "ServiceRequest")));
        let twice: Vec<_> = delivered.iter().filter(|(_, n)| **n != 1).collect();
        assert!(twice.is_empty(), "delivered more than once: {twice:?}");
        let missing: Vec<_> = acknowledged.values().filter(|id| !delivered.contains_key(*id)).collect();
        assert!(missing.is_empty(), "never delivered: {missing:?}");
        let coded = self.practice.effects();
        let filed = count(coded.iter().map(|entry| entry["identifier"][0]["value"].to_string()));
        assert!(filed.values().all(|n| *n == 1), "filed more than once: {filed:?}");
        let accepted = self.accepted.lock().unwrap().len();
        assert_eq!(coded.len(), accepted, "each acceptance is filed once");
        assert!(coded.iter().all(|entry| entry["code"]["coding"][0]["code"] == "871731000000106"));
        println!(
            "{} referrals acknowledged, {accepted} accepted; {} and {} arrivals",
            acknowledged.len(),
            self.wellness.seen.lock().unwrap().arrivals,
            self.practice.seen.lock().unwrap().arrivals
        );
    }
}

fn count<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, usize> {
    let mut counts = BTreeMap::new();
    keys.for_each(|key| *counts.entry(key).or_insert(0) += 1);
    counts
}

fn subject(bundle: &Value, kind: &str) -> String {
    let entries = bundle["entry"].as_array().into_iter().flatten();
    let found = entries.map(|entry| &entry["resource"]).find(|resource| resource["resourceType"] == kind);
    found.map_or("", |resource| resource["id"].as_str().unwrap()).to_owned()
}

struct Sender {
    address: Arc<Mutex<String>>,
    acknowledged: Arc<Mutex<BTreeMap<u32, String>>>,
    accepted: Arc<Mutex<Vec<String>>>,
    tokens: (String, String),
    http: reqwest::Client,
}

impl Sender {
    async fn run(self, next: Arc<AtomicU32>, stop: Arc<AtomicU32>) {
        while stop.load(Ordering::SeqCst) == 0 {
            let n = next.fetch_add(1, Ordering::SeqCst);
            let id = self.refer(n).await;
            if n.is_multiple_of(ACCEPT_EVERY) {
                self.accept(&id).await;
                self.accepted.lock().unwrap().push(id);
            }
        }
    }

    fn at(&self, path: &str) -> String {
        format!("{}/fhir/{path}", self.address.lock().unwrap())
    }

    /// Whether the gateway still listens where this was sent: the port of one that was killed may be
    /// another program's by now, and what that says is of no account.
    fn is_there(&self, url: &str) -> bool {
        url.starts_with(&self.at(""))
    }

    /// Sends one referral, with one X-Request-Id, until it is acknowledged.
    async fn refer(&self, n: u32) -> String {
        let body = referrals::bars_message(n, "N84001").to_string();
        loop {
            let url = self.at("$process-message");
            let request = self.http.post(&url).bearer_auth(&self.tokens.0).body(body.clone());
            let sent = message_headers::with(request, n).send().await;
            match sent {
                Ok(answer) if answer.status() == 200 => {
                    let bundle: Value = answer.json().await.unwrap_or(Value::Null);
                    let id = subject(&bundle, "ServiceRequest");
                    if !id.is_empty() {
                        self.acknowledged.lock().unwrap().insert(n, id.clone());
                        return id;
                    }
                }
                // Done before, but the answer was lost: the BaRS rule is to stop, successfully.
                Ok(answer) if answer.status() == 409 => {
                    let identifier = format!("ServiceRequest?identifier=https://surgery.example/id/referral|R-{n}");
                    let id =
                        self.get(&identifier, 0).await["entry"][0]["resource"]["id"].as_str().unwrap_or("").to_owned();
                    assert!(!id.is_empty(), "409 for referral {n}, which is not there");
                    self.acknowledged.lock().unwrap().insert(n, id.clone());
                    return id;
                }
                Ok(answer) if answer.status().as_u16() < 500 && self.is_there(&url) => {
                    panic!("referral {n}: {} {}", answer.status(), answer.text().await.unwrap_or_default());
                }
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// The pool accepts, until the Task says so.
    async fn accept(&self, referral: &str) {
        loop {
            let found = self.get(&format!("Task?focus=ServiceRequest/{referral}"), 1).await;
            let mut task = found["entry"][0]["resource"].clone();
            if task["status"] == "accepted" {
                return;
            }
            assert_eq!(task["status"], "requested", "{found}");
            task["status"] = json!("accepted");
            let (id, version) = (task["id"].as_str().unwrap(), task["meta"]["versionId"].as_str().unwrap());
            let url = self.at(&format!("Task/{id}"));
            let put = self
                .http
                .put(&url)
                .bearer_auth(&self.tokens.1)
                .header("content-type", "application/fhir+json")
                .header("if-match", format!("W/\"{version}\""))
                .body(task.to_string())
                .send()
                .await;
            match put {
                Ok(answer) if answer.status().is_success() => return,
                Ok(answer)
                    if answer.status().as_u16() < 500
                        && ![409, 412].contains(&answer.status().as_u16())
                        && self.is_there(&url) =>
                {
                    panic!("accept: {} {}", answer.status(), answer.text().await.unwrap_or_default());
                }
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Reads until there is an answer.
    async fn get(&self, path: &str, token: u8) -> Value {
        let token = if token == 0 { &self.tokens.0 } else { &self.tokens.1 };
        loop {
            let url = self.at(path);
            if let Ok(answer) = self.http.get(&url).bearer_auth(token).send().await {
                let status = answer.status();
                // A body that is cut short has no end that makes it JSON.
                let body = answer.text().await.unwrap_or_default();
                match serde_json::from_str(&body) {
                    Ok(told) if status == 200 => return told,
                    _ if status == 200 => {}
                    _ => assert!(status.as_u16() >= 500 || !self.is_there(&url), "{path}: {status} {body}"),
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
