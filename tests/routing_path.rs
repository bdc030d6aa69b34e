//! What a routed referral does next: what routing was told, moving it by hand, handing it back,
//! clocks that run out. Each refusal is asserted too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/pool.rs"]
mod pool;
#[path = "support/referrals.rs"]
mod referrals;
#[path = "support/running.rs"]
mod running;

use fingerpost::audit::Agent;
use fingerpost::clock::Clock;
use fingerpost::config::{Config, Role};
use fingerpost::gateway::Gateway;
use fingerpost::referral::clocks;
use fingerpost::referral::explain::explain;
use fingerpost::referral::moves::{self, Mover};
use fingerpost::rejection::Rejection;
use fingerpost::routing::{Day, Decision, Sex};
use fingerpost::store::countdown::Step;
use fingerpost::store::param;
use jiff::SignedDuration;
use pool::{House, Referred, caller};
use serde_json::{Value, json};

/// A house whose clock stands at a Tuesday morning until it is moved.
async fn house() -> House {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::development(dir.path());
    config.delivery.receivers.clear();
    let clock = Clock::fixed("2026-01-06T09:00:00Z".parse().unwrap());
    House { gateway: Gateway::open_or_create(config, clock).await.unwrap(), dir }
}

fn ops() -> Mover {
    let agent = Agent::of("operator", "FPG01", "ops");
    Mover::operator(agent)
}

fn of(pool: &str) -> Mover {
    Mover::caller(&caller(pool), "r-1")
}

async fn decision(house: &House, to: &Referred) -> Decision {
    explain(&house.gateway, &to.referral).await.unwrap().unwrap().0.decision.unwrap()
}

/// The pools that see a resource.
async fn pools(house: &House, kind: &str, id: &str) -> Vec<String> {
    let rows = house.gateway.store.visibility(kind, id).await.unwrap();
    rows.into_iter().filter(|(kind, _)| *kind == param::POOL).map(|(_, pool)| pool).collect()
}

fn refusal(result: Result<moves::Moved, Rejection>) -> (u16, String) {
    let why = result.map(|_| ()).expect_err("it is refused");
    (why.status(), why.issues[0].expression.clone().unwrap_or_default())
}

/// The first resource of a type in the synthetic message.
fn entry<'a>(bundle: &'a mut Value, kind: &str) -> &'a mut Value {
    let entries = bundle["entry"].as_array_mut().unwrap();
    &mut entries.iter_mut().find(|e| e["resource"]["resourceType"] == kind).unwrap()["resource"]
}

#[tokio::test]
async fn what_the_message_says_is_what_routing_decides_on() {
    let house = house().await;
    let sct = |code: &str| json!({"coding": [{"system": "http://snomed.info/sct", "code": code}]});
    let mut bundle = referrals::bars_message(1, pool::PRACTICE);
    let request = entry(&mut bundle, "ServiceRequest");
    request["reasonCode"] = json!([sct("267076002"), sct("314434008")]);
    request["locationCode"] =
        json!([{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "PTRES"}]}]);
    request["occurrenceTiming"] = json!({"repeat": {"dayOfWeek": ["sat"]}});
    entry(&mut bundle, "Patient")["communication"] =
        json!([{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "ur"}]}, "preferred": true}]);
    let answer = house.send(&bundle).await;
    let input = explain(&house.gateway, &answer.referral).await.unwrap().unwrap().0.decision.unwrap().input;
    assert_eq!((input.language.as_deref(), input.worker_sex), (Some("ur"), Some(Sex::Female)));
    assert_eq!((input.home_visit, input.days.as_slice()), (true, &[Day::Sat][..]));
    assert!(input.needs.contains(&"267076002".to_owned()) && input.age.is_some());
}

