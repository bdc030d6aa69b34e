//! What a pool may record, what comes of it, and what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/pool.rs"]
mod pool;
#[path = "support/referrals.rs"]
mod referrals;

use fingerpost::rejection::Rejection;
use fingerpost::store::{EntrySearch, Stored};
use pool::{House, Referred, caller, house, swemwbs};
use serde_json::{Value, json};

fn expression(result: Result<Stored, Rejection>) -> (u16, String) {
    let rejection = result.expect_err("it is refused");
    (rejection.status(), rejection.issues[0].expression.clone().unwrap_or_default())
}

async fn accepted() -> (House, Referred) {
    let house = house(|_| {}).await;
    let to = house.refer(1).await;
    house.moves(&to, "accepted").await.unwrap();
    (house, to)
}

/// The events of an episode's write-back rows, in order.
async fn filed(house: &House, to: &Referred) -> Vec<String> {
    let rows = house.gateway.store.outbox_of(&to.referral, "writeback:").await.unwrap();
    rows.into_iter().map(|(_, event, _)| event).collect()
}

#[tokio::test]
async fn acceptance_is_coded_once_an_episode() {
    let (house, to) = accepted().await;
    house.moves(&to, "in-progress").await.unwrap();
    house.moves(&to, "accepted").await.unwrap();
    assert_eq!(filed(&house, &to).await, ["outcome.accepted"]);
    let task = house.read("Task", &to.task).await;
    assert_eq!(task["businessStatus"]["coding"][0]["code"], "30016");
    assert_eq!(house.ledger(&to.referral).await.0, "open");
}

#[tokio::test]
async fn a_decline_says_why_is_coded_and_ends_the_episode() {
    let house = house(|_| {}).await;
    let to = house.refer(1).await;
    let mut task = house.read("Task", &to.task).await;
    task["status"] = json!("rejected");
    assert_eq!(expression(house.update(&to.pool, task, None).await), (422, "Task.statusReason".into()));
    house.moves(&to, "rejected").await.unwrap();
    assert_eq!(filed(&house, &to).await, ["outcome.declined"]);
    assert_eq!(house.ledger(&to.referral).await, ("open", "practice-system".into()));
    assert!(!house.gateway.store.episode(&to.referral).await.unwrap().unwrap().open);
}

#[tokio::test]
async fn not_reached_is_returned_and_not_coded_as_a_decline() {
    let house = house(|_| {}).await;
    let to = house.refer(1).await;
    let mut task = house.read("Task", &to.task).await;
    task["status"] = json!("rejected");
    task["statusReason"] = json!({"text": "three calls, no answer"});
    task["businessStatus"]["coding"][0]["code"] = json!("30012");
    house.update(&to.pool, task, None).await.unwrap();
    assert_eq!(filed(&house, &to).await, ["outcome.returned"]);
}

#[tokio::test]
async fn identity_versions_and_business_statuses_are_kept() {
    let (house, to) = accepted().await;
    let task = house.read("Task", &to.task).await;
    let with = |name: &str, value: Value| {
        let mut changed = task.clone();
        changed[name] = value;
        changed
    };
    for (name, value) in [
        ("for", json!({"reference": "Patient/other"})),
        ("focus", json!({"reference": "ServiceRequest/other"})),
        ("owner", json!({"display": "another pool"})),
        ("identifier", json!([{"value": "x"}])),
        ("priority", json!("stat")),
    ] {
        let refused = expression(house.update(&to.pool, with(name, value), None).await);
        assert_eq!(refused, (422, format!("Task.{name}")));
    }
    let business =
        json!({"coding": [{"system": "https://fhir.nhs.uk/STU3/CodeSystem/ITK-ResponseCodes-1", "code": "30006"}]});
    let refused = expression(house.update(&to.pool, with("businessStatus", business), None).await);
    assert_eq!(refused, (422, "Task.businessStatus".into()));
    assert_eq!(expression(house.update(&to.pool, with("status", json!("cancelled")), None).await).1, "Task.status");
    assert_eq!(house.update(&to.pool, with("status", json!("in-progress")), Some(1)).await.unwrap_err().status(), 412);
    house.update(&to.pool, with("status", json!("in-progress")), Some(2)).await.unwrap();
}

#[tokio::test]
async fn a_task_of_another_pool_is_not_there() {
    let (house, to) = accepted().await;
    let task = house.read("Task", &to.task).await;
    let other = caller("another-pool");
    assert_eq!(house.update(&other, task.clone(), None).await.unwrap_err().status(), 404);
    let mut consumer = to.pool.clone();
    consumer.role = fingerpost::config::Role::Consumer;
    assert_eq!(house.update(&consumer, task, None).await.unwrap_err().status(), 404);
    let stranger =
        Referred { pool: other, referral: to.referral.clone(), task: to.task.clone(), patient: to.patient.clone() };
    assert_eq!(house.create(&stranger, swemwbs(&to, "21")).await.unwrap_err().status(), 404);
}

