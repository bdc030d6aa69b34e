//! Holds of the extract, after a person has looked: a candidate, a practice's batch, a file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;
use uuid::Uuid;

use super::apply;
use super::breaker::open_practices;
use super::decide::{self, Verdict};
use super::park::Aside;
use super::row::{Lot, Staged};
use super::{IngestFault, Run, Turn, silent};
use crate::gateway::Gateway;
use crate::parsing::emis::Table;
use crate::referral;
use crate::rejection::{IssueType, Rejection};
use crate::store::commit::{Commit, Hold};
use crate::store::staging::{Candidate, Parked, Settled};

/// Rows put aside that are taken back together.
const ROWS_TOGETHER: usize = 2_000;

/// Takes a held candidate, batch or file down the path again; says in words what came of it.
///
/// # Errors
/// That there is nothing to start from, or that the store failed.
pub async fn replay(gateway: &Gateway, hold: &Hold) -> Result<String, Rejection> {
    let turn = Turn::take(gateway).await.map_err(|fault| refused(&fault))?;
    let words = match start(hold) {
        Start::Aside(id) => aside(gateway, hold, id).await.map_err(|fault| refused(&fault)),
        Start::File(path) => file(gateway, path).await.map_err(|fault| refused(&fault)),
        Start::Candidate(organisation, observation) => one(gateway, hold, organisation, observation).await,
        Start::Nothing => Err(nothing_kept()),
    };
    turn.end().await;
    words
}

/// Says what a replay would come to. Nothing is kept.
///
/// # Errors
/// As [`replay`].
pub async fn rehearse(gateway: &Gateway, hold: &Hold) -> Result<String, Rejection> {
    match start(hold) {
        Start::Candidate(organisation, observation) => {
            let (candidate, verdict) = judged(gateway, organisation, observation).await?;
            match verdict {
                Verdict::Process(tree) => {
                    let received = apply::received(gateway, &candidate, tree, Some(hold.id));
                    referral::rehearse(gateway, &received).await
                }
                Verdict::Hold(_, cause, detail) => Ok(format!("would be held: {} ({detail})", cause.word())),
                Verdict::Wait(what) => Ok(format!("would wait: {what} has not come")),
                Verdict::Ignore(reason) => Ok(format!("would be ignored: {reason}")),
            }
        }
        Start::Aside(_) => Ok(format!("would apply what the batch brought for {} candidates", hold.count)),
        Start::File(path) => Ok(format!("would read {} as it is now", path.display())),
        Start::Nothing => Err(nothing_kept()),
    }
}

enum Start<'h> {
    Aside(Uuid),
    File(PathBuf),
    Candidate(&'h str, &'h str),
    Nothing,
}

fn start(hold: &Hold) -> Start<'_> {
    if let Some(id) = hold.replay.strip_prefix("aside:") {
        return id.parse().map_or(Start::Nothing, Start::Aside);
    }
    if let Some(path) = hold.replay.strip_prefix("file:") {
        return Start::File(PathBuf::from(path));
    }
    hold.replay
        .split_once('/')
        .map_or(Start::Nothing, |(organisation, observation)| Start::Candidate(organisation, observation))
}

async fn judged(gateway: &Gateway, organisation: &str, observation: &str) -> Result<(Candidate, Verdict), Rejection> {
    let candidate = gateway.store.candidate(organisation, observation).await?.ok_or_else(nothing_kept)?;
    let open = open_practices(gateway, &candidate.feed).await?;
    let verdict = decide::decide(gateway, &candidate, open.as_ref(), gateway.clock.now());
    Ok((candidate, verdict))
}

async fn one(gateway: &Gateway, hold: &Hold, organisation: &str, observation: &str) -> Result<String, Rejection> {
    let (candidate, verdict) = judged(gateway, organisation, observation).await?;
    let end = apply::take(gateway, &candidate, verdict, Some(hold.id)).await?;
    let settled = Settled {
        organisation: candidate.organisation,
        observation: candidate.observation,
        touched: candidate.touched,
        state: end.state,
        forget: false,
    };
    gateway.store.settle(vec![settled]).await?;
    let word = end.count.word();
    Ok(if end.issues.is_empty() { word.to_owned() } else { format!("{word}: {}", end.issues.join(", ")) })
}

/// What a practice's batch brought. The person who replays it has looked at its deletions; the
/// agreement is still asked.
async fn aside(gateway: &Gateway, hold: &Hold, id: Uuid) -> Result<String, IngestFault> {
    let mut run = Run::new(gateway, &silent);
    run.organisations = super::select::Organisations::load(gateway).await?;
    let mut after = 0;
    let mut held = false;
    loop {
        let rows = gateway.store.parked(id, after, ROWS_TOGETHER).await?;
        let Some((last, first)) = rows.last().map(|(at, row)| (*at, row.clone())) else { break };
        let open = open_practices(gateway, &first.feed).await?;
        let practice = |row: &Parked| {
            let cells: Value = serde_json::from_str(&row.body).unwrap_or_default();
            cells["OrganisationGuid"].as_str().unwrap_or("").to_owned()
        };
        held = open.is_some_and(|open| rows.iter().any(|(_, row)| !open.contains(&practice(row))));
        if held {
            break;
        }
        after = last;
        restage(&mut run, rows.into_iter().map(|(_, row)| row).collect()).await?;
    }
    if held {
        return Ok("held: agreement".into());
    }
    let result = run.swept().await?;
    let released = vec![hold.id];
    gateway.store.commit(Commit { released, ..Commit::default() }).await?;
    gateway.store.unpark(id).await?;
    Ok(result.summary())
}

async fn restage(run: &mut Run<'_>, rows: Vec<Parked>) -> Result<(), IngestFault> {
    let mut by_table: BTreeMap<(Table, String), Vec<Staged>> = BTreeMap::new();
    for row in rows {
        let Some(table) = Table::parse(&row.table) else { continue };
        let Ok(Value::Object(cells)) = serde_json::from_str(&row.body) else { continue };
        let staged = Staged { cells, origin: row.origin, version: row.version };
        by_table.entry((table, row.feed)).or_default().push(staged);
    }
    for ((table, feed), rows) in by_table {
        let mut free = Aside::new("");
        free.waived = true;
        run.stage(&Lot { feed: &feed, time: "", table, label: "" }, rows, &mut free).await?;
    }
    Ok(())
}

/// A file whose content changed under its name.
async fn file(gateway: &Gateway, path: PathBuf) -> Result<String, IngestFault> {
    let result = Run::new(gateway, &silent).all(&[path], true).await?;
    Ok(result.summary())
}

fn refused(fault: &IngestFault) -> Rejection {
    match fault {
        IngestFault::Store(fault) => fault.clone().into(),
        other => Rejection::bad_request(IssueType::NotFound, other.to_string()),
    }
}

fn nothing_kept() -> Rejection {
    Rejection::bad_request(
        IssueType::NotFound,
        "there is nothing kept to replay this hold from; send the extract again",
    )
}
