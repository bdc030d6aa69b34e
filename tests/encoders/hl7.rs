//! HL7 v2 as two other programs read it: `hl7apy` knows version 2.4's structures, fields and tables;
//! `hl7` gives each value with its escapes undone.

use std::path::{Path, PathBuf};
use std::process::Command;

use fingerpost::writeback::entry::{Encoded, EntryValue, Submission};
use fingerpost::writeback::{hl7v2, wording};
use serde_json::Value;

use super::peers::{target, there, written};
use super::samples;

/// For each file: what validation says, and every segment as `[field][component]`, unescaped.
const READ: &str = r#"
import json, sys, tempfile, hl7
from hl7apy.parser import parse_message
out = []
for path in sys.argv[1:]:
    text = open(path, newline="", encoding="utf-8").read()
    with tempfile.NamedTemporaryFile("r") as report:
        try:
            parse_message(text, find_groups=True).validate(report_file=report.name)
            said = []
        except Exception as fault:
            said = [type(fault).__name__]
        said += [line for line in report.read().splitlines() if line]
    message = hl7.parse(text)
    def component(one):
        return message.unescape(str(one))
    def field(one):
        return [component(part) for part in one[0]] if one and isinstance(one[0], hl7.Repetition) else [component(one)]
    out.append([said, [[field(one) for one in segment] for segment in message]])
print(json.dumps(out))
"#;
/// What version 2.4's suggested tables lack, and the UK's profile of ADT asks for.
const PROFILE: [&str; 3] = [
    "Warning: Value UNICODE UTF-8 not in table HL70211 in element MSH.MSH_18",
    "Warning: Value 2 not in table HL70001 in element PID.PID_8",
    "Warning: Value 0 not in table HL70001 in element PID.PID_8",
];

fn python() -> Option<PathBuf> {
    let own = target().join("hl7-venv/bin/python");
    let python = if own.exists() { own } else { PathBuf::from("python3") };
    let get = "python3 -m venv target/hl7-venv; target/hl7-venv/bin/pip install hl7apy==1.3.5 hl7==0.4.5";
    there(&python.to_string_lossy(), &["-c", "import hl7, hl7apy"], get).then_some(python)
}

fn read(python: &Path, messages: &[Encoded]) -> Vec<(Vec<String>, Value)> {
    let folder = tempfile::tempdir().unwrap();
    let paths = messages.iter().enumerate().map(|(at, one)| written(folder.path(), &format!("{at}.hl7"), &one.bytes));
    let output = Command::new(python).args(["-c", READ]).args(paths).env("PYTHONUTF8", "1").output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let all: Vec<(Vec<String>, Value)> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(all.len(), messages.len());
    all
}

/// The field of the first segment of that kind; `[]` where there is none.
fn value<'a>(message: &'a Value, kind: &str, field: usize) -> &'a Value {
    let segment = message.as_array().unwrap().iter().find(|segment| segment[0][0] == kind);
    segment.map_or(&Value::Null, |segment| &segment[field])
}

#[test]
fn every_message_is_version_2_4_to_another_implementation() {
    let Some(python) = python() else { return };
    let mut messages: Vec<Encoded> =
        samples::all().iter().flat_map(|(_, one)| [hl7v2::result(one).unwrap(), hl7v2::letter(one).unwrap()]).collect();
    messages.extend([hl7v2::result(&samples::sparse()).unwrap(), hl7v2::letter(&samples::sparse()).unwrap()]);
    for (sent, (said, read)) in messages.iter().zip(read(&python, &messages)) {
        let faults: Vec<&String> = said.iter().filter(|line| !PROFILE.contains(&line.as_str())).collect();
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(value(&read, "MSH", 10)[0], sent.message.as_str());
        assert_eq!(value(&read, "PID", 3)[0], samples::NHS_NUMBER);
    }
    // The peer knows what is none: without its TXA, or with a type that is not there.
    let letter = String::from_utf8(hl7v2::letter(&samples::score()).unwrap().bytes).unwrap();
    let without: String = letter.split_inclusive('\r').filter(|segment| !segment.starts_with("TXA")).collect();
    let broken = [without, letter.replace("|TX|LETTER", "|QQ|LETTER")];
    for text in broken {
        let broken = Encoded { bytes: text.into_bytes(), ..hl7v2::letter(&samples::score()).unwrap() };
        let (said, _) = &read(&python, &[broken])[0];
        assert!(said.iter().any(|line| !PROFILE.contains(&line.as_str())), "the peer takes anything");
    }
}

