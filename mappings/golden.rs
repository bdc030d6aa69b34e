//! Runs every case beside every mapping, and shows what a faulty mapping is told.
//!
//! A case asserts elements, absences, review, findings and the trace. Elements are named as the
//! mapping names them (`identifier[record].value`) or by place (`name[0].given[1]`); the type is
//! ServiceRequest unless it is written (`Patient.gender`, `Flag[1].status`).
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../tests/support/mapping.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fingerpost::mapping::{Mapped, Mappings, tree_from_text};
use serde_json::Value;
use support::{case_value, find, lineage_of, list};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings")
}

/// Every `(mapping, case file)`. What goes out again is no mapping of an input: `tests/episode.rs`
/// runs the cases of `outcome/`.
fn cases() -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let is_mapping = |entry: &std::fs::DirEntry| entry.path().join("cases").is_dir() && entry.file_name() != "outcome";
    for folder in std::fs::read_dir(root()).unwrap().flatten().filter(is_mapping) {
        let name = folder.file_name().into_string().unwrap();
        for case in std::fs::read_dir(folder.path().join("cases")).unwrap().flatten() {
            found.push((name.clone(), case.path()));
        }
    }
    found.sort();
    found
}

#[test]
fn every_case_gives_what_it_expects() {
    let mappings = Mappings::builtin().expect("the mappings load");
    let mut wrong = Vec::new();
    for (mapping, path) in cases() {
        let text = std::fs::read_to_string(&path).unwrap();
        let case = case_value(&text);
        for fault in run(&mappings, &mapping, &case, &text) {
            wrong.push(format!("{}: {fault}", path.strip_prefix(root()).unwrap().display()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_mapping_has_typical_sparse_and_refused_cases() {
    let mappings = Mappings::builtin().expect("the mappings load");
    for name in mappings.names() {
        let files: BTreeSet<String> = cases()
            .into_iter()
            .filter(|(mapping, _)| mapping == name)
            .map(|(_, path)| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        for wanted in ["typical", "sparse", "refused"] {
            assert!(files.iter().any(|file| file.starts_with(wanted)), "{name} has no {wanted} case");
        }
        assert!(files.len() >= 8, "{name} has only {} cases", files.len());
    }
}

#[test]
fn the_folder_and_the_compiled_in_mappings_are_the_same() {
    let folder = Mappings::open(&root()).expect("the folder loads");
    assert_eq!(folder.version(), Mappings::builtin().expect("the mappings load").version());
}

fn run(mappings: &Mappings, mapping: &str, case: &Value, text: &str) -> Vec<String> {
    let known = ["case", "given", "expect", "not_expected", "review", "causes", "findings", "trace", "refused"];
    let mut wrong: Vec<String> = case
        .as_object()
        .unwrap()
        .keys()
        .filter(|key| !known.contains(&key.as_str()) && *key != "expressions")
        .map(|key| format!("unknown key {key}"))
        .collect();
    let tree = tree_from_text(text).expect("the case's inputs");
    match (mappings.map(mapping, &tree), case.get("refused")) {
        (Err(rejection), Some(refused)) => {
            let said: Vec<String> = rejection.issues.iter().map(|issue| issue.diagnostics.clone()).collect();
            differ(&mut wrong, "refused", &said, &list(refused));
            if let Some(expressions) = case.get("expressions") {
                let said: Vec<String> = rejection.issues.into_iter().filter_map(|issue| issue.expression).collect();
                differ(&mut wrong, "expressions", &said, &list(expressions));
            }
        }
        (Err(rejection), None) => wrong.push(format!("refused: {rejection}")),
        (Ok(_), Some(_)) => wrong.push("should be refused".to_owned()),
        (Ok(mapped), None) => {
            check(case, &mapped, &mut wrong);
            let explained = mappings.explain(mapping, &tree, &mapped).expect("it explains");
            assert_eq!(explained.elements.len(), mapped.lineage.len());
        }
    }
    wrong
}

fn differ(wrong: &mut Vec<String>, what: &str, got: &[String], wanted: &[String]) {
    if got != wanted {
        wrong.push(format!("{what}: got {got:#?}, wanted {wanted:#?}"));
    }
}

fn check(case: &Value, mapped: &Mapped, wrong: &mut Vec<String>) {
    for (element, wanted) in case["expect"].as_object().into_iter().flatten() {
        let got = find(mapped, element);
        if got != *wanted {
            wrong.push(format!("{element}: got {got}, wanted {wanted}"));
        }
    }
    for element in list(&case["not_expected"]) {
        if !find(mapped, &element).is_null() {
            wrong.push(format!("{element} should not be there"));
        }
    }
    let review: Vec<String> = mapped.review.iter().map(|review| review.text.clone()).collect();
    differ(wrong, "review", &review, &list(&case["review"]));
    if let Some(causes) = case.get("causes") {
        let got: Vec<String> = mapped.review.iter().map(|review| review.cause.word().to_owned()).collect();
        differ(wrong, "causes", &got, &list(causes));
    }
    if let Some(findings) = case.get("findings") {
        differ(wrong, "findings", &mapped.findings, &list(findings));
    }
    for (element, wanted) in case["trace"].as_object().into_iter().flatten() {
        let got = lineage_of(mapped, element).map_or_else(Vec::new, |line| {
            let table = Some(line.table.to_string()).filter(|table| !table.is_empty());
            std::iter::once(line.row.to_string())
                .chain(line.cells.iter().map(ToString::to_string))
                .chain(table)
                .collect()
        });
        differ(wrong, &format!("trace of {element}"), &got, &list(wanted));
    }
    for resource in &mapped.resources {
        if let Err(rejection) = fingerpost::fhir::check::check(resource) {
            wrong.push(format!("not FHIR R4: {:?}", rejection.issues));
        }
    }
}

/// A mapping with one fault of each kind, each on its own line.
const FAULTY: &str = "\
map: faulty.referral
version: one
source: tables
target: ServiceRequest
owner: someone
colour: blue
inputs:
  obs: Obs
  gone: Missing?
each: obs
systems:
  idle: [\"https://example.org/idle\"]
rules:
  - {id: A, to: status, const: live}
  - {id: B, to: urgency, from: obs.Urgency}
  - {id: C, to: priority, from: obs.Urgency, table: words, on_missing: omit}
  - {id: C, to: intent, const: order}
  - {id: D, to: intent, const: plan}
  - {id: E, to: authoredOn, from: obs.Date, as: day}
  - {id: F, to: 'code.coding[snomed]', const: '871731000000107', with: {system: 'http://snomed.info/sct'}}
  - {id: G, to: patientInstruction, from: obs.Nothing}
  - {id: H, to: category, from: obs.Date}
  - {id: I, to: 'note[a].text', from: obs.Date, unless: Z}
  - {id: J, to: subject.identifier.value, from: obs.Date, when: obs in set:nowhere}
  - {id: K, to: requester.display, from: obs.Date, on_missing: default}
  - {id: L, to: requisition.value, from: obs.Date, const: x}
  - {id: M, to: 'identifier[a].use', from: obs.Date}
  - {id: N, to: 'identifier[b].value', from: obs.Date, colour: red}
  - {id: O, to: 'note[b].text', from: obs.Date, cause: weather, when: obs.Date or}
  - {id: P, to: 'supportingInfo[x].display', from: obs.Date, table: nowhere}
  - {id: Q, to: doNotPerform, const: perhaps}
  - {id: R, to: performerType.text, from: obs.Date + obs.Urgency, else: z}
unused:
  obs.Date: it is used
  obs.Ghost: there is none
";

/// Where and what, for each fault of [`FAULTY`] and the tables beside it.
const TOLD: &[&str] = &[
    "mappings/codes/idle.csv:1: no mapping uses this table",
    "mappings/codes/set.csv:2: the SNOMED CT id 871731000000107 fails its check digit",
    "mappings/codes/set.csv:3: the scheme 'icd10' is not one of",
    "mappings/faulty/referral.yaml:2: 'version' must be a whole number",
    "mappings/faulty/referral.yaml:6: unknown key 'colour'",
    "mappings/faulty/referral.yaml:8: obs.Spare is neither used nor declared unused",
    "mappings/faulty/referral.yaml:9: the source has no 'Missing'",
    "mappings/faulty/referral.yaml:10: 'each' must name a list input",
    "mappings/faulty/referral.yaml:12: no row uses the system 'idle'",
    "mappings/faulty/referral.yaml:14: 'live' is not a code that status allows",
    "mappings/faulty/referral.yaml:15: 'urgency' is not an element of FHIR R4",
    "mappings/faulty/referral.yaml:17: the row id C is used twice (also line 16)",
    "mappings/faulty/referral.yaml:18: intent is set twice: by C (line 17) and by D",
    "mappings/faulty/referral.yaml:19: there is no conversion 'day'",
    "mappings/faulty/referral.yaml:20: the SNOMED CT id 871731000000107 fails its check digit",
    "mappings/faulty/referral.yaml:21: the source has no column 'Nothing' in Obs",
    "mappings/faulty/referral.yaml:22: 'category' repeats",
    "mappings/faulty/referral.yaml:23: 'unless' must name an earlier row, and Z is none",
    "mappings/faulty/referral.yaml:24: there is no code set 'nowhere'",
    "mappings/faulty/referral.yaml:25: 'on_missing' is omit, review or reject, not 'default'",
    "mappings/faulty/referral.yaml:26: row L has both 'from' and 'const'",
    "mappings/faulty/referral.yaml:27: identifier[a].use takes only certain codes",
    "mappings/faulty/referral.yaml:28: unknown key 'colour' in row N",
    "mappings/faulty/referral.yaml:29: 'weather' is not a hold's cause",
    "mappings/faulty/referral.yaml:29: the condition ends too early",
    "mappings/faulty/referral.yaml:30: there is no table 'nowhere'",
    "mappings/faulty/referral.yaml:31: 'perhaps' is not a value that doNotPerform can hold",
    "mappings/faulty/referral.yaml:32: 'else' goes with 'when'",
    "mappings/faulty/referral.yaml:32: 'text' takes another number of cells",
    "mappings/faulty/referral.yaml:34: obs.Date is declared unused, but E",
    "mappings/faulty/referral.yaml:35: there is no obs.Ghost to leave unused",
    "mappings/faulty/source.csv:5: date is in Obs twice (also line 3)",
    "mappings/faulty/tables/idle.csv:1: no row of the mapping uses this table",
    "mappings/faulty/tables/words.csv:2: 'soonish' is not a code that priority allows",
    "mappings/faulty/tables/words.csv:3: 'soon' is in the table twice (also line 2)",
    "mappings/faulty/tables/words.csv:4: the decision 'maybe' is not mapped, no-map or review",
    "mappings/faulty/tables/words.csv:5: 'Later' is not mapped, so 'why' must say why",
    "mappings/faulty/tables/words.csv:6: a decision needs an owner and the date",
];

fn faulty() -> BTreeMap<String, String> {
    let table = "source,target,decision,why,owner,reviewed\n";
    [
        ("faulty/referral.yaml", FAULTY.to_owned()),
        (
            "faulty/source.csv",
            "table,column,aliases,since,note\nObs,Urgency,,,\nObs,Date,,,\nObs,Spare,,,\nObs,date,,,\n".to_owned(),
        ),
        (
            "faulty/tables/words.csv",
            format!(
                "{table}Soon,soonish,mapped,,CI,2026-01-01\nsoon,urgent,mapped,,CI,2026-01-01\n\
                 Now,,maybe,,CI,2026-01-01\nLater,,no-map,,CI,2026-01-01\nDaily,routine,mapped,,CI,once\n"
            ),
        ),
        ("faulty/tables/idle.csv", table.to_owned()),
        ("codes/idle.csv", table.to_owned()),
        ("codes/set.csv", "scheme,code,term,source\nsnomed,871731000000107,x,y\nicd10,Z60.2,x,y\n".to_owned()),
    ]
    .into_iter()
    .map(|(path, text)| (format!("mappings/{path}"), text))
    .collect()
}

#[test]
fn a_faulty_mapping_is_told_every_fault_with_its_file_and_line() {
    let faults: Vec<String> =
        Mappings::load(&faulty()).expect_err("it is faulty").iter().map(ToString::to_string).collect();
    let missing: Vec<&&str> =
        TOLD.iter().filter(|told| !faults.iter().any(|fault| fault.starts_with(**told))).collect();
    assert!(missing.is_empty(), "not told: {missing:#?}\ntold: {faults:#?}");
}

#[test]
fn broken_yaml_and_double_keys_are_faults_with_their_lines() {
    for (text, told) in [
        ("map: [a\nversion: 1", "mappings/x/a.yaml:"),
        ("map: x.a\nmap: x.b\n", "mappings/x/a.yaml:2: the key 'map' is given twice"),
        ("- a\n", "mappings/x/a.yaml:1: the file must be a mapping"),
        ("", "mappings/x/a.yaml:1:"),
    ] {
        let files = BTreeMap::from([("mappings/x/a.yaml".to_owned(), text.to_owned())]);
        let faults = Mappings::load(&files).expect_err("it is faulty");
        assert!(faults.iter().any(|fault| fault.to_string().starts_with(told)), "{text}: {faults:?}");
    }
}
