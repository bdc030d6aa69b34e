//! The outbox: what must leave the house, claimed under leases, in order per (queue, episode).

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::ledger::{all, uuid};
use super::log::limit;
use super::{Sqlite, engine};
use crate::store::StoreError;
use crate::store::commit::{Claimed, OutboxResult, OutboxRow, Sent};
use crate::store::delivery::{Delivery, DeliveryState};
use crate::store::rows;

const QUEUED: i64 = 0;
const DONE: i64 = 1;
const GIVEN_UP: i64 = 2;

/// Adds a row. The same id again is the same event to the same receiver: nothing to add.
pub(super) fn add(connection: &Connection, row: &OutboxRow, entry: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO outbox (id, queue, episode, event, resources, at, state, due, attempts, lease, why, entry)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?6, 0, NULL, '', ?7) ON CONFLICT (id) DO NOTHING",
        )
        .and_then(|mut sql| {
            sql.execute(params![
                row.id.as_bytes().as_slice(),
                row.queue,
                row.episode,
                row.event,
                rows::pack_resources(&row.resources),
                rows::micros(row.at),
                entry,
            ])
        })
        .map_err(engine)?;
    Ok(())
}

/// Writes what became of a claimed row, if the lease is still held.
pub(super) fn sent(connection: &Connection, result: &OutboxResult) -> Result<(), StoreError> {
    let (state, due, why) = match &result.state {
        Sent::Done => (DONE, None, ""),
        Sent::Retry { next, why } => (QUEUED, Some(rows::micros(*next)), why.as_str()),
        Sent::GivenUp { why } => (GIVEN_UP, None, why.as_str()),
    };
    let changed = connection
        .prepare_cached(
            "UPDATE outbox SET state = ?3, due = coalesce(?4, due), why = ?5, lease = NULL
             WHERE id = ?1 AND lease = ?2 AND state = 0",
        )
        .and_then(|mut sql| {
            sql.execute(params![result.id.as_bytes().as_slice(), result.lease.as_bytes().as_slice(), state, due, why])
        })
        .map_err(engine)?;
    if changed == 1 { Ok(()) } else { Err(StoreError::Stale { what: format!("outbox row {}", result.id) }) }
}

/// Due rows, oldest first, none behind an older row of its episode in the same queue.
const DUE: &str = "SELECT seq, id, queue, episode, event, resources, at, attempts FROM outbox o
    WHERE queue = ?1 AND state = 0 AND due <= ?2 AND NOT EXISTS (
      SELECT 1 FROM outbox older WHERE older.episode = o.episode AND older.queue = o.queue
        AND older.state = 0 AND older.seq < o.seq)
    ORDER BY seq LIMIT ?3";

fn claim(
    connection: &Connection,
    queue: &str,
    now: Timestamp,
    until: Timestamp,
    count: usize,
) -> Result<Vec<Claimed>, StoreError> {
    let found = all(connection, DUE, params![queue, rows::micros(now), limit(count)], |row| {
        Ok((row.get::<_, i64>(0).map_err(engine)?, read_claimed(row)?))
    })?;
    let mut sql = connection
        .prepare_cached("UPDATE outbox SET lease = ?2, due = ?3, attempts = attempts + 1 WHERE seq = ?1")
        .map_err(engine)?;
    for (seq, claimed) in &found {
        sql.execute(params![seq, claimed.lease.as_bytes().as_slice(), rows::micros(until)]).map_err(engine)?;
    }
    Ok(found.into_iter().map(|(_, claimed)| claimed).collect())
}

/// A row of [`DUE`] under a new lease.
fn read_claimed(row: &Row<'_>) -> Result<Claimed, StoreError> {
    Ok(Claimed {
        row: OutboxRow {
            id: uuid(row, 1)?,
            queue: row.get(2).map_err(engine)?,
            episode: row.get(3).map_err(engine)?,
            event: row.get(4).map_err(engine)?,
            resources: rows::unpack_resources(&row.get::<_, String>(5).map_err(engine)?)?,
            at: rows::instant(row.get(6).map_err(engine)?)?,
        },
        attempts: row.get(7).map_err(engine)?,
        lease: Uuid::new_v4(),
    })
}

const DELIVERY: &str = "SELECT seq, id, queue, episode, event, resources, at, state, due, attempts, why FROM outbox";

