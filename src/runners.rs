//! The background loops of a serving gateway: delivery, write-back, the MESH inbox, clocks,
//! the watched folder. Each is bounded by its own queue's limits and ends, with its work under way done, when it
//! is told to stop.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::gateway::Gateway;
use crate::referral::clocks;
use crate::{access, delivery, directory, intake, nhs, writeback};

/// The running loops.
#[derive(Debug)]
pub struct Runners {
    stop: watch::Sender<bool>,
    running: JoinSet<()>,
}

impl Runners {
    /// Starts them all.
    pub fn start(gateway: &Gateway) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut running = JoinSet::new();
        running.spawn(delivery::run(gateway.clone(), until(stopped.clone())));
        running.spawn(writeback::run(gateway.clone(), until(stopped.clone())));
        if !gateway.config.mesh.url.is_empty() {
            running.spawn(nhs::mesh::inbox::run(gateway.clone(), stopped.clone()));
        }
        running.spawn(shown(gateway.clone(), stopped.clone()));
        running.spawn(clocks::run(gateway.clone(), stopped.clone()));
        running.spawn(access::strangers::run(gateway.clone(), stopped.clone()));
        running.spawn(intake::folder::watch(gateway.clone(), stopped));
        Self { stop, running }
    }

    /// Tells them to stop and waits for the work under way, at most `limit`. What is not sent then
    /// is sent after the next start: its rows stay.
    pub async fn stop(mut self, limit: Duration) {
        self.stop.send_replace(true);
        let all = async { while self.running.join_next().await.is_some() {} };
        if tokio::time::timeout(limit, all).await.is_err() {
            tracing::warn!("some sends were not finished; their rows stay in the outbox");
        }
    }
}

/// Writes the place's pools and link workers to the store, then takes over what others are told of them.
async fn shown(gateway: Gateway, stopped: watch::Receiver<bool>) {
    if let Err(fault) = directory::publish(&gateway).await {
        tracing::error!(error = %fault, "the place's pools and link workers could not be shown as FHIR");
    }
    directory::watch(gateway, stopped).await;
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // An error means that nobody can say stop any more: the same as stop.
    drop(stopped.wait_for(|stop| *stop).await);
}
