//! Filings, the dictionaries of practices, and outbox rows that are sent again.

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::ledger::{all, uuid};
use super::log::limit;
use super::{Sqlite, engine};
use crate::fhir::ids::OdsCode;
use crate::store::StoreError;
use crate::store::commit::Commit;
use crate::store::filing::{DictionaryRow, Filing, FilingSearch};
use crate::store::rows;

/// Writes a commit's filings, dictionary rows and requeued outbox rows.
pub(super) fn write(connection: &Connection, commit: &Commit) -> Result<(), StoreError> {
    for filing in &commit.filings {
        put(connection, filing)?;
    }
    for row in &commit.dictionary {
        learn(connection, row).map_err(engine)?;
    }
    for requeue in &commit.requeue {
        connection
            .prepare_cached(
                "UPDATE outbox SET state = 0, due = ?2, attempts = 0, lease = NULL, why = ?3 WHERE id = ?1 AND state <> 0",
            )
            .and_then(|mut sql| sql.execute(params![requeue.id.as_bytes().as_slice(), rows::micros(requeue.due), requeue.why]))
            .map_err(engine)?;
    }
    Ok(())
}

/// Writes one version of a filing, if the one before is current. A first version that is there
/// already is the same event again.
fn put(connection: &Connection, filing: &Filing) -> Result<(), StoreError> {
    let id = filing.id.as_bytes().as_slice();
    let current: Option<u32> = connection
        .prepare_cached("SELECT version FROM filing WHERE id = ?1")
        .and_then(|mut sql| sql.query_row([id], |row| row.get(0)).optional())
        .map_err(engine)?;
    match (filing.version, current) {
        (1, Some(_)) => return Ok(()),
        (version, current) if version != current.unwrap_or(0).saturating_add(1) => {
            return Err(StoreError::Stale { what: format!("filing {}", filing.id) });
        }
        (1, _) => insert(connection, filing).map_err(engine)?,
        _ => update(connection, filing).map_err(engine)?,
    }
    for (_, message) in &filing.messages {
        connection
            .prepare_cached("INSERT INTO filing_message (message, filing) VALUES (?1, ?2) ON CONFLICT DO NOTHING")
            .and_then(|mut sql| sql.execute(params![rows::door_key(message), id]))
            .map_err(engine)?;
    }
    Ok(())
}

fn insert(connection: &Connection, filing: &Filing) -> rusqlite::Result<()> {
    let (kind, resource, version) = &filing.resource;
    connection
        .prepare_cached(
            "INSERT INTO filing (id, version, episode, practice, event, kind, resource, resource_version, state,
               route, tried, messages, acknowledgements, since, deadline, look_at, overdue, why, read_back)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
        )?
        .execute(params![
            filing.id.as_bytes().as_slice(),
            filing.version,
            filing.episode,
            filing.practice.as_str(),
            filing.event,
            kind,
            resource,
            version,
            filing.state.word(),
            filing.route,
            rows::pack_texts(&filing.tried),
            rows::pack_texts(&filing.messages),
            rows::pack_texts(&filing.acknowledgements),
            rows::micros(filing.since),
            filing.deadline.map(rows::micros),
            filing.look_at.map(rows::micros),
            filing.overdue,
            filing.why,
            filing.read_back,
        ])?;
    Ok(())
}

fn update(connection: &Connection, filing: &Filing) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE filing SET version = ?2, state = ?3, route = ?4, tried = ?5, messages = ?6, acknowledgements = ?7,
               since = ?8, deadline = ?9, look_at = ?10, overdue = ?11, why = ?12, read_back = ?13 WHERE id = ?1",
        )?
        .execute(params![
            filing.id.as_bytes().as_slice(),
            filing.version,
            filing.state.word(),
            filing.route,
            rows::pack_texts(&filing.tried),
            rows::pack_texts(&filing.messages),
            rows::pack_texts(&filing.acknowledgements),
            rows::micros(filing.since),
            filing.deadline.map(rows::micros),
            filing.look_at.map(rows::micros),
            filing.overdue,
            filing.why,
            filing.read_back,
        ])?;
    Ok(())
}

/// What was seen last stands.
fn learn(connection: &Connection, row: &DictionaryRow) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO dictionary (practice, system, code, kept, local_scheme, local_code, seen_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (practice, system, code) DO UPDATE SET kept = excluded.kept, seen_at = excluded.seen_at,
               local_scheme = excluded.local_scheme, local_code = excluded.local_code",
        )?
        .execute(params![
            row.practice.as_str(),
            row.system,
            row.code,
            row.kept,
            row.local.0,
            row.local.1,
            rows::micros(row.seen_at),
        ])?;
    Ok(())
}

