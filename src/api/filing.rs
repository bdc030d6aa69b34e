//! `GET Observation/{id}/$filing`: where an entry stands on its way into the practice's record.
//! Seen by whoever may see the Observation.

use super::answer::{Answer, Answered, Record};
use super::exchange::Exchange;
use super::who;
use crate::fhir::filing::{Standing, parameters};
use crate::rejection::Rejection;
use crate::store::filing::FilingSearch;

/// Versions of one entry that are shown.
const SHOWN_MAX: usize = 1000;

/// Every version's standing, newest version first.
pub async fn answer(exchange: &Exchange, id: &str) -> Answered {
    let store = &exchange.gateway.store;
    let stored = store.read("Observation", id).await?.ok_or_else(Rejection::not_found)?;
    who::may_see(&exchange.gateway, exchange.caller()?, "Observation", id).await?;
    let resource = Some(("Observation".to_owned(), id.to_owned()));
    let mut filings =
        store.find_filings(FilingSearch { resource, count: SHOWN_MAX, ..FilingSearch::default() }).await?;
    filings.sort_by_key(|filing| std::cmp::Reverse(filing.resource.2));
    let standings: Vec<Standing<'_>> = filings
        .iter()
        .map(|filing| Standing {
            version: filing.resource.2,
            practice: filing.practice.as_str(),
            state: filing.state.word(),
            since: filing.since,
            route: &filing.route,
            deadline: filing.deadline,
            overdue: filing.overdue,
            read_back: &filing.read_back,
            why: &filing.why,
        })
        .collect();
    let mut record = Record::default();
    record.note(&stored);
    Ok(Answer::resource(&parameters(&standings), record))
}
