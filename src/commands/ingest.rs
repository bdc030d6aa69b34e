//! `fingerpost ingest`: files through the same path as live messages.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::progress::Progress;
use super::{Failure, Options, open, out};
use crate::intake::messages;
use crate::referral::{Channel, Gateway};

/// Take files or folders through the same path as live messages
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fingerpost ingest --format emis-extract /data/extract --json")]
pub struct Ingest {
    /// What the files are
    #[arg(long, value_enum)]
    format: Format,
    /// Files or folders
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// BaRS messages, a Bundle a file, JSON or XML
    Bars,
    /// FHIR transaction Bundles, one a file, JSON or XML
    Fhir,
}

impl Ingest {
    pub async fn run(self, options: &Options) -> Result<(), Failure> {
        if let Some(path) = self.paths.iter().find(|path| !path.exists()) {
            return Err(Failure::input(format!("{}: there is no such file or folder", path.display())));
        }
        let gateway = open::gateway(options).await?;
        let done = match self.format {
            Format::Bars => bundles(&gateway, Channel::Bars, &self.paths, options.json).await,
            Format::Fhir => bundles(&gateway, Channel::Fhir, &self.paths, options.json).await,
        };
        gateway.store.close().await;
        done
    }
}

async fn bundles(gateway: &Gateway, channel: Channel, paths: &[PathBuf], as_json: bool) -> Result<(), Failure> {
    let mut progress = Progress::new("messages");
    let result = messages::ingest(gateway, channel, paths, &mut |done, total| progress.at(done, total)).await?;
    progress.end();
    show(&result, as_json);
    match result.unreadable {
        0 => Ok(()),
        count => Err(Failure::input(format!("{count} of {} files are not what they claim to be", result.files))),
    }
}

/// The counts that every format has, in the contract's order.
const COUNTS: [&str; 8] = ["received", "committed", "duplicate", "held", "rejected", "waiting", "withdrawn", "ignored"];

fn show(result: &impl Serialize, as_json: bool) {
    if as_json {
        return out::json(result);
    }
    let value = serde_json::to_value(result).unwrap_or_default();
    let rows = COUNTS.iter().map(|word| vec![(*word).to_owned(), value[*word].to_string()]);
    out::say(out::table(&rows.collect::<Vec<_>>()));
    let lines = value["messages"].as_array().map_or([].as_slice(), Vec::as_slice);
    for line in lines.iter().filter(|line| line["outcome"] != "committed" && line["outcome"] != "duplicate") {
        let word = |name: &str| line[name].as_str().unwrap_or("").to_owned();
        let issues: Vec<_> =
            line["issues"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_str).collect();
        out::say(format!("{} {}: {}", word("outcome"), word("id"), issues.join("; ")));
    }
}
