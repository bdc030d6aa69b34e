//! The demo by the real binary: every loop closed, by an EMIS extract and by BaRS.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::{Command, Output};

fn demo(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_fingerpost");
    Command::new(program).arg("demo").arg("--exit").args(arguments).output().unwrap()
}

#[test]
fn ends_with_every_loop_closed() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_str().unwrap();
    let shown = demo(&["--data", folder]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert_eq!(shown.status.code(), Some(0), "{text}");
    let closed = |channel: &str| text.lines().any(|line| line.contains(channel) && line.contains("closed"));
    assert!(closed("emis-extract") && closed("bars"), "{text}");
    assert!(text.contains("held: urgency-unmapped") && text.contains("It reconciles."), "{text}");
    assert!(text.contains("871731000000106") && text.contains("871711000000103") && text.contains("718466001"));

    let again = demo(&["--data", folder]);
    let text = String::from_utf8(again.stdout).unwrap();
    assert_eq!(again.status.code(), Some(0), "shown a second time, nothing is done twice: {text}");
    assert!(text.contains("409 Conflict"), "{text}");
}

#[test]
fn gives_its_ledger_as_json() {
    let shown = demo(&["--json"]);
    let text = String::from_utf8(shown.stdout).unwrap();
    let from = text.find('{').unwrap();
    let ledger: serde_json::Value = serde_json::from_str(&text[from..]).unwrap();
    assert_eq!(
        (shown.status.code(), &ledger["reconciles"], &ledger["totals"]["open"]),
        (Some(0), &true.into(), &0.into())
    );
}

#[test]
fn a_port_in_use_is_an_environment_fault() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let shown = demo(&["--listen", &taken.local_addr().unwrap().to_string()]);
    assert_eq!(shown.status.code(), Some(3), "{}", String::from_utf8_lossy(&shown.stderr));
}
