//! Loads all mappings and code tables together and lists every fault with its file and line:
//! the gateway refuses to start rather than guess.

mod cells;
mod place;
mod rows;

use std::collections::{BTreeMap, BTreeSet};

use super::compile::{Mapping, Target};
use super::coverage::{self, Uses};
use super::definition::{self, Definition};
use super::element;
use super::source::{self, SourceSchema};
use super::tables::{self, CodeTable, Codes, Csv};
use super::yaml::Faults;
use crate::config::Fault;

/// The source that is FHIR itself, and has no `source.csv`.
pub const FHIR_SOURCE: &str = "fhir-r4";

/// The files of one mapping folder.
#[derive(Default)]
struct Folder {
    definitions: Vec<Definition>,
    source: Option<SourceSchema>,
    tables: BTreeMap<String, CodeTable>,
}

/// What the rows of one target are checked against.
pub struct Context<'a> {
    folder: &'a Folder,
    codes: &'a Codes,
    definition: &'a Definition,
    systems: BTreeMap<&'a str, usize>,
}

/// What was used while rows were compiled, to find what was not.
#[derive(Default)]
struct Used {
    columns: Uses,
    own_tables: BTreeSet<String>,
    shared_tables: BTreeSet<String>,
    systems: BTreeSet<String>,
    ids: BTreeMap<String, usize>,
}

/// Loads, checks and compiles everything; faults are added to `all`.
pub fn load(files: &BTreeMap<String, String>, all: &mut Vec<Fault>) -> (BTreeMap<String, Mapping>, Codes) {
    let mut codes = Codes::default();
    let mut shared_files = BTreeMap::new();
    let mut folders: BTreeMap<String, Folder> = BTreeMap::new();
    for (path, text) in files {
        sort_in(path, text, &mut codes, &mut shared_files, &mut folders, all);
    }
    let mut shared_used = BTreeSet::new();
    let mut maps = BTreeMap::new();
    for (name, folder) in folders.into_iter().filter(|(_, folder)| !folder.definitions.is_empty()) {
        maps.insert(name.clone(), compile(name, folder, &codes, &mut shared_used, all));
    }
    for (name, file) in shared_files.iter().filter(|(name, _)| codes.tables.contains_key(*name)) {
        if !shared_used.contains(name) {
            Faults::of(file, all).add(1, "no mapping uses this table");
        }
    }
    (maps, codes)
}

/// Reads one file into its place.
fn sort_in(
    path: &str,
    text: &str,
    codes: &mut Codes,
    shared_files: &mut BTreeMap<String, String>,
    folders: &mut BTreeMap<String, Folder>,
    all: &mut Vec<Fault>,
) {
    let parts: Vec<&str> = path.split('/').collect();
    let mut faults = Faults::of(path, all);
    match parts.as_slice() {
        [.., "codes", file] if file.ends_with(".csv") => {
            let name = file.trim_end_matches(".csv").to_owned();
            match tables::read(path, &format!("codes/{file}"), text, &mut faults) {
                Some(Csv::Table(table)) => drop(codes.tables.insert(name.clone(), table)),
                Some(Csv::Set(set)) => drop(codes.sets.insert(name.clone(), set)),
                None => {}
            }
            shared_files.insert(name, path.to_owned());
        }
        [.., folder, "tables", file] if file.ends_with(".csv") => {
            match tables::read(path, &format!("tables/{file}"), text, &mut faults) {
                Some(Csv::Table(table)) => {
                    let tables = &mut folders.entry((*folder).to_owned()).or_default().tables;
                    tables.insert(file.trim_end_matches(".csv").to_owned(), table);
                }
                Some(Csv::Set(_)) => faults.add(1, "a code set belongs in codes/, where all mappings share it"),
                None => {}
            }
        }
        [.., folder, "source.csv"] => {
            folders.entry((*folder).to_owned()).or_default().source = source::read(text, &mut faults);
        }
        [.., "cases", _] => {}
        [.., folder, file] if file.ends_with(".yaml") => {
            if let Some(made) = definition::read(path, text, &mut faults) {
                folders.entry((*folder).to_owned()).or_default().definitions.push(made);
            }
        }
        _ => {}
    }
}

