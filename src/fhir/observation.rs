//! Observations for the GP record, shaped by UK Core: code, subject by NHS number, performer by
//! ODS code, the referral they are based on, a score or a coded value, and plain words.
//! <https://simplifier.net/hl7fhirukcorer4/ukcore-observation>
//!
//! Social prescribing codes are procedures and situations, outside UK Core's preferred value set
//! for `code`: a warning for validators, not a fault.
//!
//! What an entry says beyond UK Core, and who reads it back ([`author`], [`is_hidden`],
//! [`description_id`], [`practice_codes`]):
//!
//! - not for the person's own eyes online: `meta.security` [`HIDDEN`] of v3-ActCode, on an entry
//!   of its own;
//! - who recorded it: `performer` holds the link worker as `type` Practitioner with `display`, the
//!   role in the extension [`ROLE`], and the pool's organisation as `type` Organization with
//!   `identifier` (ODS) and `display`. The last line of `note` says the same in words, because
//!   some systems show the gateway's own login as the author;
//! - the term's SNOMED CT description id: the extension [`DESCRIPTION_ID`] (`valueId`) on the coding;
//! - codes of the practice system's own dictionary: the extension [`PRACTICE_CODE`] on the coding,
//!   once a scheme, with `scheme` (`READ2`, `CTV3`, `EMIS`) and `code`. They are no codings of
//!   the entry: nationally only the SNOMED CT code is given out.

use serde_json::{Map, Value, json};

use super::ids::{NHS_NUMBER, ODS};

/// The system of the gateway's own identifiers of filed entries.
pub const OUTCOME: &str = "https://fingerpost.dev/id/outcome";
/// The system of the idempotency key of one filing: one version of an entry.
pub const WRITE_BACK: &str = "https://fingerpost.dev/id/write-back";
/// What the systems of practices' own codes begin with, where nobody gave them one.
const LOCAL_CODE: &str = "https://fingerpost.dev/CodeSystem/practice-system";
const PROFILE: &str = "https://fhir.hl7.org.uk/StructureDefinition/UKCore-Observation";
const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";
const UCUM: &str = "http://unitsofmeasure.org";

/// The system of [`HIDDEN`]. <https://terminology.hl7.org/CodeSystem-v3-ActCode.html>
pub const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
/// The security label of what the person must not be shown online.
pub const HIDDEN: &str = "NOPAT";
/// On a reference to a person who did something: what they are, as `valueString`.
pub const ROLE: &str = "https://fingerpost.dev/StructureDefinition/performer-role";
/// On a coding: the SNOMED CT description id of its term, as `valueId`.
pub const DESCRIPTION_ID: &str = "https://fingerpost.dev/StructureDefinition/description-id";
/// On a coding: a code of a practice system's own dictionary, as `scheme` and `code`.
pub const PRACTICE_CODE: &str = "https://fingerpost.dev/StructureDefinition/practice-system-code";

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

/// Puts the idempotency key of a filing into an entry that leaves: in its identifiers, where it is
/// searched for, and in its text, for systems that keep nothing else.
pub fn keyed(entry: &mut Value, key: &str) {
    if let Some(identifiers) = entry["identifier"].as_array_mut() {
        identifiers.push(json!({"system": WRITE_BACK, "value": key}));
    } else {
        entry["identifier"] = json!([{"system": WRITE_BACK, "value": key}]);
    }
    let words = format!("Reference {key}.");
    match entry["note"].as_array_mut().and_then(|notes| notes.last_mut()) {
        Some(note) => note["text"] = json!(format!("{} {words}", note["text"].as_str().unwrap_or("").trim_end())),
        None => entry["note"] = json!([{"text": words}]),
    }
}

/// Puts a code of the practice system's own dictionary before the entry's codings.
pub fn localised(entry: &mut Value, scheme: &str, code: &str) {
    let system = match scheme {
        "READ2" => "http://read.info/readv2".to_owned(),
        "CTV3" => "http://read.info/ctv3".to_owned(),
        other if other.contains(':') => other.to_owned(),
        other => format!("{LOCAL_CODE}/{other}"),
    };
    if let Some(codings) = entry["code"]["coding"].as_array_mut() {
        codings.insert(0, json!({"system": system, "code": code}));
    }
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

/// Who recorded an entry; an empty text is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Author {
    /// The link worker's name.
    pub name: String,
    /// What they are.
    pub role: String,
    /// Their organisation's ODS code.
    pub ods: String,
    /// Its name.
    pub organisation: String,
}

