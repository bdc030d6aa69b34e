//! Where each entry stands on its way into a practice's record, and what each practice's
//! dictionary was seen to lack. What may follow what is `writeback::state`'s to say.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::commit::OutboxRow;
use crate::fhir::ids::OdsCode;

/// The states of a filing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FilingState {
    /// Committed, and nothing has left on the route that it is on.
    Queued,
    /// Left, or may have left; nothing came back.
    Sent,
    /// The practice's system has the message (infrastructure acknowledgement).
    Received,
    /// It found the person.
    PatientMatched,
    /// A person at the practice must accept it.
    AwaitingPractice,
    /// In the record, coded. An end.
    Filed,
    /// In the record as text only: the practice's dictionary lacks the code, or the route carries
    /// none. An end, and somebody is told.
    FiledWithoutCode,
    /// Refused on every route that was tried. An end, unless a person sends it again.
    Rejected,
    /// A later version took its place. An end.
    Superseded,
    /// Nobody but a person can say or do more.
    NeedsPerson,
}

impl FilingState {
    /// All of them, with their words.
    pub const ALL: [(Self, &'static str); 10] = [
        (Self::Queued, "queued"),
        (Self::Sent, "sent"),
        (Self::Received, "received"),
        (Self::PatientMatched, "patient-matched"),
        (Self::AwaitingPractice, "awaiting-practice"),
        (Self::Filed, "filed"),
        (Self::FiledWithoutCode, "filed-without-code"),
        (Self::Rejected, "rejected"),
        (Self::Superseded, "superseded"),
        (Self::NeedsPerson, "needs-person"),
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(state, _)| *state == self).map_or("", |(_, word)| word)
    }

    /// The state that a word names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(state, _)| *state)
    }

    /// True when the practice's record has it, coded or not, or a later version of it.
    pub fn is_in_record(self) -> bool {
        matches!(self, Self::Filed | Self::FiledWithoutCode | Self::Superseded)
    }

    /// True while somebody - a runner, the practice - may still move it without a person's word.
    pub fn is_moving(self) -> bool {
        matches!(self, Self::Queued | Self::Sent | Self::Received | Self::PatientMatched | Self::AwaitingPractice)
    }
}

/// One version of one entry on its way to one practice. Its id is the outbox row's: the
/// idempotency key on every route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Filing {
    /// The outbox row's id.
    pub id: Uuid,
    /// The version of this row that this makes, from 1. The stored one must be `version - 1`, else
    /// the commit is [`super::StoreError::Stale`]; a first version that is there already is left.
    pub version: u32,
    /// The ServiceRequest id.
    pub episode: String,
    /// The practice whose record it goes into.
    pub practice: OdsCode,
    /// The event, such as `outcome.closed`.
    pub event: String,
    /// Kind, id and version of the resource.
    pub resource: (String, String, u32),
    /// Where it stands.
    pub state: FilingState,
    /// The route that it is on; empty before the first try.
    pub route: String,
    /// Routes that are over, in order.
    pub tried: Vec<String>,
    /// `(route, id that acknowledgements name)` of each message sent, newest last.
    pub messages: Vec<(String, String)>,
    /// The ids of the acknowledgements that were taken.
    pub acknowledgements: Vec<String>,
    /// In this state since.
    pub since: Timestamp,
    /// When somebody is told that an acknowledgement is missing.
    pub deadline: Option<Timestamp>,
    /// When it is next looked at without being asked; `None`: never.
    pub look_at: Option<Timestamp>,
    /// True once the deadline passed and somebody was told.
    pub overdue: bool,
    /// Why it stands there, in words without patient data.
    pub why: String,
    /// What read-back showed: `coded`, `text-only`, `not-found`; empty: not read back.
    pub read_back: String,
}

impl Filing {
    /// The filing of a new outbox row; `None` for a row that is no write-back of one resource.
    pub fn queued(row: &OutboxRow) -> Option<Self> {
        let practice = OdsCode::parse(row.queue.strip_prefix("writeback:")?).ok()?;
        let [resource] = row.resources.as_slice() else { return None };
        Some(Self {
            id: row.id,
            version: 1,
            episode: row.episode.clone(),
            practice,
            event: row.event.clone(),
            resource: resource.clone(),
            state: FilingState::Queued,
            route: String::new(),
            tried: Vec::new(),
            messages: Vec::new(),
            acknowledgements: Vec::new(),
            since: row.at,
            deadline: None,
            look_at: None,
            overdue: false,
            why: String::new(),
            read_back: String::new(),
        })
    }
}

/// Which filings to list. Every bound that is empty or `None` holds for all.
#[derive(Debug, Clone, Default)]
pub struct FilingSearch {
    /// One practice's.
    pub practice: Option<String>,
    /// In one state.
    pub state: Option<FilingState>,
    /// Overdue ones only.
    pub overdue: bool,
    /// Of one resource, any version.
    pub resource: Option<(String, String)>,
    /// Only those that come after the one that was in its state since then, with that id.
    pub after: Option<(Timestamp, Uuid)>,
    /// At most this many, oldest state first.
    pub count: usize,
}

/// A row of the outbox to be sent again: one that was done or given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requeue {
    /// The row.
    pub id: Uuid,
    /// When.
    pub due: Timestamp,
    /// Why, in words without patient data: shown until the next try.
    pub why: String,
}

/// What one practice's dictionary did with one code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DictionaryRow {
    /// The practice.
    pub practice: OdsCode,
    /// The code's system.
    pub system: String,
    /// The code.
    pub code: String,
    /// True when the entry came back with a code, false when only its text was kept.
    pub kept: bool,
    /// Scheme and code of the practice system's own, where it showed one; else empty.
    pub local: (String, String),
    /// When it was last seen.
    pub seen_at: Timestamp,
}
