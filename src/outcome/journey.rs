//! The referral that an outcome belongs to, and whether it is the caller's.

use serde_json::Value;

use super::episode::{self, State};
use super::share::Share;
use super::state;
use crate::access::Caller;
use crate::config::Role;
use crate::fhir::ids::OdsCode;
use crate::fhir::ids::stable_id;
use crate::fhir::observation::{About, Author};
use crate::fhir::{self, split_reference};
use crate::gateway::Gateway;
use crate::rejection::{BarsError, IssueType, Rejection};
use crate::store::commit::{Episode, LedgerRow};
use crate::store::{StoreError, Stored, param};

/// One referral with a pool: what every outcome is checked against.
pub struct Journey {
    /// The Task as it stands.
    pub task: Value,
    /// Its version.
    pub task_version: u32,
    /// The ServiceRequest.
    pub request: Value,
    /// The episode; its id is the ServiceRequest's.
    pub episode: Episode,
    /// The ledger row.
    pub ledger: LedgerRow,
    /// The practice that gets what came of it.
    pub practice: OdsCode,
    /// Who may see the Task, and so all that is made under it.
    pub visible: Vec<(u8, String)>,
    /// The ODS code of the pool's organisation.
    pub performer: String,
    /// The same as an author: who of it recorded something is added from what was sent.
    pub organisation: Author,
    /// Where the episode stands.
    pub state: State,
    /// The EpisodeOfCare as it stands, with its version; none before the person accepted.
    pub care: Option<(Value, u32)>,
    /// What of the person's outcomes goes into the GP record.
    pub share: Share,
    /// What would where the person has not chosen.
    pub share_of_place: Share,
}

impl Journey {
    /// The referral of a Task.
    pub async fn of_task(gateway: &Gateway, caller: &Caller, id: &str) -> Result<Self, Rejection> {
        let store = &gateway.store;
        let task = store.read("Task", id).await?.filter(|task| !task.deleted).ok_or_else(Rejection::not_found)?;
        let visible = store.visibility("Task", id).await?;
        if !is_own(caller, &visible) {
            return Err(Rejection::not_found());
        }
        let resource = parsed(&task)?;
        let referral = resource["focus"]["reference"].as_str().and_then(split_reference).map_or("", |(_, id)| id);
        let request = store.read("ServiceRequest", referral).await?.ok_or_else(broken)?;
        let episode = store.episode(referral).await?.ok_or_else(broken)?;
        let ledger = store.ledger_row(referral).await?.ok_or_else(broken)?;
        let practice = ledger.practice.clone().ok_or_else(broken)?;
        let care = match store.read("EpisodeOfCare", &care_id(referral)).await? {
            Some(stored) => Some((parsed(&stored)?, stored.version)),
            None => None,
        };
        let stage = care.as_ref().map_or("", |(care, _)| fhir::episode::stage(care));
        let is_decline = state::is_decline(state::itk_code(&resource));
        let place = Share::parse(&gateway.config.outcome.share).unwrap_or(Share::All);
        Ok(Self {
            state: episode::state(resource["status"].as_str().unwrap_or(""), stage, is_decline),
            care,
            share: Share::of(&resource, place).unwrap_or(place),
            share_of_place: place,
            organisation: organisation(gateway, caller, &episode.pool),
            task: resource,
            task_version: task.version,
            request: parsed(&request)?,
            episode,
            ledger,
            practice,
            visible,
            performer: caller.ods.to_string(),
        })
    }

    /// The referral that a new outcome says it is based on: a ServiceRequest, or a Task in `focus`.
    pub async fn of_outcome(gateway: &Gateway, caller: &Caller, outcome: &Value) -> Result<Self, Rejection> {
        let kind = fhir::kind(outcome);
        for reference in references(&outcome["focus"]) {
            if let Some(("Task", id)) = split_reference(reference) {
                return Self::of_task(gateway, caller, id).await;
            }
        }
        let from = origin(kind);
        for reference in references(&outcome[from]) {
            if let Some(("ServiceRequest", id)) = split_reference(reference) {
                let episode = gateway.store.episode(id).await?.ok_or_else(|| {
                    let words = "there is no such referral with a Task, or it is not yours";
                    Rejection::unprocessable(IssueType::NotFound, words).at(format!("{kind}.{from}"))
                })?;
                return Self::of_task(gateway, caller, &episode.task).await;
            }
        }
        let words = "it must be based on the ServiceRequest that it is an outcome of";
        Err(Rejection::unprocessable(IssueType::Required, words).at(format!("{kind}.{from}")))
    }

    /// `Task.status`.
    pub fn status(&self) -> &str {
        self.task["status"].as_str().unwrap_or("")
    }

    /// `Patient/id`.
    pub fn patient(&self) -> &str {
        self.task["for"]["reference"].as_str().unwrap_or("")
    }

    /// `EpisodeOfCare/id`, whether there is one yet or not.
    pub fn care_reference(&self) -> String {
        format!("EpisodeOfCare/{}", care_id(&self.episode.id))
    }

    /// What each entry about this referral says of whom and for what it is.
    pub fn about(&self) -> About<'_> {
        About {
            patient: self.patient(),
            nhs_number: &self.episode.nhs_number,
            referral: &self.episode.id,
            referral_identifier: fhir::each(&self.request["identifier"]).next(),
            performer: &self.performer,
        }
    }
}

/// The element by which an outcome of that type names its referral: `basedOn` where R4 lets it.
pub fn origin(kind: &str) -> &'static str {
    match kind {
        "CarePlan" => "supportingInfo",
        "Goal" => "addresses",
        _ => "basedOn",
    }
}

/// The logical id of the one EpisodeOfCare of a referral.
pub fn care_id(referral: &str) -> String {
    stable_id(&[referral, "EpisodeOfCare"]).to_string()
}

/// The caller's organisation, by name where the place knows it as the pool's employer.
fn organisation(gateway: &Gateway, caller: &Caller, pool: &str) -> Author {
    let place = gateway.place();
    let employer = place.pools().iter().rev().find(|known| known.id == pool && known.employer_code == caller.ods);
    Author {
        ods: caller.ods.to_string(),
        organisation: employer.map(|pool| pool.employer.clone()).unwrap_or_default(),
        ..Author::default()
    }
}

/// The references of an element that may repeat or not.
pub fn references(element: &Value) -> Vec<&str> {
    let one = element["reference"].as_str();
    one.into_iter().chain(fhir::each(element).filter_map(|item| item["reference"].as_str())).collect()
}

/// A stored resource as a value.
pub fn parsed(stored: &Stored) -> Result<Value, Rejection> {
    serde_json::from_slice(&stored.body)
        .map_err(|_| Rejection::from(StoreError::Engine("a stored resource cannot be read".to_owned())))
}

fn is_own(caller: &Caller, visible: &[(u8, String)]) -> bool {
    caller.role == Role::Pool
        && visible.iter().any(|(param, value)| *param == param::POOL && caller.pools.contains(value))
}

/// A Task whose referral, episode or ledger row is not there: the gateway's fault, not the caller's.
fn broken() -> Rejection {
    tracing::error!("a Task's referral, episode or ledger row is not in the store");
    Rejection::new(BarsError::ServerError, IssueType::Exception, "the Task's referral cannot be found")
}
