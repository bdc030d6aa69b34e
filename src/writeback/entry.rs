//! What goes into a GP record, in the words of no route: what every encoder writes, what a preview
//! shows and what read-back compares with.
//!
//! One [`Submission`] is one outbox row: one entry, under one idempotency key. Made from stored
//! resources by `writeback::gather`; an encoder adds nothing to it that it does not say.

use jiff::Timestamp;
use uuid::Uuid;

use crate::fhir::ids::OdsCode;
pub use crate::fhir::observation::Author;

/// One entry on its way to one practice's system.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// The idempotency key: the outbox row's id, the same on every route and every try.
    pub key: Uuid,
    /// The key of the version that this one replaces; `None` for a first version.
    pub replaces: Option<Uuid>,
    /// The practice whose record it goes into.
    pub practice: OdsCode,
    /// Its name.
    pub practice_name: String,
    /// The sending organisation: the gateway's.
    pub sender: OdsCode,
    /// Its name.
    pub sender_name: String,
    /// The person.
    pub person: Person,
    /// System and value of the identifier by which the practice knows the referral.
    pub referral: Option<(String, String)>,
    /// When the outcome was recorded.
    pub recorded: Timestamp,
    /// The entry.
    pub entry: RecordEntry,
}

/// The person whose record it is. Never logged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// NHS number, ten digits.
    pub nhs_number: String,
    /// Family name.
    pub family: String,
    /// Given names, in order.
    pub given: Vec<String>,
    /// Date of birth, `YYYY-MM-DD`.
    pub birth_date: String,
    /// FHIR administrative gender: `male`, `female`, `other`, `unknown`; empty: not said.
    pub gender: String,
}

/// One entry of a GP record.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordEntry {
    /// The Observation's logical id, and the value of its identifier in `fhir::observation::OUTCOME`.
    pub id: String,
    /// Its version, from 1.
    pub version: u32,
    /// `final`, `amended`, `corrected` or `entered-in-error`.
    pub status: String,
    /// `survey` or `social-history`.
    pub category: String,
    /// What it says.
    pub code: Coded,
    /// Its value, where it has one.
    pub value: Option<EntryValue>,
    /// The items of a panel, each with its score as digits.
    pub components: Vec<(Coded, String)>,
    /// When it was so, as a FHIR dateTime.
    pub effective: String,
    /// In plain words, safe to show unless `online` says otherwise.
    pub text: String,
    /// Who says so. Systems that show their own login as the author need it in the text as well.
    pub author: Author,
    /// Whether the person may read it in the NHS App.
    pub online: Online,
}

/// A code with what a practice system may need of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coded {
    /// The system's URI.
    pub system: String,
    /// The code.
    pub code: String,
    /// Its term.
    pub display: String,
    /// The SNOMED CT description id of the term, where it is known.
    pub description_id: Option<String>,
    /// `(scheme, code)` in the practice system's own dictionary, such as `READ2`, where it is known.
    pub local: Option<(String, String)>,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryValue {
    /// A number with its unit's UCUM code and print; digits as text, so that none is lost.
    Quantity {
        /// The digits.
        digits: String,
        /// The unit in print, such as `score`.
        unit: String,
        /// The UCUM code, such as `{score}`.
        ucum: String,
    },
    /// A coded value.
    Coded(Coded),
    /// Words.
    Text(String),
}

/// Whether the person may read an entry online. Redaction works on whole entries, so what must be
/// hidden is an entry of its own.
/// <https://www.england.nhs.uk/long-read/redacting-information-for-online-record-access/>
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Online {
    /// Safe to show.
    #[default]
    Show,
    /// Do not display online. In FHIR: `meta.security` `NOPAT`.
    Hide,
}

/// An entry in the form of one route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The message.
    pub bytes: Vec<u8>,
    /// Its media type.
    pub content_type: &'static str,
    /// The id that acknowledgements will name: an ITK3 `MessageHeader.id`, an HL7 v2 MSH-10. The
    /// same for every try of one submission on one route.
    pub message: String,
    /// The MESH workflow, for what goes by MESH; else empty.
    pub workflow: &'static str,
}

/// Why an entry cannot be put in a route's form. In words, without patient data: a person reads it,
/// and the next route is tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unencodable(pub String);
