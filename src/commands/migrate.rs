//! `fingerpost migrate`: the store's schema, created or upgraded.

use clap::Args;
use serde_json::json;

use super::{Failure, Options, open, out};
use crate::gateway::Gateway;
use crate::store::Store;

/// Create or upgrade the store's schema, and say what was done
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fingerpost migrate --config gateway.toml")]
pub struct Migrate {}

impl Migrate {
    pub async fn run(self, options: &Options) -> Result<(), Failure> {
        let config = open::config(options)?;
        let steps = Store::migrate(&config.store).await?;
        if !steps.is_empty() {
            let gateway = Gateway::open(config).await?;
            let mut entry = open::entry(&gateway, "migrate", crate::audit::Action::E);
            entry.detail = steps.join("; ");
            open::record(&gateway, entry).await?;
            gateway.store.close().await;
        }
        if options.json {
            out::json(&json!({"steps": steps}));
        } else if steps.is_empty() {
            out::say("nothing to do: the schema is this version's");
        } else {
            steps.iter().for_each(out::say);
        }
        Ok(())
    }
}
