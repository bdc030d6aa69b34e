//! Writes one commit in the open transaction. What may refuse it comes first; the audit entries
//! come last, when nothing else can.

use rusqlite::{Connection, OptionalExtension, params};

use super::log::Log;
use super::{countdown, engine, filing, ledger, outbox};
use crate::store::StoreError;
use crate::store::commit::{Commit, Committed, DoorKey, Message, ResourceWrite};
use crate::store::rows::{self, pack_index, unpack_index};

/// A version's key is its resource's key times this, plus the version.
pub(super) const VERSIONS_MAX: i64 = 1_000_000;

/// Writes `commit` whole, or fails with nothing that the caller's savepoint cannot undo.
pub(super) fn commit(connection: &Connection, log: &mut Log, commit: &Commit) -> Result<Committed, StoreError> {
    let first_entry = log.size(connection)?;
    let entry = i64::try_from(first_entry + commit.audit.len() as u64).unwrap_or(i64::MAX);
    for key in &commit.keys {
        take(connection, key)?;
    }
    for write in &commit.writes {
        resource(connection, write, entry)?;
    }
    for result in &commit.sent {
        outbox::sent(connection, result)?;
    }
    filing::write(connection, commit)?;
    for episode in &commit.episodes {
        ledger::episode(connection, episode)?;
    }
    for change in &commit.countdowns {
        countdown::write(connection, change)?;
    }
    if let Some(message) = &commit.message {
        keep(connection, message, entry)?;
    }
    ledger::write(connection, commit)?;
    for row in &commit.outbox {
        outbox::add(connection, row, entry)?;
    }
    for audit in &commit.audit {
        log.append(connection, audit)?;
    }
    forget_keys(connection, commit)?;
    Ok(Committed { first_entry })
}

/// Takes a door key, or says what came with it the first time.
fn take(connection: &Connection, key: &DoorKey) -> Result<(), StoreError> {
    let kept = rows::door_key(&key.key);
    let added = connection
        .prepare_cached(
            "INSERT INTO door_key (scope, key, digest, expires) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        )
        .and_then(|mut sql| sql.execute(params![key.scope, kept, key.digest, key.expires.map(rows::micros)]))
        .map_err(engine)?;
    if added == 1 {
        return Ok(());
    }
    let digest = digest(connection, key.scope, &key.key)?.unwrap_or_default();
    Err(StoreError::Taken { scope: key.scope.to_owned(), digest })
}

/// The digest that came with a key.
pub(super) fn digest(connection: &Connection, scope: &str, key: &str) -> Result<Option<String>, StoreError> {
    connection
        .prepare_cached("SELECT digest FROM door_key WHERE scope = ?1 AND key = ?2")
        .and_then(|mut sql| sql.query_row([scope, &rows::door_key(key)], |row| row.get(0)).optional())
        .map_err(engine)
}

/// Forgets keys whose time had passed when this commit brought a passing one: those who fill the
/// table empty it.
fn forget_keys(connection: &Connection, commit: &Commit) -> Result<(), StoreError> {
    if commit.keys.iter().all(|key| key.expires.is_none()) {
        return Ok(());
    }
    let Some(now) = commit.audit.first().map(|entry| rows::micros(entry.at)) else { return Ok(()) };
    connection
        .prepare_cached("DELETE FROM door_key WHERE expires IS NOT NULL AND expires < ?1")
        .and_then(|mut sql| sql.execute([now]))
        .map_err(engine)?;
    Ok(())
}

/// The number of a resource type, given on first use.
fn kind(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    let mut find = connection.prepare_cached("SELECT id FROM kind WHERE name = ?1")?;
    if let Some(id) = find.query_row([name], |row| row.get(0)).optional()? {
        return Ok(id);
    }
    connection.execute("INSERT INTO kind (name) VALUES (?1)", [name])?;
    Ok(connection.last_insert_rowid())
}

/// Writes one new version with its index rows, if the one before is current.
fn resource(connection: &Connection, write: &ResourceWrite, entry: i64) -> Result<(), StoreError> {
    let stale = || StoreError::Stale { what: format!("{}/{}", write.kind, write.id) };
    let kind = kind(connection, &write.kind).map_err(engine)?;
    let current: Option<(i64, u32, String)> = connection
        .prepare_cached("SELECT key, version, rows FROM resource WHERE id = ?1 AND kind = ?2")
        .and_then(|mut sql| {
            sql.query_row(params![write.id, kind], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()
        })
        .map_err(engine)?;
    let version = current.as_ref().map_or(0, |(_, version, _)| *version);
    if write.version != version.saturating_add(1) || i64::from(write.version) >= VERSIONS_MAX {
        return Err(stale());
    }
    let index = if write.deleted { &[][..] } else { &write.index[..] };
    let (index, packed) = pack_index(index);
    let key = match current {
        None => {
            insert(connection, kind, write, &packed).map_err(engine)?;
            connection.last_insert_rowid()
        }
        Some((key, _, before)) => {
            let before = unpack_index(&before)?;
            let gone = before.iter().filter(|row| index.binary_search(row).is_err());
            unindex(connection, key, kind, gone).map_err(engine)?;
            let new = index.iter().filter(|row| before.binary_search(row).is_err());
            add_index(connection, key, kind, new).map_err(engine)?;
            update(connection, key, write, &packed).map_err(engine)?;
            return keep_version(connection, key, write, entry);
        }
    };
    add_index(connection, key, kind, index.iter()).map_err(engine)?;
    keep_version(connection, key, write, entry)
}

type Index<'a> = &'a crate::store::commit::IndexRow;

fn add_index<'a>(
    connection: &Connection,
    key: i64,
    kind: i64,
    index: impl Iterator<Item = Index<'a>>,
) -> rusqlite::Result<()> {
    let mut sql =
        connection.prepare_cached("INSERT INTO search_row (param, value, resource, extra) VALUES (?1, ?2, ?3, ?4)")?;
    for row in index {
        sql.execute(params![param(kind, row.param), row.value, key, row.extra])?;
    }
    Ok(())
}

fn unindex<'a>(
    connection: &Connection,
    key: i64,
    kind: i64,
    index: impl Iterator<Item = Index<'a>>,
) -> rusqlite::Result<()> {
    let mut sql = connection
        .prepare_cached("DELETE FROM search_row WHERE param = ?1 AND value = ?2 AND resource = ?3 AND extra = ?4")?;
    for row in index {
        sql.execute(params![param(kind, row.param), row.value, key, row.extra])?;
    }
    Ok(())
}

