//! Why something was not accepted: one type, one table to BaRS code, FHIR issue type and status.
//!
//! The text of a rejection goes to the sender and never holds patient data; causes that
//! name tables, hosts or files go to the log, once, where the rejection is made.
//! BaRS error codes: <https://simplifier.net/guide/nhsbookingandreferralstandard>

use crate::store::StoreError;

/// A FHIR issue type. <https://hl7.org/fhir/R4/valueset-issue-type.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssueType {
    /// Content is not well formed.
    Structure,
    /// A required element is absent.
    Required,
    /// An element's value is not acceptable.
    Value,
    /// A rule between elements does not hold.
    Invariant,
    /// The content cannot be processed.
    Invalid,
    /// The caller is not signed in.
    Login,
    /// The caller is not known, or its token is not good.
    Unknown,
    /// The token has expired.
    Expired,
    /// The caller may not do this.
    Forbidden,
    /// Something asked for is not done here.
    NotSupported,
    /// It has been processed already.
    Duplicate,
    /// Nothing of that id.
    NotFound,
    /// It was there and is deleted.
    Deleted,
    /// A newer version is here.
    Conflict,
    /// More than the stated limit.
    TooLong,
    /// Too many calls.
    Throttled,
    /// A code that is not known.
    CodeInvalid,
    /// A rule of the business does not allow it.
    BusinessRule,
    /// Try again later.
    Transient,
    /// An unexpected fault of the gateway.
    Exception,
}

impl IssueType {
    /// The code as FHIR spells it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Structure => "structure",
            Self::Required => "required",
            Self::Value => "value",
            Self::Invariant => "invariant",
            Self::Invalid => "invalid",
            Self::Login => "login",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::Forbidden => "forbidden",
            Self::NotSupported => "not-supported",
            Self::Duplicate => "duplicate",
            Self::NotFound => "not-found",
            Self::Deleted => "deleted",
            Self::Conflict => "conflict",
            Self::TooLong => "too-long",
            Self::Throttled => "throttled",
            Self::CodeInvalid => "code-invalid",
            Self::BusinessRule => "business-rule",
            Self::Transient => "transient",
            Self::Exception => "exception",
        }
    }
}

/// A BaRS error code of the receiver; it fixes the HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BarsError {
    /// 400
    BadRequest,
    /// 401
    Unauthorized,
    /// 403
    Forbidden,
    /// 404
    NotFound,
    /// 405
    MethodNotAllowed,
    /// 406
    NotAcceptable,
    /// 408
    Timeout,
    /// 409
    Conflict,
    /// 410
    Gone,
    /// 412
    PreconditionFailed,
    /// 413
    TooLarge,
    /// 415
    UnsupportedMediaType,
    /// 422
    UnprocessableEntity,
    /// 429
    TooManyRequests,
    /// 500
    ServerError,
    /// 501
    NotImplemented,
    /// 503
    Unavailable,
}

impl BarsError {
    /// The HTTP status and the code in `http-error-codes` (the nearest one where BaRS has none).
    pub const fn status(self) -> (u16, &'static str) {
        match self {
            Self::BadRequest => (400, "REC_BAD_REQUEST"),
            Self::Unauthorized => (401, "REC_UNAUTHORIZED"),
            Self::Forbidden => (403, "REC_FORBIDDEN"),
            Self::NotFound => (404, "REC_NOT_FOUND"),
            Self::MethodNotAllowed => (405, "REC_METHOD_NOT_ALLOWED"),
            Self::NotAcceptable => (406, "REC_NOT_ACCEPTABLE"),
            Self::Timeout => (408, "REC_TIMEOUT"),
            Self::Conflict => (409, "REC_CONFLICT"),
            Self::Gone => (410, "REC_NOT_FOUND"),
            Self::PreconditionFailed => (412, "REC_CONFLICT"),
            Self::TooLarge => (413, "REC_BAD_REQUEST"),
            Self::UnsupportedMediaType => (415, "REC_NOT_ACCEPTABLE"),
            Self::UnprocessableEntity => (422, "REC_UNPROCESSABLE_ENTITY"),
            Self::TooManyRequests => (429, "REC_TOO_MANY_REQUESTS"),
            Self::ServerError => (500, "REC_SERVER_ERROR"),
            Self::NotImplemented => (501, "REC_NOT_IMPLEMENTED"),
            Self::Unavailable => (503, "REC_UNAVAILABLE"),
        }
    }
}

/// One thing wrong, in the sender's words.
#[derive(Debug, Clone)]
pub struct Issue {
    /// The FHIR issue type.
    pub kind: IssueType,
    /// What was wrong and what to do. No patient data.
    pub diagnostics: String,
    /// The element at fault as a simple FHIRPath, such as `Bundle.entry[1].resource.status`.
    pub expression: Option<String>,
}

/// Why something was not accepted: a BaRS error code and at least one issue.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", self.summary())]
pub struct Rejection {
    /// The BaRS error, and with it the HTTP status.
    pub error: BarsError,
    /// What was wrong, all of it, not only the first.
    pub issues: Vec<Issue>,
}

impl Rejection {
    /// A rejection with one issue.
    pub fn new(error: BarsError, kind: IssueType, diagnostics: impl Into<String>) -> Self {
        Self { error, issues: vec![Issue { kind, diagnostics: diagnostics.into(), expression: None }] }
    }

    /// Names the element at fault of the last issue.
    pub fn at(mut self, expression: impl Into<String>) -> Self {
        if let Some(issue) = self.issues.last_mut() {
            issue.expression = Some(expression.into());
        }
        self
    }

    /// 400: the request itself is at fault.
    pub fn bad_request(kind: IssueType, diagnostics: impl Into<String>) -> Self {
        Self::new(BarsError::BadRequest, kind, diagnostics)
    }

    /// 404: nothing of that type and id, or nothing that the caller may see.
    pub fn not_found() -> Self {
        Self::new(BarsError::NotFound, IssueType::NotFound, "there is no such resource, or it is not yours to see")
    }

    /// 422: well formed, but against a rule.
    pub fn unprocessable(kind: IssueType, diagnostics: impl Into<String>) -> Self {
        Self::new(BarsError::UnprocessableEntity, kind, diagnostics)
    }

    /// 403: the caller may not do this.
    pub fn forbidden(diagnostics: impl Into<String>) -> Self {
        Self::new(BarsError::Forbidden, IssueType::Forbidden, diagnostics)
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.error.status().0
    }

    fn summary(&self) -> String {
        self.issues.iter().map(|issue| issue.diagnostics.as_str()).collect::<Vec<_>>().join("; ")
    }
}

impl From<StoreError> for Rejection {
    /// The store's own words go to the log; the sender learns only what to do.
    fn from(fault: StoreError) -> Self {
        match fault {
            StoreError::Taken { .. } => {
                Self::new(BarsError::Conflict, IssueType::Duplicate, "this request has been processed already")
            }
            StoreError::Stale { .. } => Self::new(
                BarsError::Conflict,
                IssueType::Conflict,
                "the resource was changed by someone else; read it again",
            ),
            StoreError::Overloaded => {
                Self::new(BarsError::Unavailable, IssueType::Transient, "the gateway is busy; send it again")
            }
            StoreError::Engine(ref why) => {
                tracing::error!(error = %why, "the store failed");
                Self::new(BarsError::Unavailable, IssueType::Transient, "it could not be kept; send it again")
            }
        }
    }
}
