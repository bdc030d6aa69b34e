//! index
use crate::store::commit::IndexRow;
use serde_json::Value;
/// rows
pub fn index(_resource: &Value) -> Vec<IndexRow> {
    vec![]
}
