//! The FHIR API in process: who may ask, what is answered, and that all of it is audited.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/referrals.rs"]
#[allow(dead_code)]
mod referrals;

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode};
use fingerpost::api;
use fingerpost::clock::Clock;
use fingerpost::config::{Config, Role};
use fingerpost::fhir::ids::OdsCode;
use fingerpost::gateway::Gateway;
use fingerpost::store::EntrySearch;
use serde_json::{Value, json};
use tower::ServiceExt;

struct Rig {
    gateway: Gateway,
    router: axum::Router,
    _dir: tempfile::TempDir,
}

impl Rig {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::development(dir.path());
        let gateway = Gateway::open_or_create(config, Clock::System).await.unwrap();
        Self { router: api::router(gateway.clone()), gateway, _dir: dir }
    }

    fn token(&self, role: Role, ods: &str) -> String {
        let who = Some((role, OdsCode::parse(ods).unwrap(), Vec::new()));
        self.gateway.access.mint("tester", who, self.gateway.clock.now()).unwrap().access_token
    }

    async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn ask(&self, role: Role, method: Method, path: &str, body: Option<Vec<u8>>) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.token(role, "N84001")))
            .header("content-type", "application/fhir+json")
            .body(body.map_or_else(Body::empty, Body::from))
            .unwrap();
        told(self.send(request).await).await
    }

    async fn entries(&self) -> Vec<Value> {
        let found = self.gateway.store.find_entries(EntrySearch { count: 100, ..EntrySearch::default() }).await;
        found.unwrap().iter().map(|(_, leaf)| serde_json::from_slice(leaf).unwrap()).collect()
    }
}

