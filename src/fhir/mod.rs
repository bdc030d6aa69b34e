//! FHIR R4: reading and writing resources, and the few things the gateway says in FHIR itself.
//!
//! A resource in the house is a [`serde_json::Value`] that came through this door, where
//! fhirbolt's element model checked every element name and type against R4 (JSON or XML).
//! Numbers keep their digits (`arbitrary_precision`) and elements keep their order.

pub mod bundle;
pub mod capability;
pub mod check;
pub mod collection;
pub mod communication;
pub mod dates;
pub mod directory;
pub mod episode;
pub mod ethnicity;
pub mod evaluation;
pub mod filing;
pub mod ids;
pub mod index;
pub mod ledger;
pub mod logical;
pub mod measure;
pub mod message;
pub mod observation;
pub mod onward;
pub mod outcome;
pub mod pages;
pub mod parameters;
pub mod plain;
pub mod provenance;
pub mod task;
pub mod version;
pub mod wire;

use serde_json::Value;

/// A FHIR resource: a JSON object with a `resourceType`.
pub type Resource = Value;

/// A resource's type, or `""`.
pub fn kind(resource: &Value) -> &str {
    resource["resourceType"].as_str().unwrap_or("")
}

/// A resource's logical id, or `""`.
pub fn id(resource: &Value) -> &str {
    resource["id"].as_str().unwrap_or("")
}

/// The members of an array element, or of nothing.
pub fn each(value: &Value) -> std::slice::Iter<'_, Value> {
    value.as_array().map_or([].iter(), |array| array.iter())
}

/// The value of the first identifier of `resource` with that system.
pub fn identifier<'a>(resource: &'a Value, system: &str) -> Option<&'a str> {
    each(&resource["identifier"])
        .find(|identifier| identifier["system"].as_str() == Some(system))
        .and_then(|identifier| identifier["value"].as_str())
}

/// The first extension of an element with that URL.
pub fn extension<'a>(element: &'a Value, url: &str) -> Option<&'a Value> {
    each(&element["extension"]).find(|extension| extension["url"].as_str() == Some(url))
}

/// The code of the first coding of a CodeableConcept with that system.
pub fn coding<'a>(concept: &'a Value, system: &str) -> Option<&'a str> {
    each(&concept["coding"])
        .find(|coding| coding["system"].as_str() == Some(system))
        .and_then(|coding| coding["code"].as_str())
}

/// Splits a relative literal reference `Type/id`; an absolute URL gives its last two parts.
pub fn split_reference(reference: &str) -> Option<(&str, &str)> {
    let mut parts = reference.split("/_history/").next()?.rsplit('/');
    let (id, kind) = (parts.next()?, parts.next()?);
    let named = kind.starts_with(|c: char| c.is_ascii_uppercase()) && !id.is_empty();
    named.then_some((kind, id))
}
