//! What was said or written to the person or the referrer: a Communication.
//! <https://hl7.org/fhir/R4/communication.html>
//!
//! One that is `inResponseTo` an alert says that somebody looks (`attention`): it is taken wherever
//! the episode stands, also after its end, where no other is.
//!
//! Kept, and delivered to those who subscribed; it is not sent from here, and nothing of it is
//! filed in the GP record but a restricted note. An organisation that is written to by its ODS
//! code is the referral's practice or the pool's own: another would learn of somebody who is not
//! its patient.

use serde_json::{Value, json};

use super::attention;
use super::change::Change;
use super::episode::Event;
use super::journey::Journey;
use super::{Write, check, filing, kept, state};
use crate::access::Caller;
use crate::fhir::ids::{ODS, OdsCode};
use crate::fhir::{each, observation, split_reference};
use crate::gateway::Gateway;
use crate::rejection::{IssueType, Rejection};
use crate::store::Stored;

const STATUSES: [&str; 7] =
    ["preparation", "in-progress", "not-done", "on-hold", "stopped", "completed", "entered-in-error"];

/// Creates or updates a Communication.
pub async fn record(gateway: &Gateway, caller: &Caller, write: Write) -> Result<Stored, Rejection> {
    let journey = kept::journey(gateway, caller, &write).await?;
    let now = gateway.clock.now();
    let sent = &write.resource;
    let answered = attention::answered(gateway, &journey, sent).await?;
    let event = if answered.is_empty() { Event::Write } else { Event::Acknowledge };
    if answered.is_empty() {
        check::belongs(&journey, sent, state::contacts)?;
    } else {
        check::names_own(&journey, sent)?;
        nothing_to_file(&journey, sent)?;
    }
    check::allowed(&journey, Some(event), "Communication", "status")?;
    valid(&journey, sent)?;
    if sent["status"] == "completed" || sent["sent"].is_string() {
        check::date(&journey, sent["sent"].as_str(), "Communication.sent", now)?;
    }
    let (id, version) = match kept::place(gateway, &journey, &write).await? {
        kept::Place::Already(stored) => return Ok(stored),
        kept::Place::Next(id, version) => (id, version),
    };
    let mut message = sent.clone();
    let about = journey.about();
    message["id"] = json!(id);
    message["subject"] = observation::subject(about);
    message["basedOn"] = json!([observation::based_on(about)]);
    let mut change = Change::new(&journey, now);
    change.step(Some(event));
    change.add(message, version);
    attention::stop(&mut change, &answered);
    change.commit(gateway, caller, &write).await
}

/// After the end nothing more goes into the record: an answer brings no restricted note then.
fn nothing_to_file(journey: &Journey, sent: &Value) -> Result<(), Rejection> {
    if journey.episode.open || filing::restricted(sent)?.is_empty() {
        return Ok(());
    }
    Err(check::refused("Communication", "extension", "the episode is closed: reopen it to send a note to the practice"))
}

fn valid(journey: &Journey, sent: &Value) -> Result<(), Rejection> {
    if !sent["status"].as_str().is_some_and(|status| STATUSES.contains(&status)) {
        return Err(check::out_of_range("Communication.status", "it must say how the message stands"));
    }
    if each(&sent["recipient"]).next().is_none() {
        let words = "say to whom: the person, or the referrer";
        return Err(Rejection::unprocessable(IssueType::Required, words).at("Communication.recipient"));
    }
    for (i, recipient) in each(&sent["recipient"]).enumerate() {
        let at = format!("recipient[{i}]");
        let identifier = &recipient["identifier"];
        if identifier["system"].as_str() == Some(ODS) {
            let code = identifier["value"].as_str().and_then(|value| OdsCode::parse(value).ok());
            if !code.is_some_and(|code| code == journey.practice || code.as_str() == journey.performer) {
                let words = "it is neither the referral's practice nor the pool's organisation";
                return Err(check::refused("Communication", &format!("{at}.identifier"), words));
            }
        }
        let patient = recipient["reference"].as_str().and_then(split_reference).filter(|(kind, _)| *kind == "Patient");
        if patient.is_some() && patient != split_reference(journey.patient()) {
            return Err(check::refused("Communication", &at, "it is another person than the referral's"));
        }
    }
    Ok(())
}
