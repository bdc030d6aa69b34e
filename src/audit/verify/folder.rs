//! The check's food from an exported folder (see [`crate::audit::export`]), in which every file
//! must be what the entries make it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::{Checker, Options, Report};
use crate::audit::export::{CHECKPOINTS, ENTRIES, NEWEST};
use crate::audit::tiles::{self, Tile, Tiler, WIDTH};
use crate::audit::tree::{Hash, digest, entry_hash};

/// Longest entry read, bytes (with its end of line).
const ENTRY_BYTES_MAX: u64 = 1024 * 1024;

/// Verifies an exported folder.
pub fn verify(folder: &Path, options: Options<'_>) -> Report {
    let mut checker = Checker::new(options);
    match feed(folder, &mut checker) {
        Ok(()) => checker.finish(),
        Err(why) => {
            let at = checker.size();
            checker.unreadable(format!("the log is unreadable at position {at}: {why}"))
        }
    }
}

fn feed(folder: &Path, checker: &mut Checker<'_>) -> std::io::Result<()> {
    let mut kept = kept_checkpoints(folder, checker)?;
    let newest = fs::read_to_string(folder.join(NEWEST))?;
    if kept.last().is_some_and(|(_, note)| *note != newest) {
        checker.find("file", None, None, "the file checkpoint is not the newest of the checkpoints kept".into());
    } else if kept.is_empty() {
        kept.push((newest.lines().nth(1).and_then(|size| size.parse().ok()).unwrap_or(0), newest));
    }
    checker.checkpoints(&kept);
    let mut files = Files { folder, expected: 0, bundle: Vec::new(), bundles: 0 };
    let mut tiler = Tiler::default();
    let mut entries = BufReader::new(fs::File::open(folder.join(ENTRIES))?);
    while let Some(line) = line(&mut entries)? {
        checker.entry(checker.size(), &line, None);
        files.entry(checker, digest(&line));
        tiler.push(entry_hash(&line)).iter().for_each(|tile| files.tile(checker, tile));
    }
    tiler.partial().iter().for_each(|tile| files.tile(checker, tile));
    files.flush(checker);
    let found = count(&folder.join("tile"))?;
    if found > files.expected {
        let text = format!("{} files under tile/ are not of this log", found - files.expected);
        checker.find("file", None, None, text);
    }
    Ok(())
}

/// The next line without its end; the last must have one too.
fn line(entries: &mut impl BufRead) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let read = entries.by_ref().take(ENTRY_BYTES_MAX).read_until(b'\n', &mut line)?;
    match line.pop() {
        None if read == 0 => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        _ => Err(std::io::Error::other("an entry is cut off or too long")),
    }
}

fn kept_checkpoints(folder: &Path, checker: &mut Checker<'_>) -> std::io::Result<Vec<(u64, String)>> {
    let mut kept = Vec::new();
    for file in fs::read_dir(folder.join(CHECKPOINTS))? {
        let file = file?;
        let name = file.file_name().to_string_lossy().into_owned();
        match (name.parse(), fs::read_to_string(file.path())) {
            (Ok(size), Ok(note)) => kept.push((size, note)),
            _ => checker.find("file", None, None, format!("{CHECKPOINTS}/{name} is not a checkpoint")),
        }
    }
    kept.sort();
    Ok(kept)
}

/// Compares the files of tiles and entry bundles with what the entries make.
struct Files<'a> {
    folder: &'a Path,
    expected: u64,
    bundle: Vec<Hash>,
    bundles: u64,
}

impl Files<'_> {
    fn entry(&mut self, checker: &mut Checker<'_>, digest: Hash) {
        self.bundle.push(digest);
        if self.bundle.len() as u64 == WIDTH {
            self.flush(checker);
        }
    }

    fn flush(&mut self, checker: &mut Checker<'_>) {
        if !self.bundle.is_empty() {
            let path = tiles::path("entries", self.bundles, self.bundle.len() as u64);
            let bytes = tiles::bundle(&self.bundle);
            self.bundle.clear();
            self.same(checker, &path, &bytes);
            self.bundles += 1;
        }
    }

    fn tile(&mut self, checker: &mut Checker<'_>, tile: &Tile) {
        self.same(checker, &tile.path(), &tile.bytes());
    }

    fn same(&mut self, checker: &mut Checker<'_>, path: &str, bytes: &[u8]) {
        self.expected += 1;
        match fs::read(self.folder.join(path)) {
            Ok(found) if found == bytes => {}
            Ok(_) => checker.find("file", None, None, format!("{path} is not what the entries make it")),
            Err(why) => checker.find("file", None, None, format!("{path}: {why}")),
        }
    }
}

/// Files below a folder.
fn count(folder: &Path) -> std::io::Result<u64> {
    let mut files = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let Ok(entries) = fs::read_dir(&next) else { continue };
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() { folders.push(entry.path()) } else { files += 1 }
        }
    }
    Ok(files)
}
