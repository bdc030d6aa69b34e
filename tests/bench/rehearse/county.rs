//! A county's year, lived by a gateway in this process: each referral goes down the path on its
//! day, its pool accepts it, meets the person and closes it some months later.
//!
//! The county is `config/lincolnshire` with twenty of each of its link workers and twenty times its
//! pools' limits: six posts would not have the time.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use fingerpost::clock::Clock;
use fingerpost::config::Config;
use fingerpost::gateway::Gateway;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::pool::{House, Referred, caller};
use super::referrals;
use fingerpost::store::param;

/// Days of the year that is lived.
const DAYS: u32 = 365;
/// Link workers for each of Lincolnshire's, and times each limit.
const TIMES: usize = 20;
/// Days that an episode is open: at least, and so many more for some.
const OPEN_DAYS: u32 = 120;
const OPEN_MORE: u32 = 100;
/// Referrals that go down the path at once.
const AT_ONCE: usize = 64;
const ETHNIC: &str = "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-EthnicCategory";
const ENGLAND: &str = "https://fhir.hl7.org.uk/CodeSystem/UKCore-EthnicCategoryEngland";
const SNOMED: &str = "http://snomed.info/sct";

/// How much is lived.
#[derive(Clone, Copy)]
pub struct Year {
    /// Referrals, one a person.
    pub referrals: u32,
    /// Contacts of each episode that is closed within the year.
    pub contacts: u32,
}

/// Writes the county's place, and the configurations that name it (`gateway.toml`) and a proposal
/// in which one network changes its scheme (`proposed.toml`).
pub fn write_files(folder: &Path, store: &str) {
    for (name, proposed) in [("gateway", false), ("proposed", true)] {
        let place = folder.join(name).join("lincolnshire");
        fs::create_dir_all(&place).unwrap();
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/lincolnshire")).unwrap().flatten()
        {
            let file = entry.file_name().into_string().unwrap();
            let text = fs::read_to_string(entry.path()).unwrap();
            let text = match file.as_str() {
                "workers.csv" => each_many_times(&text),
                "pools.csv" if proposed => {
                    limits(&text).replace(";pcn:U75268", "").replace("pcn:U17012", "pcn:U75268;pcn:U17012")
                }
                "pools.csv" => limits(&text),
                _ => text,
            };
            fs::write(place.join(file), text).unwrap();
        }
        let config = format!(
            "[gateway]\nmode = \"development\"\nplace = \"lincolnshire\"\nconfig_dir = \"{}\"\n[store]\nurl = \"{store}\"\n\
             [nhs]\ntest_numbers = \"allow\"\n",
            folder.join(name).display()
        );
        fs::write(folder.join(format!("{name}.toml")), config).unwrap();
    }
}

fn limits(text: &str) -> String {
    text.replace(",200,", &format!(",{},", 200 * TIMES))
}

/// Every link worker so many times, each under an id of its own.
fn each_many_times(text: &str) -> String {
    let (heads, workers): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| !line.starts_with("wc-"));
    let numbered = |(n, line): (usize, &&str)| line.replacen(',', &format!("-{n},"), 1);
    let many = (0..TIMES).flat_map(|n| workers.iter().map(move |line| numbered((n, line))));
    heads.into_iter().map(str::to_owned).chain(many).map(|line| line + "\n").collect()
}

/// Lives the year in an empty store.
pub async fn live(folder: &Path, store: &str, year: Year) {
    let mut config = Config::development(folder);
    config.delivery.receivers.clear();
    config.store.url = store.to_owned();
    config.gateway.place = "lincolnshire".into();
    config.gateway.config_dir = folder.join("gateway").display().to_string();
    let gateway = Gateway::open_or_create(config, Clock::fixed(morning(0))).await.unwrap();
    let practices: Vec<String> =
        gateway.place().practices().iter().map(|practice| practice.ods.as_str().to_owned()).collect();
    let house = Arc::new(House { gateway, dir: tempfile::tempdir().unwrap() });
    let mut open: Vec<Vec<(u32, Referred)>> = (0..DAYS).map(|_| Vec::new()).collect();
    for day in 0..DAYS {
        let today = (year.referrals * day / DAYS)..(year.referrals * (day + 1) / DAYS);
        let (house_, practices) = (house.clone(), &practices);
        let refer = |n: u32| refer(house_.clone(), n, practices[n as usize * 7 % practices.len()].clone(), day);
        for (n, referred) in in_turn(today.map(refer)).await {
            if let Some(then) = open.get_mut((day + OPEN_DAYS + n * 37 % OPEN_MORE) as usize) {
                then.push((n, referred));
            }
        }
        let due = std::mem::take(&mut open[day as usize]);
        let end = |(_, referred)| end(house.clone(), referred, year.contacts, day);
        in_turn(due.into_iter().map(end)).await;
        house.gateway.clock.advance(SignedDuration::from_hours(24));
    }
    house.gateway.store.close().await;
}

