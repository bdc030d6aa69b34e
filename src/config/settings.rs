//! TOML as a flat list of settings, each with the file and line it stands on.
//!
//! Serves the gateway's own configuration and a place's `place.toml`: both say which keys they
//! know in a table of [`Key`]s, and every departure from it is a [`Fault`]. <https://toml.io>
//! It knows shapes of values, not what the settings mean together.

use toml_edit::{Document, Item, TableLike, Value};

use super::Fault;
use super::shape::Shape;

/// Where a setting was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// The file, or the environment variable.
    pub file: String,
    /// The line, from 1; 0 for an environment variable.
    pub line: usize,
}

impl At {
    /// A fault that stands here.
    pub fn fault(&self, text: impl Into<String>) -> Fault {
        Fault { file: self.file.clone(), line: self.line, text: text.into() }
    }
}

/// A key that a file may have. `path` writes any index of a list of tables as `[]`.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Such as `delivery.receivers[].url`.
    pub path: &'static str,
    /// What its value looks like.
    pub shape: Shape,
    /// True where a table of a list must have it.
    pub required: bool,
}

/// One setting: `delivery.receivers[0].url`, its value, where it was made.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The full path with indexes.
    pub path: String,
    /// The value; for the start of a table in a list, an empty table.
    pub value: toml::Value,
    /// Where.
    pub at: At,
}

/// Reads a TOML text as settings, in the order of the file.
///
/// # Errors
/// The first syntax fault: past it nothing in the file can be trusted.
pub fn read(file: &str, text: &str) -> Result<Vec<Setting>, Fault> {
    let document = Document::parse(text).map_err(|fault| {
        let line = fault.span().map_or(1, |span| line_of(text, span.start));
        let why = fault.message().lines().next().unwrap_or("cannot be read").to_owned();
        Fault { file: file.to_owned(), line, text: format!("not TOML: {why}") }
    })?;
    let mut reader = Reader { file, text, out: Vec::new() };
    reader.table(document.as_table(), "");
    Ok(reader.out)
}

struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    out: Vec<Setting>,
}

impl Reader<'_> {
    fn table(&mut self, table: &dyn TableLike, path: &str) {
        for (name, item) in table.iter() {
            let span = table.get_key_value(name).and_then(|(key, _)| key.span()).or_else(|| item.span());
            let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            self.item(item, path, span.map_or(1, |span| line_of(self.text, span.start)));
        }
    }

    fn item(&mut self, item: &Item, path: String, line: usize) {
        match item {
            Item::None => {}
            Item::Table(table) if table.is_empty() => self.push(path, toml::Value::Table(toml::Table::new()), line),
            Item::Table(table) => self.table(table, &path),
            Item::ArrayOfTables(tables) => {
                let rows = tables.iter().map(|table| (table as &dyn TableLike, table.span()));
                self.rows(rows, &path, line);
            }
            Item::Value(Value::InlineTable(table)) => self.table(table, &path),
            Item::Value(Value::Array(array)) if array.iter().any(Value::is_inline_table) => {
                let rows = array.iter().filter_map(Value::as_inline_table).map(|t| (t as &dyn TableLike, t.span()));
                self.rows(rows, &path, line);
            }
            Item::Value(value) => self.push(path, plain(value), line),
        }
    }

    fn rows<'t>(
        &mut self,
        rows: impl Iterator<Item = (&'t dyn TableLike, Option<std::ops::Range<usize>>)>,
        path: &str,
        line: usize,
    ) {
        for (index, (table, span)) in rows.enumerate() {
            let line = span.map_or(line, |span| line_of(self.text, span.start));
            let path = format!("{path}[{index}]");
            self.push(path.clone(), toml::Value::Table(toml::Table::new()), line);
            self.table(table, &path);
        }
    }

    fn push(&mut self, path: String, value: toml::Value, line: usize) {
        self.out.push(Setting { path, value, at: At { file: self.file.to_owned(), line } });
    }
}

