#![allow(clippy::unwrap_used)]

use std::io::Write;

use jiff::civil::date;
use proptest::prelude::*;

use super::change::{Books, Scope, compare};
use super::sheet::Sheet;
use super::*;

const TODAY: Date = date(2026, 1, 5);

fn from(file: &str, text: impl Into<Vec<u8>>) -> Result<Snapshot, Vec<String>> {
    read(&[(file.to_owned(), text.into())], None, TODAY)
        .map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

fn code(text: &str) -> OdsCode {
    OdsCode::parse(text).unwrap()
}

#[test]
fn the_registered_patients_map_is_read_in_each_of_its_dresses() {
    let plain = "PUBLICATION,EXTRACT_DATE,PRACTICE_CODE,PRACTICE_NAME,PCN_CODE,PCN_NAME,CCG_CODE\n\
                 X,01Jan2022,A81001,THE DENSHAM SURGERY,U89141,STOCKTON PCN,16C\n\
                 X,01Jan2022,A84035,\"RIVERSDALE, SURGERY\",U,Unallocated,00L\n";
    let read = from("map.csv", plain).unwrap();
    assert_eq!((read.as_of, read.whole, read.practices.len()), (date(2022, 1, 1), true, 2));
    assert_eq!(read.practices[&code("A81001")].name, "The Densham Surgery");
    assert_eq!(read.practices[&code("A84035")].pcn, None);
    assert_eq!(read.networks["U89141"], "Stockton PCN");
    let other = plain.replace("01Jan2022", "01-Jan-22").replace('\n', "\r\n");
    assert_eq!(from("map.csv", format!("\u{feff}{other}")).unwrap(), read, "BOM, CRLF and another date style");
    let turned = "PCN_NAME,PCN_CODE,PRACTICE_NAME,PRACTICE_CODE,CCG_CODE,EXTRACT_DATE\n\
                  STOCKTON PCN,U89141,THE DENSHAM SURGERY,A81001,16C,2022-01-01\n\
                  Unallocated,U,\"RIVERSDALE, SURGERY\",A84035,00L,2022-01-01\n";
    assert_eq!(from("map.csv", turned).unwrap(), read, "the columns in another order");
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let header = "EXTRACT_DATE,PRACTICE_CODE,PRACTICE_NAME,PCN_CODE,PCN_NAME\n";
    let rows = "01Jan2022,A81001,A,U89141,S\n01Jan2022,A81001,A,U00001,T\n02Jan2022,A81002,B,X1,T\nsoon,!,C,U,U\n1,2\n";
    let faults = from("map.csv", format!("{header}{rows}")).unwrap_err();
    assert_eq!(
        faults,
        [
            "map.csv:3: A81001 stands here a second time; the first row has network U89141",
            "map.csv:4: is of another day than the rows before",
            "map.csv:4: PCN_CODE 'X1' is neither a PCN code such as U12345 nor U for none",
            "map.csv:5: EXTRACT_DATE 'soon' is not a date",
            "map.csv:5: '!' is not an ODS code",
            "map.csv:6: has 2 cells, the header has 5",
        ]
    );
    assert!(from("map.csv", header).unwrap_err()[0].contains("does not say of which day"));
    assert!(from("x.csv", "a,b\n1,2\n").unwrap_err()[0].contains("none of the known forms"));
    assert!(from("x.csv", "").unwrap_err()[0].contains("empty"));
    assert!(from("x.csv", b"a\n\xff,b".to_vec()).unwrap_err()[0].starts_with("x.csv:2: not UTF-8"));
    assert!(from("x.json", "{\"resourceType\":\"Patient\"}").unwrap_err()[0].contains("has no practice"));
    assert!(from("x.json", "{").is_err());
}

const PARTNERS: &str = "A81001,THE DENSHAM SURGERY,16C,TEES,U89141,STOCKTON PCN,16C,TEES,01/07/2019,31/03/2024,1\n\
     A81001,THE DENSHAM SURGERY,16C,TEES,U07032,NORTH STOCKTON PCN,16C,TEES,20240401,,1\n\
     A81002,QUEENS PARK,16C,TEES,U07032,NORTH STOCKTON PCN,16C,TEES,01-Jul-2019,01-Jul-2020,1\n";

#[test]
fn epcn_core_partners_are_read_for_their_day() {
    let now = from("epcn.csv", PARTNERS).unwrap();
    let densham = &now.practices[&code("A81001")];
    assert_eq!((densham.pcn.as_deref(), densham.since), (Some("U07032"), Some(date(2024, 4, 1))));
    assert_eq!(now.practices[&code("A81002")].pcn, None, "its only partnership has ended");
    let then = read(&[("epcn.csv".into(), PARTNERS.into())], Some(date(2020, 1, 1)), TODAY).unwrap();
    assert_eq!(then.practices[&code("A81001")].pcn.as_deref(), Some("U89141"));
    let both = PARTNERS.replace("31/03/2024", "");
    assert_eq!(from("e.csv", both).unwrap_err(), ["e.csv:2: A81001 is in U89141 (line 1) and in U07032 on 2026-01-05"]);
    let back = PARTNERS.replace("31/03/2024", "30/06/2019").replace("20240401", "31/02/2024");
    assert_eq!(
        from("e.csv", back).unwrap_err(),
        ["e.csv:1: the relationship ends before it starts", "e.csv:2: start date '31/02/2024' is not a date"]
    );
}

/// A workbook as ePCN.xlsx is: shared and inline strings, a date as its number.
fn workbook(sheet: &str) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let parts = [
        (
            "xl/workbook.xml",
            format!(
                r#"<workbook xmlns:r="r"><sheets><sheet name="PCNDetails" sheetId="1" r:id="rId1"/><sheet name="{sheet}" sheetId="2" r:id="rId2"/></sheets></workbook>"#
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            r#"<Relationships><Relationship Id="rId2" Target="worksheets/sheet2.xml"/></Relationships>"#.to_owned(),
        ),
        (
            "xl/sharedStrings.xml",
            "<sst><si><t>A81001</t></si><si><r><t>SMITH &amp; </t></r><r><t>SONS</t></r></si></sst>".to_owned(),
        ),
        (
            "xl/worksheets/sheet2.xml",
            r#"<worksheet><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>Partner Organisation Code</t></is></c></row>
            <row r="2"><c r="A2" t="s"><v>0</v></c><c r="B2" t="s"><v>1</v></c><c r="E2" t="inlineStr"><is><t>U89141</t></is></c><c r="I2"><v>43647</v></c></row></sheetData></worksheet>"#
                .to_owned(),
        ),
    ];
    for (name, text) in parts {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn the_workbook_is_read_as_its_csv_is() {
    let read = from("ePCN.xlsx", workbook(epcn::SHEET)).unwrap();
    let practice = &read.practices[&code("A81001")];
    assert_eq!((practice.name.as_str(), practice.pcn.as_deref()), ("Smith & Sons", Some("U89141")));
    assert_eq!(practice.since, Some(date(2019, 7, 1)));
    let other = from("ePCN.xlsx", workbook("Sheet2")).unwrap_err();
    assert!(other[0].contains("has no sheet 'PCN Core Partner Details'; it has PCNDetails, Sheet2"), "{other:?}");
    assert!(from("ePCN.xlsx", b"PK\x03\x04 cut".to_vec()).unwrap_err()[0].contains("not a workbook"));
}

fn ord(rels: &str, status: &str, roles: &str) -> String {
    format!(
        r#"{{"Organisation":{{"Name":"THE DENSHAM SURGERY","Status":"{status}","OrgId":{{"extension":"A81001"}},
        "Date":[{{"Type":"Operational","Start":"1974-04-01"{}}}],
        "Roles":{{"Role":[{roles}]}},"Rels":{{"Rel":[{rels}]}},
        "Succs":{{"Succ":[{{"Type":"Successor","Target":{{"OrgId":{{"extension":"A81002"}}}}}}]}}}}}}"#,
        if status == "Active" { "" } else { r#","End":"2025-03-31""# }
    )
}

