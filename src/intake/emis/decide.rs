//! What a candidate comes to before the path sees it. Pure: candidate in, verdict out.

use std::collections::{BTreeMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::row::is_damaged;
use super::select::{self, Class};
use crate::fhir::ids::OdsCode;
use crate::gateway::Gateway;
use crate::mapping::SourceTree;
use crate::parsing::emis::cells::boolean;
use crate::store::commit::Cause;
use crate::store::staging::{Candidate, Joined, State};

/// What to do with a candidate.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Down the path. A tree whose observation is deleted is a cancellation.
    Process(SourceTree),
    /// A person must look.
    Hold(SourceTree, Cause, String),
    /// The other half, or the code, may still come.
    Wait(&'static str),
    /// It does not concern us, for this reason; nothing is kept.
    Ignore(&'static str),
}

/// Decides. `open`: the practices of the candidate's agreement, where one came.
pub(super) fn decide(
    gateway: &Gateway,
    candidate: &Candidate,
    open: Option<&HashSet<String>>,
    now: Timestamp,
) -> Verdict {
    let inputs = Inputs::of(candidate);
    let was_sent = candidate.state == State::Committed;
    if candidate.state == State::Ignored || (candidate.obs.is_none() && candidate.referral.is_none()) {
        return Verdict::Ignore("not-social-prescribing");
    }
    if candidate.patient.is_some() && inputs.is("pat", "DummyType") {
        return if was_sent { withdrawn(inputs) } else { Verdict::Ignore("test-patient") };
    }
    if candidate.deleted {
        return withdrawn(inputs);
    }
    if let Some(damaged) = inputs.damaged() {
        let detail =
            format!("the {damaged} row is not readable text; its bytes are kept, and a corrected row mends it");
        return Verdict::Hold(inputs.tree(), Cause::Encoding, detail);
    }
    match chosen(gateway, candidate, &inputs) {
        Chosen::Yes => {}
        Chosen::No if was_sent => return withdrawn(inputs),
        Chosen::No => return Verdict::Ignore("not-social-prescribing"),
        Chosen::NotYet(what, may_be_ours) => {
            let days = i64::from(gateway.config.intake.emis.wait_days);
            let waited = now.duration_since(candidate.since) > SignedDuration::from_hours(24 * days);
            return match (waited, may_be_ours) {
                (false, _) => Verdict::Wait(what),
                (true, false) => Verdict::Ignore("not-social-prescribing"),
                (true, true) => {
                    Verdict::Hold(inputs.tree(), Cause::Incomplete, format!("{what} has not come in {days} days"))
                }
            };
        }
        Chosen::Damaged => {
            let detail =
                "the SNOMED concept id of the code fails its check digit: was the file opened in a spreadsheet?";
            return Verdict::Hold(inputs.tree(), Cause::CodeDamaged, detail.to_owned());
        }
    }
    fit(candidate, inputs, open)
}

/// A chosen candidate: may it go on?
fn fit(candidate: &Candidate, mut inputs: Inputs, open: Option<&HashSet<String>>) -> Verdict {
    let is_open = open.is_none_or(|open| open.contains(&candidate.organisation));
    let no_code = OdsCode::parse(inputs.cell("org", "ODSCode")).is_err();
    let left = inputs.is("pat", "Deleted") || !inputs.cell("pat", "DateofDeactivation").is_empty();
    let trouble = if !is_open {
        Some((Cause::Agreement, "the practice's sharing agreement is not active"))
    } else if no_code {
        Some((Cause::PracticeUnknown, "the practice's organisation row has not come, or has no ODS code"))
    } else if candidate.patient.is_none() {
        Some((Cause::PatientUnknown, "the patient's row has not come"))
    } else if left {
        Some((Cause::Deducted, "the patient has left the practice or the scope of the extract"))
    } else {
        None
    };
    match trouble {
        Some((cause, detail)) => Verdict::Hold(inputs.tree(), cause, detail.to_owned()),
        None => {
            inputs.set("obs", "Deleted", "false");
            Verdict::Process(inputs.tree())
        }
    }
}

enum Chosen {
    Yes,
    No,
    /// What has not come, and whether it can be ours at all.
    NotYet(&'static str, bool),
    Damaged,
}

fn chosen(gateway: &Gateway, candidate: &Candidate, inputs: &Inputs) -> Chosen {
    if candidate.obs.is_none() {
        return Chosen::NotYet("the observation", true);
    }
    let Some(code) = inputs.map.get("code") else { return Chosen::NotYet("the code's row", true) };
    let class = Class::of(gateway, code);
    let target = OdsCode::parse(inputs.cell("target", "ODSCode")).ok();
    let has_form = candidate.referral.is_some();
    let by_form = select::by_form(gateway, target.as_ref()) && (has_form || class.referral);
    if class.prescribing || by_form {
        return Chosen::Yes;
    }
    if class.damaged && (class.referral || has_form) {
        return Chosen::Damaged;
    }
    if class.referral && !has_form && select::is_wide(gateway) {
        return Chosen::NotYet("the referral form's row", false);
    }
    Chosen::No
}

fn withdrawn(mut inputs: Inputs) -> Verdict {
    inputs.set("obs", "Deleted", "true");
    Verdict::Process(inputs.tree())
}

/// The join as JSON.
struct Inputs {
    map: Map<String, Value>,
    origins: BTreeMap<String, String>,
}

impl Inputs {
    fn of(candidate: &Candidate) -> Self {
        let mut inputs = Self { map: Map::new(), origins: BTreeMap::new() };
        let rows: [(&str, &Option<Joined>); 7] = [
            ("obs", &candidate.obs),
            ("ref", &candidate.referral),
            ("code", &candidate.code),
            ("pat", &candidate.patient),
            ("clin", &candidate.clinician),
            ("org", &candidate.org),
            ("target", &candidate.target),
        ];
        for (name, row) in rows {
            let Some(row) = row else { continue };
            if let Ok(Value::Object(cells)) = serde_json::from_str(&row.body) {
                inputs.map.insert(name.to_owned(), Value::Object(cells));
                inputs.origins.insert(name.to_owned(), row.origin.clone());
            }
        }
        let obs = inputs.map.entry("obs").or_insert_with(|| json!({}));
        obs["OrganisationGuid"] = json!(candidate.organisation);
        obs["ObservationGuid"] = json!(candidate.observation);
        inputs
    }

    fn cell(&self, input: &str, column: &str) -> &str {
        self.map.get(input).and_then(|row| row[column].as_str()).unwrap_or("").trim()
    }

    fn is(&self, input: &str, column: &str) -> bool {
        boolean(self.cell(input, column)) == Some(true)
    }

    fn set(&mut self, input: &str, column: &str, value: &str) {
        if let Some(row) = self.map.get_mut(input) {
            row[column] = json!(value);
        }
    }

    /// The first row whose bytes could not be read. Who the clinician or the target is, is a hint.
    fn damaged(&self) -> Option<&'static str> {
        ["obs", "ref", "code", "pat", "org"].into_iter().find(|name| self.map.get(*name).is_some_and(is_damaged))
    }

    fn tree(mut self) -> SourceTree {
        for hint in ["clin", "target"] {
            if self.map.get(hint).is_some_and(is_damaged) {
                self.map.remove(hint);
            }
        }
        SourceTree { inputs: self.map, origins: self.origins, in_sets: std::iter::empty().collect() }
    }
}

/// The tree of a candidate, for one that wants to see it whatever it comes to.
pub(super) fn tree(candidate: &Candidate) -> SourceTree {
    Inputs::of(candidate).tree()
}
