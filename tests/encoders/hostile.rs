//! No text can break the framing of any form, and what matters is found again by a reader.

use fingerpost::writeback::entry::{EntryValue, Submission};
use fingerpost::writeback::file_record::{self, Pairing};
use fingerpost::writeback::itk3::tree::{self, Node};
use fingerpost::writeback::itk3::{read, send_document, update_record};
use fingerpost::writeback::{hl7v2, wording};
use proptest::prelude::*;
use quick_xml::events::Event;

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

/// True for what no message can hold.
fn is_none(c: char) -> bool {
    (c < ' ' && !matches!(c, '\n' | '\r' | '\t')) || matches!(c, '\u{fffe}' | '\u{ffff}')
}

/// A text with every line break in one form.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
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
    assert_eq!(received.person.family, submission.person.family);
    assert_eq!(received.person.given, submission.person.given);
    let [entry] = received.entries.as_slice() else { panic!("one entry") };
    assert_eq!(entry.code.code, submission.entry.code.code);
    assert_eq!(
        (entry.key(), received.key.as_str()),
        (Some(&*submission.key.to_string()), &*submission.key.to_string())
    );
    let comment = format!("{} {}", wording::byline(&submission.entry.author), wording::reference(submission.key));
    assert_eq!(entry.comment, comment);
    if let Some(EntryValue::Quantity { unit, .. }) = &submission.entry.value
        && !unit.trim_matches([' ', '\t', '\r', '\n']).is_empty()
    {
        assert_eq!(entry.value, submission.entry.value);
    }
    let narrative = wording::narrative(submission);
    let kept: Vec<String> = received.narratives.into_iter().map(|(_, text)| text).collect();
    assert_eq!(kept, if narrative.is_empty() { vec![] } else { vec![narrative.to_owned()] });
    let document = send_document::encode(submission, &envelope(submission)).unwrap();
    let document = read::send_document(&document.bytes).unwrap();
    assert_eq!(
        (document.key, document.person.nhs_number),
        (submission.key.to_string(), submission.person.nhs_number.clone())
    );
    let [(pdf, pdf_bytes), (html, page)] = document.attachments.as_slice() else { panic!("two attachments") };
    assert_eq!((pdf.as_str(), html.as_str()), ("application/pdf", "text/html"));
    assert!(pdf_bytes.starts_with(b"%PDF-1.7") && pdf_bytes.trim_ascii_end().ends_with(b"%%EOF"));
    html_holds(submission, std::str::from_utf8(page).unwrap());
}

/// The page, read as HTML reads it, says the words.
fn html_holds(submission: &Submission, page: &str) {
    let parts = page.split(['<', '>']).enumerate().filter(|(at, _)| at % 2 == 0).map(|(_, text)| text);
    let texts: Vec<String> = parts
        .map(|text| {
            let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
            pairs.iter().fold(text.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
        })
        .collect();
    let narrative = wording::narrative(submission);
    let name = format!("{} {}", submission.person.given.join(" "), submission.person.family);
    for text in [narrative, name.trim(), &wording::reference(submission.key)] {
        assert!(text.is_empty() || texts.contains(&lines(text)), "{text:?} is not among {texts:?}");
    }
}

fn file_record_holds(submission: &Submission) {
    let plain = file_record::encode(&samples::score(), Pairing::Configured).unwrap();
    let sent = file_record::encode(submission, Pairing::Configured).unwrap();
    assert_eq!(names(&tree::read(&sent.bytes).unwrap()), names(&tree::read(&plain.bytes).unwrap()));
    let texts = xml_texts(&sent.bytes);
    // Of `Value`s the last is the number; those before it are codes.
    let of = |name: &str| texts.iter().rfind(|(known, _)| known == name).map(|(_, text)| text.as_str());
    assert_eq!(of("DescriptiveText"), Some(lines(&wording::filed_text(submission)).as_str()));
    assert_eq!((of("MapCode"), of("DisplayTerm")), (Some("718466001"), Some(&*submission.entry.code.display)));
    if let Some(EntryValue::Quantity { digits, unit, .. }) = &submission.entry.value {
        assert_eq!((of("Value"), of("Units")), (Some(digits.as_str()), Some(lines(unit).as_str())));
    }
}

/// `(element, text)` of an XML document, in order.
fn xml_texts(bytes: &[u8]) -> Vec<(String, String)> {
    let mut reader = quick_xml::Reader::from_str(std::str::from_utf8(bytes).unwrap());
    let mut texts: Vec<(String, String)> = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) => texts.push((start.name().as_ref().to_owned(), String::new())),
            Event::Text(text) => texts.last_mut().into_iter().for_each(|(_, kept)| kept.push_str(text.as_ref())),
            Event::GeneralRef(entity) => {
                let entity = entity.as_ref();
                let number = entity.strip_prefix('#').map(|digits| digits.parse().unwrap());
                let named = || quick_xml::escape::resolve_predefined_entity(entity).unwrap().chars().next().unwrap();
                let plain = number.map_or_else(named, |number| char::from_u32(number).unwrap());
                texts.last_mut().unwrap().1.push(plain);
            }
            Event::Eof => return texts,
            _ => {}
        }
    }
}

