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
/// Longest name of an element that is repeated to its sender, characters; R4's longest has half as many.
const NAME_CHARS_MAX: usize = 64;
/// Digits of such a name: R4's own have two (`valueBase64Binary`), an NHS number ten.
const NAME_DIGITS_MAX: usize = 2;

/// Checks a whole resource, its contained resources and its Bundle entries.
///
/// # Errors
/// 400 `structure` with one issue a fault, each with its `expression`.
pub fn check(resource: &Value) -> Result<(), Rejection> {
    let mut walk = Walk { trail: Vec::new(), issues: Vec::new() };
    walk.resource(resource, 0);
    if walk.issues.is_empty() { Ok(()) } else { Err(Rejection { error: BarsError::BadRequest, issues: walk.issues }) }
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

/// One step down into a resource; written out only where something is at fault.
enum Step<'a> {
    Name(&'a str),
    Item(usize),
}

struct Walk<'a> {
    trail: Vec<Step<'a>>,
    issues: Vec<Issue>,
}

impl<'a> Walk<'a> {
    fn fault(&mut self, diagnostics: impl Into<String>) {
        if self.issues.len() < FAULTS_MAX {
            let expression = Some(self.expression());
            self.issues.push(Issue { kind: IssueType::Structure, diagnostics: diagnostics.into(), expression });
        }
    }

    /// The trail as a simple FHIRPath: `Bundle.entry[0].resource.status`.
    fn expression(&self) -> String {
        let mut text = String::new();
        for step in &self.trail {
            match step {
                Step::Name(name) if text.is_empty() => text.push_str(name),
                Step::Name(name) => text.extend([".", name]),
                Step::Item(i) => text.push_str(&format!("[{i}]")),
            }
        }
        if text.is_empty() { "resourceType".to_owned() } else { text }
    }

    /// Does `then` one step further down.
    fn at(&mut self, step: Step<'a>, then: impl FnOnce(&mut Self)) {
        self.trail.push(step);
        then(self);
        self.trail.pop();
    }

    /// A member that is no element: by its name where that could be an element's, else by its place,
    /// for what was typed where a name belongs may be anything.
    fn unknown(&mut self, name: &'a str, index: usize) {
        if is_name(name) {
            return self.at(Step::Name(name), |walk| walk.fault("FHIR R4 knows no such element here"));
        }
        let place = index + 1;
        self.fault(format!("FHIR R4 knows no such element here: member {place} of this object, as it was sent"));
    }

    fn resource(&mut self, resource: &'a Value, depth: usize) {
        let Some(members) = resource.as_object() else {
            return self.fault("a resource must be an object");
        };
        let kind = super::kind(resource);
        let mut path = ElementPath::new(FhirReleases::R4);
        path.push(kind);
        if !kind.starts_with(|c: char| c.is_ascii_uppercase()) || path.children().is_none() {
            return self.fault("resourceType is missing or is not a FHIR R4 resource type");
        }
        if self.trail.is_empty() {
            return self.at(Step::Name(kind), |walk| walk.members(members, &mut path, depth));
        }
        self.members(members, &mut path, depth);
    }

    fn members(&mut self, members: &'a Map<String, Value>, path: &mut ElementPath, depth: usize) {
        if depth > JSON_DEPTH_MAX {
            return self.fault("the resource nests too deep");
        }
        let known = path.children();
        for (i, (name, value)) in members.iter().enumerate().filter(|(_, (name, _))| *name != "resourceType") {
            let plain = name.strip_prefix('_').unwrap_or(name);
            if !known.is_some_and(|known| known.contains(plain)) {
                self.unknown(plain, i);
                continue;
            }
            self.at(Step::Name(plain), |walk| {
                path.push(plain);
                // A primitive's extensions have FHIR's own shape, checked by fhirbolt where it is read.
                if !(name.starts_with('_') && path.current_element_is_primitive()) {
                    walk.element(value, path, depth);
                }
                path.pop();
            });
        }
    }

    fn element(&mut self, value: &'a Value, path: &mut ElementPath, depth: usize) {
        if !path.current_element_is_sequence() {
            return self.value(value, path, depth);
        }
        let Some(items) = value.as_array() else {
            return self.fault("this element repeats, so it must be an array");
        };
        if items.is_empty() {
            self.fault("an array must not be empty");
        }
        for (i, item) in items.iter().enumerate() {
            self.at(Step::Item(i), |walk| walk.value(item, path, depth));
        }
    }

