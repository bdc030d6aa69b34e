//! A contact with the person: an Encounter. Kept and delivered; not filed in the GP record, which
//! has the acceptance, the scores and the closure.
//! <https://hl7.org/fhir/R4/encounter.html>

use serde_json::{Value, json};

use super::change::Change;
use super::journey::Journey;
use super::{Write, check, kept, state};
use crate::access::Caller;
use crate::fhir::observation;
use crate::referral::Gateway;
use crate::rejection::{IssueType, Rejection};
use crate::store::Stored;

/// The statuses of R4 that say something about a contact.
const STATUSES: [&str; 8] =
    ["planned", "arrived", "triaged", "in-progress", "onleave", "finished", "cancelled", "entered-in-error"];

/// Creates or updates an Encounter.
pub async fn record(gateway: &Gateway, caller: &Caller, write: Write) -> Result<Stored, Rejection> {
    let journey = kept::journey(gateway, caller, &write).await?;
    let now = gateway.clock.now();
    check::belongs(&journey, &write.resource, state::contacts)?;
    valid(&journey, &write.resource, now)?;
    let (id, version) = match kept::place(gateway, &journey, &write).await? {
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
    let mut change = Change::new(&journey, now);
    change.add(encounter, version);
    change.commit(gateway, caller, &write).await
}

fn valid(journey: &Journey, encounter: &Value, now: jiff::Timestamp) -> Result<(), Rejection> {
    let status = encounter["status"].as_str().unwrap_or("");
    if !STATUSES.contains(&status) {
        return Err(
            Rejection::unprocessable(IssueType::Value, "it must say how the contact stands").at("Encounter.status")
        );
    }
    if encounter["class"]["code"].as_str().is_none() {
        return Err(
            Rejection::unprocessable(IssueType::Required, "say how they met: AMB, HH, VR").at("Encounter.class")
        );
    }
    let (start, end) = (encounter["period"]["start"].as_str(), encounter["period"]["end"].as_str());
    if status != "planned" && status != "cancelled" {
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
