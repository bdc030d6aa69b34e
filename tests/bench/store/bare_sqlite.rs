//! The bare program on SQLite: prepared inserts in one thread, a transaction a group. It makes no
//! checks, hashes nothing and signs nothing.

use std::time::{Duration, Instant};

use fingerpost::store::commit::Commit;
use rusqlite::{CachedStatement, Connection, params};

fn sql<'a>(connection: &'a Connection, text: &str) -> CachedStatement<'a> {
    connection.prepare_cached(text).unwrap()
}

pub fn run(url: &str, commits: &[Commit], group: usize) -> Duration {
    let connection = Connection::open(url.strip_prefix("sqlite:").unwrap()).unwrap();
    connection.pragma_update(None, "synchronous", "FULL").unwrap();
    connection.pragma_update(None, "cache_size", -65_536).unwrap();
    connection.set_prepared_statement_cache_capacity(64);
    let leaves: Vec<Vec<u8>> = commits.iter().map(|commit| commit.audit[0].leaf()).collect();
    let start = Instant::now();
    let mut entry = 0;
    let mut key = 0;
    for (commits, leaves) in commits.chunks(group).zip(leaves.chunks(group)) {
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        for (commit, leaf) in commits.iter().zip(leaves) {
            insert(&connection, commit, leaf, entry, &mut key).unwrap();
            entry += 1;
        }
        let note = "n".repeat(200);
        sql(&connection, "UPDATE tree SET size = ?1, frontier = ?2").execute(params![entry, &[7u8; 320][..]]).unwrap();
        sql(&connection, "INSERT INTO checkpoint VALUES (?1, ?2)").execute(params![entry, note]).unwrap();
        connection.execute_batch("COMMIT").unwrap();
    }
    start.elapsed()
}

fn insert(connection: &Connection, commit: &Commit, leaf: &[u8], entry: i64, key: &mut i64) -> rusqlite::Result<()> {
    for door in &commit.keys {
        sql(connection, "INSERT INTO door_key VALUES (?1, ?2, ?3, NULL)").execute((
            door.scope,
            &door.key,
            &door.digest,
        ))?;
    }
    for write in &commit.writes {
        *key += 1;
        let packed = "x".repeat(write.index.len() * 60);
        let at = write.at.as_microsecond();
        sql(connection, "INSERT INTO resource VALUES (?1, 1, ?2, 1, ?3, 0, ?4)")
            .execute(params![*key, write.id, at, packed])?;
        for row in &write.index {
            sql(connection, "INSERT INTO search_row VALUES (?1, ?2, ?3, ?4)").execute(params![
                256 + i64::from(row.param),
                row.value,
                *key,
                row.extra
            ])?;
        }
        sql(connection, "INSERT INTO resource_version VALUES (?1, ?2, 0, ?3, ?4, ?5)").execute(params![
            *key * 1_000_000 + 1,
            at,
            &write.body[..],
            write.lineage,
            entry
        ])?;
    }
    let message = commit.message.as_ref().unwrap();
    let id = message.id.as_bytes().as_slice();
    let at = message.received_at.as_microsecond();
    sql(connection, "INSERT INTO message VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)").execute(params![
        id,
        message.channel,
        message.sender,
        at,
        message.content_type,
        message.digest,
        &message.bytes[..],
        message.outcome,
        entry
    ])?;
    let ledger = &commit.ledger[0];
    sql(connection, "INSERT INTO ledger VALUES (?1, ?2, 'N84001', 'open', ?3, ?4, ?3)").execute(params![
        ledger.id,
        id,
        at,
        ledger.waiting_on
    ])?;
    let row = &commit.outbox[0];
    let resources = "x".repeat(60);
    sql(connection, "INSERT INTO outbox VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, 0, ?6, 0, NULL, '', ?7)")
        .execute(params![row.id.as_bytes().as_slice(), row.queue, row.episode, row.event, resources, at, entry])?;
    let audit = &commit.audit[0];
    sql(connection, "INSERT INTO entry VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'C', '0', ?7)").execute(params![
        entry,
        leaf,
        &[7u8; 32][..],
        audit.id.as_bytes().as_slice(),
        at,
        audit.agent.client,
        audit.interaction
    ])?;
    for reference in audit.entities.iter().chain(&audit.patients) {
        sql(connection, "INSERT INTO entry_reference VALUES (1, ?1, ?2)").execute((reference, entry))?;
    }
    Ok(())
}
