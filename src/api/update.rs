//! update. <https://hl7.org/fhir/R4/http.html#update>
//!
//! Only of what is there: an update does not create. `If-Match` is honoured.

use super::answer::Answered;
use super::create::{same_type, written};
use super::exchange::Exchange;
use crate::directory;
use crate::fhir;
use crate::outcome::{self, Write};
use crate::rejection::{IssueType, Rejection};

/// Updates one resource.
pub async fn answer(exchange: &Exchange, kind: &str, id: &str) -> Answered {
    let if_match = exchange.if_match()?;
    let resource = exchange.resource()?;
    same_type(&resource, kind)?;
    if fhir::id(&resource) != id {
        let words = "the resource's id must be the one in the address";
        return Err(Rejection::bad_request(IssueType::Invalid, words).at(format!("{kind}.id")).into());
    }
    let write = Write { kind: kind.to_owned(), id: Some(id.to_owned()), resource, if_match, ..Write::default() };
    let write = Write { request: exchange.request.clone(), ..write };
    let caller = exchange.caller()?;
    let stored = if directory::KINDS.contains(&kind) {
        directory::update(&exchange.gateway, caller, write).await?
    } else {
        outcome::record(&exchange.gateway, caller, write).await?
    };
    Ok(written(exchange, &stored, 200))
}
