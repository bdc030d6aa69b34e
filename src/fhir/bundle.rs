//! Bundles that the gateway makes. <https://hl7.org/fhir/R4/bundle.html>

use serde_json::{Value, json};

/// A collection of resources, in their order.
pub fn collection(resources: &[Value]) -> Value {
    let entries: Vec<Value> = resources.iter().map(|resource| json!({"resource": resource})).collect();
    json!({"resourceType": "Bundle", "type": "collection", "entry": entries})
}
