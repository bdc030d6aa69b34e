//! One group of commits in one transaction and three round trips: look, under lock; write what
//! can be written before the tree is locked; append to the log, write the rest and commit.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::log::{self, Log};
use super::plan::{Plan, State};
use super::statements::{Lane, Sql};
use super::{Postgres, countdown, filing, ledger, outbox};
use crate::audit::Signer;
use crate::store::StoreError;
use crate::store::commit::{Commit, Committed};
use crate::store::fault::Point;
use crate::store::rows;

/// Why a group's transaction was not committed.
#[derive(Debug)]
pub(super) enum Failure {
    /// Another process was first; look again.
    Raced,
    /// One commit of the group is at fault: try them singly.
    Apart(StoreError),
    /// All of them failed.
    Whole(StoreError),
}

impl Failure {
    /// What the waiting callers are told.
    pub(super) fn told(self) -> StoreError {
        match self {
            Self::Raced => StoreError::Overloaded,
            Self::Apart(fault) | Self::Whole(fault) => fault,
        }
    }
}

impl From<StoreError> for Failure {
    fn from(fault: StoreError) -> Self {
        Self::Whole(fault)
    }
}

/// Writes what of `commits` is not refused; the others' results say why. After an error the
/// caller rolls back.
pub(super) async fn write(
    store: &Postgres,
    lane: &Lane,
    signer: &Signer,
    commits: &[&Commit],
) -> Result<Vec<Result<Committed, StoreError>>, Failure> {
    made(store, Point::Begin)?;
    let mut kinds = HashMap::new();
    for write in commits.iter().flat_map(|commit| &commit.writes) {
        if !kinds.contains_key(&write.kind) {
            kinds.insert(write.kind.clone(), store.kind_or_new(&write.kind).await?);
        }
    }
    let mut plan = look(lane, commits, &kinds).await?;
    let decided: Vec<Result<(), StoreError>> = commits.iter().map(|commit| plan.add(commit, &kinds)).collect();
    let accepted: Vec<&Commit> =
        commits.iter().zip(&decided).filter(|(_, result)| result.is_ok()).map(|(commit, _)| *commit).collect();
    let mut log = write_first(lane, &plan, &accepted).await?;
    let mut firsts = Vec::with_capacity(accepted.len());
    for commit in &accepted {
        firsts.push(log.append(&commit.audit));
    }
    made(store, Point::Commit)?;
    write_rest(lane, signer, &plan, &accepted, &log).await?;
    // After this line a crash is harmless: everything in the group is on disk.
    made(store, Point::Answer)?;
    let mut firsts = firsts.into_iter();
    let mut committed = || Committed { first_entry: firsts.next().unwrap_or_default() };
    Ok(decided.into_iter().map(|result| result.map(|()| committed())).collect())
}

fn made(store: &Postgres, point: Point) -> Result<(), Failure> {
    if store.faults.met(point) {
        return Err(Failure::Whole(StoreError::Engine(format!("a fault made on purpose at {point:?}"))));
    }
    Ok(())
}

