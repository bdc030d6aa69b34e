//! transaction and batch. <https://hl7.org/fhir/R4/http.html#transaction>
//!
//! A Bundle with a ServiceRequest is a referral and goes down the path as one commit. Other
//! transactions may hold one entry; a batch may hold many, each judged, done and audited by itself.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, Method, header};
use bytes::Bytes;
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::{Answer, Answered, Record, Refusal};
use super::door::{self, Told};
use super::exchange::{Exchange, pairs};
use super::interaction::Interaction;
use crate::config::Role;
use crate::fhir::{self, each, onward, outcome, pages};
use crate::referral::{self, Channel, Received};
use crate::rejection::{BarsError, IssueType, Rejection};
use crate::store::commit::{DoorKey, digest};

/// Entries of one Bundle at most.
const ENTRIES_MAX: usize = 4500;

/// Does what the Bundle asks.
pub async fn answer(exchange: &Exchange) -> Answered {
    let bundle = match exchange.resource() {
        Ok(bundle) => Arc::new(bundle),
        Err(rejection) => {
            exchange.caller()?.may("transaction", "")?;
            let received = received(exchange, Channel::Fhir)?;
            return Err(Refusal::kept(referral::refuse(&exchange.gateway, &received, rejection).await));
        }
    };
    let kind = bundle["type"].as_str().unwrap_or("");
    let entries = each(&bundle["entry"]).count();
    if fhir::kind(&bundle) != "Bundle" || !matches!(kind, "transaction" | "batch") {
        let words = "POST to the base takes a Bundle of type transaction or batch";
        return Err(Rejection::bad_request(IssueType::Invalid, words).at("Bundle.type").into());
    }
    exchange.caller()?.may(if kind == "batch" { "batch" } else { "transaction" }, "")?;
    if entries > ENTRIES_MAX {
        let words = format!("the Bundle has more than {ENTRIES_MAX} entries");
        return Err(Rejection::new(BarsError::TooLarge, IssueType::TooLong, words).at("Bundle.entry").into());
    }
    // What a pool makes is based on a referral and is none itself: it does not go down the path.
    let is_referral = |resource: &Value| fhir::kind(resource) == "ServiceRequest" && !onward::is_onward(resource);
    let refers = each(&bundle["entry"]).any(|entry| is_referral(&entry["resource"]));
    if kind == "transaction" && refers {
        return refer(exchange, &bundle).await;
    }
    if kind == "transaction" && entries != 1 {
        let words = "a transaction holds one referral, or one entry; send several entries as a batch";
        return Err(Rejection::unprocessable(IssueType::NotSupported, words).at("Bundle.entry").into());
    }
    each_by_itself(exchange, &bundle, kind).await
}

/// The referral's way: one commit for all of it.
async fn refer(exchange: &Exchange, bundle: &Arc<Value>) -> Answered {
    let caller = exchange.caller()?;
    caller.may("create", "ServiceRequest")?;
    if caller.role != Role::Referrer {
        let words = "a ServiceRequest made by a pool is a referral onward or a signpost, by its category";
        return Err(Rejection::forbidden(words).into());
    }
    let mut received = received(exchange, Channel::Fhir)?;
    received.keys.extend(request_key(exchange, &caller.client));
    received.bundle = Some(bundle.clone());
    let answer = referral::process(&exchange.gateway, received).await.map_err(Refusal::kept)?;
    let entries = each(&bundle["entry"]).map(|entry| response(exchange, entry, &answer)).collect();
    Ok(Answer::resource(&pages::response("transaction-response", entries), Record::kept()))
}

/// What came in, for the path.
pub fn received(exchange: &Exchange, channel: Channel) -> Result<Received, Rejection> {
    let caller = exchange.caller()?;
    Ok(Received {
        id: Uuid::new_v4(),
        channel,
        agent: caller.agent(),
        at: exchange.at,
        request: exchange.request.clone(),
        correlation: exchange.correlation.clone(),
        // One that is not taken is kept as it was named.
        content_type: exchange
            .body_form()
            .map_or_else(|_| exchange.header("content-type").to_owned(), |form| form.media_type().to_owned()),
        bytes: exchange.body.clone(),
        keys: Vec::new(),
        source: caller.client.clone(),
        tree: None,
        bundle: None,
        replays: None,
    })
}

/// The door key of `X-Request-Id`, where there is one.
pub fn request_key(exchange: &Exchange, sender: &str) -> Option<DoorKey> {
    (!exchange.request.is_empty()).then(|| DoorKey {
        scope: "request",
        key: format!("{sender} {}", exchange.request),
        digest: digest(&exchange.body),
        expires: None,
    })
}

