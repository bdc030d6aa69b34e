//! What routing reads from resources, and that what is not right is not guessed.
#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;
use crate::fhir::ids::OdsCode;

fn filled(request: Value, patient: Value, flags: Vec<Value>) -> RouteInput {
    let on = "2026-11-25".parse().unwrap();
    let input = RouteInput::at(OdsCode::parse("N84001").unwrap(), on);
    fill(input, Said { request: &request, patient: &patient, all: &flags }, Source::GeneralPractice, true)
}

fn sct(code: &str) -> Value {
    json!({"coding": [{"system": SNOMED, "code": code}]})
}

fn flag(category: &str, code: &str) -> Value {
    json!({"resourceType": "Flag", "status": "active", "category": [{"coding": [{"system": FLAG_CATEGORY, "code": category}]}],
        "code": sct(code)})
}

#[test]
fn a_womans_wish_in_urdu_is_read_whole() {
    let request = json!({
        "reasonCode": [sct("267076002"), sct("314434008")],
        "locationCode": [{"coding": [{"code": "PTRES"}]}],
        "occurrenceTiming": {"repeat": {"dayOfWeek": ["sat", "sat"], "timeOfDay": ["18:00:00"]}},
        "extension": [{"url": SOURCE, "valueCodeableConcept": sct("310434002")}],
        "performerType": {"coding": [{"system": "https://place.example/skills", "code": "Debt Advice"}]},
    });
    let patient = json!({
        "birthDate": "1960-11-26",
        "communication": [{"language": {"coding": [{"code": "en"}]}}, {"language": {"coding": [{"code": "ur-PK"}]}, "preferred": true}],
        "address": [{"use": "home", "postalCode": "ls8 4aa"}],
    });
    let input = filled(request, patient, vec![flag("RA", "315594003"), flag("SG", "1108191000000103")]);
    assert_eq!((input.age, input.language.as_deref(), input.interpreter), (Some(65), Some("ur"), true));
    assert_eq!((input.worker_sex, input.home_visit, input.accessible), (Some(Sex::Female), true, true));
    assert_eq!((input.days.as_slice(), input.evening), (&[Day::Sat][..], true));
    assert_eq!((input.source, input.safeguarding), (Source::SelfReferral, true));
    assert_eq!(
        (input.district.as_deref(), input.specialisms.as_slice()),
        (Some("LS8"), &["debt-advice".to_owned()][..])
    );
    assert_eq!(input.needs, ["267076002", "314434008"]);
}

#[test]
fn what_is_not_said_is_not_guessed() {
    let input = filled(json!({}), json!({}), vec![]);
    let plain = RouteInput::at(input.practice.clone().unwrap(), input.on);
    assert_eq!(input, plain);
}

#[test]
fn what_is_not_right_or_contradicts_itself_says_nothing() {
    let request = json!({"reasonCode": [sct("314434008"), sct("314435009")], "occurrenceTiming": {"repeat": {
        "dayOfWeek": ["someday"], "timeOfDay": ["18:00:00", "09:00:00"]}}});
    let patient = json!({"birthDate": "2030-01-01", "address": [{"postalCode": "?"}],
        "communication": [{"language": {"coding": [{"code": "Urdu!"}]}, "preferred": true}]});
    let mut ended = flag("SG", "315594003");
    ended["status"] = json!("inactive");
    let input = filled(request, patient, vec![ended]);
    assert_eq!((input.age, input.language, input.interpreter), (None, None, false));
    assert_eq!((input.worker_sex, input.days, input.evening, input.district), (None, vec![], false, None));
    assert!(!input.safeguarding);
}

#[test]
fn languages_come_by_code_too_and_english_is_none() {
    let spoken = |codes: &[&str]| {
        filled(json!({"reasonCode": codes.iter().map(|c| sct(c)).collect::<Vec<_>>()}), json!({}), vec![])
    };
    assert_eq!(spoken(&["315588006"]).language.as_deref(), Some("ur"));
    let interpreted = spoken(&["204211000000109"]);
    assert_eq!((interpreted.language.as_deref(), interpreted.interpreter), (Some("ur"), true));
    assert_eq!(spoken(&["315570003"]).language, None);
    let older = json!({"extension": [{"url": "https://fhir.hl7.org.uk/STU3/StructureDefinition/Extension-CareConnect-NHSCommunication-1",
        "extension": [{"url": "language", "valueCodeableConcept": {"coding": [{"code": "pl"}]}}, {"url": "interpreterRequired", "valueBoolean": true}]}]});
    let input = filled(json!({}), older, vec![]);
    assert_eq!((input.language.as_deref(), input.interpreter), (Some("pl"), true));
}

#[test]
fn an_age_is_whole_years_on_the_day() {
    let age = |born: &str| filled(json!({}), json!({"birthDate": born}), vec![]).age;
    assert_eq!((age("2000-11-25"), age("2000-11-26"), age("2000")), (Some(26), Some(25), Some(26)));
    assert_eq!((age("1700-01-01"), age("not a date"), age("2000-13-01")), (None, None, None));
}

#[test]
fn a_restricted_person_has_no_district() {
    let on = "2026-11-25".parse().unwrap();
    let mut input = RouteInput::at(OdsCode::parse("N84001").unwrap(), on);
    input.restricted = true;
    let patient = json!({"address": [{"postalCode": "LS8 4AA"}]});
    let said = Said { request: &json!({}), patient: &patient, all: &[] };
    assert_eq!(fill(input, said, Source::default(), true).district, None);
}
