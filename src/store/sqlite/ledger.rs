//! Where referrals stand: ledger, ignored counts, holds, episodes.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::{Sqlite, engine};
use crate::fhir::ids::OdsCode;
use crate::store::StoreError;
use crate::store::commit::{Cause, Commit, Episode, Hold, Ignored, LedgerRow};
use crate::store::rows;

/// Writes a commit's ledger rows, ignored counts and holds.
pub(super) fn write(connection: &Connection, commit: &Commit) -> Result<(), StoreError> {
    for row in &commit.ledger {
        ledger_row(connection, row).map_err(engine)?;
    }
    for Ignored { practice, day, reason, count } in &commit.ignored {
        connection
            .prepare_cached(
                "INSERT INTO ignored (practice, day, reason, count) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (practice, day, reason) DO UPDATE SET count = count + excluded.count",
            )
            .and_then(|mut sql| sql.execute(params![practice.as_str(), rows::day(*day), reason, count.cast_signed()]))
            .map_err(engine)?;
    }
    // A hold that is both over and made again was never over.
    for id in commit.released.iter().filter(|id| commit.holds.iter().all(|hold| hold.id != **id)) {
        connection
            .prepare_cached("UPDATE hold SET released = 1 WHERE id = ?1")
            .and_then(|mut sql| sql.execute([id.as_bytes().as_slice()]))
            .map_err(engine)?;
    }
    for row in &commit.holds {
        hold(connection, row).map_err(engine)?;
    }
    Ok(())
}

/// A later row for the same id keeps the first `received_at`.
fn ledger_row(connection: &Connection, row: &LedgerRow) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO ledger (id, message, practice, state, since, waiting_on, received_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (id) DO UPDATE SET message = excluded.message, practice = excluded.practice,
               state = excluded.state, since = excluded.since, waiting_on = excluded.waiting_on",
        )?
        .execute(params![
            row.id,
            row.message.as_bytes().as_slice(),
            row.practice.as_ref().map(OdsCode::as_str),
            row.state.word(),
            rows::micros(row.since),
            row.waiting_on,
            rows::micros(row.received_at),
        ])?;
    Ok(())
}

/// The same hold again while it is open is one hold, first held when it was; one that was over
/// is held anew.
fn hold(connection: &Connection, hold: &Hold) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO hold (id, cause, channel, received_at, source, practice, detail, count, referral, replay,
               released)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 0)
             ON CONFLICT (id) DO UPDATE SET
               received_at = CASE released WHEN 1 THEN excluded.received_at ELSE received_at END,
               source = excluded.source, practice = excluded.practice, detail = excluded.detail,
               count = excluded.count, referral = excluded.referral, replay = excluded.replay, released = 0",
        )?
        .execute(params![
            hold.id.as_bytes().as_slice(),
            hold.cause.word(),
            hold.channel,
            rows::micros(hold.received_at),
            hold.source,
            hold.practice.as_ref().map(OdsCode::as_str),
            hold.detail,
            hold.count.cast_signed(),
            hold.referral,
            hold.replay,
        ])?;
    Ok(())
}

/// Writes an episode. A second open one of the same person is refused: two referrals that raced
/// must not both open one.
pub(super) fn episode(connection: &Connection, episode: &Episode) -> Result<(), StoreError> {
    let another: Option<i64> = connection
        .prepare_cached("SELECT 1 FROM episode WHERE nhs_number = ?1 AND open = 1 AND id <> ?2")
        .and_then(|mut sql| sql.query_row([&episode.nhs_number, &episode.id], |row| row.get(0)).optional())
        .map_err(engine)?;
    if episode.open && another.is_some() {
        return Err(StoreError::Stale { what: "the person's open episode".into() });
    }
    connection
        .prepare_cached(
            "INSERT INTO episode (id, nhs_number, task, pool, open, worker) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (id) DO UPDATE SET nhs_number = excluded.nhs_number, task = excluded.task,
               pool = excluded.pool, open = excluded.open, worker = excluded.worker",
        )
        .and_then(|mut sql| {
            let Episode { id, nhs_number, task, pool, open, worker } = episode;
            sql.execute(params![id, nhs_number, task, pool, open, worker])
        })
        .map_err(engine)?;
    Ok(())
}

const LEDGER: &str = "SELECT id, message, practice, state, since, waiting_on, received_at FROM ledger";
const EPISODE: &str = "SELECT id, nhs_number, task, pool, open, worker FROM episode";

fn read_ledger(row: &Row<'_>) -> Result<LedgerRow, StoreError> {
    Ok(LedgerRow {
        id: row.get(0).map_err(engine)?,
        message: uuid(row, 1)?,
        practice: practice(row.get(2).map_err(engine)?)?,
        state: rows::ledger_state(&row.get::<_, String>(3).map_err(engine)?)?,
        since: rows::instant(row.get(4).map_err(engine)?)?,
        waiting_on: row.get(5).map_err(engine)?,
        received_at: rows::instant(row.get(6).map_err(engine)?)?,
    })
}

fn read_hold(row: &Row<'_>) -> Result<Hold, StoreError> {
    let cause: String = row.get(1).map_err(engine)?;
    Ok(Hold {
        id: uuid(row, 0)?,
        cause: Cause::parse(&cause).ok_or_else(|| rows::damaged("a hold's cause"))?,
        channel: row.get(2).map_err(engine)?,
        received_at: rows::instant(row.get(3).map_err(engine)?)?,
        source: row.get(4).map_err(engine)?,
        practice: practice(row.get(5).map_err(engine)?)?,
        detail: row.get(6).map_err(engine)?,
        count: row.get::<_, i64>(7).map_err(engine)?.unsigned_abs(),
        referral: row.get(8).map_err(engine)?,
        replay: row.get(9).map_err(engine)?,
    })
}

