//! `fingerpost route`: why this pool, and what other rules would have said.

use clap::{Args, Subcommand};

use super::{Failure, Options, open, out};
use crate::audit::Action;
use crate::fhir::ids::stable_id;
use crate::fhir::provenance;
use crate::routing::Decision;

/// Why a referral went where it did
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fingerpost route explain 6f0c5b1e-3f0a-5b7e-9d0b-0c6f3b1f2a4d")]
pub struct Route {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Why this pool: the decision as it was made, with its inputs and reasons
    #[command(after_help = "Example:\n  fingerpost route explain 6f0c5b1e-3f0a-5b7e-9d0b-0c6f3b1f2a4d --json")]
    Explain {
        /// The referral: its ServiceRequest id
        referral: String,
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
}

impl Route {
    pub async fn run(self, options: &Options) -> Result<(), Failure> {
        let referral = match self.what {
            What::Explain { referral } => referral,
            What::Rehearse(rehearse) => return rehearse.run(options).await,
        };
        let referral = referral.strip_prefix("ServiceRequest/").unwrap_or(&referral).to_owned();
        let gateway = open::gateway(options).await?;
        let id = stable_id(&["Provenance", &referral]).to_string();
        let stored = gateway.store.read("Provenance", &id).await?;
        let mut entry = open::entry(&gateway, "route-explain", Action::R);
        entry.entities.push(format!("ServiceRequest/{referral}"));
        if stored.is_none() {
            entry.outcome = crate::audit::Outcome::MinorFailure;
            entry.detail = "no such referral".into();
        }
        open::record(&gateway, entry).await?;
        let Some(stored) = stored else {
            return Err(Failure::input("there is no referral of that id with a decision"));
        };
        let body: serde_json::Value = serde_json::from_slice(&stored.body).unwrap_or_default();
        let text = provenance::route(&body).ok_or_else(|| Failure::input("its Provenance holds no decision"))?;
        let decision: Decision = serde_json::from_str(text)
            .map_err(|_| Failure::input("its decision was made with an open episode's pool"))?;
        if options.json {
            out::json(&decision);
        } else {
            out::say(shown(&decision));
        }
        gateway.store.close().await;
        Ok(())
    }
}

fn shown(decision: &Decision) -> String {
    let mut text = format!("{} ({})\n", decision.pool_name, decision.pool);
    for (number, reason) in decision.reasons.iter().enumerate() {
        text.push_str(&format!("  {}. {reason}\n", number + 1));
    }
    for (pool, why) in &decision.passed_over {
        text.push_str(&format!("  not {pool}: {why}\n"));
    }
    text.push_str(&format!("  decided for {} with place files {}", decision.input.on, decision.version));
    text
}
