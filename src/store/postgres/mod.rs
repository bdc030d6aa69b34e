//! The shared store: PostgreSQL, used by any number of gateways with no other coordination.
//!
//! Each process has one writer that takes every waiting commit into one transaction (`writer`),
//! written by a few statements over arrays, pipelined: three round trips a group, however many
//! commits are in it (`group`). Reads use a small pool.
//! <https://www.postgresql.org/docs/15/wal-async-commit.html>,
//! <https://docs.rs/tokio-postgres/0.7/tokio_postgres/#pipelining>
//!
//! The audit tree's right edge is one row. A group takes its lock late, appends its entries,
//! signs the new size and commits, so processes append in turn and every committed entry is
//! covered by a checkpoint. There is no separate sequencer, hence none to fail over, and no
//! moment at which a committed entry is outside the tree.
//!
//! A resource's creation order is drawn before that lock: a search that pages while two
//! processes write may show a resource whose commit ended after the first page, never one twice
//! and never fewer than were there.

mod connect;
mod countdown;
mod filing;
mod group;
mod ledger;
mod log;
mod migrate;
mod outbox;
mod plan;
mod read;
mod search;
mod staging;
mod statements;
mod writer;

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use deadpool_postgres::{Object, Pool};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::fault::Faults;
use super::{StoreError, commit};
use crate::audit::Signer;

/// Connections beside the readers': the writer's, and one for claims.
const OTHER_CONNECTIONS: usize = 2;

/// A value bound to a statement.
pub(crate) type Bound<'a> = dyn ToSql + Sync + 'a;

/// The shared store. Cheap to clone; see the contract in `store`.
#[derive(Clone)]
pub struct Postgres {
    pool: Pool,
    kinds: Kinds,
    writer: Option<writer::Writer>,
    faults: Faults,
}

/// The numbers of resource types, as far as this process has met them. They never change.
type Kinds = Arc<RwLock<HashMap<String, i32>>>;

/// What the engine said, as the store's own error. Holds the server's message, never its detail:
/// that quotes values.
pub(crate) fn engine(fault: tokio_postgres::Error) -> StoreError {
    match fault.as_db_error() {
        Some(told) => StoreError::Engine(format!("postgresql: {} ({})", told.message(), told.code().code())),
        None => StoreError::Engine(format!("postgresql: {fault}")),
    }
}

/// Creates or upgrades the schema; says what it did, a line a step.
pub async fn migrate(url: &str) -> Result<Vec<String>, StoreError> {
    let mut client = client_of(&connect::pool(url, 1)?).await?;
    migrate::run(&mut client).await
}

async fn client_of(pool: &Pool) -> Result<Object, StoreError> {
    use deadpool_postgres::PoolError;
    pool.get().await.map_err(|fault| match fault {
        PoolError::Timeout(_) => StoreError::Overloaded,
        PoolError::Backend(fault) => engine(fault),
        _ => StoreError::Engine("postgresql: no connection: the store is closed".into()),
    })
}

impl Postgres {
    /// Opens a store that `migrate` has made.
    pub async fn open(config: &crate::config::Store, url: &str, signer: Signer) -> Result<Self, StoreError> {
        let mut store = Self::open_to_read(config, url).await?;
        let writer = writer::Writer::start(&store, config, signer);
        store.writer = Some(writer);
        Ok(store)
    }

    /// Opens it for reading alone: nothing is signed, and every commit is refused.
    pub async fn open_to_read(config: &crate::config::Store, url: &str) -> Result<Self, StoreError> {
        let pool = connect::pool(url, config.readers.max(1) + OTHER_CONNECTIONS)?;
        let client = client_of(&pool).await?;
        migrate::check(&client).await?;
        drop(client);
        Ok(Self { pool, kinds: Kinds::default(), writer: None, faults: Faults::default() })
    }

    /// The faults that a test may ask for.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// A connection from the pool.
    pub(crate) async fn client(&self) -> Result<Object, StoreError> {
        client_of(&self.pool).await
    }

    /// All rows of a query, whose statement is kept prepared.
    pub(crate) async fn rows(&self, sql: &str, values: &[&Bound<'_>]) -> Result<Vec<Row>, StoreError> {
        let client = self.client().await?;
        let statement = client.prepare_cached(sql).await.map_err(engine)?;
        client.query(&statement, values).await.map_err(engine)
    }

    /// The number of a resource type; `None` when no such resource was ever written.
    async fn kind(&self, name: &str) -> Result<Option<i32>, StoreError> {
        if let Some(id) = self.kinds.read().unwrap_or_else(|held| held.into_inner()).get(name) {
            return Ok(Some(*id));
        }
        let found = self.rows("SELECT id FROM kind WHERE name = $1", &[&name]).await?;
        let Some(row) = found.first() else { return Ok(None) };
        let id = row.try_get(0).map_err(engine)?;
        self.kinds.write().unwrap_or_else(|held| held.into_inner()).insert(name.to_owned(), id);
        Ok(Some(id))
    }

    /// The number of a resource type, given on first use.
    async fn kind_or_new(&self, name: &str) -> Result<i32, StoreError> {
        if let Some(id) = self.kind(name).await? {
            return Ok(id);
        }
        self.rows("INSERT INTO kind (name) VALUES ($1) ON CONFLICT DO NOTHING", &[&name]).await?;
        self.kind(name).await?.ok_or_else(|| super::rows::damaged("a resource type"))
    }

    /// Writes one commit whole; returns when it is durable.
    pub async fn commit(&self, commit: commit::Commit) -> Result<commit::Committed, StoreError> {
        let Some(writer) = &self.writer else {
            return Err(StoreError::Engine("the store was opened for reading alone".into()));
        };
        writer.run(commit).await
    }

    /// Does a trivial durable round trip.
    pub async fn ready(&self) -> Result<(), StoreError> {
        migrate::check(&*self.client().await?).await?;
        match &self.writer {
            Some(writer) => writer.run(commit::Commit::default()).await.map(|_| ()),
            None => Ok(()),
        }
    }

    /// Waits for the commits under way and closes.
    pub async fn close(&self) {
        if let Some(writer) = &self.writer {
            writer.close().await;
        }
        self.pool.close();
    }
}
