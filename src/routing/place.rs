//! A place: its networks, practices, pools and employers, read from `config/<place>/`.
//!
//! `place.toml`, `networks.csv`, `practices.csv`, `pools.csv`; what each column means stands in
//! `config/README.md`. Rows are in force from `valid_from` to `valid_to`, both days included.
//! Takes texts: reading files is the caller's.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::civil::Date;

use super::check;
use super::rows::{Period, Rows};
use crate::config::Fault;
use crate::config::settings::{self, Key};
use crate::config::shape::Shape;
use crate::fhir::ids::OdsCode;

/// The files of a place.
pub const FILES: [&str; 4] = ["place.toml", "networks.csv", "practices.csv", "pools.csv"];

/// The places compiled in: name, then its files in the order of [`FILES`].
const SHIPPED: &[(&str, [&str; 4])] = &[(
    "sefton",
    [
        include_str!("../../config/sefton/place.toml"),
        include_str!("../../config/sefton/networks.csv"),
        include_str!("../../config/sefton/practices.csv"),
        include_str!("../../config/sefton/pools.csv"),
    ],
)];

/// The keys of `place.toml`.
pub const PLACE_KEYS: &[Key] = &[
    Key { path: "name", shape: Shape::Name, required: true },
    Key { path: "recipients", shape: Shape::OdsList, required: false },
    Key { path: "capacity.yearly_per_fte", shape: Shape::Whole(1, 10_000), required: true },
    Key { path: "capacity.weeks_open", shape: Shape::Whole(1, 52), required: true },
    Key { path: "restricted.pool", shape: Shape::Name, required: true },
    Key { path: "restricted.name", shape: Shape::Name, required: true },
    Key { path: "restricted.owner", shape: Shape::Name, required: true },
    Key { path: "unallocated.pool", shape: Shape::Name, required: true },
    Key { path: "unallocated.name", shape: Shape::Name, required: true },
    Key { path: "unallocated.owner", shape: Shape::Name, required: true },
    Key { path: "unallocated.clock_hours", shape: Shape::Whole(1, 8760), required: true },
];

/// One place's reference data.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// The folder's name.
    pub id: String,
    /// The place's name.
    pub name: String,
    /// Organisations whose incoming referrals are social prescribing.
    pub recipients: Vec<OdsCode>,
    /// Where restricted and sensitive people's referrals go.
    pub restricted: Desk,
    /// Where referrals go that no open pool of a network can take.
    pub unallocated: Desk,
    /// Networks, by code; one code may have several rows, one after the other in time.
    pub networks: Vec<Network>,
    /// Practices and the networks that they were and are in.
    pub practices: Vec<Practice>,
    /// Pools, in the order of their ids.
    pub pools: Vec<Pool>,
    /// SHA-256 of the files, first 12 hex digits.
    pub version: String,
}

/// A named queue that is no network's, with somebody who looks after it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Desk {
    /// Its id as a pool.
    pub pool: String,
    /// Its name.
    pub name: String,
    /// Who looks after it.
    pub owner: String,
    /// Hours within which the owner acts; 0: not set.
    pub clock_hours: u32,
}

/// A Primary Care Network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Its ODS code, or an invented one.
    pub code: String,
    /// Its name.
    pub name: String,
    /// When this row is in force.
    pub period: Period,
    /// Its line.
    pub line: usize,
}

/// A practice's time in a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Practice {
    /// Its ODS code.
    pub ods: OdsCode,
    /// Its name.
    pub name: String,
    /// The network; `None`: known to be in none.
    pub pcn: Option<String>,
    /// When this row is in force.
    pub period: Period,
    /// Its line.
    pub line: usize,
}

/// The link workers who take referrals for a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The network it works for.
    pub pcn: String,
    /// The organisation that employs the link workers.
    pub employer: String,
    /// The employer's ODS code, or an invented one.
    pub employer_code: OdsCode,
    /// Link workers, in hundredths of full-time.
    pub fte_hundredths: u32,
    /// Open episodes it has room for.
    pub room: u64,
    /// False: takes no new referrals.
    pub open: bool,
    /// When this row is in force.
    pub period: Period,
    /// Its line.
    pub line: usize,
}

/// The texts of a place's files, and how to name them in faults.
#[derive(Debug, Clone)]
pub struct PlaceFiles {
    /// Such as `config/sefton`.
    pub folder: String,
    /// File name to text.
    pub texts: BTreeMap<String, String>,
}

