//! `fingerpost serve`: the gateway.

use std::time::Duration;

use clap::Args;

use super::{Failure, Options, open};
use crate::api;
use crate::api::serve::ServeFault;
use crate::runners::Runners;

/// Run the gateway; SIGTERM drains it
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fingerpost serve --config gateway.toml")]
pub struct Serve {}

impl Serve {
    pub async fn run(self, options: &Options) -> Result<(), Failure> {
        let loaded = open::loaded(options)?;
        let faults = loaded.serving();
        if !faults.is_empty() {
            return Err(faults.into());
        }
        let signal = shutdown().map_err(|why| Failure::environment(format!("no signals: {why}")))?;
        let drain = Duration::from_secs(loaded.config.serve.drain_seconds);
        let gateway = open::open(loaded.config).await?;
        let runners = Runners::start(&gateway);
        let served = api::serve(gateway.clone(), signal).await;
        runners.stop(drain).await;
        gateway.store.close().await;
        served.map_err(|fault| match fault {
            ServeFault::Listen(..) => Failure::environment(fault.to_string()),
            other => Failure::usage(other.to_string()),
        })
    }
}

/// Ends when the process is asked to end, by SIGTERM or Ctrl-C. It is listening for both from the
/// moment that this returns.
fn shutdown() -> std::io::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("draining");
    })
}
