//! The place's rows into the store, and what is kept by FHIR back over the rows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{KINDS, everybody, is_kept, read};
use crate::audit::{Action, Agent, Entry, Kind};
use crate::fhir::{self, directory, version};
use crate::gateway::Gateway;
use crate::routing::{Overlay, Place};
use crate::store::commit::{Commit, ResourceWrite};
use crate::store::{Races, Search, StoreError, Stored};

/// Resources written in one commit.
const WRITES_MAX: usize = 500;
/// Seconds between two looks at whether another process took an update.
const POLL_SECONDS: u64 = 3;

/// Writes what changed of the files' rows to the store, and lays what is kept by FHIR over them.
///
/// # Errors
/// The store's fault.
pub async fn publish(gateway: &Gateway) -> Result<usize, StoreError> {
    let mut races = Races::over("directory");
    loop {
        match once(gateway).await {
            // Another process published too.
            Err(StoreError::Stale { .. }) => races.again().await?,
            other => {
                refresh(gateway).await?;
                return other;
            }
        }
    }
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
        let entities = writes.iter().map(ResourceWrite::entity).collect();
        let agent = Agent::gateway(&gateway.config.gateway.ods);
        let audit = vec![Entry { entities, ..Entry::operations(Kind::Operation, "publish", Action::U, agent, now) }];
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

/// The rows that are kept by FHIR, as they fit the files' place. One that no longer fits is said.
pub(super) async fn overlay(gateway: &Gateway) -> Result<Overlay, StoreError> {
    let (overlay, misfits) = overlay_on(gateway, &gateway.files_place).await?;
    for misfit in misfits {
        tracing::error!(what = misfit.what, why = misfit.why, "what is kept by FHIR does not fit the place's files");
    }
    Ok(overlay)
}

/// The rows that are kept by FHIR, as they fit a place of files, and what does not fit it.
async fn overlay_on(gateway: &Gateway, files: &Place) -> Result<(Overlay, Vec<Misfit>), StoreError> {
    let (mut overlay, mut misfits) = (Overlay::default(), Vec::new());
    for kind in KINDS {
        for stored in all(gateway, kind).await? {
            let body: Value = serde_json::from_slice(&stored.body).unwrap_or(Value::Null);
            if !is_kept(&body) {
                continue;
            }
            if let Err(why) = read::apply(files, &mut overlay, &body) {
                let why = match why.status() {
                    404 => "the files do not have it".to_owned(),
                    _ => why.to_string(),
                };
                misfits.push(Misfit { what: format!("{kind}/{}", stored.id), why });
            }
        }
    }
    Ok((overlay, misfits))
}

/// What a place of files becomes with what is kept by FHIR laid over it, as a gateway that serves it would.
#[derive(Debug)]
pub struct Kept {
    /// The place that would be served.
    pub place: Place,
    /// The rows that were laid over it; none where they contradict the files.
    pub overlay: Overlay,
    /// What is kept and was left out, with the reason.
    pub misfits: Vec<Misfit>,
}

/// Something kept by FHIR that was not laid over a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Type and id, such as `HealthcareService/coastal`.
    pub what: String,
    /// Why not.
    pub why: String,
}

/// Lays what the store has over the files of any place, such as a proposed one.
///
/// # Errors
/// The store's fault.
pub async fn laid_over(gateway: &Gateway, files: &Place) -> Result<Kept, StoreError> {
    let (overlay, mut misfits) = overlay_on(gateway, files).await?;
    match files.with_overlay(&overlay) {
        Ok(place) => Ok(Kept { place, overlay, misfits }),
        Err(faults) => {
            let what = "all that is kept by FHIR".to_owned();
            misfits.extend(faults.into_iter().map(|fault| Misfit { what: what.clone(), why: fault.text }));
            Ok(Kept { place: files.clone(), overlay: Overlay::default(), misfits })
        }
    }
}

/// Lays what the store has over the files' place, and goes by that.
///
/// # Errors
/// The store's fault.
pub async fn refresh(gateway: &Gateway) -> Result<(), StoreError> {
    let kept = laid_over(gateway, &gateway.files_place).await?;
    for misfit in kept.misfits {
        tracing::error!(
            what = misfit.what,
            why = misfit.why,
            "kept by FHIR, but not as the place's files are: not used"
        );
    }
    if kept.place.version != gateway.place().version {
        gateway.replace_place(kept.place);
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
