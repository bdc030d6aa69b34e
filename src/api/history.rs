//! history of one resource. <https://hl7.org/fhir/R4/http.html#history>

use super::answer::{Answer, Answered, Record};
use super::exchange::Exchange;
use super::{search, who};
use crate::fhir::pages;
use crate::rejection::{IssueType, Rejection};

/// The parameter of a `next` link: versions below this one.
const BEFORE: &str = "_before";

/// The versions, newest first, a page at a time.
pub async fn answer(exchange: &Exchange, kind: &str, id: &str) -> Answered {
    let count = search::count_of(exchange)?.max(1);
    let before = match exchange.parameter(BEFORE) {
        None => u32::MAX,
        Some(text) => text
            .parse()
            .map_err(|_| Rejection::bad_request(IssueType::Value, "_before is not one that the gateway gave"))?,
    };
    let mut found = exchange.gateway.store.history(kind, id, before, count + 1).await?;
    if found.is_empty() {
        return Err(Rejection::not_found().into());
    }
    who::may_see(&exchange.gateway, exchange.caller()?, kind, id).await?;
    let more = found.len() > count;
    found.truncate(count);
    let address = format!("{}/{kind}/{id}/_history?_count={count}", exchange.base);
    let mut links = vec![("self", address.clone())];
    if let Some(last) = found.last().filter(|_| more) {
        links.push(("next", format!("{address}&{BEFORE}={}", last.version)));
    }
    let mut record = Record::default();
    found.iter().for_each(|stored| record.note(stored));
    let total = found.first().filter(|_| before == u32::MAX).map(|newest| u64::from(newest.version));
    Ok(Answer::json(pages::history(&exchange.base, exchange.at, total, &links, &found), record))
}
