//! The ways into one practice's record, as `[[writeback.practices]]` has them, in order:
//!
//! - `fhir`: a FHIR R4 endpoint of the practice's system;
//! - `update-record`, `send-document`: GP Connect messages over MESH;
//! - `file-record` (EMIS FileRecord), `hl7v2` (ORU^R01), `hl7v2-document` (MDM^T02): files laid in a
//!   folder of the supplier's interface, by atomic rename; each needs a pairing.
//!
//! `send-document` and `hl7v2-document` bring a document that a person reads and no code.

use std::path::{Path, PathBuf};

use crate::config::{Config, PracticeSystem};
use crate::delivery::reach;

/// The word of the route that lays HL7 v2 documents.
pub const LETTER: &str = "hl7v2-document";

/// A way into a practice's record.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Route {
    /// A FHIR R4 endpoint.
    Fhir {
        /// Without a slash at its end.
        base: String,
        /// A bearer token, where the system wants one.
        token: Option<String>,
    },
    /// A GP Connect message over MESH.
    Mesh {
        /// The practice's mailbox; `None`: routed by patient.
        mailbox: Option<String>,
        /// True for Send Document, false for Update Record.
        document: bool,
    },
    /// A file in a folder.
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What is laid there.
        form: Form,
    },
}

/// What a file in a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// EMIS FileRecord XML.
    FileRecord,
    /// HL7 v2 ORU^R01.
    Result,
    /// HL7 v2 MDM^T02, or T10 for a document that replaces another.
    Letter,
}

impl Route {
    /// True for the word of a route that brings a document and no code.
    pub fn is_document(word: &str) -> bool {
        matches!(word, "send-document" | LETTER)
    }

    /// The route of that word for a practice.
    ///
    /// # Errors
    /// In words: what a person must configure.
    pub fn of(config: &Config, practice: &str, word: &str) -> Result<Self, String> {
        let system = config.writeback.practices.iter().find(|system| system.ods.as_str() == practice);
        let system = system.ok_or_else(|| format!("practice {practice} has no write-back route"))?;
        let refused = |why: String| format!("practice {practice}, route {word}: {why}");
        match word {
            "fhir" => fhir(config, system).map_err(refused),
            "update-record" | "send-document" => Ok(Self::Mesh {
                mailbox: Some(system.mailbox.clone()).filter(|mailbox| !mailbox.is_empty()),
                document: Self::is_document(word),
            }),
            "file-record" => folder(system, Form::FileRecord).map_err(refused),
            "hl7v2" => folder(system, Form::Result).map_err(refused),
            LETTER => folder(system, Form::Letter).map_err(refused),
            _ => Err(refused("there is no such route".to_owned())),
        }
    }

    /// The words of a practice's routes, in the order in which they are tried.
    pub fn words<'a>(config: &'a Config, practice: &str) -> &'a [String] {
        let system = config.writeback.practices.iter().find(|system| system.ods.as_str() == practice);
        system.map_or(&[], |system| system.routes.as_slice())
    }
}

fn fhir(config: &Config, system: &PracticeSystem) -> Result<Route, String> {
    let url = reach::check(config, &system.base_url)?;
    let token = match system.token_file.as_str() {
        "" => None,
        file => Some(
            std::fs::read_to_string(Path::new(file))
                .map(|text| text.trim().to_owned())
                .map_err(|_| "its token_file cannot be read".to_owned())?,
        ),
    };
    Ok(Route::Fhir { base: url.as_str().trim_end_matches('/').to_owned(), token })
}

fn folder(system: &PracticeSystem, form: Form) -> Result<Route, String> {
    if system.pairing_file.is_empty() {
        return Err("a pairing with the practice's supplier is needed, and no pairing_file is configured".to_owned());
    }
    if std::fs::metadata(&system.pairing_file).is_err() {
        return Err("its pairing_file cannot be read".to_owned());
    }
    if system.folder.is_empty() {
        return Err("no folder is configured".to_owned());
    }
    Ok(Route::Folder { folder: PathBuf::from(&system.folder), form })
}
