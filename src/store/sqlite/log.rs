//! The audit log in the embedded store: entries appended under the group's transaction, the
//! tree's right edge and a signed checkpoint written once a group, and reading back.
//!
//! The log lives in one database whose writers take turns, so there is no separate sequencer and
//! no moment at which a committed entry is outside the tree.

use rusqlite::{Connection, OptionalExtension, ToSql, params};

use super::{Sqlite, engine};
use crate::audit::tree::{Frontier, entry_hash};
use crate::audit::{Entry, Signer};
use crate::store::rows::{self, EntryColumns, ROLE_ENTITY, ROLE_PATIENT};
use crate::store::{EntrySearch, StoreError};

/// The log as the open transaction has it.
pub(super) struct Log {
    signer: Signer,
    edge: Option<Edge>,
    /// Checkpoints due at a multiple of `CHECKPOINT_EVERY` passed in this transaction.
    passed: Vec<(u64, [u8; 32])>,
}

struct Edge {
    frontier: Frontier,
    /// Its size when the transaction began.
    began: u64,
}

/// Where the log stood before one piece of work.
pub(super) struct Mark {
    frontier: Option<Frontier>,
    passed: usize,
}

impl Log {
    pub(super) fn new(signer: Signer) -> Self {
        Self { signer, edge: None, passed: Vec::new() }
    }

    /// A new transaction: another process may have appended since the last.
    pub(super) fn begin(&mut self) {
        self.edge = None;
        self.passed.clear();
    }

    pub(super) fn mark(&self) -> Mark {
        Mark { frontier: self.edge.as_ref().map(|edge| edge.frontier.clone()), passed: self.passed.len() }
    }

    pub(super) fn back_to(&mut self, mark: Mark) {
        self.passed.truncate(mark.passed);
        match (mark.frontier, &mut self.edge) {
            (Some(frontier), Some(edge)) => edge.frontier = frontier,
            _ => self.edge = None,
        }
    }

    /// The tree's size in this transaction.
    pub(super) fn size(&mut self, connection: &Connection) -> Result<u64, StoreError> {
        Ok(self.edge(connection)?.frontier.size())
    }

    fn edge(&mut self, connection: &Connection) -> Result<&mut Edge, StoreError> {
        if self.edge.is_none() {
            let (size, bytes): (i64, Vec<u8>) = connection
                .prepare_cached("SELECT size, frontier FROM tree WHERE one = 1")
                .and_then(|mut sql| sql.query_row([], |row| Ok((row.get(0)?, row.get(1)?))))
                .map_err(engine)?;
            let began = u64::try_from(size).map_err(|_| rows::damaged("the audit tree"))?;
            let frontier = Frontier::from_bytes(began, &bytes).ok_or_else(|| rows::damaged("the audit tree"))?;
            self.edge = Some(Edge { frontier, began });
        }
        self.edge.as_mut().ok_or_else(|| rows::damaged("the audit tree"))
    }

    /// Appends one entry as the next leaf.
    pub(super) fn append(&mut self, connection: &Connection, entry: &Entry) -> Result<(), StoreError> {
        let edge = self.edge(connection)?;
        let (leaf, at) = (entry.leaf(), edge.frontier.size());
        let hash = entry_hash(&leaf);
        edge.frontier.push(hash);
        let size = edge.frontier.size();
        if size.is_multiple_of(rows::CHECKPOINT_EVERY) {
            let root = edge.frontier.root();
            self.passed.push((size, root));
        }
        insert(connection, at, entry, &leaf, &hash).map_err(engine)
    }

    /// Writes the right edge and signs the new size, if the transaction appended anything.
    pub(super) fn finish(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let Some(Edge { frontier, began }) = &self.edge else { return Ok(()) };
        if frontier.size() == *began {
            return Ok(());
        }
        connection
            .prepare_cached("UPDATE tree SET size = ?1, frontier = ?2 WHERE one = 1")
            .and_then(|mut sql| sql.execute(params![number(frontier.size()), frontier.to_bytes()]))
            .map_err(engine)?;
        if !began.is_multiple_of(rows::CHECKPOINT_EVERY) {
            connection
                .prepare_cached("DELETE FROM checkpoint WHERE size = ?1")
                .and_then(|mut sql| sql.execute([number(*began)]))
                .map_err(engine)?;
        }
        let newest = (frontier.size(), frontier.root());
        let due = self.passed.iter().filter(|(size, _)| *size != newest.0).chain([&newest]);
        for (size, root) in due {
            let note = self.signer.checkpoint(*size, *root);
            connection
                .prepare_cached("INSERT INTO checkpoint (size, note) VALUES (?1, ?2)")
                .and_then(|mut sql| sql.execute(params![number(*size), note]))
                .map_err(engine)?;
        }
        Ok(())
    }
}

