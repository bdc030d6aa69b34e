//! The outbox: order, leases, nothing twice.

use std::collections::HashSet;

use fingerpost::store::commit::{Claimed, Commit, OutboxResult, Sent};
use fingerpost::store::delivery::DeliveryState::{Done, GivenUp, Queued};
use fingerpost::store::filing::Requeue;
use fingerpost::store::{Store, StoreError};

use crate::support::*;

fn result(claimed: &Claimed, state: Sent) -> Commit {
    let sent = vec![OutboxResult { id: claimed.row.id, lease: claimed.lease, state }];
    Commit { sent, audit: vec![entry("deliver")], ..Commit::default() }
}

async fn events(store: &Store, queue: &str, seconds: i64) -> Vec<Claimed> {
    store.claim(queue, at(seconds), at(seconds + 60), 10).await.unwrap()
}

fn names(claimed: &[Claimed]) -> Vec<(&str, &str)> {
    claimed.iter().map(|claimed| (claimed.row.episode.as_str(), claimed.row.event.as_str())).collect()
}

pub async fn rows_of_an_episode_leave_in_order(url: String) {
    let store = made(&url).await;
    for event in ["one", "two", "three"] {
        let rows = ["a", "b"].map(|episode| outbox("webhook:w", episode, event));
        let other = outbox("writeback:N84001", "a", event);
        store.commit(Commit { outbox: rows.into_iter().chain([other]).collect(), ..Commit::default() }).await.unwrap();
    }
    assert_eq!(store.queues().await.unwrap().len(), 2);
    let first = events(&store, "webhook:w", 1).await;
    assert_eq!(names(&first), [("a", "one"), ("b", "one")]);
    assert_eq!(first[0].row.resources, [("ServiceRequest".to_owned(), "a".to_owned(), 1)]);
    assert!(events(&store, "webhook:w", 2).await.is_empty(), "the next wait for these");
    store.commit(result(&first[0], Sent::Done)).await.unwrap();
    store.commit(result(&first[1], Sent::Retry { next: at(30), why: "503".into() })).await.unwrap();
    let second = events(&store, "webhook:w", 3).await;
    assert_eq!(names(&second), [("a", "two")]);
    let again = events(&store, "webhook:w", 31).await;
    assert_eq!(names(&again), [("b", "one")]);
    assert_eq!((first[1].attempts, again[0].attempts), (0, 1));
    store.commit(result(&again[0], Sent::GivenUp { why: "410".into() })).await.unwrap();
    assert_eq!(names(&events(&store, "webhook:w", 32).await), [("b", "two")], "what is given up blocks no more");
    let queue = store.queues().await.unwrap().into_iter().find(|queue| queue.0 == "webhook:w").unwrap();
    assert_eq!(queue, ("webhook:w".to_owned(), 4, 1));
    let states = |prefix: &'static str| {
        let store = store.clone();
        async move {
            let rows = store.outbox_of("b", prefix).await.unwrap();
            rows.into_iter().map(|(_, event, state)| format!("{event} {state}")).collect::<Vec<_>>()
        }
    };
    assert_eq!(states("webhook:").await, ["one given-up", "two queued", "three queued"]);
    assert!(states("writeback:").await.is_empty());
}

pub async fn a_lease_that_ran_out_is_lost(url: String) {
    let store = made(&url).await;
    let row = outbox("webhook:w", "a", "one");
    store.commit(Commit { outbox: vec![row.clone()], ..Commit::default() }).await.unwrap();
    let mut again = row.clone();
    again.event = "other".into();
    store.commit(Commit { outbox: vec![again], ..Commit::default() }).await.unwrap();
    assert_eq!(store.outbox_of("a", "").await.unwrap().len(), 1, "the same id is the same event");
    let slow = events(&store, "webhook:w", 1).await;
    assert!(events(&store, "webhook:w", 60).await.is_empty());
    let quick = events(&store, "webhook:w", 61).await;
    assert_eq!(quick.len(), 1);
    assert_ne!(quick[0].lease, slow[0].lease);
    let late = store.commit(result(&slow[0], Sent::Done)).await;
    assert!(matches!(late, Err(StoreError::Stale { .. })), "{late:?}");
    store.commit(result(&quick[0], Sent::Done)).await.unwrap();
    let twice = store.commit(result(&quick[0], Sent::Done)).await;
    assert!(matches!(twice, Err(StoreError::Stale { .. })), "{twice:?}");
    assert_eq!(store.entries(0, 10).await.unwrap().len(), 1, "a stale result leaves no entry");
    assert!(store.queues().await.unwrap().is_empty());
    assert!(events(&store, "webhook:w", 1000).await.is_empty());
    assert!(events(&store, "no such queue", 1).await.is_empty());
}

