//! The place's rows into the store, and what is kept by FHIR back over the rows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{KINDS, everybody, is_kept, read};
use crate::audit::{Action, Agent, Entry};
use crate::fhir::{self, directory, version};
use crate::gateway::Gateway;
use crate::routing::{Overlay, Place};
use crate::store::commit::Commit;
use crate::store::{Search, StoreError, Stored};

/// Resources written in one commit.
const WRITES_MAX: usize = 500;
/// Times that publishing is tried again because another process published too.
const RACES_MAX: usize = 5;
/// Seconds between two looks at whether another process took an update.
const POLL_SECONDS: u64 = 3;

/// Writes what changed of the files' rows to the store, and lays what is kept by FHIR over them.
///
/// # Errors
/// The store's fault.
pub async fn publish(gateway: &Gateway) -> Result<usize, StoreError> {
    for _ in 0..RACES_MAX {
        match once(gateway).await {
            Err(StoreError::Stale { .. }) => {}
            other => {
                refresh(gateway).await?;
                return other;
            }
        }
    }
    Err(StoreError::Overloaded)
}

async fn once(gateway: &Gateway) -> Result<usize, StoreError> {
    let now = gateway.clock.now();
    let mut wanted = resources(&gateway.files_place, now);
    let mut writes = Vec::new();
    for kind in KINDS.into_iter().chain(["Organization"]) {
        for stored in all(gateway, kind).await? {
            let body: Value = serde_json::from_slice(&stored.body).unwrap_or(Value::Null);
            let wish = wanted.remove(&(kind.to_owned(), stored.id.clone()));
            let next = match wish {
                _ if is_kept(&body) => continue,
                Some(wish) => wish,
                None => gone(version::content(body.clone())),
            };
            if next != version::content(body) {
                writes.push(version::write(next, stored.version + 1, now, &everybody(), String::new()));
            }
        }
    }
    writes.extend(wanted.into_values().map(|new| version::write(new, 1, now, &everybody(), String::new())));
    let made = writes.len();
    while !writes.is_empty() {
        let rest = writes.split_off(writes.len().min(WRITES_MAX));
        let entities = writes.iter().map(|w| format!("{}/{}/_history/{}", w.kind, w.id, w.version)).collect();
        let audit = vec![Entry {
            entities,
            ..super::entry("publish", Action::U, Agent::gateway(&gateway.config.gateway.ods), now)
        }];
        gateway.store.commit(Commit { writes, audit, ..Commit::default() }).await?;
        writes = rest;
    }
    Ok(made)
}

/// What the files no longer have is no longer active.
fn gone(mut resource: Value) -> Value {
    match fhir::kind(&resource) {
        "Location" => resource["status"] = json!("inactive"),
        _ => resource["active"] = json!(false),
    }
    resource
}

/// Every resource of a place, by type and id.
fn resources(place: &Place, now: Timestamp) -> BTreeMap<(String, String), Value> {
    let on = now.to_zoned(crate::clock::london()).date();
    let mut out = BTreeMap::new();
    let mut put = |resource: Value| {
        out.insert((fhir::kind(&resource).to_owned(), fhir::id(&resource).to_owned()), resource);
    };
    let pools: BTreeSet<&str> = place.pools().iter().map(|pool| pool.id.as_str()).collect();
    for pool in pools.iter().filter_map(|id| place.pool(id, on)) {
        let venues: BTreeSet<&str> =
            place.venues().iter().filter(|venue| venue.pool == pool.id).map(|venue| venue.id.as_str()).collect();
        put(directory::service(pool, &venues.into_iter().collect::<Vec<_>>(), on));
        put(directory::employer(pool));
    }
    // The row in force comes last of those of one person and pool, and so stands.
    let mut workers: Vec<_> = place.workers().iter().collect();
    workers.sort_by_key(|worker| worker.period.holds(on));
    for worker in workers {
        let away: Vec<_> = place.absences().iter().filter(|absence| absence.worker == worker.id).collect();
        let employer = place.pool(&worker.pool, on).map_or("", |pool| pool.employer_code.as_str());
        put(directory::practitioner(worker));
        put(directory::role(worker, employer, &away, on));
    }
    let mut venues: Vec<_> = place.venues().iter().collect();
    venues.sort_by_key(|venue| venue.period.holds(on));
    venues.into_iter().for_each(|venue| put(directory::location(venue, on)));
    out
}

/// All current resources of a type.
async fn all(gateway: &Gateway, kind: &str) -> Result<Vec<Stored>, StoreError> {
    let mut found = Vec::new();
    let keep = |stored: Stored| {
        found.push(stored);
        Ok(())
    };
    gateway.store.each(Search { visible: Some(everybody().to_vec()), ..Search::of(kind) }, keep).await?;
    Ok(found)
}

fn ask(kind: &str) -> Search {
    Search { visible: Some(everybody().to_vec()), count: 1, ..Search::of(kind) }
}

/// The rows that are kept by FHIR. One that no longer fits the files is left out, and said.
pub(super) async fn overlay(gateway: &Gateway) -> Result<Overlay, StoreError> {
    let mut overlay = Overlay::default();
    for kind in KINDS {
        for stored in all(gateway, kind).await? {
            let body: Value = serde_json::from_slice(&stored.body).unwrap_or(Value::Null);
            if is_kept(&body)
                && let Err(why) = read::apply(&gateway.files_place, &mut overlay, &body)
            {
                tracing::error!(kind, id = stored.id, %why, "a resource kept by FHIR does not fit the place's files");
            }
        }
    }
    Ok(overlay)
}

/// Lays what the store has over the files' place, and goes by that.
///
/// # Errors
/// The store's fault.
pub async fn refresh(gateway: &Gateway) -> Result<(), StoreError> {
    let overlay = overlay(gateway).await?;
    match gateway.files_place.with_overlay(&overlay) {
        Ok(place) if place.version != gateway.place().version => gateway.replace_place(place),
        Ok(_) => {}
        Err(faults) => {
            for fault in faults {
                tracing::error!(fault = fault.text, "what is kept by FHIR contradicts the place's files: not used");
            }
            gateway.replace_place((*gateway.files_place).clone());
        }
    }
    Ok(())
}

/// Takes over what other processes were told, until told to stop.
pub async fn watch(gateway: Gateway, mut stop: watch::Receiver<bool>) {
    let mut seen = gateway.clock.now();
    while !*stop.borrow() {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(POLL_SECONDS)) => {}
            changed = stop.changed() => if changed.is_err() { return },
        }
        let now = gateway.clock.now();
        match newer(&gateway, seen).await {
            Ok(false) => {}
            Ok(true) => match refresh(&gateway).await {
                Ok(()) => seen = now,
                Err(fault) => tracing::error!(error = %fault, "the place could not be read anew; looking again"),
            },
            Err(fault) => tracing::error!(error = %fault, "the place could not be looked at; looking again"),
        }
    }
}

/// True when something of the directory was written since then; clocks may differ by a minute.
async fn newer(gateway: &Gateway, since: Timestamp) -> Result<bool, StoreError> {
    let from = since.checked_sub(jiff::SignedDuration::from_mins(1)).unwrap_or(since);
    for kind in KINDS {
        let page = gateway.store.search(Search { updated: (Some(from), None), ..ask(kind) }).await?;
        if !page.found.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}
