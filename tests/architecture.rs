//! Who may know what, how large a room may be, and that the code is formatted and lint-free.
//!
//! Reads the source as text: rough, quick, and enough to keep the rules of `src/README.md` from
//! wearing away. Test code inside a room (`#[cfg(test)]`) may do what it likes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lines of a function, its signature included.
const FUNCTION_LINES_MAX: usize = 70;
/// Lines of a file.
const FILE_LINES_MAX: usize = 500;

struct Source {
    /// Such as `src/store/mod.rs`.
    path: String,
    text: String,
    /// The text before its `#[cfg(test)]`, without comments and the insides of strings.
    code: String,
}

impl Source {
    /// The room: `store`, `api`, or the file's own name at the top of `src/`.
    fn room(&self) -> &str {
        let rest = self.path.strip_prefix("src/").unwrap_or(&self.path);
        rest.split('/').next().unwrap_or(rest).trim_end_matches(".rs")
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    walk(&root().join("src"), &mut paths);
    assert!(paths.len() > 30, "the sources were found");
    let read = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        let code = bare(
            text.split("#[cfg(test)]\n#[allow").next().unwrap().split("#[cfg(test)]\nmod tests {").next().unwrap(),
        );
        Source { path: path.strip_prefix(root()).unwrap().display().to_string(), text, code }
    };
    paths.iter().filter(|path| !path.ends_with("tests.rs")).map(read).collect()
}

fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            walk(&path, out);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            out.push(path);
        }
    }
}

/// Code without line comments and without what stands in string literals.
fn bare(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut in_text = false;
    while let Some(c) = chars.next() {
        match (in_text, c) {
            (true, '\\') => drop(chars.next()),
            (true, '"') => {
                in_text = false;
                out.push('"');
            }
            (true, '\n') => out.push('\n'),
            (true, _) => {}
            (false, '"') => {
                in_text = true;
                out.push('"');
            }
            (false, '\'') => quote(&mut chars, &mut out),
            (false, '/') if chars.peek() == Some(&'/') => {
                while chars.peek().is_some_and(|next| *next != '\n') {
                    chars.next();
                }
            }
            (false, c) => out.push(c),
        }
    }
    out
}

/// A character literal such as `'"'`, or a lifetime.
fn quote(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) {
    let ahead: Vec<char> = chars.clone().take(3).collect();
    let skip = match ahead.as_slice() {
        ['\\', _, '\''] => 3,
        [_, '\'', ..] => 2,
        _ => 0,
    };
    for _ in 0..skip {
        chars.next();
    }
    out.push('\'');
}

/// Lines of `code` that hold a word, as `path:line`.
fn lines_with(source: &Source, word: &str) -> Vec<String> {
    let holds = |line: &str| {
        line.match_indices(word).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
        })
    };
    let lines = source.code.lines().enumerate().filter(|(_, line)| holds(line));
    lines.map(|(number, line)| format!("{}:{}: {}", source.path, number + 1, line.trim())).collect()
}

fn only(word: &str, rooms: &[&str], why: &str) {
    let found: Vec<String> = sources()
        .iter()
        .filter(|source| {
            !rooms.iter().any(|room| source.room() == *room || source.path.starts_with(&format!("src/{room}")))
        })
        .flat_map(|source| lines_with(source, word))
        .collect();
    assert!(found.is_empty(), "{why}; `{word}` stands in:\n{}", found.join("\n"));
}

#[test]
fn each_library_is_known_to_its_rooms_only() {
    for word in ["rusqlite::", "tokio_postgres::", "deadpool_postgres::"] {
        only(word, &["store"], "only the store knows SQL");
    }
    only("axum::", &["api", "console", "intake/http", "demo"], "only the edge knows axum");
    only("reqwest::", &["nhs", "delivery", "writeback", "demo"], "only those who send know reqwest");
    for word in ["Timestamp::now", "SystemTime::now", "Zoned::now", "Utc::now"] {
        only(word, &["clock"], "only the clock asks the time");
    }
}

#[test]
fn sql_stands_in_the_store_only() {
    let statements = ["SELECT ", "INSERT INTO", "UPDATE ", "DELETE FROM", "CREATE TABLE"];
    for source in sources().iter().filter(|source| source.room() != "store") {
        let code = source.text.split("#[cfg(test)]").next().unwrap();
        for (number, line) in code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            let sql = statements.iter().any(|statement| line.contains(&format!("\"{statement}")));
            assert!(!sql, "{}:{}: {line}", source.path, number + 1);
        }
    }
}

#[test]
fn pure_rooms_do_no_io_and_are_not_async() {
    for source in &sources() {
        let pure = matches!(source.room(), "parsing" | "mapping" | "routing" | "fhir" | "ledger" | "rehearsal")
            || source.path == "src/audit/tree.rs";
        // The one place of the mappings that reads files, at start.
        if !pure || source.path == "src/mapping/builtin.rs" {
            continue;
        }
        for word in ["async fn", ".await", "std::fs", "std::net", "tokio::", "std::env", "Uuid::new_v4"] {
            let found = lines_with(source, word);
            assert!(found.is_empty(), "{} is pure:\n{}", source.room(), found.join("\n"));
        }
    }
}