#[tokio::test]
async fn a_raw_total_is_kept_and_its_metric_score_kept_apart() {
    let (house, to) = accepted().await;
    let first = house.create(&to, swemwbs(&to, "29")).await.unwrap();
    let again = house.create(&to, swemwbs(&to, "29")).await.unwrap();
    assert_eq!((first.id.clone(), first.version), (again.id, again.version), "a retry makes nothing twice");
    assert_eq!(filed(&house, &to).await, ["outcome.accepted", "outcome.score", "outcome.score"]);
    let score = house.read("Observation", &first.id).await;
    assert_eq!(score["code"]["coding"][0]["code"], "718466001");
    assert_eq!(score["subject"]["identifier"]["value"], referrals::nhs_number(1));
    fingerpost::fhir::check::check(&score).unwrap();
    let metric = fingerpost::fhir::ids::stable_id(&[&first.id, "swemwbs-metric"]).to_string();
    let metric = house.read("Observation", &metric).await;
    assert_eq!(metric["valueQuantity"]["value"].to_string(), "26.02");
    assert_eq!(metric["code"]["coding"][0]["system"], "https://fingerpost.dev/CodeSystem/measure");
    fingerpost::fhir::check::check(&metric).unwrap();
}

#[tokio::test]
async fn scores_out_of_range_or_out_of_time_are_refused_by_element() {
    let (house, to) = accepted().await;
    for raw in ["6", "36", "26.02", "21.5", "-7", "99999999999999999999", "\"21\""] {
        let refused = expression(house.create(&to, swemwbs(&to, raw)).await);
        assert_eq!(refused, (422, "Observation.valueQuantity.value".into()), "{raw}");
    }
    for (when, element) in [
        (json!("2025-12-24"), "Observation.effectiveDateTime"),
        (json!("2126-01-01"), "Observation.effectiveDateTime"),
        (json!("soon"), "Observation.effectiveDateTime"),
        (Value::Null, "Observation.effectiveDateTime"),
    ] {
        let mut score = swemwbs(&to, "21");
        score["effectiveDateTime"] = when;
        assert_eq!(expression(house.create(&to, score).await), (422, element.into()));
    }
    let mut other = swemwbs(&to, "21");
    other["subject"]["reference"] = json!("Patient/other");
    assert_eq!(expression(house.create(&to, other).await), (422, "Observation.subject".into()));
    let mut unknown = swemwbs(&to, "21");
    unknown["code"]["coding"][0]["code"] = json!("73211009");
    assert_eq!(expression(house.create(&to, unknown).await), (422, "Observation.code".into()));
}

#[tokio::test]
async fn nothing_is_measured_before_acceptance_or_after_the_end() {
    let house = house(|_| {}).await;
    let to = house.refer(1).await;
    assert_eq!(expression(house.create(&to, swemwbs(&to, "21")).await), (422, "Observation.basedOn".into()));
    assert_eq!(expression(house.moves(&to, "completed").await), (422, "Task.status".into()));
    house.moves(&to, "accepted").await.unwrap();
    house.moves(&to, "completed").await.unwrap();
    assert_eq!(expression(house.create(&to, swemwbs(&to, "21")).await), (422, "Observation.basedOn".into()));
    assert_eq!(expression(house.moves(&to, "accepted").await), (422, "Task.status".into()));
    assert_eq!(expression(house.moves(&to, "in-progress").await), (422, "Task.statusReason".into()));
    assert_eq!(filed(&house, &to).await, ["outcome.accepted", "outcome.closed"]);
}

fn response(to: &Referred, questionnaire: &str, items: &[(&str, i64)]) -> Value {
    let items: Vec<Value> =
        items.iter().map(|(link, n)| json!({"linkId": link, "answer": [{"valueInteger": n}]})).collect();
    json!({"resourceType": "QuestionnaireResponse", "status": "completed",
        "questionnaire": format!("https://fingerpost.dev/Questionnaire/{questionnaire}"),
        "subject": {"reference": format!("Patient/{}", to.patient)},
        "basedOn": [{"reference": format!("ServiceRequest/{}", to.referral)}],
        "authored": "2026-02-01T10:00:00Z", "item": items})
}

const ONS4: [(&str, i64); 4] = [("satisfaction", 7), ("worthwhile", 8), ("happiness", 6), ("anxiety", 3)];

