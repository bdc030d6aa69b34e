//! Pools, employers, link workers and venues as FHIR: HealthcareService, Organization, Practitioner,
//! PractitionerRole, Location. <https://hl7.org/fhir/R4/healthcareservice.html>,
//! <https://hl7.org/fhir/R4/practitionerrole.html>
//!
//! Built from a place's rows; read back in `directory`. Why somebody is away is not said.

use jiff::civil::Date;
use serde_json::{Value, json};

use super::ids::ODS;
use super::task::POOL;
use crate::routing::{Absence, Day, Period, Pool, Serves, Sex, Venue, Worker};

/// The system of link workers' ids.
pub const WORKER: &str = "https://fingerpost.dev/id/worker";
/// The system of venues' ids.
pub const VENUE: &str = "https://fingerpost.dev/id/venue";
/// A place's own words for skills.
pub const SKILL: &str = "https://fingerpost.dev/CodeSystem/skill";
/// Languages. <https://hl7.org/fhir/R4/valueset-languages.html>
pub const LANGUAGE: &str = "urn:ietf:bcp:47";
/// Hundredths of full-time in a pool, as a decimal share.
pub const FTE: &str = "https://fingerpost.dev/StructureDefinition/fte";
/// True when the link worker sees people at home.
pub const HOME_VISITS: &str = "https://fingerpost.dev/StructureDefinition/home-visits";
/// Whose referrals a pool takes; read only.
pub const SERVES: &str = "https://fingerpost.dev/StructureDefinition/pool-serves";
/// Open episodes that a pool never goes over.
pub const LIMIT: &str = "https://fingerpost.dev/StructureDefinition/pool-limit";
/// Working days to the first contact.
pub const FIRST_CONTACT: &str = "https://fingerpost.dev/StructureDefinition/pool-first-contact-days";
/// True when a pool works with interpreters.
pub const INTERPRETER: &str = "https://fingerpost.dev/StructureDefinition/pool-interpreter";
/// True for a venue without steps.
pub const ACCESSIBLE: &str = "https://fingerpost.dev/StructureDefinition/step-free";
/// The pool that a venue belongs to.
pub const VENUE_POOL: &str = "https://fingerpost.dev/StructureDefinition/venue-pool";

/// The logical id of a link worker's role in a pool.
pub fn role_id(pool: &str, worker: &str) -> String {
    format!("{pool}.{worker}")
}

/// A pool, with the ids of its venues.
pub fn service(pool: &Pool, venues: &[&str], on: Date) -> Value {
    let serves = pool.serves.iter().map(|serves| match serves {
        Serves::Pcn(code) => format!("pcn:{code}"),
        Serves::Cluster(name) => format!("cluster:{name}"),
        Serves::Place => "place".to_owned(),
    });
    let mut extensions: Vec<Value> = serves.map(|text| json!({"url": SERVES, "valueString": text})).collect();
    extensions.extend(pool.limit.map(|limit| json!({"url": LIMIT, "valueInteger": limit})));
    extensions.extend(pool.first_contact_days.map(|days| json!({"url": FIRST_CONTACT, "valueInteger": days})));
    extensions.push(json!({"url": INTERPRETER, "valueBoolean": pool.interpreter}));
    let locations: Vec<Value> = venues.iter().map(|id| json!({"reference": format!("Location/{id}")})).collect();
    let mut service = json!({
        "resourceType": "HealthcareService",
        "id": pool.id,
        "extension": extensions,
        "identifier": [{"system": POOL, "value": pool.id}],
        "active": pool.open && pool.period.holds(on),
        "providedBy": {"reference": format!("Organization/{}", pool.employer_code), "display": pool.employer},
        "name": pool.name,
    });
    if !locations.is_empty() {
        service["location"] = json!(locations);
    }
    service
}

/// The organisation that employs a pool's link workers.
pub fn employer(pool: &Pool) -> Value {
    json!({
        "resourceType": "Organization",
        "id": pool.employer_code.as_str(),
        "identifier": [{"system": ODS, "value": pool.employer_code.as_str()}],
        "active": true,
        "name": pool.employer,
    })
}

/// A link worker as a person.
pub fn practitioner(worker: &Worker) -> Value {
    let mut practitioner = json!({
        "resourceType": "Practitioner",
        "id": worker.id,
        "identifier": [{"system": WORKER, "value": worker.id}],
        "active": true,
        "name": [{"text": worker.name}],
    });
    match worker.sex {
        Some(Sex::Female) => practitioner["gender"] = json!("female"),
        Some(Sex::Male) => practitioner["gender"] = json!("male"),
        None => {}
    }
    let spoken = |code: &String| json!({"coding": [{"system": LANGUAGE, "code": code}]});
    if !worker.languages.is_empty() {
        practitioner["communication"] = worker.languages.iter().map(spoken).collect();
    }
    practitioner
}

/// A link worker's work in one pool, with their absences.
pub fn role(worker: &Worker, employer: &str, absences: &[&Absence], on: Date) -> Value {
    let hundredths = worker.fte_hundredths;
    let fte = serde_json::from_str::<Value>(&format!("{}.{:02}", hundredths / 100, hundredths % 100));
    let mut role = json!({
        "resourceType": "PractitionerRole",
        "id": role_id(&worker.pool, &worker.id),
        "extension": [
            {"url": FTE, "valueDecimal": fte.unwrap_or_default()},
            {"url": HOME_VISITS, "valueBoolean": worker.home_visits},
        ],
        "identifier": [{"system": WORKER, "value": worker.id}],
        "active": worker.period.holds(on),
        "period": period(worker.period),
        "practitioner": {"reference": format!("Practitioner/{}", worker.id), "display": worker.name},
        "organization": {"reference": format!("Organization/{employer}")},
        "healthcareService": [{"reference": format!("HealthcareService/{}", worker.pool)}],
    });
    let skill = |word: &String| json!({"coding": [{"system": SKILL, "code": word}]});
    if !worker.skills.is_empty() {
        role["specialty"] = worker.skills.iter().map(skill).collect();
    }
    let shifts = worker.shifts.iter().map(|shift| {
        json!({"daysOfWeek": [day(shift.day)], "availableStartTime": shift.from.strftime("%H:%M:%S").to_string(),
            "availableEndTime": shift.to.strftime("%H:%M:%S").to_string()})
    });
    let shifts: Vec<Value> = shifts.collect();
    if !shifts.is_empty() {
        role["availableTime"] = json!(shifts);
    }
    let away = |absence: &&Absence| json!({"description": "Away", "during": period(absence.period)});
    if !absences.is_empty() {
        role["notAvailable"] = absences.iter().map(away).collect();
    }
    role
}

/// A place where a pool sees people.
pub fn location(venue: &Venue, on: Date) -> Value {
    json!({
        "resourceType": "Location",
        "id": venue.id,
        "extension": [
            {"url": ACCESSIBLE, "valueBoolean": venue.accessible},
            {"url": VENUE_POOL, "valueReference": {"reference": format!("HealthcareService/{}", venue.pool)}},
        ],
        "identifier": [{"system": VENUE, "value": venue.id}],
        "status": if venue.period.holds(on) { "active" } else { "inactive" },
        "name": venue.name,
        "address": {"postalCode": venue.postcode},
    })
}

fn period(period: Period) -> Value {
    let mut out = json!({"start": period.from.to_string()});
    if let Some(to) = period.to {
        out["end"] = json!(to.to_string());
    }
    out
}

fn day(day: Day) -> Value {
    serde_json::to_value(day).unwrap_or_default()
}
