//! The check's food from a store: a live one, or a copy of an embedded store's file.

use std::path::Path;

use super::{Checker, Options, Report};
use crate::store::{Store, StoreError};

/// Entries read at once.
const PAGE: usize = 1000;
/// Tries to find the log standing still between two reads.
const HEAD_TRIES: usize = 5;

/// Verifies the log in a store.
pub async fn verify_store(store: &Store, options: Options<'_>) -> Report {
    let mut checker = Checker::new(options);
    match feed(store, &mut checker).await {
        Ok(()) => checker.finish(),
        Err(why) => {
            let at = checker.size();
            checker.unreadable(format!("the log is unreadable at position {at}: {why}"))
        }
    }
}

/// Verifies a copy of an embedded store; reads only.
pub async fn verify_file(file: &Path, options: Options<'_>) -> Report {
    let config = crate::config::Store {
        url: format!("sqlite:{}", file.display()),
        url_file: String::new(),
        group_max: 1,
        queue_max: 1,
        readers: 1,
    };
    match Store::open_to_read(&config).await {
        Ok(store) => {
            let report = verify_store(&store, options).await;
            store.close().await;
            report
        }
        Err(why) => Checker::new(options).unreadable(format!("the log is unreadable: {why}")),
    }
}

async fn feed(store: &Store, checker: &mut Checker<'_>) -> Result<(), StoreError> {
    // Read before the checkpoints, so that on a log that grows meanwhile they cover it.
    let seen = store.highest_entry_seen().await?;
    let (tree, kept) = head(store).await?;
    let end = kept.last().map_or(0, |(size, _)| *size);
    checker.checkpoints(&kept);
    let mut from = 0;
    while from < end {
        let count = PAGE.min(usize::try_from(end - from).unwrap_or(PAGE));
        let next = match page(store, checker, from, count).await {
            Err(_) => page_by_one(store, checker, from, count).await?,
            Ok(next) => next,
        };
        let Some(next) = next else { break };
        from = next;
    }
    if let Some((size, edge)) = tree {
        checker.tree(size, &edge);
    }
    checker.seen(seen);
    surplus(store, checker, end).await?;
    if let Some(why) = store.audit_damage().await? {
        checker.find("unreadable", None, None, format!("the log's tables are damaged: {why}"));
    }
    Ok(())
}

/// The tree's size and right edge, and every checkpoint.
type Head = (Option<(u64, Vec<u8>)>, Vec<(u64, String)>);

/// The tree and the checkpoints of one moment. On a log that never stands still the tree is left
/// out: the next commit would fail on a tree that is not the log's.
async fn head(store: &Store) -> Result<Head, StoreError> {
    for _ in 0..HEAD_TRIES {
        let before = store.tree_head().await?;
        let kept = store.checkpoints().await?;
        if before == store.tree_head().await? {
            return Ok((before, kept));
        }
    }
    Ok((None, store.checkpoints().await?))
}

/// Entries after the newest checkpoint are not the gateway's, unless the log has grown since.
async fn surplus(store: &Store, checker: &mut Checker<'_>, end: u64) -> Result<(), StoreError> {
    let after = store.entries(end.max(checker.size()), 1).await?;
    let grown = store.checkpoints().await?.last().is_some_and(|(size, _)| *size > end);
    if let Some((position, _)) = after.first().filter(|_| !grown) {
        let text = format!("no checkpoint covers the entry at position {position}");
        checker.find("checkpoint", Some(*position), None, text);
    }
    Ok(())
}

/// Checks one page; the position after it, or `None` at the end.
async fn page(store: &Store, checker: &mut Checker<'_>, from: u64, count: usize) -> Result<Option<u64>, StoreError> {
    let entries = store.entries(from, count).await?;
    let hashes = store.leaf_hashes(from, count).await?;
    let wrong = store.misindexed(from, count).await?;
    let Some((last, _)) = entries.last() else { return Ok(None) };
    let last = *last;
    for (at, (position, bytes)) in entries.iter().enumerate() {
        checker.entry(*position, bytes, hashes.get(at));
        if wrong.contains(position) {
            let text = format!("the search columns of the entry at position {position} do not say what it says");
            checker.find("index", Some(*position), None, text);
        }
    }
    Ok(Some(last + 1))
}

/// A page that cannot be read whole, one entry at a time up to the one that cannot.
async fn page_by_one(
    store: &Store,
    checker: &mut Checker<'_>,
    mut from: u64,
    count: usize,
) -> Result<Option<u64>, StoreError> {
    for _ in 0..count {
        match page(store, checker, from, 1).await? {
            Some(next) => from = next,
            None => return Ok(None),
        }
    }
    Ok(Some(from))
}
