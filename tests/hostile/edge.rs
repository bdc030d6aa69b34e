//! Limits of the edge: strangers, slow bodies, no room, a body too large.

use fingerpost::clock::Clock;
use fingerpost::store::EntrySearch;
use jiff::SignedDuration;

use super::running::{self, Running};
use super::stage::JSON;

pub async fn log(running: &Running) -> Vec<String> {
    let find = EntrySearch { count: 1000, ..EntrySearch::default() };
    let entries = running.gateway.store.find_entries(find).await.unwrap();
    entries.into_iter().map(|(_, leaf)| String::from_utf8(leaf).unwrap()).collect()
}

#[tokio::test]
async fn strangers_fill_no_log_and_stop_no_client() {
    let clock = Clock::fixed("2026-01-06T09:00:00Z".parse().unwrap());
    let few = |config: &mut fingerpost::config::Config| {
        (config.access.unknown_burst, config.access.unknown_per_minute) = (5, 6);
    };
    let running = running::start_at(clock.clone(), few).await;
    let token = running.practice("surgery");
    let before = log(&running).await.len();
    let mut told = Vec::new();
    for n in 0..40 {
        let path = ["/fhir/Task", "/metrics", "/nowhere", "/fhir/metadata"][n % 4];
        told.push(running.get(path, if n % 2 == 0 { "" } else { "rubbish" }).await);
    }
    assert!(told[..5].iter().all(|reply| reply.status != 429));
    for reply in &told[5..] {
        assert_eq!((reply.status, reply.header("retry-after")), (429, "10"), "{}", reply.text);
        assert_eq!(reply.json()["issue"][0]["code"], "throttled");
    }
    let form = "grant_type=client_credentials";
    let sign_in = running.post("/oauth2/token", "", "application/x-www-form-urlencoded", form).await;
    assert_eq!((sign_in.status, sign_in.header("retry-after")), (429, "10"), "{}", sign_in.text);
    assert_eq!(log(&running).await.len(), before + 5);
    // A client is not touched by it, and an old token is told that it is old.
    for path in ["/fhir/Task", "/fhir/metadata"] {
        assert_eq!(running.get(path, &token).await.status, 200, "{path}");
    }
    for open in ["/livez", "/readyz", "/.well-known/jwks.json"] {
        assert_eq!(running.get(open, "").await.status, 200, "{open}");
    }
    // One entry for all of them, once.
    for _ in 0..2 {
        fingerpost::access::strangers::note(&running.gateway).await.unwrap();
    }
    let summed: Vec<String> = log(&running).await.into_iter().filter(|entry| entry.contains("throttled")).collect();
    assert_eq!(summed.len(), 1);
    assert!(summed[0].contains("36 requests without a valid token"), "{}", summed[0]);
    clock.advance(SignedDuration::from_secs(10));
    assert_eq!(running.get("/fhir/Task", "").await.status, 401);
    assert_eq!(running.get("/fhir/Task", "").await.status, 429);
    clock.advance(SignedDuration::from_hours(2));
    assert_eq!(running.get("/fhir/Task", &token).await.issue(), "expired");
}

#[tokio::test]
async fn where_a_token_is_needed_the_wrong_method_tells_a_stranger_nothing() {
    let running = running::start(|_| {}).await;
    let token = running.practice("surgery");
    for (path, stranger) in [("/metrics", 401), ("/intake/jobs/1", 401), ("/livez", 405), ("/audit/checkpoint", 405)] {
        assert_eq!(running.post(path, "", JSON, "{}").await.status, stranger, "{path}");
        assert_eq!(running.post(path, &token, JSON, "{}").await.status, 405, "{path}");
    }
}

#[tokio::test]
async fn a_desk_moves_only_what_its_token_covers() {
    let desk = serde_json::json!({"id": "desk", "name": "Desk", "ods": "FPE01", "role": "pool", "pools": ["unallocated"],
        "scopes": ["system/Task.rs"]});
    let narrow = serde_json::from_value(desk).unwrap();
    let running = running::start(|config| config.access.clients.push(narrow)).await;
    let token = running.token("desk", fingerpost::config::Role::Pool, "FPE01", &[]);
    let body = super::bodies::parameters(&[("pool", "bootle"), ("reason", "a reason")]).to_string();
    let reply = running.post("/fhir/Task/x/$re-route", &token, JSON, body).await;
    assert_eq!((reply.status, reply.issue()), (403, "forbidden".to_owned()), "{}", reply.text);
}
