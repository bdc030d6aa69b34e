//! Runs a compiled mapping over one source tree. Pure, and one pass: each row decides, then the
//! elements are built in R4's order.

mod build;
mod read;

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::compile::{Beside, Cell, Leaf, Mapping, Origin, Otherwise, Rule, TableAt, Target};
use super::condition::Condition;
use super::tables::{Codes, Decision, TableRow};
use super::transforms::{self, Done, Invalid, Transform, boolean};
use super::{Lineage, Mapped, Name, Review, SourceTree};
use build::{element, put, unsliced};
use read::{text, typed, walk};

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
    table: Option<&'m Name>,
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
    ) -> Result<(Value, &'m [Cell], Option<&'m Name>), Nothing> {
        for cells in from {
            let Some(found) = cells.first().and_then(|cell| self.find(cell)) else { continue };
            if rule.transform == Transform::Element {
                let review =
                    |fault: Invalid| Nothing::Review(format!("{}: a coding {}", rule.id, fault.why), fault.cause);
                transforms::codings(found).map_err(review)?;
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
            let row = self.look_up(rule, table, &value)?;
            return Ok((self.typed(rule, Cow::Borrowed(&row.target))?, cells, Some(&row.at)));
        }
        Err(Nothing::Missing)
    }

    fn look_up(&mut self, rule: &Rule, at: &'m TableAt, value: &str) -> Result<&'m TableRow, Nothing> {
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
            Decision::Mapped => Ok(row),
            Decision::Review => {
                let text = format!("{}: {} needs review ({})", rule.id, shown(), row.at);
                Err(Nothing::Review(text, cause))
            }
            Decision::NoMap => {
                let text = format!("{}: deliberately not mapped ({})", rule.id, row.at);
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
                    self.review(rule, rule.transform.missing_cause(), format!("{}: missing", rule.id));
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
            Origin::Cells(from) => from.iter().flatten().map(|cell| &*cell.name).collect::<Vec<_>>().join(", "),
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
        let nowhere = Name::default();
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
                table: one.table.map_or_else(|| nowhere.clone(), Name::clone),
                slot: leaf.slot.clone(),
                resource: number,
            });
        }
        self.mapped.resources.push(resource);
    }

    fn cell_name(&self, cell: &Cell) -> Name {
        match self.item {
            Some((input, at)) if input == cell.input => {
                let name = &self.target.inputs[input].name;
                cell.name.replacen(name.as_str(), &format!("{name}[{at}]"), 1).into()
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

/// A value short enough for one line of a review.
fn shorten(value: &str) -> String {
    let line: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN_CHARS_MAX).collect();
    if value.chars().count() > SHOWN_CHARS_MAX { format!("{line}...") } else { line }
}
