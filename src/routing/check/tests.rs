#![allow(clippy::unwrap_used)]

use crate::config::Fault;
use crate::routing::{Place, PlaceFiles};

/// Sefton's faults with texts put at the end of its files.
fn faults(edits: &[(&str, &str)]) -> Vec<String> {
    let mut files = PlaceFiles::shipped("sefton").unwrap();
    for (file, more) in edits {
        files.texts.entry((*file).to_owned()).or_default().push_str(more);
    }
    Place::survey("sefton", &files).1.iter().map(ToString::to_string).collect()
}

/// Sefton's faults with some cells of a pool's row changed.
fn changed(pool: &str, cells: &[(&str, &str)]) -> Vec<String> {
    let mut files = PlaceFiles::shipped("sefton").unwrap();
    let text = files.texts.get_mut("pools.csv").unwrap();
    let columns: Vec<String> = text.lines().next().unwrap().split(',').map(str::to_owned).collect();
    let row = |line: &str| {
        let mut row: Vec<&str> = line.split(',').collect();
        if row[0] == pool {
            for (column, value) in cells {
                row[columns.iter().position(|name| name == column).unwrap()] = value;
            }
        }
        row.join(",") + "\n"
    };
    *text = text.lines().map(row).collect();
    Place::survey("sefton", &files).1.iter().map(Fault::to_string).collect()
}

fn all_there(texts: &[String], wanted: &[&str]) {
    for text in wanted {
        assert!(texts.iter().any(|is| is == text), "{text}\nis not among\n{}", texts.join("\n"));
    }
    assert_eq!(texts.len(), wanted.len(), "{}", texts.join("\n"));
}

#[test]
fn every_fault_of_rows_is_listed_with_its_line() {
    let texts = faults(&[
        (
            "practices.csv",
            "N84001,Twice,U97058,2020-01-01,,invented,\n\
             X,Bad code,U97058,2020-01-01,,invented,\n\
             Y00001,Bad network,U1,2020-01-01,,invented,\n\
             Y00002,Bad date,U97058,01/02/2020,,invented,\n\
             Y00003,Back to front,U97058,2020-01-02,2020-01-01,invented,\n\
             Y00004,Gap,U97058,2020-01-01,2020-02-01,invented,\n\
             Y00004,Gap,U97058,2020-03-01,,invented,\n\
             Y00005,Short\n\
             Y00006,Too early,U97058,2010-01-01,,invented,\n",
        ),
        (
            "pools.csv",
            "p1,Negative,pcn:U97058,E,FPE10,-1,,,,yes,,yes,2019-07-01,,\n\
             p2,No network,pcn:U2,E,FPE10,,,,,yes,,maybe,2019-07-01,,\n\
             restricted,Desk,pcn:U97058,E,FPE10,,,,,yes,,yes,2019-07-01,,\n",
        ),
        ("place.toml", "clock_hour = 1\n"),
    ]);
    all_there(
        &texts,
        &[
            "config/sefton/place.toml:39: desks[safeguarding].clock_hour: there is no such key; did you mean desks[].clock_hours?",
            "config/sefton/pools.csv:9: limit '-1' is negative (0 to 100000, or empty)",
            "config/sefton/pools.csv:10: open 'maybe' is not yes or no",
            "config/sefton/pools.csv:10: pool p2: there is no network U2 in networks.csv",
            "config/sefton/pools.csv:11: pool restricted: 'restricted' is the name of a desk in place.toml",
            "config/sefton/practices.csv:47: N84001 overlaps line 2, which has no valid_to",
            "config/sefton/practices.csv:48: ods 'X' is not an ODS code",
            "config/sefton/practices.csv:49: there is no network U1 in networks.csv",
            "config/sefton/practices.csv:50: valid_from '01/02/2020' is not a date such as 2026-01-31",
            "config/sefton/practices.csv:51: valid_to is before valid_from",
            "config/sefton/practices.csv:53: Y00004 has a gap after line 52: say with a row what holds between them",
            "config/sefton/practices.csv:54: has 2 cells, the header has 7",
            "config/sefton/practices.csv:55: network U97058 is not in force for the whole of this row",
            "config/sefton/pools.csv:9: pool p1 has no link worker in workers.csv from 2019-07-01 on",
            "config/sefton/pools.csv:11: pool restricted has no link worker in workers.csv from 2019-07-01 on",
        ],
    );
}

