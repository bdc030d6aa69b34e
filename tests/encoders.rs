//! The encoders of outcomes for GP systems: what they write is what it must be, is found again by a
//! reader, and cannot be broken by any text.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "encoders/golden.rs"]
mod golden;
#[path = "encoders/hl7.rs"]
mod hl7;
#[path = "encoders/hostile.rs"]
mod hostile;
#[path = "encoders/peers.rs"]
mod peers;
#[path = "encoders/refusals.rs"]
mod refusals;
#[path = "encoders/samples.rs"]
mod samples;
#[path = "encoders/structure.rs"]
mod structure;

use fingerpost::writeback::entry::Submission;
use fingerpost::writeback::itk3::Envelope;
use jiff::ToSpan;

/// Sent at once, from the gateway's mailbox; what is replaced was sent an hour before.
fn envelope(submission: &Submission) -> Envelope<'static> {
    let hour_before = submission.recorded.checked_sub(1.hour()).unwrap();
    Envelope { mailbox: "X26GWAY01", now: submission.recorded, replaced_at: submission.replaces.map(|_| hour_before) }
}