const FILING: &str = "SELECT id, version, episode, practice, event, kind, resource, resource_version, state, route,
    tried, messages, acknowledgements, since, deadline, look_at, overdue, why, read_back FROM filing";

fn read(row: &Row<'_>) -> Result<Filing, StoreError> {
    let text = |column: usize| row.get::<_, String>(column).map_err(engine);
    let instant = |column: usize| -> Result<Option<Timestamp>, StoreError> {
        row.get::<_, Option<i64>>(column).map_err(engine)?.map(rows::instant).transpose()
    };
    Ok(Filing {
        id: uuid(row, 0)?,
        version: row.get(1).map_err(engine)?,
        episode: text(2)?,
        practice: OdsCode::parse(&text(3)?).map_err(|_| rows::damaged("an ODS code"))?,
        event: text(4)?,
        resource: (text(5)?, text(6)?, row.get(7).map_err(engine)?),
        state: rows::filing_state(&text(8)?)?,
        route: text(9)?,
        tried: rows::unpack_texts(&text(10)?)?,
        messages: rows::unpack_texts(&text(11)?)?,
        acknowledgements: rows::unpack_texts(&text(12)?)?,
        since: rows::instant(row.get(13).map_err(engine)?)?,
        deadline: instant(14)?,
        look_at: instant(15)?,
        overdue: row.get(16).map_err(engine)?,
        why: text(17)?,
        read_back: text(18)?,
    })
}

/// The first row's filing.
fn one(found: Vec<Filing>) -> Option<Filing> {
    found.into_iter().next()
}

/// A search's SQL, which asks only for what is asked: `?1 IS NULL OR ...` would keep SQLite from
/// its indexes.
fn wanted(find: FilingSearch) -> (String, Vec<Value>) {
    let (mut sql, mut values) = (format!("{FILING} WHERE true"), Vec::new());
    let mut wants = |clause: &str, given: Vec<Value>| {
        sql.push_str(clause);
        values.extend(given);
    };
    if let Some(practice) = find.practice {
        wants(" AND practice = ?", vec![practice.into()]);
    }
    if let Some(state) = find.state {
        wants(" AND state = ?", vec![state.word().to_owned().into()]);
    }
    if find.overdue {
        wants(" AND overdue = 1", Vec::new());
    }
    if let Some((kind, id)) = find.resource {
        wants(" AND kind = ? AND resource = ?", vec![kind.into(), id.into()]);
    }
    if let Some((since, id)) = find.after {
        let last = vec![rows::micros(since).into(), id.as_bytes().to_vec().into()];
        wants(" AND (since, seq) > (?, (SELECT seq FROM filing WHERE id = ?))", last);
    }
    wants(" ORDER BY since, seq LIMIT ?", vec![limit(find.count).into()]);
    (sql, values)
}

impl Sqlite {
    /// One filing.
    pub async fn filing(&self, id: Uuid) -> Result<Option<Filing>, StoreError> {
        let sql = format!("{FILING} WHERE id = ?1");
        self.read(move |connection| all(connection, &sql, [id.as_bytes().as_slice()], read)).await.map(one)
    }

    /// The filing that sent a message.
    pub async fn filing_of_message(&self, message: &str) -> Result<Option<Filing>, StoreError> {
        let message = rows::door_key(message);
        let sql = format!("{FILING} WHERE id = (SELECT filing FROM filing_message WHERE message = ?1)");
        self.read(move |connection| all(connection, &sql, [message], read)).await.map(one)
    }

    /// All filings of an episode, in the order in which they were made.
    pub async fn filings_of(&self, episode: &str) -> Result<Vec<Filing>, StoreError> {
        let episode = episode.to_owned();
        let sql = format!("{FILING} WHERE episode = ?1 ORDER BY seq");
        self.read(move |connection| all(connection, &sql, [episode], read)).await
    }

    /// Filings that match, longest in their state first.
    pub async fn find_filings(&self, find: FilingSearch) -> Result<Vec<Filing>, StoreError> {
        let (sql, values) = wanted(find);
        self.read(move |connection| all(connection, &sql, rusqlite::params_from_iter(values), read)).await
    }

