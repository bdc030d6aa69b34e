//! The only place that asks the time. Everything else is told it.
//!
//! Instants are UTC in the store and on the wire; Europe/London appears only where a
//! source system writes local times (`parsing`) and where a person reads them.

use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};

/// A source of instants: the system's clock, or one that a test moves by hand.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's own clock.
    #[default]
    System,
    /// A clock that stands still until [`Clock::advance`] moves it.
    Fixed(Arc<Mutex<Timestamp>>),
}

impl Clock {
    /// A clock that stands at `at` until it is moved.
    pub fn fixed(at: Timestamp) -> Self {
        Self::Fixed(Arc::new(Mutex::new(at)))
    }

    /// The present instant, in UTC.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => Timestamp::now(),
            Self::Fixed(at) => *at.lock().unwrap_or_else(|held| held.into_inner()),
        }
    }

    /// Moves a fixed clock forward; the system's clock moves by itself.
    pub fn advance(&self, by: SignedDuration) {
        if let Self::Fixed(at) = self {
            let mut at = at.lock().unwrap_or_else(|held| held.into_inner());
            *at = at.checked_add(by).unwrap_or(*at);
        }
    }
}

/// An instant as FHIR writes it, to the millisecond: `2026-01-05T10:00:00.000Z`.
/// <https://hl7.org/fhir/R4/datatypes.html#instant>
pub fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Europe/London, whose rules are compiled in.
pub fn london() -> jiff::tz::TimeZone {
    jiff::tz::TimeZone::get("Europe/London").unwrap_or(jiff::tz::TimeZone::UTC)
}
