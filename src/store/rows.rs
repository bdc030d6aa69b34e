//! How the contract's values are written as columns: the words, lists and instants that both
//! engines keep alike, so that a store can be read by a person and moved between engines.
//! Pure; knows no SQL.

use jiff::Timestamp;

use super::StoreError;
use super::commit::{Ignored, IndexRow, LedgerState};
use super::delivery::DeliveryState;
use super::filing::FilingState;
use crate::audit::Entry;
use crate::fhir::ids::OdsCode;

/// An audit entry's reference to a patient.
pub(super) const ROLE_PATIENT: i16 = 1;
/// An audit entry's reference to any other resource, without its version.
pub(super) const ROLE_ENTITY: i16 = 2;
/// A checkpoint is kept at each multiple of this many entries, and at the newest size.
pub(super) const CHECKPOINT_EVERY: u64 = 1000;
/// Greatest text of valid Unicode that begins with a prefix: the prefix and this.
pub(super) const LAST_CHARACTER: char = '\u{10FFFF}';

/// Bytes of an index row's value, or of an audit entry's reference, that are kept and compared.
/// A b-tree page must hold several.
pub(super) const VALUE_BYTES_MAX: usize = 1024;
/// Bytes of an index row's system that are kept and compared.
pub(super) const EXTRA_BYTES_MAX: usize = 512;

/// Bytes of a search's prefix that are compared: room is left for [`LAST_CHARACTER`].
pub(super) const PREFIX_BYTES_MAX: usize = VALUE_BYTES_MAX - 4;

/// The part of a text that an index keeps: no NUL (PostgreSQL has none in texts), at most `max`
/// bytes. Rows and searches are clipped alike, so what is too long is still found.
pub(super) fn clip(text: &str, max: usize) -> String {
    let end = (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text[..end].replace('\0', "\u{FFFD}")
}

/// A text as PostgreSQL can keep it: it has no NUL.
pub(super) fn text(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{FFFD}").into() } else { text.into() }
}

/// A door key as it is kept: one too long for an index is kept as its digest.
pub(super) fn door_key(key: &str) -> String {
    if key.len() <= VALUE_BYTES_MAX && !key.contains('\0') {
        return key.to_owned();
    }
    format!("sha256:{}", super::commit::digest(key.as_bytes()))
}

/// Microseconds since 1970, as instants are stored.
pub(super) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// The instant of a stored number of microseconds.
pub(super) fn instant(micros: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(micros).map_err(|_| damaged("an instant"))
}

/// The instants from the beginning of a UTC date to its end.
pub(super) fn day_bounds(day: &str) -> Result<(Timestamp, Timestamp), StoreError> {
    let fault = || StoreError::Engine("a day is written YYYY-MM-DD".into());
    let date: jiff::civil::Date = day.parse().map_err(|_| fault())?;
    let at = |date: jiff::civil::Date| date.to_zoned(jiff::tz::TimeZone::UTC).map(|zoned| zoned.timestamp());
    let next = date.tomorrow().map_err(|_| fault())?;
    Ok((at(date).map_err(|_| fault())?, at(next).map_err(|_| fault())?))
}

/// A day as it is stored: `2026-01-31`; empty: none.
pub(super) fn day(day: Option<jiff::civil::Date>) -> String {
    day.map(|day| day.to_string()).unwrap_or_default()
}

/// A row of the ignored candidates' counts.
pub(super) fn ignored(practice: &str, day: &str, reason: String, count: i64) -> Result<Ignored, StoreError> {
    let practice = OdsCode::parse(practice).map_err(|_| damaged("an ODS code"))?;
    let day = Some(day).filter(|day| !day.is_empty()).map(str::parse).transpose();
    Ok(Ignored { practice, day: day.map_err(|_| damaged("a day"))?, reason, count: count.unsigned_abs() })
}

/// A stored value that is not what was written: the store's files were changed or are damaged.
pub(super) fn damaged(what: &str) -> StoreError {
    StoreError::Engine(format!("{what} in the store is not readable: the store is damaged"))
}

/// Index rows as one text, sorted and without repeats.
pub(super) fn pack_index(rows: &[IndexRow]) -> (Vec<IndexRow>, String) {
    let clipped = |row: &IndexRow| IndexRow {
        param: row.param,
        value: clip(&row.value, VALUE_BYTES_MAX),
        extra: clip(&row.extra, EXTRA_BYTES_MAX),
    };
    let mut rows: Vec<IndexRow> = rows.iter().map(clipped).collect();
    rows.sort();
    rows.dedup();
    let list: Vec<(u8, &str, &str)> =
        rows.iter().map(|row| (row.param, row.value.as_str(), row.extra.as_str())).collect();
    // Numbers and texts always serialise.
    let text = serde_json::to_string(&list).unwrap_or_default();
    (rows, text)
}

/// The rows in a packed text.
pub(super) fn unpack_index(text: &str) -> Result<Vec<IndexRow>, StoreError> {
    let list: Vec<(u8, String, String)> = serde_json::from_str(text).map_err(|_| damaged("an index row"))?;
    Ok(list.into_iter().map(|(param, value, extra)| IndexRow { param, value, extra }).collect())
}

/// Resource versions as one text.
pub(super) fn pack_resources(resources: &[(String, String, u32)]) -> String {
    serde_json::to_string(resources).unwrap_or_default()
}

/// The resource versions in a packed text.
pub(super) fn unpack_resources(text: &str) -> Result<Vec<(String, String, u32)>, StoreError> {
    serde_json::from_str(text).map_err(|_| damaged("an outbox row"))
}

/// A list of texts, or of pairs of texts, as one text.
pub(super) fn pack_texts<T: serde::Serialize>(texts: &[T]) -> String {
    serde_json::to_string(texts).unwrap_or_default()
}

/// The texts in a packed text.
pub(super) fn unpack_texts<T: serde::de::DeserializeOwned>(text: &str) -> Result<Vec<T>, StoreError> {
    serde_json::from_str(text).map_err(|_| damaged("a list"))
}

/// The state of an outbox row's number.
pub(super) fn delivery_state(number: i16) -> Result<DeliveryState, StoreError> {
    DeliveryState::of(number).ok_or_else(|| damaged("a delivery's state"))
}

/// The state that a filing's word names.
pub(super) fn filing_state(word: &str) -> Result<FilingState, StoreError> {
    FilingState::parse(word).ok_or_else(|| damaged("a filing's state"))
}

/// The state that a ledger word names.
pub(super) fn ledger_state(word: &str) -> Result<LedgerState, StoreError> {
    use LedgerState::{Closed, Held, Open, Returned, Waiting, Withdrawn};
    [Waiting, Open, Closed, Returned, Held, Withdrawn]
        .into_iter()
        .find(|state| state.word() == word)
        .ok_or_else(|| damaged("a ledger state"))
}

/// The outcome word of a message, as the constant that `Message` wants.
pub(super) fn message_outcome(word: &str) -> Result<&'static str, StoreError> {
    ["committed", "held", "rejected", "duplicate", "withdrawn", "waiting", "ignored"]
        .into_iter()
        .find(|known| *known == word)
        .ok_or_else(|| damaged("a message's outcome"))
}

