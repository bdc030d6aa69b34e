//! The HTTP edge of the real program on real sockets: TLS, mutual TLS, ready lines, limits, the
//! drain, what is open to whom, and that its logs hold no patient's data.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "edge/proxies.rs"]
mod proxies;
#[path = "support/referrals.rs"]
mod referrals;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;

/// A served gateway; killed when the test is done with it.
struct Served {
    child: Child,
    base: String,
    logs: std::thread::JoinHandle<String>,
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn command(folder: &Path, args: &[&str], env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fingerpost"));
    command.current_dir(folder).args(args);
    command.env("FINGERPOST__SERVE__LISTEN", "127.0.0.1:0").env("FINGERPOST__NHS__TEST_NUMBERS", "allow");
    command.envs(env.iter().copied());
    command
}

/// Starts `fingerpost serve` and waits for its ready line.
fn serve(folder: &Path, env: &[(&str, &str)]) -> Served {
    let mut command = command(folder, &["serve"], env);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let logs = std::thread::spawn(move || {
        let mut text = Vec::new();
        drop(stderr.read_to_end(&mut text));
        String::from_utf8_lossy(&text).into_owned()
    });
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let base = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("a ready line, not {line:?}"));
    Served { base: base.to_owned(), child, logs }
}

impl Served {
    fn address(&self) -> &str {
        self.base.split("//").nth(1).unwrap()
    }

