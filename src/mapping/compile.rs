//! Mappings ready to run: every name resolved to a number, every path split, every element in
//! R4's order, so that mapping one referral looks nothing up by text but the source's cells.

use std::collections::BTreeMap;

use super::Name;
use super::condition::Condition;
use super::definition::Input;
use super::element::Holds;
use super::source::SourceSchema;
use super::tables::CodeTable;
use super::transforms::Transform;
use crate::store::commit::Cause;

/// One mapping: the targets of one folder, in order.
#[derive(Debug)]
pub struct Mapping {
    /// Its folder's name.
    pub name: String,
    /// The targets; a ServiceRequest first.
    pub targets: Vec<Target>,
    /// The source's tables; `None` for FHIR.
    pub source: Option<SourceSchema>,
    /// The folder's own tables.
    pub tables: BTreeMap<String, CodeTable>,
    /// Every input column (or FHIR element) and what becomes of it.
    pub columns: Vec<Column>,
}

/// What becomes of one source column.
#[derive(Debug, Clone)]
pub struct Column {
    /// The input.
    pub input: String,
    /// The column or element.
    pub column: String,
    /// The rows that read it.
    pub rows: Vec<String>,
    /// Why it is unused, where it is.
    pub unused: Option<String>,
}

/// One kind of resource that a mapping makes.
#[derive(Debug)]
pub struct Target {
    /// The resource type.
    pub kind: String,
    /// `meta.profile`.
    pub profile: Option<String>,
    /// The list input that gives one resource an item.
    pub each: Option<usize>,
    /// The inputs.
    pub inputs: Vec<Input>,
    /// Spellings of each system.
    pub systems: Vec<Vec<String>>,
    /// Cells that hold codes: input, cell, scheme.
    pub codes: Vec<(usize, Cell, String)>,
    /// The rows, in the file's order.
    pub rules: Vec<Rule>,
    /// All elements that may be set, in R4's order.
    pub leaves: Vec<Leaf>,
    /// How many slices there are.
    pub slots: usize,
}

/// One source cell.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The input's number.
    pub input: usize,
    /// The members to it; for a table exactly one.
    pub path: Vec<Part>,
    /// As the mapping writes it.
    pub name: Name,
}

/// One step into a source.
#[derive(Debug, Clone)]
pub struct Part {
    /// The member.
    pub name: String,
    /// Of a list, only items of this system.
    pub system: Option<usize>,
}

/// One element that may be set.
#[derive(Debug)]
pub struct Leaf {
    /// The members and items to it.
    pub steps: Vec<LeafStep>,
    /// As the mapping writes it.
    pub slot: Name,
    /// The FHIR path when every item stands in its usual place.
    pub element: Name,
    /// What it holds.
    pub holds: Holds,
    /// The codes that a required binding allows.
    pub binding: Option<&'static [&'static str]>,
}

/// One step to an element.
#[derive(Debug, Clone)]
pub struct LeafStep {
    /// The member.
    pub name: String,
    /// The slice's number, for an item.
    pub slot: Option<usize>,
    /// The item's usual place: where it stands when all the mapping's items are there.
    pub place: usize,
}

/// Where a row's value comes from.
#[derive(Debug)]
pub enum Origin {
    /// The row itself.
    Constant(String),
    /// The first alternative that has a value; each is one cell or two.
    Cells(Vec<Vec<Cell>>),
}

/// A value set beside the row's own.
#[derive(Debug)]
pub enum Beside {
    /// The row itself.
    Constant(String),
    /// A cell's text.
    Cell(Cell),
}

/// What to do when there is no value, or no good one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    /// Leave the element out.
    Omit,
    /// Hold the referral.
    Review,
    /// Refuse the referral.
    Reject,
}

/// Which table a row looks in.
#[derive(Debug, Clone)]
pub enum TableAt {
    /// The folder's own.
    Own(String),
    /// A shared one.
    Shared(String),
}

/// One row.
#[derive(Debug)]
pub struct Rule {
    /// Its id.
    pub id: Name,
    /// The element.
    pub leaf: usize,
    /// The source.
    pub origin: Origin,
    /// The conversion.
    pub transform: Transform,
    /// The code table.
    pub table: Option<TableAt>,
    /// Elements beside it.
    pub with: Vec<(usize, Beside)>,
    /// Only when this holds.
    pub when: Option<Condition<Cell, (usize, String)>>,
    /// Not when one of these rows gave a value.
    pub unless: Vec<usize>,
    /// Only when each of these rows gave a value.
    pub needs: Vec<usize>,
    /// The constant when `when` does not hold.
    pub otherwise: Option<String>,
    /// No value.
    pub on_missing: Otherwise,
    /// A value that the conversion or the binding does not take.
    pub on_invalid: Otherwise,
    /// The hold's cause, where the row names one.
    pub cause: Option<Cause>,
    /// Texts never repeat the value.
    pub private: bool,
}
