//! `fingerpost route`: why this pool, what other rules would have said, moving a referral by hand,
//! clocks that ran out.

use clap::{Args, Subcommand};

use super::{Failure, Options, open, out};
use crate::audit::Action;
use crate::referral::explain::{Clock, Explained, explain};
use crate::referral::moves::{self, Mover};
use crate::routing::Decision;

/// Why a referral went where it did, moving it by hand, and clocks that ran out
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fingerpost route explain 6f0c5b1e-3f0a-5b7e-9d0b-0c6f3b1f2a4d")]
pub struct Route {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Why this pool: every decision as it was made, with its inputs and reasons, and the clock
    #[command(after_help = "Example:\n  fingerpost route explain 6f0c5b1e-3f0a-5b7e-9d0b-0c6f3b1f2a4d --json")]
    Explain {
        /// The referral: its ServiceRequest id
        referral: String,
    },
    /// Move a referral to another pool or desk, with a reason that is kept
    #[command(
        after_help = "Example:\n  fingerpost route move 6f0c5b1e-3f0a-5b7e-9d0b-0c6f3b1f2a4d --to bootle --reason \"moved house\""
    )]
    Move {
        /// The referral: its ServiceRequest id
        referral: String,
        /// The pool or desk, by its id
        #[arg(long, value_name = "POOL")]
        to: String,
        /// Why, without patient data
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// What a proposed configuration would have done with the referrals that came: who would move
    /// and why, how busy each pool would be, how long people would wait, and whom that falls on
    #[command(
        long_about = "Asks the stored decisions again of a proposed configuration (--config: a gateway's file or a \
                      place's folder), in the order in which the referrals came, and shows who would move and why, \
                      how busy each pool would be, how long people would wait for a first contact, and whom that \
                      falls on. Nothing is stored or sent but the audit entry that records were read.",
        after_help = "Example:\n  fingerpost route rehearse --config new/gateway.toml --running \
                      /etc/fingerpost/gateway.toml --since 2026-01-01"
    )]
    Rehearse(super::rehearse::Rehearse),
    /// Clocks whose time for first contact has passed; with --all, every clock that runs
    #[command(after_help = "Example:\n  fingerpost route clocks --json")]
    Clocks {
        /// Also those that are in time
        #[arg(long)]
        all: bool,
    },
}

impl Route {
    pub async fn run(self, options: &Options) -> Result<(), Failure> {
        match self.what {
            What::Explain { referral } => show(options, bare(&referral)).await,
            What::Rehearse(rehearse) => rehearse.run(options).await,
            What::Move { referral, to, reason } => go(options, bare(&referral), &to, &reason).await,
            What::Clocks { all } => clocks(options, all).await,
        }
    }
}

/// The id alone. A referral's id is a UUID; anything else, such as an NHS number typed by mistake, is
/// nobody's and must not get as far as the audit log: it becomes empty.
fn bare(referral: &str) -> &str {
    let id = referral.strip_prefix("ServiceRequest/").unwrap_or(referral);
    uuid::Uuid::try_parse(id).map_or("", |_| id)
}

/// The referral for an audit entry, where one was named.
fn named(referral: &str) -> Option<String> {
    (!referral.is_empty()).then(|| format!("ServiceRequest/{referral}"))
}

async fn show(options: &Options, referral: &str) -> Result<(), Failure> {
    let gateway = open::gateway(options).await?;
    let explained = explain(&gateway, referral).await?;
    let mut entry = open::entry(&gateway, "route-explain", Action::R);
    entry.entities.extend(named(referral));
    if explained.is_none() {
        entry.outcome = crate::audit::Outcome::MinorFailure;
        entry.detail = "no such referral".into();
    }
    open::record(&gateway, entry).await?;
    let Some((explained, _)) = explained else {
        return Err(Failure::input("there is no referral of that id with a decision"));
    };
    if options.json {
        out::json(&explained);
    } else {
        out::say(whole(&explained));
    }
    gateway.store.close().await;
    Ok(())
}

