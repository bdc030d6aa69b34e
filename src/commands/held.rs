//! `fingerpost held`: what is held and why, and taking it down the path again after a fix.

use std::collections::{BTreeMap, BTreeSet};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Failure, Options, open, out};
use crate::audit::{Action, Entry};
use crate::gateway::Gateway;
use crate::intake::replay;
use crate::store::commit::{Cause, Hold};

/// What is held and why; replay it after a fix
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  fingerpost held list --json\n  fingerpost held replay --cause urgency-unmapped --dry-run"
)]
pub struct Held {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Everything that is held, grouped by cause
    #[command(after_help = "Example:\n  fingerpost held list --json")]
    List,
    /// One hold in full; the message's bytes only when asked for
    #[command(after_help = "Example:\n  fingerpost held show 6f0c5b1e-3f0a-5b7e-9d0b-0c6f3b1f2a4d --bytes")]
    Show {
        /// The hold's id
        id: Uuid,
        /// Print the message as it came instead, patient data and all
        #[arg(long)]
        bytes: bool,
    },
    /// Take holds down the path again
    #[command(after_help = "Example:\n  fingerpost held replay --cause urgency-unmapped --dry-run")]
    Replay {
        /// The holds' ids
        #[arg(required_unless_present = "cause", conflicts_with = "cause")]
        ids: Vec<Uuid>,
        /// All holds of this cause
        #[arg(long)]
        cause: Option<String>,
        /// Say what would come of it; change nothing
        #[arg(long)]
        dry_run: bool,
    },
}

impl Held {
    pub async fn run(self, options: &Options) -> Result<(), Failure> {
        if let What::Replay { cause: Some(cause), .. } = &self.what {
            known_cause(cause)?;
        }
        let gateway = open::gateway(options).await?;
        let done = match self.what {
            What::List => list(&gateway, options.json).await,
            What::Show { id, bytes } => show(&gateway, id, bytes, options.json).await,
            What::Replay { ids, cause, dry_run } => {
                let chosen = choose(gateway.store.holds().await?, &ids, cause.as_deref())?;
                replay_all(&gateway, chosen, dry_run, options.json).await
            }
        };
        gateway.store.close().await;
        done
    }
}

fn known_cause(word: &str) -> Result<Cause, Failure> {
    Cause::parse(word).ok_or_else(|| {
        let words: Vec<_> = Cause::ALL.iter().map(|(_, word)| *word).collect();
        Failure::usage(format!("'{word}' is not a cause; causes are {}", words.join(", ")))
    })
}

async fn list(gateway: &Gateway, as_json: bool) -> Result<(), Failure> {
    let holds = gateway.store.holds().await?;
    let mut entry = open::entry(gateway, "held-list", Action::R);
    entry.detail = format!("{} holds", holds.len());
    open::record(gateway, entry).await?;
    if as_json {
        out::json(&holds.iter().map(row).collect::<Vec<_>>());
    } else {
        out::say(by_cause(&holds));
    }
    Ok(())
}

/// One hold as the contract has it.
fn row(hold: &Hold) -> Value {
    json!({
        "id": hold.id,
        "cause": hold.cause,
        "channel": hold.channel,
        "received_at": hold.received_at,
        "source": hold.source,
        "practice": hold.practice,
        "detail": hold.detail,
        "count": hold.count,
    })
}

fn by_cause(holds: &[Hold]) -> String {
    if holds.is_empty() {
        return "Nothing is held.".to_owned();
    }
    let mut groups: BTreeMap<Cause, Vec<&Hold>> = BTreeMap::new();
    for hold in holds {
        groups.entry(hold.cause).or_default().push(hold);
    }
    let mut text = String::new();
    for (cause, holds) in groups {
        text.push_str(&format!("{} ({})\n", cause.word(), holds.iter().map(|hold| hold.count).sum::<u64>()));
        let rows = holds.iter().map(|hold| {
            let practice = hold.practice.as_ref().map_or("-", |code| code.as_str());
            let since = hold.received_at.strftime("%Y-%m-%d %H:%M").to_string();
            vec![format!("  {}", hold.id), practice.to_owned(), since, hold.source.clone(), hold.detail.clone()]
        });
        text.push_str(&format!("{}\n\n", out::table(&rows.collect::<Vec<_>>())));
    }
    text.trim_end().to_owned()
}

