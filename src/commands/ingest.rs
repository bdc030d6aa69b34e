//! `fingerpost ingest`: files through the same path as live messages.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::progress::Progress;
use super::{Failure, Options, open, out};
use crate::gateway::Gateway;
use crate::intake::{emis, messages};
use crate::referral::Channel;

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
    /// EMIS bulk extracts: files, folders, zip archives
    EmisExtract,
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
            Format::EmisExtract => extract(&gateway, &self.paths, options.json).await,
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

async fn extract(gateway: &Gateway, paths: &[PathBuf], as_json: bool) -> Result<(), Failure> {
    let progress = std::sync::Mutex::new(Progress::new("rows"));
    let tell = |done: u64, _: &str| {
        if let Ok(mut progress) = progress.lock() {
            progress.at(done, 0);
        }
    };
    let result = emis::ingest(gateway, paths, &tell).await.map_err(|fault| match fault {
        emis::IngestFault::Path(why) => Failure::input(why),
        other => Failure::environment(other.to_string()),
    })?;
    drop(progress);
    show(&result, as_json);
    match result.unreadable {
        0 => Ok(()),
        count => Err(Failure::input(format!("{count} files are not what they claim to be"))),
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
