//! The audit log in the shared store: a group's entries appended while the tree's row is locked,
//! with a signed checkpoint in the same transaction; and reading back.

use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};

use super::read::{limit, number};
use super::statements::{Lane, Sql};
use super::{Bound, Postgres, engine};
use crate::audit::tree::{Frontier, entry_hash};
use crate::audit::{Entry, Signer};
use crate::store::commit::Commit;
use crate::store::rows::{self, EntryColumns, ROLE_ENTITY, ROLE_PATIENT, VALUE_BYTES_MAX, clip};
use crate::store::{EntrySearch, StoreError};

/// The log as the open transaction will leave it.
pub(super) struct Log {
    began: u64,
    frontier: Frontier,
    /// Roots at each multiple of `CHECKPOINT_EVERY` passed.
    passed: Vec<(u64, [u8; 32])>,
    entries: Entries,
}

/// Entries, a column each.
#[derive(Default)]
struct Entries {
    seq: Vec<i64>,
    leaf: Vec<Vec<u8>>,
    hash: Vec<Vec<u8>>,
    id: Vec<uuid::Uuid>,
    at: Vec<jiff::Timestamp>,
    agent: Vec<String>,
    action: Vec<String>,
    outcome: Vec<String>,
    interaction: Vec<String>,
    role: Vec<i16>,
    reference: Vec<String>,
    referrer: Vec<i64>,
}

/// What is signed for one transaction.
pub(super) struct Signed {
    size: i64,
    frontier: Vec<u8>,
    /// The newest checkpoint so far, when it is not one to keep.
    replaced: Option<i64>,
    sizes: Vec<i64>,
    notes: Vec<String>,
}

impl Log {
    /// The log as the locked row of the tree has it.
    pub(super) fn at(row: &Row) -> Result<Self, StoreError> {
        let size: i64 = row.try_get(0).map_err(engine)?;
        let began = u64::try_from(size).map_err(|_| rows::damaged("the audit tree"))?;
        let bytes: &[u8] = row.try_get(1).map_err(engine)?;
        let frontier = Frontier::from_bytes(began, bytes).ok_or_else(|| rows::damaged("the audit tree"))?;
        Ok(Self { began, frontier, passed: Vec::new(), entries: Entries::default() })
    }

    /// Appends one commit's entries; says the position of the first.
    pub(super) fn append(&mut self, entries: &[Entry]) -> u64 {
        let first = self.frontier.size();
        for entry in entries {
            let (leaf, at) = (entry.leaf(), number(self.frontier.size()));
            let hash = entry_hash(&leaf);
            self.frontier.push(hash);
            let size = self.frontier.size();
            if size.is_multiple_of(rows::CHECKPOINT_EVERY) {
                self.passed.push((size, self.frontier.root()));
            }
            self.entries.push(at, entry, leaf, hash.to_vec());
        }
        first
    }

    /// Signs the new size, and each size to keep that was passed.
    pub(super) fn signed(&self, signer: &Signer) -> Signed {
        let newest = (self.frontier.size(), self.frontier.root());
        let grew = newest.0 > self.began;
        let due = self.passed.iter().filter(|(size, _)| *size != newest.0).chain(grew.then_some(&newest));
        let (sizes, notes) = due.map(|(size, root)| (number(*size), signer.checkpoint(*size, *root))).unzip();
        let replaced = (grew && !self.began.is_multiple_of(rows::CHECKPOINT_EVERY)).then(|| number(self.began));
        Signed { size: number(newest.0), frontier: self.frontier.to_bytes(), replaced, sizes, notes }
    }

