//! Rows that came by another way than the files: pools, link workers, absences and venues that the
//! wellness database keeps by FHIR. Laid over the files' rows and checked whole with them.

use serde::{Deserialize, Serialize};

use super::files::short_digest;
use super::people::{Absence, Venue, Worker};
use super::place::{Place, Pool};
use crate::config::Fault;

/// Rows to lay over a place. What has an id here loses its rows of that id in the files; a link worker
/// here, or with an absence here, loses the absences in the files. To end something, give it a last day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Overlay {
    pub pools: Vec<Pool>,
    pub workers: Vec<Worker>,
    pub absences: Vec<Absence>,
    pub venues: Vec<Venue>,
}

impl Place {
    /// This place with rows laid over it; `self` should be the files' place, as overlays do not add up.
    /// The version is another one, unless the overlay is empty.
    ///
    /// # Errors
    /// Every fault of the result. A row of the overlay has line 0, and each text begins with what it
    /// is about: `pool ID`, `worker ID`, `absence of ID`, `venue ID`.
    pub fn with_overlay(&self, overlay: &Overlay) -> Result<Self, Vec<Fault>> {
        if *overlay == Overlay::default() {
            return Ok(self.clone());
        }
        let mut place = self.clone();
        let rows = &mut place.rows;
        rows.pools.retain(|row| !overlay.pools.iter().any(|other| other.id == row.id));
        rows.venues.retain(|row| !overlay.venues.iter().any(|other| other.id == row.id));
        rows.workers.retain(|row| !overlay.workers.iter().any(|other| other.id == row.id));
        rows.absences.retain(|row| {
            let told = |id: &String| *id == row.worker;
            !overlay.workers.iter().any(|other| told(&other.id))
                && !overlay.absences.iter().any(|other| told(&other.worker))
        });
        rows.pools.extend(overlay.pools.iter().map(|row| Pool { line: 0, ..row.clone() }));
        rows.venues.extend(overlay.venues.iter().map(|row| Venue { line: 0, ..row.clone() }));
        rows.workers.extend(overlay.workers.iter().map(|row| Worker { line: 0, ..row.clone() }));
        rows.absences.extend(overlay.absences.iter().map(|row| Absence { line: 0, ..row.clone() }));
        let mut faults = Vec::new();
        place.settle(&|file| format!("{}/{file}", self.id), &mut faults);
        // Serialising plain rows to memory cannot fail.
        let laid = serde_json::to_vec(overlay).unwrap_or_default();
        place.version = short_digest(&[self.version.as_bytes(), &laid].concat());
        if faults.is_empty() { Ok(place) } else { Err(faults) }
    }
}
