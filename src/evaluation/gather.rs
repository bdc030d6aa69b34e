//! Reading what an evaluation needs from the store, a page at a time: the referrals of the period
//! and what hangs on them. Of each resource only groups, codes and counts are kept.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::case::{Case, Label, Standing, label};
use super::{Gathered, Question};
use crate::fhir::{self, dates, each, measure, onward, split_reference};
use crate::outcome::measure::taken::{self, Absent};
use crate::outcome::measure::{Number, Part, measures};
use crate::outcome::paired::Score;
use crate::store::{Search, Store, StoreError, Stored, param};

/// Reads all that a question is about. Later outcomes of the period's referrals are in it too.
///
/// # Errors
/// The store's.
pub async fn gather(store: &Store, question: &Question) -> Result<Gathered, StoreError> {
    let mut cases = cohort(store, question).await?;
    let pages = Pages { store, practice: question.practice.as_deref() };
    let mut people: BTreeMap<String, Vec<String>> = BTreeMap::new();
    pages
        .each("ServiceRequest", |_, request| {
            if let Some((case, _)) = cases.get_mut(fhir::id(request)) {
                case.reasons = each(&request["reasonCode"]).filter_map(label).collect();
                if let Some(("Patient", id)) = request["subject"]["reference"].as_str().and_then(split_reference) {
                    people.entry(id.to_owned()).or_default().push(case.referral.clone());
                }
            } else if let Some((case, _)) = based_on(request).and_then(|id| cases.get_mut(id)) {
                sent_on(case, request);
            }
        })
        .await?;
    pages
        .each("Patient", |_, patient| {
            for referral in people.get(fhir::id(patient)).into_iter().flatten() {
                if let Some((case, received)) = cases.get_mut(referral) {
                    case.person(patient, *received);
                }
            }
        })
        .await?;
    pages
        .each("Task", |_, task| {
            let referral = task["focus"]["reference"].as_str().and_then(split_reference).map_or("", |(_, id)| id);
            if let Some((case, _)) = cases.get_mut(referral) {
                case.task(task);
            }
        })
        .await?;
    pages
        .each("Encounter", |_, encounter| {
            if let Some((case, _)) = based_on(encounter).and_then(|id| cases.get_mut(id)) {
                case.contact(encounter);
            }
        })
        .await?;
    let mut gathered = Gathered::default();
    pages
        .each("Observation", |order, observation| {
            if let Some((case, _)) = based_on(observation).and_then(|id| cases.get(id)) {
                scores(case, order, observation, &mut gathered);
            }
        })
        .await?;
    gathered.cases = cases.into_values().map(|(case, _)| case).collect();
    Ok(gathered)
}

/// The referrals received in the period, by their ServiceRequest's id.
async fn cohort(store: &Store, question: &Question) -> Result<BTreeMap<String, (Case, Timestamp)>, StoreError> {
    let mut cases = BTreeMap::new();
    for row in store.ledger(question.practice.as_deref(), None).await? {
        let day = row.received_at.to_zoned(TimeZone::UTC).date();
        let early = question.from.is_some_and(|from| day < from);
        if early || question.to.is_some_and(|to| day > to) {
            continue;
        }
        let unknown = || "not sent".to_owned();
        let case = Case {
            standing: Standing::of_ledger(&row),
            referral: row.id.clone(),
            age: unknown(),
            sex: unknown(),
            ethnicity: unknown(),
            ..Case::default()
        };
        cases.insert(row.id, (case, row.received_at));
    }
    Ok(cases)
}

struct Pages<'a> {
    store: &'a Store,
    practice: Option<&'a str>,
}

impl Pages<'_> {
    /// Calls `found` with each current resource of a type, in the order of their making.
    async fn each(&self, kind: &str, mut found: impl FnMut(u64, &Value)) -> Result<(), StoreError> {
        let visible = self.practice.map(|practice| vec![(param::PRACTICE, practice.to_owned())]);
        let mut order = 0;
        let read = |stored: Stored| {
            if !stored.deleted {
                let resource: Value = serde_json::from_slice(&stored.body)
                    .map_err(|_| StoreError::Engine("a stored resource cannot be read".to_owned()))?;
                order += 1;
                found(order, &resource);
            }
            Ok(())
        };
        self.store.each(Search { visible, ..Search::of(kind) }, read).await
    }
}

/// The referral that a resource says it is based on.
fn based_on(resource: &Value) -> Option<&str> {
    let references = each(&resource["basedOn"]).filter_map(|one| one["reference"].as_str());
    references.filter_map(split_reference).find(|(kind, _)| *kind == "ServiceRequest").map(|(_, id)| id)
}

/// A service that the person was referred on to, or signposted to.
fn sent_on(case: &mut Case, request: &Value) {
    if matches!(request["status"].as_str(), Some("entered-in-error" | "revoked")) {
        return;
    }
    // The kind of support, where it is said; else where they were sent.
    let named = || each(&request["performer"]).find_map(|one| one["display"].as_str()).map(str::to_lowercase);
    let words = || Label { code: String::new(), words: named().unwrap_or_else(|| "not said".to_owned()) };
    let concept = label(&request["code"]).unwrap_or_else(words);
    let signpost = onward::sort(request) == Some(onward::SIGNPOST);
    if signpost { case.signposts.push(concept) } else { case.onward.push(concept) }
}

/// The scores that an Observation of a measure holds, or why it holds none.
fn scores(case: &Case, order: u64, observation: &Value, gathered: &mut Gathered) {
    if observation["status"].as_str() == Some("entered-in-error") {
        return;
    }
    let coded = each(&observation["code"]["coding"]).find_map(|coding| {
        measures().coded(coding["system"].as_str().unwrap_or(""), coding["code"].as_str().unwrap_or(""))
    });
    let Some(scale) = coded else { return };
    if let Some(reason) = measure::absent(observation) {
        let why = Absent::of(reason).map_or("not said", Absent::word);
        gathered.absent.push((scale.id.clone(), why));
        return;
    }
    let one = |id: &str, number: Number| Score {
        scale: id.to_owned(),
        version: measure::version(observation).unwrap_or("").to_owned(),
        episode: case.referral.clone(),
        ended: case.standing.is_over(),
        at: observation["effectiveDateTime"].as_str().and_then(dates::range).map_or(String::new(), |r| r.earliest),
        order,
        number,
    };
    match scale.part {
        // Its items are Observations of their own.
        Part::Group => {}
        Part::Panel => {
            if let Ok(taken::Taken::Items(_, items)) = taken::observation(measures(), observation) {
                gathered.scores.extend(items.iter().map(|(item, number)| one(&item.id, *number)));
            }
        }
        _ => gathered
            .scores
            .extend(Number::of(&observation["valueQuantity"]["value"]).map(|number| one(&scale.id, number))),
    }
}
