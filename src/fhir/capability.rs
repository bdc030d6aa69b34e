//! The CapabilityStatement. <https://hl7.org/fhir/R4/capabilitystatement.html>

use serde_json::{Value, json};

use super::parameters::{How, of};

/// The search parameters of a type, each name once, with those that every type has.
pub fn parameters(kind: &str) -> Vec<(&'static str, &'static str)> {
    let mut all = vec![("_id", "token"), ("_lastUpdated", "date"), ("_security", "token")];
    for parameter in of(kind) {
        if !all.iter().any(|(name, _)| *name == parameter.name) {
            all.push((parameter.name, parameter.how.word()));
        }
    }
    all
}

/// What `_include` takes: the type's references.
pub fn includes(kind: &str) -> Vec<String> {
    of(kind).filter(|p| p.how == How::Reference).map(|p| format!("{kind}:{}", p.name)).collect()
}

/// The statement around its resources.
pub fn statement(name: &str, base: &str, date: &str, resources: Vec<Value>) -> Value {
    json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date,
        "kind": "instance",
        "software": {"name": "Fingerpost", "version": env!("CARGO_PKG_VERSION")},
        "implementation": {"description": name, "url": base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "application/fhir+xml"],
        "messaging": [{
            "endpoint": [{
                "protocol": {"system": "http://terminology.hl7.org/CodeSystem/message-transport", "code": "http"},
                "address": format!("{base}/$process-message"),
            }],
            "supportedMessage": [
                {"mode": "receiver", "definition": format!("{DEFINITIONS}/bars-message-servicerequest-request-referral")},
                {"mode": "receiver", "definition": format!("{DEFINITIONS}/bars-message-servicerequest-request-cancelled")},
            ],
        }],
        "rest": [{
            "mode": "server",
            "security": {
                "cors": false,
                "service": [{"coding": [{
                    "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                    "code": "SMART-on-FHIR",
                }]}],
                "description": "SMART Backend Services: see /.well-known/smart-configuration",
            },
            "resource": resources,
            "interaction": [{"code": "transaction"}, {"code": "batch"}],
            "operation": [
                {"name": "process-message", "definition": "http://hl7.org/fhir/OperationDefinition/MessageHeader-process-message"},
                {"name": "validate", "definition": "http://hl7.org/fhir/OperationDefinition/Resource-validate"},
            ],
        }],
    })
}

/// Where BaRS keeps its MessageDefinitions.
const DEFINITIONS: &str = "https://fhir.nhs.uk/MessageDefinition";

#[cfg(test)]
mod tests {
    #[test]
    fn the_statement_is_fhir() {
        let resource = serde_json::json!({"type": "Task", "interaction": [{"code": "read"}]});
        let statement = super::statement("n", "http://x/fhir", "2026-01-05T10:00:00Z", vec![resource]);
        assert!(super::super::check::check(&statement).is_ok(), "{:?}", super::super::check::check(&statement));
    }
}
