//! The FHIR elements that rows name: `identifier[record].value`, checked against R4.
//! A name in brackets is a slice of a repeating element: the mapping's own name for one item.
//! Required bindings are the few that mappings set. <https://hl7.org/fhir/R4/terminologies.html>

use fhirbolt::FhirReleases;
use fhirbolt_shared::path::ElementPath;

use crate::fhir::check::is_extension_url;

/// One step into a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The member's name.
    pub name: String,
    /// The slice, for an item of a repeating element.
    pub slice: Option<String>,
}

/// What an element holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Text of some kind.
    Text,
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// A decimal number.
    Decimal,
    /// An object or an array: only `as: element` fills it.
    Whole,
}

/// An element of a resource, known to R4.
#[derive(Debug, Clone)]
pub struct Element {
    /// The steps to it.
    pub steps: Vec<Step>,
    /// As the mapping writes it, in full.
    pub name: String,
    /// What it holds.
    pub holds: Holds,
    /// The codes that a required binding allows.
    pub binding: Option<&'static [&'static str]>,
    /// Where R4 puts it among its siblings, level by level.
    pub position: Vec<usize>,
}

impl Element {
    /// The element in which `with` keys stand: what the row named if that is a Coding, else its parent.
    pub fn base(&self) -> &[Step] {
        &self.steps[..self.steps.len() - 1]
    }
}

/// Steps as a mapping writes them.
pub fn write(steps: &[Step]) -> String {
    let part = |step: &Step| match &step.slice {
        Some(slice) => format!("{}[{slice}]", step.name),
        None => step.name.clone(),
    };
    steps.iter().map(part).collect::<Vec<_>>().join(".")
}

/// Splits `identifier[record].value`.
pub fn split(text: &str) -> Result<Vec<Step>, String> {
    text.split('.').map(split_part).collect()
}

fn split_part(part: &str) -> Result<Step, String> {
    let bad = || format!("'{part}' is not an element name");
    let (name, slice) = match part.split_once('[') {
        None => (part, None),
        Some((name, rest)) => (name, Some(rest.strip_suffix(']').ok_or_else(bad)?)),
    };
    let plain = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !plain(name) || !slice.is_none_or(plain) {
        return Err(bad());
    }
    Ok(Step { name: name.to_owned(), slice: slice.map(str::to_owned) })
}

/// Checks the steps against R4. `whole` allows an object or an array as the target.
pub fn resolve(kind: &str, mut steps: Vec<Step>, whole: bool) -> Result<Element, String> {
    let mut path = ElementPath::new(FhirReleases::R4);
    path.push(kind);
    let mut position = Vec::new();
    for (i, step) in steps.iter().enumerate() {
        position.push(enter(&mut path, step, whole && i + 1 == steps.len(), kind)?);
    }
    let coding = !path.current_element_is_primitive()
        && path.children().is_some_and(|known| known.contains("userSelected"))
        && !whole;
    if coding {
        position.push(path.position_of_child("code"));
        path.push("code");
        steps.push(Step { name: "code".to_owned(), slice: None });
    }
    let holds = holds(&path);
    if holds == Holds::Whole && !whole {
        return Err(format!("{kind}.{} is not a single value: name one of its elements", write(&steps)));
    }
    let name = write(&steps);
    let binding = binding(kind, &steps);
    Ok(Element { steps, name, holds, binding, position })
}

fn enter(path: &mut ElementPath, step: &Step, may_be_array: bool, kind: &str) -> Result<usize, String> {
    if !path.children().is_some_and(|known| known.contains(step.name.as_str())) {
        return Err(format!("'{}' is not an element of FHIR R4 here (in {kind})", step.name));
    }
    let position = path.position_of_child(&step.name);
    path.push(&step.name);
    match (path.current_element_is_sequence(), &step.slice) {
        (true, None) if !may_be_array => Err(format!("'{0}' repeats: name the item, {0}[...]", step.name)),
        (false, Some(_)) => Err(format!("'{}' does not repeat: it has no items to name", step.name)),
        _ => Ok(position),
    }
}

