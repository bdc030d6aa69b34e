//! The place's pools, employers, link workers and venues as FHIR: shown, searched, and kept up to
//! date by the wellness database.
//!
//! - The place's files are written to the store as resources when the gateway starts to serve; a
//!   version is made only of what changed, and everybody may read them.
//! - An update by FHIR is checked with the whole place, by the checks of the files, before it is
//!   stored. It carries a label ([`KEPT`]); what carries it is laid over the files' rows from then on
//!   (`Place::with_overlay`), here at once and in other processes within seconds.
//! - Files and FHIR can contradict each other after a file was changed: then the files' place is
//!   served alone, and the log says which rows do not fit. A rehearsal asks the same of proposed files.
//!
//! New pools and link workers, and whose referrals a pool takes, are the files' to say.

mod publish;
mod read;

pub use publish::{Kept, Misfit, laid_over, publish, refresh, watch};

use serde_json::{Value, json};

use crate::access::Caller;
use crate::audit::{Action, Entry, Kind};
use crate::config::Role;
use crate::fhir::{self, version};
use crate::gateway::Gateway;
use crate::outcome::Write;
use crate::rejection::{BarsError, IssueType, Rejection};
use crate::store::commit::Commit;
use crate::store::{Stored, param};

/// The types that may be updated by FHIR.
pub const KINDS: [&str; 4] = ["HealthcareService", "Practitioner", "PractitionerRole", "Location"];
/// The system and code of the label of what is kept by FHIR.
const KEPT: (&str, &str) = ("https://fingerpost.dev/CodeSystem/source", "kept-by-fhir");

/// Updates a pool, link worker or venue: the caller's own, or any for a consumer.
///
/// # Errors
/// 404 for one that is not there, 403 for another pool's, 412 after a newer version, 422 with the
/// element for what is not right, alone or with the rest of the place.
pub async fn update(gateway: &Gateway, caller: &Caller, write: Write) -> Result<Stored, Rejection> {
    let (kind, id) = (write.kind.as_str(), write.id.as_deref().unwrap_or(""));
    let current = gateway.store.read(kind, id).await?.filter(|stored| !stored.deleted);
    let current = current.ok_or_else(Rejection::not_found)?;
    if write.if_match.is_some_and(|seen| seen != current.version) {
        let words = format!("the current version is {}; read it again", current.version);
        return Err(Rejection::new(BarsError::PreconditionFailed, IssueType::Conflict, words));
    }
    let mut overlay = publish::overlay(gateway).await?;
    let pools = read::apply(&gateway.files_place, &mut overlay, &write.resource)?;
    if caller.role == Role::Pool && !pools.iter().all(|pool| caller.pools.contains(pool)) {
        return Err(Rejection::forbidden("it belongs to another pool"));
    }
    let place = gateway.files_place.with_overlay(&overlay).map_err(|faults| {
        let texts: Vec<String> = faults.into_iter().map(|fault| fault.text).collect();
        Rejection::unprocessable(IssueType::BusinessRule, texts.join("; ")).at(kind)
    })?;
    let mut resource = version::content(write.resource.clone());
    resource["meta"]["tag"] = json!([{"system": KEPT.0, "code": KEPT.1}]);
    let at = gateway.clock.now();
    let made = version::write(resource, current.version + 1, at, &everybody(), String::new());
    let (body, number) = (made.body.clone(), made.version);
    let entry = Entry {
        request: write.request.clone(),
        entities: vec![format!("{kind}/{id}/_history/{number}")],
        ..Entry::operations(Kind::Rest, "update", Action::U, caller.agent(), at)
    };
    gateway.store.commit(Commit { writes: vec![made], audit: vec![entry], ..Commit::default() }).await?;
    gateway.replace_place(place);
    // Another update may have come in between: the store has both.
    refresh(gateway).await?;
    Ok(Stored {
        kind: kind.to_owned(),
        id: id.to_owned(),
        version: number,
        at,
        deleted: false,
        body,
        lineage: String::new(),
    })
}

/// Everybody who signs in may know who works where.
fn everybody() -> [(u8, String); 1] {
    [(param::POOL, crate::access::EVERYBODY.to_owned())]
}

fn is_kept(resource: &Value) -> bool {
    fhir::each(&resource["meta"]["tag"]).any(|tag| tag["system"] == KEPT.0 && tag["code"] == KEPT.1)
}
