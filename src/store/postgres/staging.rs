//! Staging in PostgreSQL: a statement a lot of rows, over arrays. The contract is in
//! `store::staging`.

use std::collections::HashSet;
use std::hash::Hash;

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{Bound, Postgres, engine};
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

impl Postgres {
    pub(crate) async fn stage_references(&self, rows: Vec<Reference>) -> Result<(), StoreError> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(engine)?;
        for wave in waves(rows, |row| (row.kind, row.scope.clone(), row.key.clone())) {
            references(&transaction, &wave).await?;
        }
        transaction.commit().await.map_err(engine)
    }

    pub(crate) async fn stage_halves(&self, rows: Vec<Half>, at: Timestamp) -> Result<(), StoreError> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(engine)?;
        for wave in waves(rows, |row| (row.organisation.clone(), row.observation.clone())) {
            let (forms, observations): (Vec<Half>, Vec<Half>) = wave.into_iter().partition(|row| row.is_referral);
            halves(&transaction, &observations, OBSERVATIONS, micros(at)).await?;
            halves(&transaction, &forms, FORMS, micros(at)).await?;
        }
        transaction.commit().await.map_err(engine)
    }

    pub(crate) async fn known_candidates(&self, keys: Vec<(String, String)>) -> Result<Vec<Known>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let (organisations, observations): (Vec<String>, Vec<String>) = keys.into_iter().unzip();
        let sql = "SELECT c.organisation, c.observation, c.state, c.obs_body <> '', c.ref_body <> '', c.target \
             FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::text[])) AS k (organisation, observation) \
             JOIN staged_candidate c ON c.organisation = k.organisation AND c.observation = k.observation";
        let rows = self.rows(sql, &[&organisations, &observations]).await?;
        let known = |row: &Row| {
            Ok(Known {
                organisation: row.try_get(0)?,
                observation: row.try_get(1)?,
                state: State::of(row.try_get(2)?),
                has_observation: row.try_get(3)?,
                has_referral: row.try_get(4)?,
                target: row.try_get(5)?,
            })
        };
        each(&rows, known)
    }

    pub(crate) async fn references(
        &self,
        kind: Kind,
        scope: String,
        keys: Vec<String>,
    ) -> Result<Vec<(String, String)>, StoreError> {
        let kind = kind.number();
        let all = "SELECT key, body FROM staged_reference WHERE kind = $1 AND scope = $2";
        let rows = if keys.is_empty() {
            self.rows(all, &[&kind, &scope]).await?
        } else {
            self.rows(&format!("{all} AND key = ANY ($3)"), &[&kind, &scope, &keys]).await?
        };
        each(&rows, |row| Ok((row.try_get(0)?, row.try_get(1)?)))
    }

    pub(crate) async fn touched_candidates(
        &self,
        after: (String, String),
        count: usize,
    ) -> Result<Vec<Candidate>, StoreError> {
        let sql = format!(
            "{JOIN} WHERE c.dirty AND (c.organisation, c.observation) > ($1, $2) \
             ORDER BY c.organisation, c.observation LIMIT $3"
        );
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let rows = self.rows(&sql, &[&after.0, &after.1, &count]).await?;
        rows.iter().map(joined).collect()
    }

    pub(crate) async fn candidate(
        &self,
        organisation: String,
        observation: String,
    ) -> Result<Option<Candidate>, StoreError> {
        let sql = format!("{JOIN} WHERE c.organisation = $1 AND c.observation = $2");
        let rows = self.rows(&sql, &[&organisation, &observation]).await?;
        rows.first().map(joined).transpose()
    }

    pub(crate) async fn settle(&self, settled: Vec<Settled>) -> Result<(), StoreError> {
        let organisations: Vec<&str> = settled.iter().map(|one| one.organisation.as_str()).collect();
        let observations: Vec<&str> = settled.iter().map(|one| one.observation.as_str()).collect();
        let touched: Vec<i64> = settled.iter().map(|one| one.touched).collect();
        let states: Vec<i16> = settled.iter().map(|one| one.state.number()).collect();
        let forgets: Vec<bool> = settled.iter().map(|one| one.forget).collect();
        let emptied = ["obs_body", "ref_body", "patient", "code", "clinician", "target"]
            .map(|column| format!("{column} = CASE WHEN k.forget THEN '' ELSE c.{column} END"))
            .join(", ");
        let sql = format!(
            "UPDATE staged_candidate c SET dirty = false, state = k.state, {emptied} \
             FROM unnest($1::text[], $2::text[], $3::int8[], $4::int2[], $5::bool[]) \
             AS k (organisation, observation, touched, state, forget) \
             WHERE c.organisation = k.organisation AND c.observation = k.observation AND c.touched = k.touched"
        );
        self.rows(&sql, &[&organisations, &observations, &touched, &states, &forgets]).await.map(drop)
    }

    pub(crate) async fn touch_waiting(&self, before: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE staged_candidate SET dirty = true WHERE state = 1 AND since < $1";
        self.rows(sql, &[&micros(before)]).await.map(drop)
    }

    pub(crate) async fn practice_rows(&self) -> Result<Vec<PracticeRows>, StoreError> {
        let sql = "SELECT organisation, sum(candidates)::int8, sum(patients)::int8 FROM ( \
             SELECT organisation, count(*) AS candidates, 0 AS patients FROM staged_candidate \
             WHERE NOT deleted AND state <> 5 GROUP BY organisation UNION ALL \
             SELECT scope, 0, count(*) FROM staged_reference WHERE kind = 5 GROUP BY scope) AS one GROUP BY organisation";
        let rows = self.rows(sql, &[]).await?;
        let count = |row: &Row, at: usize| row.try_get::<_, i64>(at).map(|count| u64::try_from(count).unwrap_or(0));
        each(&rows, |row| {
            Ok(PracticeRows { organisation: row.try_get(0)?, candidates: count(row, 1)?, patients: count(row, 2)? })
        })
    }

    pub(crate) async fn park(&self, rows: Vec<Parked>) -> Result<(), StoreError> {
        let column = |cell: fn(&Parked) -> String| rows.iter().map(cell).collect::<Vec<String>>();
        let columns = [
            column(|row| row.hold.to_string()),
            column(|row| row.table.clone()),
            column(|row| row.version.clone()),
            column(|row| row.feed.clone()),
            column(|row| row.origin.clone()),
            column(|row| row.body.clone()),
        ];
        let bound: Vec<&Bound<'_>> = columns.iter().map(|column| column as &Bound<'_>).collect();
        let sql = "INSERT INTO staged_parked (hold, name, version, feed, origin, body) SELECT * FROM \
             unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) ON CONFLICT DO NOTHING";
        self.rows(sql, &bound).await.map(drop)
    }

    pub(crate) async fn parked(&self, hold: Uuid, after: i64, count: usize) -> Result<Vec<(i64, Parked)>, StoreError> {
        let sql = "SELECT position, name, version, feed, origin, body FROM staged_parked \
             WHERE hold = $1 AND position > $2 ORDER BY position LIMIT $3";
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let rows = self.rows(sql, &[&hold.to_string(), &after, &count]).await?;
        each(&rows, |row| {
            let (table, version, feed) = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
            Ok((row.try_get(0)?, Parked { hold, table, version, feed, origin: row.try_get(4)?, body: row.try_get(5)? }))
        })
    }

    pub(crate) async fn unpark(&self, hold: Uuid) -> Result<(), StoreError> {
        self.rows("DELETE FROM staged_parked WHERE hold = $1", &[&hold.to_string()]).await.map(drop)
    }

    pub(crate) async fn note_batch(&self, batch: Batch) -> Result<Vec<Batch>, StoreError> {
        let number = |id: u64| i64::try_from(id).unwrap_or(i64::MAX);
        let sql = "INSERT INTO staged_batch (feed, first, last) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        self.rows(sql, &[&batch.feed, &number(batch.first), &number(batch.last)]).await?;
        let sql = "SELECT first, last FROM staged_batch WHERE feed = $1 ORDER BY first, last";
        let rows = self.rows(sql, &[&batch.feed]).await?;
        let id = |row: &Row, at: usize| row.try_get::<_, i64>(at).map(|id| u64::try_from(id).unwrap_or(0));
        each(&rows, |row| Ok(Batch { feed: batch.feed.clone(), first: id(row, 0)?, last: id(row, 1)? }))
    }

    pub(crate) async fn take_turn(&self, holder: Uuid, now: Timestamp, until: Timestamp) -> Result<bool, StoreError> {
        let sql = "INSERT INTO staged_turn (one, holder, until) VALUES (1, $1, $2) ON CONFLICT (one) DO UPDATE \
             SET holder = excluded.holder, until = excluded.until \
             WHERE staged_turn.holder = excluded.holder OR staged_turn.until <= $3 RETURNING one";
        let taken = self.rows(sql, &[&holder.to_string(), &micros(until), &micros(now)]).await?;
        Ok(!taken.is_empty())
    }
}

