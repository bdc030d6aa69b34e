//! What of a person's outcomes goes into their GP record: their choice, recorded by the pool on
//! the Task in the extension `gp-record-share`, else the place's (`outcome.share`).
//!
//! A change affects later entries only. What is not filed is kept here all the same, and seen by
//! those who see the referral. With `nothing` no entry is sent at an episode's end, so the ledger
//! closes with the Task, when all that was sent before is acknowledged.

use serde_json::Value;

use super::entries::Needs;
use crate::fhir::episode::SHARE;
use crate::fhir::extension;
use crate::rejection::Rejection;

/// The choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Share {
    /// No entry.
    Nothing,
    /// Codes and numbers without words.
    Codes,
    /// All.
    All,
}

impl Share {
    /// The choice that a word names.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "nothing" => Some(Self::Nothing),
            "codes" => Some(Self::Codes),
            "all" => Some(Self::All),
            _ => None,
        }
    }

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Codes => "codes",
            Self::All => "all",
        }
    }

    /// The choice on a Task, else `default`.
    ///
    /// # Errors
    /// 422 at `Task.extension` for a word that is none.
    pub fn of(task: &Value, default: Self) -> Result<Self, Rejection> {
        match extension(task, SHARE) {
            None => Ok(default),
            Some(said) => said["valueCode"].as_str().and_then(Self::parse).ok_or_else(|| {
                super::check::refused("Task", "extension", format!("{SHARE} is all, codes or nothing, as valueCode"))
            }),
        }
    }

    /// True when an entry that needs so much is filed.
    pub fn files(self, needs: Needs) -> bool {
        match needs {
            Needs::Codes => self >= Self::Codes,
            Needs::All => self == Self::All,
            Needs::Never => false,
        }
    }
}
