//! FHIR R4 route: looked for by its key, sent, and read back.
//!
//! Version 1 of an entry is a conditional create (`POST [base]/Observation` with `If-None-Exist`
//! on its identifier), a correction a conditional update; both carry `Idempotency-Key`. A system
//! may ignore all three: so the key is searched for before anything that may have left is sent
//! again, and after it was taken, to see what was kept.
//! <https://hl7.org/fhir/R4/http.html#ccreate>,
//! <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>

use jiff::Timestamp;
use serde_json::Value;

use super::practice::{Came, Shown};
use crate::delivery::attempt::{Answer, Sending, send};
use crate::fhir::observation::{OUTCOME, WRITE_BACK};
use crate::fhir::{self, each};

/// Response codes that say it is the person: see `progress`.
const PERSON: [&str; 3] = ["30002", "30003", "30004"];

/// One practice's endpoint.
pub struct Endpoint<'a> {
    /// The client that reaches it.
    pub client: &'a reqwest::Client,
    /// Without a slash at its end.
    pub base: &'a str,
    /// A bearer token.
    pub token: Option<&'a str>,
    /// Now.
    pub now: Timestamp,
}

/// What a look into the record showed.
enum Looked {
    There(Box<Value>),
    NotThere,
    /// The system does not offer to be asked.
    NotOffered,
    Unreached,
    Unanswered(String),
}

/// One entry to file.
pub struct Entry<'a> {
    /// As it leaves.
    pub body: &'a Value,
    /// Its key.
    pub key: &'a str,
    /// Its version.
    pub version: u32,
    /// True when it may be in the record already.
    pub may_be_there: bool,
    /// True when the practice has it and must accept it: nothing is sent.
    pub waits: bool,
}

/// One try. `true`: something may have left the house.
pub async fn attempt(to: &Endpoint<'_>, entry: &Entry<'_>) -> (Came, bool) {
    if entry.may_be_there {
        match look(to, entry.key).await {
            Looked::There(found) => return (Came::Found(shown(&found)), false),
            Looked::NotThere | Looked::NotOffered if entry.waits => return (Came::NotThere, false),
            Looked::NotThere | Looked::NotOffered => {}
            Looked::Unreached => return (Came::Unreached, false),
            Looked::Unanswered(why) => return (Came::Unanswered { why, message: None, asked: None }, false),
        }
    }
    let Some(request) = request(to, entry) else {
        return (Came::Person("the entry has no identifier to file it by".to_owned()), false);
    };
    match send(to.client, request, to.now).await {
        Sending::Unreached => (Came::Unreached, false),
        Sending::Unanswered(why) => (unanswered(why), true),
        Sending::Answered(answer) => (answered(to, entry, &answer).await, true),
    }
}

fn unanswered(why: &str) -> Came {
    Came::Unanswered { why: why.to_owned(), message: None, asked: None }
}

fn request(to: &Endpoint<'_>, entry: &Entry<'_>) -> Option<reqwest::Request> {
    let own = fhir::identifier(entry.body, OUTCOME)?;
    let condition = token(OUTCOME, own)?;
    let url = format!("{}/Observation", to.base);
    let request = match entry.version {
        0 | 1 => to.client.post(url).header("if-none-exist", condition),
        _ => to.client.put(format!("{url}?{condition}")),
    };
    let request = request
        .header("content-type", "application/fhir+json")
        .header("prefer", "return=representation")
        .header("idempotency-key", entry.key)
        .body(entry.body.to_string());
    signed(to, request).build().ok()
}

fn signed(to: &Endpoint<'_>, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
    let request = request.header("accept", "application/fhir+json");
    match to.token {
        Some(token) => request.bearer_auth(token),
        None => request,
    }
}

/// `identifier=SYSTEM|VALUE`, encoded for a query.
fn token(system: &str, value: &str) -> Option<String> {
    let token = format!("{system}|{value}");
    let url = reqwest::Url::parse_with_params("http://practice.invalid", [("identifier", token)]).ok()?;
    url.query().map(str::to_owned)
}

/// Looks for the entry by its key: in its identifiers, and, where that search shows others, in
/// their text.
async fn look(to: &Endpoint<'_>, key: &str) -> Looked {
    let query = token(WRITE_BACK, key).unwrap_or_default();
    let request = signed(to, to.client.get(format!("{}/Observation?{query}", to.base))).build();
    let Ok(request) = request else { return Looked::NotOffered };
    match send(to.client, request, to.now).await {
        Sending::Unreached => Looked::Unreached,
        Sending::Unanswered(why) => Looked::Unanswered(why.to_owned()),
        Sending::Answered(answer) => match answer.status {
            200 => match serde_json::from_slice::<Value>(&answer.body) {
                Ok(bundle) => found(&bundle, key),
                Err(_) => Looked::Unanswered("the record's answer cannot be read".to_owned()),
            },
            400 | 404 | 405 | 501 => Looked::NotOffered,
            status => Looked::Unanswered(format!("the record answered {status}")),
        },
    }
}

