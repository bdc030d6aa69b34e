//! Opening a gateway: configuration, place and mappings checked together, the log's signing key,
//! the store. Commands, `serve`, `demo` and tests all come in by this door.
//!
//! It reads the files that a place and the mappings are kept in; what they say is checked in
//! their own rooms.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use crate::access::Access;
use crate::audit::Signer;
use crate::clock::Clock;
use crate::config::settings::At;
use crate::config::{Config, Fault, Loaded};
use crate::gateway::Gateway;
use crate::mapping::Mappings;
use crate::routing::calendar::{self, Calendar};
use crate::routing::place::FILES;
use crate::routing::{Place, PlaceFiles};
use crate::store::{Store, StoreError};

/// Why a gateway does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenFault {
    /// Something is wrong in the configuration, the place, the mappings or the code tables.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Config(Vec<Fault>),
    /// The log's signing key cannot be had.
    #[error("the audit log's signing key: {0}")]
    Key(String),
    /// The store does not open.
    #[error("the store: {0}")]
    Store(#[from] StoreError),
}

impl Gateway {
    /// Opens a gateway on a store that `migrate` has made.
    ///
    /// # Errors
    /// See [`OpenFault`].
    pub async fn open(config: Config) -> Result<Self, OpenFault> {
        Self::open_at(config, Clock::System).await
    }

    /// As [`Gateway::open`], making or upgrading the store's schema first. For tests, `demo` and
    /// development: in production a person runs `fingerpost migrate`.
    ///
    /// # Errors
    /// See [`OpenFault`].
    pub async fn open_or_create(config: Config, clock: Clock) -> Result<Self, OpenFault> {
        Store::migrate(&config.store).await?;
        Self::open_at(config, clock).await
    }

    /// As [`Gateway::open`], with the clock that it shall go by.
    ///
    /// # Errors
    /// See [`OpenFault`].
    pub async fn open_at(mut config: Config, clock: Clock) -> Result<Self, OpenFault> {
        let reference = Reference::load(&config, &|_| At { file: "the configuration".into(), line: 0 });
        let Reference { place, mappings, calendar } = reference.map_err(OpenFault::Config)?;
        if let Some(notice) = calendar.notice(clock.now().to_zoned(crate::clock::london()).date()) {
            tracing::warn!("{notice}");
        }
        for code in &place.recipients {
            if !config.intake.emis.recipients.contains(code) {
                config.intake.emis.recipients.push(code.clone());
            }
        }
        let access = Access::load(&config).map_err(OpenFault::Config)?;
        let signer = signer(&config)?;
        let store = Store::open(&config.store, signer).await?;
        let files_place = Arc::new(place);
        let gateway = Self {
            config: Arc::new(config),
            places: Arc::new(RwLock::new(files_place.clone())),
            files_place,
            mappings: Arc::new(mappings),
            access: Arc::new(access),
            store,
            clock,
            caseloads: Arc::default(),
            calendar: Arc::new(calendar),
        };
        crate::directory::refresh(&gateway).await?;
        Ok(gateway)
    }
}

/// The place and the mappings: what a gateway knows beside its settings.
#[derive(Debug)]
pub struct Reference {
    /// Networks, practices and pools.
    pub place: Place,
    /// Mappings and code tables.
    pub mappings: Mappings,
    /// Which days are working days.
    pub calendar: Calendar,
}

impl Reference {
    /// Reads and checks both, and the settings against them. `at` says where a setting was made.
    ///
    /// # Errors
    /// Every fault of all of them.
    pub fn load(config: &Config, at: &dyn Fn(&str) -> At) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut keep = |more: Vec<Fault>| faults.extend(more);
        let place = survey_place(config, at).map_err(&mut keep).ok().map(|(place, more)| {
            keep(more);
            place
        });
        let mappings = load_mappings(config).map_err(&mut keep).ok();
        let calendar = load_calendar(config).map_err(&mut keep).ok();
        if let Some(place) = &place {
            keep(against_place(config, place, at));
        }
        faults.sort();
        match (place, mappings, calendar) {
            (Some(place), Some(mappings), Some(calendar)) if faults.is_empty() => {
                Ok(Self { place, mappings, calendar })
            }
            _ => Err(faults),
        }
    }
}

/// Every fault of a configuration and all that it names.
pub fn check(loaded: &Loaded) -> Vec<Fault> {
    let mut faults = Reference::load(&loaded.config, &|path| loaded.at(path)).err().unwrap_or_default();
    faults.extend(crate::outcome::entries::check());
    faults.extend(crate::referral::language::check());
    faults.extend(crate::outcome::measure::check());
    faults
}

/// The place that a configuration names.
///
/// # Errors
/// Every fault in its files.
pub fn place(config: &Config, at: &dyn Fn(&str) -> At) -> Result<Place, Vec<Fault>> {
    let (place, faults) = survey_place(config, at)?;
    if faults.is_empty() { Ok(place) } else { Err(faults) }
}

/// The place that a folder describes, whatever configuration may name it.
///
/// # Errors
/// Every fault in its files.
pub fn place_of_folder(folder: &Path) -> Result<Place, Vec<Fault>> {
    let fault = |text: String| vec![Fault { file: folder.display().to_string(), line: 0, text }];
    let files = read_place(folder).map_err(fault)?;
    let name = folder.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    Place::load(&name.unwrap_or_default(), &files)
}

