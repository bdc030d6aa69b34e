//! What settings must be true of each other: modes, files, names that may stand once.

use std::collections::BTreeMap;
use std::path::Path;

use super::load::Loaded;
use super::shape::is_loopback;
use super::{Config, Fault, Role};

/// The shortest secret that signs deliveries, in bytes.
/// <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>
pub const SECRET_BYTES_MIN: usize = 24;

/// The shortest time between two looks into a MESH inbox that NHS England allows.
const MESH_POLL_SECONDS_MIN: u64 = 300;
/// The longest mailbox name.
const MAILBOX_CHARS_MAX: usize = 100;

/// Everything wrong between the settings.
pub fn settings(loaded: &Loaded) -> Vec<Fault> {
    let mut check = Check { loaded, config: &loaded.config, faults: Vec::new() };
    check.files();
    check.limits();
    check.receivers();
    check.practices();
    check.mesh();
    check.clients();
    check.names();
    check.faults
}

impl Loaded {
    /// True for a required key of a listed table that was faulty, and so was not taken.
    fn is_stand_in(&self, path: &str) -> bool {
        let key = super::settings::general(path);
        let required = super::keys::KEYS.iter().any(|known| known.required && known.path == key);
        required && !self.places.contains_key(path)
    }

    /// Takes the store's URL from `store.url_file`, where that is named.
    ///
    /// # Errors
    /// The file cannot be read or holds no store URL. The fault never repeats what it holds.
    pub fn read_store_url(&mut self) -> Result<(), Fault> {
        let file = &self.config.store.url_file;
        if file.is_empty() {
            return Ok(());
        }
        let at = self.at("store.url_file");
        let text = std::fs::read_to_string(file).map_err(|why| at.fault(format!("store.url_file: {file}: {why}")))?;
        let url = toml::Value::String(text.trim().to_owned());
        super::shape::Shape::StoreUrl.check(&url).map_err(|why| at.fault(format!("store.url_file: {file}: {why}")))?;
        self.config.store.url = text.trim().to_owned();
        Ok(())
    }

    /// What `serve` needs beyond [`Config::load`]: somewhere to listen, and TLS in production.
    pub fn serving(&self) -> Vec<Fault> {
        let serve = &self.config.serve;
        let mut faults = Vec::new();
        if serve.listen.is_empty() {
            faults.push(self.at("serve.listen").fault("serve.listen: names no address to listen on"));
        }
        if !self.config.is_development() && serve.tls_cert_file.is_empty() {
            faults.push(self.at("serve.tls_cert_file").fault(
                "serve.tls_cert_file: production mode serves TLS only: name a certificate and its key, \
                 or ask for gateway.mode = \"development\"",
            ));
        }
        faults
    }
}

struct Check<'a> {
    loaded: &'a Loaded,
    config: &'a Config,
    faults: Vec<Fault>,
}

