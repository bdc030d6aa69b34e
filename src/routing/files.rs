//! The files of a place as texts: which there are, the places compiled in, their version.
//! Reading them from a folder is the caller's.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};

/// The files of a place, in the order in which they are explained in `config/README.md`.
pub const FILES: [&str; 8] = [
    "place.toml",
    "networks.csv",
    "practices.csv",
    "pools.csv",
    "workers.csv",
    "absences.csv",
    "venues.csv",
    "routing.toml",
];

/// Those of [`FILES`] that a place need not have.
pub const OPTIONAL: [&str; 2] = ["absences.csv", "venues.csv"];

/// A place compiled in: its name, and its files with their names.
type Shipped = (&'static str, &'static [(&'static str, &'static str)]);

/// A place that is compiled in: its name, and the files that it has.
macro_rules! shipped {
    ($place:literal: $($name:literal)*) => {
        ($place, &[$(($name, include_str!(concat!("../../config/", $place, "/", $name)))),*])
    };
}

/// The places compiled in.
const SHIPPED: &[Shipped] = &[
    shipped!("sefton": "place.toml" "networks.csv" "practices.csv" "pools.csv" "workers.csv" "routing.toml"),
    shipped!("norfolk": "place.toml" "networks.csv" "practices.csv" "pools.csv" "workers.csv" "routing.toml"),
    shipped!("leeds": "place.toml" "networks.csv" "practices.csv" "pools.csv" "workers.csv" "venues.csv" "routing.toml"),
    shipped!("lincolnshire": "place.toml" "networks.csv" "practices.csv" "pools.csv" "workers.csv" "routing.toml"),
];

/// The texts of a place's files, and how to name them in faults.
#[derive(Debug, Clone)]
pub struct PlaceFiles {
    /// Such as `config/sefton`.
    pub folder: String,
    /// File name to text.
    pub texts: BTreeMap<String, String>,
}

impl PlaceFiles {
    /// The files of a place that is compiled in.
    pub fn shipped(name: &str) -> Option<Self> {
        let (_, texts) = SHIPPED.iter().find(|(shipped, _)| *shipped == name)?;
        let texts = texts.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect();
        Some(Self { folder: format!("config/{name}"), texts })
    }

    /// The names of the places that are compiled in.
    pub fn shipped_names() -> Vec<&'static str> {
        SHIPPED.iter().map(|(name, _)| *name).collect()
    }

    /// How a fault names a file.
    pub fn path(&self, file: &str) -> String {
        format!("{}/{file}", self.folder)
    }

    /// A file's text without a byte order mark; `None`: there is no such file.
    pub fn text(&self, file: &str) -> Option<&str> {
        self.texts.get(file).map(|text| text.trim_start_matches('\u{feff}'))
    }

    /// The first 12 hex digits of the SHA-256 of all files with their names.
    pub fn version(&self) -> String {
        let mut all = Vec::new();
        for (name, text) in &self.texts {
            all.extend_from_slice(format!("{name}\n{}\n", text.len()).as_bytes());
            all.extend_from_slice(text.as_bytes());
        }
        short_digest(&all)
    }
}

/// The first 12 hex digits of the SHA-256 of `bytes`.
pub(super) fn short_digest(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}