const ROLES: &str = r#"{"id":"RO177","Status":"Active","primaryRole":true},{"id":"RO76","Status":"Active"}"#;

fn rel(network: &str, role: &str) -> String {
    format!(
        r#"{{"id":"RE8","Status":"Active","Date":[{{"Type":"Legal","Start":"2018-01-01"}},{{"Type":"Operational","Start":"2019-07-01"}}],
        "Target":{{"OrgId":{{"extension":"{network}"}},"PrimaryRoleId":{{"id":"{role}"}}}}}}"#
    )
}

#[test]
fn ods_organisations_are_read_by_role_and_relationship() {
    let one = from("a.json", ord(&rel("U89141", "RO272"), "Active", ROLES)).unwrap();
    let practice = &one.practices[&code("A81001")];
    assert_eq!((practice.pcn.as_deref(), practice.since), (Some("U89141"), Some(date(2019, 7, 1))));
    assert!(!one.whole);
    let commissioner = from("a.json", ord(&rel("16C", "RO98"), "Active", ROLES)).unwrap();
    assert_eq!(commissioner.practices[&code("A81001")].pcn, None, "RE8 to something that is no network");
    let two = from("a.json", ord(&[rel("U89141", "RO272"), rel("U07032", "RO272")].join(","), "Active", ROLES));
    assert!(two.unwrap_err()[0].contains("A81001 is partner to U07032 and to U89141"));
    let prison = from("a.json", ord("", "Active", r#"{"id":"RO177","Status":"Active"}"#));
    assert!(prison.unwrap_err()[0].contains("RO177 with RO76"));
    let gone = from("a.json", ord("", "Inactive", ROLES)).unwrap();
    let closed = Closed { last: Some(date(2025, 3, 31)), successor: Some(code("A81002")) };
    assert_eq!(gone.closed[&code("A81001")], closed);
}

#[test]
fn names_are_put_in_print() {
    for (published, printed) in [
        ("THE DENSHAM SURGERY", "The Densham Surgery"),
        ("ST. MARY'S-BY-SEA PCN", "St. Mary's-By-Sea PCN"),
        ("CASTLE AND OAK OF THE TREE", "Castle and Oak of the Tree"),
        ("Already Good PCN", "Already Good PCN"),
        ("", ""),
    ] {
        assert_eq!(in_print(published), printed);
    }
}

fn empty() -> Books {
    Books {
        practices: Sheet::read("p", "", &["ods", "name", "pcn", "valid_from", "valid_to", "basis", "note"]).unwrap(),
        networks: Sheet::read("n", "", &["code", "name", "valid_from", "valid_to", "basis", "note"]).unwrap(),
        whole_days: Vec::new(),
    }
}

type Map = BTreeMap<u8, Option<u8>>;

fn snapshot(map: &Map, as_of: Date) -> Snapshot {
    let practice = |(n, pcn): (&u8, &Option<u8>)| {
        let pcn = pcn.map(|pcn| format!("U0000{pcn}"));
        (code(&format!("A810{n:02}")), Fact { name: format!("P{n}"), pcn, ..Fact::default() })
    };
    let practices: BTreeMap<OdsCode, Fact> = map.iter().map(practice).collect();
    let networks = practices.values().filter_map(|fact| fact.pcn.clone()).map(|code| (code.clone(), code)).collect();
    Snapshot { form: "map", as_of, whole: true, practices, networks, ..Snapshot::default() }
}

/// What is in force on a day, by the file.
fn state(books: &Books, on: Date) -> Map {
    let rows = books.practices.rows().filter(|row| {
        let cell = |column: &str| books.practices.cell(*row, column).parse::<Date>().ok();
        cell("valid_from").unwrap() <= on && cell("valid_to").is_none_or(|to| on <= to)
    });
    rows.map(|row| {
        let number =
            |column: &str, from: usize| books.practices.cell(row, column).get(from..).unwrap_or("").parse().ok();
        (number("ods", 4).unwrap(), number("pcn", 5))
    })
    .collect()
}

fn codes(changes: &[change::Change]) -> Vec<String> {
    changes.iter().map(|change| change.practice.to_string()).collect()
}

fn name(n: &u8) -> String {
    format!("A810{n:02}")
}

proptest! {
    /// Whichever of two snapshots is taken in first, the difference told is the one between them,
    /// both days are then as their snapshots say, and taking either in again changes nothing.
    #[test]
    fn the_difference_is_told_exactly(
        early in proptest::collection::btree_map(0u8..20, proptest::option::of(0u8..6), 1..20),
        late in proptest::collection::btree_map(0u8..20, proptest::option::of(0u8..6), 1..20),
        late_first: bool,
    ) {
        let (day, later) = (date(2020, 9, 1), date(2022, 1, 1));
        let (first, second) = (snapshot(&early, day), snapshot(&late, later));
        let order = if late_first { [&second, &first] } else { [&first, &second] };
        let scope = Scope::default();
        let one = compare(&empty(), order[0], &scope);
        let two = compare(&one.books, order[1], &scope);
        let told = &two.difference;
        let opens: Vec<String> = late.keys().filter(|n| !early.contains_key(n)).map(name).collect();
        let closes: Vec<String> = early.keys().filter(|n| !late.contains_key(n)).map(name).collect();
        let moves: Vec<String> =
            early.iter().filter(|(n, pcn)| late.get(n).is_some_and(|now| now != *pcn)).map(|(n, _)| name(n)).collect();
        prop_assert_eq!(codes(&told.opens), opens);
        prop_assert_eq!(codes(&told.closes), closes);
        prop_assert_eq!(codes(&told.moves), moves);
        prop_assert!(told.disputed.is_empty());
        prop_assert_eq!(state(&two.books, day), early);
        prop_assert_eq!(state(&two.books, later), late);
        for again in [&first, &second] {
            let third = compare(&two.books, again, &scope);
            prop_assert_eq!(third.books.practices.text(), two.books.practices.text());
            prop_assert_eq!(third.books.networks.text(), two.books.networks.text());
        }
    }
}

#[test]
fn a_move_takes_the_files_own_day_and_history_stays() {
    let held = "ods,name,pcn,valid_from,valid_to,basis,note,cluster\n\
                # the two of Stockton\nA81001,Densham,U89141,2019-07-01,,published,,north\n";
    let books = Books { practices: Sheet::read("p", held, &["ods"]).unwrap(), ..empty() };
    let taken = compare(&books, &from("e.csv", PARTNERS).unwrap(), &Scope { known_only: true, ..Scope::default() });
    assert_eq!(
        taken.books.practices.text(),
        "ods,name,pcn,valid_from,valid_to,basis,note,cluster\n# the two of Stockton\n\
         A81001,Densham,U89141,2019-07-01,2024-03-31,published,,north\n\
         A81001,Densham,U07032,2024-04-01,,published,ePCN core partner details 2026-01-05,north\n"
    );
    assert_eq!(codes(&taken.difference.moves), ["A81001"]);
    assert_eq!(taken.difference.names.len(), 1, "the published name is told, the place's kept");
    assert!(taken.difference.opens.is_empty(), "A81002 is of no network that is known");
}

#[test]
fn a_row_that_a_later_snapshot_bears_out_is_not_taken_away() {
    let map = |pairs: &[(u8, Option<u8>)]| pairs.iter().copied().collect::<Map>();
    let first = compare(&empty(), &snapshot(&map(&[(1, Some(1)), (2, Some(1))]), date(2020, 1, 1)), &Scope::default());
    let last = snapshot(&map(&[(1, Some(1)), (2, Some(1))]), date(2022, 1, 1));
    let last = compare(&first.books, &last, &Scope::default());
    let between = compare(&last.books, &snapshot(&map(&[(1, Some(1))]), date(2021, 1, 1)), &Scope::default());
    assert_eq!(between.difference.disputed.len(), 1);
    assert_eq!(between.books.practices.text(), last.books.practices.text());
}
