//! Each referral's journey, read back from the store: where it came from, who had it, what came
//! of it, and how many entries its practice acknowledged.

use super::DemoFault;
use super::stage::Stage;
use super::worker::short;
use crate::delivery::WRITEBACK;
use crate::store::commit::{LedgerRow, LedgerState};

/// The table's rows, its heading first.
///
/// # Errors
/// When the store does not answer.
pub async fn table(stage: &Stage) -> Result<Vec<Vec<String>>, DemoFault> {
    let heading = ["referral", "came by", "practice", "pool", "ended", "written back"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for row in stage.gateway.store.ledger(None, None).await.map_err(DemoFault::new)? {
        rows.push(line(stage, row).await?);
    }
    Ok(rows)
}

async fn line(stage: &Stage, row: LedgerRow) -> Result<Vec<String>, DemoFault> {
    let store = &stage.gateway.store;
    let message = store.message(row.message).await.map_err(DemoFault::new)?;
    let episode = store.episode(&row.id).await.map_err(DemoFault::new)?;
    let outbox = store.outbox_of(&row.id, WRITEBACK).await.map_err(DemoFault::new)?;
    let acknowledged = outbox.iter().filter(|(_, _, state)| state == "done").count();
    let ended = match row.state {
        LedgerState::Held => format!("held: {}", row.waiting_on),
        LedgerState::Open | LedgerState::Waiting => format!("{}: {}", row.state.word(), row.waiting_on),
        state => state.word().to_owned(),
    };
    Ok(vec![
        short(&row.id).to_owned(),
        message.map_or_else(|| "-".to_owned(), |message| message.channel),
        row.practice.map_or_else(|| "-".to_owned(), |practice| practice.to_string()),
        episode.map_or_else(|| "-".to_owned(), |episode| episode.pool),
        ended,
        format!("{acknowledged} of {}", outbox.len()),
    ])
}
