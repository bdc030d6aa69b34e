//! The path as a whole: what is left behind by a referral that is new, sent again, changed,
//! cancelled, held or refused. Reads back through the store's contract only.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/referrals.rs"]
mod referrals;

use bytes::Bytes;
use fingerpost::audit::Agent;
use fingerpost::clock::Clock;
use fingerpost::config::Config;
use fingerpost::gateway::Gateway;
use fingerpost::referral::{Answer, Channel, Outcome, Received, process};
use fingerpost::rejection::Rejection;
use fingerpost::store::commit::{Cause, DoorKey, LedgerState, digest};
use serde_json::{Value, json};
use uuid::Uuid;

struct House {
    gateway: Gateway,
    _dir: tempfile::TempDir,
}

async fn house() -> House {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::development(dir.path());
    config.delivery.receivers.clear();
    let clock = Clock::fixed("2026-01-06T09:00:00Z".parse().unwrap());
    House { gateway: Gateway::open_or_create(config, clock).await.unwrap(), _dir: dir }
}

impl House {
    fn received(&self, bundle: &Value, sender: &str) -> Received {
        let bytes = Bytes::from(bundle.to_string());
        let id = Uuid::new_v4();
        Received {
            id,
            channel: Channel::Bars,
            agent: Agent::of("surgery", sender, "referrer"),
            at: self.gateway.clock.now(),
            request: id.to_string(),
            correlation: "journey".into(),
            content_type: "application/fhir+json".into(),
            keys: vec![DoorKey {
                scope: "request",
                key: format!("{sender}|{id}"),
                digest: digest(&bytes),
                expires: None,
            }],
            bytes,
            source: "surgery".into(),
            tree: None,
            bundle: None,
            replays: None,
        }
    }

    async fn send(&self, bundle: &Value) -> Result<Answer, Rejection> {
        process(&self.gateway, self.received(bundle, "N84001")).await
    }

    async fn read(&self, kind: &str, id: &str) -> Value {
        let stored = self.gateway.store.read(kind, id).await.unwrap().unwrap();
        serde_json::from_slice(&stored.body).unwrap()
    }

    async fn state(&self, id: &str) -> LedgerState {
        self.gateway.store.ledger_row(id).await.unwrap().unwrap().state
    }
}

fn id_of<'a>(answer: &'a Answer, kind: &str) -> &'a str {
    &answer.resources.iter().find(|(k, ..)| k == kind).unwrap().1
}

/// The position of the first entry of a type in the synthetic message.
fn entry<'a>(bundle: &'a mut Value, kind: &str) -> &'a mut Value {
    let entries = bundle["entry"].as_array_mut().unwrap();
    &mut entries.iter_mut().find(|e| e["resource"]["resourceType"] == kind).unwrap()["resource"]
}

#[tokio::test]
async fn a_new_referral_is_whole_and_linked() {
    let house = house().await;
    let answer = house.send(&referrals::bars_message(1, "N84001")).await.unwrap();
    assert_eq!(answer.result, Outcome::Committed);
    let request = house.read("ServiceRequest", &answer.referral).await;
    let task = house.read("Task", id_of(&answer, "Task")).await;
    let patient = house.read("Patient", id_of(&answer, "Patient")).await;
    let provenance = house.read("Provenance", id_of(&answer, "Provenance")).await;
    assert_eq!(request["subject"]["reference"], json!(format!("Patient/{}", patient["id"].as_str().unwrap())));
    assert_eq!(task["focus"]["reference"], json!(format!("ServiceRequest/{}", answer.referral)));
    assert_eq!(task["status"], "requested");
    assert_eq!(request["meta"]["versionId"], "1");
    assert!(!request.to_string().contains("urn:uuid:"), "a reference into the message was left: {request}");
    let route: Value = serde_json::from_str(fingerpost::fhir::provenance::route(&provenance).unwrap()).unwrap();
    assert_eq!(route["pool"], task["owner"]["identifier"]["value"]);
    assert!(!route["reasons"].as_array().unwrap().is_empty());
    for resource in [&request, &task, &patient, &provenance] {
        fingerpost::fhir::check::check(resource).unwrap();
    }
    assert_eq!(house.state(&answer.referral).await, LedgerState::Open);
    assert!(answer.assigned.iter().any(|(_, kind, id)| kind == "ServiceRequest" && *id == answer.referral));
}

