//! What the documents say is so: keys, links, commands and folders that they name are there.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "support/program.rs"]
mod program;

use fingerpost::config::{DEFAULTS, keys::KEYS};
use fingerpost::routing::RULE_KEYS;
use fingerpost::routing::place::PLACE_KEYS;
use program::fingerpost;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|why| panic!("{path}: {why}"))
}

#[test]
fn every_key_is_documented_and_no_other() {
    let text = read("config/README.md");
    let documented: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(key, _)| key))
        .filter(|key| key.contains('.'))
        .collect();
    let known: BTreeSet<&str> = KEYS.iter().map(|key| key.path).collect();
    assert_eq!(documented, known);
    for key in PLACE_KEYS {
        let name = key.path.rsplit('.').next().unwrap();
        assert!(text.contains(&format!("`{name}`")) || text.contains(&format!("`{}`", key.path)), "{}", key.path);
    }
    for key in RULE_KEYS {
        let name = key.path.trim_start_matches("rule[].");
        assert!(text.contains(&format!("`{name}`")) || text.contains(&format!("{name} = ")), "{name}");
    }
}

#[test]
fn the_annotated_defaults_name_every_key() {
    for key in KEYS {
        let name = key.path.rsplit('.').next().unwrap();
        let named = DEFAULTS.lines().any(|line| line.trim_start_matches("# ").starts_with(&format!("{name} =")));
        assert!(named, "{} is not in config/gateway.toml", key.path);
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut documents = vec![root().join("README.md")];
    for folder in ["src", "config", "mappings", "conformance"] {
        documents.extend(Some(root().join(folder).join("README.md")).filter(|path| path.exists()));
    }
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("http") || link.starts_with('#') {
                continue;
            }
            let target = document.parent().unwrap().join(link.split('#').next().unwrap());
            assert!(target.exists(), "{} links to {link}, which is not there", document.display());
        }
    }
}

#[test]
fn the_front_page_is_short_and_its_commands_exist() {
    let text = read("README.md");
    assert!(text.lines().count() < 200);
    assert!(text.contains("cargo run --release -- demo\ncargo test\n"));
    let folder = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for command in text.lines().filter_map(|line| line.strip_prefix("fingerpost ")?.split_whitespace().next()) {
        let ran = fingerpost(folder.path(), &[command, "--help"], &[]).expect(0);
        assert!(ran.out.contains("Example"), "{command} --help has an example");
        seen += 1;
    }
    assert!(seen >= 9);
}

#[test]
fn the_code_map_is_the_code() {
    let map = read("src/README.md");
    let rooms = map.lines().filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
    let named: BTreeSet<String> = rooms
        .flat_map(|cell| cell.split(", ").map(|name| name.trim_matches(['`', ' ', '/']).to_owned()).collect::<Vec<_>>())
        .collect();
    let there: BTreeSet<String> = fs::read_dir(root().join("src"))
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().into_string().unwrap())
        .filter(|name| !matches!(name.as_str(), "README.md" | "lib.rs" | "main.rs"))
        .collect();
    assert_eq!(named, there);
}

#[test]
fn every_mapping_is_in_its_readme() {
    let text = read("mappings/README.md");
    for entry in fs::read_dir(root().join("mappings")).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        let name = entry.file_name().into_string().unwrap();
        assert!(text.contains(&name), "mappings/README.md does not mention {name}");
    }
}

#[test]
fn documents_name_no_file_that_is_not_there() {
    for document in ["README.md", "src/README.md", "config/README.md", "conformance/README.md"] {
        let text = read(document);
        for word in text.split('`').skip(1).step_by(2) {
            let is_path = word.contains('/') && !word.contains(' ') && !word.starts_with('/') && !word.contains("://");
            let ours =
                ["src/", "tests/", "config/", "mappings/", "conformance/"].iter().any(|start| word.starts_with(start));
            let found: PathBuf = root().join(word);
            assert!(!(is_path && ours) || found.exists(), "{document} names {word}");
        }
    }
}
