//! One request as the handlers see it: who asks, with which parameters, headers and body.

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use url::form_urlencoded;

use super::negotiate;
use crate::access::Caller;
use crate::fhir::wire::{self, Form};
use crate::gateway::Gateway;
use crate::rejection::{IssueType, Rejection};

/// Parameters of one request at most, those of a posted search included.
const PARAMETERS_MAX: usize = 100;

/// One request.
#[derive(Clone)]
pub struct Exchange {
    /// The gateway.
    pub gateway: Gateway,
    /// Who asks; `None` only where no sign-in is needed.
    pub caller: Option<Caller>,
    /// The network address it came from; empty where it came by no socket.
    pub address: String,
    /// When.
    pub at: Timestamp,
    /// All headers.
    pub headers: HeaderMap,
    /// The query's pairs in order, decoded; a posted search's pairs after them.
    pub query: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// `X-Request-Id`, or empty.
    pub request: String,
    /// `X-Correlation-Id`, or empty.
    pub correlation: String,
    /// The address of the FHIR API, `https://.../fhir`.
    pub base: String,
}

impl Exchange {
    /// Who asks.
    ///
    /// # Errors
    /// 401, which the door gives first wherever a sign-in is needed.
    pub fn caller(&self) -> Result<&Caller, Rejection> {
        self.caller
            .as_ref()
            .ok_or_else(|| Rejection::new(crate::rejection::BarsError::Unauthorized, IssueType::Login, "sign in first"))
    }

    /// A header's text, or `""`.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// The first value of a query parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether it asks for no more than one request may.
    ///
    /// # Errors
    /// 400 `too-long`.
    pub fn has_few_parameters(&self) -> Result<(), Rejection> {
        if self.query.len() <= PARAMETERS_MAX {
            return Ok(());
        }
        let words = format!("one request may have {PARAMETERS_MAX} parameters; ask for less at once");
        Err(Rejection::bad_request(IssueType::TooLong, words))
    }

    /// True when `Prefer` holds this.
    pub fn prefers(&self, what: &str) -> bool {
        self.header("prefer").split([',', ';']).any(|part| part.trim() == what)
    }

    /// The body's form.
    ///
    /// # Errors
    /// 415.
    pub fn body_form(&self) -> Result<Form, Rejection> {
        negotiate::body_form(&self.headers, &self.gateway.config.bars.versions)
    }

    /// The body as a resource, checked against R4.
    ///
    /// # Errors
    /// 415, or 400 `structure`.
    pub fn resource(&self) -> Result<Value, Rejection> {
        let form = self.body_form()?;
        if self.body.is_empty() {
            return Err(Rejection::bad_request(IssueType::Structure, "the body is empty"));
        }
        wire::parse(&self.body, form)
    }

    /// The version that `If-Match` names.
    ///
    /// # Errors
    /// 400 where it names no version.
    pub fn if_match(&self) -> Result<Option<u32>, Rejection> {
        let named = self.header(header::IF_MATCH.as_str());
        if named.is_empty() || named == "*" {
            return Ok(None);
        }
        let bare = named.trim_start_matches("W/").trim_matches('"');
        bare.parse().map(Some).map_err(|_| {
            Rejection::bad_request(IssueType::Value, "If-Match must be an ETag as the gateway gave it: W/\"3\"")
        })
    }
}

/// The pairs of a query or a posted form, as many as tell that there are too many.
pub fn pairs(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text).into_owned().take(PARAMETERS_MAX + 1).collect()
}
