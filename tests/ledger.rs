//! The ledger as an IG lead and a commissioner use it: it adds up by practice and day, outcomes are
//! accounted for, a kept copy can be checked, and nothing in it can be changed unseen.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/program.rs"]
mod program;

use std::path::Path;

use program::fingerpost;
use serde_json::Value;

const SUMS: [&str; 7] = ["waiting", "open", "closed", "returned", "held", "withdrawn", "ignored"];

fn adds_up(totals: &Value) -> bool {
    let count = |word: &str| totals[word].as_u64().unwrap();
    count("received") == SUMS.iter().map(|word| count(word)).sum::<u64>()
}

/// A store with the demo's referrals, and the configuration that opens it.
fn played(folder: &Path) -> String {
    fingerpost(folder, &["demo", "--exit", "--data", "."], &[]).expect(0);
    let config = folder.join("gateway.toml");
    std::fs::write(&config, "[gateway]\nmode = \"development\"\n[store]\nurl = \"sqlite:fingerpost.db\"\n").unwrap();
    config.display().to_string()
}

#[test]
fn it_adds_up_by_practice_and_day_and_a_kept_copy_can_be_checked() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let config = played(folder);
    let run = |args: &[&str]| fingerpost(folder, &[&["ledger", "--config", &config], args].concat(), &[]);

    let ledger = run(&["--json", "--signed"]).expect(0).json();
    assert!(ledger["reconciles"] == true && adds_up(&ledger["totals"]), "{ledger:#}");
    let days = ledger["days"].as_array().unwrap();
    assert!(days.len() > 1 && days.iter().all(adds_up));
    assert!(days.iter().all(|day| day["day"].is_string()), "what was ignored has its day too");
    let some = days.iter().find(|day| day["ignored"] != 0).expect("the demo's extract has rows that are not ours");
    let (practice, day) = (some["practice"].as_str().unwrap(), some["day"].as_str().unwrap());
    let cell = run(&["--json", "--practice", practice, "--date", day]).expect(0).json();
    for word in SUMS.iter().chain(["received"].iter()) {
        assert_eq!(cell["totals"][word], some[word], "{word} of one practice and day");
    }
    let sum = |word: &str| days.iter().map(|day| day[word].as_u64().unwrap()).sum::<u64>();
    for word in SUMS.iter().chain(["received"].iter()) {
        assert_eq!(ledger["totals"][word], sum(word), "{word}");
    }
    let outcomes = &ledger["outcomes"];
    let count = |word: &str| outcomes[word].as_u64().unwrap();
    assert!(count("recorded") > 0);
    assert_eq!(count("recorded"), count("filed") + count("in_flight") + count("needs_person"));
    assert_eq!(outcomes["in_flight"], 0, "the demo ends with every entry in a record");

    let kept = folder.join("ledger.json");
    std::fs::write(&kept, serde_json::to_string(&ledger).unwrap()).unwrap();
    let check = |file: &Path, key: &str| {
        fingerpost(folder, &["ledger", "--verify", &file.display().to_string(), "--key", key], &[])
    };
    let key = std::fs::read_dir(folder)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.display().to_string().ends_with("audit-key.pub"));
    let key = key.unwrap().display().to_string();
    assert!(check(&kept, &key).expect(0).out.contains("unchanged"));
    let mut changed = ledger.clone();
    changed["totals"]["held"] = 0.into();
    let forged = folder.join("forged.json");
    std::fs::write(&forged, changed.to_string()).unwrap();
    assert!(check(&forged, &key).expect(1).err.contains("changed after it was signed"));
    check(&kept, "no-key").expect(2);
    std::fs::write(&forged, "{").unwrap();
    check(&forged, &key).expect(1);

    let csv = run(&["--csv"]).expect(0).out;
    assert!(csv.starts_with("practice,day,received,waiting,open,closed,returned,held,withdrawn,ignored\n"));
    assert_eq!(csv.lines().count(), days.len() + 1);
    let report = run(&["--fhir", "--signed", "--practice", "N84001"]).expect(0).json();
    assert_eq!((&report["resourceType"], &report["status"]), (&"MeasureReport".into(), &"complete".into()));
    assert_eq!(report["reporter"]["identifier"]["value"], "N84001");
    assert!(!report.to_string().contains("without a day"));
    std::fs::write(&kept, report.to_string()).unwrap();
    check(&kept, &key).expect(0);
    let summary = run(&["--json", "--summary"]).expect(0).json();
    assert!(summary.get("days").is_none() && summary.get("referrals").is_none());
    run(&["--signed"]).expect(2);
}

#[test]
fn a_persons_word_on_a_filing_is_checked_and_refusals_are_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let config = played(folder);
    let run = |args: &[&str]| fingerpost(folder, &[&["writeback"], args, &["--config", &config]].concat(), &[]);
    let filings = run(&["list", "--json"]).expect(0).json();
    let of = |state: &str| {
        let all = filings.as_array().unwrap();
        all.iter().find(|one| one["state"] == state).unwrap()["id"].as_str().unwrap().to_owned()
    };
    let (coded, text) = (of("filed"), of("filed-without-code"));
    assert!(run(&["retry", &coded, "--reason", "once more"]).expect(1).err.contains("it is filed"));
    let said = run(&["settle", &text, "--as", "filed", "--reason", "coded by hand for 999 000 0018"]).expect(1);
    assert!(said.err.contains("NHS number") && !said.err.contains("000 0018"), "{}", said.err);
    run(&["settle", &text, "--as", "filed", "--reason", " "]).expect(1);
    run(&["retry", "6f0c5b1e-3f0a-5b7e-9d0b-0c6f3b1f2a4d", "--reason", "nobody knows it"]).expect(1);
    run(&["settle", &text, "--as", "filed", "--reason", "coded by hand at the desk"]).expect(0);
    let log = fingerpost(folder, &["audit", "export", "--config", &config], &[]).expect(0).out;
    let words = log.lines().filter(|line| line.contains("writeback-word"));
    let (refused, done): (Vec<&str>, Vec<&str>) = words.partition(|line| line.contains("refused"));
    assert_eq!((refused.len(), done.len()), (4, 1));
    // Four digits alone may stand in a hash.
    assert!(!log.contains("by hand") && !log.contains("000 0018"), "no reason stands in the log");
    assert!(!log.contains("9990000018"), "no NHS number stands in the log");
    fingerpost(folder, &["audit", "verify", "--config", &config], &[]).expect(0);
    let ledger = fingerpost(folder, &["ledger", "--config", &config, "--json"], &[]).expect(0).json();
    assert_eq!(ledger["outcomes"]["recorded"], ledger["outcomes"]["filed"]);
}
