//! Our messages have the structure of the published ones: same paths, cardinalities, profiles and
//! code systems, but for the differences that `conformance/itk3/differences.csv` explains.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fingerpost::writeback::itk3::tree::{self, Node};
use fingerpost::writeback::itk3::{send_document, update_record};

use super::{envelope, samples};

const FOLDER: &str = "../shared/payloads/itk3-gpconnect";
const TABLE: &str = "conformance/itk3/differences.csv";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The published examples whose name begins so, or `None` when the folder is absent.
pub fn published(prefix: &str) -> Option<Vec<(String, Vec<u8>)>> {
    let mut found: Vec<(String, Vec<u8>)> = std::fs::read_dir(root().join(FOLDER))
        .ok()?
        .flatten()
        .map(|file| (file.file_name().to_string_lossy().into_owned(), file.path()))
        .filter(|(name, _)| name.starts_with(prefix) && name.ends_with(".xml"))
        .map(|(name, path)| (name, std::fs::read(path).unwrap()))
        .collect();
    found.sort();
    Some(found)
}

/// What is compared: each path from its resource on, with ` *` where it repeats, and with its value
/// where that is a profile or a system.
fn facts(root: &Node) -> BTreeSet<String> {
    let mut facts = BTreeSet::new();
    gather(root, &root.name, &mut facts);
    facts
}

fn gather(node: &Node, path: &str, facts: &mut BTreeSet<String>) {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for child in &node.children {
        let resource = child.name.starts_with(|c: char| c.is_ascii_uppercase());
        let step = match &child.url {
            Some(url) => format!("{path}.{}({url})", child.name),
            None if resource => child.name.clone(),
            None => format!("{path}.{}", child.name),
        };
        *count.entry(step.clone()).or_default() += 1;
        if !resource {
            facts.insert(step.clone());
        }
        if matches!(child.name.as_str(), "profile" | "system") {
            facts.insert(format!("{step} = {}", own(child.value.as_deref().unwrap_or("").trim())));
        }
        gather(child, &step, facts);
    }
    let repeated = count.iter().filter(|(step, count)| **count > 1 && !step.ends_with("entry"));
    facts.extend(repeated.map(|(step, _)| format!("{step} *")));
}

/// Systems of a sender's own are the same thing under another name.
fn own(value: &str) -> &str {
    let own = ["https://fhir.provider.example/", "https://identifiers.provider.test/", "https://fingerpost.dev/id/"];
    if own.iter().any(|start| value.starts_with(start)) { "(the sender's own)" } else { value }
}

struct Row {
    route: String,
    path: String,
    side: String,
    used: bool,
}

impl Row {
    fn covers(&self, route: &str, side: &str, fact: &str) -> bool {
        let path = match self.path.strip_suffix("...") {
            Some(start) => fact.starts_with(start),
            None => fact == self.path,
        };
        self.route == route && self.side == side && path
    }
}

fn table() -> Vec<Row> {
    let mut reader = csv::Reader::from_path(root().join(TABLE)).unwrap();
    assert_eq!(reader.headers().unwrap(), vec!["route", "path", "in", "why"]);
    let row = |record: csv::StringRecord| {
        assert!(record.iter().all(|cell| !cell.trim().is_empty()), "an empty cell: {record:?}");
        Row { route: record[0].into(), path: record[1].into(), side: record[2].into(), used: false }
    };
    reader.records().map(|record| row(record.unwrap())).collect()
}

fn union(trees: impl Iterator<Item = Node>) -> BTreeSet<String> {
    trees.flat_map(|tree| facts(&tree)).collect()
}

#[test]
fn every_difference_from_the_published_messages_is_explained() {
    if published("").is_none() {
        eprintln!("skipped: {FOLDER} is absent");
        return;
    }
    let theirs = |prefix: &str| published(prefix).unwrap().into_iter().map(|(_, bytes)| tree::read(&bytes).unwrap());
    let services = ["blood-pressure", "contraception", "pharmacy-first", "example--gpc-update-record"];
    let update = union(services.iter().flat_map(|prefix| theirs(prefix)));
    let document = union(theirs("send-document"));
    let ours = |encode: &dyn Fn(&fingerpost::writeback::entry::Submission) -> Vec<u8>| {
        union(samples::all().iter().map(|(_, one)| tree::read(&encode(one)).unwrap()))
    };
    let our_update = ours(&|one| update_record::encode(one, &envelope(one)).unwrap().bytes);
    let our_document = ours(&|one| send_document::encode(one, &envelope(one)).unwrap().bytes);
    let mut rows = table();
    let mut unexplained = Vec::new();
    for (route, theirs, ours) in [("update-record", &update, &our_update), ("send-document", &document, &our_document)]
    {
        let differences = theirs.difference(ours).map(|fact| ("theirs", fact));
        for (side, fact) in differences.chain(ours.difference(theirs).map(|fact| ("ours", fact))) {
            let row = rows.iter_mut().find(|row| row.covers(route, side, fact));
            match row {
                Some(row) => row.used = true,
                None => unexplained.push(format!("{route},{fact},{side}")),
            }
        }
    }
    assert!(unexplained.is_empty(), "{TABLE} does not explain:\n{}", unexplained.join("\n"));
    let stale: Vec<_> = rows.iter().filter(|row| !row.used).map(|row| format!("{} {}", row.route, row.path)).collect();
    assert!(stale.is_empty(), "{TABLE} explains what is no difference: {stale:?}");
}
