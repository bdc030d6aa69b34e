//! What a practice's system says of a message that it was sent, in the words of no route.

use jiff::Timestamp;

/// One acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The id of the message that it answers: `Encoded::message`.
    pub message: String,
    /// How far the message had come.
    pub stage: Stage,
    /// What is said of it.
    pub verdict: Verdict,
    /// `(code, display)` of the response codes that came with it, ITK-ResponseCodes-1 where it is ITK3.
    pub codes: Vec<(String, String)>,
    /// The acknowledgement's own id: a second one with the same id changes nothing.
    pub id: String,
    /// When it was received.
    pub at: Timestamp,
}

/// How far the message had come when it was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It is sound: an infrastructure acknowledgement.
    Infrastructure,
    /// The person was matched and the practice dealt with it: a business acknowledgement.
    Business,
    /// The carrier could not hand it over: a MESH REPORT.
    Carrier,
}

/// What is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Good.
    Accepted,
    /// Not now; sending it again may help.
    Transient,
    /// Never in this form.
    Refused,
}