fn found(bundle: &Value, key: &str) -> Looked {
    if fhir::kind(bundle) != "Bundle" {
        return Looked::NotOffered;
    }
    let is_it = |entry: &&Value| {
        let noted = |note: &Value| note["text"].as_str().is_some_and(|text| text.contains(key));
        fhir::identifier(entry, WRITE_BACK) == Some(key) || each(&entry["note"]).any(noted)
    };
    let mut entries = each(&bundle["entry"]).map(|entry| &entry["resource"]);
    match entries.find(is_it) {
        Some(entry) => Looked::There(Box::new(entry.clone())),
        // The system did not look for the key, and what it left out may hold the entry.
        None if each(&bundle["link"]).any(|link| link["relation"] == "next") => {
            Looked::Unanswered("the record's search was not narrowed to the key".to_owned())
        }
        None => Looked::NotThere,
    }
}

/// What the record shows of an entry.
fn shown(entry: &Value) -> Shown {
    let coding = |coding: &Value| {
        let text = |name: &str| coding[name].as_str().unwrap_or("").to_owned();
        (text("system"), text("code"))
    };
    Shown { codings: each(&entry["code"]["coding"]).map(coding).collect() }
}

async fn answered(to: &Endpoint<'_>, entry: &Entry<'_>, answer: &Answer) -> Came {
    let status = answer.status;
    match status {
        200 | 201 => read_back(to, entry, answer).await,
        202 => Came::Waiting("the practice must accept it".to_owned()),
        203..=299 => unanswered("the answer is no acknowledgement"),
        409 | 412 => match look(to, entry.key).await {
            Looked::There(found) => Came::Found(shown(&found)),
            _ => Came::Person(format!("the practice system answered {status}: what it has is in conflict")),
        },
        401 | 403 | 407 | 408 | 425 | 429 | 300..=399 | 500..=599 => Came::Unanswered {
            why: format!("the practice system answered {status}"),
            message: None,
            asked: answer.retry_after,
        },
        _ => refused(answer),
    }
}

/// Taken: what was kept of it? Where the record cannot be asked, what the answer shows stands.
async fn read_back(to: &Endpoint<'_>, entry: &Entry<'_>, answer: &Answer) -> Came {
    match look(to, entry.key).await {
        Looked::There(found) => Came::Found(shown(&found)),
        Looked::NotThere => Came::Waiting("it was taken, and is not to be found yet".to_owned()),
        Looked::Unreached => unanswered("it was taken, and could not be read back"),
        Looked::Unanswered(why) => unanswered(&why),
        Looked::NotOffered => {
            let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
            match body.filter(|body| fhir::kind(body) == "Observation") {
                Some(body) => Came::Found(shown(&body)),
                None if answer.location.is_some() => Came::Trusted,
                None => unanswered("the answer neither shows the entry nor says where it is"),
            }
        }
    }
}

/// Refused for good, in codes alone: words of the other side may hold anything.
fn refused(answer: &Answer) -> Came {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let issues = each(&body["issue"]).flat_map(|issue| each(&issue["details"]["coding"]));
    let codes: Vec<&str> = issues.filter_map(|coding| coding["code"].as_str()).filter(|code| is_code(code)).collect();
    let said = if codes.is_empty() { String::new() } else { format!(" ({})", codes.join(", ")) };
    if codes.iter().any(|code| PERSON.contains(code)) {
        return Came::Person(format!("the practice does not have this person{said}: nobody but a person can say why"));
    }
    Came::Refused(format!("the practice system refused the entry with {}{said}", answer.status))
}

fn is_code(code: &str) -> bool {
    code.len() <= 12 && !code.is_empty() && code.bytes().all(|b| b.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn a_refusal_is_told_in_codes_and_a_missing_person_is_a_persons_work() {
        let answer = |status: u16, code: &str| Answer {
            status,
            body: json!({"resourceType": "OperationOutcome", "issue": [{"diagnostics": "Mrs Secret",
                "details": {"coding": [{"code": code}]}}]})
            .to_string()
            .into(),
            ..Answer::default()
        };
        assert!(matches!(refused(&answer(422, "20010")), Came::Refused(why) if why.contains("422 (20010)")));
        assert!(matches!(refused(&answer(422, "30002")), Came::Person(_)));
        assert!(matches!(refused(&answer(400, "Mrs Secret")), Came::Refused(why) if !why.contains("Secret")));
    }

    #[test]
    fn an_entry_is_found_by_its_key_wherever_that_was_kept() {
        let key = "b1946ac9-0000-5000-8000-000000000000";
        let bundle = |entry: Value| json!({"resourceType": "Bundle", "entry": [{"resource": entry}]});
        let by_identifier = json!({"identifier": [{"system": WRITE_BACK, "value": key}], "code": {"text": "x"}});
        assert!(matches!(found(&bundle(by_identifier), key), Looked::There(_)));
        let by_text = json!({"note": [{"text": format!("Words. Reference {key}.")}]});
        assert!(matches!(found(&bundle(by_text), key), Looked::There(_)));
        let another = json!({"identifier": [{"system": OUTCOME, "value": key}]});
        assert!(matches!(found(&bundle(another), key), Looked::NotThere));
        assert!(matches!(found(&json!({"resourceType": "OperationOutcome"}), key), Looked::NotOffered));
        let more = json!({"resourceType": "Bundle", "link": [{"relation": "next", "url": "https://x"}], "entry": []});
        assert!(matches!(found(&more, key), Looked::Unanswered(_)));
    }
}