#[test]
fn every_fault_of_pools_and_people_is_listed_with_its_line() {
    let circle = changed("bootle", &[("cover", "crosby-maghull")]);
    all_there(
        &circle,
        &["config/sefton/pools.csv:8: pool bootle: cover runs in a circle: \
           crosby-maghull -> seaforth-litherland -> bootle -> crosby-maghull"],
    );
    let row = |id: &str, columns: &str| format!("{id},P,pcn:U97058,E,FPE10,{columns},2019-07-01,,\n");
    let pools = [
        row("p1", ",p1,,nowhere,yes,,yes"),
        row("p2", ",formby;formby,,restricted,yes,,yes"),
        row("p3", ",,,,yes,ten,yes"),
    ];
    let worker = |id: &str, columns: &str| format!("{id},W,{columns},2019-07-01,,\n");
    let workers = [
        worker("w1", "p1,female,,mon 09:00-17:00; mon 16:00-18:00,yes,,1"),
        worker("w2", "p2,woman,English,mon 09:00-17:00,yes,,1.01"),
        worker("w3", "p3,male,,Mondays,yes,,0"),
        worker("w4", "south,,,mon 09:00-17:00,yes,,0.6"),
        worker("w4", "p3,male,,mon 09:00-17:00,yes,,0.6"),
        worker("w3", "p3,male,,mon 09:00-17:00,maybe,,-1"),
    ];
    let absences = "worker,from,to,note\nw1,2026-01-05,2026-01-09,\nw1,2026-01-09,,\nw9,2026-01-05,,\nw2,05/01/2026,,\n\
                    w2,2026-01-09,2026-01-05,\n";
    let venues = "\u{feff}id,pool,name,postcode,accessible,valid_from,valid_to,note\nv1,p9,Hall,SOMEWHERE ELSE,yes,2019-07-01,,\n";
    let texts = faults(&[
        ("pools.csv", &pools.concat()),
        ("workers.csv", &workers.concat()),
        ("absences.csv", absences),
        ("venues.csv", venues),
    ]);
    all_there(
        &texts,
        &[
            "config/sefton/pools.csv:9: pool p1: cover 'nowhere' is no pool in pools.csv",
            "config/sefton/pools.csv:9: pool p1: overflow 'p1' is the pool itself",
            "config/sefton/pools.csv:9: pool p1: overflow to 'p1' without consent: p1 has no takes_overflow_from p1",
            "config/sefton/pools.csv:10: pool p2: cover 'restricted' is a desk, not a pool",
            "config/sefton/pools.csv:10: pool p2: overflow 'formby' stands there twice",
            "config/sefton/pools.csv:10: pool p2: overflow to 'formby' without consent: formby has no takes_overflow_from p2",
            "config/sefton/pools.csv:11: first_contact_days 'ten' is not a whole number (0 to 250, or empty)",
            "config/sefton/workers.csv:11: worker w1: two shifts at one time on Monday",
            "config/sefton/workers.csv:12: sex 'woman' is not female, male or empty",
            "config/sefton/workers.csv:12: worker w2: fte is not from 0.01 to 1.00: a row is one person",
            "config/sefton/workers.csv:12: worker w2: language 'English' is not a language code such as ur",
            "config/sefton/workers.csv:13: days 'Mondays' is not such as mon-fri 09:00-17:00",
            "config/sefton/workers.csv:13: worker w3: fte is not from 0.01 to 1.00: a row is one person",
            "config/sefton/workers.csv:14: worker w4: pool 'south' is not in pools.csv",
            "config/sefton/workers.csv:14: worker w4: sex is said otherwise in another row",
            "config/sefton/workers.csv:14: worker w4: works more than full-time on 2019-07-01 in all pools together",
            "config/sefton/workers.csv:15: worker w4: sex is said otherwise in another row",
            "config/sefton/workers.csv:15: worker w4: works more than full-time on 2019-07-01 in all pools together",
            "config/sefton/workers.csv:16: fte '-1' is negative",
            "config/sefton/workers.csv:16: home_visits 'maybe' is not yes or no",
            "config/sefton/workers.csv:16: worker w3 of p3 overlaps line 13, which has no end",
            "config/sefton/absences.csv:3: absence of w1 overlaps line 2",
            "config/sefton/absences.csv:4: absence of 'w9', who is not in workers.csv",
            "config/sefton/absences.csv:5: from '05/01/2026' is not a date such as 2026-01-31",
            "config/sefton/absences.csv:6: to is before from",
            "config/sefton/venues.csv:2: venue v1: pool 'p9' is not in pools.csv",
            "config/sefton/venues.csv:2: venue v1: postcode is not one such as PE37 7AA",
        ],
    );
}

