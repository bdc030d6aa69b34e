//! `fingerpost writeback`: where each entry stands on its way into the practices' records, and a
//! person's word on one: send it again, it is there, or it never will be.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Failure, Options, open, out};
use crate::audit::{Action, Outcome};
use crate::fhir::ids::OdsCode;
use crate::gateway::Gateway;
use crate::referral::reason;
use crate::store::filing::{Filing, FilingSearch, FilingState};
use crate::writeback::person::{Refusal, Word, says};

/// Filings that are read at once.
const PAGE: usize = 5000;
const HEADING: [&str; 7] = ["key", "practice", "event", "state", "route", "since", "why"];

/// Where outcomes stand on their way into the practices' records; send one again, or settle it
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fingerpost writeback list --state needs-person\n  fingerpost writeback retry \
                        6f0c5b1e-3f0a-5b7e-9d0b-0c6f3b1f2a4d --reason 'the practice switched it on again'")]
pub struct Writeback {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Entries on their way, longest in their state first
    #[command(after_help = "Example:\n  fingerpost writeback list --practice N84001 --json")]
    List {
        /// One practice's
        #[arg(long, value_name = "ODS")]
        practice: Option<String>,
        /// In one state
        #[arg(long)]
        state: Option<String>,
        /// Only those whose acknowledgement is missing
        #[arg(long)]
        overdue: bool,
    },
    /// Send an entry again under the same key; what may have left is looked for first
    #[command(after_help = "Example:\n  fingerpost writeback retry 6f0c5b1e-3f0a-5b7e-9d0b-0c6f3b1f2a4d --reason \
                            'the practice switched it on again'")]
    Retry {
        /// The entry's key
        id: Uuid,
        /// Why, without names or other patient data: it is kept and shown
        #[arg(long)]
        reason: String,
    },
    /// Say that an entry is in the record, or that it never will be
    #[command(after_help = "Example:\n  fingerpost writeback settle 6f0c5b1e-3f0a-5b7e-9d0b-0c6f3b1f2a4d --as filed \
                            --reason 'coded by hand at the practice'")]
    Settle {
        /// The entry's key
        id: Uuid,
        /// What came of it
        #[arg(long = "as", value_enum)]
        verdict: Verdict,
        /// Why, without names or other patient data: it is kept and shown
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Verdict {
    /// It is in the record, coded
    Filed,
    /// It is in the record as words or a document, without its code
    FiledWithoutCode,
    /// It will not be: the referral stays open, with the reason
    Rejected,
}

impl From<Verdict> for Word {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Filed => Self::Filed,
            Verdict::FiledWithoutCode => Self::FiledWithoutCode,
            Verdict::Rejected => Self::Rejected,
        }
    }
}

impl Writeback {
    pub async fn run(self, options: &Options) -> Result<(), Failure> {
        let search = match &self.what {
            What::List { practice, state, overdue } => Some(search(practice.as_deref(), state.as_deref(), *overdue)?),
            _ => None,
        };
        let gateway = open::gateway(options).await?;
        let done = match self.what {
            What::List { .. } => list(&gateway, search.unwrap_or_default(), options.json).await,
            What::Retry { id, reason } => word(&gateway, id, Word::Retry, &reason, options.json).await,
            What::Settle { id, verdict, reason } => word(&gateway, id, verdict.into(), &reason, options.json).await,
        };
        gateway.store.close().await;
        done
    }
}

fn search(practice: Option<&str>, state: Option<&str>, overdue: bool) -> Result<FilingSearch, Failure> {
    let practice = practice
        .map(|code| OdsCode::parse(code).map_err(|_| Failure::usage(format!("'{code}' is not an ODS code"))))
        .transpose()?;
    let known = |word: &str| {
        FilingState::parse(word).ok_or_else(|| {
            let words: Vec<_> = FilingState::ALL.iter().map(|(_, word)| *word).collect();
            Failure::usage(format!("'{word}' is not a state; states are {}", words.join(", ")))
        })
    };
    let state = state.map(known).transpose()?;
    let practice = practice.map(|code| code.to_string());
    Ok(FilingSearch { practice, state, overdue, count: PAGE, ..FilingSearch::default() })
}

/// Shows a page after the other. What moves meanwhile is shown where it was found, and may be shown
/// again where it went.
async fn list(gateway: &Gateway, mut search: FilingSearch, as_json: bool) -> Result<(), Failure> {
    let mut entry = open::entry(gateway, "writeback-list", Action::R);
    entry.detail = "filings".to_owned();
    open::record(gateway, entry).await?;
    let mut pages = out::Pages::new(as_json);
    loop {
        let filings = gateway.store.find_filings(search.clone()).await?;
        let Some(last) = filings.last() else { break };
        search.after = Some((last.since, last.id));
        pages.write(&HEADING, filings.iter().map(|filing| (row(filing), cells(filing))));
    }
    pages.end("Nothing is on its way.");
    Ok(())
}

/// One filing for a person.
fn cells(filing: &Filing) -> Vec<String> {
    let overdue = if filing.overdue { " OVERDUE" } else { "" };
    let state = format!("{}{overdue}", filing.state.word());
    let since = filing.since.strftime("%Y-%m-%d %H:%M").to_string();
    let (event, route) = (filing.event.clone(), filing.route.clone());
    vec![filing.id.to_string(), filing.practice.to_string(), event, state, route, since, filing.why.clone()]
}

/// One filing for a machine.
fn row(filing: &Filing) -> Value {
    let (kind, id, version) = &filing.resource;
    json!({
        "id": filing.id,
        "practice": filing.practice,
        "referral": filing.episode,
        "event": filing.event,
        "resource": format!("{kind}/{id}/_history/{version}"),
        "state": filing.state,
        "route": filing.route,
        "tried": filing.tried,
        "since": filing.since,
        "deadline": filing.deadline,
        "overdue": filing.overdue,
        "why": filing.why,
        "read_back": filing.read_back,
    })
}

async fn word(gateway: &Gateway, id: Uuid, word: Word, reason: &str, as_json: bool) -> Result<(), Failure> {
    let mut entry = open::entry(gateway, "writeback-word", Action::U);
    entry.detail = format!("filing {id}, {word:?}");
    let done = match reason::checked(reason) {
        Ok(reason) => says(gateway, id, word, reason, entry.clone()).await,
        Err(why) => Err(Refusal::Reason(why.to_string())),
    };
    let filing = match done {
        Ok(filing) => filing,
        Err(Refusal::Store(fault)) => return Err(fault.into()),
        Err(refusal) => {
            entry.outcome = Outcome::MinorFailure;
            entry.detail = format!("{}: refused: {refusal}", entry.detail);
            open::record(gateway, entry).await?;
            return Err(Failure::input(refusal.to_string()));
        }
    };
    if as_json {
        out::json(&row(&filing));
    } else {
        out::say(format!("{id} is now {}", filing.state.word()));
    }
    Ok(())
}
