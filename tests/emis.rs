//! The EMIS extract's realities, each a test: what arrives, in which state, and what becomes of it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/emis.rs"]
mod extract;
#[path = "support/postgres.rs"]
mod postgres;

use std::path::PathBuf;

use extract::*;
use fingerpost::clock::Clock;
use fingerpost::config::{Config, Scope};
use fingerpost::gateway::Gateway;
use fingerpost::intake::emis::{self, silent};
use fingerpost::intake::result::IngestResult;
use fingerpost::referral::emis_referral_id;
use fingerpost::store::commit::{Hold, LedgerRow, LedgerState};
use jiff::SignedDuration;
use serde_json::Value;

thread_local! {
    /// Set, this thread's houses are on PostgreSQL.
    static SERVER: std::cell::RefCell<Option<postgres::Server>> = const { std::cell::RefCell::new(None) };
}

/// The same on PostgreSQL: what touches staging in each of its ways.
#[test]
fn on_postgresql_too() {
    let Some(server) = postgres::start() else { return };
    SERVER.set(Some(server));
    let tests: [fn(); 14] = [
        a_known_file_is_skipped_and_a_known_name_with_other_content_is_held,
        batches_three_one_two_end_as_one_two_three,
        the_form_on_day_one_and_the_observation_on_day_three_meet,
        an_observation_resent_without_its_form_keeps_urgency,
        a_half_that_waits_too_long_is_held_as_incomplete_until_the_other_comes,
        the_same_extract_again_under_new_names_is_all_duplicates,
        a_code_used_before_its_row_waits_and_is_applied_by_the_late_row,
        a_form_whose_observation_was_ignored_does_not_come_back_as_waiting,
        a_patient_who_left_is_held_as_deducted_and_nobody_is_cancelled,
        a_practice_without_an_ods_code_is_held_until_it_has_one,
        a_deleted_observation_is_withdrawn_and_an_older_batch_does_not_revive_it,
        a_deletion_that_comes_before_its_row_is_remembered,
        deleting_nine_in_ten_holds_the_practice_applies_nothing_and_can_be_replayed,
        a_practice_whose_agreement_is_not_active_is_held_and_frozen,
    ];
    tests.iter().for_each(|test| test());
    SERVER.take();
}

struct House {
    gateway: Gateway,
    dir: tempfile::TempDir,
    made: std::cell::Cell<u32>,
}

async fn house() -> House {
    house_with(|_| {}).await
}

async fn house_with(set: impl FnOnce(&mut Config)) -> House {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::development(dir.path());
    config.delivery.receivers.clear();
    SERVER.with_borrow(|server| {
        if let Some(server) = server {
            config.store.url = server.database(dir.path().file_name().unwrap().to_str().unwrap());
            // A key that this store has no folder for would be made where the test is run.
            config.access.key_file = dir.path().join("access-key.pem").display().to_string();
            config.audit.key_file = dir.path().join("audit-key.pem").display().to_string();
        }
    });
    set(&mut config);
    let clock = Clock::fixed("2026-01-06T09:00:00Z".parse().unwrap());
    House { gateway: Gateway::open_or_create(config, clock).await.unwrap(), dir, made: 0.into() }
}

impl House {
    fn folder(&self) -> PathBuf {
        self.made.set(self.made.get() + 1);
        self.dir.path().join(format!("extract-{:03}", self.made.get()))
    }

    async fn read(&self, extract: &Extract) -> IngestResult {
        let folder = extract.write(&self.folder(), Names::Plain, Layout::V54);
        self.ingest(folder).await
    }

    async fn ingest(&self, path: PathBuf) -> IngestResult {
        self.gateway.clock.advance(SignedDuration::from_secs(60));
        let result = emis::ingest(&self.gateway, &[path], &silent).await.unwrap();
        let sum = result.committed
            + result.duplicate
            + result.held
            + result.rejected
            + result.waiting
            + result.withdrawn
            + result.ignored;
        assert_eq!(result.received, sum, "the counts add up: {}", shown(&result));
        result
    }

    async fn row(&self, n: u32, org: u32) -> LedgerRow {
        self.gateway.store.ledger_row(&id(n, org)).await.unwrap().expect("it is in the ledger")
    }

    async fn request(&self, n: u32, org: u32) -> Value {
        let stored = self.gateway.store.read("ServiceRequest", &id(n, org)).await.unwrap().expect("it is committed");
        serde_json::from_slice(&stored.body).unwrap()
    }

    async fn holds(&self) -> Vec<Hold> {
        self.gateway.store.holds().await.unwrap()
    }

    async fn causes(&self) -> Vec<&'static str> {
        self.holds().await.iter().map(|hold| hold.cause.word()).collect()
    }

    async fn replay(&self, cause: &str) -> String {
        let holds = self.holds().await;
        let hold = holds.iter().find(|hold| hold.cause.word() == cause).expect("there is such a hold");
        emis::replay(&self.gateway, hold).await.unwrap()
    }
}

