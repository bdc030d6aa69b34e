//! Clocks: the time to first contact of each referral. The contract is in `store::countdown`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio_postgres::{Error, Row};

use super::ledger::read_episode;
use super::statements::{Lane, Sql};
use super::{Postgres, engine};
use crate::store::StoreError;
use crate::store::commit::{Commit, Episode};
use crate::store::countdown::{Change, Countdown, Step};
use crate::store::rows::text;

/// What a group comes to for each referral: a row to put, or the stop of the one that is stored.
pub(super) struct Countdowns<'a> {
    put: Vec<Countdown>,
    stop: Vec<(&'a str, Timestamp, &'static str)>,
}

impl<'a> Countdowns<'a> {
    /// Folds the group's changes in order: a statement meets each row once.
    pub(super) fn of(accepted: &[&'a Commit]) -> Self {
        let mut put: BTreeMap<&'a str, Countdown> = BTreeMap::new();
        let mut stop = BTreeMap::new();
        for change in accepted.iter().flat_map(|commit| &commit.countdowns) {
            match change {
                Change::Set(next) => match put.get_mut(next.referral.as_str()) {
                    Some(before) if !next.follows(before) => {}
                    Some(before) => *before = next.clone(),
                    None => drop(put.insert(&next.referral, next.clone())),
                },
                Change::Stop { referral, at, why } => match put.get_mut(referral.as_str()) {
                    Some(before) if before.stopped.is_none() => *before = before.clone().stopped(*at, why),
                    Some(_) => {}
                    None => drop(stop.entry(referral.as_str()).or_insert((*at, *why))),
                },
            }
        }
        let stop = stop.into_iter().map(|(referral, (at, why))| (referral, at, why)).collect();
        Self { put: put.into_values().collect(), stop }
    }

    /// Stops first: what was stopped before a new round began is in the way of its old round only.
    pub(super) async fn send(&self, lane: &Lane) -> Result<u64, Error> {
        let all = || self.put.iter();
        let referral: Vec<&str> = all().map(|row| row.referral.as_str()).collect();
        let pool: Vec<Cow<'_, str>> = all().map(|row| text(&row.pool)).collect();
        let round: Vec<i32> = all().map(|row| row.round.cast_signed()).collect();
        let started: Vec<Timestamp> = all().map(|row| row.started).collect();
        let target: Vec<Timestamp> = all().map(|row| row.target).collect();
        let step: Vec<i16> = all().map(|row| row.step.number()).collect();
        let due: Vec<Option<Timestamp>> = all().map(|row| row.due).collect();
        let stopped: Vec<Option<Timestamp>> = all().map(|row| row.stopped).collect();
        let why: Vec<Cow<'_, str>> = all().map(|row| text(&row.why)).collect();
        let rows: [&super::Bound<'_>; 9] = [&referral, &pool, &round, &started, &target, &step, &due, &stopped, &why];
        let over: Vec<&str> = self.stop.iter().map(|(referral, ..)| *referral).collect();
        let at: Vec<Timestamp> = self.stop.iter().map(|(_, at, _)| *at).collect();
        let because: Vec<&str> = self.stop.iter().map(|(.., why)| *why).collect();
        let (stops, puts) = tokio::join!(
            lane.send(Sql::StopCountdowns, over.len(), [&over, &at, &because]),
            lane.send(Sql::PutCountdowns, referral.len(), rows),
        );
        Ok(stops? + puts?)
    }
}

const COUNTDOWN: &str = "SELECT referral, pool, round, started, target, step, due, stopped, why FROM countdown";

fn read(row: &Row) -> Result<Countdown, StoreError> {
    Ok(Countdown {
        referral: row.try_get(0).map_err(engine)?,
        pool: row.try_get(1).map_err(engine)?,
        round: row.try_get::<_, i32>(2).map_err(engine)?.unsigned_abs(),
        started: row.try_get(3).map_err(engine)?,
        target: row.try_get(4).map_err(engine)?,
        step: Step::of(row.try_get(5).map_err(engine)?),
        due: row.try_get(6).map_err(engine)?,
        stopped: row.try_get(7).map_err(engine)?,
        why: row.try_get(8).map_err(engine)?,
    })
}

impl Postgres {
    /// The countdown of a referral, if it ever had one.
    pub async fn countdown(&self, referral: &str) -> Result<Option<Countdown>, StoreError> {
        let found = self.rows(&format!("{COUNTDOWN} WHERE referral = $1"), &[&text(referral)]).await?;
        found.first().map(read).transpose()
    }

    /// Countdowns of which something is due, the longest due first.
    pub async fn due_countdowns(&self, now: Timestamp, count: usize) -> Result<Vec<Countdown>, StoreError> {
        let sql = format!("{COUNTDOWN} WHERE due <= $1 ORDER BY due, referral LIMIT $2");
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.rows(&sql, &[&now, &count]).await?.iter().map(read).collect()
    }

    /// Countdowns that run, the nearest target first.
    pub async fn running_countdowns(&self) -> Result<Vec<Countdown>, StoreError> {
        let sql = format!("{COUNTDOWN} WHERE stopped IS NULL ORDER BY target, referral");
        self.rows(&sql, &[]).await?.iter().map(read).collect()
    }

    /// Episodes of a person: the open one, then the newest referral first.
    pub async fn episodes_of(&self, nhs_number: &str, count: usize) -> Result<Vec<Episode>, StoreError> {
        let sql = "SELECT e.id, e.nhs_number, e.task, e.pool, e.open, e.worker FROM episode e
                   LEFT JOIN ledger l ON l.id = e.id WHERE e.nhs_number = $1
                   ORDER BY e.open DESC, l.received_at DESC NULLS LAST, e.id LIMIT $2";
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.rows(sql, &[&text(nhs_number), &count]).await?.iter().map(read_episode).collect()
    }

    /// Open episodes of each pool and link worker.
    pub async fn workloads(&self) -> Result<Vec<(String, String, u64)>, StoreError> {
        let sql = "SELECT pool, worker, count(*) FROM episode WHERE open GROUP BY pool, worker ORDER BY pool, worker";
        let read = |row: &Row| {
            let count: i64 = row.try_get(2).map_err(engine)?;
            Ok((row.try_get(0).map_err(engine)?, row.try_get(1).map_err(engine)?, count.unsigned_abs()))
        };
        self.rows(sql, &[]).await?.iter().map(read).collect()
    }
}