    /// Filings that are to be looked at by `now`, soonest first.
    pub async fn filings_to_look_at(&self, now: Timestamp, count: usize) -> Result<Vec<Filing>, StoreError> {
        let sql = format!("{FILING} WHERE look_at <= ?1 ORDER BY look_at LIMIT ?2");
        self.read(move |connection| all(connection, &sql, params![rows::micros(now), limit(count)], read)).await
    }

    /// How many filings each practice has in each state.
    pub async fn filing_counts(&self) -> Result<Vec<(String, String, bool, u64)>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT practice, state, overdue, count(*) FROM filing GROUP BY practice, state, overdue
                       ORDER BY practice, state, overdue";
            all(connection, sql, [], |row| {
                let count = row.get::<_, i64>(3).map_err(engine)?.unsigned_abs();
                Ok((row.get(0).map_err(engine)?, row.get(1).map_err(engine)?, row.get(2).map_err(engine)?, count))
            })
        })
        .await
    }

    /// What a practice's dictionary did with a code.
    pub async fn dictionary(
        &self,
        practice: &str,
        system: &str,
        code: &str,
    ) -> Result<Option<DictionaryRow>, StoreError> {
        let key = [practice.to_owned(), system.to_owned(), code.to_owned()];
        let found = self.read(move |connection| {
            let sql = "SELECT practice, system, code, kept, local_scheme, local_code, seen_at FROM dictionary
                       WHERE practice = ?1 AND system = ?2 AND code = ?3";
            all(connection, sql, key, |row| {
                let text = |column: usize| row.get::<_, String>(column).map_err(engine);
                Ok(DictionaryRow {
                    practice: OdsCode::parse(&text(0)?).map_err(|_| rows::damaged("an ODS code"))?,
                    system: text(1)?,
                    code: text(2)?,
                    kept: row.get(3).map_err(engine)?,
                    local: (text(4)?, text(5)?),
                    seen_at: rows::instant(row.get(6).map_err(engine)?)?,
                })
            })
        });
        Ok(found.await?.into_iter().next())
    }

    /// Queues that begin with `prefix` and have rows due and not claimed: each found by two
    /// look-ups in an index.
    pub async fn due_queues(&self, prefix: &str, now: Timestamp) -> Result<Vec<String>, StoreError> {
        let (from, to) = (prefix.to_owned(), format!("{prefix}{}", rows::LAST_CHARACTER));
        self.read(move |connection| {
            let sql = "WITH RECURSIVE name (queue) AS (
                  SELECT min(queue) FROM outbox WHERE state = 0 AND queue >= ?1 AND queue < ?2
                  UNION ALL
                  SELECT (SELECT min(queue) FROM outbox WHERE state = 0 AND queue > name.queue AND queue < ?2)
                  FROM name WHERE name.queue IS NOT NULL)
                SELECT queue FROM name WHERE queue IS NOT NULL AND EXISTS (
                  SELECT 1 FROM outbox INDEXED BY outbox_due WHERE outbox.queue = name.queue AND state = 0 AND due <= ?3)";
            all(connection, sql, params![from, to, rows::micros(now)], |row| row.get(0).map_err(engine))
        })
        .await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::store::filing::FilingState;

    /// How SQLite would go about a search.
    fn plan(find: FilingSearch) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        super::super::migrate::run(&path).unwrap();
        let (sql, values) = wanted(find);
        let connection = Connection::open(&path).unwrap();
        let mut steps = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps = steps.query_map(rusqlite::params_from_iter(values), |row| row.get::<_, String>(3)).unwrap();
        steps.map(Result::unwrap).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn a_page_is_a_look_up_and_not_a_sort() {
        let all = FilingSearch { count: 10, ..FilingSearch::default() };
        let after = Some((Timestamp::UNIX_EPOCH, Uuid::nil()));
        assert!(plan(all.clone()).contains("USING INDEX filing_order"));
        assert!(plan(FilingSearch { after, ..all.clone() }).contains("USING INDEX filing_order (since>?)"));
        let stuck = FilingSearch { state: Some(FilingState::NeedsPerson), after, ..all.clone() };
        assert!(plan(stuck.clone()).contains("USING INDEX filing_since (state=? AND since>?)"));
        for find in [all.clone(), FilingSearch { after, ..all.clone() }, stuck] {
            assert!(!plan(find.clone()).contains("ORDER BY"), "{}", plan(find));
        }
        let resource = Some(("Task".to_owned(), "t".to_owned()));
        assert!(plan(FilingSearch { resource, ..all }).contains("USING INDEX filing_resource"));
    }
}
