//! Faults made on purpose: every write fails twice over, once not done and once done but failed.
//!
//! A test asks for a fault at one point; the writer of either engine meets it there, once. With
//! none asked for, the cost is one atomic read a transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where a group's transaction can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// Before the transaction begins: not done.
    Begin = 0,
    /// All written, before COMMIT: not done.
    Commit = 1,
    /// After COMMIT, before the answers: done, but told as failed.
    Answer = 2,
    /// Before a commit is handed to the writer: whoever asked for it panics.
    Caller = 3,
}

/// The faults asked for and not yet met.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<[AtomicU32; 4]>);

impl Faults {
    /// Makes the next `times` transactions that reach `point` fail there.
    pub fn fail(&self, point: Point, times: u32) {
        self.0[point as usize].store(times, Ordering::SeqCst);
    }

    /// Faults at `point` still to come.
    pub fn left(&self, point: Point) -> u32 {
        self.0[point as usize].load(Ordering::SeqCst)
    }

    /// True, once for each fault asked for, when the caller must fail here.
    pub(super) fn met(&self, point: Point) -> bool {
        self.0[point as usize].fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }
}