/// What is to be said of the bank holidays' end, and whether it is a fault already or a warning yet.
pub fn calendar_ends(config: &Config, now: jiff::Timestamp) -> Option<(Fault, bool)> {
    let calendar = load_calendar(config).ok()?;
    let on = now.to_zoned(crate::clock::london()).date();
    let text = calendar.notice(on)?;
    Some((Fault { file: format!("config/{}", calendar::FILE), line: 1, text }, calendar.is_ending(on)))
}

fn survey_place(config: &Config, at: &dyn Fn(&str) -> At) -> Result<(Place, Vec<Fault>), Vec<Fault>> {
    let name = &config.gateway.place;
    let wrong = |text: String| vec![at("gateway.place").fault(format!("gateway.place: {text}"))];
    if !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        return Err(wrong("must be small letters, digits and -".into()));
    }
    let files = if config.gateway.config_dir.is_empty() {
        PlaceFiles::shipped(name).ok_or_else(|| {
            wrong(format!("there is no place '{name}'; compiled in: {}", PlaceFiles::shipped_names().join(", ")))
        })?
    } else {
        read_place(&Path::new(&config.gateway.config_dir).join(name)).map_err(wrong)?
    };
    Ok(Place::survey(name, &files))
}

fn read_place(folder: &Path) -> Result<PlaceFiles, String> {
    if !folder.is_dir() {
        return Err(format!("there is no folder {}", folder.display()));
    }
    let mut texts = BTreeMap::new();
    for file in FILES {
        match std::fs::read_to_string(folder.join(file)) {
            Ok(text) => drop(texts.insert(file.to_owned(), text)),
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => {} // the place lists what is missing
            Err(why) => return Err(format!("{}: {why}", folder.join(file).display())),
        }
    }
    Ok(PlaceFiles { folder: folder.display().to_string(), texts })
}

/// The bank holidays beside the places, or the ones compiled in where there is no such file.
fn load_calendar(config: &Config) -> Result<Calendar, Vec<Fault>> {
    let path = Path::new(&config.gateway.config_dir).join(calendar::FILE);
    if config.gateway.config_dir.is_empty() || !path.exists() {
        return Ok(Calendar::shipped());
    }
    let name = path.display().to_string();
    let text = std::fs::read_to_string(&path)
        .map_err(|why| vec![Fault { file: name.clone(), line: 1, text: why.to_string() }])?;
    Calendar::parse(&name, &text)
}

fn load_mappings(config: &Config) -> Result<Mappings, Vec<Fault>> {
    match config.gateway.mappings_dir.as_str() {
        "" => Mappings::builtin(),
        folder => Mappings::open(Path::new(folder)),
    }
}

/// Pools that clients name, and practices that are written back to, must be known to the place.
fn against_place(config: &Config, place: &Place, at: &dyn Fn(&str) -> At) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (index, client) in config.access.clients.iter().enumerate() {
        let path = format!("access.clients[{index}].pools");
        for pool in client.pools.iter().filter(|pool| !place.knows_pool(pool)) {
            faults.push(at(&path).fault(format!("{path}: {} has no pool '{pool}'", place.name)));
        }
    }
    for (index, practice) in config.writeback.practices.iter().enumerate() {
        if !place.practices().iter().any(|known| known.ods == practice.ods) {
            let path = format!("writeback.practices[{index}].ods");
            faults.push(at(&path).fault(format!("{path}: {} does not know practice {}", place.name, practice.ods)));
        }
    }
    faults
}

/// The path of the embedded store's file, if the store is the embedded one.
pub fn store_path(config: &Config) -> Option<PathBuf> {
    config.store.url.strip_prefix("sqlite:").map(PathBuf::from)
}

/// Where the log's signing key is kept: `audit.key_file`, or beside the embedded store.
pub fn key_path(config: &Config) -> Option<PathBuf> {
    if !config.audit.key_file.is_empty() {
        return Some(PathBuf::from(&config.audit.key_file));
    }
    config.beside_store("audit-key.pem")
}

/// Where the log's public key is kept, beside the signing key: `fingerpost.db.audit-key.pub`.
pub fn public_key_path(config: &Config) -> Option<PathBuf> {
    key_path(config).map(|path| path.with_extension("pub"))
}

/// The log's signing key, made where there is none.
///
/// # Errors
/// See [`OpenFault`].
pub fn signer(config: &Config) -> Result<Signer, OpenFault> {
    let Some(path) = key_path(config) else {
        let text = "audit.key_file: a PostgreSQL store needs a signing key that all its gateways share".to_owned();
        return Err(OpenFault::Config(vec![Fault { file: "the configuration".into(), line: 0, text }]));
    };
    let signer = Signer::load_or_create(&config.audit.origin, &path).map_err(|why| OpenFault::Key(why.to_string()))?;
    keep_public(&signer, &path.with_extension("pub")).map_err(OpenFault::Key)?;
    Ok(signer)
}

/// Keeps the public key beside the other, for those who verify. One that is of another key is
/// never replaced: the log would go on under a signature that nobody was given.
fn keep_public(signer: &Signer, path: &Path) -> Result<(), String> {
    let text = format!("{}\n", signer.public_key_text());
    match std::fs::read_to_string(path) {
        Ok(kept) if kept.trim() == text.trim() => Ok(()),
        Ok(_) => Err(format!(
            "{} is the public key of another signing key or log name; restore the signing key, or put that file \
             away with the log that it belongs to",
            path.display()
        )),
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => {
            let draft = path.with_extension(format!("pub.{}", uuid::Uuid::new_v4().simple()));
            let written = std::fs::write(&draft, text).and_then(|()| std::fs::rename(&draft, path));
            written.map_err(|why| format!("{}: {why}", path.display()))
        }
        Err(why) => Err(format!("{}: {why}", path.display())),
    }
}