/// Begins, locks the rows that the group is about and reads them.
async fn look(lane: &Lane, commits: &[&Commit], kinds: &HashMap<String, i32>) -> Result<Plan, Failure> {
    let keys = commits.iter().flat_map(|commit| &commit.keys);
    let (scopes, keys): (Vec<&str>, Vec<String>) = keys.map(|key| (key.scope, rows::door_key(&key.key))).unzip();
    let writes = || commits.iter().flat_map(|commit| &commit.writes);
    let names = writes().filter_map(|write| Some((*kinds.get(&write.kind)?, write.id.as_str())));
    let names: std::collections::BTreeSet<(i32, &str)> = names.collect();
    let (types, ids): (Vec<i32>, Vec<&str>) = names.into_iter().unzip();
    let first_versions = writes().filter(|write| write.version == 1).count();
    let draw = i64::try_from(first_versions).unwrap_or(i64::MAX);
    let sent: Vec<Uuid> = commits.iter().flat_map(|commit| &commit.sent).map(|sent| sent.id).collect();
    let filings: Vec<Uuid> = commits.iter().flat_map(|commit| &commit.filings).map(|filing| filing.id).collect();
    let people: Vec<&String> =
        commits.iter().flat_map(|commit| &commit.episodes).map(|episode| &episode.nhs_number).collect();
    let (begun, keys, resources, drawn, leases, filings, open) = tokio::join!(
        lane.say("BEGIN"),
        lane.ask(Sql::FindKeys, keys.len(), [&scopes, &keys]),
        lane.ask(Sql::LockResources, ids.len(), [&types, &ids]),
        lane.ask(Sql::DrawKeys, first_versions, [&draw]),
        lane.ask(Sql::LockSent, sent.len(), [&sent]),
        lane.ask(Sql::LockFilings, filings.len(), [&filings]),
        lane.ask(Sql::FindEpisodes, people.len(), [&people]),
    );
    begun?;
    let mut plan = Plan::default();
    for row in keys? {
        plan.keys.insert((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?);
    }
    for row in resources? {
        plan.resources.insert((row.try_get(0)?, row.try_get(1)?), state(&row)?);
    }
    for row in drawn? {
        plan.drawn.push(row.try_get(0)?);
    }
    // Given from the end: the lowest first.
    plan.drawn.sort_unstable_by(|a, b| b.cmp(a));
    for row in leases? {
        plan.leases.insert(row.try_get(0)?, row.try_get(1)?);
    }
    for row in filings? {
        plan.filings.insert(row.try_get(0)?, row.try_get::<_, i32>(1)?.unsigned_abs());
    }
    for row in open? {
        plan.open.insert(row.try_get(0)?, row.try_get(1)?);
    }
    Ok(plan)
}

fn state(row: &Row) -> Result<State, Failure> {
    let index = rows::unpack_index(row.try_get(4)?)?;
    let version: i32 = row.try_get(3)?;
    Ok(State {
        key: row.try_get(2)?,
        version: version.unsigned_abs(),
        at: Timestamp::UNIX_EPOCH,
        deleted: false,
        before: index.clone(),
        index,
        packed: String::new(),
        new: false,
        changed: false,
    })
}

/// A commit's door keys, a column each.
#[derive(Default)]
struct Keys<'a> {
    scope: Vec<&'a str>,
    key: Vec<String>,
    digest: Vec<&'a str>,
    expires: Vec<Option<Timestamp>>,
}

/// Writes keys, resources and their index, and what became of deliveries; then locks the tree.
async fn write_first(lane: &Lane, plan: &Plan, accepted: &[&Commit]) -> Result<Log, Failure> {
    let mut keys = Keys::default();
    for key in accepted.iter().flat_map(|commit| &commit.keys) {
        keys.scope.push(key.scope);
        keys.key.push(rows::door_key(&key.key));
        keys.digest.push(&key.digest);
        keys.expires.push(key.expires);
    }
    let now = forget_before(accepted);
    let (new, old) = resources(plan);
    let (gone, come) = index(plan);
    let sent = outbox::Results::of(accepted);
    let filings = filing::Filings::of(accepted);
    let (taken, forgotten, added, changed, dropped, indexed, sent, filed, tree) = tokio::join!(
        lane.send(Sql::TakeKeys, keys.key.len(), [&keys.scope, &keys.key, &keys.digest, &keys.expires]),
        lane.send(Sql::ForgetKeys, usize::from(now.is_some()), [&now]),
        lane.send(
            Sql::AddResources,
            new.key.len(),
            [&new.key, &new.kind, &new.id, &new.version, &new.at, &new.deleted, &new.rows],
        ),
        lane.send(Sql::ChangeResources, old.key.len(), [&old.key, &old.version, &old.at, &old.deleted, &old.rows]),
        lane.send(Sql::DropRows, gone.param.len(), [&gone.param, &gone.value, &gone.resource, &gone.extra]),
        lane.send(Sql::AddRows, come.param.len(), [&come.param, &come.value, &come.resource, &come.extra]),
        sent.send(lane),
        filings.send(lane),
        lane.ask(Sql::LockTree, 1, []),
    );
    let (taken, added) = (taken?, added?);
    for result in [forgotten, changed, dropped, indexed, sent, filed] {
        result?;
    }
    if taken != keys.key.len() as u64 || added != new.key.len() as u64 {
        return Err(Failure::Raced);
    }
    let tree = tree?;
    Ok(Log::at(tree.first().ok_or_else(|| rows::damaged("the audit tree"))?)?)
}

/// When this group brought keys that pass: those of before now are forgotten.
fn forget_before(accepted: &[&Commit]) -> Option<Timestamp> {
    let passing = accepted.iter().find(|commit| commit.keys.iter().any(|key| key.expires.is_some()))?;
    passing.audit.first().map(|entry| entry.at)
}

/// Current rows of resources, a column each.
#[derive(Default)]
struct Resources<'a> {
    key: Vec<i64>,
    kind: Vec<i32>,
    id: Vec<&'a str>,
    version: Vec<i32>,
    at: Vec<Timestamp>,
    deleted: Vec<bool>,
    rows: Vec<&'a str>,
}

