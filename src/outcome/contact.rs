//! A contact with the person, or an attempt at one: an Encounter.
//! <https://hl7.org/fhir/R4/encounter.html>
//!
//! How they met is the class: `AMB`, `HH` (at home), `VR` (telephone, video, message), `FLD`
//! (elsewhere). What came of it is the extension `contact-outcome`, a SNOMED CT code of the
//! attempts in `entries.csv`; without it a finished contact is one at which they met. An attempt
//! at a person who has not accepted says that the pool has looked: the Task becomes `received`.
//! Type 425268008 (review of care plan) reviews the agreed plan. 6 to 12 contacts are usual; they
//! are counted in the EpisodeOfCare and limited nowhere. Filed: what `entries.csv` says.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::change::Change;
use super::entries::{self, Entry};
use super::episode::{Event, State};
use super::filing::{self, Draft};
use super::journey::Journey;
use super::{Write, check, kept, state};
use crate::access::Caller;
use crate::clock::instant;
use crate::fhir::episode::CONTACT_OUTCOME;
use crate::fhir::ids::SNOMED;
use crate::fhir::task::business_status;
use crate::fhir::{self, coding, each, extension, observation, version};
use crate::gateway::Gateway;
use crate::rejection::{IssueType, Rejection};
use crate::store::Stored;

/// The statuses of R4 that say something about a contact.
const STATUSES: [&str; 8] =
    ["planned", "arrived", "triaged", "in-progress", "onleave", "finished", "cancelled", "entered-in-error"];
/// How people meet, of v3-ActCode, with what it means for a link worker.
const CLASSES: [(&str, &str); 4] =
    [("AMB", "face to face"), ("HH", "at home"), ("VR", "by telephone, video or message"), ("FLD", "elsewhere")];

/// What a contact's class means, where it is one.
pub fn mode(class: &str) -> &'static str {
    CLASSES.iter().find(|(known, _)| *known == class).map_or("not said", |(_, words)| words)
}

/// What became of a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// They met or spoke.
    Met,
    /// The person was not reached or did not come.
    Missed(&'static Entry),
    /// Nothing yet, or it was called off by the service.
    Not,
}

/// What became of an Encounter.
pub fn came(encounter: &Value) -> Came {
    let status = encounter["status"].as_str().unwrap_or("");
    match (status, outcome(encounter).and_then(entries::of_attempt)) {
        ("finished" | "cancelled", Some(missed)) => Came::Missed(missed),
        ("finished", None) => Came::Met,
        _ => Came::Not,
    }
}

/// The SNOMED CT code of what came of it.
fn outcome(encounter: &Value) -> Option<&str> {
    coding(&extension(encounter, CONTACT_OUTCOME)?["valueCodeableConcept"], SNOMED)
}

/// Creates or updates an Encounter.
pub async fn record(gateway: &Gateway, caller: &Caller, write: Write) -> Result<Stored, Rejection> {
    let journey = kept::journey(gateway, caller, &write).await?;
    let now = gateway.clock.now();
    check::belongs(&journey, &write.resource, state::contacts)?;
    valid(&journey, &write.resource, now)?;
    let event = event(&write.resource);
    check::allowed(&journey, event, "Encounter", "status")?;
    let (id, at) = match kept::place(gateway, &journey, &write).await? {
        kept::Place::Already(stored) => return Ok(stored),
        kept::Place::Next(id, version) => (id, version),
    };
    let mut encounter = write.resource.clone();
    let about = journey.about();
    encounter["id"] = json!(id);
    encounter["subject"] = observation::subject(about);
    encounter["basedOn"] = json!([observation::based_on(about)]);
    if encounter["serviceProvider"].is_null() {
        encounter["serviceProvider"] = observation::performer(about);
    }
    if journey.care.is_some() {
        encounter["episodeOfCare"] = json!([{"reference": journey.care_reference()}]);
    }
    let mut change = Change::new(&journey, now);
    change.step(event);
    change.add(encounter, at);
    if journey.state == State::Offered && matches!(event, Some(Event::Attempt | Event::Meet)) {
        change.add(received(&journey, &instant(now)), journey.task_version + 1);
    }
    file(gateway, &mut change, &write, &id).await?;
    change.commit(gateway, caller, &write).await
}

