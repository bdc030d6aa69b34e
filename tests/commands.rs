//! Every command, by the real binary: good, bad and huge input, exit codes, streams, `--json`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};

#[path = "support/program.rs"]
mod program;
#[path = "support/referrals.rs"]
mod referrals;

use bytes::Bytes;
use fingerpost::audit::Agent;
use fingerpost::clock::Clock;
use fingerpost::config::Config;
use fingerpost::gateway::Gateway;
use fingerpost::referral::{Answer, Channel, Outcome, Received, process};
use program::{Ran, fingerpost};
use uuid::Uuid;

/// A folder with a development configuration; the store is `fingerpost.db` in it.
struct House {
    folder: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = "[gateway]\nmode = \"development\"\n[nhs]\ntest_numbers = \"allow\"\n";
        fs::write(folder.path().join("gateway.toml"), text).unwrap();
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, &[])
    }

    fn run_with(&self, args: &[&str], env: &[(&str, &str)]) -> Ran {
        let args: Vec<&str> = args.iter().copied().chain(["--config", "gateway.toml"]).collect();
        fingerpost(self.path(), &args, env)
    }

    /// The audit log's interactions, in order.
    fn interactions(&self) -> Vec<String> {
        let read = |gateway: Gateway| async move { gateway.store.entries(0, 1000).await.unwrap() };
        let entries = self.within(read);
        let entry = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
        entries.iter().map(|(_, leaf)| entry(leaf)["interaction"].as_str().unwrap().to_owned()).collect()
    }

    /// Opens the same store in this process.
    fn within<T, F: Future<Output = T>>(&self, then: impl FnOnce(Gateway) -> F) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let gateway = Gateway::open_or_create(Config::development(self.path()), Clock::System).await.unwrap();
            let out = then(gateway.clone()).await;
            gateway.store.close().await;
            out
        })
    }

    /// A referral by the path itself.
    fn send(&self, n: u32, practice: &str) -> Answer {
        let bytes = Bytes::from(referrals::bars_message(n, practice).to_string());
        self.within(|gateway| async move {
            let received = Received {
                id: Uuid::new_v4(),
                channel: Channel::Bars,
                agent: Agent::of("surgery", practice, "referrer"),
                at: gateway.clock.now(),
                request: String::new(),
                correlation: String::new(),
                content_type: "application/fhir+json".into(),
                bytes,
                keys: Vec::new(),
                source: "surgery".into(),
                tree: None,
                bundle: None,
                replays: None,
            };
            process(&gateway, received).await.unwrap()
        })
    }
}

#[test]
fn every_command_helps_with_an_example() {
    let folder = tempfile::tempdir().unwrap();
    let commands: [&[&str]; 20] = [
        &["check"],
        &["migrate"],
        &["map"],
        &["held"],
        &["held", "list"],
        &["held", "show"],
        &["held", "replay"],
        &["route"],
        &["route", "explain"],
        &["route", "rehearse"],
        &["ledger"],
        &["serve"],
        &["token"],
        &["audit"],
        &["audit", "verify"],
        &["audit", "prove"],
        &["audit", "disclosure"],
        &["audit", "export"],
        &["ingest"],
        &[],
    ];
    for command in commands {
        let args: Vec<&str> = command.iter().copied().chain(["--help"]).collect();
        let ran = fingerpost(folder.path(), &args, &[]).expect(0);
        assert!(ran.out.contains("Example"), "{command:?}: {}", ran.out);
        assert!(ran.err.is_empty());
    }
}

#[test]
fn wrong_usage_is_2() {
    let house = House::new();
    for args in [
        vec!["fly"],
        vec!["check", "--colour"],
        vec!["held", "replay"],
        vec!["held", "replay", "--cause", "boredom"],
        vec!["held", "show", "not-an-id"],
        vec!["ledger", "--date", "yesterday"],
        vec!["ledger", "--practice", "!"],
        vec!["map", "--mapping", "no-such", "gateway.toml"],
    ] {
        let ran = house.run(&args).expect(2);
        assert!(ran.out.is_empty() && !ran.err.is_empty(), "{args:?}: {}", ran.out);
    }
    fingerpost(house.path(), &["ledger", "--config", "absent.toml"], &[]).expect(2);
}

