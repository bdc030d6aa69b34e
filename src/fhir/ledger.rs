//! The ledger as a MeasureReport: the totals, each practice and day, and the outcomes.
//! <https://hl7.org/fhir/R4/measurereport.html>

use serde_json::{Value, json};

use super::ids::ODS;
use crate::ledger::{Ledger, Outcomes, Totals};

/// The Measure that it reports.
pub const MEASURE: &str = "https://fingerpost.dev/Measure/referral-ledger";
/// The system of the populations' codes.
const STATE: &str = "https://fingerpost.dev/CodeSystem/ledger";

/// The report. It reports on one practice where `practice` says which.
pub fn report(ledger: &Ledger, practice: Option<&str>) -> Value {
    let as_of = crate::clock::instant(ledger.as_of);
    let days = ledger.days.as_deref().unwrap_or_default();
    let first = days.iter().filter_map(|day| day.day).min().map_or_else(|| as_of.clone(), |day| day.to_string());
    let mut groups = vec![
        group("referrals", "All referrals received", &totals(&ledger.totals)),
        group("outcomes", "All outcomes recorded", &outcomes(&ledger.outcomes)),
    ];
    for day in days {
        let when = day.day.map_or_else(|| "without a day".to_owned(), |day| day.to_string());
        let practice = if day.practice.is_empty() { "practice not known" } else { &day.practice };
        groups.push(group("day", &format!("{practice}, {when}"), &totals(&day.totals)));
    }
    for (practice, one) in ledger.practices.iter().flatten() {
        groups.push(group("practice-outcomes", practice, &outcomes(one)));
    }
    let mut report = json!({
        "resourceType": "MeasureReport",
        "status": if ledger.reconciles { "complete" } else { "error" },
        "type": "summary",
        "measure": MEASURE,
        "date": as_of,
        "period": {"start": first, "end": as_of},
        "group": groups,
    });
    if let Some(practice) = practice {
        report["reporter"] = json!({"type": "Organization", "identifier": {"system": ODS, "value": practice}});
    }
    report
}

fn totals(totals: &Totals) -> Vec<(&'static str, u64)> {
    totals.words().to_vec()
}

fn outcomes(outcomes: &Outcomes) -> Vec<(&'static str, u64)> {
    vec![
        ("recorded", outcomes.recorded),
        ("filed", outcomes.filed),
        ("filed-without-code", outcomes.filed_without_code),
        ("in-flight", outcomes.in_flight),
        ("needs-person", outcomes.needs_person),
        ("overdue", outcomes.overdue),
    ]
}

fn group(code: &str, text: &str, counts: &[(&'static str, u64)]) -> Value {
    let population = |(word, count): &(&'static str, u64)| json!({"code": {"coding": [{"system": STATE, "code": word}], "text": word}, "count": count});
    json!({
        "code": {"coding": [{"system": STATE, "code": code}], "text": text},
        "population": counts.iter().map(population).collect::<Vec<_>>(),
    })
}
