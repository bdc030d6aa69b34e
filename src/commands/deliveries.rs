//! `fingerpost deliveries`: what receivers have not had yet, and why; and a person's word to send
//! again what was given up.

use clap::{ArgGroup, Args, Subcommand};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Failure, Options, open, out};
use crate::audit::{Action, Outcome};
use crate::delivery::again::{self, Refusal};
use crate::delivery::{WEBHOOK, WRITEBACK};
use crate::gateway::Gateway;
use crate::referral::reason;
use crate::store::delivery::{Delivery, DeliveryState};

/// Rows that are read at once.
const PAGE: usize = 500;
const HEADING: [&str; 7] = ["key", "receiver", "event", "state", "tries", "since", "why"];

/// What receivers have not had yet; send again what was given up
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  fingerpost deliveries list --state given-up\n  fingerpost deliveries retry --all-of \
                        wellness --reason 'the wellness database is back'"
)]
pub struct Deliveries {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// What is not delivered: by receiver, what was given up after what is queued, oldest first
    #[command(after_help = "Example:\n  fingerpost deliveries list --receiver wellness --state given-up --json")]
    List {
        /// One receiver's
        #[arg(long, value_name = "NAME")]
        receiver: Option<String>,
        /// In one state: queued, given-up, done
        #[arg(long)]
        state: Option<String>,
    },
    /// Queue again what was given up, under the same key
    #[command(
        after_help = "Example:\n  fingerpost deliveries retry 6f0c5b1e-3f0a-5b7e-9d0b-0c6f3b1f2a4d --reason 'the \
                      receiver is back'",
        group(ArgGroup::new("which").required(true))
    )]
    Retry {
        /// The delivery's key
        #[arg(group = "which")]
        id: Option<Uuid>,
        /// Everything that was given up of one receiver
        #[arg(long, value_name = "RECEIVER", group = "which")]
        all_of: Option<String>,
        /// Why, without names or other patient data: it is kept and shown
        #[arg(long)]
        reason: String,
    },
}

impl Deliveries {
    pub async fn run(self, options: &Options) -> Result<(), Failure> {
        let state = match &self.what {
            What::List { state: Some(word), .. } => Some(state(word)?),
            _ => None,
        };
        let gateway = open::gateway(options).await?;
        let done = match self.what {
            What::List { receiver, .. } => list(&gateway, receiver.as_deref(), state, options.json).await,
            What::Retry { id: Some(id), reason, .. } => retry(&gateway, Which::One(id), &reason, options.json).await,
            What::Retry { all_of, reason, .. } => {
                retry(&gateway, Which::AllOf(all_of.unwrap_or_default()), &reason, options.json).await
            }
        };
        gateway.store.close().await;
        done
    }
}

fn state(word: &str) -> Result<DeliveryState, Failure> {
    DeliveryState::parse(word).ok_or_else(|| {
        let words: Vec<_> = DeliveryState::ALL.iter().map(|(_, word)| *word).collect();
        Failure::usage(format!("'{word}' is not a state; states are {}", words.join(", ")))
    })
}

/// The queues that are shown, with a state each.
async fn chosen(
    gateway: &Gateway,
    receiver: Option<&str>,
    state: Option<DeliveryState>,
) -> Result<Vec<(String, DeliveryState, u64)>, Failure> {
    let found = if state == Some(DeliveryState::Done) {
        let counts = gateway.store.outbox_counts("").await?;
        counts.into_iter().map(|(queue, count)| (queue, DeliveryState::Done, count)).collect()
    } else {
        gateway.store.undelivered().await?
    };
    let queue = receiver.map(|name| format!("{WEBHOOK}{name}"));
    let wanted = |(name, stands, _): &(String, DeliveryState, u64)| {
        !name.starts_with(WRITEBACK)
            && queue.as_ref().is_none_or(|queue| queue == name)
            && state.is_none_or(|state| state == *stands)
    };
    Ok(found.into_iter().filter(wanted).collect())
}