/// What an audit entry is found by, taken from the entry itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EntryColumns {
    pub agent: String,
    pub action: String,
    pub outcome: String,
    pub interaction: String,
    /// `(role, reference)`, sorted.
    pub references: Vec<(i16, String)>,
}

impl EntryColumns {
    pub(super) fn of(entry: &Entry) -> Self {
        let patients = entry.patients.iter().map(|reference| (ROLE_PATIENT, clip(reference, VALUE_BYTES_MAX)));
        let entities =
            entry.entities.iter().map(|reference| (ROLE_ENTITY, clip(unversioned(reference), VALUE_BYTES_MAX)));
        let mut references: Vec<_> = patients.chain(entities).collect();
        references.sort();
        references.dedup();
        Self {
            agent: clip(&entry.agent.client, VALUE_BYTES_MAX),
            action: format!("{:?}", entry.action),
            outcome: outcome_digit(entry.outcome).to_owned(),
            interaction: clip(&entry.interaction, VALUE_BYTES_MAX),
            references,
        }
    }
}

/// FHIR's digit for an outcome.
fn outcome_digit(outcome: crate::audit::Outcome) -> &'static str {
    match outcome {
        crate::audit::Outcome::Success => "0",
        crate::audit::Outcome::MinorFailure => "4",
        crate::audit::Outcome::SeriousFailure => "8",
    }
}

/// `Type/id` of a reference that may carry a version.
pub(super) fn unversioned(reference: &str) -> &str {
    reference.split_once("/_history/").map_or(reference, |(resource, _)| resource)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn index_rows_survive_packing_sorted_and_once() {
        let row = |param, value: &str| IndexRow { param, value: value.into(), extra: "\u{1}\"\n".into() };
        let (rows, text) = pack_index(&[row(9, "b"), row(3, "a"), row(9, "b")]);
        assert_eq!(rows, [row(3, "a"), row(9, "b")]);
        assert_eq!(unpack_index(&text).unwrap(), rows);
        assert!(unpack_index("[[").is_err());
    }

    #[test]
    fn what_is_too_long_for_an_index_is_clipped_between_characters() {
        assert_eq!(clip("aé", 2), "a");
        assert_eq!(clip("a\0b", 9), "a\u{FFFD}b");
        assert_eq!(clip("", 0), "");
        let long = "k".repeat(VALUE_BYTES_MAX + 1);
        assert_eq!(door_key(&long).len(), "sha256:".len() + 64);
        assert_ne!(door_key(&long), door_key(&format!("{long}k")));
    }

    #[test]
    fn a_day_is_the_whole_utc_day_and_nothing_else_is_a_day() {
        let (from, to) = day_bounds("2026-03-29").unwrap();
        assert_eq!(to.duration_since(from).as_hours(), 24);
        assert!(day_bounds("29/03/2026").is_err());
        assert!(day_bounds("").is_err());
    }
}
