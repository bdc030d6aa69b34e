//! `fingerpost places import` as a network manager runs it: shown first, written when asked, history
//! kept, nothing written when something is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The public map of January 2022.
const PUBLIC: &str = "../shared/payloads/ods/gp-reg-pat-prac-map-2022-01.csv";

struct Ran {
    code: i32,
    out: String,
    err: String,
}

fn import(place: &Path, file: &Path, more: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fingerpost"));
    command.args(["places", "import", "--epcn"]).arg(file).arg("--place").arg(place).args(more);
    let ran = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: ran.status.code().unwrap(), out: text(ran.stdout), err: text(ran.stderr) }
}

fn difference(place: &Path, file: &Path, more: &[&str]) -> Value {
    let ran = import(place, file, &[more, &["--json"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    serde_json::from_str::<Value>(&ran.out).unwrap()["difference"].clone()
}

fn codes(difference: &Value, kind: &str) -> Vec<String> {
    let all = difference[kind].as_array().unwrap();
    all.iter().map(|one| one["practice"].as_str().unwrap().to_owned()).collect()
}

fn all(folder: &Path) -> Vec<(String, String)> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).collect();
    files.sort();
    files.iter().map(|path| (path.display().to_string(), std::fs::read_to_string(path).unwrap())).collect()
}

/// The public map, and the same a year later: every tenth practice of the first 500 closed, every
/// seventh moved to the network of the row before it, two new ones.
fn public_and_later(folder: &Path) -> Option<(std::path::PathBuf, [Vec<String>; 3])> {
    let Ok(text) = std::fs::read_to_string(PUBLIC) else {
        println!("skipped: {PUBLIC} is not here");
        return None;
    };
    let (mut out, mut before) = (Vec::new(), String::new());
    let (mut opens, mut closes, mut moves) = (Vec::new(), Vec::new(), Vec::new());
    for (at, line) in text.lines().enumerate() {
        let mut cells: Vec<String> = line.replace("01Jan2022", "01-Jan-23").split(',').map(str::to_owned).collect();
        let network = cells.get(5).cloned().unwrap_or_default();
        let within = (1..500).contains(&at) && network.len() == 6 && before.len() == 6;
        if within && at % 10 == 0 {
            closes.push(cells[2].clone());
            continue;
        }
        if within && at % 7 == 0 && network != before {
            moves.push(cells[2].clone());
            cells[5].clone_from(&before);
        }
        before = network;
        out.push(cells.join(","));
    }
    for code in ["Y99998", "Y99999"] {
        opens.push(code.to_owned());
        out.push(format!("GP_PRAC_PAT_LIST,01-Jan-23,{code},NEW SURGERY,AA1 1AA,U89141,STOCKTON PCN,,16C,,,,,,,"));
    }
    let path = folder.join("later.csv");
    std::fs::write(&path, out.join("\n")).unwrap();
    Some((path, [opens, closes, moves]))
}

#[test]
fn the_public_map_of_england_is_taken_in_and_a_later_one_on_top_tells_exactly_what_changed() {
    let folder = tempfile::tempdir().unwrap();
    let Some((later, [opens, closes, moves])) = public_and_later(folder.path()) else { return };
    let place = folder.path().join("england");
    std::fs::create_dir(&place).unwrap();
    let shown = import(&place, Path::new(PUBLIC), &[]);
    assert_eq!(shown.code, 0, "{}", shown.err);
    assert!(shown.out.contains("6527 practices") && shown.out.contains("68 are in no network"), "{}", shown.out);
    assert!(shown.out.contains("A84035 Riversdale Surgery") && shown.out.contains("Nothing was changed"));
    assert!(all(&place).is_empty(), "showing writes nothing");
    let first = difference(&place, Path::new(PUBLIC), &["--apply"]);
    assert_eq!(codes(&first, "opens").len(), 6527);
    assert_eq!(codes(&first, "unallocated").len(), 68);
    assert_eq!(first["networks_new"].as_array().unwrap().len(), 1254, "and U, for none");
    let second = difference(&place, &later, &["--apply"]);
    for (kind, wanted) in [("opens", &opens), ("closes", &closes), ("moves", &moves)] {
        assert_eq!(&codes(&second, kind), wanted, "{kind}");
    }
    let kept = all(&place);
    assert!(difference(&place, &later, &["--apply"])["opens"].as_array().unwrap().is_empty());
    difference(&place, Path::new(PUBLIC), &["--apply"]);
    assert_eq!(all(&place), kept, "taken in again, either changes nothing");
}

#[test]
fn an_earlier_map_on_top_tells_the_same_and_takes_no_later_history_away() {
    let folder = tempfile::tempdir().unwrap();
    let Some((later, [opens, closes, moves])) = public_and_later(folder.path()) else { return };
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    for place in [&one, &other] {
        std::fs::create_dir(place).unwrap();
    }
    difference(&one, &later, &["--apply"]);
    let told = difference(&one, Path::new(PUBLIC), &["--apply"]);
    assert_eq!(told["before"], "2023-01-01");
    for (kind, wanted) in [("opens", &opens), ("closes", &closes), ("moves", &moves)] {
        assert_eq!(&codes(&told, kind), wanted, "{kind}");
    }
    difference(&other, Path::new(PUBLIC), &["--apply"]);
    difference(&other, &later, &["--apply"]);
    let periods = |place: &Path| {
        let mut rows = Vec::new();
        for row in csv::Reader::from_path(place.join("practices.csv")).unwrap().records() {
            let row = row.unwrap();
            rows.push([0, 2, 3, 4].map(|at| row[at].to_owned()));
        }
        rows.sort();
        rows
    };
    assert_eq!(periods(&one), periods(&other), "the order of taking them in does not matter");
}

fn sefton(folder: &Path) -> std::path::PathBuf {
    let place = folder.join("sefton");
    std::fs::create_dir(&place).unwrap();
    for entry in std::fs::read_dir("config/sefton").unwrap().flatten() {
        std::fs::copy(entry.path(), place.join(entry.file_name())).unwrap();
    }
    place
}

#[test]
fn a_place_keeps_its_own_rows_and_its_files_stay_sound() {
    let folder = tempfile::tempdir().unwrap();
    let place = sefton(folder.path());
    let kept = all(&place);
    let epcn = folder.path().join("epcn.csv");
    std::fs::write(
        &epcn,
        "N84001,42 KINGSWAY,01T,SEFTON,U97058,CROSBY AND MAGHULL PCN,01T,SEFTON,01/07/2019,31/12/2025,1\n\
         N84001,42 KINGSWAY,01T,SEFTON,U23717,SEAFORTH PCN,01T,SEFTON,01/01/2026,,1\n\
         A81001,DENSHAM,16C,TEES,U89141,STOCKTON PCN,16C,TEES,01/07/2019,,1\n",
    )
    .unwrap();
    let on = ["--on", "2026-02-01", "--known-only"];
    let shown = import(&place, &epcn, &on);
    assert_eq!(shown.code, 0, "{}", shown.err);
    assert!(shown.out.contains("N84001 42 Kingsway: U97058 -> U23717 from 2026-01-01"), "{}", shown.out);
    assert!(!shown.out.contains("A81001"));
    assert_eq!(all(&place), kept);
    assert_eq!(import(&place, &epcn, &[&on[..], &["--apply"]].concat()).code, 0);
    let practices = std::fs::read_to_string(place.join("practices.csv")).unwrap();
    let old = kept.iter().find(|(name, _)| name.ends_with("practices.csv")).unwrap();
    let same = practices.lines().filter(|line| old.1.lines().any(|before| before == *line)).count();
    assert_eq!(same, old.1.lines().count() - 1, "all other lines are as they were");
    assert!(practices.contains("2019-07-01,2025-12-31") && practices.contains("U23717,2026-01-01,"));
    let config = folder.path().join("gateway.toml");
    let text = format!("[gateway]\nmode = \"development\"\nconfig_dir = {:?}\n", folder.path().display().to_string());
    std::fs::write(&config, text).unwrap();
    let check =
        Command::new(env!("CARGO_BIN_EXE_fingerpost")).arg("check").arg("--config").arg(&config).output().unwrap();
    assert_eq!(check.status.code(), Some(0), "{}", String::from_utf8_lossy(&check.stdout));
}

#[test]
fn a_move_to_a_network_that_no_pool_serves_is_written_only_when_the_rest_may_follow() {
    let folder = tempfile::tempdir().unwrap();
    let place = sefton(folder.path());
    let kept = all(&place);
    let epcn = folder.path().join("epcn.csv");
    std::fs::write(&epcn, "N84001,42 KINGSWAY,01T,SEFTON,U99999,NEW PCN,01T,SEFTON,01/01/2026,,1\n").unwrap();
    let on = ["--on", "2026-02-01"];
    let shown = import(&place, &epcn, &on);
    assert_eq!(shown.code, 0, "{}", shown.err);
    assert!(
        shown.out.contains("1 faults are then to be mended") && shown.out.contains("reaches no pool"),
        "{}",
        shown.out
    );
    let refused = import(&place, &epcn, &[&on[..], &["--apply"]].concat());
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("reaches no pool") && refused.err.contains("--anyway"), "{}", refused.err);
    assert_eq!(all(&place), kept);
    assert_eq!(import(&place, &epcn, &[&on[..], &["--apply", "--anyway"]].concat()).code, 0);
    assert!(std::fs::read_to_string(place.join("practices.csv")).unwrap().contains("U99999,2026-01-01,"));
}

