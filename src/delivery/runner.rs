//! The loops that send: one for each queue that has due rows, a bounded number at once, so a slow
//! receiver delays nobody and a dead one is let rest. Webhooks and write-backs share them and
//! differ only in their [`Receiver`].
//!
//! # Once
//!
//! A row is claimed under a lease, sent under its id as idempotency key, and its result is one
//! commit with the audit entry of what was disclosed. A crash at any point leaves either a result
//! or a lease that runs out, after which the row is sent again under the same key: the receiver
//! takes it once.
//!
//! # Fair
//!
//! Due queues are found by look-ups in an index, not by reading their rows. At most
//! [`LIVE_MAX`] queues are sent at once, at most [`SICK_MAX`] of them to receivers that failed
//! last time; a queue gives its place up after [`TURN_ROWS_MAX`] rows; the next look begins where
//! the last one ended. See `breaker` for those that rest.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::attempt::{self, Sending, Verdict};
use super::breaker::Breakers;
use crate::audit;
use crate::gateway::Gateway;
use crate::store::StoreError;
use crate::store::commit::{Claimed, Commit, OutboxResult, Sent};

/// How often queues are looked at when nothing wakes the runner.
const POLL: Duration = Duration::from_millis(250);
/// The rest between two looks, in times of what the last one took, so that looking never costs more
/// than a fifth of the time; and its bounds. A rest that is longer than it must be delays whoever's
/// row lands just after a look for another.
const REST_SHARE: u32 = 4;
const REST_MIN: Duration = Duration::from_millis(1);
const REST_MAX: Duration = Duration::from_millis(50);
/// Queues that are sent at once.
pub const LIVE_MAX: usize = 128;
/// Of these, queues whose last send failed.
pub const SICK_MAX: usize = 32;
/// Rows of one queue before others have their turn.
pub const TURN_ROWS_MAX: usize = 64;
/// Tries to write a result down before its lease is left to run out.
const RESULT_TRIES_MAX: u32 = 6;
/// The first wait between them; it doubles.
const RESULT_RETRY_FIRST: Duration = Duration::from_millis(50);

/// Changes with every commit of outbox rows; a change that comes during a look is seen after it.
static COMMITTED: LazyLock<watch::Sender<()>> = LazyLock::new(|| watch::channel(()).0);

/// Tells the runners of this process that outbox rows were committed, so that they look at once.
pub fn wake() {
    COMMITTED.send_replace(());
}

/// A row made ready to send.
pub struct Letter {
    /// The client that reaches this receiver.
    pub client: reqwest::Client,
    /// The request, idempotency key included.
    pub request: reqwest::Request,
    /// What it discloses, `Type/id/_history/version`.
    pub entities: Vec<String>,
    /// Of whom, `Patient/id`.
    pub patients: Vec<String>,
}

/// Why a row cannot be made ready. The text has no patient data.
#[derive(Debug, Clone)]
pub enum Unready {
    /// It may be later.
    NotNow(String),
    /// Not without a person.
    Never(String),
}

/// What a try came to.
#[derive(Debug)]
pub struct Tried<C> {
    /// In the receiver's own words.
    pub came: C,
    /// Where anything may have left the house, what: `(entities, patients)`.
    pub disclosed: Option<(Vec<String>, Vec<String>)>,
    /// False when the receiver could not be reached, or is in trouble.
    pub healthy: bool,
}

/// Where a queue's rows go.
pub trait Receiver: Send + Sync + 'static {
    /// The kind of audit entry that a try makes.
    const KIND: audit::Kind;
    /// Its interaction.
    const INTERACTION: &'static str;
    /// What a try can come to.
    type Came: Send + Sync;

    /// One try at one row. It may be dropped at any point, as in a crash.
    fn attempt(&self, gateway: &Gateway, claimed: &Claimed) -> impl Future<Output = Tried<Self::Came>> + Send;

    /// What becomes of the row, and what else changes in the same commit. Asked again when that
    /// commit was refused because something moved meanwhile.
    fn settle(
        &self,
        gateway: &Gateway,
        claimed: &Claimed,
        came: &Self::Came,
    ) -> impl Future<Output = Result<(Sent, Commit), StoreError>> + Send;
}

