//! `fingerpost ledger`: every referral received, each in exactly one state.

use std::collections::BTreeSet;

use clap::Args;

use super::{Failure, Options, open, out};
use crate::audit::Action;
use crate::fhir::{ids::OdsCode, onward::ONWARD};
use crate::ledger::{self as books, Books};
use crate::referral::Gateway;
use crate::store::{Criterion, Search, StoreError, Test, param};

/// ServiceRequests asked for at a time.
const PAGE: usize = 1000;

/// Show every referral received, each in exactly one state; exit status 1 when it does not add up
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fingerpost ledger --practice N84001 --date 2026-01-05 --json")]
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
}

impl Ledger {
    pub async fn run(self, options: &Options) -> Result<(), Failure> {
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
        if self.summary {
            ledger.referrals = None;
        }
        if options.json {
            out::json(&ledger);
        } else {
            out::say(shown(&ledger));
        }
        gateway.store.close().await;
        if ledger.reconciles { Ok(()) } else { Err(Failure::input("the ledger does not reconcile")) }
    }
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
    let ignored = gateway.store.ignored().await?;
    let asked = |of: &str| practice.is_none_or(|practice| practice == of);
    // What was ignored is counted by practice and reason, not by day.
    let ignored = ignored.iter().filter(|(of, ..)| day.is_none() && asked(of)).map(|(_, _, count)| count).sum();
    let whole = practice.is_none() && day.is_none();
    let books = Books { rows: &rows, holds: &holds, ignored, referrals: &referrals, whole };
    Ok(books::reckon(gateway.clock.now(), &books))
}

/// Referrals onward and signposts.
fn onward() -> Criterion {
    Criterion { param: param::CATEGORY, any_of: vec![Test::System(ONWARD.to_owned())], negated: false }
}

/// The ids of every ServiceRequest that is kept and fits.
async fn requests(gateway: &Gateway, criteria: Vec<Criterion>) -> Result<BTreeSet<String>, StoreError> {
    let mut ids = BTreeSet::new();
    let mut after = None;
    loop {
        let search = Search {
            kind: "ServiceRequest".into(),
            ids: Vec::new(),
            updated: (None, None),
            criteria: criteria.clone(),
            visible: None,
            newest_first: false,
            count: PAGE,
            after,
            total: false,
        };
        let page = gateway.store.search(search).await?;
        ids.extend(page.found.into_iter().map(|stored| stored.id));
        after = page.next;
        if after.is_none() {
            return Ok(ids);
        }
    }
}

pub(super) fn shown(ledger: &books::Ledger) -> String {
    let totals = ledger.totals;
    let mut rows = vec![];
    for (word, count) in [
        ("received", totals.received),
        ("waiting", totals.waiting),
        ("open", totals.open),
        ("closed", totals.closed),
        ("returned", totals.returned),
        ("held", totals.held),
        ("withdrawn", totals.withdrawn),
        ("ignored", totals.ignored),
    ] {
        rows.push(vec![word.to_owned(), count.to_string()]);
    }
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
    text.push_str(if ledger.reconciles { "\nIt reconciles." } else { "\nIt does not reconcile:" });
    for fault in &ledger.faults {
        text.push_str(&format!("\n  {fault}"));
    }
    text
}
