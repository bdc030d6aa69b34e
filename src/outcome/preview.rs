//! What a write would put into the GP record and what the person would read of it, made by the
//! write itself up to its commit. Nothing is kept.
//!
//! A Parameters: `share` (the person's choice), an `entry` each with the `resource`, whether it is
//! `filed`, whether it is `shown-online` and what the person `reads`, and `patient-reads`: all
//! that they would read, a line an entry, as an app lists a record.
//! <https://hl7.org/fhir/R4/parameters.html>

use jiff::Timestamp;
use serde_json::{Value, json};

use super::journey::Journey;
use super::{Write, record};
use crate::access::Caller;
use crate::fhir::{self, each, observation};
use crate::gateway::Gateway;
use crate::rejection::Rejection;
use crate::store::Stored;

/// The type under which [`record`] answers a preview.
const PARAMETERS: &str = "Parameters";

/// Shows what `write` would file for a Task, and the patient concerned (`Patient/id`).
///
/// # Errors
/// As [`record`]; 422 where the write belongs to another Task.
pub async fn preview(
    gateway: &Gateway,
    caller: &Caller,
    task: &str,
    write: Write,
) -> Result<(Value, String), Rejection> {
    let journey = Journey::of_task(gateway, caller, task).await?;
    let patient = journey.patient().to_owned();
    if write.kind == "Task" && write.id.as_deref() != Some(task) {
        return Err(Rejection::unprocessable(
            crate::rejection::IssueType::Invalid,
            "it is another Task than the one asked",
        )
        .at("Parameters.parameter[0].resource.id"));
    }
    if write.kind != "Task" {
        let other = match &write.id {
            None => Journey::of_outcome(gateway, caller, &write.resource).await?,
            Some(_) => super::kept::journey(gateway, caller, &write).await?,
        };
        if other.episode.id != journey.episode.id {
            return Err(super::check::refused(&write.kind, "basedOn", "it is an outcome of another Task"));
        }
    }
    let shown = record(gateway, caller, Write { show: true, ..write }).await?;
    if shown.kind != PARAMETERS {
        // It was recorded before: sending it again files nothing.
        return Ok((parameters(&journey, &[]), patient));
    }
    Ok((super::journey::parsed(&shown)?, patient))
}

/// The preview as what a commit answers.
pub fn stored(journey: &Journey, at: Timestamp, shown: &[(Value, bool)]) -> Stored {
    Stored {
        kind: PARAMETERS.to_owned(),
        id: String::new(),
        version: 1,
        at,
        deleted: false,
        body: parameters(journey, shown).to_string().into(),
        lineage: String::new(),
    }
}

fn parameters(journey: &Journey, shown: &[(Value, bool)]) -> Value {
    let mut all = vec![json!({"name": "share", "valueCode": journey.share.word()})];
    let mut lines = Vec::new();
    for (resource, is_filed) in shown {
        let is_shown = *is_filed && !observation::is_hidden(resource);
        let mut parts = vec![
            json!({"name": "resource", "resource": resource}),
            json!({"name": "filed", "valueBoolean": is_filed}),
            json!({"name": "shown-online", "valueBoolean": is_shown}),
        ];
        if is_shown {
            let line = reads(resource);
            parts.push(json!({"name": "reads", "valueString": line}));
            lines.push(line);
        }
        all.push(json!({"name": "entry", "part": parts}));
    }
    let text = if lines.is_empty() { "Nothing new.".to_owned() } else { lines.join("\n") };
    all.push(json!({"name": "patient-reads", "valueString": text}));
    json!({"resourceType": PARAMETERS, "parameter": all})
}

/// One entry as the person would read it: the day, the term, the value, the words.
pub fn reads(observation: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("").trim().to_owned();
    let term = |concept: &Value| {
        let display = each(&concept["coding"]).find_map(|coding| coding["display"].as_str());
        display.or_else(|| concept["text"].as_str()).unwrap_or("").to_owned()
    };
    let number = |of: &Value| {
        let quantity = &of["valueQuantity"];
        let value = &quantity["value"];
        value.is_number().then(|| format!("{value} {}", text(&quantity["unit"])).trim().to_owned())
    };
    let mut values: Vec<String> = number(observation).into_iter().collect();
    let coded = each(&observation["valueCodeableConcept"]["coding"]).filter_map(|coding| coding["display"].as_str());
    values.extend(coded.map(str::to_owned));
    values.extend(Some(text(&observation["valueString"])).filter(|words| !words.is_empty()));
    for component in each(&observation["component"]) {
        values.push(format!("{} {}", term(&component["code"]), number(component).unwrap_or_default()));
    }
    let when = text(&observation["effectiveDateTime"]);
    let mut line = format!("{} {}", day(&when), term(&observation["code"]));
    if !values.is_empty() {
        line = format!("{line}: {}", values.join("; "));
    }
    let notes: Vec<String> = each(&observation["note"]).map(|note| text(&note["text"])).collect();
    if notes.is_empty() { line } else { format!("{line}. {}", notes.join(" ").replace('\n', " ")) }
}

/// The London day of an instant; a partial date as it is.
fn day(when: &str) -> String {
    match when.parse::<Timestamp>() {
        Ok(at) => at.to_zoned(crate::clock::london()).strftime("%-d %B %Y").to_string(),
        Err(_) => fhir::dates::bounds(when).map_or_else(String::new, |_| when.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_reads_as_an_app_lists_it() {
        let mut entry = json!({
            "code": {"coding": [{"display": "Short score"}]}, "effectiveDateTime": "2026-07-01T23:30:00Z",
            "valueQuantity": {"value": 21, "unit": "score"}, "note": [{"text": "Well.\nRecorded by A."}],
        });
        assert_eq!(reads(&entry), "2 July 2026 Short score: 21 score. Well. Recorded by A.");
        entry["effectiveDateTime"] = json!("2026-07");
        entry["note"] = Value::Null;
        assert_eq!(reads(&entry), "2026-07 Short score: 21 score");
    }
}
