//! The FHIR view of an entry: an AuditEvent by IHE's Basic Audit Log Patterns and UK Core. Pure.
//! <https://profiles.ihe.net/ITI/BALP/>, <https://hl7.org/fhir/R4/auditevent.html>
//!
//! A pattern's profile is claimed only where the event has all that it asks for (one patient, a
//! network address, success). Failures have the same shape and claim none, as BALP wants. Who sends
//! and who receives follows BALP: a reader's client is the destination, a searcher's the source.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{Action, Agent, Entry, Kind, Outcome};

const DCM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
const EVENT_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-event-type";
const ENTITY_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
const OBJECT_ROLE: &str = "http://terminology.hl7.org/CodeSystem/object-role";
const INTERACTION: &str = "http://hl7.org/fhir/restful-interaction";
const BALP: &str = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.";
const BALP_ENTITY: &str = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType";
const UK_CORE: &str = "https://fhir.hl7.org.uk/StructureDefinition/UKCore-AuditEvent";
const ODS: &str = "https://fhir.nhs.uk/Id/ods-organization-code";
/// Where an entry stands in the log; a number as text, since it is a name.
const POSITION: &str = "https://fingerpost.dev/fhir/StructureDefinition/audit-position";
const CLIENT_ID: &str = "https://fingerpost.dev/id/client";
const ROLE: &str = "https://fingerpost.dev/fhir/CodeSystem/client-role";
const OWN_INTERACTION: &str = "https://fingerpost.dev/fhir/CodeSystem/interaction";

/// The interactions that FHIR has a code for.
const REST_CODES: [&str; 16] = [
    "read",
    "vread",
    "update",
    "patch",
    "delete",
    "history",
    "history-instance",
    "history-type",
    "create",
    "search",
    "search-type",
    "search-system",
    "capabilities",
    "transaction",
    "batch",
    "operation",
];

/// The gateway as it names itself in the events.
#[derive(Debug, Clone, Copy)]
pub struct Observer<'a> {
    /// Its ODS code.
    pub ods: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The address that callers use.
    pub base_url: &'a str,
}

/// The AuditEvent of the entry at `position`.
pub fn audit_event(entry: &Entry, position: u64, observer: Observer<'_>) -> Value {
    let mut profiles: Vec<String> = vec![UK_CORE.to_owned()];
    profiles.extend(pattern(entry).map(|name| format!("{BALP}{name}")));
    let mut event = json!({
        "resourceType": "AuditEvent",
        "id": entry.id.to_string(),
        "meta": {"versionId": "1", "lastUpdated": crate::clock::instant(entry.at), "profile": profiles},
        "extension": [{"url": POSITION, "valueString": position.to_string()}],
        "type": event_type(entry.kind),
        "subtype": [subtype(entry)],
        "action": format!("{:?}", entry.action),
        "recorded": crate::clock::instant(entry.at),
        "outcome": outcome(entry.outcome),
        "agent": agents(entry, observer),
        "source": {
            "site": observer.base_url,
            "observer": who(observer.ods, observer.name),
            "type": [{"system": "http://terminology.hl7.org/CodeSystem/security-source-type", "code": "4", "display": "Application Server"}],
        },
    });
    if observer.base_url.is_empty() {
        event["source"].as_object_mut().map(|source| source.remove("site"));
    }
    if entry.kind == Kind::Delivery {
        // BALP's disclosure patterns look for this subtype.
        let disclose = json!({"system": "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle", "code": "disclose", "display": "Disclose Record Lifecycle Event"});
        event["subtype"] = json!([disclose, subtype(entry)]);
    }
    if !entry.detail.is_empty() {
        event["outcomeDesc"] = json!(entry.detail);
    }
    if !entry.purpose.is_empty() {
        let system = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
        event["purposeOfEvent"] = json!([{"coding": [{"system": system, "code": entry.purpose}]}]);
    }
    let entities = entities(entry);
    if !entities.is_empty() {
        event["entity"] = Value::Array(entities);
    }
    event
}

/// The BALP pattern that the event meets in full.
fn pattern(entry: &Entry) -> Option<&'static str> {
    let whole = entry.outcome == Outcome::Success && !entry.agent.address.is_empty();
    let one = |plain, patient| if entry.patients.len() == 1 { patient } else { plain };
    let data = entry.entities.len() == 1;
    let asked = !entry.query.is_empty();
    match (entry.kind, entry.interaction.as_str(), entry.action) {
        _ if !whole => None,
        (Kind::Rest, "read" | "vread", Action::R) if data => Some(one("Read", "PatientRead")),
        (Kind::Rest, "create", Action::C) if data => Some(one("Create", "PatientCreate")),
        (Kind::Rest, "update", Action::U) if data => Some(one("Update", "PatientUpdate")),
        (Kind::Rest, "search" | "search-type" | "search-system", Action::E) if asked => {
            Some(one("Query", "PatientQuery"))
        }
        (Kind::Delivery, _, Action::R) if entry.patients.len() == 1 && !entry.entities.is_empty() => {
            Some("PrivacyDisclosure.Source")
        }
        _ => None,
    }
}

