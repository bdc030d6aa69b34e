//! A source tree from a file that a person wrote: the inputs as YAML or JSON, or a case with
//! them under `given`. For `fingerpost map` and for the cases beside each mapping.

use marked_yaml::Node;
use serde_json::{Map, Value};

use super::SourceTree;
use crate::rejection::{IssueType, Rejection};

/// Reads the inputs of a mapping.
///
/// # Errors
/// 400 when the text is neither YAML nor JSON, or its top is not a mapping of inputs.
pub fn tree_from_text(text: &str) -> Result<SourceTree, Rejection> {
    let value = match serde_json::from_str::<Value>(text) {
        Ok(value) => value,
        Err(_) => value(&parse(text)?),
    };
    let inputs = match value {
        Value::Object(mut top) => top.remove("given").unwrap_or(Value::Object(top)),
        other => other,
    };
    match inputs {
        Value::Object(inputs) => Ok(SourceTree { inputs, ..SourceTree::default() }),
        _ => Err(unreadable()),
    }
}

/// Reads a case: YAML as JSON.
///
/// # Errors
/// 400 when the text is not YAML.
pub fn case_from_text(text: &str) -> Result<Value, Rejection> {
    Ok(value(&parse(text)?))
}

fn parse(text: &str) -> Result<Node, Rejection> {
    marked_yaml::parse_yaml(0, text).map_err(|_| unreadable())
}

fn unreadable() -> Rejection {
    Rejection::bad_request(IssueType::Structure, "the file is not a YAML or JSON mapping of input names to their cells")
}

/// YAML as JSON. Only unquoted `true`, `false` and `null` are not text: ids stay text.
pub fn value(node: &Node) -> Value {
    match node {
        Node::Scalar(scalar) => match (scalar.may_coerce(), scalar.as_str()) {
            (true, "true") => Value::Bool(true),
            (true, "false") => Value::Bool(false),
            (true, "null" | "~") => Value::Null,
            (_, text) => Value::String(text.to_owned()),
        },
        Node::Sequence(items) => Value::Array(items.iter().map(value).collect()),
        Node::Mapping(members) => {
            let members: Map<String, Value> =
                members.iter().map(|(key, node)| (key.as_str().to_owned(), value(node))).collect();
            Value::Object(members)
        }
    }
}
