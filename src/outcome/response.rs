//! A measure sent as a QuestionnaireResponse: kept, and its scores made into Observations.
//! <https://hl7.org/fhir/R4/questionnaireresponse.html>
//!
//! Which measure it is stands in `questionnaire` (a canonical whose text has `swemwbs` or `ons4`).
//! SWEMWBS: seven numeric answers of 1 to 5. ONS4: items by link id. No licensed wording is kept
//! here; what the sender's form says is the sender's.

use serde_json::{Value, json};

use super::change::Change;
use super::journey::Journey;
use super::{Write, check, entries, kept, measure, score, state};
use crate::access::Caller;
use crate::fhir::each;
use crate::fhir::ids::stable_id;
use crate::fhir::observation::{self, Said};
use crate::referral::Gateway;
use crate::rejection::{IssueType, Rejection};
use crate::store::Stored;

/// Groups inside one another that are looked through.
const DEPTH_MAX: usize = 8;

/// Creates or updates a QuestionnaireResponse.
pub async fn record(gateway: &Gateway, caller: &Caller, write: Write) -> Result<Stored, Rejection> {
    let journey = kept::journey(gateway, caller, &write).await?;
    let now = gateway.clock.now();
    check::belongs(&journey, &write.resource, state::measures)?;
    let status = write.resource["status"].as_str().unwrap_or("");
    if !matches!(status, "completed" | "amended" | "entered-in-error") {
        return Err(check::refused("QuestionnaireResponse", "status", "only a completed response is scored"));
    }
    check::date(&journey, write.resource["authored"].as_str(), "QuestionnaireResponse.authored", now)?;
    let instrument = instrument(&write.resource)?;
    let answers = answers(&write.resource);
    let (id, version) = match kept::place(gateway, &journey, &write).await? {
        kept::Place::Already(stored) => return Ok(stored),
        kept::Place::Next(id, version) => (id, version),
    };
    let mut response = write.resource.clone();
    response["id"] = json!(id);
    response["subject"] = observation::subject(journey.about());
    response["basedOn"] = json!([observation::based_on(journey.about())]);
    let mut change = Change::new(&journey, now);
    change.add(response, version);
    for observation in scores(&journey, &write.resource, &id, instrument, &answers)? {
        change.file_next(&gateway.store, "score", observation, false).await?;
    }
    change.commit(gateway, caller, &write).await
}

#[derive(Clone, Copy)]
enum Instrument {
    Swemwbs,
    Ons4,
}

fn instrument(response: &Value) -> Result<Instrument, Rejection> {
    let named = response["questionnaire"].as_str().unwrap_or("").to_ascii_lowercase().replace(['-', '_'], "");
    match (named.contains("swemwbs"), named.contains("ons4")) {
        (true, false) => Ok(Instrument::Swemwbs),
        (false, true) => Ok(Instrument::Ons4),
        _ => Err(Rejection::unprocessable(IssueType::NotSupported, "SWEMWBS and ONS4 are the measures taken here")
            .at("QuestionnaireResponse.questionnaire")),
    }
}

/// `(path, link id, number)` of every answered item; a number that is none is `None`.
fn answers(response: &Value) -> Vec<(String, String, Option<i64>)> {
    let mut found = Vec::new();
    collect(&response["item"], "QuestionnaireResponse.item", 0, &mut found);
    found
}

fn collect(items: &Value, path: &str, depth: usize, found: &mut Vec<(String, String, Option<i64>)>) {
    if depth > DEPTH_MAX {
        return;
    }
    for (i, item) in each(items).enumerate() {
        let here = format!("{path}[{i}]");
        if let Some(answer) = each(&item["answer"]).next() {
            let number = answer["valueInteger"].as_i64().or_else(|| answer["valueDecimal"].as_i64());
            let coded = || answer["valueCoding"]["code"].as_str().and_then(|code| code.parse().ok());
            found.push((here.clone(), item["linkId"].as_str().unwrap_or("").to_lowercase(), number.or_else(coded)));
        }
        collect(&item["item"], &format!("{here}.item"), depth + 1, found);
    }
}

fn scores(
    journey: &Journey,
    sent: &Value,
    id: &str,
    instrument: Instrument,
    answers: &[(String, String, Option<i64>)],
) -> Result<Vec<Value>, Rejection> {
    match instrument {
        Instrument::Swemwbs => {
            let raw = raw_total(answers)?;
            let total = observation(journey, sent, id, "swemwbs", &format!("SWEMWBS raw total {raw} of 7 to 35."))?;
            let mut total = total;
            total["valueQuantity"] = observation::score(&raw.to_string());
            Ok(vec![total, score::metric(journey, sent, ("QuestionnaireResponse", id), raw)?])
        }
        Instrument::Ons4 => {
            let words = "ONS4: four items of 0 to 10, reported apart; for anxiety lower is better.";
            let mut panel = observation(journey, sent, id, "ons4", words)?;
            panel["component"] = components(answers)?;
            Ok(vec![panel])
        }
    }
}

fn raw_total(answers: &[(String, String, Option<i64>)]) -> Result<i64, Rejection> {
    for (path, _, number) in answers {
        if !number.is_some_and(|number| measure::SWEMWBS_ITEM.contains(&number)) {
            return Err(check::out_of_range(format!("{path}.answer"), "a SWEMWBS item is a whole number from 1 to 5"));
        }
    }
    if answers.len() != measure::SWEMWBS_ITEMS {
        return Err(check::out_of_range("QuestionnaireResponse.item", "SWEMWBS needs all seven answers and no other"));
    }
    Ok(answers.iter().filter_map(|(_, _, number)| *number).sum())
}

fn components(answers: &[(String, String, Option<i64>)]) -> Result<Value, Rejection> {
    let mut components = Vec::new();
    let mut seen = Vec::new();
    for (path, link, number) in answers {
        let item = measure::ONS4.iter().find(|(_, beginning)| link.contains(beginning)).map(|(event, _)| *event);
        let code = item.filter(|event| !seen.contains(event)).and_then(entries::code);
        let Some(code) = code else {
            let words = "the link id must name satisfaction, worthwhile, happiness or anxiety, each once";
            return Err(check::out_of_range(format!("{path}.linkId"), words));
        };
        seen.extend(item);
        let Some(number) = number.filter(|number| measure::ONS4_ITEM.contains(number)) else {
            let words = "an ONS4 item is a whole number from 0 to 10";
            return Err(check::out_of_range(format!("{path}.answer"), words));
        };
        components.push(observation::component((&code.system, &code.code, &code.display), &number.to_string()));
    }
    if components.is_empty() {
        return Err(check::out_of_range("QuestionnaireResponse.item", "there is no answer in it"));
    }
    Ok(Value::Array(components))
}

fn observation(journey: &Journey, sent: &Value, id: &str, event: &str, words: &str) -> Result<Value, Rejection> {
    let code = entries::code(event).ok_or_else(Rejection::not_found)?;
    let own = stable_id(&[id, event]).to_string();
    let said = Said {
        id: &own,
        status: score::status_of(sent),
        category: "survey",
        code: (&code.system, &code.code, &code.display),
        effective: score::effective_of(sent),
        note: words,
    };
    let mut observation = observation::entry(journey.about(), said);
    observation["derivedFrom"] = json!([{"reference": format!("QuestionnaireResponse/{id}")}]);
    Ok(observation)
}
