//! `fingerpost writeback` and `fingerpost deliveries`, by the real binary: empty and huge stores, bad
//! ids and states, a person's word and what the log keeps of it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;

#[path = "support/program.rs"]
mod program;

use fingerpost::clock::Clock;
use fingerpost::config::Config;
use fingerpost::fhir::ids::stable_id;
use fingerpost::gateway::Gateway;
use fingerpost::store::commit::{Commit, OutboxResult, OutboxRow, Sent};
use fingerpost::store::filing::{Filing, FilingState};
use jiff::{SignedDuration, Timestamp};
use program::{Ran, fingerpost};
use serde_json::Value;
use uuid::Uuid;

const REASON: &str = "the supplier mended their gate";
const NHS_NUMBER: &str = "999 000 0018";

struct House {
    folder: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = "[gateway]\nmode = \"development\"\n[[delivery.receivers]]\nname = \"wellness\"\n\
                    url = \"https://wellness.example/hook\"\nsecret_file = \"secret\"\nevents = [\"task\"]\n";
        fs::write(folder.path().join("gateway.toml"), text).unwrap();
        fs::write(folder.path().join("secret"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        Self { folder }
    }

    fn run(&self, args: &[&str]) -> Ran {
        let args: Vec<&str> = args.iter().copied().chain(["--config", "gateway.toml"]).collect();
        fingerpost(self.folder.path(), &args, &[])
    }

    /// Opens the same store in this process.
    fn within<T, F: Future<Output = T>>(&self, then: impl FnOnce(Gateway) -> F) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let config = Config::development(self.folder.path());
            let gateway = Gateway::open_or_create(config, Clock::System).await.unwrap();
            let out = then(gateway.clone()).await;
            gateway.store.close().await;
            out
        })
    }

    fn put(&self, commits: Vec<Commit>) {
        self.within(|gateway| async move {
            for commit in commits {
                gateway.store.commit(commit).await.unwrap();
            }
        });
    }

    /// `(interaction, outcome, detail)` of the audit log, in order, and all of it as text.
    fn log(&self) -> (Vec<(String, String, String)>, String) {
        let entries = self.within(|gateway| async move { gateway.store.entries(0, 100_000).await.unwrap() });
        let text: Vec<String> = entries.iter().map(|(_, leaf)| String::from_utf8(leaf.clone()).unwrap()).collect();
        let parsed = text.iter().map(|leaf| serde_json::from_str::<Value>(leaf).unwrap());
        let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let rows = parsed.map(|leaf| (word(&leaf["interaction"]), word(&leaf["outcome"]), word(&leaf["detail"])));
        (rows.collect(), text.join("\n"))
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_780_000_000 + second).unwrap()
}

fn row(queue: &str, n: u32) -> OutboxRow {
    OutboxRow {
        id: stable_id(&[queue, &n.to_string()]),
        queue: queue.into(),
        episode: format!("episode-{n}"),
        event: if queue.starts_with("webhook") { "task.updated" } else { "outcome.accepted" }.into(),
        resources: vec![("Observation".into(), format!("o-{n}"), 1)],
        at: at(i64::from(n)),
    }
}

/// `count` entries on their way, the first of them with a person.
fn filings(count: u32) -> Vec<Commit> {
    let one = |n: u32| {
        let row = row("writeback:N84001", n);
        let filing = Filing::queued(&row).unwrap();
        (row, filing)
    };
    let all: Vec<(OutboxRow, Filing)> = (0..count).map(one).collect();
    let first = Filing { version: 2, state: FilingState::NeedsPerson, why: "20014".into(), ..all[0].1.clone() };
    let batch = |rows: &[(OutboxRow, Filing)]| Commit {
        outbox: rows.iter().map(|(row, _)| row.clone()).collect(),
        filings: rows.iter().map(|(_, filing)| filing.clone()).collect(),
        ..Commit::default()
    };
    let last = Commit { filings: vec![first], ..Commit::default() };
    all.chunks(1000).map(batch).chain([last]).collect()
}

