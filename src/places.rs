//! Published reference data into a place's folder: what it changes, shown before it is done.
//!
//! Reads and writes files; what they mean is `routing::reference`'s. The files are written beside
//! the old ones and then put in their place one by one, networks first: a crash in between leaves
//! networks that are in force for longer than their practices need, and importing the same file
//! again finishes it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::civil::Date;

use crate::config::Fault;
use crate::routing::place::FILES;
use crate::routing::reference::change::{Books, Difference, Scope, compare};
use crate::routing::reference::sheet::Sheet;
use crate::routing::reference::{self, Snapshot};
use crate::routing::{Place, PlaceFiles};

const PRACTICES: &str = "practices.csv";
const NETWORKS: &str = "networks.csv";
/// The whole snapshots that were taken in: `on`, `form`. A later or earlier one is compared with them.
const IMPORTS: &str = "imports.csv";
const PRACTICE_COLUMNS: [&str; 7] = ["ods", "name", "pcn", "valid_from", "valid_to", "basis", "note"];
const NETWORK_COLUMNS: [&str; 6] = ["code", "name", "valid_from", "valid_to", "basis", "note"];

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Import {
    /// The place's folder.
    pub folder: PathBuf,
    /// The published files: several only of the Organisation Data Service, an organisation each.
    pub files: Vec<PathBuf>,
    /// The day to read them for.
    pub on: Option<Date>,
    /// Which practices belong to the place.
    pub scope: Scope,
    /// Take a file that closes most of the place's practices.
    pub allow_shrink: bool,
    /// Write even where other files of the place must then be mended.
    pub anyway: bool,
}

/// Why it was not done. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ImportFault {
    /// A published file, or the place's own, is not as it must be.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Input(Vec<Fault>),
    /// It would close most of the place's practices.
    #[error(
        "the file would close {closes} of {open} practices: is it whole? --allow-shrink takes it as it is; nothing was changed"
    )]
    Shrink {
        /// Practices that would close.
        closes: usize,
        /// Practices that are open now.
        open: usize,
    },
    /// Other files of the place would be at fault.
    #[error("{}\nmend these with the import, or give --anyway; nothing was changed", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Others(Vec<Fault>),
    /// A file cannot be read or written.
    #[error("{0}")]
    Environment(String),
}

