//! What must hold of every mapping, whatever comes in: nothing in the output that is not in the
//! input, the mapping or a table; no panic; and every element and column accounted for.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::OnceLock;

use fingerpost::mapping::{Lineage, Mapped, Mappings, SourceTree, tree_from_text, value_at};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn text_of(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings").join(path)).unwrap()
}

/// The compiled-in mappings, loaded once.
fn loaded() -> &'static Mappings {
    static LOADED: OnceLock<Mappings> = OnceLock::new();
    LOADED.get_or_init(|| Mappings::builtin().unwrap())
}

/// All words of the mapping files and tables, read once.
fn vocabulary() -> &'static str {
    static WORDS: OnceLock<String> = OnceLock::new();
    WORDS.get_or_init(read_vocabulary)
}

fn read_vocabulary() -> String {
    let files = ["emis-extract/referral.yaml", "emis-extract/patient.yaml", "emis-extract/tables/urgency.csv"];
    let bars = ["bars/referral.yaml", "bars/patient.yaml", "bars/consent.yaml", "bars/flag.yaml"];
    let codes =
        ["codes/sex.csv", "codes/read-to-snomed.csv", "codes/nhs-number-status.csv", "codes/bars-use-cases.csv"];
    files.iter().chain(&bars).chain(&codes).map(|file| text_of(file)).collect::<Vec<_>>().join("\n")
}

/// Letters and digits alone: what a conversion may not add to.
fn bare(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The single values under a value.
fn leaves(value: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| leaves(value, &format!("{path}.{name}"), found))
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, item)| leaves(item, &format!("{path}[{i}]"), found));
        }
        single => found.push((path.to_owned(), single.clone())),
    }
}

/// The value of a cell as lineage names it, wherever a selector leads: any text of the input.
fn cell_text(tree: &SourceTree, cell: &str) -> String {
    let (input, path) = cell.split_once('.').unwrap();
    let input = &tree.inputs[input.split('[').next().unwrap()];
    let whole = match &input[path] {
        Value::Null => input,
        found => found,
    };
    let mut found = Vec::new();
    leaves(whole, "", &mut found);
    found.iter().map(|(_, value)| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect()
}

fn traced(tree: &SourceTree, line: &Lineage, value: &Value, words: &str) -> bool {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if line.cells.is_empty() || !line.table.is_empty() {
        return words.contains(&text);
    }
    let source: String = line.cells.iter().map(|cell| bare(&cell_text(tree, cell))).collect();
    let offsetless = text.strip_suffix("+00:00").or_else(|| text.strip_suffix("+01:00")).unwrap_or(&text);
    let pieces = offsetless.split(['/', 'T']).map(bare);
    source.contains(&bare(&text))
        || pieces.into_iter().all(|piece| source.contains(&piece) || source.contains(piece.trim_end_matches("00")))
}

fn holds(tree: &SourceTree, mapped: &Mapped, words: &str) -> Result<(), TestCaseError> {
    let lines: BTreeSet<(usize, &str)> = mapped.lineage.iter().map(|l| (l.resource, &*l.element)).collect();
    prop_assert_eq!(lines.len(), mapped.lineage.len(), "an element has two origins");
    for (at, resource) in mapped.resources.iter().enumerate() {
        let mut found = Vec::new();
        leaves(resource, resource["resourceType"].as_str().unwrap(), &mut found);
        for (path, value) in found {
            if path.ends_with(".resourceType") || path.contains(".meta.profile") {
                continue;
            }
            let line = mapped.lineage.iter().find(|line| {
                line.resource == at
                    && path
                        .strip_prefix(&*line.element)
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            });
            let Some(line) = line else { return Err(TestCaseError::fail(format!("{path} has no origin"))) };
            prop_assert!(traced(tree, line, &value, words), "{path} = {value} is not in {:?}", line.cells);
        }
    }
    Ok(())
}

fn cell() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just(String::new()),
        2 => prop::sample::select(vec![
            "true", "FALSE", "2025-03-01", "2025-10-26", "01:30:00", "23:59:59", "YM", "YMDT", "U", "Routine", "Soon",
            "2 Week Wait", "871731000000106", "506031000006117", "267076002", "9990001014", "999 000 1022", "M", "N84001",
            "{2E3B7F41-BEC8-4466-BFEC-6EA98547A6B5}", "EMISNQRE582-1", "8T09.", "000012345678", "Temporary", "L226AA",
        ]).prop_map(str::to_owned),
        1 => "[a-zA-Z0-9 ,.'-]{0,12}",
        1 => any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn an_emis_referral_holds_nothing_that_did_not_come_in(cells in prop::collection::vec(cell(), 140), present in any::<u8>()) {
        let mappings = loaded();
        let schema = mappings.source("emis-extract").unwrap();
        let tables = [("obs", "CareRecord_Observation"), ("ref", "CareRecord_ObservationReferral"), ("code", "Coding_ClinicalCode"),
            ("pat", "Admin_Patient"), ("clin", "Admin_UserInRole"), ("org", "Admin_Organisation"), ("target", "Admin_Organisation")];
        let mut tree = SourceTree::default();
        let mut next = cells.iter().cycle();
        for (i, (input, table)) in tables.iter().enumerate().filter(|(i, _)| present & (1 << i) != 0 || *i == 0) {
            let mut row: Map<String, Value> = schema.tables[*table].iter().map(|c| (c.name.clone(), json!(next.next().unwrap()))).collect();
            if i == 0 && present & 128 != 0 {
                row.insert("ObservationGuid".into(), json!("{2E3B7F41-BEC8-4466-BFEC-6EA98547A6B5}"));
                row.insert("OrganisationGuid".into(), json!("{1A2B3C4D-0000-4000-8000-00000000F830}"));
            }
            tree.inputs.insert((*input).to_owned(), Value::Object(row));
        }
        if let Ok(mapped) = mappings.map("emis-extract", &tree) {
            holds(&tree, &mapped, vocabulary())?;
            for resource in &mapped.resources {
                prop_assert!(fingerpost::fhir::check::check(resource).is_ok(), "{resource}");
            }
        }
    }

    #[test]
    fn a_bars_referral_holds_nothing_that_did_not_come_in(changes in prop::collection::vec((any::<u16>(), cell()), 0..8)) {
        let mappings = loaded();
        let mut tree = tree_from_text(&text_of("bars/cases/typical.yaml")).unwrap();
        for (at, cell) in changes {
            let mut inputs = Value::Object(std::mem::take(&mut tree.inputs));
            let mut found = Vec::new();
            leaves(&inputs, "", &mut found);
            let path = &found[usize::from(at) % found.len()].0;
            *inputs.pointer_mut(&path.replace('[', "/").replace(']', "").replace('.', "/")).unwrap() = json!(cell);
            tree.inputs = inputs.as_object().unwrap().clone();
        }
        if let Ok(mapped) = mappings.map("bars", &tree) {
            holds(&tree, &mapped, vocabulary())?;
        }
    }

    #[test]
    fn no_source_shape_makes_a_mapping_panic(seed in any::<u32>()) {
        let mappings = loaded();
        let shapes = [json!(null), json!(1), json!("x"), json!([]), json!({}), json!([[{}]]), json!({"identifier": {"system": 1}}),
            json!({"identifier": [[1], {"system": "https://fhir.nhs.uk/Id/nhs-number", "value": {"a": 1}}], "status": ["active"]})];
        let inputs = ["obs", "ref", "code", "pat", "clin", "org", "target", "sr", "practice", "consents", "flags", "task"];
        let mut tree = SourceTree::default();
        for (i, input) in inputs.iter().enumerate() {
            tree.inputs.insert((*input).to_owned(), shapes[(seed as usize >> i) % shapes.len()].clone());
        }
        for mapping in ["emis-extract", "bars"] {
            let _ = mappings.map(mapping, &tree);
        }
    }
}

