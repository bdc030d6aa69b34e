//! What one commit holds. A commit is written whole or not at all.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::filing::{DictionaryRow, Filing, Requeue};
use crate::audit::Entry;
use crate::fhir::ids::OdsCode;

/// SHA-256 of some bytes, in hex.
pub fn digest(bytes: &[u8]) -> String {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Everything that one event changes, in one transaction: resource versions and their search
/// index, the message with its bytes, the ledger, holds, outbox rows and audit entries.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// Keys that must not have been used before; the first one taken refuses the commit.
    pub keys: Vec<DoorKey>,
    /// The message that brought this about, with its bytes.
    pub message: Option<Message>,
    /// New resource versions.
    pub writes: Vec<ResourceWrite>,
    /// Where referral candidates now stand.
    pub ledger: Vec<LedgerRow>,
    /// Counts of candidates of which nothing is kept: `(practice, reason, count)`.
    pub ignored: Vec<(OdsCode, String, u64)>,
    /// Holds made.
    pub holds: Vec<Hold>,
    /// Holds that are over (replayed, or withdrawn at source), by id.
    pub released: Vec<Uuid>,
    /// What must leave the house, each to one receiver.
    pub outbox: Vec<OutboxRow>,
    /// What became of claimed outbox rows.
    pub sent: Vec<OutboxResult>,
    /// Outbox rows, done or given up, that are to be sent again.
    pub requeue: Vec<Requeue>,
    /// Where entries stand on their way into practices' records.
    pub filings: Vec<Filing>,
    /// What practices' dictionaries were seen to do with codes.
    pub dictionary: Vec<DictionaryRow>,
    /// Open or changed episodes.
    pub episodes: Vec<Episode>,
    /// Clocks that begin, go on or stop.
    pub countdowns: Vec<super::countdown::Change>,
    /// Audit entries, in order; appended to the Merkle log by this commit.
    pub audit: Vec<Entry>,
}

impl Commit {
    /// Everything of both, this one's first. The message of the other stands where both have one.
    pub fn and(mut self, other: Self) -> Self {
        let Self {
            keys,
            message,
            writes,
            ledger,
            ignored,
            holds,
            released,
            outbox,
            sent,
            requeue,
            filings,
            dictionary,
            episodes,
            countdowns,
            audit,
        } = other;
        self.keys.extend(keys);
        self.message = message.or(self.message);
        self.writes.extend(writes);
        self.ledger.extend(ledger);
        self.ignored.extend(ignored);
        self.holds.extend(holds);
        self.released.extend(released);
        self.outbox.extend(outbox);
        self.sent.extend(sent);
        self.requeue.extend(requeue);
        self.filings.extend(filings);
        self.dictionary.extend(dictionary);
        self.episodes.extend(episodes);
        self.countdowns.extend(countdowns);
        self.audit.extend(audit);
        self
    }
}

/// What a commit got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Tree position of the commit's first audit entry; the others follow it.
    pub first_entry: u64,
}

/// A key at the door: (scope, key) can be taken once.
/// Scopes in use: `request` (sender + X-Request-Id), `bundle` (sender + Bundle.id), `jti`, `file`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoorKey {
    /// What kind of key.
    pub scope: &'static str,
    /// The key, made by the caller from all that makes it unique.
    pub key: String,
    /// SHA-256 (hex) of the content that came with it; tells `duplicate` from `conflict`.
    pub digest: String,
    /// After this the key may be forgotten; `None`: never.
    pub expires: Option<Timestamp>,
}

/// One thing that a sender sent, kept with its bytes.
#[derive(Debug, Clone)]
pub struct Message {
    /// Given at the door.
    pub id: Uuid,
    /// `bars`, `fhir`, `emis-extract`, ...
    pub channel: String,
    /// The client id, or the file's source.
    pub sender: String,
    /// When it was received.
    pub received_at: Timestamp,
    /// Its media type.
    pub content_type: String,
    /// SHA-256 of the bytes, hex.
    pub digest: String,
    /// As received. Empty where the source is kept elsewhere (an EMIS candidate's rows are in staging).
    pub bytes: Bytes,
    /// `committed`, `held`, `rejected`.
    pub outcome: &'static str,
}

