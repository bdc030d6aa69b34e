//! In small: healthy practices are not delayed by sick ones, and sick ones are not hammered. The
//! measured run is `cargo bench --bench writeback`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/fair.rs"]
mod fair;

use std::time::Duration;

/// What an unoptimised program on a busy machine may add to a wait; less than the two seconds for
/// which a sick practice is waited for.
const NOISE: Duration = Duration::from_millis(1500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sick_practices_delay_nobody_else() {
    let well = fair::run(500, 50, 50, false).await;
    let sick = fair::run(500, 50, 50, true).await;
    println!("all well: {well:?}\none in 20 sick: {sick:?}");
    assert!(sick.p99 <= well.p99.mul_f64(1.5) + NOISE, "{well:?} {sick:?}");
    // Four at once at first, then one at a time with waits that double.
    assert!(sick.worst_sick <= 20, "{sick:?}");
}