/// The author as `performer`: the person where a name is known, then the organisation.
pub fn performers(author: &Author) -> Value {
    let mut performers = Vec::new();
    if !author.name.is_empty() {
        let mut person = json!({"type": "Practitioner", "display": author.name});
        if !author.role.is_empty() {
            person["extension"] = json!([{"url": ROLE, "valueString": author.role}]);
        }
        performers.push(person);
    }
    let mut organisation = json!({"type": "Organization", "identifier": {"system": ODS, "value": author.ods}});
    if !author.organisation.is_empty() {
        organisation["display"] = json!(author.organisation);
    }
    performers.push(organisation);
    Value::Array(performers)
}

/// Reads [`performers`] back.
pub fn author(observation: &Value) -> Author {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let of = |kind: &str| super::each(&observation["performer"]).find(|one| one["type"].as_str() == Some(kind));
    let mut author = Author::default();
    if let Some(person) = of("Practitioner") {
        author.name = text(&person["display"]);
        author.role = super::extension(person, ROLE).map(|role| text(&role["valueString"])).unwrap_or_default();
    }
    if let Some(organisation) = of("Organization") {
        author.ods = text(&organisation["identifier"]["value"]);
        author.organisation = text(&organisation["display"]);
    }
    author
}

/// The security label that keeps an entry out of the person's online view.
pub fn hidden() -> Value {
    json!({"system": ACT_CODE, "code": HIDDEN, "display": "no disclosure to patient, family or caregivers without \
        attending provider's authorization"})
}

/// True when the resource is marked not to be shown to the person online.
pub fn is_hidden(resource: &Value) -> bool {
    super::each(&resource["meta"]["security"])
        .any(|label| label["code"].as_str() == Some(HIDDEN) && label["system"].as_str() == Some(ACT_CODE))
}

/// The SNOMED CT description id of a coding's term.
pub fn description_id(coding: &Value) -> Option<&str> {
    super::extension(coding, DESCRIPTION_ID)?["valueId"].as_str()
}

/// `(scheme, code)` of a coding in practice systems' own dictionaries.
pub fn practice_codes(coding: &Value) -> Vec<(String, String)> {
    let ours = super::each(&coding["extension"]).filter(|one| one["url"].as_str() == Some(PRACTICE_CODE));
    let part = |one: &Value, name: &str| {
        super::extension(one, name).and_then(|part| part["valueString"].as_str()).unwrap_or("").to_owned()
    };
    ours.map(|one| (part(one, "scheme"), part(one, "code"))).collect()
}

/// Puts what is known of a term beside its coding.
pub fn annotate(coding: &mut Value, description_id: &str, practice_codes: &[(String, String)]) {
    let mut extensions = Vec::new();
    if !description_id.is_empty() {
        extensions.push(json!({"url": DESCRIPTION_ID, "valueId": description_id}));
    }
    extensions.extend(practice_codes.iter().map(|(scheme, code)| {
        let parts = json!([{"url": "scheme", "valueString": scheme}, {"url": "code", "valueString": code}]);
        json!({"url": PRACTICE_CODE, "extension": parts})
    }));
    if !extensions.is_empty() {
        coding["extension"] = Value::Array(extensions);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_beside_an_entry_is_read_back() {
        let author = Author {
            name: "Sam Fiction".into(),
            role: "Social prescribing link worker".into(),
            ods: "FPE01".into(),
            organisation: "Fictional Wellbeing".into(),
        };
        let mut coding = json!({"system": "http://snomed.info/sct", "code": "281399006"});
        let codes = [("READ2".to_owned(), "9Ni..".to_owned()), ("CTV3".to_owned(), "Xa1kG".to_owned())];
        annotate(&mut coding, "418943019", &codes);
        let entry = json!({
            "resourceType": "Observation", "status": "final", "meta": {"security": [hidden()]},
            "code": {"coding": [coding]}, "performer": performers(&author),
        });
        assert!(super::super::check::check(&entry).is_ok());
        assert_eq!(super::author(&entry), author);
        assert!(is_hidden(&entry) && !is_hidden(&json!({"meta": {"security": [{"code": "NOPAT"}]}})));
        let coding = &entry["code"]["coding"][0];
        assert_eq!((description_id(coding), practice_codes(coding)), (Some("418943019"), codes.to_vec()));
        assert_eq!(super::author(&json!({"performer": performers(&Author::default())})), Author::default());
    }
}