/// A position or size as SQLite keeps it; no log reaches 2^63 entries.
fn number(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn insert(connection: &Connection, at: u64, entry: &Entry, leaf: &[u8], hash: &[u8; 32]) -> rusqlite::Result<()> {
    let columns = EntryColumns::of(entry);
    connection
        .prepare_cached(
            "INSERT INTO entry (seq, leaf, hash, id, at, agent, action, outcome, interaction)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            number(at),
            leaf,
            hash.as_slice(),
            entry.id.as_bytes().as_slice(),
            rows::micros(entry.at),
            columns.agent,
            columns.action,
            columns.outcome,
            columns.interaction,
        ])?;
    let mut sql =
        connection.prepare_cached("INSERT INTO entry_reference (role, reference, seq) VALUES (?1, ?2, ?3)")?;
    for (role, reference) in &columns.references {
        sql.execute(params![role, reference, number(at)])?;
    }
    Ok(())
}

impl Sqlite {
    /// Audit entries as their leaf bytes, from position `from`, at most `count`.
    pub async fn entries(&self, from: u64, count: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.read(move |connection| {
            let mut sql = connection
                .prepare_cached("SELECT seq, leaf FROM entry WHERE seq >= ?1 ORDER BY seq LIMIT ?2")
                .map_err(engine)?;
            let found = sql.query_map(params![number(from), limit(count)], position_and_leaf).map_err(engine)?;
            found.collect::<Result<_, _>>().map_err(engine)
        })
        .await
    }

    /// Leaf hashes from position `from`, at most `count`, as stored beside the entries.
    pub async fn leaf_hashes(&self, from: u64, count: usize) -> Result<Vec<[u8; 32]>, StoreError> {
        self.read(move |connection| {
            let mut sql = connection
                .prepare_cached("SELECT hash FROM entry WHERE seq >= ?1 ORDER BY seq LIMIT ?2")
                .map_err(engine)?;
            let found =
                sql.query_map(params![number(from), limit(count)], |row| row.get::<_, Vec<u8>>(0)).map_err(engine)?;
            found
                .map(|hash| hash.map_err(engine)?.try_into().map_err(|_| rows::damaged("an audit leaf hash")))
                .collect()
        })
        .await
    }

    /// Positions of audit entries that match, newest first.
    pub async fn find_entries(&self, find: EntrySearch) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.read(move |connection| {
            let (sql, values) = find_sql(&find);
            let mut sql = connection.prepare_cached(&sql).map_err(engine)?;
            let values: Vec<&dyn ToSql> = values.iter().map(AsRef::as_ref).collect();
            let found = sql.query_map(values.as_slice(), position_and_leaf).map_err(engine)?;
            found.collect::<Result<_, _>>().map_err(engine)
        })
        .await
    }

    /// Every signed checkpoint kept, oldest first.
    pub async fn checkpoints(&self) -> Result<Vec<(u64, String)>, StoreError> {
        self.read(|connection| {
            let mut sql =
                connection.prepare_cached("SELECT size, note FROM checkpoint ORDER BY size").map_err(engine)?;
            let found =
                sql.query_map([], |row| Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?))).map_err(engine)?;
            found.collect::<Result<_, _>>().map_err(engine)
        })
        .await
    }

    /// The tree's size and right edge, as kept for appending.
    pub async fn tree_head(&self) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        self.read(|connection| {
            connection
                .query_row("SELECT size, frontier FROM tree WHERE one = 1", [], |row| {
                    Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?))
                })
                .optional()
                .map_err(engine)
        })
        .await
    }

    /// What SQLite finds damaged in the log's tables and their indexes.
    /// <https://sqlite.org/pragma.html#pragma_integrity_check>
    pub async fn audit_damage(&self) -> Result<Option<String>, StoreError> {
        self.read(|connection| {
            for table in ["entry", "entry_reference", "tree", "checkpoint"] {
                let found: String = connection
                    .query_row(&format!("PRAGMA integrity_check({table})"), [], |row| row.get(0))
                    .map_err(engine)?;
                if found != "ok" {
                    return Ok(Some(format!("{table}: {found}")));
                }
            }
            Ok(None)
        })
        .await
    }

    /// The position of the newest audit entry that other tables have seen.
    pub async fn highest_entry_seen(&self) -> Result<Option<u64>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT max(coalesce((SELECT max(entry) FROM resource_version), 0),
                              coalesce((SELECT max(entry) FROM message), 0),
                              coalesce((SELECT entry FROM outbox ORDER BY seq DESC LIMIT 1), 0))";
            let size: i64 = connection.query_row(sql, [], |row| row.get(0)).map_err(engine)?;
            Ok(size.unsigned_abs().checked_sub(1))
        })
        .await
    }

    /// Positions in `[from, from + count)` whose search columns are not what the entry says.
    pub async fn misindexed(&self, from: u64, count: usize) -> Result<Vec<u64>, StoreError> {
        self.read(move |connection| {
            let mut sql = connection
                .prepare_cached(
                    "SELECT seq, leaf, id, at, agent, action, outcome, interaction FROM entry
                     WHERE seq >= ?1 ORDER BY seq LIMIT ?2",
                )
                .map_err(engine)?;
            let mut found = sql.query(params![number(from), limit(count)]).map_err(engine)?;
            let mut wrong = Vec::new();
            while let Some(row) = found.next().map_err(engine)? {
                if !agrees(connection, row).unwrap_or(false) {
                    wrong.push(row.get::<_, i64>(0).map_err(engine)?.unsigned_abs());
                }
            }
            Ok(wrong)
        })
        .await
    }
}

