//! A referral goes to another pool: by hand with a reason, or because its pool hands it back.
//!
//! One commit: the Task's new owner, the decision as a new version of the Provenance, the rows that
//! say who may see each of the referral's resources, the episode, the ledger, a new round of the
//! clock, the webhook rows and the audit entry. From then on the pool before sees none of it.
//!
//! - By hand: role `ops` and the operator at the machine, any referral; a pool client, those of its
//!   own desk's queue. Once the person has accepted only `ops` may, who says why: the episode goes
//!   on under the new pool. What has ended is not moved. A restricted person's referral is moved by
//!   the restricted desk itself and by nobody else.
//! - Handed back: by the pool that has it, before the person accepted. It is routed again without
//!   the pools that handed it back, else to the unallocated desk. A desk has nobody to hand back to.
//!
//! A reason is kept in the Provenance, never in the audit log.

use serde_json::Value;

use super::commit::Ids;
use super::family::{self, Member};
use super::{clocks, reason};
use crate::access::Caller;
use crate::audit::{Action, Agent, Entry, Kind};
use crate::config::Role;
use crate::delivery;
use crate::fhir::{self, provenance, split_reference, task, version};
use crate::gateway::Gateway;
use crate::rejection::{BarsError, IssueType, Rejection};
use crate::routing::{self, ByHand, Decision, RouteInput};
use crate::store::commit::{Commit, Episode, LedgerRow, ResourceWrite};
use crate::store::{Races, StoreError, param};

/// Who moves a referral.
#[derive(Debug, Clone)]
pub struct Mover {
    agent: Agent,
    ops: bool,
    pools: Vec<String>,
    request: String,
}

impl Mover {
    /// A caller of the API, with its `X-Request-Id`.
    pub fn caller(caller: &Caller, request: &str) -> Self {
        let pools = if caller.role == Role::Pool { caller.pools.clone() } else { Vec::new() };
        Self { agent: caller.agent(), ops: caller.role == Role::Ops, pools, request: request.to_owned() }
    }

    /// The person at the machine.
    pub fn operator(agent: Agent) -> Self {
        Self { agent, ops: true, pools: Vec::new(), request: String::new() }
    }
}

/// What came of a move.
#[derive(Debug, Clone)]
pub struct Moved {
    /// The ServiceRequest's logical id.
    pub referral: String,
    /// The Task's logical id.
    pub task: String,
    /// The Task's new version.
    pub task_version: u32,
    /// The pool before.
    pub from: String,
    /// Where it is now, and why.
    pub decision: Decision,
}

/// Where a referral shall go.
enum To<'a> {
    Pool(&'a str),
    Back,
}

/// Moves a Task's referral to a pool or desk by hand.
///
/// # Errors
/// 404 where the mover may not see it, 403 where another must decide, 422 for an unknown or closed
/// pool, a reason that is none, a Task that has ended.
pub async fn reroute(gateway: &Gateway, mover: &Mover, task: &str, to: &str, why: &str) -> Result<Moved, Rejection> {
    again(gateway, mover, task, &To::Pool(to), reason::checked(why)?).await
}

/// A pool hands a Task's referral back: it is routed again without that pool.
///
/// # Errors
/// As [`reroute`].
pub async fn hand_back(gateway: &Gateway, mover: &Mover, task: &str, why: &str) -> Result<Moved, Rejection> {
    again(gateway, mover, task, &To::Back, reason::checked(why)?).await
}

async fn again(gateway: &Gateway, mover: &Mover, task: &str, to: &To<'_>, why: &str) -> Result<Moved, Rejection> {
    let mut races = Races::over(task);
    loop {
        match once(gateway, mover, task, to, why).await {
            Err(Fault::Race) => races.again().await.map_err(|_| contended())?,
            Err(Fault::Refused(why)) => return Err(why),
            Ok(moved) => return Ok(moved),
        }
    }
}

fn contended() -> Rejection {
    let words = "others are changing this referral at this moment; read where it is and ask again";
    Rejection::new(BarsError::Conflict, IssueType::Conflict, words)
}

enum Fault {
    Race,
    Refused(Rejection),
}

