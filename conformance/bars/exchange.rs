//! The rules of the exchange, one by one, with a synthetic social-prescribing referral.

use fingerpost::fhir::wire::{Form, print};
use fingerpost::store::EntrySearch;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::referrals::bars_message;
use crate::running::{self, Reply, Running, send};

const JSON: &str = "application/fhir+json; version=1.4.0";

async fn sent(gateway: &Running, bundle: &Value) -> Reply {
    gateway.message(&gateway.practice("surgery"), JSON, bundle.to_string()).await
}

fn resource<'a>(bundle: &'a mut Value, kind: &str) -> &'a mut Value {
    let entries = bundle["entry"].as_array_mut().unwrap();
    &mut entries.iter_mut().find(|entry| entry["resource"]["resourceType"] == kind).expect(kind)["resource"]
}

/// The same referral in a later message.
fn later(n: u32, reason: &str, status: &str) -> Value {
    let mut bundle = bars_message(n, "N84001");
    bundle["id"] = json!(Uuid::new_v4().to_string());
    bundle["timestamp"] = json!("2026-01-05T11:00:00+00:00");
    resource(&mut bundle, "MessageHeader")["reason"]["coding"][0]["code"] = json!(reason);
    let request = resource(&mut bundle, "ServiceRequest");
    request["status"] = json!(status);
    request["meta"]["lastUpdated"] = json!("2026-01-05T11:00:00+00:00");
    bundle
}

#[tokio::test]
async fn a_new_referral_is_answered_in_the_exchange_with_its_ids() {
    let gateway = running::start(|_| {}).await;
    let (request, journey) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
    let bundle = bars_message(1, "N84001");
    let token = gateway.practice("surgery");
    let reply = gateway.message_as(&token, JSON, bundle.to_string(), &request, &journey).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!((reply.header("x-request-id"), reply.header("x-correlation-id")), (&*request, &*journey));
    let mut answer = reply.json();
    assert_eq!((&answer["resourceType"], &answer["type"]), (&json!("Bundle"), &json!("message")));
    assert_ne!(answer["id"], bundle["id"]);
    fingerpost::fhir::check::check(&answer).unwrap();
    let header = resource(&mut answer, "MessageHeader").clone();
    assert_eq!(header["response"]["code"], "ok");
    assert_eq!(header["response"]["identifier"], bundle["id"]);
    for kind in ["ServiceRequest", "Patient"] {
        let id = resource(&mut answer, kind)["id"].as_str().unwrap().to_owned();
        assert_eq!(gateway.get(&format!("/fhir/{kind}/{id}"), &token).await.status, 200, "{kind} is here under its id");
    }
    let again = gateway.message_as(&token, JSON, bundle.to_string(), &request, &journey).await;
    assert_eq!((again.status, &*again.issue()), (409, "duplicate"));
    let entries =
        gateway.gateway.store.find_entries(EntrySearch { count: 100, ..EntrySearch::default() }).await.unwrap();
    let of_request = entries.iter().filter(|(_, leaf)| String::from_utf8_lossy(leaf).contains(&request)).count();
    assert_eq!(of_request, 2, "the message and its repetition are each one audit entry");
}

#[tokio::test]
async fn xml_is_read_and_written() {
    let gateway = running::start(|_| {}).await;
    let body = print(&bars_message(2, "N84001"), Form::Xml).unwrap();
    let request = gateway.request(reqwest::Method::POST, "/fhir/$process-message", &gateway.practice("surgery"));
    let request = request
        .header("content-type", "application/fhir+xml; version=1.4.0")
        .header("accept", "application/fhir+xml; version=1.4.0")
        .header("x-request-id", Uuid::new_v4().to_string())
        .header("x-correlation-id", Uuid::new_v4().to_string());
    let reply = send(request.body(body)).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert!(reply.header("content-type").starts_with("application/fhir+xml"));
    assert!(reply.text.contains("<MessageHeader") && reply.text.contains("<Bundle"), "{}", reply.text);
}