/// Sends the rows of every queue whose name begins with `prefix` until `shutdown`, then waits for
/// the sends under way. `receiver` is given the rest of the queue's name.
pub async fn run_queues<R: Receiver>(
    gateway: Gateway,
    prefix: &'static str,
    receiver: impl Fn(&Gateway, &str) -> R,
    shutdown: impl Future<Output = ()>,
) {
    let (stop, stopped) = watch::channel(false);
    let mut committed = COMMITTED.subscribe();
    let mut desk = Desk::default();
    let mut loops = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        while loops.try_join_next().is_some() {}
        let look = Instant::now();
        let turn = desk.turn(&gateway, prefix).await;
        let rest = (look.elapsed() * REST_SHARE).clamp(REST_MIN, REST_MAX);
        for queue in turn {
            let to = Arc::new(receiver(&gateway, queue.strip_prefix(prefix).unwrap_or("")));
            let run = Run { gateway: gateway.clone(), receiver: to, queue: queue.clone(), more: Arc::default() };
            let (more, breakers) = (run.more.clone(), desk.breakers.clone());
            let handle = loops.spawn(run_queue(run, breakers, stopped.clone()));
            desk.live.insert(queue, (handle, more));
        }
        let woken = async {
            tokio::time::sleep(rest).await;
            tokio::select! {
                _ = committed.changed() => {}
                // A place is free: somebody may wait for it.
                _ = loops.join_next(), if !loops.is_empty() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        };
        tokio::select! {
            () = &mut shutdown => break,
            () = woken => {}
        }
    }
    let _ = stop.send(true); // fails only when no queue is running
    while loops.join_next().await.is_some() {}
}

/// Who is being served, and who is next.
#[derive(Default)]
struct Desk {
    breakers: Breakers,
    live: HashMap<String, (AbortHandle, Arc<Notify>)>,
    /// The queue that was given a place last.
    after: String,
    /// When those that have a place were last told of more.
    told: Option<Timestamp>,
}

impl Desk {
    /// The queues that get a place now. Those that have one are told, now and then, that more is due:
    /// each looks for more by itself when a row has landed.
    async fn turn(&mut self, gateway: &Gateway, prefix: &str) -> Vec<String> {
        self.live.retain(|_, (running, _)| !running.is_finished());
        let now = gateway.clock.now();
        let mut due = gateway.store.due_queues(prefix, now).await.unwrap_or_else(|fault| {
            tracing::error!(error = %fault, "the outbox cannot be read; looking again");
            Vec::new()
        });
        let start = due.partition_point(|queue| *queue <= self.after);
        due.rotate_left(start);
        let tells = self.told.is_none_or(|told| now.duration_since(told).unsigned_abs() >= POLL);
        if tells {
            self.told = Some(now);
        }
        let mut sick = self.live.keys().filter(|queue| self.breakers.is_sick(queue)).count();
        let mut chosen = Vec::new();
        for queue in due {
            if let Some((_, more)) = self.live.get(&queue) {
                if tells {
                    more.notify_one();
                }
                continue;
            }
            let is_sick = self.breakers.is_sick(&queue);
            let full = self.live.len() + chosen.len() >= LIVE_MAX || (is_sick && sick >= SICK_MAX);
            if full || self.breakers.rests(&queue, now) {
                continue;
            }
            sick += usize::from(is_sick);
            self.after.clone_from(&queue);
            chosen.push(queue);
        }
        chosen
    }
}

/// One queue's place.
struct Run<R> {
    gateway: Gateway,
    receiver: Arc<R>,
    queue: String,
    /// More rows are due.
    more: Arc<Notify>,
}

/// Sends one queue's due rows, several at once but one an episode, until none is due, its turn is
/// over or its receiver is let rest. A receiver that failed last time is tried with one row.
async fn run_queue<R: Receiver>(run: Run<R>, breakers: Breakers, stopped: watch::Receiver<bool>) {
    let Run { gateway, receiver, queue, more } = run;
    let (mut flying, mut claimed) = (JoinSet::new(), 0);
    loop {
        let now = gateway.clock.now();
        let most = if breakers.is_sick(&queue) { 1 } else { gateway.config.delivery.in_flight_max };
        let free = most.saturating_sub(flying.len()).min(TURN_ROWS_MAX.saturating_sub(claimed));
        if free > 0 && !*stopped.borrow() && !breakers.rests(&queue, now) {
            for row in claim(&gateway, &queue, free).await {
                claimed += 1;
                flying.spawn(deliver(gateway.clone(), receiver.clone(), row));
            }
        }
        if flying.is_empty() {
            return;
        }
        tokio::select! {
            landed = flying.join_next() => {
                if let Some(Ok(good)) = landed {
                    breakers.note(&queue, good, &gateway.config.delivery, gateway.clock.now());
                }
            }
            () = more.notified(), if free > 0 => {}
        }
    }
}

async fn claim(gateway: &Gateway, queue: &str, free: usize) -> Vec<Claimed> {
    let now = gateway.clock.now();
    let lease = SignedDuration::from_secs(i64::from(gateway.config.delivery.lease_seconds));
    let until = now.checked_add(lease).unwrap_or(now);
    gateway.store.claim(queue, now, until, free).await.unwrap_or_else(|fault| {
        tracing::error!(queue, error = %fault, "rows cannot be claimed; trying again");
        Vec::new()
    })
}

