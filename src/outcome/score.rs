//! A measure sent as an Observation: SWEMWBS by its raw total, ONS4 as a panel or by the item.

use jiff::Timestamp;
use serde_json::Value;

use super::change::Change;
use super::entries::Code;
use super::journey::Journey;
use super::{Write, check, entries, kept, measure, state};
use crate::access::Caller;
use crate::fhir::ids::{SNOMED, stable_id};
use crate::fhir::observation::{self, Said};
use crate::fhir::{coding, each};
use crate::referral::Gateway;
use crate::rejection::{IssueType, Rejection};
use crate::store::Stored;

/// The older UK code of the SWEMWBS score: taken, never given out.
const SWEMWBS_BEFORE: &str = "960481000000107";
const STATUSES: [&str; 4] = ["final", "amended", "corrected", "entered-in-error"];

/// Creates or updates an Observation.
pub async fn record(gateway: &Gateway, caller: &Caller, write: Write) -> Result<Stored, Rejection> {
    let journey = kept::journey(gateway, caller, &write).await?;
    let now = gateway.clock.now();
    check::belongs(&journey, &write.resource, state::measures)?;
    common(&journey, &write.resource, now)?;
    let measured = measured(&write.resource)?;
    let (id, version) = match kept::place(gateway, &journey, &write).await? {
        kept::Place::Already(stored) => return Ok(stored),
        kept::Place::Next(id, version) => (id, version),
    };
    let mut resource = write.resource.clone();
    if let Some(members) = resource.as_object_mut() {
        observation::complete(members, journey.about(), &id);
    }
    if let Measured::Swemwbs(raw) = measured {
        whole_score(&mut resource, entries::code("swemwbs"), raw);
    }
    let mut change = Change::new(&journey, now);
    change.file("score", resource, version);
    if let Measured::Swemwbs(raw) = measured {
        let metric = metric(&journey, &write.resource, ("Observation", &id), raw)?;
        change.file_next(&gateway.store, "score", metric, false).await?;
    }
    change.commit(gateway, caller, &write).await
}

enum Measured {
    Swemwbs(i64),
    Ons4,
}

/// Status and date.
fn common(journey: &Journey, resource: &Value, now: Timestamp) -> Result<(), Rejection> {
    if !STATUSES.contains(&resource["status"].as_str().unwrap_or("")) {
        return Err(check::refused(
            "Observation",
            "status",
            "it must be final, amended, corrected or entered-in-error",
        ));
    }
    check::date(journey, resource["effectiveDateTime"].as_str(), "Observation.effectiveDateTime", now)
}

/// Which measure it is, its values in range.
fn measured(resource: &Value) -> Result<Measured, Rejection> {
    let concept = &resource["code"];
    let snomed = coding(concept, SNOMED).unwrap_or("");
    if snomed == SWEMWBS_BEFORE || entries::code("swemwbs").is_some_and(|code| code.code == snomed) {
        let why = "the raw total, a whole number from 7 to 35; a metric score does not go under this code";
        return value(resource, "Observation", measure::SWEMWBS_RAW, why).map(Measured::Swemwbs);
    }
    match local(concept).map(|code| code.event.as_str()) {
        Some("ons4") => panel(resource).map(|()| Measured::Ons4),
        Some("swemwbs-metric") => {
            Err(check::refused("Observation", "code", "send the raw total; the gateway makes the metric score from it"))
        }
        Some(event) if measure::ONS4.iter().any(|(item, _)| *item == event) => {
            value(resource, "Observation", measure::ONS4_ITEM, ONS4_WHY).map(|_| Measured::Ons4)
        }
        _ => Err(Rejection::unprocessable(IssueType::NotSupported, "SWEMWBS and ONS4 are the measures taken here")
            .at("Observation.code")),
    }
}

const ONS4_WHY: &str = "an ONS4 item is a whole number from 0 to 10";

fn local(concept: &Value) -> Option<&'static Code> {
    let system = &entries::code("ons4")?.system;
    entries::code(coding(concept, system)?).filter(|code| code.system == *system)
}

fn panel(resource: &Value) -> Result<(), Rejection> {
    let mut seen: Vec<&str> = Vec::new();
    for (i, component) in each(&resource["component"]).enumerate() {
        let at = format!("Observation.component[{i}]");
        let item = local(&component["code"]).filter(|code| measure::ONS4.iter().any(|(item, _)| *item == code.event));
        match item {
            Some(code) if !seen.contains(&code.event.as_str()) => seen.push(&code.event),
            _ => return Err(check::out_of_range(format!("{at}.code"), "it must be one of the four ONS4 items, once")),
        }
        value(component, &at, measure::ONS4_ITEM, ONS4_WHY)?;
    }
    let total = ["valueQuantity", "valueInteger"].iter().find(|name| !resource[**name].is_null());
    match (seen.is_empty(), total) {
        (true, _) => Err(check::refused("Observation", "component", "an ONS4 panel has its items as components")),
        (_, Some(name)) => Err(check::refused("Observation", name, "ONS4 has no total")),
        _ => Ok(()),
    }
}

fn value(of: &Value, at: &str, range: std::ops::RangeInclusive<i64>, why: &str) -> Result<i64, Rejection> {
    let (number, name) = match &of["valueInteger"] {
        Value::Null => (&of["valueQuantity"]["value"], "valueQuantity.value"),
        whole => (whole, "valueInteger"),
    };
    number
        .as_i64()
        .filter(|number| range.contains(number))
        .ok_or_else(|| check::out_of_range(format!("{at}.{name}"), why))
}

/// The raw total under the one national code, as a quantity of scores.
fn whole_score(resource: &mut Value, code: Option<&Code>, raw: i64) {
    let Some(code) = code else { return };
    let text = resource["code"]["text"].as_str().unwrap_or(&code.display).to_owned();
    resource["code"] = serde_json::json!({
        "coding": [{"system": code.system, "code": code.code, "display": code.display}],
        "text": text,
    });
    resource["valueQuantity"] = observation::score(&raw.to_string());
    if let Some(members) = resource.as_object_mut() {
        members.shift_remove("valueInteger");
    }
}

/// The metric score beside a raw total, under the local code, derived from what was sent.
pub fn metric(journey: &Journey, sent: &Value, from: (&str, &str), raw: i64) -> Result<Value, Rejection> {
    let code = entries::code("swemwbs-metric").ok_or_else(Rejection::not_found)?;
    let score = measure::metric(raw).ok_or_else(Rejection::not_found)?;
    let id = stable_id(&[from.1, "swemwbs-metric"]).to_string();
    let words = format!("SWEMWBS metric score {score}, converted from the raw total {raw} by the published table.");
    let mut metric = observation::entry(
        journey.about(),
        Said {
            id: &id,
            status: status_of(sent),
            category: "survey",
            code: (&code.system, &code.code, &code.display),
            effective: effective_of(sent),
            note: &words,
        },
    );
    metric["valueQuantity"] = observation::score(score);
    metric["derivedFrom"] = serde_json::json!([{"reference": format!("{}/{}", from.0, from.1)}]);
    Ok(metric)
}

/// An Observation's status as it follows from what was sent.
pub fn status_of(sent: &Value) -> &str {
    match sent["status"].as_str().unwrap_or("") {
        "entered-in-error" => "entered-in-error",
        "amended" => "amended",
        "corrected" => "corrected",
        _ => "final",
    }
}

/// When it was answered.
pub fn effective_of(sent: &Value) -> &str {
    sent["effectiveDateTime"].as_str().or_else(|| sent["authored"].as_str()).unwrap_or("")
}
