//! The link worker who really has the person, and what needs somebody today.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/pool.rs"]
mod pool;
#[path = "support/referrals.rs"]
mod referrals;

use fingerpost::audit::Outcome;
use fingerpost::config::Config;
use fingerpost::directory;
use fingerpost::gateway::Gateway;
use fingerpost::outcome::{Write, remarks};
use fingerpost::rejection::Rejection;
use fingerpost::store::Stored;
use pool::{House, Referred, caller, house, receiver};
use serde_json::{Value, json};

/// A practice of a network whose pool has two link workers.
const PRACTICE: &str = pool::PRACTICE;
const POOL: &str = "crosby-maghull";

async fn referred(set: impl FnOnce(&mut Value)) -> (House, Referred) {
    let house =
        house(|config: &mut Config| config.delivery.receivers.push(receiver("wellness", "http://127.0.0.1:9"))).await;
    let mut bundle = referrals::bars_message(1, PRACTICE);
    set(&mut bundle);
    let answer = house.send(&bundle).await;
    let id = |kind: &str| answer.resources.iter().find(|(k, ..)| k == kind).unwrap().1.clone();
    let (task, patient) = (id("Task"), id("Patient"));
    let to = Referred { referral: answer.referral.clone(), task, patient, pool: caller(POOL) };
    (house, to)
}

async fn owned(house: &House, to: &Referred, owner: Value) -> Result<Stored, Rejection> {
    let mut task = house.read("Task", &to.task).await;
    task["owner"] = owner;
    house.update(&to.pool, task, None).await
}

fn role(worker: &str) -> Value {
    json!({"reference": format!("PractitionerRole/{POOL}.{worker}")})
}

async fn worker(house: &House, to: &Referred) -> String {
    house.gateway.store.episode(&to.referral).await.unwrap().unwrap().worker
}

async fn load(gateway: &Gateway, worker: &str) -> u64 {
    let loads = gateway.store.workloads().await.unwrap();
    loads.iter().filter(|(_, who, _)| who == worker).map(|(.., open)| open).sum()
}

/// A link worker's absence, or another change of their role, by FHIR.
async fn role_changes(house: &House, worker: &str, change: impl FnOnce(&mut Value)) {
    directory::publish(&house.gateway).await.unwrap();
    let id = format!("{POOL}.{worker}");
    let mut resource = house.read("PractitionerRole", &id).await;
    change(&mut resource);
    let write = Write { kind: "PractitionerRole".into(), id: Some(id), resource, ..Write::default() };
    directory::update(&house.gateway, &caller(POOL), write).await.unwrap();
}

#[tokio::test]
async fn the_pool_says_who_has_the_person() {
    let (house, to) = referred(|_| {}).await;
    let suggested = worker(&house, &to).await;
    let other = if suggested == "w-crosby-1" { "w-crosby-2" } else { "w-crosby-1" };
    owned(&house, &to, role(other)).await.unwrap();
    assert_eq!(worker(&house, &to).await, other, "before the person accepts");
    assert_eq!((load(&house.gateway, other).await, load(&house.gateway, &suggested).await), (1, 0));
    let task = house.read("Task", &to.task).await;
    assert_eq!(task["owner"]["identifier"]["value"], POOL, "the pool is found as before");
    assert_eq!(task["owner"]["reference"], role(other)["reference"]);
    fingerpost::fhir::check::check(&task).unwrap();

    house.moves(&to, "accepted").await.unwrap();
    let care = || async { the_episode(&house).await };
    assert_eq!(care().await["careManager"]["reference"], role(other)["reference"]);
    fingerpost::fhir::check::check(&care().await).unwrap();
    let version = care().await["meta"]["versionId"].clone();
    owned(&house, &to, role(other)).await.unwrap();
    assert_eq!(care().await["meta"]["versionId"], version, "said again, nothing changes");

    owned(&house, &to, json!({"identifier": {"system": "https://fingerpost.dev/id/worker", "value": suggested}}))
        .await
        .unwrap();
    assert_eq!(care().await["careManager"]["reference"], role(&suggested)["reference"]);
    let entries = house.gateway.store.entries(0, 1000).await.unwrap();
    let text: String = entries.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes)).collect();
    assert!(text.contains(&format!("link worker {suggested} has the person")));
    let told = house.gateway.store.outbox_of(&to.referral, "webhook:").await.unwrap();
    assert!(told.iter().filter(|(_, event, _)| event == "task.updated").count() >= 4);

    let alone = json!({"identifier": {"system": "https://fingerpost.dev/id/pool", "value": POOL}});
    owned(&house, &to, alone).await.unwrap();
    assert_eq!((worker(&house, &to).await, care().await["careManager"].clone()), (String::new(), Value::Null));
    owned(&house, &to, role(other)).await.unwrap();
    close(&house, &to).await;
    let refused = owned(&house, &to, role(&suggested)).await.expect_err("it is over");
    assert_eq!(refused.status(), 422);

    // Who had the person is asked first the next time.
    let mut again = referrals::bars_message(1, PRACTICE);
    again["id"] = json!("33333333-0000-4000-8000-000000000001");
    let text = again.to_string().replace("R-1\"", "R-1-again\"");
    let answer = house.send(&serde_json::from_str(&text).unwrap()).await;
    let next = house.gateway.store.episode(&answer.referral).await.unwrap().unwrap();
    assert_eq!(next.worker, other);
}

