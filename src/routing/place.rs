//! A place: its networks, practices, pools, link workers and rules, read from `config/<place>/`.
//!
//! What each file and column means stands in `config/README.md`. Rows are in force from
//! `valid_from` to `valid_to`, both days included. Takes texts: reading files is the caller's.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::check;
use super::clocks::Clocks;
pub use super::files::{FILES, OPTIONAL, PlaceFiles};
use super::index::Index;
use super::people::{Absence, Venue, Worker};
pub use super::read::PLACE_KEYS;
use super::rows::Period;
use super::rules::Rule;
use super::{read, rules};
use crate::config::Fault;
use crate::fhir::ids::OdsCode;

/// One place's reference data and rules. The rows cannot be changed: [`Place::with_overlay`]
/// makes another place, checked whole.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// The folder's name.
    pub id: String,
    /// The place's name.
    pub name: String,
    /// Organisations whose incoming referrals are social prescribing.
    pub recipients: Vec<OdsCode>,
    /// Where restricted and sensitive people's referrals go.
    pub restricted: Desk,
    /// Where referrals go that no pool can take.
    pub unallocated: Desk,
    /// The year's figures.
    pub capacity: Capacity,
    /// What rehearsals tell about fairness.
    pub equity: Equity,
    /// True when the rules may ask for the outward part of the postcode.
    pub districts: bool,
    /// Reminders, escalation and return.
    pub clocks: Clocks,
    /// SHA-256 of the files, first 12 hex digits.
    pub version: String,
    pub(super) rows: Tables,
    pub(super) index: Index,
}

/// The rows of all files, each table in the order of its keys and dates.
#[derive(Debug, Clone, Default)]
pub(super) struct Tables {
    pub desks: Vec<Desk>,
    pub networks: Vec<Network>,
    pub practices: Vec<Practice>,
    pub pools: Vec<Pool>,
    pub workers: Vec<Worker>,
    pub absences: Vec<Absence>,
    pub venues: Vec<Venue>,
    pub rules: Vec<Rule>,
}

/// People a full-time link worker sees in a year, and the weeks that an episode stays open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capacity {
    /// People in a year.
    pub yearly_per_fte: u32,
    /// Weeks.
    pub weeks_open: u32,
    /// Fewest contacts that a person has, for rehearsals; the national guidance's where not said.
    pub contacts_min: u32,
    /// Most contacts.
    pub contacts_max: u32,
}

/// What rehearsals tell about fairness.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Equity {
    /// A file of postcodes and their 2021 LSOAs; empty: no deciles.
    pub postcode_file: String,
    /// A file of LSOAs and their deciles of deprivation.
    pub decile_file: String,
    /// The release of the deciles, such as `IoD 2025`.
    pub release: String,
    /// Groups smaller than this are hidden; 0: not said.
    pub hide_below: u32,
}

impl Capacity {
    /// Open episodes that so many hundredths of full-time have room for.
    pub fn room(&self, fte_hundredths: u32) -> u64 {
        u64::from(fte_hundredths) * u64::from(self.yearly_per_fte) * u64::from(self.weeks_open) / (100 * 52)
    }
}

/// A named queue that is no network's, with somebody who looks after it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Desk {
    /// What rules call it: `restricted`, `unallocated`, or the NAME of `[desks.NAME]`.
    pub key: String,
    /// Its id as a pool.
    pub pool: String,
    /// Its name.
    pub name: String,
    /// Who looks after it.
    pub owner: String,
    /// Hours within which the owner acts; 0: not set.
    pub clock_hours: u32,
    /// The line in `place.toml` on which it begins.
    pub line: usize,
}

/// A Primary Care Network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Its ODS code, or an invented one.
    pub code: String,
    /// Its name.
    pub name: String,
    /// When this row is in force.
    pub period: Period,
    /// Its line.
    pub line: usize,
}

/// A practice's time in a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Practice {
    /// Its ODS code.
    pub ods: OdsCode,
    /// Its name.
    pub name: String,
    /// The network; `None`: known to be in none.
    pub pcn: Option<String>,
    /// The place's own grouping of practices, where it has one.
    pub cluster: Option<String>,
    /// When this row is in force.
    pub period: Period,
    /// Its line.
    pub line: usize,
}

/// Whose referrals a pool takes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Serves {
    /// A network's, by its code.
    Pcn(String),
    /// A cluster's, by its name.
    Cluster(String),
    /// The whole place's.
    Place,
}

