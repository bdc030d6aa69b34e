//! What a file of an extract is called, and what its name says.
//!
//! Three shapes: `291-300_Admin_Patient_20150211164536_GUID.csv.gpg` (classic SFTP), the same after a
//! `delta...` token (newer IM1), and the plain table name of a folder made by hand. See
//! `endeavourhealth/SFTPReader` for the classic grammar; the newer one is not published.

use jiff::civil::DateTime;

use super::cells::guid;

/// The tables that the gateway reads; the extract's other tables are known and skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// Which practices share, and whether they still do.
    Agreement,
    /// Organisations, with their ODS codes.
    Organisation,
    /// Staff.
    UserInRole,
    /// What each code means.
    Code,
    /// Patients.
    Patient,
    /// The referral form's half of a referral.
    Referral,
    /// The coded entry's half of a referral, among all other coded entries.
    Observation,
    /// Known, and of no use to referrals.
    Other,
}

impl Table {
    /// The tables read, in the order in which one batch is read: what others refer to comes first.
    pub const READ: [Self; 7] = [
        Self::Agreement,
        Self::Organisation,
        Self::UserInRole,
        Self::Code,
        Self::Patient,
        Self::Referral,
        Self::Observation,
    ];

    /// EMIS's own name of the table; empty for [`Table::Other`].
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agreement => "Agreements_SharingOrganisation",
            Self::Organisation => "Admin_Organisation",
            Self::UserInRole => "Admin_UserInRole",
            Self::Code => "Coding_ClinicalCode",
            Self::Patient => "Admin_Patient",
            Self::Referral => "CareRecord_ObservationReferral",
            Self::Observation => "CareRecord_Observation",
            Self::Other => "",
        }
    }

    /// The table of that name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        let read = Self::READ.into_iter().find(|table| table.name().eq_ignore_ascii_case(name));
        read.or_else(|| SKIPPED.iter().any(|known| known.eq_ignore_ascii_case(name)).then_some(Self::Other))
    }
}

/// Tables of the extract that hold nothing a referral needs.
const SKIPPED: [&str; 14] = [
    "Admin_Location",
    "Admin_OrganisationLocation",
    "Admin_PatientHistory",
    "Appointment_Session",
    "Appointment_SessionUser",
    "Appointment_Slot",
    "Audit_PatientAudit",
    "Audit_RegistrationAudit",
    "CareRecord_Consultation",
    "CareRecord_Diary",
    "CareRecord_Problem",
    "Coding_DrugCode",
    "Prescribing_DrugRecord",
    "Prescribing_IssueRecord",
];

/// A file name, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileName {
    /// The table.
    pub table: Table,
    /// First and last processing id of the batch.
    pub processing: Option<(u64, u64)>,
    /// The batch's time, as the name states it.
    pub time: Option<DateTime>,
    /// The sharing agreement, upper case without braces; empty in a plain name.
    pub agreement: String,
    /// It is OpenPGP-encrypted.
    pub encrypted: bool,
}

impl FileName {
    /// Reads a file's name (without folders); `None` when it is not one of an extract.
    pub fn parse(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        let (stem, encrypted) = match lower.strip_suffix(".gpg").or_else(|| lower.strip_suffix(".pgp")) {
            Some(stem) => (stem, true),
            None => (lower.as_str(), false),
        };
        let stem = stem.strip_suffix(".csv")?;
        let tokens: Vec<&str> = stem.split('_').collect();
        let at = (0..tokens.len().saturating_sub(1))
            .find(|&at| Table::parse(&format!("{}_{}", tokens[at], tokens[at + 1])).is_some())?;
        let table = Table::parse(&format!("{}_{}", tokens[at], tokens[at + 1]))?;
        let processing = before(&tokens[..at])?;
        let (time, agreement) = after(&tokens[at + 2..])?;
        Some(Self { table, processing, time, agreement, encrypted })
    }

    /// True when the name alone tells batches apart, so that the same name means the same file.
    pub fn is_full(&self) -> bool {
        self.time.is_some()
    }
}

/// The tokens before the table: nothing, `291`, `291-300`, or either after a `delta...` token.
fn before(tokens: &[&str]) -> Option<Option<(u64, u64)>> {
    match tokens {
        [] => Some(None),
        [delta] if delta.starts_with("delta") => Some(None),
        [ids] => range(ids).map(Some),
        [delta, ids] if delta.starts_with("delta") => range(ids).map(Some),
        _ => None,
    }
}

/// `291` or `291-300`.
fn range(text: &str) -> Option<(u64, u64)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

/// The tokens after the table: nothing, the time, or the time and the agreement.
fn after(tokens: &[&str]) -> Option<(Option<DateTime>, String)> {
    match tokens {
        [] => Some((None, String::new())),
        [time] => Some((Some(batch_time(time)?), String::new())),
        [time, agreement] => Some((Some(batch_time(time)?), guid(agreement)?)),
        _ => None,
    }
}

/// `yyyyMMddHHmmss`.
fn batch_time(text: &str) -> Option<DateTime> {
    let digits = text.len() == 14 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits {
        return None;
    }
    let part = |from: usize, to: usize| text[from..to].parse::<i16>().ok();
    let small = |from: usize, to: usize| text[from..to].parse::<i8>().ok();
    DateTime::new(part(0, 4)?, small(4, 6)?, small(6, 8)?, small(8, 10)?, small(10, 12)?, small(12, 14)?, 0).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const GUID: &str = "45E7CD20-EE37-41AB-90D6-DC9D4B03D102";

    #[test]
    fn a_classic_name_gives_table_range_time_and_agreement() {
        let name = FileName::parse(&format!("291-300_Agreements_SharingOrganisation_20150211164536_{GUID}.csv.gpg"));
        let name = name.unwrap();
        assert_eq!(name.table, Table::Agreement);
        assert_eq!(name.processing, Some((291, 300)));
        assert_eq!(name.time.unwrap().to_string(), "2015-02-11T16:45:36");
        assert_eq!(name.agreement, GUID);
        assert!(name.encrypted);
    }

    #[test]
    fn newer_and_plain_names_are_read_too() {
        let newer =
            FileName::parse(&format!("delta_291_CareRecord_Observation_20250211164536_{{{GUID}}}.csv")).unwrap();
        assert_eq!((newer.table, newer.processing), (Table::Observation, Some((291, 291))));
        let plain = FileName::parse("carerecord_observationreferral.CSV").unwrap();
        assert_eq!((plain.table, plain.is_full()), (Table::Referral, false));
        assert_eq!(FileName::parse("291_Admin_PatientHistory_20250211164536.csv").unwrap().table, Table::Other);
    }

    #[test]
    fn other_names_are_not_guessed_at() {
        for name in [
            "readme.csv",
            "Admin_Patient.txt",
            "x_y_Admin_Patient.csv",
            "5-1_Admin_Patient.csv",
            "1_Admin_Patient_20251399000000_45E7CD20.csv",
            "1_Admin_Patient_20250101000000_nonsense.csv",
        ] {
            assert_eq!(FileName::parse(name), None, "{name}");
        }
    }
}
