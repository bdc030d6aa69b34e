//! The outbox: what must leave the house, claimed under leases, in order per (queue, episode).
//! Rows are added under the tree's lock, so their `seq` is the order of commits.

use std::borrow::Cow;

use jiff::Timestamp;
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use super::statements::{Lane, Sql};
use super::{Bound, Postgres, engine};
use crate::store::StoreError;
use crate::store::commit::{Claimed, Commit, OutboxResult, OutboxRow, Sent};
use crate::store::delivery::{Delivery, DeliveryState};
use crate::store::rows::{self, text};

const QUEUED: i16 = 0;
const DONE: i16 = 1;
const GIVEN_UP: i16 = 2;

/// Rows to add.
pub(super) struct Rows<'a>(Vec<(&'a OutboxRow, i64)>);

impl<'a> Rows<'a> {
    pub(super) fn of(accepted: &[&'a Commit], sizes: &[i64]) -> Self {
        let each = accepted.iter().zip(sizes);
        Self(each.flat_map(|(commit, size)| commit.outbox.iter().map(|row| (row, *size))).collect())
    }

    pub(super) async fn send(&self, lane: &Lane) -> Result<u64, Error> {
        let all = || self.0.iter().map(|(row, _)| *row);
        let id: Vec<Uuid> = all().map(|row| row.id).collect();
        let queue: Vec<Cow<'_, str>> = all().map(|row| text(&row.queue)).collect();
        let episode: Vec<Cow<'_, str>> = all().map(|row| text(&row.episode)).collect();
        let event: Vec<Cow<'_, str>> = all().map(|row| text(&row.event)).collect();
        let resources: Vec<String> = all().map(|row| rows::pack_resources(&row.resources)).collect();
        let at: Vec<Timestamp> = all().map(|row| row.at).collect();
        let entry: Vec<i64> = self.0.iter().map(|(_, size)| *size).collect();
        let columns: [&Bound<'_>; 7] = [&id, &queue, &episode, &event, &resources, &at, &entry];
        lane.send(Sql::AddOutbox, id.len(), columns).await
    }
}

/// What became of claimed rows.
pub(super) struct Results<'a>(Vec<&'a OutboxResult>);

impl<'a> Results<'a> {
    pub(super) fn of(accepted: &[&'a Commit]) -> Self {
        Self(accepted.iter().flat_map(|commit| &commit.sent).collect())
    }

    pub(super) async fn send(&self, lane: &Lane) -> Result<u64, Error> {
        let id: Vec<Uuid> = self.0.iter().map(|result| result.id).collect();
        let (mut state, mut due, mut whys) = (Vec::new(), Vec::new(), Vec::new());
        for result in &self.0 {
            let (word, next, why) = match &result.state {
                Sent::Done => (DONE, None, ""),
                Sent::Retry { next, why } => (QUEUED, Some(*next), why.as_str()),
                Sent::GivenUp { why } => (GIVEN_UP, None, why.as_str()),
            };
            state.push(word);
            due.push(next);
            whys.push(text(why));
        }
        lane.send(Sql::WriteSent, id.len(), [&id, &state, &due, &whys]).await
    }
}

/// Due rows, oldest first, none behind an older row of its episode in the same queue, under a
/// new lease. Rows that another process is claiming now are passed over.
const CLAIM: &str = "WITH due AS (
      SELECT seq FROM outbox o
      WHERE queue = $1 AND state = 0 AND due <= $2 AND NOT EXISTS (
        SELECT 1 FROM outbox older WHERE older.episode = o.episode AND older.queue = o.queue
          AND older.state = 0 AND older.seq < o.seq)
      ORDER BY seq LIMIT $3 FOR UPDATE SKIP LOCKED),
    claimed AS (
      UPDATE outbox o SET lease = gen_random_uuid(), due = $4, attempts = attempts + 1
      FROM due WHERE o.seq = due.seq
      RETURNING o.seq, o.id, o.queue, o.episode, o.event, o.resources, o.at, o.attempts - 1 AS before, o.lease)
    SELECT id, queue, episode, event, resources, at, before, lease FROM claimed ORDER BY seq";

fn read_claimed(row: &Row) -> Result<Claimed, StoreError> {
    let attempts: i32 = row.try_get(6).map_err(engine)?;
    Ok(Claimed {
        row: OutboxRow {
            id: row.try_get(0).map_err(engine)?,
            queue: row.try_get(1).map_err(engine)?,
            episode: row.try_get(2).map_err(engine)?,
            event: row.try_get(3).map_err(engine)?,
            resources: rows::unpack_resources(row.try_get(4).map_err(engine)?)?,
            at: row.try_get(5).map_err(engine)?,
        },
        attempts: attempts.unsigned_abs(),
        lease: row.try_get(7).map_err(engine)?,
    })
}

const DELIVERY: &str = "SELECT seq, id, queue, episode, event, resources, at, state, due, attempts, why FROM outbox";

fn read_delivery(row: &Row) -> Result<Delivery, StoreError> {
    Ok(Delivery {
        place: row.try_get::<_, i64>(0).map_err(engine)?.unsigned_abs(),
        id: row.try_get(1).map_err(engine)?,
        queue: row.try_get(2).map_err(engine)?,
        episode: row.try_get(3).map_err(engine)?,
        event: row.try_get(4).map_err(engine)?,
        resources: rows::unpack_resources(row.try_get(5).map_err(engine)?)?,
        at: row.try_get(6).map_err(engine)?,
        state: rows::delivery_state(row.try_get(7).map_err(engine)?)?,
        due: row.try_get(8).map_err(engine)?,
        attempts: row.try_get::<_, i32>(9).map_err(engine)?.unsigned_abs(),
        why: row.try_get(10).map_err(engine)?,
    })
}

impl Postgres {
    /// How many rows each queue has that are not done.
    pub async fn undelivered(&self) -> Result<Vec<(String, DeliveryState, u64)>, StoreError> {
        let sql = "SELECT queue, state, count(*) FROM outbox WHERE state <> 1 GROUP BY queue, state
                   ORDER BY queue COLLATE \"C\", state";
        let read = |row: &Row| {
            let count: i64 = row.try_get(2).map_err(engine)?;
            let state = rows::delivery_state(row.try_get(1).map_err(engine)?)?;
            Ok((row.try_get(0).map_err(engine)?, state, count.unsigned_abs()))
        };
        self.rows(sql, &[]).await?.iter().map(read).collect()
    }

