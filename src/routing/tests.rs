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
            "The rule 'own network' applies: Each of the seven networks has its own link workers, who know its streets \
             and groups.",
            "Formby link workers is the only pool that is asked (3 open, room for 57).",
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
    assert!(pool(57, 28).reasons[2].contains("Every pool that can take the person is full"));
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

/// A made-up place: two networks, and what a test adds.
/// `pools` are rows between spaces, up to the column `open`.
fn made(pools: &str, workers: &str, more: &[(&str, &str)]) -> Place {
    let mut files = PlaceFiles::shipped("sefton").unwrap();
    let mut set = |file: &str, text: String| drop(files.texts.insert(file.to_owned(), text));
    let shipped = PlaceFiles::shipped("sefton").unwrap().texts;
    let header = |file: &str| shipped[file].lines().find(|line| !line.starts_with('#')).unwrap().to_owned();
    set(
        "networks.csv",
        "code,name,valid_from,valid_to,basis,note\nU1,East,2019-07-01,,invented,\nU2,West,2019-07-01,,invented,\n"
            .into(),
    );
    set(
        "practices.csv",
        "ods,name,pcn,cluster,valid_from,valid_to,basis,note\nE0001,East Surgery,U1,Fens,2019-07-01,,invented,\n\
         W0001,West Surgery,U2,,2019-07-01,,invented,\n"
            .into(),
    );
    let rows =
        |text: &str, tail: &str| -> String { text.split_whitespace().map(|row| format!("{row}{tail}\n")).collect() };
    set("pools.csv", format!("{}\n{}", header("pools.csv"), rows(pools, ",yes,2019-07-01,,")));
    set("workers.csv", format!("{}\n{}", header("workers.csv"), workers));
    set("routing.toml", "[[rule]]\nname = \"own\"\nto.own = \"network\"\n".into());
    for (file, text) in more {
        set(file, (*text).to_owned());
    }
    Place::load("made", &files).unwrap_or_else(|faults| panic!("{faults:?}"))
}

/// East with neighbours: `east` (limit 5) overflows to `west`, which consents; `west` covers `east`.
fn east_and_west(more: &[(&str, &str)]) -> Place {
    made(
        "east,East_pool,pcn:U1,Fens_Help,FPE01,5,west,,west,yes,10 west,West_pool,pcn:U2,Wash_Help,FPE02,,,east,,no,",
        "e1,Ann,east,female,ur,mon-fri 09:00-17:00,yes,debt,1,2019-07-01,,\n\
         e2,Bob,east,male,,sat 09:00-13:00; wed 12:00-19:00,no,,0.5,2019-07-01,,\n\
         w1,Cat,west,female,pl,mon-sun 09:00-17:00,yes,debt,1,2019-07-01,,\n",
        more,
    )
}

fn east(change: impl FnOnce(&mut RouteInput)) -> RouteInput {
    let mut input = input("E0001", "2026-01-07", false);
    change(&mut input);
    input
}

fn chosen(place: &Place, loads: &Loads, input: RouteInput) -> (String, Option<String>) {
    let decision = route(place, loads, input);
    (decision.pool, decision.worker)
}

fn pair(pool: &str, worker: &str) -> (String, Option<String>) {
    (pool.to_owned(), Some(worker.to_owned()))
}

/// What a referral asks for.
type Ask = Box<dyn FnOnce(&mut RouteInput)>;

#[test]
fn what_is_asked_for_is_met_by_one_link_worker_or_by_who_stands_in() {
    let place = east_and_west(&[]);
    let asks: Vec<(Ask, _)> = vec![
        (Box::new(|_| {}), pair("east", "e1")),
        (Box::new(|i| i.worker_sex = Some(Sex::Male)), pair("east", "e2")),
        (Box::new(|i| i.language = Some("ur-PK".into())), pair("east", "e1")),
        (Box::new(|i| i.language = Some("en".into())), pair("east", "e1")),
        (Box::new(|i| i.language = Some("pl".into())), pair("west", "w1")),
        (
            Box::new(|i| {
                i.language = Some("pl".into());
                i.interpreter = true;
            }),
            pair("east", "e1"),
        ),
        (Box::new(|i| i.days = vec![Day::Sat]), pair("east", "e2")),
        (Box::new(|i| i.days = vec![Day::Sun]), pair("west", "w1")),
        (Box::new(|i| i.evening = true), pair("east", "e2")),
        (Box::new(|i| i.home_visit = true), pair("east", "e1")),
        (Box::new(|i| i.specialisms = vec!["debt".into()]), pair("east", "e1")),
        (
            Box::new(|i| {
                i.specialisms = vec!["debt".into()];
                i.days = vec![Day::Sat];
            }),
            pair("west", "w1"),
        ),
        (Box::new(|i| i.specialisms = vec!["falconry".into()]), ("unallocated".into(), None)),
        (Box::new(|i| i.accessible = true), ("unallocated".into(), None)),
        (Box::new(|i| i.not = vec!["east".into()]), ("unallocated".into(), None)),
    ];
    for (number, (ask, wanted)) in asks.into_iter().enumerate() {
        let decision = route(&place, &Loads::default(), east(ask));
        assert_eq!((decision.pool.clone(), decision.worker.clone()), wanted, "case {number}: {decision:#?}");
    }
    let decision = route(&place, &Loads::default(), east(|i| i.language = Some("pl".into())));
    assert_eq!(
        decision.reasons[2..],
        [
            "Asked for: Polish.",
            "East_pool has nobody suitable at work on that day.",
            "West_pool stands in (0 open, room for 57)."
        ]
    );
    let passed: Vec<&str> = decision.passed_over.iter().map(|(who, _)| who.as_str()).collect();
    assert_eq!(passed, ["east", "east/e1", "east/e2"]);
    assert!(decision.passed_over[1].1.contains("does not have the language"));
}

