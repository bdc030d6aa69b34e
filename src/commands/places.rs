//! `fingerpost places import`: practice-to-PCN reference data, shown before it is written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::civil::Date;
use serde_json::json;

use super::{Failure, Options, open, out};
use crate::clock::{Clock, london};
use crate::places::{Import, ImportFault, Planned, plan};
use crate::routing::reference::change::{Change, Difference, Scope};
use crate::store::commit::LedgerState;

/// Changes of one kind that are listed for a person; `--json` lists all.
const LISTED_MAX: usize = 40;

/// A place's reference data
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  fingerpost places import --epcn ePCN.xlsx --place config/sefton\n  fingerpost places import --epcn ePCN.xlsx --place config/sefton --apply"
)]
pub struct Places {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Which practice is in which PCN, from a published file: shows what changes, and with
    /// --apply writes practices.csv and networks.csv, history kept
    #[command(
        after_help = "Forms, told apart by what is in them: ePCN.xlsx, its core partner details as CSV, the registered\n\
        patients map (CSV), ODS FHIR and ORD JSON.\n\nExample:\n  fingerpost places import --epcn ePCN.xlsx --place config/sefton --known-only"
    )]
    Import(Asked),
}

#[derive(Debug, Args)]
struct Asked {
    /// The published file; several of the Organisation Data Service, an organisation each
    #[arg(long = "epcn", visible_aliases = ["registered-patients", "ods"], required = true, num_args = 1.., value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The place's folder; else the configured one
    #[arg(long, value_name = "FOLDER")]
    place: Option<PathBuf>,
    /// The day to read the file for, where it holds periods or no day; else today
    #[arg(long, value_name = "DATE")]
    on: Option<Date>,
    /// Leave out practices of networks that the place does not know
    #[arg(long)]
    known_only: bool,
    /// Only practices of this network, and those that the place knows; may be repeated
    #[arg(long = "pcn", value_name = "CODE")]
    networks: Vec<String>,
    /// Only practices of this sub-ICB location or CCG, and those that the place knows
    #[arg(long, value_name = "CODE", default_value = "")]
    sub_icb: String,
    /// Write it
    #[arg(long)]
    apply: bool,
    /// Take a file that closes more than half of the place's practices
    #[arg(long)]
    allow_shrink: bool,
    /// Write even where other files of the place must then be mended
    #[arg(long)]
    anyway: bool,
}

impl Places {
    pub async fn run(self, options: &Options) -> Result<(), Failure> {
        let What::Import(asked) = self.what;
        let folder = folder(asked.place.as_deref(), options)?;
        let import = Import {
            folder: folder.clone(),
            files: asked.files,
            on: asked.on,
            scope: Scope {
                networks: asked.networks.into_iter().collect::<BTreeSet<_>>(),
                commissioner: asked.sub_icb,
                known_only: asked.known_only,
            },
            allow_shrink: asked.allow_shrink,
            anyway: asked.anyway,
        };
        let planned = plan(&import, Clock::System.now().to_zoned(london()).date())?;
        let staying = staying(&planned.difference, options).await?;
        if asked.apply {
            planned.apply()?;
        }
        if options.json {
            out::json(&json!({
                "place": folder.display().to_string(),
                "applied": asked.apply,
                "difference": planned.difference,
                "open_referrals_that_stay": staying,
                "to_mend": planned.to_mend.iter().map(ToString::to_string).collect::<Vec<_>>(),
            }));
        } else {
            out::say(told(&planned, &staying, &folder, asked.apply));
        }
        Ok(())
    }
}

impl From<ImportFault> for Failure {
    fn from(fault: ImportFault) -> Self {
        match fault {
            ImportFault::Environment(_) => Self::environment(fault.to_string()),
            other => Self::input(other.to_string()),
        }
    }
}

/// The place's folder: what is asked for, or what the configuration names.
fn folder(asked: Option<&Path>, options: &Options) -> Result<PathBuf, Failure> {
    if let Some(folder) = asked {
        return Ok(folder.to_owned());
    }
    let config = open::config(options)?;
    if config.gateway.config_dir.is_empty() {
        let text = "say which place with --place FOLDER: the configured one is compiled in and cannot be written";
        return Err(Failure::usage(text));
    }
    Ok(Path::new(&config.gateway.config_dir).join(&config.gateway.place))
}

