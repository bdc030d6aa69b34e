//! The one commit, and everything that is read back. The only SQL is below this module.
//!
//! # The contract, which both stores keep and `tests/store.rs` checks
//!
//! - **Atomic and durable.** [`Store::commit`] returns after the commit is on disk (SQLite WAL
//!   with `synchronous=FULL`; PostgreSQL with `synchronous_commit=on`), all of it or none of it.
//!   Commits that wait together share a transaction; one that is refused does not harm the others.
//! - **Once.** A [`commit::DoorKey`] can be taken once; a second commit with it is
//!   [`StoreError::Taken`] and changes nothing.
//! - **No lost update.** A write of version N needs version N-1 to be current, else `Stale`.
//! - **One open episode a person.** A second one is `Stale`: read again, and link to the first.
//! - **In the log.** A commit's audit entries are leaves of the Merkle log, and a signed
//!   checkpoint covers them, in the same transaction.
//! - **Order.** Outbox rows of one (queue, episode) are claimed one at a time, in order.
//! - **Reads see commits.** A read that starts after a commit returned sees it.

pub mod commit;
pub mod countdown;
pub mod delivery;
pub mod fault;
pub mod filing;
mod query;
mod races;
mod rows;
pub mod staging;

use bytes::Bytes;
use jiff::Timestamp;

pub use query::{Criterion, Cursor, EntrySearch, Page, Search, Test};
pub use races::Races;

/// Why the store did not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// A door key was used before.
    #[error("the {scope} key was used before")]
    Taken {
        /// The key's scope.
        scope: String,
        /// The digest that came with it the first time.
        digest: String,
    },
    /// The resource is at another version, or the lease is no longer held.
    #[error("{what} was changed by someone else")]
    Stale {
        /// `Type/id`, or the outbox row.
        what: String,
    },
    /// More commits wait than `store.queue_max`.
    #[error("too many commits wait")]
    Overloaded,
    /// The engine's own fault: disk, network, schema. Never shown to a caller.
    #[error("{0}")]
    Engine(String),
}

/// A resource version as stored.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The resource type.
    pub kind: String,
    /// The logical id.
    pub id: String,
    /// Its version.
    pub version: u32,
    /// When it was made.
    pub at: Timestamp,
    /// True for a deletion.
    pub deleted: bool,
    /// The JSON that clients get.
    pub body: Bytes,
    /// See `commit::ResourceWrite::lineage`.
    pub lineage: String,
}

/// The search parameters that are indexed, as small numbers. Names are FHIR's.
#[allow(missing_docs)]
pub mod param {
    pub const PRACTICE: u8 = 1; // visibility: the practice whose referral or patient this is
    pub const POOL: u8 = 2; // visibility: the pool that works for it
    pub const IDENTIFIER: u8 = 3;
    pub const STATUS: u8 = 4;
    pub const PATIENT: u8 = 5; // subject / for / patient reference
    pub const CODE: u8 = 6;
    pub const CATEGORY: u8 = 7;
    pub const AUTHORED: u8 = 8; // authoredOn / effective / period / sent
    pub const REQUESTER: u8 = 9;
    pub const PERFORMER: u8 = 10; // performer; Task owner
    pub const FOCUS: u8 = 11; // Task focus / based-on / basedOn
    pub const BUSINESS_STATUS: u8 = 12;
    pub const PRIORITY: u8 = 13;
    pub const FAMILY: u8 = 14;
    pub const GIVEN: u8 = 15;
    pub const BIRTHDATE: u8 = 16;
    pub const POSTCODE: u8 = 17;
    pub const GENDER: u8 = 18;
    pub const ENCOUNTER: u8 = 19;
    pub const TARGET: u8 = 20; // Provenance.target
    pub const SECURITY: u8 = 21; // _security
    pub const SUBJECT_IDENTIFIER: u8 = 22; // patient:identifier chained one step
    pub const BASED_ON: u8 = 23; // Task.basedOn (Task.focus has FOCUS)
    pub const REQUESTER_IDENTIFIER: u8 = 24; // requester:identifier; Patient.managingOrganization
    pub const GOAL: u8 = 26; // CarePlan.goal; numbers from 26 are those of single types
    pub const PERFORMER_IDENTIFIER: u8 = 25; // performer:identifier, owner:identifier, GP
}