pub async fn rows_are_claimed_once_by_many(url: String) {
    let store = made(&url).await;
    let other = Store::open(&settings(&url), signer()).await.unwrap();
    let rows = (0..40).map(|number| outbox("webhook:w", &format!("e{number}"), "one")).collect();
    store.commit(Commit { outbox: rows, ..Commit::default() }).await.unwrap();
    let claims = (0..8).map(|number| {
        let store = if number % 2 == 0 { store.clone() } else { other.clone() };
        tokio::spawn(async move {
            let mut mine = Vec::new();
            for _ in 0..10 {
                mine.extend(store.claim("webhook:w", at(1), at(61), 3).await.unwrap());
            }
            mine
        })
    });
    let mut claimed = Vec::new();
    for task in claims.collect::<Vec<_>>() {
        claimed.extend(task.await.unwrap().into_iter().map(|claimed| claimed.row.id));
    }
    assert_eq!(claimed.len(), 40);
    assert_eq!(claimed.into_iter().collect::<HashSet<_>>().len(), 40);
    other.close().await;
}

pub async fn what_is_not_delivered_is_listed_and_queued_again(url: String) {
    let store = made(&url).await;
    let mut rows: Vec<_> = (0..5).map(|n| outbox("webhook:w", &format!("e{n}"), "one")).collect();
    rows.push(outbox("webhook:v", "e0", "one"));
    store.commit(Commit { outbox: rows.clone(), ..Commit::default() }).await.unwrap();
    for (at, claimed) in events(&store, "webhook:w", 1).await.iter().enumerate() {
        let state = match at {
            0 => Sent::Done,
            1 => Sent::Retry { next: crate::support::at(90), why: "503".into() },
            _ => Sent::GivenUp { why: "410".into() },
        };
        store.commit(result(claimed, state)).await.unwrap();
    }
    let counts = store.undelivered().await.unwrap();
    let count = |queue: &str, state, count| (queue.to_owned(), state, count);
    assert_eq!(counts, [count("webhook:v", Queued, 1), count("webhook:w", Queued, 1), count("webhook:w", GivenUp, 3)]);
    let find = async |state, after, most| store.deliveries("webhook:w", state, after, most).await.unwrap();
    let first = find(GivenUp, 0, 2).await;
    assert_eq!(first.iter().map(|one| one.id).collect::<Vec<_>>(), [rows[2].id, rows[3].id]);
    let rest = find(GivenUp, first[1].place, 2).await;
    assert_eq!(rest.iter().map(|one| one.id).collect::<Vec<_>>(), [rows[4].id]);
    assert!(find(GivenUp, rest[0].place, 2).await.is_empty() && find(GivenUp, u64::MAX, 2).await.is_empty());
    let one = &first[0];
    assert_eq!((one.queue.as_str(), one.episode.as_str(), one.event.as_str()), ("webhook:w", "e2", "one"));
    assert_eq!((one.state, one.attempts, one.why.as_str()), (GivenUp, 1, "410"));
    assert_eq!((one.resources.as_slice(), one.at), (rows[2].resources.as_slice(), rows[2].at));
    let waits = &find(Queued, 0, 9).await[0];
    assert_eq!((waits.id, waits.due, waits.why.as_str()), (rows[1].id, at(90), "503"));
    assert_eq!(find(Done, 0, 9).await.len(), 1);
    let again = Requeue { id: one.id, due: at(5), why: "by a person: it is back \u{0}".into() };
    store.commit(Commit { requeue: vec![again], ..Commit::default() }).await.unwrap();
    let one = store.delivery(one.id).await.unwrap().unwrap();
    assert_eq!((one.state, one.attempts, one.due), (Queued, 0, at(5)));
    assert!(one.why.starts_with("by a person: it is back"), "{}", one.why);
    assert_eq!(names(&events(&store, "webhook:w", 6).await), [("e2", "one")]);
    assert_eq!(store.delivery(rows[0].id).await.unwrap().unwrap().state, Done);
    let queues = store.queues().await.unwrap();
    assert!(queues.contains(&("webhook:v".to_owned(), 1, 0)) && queues.contains(&("webhook:w".to_owned(), 2, 2)));
    let [last] = &*events(&store, "webhook:v", 6).await else { panic!("one") };
    store.commit(result(last, Sent::GivenUp { why: "410".into() })).await.unwrap();
    let queues = store.queues().await.unwrap();
    assert!(queues.contains(&("webhook:v".to_owned(), 0, 1)), "what was given up stays in sight: {queues:?}");
    assert_eq!(store.delivery(uuid::Uuid::nil()).await.unwrap(), None);
}
