//! One write-back stopped at each write, send, look and acknowledgement, failed-and-not-done and
//! failed-but-done, on each store, with a practice that suppresses duplicates and one that does
//! not: the same end state, and one entry in the record.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/pool.rs"]
mod pool;
#[path = "support/postgres.rs"]
mod postgres;
#[path = "support/referrals.rs"]
mod referrals;

use std::cell::Cell;

use fingerpost::clock::Clock;
use fingerpost::demo::practice::PracticeSystem;
use fingerpost::store::commit::Commit;
use fingerpost::store::fault::Point;
use fingerpost::store::filing::FilingState;
use fingerpost::writeback::acknowledge::{Acknowledgement, Stage, Verdict};
use fingerpost::writeback::acknowledged;
use jiff::SignedDuration;
use pool::{House, house, until, writes_back};

/// The gateway's clock moves by this between two looks and stands still beside it: what is to be tried
/// again comes due, and no lease runs out because the machine is slow.
const STEP: SignedDuration = SignedDuration::from_millis(200);
const LEASE: SignedDuration = SignedDuration::from_hours(12);

/// Where it is stopped.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Store(Point, u32),
    Send {
        refused: u32,
        lost: u32,
    },
    Look {
        refused: u32,
        lost: u32,
    },
    /// The process dies while the practice has it and has not answered.
    DiesInSend,
    /// The process dies while it reads back.
    DiesInLook,
}

const FAULTS: [Fault; 12] = [
    Fault::Store(Point::Begin, 1),
    Fault::Store(Point::Begin, 2),
    Fault::Store(Point::Commit, 1),
    Fault::Store(Point::Commit, 2),
    Fault::Store(Point::Answer, 1),
    Fault::Store(Point::Answer, 2),
    Fault::Send { refused: 1, lost: 0 },
    Fault::Send { refused: 1, lost: 2 },
    Fault::Look { refused: 2, lost: 0 },
    Fault::Look { refused: 0, lost: 2 },
    Fault::DiesInSend,
    Fault::DiesInLook,
];

async fn sweep(url: Option<String>, forgetful: bool) {
    let system = PracticeSystem::start().await.unwrap();
    system.habits().forgetful = forgetful;
    let mut house = house(|config| {
        writes_back(config, &system);
        config.delivery.lease_seconds = u32::try_from(LEASE.as_secs()).unwrap();
        config.store.url = url.unwrap_or_else(|| config.store.url.clone());
    })
    .await;
    house.gateway.clock = Clock::fixed(Clock::System.now());
    for (n, fault) in (1..).zip(FAULTS) {
        let to = house.refer(n).await;
        house.moves(&to, "rejected").await.unwrap();
        stopped(&house, &system, fault).await;
        let _running = house.runs();
        let answers = || house.gateway.store.faults().left(Point::Answer);
        let before = Cell::new(answers());
        until(&format!("{fault:?} ends"), async || {
            // A claim that was done and not answered is nobody's until its lease runs out.
            let left = answers();
            let lost = left < before.replace(left);
            house.gateway.clock.advance(if lost { LEASE + STEP } else { STEP });
            house.ledger(&to.referral).await.0 == "returned"
        })
        .await;
        // Where there was less to write than faults asked for, the next case must not meet them.
        for point in [Point::Begin, Point::Commit, Point::Answer] {
            house.gateway.store.faults().fail(point, 0);
        }
        let filings = house.gateway.store.filings_of(&to.referral).await.unwrap();
        assert!(filings.iter().all(|one| one.state == FilingState::Filed), "{fault:?}: {filings:?}");
        assert_eq!(system.codes().len(), n as usize, "{fault:?}, forgetful {forgetful}: one entry each");
    }
}

/// Runs into the fault, and dies where that is the fault.
async fn stopped(house: &House, system: &PracticeSystem, fault: Fault) {
    let hang = Some(pool::UNTIL_MAX * 2);
    match fault {
        Fault::Store(point, times) => house.gateway.store.faults().fail(point, times),
        Fault::Send { refused, lost } => {
            let mut faults = system.steering.faults();
            (faults.refuse, faults.status, faults.lose_answer) = (refused, 503, lost);
        }
        Fault::Look { refused, lost } => {
            let mut faults = system.searches.faults();
            (faults.refuse, faults.status, faults.lose_answer) = (refused, 503, lost);
        }
        Fault::DiesInSend => system.steering.faults().hang_after = hang,
        Fault::DiesInLook => system.searches.faults().hang_after = hang,
    }
    let hangs = match fault {
        Fault::DiesInSend => &system.steering,
        Fault::DiesInLook => &system.searches,
        _ => return,
    };
    let before = system.record().entries.len();
    let running = house.runs();
    until("it has no answer", async || hangs.faults().hang_after.is_none()).await;
    drop(running);
    assert_eq!(system.record().entries.len(), before + 1, "the practice has it");
    house.gateway.clock.advance(LEASE + STEP);
}

/// Every acknowledgement of one message, with the store failing at each point of each.
async fn acknowledgements(url: Option<String>) {
    let house = house(|config| config.store.url = url.unwrap_or_else(|| config.store.url.clone())).await;
    for (n, point) in (1..).zip([Point::Begin, Point::Commit, Point::Answer]) {
        let to = house.refer(n).await;
        house.moves(&to, "rejected").await.unwrap();
        let mut filing = house.gateway.store.filings_of(&to.referral).await.unwrap().remove(0);
        filing.version += 1;
        (filing.state, filing.route) = (FilingState::Sent, "update-record".into());
        filing.messages = vec![("update-record".into(), format!("m-{n}"))];
        house.gateway.store.commit(Commit { filings: vec![filing], ..Commit::default() }).await.unwrap();
        for (stage, state) in [(Stage::Infrastructure, FilingState::Received), (Stage::Business, FilingState::Filed)] {
            let ack = Acknowledgement {
                message: format!("m-{n}"),
                stage,
                verdict: Verdict::Accepted,
                codes: Vec::new(),
                id: format!("{n} {stage:?}"),
                at: Clock::System.now(),
            };
            house.gateway.store.faults().fail(point, 1);
            acknowledged(&house.gateway, ack.clone(), Commit::default()).await.unwrap_err();
            acknowledged(&house.gateway, ack, Commit::default()).await.unwrap();
            let now = house.gateway.store.filings_of(&to.referral).await.unwrap().remove(0);
            assert_eq!(now.state, state, "{point:?}");
        }
        let now = house.gateway.store.filings_of(&to.referral).await.unwrap().remove(0);
        assert_eq!(now.acknowledgements.len(), 2, "each is taken once");
        assert_eq!(house.ledger(&to.referral).await.0, "returned");
    }
}

#[tokio::test]
async fn each_stop_ends_in_one_entry_on_sqlite() {
    sweep(None, false).await;
    sweep(None, true).await;
    acknowledgements(None).await;
}

#[tokio::test]
async fn each_stop_ends_in_one_entry_on_postgresql() {
    let Some(server) = postgres::start() else { return };
    sweep(Some(server.database("suppresses")), false).await;
    sweep(Some(server.database("forgets")), true).await;
    acknowledgements(Some(server.database("words"))).await;
}