async fn the_episode(house: &House) -> Value {
    let found = house.gateway.store.search(fingerpost::store::Search::of("EpisodeOfCare")).await.unwrap().found;
    serde_json::from_slice(&found[0].body).unwrap()
}

async fn close(house: &House, to: &Referred) {
    let mut task = house.read("Task", &to.task).await;
    task["status"] = json!("completed");
    let system = fingerpost::outcome::reason::CLOSURE_REASON;
    task["statusReason"] = json!({"coding": [{"system": system, "code": "completed"}]});
    house.update(&to.pool, task, None).await.unwrap();
}

#[tokio::test]
async fn who_cannot_have_the_person_is_refused_by_element() {
    let (house, to) = referred(|_| {}).await;
    let before = worker(&house, &to).await;
    role_changes(&house, "w-crosby-2", |role| role["period"]["end"] = json!("2026-01-31")).await;
    for (owner, element) in [
        (role("nobody"), "Task.owner"),
        (json!({"reference": "PractitionerRole/bootle.w-bootle-1"}), "Task.owner.reference"),
        (json!({"reference": "Practitioner/w-bootle-1"}), "Task.owner"),
        (
            json!({"identifier": {"system": "https://fingerpost.dev/id/pool", "value": "bootle"}}),
            "Task.owner.identifier",
        ),
        (Value::Null, "Task.owner"),
        (role("w-crosby-2"), "Task.owner"),
    ] {
        let why = owned(&house, &to, owner.clone()).await.expect_err("it is refused");
        assert_eq!((why.status(), why.issues[0].expression.as_deref()), (422, Some(element)), "{owner}");
    }
    assert_eq!(worker(&house, &to).await, before, "nothing has changed");
}

#[tokio::test]
async fn the_sex_that_the_person_asked_for_is_kept_to() {
    let asks = |bundle: &mut Value| {
        bundle["entry"][1]["resource"]["orderDetail"] =
            json!([{"coding": [{"system": "http://snomed.info/sct", "code": "314434008"}]}]);
    };
    let (house, to) = referred(asks).await;
    let why = owned(&house, &to, role("w-crosby-1")).await.expect_err("he is refused");
    assert_eq!((why.status(), why.issues[0].expression.as_deref()), (422, Some("Task.owner")));
    owned(&house, &to, role("w-crosby-2")).await.unwrap();
}

#[tokio::test]
async fn who_is_away_is_taken_with_a_remark() {
    let (house, to) = referred(|_| {}).await;
    let stored = owned(&house, &to, role("w-crosby-1")).await.unwrap();
    assert!(remarks(&house.gateway, &stored).is_empty());
    role_changes(&house, "w-crosby-1", |role| {
        role["notAvailable"] = json!([{"description": "Away", "during": {"start": "2020-01-01"}}]);
    })
    .await;
    let stored = owned(&house, &to, role("w-crosby-1")).await.unwrap();
    assert_eq!(remarks(&house.gateway, &stored).len(), 1);
}

