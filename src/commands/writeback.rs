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

/// Most filings that one list shows.
const LIST_MAX: usize = 10_000;

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
    /// It is in the record
    Filed,
    /// It will not be: the referral stays open, with the reason
    Rejected,
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
            What::Settle { id, verdict: Verdict::Filed, reason } => {
                word(&gateway, id, Word::Filed, &reason, options.json).await
            }
            What::Settle { id, verdict: Verdict::Rejected, reason } => {
                word(&gateway, id, Word::Rejected, &reason, options.json).await
            }
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
    Ok(FilingSearch { practice, state, overdue, resource: None, count: LIST_MAX })
}

async fn list(gateway: &Gateway, search: FilingSearch, as_json: bool) -> Result<(), Failure> {
    let filings = gateway.store.find_filings(search).await?;
    let mut entry = open::entry(gateway, "writeback-list", Action::R);
    entry.detail = format!("{} filings", filings.len());
    open::record(gateway, entry).await?;
    if as_json {
        out::json(&filings.iter().map(row).collect::<Vec<_>>());
    } else if filings.is_empty() {
        out::say("Nothing is on its way.");
    } else {
        let heading = ["key", "practice", "event", "state", "route", "since", "why"].map(str::to_owned).to_vec();
        let rows = filings.iter().map(|filing| {
            let state =
                if filing.overdue { format!("{} OVERDUE", filing.state.word()) } else { filing.state.word().into() };
            let since = filing.since.strftime("%Y-%m-%d %H:%M").to_string();
            let (event, route) = (filing.event.clone(), filing.route.clone());
            vec![filing.id.to_string(), filing.practice.to_string(), event, state, route, since, filing.why.clone()]
        });
        out::say(out::table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>()));
    }
    Ok(())
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
