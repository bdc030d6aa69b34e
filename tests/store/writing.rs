//! Commits: whole or not at all, once, in turn, for good.

use bytes::Bytes;
use fingerpost::store::commit::{Commit, DoorKey, Message};
use fingerpost::store::{Store, StoreError, param};
use jiff::SignedDuration;
use uuid::Uuid;

use crate::support::*;

fn key(name: &str, digest: &str) -> DoorKey {
    DoorKey { scope: "request", key: name.into(), digest: digest.into(), expires: None }
}

fn message(id: Uuid) -> Message {
    Message {
        id,
        channel: "bars".into(),
        sender: "practice-1".into(),
        received_at: at(0),
        content_type: "application/fhir+json".into(),
        digest: "d".into(),
        bytes: Bytes::from_static(b"{\"as\":\"received\"}\0\xff"),
        outcome: "committed",
    }
}

pub async fn a_commit_is_read_back_whole(url: String) {
    let store = made(&url).await;
    let id = Uuid::new_v4();
    let commit = Commit { message: Some(message(id)), keys: vec![key("k", "first")], ..referral("a") };
    assert_eq!(store.commit(commit).await.unwrap().first_entry, 0);
    let read = store.read("ServiceRequest", "a").await.unwrap().unwrap();
    assert_eq!((read.version, read.at, read.deleted), (1, at(1), false));
    assert_eq!(read.body, write("ServiceRequest", "a", 1, vec![]).body);
    assert_eq!(read.lineage, "lineage of 1");
    assert!(store.read("Task", "a").await.unwrap().is_none());
    assert!(store.read("ServiceRequest", "b").await.unwrap().is_none());
    let kept = store.message(id).await.unwrap().unwrap();
    assert_eq!((kept.bytes, kept.outcome), (message(id).bytes, "committed"));
    assert_eq!(store.door_key("request", "k").await.unwrap().as_deref(), Some("first"));
    assert_eq!(store.door_key("bundle", "k").await.unwrap(), None);
    assert_eq!(store.visibility("ServiceRequest", "a").await.unwrap(), [(param::PRACTICE, "N84001".to_owned())]);
    store.ready().await.unwrap();
}

pub async fn a_refused_commit_changes_nothing(url: String) {
    let store = made(&url).await;
    store.commit(Commit { keys: vec![key("k", "first")], ..referral("a") }).await.unwrap();
    let mut twice = referral("b");
    twice.message = Some(message(Uuid::from_u128(7)));
    twice.outbox = vec![outbox("webhook:w", "b", "referral.received")];
    twice.keys = vec![key("new", "x"), key("k", "second")];
    match store.commit(twice).await {
        Err(StoreError::Taken { scope, digest }) => assert_eq!((scope.as_str(), digest.as_str()), ("request", "first")),
        other => panic!("{other:?}"),
    }
    let mut stale = referral("c");
    stale.writes.push(write("ServiceRequest", "a", 3, vec![]));
    stale.keys = vec![key("new", "x")];
    match store.commit(stale).await {
        Err(StoreError::Stale { what }) => assert_eq!(what, "ServiceRequest/a"),
        other => panic!("{other:?}"),
    }
    assert!(store.read("ServiceRequest", "b").await.unwrap().is_none());
    assert!(store.read("ServiceRequest", "c").await.unwrap().is_none());
    assert!(store.message(Uuid::from_u128(7)).await.unwrap().is_none());
    assert_eq!(store.door_key("request", "new").await.unwrap(), None);
    assert!(store.queues().await.unwrap().is_empty());
    assert_eq!(store.entries(0, 10).await.unwrap().len(), 1);
}

pub async fn refusals_do_not_harm_commits_beside_them(url: String) {
    let store = made(&url).await;
    store.commit(Commit { keys: vec![key("k", "first")], ..referral("first") }).await.unwrap();
    let mut waiting = Vec::new();
    for number in 0..64 {
        let (store, mut commit) = (store.clone(), referral(&format!("r{number}")));
        match number % 4 {
            0 => commit.keys.push(key("k", "again")),
            1 => commit.writes.push(write("ServiceRequest", "first", 9, vec![])),
            _ => {}
        }
        waiting.push(tokio::spawn(async move { (number, store.commit(commit).await) }));
    }
    let mut positions = Vec::new();
    for task in waiting {
        let (number, result) = task.await.unwrap();
        let found = store.read("ServiceRequest", &format!("r{number}")).await.unwrap();
        match (number % 4, result) {
            (0, Err(StoreError::Taken { .. })) | (1, Err(StoreError::Stale { .. })) => assert!(found.is_none()),
            (2 | 3, Ok(done)) => {
                assert!(found.is_some());
                positions.push(done.first_entry);
            }
            (_, other) => panic!("{number}: {other:?}"),
        }
    }
    positions.sort_unstable();
    assert_eq!(positions, (1..=32).collect::<Vec<u64>>(), "each has its own place in the log");
}

