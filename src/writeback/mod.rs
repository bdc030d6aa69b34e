//! Leg 9: outcomes into the GP record, tracked until the practice system has them.
//!
//! Each version of each entry is one outbox row and one [`Filing`](crate::store::filing::Filing)
//! under one key, on every route and every try. Rows are sent by `delivery::runner`; what an
//! answer, an acknowledgement, the clock or a person makes of a filing stands in `progress`, and
//! is one commit with all that follows from it (`settle`). When the last filing of an episode is
//! in the record the ledger row becomes `closed` or `returned` in that same commit; until then it
//! says `open`, waiting on `practice-system`.
//!
//! An entry that was kept as text without its code is in the record, so the loop closes; but
//! somebody is told (`writeback.without-code`) that a person must code it.
//!
//! # What is decided
//!
//! | what came | what follows |
//! |---|---|
//! | no connection, and nothing ever left on this route | tried again; after `infrastructure_hours` the next route |
//! | no answer, or 5xx: it may have been done | looked for by its key before it is sent again, where the route can be asked; never the next route without a person |
//! | refused for good: switched off (20010), payload (20009), 4xx, cannot be encoded, not collected in 5 days | the next route, under the same key; none left: `rejected` |
//! | the person is not there (30002, 30003, 30004), a correction cannot be applied (20014), a conflict | `needs-person`: another route would not be better |
//! | refused for now (transient) | the same message again, which its receiver knows by its id |
//! | taken, and a person must accept it (202), or it is not to be found yet | `awaiting-practice`: looked for every `look_again_minutes` |
//! | an acknowledgement is missing at its deadline | somebody is told, once; the filing stays where it is, and a late one still counts |
//! | an acknowledgement of a route that is over says yes | it counts; what is queued on another route is not sent |
//!
//! By MESH a message can be asked after by its local id (`ODS_KEY`) before it is sent again; files
//! laid in a folder have their message's id as name, so laying one twice is laying it once. What
//! comes of them nobody says: they stay `sent` until a person settles them: `filed`, or
//! `filed-without-code` for words or a document that a person at the practice did not code.

pub mod acknowledge;
mod carried;
pub mod document;
pub mod entry;
mod fhir_route;
pub mod file_record;
mod folder_route;
pub mod gather;
pub mod hl7v2;
pub mod itk3;
mod mesh;
mod mesh_route;
pub mod person;
mod practice;
pub mod progress;
mod route;
pub mod settle;
pub mod state;
pub mod watch;
pub mod wording;

use std::future::Future;

use crate::delivery::{WRITEBACK, runner};
use crate::gateway::Gateway;

pub use acknowledge::acknowledged;
pub use route::Route;

/// What the ledger says a referral waits for while its practice system has not all of it.
pub const PRACTICE_SYSTEM: &str = "practice-system";

/// Writes back to practice systems until `shutdown`, then lets the sends under way finish.
pub async fn run(gateway: Gateway, shutdown: impl Future<Output = ()>) {
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let watching = watch::run(gateway.clone(), stopped);
    let sending = async {
        let clients = practice::Clients::default();
        let to = |_: &Gateway, ods: &str| practice::Practice::new(&clients, ods);
        runner::run_queues(gateway, WRITEBACK, to, shutdown).await;
        stop.send_replace(true);
    };
    tokio::join!(sending, watching);
}
