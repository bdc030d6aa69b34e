//! Opens one file of an extract as a stream: out of its archive, decrypted, digested.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use csv::ByteRecord;
use tokio::sync::mpsc;

use super::files::Source;
use crate::parsing::emis::{Columns, Rows, Unreadable};

/// Rows that travel together.
const ROWS_TOGETHER: usize = 2_000;
/// Lots of rows that may wait: memory is bounded by this and the longest record.
const LOTS_WAITING: usize = 2;

/// What a file gives, in order: its columns, rows, and a fault if it does not end well.
pub(super) enum Part {
    Columns(Arc<Columns>),
    Rows(Vec<(ByteRecord, u64)>),
    Fault(Unreadable),
}

/// Reads a file on its own thread.
pub(super) fn stream(source: &Source, pgp_key_file: &str) -> mpsc::Receiver<Part> {
    let (out, parts) = mpsc::channel(LOTS_WAITING);
    let (source, key) = (source.clone(), pgp_key_file.to_owned());
    tokio::task::spawn_blocking(move || {
        let fault = with_bytes(&source, |bytes| decrypted(&source, &key, bytes, |plain| rows(&source, plain, &out)));
        let fault = fault.and_then(|inner| inner).err();
        if let Some(why) = fault {
            // Nobody listens any more: the ingest has ended.
            let _ = out.blocking_send(Part::Fault(Unreadable::Read { line: 0, why }));
        }
    });
    parts
}

fn rows(source: &Source, bytes: &mut dyn Read, out: &mpsc::Sender<Part>) -> Result<(), String> {
    let sent = |part| out.blocking_send(part).is_ok();
    let mut rows = match Rows::open(source.name.table, bytes) {
        Ok(rows) => rows,
        Err(fault) => {
            // Nobody listening: the ingest has ended.
            let _ = sent(Part::Fault(fault));
            return Ok(());
        }
    };
    if !sent(Part::Columns(Arc::new(rows.columns.clone()))) {
        return Ok(());
    }
    let mut lot = Vec::with_capacity(ROWS_TOGETHER);
    loop {
        match rows.next_row() {
            Ok(Some(row)) => lot.push((row.record(), row.line)),
            Ok(None) => {
                sent(Part::Rows(lot));
                return Ok(());
            }
            Err(fault) => {
                let _ = sent(Part::Rows(lot)) && sent(Part::Fault(fault));
                return Ok(());
            }
        }
        if lot.len() >= ROWS_TOGETHER && !sent(Part::Rows(std::mem::take(&mut lot))) {
            return Ok(());
        }
    }
}

/// SHA-256 of the file as it was delivered, in hexadecimal.
pub(super) async fn digest(source: &Source) -> Result<String, String> {
    let source = source.clone();
    let work = move || {
        with_bytes(&source, |bytes| {
            let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
            let mut buffer = vec![0; 64 * 1024];
            loop {
                match bytes.read(&mut buffer).map_err(|why| why.to_string())? {
                    0 => break,
                    count => hash.update(&buffer[..count]),
                }
            }
            Ok(hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
        })
        .and_then(|inner| inner)
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err("it was stopped".into()))
}

/// The bytes as delivered.
fn with_bytes<T>(source: &Source, work: impl FnOnce(&mut dyn Read) -> T) -> Result<T, String> {
    let file = std::fs::File::open(&source.path).map_err(|why| why.to_string())?;
    let mut file = std::io::BufReader::new(file);
    let Some(member) = source.member else { return Ok(work(&mut file)) };
    let mut archive = zip::ZipArchive::new(file).map_err(|_| "the archive is damaged".to_owned())?;
    let mut member = archive.by_index(member).map_err(|_| "the archive is damaged, or needs a password".to_owned())?;
    Ok(work(&mut member))
}

/// The bytes as written by the practice system. `gpg` checks integrity itself; a failure at the
/// end fails the file.
fn decrypted(
    source: &Source,
    key_file: &str,
    bytes: &mut dyn Read,
    work: impl FnOnce(&mut dyn Read) -> Result<(), String> + Send,
) -> Result<(), String> {
    if !source.name.encrypted {
        return work(bytes);
    }
    if key_file.is_empty() {
        return Err("it is encrypted: set intake.emis.pgp_key_file".into());
    }
    let home = Home::with_key(Path::new(key_file))?;
    let mut child = home.gpg().arg("--decrypt").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(no_gpg)?;
    let (Some(mut into), Some(mut plain)) = (child.stdin.take(), child.stdout.take()) else {
        return Err("gpg has no pipes".into());
    };
    let result = std::thread::scope(|scope| {
        let reader = scope.spawn(move || work(&mut plain));
        let fed = std::io::copy(bytes, &mut into);
        drop(into);
        let read = reader.join().unwrap_or_else(|_| Err("reading it was stopped".into()));
        read.and(fed.map(drop).or_else(|why| match why.kind() {
            // gpg or the reader stopped early; whichever it was says why.
            std::io::ErrorKind::BrokenPipe => Ok(()),
            _ => Err(why.to_string()),
        }))
    });
    ended(child).and(result)
}

fn ended(mut child: Child) -> Result<(), String> {
    match child.wait() {
        Ok(status) if status.success() => Ok(()),
        _ => Err("gpg could not decrypt it with the configured key".into()),
    }
}

fn no_gpg(why: std::io::Error) -> String {
    format!("the gpg program, which decrypts extracts, does not start: {why}")
}

/// A gpg home of our own, gone when we are done: no keyring of the machine is read or changed.
struct Home {
    path: std::path::PathBuf,
}

impl Home {
    fn with_key(key_file: &Path) -> Result<Self, String> {
        use std::os::unix::fs::DirBuilderExt as _;
        let path = std::env::temp_dir().join(format!("fingerpost-gpg-{}", uuid::Uuid::new_v4().simple()));
        std::fs::DirBuilder::new().mode(0o700).create(&path).map_err(|why| why.to_string())?;
        let home = Self { path };
        let mut import = home.gpg();
        let status = import.arg("--import").arg(key_file).stdin(Stdio::null()).stdout(Stdio::null()).status();
        match status.map_err(no_gpg)? {
            status if status.success() => Ok(home),
            _ => Err("gpg does not take the key in intake.emis.pgp_key_file".into()),
        }
    }

    fn gpg(&self) -> Command {
        let mut gpg = Command::new("gpg");
        gpg.args(["--batch", "--quiet", "--no-tty", "--trust-model", "always"]).arg("--homedir").arg(&self.path);
        gpg.stderr(Stdio::null());
        gpg
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Stops the agent that gpg starts for this home; without it the folder would come back.
        let mut stop = Command::new("gpgconf");
        stop.arg("--homedir").arg(&self.path).args(["--kill", "all"]);
        drop(stop.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status());
        drop(std::fs::remove_dir_all(&self.path));
    }
}