#[tokio::test]
async fn a_referral_moved_by_hand_is_whole_with_its_new_pool_and_gone_from_the_old() {
    let house = house().await;
    let to = house.refer(2).await;
    let old = to.pool.pools[0].clone();
    let before = house.gateway.store.countdown(&to.referral).await.unwrap().unwrap();
    house.gateway.clock.advance(SignedDuration::from_hours(2));
    let moved =
        moves::reroute(&house.gateway, &ops(), &to.task, "formby", "asked for by the coordinator").await.unwrap();
    assert_eq!((moved.from.as_str(), moved.decision.pool.as_str()), (old.as_str(), "formby"));
    let task = house.read("Task", &to.task).await;
    assert_eq!(task["owner"]["identifier"]["value"], "formby");
    assert_eq!((&task["status"], &task["businessStatus"]["coding"][0]["code"]), (&json!("requested"), &json!("30005")));
    for (kind, id) in [("Task", &to.task), ("ServiceRequest", &to.referral), ("Patient", &to.patient)] {
        assert_eq!(pools(&house, kind, id).await, ["formby"], "{kind}");
    }
    assert_eq!(house.ledger(&to.referral).await, ("open", "formby".into()));
    assert_eq!(house.gateway.store.episode(&to.referral).await.unwrap().unwrap().pool, "formby");
    let (explained, provenance) = explain(&house.gateway, &to.referral).await.unwrap().unwrap();
    let by = explained.decision.as_ref().unwrap().by_hand.clone().unwrap();
    assert_eq!((by.client.as_str(), by.from.as_str()), ("operator", old.as_str()));
    assert_eq!((explained.earlier.len(), explained.earlier[0].decision.pool.as_str()), (1, old.as_str()));
    assert!(explained.decided_at.unwrap() > explained.earlier[0].decided_at);
    let provenance: Value = serde_json::from_slice(&provenance.body).unwrap();
    fingerpost::fhir::check::check(&provenance).unwrap();
    assert!(provenance["reason"][0]["text"].as_str().unwrap().contains("asked for by the coordinator"));
    let after = house.gateway.store.countdown(&to.referral).await.unwrap().unwrap();
    assert_eq!((before.round, after.round, after.pool.as_str()), (1, 2, "formby"));
    assert!(after.started > before.started && after.stopped.is_none());
    // The log remembers who moved it, and not why.
    let log = house.gateway.store.entries(0, 100).await.unwrap();
    let log: Vec<String> = log.iter().map(|(_, leaf)| String::from_utf8_lossy(leaf).into_owned()).collect();
    assert!(log.iter().any(|entry| entry.contains("re-route") && entry.contains("to pool formby")));
    assert!(log.iter().all(|entry| !entry.contains("coordinator")));
    // The old pool can do nothing more with it, and the new one all.
    assert!(house.moves(&to, "accepted").await.is_err_and(|why| why.status() == 404));
    let new = Referred { pool: caller("formby"), ..to };
    house.moves(&new, "accepted").await.unwrap();
}

#[tokio::test]
async fn what_came_of_it_and_a_linked_second_referral_move_too() {
    let house = house().await;
    let to = house.refer(3).await;
    house.moves(&to, "accepted").await.unwrap();
    let mut measure = pool::swemwbs(&to, "21");
    measure["effectiveDateTime"] = json!("2026-01-06T08:30:00Z");
    let measure = house.create(&to, measure).await.unwrap();
    let mut second = referrals::bars_message(3, pool::PRACTICE);
    entry(&mut second, "ServiceRequest")["identifier"][0]["value"] = json!("R-3-again");
    let second = house.send(&second).await.referral;
    let refused = moves::hand_back(&house.gateway, &of(&to.pool.pools[0]), &to.task, "moved away").await;
    assert_eq!(refusal(refused), (422, "Task.status".into()));
    // A running episode is moved by operations, and goes on as it is.
    moves::reroute(&house.gateway, &ops(), &to.task, "formby", "the pool closes").await.unwrap();
    assert_eq!(house.read("Task", &to.task).await["status"], "accepted");
    for (kind, id) in [("Observation", &measure.id), ("ServiceRequest", &second), ("Task", &to.task)] {
        assert_eq!(pools(&house, kind, id).await, ["formby"], "{kind}");
    }
    let note = explain(&house.gateway, &second).await.unwrap().unwrap().0;
    assert!(note.decision.is_none() && note.notes[0].contains("open episode"), "{note:?}");
    assert!(house.gateway.store.countdown(&to.referral).await.unwrap().unwrap().stopped.is_some());
}

