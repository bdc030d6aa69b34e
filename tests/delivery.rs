//! Deliveries to receivers that are slow, failing, lossy, gone or hostile.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/pool.rs"]
mod pool;
#[path = "support/referrals.rs"]
mod referrals;

use std::time::{Duration, Instant};

use aws_lc_rs::digest::{Context, SHA256};
use base64::prelude::{BASE64_STANDARD, Engine};
use fingerpost::clock::Clock;
use fingerpost::store::EntrySearch;
use jiff::SignedDuration;
use pool::{House, house, receiver, until, wellness};

/// HMAC-SHA256 as RFC 2104 spells it, from the hash alone.
fn hmac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let hash = |pad: u8, parts: &[&[u8]]| {
        let mut block = [pad; 64];
        block.iter_mut().zip(key).for_each(|(b, k)| *b ^= k);
        let mut context = Context::new(&SHA256);
        context.update(&block);
        parts.iter().for_each(|part| context.update(part));
        context.finish().as_ref().to_vec()
    };
    hash(0x5c, &[&hash(0x36, parts)])
}

/// `(rows waiting, rows given up)` of a queue.
async fn queue(house: &House, name: &str) -> (u64, u64) {
    let queues = house.gateway.store.queues().await.unwrap();
    queues.into_iter().find(|(queue, ..)| queue == name).map_or((0, 0), |(_, waiting, given_up)| (waiting, given_up))
}

async fn deliveries_audited(house: &House) -> usize {
    let find = EntrySearch { interaction: Some("deliver".into()), count: 1000, ..EntrySearch::default() };
    house.gateway.store.find_entries(find).await.unwrap().len()
}

#[tokio::test]
async fn a_referral_arrives_signed_with_the_stored_bytes_and_is_audited() {
    let database = wellness().await;
    let house = house(|config| config.delivery.receivers.push(receiver("wellness", &database.hook_url))).await;
    let _running = house.runs();
    let to = house.refer(1).await;
    until("the referral is delivered", async || !database.inbox().taken.is_empty()).await;
    let delivery = database.taken("referral.received").remove(0);
    let (time, signature, body) = delivery.signed;
    let key = BASE64_STANDARD.decode(pool::SECRET.trim_start_matches("whsec_")).unwrap();
    let wanted = hmac(&key, &[format!("{}.{time}.", delivery.id).as_bytes(), &body]);
    assert_eq!(signature, format!("v1,{}", BASE64_STANDARD.encode(wanted)));
    let stored = house.gateway.store.read("ServiceRequest", &to.referral).await.unwrap().unwrap().body;
    assert!(body.windows(stored.len()).any(|window| window == &stored[..]));
    fingerpost::fhir::check::check(&delivery.bundle).unwrap();
    until("its result is kept", async || queue(&house, "webhook:wellness").await.0 == 0).await;
    assert_eq!(deliveries_audited(&house).await, 1);
    assert_eq!(database.inbox().forged, 0);
}

#[tokio::test]
async fn a_slow_receiver_delays_nobody() {
    let (slow, quick) = (wellness().await, wellness().await);
    slow.steering.faults().slow = pool::UNTIL_MAX * 2;
    let house = house(|config| {
        config.delivery.timeout_ms = 600_000;
        config.delivery.lease_seconds = 900;
        config.delivery.receivers.push(receiver("slow", &slow.hook_url));
        config.delivery.receivers.push(receiver("quick", &quick.hook_url));
    })
    .await;
    let _running = house.runs();
    for n in 1..=10 {
        house.refer(n).await;
    }
    until("the quick one has all", async || quick.inbox().taken.len() == 10).await;
    assert!(slow.inbox().taken.is_empty());
}

#[tokio::test]
async fn failures_and_lost_answers_end_in_one_effect() {
    let database = wellness().await;
    {
        let mut faults = database.steering.faults();
        (faults.refuse, faults.status, faults.lose_answer) = (2, 500, 2);
    }
    let house = house(|config| config.delivery.receivers.push(receiver("wellness", &database.hook_url))).await;
    let _running = house.runs();
    house.refer(1).await;
    until("it is done", async || queue(&house, "webhook:wellness").await == (0, 0) && database.inbox().requests > 0)
        .await;
    assert_eq!(database.counts(), (5, 1));
    assert_eq!(deliveries_audited(&house).await, 5, "each try that left is an entry");
}

