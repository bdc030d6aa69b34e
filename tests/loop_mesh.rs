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
use lossy::Lossy;
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
        let begun = std::time::Instant::now();
        while begun.elapsed() < pool::UNTIL_MAX {
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

#[tokio::test]
async fn the_loop_closes_by_infrastructure_and_business_acknowledgements() {
    let Some(mut all) = begun(&["update-record"], |_, _| {}).await else { return };
    all.collected(2).await;
    assert_eq!(all.states().await, [FilingState::Sent, FilingState::Sent]);
    assert_eq!(all.ledger().await, "open");
    let messages = all.gp.messages();
    for one in &messages {
        all.gp.says(one, Infrastructure, Accepted, &[]).await;
    }
    all.look().await;
    assert_eq!(all.states().await, [FilingState::Received, FilingState::Received]);
    all.gp.says(&messages[0], Business, Accepted, &[]).await;
    all.look().await;
    assert_eq!(all.ledger().await, "open", "one of two is in the record");
    all.gp.says(&messages[1], Business, Accepted, &[]).await;
    all.look().await;
    assert_eq!(all.states().await, [FilingState::Filed, FilingState::Filed]);
    assert_eq!(all.ledger().await, "closed");
    let filed: Vec<&str> = all.gp.record.iter().map(|(_, code)| code.as_str()).collect();
    assert_eq!(filed, ["871731000000106", "episode-closed"]);
    assert!(all.house.gateway.store.holds().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_lost_or_late_infrastructure_acknowledgement_delays_nothing() {
    let Some(mut all) = begun(&["update-record"], |_, _| {}).await else { return };
    all.collected(2).await;
    let messages = all.gp.messages();
    for one in &messages {
        all.gp.says(one, Business, Accepted, &[]).await;
    }
    all.look().await;
    assert_eq!(all.ledger().await, "closed");
    all.gp.says(&messages[0], Infrastructure, Accepted, &[]).await;
    all.look().await;
    assert_eq!(all.states().await, [FilingState::Filed, FilingState::Filed], "a late one takes nothing back");
}

#[tokio::test]
async fn acknowledgements_said_twice_count_once() {
    let Some(mut all) = begun(&["update-record"], |_, _| {}).await else { return };
    all.collected(2).await;
    for _ in 0..2 {
        all.gp.accepts_all().await;
    }
    all.look().await;
    let once = all.filings().await;
    assert_eq!(all.ledger().await, "closed");
    all.gp.accepts_all().await;
    all.look().await;
    assert_eq!(all.filings().await, once);
    assert_eq!(all.gp.record.len(), 2);
}

#[tokio::test]
async fn a_missing_acknowledgement_is_told_and_a_late_one_still_closes() {
    let Some(mut all) = begun(&["update-record"], |_, _| {}).await else { return };
    all.collected(2).await;
    for one in all.gp.messages() {
        all.gp.says(&one, Infrastructure, Accepted, &[]).await;
    }
    all.look().await;
    // The same store with a clock that has moved on past every deadline.
    let later = all.house.gateway.clock.now() + SignedDuration::from_hours(24 * 30);
    all.house.gateway.clock = Clock::fixed(later);
    let _sweeping = all.house.runs();
    pool::until("somebody is told", async || all.filings().await.iter().all(|filing| filing.overdue)).await;
    assert_eq!(all.ledger().await, "open");
    for one in all.gp.messages() {
        all.gp.says(&one, Business, Accepted, &[]).await;
    }
    all.look().await;
    assert_eq!(all.ledger().await, "closed");
}

#[tokio::test]
async fn a_refused_message_goes_by_the_next_route_and_is_filed_once() {
    let Some(mut all) = begun(&["update-record", "send-document"], |_, _| {}).await else { return };
    all.collected(2).await;
    let first = all.gp.messages();
    all.gp.says(&first[0], Infrastructure, Refused, &["20010"]).await;
    all.gp.says(&first[1], Infrastructure, Accepted, &[]).await;
    all.gp.says(&first[1], Business, Accepted, &[]).await;
    all.look().await;
    all.collected(3).await;
    let document = all.gp.messages()[2].clone();
    assert_eq!(document.workflow, "GPCONNECT_SEND_DOCUMENT");
    assert_eq!(document.key, first[0].key, "the same outcome under the same key");
    all.gp.says(&document, Infrastructure, Accepted, &[]).await;
    all.gp.says(&document, Business, Accepted, &[]).await;
    all.look().await;
    assert_eq!(all.states().await, [FilingState::FiledWithoutCode, FilingState::Filed]);
    assert_eq!(all.ledger().await, "closed");
}

#[tokio::test]
async fn a_person_who_is_not_there_needs_a_person() {
    let Some(mut all) = begun(&["update-record", "send-document"], |_, _| {}).await else { return };
    all.collected(2).await;
    for one in all.gp.messages() {
        all.gp.says(&one, Infrastructure, Accepted, &[]).await;
        all.gp.says(&one, Business, Refused, &["30003"]).await;
    }
    all.look().await;
    assert_eq!(all.states().await, [FilingState::NeedsPerson, FilingState::NeedsPerson]);
    assert_eq!(all.ledger().await, "open");
    tokio::time::sleep(Duration::from_millis(500)).await;
    all.gp.collects().await;
    assert_eq!(all.gp.messages().len(), 2, "no other route is tried: the person moved");
}

#[tokio::test]
async fn not_now_is_sent_again_as_the_same_message() {
    let Some(mut all) = begun(&["update-record"], |_, _| {}).await else { return };
    all.collected(2).await;
    let first = all.gp.messages()[0].clone();
    all.gp.says(&first, Infrastructure, Transient, &[]).await;
    all.look().await;
    let begun = std::time::Instant::now();
    while begun.elapsed() < pool::UNTIL_MAX {
        all.gp.collects().await;
        if all.gp.collected.len() > 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((all.gp.collected.len(), all.gp.messages().len()), (3, 2));
    all.gp.accepts_all().await;
    all.look().await;
    assert_eq!((all.ledger().await, all.gp.record.len()), ("closed", 2));
}

#[tokio::test]
async fn an_uncollected_message_comes_back_after_five_days_and_is_seen() {
    let Some(mut all) = begun(&["update-record"], |_, _| {}).await else { return };
    let sent = async || all.filings().await.iter().all(|filing| filing.state == FilingState::Sent);
    pool::until("both are sent", sent).await;
    let client = all.sandbox.client(MAILBOX);
    let waiting = client.inbox(None, Clock::System.now()).await.unwrap().messages;
    for id in &waiting {
        all.sandbox.report(GATEWAY, "14", id).await;
    }
    all.look().await;
    assert_eq!(all.states().await, [FilingState::Rejected, FilingState::Rejected]);
    let why = all.filings().await[0].why.clone();
    assert!(why.contains("14"), "{why}");
    assert_eq!(all.ledger().await, "open");
}

/// Both sends' answers are lost; `silent`: and MESH does not say what was sent.
async fn begun_with_lost_answers(silent: bool) -> Option<Loop> {
    begun(&["update-record"], |config, sandbox| {
        let lossy = Lossy::to(&sandbox.url);
        lossy.lose.store(2, Ordering::SeqCst);
        lossy.silent.store(silent, Ordering::SeqCst);
        config.mesh.url = lossy.url.clone();
    })
    .await
}

impl Loop {
    /// Until both rows are done with, so that nothing is sent any more.
    async fn settled(&self) {
        let store = &self.house.gateway.store;
        pool::until("both are known to be sent", async || {
            let rows = store.outbox_of(&self.to.referral, "writeback:").await.unwrap();
            rows.len() == 2 && rows.iter().all(|(_, _, state)| state == "done")
        })
        .await;
    }
}

#[tokio::test]
async fn a_send_whose_answer_is_lost_is_found_and_not_sent_again() {
    let Some(mut all) = begun_with_lost_answers(false).await else { return };
    all.settled().await;
    all.collected(2).await;
    assert_eq!(all.gp.collected.len(), 2);
    all.gp.accepts_all().await;
    all.look().await;
    assert_eq!((all.ledger().await, all.gp.record.len()), ("closed", 2));
}

#[tokio::test]
async fn a_send_that_cannot_be_traced_is_sent_again_as_the_same_message() {
    let Some(mut all) = begun_with_lost_answers(true).await else { return };
    all.settled().await;
    all.collected(2).await;
    assert_eq!((all.gp.collected.len(), all.gp.messages().len()), (4, 2), "the receiver knows them by their id");
    all.gp.accepts_all().await;
    all.look().await;
    assert_eq!((all.ledger().await, all.gp.record.len()), ("closed", 2));
}

#[tokio::test]
async fn a_report_on_a_message_whose_id_was_lost_is_known_by_its_local_id() {
    let Some(mut all) = begun_with_lost_answers(true).await else { return };
    all.settled().await;
    let key = all.filings().await[0].id;
    all.sandbox.report_on(GATEWAY, "14", "20200529155357895317_3573F8", &format!("FPG01_{key}")).await;
    all.look().await;
    assert_eq!(all.states().await, [FilingState::Rejected, FilingState::Sent]);
}
