//! A decision in a place as large as England's, beside a plain hash look-up of the practice. The
//! look-up is the least that any routing does; in a release build a decision must not cost more than
//! [`RATIO_MAX`] times as much, nor take longer than [`DECISION_MAX`]. Criterion then measures all three, and
//! compares with the run before. <https://bheisler.github.io/criterion.rs/book/>
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion};
use fingerpost::fhir::ids::OdsCode;
use fingerpost::routing::{Day, Loads, Place, PlaceFiles, RouteInput, Sex, route};

/// The program's own allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A decision may cost this many times a plain look-up.
const RATIO_MAX: f64 = 50.0;
/// A decision may take this long.
const DECISION_MAX: Duration = Duration::from_micros(20);
/// Sizes of the made-up country.
const NETWORKS: usize = 1_300;
const PRACTICES: usize = 6_600;
const WORKERS: usize = 5_000;
/// Rounds, each measuring all; the best of each counts.
const ROUNDS: usize = 100;
/// The look-up that a decision is held against.
type Table = HashMap<String, String, RandomState>;
/// Calls that are timed together.
const CHUNK: usize = 100;
/// How far the next practice is from the one before, so that neighbours in memory do not help.
const STRIDE: usize = 2_749;

fn ods(number: usize) -> String {
    format!("X{number:05}")
}

fn country() -> Place {
    let mut files = PlaceFiles::shipped("sefton").unwrap();
    let mut set = |file: &str, header: &str, rows: &mut dyn Iterator<Item = String>| {
        let text = rows.fold(format!("{header}\n"), |mut text, row| {
            writeln!(text, "{row}").unwrap();
            text
        });
        files.texts.insert(file.to_owned(), text);
    };
    set(
        "networks.csv",
        "code,name,valid_from,valid_to,basis,note",
        &mut (0..NETWORKS).map(|n| format!("U{n:05},Network {n},2019-07-01,,invented,")),
    );
    set(
        "practices.csv",
        "ods,name,pcn,cluster,valid_from,valid_to,basis,note",
        &mut (0..PRACTICES).map(|n| {
            format!("{},Practice {n},U{:05},Cluster {},2019-07-01,,invented,", ods(n), n % NETWORKS, n % NETWORKS / 10)
        }),
    );
    set(
        "pools.csv",
        "id,name,serves,employer,employer_code,limit,overflow,takes_overflow_from,cover,interpreter,first_contact_days,open,valid_from,valid_to,note",
        &mut (0..NETWORKS).map(|n| {
            let next = if n + 1 < NETWORKS { format!("pool-{}", n + 1) } else { String::new() };
            let before = if n > 0 { format!("pool-{}", n - 1) } else { String::new() };
            format!("pool-{n},Pool {n},pcn:U{n:05},Employer,FPE01,200,{next},{before},{next},yes,10,yes,2019-07-01,,")
        }),
    );
    set(
        "workers.csv",
        "id,name,pool,sex,languages,days,home_visits,skills,fte,valid_from,valid_to,note",
        &mut (0..WORKERS).map(|n| {
            let (sex, language) = (["female", "male"][n % 2], ["", "ur", "pl;uk", "bn"][n % 4]);
            let hours = ["mon-fri 09:00-17:00", "mon-sat 10:00-18:00"][n % 2];
            format!("w{n},Worker {n},pool-{},{sex},{language},{hours},yes,debt,1,2019-07-01,,", n % NETWORKS)
        }),
    );
    set(
        "absences.csv",
        "worker,from,to,note",
        &mut (0..WORKERS).step_by(10).map(|n| format!("w{n},2026-01-05,2026-01-25,")),
    );
    let mut rules = String::new();
    for n in 0..20 {
        write!(
            rules,
            "[[rule]]\nname = \"r{n}\"\nwhen.practice = \"{}\"\nwhen.age = \"65+\"\nto.pools = [\"pool-{n}\"]\n",
            ods(n)
        )
        .unwrap();
    }
    rules.push_str("[[rule]]\nname = \"own\"\nwhy = \"Each network has its own.\"\nto.own = \"network\"\n");
    files.texts.insert("routing.toml".to_owned(), rules);
    let start = Instant::now();
    let place = Place::load("country", &files).unwrap_or_else(|faults| panic!("{:?}", &faults[..faults.len().min(3)]));
    println!("read, checked and indexed in {:?}", start.elapsed());
    place
}

