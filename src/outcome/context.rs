//! What stands beside a score as it is kept: the instrument's version, the stage, who answered.

use serde_json::{Value, json};

use super::check::{out_of_range, refused};
use super::journey::{Journey, parsed};
use super::measure::Scale;
use crate::fhir::measure::{self, ANSWERED_BY, ANSWERERS, STAGE, STAGES, VERSION};
use crate::fhir::{self, each, observation, split_reference};
use crate::gateway::Gateway;
use crate::rejection::Rejection;
use crate::store::{Criterion, Search, StoreError, Test, param};

/// Letters that a version may have.
const VERSION_MAX: usize = 100;
/// Earlier scores of one measure in one episode that are looked at for the stage.
const EARLIER_MAX: usize = 200;

/// The context of one score.
#[derive(Debug, Clone, Default)]
pub struct Context {
    version: Option<String>,
    stage: String,
    answered_by: Option<String>,
    /// The person or their relation who answered, by reference.
    source: Option<Value>,
}

impl Context {
    /// Reads it from what was sent; the stage, where it is not said, follows from what is there:
    /// the first score of a measure and version in an episode is the baseline, each later a review.
    ///
    /// # Errors
    /// 422 with the element: an unknown stage or answerer, a version that is too long.
    pub async fn of(
        gateway: &Gateway,
        journey: &Journey,
        sent: &Value,
        scale: &Scale,
        id: &str,
        answered_by: Option<&str>,
    ) -> Result<Self, Rejection> {
        let kind = fhir::kind(sent);
        let version = measure::version(sent).map(str::to_owned);
        if version.as_ref().is_some_and(|version| version.chars().count() > VERSION_MAX) {
            return Err(refused(kind, "method", format!("a version has at most {VERSION_MAX} letters")));
        }
        let stage = word(sent, STAGE, &STAGES)?;
        let answered_by = match word(sent, ANSWERED_BY, &ANSWERERS)? {
            Some(said) => Some(said),
            None => answered_by.map(str::to_owned),
        };
        let stage = match stage {
            Some(stage) => stage,
            None if is_first(gateway, journey, scale, version.as_deref(), id).await? => STAGES[0].to_owned(),
            None => STAGES[1].to_owned(),
        };
        Ok(Self { version, stage, answered_by, source: source_of(sent) })
    }

    /// Puts it into an Observation. Names of those who answered are left out: a relation is a third
    /// party, and the person's own name is in the subject.
    pub fn put(&self, resource: &mut Value, journey: &Journey) {
        if let Some(version) = &self.version {
            measure::set_extension(resource, VERSION, "valueString", version);
        }
        measure::set_extension(resource, STAGE, "valueCode", &self.stage);
        if let Some(answered_by) = &self.answered_by {
            measure::set_extension(resource, ANSWERED_BY, "valueCode", answered_by);
        }
        if !resource["performer"].is_array() {
            resource["performer"] = json!([]);
        }
        let Some(performers) = resource["performer"].as_array_mut() else { return };
        for performer in performers.iter_mut() {
            if matches!(measure::answerer(performer), Some("patient" | "related-person"))
                && let Some(members) = performer.as_object_mut()
            {
                members.shift_remove("display");
            }
        }
        let there = |one: &Value, of: &Value| one["reference"].is_string() && one["reference"] == of["reference"];
        if let Some(source) = self.source.as_ref().filter(|source| !performers.iter().any(|one| there(one, source))) {
            performers.insert(0, source.clone());
        }
        // The record's author is always an organisation that can be asked.
        if !performers.iter().any(|one| measure::answerer(one) == Some("")) {
            performers.push(observation::performer(journey.about()));
        }
    }
}

/// A coded extension of what was sent, one of `known`.
fn word(sent: &Value, url: &str, known: &[&str]) -> Result<Option<String>, Rejection> {
    match measure::extension(sent, url) {
        Some(word) if !known.contains(&word) => {
            let at = format!("{}.extension", fhir::kind(sent));
            Err(out_of_range(at, format!("{url} is one of {}", known.join(", "))))
        }
        found => Ok(found.map(str::to_owned)),
    }
}

/// `QuestionnaireResponse.source` as a performer, without a name.
fn source_of(sent: &Value) -> Option<Value> {
    let source = &sent["source"];
    let named = measure::answerer(source).is_some_and(|who| !who.is_empty()) && source["reference"].is_string();
    named.then(|| json!({"reference": source["reference"]}))
}

/// Who answered, by `Observation.performer`: each must be somebody who can, and a Patient the
/// person of the referral.
///
/// # Errors
/// 422 with the performer.
pub fn performers(journey: &Journey, sent: &Value) -> Result<Option<&'static str>, Rejection> {
    let mut found: Vec<&'static str> = Vec::new();
    for (i, performer) in each(&sent["performer"]).enumerate() {
        found.push(answerer(journey, performer, &format!("Observation.performer[{i}]"))?);
    }
    Ok(ANSWERERS.iter().find(|who| found.contains(who)).copied())
}

/// Who answered, by `QuestionnaireResponse.source`.
///
/// # Errors
/// 422 where it cannot have answered or is another person.
pub fn source(journey: &Journey, sent: &Value) -> Result<Option<&'static str>, Rejection> {
    if sent["source"].is_null() {
        return Ok(None);
    }
    let who = answerer(journey, &sent["source"], "QuestionnaireResponse.source")?;
    Ok(Some(who).filter(|who| !who.is_empty()))
}

fn answerer(journey: &Journey, reference: &Value, at: &str) -> Result<&'static str, Rejection> {
    let Some(who) = measure::answerer(reference) else {
        return Err(out_of_range(at, "a Patient, RelatedPerson, Practitioner, PractitionerRole or Organization"));
    };
    let other = |text: &str| split_reference(text) != split_reference(journey.patient());
    if who == "patient" && reference["reference"].as_str().is_some_and(other) {
        return Err(out_of_range(at, "it must be the person of the referral"));
    }
    Ok(who)
}

/// True when the episode has no other score of this measure and version.
async fn is_first(
    gateway: &Gateway,
    journey: &Journey,
    scale: &Scale,
    version: Option<&str>,
    id: &str,
) -> Result<bool, Rejection> {
    let is = |param, value: String, extra| Criterion { param, any_of: vec![Test::Is { value, extra }], negated: false };
    let criteria = vec![
        is(param::FOCUS, format!("ServiceRequest/{}", journey.episode.id), None),
        is(param::CODE, scale.code.clone(), Some(scale.system.clone())),
    ];
    let found = gateway.store.search(Search { criteria, count: EARLIER_MAX, ..Search::of("Observation") });
    let found = found.await.map_err(|fault: StoreError| Rejection::from(fault))?.found;
    for stored in found.iter().filter(|stored| stored.id != id) {
        let other = parsed(stored)?;
        let counts = other["status"].as_str() != Some("entered-in-error") && measure::absent(&other).is_none();
        if counts && measure::version(&other) == version {
            return Ok(false);
        }
    }
    Ok(true)
}
