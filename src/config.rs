//! Configuration: the annotated defaults, a place's file over them, the environment over both.
//!
//! Unknown keys are faults, and every fault is listed with its file and line: the gateway
//! refuses to start rather than guess. What each key means stands in `config/gateway.toml`,
//! which is compiled in.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::fhir::ids::OdsCode;

mod check;
pub mod keys;
mod load;
mod network;
pub mod settings;
pub mod shape;

pub use load::Loaded;
pub use network::Network;

/// The defaults, with a comment on every key.
pub const DEFAULTS: &str = include_str!("../config/gateway.toml");

/// One thing wrong in a file that a person can mend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1; 0 where there is none (an environment variable).
    pub line: usize,
    /// What is wrong and what to do.
    pub text: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.text),
            line => write!(f, "{}:{line}: {}", self.file, self.text),
        }
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
    pub outcome: Outcome,
    pub writeback: Writeback,
    pub evaluation: Evaluation,
    pub mesh: Mesh,
    pub audit: Audit,
    pub access: Access,
    pub log: Log,
}

impl Config {
    /// Defaults, then `file`, then the `FINGERPOST__` variables of `env`; checked.
    ///
    /// # Errors
    /// Every fault, each with its file and line (or its variable).
    pub fn load(file: Option<&Path>, env: &[(String, String)]) -> Result<Self, Vec<Fault>> {
        Self::load_with_places(file, env).map(|loaded| loaded.config)
    }