/// The time for one of `count` calls: the best of each chunk, so that another program's turn on the
/// processor is not counted.
fn best(count: usize, mut work: impl FnMut(usize)) -> Duration {
    let mut chunks = vec![Duration::MAX; count.div_ceil(CHUNK)];
    for _ in 0..ROUNDS {
        for (at, chunk) in chunks.iter_mut().enumerate() {
            let calls = at * CHUNK..count.min((at + 1) * CHUNK);
            let start = Instant::now();
            calls.for_each(|n| work(n * STRIDE % PRACTICES));
            *chunk = start.elapsed().min(*chunk);
        }
    }
    chunks.iter().sum::<Duration>() / u32::try_from(count).unwrap()
}

fn inputs() -> (Vec<RouteInput>, Vec<RouteInput>) {
    let on = "2026-01-07".parse().unwrap();
    let plain: Vec<RouteInput> = (0..PRACTICES).map(|n| RouteInput::at(OdsCode::parse(&ods(n)).unwrap(), on)).collect();
    let picky = plain.iter().map(|input| RouteInput {
        worker_sex: Some(Sex::Female),
        language: Some("ur".into()),
        interpreter: true,
        home_visit: true,
        days: vec![Day::Sat, Day::Mon],
        specialisms: vec!["debt".into()],
        age: Some(70),
        ..input.clone()
    });
    let picky = picky.collect();
    (plain, picky)
}

/// The bars, by this file's own timing: criterion's means take in other programs' turns on the processor.
fn held(place: &Place, loads: &Loads, table: &Table, cases: &[(&str, &[RouteInput])]) {
    let codes: Vec<&OdsCode> = cases[0].1.iter().filter_map(|input| input.practice.as_ref()).collect();
    let look_up = best(PRACTICES, |n| {
        black_box(table.get(codes[n].as_str()));
    });
    println!("plain hash look-up {look_up:?}");
    for (name, inputs) in cases {
        let copied = best(PRACTICES, |n| drop(black_box(inputs[n].clone())));
        let decided = best(PRACTICES, |n| drop(black_box(route(place, loads, inputs[n].clone()))));
        let own = decided.saturating_sub(copied);
        let ratio = own.as_secs_f64() / look_up.as_secs_f64();
        println!("{name}: decided in {own:?} (copying the input, {copied:?}, not counted), {ratio:.1} look-ups");
        assert!(cfg!(debug_assertions) || own <= DECISION_MAX, "{name}: {own:?} is more than {DECISION_MAX:?}");
        assert!(cfg!(debug_assertions) || ratio <= RATIO_MAX, "{name}: {ratio:.1} is more than {RATIO_MAX}");
    }
}

fn main() {
    let place = country();
    let loads = Loads {
        pools: (0..NETWORKS).map(|n| (format!("pool-{n}"), (n % 220) as u64)).collect(),
        workers: (0..WORKERS).map(|n| (format!("w{n}"), (n % 60) as u64)).collect(),
        ..Loads::default()
    };
    let table: Table = (0..PRACTICES).map(|n| (ods(n), format!("pool-{}", n % NETWORKS))).collect();
    let (plain, picky) = inputs();
    let cases = [("nothing asked for", plain.as_slice()), ("much asked for", picky.as_slice())];
    held(&place, &loads, &table, &cases);

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("routing");
    let mut next = (0..).map(|n: usize| n * STRIDE % PRACTICES);
    let mut one = move || next.next().unwrap_or(0);
    let codes: Vec<String> = (0..PRACTICES).map(ods).collect();
    group.bench_function("plain hash look-up", |bencher| bencher.iter(|| black_box(table.get(&codes[one()]))));
    for (name, inputs) in cases {
        group.bench_function(name, |bencher| {
            bencher.iter_batched(|| inputs[one()].clone(), |input| route(&place, &loads, input), BatchSize::SmallInput);
        });
    }
    group.finish();
    criterion.final_summary();
}
