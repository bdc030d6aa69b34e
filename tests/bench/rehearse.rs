//! A rehearsal of a county's year through the command: 30,000 stored referrals with their contacts
//! and closures, `fingerpost route rehearse` by the real binary, its time and its peak resident
//! memory, on each store.
//!
//! `cargo bench --bench rehearse` (PostgreSQL's half needs PostgreSQL installed). Making the year
//! takes longer than rehearsing it: `FINGERPOST_REHEARSE_KEEP=FOLDER` keeps SQLite's and uses it again.
//! `FINGERPOST_REHEARSE_REFERRALS` makes another number of them, and `_CONTACTS` of contacts each.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "rehearse/county.rs"]
mod county;
#[path = "../support/pool.rs"]
mod pool;
#[path = "../support/postgres.rs"]
mod postgres;
#[path = "../support/referrals.rs"]
#[allow(dead_code)]
mod referrals;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use county::Year;
use serde_json::Value;

/// A county's year, and the contacts of each episode that was closed in it.
const REFERRALS: u32 = 30_000;
const CONTACTS: u32 = 2;
/// What a rehearsal of it may take.
const TOOK_MAX: Duration = Duration::from_secs(30);
/// Peak resident memory of the command, in KiB.
const PEAK_MAX_KIB: u64 = 256 * 1024;
/// Between two looks at the command's memory.
const LOOK: Duration = Duration::from_millis(10);

fn main() {
    // `cargo test --benches` runs this without `--bench`: there is nothing to check then.
    if !std::env::args().any(|word| word == "--bench") {
        return;
    }
    let set = |name: &str, or: u32| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(or);
    let year = Year {
        referrals: set("FINGERPOST_REHEARSE_REFERRALS", REFERRALS),
        contacts: set("FINGERPOST_REHEARSE_CONTACTS", CONTACTS),
    };
    let made = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let kept = std::env::var_os("FINGERPOST_REHEARSE_KEEP").map(PathBuf::from);
    let folder = kept.unwrap_or_else(|| made.path().to_owned());
    let database = folder.join("fingerpost.db");
    let lived = database.exists();
    let mut well = judge("SQLite", &folder, &format!("sqlite:{}", database.display()), year, lived);
    if let Some(server) = postgres::start() {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        well &= judge("PostgreSQL", folder.path(), &server.url, year, false);
    }
    assert!(well, "slower than {TOOK_MAX:?}, or more than {PEAK_MAX_KIB} KiB");
}

/// Makes the year unless it is there, rehearses it, prints and judges.
fn judge(engine: &str, folder: &Path, store: &str, year: Year, lived: bool) -> bool {
    fs::create_dir_all(folder).unwrap();
    county::write_files(folder, store);
    if !lived {
        let began = Instant::now();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(county::live(folder, store, year));
        println!("{engine}: a year of {} referrals lived in {:.0?}", year.referrals, began.elapsed());
    }
    let all = rehearsed(folder, &["--config", "proposed.toml", "--running", "gateway.toml"], year.referrals.into());
    let alone = rehearsed(folder, &["--config", "proposed.toml"], year.referrals.into());
    let late =
        rehearsed(folder, &["--config", "proposed.toml", "--running", "gateway.toml", "--since", "2026-10-01"], 0);
    for (what, ran) in [("against gateway.toml", &all), ("alone", &alone), ("since October", &late)] {
        println!(
            "{engine}, {what}: {} referrals asked again, {} would move: {:.1} s, {} MiB at the most",
            ran.asked,
            ran.moved,
            ran.took.as_secs_f64(),
            ran.peak_kib / 1024
        );
    }
    [all, alone, late].iter().all(|ran| ran.took <= TOOK_MAX && ran.peak_kib <= PEAK_MAX_KIB)
}

/// One run of the command.
struct Ran {
    took: Duration,
    peak_kib: u64,
    asked: u64,
    moved: usize,
}

fn rehearsed(folder: &Path, args: &[&str], asked_min: u64) -> Ran {
    let out = folder.join("report.json");
    let began = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_fingerpost"))
        .args(["route", "rehearse", "--json"])
        .args(args)
        .env("FINGERPOST__LOG__FILTER", "error")
        .current_dir(folder)
        .stdout(Stdio::from(fs::File::create(&out).unwrap()))
        .spawn()
        .unwrap();
    let mut peak_kib = 0;
    let status = loop {
        peak_kib = peak_kib.max(high_water(child.id()));
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => std::thread::sleep(LOOK),
        }
    };
    let took = began.elapsed();
    assert!(status.success(), "{args:?}: {status}");
    let report: Value = serde_json::from_str(&fs::read_to_string(out).unwrap()).unwrap();
    let (asked, moved) = (report["asked"].as_u64().unwrap(), report["moved"].as_array().unwrap().len());
    assert!(asked >= asked_min && asked > 0 && moved > 0, "{asked} asked, {moved} moved");
    Ran { took, peak_kib, asked, moved }
}

/// Peak resident memory of a process until now, in KiB; 0 once it has ended.
fn high_water(process: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