fn event_type(kind: Kind) -> Value {
    let (system, code, display) = match kind {
        Kind::Rest => (EVENT_TYPE, "rest", "RESTful Operation"),
        Kind::Intake => (DCM, "110107", "Import"),
        Kind::Delivery | Kind::WriteBack => (DCM, "110106", "Export"),
        Kind::SignIn => (DCM, "110114", "User Authentication"),
        Kind::Operation => (DCM, "110100", "Application Activity"),
    };
    json!({"system": system, "code": code, "display": display})
}

fn subtype(entry: &Entry) -> Value {
    if entry.interaction.is_empty() {
        return json!({"system": OWN_INTERACTION, "code": "unknown"});
    }
    let known = REST_CODES.contains(&entry.interaction.as_str());
    let system = if known { INTERACTION } else { OWN_INTERACTION };
    json!({"system": system, "code": entry.interaction})
}

const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "0",
        Outcome::MinorFailure => "4",
        Outcome::SeriousFailure => "8",
    }
}

fn who(ods: &str, name: &str) -> Value {
    json!({"type": "Organization", "identifier": {"system": ODS, "value": ods}, "display": name})
}

/// True when the data (or the question) flows from the client to the gateway.
fn client_is_source(entry: &Entry) -> bool {
    let reads = matches!(entry.interaction.as_str(), "read" | "vread" | "history-instance" | "history-type");
    match entry.kind {
        Kind::Rest => !reads,
        Kind::Intake | Kind::SignIn | Kind::Operation => true,
        Kind::Delivery | Kind::WriteBack => false,
    }
}

fn agents(entry: &Entry, observer: Observer<'_>) -> Vec<Value> {
    const SOURCE: (&str, &str) = ("110153", "Source Role ID");
    const DESTINATION: (&str, &str) = ("110152", "Destination Role ID");
    let (client, server) = if client_is_source(entry) { (SOURCE, DESTINATION) } else { (DESTINATION, SOURCE) };
    let typed = |(code, display): (&str, &str)| json!({"coding": [{"system": DCM, "code": code, "display": display}]});
    let by_machine = entry.agent.user.is_empty();
    let mut caller = json!({"type": typed(client), "who": client_who(&entry.agent), "requestor": by_machine});
    if !entry.agent.role.is_empty() {
        caller["role"] = json!([{"coding": [{"system": ROLE, "code": entry.agent.role}]}]);
    }
    if !entry.agent.address.is_empty() {
        let kind = if entry.agent.address.contains("://") { "5" } else { "2" };
        caller["network"] = json!({"address": entry.agent.address, "type": kind});
    }
    let mut gateway = json!({"type": typed(server), "who": who(observer.ods, observer.name), "requestor": false});
    if !observer.base_url.is_empty() {
        gateway["network"] = json!({"address": observer.base_url, "type": "5"});
    }
    let mut agents = vec![caller, gateway];
    agents.extend(person(entry));
    agents
}

fn client_who(agent: &Agent) -> Value {
    let mut who = json!({"identifier": {"system": CLIENT_ID, "value": agent.client}});
    if !agent.ods.is_empty() {
        who["identifier"]["assigner"] = json!({"identifier": {"system": ODS, "value": agent.ods}});
    }
    who
}

/// The person at the client's end, where it told us.
fn person(entry: &Entry) -> Option<Value> {
    if entry.agent.user.is_empty() {
        return None;
    }
    let (code, display) = match entry.interaction.as_str() {
        "create" | "update" => ("AUT", "author (originator)"),
        _ => ("IRCP", "information recipient"),
    };
    Some(json!({
        "type": {"coding": [{"system": PARTICIPATION, "code": code, "display": display}]},
        "who": {"identifier": {"value": entry.agent.user}},
        "requestor": true,
    }))
}

fn entities(entry: &Entry) -> Vec<Value> {
    let coded = |system: &str, code: &str, display: &str| json!({"system": system, "code": code, "display": display});
    let object = || coded(ENTITY_TYPE, "2", "System Object");
    let mut all = Vec::new();
    for patient in &entry.patients {
        all.push(json!({
            "what": {"reference": patient},
            "type": coded(ENTITY_TYPE, "1", "Person"),
            "role": coded(OBJECT_ROLE, "1", "Patient"),
        }));
    }
    for resource in &entry.entities {
        all.push(json!({
            "what": {"reference": resource}, "type": object(), "role": coded(OBJECT_ROLE, "4", "Domain Resource"),
        }));
    }
    if !entry.query.is_empty() {
        // The log keeps no patient-identifying value, so this is the search with those replaced.
        all.push(json!({
            "type": object(), "role": coded(OBJECT_ROLE, "24", "Query"), "description": entry.query,
            "query": STANDARD.encode(&entry.query),
        }));
    }
    if !entry.request.is_empty() {
        all.push(json!({
            "what": {"identifier": {"value": entry.request}},
            "type": {"system": BALP_ENTITY, "code": "XrequestId"},
        }));
    }
    all
}
