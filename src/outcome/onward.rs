//! Where the person went from here: a ServiceRequest that the pool made, based on the referral.
//! <https://hl7.org/fhir/R4/servicerequest.html>
//!
//! Its category tells a referral onward from a signpost - a name and a contact were given, and
//! nobody was asked to do anything (PRSB, "Signpost details") - and both from the referrals that
//! come in: it never goes down the path and is not in the ledger. The destination is `performer`.

use serde_json::{Value, json};

use super::change::Change;
use super::episode::Event;
use super::filing::{self, Draft};
use super::journey::parsed;
use super::{Write, check, kept, state};
use crate::access::Caller;
use crate::clock::instant;
use crate::fhir::onward::{REFERRAL, SIGNPOST, is_onward, sort};
use crate::fhir::{each, observation};
use crate::gateway::Gateway;
use crate::rejection::{IssueType, Rejection};
use crate::store::Stored;

const STATUSES: [&str; 5] = ["active", "completed", "on-hold", "revoked", "entered-in-error"];

/// Creates or updates an onward ServiceRequest.
pub async fn record(gateway: &Gateway, caller: &Caller, write: Write) -> Result<Stored, Rejection> {
    incoming(gateway, &write).await?;
    let journey = kept::journey(gateway, caller, &write).await?;
    let now = gateway.clock.now();
    let sent = &write.resource;
    check::belongs(&journey, sent, state::contacts)?;
    let event = valid(sent)?;
    check::allowed(&journey, Some(event), "ServiceRequest", "category")?;
    check::date(&journey, sent["authoredOn"].as_str(), "ServiceRequest.authoredOn", now)?;
    let (id, version) = match kept::place(gateway, &journey, &write).await? {
        kept::Place::Already(stored) => return Ok(stored),
        kept::Place::Next(id, version) => (id, version),
    };
    let mut request = sent.clone();
    let about = journey.about();
    request["id"] = json!(id);
    request["subject"] = observation::subject(about);
    request["basedOn"] = json!([observation::based_on(about)]);
    if request["requester"].is_null() {
        request["requester"] = observation::performer(about);
    }
    let mut change = Change::new(&journey, now);
    change.step(Some(event));
    change.add(request, version);
    let word = if event == Event::Refer { "referred-onward" } else { "signposted" };
    let is_error = sent["status"].as_str() == Some("entered-in-error");
    let when = sent["authoredOn"].as_str().map_or_else(|| instant(now), str::to_owned);
    let draft = Draft {
        event: word,
        of: &id,
        effective: &when,
        status: if is_error { "entered-in-error" } else { "final" },
        slots: vec![("to", destinations(sent).join(", "))],
    };
    let entry = filing::entry(&journey, sent, &draft)?;
    if version == 1 || is_error {
        change.file_next(&gateway.store, word, entry, false).await?;
    }
    change.commit(gateway, caller, &write).await
}

/// A referral that came in is its sender's to change, by the way it came.
async fn incoming(gateway: &Gateway, write: &Write) -> Result<(), Rejection> {
    let Some(id) = &write.id else { return Ok(()) };
    let stored = gateway.store.read("ServiceRequest", id).await?.ok_or_else(Rejection::not_found)?;
    if is_onward(&parsed(&stored)?) {
        return Ok(());
    }
    Err(Rejection::forbidden("a referral is changed by its referrer, by the message that brought it"))
}

/// Which of the two it is, whole enough to be one.
fn valid(sent: &Value) -> Result<Event, Rejection> {
    if !sent["status"].as_str().is_some_and(|status| STATUSES.contains(&status)) {
        return Err(check::out_of_range("ServiceRequest.status", "it must say how the request stands"));
    }
    let event = match sort(sent) {
        Some(REFERRAL) => Event::Refer,
        Some(SIGNPOST) => Event::Signpost,
        _ => {
            let words = format!(
                "a ServiceRequest made here is a referral onward or a signpost: category {REFERRAL} or {SIGNPOST} of {}",
                crate::fhir::onward::ONWARD
            );
            return Err(Rejection::unprocessable(IssueType::Required, words).at("ServiceRequest.category"));
        }
    };
    if event == Event::Signpost && sent["intent"] != "proposal" {
        return Err(check::refused("ServiceRequest", "intent", "a signpost asks nobody for anything: intent proposal"));
    }
    if event == Event::Refer && sent["intent"] != "order" {
        return Err(check::refused("ServiceRequest", "intent", "a referral onward has the intent order"));
    }
    if destinations(sent).is_empty() {
        let words = "say where to, as performer with a display";
        return Err(Rejection::unprocessable(IssueType::Required, words).at("ServiceRequest.performer"));
    }
    Ok(event)
}

fn destinations(sent: &Value) -> Vec<&str> {
    each(&sent["performer"])
        .filter_map(|one| one["display"].as_str())
        .map(str::trim)
        .filter(|s| !s.is_empty())
        .collect()
}