/// Rows of a receiver that were all given up.
fn given_up(house: &House, queue: &str, numbers: std::ops::Range<u32>) {
    let (queue, count) = (queue.to_owned(), numbers.len());
    let rows: Vec<OutboxRow> = numbers.map(|n| row(&queue, n)).collect();
    house.within(|gateway| async move {
        gateway.store.commit(Commit { outbox: rows, ..Commit::default() }).await.unwrap();
        let now = Clock::System.now();
        let until = now + SignedDuration::from_mins(1);
        let claimed = gateway.store.claim(&queue, now, until, count).await.unwrap();
        assert_eq!(claimed.len(), count);
        let given_up = |id, lease| OutboxResult { id, lease, state: Sent::GivenUp { why: "HTTP 410".into() } };
        let sent = claimed.iter().map(|one| given_up(one.row.id, one.lease)).collect();
        gateway.store.commit(Commit { sent, ..Commit::default() }).await.unwrap();
    });
}

#[test]
fn they_help_with_an_example_and_wrong_usage_is_2() {
    let house = House::new();
    for command in [
        &["writeback"][..],
        &["writeback", "list"],
        &["writeback", "retry"],
        &["writeback", "settle"],
        &["deliveries"],
        &["deliveries", "list"],
        &["deliveries", "retry"],
    ] {
        let ran = house.run(&[command, &["--help"]].concat()).expect(0);
        assert!(ran.out.contains("Example"), "{command:?}: {}", ran.out);
    }
    let id = "6f0c5b1e-3f0a-5b7e-9d0b-0c6f3b1f2a4d";
    for args in [
        &["writeback"][..],
        &["writeback", "list", "--state", "lost"],
        &["writeback", "list", "--practice", "!"],
        &["writeback", "retry", "not-an-id", "--reason", REASON],
        &["writeback", "retry", id],
        &["writeback", "settle", id, "--reason", REASON],
        &["writeback", "settle", id, "--as", "lost", "--reason", REASON],
        &["deliveries", "list", "--state", "filed"],
        &["deliveries", "retry", "--reason", REASON],
        &["deliveries", "retry", id, "--all-of", "wellness", "--reason", REASON],
        &["deliveries", "retry", "1", "--reason", REASON],
        &["deliveries", "retry", id],
    ] {
        let ran = house.run(args).expect(2);
        assert!(ran.out.is_empty() && !ran.err.is_empty(), "{args:?}: {}", ran.out);
    }
    let ran = house.run(&["writeback", "list", "--state", "lost"]).expect(2);
    assert!(ran.err.contains("states are queued, sent, received,"), "{}", ran.err);
    let ran = house.run(&["deliveries", "list", "--state", "filed"]).expect(2);
    assert!(ran.err.contains("states are queued, done, given-up"), "{}", ran.err);
}

#[test]
fn an_empty_store_has_empty_lists_and_nothing_to_send() {
    let house = House::new();
    assert_eq!(house.run(&["writeback", "list"]).expect(0).out, "Nothing is on its way.\n");
    assert_eq!(house.run(&["deliveries", "list"]).expect(0).out, "Everything is delivered.\n");
    for command in ["writeback", "deliveries"] {
        assert_eq!(house.run(&[command, "list", "--json"]).expect(0).json(), Value::Array(vec![]));
        let ran = house.run(&[command, "retry", &Uuid::nil().to_string(), "--reason", REASON, "--json"]).expect(1);
        assert!(ran.out.is_empty() && ran.err.contains("there is no such"), "{}", ran.err);
    }
    let settle = ["writeback", "settle", &Uuid::nil().to_string(), "--as", "filed", "--reason", REASON];
    house.run(&settle).expect(1);
    let ran = house.run(&["deliveries", "list", "--receiver", "wellnes"]).expect(1);
    assert!(ran.err.contains("no receiver of that name"), "{}", ran.err);
    assert_eq!(house.run(&["deliveries", "list", "--receiver", "wellness", "--json"]).expect(0).out, "[]\n");
    let ran = house.run(&["deliveries", "retry", "--all-of", "wellness", "--reason", REASON]).expect(0);
    assert_eq!(ran.out, "0 queued again\n");
    let ran = house.run(&["deliveries", "retry", "--all-of", "wellnes", "--reason", REASON]).expect(1);
    assert!(ran.err.contains("no receiver"), "{}", ran.err);
    let (log, text) = house.log();
    let refused = log.iter().filter(|(_, _, detail)| detail.contains("refused: ")).count();
    assert_eq!(refused, 4, "{log:?}");
    assert!(!text.contains(REASON));
}

