//! The bundled messages: two batches of an EMIS extract, and BaRS referrals in JSON and XML.
//! Synthetic: fictional people with NHS numbers of the test range, at three real Sefton practices.

use std::path::{Path, PathBuf};

/// A BaRS message: its name, media type and bytes.
pub const BARS: [(&str, &str, &str); 3] = [
    ("new-referral.json", "application/fhir+json", include_str!("samples/bars/new-referral.json")),
    ("new-referral.xml", "application/fhir+xml", include_str!("samples/bars/new-referral.xml")),
    ("to-be-declined.json", "application/fhir+json", include_str!("samples/bars/to-be-declined.json")),
];

/// The business identifier of the referral that the simulated person declines.
pub const DECLINED: &str = "DEMO-2";

/// The practices that the samples come from.
pub const PRACTICES: [&str; 3] = ["N84001", "N84004", "N84626"];

/// The sharing agreement in the files' names.
const AGREEMENT: &str = "5EF70000-AB1E-4000-8000-0000000000A1";

/// A file of one night's batch, by its table.
macro_rules! file {
    ($batch:literal, $table:literal, $at:literal) => {
        (
            concat!($batch, "_", $table, "_", $at),
            include_str!(concat!(
                "samples/emis/",
                $batch,
                "_",
                $table,
                "_",
                $at,
                "_5EF70000-AB1E-4000-8000-0000000000A1.csv"
            )),
        )
    };
}

/// The first night's files.
const FIRST: [(&str, &str); 7] = [
    file!("4101", "Agreements_SharingOrganisation", "20260106000000"),
    file!("4101", "Admin_Organisation", "20260106000000"),
    file!("4101", "Admin_UserInRole", "20260106000000"),
    file!("4101", "Admin_Patient", "20260106000000"),
    file!("4101", "Coding_ClinicalCode", "20260106000000"),
    file!("4101", "CareRecord_Observation", "20260106000000"),
    file!("4101", "CareRecord_ObservationReferral", "20260106000000"),
];

/// The second night's: the observation for which a referral row has waited.
const SECOND: [(&str, &str); 1] = [file!("4102", "CareRecord_Observation", "20260107000000")];

/// Writes the extract under `folder`; gives its batches in the order in which they come.
pub fn lay_out_extract(folder: &Path) -> std::io::Result<[PathBuf; 2]> {
    let nights = [(folder.join("first-night"), &FIRST[..]), (folder.join("second-night"), &SECOND[..])];
    for (night, files) in &nights {
        std::fs::create_dir_all(night)?;
        for (name, text) in *files {
            std::fs::write(night.join(format!("{name}_{AGREEMENT}.csv")), text)?;
        }
    }
    Ok(nights.map(|(night, _)| night))
}