async fn go(options: &Options, referral: &str, to: &str, reason: &str) -> Result<(), Failure> {
    let gateway = open::gateway(options).await?;
    let mover = Mover::operator(open::operator(&gateway));
    let moved = moves::reroute(&gateway, &mover, &moves::task_of(referral), to, reason).await;
    let moved = match moved {
        Ok(moved) => moved,
        Err(why) => {
            let mut entry = open::entry(&gateway, "re-route", Action::U);
            entry.outcome = crate::audit::Outcome::MinorFailure;
            entry.entities.extend(named(referral));
            entry.detail = format!("refused: {why}");
            open::record(&gateway, entry).await?;
            return Err(why.into());
        }
    };
    if options.json {
        out::json(&serde_json::json!({"referral": moved.referral, "from": moved.from, "decision": moved.decision}));
    } else {
        out::say(format!("moved from {} to {} ({})", moved.from, moved.decision.pool_name, moved.decision.pool));
    }
    gateway.store.close().await;
    Ok(())
}

async fn clocks(options: &Options, all: bool) -> Result<(), Failure> {
    let gateway = open::gateway(options).await?;
    let now = gateway.clock.now();
    let running = gateway.store.running_countdowns().await?;
    let clocks: Vec<Clock> = running.iter().map(|countdown| Clock::at(countdown, now)).collect();
    let shown: Vec<Clock> = clocks.into_iter().filter(|clock| all || clock.overdue).collect();
    let mut entry = open::entry(&gateway, "route-clocks", Action::R);
    entry.detail = format!("{} clocks", shown.len());
    open::record(&gateway, entry).await?;
    if options.json {
        out::json(&shown);
    } else if shown.is_empty() {
        out::say("no clock has run out");
    } else {
        let head = ["referral", "pool", "due by", "next", "at"].map(str::to_owned).to_vec();
        let row = |clock: &Clock| {
            let due = clock.due.clone().unwrap_or_default();
            vec![clock.referral.clone(), clock.pool.clone(), clock.target.clone(), clock.next.to_owned(), due]
        };
        out::say(out::table(&std::iter::once(head).chain(shown.iter().map(row)).collect::<Vec<_>>()));
    }
    gateway.store.close().await;
    Ok(())
}

fn whole(explained: &Explained) -> String {
    let mut text = explained.decision.as_ref().map(shown).unwrap_or_default();
    if let Some(clock) = &explained.clock {
        text.push_str(&match (&clock.stopped, &clock.due) {
            (Some(at), _) => format!("\n  clock: stopped at {at}, {}", clock.why),
            (None, Some(due)) => format!("\n  clock: contact by {}; next {} at {due}", clock.target, clock.next),
            (None, None) => format!("\n  clock: contact was due by {}", clock.target),
        });
    }
    for note in &explained.notes {
        text.push_str(&format!("\n  {note}"));
    }
    for earlier in &explained.earlier {
        text.push_str(&format!("\nbefore that, decided at {}:\n{}", earlier.decided_at, shown(&earlier.decision)));
    }
    text.trim_start_matches('\n').to_owned()
}

fn shown(decision: &Decision) -> String {
    let mut text = format!("{} ({})\n", decision.pool_name, decision.pool);
    for (number, reason) in decision.reasons.iter().enumerate() {
        text.push_str(&format!("  {}. {reason}\n", number + 1));
    }
    if let Some(worker) = &decision.worker {
        text.push_str(&format!("  link worker suggested: {worker}\n"));
    }
    for (pool, why) in &decision.passed_over {
        text.push_str(&format!("  not {pool}: {why}\n"));
    }
    if let Some(by) = &decision.by_hand {
        text.push_str(&format!("  decided by {}, from {}\n", by.client, by.from));
    }
    text.push_str(&format!("  decided for {} with place files {}", decision.input.on, decision.version));
    text
}