/// A parameter of one resource type as one number.
pub(super) fn param(kind: i64, param: u8) -> i64 {
    kind * 256 + i64::from(param)
}

fn insert(connection: &Connection, kind: i64, write: &ResourceWrite, packed: &str) -> rusqlite::Result<usize> {
    connection
        .prepare_cached("INSERT INTO resource (kind, id, version, at, deleted, rows) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![kind, write.id, write.version, rows::micros(write.at), write.deleted, packed])
}

fn update(connection: &Connection, key: i64, write: &ResourceWrite, packed: &str) -> rusqlite::Result<usize> {
    connection
        .prepare_cached("UPDATE resource SET version = ?2, at = ?3, deleted = ?4, rows = ?5 WHERE key = ?1")?
        .execute(params![key, write.version, rows::micros(write.at), write.deleted, packed])
}

fn keep_version(connection: &Connection, key: i64, write: &ResourceWrite, entry: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO resource_version (key, at, deleted, body, lineage, entry) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .and_then(|mut sql| {
            let key = key * VERSIONS_MAX + i64::from(write.version);
            sql.execute(params![key, rows::micros(write.at), write.deleted, &write.body[..], write.lineage, entry])
        })
        .map_err(engine)?;
    Ok(())
}

/// Keeps a message. The same message again (a replay) keeps its bytes and takes the new outcome.
fn keep(connection: &Connection, message: &Message, entry: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO message (id, channel, sender, received_at, content_type, digest, bytes, outcome, entry)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (id) DO UPDATE SET outcome = excluded.outcome, entry = excluded.entry",
        )
        .and_then(|mut sql| {
            sql.execute(params![
                message.id.as_bytes().as_slice(),
                message.channel,
                message.sender,
                rows::micros(message.received_at),
                message.content_type,
                message.digest,
                &message.bytes[..],
                message.outcome,
                entry,
            ])
        })
        .map_err(engine)?;
    Ok(())
}
