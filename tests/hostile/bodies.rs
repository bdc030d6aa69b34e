//! Bodies that are never what they should be.

use serde_json::{Value, json};

use super::stage::JSON;

const XML: &str = "application/fhir+xml";
const MIB: usize = 1024 * 1024;

/// `(name, media type, bytes)` made of a good resource; each must be refused.
pub fn bad(good: &Value) -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let text = good.to_string();
    let bytes = text.clone().into_bytes();
    let kind = good["resourceType"].as_str().unwrap_or("");
    let twice = format!("{{\"resourceType\":\"{kind}\",{}", &text[1..]);
    let with = |name: &str, value: Value| {
        let mut changed = good.clone();
        changed[name] = value;
        changed.to_string().into_bytes()
    };
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    vec![
        ("no body", JSON, Vec::new()),
        ("an empty object", JSON, b"{}".to_vec()),
        ("null", JSON, b"null".to_vec()),
        ("another type", JSON, b"{\"resourceType\":\"Basic\",\"code\":{\"text\":\"x\"}}".to_vec()),
        ("truncated", JSON, bytes[..bytes.len() - 1].to_vec()),
        ("cut in half", JSON, bytes[..bytes.len() / 2].to_vec()),
        ("text", "text/plain", bytes.clone()),
        ("JSON as XML", XML, bytes.clone()),
        ("XML as JSON", JSON, format!("<{kind} xmlns=\"http://hl7.org/fhir\"/>").into_bytes()),
        ("UTF-16", JSON, utf16.clone()),
        ("UTF-16 with its mark", JSON, [&[0xff, 0xfe][..], &utf16].concat()),
        ("two marks", JSON, [&b"\xef\xbb\xbf\xef\xbb\xbf"[..], &bytes].concat()),
        ("a member twice", JSON, twice.into_bytes()),
        ("10,000 deep", JSON, format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000)).into_bytes()),
        ("5 MiB of zeros", JSON, vec![0; 5 * MIB]),
        ("over the limit", JSON, vec![b' '; 17 * MIB]),
        ("a number out of range", JSON, text.replacen('{', "{\"zyxwv\":1e999,", 1).into_bytes()),
        ("an unknown member", JSON, with("surprise", json!("planted free text"))),
        ("a NUL", JSON, text.replacen('{', "{\"language\":\"e\\u0000n\",", 1).into_bytes()),
        ("a wrong type", JSON, with("id", json!({"surprise": "Zyxwvplanted"}))),
        ("a lone surrogate", JSON, text.replacen('{', "{\"language\":\"\\ud800\",", 1).into_bytes()),
    ]
}

/// `Parameters` of strings.
pub fn parameters(pairs: &[(&str, &str)]) -> Value {
    let all: Vec<Value> = pairs.iter().map(|(name, value)| json!({"name": name, "valueString": value})).collect();
    json!({"resourceType": "Parameters", "parameter": all})
}