/// One new version of one resource, with its index rows.
#[derive(Debug, Clone)]
pub struct ResourceWrite {
    /// The resource type.
    pub kind: String,
    /// The logical id.
    pub id: String,
    /// The version that this makes: 1 for a new resource. The current one must be `version - 1`,
    /// else the commit is [`super::StoreError::Stale`].
    pub version: u32,
    /// `meta.lastUpdated`.
    pub at: Timestamp,
    /// True for a deletion; the body is then empty.
    pub deleted: bool,
    /// The JSON that clients get, `id` and `meta` included. Served as it is.
    pub body: Bytes,
    /// What searches find it by. Replaces the rows of the version before.
    pub index: Vec<IndexRow>,
    /// Where each value came from, in the compact form of `mapping::Lineage`; empty if not mapped.
    pub lineage: String,
}

impl ResourceWrite {
    /// How an audit entry names it: `Type/id/_history/version`.
    pub fn entity(&self) -> String {
        format!("{}/{}/_history/{}", self.kind, self.id, self.version)
    }
}

/// One search index row. `param` is from `api::search`'s table of parameters.
///
/// - token: `value` is the code, `extra` the system (or empty);
/// - reference: `value` is `Type/id`;
/// - string: `value` is folded (lower case, no accents);
/// - date: `value` is the earliest and `extra` the latest instant, as 24-character UTC texts;
/// - visibility: `value` is an ODS code or a pool id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct IndexRow {
    /// A small number that names the parameter; see [`super::param`].
    pub param: u8,
    /// See above.
    pub value: String,
    /// See above.
    pub extra: String,
}

/// The states that a referral candidate can be in; each is in exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LedgerState {
    /// One half has come and the other may still.
    Waiting,
    /// With somebody: `waiting_on` says whom.
    Open,
    /// Ended, and the practice system has all of it.
    Closed,
    /// Given back to the referrer with a reason, and the practice system has it.
    Returned,
    /// A person must look.
    Held,
    /// Deleted at source.
    Withdrawn,
}

impl LedgerState {
    /// The word in the ledger.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Returned => "returned",
            Self::Held => "held",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// Where one referral candidate stands. Writing it again for the same id replaces it.
#[derive(Debug, Clone, Serialize)]
pub struct LedgerRow {
    /// The ServiceRequest's logical id (stable from the source key, so known before commit).
    pub id: String,
    /// The message that brought it last.
    pub message: Uuid,
    /// The practice, where known.
    pub practice: Option<OdsCode>,
    /// Its state.
    pub state: LedgerState,
    /// Since when.
    pub since: Timestamp,
    /// Whom or what it waits for: a pool id, `practice-system`, `source`, a hold's cause.
    pub waiting_on: String,
    /// When it was first received; kept from the first row when the row is replaced.
    pub received_at: Timestamp,
}

/// The words for why something is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Cause {
    CodeUnknown,
    CodeDamaged,
    NhsNumberMissing,
    NhsNumberInvalid,
    UrgencyUnmapped,
    ValueUnmapped,
    Encoding,
    PracticeUnknown,
    Agreement,
    PatientUnknown,
    Incomplete,
    Restricted,
    Deceased,
    Deducted,
    PracticeChanged,
    FileChanged,
    FileGap,
    MassDelete,
    DuplicateEpisode,
    NotAReferral,
    Unreadable,
    Limit,
}