/// The small reader: segments, fields, components, unescaped; MSH-1 is counted as a field.
fn er7(bytes: &[u8]) -> Vec<Vec<Vec<String>>> {
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(text.ends_with('\r') && !text.contains('\n') && !text.contains('\u{b}') && !text.contains('\u{1c}'));
    let components = |field: &str| field.split('^').map(unescaped).collect::<Vec<_>>();
    let fields = |segment: &str| {
        // Both separators' own fields say what they are and hold no escapes.
        let Some(rest) = segment.strip_prefix("MSH|^~\\&|") else {
            return segment.split('|').map(components).collect();
        };
        let first = ["MSH", "|", "^~\\&"].map(|text| vec![text.to_owned()]);
        first.into_iter().chain(rest.split('|').map(components)).collect::<Vec<_>>()
    };
    text.trim_end_matches('\r').split('\r').map(fields).collect()
}

/// From left to right: what an escape gives is never taken for another.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut parts = text.split('\\');
    out.push_str(parts.next().unwrap());
    while let Some(escape) = parts.next() {
        match escape {
            "F" => out.push('|'),
            "S" => out.push('^'),
            "R" => out.push('~'),
            "T" => out.push('&'),
            "E" => out.push('\\'),
            ".br" => out.push('\n'),
            other => out.push(char::from(u8::from_str_radix(other.strip_prefix('X').unwrap(), 16).unwrap())),
        }
        out.push_str(parts.next().expect("an escape that ends"));
    }
    out
}

fn hl7_holds(submission: &Submission) {
    let sent = hl7v2::result(submission).unwrap();
    let read = er7(&sent.bytes);
    let kinds: Vec<&str> = read.iter().map(|segment| segment[0][0].as_str()).collect();
    let narrative = wording::narrative(submission);
    let notes: Vec<&str> = read[4..].iter().map(|segment| segment[3][0].as_str()).collect();
    assert_eq!(kinds[..4], ["MSH", "PID", "OBR", "OBX"]);
    assert!(notes.len() >= 2 && kinds[4..].iter().all(|kind| *kind == "NTE"), "{kinds:?}");
    assert_eq!(
        (read[0][9].join("^"), &read[0][10][0], &read[0][18][0]),
        ("ORU^R01^ORU_R01".into(), &sent.message, &"UNICODE UTF-8".to_owned())
    );
    assert_eq!((&*read[1][3][0], &*read[1][3][3]), (&*submission.person.nhs_number, "NHS"));
    let person = [&submission.person.family, &submission.person.given[0]].map(|name| lines(name));
    assert_eq!(read[1][5][..2], person);
    let author = &submission.entry.author;
    let shown = if author.name.is_empty() { &author.role } else { &author.name };
    assert_eq!(read[3][16][1], lines(shown));
    if let Some(EntryValue::Quantity { unit, .. }) = &submission.entry.value {
        assert_eq!(read[3][6][1], lines(unit));
    }
    // The words, who recorded it and the key, in as many notes as they need.
    let words = [narrative, &wording::byline(author), &wording::reference(submission.key)].concat();
    assert_eq!(notes.concat(), lines(&words));
    assert_eq!((&*read[3][3][0], &*read[3][3][2], &*read[3][5][0]), ("718466001", "SCT", "24"));
    assert_eq!(read.last().unwrap()[3][0], wording::reference(submission.key));
    let letter = er7(&hl7v2::letter(submission).unwrap().bytes);
    let kinds: Vec<&str> = letter.iter().map(|segment| segment[0][0].as_str()).collect();
    assert_eq!(kinds[..5], ["MSH", "EVN", "PID", "PV1", "TXA"]);
    assert!(kinds[5..].iter().all(|kind| *kind == "OBX"));
    assert!(letter.iter().any(|segment| segment.len() > 5 && segment[5][0].ends_with(&submission.key.to_string())));
    let notes = format!("Notes: {}", lines(narrative));
    let texts: Vec<&str> = letter[5..].iter().map(|segment| segment[5][0].as_str()).collect();
    assert!(narrative.is_empty() || texts.concat().contains(&notes));
    assert_eq!(letter[2][5][..2], person);
}