    fn connect(&self) -> std::net::TcpStream {
        let socket = std::net::TcpStream::connect(self.address()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        socket
    }

    /// Writes text to a socket of its own and reads until it is closed.
    fn raw(&self, text: &str) -> String {
        let mut socket = self.connect();
        drop(socket.write_all(text.as_bytes()));
        let mut answer = Vec::new();
        drop(socket.read_to_end(&mut answer));
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Asks it to end and gives its exit code and its logs.
    fn end(mut self) -> (i32, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        let logs = std::mem::replace(&mut self.logs, std::thread::spawn(String::new));
        (code, logs.join().unwrap())
    }
}

const DEVELOPMENT: (&str, &str) = ("FINGERPOST__GATEWAY__MODE", "development");

fn token(folder: &Path, role: &str, ods: &str) -> String {
    let made =
        command(folder, &["token", "--client", role, "--role", role, "--ods", ods], &[DEVELOPMENT]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let answer: Value = serde_json::from_slice(&made.stdout).unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_leaves_no_patient_data_in_its_logs_and_drains() {
    let folder = tempfile::tempdir().unwrap();
    let format = [DEVELOPMENT, ("FINGERPOST__LOG__FORMAT", "json"), ("FINGERPOST__LOG__FILTER", "debug")];
    let served = serve(folder.path(), &format);
    let http = reqwest::Client::new();
    let practice = token(folder.path(), "referrer", "N84001");
    let number = referrals::nhs_number(1);
    for n in [1, 1] {
        let request = uuid::Uuid::new_v4().to_string();
        let sent = http.post(format!("{}/fhir/$process-message", served.base)).bearer_auth(&practice);
        let sent = sent.header("content-type", "application/fhir+json").header("x-request-id", &request);
        let sent = sent.header("x-correlation-id", &request).body(referrals::bars_message(n, "N84001").to_string());
        let answer = sent.send().await.unwrap();
        assert!([200, 409].contains(&answer.status().as_u16()));
        assert_eq!(answer.headers()["x-fingerpost-mode"], "development");
        assert_eq!(answer.headers()["x-request-id"], request.as_str());
    }
    let searches =
        ["Patient?family=Synthetic1".to_owned(), format!("Patient?identifier={number}"), "Patient?x=L203EW".into()];
    for path in searches {
        let answer = http.get(format!("{}/fhir/{path}", served.base)).bearer_auth(&practice).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
    let (code, logs) = served.end();
    assert_eq!(code, 0, "SIGTERM drains: {logs}");
    for planted in ["Synthetic1", "L20 3EW", "L203EW", "Lonely since", "1 Test Street", number.as_str(), &practice] {
        assert!(!logs.contains(planted), "the logs hold {planted}: {logs}");
    }
    let lines: Vec<Value> = logs.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let request = lines.iter().find(|line| line["route"] == "/fhir/$process-message").expect("a request line");
    for field in ["method", "status", "duration_ms", "request"] {
        assert!(!request[field].is_null(), "{field}: {request}");
    }
    assert!(logs.contains("DEVELOPMENT MODE"), "development is said loudly");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_open_is_open_and_the_rest_is_401() {
    let folder = tempfile::tempdir().unwrap();
    let served = serve(folder.path(), &[DEVELOPMENT]);
    let http = reqwest::Client::new();
    let status = async |path: &str, token: &str| {
        let request = http.get(format!("{}{path}", served.base));
        let request = if token.is_empty() { request } else { request.bearer_auth(token) };
        request.send().await.unwrap().status().as_u16()
    };
    for open in [
        "/livez",
        "/readyz",
        "/fhir/metadata",
        "/.well-known/smart-configuration",
        "/.well-known/jwks.json",
        "/audit/checkpoint",
    ] {
        assert_eq!(status(open, "").await, 200, "{open}");
    }
    for closed in
        ["/metrics", "/fhir/Task", "/fhir/Patient/1", "/fhir/AuditEvent", "/nowhere", "/fhir/nowhere", "/console"]
    {
        assert_eq!(status(closed, "").await, 401, "{closed}");
        assert_eq!(status(closed, "rubbish").await, 401, "{closed}");
    }
    let ops = token(folder.path(), "ops", "FPG01");
    let metrics = http.get(format!("{}/metrics", served.base)).bearer_auth(&ops).send().await.unwrap();
    assert_eq!(metrics.status(), 200);
    assert!(metrics.text().await.unwrap().contains("fingerpost_requests_total"));
    assert_eq!(status("/fhir/Task", &ops).await, 403, "whoever keeps it running needs no patient data");
}

#[test]
fn hostile_http_is_refused_and_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let served = serve(folder.path(), &[DEVELOPMENT]);
    let refused = |name: &str, text: &str| {
        let answer = served.raw(text);
        let status: u16 = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(400);
        assert!((400..500).contains(&status), "{name}: {answer}");
    };
    let post = "POST /fhir/$process-message HTTP/1.1\r\nHost: a\r\n";
    let smuggled = "0\r\n\r\nGET /livez HTTP/1.1\r\nHost: a\r\n\r\n";
    refused("two lengths", &format!("{post}Content-Length: 5\r\nContent-Length: 50\r\n\r\n{smuggled}"));
    refused(
        "length and chunks",
        &format!("{post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n{smuggled}"),
    );
    refused("a length that is none", &format!("{post}Content-Length: -1\r\n\r\n"));
    refused("an unknown transfer encoding", &format!("{post}Transfer-Encoding: rot13\r\n\r\n{smuggled}"));
    refused("a bad chunk", &format!("{post}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\nxyz\r\n"));
    refused("large headers", &format!("{post}X: {}\r\n\r\n", "a".repeat(200_000)));
    refused("many headers", &format!("{post}{}\r\n", "X: a\r\n".repeat(5000)));
    refused("a long address", &format!("GET /fhir/Task?{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(100_000)));
    refused("a line break in a header", &format!("{post}X-Request-Id: a\rb\r\n\r\n"));
    refused("no HTTP", "\x16\x03\x01\x02\0\x01\0\x01\r\n\r\n");
    let answer = served.raw("GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(served.end().0, 0);
}

#[test]
fn a_slow_caller_is_cut_off_and_does_not_hold_up_the_drain() {
    let folder = tempfile::tempdir().unwrap();
    let served = serve(folder.path(), &[DEVELOPMENT, ("FINGERPOST__SERVE__DRAIN_SECONDS", "2")]);
    let mut slow = served.connect();
    slow.write_all(b"POST /fhir HTTP/1.1\r\nHost: a\r\nContent-Le").unwrap();
    let idle = served.connect();
    let mut cut = served.connect();
    cut.write_all(b"GET /livez HTTP/1.1\r\nHo").unwrap();
    let started = Instant::now();
    let mut rest = Vec::new();
    drop(cut.read_to_end(&mut rest));
    assert!(started.elapsed() < Duration::from_secs(90), "headers must come in time");
    let mut body = served.connect();
    body.write_all(b"POST /fhir HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nab").unwrap();
    let asked = Instant::now();
    let (code, logs) = served.end();
    assert_eq!(code, 0, "{logs}");
    assert!(asked.elapsed() < Duration::from_secs(60), "the drain has an end");
    drop((slow, idle, body));
}

/// A client that reads nothing before it has written everything, as most do, is told what was wrong,
/// and its connection serves it on.
#[test]
fn a_refused_body_is_heard_out_so_that_its_sender_reads_why() {
    let folder = tempfile::tempdir().unwrap();
    let served = serve(folder.path(), &[DEVELOPMENT]);
    let practice = token(folder.path(), "referrer", "N84001");
    let body = vec![b' '; 17 * 1024 * 1024];
    let length = body.len();
    let asked = [
        ("/fhir/ServiceRequest", practice.as_str(), "413"),
        ("/fhir/$process-message", "", "401"),
        ("/fhir/Nonsense", practice.as_str(), "404"),
        ("/oauth2/token", "", "413"),
        ("/intake/nonsense", practice.as_str(), "404"),
        ("/livez", "", "405"),
    ];
    let mut socket = served.connect();
    for (path, token, status) in asked {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/fhir+json\r\nContent-Length: {length}\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).unwrap();
        socket.write_all(&body).unwrap_or_else(|fault| panic!("{path}: {fault}"));
        assert_eq!(answered(&mut socket), status, "{path}");
    }
    // Who asks for leave first gets the refusal and need send nothing.
    let head = format!(
        "POST /fhir/ServiceRequest HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).unwrap();
    assert_eq!(answered(&mut socket), "401");
    assert_eq!(served.end().0, 0);
}

/// Reads one whole answer from a connection and gives its status.
fn answered(socket: &mut std::net::TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
    socket.read_exact(&mut vec![0; length.parse().unwrap()]).unwrap();
    head.split(' ').nth(1).unwrap().to_owned()
}

struct Pki {
    ca: String,
    client: String,
}

/// A CA, the server's certificate and a client's, as PEM files in `folder`.
fn pki(folder: &Path) -> Pki {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let issue = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned(), "127.0.0.1".to_owned()]).unwrap();
        (params.signed_by(&key, &ca).unwrap().pem(), key.serialize_pem())
    };
    let (server, server_key) = issue("localhost");
    let (client, client_key) = issue("client.example");
    for (file, text) in [("ca.pem", ca.pem()), ("server.pem", server), ("server.key", server_key)] {
        std::fs::write(folder.join(file), text).unwrap();
    }
    Pki { ca: ca.pem(), client: format!("{client}{client_key}") }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mutual_tls_lets_in_those_whom_the_ca_signed() {
    let folder = tempfile::tempdir().unwrap();
    let pki = pki(folder.path());
    let tls = [("FINGERPOST__SERVE__TLS_CERT_FILE", "server.pem"), ("FINGERPOST__SERVE__TLS_KEY_FILE", "server.key")];
    let served = serve(folder.path(), &[DEVELOPMENT, tls[0], tls[1], ("FINGERPOST__SERVE__CLIENT_CA_FILE", "ca.pem")]);
    assert!(served.base.starts_with("https://"), "{}", served.base);
    let builder = || {
        let ca = reqwest::Certificate::from_pem(pki.ca.as_bytes()).unwrap();
        reqwest::Client::builder().tls_certs_only([ca])
    };
    let identity = reqwest::Identity::from_pem(pki.client.as_bytes()).unwrap();
    let known = builder().identity(identity).build().unwrap();
    assert_eq!(known.get(format!("{}/livez", served.base)).send().await.unwrap().status(), 200);
    let unknown = builder().build().unwrap();
    assert!(unknown.get(format!("{}/livez", served.base)).send().await.is_err(), "no certificate, no answer");
    let plain = served.raw("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(!plain.contains("200 OK"), "plain HTTP is not answered on a TLS port");
    assert_eq!(served.end().0, 0);
}

#[test]
fn production_needs_tls_and_a_store_that_migrate_made() {
    let folder = tempfile::tempdir().unwrap();
    let pki = pki(folder.path());
    let run = |env: &[(&str, &str)]| command(folder.path(), &["serve"], env).output().unwrap();
    let plain = run(&[]);
    assert_eq!(plain.status.code(), Some(2), "{}", String::from_utf8_lossy(&plain.stderr));
    let tls = [("FINGERPOST__SERVE__TLS_CERT_FILE", "server.pem"), ("FINGERPOST__SERVE__TLS_KEY_FILE", "server.key")];
    let unmade = run(&tls);
    assert_eq!(unmade.status.code(), Some(3), "{}", String::from_utf8_lossy(&unmade.stderr));
    assert!(String::from_utf8_lossy(&unmade.stderr).contains("migrate"));
    let made = command(folder.path(), &["migrate"], &[]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let served = serve(folder.path(), &tls);
    assert!(served.base.starts_with("https://"));
    assert_eq!(served.end().0, 0);
    drop(pki);
}
