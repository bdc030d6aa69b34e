//! The evaluation dataset: what came of the referrals of a period, in counts. The questions are
//! those of a county's monitoring schedule (Norfolk, Appendix D): how many, for what, which
//! support, referred on, contacts, dropped out, unmet need, wellbeing before and after, and for
//! whom.
//!
//! Pure, over cases that `gather` read. Nothing in it is of one person: counts of fewer people than
//! `evaluation.hidden_below` are hidden, and with them as many others as would give them away.

pub mod case;
pub mod gather;
mod hide;
mod shown;

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use crate::fhir::observation;
use crate::outcome::measure::{Number, measures};
use crate::outcome::mode;
use crate::outcome::paired::{Change, Score, changes};
pub use case::{Case, Label, Standing};
pub use shown::Line;

/// What is asked.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Question {
    /// Referrals received on this day (UTC) or later.
    pub from: Option<Date>,
    /// Referrals received on this day (UTC) or earlier.
    pub to: Option<Date>,
    /// One practice's.
    pub practice: Option<String>,
}

/// All that was read for a question.
#[derive(Debug, Default)]
pub struct Gathered {
    /// The referrals.
    pub cases: Vec<Case>,
    /// Their scores.
    pub scores: Vec<Score>,
    /// Measures without a number: `(scale, why)`, one an Observation.
    pub absent: Vec<(String, &'static str)>,
}

/// A count of people or referrals; `None`: hidden.
pub type Count = Option<u64>;

/// One line of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// What is counted, in words.
    pub label: String,
    /// Its code as `SYSTEM|CODE`, where it has one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// How many.
    pub count: Count,
}

/// Contacts. The counts are of contacts, not of people, but for `people`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Contacts {
    /// Contacts at which the person was met or spoken to.
    pub met: Count,
    /// Attempts that did not reach the person.
    pub missed: Count,
    /// People with at least one contact.
    pub people: Count,
    /// Contacts for each of those people, two decimal places.
    pub mean: Option<String>,
    /// Contacts by `Encounter.class`.
    pub modes: Vec<Row>,
}

/// One group of people: how many of them were referred, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupRow {
    /// The group.
    pub group: String,
    /// Referrals.
    pub referred: Count,
    /// Those where the person accepted.
    pub accepted: Count,
    /// Those where the person said no.
    pub declined: Count,
    /// Those that ended because the person did not engage.
    pub dropped_out: Count,
    /// Those with a need for which nothing was found.
    pub unmet: Count,
}

/// A measure's paired change, with counts that may be hidden.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangeRow {
    /// The scale, by its id in `mappings/outcome/measures.csv`.
    pub scale: String,
    /// Its term.
    pub display: String,
    /// The version; empty where none was said.
    pub version: String,
    /// See [`Change`].
    pub paired: Count,
    /// See [`Change`].
    pub lost: Count,
    /// See [`Change`].
    pub waiting: Count,
    /// See [`Change`].
    pub mean: Option<String>,
    /// See [`Change`].
    pub interval: Option<[String; 2]>,
    /// See [`Change`].
    pub better: &'static str,
    /// See [`Change`].
    pub improved: Count,
    /// See [`Change`].
    pub same: Count,
    /// See [`Change`].
    pub worse: Count,
}

/// The dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evaluation {
    /// When it was reckoned.
    pub as_of: Timestamp,
    /// Counts from 1 up to below this are hidden; 0: nothing was.
    pub hidden_below: u64,
    /// Referrals received in the period.
    pub referred: Count,
    /// Where they stand.
    pub standing: Vec<Row>,
    /// Why they came: `ServiceRequest.reasonCode`. One may have several.
    pub reasons: Vec<Row>,
    /// Referred on: referrals with at least one, and to what.
    pub referred_on: Count,
    /// Signposted: referrals with at least one, and to what.
    pub signposted: Count,
    /// Types of support that people were referred on or signposted to.
    pub support: Vec<Row>,
    /// Contacts.
    pub contacts: Contacts,
    /// Why episodes were closed.
    pub closures: Vec<Row>,
    /// Referrals that ended because the person did not engage.
    pub dropped_out: Count,
    /// Referrals with a need for which nothing was found.
    pub unmet: Count,
    /// Those needs.
    pub unmet_needs: Vec<Row>,
    /// By age at receipt.
    pub ages: Vec<GroupRow>,
    /// By administrative gender.
    pub sexes: Vec<GroupRow>,
    /// By ethnic category; Z (not stated), 99 (not known) and not sent are different facts.
    pub ethnicities: Vec<GroupRow>,
    /// Change of each measure, paired.
    pub changes: Vec<ChangeRow>,
    /// Measures without a number, by scale and why.
    pub absent: Vec<Row>,
}

/// The closure reason of those who did not engage.
pub const DROPPED_OUT: &str = "did-not-engage";

