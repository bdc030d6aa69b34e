//! What a practice's system says of a message that it was sent, in the words of no route, and
//! taking it.

use jiff::Timestamp;

use super::progress::{self, Limits};
use super::{Route, settle};
use crate::fhir::ids::stable_id;
use crate::gateway::Gateway;
use crate::store::commit::{Cause, Commit, Hold};
use crate::store::{Races, StoreError};

/// One acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The id of the message that it answers: `Encoded::message`.
    pub message: String,
    /// How far the message had come.
    pub stage: Stage,
    /// What is said of it.
    pub verdict: Verdict,
    /// `(code, display)` of the response codes that came with it, ITK-ResponseCodes-1 where it is ITK3.
    pub codes: Vec<(String, String)>,
    /// The acknowledgement's own id: a second one with the same id changes nothing.
    pub id: String,
    /// When it was received.
    pub at: Timestamp,
}

/// How far the message had come when it was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It is sound: an infrastructure acknowledgement.
    Infrastructure,
    /// The person was matched and the practice dealt with it: a business acknowledgement.
    Business,
    /// The carrier could not hand it over: a MESH REPORT.
    Carrier,
}

/// What is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Good.
    Accepted,
    /// Not now; sending it again may help.
    Transient,
    /// Never in this form.
    Refused,
}

/// Takes an acknowledgement: moves the filing whose message it names, closes the ledger when that
/// was the last, and commits `also` with it. One with an id that was taken before commits `also`
/// alone; one of a message that nobody here sent commits `also` with a hold, for a person to see.
///
/// # Errors
/// As [`crate::store::Store::commit`]; nothing is then changed.
pub async fn acknowledged(gateway: &Gateway, ack: Acknowledgement, also: Commit) -> Result<(), StoreError> {
    let mut races = Races::over(&ack.message);
    loop {
        let change = change(gateway, &ack).await?;
        let moves = !change.filings.is_empty();
        let resends = !change.requeue.is_empty() || !change.outbox.is_empty();
        match gateway.store.commit(change.and(also.clone())).await {
            // The filing moved meanwhile.
            Err(StoreError::Stale { .. }) if moves => races.again().await?,
            done => {
                if resends {
                    crate::delivery::wake();
                }
                return done.map(|_| ());
            }
        }
    }
}

async fn change(gateway: &Gateway, ack: &Acknowledgement) -> Result<Commit, StoreError> {
    let Some(filing) = gateway.store.filing_of_message(&ack.message).await? else {
        return Ok(unknown(gateway, ack));
    };
    let routes = Route::words(&gateway.config, filing.practice.as_str());
    let Some(next) = progress::acknowledged(&filing, ack, routes, &Limits::of(&gateway.config)) else {
        return Ok(Commit::default());
    };
    let state = next.filing.state.word();
    tracing::info!(filing = %filing.id, stage = ?ack.stage, verdict = ?ack.verdict, state, "acknowledged");
    settle::with(gateway, next).await
}

/// An acknowledgement of nothing that was sent: somebody else's, or of a store that was lost.
fn unknown(gateway: &Gateway, ack: &Acknowledgement) -> Commit {
    tracing::warn!(stage = ?ack.stage, "an acknowledgement of a message that the gateway did not send");
    metrics::counter!("fingerpost_writeback_alerts_total", "alert" => "writeback.unknown").increment(1);
    let hold = Hold {
        id: stable_id(&["hold", "acknowledgement", &ack.id, Cause::NotAReferral.word()]),
        cause: Cause::NotAReferral,
        channel: "writeback".to_owned(),
        received_at: ack.at,
        source: gateway.config.gateway.ods.to_string(),
        practice: None,
        detail: "an acknowledgement of a message that this gateway did not send: find out who did".to_owned(),
        count: 1,
        referral: None,
        replay: String::new(),
    };
    Commit { holds: vec![hold], ..Commit::default() }
}
