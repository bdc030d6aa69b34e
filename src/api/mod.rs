//! The FHIR REST surface and the HTTP edge: one file an interaction or operation.
//! <https://hl7.org/fhir/R4/http.html>
//!
//! Every request under `/fhir` goes through [`door`]: who calls, what it asks, may it, do it,
//! audit it, answer - in that order. A handler returns an [`answer::Answer`], which cannot become
//! an HTTP response but by the door, and the door lets none out before its audit entry is
//! durable. Refusals and failures are answers like any other.

pub mod answer;
mod audit_event;
mod capabilities;
mod create;
pub mod door;
pub mod exchange;
mod filing;
mod history;
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

use axum::Router;
use axum::extract::State;
use axum::routing::{any, get, post};
use tokio::sync::Semaphore;

pub use serve::{ServeFault, serve};

use crate::gateway::Gateway;
use crate::intake::emis::upload::Uploads;

/// Requests that are worked on at once; the next is told 503 and to come again.
pub const IN_FLIGHT_MAX: usize = 512;

/// What every request of one gateway shares.
#[derive(Clone)]
pub struct Edge {
    /// The gateway.
    pub gateway: Gateway,
    /// Room for requests: see [`IN_FLIGHT_MAX`].
    pub room: Arc<Semaphore>,
    /// Uploads under way and done.
    uploads: Uploads,
}

impl Edge {
    /// The edge of one gateway.
    pub fn new(gateway: Gateway) -> Self {
        Self { gateway, room: Arc::new(Semaphore::new(IN_FLIGHT_MAX)), uploads: Uploads::default() }
    }
}

/// Everything that is answered over HTTP, apart from the console.
pub fn router(gateway: Gateway) -> Router {
    let edge = Edge::new(gateway);
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