#[tokio::test]
async fn a_timeout_after_the_effect_is_one_effect() {
    let database = wellness().await;
    database.steering.faults().hang_after = Some(pool::UNTIL_MAX * 2);
    let house = house(|config| {
        config.delivery.timeout_ms = 3000;
        config.delivery.receivers.push(receiver("wellness", &database.hook_url));
    })
    .await;
    let _running = house.runs();
    house.refer(1).await;
    until("it is done", async || queue(&house, "webhook:wellness").await.0 == 0 && database.inbox().requests > 1).await;
    assert_eq!(database.inbox().taken.len(), 1);
}

#[tokio::test]
async fn a_crash_between_send_and_result_is_one_effect() {
    let database = wellness().await;
    database.steering.faults().hang_after = Some(pool::UNTIL_MAX * 2);
    let mut house = house(|config| {
        config.delivery.timeout_ms = 60_000;
        config.delivery.receivers.push(receiver("wellness", &database.hook_url));
    })
    .await;
    // A lease runs out when this clock says so, however slow the machine is.
    house.gateway.clock = Clock::fixed(Clock::System.now());
    let running = house.runs();
    house.refer(1).await;
    until("the receiver has it", async || database.inbox().taken.len() == 1).await;
    drop(running);
    assert_eq!(queue(&house, "webhook:wellness").await.0, 1, "no result was kept");
    let lease = i64::from(house.gateway.config.delivery.lease_seconds);
    house.gateway.clock.advance(SignedDuration::from_secs(lease + 1));
    let _again = house.runs();
    until("the lease ran out and it was sent again", async || queue(&house, "webhook:wellness").await.0 == 0).await;
    assert_eq!(database.counts(), (2, 1));
}

#[tokio::test]
async fn gives_up_visibly_and_goes_on_with_the_rest() {
    let database = wellness().await;
    {
        let mut faults = database.steering.faults();
        (faults.refuse, faults.status) = (3, 503);
    }
    let house = house(|config| {
        config.delivery.attempts_max = 3;
        config.delivery.receivers.push(receiver("wellness", &database.hook_url));
    })
    .await;
    let _running = house.runs();
    let to = house.refer(1).await;
    let state = async || house.gateway.store.outbox_of(&to.referral, "webhook:").await.unwrap()[0].2.clone();
    until("it is given up", async || state().await == "given-up").await;
    house.moves(&to, "accepted").await.unwrap();
    until("the next one is not held up", async || !database.taken("task.updated").is_empty()).await;
    let find = EntrySearch {
        interaction: Some("deliver".into()),
        outcome: Some("8".into()),
        count: 9,
        ..EntrySearch::default()
    };
    assert_eq!(house.gateway.store.find_entries(find).await.unwrap().len(), 1);
}

#[tokio::test]
async fn gone_gives_up_at_once_and_retry_after_is_waited_for() {
    let (gone, busy) = (wellness().await, wellness().await);
    {
        let mut faults = gone.steering.faults();
        (faults.refuse, faults.status) = (1, 410);
    }
    {
        let mut faults = busy.steering.faults();
        (faults.refuse, faults.status, faults.retry_after) = (1, 429, Some(2));
    }
    let house = house(|config| {
        config.delivery.receivers.push(receiver("gone", &gone.hook_url));
        config.delivery.receivers.push(receiver("busy", &busy.hook_url));
    })
    .await;
    let _running = house.runs();
    let begun = Instant::now();
    house.refer(1).await;
    until("the busy one has it", async || busy.inbox().taken.len() == 1).await;
    assert!(begun.elapsed() >= Duration::from_secs(2));
    until("the other is given up", async || queue(&house, "webhook:gone").await == (0, 1)).await;
    assert_eq!(gone.counts(), (1, 0));
}

