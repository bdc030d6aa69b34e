//! The calls of the MESH interface, version 2, each with a token of its own. No call is tried again
//! here: who calls knows whether that is safe.
//! <https://digital.nhs.uk/developer/api-catalogue/message-exchange-for-social-care-and-health-api>

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Method, Request, Response, StatusCode, Url};
use serde_json::Value;
use uuid::Uuid;

use super::fault::{MeshError, Refusal};
use super::token::Credentials;
use crate::config::{Config, Mesh};

/// Version 2 of the interface.
const VERSION_2: &str = "application/vnd.mesh.v2+json";
/// Version 1, for the one call that version 2 has not.
const VERSION_1: &str = "application/json";
/// The largest answer that is not a message, in bytes: a page of 5000 ids of 300 characters fits.
const ANSWER_BYTES_MAX: usize = 2 * 1024 * 1024;
/// The longest mailbox or message id, in characters.
const ID_CHARS_MAX: usize = 300;

/// A mailbox's client. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    pub(super) http: reqwest::Client,
    base: Url,
    credentials: Arc<Credentials>,
    pub(super) limits: Limits,
}

/// Its limits, from the keys of the same names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub page_messages: usize,
    pub chunk_bytes_max: usize,
    pub message_bytes_max: usize,
}

/// One page of the inbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Ids of messages to fetch, oldest first.
    pub messages: Vec<String>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

/// Where a sent message stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracked {
    /// MESH's id of it.
    pub id: String,
    /// MESH's word, lower case: `accepted` (not collected), `acknowledged` (collected), `uploading`,
    /// `undeliverable`, `error`.
    pub status: String,
}

/// What can be found of a message whose send got no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Traced {
    /// One message was sent with that local id.
    Sent(Tracked),
    /// Several were; which is which cannot be known.
    Several,
    /// None is known, or only one that was broken off and is never delivered.
    Unknown,
}

/// A mailbox found by organisation and workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// Its id, to send to.
    pub id: String,
    /// Its name.
    pub name: String,
}

impl Client {
    /// The client of the configured mailbox: reads the password, the shared key and the certificates.
    ///
    /// # Errors
    /// In words, what a person must configure. No secret is in them.
    pub fn open(config: &Config) -> Result<Self, String> {
        let mesh = &config.mesh;
        if mesh.url.is_empty() {
            return Err("MESH is off: mesh.url names no server".to_owned());
        }
        let base = Url::parse(mesh.url.trim_end_matches('/')).map_err(|_| "mesh.url cannot be read".to_owned())?;
        let password = secret("mesh.password_file", &mesh.password_file)?;
        let shared_key = secret("mesh.shared_key_file", &mesh.shared_key_file)?;
        Ok(Self {
            http: http(mesh, config.is_development())?,
            base,
            credentials: Arc::new(Credentials::new(&mesh.mailbox, &password, &shared_key)),
            limits: Limits {
                page_messages: mesh.page_messages,
                chunk_bytes_max: mesh.chunk_bytes_max,
                message_bytes_max: mesh.message_bytes_max,
            },
        })
    }

    /// The gateway's mailbox, upper case.
    pub fn mailbox(&self) -> &str {
        self.credentials.mailbox()
    }

    /// The HTTP client, for who sends a request of [`Client::parcel_request`] itself.
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// `POST /{mailbox}`: the mailbox is alive. Wanted once in 24 hours.
    ///
    /// # Errors
    /// See [`MeshError`].
    pub async fn handshake(&self, now: Timestamp) -> Result<(), MeshError> {
        let mut request = self.mine(Method::POST, &[], now)?;
        let headers = request.headers_mut();
        headers.insert("mex-clientversion", value(concat!("fingerpost==", env!("CARGO_PKG_VERSION")))?);
        headers.insert("mex-osname", value(std::env::consts::OS)?);
        headers.insert("mex-osversion", value(std::env::consts::ARCH)?);
        self.done(request).await.map(|_| ())
    }

    /// `GET /{mailbox}/inbox`: one page of what waits, from the beginning or from a page's `next`.
    ///
    /// # Errors
    /// See [`MeshError`].
    pub async fn inbox(&self, from: Option<&str>, now: Timestamp) -> Result<Page, MeshError> {
        let mut request = self.mine(Method::GET, &["inbox"], now)?;
        {
            let mut query = request.url_mut().query_pairs_mut();
            query.append_pair("max_results", &self.limits.page_messages.to_string());
            if let Some(from) = from {
                query.append_pair("continue_from", from);
            }
        }
        let answer = self.json(request).await?;
        let listed = answer["messages"].as_array().ok_or(MeshError::Unreadable("the listing has no messages"))?;
        let messages = listed.iter().filter_map(Value::as_str).filter(|id| is_id(id)).map(str::to_owned).collect();
        Ok(Page { messages, next: answer["links"]["next"].as_str().and_then(continue_from) })
    }

