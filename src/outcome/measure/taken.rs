//! What an Observation says of a measure: pure, against the table, every refusal with its element.

use serde_json::Value;

use super::{Measures, Missing, Number, Part, Scale};
use crate::fhir::{each, measure};
use crate::outcome::check::{out_of_range, refused};
use crate::rejection::{IssueType, Rejection};

/// What was taken.
#[derive(Debug, Clone, PartialEq)]
pub enum Taken<'a> {
    /// A number.
    Score(&'a Scale, Number),
    /// Items without a total, in the table's order.
    Items(&'a Scale, Vec<(&'a Scale, Number)>),
    /// No number, and why.
    Absent(&'a Scale, Absent),
}

/// Why a measure has no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Absent {
    /// The instrument does not suit the person; a note says why.
    NotSuitable,
    /// The person would not answer.
    Declined,
    /// Some answers are missing, so there is no total.
    Incomplete,
}

impl Absent {
    /// Its word in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NotSuitable => "not-suitable",
            Self::Declined => "declined",
            Self::Incomplete => "incomplete",
        }
    }

    /// The reason that a code of data-absent-reason gives.
    pub fn of(code: &str) -> Option<Self> {
        match code {
            "not-performed" | "not-applicable" => Some(Self::NotSuitable),
            "asked-declined" => Some(Self::Declined),
            "unknown" | "asked-unknown" | "not-asked" => Some(Self::Incomplete),
            _ => None,
        }
    }
}

impl<'a> Taken<'a> {
    /// The line of the table.
    pub const fn scale(&self) -> &'a Scale {
        match self {
            Self::Score(scale, _) | Self::Items(scale, _) | Self::Absent(scale, _) => scale,
        }
    }
}

/// Reads a measure from an Observation.
///
/// # Errors
/// 422 with the element: an unknown code, a number out of range, a metric sent as raw, a total
/// that is not the sum of its items, a version that must be named and is not.
pub fn observation<'a>(measures: &'a Measures, resource: &Value) -> Result<Taken<'a>, Rejection> {
    let scale = coded(measures, &resource["code"], "Observation.code")?;
    if scale.part == Part::Converted {
        return Err(refused(
            "Observation",
            "code",
            "send the raw total; the gateway makes the converted score from it",
        ));
    }
    if let Some(reason) = measure::absent(resource) {
        return absent(scale, resource, reason);
    }
    if scale.needs_version && measure::version(resource).is_none() {
        let words = format!("name the version of the scoring or value set: {} means nothing without it", scale.display);
        return Err(Rejection::unprocessable(IssueType::Required, words).at("Observation.method"));
    }
    match scale.part {
        Part::Panel | Part::Group => panel(measures, scale, resource),
        _ => {
            let number = total(measures, scale, resource)?;
            components_of_total(measures, scale, number, resource)?;
            Ok(Taken::Score(scale, number))
        }
    }
}

/// The line that a concept's codes name: all of them the same.
fn coded<'a>(measures: &'a Measures, concept: &Value, at: &str) -> Result<&'a Scale, Rejection> {
    let mut found: Option<&Scale> = None;
    for coding in each(&concept["coding"]) {
        let (system, code) = (coding["system"].as_str().unwrap_or(""), coding["code"].as_str().unwrap_or(""));
        let Some(scale) = measures.coded(system, code) else { continue };
        if found.is_some_and(|other| other.id != scale.id) {
            return Err(out_of_range(at, "its codes name two different measures"));
        }
        found = Some(scale);
    }
    found.ok_or_else(|| {
        let words = "no code in it is of a measure that is taken here; the table is mappings/outcome/measures.csv";
        Rejection::unprocessable(IssueType::NotSupported, words).at(at)
    })
}

fn absent<'a>(scale: &'a Scale, resource: &Value, reason: &str) -> Result<Taken<'a>, Rejection> {
    let at = "Observation.dataAbsentReason";
    let Some(why) = Absent::of(reason) else {
        return Err(out_of_range(
            at,
            "not-performed, not-applicable, asked-declined or unknown, of data-absent-reason",
        ));
    };
    if let Some(name) = VALUES.iter().find(|name| !resource[**name].is_null()) {
        return Err(refused("Observation", name, "there is a value and a reason why there is none"));
    }
    let noted = each(&resource["note"]).any(|note| note["text"].as_str().is_some_and(|text| !text.trim().is_empty()));
    if why == Absent::NotSuitable && !noted {
        let words = "say why the measure does not suit the person";
        return Err(Rejection::unprocessable(IssueType::Required, words).at("Observation.note"));
    }
    Ok(Taken::Absent(scale, why))
}

/// The elements in which a value may stand.
const VALUES: [&str; 4] = ["valueQuantity", "valueInteger", "valueString", "valueCodeableConcept"];

/// `(number, the element it stands in)`; the element only, where it is none.
fn number(of: &Value, at: &str) -> (Option<Number>, String) {
    match &of["valueInteger"] {
        Value::Null => (Number::of(&of["valueQuantity"]["value"]), format!("{at}.valueQuantity.value")),
        whole => (Number::of(whole), format!("{at}.valueInteger")),
    }
}

/// True for a number that a scale may have.
pub fn fits(number: Number, is_whole: bool, range: Option<(Number, Number)>) -> bool {
    (number.is_whole() || !is_whole) && range.is_none_or(|(low, high)| (low..=high).contains(&number))
}