fn id(n: u32, org: u32) -> String {
    emis_referral_id(&bare(&organisation(org)), &bare(&observation(n)))
}

fn shown(result: &IngestResult) -> String {
    serde_json::to_string_pretty(result).unwrap()
}

#[track_caller]
fn counts(result: &IngestResult, expected: &[(&str, u64)]) {
    let json = serde_json::to_value(result).unwrap();
    for name in ["committed", "duplicate", "held", "rejected", "waiting", "withdrawn", "ignored"] {
        let wanted = expected.iter().find(|(known, _)| *known == name).map_or(0, |(_, count)| *count);
        assert_eq!(json[name].as_u64(), Some(wanted), "{name}: {}", shown(result));
    }
}

fn one() -> Extract {
    let mut extract = Extract::of(&["N84001", "N84004"]);
    extract.whole(1, 1);
    extract
}

// ---- Shapes

#[tokio::test]
async fn every_version_and_a_shuffled_order_give_the_same_referral() {
    for layout in [Layout::V51, Layout::V54, Layout::V82, Layout::Live, Layout::Shuffled(1), Layout::Shuffled(2)] {
        let house = house().await;
        let folder = one().write(&house.folder(), Names::Classic(291, 300, "20260105000000"), layout);
        let result = house.ingest(folder).await;
        counts(&result, &[("committed", 1)]);
        assert_eq!((result.unknown_columns, result.unreadable), (0, 0), "{layout:?}");
        let request = house.request(1, 1).await;
        assert_eq!(request["priority"], "routine");
        let value = format!("{}/{}", bare(&organisation(1)), bare(&observation(1)));
        assert_eq!(request["identifier"][0]["value"], value);
        assert_eq!(request["identifier"][0]["assigner"]["identifier"]["value"], "N84001");
    }
}

#[tokio::test]
async fn unknown_columns_are_reported_and_a_missing_key_column_is_unreadable() {
    let house = house().await;
    let folder = one().write(&house.folder(), Names::Plain, Layout::V54);
    let path = folder.join("Admin_UserInRole.csv");
    let text = std::fs::read_to_string(&path).unwrap().replace("JobCategoryName", "ShoeSize");
    std::fs::write(&path, text).unwrap();
    let result = house.ingest(folder).await;
    assert_eq!(result.unknown_columns, 1);
    counts(&result, &[("committed", 1)]);

    let folder = one().write(&house.folder(), Names::Plain, Layout::V82);
    let path = folder.join("CareRecord_Observation.csv");
    std::fs::write(&path, std::fs::read_to_string(&path).unwrap().replace("ObservationGuid", "Guid")).unwrap();
    let result = house.ingest(folder).await;
    assert_eq!(result.unreadable, 1);
    assert!(house.causes().await.contains(&"unreadable"));
}

#[tokio::test]
async fn text_with_quotes_commas_line_ends_and_backslashes_arrives_whole() {
    let house = house().await;
    let text = "Said \"lonely\", since £50 theft;\r\nO’Neil’s café \\";
    let mut extract = one();
    extract.tables.retain(|(table, _)| *table != "CareRecord_Observation");
    extract.observation(1, 1, 1, PRESCRIBING, &[("AssociatedText", text)]);
    counts(&house.read(&extract).await, &[("committed", 1)]);
    let note = house.request(1, 1).await["note"][0]["text"].as_str().unwrap().to_owned();
    assert!(note.contains("Said \"lonely\", since £50 theft;") && note.contains("O’Neil’s café \\"), "{note}");
}

#[tokio::test]
async fn a_byte_order_mark_is_no_part_of_the_first_header() {
    let house = house().await;
    let folder = one().write(&house.folder(), Names::Plain, Layout::V54);
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = [b"\xef\xbb\xbf".to_vec(), std::fs::read(&path).unwrap()].concat();
        std::fs::write(path, bytes).unwrap();
    }
    counts(&house.ingest(folder).await, &[("committed", 1)]);
}

#[tokio::test]
async fn undecodable_bytes_hold_their_own_referral_alone() {
    let house = house().await;
    let mut extract = one();
    extract.whole(2, 1);
    let folder = extract.write(&house.folder(), Names::Plain, Layout::V54);
    let path = folder.join("Admin_Patient.csv");
    let text = String::from_utf8(std::fs::read(&path).unwrap()).unwrap();
    let at = text.find("Synthetic2").unwrap();
    let mut bytes = text.into_bytes();
    bytes[at] = 0xe9;
    std::fs::write(&path, bytes).unwrap();
    counts(&house.ingest(folder).await, &[("committed", 1), ("held", 1)]);
    assert_eq!(house.causes().await, ["encoding"]);
    let mut mended = Extract::empty(292);
    mended.patient(2, 1, &[]);
    counts(&house.read(&mended).await, &[("committed", 1)]);
    assert_eq!(house.causes().await, Vec::<&str>::new());
}

