//! Staging in SQLite. The contract is in `store::staging`.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::{Sqlite, engine};
use crate::store::StoreError;
use crate::store::rows::{instant, micros};
use crate::store::staging::{
    Batch, Candidate, Half, Joined, Kind, Known, Parked, PracticeRows, Reference, Settled, State,
};

const JOIN: &str = "SELECT c.organisation, c.observation, c.feed, c.since, c.state, c.deleted, c.touched, \
     c.obs_body, c.obs_origin, c.ref_body, c.ref_origin, code.body, code.origin, p.body, p.origin, u.body, u.origin, \
     o.body, o.origin, t.body, t.origin FROM staged_candidate c \
     LEFT JOIN staged_reference code ON code.kind = 4 AND code.scope = '' AND code.key = c.code \
     LEFT JOIN staged_reference p ON p.kind = 5 AND p.scope = c.organisation AND p.key = c.patient \
     LEFT JOIN staged_reference u ON u.kind = 3 AND u.scope = '' AND u.key = c.clinician \
     LEFT JOIN staged_reference o ON o.kind = 2 AND o.scope = '' AND o.key = c.organisation \
     LEFT JOIN staged_reference t ON t.kind = 2 AND t.scope = '' AND t.key = c.target ";

impl Sqlite {
    pub(crate) async fn stage_references(&self, rows: Vec<Reference>) -> Result<(), StoreError> {
        self.write(move |db| rows.iter().try_for_each(|row| reference(db, row)).map_err(engine)).await
    }