#[tokio::test]
async fn an_update_makes_a_new_version_and_an_older_one_does_not() {
    let gateway = running::start(|_| {}).await;
    let mut first = sent(&gateway, &bars_message(3, "N84001")).await.json();
    let id = resource(&mut first, "ServiceRequest")["id"].as_str().unwrap().to_owned();
    let mut change = later(3, "update", "active");
    resource(&mut change, "ServiceRequest")["priority"] = json!("urgent");
    let reply = sent(&gateway, &change).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let now = gateway.get(&format!("/fhir/ServiceRequest/{id}"), &gateway.practice("surgery")).await;
    assert_eq!(now.header("etag"), "W/\"2\"");
    assert_eq!(now.json()["priority"], "urgent");
    let mut older = later(3, "update", "active");
    older["timestamp"] = json!("2026-01-05T09:00:00+00:00");
    resource(&mut older, "ServiceRequest")["meta"]["lastUpdated"] = json!("2026-01-05T09:00:00+00:00");
    let reply = sent(&gateway, &older).await;
    assert_eq!((reply.status, &*reply.issue()), (409, "conflict"));
}

#[tokio::test]
async fn a_cancellation_is_decided_by_the_status_and_is_final() {
    let gateway = running::start(|_| {}).await;
    for (n, (reason, status)) in [("update", "revoked"), ("delete", "entered-in-error")].into_iter().enumerate() {
        let n = 10 + u32::try_from(n).unwrap();
        let mut first = sent(&gateway, &bars_message(n, "N84001")).await.json();
        let id = resource(&mut first, "ServiceRequest")["id"].as_str().unwrap().to_owned();
        let mut cancel = later(n, reason, status);
        let definition = "https://fhir.nhs.uk/MessageDefinition/bars-message-servicerequest-request-cancelled";
        resource(&mut cancel, "MessageHeader")["definition"] = json!(definition);
        let reply = sent(&gateway, &cancel).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let token = gateway.practice("surgery");
        assert_eq!(gateway.get(&format!("/fhir/ServiceRequest/{id}"), &token).await.json()["status"], status);
        let tasks = gateway.get(&format!("/fhir/Task?focus=ServiceRequest/{id}"), &token).await.json();
        assert_eq!(tasks["entry"][0]["resource"]["status"], "cancelled");
        let revive = sent(&gateway, &later(n, "update", "active")).await;
        assert_eq!((revive.status, &*revive.issue()), (409, "conflict"), "a cancelled referral is not revived");
    }
}

/// What is changed in a good message, and the status and issue that it then gets.
type Rule = (&'static str, fn(&mut Value), u16, &'static str);

const RULES: [Rule; 14] = [
    ("not a message", |b| b["type"] = json!("collection"), 400, "invalid"),
    ("no version", |b| drop(b["meta"].as_object_mut().unwrap().shift_remove("versionId")), 400, "invariant"),
    ("unknown version", |b| b["meta"]["versionId"] = json!("9.0.0"), 422, "not-supported"),
    ("no timestamp", |b| drop(b.as_object_mut().unwrap().shift_remove("timestamp")), 400, "required"),
    ("header not first", |b| b["entry"].as_array_mut().unwrap().swap(0, 1), 400, "invariant"),
    ("booking", |b| event(b, "booking-request"), 501, "not-supported"),
    ("answer to nothing", |b| event(b, "servicerequest-response"), 404, "not-found"),
    ("unknown event", |b| event(b, "surprise"), 422, "not-supported"),
    ("care plan not done", |b| resource(b, "CarePlan")["status"] = json!("active"), 400, "invariant"),
    ("encounter not over", |b| resource(b, "Encounter")["status"] = json!("planned"), 400, "invariant"),
    ("no consent", |b| without(b, "Consent"), 400, "required"),
    ("no patient", |b| without(b, "Patient"), 400, "required"),
    ("draft", |b| resource(b, "ServiceRequest")["status"] = json!("draft"), 422, "not-supported"),
    ("update of nothing", |b| reason(b, "update"), 404, "not-found"),
];

fn event(bundle: &mut Value, code: &str) {
    resource(bundle, "MessageHeader")["eventCoding"]["code"] = json!(code);
}

fn reason(bundle: &mut Value, code: &str) {
    resource(bundle, "MessageHeader")["reason"]["coding"][0]["code"] = json!(code);
}

