//! Plays the stories to a real gateway: referrals down the path, outcomes through the pool's door.

use std::collections::BTreeMap;
use std::sync::Arc;

use fingerpost::access::Caller;
use fingerpost::store::param;
use serde_json::{Value, json};

use super::pool::{House, caller};
use super::referrals;
use super::story::{Act, Measured, Person, Story};

const ETHNIC: &str = "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-EthnicCategory";
const ENGLAND: &str = "https://fhir.hl7.org.uk/CodeSystem/UKCore-EthnicCategoryEngland";
const CLOSURE: &str = "https://fingerpost.dev/CodeSystem/closure-reason";
const ONWARD: &str = "https://fingerpost.dev/CodeSystem/onward";
const UNMET: &str = "https://fingerpost.dev/StructureDefinition/unmet-need";
const CAME: &str = "https://fingerpost.dev/StructureDefinition/contact-outcome";
const ABSENT: &str = "http://terminology.hl7.org/CodeSystem/data-absent-reason";
const SNOMED: &str = "http://snomed.info/sct";

/// A story's ids, once its referral is in.
#[derive(Clone)]
pub struct Live {
    referral: String,
    task: String,
    patient: String,
    pool: Caller,
}

/// One day's acts of one story, in order. `date` is the day as `2026-04-01`.
pub async fn play(house: &House, story: &Story, acts: &[Act], mut live: Option<Live>, date: &str) -> Option<Live> {
    // So that two acts of one kind on one day are two.
    let mut minute = 0;
    for act in acts {
        minute += 1;
        let at = format!("{date}T08:{minute:02}:00Z");
        match (act, &live) {
            (Act::Refer | Act::ReferDamaged, _) => {
                let answer = house.send(&message(story, story.message, date, act)).await;
                live = admitted(house, &answer).await;
                assert_eq!(live.is_none(), matches!(act, Act::ReferDamaged), "{answer:?}");
            }
            (Act::Resend, _) => drop(house.send(&message(story, story.message, date, act)).await),
            (Act::ReferAgain(n), _) => drop(house.send(&message(story, *n, date, act)).await),
            (Act::Withdraw, _) => {
                let mut cancel = message(story, story.message, date, act);
                cancel["entry"][1]["resource"]["status"] = json!("revoked");
                house.send(&cancel).await;
            }
            (act, Some(live)) => outcome(house, live, act, &at).await,
            (act, None) => panic!("{act:?} without a referral"),
        }
    }
    live
}

async fn admitted(house: &House, answer: &fingerpost::referral::Answer) -> Option<Live> {
    let id = |kind: &str| Some(answer.resources.iter().find(|(of, ..)| of == kind)?.1.clone());
    let (task, patient) = (id("Task")?, id("Patient")?);
    let visible = house.gateway.store.visibility("Task", &task).await.unwrap();
    let pool = &visible.iter().find(|(of, _)| *of == param::POOL).unwrap().1;
    Some(Live { referral: answer.referral.clone(), task, patient, pool: caller(pool) })
}

/// The referral's message.
fn message(story: &Story, n: u32, date: &str, act: &Act) -> Value {
    let text = referrals::bars_message(n, story.practice).to_string().replace("2026-01-05", date);
    let mut bundle: Value = serde_json::from_str(&text).unwrap();
    let request = &mut bundle["entry"][1]["resource"];
    let reason = |code: &&str| json!({"coding": [{"system": SNOMED, "code": code}]});
    request["reasonCode"] = story.reasons.iter().map(reason).collect();
    person(&mut bundle["entry"][2]["resource"], &story.person, act);
    bundle
}

fn person(patient: &mut Value, person: &Person, act: &Act) {
    let number = referrals::nhs_number(person.n);
    let last = number.as_bytes()[9] - b'0';
    let damaged = format!("{}{}", &number[..9], (last + 1) % 10);
    patient["identifier"][0]["value"] = json!(if matches!(act, Act::ReferDamaged) { damaged } else { number });
    patient["name"][0]["family"] = json!(format!("Synthetic{}", person.n));
    let (year, month, day) = person.birth;
    patient["birthDate"] = json!(if month == 0 { year.to_string() } else { format!("{year}-{month:02}-{day:02}") });
    match person.sex {
        Some(sex) => patient["gender"] = json!(sex),
        None => drop(patient.as_object_mut().unwrap().shift_remove("gender")),
    }
    if let Some(code) = person.ethnicity {
        let concept = json!({"coding": [{"system": ENGLAND, "code": code}]});
        patient["extension"] = json!([{"url": ETHNIC, "valueCodeableConcept": concept}]);
    }
    if person.restricted {
        let system = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
        patient["meta"]["security"] = json!([{"system": system, "code": "R"}]);
    }
}

async fn outcome(house: &House, live: &Live, act: &Act, at: &str) {
    let resource = match act {
        Act::Accept | Act::Decline | Act::Return | Act::Close(..) => return task(house, live, act).await,
        Act::Attempt(code) => {
            let mut contact = contact("VR", at);
            let came = json!({"coding": [{"system": SNOMED, "code": code}]});
            contact["extension"] = json!([{"url": CAME, "valueCodeableConcept": came}]);
            contact
        }
        Act::Meet(class) => contact(class, at),
        Act::Signpost(to) => onward("signpost", "proposal", to, at),
        Act::Onward(to) => onward("referral", "order", to, at),
        Act::Measure(measured) => measure(measured, at),
        other => panic!("{other:?} is no outcome"),
    };
    create(house, live, resource).await;
}

