//! Outcomes into a practice's record: each once, acknowledged, and the ledger closed by it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/pool.rs"]
mod pool;
#[path = "support/referrals.rs"]
mod referrals;

use std::time::Duration;

use fingerpost::demo::practice::PracticeSystem;
use fingerpost::store::EntrySearch;
use pool::{House, house, swemwbs, until, writes_back};

async fn connected() -> (House, PracticeSystem) {
    let system = PracticeSystem::start().await.unwrap();
    let house = house(|config| writes_back(config, &system)).await;
    (house, system)
}

async fn is(house: &House, referral: &str, state: &str) -> bool {
    house.ledger(referral).await.0 == state
}

#[tokio::test]
async fn the_loop_closes_when_the_practice_has_all_of_it() {
    let (house, system) = connected().await;
    let to = house.refer(1).await;
    house.moves(&to, "accepted").await.unwrap();
    house.create(&to, swemwbs(&to, "21")).await.unwrap();
    house.moves(&to, "completed").await.unwrap();
    assert_eq!(house.ledger(&to.referral).await, ("open", "practice-system".into()));
    let _running = house.runs();
    until("it is closed", async || is(&house, &to.referral, "closed").await).await;
    assert_eq!(system.codes(), ["871731000000106", "718466001", "swemwbs-metric", "episode-closed"]);
    let entry = system.record().entries[1].clone();
    assert_eq!(entry["subject"]["identifier"]["value"], referrals::nhs_number(1));
    assert!(entry["subject"]["reference"].is_null(), "the gateway's own ids mean nothing there");
    assert_eq!(entry["basedOn"][0]["identifier"]["value"], "R-1");
    let find = EntrySearch { interaction: Some("write-back".into()), count: 99, ..EntrySearch::default() };
    assert_eq!(house.gateway.store.find_entries(find).await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_decline_is_returned_with_its_code() {
    let (house, system) = connected().await;
    let to = house.refer(1).await;
    let _running = house.runs();
    house.moves(&to, "rejected").await.unwrap();
    until("it is returned", async || is(&house, &to.referral, "returned").await).await;
    assert_eq!(system.codes(), ["871711000000103"]);
}

#[tokio::test]
async fn lost_answers_timeouts_and_crashes_file_once() {
    let system = PracticeSystem::start().await.unwrap();
    {
        let mut faults = system.steering.faults();
        (faults.refuse, faults.status, faults.lose_answer) = (1, 503, 2);
        faults.hang_after = Some(Duration::from_secs(30));
    }
    let house = house(|config| {
        config.delivery.timeout_ms = 60_000;
        config.delivery.lease_seconds = 1;
        writes_back(config, &system);
    })
    .await;
    let to = house.refer(1).await;
    house.moves(&to, "accepted").await.unwrap();
    house.moves(&to, "completed").await.unwrap();
    let running = house.runs();
    until("the practice has the first entry", async || !system.record().entries.is_empty()).await;
    drop(running);
    let _again = house.runs();
    until("it is closed", async || is(&house, &to.referral, "closed").await).await;
    assert_eq!(system.codes(), ["871731000000106", "episode-closed"]);
    assert!(system.record().requests > 2);
}

#[tokio::test]
async fn a_practice_without_a_route_is_seen_to_need_a_person() {
    let house = house(|_| {}).await;
    let to = house.refer(1).await;
    house.moves(&to, "rejected").await.unwrap();
    let _running = house.runs();
    let rows = async || house.gateway.store.outbox_of(&to.referral, "writeback:").await.unwrap();
    until("it is given up", async || rows().await[0].2 == "given-up").await;
    assert_eq!(house.ledger(&to.referral).await, ("open", "practice-system".into()));
}

#[tokio::test]
async fn an_entry_given_up_keeps_the_ledger_open() {
    let (house, system) = connected().await;
    {
        let mut faults = system.steering.faults();
        (faults.refuse, faults.status) = (1, 422);
    }
    let to = house.refer(1).await;
    house.moves(&to, "accepted").await.unwrap();
    house.moves(&to, "completed").await.unwrap();
    let _running = house.runs();
    until("the closing entry is there", async || system.codes() == ["episode-closed"]).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(house.ledger(&to.referral).await, ("open", "practice-system".into()));
}

#[tokio::test]
async fn a_correction_replaces_the_entry() {
    let (house, system) = connected().await;
    let to = house.refer(1).await;
    house.moves(&to, "accepted").await.unwrap();
    let first = house.create(&to, swemwbs(&to, "29")).await.unwrap();
    let mut score = house.read("Observation", &first.id).await;
    score["status"] = "corrected".into();
    score["valueQuantity"]["value"] = 10.into();
    house.update(&to.pool, score, None).await.unwrap();
    house.moves(&to, "completed").await.unwrap();
    let _running = house.runs();
    until("it is closed", async || is(&house, &to.referral, "closed").await).await;
    assert_eq!(system.codes(), ["871731000000106", "718466001", "swemwbs-metric", "episode-closed"]);
    assert_eq!(system.record().entries[1]["valueQuantity"]["value"], 10);
}
