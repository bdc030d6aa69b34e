//! The stored bytes that an outbox row names, and whom they concern.

use std::collections::BTreeSet;

use crate::fhir;
use crate::gateway::Gateway;
use crate::store::Stored;
use crate::store::commit::OutboxRow;

use super::runner::Unready;

/// The resource versions of a row, as stored.
///
/// # Errors
/// [`Unready::NotNow`] when the store does not answer, [`Unready::Never`] when a version is not there.
pub async fn stored(gateway: &Gateway, row: &OutboxRow) -> Result<Vec<Stored>, Unready> {
    let mut found = Vec::with_capacity(row.resources.len());
    for (kind, id, version) in &row.resources {
        match gateway.store.vread(kind, id, *version).await {
            Ok(Some(stored)) => found.push(stored),
            Ok(None) => return Err(Unready::Never(format!("the {kind} version to send is not in the store"))),
            Err(fault) => return Err(Unready::NotNow(format!("the store did not answer: {fault}"))),
        }
    }
    Ok(found)
}

/// The versions as the audit log names them.
pub fn entities(stored: &[Stored]) -> Vec<String> {
    stored.iter().map(|one| format!("{}/{}/_history/{}", one.kind, one.id, one.version)).collect()
}

/// The patients concerned, `Patient/id`, each once.
pub fn patients(stored: &[Stored]) -> Vec<String> {
    let patients: BTreeSet<String> = stored.iter().filter_map(patient).collect();
    patients.into_iter().collect()
}

fn patient(stored: &Stored) -> Option<String> {
    if stored.kind == "Patient" {
        return Some(format!("Patient/{}", stored.id));
    }
    let resource: fhir::Resource = serde_json::from_slice(&stored.body).ok()?;
    ["subject", "for", "patient"]
        .iter()
        .filter_map(|element| resource[*element]["reference"].as_str())
        .filter_map(fhir::split_reference)
        .find(|(kind, _)| *kind == "Patient")
        .map(|(kind, id)| format!("{kind}/{id}"))
}
