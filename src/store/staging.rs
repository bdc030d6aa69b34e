//! Durable staging of an extract's rows: both halves of a referral wait here for each other, and
//! what they refer to (codes, patients, staff, organisations) is kept as it was last sent.
//!
//! # The contract, which both stores keep
//!
//! - Keys are EMIS's own: record GUID and organisation GUID. Which agreement brought a row is
//!   kept beside it.
//! - A row replaces one of the same key when its version is not older. A version is the batch's
//!   time and the row's ProcessingId as one text that sorts by age.
//! - A candidate is *touched* by a new half, a changed patient, a code that comes late, an
//!   organisation that gets its ODS code. [`Store::settle`] clears that, unless it was touched again.
//! - A deletion keeps what the row said before: only its key can be relied on.
//! - Each call is one transaction.
//!
//! It does not know what a referral is: `intake::emis` decides that.

use jiff::Timestamp;
use uuid::Uuid;

use super::{Store, StoreError};

/// What a candidate can refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A practice's part in a sharing agreement; the scope is the agreement, the key the organisation.
    Agreement,
    /// An organisation; no scope.
    Organisation,
    /// A member of staff; no scope.
    UserInRole,
    /// A code; no scope.
    Code,
    /// A patient; the scope is the organisation.
    Patient,
}

impl Kind {
    /// The number in the store.
    pub const fn number(self) -> i16 {
        match self {
            Self::Agreement => 1,
            Self::Organisation => 2,
            Self::UserInRole => 3,
            Self::Code => 4,
            Self::Patient => 5,
        }
    }
}

/// A row that candidates refer to.
#[derive(Debug, Clone)]
pub struct Reference {
    /// What it is.
    pub kind: Kind,
    /// See [`Kind`]; empty where there is none.
    pub scope: String,
    /// Its key.
    pub key: String,
    /// How new it is.
    pub version: String,
    /// Its cells as a JSON object.
    pub body: String,
    /// `file:line`.
    pub origin: String,
}

/// One half of a candidate.
#[derive(Debug, Clone, Default)]
pub struct Half {
    /// The organisation's GUID.
    pub organisation: String,
    /// The observation's GUID.
    pub observation: String,
    /// The referral form's half; else the observation.
    pub is_referral: bool,
    /// The agreement that brought it.
    pub feed: String,
    /// How new it is.
    pub version: String,
    /// Its cells as a JSON object.
    pub body: String,
    /// `file:line`.
    pub origin: String,
    /// The patient's GUID; the form's is taken until the observation says it.
    pub patient: String,
    /// The CodeId (observation).
    pub code: String,
    /// The clinician's GUID (observation).
    pub clinician: String,
    /// The target organisation's GUID (referral).
    pub target: String,
    /// Deleted at source (observation).
    pub deleted: bool,
    /// Not a referral that concerns us: its key is kept, so that its other half is known for what
    /// it is, and nothing else. An observation that is ignored does not touch the candidate, a form does.
    pub ignored: bool,
}

/// What is here of a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The organisation's GUID.
    pub organisation: String,
    /// The observation's GUID.
    pub observation: String,
    /// What it came to last.
    pub state: State,
    /// The observation is here.
    pub has_observation: bool,
    /// The referral form's half is here.
    pub has_referral: bool,
    /// The form's target organisation, by its GUID.
    pub target: String,
}

/// What a candidate came to when it was last looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum State {
    New,
    Waiting,
    Held,
    Committed,
    Withdrawn,
    Ignored,
}

impl State {
    /// The number in the store.
    pub const fn number(self) -> i16 {
        match self {
            Self::New => 0,
            Self::Waiting => 1,
            Self::Held => 2,
            Self::Committed => 3,
            Self::Withdrawn => 4,
            Self::Ignored => 5,
        }
    }

    /// The state of a number in the store.
    pub const fn of(number: i16) -> Self {
        match number {
            1 => Self::Waiting,
            2 => Self::Held,
            3 => Self::Committed,
            4 => Self::Withdrawn,
            5 => Self::Ignored,
            _ => Self::New,
        }
    }
}

/// A row of a candidate's join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// Its cells as a JSON object.
    pub body: String,
    /// `file:line`.
    pub origin: String,
}

/// A candidate with all that it refers to.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Candidate {
    pub organisation: String,
    pub observation: String,
    pub feed: String,
    /// When it was first staged.
    pub since: Timestamp,
    pub state: State,
    /// Deleted at source.
    pub deleted: bool,
    /// How often it was touched; see [`Settled::touched`].
    pub touched: i64,
    pub obs: Option<Joined>,
    pub referral: Option<Joined>,
    pub code: Option<Joined>,
    pub patient: Option<Joined>,
    pub clinician: Option<Joined>,
    pub org: Option<Joined>,
    pub target: Option<Joined>,
}

