//! One entry for the GP record: made from an event's line of `entries.csv`, and finished - by the
//! share choice, what the person may read, who recorded it - before it is kept and filed.
//!
//! A score that the pool sent is finished in the same way: there is no second way into the record.

use serde_json::{Value, json};

use super::author;
use super::check::refused;
use super::entries::{self, Entry, Needs};
use super::journey::Journey;
use super::share::Share;
use super::template::{self, Slots};
use super::{names, reason};
use crate::fhir::episode::{self as said, RESTRICTED, SUMMARY, THIRD_PARTY};
use crate::fhir::ids::stable_id;
use crate::fhir::observation::{self, Author, Said};
use crate::fhir::{each, extension, kind};
use crate::rejection::{IssueType, Rejection};

/// The headings of the GP record. <https://fhir.nhs.uk/CodeSystem/RecordStandardHeadings>
const HEADINGS: &str = "https://fhir.nhs.uk/CodeSystem/RecordStandardHeadings";
/// Letters of a summary or restricted note.
pub const WORDS_MAX: usize = 2000;
/// What restricted notes may be.
const KINDS: [&str; 3] = ["safeguarding", "third-party", "worker-safety"];
/// Extensions that must not leave with an entry.
const INSIDE: [&str; 3] = [RESTRICTED, THIRD_PARTY, SUMMARY];

/// An entry that is to be made.
#[derive(Debug, Clone)]
pub struct Draft<'a> {
    /// Its event in `entries.csv`.
    pub event: &'a str,
    /// What makes it another than the episode's other entries of that event; empty: it is the only one.
    pub of: &'a str,
    /// When it was so, as FHIR dateTime.
    pub effective: &'a str,
    /// `final` or `entered-in-error`.
    pub status: &'a str,
    /// The values of its text's slots.
    pub slots: Vec<(&'a str, String)>,
}

/// The Observation of a draft.
///
/// # Errors
/// 422 where words that the person would read hold a third party's name.
pub fn entry(journey: &Journey, sent: &Value, draft: &Draft<'_>) -> Result<Value, Rejection> {
    let entry = entries::of(draft.event).ok_or_else(Rejection::not_found)?;
    let mut slots = draft.slots.clone();
    slots.push(("summary", summary(sent)?.to_owned()));
    if !entry.hidden && !is_hidden_whole(sent) {
        slots.iter().try_for_each(|(slot, value)| names::absent(sent, value, element_of(slot)))?;
    }
    let mut parts = vec![journey.episode.id.as_str(), draft.event, journey.practice.as_str()];
    parts.extend(Some(draft.of).filter(|of| !of.is_empty()));
    Ok(made(journey, entry, &stable_id(&parts).to_string(), draft, &slots))
}

fn made(journey: &Journey, entry: &Entry, id: &str, draft: &Draft<'_>, slots: &Slots<'_>) -> Value {
    let words = template::fill(&entry.text, slots);
    let said = Said {
        id,
        status: draft.status,
        category: &entry.category,
        code: (&entry.system, &entry.code, &entry.display),
        effective: draft.effective,
        note: &words,
    };
    observation::entry(journey.about(), said)
}

/// Where the words of a slot stand in what was sent.
fn element_of(slot: &str) -> &'static str {
    match slot {
        "to" => "performer",
        _ => "extension",
    }
}

/// The words for the record that came with an outcome, or `""`.
fn summary(sent: &Value) -> Result<&str, Rejection> {
    let words = extension(sent, SUMMARY).and_then(|one| one["valueString"].as_str()).unwrap_or("").trim();
    if words.chars().count() > WORDS_MAX {
        let why = format!("a summary has at most {WORDS_MAX} letters");
        return Err(Rejection::unprocessable(IssueType::TooLong, why).at(format!("{}.extension", kind(sent))));
    }
    Ok(words)
}

/// The drafts of restricted notes in what was sent, `(what makes each the same again, kind, words)`.
///
/// # Errors
/// 422 at the extension for a kind that is none, and for no words or too many.
pub fn restricted(sent: &Value) -> Result<Vec<(String, String, String)>, Rejection> {
    let at = "extension";
    let mut notes = Vec::new();
    for (word, text) in said::restricted(sent) {
        if !KINDS.contains(&word.as_str()) {
            return Err(refused(kind(sent), at, format!("a restricted note's kind is one of {}", KINDS.join(", "))));
        }
        if text.is_empty() || text.chars().count() > WORDS_MAX {
            return Err(refused(kind(sent), at, format!("a restricted note has 1 to {WORDS_MAX} letters")));
        }
        let of = crate::store::commit::digest(format!("{word}\u{1f}{text}").as_bytes());
        notes.push((of, word, text));
    }
    Ok(notes)
}

