//! `fingerpost ledger`: every referral received, each in exactly one state.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Failure, Options, open, out};
use crate::audit::{Action, Verifier};
use crate::delivery::WRITEBACK;
use crate::fhir::{self, ids::OdsCode, onward::ONWARD};
use crate::gateway::Gateway;
use crate::ledger::{self as books, Books, statement};
use crate::store::{Criterion, Search, StoreError, Stored, Test, param};

/// Show every referral received, each in exactly one state; exit status 1 when it does not add up
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  fingerpost ledger --practice N84001 --date 2026-01-05 --json\n  fingerpost ledger --json --signed > ledger.json\n  fingerpost ledger --verify ledger.json --key fingerpost.db.audit-key.pub"
)]
pub struct Ledger {
    /// Only this practice's
    #[arg(long, value_name = "ODS")]
    practice: Option<String>,
    /// Only those received on this day (UTC)
    #[arg(long, value_name = "DATE")]
    date: Option<jiff::civil::Date>,
    /// Only the totals
    #[arg(long)]
    summary: bool,
    /// A row a practice and day, as CSV
    #[arg(long, conflicts_with_all = ["json", "fhir"])]
    csv: bool,
    /// A FHIR MeasureReport
    #[arg(long)]
    fhir: bool,
    /// With --json or --fhir: put a signature by the audit log's key into it
    #[arg(long)]
    signed: bool,
    /// Check the signature of a ledger that was kept; with --key
    #[arg(long, value_name = "FILE", requires = "key")]
    verify: Option<PathBuf>,
    /// The public key's file, or its text
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

impl Ledger {
    pub async fn run(self, options: &Options) -> Result<(), Failure> {
        if let (Some(file), Some(key)) = (&self.verify, &self.key) {
            return verify(file, key);
        }
        if self.signed && !(options.json || self.fhir) {
            return Err(Failure::usage("--signed goes with --json or --fhir"));
        }
        let practice = match self.practice.as_deref().map(OdsCode::parse) {
            Some(Err(_)) => return Err(Failure::usage("--practice: not an ODS code")),
            Some(Ok(code)) => Some(code.to_string()),
            None => None,
        };
        let gateway = open::gateway(options).await?;
        let mut ledger = settled(&gateway, practice.as_deref(), self.date).await?;
        let mut entry = open::entry(&gateway, "ledger", Action::R);
        entry.detail = format!("{} referrals, {} faults", ledger.totals.received, ledger.faults.len());
        open::record(&gateway, entry).await?;
        self.print(&gateway, &mut ledger, practice.as_deref(), options.json)?;
        gateway.store.close().await;
        if ledger.reconciles { Ok(()) } else { Err(Failure::input("the ledger does not reconcile")) }
    }
}

impl Ledger {
    fn print(
        &self,
        gateway: &Gateway,
        ledger: &mut books::Ledger,
        practice: Option<&str>,
        as_json: bool,
    ) -> Result<(), Failure> {
        if self.csv {
            out::write(table(ledger.days.as_deref().unwrap_or_default()).as_bytes());
            return Ok(());
        }
        if self.summary {
            ledger.referrals = None;
            ledger.days = None;
            ledger.practices = None;
        }
        if !(as_json || self.fhir) {
            out::say(shown(ledger));
            return Ok(());
        }
        let document = match self.fhir {
            true => fhir::ledger::report(ledger, practice),
            false => serde_json::to_value(&*ledger).map_err(|why| Failure::environment(why.to_string()))?,
        };
        let signed = || crate::opening::signer(&gateway.config).map(|key| statement::sign(document.clone(), &key));
        out::json(&if self.signed { signed()? } else { document });
        Ok(())
    }
}

/// Checks a kept ledger's signature with the public key, offline.
fn verify(file: &Path, key: &str) -> Result<(), Failure> {
    let text =
        std::fs::read_to_string(file).map_err(|why| Failure::environment(format!("{}: {why}", file.display())))?;
    let document = serde_json::from_str(&text).map_err(|_| Failure::input(format!("{}: not JSON", file.display())))?;
    let key = std::fs::read_to_string(key).unwrap_or_else(|_| key.to_owned());
    let verifier = Verifier::from_vkey(&key).map_err(|why| Failure::usage(format!("--key: {why}")))?;
    statement::verify(document, &verifier).map_err(|why| Failure::input(format!("{}: {why}", file.display())))?;
    out::say(format!("{} is signed by {} and unchanged.", file.display(), verifier.origin()));
    Ok(())
}

/// `practice,day,received,waiting,...`
fn table(days: &[books::Day]) -> String {
    let words = books::Totals::default().words().map(|(word, _)| word);
    let mut text = format!("practice,day,{}\n", words.join(","));
    for day in days {
        let when = day.day.map(|day| day.to_string()).unwrap_or_default();
        let counts = day.totals.words().map(|(_, count)| count.to_string());
        text.push_str(&format!("{},{when},{}\n", day.practice, counts.join(",")));
    }
    text
}

/// Times that books which do not agree are read again: while others write, what one reading saw
/// half of is whole in the next. A fault counts when every reading has it.
const READINGS_MAX: usize = 3;

pub(super) async fn settled(
    gateway: &Gateway,
    practice: Option<&str>,
    date: Option<jiff::civil::Date>,
) -> Result<books::Ledger, StoreError> {
    let mut ledger = reckon(gateway, practice, date).await?;
    for _ in 1..READINGS_MAX {
        if ledger.reconciles {
            break;
        }
        let mut again = reckon(gateway, practice, date).await?;
        again.faults.retain(|fault| ledger.faults.contains(fault));
        again.reconciles = again.faults.is_empty();
        ledger = again;
    }
    Ok(ledger)
}

/// Reads the books and reckons them.
async fn reckon(
    gateway: &Gateway,
    practice: Option<&str>,
    date: Option<jiff::civil::Date>,
) -> Result<books::Ledger, StoreError> {
    let day = date.map(|date| date.to_string());
    let mut referrals = requests(gateway, Vec::new()).await?;
    let holds = gateway.store.holds().await?;
    let rows = gateway.store.ledger(practice, day.as_deref()).await?;
    // What pools made of a referral is no referral, unless it has a row all the same.
    let mut onward = requests(gateway, vec![onward()]).await?;
    onward.retain(|id| rows.iter().all(|row| row.id != *id));
    referrals.retain(|id| !onward.contains(id));
    let mut ignored = gateway.store.ignored().await?;
    let asked = |of: &str| practice.is_none_or(|practice| practice == of);
    ignored.retain(|one| asked(one.practice.as_str()) && (date.is_none() || one.day == date));
    let queues = gateway.store.outbox_counts(WRITEBACK).await?.into_iter();
    let recorded = queues.filter_map(|(queue, count)| Some((queue.strip_prefix(WRITEBACK)?.to_owned(), count)));
    let recorded: Vec<(String, u64)> = recorded.filter(|(of, _)| asked(of)).collect();
    let mut filings = gateway.store.filing_counts().await?;
    filings.retain(|(of, ..)| asked(of));
    let whole = practice.is_none() && day.is_none();
    let books = Books {
        rows: &rows,
        holds: &holds,
        ignored: &ignored,
        recorded: &recorded,
        filings: &filings,
        referrals: &referrals,
        whole,
    };
    Ok(books::reckon(gateway.clock.now(), &books))
}

/// Referrals onward and signposts.
fn onward() -> Criterion {
    Criterion { param: param::CATEGORY, any_of: vec![Test::System(ONWARD.to_owned())], negated: false }
}

/// The ids of every ServiceRequest that is kept and fits.
async fn requests(gateway: &Gateway, criteria: Vec<Criterion>) -> Result<BTreeSet<String>, StoreError> {
    let mut ids = BTreeSet::new();
    let keep = |stored: Stored| {
        ids.insert(stored.id);
        Ok(())
    };
    gateway.store.each(Search { criteria, ..Search::of("ServiceRequest") }, keep).await?;
    Ok(ids)
}

pub(super) fn shown(ledger: &books::Ledger) -> String {
    let rows: Vec<Vec<String>> =
        ledger.totals.words().iter().map(|(word, count)| vec![(*word).to_owned(), count.to_string()]).collect();
    let mut text = format!("Ledger as of {}\n\n{}\n", ledger.as_of, out::table(&rows));
    if let Some(lines) = ledger.referrals.as_ref().filter(|lines| !lines.is_empty()) {
        let mut rows = vec![["referral", "practice", "state", "since", "waiting on"].map(str::to_owned).to_vec()];
        rows.extend(lines.iter().map(|line| {
            let practice = line.practice.clone().unwrap_or_else(|| "-".into());
            let since = line.since.strftime("%Y-%m-%d %H:%M").to_string();
            vec![line.id.clone(), practice, line.state.word().to_owned(), since, line.waiting_on.clone()]
        }));
        text.push_str(&format!("\n{}\n", out::table(&rows)));
    }
    let outcomes = ledger.outcomes;
    text.push_str(&format!(
        "\nOutcomes: {} recorded = {} filed ({} as text only) + {} in flight + {} with a person; {} overdue\n",
        outcomes.recorded,
        outcomes.filed,
        outcomes.filed_without_code,
        outcomes.in_flight,
        outcomes.needs_person,
        outcomes.overdue
    ));
    for one in &ledger.silent {
        text.push_str(&format!(
            "\nSilent: {} has sent nothing for {} days (since {}); it usually sends within {}",
            one.practice, one.days, one.last, one.usual
        ));
    }
    text.push_str(if ledger.reconciles { "\nIt reconciles." } else { "\nIt does not reconcile:" });
    for fault in &ledger.faults {
        text.push_str(&format!("\n  {fault}"));
    }
    text
}