pub(super) fn read_episode(row: &Row<'_>) -> rusqlite::Result<Episode> {
    Ok(Episode {
        id: row.get(0)?,
        nhs_number: row.get(1)?,
        task: row.get(2)?,
        pool: row.get(3)?,
        open: row.get(4)?,
        worker: row.get(5)?,
    })
}

/// A UUID column.
pub(super) fn uuid(row: &Row<'_>, column: usize) -> Result<Uuid, StoreError> {
    let bytes: Vec<u8> = row.get(column).map_err(engine)?;
    Uuid::from_slice(&bytes).map_err(|_| rows::damaged("an id"))
}

fn practice(code: Option<String>) -> Result<Option<OdsCode>, StoreError> {
    code.map(|code| OdsCode::parse(&code).map_err(|_| rows::damaged("an ODS code"))).transpose()
}

/// All rows of a query, each read by `read`.
pub(super) fn all<T>(
    connection: &Connection,
    sql: &str,
    values: impl rusqlite::Params,
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut sql = connection.prepare_cached(sql).map_err(engine)?;
    let mut found = sql.query(values).map_err(engine)?;
    let mut list = Vec::new();
    while let Some(row) = found.next().map_err(engine)? {
        list.push(read(row)?);
    }
    Ok(list)
}

impl Sqlite {
    /// The ledger's rows, by practice and day of receipt where given, oldest first.
    pub async fn ledger(&self, practice: Option<&str>, day: Option<&str>) -> Result<Vec<LedgerRow>, StoreError> {
        let practice = practice.map(str::to_owned);
        let bounds = day.map(rows::day_bounds).transpose()?;
        self.read(move |connection| {
            let sql = format!(
                "{LEDGER} WHERE (?1 IS NULL OR practice = ?1) AND received_at >= ?2 AND received_at < ?3
                 ORDER BY received_at, id"
            );
            let (from, to) = bounds.map_or((i64::MIN, i64::MAX), |(from, to)| (rows::micros(from), rows::micros(to)));
            all(connection, &sql, params![practice, from, to], read_ledger)
        })
        .await
    }

    /// Open rows that wait for that, since before `before`, longest first.
    pub async fn ledger_waiting(
        &self,
        on: &str,
        before: Timestamp,
        count: usize,
    ) -> Result<Vec<LedgerRow>, StoreError> {
        let on = on.to_owned();
        self.read(move |connection| {
            let sql =
                format!("{LEDGER} WHERE state = 'open' AND waiting_on = ?1 AND since < ?2 ORDER BY since LIMIT ?3");
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            all(connection, &sql, params![on, rows::micros(before), count], read_ledger)
        })
        .await
    }

    /// One ledger row.
    pub async fn ledger_row(&self, id: &str) -> Result<Option<LedgerRow>, StoreError> {
        let id = id.to_owned();
        self.peek(move |connection| Ok(all(connection, &format!("{LEDGER} WHERE id = ?1"), [id], read_ledger)?.pop()))
            .await
    }

    /// How many ledger rows are in each state, of one practice where given.
    pub async fn ledger_counts(&self, practice: Option<&str>) -> Result<Vec<(String, u64)>, StoreError> {
        let practice = practice.map(str::to_owned);
        self.read(move |connection| {
            let sql = "SELECT state, count(*) FROM ledger WHERE (?1 IS NULL OR practice = ?1)
                       GROUP BY state ORDER BY state";
            all(connection, sql, [practice], |row| {
                Ok((row.get(0).map_err(engine)?, row.get::<_, i64>(1).map_err(engine)?.unsigned_abs()))
            })
        })
        .await
    }

    /// Counts of ignored candidates, by practice, day and reason.
    pub async fn ignored(&self) -> Result<Vec<Ignored>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT practice, day, reason, count FROM ignored ORDER BY practice, day, reason";
            all(connection, sql, [], |row| {
                rows::ignored(
                    &row.get::<_, String>(0).map_err(engine)?,
                    &row.get::<_, String>(1).map_err(engine)?,
                    row.get(2).map_err(engine)?,
                    row.get(3).map_err(engine)?,
                )
            })
        })
        .await
    }

    /// Holds that are not over, oldest first.
    pub async fn holds(&self) -> Result<Vec<Hold>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT id, cause, channel, received_at, source, practice, detail, count, referral, replay
                       FROM hold WHERE released = 0 ORDER BY received_at, seq";
            all(connection, sql, [], read_hold)
        })
        .await
    }

    /// The open episode of a person, if there is one.
    pub async fn open_episode(&self, nhs_number: &str) -> Result<Option<Episode>, StoreError> {
        self.one_episode("nhs_number = ?1 AND open = 1", nhs_number).await
    }

    /// An episode by its ServiceRequest id.
    pub async fn episode(&self, id: &str) -> Result<Option<Episode>, StoreError> {
        self.one_episode("id = ?1", id).await
    }

    async fn one_episode(&self, condition: &'static str, value: &str) -> Result<Option<Episode>, StoreError> {
        let value = value.to_owned();
        self.peek(move |connection| {
            connection
                .prepare_cached(&format!("{EPISODE} WHERE {condition}"))
                .and_then(|mut sql| sql.query_row([value], read_episode).optional())
                .map_err(engine)
        })
        .await
    }

    /// Open episodes of each pool: `(pool, count)`.
    pub async fn caseloads(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT pool, count(*) FROM episode WHERE open = 1 GROUP BY pool ORDER BY pool";
            all(connection, sql, [], |row| {
                Ok((row.get(0).map_err(engine)?, row.get::<_, i64>(1).map_err(engine)?.unsigned_abs()))
            })
        })
        .await
    }
}