#[tokio::test]
async fn the_same_again_is_a_duplicate_and_the_same_resources() {
    let house = house().await;
    let bundle = referrals::bars_message(2, "N84001");
    let first = house.send(&bundle).await.unwrap();
    let again = house.send(&bundle).await.unwrap();
    assert_eq!((again.result, &again.referral), (Outcome::Duplicate, &first.referral));
    assert_eq!(again.resources, {
        let mut all = first.resources.clone();
        all.retain(|(kind, ..)| kind != "Provenance");
        let mut seen = again.resources.clone();
        seen.sort();
        all.sort();
        assert_eq!(seen, all);
        again.resources.clone()
    });
    let history = house.gateway.store.history("ServiceRequest", &first.referral, u32::MAX, 10).await.unwrap();
    assert_eq!(history.len(), 1);
}

#[tokio::test]
async fn a_request_id_is_used_once_but_a_refused_one_again() {
    let house = house().await;
    let mut refused = referrals::bars_message(3, "N84001");
    entry(&mut refused, "ServiceRequest")["status"] = json!("draft");
    let mut first = house.received(&refused, "N84001");
    assert_eq!(process(&house.gateway, first.clone()).await.unwrap_err().status(), 422);
    first.bytes = Bytes::from(referrals::bars_message(3, "N84001").to_string());
    assert_eq!(process(&house.gateway, first.clone()).await.unwrap().result, Outcome::Committed);
    let repeated = process(&house.gateway, first).await.unwrap_err();
    assert_eq!((repeated.status(), repeated.issues[0].kind.code()), (409, "duplicate"));
}

#[tokio::test]
async fn a_change_makes_a_version_and_a_cancel_ends_it() {
    let house = house().await;
    let first = house.send(&referrals::bars_message(4, "N84001")).await.unwrap();
    let mut urgent = referrals::bars_message(4, "N84001");
    entry(&mut urgent, "MessageHeader")["reason"]["coding"][0]["code"] = json!("update");
    entry(&mut urgent, "ServiceRequest")["priority"] = json!("urgent");
    let changed = house.send(&urgent).await.unwrap();
    assert_eq!((changed.result, &changed.referral), (Outcome::Committed, &first.referral));
    assert_eq!(house.read("ServiceRequest", &first.referral).await["meta"]["versionId"], "2");
    let mut cancel = urgent.clone();
    entry(&mut cancel, "ServiceRequest")["status"] = json!("revoked");
    assert_eq!(house.send(&cancel).await.unwrap().result, Outcome::Withdrawn);
    assert_eq!(house.read("Task", id_of(&first, "Task")).await["status"], "cancelled");
    assert_eq!(house.state(&first.referral).await, LedgerState::Withdrawn);
    let revived = house.send(&urgent).await.unwrap_err();
    assert_eq!((revived.status(), revived.issues[0].kind.code()), (409, "conflict"));
    assert_eq!(house.send(&cancel).await.unwrap().result, Outcome::Duplicate);
}

#[tokio::test]
async fn an_older_message_and_another_sender_change_nothing() {
    let house = house().await;
    let first = house.send(&referrals::bars_message(5, "N84001")).await.unwrap();
    let mut older = referrals::bars_message(5, "N84001");
    entry(&mut older, "MessageHeader")["reason"]["coding"][0]["code"] = json!("update");
    entry(&mut older, "ServiceRequest")["meta"]["lastUpdated"] = json!("2025-01-05T10:00:00+00:00");
    assert_eq!(house.send(&older).await.unwrap_err().issues[0].kind.code(), "conflict");
    let mut cancel = referrals::bars_message(5, "N84001");
    entry(&mut cancel, "ServiceRequest")["status"] = json!("revoked");
    entry(&mut cancel, "ServiceRequest")["id"] = json!(first.referral);
    let stranger = process(&house.gateway, house.received(&cancel, "N84004")).await.unwrap_err();
    assert_eq!(stranger.status(), 404);
    assert_eq!(house.state(&first.referral).await, LedgerState::Open);
    let unknown = {
        cancel["entry"][1]["resource"]["id"] = json!("nobody");
        cancel["entry"][1]["resource"]["identifier"][0]["value"] = json!("R-0");
        cancel
    };
    assert_eq!(house.send(&unknown).await.unwrap_err().status(), 404);
}

