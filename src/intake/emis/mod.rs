//! The EMIS extract's way in: files to staged rows, staged rows to referrals on the one path.
//!
//! An EMIS referral is two rows in two files whose deltas are made apart, so each half is staged
//! durably and a candidate is looked at again whenever either half, its patient, its code or its
//! practice changes. Batches are read in the order of their times; a row gives way only to one
//! that is not older, so a batch that comes late changes nothing that is newer. A gap in the
//! processing ids of an agreement is therefore shown (`file-gap`) and delays nobody's referral.
//!
//! A file is marked as read after all its rows are staged and looked at. Stopped anywhere, an
//! ingest is run again and ends the same.
//!
//! Kept of those who are not referred: patients of the sharing practices (a patient's row comes
//! once, a referral may come much later) and keys of referral entries that do not concern us.
//! Nothing of other coded entries.

mod apply;
mod breaker;
mod decide;
mod files;
mod open;
mod park;
mod replay;
mod row;
mod select;
mod stage;
pub mod upload;

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

pub use files::claims;
pub use replay::{rehearse, replay};

use crate::audit::{Action, Agent, Entry, Kind};
use crate::clock::Clock;
use crate::fhir::ids::OdsCode;
use crate::gateway::Gateway;
use crate::intake::result::{Count, IngestResult};
use crate::store::StoreError;
use crate::store::commit::{Commit, DoorKey};

/// How long the right to ingest lasts without being kept up; a stopped process holds others up no longer.
const TURN_SECONDS: i64 = 10;
/// How long one waits for another's ingest before giving up.
const TURN_WAIT_SECONDS: u64 = 3600;
/// How often it is asked for, in milliseconds.
const TURN_POLL_MS: u64 = 200;

/// Why an ingest did not run to its end. What was staged until then stays, and running it again goes on.
#[derive(Debug, thiserror::Error)]
pub enum IngestFault {
    /// A path that is not there or may not be read.
    #[error("{0}")]
    Path(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another ingest has been running for an hour.
    #[error("another ingest is still running")]
    Busy,
}

/// Told as an ingest goes on: rows or candidates done, and of what.
pub type Progress<'a> = &'a (dyn Fn(u64, &str) + Send + Sync);

/// Says nothing.
pub fn silent(_: u64, _: &str) {}

/// Reads extracts - files, folders, zip archives - and takes every referral in them down the path.
///
/// # Errors
/// See [`IngestFault`]. A file that cannot be read as what it claims to be is not one: it is
/// counted in [`IngestResult::unreadable`] and the others are read.
pub async fn ingest(gateway: &Gateway, paths: &[PathBuf], progress: Progress<'_>) -> Result<IngestResult, IngestFault> {
    let turn = Turn::take(gateway).await?;
    let result = Run::new(gateway, progress).all(paths, false).await;
    turn.end().await;
    result
}

/// Looks again at candidates that have waited longer than `intake.emis.wait_days`. Cheap when there are none.
///
/// # Errors
/// See [`IngestFault`].
pub async fn sweep(gateway: &Gateway) -> Result<IngestResult, IngestFault> {
    let turn = Turn::take(gateway).await?;
    let result = Run::new(gateway, &silent).swept().await;
    turn.end().await;
    result
}

/// One ingest under way.
pub(crate) struct Run<'a> {
    gateway: &'a Gateway,
    progress: Progress<'a>,
    at: Timestamp,
    result: IngestResult,
    /// Batches read so far: orders those whose names state no time.
    batches: u64,
    /// Written with the last commit: ignored candidates by practice and reason.
    ignored: std::collections::BTreeMap<(String, &'static str), u64>,
    /// Written with the last commit: files that are done.
    done: Vec<DoorKey>,
    /// Holds of files that are over.
    released: Vec<Uuid>,
    codes: select::Codes,
    organisations: select::Organisations,
}

impl<'a> Run<'a> {
    fn new(gateway: &'a Gateway, progress: Progress<'a>) -> Self {
        Self {
            gateway,
            progress,
            at: gateway.clock.now(),
            result: IngestResult::default(),
            batches: 0,
            ignored: std::collections::BTreeMap::new(),
            done: Vec::new(),
            released: Vec::new(),
            codes: select::Codes::default(),
            organisations: select::Organisations::default(),
        }
    }