fn each<T>(rows: &[Row], read: impl Fn(&Row) -> Result<T, tokio_postgres::Error>) -> Result<Vec<T>, StoreError> {
    rows.iter().map(|row| read(row).map_err(engine)).collect()
}

/// Rows of one key one after the other: a statement may write a row once. A row and its deletion
/// in one lot thus both have their effect.
fn waves<T, K: Eq + Hash>(rows: Vec<T>, key: impl Fn(&T) -> K) -> Vec<Vec<T>> {
    let mut waves = Vec::new();
    let mut left = rows;
    while !left.is_empty() {
        let mut seen = HashSet::new();
        let (wave, later) = left.into_iter().partition(|row| seen.insert(key(row)));
        waves.push(wave);
        left = later;
    }
    waves
}

async fn references(db: &Transaction<'_>, rows: &[Reference]) -> Result<(), StoreError> {
    let kinds: Vec<i16> = rows.iter().map(|row| row.kind.number()).collect();
    let column = |cell: fn(&Reference) -> &str| rows.iter().map(cell).collect::<Vec<&str>>();
    let (scopes, keys) = (column(|row| &row.scope), column(|row| &row.key));
    let (versions, bodies, origins) = (column(|row| &row.version), column(|row| &row.body), column(|row| &row.origin));
    // All parts of the statement see the rows as they were before it.
    let sql = "WITH sent AS (SELECT * FROM unnest($1::int2[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) \
             AS s (kind, scope, key, version, body, origin)), \
         before AS (SELECT r.kind, r.scope, r.key, r.body FROM staged_reference r JOIN sent USING (kind, scope, key)), \
         written AS (INSERT INTO staged_reference AS r (kind, scope, key, version, body, origin) SELECT * FROM sent \
             ON CONFLICT (kind, scope, key) DO UPDATE SET version = excluded.version, body = excluded.body, \
             origin = excluded.origin WHERE excluded.version > r.version \
             OR (excluded.version = r.version AND excluded.body <> r.body) RETURNING r.kind, r.scope, r.key, r.body) \
         SELECT w.kind, w.scope, w.key FROM written w LEFT JOIN before b USING (kind, scope, key) \
         WHERE b.body IS DISTINCT FROM w.body";
    let statement = db.prepare_cached(sql).await.map_err(engine)?;
    let bound: [&Bound<'_>; 6] = [&kinds, &scopes, &keys, &versions, &bodies, &origins];
    let changed = db.query(&statement, &bound).await.map_err(engine)?;
    let changed: Vec<(i16, String, String)> =
        each(&changed, |row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))?;
    touch(db, &changed).await
}

