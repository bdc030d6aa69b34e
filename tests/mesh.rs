//! The MESH client and its inbox against NHS England's own sandbox, over http and over TLS with client
//! certificates. What the sandbox does not enforce - replayed tokens, the two hours' window - is held
//! by unit tests in `src/nhs/mesh`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/mesh.rs"]
mod mesh;

use std::time::Duration;

use fingerpost::clock::Clock;
use fingerpost::fhir::ids::OdsCode;
use fingerpost::gateway::Gateway;
use fingerpost::intake::replay::{rehearse, replay};
use fingerpost::nhs::mesh::inbox::{Inbox, Looked};
use fingerpost::nhs::mesh::{Client, Kind, MeshError, Parcel, Refusal, Traced, sent};
use fingerpost::store::EntrySearch;
use fingerpost::store::commit::Cause;
use fingerpost::store::fault::Point;
use fingerpost::writeback::acknowledge::{Stage, Verdict};
use fingerpost::writeback::itk3::response::compose;
use jiff::Timestamp;
use mesh::Sandbox;
use uuid::Uuid;

const GATEWAY: &str = "X26ABC1";
const PRACTICE: &str = "X26ABC2";

fn now() -> Timestamp {
    Clock::System.now()
}

fn parcel(to: &str, workflow: &str, body: &[u8]) -> Parcel {
    Parcel {
        to: to.into(),
        workflow: workflow.into(),
        local_id: "FPG01".into(),
        subject: "a subject".into(),
        file_name: "outcome.xml".into(),
        content_type: "application/fhir+xml".into(),
        body: body.to_vec().into(),
        packed: false,
    }
}

fn refusal<T: std::fmt::Debug>(answer: Result<T, MeshError>) -> (u16, Option<String>, Refusal) {
    match answer.unwrap_err() {
        MeshError::Refused { status, code, refusal } => (status, code, refusal),
        other => panic!("refused, not {other}"),
    }
}

/// Every call once, as one side and the other.
async fn goes_round(us: &Client, them: &Client) {
    us.handshake(now()).await.unwrap();
    let id = us.send(&parcel(PRACTICE, "TEST_WORKFLOW", b"<Bundle/>"), now()).await.unwrap();
    assert_eq!(us.track(&id, now()).await.unwrap().status, "accepted");
    assert_eq!(them.inbox(None, now()).await.unwrap().messages, std::slice::from_ref(&id));
    let head = them.head(&id, now()).await.unwrap();
    assert_eq!((head.kind, head.workflow.as_str(), head.from.as_str()), (Kind::Data, "TEST_WORKFLOW", GATEWAY));
    let mail = them.download(&id, now()).await.unwrap();
    assert_eq!((&mail.bytes[..], mail.envelope.content_type.as_str()), (&b"<Bundle/>"[..], "application/fhir+xml"));
    them.acknowledge(&id, now()).await.unwrap();
    them.acknowledge(&id, now()).await.unwrap();
    assert!(them.inbox(None, now()).await.unwrap().messages.is_empty());
    assert_eq!(us.track(&id, now()).await.unwrap().status, "acknowledged");
    let found = us.lookup("X26", "TEST_WORKFLOW", now()).await.unwrap();
    assert!(found.iter().any(|mailbox| mailbox.id == PRACTICE), "{found:?}");
}

/// Ten bytes a chunk, packed or not.
async fn goes_in_chunks(sandbox: &Sandbox, packed: bool) {
    let config = sandbox.config(GATEWAY, |config| config.mesh.chunk_bytes_max = 16);
    let (us, them) = (Client::open(&config).unwrap(), sandbox.client(PRACTICE));
    let text = "Sixteen bytes ea".repeat(3) + "ch, and a tail";
    let id = us.send(&Parcel { packed, ..parcel(PRACTICE, "TEST_WORKFLOW", text.as_bytes()) }, now()).await.unwrap();
    assert_eq!(them.head(&id, now()).await.unwrap().chunks, 4);
    let mail = them.download(&id, now()).await.unwrap();
    assert_eq!((&mail.bytes[..], mail.damaged), (text.as_bytes(), false));
    assert_eq!(mail.envelope.content_type, "application/fhir+xml");
    them.acknowledge(&id, now()).await.unwrap();
}