/// PHQ-9 answers, with this one to its ninth item.
fn phq9(to: &Referred, ninth: i64) -> Value {
    let item = |n: i64| json!({"linkId": n.to_string(), "answer": [{"valueInteger": if n == 9 { ninth } else { 1 }}]});
    let items: Vec<Value> = (1..=9).map(item).collect();
    json!({"resourceType": "QuestionnaireResponse", "status": "completed",
        "questionnaire": "https://fingerpost.dev/Questionnaire/phq9",
        "subject": {"reference": format!("Patient/{}", to.patient)},
        "basedOn": [{"reference": format!("ServiceRequest/{}", to.referral)}],
        "authored": "2026-02-01T10:00:00Z", "item": items})
}

/// The alerts, each with whether it is the practice's.
async fn alerts(house: &House) -> Vec<(Value, bool)> {
    let found = house.gateway.store.search(fingerpost::store::Search::of("Communication")).await.unwrap().found;
    let read = found.iter().map(|stored| serde_json::from_slice::<Value>(&stored.body).unwrap());
    let alerts = read.filter(|one| one["category"][0]["coding"][0]["code"] == "attention");
    alerts.map(|one| (one["recipient"][0]["type"] == "Organization", one)).map(|(is, one)| (one, is)).collect()
}

async fn clock(house: &House, alert: &str) -> fingerpost::store::countdown::Countdown {
    house.gateway.store.countdown(&format!("attention/{alert}")).await.unwrap().unwrap()
}

#[tokio::test]
async fn an_answer_of_self_harm_alerts_the_pool_and_the_practice_at_once() {
    let (house, to) = referred(|_| {}).await;
    house.moves(&to, "accepted").await.unwrap();
    let quiet = house.create(&to, phq9(&to, 0)).await.unwrap();
    assert!(alerts(&house).await.is_empty() && remarks(&house.gateway, &quiet).is_empty());

    let stored = house.create(&to, phq9(&to, 2)).await.unwrap();
    assert!(remarks(&house.gateway, &stored)[0].contains("needs attention today"));
    let told = alerts(&house).await;
    assert_eq!(told.iter().filter(|(_, practice)| *practice).count(), 1);
    assert_eq!(told.len(), 2);
    for (alert, practice) in &told {
        assert_eq!(alert["priority"], "urgent");
        fingerpost::fhir::check::check(alert).unwrap();
        let seen = house.gateway.store.visibility("Communication", alert["id"].as_str().unwrap()).await.unwrap();
        assert_eq!(seen.iter().any(|(_, who)| who == PRACTICE), *practice);
        let words = alert["payload"][0]["contentString"].as_str().unwrap().to_lowercase();
        assert!(!words.contains("harm") && !words.contains("phq") && !words.contains('2'), "{words}");
    }
    let events = house.gateway.store.outbox_of(&to.referral, "webhook:").await.unwrap();
    assert!(events.iter().any(|(_, event, _)| event == "task.attention"));

    // Sent again, and corrected, it is the same alert.
    house.create(&to, phq9(&to, 2)).await.unwrap();
    let mut corrected = phq9(&to, 3);
    corrected["id"] = json!(stored.id);
    corrected["status"] = json!("amended");
    house.update(&to.pool, corrected, None).await.unwrap();
    assert_eq!(alerts(&house).await.len(), 2);

    let (alert, _) = told.iter().find(|(_, practice)| !practice).unwrap();
    let id = alert["id"].as_str().unwrap();
    assert!(clock(&house, id).await.stopped.is_none());
    let answer = json!({"resourceType": "Communication", "status": "completed", "sent": "2026-02-01T10:30:00Z",
        "basedOn": [{"reference": format!("ServiceRequest/{}", to.referral)}],
        "inResponseTo": [{"reference": format!("Communication/{id}")}],
        "recipient": [{"reference": format!("Patient/{}", to.patient)}],
        "payload": [{"contentString": "Looked at."}]});
    house.create(&to, answer).await.unwrap();
    assert_eq!(clock(&house, id).await.why, "answered");
}

