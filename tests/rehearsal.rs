//! `fingerpost route rehearse` on real stores: a pool is deleted from the files, pools and link
//! workers are kept by FHIR, and the same is said twice in the same bytes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

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
use fingerpost::directory;
use jiff::SignedDuration;
use serde_json::{Value, json};
use town::{Edit, Town, moved};

/// Without the rows that have a pool in a column, and with it in no list of the others.
fn without(text: &str, pool: &str, column: usize) -> String {
    let own = |line: &&str| line.split(',').nth(column) == Some(pool);
    let listed = |cell: &str| cell.split(';').filter(|one| *one != pool).collect::<Vec<_>>().join(";");
    let others = text.lines().filter(|line| !own(line));
    others.map(|line| line.split(',').map(listed).collect::<Vec<_>>().join(",") + "\n").collect()
}

/// The referral and the pool of each stored decision.
fn decided(town: &Town, referrals: &[String]) -> Vec<(String, String)> {
    let pool = |referral: &String| town.explain(referral)["pool"].as_str().unwrap().to_owned();
    referrals.iter().map(|referral| (referral.clone(), pool(referral))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheme_deleted_from_lincolnshire_moves_exactly_its_own() {
    let town = Town::open("lincolnshire", "2026-02-02T09:00:00Z", &[]).await;
    let practices: Vec<String> =
        town.running.gateway.place().practices().iter().map(|practice| practice.ods.as_str().to_owned()).collect();
    let mut referrals = Vec::new();
    for n in 0..36 {
        referrals.push(town.refer(n, &practices[n as usize * 7 % practices.len()], |_| {}).await);
        town.clock.advance(SignedDuration::from_hours(5));
    }
    let decided = decided(&town, &referrals);
    let of =
        |pool: &str| decided.iter().filter(|(_, of)| of == pool).map(|(id, _)| id.clone()).collect::<BTreeSet<_>>();
    assert!(["lincs-west", "lincs-east", "lincs-south"].iter().all(|pool| of(pool).len() > 3), "{decided:?}");
    // What the check demands: the scheme's networks must reach some pool, so the central point has them.
    let networks = ";pcn:U17435;pcn:U58704;pcn:U38661;pcn:U93726;pcn:U56215";
    let pools = |text: &str| without(text, "lincs-west", 0).replace("U25294;place", &format!("U25294;place{networks}"));
    let workers = |text: &str| without(text, "lincs-west", 2);
    let gone: [Edit<'_>; 2] = [("pools.csv", &pools), ("workers.csv", &workers)];
    let report = town.rehearse("gone", &gone);
    assert_eq!(report["asked"], 36);
    assert_eq!(moved(&report).into_iter().map(|(referral, ..)| referral).collect::<BTreeSet<_>>(), of("lincs-west"));
    assert!(moved(&report).iter().all(|(_, from, to)| from == "lincs-west" && to == "lincs-central"));
    assert_eq!((&report["moved_by"]["knock_on"], &report["drift"]), (&json!(0), &json!([])));
    // The stored decisions alone say the same.
    let alone: Value = serde_json::from_str(&town.rehearsed("gone", &["--json"])).unwrap();
    assert_eq!(moved(&alone), moved(&report));
    // Nobody moves when nothing changes, and the same question has the same answer, byte for byte.
    assert_eq!(moved(&town.rehearse("same", &[])), BTreeSet::new());
    for form in [&["--running", "gateway.toml"][..], &["--json"]] {
        assert_eq!(town.rehearsed("gone", form), town.rehearsed("gone", form));
    }
}

/// Norfolk with the Coastal worker off from the 2nd to the 22nd of February, by FHIR: three
/// referrals of a Coastal practice while she is off, two when she is back.
async fn kept_by_fhir() -> (Town, Vec<String>, Vec<String>) {
    let town = Town::open("norfolk", "2026-02-04T09:00:00Z", &[]).await;
    directory::publish(&town.running.gateway).await.unwrap();
    let consumer = town.running.token("wellness", Role::Consumer, "RY0", &[]);
    let path = "/fhir/PractitionerRole/coastal.wn-coastal-1";
    let mut role = town.running.get(path, &consumer).await.json();
    role["notAvailable"] = json!([{"description": "Away", "during": {"start": "2026-02-02", "end": "2026-02-22"}}]);
    let request = town.running.request(reqwest::Method::PUT, path, &consumer);
    let request = request.header("content-type", "application/fhir+json").body(role.to_string());
    let reply = running::send(request).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let (mut during, mut after) = (Vec::new(), Vec::new());
    for n in 0..3 {
        during.push(town.refer(n, "D82072", |_| {}).await);
    }
    town.clock.advance(SignedDuration::from_hours(24 * 20));
    for n in 3..5 {
        after.push(town.refer(n, "D82072", |_| {}).await);
    }
    let pools = |referrals: &[String]| decided(&town, referrals).into_iter().map(|(_, pool)| pool).collect::<Vec<_>>();
    assert_eq!((pools(&during), pools(&after)), (vec!["kings-lynn".to_owned(); 3], vec!["coastal".to_owned(); 2]));
    (town, during, after)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_by_fhir_stands_over_the_proposal_too() {
    let (town, during, _) = kept_by_fhir().await;
    let same = town.rehearse("same", &[]);
    assert_eq!((&same["asked"], moved(&same), &same["drift"]), (&json!(5), BTreeSet::new(), &json!([])));
    assert_eq!(same["kept"]["rows"], json!(["link worker wn-coastal-1"]));
    assert_eq!((&same["kept"]["left_out"], &same["kept"]["hidden"]), (&json!([]), &json!([])));
    // Also where the configuration in force is not named.
    let alone: Value = serde_json::from_str(&town.rehearsed("same", &["--json"])).unwrap();
    assert_eq!((moved(&alone), &alone["version_in_force"]), (BTreeSet::new(), &same["version_in_force"]));
    // The files alone know of no absence.
    let more = ["--running", "gateway.toml", "--without-kept", "--json"];
    let files: Value = serde_json::from_str(&town.rehearsed("same", &more)).unwrap();
    let to_coastal = |referral: &String| (referral.clone(), "kings-lynn".to_owned(), "coastal".to_owned());
    assert_eq!(moved(&files), during.iter().map(to_coastal).collect());
    // A change of the files that what is kept by FHIR hides is said, as nobody would move by it.
    let off = |_: &str| "worker,from,to,note\nwn-coastal-1,2026-02-02,2026-03-31,\n".to_owned();
    let hidden = town.rehearse("hidden", &[("absences.csv", &off)]);
    assert_eq!((moved(&hidden), &hidden["kept"]["hidden"]), (BTreeSet::new(), &json!(["link worker wn-coastal-1"])));
    let text = town.rehearsed("hidden", &["--running", "gateway.toml"]);
    assert!(text.contains("link worker wn-coastal-1: the proposed files change it to no effect"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_by_fhir_of_a_pool_that_the_proposal_removed_is_left_out_and_named() {
    let (town, _, after) = kept_by_fhir().await;
    let pools =
        |text: &str| without(text, "coastal", 0).replace("cluster:Kings Lynn", "cluster:Kings Lynn;cluster:Coastal");
    let workers = |text: &str| without(text, "coastal", 2);
    let gone = town.rehearse("gone", &[("pools.csv", &pools), ("workers.csv", &workers)]);
    let to_lynn = |referral: &String| (referral.clone(), "coastal".to_owned(), "kings-lynn".to_owned());
    assert_eq!(moved(&gone), after.iter().map(to_lynn).collect(), "who was elsewhere already stays");
    let left_out = &gone["kept"]["left_out"];
    assert_eq!(
        left_out,
        &json!([{"what": "PractitionerRole/coastal.wn-coastal-1", "why": "the files do not have it"}])
    );
    assert_eq!(gone["kept"]["rows"], json!([]));
    let text = town.rehearsed("gone", &["--running", "gateway.toml"]);
    assert!(text.contains("PractitionerRole/coastal.wn-coastal-1"), "{text}");
}
