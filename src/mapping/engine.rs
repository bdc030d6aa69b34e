//! Runs a compiled mapping over one source tree. Pure, and one pass: each row decides, then the
//! elements are built in R4's order.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::compile::{Beside, Cell, Leaf, LeafStep, Mapping, Origin, Otherwise, Part, Rule, TableAt, Target};
use super::condition::Condition;
use super::element::Holds;
use super::tables::{CodeTable, Codes, Decision};
use super::transforms::{Done, Transform, boolean};
use super::{Lineage, Mapped, Review, SourceTree};
use crate::rejection::{BarsError, Issue, IssueType, Rejection};
use crate::store::commit::Cause;

/// Characters of a source value that a review text repeats.
const SHOWN_CHARS_MAX: usize = 40;

/// Maps one source tree.
pub fn run(mapping: &Mapping, codes: &Codes, tree: &SourceTree) -> Result<Mapped, Rejection> {
    let mut mapped = Mapped::default();
    let mut refused = Vec::new();
    for target in &mapping.targets {
        let inputs: Vec<Option<&Value>> = target.inputs.iter().map(|input| present(tree, &input.name)).collect();
        let Some(each) = target.each else {
            Pass { mapping, codes, target, tree, inputs, mapped: &mut mapped, refused: &mut refused, item: None }.run();
            continue;
        };
        let items = inputs[each].and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for (i, item) in items.iter().enumerate() {
            let mut inputs = inputs.clone();
            inputs[each] = Some(item);
            let item = Some((each, i));
            Pass { mapping, codes, target, tree, inputs, mapped: &mut mapped, refused: &mut refused, item }.run();
        }
    }
    note_unknown_inputs(mapping, tree, &mut mapped);
    if refused.is_empty() {
        Ok(mapped)
    } else {
        Err(Rejection { error: BarsError::UnprocessableEntity, issues: refused })
    }
}

fn present<'t>(tree: &'t SourceTree, name: &str) -> Option<&'t Value> {
    tree.inputs.get(name).filter(|value| !value.is_null())
}

fn note_unknown_inputs(mapping: &Mapping, tree: &SourceTree, mapped: &mut Mapped) {
    for name in tree.inputs.keys() {
        if !mapping.targets.iter().any(|target| target.inputs.iter().any(|input| input.name == *name)) {
            mapped.findings.push(format!("the source has a part '{name}' that the mapping does not read"));
        }
    }
}

/// A value decided on, before it is placed.
struct Placed<'m> {
    leaf: usize,
    value: Value,
    rule: &'m Rule,
    cells: &'m [Cell],
    table: Option<(&'m CodeTable, usize)>,
}

/// One target being made.
struct Pass<'m, 't> {
    mapping: &'m Mapping,
    codes: &'m Codes,
    target: &'m Target,
    tree: &'t SourceTree,
    inputs: Vec<Option<&'t Value>>,
    mapped: &'t mut Mapped,
    refused: &'t mut Vec<Issue>,
    item: Option<(usize, usize)>,
}

/// Why a row gives no value.
enum Nothing {
    Missing,
    Invalid(String, Cause),
    Review(String, Cause),
    Left,
}

impl<'m, 't> Pass<'m, 't> {
    fn run(mut self) {
        let target = self.target;
        let mut placed: Vec<Placed<'m>> = Vec::with_capacity(target.leaves.len());
        let mut gave = vec![false; target.rules.len()];
        for (i, rule) in target.rules.iter().enumerate() {
            if rule.unless.iter().any(|other| gave[*other]) || !rule.needs.iter().all(|other| gave[*other]) {
                continue;
            }
            let before = placed.len();
            self.row(rule, &mut placed);
            gave[i] = placed.len() > before;
        }
        placed.sort_by_key(|value| value.leaf);
        self.build(placed);
    }

    /// Decides one row: places its value and those beside it, or says why not.
    fn row(&mut self, rule: &'m Rule, placed: &mut Vec<Placed<'m>>) {
        let holds = match rule.when.as_ref().map(|when| self.holds(when)) {
            None | Some(Ok(true)) => true,
            Some(Ok(false)) => false,
            Some(Err(cell)) => {
                let what = format!(": {cell} is neither true nor false");
                if self.mapped.review.iter().any(|review| review.text.ends_with(&what)) {
                    return; // The cell is on the list already, by the first row that reads it.
                }
                return self.review(rule, Cause::ValueUnmapped, format!("{}{what}", rule.id));
            }
        };
        let decided = match (&rule.origin, holds) {
            (Origin::Constant(text), true) => self.typed(rule, Cow::Borrowed(text)).map(|value| (value, &[][..], None)),
            (Origin::Cells(from), true) => self.cells(rule, from),
            (_, false) => match &rule.otherwise {
                Some(text) => self.typed(rule, Cow::Borrowed(text)).map(|value| (value, &[][..], None)),
                None => return,
            },
        };
        match decided {
            Ok((value, cells, table)) => {
                placed.push(Placed { leaf: rule.leaf, value, rule, cells, table });
                self.beside(rule, placed);
            }
            Err(nothing) => self.nothing(rule, nothing),
        }
    }