/// The link workers who take referrals for a network, a cluster or the place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whose referrals it takes; nobody's own: only those that a rule, cover or overflow brings.
    pub serves: Vec<Serves>,
    /// The organisation that employs the link workers.
    pub employer: String,
    /// The employer's ODS code, or an invented one.
    pub employer_code: OdsCode,
    /// Open episodes that it never goes over; `None`: only the soft room of the year's figures.
    pub limit: Option<u32>,
    /// Pools that take what this one has no room for, first choice first; each consents.
    pub overflow: Vec<String>,
    /// Pools whose overflow this one consents to take.
    pub takes_overflow_from: Vec<String>,
    /// Pools that stand in when nobody suitable is at work here, nearest first.
    pub cover: Vec<String>,
    /// True when it works with interpreters (a language line).
    pub interpreter: bool,
    /// Working days to the first contact; `None`: no clock.
    pub first_contact_days: Option<u32>,
    /// False: takes no new referrals.
    pub open: bool,
    /// When this row is in force.
    pub period: Period,
    /// Its line; 0 when it came by FHIR.
    pub line: usize,
}

impl Place {
    /// Reads and checks a place.
    ///
    /// # Errors
    /// Every fault in its files.
    pub fn load(name: &str, files: &PlaceFiles) -> Result<Self, Vec<Fault>> {
        let (place, faults) = Self::survey(name, files);
        if faults.is_empty() { Ok(place) } else { Err(faults) }
    }

    /// All faults of a place, and what can be made of the rest: enough to check other files
    /// against. Only [`Place::load`]'s result may be routed by.
    pub fn survey(name: &str, files: &PlaceFiles) -> (Self, Vec<Fault>) {
        let mut faults = Vec::new();
        for file in FILES.iter().filter(|file| !OPTIONAL.contains(file) && !files.texts.contains_key(**file)) {
            faults.push(Fault { file: files.path(file), line: 1, text: "the file is missing".into() });
        }
        let mut place = read::place(files, &mut faults);
        place.id = name.to_owned();
        place.version = files.version();
        read::tables(files, &mut place.rows, &mut faults);
        place.rows.rules = rules::read(files, &mut faults);
        place.settle(&|file| files.path(file), &mut faults);
        (place, faults)
    }

    /// Sorts the rows, indexes them and adds what they get wrong of each other.
    pub(super) fn settle(&mut self, path: &dyn Fn(&str) -> String, faults: &mut Vec<Fault>) {
        let rows = &mut self.rows;
        rows.networks.sort_by(|a, b| (&a.code, a.period.from, a.line).cmp(&(&b.code, b.period.from, b.line)));
        rows.practices.sort_by(|a, b| (&a.ods, a.period.from, a.line).cmp(&(&b.ods, b.period.from, b.line)));
        rows.pools.sort_by(|a, b| (&a.id, a.period.from, a.line).cmp(&(&b.id, b.period.from, b.line)));
        rows.workers.sort_by(|a, b| (&a.id, &a.pool, a.period.from).cmp(&(&b.id, &b.pool, b.period.from)));
        rows.absences.sort_by(|a, b| (&a.worker, a.period.from).cmp(&(&b.worker, b.period.from)));
        rows.venues.sort_by(|a, b| (&a.id, a.period.from).cmp(&(&b.id, b.period.from)));
        self.index = Index::of(&self.rows);
        check::between(self, path, faults);
        faults.sort();
        faults.dedup();
    }

    /// Networks, by code; one code may have several rows, one after the other in time.
    pub fn networks(&self) -> &[Network] {
        &self.rows.networks
    }

    /// Practices and the networks that they were and are in.
    pub fn practices(&self) -> &[Practice] {
        &self.rows.practices
    }

    /// Pools, by id; one id may have several rows, one after the other in time.
    pub fn pools(&self) -> &[Pool] {
        &self.rows.pools
    }

    /// Link workers, by id; one id may have several rows.
    pub fn workers(&self) -> &[Worker] {
        &self.rows.workers
    }

    /// Absences, by link worker and date.
    pub fn absences(&self) -> &[Absence] {
        &self.rows.absences
    }

    /// Places where pools see people, by id.
    pub fn venues(&self) -> &[Venue] {
        &self.rows.venues
    }

    /// The rules, in their order.
    pub fn rules(&self) -> &[Rule] {
        &self.rows.rules
    }