/// Open referrals of practices that move or close: they stay with the pool that has them. Counted
/// where a configuration names a store.
async fn staying(difference: &Difference, options: &Options) -> Result<BTreeMap<String, usize>, Failure> {
    let mut staying = BTreeMap::new();
    if options.config.is_none() {
        return Ok(staying);
    }
    let gateway = open::gateway(options).await?;
    for change in difference.moves.iter().chain(&difference.closes) {
        let rows = gateway.store.ledger(Some(change.practice.as_str()), None).await?;
        let open = rows.iter().filter(|row| row.state == LedgerState::Open).count();
        if open > 0 {
            staying.insert(change.practice.to_string(), open);
        }
    }
    gateway.store.close().await;
    Ok(staying)
}

fn told(planned: &Planned, staying: &BTreeMap<String, usize>, folder: &Path, applied: bool) -> String {
    let difference = &planned.difference;
    let mut text = format!(
        "{} of {}: {} practices, {} networks of {}\n",
        difference.form,
        difference.as_of,
        difference.practices,
        difference.networks,
        folder.display()
    );
    if let Some(later) = difference.before {
        text.push_str(&format!("It is earlier than what is known; compared with the snapshot of {later}.\n"));
    }
    let stay = |change: &Change| {
        let open = staying.get(change.practice.as_str());
        open.map_or_else(String::new, |open| format!("; {open} open referrals stay with the pool that has them"))
    };
    let network = |code: &Option<String>| code.clone().unwrap_or_else(|| "no network".to_owned());
    group(&mut text, "open", &difference.opens, |one| format!("in {} from {}", network(&one.to), one.on));
    group(&mut text, "close", &difference.closes, |one| {
        let to = one.successor.as_ref().map_or_else(String::new, |code| format!(", succeeded by {code}"));
        format!("from {}{to}{}", one.on, stay(one))
    });
    group(&mut text, "move", &difference.moves, |one| {
        format!("{} -> {} from {}{}", network(&one.from), network(&one.to), one.on, stay(one))
    });
    listed(&mut text, "networks are new", &difference.networks_new, |(code, name)| format!("{code} {name}"));
    listed(&mut text, "networks end", &difference.networks_ended, |(code, name)| format!("{code} {name}"));
    listed(&mut text, "names differ; the place's are kept", &difference.names, |(code, ours, theirs)| {
        format!("{code} {ours} (published: {theirs})")
    });
    listed(&mut text, "are disputed; look", &difference.disputed, Clone::clone);
    text.push_str(&unallocated(planned));
    listed(&mut text, "faults are then to be mended", &planned.to_mend, ToString::to_string);
    text.push_str(match (applied, difference.is_empty()) {
        (_, true) => "Nothing changes.",
        (true, false) => "Written. A running gateway takes it in when it is started again.",
        (false, false) => "Nothing was changed: --apply writes it.",
    });
    text
}

fn group(text: &mut String, what: &str, changes: &[Change], say: impl Fn(&Change) -> String) {
    listed(text, what, changes, |change| format!("{} {}: {}", change.practice, change.name, say(change)));
}

fn listed<T>(text: &mut String, what: &str, all: &[T], say: impl Fn(&T) -> String) {
    if all.is_empty() {
        return;
    }
    text.push_str(&format!("{} {what}\n", all.len()));
    for one in all.iter().take(LISTED_MAX) {
        text.push_str(&format!("  {}\n", say(one)));
    }
    if all.len() > LISTED_MAX {
        text.push_str(&format!("  and {} more; --json lists all\n", all.len() - LISTED_MAX));
    }
}

/// Every practice in no network, by name, with who gets its referrals.
fn unallocated(planned: &Planned) -> String {
    let all = &planned.difference.unallocated;
    if all.is_empty() {
        return String::new();
    }
    let desk = planned.desk.as_ref().map_or_else(
        || "the unallocated desk that place.toml must name".to_owned(),
        |(name, owner, hours)| format!("{name} ({owner}, within {hours} hours)"),
    );
    let rows: String = all.iter().map(|one| format!("  {} {}\n", one.practice, one.name)).collect();
    format!("{} are in no network; their referrals go to {desk}\n{rows}", all.len())
}
