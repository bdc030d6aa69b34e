//! What an ingest came to: counts that add up, and a line a candidate.

use serde::Serialize;

/// Lines kept in a result; the counts go on beyond it.
const MESSAGES_MAX: usize = 100_000;

/// What an ingest came to. `received` is the sum of the seven counts after it, always.
#[derive(Debug, Clone, Default, Serialize)]
pub struct IngestResult {
    /// Referral candidates that this ingest had to do with.
    pub received: u64,
    /// In the store and with a pool.
    pub committed: u64,
    /// Nothing new in them.
    pub duplicate: u64,
    /// Kept; a person must look.
    pub held: u64,
    /// Refused.
    pub rejected: u64,
    /// One half has come and the other may still.
    pub waiting: u64,
    /// Deleted at source.
    pub withdrawn: u64,
    /// Test patients, and rows that are not social prescribing.
    pub ignored: u64,
    /// Files read now; those of an extract that are known already are not.
    pub files: u64,
    /// Files that are not what they claim to be: the exit status is then 1.
    pub unreadable: u64,
    /// Columns that no version of the extract has; of messages, none.
    pub unknown_columns: u64,
    /// A line a candidate (but the ignored) or message, and a line an extract's file that was not read to its end.
    pub messages: Vec<Line>,
}

/// One candidate, message or file.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// The referral's logical id, or the file's name.
    pub id: String,
    /// The file of a message; of an extract's candidate, which has several, nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The count that it is in; `file-known`, `file-changed`, `file-unreadable` for a file.
    pub outcome: String,
    /// Why, in words; no patient data.
    pub issues: Vec<String>,
}

/// The seven ways to count a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::intake) enum Count {
    Committed,
    Duplicate,
    Held,
    Rejected,
    Waiting,
    Withdrawn,
    Ignored,
}

impl Count {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Duplicate => "duplicate",
            Self::Held => "held",
            Self::Rejected => "rejected",
            Self::Waiting => "waiting",
            Self::Withdrawn => "withdrawn",
            Self::Ignored => "ignored",
        }
    }
}

impl IngestResult {
    /// Counts one candidate.
    pub(in crate::intake) fn count(&mut self, count: Count) {
        self.received += 1;
        *match count {
            Count::Committed => &mut self.committed,
            Count::Duplicate => &mut self.duplicate,
            Count::Held => &mut self.held,
            Count::Rejected => &mut self.rejected,
            Count::Waiting => &mut self.waiting,
            Count::Withdrawn => &mut self.withdrawn,
            Count::Ignored => &mut self.ignored,
        } += 1;
    }

    /// Counts one candidate and says so in a line.
    pub(in crate::intake) fn say(&mut self, id: &str, count: Count, issues: Vec<String>) {
        self.count(count);
        self.line(id, count.word(), issues);
    }

    /// Counts one message and says so in a line; `readable`: its file is what it claims to be.
    pub(in crate::intake) fn message(&mut self, line: Line, count: Count, readable: bool) {
        self.count(count);
        self.files += 1;
        self.unreadable += u64::from(!readable);
        self.messages.push(line);
    }

    /// A line that is not counted.
    pub(in crate::intake) fn line(&mut self, id: &str, outcome: &str, issues: Vec<String>) {
        if self.messages.len() < MESSAGES_MAX {
            self.messages.push(Line { id: id.to_owned(), outcome: outcome.to_owned(), issues, file: None });
        }
    }

    /// The counts in words, for the audit log.
    pub(in crate::intake) fn summary(&self) -> String {
        format!(
            "{} files; {} received: {} committed, {} duplicate, {} held, {} rejected, {} waiting, {} withdrawn, {} ignored",
            self.files,
            self.received,
            self.committed,
            self.duplicate,
            self.held,
            self.rejected,
            self.waiting,
            self.withdrawn,
            self.ignored
        )
    }
}
