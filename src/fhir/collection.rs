//! A Bundle of stored resource versions for a subscriber: `type` collection, the stored bytes
//! copied in as they are. <https://hl7.org/fhir/R4/bundle.html>

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use crate::clock::instant;

/// The code system of the events that a delivery tells of.
pub const EVENT: &str = "https://fingerpost.dev/CodeSystem/event";

/// The Bundle as JSON. `entries` are `(fullUrl, stored JSON)`; `event` stands in `meta.tag`.
pub fn collection(id: Uuid, event: &str, at: Timestamp, entries: &[(String, Bytes)]) -> Bytes {
    let head = json!({
        "resourceType": "Bundle",
        "id": id,
        "meta": {"tag": [{"system": EVENT, "code": event}]},
        "type": "collection",
        "timestamp": instant(at),
    });
    let mut text = head.to_string().into_bytes();
    if entries.is_empty() {
        return text.into();
    }
    text.pop(); // the closing brace: the entries go before it
    text.extend_from_slice(b",\"entry\":[");
    for (i, (full_url, body)) in entries.iter().enumerate() {
        if i > 0 {
            text.push(b',');
        }
        text.extend_from_slice(b"{\"fullUrl\":");
        text.extend_from_slice(json!(full_url).to_string().as_bytes());
        text.extend_from_slice(b",\"resource\":");
        text.extend_from_slice(body);
        text.push(b'}');
    }
    text.extend_from_slice(b"]}");
    text.into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn holds_the_stored_bytes_and_is_a_bundle() {
        let stored = Bytes::from_static(br#"{"resourceType":"Task","id":"t","status":"requested","intent":"order"}"#);
        let entries = [("urn:uuid:1".to_owned(), stored.clone()), ("urn:uuid:2".to_owned(), stored.clone())];
        let bytes = collection(Uuid::nil(), "task.updated", Timestamp::UNIX_EPOCH, &entries);
        let bundle: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert!(crate::fhir::check::check(&bundle).is_ok());
        assert_eq!(bundle["entry"][1]["resource"]["id"], "t");
        assert!(bytes.windows(stored.len()).any(|window| window == &stored[..]));
    }
}
