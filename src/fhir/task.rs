//! The Task: the work that a pool does for a referral.
//! <https://simplifier.net/guide/ukcoreimplementationguide>, <https://hl7.org/fhir/R4/task.html>

use jiff::Timestamp;
use serde_json::{Value, json};

use super::ids::ODS;
use crate::clock::instant;

/// The system of pool ids.
pub const POOL: &str = "https://fingerpost.dev/id/pool";
/// ITK response codes, the referral states among them.
pub const ITK_RESPONSE_CODE: &str = "https://fhir.nhs.uk/STU3/CodeSystem/ITK-ResponseCodes-1";

/// What a new Task says.
#[derive(Debug, Clone, Copy)]
pub struct NewTask<'a> {
    /// The Task's logical id.
    pub id: &'a str,
    /// The ServiceRequest's logical id.
    pub referral: &'a str,
    /// The Patient's logical id.
    pub patient: &'a str,
    /// The practice's ODS code.
    pub practice: &'a str,
    /// The pool's id and name.
    pub pool: (&'a str, &'a str),
    /// The link worker suggested.
    pub worker: Option<&'a str>,
    /// `ServiceRequest.priority`, if there is one.
    pub priority: Option<&'a str>,
    /// When the pool was asked.
    pub at: Timestamp,
}

/// A Task that asks a pool to take a referral: `requested`, business status 30005 (open).
pub fn requested(new: NewTask<'_>) -> Value {
    let mut task = json!({
        "resourceType": "Task",
        "id": new.id,
        "meta": {"profile": ["https://fhir.hl7.org.uk/StructureDefinition/UKCore-Task"]},
        "status": "requested",
        "businessStatus": business_status("30005", "Referral open"),
        "intent": "order",
        "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]},
        "focus": {"reference": format!("ServiceRequest/{}", new.referral)},
        "for": {"reference": format!("Patient/{}", new.patient)},
        "authoredOn": instant(new.at),
        "lastModified": instant(new.at),
        "requester": {"identifier": {"system": ODS, "value": new.practice}},
        "owner": {"identifier": {"system": POOL, "value": new.pool.0}, "display": new.pool.1},
    });
    if let Some(priority) = new.priority {
        task["priority"] = json!(priority);
    }
    suggest(&mut task, new.pool.0, new.worker);
    task
}

/// A business status by ITK response code.
pub fn business_status(code: &str, display: &str) -> Value {
    json!({"coding": [{"system": ITK_RESPONSE_CODE, "code": code, "display": display}]})
}

/// The Task with another owner: asked for anew, unless the person's episode is under way. `pool` is
/// its id and name, `worker` the link worker suggested.
pub fn moved(mut task: Value, pool: (&str, &str), worker: Option<&str>, at: Timestamp) -> Value {
    task["owner"] = json!({"identifier": {"system": POOL, "value": pool.0}, "display": pool.1});
    if task["status"] == "received" {
        task["status"] = json!("requested");
        task["businessStatus"] = business_status("30005", "Referral open");
    }
    task["lastModified"] = json!(instant(at));
    if let Some(members) = task.as_object_mut() {
        members.shift_remove("restriction");
    }
    suggest(&mut task, pool.0, worker);
    task
}

/// Says which link worker is suggested: whom the Task was asked of, within its pool.
fn suggest(task: &mut Value, pool: &str, worker: Option<&str>) {
    if let Some(worker) = worker {
        let role = super::directory::role_id(pool, worker);
        task["restriction"] = json!({"recipient": [{"reference": format!("PractitionerRole/{role}")}]});
    }
}

/// The Task when its referral is withdrawn: `cancelled`, 30013 (closed, not needed).
pub fn cancelled(mut task: Value, at: Timestamp) -> Value {
    task["status"] = json!("cancelled");
    task["businessStatus"] = business_status("30013", "Referral closed: not needed");
    task["lastModified"] = json!(instant(at));
    task
}
