//! The same thing twice, sixteen times at once, by two callers at once, and too late.

use std::collections::BTreeSet;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::bodies::parameters;
use super::message_headers::with;
use super::referrals::bars_message;
use super::running::{Reply, send};
use super::stage::{JSON, Stage, quiet};

/// Callers at once.
const AT_ONCE: usize = 16;
/// Pools of the place of development.
const POOLS: [&str; 7] =
    ["north", "central", "ainsdale-birkdale", "formby", "crosby-maghull", "seaforth-litherland", "bootle"];

pub async fn try_all(stage: &Stage) {
    hand_back_at_once(stage).await;
    moved_at_once(stage).await;
    moved_apart_at_once(stage).await;
    contacts_at_once(stage).await;
    amended_at_once(stage).await;
    old_version(stage).await;
    answered_at_once(stage).await;
    measures_at_once(stage).await;
    stage.log().await.iter().for_each(|entry| quiet("an audit entry", entry));
}

/// The same request sixteen times at once.
async fn at_once(stage: &Stage, method: Method, path: &str, token: &str, body: &str) -> Vec<Reply> {
    let request = || stage.running.request(method.clone(), path, token).header("content-type", JSON);
    let same = |_| request().header("x-request-id", "the-same").body(body.to_owned());
    together(path, (0..AT_ONCE).map(same)).await
}

/// Requests at once, none of which is the gateway's fault.
async fn together(path: &str, requests: impl Iterator<Item = RequestBuilder>) -> Vec<Reply> {
    let tasks: Vec<_> = requests.map(|request| tokio::spawn(send(request))).collect();
    let mut replies = Vec::new();
    for task in tasks {
        replies.push(task.await.unwrap());
    }
    for reply in &replies {
        assert!(reply.status < 500, "{path}: {} {}", reply.status, reply.text);
    }
    replies
}

fn done(replies: &[Reply]) -> usize {
    replies.iter().filter(|reply| reply.status < 300).count()
}

async fn version(stage: &Stage) -> u32 {
    stage.running.gateway.store.read("Task", &stage.waiting.task).await.unwrap().unwrap().version
}

async fn owner(stage: &Stage) -> String {
    let task = stage.read("Task", &stage.waiting.task).await;
    task["owner"]["identifier"]["value"].as_str().unwrap().to_owned()
}

async fn hand_back_at_once(stage: &Stage) {
    let path = format!("/fhir/Task/{}/$hand-back", stage.waiting.task);
    let body = parameters(&[("reason", "no room this week")]).to_string();
    let before = version(stage).await;
    let replies = at_once(stage, Method::POST, &path, &stage.own, &body).await;
    assert_eq!((done(&replies), version(stage).await), (1, before + 1));
    assert_ne!(owner(stage).await, stage.pool);
    let again = stage.running.post(&path, &stage.own, JSON, body).await;
    assert_eq!(again.status, 404, "it is not theirs any more: {}", again.text);
}

async fn moved_at_once(stage: &Stage) {
    let path = format!("/fhir/Task/{}/$re-route", stage.waiting.task);
    let body = parameters(&[("pool", &stage.pool), ("reason", "they have room after all")]).to_string();
    let before = version(stage).await;
    let replies = at_once(stage, Method::POST, &path, &stage.ops, &body).await;
    assert_eq!((done(&replies), version(stage).await, owner(stage).await), (1, before + 1, stage.pool.clone()));
    // Away from a pool that handed it back before: a move by hand, and logged as one.
    let away = parameters(&[("pool", &stage.elsewhere), ("reason", "moved house")]).to_string();
    let home = parameters(&[("pool", &stage.pool), ("reason", "and back again")]).to_string();
    for body in [away, home] {
        assert_eq!(stage.running.post(&path, &stage.ops, JSON, body).await.status, 200);
    }
    let log = stage.log().await;
    let count = |word: &str| {
        let word = format!("\"interaction\":\"{word}\"");
        log.iter().filter(|entry| entry.contains(&word) && entry.contains("from pool")).count()
    };
    assert_eq!((count("hand-back"), count("re-route")), (1, 3));
}

/// Sixteen move one Task to seven pools: each that is told yes is a version, nobody is told 503.
async fn moved_apart_at_once(stage: &Stage) {
    let path = format!("/fhir/Task/{}/$re-route", stage.waiting.task);
    let to = |pool: &str| {
        let body = parameters(&[("pool", pool), ("reason", "they have room")]).to_string();
        stage.running.request(Method::POST, &path, &stage.ops).header("content-type", JSON).body(body)
    };
    for _ in 0..3 {
        let before = version(stage).await;
        let replies = together(&path, (0..AT_ONCE).map(|n| to(POOLS[n % POOLS.len()]))).await;
        let moves = u32::try_from(done(&replies)).unwrap();
        assert!(moves >= 6, "each pool that had it not was asked for");
        assert_eq!(version(stage).await, before + moves);
        let moot = replies.iter().filter(|reply| reply.status >= 300);
        moot.for_each(|reply| assert_eq!(reply.status, 422, "{}", reply.text));
    }
    if owner(stage).await != stage.pool {
        assert_eq!(together(&path, std::iter::once(to(&stage.pool))).await[0].status, 200);
    }
}

