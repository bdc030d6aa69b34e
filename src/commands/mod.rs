//! The command line: one file a command, all with the same options, exit codes and streams.
//!
//! Human output and `--json` go to stdout, logs and faults to stderr. Exit codes: 0 done, 1 the
//! input or the data is at fault, 2 wrong usage or configuration, 3 an environment fault.
//! What a command does is done in its own room; here are only its words.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

mod audit;
mod check;
mod deliveries;
mod demo;
mod evaluate;
mod failure;
mod held;
mod ingest;
mod ledger;
mod map;
mod migrate;
mod open;
mod out;
mod places;
mod progress;
mod rehearse;
mod route;
mod serve;
mod token;
mod writeback;

pub use failure::Failure;

/// The gateway between GP clinical systems and social prescribing link workers.
#[derive(Debug, Parser)]
#[command(name = "fingerpost", version, after_help = "Example:\n  fingerpost demo --exit")]
pub struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// A configuration file over the compiled-in defaults; the environment (FINGERPOST__SECTION__KEY)
    /// is over both
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print a machine-readable result
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Demo),
    Serve(serve::Serve),
    Check(check::Check),
    Migrate(migrate::Migrate),
    Map(map::Map),
    Ingest(ingest::Ingest),
    Held(held::Held),
    Route(route::Route),
    Places(places::Places),
    Ledger(ledger::Ledger),
    Evaluate(evaluate::Evaluate),
    Audit(audit::Audit),
    Token(token::Token),
    Writeback(writeback::Writeback),
    Deliveries(deliveries::Deliveries),
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(why) => return Failure::environment(format!("no threads: {why}")).tell(),
    };
    match runtime.block_on(dispatch(&cli.options, cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

async fn dispatch(options: &Options, command: Command) -> Result<(), Failure> {
    match command {
        Command::Demo(command) => command.run(options).await,
        Command::Serve(command) => command.run(options).await,
        Command::Check(command) => command.run(options),
        Command::Migrate(command) => command.run(options).await,
        Command::Map(command) => command.run(options).await,
        Command::Ingest(command) => command.run(options).await,
        Command::Held(command) => command.run(options).await,
        Command::Route(command) => command.run(options).await,
        Command::Places(command) => command.run(options).await,
        Command::Ledger(command) => command.run(options).await,
        Command::Evaluate(command) => command.run(options).await,
        Command::Audit(command) => command.run(options).await,
        Command::Token(command) => command.run(options).await,
        Command::Writeback(command) => command.run(options).await,
        Command::Deliveries(command) => command.run(options).await,
    }
}
