#![allow(clippy::unwrap_used)]
use super::*;
use crate::nhs::mesh::Parcel;

const NOW: &str = "2026-01-02T15:30:00Z";

fn client() -> Client {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::development(dir.path());
    for (name, text) in [("password", "sesame\n"), ("key", "TestKey\n")] {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    config.mesh.url = "http://mesh.example/base/".into();
    config.mesh.mailbox = "x26abc1".into();
    config.mesh.password_file = dir.path().join("password").display().to_string();
    config.mesh.shared_key_file = dir.path().join("key").display().to_string();
    config.mesh.chunk_bytes_max = 16;
    Client::open(&config).unwrap()
}

fn parcel() -> Parcel {
    Parcel {
        to: "GPPROVIDER_9990000018_31121950_Synthetic".into(),
        workflow: "GPCONNECT_UPDATE_RECORD".into(),
        local_id: "FPG01".into(),
        subject: "Synthetic 9990000018".into(),
        content_type: "application/fhir+xml".into(),
        body: "<Bundle/>".into(),
        ..Parcel::default()
    }
}

fn header(request: &Request, name: &str) -> String {
    request.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

#[test]
fn a_parcel_becomes_one_request_with_a_token_of_its_own() {
    let (client, now) = (client(), NOW.parse().unwrap());
    let first = client.parcel_request(&parcel(), now).unwrap();
    let second = client.parcel_request(&parcel(), now).unwrap();
    assert_eq!(first.url().as_str(), "http://mesh.example/base/messageexchange/X26ABC1/outbox");
    assert_eq!(header(&first, "accept"), "application/vnd.mesh.v2+json");
    assert_eq!(header(&first, "mex-from"), "X26ABC1");
    assert_eq!(header(&first, "mex-workflowid"), "GPCONNECT_UPDATE_RECORD");
    assert_eq!(header(&first, "content-type"), "application/fhir+xml");
    assert_eq!(header(&first, "mex-chunk-range"), "");
    assert!(header(&first, "authorization").starts_with("NHSMESH X26ABC1:"));
    assert!(header(&first, "authorization").contains(":0:202601021530:"));
    assert_ne!(header(&first, "authorization"), header(&second, "authorization"), "a token is good once");
}

#[test]
fn what_is_printed_holds_no_secret_and_no_person() {
    let (client, now) = (client(), NOW.parse().unwrap());
    let request = client.parcel_request(&parcel(), now).unwrap();
    let printed = format!("{client:?} {:?} {:?}", parcel(), request.headers());
    for word in ["TestKey", "sesame", "Synthetic", "9990000018", "NHSMESH"] {
        assert!(!printed.contains(word), "{word}: {printed}");
    }
}

#[test]
fn a_header_that_cannot_be_is_refused_without_repeating_it() {
    let (client, now) = (client(), NOW.parse().unwrap());
    for bad in [
        Parcel { subject: "Synthetic\r\nmex-to: EVIL".into(), ..parcel() },
        Parcel { subject: "S".repeat(501), ..parcel() },
        Parcel { file_name: "S".repeat(301), ..parcel() },
        Parcel { to: "Synthétic".into(), ..parcel() },
    ] {
        let fault = client.parcel_request(&bad, now).unwrap_err();
        assert!(matches!(fault, MeshError::Unsendable(_)), "{fault}");
        assert!(!fault.to_string().contains("Synth"), "{fault}");
    }
    let large = Parcel { body: vec![b'x'; 17].into(), ..parcel() };
    assert!(matches!(client.parcel_request(&large, now), Err(MeshError::TooLarge { limit: 16, .. })));
}

#[test]
fn a_message_id_is_a_part_of_the_path_and_nothing_else() {
    let (client, now) = (client(), NOW.parse().unwrap());
    let request = client.mine(Method::GET, &["inbox", "a?b#c"], now).unwrap();
    assert_eq!(request.url().path(), "/base/messageexchange/X26ABC1/inbox/a%3Fb%23c");
    for id in ["", "..", "a/b", "a b", "a\n"] {
        assert!(!is_id(id), "{id:?}");
    }
    assert!(is_id("20200529155357895317_3573F8"));
}

#[test]
fn only_the_place_of_the_next_page_is_taken_from_its_link() {
    let link = "https://elsewhere.example/messageexchange/X/inbox?max_results=10&continue_from=eyJw%3D%3D";
    assert_eq!(continue_from(link).as_deref(), Some("eyJw=="));
    assert_eq!(continue_from("/messageexchange/X/inbox"), None);
    assert_eq!(continue_from("/inbox?continue_from="), None);
}

#[test]
fn tracking_of_both_versions_is_read() {
    let read = |text: &str| tracked(&serde_json::from_str(text).unwrap());
    let is = |status: &str| Ok(Tracked { id: "M1".into(), status: status.into() });
    assert_eq!(read(r#"{"message_id":"M1","status":"accepted"}"#), is("accepted"));
    assert_eq!(read(r#"{"messageId":"M1","status":"Acknowledged"}"#), is("acknowledged"));
    assert!(read(r#"{"status":"accepted"}"#).is_err());
    assert!(read("[]").is_err());
    let found = |status: &str| traced(Tracked { id: "M1".into(), status: status.into() });
    assert!(matches!(found("accepted"), Traced::Sent(_)));
    assert_eq!(found("uploading"), Traced::Unknown, "broken off: never delivered");
}

#[test]
fn the_answer_to_a_send_is_202_with_an_id() {
    use crate::nhs::mesh::sent;
    assert_eq!(sent(202, br#"{"message_id":"M1"}"#).as_deref(), Ok("M1"));
    assert_eq!(sent(202, br#"{"messageID":"M1"}"#).as_deref(), Ok("M1"));
    assert!(matches!(sent(202, b"null"), Err(MeshError::Unreadable(_))));
    let refused = sent(417, br#"{"detail":[{"event":"SEND","code":"12","msg":"m"}]}"#).unwrap_err();
    assert_eq!(refused.refusal(), Some(Refusal::UnknownRecipient));
}
