//! Every source column is used by a row or named as deliberately unused: nothing may vanish.

use std::collections::BTreeMap;

use super::check::FHIR_SOURCE;
use super::compile::Column;
use super::definition::{Definition, Input};
use super::element;
use super::source::SourceSchema;
use super::yaml::Faults;
use crate::config::Fault;

/// Which rows read a column: `(input, column)` to row ids.
pub type Uses = BTreeMap<(String, String), Vec<String>>;

/// A column declared unused: why, in which file, at which line.
type Unused = BTreeMap<(String, String), (String, String, usize)>;

/// Checks the columns of all inputs of one folder, and says what becomes of each.
pub fn check(
    definitions: &[Definition],
    schema: Option<&SourceSchema>,
    uses: &Uses,
    all: &mut Vec<Fault>,
) -> Vec<Column> {
    let unused = unused(definitions, all);
    let mut columns = Vec::new();
    for (input, file, fhir) in inputs(definitions, all) {
        for column in names(input, schema, fhir) {
            let key = (input.name.clone(), column.clone());
            let rows = uses.get(&key).cloned().unwrap_or_default();
            let why = unused.get(&key);
            match (rows.is_empty(), why) {
                (true, None) => Faults::of(file, all)
                    .add(input.line, format!("{}.{column} is neither used nor declared unused", input.name)),
                (false, Some((_, file, line))) => Faults::of(file, all)
                    .add(*line, format!("{}.{column} is declared unused, but {} uses it", input.name, rows.join(", "))),
                _ => {}
            }
            let unused = why.map(|(why, ..)| why.clone());
            columns.push(Column { input: input.name.clone(), column, rows, unused });
        }
    }
    for ((input, column), (_, file, line)) in &unused {
        if !columns.iter().any(|known| known.input == *input && known.column == *column) {
            Faults::of(file, all).add(*line, format!("there is no {input}.{column} to leave unused"));
        }
    }
    columns
}

/// Each input once; one that two files declare differently is a fault.
fn inputs<'a>(definitions: &'a [Definition], all: &mut Vec<Fault>) -> Vec<(&'a Input, &'a str, bool)> {
    let mut found: Vec<(&Input, &str, bool)> = Vec::new();
    for definition in definitions {
        for input in &definition.inputs {
            let Some((known, ..)) = found.iter().find(|(known, ..)| known.name == input.name) else {
                found.push((input, &definition.file, definition.source.text == FHIR_SOURCE));
                continue;
            };
            if (&known.kind, known.optional, known.many) != (&input.kind, input.optional, input.many) {
                Faults::of(&definition.file, all)
                    .add(input.line, format!("the input '{}' is declared differently in another file", input.name));
            }
        }
    }
    found
}

fn names(input: &Input, schema: Option<&SourceSchema>, fhir: bool) -> Vec<String> {
    if fhir {
        return element::top_level(&input.kind).into_iter().map(str::to_owned).collect();
    }
    let columns = schema.and_then(|schema| schema.tables.get(&input.kind));
    columns.map_or(Vec::new(), |columns| columns.iter().map(|column| column.name.clone()).collect())
}

fn unused(definitions: &[Definition], all: &mut Vec<Fault>) -> Unused {
    let mut found = Unused::new();
    for definition in definitions {
        let mut faults = Faults::of(&definition.file, all);
        for (names, why) in &definition.unused {
            if why.text.is_empty() {
                faults.add(names.line, "a column is left unused for a reason: say it");
            }
            for name in names.text.split_whitespace() {
                let Some((input, column)) = name.split_once('.') else {
                    faults.add(names.line, format!("'{name}' is not INPUT.COLUMN"));
                    continue;
                };
                let entry = (why.text.clone(), definition.file.clone(), names.line);
                if found.insert((input.to_owned(), column.to_owned()), entry).is_some() {
                    faults.add(names.line, format!("{name} is declared unused twice"));
                }
            }
        }
    }
    found
}
