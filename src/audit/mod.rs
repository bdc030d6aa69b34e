//! The audit log: who did what to which data and why, in a log that cannot be quietly changed.
//!
//! Entries are leaves of an RFC 6962 Merkle tree; its head is signed as a C2SP checkpoint in the
//! same transaction as the entries. <https://www.rfc-editor.org/rfc/rfc6962#section-2>,
//! <https://c2sp.org/tlog-checkpoint>, <https://c2sp.org/signed-note>

pub mod disclosure;
mod entry;
pub mod event;
pub mod export;
pub mod key;
pub mod note;
pub mod prove;
pub mod tiles;
pub mod tree;
pub mod verify;

pub use entry::{Action, Agent, Entry, Kind, Outcome};
pub use event::{Observer, audit_event};
pub use note::{Signer, Verifier};
pub use tiles::tile;