#[test]
fn a_persons_word_on_an_entry_is_done_once_and_kept() {
    let house = House::new();
    house.put(filings(3));
    let id = row("writeback:N84001", 0).id.to_string();
    let listed = house.run(&["writeback", "list", "--state", "needs-person", "--json"]).expect(0).json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!((listed[0]["id"].as_str(), listed[0]["why"].as_str()), (Some(&*id), Some("20014")));
    for (practice, count) in [("N84001", 3), ("N84002", 0)] {
        let listed = house.run(&["writeback", "list", "--practice", practice, "--json"]).expect(0).json();
        assert_eq!(listed.as_array().unwrap().len(), count);
    }
    assert_eq!(house.run(&["writeback", "list", "--overdue", "--json"]).expect(0).out, "[]\n");
    for bad in ["", "ok", "line\nbreak", &format!("patient {NHS_NUMBER} rang"), &"x".repeat(501)] {
        let ran = house.run(&["writeback", "retry", &id, "--reason", bad]).expect(1);
        assert!(ran.out.is_empty() && !ran.err.contains(NHS_NUMBER), "{}", ran.err);
    }
    let done = house.run(&["writeback", "settle", &id, "--as", "filed-without-code", "--reason", REASON, "--json"]);
    let done = done.expect(0).json();
    assert_eq!(done["state"], "filed-without-code");
    assert!(done["why"].as_str().unwrap().contains(REASON), "kept with the entry, and shown");
    let ran = house.run(&["writeback", "retry", &id, "--reason", REASON]).expect(1);
    assert!(ran.err.contains("filed-without-code"), "{}", ran.err);
    let ran = house.run(&["writeback", "settle", &id, "--as", "filed", "--reason", REASON]).expect(0);
    assert!(ran.out.contains("is now filed"), "{}", ran.out);
    let (log, text) = house.log();
    let words: Vec<_> = log.iter().filter(|(interaction, ..)| interaction == "writeback-word").collect();
    assert_eq!(words.len(), 8, "{words:?}");
    assert_eq!(words.iter().filter(|(_, _, detail)| detail.contains("refused")).count(), 6);
    assert!(!text.contains(REASON) && !text.contains(NHS_NUMBER) && !text.contains("9990000018"));
}

#[test]
fn a_huge_list_is_whole_and_in_order() {
    const COUNT: u32 = 10_500;
    let house = House::new();
    house.put(filings(COUNT));
    let listed = house.run(&["writeback", "list", "--json"]).expect(0).json();
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), COUNT as usize);
    let ids: Vec<&str> = listed.iter().map(|one| one["id"].as_str().unwrap()).collect();
    let expected: Vec<String> = (0..COUNT).map(|n| row("writeback:N84001", n).id.to_string()).collect();
    assert_eq!(ids, expected);
    let ran = house.run(&["writeback", "list", "--state", "queued"]).expect(0);
    assert_eq!(ran.out.lines().count(), COUNT as usize, "a heading, and all but the first");
    assert_eq!(ran.out.lines().filter(|line| line.starts_with("key ")).count(), 1);
}

