#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::fhir::ids::OdsCode;
use crate::routing::{Loads, PlaceFiles, RouteInput, route};

fn start() -> Timestamp {
    "2025-01-06T09:00:00Z".parse().unwrap()
}

fn load(files: &PlaceFiles) -> Place {
    Place::load("test", files).unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn sefton() -> PlaceFiles {
    PlaceFiles::shipped("sefton").unwrap()
}

/// Without the rows whose first or third cell is the pool, and with it in no other pool's lists.
fn without(files: &PlaceFiles, pool: &str) -> PlaceFiles {
    let mut files = files.clone();
    for (file, column) in [("pools.csv", 0), ("workers.csv", 2)] {
        let text = files.texts.get_mut(file).unwrap();
        let keep = |line: &&str| line.split(',').nth(column) != Some(pool);
        *text = text.lines().filter(keep).map(|line| format!("{line}\n")).collect();
    }
    files
}

/// What a gateway would have stored: decisions with the caseloads of their moment.
fn lived(place: &Place, arrivals: &[(i64, &str)], days_open: i64) -> Vec<Past> {
    let mut out: Vec<Past> = Vec::new();
    for (index, (hours, practice)) in arrivals.iter().enumerate() {
        let at = start() + SignedDuration::from_hours(*hours);
        let mut loads = Loads::default();
        for past in out.iter().filter(|past| past.ended.is_none_or(|ended| ended > at)) {
            *loads.pools.entry(past.decision.pool.to_string()).or_default() += 1;
        }
        let input = RouteInput::at(OdsCode::parse(practice).unwrap(), day(at));
        let decision = route(place, &loads, input).into();
        let ended = Some(at + SignedDuration::from_hours(24 * days_open));
        out.push(Past { referral: format!("r{index:05}"), at, decision, ended, person: Person::default() });
    }
    out
}

fn plan<'a>(old: Option<&'a Place>, new: &'a Place) -> Plan<'a> {
    Plan { old, new, since: None, measured: None, seed: SEED, deprivation: "", kept: Kept::default() }
}

const PRACTICES: [&str; 5] = ["N84001", "N84002", "N84004", "N84626", "N84012"];

fn busy_year() -> Vec<(i64, &'static str)> {
    (0..300_i64).map(|n| (n * 29, PRACTICES[usize::try_from(n * n % 5).unwrap()])).collect()
}

#[test]
fn an_unchanged_place_moves_nobody() {
    let place = load(&sefton());
    let past = lived(&place, &busy_year(), 80);
    for old in [None, Some(&place)] {
        let report = rehearse(&plan(old, &place), &past);
        assert_eq!((report.asked, report.moved.len(), report.drift.len()), (300, 0, 0));
        assert_eq!(report.waits.before.is_some(), old.is_some());
    }
}

#[test]
fn the_same_rules_under_another_version_move_nobody() {
    let (place, mut files) = (load(&sefton()), sefton());
    files.texts.get_mut("pools.csv").unwrap().push_str("# a remark\n");
    let new = load(&files);
    assert_ne!(place.version, new.version);
    let report = rehearse(&plan(Some(&place), &new), &lived(&place, &busy_year(), 80));
    assert_eq!((report.moved.len(), report.drift.len()), (0, 0));
}

#[test]
fn removing_a_pool_moves_exactly_its_referrals_and_says_why() {
    let (place, new) = (load(&two_pools()), load(&without(&two_pools(), "a-1")));
    let past = lived(&place, &busy_year_of("P00000"), 30);
    let report = rehearse(&plan(None, &new), &past);
    let moved: BTreeSet<&str> = report.moved.iter().map(|one| one.referral.as_str()).collect();
    let its: BTreeSet<&str> =
        past.iter().filter(|past| &*past.decision.pool == "a-1").map(|past| past.referral.as_str()).collect();
    assert_eq!(moved, its);
    assert!(its.len() > 50, "both pools had some");
    assert!(report.moved.iter().all(|one| one.to == "a-2" && !one.why.is_empty() && !one.knock_on));
    assert_eq!(
        report.pools.iter().map(|line| line.referrals).collect::<Vec<_>>(),
        [(its.len() as u64, 0), (past.len() as u64 - its.len() as u64, past.len() as u64)]
    );
}

#[test]
fn a_referral_placed_by_hand_stays_and_one_of_earlier_files_is_told() {
    let (place, new) = (load(&two_pools()), load(&without(&two_pools(), "a-1")));
    let mut past = lived(&place, &busy_year_of("P00000"), 30);
    past[0].decision.by_hand = true;
    past[0].decision.pool = "a-1".into();
    past[1].decision.version = "earlier".into();
    let elsewhere = if &*past[1].decision.pool == "a-1" { "a-2" } else { "a-1" };
    past[1].decision.pool = elsewhere.into();
    let report = rehearse(&plan(Some(&place), &new), &past);
    assert_eq!(report.by_hand, 1);
    assert!(report.moved.iter().all(|one| one.referral != "r00000"));
    assert_eq!(report.drift.iter().map(|one| one.referral.as_str()).collect::<Vec<_>>(), ["r00001"]);
}

#[test]
fn only_referrals_since_the_day_are_asked_again() {
    let (place, new) = (load(&two_pools()), load(&without(&two_pools(), "a-1")));
    let past = lived(&place, &busy_year_of("P00000"), 30);
    let since = "2025-06-01".parse().unwrap();
    let report = rehearse(&Plan { since: Some(since), ..plan(None, &new) }, &past);
    assert!(report.earlier > 0 && report.asked + report.earlier == past.len() as u64);
    assert!(report.moved.iter().all(|one| one.on >= since));
    assert_eq!(report.days.unwrap().from, since);
    let nothing = rehearse(&plan(None, &new), &[]);
    assert_eq!((nothing.asked, nothing.days), (0, None));
    assert!(shown(&nothing, &|rows| format!("{rows:?}")).contains("Nobody would move"));
}

#[test]
fn the_order_of_what_was_stored_does_not_matter_and_the_seed_does_not_drift() {
    let (place, new) = (load(&two_pools()), load(&without(&two_pools(), "a-1")));
    let mut past = lived(&place, &busy_year_of("P00000"), 30);
    let report = rehearse(&plan(Some(&place), &new), &past);
    past.reverse();
    assert_eq!(report, rehearse(&plan(Some(&place), &new), &past));
    assert_eq!(report.seed, SEED);
}

#[test]
fn fewer_link_workers_make_longer_waits() {
    let (place, new) = (load(&two_pools()), load(&without(&two_pools(), "a-1")));
    let crowd: Vec<(i64, &str)> = (0..600).map(|n| (n * 14, "P00000")).collect();
    let report = rehearse(&plan(Some(&place), &new), &lived(&place, &crowd, 80));
    let (before, after) = (report.waits.before.unwrap(), report.waits.after);
    assert_eq!((before.people, after.people), (600, 600));
    assert!(before.median_days.unwrap() < 10, "{before:?}");
    assert!(after.median_days.is_none_or(|days| days > 20), "{after:?}");
    assert!(report.pools[1].open_by_week.1.iter().max() > report.pools[1].open_by_week.0.iter().max());
}

#[test]
fn small_groups_are_hidden_and_nothing_names_anybody() {
    let (place, new) = (load(&two_pools()), load(&without(&two_pools(), "a-1")));
    let mut past = lived(&place, &busy_year_of("P00000"), 30);
    for (index, past) in past.iter_mut().enumerate() {
        let ethnicity = ["A", "A", "Z", "99"][index % 4];
        past.person = Person {
            age: u8::try_from(20 + index % 60).ok(),
            sex: Some(["female", "male"][index % 2].into()),
            ethnicity: Some(if index < 3 { "G" } else { ethnicity }.into()),
            language: None,
            decile: None,
        };
    }
    let report = rehearse(&Plan { deprivation: "IoD 2025", ..plan(None, &new) }, &past);
    let by = |name: &str| &report.equity.iter().find(|table| table.by == name).unwrap().groups;
    let hidden: Vec<&str> =
        by("ethnicity").iter().filter(|group| group.people.is_none()).map(|group| group.group.as_str()).collect();
    assert_eq!(hidden.len(), 2, "the three and one more, or they were found by subtraction: {hidden:?}");
    assert!(hidden.contains(&"G any other mixed"));
    assert!(
        by("ethnicity").iter().any(|group| group.group == "Z not stated")
            && by("ethnicity").iter().any(|g| g.group == "99 not known")
    );
    assert_eq!(by("deprivation decile").iter().map(|group| group.group.as_str()).collect::<Vec<_>>(), ["unknown"]);
    let text = shown(&report, &|rows| rows.iter().map(|row| row.join(" | ")).collect::<Vec<_>>().join("\n"));
    for wanted in ["would move", "hidden", "IoD 2025", "The seed of the draws is 20190701", "Nothing was stored"] {
        assert!(text.contains(wanted), "{wanted} is not in\n{text}");
    }
}

/// This thread's processor time, to which a busy machine adds nothing; elsewhere than on Linux, none.
fn spent() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(told.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0))
}

