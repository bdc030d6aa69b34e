//! The check itself: fed with checkpoints and then entries in order. Pure.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;

use super::{CHECKPOINT_EVERY, FINDINGS_MAX, Finding, FirstBad, Options, Report};
use crate::audit::Entry;
use crate::audit::tree::{Frontier, Hash, entry_hash};

/// A checkpoint whose signature holds.
struct Signed {
    size: u64,
    root: Hash,
    source: &'static str,
}

/// Takes a log in and finds what is wrong with it.
pub struct Checker<'a> {
    options: Options<'a>,
    signed: Vec<Signed>,
    next: usize,
    frontier: Frontier,
    /// How far positions are off after entries that are missing.
    gap: u64,
    findings: Vec<Finding>,
    more: u64,
    held: u64,
    /// The size up to which the last good checkpoint covers the log.
    covered: u64,
    /// Where the root first was another, `[from, to)`.
    astray: Option<(u64, u64)>,
    newest_kept: u64,
}

/// Only an entry's id, so that a damaged entry can still be named.
#[derive(Deserialize)]
struct Named {
    id: String,
}

impl<'a> Checker<'a> {
    /// A check of a log under this key.
    pub fn new(options: Options<'a>) -> Self {
        Self {
            options,
            signed: Vec::new(),
            next: 0,
            frontier: Frontier::new(),
            gap: 0,
            findings: Vec::new(),
            more: 0,
            held: 0,
            covered: 0,
            astray: None,
            newest_kept: 0,
        }
    }

