//! Where referrals stand: messages, ledger, ignored counts, holds, episodes.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use super::group::last_of_each;
use super::statements::{Lane, Sql};
use super::{Postgres, engine};
use crate::fhir::ids::OdsCode;
use crate::store::StoreError;
use crate::store::commit::{self, Cause, Commit, Episode, Hold, Ignored, LedgerRow, Message};
use crate::store::rows::{self, text};

/// Messages to keep.
pub(super) struct Messages<'a>(Vec<(&'a Message, i64)>);

impl<'a> Messages<'a> {
    pub(super) fn of(accepted: &[&'a Commit], sizes: &[i64]) -> Self {
        let kept = accepted.iter().zip(sizes);
        Self(kept.filter_map(|(commit, size)| Some((commit.message.as_ref()?, *size))).collect())
    }

    pub(super) async fn send(&self, lane: &Lane) -> Result<u64, Error> {
        let all = || self.0.iter().map(|(message, _)| *message);
        let id: Vec<Uuid> = all().map(|message| message.id).collect();
        let channel: Vec<Cow<'_, str>> = all().map(|message| text(&message.channel)).collect();
        let sender: Vec<Cow<'_, str>> = all().map(|message| text(&message.sender)).collect();
        let at: Vec<Timestamp> = all().map(|message| message.received_at).collect();
        let content_type: Vec<Cow<'_, str>> = all().map(|message| text(&message.content_type)).collect();
        let digest: Vec<&str> = all().map(|message| message.digest.as_str()).collect();
        let bytes: Vec<&[u8]> = all().map(|message| &message.bytes[..]).collect();
        let outcome: Vec<&str> = all().map(|message| message.outcome).collect();
        let entry: Vec<i64> = self.0.iter().map(|(_, size)| *size).collect();
        let columns: [&super::Bound<'_>; 9] =
            [&id, &channel, &sender, &at, &content_type, &digest, &bytes, &outcome, &entry];
        lane.send(Sql::KeepMessages, id.len(), columns).await
    }
}

/// Ledger rows and ignored counts. Of rows for one referral the last stands, with the first's
/// instant of receipt.
pub(super) struct Standing<'a> {
    ledger: BTreeMap<&'a str, (&'a LedgerRow, &'a LedgerRow)>,
    ignored: BTreeMap<(&'a str, String, &'a str), i64>,
}

impl<'a> Standing<'a> {
    pub(super) fn of(accepted: &[&'a Commit]) -> Self {
        let rows = accepted.iter().flat_map(|commit| &commit.ledger);
        let ledger = last_of_each(rows.map(|row| (row.id.as_str(), row)));
        let mut ignored = BTreeMap::new();
        for Ignored { practice, day, reason, count } in accepted.iter().flat_map(|commit| &commit.ignored) {
            let key = (practice.as_str(), rows::day(*day), reason.as_str());
            *ignored.entry(key).or_insert(0) += count.cast_signed();
        }
        Self { ledger, ignored }
    }

    pub(super) async fn send(&self, lane: &Lane) -> Result<u64, Error> {
        let all = || self.ledger.values().map(|(_, last)| *last);
        let id: Vec<&str> = all().map(|row| row.id.as_str()).collect();
        let message: Vec<Uuid> = all().map(|row| row.message).collect();
        let practice: Vec<Option<&str>> = all().map(|row| row.practice.as_ref().map(OdsCode::as_str)).collect();
        let state: Vec<&str> = all().map(|row| row.state.word()).collect();
        let since: Vec<Timestamp> = all().map(|row| row.since).collect();
        let waiting_on: Vec<Cow<'_, str>> = all().map(|row| text(&row.waiting_on)).collect();
        let received: Vec<Timestamp> = self.ledger.values().map(|(first, _)| first.received_at).collect();
        let practices: Vec<&str> = self.ignored.keys().map(|(practice, ..)| *practice).collect();
        let days: Vec<&str> = self.ignored.keys().map(|(_, day, _)| day.as_str()).collect();
        let reasons: Vec<&str> = self.ignored.keys().map(|(.., reason)| *reason).collect();
        let counts: Vec<i64> = self.ignored.values().copied().collect();
        let rows: [&super::Bound<'_>; 7] = [&id, &message, &practice, &state, &since, &waiting_on, &received];
        let (ledger, ignored) = tokio::join!(
            lane.send(Sql::PutLedger, id.len(), rows),
            lane.send(Sql::AddIgnored, counts.len(), [&practices, &days, &reasons, &counts]),
        );
        Ok(ledger? + ignored?)
    }
}

/// Holds that are over and holds made. One that is both was never over.
pub(super) struct Holds<'a> {
    released: Vec<Uuid>,
    made: BTreeMap<Uuid, (&'a Hold, &'a Hold)>,
}

impl<'a> Holds<'a> {
    pub(super) fn of(accepted: &[&'a Commit]) -> Self {
        let holds = accepted.iter().flat_map(|commit| &commit.holds);
        let made = last_of_each(holds.map(|hold| (hold.id, hold)));
        let released: BTreeSet<Uuid> = accepted.iter().flat_map(|commit| commit.released.iter().copied()).collect();
        Self { released: released.into_iter().filter(|id| !made.contains_key(id)).collect(), made }
    }

    pub(super) async fn send(&self, lane: &Lane) -> Result<u64, Error> {
        let all = || self.made.values().map(|(_, last)| *last);
        let id: Vec<Uuid> = all().map(|hold| hold.id).collect();
        let cause: Vec<&str> = all().map(|hold| hold.cause.word()).collect();
        let channel: Vec<Cow<'_, str>> = all().map(|hold| text(&hold.channel)).collect();
        let at: Vec<Timestamp> = self.made.values().map(|(first, _)| first.received_at).collect();
        let source: Vec<Cow<'_, str>> = all().map(|hold| text(&hold.source)).collect();
        let practice: Vec<Option<&str>> = all().map(|hold| hold.practice.as_ref().map(OdsCode::as_str)).collect();
        let detail: Vec<Cow<'_, str>> = all().map(|hold| text(&hold.detail)).collect();
        let count: Vec<i64> = all().map(|hold| hold.count.cast_signed()).collect();
        let referral: Vec<Option<&str>> = all().map(|hold| hold.referral.as_deref()).collect();
        let replay: Vec<Cow<'_, str>> = all().map(|hold| text(&hold.replay)).collect();
        let columns: [&super::Bound<'_>; 10] =
            [&id, &cause, &channel, &at, &source, &practice, &detail, &count, &referral, &replay];
        let (released, made) = tokio::join!(
            lane.send(Sql::Release, self.released.len(), [&self.released]),
            lane.send(Sql::PutHolds, id.len(), columns),
        );
        Ok(released? + made?)
    }
}

/// Episodes, those that end before those that begin: a person has one open at a time.
pub(super) struct Episodes<'a>(Vec<&'a Episode>);

impl<'a> Episodes<'a> {
    pub(super) fn of(accepted: &[&'a Commit]) -> Self {
        let episodes = accepted.iter().flat_map(|commit| &commit.episodes);
        let last = last_of_each(episodes.map(|episode| (episode.id.as_str(), episode)));
        let mut list: Vec<&Episode> = last.into_values().map(|(_, last)| last).collect();
        list.sort_by_key(|episode| episode.open);
        Self(list)
    }

    pub(super) async fn send(&self, lane: &Lane) -> Result<u64, Error> {
        let texts = |of: fn(&Episode) -> &String| self.0.iter().map(|episode| of(episode)).collect::<Vec<_>>();
        let open: Vec<bool> = self.0.iter().map(|episode| episode.open).collect();
        let (id, person) = (texts(|episode| &episode.id), texts(|episode| &episode.nhs_number));
        let (task, pool) = (texts(|episode| &episode.task), texts(|episode| &episode.pool));
        let worker: Vec<Cow<'_, str>> = self.0.iter().map(|episode| text(&episode.worker)).collect();
        lane.send(Sql::PutEpisodes, open.len(), [&id, &person, &task, &pool, &open, &worker]).await
    }
}

const LEDGER: &str = "SELECT id, message, practice, state, since, waiting_on, received_at FROM ledger";
const HOLD: &str =
    "SELECT id, cause, channel, received_at, source, practice, detail, count, referral, replay FROM hold";
const EPISODE: &str = "SELECT id, nhs_number, task, pool, open, worker FROM episode";

fn read_ledger(row: &Row) -> Result<LedgerRow, StoreError> {
    Ok(LedgerRow {
        id: row.try_get(0).map_err(engine)?,
        message: row.try_get(1).map_err(engine)?,
        practice: practice(row.try_get(2).map_err(engine)?)?,
        state: rows::ledger_state(row.try_get(3).map_err(engine)?)?,
        since: row.try_get(4).map_err(engine)?,
        waiting_on: row.try_get(5).map_err(engine)?,
        received_at: row.try_get(6).map_err(engine)?,
    })
}

fn read_hold(row: &Row) -> Result<Hold, StoreError> {
    let cause: &str = row.try_get(1).map_err(engine)?;
    Ok(Hold {
        id: row.try_get(0).map_err(engine)?,
        cause: Cause::parse(cause).ok_or_else(|| rows::damaged("a hold's cause"))?,
        channel: row.try_get(2).map_err(engine)?,
        received_at: row.try_get(3).map_err(engine)?,
        source: row.try_get(4).map_err(engine)?,
        practice: practice(row.try_get(5).map_err(engine)?)?,
        detail: row.try_get(6).map_err(engine)?,
        count: row.try_get::<_, i64>(7).map_err(engine)?.unsigned_abs(),
        referral: row.try_get(8).map_err(engine)?,
        replay: row.try_get(9).map_err(engine)?,
    })
}

pub(super) fn read_episode(row: &Row) -> Result<Episode, StoreError> {
    Ok(Episode {
        id: row.try_get(0).map_err(engine)?,
        nhs_number: row.try_get(1).map_err(engine)?,
        task: row.try_get(2).map_err(engine)?,
        pool: row.try_get(3).map_err(engine)?,
        open: row.try_get(4).map_err(engine)?,
        worker: row.try_get(5).map_err(engine)?,
    })
}

fn practice(code: Option<&str>) -> Result<Option<OdsCode>, StoreError> {
    code.map(|code| OdsCode::parse(code).map_err(|_| rows::damaged("an ODS code"))).transpose()
}

/// A row of a name and a count.
fn counted(row: &Row) -> Result<(String, u64), StoreError> {
    Ok((row.try_get(0).map_err(engine)?, row.try_get::<_, i64>(1).map_err(engine)?.unsigned_abs()))
}

impl Postgres {
    /// The ledger's rows, by practice and day of receipt where given, oldest first.
    pub async fn ledger(&self, practice: Option<&str>, day: Option<&str>) -> Result<Vec<LedgerRow>, StoreError> {
        let bounds = day.map(rows::day_bounds).transpose()?;
        let sql = format!(
            "{LEDGER} WHERE ($1::text IS NULL OR practice = $1)
               AND ($2::timestamptz IS NULL OR received_at >= $2) AND ($3::timestamptz IS NULL OR received_at < $3)
             ORDER BY received_at, id"
        );
        let (practice, from, to) = (practice.map(text), bounds.map(|day| day.0), bounds.map(|day| day.1));
        self.rows(&sql, &[&practice, &from, &to]).await?.iter().map(read_ledger).collect()
    }

