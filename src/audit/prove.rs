//! One entry's proof: that it is in the log under a signed checkpoint, for anyone with the public
//! key, offline. <https://c2sp.org/tlog-proof>
//!
//! The `extra` line carries the entry itself; its digest is what the tree holds.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::note::{NoteFault, Verifier};
use super::tiles::range_root;
use super::tree::{self, Hash};
use crate::store::{EntrySearch, Store, StoreError};

/// The first line of a proof.
const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// The proof of the entry with this id; `None` when there is none.
///
/// # Errors
/// When the store cannot be read.
pub async fn prove(store: &Store, id: &str) -> Result<Option<String>, StoreError> {
    let find = EntrySearch { id: Some(id.to_owned()), count: 1, ..EntrySearch::default() };
    let Some((position, entry)) = store.find_entries(find).await?.pop() else { return Ok(None) };
    let Some((size, note)) = store.checkpoints().await?.pop() else { return Ok(None) };
    let mut proof = format!("{FIRST_LINE}\nextra {}\nindex {position}\n", STANDARD.encode(&entry));
    for run in tree::inclusion_ranges(position, size) {
        proof.push_str(&STANDARD.encode(range_root(store, run).await?));
        proof.push('\n');
    }
    proof.push('\n');
    proof.push_str(&note);
    Ok(Some(proof))
}

/// What a proof that holds shows.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Proved {
    /// Where the entry stands.
    pub position: u64,
    /// How many entries the log had.
    pub size: u64,
    /// The entry's JSON.
    pub entry: String,
}

/// Checks a proof with the public key alone.
///
/// # Errors
/// What is wrong with it.
pub fn check_proof(proof: &str, verifier: &Verifier) -> Result<Proved, NoteFault> {
    let (head, note) = proof.split_once("\n\n").ok_or(NoteFault::Form)?;
    let (size, root) = verifier.open(note)?;
    let mut lines = head.split('\n');
    let first = lines.next() == Some(FIRST_LINE);
    let entry = lines.next().and_then(|line| line.strip_prefix("extra ")).and_then(|text| STANDARD.decode(text).ok());
    let position = lines.next().and_then(|line| line.strip_prefix("index ")).and_then(|text| text.parse().ok());
    let (true, Some(entry), Some(position)) = (first, entry, position) else { return Err(NoteFault::Form) };
    let steps: Option<Vec<Hash>> = lines.map(|line| STANDARD.decode(line).ok()?.try_into().ok()).collect();
    let steps = steps.ok_or(NoteFault::Form)?;
    let reached = tree::root_from_inclusion(position, size, tree::entry_hash(&entry), &steps);
    if reached != Some(root) {
        return Err(NoteFault::Signature);
    }
    let entry = String::from_utf8(entry).map_err(|_| NoteFault::Form)?;
    Ok(Proved { position, size, entry })
}
