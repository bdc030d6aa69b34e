//! This process's one writer: takes all waiting commits into one transaction, and answers them
//! after it. Commits that touch the same hold, episode, message or outbox row do not share a
//! transaction: the later one waits for the next, so that it sees what the earlier did.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;

use super::group::{self, Failure};
use super::statements::Lane;
use super::{Postgres, engine};
use crate::audit::Signer;
use crate::store::StoreError;
use crate::store::commit::{Commit, Committed};

/// How long a commit waits for a place in a full queue before its sender is told to come back.
const PLACE_WAIT: Duration = Duration::from_millis(250);
/// Times that a group which raced another process is tried before its commits are tried singly,
/// and then times that a single one is.
const TRIES_MAX: usize = 5;

type Answer = oneshot::Sender<Result<Committed, StoreError>>;

#[allow(clippy::large_enum_variant)] // the small one comes once in a process's life
enum Waiting {
    Commit(Commit, Answer),
    /// Nothing comes after this.
    Stop,
}

/// The way to the writer task.
#[derive(Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Waiting>,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Writer {
    pub(super) fn start(store: &Postgres, config: &crate::config::Store, signer: Signer) -> Self {
        let (queue, waiting) = mpsc::channel(config.queue_max.max(1));
        let runner = Runner {
            store: store.clone(),
            signer,
            lane: None,
            pending: VecDeque::new(),
            stopping: false,
            group_max: config.group_max.max(1),
        };
        Self { queue, task: Arc::new(Mutex::new(Some(tokio::spawn(runner.run(waiting))))) }
    }

    /// Puts `commit` in a group and waits until it is on disk.
    pub(super) async fn run(&self, commit: Commit) -> Result<Committed, StoreError> {
        let (tell, told) = oneshot::channel();
        let waiting = Waiting::Commit(commit, tell);
        match self.queue.send_timeout(waiting, PLACE_WAIT).await {
            Ok(()) => told.await.unwrap_or_else(|_| Err(closed())),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => Err(StoreError::Overloaded),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(closed()),
        }
    }

    /// Lets what waits be written, then ends the task.
    pub(super) async fn close(&self) {
        if let Some(task) = self.task.lock().await.take() {
            let _ = self.queue.send(Waiting::Stop).await;
            // A writer that panicked has nothing more to write.
            let _ = task.await;
        }
    }
}

fn closed() -> StoreError {
    StoreError::Engine("the store is closed".into())
}

/// What the task owns.
struct Runner {
    store: Postgres,
    signer: Signer,
    lane: Option<Lane>,
    /// Taken from the queue, not yet in a group.
    pending: VecDeque<(Commit, Answer)>,
    stopping: bool,
    group_max: usize,
}

impl Runner {
    async fn run(mut self, mut waiting: mpsc::Receiver<Waiting>) {
        loop {
            if self.pending.is_empty() {
                let next = if self.stopping { None } else { waiting.recv().await };
                match next {
                    Some(next) => self.take(next),
                    None => return,
                }
            }
            while self.pending.len() < self.group_max && !self.stopping {
                match waiting.try_recv() {
                    Ok(next) => self.take(next),
                    Err(_) => break,
                }
            }
            let (commits, answers) = self.next_group();
            if commits.is_empty() {
                continue; // it was the stop alone
            }
            let results = self.write(&commits).await;
            for (answer, result) in answers.into_iter().zip(results) {
                // A caller that has gone away needs no answer.
                let _ = answer.send(result);
            }
        }
    }

    fn take(&mut self, waiting: Waiting) {
        match waiting {
            Waiting::Commit(commit, answer) => self.pending.push_back((commit, answer)),
            Waiting::Stop => self.stopping = true,
        }
    }

    /// The waiting commits that may share a transaction; the others keep their order.
    fn next_group(&mut self) -> (Vec<Commit>, Vec<Answer>) {
        let (mut touched, mut group, mut later) = (HashSet::new(), (Vec::new(), Vec::new()), VecDeque::new());
        for (commit, answer) in std::mem::take(&mut self.pending) {
            let touches = touches(&commit);
            let apart = touches.iter().any(|touch| touched.contains(touch));
            touched.extend(touches);
            if apart {
                later.push_back((commit, answer));
            } else {
                group.0.push(commit);
                group.1.push(answer);
            }
        }
        self.pending = later;
        group
    }

    /// Writes a group; when it raced or one of it is at fault, its commits singly.
    async fn write(&mut self, commits: &[Commit]) -> Vec<Result<Committed, StoreError>> {
        let all: Vec<&Commit> = commits.iter().collect();
        match self.attempt(&all).await {
            Ok(results) => results,
            Err(Failure::Apart(_)) if all.len() > 1 => {
                let mut results = Vec::with_capacity(all.len());
                for commit in all {
                    let single = self.attempt(&[commit]).await;
                    results.push(single.map_or_else(|failure| Err(failure.told()), only));
                }
                results
            }
            Err(failure) => vec![Err(failure.told()); all.len()],
        }
    }

    /// One transaction, tried again while it races another process.
    async fn attempt(&mut self, commits: &[&Commit]) -> Result<Vec<Result<Committed, StoreError>>, Failure> {
        let mut tries = 0;
        loop {
            tries += 1;
            let result = self.once(commits).await;
            match result {
                Err(Failure::Raced) if tries < TRIES_MAX => {}
                Err(Failure::Raced) => return Err(Failure::Apart(Failure::Raced.told())),
                result => return result,
            }
        }
    }

    async fn once(&mut self, commits: &[&Commit]) -> Result<Vec<Result<Committed, StoreError>>, Failure> {
        let lane = match self.lane.take().filter(Lane::is_open) {
            Some(lane) => lane,
            None => Lane::open(self.store.client().await.map_err(Failure::Whole)?).await.map_err(Failure::Whole)?,
        };
        let result = group::write(&self.store, &lane, &self.signer, commits).await;
        let clean = match &result {
            Ok(_) => true,
            Err(_) => lane.roll_back().await,
        };
        if clean {
            self.lane = Some(lane);
        } else {
            lane.discard();
        }
        result
    }
}

fn only(mut results: Vec<Result<Committed, StoreError>>) -> Result<Committed, StoreError> {
    results.pop().unwrap_or_else(|| Err(closed()))
}

impl From<tokio_postgres::Error> for Failure {
    fn from(fault: tokio_postgres::Error) -> Self {
        let races = [SqlState::UNIQUE_VIOLATION, SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED];
        match fault.code() {
            Some(code) if races.contains(code) => Self::Raced,
            // The server refused a value: one commit is at fault, and the server undid them all.
            Some(code) if code.code().starts_with("22") || code.code().starts_with("54") => Self::Apart(engine(fault)),
            _ => Self::Whole(engine(fault)),
        }
    }
}

/// What a commit touches that only one commit of a group may.
fn touches(commit: &Commit) -> Vec<String> {
    let holds = commit.holds.iter().map(|hold| hold.id).chain(commit.released.iter().copied());
    let filings = commit.filings.iter().map(|filing| filing.id).chain(commit.requeue.iter().map(|one| one.id));
    let sent = commit.sent.iter().map(|sent| sent.id).chain(filings);
    let ids = holds.chain(sent).chain(commit.message.iter().map(|kept| kept.id));
    let episodes = commit.episodes.iter().flat_map(|episode| [&episode.id, &episode.nhs_number]).cloned();
    ids.map(|id| id.to_string()).chain(episodes).collect()
}
