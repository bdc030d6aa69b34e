//! Commands with bad, missing and huge input: the exit code, what is said, and nothing on stdout.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/program.rs"]
mod program;

use std::fs;
use std::path::Path;

use program::{Ran, fingerpost};

const HUGE: usize = 100 * 1024 * 1024;
const NOBODY: &str = "6f0c5b1e-3f0a-5b7e-9d0b-0c6f3b1f2a4d";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("g.toml"), "[gateway]\nmode = \"development\"\n[store]\nurl = \"sqlite:s.db\"\n").unwrap();
    fs::File::create(at("nul.csv")).unwrap().set_len(HUGE as u64).unwrap();
    fs::write(at("empty.csv"), "").unwrap();
    fs::write(at("bad.xlsx"), b"PK\x03\x04junk").unwrap();
    fs::create_dir(at("place")).unwrap();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/sefton")).unwrap().flatten() {
        if entry.path().is_file() {
            fs::copy(entry.path(), at("place").join(entry.file_name())).unwrap();
        }
    }
    folder
}

/// Ends with `code`, says something that helps, and leaves stdout clean.
#[track_caller]
fn refused(folder: &Path, args: &[&str], code: i32, says: &str) -> Ran {
    let with: Vec<&str> = args.iter().copied().chain(["--config", "g.toml"]).collect();
    let ran = fingerpost(folder, &with, &[]).expect(code);
    assert!(ran.out.is_empty(), "{args:?}: {}", ran.out);
    assert!(ran.err.contains(says), "{args:?}: {}", ran.err);
    ran
}

#[test]
fn reference_data_that_is_none_is_refused_and_leaves_the_place_alone() {
    let folder = folder();
    fs::write(folder.path().join("rows.csv"), "a,b,c,d,e,f\n".repeat(HUGE / 12)).unwrap();
    let before = fs::read(folder.path().join("place/practices.csv")).unwrap();
    for (file, code, says) in [
        ("nul.csv", 1, "larger than 64 MiB"),
        ("rows.csv", 1, "larger than 64 MiB"),
        ("empty.csv", 1, "is empty"),
        ("bad.xlsx", 1, "damaged"),
        ("missing.csv", 3, "missing.csv"),
        ("place", 3, "place"),
    ] {
        refused(folder.path(), &["places", "import", "--epcn", file, "--place", "place", "--apply"], code, says);
    }
    refused(folder.path(), &["places", "import", "--epcn", "empty.csv", "--place", "nowhere"], 3, "nowhere");
    assert_eq!(fs::read(folder.path().join("place/practices.csv")).unwrap(), before);
}

#[test]
fn what_is_asked_wrongly_is_2_and_what_is_not_there_is_1() {
    let folder = folder();
    for (args, code, says) in [
        (&["route", "explain", NOBODY][..], 1, "no referral"),
        (&["route", "explain", "O'Zyx; drop"], 1, "no referral"),
        (&["route", "move", NOBODY, "--to", "bootle", "--reason", "a reason"], 1, "no such resource"),
        (&["route", "move", NOBODY, "--to", "bootle", "--reason", "x"], 1, "say why"),
        (&["route", "rehearse", "--since", "never"], 2, "--since"),
        (&["route", "rehearse", "--running", "missing.toml"], 2, "missing.toml"),
        (&["evaluate", "--from", "2026-01-01", "--to", "2025-01-01"], 2, "--from is after --to"),
        (&["evaluate", "--from", "2026-13-01"], 2, "--from"),
        (&["ledger", "--verify", "nul.csv", "--key", "nul.csv"], 1, "not JSON"),
        (&["ledger", "--verify", "missing", "--key", "missing"], 3, "missing"),
        (&["ledger", "--verify", "place", "--key", "place"], 3, "place"),
        (&["writeback", "list", "--state", "nonsense"], 2, "states are"),
        (&["writeback", "settle", "nobody"], 2, "nobody"),
    ] {
        refused(folder.path(), args, code, says);
    }
}

#[test]
fn an_nhs_number_typed_for_a_referral_does_not_reach_the_log() {
    let folder = folder();
    for args in [&["explain", "9990000018"][..], &["move", "9990000018", "--to", "bootle", "--reason", "a reason"]] {
        refused(folder.path(), &[&["route"], args].concat(), 1, "there is no");
    }
    let log = fingerpost(folder.path(), &["audit", "export", "--config", "g.toml"], &[]).expect(0);
    assert!(!log.out.contains("9990000018"), "{}", log.out);
}

#[test]
fn a_configuration_that_is_no_file_of_settings_is_refused_at_once() {
    let folder = folder();
    for (file, says) in [("nul.csv", "larger than"), ("place", "cannot be read"), ("missing.toml", "cannot be read")] {
        let ran = fingerpost(folder.path(), &["ledger", "--config", file], &[]).expect(2);
        assert!(ran.out.is_empty() && ran.err.contains(says), "{file}: {}", ran.err);
    }
}
