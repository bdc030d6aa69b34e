//! `$preview-outcome` on a Task: what a write would put into the GP record and what the person
//! would read of it. <https://hl7.org/fhir/R4/operations.html>
//!
//! The body is a Parameters with one parameter `resource`: what would be written. Nothing is kept;
//! it is audited as a read of the Task.

use serde_json::Value;

use super::answer::{Answer, Answered, Record};
use super::exchange::Exchange;
use crate::fhir::{self, each};
use crate::outcome::{self, KINDS, Write};
use crate::rejection::{IssueType, Rejection};

/// Shows it.
pub async fn answer(exchange: &Exchange, task: &str) -> Answered {
    let parameters = exchange.resource()?;
    let resource = resource(&parameters)?;
    let kind = fhir::kind(&resource).to_owned();
    if !KINDS.contains(&kind.as_str()) {
        let words = format!("outcomes are {}", KINDS.join(", "));
        return Err(Rejection::unprocessable(IssueType::NotSupported, words).at(AT).into());
    }
    let id = Some(fhir::id(&resource).to_owned()).filter(|id| !id.is_empty());
    let write = Write { kind, id, resource, request: exchange.request.clone(), ..Write::default() };
    let (shown, patient) = outcome::preview(&exchange.gateway, exchange.caller()?, task, write).await?;
    let record = Record { entities: vec![format!("Task/{task}")], patients: vec![patient], ..Record::default() };
    Ok(Answer::resource(&shown, record))
}

const AT: &str = "Parameters.parameter[0].resource";

fn resource(parameters: &Value) -> Result<Value, Rejection> {
    if fhir::kind(parameters) != "Parameters" {
        let words = "the body is a Parameters with one parameter named resource";
        return Err(Rejection::bad_request(IssueType::Invalid, words).at("resourceType"));
    }
    let mut named = each(&parameters["parameter"]).filter(|one| one["name"] == "resource");
    match (named.next().map(|one| &one["resource"]), named.next()) {
        (Some(resource), None) if resource.is_object() => Ok(resource.clone()),
        _ => Err(Rejection::bad_request(IssueType::Required, "there must be one parameter named resource").at(AT)),
    }
}
