//! The EMIS Web bulk extract: file names, header rows and CSV records, of every version seen.
//!
//! Columns are found by name, never by position or declared version; `mappings/emis-extract/source.csv`
//! lists the names. The dialect is RFC 4180 in UTF-8: <https://www.rfc-editor.org/rfc/rfc4180>.
//! It knows shapes, not meaning: it does not join tables, and does not say what is a referral.

pub mod cells;
pub mod name;
pub mod rows;
pub mod schema;

pub use name::{FileName, Table};
pub use rows::{Rows, View};
pub use schema::Columns;

use thiserror::Error;

/// Why a file cannot be read as an extract's. Names columns and lines, never a cell.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// Nothing in it, or its first line is not text.
    #[error("there is no header row")]
    NoHeader,
    /// Columns that the table cannot do without.
    #[error("the header row lacks {0}")]
    Missing(String),
    /// One name twice.
    #[error("the header row names {0} twice")]
    Twice(String),
    /// A record over the limit, often a quote that is never closed.
    #[error("the record that begins at line {line} is longer than {limit} bytes: is a quote left open?")]
    TooLong {
        /// Where it begins.
        line: u64,
        /// [`rows::RECORD_BYTES_MAX`].
        limit: u64,
    },
    /// The bytes could not be had: a damaged archive, a failing disk.
    #[error("it could not be read after line {line}: {why}")]
    Read {
        /// The last good line.
        line: u64,
        /// The reader's words.
        why: String,
    },
}
