//! Source tree + mapping file to FHIR R4. Pure: no I/O, no time, no ids but those given.
//!
//! What a mapping file may say is in `mappings/README.md`. Every value in the output names the
//! row, the source cells and the code-table line that it came from.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::store::commit::Cause;

/// A parsed message before mapping: named inputs, each a JSON object (a CSV row's cells by column
/// name, or a FHIR resource), or absent. `origins` says where each input stood.
#[derive(Debug, Clone, Default)]
pub struct SourceTree {
    /// Input name to object.
    pub inputs: serde_json::Map<String, Value>,
    /// Input name to `file:line` or `Bundle.entry[3]`.
    pub origins: std::collections::BTreeMap<String, String>,
    /// Input values whose code is in these named sets: `(input, set)`, decided by the parser's
    /// caller from code tables (`social-prescribing-referral`).
    pub in_sets: std::collections::BTreeSet<(String, String)>,
}

/// What a mapping made of one source tree.
#[derive(Debug, Clone, Default)]
pub struct Mapped {
    /// One resource for each target of the mapping, in the mapping's order, without `id`,
    /// references between them or `meta.versionId`: those are the path's.
    pub resources: Vec<Value>,
    /// Where each element came from.
    pub lineage: Vec<Lineage>,
    /// What a person must look at. Not empty: the referral is held.
    pub review: Vec<Review>,
}

/// Where one output value came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lineage {
    /// `ServiceRequest.priority`
    pub element: String,
    /// The mapping row, `ESR-05`.
    pub row: String,
    /// The source cells, `ref.ReferralUrgency`; empty for a constant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<String>,
    /// The code table's line, `tables/urgency.csv:3`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub table: String,
}

/// Something that the mapping does not decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// The mapping row.
    pub row: String,
    /// The hold's cause.
    pub cause: Cause,
    /// `ESR-05: '2 week wait' needs review (tables/urgency.csv:5)`. For those who may see the hold;
    /// values of rows marked `private` are left out of it.
    pub text: String,
}

/// All mappings and code tables of the gateway, loaded and checked together.
#[derive(Debug, Default)]
pub struct Mappings {}