fn total(measures: &Measures, scale: &Scale, resource: &Value) -> Result<Number, Rejection> {
    let (found, at) = number(resource, "Observation");
    let Some(found) = found else { return Err(out_of_range(at, scale.wanted())) };
    if !fits(found, scale.is_whole, scale.range) {
        let converted = measures.converted_from(scale);
        let is_metric = converted.is_some_and(|converted| measures.unconvert(converted, found).is_some());
        let words = match (converted, is_metric) {
            (Some(_), true) => "metric sent as raw: this is a converted score; send the raw total".to_owned(),
            (Some(_), false) if !found.is_whole() => {
                "a raw total has no decimals, and no converted score is this number".to_owned()
            }
            _ => scale.wanted(),
        };
        return Err(out_of_range(at, words));
    }
    Ok(found)
}

/// Items beside a total must be in range and, where all are there, sum to it; a converted score
/// beside it must be its own.
fn components_of_total(measures: &Measures, scale: &Scale, total: Number, resource: &Value) -> Result<(), Rejection> {
    let mut sum = Number::ZERO;
    let mut seen: Vec<usize> = Vec::new();
    for (i, component) in each(&resource["component"]).enumerate() {
        let at = format!("Observation.component[{i}]");
        let (found, place) = number(component, &at);
        let converted = measures.converted_from(scale).filter(|converted| names(&component["code"], &converted.id));
        if let Some(converted) = converted {
            if found.and_then(|found| measures.unconvert(converted, found)) != Some(total) {
                return Err(out_of_range(place, "this is not the converted score of that raw total"));
            }
            continue;
        }
        let (Some(items), Some(nth)) = (scale.items, numbered(scale, &component["code"])) else {
            return Err(out_of_range(format!("{at}.code"), format!("it is no item of {}", scale.display)));
        };
        if seen.contains(&nth) {
            return Err(out_of_range(format!("{at}.code"), "this item is there already"));
        }
        let Some(found) = found.filter(|found| fits(*found, true, items.range)) else {
            return Err(out_of_range(place, items.wanted(scale)));
        };
        seen.push(nth);
        sum = sum + found;
    }
    if scale.items.is_some_and(|items| items.count == seen.len()) && sum != total {
        let at = number(resource, "Observation").1;
        return Err(out_of_range(at, format!("the total is not the sum of its items, which is {sum}")));
    }
    Ok(())
}

/// True where a concept has that local code.
fn names(concept: &Value, id: &str) -> bool {
    crate::fhir::coding(concept, super::LOCAL) == Some(id)
}

/// Which item of a sum a local code such as `phq9-3` is, from 1.
fn numbered(scale: &Scale, concept: &Value) -> Option<usize> {
    let code = crate::fhir::coding(concept, super::LOCAL)?;
    let nth = code.strip_prefix(scale.id.as_str())?.strip_prefix('-')?.parse::<usize>().ok()?;
    scale.items.filter(|items| (1..=items.count).contains(&nth)).map(|_| nth)
}

/// The number of a sum's `nth` item, where it came with the total.
pub fn nth(scale: &Scale, resource: &Value, nth: usize) -> Option<Number> {
    let mut all = each(&resource["component"]);
    all.find(|component| numbered(scale, &component["code"]) == Some(nth)).and_then(|found| number(found, "").0)
}

fn panel<'a>(measures: &'a Measures, scale: &'a Scale, resource: &Value) -> Result<Taken<'a>, Rejection> {
    let mut found: Vec<(&Scale, Number)> = Vec::new();
    for (i, component) in each(&resource["component"]).enumerate() {
        let at = format!("Observation.component[{i}]");
        let item = coded(measures, &component["code"], &format!("{at}.code")).ok();
        let item = item.filter(|item| item.part == Part::Item && item.measure == scale.id);
        let Some(item) = item.filter(|item| found.iter().all(|(seen, _)| seen.id != item.id)) else {
            let words = format!("it must be an item of {}, each once", scale.display);
            return Err(out_of_range(format!("{at}.code"), words));
        };
        if measure::absent(component).is_some_and(|reason| Absent::of(reason).is_some()) {
            continue;
        }
        let (value, place) = number(component, &at);
        match value.filter(|value| fits(*value, item.is_whole, item.range)) {
            Some(value) => found.push((item, value)),
            None => return Err(out_of_range(place, item.wanted())),
        }
    }
    if found.is_empty() {
        return Err(refused("Observation", "component", format!("{} has its items as components", scale.display)));
    }
    in_order(measures, scale, &mut found);
    let allowed = profile(scale, &found);
    for name in VALUES {
        let value = &resource[name];
        if !value.is_null() && (name != "valueString" || value.as_str() != allowed.as_deref()) {
            let words = match scale.missing {
                Missing::NoTotal => format!("the only value of {} is its items' digits in order", scale.display),
                _ => format!("{} has no total", scale.display),
            };
            return Err(refused("Observation", name, words));
        }
    }
    Ok(Taken::Items(scale, found))
}

/// Puts items in the table's order.
pub fn in_order(measures: &Measures, scale: &Scale, found: &mut [(&Scale, Number)]) {
    found.sort_by_key(|(item, _)| measures.items(scale).position(|known| known.id == item.id));
}

/// The digits of a whole panel in order, where it is reported so: `21113`.
pub fn profile(scale: &Scale, items: &[(&Scale, Number)]) -> Option<String> {
    let whole = scale.missing == Missing::NoTotal && scale.items.is_some_and(|known| known.count == items.len());
    whole.then(|| items.iter().map(|(_, number)| number.to_string()).collect())
}
