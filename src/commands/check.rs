//! `fingerpost check`: configuration, place, mappings and code tables, all faults at once.

use clap::Args;
use serde_json::json;

use super::{Failure, Options, open, out};
use crate::clock::Clock;
use crate::config::{Config, Fault, Loaded};
use crate::opening;

/// Check the configuration, the place, the mappings and the code tables together
#[derive(Debug, Args)]
#[command(
    long_about = "Checks the configuration, the place, the mappings and the code tables together and lists every \
                  fault as file:line: text. Exit status 0 or 2.",
    after_help = "Example:\n  fingerpost check --config /etc/fingerpost/gateway.toml"
)]
pub struct Check {}

impl Check {
    pub fn run(self, options: &Options) -> Result<(), Failure> {
        let faults = faults(options);
        if options.json {
            let rows = faults.iter().map(|f| json!({"file": f.file, "line": f.line, "text": f.text}));
            out::json(&json!({"ok": faults.is_empty(), "faults": rows.collect::<Vec<_>>()}));
        } else {
            faults.iter().for_each(|fault| out::say(fault.to_string()));
        }
        match faults.len() {
            0 if options.json => Ok(()),
            0 => {
                out::say("ok: configuration, place, mappings and code tables are good");
                Ok(())
            }
            1 => Err(Failure::usage("1 fault")),
            more => Err(Failure::usage(format!("{more} faults"))),
        }
    }
}

/// Faults of every kind. Where the settings themselves have faults the place and the mappings
/// that they name are still looked at, so that all are listed at once.
fn faults(options: &Options) -> Vec<Fault> {
    let env = open::environment();
    let file = options.config.as_deref();
    let (loaded, mut faults) = Config::survey(file, &env);
    if let Some(loaded) = &loaded {
        faults.extend(opening::check(loaded));
        faults.extend(opening::calendar_ends(&loaded.config, Clock::System.now()));
        // Without a configuration of one's own there is nothing to serve from.
        if file.is_some() {
            faults.extend(Loaded::serving(loaded));
        }
    }
    faults.sort();
    faults.dedup();
    faults
}
