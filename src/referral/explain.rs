//! Why a referral is where it is: every decision about it from the first to the one in force, its
//! clock, and what has changed around it since.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::commit::Ids;
use crate::clock::instant;
use crate::fhir::provenance;
use crate::gateway::Gateway;
use crate::routing::Decision;
use crate::store::countdown::Countdown;
use crate::store::{StoreError, Stored};

/// Versions of a referral's Provenance that are read; earlier ones stay in its history.
const VERSIONS_MAX: usize = 100;

/// What there is to say. The decision in force stands at the top level.
#[derive(Debug, Clone, Serialize)]
pub struct Explained {
    /// The ServiceRequest's logical id.
    pub referral: String,
    /// The decision in force; `None`: the referral was linked to an open episode, see `notes`.
    #[serde(flatten)]
    pub decision: Option<Decision>,
    /// When it was made.
    pub decided_at: Option<String>,
    /// Decisions before it, the newest first.
    pub earlier: Vec<Earlier>,
    /// The clock of the pool that has it.
    pub clock: Option<Clock>,
    /// What else there is to know.
    pub notes: Vec<String>,
}

/// A decision that is no longer in force.
#[derive(Debug, Clone, Serialize)]
pub struct Earlier {
    /// When it was made.
    pub decided_at: String,
    /// The decision.
    #[serde(flatten)]
    pub decision: Decision,
}

/// A clock as people read it.
#[derive(Debug, Clone, Serialize)]
pub struct Clock {
    /// The referral.
    pub referral: String,
    /// Whose it is.
    pub pool: String,
    /// When it began.
    pub started: String,
    /// By when the person should have been contacted.
    pub target: String,
    /// True when that has passed and the clock runs.
    pub overdue: bool,
    /// What falls due next; empty: nothing.
    pub next: &'static str,
    /// When.
    pub due: Option<String>,
    /// When it was stopped, and why.
    pub stopped: Option<String>,
    /// Why it was stopped.
    pub why: String,
}

impl Clock {
    /// A countdown as it stands at `now`.
    pub fn at(countdown: &Countdown, now: Timestamp) -> Self {
        Self {
            referral: countdown.referral.clone(),
            pool: countdown.pool.clone(),
            started: instant(countdown.started),
            target: instant(countdown.target),
            overdue: countdown.stopped.is_none() && countdown.target <= now,
            next: countdown.due.map_or("", |_| countdown.step.word()),
            due: countdown.due.map(instant),
            stopped: countdown.stopped.map(instant),
            why: countdown.why.clone(),
        }
    }
}

/// Explains a referral; `None`: there is none of that id with a decision. The Provenance comes
/// with it, for the audit entry.
///
/// # Errors
/// The store's fault.
pub async fn explain(gateway: &Gateway, referral: &str) -> Result<Option<(Explained, Stored)>, StoreError> {
    let id = Ids::of(referral).provenance;
    let versions = gateway.store.history("Provenance", &id, u32::MAX, VERSIONS_MAX).await?;
    let Some(newest) = versions.first().cloned() else { return Ok(None) };
    let mut decisions: Vec<Earlier> = Vec::new();
    let mut linked = None;
    for stored in &versions {
        let body: Value = serde_json::from_slice(&stored.body).unwrap_or(Value::Null);
        let Some(text) = provenance::route(&body) else { continue };
        match serde_json::from_str::<Decision>(text) {
            // A change of the referral repeats the decision: the oldest version with it made it.
            Ok(decision) => match decisions.last_mut().filter(|last| last.decision == decision) {
                Some(last) => last.decided_at = instant(stored.at),
                None => decisions.push(Earlier { decided_at: instant(stored.at), decision }),
            },
            Err(_) => linked = serde_json::from_str::<Value>(text).ok(),
        }
    }
    let mut decisions = decisions.into_iter();
    let current = decisions.next();
    let now = gateway.clock.now();
    let notes = notes(gateway, referral, current.as_ref().map(|current| &current.decision), linked.as_ref()).await?;
    let clock = gateway.store.countdown(referral).await?.map(|countdown| Clock::at(&countdown, now));
    let explained = Explained {
        referral: referral.to_owned(),
        decided_at: current.as_ref().map(|current| current.decided_at.clone()),
        decision: current.map(|current| current.decision),
        earlier: decisions.collect(),
        clock,
        notes,
    };
    Ok(Some((explained, newest)))
}

/// A linked second referral, and a practice that is in another network by now.
async fn notes(
    gateway: &Gateway,
    referral: &str,
    decision: Option<&Decision>,
    linked: Option<&Value>,
) -> Result<Vec<String>, StoreError> {
    let mut notes = Vec::new();
    let ledger = gateway.store.ledger_row(referral).await?;
    if decision.is_none() {
        let pool = linked.and_then(|route| route["pool"].as_str()).unwrap_or("");
        let place = gateway.place();
        let name = place.pool_name(pool).unwrap_or(pool);
        notes.push(format!("The person had an open episode with {name} ({pool}): this referral was linked to it."));
        if let Some(row) = &ledger {
            notes.push(format!("In the ledger it is {}: {}.", row.state.word(), row.waiting_on));
        }
    }
    if let Some(decision) = decision
        && let Some(practice) = &decision.input.practice
    {
        let today = gateway.clock.now().to_zoned(crate::clock::london()).date();
        let place = gateway.place();
        let now = place.practice(practice, today).and_then(|row| row.pcn.clone());
        let then = place.practice(practice, decision.input.on).and_then(|row| row.pcn.clone());
        let then = decision.pcn.clone().or(then);
        let episode = gateway.store.episode(referral).await?;
        if now != then && episode.is_some_and(|episode| episode.open) {
            let name = |code: Option<String>| code.unwrap_or_else(|| "no network".to_owned());
            notes.push(format!(
                "The practice was in {} and is in {} now: the open episode stays where it is.",
                name(then),
                name(now)
            ));
        }
    }
    Ok(notes)
}
