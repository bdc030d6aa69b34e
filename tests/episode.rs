//! The episode from offer to closure and beyond, what goes into the GP record of it, and what does not.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/pool.rs"]
mod pool;
#[path = "support/referrals.rs"]
mod referrals;

use fingerpost::fhir::{check, each, episode as said, observation, onward};
use fingerpost::outcome::{Write, preview, reason};
use fingerpost::rejection::Rejection;
use fingerpost::store::Stored;
use pool::{House, Referred, house, swemwbs};
use serde_json::{Value, json};

const DAY: &str = "2026-02-01T10:00:00Z";

fn refused(result: Result<Stored, Rejection>) -> (u16, String) {
    let rejection = result.expect_err("it is refused");
    (rejection.status(), rejection.issues[0].expression.clone().unwrap_or_default())
}

async fn referred() -> (House, Referred) {
    let house = house(|_| {}).await;
    let to = house.refer(1).await;
    (house, to)
}

async fn accepted() -> (House, Referred) {
    let (house, to) = referred().await;
    house.moves(&to, "accepted").await.unwrap();
    (house, to)
}

fn links(to: &Referred, mut resource: Value, from: &str) -> Value {
    resource["subject"] = json!({"reference": format!("Patient/{}", to.patient)});
    resource[from] = json!([{"reference": format!("ServiceRequest/{}", to.referral)}]);
    resource
}

fn snomed(code: &str) -> Value {
    json!({"coding": [{"system": "http://snomed.info/sct", "code": code}]})
}

fn contact(to: &Referred, outcome: Option<&str>, n: u32) -> Value {
    let mut contact = links(
        to,
        json!({"resourceType": "Encounter", "status": "finished",
            "class": {"system": observation::ACT_CODE, "code": "VR"},
            "period": {"start": format!("2026-02-01T10:{n:02}:00Z")}}),
        "basedOn",
    );
    if let Some(code) = outcome {
        contact["extension"] = json!([{"url": said::CONTACT_OUTCOME, "valueCodeableConcept": snomed(code)}]);
    }
    contact
}

fn plan(to: &Referred, status: &str) -> Value {
    links(to, json!({"resourceType": "CarePlan", "status": status, "intent": "plan"}), "supportingInfo")
}

fn sent_on(to: &Referred, sort: &str) -> Value {
    let intent = if sort == onward::REFERRAL { "order" } else { "proposal" };
    links(
        to,
        json!({"resourceType": "ServiceRequest", "status": "active", "intent": intent, "authoredOn": DAY,
            "category": [{"coding": [{"system": onward::ONWARD, "code": sort}]}],
            "performer": [{"display": "Fictional Allotment Society"}]}),
        "basedOn",
    )
}

fn restricted(kind: &str, text: &str) -> Value {
    let parts = json!([{"url": "kind", "valueCode": kind}, {"url": "text", "valueString": text}]);
    json!({"url": said::RESTRICTED, "extension": parts})
}

/// The events of an episode's write-back rows, in order.
async fn filed(house: &House, to: &Referred) -> Vec<String> {
    let rows = house.gateway.store.outbox_of(&to.referral, "writeback:").await.unwrap();
    rows.into_iter().map(|(_, event, _)| event.trim_start_matches("outcome.").to_owned()).collect()
}

/// Every current Observation of the house.
async fn entries(house: &House) -> Vec<Value> {
    all(house, "Observation").await
}

/// Every current resource of a type.
async fn all(house: &House, kind: &str) -> Vec<Value> {
    let search = fingerpost::store::Search {
        kind: kind.into(),
        ids: vec![],
        updated: (None, None),
        criteria: vec![],
        visible: None,
        newest_first: false,
        count: 100,
        after: None,
        total: false,
    };
    let found = house.gateway.store.search(search).await.unwrap().found;
    found.iter().map(|stored| serde_json::from_slice(&stored.body).unwrap()).collect()
}

