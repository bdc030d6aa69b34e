//! capabilities: the CapabilityStatement, made from the tables that the interactions go by, so
//! that everything stated works and everything that works is stated.
//! <https://hl7.org/fhir/R4/http.html#capabilities>

use serde_json::{Value, json};

use super::answer::{Answer, Record};
use super::audit_event;
use super::exchange::Exchange;
use super::interaction::{OPERATIONS, TYPES, Type};
use crate::clock::instant;
use crate::fhir::{capability, parameters};

/// The statement.
pub fn answer(exchange: &Exchange) -> Answer {
    let gateway = &exchange.gateway.config.gateway;
    let resources: Vec<Value> = TYPES.iter().map(resource).collect();
    let statement = capability::statement(&gateway.name, &exchange.base, &instant(exchange.at), resources);
    Answer::resource(&statement, Record::default())
}

fn resource(served: &Type) -> Value {
    let audit = served.name == "AuditEvent";
    let mut interactions = vec!["read", "search-type"];
    if !audit {
        interactions.extend(["vread", "history-instance"]);
    }
    if served.written {
        interactions.push("create");
    }
    if served.updated {
        interactions.push("update");
    }
    let searched: Vec<(&str, &str)> =
        if audit { audit_event::PARAMETERS.to_vec() } else { capability::parameters(served.name) };
    let codes: Vec<Value> = interactions.iter().map(|code| json!({"code": code})).collect();
    let searches: Vec<Value> = searched.iter().map(|(name, kind)| search(served.name, name, kind)).collect();
    let mut resource = json!({
        "type": served.name,
        "interaction": codes,
        "versioning": "versioned",
        "readHistory": !audit,
        "updateCreate": false,
        "conditionalCreate": false,
    });
    let includes = capability::includes(served.name);
    if !audit && !includes.is_empty() {
        resource["searchInclude"] = json!(includes);
    }
    let operations = OPERATIONS.iter().filter(|operation| operation.kind == served.name).map(|operation| {
        let definition = format!("https://fingerpost.dev/OperationDefinition/{}-{}", operation.kind, operation.name);
        json!({"name": operation.name, "definition": definition})
    });
    let operations: Vec<Value> = operations.collect();
    if !operations.is_empty() {
        resource["operation"] = json!(operations);
    }
    resource["searchParam"] = json!(searches);
    resource
}

/// A search parameter; one that is not R4's with its definition.
fn search(of: &str, name: &str, kind: &str) -> Value {
    let mut search = json!({"name": name, "type": kind});
    if let Some(definition) = parameters::definition(of, name) {
        search["definition"] = json!(definition);
    }
    search
}
