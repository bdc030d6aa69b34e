//! Do the gateway's AuditEvents follow IHE's Basic Audit Log Patterns?
//! <https://profiles.ihe.net/ITI/BALP/> (the StructureDefinitions, read on 24 November 2026)
//!
//! `patterns.csv` says in one row a pattern what its profile fixes. Each pattern's event is made by
//! the gateway and held against its row; events that lack what a profile asks for must not claim it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use fingerpost::audit::{Action, Agent, Entry, Kind, Observer, Outcome, audit_event};
use serde_json::Value;

const PROFILE: &str = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.";
const PATTERNS: &str = include_str!("patterns.csv");
const OBSERVER: Observer<'_> =
    Observer { ods: "FPG01", name: "Fingerpost gateway", base_url: "https://gateway.example" };

fn entry(kind: Kind, interaction: &str, action: Action) -> Entry {
    let search = interaction.starts_with("search");
    Entry {
        id: uuid::Uuid::from_u128(7),
        at: "2026-11-24T10:00:00Z".parse().unwrap(),
        kind,
        interaction: interaction.into(),
        action,
        outcome: Outcome::Success,
        agent: Agent {
            client: "wellness-db".into(),
            ods: "RY0".into(),
            role: "consumer".into(),
            user: "555021935107".into(),
            address: "192.0.2.7".into(),
        },
        purpose: "TREAT".into(),
        request: "0b4d7c39-3d5c-4f5e-9a51-2f6d4b3a1c77".into(),
        entities: if search { Vec::new() } else { vec!["Task/t1/_history/2".into()] },
        patients: vec!["Patient/p1".into()],
        query: if search { "Task?patient=Patient/p1".into() } else { String::new() },
        detail: String::new(),
    }
}

fn event(entry: &Entry) -> Value {
    let event = audit_event(entry, 41, OBSERVER);
    fingerpost::fhir::check::check(&event).unwrap_or_else(|fault| panic!("{fault}: {event:#}"));
    event
}

fn claims(event: &Value, pattern: &str) -> bool {
    let profile = format!("{PROFILE}{pattern}");
    event["meta"]["profile"].as_array().unwrap().iter().any(|claimed| *claimed == profile.as_str())
}

fn claims_any(event: &Value) -> bool {
    event["meta"]["profile"].to_string().contains(PROFILE)
}

fn codes<'a>(list: &'a Value, at: &str) -> Vec<&'a str> {
    list.as_array().into_iter().flatten().filter_map(|item| item.pointer(at)?.as_str()).collect()
}

/// The only item of `list` whose code at `at` is `code`.
fn only<'a>(list: &'a Value, at: &str, code: &str) -> &'a Value {
    let mut found = list.as_array().unwrap().iter().filter(|item| item.pointer(at).is_some_and(|c| c == code));
    let one = found.next().unwrap_or_else(|| panic!("no {code} in {list:#}"));
    assert!(found.next().is_none(), "{code} stands twice");
    one
}

#[derive(Debug)]
struct Row<'a> {
    pattern: &'a str,
    kind: Kind,
    interaction: &'a str,
    kind_code: &'a str,
    subtype: &'a str,
    action: &'a str,
    client: &'a str,
    user: &'a str,
    data: &'a str,
}

fn rows() -> impl Iterator<Item = Row<'static>> {
    PATTERNS.lines().skip(1).filter(|line| !line.is_empty()).map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        Row {
            pattern: cells[0],
            kind: serde_json::from_value(cells[1].into()).unwrap(),
            interaction: cells[2],
            kind_code: cells[3],
            subtype: cells[4],
            action: cells[5],
            client: cells[6],
            user: cells[7],
            data: cells[8],
        }
    })
}

fn made_for(row: &Row<'_>) -> Entry {
    let mut made = entry(row.kind, row.interaction, serde_json::from_value(row.action.into()).unwrap());
    if !row.pattern.starts_with("Patient") && row.kind == Kind::Rest {
        made.patients.clear();
    }
    made
}

