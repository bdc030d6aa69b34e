//! The columns of a source that is a set of tables: `source.csv` beside the mapping.
//! Intake uses the same file to recognise headers.

use std::collections::{BTreeMap, HashMap};

use super::tables::records;
use super::yaml::Faults;

const COLUMNS: [&str; 5] = ["table", "column", "aliases", "since", "note"];

/// One column of one table.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name in the newest version of the source.
    pub name: String,
    /// Other spellings seen.
    pub aliases: Vec<String>,
    /// The source version that brought it; empty for one that was always there.
    pub since: String,
    /// What to know about it.
    pub note: String,
}

/// The tables of a source, with their columns in order.
#[derive(Debug, Clone, Default)]
pub struct SourceSchema {
    /// Table name to columns.
    pub tables: BTreeMap<String, Vec<Column>>,
}

impl SourceSchema {
    /// The column of a table by its exact name.
    pub fn has(&self, table: &str, column: &str) -> bool {
        self.tables.get(table).is_some_and(|columns| columns.iter().any(|known| known.name == column))
    }
}

/// Reads `source.csv`.
pub fn read(text: &str, faults: &mut Faults<'_>) -> Option<SourceSchema> {
    let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
    let header: Vec<String> = reader.headers().ok()?.iter().map(str::to_owned).collect();
    if header != COLUMNS {
        faults.add(1, format!("the columns must be {}", COLUMNS.join(",")));
        return None;
    }
    let mut schema = SourceSchema::default();
    let mut seen: HashMap<(String, String), usize> = HashMap::new();
    for (line, row) in records(&mut reader, faults) {
        let cell = |at: usize| row.get(at).unwrap_or("").trim().to_owned();
        let column = Column {
            name: cell(1),
            aliases: cell(2).split('|').map(str::to_owned).filter(|alias| !alias.is_empty()).collect(),
            since: cell(3),
            note: cell(4),
        };
        for name in std::iter::once(&column.name).chain(&column.aliases) {
            if let Some(earlier) = seen.insert((cell(0), name.to_lowercase()), line)
                && earlier != line
            {
                faults.add(line, format!("{name} is in {} twice (also line {earlier})", cell(0)));
            }
        }
        schema.tables.entry(cell(0)).or_default().push(column);
    }
    Some(schema)
}
