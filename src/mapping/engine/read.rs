//! Reads values out of a source, and turns their text into what an element holds.

use std::borrow::Cow;

use serde_json::Value;

use super::super::compile::Part;
use super::super::element::Holds;
use super::super::transforms::boolean;

/// The text of a single value, trimmed; nothing when it is blank or not a single value.
pub fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(text.trim()).filter(|text| !text.is_empty()).map(Cow::Borrowed),
        Value::Bool(true) => Some(Cow::Borrowed("true")),
        Value::Bool(false) => Some(Cow::Borrowed("false")),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}

/// A text as the type that an element holds, if it can be.
pub fn typed(holds: Holds, text: Cow<'_, str>) -> Option<Value> {
    match holds {
        Holds::Text => Some(Value::String(text.into_owned())),
        Holds::Boolean => boolean(&text).map(Value::Bool),
        Holds::Integer => text.parse::<i64>().ok().map(Value::from),
        Holds::Decimal => serde_json::from_str(&text).ok().filter(Value::is_number),
        Holds::Whole => None,
    }
}

/// Walks into a source; of a list, the first item that has the rest of the way.
pub fn walk<'t>(value: &'t Value, path: &[Part], systems: &[Vec<String>], other: &mut bool) -> Option<&'t Value> {
    let Some((part, rest)) = path.split_first() else {
        return Some(value).filter(|value| !blank(value));
    };
    let next = value.get(part.name.as_str())?;
    let Some(items) = next.as_array() else {
        *other |= match part.system {
            None => false,
            Some(system) => spelling(next, &systems[system])? > 0,
        };
        return walk(next, rest, systems, other);
    };
    if rest.is_empty() && part.system.is_none() {
        return Some(next).filter(|_| !items.is_empty());
    }
    for item in items {
        let spelling = match part.system {
            None => 0,
            Some(system) => match spelling(item, &systems[system]) {
                Some(at) => at,
                None => continue,
            },
        };
        if let Some(found) = walk(item, rest, systems, other) {
            *other |= spelling > 0;
            return Some(found);
        }
    }
    None
}

/// Which spelling of a system an item has.
fn spelling(item: &Value, spellings: &[String]) -> Option<usize> {
    let system = item.get("system").or_else(|| item.get("url"))?.as_str()?;
    spellings.iter().position(|known| known == system)
}

fn blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}
