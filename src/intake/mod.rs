//! Leg 1: take what comes, keep it, and only then acknowledge it.

pub mod bars;
pub mod emis;
pub mod folder;
pub mod messages;
pub mod replay;
pub mod result;
