//! Touched candidates down the path, and what became of each written down.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::breaker::open_practices;
use super::decide::{self, Verdict};
use super::{IngestFault, Run, agent};
use crate::fhir::ids::OdsCode;
use crate::gateway::Gateway;
use crate::intake::result::Count;
use crate::mapping::SourceTree;
use crate::referral::{self, Channel, Outcome, Received, emis_referral_id, hold_id};
use crate::rejection::{BarsError, Rejection};
use crate::store::StoreError;
use crate::store::commit::{Cause, Commit, LedgerRow, LedgerState};
use crate::store::staging::{Candidate, Settled, State};

/// Candidates on the path at once: enough for their commits to share an fsync.
const IN_FLIGHT: usize = 64;
/// Times that a candidate is tried again when the store is busy.
const TRIES_MAX: u32 = 20;
/// The first wait before that, in milliseconds; it grows with each try.
const WAIT_MS: u64 = 50;

/// What became of a candidate: its count, the line's words, the state to settle.
pub(super) struct End {
    pub count: Count,
    pub issues: Vec<String>,
    pub state: State,
    forget: bool,
    /// The reason, for one that is ignored.
    reason: &'static str,
}

impl End {
    fn new(count: Count, issues: Vec<String>, state: State) -> Self {
        Self { count, issues, state, forget: false, reason: "" }
    }
}

/// Every touched candidate.
pub(super) async fn touched(run: &mut Run<'_>) -> Result<(), IngestFault> {
    let mut after = (String::new(), String::new());
    let mut open: HashMap<String, Option<HashSet<String>>> = HashMap::new();
    let mut done = 0;
    loop {
        let page = run.gateway.store.touched_candidates(after.clone(), IN_FLIGHT).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = (last.organisation.clone(), last.observation.clone());
        for candidate in &page {
            if !open.contains_key(&candidate.feed) {
                let practices = open_practices(run.gateway, &candidate.feed).await?;
                open.insert(candidate.feed.clone(), practices);
            }
        }
        done += page.len() as u64;
        together(run, page, &open).await?;
        (run.progress)(done, "referrals");
    }
}

/// One page, its candidates side by side.
async fn together(
    run: &mut Run<'_>,
    page: Vec<Candidate>,
    open: &HashMap<String, Option<HashSet<String>>>,
) -> Result<(), IngestFault> {
    let mut going = JoinSet::new();
    let (mut settled, mut waiting) = (Vec::new(), Vec::new());
    for candidate in page {
        let practices = open.get(&candidate.feed).and_then(Option::as_ref);
        match decide::decide(run.gateway, &candidate, practices, run.at) {
            Verdict::Wait(what) => {
                let end = End::new(Count::Waiting, vec![format!("{what} has not come")], State::Waiting);
                settled.push(note(run, &candidate, end));
                waiting.push(candidate);
            }
            verdict => {
                let gateway = run.gateway.clone();
                going.spawn(async move {
                    let end = take(&gateway, &candidate, verdict, None).await;
                    (candidate, end)
                });
            }
        }
    }
    keep_waiting(run, &waiting).await?;
    while let Some(joined) = going.join_next().await {
        let (candidate, end) = joined.map_err(|_| StoreError::Engine("a referral's work was stopped".into()))?;
        settled.push(note(run, &candidate, end?));
    }
    Ok(run.gateway.store.settle(settled).await?)
}

/// Counts it and says how it is to be settled.
fn note(run: &mut Run<'_>, candidate: &Candidate, end: End) -> Settled {
    if end.count == Count::Ignored {
        // One that was in the ledger is there already, as withdrawn.
        match candidate.state {
            State::Waiting | State::Held => run.result.count(Count::Ignored),
            _ => run.ignore(&candidate.organisation, end.reason),
        }
    } else {
        let id = emis_referral_id(&candidate.organisation, &candidate.observation);
        run.result.say(&id, end.count, end.issues);
    }
    Settled {
        organisation: candidate.organisation.clone(),
        observation: candidate.observation.clone(),
        touched: candidate.touched,
        state: end.state,
        forget: end.forget,
    }
}

/// One candidate to its end.
pub(super) async fn take(
    gateway: &Gateway,
    candidate: &Candidate,
    verdict: Verdict,
    replays: Option<Uuid>,
) -> Result<End, StoreError> {
    for tries in 1..=TRIES_MAX {
        let ended = match &verdict {
            Verdict::Process(tree) => {
                let received = received(gateway, candidate, tree.clone(), replays);
                referral::process(gateway, received).await.map(|answer| of_answer(&answer.result))
            }
            Verdict::Hold(tree, cause, detail) => hold(gateway, candidate, tree, *cause, detail, replays).await,
            Verdict::Wait(what) => Ok(End::new(Count::Waiting, vec![(*what).to_owned()], State::Waiting)),
            Verdict::Ignore(reason) => {
                ignore(gateway, candidate).await?;
                Ok(End { forget: true, reason, ..End::new(Count::Ignored, Vec::new(), State::Ignored) })
            }
        };
        match ended {
            // Deleted before, and deleted again: it stays withdrawn.
            Ok(end) if candidate.deleted && end.count == Count::Duplicate => {
                return Ok(End { state: State::Withdrawn, ..end });
            }
            Ok(end) => return Ok(end),
            Err(rejection) if rejection.error == BarsError::Unavailable => {
                tokio::time::sleep(std::time::Duration::from_millis(WAIT_MS * u64::from(tries))).await;
            }
            // Refused: it stays as it is until its rows change.
            Err(rejection) => return Ok(End::new(Count::Rejected, vec![rejection.to_string()], State::Held)),
        }
    }
    Err(StoreError::Overloaded)
}