/// The store: one contract, two engines that share no code.
#[derive(Clone)]
pub enum Store {
    /// Embedded.
    Sqlite(sqlite::Sqlite),
    /// Shared by any number of gateways.
    Postgres(postgres::Postgres),
}

pub mod postgres;
pub mod sqlite;

/// Runs the same call on whichever engine this is.
macro_rules! on {
    ($store:expr, $engine:ident => $call:expr) => {
        match $store {
            Store::Sqlite($engine) => $call,
            Store::Postgres($engine) => $call,
        }
    };
}

impl Store {
    /// Opens a store whose schema `migrate` has made.
    ///
    /// # Errors
    /// [`StoreError::Engine`] when it cannot be reached or its schema is not this version's.
    pub async fn open(config: &crate::config::Store, signer: crate::audit::Signer) -> Result<Self, StoreError> {
        let url = url(config)?;
        if url.starts_with("postgres") {
            Ok(Self::Postgres(postgres::Postgres::open(config, &url, signer).await?))
        } else {
            Ok(Self::Sqlite(sqlite::Sqlite::open(config, &url, signer).await?))
        }
    }

    /// Opens a store for reading alone, without the key that signs: for `audit verify` on a copy.
    /// Commits are refused.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_to_read(config: &crate::config::Store) -> Result<Self, StoreError> {
        let url = url(config)?;
        if url.starts_with("postgres") {
            Ok(Self::Postgres(postgres::Postgres::open_to_read(config, &url).await?))
        } else {
            Ok(Self::Sqlite(sqlite::Sqlite::open_to_read(config, &url).await?))
        }
    }

    /// Creates or upgrades the schema; says what it did, a line a step, nothing when nothing was due.
    pub async fn migrate(config: &crate::config::Store) -> Result<Vec<String>, StoreError> {
        let url = url(config)?;
        if url.starts_with("postgres") { postgres::migrate(&url).await } else { sqlite::migrate(&url).await }
    }

    /// The faults that a test may ask for; see [`fault`].
    pub fn faults(&self) -> &fault::Faults {
        on!(self, engine => engine.faults())
    }

    /// Writes one commit whole; returns when it is durable.
    pub async fn commit(&self, commit: commit::Commit) -> Result<commit::Committed, StoreError> {
        assert!(!self.faults().met(fault::Point::Caller), "a fault made on purpose in the caller");
        on!(self, engine => engine.commit(commit).await)
    }

    /// The current version of a resource; a deleted one is returned with `deleted` set.
    pub async fn read(&self, kind: &str, id: &str) -> Result<Option<Stored>, StoreError> {
        on!(self, engine => engine.read_resource(kind, id).await)
    }

    /// One version of a resource.
    pub async fn vread(&self, kind: &str, id: &str, version: u32) -> Result<Option<Stored>, StoreError> {
        on!(self, engine => engine.vread(kind, id, version).await)
    }

    /// Versions of a resource below `before` (all: `u32::MAX`), newest first, at most `count`.
    pub async fn history(&self, kind: &str, id: &str, before: u32, count: usize) -> Result<Vec<Stored>, StoreError> {
        on!(self, engine => engine.history(kind, id, before, count).await)
    }

    /// A page of a search.
    pub async fn search(&self, search: Search) -> Result<Page, StoreError> {
        on!(self, engine => engine.search(search).await)
    }

    /// Calls `take` with everything that a search finds, a page after the other.
    ///
    /// # Errors
    /// The store's, or the first that `take` gives.
    pub async fn each(
        &self,
        mut search: Search,
        mut take: impl FnMut(Stored) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        loop {
            let page = self.search(search.clone()).await?;
            page.found.into_iter().try_for_each(&mut take)?;
            search.after = page.next;
            if search.after.is_none() {
                return Ok(());
            }
        }
    }

    /// The visibility rows (`param::PRACTICE`, `param::POOL`) of a resource's current version.
    pub async fn visibility(&self, kind: &str, id: &str) -> Result<Vec<(u8, String)>, StoreError> {
        on!(self, engine => engine.visibility(kind, id).await)
    }

    /// The digest that came with a door key, if it was used.
    pub async fn door_key(&self, scope: &str, key: &str) -> Result<Option<String>, StoreError> {
        on!(self, engine => engine.door_key(scope, key).await)
    }

    /// A kept message with its bytes.
    pub async fn message(&self, id: uuid::Uuid) -> Result<Option<commit::Message>, StoreError> {
        on!(self, engine => engine.message(id).await)
    }

    /// The ledger's rows, by practice and day of receipt (UTC date text) where given.
    pub async fn ledger(
        &self,
        practice: Option<&str>,
        day: Option<&str>,
    ) -> Result<Vec<commit::LedgerRow>, StoreError> {
        on!(self, engine => engine.ledger(practice, day).await)
    }

    /// Open ledger rows that wait for `on` since before `before`, at most `count`, longest first.
    pub async fn ledger_waiting(
        &self,
        on: &str,
        before: Timestamp,
        count: usize,
    ) -> Result<Vec<commit::LedgerRow>, StoreError> {
        on!(self, engine => engine.ledger_waiting(on, before, count).await)
    }

    /// One ledger row.
    pub async fn ledger_row(&self, id: &str) -> Result<Option<commit::LedgerRow>, StoreError> {
        on!(self, engine => engine.ledger_row(id).await)
    }

    /// How many ledger rows are in each state, `(state word, count)`, of one practice where given.
    /// Read from the index alone.
    pub async fn ledger_counts(&self, practice: Option<&str>) -> Result<Vec<(String, u64)>, StoreError> {
        on!(self, engine => engine.ledger_counts(practice).await)
    }

    /// Counts of ignored candidates: `(practice, reason, count)`.
    pub async fn ignored(&self) -> Result<Vec<(String, String, u64)>, StoreError> {
        on!(self, engine => engine.ignored().await)
    }

    /// Holds that are not over, oldest first.
    pub async fn holds(&self) -> Result<Vec<commit::Hold>, StoreError> {
        on!(self, engine => engine.holds().await)
    }

    /// The open episode of a person, if there is one.
    pub async fn open_episode(&self, nhs_number: &str) -> Result<Option<commit::Episode>, StoreError> {
        on!(self, engine => engine.open_episode(nhs_number).await)
    }

    /// An episode by its ServiceRequest id.
    pub async fn episode(&self, id: &str) -> Result<Option<commit::Episode>, StoreError> {
        on!(self, engine => engine.episode(id).await)
    }

    /// Episodes of a person, at most `count`: the open one, then the others, the newest referral first.
    pub async fn episodes_of(&self, nhs_number: &str, count: usize) -> Result<Vec<commit::Episode>, StoreError> {
        on!(self, engine => engine.episodes_of(nhs_number, count).await)
    }

    /// Open episodes of each pool and link worker: `(pool, worker, count)`; the worker is empty
    /// where none is known.
    pub async fn workloads(&self) -> Result<Vec<(String, String, u64)>, StoreError> {
        on!(self, engine => engine.workloads().await)
    }

    /// The countdown of a referral, if it ever had one.
    pub async fn countdown(&self, referral: &str) -> Result<Option<countdown::Countdown>, StoreError> {
        on!(self, engine => engine.countdown(referral).await)
    }

    /// Countdowns of which something fell due at `now` or before, the longest due first.
    pub async fn due_countdowns(&self, now: Timestamp, count: usize) -> Result<Vec<countdown::Countdown>, StoreError> {
        on!(self, engine => engine.due_countdowns(now, count).await)
    }

    /// Countdowns that run, the nearest target first.
    pub async fn running_countdowns(&self) -> Result<Vec<countdown::Countdown>, StoreError> {
        on!(self, engine => engine.running_countdowns().await)
    }

    /// Open episodes of each pool: `(pool, count)`.
    pub async fn caseloads(&self) -> Result<Vec<(String, u64)>, StoreError> {
        on!(self, engine => engine.caseloads().await)
    }

    /// Claims due rows of one queue, at most `limit`, in order, one a (queue, episode), under a
    /// lease that ends at `until`. Rows whose lease ran out are due again.
    pub async fn claim(
        &self,
        queue: &str,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<commit::Claimed>, StoreError> {
        on!(self, engine => engine.claim(queue, now, until, limit).await)
    }

    /// Queues that have rows that are not done: `(queue, rows to be sent, rows given up)`.
    pub async fn queues(&self) -> Result<Vec<(String, u64, u64)>, StoreError> {
        on!(self, engine => engine.queues().await)
    }

    /// How many rows were ever put into each queue whose name begins with `prefix`, done or not:
    /// `(queue, rows)`.
    pub async fn outbox_counts(&self, prefix: &str) -> Result<Vec<(String, u64)>, StoreError> {
        on!(self, engine => engine.outbox_counts(prefix).await)
    }

    /// How many rows each queue has that are not done: `(queue, state, rows)`, by queue.
    pub async fn undelivered(&self) -> Result<Vec<(String, delivery::DeliveryState, u64)>, StoreError> {
        on!(self, engine => engine.undelivered().await)
    }

    /// Rows of one queue in one state that come after the place `after`, in order, at most `count`.
    /// Of those that are not done, an index leads to them.
    pub async fn deliveries(
        &self,
        queue: &str,
        state: delivery::DeliveryState,
        after: u64,
        count: usize,
    ) -> Result<Vec<delivery::Delivery>, StoreError> {
        on!(self, engine => engine.deliveries(queue, state, after, count).await)
    }

    /// One row of the outbox.
    pub async fn delivery(&self, id: uuid::Uuid) -> Result<Option<delivery::Delivery>, StoreError> {
        on!(self, engine => engine.delivery(id).await)
    }

    /// Outbox rows of an episode whose queue begins with `prefix`: `(id, event, state word)`, in
    /// order. State words: `queued`, `done`, `given-up`.
    pub async fn outbox_of(
        &self,
        episode: &str,
        prefix: &str,
    ) -> Result<Vec<(uuid::Uuid, String, String)>, StoreError> {
        on!(self, engine => engine.outbox_of(episode, prefix).await)
    }

    /// One filing.
    pub async fn filing(&self, id: uuid::Uuid) -> Result<Option<filing::Filing>, StoreError> {
        on!(self, engine => engine.filing(id).await)
    }

    /// The filing that sent a message, by the id that its acknowledgements name.
    pub async fn filing_of_message(&self, message: &str) -> Result<Option<filing::Filing>, StoreError> {
        on!(self, engine => engine.filing_of_message(message).await)
    }

    /// All filings of an episode, in the order in which they were made.
    pub async fn filings_of(&self, episode: &str) -> Result<Vec<filing::Filing>, StoreError> {
        on!(self, engine => engine.filings_of(episode).await)
    }

    /// Filings that match, longest in their state first.
    pub async fn find_filings(&self, find: filing::FilingSearch) -> Result<Vec<filing::Filing>, StoreError> {
        on!(self, engine => engine.find_filings(find).await)
    }

    /// Filings that are to be looked at by `now`, at most `count`, soonest first.
    pub async fn filings_to_look_at(&self, now: Timestamp, count: usize) -> Result<Vec<filing::Filing>, StoreError> {
        on!(self, engine => engine.filings_to_look_at(now, count).await)
    }

    /// How many filings each practice has in each state: `(practice, state word, overdue, count)`.
    pub async fn filing_counts(&self) -> Result<Vec<(String, String, bool, u64)>, StoreError> {
        on!(self, engine => engine.filing_counts().await)
    }

    /// What a practice's dictionary did with a code, where that was seen.
    pub async fn dictionary(
        &self,
        practice: &str,
        system: &str,
        code: &str,
    ) -> Result<Option<filing::DictionaryRow>, StoreError> {
        on!(self, engine => engine.dictionary(practice, system, code).await)
    }

    /// Queues whose name begins with `prefix` and that have rows due by `now`, none of them
    /// claimed.
    pub async fn due_queues(&self, prefix: &str, now: Timestamp) -> Result<Vec<String>, StoreError> {
        on!(self, engine => engine.due_queues(prefix, now).await)
    }

    /// Audit entries as their leaf bytes, from position `from`, at most `count`.
    pub async fn entries(&self, from: u64, count: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        on!(self, engine => engine.entries(from, count).await)
    }

    /// Leaf hashes from position `from`, at most `count`, as stored beside the entries.
    pub async fn leaf_hashes(&self, from: u64, count: usize) -> Result<Vec<[u8; 32]>, StoreError> {
        on!(self, engine => engine.leaf_hashes(from, count).await)
    }

    /// Positions of audit entries that match, newest first, below `before`.
    pub async fn find_entries(&self, find: EntrySearch) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        on!(self, engine => engine.find_entries(find).await)
    }

    /// Every signed checkpoint kept, oldest first: `(tree size, note text)`. The store keeps the
    /// newest and at least one for each 1,000 entries.
    pub async fn checkpoints(&self) -> Result<Vec<(u64, String)>, StoreError> {
        on!(self, engine => engine.checkpoints().await)
    }

    /// The newest audit position that resource versions, messages and outbox rows were committed
    /// with: a log that does not reach it has lost its tail.
    pub async fn highest_entry_seen(&self) -> Result<Option<u64>, StoreError> {
        on!(self, engine => engine.highest_entry_seen().await)
    }

    /// Audit positions in `[from, from + count)` whose search columns do not agree with the entry.
    pub async fn misindexed(&self, from: u64, count: usize) -> Result<Vec<u64>, StoreError> {
        on!(self, engine => engine.misindexed(from, count).await)
    }

    /// The tree as the store keeps it for appending: its size and right edge
    /// (`audit::tree::Frontier`); for `audit verify`.
    pub async fn tree_head(&self) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        on!(self, engine => engine.tree_head().await)
    }

    /// What is damaged in the log's tables and their indexes, where the engine can say.
    pub async fn audit_damage(&self) -> Result<Option<String>, StoreError> {
        match self {
            Self::Sqlite(engine) => engine.audit_damage().await,
            Self::Postgres(_) => Ok(None),
        }
    }

    /// Does a trivial durable round trip; for `/readyz`.
    pub async fn ready(&self) -> Result<(), StoreError> {
        on!(self, engine => engine.ready().await)
    }

    /// Waits for the commits under way and closes.
    pub async fn close(&self) {
        on!(self, engine => engine.close().await)
    }
}

/// The store's URL, from the file that holds it where there is one.
fn url(config: &crate::config::Store) -> Result<String, StoreError> {
    if config.url_file.is_empty() {
        return Ok(config.url.clone());
    }
    let text = std::fs::read_to_string(&config.url_file)
        .map_err(|fault| StoreError::Engine(format!("store.url_file {} cannot be read: {fault}", config.url_file)))?;
    Ok(text.trim().to_owned())
}