fn compile(
    name: String,
    mut folder: Folder,
    codes: &Codes,
    shared_used: &mut BTreeSet<String>,
    all: &mut Vec<Fault>,
) -> Mapping {
    folder.definitions.sort_by_key(|made| (made.target.text != "ServiceRequest", made.file.clone()));
    let mut used = Used::default();
    let mut targets = Vec::new();
    for definition in &folder.definitions {
        let mut faults = Faults::of(&definition.file, all);
        check_header(&name, definition, &folder, &mut faults);
        targets.push(target(definition, &folder, codes, &mut used, &mut faults));
    }
    let columns = coverage::check(&folder.definitions, folder.source.as_ref(), &used.columns, all);
    for (table, made) in &folder.tables {
        if !used.own_tables.contains(table) {
            Faults::of(&made.file, all).add(1, "no row of the mapping uses this table");
        }
    }
    shared_used.append(&mut used.shared_tables);
    let source = folder.source.filter(|_| folder.definitions.iter().all(|made| made.source.text != FHIR_SOURCE));
    Mapping { name, targets, source, tables: folder.tables, columns }
}

fn check_header(name: &str, definition: &Definition, folder: &Folder, faults: &mut Faults<'_>) {
    if definition.map.text.split_once('.').is_none_or(|(map, _)| map != name) {
        faults.add(definition.map.line, format!("'map' must be {name}.SOMETHING, after the folder"));
    }
    if definition.version.text.parse::<u32>().is_err() {
        faults.add(definition.version.line, "'version' must be a whole number");
    }
    if element::top_level(&definition.target.text).is_empty() {
        faults.add(definition.target.line, format!("'{}' is not a FHIR R4 resource type", definition.target.text));
    }
    let fhir = definition.source.text == FHIR_SOURCE;
    if !fhir && folder.source.is_none() {
        faults.add(definition.source.line, "the source is not FHIR, so the folder needs a source.csv");
    }
    for input in &definition.inputs {
        let known = match &folder.source {
            Some(schema) if !fhir => schema.tables.contains_key(&input.kind),
            _ => !fhir || !element::top_level(&input.kind).is_empty(),
        };
        if !known {
            faults.add(input.line, format!("the source has no '{}'", input.kind));
        }
    }
    if let Some(each) = &definition.each
        && !definition.inputs.iter().any(|input| input.name == each.text && input.many)
    {
        faults.add(each.line, format!("'each' must name a list input (TYPE*), and '{}' is none", each.text));
    }
}

fn target(definition: &Definition, folder: &Folder, codes: &Codes, used: &mut Used, faults: &mut Faults<'_>) -> Target {
    let systems = definition.systems.iter().enumerate().map(|(i, (name, _))| (name.text.as_str(), i)).collect();
    let context = Context { folder, codes, definition, systems };
    let mut target = Target {
        kind: definition.target.text.clone(),
        profile: definition.profile.as_ref().map(|profile| profile.text.clone()),
        each: definition
            .each
            .as_ref()
            .and_then(|each| definition.inputs.iter().position(|input| input.name == each.text)),
        inputs: definition.inputs.clone(),
        systems: definition
            .systems
            .iter()
            .map(|(_, list)| list.iter().map(|word| word.text.clone()).collect())
            .collect(),
        codes: Vec::new(),
        rules: Vec::new(),
        leaves: Vec::new(),
        slots: 0,
    };
    code_columns(&context, &mut target, used, faults);
    rows::compile(&context, &mut target, used, faults);
    for (name, _) in definition.systems.iter().filter(|(name, _)| !used.systems.contains(&name.text)) {
        faults.add(name.line, format!("no row uses the system '{}'", name.text));
    }
    used.systems.clear();
    target
}

fn code_columns(context: &Context<'_>, target: &mut Target, used: &mut Used, faults: &mut Faults<'_>) {
    for (name, schemes) in &context.definition.codes {
        let Some(cell) = cells::cell(context, name, "codes", used, faults) else { continue };
        for scheme in schemes.text.split_whitespace() {
            if !tables::SCHEMES.contains(&scheme) {
                let known = tables::SCHEMES.join(", ");
                faults.add(schemes.line, format!("the scheme '{scheme}' is not one of {known}"));
            }
            target.codes.push((cell.input, cell.clone(), scheme.to_owned()));
        }
    }
}
