//! `place.toml` and the CSV files as rows. What they must be true of each other is `check`'s.

use super::clocks::Clocks;
use super::input::Sex;
use super::people::{Absence, Venue, Worker, shifts};
use super::place::{Capacity, Desk, Equity, Network, Place, PlaceFiles, Pool, Practice, Serves, Tables};
use super::rows::{Row, Rows};
use crate::config::Fault;
use crate::config::settings::{self, Key, Setting};
use crate::config::shape::Shape;
use crate::fhir::ids::OdsCode;

/// The most open episodes that a pool's hard limit may say.
const LIMIT_MAX: u32 = 100_000;
/// Contacts with a person, fewest and most, by the national guidance for link workers.
const CONTACTS: (u32, u32) = (6, 12);
/// The most working days to a first contact.
const FIRST_CONTACT_DAYS_MAX: u32 = 250;

const fn key(path: &'static str, shape: Shape, required: bool) -> Key {
    Key { path, shape, required }
}

/// The keys of `place.toml`. `[desks.NAME]` is read as a list of tables.
pub const PLACE_KEYS: &[Key] = &[
    key("name", Shape::Name, true),
    key("recipients", Shape::OdsList, false),
    key("districts", Shape::Flag, false),
    key("capacity.yearly_per_fte", Shape::Whole(1, 10_000), true),
    key("capacity.weeks_open", Shape::Whole(1, 52), true),
    key("capacity.contacts_min", Shape::Whole(1, 100), false),
    key("capacity.contacts_max", Shape::Whole(1, 100), false),
    key("equity.postcode_file", Shape::Name, false),
    key("equity.decile_file", Shape::Name, false),
    key("equity.release", Shape::Name, false),
    key("equity.hide_below", Shape::Whole(2, 1000), false),
    key("clocks.reminder_percent", Shape::Whole(1, 99), false),
    key("clocks.escalate_after_days", Shape::Whole(1, 250), false),
    key("clocks.return_after_days", Shape::Whole(0, 250), false),
    key("restricted.pool", Shape::Name, true),
    key("restricted.name", Shape::Name, true),
    key("restricted.owner", Shape::Name, true),
    key("restricted.clock_hours", Shape::Whole(1, 8760), false),
    key("unallocated.pool", Shape::Name, true),
    key("unallocated.name", Shape::Name, true),
    key("unallocated.owner", Shape::Name, true),
    key("unallocated.clock_hours", Shape::Whole(1, 8760), true),
    key("desks[].pool", Shape::Name, true),
    key("desks[].name", Shape::Name, true),
    key("desks[].owner", Shape::Name, true),
    key("desks[].clock_hours", Shape::Whole(1, 8760), true),
];

/// Reads `place.toml`.
pub(super) fn place(files: &PlaceFiles, faults: &mut Vec<Fault>) -> Place {
    let path = files.path("place.toml");
    let read = settings::read(&path, files.text("place.toml").unwrap_or("")).unwrap_or_else(|fault| {
        faults.push(fault);
        Vec::new()
    });
    let read = list_desks(read);
    let before = faults.len();
    let present: Vec<String> = read.iter().map(|setting| setting.path.clone()).collect();
    let good = settings::check(read, PLACE_KEYS, faults);
    if before == faults.len() && files.texts.contains_key("place.toml") {
        let needed = PLACE_KEYS.iter().filter(|key| key.required && !key.path.contains('['));
        for key in needed.filter(|key| !present.iter().any(|path| path == key.path)) {
            faults.push(Fault { file: path.clone(), line: 1, text: format!("has no {}", key.path) });
        }
    }
    from_settings(&good)
}

