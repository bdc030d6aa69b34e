//! What most commands begin with: the configuration, the gateway, and the operator's audit entry.

use super::{Failure, Options};
use crate::audit::{Action, Agent, Entry, Kind};
use crate::clock::Clock;
use crate::config::{Config, Loaded};
use crate::gateway::Gateway;
use crate::opening::store_path;
use crate::store::commit::Commit;

/// The process's environment. Variables that are not Unicode cannot be the gateway's.
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The configuration, with where each setting was made.
pub fn loaded(options: &Options) -> Result<Loaded, Failure> {
    Ok(Config::load_with_places(options.config.as_deref(), &environment())?)
}

/// The configuration.
pub fn config(options: &Options) -> Result<Config, Failure> {
    Ok(loaded(options)?.config)
}

/// The gateway. Development mode makes the embedded store where there is none; production waits
/// for `fingerpost migrate`.
pub async fn gateway(options: &Options) -> Result<Gateway, Failure> {
    open(config(options)?).await
}

/// As [`gateway`], for a configuration that is at hand.
pub async fn open(config: Config) -> Result<Gateway, Failure> {
    crate::telemetry::start(&config.log);
    match store_path(&config) {
        Some(_) if config.is_development() => Ok(Gateway::open_or_create(config, Clock::System).await?),
        Some(path) if !path.exists() => Err(Failure::environment(format!(
            "there is no store at {}; `fingerpost migrate` makes one",
            path.display()
        ))),
        _ => Ok(Gateway::open(config).await?),
    }
}

/// The person at the machine, for the audit log.
pub fn operator(gateway: &Gateway) -> Agent {
    Agent { user: std::env::var("USER").unwrap_or_default(), ..Agent::operator(&gateway.config.gateway.ods) }
}

/// What a person did at the machine, as an audit entry to be filled in.
pub fn entry(gateway: &Gateway, interaction: &str, action: Action) -> Entry {
    Entry::operations(Kind::Operation, interaction, action, operator(gateway), gateway.clock.now())
}

/// Makes an entry durable. Called before anything is shown: no audit, no answer.
pub async fn record(gateway: &Gateway, entry: Entry) -> Result<(), Failure> {
    gateway.store.commit(Commit { audit: vec![entry], ..Commit::default() }).await?;
    Ok(())
}
