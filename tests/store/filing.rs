//! Filings: one version after the other, found by what they are asked for; rows sent again.

use fingerpost::fhir::ids::OdsCode;
use fingerpost::store::commit::{Commit, OutboxResult, Sent};
use fingerpost::store::filing::{DictionaryRow, Filing, FilingSearch, FilingState, Requeue};
use fingerpost::store::{Store, StoreError};

use crate::support::*;

fn filing(episode: &str, event: &str) -> (Commit, Filing) {
    let row = outbox("writeback:N84001", episode, event);
    let filing = Filing::queued(&row).unwrap();
    (Commit { outbox: vec![row], filings: vec![filing.clone()], ..Commit::default() }, filing)
}

async fn put(store: &Store, filing: &Filing) -> Result<(), StoreError> {
    store.commit(Commit { filings: vec![filing.clone()], ..Commit::default() }).await.map(|_| ())
}

pub async fn a_filing_moves_one_version_at_a_time(url: String) {
    let store = made(&url).await;
    let (commit, first) = filing("a", "outcome.accepted");
    store.commit(commit.clone()).await.unwrap();
    store.commit(commit).await.expect("the same event again is nothing new");
    assert_eq!(store.filing(first.id).await.unwrap().as_ref(), Some(&first));
    let mut sent = Filing { version: 2, state: FilingState::Sent, route: "update-record".into(), ..first.clone() };
    sent.tried = vec!["fhir".into()];
    sent.messages = vec![("update-record".into(), "m-1".into())];
    sent.acknowledgements = vec!["ack \u{0}".into()];
    sent.deadline = Some(at(100));
    sent.look_at = Some(at(90));
    sent.why = "because".into();
    put(&store, &sent).await.unwrap();
    let stale = put(&store, &Filing { version: 2, state: FilingState::Rejected, ..first.clone() }).await;
    assert!(matches!(stale, Err(StoreError::Stale { .. })), "{stale:?}");
    let ahead = put(&store, &Filing { version: 4, ..sent.clone() }).await;
    assert!(matches!(ahead, Err(StoreError::Stale { .. })), "{ahead:?}");
    assert_eq!(store.filing(first.id).await.unwrap(), Some(sent.clone()));
    assert_eq!(store.filing_of_message("m-1").await.unwrap(), Some(sent));
    assert_eq!(store.filing_of_message("m-2").await.unwrap(), None);
}

pub async fn filings_are_found_by_what_is_asked(url: String) {
    let store = made(&url).await;
    let mut made = Vec::new();
    for (episode, event) in [("a", "outcome.accepted"), ("a", "outcome.closed"), ("b", "outcome.accepted")] {
        let (commit, filing) = filing(episode, event);
        store.commit(commit).await.unwrap();
        made.push(filing);
    }
    let late = Filing {
        version: 2,
        state: FilingState::NeedsPerson,
        overdue: true,
        since: at(50),
        look_at: Some(at(60)),
        ..made[1].clone()
    };
    put(&store, &late).await.unwrap();
    let ids = |found: Vec<Filing>| found.into_iter().map(|one| one.id).collect::<Vec<_>>();
    assert_eq!(ids(store.filings_of("a").await.unwrap()), [made[0].id, made[1].id]);
    let find = |find: FilingSearch| {
        let store = store.clone();
        async move { ids(store.find_filings(FilingSearch { count: 10, ..find }).await.unwrap()) }
    };
    assert_eq!(find(FilingSearch::default()).await, [made[0].id, made[2].id, made[1].id]);
    let state = Some(FilingState::Queued);
    assert_eq!(find(FilingSearch { state, ..FilingSearch::default() }).await, [made[0].id, made[2].id]);
    assert_eq!(find(FilingSearch { overdue: true, ..FilingSearch::default() }).await, [made[1].id]);
    let resource = Some(("ServiceRequest".to_owned(), "b".to_owned()));
    assert_eq!(find(FilingSearch { resource, ..FilingSearch::default() }).await, [made[2].id]);
    let after = Some((made[0].since, made[0].id));
    assert_eq!(find(FilingSearch { after, ..FilingSearch::default() }).await, [made[2].id, made[1].id]);
    let after = Some((at(50), made[1].id));
    assert!(find(FilingSearch { after, ..FilingSearch::default() }).await.is_empty());
    let practice = Some("A81001".to_owned());
    assert!(find(FilingSearch { practice, ..FilingSearch::default() }).await.is_empty());
    assert!(store.filings_to_look_at(at(59), 10).await.unwrap().is_empty());
    assert_eq!(ids(store.filings_to_look_at(at(60), 10).await.unwrap()), [made[1].id]);
    let counts = store.filing_counts().await.unwrap();
    let row = |state: &str, overdue, count| ("N84001".to_owned(), state.to_owned(), overdue, count);
    assert_eq!(counts, [row("needs-person", true, 1), row("queued", false, 2)]);
}

pub async fn a_row_is_sent_again_when_asked(url: String) {
    let store = made(&url).await;
    let (commit, filing) = filing("a", "outcome.accepted");
    store.commit(commit).await.unwrap();
    assert_eq!(store.due_queues("writeback:", at(1)).await.unwrap(), ["writeback:N84001"]);
    assert!(store.due_queues("webhook:", at(1)).await.unwrap().is_empty());
    let claimed = store.claim("writeback:N84001", at(1), at(61), 10).await.unwrap();
    assert!(store.due_queues("writeback:", at(2)).await.unwrap().is_empty(), "it is claimed");
    let again =
        Commit { requeue: vec![Requeue { id: filing.id, due: at(5), why: "by a person".into() }], ..Commit::default() };
    store.commit(again.clone()).await.unwrap();
    let result = OutboxResult { id: filing.id, lease: claimed[0].lease, state: Sent::GivenUp { why: "no".into() } };
    store.commit(Commit { sent: vec![result], ..Commit::default() }).await.expect("one under way is left alone");
    store.commit(again).await.unwrap();
    assert!(store.claim("writeback:N84001", at(4), at(64), 10).await.unwrap().is_empty());
    let claimed = store.claim("writeback:N84001", at(5), at(65), 10).await.unwrap();
    assert_eq!((claimed[0].row.id, claimed[0].attempts), (filing.id, 0));
}

pub async fn a_dictionary_keeps_what_was_seen_last(url: String) {
    let store = made(&url).await;
    let row = |kept, local: (&str, &str)| DictionaryRow {
        practice: OdsCode::parse("N84001").unwrap(),
        system: "http://snomed.info/sct".into(),
        code: "718466001".into(),
        kept,
        local: (local.0.into(), local.1.into()),
        seen_at: at(1),
    };
    for seen in [row(false, ("", "")), row(true, ("READ2", "388m."))] {
        store.commit(Commit { dictionary: vec![seen.clone()], ..Commit::default() }).await.unwrap();
        let found = store.dictionary("N84001", "http://snomed.info/sct", "718466001").await.unwrap();
        assert_eq!(found, Some(seen));
    }
    assert_eq!(store.dictionary("N84001", "http://snomed.info/sct", "1").await.unwrap(), None);
}