#[test]
fn no_leg_imports_a_later_leg() {
    let legs = ["intake", "parsing", "mapping", "matching", "routing", "store", "delivery", "outcome", "writeback"];
    // intake calls the path and its staging; delivery and write-back share one sender; an outcome
    // makes the rows that write-back sends.
    let allowed = [
        ("intake", "parsing"),
        ("intake", "mapping"),
        ("intake", "store"),
        ("outcome", "writeback"),
        ("delivery", "writeback"),
        ("delivery", "outcome"),
    ];
    // The words of the store's commit (a hold's cause) are everyone's; a leg makes what the next takes.
    let shared = ["crate::store::commit", "crate::store::StoreError", "crate::mapping::SourceTree"];
    for source in sources() {
        let Some(own) = legs.iter().position(|leg| *leg == source.room()) else { continue };
        for later in &legs[own + 1..] {
            if allowed.contains(&(legs[own], later)) {
                continue;
            }
            let found = lines_with(&source, &format!("crate::{later}::"));
            let found: Vec<_> = found.iter().filter(|line| !shared.iter().any(|word| line.contains(word))).collect();
            assert!(found.is_empty(), "{} comes before {later}: {found:?}", legs[own]);
        }
    }
}

#[test]
fn nothing_is_unsafe_or_unfinished() {
    for word in ["unsafe ", "todo!(", "unimplemented!(", "dbg!("] {
        only(word, &[], "not in this house");
    }
}

#[test]
fn rooms_and_functions_are_small() {
    let mut large = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX {
            large.push(format!("{}: {lines} lines", source.path));
        }
        for (line, length) in functions(&source.code) {
            if length > FUNCTION_LINES_MAX {
                large.push(format!("{}:{line}: a function of {length} lines", source.path));
            }
        }
    }
    assert!(large.is_empty(), "too large:\n{}", large.join("\n"));
}

/// First line and length of each function, by the indentation that rustfmt gives.
fn functions(code: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = code.lines().collect();
    let mut out = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let is_fn =
            trimmed.split(['(', '<']).next().is_some_and(|head| head.split_whitespace().any(|word| word == "fn"));
        if !is_fn || line.trim_end().ends_with(';') || line.trim_end().ends_with('}') {
            continue;
        }
        let indent = line.len() - trimmed.len();
        let close = format!("{}}}", " ".repeat(indent));
        let length = lines[start..].iter().position(|line| line.trim_end() == close);
        out.extend(length.map(|length| (start + 1, length + 1)));
    }
    out
}

#[test]
fn names_use_the_houses_words() {
    for source in sources() {
        for word in ["Manager", "Helper", "Utils", "Util"] {
            for kind in ["struct", "enum", "trait", "type"] {
                let named = |line: &&str| {
                    let name = line.split(&format!("{kind} ")).nth(1).unwrap_or("");
                    line.trim_start().trim_start_matches("pub ").starts_with(kind)
                        && name.split(['{', '(', '<', ' ', ';']).next().is_some_and(|name| name.ends_with(word))
                };
                let found: Vec<_> = source.code.lines().filter(named).collect();
                assert!(found.is_empty(), "{}: {found:?}", source.path);
            }
        }
        for word in ["util", "utils", "helpers", "common", "misc"] {
            assert_ne!(source.room(), word, "{}", source.path);
            let end = format!("/{word}.rs");
            assert!(!source.path.ends_with(&end), "{}", source.path);
        }
    }
}

#[test]
fn every_room_says_what_it_is() {
    for source in sources() {
        let first = source.text.lines().next().unwrap_or("");
        let said = first.starts_with("//! ") || first.starts_with("#![doc");
        assert!(said && first.len() > 15, "{} begins with what it is: {first:?}", source.path);
    }
}

/// Runs cargo, where it is there; tests hold no build lock while they run.
fn cargo(args: &[&str]) {
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let output = match Command::new(cargo).current_dir(root()).args(args).output() {
        Ok(output) => output,
        Err(why) => return println!("cargo is not here ({why}): not checked"),
    };
    let err = String::from_utf8_lossy(&output.stderr);
    if err.contains("no such command") || err.contains("is not installed") {
        return println!("cargo {} is not here: not checked", args[0]);
    }
    let text: String =
        err.lines().chain(String::from_utf8_lossy(&output.stdout).lines()).take(80).collect::<Vec<_>>().join("\n");
    assert!(output.status.success(), "cargo {}:\n{text}", args.join(" "));
}

#[test]
fn the_code_is_formatted() {
    cargo(&["fmt", "--check"]);
}

#[test]
fn the_code_has_no_lint() {
    cargo(&["clippy", "--quiet", "--all-targets", "--", "-D", "warnings"]);
}
