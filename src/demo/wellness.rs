//! A simulated wellness database: takes webhooks, checks their signatures, and takes each
//! `webhook-id` once.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::Value;

use super::peer::{Next, Peer, Steering};
use crate::delivery::signature::Secret;

/// One delivery as it was taken.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// `webhook-id`.
    pub id: String,
    /// The event.
    pub event: String,
    /// The Bundle.
    pub bundle: Value,
    /// `webhook-timestamp`, `webhook-signature` and the body, for checks from outside.
    pub signed: (String, String, Bytes),
}

/// What the database took.
#[derive(Debug, Default)]
pub struct Inbox {
    /// Deliveries that had an effect, in order.
    pub taken: Vec<Delivery>,
    /// Requests that came in, repeats included.
    pub requests: u64,
    /// Requests whose signature did not hold.
    pub forged: u64,
    seen: HashSet<String>,
}

/// The simulated database.
pub struct WellnessDatabase {
    /// Where webhooks go.
    pub hook_url: String,
    /// How it misbehaves.
    pub steering: Steering,
    inbox: Arc<Mutex<Inbox>>,
    _peer: Peer,
}

#[derive(Clone)]
struct Desk {
    secret: Secret,
    steering: Steering,
    inbox: Arc<Mutex<Inbox>>,
}

impl WellnessDatabase {
    /// Starts one on a loopback port.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(secret: Secret) -> std::io::Result<Self> {
        let (steering, inbox) = (Steering::default(), Arc::new(Mutex::new(Inbox::default())));
        let desk = Desk { secret, steering: steering.clone(), inbox: inbox.clone() };
        let peer = Peer::start(Router::new().route("/hook", post(take)).with_state(desk)).await?;
        Ok(Self { hook_url: format!("{}/hook", peer.url), steering, inbox, _peer: peer })
    }

    /// What it took.
    pub fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `(requests, deliveries that had an effect)`.
    pub fn counts(&self) -> (u64, usize) {
        let inbox = self.inbox();
        (inbox.requests, inbox.taken.len())
    }

    /// Deliveries of one event, in order.
    pub fn taken(&self, event: &str) -> Vec<Delivery> {
        self.inbox().taken.iter().filter(|delivery| delivery.event == event).cloned().collect()
    }
}

async fn take(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> Response {
    desk.inbox.lock().unwrap_or_else(PoisonError::into_inner).requests += 1;
    let lost = match desk.steering.next().await {
        Next::Refuse(answer) => return answer,
        Next::Serve => false,
        Next::Lose => true,
    };
    let answer = {
        let mut inbox = desk.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        keep(&mut inbox, &desk.secret, &headers, &body)
    };
    desk.steering.answer(lost, answer).await
}

fn keep(inbox: &mut Inbox, secret: &Secret, headers: &HeaderMap, body: &Bytes) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
    let (id, time, signature) = (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
    let seconds = time.parse().unwrap_or(0);
    if secret.sign(&id, seconds, body) != signature {
        inbox.forged += 1;
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let Ok(bundle) = serde_json::from_slice::<Value>(body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    if inbox.seen.insert(id.clone()) {
        let event = bundle["meta"]["tag"][0]["code"].as_str().unwrap_or("").to_owned();
        inbox.taken.push(Delivery { id, event, bundle, signed: (time, signature, body.clone()) });
    }
    StatusCode::NO_CONTENT.into_response()
}