#[test]
fn a_store_that_cannot_be_had_is_3() {
    let house = House::new();
    let production = [("FINGERPOST__GATEWAY__MODE", "production")];
    let ran = house.run_with(&["ledger"], &production).expect(3);
    assert!(ran.err.contains("fingerpost migrate"), "{}", ran.err);
    assert!(!house.path().join("fingerpost.db").exists(), "nothing is made in production but by migrate");
    let nowhere = [("FINGERPOST__STORE__URL", "sqlite:/no/such/folder/f.db")];
    house.run_with(&["migrate"], &nowhere).expect(3);
    fs::write(house.path().join("text.db"), "this is not a database at all, but long enough to be one".repeat(40))
        .unwrap();
    house.run_with(&["migrate"], &[("FINGERPOST__STORE__URL", "sqlite:text.db")]).expect(3);
    let absent = [
        ("FINGERPOST__STORE__URL", "postgres://nobody:secret@127.0.0.1:1/none"),
        ("FINGERPOST__AUDIT__KEY_FILE", "k.pem"),
    ];
    let ran = house.run_with(&["migrate"], &absent);
    assert!(!ran.err.contains("secret"), "{}", ran.err);
}

#[test]
fn migrate_says_what_it_did_and_once_is_enough() {
    let house = House::new();
    let production = [("FINGERPOST__GATEWAY__MODE", "production")];
    let ran = house.run_with(&["migrate", "--json"], &production).expect(0);
    assert!(!ran.json()["steps"].as_array().unwrap().is_empty());
    let again = house.run_with(&["migrate"], &production).expect(0);
    assert!(again.out.starts_with("nothing to do"), "{}", again.out);
    assert!(house.path().join("fingerpost.db.audit-key.pem").exists());
    assert!(
        fs::read_to_string(house.path().join("fingerpost.db.audit-key.pub"))
            .unwrap()
            .contains("fingerpost.example/audit+")
    );
    house.run_with(&["ledger"], &production).expect(0);
    assert_eq!(house.interactions(), ["migrate", "ledger"]);
}

#[test]
fn a_lost_signing_key_is_not_replaced_in_silence() {
    let house = House::new();
    house.run(&["migrate"]).expect(0);
    fs::remove_file(house.path().join("fingerpost.db.audit-key.pem")).unwrap();
    let ran = house.run(&["ledger"]).expect(3);
    assert!(ran.err.contains("another signing key"), "{}", ran.err);
}

#[test]
fn the_ledger_reconciles_and_says_where_each_referral_is() {
    let house = House::new();
    let empty = house.run(&["ledger", "--json", "--summary"]).expect(0).json();
    assert_eq!((&empty["totals"]["received"], &empty["reconciles"]), (&0.into(), &true.into()));
    assert!(empty.get("referrals").is_none());
    let open = house.send(1, "N84001");
    let held = house.send(2, "N99999");
    assert_eq!((&open.result, matches!(held.result, Outcome::Held(_))), (&Outcome::Committed, true));
    let ledger = house.run(&["ledger", "--json"]).expect(0).json();
    let totals = &ledger["totals"];
    assert_eq!(
        (totals["received"].as_u64(), totals["open"].as_u64(), totals["held"].as_u64()),
        (Some(2), Some(1), Some(1))
    );
    let row = ledger["referrals"].as_array().unwrap().iter().find(|row| row["id"] == open.referral.as_str()).unwrap();
    assert_eq!(
        (&row["state"], &row["waiting_on"], &row["practice"]),
        (&"open".into(), &"crosby-maghull".into(), &"N84001".into())
    );
    let other = house.run(&["ledger", "--json", "--practice", "n84001"]).expect(0).json();
    assert_eq!(other["totals"]["received"], 1);
    let past = house.run(&["ledger", "--json", "--date", "2020-01-01"]).expect(0).json();
    assert_eq!(past["totals"]["received"], 0);
    let text = house.run(&["ledger"]).expect(0).out;
    assert!(text.contains("It reconciles.") && text.contains(&open.referral), "{text}");
}

