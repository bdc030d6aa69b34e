//! The FHIR REST surface and the HTTP edge: one file an interaction or operation.
//! <https://hl7.org/fhir/R4/http.html>
//!
//! Every request under `/fhir` goes through [`door`]: who calls, what it asks, may it, do it,
//! audit it, answer - in that order. A handler returns an [`answer::Answer`], which cannot become
//! an HTTP response but by the door, and the door lets none out before its audit entry is
//! durable. Refusals and failures are answers like any other.

pub mod answer;
mod audit_event;
mod body;
mod capabilities;
mod create;
pub mod door;
pub mod exchange;
mod filing;
mod forwarded;
mod history;
mod impatient;
pub mod interaction;
mod linger;
pub mod metrics;
pub mod negotiate;
mod plain;
mod preview_outcome;
mod process_message;
mod read;
mod redact;
mod route;
mod search;
pub mod serve;
mod tls;
mod transaction;
mod update;
mod upload;
mod validate;
mod who;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::{any, get, post};
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;

pub use serve::{ServeFault, serve};

use crate::config::Serve;
use crate::gateway::Gateway;
use crate::intake::emis::upload::Uploads;

/// Requests that are worked on at once; the next is told 503 and to come again.
pub const IN_FLIGHT_MAX: usize = 512;
/// Seconds in which a body must have arrived.
const BODY_SECONDS_MAX: u64 = 30;
/// Seconds without a byte after which an upload is given up.
const SILENCE_SECONDS_MAX: u64 = 30;

/// What a request may take. [`Limits::of`] is what is served; a test may ask for less.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests that are worked on at once: [`IN_FLIGHT_MAX`].
    pub in_flight: usize,
    /// Time in which a body must have arrived.
    pub body: Duration,
    /// Time without a byte after which an upload is given up.
    pub silence: Duration,
    /// Time to an answer.
    pub answer: Duration,
}

impl Limits {
    /// Those of a configuration.
    pub fn of(serve: &Serve) -> Self {
        Self {
            in_flight: IN_FLIGHT_MAX,
            body: Duration::from_secs(BODY_SECONDS_MAX),
            silence: Duration::from_secs(SILENCE_SECONDS_MAX),
            answer: Duration::from_secs(serve.answer_seconds_max),
        }
    }
}

/// What every request of one gateway shares.
#[derive(Clone)]
pub struct Edge {
    /// The gateway.
    pub gateway: Gateway,
    /// What a request may take.
    pub limits: Limits,
    /// Room for requests: see [`Limits::in_flight`].
    pub room: Arc<Semaphore>,
    /// Uploads under way and done.
    uploads: Uploads,
}

impl Edge {
    /// The edge of one gateway.
    pub fn new(gateway: Gateway, limits: Limits) -> Self {
        Self { gateway, limits, room: Arc::new(Semaphore::new(limits.in_flight)), uploads: Uploads::default() }
    }
}

/// Everything that is answered over HTTP, apart from the console.
pub fn router(gateway: Gateway) -> Router {
    let limits = Limits::of(&gateway.config.serve);
    router_within(gateway, limits)
}

/// As [`router`], within limits of its own.
pub fn router_within(gateway: Gateway, limits: Limits) -> Router {
    let edge = Edge::new(gateway, limits);
    Router::new()
        .route("/fhir", any(door::enter))
        .route("/fhir/", any(door::enter))
        .route("/fhir/{*path}", any(door::enter))
        .route("/livez", get(plain::live))
        .route("/readyz", get(plain::ready))
        .route("/metrics", get(plain::metrics))
        .route("/.well-known/smart-configuration", get(plain::smart_configuration))
        .route("/fhir/.well-known/smart-configuration", get(plain::smart_configuration))
        .route("/.well-known/jwks.json", get(plain::jwks))
        .route("/oauth2/token", post(plain::token))
        .route("/audit/checkpoint", get(plain::checkpoint))
        .route("/audit/{*path}", get(plain::tile))
        .route("/intake/{format}", post(upload::start))
        .route("/intake/jobs/{id}", get(upload::poll))
        .fallback(plain::nowhere)
        .method_not_allowed_fallback(plain::wrong_method)
        .layer(CatchPanicLayer::custom(plain::panicked))
        .layer(axum::middleware::from_fn(linger::hear_out))
        .layer(axum::middleware::from_fn_with_state(edge.clone(), plain::around))
        .with_state(edge)
}

/// The base address of the gateway, without a slash at its end.
pub fn base(gateway: &Gateway) -> String {
    let serve = &gateway.config.serve;
    if !serve.base_url.is_empty() {
        return serve.base_url.trim_end_matches('/').to_owned();
    }
    let scheme = if serve.tls_cert_file.is_empty() { "http" } else { "https" };
    format!("{scheme}://{}", serve.listen.first().map_or("localhost", String::as_str))
}

/// The edge as handlers take it.
pub type AtEdge = State<Edge>;
