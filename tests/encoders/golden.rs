//! One file for each form of each sample, reviewed by eye when it changes
//! (`FINGERPOST_WRITE_GOLDEN=1 cargo test --test encoders golden` writes them anew).

use std::path::Path;

use fingerpost::writeback::entry::{Submission, Unencodable};
use fingerpost::writeback::file_record::{self, Pairing};
use fingerpost::writeback::itk3::{send_document, update_record};
use fingerpost::writeback::{document, hl7v2};

use super::{envelope, samples};

type Encoder<'a> = dyn Fn(&Submission, bool) -> Result<Vec<u8>, Unencodable> + 'a;

fn golden(name: &str, bytes: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/encoders/golden").join(name);
    if std::env::var_os("FINGERPOST_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, bytes).unwrap();
    }
    let kept = std::fs::read(&path).unwrap_or_default();
    assert!(kept == bytes, "{name} is not as kept:\n{}", String::from_utf8_lossy(bytes));
}

/// A line an element, so that a change can be read.
fn lines(bytes: &[u8]) -> Vec<u8> {
    String::from_utf8(bytes.to_vec()).unwrap().replace("><", ">\n<").into_bytes()
}

#[test]
fn every_form_is_as_kept() {
    for (name, submission) in samples::all() {
        let update = update_record::encode(&submission, &envelope(&submission)).unwrap();
        golden(&format!("{name}.update-record.xml"), &lines(&update.bytes));
        golden(&format!("{name}.oru.hl7"), &hl7v2::result(&submission).unwrap().bytes);
    }
    let score = samples::score();
    let page = document::of(&score);
    golden("score.html", &document::html::page(&page));
    golden("score.pdf", &document::pdf::file(&page));
    golden("score.mdm.hl7", &hl7v2::letter(&score).unwrap().bytes);
    golden("score.file-record.xml", &lines(&file_record::encode(&score, Pairing::Configured).unwrap().bytes));
    golden(
        "accepted.file-record.xml",
        &lines(&file_record::encode(&samples::accepted(), Pairing::Configured).unwrap().bytes),
    );
    let sent = send_document::encode(&score, &envelope(&score)).unwrap();
    let without_attachments: Vec<String> = String::from_utf8(lines(&sent.bytes))
        .unwrap()
        .lines()
        .map(|line| if line.starts_with("<content ") { "<content .../>".to_owned() } else { line.to_owned() })
        .collect();
    golden("score.send-document.xml", without_attachments.join("\n").as_bytes());
}

#[test]
fn the_same_submission_gives_the_same_bytes_at_any_time() {
    for (name, submission) in samples::all() {
        let mut later = envelope(&submission);
        later.now = submission.recorded.checked_add(jiff::SignedDuration::from_hours(5)).unwrap();
        let twice = |encode: &Encoder<'_>| {
            assert_eq!(encode(&submission, false), encode(&submission, true), "{name}");
        };
        let envelope = envelope(&submission);
        let of = |late: bool| if late { later } else { envelope };
        twice(&|one, late| update_record::encode(one, &of(late)).map(|sent| sent.bytes));
        twice(&|one, late| send_document::encode(one, &of(late)).map(|sent| sent.bytes));
        twice(&|one, _| hl7v2::letter(one).map(|sent| sent.bytes));
        twice(&|one, _| file_record::encode(one, Pairing::Configured).map(|sent| sent.bytes));
    }
}
