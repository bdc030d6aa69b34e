//! What is kept by FHIR (pools, link workers, absences, venues), laid over the proposed files as a
//! gateway that served them would; and what of it does not fit, or hides a change of the files.

use std::collections::BTreeSet;

use crate::directory;
use crate::gateway::Gateway;
use crate::rehearsal::{Kept, LeftOut};
use crate::routing::{Absence, Place, Pool, Venue, Worker};
use crate::store::StoreError;

/// The proposed place as it would be served, and what there is to say of it. `aside`: without what
/// is kept by FHIR.
pub async fn laid_over(gateway: &Gateway, files: Place, aside: bool) -> Result<(Place, Kept), StoreError> {
    if aside {
        return Ok((files, Kept { aside, ..Kept::default() }));
    }
    let laid = directory::laid_over(gateway, &files).await?;
    let left_out = laid.misfits.into_iter().map(|misfit| LeftOut { what: misfit.what, why: misfit.why }).collect();
    let overlay = &laid.overlay;
    let named = |kind: &'static str, id: &str| (kind, id.to_owned());
    let pools = overlay.pools.iter().map(|row| named("pool", &row.id));
    let workers = overlay.workers.iter().map(|row| named("link worker", &row.id));
    let venues = overlay.venues.iter().map(|row| named("venue", &row.id));
    let rows: BTreeSet<(&str, String)> = pools.chain(workers).chain(venues).collect();
    let running = gateway.place();
    let hides = |(kind, id): &&(&str, String)| {
        of(&gateway.files_place, kind, id) != of(&files, kind, id)
            && of(&running, kind, id) == of(&laid.place, kind, id)
    };
    let words = |(kind, id): &(&str, String)| format!("{kind} {id}");
    let hidden = rows.iter().filter(hides).map(words).collect();
    let kept = Kept { aside, rows: rows.iter().map(words).collect(), left_out, hidden };
    Ok((laid.place, kept))
}

/// All rows of an id, apart from the lines that they stand on.
fn of(place: &Place, kind: &str, id: &str) -> (Vec<Pool>, Vec<Worker>, Vec<Absence>, Vec<Venue>) {
    let mine = |is: &str, of: &str| kind == is && of == id;
    (
        place.pools().iter().filter(|row| mine("pool", &row.id)).map(|row| Pool { line: 0, ..row.clone() }).collect(),
        place
            .workers()
            .iter()
            .filter(|row| mine("link worker", &row.id))
            .map(|row| Worker { line: 0, ..row.clone() })
            .collect(),
        place
            .absences()
            .iter()
            .filter(|row| mine("link worker", &row.worker))
            .map(|row| Absence { line: 0, ..row.clone() })
            .collect(),
        place
            .venues()
            .iter()
            .filter(|row| mine("venue", &row.id))
            .map(|row| Venue { line: 0, ..row.clone() })
            .collect(),
    )
}