#[tokio::test]
async fn messages_go_round_whole_and_in_chunks() {
    let Some(sandbox) = mesh::start(&[]) else { return };
    goes_round(&sandbox.client(GATEWAY), &sandbox.client(PRACTICE)).await;
    goes_in_chunks(&sandbox, false).await;
    goes_in_chunks(&sandbox, true).await;
}

#[tokio::test]
async fn messages_go_round_over_tls_with_client_certificates() {
    let Some(sandbox) = mesh::start_mutual_tls(&[]) else { return };
    goes_round(&sandbox.client(GATEWAY), &sandbox.client(PRACTICE)).await;
    goes_in_chunks(&sandbox, true).await;
    let bare = sandbox.config(GATEWAY, |config| {
        config.mesh.certificate_file = String::new();
        config.mesh.key_file = String::new();
    });
    let without = Client::open(&bare).unwrap().handshake(now()).await.unwrap_err();
    assert!(matches!(without, MeshError::Unreached | MeshError::Unanswered(_)), "{without}");
    let strange = sandbox.config(GATEWAY, |config| config.mesh.ca_file = String::new());
    assert_eq!(Client::open(&strange).unwrap().handshake(now()).await, Err(MeshError::Unreached));
}

#[tokio::test]
async fn every_refusal_has_its_kind() {
    let Some(sandbox) = mesh::start(&[]) else { return };
    let us = sandbox.client(GATEWAY);
    let send = async |parcel: Parcel| refusal(us.send(&parcel, now()).await);
    let unknown = send(parcel("NOSUCH", "TEST_WORKFLOW", b"x")).await;
    assert_eq!(unknown, (417, Some("12".into()), Refusal::UnknownRecipient));
    let (status, _, kind) = send(parcel(PRACTICE, "", b"x")).await;
    assert_eq!((status, kind), (400, Refusal::Malformed));
    let empty = send(parcel(PRACTICE, "TEST_WORKFLOW", b"")).await;
    assert_eq!(empty, (417, Some("02".into()), Refusal::EmptyBody));
    let (status, _, kind) = refusal(us.download("20200529155357895317_3573F8", now()).await);
    assert_eq!((status, kind), (404, Refusal::NoSuchMessage));
    assert_eq!(refusal(us.track("20200529155357895317_3573F8", now()).await).2, Refusal::NoSuchMessage);
    let wrong = sandbox.file("wrong", "not the password");
    let config = sandbox.config(GATEWAY, |config| config.mesh.password_file = wrong);
    let (status, _, kind) = refusal(Client::open(&config).unwrap().inbox(None, now()).await);
    assert_eq!((status, kind), (403, Refusal::NotAuthorised));
}

#[tokio::test]
async fn a_report_is_read_and_a_lost_answer_is_traced_as_far_as_it_can_be() {
    let Some(sandbox) = mesh::start(&[]) else { return };
    let us = sandbox.client(GATEWAY);
    assert_eq!(us.find_sent("FPG01", now()).await, Ok(Traced::Unknown));
    let request = us.parcel_request(&parcel(PRACTICE, "TEST_WORKFLOW", b"x"), now()).unwrap();
    let answer = us.http().execute(request).await.unwrap();
    let id = sent(answer.status().as_u16(), &answer.bytes().await.unwrap()).unwrap();
    let Ok(Traced::Sent(found)) = us.find_sent("FPG01", now()).await else { panic!("it is found") };
    assert_eq!((found.id.as_str(), found.status.as_str()), (id.as_str(), "accepted"));
    us.send(&parcel(PRACTICE, "TEST_WORKFLOW", b"x"), now()).await.unwrap();
    assert_eq!(us.find_sent("FPG01", now()).await, Ok(Traced::Several));
    sandbox.report(GATEWAY, "14", &id).await;
    let waiting = us.inbox(None, now()).await.unwrap().messages;
    let mail = us.download(&waiting[0], now()).await.unwrap();
    let Kind::Report(report) = mail.envelope.kind else { panic!("a report") };
    assert_eq!((report.linked, report.code.as_str()), (id, "14"));
    assert!(mail.bytes.is_empty());
}

