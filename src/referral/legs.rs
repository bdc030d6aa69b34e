//! The legs between the door and the commit, each a short call of the room that does the work.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde_json::Value;

use super::{Channel, Held, Received, Stop, emis_referral_id, input};
use crate::fhir;
use crate::gateway::Gateway;
use crate::mapping::{Mapped, Review};
use crate::matching::{self, Person};
use crate::parsing::{Parsed, Wish, message};
use crate::rejection::{BarsError, IssueType, Rejection};
use crate::routing::{self, Decision, RouteInput, Source};
use crate::store::commit::{Cause, Episode, LedgerRow};

/// Parsed, and compared with what is here of the same referral.
#[derive(Debug)]
pub(crate) struct Found {
    pub parsed: Parsed,
    pub ledger: Option<LedgerRow>,
    /// The resources of the referral as they stand, by type: ServiceRequest, Task, Provenance.
    pub current: BTreeMap<&'static str, (u32, Value)>,
}

/// ...and mapped.
#[derive(Debug)]
pub(crate) struct MappedReferral {
    pub found: Found,
    pub mapped: Mapped,
}

/// ...and the person known.
#[derive(Debug)]
pub(crate) struct Matched {
    pub referral: MappedReferral,
    pub person: Person,
    /// Another referral's open episode of the same person.
    pub open_elsewhere: Option<Episode>,
    /// Who saw the person in their last episode that is over: `(pool, link worker)`.
    pub previous: Option<(String, Option<String>)>,
}

/// ...and a pool chosen, by a decision or because it is there already.
#[derive(Debug)]
pub(crate) struct Routed {
    pub matched: Matched,
    pub pool: Chosen,
}

/// How the pool came about.
#[derive(Debug)]
pub(crate) enum Chosen {
    /// Decided now.
    Now(Box<Decision>),
    /// The referral's Task is with this pool.
    Before(String),
}

impl Chosen {
    pub fn pool(&self) -> &str {
        match self {
            Self::Now(decision) => &decision.pool,
            Self::Before(pool) => pool,
        }
    }
}

/// Bytes to source tree.
pub(super) fn parse(received: &Received) -> Result<Parsed, Rejection> {
    if let Some(tree) = &received.tree {
        return Ok(parse_joined(tree.clone()));
    }
    let origin = message::Origin { sender: &received.agent.ods, correlation: &received.correlation };
    if let Some(bundle) = &received.bundle {
        return message::parse(bundle, origin);
    }
    let form = fhir::wire::Form::of(&received.content_type).ok_or_else(|| {
        Rejection::new(BarsError::UnsupportedMediaType, IssueType::NotSupported, "the body must be FHIR JSON or XML")
    })?;
    message::parse(&fhir::wire::parse(&received.bytes, form)?, origin)
}

/// The rows of one EMIS candidate, joined by the intake.
fn parse_joined(tree: crate::mapping::SourceTree) -> Parsed {
    let cell = |column: &str| tree.inputs.get("obs").and_then(|obs| obs[column].as_str()).unwrap_or("").to_owned();
    let deleted = cell("Deleted").eq_ignore_ascii_case("true");
    Parsed {
        referral: emis_referral_id(&guid(&cell("OrganisationGuid")), &guid(&cell("ObservationGuid"))),
        tree,
        wish: if deleted { Wish::Cancel } else { Wish::Take },
        named: None,
        written_at: None,
        entries: Vec::new(),
        findings: Vec::new(),
    }
}

fn guid(cell: &str) -> String {
    cell.trim().trim_matches(['{', '}']).to_ascii_uppercase()
}

/// What a replay of this referral starts from: its staged rows, or its message.
pub(super) fn replay_key(received: &Received) -> String {
    let Some(obs) = received.tree.as_ref().and_then(|tree| tree.inputs.get("obs")) else {
        return received.id.to_string();
    };
    let cell = |column: &str| guid(obs[column].as_str().unwrap_or(""));
    format!("{}/{}", cell("OrganisationGuid"), cell("ObservationGuid"))
}

