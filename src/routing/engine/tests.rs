//! Random places and people against an oracle that knows rows as plain values.
#![allow(clippy::unwrap_used)]

use jiff::civil::{Date, date};
use proptest::prelude::*;

use crate::fhir::ids::OdsCode;
use crate::routing::{Day, Decision, Loads, Place, PlaceFiles, RouteInput, Sex, route};

/// Working hours that rows choose from: text, days, days with an evening.
const HOURS: [(&str, &[Day], &[Day]); 4] = [
    ("mon-fri 09:00-17:00", &[Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri], &[]),
    ("wed 12:00-20:00; sat 09:00-13:00", &[Day::Wed, Day::Sat], &[Day::Wed]),
    ("sun 10:00-18:00", &[Day::Sun], &[Day::Sun]),
    ("tue thu 08:00-17:30", &[Day::Tue, Day::Thu], &[]),
];
/// Periods that rows choose from: columns, first and last day.
const PERIODS: [(&str, i16, i16); 4] =
    [("2019-07-01,", 0, 366), ("2019-07-01,", 0, 366), ("2019-07-01,2026-01-15", 0, 15), ("2026-01-10,", 10, 366)];
const SERVES: [&str; 5] = ["pcn:U1", "pcn:U2", "cluster:Fens", "place", ""];
const LANGUAGES: [&str; 3] = ["", "ur", "ur;pl"];
const SKILLS: [&str; 3] = ["", "debt", "debt;carers"];

#[derive(Debug, Clone)]
struct APool {
    serves: usize,
    limit: Option<u8>,
    gives: u8,
    takes: u8,
    covers: u8,
    interpreter: bool,
    closed: bool,
    period: usize,
    step_free: bool,
    open: u8,
}

#[derive(Debug, Clone)]
struct AWorker {
    pool: usize,
    sex: Option<Sex>,
    languages: usize,
    hours: usize,
    home: bool,
    skills: usize,
    fte: u8,
    period: usize,
    away: Option<(u8, u8)>,
    open: u8,
}

fn a_pool() -> impl Strategy<Value = APool> {
    let first = (0..SERVES.len(), proptest::option::of(0u8..6), any::<u8>(), any::<u8>(), any::<u8>());
    let second = (any::<bool>(), proptest::bool::weighted(0.1), 0..PERIODS.len(), any::<bool>(), 0u8..8);
    (first, second).prop_map(
        |((serves, limit, gives, takes, covers), (interpreter, closed, period, step_free, open))| APool {
            serves,
            limit,
            gives,
            takes,
            covers,
            interpreter,
            closed,
            period,
            step_free,
            open,
        },
    )
}

fn a_worker() -> impl Strategy<Value = AWorker> {
    let sex = prop_oneof![Just(None), Just(Some(Sex::Female)), Just(Some(Sex::Male))];
    let first = (0usize..6, sex, 0..LANGUAGES.len(), 0..HOURS.len(), any::<bool>());
    let second = (0..SKILLS.len(), 1u8..=100, 0..PERIODS.len(), proptest::option::of((1u8..28, 0u8..20)), 0u8..9);
    (first, second).prop_map(|((pool, sex, languages, hours, home), (skills, fte, period, away, open))| AWorker {
        pool,
        sex,
        languages,
        hours,
        home,
        skills,
        fte,
        period,
        away,
        open,
    })
}

