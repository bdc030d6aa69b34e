//! What other people's programs make of it: pdftotext and pdfinfo (Poppler), xmllint with EMIS's own
//! schema, and the STU3 models of the Python package `fhir.resources`.

use std::path::{Path, PathBuf};
use std::process::Command;

use fingerpost::writeback::entry::Submission;
use fingerpost::writeback::file_record::{self, Pairing};
use fingerpost::writeback::itk3::{response, send_document, update_record};
use fingerpost::writeback::{acknowledge, document};

use super::{envelope, samples};

const SCHEMA: &str = "../shared/payloads/emis-open/EomMedicalRecord38.xsd";
const MODELS: &str = "import sys\nfrom fhir.resources.STU3.bundle import Bundle\n\
    for path in sys.argv[1:]:\n    Bundle.parse_raw(open(path, 'rb').read(), content_type='text/xml')\n";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// True when the peer is there; else says so, or fails where peers are required.
pub fn there(program: &str, arguments: &[&str], get: &str) -> bool {
    let there = Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success());
    if !there {
        assert!(std::env::var("FINGERPOST_TEST_PEERS").as_deref() != Ok("required"), "{program} is required: {get}");
        eprintln!("skipped: {program} is absent ({get})");
    }
    there
}

fn run(program: &str, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(program).args(arguments).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

pub fn written(folder: &Path, name: &str, bytes: &[u8]) -> String {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_string_lossy().into_owned()
}

fn long() -> Submission {
    let mut long = samples::score();
    let sentence = "Walking group – café on Fridays, £5 a week; naïve façade, coöperation, Zoë’s “own words”. ";
    long.entry.text = format!("{}{}\n\nLast line of all.", sentence.repeat(120), "x".repeat(300));
    long
}

#[test]
fn the_pdf_can_be_read_by_people_and_programs() {
    if !there("pdftotext", &["-v"], "apt-get install poppler-utils") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), "long.pdf", &document::pdf::file(&document::of(&long())));
    let (done, text) = run("pdftotext", &["-enc", "UTF-8", &path, "-"]);
    assert!(done, "{text}");
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.starts_with("Social prescribing outcome Plan and requested actions None requested"), "{words}");
    let pages = text.matches('\u{c}').count();
    let feet: Vec<String> =
        (1..=pages).map(|page| format!("NHS number 999 000 0018 - page {page} of {pages}")).collect();
    assert!(pages > 2 && feet.iter().all(|foot| words.contains(foot.as_str())), "{pages} pages");
    let mut body = words;
    feet.iter().for_each(|foot| body = body.replace(&format!("{foot} "), ""));
    assert_eq!(
        body.matches("Walking group – café on Fridays, £5 a week; naïve façade, coöperation, Zoë’s “own words”.")
            .count(),
        120
    );
    assert_eq!(body.matches('x').count(), long().entry.text.matches('x').count());
    assert!(body.contains("Last line of all."));
    let (_, facts) = run("pdfinfo", &[&path]);
    for fact in ["Title:           Social prescribing outcome", "Tagged:          yes", "A4"] {
        assert!(facts.contains(fact), "{facts}");
    }
    let (done, faults) = run("pdfinfo", &["-struct-text", &path]);
    assert!(done && faults.contains("H2 (block)") && !faults.contains("Error"), "{faults}");
}

#[test]
fn file_record_holds_to_the_suppliers_schema() {
    let schema = root().join(SCHEMA);
    if !schema.exists() {
        eprintln!("skipped: {SCHEMA} is absent");
        return;
    }
    if !there("xmllint", &["--version"], "apt-get install libxml2-utils") {
        return;
    }
    let mut panel = samples::panel();
    for code in std::iter::once(&mut panel.entry.code).chain(panel.entry.components.iter_mut().map(|(code, _)| code)) {
        code.local = Some(("EMISCLINICAL".into(), "TEST2".into()));
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, submission) in [("accepted", samples::accepted()), ("score", samples::score()), ("panel", panel)] {
        let sent = file_record::encode(&submission, Pairing::Configured).unwrap();
        let path = written(folder.path(), name, &sent.bytes);
        let (valid, text) = run("xmllint", &["--noout", "--nonet", "--schema", &schema.to_string_lossy(), &path]);
        assert!(valid, "{name}: {text}");
    }
}