#[test]
fn what_was_given_up_is_listed_and_queued_again_under_its_key() {
    let house = House::new();
    given_up(&house, "webhook:wellness", 0..3);
    given_up(&house, "webhook:gone", 3..4);
    house.put(vec![Commit { outbox: vec![row("webhook:wellness", 9)], ..Commit::default() }]);
    house.put(filings(1));
    let list = |args: &[&str]| house.run(&[&["deliveries", "list", "--json"], args].concat()).expect(0).json();
    let states = |listed: &Value| {
        let of = |one: &Value| format!("{} {}", one["receiver"].as_str().unwrap(), one["state"].as_str().unwrap());
        listed.as_array().unwrap().iter().map(of).collect::<Vec<_>>()
    };
    let all = list(&[]);
    let given = ["wellness given-up"; 3];
    assert_eq!(states(&all), [&["gone given-up", "wellness queued"][..], &given].concat(), "no write-back among them");
    assert_eq!(states(&list(&["--receiver", "wellness", "--state", "given-up"])), given);
    assert_eq!(states(&list(&["--state", "done"])).len(), 0);
    let id = row("webhook:wellness", 1).id.to_string();
    assert_eq!(
        (all[3]["id"].as_str(), &all[3]["why"], &all[3]["attempts"]),
        (Some(&*id), &"HTTP 410".into(), &1.into())
    );
    let text = house.run(&["deliveries", "list", "--state", "given-up"]).expect(0).out;
    assert!(text.starts_with("key ") && text.contains("HTTP 410") && text.contains(&id), "{text}");

    let retry = |args: &[&str]| house.run(&[&["deliveries", "retry"], args].concat());
    let bad = retry(&[&id, "--reason", &format!("{NHS_NUMBER} rang")]).expect(1);
    assert!(!bad.err.contains(NHS_NUMBER));
    let (entry, gone) = (row("writeback:N84001", 0).id.to_string(), row("webhook:gone", 3).id.to_string());
    assert!(retry(&[&entry, "--reason", REASON]).expect(1).err.contains("fingerpost writeback retry"));
    assert!(retry(&[&gone, "--reason", REASON]).expect(1).err.contains("no receiver of that name"));
    let queued = retry(&[&id, "--reason", REASON, "--json"]).expect(0).json();
    assert_eq!((&queued["state"], &queued["attempts"]), (&"queued".into(), &0.into()));
    assert_eq!((queued["id"].as_str(), queued["why"].as_str()), (Some(&*id), Some(&*format!("by a person: {REASON}"))));
    assert!(retry(&[&id, "--reason", REASON]).expect(1).err.contains("it is queued"));
    assert_eq!(retry(&["--all-of", "wellness", "--reason", REASON]).expect(0).out, "2 queued again\n");
    assert_eq!(states(&list(&["--state", "given-up"])), ["gone given-up"]);

    let (log, text) = house.log();
    let said: Vec<_> = log.iter().filter(|(interaction, ..)| interaction == "deliveries-retry").collect();
    assert_eq!(said.iter().filter(|(_, _, detail)| detail.ends_with("wellness: queued again")).count(), 3, "{said:?}");
    assert_eq!(said.iter().filter(|(_, _, detail)| detail.contains("refused: ")).count(), 4, "{said:?}");
    assert!(text.contains("ServiceRequest/episode-1") && !text.contains(REASON) && !text.contains(NHS_NUMBER));
}

#[test]
fn all_of_a_receiver_is_queued_again_whatever_it_comes_to() {
    let house = House::new();
    given_up(&house, "webhook:wellness", 0..1050);
    let ran = house.run(&["deliveries", "retry", "--all-of", "wellness", "--reason", REASON, "--json"]).expect(0);
    assert_eq!(ran.json()["queued"], 1050);
    let queued = house.run(&["deliveries", "list", "--state", "queued", "--json"]).expect(0).json();
    assert_eq!(queued.as_array().unwrap().len(), 1050);
    assert_eq!(house.log().0.iter().filter(|(interaction, ..)| interaction == "deliveries-retry").count(), 1050);
    let claimed = house.within(|gateway| async move {
        let now = Clock::System.now();
        gateway.store.claim("webhook:wellness", now, now + SignedDuration::from_mins(1), 5000).await.unwrap()
    });
    let ids: Vec<Uuid> = claimed.iter().map(|one| one.row.id).collect();
    assert_eq!(ids, (0..1050).map(|n| row("webhook:wellness", n).id).collect::<Vec<_>>(), "the same keys, in order");
}