#[test]
fn a_step_free_place_is_a_venue_of_the_pool_or_the_persons_home() {
    let venues = "id,pool,name,postcode,accessible,valid_from,valid_to,note\n\
                  v1,east,Upstairs room,PE37 7AA,no,2019-07-01,,\nv2,west,Ground floor,PE30 1AA,yes,2019-07-01,2026-01-07,\n";
    let place = east_and_west(&[("venues.csv", venues)]);
    let ask = |on: &str| {
        east(|i| {
            i.accessible = true;
            i.on = on.parse().unwrap();
        })
    };
    assert_eq!(chosen(&place, &Loads::default(), ask("2026-01-07")), pair("west", "w1"));
    assert_eq!(chosen(&place, &Loads::default(), ask("2026-01-08")).0, "unallocated", "the room is given up");
    let home = east(|i| {
        i.accessible = true;
        i.home_visit = true;
    });
    assert_eq!(chosen(&place, &Loads::default(), home), pair("east", "e1"));
}

#[test]
fn who_is_away_is_covered_by_the_neighbour_and_comes_back() {
    let absences = "worker,from,to,note\ne1,2026-01-05,2026-01-25,\ne2,2026-01-05,,\n";
    let place = east_and_west(&[("absences.csv", absences)]);
    let on = |day: &str| chosen(&place, &Loads::default(), east(|i| i.on = day.parse().unwrap()));
    assert_eq!(on("2026-01-04"), pair("east", "e1"));
    assert_eq!(on("2026-01-05"), pair("west", "w1"));
    assert_eq!(on("2026-01-25"), pair("west", "w1"));
    assert_eq!(on("2026-01-26"), pair("east", "e1"));
    let decision = route(&place, &Loads::default(), east(|_| {}));
    assert!(decision.reasons.contains(&"East_pool has nobody at work on that day.".to_owned()), "{decision:#?}");
    assert!(decision.passed_over.contains(&("east/e1".into(), "away on that day".into())));
}

#[test]
fn overflow_goes_to_who_consents_and_no_limit_is_passed() {
    let place = east_and_west(&[]);
    assert_eq!(chosen(&place, &[("east", 4)].into(), east(|_| {})).0, "east");
    let at_limit = route(&place, &[("east", 5), ("west", 56)].into(), east(|_| {}));
    assert_eq!(at_limit.pool, "west");
    assert!(at_limit.reasons.iter().any(|why| why == "West_pool takes its overflow (56 open, room for 57)."));
    assert_eq!(chosen(&place, &[("east", 5), ("west", 99)].into(), east(|_| {})).0, "west", "nobody else is there");
    let west = |loads: Loads| chosen(&place, &loads, RouteInput::at(OdsCode::parse("W0001").unwrap(), east(|_| {}).on));
    assert_eq!(west([("west", 99)].into()).0, "west", "west gives nothing away and has no hard limit");
    let soft = made(
        "a,A,pcn:U1,E,FPE01,,b,,,yes, b,B,pcn:U2,E,FPE02,,,a,,yes,",
        "a1,Ann,a,,,mon 09:00-17:00,no,,1,2019-07-01,,\nb1,Bob,b,,,mon 09:00-17:00,no,,1,2019-07-01,,\n",
        &[],
    );
    assert_eq!(chosen(&soft, &[("a", 57)].into(), east(|_| {})), pair("b", "b1"), "over the year's figures");
    assert_eq!(chosen(&soft, &[("a", 57), ("b", 57)].into(), east(|_| {})), pair("a", "a1"), "nobody has room");
}

#[test]
fn who_knows_the_person_comes_first_below_the_limit() {
    let place = east_and_west(&[]);
    let before = |worker: Option<&str>| east(|i| i.previous = Some(("east".into(), worker.map(str::to_owned))));
    assert_eq!(chosen(&place, &Loads::default(), before(Some("e2"))), pair("east", "e2"));
    assert_eq!(chosen(&place, &Loads::default(), before(Some("gone"))), pair("east", "e1"));
    assert_eq!(chosen(&place, &Loads::default(), before(None)), pair("east", "e1"));
    assert_eq!(chosen(&place, &[("east", 5)].into(), before(Some("e2"))).0, "west");
    let decision = route(&place, &Loads::default(), before(Some("e2")));
    assert_eq!(
        decision.reasons.last().unwrap(),
        "Bob of East_pool saw the person before (0 open, room for 86, at most 5)."
    );
    let busy =
        Loads { workers: [("e1".to_owned(), 9), ("e2".to_owned(), 4)].into_iter().collect(), ..Loads::default() };
    assert_eq!(chosen(&place, &busy, east(|_| {})), pair("east", "e2"), "less to do for half a post");
}

