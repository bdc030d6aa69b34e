//! Finds an extract's files in folders and zip archives, and sorts them into batches.

use std::path::{Path, PathBuf};

use super::IngestFault;
use crate::parsing::emis::{FileName, Table};
use crate::rejection::{IssueType, Rejection};

/// Files in one archive or folder tree.
const FILES_MAX: usize = 10_000;
/// Folders within folders.
const DEPTH_MAX: usize = 8;
/// An archive's file that is this much larger than its packed bytes is no extract.
const RATIO_MAX: u64 = 200;
/// ...once it is larger than this, in bytes.
const RATIO_FROM_BYTES: u64 = 64 * 1024 * 1024;

/// One file of an extract, wherever it is.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// The file, or the archive.
    pub path: PathBuf,
    /// Its number in the archive.
    pub member: Option<usize>,
    /// What messages and holds call it.
    pub label: String,
    /// The name by which it is known again, if its name tells batches apart.
    pub known_as: Option<String>,
    /// Its name, read.
    pub name: FileName,
}

/// Files that belong together.
#[derive(Debug)]
pub(super) struct Batch {
    /// The sharing agreement; empty for plain names.
    pub feed: String,
    /// First and last processing id.
    pub processing: Option<(u64, u64)>,
    /// The batch's time; `None` for plain names.
    pub time: Option<jiff::civil::DateTime>,
    /// In the order in which they are read.
    pub files: Vec<Source>,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Oldest first.
    pub batches: Vec<Batch>,
    /// `(file, why)`.
    pub faults: Vec<(String, String)>,
}

/// Looks through paths that a person named.
pub(super) async fn find(paths: Vec<PathBuf>) -> Result<Found, IngestFault> {
    let look = move || {
        let mut search = Search::default();
        for path in &paths {
            let is_there = path.metadata().map_err(|why| IngestFault::Path(format!("{}: {why}", path.display())))?;
            search.named(path, is_there.is_dir());
        }
        Ok(search.sorted())
    };
    let stopped = |_| Err(IngestFault::Path("the search for files was stopped".into()));
    tokio::task::spawn_blocking(look).await.unwrap_or_else(stopped)
}

/// Whether a file that was sent as an extract is one, by its name or its archive's list.
///
/// # Errors
/// 422 when it is not.
pub fn claims(path: &Path) -> Result<(), Rejection> {
    let mut search = Search::default();
    search.named(path, path.is_dir());
    if let Some((file, why)) = search.faults.first() {
        return Err(Rejection::unprocessable(IssueType::Invalid, format!("{file}: {why}")));
    }
    if search.files.is_empty() {
        let text = "there is no file of an EMIS extract in it";
        return Err(Rejection::unprocessable(IssueType::Invalid, text));
    }
    Ok(())
}

#[derive(Default)]
struct Search {
    files: Vec<Source>,
    faults: Vec<(String, String)>,
}

impl Search {
    fn named(&mut self, path: &Path, is_folder: bool) {
        if is_folder {
            return self.folder(path, DEPTH_MAX);
        }
        if !self.one(path) {
            let why = "it is neither a file of an EMIS extract nor a zip archive of them";
            self.faults.push((label(path), why.into()));
        }
    }

    /// True if it is an extract's file or an archive.
    fn one(&mut self, path: &Path) -> bool {
        let name = label(path);
        if let Some(read) = FileName::parse(&name) {
            let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
            let known_as = Some(if read.is_full() { name.clone() } else { place.display().to_string() });
            self.keep(Source { path: path.to_owned(), member: None, label: name, known_as, name: read });
            return true;
        }
        let is_archive = is_zip(path);
        if is_archive || name.to_ascii_lowercase().ends_with(".zip") {
            if let Err(why) = self.archive(path) {
                self.faults.push((name, why));
            }
            return true;
        }
        false
    }