impl PlaceFiles {
    /// The files of a place that is compiled in.
    pub fn shipped(name: &str) -> Option<Self> {
        let (_, texts) = SHIPPED.iter().find(|(shipped, _)| *shipped == name)?;
        let texts = FILES.iter().zip(texts).map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect();
        Some(Self { folder: format!("config/{name}"), texts })
    }

    /// The names of the places that are compiled in.
    pub fn shipped_names() -> Vec<&'static str> {
        SHIPPED.iter().map(|(name, _)| *name).collect()
    }

    fn path(&self, file: &str) -> String {
        format!("{}/{file}", self.folder)
    }

    fn text(&self, file: &str) -> &str {
        self.texts.get(file).map_or("", String::as_str)
    }
}

impl Place {
    /// Reads and checks a place.
    ///
    /// # Errors
    /// Every fault in its files.
    pub fn load(name: &str, files: &PlaceFiles) -> Result<Self, Vec<Fault>> {
        let (place, faults) = Self::survey(name, files);
        if faults.is_empty() { Ok(place) } else { Err(faults) }
    }

    /// All faults of a place, and what can be made of the rest: enough to check other files
    /// against. Only [`Place::load`]'s result may be routed by.
    pub fn survey(name: &str, files: &PlaceFiles) -> (Self, Vec<Fault>) {
        let mut faults = Vec::new();
        for file in FILES.iter().filter(|file| !files.texts.contains_key(**file)) {
            faults.push(Fault { file: files.path(file), line: 1, text: "the file is missing".into() });
        }
        let (mut place, capacity) = read_place(files, &mut faults);
        place.id = name.to_owned();
        place.networks = read_networks(files, &mut faults);
        place.practices = read_practices(files, &mut faults);
        place.pools = read_pools(files, capacity, &mut faults);
        place.version = version(files);
        check::between(&place, &|file| files.path(file), &mut faults);
        faults.sort();
        faults.dedup();
        (place, faults)
    }

    /// A practice as it stands on a day; `None`: this place does not know it.
    pub fn practice(&self, ods: &OdsCode, on: Date) -> Option<&Practice> {
        self.practices.iter().find(|practice| practice.ods == *ods && practice.period.holds(on))
    }

    /// A network as it stands on a day.
    pub fn network(&self, code: &str, on: Date) -> Option<&Network> {
        self.networks.iter().find(|network| network.code == code && network.period.holds(on))
    }

    /// A pool by its id: the row in force on that day, or else the latest one.
    pub fn pool(&self, id: &str, on: Date) -> Option<&Pool> {
        let rows = || self.pools.iter().filter(|pool| pool.id == id);
        rows().find(|pool| pool.period.holds(on)).or_else(|| rows().max_by_key(|pool| pool.period.from))
    }

    /// True for every id that a referral can be routed to.
    pub fn knows_pool(&self, id: &str) -> bool {
        id == self.restricted.pool || id == self.unallocated.pool || self.pools.iter().any(|pool| pool.id == id)
    }

    /// The name of a pool, desk included.
    pub fn pool_name(&self, id: &str) -> Option<&str> {
        [&self.restricted, &self.unallocated]
            .into_iter()
            .find(|desk| desk.pool == id)
            .map(|desk| desk.name.as_str())
            .or_else(|| self.pools.iter().find(|pool| pool.id == id).map(|pool| pool.name.as_str()))
    }
}

/// People a full-time link worker sees in a year, and the weeks that an episode stays open.
#[derive(Clone, Copy)]
struct Capacity {
    yearly: u64,
    weeks: u64,
}

