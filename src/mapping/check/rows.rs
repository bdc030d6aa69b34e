//! The rows of one target, checked and compiled.

use std::collections::BTreeMap;

use super::super::compile::{Beside, Cell, Origin, Otherwise, Rule, TableAt, Target};
use super::super::condition;
use super::super::definition::Rule as Row;
use super::super::element::{self, Element, Holds, Step};
use super::super::tables::{CodeTable, Decision};
use super::super::transforms::{Transform, boolean};
use super::super::yaml::{Faults, Word};
use super::cells;
use super::place::place;
use super::{Context, Used};
use crate::fhir::ids::{SNOMED, SnomedCode};
use crate::store::commit::Cause;

/// An element as some row sets it.
pub struct Setting {
    /// The element.
    pub element: Element,
    /// The row's number.
    pub row: usize,
    /// Where the row names it.
    pub line: usize,
}

/// Compiles all rows into `target`.
pub fn compile(context: &Context<'_>, target: &mut Target, used: &mut Used, faults: &mut Faults<'_>) {
    let mut settings: Vec<Setting> = Vec::new();
    let mut rules: Vec<(Rule, usize, Vec<usize>)> = Vec::new();
    let mut numbers = BTreeMap::new();
    for row in &context.definition.rules {
        check_id(row, used, faults);
        let others = (earlier("unless", &row.unless, &numbers, faults), earlier("needs", &row.needs, &numbers, faults));
        if let Some((rule, main, with)) = compile_row(context, row, rules.len(), others, &mut settings, used, faults) {
            numbers.insert(row.id.text.clone(), rules.len());
            rules.push((rule, main, with));
        }
    }
    check_conflicts(&settings, &rules, faults);
    place(target, &settings, rules);
}

fn check_id(row: &Row, used: &mut Used, faults: &mut Faults<'_>) {
    if let Some(earlier) = used.ids.insert(row.id.text.clone(), row.id.line) {
        faults.add(row.id.line, format!("the row id {} is used twice (also line {earlier})", row.id.text));
    }
}

fn earlier(key: &str, rows: &[Word], numbers: &BTreeMap<String, usize>, faults: &mut Faults<'_>) -> Vec<usize> {
    let mut found = Vec::new();
    for word in rows {
        match numbers.get(&word.text) {
            Some(number) => found.push(*number),
            None => faults.add(word.line, format!("'{key}' must name an earlier row, and {} is none", word.text)),
        }
    }
    found
}

fn compile_row(
    context: &Context<'_>,
    row: &Row,
    number: usize,
    (unless, needs): (Vec<usize>, Vec<usize>),
    settings: &mut Vec<Setting>,
    used: &mut Used,
    faults: &mut Faults<'_>,
) -> Option<(Rule, usize, Vec<usize>)> {
    let transform = transform(row, faults);
    let element = resolve(context, &row.to, None, transform == Transform::Element, faults)?;
    let base = element.base().to_vec();
    let origin = origin(context, row, transform, used, faults)?;
    let with = with(context, row, &base, used, faults);
    let snomed = with.iter().any(|(element, beside)| is_snomed_system(element, &base, beside));
    let table = table(context, row, &element, snomed, used, faults);
    check_value(row, &element, &origin, transform, snomed, table.is_some(), faults);
    let main = settings.len();
    settings.push(Setting { element, row: number, line: row.to.line });
    let mut beside = Vec::new();
    let mut places = Vec::new();
    for ((element, value), (key, _)) in with.into_iter().zip(&row.with) {
        places.push(settings.len());
        settings.push(Setting { element, row: number, line: key.line });
        beside.push((0, value));
    }
    let rule = Rule {
        id: row.id.text.as_str().into(),
        leaf: 0,
        on_missing: otherwise(row.on_missing.as_ref(), "on_missing", &origin, faults),
        on_invalid: otherwise(row.on_invalid.as_ref(), "on_invalid", &origin, faults),
        when: when(context, row, used, faults),
        origin,
        transform,
        table,
        with: beside,
        unless,
        needs,
        otherwise: row.otherwise.as_ref().map(|word| word.text.clone()),
        cause: cause(row, faults),
        private: row.private.unwrap_or(transform.private() && row.table.is_none()),
    };
    Some((rule, main, places))
}

