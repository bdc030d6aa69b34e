//! For tests of mappings: cases as JSON, and elements found by the mapping's own names.

use fingerpost::mapping::{Lineage, Mapped, case_from_text, value_at};
use serde_json::Value;

/// A case file as JSON.
pub fn case_value(text: &str) -> Value {
    case_from_text(text).expect("the case is YAML")
}

/// The texts of a list.
pub fn list(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|item| item.as_str().expect("a text").to_owned()).collect()
}

/// Splits `Flag[1].status` into the resource's place among `resources`, and the rest.
fn place(mapped: &Mapped, element: &str) -> Option<(usize, String)> {
    let first = element.split('.').next().unwrap_or("");
    let (kind, rest) = if first.starts_with(|c: char| c.is_ascii_uppercase()) {
        (first, element.strip_prefix(first).unwrap_or("").trim_start_matches('.'))
    } else {
        ("ServiceRequest", element)
    };
    let (kind, number) = match kind.split_once('[') {
        Some((kind, number)) => (kind, number.trim_end_matches(']').parse().ok()?),
        None => (kind, 0),
    };
    let of_kind = mapped.resources.iter().enumerate().filter(|(_, resource)| resource["resourceType"] == kind);
    of_kind.map(|(at, _)| (at, rest.to_owned())).nth(number)
}

/// Where an element, as the mapping names it, came from.
pub fn lineage_of<'m>(mapped: &'m Mapped, element: &str) -> Option<&'m Lineage> {
    let (at, rest) = place(mapped, element)?;
    mapped.lineage.iter().find(|line| line.resource == at && *line.slot == rest)
}

/// The value of an element by the mapping's names, by places, or by the names of a copied whole.
pub fn find(mapped: &Mapped, element: &str) -> Value {
    let Some((at, rest)) = place(mapped, element) else { return Value::Null };
    let resource = &mapped.resources[at];
    if rest.is_empty() {
        return resource.clone();
    }
    match mapped.lineage.iter().find(|line| line.resource == at && *line.slot == rest) {
        Some(line) => value_at(resource, &line.element),
        None => value_at(resource, &format!("{}.{rest}", resource["resourceType"].as_str().unwrap_or(""))),
    }
}