    /// As [`Config::load`], keeping where each setting was made, for checks against other files.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_with_places(file: Option<&Path>, env: &[(String, String)]) -> Result<Loaded, Vec<Fault>> {
        match Self::survey(file, env) {
            (Some(loaded), faults) if faults.is_empty() => Ok(loaded),
            (_, faults) => Err(faults),
        }
    }

    /// All faults of the settings, and what can be made of those that have none: enough to look
    /// at the files that they name. Only [`Config::load`]'s result may be run.
    pub fn survey(file: Option<&Path>, env: &[(String, String)]) -> (Option<Loaded>, Vec<Fault>) {
        let (mut loaded, mut faults) = load::layers(file, env);
        if let Some(loaded) = &mut loaded {
            faults.extend(check::settings(loaded));
            faults.extend(loaded.read_store_url().err());
        }
        faults.sort();
        faults.dedup();
        (loaded, faults)
    }

    /// A development gateway for tests and `demo`: its store in `data_dir`, an ephemeral loopback
    /// port, loopback receivers and test NHS numbers allowed.
    pub fn development(data_dir: &Path) -> Self {
        // The defaults are compiled in and a test loads them.
        #[allow(clippy::expect_used)]
        let mut config = load::layers(None, &[]).0.expect("the compiled-in defaults are good").config;
        config.gateway.mode = Mode::Development;
        config.store.url = format!("sqlite:{}", data_dir.join("fingerpost.db").display());
        config.serve.listen = vec!["127.0.0.1:0".into()];
        config.nhs.test_numbers = TestNumbers::Allow;
        config.delivery.allow_loopback = true;
        config.delivery.retry_first_ms = 50;
        config.log.format = "text".into();
        config
    }

    /// Where a file is kept that no key names: beside the embedded store, `fingerpost.db.WHAT`. With
    /// PostgreSQL there is no such place, and a production configuration must name the file; a
    /// development one has it in the working directory.
    pub fn beside_store(&self, what: &str) -> Option<PathBuf> {
        match self.store.url.strip_prefix("sqlite:") {
            Some(path) => Some(PathBuf::from(format!("{path}.{what}"))),
            None => self.is_development().then(|| PathBuf::from(format!("fingerpost.{what}"))),
        }
    }

    /// True when the configuration is marked as a development one.
    pub fn is_development(&self) -> bool {
        self.gateway.mode == Mode::Development
    }
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
        pub trusted_proxies: Vec<Network>,
        pub proxy_header: String,
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

    #[derive(Debug, Clone, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Outcome {
        pub share: String,
        pub attention_hours: u32,
    }

    #[derive(Debug, Clone, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Writeback {
        pub infrastructure_hours: u32,
        pub business_hours: u32,
        pub practice_days: u32,
        pub look_again_minutes: u32,
        #[serde(default)]
        pub practices: Vec<PracticeSystem>,
    }

    /// How outcomes reach one practice's system.
    #[derive(Debug, Clone, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct PracticeSystem {
        pub ods: OdsCode,
        pub routes: Vec<String>,
        #[serde(default)]
        pub base_url: String,
        #[serde(default)]
        pub token_file: String,
        #[serde(default)]
        pub mailbox: String,
        #[serde(default)]
        pub pairing_file: String,
        #[serde(default)]
        pub folder: String,
    }

    impl PracticeSystem {
        /// A practice that is written back to on these routes, with nothing else set.
        pub fn new(ods: OdsCode, routes: &[&str]) -> Self {
            let empty = String::new;
            Self {
                ods,
                routes: routes.iter().map(|route| (*route).to_owned()).collect(),
                base_url: empty(),
                token_file: empty(),
                mailbox: empty(),
                pairing_file: empty(),
                folder: empty(),
            }
        }
    }

    /// What leaves in counts.
    #[derive(Debug, Clone, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Evaluation {
        pub hidden_below: u64,
    }

    /// How a birth date is written in a MESH address by patient.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum BirthDateFormat {
        Ddmmyyyy,
        Yyyymmdd,
    }

    #[derive(Debug, Clone, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Mesh {
        pub url: String,
        pub mailbox: String,
        pub password_file: String,
        pub shared_key_file: String,
        pub ca_file: String,
        pub certificate_file: String,
        pub key_file: String,
        pub poll_seconds: u64,
        pub page_messages: usize,
        pub poll_messages_max: usize,
        pub chunk_bytes_max: usize,
        pub message_bytes_max: usize,
        pub timeout_ms: u64,
        pub birth_date_format: BirthDateFormat,
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
        pub key_file: String,
        pub unknown_burst: u32,
        pub unknown_per_minute: u32,
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
        /// What kind of referrer it is; what a referral itself says of its source comes first.
        #[serde(default)]
        pub source: String,
    }

    #[derive(Debug, Clone, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Log {
        pub filter: String,
        pub format: String,
    }
}
pub use sections::*;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_good_and_every_key_is_in_the_table() {
        let loaded = Config::load_with_places(None, &[]).unwrap();
        let known: Vec<_> = keys::KEYS.iter().map(|key| key.path).filter(|path| !path.contains("[]")).collect();
        let made: Vec<_> = loaded.places.keys().map(String::as_str).collect();
        for key in &known {
            assert!(made.contains(key), "{key} has no default");
        }
        assert_eq!(known.len(), made.len());
        assert!(Config::development(Path::new("/tmp/x")).is_development());
    }

    #[test]
    fn the_environment_wins_and_its_faults_name_the_variable() {
        let env =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>();
        let good = env(&[
            ("FINGERPOST__INTAKE__EMIS__WAIT_DAYS", "3"),
            ("FINGERPOST__BARS__SERVICE_IDS", "123, 456"),
            ("FINGERPOST__GATEWAY__MODE", "development"),
            ("FINGERPOST__WRITEBACK__PRACTICES__0__ODS", "N84001"),
            ("FINGERPOST__WRITEBACK__PRACTICES__0__ROUTES", "fhir"),
            ("FINGERPOST__WRITEBACK__PRACTICES__0__BASE_URL", "https://practice.example/fhir"),
            ("OTHER", "x"),
        ]);
        let config = Config::load(None, &good).unwrap();
        assert_eq!(config.intake.emis.wait_days, 3);
        assert_eq!(config.bars.service_ids, ["123", "456"]);
        assert_eq!(config.writeback.practices[0].ods.as_str(), "N84001");

        let bad = env(&[
            ("FINGERPOST__INTAKE__EMIS__WAIT_DAYS", "soon"),
            ("FINGERPOST__SERVE__LISTN", "127.0.0.1:1"),
            ("FINGERPOST__WRITEBACK__PRACTICES__0__ODS", "N84001"),
        ]);
        let faults = Config::load(None, &bad).unwrap_err();
        let texts: Vec<_> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "FINGERPOST__INTAKE__EMIS__WAIT_DAYS: intake.emis.wait_days: must be a whole number, not a text",
                "FINGERPOST__SERVE__LISTN: serve.listn: there is no such key; did you mean serve.listen?",
                "FINGERPOST__WRITEBACK__PRACTICES__0__ODS: writeback.practices[0]: has no routes",
            ]
        );
    }

    #[test]
    fn every_fault_of_a_file_is_listed_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gateway.toml");
        std::fs::write(
            &file,
            "[gateway]\nmode = \"prod\"\nods = \"!\"\n[store]\nreaders = 0\nurl = \"mysql:x\"\n\
             [[delivery.receivers]]\nname = \"a\"\nurl = \"ftp://a\"\nevents = [\"referal\"]\n",
        )
        .unwrap();
        let faults = Config::load(Some(&file), &[]).unwrap_err();
        let lines: Vec<_> = faults.iter().map(|fault| (fault.line, fault.text.split(':').next().unwrap())).collect();
        assert_eq!(
            lines,
            [
                (2, "gateway.mode"),
                (3, "gateway.ods"),
                (5, "store.readers"),
                (6, "store.url"),
                (7, "delivery.receivers[0]"),
                (9, "delivery.receivers[0].url"),
                (10, "delivery.receivers[0].events"),
            ]
        );
        std::fs::write(&file, "[gateway\nmode = 1\n").unwrap();
        let faults = Config::load(Some(&file), &[]).unwrap_err();
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].line, 1);
    }
}