#[test]
fn explain_accounts_for_every_element_and_every_column() {
    let mappings = loaded();
    let tree = tree_from_text(&text_of("emis-extract/cases/typical.yaml")).unwrap();
    let mapped = mappings.map("emis-extract", &tree).unwrap();
    let account = mappings.explain("emis-extract", &tree, &mapped).unwrap();
    for row in &account.elements {
        assert!(!row.value.is_null(), "{} has no value", row.element);
    }
    let schema = mappings.source("emis-extract").unwrap();
    for (input, table) in
        [("obs", "CareRecord_Observation"), ("ref", "CareRecord_ObservationReferral"), ("pat", "Admin_Patient")]
    {
        for column in &schema.tables[table] {
            let name = format!("{input}.{}", column.name);
            let used = account.columns.iter().find(|known| known.column == name).expect("the column is there");
            assert!(used.rows.is_empty() != used.unused.is_empty(), "{name} is both or neither");
        }
    }
    let text = account.to_text();
    assert!(text.contains("ServiceRequest.priority\troutine\tESR-05\tref.ReferralUrgency\ttables/urgency.csv:2"));
    assert!(text.contains("ref.ReferralReceivedDate\tunused: always empty (EMIS spec 5.x-8.2)"));
    assert!(text.contains("clin.RegistrationNumber\tempty here; read by ESR-11"));
    assert_eq!(account.to_json()["mapping"], "emis-extract");
}

#[test]
fn lineage_names_fhir_paths_that_lead_to_the_value() {
    let mappings = loaded();
    let tree = tree_from_text(&text_of("emis-extract/cases/typical.yaml")).unwrap();
    let mapped = mappings.map("emis-extract", &tree).unwrap();
    let line = mapped.lineage.iter().find(|line| &*line.slot == "identifier[ubrn].value").unwrap();
    assert_eq!(&*line.element, "ServiceRequest.identifier[1].value");
    assert_eq!(value_at(&mapped.resources[line.resource], &line.element), "000012345678");
}

#[test]
fn sets_know_their_codes_by_scheme() {
    let mappings = loaded();
    let set = "social-prescribing-referral";
    for (scheme, code) in [
        ("snomed", "871731000000106"),
        ("readv2", "8T09."),
        ("readv2", "8T09.-1"),
        ("ctv3", "XaaEC"),
        ("emis", "EMISNQRE582"),
    ] {
        assert!(mappings.in_set(set, scheme, code), "{scheme} {code}");
    }
    assert!(!mappings.in_set(set, "snomed", "871711000000103"));
    assert!(!mappings.in_set(set, "readv2", "8t09."));
    assert!(!mappings.in_set("no-such-set", "snomed", "871731000000106"));
}

/// Nothing of the patient may reach a rejection, a review or a finding.
#[test]
fn no_text_for_people_repeats_what_is_private() {
    let mappings = loaded();
    let text = text_of("emis-extract/cases/typical.yaml")
        .replace("9990001014", "9990001015")
        .replace("2026-07-01", "2026-02-30");
    let mapped = mappings.map("emis-extract", &tree_from_text(&text).unwrap()).unwrap();
    let said: String = mapped.review.iter().map(|review| review.text.clone()).chain(mapped.findings.clone()).collect();
    for secret in ["9990001015", "Fernlea", "2026-02-30", "Quayside", "L226AA", "company"] {
        assert!(!said.contains(secret), "{secret} is in {said}");
    }
}
