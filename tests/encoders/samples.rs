//! Entries to encode. Synthetic: the people do not exist, the NHS numbers are of the test range.

use fingerpost::fhir::ids::{OdsCode, SNOMED};
use fingerpost::writeback::entry::{Author, Coded, EntryValue, Online, Person, RecordEntry, Submission};
use jiff::Timestamp;
use uuid::Uuid;

pub const NHS_NUMBER: &str = "9990000018";
/// Text with all that a format may take for its own.
pub const NASTY: &str =
    "R&D <b>café</b> – £5 \"quoted\" 'it's' | ^ ~ \\ & &#x0; %00 \u{85}\u{7f} ]]>\r\nMSH|x\n\tŁódź 日本";

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn coded(system: &str, code: &str, display: &str) -> Coded {
    Coded { system: system.into(), code: code.into(), display: display.into(), ..Coded::default() }
}

fn submission(key: u128, entry: RecordEntry) -> Submission {
    Submission {
        key: Uuid::from_u128(key),
        replaces: None,
        practice: OdsCode::parse("N84999").unwrap(),
        practice_name: "Sandgate Surgery".into(),
        sender: OdsCode::parse("X26AB").unwrap(),
        sender_name: "Fingerpost Gateway".into(),
        person: Person {
            nhs_number: NHS_NUMBER.into(),
            family: "Ashgrove".into(),
            given: vec!["Merle".into(), "Rowan".into()],
            birth_date: "1951-03-04".into(),
            gender: "female".into(),
        },
        referral: Some(("https://fingerpost.dev/id/emis-observation".into(), "N84999/0B1E".into())),
        recorded: at("2026-07-01T10:15:00Z"),
        entry,
    }
}

fn entry(code: Coded) -> RecordEntry {
    RecordEntry {
        id: "5d6a1f0e-3c52-5d0a-9b1d-1f2e3d4c5b6a".into(),
        version: 1,
        status: "final".into(),
        category: "social-history".into(),
        text: code.display.clone(),
        code,
        value: None,
        components: Vec::new(),
        effective: "2026-07-01".into(),
        author: Author {
            name: "Quill Fenwick".into(),
            role: "Social prescribing link worker".into(),
            ods: "X26AB".into(),
            organisation: "Northfield Wellbeing".into(),
        },
        online: Online::Show,
    }
}

/// The person accepted: a code and nothing else.
pub fn accepted() -> Submission {
    let mut code = coded(SNOMED, "871731000000106", "Referral to social prescribing service");
    code.local = Some(("READ2".into(), "8T09.".into()));
    submission(1, entry(code))
}

/// A score.
pub fn score() -> Submission {
    let mut code = coded(SNOMED, "718466001", "Short Warwick-Edinburgh Mental Well-being Scale score");
    code.description_id = Some("3332123012".into());
    code.local = Some(("EMISCLINICAL".into(), "TEST1".into()));
    let mut entry = entry(code);
    entry.category = "survey".into();
    entry.value = Some(EntryValue::Quantity { digits: "24".into(), unit: "score".into(), ucum: "{score}".into() });
    entry.text = "Wellbeing is better than at the first meeting; £5 bus fares no longer keep her at home.".into();
    entry.effective = "2026-07-01T09:30:00Z".into();
    submission(2, entry)
}

/// A panel of items.
pub fn panel() -> Submission {
    const MEASURE: &str = "https://fingerpost.dev/CodeSystem/measure";
    let mut entry = entry(coded(MEASURE, "ons4", "ONS4 personal wellbeing"));
    entry.category = "survey".into();
    entry.components = vec![
        (coded(MEASURE, "ons4-satisfaction", "Life satisfaction (0-10)"), "7".into()),
        (coded(MEASURE, "ons4-anxiety", "Anxiety yesterday (0-10)"), "2".into()),
    ];
    submission(3, entry)
}

/// The pool gave the referral back to the GP: a coded value that asks for something.
pub fn returned() -> Submission {
    let code = coded(
        "https://fingerpost.dev/CodeSystem/outcome",
        "referral-returned",
        "Social prescribing referral returned without an episode",
    );
    let mut entry = entry(code);
    let itk = "https://fhir.nhs.uk/STU3/CodeSystem/ITK-ResponseCodes-1";
    entry.value = Some(EntryValue::Coded(coded(itk, "30007", "Referral escalated back to GP")));
    submission(4, entry)
}

/// A correction of [`score`].
pub fn corrected() -> Submission {
    let mut corrected = score();
    corrected.replaces = Some(corrected.key);
    corrected.key = Uuid::from_u128(20);
    corrected.entry.status = "corrected".into();
    corrected.entry.version = 2;
    corrected.entry.value =
        Some(EntryValue::Quantity { digits: "23".into(), unit: "score".into(), ucum: "{score}".into() });
    corrected
}

/// As little as an entry may say.
pub fn sparse() -> Submission {
    let mut sparse = score();
    sparse.person.given = vec![String::new()];
    sparse.person.gender = "undisclosed".into();
    sparse.referral = None;
    sparse.entry.text.clear();
    sparse.entry.author.name = " ".into();
    sparse.entry.author.organisation.clear();
    sparse.entry.effective = "2026".into();
    sparse.entry.value = Some(EntryValue::Quantity { digits: "24".into(), unit: String::new(), ucum: String::new() });
    sparse
}

/// All whole ones.
pub fn all() -> Vec<(&'static str, Submission)> {
    vec![
        ("accepted", accepted()),
        ("score", score()),
        ("panel", panel()),
        ("returned", returned()),
        ("corrected", corrected()),
    ]
}
