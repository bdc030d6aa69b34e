//! THE PATH: what happens to a referral from the door to the commit.
//!
//! ```text
//! Received -> Parsed -> Mapped -> Matched -> Routed -> Committed
//! ```
//!
//! Every channel calls [`process`]; there is no second path. Whatever the outcome - committed,
//! held or rejected - it is durable, with its audit entry, before the sender is told.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use uuid::Uuid;

mod attention;
mod cancel;
pub mod clocks;
mod commit;
pub mod explain;
mod family;
mod input;
pub mod language;
mod legs;
pub mod moves;
pub mod reason;
mod settle;

use crate::audit::Agent;
use crate::fhir::ids::OdsCode;
use crate::gateway::Gateway;
use crate::mapping::SourceTree;
use crate::parsing::Wish;
use crate::rejection::Rejection;
use crate::store::commit::{Cause, DoorKey};
use crate::store::{Races, StoreError};

/// The ways in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// A BaRS message by `$process-message`.
    Bars,
    /// A FHIR transaction Bundle with a ServiceRequest.
    Fhir,
    /// One candidate of an EMIS extract, joined in staging.
    EmisExtract,
}

impl Channel {
    /// The mapping that reads it: a transaction's resources are read as a BaRS message's are.
    pub const fn mapping(self) -> &'static str {
        match self {
            Self::Bars | Self::Fhir => "bars",
            Self::EmisExtract => "emis-extract",
        }
    }

    /// The word in holds, messages and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Bars => "bars",
            Self::Fhir => "fhir",
            Self::EmisExtract => "emis-extract",
        }
    }
}

/// Leg 1, made by `intake` and `api`: what came in, from whom, not yet understood.
#[derive(Debug, Clone)]
pub struct Received {
    /// The message's id, given at the door.
    pub id: Uuid,
    /// The way in.
    pub channel: Channel,
    /// The caller, for the audit log.
    pub agent: Agent,
    /// When.
    pub at: Timestamp,
    /// `X-Request-Id`; empty where the channel has none.
    pub request: String,
    /// `X-Correlation-Id`: the same for all messages of one referral's journey; empty where the
    /// channel has none.
    pub correlation: String,
    /// `application/fhir+json`, `application/fhir+xml`, `text/csv`.
    pub content_type: String,
    /// The bytes as they came. For EMIS: the joined rows as JSON (`SourceTree::inputs`).
    pub bytes: Bytes,
    /// Keys that must be new.
    pub keys: Vec<DoorKey>,
    /// Where it stood: a file name, or the client id.
    pub source: String,
    /// For EMIS: the tree that the join made. Others are parsed from the bytes.
    pub tree: Option<SourceTree>,
    /// The bytes as the door has read them already, if it has.
    pub bundle: Option<Arc<serde_json::Value>>,
    /// The hold that this replays, if it is a replay.
    pub replays: Option<Uuid>,
}

/// The logical id of the referral that an EMIS observation is, known before anything is committed.
/// Both GUIDs upper case, without braces.
pub fn emis_referral_id(organisation: &str, observation: &str) -> String {
    crate::fhir::ids::stable_id(&["ServiceRequest", "emis", organisation, observation]).to_string()
}

/// The id of the hold of one referral (or file) for one cause: made again, it is the same hold.
pub fn hold_id(what: &str, cause: Cause) -> Uuid {
    crate::fhir::ids::stable_id(&["hold", what, cause.word()])
}

/// What the sender is told once it is durable.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The ServiceRequest's logical id.
    pub referral: String,
    /// What became of it.
    pub result: Outcome,
    /// The resource versions now current: `(kind, id, version)`.
    pub resources: Vec<(String, String, u32)>,
    /// For BaRS and FHIR: `(fullUrl in the message, kind, assigned id)`.
    pub assigned: Vec<(String, String, String)>,
    /// Findings of a lenient reading, in words; no patient data.
    pub findings: Vec<String>,
}

/// What became of one referral candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the store and with a pool.
    Committed,
    /// Nothing new in it.
    Duplicate,
    /// Kept; a person must look.
    Held(Vec<Cause>),
    /// Cancelled or deleted at source.
    Withdrawn,
}

