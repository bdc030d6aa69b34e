//! The audit log in the store.

use by_hand::root_of;
use fingerpost::audit::tree;
use fingerpost::audit::{Action, Outcome};
use fingerpost::store::commit::Commit;
use fingerpost::store::{EntrySearch, Store};

use crate::support::*;

/// RFC 6962, section 2.1, written again from its text. The log's leaves are entries' digests.
mod by_hand {
    use aws_lc_rs::digest::{SHA256, digest};

    fn hash(prefix: u8, parts: &[&[u8]]) -> [u8; 32] {
        let bytes = [&[prefix][..], &parts.concat()].concat();
        digest(&SHA256, &bytes).as_ref().try_into().unwrap()
    }

    pub fn root_of(leaves: &[Vec<u8>]) -> [u8; 32] {
        match leaves {
            [] => digest(&SHA256, b"").as_ref().try_into().unwrap(),
            [one] => hash(0, &[digest(&SHA256, one).as_ref()]),
            _ => {
                let split = (leaves.len().next_power_of_two() / 2).max(1);
                hash(1, &[&root_of(&leaves[..split]), &root_of(&leaves[split..])])
            }
        }
    }
}

/// The newest checkpoint says the size and the root of what is stored, and nothing is amiss.
pub async fn assert_sound(store: &Store) {
    let entries = store.entries(0, 100_000).await.unwrap();
    assert!(entries.iter().map(|(at, _)| *at).eq(0..entries.len() as u64), "no gaps");
    let leaves: Vec<Vec<u8>> = entries.into_iter().map(|(_, leaf)| leaf).collect();
    let hashes = store.leaf_hashes(0, 100_000).await.unwrap();
    assert!(leaves.iter().map(|leaf| tree::entry_hash(leaf)).eq(hashes));
    let checkpoints = store.checkpoints().await.unwrap();
    let (size, note) = checkpoints.last().expect("a checkpoint");
    assert_eq!(*size, leaves.len() as u64);
    let lines: Vec<&str> = note.lines().collect();
    assert_eq!(lines[1], size.to_string());
    assert_eq!(lines[2], base64_of(&root_of(&leaves)));
    assert!(store.misindexed(0, 100_000).await.unwrap().is_empty());
}

fn base64_of(bytes: &[u8]) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)
}

pub async fn the_root_is_the_one_anybody_computes(url: String) {
    let store = made(&url).await;
    assert!(store.checkpoints().await.unwrap().is_empty());
    for round in 0..5 {
        let waiting = (0..round * 3 + 1).map(|number| {
            let store = store.clone();
            tokio::spawn(async move { store.commit(referral(&format!("{round}-{number}"))).await.unwrap() })
        });
        for task in waiting.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        assert_sound(&store).await;
    }
    assert_eq!(store.checkpoints().await.unwrap().len(), 1, "the newest replaces the one before");
}

pub async fn checkpoints_are_kept_at_each_thousand(url: String) {
    let store = made(&url).await;
    for count in [999, 1500, 1, 501] {
        let audit = (0..count).map(|_| entry("search-type")).collect();
        store.commit(Commit { audit, ..Commit::default() }).await.unwrap();
    }
    store.commit(Commit { audit: vec![entry("read")], ..Commit::default() }).await.unwrap();
    let sizes: Vec<u64> = store.checkpoints().await.unwrap().into_iter().map(|(size, _)| size).collect();
    assert_eq!(sizes, [1000, 2000, 3000, 3002]);
    assert_eq!(store.entries(2999, 2).await.unwrap().len(), 2);
    assert_sound(&store).await;
    for (size, note) in store.checkpoints().await.unwrap() {
        let leaves: Vec<Vec<u8>> =
            store.entries(0, size as usize).await.unwrap().into_iter().map(|(_, leaf)| leaf).collect();
        assert_eq!(note.lines().nth(2).unwrap(), base64_of(&root_of(&leaves)));
    }
}

pub async fn entries_are_found_by_what_they_say(url: String) {
    let store = made(&url).await;
    let mut read = entry("read");
    read.at = at(100);
    read.action = Action::R;
    read.outcome = Outcome::MinorFailure;
    read.agent.client = "pool-1".into();
    read.patients = vec!["Patient/p1".into(), "Patient/p2".into()];
    read.entities = vec!["Task/t/_history/3".into()];
    let id = read.id;
    let created = entry("create");
    store.commit(Commit { audit: vec![created, read, entry("create")], ..Commit::default() }).await.unwrap();
    let text = |text: &str| Some(text.to_owned());
    let find = |search: EntrySearch| {
        let store = store.clone();
        async move {
            let search = EntrySearch { count: 10, ..search };
            store.find_entries(search).await.unwrap().into_iter().map(|(at, _)| at).collect::<Vec<_>>()
        }
    };
    let none = EntrySearch::default;
    assert_eq!(find(none()).await, [2, 1, 0]);
    assert_eq!(find(EntrySearch { before: Some(2), ..none() }).await, [1, 0]);
    for patient in ["Patient/p1", "Patient/p2"] {
        assert_eq!(find(EntrySearch { patient: text(patient), ..none() }).await, [1]);
    }
    assert_eq!(find(EntrySearch { entity: text("Task/t"), ..none() }).await, [1]);
    assert_eq!(find(EntrySearch { entity: text("Task/t/_history/9"), ..none() }).await, [1], "any version");
    assert!(find(EntrySearch { entity: text("Patient/p1"), ..none() }).await.is_empty());
    assert_eq!(find(EntrySearch { agent: text("pool-1"), action: text("R"), ..none() }).await, [1]);
    assert_eq!(find(EntrySearch { outcome: text("4"), ..none() }).await, [1]);
    assert_eq!(find(EntrySearch { interaction: text("create"), ..none() }).await, [2, 0]);
    assert_eq!(find(EntrySearch { id: text(&id.to_string()), ..none() }).await, [1]);
    assert!(find(EntrySearch { id: text("not an id"), ..none() }).await.is_empty());
    assert_eq!(find(EntrySearch { at: (Some(at(100)), Some(at(101))), ..none() }).await, [1]);
    assert!(find(EntrySearch { at: (Some(at(101)), None), ..none() }).await.is_empty());
    assert_eq!(store.find_entries(EntrySearch { count: 1, ..none() }).await.unwrap().len(), 1);
}

pub async fn a_cut_tail_would_be_seen(url: String) {
    let store = made(&url).await;
    assert_eq!(store.highest_entry_seen().await.unwrap(), None);
    store.commit(Commit { audit: vec![entry("read")], ..Commit::default() }).await.unwrap();
    assert_eq!(store.highest_entry_seen().await.unwrap(), None, "no other row goes with a read");
    store.commit(referral("a")).await.unwrap();
    assert_eq!(store.highest_entry_seen().await.unwrap(), Some(1));
    let mut sent = Commit { audit: vec![entry("deliver"), entry("deliver")], ..Commit::default() };
    sent.outbox = vec![outbox("webhook:w", "a", "one")];
    store.commit(sent).await.unwrap();
    assert_eq!(store.highest_entry_seen().await.unwrap(), Some(3));
}
