//! Synthetic referrals, as many as a test wants: nobody in them exists.

use serde_json::{Value, json};

/// NHS numbers that a test may ask for.
const NUMBERS: usize = 40_000;

/// The `n`th NHS number of the test range (999...) whose check digit holds.
pub fn nhs_number(n: u32) -> String {
    static VALID: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
    let valid = VALID.get_or_init(|| (0..1_000_000).filter_map(numbered).take(NUMBERS).collect());
    valid[n as usize].clone()
}

/// `999` and six digits, with their check digit where there is one.
fn numbered(k: u32) -> Option<String> {
    let nine = format!("999{k:06}");
    let sum: u32 = nine.bytes().zip((2..=10).rev()).map(|(b, w)| u32::from(b - b'0') * w).sum();
    match (11 - sum % 11) % 11 {
        10 => None,
        check => Some(format!("{nine}{check}")),
    }
}

/// A complete BaRS referral message for the `n`th synthetic person of a practice. Each `n` has its
/// own Bundle.id, identifier and entries' URLs.
pub fn bars_message(n: u32, practice: &str) -> Value {
    let url = |part: u32| format!("urn:uuid:00000000-0000-4000-8000-{part:04}{n:08}");
    let reference = |part: u32| json!({"reference": url(part)});
    let ods = |code: &str| json!([{"system": "https://fhir.nhs.uk/Id/ods-organization-code", "value": code}]);
    let updated = json!({"lastUpdated": "2026-01-05T10:00:00+00:00"});
    let sct = |code: &str| json!({"coding": [{"system": "http://snomed.info/sct", "code": code}]});
    let entry = |part: u32, mut resource: Value| {
        resource["meta"] = updated.clone();
        json!({"fullUrl": url(part), "resource": resource})
    };
    json!({"resourceType": "Bundle", "id": format!("11111111-0000-4000-8000-{n:012}"),
        "meta": {"versionId": "1.1.0", "lastUpdated": "2026-01-05T10:00:00+00:00", "profile": ["https://fhir.nhs.uk/StructureDefinition/BARSBundleMessage"]},
        "type": "message", "timestamp": "2026-01-05T10:00:00+00:00", "entry": [
        entry(1, json!({"resourceType": "MessageHeader",
            "eventCoding": {"system": "https://fhir.nhs.uk/CodeSystem/message-events-bars", "code": "servicerequest-request"},
            "destination": [{"endpoint": "https://fhir.nhs.uk/Id/dos-service-id|2000012345", "receiver": reference(9)}],
            "sender": reference(8),
            "source": {"name": "Synthetic surgery", "software": "Synthetic", "version": "1", "endpoint": "https://fhir.nhs.uk/Id/dos-service-id|2000099999"},
            "reason": {"coding": [{"system": "https://fhir.nhs.uk/CodeSystem/message-reason-bars", "code": "new"}]},
            "focus": [reference(2)],
            "definition": "https://fhir.nhs.uk/MessageDefinition/bars-message-servicerequest-request-referral"})),
        entry(2, json!({"resourceType": "ServiceRequest",
            "identifier": [{"system": "https://surgery.example/id/referral", "value": format!("R-{n}")}],
            "basedOn": [reference(5)], "status": "active", "intent": "plan",
            "category": [{"coding": [
                {"system": "https://fhir.nhs.uk/CodeSystem/message-category-servicerequest", "code": "referral", "display": "Transfer of Care"},
                {"system": "https://fhir.nhs.uk/CodeSystem/usecases-categories-bars", "code": "sp1"}]}],
            "priority": "routine",
            "code": sct("871731000000106"),
            "subject": reference(3), "encounter": reference(4), "authoredOn": "2026-01-05T10:00:00+00:00",
            "requester": reference(7), "performer": [reference(10)],
            "reasonCode": [sct("267076002")]})),
        entry(3, json!({"resourceType": "Patient",
            "identifier": [{"extension": [{"url": "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-NHSNumberVerificationStatus",
                "valueCodeableConcept": {"coding": [{"system": "https://fhir.hl7.org.uk/CodeSystem/UKCore-NHSNumberVerificationStatus", "code": "number-present-and-verified"}]}}],
                "system": "https://fhir.nhs.uk/Id/nhs-number", "value": nhs_number(n)}],
            "name": [{"use": "official", "family": format!("Synthetic{n}"), "given": ["Test"]}],
            "telecom": [{"system": "phone", "value": "07700900000", "use": "mobile", "rank": 1}],
            "gender": "female", "birthDate": "1950-01-01",
            "address": [{"use": "home", "line": ["1 Test Street"], "city": "Bootle", "postalCode": "L20 3EW"}],
            "generalPractitioner": [reference(8)]})),
        entry(4, json!({"resourceType": "Encounter", "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "subject": reference(3), "episodeOfCare": [{"reference": format!("EpisodeOfCare/22222222-0000-4000-8000-{n:012}")}],
            "period": {"start": "2026-01-05T09:50:00+00:00"}})),
        entry(5, json!({"resourceType": "CarePlan", "status": "completed", "intent": "plan", "subject": reference(3),
            "encounter": reference(4), "description": "Lonely since bereavement"})),
        entry(6, json!({"resourceType": "Practitioner",
            "identifier": [{"system": "https://fhir.hl7.org.uk/Id/gmp-number", "value": "G0000001"}], "name": [{"family": "Synthetic", "prefix": ["Dr"]}]})),
        entry(7, json!({"resourceType": "PractitionerRole", "practitioner": reference(6), "organization": reference(8)})),
        entry(8, json!({"resourceType": "Organization", "identifier": ods(practice), "name": "Synthetic surgery",
            "type": [sct("788007007")]})),
        entry(9, json!({"resourceType": "Organization", "identifier": ods("FPG01"), "name": "Fingerpost gateway"})),
        entry(10, json!({"resourceType": "HealthcareService", "identifier": [{"system": "https://fhir.nhs.uk/Id/dos-service-id", "value": "2000012345"}],
            "providedBy": reference(9), "name": "Social prescribing"})),
        entry(11, json!({"resourceType": "Consent", "status": "active",
            "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
            "category": [{"coding": [{"system": "https://fhir.nhs.uk/CodeSystem/consent-categories-bars", "code": "DRC", "display": "Direct Care"}]}],
            "patient": reference(3), "dateTime": "2026-01-05T09:55:00+00:00",
            "policy": [{"uri": "https://www.england.nhs.uk/direct-care"}]})),
    ]})
}
