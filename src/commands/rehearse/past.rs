//! Reads what a rehearsal needs of the store: decisions, when referrals came and ended, and the
//! groups that people are counted in. Nothing that names anybody leaves this folder.
//!
//! A county has tens of thousands of referrals: the store is read in pages, and of each record only
//! what is needed is kept.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::Failure;
use super::super::progress::Progress;
use super::people;
use crate::fhir::provenance::ROUTE;
use crate::gateway::Gateway;
use crate::rehearsal::{Decided, Measured, Past, Person};
use crate::routing::{Place, RouteInput};
use crate::store::commit::LedgerState;
use crate::store::{Search, StoreError, Stored};

/// What a ledger row waits for once a referral has ended and only its write-back is to come.
const WRITTEN_BACK: &str = "practice-system";
/// Records of a page: some are tens of kilobytes long.
const PAGE: usize = 200;

/// What was read.
pub struct Read {
    pub past: Vec<Past>,
    pub measured: Option<Measured>,
    /// The release of the deprivation data; empty: none is configured.
    pub deprivation: String,
}

/// Reads all stored referrals that a decision was made for.
pub async fn read(gateway: &Gateway, place: &Place) -> Result<Read, Failure> {
    let mut reader = Reader { gateway, progress: Progress::new("records"), read: 0 };
    let mut past = reader.decisions().await?;
    let deprivation = people::tell(&mut reader, place, &mut past).await?;
    let measured = reader.measured(&past).await?;
    Ok(Read { past, measured, deprivation })
}

/// Goes through the store.
pub struct Reader<'a> {
    gateway: &'a Gateway,
    progress: Progress,
    read: u64,
}

impl Reader<'_> {
    /// The decision of each referral that has one of its own; a second referral of somebody with an
    /// open episode went where the first was.
    async fn decisions(&mut self) -> Result<Vec<Past>, StoreError> {
        let rows = self.gateway.store.ledger(None, None).await?;
        let rows: HashMap<String, (Timestamp, Option<Timestamp>)> = rows
            .into_iter()
            .map(|row| {
                let over = matches!(row.state, LedgerState::Closed | LedgerState::Returned | LedgerState::Withdrawn);
                let ended = Some(row.since).filter(|_| over || row.waiting_on == WRITTEN_BACK);
                (row.id, (row.received_at, ended))
            })
            .collect();
        let (mut past, mut words) = (Vec::with_capacity(rows.len()), Words::default());
        self.each("Provenance", |_, body| {
            let Ok(provenance) = serde_json::from_slice::<Provenance<'_>>(body) else { return };
            let Some(referral) = provenance.target.iter().find_map(|target| target.id_of("ServiceRequest")) else {
                return;
            };
            let Some(decision) = provenance.decision(&mut words) else { return };
            let Some(&(at, ended)) = rows.get(referral) else { return };
            past.push(Past { referral: referral.to_owned(), at, decision, ended, person: Person::default() });
        })
        .await?;
        Ok(past)
    }

    /// Contacts of referrals that have ended.
    async fn measured(&mut self, past: &[Past]) -> Result<Option<Measured>, StoreError> {
        let ended: HashSet<&str> =
            past.iter().filter(|past| past.ended.is_some()).map(|past| past.referral.as_str()).collect();
        let (mut contacts, mut met) = (0, HashSet::new());
        self.each("Encounter", |_, body| {
            let Ok(encounter) = serde_json::from_slice::<Encounter<'_>>(body) else { return };
            let of = encounter.based_on.iter().find_map(|reference| reference.id_of("ServiceRequest"));
            if let Some(referral) = of.filter(|_| encounter.status == "finished").and_then(|of| ended.get(of)) {
                contacts += 1;
                met.insert(*referral);
            }
        })
        .await?;
        Ok(Some(Measured { contacts, people: met.len() as u64 }).filter(|measured| measured.people > 0))
    }

    /// Shows every current resource of a type, by its id and its JSON, a page after the other.
    pub async fn each(&mut self, kind: &str, mut take: impl FnMut(&str, &[u8])) -> Result<(), StoreError> {
        let search = Search { count: PAGE, ..Search::of(kind) };
        let (progress, read) = (&mut self.progress, &mut self.read);
        let shown = |stored: Stored| {
            if !stored.deleted {
                take(&stored.id, &stored.body);
            }
            *read += 1;
            progress.at(*read, 0);
            Ok(())
        };
        self.gateway.store.each(search, shown).await
    }
}