#[tokio::test]
async fn a_long_inbox_is_listed_page_by_page() {
    let Some(sandbox) = mesh::start(&[]) else { return };
    let us = sandbox.client(GATEWAY);
    let config = sandbox.config(PRACTICE, |config| config.mesh.page_messages = 10);
    let them = Client::open(&config).unwrap();
    let mut all = Vec::new();
    for _ in 0..23 {
        all.push(us.send(&parcel(PRACTICE, "TEST_WORKFLOW", b"x"), now()).await.unwrap());
    }
    let (mut listed, mut from, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = them.inbox(from.as_deref(), now()).await.unwrap();
        assert!(page.messages.len() <= 10);
        listed.extend(page.messages);
        pages += 1;
        if page.next.is_none() {
            break;
        }
        from = page.next;
    }
    listed.sort();
    all.sort();
    assert_eq!((listed, pages >= 3), (all, true));
}

/// A gateway with its mailbox, and the practice's client.
async fn house(sandbox: &Sandbox) -> (Gateway, Inbox, Client) {
    let config = sandbox.config(GATEWAY, |config| config.mesh.message_bytes_max = 20_000);
    let inbox = Inbox::of(Client::open(&config).unwrap());
    (Gateway::open_or_create(config, Clock::System).await.unwrap(), inbox, sandbox.client(PRACTICE))
}

fn acknowledgement(n: u32) -> Vec<u8> {
    let id = |what: u32| Uuid::from_u128((u128::from(what) << 64) + u128::from(n));
    let practice = OdsCode::parse("N84001").unwrap();
    compose(&id(1).to_string(), Stage::Infrastructure, Verdict::Accepted, &[], id(2), &practice, now())
}

const ACK: &str = "GPCONNECT_UPDATE_RECORD_ACK";

fn looked(taken: usize, held: usize, known: usize, failed: usize) -> Looked {
    Looked { taken, held, known, failed }
}