    /// Sends entries, tree and checkpoints.
    pub(super) async fn send(&self, lane: &Lane, signed: &Signed) -> Result<u64, Error> {
        let e = &self.entries;
        let columns: [&Bound<'_>; 9] =
            [&e.seq, &e.leaf, &e.hash, &e.id, &e.at, &e.agent, &e.action, &e.outcome, &e.interaction];
        let replaced = signed.replaced.unwrap_or_default();
        let (entries, references, tree, dropped, notes) = tokio::join!(
            lane.send(Sql::AddEntries, e.seq.len(), columns),
            lane.send(Sql::AddReferences, e.role.len(), [&e.role, &e.reference, &e.referrer]),
            lane.send(Sql::SetTree, signed.sizes.len(), [&signed.size, &signed.frontier]),
            lane.send(Sql::DropCheckpoint, usize::from(signed.replaced.is_some()), [&replaced]),
            lane.send(Sql::AddCheckpoints, signed.sizes.len(), [&signed.sizes, &signed.notes]),
        );
        for result in [references, tree, dropped, notes] {
            result?;
        }
        entries
    }
}

impl Entries {
    fn push(&mut self, seq: i64, entry: &Entry, leaf: Vec<u8>, hash: Vec<u8>) {
        let columns = EntryColumns::of(entry);
        self.seq.push(seq);
        self.leaf.push(leaf);
        self.hash.push(hash);
        self.id.push(entry.id);
        self.at.push(entry.at);
        self.agent.push(columns.agent);
        self.action.push(columns.action);
        self.outcome.push(columns.outcome);
        self.interaction.push(columns.interaction);
        for (role, reference) in columns.references {
            self.role.push(role);
            self.reference.push(reference);
            self.referrer.push(seq);
        }
    }
}

/// The tree's size just after each commit.
pub(super) fn sizes_after(log: &Log, accepted: &[&Commit]) -> Vec<i64> {
    let mut size = log.began;
    let after = |commit: &&Commit| {
        size += commit.audit.len() as u64;
        number(size)
    };
    accepted.iter().map(after).collect()
}

fn position_and_leaf(row: &Row) -> Result<(u64, Vec<u8>), StoreError> {
    Ok((row.try_get::<_, i64>(0).map_err(engine)?.unsigned_abs(), row.try_get(1).map_err(engine)?))
}

impl Postgres {
    /// Audit entries as their leaf bytes, from position `from`, at most `count`.
    pub async fn entries(&self, from: u64, count: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let sql = "SELECT seq, leaf FROM entry WHERE seq >= $1 ORDER BY seq LIMIT $2";
        self.rows(sql, &[&number(from), &limit(count)]).await?.iter().map(position_and_leaf).collect()
    }

    /// Leaf hashes from position `from`, at most `count`, as stored beside the entries.
    pub async fn leaf_hashes(&self, from: u64, count: usize) -> Result<Vec<[u8; 32]>, StoreError> {
        let sql = "SELECT hash FROM entry WHERE seq >= $1 ORDER BY seq LIMIT $2";
        let found = self.rows(sql, &[&number(from), &limit(count)]).await?;
        let read = |row: &Row| {
            let hash: &[u8] = row.try_get(0).map_err(engine)?;
            hash.try_into().map_err(|_| rows::damaged("an audit leaf hash"))
        };
        found.iter().map(read).collect()
    }

    /// Positions of audit entries that match, newest first.
    pub async fn find_entries(&self, find: EntrySearch) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let (sql, values) = find_sql(&find);
        let values: Vec<&Bound<'_>> = values.iter().map(|value| &**value as &Bound<'_>).collect();
        self.rows(&sql, &values).await?.iter().map(position_and_leaf).collect()
    }

    /// Every signed checkpoint kept, oldest first.
    pub async fn checkpoints(&self) -> Result<Vec<(u64, String)>, StoreError> {
        let found = self.rows("SELECT size, note FROM checkpoint ORDER BY size", &[]).await?;
        let read = |row: &Row| {
            let size: i64 = row.try_get(0).map_err(engine)?;
            Ok((size.unsigned_abs(), row.try_get(1).map_err(engine)?))
        };
        found.iter().map(read).collect()
    }

    /// The tree's size and right edge, as kept for appending.
    pub async fn tree_head(&self) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        let found = self.rows("SELECT size, frontier FROM tree WHERE one = 1", &[]).await?;
        let read = |row: &Row| {
            let size: i64 = row.try_get(0).map_err(engine)?;
            Ok((size.unsigned_abs(), row.try_get(1).map_err(engine)?))
        };
        found.first().map(read).transpose()
    }

    /// The position of the newest audit entry that other tables have seen.
    pub async fn highest_entry_seen(&self) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT greatest((SELECT max(entry) FROM resource_version), (SELECT max(entry) FROM message),
                                   (SELECT entry FROM outbox ORDER BY seq DESC LIMIT 1), 0)";
        let found = self.rows(sql, &[]).await?;
        let size: i64 = found.first().map_or(Ok(0), |row| row.try_get(0)).map_err(engine)?;
        Ok(size.unsigned_abs().checked_sub(1))
    }

    /// Positions in `[from, from + count)` whose search columns are not what the entry says.
    pub async fn misindexed(&self, from: u64, count: usize) -> Result<Vec<u64>, StoreError> {
        let sql = "SELECT seq, leaf, id, at, agent, action, outcome, interaction FROM entry
                   WHERE seq >= $1 ORDER BY seq LIMIT $2";
        let rows = self.rows(sql, &[&number(from), &limit(count)]).await?;
        let mut wrong = Vec::new();
        let mut wanted = Vec::new();
        for row in &rows {
            match agrees(row) {
                Some(references) => wanted.extend(references),
                None => wrong.push(row.try_get::<_, i64>(0).map_err(engine)?.unsigned_abs()),
            }
        }
        wrong.extend(self.unreferenced(&wanted).await?);
        wrong.sort_unstable();
        wrong.dedup();
        Ok(wrong)
    }

    /// Positions of those references that are not in the index.
    async fn unreferenced(&self, wanted: &[(i16, String, i64)]) -> Result<Vec<u64>, StoreError> {
        let sql = "SELECT want.seq FROM unnest($1::smallint[], $2::text[], $3::bigint[]) AS want (role, reference, seq)
                   WHERE NOT EXISTS (SELECT 1 FROM entry_reference r
                     WHERE r.role = want.role AND r.reference = want.reference AND r.seq = want.seq)";
        let roles: Vec<i16> = wanted.iter().map(|(role, ..)| *role).collect();
        let references: Vec<&str> = wanted.iter().map(|(_, reference, _)| reference.as_str()).collect();
        let positions: Vec<i64> = wanted.iter().map(|(.., seq)| *seq).collect();
        let found = self.rows(sql, &[&roles, &references, &positions]).await?;
        found.iter().map(|row| row.try_get::<_, i64>(0).map(i64::unsigned_abs).map_err(engine)).collect()
    }
}

