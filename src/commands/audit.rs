//! `fingerpost audit`: verify the log, prove one entry, list who saw a person's data, export.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::progress::Progress;
use super::{Failure, Options, open, out};
use crate::audit::disclosure::disclosure;
use crate::audit::export::{self, ExportFault};
use crate::audit::prove::{check_proof, prove};
use crate::audit::verify::{self, Report, verify_path, verify_store};
use crate::audit::{Action, Observer, Verifier};
use crate::fhir::ids::NhsNumber;
use crate::gateway::Gateway;
use crate::opening::{public_key_path, store_path};

/// Verify, prove, disclose and export the audit log
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fingerpost audit verify")]
pub struct Audit {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Verify the log: the store's own, or a copy, with the public key alone
    #[command(after_help = "Example:\n  fingerpost audit verify /mnt/copy --key fingerpost.pub --checkpoint saved.txt")]
    Verify(Verify),
    /// Print one entry's proof, which anyone can check offline with the public key
    #[command(after_help = "Example:\n  fingerpost audit prove 6f0c5b1e-3f0a-4b7e-9d0b-0c6f3b1f2a4d > proof.txt")]
    Prove {
        /// The entry's id: its AuditEvent's id
        id: String,
    },
    /// List in plain words who saw one person's data
    #[command(after_help = "Example:\n  fingerpost audit disclosure --nhs-number 9990000018")]
    Disclosure {
        /// The person's NHS number
        #[arg(long)]
        nhs_number: String,
    },
    /// Print AuditEvents as NDJSON, or write the log to a folder that verifies by itself
    #[command(
        after_help = "Example:\n  fingerpost audit export > events.ndjson\n  fingerpost audit export --to /mnt/copy"
    )]
    Export {
        /// A new or empty folder for the log itself (C2SP tlog-tiles and the entries)
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
struct Verify {
    /// A copied store file, a folder that holds one, or an exported folder; left out: the store
    path: Option<PathBuf>,
    /// The public key, as a file; left out: the one beside the log
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// A checkpoint that was saved earlier, elsewhere: the log must still begin with it
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Check instead the proof of one entry, as `audit prove` printed it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["path", "checkpoint"])]
    proof: Option<PathBuf>,
}

impl Audit {
    pub async fn run(self, options: &Options) -> Result<(), Failure> {
        match self.what {
            What::Verify(verify) => verify.run(options).await,
            What::Prove { id } => print_proof(options, &id).await,
            What::Disclosure { nhs_number } => disclose(options, &nhs_number).await,
            What::Export { to } => export_log(options, to.as_deref()).await,
        }
    }
}

impl Verify {
    async fn run(self, options: &Options) -> Result<(), Failure> {
        let verifier = self.verifier(options)?;
        if let Some(proof) = &self.proof {
            let proved = check_proof(&text_of(proof)?, &verifier)
                .map_err(|why| Failure::input(format!("the proof does not hold: {why}")))?;
            if options.json {
                out::json(&proved);
            } else {
                out::say(format!("The proof holds: entry {} of {}.\n{}", proved.position, proved.size, proved.entry));
            }
            return Ok(());
        }
        let report = self.report(options, &verifier).await?;
        if options.json {
            out::json(&report);
        } else {
            out::say(report.to_string());
            out::say(format!("Verified with the public key of {}.", verifier.origin()));
        }
        if report.passed { Ok(()) } else { Err(Failure::input("")) }
    }

    async fn report(&self, options: &Options, verifier: &Verifier) -> Result<Report, Failure> {
        let saved = self.checkpoint.as_deref().map(text_of).transpose()?;
        let progress = std::sync::Mutex::new(Progress::new("entries"));
        let tell = |done: u64| {
            if let Ok(mut progress) = progress.lock() {
                progress.at(done, 0);
            }
        };
        let how = verify::Options { verifier, saved: saved.as_deref(), progress: &tell };
        if let Some(path) = &self.path {
            return Ok(verify_path(path, how).await);
        }
        let config = open::config(options)?;
        match store_path(&config) {
            Some(path) if path.exists() => Ok(verify_path(&path, how).await),
            Some(path) => Err(Failure::environment(format!("there is no store at {}", path.display()))),
            None => {
                let gateway = Gateway::open(config).await?;
                let report = verify_store(&gateway.store, how).await;
                gateway.store.close().await;
                Ok(report)
            }
        }
    }