async fn show(gateway: &Gateway, id: Uuid, bytes: bool, as_json: bool) -> Result<(), Failure> {
    let hold = gateway.store.holds().await?.into_iter().find(|hold| hold.id == id);
    let mut entry = open::entry(gateway, if bytes { "held-bytes" } else { "held-show" }, Action::R);
    entry.detail = hold.as_ref().map_or("no such hold".into(), |hold| format!("hold {id}, {}", hold.cause.word()));
    note_referral(&mut entry, hold.as_ref());
    open::record(gateway, entry).await?;
    let hold = hold.ok_or_else(|| Failure::input("there is no such hold; it may be over"))?;
    if bytes {
        out::write(&kept_bytes(gateway, &hold).await?);
        return Ok(());
    }
    let mut full = row(&hold);
    full["referral"] = json!(hold.referral);
    full["replay"] = json!(hold.replay);
    if as_json {
        out::json(&full);
        return Ok(());
    }
    let rows = full.as_object().into_iter().flatten().map(|(name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        vec![name.clone(), value]
    });
    out::say(out::table(&rows.collect::<Vec<_>>()));
    Ok(())
}

async fn kept_bytes(gateway: &Gateway, hold: &Hold) -> Result<bytes::Bytes, Failure> {
    let none = || Failure::input("its rows are kept in staging, not as one message");
    let id = hold.replay.parse().map_err(|_| none())?;
    let message = gateway.store.message(id).await?;
    Ok(message.ok_or_else(none)?.bytes)
}

fn note_referral(entry: &mut Entry, hold: Option<&Hold>) {
    let referral = hold.and_then(|hold| hold.referral.as_ref());
    entry.entities.extend(referral.map(|id| format!("ServiceRequest/{id}")));
}

/// The holds to replay: one of those that start from the same message is enough.
fn choose(holds: Vec<Hold>, ids: &[Uuid], cause: Option<&str>) -> Result<Vec<Hold>, Failure> {
    let cause = cause.map(known_cause).transpose()?;
    let unknown: Vec<String> =
        ids.iter().filter(|id| !holds.iter().any(|hold| hold.id == **id)).map(ToString::to_string).collect();
    if !unknown.is_empty() {
        return Err(Failure::input(format!("there is no such hold: {}", unknown.join(", "))));
    }
    let mut seen = BTreeSet::new();
    let mut chosen: Vec<Hold> =
        holds.into_iter().filter(|hold| ids.contains(&hold.id) || cause == Some(hold.cause)).collect();
    chosen.retain(|hold| hold.replay.is_empty() || seen.insert((hold.channel.clone(), hold.replay.clone())));
    Ok(chosen)
}

async fn replay_all(gateway: &Gateway, holds: Vec<Hold>, dry_run: bool, as_json: bool) -> Result<(), Failure> {
    let mut rows = Vec::new();
    let mut fault = None;
    for hold in &holds {
        let mut entry = open::entry(gateway, "held-replay", if dry_run { Action::R } else { Action::E });
        entry.detail = format!("hold {}, {}{}", hold.id, hold.cause.word(), if dry_run { ", dry run" } else { "" });
        note_referral(&mut entry, Some(hold));
        open::record(gateway, entry).await?;
        let came = if dry_run { replay::rehearse(gateway, hold).await } else { replay::replay(gateway, hold).await };
        let came = came.unwrap_or_else(|rejection| {
            let text = format!("refused: {rejection}");
            fault.get_or_insert(Failure::from(rejection));
            text
        });
        rows.push((hold, came));
    }
    if as_json {
        let rows = rows.iter().map(
            |(hold, came)| json!({"id": hold.id, "cause": hold.cause, "referral": hold.referral, "outcome": came}),
        );
        out::json(&json!({"dry_run": dry_run, "replayed": rows.collect::<Vec<_>>()}));
    } else if rows.is_empty() {
        out::say("Nothing to replay.");
    } else {
        let rows: Vec<_> =
            rows.iter().map(|(hold, came)| vec![hold.id.to_string(), hold.cause.word().into(), came.clone()]).collect();
        out::say(out::table(&rows));
    }
    fault.map_or(Ok(()), Err)
}