impl From<StoreError> for Fault {
    fn from(fault: StoreError) -> Self {
        match fault {
            StoreError::Stale { .. } => Self::Race,
            other => Self::Refused(other.into()),
        }
    }
}

impl From<Rejection> for Fault {
    fn from(why: Rejection) -> Self {
        Self::Refused(why)
    }
}

/// A referral with a pool, as it stands.
struct Standing {
    ids: Ids,
    task: Value,
    task_version: u32,
    pool: String,
    provenance: Value,
    /// The decision in force; `None` where the Provenance holds none that can be read.
    decision: Option<Decision>,
    episode: Episode,
    ledger: LedgerRow,
}

async fn once(gateway: &Gateway, mover: &Mover, task: &str, to: &To<'_>, why: &str) -> Result<Moved, Fault> {
    let standing = read(gateway, task).await?;
    may(gateway, mover, &standing, to)?;
    let decision = decide(gateway, mover, &standing, to, why).await?;
    if decision.pool == standing.pool {
        return Err(refused("it is with that pool already", "pool").into());
    }
    let family = family::of(gateway, &standing.ids, &standing.episode).await?;
    // The family is read later than the Task that was judged: another may have moved it in between.
    let task = family.iter().find(|member| member.kind == "Task" && member.id == standing.ids.task);
    if task.is_none_or(|task| task.version != standing.task_version) {
        return Err(Fault::Race);
    }
    let at = gateway.clock.now();
    let mut writes = Vec::new();
    for member in &family {
        let visible = seen_by(gateway, &standing, member, &decision.pool).await?;
        let body = match member.kind.as_str() {
            "Task" if member.id == standing.ids.task => {
                let (id, name) = (decision.pool.as_str(), decision.pool_name.as_str());
                task::moved(member.content.clone(), (id, name), decision.worker.as_deref(), at)
            }
            // Nobody of the new pool has the person until it says who.
            "EpisodeOfCare" => fhir::episode::cared_for(member.content.clone(), None),
            "Provenance" if member.id == standing.ids.provenance => continue,
            _ => member.content.clone(),
        };
        writes.push(version::write(body, member.version + 1, at, &visible, member.lineage.clone()));
    }
    writes.push(provenance_write(gateway, mover, &standing, &decision, &writes, &family).await?);
    let commit = commit(gateway, mover, (&standing, to), &decision, writes).await?;
    gateway.store.commit(commit).await?;
    delivery::wake();
    gateway.caseloads.add(&decision);
    Ok(Moved {
        referral: standing.ids.referral,
        task: standing.ids.task,
        task_version: standing.task_version + 1,
        from: standing.pool,
        decision,
    })
}

async fn read(gateway: &Gateway, id: &str) -> Result<Standing, Fault> {
    let store = &gateway.store;
    let stored = store.read("Task", id).await?.filter(|task| !task.deleted).ok_or_else(Rejection::not_found)?;
    let task: Value = serde_json::from_slice(&stored.body).unwrap_or(Value::Null);
    let referral = task["focus"]["reference"].as_str().and_then(split_reference).map_or("", |(_, id)| id);
    let ids = Ids::of(referral);
    let missing = || {
        tracing::error!(task = id, "a Task's referral, episode, ledger row or Provenance is not in the store");
        Rejection::new(BarsError::ServerError, IssueType::Exception, "the Task's referral cannot be found")
    };
    let provenance = store.read("Provenance", &ids.provenance).await?.ok_or_else(missing)?;
    let provenance: Value = serde_json::from_slice(&provenance.body).unwrap_or(Value::Null);
    Ok(Standing {
        decision: provenance::route(&provenance).and_then(|text| serde_json::from_str(text).ok()),
        episode: store.episode(referral).await?.ok_or_else(missing)?,
        ledger: store.ledger_row(referral).await?.ok_or_else(missing)?,
        pool: task["owner"]["identifier"]["value"].as_str().unwrap_or("").to_owned(),
        task_version: stored.version,
        task,
        provenance,
        ids,
    })
}

