//! Clocks: what happens when nobody makes contact. The pool is reminded, whoever looks after it is
//! told, and in the end the referral goes back to the referrer.
//!
//! - A referral's clock begins with the commit that brings it to a pool or desk, and stops with the
//!   one that records the first finished contact, the person's answer, or the end.
//! - Each step is one commit: the notice (a Communication whose id follows from the referral, its
//!   round and the step), the next step's time, the webhook rows and the audit entry. Two processes,
//!   a restart or a clock that goes back cannot make it twice: the notice is there already.
//! - The last step is the pool's own rejection of the Task, made by the gateway: the same code in
//!   `outcome` closes the episode, files the entry for the practice and keeps the ledger.
//!
//! How long anything takes is the place's: `routing::clocks`.

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::attention;
use super::commit::Ids;
use crate::access::Caller;
use crate::audit::{Action, Agent, Entry, Kind};
use crate::config::Role;
use crate::delivery;
use crate::fhir::communication::{self, Notice, To};
use crate::fhir::ids::stable_id;
use crate::fhir::{task as fhir_task, version};
use crate::gateway::Gateway;
use crate::outcome;
use crate::rejection::Rejection;
use crate::store::commit::{Commit, ResourceWrite};
use crate::store::countdown::{Change, Countdown, Step};
use crate::store::{StoreError, Stored, param};

/// Clocks looked at in one go.
const BATCH: usize = 100;
/// Seconds between two looks at what is due.
const POLL_SECONDS: u64 = 5;
/// The business status of a referral that nobody took up: it is the GP's again.
const RETURNED: &str = "30007";

/// The clock of a referral that comes to a pool: `None` where that pool has none.
pub(super) fn begin(gateway: &Gateway, referral: &str, pool: &str, round: u32, at: Timestamp) -> Option<Change> {
    let plan = gateway.place().clock(&gateway.calendar, pool, at)?;
    let (step, due) = plan.remind.map_or((Step::Escalate, plan.escalate), |remind| (Step::Remind, remind));
    Some(Change::Set(Countdown {
        referral: referral.to_owned(),
        pool: pool.to_owned(),
        round,
        started: at,
        target: plan.target,
        step,
        due: Some(due),
        stopped: None,
        why: String::new(),
    }))
}

/// Looks for what is due until told to stop.
pub async fn run(gateway: Gateway, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        if let Err(fault) = tick(&gateway).await {
            tracing::error!(error = %fault, "clocks could not be looked at; looking again");
        }
        tokio::select! {
            () = tokio::time::sleep(std::time::Duration::from_secs(POLL_SECONDS)) => {}
            changed = stop.changed() => if changed.is_err() { return },
        }
    }
}

/// Does everything that is due now; returns how many steps were made. One that cannot be made is
/// logged and looked at again the next time; it holds up no other.
///
/// # Errors
/// The store's fault.
pub async fn tick(gateway: &Gateway) -> Result<usize, StoreError> {
    let now = gateway.clock.now();
    let mut made = 0;
    for due in gateway.store.due_countdowns(now, BATCH).await? {
        let (referral, step) = (due.referral.clone(), due.step.word());
        match fire(gateway, due, now).await {
            Ok(true) => {
                metrics::counter!("fingerpost_clock_steps_total", "step" => step).increment(1);
                made += 1;
            }
            Ok(false) => {}
            Err(why) => tracing::error!(referral, step, %why, "a clock's step could not be made"),
        }
    }
    if made > 0 {
        delivery::wake();
    }
    Ok(made)
}

/// What a step needs to know of its referral.
struct Due {
    countdown: Countdown,
    ids: Ids,
    task: Stored,
    body: Value,
    visible: Vec<(u8, String)>,
    now: Timestamp,
}

/// Makes one step; false when somebody else made it, or there is nothing to do any more.
async fn fire(gateway: &Gateway, countdown: Countdown, now: Timestamp) -> Result<bool, Rejection> {
    if let Some(alert) = attention::alert(&countdown) {
        return match attention::escalate(gateway, &countdown, alert, now).await {
            // Another process was first.
            Err(StoreError::Stale { .. }) => Ok(false),
            made => Ok(made?),
        };
    }
    let ids = Ids::of(&countdown.referral);
    let Some(task) = gateway.store.read("Task", &ids.task).await?.filter(|task| !task.deleted) else {
        return stop(gateway, &countdown, now, "the Task is not there").await;
    };
    let body: Value = serde_json::from_slice(&task.body).unwrap_or(Value::Null);
    if !matches!(body["status"].as_str(), Some("requested" | "received")) {
        return stop(gateway, &countdown, now, "the Task goes on without it").await;
    }
    let visible = gateway.store.visibility("Task", &ids.task).await?;
    let due = Due { countdown, ids, task, body, visible, now };
    let made = match due.countdown.step {
        Step::Remind | Step::Escalate => due.tell(gateway).await,
        Step::Return => due.give_back(gateway).await,
    };
    match made {
        Ok(()) => Ok(true),
        // Another process, or the pool itself, was first.
        Err(Fault::Store(StoreError::Stale { .. })) => Ok(false),
        Err(Fault::Store(fault)) => Err(fault.into()),
        Err(Fault::Refused(why)) => Err(why),
    }
}

enum Fault {
    Store(StoreError),
    Refused(Rejection),
}

impl From<StoreError> for Fault {
    fn from(fault: StoreError) -> Self {
        Self::Store(fault)
    }
}

