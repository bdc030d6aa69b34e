//! Creates and upgrades the shared store's schema, and refuses one that it did not make. Several
//! processes may try at once: they take turns under an advisory lock.

use tokio_postgres::Client;

use super::engine;
use crate::store::StoreError;

/// The steps in order: number, name, SQL.
const STEPS: &[(i32, &str, &str)] = &[
    (1, "base", include_str!("migrations/0001_base.sql")),
    (2, "staging", include_str!("migrations/0002_staging.sql")),
    (3, "clocks", include_str!("migrations/0003_clocks.sql")),
    (4, "filing", include_str!("migrations/0004_filing.sql")),
    (5, "filing_order", include_str!("migrations/0005_filing_order.sql")),
];
/// The advisory lock of migrations; any number that no one else uses ("FINGERPO").
const LOCK: i64 = 0x4649_4e47_4552_504f;

/// Brings the schema up to date; says what it did, a line a step.
pub(super) async fn run(client: &mut Client) -> Result<Vec<String>, StoreError> {
    let transaction = client.transaction().await.map_err(engine)?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await.map_err(engine)?;
    let table = "CREATE TABLE IF NOT EXISTS migration (number integer PRIMARY KEY, name text NOT NULL)";
    transaction.batch_execute(table).await.map_err(engine)?;
    let row = transaction.query_one("SELECT coalesce(max(number), 0) FROM migration", &[]).await.map_err(engine)?;
    let at: i32 = row.try_get(0).map_err(engine)?;
    if at > newest() {
        return Err(StoreError::Engine(format!(
            "the store's schema is number {at}, newer than this program's {}: use the newer program",
            newest()
        )));
    }
    let mut done = Vec::new();
    for (step, name, sql) in STEPS.iter().filter(|(step, ..)| *step > at) {
        transaction.batch_execute(sql).await.map_err(engine)?;
        let insert = "INSERT INTO migration (number, name) VALUES ($1, $2)";
        transaction.execute(insert, &[step, name]).await.map_err(engine)?;
        done.push(format!("applied {step:04} {name}"));
    }
    transaction.commit().await.map_err(engine)?;
    Ok(done)
}

/// Refuses a store whose schema is not exactly this program's.
pub(super) async fn check(client: &Client) -> Result<(), StoreError> {
    let table = client.query_one("SELECT to_regclass('migration') IS NOT NULL", &[]).await.map_err(engine)?;
    let mut at = 0;
    if table.try_get(0).map_err(engine)? {
        let row = client.query_one("SELECT coalesce(max(number), 0) FROM migration", &[]).await.map_err(engine)?;
        at = row.try_get(0).map_err(engine)?;
    }
    if at == newest() {
        return Ok(());
    }
    Err(StoreError::Engine(format!(
        "the store's schema is number {at} and this program needs {}: run `fingerpost migrate`",
        newest()
    )))
}

fn newest() -> i32 {
    STEPS.last().map_or(0, |(step, ..)| *step)
}