fn holds(path: &ElementPath) -> Holds {
    if is_extension_url(path) {
        Holds::Text
    } else if !path.current_element_is_primitive() {
        Holds::Whole
    } else if path.current_element_is_boolean() {
        Holds::Boolean
    } else if path.current_element_is_integer()
        || path.current_element_is_unsigned_integer()
        || path.current_element_is_positive_integer()
    {
        Holds::Integer
    } else if path.current_element_is_decimal() {
        Holds::Decimal
    } else {
        Holds::Text
    }
}

/// The names of all elements at the top of a resource type.
pub fn top_level(kind: &str) -> Vec<&'static str> {
    let mut path = ElementPath::new(FhirReleases::R4);
    path.push(kind);
    path.children().map_or(Vec::new(), |known| known.iter().copied().filter(|name| *name != "resourceType").collect())
}

const REQUEST_STATUS: &[&str] = &["draft", "active", "on-hold", "revoked", "completed", "entered-in-error", "unknown"];
const REQUEST_INTENT: &[&str] = &[
    "proposal",
    "plan",
    "directive",
    "order",
    "original-order",
    "reflex-order",
    "filler-order",
    "instance-order",
    "option",
];
const PRIORITY: &[&str] = &["routine", "urgent", "asap", "stat"];
const GENDER: &[&str] = &["male", "female", "other", "unknown"];
const IDENTIFIER_USE: &[&str] = &["usual", "official", "temp", "secondary", "old"];
const NAME_USE: &[&str] = &["usual", "official", "temp", "nickname", "anonymous", "old", "maiden"];
const ADDRESS_USE: &[&str] = &["home", "work", "temp", "old", "billing"];
const ADDRESS_TYPE: &[&str] = &["postal", "physical", "both"];
const TELECOM_SYSTEM: &[&str] = &["phone", "fax", "email", "pager", "url", "sms", "other"];
const TELECOM_USE: &[&str] = &["home", "work", "temp", "old", "mobile"];
const CONSENT_STATUS: &[&str] = &["draft", "proposed", "active", "rejected", "inactive", "entered-in-error"];
const FLAG_STATUS: &[&str] = &["active", "inactive", "entered-in-error"];

/// The codes of a required binding, for the elements that mappings set.
fn binding(kind: &str, steps: &[Step]) -> Option<&'static [&'static str]> {
    let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
    let under = |parent: &str| names.len() >= 2 && names[names.len() - 2] == parent;
    match (kind, *names.last()?) {
        ("ServiceRequest", "status") if names.len() == 1 => Some(REQUEST_STATUS),
        ("ServiceRequest", "intent") if names.len() == 1 => Some(REQUEST_INTENT),
        ("ServiceRequest", "priority") if names.len() == 1 => Some(PRIORITY),
        ("Patient", "gender") => Some(GENDER),
        ("Consent", "status") if names.len() == 1 => Some(CONSENT_STATUS),
        ("Flag", "status") if names.len() == 1 => Some(FLAG_STATUS),
        (_, "use") if under("identifier") => Some(IDENTIFIER_USE),
        (_, "use") if under("name") => Some(NAME_USE),
        (_, "use") if under("address") => Some(ADDRESS_USE),
        (_, "type") if under("address") => Some(ADDRESS_TYPE),
        (_, "system") if under("telecom") => Some(TELECOM_SYSTEM),
        (_, "use") if under("telecom") => Some(TELECOM_USE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_coding_means_its_code_and_a_repeating_element_needs_a_name() {
        let element = resolve("ServiceRequest", split("code.coding[snomed]").unwrap(), false).unwrap();
        assert_eq!(element.name, "code.coding[snomed].code");
        assert!(resolve("ServiceRequest", split("code.coding").unwrap(), false).unwrap_err().contains("repeats"));
        assert!(resolve("ServiceRequest", split("status[x]").unwrap(), false).unwrap_err().contains("does not repeat"));
        assert!(resolve("ServiceRequest", split("urgency").unwrap(), false).unwrap_err().contains("not an element"));
        assert!(
            resolve("ServiceRequest", split("subject").unwrap(), false).unwrap_err().contains("not a single value")
        );
        assert!(resolve("Patient", split("name").unwrap(), true).is_ok());
    }
}
