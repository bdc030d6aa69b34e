//! Where a contact or measure is kept: its id and next version, or that it is there already.

use serde_json::Value;

use super::journey::{Journey, parsed};
use super::{Write, check};
use crate::access::Caller;
use crate::fhir::{self, ids::stable_id};
use crate::gateway::Gateway;
use crate::rejection::Rejection;
use crate::store::Stored;
use crate::store::commit::digest;

/// What stands at a write's place.
pub enum Place {
    /// The same thing was created before: the sender's retry.
    Already(Stored),
    /// `(id, version to make)`.
    Next(String, u32),
}

/// The referral of a write: of the stored resource for an update, of what it says for a create.
pub async fn journey(gateway: &Gateway, caller: &Caller, write: &Write) -> Result<Journey, Rejection> {
    let Some(id) = &write.id else { return Journey::of_outcome(gateway, caller, &write.resource).await };
    let stored = gateway.store.read(&write.kind, id).await?.filter(|stored| !stored.deleted);
    let stored = parsed(&stored.ok_or_else(Rejection::not_found)?)?;
    // A resource that is not the caller's is not told apart from one that is not there.
    Journey::of_outcome(gateway, caller, &stored).await.map_err(|_| Rejection::not_found())
}

/// A create has an id made from what is sent, so that sending it again makes nothing twice.
pub async fn place(gateway: &Gateway, journey: &Journey, write: &Write) -> Result<Place, Rejection> {
    let store = &gateway.store;
    if let Some(id) = &write.id {
        let stored = store.read(&write.kind, id).await?.ok_or_else(Rejection::not_found)?;
        check::if_match(write.if_match, stored.version)?;
        return Ok(Place::Next(id.clone(), stored.version + 1));
    }
    let id = stable_id(&[&journey.episode.id, &write.kind, &sent_as(&write.resource)]).to_string();
    Ok(match store.read(&write.kind, &id).await? {
        Some(stored) => Place::Already(stored),
        None => Place::Next(id, 1),
    })
}

/// What makes two creates the same: all that was sent but an id and meta, which the gateway gives.
fn sent_as(resource: &Value) -> String {
    let mut content = fhir::version::content(resource.clone());
    if let Some(members) = content.as_object_mut() {
        members.shift_remove("id");
        members.shift_remove("meta");
    }
    digest(content.to_string().as_bytes())
}
