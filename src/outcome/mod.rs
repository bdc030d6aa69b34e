//! Leg 8: what came of a referral - accepted, declined, contacts, measures, closure - recorded by
//! the pool through FHIR.
//!
//! One file a kind of outcome; `state` is the Task's state machine, `entries` the codes under which
//! outcomes are filed, `measure` the table of measures. Everything that one outcome changes is one
//! commit. Not here: plans, referrals onward.

mod change;
mod check;
mod contact;
mod context;
pub mod entries;
mod journey;
mod kept;
pub mod measure;
pub mod paired;
mod response;
mod score;
pub mod state;
mod task;

use serde_json::Value;

use crate::access::Caller;
use crate::referral::Gateway;
use crate::rejection::{BarsError, IssueType, Rejection};
use crate::store::Stored;
use crate::store::commit::ResourceWrite;

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
    /// What is committed with it: the gateway's own notices.
    pub also: Vec<ResourceWrite>,
}

/// Records what a pool did for one of its own Tasks, in one commit, audit entry included.
///
/// # Errors
/// 404 where the Task is not the caller's, 412 where it saw an older version, 422 where a rule of
/// the state machine, a range or an identity does not hold. Nothing is then written, and the
/// refusal is the caller's to audit.
pub async fn record(gateway: &Gateway, caller: &Caller, write: Write) -> Result<Stored, Rejection> {
    if write.resource["resourceType"].as_str() != Some(&write.kind) {
        return Err(Rejection::bad_request(IssueType::Invalid, "the resource is of another type").at("resourceType"));
    }
    match write.kind.as_str() {
        "Task" => task::update(gateway, caller, write).await,
        "Encounter" => contact::record(gateway, caller, write).await,
        "Observation" => score::record(gateway, caller, write).await,
        "QuestionnaireResponse" => response::record(gateway, caller, write).await,
        _ => Err(Rejection::new(BarsError::MethodNotAllowed, IssueType::NotSupported, "this type is not written here")),
    }
}