/// True for a resource that its sender marked as a whole: a mark beside a restricted note is the
/// note's, and a Task is marked by the gateway alone.
fn is_hidden_whole(sent: &Value) -> bool {
    kind(sent) != "Task" && observation::is_hidden(sent) && said::restricted(sent).is_empty()
}

/// An entry as it is kept, and whether it is filed.
///
/// # Errors
/// 422 where words that the person would read hold a third party's name.
pub fn finished(journey: &Journey, sent: &Value, mut resource: Value) -> Result<(Value, bool), Rejection> {
    let coding = &resource["code"]["coding"][0];
    let entry = entries::of_code(coding["system"].as_str().unwrap_or(""), coding["code"].as_str().unwrap_or(""));
    said::without(&mut resource, &INSIDE);
    let hidden = entry.is_some_and(|entry| entry.hidden) || is_hidden_whole(sent);
    let labels = each(&resource["meta"]["security"]).filter(|label| label["code"] != observation::HIDDEN);
    let mut labels: Vec<Value> = labels.cloned().collect();
    labels.extend(hidden.then(observation::hidden));
    set_meta(&mut resource, "security", labels);
    let note = each(&resource["note"]).filter_map(|note| note["text"].as_str()).collect::<Vec<_>>().join(" ");
    if !hidden {
        names::absent(sent, &note, "note")?;
        names::absent(sent, resource["code"]["text"].as_str().unwrap_or(""), "code.text")?;
        names::absent(sent, resource["valueString"].as_str().unwrap_or(""), "valueString")?;
    }
    if let Some(entry) = entry {
        let tag = json!({"system": HEADINGS, "code": entry.heading});
        set_meta(&mut resource, "tag", vec![tag]);
        observation::annotate(&mut resource["code"]["coding"][0], &entry.description_id, &entry.practice_codes);
    }
    let author = author::of(journey, sent);
    signed(&mut resource, &author, entry.is_some());
    if journey.share == Share::All {
        add_line(&mut resource, &author);
    } else {
        bare(&mut resource);
    }
    let needs = if hidden { Needs::All } else { entry.map_or(Needs::Codes, |entry| entry.needs) };
    Ok((resource, journey.share.files(needs)))
}

fn set_meta(resource: &mut Value, name: &str, values: Vec<Value>) {
    if !values.is_empty() {
        resource["meta"][name] = Value::Array(values);
    } else if let Some(meta) = resource.get_mut("meta").and_then(Value::as_object_mut) {
        meta.shift_remove(name);
    }
}

/// Who recorded it, as performer. What the pool sent as an Observation says so itself.
fn signed(resource: &mut Value, author: &Author, made_here: bool) {
    if made_here {
        resource["performer"] = observation::performers(author);
    }
}

/// The author in words, once.
fn add_line(resource: &mut Value, author: &Author) {
    let Some(line) = author::line(author) else { return };
    match resource["note"].as_array_mut() {
        Some(notes) if notes.iter().any(|note| note["text"].as_str().is_some_and(|text| text.ends_with(&line))) => {}
        Some(notes) => match notes.last_mut() {
            Some(last) => last["text"] = json!(format!("{}\n{line}", last["text"].as_str().unwrap_or("")).trim()),
            None => notes.push(json!({"text": line})),
        },
        None => resource["note"] = json!([{"text": line}]),
    }
}

/// The entry without words.
fn bare(resource: &mut Value) {
    let display = resource["code"]["coding"][0]["display"].clone();
    if let Some(members) = resource.as_object_mut() {
        members.shift_remove("note");
        members.shift_remove("valueString");
    }
    if display.is_string() {
        resource["code"]["text"] = display;
    }
    if let Some(value) = resource.get_mut("valueCodeableConcept").and_then(Value::as_object_mut) {
        value.shift_remove("text");
    }
}

/// The value of an entry that ends an episode: the ITK referral code, and the closure reason.
pub fn ending(business: &Value, reason: Option<&reason::Reason>) -> Value {
    let mut value = business.clone();
    if let (Some(reason), Some(codings)) = (reason, value["coding"].as_array_mut()) {
        codings.push(json!({"system": reason::CLOSURE_REASON, "code": reason.code, "display": reason.display}));
    }
    value
}
