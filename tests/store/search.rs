//! Searches.

use fingerpost::store::commit::Commit;
use fingerpost::store::{Criterion, Page, Search, Store, Test, param};

use crate::support::*;

const SYSTEM: &str = "http://hl7.org/fhir/request-status";

fn search(criteria: Vec<Criterion>) -> Search {
    Search {
        kind: "ServiceRequest".into(),
        ids: Vec::new(),
        updated: (None, None),
        criteria,
        visible: None,
        newest_first: false,
        count: 100,
        after: None,
        total: true,
    }
}

fn is(param: u8, value: &str, extra: Option<&str>) -> Criterion {
    any(param, vec![Test::Is { value: value.into(), extra: extra.map(Into::into) }])
}

fn any(param: u8, any_of: Vec<Test>) -> Criterion {
    Criterion { param, any_of, negated: false }
}

fn not(criterion: Criterion) -> Criterion {
    Criterion { negated: true, ..criterion }
}

fn ids(page: &Page) -> Vec<&str> {
    page.found.iter().map(|stored| stored.id.as_str()).collect()
}

/// Ids of the ServiceRequests with this value.
pub async fn ids_of(store: &Store, param: u8, value: &str) -> Vec<String> {
    let page = store.search(search(vec![is(param, value, None)])).await.unwrap();
    page.found.into_iter().map(|stored| stored.id).collect()
}

async fn add(store: &Store, kind: &str, id: &str, index: Vec<fingerpost::store::commit::IndexRow>) {
    store.commit(Commit { writes: vec![write(kind, id, 1, index)], ..Commit::default() }).await.unwrap();
}

async fn three(store: &Store) {
    let day = |day: &str| format!("{day}T00:00:00.000Z");
    let status = |word: &str| row(param::STATUS, word, SYSTEM);
    let authored = |from: &str, to: &str| row(param::AUTHORED, &day(from), &day(to));
    add(
        store,
        "ServiceRequest",
        "a",
        vec![
            status("active"),
            authored("2026-01-01", "2026-01-02"),
            row(param::FAMILY, "ashworth", ""),
            row(param::CODE, "1", "urn:x"),
            row(param::CODE, "1", "urn:y"),
        ],
    )
    .await;
    add(
        store,
        "ServiceRequest",
        "b",
        vec![status("active"), authored("2026-02-01", "2026-03-01"), row(param::FAMILY, "ash%", "")],
    )
    .await;
    add(
        store,
        "ServiceRequest",
        "c",
        vec![status("revoked"), row(param::STATUS, "active", ""), row(param::CODE, "2", "urn:x")],
    )
    .await;
    add(store, "Task", "a", vec![status("active"), row(param::FAMILY, "ashworth", "")]).await;
}

