//! A PostgreSQL server of a test's own: made in a temporary folder, on a free port, killed at
//! the end. `start` says `None` where PostgreSQL is not installed.
//!
//! A free port may be taken by somebody else before the server has it: then the server ends, and
//! another port is tried; a server that answers and is not this one is not taken for it.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the server may take to answer.
const START_WAIT: Duration = Duration::from_secs(120);
/// Ports tried.
const PORTS_MAX: usize = 5;
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// A running server; it ends when this is dropped.
pub struct Server {
    /// The URL of its one database.
    pub url: String,
    child: Child,
    bin: PathBuf,
    folder: tempfile::TempDir,
}

impl Server {
    /// The URL of a new, empty database on this server.
    pub fn database(&self, name: &str) -> String {
        let base = self.url.strip_suffix("/postgres").unwrap();
        self.sql(&format!("CREATE DATABASE \"{name}\""));
        format!("{base}/{name}")
    }

    /// Turns TLS on; answers the file of the certificate that clients must trust.
    pub fn speak_tls(&self) -> String {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".into()]).expect("a certificate");
        let data = self.folder.path().join("data");
        let root = self.folder.path().join("root.pem");
        std::fs::write(&root, made.cert.pem()).unwrap();
        for (name, text) in [("server.crt", made.cert.pem()), ("server.key", made.signing_key.serialize_pem())] {
            std::fs::write(data.join(name), text).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(data.join(name), mode).unwrap();
            give_away(&data.join(name));
        }
        self.sql("ALTER SYSTEM SET ssl = on");
        self.sql("SELECT pg_reload_conf()");
        // The server takes it up a moment later; who asks after that has it.
        let since = Instant::now();
        while self.psql("SHOW ssl") != "on" {
            assert!(since.elapsed() < START_WAIT, "PostgreSQL does not take up TLS");
            std::thread::sleep(LOOK);
        }
        root.to_str().unwrap().to_owned()
    }

    /// Runs one statement as the server's owner.
    pub fn sql(&self, statement: &str) {
        self.psql(statement);
    }

    /// What a statement answers.
    fn psql(&self, statement: &str) -> String {
        let port = self.url.rsplit_once(':').unwrap().1.split_once('/').unwrap().0;
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-h"]).arg(self.folder.path());
        psql.args(["-p", port, "-U", "fingerpost", "-d", "postgres", "-c", statement]);
        let ran = psql.stderr(Stdio::inherit()).output().expect("psql");
        assert!(ran.status.success(), "{statement}");
        String::from_utf8_lossy(&ran.stdout).trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGQUIT: at once, children too.
        let _ = stop(&self.child, "QUIT");
        let _ = self.child.wait();
    }
}

fn stop(child: &Child, signal: &str) -> std::io::Result<std::process::ExitStatus> {
    Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status()
}

/// Starts a server, or says what to install and answers `None` (with
/// `FINGERPOST_TEST_PEERS=required`: panics).
pub fn start() -> Option<Server> {
    let Some(bin) = bin() else {
        let text = "PostgreSQL is not installed (Debian: apt install postgresql): its part of this test is left out";
        assert!(std::env::var("FINGERPOST_TEST_PEERS").as_deref() != Ok("required"), "{text}");
        eprintln!("{text}");
        return None;
    };
    let folder = tempfile::Builder::new().prefix("fpg").tempdir_in("/tmp").expect("a folder");
    give_away(folder.path());
    let mut initdb = as_user(&bin.join("initdb"));
    initdb.arg("-D").arg(folder.path().join("data"));
    initdb.args(["-U", "fingerpost", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]);
    let made = initdb.stdout(Stdio::null()).stderr(Stdio::inherit()).status().expect("initdb runs");
    assert!(made.success(), "initdb");
    for _ in 0..PORTS_MAX {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut child = run(&bin, folder.path(), port);
        if is_ready(&mut child, port, &folder.path().join("data")) {
            return Some(Server {
                url: format!("postgres://fingerpost@127.0.0.1:{port}/postgres"),
                child,
                bin,
                folder,
            });
        }
        drop(child.kill());
        drop(child.wait());
    }
    panic!("PostgreSQL did not start: {}", std::fs::read_to_string(folder.path().join("log")).unwrap_or_default());
}

fn run(bin: &Path, folder: &Path, port: u16) -> Child {
    let mut server = as_user(&bin.join("postgres"));
    server.arg("-D").arg(folder.join("data")).arg("-k").arg(folder).args(["-p", &port.to_string()]);
    server.args(["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=100", "-c", "shared_buffers=128MB"]);
    let log = std::fs::File::options().append(true).create(true).open(folder.join("log")).expect("a log");
    server.stdout(Stdio::null()).stderr(log).spawn().expect("postgres runs")
}

/// Waits until this server answers; false where it ended, as when another program has its port.
fn is_ready(child: &mut Child, port: u16, data: &Path) -> bool {
    let since = Instant::now();
    // A listening server answers connections with an error while it starts: ask until it does not.
    while since.elapsed() < START_WAIT {
        if answers(port).is_some_and(|answered| Path::new(&answered) == data) {
            return true;
        }
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(LOOK);
    }
    false
}

/// The data folder of the server that answers on a port.
fn answers(port: u16) -> Option<String> {
    let url = format!("host=127.0.0.1 port={port} user=fingerpost dbname=postgres");
    let ask = async move {
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.ok()?;
        let running = tokio::spawn(connection);
        let said = client.query_one("SHOW data_directory", &[]).await.ok().map(|row| row.get(0));
        running.abort();
        said
    };
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::thread::spawn(move || runtime().block_on(ask)).join().unwrap()
}

/// Where `initdb` and `postgres` are.
fn bin() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        let mut versions: Vec<PathBuf> = versions.flatten().map(|version| version.path().join("bin")).collect();
        versions.sort();
        folders.extend(versions);
    }
    let whole = |folder: &PathBuf| ["initdb", "postgres", "psql"].iter().all(|name| folder.join(name).exists());
    folders.into_iter().rev().find(whole)
}

fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0
}

/// PostgreSQL refuses to run as root: then it runs as `postgres` or `nobody`.
fn user() -> &'static str {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    if users.lines().any(|line| line.starts_with("postgres:")) { "postgres" } else { "nobody" }
}

fn as_user(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", user(), "--regid", user(), "--clear-groups", "--"]).arg(program);
    command.current_dir("/tmp");
    command
}

fn give_away(folder: &Path) {
    if is_root() {
        let given = Command::new("chown").arg(user()).arg(folder).status().expect("chown runs");
        assert!(given.success(), "chown");
    }
}
