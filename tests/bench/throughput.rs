//! Committed referrals a second over HTTP - 64 clients, full durability, audit on - against a bare
//! program that inserts the same rows into the same store with the same durability, 64 referrals
//! a transaction. One run, one ratio a store; the bar is 0.4.
//!
//! `cargo bench --bench throughput` (PostgreSQL's half needs PostgreSQL installed).
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/message_headers.rs"]
mod message_headers;
#[path = "../support/postgres.rs"]
mod postgres;
#[path = "../support/program.rs"]
mod program;
#[path = "../support/referrals.rs"]
mod referrals;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use program::fingerpost;
use rusqlite::types::Value as Cell;

/// Clients at once, and referrals in one transaction of the bare program.
const CLIENTS: usize = 64;
/// Referrals sent before the clock starts, and while it runs.
const WARM_UP: u32 = 500;
const REFERRALS: u32 = 6_000;
/// What the gateway must reach of the bare program's rate.
const BAR: f64 = 0.4;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let gateway = runtime.block_on(over_http(folder.path(), "sqlite:fingerpost.db"));
    let bare = bare_sqlite(&folder.path().join("fingerpost.db"), &folder.path().join("bare.db"));
    let mut met = report("SQLite", gateway, bare);
    if let Some(server) = postgres::start() {
        let folder = tempfile::tempdir().unwrap();
        let gateway = runtime.block_on(over_http(folder.path(), &server.url));
        let bare = runtime.block_on(bare_postgres(&server.url));
        met &= report("PostgreSQL", gateway, bare);
    }
    assert!(met, "below {BAR}x");
}

fn report(store: &str, gateway: f64, bare: f64) -> bool {
    let ratio = gateway / bare;
    println!("{store}: {gateway:.0} referrals/s over HTTP, {bare:.0} by a bare program: {ratio:.2}x (bar {BAR}x)");
    ratio >= BAR
}

/// Referrals a second through the real binary.
async fn over_http(folder: &Path, store: &str) -> f64 {
    let config = format!(
        "[gateway]\nmode = \"development\"\n[store]\nurl = \"{store}\"\n[serve]\nlisten = [\"127.0.0.1:0\"]\n\
         [nhs]\ntest_numbers = \"allow\"\n[audit]\nkey_file = \"audit-key.pem\"\n[access]\nkey_file = \"token-key.pem\"\n\
         token_seconds = 3600\n[[access.clients]]\nid = \"surgery\"\nname = \"Surgery\"\nods = \"N84001\"\nrole = \"referrer\"\n"
    );
    std::fs::write(folder.join("gateway.toml"), config).unwrap();
    fingerpost(folder, &["migrate", "--config", "gateway.toml"], &[]).expect(0);
    let token = fingerpost(folder, &["token", "--client", "surgery", "--json", "--config", "gateway.toml"], &[]);
    let token = token.expect(0).json()["access_token"].as_str().unwrap().to_owned();
    let (mut child, address) = serve(folder);
    send(&address, &token, 0, messages(0, WARM_UP)).await;
    let measured = messages(WARM_UP, REFERRALS);
    let started = Instant::now();
    send(&address, &token, WARM_UP, measured).await;
    let rate = f64::from(REFERRALS) / started.elapsed().as_secs_f64();
    // SIGTERM, so that everything is written out; the warm-up's rows are in the bare program's too.
    Command::new("kill").arg(child.id().to_string()).status().unwrap();
    child.wait().unwrap();
    rate
}

fn serve(folder: &Path) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_fingerpost"))
        .args(["serve", "--config", "gateway.toml"])
        .env("FINGERPOST__LOG__FILTER", "error")
        .current_dir(folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let mut lines = out.lines().map_while(Result::ok);
    let address = lines.find_map(|line| line.strip_prefix("listening on ").map(str::to_owned)).unwrap();
    (child, address)
}

fn messages(from: u32, count: u32) -> Arc<Vec<String>> {
    Arc::new((from..from + count).map(|n| referrals::bars_message(n, "N84001").to_string()).collect())
}

