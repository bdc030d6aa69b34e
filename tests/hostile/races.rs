//! The same thing twice, sixteen times at once, by two callers at once, and too late.

use reqwest::Method;
use serde_json::json;

use super::bodies::parameters;
use super::running::{Reply, send};
use super::stage::{JSON, Stage, quiet};

/// Callers at once.
const AT_ONCE: usize = 16;

pub async fn try_all(stage: &Stage) {
    hand_back_at_once(stage).await;
    moved_at_once(stage).await;
    old_version(stage).await;
    answered_at_once(stage).await;
    measures_at_once(stage).await;
    stage.log().await.iter().for_each(|entry| quiet("an audit entry", entry));
}

/// The same request sixteen times at once.
async fn at_once(stage: &Stage, method: Method, path: &str, token: &str, body: &str) -> Vec<Reply> {
    let mut tasks = Vec::new();
    for _ in 0..AT_ONCE {
        let request = stage.running.request(method.clone(), path, token).header("content-type", JSON);
        tasks.push(tokio::spawn(send(request.header("x-request-id", "the-same").body(body.to_owned()))));
    }
    let mut replies = Vec::new();
    for task in tasks {
        replies.push(task.await.unwrap());
    }
    for reply in &replies {
        assert!(reply.status < 500 || reply.status == 503, "{path}: {} {}", reply.status, reply.text);
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
    let told: std::collections::BTreeSet<&str> = told.collect();
    assert_eq!(told.len(), 1, "{told:?}");
    let of = |counts: &[(String, u64)]| counts.iter().find(|(kind, _)| kind == "Observation").unwrap().1;
    assert!((1..=2).contains(&(of(&after) - of(&before))), "{before:?} {after:?}");
}