/// All of it, [`AT_ONCE`] at a time.
async fn in_turn<F>(work: impl Iterator<Item = F>) -> Vec<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (mut running, mut out) = (JoinSet::new(), Vec::new());
    for one in work {
        if running.len() == AT_ONCE {
            out.extend(running.join_next().await.map(Result::unwrap));
        }
        running.spawn(one);
    }
    out.extend(running.join_all().await);
    out
}

async fn refer(house: Arc<House>, n: u32, practice: String, day: u32) -> (u32, Referred) {
    let text = referrals::bars_message(n, &practice).to_string().replace("2026-01-05", &date(day).to_string());
    let mut bundle: Value = serde_json::from_str(&text).unwrap();
    person(&mut bundle["entry"][2]["resource"], n);
    if n.is_multiple_of(5) {
        let wishes = [json!({"coding": [{"system": SNOMED, "code": "314434008"}]})];
        bundle["entry"][1]["resource"]["reasonCode"].as_array_mut().unwrap().extend(wishes);
    }
    let answer = house.send(&bundle).await;
    let id = |kind: &str| answer.resources.iter().find(|(of, ..)| of == kind).unwrap().1.clone();
    let (task, patient) = (id("Task"), id("Patient"));
    let visible = house.gateway.store.visibility("Task", &task).await.unwrap();
    let pool = caller(&visible.iter().find(|(of, _)| *of == param::POOL).unwrap().1);
    (n, Referred { referral: answer.referral, task, patient, pool })
}

/// Age, sex, ethnic category and language, so that there are groups to count.
fn person(patient: &mut Value, n: u32) {
    patient["birthDate"] = json!(format!("{}-{:02}-{:02}", 1930 + n * 13 % 75, 1 + n % 12, 1 + n % 28));
    let sex = ["female", "male", "female"][n as usize % 3];
    patient["gender"] = json!(sex);
    if !n.is_multiple_of(4) {
        let code = ["A", "A", "A", "C", "H", "N", "Z"][n as usize % 7];
        let concept = json!({"coding": [{"system": ENGLAND, "code": code}]});
        patient["extension"] = json!([{"url": ETHNIC, "valueCodeableConcept": concept}]);
    }
    if n.is_multiple_of(11) {
        let spoken = ["pl", "lt", "pt"][n as usize % 3];
        let coding = json!([{"system": "urn:ietf:bcp:47", "code": spoken}]);
        patient["communication"] = json!([{"language": {"coding": coding}, "preferred": true}]);
    }
}

/// Accepted, met so many times, and closed.
async fn end(house: Arc<House>, referred: Referred, contacts: u32, day: u32) {
    house.moves(&referred, "accepted").await.unwrap();
    for n in 0..contacts {
        let at = format!("{}T08:{n:02}:00Z", date(day));
        let contact = json!({"resourceType": "Encounter", "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "subject": {"reference": format!("Patient/{}", referred.patient)},
            "basedOn": [{"reference": format!("ServiceRequest/{}", referred.referral)}],
            "period": {"start": at, "end": at}});
        house.create(&referred, contact).await.unwrap();
    }
    house.moves(&referred, "completed").await.unwrap();
}

fn date(day: u32) -> Date {
    Date::constant(2025, 11, 1).checked_add(i64::from(day).days()).unwrap()
}

fn morning(day: u32) -> Timestamp {
    date(day).at(9, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap().timestamp()
}