    #[allow(clippy::type_complexity)] // The three parts of a Placed, once.
    fn cells(
        &mut self,
        rule: &'m Rule,
        from: &'m [Vec<Cell>],
    ) -> Result<(Value, &'m [Cell], Option<(&'m CodeTable, usize)>), Nothing> {
        for cells in from {
            let Some(found) = cells.first().and_then(|cell| self.find(cell)) else { continue };
            if rule.transform == Transform::Element {
                return Ok((found.clone(), cells, None));
            }
            let Some(first) = text(found) else {
                return Err(Nothing::Invalid("is not a single value".to_owned(), Cause::ValueUnmapped));
            };
            let second = cells.get(1).and_then(|cell| self.find(cell)).and_then(text);
            let done = rule.transform.apply(first, second);
            let value = match done.map_err(|fault| Nothing::Invalid(fault.why, fault.cause))? {
                Done::Absent => continue,
                Done::Text(value) => value,
                Done::Noted(value, note) => {
                    self.mapped.findings.push(format!("{}: {note}", rule.id));
                    value
                }
            };
            let Some(table) = &rule.table else {
                return Ok((self.typed(rule, value)?, cells, None));
            };
            let (table, target, line) = self.look_up(rule, table, &value)?;
            return Ok((self.typed(rule, Cow::Borrowed(target))?, cells, Some((table, line))));
        }
        Err(Nothing::Missing)
    }

    fn look_up(
        &mut self,
        rule: &Rule,
        at: &'m TableAt,
        value: &str,
    ) -> Result<(&'m CodeTable, &'m str, usize), Nothing> {
        let table = match at {
            TableAt::Own(name) => self.mapping.tables.get(name),
            TableAt::Shared(name) => self.codes.tables.get(name),
        };
        let Some(table) = table else { return Err(Nothing::Missing) };
        let shown = || if rule.private { "the value".to_owned() } else { format!("'{}'", shorten(value)) };
        let cause = unmapped_cause(&self.target.leaves[rule.leaf]);
        let Some(row) = table.find(value) else {
            return Err(Nothing::Review(format!("{}: {} is not in {}", rule.id, shown(), table.label), cause));
        };
        match row.decision {
            Decision::Mapped => Ok((table, &row.target, row.line)),
            Decision::Review => {
                let text = format!("{}: {} needs review ({}:{})", rule.id, shown(), table.label, row.line);
                Err(Nothing::Review(text, cause))
            }
            Decision::NoMap => {
                let text = format!("{}: deliberately not mapped ({}:{})", rule.id, table.label, row.line);
                self.mapped.findings.push(text);
                Err(Nothing::Left)
            }
        }
    }

    /// The value as the element's type, if its binding allows it.
    fn typed(&self, rule: &Rule, text: Cow<'_, str>) -> Result<Value, Nothing> {
        let leaf = &self.target.leaves[rule.leaf];
        if leaf.binding.is_some_and(|codes| !codes.contains(&text.as_ref())) {
            return Err(Nothing::Invalid(format!("is not a code that {} allows", leaf.slot), Cause::ValueUnmapped));
        }
        typed(leaf.holds, text).ok_or_else(|| Nothing::Invalid("is of the wrong type".to_owned(), Cause::ValueUnmapped))
    }

    fn beside(&mut self, rule: &'m Rule, placed: &mut Vec<Placed<'m>>) {
        for (leaf, beside) in &rule.with {
            let (value, cells) = match beside {
                Beside::Constant(text) => (Some(Cow::Borrowed(text.as_str())), &[][..]),
                Beside::Cell(cell) => (self.find(cell).and_then(text), std::slice::from_ref(cell)),
            };
            let typed = value.and_then(|text| typed(self.target.leaves[*leaf].holds, text));
            if let Some(value) = typed {
                placed.push(Placed { leaf: *leaf, value, rule, cells, table: None });
            }
        }
    }

    fn nothing(&mut self, rule: &Rule, nothing: Nothing) {
        match nothing {
            Nothing::Left => {}
            Nothing::Review(text, cause) => self.review(rule, cause, text),
            Nothing::Missing => match rule.on_missing {
                Otherwise::Omit => {}
                Otherwise::Review => {
                    self.review(rule, missing_cause(rule), format!("{}: missing", rule.id));
                }
                Otherwise::Reject => self.refuse(rule, IssueType::Required, "is missing"),
            },
            Nothing::Invalid(why, cause) => match rule.on_invalid {
                Otherwise::Omit => self.mapped.findings.push(format!("{}: left out, because the value {why}", rule.id)),
                Otherwise::Review => self.review(rule, cause, format!("{}: the value {why}", rule.id)),
                Otherwise::Reject => self.refuse(rule, IssueType::Value, &why),
            },
        }
    }

    fn review(&mut self, rule: &Rule, cause: Cause, text: String) {
        let cause = rule.cause.unwrap_or(cause);
        self.mapped.review.push(Review { row: rule.id.clone(), cause, text });
    }

    fn refuse(&mut self, rule: &Rule, kind: IssueType, why: &str) {
        let cells = match &rule.origin {
            Origin::Cells(from) => from.iter().flatten().map(|cell| cell.name.as_str()).collect::<Vec<_>>().join(", "),
            Origin::Constant(_) => String::new(),
        };
        let diagnostics = format!("the referral cannot be mapped: {cells} {why} (mapping row {})", rule.id);
        let slot = &self.target.leaves[rule.leaf].slot;
        self.refused.push(Issue {
            kind,
            diagnostics,
            expression: Some(format!("{}.{}", self.target.kind, unsliced(slot))),
        });
    }

    /// The value of a cell, if it is there and not blank. Another spelling of a system is noted.
    fn find(&mut self, cell: &Cell) -> Option<&'t Value> {
        let mut other_spelling = false;
        let input = self.inputs[cell.input]?;
        let found = walk(input, &cell.path, &self.target.systems, &mut other_spelling)?;
        if other_spelling {
            let what = cell.name.split_inclusive(']').next().unwrap_or("");
            let text = format!("{what}: the system is not in its canonical spelling");
            if !self.mapped.findings.contains(&text) {
                self.mapped.findings.push(text);
            }
        }
        Some(found)
    }

    /// Whether a condition holds; a cell that is neither true nor false is named.
    fn holds(&mut self, when: &'m Condition<Cell, (usize, String)>) -> Result<bool, &'m str> {
        match when {
            Condition::Present(cell) => Ok(self.find(cell).is_some()),
            Condition::True(cell) => match self.find(cell).and_then(text) {
                None => Ok(false),
                Some(word) => boolean(&word).ok_or(&cell.name),
            },
            Condition::Is(cell, wanted) => {
                Ok(self.find(cell).and_then(text).is_some_and(|word| word.eq_ignore_ascii_case(wanted)))
            }
            Condition::In((input, set)) => Ok(self.in_set(*input, set)),
            Condition::Not(one) => self.holds(one).map(|holds| !holds),
            Condition::All(parts) => parts.iter().try_fold(true, |all, part| Ok(self.holds(part)? && all)),
            Condition::Any(parts) => parts.iter().try_fold(false, |any, part| Ok(self.holds(part)? || any)),
        }
    }

    fn in_set(&mut self, input: usize, set: &str) -> bool {
        let name = &self.target.inputs[input].name;
        if self.tree.in_sets.iter().any(|(known, of)| known == name && of == set) {
            return true;
        }
        let Some(codes) = self.codes.sets.get(set) else { return false };
        self.target.codes.iter().any(|(of, cell, scheme)| {
            *of == input && self.find(cell).and_then(text).is_some_and(|code| codes.has(scheme, &code))
        })
    }

    /// Builds the resource from the values, which are in R4's order, and keeps their lineage.
    fn build(&mut self, placed: Vec<Placed<'m>>) {
        let target = self.target;
        let mut resource = Map::with_capacity(16);
        resource.insert("resourceType".to_owned(), Value::String(target.kind.clone()));
        if let Some(profile) = &target.profile {
            resource.insert("meta".to_owned(), serde_json::json!({"profile": [profile]}));
        }
        let number = self.mapped.resources.len();
        let mut items = vec![0_usize; target.slots];
        let mut resource = Value::Object(resource);
        self.mapped.lineage.reserve(placed.len());
        for one in placed {
            let leaf = &target.leaves[one.leaf];
            put(&mut resource, &leaf.steps, one.value, &mut items);
            self.mapped.lineage.push(Lineage {
                element: element(target, leaf, &items),
                row: one.rule.id.clone(),
                cells: one.cells.iter().map(|cell| self.cell_name(cell)).collect(),
                table: one.table.map_or_else(String::new, |(table, line)| format!("{}:{line}", table.label)),
                slot: leaf.slot.clone(),
                resource: number,
            });
        }
        self.mapped.resources.push(resource);
    }

    fn cell_name(&self, cell: &Cell) -> String {
        match self.item {
            Some((input, at)) if input == cell.input => {
                let name = &self.target.inputs[input].name;
                cell.name.replacen(name.as_str(), &format!("{name}[{at}]"), 1)
            }
            _ => cell.name.clone(),
        }
    }
}

