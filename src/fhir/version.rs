//! One new version of a resource: id and meta set, serialised once, indexed.
//! The bytes made here are the bytes that every client gets.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{id, index::index, kind};
use crate::clock::instant;
use crate::store::commit::{IndexRow, ResourceWrite};

/// Makes version `version` of `resource`, whose `id` is already set. `visible` are the rows that
/// say who may see it: `(param::PRACTICE | param::POOL, value)`.
pub fn write(resource: Value, version: u32, at: Timestamp, visible: &[(u8, String)], lineage: String) -> ResourceWrite {
    let (kind, id) = (kind(&resource).to_owned(), id(&resource).to_owned());
    let mut rows = index(&resource);
    rows.extend(visible.iter().map(|(param, value)| IndexRow {
        param: *param,
        value: value.clone(),
        extra: String::new(),
    }));
    rows.sort();
    rows.dedup();
    let body = Bytes::from(versioned(resource, version, at).to_string());
    ResourceWrite { kind, id, version, at, deleted: false, body, index: rows, lineage }
}

/// The resource without what a version adds: what to compare to see whether anything changed.
pub fn content(mut resource: Value) -> Value {
    if let Some(meta) = resource.get_mut("meta").and_then(Value::as_object_mut) {
        meta.shift_remove("versionId");
        meta.shift_remove("lastUpdated");
    }
    if resource["meta"].as_object().is_some_and(Map::is_empty) {
        resource.as_object_mut().map(|members| members.shift_remove("meta"));
    }
    resource
}

/// `resourceType`, `id` and `meta` first, as FHIR's own examples have them; the rest in order.
fn versioned(resource: Value, version: u32, at: Timestamp) -> Value {
    let mut given = match resource {
        Value::Object(members) => members,
        other => return other,
    };
    let mut whole = Map::new();
    for name in ["resourceType", "id"] {
        if let Some(value) = given.shift_remove(name) {
            whole.insert(name.to_owned(), value);
        }
    }
    let mut meta = json!({"versionId": version.to_string(), "lastUpdated": instant(at)});
    if let (Some(Value::Object(more)), Value::Object(meta)) = (given.shift_remove("meta"), &mut meta) {
        meta.extend(more.into_iter().filter(|(name, _)| name != "versionId" && name != "lastUpdated"));
    }
    whole.insert("meta".to_owned(), meta);
    whole.extend(given);
    Value::Object(whole)
}