#[test]
fn every_fault_of_rules_is_listed_with_its_line() {
    let mut files = PlaceFiles::shipped("sefton").unwrap();
    let rules = r#"
[[rule]]
name = "a"
when.practice = ["N84001", "Y99999", "?"]
when.network = ["U97058", "U0"]
when.cluster = "Fens"
when.district = "L20"
to.pools = ["formby", "south", "restricted", "formby"]

[[rule]]
name = "b"
when.age = "64-18"
when.need = ["871731000000107"]
when.language = []
when.day = "Monday"
when.source = "gp"
when.sex = "female"
to.own = "network"
to.desk = "front"

[[rule]]
name = "a"
when.network = ["U97058", "U23717"]
to.desk = "front"

[[rule]]
name = "c"
when.network = "U97058"
when.age = "65+"
to.pools = ["formby"]

[[rule]]
name = "d"
when.practice = "N84626"
to.pools = ["bootle"]
"#;
    files.texts.insert("routing.toml".into(), rules.into());
    let texts: Vec<String> = Place::survey("sefton", &files).1.iter().map(ToString::to_string).collect();
    let (rules, others): (Vec<String>, Vec<String>) = texts.into_iter().partition(|text| text.contains("routing.toml"));
    let at = |line: usize, text: &str| format!("config/sefton/routing.toml:{line}: {text}");
    let sources = "general-practice, mental-health, self-referral, agency"
        .split(", ")
        .map(|w| format!("`{w}`"))
        .collect::<Vec<_>>();
    let wanted = [
        at(4, "rule[0].when.practice: '?' is not an ODS code"),
        at(4, "rule 'a': when.practice 'Y99999' is not in practices.csv"),
        at(5, "rule 'a': when.network 'U0' is not in networks.csv"),
        at(6, "rule 'a': when.cluster 'Fens' has no practice in practices.csv"),
        at(7, "rule 'a': when.district 'L20' needs districts = true in place.toml"),
        at(8, "rule 'a': to.pools 'south' is no pool in pools.csv"),
        at(8, "rule 'a': to.pools 'restricted' is a desk: use to.desk"),
        at(8, "rule 'a': to.pools 'formby' stands there twice"),
        at(10, "rule[1]: needs exactly one of to.pools, to.own and to.desk"),
        at(12, "rule[1].when.age: '64-18' goes back: the first age is the lower"),
        at(13, "rule[1].when.need: '871731000000107' fails its check digit"),
        at(14, "rule[1].when.language: names nothing"),
        at(15, "rule[1].when.day: 'Monday' is not one of mon, tue, wed, thu, fri, sat, sun"),
        at(16, &format!("rule[1].when.source: 'gp' is not known: one of {}", sources.join(", "))),
        at(17, "rule[1].when.sex: there is no such key; did you mean rule[].when.age?"),
        at(21, "rule 'a' has the name of line 2"),
        at(24, "rule 'a': to.desk 'front' is no desk in place.toml"),
        at(26, "rule 'c' is never reached: 'a' (line 21) applies before it"),
        at(32, "the last rule must ask nothing (no when), so that every practice reaches a pool"),
    ];
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    all_there(&rules, &wanted);
    assert!(others.iter().any(|text| text
        == "config/sefton/practices.csv:3: N84002 in FP-BOOTLE (and 6 more of its network) reaches no pool that takes \
            referrals from 2019-07-01 on"));
    assert_eq!(others.len(), 5, "the networks that no rule names: {others:?}");
}

