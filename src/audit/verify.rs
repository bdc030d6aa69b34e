//! Verifying the log with the public key alone: from a store, a copy of one, or an export.
//!
//! What is looked at, entry by entry in bounded memory: that the bytes have the hash kept beside
//! them, that they are an entry, that positions have no gap, that the search columns say what the
//! entry says; and that the tree over all of them has the root that every kept checkpoint, and any
//! that was saved elsewhere, was signed for. Because one tree meets all of them, they are
//! consistent with one another.
//!
//! What it cannot see: a tail of entries cut off together with everything in the store that came
//! after it. Whoever saves a checkpoint elsewhere (`/audit/checkpoint` is open to all) sees that too.

mod checker;
mod folder;
mod stored;

use std::path::Path;

use serde::Serialize;

pub use checker::Checker;
pub use stored::verify_store;

use super::note::Verifier;

/// Findings that one report lists.
const FINDINGS_MAX: usize = 50;
/// The store keeps a checkpoint at each multiple of this many entries (its contract).
const CHECKPOINT_EVERY: u64 = 1000;

/// What is wrong at one place.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// `entry`, `position`, `index`, `checkpoint`, `root`, `tail`, `tree`, `file`, `unreadable`.
    pub what: &'static str,
    /// The entry's position, where it is known exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// The entry's id, where it can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// In words.
    pub text: String,
}

/// The first entry that is not as it was.
#[derive(Debug, Clone, Serialize)]
pub struct FirstBad {
    /// Its position; with `to`, the first that it can be.
    pub position: u64,
    /// The last position that it can be, where checkpoints can only narrow it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
    /// Its id, where it can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// What verifying came to.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// True when nothing is wrong.
    pub passed: bool,
    /// Entries read.
    pub entries: u64,
    /// Checkpoints whose signature and root hold.
    pub checkpoints: u64,
    /// The tree's root, base64.
    pub root: String,
    /// The first bad entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_bad: Option<FirstBad>,
    /// What is wrong, at most 50 of them.
    pub findings: Vec<Finding>,
    /// How many more there are.
    pub more: u64,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.passed {
            writeln!(f, "The audit log is whole: {} entries, {} checkpoints hold.", self.entries, self.checkpoints)?;
            return write!(f, "Root: {}", self.root);
        }
        writeln!(f, "THE AUDIT LOG IS NOT AS IT WAS WRITTEN.")?;
        if let Some(bad) = &self.first_bad {
            let id = bad.id.as_ref().map(|id| format!(" (id {id})")).unwrap_or_default();
            match bad.to {
                None => writeln!(f, "First bad entry: position {}{id}", bad.position)?,
                Some(to) => writeln!(f, "First bad entry: between positions {} and {to}", bad.position)?,
            }
        }
        for finding in &self.findings {
            writeln!(f, "- {}", finding.text)?;
        }
        if self.more > 0 {
            writeln!(f, "- and {} more", self.more)?;
        }
        write!(f, "{} entries read, {} checkpoints hold.", self.entries, self.checkpoints)
    }
}

/// How to verify.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// The log's public key.
    pub verifier: &'a Verifier,
    /// The text of a checkpoint that was saved elsewhere, earlier.
    pub saved: Option<&'a str>,
    /// Told the number of entries read, now and then.
    pub progress: &'a (dyn Fn(u64) + Send + Sync),
}

impl<'a> Options<'a> {
    /// With this key, no saved checkpoint and nobody to tell.
    pub fn new(verifier: &'a Verifier) -> Self {
        Self { verifier, saved: None, progress: &|_| {} }
    }
}

/// Verifies a copied store file, a folder that holds one, or an exported folder. What cannot be
/// read is a finding, not an error: damage is what this looks for.
pub async fn verify_path(path: &Path, options: Options<'_>) -> Report {
    if path.join("entries.ndjson").is_file() || path.join("checkpoint").is_file() {
        return folder::verify(path, options);
    }
    match database_in(path) {
        Some(file) => stored::verify_file(&file, options).await,
        None => {
            let text = format!("{} holds neither an embedded store nor an exported log", path.display());
            Checker::new(options).unreadable(text)
        }
    }
}

/// The store file itself, or the only `.db` file in a folder.
fn database_in(path: &Path) -> Option<std::path::PathBuf> {
    if path.is_file() {
        return Some(path.to_owned());
    }
    let files = std::fs::read_dir(path).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    let mut stores = files.filter(|file| file.extension().is_some_and(|ext| ext == "db"));
    let only = stores.next()?;
    stores.next().is_none().then_some(only)
}
