//! Finds a table's columns in a header row, by name.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::{Table, Unreadable};

/// The columns of every version; the mapping's completeness check reads the same file.
const SOURCE: &str = include_str!("../../../mappings/emis-extract/source.csv");

/// A table's known spellings, folded to lower case, to the column's own name.
type Spellings = HashMap<String, &'static str>;

/// Where each known column stands in one file.
#[derive(Debug, Clone)]
pub struct Columns {
    /// The table.
    pub table: Table,
    at: HashMap<&'static str, usize>,
    /// Position to name, for the known ones.
    pub known: Vec<Option<&'static str>>,
    /// Headers that no version has, as written. Reported, never guessed at.
    pub unknown: Vec<String>,
}

impl Columns {
    /// Matches a header row.
    ///
    /// # Errors
    /// When a column that the table cannot do without is missing, or one stands there twice.
    pub fn find(table: Table, header: &[String]) -> Result<Self, Unreadable> {
        let spellings = &schema()[table.name()];
        let mut columns = Self { table, at: HashMap::new(), known: Vec::new(), unknown: Vec::new() };
        for (at, written) in header.iter().enumerate() {
            let found = spellings.get(&written.trim().trim_start_matches('\u{feff}').to_lowercase()).copied();
            columns.known.push(found);
            match found {
                Some(name) if columns.at.insert(name, at).is_some() => return Err(Unreadable::Twice(name.to_owned())),
                Some(_) => {}
                None => columns.unknown.push(written.chars().take(60).collect()),
            }
        }
        let missing: Vec<&str> = needed(table).iter().filter(|name| !columns.at.contains_key(*name)).copied().collect();
        if missing.is_empty() { Ok(columns) } else { Err(Unreadable::Missing(missing.join(", "))) }
    }

    /// Where a column stands, if this version has it.
    pub fn at(&self, name: &str) -> Option<usize> {
        self.at.get(name).copied()
    }
}

/// Columns without which a row of the table cannot be told apart or judged.
const fn needed(table: Table) -> &'static [&'static str] {
    match table {
        Table::Agreement => &["OrganisationGuid", "IsActivated", "Disabled", "Deleted"],
        Table::Organisation => &["OrganisationGuid", "ODSCode"],
        Table::UserInRole => &["UserInRoleGuid"],
        Table::Code => &["CodeId", "Term", "SnomedCTConceptId"],
        Table::Patient => &["PatientGuid", "OrganisationGuid", "NhsNumber", "DateOfBirth", "Deleted"],
        Table::Referral => &["ObservationGuid", "OrganisationGuid", "ReferralUrgency"],
        Table::Observation => &["ObservationGuid", "PatientGuid", "OrganisationGuid", "CodeId", "Deleted"],
        Table::Other => &[],
    }
}

/// The compiled-in list, by table. Leaks nothing that grows: it is read once.
fn schema() -> &'static HashMap<&'static str, Spellings> {
    static SCHEMA: OnceLock<HashMap<&'static str, Spellings>> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let mut tables: HashMap<&'static str, Spellings> = HashMap::new();
        tables.insert("", Spellings::new());
        // The file has no quoted cell before the note, so plain splitting finds the first four.
        for line in SOURCE.lines().skip(1) {
            let mut cells = line.splitn(4, ',');
            let (Some(table), Some(column), Some(aliases)) = (cells.next(), cells.next(), cells.next()) else {
                continue;
            };
            let spellings = tables.entry(table).or_default();
            for spelling in std::iter::once(column).chain(aliases.split('|')).filter(|name| !name.is_empty()) {
                spellings.insert(spelling.to_lowercase(), column);
            }
        }
        tables
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn header(text: &str) -> Vec<String> {
        text.split(',').map(str::to_owned).collect()
    }

    #[test]
    fn headers_match_in_any_case_and_order_with_old_misspellings() {
        let header = header(
            "externalususalgp,DELETED,nhsnumber,DateOfBirth,OrganisationGuid,\u{feff}PatientGuid,DateOfDeactivation",
        );
        let columns = Columns::find(Table::Patient, &header).unwrap();
        assert_eq!(columns.at("ExternalUsualGP"), Some(0));
        assert_eq!(columns.at("Deleted"), Some(1));
        assert_eq!(columns.at("PatientGuid"), Some(5));
        assert_eq!(columns.at("DateofDeactivation"), Some(6));
        assert!(columns.unknown.is_empty());
    }

    #[test]
    fn unknown_columns_are_reported_and_missing_ones_refuse_the_file() {
        let odd = Columns::find(Table::UserInRole, &header("UserInRoleGuid,Shoe Size")).unwrap();
        assert_eq!(odd.unknown, ["Shoe Size"]);
        let fault = Columns::find(Table::Code, &header("Term,CodeId")).unwrap_err();
        assert_eq!(fault, Unreadable::Missing("SnomedCTConceptId".into()));
        let twice = Columns::find(Table::Code, &header("Term,CodeId,codeid,SnomedCTConceptId")).unwrap_err();
        assert_eq!(twice, Unreadable::Twice("CodeId".into()));
    }

    #[test]
    fn every_published_header_is_known() {
        let folder = std::path::Path::new("../shared/payloads/emis-csv-headers");
        if !folder.exists() {
            println!("skipped: {} is not here", folder.display());
            return;
        }
        for version in ["v5.4-java", "v8.2-spec"] {
            for table in Table::READ {
                let path = folder.join(version).join(format!("{}.csv", table.name()));
                let text = std::fs::read_to_string(path).unwrap();
                let header: Vec<String> =
                    text.trim().split(',').map(|cell| cell.trim_matches('"').to_owned()).collect();
                assert_eq!(Columns::find(table, &header).unwrap().unknown, Vec::<String>::new());
            }
        }
    }
}
