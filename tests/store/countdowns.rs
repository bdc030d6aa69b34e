//! Clocks: a round goes only forward, and what was stopped stays so.

use fingerpost::store::commit::{Commit, Episode};
use fingerpost::store::countdown::{Change, Countdown, Step};

use crate::support::*;

fn countdown(referral: &str, round: u32, step: Step, due: i64) -> Countdown {
    Countdown {
        referral: referral.into(),
        pool: format!("pool-{round}"),
        round,
        started: at(0),
        target: at(1000),
        step,
        due: Some(at(due)),
        stopped: None,
        why: String::new(),
    }
}

fn changes(countdowns: Vec<Change>) -> Commit {
    Commit { countdowns, ..Commit::default() }
}

fn stop(referral: &str, seconds: i64) -> Change {
    Change::Stop { referral: referral.into(), at: at(seconds), why: "first contact" }
}

pub async fn a_clock_goes_only_forward(url: String) {
    let store = made(&url).await;
    let set = |round, step, due| Change::Set(countdown("a", round, step, due));
    store.commit(changes(vec![set(1, Step::Remind, 500), stop("nobody", 1)])).await.unwrap();
    assert_eq!(store.countdown("a").await.unwrap(), Some(countdown("a", 1, Step::Remind, 500)));
    assert!(store.countdown("nobody").await.unwrap().is_none());
    assert!(store.due_countdowns(at(499), 10).await.unwrap().is_empty());
    assert_eq!(store.due_countdowns(at(500), 10).await.unwrap().len(), 1);
    store.commit(changes(vec![set(1, Step::Escalate, 1000)])).await.unwrap();
    // A process that read it before writes its old step again.
    store.commit(changes(vec![set(1, Step::Remind, 500)])).await.unwrap();
    assert_eq!(store.countdown("a").await.unwrap().unwrap().step, Step::Escalate);
    store.commit(changes(vec![stop("a", 700)])).await.unwrap();
    store.commit(changes(vec![set(1, Step::Return, 2000), stop("a", 800)])).await.unwrap();
    let stopped = store.countdown("a").await.unwrap().unwrap();
    assert_eq!((stopped.stopped, stopped.due, stopped.why.as_str()), (Some(at(700)), None, "first contact"));
    assert!(store.due_countdowns(at(9000), 10).await.unwrap().is_empty());
    assert!(store.running_countdowns().await.unwrap().is_empty());
    // Another pool has it now: a new round.
    store.commit(changes(vec![set(2, Step::Remind, 900)])).await.unwrap();
    store.commit(changes(vec![set(1, Step::Return, 100)])).await.unwrap();
    let running = store.running_countdowns().await.unwrap();
    assert_eq!((running.len(), running[0].pool.as_str(), running[0].due), (1, "pool-2", Some(at(900))));
}

pub async fn many_changes_of_one_clock_at_once_end_the_same(url: String) {
    let store = made(&url).await;
    let set = |step| Change::Set(countdown("a", 1, step, 500));
    store.commit(changes(vec![set(Step::Remind), stop("a", 5), set(Step::Return)])).await.unwrap();
    assert_eq!(store.countdown("a").await.unwrap().unwrap().stopped, Some(at(5)));
    let racing = (0..16).map(|number| {
        let store = store.clone();
        let change = if number % 2 == 0 { stop("b", 1) } else { Change::Set(countdown("b", 1, Step::Remind, 5)) };
        tokio::spawn(async move { store.commit(changes(vec![change])).await.unwrap() })
    });
    for task in racing.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    store.commit(changes(vec![stop("b", 2)])).await.unwrap();
    assert!(store.countdown("b").await.unwrap().unwrap().stopped.is_some());
}

pub async fn a_persons_episodes_are_found_the_open_one_first(url: String) {
    let store = made(&url).await;
    let episode = |id: &str, worker: &str, open| Episode {
        id: id.into(),
        nhs_number: "9990000018".into(),
        task: format!("{id}-t"),
        pool: "p1".into(),
        worker: worker.into(),
        open,
    };
    for (id, seconds) in [("a", 0), ("b", 50), ("c", 20)] {
        let mut commit = crate::standing::ledger(id, fingerpost::store::commit::LedgerState::Open, seconds);
        commit.episodes.push(episode(id, "w1", false));
        store.commit(commit).await.unwrap();
    }
    store.commit(Commit { episodes: vec![episode("a", "w2", true)], ..Commit::default() }).await.unwrap();
    let found = store.episodes_of("9990000018", 10).await.unwrap();
    let ids: Vec<&str> = found.iter().map(|episode| episode.id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    assert_eq!((found[0].worker.as_str(), found[1].worker.as_str()), ("w2", "w1"));
    assert_eq!(store.episodes_of("9990000018", 1).await.unwrap().len(), 1);
    assert!(store.episodes_of("9990000026", 10).await.unwrap().is_empty());
    assert_eq!(store.workloads().await.unwrap(), [("p1".to_owned(), "w2".to_owned(), 1)]);
}
