//! The worked places, each through a running gateway: referrals come in over HTTP, `route explain`
//! says why, and `route rehearse` shows the place's own problem solved.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "support/program.rs"]
mod program;
#[path = "support/referrals.rs"]
#[allow(dead_code)]
mod referrals;
#[path = "support/running.rs"]
mod running;

use fingerpost::clock::Clock;
use fingerpost::config::Role;
use fingerpost::gateway;
use jiff::SignedDuration;
use program::fingerpost;
use running::{Running, start_at};
use serde_json::Value;

const PLACES: [&str; 4] = ["sefton", "norfolk", "leeds", "lincolnshire"];

/// A change to a file of a place: its name, and what becomes of its text.
type Edit<'a> = (&'a str, &'a dyn Fn(&str) -> String);

/// A gateway of one place, with the place's folder beside its store.
struct Town {
    running: Running,
    clock: Clock,
    place: &'static str,
}

fn shipped(place: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(place)
}

/// Copies a shipped place to `to/PLACE`, edited.
fn copy(place: &str, to: &Path, edits: &[Edit<'_>]) {
    let to = to.join(place);
    fs::create_dir_all(&to).unwrap();
    for entry in fs::read_dir(shipped(place)).unwrap().flatten() {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    for (file, edit) in edits {
        let before = fs::read_to_string(to.join(file)).unwrap_or_default();
        let after = edit(&before);
        assert_ne!(before, after, "the edit of {file} changes it");
        fs::write(to.join(file), after).unwrap();
    }
}

impl Town {
    async fn open(place: &'static str, at: &str, edits: &[Edit<'_>]) -> Self {
        let clock = Clock::fixed(at.parse().unwrap());
        let places = tempfile::tempdir().unwrap();
        copy(place, places.path(), edits);
        let running = start_at(clock.clone(), |config| {
            config.gateway.place = place.into();
            config.gateway.config_dir = places.path().display().to_string();
        })
        .await;
        let town = Self { running, clock, place };
        copy(place, &town.folder("places"), edits);
        town.configure("gateway.toml", "places");
        town
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.running.dir.path().join(name)
    }

    /// Writes a gateway's file that names the place in a folder beside the store.
    fn configure(&self, file: &str, places: &str) {
        let text = format!(
            "[gateway]\nmode = \"development\"\nplace = \"{}\"\nconfig_dir = \"{}\"\n[store]\nurl = \"sqlite:{}\"\n[nhs]\ntest_numbers = \"allow\"\n",
            self.place,
            self.folder(places).display(),
            self.folder("fingerpost.db").display()
        );
        fs::write(self.folder(file), text).unwrap();
    }

    /// The `n`th person is referred by a practice; returns the referral's id.
    async fn refer(&self, n: u32, practice: &str, change: impl FnOnce(&mut Value)) -> String {
        let token = self.running.token(&format!("surgery-{n}"), Role::Referrer, practice, &[]);
        self.send(&token, n, practice, change).await
    }

    async fn send(&self, token: &str, n: u32, practice: &str, change: impl FnOnce(&mut Value)) -> String {
        let mut bundle = referrals::bars_message(n, practice);
        change(&mut bundle);
        let reply = self.running.message(token, "application/fhir+json", bundle.to_string()).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let told = reply.json();
        let entries = told["entry"].as_array().unwrap();
        let request = entries.iter().find(|entry| entry["resource"]["resourceType"] == "ServiceRequest");
        request.unwrap_or_else(|| panic!("{told}"))["resource"]["id"].as_str().unwrap().to_owned()
    }

    fn explain(&self, referral: &str) -> Value {
        let args = ["route", "explain", referral, "--json", "--config", "gateway.toml"];
        fingerpost(self.running.dir.path(), &args, &[]).expect(0).json()
    }

    /// What `route explain` says in words.
    fn said(&self, referral: &str) -> String {
        let args = ["route", "explain", referral, "--config", "gateway.toml"];
        fingerpost(self.running.dir.path(), &args, &[]).expect(0).out
    }

    fn rehearse(&self, name: &str, edits: &[Edit<'_>]) -> Value {
        copy(self.place, &self.folder(name), edits);
        self.configure(&format!("{name}.toml"), name);
        let file = format!("{name}.toml");
        let args = ["route", "rehearse", "--config", &file, "--running", "gateway.toml", "--json"];
        fingerpost(self.running.dir.path(), &args, &[]).expect(0).json()
    }
}

fn moved(report: &Value) -> BTreeSet<(String, String, String)> {
    let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    report["moved"].as_array().unwrap().iter().map(|m| (text(m, "referral"), text(m, "from"), text(m, "to"))).collect()
}

#[test]
fn every_shipped_place_passes_the_check() {
    for place in PLACES {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("[gateway]\nmode = \"development\"\nplace = \"{place}\"\n");
        fs::write(folder.path().join("gateway.toml"), text).unwrap();
        let ran = fingerpost(folder.path(), &["check", "--config", "gateway.toml"], &[]).expect(0);
        assert!(ran.out.contains("ok"), "{place}: {}", ran.out);
        // The folder and what is compiled in are the same files.
        let read = gateway::place_of_folder(&shipped(place)).unwrap();
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
