//! A measure sent as a QuestionnaireResponse: kept, and its scores made into Observations.
//! <https://hl7.org/fhir/R4/questionnaireresponse.html>
//!
//! Which measure it is stands in `questionnaire`, by the last part of the canonical; its version
//! after the `|`. A total is summed from numbered items, the items of a panel are named by link id
//! (the words are in `mappings/outcome/measures.csv`). No licensed wording is kept here; what the
//! sender's form says is the sender's.

use serde_json::{Value, json};

use super::change::Change;
use super::context::{self, Context};
use super::journey::{Journey, parsed};
use super::measure::{Items, Missing, Number, Part, Scale, measures, taken};
use super::{Write, check, kept, score, state};
use crate::access::Caller;
use crate::fhir::{each, measure, observation};
use crate::gateway::Gateway;
use crate::rejection::{IssueType, Rejection};
use crate::store::Stored;

/// Groups inside one another that are looked through.
const DEPTH_MAX: usize = 8;
const KIND: &str = "QuestionnaireResponse";

/// Creates or updates a QuestionnaireResponse.
pub async fn record(gateway: &Gateway, caller: &Caller, write: Write) -> Result<Stored, Rejection> {
    let journey = kept::journey(gateway, caller, &write).await?;
    let now = gateway.clock.now();
    let sent = &write.resource;
    check::belongs(&journey, sent, state::measures)?;
    let status = sent["status"].as_str().unwrap_or("");
    if !matches!(status, "completed" | "amended" | "entered-in-error") {
        return Err(check::refused(KIND, "status", "only a completed response is scored"));
    }
    check::date(&journey, sent["authored"].as_str(), "QuestionnaireResponse.authored", now)?;
    let scale = instrument(sent)?;
    let read = read(scale, &answers(sent))?;
    let answered_by = context::source(&journey, sent)?;
    let (id, version) = match kept::place(gateway, &journey, &write).await? {
        kept::Place::Already(stored) => return Ok(stored),
        kept::Place::Next(id, version) => (id, version),
    };
    if version > 1 {
        unchanged(gateway, &id, scale, &read).await?;
    }
    let own = crate::fhir::ids::stable_id(&[&id, &scale.id]).to_string();
    let context = Context::of(gateway, &journey, sent, scale, &own, answered_by).await?;
    let mut change = Change::new(&journey, now);
    change.add(response(&journey, sent, &id), version);
    for (made, is_filed) in observations(&journey, sent, &id, scale, &read, &context) {
        if is_filed {
            change.file_next(&gateway.store, score::EVENT, made, false).await?;
        } else {
            let before = gateway.store.read("Observation", crate::fhir::id(&made)).await?;
            change.add(made, before.map_or(0, |stored| stored.version) + 1);
        }
    }
    change.commit(gateway, caller, &write).await
}

fn response(journey: &Journey, sent: &Value, id: &str) -> Value {
    let mut response = sent.clone();
    response["id"] = json!(id);
    response["subject"] = observation::subject(journey.about());
    response["basedOn"] = json!([observation::based_on(journey.about())]);
    response
}

/// A correction is of the same measure, and a total does not become the absence of one.
async fn unchanged(gateway: &Gateway, id: &str, scale: &Scale, read: &Read<'_>) -> Result<(), Rejection> {
    let Some(stored) = gateway.store.read(KIND, id).await? else { return Ok(()) };
    let stored = parsed(&stored)?;
    if instrument(&stored)?.id != scale.id {
        return Err(check::refused(KIND, "questionnaire", "a correction is of the same measure"));
    }
    let before = self::read(scale, &answers(&stored))?;
    if !matches!(before, Read::Incomplete(_)) && matches!(read, Read::Incomplete(_)) {
        let words = "mark the response entered-in-error, and send what is known as a new one";
        return Err(check::refused(KIND, "item", words));
    }
    Ok(())
}

/// The measure that the questionnaire is.
fn instrument(response: &Value) -> Result<&'static Scale, Rejection> {
    let scale = measures().questionnaire(response["questionnaire"].as_str().unwrap_or("")).ok_or_else(|| {
        let words = "the last part of the canonical names no measure that is taken here, or two of them";
        Rejection::unprocessable(IssueType::NotSupported, words).at("QuestionnaireResponse.questionnaire")
    })?;
    if scale.needs_version && measure::version(response).is_none() {
        let words = "name the version of the scoring or value set after | in the canonical";
        return Err(Rejection::unprocessable(IssueType::Required, words).at("QuestionnaireResponse.questionnaire"));
    }
    Ok(scale)
}

/// One answered item.
struct Answer {
    path: String,
    link: String,
    /// `None` where it is no number.
    number: Option<Number>,
}

/// Every answered item, groups included.
fn answers(response: &Value) -> Vec<Answer> {
    let mut found = Vec::new();
    collect(&response["item"], "QuestionnaireResponse.item", 0, &mut found);
    found
}

fn collect(items: &Value, path: &str, depth: usize, found: &mut Vec<Answer>) {
    if depth > DEPTH_MAX {
        return;
    }
    for (i, item) in each(items).enumerate() {
        let here = format!("{path}[{i}]");
        if let Some(answer) = each(&item["answer"]).next() {
            let number = ["valueInteger", "valueDecimal"].iter().find_map(|name| Number::of(&answer[*name]));
            let coded = || answer["valueCoding"]["code"].as_str().and_then(Number::parse);
            let quantity = || Number::of(&answer["valueQuantity"]["value"]);
            let link = item["linkId"].as_str().unwrap_or("").to_owned();
            found.push(Answer { path: here.clone(), link, number: number.or_else(coded).or_else(quantity) });
        }
        collect(&item["item"], &format!("{here}.item"), depth + 1, found);
    }
}

