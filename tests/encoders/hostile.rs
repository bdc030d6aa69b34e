//! No text can break the framing of any form, and what matters is found again by a reader.

use fingerpost::writeback::entry::{EntryValue, Submission};
use fingerpost::writeback::file_record::{self, Pairing};
use fingerpost::writeback::itk3::tree::{self, Node};
use fingerpost::writeback::itk3::{read, send_document, update_record};
use fingerpost::writeback::{hl7v2, wording};
use proptest::prelude::*;

use super::structure::published;
use super::{envelope, samples};

/// The submission with one text wherever a text may stand.
fn with(mut submission: Submission, text: &str) -> Submission {
    let entry = &mut submission.entry;
    entry.text = text.to_owned();
    entry.author.name = text.to_owned();
    entry.author.organisation = text.to_owned();
    submission.practice_name = text.to_owned();
    submission.person.family = format!("{text}x");
    submission.person.given = vec![format!("{text}y")];
    submission.referral = Some((text.to_owned(), text.to_owned()));
    if let Some(EntryValue::Quantity { unit, .. }) = &mut entry.value {
        *unit = text.to_owned();
    }
    submission
}

/// What XML can carry of a text.
fn carried(text: &str) -> String {
    let bad = |c: char| (c < ' ' && !matches!(c, '\n' | '\r' | '\t')) || matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars().map(|c| if bad(c) { '\u{fffd}' } else { c }).collect()
}

fn names(node: &Node) -> Vec<String> {
    let below = node.children.iter().flat_map(names);
    std::iter::once(node.name.clone()).chain(below).collect()
}

fn itk3_holds(submission: &Submission) {
    let sent = update_record::encode(submission, &envelope(submission)).unwrap();
    let received = read::update_record(&sent.bytes).unwrap();
    assert_eq!(received.message, sent.message);
    assert_eq!(received.person.nhs_number, submission.person.nhs_number);
    assert_eq!(received.person.family, carried(&submission.person.family));
    assert_eq!(received.person.given.len(), 1);
    let [entry] = received.entries.as_slice() else { panic!("one entry") };
    assert_eq!(entry.code.code, submission.entry.code.code);
    assert_eq!(
        (entry.key(), received.key.as_str()),
        (Some(&*submission.key.to_string()), &*submission.key.to_string())
    );
    assert!(entry.comment.ends_with(&wording::reference(submission.key)));
    let narrative = wording::narrative(submission);
    let kept: Vec<String> = received.narratives.into_iter().map(|(_, text)| text).collect();
    assert_eq!(kept, if narrative.is_empty() { vec![] } else { vec![carried(narrative)] });
    let document = send_document::encode(submission, &envelope(submission)).unwrap();
    let document = read::send_document(&document.bytes).unwrap();
    assert_eq!(
        (document.key, document.person.nhs_number),
        (submission.key.to_string(), submission.person.nhs_number.clone())
    );
    let [(pdf, pdf_bytes), (html, _)] = document.attachments.as_slice() else { panic!("two attachments") };
    assert_eq!((pdf.as_str(), html.as_str()), ("application/pdf", "text/html"));
    assert!(pdf_bytes.starts_with(b"%PDF-1.7") && pdf_bytes.trim_ascii_end().ends_with(b"%%EOF"));
}

fn file_record_holds(submission: &Submission) {
    let plain = file_record::encode(&samples::score(), Pairing::Configured).unwrap();
    let sent = file_record::encode(submission, Pairing::Configured).unwrap();
    assert_eq!(names(&tree::read(&sent.bytes).unwrap()), names(&tree::read(&plain.bytes).unwrap()));
    let text = String::from_utf8(sent.bytes).unwrap();
    assert!(text.contains(&submission.key.to_string()) && text.contains("<MapCode>718466001</MapCode>"));
}

/// The small reader: segments, fields, components, unescaped; MSH-1 is counted as a field.
fn er7(bytes: &[u8]) -> Vec<Vec<Vec<String>>> {
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(text.ends_with('\r') && !text.contains('\n') && !text.contains('\u{b}') && !text.contains('\u{1c}'));
    let components = |field: &str| field.split('^').map(unescaped).collect::<Vec<_>>();
    let fields = |segment: &str| {
        let mut fields: Vec<Vec<String>> = segment.split('|').map(components).collect();
        if segment.starts_with("MSH") {
            fields.insert(1, vec!["|".into()]);
        }
        fields
    };
    text.trim_end_matches('\r').split('\r').map(fields).collect()
}

