//! The mapping files: the ones compiled in, or a folder's. The only reading of files here.

use std::collections::BTreeMap;
use std::path::Path;

use aws_lc_rs::digest;

use crate::config::Fault;

/// Hex digits that name a version of the mappings.
const VERSION_DIGITS: usize = 12;
/// Folders inside one another under a mappings folder.
const DEPTH_MAX: usize = 3;

macro_rules! embedded {
    ($($path:literal),* $(,)?) => {
        [$((concat!("mappings/", $path), include_str!(concat!("../../mappings/", $path)))),*]
    };
}

/// The compiled-in files, path to text.
pub fn files() -> BTreeMap<String, String> {
    embedded![
        "codes/social-prescribing-referral.csv",
        "codes/social-prescribing-needs.csv",
        "codes/sex.csv",
        "codes/read-to-snomed.csv",
        "codes/nhs-number-status.csv",
        "codes/bars-use-cases.csv",
        "emis-extract/source.csv",
        "emis-extract/referral.yaml",
        "emis-extract/patient.yaml",
        "emis-extract/tables/urgency.csv",
        "bars/referral.yaml",
        "bars/patient.yaml",
        "bars/consent.yaml",
        "bars/flag.yaml",
    ]
    .into_iter()
    .map(|(path, text)| (path.to_owned(), text.to_owned()))
    .collect()
}

/// A folder's files, path to text; cases and documents are left aside.
pub fn read(dir: &Path) -> Result<BTreeMap<String, String>, Vec<Fault>> {
    let mut files = BTreeMap::new();
    let mut faults = Vec::new();
    collect(dir, 0, &mut files, &mut faults);
    if faults.is_empty() { Ok(files) } else { Err(faults) }
}

fn collect(dir: &Path, depth: usize, files: &mut BTreeMap<String, String>, faults: &mut Vec<Fault>) {
    let unreadable = |path: &Path, why: &std::io::Error| Fault {
        file: path.display().to_string(),
        line: 1,
        text: format!("cannot be read: {why}"),
    };
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(why) => return faults.push(unreadable(dir, &why)),
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            if depth < DEPTH_MAX && !path.ends_with("cases") {
                collect(&path, depth + 1, files, faults);
            }
        } else if is_ours(&path) {
            match std::fs::read_to_string(&path) {
                Ok(text) => drop(files.insert(path.display().to_string(), text)),
                Err(why) => faults.push(unreadable(&path, &why)),
            }
        }
    }
}

/// True for the files that mappings are made of; other rooms keep tables of their own here.
fn is_ours(path: &Path) -> bool {
    let within = |folder: &str| path.parent().is_some_and(|parent| parent.ends_with(folder));
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("yaml") => true,
        Some("csv") => within("tables") || within("codes") || path.ends_with("source.csv"),
        _ => false,
    }
}

/// A short name for exactly these files. The folder they stand in does not matter.
pub fn version(files: &BTreeMap<String, String>) -> String {
    let mut all = digest::Context::new(&digest::SHA256);
    for (path, text) in files {
        let name = path.rsplit('/').next().unwrap_or(path);
        for part in [name, text] {
            all.update(&(part.len() as u64).to_be_bytes());
            all.update(part.as_bytes());
        }
    }
    let hex: String = all.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    hex[..VERSION_DIGITS].to_owned()
}
