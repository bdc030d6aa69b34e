//! A way to a server that loses answers: it passes requests on, and of some sends the connection breaks
//! before the answer, though what they asked for was done. A break is seen at once, so that no test has to
//! wait for a client's patience to end, nor takes a slow machine for a lost answer.
#![allow(dead_code, clippy::unwrap_used, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode};
use axum::response::IntoResponse as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// More than any message here has.
const BODY_BYTES_MAX: usize = 1 << 26;

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

/// The connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("lost on purpose")]
struct Lost;

impl Lossy {
    /// Starts one before a server, from within a runtime.
    pub fn to(server: &str) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let lossy = Self {
            url,
            lose: Arc::default(),
            silent: Arc::default(),
            to: server.into(),
            client: reqwest::Client::new(),
        };
        tokio::spawn(serve(listener, lossy.clone()));
        lossy
    }

    async fn pass(self, request: Request<Incoming>) -> Result<Response<Body>, Lost> {
        let (head, body) = request.into_parts();
        if self.silent.load(Ordering::SeqCst) && head.uri.path().contains("/outbox/tracking") {
            return Ok(StatusCode::METHOD_NOT_ALLOWED.into_response());
        }
        let sends = head.method == Method::POST && head.uri.path().ends_with("/outbox");
        let mut headers = head.headers;
        headers.remove("host");
        let body = axum::body::to_bytes(Body::new(body), BODY_BYTES_MAX).await.map_err(|_| Lost)?;
        let request = self.client.request(head.method, format!("{}{}", self.to, head.uri)).headers(headers).body(body);
        let Ok(answer) = request.send().await else { return Ok(StatusCode::BAD_GATEWAY.into_response()) };
        if sends && self.lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(Lost);
        }
        let (status, headers) = (answer.status(), answer.headers().clone());
        Ok((status, headers, answer.bytes().await.unwrap_or_default()).into_response())
    }
}

async fn serve(listener: TcpListener, lossy: Lossy) {
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let lossy = lossy.clone();
        let passing = service_fn(move |request| lossy.clone().pass(request));
        let serving = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), passing);
        tokio::spawn(async move { drop(serving.await) });
    }
}