/// The one EpisodeOfCare.
async fn care(house: &House) -> Value {
    let mut found = all(house, "EpisodeOfCare").await;
    assert_eq!(found.len(), 1, "one an episode");
    found.remove(0)
}

/// The Task with changes, written as the pool would.
async fn task(house: &House, to: &Referred, change: impl FnOnce(&mut Value)) -> Result<Stored, Rejection> {
    let mut task = house.read("Task", &to.task).await;
    change(&mut task);
    house.update(&to.pool, task, None).await
}

fn closes(reason: &str) -> impl FnOnce(&mut Value) {
    let coding = json!({"coding": [{"system": reason::CLOSURE_REASON, "code": reason}]});
    move |task| {
        task["status"] = json!("completed");
        task["statusReason"] = coding;
    }
}

#[tokio::test]
async fn a_whole_episode_moves_by_what_is_recorded() {
    let (house, to) = referred().await;
    house.create(&to, contact(&to, Some("294631000000100"), 1)).await.unwrap();
    assert_eq!(house.read("Task", &to.task).await["status"], "received", "the pool has begun to try");
    house.create(&to, contact(&to, Some("281399006"), 2)).await.unwrap();
    house.moves(&to, "accepted").await.unwrap();
    assert_eq!(said::stage(&care(&house).await), "accepted");
    house.create(&to, swemwbs(&to, "19")).await.unwrap();
    assert_eq!(said::stage(&care(&house).await), "assessed");
    let goal = json!({"resourceType": "Goal", "lifecycleStatus": "accepted", "description": {"text": "get out more"},
        "extension": [{"url": said::IMPORTANCE, "valueInteger": 8}]});
    let goal = house.create(&to, links(&to, goal, "addresses")).await.unwrap();
    let mut agreed = plan(&to, "active");
    agreed["goal"] = json!([{"reference": format!("Goal/{}", goal.id)}]);
    house.create(&to, agreed).await.unwrap();
    assert_eq!(said::stage(&care(&house).await), "plan-agreed");
    let mut review = contact(&to, None, 3);
    review["type"] = json!([snomed("425268008")]);
    house.create(&to, review).await.unwrap();
    assert_eq!(said::stage(&care(&house).await), "reviewed");
    house.create(&to, sent_on(&to, onward::SIGNPOST)).await.unwrap();
    house.create(&to, sent_on(&to, onward::REFERRAL)).await.unwrap();
    task(&house, &to, closes("completed")).await.unwrap();
    let care = care(&house).await;
    assert_eq!(care["status"], "finished");
    assert_eq!(care["extension"][1]["extension"][0]["valueUnsignedInt"], 1, "met");
    assert_eq!(care["extension"][1]["extension"][1]["valueUnsignedInt"], 2, "attempted");
    assert_eq!(
        filed(&house, &to).await,
        [
            "attempt-missed",
            "accepted",
            "score",
            "score",
            "plan-agreed",
            "plan-reviewed",
            "signposted",
            "referred-onward",
            "closed"
        ]
    );
    for entry in entries(&house).await.iter().chain([&care]) {
        check::check(entry).unwrap();
    }
    assert_eq!(house.ledger(&to.referral).await, ("open", "practice-system".into()));
}

