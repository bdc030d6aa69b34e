//! search. <https://hl7.org/fhir/R4/search.html>
//!
//! Which parameters a type has is the table in `fhir::parameters`. The order is that of creation;
//! `_sort`, chains and composite parameters are not offered.

mod cursor;
mod include;
mod query;

use super::answer::{Answer, Answered, Record, Refusal};
use super::exchange::Exchange;
use super::{read, redact};
use crate::fhir::{outcome, pages};
use crate::rejection::{IssueType, Rejection};
use crate::store::Search;

pub use query::{Reading, period as read_period, read_query};

/// Resources on a page where the caller does not say.
pub const COUNT_DEFAULT: usize = 50;
/// Resources on a page at most.
pub const COUNT_MAX: usize = 1000;

/// One page.
pub async fn answer(exchange: &Exchange, kind: &'static str) -> Answered {
    let query = redact::query(kind, &exchange.query);
    page(exchange, kind, &query).await.map_err(|mut refusal| {
        refusal.query = query;
        refusal
    })
}

async fn page(exchange: &Exchange, kind: &'static str, redacted: &str) -> Answered {
    read::plain_view(exchange)?;
    let reading = read_query(kind, &exchange.query)?;
    let strict = exchange.prefers("handling=strict");
    if strict && !reading.unknown.is_empty() {
        return Err(unknown(&reading.unknown).into());
    }
    let count = count_of(exchange)?;
    let counting = count == 0 || exchange.parameter("_summary") == Some("count");
    let found = exchange
        .gateway
        .store
        .search(Search {
            kind: kind.to_owned(),
            ids: reading.ids,
            updated: reading.updated,
            criteria: reading.criteria,
            visible: exchange.caller()?.visible(),
            newest_first: false,
            count: if counting { 1 } else { count },
            after: cursor::read(exchange)?,
            total: counting || exchange.parameter("_total").is_some_and(|total| total != "none"),
        })
        .await?;
    let matches = if counting { &[][..] } else { &found.found[..] };
    let included = include::resources(exchange, kind, matches).await.map_err(Refusal::from)?;
    let mut record = Record { query: redacted.to_owned(), ..Record::default() };
    matches.iter().chain(&included).for_each(|stored| record.note(stored));
    let mut links = vec![("self", cursor::address(exchange, kind, &reading.used, None))];
    if let Some(next) = found.next.filter(|_| !counting) {
        links.push(("next", cursor::address(exchange, kind, &reading.used, Some(next))));
    }
    let warning = (!reading.unknown.is_empty()).then(|| outcome::remarks("warning", &[ignored(&reading.unknown)]));
    let bundle =
        pages::searchset(&exchange.base, exchange.at, found.total, &links, matches, &included, warning.as_ref());
    Ok(Answer::json(bundle, record))
}

/// `_count`, held to its limit.
pub fn count_of(exchange: &Exchange) -> Result<usize, Rejection> {
    match exchange.parameter("_count") {
        None => Ok(COUNT_DEFAULT),
        Some(text) => text
            .parse::<usize>()
            .map(|count| count.min(COUNT_MAX))
            .map_err(|_| Rejection::bad_request(IssueType::Value, "_count must be a whole number")),
    }
}

/// 400 for parameters that are not known, under `Prefer: handling=strict`.
fn unknown(names: &[String]) -> Rejection {
    Rejection::bad_request(IssueType::NotSupported, ignored(names))
}

/// Names only; a value may be a patient's.
fn ignored(names: &[String]) -> String {
    format!("not known here and left out of the search: {}", names.join(", "))
}