/// Finds what is here of the same referral, and refuses what may not touch it.
pub(super) async fn look_up(gateway: &Gateway, received: &Received, mut parsed: Parsed) -> Result<Found, Stop> {
    let mut ledger = None;
    if let Some(named) = parsed.named.clone().filter(|_| parsed.wish != Wish::Take) {
        ledger = gateway.store.ledger_row(&named).await?;
        if ledger.is_some() {
            parsed.referral = named;
        }
    }
    if ledger.is_none() {
        ledger = gateway.store.ledger_row(&parsed.referral).await?;
    }
    let mut current = BTreeMap::new();
    if ledger.is_some() {
        let ids = super::commit::Ids::of(&parsed.referral);
        for (kind, id) in [("ServiceRequest", &ids.referral), ("Task", &ids.task), ("Provenance", &ids.provenance)] {
            if let Some(stored) = gateway.store.read(kind, id).await? {
                let body = serde_json::from_slice(&stored.body).unwrap_or(Value::Null);
                current.insert(kind, (stored.version, body));
            }
        }
    }
    let found = Found { parsed, ledger, current };
    may_touch(gateway, received, &found).await?;
    Ok(found)
}

/// A message may change only a referral of its own sender, and never one that is newer here or
/// was cancelled: re-referring is a new referral.
async fn may_touch(gateway: &Gateway, received: &Received, found: &Found) -> Result<(), Stop> {
    let by_message = received.channel != Channel::EmisExtract;
    if !by_message {
        return Ok(());
    }
    let here = found.current.get("ServiceRequest");
    if found.parsed.wish != Wish::Take && found.ledger.is_none() {
        return Err(Stop::Reject(Rejection::not_found().at("MessageHeader.focus")));
    }
    let Some((_, request)) = here else { return Ok(()) };
    let seen_by = gateway.store.visibility("ServiceRequest", &found.parsed.referral).await?;
    if !seen_by.iter().any(|(_, who)| *who == received.agent.ods) {
        return Err(Stop::Reject(Rejection::not_found().at("MessageHeader.focus")));
    }
    let older = match (
        found.parsed.written_at,
        found.current.get("Provenance").and_then(|(_, p)| fhir::provenance::written_at(p)),
    ) {
        (Some(theirs), Some(ours)) => theirs < ours,
        _ => false,
    };
    if older {
        return Err(conflict("a newer version of this referral is here").into());
    }
    let ended = matches!(request["status"].as_str(), Some("revoked" | "entered-in-error"));
    if ended && found.parsed.wish != Wish::Cancel {
        return Err(conflict("this referral was cancelled; send a new one").into());
    }
    Ok(())
}

fn conflict(diagnostics: &str) -> Rejection {
    Rejection::new(BarsError::Conflict, IssueType::Conflict, diagnostics)
}

/// Source tree to FHIR, by the channel's mapping.
pub(super) fn map(gateway: &Gateway, received: &Received, found: Found) -> Result<MappedReferral, Stop> {
    let mapped = gateway.mappings.map(received.channel.mapping(), &found.parsed.tree)?;
    let referral = MappedReferral { found, mapped };
    if referral.mapped.review.is_empty() {
        return Ok(referral);
    }
    let causes = referral.mapped.review.iter().map(|Review { cause, text, .. }| (*cause, text.clone())).collect();
    Err(referral.hold(gateway, causes))
}

impl MappedReferral {
    /// The mapped resource of a type; `Null` when the mapping made none.
    pub fn resource(&self, kind: &str) -> &Value {
        self.mapped.resources.iter().find(|resource| fhir::kind(resource) == kind).unwrap_or(&Value::Null)
    }

    fn hold(&self, gateway: &Gateway, mut causes: Vec<(Cause, String)>) -> Stop {
        let (patient, request) = (self.resource("Patient"), self.resource("ServiceRequest"));
        // The person's own causes are told with the mapping's: one look should mend them all.
        if let Err(more) = matching::person(patient, request, gateway.config.nhs.test_numbers) {
            let said = |cause: Cause| self.mapped.review.iter().any(|review| review.cause == cause);
            // A number that the mapping would not take is not missing.
            let taken_out = said(Cause::NhsNumberInvalid);
            let told = |cause: Cause| said(cause) || (cause == Cause::NhsNumberMissing && taken_out);
            causes.extend(more.into_iter().filter(|(cause, _)| !told(*cause)));
        }
        causes.dedup();
        Stop::Hold(Held {
            referral: self.found.parsed.referral.clone(),
            practice: matching::practice(patient, request),
            causes,
            replay: String::new(),
        })
    }
}