#[tokio::test]
async fn a_pool_hands_back_and_never_gets_it_again() {
    let house = house().await;
    let to = house.refer(4).await;
    let first = to.pool.pools[0].clone();
    let mut had = vec![first.clone()];
    let mut pool = first;
    // Each pool in turn hands it back, until nobody is left but the unallocated desk.
    for _ in 0..10 {
        house.gateway.clock.advance(SignedDuration::from_mins(10));
        let moved = moves::hand_back(&house.gateway, &of(&pool), &to.task, "nobody speaks the language").await.unwrap();
        assert!(!had.contains(&moved.decision.pool), "{} had it before", moved.decision.pool);
        assert!(moved.decision.reasons[0].contains("handed it back"));
        pool = moved.decision.pool;
        had.push(pool.clone());
        if pool == "unallocated" {
            break;
        }
    }
    assert_eq!(pool, "unallocated");
    let not = decision(&house, &to).await.input.not;
    assert_eq!(not.len(), had.len() - 1);
    let desk = moves::hand_back(&house.gateway, &of("unallocated"), &to.task, "no idea").await;
    assert_eq!(refusal(desk), (422, "Task.owner".into()));
    // The desk's own clients place it.
    moves::reroute(&house.gateway, &of("unallocated"), &to.task, "bootle", "they have room").await.unwrap();
    assert_eq!(decision(&house, &to).await.pool, "bootle");
}

#[tokio::test]
async fn moves_that_may_not_be_are_refused_and_change_nothing() {
    let house = house().await;
    let to = house.refer(5).await;
    let own = to.pool.pools[0].clone();
    let go = |mover: Mover, pool: &'static str, why: &'static str| {
        let (gateway, task) = (house.gateway.clone(), to.task.clone());
        async move { refusal(moves::reroute(&gateway, &mover, &task, pool, why).await) }
    };
    assert_eq!(go(of("formby"), "bootle", "mine now").await.0, 404);
    assert_eq!(go(of(&own), "bootle", "rather them").await.0, 403);
    assert_eq!(go(ops(), "nowhere", "a reason").await, (422, "pool".into()));
    assert_eq!(go(ops(), "bootle", " x ").await, (422, "reason".into()));
    assert_eq!(go(ops(), "bootle", "it is 999 000 0018").await, (422, "reason".into()));
    let same = moves::reroute(&house.gateway, &ops(), &to.task, &own, "a reason").await;
    assert_eq!(refusal(same), (422, "pool".into()));
    assert_eq!(refusal(moves::reroute(&house.gateway, &ops(), "no-such-task", "bootle", "a reason").await).0, 404);
    assert_eq!(refusal(moves::hand_back(&house.gateway, &ops(), &to.task, "a reason").await).0, 403);
    house.moves(&to, "rejected").await.unwrap();
    assert_eq!(go(ops(), "bootle", "a reason").await, (422, "Task.status".into()));
    assert_eq!(decision(&house, &to).await.pool, own);
}

