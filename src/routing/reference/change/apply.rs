//! Putting a snapshot into the rows: a practice at a time.

use std::collections::BTreeSet;

use jiff::civil::Date;

use super::{Change, Difference, Held, Histories, Scope, eve, histories, networks, same_name};
use crate::fhir::ids::OdsCode;
use crate::routing::Period;
use crate::routing::reference::sheet::Sheet;
use crate::routing::reference::{Closed, Fact, Snapshot};

/// A place's files that an import touches, and the days of the whole snapshots taken in before.
#[derive(Debug, Clone)]
pub struct Books {
    /// `practices.csv`.
    pub practices: Sheet,
    /// `networks.csv`.
    pub networks: Sheet,
    /// From `imports.csv`, in order.
    pub whole_days: Vec<Date>,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The changes.
    pub difference: Difference,
    /// The files afterwards.
    pub books: Books,
}

/// A row to be added, beside a row of the same practice where it has one.
struct Fresh {
    beside: Option<usize>,
    practice: OdsCode,
    name: String,
    pcn: Option<String>,
    period: Period,
    note: String,
}

/// The work on one snapshot.
struct Work<'a> {
    snapshot: &'a Snapshot,
    sheet: Sheet,
    whole_days: &'a [Date],
    fresh: Vec<Fresh>,
    gone: Vec<usize>,
    difference: Difference,
}

pub(super) fn take(books: &Books, snapshot: &Snapshot, scope: &Scope) -> Taken {
    let held = histories(&books.practices);
    let known: BTreeSet<String> =
        books.networks.rows().map(|row| books.networks.cell(row, "code").to_owned()).collect();
    let day = snapshot.as_of;
    let next = books.whole_days.iter().copied().find(|whole| *whole > day);
    let difference = Difference {
        form: snapshot.form,
        as_of: day,
        before: next.filter(|_| !books.whole_days.iter().any(|whole| *whole <= day)),
        ..Difference::default()
    };
    let sheet = books.practices.clone();
    let mut work =
        Work { snapshot, sheet, whole_days: &books.whole_days, fresh: Vec::new(), gone: Vec::new(), difference };
    for (practice, fact) in &snapshot.practices {
        let rows = held.get(practice).map_or([].as_slice(), Vec::as_slice);
        if !rows.is_empty() || scope.takes(fact, &known) {
            work.present(practice, fact, rows);
        }
    }
    work.absent(&held);
    for (practice, closed) in &snapshot.closed {
        work.closed(practice, closed, held.get(practice).map_or([].as_slice(), Vec::as_slice));
    }
    work.finish(books)
}

