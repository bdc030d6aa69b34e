//! A way to a server that loses answers: it passes requests on, and of some sends the answer never
//! comes back, though what they asked for was done.
#![allow(dead_code, clippy::unwrap_used, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

/// Longer than any client here waits.
const NEVER: Duration = Duration::from_secs(600);

#[derive(Clone)]
pub struct Lossy {
    pub url: String,
    /// Sends whose answer is still to be lost.
    pub lose: Arc<AtomicU32>,
    /// Whether it refuses to say what was sent.
    pub silent: Arc<AtomicBool>,
    to: String,
    client: reqwest::Client,
}

impl Lossy {
    /// Starts one before a server, from within a runtime.
    pub fn to(server: &str) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let lossy = Self {
            url,
            lose: Arc::default(),
            silent: Arc::default(),
            to: server.into(),
            client: reqwest::Client::new(),
        };
        let router = Router::new().fallback(pass).with_state(lossy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        lossy
    }
}

async fn pass(State(lossy): State<Lossy>, method: Method, uri: Uri, mut headers: HeaderMap, body: Bytes) -> Response {
    headers.remove("host");
    if lossy.silent.load(Ordering::SeqCst) && uri.path().contains("/outbox/tracking") {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let sends = method == Method::POST && uri.path().ends_with("/outbox");
    let request = lossy.client.request(method, format!("{}{uri}", lossy.to)).headers(headers).body(body);
    let Ok(answer) = request.send().await else { return StatusCode::BAD_GATEWAY.into_response() };
    if sends && lossy.lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
        tokio::time::sleep(NEVER).await;
    }
    let (status, headers) = (answer.status(), answer.headers().clone());
    (status, headers, answer.bytes().await.unwrap_or_default()).into_response()
}