async fn told(response: Response<Body>) -> (u16, Value) {
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

fn issue(told: &(u16, Value)) -> (u16, &str) {
    (told.0, told.1["issue"][0]["code"].as_str().unwrap_or(""))
}

#[tokio::test]
async fn metadata_needs_no_sign_in_and_is_fhir() {
    let rig = Rig::new().await;
    let (status, statement) = told(rig.send(Request::get("/fhir/metadata").body(Body::empty()).unwrap()).await).await;
    assert_eq!((status, &statement["resourceType"]), (200, &json!("CapabilityStatement")));
    fingerpost::fhir::check::check(&statement).unwrap();
}

#[tokio::test]
async fn everything_else_needs_a_sign_in_and_refusals_are_audited() {
    let rig = Rig::new().await;
    for path in ["/fhir/Task", "/fhir/Task/a", "/fhir/Nothing", "/metrics", "/nowhere", "/intake/jobs/a"] {
        let response = rig.send(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert!(response.headers().contains_key("www-authenticate"), "{path}");
        assert_eq!(response.headers()["x-fingerpost-mode"], "development");
    }
    let entries = rig.entries().await;
    assert_eq!(entries.len(), 6);
    assert!(entries.iter().all(|entry| entry["outcome"] == "4" && entry["agent"]["client"] == "anonymous"));
}

#[tokio::test]
async fn errors_are_operation_outcomes() {
    let rig = Rig::new().await;
    let ask = |role, method, path: &'static str, body: Option<Vec<u8>>| rig.ask(role, method, path, body);
    assert_eq!(issue(&ask(Role::Ig, Method::GET, "/fhir/Task/none", None).await), (404, "not-found"));
    assert_eq!(issue(&ask(Role::Ig, Method::DELETE, "/fhir/Task/none", None).await), (405, "not-supported"));
    assert_eq!(issue(&ask(Role::Ig, Method::GET, "/fhir/Slot", None).await), (404, "not-found"));
    assert_eq!(issue(&ask(Role::Ig, Method::GET, "/fhir/fhir/Task", None).await).0, 404);
    assert_eq!(issue(&ask(Role::Ops, Method::GET, "/fhir/Patient", None).await), (403, "forbidden"));
    assert_eq!(issue(&ask(Role::Ig, Method::GET, "/fhir/Task?_count=x", None).await), (400, "value"));
    let cut = br#"{"resourceType":"Task""#.to_vec();
    assert_eq!(issue(&ask(Role::Pool, Method::POST, "/fhir/Task", Some(cut)).await), (400, "structure"));
    let long = vec![b' '; rig.gateway.config.serve.body_bytes_max + 1];
    assert_eq!(issue(&ask(Role::Pool, Method::POST, "/fhir/Task", Some(long)).await), (413, "too-long"));
    let request = Request::get("/fhir/Task").header("accept", "text/html");
    let request = request.header("authorization", format!("Bearer {}", rig.token(Role::Ig, "N84001")));
    let answer = told(rig.send(request.body(Body::empty()).unwrap()).await).await;
    assert_eq!(issue(&answer), (406, "not-supported"));
    assert_eq!(rig.entries().await.len(), 9, "each refusal is an entry");
}

#[tokio::test]
async fn searches_are_audited_without_naming_anybody() {
    let rig = Rig::new().await;
    let (status, bundle) =
        rig.ask(Role::Ig, Method::GET, "/fhir/Patient?family=Secret&gender=female&odd=1", None).await;
    assert_eq!((status, &bundle["type"]), (200, &json!("searchset")));
    let entries = rig.entries().await;
    assert_eq!(entries[0]["interaction"], "search-type");
    assert!(!entries[0].to_string().contains("Secret"));
    let (status, events) = rig.ask(Role::Ig, Method::GET, "/fhir/AuditEvent?subtype=search-type", None).await;
    assert_eq!((status, events["entry"].as_array().map(Vec::len)), (200, Some(1)), "{events}");
}

#[tokio::test]
async fn messages_are_told_what_is_wrong_with_them() {
    let rig = Rig::new().await;
    let answer = rig.ask(Role::Referrer, Method::POST, "/fhir/$process-message", Some(b"{}".to_vec())).await;
    assert_eq!(issue(&answer), (400, "required"));
    assert_eq!(answer.1["issue"].as_array().map(Vec::len), Some(2), "both ids are missing");
    assert_eq!(rig.entries().await.len(), 1);
}

#[tokio::test]
async fn ids_are_mirrored() {
    let rig = Rig::new().await;
    let request = Request::get("/livez").header("x-request-id", "r-1").header("x-correlation-id", "c-1");
    let response = rig.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.headers()["x-request-id"], "r-1");
    assert_eq!(response.headers()["x-correlation-id"], "c-1");
}

/// Posts a message under a request id of its own.
async fn post_message(rig: &Rig, message: &Value, request: &str) -> (u16, Value) {
    let request = Request::post("/fhir/$process-message")
        .header("authorization", format!("Bearer {}", rig.token(Role::Referrer, "N84001")))
        .header("content-type", "application/fhir+json; version=1.1.0")
        .header("x-request-id", request)
        .header("x-correlation-id", "00000000-0000-4000-8000-0000000000cc")
        .body(Body::from(message.to_string()))
        .unwrap();
    told(rig.send(request).await).await
}

#[tokio::test]
async fn a_message_is_answered_in_the_exchange_and_read_back() {
    let rig = Rig::new().await;
    let message = referrals::bars_message(1, "N84001");
    let (one, two) = ("00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002");
    let (status, answer) = post_message(&rig, &message, one).await;
    assert_eq!((status, &answer["type"]), (200, &json!("message")), "{answer}");
    fingerpost::fhir::check::check(&answer).unwrap();
    let entries = answer["entry"].as_array().unwrap();
    let referral = entries.iter().find(|e| e["resource"]["resourceType"] == "ServiceRequest").unwrap();
    let id = referral["resource"]["id"].as_str().unwrap();

    let (status, read) = rig.ask(Role::Referrer, Method::GET, &format!("/fhir/ServiceRequest/{id}"), None).await;
    assert_eq!((status, read["id"].as_str()), (200, Some(id)), "{read}");
    let history = format!("/fhir/ServiceRequest/{id}/_history");
    assert_eq!(rig.ask(Role::Referrer, Method::GET, &history, None).await.1["total"], 1);
    let number = referrals::nhs_number(1);
    let by_number = format!("/fhir/ServiceRequest?patient:identifier=https://fhir.nhs.uk/Id/nhs-number%7C{number}");
    let (_, found) = rig.ask(Role::Referrer, Method::GET, &by_number, None).await;
    assert_eq!(found["entry"].as_array().map(Vec::len), Some(1), "{found}");
    let log = rig.entries().await.iter().map(Value::to_string).collect::<String>();
    assert!(!log.contains(&number), "the audit log names nobody");

    assert_eq!(issue(&post_message(&rig, &message, one).await), (409, "duplicate"));
    assert_eq!(issue(&post_message(&rig, &message, two).await), (409, "duplicate"));
    let mut other = message.clone();
    other["timestamp"] = json!("2026-01-06T10:00:00Z");
    assert_eq!(issue(&post_message(&rig, &other, two).await), (409, "conflict"));
}

/// Asks how far an upload is until it is read.
async fn result_of(rig: &Rig, at: &str) -> (u16, Value) {
    for _ in 0..2400 {
        let told = rig.ask(Role::Referrer, Method::GET, at, None).await;
        if told.0 != 202 {
            return told;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the upload was not read in time");
}

#[tokio::test]
async fn extracts_are_taken_by_upload_and_what_is_none_is_refused() {
    let rig = Rig::new().await;
    let upload = |name: &str, body: &str| {
        Request::post("/intake/emis-extract")
            .header("authorization", format!("Bearer {}", rig.token(Role::Referrer, "N84001")))
            .header("content-disposition", format!("attachment; filename={name}"))
            .body(Body::from(body.to_owned()))
            .unwrap()
    };
    let refused = told(rig.send(upload("holiday.txt", "not an extract")).await).await;
    assert_eq!(refused.0, 422, "{}", refused.1);

    let taken = rig.send(upload("Coding_ClinicalCode.csv", "CodeId,Term\r\n")).await;
    assert_eq!(taken.status(), StatusCode::ACCEPTED);
    let at = taken.headers()["location"].to_str().unwrap().to_owned();
    let path = &at[at.find("/intake/").unwrap()..];
    let (status, result) = result_of(&rig, path).await;
    assert_eq!((status, &result["received"]), (200, &json!(0)), "{result}");
}
