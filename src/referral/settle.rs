//! Leaving the path early, durably: a hold or a rejection is committed, with the message's bytes
//! and an audit entry, before the sender is told.

use super::commit::{entry, kept, releases};
use super::legs::replay_key;
use super::{Answer, Channel, Held, Outcome, Received, hold_id};
use crate::audit;
use crate::gateway::Gateway;
use crate::rejection::Rejection;
use crate::store::StoreError;
use crate::store::commit::{Cause, Commit, Hold, LedgerRow, LedgerState};

/// Keeps a referral that a person must look at.
pub(super) async fn hold(gateway: &Gateway, received: &Received, held: Held) -> Result<Answer, Rejection> {
    let causes = distinct(&held.causes);
    let before = gateway.store.ledger_row(&held.referral).await?;
    let mut commit = Commit {
        keys: received.keys.clone(),
        message: Some(kept(received, "held")),
        holds: causes.iter().map(|(cause, detail)| one(received, &held, *cause, detail.clone())).collect(),
        ..Commit::default()
    };
    let words: Vec<Cause> = causes.iter().map(|(cause, _)| *cause).collect();
    commit.released = releases(&held.referral, received, &words);
    // A change that must be looked at does not take a referral away from the pool that has it.
    let with_pool = before
        .as_ref()
        .is_some_and(|row| matches!(row.state, LedgerState::Open | LedgerState::Closed | LedgerState::Returned));
    if !with_pool {
        commit.ledger.push(LedgerRow {
            id: held.referral.clone(),
            message: received.id,
            practice: held.practice.clone(),
            state: LedgerState::Held,
            since: before.filter(|row| row.state == LedgerState::Held).map_or(received.at, |row| row.since),
            waiting_on: words.first().map_or("", |cause| cause.word()).to_owned(),
            received_at: received.at,
        });
    }
    let mut entry = entry(received, audit::Outcome::Success);
    entry.entities.push(format!("ServiceRequest/{}", held.referral));
    entry.detail = format!("held: {}", words.iter().map(|cause| cause.word()).collect::<Vec<_>>().join(", "));
    commit.audit.push(entry);
    gateway.store.commit(commit).await?;
    Ok(Answer {
        referral: held.referral,
        result: Outcome::Held(words),
        resources: Vec::new(),
        assigned: Vec::new(),
        findings: Vec::new(),
    })
}

/// One entry a cause; what is said of the same cause twice is joined.
fn distinct(causes: &[(Cause, String)]) -> Vec<(Cause, String)> {
    let mut all: Vec<(Cause, String)> = Vec::new();
    for (cause, detail) in causes {
        match all.iter_mut().find(|(known, _)| known == cause) {
            Some((_, said)) if !said.contains(detail.as_str()) => *said = format!("{said}; {detail}"),
            Some(_) => {}
            None => all.push((*cause, detail.clone())),
        }
    }
    all
}

fn one(received: &Received, held: &Held, cause: Cause, detail: String) -> Hold {
    Hold {
        id: hold_id(&held.referral, cause),
        cause,
        channel: received.channel.word().to_owned(),
        received_at: received.at,
        source: received.source.clone(),
        practice: held.practice.clone(),
        detail,
        count: 1,
        referral: Some(held.referral.clone()),
        replay: if held.replay.is_empty() { replay_key(received) } else { held.replay.clone() },
    }
}

/// Keeps a refused message and its refusal; then the sender may be told. Its door keys are not
/// taken: the sender may correct the message and use them again.
pub(super) async fn reject(gateway: &Gateway, received: &Received, rejection: Rejection) -> Rejection {
    let mut entry = entry(received, audit::Outcome::MinorFailure);
    entry.detail = format!("refused with {}: {rejection}", rejection.status());
    let message = Some(kept(received, "rejected")).filter(|_| received.channel != Channel::EmisExtract);
    if let Some(message) = &message {
        entry.detail = format!("{}; kept as message {}", entry.detail, message.id);
    }
    let commit = Commit { message, audit: vec![entry], ..Commit::default() };
    match gateway.store.commit(commit).await {
        Ok(_) => rejection,
        Err(fault @ StoreError::Engine(_)) => fault.into(),
        Err(_) => StoreError::Overloaded.into(),
    }
}
