//! A pool's update of its own Task: accept, decline, carry on, close, reopen.
//!
//! Closing says why (`reason`); reopening says why in `statusReason` and goes on in the same
//! episode, so that nothing national is coded twice and a second closure is a new version of the
//! same entry. Of a Task's extensions a pool may change those of [`OURS`]; a summary is for the
//! entry that it comes with and is not kept on the Task.

use serde_json::{Value, json};

use super::change::Change;
use super::filing::{self, Draft};
use super::journey::Journey;
use super::reason::{self, CLOSURE_REASON, Reason};
use super::share::Share;
use super::state::{self, Step};
use super::{Write, care, check, terms};
use crate::access::Caller;
use crate::clock::instant;
use crate::fhir::episode::{RESTRICTED, SHARE, SUMMARY, THIRD_PARTY, UNMET_NEED};
use crate::fhir::task::{ITK_RESPONSE_CODE, business_status};
use crate::fhir::{coding, each, version};
use crate::gateway::Gateway;
use crate::rejection::{IssueType, Rejection};
use crate::store::Stored;
use crate::store::commit::LedgerState;

/// What a pool may change. All else is the referral's identity and stays as it is.
const CHANGEABLE: [&str; 11] = [
    "resourceType",
    "id",
    "meta",
    "text",
    "extension",
    "status",
    "statusReason",
    "businessStatus",
    "executionPeriod",
    "lastModified",
    "note",
];
/// Extensions that a pool may add, change and take away.
const OURS: [&str; 5] = [SHARE, RESTRICTED, THIRD_PARTY, SUMMARY, UNMET_NEED];

/// Updates a Task.
pub async fn update(gateway: &Gateway, caller: &Caller, write: Write) -> Result<Stored, Rejection> {
    let Some(id) = &write.id else {
        return Err(Rejection::forbidden("Tasks are made by the gateway when a referral arrives"));
    };
    let mut journey = Journey::of_task(gateway, caller, id).await?;
    check::if_match(write.if_match, journey.task_version)?;
    identity(&journey.task, &write.resource)?;
    terms::codings(&write.resource)?;
    let to = write.resource["status"].as_str().unwrap_or("");
    let step = state::step(journey.status(), to).map_err(|why| refused(why, "Task.status"))?;
    let at = gateway.clock.now();
    let task = next(&journey.task, &write.resource, step, &instant(at))?;
    // A choice counts from the Task that brings it.
    journey.share = Share::of(&task, journey.share_of_place)?;
    let event = step.event(state::is_decline(state::itk_code(&task)));
    check::allowed(&journey, event, "Task", "status")?;
    let mut change = Change::new(&journey, at);
    change.step(event);
    change.add(task.clone(), journey.task_version + 1);
    let told = Told { sent: &write.resource, task: &task, now: &instant(at) };
    match step {
        Step::Stay | Step::Receive | Step::Carry => {}
        Step::Accept => accept(gateway, &mut change, &told).await?,
        Step::Reject => reject(gateway, &mut change, &told).await?,
        Step::Close => close(gateway, &mut change, &told).await?,
        Step::Reopen => reopen(gateway, &mut change, &told).await?,
    }
    change.commit(gateway, caller, &write).await
}

/// What the pool sent, the Task as it becomes, and when.
struct Told<'a> {
    sent: &'a Value,
    task: &'a Value,
    now: &'a str,
}

impl Told<'_> {
    fn draft<'d>(&'d self, event: &'d str, slots: Vec<(&'d str, String)>) -> Draft<'d> {
        Draft { event, of: "", effective: self.now, status: "final", slots }
    }
}

/// The national code once an episode: a second acceptance, or a replay, finds it there.
async fn accept(gateway: &Gateway, change: &mut Change<'_>, told: &Told<'_>) -> Result<(), Rejection> {
    let entry = filing::entry(change.journey, told.sent, &told.draft("accepted", Vec::new()))?;
    change.file_next(&gateway.store, "accepted", entry, true).await?;
    Ok(())
}

/// The entry that ends a referral before it is an episode.
async fn reject(gateway: &Gateway, change: &mut Change<'_>, told: &Told<'_>) -> Result<(), Rejection> {
    let code = state::itk_code(told.task);
    let event = if state::is_decline(code) { "declined" } else { "returned" };
    let slots = vec![("business", state::display(code).to_owned())];
    let mut entry = filing::entry(change.journey, told.sent, &told.draft(event, slots))?;
    if event == "returned" {
        entry["valueCodeableConcept"] = filing::ending(&told.task["businessStatus"], None);
    }
    change.file_next(&gateway.store, event, entry, false).await?;
    change.end(LedgerState::Returned);
    Ok(())
}

/// The entry that ends the episode, and with its acknowledgement the loop.
async fn close(gateway: &Gateway, change: &mut Change<'_>, told: &Told<'_>) -> Result<(), Rejection> {
    let reason = reason::of(told.task)?;
    let (met, attempted) = care::counts(gateway, change.journey, None).await?;
    let slots = vec![
        ("business", state::display(state::itk_code(told.task)).to_owned()),
        ("reason", reason.display.to_owned()),
        ("lacking", reason::lacking(told.task).join(", ")),
        ("met", met.to_string()),
        ("attempted", attempted.to_string()),
    ];
    let mut entry = filing::entry(change.journey, told.sent, &told.draft("closed", slots))?;
    entry["valueCodeableConcept"] = filing::ending(&told.task["businessStatus"], Some(reason));
    change.file_next(&gateway.store, "closed", entry, false).await?;
    change.end(LedgerState::Closed);
    Ok(())
}