/// A Python that has the models: of the virtual environment that `.ci/run` makes, or the system's.
fn python() -> Option<PathBuf> {
    let own = target().join("fhir-venv/bin/python");
    let python = if own.exists() { own } else { PathBuf::from("python3") };
    let get = "python3 -m venv target/fhir-venv; target/fhir-venv/bin/pip install fhir.resources==7.1.0 lxml";
    there(&python.to_string_lossy(), &["-c", "import fhir.resources.STU3.bundle, lxml"], get).then_some(python)
}

/// Every ITK3 message of the samples, and an answer to one, as files.
fn messages(folder: &Path) -> Vec<String> {
    let mut paths = Vec::new();
    for (name, submission) in samples::all().into_iter().chain([("sparse", samples::sparse())]) {
        let update = update_record::encode(&submission, &envelope(&submission)).unwrap();
        paths.push(written(folder, &format!("{name}.update.xml"), &update.bytes));
        let document = send_document::encode(&submission, &envelope(&submission)).unwrap();
        paths.push(written(folder, &format!("{name}.document.xml"), &document.bytes));
    }
    let one = samples::score();
    let (stage, verdict) = (acknowledge::Stage::Business, acknowledge::Verdict::Refused);
    let answer = response::compose("m", stage, verdict, &[], one.key, &one.practice, one.recorded);
    paths.push(written(folder, "response.xml", &answer));
    paths
}

/// HL7's own schema for STU3, as HAPI FHIR's library has it. `.ci/run` unpacks it where Maven is.
#[test]
fn every_message_holds_to_the_stu3_schema() {
    let schema = target().join("stu3-schema/fhir-single.xsd");
    if !schema.exists() {
        let required = std::env::var("FINGERPOST_TEST_PEERS").as_deref() == Ok("required");
        let maven = Command::new("mvn").arg("--version").output().is_ok_and(|output| output.status.success());
        assert!(!(required && maven), "{} is required: .ci/run makes it", schema.display());
        eprintln!("skipped: {} is absent (.ci/run makes it with Maven)", schema.display());
        return;
    }
    if !there("xmllint", &["--version"], "apt-get install libxml2-utils") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (paths, schema) = (messages(folder.path()), schema.to_string_lossy().into_owned());
    let arguments = ["--noout", "--nonet", "--huge", "--schema", &schema];
    let (valid, text) =
        run("xmllint", &arguments.into_iter().chain(paths.iter().map(String::as_str)).collect::<Vec<_>>());
    assert!(valid, "{text}");
}

#[test]
fn every_message_is_stu3_to_another_implementation() {
    let Some(python) = python() else { return };
    let python = python.to_string_lossy().into_owned();
    let folder = tempfile::tempdir().unwrap();
    let (paths, one) = (messages(folder.path()), samples::score());
    let arguments: Vec<&str> = ["-c", MODELS].into_iter().chain(paths.iter().map(String::as_str)).collect();
    let (valid, text) = run(&python, &arguments);
    assert!(valid, "{text}");
    // The peer knows STU3 from R4: there an Observation has an encounter and no context.
    let sent = String::from_utf8(update_record::encode(&one, &envelope(&one)).unwrap().bytes).unwrap();
    let r4 = sent.replace("<context>", "<encounter>").replace("</context>", "</encounter>");
    let path = written(folder.path(), "r4.xml", r4.as_bytes());
    assert!(!run(&python, &["-c", MODELS, &path]).0, "the peer takes anything");
}