pub async fn one_door_key_is_taken_once_among_many(url: String) {
    let store = made(&url).await;
    let mut waiting = Vec::new();
    for number in 0..64 {
        let (store, mut commit) = (store.clone(), referral(&format!("r{number}")));
        commit.keys = vec![key("the one", &number.to_string())];
        waiting.push(tokio::spawn(async move { store.commit(commit).await.is_ok() }));
    }
    let mut taken = 0;
    for task in waiting {
        taken += u32::from(task.await.unwrap());
    }
    assert_eq!(taken, 1);
    assert_eq!(store.entries(0, 100).await.unwrap().len(), 1);
}

/// Writers that read, add one and write, again when told `Stale`: every addition counts.
pub async fn versions_are_never_lost_among_many_writers(url: String) {
    let store = made(&url).await;
    // A second process, as far as the engine can tell.
    let other = Store::open(&settings(&url), signer()).await.unwrap();
    store.commit(referral("a")).await.unwrap();
    let mut waiting = Vec::new();
    for number in 0..8 {
        let store = if number % 2 == 0 { store.clone() } else { other.clone() };
        waiting.push(tokio::spawn(async move {
            let mut written = 0;
            while written < 3 {
                let now = store.read("ServiceRequest", "a").await.unwrap().unwrap().version;
                let index = vec![row(param::STATUS, &format!("v{}", now + 1), "")];
                let commit = Commit {
                    writes: vec![write("ServiceRequest", "a", now + 1, index)],
                    audit: vec![entry("update")],
                    ..Commit::default()
                };
                match store.commit(commit).await {
                    Ok(_) => written += 1,
                    Err(StoreError::Stale { .. } | StoreError::Overloaded) => {}
                    Err(other) => panic!("{other}"),
                }
            }
        }));
    }
    for task in waiting {
        task.await.unwrap();
    }
    assert_eq!(store.read("ServiceRequest", "a").await.unwrap().unwrap().version, 25);
    assert_eq!(store.entries(0, 100).await.unwrap().len(), 25);
    crate::log::assert_sound(&store).await;
    other.close().await;
}

