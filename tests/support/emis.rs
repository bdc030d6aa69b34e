//! Writes synthetic EMIS extracts, in every version's column order. Nobody in them exists.
#![allow(dead_code)] // each test program uses its own part

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A row: column to cell.
pub type Row = Vec<(&'static str, String)>;

/// The order and spelling of columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    V51,
    V54,
    V82,
    Live,
    Shuffled(u64),
}

/// How files are called.
#[derive(Debug, Clone, Copy)]
pub enum Names {
    Plain,
    /// Processing ids and `yyyyMMddHHmmss`.
    Classic(u64, u64, &'static str),
}

pub const AGREEMENT: &str = "45E7CD20-EE37-41AB-90D6-DC9D4B03D102";

/// A GUID of a kind of thing, in braces as EMIS writes it.
pub fn guid(kind: u32, n: u32) -> String {
    format!("{{{kind:08X}-0000-4000-8000-{n:012X}}}")
}

pub fn organisation(n: u32) -> String {
    guid(0xA, n)
}
pub fn patient(n: u32) -> String {
    guid(0xB, n)
}
pub fn observation(n: u32) -> String {
    guid(0xC, n)
}
pub fn clinician(n: u32) -> String {
    guid(0xD, n)
}

/// Bare, as identifiers have it.
pub fn bare(guid: &str) -> String {
    guid.trim_matches(['{', '}']).to_owned()
}

pub const PRESCRIBING: &str = "506031000006117";
pub const PHONE: &str = "511141000006114";
pub const COUGH: &str = "252831000006112";

/// One extract being made up.
#[derive(Debug, Clone, Default)]
pub struct Extract {
    pub tables: Vec<(&'static str, Vec<Row>)>,
    pub processing: u64,
}

impl Extract {
    /// Practices by ODS code (organisation 1, 2, ...), their agreement, a clinician each, three codes.
    pub fn of(practices: &[&str]) -> Self {
        let mut extract = Self { tables: Vec::new(), processing: 291 };
        for (n, ods) in (1..).zip(practices) {
            extract.organisation(n, ods);
            extract.agreement(n, true, false, false);
            extract.add(
                "Admin_UserInRole",
                vec![
                    ("UserInRoleGuid", clinician(n)),
                    ("OrganisationGuid", organisation(n)),
                    ("Title", "Dr".into()),
                    ("GivenName", "Ada".into()),
                    ("Surname", "Synthetic".into()),
                    ("JobCategoryCode", "R0260".into()),
                    ("JobCategoryName", "General Medical Practitioner".into()),
                    ("ContractStartDate", "2010-01-01".into()),
                ],
            );
        }
        extract.code(PRESCRIBING, "Referral to social prescribing service", "8T09.", "871731000000106", "Referral");
        extract.code(PHONE, "Planned telephone contact", "8H9..", "183631005", "Referral");
        extract.code(COUGH, "Cough", "171..", "49727002", "Clinical Finding");
        extract
    }

    /// Nothing but what is added.
    pub fn empty(processing: u64) -> Self {
        Self { tables: Vec::new(), processing }
    }

    pub fn add(&mut self, table: &'static str, mut row: Row) {
        if table != "Agreements_SharingOrganisation" {
            row.push(("ProcessingId", self.processing.to_string()));
        }
        match self.tables.iter_mut().find(|(name, _)| *name == table) {
            Some((_, rows)) => rows.push(row),
            None => self.tables.push((table, vec![row])),
        }
    }

    pub fn organisation(&mut self, n: u32, ods: &str) {
        self.add(
            "Admin_Organisation",
            vec![
                ("OrganisationGuid", organisation(n)),
                ("OrganisationName", format!("Synthetic surgery {n}")),
                ("ODSCode", ods.into()),
                ("OrganisationType", "GP Practice".into()),
                ("OpenDate", "2000-01-01".into()),
            ],
        );
    }

    pub fn agreement(&mut self, n: u32, active: bool, disabled: bool, deleted: bool) {
        let text = |value: bool| if value { "TRUE" } else { "False" }.to_owned();
        self.add(
            "Agreements_SharingOrganisation",
            vec![
                ("OrganisationGuid", organisation(n)),
                ("IsActivated", text(active)),
                ("LastModifiedDate", format!("2026-01-0{} 10:00:00", 1 + u8::from(disabled))),
                ("Disabled", text(disabled)),
                ("Deleted", text(deleted)),
            ],
        );
    }

