//! Conformance: what the standards ask, asked of a gateway on a real socket.
//!
//! `README.md` beside this file says which requirement is shown where.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../tests/support/referrals.rs"]
mod referrals;
#[path = "../tests/support/running.rs"]
mod running;

mod bars;
mod fhir;
