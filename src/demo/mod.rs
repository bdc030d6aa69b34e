//! The main job with no set-up: a gateway, simulated practice systems and a simulated wellness
//! database on loopback sockets. Everything here is synthetic and none of it is part of the path.

pub mod peer;
pub mod practice;
pub mod wellness;
