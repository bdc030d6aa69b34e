//! Practice -> PCN -> link-worker pool, and the reasons. Pure: reference data, caseloads and the
//! date come in.
//!
//! [`Place`] is the reference data in force, read from a place's files (`config/README.md`, "A
//! place") and checked whole; [`route`] decides; [`Decision`] is the record of it. Filling
//! [`RouteInput`] from a referral is `referral`'s, clocks and re-routing too.

pub mod calendar;
mod check;
mod clocks;
mod crew;
mod engine;
mod files;
mod index;
mod input;
mod membership;
mod overlay;
mod people;
pub mod place;
mod read;
pub mod reference;
mod rows;
mod rules;
mod spans;
mod suit;
mod table;
mod words;

pub use calendar::Calendar;
pub use clocks::{Clocks, Plan};
pub use engine::route;
pub use input::{ByHand, Day, Decision, Loads, RouteInput, Sex, Source};
pub use overlay::Overlay;
pub use people::{Absence, Shift, Venue, Worker};
pub use place::{Capacity, Desk, Equity, Network, Place, PlaceFiles, Pool, Practice, Serves};
pub use rows::Period;
pub use rules::{Own, RULE_KEYS, Rule, To, When};
pub use table::Table;

#[cfg(test)]
mod tests;
