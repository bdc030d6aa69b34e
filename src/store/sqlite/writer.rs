//! The one writer: takes all waiting work into one transaction, a savepoint each, and answers
//! only after COMMIT. Work that is refused is rolled back alone; when the transaction itself
//! fails, nobody is told yes.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};
use tokio::sync::{mpsc, oneshot};

use super::engine;
use super::log::Log;
use crate::audit::Signer;
use crate::store::StoreError;
use crate::store::fault::{Faults, Point};

/// How long a commit waits for a place in a full queue before its sender is told to come back.
const PLACE_WAIT: Duration = Duration::from_millis(250);

/// What may wait for the writer.
enum Waiting {
    Work(Box<dyn Work>),
    /// Nothing comes after this.
    Stop,
}

/// One piece of work and the caller who waits for it.
trait Work: Send {
    /// Writes in the open transaction; false when what it wrote must be undone.
    fn run(&mut self, connection: &Connection, log: &mut Log) -> bool;
    /// Tells the caller, once the transaction has ended; `Some` when it failed as a whole.
    fn answer(self: Box<Self>, failed: Option<StoreError>);
}

struct Piece<T, F> {
    work: Option<F>,
    result: Option<Result<T, StoreError>>,
    tell: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Work for Piece<T, F>
where
    T: Send,
    F: FnOnce(&Connection, &mut Log) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, connection: &Connection, log: &mut Log) -> bool {
        self.result = self.work.take().map(|work| work(connection, log));
        matches!(self.result, Some(Ok(_)))
    }

    fn answer(self: Box<Self>, failed: Option<StoreError>) {
        let answer = match (self.result, failed) {
            (Some(Err(refused)), _) => Err(refused),
            (Some(Ok(done)), None) => Ok(done),
            (_, Some(fault)) => Err(fault),
            (None, None) => Err(closed()),
        };
        // A caller that has gone away needs no answer.
        let _ = self.tell.send(answer);
    }
}

/// The way to the writer thread.
#[derive(Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Waiting>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        signer: Signer,
        config: &crate::config::Store,
        faults: Faults,
    ) -> Result<Self, StoreError> {
        let (queue, waiting) = mpsc::channel(config.queue_max.max(1));
        let runner = Runner { connection, log: Log::new(signer), faults, group_max: config.group_max.max(1) };
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || runner.run(waiting))
            .map_err(|fault| StoreError::Engine(format!("the writer cannot start: {fault}")))?;
        Ok(Self { queue, thread: Arc::new(Mutex::new(Some(thread))) })
    }

    /// Puts `work` in the next group and waits until it is on disk.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &mut Log) -> Result<T, StoreError> + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let piece = Waiting::Work(Box::new(Piece { work: Some(work), result: None, tell }));
        match self.queue.send_timeout(piece, PLACE_WAIT).await {
            Ok(()) => told.await.unwrap_or_else(|_| Err(closed())),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => Err(StoreError::Overloaded),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(closed()),
        }
    }

    /// Lets what waits be written, then ends the thread.
    pub(super) async fn close(&self) {
        let thread = self.thread.lock().unwrap_or_else(|held| held.into_inner()).take();
        if let Some(thread) = thread {
            let _ = self.queue.send(Waiting::Stop).await;
            // A writer that panicked has nothing more to write.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

fn closed() -> StoreError {
    StoreError::Engine("the store is closed".into())
}

fn made(point: &str) -> StoreError {
    StoreError::Engine(format!("a fault made on purpose at {point}"))
}

/// What the thread owns.
struct Runner {
    connection: Connection,
    log: Log,
    faults: Faults,
    group_max: usize,
}

impl Runner {
    fn run(mut self, mut waiting: mpsc::Receiver<Waiting>) {
        while let Some(first) = waiting.blocking_recv() {
            let (mut next, mut group, mut stop) = (Some(first), Vec::new(), false);
            while let Some(waiter) = next {
                match waiter {
                    Waiting::Work(work) => group.push(work),
                    Waiting::Stop => stop = true,
                }
                next = if stop || group.len() >= self.group_max { None } else { waiting.try_recv().ok() };
            }
            self.write(group);
            if stop {
                return;
            }
        }
    }

    /// One group, one transaction.
    fn write(&mut self, mut group: Vec<Box<dyn Work>>) {
        let failed = self.transaction(&mut group).err();
        if !self.connection.is_autocommit() {
            // Lost either way: a failed ROLLBACK leaves nothing durable.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        for work in group {
            work.answer(failed.clone());
        }
    }

    fn transaction(&mut self, group: &mut [Box<dyn Work>]) -> Result<(), StoreError> {
        if group.is_empty() {
            return Ok(());
        }
        if self.faults.met(Point::Begin) {
            return Err(made("begin"));
        }
        self.begin()?;
        self.log.begin();
        for work in group {
            self.one(work.as_mut())?;
        }
        self.log.finish(&self.connection)?;
        if self.faults.met(Point::Commit) {
            return Err(made("commit"));
        }
        self.execute("COMMIT")?;
        // After this line a crash is harmless: everything in the group is on disk.
        if self.faults.met(Point::Answer) { Err(made("answer")) } else { Ok(()) }
    }

    /// One piece of work in its savepoint.
    fn one(&mut self, work: &mut dyn Work) -> Result<(), StoreError> {
        self.execute("SAVEPOINT one")?;
        let before = self.log.mark();
        if !work.run(&self.connection, &mut self.log) {
            self.log.back_to(before);
            self.execute("ROLLBACK TO one")?;
        }
        self.execute("RELEASE one")
    }

    /// Begins, waiting for another process's transaction as long as `BUSY_TIMEOUT`.
    fn begin(&self) -> Result<(), StoreError> {
        match self.connection.execute_batch("BEGIN IMMEDIATE") {
            Err(rusqlite::Error::SqliteFailure(code, _)) if code.code == ErrorCode::DatabaseBusy => {
                Err(StoreError::Overloaded)
            }
            result => result.map_err(engine),
        }
    }

    fn execute(&self, sql: &str) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(engine)?;
        statement.execute([]).map_err(engine)?;
        Ok(())
    }
}
