//! What a published snapshot changes in a place, and the place's files with it put in.
//!
//! A place's rows are periods, so a snapshot of one day is put in at its day whether it is later or
//! earlier than what is known, and takes nothing away that is known of other days:
//!
//! - A later snapshot ends rows the day before it (or before the day that the file itself gives)
//!   and begins new ones.
//! - An earlier one fills the time before the first row. What it says is compared with the next
//!   whole snapshot that was taken in, so the moves, closures and openings are those between the two.
//! - What a row says of a day on which a whole snapshot says otherwise, while a later snapshot bears
//!   the row out, is disputed: it is told, and left for a person.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde::Serialize;

use super::sheet::Sheet;
use super::{Fact, Snapshot};
use crate::fhir::ids::OdsCode;
use crate::routing::Period;

mod apply;
mod networks;

pub use apply::{Books, Taken};

/// Which of a snapshot's practices belong to the place. What the place knows already always does.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Practices of these networks; empty: of any.
    pub networks: BTreeSet<String>,
    /// Practices of this commissioner (sub-ICB location or CCG); empty: of any.
    pub commissioner: String,
    /// Only practices and networks that the place knows.
    pub known_only: bool,
}

impl Scope {
    /// True when a practice that the place does not know is to be taken in.
    fn takes(&self, fact: &Fact, known: &BTreeSet<String>) -> bool {
        let of = |set: &BTreeSet<String>| fact.pcn.as_ref().is_some_and(|code| set.contains(code));
        let network = self.networks.is_empty() || of(&self.networks);
        let commissioner = self.commissioner.is_empty() || fact.commissioner == self.commissioner;
        network && commissioner && (!self.known_only || of(known))
    }
}

/// One practice's change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Change {
    /// The practice.
    pub practice: OdsCode,
    /// Its name.
    pub name: String,
    /// The network before; `None`: in none, or not open.
    pub from: Option<String>,
    /// The network after; `None`: in none, or closed.
    pub to: Option<String>,
    /// The first day on which it is so.
    pub on: Date,
    /// The practice that takes over, where it closes and the file says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successor: Option<OdsCode>,
}

/// All that a snapshot changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The form of the file.
    pub form: &'static str,
    /// The day that it speaks of.
    pub as_of: Date,
    /// The later snapshot that it was compared with, where it is earlier than what is known.
    pub before: Option<Date>,
    /// Practices in it that belong to the place.
    pub practices: usize,
    /// Networks in it that belong to the place.
    pub networks: usize,
    /// Practices that open.
    pub opens: Vec<Change>,
    /// Practices that close.
    pub closes: Vec<Change>,
    /// Practices that move from one network to another, into one or out of all.
    pub moves: Vec<Change>,
    /// Practices in no network on that day.
    pub unallocated: Vec<Change>,
    /// Practices whose published name is not the place's; the place's is kept.
    pub names: Vec<(OdsCode, String, String)>,
    /// Networks that are new to the place, `(code, name)`.
    pub networks_new: Vec<(String, String)>,
    /// Networks that no practice is in any more, `(code, name)`.
    pub networks_ended: Vec<(String, String)>,
    /// What the place's rows and the file say differently while a later snapshot bears the rows out.
    pub disputed: Vec<String>,
    /// Practices of which only the first known day changes.
    pub known_earlier: usize,
}

impl Difference {
    /// True when nothing changes.
    pub fn is_empty(&self) -> bool {
        self.opens.is_empty()
            && self.closes.is_empty()
            && self.moves.is_empty()
            && self.networks_new.is_empty()
            && self.networks_ended.is_empty()
            && self.known_earlier == 0
    }
}

/// A practice's row as it stands in the file.
#[derive(Debug, Clone)]
struct Held {
    at: usize,
    name: String,
    pcn: Option<String>,
    period: Period,
}

/// A practice's rows, in order of time.
type Histories = BTreeMap<OdsCode, Vec<Held>>;

fn histories(sheet: &Sheet) -> Histories {
    let mut all = Histories::new();
    for at in sheet.rows() {
        let date = |column: &str| sheet.cell(at, column).parse::<Date>().ok();
        let (Ok(ods), Some(from)) = (OdsCode::parse(sheet.cell(at, "ods")), date("valid_from")) else { continue };
        let pcn = Some(sheet.cell(at, "pcn").to_owned()).filter(|code| !code.is_empty());
        let period = Period { from, to: date("valid_to") };
        all.entry(ods).or_default().push(Held { at, name: sheet.cell(at, "name").to_owned(), pcn, period });
    }
    for rows in all.values_mut() {
        rows.sort_by_key(|row| row.period.from);
    }
    all
}

/// Names compared without case, punctuation and the words that come and go.
fn same_name(a: &str, b: &str) -> bool {
    let plain = |text: &str| -> String {
        text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>()
    };
    plain(a) == plain(b)
}

/// The day before.
fn eve(day: Date) -> Date {
    day.yesterday().unwrap_or(day)
}

/// What a snapshot changes in a place, and its files afterwards.
pub fn compare(books: &Books, snapshot: &Snapshot, scope: &Scope) -> Taken {
    apply::take(books, snapshot, scope)
}