#[tokio::test]
async fn what_the_state_does_not_allow_is_refused_with_its_element() {
    let (house, to) = referred().await;
    let before = [
        (plan(&to, "active"), "CarePlan.supportingInfo"),
        (sent_on(&to, onward::REFERRAL), "ServiceRequest.category"),
        (swemwbs(&to, "19"), "Observation.basedOn"),
    ];
    for (resource, element) in before {
        assert_eq!(refused(house.create(&to, resource).await), (422, element.into()));
    }
    house.create(&to, sent_on(&to, onward::SIGNPOST)).await.expect("a signpost may come first");
    house.moves(&to, "accepted").await.unwrap();
    let mut review = contact(&to, None, 3);
    review["type"] = json!([snomed("425268008")]);
    assert_eq!(refused(house.create(&to, review).await), (422, "Encounter.status".into()), "nothing to review");
    house.create(&to, plan(&to, "active")).await.unwrap();
    let mut second = plan(&to, "active");
    second["title"] = json!("another");
    assert_eq!(refused(house.create(&to, second).await), (422, "CarePlan.status".into()));
    task(&house, &to, closes("completed")).await.unwrap();
    for (resource, element) in [
        (contact(&to, None, 9), "Encounter.basedOn"),
        (plan(&to, "draft"), "CarePlan.supportingInfo"),
        (sent_on(&to, onward::SIGNPOST), "ServiceRequest.basedOn"),
        (swemwbs(&to, "19"), "Observation.basedOn"),
    ] {
        assert_eq!(refused(house.create(&to, resource).await), (422, element.into()), "the episode is closed");
    }
    assert_eq!(filed(&house, &to).await, ["signposted", "accepted", "plan-agreed", "closed"], "nothing half-written");
}

#[tokio::test]
async fn a_closure_says_why() {
    for reason in reason::REASONS {
        let (house, to) = accepted().await;
        let needs = reason.code == "unmet-need";
        if needs {
            assert_eq!(refused(task(&house, &to, closes(reason.code)).await), (422, "Task.extension".into()));
        }
        task(&house, &to, |task| {
            closes(reason.code)(task);
            if needs {
                let lacking = json!({"text": "a befriender who speaks Polish"});
                task["extension"] = json!([{"url": said::UNMET_NEED, "valueCodeableConcept": lacking}]);
            }
        })
        .await
        .unwrap();
        let closed = entries(&house).await.pop().unwrap();
        let codings = &closed["valueCodeableConcept"]["coding"];
        assert_eq!((&codings[0]["code"], &codings[1]["code"]), (&json!(reason.business), &json!(reason.code)));
        let words = closed["note"][0]["text"].as_str().unwrap();
        assert_eq!(words.contains("befriender"), needs, "{words}");
        assert_eq!(house.read("Task", &to.task).await["statusReason"]["coding"][0]["display"], reason.display);
    }
    let (house, to) = accepted().await;
    assert_eq!(refused(task(&house, &to, closes("bored")).await), (422, "Task.statusReason".into()));
}

#[tokio::test]
async fn a_closed_episode_is_reopened_and_codes_nothing_national_again() {
    let (house, to) = accepted().await;
    task(&house, &to, closes("did-not-engage")).await.unwrap();
    let reopens = |why: Option<&'static str>| {
        move |task: &mut Value| {
            task["status"] = json!("in-progress");
            match why {
                Some(why) => task["statusReason"] = json!({"text": why}),
                None => drop(task.as_object_mut().unwrap().shift_remove("statusReason")),
            }
        }
    };
    assert_eq!(refused(task(&house, &to, reopens(None)).await), (422, "Task.statusReason".into()));
    task(&house, &to, reopens(Some("they rang back"))).await.unwrap();
    assert_eq!(house.ledger(&to.referral).await, ("open", to.pool.pools[0].clone()));
    assert!(house.gateway.store.episode(&to.referral).await.unwrap().unwrap().open);
    assert_eq!(care(&house).await["status"], "active");
    house.create(&to, plan(&to, "active")).await.unwrap();
    task(&house, &to, closes("completed")).await.unwrap();
    assert_eq!(filed(&house, &to).await, ["accepted", "closed", "reopened", "plan-agreed", "closed"]);
    let national = entries(&house).await.iter().filter(|e| e["code"]["coding"][0]["code"] == "871731000000106").count();
    assert_eq!(national, 1);
    let closed: Vec<Value> =
        entries(&house).await.into_iter().filter(|e| e["code"]["coding"][0]["code"] == "episode-closed").collect();
    assert_eq!((closed.len(), closed[0]["meta"]["versionId"].clone()), (1, json!("2")), "a new version of the same");
    let statuses: Vec<Value> = each(&care(&house).await["statusHistory"]).map(|one| one["status"].clone()).collect();
    assert_eq!(statuses, ["active", "finished", "active", "finished"]);
}

