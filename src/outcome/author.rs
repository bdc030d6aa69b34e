//! Who recorded an outcome: the link worker whom it names, in the pool's organisation.

use serde_json::Value;

use super::journey::Journey;
use crate::fhir::ids::ODS;
use crate::fhir::observation::{Author, ROLE};
use crate::fhir::{each, extension, kind};

/// What a link worker is where nothing else is said.
const LINK_WORKER: &str = "Social prescribing link worker";

/// The author by what was sent: `Encounter.participant.individual`, the `author` of a plan or
/// response, `requester`, `sender`, `performer`, or the author of a Task's last note.
pub fn of(journey: &Journey, sent: &Value) -> Author {
    let mut author = journey.organisation.clone();
    for (reference, role) in named(sent) {
        let name = reference["display"].as_str().unwrap_or("").trim();
        match who(reference) {
            Who::Organisation if reference["identifier"]["value"].as_str() == Some(&author.ods) && !name.is_empty() => {
                author.organisation = name.to_owned();
            }
            Who::Worker if author.name.is_empty() && !name.is_empty() => {
                let said = extension(reference, ROLE).and_then(|role| role["valueString"].as_str());
                author.name = name.to_owned();
                author.role = said.or(role).unwrap_or(LINK_WORKER).to_owned();
            }
            _ => {}
        }
    }
    if let Some(name) = text_author(sent).filter(|_| author.name.is_empty()) {
        author.name = name.to_owned();
        LINK_WORKER.clone_into(&mut author.role);
    }
    author
}

/// The same in words, for systems that show the gateway's own login; `None` where no name is known.
pub fn line(author: &Author) -> Option<String> {
    if author.name.is_empty() {
        return None;
    }
    let organisation = match author.organisation.as_str() {
        "" => author.ods.clone(),
        name => format!("{name} ({})", author.ods),
    };
    Some(format!("Recorded by {}, {}, {organisation}.", author.name, author.role))
}

/// References to those who did it, each with its role where the resource has a place for one.
fn named(sent: &Value) -> Vec<(&Value, Option<&str>)> {
    let one = |name: &str| vec![(&sent[name], None)];
    match kind(sent) {
        "Encounter" => each(&sent["participant"])
            .map(|one| (&one["individual"], each(&one["type"]).find_map(|kind| kind["text"].as_str())))
            .collect(),
        "Observation" => each(&sent["performer"]).map(|one| (one, None)).collect(),
        "CarePlan" | "QuestionnaireResponse" => one("author"),
        "ServiceRequest" => one("requester"),
        "Communication" => one("sender"),
        "Task" => each(&sent["note"]).last().map(|note| (&note["authorReference"], None)).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn text_author(sent: &Value) -> Option<&str> {
    let name = each(&sent["note"]).last()?["authorString"].as_str()?.trim();
    (kind(sent) == "Task" && !name.is_empty()).then_some(name)
}

enum Who {
    Worker,
    Organisation,
    Other,
}

fn who(reference: &Value) -> Who {
    let target = reference["reference"].as_str().and_then(crate::fhir::split_reference).map(|(kind, _)| kind);
    let by_identifier = reference["identifier"]["system"].as_str() == Some(ODS);
    match reference["type"].as_str().or(target) {
        Some("Organization") => Who::Organisation,
        Some("Practitioner" | "PractitionerRole") => Who::Worker,
        None if by_identifier => Who::Organisation,
        None => Who::Worker,
        Some(_) => Who::Other,
    }
}