/// What the episode feels of it.
fn event(encounter: &Value) -> Option<Event> {
    let review = entries::of("plan-reviewed").map(|entry| entry.code.as_str());
    let is_review = each(&encounter["type"]).any(|kind| coding(kind, SNOMED) == review);
    match came(encounter) {
        Came::Met if is_review => Some(Event::Review),
        Came::Met => Some(Event::Meet),
        Came::Missed(_) => Some(Event::Attempt),
        Came::Not => None,
    }
}

/// The Task of a pool that has begun to try.
fn received(journey: &Journey, now: &str) -> Value {
    let mut task = version::content(journey.task.clone());
    let (code, display) = state::default_business("received");
    task["status"] = json!("received");
    task["businessStatus"] = business_status(code, display);
    task["lastModified"] = json!(now);
    task
}

/// The entry of a missed contact or a review; a contact recorded in error takes its entry with it.
async fn file(gateway: &Gateway, change: &mut Change<'_>, write: &Write, id: &str) -> Result<(), Rejection> {
    let encounter = &write.resource;
    let is_error = encounter["status"].as_str() == Some("entered-in-error");
    let seen = if is_error { "finished" } else { encounter["status"].as_str().unwrap_or("") };
    let mut as_if = encounter.clone();
    as_if["status"] = json!(seen);
    let entry = match (came(&as_if), event(&as_if)) {
        (Came::Missed(entry), _) => Some(entry),
        (Came::Met, Some(Event::Review)) => entries::of("plan-reviewed"),
        _ => None,
    };
    let Some(entry) = entry.filter(|entry| entry.needs != entries::Needs::Never) else { return Ok(()) };
    let draft = Draft {
        event: &entry.event,
        of: id,
        effective: encounter["period"]["start"].as_str().unwrap_or(""),
        status: if is_error { "entered-in-error" } else { "final" },
        slots: Vec::new(),
    };
    let filed = filing::entry(change.journey, encounter, &draft)?;
    if is_error && gateway.store.read("Observation", fhir::id(&filed)).await?.is_none() {
        return Ok(());
    }
    change.file_next(&gateway.store, &entry.event, filed, false).await?;
    Ok(())
}

fn valid(journey: &Journey, encounter: &Value, now: Timestamp) -> Result<(), Rejection> {
    let status = encounter["status"].as_str().unwrap_or("");
    if !STATUSES.contains(&status) {
        return Err(
            Rejection::unprocessable(IssueType::Value, "it must say how the contact stands").at("Encounter.status")
        );
    }
    if !encounter["class"]["code"].as_str().is_some_and(|class| CLASSES.iter().any(|(known, _)| *known == class)) {
        let words =
            format!("say how they met, as a code of v3-ActCode: {}", CLASSES.map(|(class, _)| class).join(", "));
        return Err(Rejection::unprocessable(IssueType::Required, words).at("Encounter.class"));
    }
    outcome_known(encounter)?;
    let (start, end) = (encounter["period"]["start"].as_str(), encounter["period"]["end"].as_str());
    if status != "planned" && (status != "cancelled" || outcome(encounter).is_some()) {
        check::date(journey, start, "Encounter.period.start", now)?;
    }
    if status == "finished" && end.is_some() {
        check::date(journey, end, "Encounter.period.end", now)?;
    }
    let bounds = |text: Option<&str>| text.and_then(crate::fhir::dates::bounds);
    if let (Some((start, _)), Some((_, end))) = (bounds(start), bounds(end))
        && end <= start
    {
        return Err(check::out_of_range("Encounter.period.end", "the contact ends before it starts"));
    }
    Ok(())
}

/// An outcome that is not known here would be counted as a meeting.
fn outcome_known(encounter: &Value) -> Result<(), Rejection> {
    let said = extension(encounter, CONTACT_OUTCOME);
    let known = said.is_none_or(|_| outcome(encounter).is_some_and(|code| entries::of_attempt(code).is_some()));
    if !known {
        let words = "the outcome of a contact is a SNOMED CT code of the attempts in mappings/outcome/entries.csv";
        return Err(Rejection::unprocessable(IssueType::CodeInvalid, words).at("Encounter.extension"));
    }
    Ok(())
}