#[tokio::test]
async fn a_person_with_another_episode_is_not_reopened() {
    let (house, to) = accepted().await;
    task(&house, &to, closes("completed")).await.unwrap();
    let mut message = referrals::bars_message(1001, pool::PRACTICE);
    let text = message.to_string().replace(&referrals::nhs_number(1001), &referrals::nhs_number(1));
    message = serde_json::from_str(&text).unwrap();
    assert_ne!(house.send(&message).await.referral, to.referral);
    let reopened = task(&house, &to, |task| {
        task["status"] = json!("in-progress");
        task["statusReason"] = json!({"text": "they rang back"});
    });
    assert_eq!(refused(reopened.await), (422, "Task.status".into()));
}

#[tokio::test]
async fn restricted_words_are_an_entry_of_their_own_and_shown_to_nobody_online() {
    let (house, to) = accepted().await;
    let secret = "Do not visit alone";
    let with_note = |task: &mut Value| task["extension"] = json!([restricted("worker-safety", secret)]);
    task(&house, &to, with_note).await.unwrap();
    task(&house, &to, |task| task["status"] = json!("in-progress")).await.unwrap();
    assert_eq!(filed(&house, &to).await, ["accepted", "restricted-note"], "once, though the Task keeps it");
    let (hidden, open): (Vec<Value>, Vec<Value>) = entries(&house).await.into_iter().partition(observation::is_hidden);
    assert_eq!(hidden.len(), 1);
    assert!(hidden[0]["note"][0]["text"].as_str().unwrap().contains(secret));
    assert!(open.iter().all(|entry| !entry.to_string().contains(secret)));
    assert!(observation::is_hidden(&house.read("Task", &to.task).await), "what holds it says so too");
    let odd = task(&house, &to, |task| task["extension"] = json!([restricted("gossip", "x")])).await;
    assert_eq!(refused(odd), (422, "Task.extension".into()));
    let mut score = swemwbs(&to, "19");
    score["extension"] = json!([restricted("safeguarding", "Money is missing")]);
    let kept = house.create(&to, score).await.unwrap();
    let score = house.read("Observation", &kept.id).await;
    assert!(!score.to_string().contains("Money") && !observation::is_hidden(&score), "never both in one");
    assert_eq!(entries(&house).await.iter().filter(|entry| observation::is_hidden(entry)).count(), 2);
    let mut away = sent_on(&to, onward::SIGNPOST);
    away["meta"] = json!({"security": [observation::hidden()]});
    house.create(&to, away).await.unwrap();
    assert_eq!(entries(&house).await.iter().filter(|entry| observation::is_hidden(entry)).count(), 3);
}

#[tokio::test]
async fn a_third_party_is_not_named_in_what_the_person_reads() {
    let (house, to) = accepted().await;
    let named = json!({"url": said::THIRD_PARTY, "valueString": "Maud Invented"});
    let says = |words: &str| json!({"url": said::SUMMARY, "valueString": words});
    let close = |words: Value| {
        let named = named.clone();
        move |task: &mut Value| {
            closes("completed")(task);
            task["extension"] = json!([named, words]);
        }
    };
    let refusal = task(&house, &to, close(says("Maud will help"))).await;
    assert_eq!(refused(refusal), (422, "Task.extension".into()));
    assert_eq!(filed(&house, &to).await, ["accepted"]);
    let mut score = swemwbs(&to, "19");
    score["extension"] = json!([named]);
    score["note"] = json!([{"text": "Said by Invented"}]);
    assert_eq!(refused(house.create(&to, score).await), (422, "Observation.note".into()));
    task(&house, &to, close(says("A neighbour will help"))).await.unwrap();
    let closed = entries(&house).await.pop().unwrap();
    assert!(closed["note"][0]["text"].as_str().unwrap().contains("A neighbour will help"));
    assert!(!closed.to_string().contains("Maud"));
}