#[tokio::test]
async fn a_person_who_shares_nothing_is_alerted_of_to_the_pool_alone() {
    let (house, to) = referred(|_| {}).await;
    let mut task = house.read("Task", &to.task).await;
    task["status"] = json!("accepted");
    task["extension"] =
        json!([{"url": "https://fingerpost.dev/StructureDefinition/gp-record-share", "valueCode": "nothing"}]);
    house.update(&to.pool, task, None).await.unwrap();
    house.create(&to, phq9(&to, 1)).await.unwrap();
    let told = alerts(&house).await;
    assert_eq!((told.len(), told[0].1), (1, false));
    let words = told[0].0["payload"][0]["contentString"].as_str().unwrap();
    assert!(words.contains("has NOT been"), "{words}");
}

#[tokio::test]
async fn an_alert_that_nobody_answers_is_told_to_who_looks_after_the_pool_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::development(dir.path());
    config.delivery.receivers.clear();
    let clock = fingerpost::clock::Clock::fixed("2026-02-02T10:00:00Z".parse().unwrap());
    let house = House { gateway: Gateway::open_or_create(config, clock).await.unwrap(), dir };
    let to = Referred { pool: caller(POOL), ..house.refer(1).await };
    house.moves(&to, "accepted").await.unwrap();
    house.create(&to, phq9(&to, 1)).await.unwrap();
    let ticks = async || fingerpost::referral::clocks::tick(&house.gateway).await.unwrap();
    house.gateway.clock.advance(jiff::SignedDuration::from_hours(3));
    assert_eq!(ticks().await, 0);
    close(&house, &to).await;
    house.gateway.clock.advance(jiff::SignedDuration::from_hours(2));
    assert_eq!((ticks().await, ticks().await), (1, 0), "though the episode is over");
    let found = house.gateway.store.search(fingerpost::store::Search::of("Communication")).await.unwrap().found;
    let said = found.iter().filter(|one| String::from_utf8_lossy(&one.body).contains("attention-escalation")).count();
    assert_eq!(said, 1);
}

#[tokio::test]
async fn an_alert_whose_task_is_gone_stops_and_is_in_the_log() {
    use fingerpost::store::commit::Commit;
    use fingerpost::store::countdown::{Change, Countdown, Step};
    let (house, _) = referred(|_| {}).await;
    let store = &house.gateway.store;
    let (alert, now) = ("2b5f4f0a-5c0e-4a1e-9d5e-3f1f0c9a7b11", house.gateway.clock.now());
    let clock = Change::Set(Countdown {
        referral: format!("attention/{alert}"),
        pool: POOL.to_owned(),
        round: 1,
        started: now,
        target: now,
        step: Step::Escalate,
        due: Some(now),
        stopped: None,
        why: String::new(),
    });
    store.commit(Commit { countdowns: vec![clock], ..Commit::default() }).await.unwrap();
    assert_eq!(fingerpost::referral::clocks::tick(&house.gateway).await.unwrap(), 0);
    assert_eq!(self::clock(&house, alert).await.why, "the Task is not there");
    let log = store.entries(0, 1000).await.unwrap();
    let last: fingerpost::audit::Entry = serde_json::from_slice(&log.last().unwrap().1).unwrap();
    assert_eq!((last.interaction.as_str(), last.outcome), ("attention-escalation", Outcome::SeriousFailure));
    assert_eq!(last.entities, [format!("Communication/{alert}")]);
    assert!(last.detail.contains(POOL) && last.detail.contains("the Task is not there"), "{}", last.detail);
}

#[tokio::test]
async fn a_total_alone_says_what_it_can() {
    let (house, to) = referred(|_| {}).await;
    house.moves(&to, "accepted").await.unwrap();
    let total = |raw: i64| {
        let mut score = pool::swemwbs(&to, &raw.to_string());
        score["code"]["coding"][0]["code"] = json!("720433000");
        score
    };
    let stored = house.create(&to, total(12)).await.unwrap();
    assert!(remarks(&house.gateway, &stored)[0].contains("cannot be told"), "the sender is warned");
    assert!(alerts(&house).await.is_empty());
    let none = house.create(&to, total(0)).await.unwrap();
    assert!(remarks(&house.gateway, &none).is_empty());
    house.create(&to, total(25)).await.unwrap();
    assert_eq!(alerts(&house).await.len(), 2, "eight items come to 24 at most");
}
