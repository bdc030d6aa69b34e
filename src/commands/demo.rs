//! `fingerpost demo`: the main job with no set-up.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, Options, ledger, out};
use crate::audit::Verifier;
use crate::audit::verify::{self, verify_store};
use crate::config::Role;
use crate::demo::stage::{self, Stage};
use crate::demo::{DemoFault, journey, play};

/// Show a referral's whole life with simulated practices, link workers and a wellness database
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fingerpost demo --exit")]
pub struct Demo {
    /// Where to keep the store; left out: a temporary folder, taken away at the end
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The address to listen on; left out: a free loopback port
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// End when it has been played; exit status 0 when every loop is closed
    #[arg(long)]
    exit: bool,
}

impl Demo {
    pub async fn run(self, options: &Options) -> Result<(), Failure> {
        let quiet = options.json;
        let say = move |line: &str| {
            if !quiet {
                out::say(line);
            }
        };
        let set = stage::Options { data: self.data, listen: self.listen };
        let stage = Stage::set(set).await.map_err(|fault| Failure::environment(fault.to_string()))?;
        say("DEVELOPMENT MODE: everything here is synthetic");
        let played = show(&stage, options, &say).await;
        if played.is_ok() && !self.exit {
            stay(&stage, &say).await?;
        }
        stage.strike().await;
        played
    }
}

async fn show(stage: &Stage, options: &Options, say: play::Say<'_>) -> Result<(), Failure> {
    let broken = |fault: DemoFault| Failure::input(fault.to_string());
    let closed = play::play(stage, say).await.map_err(broken)?;
    let journeys = journey::table(stage).await.map_err(broken)?;
    say("4. Each referral's journey");
    say(&out::table(&journeys));
    let books = ledger::settled(&stage.gateway, None, None).await?;
    if options.json {
        out::json(&books);
    } else {
        let mut totals = books.clone();
        totals.referrals = None;
        out::say(ledger::shown(&totals));
    }
    let verifier = public_key(stage)?;
    let report = verify_store(&stage.gateway.store, verify::Options::new(&verifier)).await;
    say(&report.to_string());
    match (closed && books.reconciles, report.passed) {
        (true, true) => Ok(()),
        (_, false) => Err(Failure::input("the audit log does not verify")),
        (false, _) => Err(Failure::input("not every loop is closed")),
    }
}

fn public_key(stage: &Stage) -> Result<Verifier, Failure> {
    let path = crate::opening::public_key_path(&stage.gateway.config)
        .ok_or_else(|| Failure::environment("the log's public key is not kept"))?;
    let text = std::fs::read_to_string(&path).map_err(|why| Failure::environment(why.to_string()))?;
    Verifier::from_vkey(text.trim()).map_err(|why| Failure::environment(why.to_string()))
}

/// Stays up for a look around, until Ctrl-C.
async fn stay(stage: &Stage, say: play::Say<'_>) -> Result<(), Failure> {
    let token = stage
        .token("demo-visitor", Role::Consumer, "FPE01", &[])
        .map_err(|fault| Failure::environment(fault.to_string()))?;
    say("\nStill here, until Ctrl-C. A token for an hour, and something to try:");
    say(&format!("  TOKEN={token}"));
    say(&format!("  curl -H \"Authorization: Bearer $TOKEN\" '{}/fhir/ServiceRequest'", stage.base_url));
    say(&format!("  curl -H \"Authorization: Bearer $TOKEN\" '{}/fhir/Observation?code=718466001'", stage.base_url));
    tokio::signal::ctrl_c().await.map_err(|why| Failure::environment(why.to_string()))
}