#[tokio::test]
async fn the_person_chooses_what_goes_into_the_record() {
    let shares = |word: &'static str| {
        move |task: &mut Value| {
            task["status"] = json!("accepted");
            task["extension"] = json!([{"url": said::SHARE, "valueCode": word}]);
        }
    };
    let (house, to) = referred().await;
    assert_eq!(refused(task(&house, &to, shares("some")).await), (422, "Task.extension".into()));
    task(&house, &to, shares("codes")).await.unwrap();
    task(&house, &to, |task| task["extension"].as_array_mut().unwrap().push(restricted("safeguarding", "x")))
        .await
        .unwrap();
    house.create(&to, swemwbs(&to, "19")).await.unwrap();
    house.create(&to, sent_on(&to, onward::SIGNPOST)).await.unwrap();
    assert_eq!(filed(&house, &to).await, ["accepted", "score", "score"], "no signpost and no note by codes");
    for entry in entries(&house).await {
        assert!(entry["note"].is_null(), "codes without words: {entry}");
    }
    task(&house, &to, closes("completed")).await.unwrap();
    assert_eq!(house.ledger(&to.referral).await, ("open", "practice-system".into()));

    let second = house.refer(2).await;
    task(&house, &second, shares("nothing")).await.unwrap();
    assert!(filed(&house, &second).await.is_empty());
    task(&house, &second, closes("moved")).await.unwrap();
    assert!(filed(&house, &second).await.is_empty());
    assert_eq!(house.ledger(&second.referral).await, ("closed", String::new()), "nobody is waited for");

    let third = house.refer(3).await;
    house.moves(&third, "accepted").await.unwrap();
    task(&house, &third, shares("nothing")).await.unwrap();
    task(&house, &third, closes("moved")).await.unwrap();
    assert_eq!(filed(&house, &third).await, ["accepted"]);
    assert_eq!(house.ledger(&third.referral).await, ("open", "practice-system".into()), "the acceptance is under way");
}

#[tokio::test]
async fn an_entry_says_who_recorded_it() {
    let (house, to) = accepted().await;
    let mut missed = contact(&to, Some("281399006"), 1);
    missed["participant"] =
        json!([{"type": [{"text": "Social prescribing link worker"}], "individual": {"display": "Sam Fiction"}}]);
    house.create(&to, missed).await.unwrap();
    let entry = entries(&house).await.pop().unwrap();
    let author = observation::author(&entry);
    assert_eq!((author.name.as_str(), author.role.as_str()), ("Sam Fiction", "Social prescribing link worker"));
    let words = entry["note"][0]["text"].as_str().unwrap();
    assert!(words.starts_with("The person did not attend.\nRecorded by Sam Fiction, Social prescribing link worker"));
    assert_eq!(observation::practice_codes(&entry["code"]["coding"][0]).len(), 2);
}