/// The references that an entry must have in the index; `None` when its columns are not its own.
fn agrees(row: &Row) -> Option<Vec<(i16, String, i64)>> {
    let entry: Entry = serde_json::from_slice(row.try_get(1).ok()?).ok()?;
    let columns = EntryColumns::of(&entry);
    let at: jiff::Timestamp = row.try_get(3).ok()?;
    let same = row.try_get::<_, uuid::Uuid>(2).ok()? == entry.id
        && rows::micros(at) == rows::micros(entry.at)
        && row.try_get::<_, &str>(4).ok()? == columns.agent
        && row.try_get::<_, &str>(5).ok()? == columns.action
        && row.try_get::<_, &str>(6).ok()? == columns.outcome
        && row.try_get::<_, &str>(7).ok()? == columns.interaction;
    let seq: i64 = row.try_get(0).ok()?;
    same.then(|| columns.references.into_iter().map(|(role, reference)| (role, reference, seq)).collect())
}

/// The search as SQL; every value is bound.
fn find_sql(find: &EntrySearch) -> (String, Vec<Box<dyn ToSql + Sync + Send>>) {
    let mut sql = String::from("SELECT e.seq, e.leaf FROM entry e WHERE true");
    let mut values: Vec<Box<dyn ToSql + Sync + Send>> = Vec::new();
    let mut and = |condition: &str, value: Box<dyn ToSql + Sync + Send>| {
        values.push(value);
        sql.push_str(" AND ");
        sql.push_str(&condition.replace('?', &format!("${}", values.len())));
    };
    let reference =
        |role: i16| format!("e.seq IN (SELECT seq FROM entry_reference WHERE role = {role} AND reference = ?)");
    if let Some(patient) = &find.patient {
        and(&reference(ROLE_PATIENT), Box::new(clip(patient, VALUE_BYTES_MAX)));
    }
    if let Some(entity) = &find.entity {
        and(&reference(ROLE_ENTITY), Box::new(clip(rows::unversioned(entity), VALUE_BYTES_MAX)));
    }
    let columns = [
        ("e.agent = ?", &find.agent),
        ("e.action = ?", &find.action),
        ("e.outcome = ?", &find.outcome),
        ("e.interaction = ?", &find.interaction),
    ];
    for (condition, value) in columns {
        if let Some(value) = value {
            and(condition, Box::new(clip(value, VALUE_BYTES_MAX)));
        }
    }
    if let Some(id) = &find.id {
        // What is no UUID is no entry's id.
        and("e.id = ?", Box::new(uuid::Uuid::parse_str(id).ok()));
    }
    if let Some(from) = find.at.0 {
        and("e.at >= ?", Box::new(from));
    }
    if let Some(to) = find.at.1 {
        and("e.at < ?", Box::new(to));
    }
    if let Some(before) = find.before {
        and("e.seq < ?", Box::new(number(before)));
    }
    values.push(Box::new(limit(find.count)));
    sql.push_str(&format!(" ORDER BY e.seq DESC LIMIT ${}", values.len()));
    (sql, values)
}
