//! The personalised care and support plan: a CarePlan, its actions in `activity.detail`, its Goals
//! apart, each with how much it matters to the person (`goal-importance`, 1 to 10).
//! <https://hl7.org/fhir/R4/careplan.html>, <https://hl7.org/fhir/R4/goal.html>,
//! <https://theprsb.org/standards/social-prescribing-standard/> (care and support plan)
//!
//! R4 lets neither be based on a ServiceRequest: a plan names its referral in `supportingInfo`, a
//! goal in `addresses`; both are found by it (`fhir::parameters`). A plan that becomes `active` is
//! agreed, and the practice is told; before that, and in later changes, it is a draft of the pool's.
//! Reviews are contacts: see `contact`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::change::Change;
use super::episode::Event;
use super::filing::{self, Draft};
use super::journey::{Journey, origin, parsed, references};
use super::{Write, check, kept, state};
use crate::access::Caller;
use crate::clock::instant;
use crate::fhir::episode::IMPORTANCE;
use crate::fhir::{each, extension, kind, observation, split_reference};
use crate::gateway::Gateway;
use crate::rejection::{IssueType, Rejection};
use crate::store::Stored;

const PLAN_STATUSES: [&str; 6] = ["draft", "active", "on-hold", "completed", "revoked", "entered-in-error"];
const GOAL_STATUSES: [&str; 9] =
    ["proposed", "planned", "accepted", "active", "on-hold", "completed", "cancelled", "entered-in-error", "rejected"];
/// How much a goal may matter. <https://theprsb.org/standards/social-prescribing-standard/>
const IMPORTANCE_RANGE: std::ops::RangeInclusive<i64> = 1..=10;
/// Goals of one plan.
const GOALS_MAX: usize = 50;

/// Creates or updates a CarePlan or Goal.
pub async fn record(gateway: &Gateway, caller: &Caller, write: Write) -> Result<Stored, Rejection> {
    let journey = kept::journey(gateway, caller, &write).await?;
    let now = gateway.clock.now();
    let sent = &write.resource;
    check::belongs(&journey, sent, state::measures)?;
    let element = if kind(sent) == "Goal" { "lifecycleStatus" } else { "status" };
    let event = if kind(sent) == "Goal" {
        goal(&journey, sent, now)?;
        Event::Draft
    } else {
        plan(gateway, &journey, sent, now).await?;
        event(gateway, &write).await?
    };
    check::allowed(&journey, Some(event), kind(sent), element)?;
    let (id, version) = match kept::place(gateway, &journey, &write).await? {
        kept::Place::Already(stored) => return Ok(stored),
        kept::Place::Next(id, version) => (id, version),
    };
    let mut change = Change::new(&journey, now);
    change.step(Some(event));
    change.add(linked(&journey, sent, &id), version);
    if event == Event::Agree {
        agreed(gateway, &mut change, sent, &id, &instant(now)).await?;
    }
    change.commit(gateway, caller, &write).await
}

/// Agreed when it becomes active; anything else is drafting.
async fn event(gateway: &Gateway, write: &Write) -> Result<Event, Rejection> {
    let before = match &write.id {
        Some(id) => gateway.store.read(&write.kind, id).await?.map(|stored| parsed(&stored)).transpose()?,
        None => None,
    };
    let was_active = before.is_some_and(|before| matches!(before["status"].as_str(), Some("active" | "on-hold")));
    Ok(if write.resource["status"] == "active" && !was_active { Event::Agree } else { Event::Draft })
}

/// The entry that a plan is agreed; a plan agreed after a reopening is told of again.
async fn agreed(
    gateway: &Gateway,
    change: &mut Change<'_>,
    sent: &Value,
    id: &str,
    now: &str,
) -> Result<(), Rejection> {
    let start = sent["period"]["start"].as_str().unwrap_or(now);
    let draft = Draft { event: "plan-agreed", of: id, effective: start, status: "final", slots: Vec::new() };
    let entry = filing::entry(change.journey, sent, &draft)?;
    change.file_next(&gateway.store, draft.event, entry, false).await?;
    Ok(())
}