fn holds(text: &str) {
    let submission = with(samples::score(), text);
    if text.contains(is_none) {
        return super::refusals::ALL.iter().for_each(|(route, encode)| {
            let why = encode(&submission).expect_err(route).0;
            assert_eq!(why, "Patient.name.family has a control character, which no message can hold");
        });
    }
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
        "\u{1}",
        "\u{1c}\r",
        "\u{ffff}",
        "\\E\\F\\.br\\X0D\\",
        "\\H\\\\N\\ \\C2842\\ \\Zx\\",
        "a\r\r\nb\n\rc\td",
        "\u{202e}gnimoc\u{202c} \u{2066}x\u{2069}",
        "\u{1f9d1}\u{200d}\u{2695}\u{fe0f} \u{10ffff} e\u{301} \u{5e9}\u{5dc}\u{5d5}\u{5dd}",
        "\u{7f}\u{80}\u{9f}\u{a0}",
        &long,
    ];
    traps.iter().for_each(|text| holds(text));
}

/// What the forms take for their own, to be strung together.
const PARTS: &[&str] = &[
    "|",
    "^",
    "~",
    "\\",
    "&",
    "\r",
    "\n",
    "\r\n",
    "\t",
    "F",
    "S",
    "E",
    ".br",
    "X0D",
    "]]>",
    "<",
    ">",
    "\"",
    "'",
    "amp;",
    "#13;",
    "MSH",
    "OBX|1|",
    "\u{202e}",
    "\u{2028}",
    "\u{1f9d1}",
    "\u{5e9}",
    "a",
    " ",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_text_breaks_a_form(text in any::<String>()) {
        holds(&text);
    }

    #[test]
    fn no_row_of_separators_breaks_a_form(parts in proptest::collection::vec(proptest::sample::select(PARTS), 0..24)) {
        holds(&parts.concat());
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
    assert_eq!(read[4][3][0], lines(samples::NASTY.trim()));
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

/// What cannot be held is named by its element, whichever it is, and nothing of it is repeated.
#[test]
fn the_element_that_cannot_be_held_is_named() {
    type Change = fn(&mut Submission, String);
    let elements: [(&str, Change); 8] = [
        ("Patient.name.given", |one, text| one.person.given.push(text)),
        ("Observation.note", |one, text| one.entry.text = text),
        ("Observation.performer", |one, text| one.entry.author.organisation = text),
        ("Observation.basedOn", |one, text| one.referral = Some(("s".into(), text))),
        ("Observation.code", |one, text| one.entry.code.display = text),
        ("Observation.component.code", |one, text| {
            one.entry.components.push((samples::coded("s", "c", &text), "1".into()))
        }),
        ("Observation.value", |one, text| one.entry.value = Some(EntryValue::Text(text))),
        ("Observation.value.unit", |one, text| {
            one.entry.value = Some(EntryValue::Quantity { digits: "1".into(), unit: text, ucum: String::new() });
        }),
    ];
    for (element, change) in elements {
        let mut one = samples::score();
        change(&mut one, "Ashgrove\u{b}Merle".into());
        for (route, encode) in super::refusals::ALL {
            let why = encode(&one).expect_err(route).0;
            assert_eq!(why, format!("{element} has a control character, which no message can hold"), "{route}");
        }
    }
}

/// The largest text that FHIR has, 1 MiB, arrives whole in every form.
#[test]
fn the_largest_text_arrives_whole() {
    const LARGEST: usize = 1024 * 1024;
    let words = "Walked & talked | 5 ^ 7 \\ \u{1f9d1} ]]>\n";
    let mut submission = samples::score();
    submission.entry.text = words.repeat(LARGEST / words.len());
    submission.entry.text.push_str(&"x".repeat(LARGEST - submission.entry.text.len()));
    submission.person.given = vec!["Merle".into()];
    itk3_holds(&submission);
    file_record_holds(&submission);
    hl7_holds(&submission);
}