/// The document says the words and the key, and that it replaces another.
#[test]
fn a_document_and_its_correction_are_told_apart() {
    let Some(python) = python() else { return };
    let letters: Vec<Encoded> =
        [samples::score(), samples::corrected()].iter().map(|one| hl7v2::letter(one).unwrap()).collect();
    let read = read(&python, &letters);
    let (first, second) = (&read[0].1, &read[1].1);
    assert_eq!((&value(first, "MSH", 9)[1], &value(second, "MSH", 9)[1]), (&"T02".into(), &"T10".into()));
    assert_eq!((&value(first, "EVN", 1)[0], &value(second, "EVN", 1)[0]), (&"T02".into(), &"T10".into()));
    assert_eq!(value(second, "TXA", 13), value(first, "TXA", 12), "it names the document that it replaces");
    assert_ne!(value(second, "TXA", 12), value(first, "TXA", 12));
    let alone = hl7v2::first_letter(&samples::corrected()).unwrap();
    assert_eq!(alone.message, letters[1].message, "one message, whichever it is");
    let (said, alone) = &self::read(&python, &[alone])[0];
    assert!(said.iter().all(|line| PROFILE.contains(&line.as_str())), "{said:?}");
    assert_eq!((&value(alone, "MSH", 9)[1], &value(alone, "TXA", 13)[0]), (&"T02".into(), &"".into()));
    assert!(alone.to_string().contains("Replaces: Ref "), "its words say what it corrects");
    for (message, submission) in [(first, samples::score()), (second, samples::corrected())] {
        let words: Vec<&str> =
            message.as_array().unwrap().iter().filter_map(|segment| segment[5][0].as_str()).collect();
        let key = format!("Reference: {}", wording::reference(submission.key));
        assert!(words.contains(&key.as_str()), "{words:?}");
    }
}

/// Version 2.4 ends a text value at 65,536 characters: a longer one is several, numbered in order.
#[test]
fn a_text_too_long_for_one_value_is_several_in_order() {
    let Some(python) = python() else { return };
    let mut one = samples::score();
    one.entry.value = Some(EntryValue::Text("Zoë & co. said | a lot. ".repeat(6_000)));
    one.entry.text = "A note\nof lines. ".repeat(8_000);
    let sent = [hl7v2::result(&one).unwrap(), hl7v2::letter(&one).unwrap()];
    let read = read(&python, &sent);
    let raw: Vec<String> = sent.iter().map(|one| String::from_utf8(one.bytes.clone()).unwrap()).collect();
    let texts = raw.iter().flat_map(|raw| raw.split('\r')).filter(|segment| !segment.contains("|ED|"));
    assert!(texts.flat_map(|segment| segment.split('|')).all(|field| field.chars().count() <= 65_536));
    for (said, _) in &read {
        assert!(said.iter().all(|line| PROFILE.contains(&line.as_str())), "{said:?}");
    }
    let of = |message: usize, kind: &str, field: usize| -> Vec<String> {
        let segments = read[message].1.as_array().unwrap().iter().filter(|segment| segment[0][0] == kind);
        segments.map(|segment| segment[field][0].as_str().unwrap_or("").to_owned()).collect()
    };
    let (values, subs) = (of(0, "OBX", 5), of(0, "OBX", 4));
    let Some(EntryValue::Text(text)) = &one.entry.value else { unreachable!() };
    assert_eq!(values.concat(), *text);
    let counted: Vec<String> = (1..=values.len()).map(|at| at.to_string()).collect();
    assert!(values.len() > 2 && subs == counted && of(0, "OBX", 1) == counted, "{subs:?}");
    let notes = of(0, "NTE", 3).concat();
    assert!(notes.starts_with(&wording::narrative(&one).replace('\n', "\r")) && of(0, "NTE", 3).len() > 3);
    let codes = of(0, "OBX", 3);
    assert!(codes.iter().all(|code| *code == codes[0]));
    let letter = of(1, "OBX", 4);
    assert_eq!(letter, (1..=letter.len()).map(|at| at.to_string()).collect::<Vec<_>>());
    assert!(of(1, "OBX", 5).concat().contains(text.as_str()));
}

/// Values with all that the form takes for its own are the same to a reader that knows its escapes.
#[test]
fn a_hostile_text_is_the_same_to_another_reader() {
    let Some(python) = python() else { return };
    let texts = [
        r"|^~\&",
        r"\F\ \E\ \.br\ \X0D\",
        "a\r\nMSH|^~\\&|x\rb",
        "a\tb\u{7f}c",
        "\u{202e}evil \u{1f9d1}\u{200d}\u{2695} e\u{301}",
    ];
    let with = |text: &str| {
        let mut one: Submission = samples::score();
        one.entry.text = text.to_owned();
        one.person.family = format!("A{text}");
        one
    };
    let all: Vec<Submission> = texts.iter().map(|text| with(text)).collect();
    let sent: Vec<Encoded> = all.iter().map(|one| hl7v2::result(one).unwrap()).collect();
    for ((_, read), one) in read(&python, &sent).iter().zip(&all) {
        // The reader has `\.br\` as a carriage return.
        let plain = |text: &str| text.replace("\r\n", "\r").replace('\n', "\r");
        assert_eq!(value(read, "NTE", 3)[0].as_str(), Some(plain(wording::narrative(one)).as_str()));
        assert_eq!(value(read, "PID", 5)[0].as_str(), Some(plain(&one.person.family).as_str()));
        assert_eq!(value(read, "PID", 3)[0], samples::NHS_NUMBER);
    }
}