/// Episodes of a person that are looked at: the open one, this referral's own, the last.
const EPISODES_READ: usize = 3;

/// Which patient, and whether they have an open episode already.
pub(super) async fn match_person(gateway: &Gateway, referral: MappedReferral) -> Result<Matched, Stop> {
    let (patient, request) = (referral.resource("Patient"), referral.resource("ServiceRequest"));
    let person = match matching::person(patient, request, gateway.config.nhs.test_numbers) {
        Ok(person) => person,
        Err(causes) => return Err(referral.hold(gateway, causes)),
    };
    let episodes = gateway.store.episodes_of(person.nhs_number.as_str(), EPISODES_READ).await?;
    let mut others = episodes.into_iter().filter(|episode| episode.id != referral.found.parsed.referral).peekable();
    let open_elsewhere = others.next_if(|episode| episode.open);
    let previous = others.find(|episode| !episode.open);
    let previous = previous.map(|episode| (episode.pool, Some(episode.worker).filter(|worker| !worker.is_empty())));
    Ok(Matched { referral, person, open_elsewhere, previous })
}

/// Which pool. A referral that a pool has stays there: a practice that changes its network, or
/// a rule that changes, moves nobody in mid-episode.
pub(super) async fn route(gateway: &Gateway, received: &Received, matched: Matched) -> Result<Routed, Stop> {
    let found = &matched.referral.found;
    if let Some(episode) = &matched.open_elsewhere {
        let pool = Chosen::Before(episode.pool.clone());
        return Ok(Routed { matched, pool });
    }
    let owner = found.current.get("Task").filter(|(_, task)| task["status"] != "cancelled");
    if let Some(pool) = owner.and_then(|(_, task)| task["owner"]["identifier"]["value"].as_str()) {
        let pool = Chosen::Before(pool.to_owned());
        return Ok(Routed { matched, pool });
    }
    let on = received.at.to_zoned(crate::clock::london()).date();
    if gateway.place().practice(&matched.person.practice, on).is_none() {
        let detail = format!(
            "practice {} is not one of this place's; add it to practices.csv or ask who it is",
            matched.person.practice
        );
        return Err(matched.referral.hold(gateway, vec![(Cause::PracticeUnknown, detail)]));
    }
    let input = route_input(gateway, received, &matched, on);
    let loads = gateway.caseloads.at(&gateway.store, received.at).await?;
    let decision = routing::route(&gateway.place(), &loads, input);
    gateway.caseloads.add(&decision);
    Ok(Routed { matched, pool: Chosen::Now(Box::new(decision)) })
}

/// All that the referral, its sender and the person's earlier episode say to routing.
fn route_input(gateway: &Gateway, received: &Received, matched: &Matched, on: Date) -> RouteInput {
    let referral = &matched.referral;
    let (request, patient) = (referral.resource("ServiceRequest"), referral.resource("Patient"));
    let input = RouteInput {
        restricted: is_restricted(request) || is_restricted(patient),
        previous: matched.previous.clone(),
        ..RouteInput::at(matched.person.practice.clone(), on)
    };
    let said = input::Said { request, patient, all: &referral.mapped.resources };
    input::fill(input, said, sender_source(gateway, &received.agent.client), gateway.place().districts)
}

/// What kind of referrer a client is by its configuration.
fn sender_source(gateway: &Gateway, client: &str) -> Source {
    let known = gateway.config.access.clients.iter().find(|known| known.id == client);
    known.and_then(|known| serde_json::from_value(Value::from(known.source.as_str())).ok()).unwrap_or_default()
}

/// True for a resource labelled `R` (restricted) or `V` (very restricted).
/// <https://terminology.hl7.org/CodeSystem-v3-Confidentiality.html>
fn is_restricted(resource: &Value) -> bool {
    fhir::each(&resource["meta"]["security"]).any(|label| matches!(label["code"].as_str(), Some("R" | "V")))
}
