//! The ledger as a document that can be shown to be the gateway's and unchanged: its digest under
//! the audit log's key. <https://c2sp.org/signed-note>
//!
//! The signature stands in the document, as the member `signature` - in a FHIR resource, as its one
//! extension; what is signed is the SHA-256 of the rest, written without white space in the order
//! in which it stands.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::audit::{Signer, Verifier};

/// The first line of what is signed; no checkpoint begins so.
const TITLE: &str = "fingerpost ledger";

/// The extension that holds the signature of a FHIR resource.
const SIGNATURE: &str = "https://fingerpost.dev/StructureDefinition/ledger-signature";

/// Why a document is not the gateway's, or not unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StatementFault {
    /// It is no JSON object with a signature.
    #[error("it is not a signed ledger: a JSON object with the member `signature`")]
    Form,
    /// The signature is not this key's.
    #[error("its signature is not this key's")]
    Signature,
    /// The document is not the one that was signed.
    #[error("it was changed after it was signed")]
    Changed,
}

/// Puts the signature into a document.
pub fn sign(mut document: Value, signer: &Signer) -> Value {
    let note = signer.statement(&body(&document));
    if document["resourceType"].is_string() {
        document["extension"] = json!([{"url": SIGNATURE, "valueString": note}]);
    } else {
        document["signature"] = Value::String(note);
    }
    document
}

/// Checks a signed document.
///
/// # Errors
/// See [`StatementFault`].
pub fn verify(mut document: Value, verifier: &Verifier) -> Result<(), StatementFault> {
    let members = document.as_object_mut().ok_or(StatementFault::Form)?;
    let note = match members.contains_key("resourceType") {
        true => members.shift_remove("extension").map(|mut one| one[0]["valueString"].take()),
        false => members.shift_remove("signature"),
    };
    let note = note.as_ref().and_then(Value::as_str).ok_or(StatementFault::Form)?;
    let signed = verifier.statement(note).map_err(|_| StatementFault::Signature)?;
    if signed == body(&document) { Ok(()) } else { Err(StatementFault::Changed) }
}

fn body(document: &Value) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, document.to_string().as_bytes());
    format!(
        "{TITLE}\nas of {}\nsha256 {}\n",
        document["as_of"].as_str().or(document["date"].as_str()).unwrap_or(""),
        STANDARD.encode(digest)
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_ledger_and_another_key_are_seen() {
        let signer = Signer::generate("fingerpost.example/audit").unwrap();
        let other = Signer::generate("fingerpost.example/audit").unwrap();
        let signed = sign(json!({"as_of": "2026-01-05T10:00:00Z", "totals": {"received": 3}}), &signer);
        assert_eq!(verify(signed.clone(), &signer.verifier()), Ok(()));
        let through_text: Value = serde_json::from_str(&serde_json::to_string_pretty(&signed).unwrap()).unwrap();
        assert_eq!(verify(through_text, &signer.verifier()), Ok(()));
        assert_eq!(verify(signed.clone(), &other.verifier()), Err(StatementFault::Signature));
        let mut changed = signed.clone();
        changed["totals"]["received"] = json!(4);
        assert_eq!(verify(changed, &signer.verifier()), Err(StatementFault::Changed));
        let mut checkpoint = signed;
        checkpoint["signature"] = json!(signer.checkpoint(0, [0; 32]));
        assert_eq!(verify(checkpoint, &signer.verifier()), Err(StatementFault::Changed));
        let report = sign(json!({"resourceType": "MeasureReport", "date": "2026-01-05"}), &signer);
        assert_eq!(verify(report.clone(), &signer.verifier()), Ok(()));
        let mut changed = report;
        changed["date"] = json!("2026-01-06");
        assert_eq!(verify(changed, &signer.verifier()), Err(StatementFault::Changed));
        assert_eq!(verify(json!([]), &signer.verifier()), Err(StatementFault::Form));
    }
}
