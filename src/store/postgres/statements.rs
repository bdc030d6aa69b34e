//! The writer's statements, prepared once on its own connection. Each works on arrays, a column
//! an array, so that a group of any size is one execution.

use deadpool_postgres::Object;
use tokio_postgres::{Error, Row, Statement};

use super::{Bound, engine};
use crate::store::StoreError;

/// One of the writer's statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sql {
    FindKeys,
    LockResources,
    DrawKeys,
    LockSent,
    LockFilings,
    FindEpisodes,
    TakeKeys,
    ForgetKeys,
    AddResources,
    ChangeResources,
    DropRows,
    AddRows,
    WriteSent,
    Requeue,
    AddFilings,
    ChangeFilings,
    AddFilingMessages,
    PutDictionary,
    LockTree,
    AddVersions,
    KeepMessages,
    PutLedger,
    AddIgnored,
    Release,
    PutHolds,
    PutEpisodes,
    PutCountdowns,
    StopCountdowns,
    AddOutbox,
    AddEntries,
    AddReferences,
    SetTree,
    DropCheckpoint,
    AddCheckpoints,
}

/// Each statement at its own place.
const TEXTS: [(Sql, &str); 34] = [
    (
        Sql::FindKeys,
        "SELECT scope, key, digest FROM door_key
         WHERE (scope, key) IN (SELECT * FROM unnest($1::text[], $2::text[]))",
    ),
    (
        Sql::LockResources,
        "SELECT r.kind, r.id, r.key, r.version, r.rows FROM resource r
         JOIN unnest($1::integer[], $2::text[]) AS want (kind, id) ON r.id = want.id AND r.kind = want.kind
         ORDER BY r.id, r.kind FOR UPDATE OF r",
    ),
    (Sql::DrawKeys, "SELECT nextval('resource_key') FROM generate_series(1, $1::bigint)"),
    (Sql::LockSent, "SELECT id, lease FROM outbox WHERE id = ANY($1::uuid[]) AND state = 0 ORDER BY id FOR UPDATE"),
    (Sql::LockFilings, "SELECT id, version FROM filing WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE"),
    (Sql::FindEpisodes, "SELECT nhs_number, id FROM episode WHERE open AND nhs_number = ANY($1::text[])"),
    (
        Sql::TakeKeys,
        "INSERT INTO door_key (scope, key, digest, expires)
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) ON CONFLICT DO NOTHING",
    ),
    (Sql::ForgetKeys, "DELETE FROM door_key WHERE expires IS NOT NULL AND expires < $1"),
    (
        Sql::AddResources,
        "INSERT INTO resource (key, kind, id, version, at, deleted, rows)
         SELECT * FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::integer[], $5::timestamptz[],
           $6::boolean[], $7::text[]) ON CONFLICT DO NOTHING",
    ),
    (
        Sql::ChangeResources,
        "UPDATE resource r SET version = n.version, at = n.at, deleted = n.deleted, rows = n.rows
         FROM unnest($1::bigint[], $2::integer[], $3::timestamptz[], $4::boolean[], $5::text[])
           AS n (key, version, at, deleted, rows) WHERE r.key = n.key",
    ),
    (
        Sql::DropRows,
        "DELETE FROM search_row s
         USING unnest($1::integer[], $2::text[], $3::bigint[], $4::text[]) AS g (param, value, resource, extra)
         WHERE s.param = g.param AND s.value = g.value AND s.resource = g.resource AND s.extra = g.extra",
    ),
    (
        Sql::AddRows,
        "INSERT INTO search_row (param, value, resource, extra)
         SELECT * FROM unnest($1::integer[], $2::text[], $3::bigint[], $4::text[])",
    ),
    (
        Sql::WriteSent,
        "UPDATE outbox o SET state = n.state, due = coalesce(n.due, o.due), why = n.why, lease = NULL
         FROM unnest($1::uuid[], $2::smallint[], $3::timestamptz[], $4::text[]) AS n (id, state, due, why)
         WHERE o.id = n.id",
    ),
    (
        Sql::Requeue,
        "UPDATE outbox o SET state = 0, due = n.due, attempts = 0, lease = NULL, why = n.why
         FROM unnest($1::uuid[], $2::timestamptz[], $3::text[]) AS n (id, due, why) WHERE o.id = n.id AND o.state <> 0",
    ),
    (
        Sql::AddFilings,
        "INSERT INTO filing (id, version, episode, practice, event, kind, resource, resource_version, state, route,
           tried, messages, acknowledgements, since, deadline, look_at, overdue, why, read_back)
         SELECT id, 1, episode, practice, event, kind, resource, resource_version, state, route, tried, messages,
           acknowledgements, since, deadline, look_at, overdue, why, read_back
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::integer[],
           $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::timestamptz[], $14::timestamptz[],
           $15::timestamptz[], $16::boolean[], $17::text[], $18::text[]) WITH ORDINALITY
           AS n (id, episode, practice, event, kind, resource, resource_version, state, route, tried, messages,
             acknowledgements, since, deadline, look_at, overdue, why, read_back, place)
         ORDER BY place ON CONFLICT (id) DO NOTHING",
    ),
    (
        Sql::ChangeFilings,
        "UPDATE filing f SET version = n.version, state = n.state, route = n.route, tried = n.tried,
           messages = n.messages, acknowledgements = n.acknowledgements, since = n.since, deadline = n.deadline,
           look_at = n.look_at, overdue = n.overdue, why = n.why, read_back = n.read_back
         FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
           $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::boolean[], $12::text[], $13::text[])
           AS n (id, version, state, route, tried, messages, acknowledgements, since, deadline, look_at, overdue,
             why, read_back)
         WHERE f.id = n.id",
    ),
    (
        Sql::AddFilingMessages,
        "INSERT INTO filing_message (message, filing) SELECT * FROM unnest($1::text[], $2::uuid[])
         ON CONFLICT DO NOTHING",
    ),
    (
        Sql::PutDictionary,
        "INSERT INTO dictionary (practice, system, code, kept, local_scheme, local_code, seen_at)
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::boolean[], $5::text[], $6::text[],
           $7::timestamptz[])
         ON CONFLICT (practice, system, code) DO UPDATE SET kept = excluded.kept, seen_at = excluded.seen_at,
           local_scheme = excluded.local_scheme, local_code = excluded.local_code",
    ),
    (Sql::LockTree, "SELECT size, frontier FROM tree WHERE one = 1 FOR UPDATE"),
    (
        Sql::AddVersions,
        "INSERT INTO resource_version (resource, version, at, deleted, body, lineage, entry)
         SELECT * FROM unnest($1::bigint[], $2::integer[], $3::timestamptz[], $4::boolean[], $5::bytea[],
           $6::text[], $7::bigint[])",
    ),
    (
        Sql::KeepMessages,
        "INSERT INTO message (id, channel, sender, received_at, content_type, digest, bytes, outcome, entry)
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[],
           $7::bytea[], $8::text[], $9::bigint[])
         ON CONFLICT (id) DO UPDATE SET outcome = excluded.outcome, entry = excluded.entry",
    ),
    (
        Sql::PutLedger,
        "INSERT INTO ledger (id, message, practice, state, since, waiting_on, received_at)
         SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::text[],
           $7::timestamptz[])
         ON CONFLICT (id) DO UPDATE SET message = excluded.message, practice = excluded.practice,
           state = excluded.state, since = excluded.since, waiting_on = excluded.waiting_on",
    ),
    (
        Sql::AddIgnored,
        "INSERT INTO ignored (practice, day, reason, count)
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
         ON CONFLICT (practice, day, reason) DO UPDATE SET count = ignored.count + excluded.count",
    ),
    (Sql::Release, "UPDATE hold SET released = true WHERE id = ANY($1::uuid[])"),
    (
        Sql::PutHolds,
        "INSERT INTO hold (id, cause, channel, received_at, source, practice, detail, count, referral, replay,
           released)
         SELECT *, false FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::text[],
           $6::text[], $7::text[], $8::bigint[], $9::text[], $10::text[])
         ON CONFLICT (id) DO UPDATE SET
           received_at = CASE WHEN hold.released THEN excluded.received_at ELSE hold.received_at END,
           source = excluded.source, practice = excluded.practice, detail = excluded.detail,
           count = excluded.count, referral = excluded.referral, replay = excluded.replay, released = false",
    ),
    (
        Sql::PutEpisodes,
        "INSERT INTO episode (id, nhs_number, task, pool, open, worker)
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::boolean[], $6::text[])
         ON CONFLICT (id) DO UPDATE SET nhs_number = excluded.nhs_number, task = excluded.task,
           pool = excluded.pool, open = excluded.open, worker = excluded.worker",
    ),
    (
        Sql::PutCountdowns,
        "INSERT INTO countdown AS c (referral, pool, round, started, target, step, due, stopped, why)
         SELECT * FROM unnest($1::text[], $2::text[], $3::integer[], $4::timestamptz[], $5::timestamptz[],
           $6::smallint[], $7::timestamptz[], $8::timestamptz[], $9::text[])
         ON CONFLICT (referral) DO UPDATE SET pool = excluded.pool, round = excluded.round,
           started = excluded.started, target = excluded.target, step = excluded.step, due = excluded.due,
           stopped = excluded.stopped, why = excluded.why
         WHERE excluded.round > c.round
           OR (excluded.round = c.round AND c.stopped IS NULL AND excluded.step >= c.step)",
    ),
    (
        Sql::StopCountdowns,
        "UPDATE countdown c SET due = NULL, stopped = n.stopped, why = n.why
         FROM unnest($1::text[], $2::timestamptz[], $3::text[]) AS n (referral, stopped, why)
         WHERE c.referral = n.referral AND c.stopped IS NULL",
    ),
    (
        Sql::AddOutbox,
        "INSERT INTO outbox (id, queue, episode, event, resources, at, state, due, attempts, why, entry)
         SELECT id, queue, episode, event, resources, at, 0, at, 0, '', entry
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[],
           $7::bigint[]) WITH ORDINALITY AS n (id, queue, episode, event, resources, at, entry, place)
         ORDER BY place ON CONFLICT (id) DO NOTHING",
    ),
    (
        Sql::AddEntries,
        "INSERT INTO entry (seq, leaf, hash, id, at, agent, action, outcome, interaction)
         SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::uuid[], $5::timestamptz[],
           $6::text[], $7::text[], $8::text[], $9::text[])",
    ),
    (
        Sql::AddReferences,
        "INSERT INTO entry_reference (role, reference, seq)
         SELECT * FROM unnest($1::smallint[], $2::text[], $3::bigint[])",
    ),
    (Sql::SetTree, "UPDATE tree SET size = $1, frontier = $2 WHERE one = 1"),
    (Sql::DropCheckpoint, "DELETE FROM checkpoint WHERE size = $1"),
    (Sql::AddCheckpoints, "INSERT INTO checkpoint (size, note) SELECT * FROM unnest($1::bigint[], $2::text[])"),
];

