//! read and search of AuditEvent: the FHIR view of the log. <https://hl7.org/fhir/R4/auditevent.html>
//!
//! The log's entries are the record; the AuditEvent is made when it is asked for.

use bytes::Bytes;
use serde_json::Value;

use super::answer::{Answer, Answered, Record};
use super::exchange::Exchange;
use super::search::{Reading, count_of, read_period};
use super::{base, read, redact};
use crate::audit::Entry;
use crate::audit::event::{Observer, audit_event};
use crate::fhir::{outcome, pages};
use crate::rejection::{IssueType, Rejection};
use crate::store::{EntrySearch, Stored};

/// The parameter of a `next` link: positions in the log below this one.
const BEFORE: &str = "_before";

/// The parameters of a search, for the CapabilityStatement.
pub const PARAMETERS: [(&str, &str); 8] = [
    ("_id", "token"),
    ("patient", "reference"),
    ("entity", "reference"),
    ("agent", "token"),
    ("action", "token"),
    ("outcome", "token"),
    ("subtype", "token"),
    ("date", "date"),
];

/// One entry.
pub async fn read(exchange: &Exchange, id: &str) -> Answered {
    read::plain_view(exchange)?;
    let find = EntrySearch { id: Some(id.to_owned()), count: 1, ..EntrySearch::default() };
    let found = exchange.gateway.store.find_entries(find).await?;
    let (position, leaf) = found.first().ok_or_else(Rejection::not_found)?;
    let stored = view(exchange, *position, leaf)?;
    let record = Record { entities: vec![format!("AuditEvent/{id}")], ..Record::default() };
    Ok(Answer::json(stored.body.clone(), record).version(&stored))
}

/// Entries, newest first.
pub async fn search(exchange: &Exchange) -> Answered {
    read::plain_view(exchange)?;
    let (find, reading) = read_query(exchange)?;
    if exchange.prefers("handling=strict") && !reading.unknown.is_empty() {
        return Err(Rejection::bad_request(IssueType::NotSupported, ignored(&reading)).into());
    }
    let count = find.count;
    let mut found = exchange.gateway.store.find_entries(EntrySearch { count: count + 1, ..find }).await?;
    let more = found.len() > count;
    found.truncate(count);
    let stored = found.iter().map(|(position, leaf)| view(exchange, *position, leaf)).collect::<Result<Vec<_>, _>>()?;
    let mut address = url::form_urlencoded::Serializer::new(String::new());
    address.extend_pairs(&reading.used);
    let query = address.finish();
    let page = format!("{}/AuditEvent?{query}", exchange.base);
    let mut links = vec![("self", page.clone())];
    if let Some((last, _)) = found.last().filter(|_| more) {
        links.push(("next", format!("{page}&{BEFORE}={last}")));
    }
    let warning = (!reading.unknown.is_empty()).then(|| outcome::remarks("warning", &[ignored(&reading)]));
    let bundle = pages::searchset(&exchange.base, exchange.at, None, &links, &stored, &[], warning.as_ref());
    let record = Record { query: redact::query("AuditEvent", &exchange.query), ..Record::default() };
    Ok(Answer::json(bundle, record))
}

fn read_query(exchange: &Exchange) -> Result<(EntrySearch, Reading), Rejection> {
    let mut find = EntrySearch { count: count_of(exchange)?.max(1), ..EntrySearch::default() };
    let mut reading = Reading::default();
    for (name, value) in exchange.query.iter().filter(|(_, value)| !value.is_empty()) {
        let code = || Some(value.rsplit('|').next().unwrap_or("").to_owned());
        match name.as_str() {
            "_id" => find.id = Some(value.clone()),
            "patient" => find.patient = Some(with_type(value)),
            "entity" => find.entity = Some(value.clone()),
            "agent" => find.agent = code(),
            "action" => find.action = code(),
            "outcome" => find.outcome = code(),
            "subtype" => find.interaction = code(),
            "date" => {
                let (from, to) = read_period("date", value)?;
                find.at = (from.or(find.at.0), to.or(find.at.1));
            }
            "_count" | "_format" => {}
            BEFORE => {
                let bad = |_| Rejection::bad_request(IssueType::Value, "_before is not one that the gateway gave");
                find.before = Some(value.parse().map_err(bad)?);
                continue;
            }
            _ => {
                reading.unknown.push(redact::name(name));
                continue;
            }
        }
        reading.used.push((name.clone(), value.clone()));
    }
    Ok((find, reading))
}

fn with_type(value: &str) -> String {
    if value.contains('/') { value.to_owned() } else { format!("Patient/{value}") }
}

fn ignored(reading: &Reading) -> String {
    format!("not known here and left out of the search: {}", reading.unknown.join(", "))
}

fn view(exchange: &Exchange, position: u64, leaf: &[u8]) -> Result<Stored, Rejection> {
    let entry: Entry = serde_json::from_slice(leaf).map_err(|fault| {
        tracing::error!(error = %fault, position, "an audit entry cannot be read");
        Rejection::not_found()
    })?;
    let gateway = &exchange.gateway.config.gateway;
    let address = base(&exchange.gateway);
    let observer = Observer { ods: gateway.ods.as_str(), name: &gateway.name, base_url: &address };
    let event: Value = audit_event(&entry, position, observer);
    Ok(Stored {
        kind: "AuditEvent".into(),
        id: entry.id.to_string(),
        version: 1,
        at: entry.at,
        deleted: false,
        body: Bytes::from(event.to_string()),
        lineage: String::new(),
    })
}