#[test]
fn a_countys_year_takes_seconds() {
    let files = PlaceFiles::shipped("lincolnshire").unwrap();
    let mut proposed = files.clone();
    let pools = proposed.texts.get_mut("pools.csv").unwrap();
    // One network changes its scheme.
    *pools = pools.replace(";pcn:U75268", "").replace("pcn:U17012", "pcn:U75268;pcn:U17012");
    let (place, new) = (load(&files), load(&proposed));
    let codes: Vec<&str> = place.practices().iter().map(|practice| practice.ods.as_str()).collect();
    // Each decision by the caseloads of its own day: making them one after the other is not what is timed.
    let past: Vec<Past> = (0..30_000_usize)
        .map(|n| {
            let hours = i64::try_from(n * 8_760 / 30_000).unwrap();
            let mut one = lived(&place, &[(hours, codes[n * 7 % codes.len()])], 80).remove(0);
            one.decision.seen.clear();
            Past { referral: format!("r{n:05}"), ..one }
        })
        .collect();
    let began = spent();
    let report = rehearse(&plan(Some(&place), &new), &past);
    let took = spent() - began;
    println!("30,000 referrals rehearsed in {took:?}; {} would move", report.moved.len());
    assert!(report.asked == 30_000 && report.moved_by.proposal > 1_000, "{:?}", report.moved_by);
    assert!(took.as_secs() < 15, "{took:?}");
}