/// The hold's cause for a value that no table decides.
fn unmapped_cause(leaf: &Leaf) -> Cause {
    match leaf.steps.last().map(|step| step.name.as_str()) {
        Some("priority") => Cause::UrgencyUnmapped,
        Some("code") if leaf.steps.len() > 1 => Cause::CodeUnknown,
        _ => Cause::ValueUnmapped,
    }
}

fn missing_cause(rule: &Rule) -> Cause {
    rule.transform.missing_cause()
}

/// The text of a single value, trimmed; nothing when it is blank or not a single value.
fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(text.trim()).filter(|text| !text.is_empty()).map(Cow::Borrowed),
        Value::Bool(true) => Some(Cow::Borrowed("true")),
        Value::Bool(false) => Some(Cow::Borrowed("false")),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}

fn typed(holds: Holds, text: Cow<'_, str>) -> Option<Value> {
    match holds {
        Holds::Text => Some(Value::String(text.into_owned())),
        Holds::Boolean => boolean(&text).map(Value::Bool),
        Holds::Integer => text.parse::<i64>().ok().map(Value::from),
        Holds::Decimal => serde_json::from_str(&text).ok().filter(Value::is_number),
        Holds::Whole => None,
    }
}

/// Walks into a source; of a list, the first item that has the rest of the way.
fn walk<'t>(value: &'t Value, path: &[Part], systems: &[Vec<String>], other: &mut bool) -> Option<&'t Value> {
    let Some((part, rest)) = path.split_first() else {
        return Some(value).filter(|value| !blank(value));
    };
    let next = value.get(part.name.as_str())?;
    let Some(items) = next.as_array() else {
        *other |= match part.system {
            None => false,
            Some(system) => spelling(next, &systems[system])? > 0,
        };
        return walk(next, rest, systems, other);
    };
    if rest.is_empty() && part.system.is_none() {
        return Some(next).filter(|_| !items.is_empty());
    }
    for item in items {
        let spelling = match part.system {
            None => 0,
            Some(system) => match spelling(item, &systems[system]) {
                Some(at) => at,
                None => continue,
            },
        };
        if let Some(found) = walk(item, rest, systems, other) {
            *other |= spelling > 0;
            return Some(found);
        }
    }
    None
}

