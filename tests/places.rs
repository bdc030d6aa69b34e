//! The worked places, each through a running gateway: referrals come in over HTTP, `route explain`
//! says why, and `route rehearse` shows the place's own problem solved.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::fs;

#[path = "support/program.rs"]
mod program;
#[path = "support/referrals.rs"]
#[allow(dead_code)]
mod referrals;
#[path = "support/running.rs"]
mod running;
#[path = "support/town.rs"]
mod town;

use fingerpost::config::Role;
use fingerpost::opening;
use jiff::SignedDuration;
use program::fingerpost;
use serde_json::{Value, json};
use town::{Town, copy, entry, moved, shipped};

const PLACES: [&str; 4] = ["sefton", "norfolk", "leeds", "lincolnshire"];

#[test]
fn every_shipped_place_passes_the_check() {
    for place in PLACES {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("[gateway]\nmode = \"development\"\nplace = \"{place}\"\n");
        fs::write(folder.path().join("gateway.toml"), text).unwrap();
        let ran = fingerpost(folder.path(), &["check", "--config", "gateway.toml"], &[]).expect(0);
        assert!(ran.out.contains("ok"), "{place}: {}", ran.out);
        // The folder and what is compiled in are the same files.
        let read = opening::place_of_folder(&shipped(place)).unwrap();
        let files = fingerpost::routing::PlaceFiles::shipped(place).unwrap();
        assert_eq!(read.version, fingerpost::routing::Place::load(place, &files).unwrap().version, "{place}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sefton_unchanged_moves_nobody_and_without_a_pool_exactly_its_referrals() {
    let town = Town::open("sefton", "2026-02-02T09:00:00Z", &[]).await;
    let mut its = BTreeSet::new();
    for (n, practice) in ["N84002", "N84004", "N84626", "N84002", "N84012"].into_iter().enumerate() {
        let referral = town.refer(u32::try_from(n).unwrap(), practice, |_| {}).await;
        let pool = town.explain(&referral)["pool"].as_str().unwrap().to_owned();
        assert!(town.said(&referral).contains(&format!("({pool})")), "{}", town.said(&referral));
        its.extend((pool == "formby").then_some(referral));
        town.clock.advance(SignedDuration::from_hours(24));
    }
    let same = town.rehearse("same", &[]);
    assert_eq!((&same["asked"], moved(&same)), (&5.into(), BTreeSet::new()));
    // Formby's pool is closed to new referrals from the start.
    let closed = |text: &str| text.replace("crosby-maghull,yes,10,yes", "crosby-maghull,yes,10,no");
    let report = town.rehearse("closed", &[("pools.csv", &closed)]);
    assert_eq!(moved(&report).into_iter().map(|(referral, ..)| referral).collect::<BTreeSet<_>>(), its);
    assert_eq!(report["waits"]["before"]["people"], 5);

    let run = |args: &[&str]| fingerpost(town.running.dir.path(), args, &[]);
    let text = run(&["route", "rehearse", "--config", "closed.toml", "--running", "gateway.toml"]).expect(0).out;
    assert!(text.contains("1 would move") && text.contains("Nothing was stored or sent"), "{text}");
    let folder = "closed/sefton";
    let by_folder =
        run(&["route", "rehearse", "--config", folder, "--running", "gateway.toml", "--json"]).expect(0).json();
    assert_eq!(moved(&by_folder), moved(&report));
    // Without the configuration in force the stored decisions are what is compared with.
    let alone = run(&["route", "rehearse", "--config", "closed.toml", "--json"]).expect(0).json();
    assert_eq!(moved(&alone), moved(&report));
    let later =
        run(&["route", "rehearse", "--config", "closed.toml", "--since", "2026-02-05", "--json"]).expect(0).json();
    assert_eq!((&later["asked"], &later["earlier"]), (&2.into(), &3.into()));
    let entries = town.running.gateway.store.entries(0, 1000).await.unwrap();
    let read: Vec<Value> = entries.iter().map(|(_, leaf)| serde_json::from_slice(leaf).unwrap()).collect();
    assert_eq!(read.iter().filter(|entry| entry["interaction"] == "route-rehearse").count(), 6, "each is in the log");
}

#[test]
fn a_rehearsal_of_bad_input_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let write = |text: &str| fs::write(folder.path().join("gateway.toml"), text).unwrap();
    let run = |args: &[&str]| fingerpost(folder.path(), &[&["route", "rehearse"], args].concat(), &[]);
    write("[gateway]\nmode = \"development\"\n");
    assert!(run(&["--config", "gateway.toml"]).expect(3).err.contains("no store"));
    run(&["--config", "missing.toml"]).expect(2);
    run(&["--config", "gateway.toml", "--since", "01/02/2026"]).expect(2);
    write("[gateway]\nmode = \"development\"\nplace = \"nowhere\"\nplaice = 1\n");
    let err = run(&["--config", "gateway.toml"]).expect(2).err;
    assert!(err.contains("gateway.toml:3: gateway.place") && err.contains("gateway.toml:4: gateway.plaice"), "{err}");
    copy(
        "sefton",
        folder.path(),
        &[("pools.csv", &|text| format!("{text}p,Bad,pcn:U0,Nobody,FPE09,,,,,yes,,yes,01/02/2026,,\n"))],
    );
    let err = run(&["--config", "sefton"]).expect(2).err;
    assert!(err.contains("sefton/pools.csv:9: valid_from '01/02/2026' is not a date"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn norfolk_a_worker_off_sick_for_three_weeks() {
    let off = |text: &str| format!("worker,from,to,note\nwn-coastal-1,2026-02-02,2026-02-22,\n{text}");
    let town = Town::open("norfolk", "2026-02-04T09:00:00Z", &[("absences.csv", &off)]).await;
    // Burnham Surgery is in the Coastal cluster, whose one worker is off.
    let during = town.refer(1, "D82072", |_| {}).await;
    let explained = town.explain(&during);
    assert_eq!(explained["pool"], "kings-lynn", "{explained}");
    assert!(explained["passed_over"].to_string().contains("coastal"), "{explained}");
    assert!(town.said(&during).contains("Kings Lynn"), "{}", town.said(&during));
    let own = town.refer(2, "D82044", |_| {}).await;
    assert_eq!(town.explain(&own)["pool"], "kings-lynn");
    town.clock.advance(SignedDuration::from_hours(24 * 20));
    let after = town.refer(3, "D82072", |_| {}).await;
    assert_eq!(town.explain(&after)["pool"], "coastal", "she is back on the 23rd");

    // Without the absence row the person of the three weeks would be with somebody who is not there.
    let report = town.rehearse("nobody-off", &[("absences.csv", &|_| "worker,from,to,note\n".into())]);
    assert_eq!(moved(&report), BTreeSet::from([(during, "kings-lynn".into(), "coastal".into())]));
    assert_eq!(moved(&town.rehearse("same", &[("absences.csv", &off)])), BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn leeds_a_woman_asking_in_urdu_for_a_home_visit_on_saturday() {
    let asks = |bundle: &mut Value| {
        let sct = |code: &str| json!({"coding": [{"system": "http://snomed.info/sct", "code": code}]});
        entry(bundle, "Patient")["communication"] =
            json!([{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "ur"}]}, "preferred": true}]);
        let request = entry(bundle, "ServiceRequest");
        request["reasonCode"].as_array_mut().unwrap().extend([sct("314434008"), sct("1325371000000107")]);
        request["occurrenceTiming"] = json!({"repeat": {"dayOfWeek": ["sat"]}});
    };
    let town = Town::open("leeds", "2026-02-04T09:00:00Z", &[]).await;
    // The Roundhay Road Surgery's locality has no such worker; North Leeds has.
    let referral = town.refer(1, "B86002", asks).await;
    let explained = town.explain(&referral);
    assert_eq!(
        (&explained["pool"], &explained["worker"]),
        (&json!("leeds-north"), &json!("wl-north-1")),
        "{explained}"
    );
    let input = &explained["input"];
    assert_eq!(
        (&input["language"], &input["worker_sex"], &input["home_visit"], &input["days"]),
        (&json!("ur"), &json!("female"), &json!(true), &json!(["sat"]))
    );
    let passed = explained["passed_over"].to_string();
    for other in ["leeds-west", "leeds-south-east"] {
        assert!(passed.contains(other), "why not {other}: {passed}");
    }
    // Not to somebody who is away, nor to one of another sex.
    let away = |_: &str| "worker,from,to,note\nwl-north-1,2026-02-01,2026-02-28,\n".to_owned();
    let report = town.rehearse("away", &[("absences.csv", &away)]);
    assert_eq!(moved(&report), BTreeSet::from([(referral.clone(), "leeds-north".into(), "unallocated".into())]));
    // The problem: a service of five days a week. The solution: the one shipped.
    let five_days = |text: &str| {
        text.replace("; sat 09:00-13:00", "").replace("; sat 10:00-14:00", "").replace("tue-sat", "tue-fri")
    };
    let report = town.rehearse("five-days", &[("workers.csv", &five_days)]);
    assert_eq!(moved(&report), BTreeSet::from([(referral, "leeds-north".into(), "unallocated".into())]));
    let languages = report["equity"].as_array().unwrap().iter().find(|table| table["by"] == "language").unwrap();
    assert_eq!(languages["groups"][0]["people"], Value::Null, "one person is a small number: {languages}");
    // With the two files of deprivation the tables tell of deciles too.
    let (postcodes, deciles) = (town.folder("postcodes.csv"), town.folder("deciles.csv"));
    fs::write(&postcodes, "pcds,lsoa21cd\nL20 3EW,E01000001\n").unwrap();
    fs::write(&deciles, "LSOA code (2021),Index of Multiple Deprivation (IMD) Decile\nE01000001,2\n").unwrap();
    let files = format!(
        "[equity]\npostcode_file = \"{}\"\ndecile_file = \"{}\"\nrelease = \"IoD 2025\"\n",
        postcodes.display(),
        deciles.display()
    );
    let report = town.rehearse("deciles", &[("place.toml", &|text| text.replace("[equity]\n", &files))]);
    let by_decile = report["equity"].as_array().unwrap().iter().find(|table| table["by"] == "deprivation decile");
    assert_eq!(by_decile.unwrap()["groups"][0]["group"], "02");
    assert!(report["assumptions"].to_string().contains("IoD 2025"));
}

#[tokio::test(flavor = "multi_thread")]
async fn lincolnshire_one_person_referred_by_a_gp_and_by_the_mental_health_trust() {
    let town = Town::open("lincolnshire", "2026-02-04T09:00:00Z", &[]).await;
    let first = town.refer(1, "C83001", |_| {}).await;
    assert_eq!(town.explain(&first)["pool"], "lincs-west");
    let token = town.running.gateway.access.mint("trust", None, town.clock.now()).unwrap().access_token;
    // The same person, another message with the trust's own identifier.
    let again = |bundle: &mut Value| {
        let other = referrals::bars_message(2, "C83001");
        bundle["id"] = other["id"].clone();
        entry(bundle, "ServiceRequest")["identifier"] =
            json!([{"system": "https://trust.example/id/referral", "value": "T-1"}]);
    };
    let (second, answer) = town.told(&token, 1, "C83001", again).await;
    assert!(answer.contains("duplicate-episode"), "the trust is told: {answer}");
    assert_ne!(first, second);
    let linked = town.said(&second);
    assert!(
        linked.contains("open episode with Lincoln and West scheme (lincs-west)") && linked.contains(&first),
        "{linked}"
    );
    let row = town.running.gateway.store.ledger_row(&second).await.unwrap().unwrap();
    assert_eq!((row.state.word(), row.waiting_on), ("returned", format!("linked to the open episode {first}")));
    assert_eq!(town.running.gateway.store.caseloads().await.unwrap(), [("lincs-west".to_owned(), 1)]);
    // One Task for the person; the pool sees that it came twice.
    let tasks = |referral: &str| format!("/fhir/Task?focus=ServiceRequest/{referral}");
    let pool = town.running.token("west", Role::Pool, "FPC03", &["lincs-west"]);
    let count = |reply: running::Reply| reply.json()["entry"].as_array().map_or(0, Vec::len);
    assert_eq!(count(town.running.get(&tasks(&first), &pool).await), 1);
    assert_eq!(count(town.running.get(&tasks(&second), &pool).await), 0);
    // Somebody else whom only the trust refers goes to the central point.
    let own = town.send(&token, 3, "C83001", |_| {}).await;
    let explained = town.explain(&own);
    assert_eq!((&explained["pool"], &explained["input"]["source"]), (&json!("lincs-central"), &json!("mental-health")));
    assert_eq!(explained["rule"], "mental health trust");
    // The person is asked once: one episode, whatever the rules. Without the trust's rule only the
    // other one moves.
    let no_rule = |text: &str| text.replace("when.source = [\"mental-health\"]", "when.source = [\"agency\"]");
    let report = town.rehearse("no-rule", &[("routing.toml", &no_rule)]);
    assert_eq!(report["asked"], 2);
    assert_eq!(moved(&report), BTreeSet::from([(own, "lincs-central".into(), "lincs-west".into())]));
}

#[tokio::test(flavor = "multi_thread")]
async fn sefton_a_network_over_capacity_beside_one_with_room() {
    let alone =
        |text: &str| text.replace("FPE07,,seaforth-litherland,", "FPE07,,,").replace("FPE06,,,bootle,", "FPE06,,,,");
    let town = Town::open("sefton", "2026-02-02T09:00:00Z", &[("pools.csv", &alone)]).await;
    let mut last = String::new();
    for n in 0..64 {
        last = town.refer(n, "N84002", |_| {}).await;
        town.clock.advance(SignedDuration::from_hours(6));
    }
    assert_eq!(town.explain(&last)["pool"], "bootle", "nobody else consents: it fills over its room");
    assert!(town.said(&last).contains("Bootle"));
    let report = town.rehearse("consent", &[]);
    let all = moved(&report);
    assert!(
        !all.is_empty() && all.iter().all(|(_, from, to)| from == "bootle" && to == "seaforth-litherland"),
        "{all:?}"
    );
    let wait = |which: &str| report["waits"][which]["ninetieth_days"].as_u64().unwrap();
    assert!(wait("after") <= wait("before"), "{}", report["waits"]);

    let town = Town::open("sefton", "2026-02-02T09:00:00Z", &[]).await;
    for n in 0..64 {
        last = town.refer(n, "N84002", |_| {}).await;
    }
    let explained = town.explain(&last);
    assert_eq!(explained["pool"], "seaforth-litherland", "{explained}");
    assert!(explained["passed_over"].to_string().contains("bootle"), "{explained}");
    assert_eq!(moved(&town.rehearse("same", &[])), BTreeSet::new());
}