#[tokio::test]
async fn a_zip_is_read_as_a_folder_and_one_that_is_not_is_refused() {
    let house = house().await;
    let path = house.dir.path().join("extract.zip");
    one().zip(&path, Names::Classic(1, 1, "20260105000000"), Layout::V82);
    emis::claims(&path).unwrap();
    counts(&house.ingest(path).await, &[("committed", 1)]);
    let bad = house.dir.path().join("bad.zip");
    std::fs::write(&bad, b"not a zip").unwrap();
    assert_eq!(emis::claims(&bad).unwrap_err().status(), 422);
    assert_eq!(house.ingest(bad).await.unreadable, 1);
}

#[tokio::test]
async fn an_encrypted_extract_without_a_key_is_refused_clearly() {
    let house = house().await;
    let folder = house.folder();
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("1_Admin_Patient_20260105000000_{AGREEMENT}.csv.gpg")), b"\x85\x02").unwrap();
    let result = house.ingest(folder).await;
    assert_eq!(result.unreadable, 1);
    assert!(shown(&result).contains("pgp_key_file"));
}

#[tokio::test]
async fn an_encrypted_extract_is_decrypted_with_the_configured_key() {
    let keys = tempfile::tempdir().unwrap();
    let Some(key) = gpg_key(keys.path()) else {
        println!("skipped: the gpg program is not here");
        return;
    };
    let house = house_with(|config| config.intake.emis.pgp_key_file = key.display().to_string()).await;
    let folder = one().write(&house.folder(), Names::Classic(1, 1, "20260105000000"), Layout::V54);
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        assert!(gpg(keys.path(), &["--trust-model", "always", "-r", "emis@example.org", "-e", path.to_str().unwrap()]));
        std::fs::remove_file(path).unwrap();
    }
    counts(&house.ingest(folder).await, &[("committed", 1)]);
}

fn gpg(home: &std::path::Path, args: &[&str]) -> bool {
    let mut gpg = std::process::Command::new("gpg");
    gpg.args(["--batch", "--quiet", "--homedir"]).arg(home).args(args);
    gpg.status().is_ok_and(|status| status.success())
}

fn gpg_key(home: &std::path::Path) -> Option<PathBuf> {
    let made =
        gpg(home, &["--passphrase", "", "--quick-generate-key", "emis@example.org", "default", "default", "never"]);
    let key = home.join("secret.asc");
    let path = key.display().to_string();
    (made && gpg(home, &["--armor", "-o", &path, "--export-secret-keys"])).then_some(key)
}

// ---- Files and batches

#[tokio::test]
async fn a_known_file_is_skipped_and_a_known_name_with_other_content_is_held() {
    let house = house().await;
    let names = Names::Classic(291, 291, "20260105000000");
    counts(&house.ingest(one().write(&house.folder(), names, Layout::V54)).await, &[("committed", 1)]);
    let again = house.ingest(one().write(&house.folder(), names, Layout::V54)).await;
    assert_eq!((again.files, again.received), (0, 0));
    let mut changed = Extract::empty(291);
    changed.referral(1, 1, 1, "Urgent", &[]);
    let result = house.ingest(changed.write(&house.folder(), names, Layout::V54)).await;
    assert_eq!(result.received, 0);
    assert_eq!(house.causes().await, ["file-changed"]);
    assert_eq!(house.request(1, 1).await["priority"], "routine");
    house.replay("file-changed").await;
    assert_eq!(house.request(1, 1).await["priority"], "urgent");
    assert_eq!(house.causes().await, Vec::<&str>::new());
}

#[tokio::test]
async fn batches_three_one_two_end_as_one_two_three() {
    let batch = |time, id, urgency: &str| {
        let mut extract = if id == 291 { one() } else { Extract::empty(id) };
        extract.tables.retain(|(table, _)| *table != "CareRecord_ObservationReferral");
        extract.referral(1, 1, 1, urgency, &[]);
        (extract, Names::Classic(id, id, time))
    };
    let first = batch("20260101000000", 291, "Routine");
    let second = batch("20260102000000", 292, "Soon");
    let third = batch("20260103000000", 293, "Urgent");
    // Together in one folder.
    let house = house().await;
    let folder = house.folder();
    for (extract, names) in [&third, &first, &second] {
        extract.write(&folder, *names, Layout::V54);
    }
    counts(&house.ingest(folder).await, &[("committed", 1)]);
    assert_eq!(house.request(1, 1).await["priority"], "urgent");
    // One by one, the newest first.
    let house = house_with(|_| {}).await;
    for (extract, names) in [&third, &first, &second] {
        house.ingest(extract.write(&house.folder(), *names, Layout::V54)).await;
        if names.id() == 291 {
            assert_eq!(house.causes().await, ["file-gap"]);
        }
    }
    assert_eq!(house.causes().await, Vec::<&str>::new(), "the gap has closed");
    assert_eq!(house.request(1, 1).await["priority"], "urgent");
}

trait Numbered {
    fn id(&self) -> u64;
}
impl Numbered for Names {
    fn id(&self) -> u64 {
        match self {
            Names::Classic(first, ..) => *first,
            Names::Plain => 0,
        }
    }
}

