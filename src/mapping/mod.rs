//! Source tree + mapping file to FHIR R4. Pure: no I/O, no time, no ids but those given.
//! <https://hl7.org/fhir/R4/>, <https://simplifier.net/hl7fhirukcorer4>
//!
//! What a mapping file may say is in `mappings/README.md`. Every value in the output names the
//! row, the source cells and the code-table line that it came from. What this room does not do:
//! it gives no logical ids, links no resources to one another, and asks nobody who a person is.

mod builtin;
mod check;
mod compile;
mod condition;
mod coverage;
mod definition;
mod element;
mod engine;
mod explain;
mod given;
mod name;
mod source;
mod tables;
mod transforms;
mod yaml;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::Fault;
use crate::rejection::{BarsError, IssueType, Rejection};
use crate::store::commit::Cause;

pub use explain::{ColumnUse, ExplainRow, Explanation, value_at};
pub use given::{case_from_text, tree_from_text};
pub use name::Name;
pub use source::SourceSchema;
pub use tables::{CodeSet, CodeTable, Decision, TableRow};

/// A parsed message before mapping: named inputs, each a JSON object (a CSV row's cells by column
/// name, or a FHIR resource), or absent. `origins` says where each input stood.
#[derive(Debug, Clone, Default)]
pub struct SourceTree {
    /// Input name to object.
    pub inputs: serde_json::Map<String, Value>,
    /// Input name to `file:line` or `Bundle.entry[3]`.
    pub origins: BTreeMap<String, String>,
    /// Input values whose code is in these named sets: `(input, set)`, decided by the parser's
    /// caller from code tables (`social-prescribing-referral`). A mapping that names its code
    /// columns decides it by itself as well.
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
    /// What was noticed and does not hold the referral: a system written another way, a value
    /// deliberately not mapped. No patient data.
    pub findings: Vec<String>,
}

/// Where one output value came from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lineage {
    /// The FHIR path: `ServiceRequest.priority`, `ServiceRequest.identifier[0].value`.
    pub element: Name,
    /// The mapping row, `ESR-05`.
    pub row: Name,
    /// The source cells, `ref.ReferralUrgency`; empty for a constant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<Name>,
    /// The code table's line, `tables/urgency.csv:3`.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub table: Name,
    /// The element as the mapping names it, with its slices: `identifier[record].value`.
    #[serde(skip)]
    pub slot: Name,
    /// Which of `Mapped::resources` it is in.
    #[serde(skip)]
    pub resource: usize,
}

fn is_empty(name: &Name) -> bool {
    name.is_empty()
}

/// Something that the mapping does not decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// The mapping row.
    pub row: Name,
    /// The hold's cause.
    pub cause: Cause,
    /// `ESR-05: '2 week wait' needs review (tables/urgency.csv:5)`. For those who may see the hold;
    /// values of rows marked `private` are left out of it.
    pub text: String,
}

/// All mappings and code tables of the gateway, loaded and checked together.
#[derive(Debug, Default)]
pub struct Mappings {
    maps: BTreeMap<String, compile::Mapping>,
    codes: tables::Codes,
    version: String,
}

impl Mappings {
    /// The mappings that are compiled in.
    ///
    /// # Errors
    /// Every fault found, each with its file and line.
    pub fn builtin() -> Result<Self, Vec<Fault>> {
        Self::load(&builtin::files())
    }

    /// The mappings of a folder shaped like `mappings/`.
    ///
    /// # Errors
    /// Every fault found, and the files that cannot be read.
    pub fn open(dir: &std::path::Path) -> Result<Self, Vec<Fault>> {
        Self::load(&builtin::read(dir)?)
    }

    /// Checks and compiles mappings from texts: path to text, such as
    /// `mappings/emis-extract/referral.yaml`. The last folder but `tables` names the mapping;
    /// the folder `codes` holds what all mappings share.
    ///
    /// # Errors
    /// Every fault found, each with its file and line, in their order.
    pub fn load(files: &BTreeMap<String, String>) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let (maps, codes) = check::load(files, &mut faults);
        if faults.is_empty() {
            return Ok(Self { maps, codes, version: builtin::version(files) });
        }
        faults.sort();
        faults.dedup();
        Err(faults)
    }

    /// Maps one source tree by the mapping of that name.
    ///
    /// # Errors
    /// 422 when a row that says `on_missing: reject` (or `on_invalid: reject`) has no good value;
    /// 501 when there is no such mapping.
    pub fn map(&self, name: &str, tree: &SourceTree) -> Result<Mapped, Rejection> {
        engine::run(self.mapping(name)?, &self.codes, tree)
    }

    /// Accounts for every element of `mapped` and every column of the source.
    ///
    /// # Errors
    /// 501 when there is no such mapping.
    pub fn explain(&self, name: &str, tree: &SourceTree, mapped: &Mapped) -> Result<Explanation, Rejection> {
        Ok(explain::explain(self.mapping(name)?, tree, mapped))
    }

    /// True when `code` of `scheme` (`snomed`, `readv2`, `ctv3`, `emis`) is in the shared set.
    pub fn in_set(&self, set: &str, scheme: &str, code: &str) -> bool {
        self.codes.sets.get(set).is_some_and(|set| set.has(scheme, code))
    }

    /// A shared code table of `mappings/codes/`.
    pub fn table(&self, name: &str) -> Option<&CodeTable> {
        self.codes.tables.get(name)
    }

    /// A shared code set of `mappings/codes/`.
    pub fn set(&self, name: &str) -> Option<&CodeSet> {
        self.codes.sets.get(name)
    }

    /// The source columns of a mapping whose source is a set of tables.
    pub fn source(&self, name: &str) -> Option<&SourceSchema> {
        self.maps.get(name).and_then(|map| map.source.as_ref())
    }

    /// The mappings' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.maps.keys().map(String::as_str)
    }

    /// The first 12 hex digits of the SHA-256 over all mapping files: named in Provenance.
    pub fn version(&self) -> &str {
        &self.version
    }

    fn mapping(&self, name: &str) -> Result<&compile::Mapping, Rejection> {
        self.maps.get(name).ok_or_else(|| {
            Rejection::new(BarsError::NotImplemented, IssueType::NotSupported, "there is no mapping of that name")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiled_in_mappings_have_no_fault() {
        let faults = Mappings::builtin().err().unwrap_or_default();
        let list: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert!(list.is_empty(), "{}", list.join("\n"));
    }
}
