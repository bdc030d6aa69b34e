//! Configuration: the annotated defaults, a place's file over them, the environment over both.
//!
//! Unknown keys are faults, and every fault is listed with its file and line: the gateway
//! refuses to start rather than guess. What each key means stands in `config/gateway.toml`,
//! which is compiled in.

use std::path::PathBuf;

use serde::Deserialize;

use crate::fhir::ids::OdsCode;

/// The defaults, with a comment on every key.
pub const DEFAULTS: &str = include_str!("../config/gateway.toml");

/// One thing wrong in a file that a person can mend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong and what to do.
    pub text: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.text)
    }
}

/// The whole configuration. Each field's meaning is the comment in `config/gateway.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Config {
    pub gateway: Gateway,
    pub store: Store,
    pub serve: Serve,
    pub mllp: Mllp,
    pub nhs: Nhs,
    pub bars: Bars,
    pub intake: Intake,
    pub delivery: Delivery,
    #[serde(default)]
    pub writeback: Writeback,
    pub audit: Audit,
    pub access: Access,
    pub log: Log,
}

/// Whether this is a real gateway or one to try things on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// TLS, signed tokens only.
    Production,
    /// Plain HTTP, `fingerpost token`, loopback receivers; never for patients.
    Development,
}

#[allow(missing_docs)]
mod sections {
    use super::*;

    #[derive(Debug, Clone, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Gateway {
        pub mode: Mode,
        pub place: String,
        pub config_dir: String,
        pub mappings_dir: String,
        pub ods: OdsCode,
        pub name: String,
    }

    #[derive(Debug, Clone, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Store {
        pub url: String,
        pub url_file: String,
        pub group_max: usize,
        pub queue_max: usize,
        pub readers: usize,
    }

    #[derive(Debug, Clone, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Serve {
        pub listen: Vec<String>,
        pub tls_cert_file: String,
        pub tls_key_file: String,
        pub client_ca_file: String,
        pub base_url: String,
        pub body_bytes_max: usize,
        pub drain_seconds: u64,
        pub answer_seconds_max: u64,
    }

    #[derive(Debug, Clone, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Mllp {
        pub listen: String,
    }

    /// What to do with NHS numbers of the test range.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum TestNumbers {
        Refuse,
        Allow,
        Require,
    }

    #[derive(Debug, Clone, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Nhs {
        pub test_numbers: TestNumbers,
    }

    #[derive(Debug, Clone, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Bars {
        pub service_ids: Vec<String>,
        pub versions: Vec<String>,
        pub use_cases: Vec<String>,
    }

    #[derive(Debug, Clone, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Intake {
        pub emis: Emis,
    }

    /// Which EMIS referral rows the sharing agreement lets in.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum Scope {
        Coded,
        AllReferrals,
    }

    #[derive(Debug, Clone, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Emis {
        pub wait_days: u32,
        pub mass_delete_share: f64,
        pub scope: Scope,
        pub recipients: Vec<OdsCode>,
        pub folder: String,
        pub folder_poll_seconds: u64,
        pub pgp_key_file: String,
    }

    #[derive(Debug, Clone, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Delivery {
        pub allow_loopback: bool,
        pub attempts_max: u32,
        pub retry_first_ms: u64,
        pub retry_max_ms: u64,
        pub timeout_ms: u64,
        pub in_flight_max: usize,
        pub lease_seconds: u32,
        #[serde(default)]
        pub receivers: Vec<Receiver>,
    }

    #[derive(Debug, Clone, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Receiver {
        pub name: String,
        pub url: String,
        pub secret_file: PathBuf,
        pub events: Vec<String>,
    }

    #[derive(Debug, Clone, Default, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Writeback {
        #[serde(default)]
        pub practices: Vec<PracticeSystem>,
    }

    /// How outcomes reach one practice's system.
    #[derive(Debug, Clone, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct PracticeSystem {
        pub ods: OdsCode,
        pub route: String,
        pub base_url: String,
        #[serde(default)]
        pub token_file: String,
    }

    #[derive(Debug, Clone, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Audit {
        pub origin: String,
        pub key_file: String,
    }

    #[derive(Debug, Clone, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Access {
        pub token_seconds: u64,
        #[serde(default)]
        pub clients: Vec<Client>,
    }

    /// What a caller is to the gateway; each role's rights are in `access`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Role {
        Referrer,
        Consumer,
        Pool,
        Ig,
        Ops,
    }

    #[derive(Debug, Clone, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Client {
        pub id: String,
        pub name: String,
        pub ods: OdsCode,
        pub role: Role,
        #[serde(default)]
        pub pools: Vec<String>,
        #[serde(default)]
        pub scopes: Vec<String>,
        #[serde(default)]
        pub jwks_file: String,
        #[serde(default)]
        pub certificate_sha256: String,
    }

    #[derive(Debug, Clone, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Log {
        pub filter: String,
        pub format: String,
    }
}
pub use sections::*;
