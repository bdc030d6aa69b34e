//! Routes at their worst: dictionary gaps, manual filing, switched-off routes, lost and repeated
//! acknowledgements, people who are not there, systems that file everything twice.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/pool.rs"]
mod pool;
#[path = "support/referrals.rs"]
mod referrals;

use fingerpost::clock::Clock;
use fingerpost::config::PracticeSystem as System;
use fingerpost::demo::practice::PracticeSystem;
use fingerpost::demo::wellness::WellnessDatabase;
use fingerpost::fhir::ids::OdsCode;
use fingerpost::store::commit::{Commit, LedgerRow, LedgerState};
use fingerpost::store::filing::{Filing, FilingState};
use fingerpost::writeback::acknowledge::{Acknowledgement, Stage, Verdict};
use fingerpost::writeback::person::{self, Word};
use fingerpost::writeback::{acknowledged, gather, settle, watch};
use jiff::{SignedDuration, Timestamp};
use pool::{House, PRACTICE, Referred, house, receiver, swemwbs, until, wellness, writes_back};
use serde_json::json;

/// A house whose practice has these routes; those by HTTP lead to `system`.
async fn routed(system: &PracticeSystem, told: Option<&WellnessDatabase>, routes: &[&str]) -> House {
    house(|config| {
        let mut practice = System::new(OdsCode::parse(PRACTICE).unwrap(), routes);
        practice.base_url = system.base_url.clone();
        config.writeback.practices.push(practice);
        config.mesh.url = "http://127.0.0.1:9".into();
        if let Some(told) = told {
            let mut receiver = receiver("wellness", &told.hook_url);
            receiver.events = vec!["writeback".into()];
            config.delivery.receivers.push(receiver);
        }
    })
    .await
}

async fn declined(house: &House, n: u32) -> Referred {
    let to = house.refer(n).await;
    house.moves(&to, "rejected").await.unwrap();
    to
}

async fn filing(house: &House, to: &Referred) -> Filing {
    let filings = house.gateway.store.filings_of(&to.referral).await.unwrap();
    assert_eq!(filings.len(), 1, "{filings:?}");
    filings.into_iter().next().unwrap()
}

async fn comes_to(house: &House, to: &Referred, state: FilingState) -> Filing {
    until(state.word(), async || filing(house, to).await.state == state).await;
    filing(house, to).await
}

async fn ledger(house: &House, to: &Referred) -> &'static str {
    house.ledger(&to.referral).await.0
}

#[tokio::test]
async fn a_code_that_the_dictionary_lacks_is_seen_and_somebody_is_told() {
    let (system, told) = (PracticeSystem::start().await.unwrap(), wellness().await);
    system.habits().lacks = vec!["871711000000103".into()];
    let house = routed(&system, Some(&told), &["fhir"]).await;
    let _running = house.runs();
    let to = declined(&house, 1).await;
    let filed = comes_to(&house, &to, FilingState::FiledWithoutCode).await;
    assert_eq!((filed.read_back.as_str(), filed.route.as_str()), ("text-only", "fhir"));
    until("it is told", async || !told.taken("writeback.without-code").is_empty()).await;
    assert_eq!(ledger(&house, &to).await, "returned", "text in the record is in the record");
    let seen = house.gateway.store.dictionary(PRACTICE, "http://snomed.info/sct", "871711000000103").await.unwrap();
    assert!(seen.is_some_and(|row| !row.kept), "the dictionary's gap is known now");
    system.habits().lacks.clear();
    let again = declined(&house, 2).await;
    assert_eq!(comes_to(&house, &again, FilingState::Filed).await.read_back, "coded");
    let seen = house.gateway.store.dictionary(PRACTICE, "http://snomed.info/sct", "871711000000103").await.unwrap();
    assert!(seen.is_some_and(|row| row.kept));
}