    /// The key named, else the only one beside the log, else the configuration's.
    fn verifier(&self, options: &Options) -> Result<Verifier, Failure> {
        let beside = self.path.as_deref().and_then(key_beside);
        let path = match self.key.clone().or(beside) {
            Some(path) => path,
            None => public_key_path(&open::config(options)?)
                .ok_or_else(|| Failure::usage("--key: name the log's public key"))?,
        };
        Verifier::from_vkey(text_of(&path)?.trim()).map_err(|why| Failure::usage(format!("{}: {why}", path.display())))
    }
}

/// `STORE.audit-key.pub` beside a copied store, or the only `.pub` file of a folder.
fn key_beside(path: &Path) -> Option<PathBuf> {
    if path.is_file() {
        let mut name = path.as_os_str().to_owned();
        name.push(".audit-key.pub");
        return Some(PathBuf::from(name)).filter(|path| path.exists());
    }
    let files = std::fs::read_dir(path).ok()?.flatten().map(|entry| entry.path());
    let mut keys = files.filter(|file| file.extension().is_some_and(|ending| ending == "pub"));
    let only = keys.next()?;
    keys.next().is_none().then_some(only)
}

fn text_of(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|why| Failure::usage(format!("{}: {why}", path.display())))
}

async fn print_proof(options: &Options, id: &str) -> Result<(), Failure> {
    let gateway = open::gateway(options).await?;
    let mut entry = open::entry(&gateway, "audit-prove", Action::R);
    entry.entities.push(format!("AuditEvent/{id}"));
    open::record(&gateway, entry).await?;
    let proof = prove(&gateway.store, id).await?;
    gateway.store.close().await;
    let proof = proof.ok_or_else(|| Failure::input("there is no entry of that id"))?;
    if options.json {
        out::json(&json!({"id": id, "proof": proof}))
    } else {
        out::write(proof.as_bytes())
    }
    Ok(())
}

async fn disclose(options: &Options, nhs_number: &str) -> Result<(), Failure> {
    let number = NhsNumber::parse(nhs_number).map_err(|why| Failure::usage(format!("--nhs-number {why}")))?;
    let gateway = open::gateway(options).await?;
    let list = disclosure(&gateway.store, &number, open::operator(&gateway), gateway.clock.now()).await?;
    gateway.store.close().await;
    if options.json {
        out::json(&list)
    } else {
        out::say(list.to_string().trim_end())
    }
    Ok(())
}

async fn export_log(options: &Options, to: Option<&Path>) -> Result<(), Failure> {
    let gateway = open::gateway(options).await?;
    let mut entry = open::entry(&gateway, "audit-export", Action::R);
    entry.detail = if to.is_some() { "the log, to a folder" } else { "AuditEvents" }.into();
    open::record(&gateway, entry).await?;
    let done = match to {
        Some(folder) => write_folder(&gateway, folder, options.json).await,
        None => print_events(&gateway).await,
    };
    gateway.store.close().await;
    done.map_err(|fault| match fault {
        ExportFault::NotEmpty(_) => Failure::usage(fault.to_string()),
        other => Failure::environment(other.to_string()),
    })
}

async fn write_folder(gateway: &Gateway, folder: &Path, as_json: bool) -> Result<(), ExportFault> {
    let count = export::export(&gateway.store, folder).await?;
    if let Some(key) = public_key_path(&gateway.config) {
        std::fs::copy(key, folder.join("audit-key.pub"))?;
    }
    if as_json {
        out::json(&json!({"entries": count, "folder": folder}));
    } else {
        out::say(format!("{count} entries written to {}", folder.display()));
    }
    Ok(())
}

async fn print_events(gateway: &Gateway) -> Result<(), ExportFault> {
    let config = &gateway.config;
    let observer =
        Observer { ods: config.gateway.ods.as_str(), name: &config.gateway.name, base_url: &config.serve.base_url };
    export::events(&gateway.store, observer, &mut out::Lines).await?;
    Ok(())
}
