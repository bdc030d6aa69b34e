//! The two neighbours of a gateway on loopback, that forget nothing: a receiver of webhooks and a
//! practice's FHIR system. Both now and then do what they are asked and then fail to say so.
#![allow(dead_code)] // each test program uses its own part

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::Value;

/// What a neighbour got, by idempotency key, in the order of first arrival.
#[derive(Default)]
pub struct Seen {
    /// Key to body; the effect of the first arrival.
    pub effects: BTreeMap<String, Value>,
    /// All arrivals, repeats included.
    pub arrivals: usize,
}

/// One neighbour.
#[derive(Clone)]
pub struct Peer {
    pub url: String,
    pub seen: Arc<Mutex<Seen>>,
    /// One arrival in this many has its effect and is then answered with 503; 0: none.
    every: usize,
    key: &'static str,
}

impl Peer {
    /// A receiver of webhooks.
    pub async fn wellness(every: usize) -> Self {
        Self::start("/hook", "webhook-id", every).await
    }

    /// A practice's FHIR system; its base URL.
    pub async fn practice(every: usize) -> Self {
        Self::start("/fhir/{*rest}", "idempotency-key", every).await
    }

    async fn start(path: &str, key: &'static str, every: usize) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = path.split("/{").next().unwrap();
        let url = format!("http://{}{at}", listener.local_addr().unwrap());
        let peer = Self { url, seen: Arc::default(), every, key };
        let router = Router::new().route(path, post(take).put(take)).with_state(peer.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        peer
    }

    /// The bodies that had an effect.
    pub fn effects(&self) -> Vec<Value> {
        self.seen.lock().unwrap().effects.values().cloned().collect()
    }
}

async fn take(State(peer): State<Peer>, headers: HeaderMap, body: Bytes) -> Response {
    let key = headers.get(peer.key).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
    if key.is_empty() {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let value: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let arrivals = {
        let mut seen = peer.seen.lock().unwrap();
        seen.arrivals += 1;
        seen.effects.entry(key.clone()).or_insert(value);
        seen.arrivals
    };
    if peer.every > 0 && arrivals % peer.every == 0 {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let location = format!("{}/Observation/{key}/_history/1", peer.url);
    (StatusCode::CREATED, [(header::LOCATION, location), (header::CONTENT_TYPE, "application/fhir+json".into())], body)
        .into_response()
}
