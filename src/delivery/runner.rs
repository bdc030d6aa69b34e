//! The loop that sends: one for each queue that has due rows, so a slow receiver delays nobody.
//! Webhooks and write-backs share it and differ only in their [`Receiver`].
//!
//! # Once
//!
//! A row is claimed under a lease, sent under its id as idempotency key, and its result is one
//! commit with the audit entry of what was disclosed. A crash at any point leaves either a result
//! or a lease that runs out, after which the row is sent again under the same key: the receiver
//! takes it once.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::LazyLock;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinSet};
use uuid::Uuid;

use super::attempt::{self, Answer, Sending, Verdict};
use crate::audit;
use crate::referral::Gateway;
use crate::store::StoreError;
use crate::store::commit::{Claimed, Commit, OutboxResult, OutboxRow, Sent};

/// How often queues are looked at when nothing wakes the runner.
const POLL: Duration = Duration::from_millis(250);
/// Tries to write a result down before its lease is left to run out.
const RESULT_TRIES_MAX: u32 = 6;
/// The first wait between them; it doubles.
const RESULT_RETRY_FIRST: Duration = Duration::from_millis(50);

static COMMITTED: LazyLock<Notify> = LazyLock::new(Notify::new);

/// Tells the runners of this process that outbox rows were committed, so that they look at once.
pub fn wake() {
    COMMITTED.notify_waiters();
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

/// Where a queue's rows go.
pub trait Receiver: Send + Sync + 'static {
    /// The kind of audit entry that a try makes.
    const KIND: audit::Kind;
    /// Its interaction.
    const INTERACTION: &'static str;

    /// Makes one row ready.
    fn letter(&self, gateway: &Gateway, row: &OutboxRow) -> impl Future<Output = Result<Letter, Unready>> + Send;

    /// Judges the answer to one row.
    fn judge(&self, row: &OutboxRow, answer: &Answer) -> Verdict;

    /// What else changes in the commit that says the receiver has it.
    fn settle(&self, gateway: &Gateway, row: &OutboxRow) -> impl Future<Output = Result<Commit, StoreError>> + Send;
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
    let mut loops = JoinSet::new();
    let mut busy: HashMap<String, AbortHandle> = HashMap::new();
    tokio::pin!(shutdown);
    loop {
        while loops.try_join_next().is_some() {}
        busy.retain(|_, running| !running.is_finished());
        for (queue, name) in due(&gateway, prefix).await {
            busy.entry(queue.clone()).or_insert_with(|| {
                let to = Arc::new(receiver(&gateway, &name));
                loops.spawn(run_queue(gateway.clone(), to, queue, stopped.clone()))
            });
        }
        tokio::select! {
            () = &mut shutdown => break,
            () = COMMITTED.notified() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
    let _ = stop.send(true); // fails only when no queue is running
    while loops.join_next().await.is_some() {}
}

/// Queues with rows to send: `(queue, name after the prefix)`.
async fn due(gateway: &Gateway, prefix: &str) -> Vec<(String, String)> {
    match gateway.store.queues().await {
        Ok(queues) => queues
            .into_iter()
            .filter(|(_, waiting, _)| *waiting > 0)
            .filter_map(|(queue, _, _)| queue.strip_prefix(prefix).map(|name| (queue.clone(), name.to_owned())))
            .collect(),
        Err(fault) => {
            tracing::error!(error = %fault, "the outbox cannot be read; looking again");
            Vec::new()
        }
    }
}

/// Sends one queue's due rows, several at once but one an episode, until none is due.
async fn run_queue<R: Receiver>(gateway: Gateway, receiver: Arc<R>, queue: String, stopped: watch::Receiver<bool>) {
    let mut flying = JoinSet::new();
    loop {
        let free = gateway.config.delivery.in_flight_max.saturating_sub(flying.len());
        if free > 0 && !*stopped.borrow() {
            for claimed in claim(&gateway, &queue, free).await {
                flying.spawn(deliver(gateway.clone(), receiver.clone(), claimed));
            }
        }
        if flying.is_empty() {
            return;
        }
        tokio::select! {
            _ = flying.join_next() => {}
            () = COMMITTED.notified(), if free > 0 => {}
            () = tokio::time::sleep(POLL), if free > 0 => {}
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

/// One try at one row, from claim to committed result.
async fn deliver<R: Receiver>(gateway: Gateway, receiver: Arc<R>, claimed: Claimed) {
    let tried = try_once(&gateway, receiver.as_ref(), &claimed.row).await;
    let now = gateway.clock.now();
    let sent = attempt::decide(&gateway.config.delivery, claimed.attempts, tried.verdict, now, fastrand::f64());
    tell(&claimed, &sent);
    let audit =
        tried.disclosed.map(|(entities, patients)| entry::<R>(&gateway, &claimed, &sent, now, entities, patients));
    for attempt in 0..RESULT_TRIES_MAX {
        match write_down(&gateway, receiver.as_ref(), &claimed, &sent, audit.clone()).await {
            Ok(()) => return,
            Err(StoreError::Stale { .. }) => {
                return tracing::warn!(row = %claimed.row.id, queue = %claimed.row.queue, "the lease was lost; another has the row");
            }
            Err(fault) => {
                tracing::error!(row = %claimed.row.id, error = %fault, "a delivery's result was not kept; trying again");
                tokio::time::sleep(RESULT_RETRY_FIRST * 2_u32.pow(attempt)).await;
            }
        }
    }
}

/// A try's verdict and, where anything may have left the house, what: `(entities, patients)`.
struct Tried {
    verdict: Verdict,
    disclosed: Option<(Vec<String>, Vec<String>)>,
}

async fn try_once<R: Receiver>(gateway: &Gateway, receiver: &R, row: &OutboxRow) -> Tried {
    let letter = match receiver.letter(gateway, row).await {
        Ok(letter) => letter,
        Err(Unready::NotNow(why)) => return Tried { verdict: Verdict::Retry(why, None), disclosed: None },
        Err(Unready::Never(why)) => return Tried { verdict: Verdict::GiveUp(why), disclosed: None },
    };
    let disclosed = Some((letter.entities, letter.patients));
    match attempt::send(&letter.client, letter.request, gateway.clock.now()).await {
        Sending::Answered(answer) => Tried { verdict: receiver.judge(row, &answer), disclosed },
        Sending::Unanswered(why) => Tried { verdict: Verdict::Retry(why.to_owned(), None), disclosed },
        Sending::Unreached => {
            Tried { verdict: Verdict::Retry("no connection could be made".to_owned(), None), disclosed: None }
        }
    }
}

async fn write_down<R: Receiver>(
    gateway: &Gateway,
    receiver: &R,
    claimed: &Claimed,
    sent: &Sent,
    audit: Option<audit::Entry>,
) -> Result<(), StoreError> {
    let also = match sent {
        Sent::Done => receiver.settle(gateway, &claimed.row).await?,
        _ => Commit::default(),
    };
    let result = OutboxResult { id: claimed.row.id, lease: claimed.lease, state: sent.clone() };
    let commit = Commit { sent: vec![result], audit: audit.into_iter().collect(), ..Commit::default() };
    gateway.store.commit(commit.and(also)).await.map(|_| ())
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
    audit::Entry {
        id: Uuid::new_v4(),
        at,
        kind: R::KIND,
        interaction: R::INTERACTION.to_owned(),
        action: audit::Action::R,
        outcome,
        agent: audit::Agent {
            client: "gateway".to_owned(),
            ods: gateway.config.gateway.ods.to_string(),
            role: "gateway".to_owned(),
            user: String::new(),
            address: String::new(),
        },
        purpose: "TREAT".to_owned(),
        request: claimed.row.id.to_string(),
        entities,
        patients,
        query: String::new(),
        detail: format!("{} to {}: {came_to}", claimed.row.event, claimed.row.queue),
    }
}
