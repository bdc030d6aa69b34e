//! The door of the FHIR API: every request under `/fhir` enters here and every answer leaves
//! here, after its audit entry is durable. <https://hl7.org/fhir/R4/http.html>
//!
//! No audit, no answer: where the entry cannot be kept the caller is told 503, whatever was done.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::answer::{Answer, Answered, Record, Refusal};
use super::exchange::{Exchange, pairs};
use super::interaction::{Interaction, wrong_method};
use super::{AtEdge, base, body, negotiate, who};
use super::{
    audit_event, capabilities, create, filing, history, preview_outcome, process_message, read, route, search,
    transaction, update, validate,
};
use crate::access::Caller;
use crate::audit::{Action, Agent, Entry, Kind, Outcome};
use crate::config::Role;
use crate::fhir::outcome::operation_outcome;
use crate::fhir::wire::{self, Form};
use crate::rejection::{BarsError, IssueType, Rejection};
use crate::store::commit::Commit;

/// Seconds after which a caller that was turned away may come again.
const RETRY_AFTER_SECONDS: &str = "1";
/// The caller's id of a request.
pub(super) const REQUEST: &str = "x-request-id";
/// The caller's id of what several requests belong to.
pub(super) const CORRELATION: &str = "x-correlation-id";
/// Longest of these that is logged.
const ID_CHARS_MAX: usize = 64;

/// The route of a request, for metrics and the request line.
#[derive(Debug, Clone)]
pub struct Route(pub String);

/// What leaves: an answer whose audit entry is durable.
#[derive(Debug)]
pub struct Told {
    pub(super) status: u16,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Option<Bytes>,
}

impl Told {
    pub(super) fn refused(rejection: &Rejection) -> Self {
        let mut headers = Vec::new();
        let mut add = |name, value| headers.push((name, HeaderValue::from_static(value)));
        match rejection.error {
            BarsError::Unauthorized => add(header::WWW_AUTHENTICATE, "Bearer realm=\"fingerpost\""),
            BarsError::Unavailable | BarsError::TooManyRequests => add(header::RETRY_AFTER, RETRY_AFTER_SECONDS),
            _ => {}
        }
        Self { status: rejection.status(), headers, body: Some(operation_outcome(rejection).to_string().into()) }
    }
}

/// Counts a request of somebody who is not known, by its address.
///
/// # Errors
/// The answer 429, for which no entry is kept but the summed one of `access::strangers`.
pub(super) fn stranger(gateway: &crate::gateway::Gateway, address: &str, why: Option<&Rejection>) -> Result<(), Told> {
    // Whoever shows a token of ours that is past its time is told so, whatever others do.
    if why.is_some_and(|why| why.issues.iter().any(|issue| issue.kind == IssueType::Expired)) {
        return Ok(());
    }
    gateway.access.strangers.admit(address, gateway.clock.now()).map_err(|seconds| {
        let words = "too many requests from this address without a valid access token; wait, then sign in";
        let mut told = Told::refused(&Rejection::new(BarsError::TooManyRequests, IssueType::Throttled, words));
        told.headers.retain(|(name, _)| *name != header::RETRY_AFTER);
        told.headers.push((header::RETRY_AFTER, HeaderValue::from(seconds)));
        told
    })
}

/// Takes one request in and lets its answer out.
pub async fn enter(State(edge): AtEdge, request: Request) -> Response {
    let (parts, sent) = request.into_parts();
    let versions = &edge.gateway.config.bars.versions;
    let query = pairs(parts.uri.query().unwrap_or("").as_bytes());
    let wanted = query.iter().find(|(name, _)| name == "_format").map(|(_, value)| value.as_str());
    let form = negotiate::answer_form(&parts.headers, wanted, versions);
    let mut exchange = exchange(&edge, &parts, query);
    let path = parts.uri.path().strip_prefix("/fhir").unwrap_or_default();
    let asked = Interaction::of(&parts.method, path);
    let route = asked.as_ref().map_or_else(|_| "/fhir/{unknown}".to_owned(), Interaction::route);

    let admitted = admit(&edge, &parts, sent, &mut exchange, &asked, &form).await;
    let counted = match exchange.caller {
        Some(_) => Ok(()),
        None => stranger(&edge.gateway, &exchange.address, admitted.as_ref().err()),
    };
    let mut told = match (counted, admitted, asked) {
        (Err(told), ..) => told,
        (_, Ok(room), Ok(interaction)) => in_time(exchange, interaction, edge.limits.answer, room).await,
        (_, Err(rejection), asked) => {
            kept_in_time(edge.limits.answer, refuse(&exchange, asked.as_ref().ok(), rejection)).await
        }
        (_, Ok(_), Err(rejection)) => kept_in_time(edge.limits.answer, refuse(&exchange, None, rejection)).await,
    };
    if told.status == BarsError::MethodNotAllowed.status().0 {
        told.headers.push((header::ALLOW, allowed(path)));
    }
    let mut response = respond(told, form.unwrap_or(Form::Json));
    response.extensions_mut().insert(Route(route));
    response
}

