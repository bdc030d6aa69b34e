//! The log as files, in C2SP's layout, so that anyone can check it without the gateway:
//!
//! ```text
//! checkpoint            the newest signed checkpoint
//! checkpoints/SIZE      every one that was kept
//! tile/L/N[.p/W]        the tree
//! tile/entries/N[.p/W]  the entries' digests
//! entries.ndjson        the entries themselves, a line each, as they were logged
//! ```
//!
//! and as AuditEvents, a line each ([`events`]). `entries.ndjson` names resources by id only, but
//! says who looked at whom: it is for reviewers, and is not served.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::event::{Observer, audit_event};
use super::tiles::{self, Tiler, WIDTH};
use super::tree::{digest, entry_hash};
use crate::store::{Store, StoreError};

/// The newest checkpoint's file.
pub const NEWEST: &str = "checkpoint";
/// The folder of all checkpoints.
pub const CHECKPOINTS: &str = "checkpoints";
/// The entries' file.
pub const ENTRIES: &str = "entries.ndjson";
/// Entries read at once: a whole number of bundles.
const PAGE: usize = 1024;

/// Why the log was not exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportFault {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The files cannot be written.
    #[error("{0}")]
    File(#[from] io::Error),
    /// The folder holds something already.
    #[error("{0} is not empty: give a new folder, so that no file of another export is taken for this one's")]
    NotEmpty(String),
}

/// Writes the log into a new or empty folder; says how many entries it holds.
///
/// # Errors
/// See [`ExportFault`].
pub async fn export(store: &Store, folder: &Path) -> Result<u64, ExportFault> {
    fs::create_dir_all(folder.join(CHECKPOINTS))?;
    let others = fs::read_dir(folder)?.filter_map(Result::ok).any(|entry| entry.file_name() != CHECKPOINTS);
    if others || fs::read_dir(folder.join(CHECKPOINTS))?.next().is_some() {
        return Err(ExportFault::NotEmpty(folder.display().to_string()));
    }
    let kept = store.checkpoints().await?;
    let size = kept.last().map_or(0, |(size, _)| *size);
    for (size, note) in &kept {
        fs::write(folder.join(CHECKPOINTS).join(size.to_string()), note)?;
    }
    if let Some((_, newest)) = kept.last() {
        fs::write(folder.join(NEWEST), newest)?;
    }
    let mut entries = BufWriter::new(fs::File::create(folder.join(ENTRIES))?);
    let mut tiler = Tiler::default();
    let mut from = 0;
    while from < size {
        let page = page(store, from, size).await?;
        for (index, bundle) in page.chunks(256).enumerate() {
            let digests: Vec<_> = bundle.iter().map(|(_, entry)| digest(entry)).collect();
            let path = tiles::path("entries", from / WIDTH + index as u64, bundle.len() as u64);
            place(folder, &path, &tiles::bundle(&digests))?;
        }
        for (_, entry) in &page {
            entries.write_all(entry)?;
            entries.write_all(b"\n")?;
            for tile in tiler.push(entry_hash(entry)) {
                place(folder, &tile.path(), &tile.bytes())?;
            }
        }
        from += page.len() as u64;
    }
    for tile in tiler.partial() {
        place(folder, &tile.path(), &tile.bytes())?;
    }
    entries.flush()?;
    Ok(size)
}

/// Writes every entry as an AuditEvent, a line each; says how many.
///
/// # Errors
/// See [`ExportFault`].
pub async fn events(store: &Store, observer: Observer<'_>, to: &mut (dyn Write + Send)) -> Result<u64, ExportFault> {
    let size = store.checkpoints().await?.last().map_or(0, |(size, _)| *size);
    let mut from = 0;
    while from < size {
        let page = page(store, from, size).await?;
        for (position, bytes) in &page {
            let entry = serde_json::from_slice(bytes)
                .map_err(|_| StoreError::Engine(format!("the audit entry at position {position} is not readable")))?;
            writeln!(to, "{}", audit_event(&entry, *position, observer))?;
        }
        from += page.len() as u64;
    }
    Ok(size)
}

async fn page(store: &Store, from: u64, size: u64) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
    let count = PAGE.min(usize::try_from(size - from).unwrap_or(PAGE));
    let page = store.entries(from, count).await?;
    if page.is_empty() {
        return Err(StoreError::Engine(format!("the audit log ends at position {from}, before its checkpoint")));
    }
    Ok(page)
}

fn place(folder: &Path, path: &str, bytes: &[u8]) -> io::Result<()> {
    let file = folder.join(path);
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(file, bytes)
}