#[tokio::test]
async fn responses_become_scores() {
    let (house, to) = accepted().await;
    let seven: Vec<(&str, i64)> = ["1", "2", "3", "4", "5", "6", "7"].map(|link| (link, 3)).to_vec();
    let sent = house.create(&to, response(&to, "swemwbs", &seven)).await.unwrap();
    let total = fingerpost::fhir::ids::stable_id(&[&sent.id, "swemwbs"]).to_string();
    assert_eq!(house.read("Observation", &total).await["valueQuantity"]["value"], 21);
    let sent = house.create(&to, response(&to, "ons4", &ONS4)).await.unwrap();
    let panel = fingerpost::fhir::ids::stable_id(&[&sent.id, "ons4"]).to_string();
    let panel = house.read("Observation", &panel).await;
    assert_eq!(panel["component"].as_array().unwrap().len(), 4);
    assert!(panel["valueQuantity"].is_null(), "ONS4 has no total");
    fingerpost::fhir::check::check(&panel).unwrap();

    let six = response(&to, "swemwbs", &seven[..6]);
    assert_eq!(expression(house.create(&to, six).await).1, "QuestionnaireResponse.item");
    let mut high = seven.clone();
    high[2].1 = 6;
    let high = response(&to, "swemwbs", &high);
    assert_eq!(expression(house.create(&to, high).await).1, "QuestionnaireResponse.item[2].answer");
    let eleven = response(&to, "ons4", &[("anxiety", 11)]);
    assert_eq!(expression(house.create(&to, eleven).await).1, "QuestionnaireResponse.item[0].answer");
    let twice = response(&to, "ons4", &[("anxiety", 1), ("anxiety", 2)]);
    assert_eq!(expression(house.create(&to, twice).await).1, "QuestionnaireResponse.item[1].linkId");
    let unknown = response(&to, "moods", &[("1", 1)]);
    assert_eq!(expression(house.create(&to, unknown).await).1, "QuestionnaireResponse.questionnaire");
}

fn contact(to: &Referred) -> Value {
    json!({"resourceType": "Encounter", "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": format!("Patient/{}", to.patient)},
        "basedOn": [{"reference": format!("ServiceRequest/{}", to.referral)}],
        "period": {"start": "2026-02-01T10:00:00Z", "end": "2026-02-01T10:45:00Z"}})
}

#[tokio::test]
async fn contacts_are_kept_and_checked() {
    let (house, to) = accepted().await;
    let kept = house.create(&to, contact(&to)).await.unwrap();
    fingerpost::fhir::check::check(&house.read("Encounter", &kept.id).await).unwrap();
    for (pointer, value, element) in [
        ("/status", json!("unknown"), "Encounter.status"),
        ("/class", json!({}), "Encounter.class"),
        ("/period/start", json!("2025-01-01"), "Encounter.period.start"),
        ("/period/end", json!("2026-02-01T09:00:00Z"), "Encounter.period.end"),
        ("/basedOn/0/reference", json!("ServiceRequest/other"), "Encounter.basedOn"),
    ] {
        let mut wrong = contact(&to);
        *wrong.pointer_mut(pointer).unwrap() = value;
        assert_eq!(expression(house.create(&to, wrong).await), (422, element.into()));
    }
}

#[tokio::test]
async fn a_correction_is_a_new_version_of_the_score_and_its_metric() {
    let (house, to) = accepted().await;
    let first = house.create(&to, swemwbs(&to, "29")).await.unwrap();
    let mut score = house.read("Observation", &first.id).await;
    score["status"] = json!("corrected");
    score["valueQuantity"]["value"] = json!(10);
    let second = house.update(&to.pool, score, Some(1)).await.unwrap();
    assert_eq!((second.id.clone(), second.version), (first.id, 2));
    let metric = fingerpost::fhir::ids::stable_id(&[&second.id, "swemwbs-metric"]).to_string();
    let metric = house.read("Observation", &metric).await;
    assert_eq!(
        (metric["valueQuantity"]["value"].to_string(), metric["status"].clone()),
        ("12.40".into(), json!("corrected"))
    );
}

#[tokio::test]
async fn two_at_once_do_not_both_win() {
    let house = house(|_| {}).await;
    let to = house.refer(1).await;
    let (a, b) = tokio::join!(house.moves(&to, "accepted"), house.moves(&to, "rejected"));
    assert!(a.is_ok() != b.is_ok(), "one of them read a version that was no longer current");
}

#[tokio::test]
async fn every_outcome_is_in_the_audit_log_without_its_content() {
    let (house, to) = accepted().await;
    let kept = house.create(&to, swemwbs(&to, "29")).await.unwrap();
    let find = EntrySearch { entity: Some(format!("Observation/{}", kept.id)), count: 10, ..EntrySearch::default() };
    let found = house.gateway.store.find_entries(find).await.unwrap();
    assert_eq!(found.len(), 1);
    let text = String::from_utf8(found[0].1.clone()).unwrap();
    assert!(text.contains("pool-client") && text.contains(&to.patient));
    assert!(!text.contains(&referrals::nhs_number(1)));
}