#[tokio::test]
async fn rows_of_one_batch_apply_in_order_of_processing_id() {
    let house = house().await;
    let mut extract = one();
    extract.processing = 290;
    extract.referral(1, 1, 1, "Urgent", &[]);
    house.read(&extract).await;
    assert_eq!(house.request(1, 1).await["priority"], "routine", "291 was written after 290");
}

// ---- Halves

#[tokio::test]
async fn the_form_on_day_one_and_the_observation_on_day_three_meet() {
    let house = house().await;
    let mut day_one = Extract::of(&["N84001"]);
    day_one.patient(1, 1, &[]);
    day_one.referral(1, 1, 1, "Urgent", &[]);
    counts(&house.read(&day_one).await, &[("waiting", 1)]);
    assert_eq!(house.row(1, 1).await.state, LedgerState::Waiting);
    house.gateway.clock.advance(SignedDuration::from_hours(48));
    let mut day_three = Extract::empty(293);
    day_three.observation(1, 1, 1, PRESCRIBING, &[]);
    counts(&house.read(&day_three).await, &[("committed", 1)]);
    assert_eq!(house.request(1, 1).await["priority"], "urgent");
    assert_eq!(house.row(1, 1).await.state, LedgerState::Open);
}

#[tokio::test]
async fn an_observation_alone_is_a_referral_and_its_form_may_follow() {
    let house = house().await;
    let mut extract = Extract::of(&["N84001"]);
    extract.patient(1, 1, &[]);
    extract.observation(1, 1, 1, PRESCRIBING, &[]);
    counts(&house.read(&extract).await, &[("committed", 1)]);
    let mut form = Extract::empty(292);
    form.referral(1, 1, 1, "Urgent", &[]);
    counts(&house.read(&form).await, &[("committed", 1)]);
    assert_eq!(house.request(1, 1).await["priority"], "urgent");
}

#[tokio::test]
async fn an_observation_resent_without_its_form_keeps_urgency() {
    let house = house().await;
    let mut extract = one();
    extract.tables.retain(|(table, _)| *table != "CareRecord_ObservationReferral");
    extract.referral(1, 1, 1, "Urgent", &[]);
    house.read(&extract).await;
    let mut again = Extract::empty(292);
    again.observation(1, 1, 1, PRESCRIBING, &[("EffectiveDate", "2026-01-04")]);
    counts(&house.read(&again).await, &[("committed", 1)]);
    let request = house.request(1, 1).await;
    assert_eq!((request["priority"].as_str(), request["authoredOn"].as_str()), (Some("urgent"), Some("2026-01-04")));
}

#[tokio::test]
async fn a_half_that_waits_too_long_is_held_as_incomplete_until_the_other_comes() {
    let house = house().await;
    let mut extract = Extract::of(&["N84001"]);
    extract.patient(1, 1, &[]);
    extract.referral(1, 1, 1, "Routine", &[]);
    house.read(&extract).await;
    house.gateway.clock.advance(SignedDuration::from_hours(6 * 24));
    counts(&emis::sweep(&house.gateway).await.unwrap(), &[]);
    house.gateway.clock.advance(SignedDuration::from_hours(2 * 24));
    counts(&emis::sweep(&house.gateway).await.unwrap(), &[("held", 1)]);
    assert_eq!(house.causes().await, ["incomplete"]);
    let mut late = Extract::empty(299);
    late.observation(1, 1, 1, PRESCRIBING, &[]);
    counts(&house.read(&late).await, &[("committed", 1)]);
    assert_eq!(house.causes().await, Vec::<&str>::new());
}

#[tokio::test]
async fn the_same_extract_again_under_new_names_is_all_duplicates() {
    let house = house().await;
    house.read(&one()).await;
    let mut again = one();
    again.tables.iter_mut().flat_map(|(_, rows)| rows).for_each(|row| row.push(("CDB", "1".into())));
    for (_, rows) in &mut again.tables {
        for row in rows {
            row.iter_mut().filter(|(name, _)| *name == "ProcessingId").for_each(|(_, id)| *id = "295".into());
        }
    }
    counts(&house.read(&again).await, &[("duplicate", 1)]);
}

#[tokio::test]
async fn one_observation_guid_at_two_practices_is_two_referrals() {
    let house = house().await;
    let mut extract = one();
    extract.patient(2, 2, &[]);
    extract.observation(1, 2, 2, PRESCRIBING, &[]);
    counts(&house.read(&extract).await, &[("committed", 2)]);
    assert_ne!(house.request(1, 1).await["id"], house.request(1, 2).await["id"]);
}

// ---- Codes and selection

#[tokio::test]
async fn a_code_used_before_its_row_waits_and_is_applied_by_the_late_row() {
    let house = house().await;
    let mut extract = one();
    let codes = extract.tables.iter().position(|(table, _)| *table == "Coding_ClinicalCode").unwrap();
    let codes = extract.tables.remove(codes);
    counts(&house.read(&extract).await, &[("waiting", 1)]);
    let late = Extract { tables: vec![codes], processing: 292 };
    counts(&house.read(&late).await, &[("committed", 1)]);
}