fn of_answer(result: &Outcome) -> End {
    match result {
        Outcome::Committed => End::new(Count::Committed, Vec::new(), State::Committed),
        Outcome::Duplicate => End::new(Count::Duplicate, Vec::new(), State::Committed),
        Outcome::Withdrawn => End::new(Count::Withdrawn, Vec::new(), State::Withdrawn),
        Outcome::Held(causes) => {
            End::new(Count::Held, causes.iter().map(|cause| cause.word().to_owned()).collect(), State::Held)
        }
    }
}

async fn hold(
    gateway: &Gateway,
    candidate: &Candidate,
    tree: &SourceTree,
    cause: Cause,
    detail: &str,
    replays: Option<Uuid>,
) -> Result<End, Rejection> {
    let referral = emis_referral_id(&candidate.organisation, &candidate.observation);
    let received = received(gateway, candidate, tree.clone(), replays);
    let causes = vec![(cause, detail.to_owned())];
    let answer = referral::hold(gateway, &received, referral, practice(tree), causes).await?;
    let mut end = of_answer(&answer.result);
    if candidate.state == State::Committed {
        end.state = State::Committed;
    }
    Ok(end)
}

fn practice(tree: &SourceTree) -> Option<OdsCode> {
    OdsCode::parse(tree.inputs.get("org")?["ODSCode"].as_str()?).ok()
}

/// A candidate as the path receives it.
pub(super) fn received(gateway: &Gateway, candidate: &Candidate, tree: SourceTree, replays: Option<Uuid>) -> Received {
    let source = candidate.obs.as_ref().or(candidate.referral.as_ref()).map_or("", |row| row.origin.as_str());
    Received {
        id: Uuid::new_v4(),
        channel: Channel::EmisExtract,
        agent: agent(gateway),
        at: gateway.clock.now(),
        request: String::new(),
        correlation: String::new(),
        content_type: "application/json".into(),
        // Texts always serialise.
        bytes: Bytes::from(serde_json::to_vec(&tree.inputs).unwrap_or_default()),
        keys: Vec::new(),
        source: source.rsplit_once(':').map_or(source, |(file, _)| file).to_owned(),
        tree: Some(tree),
        bundle: None,
        replays,
    }
}

/// Candidates that wait, in the ledger.
async fn keep_waiting(run: &Run<'_>, waiting: &[Candidate]) -> Result<(), StoreError> {
    let mut commit = Commit::default();
    for candidate in waiting.iter().filter(|candidate| candidate.state != State::Committed) {
        commit.ledger.push(row(run.gateway, candidate, LedgerState::Waiting, "source"));
        if candidate.state == State::Held {
            commit.released.extend(holds_of(candidate));
        }
    }
    if commit.ledger.is_empty() {
        return Ok(());
    }
    commit.audit.push(run.entry("staged", &format!("{} candidates wait for their other half", commit.ledger.len())));
    run.gateway.store.commit(commit).await.map(drop)
}

/// A candidate that turns out not to concern us leaves the ledger's open states, and its holds.
async fn ignore(gateway: &Gateway, candidate: &Candidate) -> Result<(), StoreError> {
    if !matches!(candidate.state, State::Waiting | State::Held) {
        return Ok(());
    }
    let mut ledger = row(gateway, candidate, LedgerState::Withdrawn, "not-social-prescribing");
    ledger.waiting_on = String::new();
    let commit = Commit { ledger: vec![ledger], released: holds_of(candidate), ..Commit::default() };
    gateway.store.commit(commit).await.map(drop)
}

fn row(gateway: &Gateway, candidate: &Candidate, state: LedgerState, waiting_on: &str) -> LedgerRow {
    let at = gateway.clock.now();
    LedgerRow {
        id: emis_referral_id(&candidate.organisation, &candidate.observation),
        message: Uuid::nil(),
        practice: practice(&decide::tree(candidate)),
        state,
        since: at,
        waiting_on: waiting_on.to_owned(),
        received_at: at,
    }
}

fn holds_of(candidate: &Candidate) -> Vec<Uuid> {
    let referral = emis_referral_id(&candidate.organisation, &candidate.observation);
    Cause::ALL.iter().map(|(cause, _)| hold_id(&referral, *cause)).collect()
}
