//! The main job with no set-up: a gateway, simulated practice systems and a simulated wellness
//! database on loopback sockets. Everything here is synthetic and none of it is part of the path.
//!
//! `stage` opens the house and the peers around it, `samples` are the messages, `worker` is a link
//! worker at the other end of the FHIR API, `play` is the order of events, `journey` what came of
//! each referral.

pub mod journey;
pub mod peer;
pub mod play;
pub mod practice;
mod samples;
pub mod stage;
pub mod wellness;
mod worker;

/// Why the demo did not go on. In words; everything in the demo is synthetic.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DemoFault(String);

impl DemoFault {
    fn new(why: impl std::fmt::Display) -> Self {
        Self(why.to_string())
    }
}
