//! The headers of a BaRS message from the synthetic surgery.

use base64::Engine;
use serde_json::{Value, json};

/// The request with all that BaRS asks for; the `n`th has its own X-Request-Id and journey.
pub fn with(request: reqwest::RequestBuilder, n: u32) -> reqwest::RequestBuilder {
    request
        .header("content-type", "application/fhir+json; version=1.1.0")
        .header("accept", "application/fhir+json; version=1.1.0")
        .header("x-request-id", format!("33333333-0000-4000-8000-{n:012}"))
        .header("x-correlation-id", format!("44444444-0000-4000-8000-{n:012}"))
        .header(
            "nhsd-target-identifier",
            encoded(&json!({"value": "2000012345", "system": "https://fhir.nhs.uk/Id/dos-service-id"})),
        )
        .header(
            "nhsd-end-user-organisation",
            encoded(&json!({"resourceType": "Organization", "name": "Synthetic surgery",
                "identifier": [{"system": "https://fhir.nhs.uk/Id/ods-organization-code", "value": "N84001"}]})),
        )
        .header(
            "nhsd-requesting-software",
            encoded(
                &json!({"resourceType": "Device", "deviceName": [{"name": "Synthetic", "type": "manufacturer-name"}]}),
            ),
        )
}

fn encoded(value: &Value) -> String {
    base64::engine::general_purpose::STANDARD.encode(value.to_string())
}