    pub(crate) async fn stage_halves(&self, rows: Vec<Half>, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |db| rows.iter().try_for_each(|row| half(db, row, micros(at))).map_err(engine)).await
    }

    pub(crate) async fn known_candidates(&self, keys: Vec<(String, String)>) -> Result<Vec<Known>, StoreError> {
        self.read(move |db| {
            let mut find = db
                .prepare_cached(
                    "SELECT state, obs_body <> '', ref_body <> '', target FROM staged_candidate \
                     WHERE organisation = ?1 AND observation = ?2",
                )
                .map_err(engine)?;
            let mut known = Vec::new();
            for (organisation, observation) in keys {
                let found = find
                    .query_row((&organisation, &observation), |row| {
                        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                    })
                    .optional()
                    .map_err(engine)?;
                if let Some((state, has_observation, has_referral, target)) = found {
                    let state = State::of(state);
                    known.push(Known { organisation, observation, state, has_observation, has_referral, target });
                }
            }
            Ok(known)
        })
        .await
    }

    pub(crate) async fn references(
        &self,
        kind: Kind,
        scope: String,
        keys: Vec<String>,
    ) -> Result<Vec<(String, String)>, StoreError> {
        self.read(move |db| {
            if keys.is_empty() {
                let sql = "SELECT key, body FROM staged_reference WHERE kind = ?1 AND scope = ?2";
                return all(db, sql, (kind.number(), scope), |row| Ok((row.get(0)?, row.get(1)?)));
            }
            let sql = "SELECT body FROM staged_reference WHERE kind = ?1 AND scope = ?2 AND key = ?3";
            let mut find = db.prepare_cached(sql).map_err(engine)?;
            let mut found = Vec::new();
            for key in keys {
                let body = find.query_row((kind.number(), &scope, &key), |row| row.get(0)).optional();
                if let Some(body) = body.map_err(engine)? {
                    found.push((key, body));
                }
            }
            Ok(found)
        })
        .await
    }

    pub(crate) async fn touched_candidates(
        &self,
        after: (String, String),
        count: usize,
    ) -> Result<Vec<Candidate>, StoreError> {
        let sql = format!(
            "{JOIN} WHERE c.dirty = 1 AND (c.organisation, c.observation) > (?1, ?2) \
             ORDER BY c.organisation, c.observation LIMIT ?3"
        );
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let rows = self.read(move |db| all(db, &sql, (after.0, after.1, count), joined)).await?;
        rows.into_iter().map(timed).collect()
    }

    pub(crate) async fn candidate(
        &self,
        organisation: String,
        observation: String,
    ) -> Result<Option<Candidate>, StoreError> {
        let sql = format!("{JOIN} WHERE c.organisation = ?1 AND c.observation = ?2");
        let rows = self.read(move |db| all(db, &sql, (organisation, observation), joined)).await?;
        rows.into_iter().next().map(timed).transpose()
    }

    pub(crate) async fn settle(&self, settled: Vec<Settled>) -> Result<(), StoreError> {
        self.write(move |db| {
            let mut update = db
                .prepare_cached(
                    "UPDATE staged_candidate SET dirty = 0, state = ?4, \
                     obs_body = CASE WHEN ?5 THEN '' ELSE obs_body END, ref_body = CASE WHEN ?5 THEN '' ELSE ref_body END, \
                     patient = CASE WHEN ?5 THEN '' ELSE patient END, code = CASE WHEN ?5 THEN '' ELSE code END, \
                     clinician = CASE WHEN ?5 THEN '' ELSE clinician END, target = CASE WHEN ?5 THEN '' ELSE target END \
                     WHERE organisation = ?1 AND observation = ?2 AND touched = ?3",
                )
                .map_err(engine)?;
            for one in &settled {
                let row = (&one.organisation, &one.observation, one.touched, one.state.number(), one.forget);
                update.execute(row).map_err(engine)?;
            }
            Ok(())
        })
        .await
    }

    pub(crate) async fn touch_waiting(&self, before: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE staged_candidate SET dirty = 1 WHERE state = 1 AND since < ?1";
        self.write(move |db| db.execute(sql, [micros(before)]).map(drop).map_err(engine)).await
    }

    pub(crate) async fn practice_rows(&self) -> Result<Vec<PracticeRows>, StoreError> {
        let sql = "SELECT organisation, sum(candidates), sum(patients) FROM ( \
             SELECT organisation, count(*) AS candidates, 0 AS patients FROM staged_candidate \
             WHERE deleted = 0 AND state <> 5 GROUP BY organisation UNION ALL \
             SELECT scope, 0, count(*) FROM staged_reference WHERE kind = 5 GROUP BY scope) GROUP BY organisation";
        let count = |row: &Row<'_>, at| Ok::<u64, rusqlite::Error>(u64::try_from(row.get::<_, i64>(at)?).unwrap_or(0));
        self.read(move |db| {
            all(db, sql, [], |row| {
                Ok(PracticeRows { organisation: row.get(0)?, candidates: count(row, 1)?, patients: count(row, 2)? })
            })
        })
        .await
    }

    pub(crate) async fn park(&self, rows: Vec<Parked>) -> Result<(), StoreError> {
        self.write(move |db| {
            let sql =
                "INSERT OR IGNORE INTO staged_parked (hold, name, version, feed, origin, body) VALUES (?,?,?,?,?,?)";
            let mut insert = db.prepare_cached(sql).map_err(engine)?;
            for row in &rows {
                let hold = row.hold.to_string();
                insert.execute((hold, &row.table, &row.version, &row.feed, &row.origin, &row.body)).map_err(engine)?;
            }
            Ok(())
        })
        .await
    }

    pub(crate) async fn parked(&self, hold: Uuid, after: i64, count: usize) -> Result<Vec<(i64, Parked)>, StoreError> {
        let sql = "SELECT position, name, version, feed, origin, body FROM staged_parked \
             WHERE hold = ?1 AND position > ?2 ORDER BY position LIMIT ?3";
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.read(move |db| {
            all(db, sql, (hold.to_string(), after, count), |row| {
                let (table, version, feed) = (row.get(1)?, row.get(2)?, row.get(3)?);
                Ok((row.get(0)?, Parked { hold, table, version, feed, origin: row.get(4)?, body: row.get(5)? }))
            })
        })
        .await
    }

    pub(crate) async fn unpark(&self, hold: Uuid) -> Result<(), StoreError> {
        let sql = "DELETE FROM staged_parked WHERE hold = ?1";
        self.write(move |db| db.execute(sql, [hold.to_string()]).map(drop).map_err(engine)).await
    }

    pub(crate) async fn note_batch(&self, batch: Batch) -> Result<Vec<Batch>, StoreError> {
        let number = |id: u64| i64::try_from(id).unwrap_or(i64::MAX);
        self.write(move |db| {
            let sql = "INSERT OR IGNORE INTO staged_batch (feed, first, last) VALUES (?1, ?2, ?3)";
            db.execute(sql, (&batch.feed, number(batch.first), number(batch.last))).map_err(engine)?;
            let sql = "SELECT first, last FROM staged_batch WHERE feed = ?1 ORDER BY first, last";
            let feed = batch.feed;
            all(db, sql, [feed.clone()], move |row| {
                let id = |at| row.get::<_, i64>(at).map(|id| u64::try_from(id).unwrap_or(0));
                Ok(Batch { feed: feed.clone(), first: id(0)?, last: id(1)? })
            })
        })
        .await
    }

    pub(crate) async fn take_turn(&self, holder: Uuid, now: Timestamp, until: Timestamp) -> Result<bool, StoreError> {
        let sql = "INSERT INTO staged_turn (one, holder, until) VALUES (1, ?1, ?2) ON CONFLICT (one) DO UPDATE \
             SET holder = excluded.holder, until = excluded.until WHERE holder = excluded.holder OR until <= ?3";
        self.write(move |db| {
            let taken = db.execute(sql, (holder.to_string(), micros(until), micros(now))).map_err(engine)?;
            Ok(taken == 1)
        })
        .await
    }
}