    /// Adds a finding.
    pub fn find(&mut self, what: &'static str, position: Option<u64>, id: Option<String>, text: String) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { what, position, id, text });
        } else {
            self.more += 1;
        }
    }

    /// The log's own checkpoints, all that were kept, oldest first: `(tree size, note)`.
    pub fn checkpoints(&mut self, kept: &[(u64, String)]) {
        for (size, note) in kept {
            match self.options.verifier.open(note) {
                Ok((signed, root)) if signed == *size => {
                    self.newest_kept = self.newest_kept.max(*size);
                    self.signed.push(Signed { size: *size, root, source: "checkpoint" });
                }
                Ok((signed, _)) => {
                    let text = format!("the checkpoint kept for {size} entries is signed for {signed}");
                    self.find("checkpoint", None, None, text);
                }
                Err(why) => self.find("checkpoint", None, None, format!("the checkpoint for {size} entries: {why}")),
            }
        }
        if let Some(saved) = self.options.saved {
            match self.options.verifier.open(saved) {
                Ok((size, root)) => self.signed.push(Signed { size, root, source: "saved checkpoint" }),
                Err(why) => self.find("checkpoint", None, None, format!("the saved checkpoint: {why}")),
            }
        }
        self.signed.sort_by_key(|signed| signed.size);
        self.meet_checkpoints();
    }

    /// The next entry as it was found: its position, its bytes and the hash kept beside it.
    pub fn entry(&mut self, position: u64, bytes: &[u8], kept: Option<&Hash>) {
        let expected = self.frontier.size();
        let hash = entry_hash(bytes);
        let named = || serde_json::from_slice::<Named>(bytes).ok().map(|named| named.id);
        if position != expected + self.gap {
            let text = format!("an entry stands at position {position} where {} was due", expected + self.gap);
            self.find("position", Some(expected + self.gap), None, text);
            self.gap = position.wrapping_sub(expected);
        }
        if kept.is_some_and(|kept| *kept != hash) {
            let text = format!("the entry at position {position} has not the hash kept beside it");
            self.find("entry", Some(position), named(), text);
        } else if !is_entry(bytes) {
            let text = format!("what stands at position {position} is not an audit entry");
            self.find("entry", Some(position), named(), text);
        }
        self.frontier.push(hash);
        self.meet_checkpoints();
        if self.frontier.size().is_multiple_of(CHECKPOINT_EVERY) {
            (self.options.progress)(self.frontier.size());
        }
    }

    fn meet_checkpoints(&mut self) {
        while let Some(signed) = self.signed.get(self.next).filter(|signed| signed.size == self.frontier.size()) {
            if signed.root == self.frontier.root() {
                self.held += 1;
                self.covered = signed.size;
            } else if self.astray.is_none() {
                self.astray = Some((self.covered, signed.size));
                let text = format!(
                    "the entries up to {} are not those that the {} was signed for; those up to {} are",
                    signed.size, signed.source, self.covered
                );
                self.find("root", None, None, text);
            }
            self.next += 1;
        }
    }

    /// Entries read so far.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The tree's right edge as the store keeps it.
    pub fn tree(&mut self, size: u64, edge: &[u8]) {
        if size != self.frontier.size() || edge != self.frontier.to_bytes() {
            let text = format!("the tree kept for {size} entries is not the tree of the {} read", self.size());
            self.find("tree", None, None, text);
        }
    }

    /// The position of the newest entry that other rows of the store have seen.
    pub fn seen(&mut self, highest: Option<u64>) {
        if let Some(highest) = highest.filter(|highest| *highest >= self.size()) {
            let text = format!(
                "the tail is cut: the store holds data that was logged at position {highest}, and the log ends before {}",
                self.size()
            );
            self.find("tail", Some(self.size()), None, text);
        }
    }

    /// The report, when every entry was given.
    pub fn finish(mut self) -> Report {
        let size = self.frontier.size();
        let beyond = self.signed[self.next..].iter().map(|signed| (signed.size, signed.source)).next_back();
        if let Some((signed, source)) = beyond.filter(|(signed, _)| *signed > size) {
            let text = format!("the tail is cut: a {source} covers {signed} entries, and {size} are there");
            self.find("tail", Some(size), None, text);
        }
        if size > self.newest_kept {
            let text = format!("no checkpoint covers the entries from position {}", self.newest_kept);
            self.find("checkpoint", None, None, text);
        }
        self.gaps_in_checkpoints(size);
        self.report()
    }

    /// Checkpoints at whole thousands are never replaced, so one that is missing was removed.
    fn gaps_in_checkpoints(&mut self, size: u64) {
        let kept: std::collections::HashSet<u64> =
            self.signed.iter().filter(|signed| signed.source == "checkpoint").map(|signed| signed.size).collect();
        for due in (1..=size / CHECKPOINT_EVERY).map(|n| n * CHECKPOINT_EVERY) {
            if !kept.contains(&due) {
                self.find("checkpoint", None, None, format!("the checkpoint for {due} entries is missing"));
            }
        }
    }

    /// The report of a log that cannot be read on.
    pub fn unreadable(mut self, text: String) -> Report {
        self.find("unreadable", Some(self.size()), None, text);
        self.report()
    }

    fn report(self) -> Report {
        let exact = self.findings.iter().filter(|finding| finding.position.is_some()).min_by_key(|f| f.position);
        let exact = exact.and_then(|finding| {
            finding.position.map(|position| FirstBad { position, to: None, id: finding.id.clone() })
        });
        let astray = self.astray.map(|(from, to)| FirstBad { position: from, to: Some(to - 1), id: None });
        // An entry that is known exactly names the fault, unless the tree went astray before it.
        let first_bad = match (exact, astray) {
            (Some(exact), Some(astray)) if astray.to.is_some_and(|to| to < exact.position) => Some(astray),
            (exact, astray) => exact.or(astray),
        };
        Report {
            passed: self.findings.is_empty(),
            entries: self.frontier.size(),
            checkpoints: self.held,
            root: STANDARD.encode(self.frontier.root()),
            first_bad,
            findings: self.findings,
            more: self.more,
        }
    }
}

/// True when the bytes are an entry written as the gateway writes it.
fn is_entry(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Entry>(bytes).is_ok_and(|entry| entry.leaf() == bytes)
}