#[tokio::test]
async fn a_code_with_three_parents_is_one_referral() {
    let house = house().await;
    let result = house.read(&one()).await;
    assert_eq!(result.received, 1, "the generator writes three rows a code");
}

#[tokio::test]
async fn read_and_local_codes_of_social_prescribing_are_selected() {
    let house = house().await;
    let mut extract = Extract::of(&["N84001"]);
    for (n, read) in [(1, "8T09."), (2, "XaaEC"), (3, "EMISNQRE582")] {
        let code = ["700001000006118", "700002000006113", "700003000006115"][n as usize - 1];
        extract.code(code, "Referral to social prescribing", read, "", "Referral");
        extract.patient(n, 1, &[]);
        extract.observation(n, 1, n, code, &[]);
    }
    let result = house.read(&extract).await;
    assert_eq!(result.ignored, 0, "{}", shown(&result));
    assert_eq!(result.committed, 3, "{}", shown(&result));
}

#[tokio::test]
async fn other_rows_are_counted_and_nothing_of_them_is_kept() {
    let house = house().await;
    let mut extract = one();
    extract.observation(2, 1, 1, COUGH, &[("AssociatedText", "a secret")]);
    extract.observation(3, 1, 1, PHONE, &[("AssociatedText", "a secret")]);
    extract.referral(3, 1, 1, "Routine", &[("ReferralUBRN", "A12345678901")]);
    counts(&house.read(&extract).await, &[("committed", 1), ("ignored", 2)]);
    let ignored = house.gateway.store.ignored().await.unwrap();
    assert_eq!(ignored, [("N84001".to_owned(), "not-social-prescribing".to_owned(), 2)]);
    let kept = house.gateway.store.candidate(&bare(&organisation(1)), &bare(&observation(3))).await.unwrap().unwrap();
    assert!(kept.obs.is_none() && kept.referral.is_none() && kept.patient.is_none());
    for entry in std::fs::read_dir(house.dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(8).any(|window| window == b"a secret"), "{}", path.display());
        }
    }
}

#[tokio::test]
async fn a_form_whose_observation_was_ignored_does_not_come_back_as_waiting() {
    let house = house().await;
    let mut extract = one();
    extract.observation(3, 1, 1, PHONE, &[]);
    house.read(&extract).await;
    let mut form = Extract::empty(292);
    form.referral(3, 1, 1, "Urgent", &[]);
    counts(&house.read(&form).await, &[("ignored", 1)]);
}

#[tokio::test]
async fn a_form_to_a_recipient_makes_a_referral_of_any_code() {
    let house = house_with(|config| config.intake.emis.recipients = vec!["RY0".parse_ods()]).await;
    let mut extract = one();
    extract.organisation(50, "RY0");
    extract.observation(2, 1, 1, COUGH, &[]);
    extract.referral(2, 1, 1, "Routine", &[("ReferralTargetOrganisationGuid", &organisation(50))]);
    extract.observation(3, 1, 1, PHONE, &[]);
    extract.referral(3, 1, 1, "Routine", &[("ReferralTargetOrganisationGuid", &organisation(51))]);
    counts(&house.read(&extract).await, &[("committed", 2), ("ignored", 1)]);
    let request = house.request(2, 1).await;
    assert_eq!(request["reasonCode"][0]["coding"][0]["code"], "49727002");
    assert!(!request["code"].to_string().contains("49727002\",\"http://snomed"));
}

trait ParseOds {
    fn parse_ods(&self) -> fingerpost::fhir::ids::OdsCode;
}
impl ParseOds for str {
    fn parse_ods(&self) -> fingerpost::fhir::ids::OdsCode {
        fingerpost::fhir::ids::OdsCode::parse(self).unwrap()
    }
}

#[tokio::test]
async fn all_referrals_in_scope_are_taken_and_other_entries_are_not() {
    let house = house_with(|config| config.intake.emis.scope = Scope::AllReferrals).await;
    let mut extract = one();
    extract.observation(2, 1, 1, COUGH, &[]);
    extract.observation(3, 1, 1, PHONE, &[]);
    extract.referral(3, 1, 1, "Routine", &[]);
    counts(&house.read(&extract).await, &[("committed", 2), ("ignored", 1)]);
}

#[tokio::test]
async fn a_snomed_id_damaged_by_a_spreadsheet_is_held_not_guessed() {
    let house = house().await;
    let mut extract = Extract::of(&["N84001"]);
    extract.code("1777541000006110", "Referral to social prescribing", "", "871731000000110", "Referral");
    extract.patient(1, 1, &[]);
    extract.observation(1, 1, 1, "1777541000006110", &[]);
    counts(&house.read(&extract).await, &[("held", 1)]);
    assert_eq!(house.causes().await, ["code-damaged"]);
}

