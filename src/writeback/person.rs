//! A person's word on a filing: send it again, or it is there, or it will never be. Always with a
//! reason and an audit entry, in one commit.

use uuid::Uuid;

use super::progress::{Limits, Next};
use super::settle;
use super::state::{FilingState, may_follow};
use crate::audit::Entry;
use crate::gateway::Gateway;
use crate::store::StoreError;
use crate::store::commit::Commit;
use crate::store::filing::Filing;

/// Why it was not done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refusal {
    /// There is no such filing.
    #[error("there is no such filing")]
    Unknown,
    /// It does not follow from where the filing stands.
    #[error("it is {0}: that cannot follow")]
    Cannot(&'static str),
    /// The reason is none, or has patient data.
    #[error("{0}")]
    Reason(String),
    /// The store's fault; nothing was changed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a person says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// Send it again: on the route it is on, or from the first when every one refused.
    Retry,
    /// It is in the record, coded.
    Filed,
    /// It is in the record as words or a document, without its code.
    FiledWithoutCode,
    /// It will not be filed. The loop stays open, with the reason.
    Rejected,
}

/// Does as the person says; `entry` is the audit entry, without the reason; `reason` is one
/// that `referral::reason` has checked.
///
/// # Errors
/// See [`Refusal`].
pub async fn says(gateway: &Gateway, id: Uuid, word: Word, reason: &str, mut entry: Entry) -> Result<Filing, Refusal> {
    let filing = gateway.store.filing(id).await?.ok_or(Refusal::Unknown)?;
    let (limits, now) = (Limits::of(&gateway.config), gateway.clock.now());
    let to = match word {
        Word::Filed => FilingState::Filed,
        Word::FiledWithoutCode => FilingState::FiledWithoutCode,
        Word::Rejected => FilingState::Rejected,
        // What may have left is looked for before it is sent again.
        Word::Retry if filing.messages.is_empty() && filing.route.is_empty() => FilingState::Queued,
        Word::Retry => FilingState::Sent,
    };
    let again = word == Word::Retry && filing.state.is_moving();
    if filing.state.is_in_record() && word == Word::Retry || !again && !may_follow(filing.state, to) {
        return Err(Refusal::Cannot(filing.state.word()));
    }
    let mut next = Next::of(&filing);
    next.filing.deadline = None;
    next.filing.overdue = false;
    if word == Word::Retry && filing.state == FilingState::Rejected {
        next.filing.tried.clear();
        next.filing.route.clear();
    }
    let state = if again { filing.state } else { to };
    let mut next = next.to(state, &format!("by a person: {reason}"), now, &limits);
    next.alert = None;
    next.resend = (word == Word::Retry).then_some(now);
    let after = next.filing.clone();
    entry.entities.push(format!("{}/{}/_history/{}", after.resource.0, after.resource.1, after.resource.2));
    entry.entities.push(format!("ServiceRequest/{}", after.episode));
    let commit = settle::with(gateway, next).await?;
    gateway.store.commit(commit.and(Commit { audit: vec![entry], ..Commit::default() })).await?;
    crate::delivery::wake();
    Ok(after)
}