fn an_input() -> impl Strategy<Value = RouteInput> {
    let sex = prop_oneof![3 => Just(None), 1 => Just(Some(Sex::Female)), 1 => Just(Some(Sex::Male))];
    let language = prop_oneof![3 => Just(None), 1 => Just(Some("ur".to_owned())), 1 => Just(Some("pl-PL".to_owned()))];
    let days = proptest::collection::vec(proptest::sample::select(Day::ALL.to_vec()), 0..3);
    let skill = proptest::collection::vec(proptest::sample::select(vec!["debt", "carers"]), 0..2);
    let rare = || proptest::bool::weighted(0.2);
    let previous = proptest::option::weighted(0.3, (0u8..6, proptest::option::of(0u8..9)));
    let first = (0usize..3, 1i8..=31, sex, language, rare(), rare());
    let second = (rare(), days, rare(), skill, previous, proptest::collection::vec(0u8..6, 0..2), rare());
    (first, second).prop_map(|((practice, day, worker_sex, language, interpreter, home_visit), rest)| {
        let (accessible, days, evening, skill, previous, not, restricted) = rest;
        RouteInput {
            worker_sex,
            language,
            interpreter,
            home_visit,
            accessible,
            days,
            evening,
            specialisms: skill.into_iter().map(str::to_owned).collect(),
            previous: previous.map(|(pool, worker)| (format!("p{pool}"), worker.map(|worker| format!("w{worker}")))),
            not: not.into_iter().map(|pool| format!("p{pool}")).collect(),
            restricted,
            district: Some("PE37".into()),
            ..RouteInput::at(OdsCode::parse(["E0001", "W0001", "N0001"][practice]).unwrap(), date(2026, 1, day))
        }
    })
}

fn ids(bits: u8, from: usize, count: usize) -> Vec<String> {
    (from..count).filter(|at| bits & (1 << at) != 0).map(|at| format!("p{at}")).collect()
}

impl APool {
    fn row(&self, at: usize, count: usize) -> String {
        let list = |bits: u8, from: usize| {
            let ids: Vec<String> = ids(bits, from, count).into_iter().filter(|id| *id != format!("p{at}")).collect();
            ids.join(";")
        };
        let flag = |yes: bool| if yes { "yes" } else { "no" };
        format!(
            "p{at},Pool {at},{},Employer,FPE01,{},{},{},{},{},,{},{},",
            SERVES[self.serves],
            self.limit.map_or(String::new(), |limit| limit.to_string()),
            list(self.gives, 0),
            list(self.takes, 0),
            list(self.covers, at + 1),
            flag(self.interpreter),
            flag(!self.closed),
            PERIODS[self.period].0,
        )
    }
}

impl AWorker {
    fn row(&self, at: usize) -> String {
        let sex = match self.sex {
            None => "",
            Some(Sex::Female) => "female",
            Some(Sex::Male) => "male",
        };
        let home = if self.home { "yes" } else { "no" };
        format!(
            "w{at},Worker {at},p{},{sex},{},{},{home},{},{}.{:02},{},",
            self.pool,
            LANGUAGES[self.languages],
            HOURS[self.hours].0,
            SKILLS[self.skills],
            self.fte / 100,
            self.fte % 100,
            PERIODS[self.period].0
        )
    }

    fn suits(&self, pool: &APool, input: &RouteInput) -> bool {
        let day = input.on.day();
        let (_, days, evenings) = HOURS[self.hours];
        let on = |days: &[Day]| days.iter().any(|day| input.days.is_empty() || input.days.contains(day));
        let speaks = |code: &str| LANGUAGES[self.languages].split(';').any(|spoken| spoken == &code[..2]);
        self.is_here(day)
            && input.worker_sex.is_none_or(|sex| self.sex == Some(sex))
            && input.language.as_deref().is_none_or(|code| speaks(code) || (input.interpreter && pool.interpreter))
            && (!input.home_visit || self.home)
            && input.specialisms.iter().all(|skill| SKILLS[self.skills].split(';').any(|own| own == skill))
            && on(days)
            && (!input.evening || on(evenings))
    }

    fn is_here(&self, day: i8) -> bool {
        let (_, from, to) = PERIODS[self.period];
        let away = self
            .away
            .is_some_and(|(first, length)| (i16::from(first)..=i16::from(first + length)).contains(&day.into()));
        (from..=to).contains(&day.into()) && !away
    }
}

