//! The registered patients' practice mapping: one row a practice, on one day.
//! <https://digital.nhs.uk/data-and-information/publications/statistical/patients-registered-at-a-gp-practice>

use jiff::civil::Date;

use super::{Fact, Faults, Snapshot, TableRows, dates, in_print, is_network_code};
use crate::config::Fault;

/// The columns that are read; others are left.
const COLUMNS: [&str; 6] = ["EXTRACT_DATE", "PRACTICE_CODE", "PRACTICE_NAME", "PCN_CODE", "PCN_NAME", "CCG_CODE"];
/// What stands for "in no network".
const UNALLOCATED: [&str; 3] = ["U", "", "-"];

/// True when the first row is this form's header.
pub fn is_header(rows: &TableRows) -> bool {
    rows.first().is_some_and(|(_, header)| {
        ["PRACTICE_CODE", "PCN_CODE"].iter().all(|column| header.iter().any(|cell| cell.eq_ignore_ascii_case(column)))
    })
}

/// Reads the rows. Its day is the one that all rows name.
pub fn read(file: &str, rows: TableRows, on: Option<Date>) -> Result<Snapshot, Vec<Fault>> {
    let mut faults = Faults::of(file);
    let mut rows = rows.into_iter();
    let (_, header) = rows.next().unwrap_or_default();
    let place = COLUMNS.map(|column| header.iter().position(|cell| cell.eq_ignore_ascii_case(column)));
    let mut snapshot = Snapshot { form: "registered patients map", whole: true, ..Snapshot::default() };
    let mut day: Option<Date> = None;
    for (line, cells) in rows {
        if cells.len() != header.len() {
            faults.add(line, format!("has {} cells, the header has {}", cells.len(), header.len()));
            continue;
        }
        let cell = |index: usize| place[index].and_then(|at| cells.get(at)).map_or("", String::as_str);
        match (dates::day(cell(0)), day) {
            (Some(this), Some(first)) if this != first => faults.add(line, "is of another day than the rows before"),
            (Some(this), _) => day = Some(this),
            (None, _) if place[0].is_some() => faults.add(line, format!("EXTRACT_DATE '{}' is not a date", cell(0))),
            (None, _) => {}
        }
        let Some(practice) = faults.practice(line, cell(1)) else { continue };
        let pcn = Some(cell(3).to_owned()).filter(|code| !UNALLOCATED.contains(&code.as_str()));
        if let Some(code) = &pcn {
            if !is_network_code(code) {
                faults.add(line, format!("PCN_CODE '{code}' is neither a PCN code such as U12345 nor U for none"));
            }
            snapshot.networks.entry(code.clone()).or_insert_with(|| in_print(cell(4)));
        }
        let fact = Fact { name: in_print(cell(2)), pcn, since: None, commissioner: cell(5).to_owned() };
        if let Some(before) = snapshot.practices.insert(practice.clone(), fact) {
            let before = before.pcn.unwrap_or_else(|| "none".to_owned());
            faults.add(line, format!("{practice} stands here a second time; the first row has network {before}"));
        }
    }
    match day.or(on) {
        Some(day) => snapshot.as_of = day,
        None => faults.add(1, "does not say of which day it is: give the day with --on"),
    }
    if snapshot.practices.is_empty() {
        faults.add(1, "has no practice in it");
    }
    faults.or(snapshot)
}
