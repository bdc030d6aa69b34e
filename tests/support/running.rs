//! A gateway on a real loopback socket, and a client of it.
#![allow(dead_code)] // each test program uses its own part

use fingerpost::api::Limits;
use fingerpost::clock::Clock;
use fingerpost::config::{Config, Role};
use fingerpost::fhir::ids::OdsCode;
use fingerpost::gateway::Gateway;
use serde_json::Value;
use uuid::Uuid;

/// A gateway that listens, with its store in a folder of its own.
pub struct Running {
    /// The gateway, for looking behind the door.
    pub gateway: Gateway,
    /// `http://127.0.0.1:PORT`
    pub base: String,
    /// The folder of its store.
    pub dir: tempfile::TempDir,
    http: reqwest::Client,
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: reqwest::header::HeaderMap,
    /// Its body.
    pub text: String,
}

impl Reply {
    /// The body as JSON; `Null` when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// The first issue's code, or `""`.
    pub fn issue(&self) -> String {
        self.json()["issue"][0]["code"].as_str().unwrap_or("").to_owned()
    }

    /// A header's text, or `""`.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }
}

/// Starts a development gateway, its configuration changed by `change`.
pub async fn start(change: impl FnOnce(&mut Config)) -> Running {
    start_at(Clock::System, change).await
}

/// As [`start`], by a clock that the test may move.
pub async fn start_at(clock: Clock, change: impl FnOnce(&mut Config)) -> Running {
    start_within(clock, change, |_| {}).await
}

/// As [`start_at`], within limits that the test may narrow.
pub async fn start_within(clock: Clock, change: impl FnOnce(&mut Config), narrow: impl FnOnce(&mut Limits)) -> Running {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::development(dir.path());
    config.delivery.receivers.clear();
    change(&mut config);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    config.serve.base_url = base.clone();
    let gateway = Gateway::open_or_create(config, clock).await.unwrap();
    let mut limits = Limits::of(&gateway.config.serve);
    narrow(&mut limits);
    let router = fingerpost::api::router_within(gateway.clone(), limits);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Running { gateway, base, dir, http: reqwest::Client::new() }
}

impl Running {
    /// A token for a client that is in no configuration.
    pub fn token(&self, client: &str, role: Role, ods: &str, pools: &[&str]) -> String {
        let pools = pools.iter().map(|pool| (*pool).to_owned()).collect();
        let unconfigured = (role, OdsCode::parse(ods).unwrap(), pools);
        self.gateway.access.mint(client, Some(unconfigured), self.gateway.clock.now()).unwrap().access_token
    }

    /// A practice's token.
    pub fn practice(&self, client: &str) -> String {
        self.token(client, Role::Referrer, "N84001", &[])
    }

    /// A request to `path`, with a token unless that is empty.
    pub fn request(&self, method: reqwest::Method, path: &str, token: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        if token.is_empty() { request } else { request.bearer_auth(token) }
    }

    /// GETs a path.
    pub async fn get(&self, path: &str, token: &str) -> Reply {
        send(self.request(reqwest::Method::GET, path, token)).await
    }

    /// POSTs a body under a media type.
    pub async fn post(&self, path: &str, token: &str, media_type: &str, body: impl Into<reqwest::Body>) -> Reply {
        let request = self.request(reqwest::Method::POST, path, token);
        send(request.header("content-type", media_type).body(body)).await
    }

    /// Sends a BaRS message with the headers of a first try.
    pub async fn message(&self, token: &str, media_type: &str, body: impl Into<reqwest::Body>) -> Reply {
        self.message_as(token, media_type, body, &Uuid::new_v4().to_string(), &Uuid::new_v4().to_string()).await
    }

    /// Sends a BaRS message under the ids given.
    pub async fn message_as(
        &self,
        token: &str,
        media_type: &str,
        body: impl Into<reqwest::Body>,
        request: &str,
        correlation: &str,
    ) -> Reply {
        let built = self.request(reqwest::Method::POST, "/fhir/$process-message", token);
        let built = built.header("content-type", media_type).header("x-request-id", request);
        send(built.header("x-correlation-id", correlation).body(body)).await
    }
}

impl Running {
    /// Writes bytes to a socket of its own and reads until it is closed.
    pub async fn raw(&self, text: &str) -> String {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let address = self.base.trim_start_matches("http://");
        let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
        // The gateway may answer and close before it has read everything.
        drop(socket.write_all(text.as_bytes()).await);
        let mut answer = Vec::new();
        drop(socket.read_to_end(&mut answer).await);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// Sends a request and reads the whole answer.
pub async fn send(request: reqwest::RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Reply { status, headers, text: response.text().await.unwrap() }
}
