//! Accounts for a mapped referral: each element with its row, cells and table line, and each
//! source column with what became of it. The text is for people, the JSON for tools.

use std::fmt::Write;

use serde::Serialize;
use serde_json::Value;

use super::compile::Mapping;
use super::{Mapped, SourceTree};

/// The whole account.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// The mapping.
    pub mapping: String,
    /// A row an element.
    pub elements: Vec<ExplainRow>,
    /// A row a source column.
    pub columns: Vec<ColumnUse>,
    /// What a person must look at.
    pub review: Vec<String>,
    /// What was noticed.
    pub findings: Vec<String>,
}

/// One element of the output.
#[derive(Debug, Serialize)]
pub struct ExplainRow {
    /// `ServiceRequest.priority`
    pub element: String,
    /// Its value.
    pub value: Value,
    /// The mapping row.
    pub row: String,
    /// The source cells; empty for a constant.
    pub cells: Vec<String>,
    /// The code table's line.
    pub table: String,
}

/// One column of the source.
#[derive(Debug, Serialize)]
pub struct ColumnUse {
    /// `ref.ReferralUrgency`
    pub column: String,
    /// The rows that read it; empty for one that is unused.
    pub rows: Vec<String>,
    /// Why it is unused.
    pub unused: String,
    /// True when this source has nothing there.
    pub empty: bool,
}

/// Accounts for `mapped`, which the mapping made of `tree`.
pub fn explain(mapping: &Mapping, tree: &SourceTree, mapped: &Mapped) -> Explanation {
    let elements = mapped.lineage.iter().map(|line| ExplainRow {
        element: line.element.to_string(),
        value: mapped.resources.get(line.resource).map_or(Value::Null, |resource| value_at(resource, &line.element)),
        row: line.row.to_string(),
        cells: line.cells.iter().map(ToString::to_string).collect(),
        table: line.table.to_string(),
    });
    let columns = mapping.columns.iter().map(|column| ColumnUse {
        column: format!("{}.{}", column.input, column.column),
        rows: column.rows.clone(),
        unused: column.unused.clone().unwrap_or_default(),
        empty: is_empty(tree.inputs.get(&column.input), &column.column),
    });
    Explanation {
        mapping: mapping.name.clone(),
        elements: elements.collect(),
        columns: columns.collect(),
        review: mapped.review.iter().map(|review| format!("{} [{}]", review.text, review.cause.word())).collect(),
        findings: mapped.findings.clone(),
    }
}

/// The value at a FHIR path such as `Patient.name[0].given[1]`.
pub fn value_at(resource: &Value, element: &str) -> Value {
    let mut at = resource;
    for part in element.split('.').skip(1) {
        let (name, place) = match part.split_once('[') {
            Some((name, rest)) => (name, rest.trim_end_matches(']').parse::<usize>().ok()),
            None => (part, None),
        };
        at = &at[name];
        if let Some(place) = place {
            at = &at[place];
        }
    }
    at.clone()
}

fn is_empty(input: Option<&Value>, column: &str) -> bool {
    let blank = |value: &Value| match &value[column] {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    };
    match input {
        None => true,
        Some(Value::Array(items)) => items.iter().all(blank),
        Some(value) => blank(value),
    }
}

impl Explanation {
    /// For a terminal: tab-separated tables under headings.
    pub fn to_text(&self) -> String {
        let mut out = format!("# {}\n\n## elements: path, value, row, source cells, code-table line\n", self.mapping);
        for row in &self.elements {
            let value = row.value.as_str().map_or_else(|| row.value.to_string(), str::to_owned);
            let cells = if row.cells.is_empty() { "(constant)".to_owned() } else { row.cells.join(" + ") };
            let _ = writeln!(out, "{}\t{}\t{}\t{}\t{}", row.element, value.escape_debug(), row.row, cells, row.table);
        }
        out.push_str("\n## source columns: column, what became of it\n");
        for column in &self.columns {
            let fate = match (column.rows.is_empty(), column.empty) {
                (true, _) => format!("unused: {}", column.unused),
                (false, true) => format!("empty here; read by {}", column.rows.join(", ")),
                (false, false) => format!("read by {}", column.rows.join(", ")),
            };
            let _ = writeln!(out, "{}\t{fate}", column.column);
        }
        list(&mut out, "needs review", &self.review);
        list(&mut out, "findings", &self.findings);
        out
    }

    /// For tools.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

fn list(out: &mut String, heading: &str, lines: &[String]) {
    if !lines.is_empty() {
        let _ = writeln!(out, "\n## {heading}");
        for line in lines {
            let _ = writeln!(out, "{line}");
        }
    }
}