#[test]
fn the_first_rule_that_applies_decides() {
    let rules = r#"
        [[rule]]
        name = "old people of the fens on Saturday"
        when.cluster = "Fens"
        when.age = "65+"
        when.day = ["sat", "sun"]
        to.pools = ["west"]
        [[rule]]
        name = "carers"
        when.need = "871731000000106"
        when.source = ["self-referral"]
        to.desk = "safeguarding"
        [[rule]]
        name = "own"
        to.own = "network"
    "#;
    let place = east_and_west(&[("routing.toml", rules)]);
    let rule = |change: fn(&mut RouteInput)| {
        let decision = route(&place, &Loads::default(), east(change));
        (decision.rule, decision.pool)
    };
    let is = |rule: &str, pool: &str| (rule.to_owned(), pool.to_owned());
    assert_eq!(rule(|_| {}), is("own", "east"));
    assert_eq!(rule(|i| i.days = vec![Day::Sat]), is("own", "east"), "the age is not known");
    assert_eq!(
        rule(|i| {
            i.days = vec![Day::Sat];
            i.age = Some(65);
        }),
        is("old people of the fens on Saturday", "west")
    );
    assert_eq!(
        rule(|i| {
            i.days = vec![Day::Fri, Day::Sat];
            i.age = Some(90);
        }),
        is("own", "east"),
        "Friday is fine too"
    );
    assert_eq!(rule(|i| i.needs = vec!["871731000000106".into()]), is("own", "east"));
    assert_eq!(
        rule(|i| {
            i.needs = vec!["871731000000106".into()];
            i.source = Source::SelfReferral;
        }),
        is("carers", "safeguarding")
    );
}

#[test]
fn a_place_is_looked_up_by_day() {
    let place = east_and_west(&[("absences.csv", "worker,from,to,note\ne1,2026-01-05,2026-01-25,\n")]);
    let on = "2026-01-07".parse().unwrap();
    assert_eq!(place.pools_of("e1", on), ["east"]);
    assert_eq!(place.worker("e2", on).unwrap().name, "Bob");
    assert!(place.worker("nobody", on).is_none());
    assert_eq!((place.first_contact_days("east", on), place.first_contact_days("west", on)), (Some(10), None));
    assert_eq!(place.fte_present("east", on), 50);
    assert_eq!(
        place.crew("east", on).map(|(worker, here)| (worker.id.as_str(), here)).collect::<Vec<_>>(),
        [("e1", false), ("e2", true)]
    );
    let desks: Vec<&str> = place.desks().map(|desk| desk.key.as_str()).collect();
    assert_eq!(desks, ["restricted", "unallocated", "safeguarding"]);
    assert!(place.knows_pool("safeguarding") && place.knows_pool("west") && !place.knows_pool("north"));
}

#[test]
fn rows_that_came_by_another_way_are_laid_over_and_checked() {
    let place = east_and_west(&[("absences.csv", "worker,from,to,note\ne1,2026-01-05,2026-01-25,\n")]);
    let on = "2026-01-07".parse().unwrap();
    assert_eq!(place.with_overlay(&Overlay::default()).unwrap().version, place.version);
    let mut ann = place.worker("e1", on).unwrap().clone();
    ann.languages = vec!["so".into()];
    let overlay = Overlay { workers: vec![ann.clone()], ..Overlay::default() };
    let laid = place.with_overlay(&overlay).unwrap();
    assert_ne!(laid.version, place.version);
    assert_eq!(laid.fte_present("east", on), 150, "her absence in the file is gone with her row");
    assert_eq!(chosen(&laid, &Loads::default(), east(|i| i.language = Some("so".into()))), pair("east", "e1"));
    let kept: Overlay = serde_json::from_str(&serde_json::to_string(&overlay).unwrap()).unwrap();
    assert_eq!(kept, overlay);
    ann.pool = "nowhere".into();
    ann.fte_hundredths = 150;
    let mut east_pool = place.pool("east", on).unwrap().clone();
    east_pool.overflow = vec!["west".into(), "south".into()];
    let away = Absence { worker: "w9".into(), period: Period { from: on, to: None }, line: 7 };
    let bad = Overlay { workers: vec![ann], pools: vec![east_pool], absences: vec![away], ..Overlay::default() };
    let texts: Vec<String> = place.with_overlay(&bad).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "made/absences.csv: absence of 'w9', who is not in workers.csv",
            "made/pools.csv: pool east: overflow 'south' is no pool in pools.csv",
            "made/workers.csv: worker e1: fte is not from 0.01 to 1.00: a row is one person",
            "made/workers.csv: worker e1: pool 'nowhere' is not in pools.csv",
        ]
    );
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
