//! The loop closed by MESH: an outcome leaves through NHS England's sandbox, the simulated GP system
//! answers with infrastructure and business acknowledgements, and the ledger closes - and what happens
//! when each acknowledgement is lost, late, said twice or negative, and when nobody collects.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/gp_mesh.rs"]
mod gp_mesh;
#[path = "support/lossy.rs"]
mod lossy;
#[path = "support/mesh.rs"]
mod mesh;
#[path = "support/pool.rs"]
mod pool;
#[path = "support/referrals.rs"]
mod referrals;

use std::sync::atomic::Ordering;
use std::time::Duration;

use fingerpost::clock::Clock;
use fingerpost::config::{Config, PracticeSystem as System};
use fingerpost::fhir::ids::OdsCode;
use fingerpost::nhs::mesh::Client;
use fingerpost::nhs::mesh::inbox::Inbox;
use fingerpost::store::filing::{Filing, FilingState};
use fingerpost::writeback::acknowledge::Stage::{Business, Infrastructure};
use fingerpost::writeback::acknowledge::Verdict::{Accepted, Refused, Transient};
use gp_mesh::GpSystem;
use jiff::SignedDuration;
use mesh::Sandbox;
use pool::{House, PRACTICE, Referred, Running, house};

const GATEWAY: &str = "X26ABC1";
const MAILBOX: &str = "X26ABC2";

/// A gateway whose practice is reached by MESH, with one referral whose two entries have left.
struct Loop {
    sandbox: Sandbox,
    house: House,
    gp: GpSystem,
    inbox: Inbox,
    to: Referred,
    _running: Running,
}

async fn begun(routes: &[&str], set: impl FnOnce(&mut Config, &Sandbox)) -> Option<Loop> {
    let sandbox = mesh::start(&[])?;
    let house = house(|config| {
        sandbox.configure(config, GATEWAY);
        let mut system = System::new(OdsCode::parse(PRACTICE).unwrap(), routes);
        MAILBOX.clone_into(&mut system.mailbox);
        config.writeback.practices.push(system);
        set(config, &sandbox);
    })
    .await;
    let gp = GpSystem::new(sandbox.client(MAILBOX), PRACTICE, GATEWAY);
    let inbox = Inbox::of(Client::open(&house.gateway.config).unwrap());
    let to = house.refer(1).await;
    house.moves(&to, "accepted").await.unwrap();
    house.moves(&to, "completed").await.unwrap();
    let running = house.runs();
    Some(Loop { sandbox, house, gp, inbox, to, _running: running })
}

impl Loop {
    /// The GP system collects until it has this many distinct messages.
    async fn collected(&mut self, messages: usize) {
        for _ in 0..200 {
            self.gp.collects().await;
            if self.gp.messages().len() >= messages {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{} messages came, not {messages}: {:?}", self.gp.messages().len(), self.filings().await);
    }

    async fn look(&mut self) {
        let looked = self.inbox.look(&self.house.gateway).await.unwrap();
        assert_eq!(looked.failed, 0);
    }

    async fn filings(&self) -> Vec<Filing> {
        self.house.gateway.store.filings_of(&self.to.referral).await.unwrap()
    }

    async fn states(&self) -> Vec<FilingState> {
        self.filings().await.iter().map(|filing| filing.state).collect()
    }

    async fn ledger(&self) -> &'static str {
        self.house.ledger(&self.to.referral).await.0
    }
}
