//! What routing decides on, read from the mapped resources: the same for every channel.
//!
//! Pure. What a resource does not say is not guessed. Codes are SNOMED CT's and the reasonable
//! adjustment flag's; the elements are UK Core's:
//! <https://simplifier.net/guide/ukcoreimplementationguide>,
//! <https://digital.nhs.uk/services/reasonable-adjustment-flag>
//!
//! Not here: what was learnt of the person before (`legs`), and what a place makes of it (`routing`).

use std::collections::BTreeSet;

use jiff::civil::Date;
use serde_json::Value;

use super::language;
use crate::fhir::ids::SNOMED;
use crate::fhir::{self, each, extension};
use crate::routing::{Day, RouteInput, Sex, Source};

/// Who referred, by UK Core's codes; the sender's configured kind is used where none is sent.
const SOURCE: &str = "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-SourceOfServiceRequest";
/// HL7's own extension: the person needs an interpreter.
const INTERPRETER: &str = "http://hl7.org/fhir/StructureDefinition/patient-interpreterRequired";
/// The categories of BaRS' flags.
const FLAG_CATEGORY: &str = "https://fhir.nhs.uk/CodeSystem/flag-categories-bars";
/// Hour from which it is evening.
const EVENING_HOUR: u8 = 17;
/// Needs and specialisms that are taken from one referral.
const CODES_MAX: usize = 50;

/// Preference for a female or male health professional.
const WORKER_SEX: [(&str, Sex); 2] = [("314434008", Sex::Female), ("314435009", Sex::Male)];
/// Requires home visit appointments; housebound.
const HOME_VISIT: [&str; 2] = ["1325371000000107", "160689007"];
/// Where the person is seen: patient's residence, home health.
const AT_HOME: [&str; 2] = ["PTRES", "HH"];
/// Requires wheelchair access.
const ACCESSIBLE: [&str; 1] = ["1108191000000103"];
/// UK Core's sources of a service request; any other that is known is an agency.
const SOURCES: [(&str, Source); 9] = [
    ("108161000000109", Source::GeneralPractice), // general practitioner
    ("185362004", Source::GeneralPractice),       // nurse
    ("276491000", Source::GeneralPractice),       // primary health care team
    ("310434002", Source::SelfReferral),          // self
    ("1065391000000104", Source::SelfReferral),   // carer
    ("185373006", Source::SelfReferral),          // family
    ("185369008", Source::Agency),                // pharmacist
    ("185365002", Source::Agency),                // social worker
    ("1052681000000105", Source::Agency),         // health visitor
];

/// The mapped resources that routing reads.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// The ServiceRequest.
    pub request: &'a Value,
    /// The Patient.
    pub patient: &'a Value,
    /// All mapped resources, the Flags among them.
    pub all: &'a [Value],
}

/// Adds to `input` all that the resources say. `source` is the sender's configured kind;
/// `districts` says whether the place's rules ask for the postcode district.
pub fn fill(mut input: RouteInput, said: Said<'_>, source: Source, districts: bool) -> RouteInput {
    let codes = codes(said);
    let has = |wanted: &[&str]| wanted.iter().any(|code| codes.contains(*code));
    input.age = age(said.patient, input.on);
    input.needs = snomed(&said.request["reasonCode"]).take(CODES_MAX).map(str::to_owned).collect();
    let (language, interpreter) = speaks(said.patient, &codes);
    input.language = language;
    input.interpreter = interpreter;
    let asked: Vec<Sex> = WORKER_SEX.iter().filter(|(code, _)| codes.contains(code)).map(|(_, sex)| *sex).collect();
    // Both at once says nothing.
    input.worker_sex = if let [one] = asked[..] { Some(one) } else { None };
    input.home_visit = has(&HOME_VISIT) || at_home(said.request);
    input.accessible = has(&ACCESSIBLE);
    (input.days, input.evening) = times(said.request);
    input.safeguarding = flags(said.all).any(|flag| is_category(flag, "SG"));
    input.source = stated_source(said.request).unwrap_or(source);
    input.specialisms = specialisms(said.request);
    input.district = if districts && !input.restricted { district(said.patient) } else { None };
    input
}

/// The SNOMED CT codes of all that describes the person's needs and wishes.
fn codes<'a>(said: Said<'a>) -> BTreeSet<&'a str> {
    let elements = ["reasonCode", "orderDetail", "locationCode", "performerType"];
    let of_request = elements.iter().flat_map(|element| snomed(&said.request[*element]));
    let of_flags = flags(said.all).flat_map(|flag| codings(&flag["code"], SNOMED));
    of_request.chain(of_flags).collect()
}

/// Flags that hold.
fn flags(all: &[Value]) -> impl Iterator<Item = &Value> {
    all.iter().filter(|resource| fhir::kind(resource) == "Flag" && resource["status"].as_str() == Some("active"))
}

fn is_category(flag: &Value, code: &str) -> bool {
    each(&flag["category"]).any(|category| codings(category, FLAG_CATEGORY).any(|found| found == code))
}

fn codings<'a>(concept: &'a Value, system: &str) -> impl Iterator<Item = &'a str> {
    each(&concept["coding"])
        .filter(move |coding| coding["system"].as_str() == Some(system))
        .filter_map(|coding| coding["code"].as_str())
}

/// The SNOMED CT codes of a repeating or single CodeableConcept.
fn snomed(element: &Value) -> impl Iterator<Item = &str> {
    let single = Some(element).filter(|element| element.is_object()).into_iter();
    single.chain(each(element)).flat_map(|concept| codings(concept, SNOMED))
}