pub async fn each_kind_of_test_narrows(url: String) {
    let store = made(&url).await;
    assert_eq!(store.search(search(vec![])).await.unwrap().total, Some(0), "an empty store");
    three(&store).await;
    let within = |from: &str, to: &str| {
        let day = |day: &str| if day.is_empty() { String::new() } else { format!("{day}T00:00:00.000Z") };
        any(param::AUTHORED, vec![Test::Within { from: day(from), to: day(to) }])
    };
    let starts = |prefix: &str| any(param::FAMILY, vec![Test::StartsWith(prefix.into())]);
    let missing = |param, is: bool| any(param, vec![Test::Missing(is)]);
    let cases: Vec<(Vec<Criterion>, &[&str])> = vec![
        (vec![], &["a", "b", "c"]),
        (vec![is(param::STATUS, "active", None)], &["a", "b", "c"]),
        (vec![is(param::STATUS, "active", Some(SYSTEM))], &["a", "b"]),
        (vec![is(param::STATUS, "active", Some(""))], &["c"]),
        (vec![is(param::STATUS, "activ", None)], &[]),
        (vec![not(is(param::STATUS, "active", Some(SYSTEM)))], &["c"]),
        (vec![is(param::CODE, "1", None)], &["a"]),
        (vec![any(param::CODE, vec![Test::System("urn:x".into())])], &["a", "c"]),
        (vec![not(any(param::CODE, vec![Test::System("urn:x".into())]))], &["b"]),
        (vec![missing(param::CODE, true)], &["b"]),
        (vec![missing(param::CODE, false)], &["a", "c"]),
        (vec![not(missing(param::CODE, true))], &["a", "c"]),
        (vec![any(param::CODE, vec![Test::Missing(true), Test::Is { value: "2".into(), extra: None }])], &["b", "c"]),
        (vec![starts("ash")], &["a", "b"]),
        (vec![starts("ash%")], &["b"]),
        (vec![starts("ashworth")], &["a"]),
        (vec![starts("ashworthy")], &[]),
        (vec![starts("")], &["a", "b"]),
        (vec![within("2026-01-15", "")], &["b"]),
        (vec![within("", "2026-01-15")], &["a"]),
        (vec![within("2026-01-02", "2026-02-01")], &["a"]),
        (vec![within("2026-01-01", "2026-04-01"), is(param::FAMILY, "ash%", None)], &["b"]),
        (vec![any(param::AUTHORED, vec![])], &[]),
        (vec![not(any(param::AUTHORED, vec![]))], &["a", "b", "c"]),
    ];
    for (number, (criteria, expected)) in cases.into_iter().enumerate() {
        let page = store.search(search(criteria.clone())).await.unwrap();
        assert_eq!(ids(&page), expected, "case {number}: {criteria:?}");
        assert_eq!(page.total, Some(expected.len() as u64), "case {number}");
        assert!(page.next.is_none());
    }
    let some = Search { ids: vec!["c".into(), "a".into(), "z".into()], newest_first: true, ..search(vec![]) };
    assert_eq!(ids(&store.search(some).await.unwrap()), ["c", "a"]);
    let early = Search { updated: (Some(at(0)), Some(at(1))), ..search(vec![]) };
    assert!(ids(&store.search(early).await.unwrap()).is_empty());
    let late = Search { updated: (Some(at(1)), None), ..search(vec![]) };
    assert_eq!(store.search(late).await.unwrap().found.len(), 3);
    let unknown = Search { kind: "Nothing\0".into(), ..search(vec![]) };
    assert_eq!(store.search(unknown).await.unwrap().total, Some(0));
}

pub async fn the_index_follows_the_current_version(url: String) {
    let store = made(&url).await;
    add(&store, "ServiceRequest", "a", vec![row(param::STATUS, "active", ""), row(param::FAMILY, "kept", "")]).await;
    let rows = vec![row(param::STATUS, "revoked", ""), row(param::FAMILY, "kept", "")];
    let second = write("ServiceRequest", "a", 2, rows);
    store.commit(Commit { writes: vec![second], ..Commit::default() }).await.unwrap();
    assert!(ids_of(&store, param::STATUS, "active").await.is_empty());
    assert_eq!(ids_of(&store, param::STATUS, "revoked").await, ["a"]);
    assert_eq!(ids_of(&store, param::FAMILY, "kept").await, ["a"]);
    let page = store.search(search(vec![])).await.unwrap();
    assert_eq!(page.found[0].version, 2);
    let mut gone = write("ServiceRequest", "a", 3, vec![row(param::FAMILY, "kept", "")]);
    gone.deleted = true;
    store.commit(Commit { writes: vec![gone], ..Commit::default() }).await.unwrap();
    assert!(store.search(search(vec![])).await.unwrap().found.is_empty(), "what is deleted is not found");
    assert!(store.visibility("ServiceRequest", "a").await.unwrap().is_empty());
    let back = write("ServiceRequest", "a", 4, vec![row(param::FAMILY, "kept", "")]);
    store.commit(Commit { writes: vec![back], ..Commit::default() }).await.unwrap();
    assert_eq!(ids_of(&store, param::FAMILY, "kept").await, ["a"]);
}

