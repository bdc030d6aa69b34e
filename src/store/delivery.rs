//! What is on its way out, as a person sees it: a row of the outbox with where it stands.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

/// Where a row of the outbox stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    /// To be sent, or sent again.
    Queued,
    /// The receiver has it.
    Done,
    /// Not tried again unless a person says so.
    GivenUp,
}

impl DeliveryState {
    /// Every state with its word.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::Queued, "queued"), (Self::Done, "done"), (Self::GivenUp, "given-up")];

    /// Its word.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(state, _)| *state == self).map_or("", |(_, word)| word)
    }

    /// The state of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(state, _)| *state)
    }

    /// As the stores keep it.
    pub(super) const fn number(self) -> i16 {
        match self {
            Self::Queued => 0,
            Self::Done => 1,
            Self::GivenUp => 2,
        }
    }

    /// From the stores' number.
    pub(super) fn of(number: i16) -> Option<Self> {
        Self::ALL.iter().map(|(state, _)| *state).find(|state| state.number() == number)
    }
}

/// A row of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its place in the outbox: rows come after each other in this order.
    pub place: u64,
    /// The idempotency key that the receiver sees.
    pub id: Uuid,
    /// The receiver's queue.
    pub queue: String,
    /// The episode: the ServiceRequest's id.
    pub episode: String,
    /// What happened, such as `task.updated`.
    pub event: String,
    /// The resource versions it speaks of: `(type, id, version)`.
    pub resources: Vec<(String, String, u32)>,
    /// When it was committed.
    pub at: Timestamp,
    /// Where it stands.
    pub state: DeliveryState,
    /// When it is next tried, where it is queued.
    pub due: Timestamp,
    /// Tries so far, since it was queued last.
    pub attempts: u32,
    /// Why it is not done, in words without patient data; empty: not tried yet, or done.
    pub why: String,
}
