//! Where one entry stands on its way into the record, and what may follow.

use serde::{Deserialize, Serialize};

/// The states of a filing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FilingState {
    /// Committed, not sent.
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
    /// In the record as text only: the practice's dictionary lacks the code. An end, and somebody
    /// is told.
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
}