#[tokio::test]
async fn what_a_person_must_look_at_is_held_and_a_good_message_frees_it() {
    let house = house().await;
    let mut odd = referrals::bars_message(6, "N84001");
    entry(&mut odd, "Patient")["identifier"][0]["value"] = json!("9990000000");
    let held = house.send(&odd).await.unwrap();
    assert_eq!(held.result, Outcome::Held(vec![Cause::NhsNumberInvalid]));
    assert_eq!(house.state(&held.referral).await, LedgerState::Held);
    let holds = house.gateway.store.holds().await.unwrap();
    assert_eq!(holds.len(), 1);
    assert!(!holds[0].detail.contains("9990000000"), "a hold repeats the number: {}", holds[0].detail);
    let kept = house.gateway.store.message(holds[0].replay.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(kept.bytes, odd.to_string());
    let good = house.send(&referrals::bars_message(6, "N84001")).await.unwrap();
    assert_eq!((good.result, &good.referral), (Outcome::Committed, &held.referral));
    assert!(house.gateway.store.holds().await.unwrap().is_empty());
    assert_eq!(house.state(&held.referral).await, LedgerState::Open);
}

#[tokio::test]
async fn an_unknown_practice_is_held_not_guessed() {
    let house = house().await;
    let held = process(&house.gateway, house.received(&referrals::bars_message(7, "A99999"), "A99999")).await.unwrap();
    assert_eq!(held.result, Outcome::Held(vec![Cause::PracticeUnknown]));
}

#[tokio::test]
async fn a_second_referral_of_one_person_joins_the_open_episode() {
    let house = house().await;
    let first = house.send(&referrals::bars_message(8, "N84001")).await.unwrap();
    let mut second = referrals::bars_message(8, "N84001");
    entry(&mut second, "ServiceRequest")["identifier"][0]["value"] = json!("R-8-again");
    let joined = house.send(&second).await.unwrap();
    assert_eq!(joined.result, Outcome::Committed);
    assert_ne!(joined.referral, first.referral);
    assert!(joined.resources.iter().all(|(kind, ..)| kind != "Task"), "a second Task was made");
    assert!(joined.findings.iter().any(|finding| finding.starts_with("duplicate-episode")));
    let request = house.read("ServiceRequest", &joined.referral).await;
    assert_eq!(request["supportingInfo"][0]["reference"], json!(format!("Task/{}", id_of(&first, "Task"))));
    assert_eq!(house.state(&joined.referral).await, LedgerState::Returned);
}

#[tokio::test]
async fn two_of_one_person_at_once_make_one_task() {
    let house = house().await;
    let mut other = referrals::bars_message(9, "N84001");
    entry(&mut other, "ServiceRequest")["identifier"][0]["value"] = json!("R-9-other");
    let here = referrals::bars_message(9, "N84001");
    let (a, b) = tokio::join!(house.send(&here), house.send(&other));
    let tasks = [a.unwrap(), b.unwrap()]
        .iter()
        .flat_map(|answer| answer.resources.clone())
        .filter(|(kind, ..)| kind == "Task")
        .count();
    assert_eq!(tasks, 1);
}

#[tokio::test]
async fn every_referral_is_in_the_log() {
    let house = house().await;
    let mut refused = referrals::bars_message(10, "N84001");
    entry(&mut refused, "ServiceRequest")["status"] = json!("draft");
    house.send(&refused).await.unwrap_err();
    house.send(&referrals::bars_message(11, "N84001")).await.unwrap();
    let entries = house.gateway.store.entries(0, 10).await.unwrap();
    let entries: Vec<Value> = entries.iter().map(|(_, leaf)| serde_json::from_slice(leaf).unwrap()).collect();
    assert_eq!(entries.len(), 2);
    assert_eq!((&entries[0]["outcome"], &entries[1]["outcome"]), (&json!("4"), &json!("0")));
    let log = json!(entries).to_string();
    for private in ["Synthetic11", "L20 3EW", &referrals::nhs_number(11), "Lonely"] {
        assert!(!log.contains(private), "the log holds {private}");
    }
}
