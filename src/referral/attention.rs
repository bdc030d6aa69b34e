//! An alert that nobody answered: whoever looks after the pool is told, once.
//!
//! The alert and its clock are `outcome::attention`'s. The clock is a countdown of its own, under a
//! key that begins with [`attention::KEY`]; it goes on though the episode ends or moves meanwhile.

use jiff::Timestamp;
use serde_json::Value;

use crate::audit::{Action, Agent, Entry, Kind, Outcome};
use crate::delivery;
use crate::fhir::communication::{self, Notice, To};
use crate::fhir::ids::stable_id;
use crate::fhir::{each, split_reference, version};
use crate::gateway::Gateway;
use crate::outcome::attention;
use crate::store::commit::Commit;
use crate::store::countdown::{Change, Countdown, Step};
use crate::store::{StoreError, param};

const WORDS: &str = "Nobody answered the alert that an item of a score needs attention, within the time that is set. \
    Please see to it that somebody looks today.";

/// The alert that a countdown is of; `None`: it is a referral's time to first contact.
pub(super) fn alert(countdown: &Countdown) -> Option<&str> {
    countdown.referral.strip_prefix(attention::KEY)
}

/// Tells whoever looks after the pool; false when there is nothing to tell any more.
///
/// # Errors
/// The store's fault; `Stale` where another process was first.
pub(super) async fn escalate(gateway: &Gateway, due: &Countdown, id: &str, now: Timestamp) -> Result<bool, StoreError> {
    let stored = gateway.store.read("Communication", id).await?;
    let body: Value = stored.and_then(|stored| serde_json::from_slice(&stored.body).ok()).unwrap_or_default();
    let task =
        each(&body["about"]).find_map(|one| split_reference(one["reference"].as_str()?)).map_or("", |(_, id)| id);
    let Some(task) = gateway.store.read("Task", task).await? else {
        return abandon(gateway, due, id, &body["subject"], now).await.map(|()| false);
    };
    // Where the referral is now, should it have moved.
    let visible = gateway.store.visibility("Task", &task.id).await?;
    let mine: Vec<_> = visible.into_iter().filter(|(kind, _)| *kind == param::POOL).collect();
    let pool = mine.first().map_or(due.pool.as_str(), |(_, pool)| pool.as_str());
    let referral =
        each(&body["basedOn"]).find_map(|one| split_reference(one["reference"].as_str()?)).map_or("", |r| r.1);
    let patient = body["subject"]["reference"].as_str().unwrap_or("");
    tracing::error!(referral, pool, alert = id, "nobody answered an alert in time; who looks after the pool is told");
    let place = gateway.place();
    let on = now.to_zoned(crate::clock::london()).date();
    let owner = place.desk(pool).map(|desk| desk.owner.clone());
    let owner = owner.or_else(|| place.pool(pool, on).map(|pool| pool.employer.clone())).unwrap_or_default();
    let notice = communication::urgent(Notice {
        id: &stable_id(&[id, "escalation"]).to_string(),
        kind: "attention-escalation",
        referral,
        task: &task.id,
        patient,
        to: To::Pool { id: pool, name: &owner },
        sender: gateway.config.gateway.ods.as_str(),
        at: now,
        words: WORDS,
    });
    let write = version::write(notice, 1, now, &mine, String::new());
    let named = [(write.kind.clone(), write.id.clone(), 1), (task.kind, task.id, task.version)];
    let entry = Entry {
        entities: vec![write.entity()],
        patients: vec![patient.to_owned()],
        detail: format!("pool {pool}"),
        ..entry(gateway, Action::C, now)
    };
    let done = Countdown { step: Step::Return, due: None, ..due.clone() };
    let commit = Commit {
        outbox: delivery::rows(&gateway.config, "task.escalated", referral, &named, now),
        writes: vec![write],
        countdowns: vec![Change::Set(done)],
        audit: vec![entry],
        ..Commit::default()
    };
    gateway.store.commit(commit).await?;
    Ok(true)
}

/// Stops the clock of an alert whose Task is gone: nobody can be told, and the log says so.
async fn abandon(
    gateway: &Gateway,
    due: &Countdown,
    id: &str,
    subject: &Value,
    now: Timestamp,
) -> Result<(), StoreError> {
    tracing::error!(alert = id, pool = due.pool, "nobody answered an alert, and its Task is gone: nobody can be told");
    let why = "the Task is not there";
    let entry = Entry {
        outcome: Outcome::SeriousFailure,
        entities: vec![format!("Communication/{id}")],
        patients: subject["reference"].as_str().map(str::to_owned).into_iter().collect(),
        detail: format!("the alert's clock was stopped, pool {}: {why}", due.pool),
        ..entry(gateway, Action::U, now)
    };
    let stop = Change::Stop { referral: due.referral.clone(), at: now, why };
    gateway.store.commit(Commit { countdowns: vec![stop], audit: vec![entry], ..Commit::default() }).await.map(drop)
}

fn entry(gateway: &Gateway, action: Action, now: Timestamp) -> Entry {
    let agent = Agent::gateway(&gateway.config.gateway.ods);
    Entry::care(Kind::Operation, "attention-escalation", action, agent, now)
}
