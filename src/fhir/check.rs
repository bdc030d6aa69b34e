//! Does a resource hold only what FHIR R4 knows? Element names, repetition and the JSON kind
//! of each primitive are checked against fhirbolt's R4 tables, and the first hundred faults
//! are told apart by path. Bindings and invariants are for validators, not for the door.

use fhirbolt::FhirReleases;
use fhirbolt_shared::path::ElementPath;
use serde_json::{Map, Value};

use super::wire::JSON_DEPTH_MAX;
use crate::rejection::{BarsError, Issue, IssueType, Rejection};

/// Faults that one answer lists.
const FAULTS_MAX: usize = 100;

/// Checks a whole resource, its contained resources and its Bundle entries.
///
/// # Errors
/// 400 `structure` with one issue a fault, each with its `expression`.
pub fn check(resource: &Value) -> Result<(), Rejection> {
    let mut issues = Vec::new();
    walk_resource(resource, super::kind(resource), &mut issues, 0);
    if issues.is_empty() { Ok(()) } else { Err(Rejection { error: BarsError::BadRequest, issues }) }
}

/// True when `path`, such as `ServiceRequest.code.coding.system`, is an element of FHIR R4.
pub fn knows(path: &str) -> bool {
    let mut at = ElementPath::new(FhirReleases::R4);
    let mut parts = path.split('.');
    let Some(root) = parts.next() else { return false };
    at.push(root);
    if at.children().is_none() {
        return false;
    }
    for part in parts {
        if !at.children().is_some_and(|known| known.contains(part)) {
            return false;
        }
        at.push(part);
    }
    true
}

fn fault(issues: &mut Vec<Issue>, expression: &str, diagnostics: impl Into<String>) {
    if issues.len() < FAULTS_MAX {
        issues.push(Issue {
            kind: IssueType::Structure,
            diagnostics: diagnostics.into(),
            expression: Some(expression.to_owned()),
        });
    }
}

fn walk_resource(resource: &Value, expression: &str, issues: &mut Vec<Issue>, depth: usize) {
    let Some(members) = resource.as_object() else {
        return fault(issues, expression, "a resource must be an object");
    };
    let kind = super::kind(resource);
    let mut path = ElementPath::new(FhirReleases::R4);
    path.push(kind);
    if kind.is_empty() || !kind.starts_with(|c: char| c.is_ascii_uppercase()) || path.children().is_none() {
        let at = if expression.is_empty() { "resourceType" } else { expression };
        return fault(issues, at, "resourceType is missing or is not a FHIR R4 resource type");
    }
    walk_members(members, &mut path, expression, issues, depth);
}

fn walk_members(
    members: &Map<String, Value>,
    path: &mut ElementPath,
    expression: &str,
    issues: &mut Vec<Issue>,
    depth: usize,
) {
    if depth > JSON_DEPTH_MAX {
        return fault(issues, expression, "the resource nests too deep");
    }
    for (name, value) in members {
        if name == "resourceType" {
            continue;
        }
        let plain = name.strip_prefix('_').unwrap_or(name);
        let here = format!("{expression}.{plain}");
        if !path.children().is_some_and(|known| known.contains(plain)) {
            fault(issues, &here, "FHIR R4 knows no such element here");
            continue;
        }
        path.push(plain);
        if name.starts_with('_') && path.current_element_is_primitive() {
            // A primitive's extensions: FHIR's own shape, checked by fhirbolt where it is read.
        } else if path.current_element_is_sequence() {
            walk_sequence(value, path, &here, issues, depth);
        } else {
            walk_value(value, path, &here, issues, depth);
        }
        path.pop();
    }
}

fn walk_sequence(value: &Value, path: &mut ElementPath, here: &str, issues: &mut Vec<Issue>, depth: usize) {
    let Some(items) = value.as_array() else {
        return fault(issues, here, "this element repeats, so it must be an array");
    };
    if items.is_empty() {
        fault(issues, here, "an array must not be empty");
    }
    for (i, item) in items.iter().enumerate() {
        walk_value(item, path, &format!("{here}[{i}]"), issues, depth);
    }
}

fn walk_value(value: &Value, path: &mut ElementPath, here: &str, issues: &mut Vec<Issue>, depth: usize) {
    if path.current_element_is_resource() {
        return walk_resource(value, here, issues, depth + 1);
    }
    if path.current_element_is_primitive() || is_extension_url(path) {
        return check_primitive(value, path, here, issues);
    }
    match value.as_object() {
        Some(members) if members.is_empty() => fault(issues, here, "an element must not be empty"),
        Some(members) => walk_members(members, path, here, issues, depth + 1),
        None => fault(issues, here, "this element must be an object"),
    }
}

/// True at an extension's `url`, which fhirbolt's tables do not list among the primitives.
pub fn is_extension_url(path: &ElementPath) -> bool {
    let mut parent = path.clone();
    parent.pop();
    path.current_element() == Some("url") && parent.current_element_is_extension()
}

fn check_primitive(value: &Value, path: &ElementPath, here: &str, issues: &mut Vec<Issue>) {
    let whole = path.current_element_is_integer()
        || path.current_element_is_unsigned_integer()
        || path.current_element_is_positive_integer();
    let (fits, wanted) = if path.current_element_is_boolean() {
        (value.is_boolean(), "true or false")
    } else if whole {
        (value.is_i64(), "a whole number")
    } else if path.current_element_is_decimal() {
        (value.is_number(), "a number")
    } else {
        let plain = |text: &str| !text.is_empty() && !text.chars().any(is_forbidden);
        (value.as_str().is_some_and(plain) || value.is_null(), "text, not empty and without control characters")
    };
    if !fits {
        fault(issues, here, format!("this element must be {wanted}"));
    }
}

/// Control characters that no FHIR string may hold. <https://hl7.org/fhir/R4/datatypes.html#string>
fn is_forbidden(c: char) -> bool {
    c < ' ' && !matches!(c, '\t' | '\r' | '\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_each_fault_by_its_path() {
        let rejected = check(&json!({
            "resourceType": "Bundle", "type": "message",
            "entry": [{"resource": {"resourceType": "ServiceRequest", "statu": "active", "category": {}, "doNotPerform": "no"}}]
        }));
        let expressions: Vec<_> =
            rejected.err().map(|r| r.issues).unwrap_or_default().into_iter().filter_map(|i| i.expression).collect();
        assert_eq!(
            expressions,
            [
                "Bundle.entry[0].resource.statu",
                "Bundle.entry[0].resource.category",
                "Bundle.entry[0].resource.doNotPerform"
            ]
        );
    }

    #[test]
    fn takes_extensions_with_their_urls() {
        let extension = json!([{"url": "https://example.org/a", "extension": [{"url": "b", "valueString": "c"}]}]);
        assert!(check(&json!({"resourceType": "Patient", "extension": extension})).is_ok());
        assert!(check(&json!({"resourceType": "Patient", "extension": [{"url": 1}]})).is_err());
    }

    #[test]
    fn knows_the_elements_of_r4() {
        assert!(knows("ServiceRequest.code.coding.system"));
        assert!(knows("Patient.extension.valueCodeableConcept.coding"));
        assert!(!knows("ServiceRequest.urgency"));
        assert!(!knows("Referral.code"));
    }
}
