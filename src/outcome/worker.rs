//! Which link worker of the pool has the person, as the pool's own system says: `Task.owner`.
//! <https://hl7.org/fhir/R4/task-definitions.html#Task.owner>
//!
//! - Named by reference (`PractitionerRole/POOL.WORKER`, `Practitioner/WORKER`) or by identifier
//!   (`https://fingerpost.dev/id/worker`); the pool alone says that nobody has the person.
//! - Kept as one reference: to the PractitionerRole, with the pool's identifier as before, so that
//!   the pool is still found by it.
//! - Refused: who is not known, who does not work for the pool on that day, and who is not of the
//!   sex that the person asked for. Who is away that day is taken, with a remark: a link worker on
//!   leave may well keep the person.
//!
//! It counts as the caseload and as who saw the person before; a suggestion does only until then.

use jiff::civil::Date;
use serde_json::{Value, json};

use super::check::refused;
use super::journey::{Journey, parsed};
use crate::fhir::directory::{WORKER, role_id};
use crate::fhir::ids::stable_id;
use crate::fhir::task::POOL;
use crate::fhir::{provenance, split_reference};
use crate::gateway::Gateway;
use crate::rejection::Rejection;
use crate::routing::{Decision, Place, Sex};

/// What is told of a link worker who is away.
const AWAY: &str = "the link worker is away today; they have the person all the same";

/// Who has the person from now on.
pub struct Named {
    /// `Task.owner` as it is kept.
    pub owner: Value,
    /// The link worker; empty: the pool, and nobody of it yet.
    pub worker: String,
}

/// Who is named by what was sent; `None` where the Task says so already.
///
/// # Errors
/// 422 with the element: see the module's description.
pub async fn named(gateway: &Gateway, journey: &Journey, sent: &Value, on: Date) -> Result<Option<Named>, Rejection> {
    let owner = &sent["owner"];
    if *owner == journey.task["owner"] {
        return Ok(None);
    }
    let (place, pool) = (gateway.place(), journey.episode.pool.as_str());
    let name = place.pool_name(pool).unwrap_or(pool);
    let kept = json!({"identifier": {"system": POOL, "value": pool}, "display": name});
    let Some(worker) = said(pool, owner)? else { return Ok(Some(Named { owner: kept, worker: String::new() })) };
    suits(gateway, &place, journey, &worker, on).await?;
    let reference = format!("PractitionerRole/{}", role_id(pool, &worker));
    let owner = json!({"reference": reference, "identifier": kept["identifier"], "display": kept["display"]});
    Ok(Some(Named { owner, worker }))
}

/// The link worker whom an owner names; `None`: the pool itself.
fn said(pool: &str, owner: &Value) -> Result<Option<String>, Rejection> {
    let identifier = &owner["identifier"];
    let by_identifier = match (identifier["system"].as_str(), identifier["value"].as_str()) {
        (None, None) => None,
        (Some(POOL), Some(value)) if value == pool => Some(None),
        (Some(WORKER), Some(value)) => Some(Some(value)),
        _ => return Err(wrong("Task.owner.identifier", "it is neither the Task's pool nor a link worker of it")),
    };
    let by_reference = match owner["reference"].as_str().map(split_reference) {
        None => None,
        Some(Some(("HealthcareService", id))) if id == pool => Some(None),
        Some(Some(("Practitioner", id))) => Some(Some(id)),
        Some(Some(("PractitionerRole", id))) => match id.strip_prefix(pool).and_then(|rest| rest.strip_prefix('.')) {
            Some(worker) => Some(Some(worker)),
            None => return Err(wrong("Task.owner.reference", "it is no role in the Task's pool")),
        },
        Some(_) => return Err(wrong("Task.owner.reference", "it is neither the Task's pool nor a link worker of it")),
    };
    match (by_identifier, by_reference) {
        (None, None) => Err(wrong("Task.owner", "name the pool, or the link worker of it who has the person")),
        (Some(Some(one)), Some(Some(other))) if one != other => {
            Err(wrong("Task.owner", "its reference and its identifier name two link workers"))
        }
        (one, other) => Ok(one.flatten().or_else(|| other.flatten()).map(str::to_owned)),
    }
}

async fn suits(gateway: &Gateway, place: &Place, journey: &Journey, worker: &str, on: Date) -> Result<(), Rejection> {
    let pool = journey.episode.pool.as_str();
    if !place.workers().iter().any(|row| row.id == worker && row.pool == pool) {
        return Err(wrong("Task.owner", "the Task's pool has no such link worker"));
    }
    let Some((row, _)) = place.crew(pool, on).find(|(row, _)| row.id == worker) else {
        return Err(wrong("Task.owner", "the link worker does not work for the Task's pool on this day"));
    };
    let asked = sex_asked(gateway, &journey.episode.id).await?;
    if asked.is_some() && row.sex != asked {
        return Err(wrong("Task.owner", "this link worker is not of the sex that the person asked for"));
    }
    Ok(())
}

/// The sex of link worker that the person asked for, by the decision in force.
async fn sex_asked(gateway: &Gateway, referral: &str) -> Result<Option<Sex>, Rejection> {
    let id = stable_id(&["Provenance", referral]).to_string();
    let Some(stored) = gateway.store.read("Provenance", &id).await? else { return Ok(None) };
    let decision = provenance::route(&parsed(&stored)?).and_then(|text| serde_json::from_str::<Decision>(text).ok());
    Ok(decision.and_then(|decision| decision.input.worker_sex))
}

/// What is told of a Task whose link worker is away; nothing where all is well.
pub fn remark(gateway: &Gateway, task: &Value, on: Date) -> Option<String> {
    let role = task["owner"]["reference"].as_str().and_then(split_reference)?.1;
    let pool = task["owner"]["identifier"]["value"].as_str()?;
    let place = gateway.place();
    let away = place.crew(pool, on).any(|(row, here)| !here && role_id(pool, &row.id) == role);
    away.then(|| AWAY.to_owned())
}

fn wrong(element: &str, why: &str) -> Rejection {
    let element = element.strip_prefix("Task.").unwrap_or(element);
    refused("Task", element, why)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_link_worker_is_named_by_role_person_or_identifier() {
        let by = |owner: Value| said("north", &owner).map_err(|why| why.issues[0].expression.clone().unwrap());
        let worker = Ok(Some("w-1".to_owned()));
        let ours = json!({"system": POOL, "value": "north"});
        assert_eq!(by(json!({"reference": "PractitionerRole/north.w-1"})), worker);
        assert_eq!(by(json!({"reference": "PractitionerRole/north.w-1", "identifier": ours})), worker);
        assert_eq!(by(json!({"reference": "Practitioner/w-1"})), worker);
        assert_eq!(by(json!({"identifier": {"system": WORKER, "value": "w-1"}})), worker);
        assert_eq!(by(json!({"identifier": ours})), Ok(None));
        for (owner, element) in [
            (json!({}), "Task.owner"),
            (Value::Null, "Task.owner"),
            (json!({"reference": "PractitionerRole/south.w-1"}), "Task.owner.reference"),
            (json!({"reference": "Patient/p"}), "Task.owner.reference"),
            (json!({"identifier": {"system": POOL, "value": "south"}}), "Task.owner.identifier"),
            (json!({"reference": "Practitioner/w-1", "identifier": {"system": WORKER, "value": "w-2"}}), "Task.owner"),
        ] {
            assert_eq!(by(owner), Err(element.to_owned()));
        }
    }
}