/// What a candidate came to.
#[derive(Debug, Clone)]
pub struct Settled {
    /// The organisation's GUID.
    pub organisation: String,
    /// The observation's GUID.
    pub observation: String,
    /// The value in the [`Candidate`] that was looked at.
    pub touched: i64,
    /// What it came to.
    pub state: State,
    /// Keep nothing of it but the key.
    pub forget: bool,
}

/// A row put aside with its practice's batch, until a person has looked.
#[derive(Debug, Clone)]
pub struct Parked {
    /// The hold.
    pub hold: Uuid,
    /// EMIS's name of the table.
    pub table: String,
    /// How new it is.
    pub version: String,
    /// The agreement that brought it.
    pub feed: String,
    /// `file:line`.
    pub origin: String,
    /// Its cells as a JSON object.
    pub body: String,
}

/// A batch that was read: which processing ids of which agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The agreement.
    pub feed: String,
    /// The first processing id.
    pub first: u64,
    /// The last processing id.
    pub last: u64,
}

/// Rows that are here of one practice: what a share of deletions is measured against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PracticeRows {
    /// The organisation's GUID.
    pub organisation: String,
    /// Candidates that are not deleted.
    pub candidates: u64,
    /// Patients in scope.
    pub patients: u64,
}

/// Runs the same call on whichever engine this is.
macro_rules! on {
    ($store:expr, $engine:ident => $call:expr) => {
        match $store {
            Store::Sqlite($engine) => $call,
            Store::Postgres($engine) => $call,
        }
    };
}

impl Store {
    /// Keeps rows that candidates refer to, and touches the candidates of those that changed.
    pub async fn stage_references(&self, rows: Vec<Reference>) -> Result<(), StoreError> {
        on!(self, engine => engine.stage_references(rows).await)
    }

    /// Keeps halves, and touches their candidates. `at` is when they came.
    pub async fn stage_halves(&self, rows: Vec<Half>, at: Timestamp) -> Result<(), StoreError> {
        on!(self, engine => engine.stage_halves(rows, at).await)
    }

    /// Which of these `(organisation, observation)` are here.
    pub async fn known_candidates(&self, keys: Vec<(String, String)>) -> Result<Vec<Known>, StoreError> {
        on!(self, engine => engine.known_candidates(keys).await)
    }

    /// The bodies of these keys of one kind and scope: `(key, body)`; no keys: all of the scope.
    pub async fn references(
        &self,
        kind: Kind,
        scope: &str,
        keys: Vec<String>,
    ) -> Result<Vec<(String, String)>, StoreError> {
        on!(self, engine => engine.references(kind, scope.to_owned(), keys).await)
    }

    /// Touched candidates with all that they refer to, in key order after `after`.
    pub async fn touched_candidates(
        &self,
        after: (String, String),
        count: usize,
    ) -> Result<Vec<Candidate>, StoreError> {
        on!(self, engine => engine.touched_candidates(after, count).await)
    }

    /// One candidate with all that it refers to.
    pub async fn candidate(&self, organisation: &str, observation: &str) -> Result<Option<Candidate>, StoreError> {
        on!(self, engine => engine.candidate(organisation.to_owned(), observation.to_owned()).await)
    }

    /// Writes down what candidates came to.
    pub async fn settle(&self, settled: Vec<Settled>) -> Result<(), StoreError> {
        on!(self, engine => engine.settle(settled).await)
    }

    /// Touches the candidates that wait since before `before`.
    pub async fn touch_waiting(&self, before: Timestamp) -> Result<(), StoreError> {
        on!(self, engine => engine.touch_waiting(before).await)
    }

    /// Rows that are here, by practice.
    pub async fn practice_rows(&self) -> Result<Vec<PracticeRows>, StoreError> {
        on!(self, engine => engine.practice_rows().await)
    }

    /// Puts rows aside. Rows put aside before for the same hold stay.
    pub async fn park(&self, rows: Vec<Parked>) -> Result<(), StoreError> {
        on!(self, engine => engine.park(rows).await)
    }

    /// Rows put aside for a hold, in order after `after`: `(position, row)`.
    pub async fn parked(&self, hold: Uuid, after: i64, count: usize) -> Result<Vec<(i64, Parked)>, StoreError> {
        on!(self, engine => engine.parked(hold, after, count).await)
    }

    /// Forgets the rows put aside for a hold.
    pub async fn unpark(&self, hold: Uuid) -> Result<(), StoreError> {
        on!(self, engine => engine.unpark(hold).await)
    }

    /// Notes a batch and answers all that were noted of its agreement, that one included.
    pub async fn note_batch(&self, batch: Batch) -> Result<Vec<Batch>, StoreError> {
        on!(self, engine => engine.note_batch(batch).await)
    }

    /// Takes, or keeps, the right to ingest until `until`; false while somebody else has it.
    pub async fn take_turn(&self, holder: Uuid, now: Timestamp, until: Timestamp) -> Result<bool, StoreError> {
        on!(self, engine => engine.take_turn(holder, now, until).await)
    }
}