fn response(exchange: &Exchange, entry: &Value, answer: &referral::Answer) -> Value {
    let url = entry["fullUrl"].as_str().unwrap_or("");
    let assigned = answer.assigned.iter().find(|(full_url, _, _)| full_url == url);
    let Some((_, kind, id)) = assigned else {
        let said = outcome::information("kept with the message; it is not a resource of its own here");
        return json!({"response": {"status": "200 OK", "outcome": said}});
    };
    let version = answer.resources.iter().find(|(k, i, _)| k == kind && i == id).map(|(_, _, version)| *version);
    match version {
        Some(version) => json!({"response": {
            "status": if version == 1 { "201 Created" } else { "200 OK" },
            "location": format!("{}/{kind}/{id}/_history/{version}", exchange.base),
            "etag": format!("W/\"{version}\""),
        }}),
        None => json!({"response": {
            "status": "202 Accepted",
            "location": format!("{}/{kind}/{id}", exchange.base),
            "outcome": outcome::remarks("warning", &answer.findings),
        }}),
    }
}

/// Each entry as a request of its own.
async fn each_by_itself(exchange: &Exchange, bundle: &Value, kind: &str) -> Answered {
    let mut responses = Vec::new();
    for entry in each(&bundle["entry"]) {
        let told = one(exchange, entry).await;
        if kind == "transaction" && told.status >= 400 {
            return Ok(Answer { status: told.status, body: told.body, headers: told.headers, record: Record::kept() });
        }
        responses.push(of(&told));
    }
    let record = Record { query: format!("{} entries", responses.len()), ..Record::default() };
    Ok(Answer::resource(&pages::response(&format!("{kind}-response"), responses), record))
}

/// Boxed, because the door comes back here for a Bundle.
fn one<'a>(exchange: &'a Exchange, entry: &'a Value) -> Pin<Box<dyn Future<Output = Told> + Send + 'a>> {
    Box::pin(async move {
        let request = &entry["request"];
        let method = Method::from_bytes(request["method"].as_str().unwrap_or("").as_bytes()).unwrap_or(Method::TRACE);
        let (path, query) = request["url"].as_str().map_or(("", ""), |url| url.split_once('?').unwrap_or((url, "")));
        let mut inner = exchange.clone();
        inner.query = pairs(query.as_bytes());
        inner.body = if entry["resource"].is_object() { entry["resource"].to_string().into() } else { Bytes::new() };
        inner.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/fhir+json"));
        for (name, member) in [(header::IF_MATCH, "ifMatch"), (header::IF_NONE_MATCH, "ifNoneMatch")] {
            set(&mut inner, name, request[member].as_str());
        }
        set(&mut inner, HeaderName::from_static("if-none-exist"), request["ifNoneExist"].as_str());
        let asked = Interaction::of(&method, path).and_then(|asked| match asked {
            Interaction::Bundle | Interaction::ProcessMessage => Err(super::interaction::wrong_method()),
            asked => exchange.caller()?.may(asked.word(), asked.kind()).map(|()| asked),
        });
        let asked = asked.and_then(|asked| inner.has_few_parameters().map(|()| asked));
        match asked {
            Ok(asked) => door::perform(&inner, asked).await,
            Err(rejection) => door::refuse(&inner, None, rejection).await,
        }
    })
}

fn set(exchange: &mut Exchange, name: HeaderName, value: Option<&str>) {
    exchange.headers.remove(&name);
    if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
        exchange.headers.insert(name, value);
    }
}

/// The words of a header `Warning`.
fn warning((_, value): &(HeaderName, HeaderValue)) -> Option<String> {
    let words = value.to_str().ok()?.split('"').nth(1)?;
    Some(words.to_owned())
}

fn of(told: &Told) -> Value {
    let status = axum::http::StatusCode::from_u16(told.status).map_or_else(|_| "500".into(), |s| s.to_string());
    let mut response = json!({"status": status});
    let warned: Vec<String> =
        told.headers.iter().filter(|(name, _)| *name == header::WARNING).filter_map(warning).collect();
    if !warned.is_empty() {
        response["outcome"] = outcome::remarks("warning", &warned);
    }
    for (name, value) in &told.headers {
        let value = value.to_str().unwrap_or("");
        if *name == header::LOCATION {
            response["location"] = json!(value);
        } else if *name == header::ETAG {
            response["etag"] = json!(value);
        }
    }
    let body: Option<Value> = told.body.as_ref().and_then(|body| serde_json::from_slice(body).ok());
    match body {
        Some(body) if told.status >= 400 => {
            response["outcome"] = body;
            json!({"response": response})
        }
        Some(body) => json!({"resource": body, "response": response}),
        None => json!({"response": response}),
    }
}
