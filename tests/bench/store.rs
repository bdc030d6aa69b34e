//! Committed referrals a second through `Store::commit`, 64 callers, full durability, audit on,
//! against a bare program that inserts the same rows in groups of the same size on the same
//! engine. A ratio within one run, so the machine does not matter; it must not fall under
//! [`RATIO_MIN`]. `cargo bench --bench store`
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "store/bare_postgres.rs"]
mod bare_postgres;
#[path = "store/bare_sqlite.rs"]
mod bare_sqlite;
#[path = "../support/postgres.rs"]
mod server;
#[path = "../support/store.rs"]
mod support;

use std::time::{Duration, Instant};

use bytes::Bytes;
use fingerpost::fhir::ids::{OdsCode, stable_id};
use fingerpost::store::commit::{Commit, DoorKey, LedgerRow, LedgerState, Message};
use fingerpost::store::{Store, param};
use support::{at, entry, made, outbox, row, write};

/// The store must commit at least this share of what the bare program does.
const RATIO_MIN: f64 = 0.4;
/// Callers at once, and the bare program's group.
const CALLERS: usize = 64;
/// Referrals a round.
const REFERRALS: usize = 4_096;
/// Rounds of each side, in turn; the best of each counts.
const ROUNDS: usize = 3;
/// A resource's size, in bytes.
const BODY_BYTES: usize = 2_000;
const KINDS: [&str; 4] = ["ServiceRequest", "Patient", "Task", "Provenance"];

fn id(kind: &str, number: usize) -> String {
    stable_id(&[kind, &number.to_string()]).to_string()
}

/// One referral: four resources with 32 index rows, a message, a key, a ledger row, an outbox
/// row and an audit entry.
fn referral(number: usize) -> Commit {
    let request = id("ServiceRequest", number);
    let patient = format!("Patient/{}", id("Patient", number));
    let writes = KINDS.map(|kind| {
        let day = format!("2026-{:02}-{:02}T00:00:00.000Z", number % 12 + 1, number % 28 + 1);
        let index = vec![
            row(param::PRACTICE, &format!("N84{:03}", number % 60), ""),
            row(param::POOL, &format!("pool-{}", number % 7), ""),
            row(param::STATUS, "active", "http://hl7.org/fhir/request-status"),
            row(param::PATIENT, &patient, ""),
            row(param::IDENTIFIER, &format!("{number:032}"), "https://fingerpost.dev/id/emis-observation"),
            row(param::CODE, "871731000000106", "http://snomed.info/sct"),
            row(param::AUTHORED, &day, &day),
            row(param::REQUESTER, &format!("Organization/N84{:03}", number % 60), ""),
        ];
        let mut write = write(kind, &id(kind, number), 1, index);
        write.body = Bytes::from(body(kind, &write.id));
        write
    });
    let mut audit = entry("process-message");
    audit.entities = writes.iter().map(|write| format!("{}/{}/_history/1", write.kind, write.id)).collect();
    audit.patients = vec![patient];
    let message_id = stable_id(&["message", &number.to_string()]);
    let digest = format!("{number:064x}");
    Commit {
        keys: vec![DoorKey { scope: "request", key: id("request", number), digest: digest.clone(), expires: None }],
        message: Some(Message {
            id: message_id,
            channel: "bars".into(),
            sender: "practice".into(),
            received_at: at(0),
            content_type: "application/fhir+json".into(),
            digest,
            bytes: Bytes::from(body("Bundle", "message")),
            outcome: "committed",
        }),
        ledger: vec![LedgerRow {
            id: request.clone(),
            message: message_id,
            practice: Some(OdsCode::parse("N84001").unwrap()),
            state: LedgerState::Open,
            since: at(0),
            waiting_on: "pool-1".into(),
            received_at: at(0),
        }],
        outbox: vec![outbox("webhook:wellness", &request, "referral.received")],
        audit: vec![audit],
        writes: writes.into(),
        ..Commit::default()
    }
}

/// Text that compresses no better than FHIR does.
fn body(kind: &str, id: &str) -> String {
    let mut text = format!(r#"{{"resourceType":"{kind}","id":"{id}","note":[{{"text":""#);
    let mut turn = 0;
    while text.len() < BODY_BYTES {
        text.push_str(&stable_id(&[id, &turn.to_string()]).simple().to_string()[..12]);
        text.push_str(r#""},{"reference":"Patient/"#);
        turn += 1;
    }
    text.push_str(r#""}]}"#);
    text
}

async fn through_the_store(store: &Store, commits: Vec<Commit>) -> Duration {
    let mut shares: Vec<Vec<Commit>> = (0..CALLERS).map(|_| Vec::new()).collect();
    for (number, commit) in commits.into_iter().enumerate() {
        shares[number % CALLERS].push(commit);
    }
    let start = Instant::now();
    let callers: Vec<_> = shares
        .into_iter()
        .map(|share| {
            let store = store.clone();
            tokio::spawn(async move {
                for commit in share {
                    store.commit(commit).await.unwrap();
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    start.elapsed()
}

/// One engine: rounds of both sides in turn, each on a new, empty store; prints and judges.
async fn judge(engine: &str, url: impl Fn(&str) -> String) -> bool {
    let (mut ours, mut bare) = (Duration::MAX, Duration::MAX);
    for round in 0..ROUNDS {
        let made_up: Vec<Commit> = (0..REFERRALS).map(referral).collect();
        let bare_url = url(&format!("bare{round}"));
        made(&bare_url).await.close().await;
        bare = bare.min(if engine == "sqlite" {
            bare_sqlite::run(&bare_url, &made_up, CALLERS)
        } else {
            bare_postgres::run(&bare_url, &made_up, CALLERS).await
        });
        let store = made(&url(&format!("ours{round}"))).await;
        ours = ours.min(through_the_store(&store, made_up).await);
        assert_eq!(store.entries(0, REFERRALS + 1).await.unwrap().len(), REFERRALS);
        store.close().await;
    }
    let rate = |took: Duration| REFERRALS as f64 / took.as_secs_f64();
    let ratio = rate(ours) / rate(bare);
    println!(
        "{engine}: {:.0} referrals a second through the store, {:.0} bare: {ratio:.2} (at least {RATIO_MIN})",
        rate(ours),
        rate(bare)
    );
    ratio >= RATIO_MIN
}

#[tokio::main]
async fn main() {
    // `cargo test --benches` runs this without `--bench`: there is nothing to check then.
    if !std::env::args().any(|word| word == "--bench") {
        return;
    }
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
    let mut well = judge("sqlite", file).await;
    if let Some(server) = server::start() {
        well &= judge("postgresql", |name: &str| server.database(name)).await;
    }
    if !well {
        println!("too slow");
        std::process::exit(1);
    }
}
