//! read and vread. <https://hl7.org/fhir/R4/http.html#read>

use axum::http::header;

use super::answer::{Answer, Answered, Record, etag};
use super::exchange::Exchange;
use super::who;
use crate::rejection::{BarsError, IssueType, Rejection};
use crate::store::Stored;

/// The current version.
pub async fn current(exchange: &Exchange, kind: &str, id: &str) -> Answered {
    let stored = exchange.gateway.store.read(kind, id).await?.ok_or_else(Rejection::not_found)?;
    answer(exchange, stored).await
}

/// One version.
pub async fn version(exchange: &Exchange, kind: &str, id: &str, version: u32) -> Answered {
    let stored = exchange.gateway.store.vread(kind, id, version).await?.ok_or_else(Rejection::not_found)?;
    answer(exchange, stored).await
}

async fn answer(exchange: &Exchange, stored: Stored) -> Answered {
    plain_view(exchange)?;
    who::may_see(&exchange.gateway, exchange.caller()?, &stored.kind, &stored.id).await?;
    if stored.deleted {
        return Err(Rejection::new(BarsError::Gone, IssueType::Deleted, "the resource was deleted").into());
    }
    let mut record = Record::default();
    record.note(&stored);
    let known = exchange.header(header::IF_NONE_MATCH.as_str());
    if !known.is_empty() && known == etag(stored.version) {
        return Ok(Answer::empty(304, record).version(&stored));
    }
    Ok(Answer::json(stored.body.clone(), record).version(&stored))
}

/// Refuses `_summary` and `_elements`: stored bytes are served whole.
pub fn plain_view(exchange: &Exchange) -> Result<(), Rejection> {
    let asked = |name: &str| exchange.parameter(name).is_some_and(|value| value != "false" && value != "count");
    if asked("_summary") || asked("_elements") {
        return Err(Rejection::bad_request(
            IssueType::NotSupported,
            "resources are served whole: _summary and _elements are not offered",
        ));
    }
    Ok(())
}