pub async fn only_visible_resources_are_found(url: String) {
    let store = made(&url).await;
    for (id, practice, pool) in [("a", "N1", "p1"), ("b", "N1", "p2"), ("c", "N2", "p1")] {
        let index =
            vec![row(param::PRACTICE, practice, ""), row(param::POOL, pool, ""), row(param::STATUS, "active", "")];
        add(&store, "ServiceRequest", id, index).await;
    }
    let seen = |visible: Vec<(u8, &str)>| {
        let visible = Some(visible.into_iter().map(|(param, value)| (param, value.to_owned())).collect());
        let (store, search) = (store.clone(), Search { visible, ..search(vec![is(param::STATUS, "active", None)]) });
        async move {
            let page = store.search(search).await.unwrap();
            assert_eq!(page.total, Some(page.found.len() as u64), "the count tells no more than the page");
            page.found.into_iter().map(|stored| stored.id).collect::<Vec<_>>()
        }
    };
    assert_eq!(seen(vec![(param::PRACTICE, "N1")]).await, ["a", "b"]);
    assert_eq!(seen(vec![(param::POOL, "p1")]).await, ["a", "c"]);
    assert_eq!(seen(vec![(param::PRACTICE, "N2"), (param::POOL, "p2")]).await, ["b", "c"]);
    assert!(seen(vec![(param::PRACTICE, "p1")]).await.is_empty());
    assert!(seen(vec![]).await.is_empty(), "nothing allowed, nothing seen");
}

pub async fn pages_stay_true_while_others_write(url: String) {
    for newest_first in [false, true] {
        let store = if newest_first { Store::open(&settings(&url), signer()).await.unwrap() } else { made(&url).await };
        let tag = if newest_first { "n" } else { "o" };
        let index = || vec![row(param::CATEGORY, tag, "")];
        for number in 0..10 {
            add(&store, "ServiceRequest", &format!("{tag}{number}"), index()).await;
        }
        let first = Search { count: 3, newest_first, ..search(vec![is(param::CATEGORY, tag, None)]) };
        let mut page = store.search(first.clone()).await.unwrap();
        let mut seen: Vec<String> = Vec::new();
        let mut round = 0;
        loop {
            seen.extend(page.found.iter().map(|stored| stored.id.clone()));
            assert_eq!(page.total, Some(10));
            let Some(next) = page.next else { break };
            round += 1;
            add(&store, "ServiceRequest", &format!("{tag}-late-{round}"), index()).await;
            let change = write("ServiceRequest", &format!("{tag}0"), round + 1, index());
            store.commit(Commit { writes: vec![change], ..Commit::default() }).await.unwrap();
            page = store.search(Search { after: Some(next), ..first.clone() }).await.unwrap();
        }
        let mut expected: Vec<String> = (0..10).map(|number| format!("{tag}{number}")).collect();
        if newest_first {
            expected.reverse();
        }
        assert_eq!(seen, expected);
    }
}

/// More rows than a search counts before it drives by another criterion.
pub async fn a_common_value_and_a_rare_one_are_both_found(url: String) {
    let store = made(&url).await;
    for group in 0..5 {
        let writes = (0..500).map(|number| {
            let rare = format!("person-{}", (group * 500 + number) / 2);
            let index = vec![row(param::STATUS, "active", SYSTEM), row(param::PATIENT, &rare, "")];
            write("ServiceRequest", &format!("{group}-{number}"), 1, index)
        });
        store.commit(Commit { writes: writes.collect(), ..Commit::default() }).await.unwrap();
    }
    let both = vec![is(param::STATUS, "active", Some(SYSTEM)), is(param::PATIENT, "person-700", None)];
    assert_eq!(ids(&store.search(search(both)).await.unwrap()), ["2-400", "2-401"]);
    let common = Search { count: 2, ..search(vec![is(param::STATUS, "active", None)]) };
    let page = store.search(common).await.unwrap();
    assert_eq!((ids(&page), page.total), (vec!["0-0", "0-1"], Some(2500)));
    let without = vec![not(is(param::STATUS, "active", None))];
    assert_eq!(store.search(search(without)).await.unwrap().total, Some(0));
}
