//! Checks that every outcome must pass, whatever its type.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::episode::{self, Event};
use super::journey::{Journey, origin, references};
use super::terms;
use crate::fhir::ids::NHS_NUMBER;
use crate::fhir::{self, dates, split_reference};
use crate::rejection::{BarsError, IssueType, Rejection};

/// How far ahead of the gateway's clock a sender's may be.
const AHEAD_MAX: SignedDuration = SignedDuration::from_mins(10);

/// `If-Match`, where it was sent.
pub fn if_match(seen: Option<u32>, current: u32) -> Result<(), Rejection> {
    match seen {
        Some(seen) if seen != current => {
            let words = format!("the current version is {current}; read it again");
            Err(Rejection::new(BarsError::PreconditionFailed, IssueType::Conflict, words))
        }
        _ => Ok(()),
    }
}

/// A rule that does not hold at an element.
pub fn refused(kind: &str, element: &str, why: impl Into<String>) -> Rejection {
    Rejection::unprocessable(IssueType::BusinessRule, why).at(format!("{kind}.{element}"))
}

/// A value out of range at an element.
pub fn out_of_range(expression: impl Into<String>, why: impl Into<String>) -> Rejection {
    Rejection::unprocessable(IssueType::Value, why).at(expression)
}

/// An event that the episode's state machine lets happen where the episode stands.
pub fn allowed(journey: &Journey, event: Option<Event>, kind: &str, element: &str) -> Result<(), Rejection> {
    let Some(event) = event else { return Ok(()) };
    episode::next(journey.state, event).map(drop).map_err(|why| refused(kind, element, why))
}

/// The outcome speaks of the Task's own person and referral, in an episode that is not over.
pub fn belongs(journey: &Journey, outcome: &Value, may_write: fn(&str) -> bool) -> Result<(), Rejection> {
    let kind = fhir::kind(outcome);
    if !journey.episode.open {
        return Err(refused(kind, origin(kind), "the episode is closed"));
    }
    if !may_write(journey.status()) {
        return Err(refused(kind, origin(kind), format!("the Task is {}: accept it first", journey.status())));
    }
    names_own(journey, outcome)
}

/// The outcome speaks of the Task's own person and referral, wherever the episode stands.
pub fn names_own(journey: &Journey, outcome: &Value) -> Result<(), Rejection> {
    let kind = fhir::kind(outcome);
    terms::codings(outcome)?;
    own_referral(journey, outcome)?;
    let subject = &outcome["subject"];
    let other = |reference: &str| split_reference(reference) != split_reference(journey.patient());
    let number = (subject["identifier"]["system"].as_str() == Some(NHS_NUMBER))
        .then(|| subject["identifier"]["value"].as_str().unwrap_or(""));
    if subject["reference"].as_str().is_some_and(other) || number.is_some_and(|n| n != journey.episode.nhs_number) {
        return Err(refused(kind, "subject", "it must be the person of the referral"));
    }
    Ok(())
}

/// Names of referrals and Tasks are those of the one; what else a plan or goal names is its own.
fn own_referral(journey: &Journey, outcome: &Value) -> Result<(), Rejection> {
    let kind = fhir::kind(outcome);
    for element in [origin(kind), "focus"] {
        for reference in references(&outcome[element]) {
            let own = match split_reference(reference) {
                Some(("ServiceRequest", id)) => id == journey.episode.id,
                Some(("Task", id)) => id == journey.episode.task,
                _ => origin(kind) != "basedOn",
            };
            if !own {
                return Err(refused(kind, element, "it must name the one referral that it is an outcome of"));
            }
        }
    }
    Ok(())
}

/// A date that is there, can be read, is not before the referral's day and not in the future.
pub fn date(journey: &Journey, text: Option<&str>, expression: &str, now: Timestamp) -> Result<(), Rejection> {
    let Some(text) = text else {
        return Err(Rejection::unprocessable(IssueType::Required, "say when").at(expression));
    };
    let Some((first, after)) = dates::bounds(text) else {
        return Err(out_of_range(expression, "the date cannot be read"));
    };
    if first > now.checked_add(AHEAD_MAX).unwrap_or(now) {
        return Err(out_of_range(expression, "the date is in the future"));
    }
    let authored = journey.request["authoredOn"].as_str().and_then(dates::bounds);
    // To the day: systems write the referral's time in local time, in UTC, or not at all.
    let day = SignedDuration::from_hours(24);
    if authored.is_some_and(|(begun, _)| after.checked_add(day).unwrap_or(after) <= begun) {
        return Err(out_of_range(expression, "the date is before the referral"));
    }
    Ok(())
}