/// Takes one received message down the whole path.
///
/// Whatever comes of it is committed, audit entry included, when this returns: the caller tells
/// the sender and adds no audit entry of its own.
///
/// # Errors
/// The rejection that the sender is told. Where the store itself failed nothing was kept, and the
/// sender is told to send it again.
pub async fn process(gateway: &Gateway, received: Received) -> Result<Answer, Rejection> {
    let mut races = Races::over(&received.source);
    loop {
        match walk(gateway, &received).await {
            Ok(answer) => return Ok(answer),
            Err(Stop::Hold(held)) => return settle::hold(gateway, &received, held).await,
            Err(Stop::Reject(rejection)) => return Err(settle::reject(gateway, &received, rejection).await),
            Err(Stop::Unkept(fault)) => return Err(fault.into()),
            Err(Stop::Race) => races.again().await?,
        }
    }
}

/// Keeps a message that its door refuses before it is on the path - it cannot be read, or is not
/// what it must be - with the refusal and its audit entry. Returns what the sender is told.
pub async fn refuse(gateway: &Gateway, received: &Received, rejection: Rejection) -> Rejection {
    settle::reject(gateway, received, rejection).await
}

/// The legs, each taking what the one before it made. Until `commit` returns nothing has been
/// kept and the sender will send it again; after it, nothing can be lost.
async fn walk(gateway: &Gateway, received: &Received) -> Result<Answer, Stop> {
    let parsed = legs::parse(received)?;
    let found = legs::look_up(gateway, received, parsed).await?;
    if found.parsed.wish == Wish::Cancel {
        return cancel::commit(gateway, received, found).await;
    }
    let mapped = legs::map(gateway, received, found)?;
    let matched = legs::match_person(gateway, mapped).await?;
    let routed = legs::route(gateway, received, matched).await?;
    commit::commit(gateway, received, routed).await
}

/// Keeps a referral for a person to look at that its intake already knows cannot go down the path.
/// `practice` is shown with the hold, where it is known.
pub(crate) async fn hold(
    gateway: &Gateway,
    received: &Received,
    referral: String,
    practice: Option<OdsCode>,
    causes: Vec<(Cause, String)>,
) -> Result<Answer, Rejection> {
    settle::hold(gateway, received, Held { referral, practice, causes, replay: String::new() }).await
}

/// Walks the legs that change nothing, and says in words what a commit would have come to. For
/// looking before a replay.
///
/// # Errors
/// The rejection that the sender would be told.
pub async fn rehearse(gateway: &Gateway, received: &Received) -> Result<String, Rejection> {
    match walk_to_route(gateway, received).await {
        Ok(words) => Ok(words),
        Err(Stop::Hold(held)) => {
            let causes: Vec<_> = held.causes.iter().map(|(cause, why)| format!("{} ({why})", cause.word())).collect();
            Ok(format!("would be held: {}", causes.join("; ")))
        }
        Err(Stop::Reject(rejection)) => Err(rejection),
        Err(Stop::Race) => Err(StoreError::Overloaded.into()),
        Err(Stop::Unkept(fault)) => Err(fault.into()),
    }
}

async fn walk_to_route(gateway: &Gateway, received: &Received) -> Result<String, Stop> {
    let parsed = legs::parse(received)?;
    let found = legs::look_up(gateway, received, parsed).await?;
    if found.parsed.wish == Wish::Cancel {
        return Ok("would be withdrawn".to_owned());
    }
    let matched = legs::match_person(gateway, legs::map(gateway, received, found)?).await?;
    let routed = legs::route(gateway, received, matched).await?;
    Ok(format!("would be committed, to pool {}", routed.pool.pool()))
}

/// Why a referral leaves the path before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Kept for a person to look at.
    Hold(Held),
    /// Refused; the sender is told why.
    Reject(Rejection),
    /// Somebody else committed first: look again.
    Race,
    /// The store failed: nothing is kept, and nobody may say that it is.
    Unkept(StoreError),
}

/// What is known of a referral that must be held.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// The referral's logical id.
    pub referral: String,
    /// The practice, where known.
    pub practice: Option<OdsCode>,
    /// Why, each with words for the person who looks.
    pub causes: Vec<(Cause, String)>,
    /// What a replay starts from.
    pub replay: String,
}

impl From<Rejection> for Stop {
    fn from(rejection: Rejection) -> Self {
        Self::Reject(rejection)
    }
}

impl From<StoreError> for Stop {
    fn from(fault: StoreError) -> Self {
        match fault {
            StoreError::Stale { .. } => Self::Race,
            taken @ StoreError::Taken { .. } => Self::Reject(taken.into()),
            other => Self::Unkept(other),
        }
    }
}