    /// Everything in `paths`. `accept_changed`: a person said that a name's new content is to be read.
    async fn all(mut self, paths: &[PathBuf], accept_changed: bool) -> Result<IngestResult, IngestFault> {
        let found = files::find(paths.to_vec()).await?;
        for fault in &found.faults {
            self.unreadable(&fault.0, &fault.1).await?;
        }
        for batch in found.batches {
            self.batch(batch, accept_changed).await?;
        }
        self.swept().await
    }

    /// What is touched or has waited too long, and the end.
    async fn swept(mut self) -> Result<IngestResult, IngestFault> {
        let days = i64::from(self.gateway.config.intake.emis.wait_days);
        if let Ok(before) = self.at.checked_sub(SignedDuration::from_hours(24 * days)) {
            self.gateway.store.touch_waiting(before).await?;
        }
        self.organisations = select::Organisations::load(self.gateway).await?;
        apply::touched(&mut self).await?;
        self.finish().await?;
        Ok(self.result)
    }

    /// One candidate of which nothing is kept.
    fn ignore(&mut self, organisation: &str, reason: &'static str) {
        self.result.count(Count::Ignored);
        *self.ignored.entry((organisation.to_owned(), reason)).or_default() += 1;
    }

    /// The files are done only now, with what was counted of them, in one commit.
    async fn finish(&mut self) -> Result<(), StoreError> {
        if self.done.is_empty() && self.ignored.is_empty() {
            return Ok(());
        }
        let (keys, released) = (std::mem::take(&mut self.done), std::mem::take(&mut self.released));
        let mut commit = Commit { keys, released, ..Commit::default() };
        for ((organisation, reason), count) in std::mem::take(&mut self.ignored) {
            let practice = self.organisations.ods(&organisation).or_else(|| OdsCode::parse("UNKNOWN").ok());
            commit.ignored.extend(practice.map(|practice| (practice, reason.to_owned(), count)));
        }
        commit.audit.push(self.entry("ingest", &self.result.summary()));
        match self.gateway.store.commit(commit).await {
            // Another gateway finished the same files first, with the same counts.
            Ok(_) | Err(StoreError::Taken { .. }) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    fn entry(&self, interaction: &str, detail: &str) -> Entry {
        let (word, agent) = (format!("emis-{interaction}"), agent(self.gateway));
        Entry { detail: detail.to_owned(), ..Entry::care(Kind::Intake, word, Action::C, agent, self.at) }
    }
}

/// The hour on the practices' clocks, as batches are timed; files without a time in their name get it.
fn local(at: Timestamp) -> String {
    at.to_zoned(crate::clock::london()).strftime("%Y-%m-%dT%H:%M:%S%.6f").to_string()
}

/// An extract has no caller: the gateway fetches or is given it.
fn agent(gateway: &Gateway) -> Agent {
    Agent::of("gateway", &gateway.config.gateway.ods, "ops")
}

/// The right to ingest, which one process has at a time: two would count the same rows twice.
struct Turn {
    gateway: Gateway,
    holder: Uuid,
    keeper: tokio::task::JoinHandle<()>,
}

impl Turn {
    async fn take(gateway: &Gateway) -> Result<Self, IngestFault> {
        let holder = Uuid::new_v4();
        let mut tries = 0;
        while !take_turn(gateway, holder).await? {
            tries += 1;
            if tries > TURN_WAIT_SECONDS * 1000 / TURN_POLL_MS {
                return Err(IngestFault::Busy);
            }
            tokio::time::sleep(std::time::Duration::from_millis(TURN_POLL_MS)).await;
        }
        let kept = gateway.clone();
        let keeper = tokio::spawn(async move {
            loop {
                tokio::time::sleep(std::time::Duration::from_secs(TURN_SECONDS.unsigned_abs() / 3)).await;
                // A failing store fails the ingest itself as well; that says why.
                let _ = take_turn(&kept, holder).await;
            }
        });
        Ok(Self { gateway: gateway.clone(), holder, keeper })
    }

    async fn end(self) {
        self.keeper.abort();
        // Not given back, it runs out by itself.
        let now = Clock::System.now();
        let _ = self.gateway.store.take_turn(self.holder, now, now).await;
    }
}

/// Turns are kept by the machine's clock, whatever clock a test gave the gateway.
async fn take_turn(gateway: &Gateway, holder: Uuid) -> Result<bool, StoreError> {
    let now = Clock::System.now();
    let until = now.checked_add(SignedDuration::from_secs(TURN_SECONDS)).unwrap_or(now);
    gateway.store.take_turn(holder, now, until).await
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}