/// The writer's connection with its statements.
pub(super) struct Lane {
    client: Object,
    statements: Vec<Statement>,
}

impl Lane {
    pub(super) async fn open(client: Object) -> Result<Self, StoreError> {
        let mut statements = Vec::with_capacity(TEXTS.len());
        for (_, text) in TEXTS {
            statements.push(client.prepare(text).await.map_err(engine)?);
        }
        Ok(Self { client, statements })
    }

    pub(super) fn is_open(&self) -> bool {
        !self.client.is_closed()
    }

    /// Ends the transaction with nothing done; false when the connection is of no more use.
    pub(super) async fn roll_back(&self) -> bool {
        self.client.batch_execute("ROLLBACK").await.is_ok()
    }

    /// Closes the connection, with whatever it had begun.
    pub(super) fn discard(self) {
        drop(Object::take(self.client));
    }

    /// A command without values. It is sent when first polled, as are the others here: commands
    /// polled in turn are one round trip.
    pub(super) async fn say(&self, command: &str) -> Result<(), Error> {
        self.client.batch_execute(command).await
    }

    /// Executes a statement over columns, unless it has no rows to work on.
    pub(super) async fn send<const N: usize>(
        &self,
        sql: Sql,
        rows: usize,
        columns: [&Bound<'_>; N],
    ) -> Result<u64, Error> {
        if rows == 0 {
            return Ok(0);
        }
        self.client.execute(&self.statements[sql as usize], &columns).await
    }

    /// As [`Lane::send`], with the rows that come back.
    pub(super) async fn ask<const N: usize>(
        &self,
        sql: Sql,
        rows: usize,
        columns: [&Bound<'_>; N],
    ) -> Result<Vec<Row>, Error> {
        if rows == 0 {
            return Ok(Vec::new());
        }
        self.client.query(&self.statements[sql as usize], &columns).await
    }
}

#[cfg(test)]
mod tests {
    use super::TEXTS;

    #[test]
    fn each_statement_stands_at_its_own_place() {
        for (place, (sql, _)) in TEXTS.into_iter().enumerate() {
            assert_eq!(sql as usize, place, "{sql:?}");
        }
    }
}