pub async fn history_keeps_every_version(url: String) {
    let store = made(&url).await;
    store.commit(referral("a")).await.unwrap();
    store.commit(referral("b")).await.unwrap();
    for version in 2..=5 {
        let mut next = write("ServiceRequest", "a", version, vec![]);
        next.deleted = version == 4;
        if next.deleted {
            next.body = Bytes::new();
        }
        store.commit(Commit { writes: vec![next], ..Commit::default() }).await.unwrap();
        assert_eq!(store.read("ServiceRequest", "a").await.unwrap().unwrap().deleted, version == 4);
    }
    // Two versions in one commit.
    let writes = vec![write("ServiceRequest", "a", 6, vec![]), write("ServiceRequest", "a", 7, vec![])];
    store.commit(Commit { writes, ..Commit::default() }).await.unwrap();
    let versions = |list: Vec<fingerpost::store::Stored>| list.iter().map(|stored| stored.version).collect::<Vec<_>>();
    let all = store.history("ServiceRequest", "a", u32::MAX, 100).await.unwrap();
    assert!(all.iter().all(|stored| stored.deleted == (stored.version == 4)));
    assert_eq!(versions(all), [7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(versions(store.history("ServiceRequest", "a", 4, 2).await.unwrap()), [3, 2]);
    assert_eq!(store.vread("ServiceRequest", "a", 2).await.unwrap().unwrap().lineage, "lineage of 2");
    for missing in [0, 8, 1_000_001, u32::MAX] {
        assert!(store.vread("ServiceRequest", "a", missing).await.unwrap().is_none(), "{missing}");
    }
    assert!(store.history("ServiceRequest", "none", u32::MAX, 9).await.unwrap().is_empty());
}

pub async fn it_survives_being_closed_and_opened(url: String) {
    let store = made(&url).await;
    store.commit(referral("a")).await.unwrap();
    store.close().await;
    assert!(store.commit(referral("b")).await.is_err(), "a closed store takes nothing");
    assert!(store.read("ServiceRequest", "a").await.is_err());
    assert!(Store::migrate(&settings(&url)).await.unwrap().is_empty(), "nothing is due");
    let store = Store::open(&settings(&url), signer()).await.unwrap();
    assert!(store.read("ServiceRequest", "a").await.unwrap().is_some());
    assert_eq!(store.commit(referral("b")).await.unwrap().first_entry, 1);
    // Dropped without being closed: what was answered is there.
    drop(store);
    let store = Store::open(&settings(&url), signer()).await.unwrap();
    assert!(store.read("ServiceRequest", "b").await.unwrap().is_some());
    crate::log::assert_sound(&store).await;
}

pub async fn a_store_that_migrate_has_not_made_is_refused(url: String) {
    let told = Store::open(&settings(&url), signer()).await.err().expect("refused").to_string();
    assert!(told.contains("fingerpost migrate") || told.contains("cannot be opened"), "{told}");
    let done = Store::migrate(&settings(&url)).await.unwrap();
    assert!(done.first().is_some_and(|line| line == "applied 0001 base"), "{done:?}");
    assert!(Store::migrate(&settings(&url)).await.unwrap().is_empty());
    if let Some(path) = url.strip_prefix("sqlite:") {
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600, "for its owner alone");
    }
    let missing = settings("sqlite:/no/such/folder/store.db");
    assert!(Store::migrate(&missing).await.is_err());
    assert!(Store::open(&settings("sqlite:"), signer()).await.is_err());
}

pub async fn long_and_strange_texts_are_kept(url: String) {
    let store = made(&url).await;
    let long = "é".repeat(5_000);
    let mut commit = referral("a");
    commit.writes[0].index = vec![row(param::IDENTIFIER, &long, &long), row(param::FAMILY, "nul\0inside", "")];
    commit.writes[0].lineage = "a\0b".into();
    commit.keys = vec![key(&long, "first"), key("nul\0inside", "first")];
    commit.audit[0].agent.client = format!("{long}\0");
    commit.audit[0].entities = vec![format!("Patient/{long}\0")];
    store.commit(commit).await.unwrap();
    assert_eq!(store.door_key("request", &long).await.unwrap().as_deref(), Some("first"));
    assert_eq!(store.door_key("request", "nul\0inside").await.unwrap().as_deref(), Some("first"));
    let taken = store.commit(Commit { keys: vec![key(&long, "again")], ..Commit::default() }).await;
    assert!(matches!(taken, Err(StoreError::Taken { .. })));
    for (param, value) in [(param::IDENTIFIER, long.as_str()), (param::FAMILY, "nul\0inside")] {
        assert_eq!(crate::search::ids_of(&store, param, value).await, ["a"]);
    }
    assert!(store.read("a\0b", "c\0d").await.unwrap().is_none());
    assert!(store.misindexed(0, 10).await.unwrap().is_empty());
}

pub async fn a_store_opened_for_reading_refuses_commits(url: String) {
    let store = made(&url).await;
    store.commit(referral("a")).await.unwrap();
    let reader = Store::open_to_read(&settings(&url)).await.unwrap();
    assert!(reader.read("ServiceRequest", "a").await.unwrap().is_some());
    assert!(matches!(reader.commit(referral("b")).await, Err(StoreError::Engine(_))));
    reader.ready().await.unwrap();
    // A door key whose time has passed may be used again once another has come.
    let passing = |name: &str, ends: i64| Commit {
        keys: vec![DoorKey { expires: Some(at(ends)), ..key(name, "d") }],
        audit: vec![{
            let mut entry = entry("token");
            entry.at = at(ends - 300);
            entry
        }],
        ..Commit::default()
    };
    store.commit(passing("jti-1", 300)).await.unwrap();
    store.commit(passing("jti-2", 700)).await.unwrap();
    assert_eq!(store.door_key("request", "jti-1").await.unwrap(), None, "its time had passed");
    assert!(store.door_key("request", "jti-2").await.unwrap().is_some());
    assert!(at(0) + SignedDuration::from_secs(1) == at(1));
}