/// Two gateways that each file one of the last two entries at the same instant both leave the ledger
/// as it was: the sweep closes what should have closed, and nothing else.
#[tokio::test]
async fn a_referral_that_nobody_closed_is_closed_by_the_sweep() {
    let system = PracticeSystem::start().await.unwrap();
    let house = routed(&system, None, &["fhir"]).await;
    let _running = house.runs();
    let to = declined(&house, 1).await;
    comes_to(&house, &to, FilingState::Filed).await;
    until("it closes", async || ledger(&house, &to).await == "returned").await;
    let store = &house.gateway.store;
    let row = store.ledger_row(&to.referral).await.unwrap().unwrap();
    let waits = LedgerRow { state: LedgerState::Open, waiting_on: "practice-system".into(), ..row };
    store.commit(Commit { ledger: vec![waits], ..Commit::default() }).await.unwrap();
    assert_eq!(settle::sweep(&house.gateway, Timestamp::UNIX_EPOCH, 10).await.unwrap(), 0, "it has not waited long");
    assert_eq!(settle::sweep(&house.gateway, far(), 10).await.unwrap(), 1);
    assert_eq!(ledger(&house, &to).await, "returned");
    assert_eq!(settle::sweep(&house.gateway, far(), 10).await.unwrap(), 0);
}

#[tokio::test]
async fn an_entry_waits_for_the_practice_and_is_looked_for() {
    let system = PracticeSystem::start().await.unwrap();
    system.habits().manual = true;
    let mut house = routed(&system, None, &["fhir"]).await;
    let running = house.runs();
    let to = declined(&house, 1).await;
    comes_to(&house, &to, FilingState::AwaitingPractice).await;
    assert_eq!(ledger(&house, &to).await, "open");
    drop(running);
    house.gateway.clock = Clock::fixed(Clock::System.now() + SignedDuration::from_hours(2));
    watch::look(&house.gateway).await.unwrap();
    let running = house.runs();
    until("it was looked for", async || filing(&house, &to).await.why.contains("not there yet")).await;
    assert_eq!(system.accept(), 1);
    drop(running);
    house.gateway.clock.advance(SignedDuration::from_hours(2));
    watch::look(&house.gateway).await.unwrap();
    let _running = house.runs();
    comes_to(&house, &to, FilingState::Filed).await;
    assert_eq!(ledger(&house, &to).await, "returned");
    assert_eq!(system.codes(), ["871711000000103"]);
}

#[tokio::test]
async fn a_switched_off_route_leads_to_the_next_and_the_last_refusal_to_a_person() {
    let (system, told) = (PracticeSystem::start().await.unwrap(), wellness().await);
    system.habits().switched_off = true;
    let folder = tempfile::tempdir().unwrap();
    let pairing = folder.path().join("pairing.json");
    std::fs::write(&pairing, "{}").unwrap();
    let mut house = routed(&system, Some(&told), &["fhir"]).await;
    {
        let _running = house.runs();
        let alone = declined(&house, 1).await;
        let rejected = comes_to(&house, &alone, FilingState::Rejected).await;
        assert!(rejected.why.contains("20010"), "{}", rejected.why);
        assert_eq!(house.ledger(&alone.referral).await, ("open", "practice-system".into()));
        until("it is told", async || !told.taken("writeback.rejected").is_empty()).await;
    }
    let mut config = (*house.gateway.config).clone();
    let practice = &mut config.writeback.practices[0];
    practice.routes = vec!["fhir".into(), "file-record".into(), "hl7v2".into()];
    practice.pairing_file = pairing.display().to_string();
    practice.folder = folder.path().display().to_string();
    house.gateway.config = std::sync::Arc::new(config);
    let _running = house.runs();
    let to = declined(&house, 2).await;
    let sent = comes_to(&house, &to, FilingState::Sent).await;
    assert_eq!((sent.route.as_str(), &sent.tried[..]), ("hl7v2", &["fhir".to_owned(), "file-record".into()][..]));
    let file = folder.path().join(format!("{}.hl7", sent.messages[0].1));
    assert!(std::fs::read_to_string(file).unwrap().contains(&sent.id.to_string()), "the key is in the message");
}