    /// Open rows that wait for that, since before `before`, longest first.
    pub async fn ledger_waiting(
        &self,
        on: &str,
        before: Timestamp,
        count: usize,
    ) -> Result<Vec<LedgerRow>, StoreError> {
        let sql = format!("{LEDGER} WHERE state = 'open' AND waiting_on = $1 AND since < $2 ORDER BY since LIMIT $3");
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.rows(&sql, &[&text(on), &before, &count]).await?.iter().map(read_ledger).collect()
    }

    /// One ledger row.
    pub async fn ledger_row(&self, id: &str) -> Result<Option<LedgerRow>, StoreError> {
        let found = self.rows(&format!("{LEDGER} WHERE id = $1"), &[&text(id)]).await?;
        found.first().map(read_ledger).transpose()
    }

    /// How many ledger rows are in each state, of one practice where given.
    pub async fn ledger_counts(&self, practice: Option<&str>) -> Result<Vec<(String, u64)>, StoreError> {
        let sql = "SELECT state, count(*) FROM ledger WHERE $1::text IS NULL OR practice = $1
                   GROUP BY state ORDER BY state";
        self.rows(sql, &[&practice.map(text)]).await?.iter().map(counted).collect()
    }

    /// Counts of ignored candidates, by practice, day and reason.
    pub async fn ignored(&self) -> Result<Vec<Ignored>, StoreError> {
        let sql = "SELECT practice, day, reason, count FROM ignored ORDER BY practice, day, reason";
        let found = self.rows(sql, &[]).await?;
        let read = |row: &Row| {
            let (practice, day) = (row.try_get(0).map_err(engine)?, row.try_get(1).map_err(engine)?);
            rows::ignored(practice, day, row.try_get(2).map_err(engine)?, row.try_get(3).map_err(engine)?)
        };
        found.iter().map(read).collect()
    }