fn read_place(files: &PlaceFiles, faults: &mut Vec<Fault>) -> (Place, Capacity) {
    let path = files.path("place.toml");
    let read = settings::read(&path, files.text("place.toml")).unwrap_or_else(|fault| {
        faults.push(fault);
        Vec::new()
    });
    let before = faults.len();
    let present: Vec<String> = read.iter().map(|setting| setting.path.clone()).collect();
    let good = settings::check(read, PLACE_KEYS, faults);
    if before == faults.len() && files.texts.contains_key("place.toml") {
        for key in PLACE_KEYS.iter().filter(|key| key.required && !present.iter().any(|path| path == key.path)) {
            faults.push(Fault { file: path.clone(), line: 1, text: format!("has no {}", key.path) });
        }
    }
    let value = |path: &str| good.iter().find(|setting| setting.path == path).map(|setting| &setting.value);
    let text = |path: &str| value(path).and_then(toml::Value::as_str).unwrap_or("").to_owned();
    let number = |path: &str| value(path).and_then(toml::Value::as_integer).and_then(|n| u32::try_from(n).ok());
    let desk = |section: &str| Desk {
        pool: text(&format!("{section}.pool")),
        name: text(&format!("{section}.name")),
        owner: text(&format!("{section}.owner")),
        clock_hours: number(&format!("{section}.clock_hours")).unwrap_or(0),
    };
    let list = value("recipients").and_then(toml::Value::as_array).map_or([].as_slice(), Vec::as_slice);
    let place = Place {
        name: text("name"),
        recipients: list.iter().filter_map(|code| OdsCode::parse(code.as_str()?).ok()).collect(),
        restricted: desk("restricted"),
        unallocated: desk("unallocated"),
        ..Place::default()
    };
    let figure = |path: &str| u64::from(number(path).unwrap_or(0));
    (place, Capacity { yearly: figure("capacity.yearly_per_fte"), weeks: figure("capacity.weeks_open") })
}

fn read_networks(files: &PlaceFiles, faults: &mut Vec<Fault>) -> Vec<Network> {
    let path = files.path("networks.csv");
    let mut out = Vec::new();
    if files.texts.contains_key("networks.csv") {
        let columns = ["code", "name", "valid_from", "valid_to", "basis", "note"];
        Rows::new(&path, faults).each(files.text("networks.csv"), &columns, |rows, row| {
            let (code, name) = (rows.named(row, "code"), rows.named(row, "name"));
            if let Some(period) = rows.period(row) {
                out.push(Network { code, name, period, line: row.line });
            }
        });
    }
    out
}

fn read_practices(files: &PlaceFiles, faults: &mut Vec<Fault>) -> Vec<Practice> {
    let path = files.path("practices.csv");
    let mut out = Vec::new();
    if files.texts.contains_key("practices.csv") {
        let columns = ["ods", "name", "pcn", "valid_from", "valid_to", "basis", "note"];
        Rows::new(&path, faults).each(files.text("practices.csv"), &columns, |rows, row| {
            let (ods, name, period) = (rows.ods(row, "ods"), rows.named(row, "name"), rows.period(row));
            let pcn = Some(row.cell("pcn").to_owned()).filter(|code| !code.is_empty());
            if let (Some(ods), Some(period)) = (ods, period) {
                out.push(Practice { ods, name, pcn, period, line: row.line });
            }
        });
    }
    out
}

fn read_pools(files: &PlaceFiles, capacity: Capacity, faults: &mut Vec<Fault>) -> Vec<Pool> {
    let path = files.path("pools.csv");
    let mut out = Vec::new();
    if !files.texts.contains_key("pools.csv") {
        return out;
    }
    let columns = ["id", "name", "pcn", "employer", "employer_code", "fte", "open", "valid_from", "valid_to", "note"];
    Rows::new(&path, faults).each(files.text("pools.csv"), &columns, |rows, row| {
        let (id, name) = (rows.named(row, "id"), rows.named(row, "name"));
        let (pcn, employer) = (rows.named(row, "pcn"), rows.named(row, "employer"));
        let (code, fte) = (rows.ods(row, "employer_code"), rows.hundredths(row, "fte"));
        let (open, period) = (rows.flag(row, "open"), rows.period(row));
        // Figures that are no figures count as none, so that what names the pool is not at fault too.
        let fte_hundredths = fte.unwrap_or(0);
        if let (Some(employer_code), Some(period)) = (code, period) {
            let room = u64::from(fte_hundredths) * capacity.yearly * capacity.weeks / (100 * 52);
            let line = row.line;
            out.push(Pool { id, name, pcn, employer, employer_code, fte_hundredths, room, open, period, line });
        }
    });
    out.sort_by(|a, b| (&a.id, a.period.from).cmp(&(&b.id, b.period.from)));
    out
}

/// The first 12 hex digits of the SHA-256 of all files with their names.
fn version(files: &PlaceFiles) -> String {
    let mut all = Vec::new();
    for (name, text) in &files.texts {
        all.extend_from_slice(format!("{name}\n{}\n", text.len()).as_bytes());
        all.extend_from_slice(text.as_bytes());
    }
    digest(&SHA256, &all).as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}