/// One try at one row, from claim to committed result. False when the receiver is in trouble.
async fn deliver<R: Receiver>(gateway: Gateway, receiver: Arc<R>, claimed: Claimed) -> bool {
    let tried = receiver.attempt(&gateway, &claimed).await;
    let mut told = false;
    for attempt in 0..RESULT_TRIES_MAX {
        match write_down(&gateway, receiver.as_ref(), &claimed, &tried, &mut told).await {
            Ok(()) => return tried.healthy,
            Err(StoreError::Stale { what }) if !what.starts_with("filing") => {
                tracing::warn!(row = %claimed.row.id, queue = %claimed.row.queue, "the lease was lost; another has the row");
                return tried.healthy;
            }
            Err(fault) => {
                tracing::error!(row = %claimed.row.id, error = %fault, "a delivery's result was not kept; trying again");
                tokio::time::sleep(RESULT_RETRY_FIRST * 2_u32.pow(attempt)).await;
            }
        }
    }
    tried.healthy
}

async fn write_down<R: Receiver>(
    gateway: &Gateway,
    receiver: &R,
    claimed: &Claimed,
    tried: &Tried<R::Came>,
    told: &mut bool,
) -> Result<(), StoreError> {
    let (sent, also) = receiver.settle(gateway, claimed, &tried.came).await?;
    if !std::mem::replace(told, true) {
        tell(claimed, &sent);
    }
    let audit = tried
        .disclosed
        .clone()
        .map(|(entities, patients)| entry::<R>(gateway, claimed, &sent, gateway.clock.now(), entities, patients));
    let wakes = !also.outbox.is_empty();
    let result = OutboxResult { id: claimed.row.id, lease: claimed.lease, state: sent };
    let commit = Commit { sent: vec![result], audit: audit.into_iter().collect(), ..Commit::default() };
    gateway.store.commit(commit.and(also)).await?;
    if wakes {
        wake();
    }
    Ok(())
}

/// Sends a letter and judges the answer: the try of a receiver whose whole exchange is one request.
pub async fn exchange(gateway: &Gateway, letter: Result<Letter, Unready>) -> Tried<Verdict> {
    let letter = match letter {
        Ok(letter) => letter,
        Err(Unready::NotNow(why)) => {
            return Tried { came: Verdict::Retry(why, None), disclosed: None, healthy: true };
        }
        Err(Unready::Never(why)) => return Tried { came: Verdict::GiveUp(why), disclosed: None, healthy: true },
    };
    let disclosed = Some((letter.entities, letter.patients));
    match attempt::send(&letter.client, letter.request, gateway.clock.now()).await {
        Sending::Answered(answer) => {
            let healthy = answer.status < 500 && answer.status != 429;
            Tried { came: attempt::by_status(&answer), disclosed, healthy }
        }
        Sending::Unanswered(why) => Tried { came: Verdict::Retry(why.to_owned(), None), disclosed, healthy: false },
        Sending::Unreached => {
            let came = Verdict::Retry("no connection could be made".to_owned(), None);
            Tried { came, disclosed: None, healthy: false }
        }
    }
}

/// Logs and counts what a try came to.
fn tell(claimed: &Claimed, sent: &Sent) {
    let (row, queue) = (&claimed.row, &claimed.row.queue);
    let result = match sent {
        Sent::Done => {
            tracing::info!(%row.id, queue, event = row.event, tries = claimed.attempts + 1, "delivered");
            "done"
        }
        Sent::Retry { next, why } => {
            tracing::warn!(%row.id, queue, event = row.event, tries = claimed.attempts + 1, %next, why, "not delivered; trying again");
            "retry"
        }
        Sent::GivenUp { why } => {
            tracing::error!(%row.id, queue, event = row.event, tries = claimed.attempts + 1, why, "given up: needs a person");
            "given-up"
        }
    };
    metrics::counter!("fingerpost_sends_total", "queue" => queue.clone(), "result" => result).increment(1);
}

fn entry<R: Receiver>(
    gateway: &Gateway,
    claimed: &Claimed,
    sent: &Sent,
    at: Timestamp,
    entities: Vec<String>,
    patients: Vec<String>,
) -> audit::Entry {
    let (outcome, came_to) = match sent {
        Sent::Done => (audit::Outcome::Success, "received".to_owned()),
        Sent::Retry { why, .. } => (audit::Outcome::MinorFailure, format!("{why}; to be tried again")),
        Sent::GivenUp { why } => (audit::Outcome::SeriousFailure, format!("given up: {why}")),
    };
    let agent = audit::Agent::gateway(&gateway.config.gateway.ods);
    audit::Entry {
        outcome,
        request: claimed.row.id.to_string(),
        entities,
        patients,
        detail: format!("{} to {}: {came_to}", claimed.row.event, claimed.row.queue),
        ..audit::Entry::care(R::KIND, R::INTERACTION, audit::Action::R, agent, at)
    }
}