fn resolve(
    context: &Context<'_>,
    to: &Word,
    base: Option<&[Step]>,
    whole: bool,
    faults: &mut Faults<'_>,
) -> Option<Element> {
    let made = element::split(&to.text).and_then(|steps| {
        let mut all = base.map_or(Vec::new(), <[Step]>::to_vec);
        all.extend(steps);
        element::resolve(&context.definition.target.text, all, whole)
    });
    made.map_err(|why| faults.add(to.line, why)).ok()
}

fn transform(row: &Row, faults: &mut Faults<'_>) -> Transform {
    let Some(word) = &row.transform else { return Transform::Text };
    if row.constant.is_some() {
        faults.add(word.line, "a constant is written as it is meant: it takes no 'as'");
    }
    Transform::named(&word.text).unwrap_or_else(|| {
        faults.add(word.line, format!("there is no conversion '{}'; there are {}", word.text, Transform::names()));
        Transform::Text
    })
}

fn origin(
    context: &Context<'_>,
    row: &Row,
    transform: Transform,
    used: &mut Used,
    faults: &mut Faults<'_>,
) -> Option<Origin> {
    match (&row.constant, row.from.is_empty()) {
        (Some(word), true) => return Some(Origin::Constant(word.text.clone())),
        (Some(_), false) => faults.add(row.line, format!("row {} has both 'from' and 'const'", row.id.text)),
        (None, true) => faults.add(row.line, format!("row {} has neither 'from' nor 'const'", row.id.text)),
        (None, false) => {}
    }
    let mut from: Vec<Vec<Cell>> = Vec::new();
    for word in &row.from {
        let names: Vec<&str> = word.text.split(" + ").map(str::trim).collect();
        if !transform.cells().contains(&names.len()) {
            faults.add(
                word.line,
                format!("'{}' takes another number of cells", row.transform.as_ref().map_or("text", |t| &t.text)),
            );
        }
        let cell = |name: &str, used: &mut Used, faults: &mut Faults<'_>| {
            cells::cell(context, &Word { text: name.to_owned(), line: word.line }, &row.id.text, used, faults)
        };
        from.push(names.iter().filter_map(|name| cell(name, used, faults)).collect());
    }
    (!from.is_empty()).then_some(Origin::Cells(from))
}

fn with(
    context: &Context<'_>,
    row: &Row,
    base: &[Step],
    used: &mut Used,
    faults: &mut Faults<'_>,
) -> Vec<(Element, Beside)> {
    let mut made = Vec::new();
    for (key, value) in &row.with {
        let Some(element) = resolve(context, key, Some(base), false, faults) else { continue };
        let beside = if cells::is_cell(context, &value.text) {
            match cells::cell(context, value, &row.id.text, used, faults) {
                Some(cell) => Beside::Cell(cell),
                None => continue,
            }
        } else {
            check_constant(&element, &value.text, value.line, faults);
            Beside::Constant(value.text.clone())
        };
        made.push((element, beside));
    }
    made
}

fn is_snomed_system(element: &Element, base: &[Step], beside: &Beside) -> bool {
    element.base() == base
        && element.steps.last().is_some_and(|step| step.name == "system")
        && matches!(beside, Beside::Constant(text) if text == SNOMED)
}

fn check_constant(element: &Element, text: &str, line: usize, faults: &mut Faults<'_>) {
    if element.binding.is_some_and(|codes| !codes.contains(&text)) {
        faults.add(line, format!("'{text}' is not a code that {} allows", element.name));
    }
    let fits = match element.holds {
        Holds::Boolean => boolean(text).is_some(),
        Holds::Integer => text.parse::<i64>().is_ok(),
        _ => !text.is_empty(),
    };
    if !fits {
        faults.add(line, format!("'{text}' is not a value that {} can hold", element.name));
    }
}

fn check_snomed(text: &str, line: usize, faults: &mut Faults<'_>) {
    if let Err(fault) = SnomedCode::parse(text) {
        faults.add(line, format!("the SNOMED CT id {text} {fault}"));
    }
}

fn table(
    context: &Context<'_>,
    row: &Row,
    element: &Element,
    snomed: bool,
    used: &mut Used,
    faults: &mut Faults<'_>,
) -> Option<TableAt> {
    if let Some(word) = row.on_unmapped.as_ref().filter(|word| word.text != "review" || row.table.is_none()) {
        faults.add(word.line, "'on_unmapped' goes with 'table' and can only be review");
    }
    let word = row.table.as_ref()?;
    let (table, at) = if let Some(table) = context.folder.tables.get(&word.text) {
        used.own_tables.insert(word.text.clone());
        (table, TableAt::Own(word.text.clone()))
    } else if let Some(table) = context.codes.tables.get(&word.text) {
        used.shared_tables.insert(word.text.clone());
        (table, TableAt::Shared(word.text.clone()))
    } else {
        faults.add(word.line, format!("there is no table '{}' in tables/ or codes/", word.text));
        return None;
    };
    check_targets(table, element, snomed, faults);
    Some(at)
}

