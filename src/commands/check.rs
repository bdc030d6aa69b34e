//! `fingerpost check`: configuration, place, mappings and code tables, all faults at once.

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Failure, Options, open, out};
use crate::clock::Clock;
use crate::config::{Config, Fault, Loaded};
use crate::opening;

/// Check the configuration, the place, the mappings and the code tables together
#[derive(Debug, Args)]
#[command(
    long_about = "Checks the configuration, the place, the mappings and the code tables together and lists every \
                  fault as file:line: text, and warns of what will become one. Exit status 0 or 2.",
    after_help = "Example:\n  fingerpost check --config /etc/fingerpost/gateway.toml"
)]
pub struct Check {}

impl Check {
    pub fn run(self, options: &Options) -> Result<(), Failure> {
        let (faults, warnings) = faults(options, Clock::System.now());
        if options.json {
            out::json(&json!({"ok": faults.is_empty(), "faults": rows(&faults), "warnings": rows(&warnings)}));
        } else {
            warnings.iter().for_each(|warning| out::say(format!("warning: {warning}")));
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

fn rows(faults: &[Fault]) -> Vec<Value> {
    faults.iter().map(|fault| json!({"file": fault.file, "line": fault.line, "text": fault.text})).collect()
}

/// Faults of every kind, and warnings of what will be one. Where the settings themselves have faults the
/// place and the mappings that they name are still looked at, so that all are listed at once.
fn faults(options: &Options, now: Timestamp) -> (Vec<Fault>, Vec<Fault>) {
    let env = open::environment();
    let file = options.config.as_deref();
    let (loaded, mut faults) = Config::survey(file, &env);
    let mut warnings = Vec::new();
    if let Some(loaded) = &loaded {
        faults.extend(opening::check(loaded));
        match opening::calendar_ends(&loaded.config, now) {
            Some((fault, true)) => faults.push(fault),
            Some((warning, false)) => warnings.push(warning),
            None => {}
        }
        // Without a configuration of one's own there is nothing to serve from.
        if file.is_some() {
            faults.extend(Loaded::serving(loaded));
        }
    }
    faults.sort();
    faults.dedup();
    (faults, warnings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_will_be_a_fault_is_a_warning_first() {
        let options = Options { config: None, json: false };
        let is = |now: &str| {
            let (faults, warnings) = faults(&options, now.parse().ok()?);
            Some((faults.len(), warnings.len()))
        };
        assert_eq!(is("2026-11-25T10:00:00Z"), Some((0, 0)));
        assert_eq!(is("2027-06-01T10:00:00Z"), Some((0, 1)), "the bank holidays end within a year");
        assert_eq!(is("2027-12-01T10:00:00Z"), Some((1, 0)));
    }
}
