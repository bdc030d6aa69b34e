//! CSV files of a place as rows of named cells, each with its line. No meaning yet.

use std::collections::BTreeSet;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::config::Fault;
use crate::fhir::ids::OdsCode;

/// The most rows that one file of a place may have: England has some 6,500 practices.
pub const ROWS_MAX: usize = 50_000;

/// Reads rows and gathers what is wrong with them.
pub struct Rows<'a> {
    file: &'a str,
    faults: &'a mut Vec<Fault>,
}

/// One row; cells are asked for by column name.
pub struct Row<'a> {
    columns: &'a [String],
    cells: csv::StringRecord,
    /// Where it stands, from 1.
    pub line: usize,
}

/// First and last day in force; no last day: still in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// The first day.
    pub from: Date,
    /// The last day.
    pub to: Option<Date>,
}

impl Period {
    /// True when `on` is in the period; its first and last day are.
    pub fn holds(&self, on: Date) -> bool {
        self.from <= on && self.to.is_none_or(|to| on <= to)
    }

    /// True when a day is in both.
    pub fn meets(&self, other: &Self) -> bool {
        self.to.is_none_or(|to| other.from <= to) && other.to.is_none_or(|to| self.from <= to)
    }
}

impl Row<'_> {
    /// A cell without the space around it; `""` where the row has none.
    pub fn cell(&self, column: &str) -> &str {
        let index = self.columns.iter().position(|name| name == column);
        index.and_then(|index| self.cells.get(index)).unwrap_or("").trim()
    }

    /// The parts of a cell between semicolons, without empty ones.
    pub fn list(&self, column: &str) -> Vec<String> {
        self.cell(column).split(';').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }
}

impl<'a> Rows<'a> {
    /// A reader of `file` that adds to `faults`.
    pub fn new(file: &'a str, faults: &'a mut Vec<Fault>) -> Self {
        Self { file, faults }
    }

    /// Adds a fault.
    pub fn fault(&mut self, line: usize, text: impl Into<String>) {
        self.faults.push(Fault { file: self.file.to_owned(), line, text: text.into() });
    }

    /// Calls `take` with each row whose header and length are right. A column whose name begins
    /// with `?` in `columns` may be left out.
    pub fn each(&mut self, text: &str, columns: &[&str], mut take: impl FnMut(&mut Self, &Row<'_>)) {
        let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).flexible(true).from_reader(text.as_bytes());
        let header: Vec<String> = match reader.headers() {
            Ok(header) => header.iter().map(|name| name.trim().trim_start_matches('\u{feff}').to_owned()).collect(),
            Err(why) => return self.fault(1, format!("not CSV: {why}")),
        };
        if !self.header(&header, columns) {
            return;
        }
        for (count, record) in reader.records().enumerate() {
            let cells = match record {
                Ok(cells) => cells,
                Err(why) => {
                    let line = why.position().map_or(1, |at| at.line() as usize);
                    self.fault(line, "not CSV: the row cannot be read");
                    continue;
                }
            };
            let line = cells.position().map_or(1, |at| at.line() as usize);
            if count >= ROWS_MAX {
                return self.fault(line, format!("more than {ROWS_MAX} rows"));
            }
            if cells.len() != header.len() {
                self.fault(line, format!("has {} cells, the header has {}", cells.len(), header.len()));
                continue;
            }
            take(self, &Row { columns: &header, cells, line });
        }
    }

    fn header(&mut self, header: &[String], columns: &[&str]) -> bool {
        let mut good = true;
        let required = columns.iter().filter(|column| !column.starts_with('?'));
        for column in required.filter(|column| !header.iter().any(|name| name == *column)) {
            self.fault(1, format!("has no column {column}"));
            good = false;
        }
        let mut seen = BTreeSet::new();
        for name in header {
            if !columns.iter().any(|column| column.trim_start_matches('?') == name) {
                self.fault(1, format!("there is no such column: {name}"));
                good = false;
            } else if !seen.insert(name) {
                self.fault(1, format!("has column {name} twice"));
                good = false;
            }
        }
        good
    }

    /// A cell that must not be empty.
    pub fn named(&mut self, row: &Row<'_>, column: &str) -> String {
        let text = row.cell(column);
        if text.is_empty() {
            self.fault(row.line, format!("{column} is empty"));
        }
        text.to_owned()
    }

    /// An ODS code.
    pub fn ods(&mut self, row: &Row<'_>, column: &str) -> Option<OdsCode> {
        let code = OdsCode::parse(row.cell(column));
        if code.is_err() {
            self.fault(row.line, format!("{column} '{}' is not an ODS code", row.cell(column)));
        }
        code.ok()
    }

    /// `valid_from` and `valid_to`.
    pub fn period(&mut self, row: &Row<'_>) -> Option<Period> {
        self.period_of(row, "valid_from", "valid_to")
    }

    /// The first and the last day by two columns; the last may be empty.
    pub fn period_of(&mut self, row: &Row<'_>, first: &str, last: &str) -> Option<Period> {
        let from = self.date(row, first)?;
        let to = if row.cell(last).is_empty() { None } else { Some(self.date(row, last)?) };
        if to.is_some_and(|to| to < from) {
            self.fault(row.line, format!("{last} is before {first}"));
            return None;
        }
        Some(Period { from, to })
    }

    /// A whole number of at most `most`; empty: none.
    pub fn whole(&mut self, row: &Row<'_>, column: &str, most: u32) -> Option<u32> {
        let text = row.cell(column);
        let number = text.parse::<u32>().ok().filter(|number| *number <= most && !text.starts_with('+'));
        if number.is_none() && !text.is_empty() {
            let why = if text.starts_with('-') { "is negative" } else { "is not a whole number" };
            self.fault(row.line, format!("{column} '{text}' {why} (0 to {most}, or empty)"));
        }
        number
    }

    fn date(&mut self, row: &Row<'_>, column: &str) -> Option<Date> {
        let text = row.cell(column);
        let date = (text.len() == 10).then(|| text.parse::<Date>().ok()).flatten();
        if date.is_none() {
            self.fault(row.line, format!("{column} '{text}' is not a date such as 2026-01-31"));
        }
        date
    }

    /// Full-time equivalents with at most two decimals, as hundredths.
    pub fn hundredths(&mut self, row: &Row<'_>, column: &str) -> Option<u32> {
        let text = row.cell(column);
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || whole.len() > 4 || !digits(part) || part.len() > 2 {
            let why = if text.starts_with('-') { "is negative" } else { "is not a number with at most two decimals" };
            self.fault(row.line, format!("{column} '{text}' {why}"));
            return None;
        }
        format!("{whole}{part:0<2}").parse().ok()
    }

    /// `yes` or `no`.
    pub fn flag(&mut self, row: &Row<'_>, column: &str) -> bool {
        match row.cell(column) {
            "yes" => true,
            "no" => false,
            other => {
                self.fault(row.line, format!("{column} '{other}' is not yes or no"));
                false
            }
        }
    }
}