fn exchange(edge: &super::Edge, parts: &Parts, query: Vec<(String, String)>) -> Exchange {
    Exchange {
        gateway: edge.gateway.clone(),
        caller: None,
        address: who::Peer::of(parts).0,
        at: edge.gateway.clock.now(),
        headers: parts.headers.clone(),
        query,
        body: Bytes::new(),
        request: id_of(&parts.headers, REQUEST),
        correlation: id_of(&parts.headers, CORRELATION),
        base: format!("{}/fhir", base(&edge.gateway)),
    }
}

/// Who is it (where it is to be known, even where it need not be), is there room, is the request whole,
/// and may the caller ask this?
async fn admit(
    edge: &super::Edge,
    parts: &Parts,
    sent: Body,
    exchange: &mut Exchange,
    asked: &Result<Interaction, Rejection>,
    form: &Result<Form, Rejection>,
) -> Result<OwnedSemaphorePermit, Rejection> {
    let open = matches!(asked, Ok(Interaction::Capabilities));
    match who::authenticate(&edge.gateway, parts) {
        Ok(caller) => exchange.caller = Some(caller),
        Err(_) if open => {}
        Err(unknown) => return Err(unknown),
    }
    let room = edge.room.clone().try_acquire_owned().map_err(|_| {
        Rejection::new(BarsError::Unavailable, IssueType::Throttled, "the gateway is busy; send it again")
    })?;
    let interaction = asked.as_ref().map_err(Clone::clone)?;
    form.as_ref().map_err(Clone::clone)?;
    if !open && !matches!(interaction, Interaction::Bundle) {
        exchange.caller()?.may(interaction.word(), interaction.kind())?;
    }
    exchange.body = body::read(sent, edge.gateway.config.serve.body_bytes_max, edge.limits.body).await?;
    if parts.method == Method::POST && matches!(interaction, Interaction::Search { .. }) {
        let posted = pairs(&exchange.body);
        exchange.query.extend(posted);
    }
    exchange.has_few_parameters()?;
    Ok(room)
}

/// Performs an interaction in a task of its own: a caller that goes away, or an answer that is
/// late, leaves no half-done work behind, and a panic is an answer. Work has its room until it is
/// done, whether or not somebody still waits for it: what is slow must not pile up.
async fn in_time(exchange: Exchange, interaction: Interaction, limit: Duration, room: OwnedSemaphorePermit) -> Told {
    let spare = exchange.clone();
    let spare_interaction = interaction.clone();
    let work = tokio::spawn(async move {
        let _room = room;
        perform(&exchange, interaction).await
    });
    match tokio::time::timeout(limit, work).await {
        Ok(Ok(told)) => told,
        Ok(Err(_)) => {
            tracing::error!(route = spare_interaction.route(), request = spare.request, "a handler panicked");
            refuse(&spare, Some(&spare_interaction), failed()).await
        }
        // The work goes on and audits itself; only its answer is lost.
        Err(_) => Told::refused(&Rejection::new(
            BarsError::Timeout,
            IssueType::Transient,
            "the answer was not ready in time; send it again with the same X-Request-Id",
        )),
    }
}

/// 500: a fault of the gateway's own.
pub(super) fn failed() -> Rejection {
    Rejection::new(BarsError::ServerError, IssueType::Exception, "the gateway failed; it has been logged")
}

/// Performs an interaction and audits it; also for each entry of a batch.
pub(super) async fn perform(exchange: &Exchange, interaction: Interaction) -> Told {
    match handle(exchange, &interaction).await {
        Ok(answer) => {
            let Answer { status, body, headers, record } = answer;
            let told = Told { status, headers, body };
            match audit(exchange, Some(&interaction), status, record, String::new()).await {
                Ok(()) => told,
                Err(unkept) => Told::refused(&unkept),
            }
        }
        Err(Refusal { rejection, kept: true, .. }) => Told::refused(&rejection),
        Err(Refusal { rejection, query, .. }) => {
            let record = Record { query, ..Record::default() };
            refuse_as(exchange, Some(&interaction), rejection, record).await
        }
    }
}

/// A refusal whose entry is durable in time, else 503: a store that stands still keeps nobody waiting.
pub(super) async fn kept_in_time(limit: Duration, refusal: impl Future<Output = Told>) -> Told {
    let busy = |_| Told::refused(&crate::store::StoreError::Overloaded.into());
    tokio::time::timeout(limit, refusal).await.unwrap_or_else(busy)
}

pub(super) async fn refuse(exchange: &Exchange, interaction: Option<&Interaction>, rejection: Rejection) -> Told {
    refuse_as(exchange, interaction, rejection, Record::default()).await
}

async fn refuse_as(
    exchange: &Exchange,
    interaction: Option<&Interaction>,
    rejection: Rejection,
    mut record: Record,
) -> Told {
    record.entities.extend(interaction.map(Interaction::entity).filter(|entity| !entity.is_empty()));
    match audit(exchange, interaction, rejection.status(), record, rejection.to_string()).await {
        Ok(()) => Told::refused(&rejection),
        Err(unkept) => Told::refused(&unkept),
    }
}

