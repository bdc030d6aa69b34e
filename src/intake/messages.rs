//! FHIR messages as files: each file one Bundle, taken down the same path as a live message.
//!
//! It knows files and counts. What a Bundle says is `parsing`'s, and what becomes of it the path's.

use std::io::Read;
use std::path::{Path, PathBuf};

use tokio::task::JoinSet;
use uuid::Uuid;

use crate::audit::Agent;
use crate::fhir::wire::Form;
use crate::gateway::Gateway;
use crate::intake::result::{Count, IngestResult, Line};
use crate::referral::{self, Answer, Channel, Outcome, Received};
use crate::rejection::{BarsError, IssueType, Rejection};

/// Messages on the path at once: as many as make a good group commit.
const IN_FLIGHT_MAX: usize = 64;
/// Files in one call.
const FILES_MAX: usize = 100_000;

/// What one file came to.
struct Done {
    line: Line,
    count: Count,
    readable: bool,
}

/// Takes every file in `paths` (folders: their files, by name) down the path. `progress` is told
/// how many are done, of how many.
///
/// # Errors
/// A path that cannot be read, or the store's failure: 503, run it again.
pub async fn ingest(
    gateway: &Gateway,
    channel: Channel,
    paths: &[PathBuf],
    progress: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<IngestResult, Rejection> {
    let files = find(paths)?;
    let mut ends: Vec<Option<Done>> = files.iter().map(|_| None).collect();
    let mut running = JoinSet::new();
    let mut next = files.iter().cloned().enumerate();
    let mut done = 0;
    loop {
        while running.len() < IN_FLIGHT_MAX {
            let Some((index, file)) = next.next() else { break };
            let gateway = gateway.clone();
            running.spawn(async move { (index, one(&gateway, channel, &file).await) });
        }
        let Some(ended) = running.join_next().await else { break };
        let (index, end) = ended.map_err(|_| broken())?;
        ends[index] = Some(end?);
        done += 1;
        progress(done, files.len() as u64);
    }
    let mut all = IngestResult::default();
    ends.into_iter().flatten().for_each(|end| all.message(end.line, end.count, end.readable));
    Ok(all)
}

/// One file down the path.
async fn one(gateway: &Gateway, channel: Channel, file: &Path) -> Result<Done, Rejection> {
    let name = file.display().to_string();
    let bytes = match read(file, gateway.config.serve.body_bytes_max) {
        Ok(bytes) => bytes,
        Err(rejection) => return Ok(refused(name, &rejection, false)),
    };
    let xml =
        bytes.iter().find(|byte| !byte.is_ascii_whitespace() && !matches!(byte, 0xef | 0xbb | 0xbf)) == Some(&b'<');
    let received = Received {
        id: Uuid::new_v4(),
        channel,
        agent: Agent::operator(&gateway.config.gateway.ods),
        at: gateway.clock.now(),
        request: String::new(),
        correlation: String::new(),
        content_type: if xml { Form::Xml } else { Form::Json }.media_type().into(),
        bytes: bytes.into(),
        keys: Vec::new(),
        source: name.clone(),
        tree: None,
        bundle: None,
        replays: None,
    };
    match referral::process(gateway, received).await {
        Ok(answer) => Ok(taken(name, answer)),
        Err(rejection) if matches!(rejection.error, BarsError::Unavailable | BarsError::ServerError) => Err(rejection),
        Err(rejection) => {
            let structure = rejection.issues.iter().any(|issue| issue.kind == IssueType::Structure);
            Ok(refused(name, &rejection, !structure))
        }
    }
}

fn taken(file: String, answer: Answer) -> Done {
    let mut issues = answer.findings;
    let count = match answer.result {
        Outcome::Committed => Count::Committed,
        Outcome::Duplicate => Count::Duplicate,
        Outcome::Withdrawn => Count::Withdrawn,
        Outcome::Held(causes) => {
            issues.extend(causes.iter().map(|cause| cause.word().to_owned()));
            Count::Held
        }
    };
    done(answer.referral, file, count, issues)
}

fn refused(file: String, rejection: &Rejection, readable: bool) -> Done {
    let issues = rejection.issues.iter().map(|issue| issue.diagnostics.clone()).collect();
    Done { readable, ..done(file.clone(), file, Count::Rejected, issues) }
}

fn done(id: String, file: String, count: Count, issues: Vec<String>) -> Done {
    let line = Line { id, file: Some(file), outcome: count.word().to_owned(), issues };
    Done { line, count, readable: true }
}

fn read(file: &Path, bytes_max: usize) -> Result<Vec<u8>, Rejection> {
    let mut bytes = Vec::new();
    let limit = bytes_max as u64;
    std::fs::File::open(file)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
        .map_err(|why| Rejection::bad_request(IssueType::Structure, format!("cannot be read: {why}")))?;
    if bytes.len() > bytes_max {
        let text = format!("is larger than {bytes_max} bytes (serve.body_bytes_max)");
        return Err(Rejection::new(BarsError::TooLarge, IssueType::TooLong, text));
    }
    Ok(bytes)
}

/// The files, folders opened one level deep, hidden files left out.
fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Rejection> {
    let mut files = Vec::new();
    for path in paths {
        let wrong =
            |why: std::io::Error| Rejection::bad_request(IssueType::NotFound, format!("{}: {why}", path.display()));
        if !std::fs::metadata(path).map_err(wrong)?.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).map_err(wrong)?.flatten().map(|entry| entry.path());
        let shown = |path: &PathBuf| path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.'));
        let mut inside: Vec<_> = entries.filter(|path| path.is_file() && shown(path)).collect();
        inside.sort();
        files.extend(inside);
    }
    if files.len() > FILES_MAX {
        return Err(Rejection::bad_request(IssueType::TooLong, format!("more than {FILES_MAX} files in one call")));
    }
    Ok(files)
}

fn broken() -> Rejection {
    Rejection::new(BarsError::ServerError, IssueType::Exception, "a message's work was broken off; run it again")
}
