//! What is answered besides FHIR: liveness, metrics, discovery, tokens, the log's tiles; and what
//! is done around every request: mirrored ids, the development mark, the request line.
//!
//! Nothing here shows a patient's data, so nothing here but sign-ins (audited by `access`) and
//! refusals is an audit entry.

use std::fmt::Write as _;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::door::{self, Route, Told, respond};
use super::interaction::{no_path, wrong_method as rejected_method};
use super::who::{self, Peer};
use super::{AtEdge, Edge, base, body, metrics as meters};
use crate::access::{self, Caller, TokenRequest};
use crate::audit::{Action, Agent, Entry, Kind, tiles};
use crate::fhir::wire::Form;
use crate::rejection::Rejection;

/// Longest token request.
const FORM_BYTES_MAX: usize = 32 * 1024;
/// Where nobody need sign in.
const OPEN: [&str; 6] = ["/livez", "/readyz", "/.well-known/", "/fhir/.well-known/", "/oauth2/token", "/audit/"];
/// Ids that are mirrored.
const MIRRORED: [&str; 2] = [door::REQUEST, door::CORRELATION];

/// Around every request: ids mirrored, the development mark set, the request counted and logged.
pub async fn around(State(edge): AtEdge, mut request: Request, next: Next) -> Response {
    let started = tokio::time::Instant::now();
    let method = request.method().clone();
    let matched = request.extensions().get::<axum::extract::MatchedPath>().map(|path| path.as_str().to_owned());
    let ids: Vec<_> = MIRRORED.iter().filter_map(|name| Some((*name, request.headers().get(*name)?.clone()))).collect();
    let sent = door::id_of(request.headers(), door::REQUEST);
    who::look_behind(&edge.gateway.config.serve, &mut request);
    let mut response = next.run(request).await;
    let route = response.extensions().get::<Route>().map(|route| route.0.clone()).or(matched);
    for (name, id) in ids {
        response.headers_mut().insert(name, id);
    }
    let headers = response.headers_mut();
    if edge.gateway.config.is_development() {
        headers.insert("x-fingerpost-mode", HeaderValue::from_static("development"));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    meters::request(meters::Line {
        method: method.as_str(),
        route: route.as_deref().unwrap_or("{unknown}"),
        status: response.status().as_u16(),
        took: started.elapsed(),
        request: sent,
    });
    response
}

/// What is told where a handler panicked that the door does not watch; `telemetry` logs where.
pub fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    respond(Told::refused(&door::failed()), Form::Json)
}

/// `/livez`: the process runs.
pub async fn live() -> &'static str {
    "ok\n"
}