/// A document is laid once under its key, and it is a person who says what came of it.
#[tokio::test]
async fn a_document_in_a_folder_is_laid_once_and_settled_by_a_person_as_text() {
    let folder = tempfile::tempdir().unwrap();
    let pairing = folder.path().join("pairing.json");
    std::fs::write(&pairing, "{}").unwrap();
    let laid = folder.path().join("out");
    std::fs::create_dir(&laid).unwrap();
    let house = house(|config| {
        let mut practice = System::new(OdsCode::parse(PRACTICE).unwrap(), &["file-record", "hl7v2-document"]);
        practice.pairing_file = pairing.display().to_string();
        practice.folder = laid.display().to_string();
        config.writeback.practices.push(practice);
    })
    .await;
    let _running = house.runs();
    let to = declined(&house, 1).await;
    let sent = comes_to(&house, &to, FilingState::Sent).await;
    assert_eq!((sent.route.as_str(), &sent.tried[..]), ("hl7v2-document", &["file-record".to_owned()][..]));
    let files = || std::fs::read_dir(&laid).unwrap().map(|file| file.unwrap().path()).collect::<Vec<_>>();
    assert_eq!(files(), [laid.join(format!("{}.hl7", sent.messages[0].1))]);
    let text = std::fs::read_to_string(&files()[0]).unwrap();
    assert!(text.contains("|MDM^T02^MDM_T02|") && text.contains(&format!("Ref {}", sent.id)), "the key is in it");
    let word = async |word, reason| person::says(&house.gateway, sent.id, word, reason, asked(&house)).await;
    word(Word::Retry, "the supplier lost it").await.unwrap();
    until("it was sent again", async || filing(&house, &to).await.why.contains("is waited for")).await;
    assert_eq!((files().len(), std::fs::read_to_string(&files()[0]).unwrap()), (1, text), "laid once");
    let settled = word(Word::FiledWithoutCode, "seen in the record as a letter").await.unwrap();
    assert_eq!((settled.state, settled.deadline), (FilingState::FiledWithoutCode, None));
    assert_eq!(ledger(&house, &to).await, "returned", "text in the record is in the record");
    let again = word(Word::Retry, "once more, to be sure").await;
    assert!(matches!(again, Err(person::Refusal::Cannot("filed-without-code"))), "{again:?}");
    assert_eq!(word(Word::Filed, "coded by hand since").await.unwrap().state, FilingState::Filed);
}

/// A correction replaces the document that was laid before it; of what went as a result there is none.
#[tokio::test]
async fn a_corrected_document_replaces_a_document_and_nothing_else() {
    for (first, event) in [("hl7v2-document", "MDM^T10"), ("hl7v2", "MDM^T02")] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("pairing.json"), "{}").unwrap();
        let mut house = house(|config| {
            let mut practice = System::new(OdsCode::parse(PRACTICE).unwrap(), &[first]);
            practice.pairing_file = folder.path().join("pairing.json").display().to_string();
            practice.folder = folder.path().display().to_string();
            config.writeback.practices.push(practice);
        })
        .await;
        let running = house.runs();
        let to = house.refer(1).await;
        house.moves(&to, "accepted").await.unwrap();
        let score = house.create(&to, swemwbs(&to, "21")).await.unwrap();
        until("the score is laid", async || {
            let filings = house.gateway.store.filings_of(&to.referral).await.unwrap();
            filings.len() > 1 && filings.iter().all(|one| !one.messages.is_empty())
        })
        .await;
        drop(running);
        let mut config = (*house.gateway.config).clone();
        config.writeback.practices[0].routes = vec!["hl7v2-document".into()];
        house.gateway.config = std::sync::Arc::new(config);
        let _running = house.runs();
        let mut corrected = house.read("Observation", &score.id).await;
        corrected["status"] = json!("corrected");
        corrected["valueQuantity"]["value"] = json!(22);
        house.update(&to.pool, corrected, None).await.unwrap();
        until("the correction is laid", async || {
            let filings = house.gateway.store.filings_of(&to.referral).await.unwrap();
            let these = filings.iter().filter(|one| one.resource.1 == score.id).count();
            these == 2 && filings.iter().all(|one| !one.messages.is_empty())
        })
        .await;
        let filings = house.gateway.store.filings_of(&to.referral).await.unwrap();
        let versions: Vec<&Filing> = filings.iter().filter(|one| one.resource.1 == score.id).collect();
        let text =
            |one: &Filing| std::fs::read_to_string(folder.path().join(format!("{}.hl7", one.messages[0].1))).unwrap();
        let document = |text: &str, field: usize| {
            let segment = text.split('\r').find(|segment| segment.starts_with("TXA")).map(str::to_owned);
            segment.and_then(|segment| segment.split('|').nth(field).map(str::to_owned)).unwrap_or_default()
        };
        let (before, after) = (text(versions[0]), text(versions[1]));
        assert!(after.contains(event) && after.contains(&format!("Replaces: Ref {}", versions[0].id)), "{after}");
        assert_eq!(document(&after, 13), document(&before, 12), "{first}");
    }
}