/// A place by its rows, which `turn` turns round.
fn place(pools: &[APool], workers: &[AWorker], turn: usize) -> Place {
    let count = pools.len();
    let turned = |header: &str, mut rows: Vec<String>| {
        if !rows.is_empty() {
            let by = turn % rows.len();
            rows.rotate_left(by);
            if turn % 2 == 1 {
                rows.reverse();
            }
        }
        rows.into_iter().fold(format!("{header}\n"), |text, row| text + &row + "\n")
    };
    let mut files = PlaceFiles::shipped("sefton").unwrap();
    let mut set =
        |file: &str, header: &str, rows: Vec<String>| drop(files.texts.insert(file.into(), turned(header, rows)));
    let network = |code: &str| format!("{code},Network {code},2019-07-01,,invented,");
    set("networks.csv", "code,name,valid_from,valid_to,basis,note", vec![network("U1"), network("U2")]);
    set(
        "practices.csv",
        "ods,name,pcn,cluster,valid_from,valid_to,basis,note",
        ["E0001,East,U1,Fens", "W0001,West,U2,", "N0001,None,,"]
            .map(|row| format!("{row},2019-07-01,,invented,"))
            .into(),
    );
    set(
        "pools.csv",
        "id,name,serves,employer,employer_code,limit,overflow,takes_overflow_from,cover,interpreter,first_contact_days,open,valid_from,valid_to,note",
        pools.iter().enumerate().map(|(at, pool)| pool.row(at, count)).collect(),
    );
    set(
        "workers.csv",
        "id,name,pool,sex,languages,days,home_visits,skills,fte,valid_from,valid_to,note",
        workers.iter().enumerate().map(|(at, worker)| worker.row(at)).collect(),
    );
    let away = workers.iter().enumerate().filter_map(|(at, worker)| {
        let (first, length) = worker.away?;
        let from = date(2026, 1, first.try_into().unwrap());
        let to = from.checked_add(jiff::Span::new().days(i64::from(length))).unwrap();
        Some(format!("w{at},{from},{to},"))
    });
    set("absences.csv", "worker,from,to,note", away.collect());
    let venues = pools.iter().enumerate().filter(|(_, pool)| pool.step_free);
    set(
        "venues.csv",
        "id,pool,name,postcode,accessible,valid_from,valid_to,note",
        venues.map(|(at, _)| format!("v{at},p{at},Hall,PE37 7AA,yes,2019-07-01,,")).collect(),
    );
    let rules = "[[rule]]\nname = \"cluster\"\nto.own = \"cluster\"\n[[rule]]\nname = \"network\"\nto.own = \"network\"\n\
                 [[rule]]\nname = \"place\"\nto.own = \"place\"\n";
    files.texts.insert("routing.toml".into(), rules.into());
    let (place, faults) = Place::survey("made", &files);
    assert!(!faults.iter().any(|fault| fault.text.contains("circle") || fault.text.contains("not CSV")), "{faults:?}");
    place
}

fn number(id: &str) -> usize {
    id[1..].parse().unwrap()
}

/// The pools that the rules name for a practice on a day.
fn asked(pools: &[APool], practice: &str, on: Date) -> Vec<usize> {
    let day = i16::from(on.day());
    let serving = |wanted: &str| -> Vec<usize> {
        let in_force = |pool: &APool| (PERIODS[pool.period].1..=PERIODS[pool.period].2).contains(&day);
        let rows = pools.iter().enumerate();
        rows.filter(|(_, pool)| SERVES[pool.serves] == wanted && in_force(pool)).map(|(at, _)| at).collect()
    };
    let order: &[&str] = if practice == "E0001" { &["cluster:Fens", "pcn:U1", "place"] } else { &["pcn:U2", "place"] };
    order.iter().map(|wanted| serving(wanted)).find(|rows| !rows.is_empty()).unwrap_or_default()
}