/// Whole years on that day; a birth date that is partial counts from its first day.
fn age(patient: &Value, on: Date) -> Option<u8> {
    let text = patient["birthDate"].as_str()?;
    let mut parts = text.split('-');
    let year: i16 = parts.next()?.parse().ok()?;
    let mut next = || parts.next().map_or(Some(1), |part| part.parse::<i8>().ok());
    let born = Date::new(year, next()?, next()?).ok()?;
    let before_birthday = (on.month(), on.day()) < (born.month(), born.day());
    u8::try_from(on.year() - born.year() - i16::from(before_birthday)).ok()
}

/// The language in which the person wants to be seen, if not English, and whether an interpreter will do.
fn speaks(patient: &Value, codes: &BTreeSet<&str>) -> (Option<String>, bool) {
    let spoken: Vec<_> = codes.iter().filter_map(|code| language::of(code)).collect();
    let coded = spoken.iter().map(|spoken| spoken.language.as_str()).find(|code| !code.is_empty() && *code != "en");
    let named = preferred(patient).or_else(|| nested(patient, "language"));
    let language = named.or_else(|| coded.map(str::to_owned)).filter(|code| code != "en");
    let asked = |value: &Value| value.as_bool() == Some(true);
    let interpreter = extension(patient, INTERPRETER).is_some_and(|e| asked(&e["valueBoolean"]))
        || nested_flag(patient)
        || spoken.iter().any(|spoken| spoken.interpreter);
    (language, interpreter)
}

/// The preferred language of `Patient.communication`; the only one, where none is preferred.
fn preferred(patient: &Value) -> Option<String> {
    let all = patient["communication"].as_array()?;
    let chosen = all.iter().find(|one| one["preferred"].as_bool() == Some(true));
    let chosen = chosen.or_else(|| all.first().filter(|_| all.len() == 1))?;
    each(&chosen["language"]["coding"]).find_map(|coding| iso(coding["code"].as_str()?))
}

/// The sub-extension `name` of the older NHS communication extension.
fn communication<'a>(patient: &'a Value, name: &str) -> Option<&'a Value> {
    let outer =
        each(&patient["extension"]).find(|e| e["url"].as_str().is_some_and(|url| url.contains("NHSCommunication")));
    extension(outer?, name)
}

fn nested(patient: &Value, name: &str) -> Option<String> {
    let concept = &communication(patient, name)?["valueCodeableConcept"];
    each(&concept["coding"]).find_map(|coding| iso(coding["code"].as_str()?))
}

fn nested_flag(patient: &Value) -> bool {
    communication(patient, "interpreterRequired").is_some_and(|e| e["valueBoolean"].as_bool() == Some(true))
}

/// The language of a tag such as `ur` or `pt-BR`.
fn iso(tag: &str) -> Option<String> {
    let first = tag.split('-').next().unwrap_or("").to_ascii_lowercase();
    let fits = (2..=3).contains(&first.len()) && first.bytes().all(|b| b.is_ascii_lowercase());
    fits.then_some(first)
}

fn at_home(request: &Value) -> bool {
    each(&request["locationCode"])
        .flat_map(|concept| each(&concept["coding"]))
        .any(|coding| coding["code"].as_str().is_some_and(|code| AT_HOME.contains(&code)))
}

/// The days on which the person can be seen, and whether only in the evening.
fn times(request: &Value) -> (Vec<Day>, bool) {
    let repeat = &request["occurrenceTiming"]["repeat"];
    let mut days: Vec<Day> =
        each(&repeat["dayOfWeek"]).filter_map(|day| serde_json::from_value(day.clone()).ok()).collect();
    days.sort_unstable();
    days.dedup();
    let late = |time: &Value| {
        let hour = time.as_str().and_then(|text| text.get(..2)?.parse::<u8>().ok());
        hour.is_some_and(|hour| hour >= EVENING_HOUR)
    };
    let clock = each(&repeat["timeOfDay"]);
    let evening = each(&repeat["when"]).any(|when| when.as_str() == Some("EVE"));
    (days, evening || (clock.len() > 0 && clock.clone().all(late)))
}

fn stated_source(request: &Value) -> Option<Source> {
    let code = codings(&extension(request, SOURCE)?["valueCodeableConcept"], SNOMED).next()?;
    Some(SOURCES.iter().find(|(known, _)| *known == code).map_or(Source::Agency, |(_, source)| *source))
}

/// Skills asked for, by the place's own words: codes that are not SNOMED CT's, and texts.
fn specialisms(request: &Value) -> Vec<String> {
    let mut words = BTreeSet::new();
    for concept in each(&request["orderDetail"]).chain(Some(&request["performerType"])) {
        let local = each(&concept["coding"]).filter(|coding| coding["system"].as_str() != Some(SNOMED));
        words.extend(local.filter_map(|coding| word(coding["code"].as_str()?)));
    }
    words.into_iter().take(CODES_MAX).collect()
}

/// A code as a place's files write words: small letters, digits and hyphens.
fn word(code: &str) -> Option<String> {
    let word = code.trim().to_ascii_lowercase().replace([' ', '_'], "-");
    let fits = !word.is_empty() && word.len() <= 40 && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    fits.then_some(word)
}

/// The outward part of the home postcode.
fn district(patient: &Value) -> Option<String> {
    let home = each(&patient["address"]).find(|address| address["use"].as_str() == Some("home"));
    let address = home.or_else(|| each(&patient["address"]).next())?;
    let code: String = address["postalCode"].as_str()?.chars().filter(|c| !c.is_whitespace()).collect();
    let outward = code.get(..code.len().checked_sub(3)?)?.to_ascii_uppercase();
    let fits = (2..=4).contains(&outward.len()) && outward.bytes().all(|b| b.is_ascii_alphanumeric());
    fits.then_some(outward)
}

#[cfg(test)]
#[path = "input_tests.rs"]
mod tests;
