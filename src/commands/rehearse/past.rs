//! Reads what a rehearsal needs of the store: decisions, when referrals came and ended, and the
//! groups that people are counted in. Nothing that names anybody leaves this file.

use std::collections::{HashMap, HashSet};

use jiff::civil::Date;
use serde::Deserialize;

use super::super::Failure;
use super::super::progress::Progress;
use crate::fhir::ethnicity::ETHNIC_CATEGORY;
use crate::fhir::provenance::ROUTE;
use crate::gateway::Gateway;
use crate::rehearsal::deprivation::{Deciles, squeezed};
use crate::rehearsal::{Measured, Past, Person};
use crate::routing::{Decision, Place};
use crate::store::commit::{LedgerRow, LedgerState};
use crate::store::{Search, StoreError, Stored};

/// What a ledger row waits for once a referral has ended and only its write-back is to come.
const WRITTEN_BACK: &str = "practice-system";

/// What was read.
pub struct Read {
    pub past: Vec<Past>,
    pub measured: Option<Measured>,
    /// The release of the deprivation data; empty: none is configured.
    pub deprivation: String,
}

/// Reads all stored referrals that a decision was made for.
pub async fn read(gateway: &Gateway, place: &Place) -> Result<Read, Failure> {
    let decisions = decisions(gateway).await?;
    let requests = of_kind::<Request, _>(gateway, "ServiceRequest", |id, request| (id, request.subject.id())).await?;
    let subjects: HashMap<String, String> = requests.into_iter().collect();
    let patients: HashMap<String, Patient> =
        of_kind::<Patient, _>(gateway, "Patient", |id, patient| (id, patient)).await?.into_iter().collect();
    let rows: HashMap<String, LedgerRow> =
        gateway.store.ledger(None, None).await?.into_iter().map(|row| (row.id.clone(), row)).collect();
    let deciles = deciles(place, &patients)?;
    let mut past = Vec::with_capacity(decisions.len());
    for (referral, decision) in decisions {
        let Some(row) = rows.get(&referral) else { continue };
        let patient = subjects.get(&referral).and_then(|id| patients.get(id));
        let ended = matches!(row.state, LedgerState::Closed | LedgerState::Returned | LedgerState::Withdrawn)
            || row.waiting_on == WRITTEN_BACK;
        past.push(Past {
            at: row.received_at,
            ended: ended.then_some(row.since),
            person: person(patient, &decision, deciles.as_ref()),
            referral,
            decision,
        });
    }
    let measured = measured(gateway, &past).await?;
    let deprivation = deciles.map(|_| place.equity.release.clone()).unwrap_or_default();
    Ok(Read { past, measured, deprivation })
}

/// The decision of each referral that has one of its own; a second referral of somebody with an
/// open episode went where the first was.
async fn decisions(gateway: &Gateway) -> Result<Vec<(String, Decision)>, StoreError> {
    let all = of_kind::<Provenance, _>(gateway, "Provenance", |_, provenance| {
        let referral = provenance.target.iter().find_map(|target| target.id_of("ServiceRequest"));
        let text = provenance.extension.into_iter().find(|extension| extension.url == ROUTE);
        let decision = text.and_then(|text| serde_json::from_str::<Decision>(&text.value_string).ok());
        referral.zip(decision)
    });
    Ok(all.await?.into_iter().flatten().collect())
}

/// Contacts of referrals that have ended.
async fn measured(gateway: &Gateway, past: &[Past]) -> Result<Option<Measured>, StoreError> {
    let ended: HashSet<&str> =
        past.iter().filter(|past| past.ended.is_some()).map(|past| past.referral.as_str()).collect();
    let finished = of_kind::<Encounter, _>(gateway, "Encounter", |_, encounter| {
        let of = encounter.based_on.iter().find_map(|reference| reference.id_of("ServiceRequest"));
        of.filter(|_| encounter.status == "finished")
    });
    let mut contacts = 0;
    let mut people = HashSet::new();
    for referral in finished.await?.into_iter().flatten().filter(|referral| ended.contains(referral.as_str())) {
        contacts += 1;
        people.insert(referral);
    }
    Ok(Some(Measured { contacts, people: people.len() as u64 }).filter(|measured| measured.people > 0))
}

