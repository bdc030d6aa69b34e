//! Observations for the GP record, shaped by UK Core: code, subject by NHS number, performer by
//! ODS code, the referral they are based on, a score or a coded value, and plain words.
//! <https://simplifier.net/hl7fhirukcorer4/ukcore-observation>
//!
//! Social prescribing codes are procedures and situations, outside UK Core's preferred value set
//! for `code`: a warning for validators, not a fault.

use serde_json::{Map, Value, json};

use super::ids::{NHS_NUMBER, ODS};

/// The system of the gateway's own identifiers of filed entries.
pub const OUTCOME: &str = "https://fingerpost.dev/id/outcome";
const PROFILE: &str = "https://fhir.hl7.org.uk/StructureDefinition/UKCore-Observation";
const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";
const UCUM: &str = "http://unitsofmeasure.org";

/// Whom an entry is about, for what and by whom.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// `Patient/id`.
    pub patient: &'a str,
    /// The person's NHS number.
    pub nhs_number: &'a str,
    /// The ServiceRequest's logical id.
    pub referral: &'a str,
    /// Its first identifier, by which the practice knows it.
    pub referral_identifier: Option<&'a Value>,
    /// The ODS code of the pool's organisation.
    pub performer: &'a str,
}

/// What is observed.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// The Observation's logical id.
    pub id: &'a str,
    /// `final`, `amended`, `corrected` or `entered-in-error`.
    pub status: &'a str,
    /// `survey` or `social-history`.
    pub category: &'a str,
    /// System, code and display.
    pub code: (&'a str, &'a str, &'a str),
    /// When, as FHIR dateTime.
    pub effective: &'a str,
    /// In plain words; no names.
    pub note: &'a str,
}

/// The person, by reference and NHS number.
pub fn subject(about: About<'_>) -> Value {
    json!({
        "reference": about.patient,
        "type": "Patient",
        "identifier": {"system": NHS_NUMBER, "value": about.nhs_number},
    })
}

/// The referral, by reference and the identifier that its practice knows.
pub fn based_on(about: About<'_>) -> Value {
    let mut referral = json!({"reference": format!("ServiceRequest/{}", about.referral), "type": "ServiceRequest"});
    if let Some(identifier) = about.referral_identifier {
        referral["identifier"] = identifier.clone();
    }
    referral
}

/// The pool's organisation.
pub fn performer(about: About<'_>) -> Value {
    json!({"type": "Organization", "identifier": {"system": ODS, "value": about.performer}})
}

/// The identifier under which a practice system finds the entry again.
pub fn identifier(id: &str) -> Value {
    json!({"system": OUTCOME, "value": id})
}

/// A whole Observation without a value.
pub fn entry(about: About<'_>, said: Said<'_>) -> Value {
    let (system, code, display) = said.code;
    json!({
        "resourceType": "Observation",
        "id": said.id,
        "meta": {"profile": [PROFILE]},
        "identifier": [identifier(said.id)],
        "basedOn": [based_on(about)],
        "status": said.status,
        "category": [{"coding": [{"system": CATEGORY, "code": said.category}]}],
        "code": {"coding": [{"system": system, "code": code, "display": display}], "text": display},
        "subject": subject(about),
        "effectiveDateTime": said.effective,
        "performer": [performer(about)],
        "note": [{"text": said.note}],
    })
}

/// A score as a quantity. `digits` is the number as text, so that none is lost.
pub fn score(digits: &str) -> Value {
    let value: Value = serde_json::from_str(digits).unwrap_or(Value::Null);
    json!({"value": value, "unit": "score", "system": UCUM, "code": "{score}"})
}

/// One component of a panel.
pub fn component(code: (&str, &str, &str), digits: &str) -> Value {
    let (system, code, display) = code;
    json!({
        "code": {"coding": [{"system": system, "code": code, "display": display}], "text": display},
        "valueQuantity": score(digits),
    })
}

/// What a sender's Observation must have, put in where it is absent: the gateway's identifier,
/// the profile, a category, the subject and referral with their identifiers, a performer.
pub fn complete(observation: &mut Map<String, Value>, about: About<'_>, id: &str) {
    observation.insert("id".to_owned(), json!(id));
    let identifiers = observation.entry("identifier").or_insert_with(|| json!([]));
    if let Some(list) = identifiers.as_array_mut() {
        list.retain(|one| one["system"].as_str() != Some(OUTCOME));
        list.insert(0, identifier(id));
    }
    let meta = observation.entry("meta").or_insert_with(|| json!({}));
    if meta["profile"].is_null() {
        meta["profile"] = json!([PROFILE]);
    }
    observation.entry("category").or_insert_with(|| json!([{"coding": [{"system": CATEGORY, "code": "survey"}]}]));
    observation.insert("subject".to_owned(), subject(about));
    observation.insert("basedOn".to_owned(), json!([based_on(about)]));
    observation.entry("performer").or_insert_with(|| json!([performer(about)]));
}
