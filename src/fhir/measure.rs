//! What stands beside a score: which version of the instrument, who answered, at which stage, and
//! why there is none.
//!
//! R4 has no elements for the stage or for who answered in a coded form, so they are extensions;
//! the version is `Observation.method` where a sender says it, and an extension as it is kept.
//! <https://hl7.org/fhir/R4/observation.html>,
//! <http://terminology.hl7.org/CodeSystem/data-absent-reason>

use serde_json::{Value, json};

use super::{each, split_reference};

/// The version of an instrument, its scoring or its value set: `valueString`.
pub const VERSION: &str = "https://fingerpost.dev/StructureDefinition/instrument-version";
/// `baseline`, `review` or `closure`: `valueCode`.
pub const STAGE: &str = "https://fingerpost.dev/StructureDefinition/measure-stage";
/// `patient`, `related-person` or `staff`: `valueCode`.
pub const ANSWERED_BY: &str = "https://fingerpost.dev/StructureDefinition/answered-by";
/// The system of reasons why there is no value.
pub const ABSENT: &str = "http://terminology.hl7.org/CodeSystem/data-absent-reason";
/// The stages, in order.
pub const STAGES: [&str; 3] = ["baseline", "review", "closure"];
/// Who may have answered.
pub const ANSWERERS: [&str; 3] = ["patient", "related-person", "staff"];

/// The code or string of a resource's extension.
pub fn extension<'a>(resource: &'a Value, url: &str) -> Option<&'a str> {
    let found = each(&resource["extension"]).find(|extension| extension["url"].as_str() == Some(url))?;
    found["valueCode"].as_str().or_else(|| found["valueString"].as_str())
}

/// Sets an extension of a resource, in the place of one with that URL.
pub fn set_extension(resource: &mut Value, url: &str, name: &str, text: &str) {
    if !resource["extension"].is_array() {
        resource["extension"] = json!([]);
    }
    if let Some(list) = resource["extension"].as_array_mut() {
        list.retain(|extension| extension["url"].as_str() != Some(url));
        list.push(json!({"url": url, name: text}));
    }
}

/// The version of the instrument: the extension, else what `method` says, else the version of the
/// questionnaire's canonical.
pub fn version(resource: &Value) -> Option<&str> {
    let method = &resource["method"];
    let coded = || each(&method["coding"]).find_map(|coding| coding["code"].as_str());
    let canonical = || resource["questionnaire"].as_str()?.split_once('|').map(|(_, version)| version);
    let said = extension(resource, VERSION).or_else(|| method["text"].as_str()).or_else(coded).or_else(canonical);
    said.map(str::trim).filter(|version| !version.is_empty())
}

/// Who answered by a reference's type: `patient`, `related-person`, `staff`; `Some("")` for an
/// organisation, which answers nothing; `None` for what cannot answer.
pub fn answerer(reference: &Value) -> Option<&'static str> {
    let by_reference = reference["reference"].as_str().and_then(split_reference).map(|(kind, _)| kind);
    match by_reference.or_else(|| reference["type"].as_str()).unwrap_or("") {
        "Patient" => Some("patient"),
        "RelatedPerson" => Some("related-person"),
        "Practitioner" | "PractitionerRole" | "CareTeam" => Some("staff"),
        "Organization" => Some(""),
        _ => None,
    }
}

/// The reason why there is no value, where one is given.
pub fn absent(resource: &Value) -> Option<&str> {
    let reason = &resource["dataAbsentReason"];
    if reason.is_null() {
        return None;
    }
    Some(super::coding(reason, ABSENT).unwrap_or(""))
}

/// A reason why there is no value.
pub fn absent_reason(code: &str, text: &str) -> Value {
    json!({"coding": [{"system": ABSENT, "code": code}], "text": text})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_where_it_is_said() {
        assert_eq!(version(&json!({"method": {"text": " UK 2026 "}})), Some("UK 2026"));
        assert_eq!(version(&json!({"method": {"coding": [{"code": "v2"}]}})), Some("v2"));
        assert_eq!(version(&json!({"questionnaire": "https://a.example/q|3"})), Some("3"));
        assert_eq!(version(&json!({"questionnaire": "https://a.example/q"})), None);
        let mut kept = json!({"method": {"text": "a"}});
        set_extension(&mut kept, VERSION, "valueString", "b");
        set_extension(&mut kept, VERSION, "valueString", "c");
        assert_eq!((version(&kept), each(&kept["extension"]).count()), (Some("c"), 1));
    }

    #[test]
    fn only_people_answer() {
        let of = |reference: &str| answerer(&json!({"reference": reference}));
        assert_eq!(of("Patient/1"), Some("patient"));
        assert_eq!(of("RelatedPerson/1"), Some("related-person"));
        assert_eq!(of("Device/1"), None);
        assert_eq!(answerer(&json!({"type": "Practitioner", "display": "x"})), Some("staff"));
    }
}