    pub fn code(&mut self, id: &str, term: &str, read: &str, concept: &str, category: &str) {
        for parent in ["9001000006117", "9002000006112", "9003000006118"] {
            self.add(
                "Coding_ClinicalCode",
                vec![
                    ("CodeId", id.into()),
                    ("Term", term.into()),
                    ("ReadTermId", read.into()),
                    ("SnomedCTConceptId", concept.into()),
                    ("EmisCodeCategoryDescription", category.into()),
                    ("ParentCodeId", parent.into()),
                ],
            );
        }
    }

    /// A person of practice `org`; `more` overrides or adds cells.
    pub fn patient(&mut self, n: u32, org: u32, more: &[(&'static str, &str)]) {
        let row = vec![
            ("PatientGuid", patient(n)),
            ("OrganisationGuid", organisation(org)),
            ("Sex", "F".into()),
            ("DateOfBirth", "1950-01-01".into()),
            ("Title", "Ms".into()),
            ("GivenName", "Test".into()),
            ("Surname", format!("Synthetic{n}")),
            ("NhsNumber", nhs_number(n)),
            ("PatientNumber", n.to_string()),
            ("PatientTypeDescription", "Regular".into()),
            ("DummyType", "false".into()),
            ("NumberAndStreet", "1 Test Street".into()),
            ("Town", "Bootle".into()),
            ("Postcode", "L203EW".into()),
            ("PersonGuid", guid(0xE, n)),
            ("Deleted", "false".into()),
            ("SpineSensitive", "False".into()),
            ("IsConfidential", "false".into()),
            ("MobilePhone", "07700900000".into()),
        ];
        self.add("Admin_Patient", with(row, more));
    }

    pub fn observation(&mut self, n: u32, org: u32, of: u32, code: &str, more: &[(&'static str, &str)]) {
        let row = vec![
            ("ObservationGuid", observation(n)),
            ("PatientGuid", patient(of)),
            ("OrganisationGuid", organisation(org)),
            ("EffectiveDate", "2026-01-05".into()),
            ("EffectiveDatePrecision", "YMD".into()),
            ("EnteredDate", "2026-01-05".into()),
            ("EnteredTime", "10:15:00".into()),
            ("ClinicianUserInRoleGuid", clinician(org)),
            ("EnteredByUserInRoleGuid", clinician(org)),
            ("CodeId", code.into()),
            ("ObservationType", "Referral".into()),
            ("Deleted", "false".into()),
            ("IsConfidential", "FALSE".into()),
        ];
        self.add("CareRecord_Observation", with(row, more));
    }

    pub fn referral(&mut self, n: u32, org: u32, of: u32, urgency: &str, more: &[(&'static str, &str)]) {
        let row = vec![
            ("ObservationGuid", observation(n)),
            ("PatientGuid", patient(of)),
            ("OrganisationGuid", organisation(org)),
            ("ReferralUrgency", urgency.into()),
            ("ReferralServiceType", "Community Care".into()),
            ("ReferralMode", "Written".into()),
            ("TransportRequired", "false".into()),
        ];
        self.add("CareRecord_ObservationReferral", with(row, more));
    }

    /// A whole referral: patient, observation, form.
    pub fn whole(&mut self, n: u32, org: u32) {
        self.patient(n, org, &[]);
        self.observation(n, org, n, PRESCRIBING, &[]);
        self.referral(n, org, n, "Routine", &[]);
    }

    /// Writes the files into `folder`, made if need be.
    pub fn write(&self, folder: &Path, names: Names, layout: Layout) -> PathBuf {
        std::fs::create_dir_all(folder).unwrap();
        for (table, rows) in &self.tables {
            let name = match names {
                Names::Plain => format!("{table}.csv"),
                Names::Classic(first, last, time) if first == last => format!("{first}_{table}_{time}_{AGREEMENT}.csv"),
                Names::Classic(first, last, time) => format!("{first}-{last}_{table}_{time}_{AGREEMENT}.csv"),
            };
            std::fs::write(folder.join(name), csv(table, rows, layout)).unwrap();
        }
        folder.to_owned()
    }

    /// As a zip archive.
    pub fn zip(&self, path: &Path, names: Names, layout: Layout) {
        let folder = path.with_extension("unpacked");
        self.write(&folder, names, layout);
        let mut zip = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
        for entry in std::fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let options = zip::write::SimpleFileOptions::default();
            zip.start_file(format!("emis/{}", entry.file_name().to_string_lossy()), options).unwrap();
            std::io::Write::write_all(&mut zip, &std::fs::read(entry.path()).unwrap()).unwrap();
        }
        zip.finish().unwrap();
    }
}

fn with(mut row: Row, more: &[(&'static str, &str)]) -> Row {
    for (name, value) in more {
        row.retain(|(known, _)| known != name);
        row.push((name, (*value).to_owned()));
    }
    row
}

/// A table as CSV text.
pub fn csv(table: &str, rows: &[Row], layout: Layout) -> String {
    let columns = columns(table, layout);
    let mut text = String::new();
    let heads: Vec<&str> = columns.iter().map(|(_, written)| written.as_str()).collect();
    writeln!(text, "{}\r", heads.join(",")).unwrap();
    for row in rows {
        let cells: Vec<String> = columns
            .iter()
            .map(|(name, _)| {
                row.iter().find(|(known, _)| known == name).map_or(String::new(), |(_, cell)| quoted(cell))
            })
            .collect();
        writeln!(text, "{}\r", cells.join(",")).unwrap();
    }
    text
}

fn quoted(cell: &str) -> String {
    let plain = !cell.contains([',', '"', '\r', '\n']);
    if plain { cell.to_owned() } else { format!("\"{}\"", cell.replace('"', "\"\"")) }
}

/// Columns as `(own name, as written)`.
fn columns(table: &str, layout: Layout) -> Vec<(String, String)> {
    let source = include_str!("../../mappings/emis-extract/source.csv");
    let mut columns: Vec<(String, String)> = Vec::new();
    for line in source.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        if cells[0] != table {
            continue;
        }
        let (name, alias, since) = (cells[1], cells[2], cells[3]);
        let old = matches!(layout, Layout::V51 | Layout::V54);
        let keep = match (name, since) {
            ("AgreementGuid", _) => layout == Layout::V51,
            ("ReferralTargetClinician" | "ReferralTargetDepartment", _) => false,
            ("AssociatedText" | "Comment", _) => layout != Layout::V82,
            ("NumericOperator", _) => layout == Layout::Live,
            (_, "8.0") => !old,
            (_, "5.4" | "5.2") => layout != Layout::V51,
            _ => true,
        };
        if keep {
            let written = if layout == Layout::V51 && !alias.is_empty() { alias } else { name };
            columns.push((name.to_owned(), written.to_owned()));
        }
    }
    // The version's own places and spellings.
    let place = |columns: &mut Vec<(String, String)>, name: &str, before: &str| {
        let Some(at) = columns.iter().position(|(known, _)| known == name) else { return };
        let moved = columns.remove(at);
        let to = columns.iter().position(|(known, _)| known == before).unwrap_or(columns.len());
        columns.insert(to, moved);
    };
    match layout {
        Layout::V51 | Layout::V54 => {
            place(&mut columns, "AssociatedText", "ConsultationGuid");
            place(&mut columns, "ParentCodeId", "");
        }
        Layout::Live => place(&mut columns, "AssociatedText", "Value"),
        Layout::V82 => {}
        Layout::Shuffled(seed) => {
            fastrand::Rng::with_seed(seed).shuffle(&mut columns);
            for (at, (_, written)) in columns.iter_mut().enumerate() {
                *written = if at % 2 == 0 { written.to_uppercase() } else { written.to_lowercase() };
            }
        }
    }
    if layout == Layout::V82 {
        for (_, written) in columns.iter_mut().filter(|(name, _)| name == "ParentCodeId") {
            *written = "ParentCodeID".into();
        }
    }
    columns
}

/// An NHS number of the test range (999...) whose check digit holds, another for each `n` below 500,000.
pub fn nhs_number(n: u32) -> String {
    // Of two neighbours at most one has no check digit.
    for nine in [format!("999{:06}", 2 * n), format!("999{:06}", 2 * n + 1)] {
        let sum: u32 = nine.bytes().zip((2..=10).rev()).map(|(b, w)| u32::from(b - b'0') * w).sum();
        match (11 - sum % 11) % 11 {
            10 => {}
            check => return format!("{nine}{check}"),
        }
    }
    unreachable!("neighbours differ by two in the sum")
}
