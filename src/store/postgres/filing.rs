//! Filings, the dictionaries of practices, and outbox rows that are sent again.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use super::statements::{Lane, Sql};
use super::{Bound, Postgres, engine};
use crate::fhir::ids::OdsCode;
use crate::store::StoreError;
use crate::store::commit::Commit;
use crate::store::filing::{DictionaryRow, Filing, FilingSearch, Requeue};
use crate::store::rows::{self, text};

/// What the accepted commits say of filings, dictionaries and rows to send again.
pub(super) struct Filings<'a> {
    new: Vec<&'a Filing>,
    changed: Vec<&'a Filing>,
    dictionary: BTreeMap<(&'a str, &'a str, &'a str), &'a DictionaryRow>,
    requeue: Vec<&'a Requeue>,
}

impl<'a> Filings<'a> {
    pub(super) fn of(accepted: &[&'a Commit]) -> Self {
        let all = accepted.iter().flat_map(|commit| &commit.filings);
        let (new, changed) = all.partition(|filing| filing.version == 1);
        let learnt = accepted.iter().flat_map(|commit| &commit.dictionary);
        let key = |row: &'a DictionaryRow| (row.practice.as_str(), row.system.as_str(), row.code.as_str());
        let dictionary = learnt.map(|row| (key(row), row)).collect();
        Self { new, changed, dictionary, requeue: accepted.iter().flat_map(|commit| &commit.requeue).collect() }
    }

    pub(super) async fn send(&self, lane: &Lane) -> Result<u64, Error> {
        let (new, changed, messages, learnt, requeued) =
            tokio::join!(self.add(lane), self.change(lane), self.messages(lane), self.learn(lane), self.requeue(lane),);
        Ok(new? + changed? + messages? + learnt? + requeued?)
    }

    async fn add(&self, lane: &Lane) -> Result<u64, Error> {
        let all = || self.new.iter();
        let id: Vec<Uuid> = all().map(|one| one.id).collect();
        let episode: Vec<Cow<'_, str>> = all().map(|one| text(&one.episode)).collect();
        let practice: Vec<&str> = all().map(|one| one.practice.as_str()).collect();
        let event: Vec<Cow<'_, str>> = all().map(|one| text(&one.event)).collect();
        let kind: Vec<&str> = all().map(|one| one.resource.0.as_str()).collect();
        let resource: Vec<Cow<'_, str>> = all().map(|one| text(&one.resource.1)).collect();
        let of: Vec<i32> = all().map(|one| one.resource.2.cast_signed()).collect();
        let moving = Moving::of(&self.new);
        let columns: [&Bound<'_>; 18] = [
            &id,
            &episode,
            &practice,
            &event,
            &kind,
            &resource,
            &of,
            &moving.state,
            &moving.route,
            &moving.tried,
            &moving.messages,
            &moving.acknowledgements,
            &moving.since,
            &moving.deadline,
            &moving.look_at,
            &moving.overdue,
            &moving.why,
            &moving.read_back,
        ];
        lane.send(Sql::AddFilings, id.len(), columns).await
    }

    async fn change(&self, lane: &Lane) -> Result<u64, Error> {
        let id: Vec<Uuid> = self.changed.iter().map(|one| one.id).collect();
        let version: Vec<i32> = self.changed.iter().map(|one| one.version.cast_signed()).collect();
        let moving = Moving::of(&self.changed);
        let columns: [&Bound<'_>; 13] = [
            &id,
            &version,
            &moving.state,
            &moving.route,
            &moving.tried,
            &moving.messages,
            &moving.acknowledgements,
            &moving.since,
            &moving.deadline,
            &moving.look_at,
            &moving.overdue,
            &moving.why,
            &moving.read_back,
        ];
        lane.send(Sql::ChangeFilings, id.len(), columns).await
    }

    async fn messages(&self, lane: &Lane) -> Result<u64, Error> {
        let all = self.new.iter().chain(&self.changed);
        let (message, filing): (Vec<String>, Vec<Uuid>) =
            all.flat_map(|one| one.messages.iter().map(|(_, message)| (rows::door_key(message), one.id))).unzip();
        lane.send(Sql::AddFilingMessages, message.len(), [&message, &filing]).await
    }

    async fn learn(&self, lane: &Lane) -> Result<u64, Error> {
        let all = || self.dictionary.values();
        let practice: Vec<&str> = all().map(|row| row.practice.as_str()).collect();
        let system: Vec<Cow<'_, str>> = all().map(|row| text(&row.system)).collect();
        let code: Vec<Cow<'_, str>> = all().map(|row| text(&row.code)).collect();
        let kept: Vec<bool> = all().map(|row| row.kept).collect();
        let scheme: Vec<Cow<'_, str>> = all().map(|row| text(&row.local.0)).collect();
        let local: Vec<Cow<'_, str>> = all().map(|row| text(&row.local.1)).collect();
        let seen: Vec<Timestamp> = all().map(|row| row.seen_at).collect();
        let columns: [&Bound<'_>; 7] = [&practice, &system, &code, &kept, &scheme, &local, &seen];
        lane.send(Sql::PutDictionary, practice.len(), columns).await
    }

    async fn requeue(&self, lane: &Lane) -> Result<u64, Error> {
        let id: Vec<Uuid> = self.requeue.iter().map(|one| one.id).collect();
        let due: Vec<Timestamp> = self.requeue.iter().map(|one| one.due).collect();
        let why: Vec<Cow<'_, str>> = self.requeue.iter().map(|one| text(&one.why)).collect();
        lane.send(Sql::Requeue, id.len(), [&id, &due, &why]).await
    }
}

/// The columns that change in a filing's life, a column each.
struct Moving<'a> {
    state: Vec<&'static str>,
    route: Vec<&'a str>,
    tried: Vec<String>,
    messages: Vec<String>,
    acknowledgements: Vec<String>,
    since: Vec<Timestamp>,
    deadline: Vec<Option<Timestamp>>,
    look_at: Vec<Option<Timestamp>>,
    overdue: Vec<bool>,
    why: Vec<Cow<'a, str>>,
    read_back: Vec<&'a str>,
}

impl<'a> Moving<'a> {
    fn of(filings: &[&'a Filing]) -> Self {
        let all = || filings.iter();
        Self {
            state: all().map(|one| one.state.word()).collect(),
            route: all().map(|one| one.route.as_str()).collect(),
            tried: all().map(|one| rows::pack_texts(&one.tried)).collect(),
            messages: all().map(|one| rows::pack_texts(&one.messages)).collect(),
            acknowledgements: all().map(|one| rows::pack_texts(&one.acknowledgements)).collect(),
            since: all().map(|one| one.since).collect(),
            deadline: all().map(|one| one.deadline).collect(),
            look_at: all().map(|one| one.look_at).collect(),
            overdue: all().map(|one| one.overdue).collect(),
            why: all().map(|one| text(&one.why)).collect(),
            read_back: all().map(|one| one.read_back.as_str()).collect(),
        }
    }
}

const FILING: &str = "SELECT id, version, episode, practice, event, kind, resource, resource_version, state, route,
    tried, messages, acknowledgements, since, deadline, look_at, overdue, why, read_back FROM filing";

fn read(row: &Row) -> Result<Filing, StoreError> {
    let text = |column: usize| row.try_get::<_, String>(column).map_err(engine);
    let number = |column: usize| row.try_get::<_, i32>(column).map(i32::cast_unsigned).map_err(engine);
    Ok(Filing {
        id: row.try_get(0).map_err(engine)?,
        version: number(1)?,
        episode: text(2)?,
        practice: OdsCode::parse(&text(3)?).map_err(|_| rows::damaged("an ODS code"))?,
        event: text(4)?,
        resource: (text(5)?, text(6)?, number(7)?),
        state: rows::filing_state(&text(8)?)?,
        route: text(9)?,
        tried: rows::unpack_texts(&text(10)?)?,
        messages: rows::unpack_texts(&text(11)?)?,
        acknowledgements: rows::unpack_texts(&text(12)?)?,
        since: row.try_get(13).map_err(engine)?,
        deadline: row.try_get(14).map_err(engine)?,
        look_at: row.try_get(15).map_err(engine)?,
        overdue: row.try_get(16).map_err(engine)?,
        why: text(17)?,
        read_back: text(18)?,
    })
}

impl Postgres {
    async fn filings(&self, rest: &str, values: &[&Bound<'_>]) -> Result<Vec<Filing>, StoreError> {
        let found = self.rows(&format!("{FILING} {rest}"), values).await?;
        found.iter().map(read).collect()
    }

    /// One filing.
    pub async fn filing(&self, id: Uuid) -> Result<Option<Filing>, StoreError> {
        Ok(self.filings("WHERE id = $1", &[&id]).await?.pop())
    }

    /// The filing that sent a message.
    pub async fn filing_of_message(&self, message: &str) -> Result<Option<Filing>, StoreError> {
        let rest = "WHERE id = (SELECT filing FROM filing_message WHERE message = $1)";
        Ok(self.filings(rest, &[&rows::door_key(message)]).await?.pop())
    }

    /// All filings of an episode, in the order in which they were made.
    pub async fn filings_of(&self, episode: &str) -> Result<Vec<Filing>, StoreError> {
        self.filings("WHERE episode = $1 ORDER BY seq", &[&text(episode)]).await
    }

    /// Filings that match, longest in their state first.
    pub async fn find_filings(&self, find: FilingSearch) -> Result<Vec<Filing>, StoreError> {
        let state = find.state.map(|state| state.word());
        let limit = super::read::limit(find.count);
        // Only what is asked is in the text, so that a plan for all searches uses the indexes.
        let (mut rest, mut values): (String, Vec<&Bound<'_>>) = ("WHERE true".to_owned(), Vec::new());
        if let Some(practice) = &find.practice {
            values.push(practice);
            rest.push_str(&format!(" AND practice = ${}", values.len()));
        }
        if let Some(state) = &state {
            values.push(state);
            rest.push_str(&format!(" AND state = ${}", values.len()));
        }
        if find.overdue {
            rest.push_str(" AND overdue");
        }
        if let Some((kind, id)) = &find.resource {
            values.extend([kind as &Bound<'_>, id]);
            rest.push_str(&format!(" AND kind = ${} AND resource = ${}", values.len() - 1, values.len()));
        }
        if let Some((since, id)) = &find.after {
            values.extend([since as &Bound<'_>, id]);
            let (since, id) = (values.len() - 1, values.len());
            rest.push_str(&format!(" AND (since, seq) > (${since}, (SELECT seq FROM filing WHERE id = ${id}))"));
        }
        values.push(&limit);
        rest.push_str(&format!(" ORDER BY since, seq LIMIT ${}", values.len()));
        self.filings(&rest, &values).await
    }

    /// Filings that are to be looked at by `now`, soonest first.
    pub async fn filings_to_look_at(&self, now: Timestamp, count: usize) -> Result<Vec<Filing>, StoreError> {
        self.filings("WHERE look_at <= $1 ORDER BY look_at LIMIT $2", &[&now, &super::read::limit(count)]).await
    }

    /// How many filings each practice has in each state.
    pub async fn filing_counts(&self) -> Result<Vec<(String, String, bool, u64)>, StoreError> {
        let sql = "SELECT practice, state, overdue, count(*) FROM filing GROUP BY practice, state, overdue
                   ORDER BY practice COLLATE \"C\", state COLLATE \"C\", overdue";
        let found = self.rows(sql, &[]).await?;
        let read = |row: &Row| {
            let count = row.try_get::<_, i64>(3).map_err(engine)?.unsigned_abs();
            let get = |column: usize| row.try_get::<_, String>(column).map_err(engine);
            Ok((get(0)?, get(1)?, row.try_get(2).map_err(engine)?, count))
        };
        found.iter().map(read).collect()
    }

    /// What a practice's dictionary did with a code.
    pub async fn dictionary(
        &self,
        practice: &str,
        system: &str,
        code: &str,
    ) -> Result<Option<DictionaryRow>, StoreError> {
        let sql = "SELECT practice, system, code, kept, local_scheme, local_code, seen_at FROM dictionary
                   WHERE practice = $1 AND system = $2 AND code = $3";
        let found = self.rows(sql, &[&text(practice), &text(system), &text(code)]).await?;
        let read = |row: &Row| {
            let get = |column: usize| row.try_get::<_, String>(column).map_err(engine);
            Ok(DictionaryRow {
                practice: OdsCode::parse(&get(0)?).map_err(|_| rows::damaged("an ODS code"))?,
                system: get(1)?,
                code: get(2)?,
                kept: row.try_get(3).map_err(engine)?,
                local: (get(4)?, get(5)?),
                seen_at: row.try_get(6).map_err(engine)?,
            })
        };
        found.first().map(read).transpose()
    }

    /// Queues that begin with `prefix` and have rows due and not claimed: each found by two
    /// look-ups in an index.
    pub async fn due_queues(&self, prefix: &str, now: Timestamp) -> Result<Vec<String>, StoreError> {
        let sql = "WITH RECURSIVE name (queue) AS (
              SELECT min(queue) FROM outbox WHERE state = 0 AND queue >= $1 AND queue < $2
              UNION ALL
              SELECT (SELECT min(queue) FROM outbox WHERE state = 0 AND queue > name.queue AND queue < $2)
              FROM name WHERE name.queue IS NOT NULL)
            SELECT queue FROM name WHERE queue IS NOT NULL AND EXISTS (
              SELECT 1 FROM outbox WHERE outbox.queue = name.queue AND state = 0 AND due <= $3)";
        let to = format!("{}{}", text(prefix), rows::LAST_CHARACTER);
        let found = self.rows(sql, &[&text(prefix), &to, &now]).await?;
        found.iter().map(|row| row.try_get(0).map_err(engine)).collect()
    }
}
