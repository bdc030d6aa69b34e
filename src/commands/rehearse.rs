//! `fingerpost route rehearse`: what a proposed configuration would have done with past referrals.
//!
//! Stores and sends nothing, but for one thing: people's records are read, so an audit entry is
//! made durable before anything is shown.

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::civil::Date;

use super::{Failure, Options, open, out};
use crate::audit::Action;
use crate::config::settings::At;
use crate::config::{Config, Fault, Loaded};
use crate::directory;
use crate::gateway::Gateway;
use crate::opening::{self, store_path};
use crate::rehearsal::{Plan, Report, SEED, rehearse, shown};
use crate::routing::{Place, PlaceFiles};
use crate::store::StoreError;

mod kept;
mod past;
mod people;

/// What is asked for.
#[derive(Debug, Args)]
pub struct Rehearse {
    /// Ask again only the referrals received on this day (England) or later
    #[arg(long, value_name = "DATE")]
    since: Option<Date>,
    /// The configuration in force: its store is read, and its place is compared with. Without it the
    /// store is the one that --config names (a folder names none: the defaults and the environment)
    #[arg(long, value_name = "FILE")]
    running: Option<PathBuf>,
    /// The seed of the simulation's draws: the same seed gives the same report
    #[arg(long, default_value_t = SEED)]
    seed: u64,
    /// Leave out of the proposed place what is kept up to date by FHIR (pools, link workers, absences)
    #[arg(long)]
    without_kept: bool,
}

impl Rehearse {
    pub async fn run(self, options: &Options) -> Result<(), Failure> {
        let proposed = Proposed::read(options.config.as_deref())?;
        let running = self.running(proposed.config.as_ref())?;
        let config = running.as_ref().or(proposed.config.as_ref()).cloned().map_or_else(defaults, Ok)?;
        let gateway = opened(config).await?;
        let (place, kept) = kept::laid_over(&gateway, proposed.place.clone(), self.without_kept).await?;
        let read = past::read(&gateway, &place).await?;
        let in_force = match self.running.is_some() {
            true => Some((*gateway.place()).clone()),
            false => in_force(&gateway, &proposed.place, &read).await?,
        };
        let plan = Plan {
            old: in_force.as_ref(),
            new: &place,
            since: self.since,
            measured: read.measured,
            seed: self.seed,
            deprivation: &read.deprivation,
            kept,
        };
        let report = rehearse(&plan, &read.past);
        let mut entry = open::entry(&gateway, "route-rehearse", Action::R);
        entry.detail = format!(
            "{} referrals asked again of place files {}, {} would move",
            report.asked,
            report.version,
            report.moved.len()
        );
        open::record(&gateway, entry).await?;
        tell(&report, options.json);
        gateway.store.close().await;
        Ok(())
    }

    /// The configuration in force, where it is named.
    fn running(&self, proposed: Option<&Config>) -> Result<Option<Config>, Failure> {
        match &self.running {
            Some(file) => Ok(Some(Config::load(Some(file), &open::environment())?)),
            None if proposed.is_none() => Ok(Some(defaults()?)),
            None => Ok(None),
        }
    }
}

/// The place in force where none is named: the proposed or a compiled-in one, when its files made
/// the latest decision; with what is kept by FHIR now.
async fn in_force(gateway: &Gateway, proposed: &Place, read: &past::Read) -> Result<Option<Place>, StoreError> {
    let decided = read.past.iter().filter(|past| !past.decision.by_hand);
    let Some(latest) = decided.max_by_key(|past| past.at) else { return Ok(None) };
    let version: &str = &latest.decision.version;
    let shipped =
        PlaceFiles::shipped_names().into_iter().filter_map(|name| Place::load(name, &PlaceFiles::shipped(name)?).ok());
    for files in [proposed.clone(), (*gateway.files_place).clone()].into_iter().chain(shipped) {
        let served = directory::laid_over(gateway, &files).await?.place;
        if [&*files.version, &*served.version].contains(&version) {
            return Ok(Some(served));
        }
    }
    Ok(None)
}

fn defaults() -> Result<Config, Failure> {
    Ok(Config::load(None, &open::environment())?)
}

/// What `--config` proposes: a gateway's configuration file with its place, or a place's folder.
struct Proposed {
    place: Place,
    config: Option<Config>,
}

impl Proposed {
    fn read(path: Option<&Path>) -> Result<Self, Failure> {
        let env = open::environment();
        match path {
            Some(folder) if folder.is_dir() => Ok(Self { place: opening::place_of_folder(folder)?, config: None }),
            file => {
                let (loaded, mut faults) = Config::survey(file, &env);
                faults.extend(loaded.iter().flat_map(opening::check));
                settled(faults)?;
                let loaded = loaded.ok_or_else(|| Failure::usage("the configuration cannot be read"))?;
                let Loaded { config, .. } = &loaded;
                let place = opening::place(config, &|path: &str| -> At { loaded.at(path) })?;
                Ok(Self { place, config: Some(loaded.config) })
            }
        }
    }
}

fn settled(mut faults: Vec<Fault>) -> Result<(), Failure> {
    faults.sort();
    faults.dedup();
    if faults.is_empty() { Ok(()) } else { Err(faults.into()) }
}

/// The gateway on its store as it is: none is made, none is upgraded.
async fn opened(config: Config) -> Result<Gateway, Failure> {
    crate::telemetry::start(&config.log);
    if let Some(path) = store_path(&config).filter(|path| !path.exists()) {
        return Err(Failure::environment(format!("there is no store at {}: name it with --running", path.display())));
    }
    Ok(Gateway::open(config).await?)
}

fn tell(report: &Report, json: bool) {
    if json {
        out::json(report);
    } else {
        out::say(shown(report, &out::table));
    }
}
