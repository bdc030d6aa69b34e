//! MESH: the Message Exchange for Social Care and Health. Messages to practice systems leave by it, and
//! their acknowledgements and MESH's own reports come back by it.
//! <https://digital.nhs.uk/developer/api-catalogue/message-exchange-for-social-care-and-health-api>
//!
//! [`Client`] is version 2 of the interface and keeps nothing. [`inbox`] is the runner that empties the
//! gateway's mailbox: each message is kept, with what it brought about, before it is acknowledged.
//!
//! # What MESH does not promise
//!
//! - *Acknowledged* means collected, not filed. What became of a message is said by the receiver's own
//!   acknowledgements, which are messages too.
//! - Sending is not idempotent. After a lost answer nobody can be sure: see [`Client::find_sent`].
//! - An address by patient that finds no practice, and a message not collected in five days, are told by
//!   a REPORT in the inbox and not by the answer to the send.

pub mod address;
mod client;
mod envelope;
mod fault;
mod fetch;
mod gzip;
pub mod inbox;
mod kept;
mod send;
mod token;

pub use client::{Client, Mailbox, Page, Traced, Tracked};
pub use envelope::{Envelope, Kind, Report};
pub use fault::{MeshError, Refusal, report_code};
pub use fetch::Mail;
pub use kept::{CHANNEL, rehearse, replay};
pub use send::{Parcel, sent};
pub use token::Credentials;