/// A person at the machine, for the audit log.
fn asked(house: &House) -> fingerpost::audit::Entry {
    use fingerpost::audit::{Action, Agent, Entry, Kind, Outcome};
    Entry {
        id: uuid::Uuid::new_v4(),
        at: house.gateway.clock.now(),
        kind: Kind::Operation,
        interaction: "writeback-word".into(),
        action: Action::U,
        outcome: Outcome::Success,
        agent: Agent::gateway(&house.gateway.config.gateway.ods),
        purpose: "HOPERAT".into(),
        request: String::new(),
        entities: Vec::new(),
        patients: Vec::new(),
        query: String::new(),
        detail: String::new(),
    }
}

#[tokio::test]
async fn a_person_who_is_not_there_is_a_persons_work_and_no_fallback() {
    let (system, told) = (PracticeSystem::start().await.unwrap(), wellness().await);
    system.habits().unknown = vec![referrals::nhs_number(1)];
    system.habits().moved = vec![referrals::nhs_number(2)];
    let house = routed(&system, Some(&told), &["fhir", "update-record"]).await;
    let _running = house.runs();
    for n in [1, 2] {
        let to = declined(&house, n).await;
        let stopped = comes_to(&house, &to, FilingState::NeedsPerson).await;
        assert_eq!((stopped.route.as_str(), stopped.tried.len()), ("fhir", 0));
        assert!(stopped.why.contains(if n == 1 { "30002" } else { "30003" }), "{}", stopped.why);
        assert!(!stopped.why.contains(&referrals::nhs_number(n)));
    }
    until("it is told", async || told.taken("writeback.needs-person").len() == 2).await;
}

#[tokio::test]
async fn a_system_that_suppresses_no_duplicates_has_one_entry_after_lost_answers() {
    let system = PracticeSystem::start().await.unwrap();
    system.habits().forgetful = true;
    system.steering.faults().lose_answer = 3;
    let house = routed(&system, None, &["fhir"]).await;
    let to = house.refer(1).await;
    house.moves(&to, "accepted").await.unwrap();
    house.create(&to, swemwbs(&to, "21")).await.unwrap();
    house.moves(&to, "completed").await.unwrap();
    let _running = house.runs();
    until("it is closed", async || ledger(&house, &to).await == "closed").await;
    let codes = system.codes();
    let mut once = codes.clone();
    once.dedup();
    assert_eq!((codes.len(), &codes), (4, &once));
}

#[tokio::test]
async fn a_practice_that_cannot_be_reached_falls_back_only_when_nothing_left() {
    let system = PracticeSystem::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("pairing.json"), "{}").unwrap();
    let mut house = house(|config| {
        let mut practice = System::new(OdsCode::parse(PRACTICE).unwrap(), &["fhir", "hl7v2"]);
        practice.base_url = "http://127.0.0.1:9/fhir".into(); // nobody listens there
        practice.pairing_file = folder.path().join("pairing.json").display().to_string();
        practice.folder = folder.path().display().to_string();
        config.writeback.practices.push(practice);
    })
    .await;
    let running = house.runs();
    let to = declined(&house, 1).await;
    until("it was tried", async || filing(&house, &to).await.deadline.is_some()).await;
    assert_eq!(filing(&house, &to).await.state, FilingState::Queued, "nothing left");
    drop(running);
    house.gateway.clock = Clock::fixed(Clock::System.now() + SignedDuration::from_hours(25));
    let _running = house.runs();
    assert_eq!(comes_to(&house, &to, FilingState::Sent).await.route, "hl7v2");
    drop(system);
}