    /// Rows of one queue in one state after a place, in order.
    pub async fn deliveries(
        &self,
        queue: &str,
        state: DeliveryState,
        after: u64,
        count: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        // Written out, for the index of what is not done holds for a number that is known.
        let state = state.number();
        let sql = format!("{DELIVERY} WHERE queue = $1 AND state = {state} AND seq > $2 ORDER BY seq LIMIT $3");
        let (after, limit) = (i64::try_from(after).unwrap_or(i64::MAX), super::read::limit(count));
        self.rows(&sql, &[&text(queue), &after, &limit]).await?.iter().map(read_delivery).collect()
    }

    /// One row.
    pub async fn delivery(&self, id: Uuid) -> Result<Option<Delivery>, StoreError> {
        let found = self.rows(&format!("{DELIVERY} WHERE id = $1"), &[&id]).await?;
        found.first().map(read_delivery).transpose()
    }

    /// Claims due rows of one queue under a lease that ends at `until`.
    pub async fn claim(
        &self,
        queue: &str,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Claimed>, StoreError> {
        let limit = super::read::limit(limit);
        let found = self.rows(CLAIM, &[&text(queue), &now, &limit, &until]).await?;
        found.iter().map(read_claimed).collect()
    }

    /// Queues that have rows that are not done: `(queue, rows to be sent, rows given up)`.
    pub async fn queues(&self) -> Result<Vec<(String, u64, u64)>, StoreError> {
        let sql = "SELECT queue, count(*) FILTER (WHERE state = 0), count(*) FILTER (WHERE state = 2)
                   FROM outbox WHERE state <> 1 GROUP BY queue ORDER BY queue";
        let count = |row: &Row, column| row.try_get::<_, i64>(column).map(i64::unsigned_abs).map_err(engine);
        let found = self.rows(sql, &[]).await?;
        found.iter().map(|row| Ok((row.try_get(0).map_err(engine)?, count(row, 1)?, count(row, 2)?))).collect()
    }

    /// How many rows were ever put into each queue whose name begins with `prefix`.
    pub async fn outbox_counts(&self, prefix: &str) -> Result<Vec<(String, u64)>, StoreError> {
        let sql = "SELECT queue, count(*) FROM outbox WHERE queue >= $1 AND queue < $2 GROUP BY queue ORDER BY queue";
        let to = format!("{}{}", text(prefix), rows::LAST_CHARACTER);
        let found = self.rows(sql, &[&text(prefix), &to]).await?;
        let read = |row: &Row| {
            let count: i64 = row.try_get(1).map_err(engine)?;
            Ok((row.try_get(0).map_err(engine)?, count.cast_unsigned()))
        };
        found.iter().map(read).collect()
    }

    /// Outbox rows of an episode whose queue begins with `prefix`, in order.
    pub async fn outbox_of(&self, episode: &str, prefix: &str) -> Result<Vec<(Uuid, String, String)>, StoreError> {
        let sql = "SELECT id, event, state FROM outbox WHERE episode = $1 AND queue >= $2 AND queue < $3 ORDER BY seq";
        let to = format!("{}{}", text(prefix), rows::LAST_CHARACTER);
        let found = self.rows(sql, &[&text(episode), &text(prefix), &to]).await?;
        let read = |row: &Row| {
            let state = match row.try_get::<_, i16>(2).map_err(engine)? {
                DONE => "done",
                GIVEN_UP => "given-up",
                _ => "queued",
            };
            Ok((row.try_get(0).map_err(engine)?, row.try_get(1).map_err(engine)?, state.to_owned()))
        };
        found.iter().map(read).collect()
    }
}