/// Whether this one may move it, and whether it can be moved at all.
fn may(gateway: &Gateway, mover: &Mover, standing: &Standing, to: &To<'_>) -> Result<(), Rejection> {
    let place = gateway.place();
    let own = mover.pools.contains(&standing.pool);
    if !own && !mover.ops {
        return Err(Rejection::not_found());
    }
    let desk = place.desk(&standing.pool).is_some();
    let restricted = standing.pool == place.restricted.pool
        || standing.decision.as_ref().is_some_and(|decision| decision.input.restricted);
    if restricted && !own {
        return Err(Rejection::forbidden("a restricted person's referral is moved by the restricted desk alone"));
    }
    match to {
        To::Pool(_) if own && !desk && !mover.ops => {
            return Err(Rejection::forbidden("a pool hands back; who gets it then is not the pool's to say"));
        }
        To::Back if desk => {
            return Err(refused("a desk has nobody to hand back to: move it to a pool", "Task.owner"));
        }
        To::Back if !own => return Err(Rejection::forbidden("a pool itself hands back; move it by hand instead")),
        _ => {}
    }
    let status = standing.task["status"].as_str().unwrap_or("");
    match status {
        "requested" | "received" => Ok(()),
        "accepted" | "in-progress" | "on-hold" if mover.ops && matches!(to, To::Pool(_)) => Ok(()),
        "accepted" | "in-progress" | "on-hold" => {
            Err(refused("the person has accepted: only operations may move a running episode", "Task.status"))
        }
        _ => Err(refused(format!("the Task is {status}, and what has ended is not moved"), "Task.status")),
    }
}

async fn decide(
    gateway: &Gateway,
    mover: &Mover,
    standing: &Standing,
    to: &To<'_>,
    why: &str,
) -> Result<Decision, Fault> {
    let place = gateway.place();
    let now = gateway.clock.now();
    let on = now.to_zoned(crate::clock::london()).date();
    let mut input = match (&standing.decision, &standing.ledger.practice) {
        (Some(decision), _) => decision.input.clone(),
        (None, Some(practice)) => RouteInput::at(practice.clone(), on),
        (None, None) => return Err(refused("its practice is not known", "Task.requester").into()),
    };
    input.on = on;
    let by = ByHand { client: mover.agent.client.clone(), from: standing.pool.clone(), reason: why.to_owned() };
    let before = place.pool_name(&standing.pool).unwrap_or(&standing.pool).to_owned();
    let mut decision = match to {
        To::Pool(pool) => {
            let closed = place.desk(pool).is_none()
                && place.pool(pool, on).is_none_or(|pool| !pool.open || !pool.period.holds(on));
            if !place.knows_pool(pool) || closed {
                return Err(refused("there is no such pool that takes referrals", "pool").into());
            }
            by_hand(place.as_ref(), pool, input)
        }
        To::Back => {
            if !input.not.contains(&standing.pool) {
                input.not.push(standing.pool.clone());
            }
            let loads = gateway.caseloads.at(&gateway.store, now).await?;
            let again = routing::route(&place, &loads, input.clone());
            // A pool that handed it back never gets it again, whatever the rules say.
            if input.not.contains(&again.pool) {
                by_hand(place.as_ref(), &place.unallocated.pool, input)
            } else {
                again
            }
        }
    };
    let said = match to {
        To::Pool(_) => format!("Moved by hand from {before}: {why}"),
        To::Back => format!("{before} handed it back: {why}"),
    };
    decision.reasons.insert(0, said);
    decision.by_hand = Some(by);
    Ok(decision)
}

/// A decision for a pool that no rule made.
fn by_hand(place: &routing::Place, pool: &str, input: RouteInput) -> Decision {
    Decision {
        pool: pool.to_owned(),
        pool_name: place.pool_name(pool).unwrap_or(pool).to_owned(),
        pcn: None,
        rule: String::new(),
        worker: None,
        by_hand: None,
        input,
        reasons: Vec::new(),
        passed_over: Vec::new(),
        seen: Vec::new(),
        version: place.version.clone(),
    }
}

/// Who sees a resource from now on: the new pool in the place of the old. The Patient stays visible
/// to a pool that had them in another episode.
async fn seen_by(
    gateway: &Gateway,
    standing: &Standing,
    member: &Member,
    to: &str,
) -> Result<Vec<(u8, String)>, StoreError> {
    let mut visible = gateway.store.visibility(&member.kind, &member.id).await?;
    let keeps = member.kind == "Patient" && {
        let others = gateway.store.episodes_of(&standing.episode.nhs_number, family::EPISODES_MAX).await?;
        others.iter().any(|other| other.id != standing.episode.id && other.pool == standing.pool)
    };
    visible.retain(|(kind, who)| *kind != param::POOL || *who != standing.pool || keeps);
    visible.push((param::POOL, to.to_owned()));
    Ok(visible)
}

