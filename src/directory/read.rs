//! FHIR as the rows of a place: what an update may say, each element by its name.

use jiff::civil::{Date, Time};
use serde_json::Value;

use crate::fhir::directory::{
    ACCESSIBLE, FIRST_CONTACT, FTE, HOME_VISITS, INTERPRETER, LANGUAGE, LIMIT, SKILL, role_id,
};
use crate::fhir::{self, each, extension};
use crate::rejection::{IssueType, Rejection};
use crate::routing::{Absence, Day, Overlay, Period, Place, Pool, Sex, Shift, Venue, Worker};

/// Puts what a resource says over the rows of the files and of the overlay. Returns the pools
/// that it is about.
///
/// # Errors
/// 404 for what the place does not have, 422 with the element for what cannot be read.
pub(super) fn apply(place: &Place, overlay: &mut Overlay, resource: &Value) -> Result<Vec<String>, Rejection> {
    let id = fhir::id(resource);
    match fhir::kind(resource) {
        "HealthcareService" => service(place, overlay, id, resource),
        "Practitioner" => practitioner(place, overlay, id, resource),
        "PractitionerRole" => role(place, overlay, id, resource),
        "Location" => location(place, overlay, id, resource),
        _ => Err(Rejection::not_found()),
    }
}

fn service(place: &Place, overlay: &mut Overlay, id: &str, said: &Value) -> Result<Vec<String>, Rejection> {
    let mut rows = rows(&overlay.pools, place.pools(), |pool: &Pool| pool.id == id)?;
    for pool in &mut rows {
        pool.name = text(&said["name"], "HealthcareService.name")?;
        pool.open = truth(&said["active"], "HealthcareService.active")?;
        pool.interpreter = flag(said, INTERPRETER, pool.interpreter);
        pool.limit = whole(said, LIMIT, "HealthcareService.extension")?;
        pool.first_contact_days = whole(said, FIRST_CONTACT, "HealthcareService.extension")?;
    }
    overlay.pools.retain(|pool| pool.id != id);
    overlay.pools.extend(rows);
    Ok(vec![id.to_owned()])
}

/// The person: in all their pools alike.
fn practitioner(place: &Place, overlay: &mut Overlay, id: &str, said: &Value) -> Result<Vec<String>, Rejection> {
    bring_worker(place, overlay, id)?;
    let name = text(&said["name"][0]["text"], "Practitioner.name")?;
    let sex = match said["gender"].as_str() {
        Some("female") => Some(Sex::Female),
        Some("male") => Some(Sex::Male),
        None | Some("other" | "unknown") => None,
        Some(_) => return Err(wrong("Practitioner.gender", "it must be female, male, other or unknown")),
    };
    let mut languages = Vec::new();
    for concept in each(&said["communication"]) {
        let code = fhir::coding(concept, LANGUAGE).unwrap_or("");
        let fits = (2..=3).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_lowercase());
        if !fits {
            return Err(wrong("Practitioner.communication", "each must have an ISO 639 code such as ur"));
        }
        languages.push(code.to_owned());
    }
    let mut pools = Vec::new();
    for worker in overlay.workers.iter_mut().filter(|worker| worker.id == id) {
        (worker.name, worker.sex, worker.languages) = (name.clone(), sex, languages.clone());
        pools.push(worker.pool.clone());
    }
    Ok(pools)
}

/// Their work in one pool, and when they are away from all.
fn role(place: &Place, overlay: &mut Overlay, id: &str, said: &Value) -> Result<Vec<String>, Rejection> {
    let named = place.workers().iter().find(|worker| role_id(&worker.pool, &worker.id) == id);
    let (worker, pool) = named.map(|row| (row.id.clone(), row.pool.clone())).ok_or_else(Rejection::not_found)?;
    let shifts = shifts(said)?;
    let mut skills = Vec::new();
    for concept in each(&said["specialty"]) {
        let code = fhir::coding(concept, SKILL);
        skills.push(code.ok_or_else(|| wrong("PractitionerRole.specialty", "say it in the place's words"))?.to_owned());
    }
    let fte = extension(said, FTE).map(|found| found["valueDecimal"].to_string()).unwrap_or_default();
    let fte = hundredths(&fte).ok_or_else(|| wrong("PractitionerRole.extension", "fte must be such as 0.5"))?;
    let time =
        period(&said["period"]).ok_or_else(|| wrong("PractitionerRole.period", "start and end must be dates"))?;
    let mut absences = Vec::new();
    for away in each(&said["notAvailable"]) {
        let words = "each must say in during from when to when";
        let period = period(&away["during"]).ok_or_else(|| wrong("PractitionerRole.notAvailable", words))?;
        absences.push(Absence { worker: worker.clone(), period, line: 0 });
    }
    bring_worker(place, overlay, &worker)?;
    // One row from now on: what it was before is in the resource's history.
    let mine = |row: &Worker| row.id == worker && row.pool == pool;
    let before = overlay.workers.iter().rfind(|row| mine(row)).cloned().ok_or_else(Rejection::not_found)?;
    overlay.workers.retain(|row| !mine(row));
    let home_visits = flag(said, HOME_VISITS, before.home_visits);
    overlay.workers.push(Worker { shifts, skills, fte_hundredths: fte, period: time, home_visits, ..before });
    overlay.absences.retain(|row| row.worker != worker);
    overlay.absences.extend(absences);
    Ok(vec![pool])
}