/// Every row of a query.
fn all<T>(
    db: &Connection,
    sql: &str,
    values: impl rusqlite::Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = db.prepare_cached(sql).map_err(engine)?;
    let rows = statement.query_map(values, read).map_err(engine)?;
    rows.collect::<Result<_, _>>().map_err(engine)
}

fn reference(db: &Connection, row: &Reference) -> rusqlite::Result<()> {
    let here: Option<(String, String)> = db
        .prepare_cached("SELECT version, body FROM staged_reference WHERE kind = ?1 AND scope = ?2 AND key = ?3")?
        .query_row((row.kind.number(), &row.scope, &row.key), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if here
        .as_ref()
        .is_some_and(|(version, body)| *version > row.version || (*version == row.version && *body == row.body))
    {
        return Ok(());
    }
    db.prepare_cached(
        "INSERT INTO staged_reference (kind, scope, key, version, body, origin) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
         ON CONFLICT (kind, scope, key) DO UPDATE SET version = excluded.version, body = excluded.body, \
         origin = excluded.origin",
    )?
    .execute((row.kind.number(), &row.scope, &row.key, &row.version, &row.body, &row.origin))?;
    if here.is_some_and(|(_, body)| body == row.body) {
        return Ok(());
    }
    const TOUCH: &str = "UPDATE staged_candidate SET dirty = 1, touched = touched + 1 WHERE";
    let touch = |which: &str, values: &[&dyn rusqlite::ToSql]| -> rusqlite::Result<()> {
        db.prepare_cached(&format!("{TOUCH} {which}"))?.execute(values).map(drop)
    };
    match row.kind {
        Kind::Code => touch("state IN (0, 1, 2) AND code = ?1", &[&row.key]),
        Kind::Patient => {
            touch("patient <> '' AND organisation = ?1 AND patient = ?2 AND state <> 4", &[&row.scope, &row.key])
        }
        Kind::Organisation => touch("organisation = ?1 AND state IN (1, 2)", &[&row.key]),
        Kind::Agreement | Kind::UserInRole => Ok(()),
    }
}

fn half(db: &Connection, row: &Half, at: i64) -> rusqlite::Result<()> {
    let state = if row.ignored { State::Ignored } else { State::New }.number();
    let body = if row.ignored { "" } else { row.body.as_str() };
    let kept = |cell: &'_ String| if row.ignored { String::new() } else { cell.clone() };
    // 5 is `Ignored`: a row that says nothing takes what was said before with it, one that speaks
    // again is new; any other state stays, so that a change is known from a first coming.
    const STATE: &str = "feed = excluded.feed, touched = touched + 1, dirty = excluded.dirty, \
         state = CASE WHEN excluded.state = 5 OR state = 5 THEN excluded.state ELSE state END";
    let dirty = !row.ignored || row.is_referral;
    let written = if row.is_referral {
        db.prepare_cached(&format!(
            "INSERT INTO staged_candidate (organisation, observation, feed, since, state, dirty, \
             ref_version, ref_body, ref_origin, target, patient) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11) \
             ON CONFLICT (organisation, observation) DO UPDATE SET {STATE}, ref_version = excluded.ref_version, \
             ref_body = excluded.ref_body, ref_origin = excluded.ref_origin, target = excluded.target \
             WHERE excluded.ref_version >= ref_version"
        ))?
        .execute(params![
            row.organisation,
            row.observation,
            row.feed,
            at,
            state,
            dirty,
            row.version,
            body,
            row.origin,
            kept(&row.target),
            kept(&row.patient)
        ])?
    } else {
        db.prepare_cached(&format!(
            "INSERT INTO staged_candidate (organisation, observation, feed, since, state, dirty, \
             obs_version, obs_body, obs_origin, patient, code, clinician, deleted) \
             VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13) \
             ON CONFLICT (organisation, observation) DO UPDATE SET {STATE}, obs_version = excluded.obs_version, \
             deleted = excluded.deleted, \
             obs_body = CASE WHEN excluded.deleted AND excluded.state <> 5 THEN obs_body ELSE excluded.obs_body END, \
             ref_body = CASE WHEN excluded.state = 5 THEN '' ELSE ref_body END, \
             obs_origin = CASE WHEN excluded.deleted THEN obs_origin ELSE excluded.obs_origin END, \
             patient = CASE WHEN excluded.deleted THEN patient ELSE excluded.patient END, \
             code = CASE WHEN excluded.deleted THEN code ELSE excluded.code END, \
             clinician = CASE WHEN excluded.deleted THEN clinician ELSE excluded.clinician END \
             WHERE excluded.obs_version >= obs_version"
        ))?
        .execute(params![
            row.organisation,
            row.observation,
            row.feed,
            at,
            state,
            dirty,
            row.version,
            if row.deleted { "" } else { body },
            row.origin,
            kept(&row.patient),
            kept(&row.code),
            kept(&row.clinician),
            row.deleted
        ])?
    };
    if written == 0 {
        // Older than what is here: still a coming of this candidate, which is counted.
        db.prepare_cached(
            "UPDATE staged_candidate SET dirty = ?3, touched = touched + 1 WHERE organisation = ?1 AND observation = ?2",
        )?
        .execute((&row.organisation, &row.observation, dirty))?;
    }
    Ok(())
}

/// A candidate whose `since` is still a number.
fn joined(row: &Row<'_>) -> rusqlite::Result<(i64, Candidate)> {
    let pair = |at: usize| -> rusqlite::Result<Option<Joined>> {
        let body: Option<String> = row.get(at)?;
        let Some(body) = body.filter(|body| !body.is_empty()) else { return Ok(None) };
        Ok(Some(Joined { body, origin: row.get(at + 1)? }))
    };
    let candidate = Candidate {
        organisation: row.get(0)?,
        observation: row.get(1)?,
        feed: row.get(2)?,
        since: Timestamp::UNIX_EPOCH,
        state: State::of(row.get(4)?),
        deleted: row.get(5)?,
        touched: row.get(6)?,
        obs: pair(7)?,
        referral: pair(9)?,
        code: pair(11)?,
        patient: pair(13)?,
        clinician: pair(15)?,
        org: pair(17)?,
        target: pair(19)?,
    };
    Ok((row.get(3)?, candidate))
}

fn timed((since, candidate): (i64, Candidate)) -> Result<Candidate, StoreError> {
    Ok(Candidate { since: instant(since)?, ..candidate })
}