impl Work<'_> {
    /// A practice that is open on the snapshot's day.
    fn present(&mut self, practice: &OdsCode, fact: &Fact, rows: &[Held]) {
        let day = self.snapshot.as_of;
        self.difference.practices += 1;
        if fact.pcn.is_none() {
            let change = self.change(practice, &fact.name, None, None, day);
            self.difference.unallocated.push(change);
        }
        let now = rows.iter().find(|row| row.period.holds(day));
        if let Some(row) = now {
            if !same_name(&row.name, &fact.name) && fact.name != practice.as_str() {
                self.difference.names.push((practice.clone(), row.name.clone(), fact.name.clone()));
            }
            if row.pcn != fact.pcn {
                self.moves(practice, fact, row);
            }
            return;
        }
        let before = rows.iter().rfind(|row| row.period.from <= day);
        match rows.iter().find(|row| row.period.from > day) {
            Some(after) => self.known_later(practice, fact, before, after),
            None => self.opens(practice, fact, before),
        }
    }

    /// It moves, on the day that the file gives or else on the snapshot's.
    fn moves(&mut self, practice: &OdsCode, fact: &Fact, row: &Held) {
        let day = self.snapshot.as_of;
        let on = fact.since.filter(|since| row.period.from <= *since && *since <= day).unwrap_or(day);
        let change = self.change(practice, &row.name, row.pcn.clone(), fact.pcn.clone(), on);
        self.difference.moves.push(change);
        if on == row.period.from {
            self.gone.push(row.at);
        } else {
            self.sheet.set(row.at, "valid_to", &eve(on).to_string());
        }
        let period = Period { from: on, to: row.period.to };
        self.add(Some(row.at), practice, &row.name, fact.pcn.clone(), period);
    }

    /// The snapshot is earlier than the first that is known of the practice.
    fn known_later(&mut self, practice: &OdsCode, fact: &Fact, before: Option<&Held>, after: &Held) {
        let from = self.begin(practice, fact, before);
        if after.pcn == fact.pcn {
            self.difference.known_earlier += 1;
            return self.sheet.set(after.at, "valid_from", &from.to_string());
        }
        let on = after.period.from;
        let change = self.change(practice, &after.name, fact.pcn.clone(), after.pcn.clone(), on);
        self.difference.moves.push(change);
        self.add(Some(after.at), practice, &fact.name, fact.pcn.clone(), Period { from, to: Some(eve(on)) });
    }

    /// Nothing later is known of it: it opens, unless a later snapshot does not have it.
    fn opens(&mut self, practice: &OdsCode, fact: &Fact, before: Option<&Held>) {
        let from = self.begin(practice, fact, before);
        let gone_by = self.whole_days.iter().copied().find(|whole| *whole > self.snapshot.as_of);
        let period = Period { from, to: gone_by.map(eve) };
        self.add(before.map(|row| row.at), practice, &fact.name, fact.pcn.clone(), period);
        match gone_by {
            Some(on) => {
                let change = self.change(practice, &fact.name, fact.pcn.clone(), None, on);
                self.difference.closes.push(change);
            }
            None => {
                let change = self.change(practice, &fact.name, None, fact.pcn.clone(), from);
                self.difference.opens.push(change);
            }
        }
    }

    /// The first day of a new row: the file's own, or the snapshot's. The time since a row that
    /// ended before is filled by one that says that nothing is known of it.
    fn begin(&mut self, practice: &OdsCode, fact: &Fact, before: Option<&Held>) -> Date {
        let day = self.snapshot.as_of;
        let ended = before.and_then(|row| row.period.to).and_then(|to| to.tomorrow().ok());
        let from = fact.since.filter(|since| *since <= day && ended.is_none_or(|ended| *since >= ended)).unwrap_or(day);
        if let (Some(row), Some(ended)) = (before, ended.filter(|ended| *ended < from)) {
            let period = Period { from: ended, to: Some(eve(from)) };
            self.fresh.push(Fresh {
                beside: Some(row.at),
                practice: practice.clone(),
                name: row.name.clone(),
                pcn: None,
                period,
                note: "nothing is published of this time".to_owned(),
            });
        }
        from
    }

    /// Practices of the place that a whole snapshot does not have.
    fn absent(&mut self, held: &Histories) {
        let day = self.snapshot.as_of;
        let absent = |practice: &OdsCode| {
            !self.snapshot.practices.contains_key(practice) && !self.snapshot.closed.contains_key(practice)
        };
        let missing: Vec<_> = held.iter().filter(|(practice, _)| self.snapshot.whole && absent(practice)).collect();
        for (practice, rows) in missing {
            let borne_out =
                self.whole_days.iter().find(|whole| **whole > day && rows.iter().any(|row| row.period.holds(**whole)));
            match (rows.iter().find(|row| row.period.holds(day)), borne_out) {
                (Some(_), Some(later)) => self.difference.disputed.push(format!(
                    "{practice} is not in the file of {day}, but its row holds then and the snapshot of {later} has it"
                )),
                (Some(row), None) => self.ends(practice, row, day, None),
                (None, Some(later)) if rows.first().is_some_and(|row| row.period.from == *later) => {
                    let row = &rows[0];
                    let change = self.change(practice, &row.name, None, row.pcn.clone(), *later);
                    self.difference.opens.push(change);
                }
                (None, _) => {}
            }
        }
    }

    /// A practice that the snapshot says is closed.
    fn closed(&mut self, practice: &OdsCode, closed: &Closed, rows: &[Held]) {
        let day = self.snapshot.as_of;
        let on = closed.last.and_then(|last| last.tomorrow().ok()).filter(|on| *on <= day).unwrap_or(day);
        if let Some(row) = rows.last().filter(|row| row.period.to.is_none()) {
            self.ends(practice, row, on.max(row.period.from), closed.successor.clone());
        }
    }

    fn ends(&mut self, practice: &OdsCode, row: &Held, on: Date, successor: Option<OdsCode>) {
        let change = self.change(practice, &row.name, row.pcn.clone(), None, on);
        self.difference.closes.push(Change { successor, ..change });
        if row.period.from >= on {
            self.gone.push(row.at);
        } else {
            self.sheet.set(row.at, "valid_to", &eve(on).to_string());
        }
    }

    fn change(&self, practice: &OdsCode, name: &str, from: Option<String>, to: Option<String>, on: Date) -> Change {
        Change { practice: practice.clone(), name: name.to_owned(), from, to, on, successor: None }
    }

    fn add(&mut self, beside: Option<usize>, practice: &OdsCode, name: &str, pcn: Option<String>, period: Period) {
        let note = format!("{} {}", self.snapshot.form, self.snapshot.as_of);
        self.fresh.push(Fresh { beside, practice: practice.clone(), name: name.to_owned(), pcn, period, note });
    }

    fn finish(mut self, books: &Books) -> Taken {
        let cell = |row: Option<usize>, column: &str| row.map_or("", |row| self.sheet.cell(row, column)).to_owned();
        let rows = self.fresh.iter().map(|fresh| {
            let cells = vec![
                ("ods", fresh.practice.to_string()),
                ("name", fresh.name.clone()),
                ("pcn", fresh.pcn.clone().unwrap_or_default()),
                ("cluster", cell(fresh.beside, "cluster")),
                ("valid_from", fresh.period.from.to_string()),
                ("valid_to", fresh.period.to.map(|to| to.to_string()).unwrap_or_default()),
                ("basis", "published".to_owned()),
                ("note", fresh.note.clone()),
            ];
            (fresh.beside, cells)
        });
        let rows = rows.collect();
        // Those taken out come off before those put in change the lines' places: mark, add, remove.
        for row in &self.gone {
            self.sheet.set(*row, "ods", "");
        }
        self.sheet.add(rows);
        let gone: Vec<usize> = self.sheet.rows().filter(|row| self.sheet.cell(*row, "ods").is_empty()).collect();
        self.sheet.remove(&gone);
        let networks = networks::follow(&books.networks, &self.sheet, self.snapshot, &mut self.difference);
        let mut whole_days = books.whole_days.clone();
        if self.snapshot.whole {
            whole_days.push(self.snapshot.as_of);
            whole_days.sort();
            whole_days.dedup();
        }
        Taken { difference: self.difference, books: Books { practices: self.sheet, networks, whole_days } }
    }
}
