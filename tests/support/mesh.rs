//! NHS England's MESH sandbox as a peer: started in a temporary folder on a loopback socket that it is
//! handed, so that nobody else can have its port, with full authorization, over http or with client
//! certificates; killed at the end. `start` says `None` where it cannot be had.
//! <https://pypi.org/project/mesh-sandbox/>
//!
//! It lives in `target/mesh-venv`, made on first use under a lock, so that test programs which run
//! together make it once.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use fingerpost::config::Config;
use fingerpost::nhs::mesh::Client;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::json;

pub const PACKAGE: &str = "mesh-sandbox==1.0.137";
/// How long it may take to answer.
const START_WAIT: Duration = Duration::from_secs(120);
const SHARED_KEY: &str = "TestKey";
const PASSWORD: &str = "password";
/// Serves the sandbox. Its parts are made first: it makes each on first use, without a lock, so that two
/// first requests at once would get a store each, and a message laid in one of them would be lost.
const SERVE: &str = "from mesh_sandbox import dependencies
dependencies.get_messaging(), dependencies.get_fernet()
import uvicorn
uvicorn.main()";

/// A running sandbox; it ends when this is dropped.
pub struct Sandbox {
    /// Without `/messageexchange`.
    pub url: String,
    child: Child,
    folder: tempfile::TempDir,
    mutual: bool,
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Starts a sandbox with its own mailboxes X26ABC1, X26ABC2 and X26ABC3 and these (upper case), or
/// says what to install and answers `None` (with `FINGERPOST_TEST_PEERS=required`: panics).
pub fn start(mailboxes: &[&str]) -> Option<Sandbox> {
    run(mailboxes, false)
}

/// As [`start`], over TLS, asking for a client certificate.
pub fn start_mutual_tls(mailboxes: &[&str]) -> Option<Sandbox> {
    run(mailboxes, true)
}

fn run(mailboxes: &[&str], mutual: bool) -> Option<Sandbox> {
    let Some(python) = python() else {
        let text = format!(
            "the MESH sandbox is not here (python3 -m venv target/mesh-venv && target/mesh-venv/bin/pip install \
             {PACKAGE}): its part of this test is left out"
        );
        assert!(std::env::var("FINGERPOST_TEST_PEERS").as_deref() != Ok("required"), "{text}");
        eprintln!("{text}");
        return None;
    };
    let folder = tempfile::tempdir().unwrap();
    for mailbox in ["X26ABC1", "X26ABC2", "X26ABC3"].iter().chain(mailboxes) {
        fs::create_dir_all(folder.path().join("mailboxes").join(mailbox)).unwrap();
    }
    fs::write(folder.path().join("password"), format!("{PASSWORD}\n")).unwrap();
    fs::write(folder.path().join("shared-key"), format!("{SHARED_KEY}\n")).unwrap();
    pki(folder.path());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut child = spawn(&python, folder.path(), listener, mutual);
    assert!(answers(&mut child, port), "the MESH sandbox did not start: {}", log(folder.path()));
    let url = format!("{}://127.0.0.1:{port}", if mutual { "https" } else { "http" });
    Some(Sandbox { url, child, folder, mutual })
}

/// Serves on `listener`, which is its standard input.
fn spawn(python: &Path, folder: &Path, listener: TcpListener, mutual: bool) -> Child {
    let mut command = Command::new(python);
    command.args(["-c", SERVE, "mesh_sandbox.api:app", "--fd", "0", "--workers", "1"]);
    command.args(["--log-level", "warning"]).current_dir(folder);
    command.env("ENV", "local").env("AUTH_MODE", "full").env("STORE_MODE", "file").env("SHARED_KEY", SHARED_KEY);
    command.env("MAILBOXES_DATA_DIR", folder.join("mailboxes"));
    if mutual {
        command.args(["--ssl-keyfile", "server.key", "--ssl-certfile", "server.pem"]);
        command.args(["--ssl-ca-certs", "ca.pem", "--ssl-cert-reqs", "2"]);
    }
    command.stdin(OwnedFd::from(listener)).stdout(Stdio::null());
    command.stderr(fs::File::create(folder.join("log")).unwrap()).spawn().expect("python runs")
}

fn log(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap_or_default()
}

/// Waits until it says something, or hangs up, on what is no HTTP: the socket itself takes connections
/// from the first moment.
fn answers(child: &mut Child, port: u16) -> bool {
    let since = Instant::now();
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    socket.write_all(b"are you there?\r\n\r\n").unwrap();
    while since.elapsed() < START_WAIT && child.try_wait().unwrap().is_none() {
        match socket.read(&mut [0]) {
            Err(why) if matches!(why.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            _ => return true,
        }
    }
    false
}

/// A CA, a server's certificate and a client's, as PEM files.
fn pki(folder: &Path) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // OpenSSL takes a certificate whose subject is its issuer's for a self-signed one.
    params.distinguished_name.push(DnType::CommonName, "the test's authority");
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let issue = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        (params.signed_by(&key, &ca).unwrap().pem(), key.serialize_pem())
    };
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    write("ca.pem", &ca.pem());
    for (file, name) in [("server", "localhost"), ("client", "x26abc1.x26.api.mesh-client.nhs.uk")] {
        let (certificate, key) = issue(name);
        write(&format!("{file}.pem"), &certificate);
        write(&format!("{file}.key"), &key);
    }
}

