//! Builds resources from values and their places.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::super::Name;
use super::super::compile::{Leaf, LeafStep, Target};

/// Puts a value where the steps lead, making objects and items on the way. `items` keeps each
/// slice's place, from 1.
pub fn put(at: &mut Value, steps: &[LeafStep], value: Value, items: &mut [usize]) {
    let Some((step, rest)) = steps.split_first() else {
        *at = value;
        return;
    };
    if !at.is_object() {
        *at = Value::Object(Map::new());
    }
    let Value::Object(members) = at else { return };
    // Values come in R4's order, so a member that is there already is the last one.
    let next = if members.keys().next_back() == Some(&step.name) {
        members.values_mut().next_back()
    } else {
        Some(members.entry(step.name.clone()).or_insert(Value::Null))
    };
    let Some(next) = next else { return };
    let Some(slot) = step.slot else {
        return put(next, rest, value, items);
    };
    if !next.is_array() {
        *next = Value::Array(Vec::new());
    }
    let Value::Array(list) = next else { return };
    if items[slot] == 0 {
        list.push(Value::Null);
        items[slot] = list.len();
    }
    if let Some(item) = list.get_mut(items[slot] - 1) {
        put(item, rest, value, items);
    }
}

/// The FHIR path of an element, with the places of the items on the way.
pub fn element(target: &Target, leaf: &Leaf, items: &[usize]) -> Name {
    if leaf.steps.iter().all(|step| step.slot.is_none_or(|slot| items[slot] == step.place + 1)) {
        return leaf.element.clone();
    }
    let mut path = String::with_capacity(target.kind.len() + leaf.slot.len() + 1);
    path.push_str(&target.kind);
    for step in &leaf.steps {
        path.push('.');
        path.push_str(&step.name);
        if let Some(slot) = step.slot {
            path.push('[');
            let _ = write!(path, "{}", items[slot].max(1) - 1);
            path.push(']');
        }
    }
    path.into()
}

/// An element's name without its slices.
pub fn unsliced(slot: &str) -> String {
    let mut bare = String::with_capacity(slot.len());
    let mut inside = false;
    for c in slot.chars() {
        inside = c == '[' || (inside && c != ']');
        if !inside && c != ']' {
            bare.push(c);
        }
    }
    bare
}