/// A filing on the route `update-record`, as if its message had left: the acknowledgements follow.
async fn sent(house: &House, n: u32, route: &str, message: &str) -> (Referred, Filing) {
    let to = declined(house, n).await;
    let mut filing = filing(house, &to).await;
    filing.version += 1;
    filing.state = FilingState::Sent;
    filing.route = route.into();
    filing.messages = vec![(route.into(), message.into())];
    filing.deadline = Some(house.gateway.clock.now() + SignedDuration::from_hours(24));
    filing.look_at = filing.deadline;
    let claimed = house.gateway.store.claim(&format!("writeback:{PRACTICE}"), far(), far(), 10).await.unwrap();
    let result = |one: &fingerpost::store::commit::Claimed| fingerpost::store::commit::OutboxResult {
        id: one.row.id,
        lease: one.lease,
        state: fingerpost::store::commit::Sent::Done,
    };
    let commit =
        Commit { sent: claimed.iter().map(result).collect(), filings: vec![filing.clone()], ..Commit::default() };
    house.gateway.store.commit(commit).await.unwrap();
    (to, filing)
}

fn far() -> Timestamp {
    Clock::System.now() + SignedDuration::from_hours(1)
}

fn ack(message: &str, id: &str, stage: Stage, verdict: Verdict, codes: &[&str]) -> Acknowledgement {
    let codes = codes.iter().map(|code| ((*code).to_owned(), String::new())).collect();
    Acknowledgement { message: message.into(), stage, verdict, codes, id: id.into(), at: Clock::System.now() }
}

#[tokio::test]
async fn acknowledgements_close_the_loop_in_any_order_and_once() {
    let system = PracticeSystem::start().await.unwrap();
    let house = routed(&system, None, &["update-record", "send-document"]).await;
    let take = async |ack: Acknowledgement| acknowledged(&house.gateway, ack, Commit::default()).await.unwrap();
    let (to, _) = sent(&house, 1, "update-record", "m-1").await;
    take(ack("m-1", "a", Stage::Infrastructure, Verdict::Accepted, &["20013"])).await;
    assert_eq!(filing(&house, &to).await.state, FilingState::Received);
    let before = filing(&house, &to).await;
    take(ack("m-1", "a", Stage::Infrastructure, Verdict::Accepted, &["20013"])).await;
    assert_eq!(filing(&house, &to).await, before, "said twice is said once");
    take(ack("m-1", "b", Stage::Business, Verdict::Accepted, &["30001"])).await;
    assert_eq!((filing(&house, &to).await.state, ledger(&house, &to).await), (FilingState::Filed, "returned"));
    take(ack("m-1", "c", Stage::Business, Verdict::Refused, &["30002"])).await;
    assert_eq!(filing(&house, &to).await.state, FilingState::Filed, "what is filed is not unfiled by a word");

    let (to, _) = sent(&house, 2, "send-document", "m-2").await;
    take(ack("m-2", "d", Stage::Business, Verdict::Accepted, &["30001"])).await;
    take(ack("m-2", "e", Stage::Infrastructure, Verdict::Accepted, &["20013"])).await;
    assert_eq!(filing(&house, &to).await.state, FilingState::FiledWithoutCode, "a document is no code");
    assert_eq!(ledger(&house, &to).await, "returned");
}

#[tokio::test]
async fn negative_acknowledgements_do_as_the_table_says() {
    let system = PracticeSystem::start().await.unwrap();
    let house = routed(&system, None, &["update-record", "send-document"]).await;
    let take = async |ack: Acknowledgement| acknowledged(&house.gateway, ack, Commit::default()).await.unwrap();
    let cases = [
        (Stage::Infrastructure, "20010", FilingState::Queued),
        (Stage::Infrastructure, "20009", FilingState::Queued),
        (Stage::Business, "30002", FilingState::NeedsPerson),
        (Stage::Business, "30003", FilingState::NeedsPerson),
        (Stage::Infrastructure, "20014", FilingState::NeedsPerson),
        (Stage::Infrastructure, "20007", FilingState::Received),
        (Stage::Carrier, "14", FilingState::Queued),
    ];
    for (n, (stage, code, state)) in (1..).zip(cases) {
        let message = format!("m-{n}");
        let (to, _) = sent(&house, n, "update-record", &message).await;
        take(ack(&message, &format!("no-{n}"), stage, Verdict::Refused, &[code])).await;
        let now = filing(&house, &to).await;
        assert_eq!(now.state, state, "{stage:?} {code}");
        if state == FilingState::Queued {
            assert_eq!((now.route.as_str(), &now.tried[..]), ("send-document", &["update-record".to_owned()][..]));
            take(ack(&message, &format!("late-{n}"), Stage::Business, Verdict::Accepted, &[])).await;
            assert_eq!(filing(&house, &to).await.state, FilingState::Filed, "a late yes still counts");
        }
    }
}

