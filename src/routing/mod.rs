//! Practice -> PCN -> link-worker pool. Pure: reference data, caseloads and the date come in.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::fhir::ids::OdsCode;

pub mod place;

pub use place::Place;

/// What routing decides on.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub struct RouteInput {
    /// The practice where the person is registered (the referring practice, when that is not known).
    pub practice: OdsCode,
    /// The date of the decision, which picks the reference data in force.
    pub on: Date,
    /// Restricted or sensitive: never by location, to the named restricted queue.
    pub restricted: bool,
}

/// Where a referral goes, and why. Stored with the referral as its Provenance and shown by
/// `route explain`.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub struct Decision {
    /// The pool's id.
    pub pool: String,
    /// The pool's name.
    pub pool_name: String,
    /// The PCN, where there is one.
    pub pcn: Option<String>,
    /// What was decided on.
    pub input: RouteInput,
    /// Why, a sentence a step, in words that a receptionist understands.
    pub reasons: Vec<String>,
    /// Candidates that were not chosen, `(pool, why not)`.
    pub passed_over: Vec<(String, String)>,
    /// Version (SHA-256, first 12 hex digits) of the place's files.
    pub version: String,
}