    fn keep(&mut self, source: Source) {
        if self.files.len() >= FILES_MAX {
            self.faults.push((source.label, format!("there are more than {FILES_MAX} files")));
        } else if source.name.table != Table::Other {
            self.files.push(source);
        }
    }

    fn folder(&mut self, path: &Path, depth: usize) {
        let listed = std::fs::read_dir(path).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
        let mut paths: Vec<PathBuf> = match listed {
            Ok(entries) => entries.into_iter().map(|entry| entry.path()).collect(),
            Err(why) => return self.faults.push((path.display().to_string(), why.to_string())),
        };
        paths.sort();
        for inner in paths {
            // A link could lead round in a circle or out of the folder that was named.
            let Ok(kind) = inner.symlink_metadata().map(|meta| meta.file_type()) else { continue };
            if kind.is_dir() && depth > 0 {
                self.folder(&inner, depth - 1);
            } else if kind.is_file() {
                // Other files may lie in a folder.
                self.one(&inner);
            }
        }
    }

    fn archive(&mut self, path: &Path) -> Result<(), String> {
        let file = std::fs::File::open(path).map_err(|why| why.to_string())?;
        let mut archive = zip::ZipArchive::new(std::io::BufReader::new(file))
            .map_err(|_| "it is not a zip archive, or it is cut short".to_owned())?;
        if archive.len() > FILES_MAX {
            return Err(format!("it has more than {FILES_MAX} files"));
        }
        for at in 0..archive.len() {
            let member = archive.by_index_raw(at).map_err(|_| "its list of files is damaged".to_owned())?;
            // Nothing is ever written to a name from an archive; one that climbs is a trick all the same.
            let Some(inside) = member.enclosed_name() else {
                return Err("it names a file outside itself".into());
            };
            let packed = member.compressed_size().max(1);
            if member.size() > RATIO_FROM_BYTES && member.size() / packed > RATIO_MAX {
                return Err(format!("a file in it unpacks to more than {RATIO_MAX} times its size"));
            }
            let name = label(&inside);
            let Some(read) = FileName::parse(&name).filter(|_| member.is_file()) else { continue };
            let known_as = read.is_full().then(|| name.clone());
            let source = Source { path: path.to_owned(), member: Some(at), label: name, known_as, name: read };
            drop(member);
            self.keep(source);
        }
        Ok(())
    }

    fn sorted(self) -> Found {
        let mut batches: Vec<(PathBuf, Batch)> = Vec::new();
        for file in self.files {
            // Plain names are told apart by where they lie.
            let place = if file.name.is_full() { PathBuf::new() } else { place(&file) };
            let FileName { processing, time, agreement, .. } = file.name.clone();
            let same = |(at, batch): &&mut (PathBuf, Batch)| {
                *at == place && batch.time == time && batch.feed == agreement && batch.processing == processing
            };
            match batches.iter_mut().find(same) {
                Some((_, batch)) => batch.files.push(file),
                None => batches.push((place, Batch { feed: agreement, processing, time, files: vec![file] })),
            }
        }
        batches.sort_by(|(a, one), (b, other)| {
            (one.time.is_none(), one.time, one.processing, a).cmp(&(
                other.time.is_none(),
                other.time,
                other.processing,
                b,
            ))
        });
        let order = |file: &Source| Table::READ.iter().position(|table| *table == file.name.table);
        let batches = batches.into_iter().map(|(_, mut batch)| {
            batch.files.sort_by_key(|file| (order(file), file.label.clone()));
            batch
        });
        Found { batches: batches.collect(), faults: self.faults }
    }
}

fn place(file: &Source) -> PathBuf {
    if file.member.is_some() { file.path.clone() } else { file.path.parent().unwrap_or(Path::new("")).to_owned() }
}

fn label(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn is_zip(path: &Path) -> bool {
    use std::io::Read as _;
    let mut first = [0; 4];
    std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut first)).is_ok() && first == *b"PK\x03\x04"
}
