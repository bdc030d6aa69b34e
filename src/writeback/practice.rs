//! One practice's system: the message of a row by its route, the verdict on the acknowledgement,
//! and the ledger when the loop is closed.
//!
//! FHIR route: version 1 of an entry is a conditional create (`POST [base]/Observation` with
//! `If-None-Exist` on its identifier), a correction a conditional update; both carry
//! `Idempotency-Key`. <https://hl7.org/fhir/R4/http.html#ccreate>,
//! <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>

use serde_json::Value;

use super::progress::{Limits, Next};
use super::state::FilingState;
use super::{Route, settle};
use crate::audit;
use crate::delivery::attempt::{Answer, Verdict, by_status};
use crate::delivery::runner::{Letter, Receiver, Unready};
use crate::delivery::{contents, reach};
use crate::fhir;
use crate::referral::Gateway;
use crate::store::StoreError;
use crate::store::commit::{Commit, OutboxRow};

/// One practice's system as configured, or what a person must do.
pub struct Practice {
    ready: Result<(reqwest::Client, Route), Unready>,
}

impl Practice {
    /// The system of the practice with that ODS code.
    pub fn new(gateway: &Gateway, ods: &str) -> Self {
        let route = Route::of(&gateway.config, ods).map_err(Unready::Never);
        let ready = route
            .and_then(|route| reach::client(&gateway.config).map(|client| (client, route)).map_err(Unready::NotNow));
        Self { ready }
    }
}

impl Receiver for Practice {
    const KIND: audit::Kind = audit::Kind::WriteBack;
    const INTERACTION: &'static str = "write-back";

    async fn letter(&self, gateway: &Gateway, row: &OutboxRow) -> Result<Letter, Unready> {
        let (client, Route::Fhir { base, token }) = self.ready.as_ref().map_err(Clone::clone)?;
        let stored = contents::stored(gateway, row).await?;
        let [one] = stored.as_slice() else {
            return Err(Unready::Never("needs a person: a write-back row must hold one entry".to_owned()));
        };
        let entry: Value = serde_json::from_slice(&one.body)
            .map_err(|_| Unready::Never("needs a person: the stored entry cannot be read".to_owned()))?;
        let mut request = request(client, base, &one.kind, one.version, &entry)
            .header("content-type", "application/fhir+json")
            .header("accept", "application/fhir+json")
            .header("prefer", "return=representation")
            .header("idempotency-key", row.id.to_string())
            .body(fhir::logical::outside(entry).to_string());
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let request = request.build().map_err(|_| Unready::Never("the request could not be made".to_owned()))?;
        let (entities, patients) = (contents::entities(&stored), contents::patients(&stored));
        Ok(Letter { client: client.clone(), request, entities, patients })
    }

    fn judge(&self, _row: &OutboxRow, answer: &Answer) -> Verdict {
        judge(answer)
    }

    async fn settle(&self, gateway: &Gateway, row: &OutboxRow) -> Result<Commit, StoreError> {
        let Some(filing) = gateway.store.filing(row.id).await? else { return Ok(Commit::default()) };
        let limits = Limits::of(&gateway.config);
        settle::with(gateway, Next::of(&filing).to(FilingState::Filed, "", gateway.clock.now(), &limits)).await
    }
}

fn request(client: &reqwest::Client, base: &str, kind: &str, version: u32, entry: &Value) -> reqwest::RequestBuilder {
    let url = format!("{base}/{kind}");
    match condition(entry) {
        Some(condition) if version > 1 => client.put(format!("{url}?{condition}")),
        Some(condition) => client.post(url).header("if-none-exist", condition),
        None => client.post(url),
    }
}

/// `identifier=SYSTEM|VALUE` of the entry's first identifier, encoded for a query.
fn condition(entry: &Value) -> Option<String> {
    let identifier = fhir::each(&entry["identifier"]).next()?;
    let token = format!("{}|{}", identifier["system"].as_str()?, identifier["value"].as_str()?);
    let url = reqwest::Url::parse_with_params("http://practice.invalid", [("identifier", token)]).ok()?;
    url.query().map(str::to_owned)
}

/// An acknowledgement is 200 or 201 that shows the entry or says where it is. An answer that shows
/// the entry without its code means that only the text was filed: a person must code it.
fn judge(answer: &Answer) -> Verdict {
    match answer.status {
        200 | 201 => acknowledged(answer),
        400 | 405 | 409 | 412 | 415 | 422 => {
            Verdict::GiveUp(format!("needs a person: the practice system refused the entry with {}", answer.status))
        }
        202..=299 => Verdict::Retry(format!("answered {}, which is no acknowledgement", answer.status), None),
        _ => by_status(answer),
    }
}

fn acknowledged(answer: &Answer) -> Verdict {
    let shown: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let entry = shown.filter(|resource| !matches!(fhir::kind(resource), "" | "OperationOutcome" | "Bundle"));
    match entry {
        Some(entry) if fhir::kind(&entry) == "Observation" && fhir::each(&entry["code"]["coding"]).next().is_none() => {
            Verdict::GiveUp("needs a person: the practice system kept the entry's text without its code".to_owned())
        }
        Some(_) => Verdict::Done,
        None if answer.location.is_some() => Verdict::Done,
        None => Verdict::Retry("the answer neither shows the entry nor says where it is".to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, location: Option<&str>, body: &'static str) -> Verdict {
        judge(&Answer { status, location: location.map(str::to_owned), body: body.into(), ..Answer::default() })
    }

    #[test]
    fn only_a_shown_entry_is_an_acknowledgement() {
        let coded = r#"{"resourceType":"Observation","code":{"coding":[{"code":"718466001"}]}}"#;
        assert_eq!(answer(201, None, coded), Verdict::Done);
        assert_eq!(answer(200, Some("Observation/1"), ""), Verdict::Done);
        assert!(matches!(answer(200, None, ""), Verdict::Retry(..)));
        assert!(matches!(answer(202, Some("job/1"), ""), Verdict::Retry(..)));
        assert!(matches!(answer(200, None, r#"{"resourceType":"OperationOutcome"}"#), Verdict::Retry(..)));
        assert!(matches!(answer(503, None, ""), Verdict::Retry(..)));
    }

    #[test]
    fn text_without_its_code_and_a_refusal_need_a_person() {
        let text = r#"{"resourceType":"Observation","code":{"text":"score"}}"#;
        assert!(matches!(answer(201, Some("Observation/1"), text), Verdict::GiveUp(_)));
        assert!(matches!(answer(422, None, ""), Verdict::GiveUp(_)));
        assert!(matches!(answer(412, None, ""), Verdict::GiveUp(_)));
    }
}
