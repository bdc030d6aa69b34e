//! Networks follow their practices: in force for as long as a practice is in them.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::{Difference, histories};
use crate::routing::Period;
use crate::routing::reference::Snapshot;
use crate::routing::reference::sheet::Sheet;

/// The networks' rows after those of the practices.
pub fn follow(networks: &Sheet, practices: &Sheet, snapshot: &Snapshot, difference: &mut Difference) -> Sheet {
    let mut sheet = networks.clone();
    let spans = spans(practices);
    let mut fresh = Vec::new();
    for (code, span) in &spans {
        let rows: Vec<usize> = sheet.rows().filter(|row| sheet.cell(*row, "code") == code).collect();
        if rows.is_empty() {
            let name = snapshot.networks.get(code).unwrap_or(code).clone();
            difference.networks_new.push((code.clone(), name.clone()));
            fresh.push((None, new_row(code, name, *span, snapshot)));
            continue;
        }
        let date = |row: usize, column: &str| sheet.cell(row, column).parse::<Date>().ok();
        let first = rows.iter().copied().min_by_key(|row| date(*row, "valid_from"));
        let last = rows.iter().copied().max_by_key(|row| date(*row, "valid_from"));
        if let Some(row) = first.filter(|row| date(*row, "valid_from").is_some_and(|from| from > span.from)) {
            sheet.set(row, "valid_from", &span.from.to_string());
        }
        let Some(row) = last else { continue };
        match (sheet.cell(row, "valid_to").parse::<Date>().ok(), span.to) {
            (Some(to), Some(needed)) if to < needed => sheet.set(row, "valid_to", &needed.to_string()),
            (Some(_), None) => sheet.set(row, "valid_to", ""),
            // Nobody has been in it since: it ends, where the file speaks of all practices.
            (None, Some(end)) if snapshot.whole && end < snapshot.as_of => {
                sheet.set(row, "valid_to", &end.to_string());
                difference.networks_ended.push((code.clone(), sheet.cell(row, "name").to_owned()));
            }
            _ => {}
        }
    }
    sheet.add(fresh);
    let in_force = |row: &usize| snapshot.networks.contains_key(sheet.cell(*row, "code"));
    difference.networks = sheet
        .rows()
        .filter(in_force)
        .map(|row| sheet.cell(row, "code"))
        .collect::<std::collections::BTreeSet<_>>()
        .len();
    sheet
}

/// From the first to the last day on which any practice is in each network.
fn spans(practices: &Sheet) -> BTreeMap<String, Period> {
    let mut spans: BTreeMap<String, Period> = BTreeMap::new();
    for row in histories(practices).into_values().flatten() {
        let Some(code) = row.pcn else { continue };
        let span = spans.entry(code).or_insert(row.period);
        span.from = span.from.min(row.period.from);
        span.to = span.to.zip(row.period.to).map(|(a, b)| a.max(b));
    }
    spans
}

fn new_row(code: &str, name: String, span: Period, snapshot: &Snapshot) -> Vec<(&'static str, String)> {
    vec![
        ("code", code.to_owned()),
        ("name", name),
        ("valid_from", span.from.to_string()),
        ("valid_to", span.to.map(|to| to.to_string()).unwrap_or_default()),
        ("basis", "published".to_owned()),
        ("note", format!("{} {}", snapshot.form, snapshot.as_of)),
    ]
}
