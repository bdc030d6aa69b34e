//! The bare program on PostgreSQL: one connection, a prepared multi-row insert a table, a
//! transaction a group. It makes no checks, hashes nothing and signs nothing.

use std::time::{Duration, Instant};

use fingerpost::store::commit::{Commit, Message};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

const TABLES: [&str; 11] = [
    "INSERT INTO door_key SELECT s, k, d, NULL FROM unnest($1::text[], $2::text[], $3::text[]) AS n (s, k, d)",
    "INSERT INTO resource SELECT key, 1, id, 1, at, false, rows
     FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::text[]) AS n (key, id, at, rows)",
    "INSERT INTO search_row SELECT * FROM unnest($1::integer[], $2::text[], $3::bigint[], $4::text[])",
    "INSERT INTO resource_version SELECT key, 1, at, false, body, lineage, entry
     FROM unnest($1::bigint[], $2::timestamptz[], $3::bytea[], $4::text[], $5::bigint[])
       AS n (key, at, body, lineage, entry)",
    "INSERT INTO message SELECT id, 'bars', 'practice', at, 'application/fhir+json', digest, bytes, 'committed', entry
     FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::bytea[], $5::bigint[])
       AS n (id, at, digest, bytes, entry)",
    "INSERT INTO ledger SELECT id, message, 'N84001', 'open', at, 'pool-1', at
     FROM unnest($1::text[], $2::uuid[], $3::timestamptz[]) AS n (id, message, at)",
    "INSERT INTO outbox (id, queue, episode, event, resources, at, state, due, attempts, why, entry)
     SELECT id, 'webhook:wellness', episode, 'referral.received', resources, at, 0, at, 0, '', entry
     FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::bigint[])
       AS n (id, episode, resources, at, entry)",
    "INSERT INTO entry SELECT seq, leaf, hash, id, at, 'practice-1', 'C', '0', 'process-message'
     FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::uuid[], $5::timestamptz[])
       AS n (seq, leaf, hash, id, at)",
    "INSERT INTO entry_reference SELECT 1, reference, seq FROM unnest($1::text[], $2::bigint[]) AS n (reference, seq)",
    "UPDATE tree SET size = $1, frontier = $2",
    "INSERT INTO checkpoint VALUES ($1, $2)",
];

pub async fn run(url: &str, commits: &[Commit], group: usize) -> Duration {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut statements = Vec::new();
    for sql in TABLES {
        statements.push(client.prepare(sql).await.unwrap());
    }
    let bare = Bare { client, statements };
    let leaves: Vec<Vec<u8>> = commits.iter().map(|commit| commit.audit[0].leaf()).collect();
    let start = Instant::now();
    let mut first = 0;
    for (commits, leaves) in commits.chunks(group).zip(leaves.chunks(group)) {
        bare.client.batch_execute("BEGIN").await.unwrap();
        bare.resources(commits, first).await;
        bare.rest(commits, leaves, first).await;
        bare.client.batch_execute("COMMIT").await.unwrap();
        first += commits.len() as i64;
    }
    let took = start.elapsed();
    drop(bare);
    connection.abort();
    took
}

struct Bare {
    client: Client,
    statements: Vec<Statement>,
}

impl Bare {
    async fn insert(&self, table: usize, columns: &[&(dyn ToSql + Sync)]) {
        self.client.execute(&self.statements[table], columns).await.unwrap();
    }

    async fn resources(&self, commits: &[Commit], first: i64) {
        let writes = || commits.iter().flat_map(|commit| &commit.writes);
        let keys: Vec<i64> = (0..writes().count() as i64).map(|place| first * 4 + place + 1).collect();
        let ids: Vec<&str> = writes().map(|write| write.id.as_str()).collect();
        let at: Vec<_> = writes().map(|write| write.at).collect();
        let packed: Vec<String> = writes().map(|write| "x".repeat(write.index.len() * 60)).collect();
        self.insert(1, &[&keys, &ids, &at, &packed]).await;
        let (mut params, mut values, mut resources, mut extras) = (vec![], vec![], vec![], vec![]);
        for (key, write) in keys.iter().zip(writes()) {
            for row in &write.index {
                params.push(256 + i32::from(row.param));
                values.push(row.value.as_str());
                resources.push(*key);
                extras.push(row.extra.as_str());
            }
        }
        self.insert(2, &[&params, &values, &resources, &extras]).await;
        let bodies: Vec<&[u8]> = writes().map(|write| &write.body[..]).collect();
        let lineage: Vec<&str> = writes().map(|write| write.lineage.as_str()).collect();
        let entries: Vec<i64> = keys.iter().map(|key| (key - 1) / 4 + 1).collect();
        self.insert(3, &[&keys, &at, &bodies, &lineage, &entries]).await;
    }

    async fn rest(&self, commits: &[Commit], leaves: &[Vec<u8>], first: i64) {
        let scopes = vec!["request"; commits.len()];
        let keys: Vec<&str> = commits.iter().map(|commit| commit.keys[0].key.as_str()).collect();
        let digests: Vec<&str> = commits.iter().map(|commit| commit.keys[0].digest.as_str()).collect();
        self.insert(0, &[&scopes, &keys, &digests]).await;
        let messages: Vec<&Message> = commits.iter().map(|commit| commit.message.as_ref().unwrap()).collect();
        let ids: Vec<_> = messages.iter().map(|message| message.id).collect();
        let at: Vec<_> = messages.iter().map(|message| message.received_at).collect();
        let bytes: Vec<&[u8]> = messages.iter().map(|message| &message.bytes[..]).collect();
        let entries: Vec<i64> = (0..commits.len() as i64).map(|place| first + place).collect();
        self.insert(4, &[&ids, &at, &digests, &bytes, &entries]).await;
        let referrals: Vec<&str> = commits.iter().map(|commit| commit.ledger[0].id.as_str()).collect();
        self.insert(5, &[&referrals, &ids, &at]).await;
        let rows: Vec<_> = commits.iter().map(|commit| commit.outbox[0].id).collect();
        let resources = vec!["x".repeat(60); commits.len()];
        self.insert(6, &[&rows, &referrals, &resources, &at, &entries]).await;
        let hashes = vec![vec![7u8; 32]; commits.len()];
        let audit: Vec<_> = commits.iter().map(|commit| commit.audit[0].id).collect();
        self.insert(7, &[&entries, &leaves, &hashes, &audit, &at]).await;
        let (mut references, mut positions) = (vec![], vec![]);
        for (commit, entry) in commits.iter().zip(&entries) {
            for reference in commit.audit[0].entities.iter().chain(&commit.audit[0].patients) {
                references.push(reference.as_str());
                positions.push(*entry);
            }
        }
        self.insert(8, &[&references, &positions]).await;
        let size = first + commits.len() as i64;
        self.insert(9, &[&size, &vec![7u8; 320]]).await;
        self.insert(10, &[&size, &"n".repeat(200)]).await;
    }
}
