//! The runner that empties the gateway's mailbox: at start, then every `mesh.poll_seconds`.
//!
//! # Once, and never lost
//!
//! A message is fetched, committed with what it brought about and with its door key (scope `mesh`), and
//! only then acknowledged, which takes it off the inbox. Stopped before the commit, it is fetched again;
//! stopped after it, its door key is known and it is only acknowledged. A message that nobody can read
//! is committed too, as a hold. One that is larger than `mesh.message_bytes_max` is not acknowledged,
//! for it is not kept: it is held unread, and MESH tells its sender after five days.
//!
//! Gateways that share a store may share a mailbox: the door key decides who took a message.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use super::client::Client;
use super::fault::{MeshError, Refusal};
use super::kept::{self, Kept};
use crate::gateway::Gateway;
use crate::store::StoreError;

/// Between two handshakes; MESH wants one in 24 hours.
const HANDSHAKE_EVERY: SignedDuration = SignedDuration::from_hours(20);
/// Pages of one look, whatever the server says.
const PAGES_MAX: usize = 1000;
/// Failures one after the other after which a look ends.
const FAILURES_MAX: usize = 3;
/// Commits of one message that fail before it is held as it is.
const TRIES_MAX: u32 = 5;
/// Ids remembered of messages that are left in the inbox.
const LEFT_MAX: usize = 10_000;

/// What one look into the inbox came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Looked {
    /// Messages that did what they came for.
    pub taken: usize,
    /// Messages that a person must look at.
    pub held: usize,
    /// Messages that were kept before and only acknowledged now.
    pub known: usize,
    /// Messages that could not be fetched or kept; they stay in the inbox.
    pub failed: usize,
}

/// The mailbox, and what must be remembered between two looks.
#[derive(Debug)]
pub struct Inbox {
    client: Client,
    greeted: Option<Timestamp>,
    tries: HashMap<String, u32>,
    left: HashSet<String>,
}

/// Empties the mailbox until `stop` says true.
pub async fn run(gateway: Gateway, mut stop: watch::Receiver<bool>) {
    let every = Duration::from_secs(gateway.config.mesh.poll_seconds);
    let mut inbox = None;
    while !*stop.borrow() {
        if inbox.is_none() {
            inbox = Client::open(&gateway.config)
                .map_err(|why| tracing::error!(why, "the MESH mailbox cannot be opened"))
                .ok()
                .map(Inbox::of);
        }
        if let Some(inbox) = &mut inbox {
            tokio::select! {
                looked = inbox.look(&gateway) => tell(looked),
                changed = stop.changed() => if changed.is_err() || *stop.borrow() { return },
            }
        }
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            changed = stop.changed() => if changed.is_err() { return },
        }
    }
}

fn tell(looked: Result<Looked, MeshError>) {
    match looked {
        Ok(looked) if looked == Looked::default() => {}
        Ok(Looked { taken, held, known, failed }) => {
            tracing::info!(taken, held, known, failed, "the MESH inbox was read");
        }
        Err(fault) => {
            metrics::counter!("fingerpost_mesh_looks_failed_total").increment(1);
            tracing::error!(error = %fault, "the MESH inbox could not be read; looking again");
        }
    }
}

impl Inbox {
    /// Of a client's mailbox.
    pub fn of(client: Client) -> Self {
        Self { client, greeted: None, tries: HashMap::new(), left: HashSet::new() }
    }

    /// Takes every message that waits, up to `mesh.poll_messages_max`.
    ///
    /// # Errors
    /// The inbox cannot be listed. What fails of single messages is counted and tried again.
    pub async fn look(&mut self, gateway: &Gateway) -> Result<Looked, MeshError> {
        self.greet(gateway.clock.now()).await?;
        let waiting = self.waiting(gateway).await?;
        self.left.retain(|id| waiting.contains(id));
        self.tries.retain(|id, _| waiting.contains(id));
        let mut looked = Looked::default();
        let mut failures = 0;
        for id in &waiting {
            if self.left.contains(id) {
                continue;
            }
            let counted = match self.take(gateway, id).await {
                Ok(Taken::Done) => &mut looked.taken,
                Ok(Taken::Held) => &mut looked.held,
                Ok(Taken::Known) => &mut looked.known,
                Err(why) => {
                    tracing::error!(message = id, why, "a MESH message stays in the inbox");
                    failures += 1;
                    looked.failed += 1;
                    if failures == FAILURES_MAX {
                        break;
                    }
                    continue;
                }
            };
            *counted += 1;
            failures = 0;
        }
        Ok(looked)
    }

    async fn greet(&mut self, now: Timestamp) -> Result<(), MeshError> {
        if self.greeted.is_none_or(|at| now.duration_since(at) >= HANDSHAKE_EVERY) {
            self.client.handshake(now).await?;
            self.greeted = Some(now);
        }
        Ok(())
    }

    async fn waiting(&self, gateway: &Gateway) -> Result<Vec<String>, MeshError> {
        let limit = gateway.config.mesh.poll_messages_max;
        let (mut all, mut from) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let page = self.client.inbox(from.as_deref(), gateway.clock.now()).await?;
            all.extend(page.messages);
            if page.next.is_none() || page.next == from || all.len() >= limit {
                break;
            }
            from = page.next;
        }
        all.truncate(limit);
        Ok(all)
    }

    /// One message: kept, then acknowledged.
    async fn take(&mut self, gateway: &Gateway, id: &str) -> Result<Taken, String> {
        let now = gateway.clock.now();
        let key = kept::door_key(self.client.mailbox(), id, now);
        if gateway.store.door_key(key.scope, &key.key).await.map_err(text)?.is_some() {
            self.acknowledge(gateway, id).await?;
            return Ok(Taken::Known);
        }
        let mail = match self.client.download(id, now).await {
            Ok(mail) => mail,
            Err(fault @ MeshError::TooLarge { .. }) => return self.leave(gateway, id, &fault).await,
            // Another gateway took it, or it expired meanwhile.
            Err(fault) if matches!(fault.refusal(), Some(Refusal::NoSuchMessage | Refusal::Gone)) => {
                return Ok(Taken::Known);
            }
            Err(fault) => return Err(fault.to_string()),
        };
        let tries = self.tries.entry(id.to_owned()).or_default();
        *tries += 1;
        let as_it_is = *tries > TRIES_MAX;
        let taken = match kept::keep(gateway, self.client.mailbox(), &mail, as_it_is, now).await {
            Ok(Kept::Done) => Taken::Done,
            Ok(Kept::Held) => Taken::Held,
            Err(StoreError::Taken { .. }) => Taken::Known,
            Err(fault) => return Err(fault.to_string()),
        };
        self.acknowledge(gateway, id).await?;
        Ok(taken)
    }

    async fn acknowledge(&self, gateway: &Gateway, id: &str) -> Result<(), String> {
        self.client.acknowledge(id, gateway.clock.now()).await.map_err(|fault| fault.to_string())
    }

    /// Holds a message that is too large to be kept, and leaves it in the inbox.
    async fn leave(&mut self, gateway: &Gateway, id: &str, why: &MeshError) -> Result<Taken, String> {
        let now = gateway.clock.now();
        kept::hold_unread(gateway, self.client.mailbox(), id, &why.to_string(), now).await.map_err(text)?;
        if self.left.len() < LEFT_MAX {
            self.left.insert(id.to_owned());
        }
        Ok(Taken::Held)
    }
}

enum Taken {
    Done,
    Held,
    Known,
}

#[allow(clippy::needless_pass_by_value)] // as `map_err` gives it
fn text(fault: StoreError) -> String {
    fault.to_string()
}
