//! What a handler answers: content, and what the audit log must say before the content may leave.

use axum::http::header::{self, HeaderName, HeaderValue};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use crate::rejection::Rejection;
use crate::store::Stored;

/// What was asked for, not yet an HTTP response: only the door makes one, after auditing.
#[derive(Debug)]
pub struct Answer {
    pub(super) status: u16,
    pub(super) body: Option<Bytes>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) record: Record,
}

/// What the audit entry of an interaction says beside who, when and what kind.
#[derive(Debug, Default)]
pub struct Record {
    /// True when the entry was committed together with what it records.
    pub kept: bool,
    /// `Type/id/_history/version`.
    pub entities: Vec<String>,
    /// `Patient/id`.
    pub patients: Vec<String>,
    /// The search, patient-identifying values replaced.
    pub query: String,
}

impl Record {
    /// The entry of the write itself.
    pub fn kept() -> Self {
        Self { kept: true, ..Self::default() }
    }

    /// Notes resource versions that go out, and whom they are about.
    pub fn note(&mut self, stored: &Stored) {
        self.entities.push(format!("{}/{}/_history/{}", stored.kind, stored.id, stored.version));
        for patient in patients(stored) {
            if !self.patients.contains(&patient) {
                self.patients.push(patient);
            }
        }
    }
}

/// A rejection, and whether the path has audited it already.
#[derive(Debug)]
pub struct Refusal {
    pub(super) rejection: Rejection,
    pub(super) kept: bool,
    pub(super) query: String,
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self { rejection, kept: false, query: String::new() }
    }
}

impl From<crate::store::StoreError> for Refusal {
    fn from(fault: crate::store::StoreError) -> Self {
        Rejection::from(fault).into()
    }
}

impl Refusal {
    /// A rejection by the path, which has committed its audit entry.
    pub fn kept(rejection: Rejection) -> Self {
        Self { rejection, kept: true, query: String::new() }
    }
}

/// What handlers return.
pub type Answered = Result<Answer, Refusal>;

impl Answer {
    /// 200 with a resource as JSON bytes.
    pub fn json(body: impl Into<Bytes>, record: Record) -> Self {
        Self { status: 200, body: Some(body.into()), headers: Vec::new(), record }
    }

    /// 200 with a resource.
    pub fn resource(resource: &Value, record: Record) -> Self {
        Self::json(resource.to_string(), record)
    }

    /// A status without a body.
    pub fn empty(status: u16, record: Record) -> Self {
        Self { status, body: None, headers: Vec::new(), record }
    }

    /// Sets the status.
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Adds a header; a value that no header can hold is left out.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// `ETag` and `Last-Modified` of a resource version.
    pub fn version(self, stored: &Stored) -> Self {
        self.header(header::ETAG, &etag(stored.version)).header(header::LAST_MODIFIED, &http_date(stored.at))
    }
}

/// `W/"3"`. <https://hl7.org/fhir/R4/http.html#versioning>
pub fn etag(version: u32) -> String {
    format!("W/\"{version}\"")
}

/// `Mon, 05 Jan 2026 10:00:00 GMT`. <https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7>
fn http_date(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// The patients that a stored resource names, found without parsing it: the store's bytes are
/// the gateway's own compact JSON.
fn patients(stored: &Stored) -> Vec<String> {
    const MARK: &str = "\"reference\":\"Patient/";
    if stored.kind == "Patient" {
        return vec![format!("Patient/{}", stored.id)];
    }
    let text = std::str::from_utf8(&stored.body).unwrap_or("");
    let mut found: Vec<String> = Vec::new();
    for (at, _) in text.match_indices(MARK) {
        let id: String = text[at + MARK.len()..].chars().take_while(|c| !matches!(c, '"' | '/')).collect();
        let name = format!("Patient/{id}");
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_names_whom_the_data_are_about_once() {
        let stored = |kind: &str, body: &'static str| Stored {
            kind: kind.into(),
            id: "1".into(),
            version: 2,
            at: Timestamp::UNIX_EPOCH,
            deleted: false,
            body: Bytes::from_static(body.as_bytes()),
            lineage: String::new(),
        };
        let mut record = Record::default();
        record.note(&stored("Task", r#"{"for":{"reference":"Patient/p"},"x":{"reference":"Patient/p/_history/1"}}"#));
        record.note(&stored("Patient", "{}"));
        assert_eq!(record.entities, ["Task/1/_history/2", "Patient/1/_history/2"]);
        assert_eq!(record.patients, ["Patient/p", "Patient/1"]);
        assert_eq!(http_date(Timestamp::UNIX_EPOCH), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