#[tokio::test]
async fn an_unmapped_urgency_is_held_and_a_target_that_is_not_here_is_no_matter() {
    let house = house().await;
    let mut extract = one();
    extract.patient(2, 1, &[]);
    extract.observation(2, 1, 2, PRESCRIBING, &[]);
    extract.referral(2, 1, 2, "By Thursday", &[]);
    extract.patient(3, 1, &[]);
    extract.observation(3, 1, 3, PRESCRIBING, &[]);
    extract.referral(3, 1, 3, "Soon", &[("ReferralTargetOrganisationGuid", &organisation(77))]);
    counts(&house.read(&extract).await, &[("committed", 2), ("held", 1)]);
    assert_eq!(house.causes().await, ["urgency-unmapped"]);
}

// ---- People and practices

#[tokio::test]
async fn test_patients_are_ignored_before_anything_else() {
    let house = house().await;
    let mut extract = Extract::of(&["N84001"]);
    for (n, more) in [(1, [("DummyType", "TRUE")]), (2, [("PatientTypeDescription", "Dummy")])] {
        extract.patient(n, 1, &more);
        extract.observation(n, 1, n, PRESCRIBING, &[("AssociatedText", "bad \u{0}")]);
    }
    counts(&house.read(&extract).await, &[("ignored", 2)]);
    assert!(house.gateway.store.ledger(None, None).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_missing_or_wrong_nhs_number_is_held_and_mended_by_a_new_patient_row() {
    let house = house().await;
    let mut extract = Extract::of(&["N84001"]);
    for (n, number) in [(1, ""), (2, "9990000001")] {
        extract.patient(n, 1, &[("NhsNumber", number)]);
        extract.observation(n, 1, n, PRESCRIBING, &[]);
    }
    counts(&house.read(&extract).await, &[("held", 2)]);
    let mut causes = house.causes().await;
    causes.sort_unstable();
    assert_eq!(causes, ["nhs-number-invalid", "nhs-number-missing"]);
    let mut mended = Extract::empty(292);
    mended.patient(1, 1, &[]);
    counts(&house.read(&mended).await, &[("committed", 1)]);
}

#[tokio::test]
async fn sensitive_and_confidential_people_are_restricted_and_have_no_address() {
    let house = house().await;
    let mut extract = Extract::of(&["N84001"]);
    extract.patient(1, 1, &[("SpineSensitive", "TRUE")]);
    extract.observation(1, 1, 1, PRESCRIBING, &[]);
    extract.patient(2, 1, &[]);
    extract.observation(2, 1, 2, PRESCRIBING, &[("IsConfidential", "true")]);
    counts(&house.read(&extract).await, &[("committed", 2)]);
    for n in [1, 2] {
        assert_eq!(house.request(n, 1).await["meta"]["security"][0]["code"], "R");
        assert_eq!(house.row(n, 1).await.waiting_on, "restricted");
    }
    let reference = house.request(1, 1).await["subject"]["reference"].as_str().unwrap().to_owned();
    let person = house.gateway.store.read("Patient", reference.split_once('/').unwrap().1).await.unwrap().unwrap();
    assert!(!String::from_utf8_lossy(&person.body).contains("Test Street"));
}

#[tokio::test]
async fn the_dead_are_held_and_a_death_after_the_referral_is_shown() {
    let house = house().await;
    let mut extract = one();
    extract.patient(2, 1, &[("DateOfDeath", "2026-01-01")]);
    extract.observation(2, 1, 2, PRESCRIBING, &[]);
    counts(&house.read(&extract).await, &[("committed", 1), ("held", 1)]);
    assert_eq!(house.causes().await, ["deceased"]);
    let mut later = Extract::empty(292);
    later.patient(1, 1, &[("DateOfDeath", "2026-01-06")]);
    counts(&house.read(&later).await, &[("held", 1)]);
    assert_eq!(house.row(1, 1).await.state, LedgerState::Open, "the pool still has it");
}

#[tokio::test]
async fn a_patient_who_left_is_held_as_deducted_and_nobody_is_cancelled() {
    let house = house().await;
    house.read(&one()).await;
    let mut gone = Extract::empty(292);
    gone.add(
        "Admin_Patient",
        vec![("PatientGuid", patient(1)), ("OrganisationGuid", organisation(1)), ("Deleted", "True".into())],
    );
    counts(&house.read(&gone).await, &[("held", 1)]);
    assert_eq!(house.causes().await, ["deducted"]);
    assert_eq!(house.request(1, 1).await["status"], "active");
}

#[tokio::test]
async fn a_missing_patient_row_is_held_and_the_row_mends_it() {
    let house = house().await;
    let mut extract = Extract::of(&["N84001"]);
    extract.observation(1, 1, 1, PRESCRIBING, &[]);
    counts(&house.read(&extract).await, &[("held", 1)]);
    assert_eq!(house.causes().await, ["patient-unknown"]);
    // A full table that lacks the patient cancels nothing either.
    let mut others = Extract::empty(292);
    others.patient(2, 1, &[]);
    counts(&house.read(&others).await, &[]);
    let mut row = Extract::empty(293);
    row.patient(1, 1, &[]);
    counts(&house.read(&row).await, &[("committed", 1)]);
}

#[tokio::test]
async fn a_change_of_address_alone_makes_a_new_version_of_the_patient() {
    let house = house().await;
    house.read(&one()).await;
    let mut moved = Extract::empty(292);
    moved.patient(1, 1, &[("Town", "Formby")]);
    counts(&house.read(&moved).await, &[("committed", 1)]);
    let reference = house.request(1, 1).await["subject"]["reference"].as_str().unwrap().to_owned();
    let person = house.gateway.store.read("Patient", reference.split_once('/').unwrap().1).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&person.body).contains("Formby"));
}

