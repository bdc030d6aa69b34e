//! The source cells that rows name: `obs.EffectiveDate`, `pat.identifier[nhs].value`.

use super::super::compile::{Cell, Part};
use super::super::condition::{Condition, Written};
use super::super::element::{self, Step};
use super::super::yaml::{Faults, Word};
use super::{Context, FHIR_SOURCE, Used};
use crate::fhir::check::knows;

/// One cell, checked against the source; `row` is noted as its reader.
pub fn cell(context: &Context<'_>, word: &Word, row: &str, used: &mut Used, faults: &mut Faults<'_>) -> Option<Cell> {
    match find(context, &word.text, used) {
        Ok(cell) => {
            let readers =
                used.columns.entry((context.definition.inputs[cell.input].name.clone(), cell.path[0].name.clone()));
            let readers = readers.or_default();
            if !readers.iter().any(|known| known == row) {
                readers.push(row.to_owned());
            }
            Some(cell)
        }
        Err(why) => {
            faults.add(word.line, why);
            None
        }
    }
}

fn find(context: &Context<'_>, text: &str, used: &mut Used) -> Result<Cell, String> {
    let inputs = &context.definition.inputs;
    let (name, path) = text.split_once('.').ok_or_else(|| format!("'{text}' is not INPUT.COLUMN"))?;
    let at = inputs.iter().position(|input| input.name == name);
    let input = at.ok_or_else(|| format!("there is no input '{name}' (in '{text}')"))?;
    let kind = &inputs[input].kind;
    if inputs[input].many && context.definition.each.as_ref().is_none_or(|each| each.text != name) {
        return Err(format!("the input '{name}' is a list: only a target with 'each: {name}' reads it"));
    }
    if context.definition.source.text != FHIR_SOURCE {
        let known = context.folder.source.as_ref().is_none_or(|schema| schema.has(kind, path));
        let path = vec![Part { name: path.to_owned(), system: None }];
        return known.then(|| Cell { input, path, name: text.into() }).ok_or_else(|| {
            format!("the source has no column '{}' in {kind}", text.split_once('.').map_or("", |(_, column)| column))
        });
    }
    let steps = element::split(path)?;
    let plain: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
    if !knows(&format!("{kind}.{}", plain.join("."))) {
        return Err(format!("'{}' is not an element of FHIR R4 in {kind}", plain.join(".")));
    }
    let path = steps.into_iter().map(|step| part(context, step, used)).collect::<Result<_, _>>()?;
    Ok(Cell { input, path, name: text.into() })
}

fn part(context: &Context<'_>, step: Step, used: &mut Used) -> Result<Part, String> {
    let system = match &step.slice {
        None => None,
        Some(name) => {
            let at = context.systems.get(name.as_str()).copied();
            used.systems.insert(name.clone());
            Some(at.ok_or_else(|| format!("there is no system '{name}' under 'systems'"))?)
        }
    };
    Ok(Part { name: step.name, system })
}

/// True when a `with` value names a cell and is not a text.
pub fn is_cell(context: &Context<'_>, text: &str) -> bool {
    text.split_once('.').is_some_and(|(name, _)| context.definition.inputs.iter().any(|input| input.name == name))
}

/// A condition with its cells and sets checked.
pub fn condition(
    context: &Context<'_>,
    written: &Written,
    line: usize,
    row: &str,
    used: &mut Used,
    faults: &mut Faults<'_>,
) -> Option<Condition<Cell, (usize, String)>> {
    let read = |name: &String, used: &mut Used, faults: &mut Faults<'_>| {
        cell(context, &Word { text: name.clone(), line }, row, used, faults)
    };
    Some(match written {
        Condition::True(name) => Condition::True(read(name, used, faults)?),
        Condition::Present(name) => Condition::Present(read(name, used, faults)?),
        Condition::Is(name, text) => Condition::Is(read(name, used, faults)?, text.clone()),
        Condition::In((input, set)) => Condition::In(membership(context, input, set, line, faults)?),
        Condition::Not(one) => Condition::Not(Box::new(condition(context, one, line, row, used, faults)?)),
        Condition::All(parts) => Condition::All(conditions(context, parts, line, row, used, faults)?),
        Condition::Any(parts) => Condition::Any(conditions(context, parts, line, row, used, faults)?),
    })
}

fn conditions(
    context: &Context<'_>,
    parts: &[Written],
    line: usize,
    row: &str,
    used: &mut Used,
    faults: &mut Faults<'_>,
) -> Option<Vec<Condition<Cell, (usize, String)>>> {
    parts.iter().map(|part| condition(context, part, line, row, used, faults)).collect()
}

fn membership(
    context: &Context<'_>,
    input: &str,
    set: &str,
    line: usize,
    faults: &mut Faults<'_>,
) -> Option<(usize, String)> {
    if !context.codes.sets.contains_key(set) {
        faults.add(line, format!("there is no code set '{set}' in codes/"));
    }
    let at = context.definition.inputs.iter().position(|known| known.name == input);
    if at.is_none() {
        faults.add(line, format!("there is no input '{input}'"));
    }
    at.map(|at| (at, set.to_owned()))
}
