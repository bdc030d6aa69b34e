//! A pool's update of its own Task: accept, decline, carry on, close.

use serde_json::{Value, json};

use super::change::Change;
use super::journey::Journey;
use super::state::{self, Step};
use super::{Write, check, entries};
use crate::access::Caller;
use crate::clock::instant;
use crate::fhir::ids::stable_id;
use crate::fhir::observation::{self, Said};
use crate::fhir::task::{ITK_RESPONSE_CODE, business_status};
use crate::fhir::{coding, version};
use crate::referral::Gateway;
use crate::rejection::{IssueType, Rejection};
use crate::store::Stored;

/// What a pool may change. All else is the referral's identity and stays as it is.
const CHANGEABLE: [&str; 10] = [
    "resourceType",
    "id",
    "meta",
    "text",
    "status",
    "statusReason",
    "businessStatus",
    "executionPeriod",
    "lastModified",
    "note",
];

/// Updates a Task.
pub async fn update(gateway: &Gateway, caller: &Caller, write: Write) -> Result<Stored, Rejection> {
    let Some(id) = &write.id else {
        return Err(Rejection::forbidden("Tasks are made by the gateway when a referral arrives"));
    };
    let journey = Journey::of_task(gateway, caller, id).await?;
    check::if_match(write.if_match, journey.task_version)?;
    identity(&journey.task, &write.resource)?;
    let to = write.resource["status"].as_str().unwrap_or("");
    let step = state::step(journey.status(), to).map_err(|why| refused(why, "Task.status"))?;
    let at = gateway.clock.now();
    let task = next(&journey.task, &write.resource, step, &instant(at))?;
    let code = coding(&task["businessStatus"], ITK_RESPONSE_CODE).unwrap_or("").to_owned();
    let mut change = Change::new(&journey, at);
    change.add(task, journey.task_version + 1);
    match step {
        Step::Stay | Step::Receive | Step::Carry => {}
        Step::Accept => accept(gateway, &journey, &mut change, &instant(at)).await?,
        Step::Reject => {
            let event = if state::is_decline(&code) { "declined" } else { "returned" };
            end(&journey, &mut change, event, &code, &instant(at))?;
        }
        Step::Close => end(&journey, &mut change, "closed", &code, &instant(at))?,
    }
    change.commit(gateway, caller, &write).await
}

/// The national code once an episode: a second acceptance, or a replay, finds it there.
async fn accept(gateway: &Gateway, journey: &Journey, change: &mut Change<'_>, now: &str) -> Result<(), Rejection> {
    let words = "The person accepted social prescribing; their episode with the link workers began.";
    let entry = entry(journey, "accepted", words, now)?;
    change.file_next(&gateway.store, "accepted", entry, true).await?;
    Ok(())
}

/// The entry that ends the referral, and with its acknowledgement the loop.
fn end(journey: &Journey, change: &mut Change<'_>, event: &str, code: &str, now: &str) -> Result<(), Rejection> {
    let reason = state::display(code);
    let words = match event {
        "declined" => "The person declined social prescribing.".to_owned(),
        "returned" => format!("The referral ended before the person accepted. {reason}."),
        _ => format!("The social prescribing episode ended. {reason}."),
    };
    let mut entry = entry(journey, event, &words, now)?;
    if event != "declined" {
        entry["valueCodeableConcept"] = business_status(code, reason);
    }
    change.file(event, entry, 1);
    change.end();
    Ok(())
}

fn entry(journey: &Journey, event: &str, words: &str, now: &str) -> Result<Value, Rejection> {
    let code = entries::code(event).ok_or_else(Rejection::not_found)?;
    let id = stable_id(&[&journey.episode.id, event, journey.practice.as_str()]).to_string();
    let said = Said {
        id: &id,
        status: "final",
        category: "social-history",
        code: (&code.system, &code.code, &code.display),
        effective: now,
        note: words,
    };
    Ok(observation::entry(journey.about(), said))
}

/// Identity elements are neither changed, taken away nor added.
fn identity(current: &Value, sent: &Value) -> Result<(), Rejection> {
    let (Some(current), Some(sent)) = (current.as_object(), sent.as_object()) else {
        return Err(refused("the Task must be an object".to_owned(), "Task"));
    };
    let names = current.keys().chain(sent.keys().filter(|name| !current.contains_key(*name)));
    for name in names.filter(|name| !CHANGEABLE.contains(&name.as_str())) {
        if current.get(name) != sent.get(name) {
            return Err(refused(format!("Task.{name} cannot be changed"), &format!("Task.{name}")));
        }
    }
    Ok(())
}

/// The Task's next version: what the pool may change from what it sent, all else as it was.
fn next(current: &Value, sent: &Value, step: Step, now: &str) -> Result<Value, Rejection> {
    let status = sent["status"].as_str().unwrap_or("");
    let mut task = version::content(current.clone());
    for name in ["text", "status", "statusReason", "note"] {
        match sent.get(name) {
            Some(value) => task[name] = value.clone(),
            None => drop(task.as_object_mut().and_then(|members| members.shift_remove(name))),
        }
    }
    if step == Step::Reject && task["statusReason"].is_null() {
        let words = "say why it is rejected: the person's no, or what else";
        return Err(Rejection::unprocessable(IssueType::BusinessRule, words).at("Task.statusReason"));
    }
    task["businessStatus"] = business(current, sent, status, step)?;
    task["lastModified"] = json!(now);
    match step {
        Step::Accept => task["executionPeriod"] = json!({"start": now}),
        Step::Close => task["executionPeriod"]["end"] = json!(now),
        _ => {}
    }
    Ok(task)
}

/// The business status sent; the state's own, when none was sent or the old one came back.
fn business(current: &Value, sent: &Value, status: &str, step: Step) -> Result<Value, Rejection> {
    let given = &sent["businessStatus"];
    let kept = given.is_null() || given == &current["businessStatus"];
    if kept && step == Step::Stay {
        return Ok(current["businessStatus"].clone());
    }
    let code = coding(given, ITK_RESPONSE_CODE).unwrap_or("");
    if kept && !(step == Step::Carry && state::allows(status, code)) {
        let (code, display) = state::default_business(status);
        return Ok(business_status(code, display));
    }
    if state::allows(status, code) {
        return Ok(business_status(code, state::display(code)));
    }
    let words = format!("a Task that is {status} must have a referral code of ITK-ResponseCodes-1 that fits it");
    Err(refused(words, "Task.businessStatus"))
}

fn refused(why: String, element: &str) -> Rejection {
    Rejection::unprocessable(IssueType::BusinessRule, why).at(element)
}
