//! OperationOutcome, made from a [`Rejection`].
//! <https://hl7.org/fhir/R4/operationoutcome.html>

use serde_json::{Value, json};

use crate::rejection::Rejection;

/// The canonical URL of the BaRS error codes.
pub const HTTP_ERROR_CODES: &str = "https://fhir.nhs.uk/CodeSystem/http-error-codes";

/// The OperationOutcome of a rejection: one issue for each thing wrong.
pub fn operation_outcome(rejection: &Rejection) -> Value {
    let code = rejection.error.status().1;
    let issues: Vec<Value> = rejection
        .issues
        .iter()
        .map(|issue| {
            let mut out = json!({
                "severity": "error",
                "code": issue.kind.code(),
                "details": {"coding": [{"system": HTTP_ERROR_CODES, "code": code}]},
                "diagnostics": issue.diagnostics,
            });
            if let Some(expression) = &issue.expression {
                out["expression"] = json!([expression]);
            }
            out
        })
        .collect();
    json!({
        "resourceType": "OperationOutcome",
        "meta": {"profile": ["https://fhir.hl7.org.uk/StructureDefinition/UKCore-OperationOutcome"]},
        "issue": issues,
    })
}

/// An OperationOutcome that says one thing and finds no fault.
pub fn information(diagnostics: &str) -> Value {
    remarks("information", &[diagnostics.to_owned()])
}

/// An OperationOutcome that says that something was done, and warns of what its sender should know.
pub fn recorded(diagnostics: &str, warnings: &[String]) -> Value {
    let mut outcome = information(diagnostics);
    let warned = remarks("warning", warnings);
    if let (Some(issues), Some(more)) = (outcome["issue"].as_array_mut(), warned["issue"].as_array()) {
        // What needs somebody is read first.
        issues.splice(0..0, more.iter().cloned());
    }
    outcome
}

/// An OperationOutcome of remarks that stop nothing: `information` or `warning`.
pub fn remarks(severity: &str, diagnostics: &[String]) -> Value {
    let issues: Vec<Value> = diagnostics
        .iter()
        .map(|text| json!({"severity": severity, "code": "informational", "diagnostics": text}))
        .collect();
    json!({"resourceType": "OperationOutcome", "issue": issues})
}