/// Texts that many records share, each kept once.
#[derive(Debug, Default)]
pub struct Words(HashSet<Arc<str>>);

impl Words {
    /// The one that reads so.
    pub fn of(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        let new: Arc<str> = text.into();
        self.0.insert(new.clone());
        new
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Provenance<'a> {
    #[serde(borrow)]
    target: Vec<Reference<'a>>,
    #[serde(borrow)]
    extension: Vec<Extension<'a>>,
}

impl Provenance<'_> {
    fn decision(&self, words: &mut Words) -> Option<Decided> {
        let text = self.extension.iter().find(|extension| extension.url == ROUTE)?;
        let stored: Decision<'_> = serde_json::from_str(&text.value_string).ok()?;
        Some(Decided {
            pool: words.of(&stored.pool),
            by_hand: stored.by_hand.is_some(),
            input: stored.input,
            seen: stored.seen.iter().map(|(pool, open)| (words.of(pool), *open)).collect(),
            version: words.of(&stored.version),
        })
    }
}

/// As much of [`crate::routing::Decision`] as is needed.
#[derive(Debug, Deserialize)]
struct Decision<'a> {
    #[serde(borrow)]
    pool: Cow<'a, str>,
    #[serde(default)]
    by_hand: Option<IgnoredAny>,
    input: RouteInput,
    #[serde(default)]
    seen: Vec<(String, u64)>,
    #[serde(borrow)]
    version: Cow<'a, str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Encounter<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    based_on: Vec<Reference<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Extension<'a> {
    #[serde(borrow)]
    url: Cow<'a, str>,
    #[serde(borrow)]
    value_string: Cow<'a, str>,
}

/// A reference to a resource.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Reference<'a> {
    #[serde(borrow)]
    reference: Cow<'a, str>,
}

impl Reference<'_> {
    /// The id of a reference to a resource of a type, with or without its version.
    pub fn id_of(&self, kind: &str) -> Option<&str> {
        let rest = self.reference.strip_prefix(kind)?.strip_prefix('/')?;
        rest.split('/').next()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stored(decision: &serde_json::Value) -> String {
        json!({"resourceType": "Provenance", "target": [{"reference": "ServiceRequest/r-1/_history/2"}],
            "extension": [{"url": "https://example.org/other", "valueString": "{}"},
                {"url": ROUTE, "valueString": decision.to_string()}]})
        .to_string()
    }

    fn read(text: &str, words: &mut Words) -> Option<Decided> {
        serde_json::from_str::<Provenance<'_>>(text).unwrap().decision(words)
    }

    #[test]
    fn decisions_share_the_texts_that_are_the_same() {
        let whole = json!({"pool": "north", "pool_name": "North", "input": {"practice": null, "on": "2026-02-04"},
            "by_hand": {"client": "ops", "from": "south", "reason": "asked"}, "reasons": ["because"], "passed_over": [],
            "seen": [["north", 3]], "version": "0123456789ab"});
        let mut words = Words::default();
        let text = stored(&whole);
        let (one, other) = (read(&text, &mut words).unwrap(), read(&text, &mut words).unwrap());
        assert!(Arc::ptr_eq(&one.pool, &other.pool) && Arc::ptr_eq(&one.pool, &other.seen[0].0));
        assert_eq!((&*one.version, one.by_hand, one.seen[0].1), ("0123456789ab", true, 3));
        let provenance: Provenance<'_> = serde_json::from_str(&text).unwrap();
        assert_eq!(provenance.target[0].id_of("ServiceRequest"), Some("r-1"));
        assert_eq!(provenance.target[0].id_of("Patient"), None);
    }

    #[test]
    fn one_that_was_linked_or_is_damaged_is_no_decision() {
        let mut words = Words::default();
        let linked = json!({"pool": "north", "reasons": ["an open episode is with this pool"]});
        assert!(read(&stored(&linked), &mut words).is_none());
        assert!(read(&stored(&json!("north")), &mut words).is_none());
        assert!(read(r#"{"resourceType": "Provenance"}"#, &mut words).is_none());
    }
}