#[tokio::test]
async fn a_practice_without_an_ods_code_is_held_until_it_has_one() {
    let house = house().await;
    let mut extract = Extract::of(&[""]);
    extract.whole(1, 1);
    counts(&house.read(&extract).await, &[("held", 1)]);
    assert_eq!(house.causes().await, ["practice-unknown"]);
    let mut named = Extract::empty(292);
    named.organisation(1, "N84001");
    counts(&house.read(&named).await, &[("committed", 1)]);
}

#[tokio::test]
async fn partial_dates_stay_partial() {
    let house = house().await;
    let mut extract = Extract::of(&["N84001"]);
    for (n, precision) in [(1, "Y"), (2, "YM"), (3, "YMD")] {
        extract.patient(n, 1, &[]);
        extract.observation(
            n,
            1,
            n,
            PRESCRIBING,
            &[("EffectiveDatePrecision", precision), ("EffectiveDate", "2026-01-03")],
        );
    }
    counts(&house.read(&extract).await, &[("committed", 3)]);
    for (n, date) in [(1, "2026"), (2, "2026-01"), (3, "2026-01-03")] {
        assert_eq!(house.request(n, 1).await["authoredOn"], date);
    }
}

// ---- Deletions and agreements

#[tokio::test]
async fn a_deleted_observation_is_withdrawn_and_an_older_batch_does_not_revive_it() {
    let house = house().await;
    let names = |id, time| Names::Classic(id, id, time);
    let mut deleted = Extract::empty(293);
    deleted.add(
        "CareRecord_Observation",
        vec![("ObservationGuid", observation(1)), ("OrganisationGuid", organisation(1)), ("Deleted", "True".into())],
    );
    house.ingest(one().write(&house.folder(), names(291, "20260101000000"), Layout::V54)).await;
    let folder = deleted.write(&house.folder(), names(293, "20260103000000"), Layout::V54);
    counts(&house.ingest(folder).await, &[("withdrawn", 1)]);
    assert_eq!(house.row(1, 1).await.state, LedgerState::Withdrawn);
    assert_eq!(house.request(1, 1).await["status"], "entered-in-error");
    deleted.processing = 294;
    deleted.tables.iter_mut().flat_map(|(_, rows)| rows).for_each(|row| row.push(("EnteredTime", "10:00:00".into())));
    let folder = deleted.write(&house.folder(), names(294, "20260104000000"), Layout::V54);
    counts(&house.ingest(folder).await, &[("duplicate", 1)]);
    let mut older = Extract::empty(292);
    older.observation(1, 1, 1, PRESCRIBING, &[]);
    let folder = older.write(&house.folder(), names(292, "20260102000000"), Layout::V54);
    house.ingest(folder).await;
    assert_eq!(house.row(1, 1).await.state, LedgerState::Withdrawn);
}

#[tokio::test]
async fn a_deletion_that_comes_before_its_row_is_remembered() {
    let house = house().await;
    let mut deleted = Extract::of(&["N84001"]);
    deleted.add(
        "CareRecord_Observation",
        vec![("ObservationGuid", observation(1)), ("OrganisationGuid", organisation(1)), ("Deleted", "true".into())],
    );
    let folder = deleted.write(&house.folder(), Names::Classic(292, 292, "20260102000000"), Layout::V54);
    counts(&house.ingest(folder).await, &[("ignored", 1)]);
    let folder = one().write(&house.folder(), Names::Classic(291, 291, "20260101000000"), Layout::V54);
    counts(&house.ingest(folder).await, &[("ignored", 1)]);
}

#[tokio::test]
async fn deleting_nine_in_ten_holds_the_practice_applies_nothing_and_can_be_replayed() {
    let house = house().await;
    let mut extract = Extract::of(&["N84001", "N84004"]);
    for n in 1..=10 {
        extract.whole(n, 1);
    }
    extract.whole(11, 2);
    counts(&house.read(&extract).await, &[("committed", 11)]);
    let mut deletes = Extract::empty(292);
    for n in 1..=9 {
        deletes.observation(n, 1, n, PRESCRIBING, &[("Deleted", "true")]);
    }
    deletes.whole(12, 1);
    deletes.whole(13, 2);
    counts(&house.read(&deletes).await, &[("held", 10), ("committed", 1)]);
    assert_eq!(house.causes().await, ["mass-delete"]);
    assert_eq!(house.request(1, 1).await["status"], "active");
    assert_eq!(house.row(12, 1).await.state, LedgerState::Held);
    house.replay("mass-delete").await;
    assert_eq!(house.row(1, 1).await.state, LedgerState::Withdrawn);
    assert_eq!(house.row(12, 1).await.state, LedgerState::Open);
    assert_eq!(house.causes().await, Vec::<&str>::new());
}

