//! The time to first contact of a referral, as the store keeps it: what falls due next, and when.
//!
//! # The contract, which both stores keep
//!
//! - One row a referral. A later round (the referral went to another pool) replaces it whole.
//! - Within a round it only goes forward: to a later step, then to stopped. What was stopped stays
//!   so, whatever a process that read it earlier still writes.
//!
//! How long anything takes is not decided here: see `referral::clocks`.

use jiff::Timestamp;

/// What falls due next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The pool is reminded.
    Remind,
    /// Whoever looks after the pool is told.
    Escalate,
    /// The referral goes back to the referrer.
    Return,
}

impl Step {
    /// The number in the store.
    pub const fn number(self) -> i16 {
        match self {
            Self::Remind => 0,
            Self::Escalate => 1,
            Self::Return => 2,
        }
    }

    /// The step of a number in the store.
    pub const fn of(number: i16) -> Self {
        match number {
            0 => Self::Remind,
            1 => Self::Escalate,
            _ => Self::Return,
        }
    }

    /// The word for people.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Remind => "reminder",
            Self::Escalate => "escalation",
            Self::Return => "return",
        }
    }
}

/// One referral's time to first contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Countdown {
    /// The ServiceRequest's logical id; for an alert's clock, a key of its own (`outcome::attention`).
    pub referral: String,
    /// The pool or desk that should make contact.
    pub pool: String,
    /// Counts the pools that the referral was with, from 1.
    pub round: u32,
    /// When this round began.
    pub started: Timestamp,
    /// By when the person should have been contacted.
    pub target: Timestamp,
    /// What falls due at `due`; with no `due`, the last thing that did.
    pub step: Step,
    /// When; `None`: nothing more falls due.
    pub due: Option<Timestamp>,
    /// When it was stopped.
    pub stopped: Option<Timestamp>,
    /// Why it was stopped; empty while it runs. No patient data.
    pub why: String,
}

/// What a commit does to one countdown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Begins a round, or goes on to the next step of one.
    Set(Countdown),
    /// Stops it, if there is one and it runs.
    Stop {
        /// The referral.
        referral: String,
        /// When.
        at: Timestamp,
        /// Why, in a few words.
        why: &'static str,
    },
}

impl Countdown {
    /// True when `self` may take the place of what is stored.
    pub(super) fn follows(&self, stored: &Self) -> bool {
        self.round > stored.round
            || (self.round == stored.round && stored.stopped.is_none() && self.step >= stored.step)
    }

    /// The same, stopped.
    #[must_use]
    pub fn stopped(self, at: Timestamp, why: &str) -> Self {
        Self { due: None, stopped: Some(at), why: why.to_owned(), ..self }
    }
}
