//! The clock of write-back: tells somebody of an acknowledgement that is missing, and has entries
//! looked for that a practice must accept. One commit a filing, so that many gateways on one store
//! tell it once.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::watch;

use super::progress::{self, Limits};
use super::settle;
use crate::gateway::Gateway;
use crate::store::StoreError;
use crate::store::commit::Commit;

/// How often the clock is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// Filings that are looked at in one go.
const BATCH_MAX: usize = 200;

/// How often referrals are looked for that should have closed, in looks at the clock.
const SWEEP_EVERY: u32 = 300;
/// How long a referral has waited before it is looked at so.
const SWEEP_AFTER: SignedDuration = SignedDuration::from_mins(1);
/// Referrals that are looked at in one go.
const SWEEP_MAX: usize = 1000;

/// Runs until it is told to stop.
pub async fn run(gateway: Gateway, mut stopped: watch::Receiver<bool>) {
    for turn in 0_u32.. {
        if turn.is_multiple_of(SWEEP_EVERY) {
            let now = gateway.clock.now();
            let before = now.checked_sub(SWEEP_AFTER).unwrap_or(now);
            if let Err(fault) = settle::sweep(&gateway, before, SWEEP_MAX).await {
                tracing::error!(error = %fault, "referrals that may be closed cannot be looked at; trying again");
            }
        }
        if let Err(fault) = look(&gateway).await {
            tracing::error!(error = %fault, "filings cannot be looked at; trying again");
        }
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Looks at every filing whose time has come. How many there were.
///
/// # Errors
/// When the store does not answer.
pub async fn look(gateway: &Gateway) -> Result<usize, StoreError> {
    let mut seen = 0;
    loop {
        let now = gateway.clock.now();
        let due = gateway.store.filings_to_look_at(now, BATCH_MAX).await?;
        let full = due.len() == BATCH_MAX;
        for filing in due {
            seen += 1;
            let next = progress::overdue(&filing, &Limits::of(&gateway.config), now);
            let commit: Commit = settle::with(gateway, next).await?;
            match gateway.store.commit(commit).await {
                // It moved meanwhile: whoever moved it set its next look.
                Ok(_) | Err(StoreError::Stale { .. }) => {}
                Err(fault) => return Err(fault),
            }
        }
        if seen > 0 {
            crate::delivery::wake();
        }
        if !full {
            return Ok(seen);
        }
    }
}