    fn value(&mut self, value: &'a Value, path: &mut ElementPath, depth: usize) {
        if path.current_element_is_resource() {
            return self.resource(value, depth + 1);
        }
        if path.current_element_is_primitive() || is_extension_url(path) {
            return self.primitive(value, path);
        }
        match value.as_object() {
            Some(members) if members.is_empty() => self.fault("an element must not be empty"),
            Some(members) => self.members(members, path, depth + 1),
            None => self.fault("this element must be an object"),
        }
    }

    fn primitive(&mut self, value: &Value, path: &ElementPath) {
        let wanted = if path.current_element_is_boolean() {
            (!value.is_boolean()).then_some("true or false")
        } else if is_whole(path) {
            (!value.is_i64()).then_some("a whole number")
        } else if path.current_element_is_decimal() {
            (!value.is_number()).then_some("a number")
        } else {
            let plain = |text: &str| !text.is_empty() && !text.chars().any(is_forbidden);
            let text = value.as_str().is_some_and(plain) || value.is_null();
            (!text).then_some("text, not empty and without control characters")
        };
        if let Some(wanted) = wanted {
            self.fault(format!("this element must be {wanted}"));
        }
    }
}

fn is_whole(path: &ElementPath) -> bool {
    path.current_element_is_integer()
        || path.current_element_is_unsigned_integer()
        || path.current_element_is_positive_integer()
}

/// Could this be an element's name? <https://hl7.org/fhir/R4/elementdefinition.html#path>
fn is_name(text: &str) -> bool {
    text.len() <= NAME_CHARS_MAX
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_alphanumeric())
        && text.bytes().filter(u8::is_ascii_digit).count() <= NAME_DIGITS_MAX
}

/// True at an extension's `url`, which fhirbolt's tables do not list among the primitives.
pub fn is_extension_url(path: &ElementPath) -> bool {
    if path.current_element() != Some("url") {
        return false;
    }
    let mut parent = path.clone();
    parent.pop();
    parent.current_element_is_extension()
}

/// Characters that no FHIR string may hold: control characters, and the two that no XML can.
/// <https://hl7.org/fhir/R4/datatypes.html#string>, <https://www.w3.org/TR/xml/#charsets>
fn is_forbidden(c: char) -> bool {
    c < ' ' && !matches!(c, '\t' | '\r' | '\n') || matches!(c, '\u{fffe}' | '\u{ffff}')
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
    fn what_cannot_be_an_elements_name_is_told_by_its_place() {
        let long = "a".repeat(100_000);
        for hostile in ["Zyxwvplanted", "9990000018", "a9990000018", "a b", "a\u{202e}b", "", "_", "a.b", "é", &long] {
            let issues = check(&json!({"resourceType": "Patient", "name": [{"family": "a", hostile: "b"}]}));
            let issue =
                issues.err().and_then(|mut rejection| rejection.issues.pop()).map(|i| (i.expression, i.diagnostics));
            let (expression, diagnostics) = issue.unwrap_or_default();
            assert_eq!(expression.as_deref(), Some("Patient.name[0]"), "{hostile:.20}");
            assert!(diagnostics.ends_with("here: member 2 of this object, as it was sent"), "{diagnostics}");
        }
        let longest =
            check(&json!({"resourceType": "Patient", "a".repeat(64): 1})).err().map(|mut r| r.issues.remove(0));
        assert_eq!(longest.and_then(|issue| issue.expression), Some(format!("Patient.{}", "a".repeat(64))));
    }

    #[test]
    fn takes_extensions_with_their_urls() {
        let extension = json!([{"url": "https://example.org/a", "extension": [{"url": "b", "valueString": "c"}]}]);
        assert!(check(&json!({"resourceType": "Patient", "extension": extension})).is_ok());
        assert!(check(&json!({"resourceType": "Patient", "extension": [{"url": 1}]})).is_err());
    }

    #[test]
    fn a_text_is_one_that_json_and_xml_can_hold() {
        let named = |family: &str| check(&json!({"resourceType": "Patient", "name": [{"family": family}]}));
        for family in ["a\tb\r\nc", "]]>", "\u{85}\u{7f}", "\u{1f9d1}\u{202e}", "\u{fffd}"] {
            assert!(named(family).is_ok(), "{family:?}");
        }
        for family in ["", "a\u{0}", "\u{b}", "\u{1f}", "\u{fffe}", "\u{ffff}"] {
            assert!(named(family).is_err(), "{family:?}");
        }
    }

    #[test]
    fn knows_the_elements_of_r4() {
        assert!(knows("ServiceRequest.code.coding.system"));
        assert!(knows("Patient.extension.valueCodeableConcept.coding"));
        assert!(!knows("ServiceRequest.urgency"));
        assert!(!knows("Referral.code"));
    }
}
