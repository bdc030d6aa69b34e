//! Stores for tests, and commits to put in them.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use bytes::Bytes;
use fingerpost::audit::{Action, Agent, Entry, Kind, Signer};
use fingerpost::config;
use fingerpost::store::commit::{Commit, IndexRow, OutboxRow, ResourceWrite};
use fingerpost::store::{Store, param};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

pub const ORIGIN: &str = "store.test/audit";

pub fn settings(url: &str) -> config::Store {
    config::Store { url: url.into(), url_file: String::new(), group_max: 128, queue_max: 4096, readers: 4 }
}

pub fn signer() -> Signer {
    Signer::generate(ORIGIN).expect("a key")
}

/// A new store, migrated and open.
pub async fn made(url: &str) -> Store {
    let settings = settings(url);
    Store::migrate(&settings).await.expect("migrate");
    Store::open(&settings, signer()).await.expect("open")
}

/// Seconds after a fixed beginning.
pub fn at(seconds: i64) -> Timestamp {
    "2026-11-24T09:00:00.123Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

pub fn row(param: u8, value: &str, extra: &str) -> IndexRow {
    IndexRow { param, value: value.into(), extra: extra.into() }
}

pub fn write(kind: &str, id: &str, version: u32, index: Vec<IndexRow>) -> ResourceWrite {
    let body = format!(r#"{{"resourceType":"{kind}","id":"{id}","meta":{{"versionId":"{version}"}}}}"#);
    ResourceWrite {
        kind: kind.into(),
        id: id.into(),
        version,
        at: at(i64::from(version)),
        deleted: false,
        body: Bytes::from(body),
        index,
        lineage: format!("lineage of {version}"),
    }
}

pub fn entry(interaction: &str) -> Entry {
    let agent = Agent::of("practice-1", "N84001", "referrer");
    Entry::care(Kind::Intake, interaction, Action::C, agent, at(0))
}

pub fn outbox(queue: &str, episode: &str, event: &str) -> OutboxRow {
    OutboxRow {
        id: Uuid::new_v4(),
        queue: queue.into(),
        episode: episode.into(),
        event: event.into(),
        resources: vec![("ServiceRequest".into(), episode.into(), 1)],
        at: at(0),
    }
}

/// A commit of one new ServiceRequest and its audit entry.
pub fn referral(id: &str) -> Commit {
    let index =
        vec![row(param::STATUS, "active", "http://hl7.org/fhir/request-status"), row(param::PRACTICE, "N84001", "")];
    let mut audit = entry("create");
    audit.entities = vec![format!("ServiceRequest/{id}/_history/1")];
    audit.patients = vec![format!("Patient/{id}-p")];
    Commit { writes: vec![write("ServiceRequest", id, 1, index)], audit: vec![audit], ..Commit::default() }
}
