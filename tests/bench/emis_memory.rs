//! An EMIS extract with 100,000 referrals among 2 million observation rows streams in under
//! 300 MiB: peak resident memory of this process, which does nothing else.
//!
//! `cargo bench --bench emis_memory`. Smaller: `EMIS_BENCH_SHARE=10` makes a tenth.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use fingerpost::clock::Clock;
use fingerpost::config::Config;
use fingerpost::gateway::Gateway;
use fingerpost::intake::emis;

const REFERRALS: u32 = 100_000;
const OBSERVATIONS: u32 = 2_000_000;
/// Rows of the coding table: about three a code.
const CODING_ROWS: u32 = 1_100_000;
const PRACTICES: u32 = 40;
/// Peak resident memory, in KiB.
const PEAK_MAX_KIB: u64 = 300 * 1024;

fn main() {
    let share: u32 = std::env::var("EMIS_BENCH_SHARE").ok().and_then(|share| share.parse().ok()).unwrap_or(1);
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("extract");
    std::fs::create_dir(&folder).unwrap();
    write(&folder, REFERRALS / share, OBSERVATIONS / share, CODING_ROWS / share);
    println!("made an extract: {} referrals, {} observations", REFERRALS / share, OBSERVATIONS / share);
    let before = status("VmRSS");
    let began = std::time::Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let result = runtime.block_on(async {
        let mut config = Config::development(dir.path());
        config.delivery.receivers.clear();
        let gateway = Gateway::open_or_create(config, Clock::System).await.unwrap();
        let result = emis::ingest(&gateway, &[folder], &emis::silent).await.unwrap();
        gateway.store.close().await;
        result
    });
    let (peak, took) = (status("VmHWM"), began.elapsed());
    println!(
        "{} received, {} committed, {} ignored, {} held in {:.0} s; memory: {} MiB before, {} MiB peak",
        result.received,
        result.committed,
        result.ignored,
        result.held,
        took.as_secs_f64(),
        before / 1024,
        peak / 1024
    );
    assert_eq!(result.committed, u64::from(REFERRALS / share));
    assert_eq!(result.received, u64::from(OBSERVATIONS / share));
    assert!(peak < PEAK_MAX_KIB, "peak memory is {peak} KiB, more than {PEAK_MAX_KIB}");
}

/// A line of `/proc/self/status`, in KiB.
fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn guid(kind: u32, n: u32) -> String {
    format!("{{{kind:08X}-0000-4000-8000-{n:012X}}}")
}

fn nhs_number(n: u32) -> String {
    let found = [2 * n, 2 * n + 1].into_iter().find_map(|k| {
        let nine = format!("999{k:06}");
        let sum: u32 = nine.bytes().zip((2..=10).rev()).map(|(b, w)| u32::from(b - b'0') * w).sum();
        match (11 - sum % 11) % 11 {
            10 => None,
            check => Some(format!("{nine}{check}")),
        }
    });
    found.unwrap()
}

fn table(folder: &Path, name: &str, header: &str, rows: impl Iterator<Item = String>) {
    let path = folder.join(format!("291_{name}_20260105000000_45E7CD20-EE37-41AB-90D6-DC9D4B03D102.csv"));
    let mut file = BufWriter::new(File::create(path).unwrap());
    write!(file, "{header}\r\n").unwrap();
    for row in rows {
        write!(file, "{row}\r\n").unwrap();
    }
    file.flush().unwrap();
}

fn write(folder: &Path, referrals: u32, observations: u32, codings: u32) {
    let practice = |n: u32| guid(0xA, n % PRACTICES);
    table(
        folder,
        "Agreements_SharingOrganisation",
        "OrganisationGuid,IsActivated,LastModifiedDate,Disabled,Deleted",
        (0..PRACTICES).map(|n| format!("{},true,2026-01-01 10:00:00,false,false", guid(0xA, n))),
    );
    table(
        folder,
        "Admin_Organisation",
        "OrganisationGuid,OrganisationName,ODSCode,ProcessingId",
        (0..PRACTICES).map(|n| format!("{},Synthetic {n},N840{:02},291", guid(0xA, n), 1 + n % 7)),
    );
    table(
        folder,
        "Admin_UserInRole",
        "UserInRoleGuid,OrganisationGuid,Surname,ProcessingId",
        (0..PRACTICES).map(|n| format!("{},{},Synthetic,291", guid(0xD, n), guid(0xA, n))),
    );
    let coding = |n: u32| {
        let code = n / 3;
        let (term, concept, category) = match code {
            0 => ("Referral to social prescribing service", "871731000000106", "Referral"),
            _ => ("Cough", "49727002", "Symptom"),
        };
        format!("{},{term} {code},171..,{concept},,,,,{category},{},291", 9_000_000_000 + u64::from(code), n)
    };
    table(
        folder,
        "Coding_ClinicalCode",
        "CodeId,Term,ReadTermId,SnomedCTConceptId,SnomedCTDescriptionId,NationalCode,NationalCodeCategory,NationalDescription,EmisCodeCategoryDescription,ParentCodeID,ProcessingId",
        (0..codings).map(coding),
    );
    table(folder, "Admin_Patient",
        "PatientGuid,OrganisationGuid,Sex,DateOfBirth,Title,GivenName,Surname,NhsNumber,PatientTypeDescription,DummyType,NumberAndStreet,Town,Postcode,Deleted,SpineSensitive,IsConfidential,ProcessingId",
        (0..referrals).map(|n| format!("{},{},F,1950-01-01,Ms,Test,Synthetic{n},{},Regular,false,1 Test Street,Bootle,L203EW,false,false,false,291",
            guid(0xB, n), practice(n), nhs_number(n))));
    table(
        folder,
        "CareRecord_ObservationReferral",
        "ObservationGuid,PatientGuid,OrganisationGuid,ReferralUrgency,ReferralServiceType,ReferralMode,ProcessingId",
        (0..referrals)
            .map(|n| format!("{},{},{},Routine,Community Care,Written,291", guid(0xC, n), guid(0xB, n), practice(n))),
    );
    let every = observations / referrals;
    let mut text = String::new();
    (0..200).for_each(|_| write!(text, "text ").unwrap());
    table(
        folder,
        "CareRecord_Observation",
        "ObservationGuid,PatientGuid,OrganisationGuid,EffectiveDate,EffectiveDatePrecision,EnteredDate,EnteredTime,ClinicianUserInRoleGuid,CodeId,AssociatedText,Deleted,IsConfidential,ProcessingId",
        (0..observations).map(|at| {
            let n = at / every;
            let (id, code) = if at % every == 0 { (n, 0) } else { (referrals + at, 1 + at % (codings / 3 - 2)) };
            format!(
                "{},{},{},2026-01-05,YMD,2026-01-05,10:00:00,{},{},{},false,false,291",
                guid(0xC, id),
                guid(0xB, n),
                practice(n),
                guid(0xD, n % PRACTICES),
                9_000_000_000 + u64::from(code),
                &text[..200]
            )
        }),
    );
}
