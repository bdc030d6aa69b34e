//! Searches as SQL. Only the shape of a search is in the text; every value is bound.
//!
//! A criterion that few rows match drives the search (`key IN (...)`, read from the index in the
//! order of creation); one that many match is tested on each candidate (`EXISTS`, one probe of
//! the index). Which is which is found by counting, at most [`FEW`] index rows each.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::apply::param;
use super::ledger::all;
use super::read::{VERSION, stored};
use super::{Sqlite, engine};
use crate::store::rows;
use crate::store::{Criterion, Cursor, Page, Search, StoreError, Test};

/// Index rows up to which a criterion drives the search.
const FEW: i64 = 2_000;

impl Sqlite {
    /// A page of a search.
    pub async fn search(&self, search: Search) -> Result<Page, StoreError> {
        self.read(move |connection| {
            // One snapshot for the page, its bound and its total.
            let transaction = connection.unchecked_transaction().map_err(engine)?;
            page(&transaction, &search)
        })
        .await
    }
}

fn page(connection: &Connection, search: &Search) -> Result<Page, StoreError> {
    let kind: Option<i64> = connection
        .prepare_cached("SELECT id FROM kind WHERE name = ?1")
        .and_then(|mut sql| sql.query_row([&search.kind], |row| row.get(0)).optional())
        .map_err(engine)?;
    let Some(kind) = kind else { return Ok(Page { total: search.total.then_some(0), ..Page::default() }) };
    let newest = match search.after {
        Some(cursor) => cursor.newest,
        None => newest(connection)?,
    };
    let mut query = Query { kind, text: String::new(), values: Vec::new() };
    query.conditions(connection, search, newest)?;
    let total = if search.total { Some(query.count(connection)?) } else { None };
    if let Some(cursor) = search.after {
        let last = query.bind(Value::Integer(cursor.last));
        let side = if search.newest_first { '<' } else { '>' };
        query.text.push_str(&format!(" AND r.key {side} {last}"));
    }
    query.page(connection, search, newest, total)
}

/// The newest resource's creation order.
fn newest(connection: &Connection) -> Result<i64, StoreError> {
    connection
        .prepare_cached("SELECT coalesce(max(key), 0) FROM resource")
        .and_then(|mut sql| sql.query_row([], |row| row.get(0)))
        .map_err(engine)
}

/// A WHERE clause as it grows, and its values.
struct Query {
    kind: i64,
    text: String,
    values: Vec<Value>,
}

impl Query {
    fn bind(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("?{}", self.values.len())
    }

    fn text(&mut self, value: &str) -> String {
        self.bind(Value::Text(value.to_owned()))
    }

    fn conditions(&mut self, connection: &Connection, search: &Search, newest: i64) -> Result<(), StoreError> {
        let (kind, newest) = (self.bind(Value::Integer(self.kind)), self.bind(Value::Integer(newest)));
        self.text.push_str(&format!("r.deleted = 0 AND r.kind = {kind} AND r.key <= {newest}"));
        if !search.ids.is_empty() {
            let ids: Vec<String> = search.ids.iter().map(|id| self.text(id)).collect();
            self.text.push_str(&format!(" AND r.id IN ({})", ids.join(", ")));
        }
        for (bound, side) in [(search.updated.0, ">="), (search.updated.1, "<")] {
            if let Some(at) = bound {
                let at = self.bind(Value::Integer(rows::micros(at)));
                self.text.push_str(&format!(" AND r.at {side} {at}"));
            }
        }
        for criterion in &search.criteria {
            let tests: Vec<(u8, &Test)> = criterion.any_of.iter().map(|test| (criterion.param, test)).collect();
            let condition = self.any(connection, &tests, criterion)?;
            self.text.push_str(&format!(" AND {condition}"));
        }
        if let Some(visible) = &search.visible {
            let condition = self.visible(connection, visible)?;
            self.text.push_str(&format!(" AND {condition}"));
        }
        Ok(())
    }

    fn visible(&mut self, connection: &Connection, visible: &[(u8, String)]) -> Result<String, StoreError> {
        let tests: Vec<(u8, Test)> =
            visible.iter().map(|(param, value)| (*param, Test::Is { value: value.clone(), extra: None })).collect();
        let tests: Vec<(u8, &Test)> = tests.iter().map(|(param, test)| (*param, test)).collect();
        self.any(connection, &tests, &Criterion { param: 0, any_of: Vec::new(), negated: false })
    }