fn read_delivery(row: &Row<'_>) -> Result<Delivery, StoreError> {
    Ok(Delivery {
        place: row.get::<_, i64>(0).map_err(engine)?.unsigned_abs(),
        id: uuid(row, 1)?,
        queue: row.get(2).map_err(engine)?,
        episode: row.get(3).map_err(engine)?,
        event: row.get(4).map_err(engine)?,
        resources: rows::unpack_resources(&row.get::<_, String>(5).map_err(engine)?)?,
        at: rows::instant(row.get(6).map_err(engine)?)?,
        state: rows::delivery_state(row.get(7).map_err(engine)?)?,
        due: rows::instant(row.get(8).map_err(engine)?)?,
        attempts: row.get(9).map_err(engine)?,
        why: row.get(10).map_err(engine)?,
    })
}

impl Sqlite {
    /// How many rows each queue has that are not done.
    pub async fn undelivered(&self) -> Result<Vec<(String, DeliveryState, u64)>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT queue, state, count(*) FROM outbox WHERE state <> 1 GROUP BY queue, state
                       ORDER BY queue, state";
            all(connection, sql, [], |row| {
                let state = rows::delivery_state(row.get(1).map_err(engine)?)?;
                let count: i64 = row.get(2).map_err(engine)?;
                Ok((row.get(0).map_err(engine)?, state, count.unsigned_abs()))
            })
        })
        .await
    }

    /// Rows of one queue in one state after a place, in order.
    pub async fn deliveries(
        &self,
        queue: &str,
        state: DeliveryState,
        after: u64,
        count: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        let queue = queue.to_owned();
        // Written out, for the index of what is not done holds for a number that is known.
        let state = state.number();
        let sql = format!("{DELIVERY} WHERE queue = ?1 AND state = {state} AND seq > ?2 ORDER BY seq LIMIT ?3");
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        self.read(move |connection| all(connection, &sql, params![queue, after, limit(count)], read_delivery)).await
    }

    /// One row.
    pub async fn delivery(&self, id: Uuid) -> Result<Option<Delivery>, StoreError> {
        let sql = format!("{DELIVERY} WHERE id = ?1");
        let found = self.read(move |connection| all(connection, &sql, [id.as_bytes().as_slice()], read_delivery));
        Ok(found.await?.into_iter().next())
    }

    /// Claims due rows of one queue under a lease that ends at `until`.
    pub async fn claim(
        &self,
        queue: &str,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Claimed>, StoreError> {
        let queue = queue.to_owned();
        // Asked for often and mostly in vain: only what a reader has seen due costs a transaction.
        let due = {
            let queue = queue.clone();
            self.read(move |connection| all(connection, DUE, params![queue, rows::micros(now), 1], |_| Ok(())))
        };
        if due.await?.is_empty() {
            return Ok(Vec::new());
        }
        self.write(move |connection| claim(connection, &queue, now, until, limit)).await
    }

    /// Queues that have rows that are not done: `(queue, rows to be sent, rows given up)`.
    pub async fn queues(&self) -> Result<Vec<(String, u64, u64)>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT queue, sum(state = 0), sum(state = 2) FROM outbox WHERE state <> 1
                       GROUP BY queue ORDER BY queue";
            all(connection, sql, [], |row| {
                let count = |column| row.get::<_, i64>(column).map(i64::unsigned_abs).map_err(engine);
                Ok((row.get(0).map_err(engine)?, count(1)?, count(2)?))
            })
        })
        .await
    }

    /// How many rows were ever put into each queue whose name begins with `prefix`.
    pub async fn outbox_counts(&self, prefix: &str) -> Result<Vec<(String, u64)>, StoreError> {
        let (from, to) = (prefix.to_owned(), format!("{prefix}{}", rows::LAST_CHARACTER));
        self.read(move |connection| {
            let sql =
                "SELECT queue, count(*) FROM outbox WHERE queue >= ?1 AND queue < ?2 GROUP BY queue ORDER BY queue";
            all(connection, sql, [from, to], |row| {
                let count: i64 = row.get(1).map_err(engine)?;
                Ok((row.get(0).map_err(engine)?, count.cast_unsigned()))
            })
        })
        .await
    }

    /// Outbox rows of an episode whose queue begins with `prefix`, in order.
    pub async fn outbox_of(&self, episode: &str, prefix: &str) -> Result<Vec<(Uuid, String, String)>, StoreError> {
        let (episode, from) = (episode.to_owned(), prefix.to_owned());
        let to = format!("{prefix}{}", rows::LAST_CHARACTER);
        self.read(move |connection| {
            let sql = "SELECT id, event, state FROM outbox WHERE episode = ?1 AND queue >= ?2 AND queue < ?3
                       ORDER BY seq";
            all(connection, sql, [episode, from, to], |row| {
                let state = match row.get::<_, i64>(2).map_err(engine)? {
                    DONE => "done",
                    GIVEN_UP => "given-up",
                    _ => "queued",
                };
                Ok((uuid(row, 0)?, row.get(1).map_err(engine)?, state.to_owned()))
            })
        })
        .await
    }
}