impl Sandbox {
    /// Makes `mailbox` the gateway's own in a configuration.
    pub fn configure(&self, config: &mut Config, mailbox: &str) {
        let file = |name: &str| self.folder.path().join(name).display().to_string();
        config.mesh.url = self.url.clone();
        config.mesh.mailbox = mailbox.to_owned();
        config.mesh.password_file = file("password");
        config.mesh.shared_key_file = file("shared-key");
        config.mesh.poll_seconds = 1;
        config.mesh.timeout_ms = 20_000;
        if self.mutual {
            config.mesh.ca_file = file("ca.pem");
            config.mesh.certificate_file = file("client.pem");
            config.mesh.key_file = file("client.key");
        }
    }

    /// A configuration with `mailbox`, changed by `set`.
    pub fn config(&self, mailbox: &str, set: impl FnOnce(&mut Config)) -> Config {
        let mut config = Config::development(self.folder.path());
        self.configure(&mut config, mailbox);
        set(&mut config);
        config
    }

    /// A client of a mailbox.
    pub fn client(&self, mailbox: &str) -> Client {
        Client::open(&self.config(mailbox, |_| {})).unwrap()
    }

    /// Writes a file beside the sandbox's own; its path.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Has MESH report on a message of `mailbox`.
    pub async fn report(&self, mailbox: &str, code: &str, linked: &str) {
        self.report_on(mailbox, code, linked, "loc-1").await;
    }

    /// As [`Sandbox::report`], with the local id that the message was sent with.
    pub async fn report_on(&self, mailbox: &str, code: &str, linked: &str, local: &str) {
        let report = json!({"mailbox_id": mailbox, "code": code, "description": "as the code says",
            "workflow_id": "TEST_WORKFLOW", "subject": "s", "local_id": local, "status": "undeliverable",
            "file_name": "x", "linked_message_id": linked});
        let url = format!("{}/messageexchange/admin/report", self.url);
        let answer = reqwest::Client::new().post(url).json(&report).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
    }
}

/// The Python that has the sandbox.
fn python() -> Option<PathBuf> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOUND.get_or_init(|| has(Path::new("python3")).or_else(venv)).clone()
}

fn has(python: &Path) -> Option<PathBuf> {
    let mut command = Command::new(python);
    command.args(["-c", "import mesh_sandbox.api, uvicorn"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success()).then(|| python.to_owned())
}

/// `target/mesh-venv`, made where it is not.
fn venv() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let (folder, python) = (target.join("mesh-venv"), target.join("mesh-venv/bin/python"));
    let lock = fs::File::create(target.join("mesh-venv.lock")).ok()?;
    lock.lock().ok()?;
    if let Some(found) = has(&python) {
        return Some(found);
    }
    let runs = |command: &mut Command| command.stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    let made = runs(Command::new("python3").args(["-m", "venv"]).arg(&folder))
        && runs(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--timeout", "60", PACKAGE]));
    if made { has(&python) } else { None }
}