async fn create(house: &House, live: &Live, mut resource: Value) {
    resource["subject"] = json!({"reference": format!("Patient/{}", live.patient)});
    resource["basedOn"] = json!([{"reference": format!("ServiceRequest/{}", live.referral)}]);
    let kind = resource["resourceType"].as_str().unwrap().to_owned();
    let write = fingerpost::outcome::Write { kind, resource, ..Default::default() };
    fingerpost::outcome::record(&house.gateway, &live.pool, write).await.unwrap();
}

async fn task(house: &House, live: &Live, act: &Act) {
    let mut task = house.read("Task", &live.task).await;
    let itk = "https://fhir.nhs.uk/STU3/CodeSystem/ITK-ResponseCodes-1";
    match act {
        Act::Accept => task["status"] = json!("accepted"),
        Act::Decline => {
            task["status"] = json!("rejected");
            task["statusReason"] = json!({"text": "would rather not"});
        }
        Act::Return => {
            task["status"] = json!("rejected");
            task["statusReason"] = json!({"text": "not reached"});
            task["businessStatus"] = json!({"coding": [{"system": itk, "code": "30012"}]});
        }
        Act::Close(reason, lacking) => {
            task["status"] = json!("completed");
            task["statusReason"] = json!({"coding": [{"system": CLOSURE, "code": reason}]});
            let need = |words: &&str| json!({"url": UNMET, "valueCodeableConcept": {"text": words}});
            if !lacking.is_empty() {
                task["extension"] = lacking.iter().map(need).collect();
            }
        }
        other => panic!("{other:?} is nothing that a Task says"),
    }
    house.update(&live.pool, task, None).await.unwrap();
}

fn contact(class: &str, at: &str) -> Value {
    json!({"resourceType": "Encounter", "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": class},
        "period": {"start": at, "end": at}})
}

fn onward(sort: &str, intent: &str, to: &str, at: &str) -> Value {
    json!({"resourceType": "ServiceRequest", "status": "active", "intent": intent,
        "category": [{"coding": [{"system": ONWARD, "code": sort}]}],
        "code": {"text": to}, "performer": [{"display": "A local service (fictional)"}], "authoredOn": at})
}

fn score(id: &str, at: &str, value: Option<u32>) -> Value {
    let scale = fingerpost::outcome::measure::measures().scale(id).unwrap();
    let mut made = json!({"resourceType": "Observation", "status": "final", "effectiveDateTime": at,
        "code": {"coding": [{"system": scale.system, "code": scale.code}]}});
    if let Some(value) = value {
        made["valueQuantity"] =
            json!({"value": value, "unit": "score", "system": "http://unitsofmeasure.org", "code": "{score}"});
    }
    made
}

fn form(name: &str, at: &str, answers: &[(String, u32)]) -> Value {
    let item = |(link, number): &(String, u32)| json!({"linkId": link, "answer": [{"valueInteger": number}]});
    json!({"resourceType": "QuestionnaireResponse", "status": "completed", "authored": at,
        "questionnaire": format!("https://forms.example/Questionnaire/{name}"),
        "item": answers.iter().map(item).collect::<Vec<_>>()})
}

fn numbered(answers: &[u32]) -> Vec<(String, u32)> {
    answers.iter().enumerate().map(|(i, number)| ((i + 1).to_string(), *number)).collect()
}

fn measure(measured: &Measured, at: &str) -> Value {
    match measured {
        Measured::Swemwbs(raw) => score("swemwbs", at, Some(*raw)),
        Measured::SwemwbsItems(items) => form("swemwbs", at, &numbered(items)),
        Measured::Ons4(values) => {
            let links = ["satisfaction", "worthwhile", "happiness", "anxiety"].map(str::to_owned);
            form("ons4", at, &links.into_iter().zip(*values).collect::<Vec<_>>())
        }
        Measured::Phq9(total, version) => {
            let mut made = score("phq9", at, Some(*total));
            if !version.is_empty() {
                made["method"] = json!({"text": version});
            }
            made
        }
        Measured::EqVas(value) => score("eq-vas", at, Some(*value)),
        Measured::Ucla(answers) => form("ucla-3", at, &numbered(answers)),
        Measured::NotSuitable => {
            let mut made = score("swemwbs", at, None);
            made["dataAbsentReason"] = json!({"coding": [{"system": ABSENT, "code": "not-applicable"}]});
            made["note"] = json!([{"text": "not validated for this person"}]);
            made
        }
    }
}

/// What each story does on each day.
pub fn calendar(stories: &[Story]) -> BTreeMap<u32, BTreeMap<usize, Vec<Act>>> {
    let mut days: BTreeMap<u32, BTreeMap<usize, Vec<Act>>> = BTreeMap::new();
    for (at, story) in stories.iter().enumerate() {
        for (day, act) in story.happens() {
            days.entry(*day).or_default().entry(at).or_default().push(act.clone());
        }
    }
    days
}

/// Plays one day: all stories at once, so that their commits share transactions.
pub async fn day(
    house: &Arc<House>,
    stories: &Arc<Vec<Story>>,
    lives: &mut [Option<Live>],
    acts: BTreeMap<usize, Vec<Act>>,
    date: &str,
) {
    let mut all = tokio::task::JoinSet::new();
    for (at, acts) in acts {
        let (house, stories, live, date) = (house.clone(), stories.clone(), lives[at].clone(), date.to_owned());
        all.spawn(async move { (at, play(&house, &stories[at], &acts, live, &date).await) });
    }
    while let Some(done) = all.join_next().await {
        let (at, live) = done.unwrap();
        lives[at] = live;
    }
}
