//! Creates and upgrades the embedded store's schema, and refuses one that it did not make.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::{BUSY_TIMEOUT, engine};
use crate::store::StoreError;

/// The steps in order: number, name, SQL.
const STEPS: &[(i64, &str, &str)] = &[
    (1, "base", include_str!("migrations/0001_base.sql")),
    (2, "staging", include_str!("migrations/0002_staging.sql")),
    (3, "clocks", include_str!("migrations/0003_clocks.sql")),
    (4, "filing", include_str!("migrations/0004_filing.sql")),
    (5, "filing_order", include_str!("migrations/0005_filing_order.sql")),
];

/// Creates the file (readable by its owner alone) and brings its schema up to date; says what it
/// did, a line a step.
pub(super) fn run(path: &Path) -> Result<Vec<String>, StoreError> {
    create_private(path)?;
    let mut connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(engine)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(engine)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(engine)?;
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(engine)?;
    let at = number(&transaction)?;
    if at > newest() {
        return Err(StoreError::Engine(format!(
            "the store's schema is number {at}, newer than this program's {}: use the newer program",
            newest()
        )));
    }
    let mut done = Vec::new();
    for (step, name, sql) in STEPS.iter().filter(|(step, ..)| *step > at) {
        transaction.execute_batch(sql).map_err(engine)?;
        transaction
            .execute_batch("CREATE TABLE IF NOT EXISTS migration (number INTEGER PRIMARY KEY, name TEXT NOT NULL)")
            .map_err(engine)?;
        transaction.execute("INSERT INTO migration (number, name) VALUES (?1, ?2)", (step, name)).map_err(engine)?;
        done.push(format!("applied {step:04} {name}"));
    }
    transaction.commit().map_err(engine)?;
    Ok(done)
}

/// Refuses a store whose schema is not exactly this program's.
pub(super) fn check(connection: &Connection) -> Result<(), StoreError> {
    let at = number(connection)?;
    if at == newest() {
        return Ok(());
    }
    Err(StoreError::Engine(format!(
        "the store's schema is number {at} and this program needs {}: run `fingerpost migrate`",
        newest()
    )))
}

fn newest() -> i64 {
    STEPS.last().map_or(0, |(step, ..)| *step)
}

/// The number of the last step applied; 0 for an empty file.
fn number(connection: &Connection) -> Result<i64, StoreError> {
    let table = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'migration'";
    let exists = connection.query_row(table, [], |_| Ok(())).optional().map_err(engine)?;
    if exists.is_none() {
        return Ok(0);
    }
    connection.query_row("SELECT coalesce(max(number), 0) FROM migration", [], |row| row.get(0)).map_err(engine)
}

/// Makes the file if it is not there, for its owner alone. SQLite gives its companions (`-wal`,
/// `-shm`) the same mode.
fn create_private(path: &Path) -> Result<(), StoreError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(fault) if fault.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(fault) => Err(StoreError::Engine(format!("{} cannot be created: {fault}", path.display()))),
    }
}
