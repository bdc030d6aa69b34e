//! Where an entry stands on its way into the practice's record, as Parameters: one `filing` a
//! version and practice, newest version first. <https://hl7.org/fhir/R4/parameters.html>

use jiff::Timestamp;
use serde_json::{Value, json};

use super::ids::ODS;
use crate::clock::instant;

/// One version on its way to one practice.
#[derive(Debug, Clone)]
pub struct Standing<'a> {
    /// The entry's version.
    pub version: u32,
    /// The practice's ODS code.
    pub practice: &'a str,
    /// `queued`, `sent`, ... see the gateway's documentation.
    pub state: &'a str,
    /// Since when.
    pub since: Timestamp,
    /// The route that it is on; empty before the first try.
    pub route: &'a str,
    /// When somebody is told that the next acknowledgement is missing.
    pub deadline: Option<Timestamp>,
    /// True once somebody was told.
    pub overdue: bool,
    /// `coded`, `text-only`, or empty.
    pub read_back: &'a str,
    /// Why, in words without patient data.
    pub why: &'a str,
}

/// The Parameters.
pub fn parameters(standings: &[Standing<'_>]) -> Value {
    let filings: Vec<Value> = standings.iter().map(|one| json!({"name": "filing", "part": parts(one)})).collect();
    if filings.is_empty() {
        json!({"resourceType": "Parameters"})
    } else {
        json!({"resourceType": "Parameters", "parameter": filings})
    }
}

fn parts(one: &Standing<'_>) -> Vec<Value> {
    let mut parts = vec![
        json!({"name": "version", "valuePositiveInt": one.version}),
        json!({"name": "practice", "valueIdentifier": {"system": ODS, "value": one.practice}}),
        json!({"name": "state", "valueCode": one.state}),
        json!({"name": "since", "valueInstant": instant(one.since)}),
        json!({"name": "overdue", "valueBoolean": one.overdue}),
    ];
    parts.extend(one.deadline.map(|at| json!({"name": "deadline", "valueInstant": instant(at)})));
    for (name, text) in [("route", one.route), ("read-back", one.read_back)] {
        if !text.is_empty() {
            parts.push(json!({"name": name, "valueCode": text}));
        }
    }
    if !one.why.is_empty() {
        parts.push(json!({"name": "why", "valueString": one.why}));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_fhir_with_and_without_filings() {
        let one = Standing {
            version: 2,
            practice: "N84001",
            state: "awaiting-practice",
            since: Timestamp::UNIX_EPOCH,
            route: "fhir",
            deadline: Some(Timestamp::UNIX_EPOCH),
            overdue: false,
            read_back: "",
            why: "a person must accept it",
        };
        for parameters in [parameters(&[]), parameters(&[one.clone(), one])] {
            assert!(super::super::check::check(&parameters).is_ok(), "{parameters}");
        }
    }
}