impl Check<'_> {
    fn fault(&mut self, path: &str, text: impl AsRef<str>) {
        // A key of a listed table without a place is a stand-in: its fault is listed already.
        if path.contains("].") && self.loaded.is_stand_in(path) {
            return;
        }
        self.faults.push(self.loaded.at(path).fault(format!("{path}: {}", text.as_ref())));
    }

    /// A named file must be there and readable; `None` when it is not (or not named).
    fn file(&mut self, path: &str, file: &str) -> Option<Vec<u8>> {
        if file.is_empty() {
            return None;
        }
        match std::fs::read(file) {
            Ok(bytes) if bytes.is_empty() => self.fault(path, format!("{file} is empty")),
            Ok(bytes) => return Some(bytes),
            Err(why) => self.fault(path, format!("{file}: {why}")),
        }
        None
    }

    fn files(&mut self) {
        let serve = &self.config.serve;
        self.pem("serve.tls_cert_file", &serve.tls_cert_file, "CERTIFICATE");
        self.pem("serve.tls_key_file", &serve.tls_key_file, "PRIVATE KEY");
        self.pem("serve.client_ca_file", &serve.client_ca_file, "CERTIFICATE");
        if serve.tls_cert_file.is_empty() != serve.tls_key_file.is_empty() {
            let lacking = if serve.tls_key_file.is_empty() { "serve.tls_key_file" } else { "serve.tls_cert_file" };
            self.fault(lacking, "a certificate and its key are named together");
        }
        if !serve.client_ca_file.is_empty() && serve.tls_cert_file.is_empty() {
            self.fault("serve.client_ca_file", "mutual TLS needs serve.tls_cert_file");
        }
        self.file("intake.emis.pgp_key_file", &self.config.intake.emis.pgp_key_file);
        let folders = [
            ("intake.emis.folder", &self.config.intake.emis.folder),
            ("gateway.config_dir", &self.config.gateway.config_dir),
            ("gateway.mappings_dir", &self.config.gateway.mappings_dir),
        ];
        for (path, folder) in folders {
            if !folder.is_empty() && !Path::new(folder).is_dir() {
                self.fault(path, format!("{folder} is not a folder"));
            }
        }
    }

    fn pem(&mut self, path: &str, file: &str, label: &str) {
        if let Some(bytes) = self.file(path, file) {
            let text = String::from_utf8_lossy(&bytes);
            let ending = format!("{label}-----");
            if !text.lines().any(|line| line.starts_with("-----BEGIN ") && line.trim_end().ends_with(&ending)) {
                self.fault(path, format!("{file} holds no PEM {label}"));
            }
        }
    }

    fn limits(&mut self) {
        let delivery = &self.config.delivery;
        if delivery.retry_first_ms > delivery.retry_max_ms {
            self.fault("delivery.retry_first_ms", "is longer than delivery.retry_max_ms");
        }
        if u64::from(delivery.lease_seconds) * 1000 <= delivery.timeout_ms {
            self.fault("delivery.lease_seconds", "must outlast delivery.timeout_ms, or a slow send is sent twice");
        }
        if delivery.allow_loopback && !self.config.is_development() {
            self.fault("delivery.allow_loopback", "only development mode allows loopback receivers");
        }
        let base = &self.config.serve.base_url;
        if base.starts_with("http://") && !self.config.is_development() {
            self.fault("serve.base_url", "production mode serves https:// only");
        }
        if self.config.store.group_max > self.config.store.queue_max {
            self.fault("store.group_max", "is more than store.queue_max, so a group can never fill");
        }
    }

    fn peer(&mut self, path: &str, url: &str) {
        if self.config.is_development() {
            if is_loopback(url) && !self.config.delivery.allow_loopback {
                self.fault(path, "is on this machine, which delivery.allow_loopback does not allow");
            }
        } else if is_loopback(url) {
            self.fault(path, "is on this machine, which production mode does not allow");
        } else if url.starts_with("http://") {
            self.fault(path, "production mode sends over https:// only");
        }
    }

    fn receivers(&mut self) {
        let mut seen = BTreeMap::new();
        for (index, receiver) in self.config.delivery.receivers.iter().enumerate() {
            let path = |name: &str| format!("delivery.receivers[{index}].{name}");
            self.once(&mut seen, &path("name"), &receiver.name);
            if !receiver.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
                self.fault(&path("name"), "must be letters, digits, - and _");
            }
            self.peer(&path("url"), &receiver.url);
            if receiver.events.is_empty() {
                self.fault(&path("events"), "asks for nothing");
            }
            let secret = self.file(&path("secret_file"), &receiver.secret_file.display().to_string());
            if secret.is_some_and(|secret| secret.trim_ascii().len() < SECRET_BYTES_MIN) {
                self.fault(&path("secret_file"), format!("the secret is shorter than {SECRET_BYTES_MIN} bytes"));
            }
        }
    }

    fn practices(&mut self) {
        let mut seen = BTreeMap::new();
        for (index, practice) in self.config.writeback.practices.iter().enumerate() {
            let path = |name: &str| format!("writeback.practices[{index}].{name}");
            self.once(&mut seen, &path("ods"), practice.ods.as_str());
            self.peer(&path("base_url"), &practice.base_url);
            self.file(&path("token_file"), &practice.token_file);
            self.routes(practice, &path);
        }
    }

    /// Each route has what it needs, and stands once.
    fn routes(&mut self, practice: &super::PracticeSystem, path: &dyn Fn(&str) -> String) {
        if practice.routes.is_empty() {
            self.fault(&path("routes"), "names no route");
        }
        for (place, route) in practice.routes.iter().enumerate() {
            if route == "hl7v2" && practice.routes[..place].iter().any(|before| before == "hl7v2-document") {
                self.fault(&path("routes"), "'hl7v2' after 'hl7v2-document': the document would always come first");
            }
            if practice.routes[..place].contains(route) {
                self.fault(&path("routes"), format!("'{route}' stands there twice"));
            }
            let paired = matches!(route.as_str(), "file-record" | "hl7v2" | "hl7v2-document");
            let lacking = match route.as_str() {
                "fhir" if practice.base_url.is_empty() => Some(("base_url", "the route fhir needs one")),
                "update-record" | "send-document" if self.config.mesh.url.is_empty() => {
                    Some(("mesh.url", "it goes by MESH, which is off"))
                }
                _ if paired && practice.pairing_file.is_empty() => {
                    Some(("pairing_file", "this route needs a pairing with the practice's supplier"))
                }
                _ if paired && practice.folder.is_empty() => {
                    Some(("folder", "this route needs the folder that the supplier's interface takes files from"))
                }
                _ => None,
            };
            if let Some((key, why)) = lacking {
                self.fault(&path("routes"), format!("'{route}' without {key}: {why}"));
            }
        }
        self.file(&path("pairing_file"), &practice.pairing_file);
        if !practice.folder.is_empty() && !Path::new(&practice.folder).is_dir() {
            self.fault(&path("folder"), format!("{} is not a folder", practice.folder));
        }
    }

    fn mesh(&mut self) {
        let mesh = &self.config.mesh;
        self.pem("mesh.ca_file", &mesh.ca_file, "CERTIFICATE");
        self.pem("mesh.certificate_file", &mesh.certificate_file, "CERTIFICATE");
        self.pem("mesh.key_file", &mesh.key_file, "PRIVATE KEY");
        self.file("mesh.password_file", &mesh.password_file);
        self.file("mesh.shared_key_file", &mesh.shared_key_file);
        if mesh.certificate_file.is_empty() != mesh.key_file.is_empty() {
            let lacking = if mesh.key_file.is_empty() { "mesh.key_file" } else { "mesh.certificate_file" };
            self.fault(lacking, "a certificate and its key are named together");
        }
        if mesh.url.is_empty() {
            return;
        }
        self.peer("mesh.url", &mesh.url);
        let named = mesh.mailbox.len() <= MAILBOX_CHARS_MAX && mesh.mailbox.bytes().all(|b| b.is_ascii_alphanumeric());
        if mesh.mailbox.is_empty() || !named {
            self.fault("mesh.mailbox", "must name the gateway's mailbox: letters and digits");
        }
        for (path, file) in
            [("mesh.password_file", &mesh.password_file), ("mesh.shared_key_file", &mesh.shared_key_file)]
        {
            if file.is_empty() {
                self.fault(path, "must be named: without it nothing can be sent or fetched");
            }
        }
        if !self.config.is_development() {
            if mesh.certificate_file.is_empty() {
                self.fault("mesh.certificate_file", "must be named: MESH asks for a client certificate");
            }
            if mesh.poll_seconds < MESH_POLL_SECONDS_MIN {
                self.fault("mesh.poll_seconds", "MESH allows one look into the inbox in 300 seconds");
            }
        }
    }

    fn clients(&mut self) {
        let mut seen = BTreeMap::new();
        for (index, client) in self.config.access.clients.iter().enumerate() {
            let path = |name: &str| format!("access.clients[{index}].{name}");
            self.once(&mut seen, &path("id"), &client.id);
            match (client.role == Role::Pool, client.pools.is_empty()) {
                (true, true) => self.fault(&path("role"), "a client of role pool names its pools"),
                (false, false) => self.fault(&path("pools"), "only a client of role pool has pools"),
                _ => {}
            }
            for scope in client.scopes.iter().filter(|scope| !is_scope(scope)) {
                self.fault(&path("scopes"), format!("'{scope}' is not a system scope such as system/Task.rs"));
            }
            if let Some(bytes) = self.file(&path("jwks_file"), &client.jwks_file) {
                let keys = serde_json::from_slice::<serde_json::Value>(&bytes).unwrap_or_default();
                if keys["keys"].as_array().is_none_or(Vec::is_empty) {
                    self.fault(&path("jwks_file"), format!("{} is not a JSON Web Key Set", client.jwks_file));
                }
            }
            if client.jwks_file.is_empty() && !self.config.is_development() {
                self.fault(&path("id"), "has no jwks_file, so it could never sign in");
            }
        }
    }

    fn names(&mut self) {
        let origin = &self.config.audit.origin;
        if origin.contains(|c: char| c.is_whitespace() || c == '+') {
            self.fault("audit.origin", "must have no spaces and no + (C2SP signed note key name)");
        }
        if let Err(why) = tracing_subscriber::EnvFilter::try_new(&self.config.log.filter) {
            self.fault("log.filter", format!("is not a tracing filter: {why}"));
        }
        if self.config.bars.versions.is_empty() {
            self.fault("bars.versions", "takes no version of BaRS, so every message would be refused");
        }
        if self.config.bars.use_cases.is_empty() {
            self.fault("bars.use_cases", "takes no use case, so every message would be refused");
        }
    }

    /// A name that may stand once in its list.
    fn once(&mut self, seen: &mut BTreeMap<String, String>, path: &str, name: &str) {
        if let Some(first) = seen.insert(name.to_owned(), path.to_owned()) {
            let line = self.loaded.at(&first).line;
            self.fault(path, format!("'{name}' is there already (line {line})"));
        }
    }
}

/// SMART v2: `system/Type.cruds`. <https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html>
fn is_scope(text: &str) -> bool {
    let Some((kind, rights)) = text.strip_prefix("system/").and_then(|rest| rest.split_once('.')) else { return false };
    let named =
        kind == "*" || (kind.starts_with(|c: char| c.is_ascii_uppercase()) && kind.chars().all(char::is_alphanumeric));
    let mut order = "cruds".chars();
    named && !rights.is_empty() && rights.chars().all(|right| order.any(|known| known == right))
}
