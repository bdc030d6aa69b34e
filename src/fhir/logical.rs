//! A resource as it leaves for a system that does not know the gateway's logical ids: references
//! that carry an identifier keep only that. <https://hl7.org/fhir/R4/references.html#logical>

use serde_json::Value;

/// The resource without the gateway's own `id`, `meta.versionId`, `meta.lastUpdated`, and with
/// logical references where an identifier is given; other relative references go.
pub fn outside(mut resource: Value) -> Value {
    if let Some(members) = resource.as_object_mut() {
        members.shift_remove("id");
        if let Some(meta) = members.get_mut("meta").and_then(Value::as_object_mut) {
            meta.shift_remove("versionId");
            meta.shift_remove("lastUpdated");
        }
    }
    strip(&mut resource);
    resource
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if members.get("reference").is_some_and(Value::is_string) {
                members.shift_remove("reference");
            }
            members.values_mut().for_each(strip);
            members.retain(|_, member| !empty(member));
        }
        Value::Array(items) => {
            items.iter_mut().for_each(strip);
            items.retain(|item| !empty(item));
        }
        _ => {}
    }
}

fn empty(value: &Value) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keeps_identifiers_and_drops_the_gateways_own_ids() {
        let inside = json!({
            "resourceType": "Observation", "id": "o", "meta": {"versionId": "1", "lastUpdated": "2026", "profile": ["p"]},
            "subject": {"reference": "Patient/p", "identifier": {"system": "s", "value": "v"}},
            "derivedFrom": [{"reference": "Observation/raw"}]
        });
        assert_eq!(
            outside(inside),
            json!({
                "resourceType": "Observation", "meta": {"profile": ["p"]},
                "subject": {"identifier": {"system": "s", "value": "v"}}
            })
        );
    }
}