impl Cause {
    /// Every cause, with its word.
    pub const ALL: [(Self, &'static str); 22] = [
        (Self::CodeUnknown, "code-unknown"),
        (Self::CodeDamaged, "code-damaged"),
        (Self::NhsNumberMissing, "nhs-number-missing"),
        (Self::NhsNumberInvalid, "nhs-number-invalid"),
        (Self::UrgencyUnmapped, "urgency-unmapped"),
        (Self::ValueUnmapped, "value-unmapped"),
        (Self::Encoding, "encoding"),
        (Self::PracticeUnknown, "practice-unknown"),
        (Self::Agreement, "agreement"),
        (Self::PatientUnknown, "patient-unknown"),
        (Self::Incomplete, "incomplete"),
        (Self::Restricted, "restricted"),
        (Self::Deceased, "deceased"),
        (Self::Deducted, "deducted"),
        (Self::PracticeChanged, "practice-changed"),
        (Self::FileChanged, "file-changed"),
        (Self::FileGap, "file-gap"),
        (Self::MassDelete, "mass-delete"),
        (Self::DuplicateEpisode, "duplicate-episode"),
        (Self::NotAReferral, "not-a-referral"),
        (Self::Unreadable, "unreadable"),
        (Self::Limit, "limit"),
    ];

    /// The word.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(cause, _)| *cause == self).map_or("", |(_, word)| word)
    }

    /// The cause that a word names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(cause, _)| *cause)
    }
}

/// Something kept that a person must look at. `id` is stable for one candidate (or file) and
/// cause, so that the same hold made again is one hold.
#[derive(Debug, Clone, Serialize)]
pub struct Hold {
    /// The hold's id.
    pub id: Uuid,
    /// Why.
    pub cause: Cause,
    /// `emis-extract`, `bars`, ...
    pub channel: String,
    /// When it was first held.
    pub received_at: Timestamp,
    /// The file, or the sender's client id.
    pub source: String,
    /// The practice, where known.
    pub practice: Option<OdsCode>,
    /// What was wrong, where, and what to do. No patient data.
    pub detail: String,
    /// How many candidates or rows it covers.
    pub count: u64,
    /// The ledger row it holds, if it holds one referral.
    pub referral: Option<String>,
    /// The message whose bytes are replayed; for EMIS, the candidate's staging key `ORG/OBS`.
    pub replay: String,
}

/// One thing to send to one receiver.
#[derive(Debug, Clone)]
pub struct OutboxRow {
    /// Stable per (episode, event, receiver): the idempotency key that the receiver sees.
    pub id: Uuid,
    /// `webhook:NAME` or `writeback:ODS`.
    pub queue: String,
    /// The ServiceRequest id; order is kept per (queue, episode).
    pub episode: String,
    /// The event, such as `referral.received`, `outcome.recorded`.
    pub event: String,
    /// The resource versions to send, `(kind, id, version)`; the sender reads their stored bytes.
    pub resources: Vec<(String, String, u32)>,
    /// When it was made.
    pub at: Timestamp,
}

/// An outbox row as claimed for sending.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The row.
    pub row: OutboxRow,
    /// Tries before this one.
    pub attempts: u32,
    /// Proves that this process holds the row; a result under an old lease changes nothing.
    pub lease: Uuid,
}

/// What became of a claimed outbox row.
#[derive(Debug, Clone)]
pub struct OutboxResult {
    /// The row.
    pub id: Uuid,
    /// The lease under which it was sent. A commit whose lease is no longer held is `Stale`.
    pub lease: Uuid,
    /// What became of it.
    pub state: Sent,
}

/// What became of a send.
#[derive(Debug, Clone)]
pub enum Sent {
    /// The receiver has it.
    Done,
    /// Not yet: try again at `next`. The reason has no patient data.
    Retry {
        /// When.
        next: Timestamp,
        /// Why it failed.
        why: String,
    },
    /// Given up: a person must look.
    GivenUp {
        /// Why.
        why: String,
    },
}

/// One person's open time with the service.
#[derive(Debug, Clone)]
pub struct Episode {
    /// The ServiceRequest id of the referral that opened it.
    pub id: String,
    /// The person. Episodes are found by this.
    pub nhs_number: String,
    /// The Task id.
    pub task: String,
    /// The pool id.
    pub pool: String,
    /// The link worker who has the person by the pool's own word, or whom routing suggested where it
    /// has said nothing yet; empty where none is known.
    pub worker: String,
    /// False once it is closed or returned.
    pub open: bool,
}
