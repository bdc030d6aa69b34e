//! Reading resources and door keys.

use tokio_postgres::Row;

use super::{Postgres, engine};
use crate::store::rows::{self, text};
use crate::store::{StoreError, Stored, param};

/// A version with the names of its resource, read by [`stored`], and its creation order.
pub(super) const VERSION: &str = "SELECT k.name, r.id, v.version, v.at, v.deleted, v.body, v.lineage, r.key
    FROM resource r JOIN kind k ON k.id = r.kind JOIN resource_version v ON v.resource = r.key ";
const NAMED: &str = "WHERE r.id = $2 AND r.kind = (SELECT id FROM kind WHERE name = $1)";

/// A row of [`VERSION`].
pub(super) fn stored(row: &Row) -> Result<Stored, StoreError> {
    Ok(Stored {
        kind: row.try_get(0).map_err(engine)?,
        id: row.try_get(1).map_err(engine)?,
        version: row.try_get::<_, i32>(2).map_err(engine)?.unsigned_abs(),
        at: row.try_get(3).map_err(engine)?,
        deleted: row.try_get(4).map_err(engine)?,
        body: row.try_get::<_, Vec<u8>>(5).map_err(engine)?.into(),
        lineage: row.try_get(6).map_err(engine)?,
    })
}

/// A count as PostgreSQL takes it.
pub(super) fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A position or size as PostgreSQL keeps it; no log reaches 2^63 entries.
pub(super) fn number(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

impl Postgres {
    /// The current version of a resource; a deleted one is returned with `deleted` set.
    pub async fn read_resource(&self, kind: &str, id: &str) -> Result<Option<Stored>, StoreError> {
        let sql = format!("{VERSION}{NAMED} AND v.version = r.version");
        self.rows(&sql, &[&text(kind), &text(id)]).await?.first().map(stored).transpose()
    }

    /// One version of a resource.
    pub async fn vread(&self, kind: &str, id: &str, version: u32) -> Result<Option<Stored>, StoreError> {
        let sql = format!("{VERSION}{NAMED} AND v.version = $3");
        let Ok(version) = i32::try_from(version) else { return Ok(None) };
        self.rows(&sql, &[&text(kind), &text(id), &version]).await?.first().map(stored).transpose()
    }

    /// Versions of a resource below `before`, newest first, at most `count`.
    pub async fn history(&self, kind: &str, id: &str, before: u32, count: usize) -> Result<Vec<Stored>, StoreError> {
        let sql = format!("{VERSION}{NAMED} AND v.version < $3 ORDER BY v.version DESC LIMIT $4");
        let before = i32::try_from(before).unwrap_or(i32::MAX);
        self.rows(&sql, &[&text(kind), &text(id), &before, &limit(count)]).await?.iter().map(stored).collect()
    }

    /// The visibility rows of a resource's current version.
    pub async fn visibility(&self, kind: &str, id: &str) -> Result<Vec<(u8, String)>, StoreError> {
        let sql = format!("SELECT r.rows FROM resource r {NAMED}");
        let found = self.rows(&sql, &[&text(kind), &text(id)]).await?;
        let Some(row) = found.first() else { return Ok(Vec::new()) };
        let index = rows::unpack_index(row.try_get(0).map_err(engine)?)?;
        let visible = index.into_iter().filter(|row| matches!(row.param, param::PRACTICE | param::POOL));
        Ok(visible.map(|row| (row.param, row.value)).collect())
    }

    /// The digest that came with a door key, if it was used.
    pub async fn door_key(&self, scope: &str, key: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT digest FROM door_key WHERE scope = $1 AND key = $2";
        let found = self.rows(sql, &[&text(scope), &rows::door_key(key)]).await?;
        found.first().map(|row| row.try_get(0).map_err(engine)).transpose()
    }
}
