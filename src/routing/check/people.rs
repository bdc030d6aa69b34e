//! What link workers, absences and venues must be true of.

use super::{Add, is_id};
use crate::routing::people::{Absence, Venue, Worker};
use crate::routing::place::Place;
use crate::routing::rows::Period;
use crate::routing::rules::language;

/// Hundredths of full-time that one person works at most.
const FTE_HUNDREDTHS_MAX: u32 = 100;

/// Adds every fault of link workers, absences and venues.
pub(super) fn people(place: &Place, add: &mut Add<'_>) {
    let rows = &place.rows;
    for worker in &rows.workers {
        for why in faults_of(place, worker) {
            add("workers.csv", worker.line, format!("worker {}: {why}", worker.id));
        }
    }
    twice(
        rows.workers.iter().map(|row| (format!("worker {} of {}", row.id, row.pool), row.period, row.line)),
        &mut |l, t| {
            add("workers.csv", l, t);
        },
    );
    for absence in rows.absences.iter().filter(|absence| !place.index.workers.contains_key(&absence.worker)) {
        add("absences.csv", absence.line, unknown_worker(absence));
    }
    let absences = rows.absences.iter();
    twice(absences.map(|row| (format!("absence of {}", row.worker), row.period, row.line)), &mut |line, text| {
        add("absences.csv", line, text);
    });
    for venue in &rows.venues {
        for why in venue_faults(place, venue) {
            add("venues.csv", venue.line, format!("venue {}: {why}", venue.id));
        }
    }
    twice(rows.venues.iter().map(|row| (format!("venue {}", row.id), row.period, row.line)), &mut |line, text| {
        add("venues.csv", line, text);
    });
}

fn unknown_worker(absence: &Absence) -> String {
    format!("absence of '{}', who is not in workers.csv", absence.worker)
}

fn faults_of(place: &Place, worker: &Worker) -> Vec<String> {
    let mut out = Vec::new();
    if !is_id(&worker.id) {
        out.push("id must be small letters, digits and -".to_owned());
    }
    if !place.index.pools.contains_key(&worker.pool) {
        out.push(format!("pool '{}' is not in pools.csv", worker.pool));
    }
    if !(1..=FTE_HUNDREDTHS_MAX).contains(&worker.fte_hundredths) {
        out.push("fte is not from 0.01 to 1.00: a row is one person".into());
    }
    let languages = worker.languages.iter().filter_map(|code| Some((code, language(code).err()?)));
    out.extend(languages.map(|(code, why)| format!("language '{code}' {why}")));
    if worker.line == 0 && (worker.shifts.is_empty() || worker.shifts.iter().any(|shift| shift.to <= shift.from)) {
        out.push("working hours are missing or go back in time".into());
    }
    let mut shifts = worker.shifts.clone();
    shifts.sort_unstable();
    for pair in shifts.windows(2) {
        if pair[0].day == pair[1].day && pair[1].from < pair[0].to {
            out.push(format!("two shifts at one time on {}", pair[0].day.name()));
        }
    }
    let own = place.index.workers.get(&worker.id).cloned().unwrap_or(0..0);
    let others = place.rows.workers[own].iter().filter(|other| other.period.holds(worker.period.from));
    let (mut fte, mut sexes) = (0, Vec::new());
    for other in others {
        fte += other.fte_hundredths;
        sexes.push(other.sex);
    }
    if fte > FTE_HUNDREDTHS_MAX && worker.fte_hundredths <= FTE_HUNDREDTHS_MAX {
        out.push(format!("works more than full-time on {} in all pools together", worker.period.from));
    }
    if sexes.iter().any(|sex| *sex != worker.sex) {
        out.push("sex is said otherwise in another row".into());
    }
    out
}

fn venue_faults(place: &Place, venue: &Venue) -> Vec<String> {
    let mut out = Vec::new();
    if !is_id(&venue.id) {
        out.push("id must be small letters, digits and -".to_owned());
    }
    if !place.index.pools.contains_key(&venue.pool) {
        out.push(format!("pool '{}' is not in pools.csv", venue.pool));
    }
    let code = &venue.postcode;
    let shaped = (5..=8).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b' ');
    if !shaped && !code.is_empty() {
        out.push("postcode is not one such as PE37 7AA".into());
    }
    out
}

/// Rows of one key, in the order of their dates, must not overlap; gaps are no fault.
fn twice(rows: impl Iterator<Item = (String, Period, usize)>, add: &mut dyn FnMut(usize, String)) {
    let mut before: Option<(String, Period, usize)> = None;
    for (key, period, line) in rows {
        if let Some((_, other, first)) =
            before.as_ref().filter(|(known, other, _)| *known == key && other.meets(&period))
        {
            let latest = if other.to.is_none() { ", which has no end" } else { "" };
            add(line, format!("{key} overlaps line {first}{latest}"));
        }
        before = Some((key, period, line));
    }
}
