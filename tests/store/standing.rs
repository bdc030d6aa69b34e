//! Ledger, ignored counts, holds and episodes.

use fingerpost::fhir::ids::OdsCode;
use fingerpost::store::StoreError;
use fingerpost::store::commit::{Cause, Commit, Episode, Hold, Ignored, LedgerRow, LedgerState};
use uuid::Uuid;

use crate::support::*;

fn practice() -> OdsCode {
    OdsCode::parse("N84001").unwrap()
}

pub fn ledger(id: &str, state: LedgerState, seconds: i64) -> Commit {
    let row = LedgerRow {
        id: id.into(),
        message: Uuid::from_u128(1),
        practice: Some(practice()),
        state,
        since: at(seconds),
        waiting_on: "pool-1".into(),
        received_at: at(seconds),
    };
    Commit { ledger: vec![row], ..Commit::default() }
}

pub async fn the_ledger_keeps_when_a_referral_was_first_received(url: String) {
    let store = made(&url).await;
    store.commit(ledger("a", LedgerState::Waiting, 0)).await.unwrap();
    store.commit(ledger("b", LedgerState::Held, 90_000)).await.unwrap();
    let mut both = ledger("a", LedgerState::Open, 500);
    both.ledger.extend(ledger("a", LedgerState::Closed, 600).ledger);
    store.commit(both).await.unwrap();
    let row = store.ledger_row("a").await.unwrap().unwrap();
    assert_eq!((row.state, row.since, row.received_at), (LedgerState::Closed, at(600), at(0)));
    assert!(store.ledger_row("c").await.unwrap().is_none());
    let ids = |rows: Vec<LedgerRow>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(ids(store.ledger(None, None).await.unwrap()), ["a", "b"]);
    assert_eq!(ids(store.ledger(Some("N84001"), Some("2026-11-24")).await.unwrap()), ["a"]);
    assert_eq!(ids(store.ledger(None, Some("2026-11-25")).await.unwrap()), ["b"]);
    assert!(store.ledger(Some("N84002"), None).await.unwrap().is_empty());
    store.commit(ledger("d", LedgerState::Open, 700)).await.unwrap();
    store.commit(ledger("e", LedgerState::Open, 650)).await.unwrap();
    assert_eq!(ids(store.ledger_waiting("pool-1", at(10_000), 10).await.unwrap()), ["e", "d"], "the longest first");
    assert_eq!(ids(store.ledger_waiting("pool-1", at(700), 10).await.unwrap()), ["e"]);
    assert!(store.ledger_waiting("pool-2", at(10_000), 10).await.unwrap().is_empty());
    assert!(store.ledger(None, Some("yesterday")).await.is_err());
    let counts = store.ledger_counts(None).await.unwrap();
    assert_eq!(counts, [("closed".to_owned(), 1), ("held".to_owned(), 1), ("open".to_owned(), 2)]);
    assert!(store.ledger_counts(Some("N84002")).await.unwrap().is_empty());
}

pub async fn ignored_candidates_are_counted(url: String) {
    let store = made(&url).await;
    let (friday, monday) = (jiff::civil::date(2026, 1, 2), jiff::civil::date(2026, 1, 5));
    let of = |day, reason: &str, count| Ignored { practice: practice(), day, reason: reason.to_owned(), count };
    for count in [3, 4] {
        let ignored = vec![
            of(Some(friday), "test-patient", count),
            of(Some(friday), "not-coded", 1),
            of(Some(monday), "test-patient", 1),
            of(None, "test-patient", 5),
        ];
        store.commit(Commit { ignored, ..Commit::default() }).await.unwrap();
    }
    let expected = [
        of(None, "test-patient", 10),
        of(Some(friday), "not-coded", 2),
        of(Some(friday), "test-patient", 7),
        of(Some(monday), "test-patient", 2),
    ];
    assert_eq!(store.ignored().await.unwrap(), expected);
}