/// What the answers come to.
enum Read<'a> {
    Total(Number),
    Items(Vec<(&'a Scale, Number)>),
    /// So many answers, and no total.
    Incomplete(usize),
}

fn read<'a>(scale: &'a Scale, answers: &[Answer]) -> Result<Read<'a>, Rejection> {
    if answers.is_empty() {
        return Err(check::out_of_range("QuestionnaireResponse.item", "there is no answer in it"));
    }
    match (scale.part, scale.items) {
        (Part::Panel | Part::Group, _) => items(scale, answers),
        (_, Some(items)) => sum(scale, items, answers),
        _ => stated(scale, answers),
    }
}

/// The one answer of a measure whose number only its sender can state.
fn stated<'a>(scale: &Scale, answers: &[Answer]) -> Result<Read<'a>, Rejection> {
    let [answer] = answers else {
        let words = format!("{} is one number", scale.display);
        return Err(check::out_of_range("QuestionnaireResponse.item", words));
    };
    number(answer, scale.is_whole, scale.range, || scale.wanted()).map(Read::Total)
}

fn sum<'a>(scale: &Scale, items: Items, answers: &[Answer]) -> Result<Read<'a>, Rejection> {
    let mut total = Number::ZERO;
    for (i, answer) in answers.iter().enumerate() {
        if answers[..i].iter().any(|earlier| earlier.link == answer.link) {
            let at = format!("{}.linkId", answer.path);
            return Err(check::out_of_range(at, "this item is answered already"));
        }
        total = total + number(answer, true, items.range, || items.wanted(scale))?;
    }
    let (wanted, got) = (items.count, answers.len());
    if got > wanted || (got < wanted && scale.missing == Missing::Refuse) {
        let words = format!("{} needs {wanted} answers and no other; there are {got}", scale.display);
        return Err(check::out_of_range("QuestionnaireResponse.item", words));
    }
    Ok(if got < wanted { Read::Incomplete(got) } else { Read::Total(total) })
}

fn items<'a>(scale: &'a Scale, answers: &[Answer]) -> Result<Read<'a>, Rejection> {
    let mut found: Vec<(&Scale, Number)> = Vec::new();
    for answer in answers {
        let item = measures().item_named(scale, &answer.link);
        let Some(item) = item.filter(|item| found.iter().all(|(seen, _)| seen.id != item.id)) else {
            let words: Vec<&str> =
                measures().items(scale).filter_map(|item| Some(item.link.first()?.as_str())).collect();
            let words = format!("the link id must have one of {} in it, each once", words.join(", "));
            return Err(check::out_of_range(format!("{}.linkId", answer.path), words));
        };
        found.push((item, number(answer, item.is_whole, item.range, || item.wanted())?));
    }
    taken::in_order(measures(), scale, &mut found);
    Ok(Read::Items(found))
}

/// The number of an answer, in range.
fn number(
    answer: &Answer,
    is_whole: bool,
    range: Option<(Number, Number)>,
    wanted: impl FnOnce() -> String,
) -> Result<Number, Rejection> {
    let found = answer.number.filter(|number| taken::fits(*number, is_whole, range));
    found.ok_or_else(|| check::out_of_range(format!("{}.answer", answer.path), wanted()))
}

/// The Observations that follow, each with whether it is filed in the GP record.
fn observations(
    journey: &Journey,
    sent: &Value,
    id: &str,
    scale: &Scale,
    read: &Read<'_>,
    context: &Context,
) -> Vec<(Value, bool)> {
    let from = (KIND, id);
    match read {
        Read::Total(number) => {
            let digits = number.to_string();
            let words = score::said(scale, &digits);
            let total = score::derived(journey, sent, from, scale, &digits, &words, context);
            let converted = score::converted(journey, sent, from, scale, *number, context);
            [Some(total), converted].into_iter().flatten().map(|made| (made, true)).collect()
        }
        Read::Items(items) if scale.part == Part::Group => {
            score::apart(journey, sent, from, items, context).into_iter().map(|made| (made, true)).collect()
        }
        Read::Items(items) => {
            let mut panel = score::bare(journey, sent, from, scale, &listed(scale, items), context);
            panel["component"] = score::components(items);
            if let Some(profile) = taken::profile(scale, items) {
                panel["valueString"] = json!(profile);
            }
            vec![(panel, true)]
        }
        Read::Incomplete(got) => {
            let wanted = scale.items.map_or(0, |items| items.count);
            let words = format!("{}: {got} of {wanted} items answered, so there is no total.", scale.display);
            let made = score::bare(journey, sent, from, scale, &words, context);
            vec![(score::no_total(made, &words), false)]
        }
    }
}

/// A panel in plain words: each item with its number.
fn listed(scale: &Scale, items: &[(&Scale, Number)]) -> String {
    let items: Vec<String> = items.iter().map(|(item, number)| format!("{} {number}", item.display)).collect();
    format!("{}: {}.", scale.display, items.join("; "))
}