/// Touches the candidates that refer to what has changed.
async fn touch(db: &Transaction<'_>, changed: &[(i16, String, String)]) -> Result<(), StoreError> {
    let of = |kind: Kind| {
        let of_kind = changed.iter().filter(|(number, ..)| *number == kind.number());
        of_kind.map(|(_, scope, key)| (scope.as_str(), key.as_str())).unzip::<&str, &str, Vec<_>, Vec<_>>()
    };
    const TOUCH: &str = "UPDATE staged_candidate SET dirty = true, touched = touched + 1";
    let (_, codes) = of(Kind::Code);
    let (practices, patients) = of(Kind::Patient);
    let (_, organisations) = of(Kind::Organisation);
    if !codes.is_empty() {
        let sql = format!("{TOUCH} WHERE state IN (0, 1, 2) AND code = ANY ($1)");
        run(db, &sql, &[&codes]).await?;
    }
    if !patients.is_empty() {
        let sql = format!(
            "{TOUCH} FROM unnest($1::text[], $2::text[]) AS k (organisation, patient) \
             WHERE staged_candidate.organisation = k.organisation AND staged_candidate.patient = k.patient \
             AND staged_candidate.patient <> '' AND state <> 4"
        );
        run(db, &sql, &[&practices, &patients]).await?;
    }
    if !organisations.is_empty() {
        let sql = format!("{TOUCH} WHERE organisation = ANY ($1) AND state IN (1, 2)");
        run(db, &sql, &[&organisations]).await?;
    }
    Ok(())
}

