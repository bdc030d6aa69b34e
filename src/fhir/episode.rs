//! The EpisodeOfCare: one person's time with the service, from their acceptance to its closure,
//! and the extensions by which link workers say what FHIR R4 has no element for.
//! <https://hl7.org/fhir/R4/episodeofcare.html>
//!
//! Made and kept by the gateway, one an episode; nobody else writes it.

use serde_json::{Value, json};

use super::observation::{self, About};

/// The system of the gateway's own identifiers of episodes.
pub const EPISODE: &str = "https://fingerpost.dev/id/episode";
/// On an EpisodeOfCare: how far it has come, as `valueCode`.
pub const STAGE: &str = "https://fingerpost.dev/StructureDefinition/episode-stage";
/// On an EpisodeOfCare: contacts so far, as `met` and `attempted`. 6 to 12 are usual; nothing
/// depends on it.
pub const CONTACTS: &str = "https://fingerpost.dev/StructureDefinition/contacts";
/// On a Task: what of the outcomes goes into the GP record (`all`, `codes`, `nothing`), as `valueCode`.
pub const SHARE: &str = "https://fingerpost.dev/StructureDefinition/gp-record-share";
/// On anything that a link worker records: words that the person must not read online, as `kind`
/// (`safeguarding`, `third-party`, `worker-safety`) and `text`.
pub const RESTRICTED: &str = "https://fingerpost.dev/StructureDefinition/restricted-note";
/// On the same: somebody whose name must not stand in what the person reads, as `valueString` or
/// `valueHumanName`.
pub const THIRD_PARTY: &str = "https://fingerpost.dev/StructureDefinition/third-party";
/// On the same: words for the GP record that the person may read, as `valueString`.
pub const SUMMARY: &str = "https://fingerpost.dev/StructureDefinition/summary";
/// On a Task: a need that nothing was found for, as `valueCodeableConcept`.
pub const UNMET_NEED: &str = "https://fingerpost.dev/StructureDefinition/unmet-need";
/// On an Encounter: what came of it, as `valueCodeableConcept`.
pub const CONTACT_OUTCOME: &str = "https://fingerpost.dev/StructureDefinition/contact-outcome";
/// On a Goal: how much it matters to the person, 1 to 10, as `valueInteger`.
pub const IMPORTANCE: &str = "https://fingerpost.dev/StructureDefinition/goal-importance";

/// A new episode, `active` from `start`.
pub fn begun(id: &str, about: About<'_>, start: &str) -> Value {
    json!({
        "resourceType": "EpisodeOfCare",
        "id": id,
        "identifier": [{"system": EPISODE, "value": id}],
        "status": "active",
        "statusHistory": [{"status": "active", "period": {"start": start}}],
        "patient": observation::subject(about),
        "managingOrganization": observation::performer(about),
        "period": {"start": start},
        "referralRequest": [observation::based_on(about)],
    })
}

/// The episode in another status from `at`; as it was where it has that status already.
pub fn moved(mut episode: Value, status: &str, at: &str) -> Value {
    if episode["status"].as_str() == Some(status) {
        return episode;
    }
    episode["status"] = json!(status);
    if let Some(history) = episode["statusHistory"].as_array_mut() {
        if let Some(last) = history.last_mut() {
            last["period"]["end"] = json!(at);
        }
        history.push(json!({"status": status, "period": {"start": at}}));
    }
    match (status, episode["period"].as_object_mut()) {
        ("finished", Some(period)) => drop(period.insert("end".to_owned(), json!(at))),
        (_, Some(period)) => drop(period.shift_remove("end")),
        _ => {}
    }
    episode
}

/// Says which link worker has the person, by a reference to their role; `None`: nobody.
pub fn cared_for(mut episode: Value, role: Option<&str>) -> Value {
    match (role, episode.as_object_mut()) {
        (Some(role), _) => episode["careManager"] = json!({"reference": role}),
        (None, Some(members)) => drop(members.shift_remove("careManager")),
        (None, None) => {}
    }
    episode
}

/// Says how far the episode has come, and how often the person was met or tried.
pub fn counted(mut episode: Value, stage: &str, met: u64, attempted: u64) -> Value {
    let contacts =
        json!([{"url": "met", "valueUnsignedInt": met}, {"url": "attempted", "valueUnsignedInt": attempted}]);
    episode["extension"] = json!([
        {"url": STAGE, "valueCode": stage},
        {"url": CONTACTS, "extension": contacts},
    ]);
    episode
}

/// The stage of an episode; `""` where it says none.
pub fn stage(episode: &Value) -> &str {
    super::extension(episode, STAGE).and_then(|stage| stage["valueCode"].as_str()).unwrap_or("")
}

/// The extensions of a resource with one of the URLs, taken out of it.
pub fn without(resource: &mut Value, urls: &[&str]) {
    let Some(members) = resource.as_object_mut() else { return };
    if let Some(list) = members.get_mut("extension").and_then(Value::as_array_mut) {
        list.retain(|one| !one["url"].as_str().is_some_and(|url| urls.contains(&url)));
        if list.is_empty() {
            members.shift_remove("extension");
        }
    }
}

/// `(kind, words)` of each restricted note.
pub fn restricted(resource: &Value) -> Vec<(String, String)> {
    let part = |one: &Value, name: &str, value: &str| {
        super::extension(one, name).and_then(|part| part[value].as_str()).unwrap_or("").trim().to_owned()
    };
    let ours = super::each(&resource["extension"]).filter(|one| one["url"].as_str() == Some(RESTRICTED));
    ours.map(|one| (part(one, "kind", "valueCode"), part(one, "text", "valueString"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_episode_keeps_the_history_of_its_status() {
        let about = About {
            patient: "Patient/p",
            nhs_number: "9990000018",
            referral: "sr",
            referral_identifier: None,
            performer: "FPE01",
        };
        let day = |day: u32| format!("2026-02-{day:02}T10:00:00Z");
        let begun = counted(begun("e", about, &day(1)), "accepted", 2, 1);
        let closed = moved(begun.clone(), "finished", &day(9));
        let open = moved(closed.clone(), "active", &day(12));
        assert!(super::super::check::check(&open).is_ok(), "{:?}", super::super::check::check(&open));
        assert_eq!(closed["period"], json!({"start": day(1), "end": day(9)}));
        assert_eq!(open["period"], json!({"start": day(1)}));
        let statuses: Vec<_> = super::super::each(&open["statusHistory"]).map(|one| one["status"].clone()).collect();
        assert_eq!(statuses, ["active", "finished", "active"]);
        assert_eq!(open["statusHistory"][1]["period"], json!({"start": day(9), "end": day(12)}));
        assert_eq!((stage(&open), moved(open.clone(), "active", &day(20))), ("accepted", open.clone()));
    }

    #[test]
    fn restricted_notes_are_read_and_taken_out() {
        let parts = json!([{"url": "kind", "valueCode": "safeguarding"}, {"url": "text", "valueString": " words "}]);
        let mut task = json!({"resourceType": "Task", "extension": [{"url": RESTRICTED, "extension": parts}]});
        assert_eq!(restricted(&task), [("safeguarding".to_owned(), "words".to_owned())]);
        without(&mut task, &[RESTRICTED]);
        assert!(task["extension"].is_null());
    }
}