#[tokio::test]
async fn an_acknowledgement_of_nothing_is_held_and_what_came_with_it_is_kept() {
    let system = PracticeSystem::start().await.unwrap();
    let house = routed(&system, None, &["update-record"]).await;
    let key =
        fingerpost::store::commit::DoorKey { scope: "mesh", key: "mesh-1".into(), digest: "d".into(), expires: None };
    let also = Commit { keys: vec![key], ..Commit::default() };
    acknowledged(&house.gateway, ack("m-9", "x", Stage::Business, Verdict::Accepted, &[]), also).await.unwrap();
    assert_eq!(house.gateway.store.door_key("mesh", "mesh-1").await.unwrap().as_deref(), Some("d"));
    assert!(house.gateway.store.holds().await.unwrap().iter().any(|hold| hold.channel == "writeback"));
}

#[tokio::test]
async fn a_missing_acknowledgement_is_told_once_and_a_late_one_counts() {
    let (system, told) = (PracticeSystem::start().await.unwrap(), wellness().await);
    let mut house = routed(&system, Some(&told), &["update-record"]).await;
    let (to, _) = sent(&house, 1, "update-record", "m-1").await;
    house.gateway.clock = Clock::fixed(Clock::System.now() + SignedDuration::from_hours(23));
    assert_eq!(watch::look(&house.gateway).await.unwrap(), 0);
    house.gateway.clock.advance(SignedDuration::from_hours(2));
    assert_eq!(watch::look(&house.gateway).await.unwrap(), 1);
    assert_eq!(watch::look(&house.gateway).await.unwrap(), 0);
    let late = filing(&house, &to).await;
    assert!(late.overdue && late.state == FilingState::Sent);
    let _running = house.runs();
    until("it is told", async || told.taken("writeback.overdue").len() == 1).await;
    acknowledged(&house.gateway, ack("m-1", "b", Stage::Business, Verdict::Accepted, &[]), Commit::default())
        .await
        .unwrap();
    assert_eq!((filing(&house, &to).await.state, ledger(&house, &to).await), (FilingState::Filed, "returned"));
}

#[tokio::test]
async fn a_submission_holds_what_is_stored_and_nothing_else() {
    let system = PracticeSystem::start().await.unwrap();
    let house = house(|config| writes_back(config, &system)).await;
    let to = house.refer(1).await;
    house.moves(&to, "accepted").await.unwrap();
    house.create(&to, swemwbs(&to, "21")).await.unwrap();
    let queue = format!("writeback:{PRACTICE}");
    let rows = house.gateway.store.claim(&queue, far(), far(), 1).await.unwrap();
    let submission = gather::submission(&house.gateway, &rows[0].row).await.unwrap();
    assert_eq!((submission.key, submission.replaces), (rows[0].row.id, None));
    assert_eq!(submission.person.nhs_number, referrals::nhs_number(1));
    assert_eq!(submission.referral.as_ref().map(|(_, value)| value.as_str()), Some("R-1"));
    assert_eq!((submission.entry.code.code.as_str(), submission.entry.version), ("871731000000106", 1));
    assert!(!submission.entry.text.is_empty() && !submission.practice_name.is_empty());
    let entry = json!({"resourceType": "Observation", "code": {"text": "no code"}});
    let patient = house.read("Patient", &to.patient).await;
    assert!(gather::of(&house.gateway, &submission.practice, &entry, &patient).is_err());
}