#[test]
fn each_pattern_is_met_as_its_profile_fixes_it() {
    for row in rows() {
        let event = event(&made_for(&row));
        assert!(claims(&event, row.pattern), "{row:?}: {:#}", event["meta"]);
        assert_eq!(event["type"]["code"], row.kind_code, "{row:?}");
        assert!(codes(&event["subtype"], "/code").contains(&row.subtype), "{row:?}");
        assert_eq!(event["action"], row.action, "{row:?}");
        assert_eq!(event["outcome"], "0");
        let server = if row.client == "110153" { "110152" } else { "110153" };
        for side in [row.client, server] {
            let agent = only(&event["agent"], "/type/coding/0/code", side);
            assert!(agent["who"].is_object() && agent["network"]["address"].is_string(), "{row:?}");
            assert!(agent.get("media").is_none());
        }
        let gateway = only(&event["agent"], "/type/coding/0/code", server);
        assert_eq!(gateway["who"]["identifier"], event["source"]["observer"]["identifier"], "val-audit-source");
        let user = only(&event["agent"], "/type/coding/0/code", row.user);
        assert_eq!((&user["requestor"], user.get("network")), (&Value::Bool(true), None));
        check_entities(&row, &event);
    }
}

fn check_entities(row: &Row<'_>, event: &Value) {
    let transaction = only(&event["entity"], "/type/code", "XrequestId");
    assert!(transaction["what"]["identifier"]["value"].is_string());
    let data = only(&event["entity"], "/role/code", row.data);
    assert_eq!(data["type"]["code"], "2");
    if row.data == "24" {
        assert!(data["query"].is_string() && data.get("what").is_none() && data.get("detail").is_none());
    } else {
        assert!(data["what"]["reference"].is_string());
    }
    let patients = codes(&event["entity"], "/role/code").into_iter().filter(|role| *role == "1").count();
    let expected = usize::from(row.pattern.starts_with("Patient") || row.pattern.starts_with("Privacy"));
    assert_eq!(patients, expected, "{row:?}");
    if expected == 1 {
        let patient = only(&event["entity"], "/role/code", "1");
        assert_eq!(patient["type"]["code"], "1");
        assert!(patient["what"]["reference"].as_str().unwrap().starts_with("Patient/"));
    }
}

#[test]
fn a_failure_has_the_same_shape_and_claims_no_pattern() {
    for row in rows() {
        for (outcome, code) in [(Outcome::MinorFailure, "4"), (Outcome::SeriousFailure, "8")] {
            let failed = Entry { outcome, detail: "the role does not allow it".into(), ..made_for(&row) };
            let event = event(&failed);
            assert_eq!((&event["outcome"], claims_any(&event)), (&Value::from(code), false), "{row:?}");
            assert_eq!(event["outcomeDesc"], "the role does not allow it");
        }
    }
}

#[test]
fn what_a_profile_asks_for_and_is_not_there_is_not_claimed() {
    let read = entry(Kind::Rest, "read", Action::R);
    let mut no_address = read.clone();
    no_address.agent.address.clear();
    assert!(!claims_any(&event(&no_address)), "agent.network is 1..1");
    let two = Entry { patients: vec!["Patient/p1".into(), "Patient/p2".into()], ..read.clone() };
    assert!(!claims(&event(&two), "PatientRead"), "entity:patient is 1..1");
    let wide = Entry { query: String::new(), ..entry(Kind::Rest, "search-type", Action::E) };
    assert!(!claims_any(&event(&wide)), "entity:query.query is 1..1");
    assert!(!claims_any(&event(&entry(Kind::Rest, "read", Action::E))), "action is fixed");
    let none = Entry { entities: Vec::new(), ..read };
    assert!(!claims_any(&event(&none)), "entity:data is 1..1");
}

#[test]
fn every_kind_of_event_is_an_audit_event_of_fhir_and_uk_core() {
    for kind in [Kind::Rest, Kind::Intake, Kind::Delivery, Kind::WriteBack, Kind::SignIn, Kind::Operation] {
        for interaction in ["read", "search-type", "create", "update", "process-message", "token", "replay", ""] {
            let mut bare = entry(kind, interaction, Action::E);
            let full = event(&bare);
            assert_eq!(full["extension"][0]["valueString"], "41", "its place in the log");
            assert_eq!(full["id"], bare.id.to_string());
            assert_eq!(full["recorded"], "2026-11-24T10:00:00.000Z");
            assert_eq!(full["purposeOfEvent"][0]["coding"][0]["code"], "TREAT");
            let profiles = full["meta"]["profile"].to_string();
            assert!(profiles.contains("https://fhir.hl7.org.uk/StructureDefinition/UKCore-AuditEvent"));
            // The least that an entry can hold is still FHIR.
            bare.agent = Agent { client: "unknown".into(), ods: String::new(), role: String::new(), ..bare.agent };
            bare.agent.user.clear();
            bare.agent.address.clear();
            (bare.purpose, bare.request) = (String::new(), String::new());
            (bare.entities, bare.patients) = (Vec::new(), Vec::new());
            let bare = event(&bare);
            assert_eq!(bare["agent"].as_array().unwrap().len(), 2);
        }
    }
}
