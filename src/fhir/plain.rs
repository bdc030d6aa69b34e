//! Plain JSON as a Parameters resource and back: how operations answer and are asked.
//! <https://hl7.org/fhir/R4/parameters.html>

use serde_json::{Map, Value, json};

use super::each;

/// Members as parameters: texts, numbers and truth values as they are, a list as a repeated
/// parameter, an object as parts. What is null or empty is left out.
pub fn parameters(members: &Map<String, Value>) -> Value {
    json!({"resourceType": "Parameters", "parameter": list(members)})
}

fn list(members: &Map<String, Value>) -> Vec<Value> {
    members.iter().flat_map(|(name, value)| named(&name.replace('_', "-"), value)).collect()
}

fn named(name: &str, value: &Value) -> Vec<Value> {
    let one = |element: &str, value: &Value| vec![json!({"name": name, element: value})];
    match value {
        Value::Null => Vec::new(),
        Value::Bool(_) => one("valueBoolean", value),
        Value::Number(number) if number.is_i64() => one("valueInteger", value),
        Value::Number(_) => one("valueDecimal", value),
        Value::String(text) if text.is_empty() => Vec::new(),
        Value::String(_) => one("valueString", value),
        Value::Array(items) => items.iter().flat_map(|item| named(name, item)).collect(),
        Value::Object(members) => {
            let parts = list(members);
            if parts.is_empty() { Vec::new() } else { vec![json!({"name": name, "part": parts})] }
        }
    }
}

/// The text of the parameter of that name: a string, a code, an identifier's value.
pub fn text<'a>(parameters: &'a Value, name: &str) -> Option<&'a str> {
    let found = each(&parameters["parameter"]).find(|parameter| parameter["name"].as_str() == Some(name))?;
    ["valueString", "valueCode", "valueId"]
        .iter()
        .find_map(|element| found[*element].as_str())
        .or_else(|| found["valueIdentifier"]["value"].as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_values_are_fhir_and_read_back() {
        let plain = json!({"pool": "p1", "open_since": 3, "reasons": ["a", "b"], "none": null, "clock": {"due": "x", "no": ""}});
        let made = parameters(plain.as_object().unwrap_or(&Map::new()));
        assert!(super::super::check::check(&made).is_ok(), "{made}");
        assert_eq!(text(&made, "pool"), Some("p1"));
        assert_eq!(made["parameter"].as_array().map(Vec::len), Some(5));
        assert_eq!(made["parameter"][1]["name"], "open-since");
        assert_eq!(
            text(&json!({"parameter": [{"name": "pool", "valueIdentifier": {"value": "p2"}}]}), "pool"),
            Some("p2")
        );
        assert_eq!(text(&made, "reason"), None);
    }
}
