//! A runner that looks into a folder for new extracts, and at candidates that wait too long.
//!
//! Files stay where they are: those that were read are known by their content. A file that is
//! still being written is left until its size has stood still for one look.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::watch;

use super::emis;
use crate::gateway::Gateway;

/// Looks between two sweeps of waiting candidates.
const LOOKS_PER_SWEEP: u64 = 60;

/// Runs until `stop` says true.
pub async fn watch(gateway: Gateway, mut stop: watch::Receiver<bool>) {
    let config = gateway.config.intake.emis.clone();
    let folder = PathBuf::from(&config.folder);
    let mut before = HashMap::new();
    let mut read: HashMap<PathBuf, u64> = HashMap::new();
    for look in 0.. {
        if *stop.borrow() {
            return;
        }
        if !config.folder.is_empty() {
            let now = sizes(&folder).await;
            let still = !now.is_empty() && now == before;
            if still && now != read && ingest(&gateway, &folder).await {
                read = now.clone();
            }
            before = now;
        }
        if u64::is_multiple_of(look, LOOKS_PER_SWEEP)
            && let Err(fault) = emis::sweep(&gateway).await
        {
            tracing::error!(error = %fault, "waiting referrals could not be looked at");
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(config.folder_poll_seconds)) => {}
            changed = stop.changed() => if changed.is_err() { return },
        }
    }
}

async fn ingest(gateway: &Gateway, folder: &Path) -> bool {
    match emis::ingest(gateway, &[folder.to_owned()], &emis::silent).await {
        Ok(result) => {
            let (files, received, held) = (result.files, result.received, result.held);
            tracing::info!(files, received, held, unreadable = result.unreadable, "extracts were read");
            true
        }
        Err(fault) => {
            tracing::error!(error = %fault, "extracts were not read to their end; they will be tried again");
            false
        }
    }
}

/// Every file below the folder and its size.
async fn sizes(folder: &Path) -> HashMap<PathBuf, u64> {
    let folder = folder.to_owned();
    let look = move || {
        let mut sizes = HashMap::new();
        let mut left = vec![folder];
        while let Some(folder) = left.pop() {
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            for entry in entries.flatten() {
                match entry.metadata() {
                    Ok(meta) if meta.is_dir() => left.push(entry.path()),
                    Ok(meta) if meta.is_file() => drop(sizes.insert(entry.path(), meta.len())),
                    _ => {}
                }
            }
        }
        sizes
    };
    tokio::task::spawn_blocking(look).await.unwrap_or_default()
}
