//! create. <https://hl7.org/fhir/R4/http.html#create>
//!
//! What may be created is `outcome`'s to say; conditional create is not offered.

use axum::http::header;

use super::answer::{Answer, Answered, Record};
use super::exchange::Exchange;
use crate::fhir;
use crate::outcome::{self, Write};
use crate::rejection::{IssueType, Rejection};
use crate::store::Stored;

/// Creates one resource.
pub async fn answer(exchange: &Exchange, kind: &str) -> Answered {
    if !exchange.header("if-none-exist").is_empty() {
        return Err(Rejection::bad_request(
            IssueType::NotSupported,
            "conditional create (If-None-Exist) is not offered",
        )
        .into());
    }
    let resource = exchange.resource()?;
    same_type(&resource, kind)?;
    let write = Write { kind: kind.to_owned(), resource, request: exchange.request.clone(), ..Write::default() };
    let stored = outcome::record(&exchange.gateway, exchange.caller()?, write).await?;
    Ok(written(exchange, &stored, 201))
}

/// 400 unless the body is of the type that the address names.
pub fn same_type(resource: &fhir::Resource, kind: &str) -> Result<(), Rejection> {
    if fhir::kind(resource) == kind {
        return Ok(());
    }
    let words = format!("the resource must be a {kind}, as the address says");
    Err(Rejection::bad_request(IssueType::Invalid, words).at("resourceType"))
}

/// What a write is answered with, by `Prefer`. What the writer should know beside is in the
/// OperationOutcome where that is preferred, and in a header `Warning` always.
/// Its audit entry was committed with it.
pub fn written(exchange: &Exchange, stored: &Stored, status: u16) -> Answer {
    let remarks = outcome::remarks(&exchange.gateway, stored);
    let answer = if exchange.prefers("return=minimal") {
        Answer::empty(status, Record::kept())
    } else if exchange.prefers("return=OperationOutcome") {
        let told = fhir::outcome::recorded("it is recorded", &remarks);
        Answer::resource(&told, Record::kept()).status(status)
    } else {
        Answer::json(stored.body.clone(), Record::kept()).status(status)
    };
    let at = format!("{}/{}/{}/_history/{}", exchange.base, stored.kind, stored.id, stored.version);
    let answer = answer.header(header::LOCATION, &at).version(stored);
    remarks.iter().fold(answer, |answer, words| answer.header(header::WARNING, &format!("299 fingerpost \"{words}\"")))
}