    /// The tests joined by "or".
    fn any(
        &mut self,
        connection: &Connection,
        tests: &[(u8, &Test)],
        criterion: &Criterion,
    ) -> Result<String, StoreError> {
        let drive = !criterion.negated && self.few(connection, tests)?;
        let (mut among, mut alone) = (Vec::new(), Vec::new());
        for (param, test) in tests {
            match test {
                Test::Missing(true) => alone.push(format!("r.key NOT IN ({})", self.rows(*param, test))),
                Test::Is { .. } if !drive => alone.push(self.probe(*param, test)),
                _ => among.push(self.rows(*param, test)),
            }
        }
        if !among.is_empty() {
            alone.push(format!("r.key IN ({})", among.join(" UNION ")));
        }
        let any = if alone.is_empty() { "0".to_owned() } else { alone.join(" OR ") };
        Ok(if criterion.negated { format!("NOT ({any})") } else { format!("({any})") })
    }

    /// True when few index rows match: counts them, no further than [`FEW`].
    fn few(&self, connection: &Connection, tests: &[(u8, &Test)]) -> Result<bool, StoreError> {
        let mut left = FEW;
        for (number, test) in tests {
            let Test::Is { value, .. } = test else { return Ok(true) };
            let value = rows::clip(value, rows::VALUE_BYTES_MAX);
            let sql = "SELECT count(*) FROM (SELECT 1 FROM search_row WHERE param = ?1 AND value = ?2 LIMIT ?3)";
            let count: i64 = connection
                .prepare_cached(sql)
                .and_then(|mut sql| {
                    sql.query_row(rusqlite::params![param(self.kind, *number), value, left], |row| row.get(0))
                })
                .map_err(engine)?;
            left -= count;
            if left <= 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// One probe of the index for the candidate `r`.
    fn probe(&mut self, number: u8, test: &Test) -> String {
        let condition = self.condition(number, test);
        format!("EXISTS (SELECT 1 FROM search_row WHERE resource = r.key AND {condition})")
    }

    /// The resources of all index rows that pass the test.
    fn rows(&mut self, number: u8, test: &Test) -> String {
        let condition = self.condition(number, test);
        format!("SELECT resource FROM search_row WHERE {condition}")
    }

    fn condition(&mut self, number: u8, test: &Test) -> String {
        let mut sql = format!("param = {}", self.bind(Value::Integer(param(self.kind, number))));
        let mut and = |query: &mut Self, condition: &str, value: &str| {
            let max = if condition.starts_with("extra") { rows::EXTRA_BYTES_MAX } else { rows::VALUE_BYTES_MAX };
            let place = query.text(&rows::clip(value, max));
            sql.push_str(&format!(" AND {condition} {place}"));
        };
        match test {
            Test::Is { value, extra } => {
                and(self, "value =", value);
                if let Some(extra) = extra {
                    and(self, "extra =", extra);
                }
            }
            Test::StartsWith(prefix) => {
                and(self, "value >=", prefix);
                and(
                    self,
                    "value <",
                    &format!("{}{}", rows::clip(prefix, rows::PREFIX_BYTES_MAX), rows::LAST_CHARACTER),
                );
            }
            Test::System(system) => and(self, "extra =", system),
            Test::Within { from, to } => {
                if !from.is_empty() {
                    and(self, "extra >=", from);
                }
                if !to.is_empty() {
                    and(self, "value <", to);
                }
            }
            Test::Missing(_) => {}
        }
        sql
    }

    fn count(&self, connection: &Connection) -> Result<u64, StoreError> {
        let sql = format!("SELECT count(*) FROM resource r WHERE {}", self.text);
        let count: i64 = connection
            .prepare_cached(&sql)
            .and_then(|mut sql| sql.query_row(params_from_iter(&self.values), |row| row.get(0)))
            .map_err(engine)?;
        Ok(count.unsigned_abs())
    }

    /// Reads one resource more than a page, to know whether there is another.
    fn page(
        mut self,
        connection: &Connection,
        search: &Search,
        newest: i64,
        total: Option<u64>,
    ) -> Result<Page, StoreError> {
        let limit = self.bind(Value::Integer(super::log::limit(search.count.saturating_add(1))));
        let order = if search.newest_first { "DESC" } else { "ASC" };
        let keys = format!("SELECT r.key FROM resource r WHERE {} ORDER BY r.key {order} LIMIT {limit}", self.text);
        let mut keys: Vec<i64> =
            all(connection, &keys, params_from_iter(&self.values), |row| row.get(0).map_err(engine))?;
        let more = keys.len() > search.count;
        keys.truncate(search.count);
        let join = "JOIN resource_version v ON v.key = r.key * 1000000 + r.version WHERE r.key = ?1";
        let sql = format!("{VERSION}{join}");
        let mut found = Vec::with_capacity(keys.len());
        for key in &keys {
            found.extend(all(connection, &sql, [key], stored)?);
        }
        let next = keys.last().filter(|_| more).map(|last| Cursor { last: *last, newest });
        Ok(Page { found, next, total })
    }
}
