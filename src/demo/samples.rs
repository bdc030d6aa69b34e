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

const EMIS: [(&str, &str); 8] = [
    (
        "batch-1/Agreements_SharingOrganisation.csv",
        include_str!("samples/emis/batch-1/Agreements_SharingOrganisation.csv"),
    ),
    ("batch-1/Admin_Organisation.csv", include_str!("samples/emis/batch-1/Admin_Organisation.csv")),
    ("batch-1/Admin_UserInRole.csv", include_str!("samples/emis/batch-1/Admin_UserInRole.csv")),
    ("batch-1/Admin_Patient.csv", include_str!("samples/emis/batch-1/Admin_Patient.csv")),
    ("batch-1/Coding_ClinicalCode.csv", include_str!("samples/emis/batch-1/Coding_ClinicalCode.csv")),
    ("batch-1/CareRecord_Observation.csv", include_str!("samples/emis/batch-1/CareRecord_Observation.csv")),
    (
        "batch-1/CareRecord_ObservationReferral.csv",
        include_str!("samples/emis/batch-1/CareRecord_ObservationReferral.csv"),
    ),
    (
        "batch-2/CareRecord_ObservationReferral.csv",
        include_str!("samples/emis/batch-2/CareRecord_ObservationReferral.csv"),
    ),
];

/// Writes the extract under `folder`; gives its batches in the order in which they come.
pub fn lay_out_extract(folder: &Path) -> std::io::Result<[PathBuf; 2]> {
    for (name, text) in EMIS {
        let file = folder.join(name);
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(file, text)?;
    }
    Ok([folder.join("batch-1"), folder.join("batch-2")])
}