#[test]
fn a_ledger_that_does_not_add_up_is_1() {
    let house = House::new();
    let open = house.send(1, "N84001");
    house.within(|gateway| async move {
        let mut row = gateway.store.ledger_row(&open.referral).await.unwrap().unwrap();
        row.id = "11111111-1111-4111-8111-111111111111".into();
        let commit = fingerpost::store::commit::Commit { ledger: vec![row], ..Default::default() };
        gateway.store.commit(commit).await.unwrap();
    });
    let ran = house.run(&["ledger", "--json"]).expect(1);
    assert_eq!(ran.json()["reconciles"], false);
    assert!(ran.json()["faults"][0].as_str().unwrap().contains("has no ServiceRequest"));
}

#[test]
fn held_is_listed_shown_and_replayed_after_the_fix() {
    let house = House::new();
    assert_eq!(house.run(&["held", "list", "--json"]).expect(0).json(), serde_json::json!([]));
    let held = house.send(1, "N99999");
    let list = house.run(&["held", "list", "--json"]).expect(0).json();
    let hold = &list[0];
    assert_eq!(
        (list.as_array().unwrap().len(), &hold["cause"], &hold["channel"]),
        (1, &"practice-unknown".into(), &"bars".into())
    );
    for key in ["id", "cause", "channel", "received_at", "source", "practice", "detail", "count"] {
        assert!(hold.get(key).is_some(), "{key}");
    }
    let id = hold["id"].as_str().unwrap();
    let text = house.run(&["held", "list"]).expect(0).out;
    assert!(text.starts_with("practice-unknown (1)") && text.contains(id), "{text}");
    let shown = house.run(&["held", "show", id]).expect(0);
    assert!(
        shown.out.contains(&held.referral)
            && !shown.out.contains("Synthetic1")
            && !shown.out.contains(&referrals::nhs_number(1))
    );
    let bytes = house.run(&["held", "show", id, "--bytes"]).expect(0).out;
    assert_eq!(bytes, referrals::bars_message(1, "N99999").to_string());
    house.run(&["held", "show", &Uuid::new_v4().to_string()]).expect(1);
    house.run(&["held", "replay", &Uuid::new_v4().to_string()]).expect(1);

    let still = house.run(&["held", "replay", id, "--json"]).expect(0).json();
    assert_eq!(still["replayed"][0]["outcome"], "held: practice-unknown");
    let known = place_with(house.path(), "N99999,New surgery,U97058,2019-07-01,,invented,\n");
    let fix = [("FINGERPOST__GATEWAY__CONFIG_DIR", known.to_str().unwrap())];
    let dry = house
        .run_with(&["held", "replay", "--cause", "practice-unknown", "--dry-run", "--json"], &fix)
        .expect(0)
        .json();
    assert_eq!(dry["replayed"][0]["outcome"], "would be committed, to pool crosby-maghull");
    assert_eq!(
        house.run(&["held", "list", "--json"]).expect(0).json().as_array().unwrap().len(),
        1,
        "a dry run changes nothing"
    );
    let done = house.run_with(&["held", "replay", "--cause", "practice-unknown"], &fix).expect(0).out;
    assert!(done.contains("committed"), "{done}");
    assert_eq!(house.run(&["held", "list", "--json"]).expect(0).json(), serde_json::json!([]));
    let ledger = house.run(&["ledger", "--json"]).expect(0).json();
    assert_eq!((&ledger["totals"]["open"], &ledger["totals"]["held"]), (&1.into(), &0.into()));
    let log = house.interactions();
    for interaction in ["held-list", "held-show", "held-bytes", "held-replay"] {
        assert!(log.iter().any(|logged| logged == interaction), "{interaction} is in the log: {log:?}");
    }
}

/// The shipped Sefton with one more practice.
fn place_with(folder: &Path, practice: &str) -> PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/sefton");
    let to = folder.join("places/sefton");
    fs::create_dir_all(&to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    let file = to.join("practices.csv");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(file, text + practice).unwrap();
    folder.join("places")
}

