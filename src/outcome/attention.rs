//! An answer that somebody must look at today: PHQ-9's ninth item, thoughts of self-harm, above 0.
//!
//! The score is kept and filed as any other. With it, in the same commit, the pool is told by an
//! urgent Communication; so is the referring practice, which has an entry for its record too, by
//! the way on which its other entries go, unless the person chose that nothing goes into their GP
//! record: to tell the practice all the same is then a person's decision, not the gateway's, and the
//! pool is told that the practice does not know. Neither the number nor what was asked stands in the
//! words, in the log or in the audit log.
//!
//! Whoever looks says so by a Communication with `inResponseTo`, also after the episode's end; where
//! nobody does within `outcome.attention_hours` working hours, whoever looks after the pool is told
//! (`referral::attention`).
//!
//! No judgement: any answer above 0 is told alike. This is no way to reach help in an emergency.

use jiff::Timestamp;
use serde_json::Value;

use super::change::Change;
use super::filing::{self, Draft};
use super::journey::Journey;
use super::measure::{Number, measures, taken};
use super::share::Share;
use crate::clock::instant;
use crate::delivery;
use crate::fhir::communication::{self, Notice, To};
use crate::fhir::ids::stable_id;
use crate::fhir::{self, each, split_reference, version};
use crate::gateway::Gateway;
use crate::rejection::Rejection;
use crate::store::countdown::{self, Countdown, Step};
use crate::store::{StoreError, param};

/// The one measure with such an item, by its id in the table of measures.
const MEASURE: &str = "phq9";
/// The notices that an answer may name: the alert, and what was told when nobody answered it.
const ALERTS: [&str; 2] = ["attention", "attention-escalation"];
/// The event of `entries.csv` under which the practice's record has it.
const EVENT: &str = "attention";
/// The item, by LOINC, which forms use as a link id. <https://loinc.org/44260-8>
const LOINC_NINTH: &str = "44260-8";
/// Which of the items it is.
const NINTH: usize = 9;
/// What eight items can come to: a total above it has a ninth above 0.
const EIGHT_ITEMS_MAX: i64 = 24;
/// What the keys of these clocks begin with; the Communication's id follows.
pub const KEY: &str = "attention/";

/// Told with the answer, where somebody must look.
const LOOK: &str = "an item of this score needs attention today; the pool has been told. Follow your own \
    protocol now: the gateway judges nothing and is no way to reach help in an emergency";
/// Told with the answer, where the item cannot be seen.
const UNSEEN: &str = "the ninth item cannot be told from what was sent, so nobody is alerted: see to it yourself";

const TOLD_BOTH: &str = "An item in a score recorded for this person needs attention today. Look at it in your own \
    system, act by your own protocol, and answer this message when you have. The referring practice is being told \
    too, by an entry for its record: that may be read later, so do not rely on it today.";
const TOLD_POOL: &str = "An item in a score recorded for this person needs attention today. Look at it in your own \
    system, act by your own protocol, and answer this message when you have. The referring practice has NOT been \
    told, because the person chose that nothing goes into their record: whether to tell it is for you to decide.";
const TOLD_PRACTICE: &str = "An item in a score that the social prescribing service recorded for this person needs \
    attention today. The service has been told; please speak to it.";

/// What is seen of the item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ninth {
    /// Another measure, or a score that was an error.
    Not,
    Zero,
    Above,
    Unseen,
}

/// What the writer of a score is told beside that it is kept.
pub fn remark(resource: &Value) -> Option<String> {
    match ninth(resource) {
        Ninth::Above => Some(LOOK.to_owned()),
        Ninth::Unseen => Some(UNSEEN.to_owned()),
        Ninth::Not | Ninth::Zero => None,
    }
}

