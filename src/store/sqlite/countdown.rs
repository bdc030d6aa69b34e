//! Clocks: the time to first contact of each referral. The contract is in `store::countdown`.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::ledger::{all, read_episode};
use super::{Sqlite, engine};
use crate::store::StoreError;
use crate::store::commit::Episode;
use crate::store::countdown::{Change, Countdown, Step};
use crate::store::rows;

/// Writes one change.
pub(super) fn write(connection: &Connection, change: &Change) -> Result<(), StoreError> {
    match change {
        Change::Set(countdown) => set(connection, countdown),
        Change::Stop { referral, at, why } => connection
            .prepare_cached(
                "UPDATE countdown SET due = NULL, stopped = ?2, why = ?3 WHERE referral = ?1 AND stopped IS NULL",
            )
            .and_then(|mut sql| sql.execute(params![referral, rows::micros(*at), why])),
    }
    .map_err(engine)?;
    Ok(())
}

fn set(connection: &Connection, countdown: &Countdown) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "INSERT INTO countdown AS c (referral, pool, round, started, target, step, due, stopped, why)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (referral) DO UPDATE SET pool = excluded.pool, round = excluded.round,
               started = excluded.started, target = excluded.target, step = excluded.step, due = excluded.due,
               stopped = excluded.stopped, why = excluded.why
             WHERE excluded.round > c.round
               OR (excluded.round = c.round AND c.stopped IS NULL AND excluded.step >= c.step)",
        )?
        .execute(params![
            countdown.referral,
            countdown.pool,
            countdown.round,
            rows::micros(countdown.started),
            rows::micros(countdown.target),
            countdown.step.number(),
            countdown.due.map(rows::micros),
            countdown.stopped.map(rows::micros),
            countdown.why,
        ])
}

const COUNTDOWN: &str = "SELECT referral, pool, round, started, target, step, due, stopped, why FROM countdown";

fn read(row: &Row<'_>) -> Result<Countdown, StoreError> {
    let maybe = |column| row.get::<_, Option<i64>>(column).map_err(engine)?.map(rows::instant).transpose();
    Ok(Countdown {
        referral: row.get(0).map_err(engine)?,
        pool: row.get(1).map_err(engine)?,
        round: row.get(2).map_err(engine)?,
        started: rows::instant(row.get(3).map_err(engine)?)?,
        target: rows::instant(row.get(4).map_err(engine)?)?,
        step: Step::of(row.get(5).map_err(engine)?),
        due: maybe(6)?,
        stopped: maybe(7)?,
        why: row.get(8).map_err(engine)?,
    })
}

impl Sqlite {
    /// The countdown of a referral, if it ever had one.
    pub async fn countdown(&self, referral: &str) -> Result<Option<Countdown>, StoreError> {
        let referral = referral.to_owned();
        self.peek(move |connection| {
            Ok(all(connection, &format!("{COUNTDOWN} WHERE referral = ?1"), [referral], read)?.pop())
        })
        .await
    }

    /// Countdowns of which something is due, the longest due first.
    pub async fn due_countdowns(&self, now: Timestamp, count: usize) -> Result<Vec<Countdown>, StoreError> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.read(move |connection| {
            let sql = format!("{COUNTDOWN} WHERE due <= ?1 ORDER BY due, referral LIMIT ?2");
            all(connection, &sql, params![rows::micros(now), count], read)
        })
        .await
    }

    /// Countdowns that run, the nearest target first.
    pub async fn running_countdowns(&self) -> Result<Vec<Countdown>, StoreError> {
        self.read(|connection| {
            all(connection, &format!("{COUNTDOWN} WHERE stopped IS NULL ORDER BY target, referral"), [], read)
        })
        .await
    }

    /// Episodes of a person: the open one, then the newest referral first.
    pub async fn episodes_of(&self, nhs_number: &str, count: usize) -> Result<Vec<Episode>, StoreError> {
        let (person, count) = (nhs_number.to_owned(), i64::try_from(count).unwrap_or(i64::MAX));
        self.peek(move |connection| {
            let sql = "SELECT e.id, e.nhs_number, e.task, e.pool, e.open, e.worker FROM episode e
                       LEFT JOIN ledger l ON l.id = e.id WHERE e.nhs_number = ?1
                       ORDER BY e.open DESC, l.received_at DESC, e.id LIMIT ?2";
            all(connection, sql, params![person, count], |row| read_episode(row).map_err(engine))
        })
        .await
    }

    /// Open episodes of each pool and link worker.
    pub async fn workloads(&self) -> Result<Vec<(String, String, u64)>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT pool, worker, count(*) FROM episode WHERE open = 1
                       GROUP BY pool, worker ORDER BY pool, worker";
            all(connection, sql, [], |row| {
                let count = row.get::<_, i64>(2).map_err(engine)?.unsigned_abs();
                Ok((row.get(0).map_err(engine)?, row.get(1).map_err(engine)?, count))
            })
        })
        .await
    }
}