async fn run(db: &Transaction<'_>, sql: &str, values: &[&Bound<'_>]) -> Result<Vec<Row>, StoreError> {
    let statement = db.prepare_cached(sql).await.map_err(engine)?;
    db.query(&statement, values).await.map_err(engine)
}

/// What is sent of each half; `since` is the same for all.
const SENT: &str = "SELECT s.* FROM unnest($1::text[], $2::text[], $3::text[], $4::int2[], $5::bool[], \
     $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::bool[]) \
     AS s (organisation, observation, feed, state, dirty, version, body, origin, patient, code, clinician, target, deleted)";

/// 5 is `Ignored`: a row that says nothing takes what was said before with it, one that speaks
/// again is new; any other state stays, so that a change is known from a first coming.
const AGAIN: &str = "feed = excluded.feed, touched = c.touched + 1, dirty = excluded.dirty, \
     state = CASE WHEN excluded.state = 5 OR c.state = 5 THEN excluded.state ELSE c.state END";

const OBSERVATIONS: &str = "obs_version = excluded.obs_version, deleted = excluded.deleted, \
     obs_body = CASE WHEN excluded.deleted AND excluded.state <> 5 THEN c.obs_body ELSE excluded.obs_body END, \
     ref_body = CASE WHEN excluded.state = 5 THEN '' ELSE c.ref_body END, \
     obs_origin = CASE WHEN excluded.deleted THEN c.obs_origin ELSE excluded.obs_origin END, \
     patient = CASE WHEN excluded.deleted THEN c.patient ELSE excluded.patient END, \
     code = CASE WHEN excluded.deleted THEN c.code ELSE excluded.code END, \
     clinician = CASE WHEN excluded.deleted THEN c.clinician ELSE excluded.clinician END \
     WHERE excluded.obs_version >= c.obs_version";

const FORMS: &str = "ref_version = excluded.ref_version, ref_body = excluded.ref_body, \
     ref_origin = excluded.ref_origin, target = excluded.target WHERE excluded.ref_version >= c.ref_version";