    /// All desks: the restricted one, the unallocated one, then the place's own.
    pub fn desks(&self) -> impl Iterator<Item = &Desk> {
        [&self.restricted, &self.unallocated].into_iter().chain(&self.rows.desks)
    }

    /// The desk that is this pool.
    pub fn desk(&self, pool: &str) -> Option<&Desk> {
        self.desks().find(|desk| desk.pool == pool)
    }

    /// A practice as it stands on a day; `None`: this place does not know it.
    pub fn practice(&self, ods: &OdsCode, on: Date) -> Option<&Practice> {
        self.practice_row(ods, on).map(|row| &self.rows.practices[row])
    }

    /// The row of a practice on a day.
    pub(super) fn practice_row(&self, ods: &OdsCode, on: Date) -> Option<usize> {
        let mut rows = self.index.practices.get(ods)?.own.range();
        rows.find(|row| self.rows.practices[*row].period.holds(on))
    }

    /// A network as it stands on a day.
    pub fn network(&self, code: &str, on: Date) -> Option<&Network> {
        let rows = &self.rows.networks[self.index.networks.get(code)?.clone()];
        rows.iter().find(|network| network.period.holds(on))
    }

    /// A pool by its id: the row in force on that day, or else the latest one. No desk.
    pub fn pool(&self, id: &str, on: Date) -> Option<&Pool> {
        let rows = &self.rows.pools[self.index.pools.get(id)?.clone()];
        rows.iter().find(|pool| pool.period.holds(on)).or_else(|| rows.last())
    }

    /// True for every id that a referral can be routed to.
    pub fn knows_pool(&self, id: &str) -> bool {
        self.index.pools.contains_key(id) || self.desk(id).is_some()
    }

    /// The name of a pool, desk included: the latest one.
    pub fn pool_name(&self, id: &str) -> Option<&str> {
        if let Some(desk) = self.desk(id) {
            return Some(&desk.name);
        }
        self.rows.pools[self.index.pools.get(id)?.clone()].last().map(|pool| pool.name.as_str())
    }

    /// Working days to a pool's first contact on a day; `None`: a desk, or no clock is set.
    pub fn first_contact_days(&self, pool: &str, on: Date) -> Option<u32> {
        self.pool(pool, on)?.first_contact_days
    }

    /// A link worker by id: a row in force on that day, or else the latest one.
    pub fn worker(&self, id: &str, on: Date) -> Option<&Worker> {
        let rows = &self.rows.workers[self.index.workers.get(id)?.clone()];
        rows.iter().find(|row| row.period.holds(on)).or_else(|| rows.iter().max_by_key(|row| row.period.from))
    }

    /// The pools for which a link worker works on a day, by id.
    pub fn pools_of(&self, worker: &str, on: Date) -> Vec<&str> {
        let rows = self.index.workers.get(worker).cloned().unwrap_or(0..0);
        let rows = self.rows.workers[rows].iter().filter(|row| row.period.holds(on));
        rows.map(|row| row.pool.as_str()).collect()
    }

    /// The link workers of a pool who are in force on a day, by id, each with whether they are
    /// at work (not absent).
    pub fn crew(&self, pool: &str, on: Date) -> impl Iterator<Item = (&Worker, bool)> {
        let row = self.index.pools.get(pool).map(|rows| rows.start);
        let all = row.into_iter().flat_map(|row| self.index.crews.rows(row, &self.rows.workers));
        let in_force = all.filter(move |(worker, _)| worker.period.holds(on));
        in_force.map(move |(worker, away)| (worker, !away.iter().any(|period| period.holds(on))))
    }

    /// Hundredths of full-time at work in a pool on a day.
    pub fn fte_present(&self, pool: &str, on: Date) -> u32 {
        self.crew(pool, on).filter(|(_, here)| *here).map(|(worker, _)| worker.fte_hundredths).sum()
    }

    /// Open episodes that a pool has room for on a day, by who is at work and the year's figures.
    pub fn room(&self, pool: &str, on: Date) -> u64 {
        self.capacity.room(self.fte_present(pool, on))
    }

    /// The pools in force on a day that serve a network, a cluster or the place, by id; open or not.
    pub fn pools_serving(&self, serves: &Serves, on: Date) -> impl Iterator<Item = &Pool> {
        let rows = self.index.serving(serves).iter().map(|row| &self.rows.pools[*row as usize]);
        rows.filter(move |pool| pool.period.holds(on))
    }
}