#[test]
fn a_route_is_explained_as_it_was_decided() {
    let house = House::new();
    let open = house.send(1, "N84004");
    let decision = house.run(&["route", "explain", &open.referral, "--json"]).expect(0).json();
    assert_eq!((&decision["pool"], &decision["pcn"]), (&"seaforth-litherland".into(), &"U23717".into()));
    let text = house.run(&["route", "explain", &format!("ServiceRequest/{}", open.referral)]).expect(0).out;
    assert!(text.contains("Glovers Lane Surgery (N84004) is in Seaforth and Litherland"), "{text}");
    house.run(&["route", "explain", "nothing-of-that-id"]).expect(1);
    let log = house.interactions();
    assert_eq!(log.iter().filter(|logged| *logged == "route-explain").count(), 3, "a miss is in the log too");
}

#[test]
fn map_shows_the_bundle_and_where_it_came_from() {
    let house = House::new();
    let case = |path: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings").join(path);
    let typical = case("emis-extract/cases/typical.yaml");
    let typical = typical.to_str().unwrap();
    let bundle = house.run(&["map", "--mapping", "emis-extract", typical]).expect(0).json();
    let kinds: Vec<_> =
        bundle["entry"].as_array().unwrap().iter().map(|e| e["resource"]["resourceType"].clone()).collect();
    assert!(kinds.contains(&"ServiceRequest".into()) && kinds.contains(&"Patient".into()), "{kinds:?}");
    let explained = house.run(&["map", "--mapping", "emis-extract", typical, "--explain"]).expect(0).out;
    assert!(explained.contains("ServiceRequest.priority") && explained.contains("urgency.csv:"), "{explained}");
    house.run(&["map", "--mapping", "emis-extract", typical, "--explain", "--json"]).expect(0).json();
    let unknown = case("emis-extract/cases/unknown-urgency.yaml");
    let ran = house.run(&["map", "--mapping", "emis-extract", unknown.to_str().unwrap()]).expect(0);
    assert!(ran.err.contains("[urgency-unmapped]"), "{}", ran.err);
    fs::write(house.path().join("bars.json"), referrals::bars_message(1, "N84001").to_string()).unwrap();
    house.run(&["map", "--mapping", "bars", "bars.json", "--json"]).expect(0).json();
    assert!(!house.path().join("fingerpost.db").exists(), "nothing is stored");
}