/// An import that was worked out and not yet done.
#[derive(Debug)]
pub struct Planned {
    /// What changes.
    pub difference: Difference,
    /// Where people go whose practice is in no network: name, owner, hours.
    pub desk: Option<(String, String, u32)>,
    /// Faults of the place's other files that the import would bring.
    pub to_mend: Vec<Fault>,
    folder: PathBuf,
    texts: Vec<(&'static str, String)>,
    anyway: bool,
}

/// Works out what the files change.
///
/// # Errors
/// See [`ImportFault`].
pub fn plan(import: &Import, today: Date) -> Result<Planned, ImportFault> {
    let before = texts(&import.folder)?;
    let snapshot = snapshot(import, today)?;
    let books = books(&import.folder, &before)?;
    let (open, known) = Place::survey("place", &files(&import.folder, &before));
    let taken = compare(&books, &snapshot, &import.scope);
    let in_force = open.practices().iter().filter(|row| row.period.holds(snapshot.as_of)).count();
    let closes = taken.difference.closes.len();
    if !import.allow_shrink && in_force > 1 && closes * 2 > in_force {
        return Err(ImportFault::Shrink { closes, open: in_force });
    }
    let mut after = before.clone();
    after.insert(PRACTICES.to_owned(), taken.books.practices.text());
    after.insert(NETWORKS.to_owned(), taken.books.networks.text());
    let (place, mut faults) = Place::survey("place", &files(&import.folder, &after));
    faults.retain(|fault| !known.iter().any(|old| old.file == fault.file && old.text == fault.text));
    // What the two files are at fault for by themselves; the rest is for pools and rules to follow.
    let mut alone = after.clone();
    alone.retain(|name, _| [PRACTICES, NETWORKS].contains(&name.as_str()));
    let own = Place::survey("place", &files(&import.folder, &alone)).1;
    let (own, others): (Vec<Fault>, Vec<Fault>) = faults.into_iter().partition(|fault| own.contains(fault));
    if !own.is_empty() {
        return Err(ImportFault::Input(own));
    }
    let mut texts = vec![(NETWORKS, after[NETWORKS].clone()), (PRACTICES, after[PRACTICES].clone())];
    if snapshot.whole {
        texts.push((IMPORTS, imports(before.get(IMPORTS).map_or("", String::as_str), &snapshot)));
    }
    texts.retain(|(name, text)| before.get(*name) != Some(text));
    let desk = Some(&place.unallocated).filter(|desk| !desk.pool.is_empty());
    Ok(Planned {
        difference: taken.difference,
        desk: desk.map(|desk| (desk.name.clone(), desk.owner.clone(), desk.clock_hours)),
        to_mend: others,
        folder: import.folder.clone(),
        texts,
        anyway: import.anyway,
    })
}

impl Planned {
    /// Writes the place's files.
    ///
    /// # Errors
    /// [`ImportFault::Others`] without `anyway`; [`ImportFault::Environment`].
    pub fn apply(&self) -> Result<(), ImportFault> {
        if !self.to_mend.is_empty() && !self.anyway {
            return Err(ImportFault::Others(self.to_mend.clone()));
        }
        let draft = |name: &str| self.folder.join(format!("{name}.import"));
        for (name, text) in &self.texts {
            durable(&draft(name), text).map_err(|why| environment(&draft(name), &why))?;
        }
        for (name, _) in &self.texts {
            let to = self.folder.join(name);
            std::fs::rename(draft(name), &to).map_err(|why| environment(&to, &why))?;
        }
        Ok(())
    }
}

fn durable(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::File::create(path)?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    file.sync_all()
}

fn environment(path: &Path, why: &std::io::Error) -> ImportFault {
    ImportFault::Environment(format!("{}: {why}", path.display()))
}

fn snapshot(import: &Import, today: Date) -> Result<Snapshot, ImportFault> {
    let mut files = Vec::new();
    for path in &import.files {
        let bytes = std::fs::read(path).map_err(|why| environment(path, &why))?;
        files.push((path.display().to_string(), bytes));
    }
    reference::read(&files, import.on, today).map_err(ImportFault::Input)
}

/// The folder's files that there are.
fn texts(folder: &Path) -> Result<BTreeMap<String, String>, ImportFault> {
    if !folder.is_dir() {
        return Err(ImportFault::Environment(format!("there is no folder {}", folder.display())));
    }
    let mut texts = BTreeMap::new();
    for name in FILES.into_iter().chain([IMPORTS]) {
        match std::fs::read_to_string(folder.join(name)) {
            Ok(text) => drop(texts.insert(name.to_owned(), text)),
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => {}
            Err(why) => return Err(environment(&folder.join(name), &why)),
        }
    }
    Ok(texts)
}

fn files(folder: &Path, texts: &BTreeMap<String, String>) -> PlaceFiles {
    let mut texts = texts.clone();
    texts.remove(IMPORTS);
    PlaceFiles { folder: folder.display().to_string(), texts }
}

fn books(folder: &Path, texts: &BTreeMap<String, String>) -> Result<Books, ImportFault> {
    let text = |name: &str| texts.get(name).map_or("", String::as_str);
    let path = |name: &str| folder.join(name).display().to_string();
    let fault = |fault: Fault| ImportFault::Input(vec![fault]);
    let imports = Sheet::read(&path(IMPORTS), text(IMPORTS), &["on", "form"]).map_err(fault)?;
    let mut whole_days: Vec<Date> = imports.rows().filter_map(|row| imports.cell(row, "on").parse().ok()).collect();
    whole_days.sort();
    Ok(Books {
        practices: Sheet::read(&path(PRACTICES), text(PRACTICES), &PRACTICE_COLUMNS).map_err(fault)?,
        networks: Sheet::read(&path(NETWORKS), text(NETWORKS), &NETWORK_COLUMNS).map_err(fault)?,
        whole_days,
    })
}

fn imports(before: &str, snapshot: &Snapshot) -> String {
    let line = format!("{},{}", snapshot.as_of, snapshot.form);
    let header = if before.is_empty() { "on,form\n" } else { before };
    if header.lines().any(|known| known == line) { header.to_owned() } else { format!("{header}{line}\n") }
}
