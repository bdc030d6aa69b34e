//! `fingerpost token`: a short-lived token for trying things, in development mode only.

use clap::Args;

use super::{Failure, Options, open, out};
use crate::audit::{Action, Kind, Outcome};
use crate::config::Role;
use crate::fhir::ids::OdsCode;
use crate::gateway::Gateway;

/// Make a short-lived token for trying things (development mode only)
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fingerpost token --client wellness-db\n  \
                        fingerpost token --client me --role pool --ods FPE07 --pool bootle")]
pub struct Token {
    /// The client: one of the configuration's, or a new name with --role and --ods
    #[arg(long, value_name = "ID")]
    client: String,
    /// The role of a client that is not configured: referrer, consumer, pool, ig or ops
    #[arg(long, requires = "ods", value_parser = role)]
    role: Option<Role>,
    /// Its organisation
    #[arg(long, requires = "role", value_name = "CODE", value_parser = ods)]
    ods: Option<OdsCode>,
    /// A pool that it works for (role pool); may be given more than once
    #[arg(long, value_name = "POOL", requires = "role")]
    pool: Vec<String>,
}

fn role(text: &str) -> Result<Role, String> {
    serde_json::from_value(text.into()).map_err(|_| "must be referrer, consumer, pool, ig or ops".into())
}

fn ods(text: &str) -> Result<OdsCode, String> {
    OdsCode::parse(text).map_err(|_| "is not an ODS code".into())
}

impl Token {
    pub async fn run(self, options: &Options) -> Result<(), Failure> {
        let config = open::config(options)?;
        if !config.is_development() {
            return Err(Failure::usage("tokens are made by hand in development mode only (gateway.mode)"));
        }
        let gateway = open::open(config).await?;
        let made = self.make(&gateway).await;
        gateway.store.close().await;
        out::json(&made?);
        Ok(())
    }

    async fn make(self, gateway: &Gateway) -> Result<impl serde::Serialize + use<>, Failure> {
        if let Some(pool) = self.pool.iter().find(|pool| !gateway.place().knows_pool(pool)) {
            return Err(Failure::usage(format!("{} has no pool '{pool}'", gateway.place().name)));
        }
        let unconfigured = self.role.zip(self.ods).map(|(role, ods)| (role, ods, self.pool));
        let made = gateway.access.mint(&self.client, unconfigured, gateway.clock.now());
        let mut entry = open::entry(gateway, "token", Action::E);
        entry.kind = Kind::SignIn;
        entry.detail = format!("development token for client {}", self.client);
        if made.is_err() {
            entry.outcome = Outcome::MinorFailure;
        }
        open::record(gateway, entry).await?;
        made.map_err(|fault| Failure::usage(fault.to_string()))
    }
}
