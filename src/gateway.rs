//! What every leg of the path may ask. It knows none of the legs; `opening` makes it.

use std::sync::{Arc, RwLock};

mod caseloads;

use crate::access::Access;
use crate::clock::Clock;
use crate::config::Config;
use crate::mapping::Mappings;
use crate::routing::{Calendar, Place};
use crate::store::Store;

pub use caseloads::Caseloads;

/// Configuration, reference data, the store, the time. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    /// The configuration, checked.
    pub config: Arc<Config>,
    /// Networks, practices, pools, link workers and rules: see [`Gateway::place`].
    pub places: Arc<RwLock<Arc<Place>>>,
    /// The place as its files have it, without what is kept by FHIR.
    pub files_place: Arc<Place>,
    /// The mappings and code tables, checked.
    pub mappings: Arc<Mappings>,
    /// Who may call.
    pub access: Arc<Access>,
    /// The store.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// How busy the pools are.
    pub caseloads: Arc<Caseloads>,
    /// Which days are working days.
    pub calendar: Arc<Calendar>,
}

impl Gateway {
    /// The place as it stands now. Kept for one decision, so that all of it is of one version.
    pub fn place(&self) -> Arc<Place> {
        self.places.read().unwrap_or_else(|held| held.into_inner()).clone()
    }

    /// Takes a place that was read and checked whole in the place of the one before.
    pub fn replace_place(&self, place: Place) {
        *self.places.write().unwrap_or_else(|held| held.into_inner()) = Arc::new(place);
    }
}