#[test]
fn rules_that_hide_each_other_are_told_apart_from_those_that_do_not() {
    let rules = |text: &str| {
        let mut files = PlaceFiles::shipped("sefton").unwrap();
        files.texts.insert("routing.toml".into(), format!("{text}\n[[rule]]\nname = \"last\"\nto.own = \"network\"\n"));
        let (_, faults) = Place::survey("sefton", &files);
        faults.iter().map(|fault| format!("{}: {}", fault.line, fault.text)).collect::<Vec<_>>()
    };
    let rule = |name: &str, when: &str, to: &str| format!("[[rule]]\nname = \"{name}\"\n{when}\n{to}\n");
    let both = rule("a", "when.evening = true", "to.pools = \"formby\"")
        + &rule("b", "when.evening = true", "to.pools = \"bootle\"");
    assert_eq!(rules(&both), ["5: rule 'b' asks the same as 'a' (line 1) but leads elsewhere"]);
    let wider = rule("a", "when.age = \"18-64\"", "to.pools = \"formby\"")
        + &rule("b", "when.age = \"20-30\"\nwhen.evening = true", "to.pools = \"bootle\"");
    assert_eq!(rules(&wider), ["5: rule 'b' is never reached: 'a' (line 1) applies before it"]);
    let by_practice = rule("a", "when.network = \"FP-FORMBY\"", "to.pools = \"formby\"")
        + &rule("b", "when.practice = \"N84626\"", "to.pools = \"bootle\"");
    assert_eq!(rules(&by_practice), ["5: rule 'b' is never reached: 'a' (line 1) applies before it"]);
    let apart = rule("a", "when.age = \"18-64\"", "to.pools = \"formby\"")
        + &rule("b", "when.age = \"60-70\"", "to.pools = \"bootle\"");
    assert!(rules(&apart).is_empty());
    let no_clusters = rule("a", "", "to.own = \"cluster\"");
    assert!(rules(&no_clusters).is_empty(), "practices in no cluster pass it by");
}

#[test]
fn a_pool_that_closes_must_leave_its_practices_somewhere() {
    let closed = changed("bootle", &[("open", "no"), ("overflow", "")]);
    all_there(
        &closed,
        &["config/sefton/practices.csv:3: N84002 in FP-BOOTLE (and 6 more of its network) reaches no pool that takes \
           referrals from 2019-07-01 on"],
    );
    let covered = changed("seaforth-litherland", &[("open", "no")]);
    all_there(&covered, &[]);
    let ends = changed("bootle", &[("valid_to", "2026-03-31")]);
    all_there(
        &ends,
        &["config/sefton/practices.csv:3: N84002 in FP-BOOTLE (and 6 more of its network) reaches no pool that takes \
           referrals from 2026-04-01 on"],
    );
}

#[test]
fn a_byte_order_mark_and_other_line_ends_are_taken() {
    let mut files = PlaceFiles::shipped("sefton").unwrap();
    for text in files.texts.values_mut() {
        *text = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    }
    let (place, faults) = Place::survey("sefton", &files);
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!((place.workers().len(), place.rules().len()), (8, 2));
}