#[tokio::test]
async fn a_preview_shows_what_the_write_then_files_and_keeps_nothing() {
    let (house, to) = accepted().await;
    let mut closing = house.read("Task", &to.task).await;
    closes("completed")(&mut closing);
    closing["extension"] = json!([restricted("safeguarding", "Only for the practice")]);
    let show = |resource: Value, id: Option<String>| Write {
        kind: resource["resourceType"].as_str().unwrap().to_owned(),
        id,
        resource,
        ..Write::default()
    };
    let write = show(closing.clone(), Some(to.task.clone()));
    let (shown, patient) = preview(&house.gateway, &to.pool, &to.task, write).await.unwrap();
    check::check(&shown).unwrap();
    assert_eq!(patient, format!("Patient/{}", to.patient));
    assert_eq!((filed(&house, &to).await, entries(&house).await.len()), (vec!["accepted".to_owned()], 1));
    let reads = each(&shown["parameter"]).last().unwrap()["valueString"].as_str().unwrap();
    assert!(reads.contains("Social prescribing episode closed: Referral completed; Completed"), "{reads}");
    assert!(!reads.contains("Only for the practice"));
    house.update(&to.pool, closing, None).await.unwrap();
    let promised: Vec<&Value> = each(&shown["parameter"]).filter(|one| one["name"] == "entry").collect();
    let kept = entries(&house).await;
    assert_eq!((promised.len(), kept.len()), (2, 3));
    for (promised, kept) in promised.iter().zip(&kept[1..]) {
        let mut promised = promised["part"][0]["resource"].clone();
        let mut kept = fingerpost::fhir::version::content(kept.clone());
        promised["effectiveDateTime"] = Value::Null;
        kept["effectiveDateTime"] = Value::Null;
        assert_eq!(promised, kept);
    }
    let second = house.refer(2).await;
    let write = show(contact(&second, None, 1), None);
    let other = preview(&house.gateway, &to.pool, &to.task, write).await.map(|_| ());
    assert!(matches!(other.map_err(|why| why.status()), Err(404 | 422)), "another Task's");
}

#[tokio::test]
async fn bad_input_is_refused_by_element_and_nothing_is_kept() {
    let (house, to) = accepted().await;
    let with = |mut resource: Value, pointer: &str, value: Value| {
        match resource.pointer_mut(pointer) {
            Some(there) => *there = value,
            None => resource[&pointer[1..]] = value,
        }
        resource
    };
    let coded = |code: &str, display: &str| json!([{"coding": [{"system": "http://snomed.info/sct", "code": code, "display": display}]}]);
    let message = links(
        &to,
        json!({"resourceType": "Communication", "status": "completed", "sent": DAY,
            "recipient": [{"identifier": {"system": fingerpost::fhir::ids::ODS, "value": "N84001"}}]}),
        "basedOn",
    );
    let plain = contact(&to, None, 1);
    for (resource, element) in [
        (with(plain.clone(), "/type", coded("425268009", "Review of care plan")), "Encounter.type[0].coding[0].code"),
        (with(plain.clone(), "/type", coded("425268008", "Feeling lonely")), "Encounter.type[0].coding[0].display"),
        (with(plain.clone(), "/class/code", json!("IMP")), "Encounter.class"),
        (with(plain.clone(), "/period/start", json!("2025-01-01")), "Encounter.period.start"),
        (contact(&to, Some("49727002"), 1), "Encounter.extension"),
        (with(plan(&to, "active"), "/goal", json!([{"reference": "Goal/none"}])), "CarePlan.goal[0]"),
        (with(plan(&to, "agreed"), "/title", json!("x")), "CarePlan.status"),
        (with(plan(&to, "draft"), "/period", json!({"start": "2020-01-01"})), "CarePlan.period.start"),
        (sent_on(&to, "wish"), "ServiceRequest.category"),
        (with(sent_on(&to, onward::SIGNPOST), "/intent", json!("order")), "ServiceRequest.intent"),
        (
            with(sent_on(&to, onward::REFERRAL), "/performer", json!([{"reference": "Organization/x"}])),
            "ServiceRequest.performer",
        ),
        (with(sent_on(&to, onward::REFERRAL), "/authoredOn", json!("2020-01-01")), "ServiceRequest.authoredOn"),
        (
            with(message.clone(), "/recipient/0/identifier/value", json!("Z99999")),
            "Communication.recipient[0].identifier",
        ),
        (with(message.clone(), "/recipient/0", json!({"reference": "Patient/other"})), "Communication.recipient[0]"),
        (with(message.clone(), "/sent", json!("2020-01-01")), "Communication.sent"),
    ] {
        assert_eq!(refused(house.create(&to, resource).await), (422, element.into()), "{element}");
    }
    house.create(&to, message).await.unwrap();
    assert_eq!(filed(&house, &to).await, ["accepted"]);
    let goal = json!({"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": "x"},
        "extension": [{"url": said::IMPORTANCE, "valueInteger": 11}]});
    assert_eq!(refused(house.create(&to, links(&to, goal, "addresses")).await), (422, "Goal.extension".into()));
    let mut incoming = house.read("ServiceRequest", &to.referral).await;
    incoming["status"] = json!("completed");
    assert_eq!(house.update(&to.pool, incoming, None).await.unwrap_err().status(), 403, "it is the referrer's");
}