fn check_targets(table: &CodeTable, element: &Element, snomed: bool, faults: &mut Faults<'_>) {
    for row in table.rows().iter().filter(|row| row.decision == Decision::Mapped) {
        if element.binding.is_some_and(|codes| !codes.contains(&row.target.as_str())) {
            let text = format!("'{}' is not a code that {} allows", row.target, element.name);
            faults.add_in(&table.file, row.line, text);
        }
        if snomed && let Err(fault) = SnomedCode::parse(&row.target) {
            faults.add_in(&table.file, row.line, format!("the SNOMED CT id {} {fault}", row.target));
        }
    }
}

fn check_value(
    row: &Row,
    element: &Element,
    origin: &Origin,
    transform: Transform,
    snomed: bool,
    has_table: bool,
    faults: &mut Faults<'_>,
) {
    if let Some(word) = row.otherwise.as_ref().filter(|_| row.when.is_none()) {
        faults.add(word.line, "'else' goes with 'when'");
    }
    for word in row.constant.iter().chain(&row.otherwise) {
        check_constant(element, &word.text, word.line, faults);
        if snomed {
            check_snomed(&word.text, word.line, faults);
        }
    }
    if matches!(origin, Origin::Constant(_)) {
        return;
    }
    if element.binding.is_some() && !has_table && row.table.is_none() && transform != Transform::Code {
        faults.add(
            row.to.line,
            format!("{} takes only certain codes: use a table, or 'as: code' for a FHIR source", element.name),
        );
    }
    if snomed && !has_table && row.table.is_none() && transform != Transform::Sctid {
        faults.add(row.to.line, "a SNOMED CT code needs 'as: sctid', which checks it");
    }
}

fn otherwise(word: Option<&Word>, key: &str, origin: &Origin, faults: &mut Faults<'_>) -> Otherwise {
    let Some(word) = word else { return Otherwise::Review };
    if matches!(origin, Origin::Constant(_)) {
        faults.add(word.line, format!("a constant takes no '{key}'"));
    }
    match word.text.as_str() {
        "omit" => Otherwise::Omit,
        "review" => Otherwise::Review,
        "reject" => Otherwise::Reject,
        other => {
            faults.add(word.line, format!("'{key}' is omit, review or reject, not '{other}'"));
            Otherwise::Review
        }
    }
}

fn when(
    context: &Context<'_>,
    row: &Row,
    used: &mut Used,
    faults: &mut Faults<'_>,
) -> Option<condition::Condition<Cell, (usize, String)>> {
    let word = row.when.as_ref()?;
    match condition::parse(&word.text) {
        Ok(written) => cells::condition(context, &written, word.line, &row.id.text, used, faults),
        Err(why) => {
            faults.add(word.line, why);
            None
        }
    }
}

fn cause(row: &Row, faults: &mut Faults<'_>) -> Option<Cause> {
    let word = row.cause.as_ref()?;
    let cause = Cause::parse(&word.text);
    if cause.is_none() {
        faults.add(word.line, format!("'{}' is not a hold's cause", word.text));
    }
    cause
}

/// Two rows may set one element only when the later says `unless` the earlier.
fn check_conflicts(settings: &[Setting], rules: &[(Rule, usize, Vec<usize>)], faults: &mut Faults<'_>) {
    for (i, later) in settings.iter().enumerate() {
        let earlier = settings[..i].iter().find(|earlier| {
            let apart = rules.get(later.row).is_some_and(|(rule, ..)| rule.unless.contains(&earlier.row));
            overlap(&earlier.element.name, &later.element.name) && !apart
        });
        if let Some(earlier) = earlier {
            let text = format!(
                "{} is set twice: by {} (line {}) and by {}, which does not say 'unless'",
                later.element.name,
                rules.get(earlier.row).map_or("", |(rule, ..)| &*rule.id),
                earlier.line,
                rules.get(later.row).map_or("", |(rule, ..)| &*rule.id),
            );
            faults.add(later.line, text);
        }
    }
}

/// True when one name is the other, or holds it.
fn overlap(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