    /// `PUT /{mailbox}/inbox/{id}/status/acknowledged`: the message is kept here and leaves the inbox.
    /// Done twice, it is done.
    ///
    /// # Errors
    /// See [`MeshError`].
    pub async fn acknowledge(&self, id: &str, now: Timestamp) -> Result<(), MeshError> {
        let request = self.mine(Method::PUT, &["inbox", id, "status", "acknowledged"], now)?;
        self.done(request).await.map(|_| ())
    }

    /// `GET /{mailbox}/outbox/tracking?messageID=`: where a sent message stands.
    ///
    /// # Errors
    /// [`Refusal::NoSuchMessage`] where this mailbox sent no such message; else see [`MeshError`].
    pub async fn track(&self, id: &str, now: Timestamp) -> Result<Tracked, MeshError> {
        let mut request = self.mine(Method::GET, &["outbox", "tracking"], now)?;
        request.url_mut().query_pairs_mut().append_pair("messageID", id);
        tracked(&self.json(request).await?)
    }

    /// What can be found of a message by the local id that it was sent with, where its answer was lost.
    ///
    /// This is the interface's older, deprecated call: version 2 tracks by MESH's own id alone, which a
    /// lost answer would have held. It tells something only if each message has a local id of its own.
    /// Where it is no longer offered nothing can be known, and what keeps a second send from being filed
    /// twice is the receiver, which knows the message by the id in its header.
    ///
    /// # Errors
    /// See [`MeshError`].
    pub async fn find_sent(&self, local_id: &str, now: Timestamp) -> Result<Traced, MeshError> {
        let mut request = self.mine(Method::GET, &["outbox", "tracking", local_id], now)?;
        request.headers_mut().insert("accept", value(VERSION_1)?);
        match self.json(request).await {
            Ok(answer) => tracked(&answer).map(traced),
            Err(MeshError::Refused { status: 300, .. }) => Ok(Traced::Several),
            Err(fault) if fault.refusal() == Some(Refusal::NoSuchMessage) => Ok(Traced::Unknown),
            Err(fault) => Err(fault),
        }
    }

    /// `GET /endpointlookup/{ods}/{workflow}`: the mailboxes of an organisation for a workflow.
    ///
    /// # Errors
    /// See [`MeshError`].
    pub async fn lookup(&self, ods: &str, workflow: &str, now: Timestamp) -> Result<Vec<Mailbox>, MeshError> {
        let request = self.request(Method::GET, &["endpointlookup", ods, workflow], now)?;
        let answer = self.json(request).await?;
        let found = answer["results"].as_array().ok_or(MeshError::Unreadable("the look-up has no results"))?;
        let mailbox = |one: &Value| {
            let id = one["mailbox_id"].as_str().filter(|id| is_id(id))?;
            Some(Mailbox { id: id.to_owned(), name: one["mailbox_name"].as_str().unwrap_or_default().to_owned() })
        };
        Ok(found.iter().filter_map(mailbox).collect())
    }

    /// A request on this mailbox: `/messageexchange/{mailbox}/...`.
    pub(super) fn mine(&self, method: Method, path: &[&str], now: Timestamp) -> Result<Request, MeshError> {
        let whole: Vec<&str> = std::iter::once(self.mailbox()).chain(path.iter().copied()).collect();
        self.request(method, &whole, now)
    }

    /// A request with a new token. Each part of the path is escaped.
    fn request(&self, method: Method, path: &[&str], now: Timestamp) -> Result<Request, MeshError> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| MeshError::Unsendable("mesh.url is no base of paths".to_owned()))?
            .pop_if_empty()
            .push("messageexchange")
            .extend(path);
        let mut request = Request::new(method, url);
        let token = self.credentials.authorization(Uuid::new_v4(), 0, now);
        let mut authorization = value(&token)?;
        authorization.set_sensitive(true);
        request.headers_mut().insert("authorization", authorization);
        request.headers_mut().insert("accept", value(VERSION_2)?);
        Ok(request)
    }

    /// Sends a request; the answer where it is a success.
    pub(super) async fn done(&self, request: Request) -> Result<Response, MeshError> {
        let response = self.http.execute(request).await.map_err(|fault| lost(&fault))?;
        if matches!(response.status(), StatusCode::OK | StatusCode::ACCEPTED | StatusCode::PARTIAL_CONTENT) {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let body = read(response, ANSWER_BYTES_MAX).await.unwrap_or_default();
        Err(MeshError::answered(status, &body.unwrap_or_default()))
    }

    /// Sends a request and reads its answer as JSON.
    pub(super) async fn json(&self, request: Request) -> Result<Value, MeshError> {
        let response = self.done(request).await?;
        let body = read(response, ANSWER_BYTES_MAX).await?.ok_or(MeshError::Unreadable("it is too large"))?;
        serde_json::from_slice(&body).map_err(|_| MeshError::Unreadable("it is not JSON"))
    }
}

