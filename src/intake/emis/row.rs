//! One row between its file and the store. Pure: what it is, what of it is kept.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value};

use super::select::Class;
use crate::parsing::emis::rows::{DAMAGED, View};
use crate::parsing::emis::{Table, cells};
use crate::store::staging::{Half, Kind, Known, Reference, State};

/// What the rows of one file have in common.
pub(super) struct Lot<'l> {
    pub feed: &'l str,
    /// The batch's time: the first part of a row's version.
    pub time: &'l str,
    pub table: Table,
    pub label: &'l str,
}

impl Lot<'_> {
    /// How new a row is: by its batch, then by its ProcessingId.
    pub fn version(&self, row: &Map<String, Value>) -> String {
        let id: u64 =
            row.get("ProcessingId").and_then(Value::as_str).and_then(|id| id.trim().parse().ok()).unwrap_or(0);
        format!("{}#{id:020}", self.time)
    }
}

/// One row, off its file.
pub(super) struct Staged {
    pub cells: Map<String, Value>,
    pub origin: String,
    pub version: String,
}

impl Staged {
    pub fn cell(&self, name: &str) -> &str {
        self.cells.get(name).and_then(Value::as_str).unwrap_or("").trim()
    }

    pub fn owned(&self, name: &str) -> String {
        self.cell(name).to_owned()
    }

    pub fn is(&self, name: &str) -> bool {
        cells::boolean(self.cell(name)) == Some(true)
    }

    pub fn body(&self) -> String {
        // A map of texts always serialises.
        serde_json::to_string(&self.cells).unwrap_or_default()
    }
}

/// Marks a row of which only the key is to be kept; no column has this name.
pub(super) const KEY_ONLY: &str = "#key-only";

/// What becomes of an observation.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Stage,
    KeyOnly,
    Count,
}

/// `by_form`: whether the form that is here selects it. `wide`: forms can, and this one's may yet come.
pub(super) fn judge(
    class: Option<Class>,
    deleted: bool,
    known: Option<&Known>,
    by_form: Option<bool>,
    wide: bool,
) -> Fate {
    // Deleted: the code cell cannot be relied on, and the deletion of an unknown row is kept by its
    // key, so that an older batch that comes later does not bring it back.
    let (false, Some(class)) = (deleted, class) else {
        let concerns = deleted && known.is_none() && class.is_some_and(|class| !class.prescribing && !class.referral);
        return if concerns { Fate::Count } else { Fate::Stage };
    };
    let is_referral = class.referral || by_form.is_some();
    if class.prescribing || (class.damaged && is_referral) || by_form.unwrap_or(class.referral && wide) {
        return Fate::Stage;
    }
    match known {
        Some(known) if known.has_observation || !matches!(known.state, State::New | State::Ignored) => Fate::Stage,
        Some(_) => Fate::KeyOnly,
        None if class.referral => Fate::KeyOnly,
        None => Fate::Count,
    }
}

pub(super) fn take(lot: &Lot<'_>, view: &View<'_>) -> Staged {
    let cells = view.cells();
    Staged { version: lot.version(&cells), cells, origin: format!("{}:{}", lot.label, view.line) }
}

pub(super) fn is_test_patient(row: &Staged) -> bool {
    row.is("DummyType") || row.cell("PatientTypeDescription").eq_ignore_ascii_case("dummy")
}

pub(super) fn reference(kind: Kind, scope: &str, key: &str, row: &Staged) -> Option<Reference> {
    let key = row.cell(key);
    let named = !key.is_empty();
    named.then(|| Reference {
        kind,
        scope: scope.to_owned(),
        key: key.to_owned(),
        version: row.version.clone(),
        body: row.body(),
        origin: row.origin.clone(),
    })
}

pub(super) fn references(kind: Kind, scope: &str, key: &str, rows: &[Staged]) -> Vec<Reference> {
    rows.iter().filter_map(|row| reference(kind, scope, key, row)).collect()
}

/// One row a code: since 2020 the table has one for each of its parents.
pub(super) fn codes(rows: &[Staged]) -> Vec<Reference> {
    let mut one: BTreeMap<String, Reference> = BTreeMap::new();
    for row in rows {
        let mut cells = row.cells.clone();
        for column in ["ParentCodeId", "ProcessingId", "AgreementGuid"] {
            cells.remove(column);
        }
        let row = Staged { cells, origin: row.origin.clone(), version: row.version.clone() };
        if let Some(reference) = reference(Kind::Code, "", "CodeId", &row) {
            match one.get(&reference.key) {
                Some(before) if before.version > reference.version => {}
                _ => drop(one.insert(reference.key.clone(), reference)),
            }
        }
    }
    one.into_values().collect()
}

pub(super) fn half(lot: &Lot<'_>, row: &Staged, organisation: String, observation: String) -> Half {
    Half {
        organisation,
        observation,
        is_referral: lot.table == Table::Referral,
        feed: lot.feed.to_owned(),
        version: row.version.clone(),
        body: row.body(),
        origin: row.origin.clone(),
        patient: row.owned("PatientGuid"),
        code: row.owned("CodeId"),
        clinician: row.owned("ClinicianUserInRoleGuid"),
        target: row.owned("ReferralTargetOrganisationGuid"),
        deleted: false,
        ignored: false,
    }
}

/// True for a row whose bytes could not be read.
pub(super) fn is_damaged(cells: &Value) -> bool {
    cells.get(DAMAGED).is_some()
}

/// Keys of deleted rows by organisation.
pub(super) type Deleted = HashMap<String, HashSet<String>>;