fn from_settings(good: &[Setting]) -> Place {
    let setting = |path: &str| good.iter().find(|setting| setting.path == path);
    let value = |path: &str| setting(path).map(|setting| &setting.value);
    let text = |path: &str| value(path).and_then(toml::Value::as_str).unwrap_or("").to_owned();
    let number =
        |path: &str| value(path).and_then(toml::Value::as_integer).and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    let given = |path: &str, otherwise: u32| if value(path).is_some() { number(path) } else { otherwise };
    let desk = |section: &str, key: &str| Desk {
        key: key.to_owned(),
        pool: text(&format!("{section}.pool")),
        name: text(&format!("{section}.name")),
        owner: text(&format!("{section}.owner")),
        clock_hours: number(&format!("{section}.clock_hours")),
        line: setting(&format!("{section}.pool")).map_or(1, |setting| setting.at.line),
    };
    let list = value("recipients").and_then(toml::Value::as_array).map_or([].as_slice(), Vec::as_slice);
    let own = good.iter().filter_map(|setting| setting.path.strip_prefix("desks[")?.strip_suffix(']'));
    Place {
        name: text("name"),
        recipients: list.iter().filter_map(|code| OdsCode::parse(code.as_str()?).ok()).collect(),
        restricted: desk("restricted", "restricted"),
        unallocated: desk("unallocated", "unallocated"),
        capacity: Capacity {
            yearly_per_fte: number("capacity.yearly_per_fte"),
            weeks_open: number("capacity.weeks_open"),
            contacts_min: given("capacity.contacts_min", CONTACTS.0),
            contacts_max: given("capacity.contacts_max", CONTACTS.1),
        },
        equity: Equity {
            postcode_file: text("equity.postcode_file"),
            decile_file: text("equity.decile_file"),
            release: text("equity.release"),
            hide_below: number("equity.hide_below"),
        },
        clocks: {
            let usual = Clocks::default();
            Clocks {
                reminder_percent: given("clocks.reminder_percent", usual.reminder_percent),
                escalate_after_days: given("clocks.escalate_after_days", usual.escalate_after_days),
                return_after_days: given("clocks.return_after_days", usual.return_after_days),
            }
        },
        districts: value("districts").and_then(toml::Value::as_bool).unwrap_or(false),
        rows: Tables { desks: own.map(|key| desk(&format!("desks[{key}]"), key)).collect(), ..Tables::default() },
        ..Place::default()
    }
}

/// `desks.NAME.pool` as `desks[NAME].pool`, so that one table of keys knows them all.
fn list_desks(read: Vec<Setting>) -> Vec<Setting> {
    let mut out: Vec<Setting> = Vec::new();
    for mut setting in read {
        let parts = setting.path.strip_prefix("desks.").map(|rest| rest.split_once('.').unwrap_or((rest, "")));
        let Some((name, field)) = parts.map(|(name, field)| (name.to_owned(), field.to_owned())) else {
            out.push(setting);
            continue;
        };
        let row = format!("desks[{name}]");
        if !out.iter().any(|other| other.path == row) {
            let value = toml::Value::Table(toml::Table::new());
            out.push(Setting { path: row.clone(), value, at: setting.at.clone() });
        }
        if !field.is_empty() {
            setting.path = format!("{row}.{field}");
            out.push(setting);
        }
    }
    out
}

/// Reads the CSV files.
pub(super) fn tables(files: &PlaceFiles, into: &mut Tables, faults: &mut Vec<Fault>) {
    let columns = ["code", "name", "valid_from", "valid_to", "basis", "note"];
    each(files, "networks.csv", &columns, faults, |rows, row| into.networks.extend(network(rows, row)));
    let columns = ["ods", "name", "pcn", "?cluster", "valid_from", "valid_to", "basis", "note"];
    each(files, "practices.csv", &columns, faults, |rows, row| into.practices.extend(practice(rows, row)));
    let columns = [
        "id",
        "name",
        "serves",
        "employer",
        "employer_code",
        "limit",
        "overflow",
        "?takes_overflow_from",
        "cover",
        "interpreter",
        "first_contact_days",
        "open",
        "valid_from",
        "valid_to",
        "note",
    ];
    each(files, "pools.csv", &columns, faults, |rows, row| into.pools.extend(pool(rows, row)));
    let columns = [
        "id",
        "name",
        "pool",
        "sex",
        "languages",
        "days",
        "home_visits",
        "skills",
        "fte",
        "valid_from",
        "valid_to",
        "note",
    ];
    each(files, "workers.csv", &columns, faults, |rows, row| into.workers.extend(worker(rows, row)));
    let columns = ["worker", "from", "to", "note"];
    each(files, "absences.csv", &columns, faults, |rows, row| into.absences.extend(absence(rows, row)));
    let columns = ["id", "pool", "name", "postcode", "accessible", "valid_from", "valid_to", "note"];
    each(files, "venues.csv", &columns, faults, |rows, row| into.venues.extend(venue(rows, row)));
}