/// The resource with its id, its person and its referral.
fn linked(journey: &Journey, sent: &Value, id: &str) -> Value {
    let mut resource = sent.clone();
    let about = journey.about();
    resource["id"] = json!(id);
    resource["subject"] = observation::subject(about);
    let from = origin(kind(sent));
    let ours = |one: &&Value| {
        one["reference"].as_str().and_then(split_reference).is_none_or(|(kind, _)| kind != "ServiceRequest")
    };
    let mut named = vec![observation::based_on(about)];
    named.extend(each(&sent[from]).filter(ours).cloned());
    resource[from] = Value::Array(named);
    resource
}

async fn plan(gateway: &Gateway, journey: &Journey, sent: &Value, now: Timestamp) -> Result<(), Rejection> {
    let wrong = |element: &str, why: &str| Err(check::out_of_range(format!("CarePlan.{element}"), why));
    if !sent["status"].as_str().is_some_and(|status| PLAN_STATUSES.contains(&status)) {
        return wrong("status", "it must say how the plan stands");
    }
    if sent["intent"] != "plan" {
        return wrong("intent", "a care and support plan has the intent plan");
    }
    if let Some(start) = sent["period"]["start"].as_str() {
        check::date(journey, Some(start), "CarePlan.period.start", now)?;
    }
    for (i, activity) in each(&sent["activity"]).enumerate() {
        let detail = &activity["detail"];
        if detail.is_object() && detail["status"].as_str().is_none() {
            return wrong(&format!("activity[{i}].detail.status"), "say how the action stands");
        }
    }
    let goals = references(&sent["goal"]);
    if goals.len() > GOALS_MAX {
        return wrong("goal", "more goals than one plan can hold");
    }
    for (i, reference) in goals.into_iter().enumerate().filter(|(_, reference)| !reference.starts_with('#')) {
        if !is_own_goal(gateway, journey, reference).await? {
            return wrong(&format!("goal[{i}]"), "there is no such goal of this referral; send the goal first");
        }
    }
    Ok(())
}

async fn is_own_goal(gateway: &Gateway, journey: &Journey, reference: &str) -> Result<bool, Rejection> {
    let Some(("Goal", id)) = split_reference(reference) else { return Ok(false) };
    let Some(stored) = gateway.store.read("Goal", id).await?.filter(|stored| !stored.deleted) else { return Ok(false) };
    let goal = parsed(&stored)?;
    let own = ("ServiceRequest", journey.episode.id.as_str());
    Ok(references(&goal["addresses"]).into_iter().any(|reference| split_reference(reference) == Some(own)))
}

fn goal(journey: &Journey, sent: &Value, now: Timestamp) -> Result<(), Rejection> {
    if !sent["lifecycleStatus"].as_str().is_some_and(|status| GOAL_STATUSES.contains(&status)) {
        return Err(check::out_of_range("Goal.lifecycleStatus", "it must say how the goal stands"));
    }
    let description = &sent["description"];
    if description["text"].as_str().is_none() && each(&description["coding"]).next().is_none() {
        let words = "say what the person wants";
        return Err(Rejection::unprocessable(IssueType::Required, words).at("Goal.description"));
    }
    if let Some(start) = sent["startDate"].as_str() {
        check::date(journey, Some(start), "Goal.startDate", now)?;
    }
    let importance = extension(sent, IMPORTANCE).map(|one| one["valueInteger"].as_i64());
    if importance.is_some_and(|said| !said.is_some_and(|number| IMPORTANCE_RANGE.contains(&number))) {
        return Err(check::out_of_range("Goal.extension", "how much a goal matters is a whole number from 1 to 10"));
    }
    Ok(())
}
