//! A measure sent as an Observation: its number or items, or why there is none.
//!
//! What has a number is filed in the GP record. What has none - the measure does not suit the
//! person, or they would not answer - is kept and counted, and not filed.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::change::Change;
use super::context::{self, Context};
use super::journey::{Journey, parsed};
use super::measure::taken::{self, Taken};
use super::measure::{Number, Part, Scale, measures};
use super::{Write, check, kept, state};
use crate::access::Caller;
use crate::fhir::ids::stable_id;
use crate::fhir::measure as beside;
use crate::fhir::observation::{self, Said};
use crate::gateway::Gateway;
use crate::rejection::Rejection;
use crate::store::Stored;

const STATUSES: [&str; 4] = ["final", "amended", "corrected", "entered-in-error"];
/// The event under which scores are filed and delivered.
pub const EVENT: &str = "score";

/// Creates or updates an Observation.
pub async fn record(gateway: &Gateway, caller: &Caller, write: Write) -> Result<Stored, Rejection> {
    let journey = kept::journey(gateway, caller, &write).await?;
    let now = gateway.clock.now();
    check::belongs(&journey, &write.resource, state::measures)?;
    common(&journey, &write.resource, now)?;
    let taken = taken::observation(measures(), &write.resource)?;
    let answered_by = context::performers(&journey, &write.resource)?;
    let (id, version) = match kept::place(gateway, &journey, &write).await? {
        kept::Place::Already(stored) => return Ok(stored),
        kept::Place::Next(id, version) => (id, version),
    };
    if version > 1 {
        unchanged(gateway, &id, &taken).await?;
    }
    let context = Context::of(gateway, &journey, &write.resource, taken.scale(), &id, answered_by).await?;
    let resource = whole(&journey, &write.resource, &id, &taken, &context);
    let mut change = Change::new(&journey, now);
    let from = ("Observation", id.as_str());
    match &taken {
        Taken::Score(scale, raw) => {
            change.file(EVENT, resource, version);
            if let Some(converted) = converted(&journey, &write.resource, from, scale, *raw, &context) {
                change.file_next(&gateway.store, EVENT, converted, false).await?;
            }
        }
        Taken::Items(scale, items) if scale.part == Part::Group => {
            change.add(resource, version);
            for one in apart(&journey, &write.resource, from, items, &context) {
                change.file_next(&gateway.store, EVENT, one, false).await?;
            }
        }
        Taken::Items(..) => change.file(EVENT, resource, version),
        Taken::Absent(..) => change.add(resource, version),
    }
    change.commit(gateway, caller, &write).await
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

/// A correction is of the same measure, and a number does not become the absence of one: the
/// practice's record would keep the number.
async fn unchanged(gateway: &Gateway, id: &str, taken: &Taken<'_>) -> Result<(), Rejection> {
    let Some(stored) = gateway.store.read("Observation", id).await? else { return Ok(()) };
    let before = taken::observation(measures(), &parsed(&stored)?).ok();
    if before.as_ref().is_some_and(|before| before.scale().id != taken.scale().id) {
        return Err(check::refused("Observation", "code", "a correction is of the same measure"));
    }
    let had_number = before.is_some_and(|before| !matches!(before, Taken::Absent(..)));
    if had_number && matches!(taken, Taken::Absent(..)) {
        let words = "mark the score entered-in-error, and send the reason as a new Observation";
        return Err(check::refused("Observation", "dataAbsentReason", words));
    }
    Ok(())
}

/// What was sent with all that an entry must have: the one code that is given out, the number as a
/// quantity of scores, the version, the stage and who answered.
fn whole(journey: &Journey, sent: &Value, id: &str, taken: &Taken<'_>, context: &Context) -> Value {
    let mut resource = sent.clone();
    if let Some(members) = resource.as_object_mut() {
        observation::complete(members, journey.about(), id);
    }
    coded(&mut resource, taken.scale());
    match taken {
        Taken::Score(scale, number) => {
            // A decimal keeps the digits it came with: 0.850 is more exact than 0.85.
            let digits = sent["valueQuantity"]["value"].to_string();
            let keep = !scale.is_whole && Number::parse(&digits) == Some(*number);
            let digits = if keep { digits } else { number.to_string() };
            resource["valueQuantity"] = observation::score(&digits);
            if let Some(members) = resource.as_object_mut() {
                members.shift_remove("valueInteger");
            }
        }
        Taken::Items(scale, items) => {
            if let Some(profile) = taken::profile(scale, items) {
                resource["valueString"] = json!(profile);
            }
        }
        Taken::Absent(..) => {}
    }
    context.put(&mut resource, journey);
    resource
}

/// The one code that is given out, with the sender's text and without codes that are only taken.
fn coded(resource: &mut Value, scale: &Scale) {
    let (system, code, display) = scale.coding();
    let text = resource["code"]["text"].as_str().unwrap_or(display).to_owned();
    resource["code"] = json!({"coding": [{"system": system, "code": code, "display": display}], "text": text});
}

/// The converted score beside a raw total, where there is a conversion: under its own code, derived
/// from what was sent.
pub fn converted(
    journey: &Journey,
    sent: &Value,
    from: (&str, &str),
    total: &Scale,
    raw: Number,
    context: &Context,
) -> Option<Value> {
    let scale = measures().converted_from(total)?;
    let digits = measures().convert(scale, raw)?;
    let words = format!("{} {digits}, converted from the raw total {raw} by the published table.", scale.display);
    Some(derived(journey, sent, from, scale, digits, &words, context))
}

/// Items that are an entry each.
pub fn apart(
    journey: &Journey,
    sent: &Value,
    from: (&str, &str),
    items: &[(&Scale, Number)],
    context: &Context,
) -> Vec<Value> {
    let one = |(scale, number): &(&Scale, Number)| {
        let digits = number.to_string();
        derived(journey, sent, from, scale, &digits, &said(scale, &digits), context)
    };
    items.iter().map(one).collect()
}

/// A score in plain words.
pub fn said(scale: &Scale, digits: &str) -> String {
    match scale.range {
        Some((low, high)) => format!("{}: {digits} (from {low} to {high}).", scale.display),
        None => format!("{}: {digits}.", scale.display),
    }
}

/// An Observation that the gateway makes from what was sent.
pub fn derived(
    journey: &Journey,
    sent: &Value,
    from: (&str, &str),
    scale: &Scale,
    digits: &str,
    words: &str,
    context: &Context,
) -> Value {
    let mut made = bare(journey, sent, from, scale, words, context);
    made["valueQuantity"] = observation::score(digits);
    made
}

/// As [`derived`], without a value.
pub fn bare(
    journey: &Journey,
    sent: &Value,
    from: (&str, &str),
    scale: &Scale,
    words: &str,
    context: &Context,
) -> Value {
    let id = stable_id(&[from.1, &scale.id]).to_string();
    let said = Said {
        id: &id,
        status: status_of(sent),
        category: "survey",
        code: scale.coding(),
        effective: effective_of(sent),
        note: words,
    };
    let mut made = observation::entry(journey.about(), said);
    made["derivedFrom"] = json!([{"reference": format!("{}/{}", from.0, from.1)}]);
    context.put(&mut made, journey);
    made
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

/// The items of a panel as components.
pub fn components(items: &[(&Scale, Number)]) -> Value {
    let one = |(scale, number): &(&Scale, Number)| observation::component(scale.coding(), &number.to_string());
    Value::Array(items.iter().map(one).collect())
}

/// An Observation that says that there is no total, and why.
pub fn no_total(mut made: Value, words: &str) -> Value {
    made["dataAbsentReason"] = beside::absent_reason("unknown", words);
    made
}