async fn handle(exchange: &Exchange, interaction: &Interaction) -> Answered {
    match interaction {
        Interaction::Capabilities => Ok(capabilities::answer(exchange)),
        Interaction::Read { kind: "AuditEvent", id } => audit_event::read(exchange, id).await,
        Interaction::Search { kind: "AuditEvent" } => audit_event::search(exchange).await,
        Interaction::Read { kind, id } => read::current(exchange, kind, id).await,
        Interaction::Vread { kind, id, version } => read::version(exchange, kind, id, *version).await,
        Interaction::History { kind, id } => history::answer(exchange, kind, id).await,
        Interaction::Create { kind } => create::answer(exchange, kind).await,
        Interaction::Update { kind, id } => update::answer(exchange, kind, id).await,
        Interaction::Search { kind } => search::answer(exchange, kind).await,
        Interaction::Operate { on, id } => match on.name {
            "filing" => filing::answer(exchange, id).await,
            "route-explain" => route::explain(exchange, id).await,
            "re-route" => route::re_route(exchange, id).await,
            "hand-back" => route::hand_back(exchange, id).await,
            "preview-outcome" => preview_outcome::answer(exchange, id).await,
            _ => Err(super::interaction::no_path().into()),
        },
        Interaction::Bundle => transaction::answer(exchange).await,
        Interaction::ProcessMessage => process_message::answer(exchange).await,
        Interaction::Validate => Ok(validate::answer(exchange)?),
    }
}

/// Commits the audit entry of an answer.
async fn audit(
    exchange: &Exchange,
    interaction: Option<&Interaction>,
    status: u16,
    record: Record,
    detail: String,
) -> Result<(), Rejection> {
    if record.kept {
        return Ok(());
    }
    let kind = if interaction == Some(&Interaction::ProcessMessage) { Kind::Intake } else { Kind::Rest };
    let (word, action) = interaction.map_or(("unknown", Action::E), |asked| (asked.word(), asked.action()));
    let caller = exchange.caller.as_ref();
    let agent = caller.map_or_else(|| Agent::anonymous(&exchange.address), Caller::agent);
    let entry = Entry {
        outcome: outcome_of(status),
        purpose: purpose(caller.map(|caller| caller.role)).to_owned(),
        request: exchange.request.clone(),
        entities: record.entities,
        patients: record.patients,
        query: record.query,
        detail,
        ..Entry::care(kind, word, action, agent, exchange.at)
    };
    keep(&exchange.gateway, entry).await
}

/// Makes one audit entry durable.
pub(super) async fn keep(gateway: &crate::gateway::Gateway, entry: Entry) -> Result<(), Rejection> {
    gateway.store.commit(Commit { audit: vec![entry], ..Commit::default() }).await?;
    Ok(())
}

pub(super) const fn outcome_of(status: u16) -> Outcome {
    match status {
        0..=399 => Outcome::Success,
        400..=499 => Outcome::MinorFailure,
        _ => Outcome::SeriousFailure,
    }
}

/// Direct care for those who give it, operations for those who run and oversee the gateway.
const fn purpose(role: Option<Role>) -> &'static str {
    match role {
        Some(Role::Referrer | Role::Consumer | Role::Pool) => "TREAT",
        Some(Role::Ig | Role::Ops) | None => "HOPERAT",
    }
}

/// The id that the caller gave the request, as it is logged: empty where there is none that is text.
pub(super) fn id_of(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|id| id.to_str().ok()).unwrap_or("").chars().take(ID_CHARS_MAX).collect()
}

fn allowed(path: &str) -> HeaderValue {
    let methods = [Method::GET, Method::HEAD, Method::POST, Method::PUT];
    let known = |method: &&Method| {
        Interaction::of(method, path).is_ok_and(|_| true)
            || Interaction::of(method, path).is_err_and(|r| r.status() != wrong_method().status())
    };
    let names: Vec<&str> = methods.iter().filter(known).map(Method::as_str).collect();
    HeaderValue::from_str(&names.join(", ")).unwrap_or(HeaderValue::from_static("GET"))
}

/// An answer in the form asked for.
pub(super) fn respond(told: Told, form: Form) -> Response {
    let (status, body) = match (told.body, form) {
        (Some(json), Form::Xml) => match xml(&json) {
            Ok(xml) => (told.status, Some((Bytes::from(xml), Form::Xml))),
            Err(rejection) => {
                let json = operation_outcome(&rejection).to_string();
                (rejection.status(), Some((json.into(), Form::Json)))
            }
        },
        (body, form) => (told.status, body.map(|body| (body, form))),
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().extend(told.headers.into_iter().map(|(name, value)| (Some(name), value)));
    if let Some((body, form)) = body {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(form.media_type()));
        *response.body_mut() = Body::from(body);
    }
    response
}

fn xml(json: &[u8]) -> Result<Vec<u8>, Rejection> {
    let resource = serde_json::from_slice(json).map_err(|_| Rejection::not_found())?;
    wire::print(&resource, Form::Xml)
}
