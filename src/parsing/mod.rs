//! Leg 2: bytes to a source tree. Knows formats, not meaning; no I/O.

pub mod message;

use jiff::Timestamp;

use crate::mapping::SourceTree;

/// What the sender wants done with the referral.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Take it, as new or as a newer content of one that is here.
    Take,
    /// Change one that must be here.
    Update,
    /// It is withdrawn, or was never right.
    Cancel,
}

/// Leg 2's result: the source tree, and what can be said of the message without mapping it.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// What the mapping reads.
    pub tree: SourceTree,
    /// What is wanted.
    pub wish: Wish,
    /// The referral's logical id, made from the sender's own key for it.
    pub referral: String,
    /// The logical id by which the sender names a referral that we gave an id.
    pub named: Option<String>,
    /// When the sender wrote it; tells an older message from a newer one.
    pub written_at: Option<Timestamp>,
    /// Entries of a Bundle: `(fullUrl, resource type)`.
    pub entries: Vec<(String, String)>,
    /// What was odd and let pass, in words. No patient data.
    pub findings: Vec<String>,
}
pub mod emis;
