//! read and search of AuditEvent: the FHIR view of the log. <https://hl7.org/fhir/R4/auditevent.html>

use super::answer::{Answered, Refusal};
use super::exchange::Exchange;
use crate::rejection::Rejection;

/// One entry.
pub async fn read(_exchange: &Exchange, _id: &str) -> Answered {
    Err(Refusal::from(Rejection::not_found()))
}

/// Entries, newest first.
pub async fn search(_exchange: &Exchange) -> Answered {
    Err(Refusal::from(Rejection::not_found()))
}