fn busy_year_of(practice: &'static str) -> Vec<(i64, &'static str)> {
    (0..300).map(|n| (n * 29, practice)).collect()
}

/// One network with two pools, two full-time link workers each.
fn two_pools() -> PlaceFiles {
    place_of(&[&[200, 200]])
}

/// A place of networks A, B ... with pools `a-1`, `a-2` ... of so many hundredths of full-time.
fn place_of(networks: &[&[u32]]) -> PlaceFiles {
    let mut files = sefton();
    let mut set = |file: &str, text: String| drop(files.texts.insert(file.to_owned(), text));
    let (mut nets, mut practices) = (
        String::from("code,name,valid_from,valid_to,basis,note\n"),
        String::from("ods,name,pcn,valid_from,valid_to,basis,note\n"),
    );
    let mut pools = String::from(
        "id,name,serves,employer,employer_code,limit,overflow,takes_overflow_from,cover,interpreter,first_contact_days,open,valid_from,valid_to,note\n",
    );
    let mut workers = String::from("id,name,pool,sex,languages,days,home_visits,skills,fte,valid_from,valid_to,note\n");
    for (index, fte) in networks.iter().enumerate() {
        let letter = char::from(b'a' + u8::try_from(index).unwrap());
        nets.push_str(&format!("FP-{letter},Network {letter},2019-07-01,,invented,\n"));
        practices.push_str(&format!("P0000{index},Practice {letter},FP-{letter},2019-07-01,,invented,\n"));
        for (n, fte) in fte.iter().enumerate() {
            let pool = format!("{letter}-{}", n + 1);
            pools.push_str(&format!(
                "{pool},Pool {pool},pcn:FP-{letter},Nobody (fictional),FPE01,,,,,yes,,yes,2019-07-01,,\n"
            ));
            // Nobody is more than full-time.
            for (who, part) in
                (0..).map(|who| (who, fte.saturating_sub(100 * who).min(100))).take_while(|one| one.1 > 0)
            {
                workers.push_str(&format!(
                    "w-{pool}-{who},Somebody (fictional),{pool},female,,mon-fri 09:00-17:00,yes,,{}.{:02},2019-07-01,,\n",
                    part / 100,
                    part % 100
                ));
            }
        }
    }
    set("networks.csv", nets);
    set("practices.csv", practices);
    set("pools.csv", pools);
    set("workers.csv", workers);
    files
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn on_any_place_no_change_moves_nobody_and_a_lost_pool_moves_its_own(
        networks in proptest::collection::vec(proptest::collection::vec(25u32..300, 2..4), 1..4),
        arrivals in proptest::collection::vec((0i64..4_000, 0usize..4), 1..60),
        days_open in 1i64..120,
    ) {
        let shape: Vec<&[u32]> = networks.iter().map(Vec::as_slice).collect();
        let files = place_of(&shape);
        let place = load(&files);
        let codes = ["P00000", "P00001", "P00002", "P00003"];
        let mut arrivals: Vec<(i64, &str)> = arrivals.iter().map(|(at, n)| (*at, codes[n % networks.len()])).collect();
        arrivals.sort_by_key(|(at, _)| *at);
        let past = lived(&place, &arrivals, days_open);
        prop_assert_eq!(rehearse(&plan(None, &place), &past).moved.len(), 0);
        let new = load(&without(&files, "a-1"));
        let report = rehearse(&plan(Some(&place), &new), &past);
        let own: BTreeSet<&str> = report.moved.iter().filter(|one| !one.knock_on).map(|one| one.referral.as_str()).collect();
        let its: BTreeSet<&str> = past.iter().filter(|past| &*past.decision.pool == "a-1").map(|past| past.referral.as_str()).collect();
        prop_assert_eq!(own, its);
        // What only caseloads move stays in the network whose pool was lost.
        prop_assert!(report.moved.iter().all(|one| one.from.starts_with('a') && one.to.starts_with('a')));
    }
}