/// The resources to add and those to change.
fn resources(plan: &Plan) -> (Resources<'_>, Resources<'_>) {
    let (mut new, mut old) = (Resources::default(), Resources::default());
    for ((kind, id), state) in plan.resources.iter().filter(|(_, state)| state.changed) {
        let side = if state.new { &mut new } else { &mut old };
        side.key.push(state.key);
        side.kind.push(*kind);
        side.id.push(id);
        side.version.push(state.version.cast_signed());
        side.at.push(state.at);
        side.deleted.push(state.deleted);
        side.rows.push(&state.packed);
    }
    (new, old)
}

/// Index rows, a column each.
#[derive(Default)]
struct Index<'a> {
    param: Vec<i32>,
    value: Vec<&'a str>,
    resource: Vec<i64>,
    extra: Vec<&'a str>,
}

/// The index rows that go and those that come.
fn index(plan: &Plan) -> (Index<'_>, Index<'_>) {
    let (mut gone, mut come) = (Index::default(), Index::default());
    for ((kind, _), state) in plan.resources.iter().filter(|(_, state)| state.changed) {
        let sides = [(&mut gone, &state.before, &state.index), (&mut come, &state.index, &state.before)];
        for (side, these, others) in sides {
            for row in these.iter().filter(|row| others.binary_search(row).is_err()) {
                side.param.push(super::search::param(*kind, row.param));
                side.value.push(&row.value);
                side.resource.push(state.key);
                side.extra.push(&row.extra);
            }
        }
    }
    (gone, come)
}

/// Versions of resources, a column each.
#[derive(Default)]
struct Versions<'a> {
    resource: Vec<i64>,
    version: Vec<i32>,
    at: Vec<Timestamp>,
    deleted: Vec<bool>,
    body: Vec<&'a [u8]>,
    lineage: Vec<std::borrow::Cow<'a, str>>,
    entry: Vec<i64>,
}

fn versions<'a>(plan: &Plan, accepted: &[&'a Commit], entries: &[i64]) -> Versions<'a> {
    let mut columns = Versions { resource: plan.versions.clone(), ..Versions::default() };
    for (commit, entry) in accepted.iter().zip(entries) {
        for write in &commit.writes {
            columns.version.push(write.version.cast_signed());
            columns.at.push(write.at);
            columns.deleted.push(write.deleted);
            columns.body.push(&write.body);
            columns.lineage.push(rows::text(&write.lineage));
            columns.entry.push(*entry);
        }
    }
    columns
}

/// Writes what comes after the tree's lock, and commits, in one round trip.
async fn write_rest(lane: &Lane, signer: &Signer, plan: &Plan, accepted: &[&Commit], log: &Log) -> Result<(), Failure> {
    let sizes = log::sizes_after(log, accepted);
    let v = versions(plan, accepted, &sizes);
    let messages = ledger::Messages::of(accepted, &sizes);
    let standing = ledger::Standing::of(accepted);
    let holds = ledger::Holds::of(accepted);
    let episodes = ledger::Episodes::of(accepted);
    let countdowns = countdown::Countdowns::of(accepted);
    let outbox = outbox::Rows::of(accepted, &sizes);
    let signed = log.signed(signer);
    let (versions, messages, standing, holds, episodes, countdowns, outbox, log, committed) = tokio::join!(
        lane.send(
            Sql::AddVersions,
            v.resource.len(),
            [&v.resource, &v.version, &v.at, &v.deleted, &v.body, &v.lineage, &v.entry],
        ),
        messages.send(lane),
        standing.send(lane),
        holds.send(lane),
        episodes.send(lane),
        countdowns.send(lane),
        outbox.send(lane),
        log.send(lane, &signed),
        lane.say("COMMIT"),
    );
    // The first fault is the cause; the server refuses all after it, the COMMIT included.
    for result in [versions, messages, standing, holds, episodes, countdowns, outbox, log, committed.map(|()| 0)] {
        result?;
    }
    Ok(())
}

/// The last of what the commits say of each name, and the first of it.
pub(super) fn last_of_each<'a, K: Ord, T>(all: impl Iterator<Item = (K, &'a T)>) -> BTreeMap<K, (&'a T, &'a T)> {
    let mut each = BTreeMap::new();
    for (key, value) in all {
        each.entry(key).and_modify(|(_, last)| *last = value).or_insert((value, value));
    }
    each
}
