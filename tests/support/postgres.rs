//! A PostgreSQL server of a test's own: made in a temporary folder, on a free port, killed at
//! the end. `start` says `None` where PostgreSQL is not installed.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the server may take to answer.
const START_WAIT: Duration = Duration::from_secs(120);

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
        // The server takes it up a moment later.
        std::thread::sleep(Duration::from_millis(500));
        root.to_str().unwrap().to_owned()
    }

    /// Runs one statement as the server's owner.
    pub fn sql(&self, statement: &str) {
        let port = self.url.rsplit_once(':').unwrap().1.split_once('/').unwrap().0;
        let mut psql = Command::new(self.bin.join("psql"));
        psql.arg("-q").arg("-h").arg(self.folder.path());
        psql.args(["-p", port, "-U", "fingerpost", "-d", "postgres", "-c", statement]);
        assert!(psql.stdout(Stdio::null()).status().expect("psql").success(), "{statement}");
    }

    /// Stops the server as a crash would, and starts it again on the same data.
    pub fn crash(&mut self) {
        let _ = stop(&self.child, "KILL");
        let _ = self.child.wait();
        let port: u16 = self.url.rsplit_once(':').unwrap().1.split_once('/').unwrap().0.parse().unwrap();
        // A killed server leaves its process number behind; its children end by themselves.
        std::thread::sleep(Duration::from_millis(300));
        let _ = std::fs::remove_file(self.folder.path().join("data/postmaster.pid"));
        self.child = run(&self.bin, self.folder.path(), port);
        wait_until_ready(port);
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
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let child = run(&bin, folder.path(), port);
    wait_until_ready(port);
    Some(Server { url: format!("postgres://fingerpost@127.0.0.1:{port}/postgres"), child, bin, folder })
}

fn run(bin: &Path, folder: &Path, port: u16) -> Child {
    let mut server = as_user(&bin.join("postgres"));
    server.arg("-D").arg(folder.join("data")).arg("-k").arg(folder).args(["-p", &port.to_string()]);
    server.args(["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=100", "-c", "shared_buffers=128MB"]);
    server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("postgres runs")
}

fn wait_until_ready(port: u16) {
    let since = Instant::now();
    // A listening server answers connections with an error while it starts: ask until it does not.
    while !answers(port) {
        assert!(since.elapsed() < START_WAIT, "PostgreSQL did not start");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn answers(port: u16) -> bool {
    let url = format!("host=127.0.0.1 port={port} user=fingerpost dbname=postgres");
    let ask = async move {
        let connected = tokio_postgres::connect(&url, tokio_postgres::NoTls).await;
        let Ok((client, connection)) = connected else { return false };
        let running = tokio::spawn(connection);
        let ready = client.simple_query("SELECT 1").await.is_ok();
        running.abort();
        ready
    };
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::thread::spawn(move || runtime().block_on(ask)).join().unwrap()
}

/// Where `initdb` and `postgres` are.
fn bin() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        folders.extend(versions.flatten().map(|version| version.path().join("bin")));
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