/// A header's value.
pub(super) fn value(text: &str) -> Result<reqwest::header::HeaderValue, MeshError> {
    reqwest::header::HeaderValue::from_str(text)
        .map_err(|_| MeshError::Unsendable("a header cannot hold its value".to_owned()))
}

/// Reads a body up to `limit` bytes; `None` where it is larger.
pub(super) async fn read(mut response: Response, limit: usize) -> Result<Option<Vec<u8>>, MeshError> {
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|fault| lost(&fault))? {
        if body.len() + part.len() > limit {
            return Ok(None);
        }
        body.extend_from_slice(&part);
    }
    Ok(Some(body))
}

fn lost(fault: &reqwest::Error) -> MeshError {
    match fault {
        fault if fault.is_connect() => MeshError::Unreached,
        fault if fault.is_timeout() => MeshError::Unanswered("no answer in time"),
        _ => MeshError::Unanswered("the connection broke"),
    }
}

/// Both versions: `message_id` and `status`, or `messageId`.
fn tracked(answer: &Value) -> Result<Tracked, MeshError> {
    let id = answer["message_id"].as_str().or_else(|| answer["messageId"].as_str()).filter(|id| is_id(id));
    let status = answer["status"].as_str().filter(|word| word.bytes().all(|b| b.is_ascii_alphabetic()));
    match (id, status) {
        (Some(id), Some(status)) => Ok(Tracked { id: id.to_owned(), status: status.to_ascii_lowercase() }),
        _ => Err(MeshError::Unreadable("the tracking has no message id and status")),
    }
}

/// A message broken off between two chunks is never delivered: it may be sent anew.
fn traced(tracked: Tracked) -> Traced {
    if tracked.status == "uploading" { Traced::Unknown } else { Traced::Sent(tracked) }
}

/// `continue_from` of a link. Only that is taken of it: a link never says where to connect to.
fn continue_from(link: &str) -> Option<String> {
    let (_, query) = link.split_once('?')?;
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.find(|(name, _)| name == "continue_from").map(|(_, from)| from.into_owned()).filter(|from| !from.is_empty())
}

/// True for what may be a mailbox's or message's id: opaque, but no path and no control characters.
pub(super) fn is_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= ID_CHARS_MAX
        && text.bytes().all(|b| b.is_ascii_graphic() && b != b'/')
        && !matches!(text, "." | "..")
}

fn secret(key: &str, file: &str) -> Result<String, String> {
    let text = std::fs::read_to_string(file).map_err(|why| format!("{key}: {file}: {why}"))?;
    let text = text.trim_end_matches(['\r', '\n']).to_owned();
    if text.is_empty() { Err(format!("{key}: {file} is empty")) } else { Ok(text) }
}

/// TLS by rustls, with the client certificate; no redirects, no proxy.
fn http(mesh: &Mesh, development: bool) -> Result<reqwest::Client, String> {
    let file = |key: &str, file: &str| std::fs::read(file).map_err(|why| format!("{key}: {file}: {why}"));
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(Duration::from_millis(mesh.timeout_ms))
        .https_only(!development)
        .user_agent(concat!("fingerpost/", env!("CARGO_PKG_VERSION")));
    if !mesh.ca_file.is_empty() {
        let bundle = reqwest::Certificate::from_pem_bundle(&file("mesh.ca_file", &mesh.ca_file)?)
            .map_err(|_| format!("mesh.ca_file: {} holds no certificates", mesh.ca_file))?;
        builder = builder.tls_certs_only(bundle);
    }
    if !mesh.certificate_file.is_empty() {
        let mut pem = file("mesh.certificate_file", &mesh.certificate_file)?;
        pem.push(b'\n');
        pem.extend(file("mesh.key_file", &mesh.key_file)?);
        let identity = reqwest::Identity::from_pem(&pem)
            .map_err(|_| "mesh.certificate_file and mesh.key_file are no certificate with its key".to_owned())?;
        builder = builder.identity(identity);
    }
    builder.build().map_err(|_| "the MESH client could not be made: do the certificate and its key agree?".to_owned())
}

#[cfg(test)]
mod tests;
