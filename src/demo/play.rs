//! The order of events: messages in, link workers at work, outcomes back, loops closed.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use super::stage::Stage;
use super::worker::Case;
use super::{DemoFault, samples};
use crate::config::Role;
use crate::intake::emis;
use crate::store::commit::LedgerState;

/// How long deliveries and write-backs may take.
const SETTLE_MAX: Duration = Duration::from_secs(180);
/// How often the books are looked at meanwhile.
const LOOK: Duration = Duration::from_millis(100);
/// Nothing new for this long after everything was delivered: the senders are done.
const QUIET_LOOKS: u32 = 5;

/// Says one line.
pub type Say<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// Plays it through. True when every loop is closed: each committed referral ended, with the
/// practice system's acknowledgements. What is held stays held, as planted.
///
/// # Errors
/// When something that should work does not.
pub async fn play(stage: &Stage, say: Say<'_>) -> Result<bool, DemoFault> {
    say("1. Referrals come in");
    extract(stage, say).await?;
    bars(stage, say).await?;
    say("2. Link workers learn of them from the wellness database and record what came of it");
    work(stage, say).await?;
    say("3. Outcomes are written back to the practice systems");
    let closed = settle(stage).await?;
    for (ods, system) in &stage.practices {
        let record = system.record();
        let codes: BTreeSet<&str> =
            record.entries.iter().filter_map(|entry| entry["code"]["coding"][0]["code"].as_str()).collect();
        let codes: Vec<&str> = codes.into_iter().collect();
        say(&format!("  practice {ods} has {} new entries: {}", record.entries.len(), codes.join(", ")));
    }
    Ok(closed)
}

async fn extract(stage: &Stage, say: Say<'_>) -> Result<(), DemoFault> {
    let batches = samples::lay_out_extract(&stage.data.join("emis-extract")).map_err(DemoFault::new)?;
    for (n, batch) in batches.into_iter().enumerate() {
        let result = emis::ingest(&stage.gateway, &[batch], &emis::silent).await.map_err(DemoFault::new)?;
        say(&format!(
            "  EMIS extract, batch {}: {} received = {} committed + {} duplicate + {} held + {} waiting + {} ignored",
            n + 1,
            result.received,
            result.committed,
            result.duplicate,
            result.held,
            result.waiting,
            result.ignored
        ));
        for line in result.messages.iter().filter(|line| line.outcome == "held") {
            say(&format!("    held: {}", line.issues.join("; ")));
        }
    }
    Ok(())
}

async fn bars(stage: &Stage, say: Say<'_>) -> Result<(), DemoFault> {
    let token = stage.token("demo-surgery", Role::Referrer, "N84001", &[])?;
    let http = reqwest::Client::builder().no_proxy().build().map_err(DemoFault::new)?;
    for (name, media_type, text) in samples::BARS {
        let answer = http
            .post(format!("{}/fhir/$process-message", stage.base_url))
            .bearer_auth(&token)
            .header("content-type", media_type)
            .header("accept", "application/fhir+json")
            .header("x-request-id", Uuid::new_v4().to_string())
            .header("x-correlation-id", Uuid::new_v4().to_string())
            .body(text)
            .send()
            .await
            .map_err(DemoFault::new)?;
        let status = answer.status();
        let body = answer.text().await.map_err(DemoFault::new)?;
        // With --data a second showing finds the messages of the first.
        if !status.is_success() && status.as_u16() != 409 {
            return Err(DemoFault::new(format!("{name}: {status}: {body}")));
        }
        say(&format!("  BaRS message {name}: {status}"));
    }
    Ok(())
}

/// Works on every referral that the wellness database is told of, until no more come.
async fn work(stage: &Stage, say: Say<'_>) -> Result<(), DemoFault> {
    let (mut worked, mut quiet) = (BTreeSet::new(), 0);
    let begun = std::time::Instant::now();
    while quiet < QUIET_LOOKS && begun.elapsed() < SETTLE_MAX {
        let bundles: Vec<Value> = stage.wellness.taken("referral.received").into_iter().map(|d| d.bundle).collect();
        let new: Vec<Case> =
            bundles.iter().filter_map(Case::of).filter(|case| !worked.contains(&case.referral)).collect();
        quiet = if new.is_empty() && undelivered(stage).await? == 0 { quiet + 1 } else { 0 };
        for case in new {
            case.work(stage, say).await?;
            worked.insert(case.referral);
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

async fn undelivered(stage: &Stage) -> Result<u64, DemoFault> {
    let queues = stage.gateway.store.queues().await.map_err(DemoFault::new)?;
    Ok(queues.iter().map(|(_, waiting, _)| waiting).sum())
}

/// Waits until nothing is open, or for as long as it may take.
async fn settle(stage: &Stage) -> Result<bool, DemoFault> {
    let begun = std::time::Instant::now();
    loop {
        let rows = stage.gateway.store.ledger(None, None).await.map_err(DemoFault::new)?;
        let open = rows.iter().any(|row| matches!(row.state, LedgerState::Open | LedgerState::Waiting));
        let ended = rows.iter().any(|row| matches!(row.state, LedgerState::Closed));
        if !open && undelivered(stage).await? == 0 {
            return Ok(ended);
        }
        if begun.elapsed() > SETTLE_MAX {
            return Ok(false);
        }
        tokio::time::sleep(LOOK).await;
    }
}
