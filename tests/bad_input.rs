//! What is bad is refused with the right OperationOutcome or held, its bytes are kept, nothing
//! panics, nothing is a 500, and no answer, log entry or hold repeats a patient's data.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/referrals.rs"]
mod referrals;
#[path = "support/running.rs"]
mod running;

use fingerpost::fhir::wire::{Form, print};
use fingerpost::store::EntrySearch;
use referrals::{bars_message, nhs_number};
use running::{Reply, Running};
use serde_json::{Value, json};

const JSON: &str = "application/fhir+json";
const XML: &str = "application/fhir+xml";
/// What must appear in no answer.
const PLANTED: [&str; 4] = ["Zyxwvplanted", "Plantedstreet", "PL4 9NT", "planted free text"];

/// A message about a person whose data are easy to find again.
fn planted(n: u32) -> Value {
    let mut bundle = bars_message(n, "N84001");
    let patient = resource(&mut bundle, "Patient");
    patient["name"][0]["family"] = json!(PLANTED[0]);
    patient["address"][0]["line"][0] = json!(PLANTED[1]);
    patient["address"][0]["postalCode"] = json!(PLANTED[2]);
    resource(&mut bundle, "CarePlan")["description"] = json!(PLANTED[3]);
    bundle
}

fn resource<'a>(bundle: &'a mut Value, kind: &str) -> &'a mut Value {
    let entries = bundle["entry"].as_array_mut().unwrap();
    &mut entries.iter_mut().find(|entry| entry["resource"]["resourceType"] == kind).expect(kind)["resource"]
}

/// An OperationOutcome that says something and repeats nothing.
#[track_caller]
fn refused(name: &str, reply: &Reply, n: u32) {
    let body = reply.json();
    assert!((400..500).contains(&reply.status), "{name}: {} {}", reply.status, reply.text);
    assert_eq!(body["resourceType"], "OperationOutcome", "{name}: {}", reply.text);
    assert!(!body["issue"][0]["diagnostics"].as_str().unwrap_or("").is_empty(), "{name}");
    quiet(name, &reply.text, n);
}

#[track_caller]
fn quiet(name: &str, text: &str, n: u32) {
    let number = nhs_number(n);
    for word in PLANTED.into_iter().chain([number.as_str()]) {
        assert!(!text.contains(word), "{name}: an answer repeats patient data: {text}");
    }
}

/// The audit log's words on a request, and the bytes that were kept with it.
async fn kept(gateway: &Running, request: &str) -> (String, Vec<u8>) {
    let find = EntrySearch { count: 10_000, ..EntrySearch::default() };
    let entries = gateway.gateway.store.find_entries(find).await.unwrap();
    let texts = entries.iter().map(|(_, leaf)| String::from_utf8_lossy(leaf).into_owned());
    let entry = texts.into_iter().find(|text| text.contains(request)).expect("an audit entry of the request");
    let id = entry.split("kept as message ").nth(1).and_then(|rest| rest.get(..36)).map(str::to_owned);
    let message = match id {
        Some(id) => gateway.gateway.store.message(id.parse().unwrap()).await.unwrap(),
        None => None,
    };
    (entry, message.map(|message| message.bytes.to_vec()).unwrap_or_default())
}