async fn send(address: &str, token: &str, from: u32, bodies: Arc<Vec<String>>) {
    let next = Arc::new(AtomicU32::new(0));
    let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (bodies, next, http) = (bodies.clone(), next.clone(), http.clone());
            let (url, token) = (format!("{address}/fhir/$process-message"), token.to_owned());
            tokio::spawn(async move {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let Some(body) = bodies.get(i as usize) else { return };
                    let request = http.post(&url).bearer_auth(&token).body(body.clone());
                    let answer = message_headers::with(request, from + i).send().await.unwrap();
                    assert_eq!(answer.status(), 200);
                    answer.bytes().await.unwrap();
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
}

/// The same rows into a new file with the same schema, settings and group size.
fn bare_sqlite(from: &Path, to: &Path) -> f64 {
    let source = rusqlite::Connection::open(from).unwrap();
    let target = rusqlite::Connection::open(to).unwrap();
    target.execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;").unwrap();
    let schema =
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type = 'index'";
    for sql in strings(&source, schema) {
        target.execute_batch(&sql).unwrap();
    }
    let names = strings(&source, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'");
    let tables: Vec<(String, Vec<Vec<Cell>>)> = names.into_iter().map(|name| rows(&source, &name)).collect();
    let groups = (WARM_UP + REFERRALS) as usize / CLIENTS;
    let started = Instant::now();
    for group in 0..groups {
        target.execute_batch("BEGIN IMMEDIATE").unwrap();
        for (sql, rows) in &tables {
            let mut insert = target.prepare_cached(sql).unwrap();
            for row in &rows[rows.len() * group / groups..rows.len() * (group + 1) / groups] {
                insert.execute(rusqlite::params_from_iter(row)).unwrap();
            }
        }
        target.execute_batch("COMMIT").unwrap();
    }
    f64::from(WARM_UP + REFERRALS) / started.elapsed().as_secs_f64()
}

fn strings(connection: &rusqlite::Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// A table's INSERT and its rows, in memory, in the order in which referrals brought them: a table
/// that is its own index would give them sorted, which is another and much easier job.
fn rows(source: &rusqlite::Connection, table: &str) -> (String, Vec<Vec<Cell>>) {
    let order = match table {
        "search_row" => " ORDER BY resource",
        "entry_reference" => " ORDER BY seq",
        _ => "",
    };
    let mut statement = source.prepare(&format!("SELECT * FROM {table}{order}")).unwrap();
    let columns = statement.column_count();
    let marks = vec!["?"; columns].join(", ");
    let read = |row: &rusqlite::Row<'_>| (0..columns).map(|i| row.get(i)).collect();
    let rows = statement.query_map([], read).unwrap().map(Result::unwrap).collect();
    (format!("INSERT INTO {table} VALUES ({marks})"), rows)
}

/// The same rows into a second schema of the same server, one statement a table and group.
async fn bare_postgres(url: &str) -> f64 {
    let (mut client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("CREATE SCHEMA bare").await.unwrap();
    let names = client.query("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'", &[]).await.unwrap();
    let groups = (WARM_UP + REFERRALS) as usize / CLIENTS;
    let mut tables: Vec<(String, Vec<String>)> = Vec::new();
    for name in names.iter().map(|row| row.get::<_, String>(0)) {
        client.batch_execute(&format!("CREATE TABLE bare.{name} (LIKE public.{name} INCLUDING ALL)")).await.unwrap();
        let sql = format!("SELECT row_to_json(t)::text FROM public.{name} t");
        let rows: Vec<String> = client.query(&sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
        let slice = |group: usize| rows[rows.len() * group / groups..rows.len() * (group + 1) / groups].join(",");
        let slices = (0..groups).map(|group| format!("[{}]", slice(group))).collect();
        tables.push((
            format!("INSERT INTO bare.{name} OVERRIDING SYSTEM VALUE SELECT * FROM json_populate_recordset(null::bare.{name}, $1::text::json)"),
            slices,
        ));
    }
    let mut statements = Vec::new();
    for (sql, _) in &tables {
        statements.push(client.prepare(sql).await.unwrap());
    }
    let started = Instant::now();
    for group in 0..groups {
        let transaction = client.transaction().await.unwrap();
        for (statement, (_, slices)) in statements.iter().zip(&tables) {
            if slices[group] != "[]" {
                transaction.execute(statement, &[&slices[group]]).await.unwrap();
            }
        }
        transaction.commit().await.unwrap();
    }
    f64::from(WARM_UP + REFERRALS) / started.elapsed().as_secs_f64()
}