/// Which spelling of a system an item has.
fn spelling(item: &Value, spellings: &[String]) -> Option<usize> {
    let system = item.get("system").or_else(|| item.get("url"))?.as_str()?;
    spellings.iter().position(|known| known == system)
}

fn blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// Puts a value where the steps lead, making objects and items on the way. `items` keeps each
/// slice's place, from 1.
fn put(at: &mut Value, steps: &[LeafStep], value: Value, items: &mut [usize]) {
    let Some((step, rest)) = steps.split_first() else {
        *at = value;
        return;
    };
    if !at.is_object() {
        *at = Value::Object(Map::new());
    }
    let Value::Object(members) = at else { return };
    let next = match members.get_mut(&step.name) {
        Some(_) => members.get_mut(&step.name),
        None => Some(members.entry(step.name.clone()).or_insert(Value::Null)),
    };
    let Some(next) = next else { return };
    let Some(slot) = step.slot else {
        return put(next, rest, value, items);
    };
    if !next.is_array() {
        *next = Value::Array(Vec::new());
    }
    let Value::Array(list) = next else { return };
    if items[slot] == 0 {
        list.push(Value::Null);
        items[slot] = list.len();
    }
    if let Some(item) = list.get_mut(items[slot] - 1) {
        put(item, rest, value, items);
    }
}

/// The FHIR path of an element, with the places of the items on the way.
fn element(target: &Target, leaf: &Leaf, items: &[usize]) -> String {
    if let Some(element) = &leaf.element {
        return element.clone();
    }
    let mut path = target.kind.clone();
    for step in &leaf.steps {
        path.push('.');
        path.push_str(&step.name);
        if let Some(slot) = step.slot {
            path.push('[');
            path.push_str(&(items[slot].max(1) - 1).to_string());
            path.push(']');
        }
    }
    path
}

/// An element's name without its slices.
fn unsliced(slot: &str) -> String {
    let mut bare = String::with_capacity(slot.len());
    let mut inside = false;
    for c in slot.chars() {
        inside = c == '[' || (inside && c != ']');
        if !inside && c != ']' {
            bare.push(c);
        }
    }
    bare
}

/// A value short enough for one line of a review.
fn shorten(value: &str) -> String {
    let line: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN_CHARS_MAX).collect();
    if value.chars().count() > SHOWN_CHARS_MAX { format!("{line}...") } else { line }
}
