#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;

use super::*;
use crate::fhir::ids::OdsCode;

fn sefton() -> Place {
    Place::load("sefton", &PlaceFiles::shipped("sefton").unwrap()).unwrap()
}

fn with(edits: &[(&str, &str)]) -> Result<Place, Vec<crate::config::Fault>> {
    let mut files = PlaceFiles::shipped("sefton").unwrap();
    for (file, more) in edits {
        files.texts.get_mut(*file).unwrap().push_str(more);
    }
    Place::load("sefton", &files)
}

/// Sefton with the rows of each CSV file the other way round.
fn shuffled() -> Place {
    let mut files = PlaceFiles::shipped("sefton").unwrap();
    for (_, text) in files.texts.iter_mut().filter(|(name, _)| name.ends_with(".csv")) {
        let rows: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        *text = rows[..1].iter().chain(rows[1..].iter().rev()).map(|row| format!("{row}\n")).collect();
    }
    Place::load("sefton", &files).unwrap()
}

fn input(practice: &str, on: &str, restricted: bool) -> RouteInput {
    RouteInput { restricted, ..RouteInput::at(OdsCode::parse(practice).unwrap(), on.parse().unwrap()) }
}

#[test]
fn sefton_has_seven_networks_and_seven_and_a_half_link_workers() {
    let place = sefton();
    let on = "2026-01-05".parse().unwrap();
    assert_eq!(place.networks().len(), 7);
    assert_eq!(place.pools().iter().map(|pool| place.fte_present(&pool.id, on)).sum::<u32>(), 750);
    assert_eq!(place.practices().len(), 45);
    for practice in place.practices() {
        let decision = route(&place, &Loads::default(), input(practice.ods.as_str(), "2026-01-05", false));
        assert_eq!(decision.pcn, practice.pcn);
        assert_eq!(place.pool(&decision.pool, on).unwrap().serves, [Serves::Pcn(decision.pcn.unwrap())]);
    }
    assert_eq!(place.room("crosby-maghull", on), 86);
}

#[test]
fn a_practice_goes_to_its_networks_pool_and_the_reasons_say_why() {
    let decision = route(&sefton(), &[("formby", 3)].into(), input("N84626", "2026-01-05", false));
    assert_eq!(decision.pool, "formby");
    assert_eq!(
        decision.reasons,
        [
            "Hightown Village Surgery (N84626) is in Formby (FP-FORMBY) on 2026-01-05.",
            "Formby link workers is the network's only open pool (3 open, room for 57).",
        ]
    );
}

#[test]
fn a_restricted_record_goes_to_the_desk_and_nowhere_is_named() {
    let decision = route(&sefton(), &Loads::default(), input("N84626", "2026-01-05", true));
    assert_eq!((decision.pool.as_str(), decision.pcn), ("restricted", None));
    assert!(decision.reasons.iter().all(|reason| !reason.contains("Formby") && !reason.contains("Hightown")));
}

#[test]
fn nobody_is_lost_without_a_network_or_before_it_began() {
    let place = with(&[("practices.csv", "A81001,The Densham Surgery,,2020-01-01,,published,\n")]).unwrap();
    for (practice, on) in [("A81001", "2026-01-05"), ("N84626", "2010-01-01"), ("ZZZ99", "2026-01-05")] {
        let decision = route(&place, &Loads::default(), input(practice, on, false));
        assert_eq!(decision.pool, "unallocated");
        assert!(decision.reasons.last().unwrap().contains("within 72 hours"));
    }
}

