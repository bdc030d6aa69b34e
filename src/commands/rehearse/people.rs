//! Which groups the people of past referrals are counted in: age, sex, ethnic category, language
//! and, where a place has the files for it, the deprivation of where they live.
//!
//! Nothing that names anybody leaves this file.

use std::collections::{HashMap, HashSet};

use jiff::civil::Date;
use serde::Deserialize;

use super::super::Failure;
use super::past::{Reader, Reference, Words};
use crate::fhir::ethnicity::ETHNIC_CATEGORY;
use crate::rehearsal::deprivation::{Deciles, squeezed};
use crate::rehearsal::{Past, Person};
use crate::routing::{Place, RouteInput};
use crate::store::StoreError;

/// A postcode for each referral whose address may be looked up, by its place in the list.
type Addresses = Vec<(usize, String)>;

/// Tells of each referral who its person is. Returns the release of the deprivation data; empty:
/// none is configured.
pub async fn tell(reader: &mut Reader<'_>, place: &Place, past: &mut [Past]) -> Result<String, Failure> {
    let referrals = patients(reader, past).await?;
    let addresses = read(reader, &referrals, past).await?;
    let Some(deciles) = deciles(place, &addresses)? else { return Ok(String::new()) };
    for (at, postcode) in addresses {
        past[at].person.decile = deciles.of(&postcode);
    }
    Ok(place.equity.release.clone())
}

/// The referrals of each patient, by their places in the list.
async fn patients(reader: &mut Reader<'_>, past: &[Past]) -> Result<HashMap<String, Vec<usize>>, StoreError> {
    let places: HashMap<&str, usize> = past.iter().enumerate().map(|(at, past)| (past.referral.as_str(), at)).collect();
    let mut out: HashMap<String, Vec<usize>> = HashMap::new();
    let take = |id: &str, body: &[u8]| {
        let (Some(at), Ok(request)) = (places.get(id), serde_json::from_slice::<Request<'_>>(body)) else { return };
        if let Some(patient) = request.subject.id_of("Patient") {
            out.entry(patient.to_owned()).or_default().push(*at);
        }
    };
    reader.each("ServiceRequest", take).await?;
    Ok(out)
}

/// Reads the patients; somebody whose Patient is not stored is in the groups of what is not known.
async fn read(
    reader: &mut Reader<'_>,
    referrals: &HashMap<String, Vec<usize>>,
    past: &mut [Past],
) -> Result<Addresses, StoreError> {
    let (mut words, mut addresses, nobody) = (Words::default(), Addresses::new(), Patient::default());
    past.iter_mut().for_each(|one| one.person = nobody.person(&one.decision.input, &mut words));
    let take = |id: &str, body: &[u8]| {
        let (Some(of), Ok(patient)) = (referrals.get(id), serde_json::from_slice::<Patient>(body)) else { return };
        for at in of {
            let input = &past[*at].decision.input;
            // An address that is withheld is not looked up, whatever is stored of it.
            addresses.extend(patient.postcode().filter(|_| !input.restricted).map(|postcode| (*at, postcode)));
            past[*at].person = patient.person(input, &mut words);
        }
    };
    reader.each("Patient", take).await?;
    Ok(addresses)
}

fn deciles(place: &Place, addresses: &Addresses) -> Result<Option<Deciles>, Failure> {
    let equity = &place.equity;
    if equity.postcode_file.is_empty() {
        return Ok(None);
    }
    let read = |path: &str| {
        std::fs::read_to_string(path).map_err(|why| Failure::usage(format!("[equity] of place.toml: {path}: {why}")))
    };
    let (postcodes, deciles) = (read(&equity.postcode_file)?, read(&equity.decile_file)?);
    let wanted: HashSet<String> = addresses.iter().map(|(_, postcode)| squeezed(postcode)).collect();
    Ok(Some(Deciles::read((&equity.postcode_file, &postcodes), (&equity.decile_file, &deciles), &wanted)?))
}

/// Whole years on a day; `None` where the date of birth is not known to the day.
fn age(birth: &str, on: Date) -> Option<u8> {
    let birth: Date = birth.parse().ok()?;
    let years = on.year() - birth.year() - i16::from((on.month(), on.day()) < (birth.month(), birth.day()));
    u8::try_from(years).ok()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Request<'a> {
    #[serde(borrow)]
    subject: Reference<'a>,
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

impl Patient {
    fn person(&self, input: &RouteInput, words: &mut Words) -> Person {
        let ethnicity = self.extension.iter().find(|extension| extension.url == ETHNIC_CATEGORY);
        let ethnicity = ethnicity.and_then(|extension| extension.value_codeable_concept.code());
        let spoken = || self.communication.iter().find_map(|spoken| spoken.language.code());
        let language = input.language.as_deref().or_else(spoken);
        Person {
            age: input.age.or_else(|| age(&self.birth_date, input.on)),
            sex: Some(self.gender.as_str()).filter(|sex| !sex.is_empty()).map(|sex| words.of(sex)),
            ethnicity: ethnicity.map(|code| words.of(code)),
            language: language.map(|code| words.of(code)),
            decile: None,
        }
    }

    fn postcode(&self) -> Option<String> {
        self.address.iter().map(|address| &address.postal_code).find(|postcode| !postcode.is_empty()).cloned()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Extension {
    url: String,
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

impl Concept {
    fn code(&self) -> Option<&str> {
        self.coding.first().map(|coding| coding.code.as_str())
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Coding {
    code: String,
}