#[tokio::test]
async fn order_is_kept_within_an_episode_while_others_go_on() {
    let database = wellness().await;
    {
        let mut faults = database.steering.faults();
        (faults.refuse, faults.status) = (2, 500);
    }
    let house = house(|config| config.delivery.receivers.push(receiver("wellness", &database.hook_url))).await;
    let to = house.refer(1).await;
    let _running = house.runs();
    for status in ["received", "accepted", "in-progress", "completed"] {
        house.moves(&to, status).await.unwrap();
    }
    until("all Task versions are there", async || database.taken("task.updated").len() == 4).await;
    let versions: Vec<String> = database
        .taken("task.updated")
        .iter()
        .map(|delivery| delivery.bundle["entry"][0]["resource"]["meta"]["versionId"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(versions, ["2", "3", "4", "5"]);
    assert_eq!(database.inbox().taken[0].event, "referral.received");
}

#[tokio::test]
async fn loopback_receivers_are_refused_unless_development_says_so() {
    let database = wellness().await;
    let house = house(|config| {
        config.delivery.allow_loopback = false;
        config.delivery.receivers.push(receiver("wellness", &database.hook_url));
    })
    .await;
    let _running = house.runs();
    house.refer(1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(database.inbox().requests, 0);
    assert_eq!((queue(&house, "webhook:wellness").await.0, deliveries_audited(&house).await), (1, 0));
}

#[tokio::test]
async fn stopping_lets_what_is_under_way_finish() {
    let database = wellness().await;
    database.steering.faults().slow = Duration::from_millis(500);
    let house = house(|config| config.delivery.receivers.push(receiver("wellness", &database.hook_url))).await;
    house.refer(1).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let gateway = house.gateway.clone();
    let running = tokio::spawn(fingerpost::delivery::run(gateway, async move { drop(stopped.await) }));
    until("it is under way", async || database.inbox().requests == 1).await;
    stop.send(()).unwrap();
    running.await.unwrap();
    assert_eq!(queue(&house, "webhook:wellness").await, (0, 0));
}

/// A person sends again what was given up: the receiver that had done it after all knows the key, and
/// the one that had not does it now.
#[tokio::test]
async fn what_was_given_up_goes_again_under_its_key() {
    use fingerpost::audit::{Action, Agent, Entry, Kind};
    use fingerpost::delivery::again;
    use fingerpost::store::delivery::DeliveryState;
    let database = wellness().await;
    {
        let mut faults = database.steering.faults();
        (faults.refuse, faults.status) = (2, 410);
    }
    let house = house(|config| config.delivery.receivers.push(receiver("wellness", &database.hook_url))).await;
    let _running = house.runs();
    house.refer(1).await;
    house.refer(2).await;
    let given_up =
        async || house.gateway.store.deliveries("webhook:wellness", DeliveryState::GivenUp, 0, 10).await.unwrap();
    until("both are given up", async || given_up().await.len() == 2).await;
    assert!(database.inbox().taken.is_empty());
    let rows = given_up().await;
    let agent = Agent::gateway(&house.gateway.config.gateway.ods);
    let entry = Entry::operations(Kind::Operation, "deliveries-retry", Action::U, agent, house.gateway.clock.now());
    database.steering.faults().lose_answer = 1;
    again::one(&house.gateway, rows[0].id, "it is back", entry.clone()).await.unwrap();
    let done = async |at: usize| house.gateway.store.delivery(rows[at].id).await.unwrap().unwrap().state;
    until("it is done", async || done(0).await == DeliveryState::Done).await;
    let again_done = again::one(&house.gateway, rows[0].id, "it is back", entry.clone()).await;
    assert!(matches!(again_done, Err(again::Refusal::Cannot("done"))), "{again_done:?}");
    assert_eq!(again::all_of(&house.gateway, "wellness", "it is back", entry).await.unwrap(), 1);
    until("the other is done", async || done(1).await == DeliveryState::Done).await;
    let taken: Vec<String> = database.inbox().taken.iter().map(|one| one.id.clone()).collect();
    assert_eq!(taken, rows.iter().map(|row| row.id.to_string()).collect::<Vec<_>>());
}
