//! The answer to a BaRS message, in the exchange: the message again with the ids that its
//! resources got. <https://simplifier.net/guide/nhsbookingandreferralstandard>

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{ids::stable_id, outcome};
use crate::clock::instant;

/// Digits of the reference that people read to each other.
const REFERENCE_CHARS: usize = 8;
/// Whose references these are.
const REFERENCE_SYSTEM: &str = "https://fingerpost.dev/id/referral-reference";

/// The answer. `assigned` are `(fullUrl, type, id)`; findings go into an OperationOutcome that
/// `MessageHeader.response.details` names.
pub fn answer(
    mut bundle: Value,
    assigned: &[(String, String, String)],
    referral: &str,
    findings: &[String],
    at: Timestamp,
) -> Value {
    let asked = super::id(&bundle).to_owned();
    let version = bundle["meta"]["versionId"].clone();
    let Value::Array(mut entries) = bundle["entry"].take() else { return Value::Null };
    for entry in &mut entries {
        let url = entry["fullUrl"].as_str().unwrap_or("").to_owned();
        let id = assigned.iter().find(|(full_url, _, _)| *full_url == url).map(|(_, _, id)| id.as_str());
        stamp(&mut entry["resource"], id, at);
    }
    let moment = at.as_nanosecond().to_string();
    let own = |what: &str| stable_id(&["answer", what, referral, &asked, &moment]).to_string();
    let details = (!findings.is_empty()).then(|| format!("urn:uuid:{}", own("findings")));
    if let Some(header) = entries.first_mut() {
        respond(&mut header["resource"], &asked, details.as_deref());
    }
    let subject = entries
        .iter()
        .find(|entry| super::kind(&entry["resource"]) == "ServiceRequest")
        .map(|entry| entry["resource"]["subject"].clone());
    let url = format!("urn:uuid:{}", own("planned"));
    entries.push(json!({"fullUrl": url, "resource": planned(referral, subject, at)}));
    if let Some(url) = details {
        let mut said = outcome::remarks("warning", findings);
        said["meta"] = json!({"lastUpdated": instant(at)});
        entries.push(json!({"fullUrl": url, "resource": said}));
    }
    let mut answer = json!({
        "resourceType": "Bundle",
        "id": own("message"),
        "meta": {
            "versionId": version,
            "lastUpdated": instant(at),
            "profile": ["https://fhir.nhs.uk/StructureDefinition/BARSBundleMessage"],
        },
        "type": "message",
        "timestamp": instant(at),
    });
    answer["entry"] = Value::Array(entries);
    answer
}

/// Sets the id that was assigned, and `meta.lastUpdated`, which BaRS wants on every resource.
fn stamp(resource: &mut Value, id: Option<&str>, at: Timestamp) {
    let Some(members) = resource.as_object_mut() else { return };
    let mut whole = Map::new();
    for first in ["resourceType", "id", "meta"] {
        if let Some(value) = members.shift_remove(first) {
            whole.insert(first.to_owned(), value);
        }
    }
    if let Some(id) = id {
        whole.insert("id".to_owned(), json!(id));
    }
    let meta = whole.entry("meta").or_insert_with(|| json!({}));
    meta["lastUpdated"] = json!(instant(at));
    whole.extend(std::mem::take(members));
    *members = whole;
}

fn respond(header: &mut Value, asked: &str, details: Option<&str>) {
    if !header.is_object() {
        return;
    }
    header["response"] = json!({"identifier": asked, "code": "ok"});
    if let Some(url) = details {
        header["response"]["details"] = json!({"reference": url});
    }
}

/// The Encounter to come, with the reference that people read to each other.
fn planned(referral: &str, subject: Option<Value>, at: Timestamp) -> Value {
    let reference: String = referral.chars().filter(char::is_ascii_alphanumeric).take(REFERENCE_CHARS).collect();
    let mut encounter = json!({
        "resourceType": "Encounter",
        "meta": {"lastUpdated": instant(at)},
        "identifier": [{"system": REFERENCE_SYSTEM, "value": reference.to_uppercase()}],
        "status": "planned",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
    });
    if let Some(subject) = subject.filter(Value::is_object) {
        encounter["subject"] = subject;
    }
    encounter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_a_message_with_the_assigned_ids() {
        let asked = json!({
            "resourceType": "Bundle", "id": "asked", "meta": {"versionId": "1.1.0"}, "type": "message",
            "entry": [
                {"fullUrl": "urn:uuid:h", "resource": {"resourceType": "MessageHeader", "eventCoding": {"code": "e"},
                    "source": {"endpoint": "x"}}},
                {"fullUrl": "urn:uuid:s", "resource": {"resourceType": "ServiceRequest", "status": "active",
                    "intent": "plan", "subject": {"reference": "urn:uuid:p"}}},
            ]
        });
        let assigned = [("urn:uuid:s".to_owned(), "ServiceRequest".to_owned(), "new-id".to_owned())];
        let told = answer(asked, &assigned, "0a1b2c3d-ffff", &["a finding".into()], Timestamp::UNIX_EPOCH);
        assert!(super::super::check::check(&told).is_ok(), "{:?}", super::super::check::check(&told));
        assert_eq!(told["entry"][0]["resource"]["response"]["identifier"], "asked");
        assert_eq!(told["entry"][1]["resource"]["id"], "new-id");
        assert_eq!(told["entry"][2]["resource"]["identifier"][0]["value"], "0A1B2C3D");
        assert_eq!(told["entry"][3]["resource"]["resourceType"], "OperationOutcome");
        assert_ne!(told["id"], "asked");
    }
}
