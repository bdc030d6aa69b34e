//! `$validate`. <https://hl7.org/fhir/R4/resource-operation-validate.html>
//!
//! Structure against R4 only: bindings, invariants and profiles are for validators.

use super::answer::{Answer, Record};
use super::exchange::Exchange;
use crate::fhir::{outcome, wire};
use crate::rejection::Rejection;

/// 200 with what was found, also when that is faults.
pub fn answer(exchange: &Exchange) -> Result<Answer, Rejection> {
    let form = exchange.body_form()?;
    let found = match wire::parse(&exchange.body, form) {
        Ok(_) => outcome::information("every element is FHIR R4's; bindings and profiles were not checked"),
        Err(faults) => outcome::operation_outcome(&faults),
    };
    Ok(Answer::resource(&found, Record::default()))
}