fn plain(value: &Value) -> toml::Value {
    match value {
        Value::String(text) => toml::Value::String(text.value().clone()),
        Value::Integer(number) => toml::Value::Integer(*number.value()),
        Value::Float(number) => toml::Value::Float(*number.value()),
        Value::Boolean(flag) => toml::Value::Boolean(*flag.value()),
        Value::Datetime(date) => toml::Value::Datetime(*date.value()),
        Value::Array(array) => toml::Value::Array(array.iter().map(plain).collect()),
        Value::InlineTable(_) => toml::Value::Table(toml::Table::new()),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count()
}

/// `delivery.receivers[3].url` as the key table writes it: `delivery.receivers[].url`.
pub fn general(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut inside = false;
    for c in path.chars() {
        inside = (inside || c == '[') && c != ']';
        if !inside || c == '[' {
            out.push(c);
        }
    }
    out
}

/// Checks settings against the keys that are known: unknown keys, wrong types, values out of
/// range, missing keys of listed tables. Returns the settings that are good.
pub fn check(settings: Vec<Setting>, keys: &[Key], faults: &mut Vec<Fault>) -> Vec<Setting> {
    let mut good = Vec::new();
    let all: Vec<(String, At)> = settings.iter().map(|s| (s.path.clone(), s.at.clone())).collect();
    for setting in settings {
        let path = general(&setting.path);
        if setting.value.as_table().is_some_and(toml::Table::is_empty) && is_section(&path, keys) {
            if path.ends_with(']') {
                missing(&setting, &path, &all, keys, faults);
            }
            good.push(setting);
            continue;
        }
        match keys.iter().find(|key| key.path == path) {
            None => faults.push(setting.at.fault(unknown(&setting.path, &path, keys))),
            Some(key) => match key.shape.check(&setting.value) {
                Ok(()) => good.push(setting),
                Err(why) => faults.push(setting.at.fault(format!("{}: {why}", setting.path))),
            },
        }
    }
    good
}

fn is_section(path: &str, keys: &[Key]) -> bool {
    keys.iter().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

fn missing(setting: &Setting, path: &str, all: &[(String, At)], keys: &[Key], faults: &mut Vec<Fault>) {
    for key in keys.iter().filter(|key| key.required) {
        let Some(name) = key.path.strip_prefix(path).and_then(|rest| rest.strip_prefix('.')) else { continue };
        let wanted = format!("{}.{name}", setting.path);
        if !all.iter().any(|(path, _)| *path == wanted) {
            faults.push(setting.at.fault(format!("{}: has no {name}", setting.path)));
        }
    }
}

fn unknown(full: &str, path: &str, keys: &[Key]) -> String {
    let tops = keys.iter().map(|key| key.path);
    let sections = keys.iter().filter_map(|key| key.path.rsplit_once('.').map(|(section, _)| section));
    let near = tops.chain(sections).min_by_key(|known| distance(path, known));
    match near {
        Some(near) if distance(path, near) <= 1 + path.len() / 5 => {
            format!("{full}: there is no such key; did you mean {near}?")
        }
        _ => format!("{full}: there is no such key"),
    }
}

/// Edits (Levenshtein) between two short texts.
pub fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let here = (before + usize::from(x != *y)).min(row[j] + 1).min(row[j + 1] + 1);
            before = std::mem::replace(&mut row[j + 1], here);
        }
    }
    row[b.len()]
}

/// Puts settings together as one TOML table. Paths were checked, so none contradicts another.
pub fn assemble<'a>(settings: impl IntoIterator<Item = &'a Setting>) -> toml::Table {
    let mut root = toml::Table::new();
    for setting in settings {
        let parts: Vec<&str> = setting.path.split('.').collect();
        put(&mut root, &parts, &setting.value);
    }
    root
}

fn put(table: &mut toml::Table, parts: &[&str], value: &toml::Value) {
    let [first, rest @ ..] = parts else { return };
    let (name, index) = match first.split_once('[') {
        Some((name, index)) => (name, index.trim_end_matches(']').parse::<usize>().ok()),
        None => (*first, None),
    };
    let empty = || toml::Value::Table(toml::Table::new());
    let slot = table.entry(name).or_insert_with(|| match index {
        Some(_) => toml::Value::Array(Vec::new()),
        None => empty(),
    });
    let slot = match (index, slot) {
        (Some(index), toml::Value::Array(rows)) => {
            while rows.len() <= index {
                rows.push(empty());
            }
            &mut rows[index]
        }
        (_, slot) => slot,
    };
    match (rest.is_empty(), slot) {
        (false, toml::Value::Table(inner)) => put(inner, rest, value),
        (true, toml::Value::Table(_)) if value.is_table() => {}
        (true, slot) => *slot = value.clone(),
        (false, _) => {}
    }
}