async fn provenance_write(
    gateway: &Gateway,
    mover: &Mover,
    standing: &Standing,
    decision: &Decision,
    writes: &[ResourceWrite],
    family: &[Member],
) -> Result<ResourceWrite, StoreError> {
    let own = family.iter().find(|member| member.kind == "Provenance" && member.id == standing.ids.provenance);
    let (version, lineage) = own.map_or((0, String::new()), |member| (member.version, member.lineage.clone()));
    let mut visible = gateway.store.visibility("Provenance", &standing.ids.provenance).await?;
    visible.retain(|(kind, who)| *kind != param::POOL || *who != standing.pool);
    visible.push((param::POOL, decision.pool.clone()));
    let at = gateway.clock.now();
    let versions = |kind: &str, id: &str| {
        let write = writes.iter().find(|write| write.kind == kind && write.id == id)?;
        Some(format!("{kind}/{id}/_history/{}", write.version))
    };
    let body = provenance::moved(
        version::content(standing.provenance.clone()),
        provenance::Move {
            route: &serde_json::to_string(decision).unwrap_or_default(),
            versions: &versions,
            by: (&mover.agent.client, &mover.agent.ods),
            at,
        },
    );
    Ok(version::write(body, version + 1, at, &visible, lineage))
}

async fn commit(
    gateway: &Gateway,
    mover: &Mover,
    (standing, to): (&Standing, &To<'_>),
    decision: &Decision,
    writes: Vec<ResourceWrite>,
) -> Result<Commit, StoreError> {
    let at = gateway.clock.now();
    let id = &standing.ids.referral;
    let round = gateway.store.countdown(id).await?.map_or(0, |before| before.round);
    let waits = matches!(standing.task["status"].as_str(), Some("requested" | "received"));
    let clock = Some(()).filter(|()| waits).and_then(|()| clocks::begin(gateway, id, &decision.pool, round + 1, at));
    let stop = crate::store::countdown::Change::Stop { referral: id.clone(), at, why: "moved to another pool" };
    let told = writes.iter().filter(|write| matches!(write.kind.as_str(), "Task" | "ServiceRequest"));
    let told: Vec<_> = told.map(|write| (write.kind.clone(), write.id.clone(), write.version)).collect();
    let word = if matches!(to, To::Back) { "hand-back" } else { "re-route" };
    let entry = Entry {
        request: mover.request.clone(),
        entities: writes.iter().map(ResourceWrite::entity).collect(),
        patients: standing.task["for"]["reference"].as_str().map(str::to_owned).into_iter().collect(),
        detail: format!("from pool {} to pool {}", standing.pool, decision.pool),
        ..Entry::care(Kind::Operation, word, Action::U, mover.agent.clone(), at)
    };
    let worker = decision.worker.clone().unwrap_or_default();
    Ok(Commit {
        outbox: delivery::rows(&gateway.config, "task.rerouted", id, &told, at),
        ledger: vec![LedgerRow { waiting_on: decision.pool.clone(), since: at, ..standing.ledger.clone() }],
        episodes: vec![Episode { pool: decision.pool.clone(), worker, ..standing.episode.clone() }],
        countdowns: std::iter::once(stop).chain(clock).collect(),
        audit: vec![entry],
        writes,
        ..Commit::default()
    })
}

fn refused(why: impl Into<String>, element: &str) -> Rejection {
    Rejection::unprocessable(IssueType::BusinessRule, why).at(element)
}

/// The referral's Task id of a ServiceRequest id, for those who name the referral.
pub fn task_of(referral: &str) -> String {
    Ids::of(referral).task
}

/// What a member's content is when it is no JSON: never, the store's bytes are the gateway's own.
pub(super) fn content(stored: &crate::store::Stored) -> Value {
    let body = serde_json::from_slice(&stored.body).unwrap_or(Value::Null);
    fhir::version::content(body)
}