/// True when an entry's columns and references are those of its leaf.
fn agrees(connection: &Connection, row: &rusqlite::Row<'_>) -> rusqlite::Result<bool> {
    let (seq, leaf): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
    let Ok(entry) = serde_json::from_slice::<Entry>(&leaf) else { return Ok(false) };
    let mut sql = connection
        .prepare_cached("SELECT reference FROM entry_reference WHERE role = ?1 AND reference = ?2 AND seq = ?3")?;
    let columns = EntryColumns::of(&entry);
    for (role, reference) in &columns.references {
        if sql.query_row(params![role, reference, seq], |_| Ok(())).optional()?.is_none() {
            return Ok(false);
        }
    }
    Ok(row.get::<_, Vec<u8>>(2)? == entry.id.as_bytes()
        && row.get::<_, i64>(3)? == rows::micros(entry.at)
        && row.get::<_, String>(4)? == columns.agent
        && row.get::<_, String>(5)? == columns.action
        && row.get::<_, String>(6)? == columns.outcome
        && row.get::<_, String>(7)? == columns.interaction)
}

fn position_and_leaf(row: &rusqlite::Row<'_>) -> rusqlite::Result<(u64, Vec<u8>)> {
    Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?))
}

pub(super) fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The search as SQL; every value is bound.
fn find_sql(find: &EntrySearch) -> (String, Vec<Box<dyn ToSql>>) {
    let mut sql = String::from("SELECT e.seq, e.leaf FROM entry e WHERE 1");
    let mut values: Vec<Box<dyn ToSql>> = Vec::new();
    let mut and = |condition: &str, value: Box<dyn ToSql>| {
        values.push(value);
        sql.push_str(" AND ");
        sql.push_str(&condition.replace('?', &format!("?{}", values.len())));
    };
    let reference =
        |role: i16| format!("e.seq IN (SELECT seq FROM entry_reference WHERE role = {role} AND reference = ?)");
    if let Some(patient) = &find.patient {
        and(&reference(ROLE_PATIENT), Box::new(rows::clip(patient, rows::VALUE_BYTES_MAX)));
    }
    if let Some(entity) = &find.entity {
        let entity = rows::clip(rows::unversioned(entity), rows::VALUE_BYTES_MAX);
        and(&reference(ROLE_ENTITY), Box::new(entity));
    }
    let columns = [
        ("e.agent = ?", &find.agent),
        ("e.action = ?", &find.action),
        ("e.outcome = ?", &find.outcome),
        ("e.interaction = ?", &find.interaction),
    ];
    for (condition, value) in columns {
        if let Some(value) = value {
            and(condition, Box::new(rows::clip(value, rows::VALUE_BYTES_MAX)));
        }
    }
    if let Some(id) = &find.id {
        // What is no UUID is no entry's id.
        let bytes = uuid::Uuid::parse_str(id).map(|id| id.as_bytes().to_vec()).unwrap_or_default();
        and("e.id = ?", Box::new(bytes));
    }
    if let Some(from) = find.at.0 {
        and("e.at >= ?", Box::new(rows::micros(from)));
    }
    if let Some(to) = find.at.1 {
        and("e.at < ?", Box::new(rows::micros(to)));
    }
    if let Some(before) = find.before {
        and("e.seq < ?", Box::new(number(before)));
    }
    values.push(Box::new(limit(find.count)));
    sql.push_str(&format!(" ORDER BY e.seq DESC LIMIT ?{}", values.len()));
    (sql, values)
}