#[tokio::test]
async fn every_message_is_kept_before_it_is_acknowledged() {
    let Some(sandbox) = mesh::start(&[]) else { return };
    let (gateway, mut inbox, them) = house(&sandbox).await;
    let send = async |workflow: &str, body: &[u8]| them.send(&parcel(GATEWAY, workflow, body), now()).await.unwrap();
    send(ACK, &acknowledgement(1)).await;
    send(ACK, b"{ this is no acknowledgement").await;
    send("A_STRANGE_WORKFLOW", b"Dear colleague").await;
    let large = send(ACK, &[b'x'; 30_000]).await;
    assert_eq!(inbox.look(&gateway).await, Ok(looked(1, 3, 0, 0)));
    let all = gateway.store.holds().await.unwrap();
    // The acknowledgement answers nothing that was sent: write-back says so by a hold of its own.
    assert_eq!(all.iter().filter(|hold| hold.channel == "writeback").count(), 1);
    let holds: Vec<_> = all.iter().filter(|hold| hold.channel == "mesh").collect();
    let causes: Vec<_> = holds.iter().map(|hold| hold.cause).collect();
    assert!([Cause::NotAReferral, Cause::Unreadable, Cause::Limit].iter().all(|cause| causes.contains(cause)));
    let letter = holds.iter().find(|hold| hold.cause == Cause::NotAReferral).unwrap();
    let kept = gateway.store.message(letter.replay.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((&kept.bytes[..], kept.sender.as_str(), kept.outcome), (&b"Dear colleague"[..], PRACTICE, "held"));
    let us = sandbox.client(GATEWAY);
    assert_eq!(us.inbox(None, now()).await.unwrap().messages, [large], "what is not kept is not acknowledged");
    assert_eq!(inbox.look(&gateway).await, Ok(looked(0, 0, 0, 0)), "and is not fetched again and again");
    let find = EntrySearch { interaction: Some("mesh-inbox".into()), count: 99, ..EntrySearch::default() };
    assert_eq!(gateway.store.find_entries(find).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_held_acknowledgement_can_be_replayed() {
    let Some(sandbox) = mesh::start(&[]) else { return };
    let (gateway, mut inbox, them) = house(&sandbox).await;
    for body in [acknowledgement(1), b"Dear colleague".to_vec()] {
        them.send(&parcel(GATEWAY, "A_STRANGE_WORKFLOW", &body), now()).await.unwrap();
    }
    assert_eq!(inbox.look(&gateway).await, Ok(looked(0, 2, 0, 0)));
    let held = async || {
        let holds = gateway.store.holds().await.unwrap();
        holds.into_iter().filter(|hold| hold.channel == "mesh").collect::<Vec<_>>()
    };
    let mut said = Vec::new();
    for hold in held().await {
        let rehearsed = rehearse(&gateway, &hold).await.is_ok();
        said.push((rehearsed, replay(&gateway, &hold).await.is_ok()));
    }
    said.sort_unstable();
    assert_eq!(said, [(false, false), (true, true)]);
    assert_eq!(held().await.len(), 1, "the letter is still held");
}

#[tokio::test]
async fn a_store_that_fails_loses_nothing_and_does_nothing_twice() {
    let Some(sandbox) = mesh::start(&[]) else { return };
    let (gateway, mut inbox, them) = house(&sandbox).await;
    let us = sandbox.client(GATEWAY);
    let waits = async || us.inbox(None, now()).await.unwrap().messages.len();
    them.send(&parcel(GATEWAY, ACK, &acknowledgement(1)), now()).await.unwrap();
    for (point, then) in [(Point::Begin, looked(1, 0, 0, 0)), (Point::Answer, looked(0, 0, 1, 0))] {
        if waits().await == 0 {
            them.send(&parcel(GATEWAY, ACK, &acknowledgement(2)), now()).await.unwrap();
        }
        gateway.store.faults().fail(point, 1);
        assert_eq!(inbox.look(&gateway).await, Ok(looked(0, 0, 0, 1)), "{point:?}");
        assert_eq!(waits().await, 1, "not acknowledged");
        assert_eq!(inbox.look(&gateway).await, Ok(then), "{point:?}");
        assert_eq!(waits().await, 0);
    }
    let find = EntrySearch { interaction: Some("mesh-inbox".into()), count: 99, ..EntrySearch::default() };
    assert_eq!(gateway.store.find_entries(find).await.unwrap().len(), 2, "each once");
}

#[tokio::test]
async fn a_served_gateway_empties_its_mailbox_by_itself() {
    let Some(sandbox) = mesh::start(&[]) else { return };
    let (gateway, _, them) = house(&sandbox).await;
    let us = sandbox.client(GATEWAY);
    let first = us.send(&parcel(PRACTICE, "GPCONNECT_UPDATE_RECORD", b"<Bundle/>"), now()).await.unwrap();
    sandbox.report(GATEWAY, "14", &first).await;
    let runners = fingerpost::runners::Runners::start(&gateway);
    them.send(&parcel(GATEWAY, ACK, &acknowledgement(1)), now()).await.unwrap();
    for _ in 0..2400 {
        if us.inbox(None, now()).await.unwrap().messages.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(us.inbox(None, now()).await.unwrap().messages.is_empty());
    runners.stop(Duration::from_secs(10)).await;
}
