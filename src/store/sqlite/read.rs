//! Reading resources, messages and door keys.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::apply::VERSIONS_MAX;
use super::ledger::all;
use super::log::limit;
use super::{Sqlite, apply, engine};
use crate::store::commit::Message;
use crate::store::rows;
use crate::store::{StoreError, Stored, param};

/// A version with the names of its resource; read by [`stored`].
pub(super) const VERSION: &str = "SELECT k.name, r.id, v.key, v.at, v.deleted, v.body, v.lineage
    FROM resource r JOIN kind k ON k.id = r.kind ";
const NAMED: &str = "WHERE r.id = ?2 AND r.kind = (SELECT id FROM kind WHERE name = ?1)";

/// A row of [`VERSION`].
pub(super) fn stored(row: &Row<'_>) -> Result<Stored, StoreError> {
    let key: i64 = row.get(2).map_err(engine)?;
    Ok(Stored {
        kind: row.get(0).map_err(engine)?,
        id: row.get(1).map_err(engine)?,
        version: u32::try_from(key % VERSIONS_MAX).map_err(|_| rows::damaged("a version"))?,
        at: rows::instant(row.get(3).map_err(engine)?)?,
        deleted: row.get(4).map_err(engine)?,
        body: Bytes::from(row.get::<_, Vec<u8>>(5).map_err(engine)?),
        lineage: row.get(6).map_err(engine)?,
    })
}

fn message(connection: &Connection, id: Uuid) -> Result<Option<Message>, StoreError> {
    let sql = "SELECT channel, sender, received_at, content_type, digest, bytes, outcome FROM message WHERE id = ?1";
    let mut found = all(connection, sql, [id.as_bytes().as_slice()], |row| {
        Ok(Message {
            id,
            channel: row.get(0).map_err(engine)?,
            sender: row.get(1).map_err(engine)?,
            received_at: rows::instant(row.get(2).map_err(engine)?)?,
            content_type: row.get(3).map_err(engine)?,
            digest: row.get(4).map_err(engine)?,
            bytes: Bytes::from(row.get::<_, Vec<u8>>(5).map_err(engine)?),
            outcome: rows::message_outcome(&row.get::<_, String>(6).map_err(engine)?)?,
        })
    })?;
    Ok(found.pop())
}

impl Sqlite {
    /// The current version of a resource; a deleted one is returned with `deleted` set.
    pub async fn read_resource(&self, kind: &str, id: &str) -> Result<Option<Stored>, StoreError> {
        let (kind, id) = (kind.to_owned(), id.to_owned());
        self.peek(move |connection| {
            let join = "JOIN resource_version v ON v.key = r.key * 1000000 + r.version ";
            Ok(all(connection, &format!("{VERSION}{join}{NAMED}"), params![kind, id], stored)?.pop())
        })
        .await
    }

    /// One version of a resource.
    pub async fn vread(&self, kind: &str, id: &str, version: u32) -> Result<Option<Stored>, StoreError> {
        if i64::from(version) >= VERSIONS_MAX {
            return Ok(None);
        }
        let (kind, id) = (kind.to_owned(), id.to_owned());
        self.peek(move |connection| {
            let join = "JOIN resource_version v ON v.key = r.key * 1000000 + ?3 ";
            Ok(all(connection, &format!("{VERSION}{join}{NAMED}"), params![kind, id, version], stored)?.pop())
        })
        .await
    }

    /// Versions of a resource below `before`, newest first, at most `count`.
    pub async fn history(&self, kind: &str, id: &str, before: u32, count: usize) -> Result<Vec<Stored>, StoreError> {
        let (kind, id) = (kind.to_owned(), id.to_owned());
        let before = i64::from(before).min(VERSIONS_MAX);
        self.read(move |connection| {
            let join = "JOIN resource_version v ON v.key > r.key * 1000000 AND v.key < r.key * 1000000 + ?3 ";
            let sql = format!("{VERSION}{join}{NAMED} ORDER BY v.key DESC LIMIT ?4");
            all(connection, &sql, params![kind, id, before, limit(count)], stored)
        })
        .await
    }

    /// The visibility rows of a resource's current version.
    pub async fn visibility(&self, kind: &str, id: &str) -> Result<Vec<(u8, String)>, StoreError> {
        let (kind, id) = (kind.to_owned(), id.to_owned());
        self.peek(move |connection| {
            let packed: Option<String> = connection
                .prepare_cached(&format!("SELECT r.rows FROM resource r {NAMED}"))
                .and_then(|mut sql| sql.query_row(params![kind, id], |row| row.get(0)).optional())
                .map_err(engine)?;
            let index = packed.map_or(Ok(Vec::new()), |packed| rows::unpack_index(&packed))?;
            let visible = index.into_iter().filter(|row| matches!(row.param, param::PRACTICE | param::POOL));
            Ok(visible.map(|row| (row.param, row.value)).collect())
        })
        .await
    }

    /// The digest that came with a door key, if it was used.
    pub async fn door_key(&self, scope: &str, key: &str) -> Result<Option<String>, StoreError> {
        let (scope, key) = (scope.to_owned(), key.to_owned());
        self.peek(move |connection| apply::digest(connection, &scope, &key)).await
    }

    /// A kept message with its bytes.
    pub async fn message(&self, id: Uuid) -> Result<Option<Message>, StoreError> {
        self.read(move |connection| message(connection, id)).await
    }
}