/// The same episode goes on, unless the person has another by now.
async fn reopen(gateway: &Gateway, change: &mut Change<'_>, told: &Told<'_>) -> Result<(), Rejection> {
    let own = &change.journey.episode;
    let open = gateway.store.open_episode(&own.nhs_number).await?;
    if open.is_some_and(|open| open.id != own.id) {
        let why = "the person has another open episode by now: go on in that one".to_owned();
        return Err(refused(why, "Task.status"));
    }
    let entry = filing::entry(change.journey, told.sent, &told.draft("reopened", Vec::new()))?;
    change.file_next(&gateway.store, "reopened", entry, false).await?;
    change.reopen();
    Ok(())
}

/// Identity elements are neither changed, taken away nor added.
fn identity(current: &Value, sent: &Value) -> Result<(), Rejection> {
    let (Some(was), Some(is)) = (current.as_object(), sent.as_object()) else {
        return Err(refused("the Task must be an object".to_owned(), "Task"));
    };
    let names = was.keys().chain(is.keys().filter(|name| !was.contains_key(*name)));
    for name in names.filter(|name| !CHANGEABLE.contains(&name.as_str())) {
        if was.get(name) != is.get(name) {
            return Err(refused(format!("Task.{name} cannot be changed"), &format!("Task.{name}")));
        }
    }
    if extensions(current, false) != extensions(sent, false) {
        return Err(refused("of the extensions only a pool's own can be changed".to_owned(), "Task.extension"));
    }
    Ok(())
}

/// The extensions that are a pool's to change, or those that are not.
fn extensions(task: &Value, ours: bool) -> Vec<&Value> {
    let is_ours = |one: &&Value| one["url"].as_str().is_some_and(|url| OURS.contains(&url)) == ours;
    each(&task["extension"]).filter(is_ours).collect()
}

/// The Task's next version: what the pool may change from what it sent, all else as it was.
fn next(current: &Value, sent: &Value, step: Step, now: &str) -> Result<Value, Rejection> {
    let status = sent["status"].as_str().unwrap_or("");
    let mut task = version::content(current.clone());
    let kept = extensions(sent, true).into_iter().filter(|one| one["url"] != SUMMARY);
    let extension: Vec<Value> = extensions(current, false).into_iter().chain(kept).cloned().collect();
    let extension = (!extension.is_empty()).then_some(Value::Array(extension));
    for name in ["text", "status", "statusReason", "note", "extension"] {
        let next = if name == "extension" { extension.as_ref() } else { sent.get(name) };
        match next {
            Some(value) => task[name] = value.clone(),
            None => drop(task.as_object_mut().and_then(|members| members.shift_remove(name))),
        }
    }
    if matches!(step, Step::Reject | Step::Reopen) && says_nothing(&task["statusReason"], current, step) {
        let words = if step == Step::Reject {
            "say why it is rejected: the person's no, or what else"
        } else {
            "say why it is reopened, in other words than why it was closed"
        };
        return Err(Rejection::unprocessable(IssueType::BusinessRule, words).at("Task.statusReason"));
    }
    task["businessStatus"] = business(current, sent, status, step)?;
    if step == Step::Close {
        task["statusReason"] = reason::concept(closing(current, sent, &mut task)?, &sent["statusReason"]);
    }
    task["lastModified"] = json!(now);
    match step {
        Step::Accept => task["executionPeriod"] = json!({"start": now}),
        Step::Close => task["executionPeriod"]["end"] = json!(now),
        Step::Reopen => drop(task["executionPeriod"].as_object_mut().and_then(|period| period.shift_remove("end"))),
        _ => {}
    }
    Ok(task)
}

/// True where no reason is given, or a reopening only repeats the closure's.
fn says_nothing(reason: &Value, current: &Value, step: Step) -> bool {
    let repeats = || {
        let text = &reason["text"];
        coding(reason, CLOSURE_REASON).is_some() || (text.is_string() && *text == current["statusReason"]["text"])
    };
    reason.is_null() || (step == Step::Reopen && repeats())
}

/// Why it is closed; where the pool named no business status, the reason's own is put.
fn closing(current: &Value, sent: &Value, task: &mut Value) -> Result<&'static Reason, Rejection> {
    if !is_kept(current, sent) {
        return reason::of(task);
    }
    let mut unsaid = task.clone();
    unsaid["businessStatus"] = Value::Null;
    let reason = reason::of(&unsaid)?;
    task["businessStatus"] = business_status(reason.business, state::display(reason.business));
    Ok(reason)
}

/// True when the pool named no business status, or sent the old one back.
fn is_kept(current: &Value, sent: &Value) -> bool {
    sent["businessStatus"].is_null() || sent["businessStatus"] == current["businessStatus"]
}

/// The business status sent; the state's own, when none was sent or the old one came back.
fn business(current: &Value, sent: &Value, status: &str, step: Step) -> Result<Value, Rejection> {
    let given = &sent["businessStatus"];
    let kept = is_kept(current, sent);
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