/// Adds to a score's change what tells of it, once a score, however often it is corrected.
pub async fn tell(gateway: &Gateway, change: &mut Change<'_>, score: &Value) -> Result<(), Rejection> {
    if ninth(score) != Ninth::Above {
        return Ok(());
    }
    let (journey, at) = (change.journey, change.at);
    let id = stable_id(&[fhir::id(score), "attention"]).to_string();
    if gateway.store.read("Communication", &id).await?.is_some() {
        return Ok(());
    }
    tracing::warn!(referral = journey.episode.id, alert = id, "an item of a score needs attention; the pool is told");
    let place = gateway.place();
    let pool = journey.episode.pool.as_str();
    let silent = journey.share == Share::Nothing;
    let name = place.pool_name(pool).unwrap_or(pool);
    let of_pool: Vec<_> = journey.visible.iter().filter(|(kind, _)| *kind == param::POOL).cloned().collect();
    let notice = |id: &str, to: To<'_>, words: &str| {
        communication::urgent(Notice {
            id,
            kind: "attention",
            referral: &journey.episode.id,
            task: &journey.episode.task,
            patient: journey.patient(),
            to,
            sender: gateway.config.gateway.ods.as_str(),
            at,
            words,
        })
    };
    if !silent {
        file(gateway, change, score).await?;
    }
    let mut writes = Vec::new();
    let words = if silent { TOLD_POOL } else { TOLD_BOTH };
    let made = notice(&id, To::Pool { id: pool, name }, words);
    writes.push(version::write(made, 1, at, &of_pool, String::new()));
    if !silent {
        let practice = notice(&practice_id(&id), To::Organisation(journey.practice.as_str()), TOLD_PRACTICE);
        writes.push(version::write(practice, 1, at, &journey.visible, String::new()));
    }
    let mut named: Vec<_> = writes.iter().map(|write| (write.kind.clone(), write.id.clone(), write.version)).collect();
    named.push(("Task".to_owned(), journey.episode.task.clone(), journey.task_version));
    let told = delivery::rows(&gateway.config, "task.attention", &journey.episode.id, &named, at);
    change.alert(writes, told, clock(gateway, &id, pool, at));
    Ok(())
}

/// The clock that runs until somebody answers the alert.
fn clock(gateway: &Gateway, alert: &str, pool: &str, at: Timestamp) -> countdown::Change {
    let due = gateway.calendar.after_hours(at, gateway.config.outcome.attention_hours);
    countdown::Change::Set(Countdown {
        referral: format!("{KEY}{alert}"),
        pool: pool.to_owned(),
        round: 1,
        started: at,
        target: due,
        step: Step::Escalate,
        due: Some(due),
        stopped: None,
        why: String::new(),
    })
}

/// The entry for the practice's record: once a score.
async fn file(gateway: &Gateway, change: &mut Change<'_>, score: &Value) -> Result<(), Rejection> {
    let effective = instant(change.at);
    let of = fhir::id(score);
    let draft = Draft { event: EVENT, of, effective: &effective, status: "final", slots: Vec::new() };
    let entry = filing::entry(change.journey, score, &draft)?;
    change.file_next(&gateway.store, EVENT, entry, true).await?;
    Ok(())
}

/// The Communication to the practice beside the one to the pool.
fn practice_id(alert: &str) -> String {
    stable_id(&[alert, "practice"]).to_string()
}

/// The alerts of the same referral, and what was said when nobody answered one, that a Communication
/// answers: their ids.
pub async fn answered(gateway: &Gateway, journey: &Journey, sent: &Value) -> Result<Vec<String>, StoreError> {
    let about = format!("Task/{}", journey.episode.task);
    let mut ids = Vec::new();
    for answered in each(&sent["inResponseTo"]) {
        let Some(("Communication", id)) = answered["reference"].as_str().and_then(split_reference) else { continue };
        let Some(stored) = gateway.store.read("Communication", id).await? else { continue };
        let alert: Value = serde_json::from_slice(&stored.body).unwrap_or(Value::Null);
        let is_alert = communication::kind(&alert).is_some_and(|kind| ALERTS.contains(&kind));
        if is_alert && each(&alert["about"]).any(|one| one["reference"] == about.as_str()) {
            ids.push(id.to_owned());
        }
    }
    Ok(ids)
}

/// Stops the clocks of alerts that are answered.
pub fn stop(change: &mut Change<'_>, answered: &[String]) {
    let at = change.at;
    for id in answered {
        change.stop_clock(countdown::Change::Stop { referral: format!("{KEY}{id}"), at, why: "answered" });
    }
}

