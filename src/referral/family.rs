//! All resources that one referral is made of: what its message brought, what came of it, and
//! second referrals of the person that were linked to it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::commit::Ids;
use crate::fhir::ids::NHS_NUMBER;
use crate::fhir::{each, parameters, split_reference};
use crate::gateway::Gateway;
use crate::store::commit::Episode;
use crate::store::{Criterion, Search, Store, StoreError, Stored, Test, param};

/// Episodes of one person that are looked at.
pub(super) const EPISODES_MAX: usize = 50;
/// Outcomes that need not say which referral they are based on; found by the person, and taken
/// when they name the referral or its Task.
const BY_PERSON: [&str; 4] = ["EpisodeOfCare", "CarePlan", "Goal", "Communication"];

/// One resource of a referral, as it stands.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub kind: String,
    pub id: String,
    pub version: u32,
    /// Without what a version adds.
    pub content: Value,
    pub lineage: String,
}

/// Every resource of a referral with an episode, each once.
pub(super) async fn of(gateway: &Gateway, ids: &Ids, episode: &Episode) -> Result<Vec<Member>, StoreError> {
    let store = &gateway.store;
    let mut names = BTreeSet::new();
    of_message(store, ids, &mut names).await?;
    let patient = names.iter().find(|(kind, _)| kind == "Patient").map(|(_, id)| format!("Patient/{id}"));
    for linked in linked(store, ids, episode).await? {
        of_message(store, &Ids::of(&linked), &mut names).await?;
    }
    let referral = format!("ServiceRequest/{}", ids.referral);
    let based = parameters::PARAMETERS.iter().filter(|row| row.param == param::FOCUS && row.kind != "Task");
    for kind in based.map(|row| row.kind).collect::<BTreeSet<_>>() {
        find(store, kind, is(param::FOCUS, &referral, None), &mut names, |_| true).await?;
    }
    if let Some(patient) = patient {
        let ours = |text: &str| text.contains(&ids.referral) || text.contains(&ids.task);
        for kind in BY_PERSON {
            find(store, kind, is(param::PATIENT, &patient, None), &mut names, ours).await?;
        }
    }
    let mut members = Vec::with_capacity(names.len());
    for (kind, id) in names {
        let Some(stored) = store.read(&kind, &id).await?.filter(|stored| !stored.deleted) else { continue };
        let content = super::moves::content(&stored);
        members.push(Member { kind, id, version: stored.version, content, lineage: stored.lineage });
    }
    Ok(members)
}

/// What one message brought: the targets of its Provenance, and that.
async fn of_message(store: &Store, ids: &Ids, names: &mut BTreeSet<(String, String)>) -> Result<(), StoreError> {
    let Some(stored) = store.read("Provenance", &ids.provenance).await? else { return Ok(()) };
    let provenance: Value = serde_json::from_slice(&stored.body).unwrap_or(Value::Null);
    for target in each(&provenance["target"]) {
        if let Some((kind, id)) = target["reference"].as_str().and_then(split_reference) {
            names.insert((kind.to_owned(), id.to_owned()));
        }
    }
    for (kind, id) in [("Provenance", &ids.provenance), ("Task", &ids.task), ("ServiceRequest", &ids.referral)] {
        if store.read(kind, id).await?.is_some() {
            names.insert((kind.to_owned(), id.clone()));
        }
    }
    Ok(())
}

/// Second referrals of the person that were linked to this one's Task.
async fn linked(store: &Store, ids: &Ids, episode: &Episode) -> Result<Vec<String>, StoreError> {
    let task = format!("Task/{}", ids.task);
    let mut names = BTreeSet::new();
    let person = is(param::SUBJECT_IDENTIFIER, &episode.nhs_number, Some(NHS_NUMBER));
    find(store, "ServiceRequest", person, &mut names, |text| text.contains(&task)).await?;
    Ok(names.into_iter().map(|(_, id)| id).filter(|id| *id != ids.referral).collect())
}

fn is(param: u8, value: &str, system: Option<&str>) -> Criterion {
    let test = Test::Is { value: value.to_owned(), extra: system.map(str::to_owned) };
    Criterion { param, any_of: vec![test], negated: false }
}

/// Adds all resources of a type that match and whose text is wanted.
async fn find(
    store: &Store,
    kind: &str,
    criterion: Criterion,
    names: &mut BTreeSet<(String, String)>,
    wanted: impl Fn(&str) -> bool,
) -> Result<(), StoreError> {
    let ours = |stored: Stored| {
        if std::str::from_utf8(&stored.body).is_ok_and(&wanted) {
            names.insert((stored.kind, stored.id));
        }
        Ok(())
    };
    store.each(Search { criteria: vec![criterion], ..Search::of(kind) }, ours).await
}

/// True for a resource type that outcomes of a referral may have.
#[cfg(test)]
fn is_outcome(kind: &str) -> bool {
    BY_PERSON.contains(&kind) || parameters::PARAMETERS.iter().any(|row| row.param == param::FOCUS && row.kind == kind)
}

#[cfg(test)]
mod tests {
    /// A type that outcomes are written in and that a move would leave with the old pool.
    #[test]
    fn every_type_that_pools_write_moves() {
        for written in ["Observation", "Encounter", "QuestionnaireResponse", "Communication"] {
            assert!(super::is_outcome(written), "{written} would stay behind");
        }
    }
}
