//! A hostile caller at each operation of routing and outcomes, on each engine: nothing is a 500,
//! nothing is half-written, nothing of a patient is told to who may not see it, every request is in
//! the log, and the books and the log are whole after it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/message_headers.rs"]
mod message_headers;
#[path = "support/postgres.rs"]
mod postgres;
#[path = "support/program.rs"]
mod program;
#[path = "support/referrals.rs"]
mod referrals;
#[path = "support/running.rs"]
mod running;

#[path = "hostile/bodies.rs"]
mod bodies;
#[path = "hostile/edge.rs"]
mod edge;
#[path = "hostile/limits.rs"]
mod limits;
#[path = "hostile/races.rs"]
mod races;
#[path = "hostile/stage.rs"]
mod stage;
#[path = "hostile/table.rs"]
mod table;
#[path = "hostile/told.rs"]
mod told;

use stage::Stage;

/// Both engines, one after the other; PostgreSQL where it is there.
async fn on_each_engine(then: impl AsyncFn(&Stage)) {
    let server = postgres::start();
    let urls = std::iter::once(None).chain(server.iter().map(|server| Some(server.database("hostile"))));
    for url in urls {
        let stage = Stage::set(url).await;
        then(&stage).await;
        stage.is_whole();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_sent_is_refused_changes_nothing_and_is_in_the_log() {
    on_each_engine(async |stage| table::try_all(stage).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_twice_or_at_once_takes_effect_once() {
    on_each_engine(async |stage| races::try_all(stage).await).await;
}