/// Reckons the dataset, nothing hidden.
pub fn reckon(as_of: Timestamp, gathered: &Gathered) -> Evaluation {
    let cases = &gathered.cases;
    let number = |holds: &dyn Fn(&Case) -> bool| Some(cases.iter().filter(|case| holds(case)).count() as u64);
    let labels = |of: fn(&Case) -> &[Label]| rows(cases.iter().flat_map(|case| once(of(case))));
    let standing = Standing::ALL.iter().map(|one| Row {
        label: one.word().to_owned(),
        code: String::new(),
        count: number(&|case| case.standing == *one),
    });
    Evaluation {
        as_of,
        hidden_below: 0,
        referred: number(&|_| true),
        standing: standing.collect(),
        reasons: labels(|case| &case.reasons),
        referred_on: number(&|case| !case.onward.is_empty()),
        signposted: number(&|case| !case.signposts.is_empty()),
        support: rows(cases.iter().flat_map(|case| case.onward.iter().chain(&case.signposts))),
        contacts: contacts(cases),
        closures: rows(cases.iter().filter_map(|case| case.closure.as_ref())),
        dropped_out: number(&|case| case.dropped_out()),
        unmet: number(&|case| !case.unmet.is_empty()),
        unmet_needs: labels(|case| &case.unmet),
        ages: groups(cases, |case| &case.age),
        sexes: groups(cases, |case| &case.sex),
        ethnicities: groups(cases, |case| &case.ethnicity),
        changes: changes(measures(), &gathered.scores).into_iter().map(ChangeRow::of).collect(),
        absent: absent(&gathered.absent),
    }
}

/// Each label of one case once.
fn once(labels: &[Label]) -> Vec<&Label> {
    let mut seen: Vec<&Label> = Vec::new();
    for label in labels {
        if !seen.contains(&label) {
            seen.push(label);
        }
    }
    seen
}

/// A row a label, the most frequent first.
fn rows<'a>(labels: impl Iterator<Item = &'a Label>) -> Vec<Row> {
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for label in labels {
        *counts.entry((&label.code, &label.words)).or_default() += 1;
    }
    let mut rows: Vec<Row> = counts
        .into_iter()
        .map(|((code, words), count)| Row { label: words.to_owned(), code: code.to_owned(), count: Some(count) })
        .collect();
    rows.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.label.cmp(&b.label)));
    rows
}

fn contacts(cases: &[Case]) -> Contacts {
    let sum = |of: fn(&Case) -> u64| Some(cases.iter().map(of).sum());
    let met: Vec<Number> = cases
        .iter()
        .filter(|case| case.met > 0)
        .filter_map(|case| Number::whole(i64::try_from(case.met).ok()?))
        .collect();
    let mut modes: BTreeMap<&str, u64> = BTreeMap::new();
    for (mode, count) in cases.iter().flat_map(|case| &case.modes) {
        *modes.entry(mode).or_default() += count;
    }
    let row = |(class, count): (&str, u64)| Row {
        label: mode(class).to_owned(),
        code: format!("{}|{class}", observation::ACT_CODE),
        count: Some(count),
    };
    Contacts {
        met: sum(|case| case.met),
        missed: sum(|case| case.missed),
        people: Some(met.len() as u64),
        mean: Number::mean(&met).map(Number::two_places),
        modes: modes.into_iter().map(row).collect(),
    }
}

fn groups(cases: &[Case], of: fn(&Case) -> &String) -> Vec<GroupRow> {
    let mut groups: BTreeMap<&str, Vec<&Case>> = BTreeMap::new();
    for case in cases {
        groups.entry(of(case)).or_default().push(case);
    }
    let row = |(group, cases): (&str, Vec<&Case>)| {
        let number = |holds: fn(&Case) -> bool| Some(cases.iter().filter(|case| holds(case)).count() as u64);
        GroupRow {
            group: group.to_owned(),
            referred: Some(cases.len() as u64),
            accepted: number(|case| case.standing.is_accepted()),
            declined: number(|case| case.standing == Standing::Declined),
            dropped_out: number(Case::dropped_out),
            unmet: number(|case| !case.unmet.is_empty()),
        }
    };
    groups.into_iter().map(row).collect()
}

fn absent(found: &[(String, &'static str)]) -> Vec<Row> {
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for (scale, why) in found {
        *counts.entry((scale, why)).or_default() += 1;
    }
    let row = |((scale, why), count): ((&str, &str), u64)| Row {
        label: format!("{scale}: {why}"),
        code: String::new(),
        count: Some(count),
    };
    counts.into_iter().map(row).collect()
}

impl ChangeRow {
    fn of(change: Change) -> Self {
        let display = measures().scale(&change.scale).map(|scale| scale.display.clone()).unwrap_or_default();
        Self {
            display,
            scale: change.scale,
            version: change.version,
            paired: Some(change.paired),
            lost: Some(change.lost),
            waiting: Some(change.waiting),
            mean: change.mean,
            interval: change.interval,
            better: change.better,
            improved: Some(change.improved),
            same: Some(change.same),
            worse: Some(change.worse),
        }
    }
}