/// True when a pool can take the person.
fn able(at: usize, pools: &[APool], workers: &[AWorker], input: &RouteInput) -> bool {
    let pool = &pools[at];
    let (_, from, to) = PERIODS[pool.period];
    (from..=to).contains(&input.on.day().into())
        && !pool.closed
        && pool.limit.is_none_or(|limit| pool.open < limit)
        && !input.not.contains(&format!("p{at}"))
        && (!input.accessible || input.home_visit || pool.step_free)
        && workers.iter().any(|worker| worker.pool == at && worker.suits(pool, input))
}

/// True when a pool may be asked at all: by rule, by cover of cover, or by consent to overflow.
fn may(at: usize, pools: &[APool], asked: &[usize]) -> bool {
    let mut reached: Vec<usize> = asked.to_vec();
    let mut next = 0;
    while let Some(from) = reached.get(next).copied() {
        next += 1;
        let covers = ids(pools[from].covers, from + 1, pools.len());
        reached.extend(covers.iter().map(|id| number(id)).filter(|id| !reached.contains(id)).collect::<Vec<_>>());
    }
    let consents = |from: &usize| pools[*from].gives & (1 << at) != 0 && pools[at].takes & (1 << *from) != 0;
    reached.contains(&at) || asked.iter().any(consents)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_laws_of_routing_hold_in_any_place(
        pools in proptest::collection::vec(a_pool(), 1..6),
        workers in proptest::collection::vec(a_worker(), 0..10),
        input in an_input(), turn in 1usize..9,
    ) {
        let loads = Loads {
            pools: pools.iter().enumerate().map(|(at, pool)| (format!("p{at}"), pool.open.into())).collect(),
            workers: workers.iter().enumerate().map(|(at, worker)| (format!("w{at}"), worker.open.into())).collect(),
            ..Loads::default()
        };
        let made = place(&pools, &workers, 0);
        let decision = route(&made, &loads, input.clone());
        prop_assert_eq!(&decision, &route(&made, &loads, input.clone()), "deterministic");
        let mut turned = route(&place(&pools, &workers, turn), &loads, input.clone());
        turned.version.clone_from(&decision.version);
        prop_assert_eq!(&decision, &turned, "whatever the order of rows");
        prop_assert!(made.knows_pool(&decision.pool) && !decision.reasons.is_empty());

        let practice = input.practice.as_ref().unwrap().as_str();
        if input.restricted {
            let elsewhere = RouteInput {
                practice: Some(OdsCode::parse("W0001").unwrap()), district: None, previous: None, ..input
            };
            prop_assert_eq!(decision.pool.as_str(), "restricted");
            prop_assert_eq!(&decision, &route(&made, &loads, elsewhere), "nothing of where they are");
            // Four digits may stand in the version's hash.
            let told = serde_json::to_string(&Decision { version: String::new(), ..decision.clone() }).unwrap();
            prop_assert!(!told.contains("0001") && !told.contains("PE37"), "{}", told);
        } else if made.desk(&decision.pool).is_some() {
            prop_assert_eq!(decision.pool.as_str(), "unallocated");
            if practice != "N0001" {
                let missed = asked(&pools, practice, input.on).into_iter().find(|at| able(*at, &pools, &workers, &input));
                prop_assert_eq!(missed, None, "one that was asked could take the person: {:#?}", decision);
            }
        } else {
            let at = number(&decision.pool);
            prop_assert_ne!(practice, "N0001");
            prop_assert!(able(at, &pools, &workers, &input), "{:#?}", decision);
            let asked = asked(&pools, practice, input.on);
            prop_assert!(may(at, &pools, &asked), "{:#?}", decision);
            let worker = &workers[number(decision.worker.as_ref().unwrap())];
            prop_assert_eq!(worker.pool, at);
            prop_assert!(worker.suits(&pools[at], &input), "{:#?}", decision);
        }
    }
}