/// Sixteen contacts of one episode are all kept.
async fn contacts_at_once(stage: &Stage) {
    let subject = &stage.accepted;
    let now = stage.running.gateway.clock.now();
    let contact = json!({"resourceType": "Encounter", "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": format!("Patient/{}", subject.patient)},
        "basedOn": [{"reference": format!("ServiceRequest/{}", subject.id)}],
        "period": {"start": now.to_string(), "end": now.to_string()}});
    let one = |n: usize| {
        let mut contact = contact.clone();
        contact["identifier"] = json!([{"system": "https://pool.example/id/contact", "value": format!("at-once-{n}")}]);
        let request = stage.running.request(Method::POST, "/fhir/Encounter", &stage.own);
        request.header("content-type", JSON).body(contact.to_string())
    };
    let replies = together("/fhir/Encounter", (0..AT_ONCE).map(one)).await;
    replies.iter().for_each(|reply| assert_eq!(reply.status, 201, "{}", reply.text));
    let places: BTreeSet<&str> = replies.iter().map(|reply| reply.header("location")).collect();
    assert_eq!(places.len(), AT_ONCE);
}

/// The surgery sends sixteen amendments of one referral at once, each another.
async fn amended_at_once(stage: &Stage) {
    let path = "/fhir/$process-message";
    let amendment = |n: usize| {
        let mut bundle = bars_message(2, "N84001");
        bundle["id"] = json!(format!("11111111-0000-4000-9000-{n:012}"));
        bundle["entry"][0]["resource"]["reason"]["coding"][0]["code"] = json!("update");
        for entry in bundle["entry"].as_array_mut().unwrap() {
            let resource: &mut Value = &mut entry["resource"];
            if resource["resourceType"] == "ServiceRequest" {
                resource["reasonCode"] = json!([{"text": format!("planted free text {n}")}]);
            }
        }
        with(stage.running.request(Method::POST, path, &stage.surgery), u32::try_from(n).unwrap() + 500)
            .body(bundle.to_string())
    };
    let replies = together(path, (0..AT_ONCE).map(amendment)).await;
    replies.iter().for_each(|reply| assert_eq!(reply.status, 200, "{}", reply.text));
}

async fn old_version(stage: &Stage) {
    let task = stage.read("Task", &stage.waiting.task).await;
    let path = format!("/fhir/Task/{}", stage.waiting.task);
    let put = |tag: &'static str| {
        let request = stage.running.request(Method::PUT, &path, &stage.own).header("content-type", JSON);
        send(request.header("if-match", tag).body(task.to_string()))
    };
    let before = stage.counts().await;
    for (tag, status) in [("W/\"1\"", 412), ("W/\"99\"", 412), ("soon", 400), ("W/\"-1\"", 400), ("99999999999", 400)] {
        let reply = put(tag).await;
        assert_eq!(reply.status, status, "{tag}: {}", reply.text);
    }
    assert_eq!(before, stage.counts().await);
}

/// Two callers of one pool: one accepts, one declines; one of them holds.
async fn answered_at_once(stage: &Stage) {
    let before = version(stage).await;
    let path = format!("/fhir/Task/{}", stage.waiting.task);
    let put = |status: &'static str| {
        let path = path.clone();
        async move {
            let mut task = stage.read("Task", &stage.waiting.task).await;
            task["status"] = json!(status);
            task["statusReason"] = json!({"text": "as agreed"});
            let request = stage.running.request(Method::PUT, &path, &stage.own).header("content-type", JSON);
            send(request.header("if-match", format!("W/\"{before}\"")).body(task.to_string())).await
        }
    };
    let (one, two) = tokio::join!(put("accepted"), put("rejected"));
    let statuses = [one.status, two.status];
    assert_eq!(done(&[one, two]), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 409, 412, 422].contains(status)), "{statuses:?}");
    assert_eq!(version(stage).await, before + 1);
}

/// The same outcome sent sixteen times under one request id is one resource at one version, with
/// what is worked out from it.
async fn measures_at_once(stage: &Stage) {
    let before = stage.counts().await;
    let replies = at_once(stage, Method::POST, "/fhir/Observation", &stage.own, &stage.observation().to_string()).await;
    let after = stage.counts().await;
    let told = replies.iter().filter(|reply| reply.status < 300).map(|reply| reply.header("location"));
    let told: BTreeSet<&str> = told.collect();
    assert_eq!(told.len(), 1, "{told:?}");
    let of = |counts: &[(String, u64)]| counts.iter().find(|(kind, _)| kind == "Observation").unwrap().1;
    assert!((1..=2).contains(&(of(&after) - of(&before))), "{before:?} {after:?}");
}