/// Every current resource of a type, cut down to what is needed of it.
async fn of_kind<T: for<'a> Deserialize<'a>, U>(
    gateway: &Gateway,
    kind: &str,
    take: impl Fn(String, T) -> U,
) -> Result<Vec<U>, StoreError> {
    let (mut out, mut progress) = (Vec::new(), Progress::new("records"));
    let keep = |stored: Stored| {
        if let Some(read) = serde_json::from_slice(&stored.body).ok().filter(|_| !stored.deleted) {
            out.push(take(stored.id, read));
        }
        progress.at(out.len() as u64, 0);
        Ok(())
    };
    gateway.store.each(Search::of(kind), keep).await?;
    Ok(out)
}

fn person(patient: Option<&Patient>, decision: &Decision, deciles: Option<&Deciles>) -> Person {
    let nobody = Patient::default();
    let patient = patient.unwrap_or(&nobody);
    let ethnicity = patient.extension.iter().find(|extension| extension.url == ETHNIC_CATEGORY);
    let coded = |concept: &Concept| concept.coding.first().map(|coding| coding.code.clone());
    let spoken = || patient.communication.iter().find_map(|spoken| coded(&spoken.language));
    // An address that is withheld is not looked up, whatever is stored of it.
    let postcode = patient.address.iter().map(|address| &address.postal_code).find(|postcode| !postcode.is_empty());
    let postcode = postcode.filter(|_| !decision.input.restricted);
    Person {
        age: decision.input.age.or_else(|| age(&patient.birth_date, decision.input.on)),
        sex: Some(patient.gender.clone()).filter(|sex| !sex.is_empty()),
        ethnicity: ethnicity.and_then(|extension| coded(&extension.value_codeable_concept)),
        language: decision.input.language.clone().or_else(spoken),
        decile: deciles.zip(postcode).and_then(|(deciles, postcode)| deciles.of(postcode)),
    }
}

/// Whole years on a day; `None` where the date of birth is not known to the day.
fn age(birth: &str, on: Date) -> Option<u8> {
    let birth: Date = birth.parse().ok()?;
    let years = on.year() - birth.year() - i16::from((on.month(), on.day()) < (birth.month(), birth.day()));
    u8::try_from(years).ok()
}

fn deciles(place: &Place, patients: &HashMap<String, Patient>) -> Result<Option<Deciles>, Failure> {
    let equity = &place.equity;
    if equity.postcode_file.is_empty() {
        return Ok(None);
    }
    let read = |path: &str| {
        std::fs::read_to_string(path).map_err(|why| Failure::usage(format!("[equity] of place.toml: {path}: {why}")))
    };
    let (postcodes, deciles) = (read(&equity.postcode_file)?, read(&equity.decile_file)?);
    let addresses = patients.values().flat_map(|patient| &patient.address);
    let wanted: HashSet<String> = addresses.map(|address| squeezed(&address.postal_code)).collect();
    Ok(Some(Deciles::read((&equity.postcode_file, &postcodes), (&equity.decile_file, &deciles), &wanted)?))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Provenance {
    target: Vec<Reference>,
    extension: Vec<Extension>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Request {
    subject: Reference,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Encounter {
    status: String,
    based_on: Vec<Reference>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Patient {
    birth_date: String,
    gender: String,
    extension: Vec<Extension>,
    communication: Vec<Spoken>,
    address: Vec<Address>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Extension {
    url: String,
    value_string: String,
    value_codeable_concept: Concept,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Spoken {
    language: Concept,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Address {
    postal_code: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Concept {
    coding: Vec<Coding>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Coding {
    code: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reference {
    reference: String,
}

impl Reference {
    fn id(&self) -> String {
        self.reference.rsplit('/').next().unwrap_or("").to_owned()
    }

    /// The id of a reference to a resource of a type, with or without its version.
    fn id_of(&self, kind: &str) -> Option<String> {
        let rest = self.reference.strip_prefix(kind)?.strip_prefix('/')?;
        rest.split('/').next().map(str::to_owned)
    }
}