/// Bodies that nobody can read, with the status that each gets.
fn unreadable(n: u32) -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let json = planted(n).to_string().into_bytes();
    let xml = print(&planted(n), Form::Xml).unwrap();
    let text = String::from_utf8(xml.clone()).unwrap();
    let with = |head: &str| format!("{head}{text}").into_bytes();
    let latin = |body: &[u8]| [body, &[0xe9, 0xff]].concat();
    let nested_xml = format!("<Bundle xmlns=\"http://hl7.org/fhir\">{}", "<entry><resource>".repeat(100));
    let entities = "<!DOCTYPE x [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;\">]>";
    let with_nul = String::from_utf8(json.clone()).unwrap().replace("Zyxwv", "Zyx\\u0000wv");
    vec![
        ("cut JSON", JSON, json[..json.len() / 2].to_vec()),
        ("cut XML", XML, xml[..xml.len() / 2].to_vec()),
        ("UTF-16", JSON, text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("Latin-1 in JSON", JSON, latin(&json)),
        ("Latin-1 in XML", XML, latin(&xml)),
        ("XML as JSON", JSON, xml.clone()),
        ("JSON as XML", XML, json.clone()),
        ("NUL bytes", JSON, [&json[..40], b"\0", &json[40..]].concat()),
        ("an escaped NUL", JSON, with_nul.into_bytes()),
        ("an external entity", XML, with("<!DOCTYPE x [<!ENTITY f SYSTEM \"file:///etc/passwd\">]>")),
        ("an entity bomb", XML, with(entities)),
        ("XML nested deep", XML, nested_xml.into_bytes()),
        ("JSON nested deep", JSON, format!("{{\"resourceType\":{}", "[".repeat(100_000)).into_bytes()),
        ("JSON nested 200 deep", JSON, format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200)).into_bytes()),
        ("nothing", JSON, Vec::new()),
        ("an array", JSON, b"[1]".to_vec()),
        ("no resource", JSON, b"{\"resourceType\":\"Nonsense\"}".to_vec()),
        ("a wrong type", JSON, String::from_utf8(json).unwrap().replace("\"active\"", "7").into_bytes()),
        ("text", "text/plain", b"Zyxwvplanted".to_vec()),
        ("another charset", "application/fhir+json; charset=utf-16", b"{}".to_vec()),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_refused_and_its_bytes_are_kept() {
    let gateway = running::start(|_| {}).await;
    let token = gateway.practice("surgery");
    for path in ["/fhir/$process-message", "/fhir"] {
        for (name, media_type, body) in unreadable(1) {
            let request = uuid::Uuid::new_v4().to_string();
            let built = gateway.request(reqwest::Method::POST, path, &token).header("content-type", media_type);
            let built = built.header("x-request-id", &request).header("x-correlation-id", &request);
            let reply = running::send(built.body(body.clone())).await;
            refused(name, &reply, 1);
            assert_eq!(reply.status, if media_type.contains("fhir") && !media_type.contains("16") { 400 } else { 415 });
            let (entry, bytes) = kept(&gateway, &request).await;
            quiet(name, &entry, 1);
            assert_eq!(bytes, body, "{name}: the bytes are kept as they came");
        }
    }
    assert_eq!(gateway.get("/livez", "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_is_refused_and_not_read() {
    let gateway = running::start(|config| config.serve.body_bytes_max = 4096).await;
    let token = gateway.practice("surgery");
    for path in ["/fhir/$process-message", "/fhir", "/fhir/Task/_search"] {
        let reply = gateway.post(path, &token, JSON, vec![b' '; 5000]).await;
        refused(path, &reply, 1);
        assert_eq!((reply.status, &*reply.issue()), (413, "too-long"));
        // Also where the length is not told beforehand.
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n");
        let head = format!("{head}Content-Type: {JSON}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
        let chunk = format!("200\r\n{}\r\n", " ".repeat(0x200));
        let answer = gateway.raw(&format!("{head}{}0\r\n\r\n", chunk.repeat(10))).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    }
}

/// What a message's content lacks, and the hold that comes of it.
type Content = (&'static str, fn(&mut Value), &'static str);

const HELD: [Content; 7] = [
    ("an NHS number that fails modulus 11", |b| number(b, "9990000003"), "nhs-number-invalid"),
    ("an NHS number of letters", |b| number(b, "ABCDEFGHIJ"), "nhs-number-invalid"),
    (
        "no NHS number",
        |b| drop(resource(b, "Patient").as_object_mut().unwrap().shift_remove("identifier")),
        "nhs-number-missing",
    ),
    ("a SNOMED code cut by a spreadsheet", |b| code(b, "871731000000100"), "code-damaged"),
    ("a SNOMED code that fails its check digit", |b| code(b, "871731000000107"), "code-damaged"),
    (
        "a priority that FHIR has not",
        |b| resource(b, "ServiceRequest")["priority"] = json!("whenever"),
        "urgency-unmapped",
    ),
    ("a practice that nobody knows", |b| practice(b, "Z99999"), "practice-unknown"),
];

fn number(bundle: &mut Value, value: &str) {
    resource(bundle, "Patient")["identifier"][0]["value"] = json!(value);
}

fn code(bundle: &mut Value, value: &str) {
    resource(bundle, "ServiceRequest")["code"]["coding"][0]["code"] = json!(value);
}

fn practice(bundle: &mut Value, ods: &str) {
    resource(bundle, "Organization")["identifier"][0]["value"] = json!(ods);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_that_a_person_must_look_at_is_held_with_its_cause() {
    let gateway = running::start(|_| {}).await;
    for (n, (name, change, cause)) in HELD.into_iter().enumerate() {
        let n = 20 + u32::try_from(n).unwrap();
        let client = format!("surgery-{n}");
        let mut bundle = planted(n);
        change(&mut bundle);
        let body = bundle.to_string();
        let reply = gateway.message(&gateway.practice(&client), JSON, body.clone()).await;
        assert_eq!(reply.status, 200, "{name}: {}", reply.text);
        let holds = gateway.gateway.store.holds().await.unwrap();
        let own: Vec<_> = holds.iter().filter(|hold| hold.source == client).collect();
        assert!(own.iter().any(|hold| hold.cause.word() == cause), "{name}: {own:?} {}", reply.text);
        for hold in own {
            quiet(name, &hold.detail, n);
            let message = gateway.gateway.store.message(hold.replay.parse().unwrap()).await.unwrap().unwrap();
            assert_eq!(message.bytes, body.as_bytes(), "{name}: the bytes are kept as they came");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_broken_in_a_message_nothing_is_a_server_error() {
    let gateway = running::start(|_| {}).await;
    let token = gateway.practice("surgery");
    let good = [(JSON, planted(40).to_string().into_bytes()), (XML, print(&planted(41), Form::Xml).unwrap())];
    let mut dice = fastrand::Rng::with_seed(7);
    for round in 0..400 {
        let (media_type, body) = &good[round % 2];
        let mut body = body.clone();
        for _ in 0..dice.usize(1..4) {
            let at = dice.usize(..body.len());
            match dice.u8(..4) {
                0 => body[at] = dice.u8(..),
                1 => drop(body.remove(at)),
                2 => body.insert(at, *dice.choice(b"\"{}[]<>&\\\0,:").unwrap()),
                _ => {
                    let to = (at + dice.usize(1..200)).min(body.len());
                    body.drain(at..to);
                }
            }
        }
        let reply = gateway.message(&token, media_type, body).await;
        let fits = reply.status < 500 || reply.status == 501;
        assert!(fits, "round {round}: {} {}", reply.status, reply.text);
        if reply.status >= 400 {
            assert_eq!(reply.json()["resourceType"], "OperationOutcome");
            quiet(&format!("round {round}"), &reply.text, 40);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_searches_and_addresses_are_refused_and_repeat_nothing() {
    let gateway = running::start(|_| {}).await;
    let token = gateway.practice("surgery");
    let long = "a".repeat(5000);
    for path in [
        "/fhir/Patient?birthdate=Zyxwvplanted",
        "/fhir/Patient?family:nonsense=Zyxwvplanted",
        "/fhir/Patient?_count=-1",
        "/fhir/Patient/%00",
        "/fhir/Patient/..%2F..%2Fetc",
        "/fhir/Task?_cursor=Zyxwvplanted&_after=Zyxwvplanted&_page=Zyxwvplanted&authored-on=Zyxwvplanted",
        &format!("/fhir/Patient/{long}"),
    ] {
        let reply = gateway.get(path, &token).await;
        refused(path, &reply, 1);
    }
}