fn each(
    files: &PlaceFiles,
    file: &str,
    columns: &[&str],
    faults: &mut Vec<Fault>,
    take: impl FnMut(&mut Rows<'_>, &Row<'_>),
) {
    if let Some(text) = files.text(file) {
        Rows::new(&files.path(file), faults).each(text, columns, take);
    }
}

fn network(rows: &mut Rows<'_>, row: &Row<'_>) -> Option<Network> {
    let (code, name, period) = (rows.named(row, "code"), rows.named(row, "name"), rows.period(row));
    Some(Network { code, name, period: period?, line: row.line })
}

fn practice(rows: &mut Rows<'_>, row: &Row<'_>) -> Option<Practice> {
    let (ods, name, period) = (rows.ods(row, "ods"), rows.named(row, "name"), rows.period(row));
    let said = |column: &str| Some(row.cell(column).to_owned()).filter(|text| !text.is_empty());
    let (pcn, cluster) = (said("pcn"), said("cluster"));
    Some(Practice { ods: ods?, name, pcn, cluster, period: period?, line: row.line })
}

// A figure that is no figure counts as none, so that what names the row is not at fault too.
fn pool(rows: &mut Rows<'_>, row: &Row<'_>) -> Option<Pool> {
    let (id, name) = (rows.named(row, "id"), rows.named(row, "name"));
    let (employer, code) = (rows.named(row, "employer"), rows.ods(row, "employer_code"));
    let serves = row.list("serves").into_iter().filter_map(|text| serves(rows, row, &text)).collect();
    let limit = rows.whole(row, "limit", LIMIT_MAX);
    let first_contact_days = rows.whole(row, "first_contact_days", FIRST_CONTACT_DAYS_MAX);
    let (interpreter, open, period) = (rows.flag(row, "interpreter"), rows.flag(row, "open"), rows.period(row));
    Some(Pool {
        id,
        name,
        serves,
        employer,
        employer_code: code?,
        limit,
        overflow: row.list("overflow"),
        takes_overflow_from: row.list("takes_overflow_from"),
        cover: row.list("cover"),
        interpreter,
        first_contact_days,
        open,
        period: period?,
        line: row.line,
    })
}

fn serves(rows: &mut Rows<'_>, row: &Row<'_>, text: &str) -> Option<Serves> {
    match text.split_once(':') {
        None if text == "place" => Some(Serves::Place),
        Some(("pcn", code)) if !code.is_empty() => Some(Serves::Pcn(code.trim().to_owned())),
        Some(("cluster", name)) if !name.is_empty() => Some(Serves::Cluster(name.trim().to_owned())),
        _ => {
            rows.fault(row.line, format!("serves '{text}' is not pcn:CODE, cluster:NAME or place"));
            None
        }
    }
}

fn worker(rows: &mut Rows<'_>, row: &Row<'_>) -> Option<Worker> {
    let (id, name, pool) = (rows.named(row, "id"), rows.named(row, "name"), rows.named(row, "pool"));
    let sex = match row.cell("sex") {
        "" => None,
        "female" => Some(Sex::Female),
        "male" => Some(Sex::Male),
        other => {
            rows.fault(row.line, format!("sex '{other}' is not female, male or empty"));
            None
        }
    };
    let shifts = shifts(row.cell("days")).unwrap_or_else(|why| {
        rows.fault(row.line, format!("days {why}"));
        Vec::new()
    });
    let (home_visits, period) = (rows.flag(row, "home_visits"), rows.period(row));
    let fte_hundredths = rows.hundredths(row, "fte").unwrap_or(1);
    let (languages, skills, line) = (row.list("languages"), row.list("skills"), row.line);
    Some(Worker { id, name, pool, sex, languages, shifts, home_visits, skills, fte_hundredths, period: period?, line })
}

fn absence(rows: &mut Rows<'_>, row: &Row<'_>) -> Option<Absence> {
    let (worker, period) = (rows.named(row, "worker"), rows.period_of(row, "from", "to"));
    Some(Absence { worker, period: period?, line: row.line })
}

fn venue(rows: &mut Rows<'_>, row: &Row<'_>) -> Option<Venue> {
    let (id, pool, name) = (rows.named(row, "id"), rows.named(row, "pool"), rows.named(row, "name"));
    let (postcode, accessible) = (rows.named(row, "postcode"), rows.flag(row, "accessible"));
    Some(Venue { id, pool, name, postcode, accessible, period: rows.period(row)?, line: row.line })
}