#[tokio::test]
async fn a_restricted_referral_is_moved_by_its_desk_alone() {
    let house = house().await;
    let mut bundle = referrals::bars_message(6, pool::PRACTICE);
    let label = json!([{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]);
    entry(&mut bundle, "ServiceRequest")["meta"]["security"] = label.clone();
    entry(&mut bundle, "Patient")["meta"]["security"] = label;
    let answer = house.send(&bundle).await;
    let task = moves::task_of(&answer.referral);
    let (explained, _) = explain(&house.gateway, &answer.referral).await.unwrap().unwrap();
    let decision = explained.decision.unwrap();
    assert_eq!((decision.pool.as_str(), decision.input.practice, decision.input.district), ("restricted", None, None));
    assert_eq!(refusal(moves::reroute(&house.gateway, &ops(), &task, "bootle", "a reason").await).0, 403);
    moves::reroute(&house.gateway, &of("restricted"), &task, "bootle", "agreed with the person").await.unwrap();
    let moved = explain(&house.gateway, &answer.referral).await.unwrap().unwrap().0.decision.unwrap();
    assert_eq!((moved.pool.as_str(), moved.input.practice, moved.input.restricted), ("bootle", None, true));
}

/// Communications of a kind about a referral.
async fn notices(house: &House, to: &Referred, round: u32, kind: &str) -> Option<Value> {
    let id = fingerpost::fhir::ids::stable_id(&["Communication", &to.referral, &round.to_string(), kind]).to_string();
    let stored = house.gateway.store.read("Communication", &id).await.unwrap()?;
    assert_eq!(stored.version, 1, "a notice is made once");
    Some(serde_json::from_slice(&stored.body).unwrap())
}

#[tokio::test]
async fn nobody_makes_contact_and_it_goes_back_to_the_referrer() {
    let house = house().await;
    let to = house.refer(7).await;
    let pool = to.pool.pools[0].clone();
    let step = async || house.gateway.store.countdown(&to.referral).await.unwrap().unwrap();
    let ticks = async || clocks::tick(&house.gateway).await.unwrap();
    let started = step().await;
    assert_eq!((started.step, started.pool.as_str()), (Step::Remind, pool.as_str()));
    assert_eq!(ticks().await, 0);
    // Two looks at once, and one more: reminded once.
    house.gateway.clock.advance(SignedDuration::from_hours(24 * 8));
    let (a, b) = tokio::join!(clocks::tick(&house.gateway), clocks::tick(&house.gateway));
    assert_eq!(a.unwrap() + b.unwrap() + ticks().await, 1);
    let reminder = notices(&house, &to, 1, "reminder").await.unwrap();
    fingerpost::fhir::check::check(&reminder).unwrap();
    assert!(reminder["payload"][0]["contentString"].as_str().unwrap().ends_with("by the end of 20 January 2026."));
    let id = reminder["id"].as_str().unwrap();
    assert_eq!(house.gateway.store.visibility("Communication", id).await.unwrap(), [(param::POOL, pool.clone())]);
    assert_eq!(step().await.step, Step::Escalate);
    house.gateway.clock.advance(SignedDuration::from_hours(24 * 10));
    assert_eq!((ticks().await, ticks().await), (1, 0));
    assert!(notices(&house, &to, 1, "escalation").await.is_some());
    assert!(explain(&house.gateway, &to.referral).await.unwrap().unwrap().0.clock.unwrap().overdue);
    house.gateway.clock.advance(SignedDuration::from_hours(24 * 20));
    assert_eq!((ticks().await, ticks().await), (1, 0));
    let task = house.read("Task", &to.task).await;
    assert_eq!((&task["status"], &task["businessStatus"]["coding"][0]["code"]), (&json!("rejected"), &json!("30007")));
    let told = notices(&house, &to, 1, "returned").await.unwrap();
    assert_eq!(told["recipient"][0]["identifier"]["value"], pool::PRACTICE);
    // The same as a pool's own rejection: an entry for the record, and the ledger waits for it.
    let filed = house.gateway.store.outbox_of(&to.referral, "writeback:").await.unwrap();
    assert!(filed.iter().any(|(_, event, _)| event == "outcome.returned"), "{filed:?}");
    assert_eq!(house.ledger(&to.referral).await, ("open", "practice-system".into()));
    assert!(!house.gateway.store.episode(&to.referral).await.unwrap().unwrap().open);
    assert!(step().await.stopped.is_some());
}

#[tokio::test]
async fn a_contact_or_an_answer_stops_the_clock() {
    let house = house().await;
    let contacted = house.refer(8).await;
    let encounter = json!({"resourceType": "Encounter", "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "VR"},
        "subject": {"reference": format!("Patient/{}", contacted.patient)},
        "basedOn": [{"reference": format!("ServiceRequest/{}", contacted.referral)}],
        "period": {"start": "2026-01-06T08:30:00Z", "end": "2026-01-06T08:50:00Z"}});
    house.create(&contacted, encounter).await.unwrap();
    let accepted = house.refer(9).await;
    house.moves(&accepted, "accepted").await.unwrap();
    for (to, why) in [(&contacted, "first contact"), (&accepted, "the person accepted")] {
        let stopped = house.gateway.store.countdown(&to.referral).await.unwrap().unwrap();
        assert_eq!((stopped.due, stopped.why.as_str()), (None, why));
    }
    house.gateway.clock.advance(SignedDuration::from_hours(24 * 365));
    assert_eq!(clocks::tick(&house.gateway).await.unwrap(), 0);
}

#[tokio::test]
async fn an_earlier_link_worker_is_known_to_routing() {
    let house = house().await;
    let first = house.refer(10).await;
    house.moves(&first, "rejected").await.unwrap();
    let mut again = referrals::bars_message(10, pool::PRACTICE);
    entry(&mut again, "ServiceRequest")["identifier"][0]["value"] = json!("R-10-again");
    let again = house.send(&again).await;
    let input = explain(&house.gateway, &again.referral).await.unwrap().unwrap().0.decision.unwrap().input;
    assert_eq!(input.previous.map(|(pool, _)| pool).as_deref(), Some(first.pool.pools[0].as_str()));
}

#[tokio::test]
async fn the_operations_answer_over_the_api() {
    let running = running::start(|_| {}).await;
    let practice = running.practice("surgery");
    let bundle = referrals::bars_message(11, pool::PRACTICE).to_string();
    let reply = running.message(&practice, "application/fhir+json", bundle).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let ledger = running.gateway.store.ledger(None, None).await.unwrap();
    let (referral, task, pool) = (ledger[0].id.clone(), moves::task_of(&ledger[0].id), ledger[0].waiting_on.clone());
    let own = running.token("pool", Role::Pool, "FPE05", &[&pool]);
    let other = running.token("other", Role::Pool, "FPE04", &["formby"]);
    let ops = running.token("ops", Role::Ops, "FPG01", &[]);
    let explained = format!("/fhir/ServiceRequest/{referral}/$route-explain");
    let told = running.get(&explained, &own).await;
    assert_eq!(told.status, 200, "{}", told.text);
    fingerpost::fhir::check::check(&told.json()).unwrap();
    assert_eq!(fingerpost::fhir::plain::text(&told.json(), "pool"), Some(pool.as_str()));
    assert_eq!(running.get(&explained, &practice).await.status, 200);
    assert_eq!((running.get(&explained, &other).await.status, running.get(&explained, &ops).await.status), (404, 403));
    let asks = |pool: Option<&str>, reason: Option<&str>| {
        let one = |name: &str, value: Option<&str>| value.map(|value| json!({"name": name, "valueString": value}));
        let all: Vec<Value> = one("pool", pool).into_iter().chain(one("reason", reason)).collect();
        json!({"resourceType": "Parameters", "parameter": all}).to_string()
    };
    let (route, back) = (format!("/fhir/Task/{task}/$re-route"), format!("/fhir/Task/{task}/$hand-back"));
    let fhir = "application/fhir+json";
    assert_eq!(running.post(&route, &practice, fhir, asks(Some("formby"), Some("why not"))).await.status, 403);
    assert_eq!(running.post(&route, &other, fhir, asks(Some("formby"), Some("why not"))).await.status, 404);
    assert_eq!(running.post(&route, &ops, fhir, asks(Some("formby"), None)).await.status, 400);
    assert_eq!(running.post(&route, &ops, fhir, json!({"resourceType": "Task"}).to_string()).await.status, 400);
    assert_eq!(running.get(&route, &ops).await.status, 405);
    let handed = running.post(&back, &own, fhir, asks(None, Some("nobody speaks the language"))).await;
    assert_eq!(handed.status, 200, "{}", handed.text);
    assert_ne!(fingerpost::fhir::plain::text(&handed.json(), "pool"), Some(pool.as_str()));
    assert_eq!(running.get(&format!("/fhir/Task/{task}"), &own).await.status, 404);
    let moved = running.post(&route, &ops, fhir, asks(Some("formby"), Some("there is room"))).await;
    assert_eq!(moved.status, 200, "{}", moved.text);
    assert!(!moved.text.contains(&referrals::nhs_number(11)));
    assert_eq!(running.get(&format!("/fhir/Task/{task}"), &other).await.status, 200);
    let statement = running.get("/fhir/metadata", "").await.json();
    for operation in ["route-explain", "re-route", "hand-back"] {
        assert!(statement.to_string().contains(operation), "{operation} is not stated");
    }
}