#[test]
fn open_capacity_comes_first_then_the_least_loaded() {
    let more = "formby-2,Second pool,pcn:FP-FORMBY,Other (fictional),FPE08,,,,,yes,,yes,2019-07-01,,\n\
                formby-3,Closed pool,pcn:FP-FORMBY,Other (fictional),FPE09,,,,,yes,,no,2019-07-01,,\n\
                formby-4,Ended pool,pcn:FP-FORMBY,Other (fictional),FPE09,,,,,yes,,yes,2019-07-01,2020-01-01,\n";
    let crew = "w-2,Fictional,formby-2,,,mon-fri 09:00-17:00,no,,0.5,2019-07-01,,\n\
                w-3,Fictional,formby-3,,,mon-fri 09:00-17:00,no,,1,2019-07-01,,\n\
                w-4,Fictional,formby-4,,,mon-fri 09:00-17:00,no,,1,2019-07-01,,\n";
    let place = with(&[("pools.csv", more), ("workers.csv", crew)]).unwrap();
    let pool =
        |a: u64, b: u64| route(&place, &[("formby", a), ("formby-2", b)].into(), input("N84626", "2026-01-05", false));
    assert_eq!(pool(10, 4).pool, "formby-2", "8 a worker against 10");
    assert_eq!(pool(10, 5).pool, "formby", "a tie goes by id");
    assert_eq!(pool(57, 27).pool, "formby-2", "formby is full");
    assert_eq!(pool(57, 28).pool, "formby-2", "both are full: the least loaded");
    assert!(pool(57, 28).reasons[1].contains("Every open pool is full"));
    assert_eq!(pool(60, 28).passed_over.len(), 2);
    let none = route(&place, &Loads::default(), input("N84626", "2019-08-01", false));
    assert!(["formby", "formby-2", "formby-4"].contains(&none.pool.as_str()));
}

#[test]
fn a_move_between_networks_takes_effect_on_its_day() {
    let mut files = PlaceFiles::shipped("sefton").unwrap();
    let text = files.texts.get_mut("practices.csv").unwrap();
    *text = text.replace("FP-FORMBY,2019-07-01,,", "FP-FORMBY,2019-07-01,2025-03-31,");
    text.push_str("N84626,Hightown Village Surgery,U97058,2025-04-01,,invented,\n");
    let place = Place::load("sefton", &files).unwrap();
    assert_eq!(route(&place, &Loads::default(), input("N84626", "2025-03-31", false)).pool, "formby");
    assert_eq!(route(&place, &Loads::default(), input("N84626", "2025-04-01", false)).pool, "crosby-maghull");
}

#[test]
fn every_fault_of_a_place_is_listed_with_its_line() {
    let faults = with(&[
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
    ])
    .unwrap_err();
    let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
    for wanted in [
        "config/sefton/place.toml:39: desks[safeguarding].clock_hour: there is no such key; did you mean desks[].clock_hours?",
        "config/sefton/pools.csv:9: limit '-1' is negative (0 to 100000, or empty)",
        "config/sefton/pools.csv:10: open 'maybe' is not yes or no",
        "config/sefton/pools.csv:10: pool p2: there is no network U2 in networks.csv",
        "config/sefton/pools.csv:11: 'restricted' is the name of a desk in place.toml",
        "config/sefton/practices.csv:47: N84001 overlaps line 2, which has no valid_to",
        "config/sefton/practices.csv:48: ods 'X' is not an ODS code",
        "config/sefton/practices.csv:49: there is no network U1 in networks.csv",
        "config/sefton/practices.csv:50: valid_from '01/02/2020' is not a date such as 2026-01-31",
        "config/sefton/practices.csv:51: valid_to is before valid_from",
        "config/sefton/practices.csv:53: Y00004 has a gap after line 52: say with a row what holds between them",
        "config/sefton/practices.csv:54: has 2 cells, the header has 7",
        "config/sefton/practices.csv:55: network U97058 is not in force for the whole of this row",
    ] {
        assert!(texts.iter().any(|text| text == wanted), "{wanted}\nis not among\n{}", texts.join("\n"));
    }
    assert_eq!(texts.len(), 13, "{}", texts.join("\n"));
}

proptest! {
    #[test]
    fn routing_is_total_and_does_not_depend_on_order(
        practice in "[A-Z][0-9]{5}|N84001|N84004|N84626",
        day in 0i32..20_000, restricted: bool,
        caseloads in proptest::collection::vec(("[a-z-]{3,19}|formby|bootle|crosby-maghull", 0u64..200), 0..12),
    ) {
        let place = sefton();
        let on = jiff::civil::date(2000, 1, 1).checked_add(jiff::Span::new().days(day)).unwrap();
        let input = RouteInput { restricted, ..RouteInput::at(OdsCode::parse(&practice).unwrap(), on) };
        let loads = Loads { pools: caseloads.into_iter().collect(), ..Loads::default() };
        let decision = route(&place, &loads, input.clone());
        prop_assert!(place.knows_pool(&decision.pool));
        prop_assert!(!decision.reasons.is_empty());
        prop_assert_eq!(restricted, decision.pool == "restricted");
        let mut shuffled = shuffled();
        shuffled.version.clone_from(&place.version);
        prop_assert_eq!(&decision, &route(&shuffled, &loads, input));
    }
}