#[test]
fn map_refuses_what_it_cannot_read() {
    let house = House::new();
    let bomb = "<!DOCTYPE b [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY c \"&a;&a;&a;\">]><Bundle xmlns=\"http://hl7.org/fhir\">&c;</Bundle>";
    let deep = format!("{{\"resourceType\":\"Bundle\",\"entry\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
    let files: [(&str, Vec<u8>); 8] = [
        ("empty", Vec::new()),
        ("binary", vec![0xff, 0xfe, 0, 1, 2]),
        ("nul", b"obs:\0".to_vec()),
        ("list.yaml", b"- 1\n- 2\n".to_vec()),
        ("cut.json", b"{\"resourceType\": \"Bundle\", \"entry\": [".to_vec()),
        ("bomb.xml", bomb.into()),
        ("deep.json", deep.into()),
        ("huge", vec![b' '; 16 * 1024 * 1024 + 1]),
    ];
    for (name, bytes) in files {
        fs::write(house.path().join(name), bytes).unwrap();
        for mapping in ["emis-extract", "bars"] {
            let ran = house.run(&["map", "--mapping", mapping, name]).expect(1);
            assert!(ran.out.is_empty() && !ran.err.is_empty(), "{name}: {}", ran.out);
        }
    }
    house.run(&["map", "--mapping", "bars", "absent"]).expect(1);
    house.run(&["map", "--mapping", "bars", "."]).expect(1);
}

#[test]
fn a_token_is_for_development_only() {
    let house = House::new();
    let args = ["token", "--client", "me", "--role", "pool", "--ods", "FPE07", "--pool", "bootle"];
    let token = house.run(&args).expect(0).json();
    for key in ["access_token", "token_type", "expires_in", "scope"] {
        assert!(token.get(key).is_some(), "{key}");
    }
    assert!(token["scope"].as_str().unwrap().contains("system/Task."), "{token}");
    house.run_with(&args, &[("FINGERPOST__GATEWAY__MODE", "production")]).expect(2);
    house.run(&["token", "--client", "stranger"]).expect(2);
    house.run(&["token", "--client", "me", "--role", "queen", "--ods", "FPE07"]).expect(2);
    house.run(&["token", "--client", "me", "--role", "pool", "--ods", "!"]).expect(2);
    house.run(&["token", "--client", "me", "--role", "pool", "--ods", "FPE07", "--pool", "nowhere"]).expect(2);
    assert_eq!(house.interactions(), ["token", "token"]);
}

#[test]
fn bundles_are_ingested_and_every_one_is_accounted_for() {
    let house = House::new();
    let folder = house.path().join("in");
    fs::create_dir(&folder).unwrap();
    for n in 1..=5 {
        fs::write(folder.join(format!("{n}.json")), referrals::bars_message(n, "N84001").to_string()).unwrap();
    }
    fs::write(folder.join("6.json"), referrals::bars_message(6, "N99999").to_string()).unwrap();
    let args = ["ingest", "--format", "bars", "in", "--json"];
    let result = house.run(&args).expect(0).json();
    assert_eq!((&result["received"], &result["committed"], &result["held"]), (&6.into(), &5.into(), &1.into()));
    assert_eq!(result["messages"].as_array().unwrap().len(), 6);
    let again = house.run(&args).expect(0).json();
    assert_eq!((&again["duplicate"], &again["held"], &again["committed"]), (&5.into(), &1.into(), &0.into()));
    house.run(&["ledger", "--summary"]).expect(0);

    fs::write(folder.join("7.json"), "{\"resourceType\": \"Bund").unwrap();
    fs::write(folder.join("8.xml"), b"<Bundle\0").unwrap();
    fs::write(folder.join("9.json"), vec![b'['; 17 * 1024 * 1024]).unwrap();
    let bad = house.run(&args).expect(1);
    let result = bad.json();
    assert_eq!((&result["received"], &result["rejected"], &result["unreadable"]), (&9.into(), &3.into(), &3.into()));
    let sum: u64 = ["committed", "duplicate", "held", "rejected", "waiting", "withdrawn", "ignored"]
        .iter()
        .map(|count| result[*count].as_u64().unwrap())
        .sum();
    assert_eq!(sum, 9);
    let text = house.run(&["ingest", "--format", "bars", "in/6.json"]).expect(0).out;
    assert!(text.contains("practice-unknown"), "{text}");
    house.run(&["ingest", "--format", "bars", "absent"]).expect(1);
    house.run(&["ingest", "--format", "pigeon", "in"]).expect(2);
    house.run(&["ingest", "--format", "bars"]).expect(2);
}

#[test]
fn the_log_is_verified_proved_disclosed_and_exported() {
    let house = House::new();
    house.send(1, "N84001");
    house.send(2, "N84001");
    let report = house.run(&["audit", "verify", "--json"]).expect(0).json();
    assert_eq!((&report["passed"], &report["entries"]), (&true.into(), &2.into()));
    let number = referrals::nhs_number(1);
    let list = house.run(&["audit", "disclosure", "--nhs-number", &number, "--json"]).expect(0).json();
    assert_eq!(list["lines"].as_array().unwrap().len(), 1);
    let text = house.run(&["audit", "disclosure", "--nhs-number", &number]).expect(0).out;
    assert!(text.contains("surgery") && !text.contains("Synthetic1"), "{text}");
    house.run(&["audit", "disclosure", "--nhs-number", "9990000000"]).expect(2);

    let id = list["lines"][0]["entry"].as_str().unwrap();
    let proof = house.run(&["audit", "prove", id]).expect(0).out;
    fs::write(house.path().join("proof"), &proof).unwrap();
    house.run(&["audit", "verify", "--proof", "proof"]).expect(0);
    fs::write(house.path().join("proof"), proof.replacen('A', "B", 1)).unwrap();
    house.run(&["audit", "verify", "--proof", "proof"]).expect(1);
    house.run(&["audit", "prove", &Uuid::new_v4().to_string()]).expect(1);

    let events = house.run(&["audit", "export"]).expect(0).out;
    assert!(events.lines().count() >= 2);
    assert!(events.lines().all(|line| line.contains("\"AuditEvent\"") && !line.contains(&number)));
    house.run(&["audit", "export", "--to", "copy"]).expect(0);
    house.run(&["audit", "export", "--to", "copy"]).expect(2);
    house.run(&["audit", "verify", "copy"]).expect(0);
}

#[test]
fn a_copied_log_verifies_with_the_public_key_alone_and_a_changed_one_does_not() {
    let house = House::new();
    house.send(1, "N84001");
    let copy = house.path().join("copy");
    fs::create_dir(&copy).unwrap();
    fs::copy(house.path().join("fingerpost.db"), copy.join("fingerpost.db")).unwrap();
    fs::copy(house.path().join("fingerpost.db.audit-key.pub"), copy.join("log.pub")).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let copied = copy.to_str().unwrap();
    fingerpost(elsewhere.path(), &["audit", "verify", copied], &[]).expect(0);
    let mut bytes = fs::read(copy.join("fingerpost.db")).unwrap();
    let at = bytes.windows(15).position(|window| window == b"process-message").unwrap();
    bytes[at] ^= 1;
    fs::write(copy.join("fingerpost.db"), bytes).unwrap();
    let ran = fingerpost(elsewhere.path(), &["audit", "verify", copied], &[]).expect(1);
    assert!(ran.out.contains("THE AUDIT LOG IS NOT AS IT WAS WRITTEN"), "{}", ran.out);
    fs::write(copy.join("fingerpost.db"), b"nothing").unwrap();
    fingerpost(elsewhere.path(), &["audit", "verify", copied], &[]).expect(1);
    fingerpost(elsewhere.path(), &["audit", "verify", copied, "--key", "absent"], &[]).expect(2);
}

/// A serving gateway that a test can talk to; killed when dropped.
struct Serving {
    child: std::process::Child,
    address: String,
    rest: std::thread::JoinHandle<String>,
}

impl House {
    fn serve(&self) -> Serving {
        use std::io::{BufRead, BufReader, Read};
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_fingerpost"))
            .current_dir(self.path())
            .args(["serve", "--config", "gateway.toml"])
            .env("FINGERPOST__SERVE__LISTEN", "127.0.0.1:0")
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").unwrap_or_else(|| panic!("{line}")).to_owned();
        let rest = std::thread::spawn(move || {
            let mut text = String::new();
            out.read_to_string(&mut text).unwrap();
            text
        });
        Serving { child, address, rest }
    }
}

impl Serving {
    /// The status line and body of a GET.
    fn get(&self, path: &str) -> String {
        use std::io::{Read, Write};
        let mut socket = std::net::TcpStream::connect(&self.address).unwrap();
        write!(socket, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }

    /// SIGTERM, as a supervisor sends it; gives the exit code.
    fn terminate(mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let code = self.child.wait().unwrap().code();
        self.rest.join().unwrap();
        code
    }
}

#[test]
fn serve_says_where_it_listens_and_drains_when_told_to() {
    let house = House::new();
    let serving = house.serve();
    assert!(serving.get("/livez").starts_with("HTTP/1.1 200"), "{}", serving.get("/livez"));
    assert!(serving.get("/readyz").starts_with("HTTP/1.1 200"), "{}", serving.get("/readyz"));
    assert!(serving.get("/fhir/Patient").starts_with("HTTP/1.1 401"));
    assert!(serving.get("/fhir/metadata").starts_with("HTTP/1.1 200"));
    // Commands work beside it.
    house.run(&["ledger", "--summary"]).expect(0);
    house.run(&["audit", "verify"]).expect(0);
    assert_eq!(serving.terminate(), Some(0));
}

#[test]
fn serve_refuses_what_it_should_not_serve() {
    let house = House::new();
    let production = [("FINGERPOST__GATEWAY__MODE", "production")];
    let ran = house.run_with(&["serve"], &production).expect(2);
    assert!(ran.err.contains("production mode serves TLS only"), "{}", ran.err);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = house.run_with(&["serve"], &[("FINGERPOST__SERVE__LISTEN", &address)]).expect(3);
    assert!(ran.out.is_empty(), "{}", ran.out);
}