async fn halves(db: &Transaction<'_>, rows: &[Half], update: &str, at: i64) -> Result<(), StoreError> {
    let Some(first) = rows.first() else { return Ok(()) };
    let half = if first.is_referral { "ref" } else { "obs" };
    let sql = format!(
        "WITH sent AS ({SENT}), written AS (INSERT INTO staged_candidate AS c (organisation, observation, feed, since, \
         state, dirty, {half}_version, {half}_body, {half}_origin, patient, code, clinician, target, deleted) \
         SELECT organisation, observation, feed, $14::int8, state, dirty, version, body, origin, patient, code, clinician, \
         target, deleted FROM sent ON CONFLICT (organisation, observation) DO UPDATE SET {AGAIN}, {update} \
         RETURNING c.organisation, c.observation) \
         SELECT s.organisation, s.observation, s.dirty FROM sent s LEFT JOIN written w USING (organisation, observation) \
         WHERE w.organisation IS NULL"
    );
    let column = |cell: fn(&Half) -> &str| rows.iter().map(cell).collect::<Vec<&str>>();
    // Of a row that is ignored only the key is kept.
    let kept = |cell: fn(&Half) -> &str| rows.iter().map(|row| if row.ignored { "" } else { cell(row) }).collect();
    let (organisations, observations) = (column(|row| &row.organisation), column(|row| &row.observation));
    let (feeds, versions, origins) = (column(|row| &row.feed), column(|row| &row.version), column(|row| &row.origin));
    let bodies: Vec<&str> = kept(|row| if row.deleted { "" } else { &row.body });
    let (patients, codes): (Vec<&str>, Vec<&str>) = (kept(|row| &row.patient), kept(|row| &row.code));
    let (clinicians, targets): (Vec<&str>, Vec<&str>) = (kept(|row| &row.clinician), kept(|row| &row.target));
    let states: Vec<i16> =
        rows.iter().map(|row| if row.ignored { State::Ignored } else { State::New }.number()).collect();
    let dirty: Vec<bool> = rows.iter().map(|row| !row.ignored || row.is_referral).collect();
    let deleted: Vec<bool> = rows.iter().map(|row| row.deleted).collect();
    let bound: [&Bound<'_>; 14] = [
        &organisations,
        &observations,
        &feeds,
        &states,
        &dirty,
        &versions,
        &bodies,
        &origins,
        &patients,
        &codes,
        &clinicians,
        &targets,
        &deleted,
        &at,
    ];
    let older = run(db, &sql, &bound).await?;
    if older.is_empty() {
        return Ok(());
    }
    // Older than what is here: still a coming of this candidate, which is counted.
    let older: Vec<(String, String, bool)> =
        each(&older, |row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))?;
    let organisations: Vec<&str> = older.iter().map(|(organisation, ..)| organisation.as_str()).collect();
    let observations: Vec<&str> = older.iter().map(|(_, observation, _)| observation.as_str()).collect();
    let dirty: Vec<bool> = older.iter().map(|(.., dirty)| *dirty).collect();
    let sql = "UPDATE staged_candidate c SET dirty = k.dirty, touched = touched + 1 \
         FROM unnest($1::text[], $2::text[], $3::bool[]) AS k (organisation, observation, dirty) \
         WHERE c.organisation = k.organisation AND c.observation = k.observation";
    run(db, sql, &[&organisations, &observations, &dirty]).await.map(drop)
}

fn joined(row: &Row) -> Result<Candidate, StoreError> {
    let pair = |at: usize| -> Result<Option<Joined>, tokio_postgres::Error> {
        let body: Option<String> = row.try_get(at)?;
        let Some(body) = body.filter(|body| !body.is_empty()) else { return Ok(None) };
        Ok(Some(Joined { body, origin: row.try_get(at + 1)? }))
    };
    let read = || {
        Ok(Candidate {
            organisation: row.try_get(0)?,
            observation: row.try_get(1)?,
            feed: row.try_get(2)?,
            since: Timestamp::UNIX_EPOCH,
            state: State::of(row.try_get(4)?),
            deleted: row.try_get(5)?,
            touched: row.try_get(6)?,
            obs: pair(7)?,
            referral: pair(9)?,
            code: pair(11)?,
            patient: pair(13)?,
            clinician: pair(15)?,
            org: pair(17)?,
            target: pair(19)?,
        })
    };
    let candidate: Candidate = read().map_err(engine)?;
    Ok(Candidate { since: instant(row.try_get(3).map_err(engine)?)?, ..candidate })
}
