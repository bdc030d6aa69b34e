//! What routing decides on, how busy everyone is, and the decision as it is kept and shown.

use std::borrow::Cow;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::table::Table;
use crate::fhir::ids::OdsCode;

/// What routing decides on. Kept with the decision; holds no name, no NHS number and no address
/// finer than a postcode district. Everything absent means: not said.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub struct RouteInput {
    /// The practice where the person is registered (the referring practice, when that is not
    /// known). `None` in the kept decision of a restricted person.
    pub practice: Option<OdsCode>,
    /// The date of the decision in England, which picks the reference data in force.
    pub on: Date,
    /// Restricted or sensitive: never by location, to the named restricted queue.
    #[serde(default)]
    pub restricted: bool,
    /// The referrer raised a safeguarding concern.
    #[serde(default)]
    pub safeguarding: bool,
    /// Who refers.
    #[serde(default)]
    pub source: Source,
    /// The outward part of the postcode, such as `PE37`; only where the place's rules ask for it.
    #[serde(default)]
    pub district: Option<String>,
    /// Age in years on `on`.
    #[serde(default)]
    pub age: Option<u8>,
    /// Needs by SNOMED CT id.
    #[serde(default)]
    pub needs: Vec<String>,
    /// The language in which the person wants to be seen, ISO 639 code, such as `ur`; `None`:
    /// English, or not said.
    #[serde(default)]
    pub language: Option<String>,
    /// An interpreter will do.
    #[serde(default)]
    pub interpreter: bool,
    /// The sex of link worker that the person asked for.
    #[serde(default)]
    pub worker_sex: Option<Sex>,
    /// The person must be seen at home.
    #[serde(default)]
    pub home_visit: bool,
    /// The person needs a step-free place.
    #[serde(default)]
    pub accessible: bool,
    /// Days on which the person can be seen; empty: any.
    #[serde(default)]
    pub days: Vec<Day>,
    /// Only from 17:00 on.
    #[serde(default)]
    pub evening: bool,
    /// Skills that the referral asks for, by the place's words, such as `debt`, `carers`.
    #[serde(default)]
    pub specialisms: Vec<String>,
    /// Who saw the person in an earlier episode: `(pool, link worker)`.
    #[serde(default)]
    pub previous: Option<(String, Option<String>)>,
    /// Pools that must not get it: they handed it back.
    #[serde(default)]
    pub not: Vec<String>,
}

impl RouteInput {
    /// A person of a practice of whom nothing else is said.
    pub fn at(practice: OdsCode, on: Date) -> Self {
        Self {
            practice: Some(practice),
            on,
            restricted: false,
            safeguarding: false,
            source: Source::default(),
            district: None,
            age: None,
            needs: Vec::new(),
            language: None,
            interpreter: false,
            worker_sex: None,
            home_visit: false,
            accessible: false,
            days: Vec::new(),
            evening: false,
            specialisms: Vec::new(),
            previous: None,
            not: Vec::new(),
        }
    }
}

/// Who refers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// General practice.
    #[default]
    GeneralPractice,
    /// A mental health trust.
    MentalHealth,
    /// The person, or a carer or relative.
    SelfReferral,
    /// A council, a charity, any other agency.
    Agency,
}

/// The sex of a link worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Sex {
    Female,
    Male,
}

/// A day of the week, by FHIR's codes. <https://hl7.org/fhir/R4/valueset-days-of-week.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    /// The week.
    pub const ALL: [Self; 7] = [Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri, Self::Sat, Self::Sun];

    /// Reads a day by its code, `mon`.
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|day| day.code() == code)
    }

    /// The day of a date.
    pub fn of(date: Date) -> Self {
        Self::ALL[date.weekday().to_monday_zero_offset().unsigned_abs() as usize % Self::ALL.len()]
    }

    /// FHIR's code, `mon`.
    pub fn code(self) -> &'static str {
        ["mon", "tue", "wed", "thu", "fri", "sat", "sun"][self as usize]
    }

    /// Its English name, `Monday`.
    pub fn name(self) -> &'static str {
        ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"][self as usize]
    }
}

/// How busy everyone is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loads {
    /// Open episodes of each pool, by its id.
    pub pools: Table<String, u64>,
    /// Open episodes of each link worker, by their id, where the pool has said who has them.
    pub workers: Table<String, u64>,
    /// Days that people wait at each pool for their first contact, where somebody measures it.
    pub waiting_days: Table<String, u32>,
}

impl Loads {
    /// Open episodes of a pool.
    pub fn pool(&self, id: &str) -> u64 {
        self.pools.get(id).copied().unwrap_or(0)
    }

    /// Open episodes of a link worker.
    pub fn worker(&self, id: &str) -> u64 {
        self.workers.get(id).copied().unwrap_or(0)
    }
}

impl<const N: usize> From<[(&str, u64); N]> for Loads {
    fn from(pools: [(&str, u64); N]) -> Self {
        Self { pools: pools.map(|(id, open)| (id.to_owned(), open)).into_iter().collect(), ..Self::default() }
    }
}

/// Where a referral goes, and why. Stored with the referral in its Provenance and shown by
/// `route explain`.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub struct Decision {
    /// The pool's id.
    pub pool: String,
    /// The pool's name.
    pub pool_name: String,
    /// The PCN, where there is one.
    pub pcn: Option<String>,
    /// The rule that applied, by its name; empty for the laws before all rules and for a decision by hand.
    #[serde(default)]
    pub rule: String,
    /// The link worker suggested: in work, of the sex and with the languages and skills asked for.
    #[serde(default)]
    pub worker: Option<String>,
    /// Set when a person decided.
    #[serde(default)]
    pub by_hand: Option<ByHand>,
    /// What was decided on.
    pub input: RouteInput,
    /// Why, a sentence a step, in words that a receptionist understands.
    pub reasons: Vec<String>,
    /// Candidates that were not chosen, `(pool or pool/worker, why not)`.
    pub passed_over: Vec<(String, Cow<'static, str>)>,
    /// Open episodes of every pool that was weighed, as they were: `(pool, open episodes)`, by id.
    /// A rehearsal goes by them.
    #[serde(default)]
    pub seen: Vec<(String, u64)>,
    /// Version (SHA-256, first 12 hex digits) of the place's files: reference data, pools and rules.
    pub version: String,
}

/// A decision that a person made.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct ByHand {
    /// The client whose person decided.
    pub client: String,
    /// The pool that had it before.
    pub from: String,
    /// Why, in the person's words without patient data.
    pub reason: String,
}
