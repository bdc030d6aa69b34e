//! Faults on purpose: not done, and done but failed. A caller that tries again under the same
//! door key ends with the same store either way.

use fingerpost::store::commit::{Commit, DoorKey};
use fingerpost::store::fault::Point;
use fingerpost::store::{Store, StoreError};

use crate::support::*;

/// How long a busy machine may take to refuse.
const REFUSAL_WAIT: std::time::Duration = std::time::Duration::from_secs(30);

fn keyed(id: &str) -> Commit {
    let key = DoorKey { scope: "request", key: id.into(), digest: "d".into(), expires: None };
    Commit { keys: vec![key], outbox: vec![outbox("webhook:w", id, "referral.received")], ..referral(id) }
}

/// Commits until it is done, or was done: the times it had to try.
async fn insist(store: &Store, id: &str) -> u32 {
    for tries in 1..10 {
        match store.commit(keyed(id)).await {
            Ok(_) | Err(StoreError::Taken { .. }) => return tries,
            Err(StoreError::Engine(told)) => assert!(told.contains("on purpose"), "{told}"),
            Err(other) => panic!("{other:?}"),
        }
    }
    panic!("{id} is never done");
}

pub async fn each_fault_leaves_the_same_end_state(url: String) {
    let store = made(&url).await;
    for (number, point) in [Point::Begin, Point::Commit, Point::Answer].into_iter().enumerate() {
        let id = format!("r{number}");
        store.faults().fail(point, 1);
        let failed = store.commit(keyed(&id)).await;
        assert!(matches!(failed, Err(StoreError::Engine(_))), "{point:?}: {failed:?}");
        assert_eq!(store.faults().left(point), 0);
        let done = store.read("ServiceRequest", &id).await.unwrap().is_some();
        assert_eq!(done, point == Point::Answer, "{point:?}");
        assert_eq!(store.outbox_of(&id, "webhook:").await.unwrap().len(), usize::from(done));
        insist(&store, &id).await;
        assert_eq!(store.outbox_of(&id, "webhook:").await.unwrap().len(), 1);
        assert_eq!(store.read("ServiceRequest", &id).await.unwrap().unwrap().version, 1);
        crate::log::assert_sound(&store).await;
    }
    assert_eq!(store.entries(0, 100).await.unwrap().len(), 3, "one entry each, whatever failed");
    // A group: all of it fails, all of it is done in the end.
    for point in [Point::Begin, Point::Commit, Point::Answer] {
        store.faults().fail(point, 2);
        let waiting = (0..32).map(|number| {
            let (store, id) = (store.clone(), format!("{point:?}-{number}"));
            tokio::spawn(async move { insist(&store, &id).await })
        });
        for task in waiting.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    }
    assert_eq!(store.entries(0, 1000).await.unwrap().len(), 3 + 96);
    assert_eq!(store.queues().await.unwrap(), [("webhook:w".to_owned(), 99, 0)]);
    crate::log::assert_sound(&store).await;
}

/// While another process holds the store's lock, the queue fills; then senders are told to come
/// back, and nothing that was told so is written later.
pub async fn more_commits_than_the_queue_holds_are_refused(url: String) {
    made(&url).await.close().await;
    let narrow = fingerpost::config::Store { queue_max: 2, group_max: 1, ..settings(&url) };
    let store = Store::open(&narrow, signer()).await.unwrap();
    let held = Held::hold(&url).await;
    let waiting = (0..8).map(|number| {
        let store = store.clone();
        tokio::spawn(async move { (number, store.commit(keyed(&format!("r{number}"))).await) })
    });
    let waiting: Vec<_> = waiting.collect();
    // Nothing is written while the lock is held: whoever has an answer was refused.
    let since = std::time::Instant::now();
    while waiting.iter().filter(|task| task.is_finished()).count() < 4 {
        assert!(since.elapsed() < REFUSAL_WAIT, "those who find no place are told so");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    held.release().await;
    let (mut done, mut refused) = (0, 0);
    for task in waiting {
        let (number, result) = task.await.unwrap();
        match result {
            Ok(_) => done += 1,
            Err(StoreError::Overloaded) => {
                refused += 1;
                assert!(store.read("ServiceRequest", &format!("r{number}")).await.unwrap().is_none());
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    // One under way, two in the queue; PostgreSQL's writer may have taken one more out of it.
    assert!((3..=4).contains(&done), "{done} done, {refused} refused");
}

/// Somebody else's open transaction.
enum Held {
    Sqlite(rusqlite::Connection),
    Postgres(tokio_postgres::Client),
}

impl Held {
    async fn hold(url: &str) -> Self {
        if let Some(path) = url.strip_prefix("sqlite:") {
            let connection = rusqlite::Connection::open(path).unwrap();
            connection.execute_batch("BEGIN IMMEDIATE").unwrap();
            return Self::Sqlite(connection);
        }
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute("BEGIN; SELECT size FROM tree FOR UPDATE").await.unwrap();
        Self::Postgres(client)
    }

    async fn release(self) {
        match self {
            Self::Sqlite(connection) => connection.execute_batch("ROLLBACK").unwrap(),
            Self::Postgres(client) => client.batch_execute("ROLLBACK").await.unwrap(),
        }
    }
}
