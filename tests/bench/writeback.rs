//! Fairness of write-back: 10,000 outcomes to 500 practices, with and without one in twenty of
//! them slow or down. `cargo bench --bench writeback`; the first argument is outcomes a second.
#![allow(missing_docs)]

#[path = "../support/fair.rs"]
mod fair;

fn main() {
    let per_second = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(200);
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() else {
        return;
    };
    let well = runtime.block_on(fair::run(10_000, 500, per_second, false));
    println!("all well:        {well:?}");
    let sick = runtime.block_on(fair::run(10_000, 500, per_second, true));
    println!("one in 20 sick:  {sick:?}");
    println!("p99 ratio: {:.2}", sick.p99.as_secs_f64() / well.p99.as_secs_f64());
}
