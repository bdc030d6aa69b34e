//! What a search of the store asks for and gives. Knows no SQL.

use jiff::Timestamp;

use super::Stored;

/// How one search parameter narrows. Values of one criterion are joined by "or", criteria by "and".
#[derive(Debug, Clone)]
pub struct Criterion {
    /// See [`super::param`].
    pub param: u8,
    /// The alternatives.
    pub any_of: Vec<Test>,
    /// `:not` - no row of the resource may match.
    pub negated: bool,
}

/// One value of a criterion.
#[derive(Debug, Clone)]
pub enum Test {
    /// The index value is this; `extra` narrows the system where given (`Some("")`: no system).
    Is {
        /// The code, reference or exact string.
        value: String,
        /// The system.
        extra: Option<String>,
    },
    /// The index value begins with this.
    StartsWith(String),
    /// Any code of this system.
    System(String),
    /// The resource's range lies in `[from, to)` or overlaps it, per FHIR's prefix; either end open.
    Within {
        /// Bounds on `extra >= from` / `value < to`, as 24-character UTC texts; empty: open.
        from: String,
        /// See `from`.
        to: String,
    },
    /// The parameter is absent (`:missing=true`) or present.
    Missing(bool),
}

/// A search over one resource type.
#[derive(Debug, Clone)]
pub struct Search {
    /// The resource type.
    pub kind: String,
    /// `_id`, if given: the alternatives.
    pub ids: Vec<String>,
    /// `_lastUpdated` bounds on the current version, `[from, to)`.
    pub updated: (Option<Timestamp>, Option<Timestamp>),
    /// All must hold.
    pub criteria: Vec<Criterion>,
    /// Rows the caller may see: `None` all, else any of these `(param::PRACTICE | param::POOL, value)`.
    pub visible: Option<Vec<(u8, String)>>,
    /// Newest first (by creation) when true.
    pub newest_first: bool,
    /// Most resources to return.
    pub count: usize,
    /// Where the last page ended, from [`Page::next`].
    pub after: Option<Cursor>,
    /// Also count all matches.
    pub total: bool,
}

/// Resources that are read at a time where all of a type are.
const EACH_PAGE: usize = 1000;

impl Search {
    /// Every current resource of a type, in the order of their making.
    pub fn of(kind: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            ids: Vec::new(),
            updated: (None, None),
            criteria: Vec::new(),
            visible: None,
            newest_first: false,
            count: EACH_PAGE,
            after: None,
            total: false,
        }
    }
}

/// A place between two pages. It stays true while others write: resources made after the first
/// page was read are not shown, and none is shown twice or skipped because another was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Creation order of the last resource shown.
    pub last: i64,
    /// The newest creation order when the first page was read.
    pub newest: i64,
}

/// One page of a search.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The current versions found.
    pub found: Vec<Stored>,
    /// Where to go on, if there is more.
    pub next: Option<Cursor>,
    /// All matches, if asked for.
    pub total: Option<u64>,
}

/// A search over audit entries.
#[derive(Debug, Clone, Default)]
pub struct EntrySearch {
    /// `Patient/id`.
    pub patient: Option<String>,
    /// The agent's client id.
    pub agent: Option<String>,
    /// `Type/id`, any version.
    pub entity: Option<String>,
    /// FHIR action letter.
    pub action: Option<String>,
    /// FHIR outcome digit.
    pub outcome: Option<String>,
    /// `Entry::interaction`.
    pub interaction: Option<String>,
    /// The entry's id.
    pub id: Option<String>,
    /// `[from, to)`.
    pub at: (Option<Timestamp>, Option<Timestamp>),
    /// Only positions below this.
    pub before: Option<u64>,
    /// At most this many.
    pub count: usize,
}
