//! Leg 8: what came of a referral - accepted, declined, contacts, measures, plans, referrals
//! onward, closure - recorded by the pool through FHIR.
//!
//! `episode` is the state machine on a page, `state` what it is in Task statuses. One file a kind
//! of outcome (`task`, `contact`, `plan`, `onward`, `message`, `score`, `response`); `entries` is
//! what is filed in the GP record for each event, `filing` makes and finishes an entry, `share` and
//! `names` keep out of it what must not be there, `preview` shows it first. Everything that one
//! outcome changes is one commit.

pub mod attention;
mod author;
mod care;
mod change;
mod check;
mod contact;
mod context;
pub mod entries;
pub mod episode;
mod filing;
mod interval;
mod journey;
mod kept;
pub mod measure;
mod message;
mod names;
mod onward;
pub mod paired;
mod plan;
mod preview;
pub mod reason;
mod response;
mod score;
mod share;
pub mod state;
mod table;
mod task;
mod template;
mod terms;
mod worker;

pub use contact::{Came, came, mode};
pub use preview::{preview, reads};
pub use share::Share;

use serde_json::Value;

use crate::access::Caller;
use crate::config::Role;
use crate::gateway::Gateway;
use crate::rejection::{BarsError, IssueType, Rejection};
use crate::store::commit::ResourceWrite;
use crate::store::{Races, Stored};

/// What a caller asks to write.
#[derive(Debug, Clone, Default)]
pub struct Write {
    /// The type: one of [`KINDS`].
    pub kind: String,
    /// The logical id to update; `None`: create.
    pub id: Option<String>,
    /// The resource as the caller sent it, already checked against R4.
    pub resource: Value,
    /// The version that the caller last saw.
    pub if_match: Option<u32>,
    /// `X-Request-Id`, for the audit entry; empty where there is none.
    pub request: String,
    /// True: show what would be filed, as `preview` does, and keep nothing.
    pub show: bool,
    /// What is committed with it: the gateway's own notices.
    pub also: Vec<ResourceWrite>,
}

/// The types that a pool writes.
pub const KINDS: [&str; 8] = [
    "Task",
    "Encounter",
    "Observation",
    "QuestionnaireResponse",
    "CarePlan",
    "Goal",
    "ServiceRequest",
    "Communication",
];

/// What is told to whoever wrote a resource, beside that it is kept: in words, without what it says.
pub fn remarks(gateway: &Gateway, stored: &Stored) -> Vec<String> {
    let Ok(resource) = serde_json::from_slice::<Value>(&stored.body) else { return Vec::new() };
    let on = gateway.clock.now().to_zoned(crate::clock::london()).date();
    match stored.kind.as_str() {
        "Task" => worker::remark(gateway, &resource, on).into_iter().collect(),
        "QuestionnaireResponse" | "Observation" => attention::remark(&resource).into_iter().collect(),
        _ => Vec::new(),
    }
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
    if caller.role != Role::Pool {
        return Err(not_a_pool(&write.kind));
    }
    // A Task is changed from the version that its writer saw; the rest does not depend on it.
    if write.kind == "Task" || write.if_match.is_some() {
        return one(gateway, caller, write).await;
    }
    let origin = journey::references(&write.resource[journey::origin(&write.kind)]);
    let mut races = Races::over(origin.first().unwrap_or(&""));
    loop {
        match one(gateway, caller, write.clone()).await {
            // Another outcome moved the episode meanwhile.
            Err(raced) if raced.error == BarsError::Conflict => races.again().await.map_err(|_| raced)?,
            answer => return answer,
        }
    }
}

fn not_a_pool(kind: &str) -> Rejection {
    match kind {
        "ServiceRequest" => Rejection::forbidden("a referral comes as a BaRS message or a transaction"),
        _ => Rejection::not_found(),
    }
}

async fn one(gateway: &Gateway, caller: &Caller, write: Write) -> Result<Stored, Rejection> {
    match write.kind.as_str() {
        "Task" => task::update(gateway, caller, write).await,
        "Encounter" => contact::record(gateway, caller, write).await,
        "Observation" => score::record(gateway, caller, write).await,
        "QuestionnaireResponse" => response::record(gateway, caller, write).await,
        "CarePlan" | "Goal" => plan::record(gateway, caller, write).await,
        "ServiceRequest" => onward::record(gateway, caller, write).await,
        "Communication" => message::record(gateway, caller, write).await,
        _ => Err(Rejection::new(BarsError::MethodNotAllowed, IssueType::NotSupported, "this type is not written here")),
    }
}
