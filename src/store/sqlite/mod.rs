//! The embedded store: one SQLite file, one writer, a few readers.
//!
//! All writing is done by one thread that takes every waiting commit into one transaction and
//! answers after it is on disk (`writer`); reading goes on beside it, in WAL mode
//! (<https://sqlite.org/wal.html>), on read-only connections. `synchronous=FULL` makes each
//! COMMIT an fsync of the log (<https://sqlite.org/pragma.html#pragma_synchronous>). Several
//! processes may use one file: each transaction is `BEGIN IMMEDIATE` and waits its turn.
//!
//! It does not replicate and does not use the network file systems on which WAL does not work.

mod apply;
mod countdown;
mod filing;
mod ledger;
mod log;
mod migrate;
mod outbox;
mod read;
mod search;
mod staging;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use super::fault::Faults;
use super::{StoreError, commit};
use crate::audit::Signer;

/// How long a statement waits for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Prepared statements kept by one connection.
const STATEMENTS_KEPT: usize = 128;
/// Page cache of the writer, in KiB (negative: SQLite's way to say KiB, not pages).
const WRITER_CACHE_KIB: i64 = -65_536;
/// Pages (4 KiB) of write-ahead log after which they are copied into the database file. A group of
/// commits touches over a thousand: SQLite's own 1,000 would copy after every one.
const CHECKPOINT_PAGES: i64 = 16_384;

/// The embedded store. Cheap to clone; see the contract in `store`.
#[derive(Clone)]
pub struct Sqlite {
    writer: Option<writer::Writer>,
    readers: Arc<Readers>,
    faults: Faults,
}

/// Idle read-only connections, and the right to use one.
struct Readers {
    turns: Semaphore,
    idle: Mutex<Vec<Connection>>,
}

/// What the engine said, as the store's own error. Holds SQLite's message, never a bound value.
fn engine(fault: rusqlite::Error) -> StoreError {
    StoreError::Engine(format!("sqlite: {fault}"))
}

/// The file that a `sqlite:PATH` URL names.
fn path(url: &str) -> Result<PathBuf, StoreError> {
    let path = url.strip_prefix("sqlite:").unwrap_or_default();
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path.starts_with(':') {
        return Err(StoreError::Engine("store.url must be sqlite:PATH or postgres://...".into()));
    }
    Ok(PathBuf::from(path))
}

/// Creates or upgrades the schema; says what it did, a line a step.
pub async fn migrate(url: &str) -> Result<Vec<String>, StoreError> {
    let path = path(url)?;
    blocking(move || migrate::run(&path)).await
}

/// Runs blocking work off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(StoreError::Engine("the work on the store was stopped".into())),
    }
}

/// A connection with this store's settings.
fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)
        .map_err(|fault| StoreError::Engine(format!("{} cannot be opened: {fault}", path.display())))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(engine)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(connection)
}

impl Sqlite {
    /// Opens a store that `migrate` has made.
    pub async fn open(config: &crate::config::Store, url: &str, signer: Signer) -> Result<Self, StoreError> {
        let (path, config) = (path(url)?, config.clone());
        blocking(move || {
            let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            migrate::check(&connection)?;
            connection.pragma_update(None, "synchronous", "FULL").map_err(engine)?;
            connection.pragma_update(None, "cache_size", WRITER_CACHE_KIB).map_err(engine)?;
            connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES).map_err(engine)?;
            // What a savepoint needs to roll back stays in memory, not in a temporary file.
            connection.pragma_update(None, "temp_store", "MEMORY").map_err(engine)?;
            let faults = Faults::default();
            let writer = writer::Writer::start(connection, signer, &config, faults.clone())?;
            let readers = Readers::open(&path, config.readers.max(1))?;
            Ok(Self { writer: Some(writer), readers, faults })
        })
        .await
    }

    /// Opens it for reading alone: nothing is signed, and every commit is refused.
    pub async fn open_to_read(config: &crate::config::Store, url: &str) -> Result<Self, StoreError> {
        let (path, readers) = (path(url)?, config.readers.max(1));
        blocking(move || {
            let readers = Readers::open(&path, readers)?;
            Ok(Self { writer: None, readers, faults: Faults::default() })
        })
        .await
    }

    /// The faults that a test may ask for.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Runs `work` on the writer, in a savepoint of the next transaction; returns when that is
    /// on disk. Work that fails is rolled back alone.
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.writer()?.run(move |connection, _| work(connection)).await
    }

    /// Runs `work` on a read-only connection; it sees all that was committed before.
    pub(crate) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let readers = self.readers.clone();
        let Ok(_turn) = readers.turns.acquire().await else {
            return Err(StoreError::Engine("the store is closed".into()));
        };
        let pool = readers.clone();
        blocking(move || {
            let Some(connection) = pool.take() else {
                return Err(StoreError::Engine("the store is closed".into()));
            };
            let result = work(&connection);
            pool.give(connection);
            result
        })
        .await
    }

    /// Looks up a few rows by key, on the calling thread: that takes less time than handing the
    /// work to another one. Never for work that reads an unbounded number of rows.
    pub(crate) async fn peek<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnOnce(&Connection) -> Result<T, StoreError>,
    {
        let closed = || StoreError::Engine("the store is closed".into());
        let _turn = self.readers.turns.acquire().await.map_err(|_| closed())?;
        let connection = self.readers.take().ok_or_else(closed)?;
        let result = work(&connection);
        self.readers.give(connection);
        result
    }

    fn writer(&self) -> Result<&writer::Writer, StoreError> {
        self.writer.as_ref().ok_or_else(|| StoreError::Engine("the store was opened for reading alone".into()))
    }

    /// Writes one commit whole; returns when it is durable.
    pub async fn commit(&self, commit: commit::Commit) -> Result<commit::Committed, StoreError> {
        self.writer()?.run(move |connection, log| apply::commit(connection, log, &commit)).await
    }

    /// Does a trivial durable round trip.
    pub async fn ready(&self) -> Result<(), StoreError> {
        match &self.writer {
            Some(_) => self.write(|_| Ok(())).await,
            None => self.read(migrate::check).await,
        }
    }

    /// Waits for the commits under way and closes.
    pub async fn close(&self) {
        // Readers first: the writer's connection, closed last, brings the log into the one file,
        // which can then be copied alone. A reader may not write and would leave it as it is.
        self.readers.turns.close();
        self.readers.idle().clear();
        if let Some(writer) = &self.writer {
            writer.close().await;
        }
    }
}

impl Readers {
    fn open(path: &Path, count: usize) -> Result<Arc<Self>, StoreError> {
        let mut idle = Vec::with_capacity(count);
        for _ in 0..count {
            let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            migrate::check(&connection)?;
            idle.push(connection);
        }
        Ok(Arc::new(Self { turns: Semaphore::new(count), idle: Mutex::new(idle) }))
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(|held| held.into_inner())
    }

    fn take(&self) -> Option<Connection> {
        self.idle().pop()
    }

    fn give(&self, connection: Connection) {
        if !self.turns.is_closed() {
            self.idle().push(connection);
        }
    }
}