#[tokio::test]
async fn many_contacts_at_once_are_all_kept() {
    let (house, to) = referred().await;
    let made = futures_of(&house, &to).await;
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    house.moves(&to, "accepted").await.unwrap();
    assert_eq!(care(&house).await["extension"][1]["extension"][1]["valueUnsignedInt"], 4);
}

async fn futures_of(house: &House, to: &Referred) -> Vec<Result<Stored, Rejection>> {
    let one = |n: u32| house.create(to, contact(to, Some("185337004"), n));
    let (a, b, c, d) = tokio::join!(one(1), one(2), one(3), one(4));
    vec![a, b, c, d]
}

/// `mappings/outcome/cases/*.yaml`: an event and its inputs, and the entry that will be filed.
#[tokio::test]
async fn every_golden_case_gives_its_entry() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings/outcome/cases");
    let mut wrong = Vec::new();
    let mut count = 0;
    for file in std::fs::read_dir(folder).unwrap().flatten() {
        let case = fingerpost::mapping::case_from_text(&std::fs::read_to_string(file.path()).unwrap()).unwrap();
        count += 1;
        wrong.extend(golden(&case).await.into_iter().map(|why| format!("{}: {why}", file.path().display())));
    }
    assert!(count >= 10 && wrong.is_empty(), "{count} cases\n{}", wrong.join("\n"));
}

/// Sends what is `given` in order; the last one's new entries are compared with `expect`.
async fn golden(case: &Value) -> Vec<String> {
    let (house, to) = referred().await;
    let mut before = 0;
    for given in each(&case["given"]) {
        before = entries(&house).await.len();
        let kind = given["resourceType"].as_str().unwrap();
        let outcome = if kind == "Task" {
            task(&house, &to, |task| given.as_object().unwrap().iter().for_each(|(k, v)| task[k] = v.clone())).await
        } else {
            let from = match kind {
                "CarePlan" => "supportingInfo",
                _ => "basedOn",
            };
            house.create(&to, links(&to, given.clone(), from)).await
        };
        if let Err(why) = outcome {
            let at = why.issues[0].expression.clone().unwrap_or_default();
            return (case["refused"] != json!(at)).then(|| format!("refused at {at}: {why}")).into_iter().collect();
        }
    }
    let made: Vec<Value> = entries(&house).await.split_off(before);
    let wanted: Vec<&Value> = each(&case["expect"]).collect();
    if made.len() != wanted.len() || !case["refused"].is_null() {
        return vec![format!("{} entries instead of {}: {made:?}", made.len(), wanted.len())];
    }
    let differs = |(made, wanted): (&Value, &&Value)| {
        wanted
            .as_object()
            .unwrap()
            .iter()
            .filter_map(|(pointer, value)| {
                let found = made.pointer(pointer).unwrap_or(&Value::Null);
                (found != value).then(|| format!("{pointer} is {found}, not {value}"))
            })
            .collect::<Vec<_>>()
    };
    made.iter().zip(&wanted).flat_map(differs).collect()
}

/// The gateway's API as a client of a role sees it.
struct Client<'a> {
    house: &'a House,
    token: String,
}

