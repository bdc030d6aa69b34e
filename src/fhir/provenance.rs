//! The Provenance of a referral: which message it came from, what read it, and where it went.
//! <https://hl7.org/fhir/R4/provenance.html>

use jiff::Timestamp;
use serde_json::{Value, json};

use super::ids::ODS;
use crate::clock::instant;

/// The extension that holds the routing decision, as JSON text.
pub const ROUTE: &str = "https://fingerpost.dev/StructureDefinition/route-decision";
/// The extension that holds the lineage of each mapped element, as JSON text.
pub const LINEAGE: &str = "https://fingerpost.dev/StructureDefinition/lineage";
/// The system of message ids.
pub const MESSAGE: &str = "https://fingerpost.dev/id/message";

/// What a referral's Provenance says.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The Provenance's logical id.
    pub id: &'a str,
    /// What it is about, `Type/id`.
    pub targets: &'a [String],
    /// The message's id and the SHA-256 of its bytes.
    pub message: (&'a str, &'a str),
    /// The mapping and its version.
    pub mapping: &'a str,
    /// The sender's ODS code.
    pub sender: &'a str,
    /// When the sender wrote it, if it said so.
    pub written_at: Option<Timestamp>,
    /// When it was received.
    pub received_at: Timestamp,
    /// The routing decision as JSON text.
    pub route: &'a str,
    /// The lineage as JSON text.
    pub lineage: &'a str,
}

/// The Provenance of a referral that came in as one message.
pub fn of_referral(source: Source<'_>) -> Value {
    let targets: Vec<Value> = source.targets.iter().map(|target| json!({"reference": target})).collect();
    let mut provenance = json!({
        "resourceType": "Provenance",
        "id": source.id,
        "meta": {"profile": ["https://fhir.hl7.org.uk/StructureDefinition/UKCore-Provenance"]},
        "extension": [
            {"url": ROUTE, "valueString": source.route},
            {"url": LINEAGE, "valueString": source.lineage},
        ],
        "target": targets,
        "recorded": instant(source.received_at),
        "activity": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-DataOperation", "code": "CREATE"}]},
        "agent": [
            {"type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "code": "author"}]},
             "who": {"identifier": {"system": ODS, "value": source.sender}}},
            {"type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "code": "assembler"}]},
             "who": {"display": format!("Fingerpost, mapping {}", source.mapping)}},
        ],
        "entity": [{"role": "source", "what": {
            "identifier": {"system": MESSAGE, "value": source.message.0},
            "display": format!("SHA-256 {}", source.message.1),
        }}],
    });
    if let Some(at) = source.written_at {
        provenance["occurredDateTime"] = json!(instant(at));
    }
    decided(&mut provenance, source.route);
    provenance
}

/// How a referral came to another pool.
pub struct Move<'a> {
    /// The decision as JSON text.
    pub route: &'a str,
    /// The reference to a resource's new version, where it has one.
    pub versions: &'a dyn Fn(&str, &str) -> Option<String>,
    /// Who moved it: client and ODS code.
    pub by: (&'a str, &'a str),
    /// When.
    pub at: Timestamp,
}

/// The Provenance of a referral that goes to another pool: whence it came stays, the decision is new.
pub fn moved(mut provenance: Value, moved: Move<'_>) -> Value {
    for extension in provenance["extension"].as_array_mut().into_iter().flatten() {
        if extension["url"] == ROUTE {
            extension["valueString"] = json!(moved.route);
        }
    }
    for target in provenance["target"].as_array_mut().into_iter().flatten() {
        let named = target["reference"].as_str().and_then(super::split_reference);
        if let Some(new) = named.and_then(|(kind, id)| (moved.versions)(kind, id)) {
            target["reference"] = json!(new);
        }
    }
    provenance["recorded"] = json!(instant(moved.at));
    provenance["activity"] =
        json!({"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-DataOperation", "code": "UPDATE"}]});
    let agents = provenance["agent"].as_array_mut();
    if let Some(agents) = agents {
        agents.retain(|agent| agent["type"]["coding"][0]["code"] != "enterer");
        agents.push(json!({
            "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "code": "enterer"}]},
            "who": {"identifier": {"system": ODS, "value": moved.by.1}, "display": moved.by.0},
        }));
    }
    decided(&mut provenance, moved.route);
    provenance
}

/// The system of the names of rules and laws, followed by place files' version and the rule.
const RULE: &str = "https://fingerpost.dev/id/route-rule";

/// The decision in Provenance's own words: each reason as `reason`, the rule and its version as `policy`.
fn decided(provenance: &mut Value, route: &str) {
    let route: Value = serde_json::from_str(route).unwrap_or(Value::Null);
    let reasons: Vec<Value> = super::each(&route["reasons"]).map(|reason| json!({"text": reason})).collect();
    if !reasons.is_empty() {
        provenance["reason"] = json!(reasons);
    }
    if let (Some(rule), Some(version)) = (route["rule"].as_str(), route["version"].as_str()) {
        let rule: String = rule.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let rule = if rule.is_empty() { "none".to_owned() } else { rule };
        provenance["policy"] = json!([format!("{RULE}/{version}/{rule}")]);
    }
}

/// When the sender wrote the message that a Provenance tells of.
pub fn written_at(provenance: &Value) -> Option<Timestamp> {
    provenance["occurredDateTime"].as_str()?.parse().ok()
}

/// The routing decision's JSON text in a Provenance.
pub fn route(provenance: &Value) -> Option<&str> {
    super::each(&provenance["extension"]).find(|e| e["url"].as_str() == Some(ROUTE))?["valueString"].as_str()
}