fn hold(id: u128, detail: &str, seconds: i64) -> Hold {
    Hold {
        id: Uuid::from_u128(id),
        cause: Cause::CodeUnknown,
        channel: "emis-extract".into(),
        received_at: at(seconds),
        source: "file.csv".into(),
        practice: None,
        detail: detail.into(),
        count: 1,
        referral: Some("a".into()),
        replay: "ORG/OBS".into(),
    }
}

pub async fn a_hold_made_again_is_one_hold(url: String) {
    let store = made(&url).await;
    let held = |hold: Hold, released: Vec<Uuid>| Commit { holds: vec![hold], released, ..Commit::default() };
    store.commit(held(hold(1, "first", 0), vec![])).await.unwrap();
    store.commit(held(hold(2, "other", 5), vec![])).await.unwrap();
    store.commit(held(hold(1, "again", 9), vec![])).await.unwrap();
    let holds = store.holds().await.unwrap();
    assert_eq!(holds.len(), 2);
    assert_eq!((holds[0].detail.as_str(), holds[0].received_at), ("again", at(0)));
    assert_eq!((holds[0].cause, holds[0].referral.as_deref()), (Cause::CodeUnknown, Some("a")));
    // Replayed, and held for the same cause again: it was never over.
    store.commit(held(hold(1, "still", 20), vec![Uuid::from_u128(1)])).await.unwrap();
    assert_eq!(store.holds().await.unwrap()[0].received_at, at(0));
    let released = vec![Uuid::from_u128(1), Uuid::from_u128(99)];
    store.commit(Commit { released, ..Commit::default() }).await.unwrap();
    let holds = store.holds().await.unwrap();
    assert_eq!((holds.len(), holds[0].detail.as_str()), (1, "other"));
    store.commit(held(hold(1, "anew", 30), vec![])).await.unwrap();
    assert_eq!(store.holds().await.unwrap()[1].received_at, at(30));
}

fn episode(id: &str, person: &str, pool: &str, open: bool) -> Commit {
    let (id, nhs_number, task, pool) = (id.to_owned(), person.to_owned(), format!("{id}-t"), pool.to_owned());
    let episode = Episode { id, nhs_number, task, pool, worker: String::new(), open };
    Commit { episodes: vec![episode], ..Commit::default() }
}

pub async fn a_person_has_one_open_episode(url: String) {
    let store = made(&url).await;
    store.commit(episode("a", "9990000018", "p1", true)).await.unwrap();
    store.commit(episode("b", "9990000026", "p1", true)).await.unwrap();
    assert_eq!(store.open_episode("9990000018").await.unwrap().unwrap().id, "a");
    let second = store.commit(episode("c", "9990000018", "p2", true)).await;
    match second {
        Err(StoreError::Stale { what }) => assert!(!what.contains("999"), "no patient data: {what}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(store.caseloads().await.unwrap(), [("p1".to_owned(), 2)]);
    store.commit(episode("a", "9990000018", "p1", false)).await.unwrap();
    assert!(store.open_episode("9990000018").await.unwrap().is_none());
    assert!(!store.episode("a").await.unwrap().unwrap().open);
    store.commit(episode("c", "9990000018", "p2", true)).await.unwrap();
    assert_eq!(store.caseloads().await.unwrap(), [("p1".to_owned(), 1), ("p2".to_owned(), 1)]);
    // Ended and begun in one commit.
    let mut both = episode("c", "9990000018", "p2", false);
    both.episodes.extend(episode("d", "9990000018", "p2", true).episodes);
    store.commit(both).await.unwrap();
    assert_eq!(store.open_episode("9990000018").await.unwrap().unwrap().id, "d");
    // Many at once: one is first.
    let racing = (0..16).map(|number| {
        let store = store.clone();
        tokio::spawn(
            async move { store.commit(episode(&format!("r{number}"), "9990000034", "p1", true)).await.is_ok() },
        )
    });
    let mut opened = 0;
    for task in racing.collect::<Vec<_>>() {
        opened += u32::from(task.await.unwrap());
    }
    assert_eq!(opened, 1);
}