#[test]
fn what_cannot_be_taken_in_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let place = sefton(folder.path());
    let kept = all(&place);
    let refused = |text: &str, more: &[&str], code: i32, words: &str| {
        let file = folder.path().join("file.csv");
        std::fs::write(&file, text).unwrap();
        let ran = import(&place, &file, &[more, &["--apply"]].concat());
        assert_eq!(ran.code, code, "{words}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(words), "{words} is not in {}", ran.err);
        assert_eq!(all(&place), kept, "{words}");
    };
    let header = "EXTRACT_DATE,PRACTICE_CODE,PRACTICE_NAME,PCN_CODE,PCN_NAME\n";
    refused("what,is,this\n1,2,3\n", &[], 1, "none of the known forms");
    refused(&format!("{header}01Jan2026,N84001,A,U97058,B\n"), &[], 1, "would close 44 of 45 practices: is it whole?");
    refused(&format!("{header}01/13/2026,N84001,A,U97058,B\n"), &[], 1, "file.csv:2: EXTRACT_DATE '01/13/2026'");
    let twice = "N84001,A,,,U97058,B,,,20200101,,1\nN84001,A,,,U23717,C,,,20200101,,1\n";
    refused(twice, &[], 1, "N84001 is in U97058 (line 1) and in U23717");
    assert_eq!(import(&place, Path::new("/nowhere.csv"), &[]).code, 3);
    assert_eq!(import(Path::new("/nowhere"), &folder.path().join("file.csv"), &[]).code, 3);
    let usage =
        Command::new(env!("CARGO_BIN_EXE_fingerpost")).args(["places", "import", "--epcn", "x"]).output().unwrap();
    assert_eq!(usage.status.code(), Some(2), "the compiled-in place cannot be written");
}
