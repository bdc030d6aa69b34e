//! Bundles around stored resources, whose bytes are copied and not parsed.
//! <https://hl7.org/fhir/R4/bundle.html>

use jiff::Timestamp;
use serde_json::{Value, json};

use super::ids::stable_id;
use crate::clock::instant;
use crate::store::Stored;

/// One entry: the resource's bytes and what the Bundle's kind adds to it.
struct Entry<'a> {
    url: String,
    body: Option<&'a [u8]>,
    more: Value,
}

/// A searchset. `links` are `(relation, url)`; `included` are not matches.
pub fn searchset(
    base: &str,
    at: Timestamp,
    total: Option<u64>,
    links: &[(&str, String)],
    found: &[Stored],
    included: &[Stored],
    warning: Option<&Value>,
) -> Vec<u8> {
    let entry = |stored, mode: &str| Entry {
        url: full_url(base, stored),
        body: Some(&stored.body),
        more: json!({"search": {"mode": mode}}),
    };
    let said = warning.map(Value::to_string);
    let mut entries: Vec<Entry<'_>> = found.iter().map(|stored| entry(stored, "match")).collect();
    entries.extend(included.iter().map(|stored| entry(stored, "include")));
    entries.extend(said.as_ref().map(|text| Entry {
        url: format!("urn:uuid:{}", stable_id(&["outcome", text])),
        body: Some(text.as_bytes()),
        more: json!({"search": {"mode": "outcome"}}),
    }));
    assemble(&head("searchset", at, total, links), &entries)
}

/// The versions of one resource, newest first.
pub fn history(base: &str, at: Timestamp, total: Option<u64>, links: &[(&str, String)], found: &[Stored]) -> Vec<u8> {
    let entries: Vec<Entry<'_>> = found
        .iter()
        .map(|stored| {
            let (method, status) = match (stored.deleted, stored.version) {
                (true, _) => ("DELETE", "204"),
                (false, 1) => ("POST", "201"),
                (false, _) => ("PUT", "200"),
            };
            let url = if method == "POST" { stored.kind.clone() } else { format!("{}/{}", stored.kind, stored.id) };
            Entry {
                url: full_url(base, stored),
                body: (!stored.deleted).then_some(&stored.body),
                more: json!({
                    "request": {"method": method, "url": url},
                    "response": {
                        "status": status,
                        "etag": format!("W/\"{}\"", stored.version),
                        "lastModified": instant(stored.at),
                    }
                }),
            }
        })
        .collect();
    assemble(&head("history", at, total, links), &entries)
}

/// A `transaction-response` or `batch-response` from its entries' `response` elements.
pub fn response(kind: &str, entries: Vec<Value>) -> Value {
    json!({"resourceType": "Bundle", "type": kind, "entry": entries})
}

fn full_url(base: &str, stored: &Stored) -> String {
    format!("{base}/{}/{}", stored.kind, stored.id)
}

fn head(kind: &str, at: Timestamp, total: Option<u64>, links: &[(&str, String)]) -> Value {
    let page = links.first().map_or("", |(_, url)| url.as_str());
    let mut head = json!({
        "resourceType": "Bundle",
        "id": stable_id(&["page", kind, page, &at.as_nanosecond().to_string()]).to_string(),
        "meta": {"lastUpdated": instant(at)},
        "type": kind,
    });
    if let Some(total) = total {
        head["total"] = json!(total);
    }
    let links: Vec<Value> = links.iter().map(|(relation, url)| json!({"relation": relation, "url": url})).collect();
    if !links.is_empty() {
        head["link"] = json!(links);
    }
    head
}

/// Writes the Bundle: the head's members, then the entries around their bytes.
fn assemble(head: &Value, entries: &[Entry<'_>]) -> Vec<u8> {
    let mut out = head.to_string().into_bytes();
    if entries.is_empty() {
        return out;
    }
    out.pop(); // the head's closing brace
    out.extend_from_slice(b",\"entry\":[");
    for (i, entry) in entries.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"fullUrl\":");
        out.extend_from_slice(Value::from(entry.url.as_str()).to_string().as_bytes());
        if let Some(body) = entry.body {
            out.extend_from_slice(b",\"resource\":");
            out.extend_from_slice(body);
        }
        out.push(b',');
        let more = entry.more.to_string();
        out.extend_from_slice(&more.as_bytes()[1..]); // without its opening brace: it closes the entry
    }
    out.extend_from_slice(b"]}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn stored(deleted: bool) -> Stored {
        Stored {
            kind: "Task".into(),
            id: "a".into(),
            version: 2,
            at: Timestamp::UNIX_EPOCH,
            deleted,
            body: Bytes::from_static(br#"{"resourceType":"Task","id":"a"}"#),
            lineage: String::new(),
        }
    }

    #[test]
    fn bundles_are_well_formed_fhir() {
        let links = [("self", "http://x/fhir/Task?a=\"".to_owned())];
        let all = [
            searchset("http://x/fhir", Timestamp::UNIX_EPOCH, Some(1), &links, &[stored(false)], &[], None),
            searchset("http://x/fhir", Timestamp::UNIX_EPOCH, None, &links, &[], &[stored(false)], None),
            searchset("http://x/fhir", Timestamp::UNIX_EPOCH, None, &[], &[], &[], None),
            history("http://x/fhir", Timestamp::UNIX_EPOCH, None, &[], &[stored(true), stored(false)]),
        ];
        for bytes in all {
            let bundle: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            assert_eq!(bundle["resourceType"], "Bundle", "{}", String::from_utf8_lossy(&bytes));
        }
    }
}