impl<'a> Client<'a> {
    fn new(house: &'a House, role: fingerpost::config::Role, ods: &str, pools: &[String]) -> Self {
        let who = Some((role, fingerpost::fhir::ids::OdsCode::parse(ods).unwrap(), pools.to_vec()));
        let now = house.gateway.clock.now();
        Self { house, token: house.gateway.access.mint("tester", who, now).unwrap().access_token }
    }

    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        use tower::ServiceExt;
        let request = axum::http::Request::builder()
            .method(method)
            .uri(format!("/fhir{path}"))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/fhir+json")
            .body(body.map_or_else(axum::body::Body::empty, |body| body.to_string().into()))
            .unwrap();
        let router = fingerpost::api::router(self.house.gateway.clone());
        let response = router.oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }
}

#[tokio::test]
async fn all_of_it_is_offered_over_http_to_those_who_may() {
    let (house, to) = accepted().await;
    let pool = Client::new(&house, fingerpost::config::Role::Pool, "FPE01", &to.pool.pools);
    let referrer = Client::new(&house, fingerpost::config::Role::Referrer, pool::PRACTICE, &[]);
    let goal = json!({"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": "get out more"}});
    let (status, goal) = pool.ask("POST", "/Goal", Some(&links(&to, goal, "addresses"))).await;
    assert_eq!(status, 201, "{goal}");
    let named = format!("Goal/{}", goal["id"].as_str().unwrap());
    let mut agreed = plan(&to, "active");
    agreed["goal"] = json!([{"reference": named}]);
    assert_eq!(pool.ask("POST", "/CarePlan", Some(&agreed)).await.0, 201);
    let onward = sent_on(&to, onward::REFERRAL);
    let entry = json!({"resource": onward, "request": {"method": "POST", "url": "ServiceRequest"}});
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry]});
    let (status, answer) = pool.ask("POST", "", Some(&bundle)).await;
    assert_eq!((status, &answer["entry"][0]["response"]["status"]), (200, &json!("201 Created")), "{answer}");
    for (search, count) in [
        (format!("/CarePlan?goal={named}"), 1),
        (format!("/EpisodeOfCare?incoming-referral={}&status=active", to.referral), 1),
        (format!("/ServiceRequest?based-on={}", to.referral), 1),
        (format!("/Goal?lifecycle-status=active&patient={}", to.patient), 1),
        ("/Communication?status=completed".to_owned(), 0),
    ] {
        let (status, found) = pool.ask("GET", &search, None).await;
        assert_eq!((status, each(&found["entry"]).count()), (200, count), "{search}: {found}");
    }
    assert_eq!(referrer.ask("POST", "/ServiceRequest", Some(&onward)).await.0, 403);
    assert_eq!(pool.ask("POST", "/EpisodeOfCare", Some(&json!({}))).await.0, 405, "the gateway makes it");

    let asked = json!({"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": onward}]});
    let mut other = asked.clone();
    other["parameter"][0]["resource"]["note"] = json!([{"text": "another"}]);
    let at = format!("/Task/{}/$preview-outcome", to.task);
    let (status, shown) = pool.ask("POST", &at, Some(&other)).await;
    assert_eq!((status, &shown["parameter"][1]["name"]), (200, &json!("entry")), "{shown}");
    let again = pool.ask("POST", &at, Some(&asked)).await.1;
    assert_eq!(each(&again["parameter"]).last().unwrap()["valueString"], "Nothing new.", "it is there already");
    assert_eq!(referrer.ask("POST", &at, Some(&other)).await.0, 403);
    assert_eq!(pool.ask("POST", &at, Some(&onward)).await.0, 400);
    let search = fingerpost::store::EntrySearch {
        entity: Some(format!("Task/{}", to.task)),
        count: 100,
        ..fingerpost::store::EntrySearch::default()
    };
    let log = house.gateway.store.find_entries(search).await.unwrap();
    let previews: Vec<Value> = log.iter().map(|(_, leaf)| serde_json::from_slice(leaf).unwrap()).collect();
    let reads = previews.iter().filter(|entry| entry.to_string().contains("preview-outcome")).count();
    assert_eq!(reads, 4, "each was audited");
}