async fn stop(gateway: &Gateway, due: &Countdown, at: Timestamp, why: &'static str) -> Result<bool, Rejection> {
    let stop = Change::Stop { referral: due.referral.clone(), at, why };
    gateway.store.commit(Commit { countdowns: vec![stop], ..Commit::default() }).await?;
    Ok(false)
}

impl Due {
    /// Reminds the pool, or tells whoever looks after it.
    async fn tell(&self, gateway: &Gateway) -> Result<(), Fault> {
        let place = gateway.place();
        let (pool, due) = (&self.countdown.pool, &self.countdown);
        let name = place.pool_name(pool).unwrap_or(pool).to_owned();
        let (event, kind, to) = match due.step {
            Step::Remind => ("task.reminder", "reminder", name),
            _ => {
                // An owner must look: said loudly, and to whoever is subscribed.
                tracing::error!(referral = due.referral, pool, "nobody made contact in time; its owner is told");
                let owner = place.desk(pool).map(|desk| desk.owner.clone());
                let on = self.now.to_zoned(crate::clock::london()).date();
                let employer = || place.pool(pool, on).map(|pool| pool.employer.clone());
                ("task.escalated", "escalation", owner.or_else(employer).unwrap_or(name))
            }
        };
        let words = words(due, self.now);
        let notice = self.notice(gateway, kind, To::Pool { id: pool, name: &to }, &words);
        let mine: Vec<_> = self.visible.iter().filter(|(param, _)| *param == param::POOL).cloned().collect();
        let write = version::write(notice, 1, self.now, &mine, String::new());
        let next = match due.step {
            Step::Remind => {
                let plan = place.clock(&gateway.calendar, pool, due.started);
                Countdown { step: Step::Escalate, due: plan.map(|plan| plan.escalate), ..due.clone() }
            }
            _ => {
                let back = place.gives_back(&gateway.calendar, self.now);
                Countdown { step: Step::Return, due: back, ..due.clone() }
            }
        };
        let entry = self.entry(gateway, &write, kind);
        let named = [named(&write), (self.task.kind.clone(), self.task.id.clone(), self.task.version)];
        let commit = Commit {
            outbox: delivery::rows(&gateway.config, event, &due.referral, &named, self.now),
            writes: vec![write],
            countdowns: vec![Change::Set(next)],
            audit: vec![entry],
            ..Commit::default()
        };
        gateway.store.commit(commit).await?;
        Ok(())
    }

    /// Rejects the Task as its pool would, and tells the referrer.
    async fn give_back(&self, gateway: &Gateway) -> Result<(), Fault> {
        let practice = self.body["requester"]["identifier"]["value"].as_str().unwrap_or("");
        let words = "Nobody took this referral up in time. It is yours again: please see the person, or refer anew.";
        let notice = self.notice(gateway, "returned", To::Organisation(practice), words);
        let mut task = version::content(self.body.clone());
        task["status"] = json!("rejected");
        task["statusReason"] = json!({"text": "Nobody took this referral up in time; it goes back to the referrer."});
        task["businessStatus"] = fhir_task::business_status(RETURNED, outcome::state::display(RETURNED));
        let write = outcome::Write {
            kind: "Task".to_owned(),
            id: Some(self.ids.task.clone()),
            resource: task,
            if_match: Some(self.task.version),
            also: vec![version::write(notice, 1, self.now, &self.visible, String::new())],
            ..outcome::Write::default()
        };
        let own = gateway_as_pool(gateway, &self.countdown.pool);
        outcome::record(gateway, &own, write).await.map(drop).map_err(Fault::Refused)
    }

    fn notice(&self, gateway: &Gateway, kind: &str, to: To<'_>, words: &str) -> Value {
        let round = self.countdown.round.to_string();
        let id = stable_id(&["Communication", &self.countdown.referral, &round, kind]).to_string();
        communication::notice(Notice {
            id: &id,
            kind,
            referral: &self.countdown.referral,
            task: &self.ids.task,
            patient: self.body["for"]["reference"].as_str().unwrap_or(""),
            to,
            sender: gateway.config.gateway.ods.as_str(),
            at: self.now,
            words,
        })
    }

    fn entry(&self, gateway: &Gateway, write: &ResourceWrite, kind: &str) -> Entry {
        let agent = Agent::gateway(&gateway.config.gateway.ods);
        Entry {
            entities: vec![write.entity()],
            patients: self.body["for"]["reference"].as_str().map(str::to_owned).into_iter().collect(),
            detail: format!("pool {}", self.countdown.pool),
            ..Entry::care(Kind::Operation, format!("clock-{kind}"), Action::C, agent, self.now)
        }
    }
}

fn named(write: &ResourceWrite) -> (String, String, u32) {
    (write.kind.clone(), write.id.clone(), write.version)
}

/// What the pool, or its owner, is told. Dates are England's.
fn words(due: &Countdown, now: Timestamp) -> String {
    let zone = crate::clock::london();
    let last: Date =
        due.target.checked_sub(jiff::SignedDuration::from_secs(1)).unwrap_or(due.target).to_zoned(zone).date();
    let by = last.strftime("%-d %B %Y");
    if now < due.target {
        format!("No first contact is recorded for this referral. It is due by the end of {by}.")
    } else {
        format!("No first contact is recorded for this referral. It was due by the end of {by}.")
    }
}

/// The gateway acting for a pool that does not.
fn gateway_as_pool(gateway: &Gateway, pool: &str) -> Caller {
    Caller {
        client: "gateway".to_owned(),
        ods: gateway.config.gateway.ods.clone(),
        role: Role::Pool,
        pools: vec![pool.to_owned()],
        scopes: Vec::new(),
        user: String::new(),
        address: String::new(),
    }
}