fn without(bundle: &mut Value, kind: &str) {
    bundle["entry"].as_array_mut().unwrap().retain(|entry| entry["resource"]["resourceType"] != kind);
}

#[tokio::test]
async fn each_rule_has_its_answer_and_the_ids_may_be_used_again() {
    let gateway = running::start(|_| {}).await;
    let token = gateway.practice("surgery");
    for (n, (name, change, status, issue)) in RULES.into_iter().enumerate() {
        let good = bars_message(100 + u32::try_from(n).unwrap(), "N84001");
        let mut bad = good.clone();
        change(&mut bad);
        let (request, journey) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
        let reply = gateway.message_as(&token, JSON, bad.to_string(), &request, &journey).await;
        assert_eq!((reply.status, &*reply.issue()), (status, issue), "{name}: {}", reply.text);
        let mended = gateway.message_as(&token, JSON, good.to_string(), &request, &journey).await;
        assert_eq!(mended.status, 200, "{name}, mended under the same ids: {}", mended.text);
    }
}

#[tokio::test]
async fn headers_and_media_types_are_checked() {
    let gateway = running::start(|config| config.bars.service_ids = vec!["2000012345".into()]).await;
    let id = "79120f41-a431-4f08-bcc5-1e67006fcae0";
    let here = "eyJ2YWx1ZSI6IjIwMDAwMTIzNDUiLCJzeXN0ZW0iOiJodHRwczovL2ZoaXIubmhzLnVrL0lkL2Rvcy1zZXJ2aWNlLWlkIn0=";
    let elsewhere = "eyJ2YWx1ZSI6IjEiLCJzeXN0ZW0iOiJodHRwczovL2ZoaXIubmhzLnVrL0lkL2Rvcy1zZXJ2aWNlLWlkIn0=";
    let bundle = bars_message(200, "N84001").to_string();
    let cases = [
        (JSON, JSON, "", id, here, 400, "required"),
        (JSON, JSON, "not-a-uuid", id, here, 400, "invalid"),
        (JSON, JSON, id, "", here, 400, "required"),
        (JSON, JSON, id, id, "", 400, "required"),
        (JSON, JSON, id, id, "%%%", 400, "invalid"),
        (JSON, JSON, id, id, elsewhere, 422, "not-supported"),
        ("text/plain", JSON, id, id, here, 415, "not-supported"),
        (JSON, "application/fhir+json; version=9.0.0", id, id, here, 406, "not-supported"),
        (JSON, "text/html", id, id, here, 406, "not-supported"),
        (JSON, JSON, id, id, here, 200, ""),
    ];
    for (media_type, accept, request, journey, target, status, issue) in cases {
        let mut built = gateway.request(reqwest::Method::POST, "/fhir/$process-message", &gateway.practice("surgery"));
        let headers = [("x-request-id", request), ("x-correlation-id", journey), ("nhsd-target-identifier", target)];
        for (name, value) in headers.into_iter().filter(|(_, value)| !value.is_empty()) {
            built = built.header(name, value);
        }
        let reply = send(built.header("content-type", media_type).header("accept", accept).body(bundle.clone())).await;
        assert_eq!((reply.status, &*reply.issue()), (status, issue), "{accept} {request} {target}: {}", reply.text);
    }
}

#[tokio::test]
async fn a_destination_that_is_not_here_is_refused() {
    let gateway = running::start(|config| config.bars.service_ids = vec!["2000054321".into()]).await;
    let target = "eyJ2YWx1ZSI6IjIwMDAwNTQzMjEiLCJzeXN0ZW0iOiJodHRwczovL2ZoaXIubmhzLnVrL0lkL2Rvcy1zZXJ2aWNlLWlkIn0=";
    let built = gateway.request(reqwest::Method::POST, "/fhir/$process-message", &gateway.practice("surgery"));
    let built = built.header("content-type", JSON).header("nhsd-target-identifier", target);
    let built = built.header("x-request-id", Uuid::new_v4().to_string());
    let built = built.header("x-correlation-id", Uuid::new_v4().to_string());
    let reply = send(built.body(bars_message(1, "N84001").to_string())).await;
    assert_eq!((reply.status, &*reply.issue()), (422, "not-supported"));
}
