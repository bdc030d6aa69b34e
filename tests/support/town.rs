//! A gateway of one worked place, with the place's folder beside its store, referrals over HTTP, and
//! the commands that explain and rehearse.
#![allow(dead_code)] // each test program uses its own part

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use fingerpost::clock::Clock;
use fingerpost::config::{Client, Role};
use fingerpost::fhir::ids::OdsCode;
use serde_json::Value;

use crate::program::fingerpost;
use crate::referrals;
use crate::running::{Running, start_at};

/// A change to a file of a place: its name, and what becomes of its text.
pub type Edit<'a> = (&'a str, &'a dyn Fn(&str) -> String);

/// A gateway of one place, with the place's folder beside its store.
pub struct Town {
    pub running: Running,
    pub clock: Clock,
    pub place: &'static str,
}

pub fn shipped(place: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(place)
}

/// Copies a shipped place to `to/PLACE`, edited.
pub fn copy(place: &str, to: &Path, edits: &[Edit<'_>]) {
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
    pub async fn open(place: &'static str, at: &str, edits: &[Edit<'_>]) -> Self {
        let clock = Clock::fixed(at.parse().unwrap());
        let places = tempfile::tempdir().unwrap();
        copy(place, places.path(), edits);
        let running = start_at(clock.clone(), |config| {
            config.gateway.place = place.into();
            config.gateway.config_dir = places.path().display().to_string();
            config.access.clients.push(trust());
        })
        .await;
        let town = Self { running, clock, place };
        copy(place, &town.folder("places"), edits);
        town.configure("gateway.toml", "places");
        town
    }

    pub fn folder(&self, name: &str) -> PathBuf {
        self.running.dir.path().join(name)
    }

    /// Writes a gateway's file that names the place in a folder beside the store.
    pub fn configure(&self, file: &str, places: &str) {
        let text = format!(
            "[gateway]\nmode = \"development\"\nplace = \"{}\"\nconfig_dir = \"{}\"\n[store]\nurl = \"sqlite:{}\"\n[nhs]\ntest_numbers = \"allow\"\n",
            self.place,
            self.folder(places).display(),
            self.folder("fingerpost.db").display()
        );
        fs::write(self.folder(file), text).unwrap();
    }

    /// The `n`th person is referred by a practice; returns the referral's id.
    pub async fn refer(&self, n: u32, practice: &str, change: impl FnOnce(&mut Value)) -> String {
        let token = self.running.token(&format!("surgery-{n}"), Role::Referrer, practice, &[]);
        self.send(&token, n, practice, change).await
    }

    pub async fn send(&self, token: &str, n: u32, practice: &str, change: impl FnOnce(&mut Value)) -> String {
        self.told(token, n, practice, change).await.0
    }

    /// The referral's id and all that the sender is told.
    pub async fn told(&self, token: &str, n: u32, practice: &str, change: impl FnOnce(&mut Value)) -> (String, String) {
        let mut bundle = referrals::bars_message(n, practice);
        change(&mut bundle);
        let reply = self.running.message(token, "application/fhir+json", bundle.to_string()).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let told = reply.json();
        let entries = told["entry"].as_array().unwrap();
        let request = entries.iter().find(|entry| entry["resource"]["resourceType"] == "ServiceRequest");
        let request = request.unwrap_or_else(|| panic!("{told}"));
        (request["resource"]["id"].as_str().unwrap().to_owned(), reply.text)
    }

    pub fn explain(&self, referral: &str) -> Value {
        let args = ["route", "explain", referral, "--json", "--config", "gateway.toml"];
        fingerpost(self.running.dir.path(), &args, &[]).expect(0).json()
    }

    /// What `route explain` says in words.
    pub fn said(&self, referral: &str) -> String {
        let args = ["route", "explain", referral, "--config", "gateway.toml"];
        fingerpost(self.running.dir.path(), &args, &[]).expect(0).out
    }

    /// Rehearses the place with edits, in a configuration `NAME.toml`.
    pub fn rehearse(&self, name: &str, edits: &[Edit<'_>]) -> Value {
        self.propose(name, edits);
        let text = self.rehearsed(name, &["--running", "gateway.toml", "--json"]);
        serde_json::from_str(&text).unwrap()
    }

    /// Writes the place with edits, and a configuration `NAME.toml` that has it.
    pub fn propose(&self, name: &str, edits: &[Edit<'_>]) {
        copy(self.place, &self.folder(name), edits);
        self.configure(&format!("{name}.toml"), name);
    }

    /// What a rehearsal of `NAME.toml` prints.
    pub fn rehearsed(&self, name: &str, more: &[&str]) -> String {
        let file = format!("{name}.toml");
        let args = [&["route", "rehearse", "--config", &file], more].concat();
        fingerpost(self.running.dir.path(), &args, &[]).expect(0).out
    }
}

/// A mental health trust, with an invented code.
pub fn trust() -> Client {
    Client {
        id: "trust".into(),
        name: "A mental health trust".into(),
        ods: OdsCode::parse("FPT01").unwrap(),
        role: Role::Referrer,
        pools: Vec::new(),
        scopes: Vec::new(),
        jwks_file: String::new(),
        certificate_sha256: String::new(),
        source: "mental-health".into(),
    }
}

/// The first entry of a type in a message.
pub fn entry<'a>(bundle: &'a mut Value, kind: &str) -> &'a mut Value {
    let entries = bundle["entry"].as_array_mut().unwrap();
    &mut entries.iter_mut().find(|e| e["resource"]["resourceType"] == kind).unwrap()["resource"]
}

pub fn moved(report: &Value) -> BTreeSet<(String, String, String)> {
    let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    report["moved"].as_array().unwrap().iter().map(|m| (text(m, "referral"), text(m, "from"), text(m, "to"))).collect()
}