fn unescaped(text: &str) -> String {
    [("\\F\\", "|"), ("\\S\\", "^"), ("\\R\\", "~"), ("\\T\\", "&"), ("\\.br\\", "\n"), ("\\E\\", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
}

fn hl7_holds(submission: &Submission) {
    let sent = hl7v2::result(submission).unwrap();
    let read = er7(&sent.bytes);
    let kinds: Vec<&str> = read.iter().map(|segment| segment[0][0].as_str()).collect();
    let narrative = wording::narrative(submission);
    let notes = if narrative.is_empty() { 2 } else { 3 };
    assert_eq!(kinds[..4], ["MSH", "PID", "OBR", "OBX"]);
    assert!(kinds.len() == 4 + notes && kinds[4..].iter().all(|kind| *kind == "NTE"), "{kinds:?}");
    assert_eq!(
        (read[0][9].join("^"), &read[0][10][0], &read[0][18][0]),
        ("ORU^R01^ORU_R01".into(), &sent.message, &"UNICODE UTF-8".to_owned())
    );
    assert_eq!((&*read[1][3][0], &*read[1][3][3]), (&*submission.person.nhs_number, "NHS"));
    assert_eq!((&*read[3][3][0], &*read[3][3][2], &*read[3][5][0]), ("718466001", "SCT", "24"));
    assert_eq!(read.last().unwrap()[3][0], wording::reference(submission.key));
    let letter = er7(&hl7v2::letter(submission).unwrap().bytes);
    let kinds: Vec<&str> = letter.iter().map(|segment| segment[0][0].as_str()).collect();
    assert_eq!(kinds[..5], ["MSH", "EVN", "PID", "PV1", "TXA"]);
    assert!(kinds[5..].iter().all(|kind| *kind == "OBX"));
    assert!(letter.iter().any(|segment| segment.len() > 5 && segment[5][0].ends_with(&submission.key.to_string())));
}

fn holds(text: &str) {
    let submission = with(samples::score(), text);
    itk3_holds(&submission);
    file_record_holds(&submission);
    hl7_holds(&submission);
}

#[test]
fn known_traps_do_not_break_a_form() {
    let long = "word ".repeat(20_000);
    let traps = [
        samples::NASTY,
        "",
        " ",
        "\r",
        "\n\n",
        "|",
        "\\",
        "\\F\\",
        "&#0;",
        "]]>",
        "<!--",
        "\u{feff}",
        "\u{85}\u{2028}",
        "(\\)",
        &long,
    ];
    traps.iter().for_each(|text| holds(text));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_text_breaks_a_form(text in any::<String>()) {
        holds(&text);
    }

    #[test]
    fn no_bytes_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0.0..1.0_f64) {
        let _ = read::update_record(&bytes);
        let _ = fingerpost::writeback::itk3::response::parse(&bytes);
        let whole = update_record::encode(&samples::score(), &envelope(&samples::score())).unwrap().bytes;
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let cut = (whole.len() as f64 * cut) as usize;
        prop_assert!(read::update_record(&whole[..cut.min(whole.len() - 10)]).is_err());
    }
}

#[test]
fn a_text_with_every_separator_arrives_as_it_was_sent() {
    let submission = with(samples::score(), samples::NASTY);
    let read = er7(&hl7v2::result(&submission).unwrap().bytes);
    let expected = samples::NASTY.trim().replace("\r\n", "\n").replace(['\u{1}', '\u{b}', '\t'], " ");
    assert_eq!(read[4][3][0], expected);
}

#[test]
fn a_score_arrives_whole() {
    let submission = samples::score();
    let sent = update_record::encode(&submission, &envelope(&submission)).unwrap();
    let received = read::update_record(&sent.bytes).unwrap();
    let [entry] = received.entries.as_slice() else { panic!("one entry") };
    assert_eq!(entry.value, submission.entry.value);
    assert_eq!(entry.code, fingerpost::writeback::entry::Coded { local: None, ..submission.entry.code.clone() });
    assert_eq!((entry.section.as_str(), entry.effective.as_str()), ("assessment-scales", "2026-07-01T09:30:00Z"));
    assert_eq!(received.person, submission.person);
    let scope = ["ReferralRequest", "Appointment", "Procedure", "Flag"];
    assert!(received.kinds.iter().all(|kind| !scope.contains(&kind.as_str())));
}

#[test]
fn a_correction_names_the_document_that_it_replaces() {
    let (first, second) = (samples::score(), samples::corrected());
    let of =
        |one: &Submission| read::update_record(&update_record::encode(one, &envelope(one)).unwrap().bytes).unwrap();
    let (first, second) = (of(&first), of(&second));
    assert_eq!(second.replaces, Some(first.document_id));
    assert_ne!(second.document_id, second.replaces.clone().unwrap());
    assert_eq!(first.entries[0].identifiers[0], second.entries[0].identifiers[0]);
}

#[test]
fn every_published_example_is_read() {
    let Some(all) = published("") else {
        eprintln!("skipped: the published examples are absent");
        return;
    };
    let mut messages = 0;
    for (name, bytes) in all {
        let tree = tree::read(&bytes).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        assert_eq!(tree::read(&tree::print(&tree)), Ok(tree), "{name}");
        match read::event(&bytes).as_deref() {
            Ok("ITK014M") => {
                let received = read::update_record(&bytes).unwrap();
                assert!(!received.entries.is_empty() && received.entries.iter().all(|one| !one.code.code.is_empty()));
                assert!(!received.person.family.is_empty() && received.person.nhs_number.len() == 10, "{name}");
            }
            Ok("ITK007C") => {
                let received = read::send_document(&bytes).unwrap();
                assert!(received.attachments[0].1.starts_with(b"%PDF"), "{name}");
            }
            _ => continue,
        }
        messages += 1;
    }
    assert_eq!(messages, 4);
}
