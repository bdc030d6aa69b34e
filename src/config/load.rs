//! The layers: compiled-in defaults, then the file, then the environment. All faults at once.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use super::settings::{At, Setting, assemble, check, general, read};
use super::shape::{LIST_MAX, Shape};
use super::{Config, DEFAULTS, Fault, keys::KEYS};

/// Longest configuration file, bytes.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What an environment variable of the gateway begins with.
pub const PREFIX: &str = "FINGERPOST__";

/// Where the defaults stand, in faults.
pub const DEFAULTS_FILE: &str = "config/gateway.toml";

/// A configuration and where each of its settings was made.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Path to place, `delivery.receivers[0].url`.
    pub places: BTreeMap<String, At>,
}

impl Loaded {
    /// Where a setting was made; a setting that nobody made stands at the defaults' first line.
    pub fn at(&self, path: &str) -> At {
        self.places.get(path).cloned().unwrap_or_else(|| At { file: DEFAULTS_FILE.into(), line: 1 })
    }
}

/// Puts the layers together. `env` is the process's environment, or a test's. Settings with a
/// fault are left out, so that the rest can still be looked at; with none, the result is good.
/// Faults between settings are `super::check`'s.
pub fn layers(file: Option<&Path>, env: &[(String, String)]) -> (Option<Loaded>, Vec<Fault>) {
    let mut faults = Vec::new();
    let mut chosen: BTreeMap<String, Setting> = BTreeMap::new();
    take(&mut chosen, read_checked(DEFAULTS_FILE, DEFAULTS, &mut faults));
    if let Some(file) = file {
        take(&mut chosen, read_file(file, &mut faults));
    }
    let variables = read_env(env, &chosen, &mut faults);
    take(&mut chosen, check(variables, KEYS, &mut faults));
    let fillers = fillers(&chosen);
    let config = toml::Value::Table(assemble(chosen.values().chain(&fillers))).try_into::<Config>();
    let places = chosen.into_iter().map(|(path, setting)| (path, setting.at)).collect();
    match config {
        Ok(config) => (Some(Loaded { config, places }), faults),
        Err(why) => {
            let file = file.map_or_else(|| DEFAULTS_FILE.to_owned(), |file| file.display().to_string());
            faults.push(Fault { file, line: 1, text: why.message().to_owned() });
            (None, faults)
        }
    }
}

/// Stand-ins for the keys that a listed table lacks or has wrong. They have no place, so nothing
/// is said about them; the fault that made them necessary is listed already.
fn fillers(chosen: &BTreeMap<String, Setting>) -> Vec<Setting> {
    let mut out = Vec::new();
    for row in chosen.values().filter(|setting| setting.path.ends_with(']')) {
        let section = general(&row.path);
        for key in KEYS.iter().filter(|key| key.required) {
            let Some(name) = key.path.strip_prefix(&section).and_then(|rest| rest.strip_prefix('.')) else { continue };
            let path = format!("{}.{name}", row.path);
            if !chosen.contains_key(&path) {
                out.push(Setting { path, value: key.shape.stand_in(), at: row.at.clone() });
            }
        }
    }
    out
}

fn take(chosen: &mut BTreeMap<String, Setting>, settings: Vec<Setting>) {
    for setting in settings {
        chosen.insert(setting.path.clone(), setting);
    }
}

fn read_checked(name: &str, text: &str, faults: &mut Vec<Fault>) -> Vec<Setting> {
    match read(name, text) {
        Ok(settings) => check(settings, KEYS, faults),
        Err(fault) => {
            faults.push(fault);
            Vec::new()
        }
    }
}

/// A file's text, no longer than [`FILE_BYTES_MAX`].
fn bounded(file: &Path) -> Result<String, String> {
    let unread = |why: std::io::Error| format!("cannot be read: {why}");
    let mut text = String::new();
    let open = std::fs::File::open(file).map_err(unread)?;
    open.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unread)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("larger than {} MiB: not a configuration", FILE_BYTES_MAX / (1024 * 1024)));
    }
    Ok(text)
}

/// Reads the place's own file; its relative paths begin at its folder.
fn read_file(file: &Path, faults: &mut Vec<Fault>) -> Vec<Setting> {
    let name = file.display().to_string();
    let text = match bounded(file) {
        Ok(text) => text,
        Err(text) => {
            faults.push(Fault { file: name, line: 1, text });
            return Vec::new();
        }
    };
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut settings = read_checked(&name, &text, faults);
    for setting in &mut settings {
        let path = general(&setting.path);
        let is_path = KEYS.iter().any(|k| k.path == path && matches!(k.shape, Shape::Path | Shape::PathNamed));
        if let (true, Some(text)) = (is_path, setting.value.as_str().filter(|text| !text.is_empty())) {
            setting.value = toml::Value::String(folder.join(text).display().to_string());
        }
    }
    settings
}

/// `FINGERPOST__INTAKE__EMIS__WAIT_DAYS` -> `intake.emis.wait_days`; a number is an index.
fn read_env(env: &[(String, String)], chosen: &BTreeMap<String, Setting>, faults: &mut Vec<Fault>) -> Vec<Setting> {
    let mut out: Vec<Setting> = Vec::new();
    for (variable, text) in env {
        let Some(rest) = variable.strip_prefix(PREFIX) else { continue };
        let at = At { file: variable.clone(), line: 0 };
        let Some(path) = variable_path(rest) else {
            faults.push(at.fault(format!("an index is at most {LIST_MAX}")));
            continue;
        };
        let shape = KEYS.iter().find(|key| key.path == general(&path)).map(|key| key.shape);
        let value = shape.map_or_else(|| toml::Value::String(text.clone()), |shape| shape.from_text(text));
        if let Some(end) = path.rfind(']') {
            let row = &path[..=end];
            if !chosen.contains_key(row) && !out.iter().any(|setting| setting.path == row) {
                out.push(Setting {
                    path: row.to_owned(),
                    value: toml::Value::Table(toml::Table::new()),
                    at: at.clone(),
                });
            }
        }
        out.push(Setting { path, value, at });
    }
    out
}

fn variable_path(rest: &str) -> Option<String> {
    let mut path = String::new();
    for part in rest.to_ascii_lowercase().split("__") {
        if let Ok(index) = part.parse::<usize>() {
            if index >= LIST_MAX {
                return None;
            }
            path.push_str(&format!("[{index}]"));
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(part);
        }
    }
    Some(path)
}
