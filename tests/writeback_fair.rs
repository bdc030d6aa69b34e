//! In small: healthy practices are not delayed by sick ones, and sick ones are not hammered. The
//! measured run is `cargo bench --bench writeback`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/fair.rs"]
mod fair;

use std::time::Duration;

/// What an unoptimised program on a busy machine may add to a wait; less than the two seconds for
/// which a sick practice is waited for.
const NOISE: Duration = Duration::from_millis(1500);

/// What else the machine does may hit one run of the two. A gateway that lets the sick delay the others
/// fails every time.
const TRIES: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sick_practices_delay_nobody_else() {
    let mut seen = Vec::new();
    for _ in 0..TRIES {
        let well = fair::run(500, 50, 50, false).await;
        let sick = fair::run(500, 50, 50, true).await;
        println!("all well: {well:?}\none in 20 sick: {sick:?}");
        // Four at once at first, then one at a time with waits that double.
        let hammered = sick.worst_sick > 20 + u32::try_from(sick.took.as_secs()).unwrap() / 10;
        let delayed = sick.p99 > well.p99.mul_f64(1.5) + NOISE;
        if !hammered && !delayed {
            return;
        }
        seen.push((well, sick));
    }
    panic!("delayed, or hammered, each time: {seen:?}");
}
