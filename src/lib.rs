#![doc = include_str!("README.md")]

pub mod referral;

pub mod delivery;
pub mod intake;
pub mod mapping;
pub mod matching;
pub mod outcome;
pub mod parsing;
pub mod routing;
pub mod store;
pub mod writeback;

pub mod access;
pub mod api;
pub mod audit;
pub mod clock;
pub mod commands;
pub mod config;
pub mod demo;
pub mod directory;
pub mod evaluation;
pub mod fhir;
pub mod gateway;
pub mod ledger;
pub mod nhs;
pub mod opening;
pub mod places;
pub mod rehearsal;
pub mod rejection;
pub mod runners;
pub mod suppress;
pub mod telemetry;
