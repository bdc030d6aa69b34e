//! What clients read to find out how to sign in.
//! <https://hl7.org/fhir/smart-app-launch/conformance.html>

use serde_json::{Value, json};

use super::{Access, roles};

impl Access {
    /// `/.well-known/jwks.json`: the public key of our access tokens.
    pub fn jwks(&self) -> Value {
        let keys: Vec<&Value> = self.key.iter().map(super::OwnKey::jwk).collect();
        json!({"keys": keys})
    }
}

/// `/.well-known/smart-configuration` of a gateway called at `base_url` (no slash at the end).
pub fn smart_configuration(base_url: &str) -> Value {
    json!({
        "issuer": base_url,
        "jwks_uri": format!("{base_url}/.well-known/jwks.json"),
        "token_endpoint": format!("{base_url}{}", super::token::PATH),
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384", "RS512"],
        "grant_types_supported": ["client_credentials"],
        "scopes_supported": roles::all_scopes(),
        "capabilities": ["client-confidential-asymmetric", "permission-v2"],
        "tls_client_certificate_bound_access_tokens": true,
    })
}
