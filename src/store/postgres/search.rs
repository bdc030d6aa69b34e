//! Searches as SQL. Only the shape of a search is in the text; every value is bound. Each
//! criterion is a set of creation orders read from the index; PostgreSQL's planner, which knows
//! how many each has, chooses which drives.

use tokio_postgres::types::ToSql;

use super::read::{VERSION, limit, stored};
use super::{Bound, Postgres, engine};
use crate::store::rows::{self, EXTRA_BYTES_MAX, PREFIX_BYTES_MAX, VALUE_BYTES_MAX, clip, text};
use crate::store::{Cursor, Page, Search, StoreError, Test};

/// A parameter of one resource type as one number.
pub(super) fn param(kind: i32, param: u8) -> i32 {
    kind.saturating_mul(256).saturating_add(i32::from(param))
}

impl Postgres {
    /// A page of a search.
    pub async fn search(&self, search: Search) -> Result<Page, StoreError> {
        let Some(kind) = self.kind(&text(&search.kind)).await? else {
            return Ok(Page { total: search.total.then_some(0), ..Page::default() });
        };
        let newest = match search.after {
            Some(cursor) => cursor.newest,
            None => self.one_number("SELECT coalesce(max(key), 0) FROM resource", &[]).await?,
        };
        let mut query = Query { kind, text: String::new(), values: Vec::new() };
        query.conditions(&search, newest);
        let mut total = None;
        if search.total {
            let sql = format!("SELECT count(*) FROM resource r WHERE {}", query.text);
            total = Some(self.one_number(&sql, &query.bound()).await?.unsigned_abs());
        }
        let sql = query.page(&search);
        let mut found = self.rows(&sql, &query.bound()).await?;
        let more = found.len() > search.count;
        found.truncate(search.count);
        let last: Option<i64> = found.last().map(|row| row.try_get(7)).transpose().map_err(engine)?;
        let next = last.filter(|_| more).map(|last| Cursor { last, newest });
        Ok(Page { found: found.iter().map(stored).collect::<Result<_, _>>()?, next, total })
    }

    async fn one_number(&self, sql: &str, values: &[&Bound<'_>]) -> Result<i64, StoreError> {
        let found = self.rows(sql, values).await?;
        found.first().map_or(Ok(0), |row| row.try_get(0)).map_err(engine)
    }
}

/// A WHERE clause as it grows, and its values.
struct Query {
    kind: i32,
    text: String,
    values: Vec<Box<dyn ToSql + Sync + Send>>,
}

impl Query {
    fn bind(&mut self, value: impl ToSql + Sync + Send + 'static) -> String {
        self.values.push(Box::new(value));
        format!("${}", self.values.len())
    }

    fn bound(&self) -> Vec<&Bound<'_>> {
        self.values.iter().map(|value| &**value as &Bound<'_>).collect()
    }

    fn conditions(&mut self, search: &Search, newest: i64) {
        let (kind, newest) = (self.bind(self.kind), self.bind(newest));
        self.text.push_str(&format!("NOT r.deleted AND r.kind = {kind} AND r.key <= {newest}"));
        if !search.ids.is_empty() {
            let ids: Vec<String> = search.ids.iter().map(|id| text(id).into_owned()).collect();
            let ids = self.bind(ids);
            self.text.push_str(&format!(" AND r.id = ANY({ids})"));
        }
        for (bound, side) in [(search.updated.0, ">="), (search.updated.1, "<")] {
            if let Some(at) = bound {
                let at = self.bind(at);
                self.text.push_str(&format!(" AND r.at {side} {at}"));
            }
        }
        for criterion in &search.criteria {
            let tests: Vec<(u8, &Test)> = criterion.any_of.iter().map(|test| (criterion.param, test)).collect();
            let any = self.any(&tests);
            let not = if criterion.negated { "NOT " } else { "" };
            self.text.push_str(&format!(" AND {not}({any})"));
        }
        if let Some(visible) = &search.visible {
            let is = |value: &String| Test::Is { value: value.clone(), extra: None };
            let tests: Vec<(u8, Test)> = visible.iter().map(|(param, value)| (*param, is(value))).collect();
            let tests: Vec<(u8, &Test)> = tests.iter().map(|(param, test)| (*param, test)).collect();
            let any = self.any(&tests);
            self.text.push_str(&format!(" AND ({any})"));
        }
    }

    /// The tests joined by "or".
    fn any(&mut self, tests: &[(u8, &Test)]) -> String {
        let (mut among, mut alone) = (Vec::new(), Vec::new());
        for (param, test) in tests {
            let rows = self.rows(*param, test);
            match test {
                Test::Missing(true) => {
                    alone.push(format!("NOT EXISTS (SELECT 1 FROM ({rows}) AS s WHERE s.resource = r.key)"));
                }
                _ => among.push(rows),
            }
        }
        if !among.is_empty() {
            alone.push(format!("r.key IN ({})", among.join(" UNION ALL ")));
        }
        if alone.is_empty() { "false".to_owned() } else { alone.join(" OR ") }
    }

    /// The resources of all index rows that pass the test.
    fn rows(&mut self, number: u8, test: &Test) -> String {
        let mut sql = format!("SELECT resource FROM search_row WHERE param = {}", self.bind(param(self.kind, number)));
        let mut and = |query: &mut Self, condition: &str, value: String| {
            let place = query.bind(value);
            sql.push_str(&format!(" AND {condition} {place}"));
        };
        match test {
            Test::Is { value, extra } => {
                and(self, "value =", clip(value, VALUE_BYTES_MAX));
                if let Some(extra) = extra {
                    and(self, "extra =", clip(extra, EXTRA_BYTES_MAX));
                }
            }
            Test::StartsWith(prefix) => {
                let prefix = clip(prefix, PREFIX_BYTES_MAX);
                and(self, "value <", format!("{prefix}{}", rows::LAST_CHARACTER));
                and(self, "value >=", prefix);
            }
            Test::System(system) => and(self, "extra =", clip(system, EXTRA_BYTES_MAX)),
            Test::Within { from, to } => {
                if !from.is_empty() {
                    and(self, "extra >=", clip(from, EXTRA_BYTES_MAX));
                }
                if !to.is_empty() {
                    and(self, "value <", clip(to, VALUE_BYTES_MAX));
                }
            }
            Test::Missing(_) => {}
        }
        sql
    }

    /// One resource more than a page, to know whether there is another; its creation order is
    /// the last column.
    fn page(&mut self, search: &Search) -> String {
        let (side, order) = if search.newest_first { ("<", "DESC") } else { (">", "ASC") };
        if let Some(cursor) = search.after {
            let last = self.bind(cursor.last);
            self.text.push_str(&format!(" AND r.key {side} {last}"));
        }
        let count = self.bind(limit(search.count.saturating_add(1)));
        format!("{VERSION} AND v.version = r.version WHERE {} ORDER BY r.key {order} LIMIT {count}", self.text)
    }
}