/// What a score says of the item, whichever way it came.
fn ninth(resource: &Value) -> Ninth {
    if resource["status"].as_str() == Some("entered-in-error") {
        return Ninth::Not;
    }
    match fhir::kind(resource) {
        "QuestionnaireResponse" => {
            let scale = measures().questionnaire(resource["questionnaire"].as_str().unwrap_or(""));
            if scale.is_none_or(|scale| scale.id != MEASURE) {
                return Ninth::Not;
            }
            of_items(&super::response::numbered(resource))
        }
        "Observation" => {
            let Some(taken::Taken::Score(scale, total)) = taken::observation(measures(), resource).ok() else {
                return Ninth::Not;
            };
            if scale.id != MEASURE {
                return Ninth::Not;
            }
            let found = taken::nth(scale, resource, NINTH);
            let certain = Number::whole(EIGHT_ITEMS_MAX).is_some_and(|most| total > most);
            match found {
                _ if total == Number::ZERO => Ninth::Zero,
                Some(number) if number > Number::ZERO => Ninth::Above,
                Some(_) => Ninth::Zero,
                None if certain => Ninth::Above,
                None => Ninth::Unseen,
            }
        }
        _ => Ninth::Not,
    }
}

/// By the link id, or, where all nine are there, by the order.
fn of_items(items: &[(String, Number)]) -> Ninth {
    let by_link = items.iter().find(|(link, _)| link.contains(LOINC_NINTH));
    let by_link = by_link.or_else(|| items.iter().find(|(link, _)| is_ninth(link)));
    let found = by_link.or_else(|| items.get(NINTH - 1).filter(|_| items.len() == NINTH));
    match found {
        Some((_, number)) if *number > Number::ZERO => Ninth::Above,
        Some(_) => Ninth::Zero,
        // Nothing above 0 at all: so is the ninth, where it was answered.
        None if items.iter().all(|(_, number)| *number == Number::ZERO) => Ninth::Zero,
        None => Ninth::Unseen,
    }
}

/// True for `9`, `q9`, `phq9-09`; not for LOINC codes such as `44250-9`, whose last digit is a check.
fn is_ninth(link: &str) -> bool {
    let before = link.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = &link[before.len()..];
    let is_loinc = before.ends_with('-') && before.trim_end_matches('-').ends_with(|c: char| c.is_ascii_digit()) && {
        let stem = before.trim_end_matches('-');
        stem.len() - stem.trim_end_matches(|c: char| c.is_ascii_digit()).len() >= 4
    };
    // `phq9` alone names the measure.
    let names_measure = before.to_ascii_lowercase().ends_with("phq") || before.to_ascii_lowercase().ends_with("phq-");
    !is_loinc && !names_measure && digits.parse() == Ok(NINTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(of: &[(&str, i64)]) -> Vec<(String, Number)> {
        of.iter().map(|(link, n)| ((*link).to_owned(), Number::whole(*n).unwrap_or(Number::ZERO))).collect()
    }

    #[test]
    fn the_ninth_item_is_found_or_said_to_be_unseen() {
        assert_eq!(of_items(&items(&[("1", 3), ("9", 1)])), Ninth::Above);
        assert_eq!(of_items(&items(&[("1", 3), ("phq9-9", 0)])), Ninth::Zero);
        assert_eq!(of_items(&items(&[("q09", 2)])), Ninth::Above);
        assert_eq!(of_items(&items(&[("/44250-9", 3), ("/44260-8", 0)])), Ninth::Zero);
        assert_eq!(of_items(&items(&[("/44250-9", 3)])), Ninth::Unseen, "the first item, by LOINC");
        assert_eq!(of_items(&items(&[("a", 0), ("b", 0)])), Ninth::Zero);
        let letters = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
        let by_order: Vec<(&str, i64)> = letters.iter().map(|link| (*link, i64::from(*link == "i"))).collect();
        assert_eq!(of_items(&items(&by_order)), Ninth::Above, "all nine: by their order");
        assert_eq!(of_items(&items(&by_order[1..])), Ninth::Unseen);
    }
}