/// Shows a page after the other: what is shown was read after the audit entry was made.
async fn list(
    gateway: &Gateway,
    receiver: Option<&str>,
    state: Option<DeliveryState>,
    as_json: bool,
) -> Result<(), Failure> {
    let queues = chosen(gateway, receiver, state).await?;
    let configured = |name: &str| gateway.config.delivery.receivers.iter().any(|one| one.name == name);
    if queues.is_empty() && receiver.is_some_and(|name| !configured(name)) {
        return Err(Failure::input("no receiver of that name is configured, and nothing waits for one"));
    }
    let mut entry = open::entry(gateway, "deliveries-list", Action::R);
    entry.detail = format!("{} queues", queues.len());
    open::record(gateway, entry).await?;
    let mut pages = out::Pages::new(as_json);
    for (queue, state, _) in &queues {
        let mut after = 0;
        loop {
            let page = gateway.store.deliveries(queue, *state, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.place;
            pages.write(&HEADING, page.iter().map(|one| (row(one), cells(one))));
        }
    }
    pages.end("Everything is delivered.");
    Ok(())
}

/// One delivery for a machine.
fn row(one: &Delivery) -> Value {
    let resources = one.resources.iter().map(|(kind, id, version)| format!("{kind}/{id}/_history/{version}"));
    json!({
        "id": one.id,
        "receiver": one.queue.strip_prefix(WEBHOOK).unwrap_or(&one.queue),
        "referral": one.episode,
        "event": one.event,
        "resources": resources.collect::<Vec<_>>(),
        "state": one.state,
        "at": one.at,
        "due": (one.state == DeliveryState::Queued).then_some(one.due),
        "attempts": one.attempts,
        "why": one.why,
    })
}

/// One delivery for a person.
fn cells(one: &Delivery) -> Vec<String> {
    let receiver = one.queue.strip_prefix(WEBHOOK).unwrap_or(&one.queue).to_owned();
    let (state, at) = (one.state.word().to_owned(), one.at.strftime("%Y-%m-%d %H:%M").to_string());
    vec![one.id.to_string(), receiver, one.event.clone(), state, one.attempts.to_string(), at, one.why.clone()]
}

enum Which {
    One(Uuid),
    AllOf(String),
}

async fn retry(gateway: &Gateway, which: Which, reason: &str, as_json: bool) -> Result<(), Failure> {
    let mut entry = open::entry(gateway, "deliveries-retry", Action::U);
    entry.detail = match &which {
        Which::One(id) => format!("delivery {id}"),
        Which::AllOf(_) => "all of one receiver".to_owned(),
    };
    let done = match (reason::checked(reason), which) {
        (Err(why), _) => Err(Refusal::Reason(why.to_string())),
        (Ok(reason), Which::One(id)) => {
            let done = again::one(gateway, id, reason, entry.clone()).await;
            done.map(|one| (row(&one), format!("{id} is now {}", one.state.word())))
        }
        (Ok(reason), Which::AllOf(name)) => {
            let done = again::all_of(gateway, &name, reason, entry.clone()).await;
            done.map(|count| (json!({ "receiver": name, "queued": count }), format!("{count} queued again")))
        }
    };
    match done {
        Ok((value, _)) if as_json => out::json(&value),
        Ok((_, words)) => out::say(words),
        Err(refusal) => return refused(gateway, entry, refusal).await,
    }
    Ok(())
}

/// A refusal is in the log too, without the reason.
async fn refused(gateway: &Gateway, mut entry: crate::audit::Entry, refusal: Refusal) -> Result<(), Failure> {
    if let Refusal::Store(fault) = refusal {
        return Err(fault.into());
    }
    entry.outcome = Outcome::MinorFailure;
    entry.detail = format!("{}: refused: {refusal}", entry.detail);
    open::record(gateway, entry).await?;
    Err(Failure::input(refusal.to_string()))
}