#[tokio::test]
async fn a_few_deletions_of_a_small_practice_are_no_mass() {
    let house = house().await;
    let mut extract = Extract::of(&["N84001"]);
    (1..=3).for_each(|n| extract.whole(n, 1));
    house.read(&extract).await;
    let mut deletes = Extract::empty(292);
    deletes.observation(1, 1, 1, PRESCRIBING, &[("Deleted", "true")]);
    counts(&house.read(&deletes).await, &[("withdrawn", 1)]);
}

#[tokio::test]
async fn a_practice_whose_agreement_is_not_active_is_held_and_frozen() {
    let house = house().await;
    house.read(&one()).await;
    let mut closed = Extract::empty(292);
    closed.agreement(1, true, true, false);
    closed.agreement(2, true, false, false);
    closed.observation(1, 1, 1, PRESCRIBING, &[("Deleted", "true")]);
    closed.whole(2, 1);
    closed.whole(3, 2);
    counts(&house.read(&closed).await, &[("held", 2), ("committed", 1)]);
    assert_eq!(house.causes().await, ["agreement"]);
    assert_eq!(house.request(1, 1).await["status"], "active", "frozen, not cancelled");
    assert!(house.replay("agreement").await.starts_with("held"), "still closed");
    let mut open = Extract::empty(293);
    open.agreement(1, true, false, false);
    open.agreement(2, true, false, false);
    house.read(&open).await;
    house.replay("agreement").await;
    assert_eq!(house.row(2, 1).await.state, LedgerState::Open);
    assert_eq!(house.row(1, 1).await.state, LedgerState::Withdrawn);
}

#[tokio::test]
async fn a_held_candidate_is_replayed_after_a_fix() {
    let house = house().await;
    let mut extract = Extract::of(&[""]);
    extract.whole(1, 1);
    house.read(&extract).await;
    let hold = house.holds().await.remove(0);
    assert!(emis::rehearse(&house.gateway, &hold).await.unwrap().contains("practice-unknown"));
    assert!(emis::replay(&house.gateway, &hold).await.unwrap().starts_with("held"));
}

#[tokio::test]
async fn an_ingest_stopped_anywhere_and_run_again_ends_the_same() {
    let mut extract = one();
    for n in 2..200 {
        extract.whole(n, 1);
        extract.observation(n + 1000, 1, n, COUGH, &[]);
    }
    let house = house().await;
    let folder = extract.write(&house.folder(), Names::Classic(291, 291, "20260105000000"), Layout::V82);
    let mut done = None;
    for stop_ms in [5, 20, 60, 150, 300] {
        let ingest = emis::ingest(&house.gateway, std::slice::from_ref(&folder), &silent);
        // A quick machine is done before it is stopped.
        if let Ok(result) = tokio::time::timeout(std::time::Duration::from_millis(stop_ms), ingest).await {
            done = Some(result.unwrap());
            break;
        }
        // The turn of an ingest that was stopped ends by itself, in a few seconds.
    }
    let result = match done {
        Some(result) => result,
        None => house.ingest(folder).await,
    };
    assert_eq!(result.committed + result.duplicate, 199, "{}", result_words(&result));
    let ledger = house.gateway.store.ledger(None, None).await.unwrap();
    let odd: Vec<_> = ledger.iter().filter(|row| row.state != LedgerState::Open).take(2).collect();
    assert_eq!((ledger.len(), odd.len()), (199, 0), "{odd:?}");
    let ignored = house.gateway.store.ignored().await.unwrap();
    assert_eq!(ignored, [("N84001".to_owned(), "not-social-prescribing".to_owned(), 198)]);
}

fn result_words(result: &IngestResult) -> String {
    let odd: Vec<_> = result
        .messages
        .iter()
        .filter(|line| !matches!(line.outcome.as_str(), "committed" | "duplicate"))
        .take(3)
        .collect();
    format!("{} received, {} held, {} rejected: {odd:?}", result.received, result.held, result.rejected)
}

#[tokio::test]
async fn the_demo_sample_is_as_its_readme_says() {
    let house = house().await;
    let result = house.ingest(PathBuf::from("src/demo/samples/emis")).await;
    counts(&result, &[("committed", 10), ("held", 1), ("ignored", 2)]);
    assert_eq!(house.causes().await, ["urgency-unmapped"]);
    let ledger = house.gateway.store.ledger(None, None).await.unwrap();
    assert_eq!(ledger.iter().filter(|row| row.waiting_on == "restricted").count(), 1);
}
