//! Faults on purpose: not done, and done but failed. A caller that tries again under the same
//! door key ends with the same store either way.

use fingerpost::store::commit::{Commit, DoorKey};
use fingerpost::store::fault::Point;
use fingerpost::store::{Store, StoreError};

use crate::support::*;

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
