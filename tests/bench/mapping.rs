//! One referral mapped and serialised, against parsing and printing the resulting Bundle with
//! serde_json. A ratio within one run, so the machine does not matter; in a release build it
//! must not pass [`RATIO_MAX`].
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use fingerpost::mapping::{Mappings, SourceTree, tree_from_text};
use serde_json::{Value, json};

/// Mapping and serialising may cost this many times parsing and printing.
const RATIO_MAX: f64 = 3.0;
/// Rounds, each measuring both sides; the best of each counts.
const ROUNDS: usize = 20;
/// Referrals a round.
const REFERRALS: u32 = 500;

fn bundle(resources: Vec<Value>) -> Value {
    let entries: Vec<Value> = resources.into_iter().map(|resource| json!({"resource": resource})).collect();
    json!({"resourceType": "Bundle", "type": "collection", "entry": entries})
}

fn time(mut work: impl FnMut()) -> Duration {
    let start = Instant::now();
    (0..REFERRALS).for_each(|_| work());
    start.elapsed() / REFERRALS
}

fn measure(mappings: &Mappings, name: &str, tree: &SourceTree) -> f64 {
    let text = serde_json::to_vec(&bundle(mappings.map(name, tree).unwrap().resources)).unwrap();
    let (mut mapped, mut printed) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        mapped = mapped.min(time(|| {
            let made = mappings.map(name, black_box(tree)).unwrap();
            black_box(serde_json::to_vec(&bundle(made.resources)).unwrap());
        }));
        printed = printed.min(time(|| {
            let value: Value = serde_json::from_slice(black_box(&text)).unwrap();
            black_box(serde_json::to_vec(&value).unwrap());
        }));
    }
    let ratio = mapped.as_secs_f64() / printed.as_secs_f64();
    println!(
        "{name}: mapped and serialised {mapped:?}, parsed and printed {printed:?} ({} bytes), ratio {ratio:.2}",
        text.len()
    );
    ratio
}

fn main() {
    let mappings = Mappings::builtin().expect("the mappings load");
    for name in ["emis-extract", "bars"] {
        let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings").join(name).join("cases/typical.yaml");
        let tree = tree_from_text(&std::fs::read_to_string(case).unwrap()).unwrap();
        let ratio = measure(&mappings, name, &tree);
        assert!(cfg!(debug_assertions) || ratio <= RATIO_MAX, "{name}: {ratio:.2} is more than {RATIO_MAX}");
    }
}
