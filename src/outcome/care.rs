//! The EpisodeOfCare beside the Task: begun when the person accepts, moved with each stage, rest,
//! closure and reopening; and how often the person was met or tried.

use serde_json::Value;

use super::change::{Change, Item, after};
use super::contact::{Came, came};
use super::episode::{Event, State, stage};
use super::journey::{Journey, care_id, parsed};
use crate::clock::instant;
use crate::fhir::{self, episode as said, version};
use crate::gateway::Gateway;
use crate::rejection::Rejection;
use crate::store::{Criterion, Search, Test, param};

/// Contacts of one episode that are counted; there are 6 to 12 as a rule.
const CONTACTS_MAX: usize = 1000;

/// The next version of the EpisodeOfCare, where the change moves it.
pub async fn next(gateway: &Gateway, change: &Change<'_>, items: &[Item]) -> Result<Option<Item>, Rejection> {
    let journey = change.journey;
    let event = change.happened(items);
    let state = after(journey, event);
    let Some(status) = status(journey, items, state) else { return Ok(None) };
    let now = instant(change.at);
    let (before, at) = match &journey.care {
        Some((care, at)) => (version::content(care.clone()), *at),
        None => {
            let accepted = journey.task["executionPeriod"]["start"].as_str();
            let start = if event == Some(Event::Accept) { &now } else { accepted.unwrap_or(&now) };
            (said::begun(&care_id(&journey.episode.id), journey.about(), start), 0)
        }
    };
    let word = stage(state).unwrap_or_else(|| said::stage(&before)).to_owned();
    let moved = said::moved(before.clone(), status, &now);
    if at > 0 && moved == before && word == said::stage(&before) {
        return Ok(None);
    }
    let (met, attempted) = counts(gateway, journey, items.first().map(|item| &item.resource)).await?;
    Ok(Some(Item { resource: said::counted(moved, &word, met, attempted), version: at + 1, files: None }))
}

/// The episode's status by the Task's; `None` where there is no episode.
fn status(journey: &Journey, items: &[Item], state: State) -> Option<&'static str> {
    let task = items.iter().map(|item| &item.resource).find(|resource| fhir::kind(resource) == "Task");
    match (state, task.unwrap_or(&journey.task)["status"].as_str()) {
        (State::Closed, _) => Some("finished"),
        (State::Accepted | State::Assessed | State::Planned | State::Reviewed, Some("on-hold")) => Some("onhold"),
        (State::Accepted | State::Assessed | State::Planned | State::Reviewed, _) => Some("active"),
        _ => None,
    }
}

/// How often the person was `(met, tried without success)`, with one contact that is being written.
pub async fn counts(gateway: &Gateway, journey: &Journey, writing: Option<&Value>) -> Result<(u64, u64), Rejection> {
    let referral = Test::Is { value: format!("ServiceRequest/{}", journey.episode.id), extra: None };
    let search = Search {
        kind: "Encounter".to_owned(),
        ids: Vec::new(),
        updated: (None, None),
        criteria: vec![Criterion { param: param::FOCUS, any_of: vec![referral], negated: false }],
        visible: None,
        newest_first: true,
        count: CONTACTS_MAX,
        after: None,
        total: false,
    };
    let writing = writing.filter(|resource| fhir::kind(resource) == "Encounter");
    let (mut met, mut attempted) = (0, 0);
    let mut count = |encounter: &Value| match came(encounter) {
        Came::Met => met += 1,
        Came::Missed(_) => attempted += 1,
        Came::Not => {}
    };
    for stored in gateway.store.search(search).await?.found {
        if writing.is_none_or(|writing| fhir::id(writing) != stored.id) {
            count(&parsed(&stored)?);
        }
    }
    writing.into_iter().for_each(&mut count);
    Ok((met, attempted))
}