fn location(place: &Place, overlay: &mut Overlay, id: &str, said: &Value) -> Result<Vec<String>, Rejection> {
    let mut rows = rows(&overlay.venues, place.venues(), |venue: &Venue| venue.id == id)?;
    for venue in &mut rows {
        venue.name = text(&said["name"], "Location.name")?;
        venue.postcode = text(&said["address"]["postalCode"], "Location.address.postalCode")?;
        venue.accessible = flag(said, ACCESSIBLE, venue.accessible);
    }
    let pools = rows.iter().map(|venue| venue.pool.clone()).collect();
    overlay.venues.retain(|venue| venue.id != id);
    overlay.venues.extend(rows);
    Ok(pools)
}

/// A link worker's rows and absences, from the files unless they are in the overlay already.
fn bring_worker(place: &Place, overlay: &mut Overlay, id: &str) -> Result<(), Rejection> {
    if overlay.workers.iter().any(|worker| worker.id == id) {
        return Ok(());
    }
    overlay.workers.extend(rows(&[], place.workers(), |worker: &Worker| worker.id == id)?);
    overlay.absences.extend(place.absences().iter().filter(|absence| absence.worker == id).cloned());
    Ok(())
}

/// The rows of an id: the overlay's, else the files'.
fn rows<T: Clone>(laid: &[T], files: &[T], own: impl Fn(&T) -> bool) -> Result<Vec<T>, Rejection> {
    let of = |all: &[T]| all.iter().filter(|row| own(row)).cloned().collect::<Vec<T>>();
    let found = Some(of(laid)).filter(|rows| !rows.is_empty()).unwrap_or_else(|| of(files));
    if found.is_empty() { Err(Rejection::not_found()) } else { Ok(found) }
}

fn shifts(said: &Value) -> Result<Vec<Shift>, Rejection> {
    let wrong = || wrong("PractitionerRole.availableTime", "each must have daysOfWeek and a start before its end");
    let mut out = Vec::new();
    for slot in each(&said["availableTime"]) {
        let time = |name: &str| slot[name].as_str().and_then(|text| text.parse::<Time>().ok());
        let (from, to) = time("availableStartTime").zip(time("availableEndTime")).ok_or_else(wrong)?;
        if from >= to || each(&slot["daysOfWeek"]).len() == 0 {
            return Err(wrong());
        }
        for day in each(&slot["daysOfWeek"]) {
            let day: Day = serde_json::from_value(day.clone()).map_err(|_| wrong())?;
            out.push(Shift { day, from, to });
        }
    }
    out.sort_unstable();
    let overlaps = out.windows(2).any(|pair| pair[0].day == pair[1].day && pair[1].from < pair[0].to);
    if overlaps { Err(wrong()) } else { Ok(out) }
}

fn period(said: &Value) -> Option<Period> {
    let date = |name: &str| said[name].as_str().map(|text| text.get(..10).unwrap_or(text).parse::<Date>());
    let from = date("start")?.ok()?;
    let to = date("end").transpose().ok()?;
    to.is_none_or(|to| from <= to).then_some(Period { from, to })
}

/// `0.5`, `1` or `1.00` in hundredths.
fn hundredths(text: &str) -> Option<u32> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part = part.trim_end_matches('0');
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || part.len() > 2 || !(part.is_empty() || digits(part)) {
        return None;
    }
    let part: u32 = format!("{part:0<2}").parse().ok()?;
    whole.parse::<u32>().ok()?.checked_mul(100)?.checked_add(part).filter(|all| *all > 0 && *all <= 10_000)
}

fn text(value: &Value, element: &str) -> Result<String, Rejection> {
    let text = value.as_str().map(str::trim).filter(|text| !text.is_empty());
    text.map(str::to_owned).ok_or_else(|| wrong(element, "it must not be empty"))
}

fn truth(value: &Value, element: &str) -> Result<bool, Rejection> {
    value.as_bool().ok_or_else(|| wrong(element, "it must be true or false"))
}

fn flag(said: &Value, url: &str, or: bool) -> bool {
    extension(said, url).and_then(|found| found["valueBoolean"].as_bool()).unwrap_or(or)
}

fn whole(said: &Value, url: &str, element: &str) -> Result<Option<u32>, Rejection> {
    let Some(found) = extension(said, url) else { return Ok(None) };
    let number = found["valueInteger"].as_u64().and_then(|number| u32::try_from(number).ok()).filter(|n| *n > 0);
    number.map(Some).ok_or_else(|| wrong(element, "it must be a whole number above 0"))
}

fn wrong(element: &str, why: &str) -> Rejection {
    Rejection::unprocessable(IssueType::Value, why).at(element)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_full_time_are_read_to_the_hundredth() {
        let read: Vec<Option<u32>> =
            ["0.5", "1", "1.00", "0.25", "0", "-1", "1.234", "x", ""].into_iter().map(hundredths).collect();
        assert_eq!(read, [Some(50), Some(100), Some(100), Some(25), None, None, None, None, None]);
    }
}
