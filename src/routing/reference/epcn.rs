//! ePCN core partner details: practice and network with the period of their relationship; from
//! the workbook's sheet (with a header) or the report's CSV (without).
//! <https://digital.nhs.uk/services/organisation-data-service/data-search-and-export/csv-downloads>

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::{Fact, Faults, Snapshot, TableRows, dates, in_print, is_network_code};
use crate::config::Fault;
use crate::fhir::ids::OdsCode;
use crate::routing::Period;

/// The workbook's sheet.
pub const SHEET: &str = "PCN Core Partner Details";
/// Columns of a row: practice code, name, its sub-ICB location's code and name, PCN code and name,
/// the PCN's sub-ICB location's code and name, start, end, whether the two locations match.
const COLUMNS: usize = 11;

/// True when the rows look like the report without a header.
pub fn is_core_partners(rows: &TableRows) -> bool {
    let row = |cells: &Vec<String>| cells.len() == COLUMNS && is_network_code(&cells[4]);
    rows.iter().take(2).any(|(_, cells)| row(cells))
}

/// One relationship.
struct Partner {
    line: usize,
    pcn: String,
    period: Period,
}

/// Reads the rows as they stand on `day`. A practice all of whose relationships have ended is in no
/// network; one that never had any is not in the file, and so not said to be closed.
pub fn read(file: &str, rows: TableRows, day: Date) -> Result<Snapshot, Vec<Fault>> {
    let mut faults = Faults::of(file);
    let mut snapshot = Snapshot { form: "ePCN core partner details", as_of: day, ..Snapshot::default() };
    let mut partners: BTreeMap<OdsCode, Vec<Partner>> = BTreeMap::new();
    for (at, (line, mut cells)) in rows.into_iter().enumerate() {
        cells.resize_with(cells.len().max(COLUMNS), String::new);
        if at == 0 && !is_network_code(&cells[4]) && OdsCode::parse(&cells[0]).is_err() {
            continue; // the header
        }
        let Some(practice) = faults.practice(line, &cells[0]) else { continue };
        if !is_network_code(&cells[4]) {
            faults.add(line, format!("'{}' is not a PCN code such as U12345", cells[4]));
            continue;
        }
        let Some(period) = period(&mut faults, line, &cells[8], &cells[9]) else { continue };
        snapshot.networks.insert(cells[4].clone(), in_print(&cells[5]));
        let fact = Fact { name: in_print(&cells[1]), commissioner: cells[2].clone(), ..Fact::default() };
        snapshot.practices.entry(practice.clone()).or_insert(fact);
        partners.entry(practice).or_default().push(Partner { line, pcn: cells[4].clone(), period });
    }
    for (practice, all) in partners {
        let now: Vec<&Partner> = all.iter().filter(|partner| partner.period.holds(day)).collect();
        if let [first, second, ..] = now.as_slice()
            && first.pcn != second.pcn
        {
            let text = format!("{practice} is in {} (line {}) and in {} on {day}", first.pcn, first.line, second.pcn);
            faults.add(second.line, text);
        }
        if let (Some(fact), Some(partner)) = (snapshot.practices.get_mut(&practice), now.first()) {
            fact.pcn = Some(partner.pcn.clone());
            fact.since = Some(partner.period.from);
        }
    }
    if snapshot.practices.is_empty() {
        faults.add(1, "has no practice in it");
    }
    faults.or(snapshot)
}

fn period(faults: &mut Faults<'_>, line: usize, from: &str, to: &str) -> Option<Period> {
    let read = |text: &str| dates::day(text).or_else(|| dates::serial(text));
    let Some(start) = read(from) else {
        faults.add(line, format!("start date '{from}' is not a date"));
        return None;
    };
    let end = match (to, read(to)) {
        ("", _) => None,
        (_, Some(end)) => Some(end),
        (_, None) => {
            faults.add(line, format!("end date '{to}' is not a date"));
            return None;
        }
    };
    if end.is_some_and(|end| end < start) {
        faults.add(line, "the relationship ends before it starts");
        return None;
    }
    Some(Period { from: start, to: end })
}
