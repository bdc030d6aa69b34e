//! What is stored of an entry, its person and its practice, as the [`Submission`] that every
//! encoder writes and a preview shows. Adds nothing that is not stored.

use serde_json::Value;

use super::entry::{Author, Coded, EntryValue, Online, Person, RecordEntry, Submission};
use crate::delivery::runner::Unready;
use crate::fhir::ids::{NHS_NUMBER, OdsCode};
use crate::fhir::{self, observation, split_reference};
use crate::gateway::Gateway;
use crate::store::commit::OutboxRow;
use crate::store::filing::Filing;

/// What the author is when the entry does not say.
const LINK_WORKER: &str = "Social prescribing link worker";

/// The submission of a write-back row.
///
/// # Errors
/// [`Unready::NotNow`] when the store does not answer, [`Unready::Never`] when what the row names
/// is not there or cannot be read: a person must look. The words hold no patient data.
pub async fn submission(gateway: &Gateway, row: &OutboxRow) -> Result<Submission, Unready> {
    let filing = Filing::queued(row).ok_or_else(|| never("a write-back row must hold one entry of one practice"))?;
    let earlier = gateway.store.filings_of(&row.episode).await.map_err(not_now)?;
    let stored = crate::delivery::contents::stored(gateway, row).await?;
    let entry = stored.first().ok_or_else(|| never("a write-back row must hold one entry"))?;
    let observation = read(&entry.body)?;
    let person = observation["subject"]["reference"].as_str().and_then(split_reference);
    let (_, patient) = person.ok_or_else(|| never("the entry names no person"))?;
    let patient = gateway.store.read("Patient", patient).await.map_err(not_now)?;
    let patient = read(&patient.ok_or_else(|| never("the person is not in the store"))?.body)?;
    let (kind, id, version) = &filing.resource;
    let before = earlier
        .iter()
        .filter(|one| (&one.resource.0, &one.resource.1) == (kind, id) && one.resource.2 < *version)
        .max_by_key(|one| one.resource.2);
    let mut submission = of(gateway, &filing.practice, &observation, &patient)?;
    submission.key = row.id;
    submission.replaces = before.map(|one| one.id);
    submission.recorded = entry.at;
    submission.entry.version = entry.version;
    Ok(submission)
}

/// The submission that an Observation would be, for a practice, with a key of zeros: for a preview
/// of what is not stored.
///
/// # Errors
/// [`Unready::Never`] when the entry has no code or the person no NHS number.
pub fn of(gateway: &Gateway, practice: &OdsCode, observation: &Value, patient: &Value) -> Result<Submission, Unready> {
    let (place, today) = (gateway.place(), gateway.clock.now().to_zoned(jiff::tz::TimeZone::UTC).date());
    let named = place.practice(practice, today);
    let based_on = &observation["basedOn"][0]["identifier"];
    let (system, value) = (based_on["system"].as_str(), based_on["value"].as_str());
    Ok(Submission {
        key: uuid::Uuid::nil(),
        replaces: None,
        practice: practice.clone(),
        practice_name: named.map_or_else(|| practice.to_string(), |known| known.name.clone()),
        sender: gateway.config.gateway.ods.clone(),
        sender_name: gateway.config.gateway.name.clone(),
        person: person(patient)?,
        referral: system.zip(value).map(|(system, value)| (system.to_owned(), value.to_owned())),
        recorded: gateway.clock.now(),
        entry: entry(observation)?,
    })
}

fn never(why: &str) -> Unready {
    Unready::Never(format!("needs a person: {why}"))
}

fn not_now(fault: crate::store::StoreError) -> Unready {
    Unready::NotNow(format!("the store did not answer: {fault}"))
}

fn read(body: &[u8]) -> Result<Value, Unready> {
    serde_json::from_slice(body).map_err(|_| never("a stored resource cannot be read"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("").to_owned()
}

/// The person, by the official name where there are several.
fn person(patient: &Value) -> Result<Person, Unready> {
    let number = fhir::identifier(patient, NHS_NUMBER).ok_or_else(|| never("the person has no NHS number"))?;
    let names = || fhir::each(&patient["name"]);
    let official = names().find(|name| name["use"].as_str() == Some("official"));
    let name = official.or_else(|| names().next()).unwrap_or(&Value::Null);
    Ok(Person {
        nhs_number: number.to_owned(),
        family: text(&name["family"]),
        given: fhir::each(&name["given"]).map(text).collect(),
        birth_date: text(&patient["birthDate"]),
        gender: text(&patient["gender"]),
    })
}

fn entry(observation: &Value) -> Result<RecordEntry, Unready> {
    let code = coded(&observation["code"]).ok_or_else(|| never("the entry has no code"))?;
    let effective = match observation["effectiveDateTime"].as_str() {
        Some(at) => at.to_owned(),
        None => text(&observation["effectivePeriod"]["start"]),
    };
    let notes: Vec<&str> = fhir::each(&observation["note"]).filter_map(|note| note["text"].as_str()).collect();
    let category = fhir::each(&observation["category"]).next();
    Ok(RecordEntry {
        id: text(&observation["id"]),
        version: 1,
        status: text(&observation["status"]),
        category: category.map(|category| text(&category["coding"][0]["code"])).unwrap_or_default(),
        value: value(observation),
        components: components(observation),
        effective,
        text: if notes.is_empty() { code.display.clone() } else { notes.join("\n") },
        author: author(observation),
        online: online(observation),
        code,
    })
}

/// The first coding of a CodeableConcept.
fn coded(concept: &Value) -> Option<Coded> {
    let coding = fhir::each(&concept["coding"]).next()?;
    Some(Coded {
        system: text(&coding["system"]),
        code: text(&coding["code"]),
        display: coding["display"].as_str().or(concept["text"].as_str()).unwrap_or("").to_owned(),
        description_id: observation::description_id(coding).map(str::to_owned),
        local: observation::practice_codes(coding).into_iter().next(),
    })
}

fn value(observation: &Value) -> Option<EntryValue> {
    let quantity = &observation["valueQuantity"];
    if quantity["value"].is_number() {
        let (unit, ucum) = (text(&quantity["unit"]), text(&quantity["code"]));
        return Some(EntryValue::Quantity { digits: quantity["value"].to_string(), unit, ucum });
    }
    if observation["valueInteger"].is_number() {
        let digits = observation["valueInteger"].to_string();
        return Some(EntryValue::Quantity { digits, unit: String::new(), ucum: "1".to_owned() });
    }
    if let Some(coded) = coded(&observation["valueCodeableConcept"]) {
        return Some(EntryValue::Coded(coded));
    }
    observation["valueString"].as_str().map(|words| EntryValue::Text(words.to_owned()))
}

fn components(observation: &Value) -> Vec<(Coded, String)> {
    let scored = |component: &Value| {
        let score = &component["valueQuantity"]["value"];
        Some((coded(&component["code"])?, score.is_number().then(|| score.to_string())?))
    };
    fhir::each(&observation["component"]).filter_map(scored).collect()
}

fn author(observation: &Value) -> Author {
    let mut author = observation::author(observation);
    if author.role.is_empty() {
        LINK_WORKER.clone_into(&mut author.role);
    }
    author
}

fn online(observation: &Value) -> Online {
    if observation::is_hidden(observation) { Online::Hide } else { Online::Show }
}