    /// Holds that are not over, oldest first.
    pub async fn holds(&self) -> Result<Vec<Hold>, StoreError> {
        let sql = format!("{HOLD} WHERE NOT released ORDER BY received_at, seq");
        self.rows(&sql, &[]).await?.iter().map(read_hold).collect()
    }

    /// The open episode of a person, if there is one.
    pub async fn open_episode(&self, nhs_number: &str) -> Result<Option<Episode>, StoreError> {
        let found = self.rows(&format!("{EPISODE} WHERE nhs_number = $1 AND open"), &[&text(nhs_number)]).await?;
        found.first().map(read_episode).transpose()
    }

    /// An episode by its ServiceRequest id.
    pub async fn episode(&self, id: &str) -> Result<Option<Episode>, StoreError> {
        let found = self.rows(&format!("{EPISODE} WHERE id = $1"), &[&text(id)]).await?;
        found.first().map(read_episode).transpose()
    }

    /// Open episodes of each pool: `(pool, count)`.
    pub async fn caseloads(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let sql = "SELECT pool, count(*) FROM episode WHERE open GROUP BY pool ORDER BY pool";
        self.rows(sql, &[]).await?.iter().map(counted).collect()
    }

    /// A kept message with its bytes.
    pub async fn message(&self, id: Uuid) -> Result<Option<commit::Message>, StoreError> {
        let sql =
            "SELECT channel, sender, received_at, content_type, digest, bytes, outcome FROM message WHERE id = $1";
        let found = self.rows(sql, &[&id]).await?;
        let Some(row) = found.first() else { return Ok(None) };
        Ok(Some(commit::Message {
            id,
            channel: row.try_get(0).map_err(engine)?,
            sender: row.try_get(1).map_err(engine)?,
            received_at: row.try_get(2).map_err(engine)?,
            content_type: row.try_get(3).map_err(engine)?,
            digest: row.try_get(4).map_err(engine)?,
            bytes: row.try_get::<_, Vec<u8>>(5).map_err(engine)?.into(),
            outcome: rows::message_outcome(row.try_get(6).map_err(engine)?)?,
        }))
    }
}
