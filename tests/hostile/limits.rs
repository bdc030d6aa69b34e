//! What is told where a limit is met: too slow, too late, no room, a store that takes nothing, a
//! panic. The limits are made small, so that nothing here waits long.

use std::time::Duration;

use fingerpost::clock::Clock;
use fingerpost::store::fault::Point;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::edge::log;
use super::referrals::{bars_message, nhs_number};
use super::running::{self, Running};
use super::stage::{JSON, quiet};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);
/// A limit that is soon met.
const SHORT: Duration = Duration::from_millis(150);

async fn narrow(change: impl FnOnce(&mut fingerpost::api::Limits)) -> Running {
    running::start_within(Clock::System, |_| {}, change).await
}

/// Asks until it is so.
async fn until(mut so: impl AsyncFnMut() -> bool) {
    tokio::time::timeout(PATIENCE, async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("it must come to that");
}

/// A request whose body stops after its first byte.
async fn half_sent(running: &Running, path: &str, token: &str) -> tokio::net::TcpStream {
    let mut socket = tokio::net::TcpStream::connect(running.base.trim_start_matches("http://")).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Type: {JSON}\r\n\
         X-Request-Id: half\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{{"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket
}

async fn rest(mut socket: tokio::net::TcpStream) -> String {
    let mut answer = Vec::new();
    drop(tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer)).await.expect("an answer"));
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_408_and_in_the_log() {
    let running = narrow(|limits| limits.body = SHORT).await;
    let token = running.practice("surgery");
    for path in ["/fhir/$process-message", "/fhir", "/oauth2/token"] {
        let before = log(&running).await.len();
        let answer = rest(half_sent(&running, path, &token).await).await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{path}: {answer}");
        assert!(answer.contains("\"transient\"") && answer.contains("within 0.15 seconds"), "{path}: {answer}");
        let entries = log(&running).await;
        assert_eq!(entries.len(), before + 1, "{path}");
        assert!(entries.iter().any(|entry| entry.contains("did not arrive within") && entry.contains("half")));
    }
    assert_eq!(running.get("/fhir/Task", &token).await.status, 200);
}

#[tokio::test]
async fn an_upload_that_stands_still_is_408_and_leaves_nothing() {
    let running = narrow(|limits| limits.silence = SHORT).await;
    let token = running.practice("surgery");
    let answer = rest(half_sent(&running, "/intake/emis-extract", &token).await).await;
    assert!(answer.starts_with("HTTP/1.1 408") || answer.starts_with("HTTP/1.1 403"), "{answer}");
}

#[tokio::test]
async fn where_there_is_no_room_it_is_503_until_there_is() {
    let running = narrow(|limits| (limits.in_flight, limits.body) = (1, PATIENCE)).await;
    let token = running.practice("surgery");
    let slow = half_sent(&running, "/fhir", &token).await;
    until(async || running.get("/fhir/Task", &token).await.status == 503).await;
    let full = running.get("/fhir/Task", &token).await;
    assert_eq!((full.status, full.issue(), full.header("retry-after")), (503, "throttled".to_owned(), "1"));
    assert!(full.text.contains("send it again"), "{}", full.text);
    assert!(log(&running).await.iter().any(|entry| entry.contains("the gateway is busy")), "it is in the log");
    // Who runs it can still see that it runs, and a stranger is a stranger.
    assert_eq!(running.get("/livez", "").await.status, 200);
    assert_eq!(running.get("/fhir/Task", "").await.status, 401);
    drop(slow);
    until(async || running.get("/fhir/Task", &token).await.status == 200).await;
}

#[tokio::test]
async fn work_that_is_late_goes_on_audits_itself_and_is_done_once() {
    let running = narrow(|limits| (limits.in_flight, limits.answer) = (1, SHORT)).await;
    let token = running.practice("surgery");
    let path = running.gateway.config.store.url.trim_start_matches("sqlite:").to_owned();
    let other = rusqlite::Connection::open(path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    let request = "3a3e2f5e-7f0c-4d35-9a43-2f6f1a6f7d11";
    let send = async || running.message_as(&token, JSON, bars_message(1, "N84001").to_string(), request, request).await;
    let late = send().await;
    assert_eq!((late.status, late.issue()), (408, "transient".to_owned()), "{}", late.text);
    assert!(late.text.contains("send it again with the same X-Request-Id"), "{}", late.text);
    quiet("a late answer", &late.text);
    // The work has its room as long as it lasts: what is slow does not pile up.
    for path in ["/fhir/Task", "/nowhere"] {
        let asked = std::time::Instant::now();
        assert_eq!(running.get(path, &token).await.status, 503, "{path}");
        assert!(asked.elapsed() < PATIENCE / 10, "a refusal does not wait for a store that stands still");
    }

    other.execute_batch("ROLLBACK").unwrap();
    until(async || running.gateway.store.open_episode(&nhs_number(1)).await.unwrap().is_some()).await;
    until(async || running.get("/fhir/Task", &token).await.status != 503).await;
    let done = |entries: Vec<String>| entries.iter().filter(|entry| entry.contains(request)).count();
    assert_eq!(done(log(&running).await), 1, "the late work's own entry");
    let again = send().await;
    assert_eq!((again.status, again.issue()), (409, "duplicate".to_owned()), "BaRS's stored answer: {}", again.text);
    let found = running.gateway.store.search(fingerpost::store::Search::of("ServiceRequest")).await.unwrap().found;
    assert_eq!(found.len(), 1);
}

#[tokio::test]
async fn a_store_that_takes_nothing_is_503_and_lets_nothing_out() {
    let running = running::start(|_| {}).await;
    let token = running.practice("surgery");
    let taken = running.message(&token, JSON, bars_message(1, "N84001").to_string()).await;
    assert_eq!(taken.status, 200, "{}", taken.text);
    let before = log(&running).await.len();
    let faults = running.gateway.store.faults();
    faults.fail(Point::Begin, u32::MAX);
    for path in ["/fhir/Patient?_count=10", "/fhir/Task", "/fhir/Task/none", "/nowhere"] {
        let reply = running.get(path, &token).await;
        assert_eq!(
            (reply.status, reply.issue(), reply.header("retry-after")),
            (503, "transient".to_owned(), "1"),
            "{path}"
        );
        assert!(!reply.text.contains(&nhs_number(1)) && !reply.text.contains("on purpose"), "{path}: {}", reply.text);
    }
    let message = running.message(&token, JSON, bars_message(2, "N84001").to_string()).await;
    assert_eq!((message.status, message.issue()), (503, "transient".to_owned()), "{}", message.text);
    let form = "grant_type=client_credentials";
    let sign_in = running.post("/oauth2/token", "", "application/x-www-form-urlencoded", form).await;
    assert_eq!((sign_in.status, sign_in.json()["error"].as_str()), (503, Some("temporarily_unavailable")));
    faults.fail(Point::Begin, 0);
    assert_eq!(log(&running).await.len(), before);
    assert_eq!(running.get("/fhir/Patient?_count=10", &token).await.status, 200);
    assert!(running.gateway.store.open_episode(&nhs_number(2)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_panic_is_a_500_in_the_log_and_harms_no_other_request() {
    let running = narrow(|limits| limits.in_flight = 1).await;
    let token = running.practice("surgery");
    let faults = running.gateway.store.faults();
    let request = "3a3e2f5e-7f0c-4d35-9a43-2f6f1a6f7d12";
    let send = async || running.message_as(&token, JSON, bars_message(1, "N84001").to_string(), request, request).await;
    faults.fail(Point::Caller, 1);
    let failed = send().await;
    assert_eq!((failed.status, failed.issue()), (500, "exception".to_owned()), "{}", failed.text);
    assert!(!failed.text.contains("on purpose"), "{}", failed.text);
    let entry = log(&running).await.into_iter().find(|entry| entry.contains("the gateway failed")).expect("an entry");
    assert!(entry.contains(request), "{entry}");
    assert_eq!(send().await.status, 200, "nothing was written, and its room is free again");
    // Where the door does not watch: a refusal outside FHIR.
    faults.fail(Point::Caller, 1);
    let failed = running.get("/nowhere", &token).await;
    assert_eq!((failed.status, failed.issue()), (500, "exception".to_owned()), "{}", failed.text);
    assert_eq!(running.get("/fhir/Task", &token).await.status, 200);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_told_what_to_do() {
    let running = running::start(|config| config.serve.body_bytes_max = 2048).await;
    let token = running.practice("surgery");
    for path in ["/fhir/$process-message", "/fhir", "/fhir/Task/_search", "/fhir/$validate"] {
        let before = log(&running).await.len();
        let reply = running.post(path, &token, JSON, "x".repeat(2049)).await;
        assert_eq!((reply.status, reply.issue()), (413, "too-long".to_owned()), "{path}: {}", reply.text);
        for words in ["2048 bytes", "nothing of it was kept", "send it in parts", "ask whoever runs this gateway"] {
            assert!(reply.text.contains(words), "{path}: {}", reply.text);
        }
        assert_eq!(log(&running).await.len(), before + 1, "{path}");
    }
    let chunked = format!(
        "POST /fhir HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\n\
         Connection: close\r\n\r\n{}0\r\n\r\n",
        format!("400\r\n{}\r\n", "x".repeat(1024)).repeat(3)
    );
    assert!(running.raw(&chunked).await.starts_with("HTTP/1.1 413"), "its length is not told first");
}