/// `/readyz`: what is not ready, a line each.
pub async fn ready(State(edge): AtEdge) -> Response {
    match edge.gateway.store.ready().await {
        Ok(()) => "ok\n".into_response(),
        Err(fault) => {
            tracing::error!(error = %fault, "the store is not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "store: does not keep what it is given\n").into_response()
        }
    }
}

/// `/metrics`, in Prometheus' text form. Queue depths are read when asked for.
pub async fn metrics(State(edge): AtEdge, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    if let Err(rejection) = signed_in(&edge, &parts, "metrics").await {
        return refuse(&edge, &parts, "metrics", &rejection).await;
    }
    let mut text = meters::render();
    if let Ok(queues) = edge.gateway.store.queues().await {
        for (queue, rows, given_up) in queues {
            let _ = writeln!(text, "fingerpost_outbox_rows{{queue=\"{queue}\"}} {rows}");
            let _ = writeln!(text, "fingerpost_outbox_given_up{{queue=\"{queue}\"}} {given_up}");
        }
    }
    if let Ok(holds) = edge.gateway.store.holds().await {
        let _ = writeln!(text, "fingerpost_holds {}", holds.len());
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

/// `/.well-known/smart-configuration`.
pub async fn smart_configuration(State(edge): AtEdge) -> Response {
    json_of(StatusCode::OK, &access::smart_configuration(&base(&edge.gateway)))
}

/// `/.well-known/jwks.json`.
pub async fn jwks(State(edge): AtEdge) -> Response {
    json_of(StatusCode::OK, &edge.gateway.access.jwks())
}

/// `/oauth2/token`.
pub async fn token(State(edge): AtEdge, request: Request) -> Response {
    let (parts, sent) = request.into_parts();
    let (address, certificate) = Peer::of(&parts);
    let form = match body::read(sent, FORM_BYTES_MAX, edge.limits.body).await {
        Ok(form) => form,
        Err(rejection) => return refuse(&edge, &parts, "token", &rejection).await,
    };
    let asked = TokenRequest {
        form: &form,
        base_url: &base(&edge.gateway),
        certificate: certificate.as_deref(),
        address: &address,
        request: &door::id_of(&parts.headers, door::REQUEST),
    };
    match access::token(&edge.gateway, asked).await {
        Ok(answer) => json_of(StatusCode::OK, &serde_json::to_value(answer).unwrap_or_default()),
        Err(error) => {
            let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
            let mut response = json_of(status, &error.body());
            if let Some(seconds) = error.wait_seconds {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            response
        }
    }
}

/// `/audit/checkpoint`.
pub async fn checkpoint(State(edge): AtEdge) -> Response {
    log_part(&edge, "checkpoint").await
}

/// `/audit/tile/...`.
pub async fn tile(State(edge): AtEdge, Path(path): Path<String>) -> Response {
    log_part(&edge, &path).await
}

async fn log_part(edge: &Edge, path: &str) -> Response {
    match tiles::tile(&edge.gateway.store, path).await {
        Ok(Some(bytes)) => {
            let kind = if path == "checkpoint" { "text/plain; charset=utf-8" } else { "application/octet-stream" };
            ([(header::CONTENT_TYPE, kind)], Body::from(Bytes::from(bytes))).into_response()
        }
        Ok(None) => respond(Told::refused(&no_path()), Form::Json),
        Err(fault) => respond(Told::refused(&fault.into()), Form::Json),
    }
}

/// No such path: 401 to whoever is not signed in, else 404.
pub async fn nowhere(State(edge): AtEdge, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let rejection = who::authenticate(&edge.gateway, &parts).err().unwrap_or_else(no_path);
    refuse(&edge, &parts, "unknown", &rejection).await
}

/// 405 for everything that is not FHIR; 401 where a token is needed and none is shown.
pub async fn wrong_method(State(edge): AtEdge, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let open = OPEN.iter().any(|open| parts.uri.path().starts_with(open));
    let unknown = who::authenticate(&edge.gateway, &parts).err().filter(|_| !open);
    refuse(&edge, &parts, "unknown", &unknown.unwrap_or_else(rejected_method)).await
}

/// The caller, where it may do `operation`.
pub async fn signed_in(edge: &Edge, parts: &Parts, operation: &str) -> Result<Caller, Rejection> {
    let caller = who::authenticate(&edge.gateway, parts)?;
    caller.may(operation, "").map(|()| caller)
}

/// A refusal, audited.
pub async fn refuse(edge: &Edge, parts: &Parts, interaction: &str, rejection: &Rejection) -> Response {
    let agent = match who::authenticate(&edge.gateway, parts) {
        Ok(caller) => caller.agent(),
        Err(unknown) => {
            let address = Peer::of(parts).0;
            if let Err(told) = door::stranger(&edge.gateway, &address, Some(&unknown)) {
                return respond(told, Form::Json);
            }
            Agent::anonymous(&address)
        }
    };
    let entry = Entry {
        outcome: door::outcome_of(rejection.status()),
        request: door::id_of(&parts.headers, door::REQUEST),
        detail: rejection.to_string(),
        ..Entry::operations(Kind::Rest, interaction, Action::E, agent, edge.gateway.clock.now())
    };
    let kept = async {
        door::keep(&edge.gateway, entry)
            .await
            .map_or_else(|unkept| Told::refused(&unkept), |()| Told::refused(rejection))
    };
    respond(door::kept_in_time(edge.limits.answer, kept).await, Form::Json)
}

/// A JSON document.
pub fn json_of(status: StatusCode, value: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}
