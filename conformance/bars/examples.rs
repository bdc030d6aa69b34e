//! Every public BaRS example, posted to two gateways: one as it is shipped, which takes only the
//! use case `sp1`, and one that takes all use cases, so that the rules after that one are seen
//! too. `expected.csv` has the answers and why.
//!
//! The examples are NHS England's and are not part of this tree: where they are not beside it,
//! the test passes and says so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fingerpost::config::Config;

use crate::running::{self, Running};

/// One line of the table.
#[derive(Debug, Default)]
struct Line {
    shipped: String,
    open: String,
}

fn folder() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = root.join("../shared/payloads");
    found.join("bars-xml").is_dir().then_some(found)
}

fn table() -> BTreeMap<String, Line> {
    let text = include_str!("expected.csv");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let lines = reader.records().map(|record| {
        let record = record.unwrap();
        assert!(record[3].len() > 10, "{}: says why", &record[0]);
        (record[0].to_owned(), Line { shipped: record[1].to_owned(), open: record[2].to_owned() })
    });
    lines.collect()
}

fn every_use_case(config: &mut Config) {
    let codes = "sp1 a1t1 a2t1 a3t1 a4t1 a4t2 a4t3 a4t4 a5t1 a5t2 a5t3 a6t1 a6t2 a6t3 a7t1 a8t1 a8t2 a8t3";
    config.bars.use_cases = codes.split(' ').map(str::to_owned).collect();
}

/// `status issue`, or `status held:cause,...` for a message that was kept for a person to look at.
async fn answer(gateway: &Running, client: &str, file: &Path) -> String {
    let xml = file.extension().is_some_and(|ending| ending == "xml");
    let media_type = if xml { "application/fhir+xml" } else { "application/fhir+json" };
    let reply = gateway.message(&gateway.practice(client), media_type, std::fs::read(file).unwrap()).await;
    if reply.status == 200 {
        let holds = gateway.gateway.store.holds().await.unwrap();
        let mut causes: Vec<_> = holds.iter().filter(|hold| hold.source == client).map(|h| h.cause.word()).collect();
        causes.sort_unstable();
        causes.dedup();
        return if causes.is_empty() { "200".into() } else { format!("200 held:{}", causes.join(",")) };
    }
    for issue in reply.json()["issue"].as_array().expect("an OperationOutcome") {
        let coding = &issue["details"]["coding"][0];
        assert_eq!(coding["system"], "https://fhir.nhs.uk/CodeSystem/http-error-codes");
        assert!(coding["code"].as_str().unwrap().starts_with("REC_"), "{issue}");
        let said = issue["diagnostics"].as_str().expect("BaRS makes diagnostics mandatory");
        println!("{}: {said} {}", file.file_name().unwrap().display(), issue["expression"]);
    }
    format!("{} {}", reply.status, reply.issue())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_public_example_gets_the_answer_of_the_rules() {
    let Some(folder) = folder() else { return println!("the public examples are not here: passed over") };
    let shipped = running::start(|_| {}).await;
    let open = running::start(every_use_case).await;
    let mut files: Vec<_> = ["bars-xml", "bars-api-json"]
        .iter()
        .flat_map(|name| std::fs::read_dir(folder.join(name)).unwrap().flatten().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "xml" || ending == "json"))
        .collect();
    files.sort();
    let expected = table();
    let mut wrong = Vec::new();
    for (number, file) in files.iter().enumerate() {
        let folder = file.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        let name = format!("{folder}/{}", file.file_name().unwrap().to_string_lossy());
        // A client a file: several examples share a Bundle.id, which one sender may not.
        let client = format!("example-{number}");
        let got = Line { shipped: answer(&shipped, &client, file).await, open: answer(&open, &client, file).await };
        match expected.get(&name) {
            Some(line) if line.shipped == got.shipped && line.open == got.open => {}
            _ => wrong.push(format!("{name},{},{}", got.shipped, got.open)),
        }
    }
    assert!(wrong.is_empty(), "answers that are not in the table:\n{}", wrong.join("\n"));
    assert_eq!(files.len(), expected.len(), "the table has a line for each example and no other");
}

/// REFREQ01 and REFREQ02 are two messages under one Bundle.id.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_id_is_for_one_content() {
    let Some(folder) = folder() else { return println!("the public examples are not here: passed over") };
    let gateway = running::start(every_use_case).await;
    let file = |start: &str| {
        let all = std::fs::read_dir(folder.join("bars-xml")).unwrap().flatten().map(|entry| entry.path());
        all.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(start)).min().unwrap()
    };
    assert!(answer(&gateway, "one", &file("REFREQ01")).await.starts_with("200"));
    assert_eq!(answer(&gateway, "one", &file("REFREQ01")).await, "409 duplicate");
    assert_eq!(answer(&gateway, "one", &file("REFREQ02")).await, "409 conflict");
    assert!(answer(&gateway, "two", &file("REFREQ02")).await.starts_with("200"), "another sender's ids are its own");
}
