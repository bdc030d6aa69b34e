//! Decides, commit by commit, what a group may write, from what the database showed under lock.
//! A commit that is refused leaves no trace in the plan. Pure.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use uuid::Uuid;

use crate::store::StoreError;
use crate::store::commit::{Commit, Episode, IndexRow, ResourceWrite};
use crate::store::rows;

/// A resource by the number of its type and its id.
pub(super) type Name = (i32, String);

/// One resource as the group leaves it.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub key: i64,
    pub version: u32,
    pub at: Timestamp,
    pub deleted: bool,
    /// Its index rows in the database.
    pub before: Vec<IndexRow>,
    /// Its index rows from now on, and packed.
    pub index: Vec<IndexRow>,
    pub packed: String,
    /// True when the database has no such resource yet.
    pub new: bool,
    /// True once the group changes it.
    pub changed: bool,
}

/// What the database showed, and what the group will have made of it.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Door keys in use: (scope, key) to digest.
    pub keys: HashMap<(String, String), String>,
    /// In the order of names, which is the order of locks.
    pub resources: BTreeMap<Name, State>,
    /// Queued outbox rows and the leases they are under.
    pub leases: HashMap<Uuid, Option<Uuid>>,
    /// Filings and their versions.
    pub filings: HashMap<Uuid, u32>,
    /// NHS number to open episode.
    pub open: HashMap<String, String>,
    /// Creation orders drawn and not yet given.
    pub drawn: Vec<i64>,
    /// Versions to write, in order: the resource's key.
    pub versions: Vec<i64>,
}

impl Plan {
    /// Adds a commit, or says why it is refused. `kinds` are the numbers of its resource types.
    pub(super) fn add(&mut self, commit: &Commit, kinds: &HashMap<String, i32>) -> Result<(), StoreError> {
        let keys = self.keys(commit)?;
        let resources = self.resources(commit, kinds)?;
        for sent in &commit.sent {
            if self.leases.get(&sent.id) != Some(&Some(sent.lease)) {
                return Err(StoreError::Stale { what: format!("outbox row {}", sent.id) });
            }
        }
        for filing in &commit.filings {
            let current = self.filings.get(&filing.id).copied();
            // A first version that is there already is the same event again.
            let again = filing.version == 1 && current.is_some();
            if !again && filing.version != current.unwrap_or(0).saturating_add(1) {
                return Err(StoreError::Stale { what: format!("filing {}", filing.id) });
            }
        }
        self.episodes(&commit.episodes)?;
        // Nothing below fails.
        self.keys.extend(keys);
        for name in &resources.order {
            // Every name of the order has a state.
            self.versions.extend(resources.states.get(name).map(|state| state.key));
        }
        self.resources.extend(resources.states);
        Ok(())
    }

    fn keys(&self, commit: &Commit) -> Result<HashMap<(String, String), String>, StoreError> {
        let mut staged = HashMap::new();
        for key in &commit.keys {
            let name = (key.scope.to_owned(), rows::door_key(&key.key));
            if let Some(digest) = self.keys.get(&name).or_else(|| staged.get(&name)) {
                return Err(StoreError::Taken { scope: key.scope.to_owned(), digest: digest.clone() });
            }
            staged.insert(name, key.digest.clone());
        }
        Ok(staged)
    }

    fn resources(&mut self, commit: &Commit, kinds: &HashMap<String, i32>) -> Result<Staged, StoreError> {
        let mut staged = Staged::default();
        for write in &commit.writes {
            let stale = || StoreError::Stale { what: format!("{}/{}", write.kind, write.id) };
            let kind = *kinds.get(&write.kind).ok_or_else(|| rows::damaged("a resource type"))?;
            let name = (kind, write.id.clone());
            let current = staged.states.get(&name).or_else(|| self.resources.get(&name));
            let version = current.map_or(0, |state| state.version);
            if write.version != version.saturating_add(1) || i32::try_from(write.version).is_err() {
                return Err(stale());
            }
            let state = match current {
                Some(state) => after(state, write),
                // One was drawn for each first version in the group.
                None => after(&unborn(self.drawn.pop().ok_or_else(stale)?, write.at), write),
            };
            staged.states.insert(name.clone(), state);
            staged.order.push(name);
        }
        Ok(staged)
    }

    fn episodes(&mut self, episodes: &[Episode]) -> Result<(), StoreError> {
        let mut open = HashMap::new();
        for episode in episodes {
            let person = &episode.nhs_number;
            let known = open.get(person).cloned().unwrap_or_else(|| self.open.get(person).cloned());
            let own = known.as_ref().is_none_or(|id| *id == episode.id);
            if episode.open && !own {
                return Err(StoreError::Stale { what: "the person's open episode".into() });
            }
            if own {
                open.insert(person.clone(), episode.open.then(|| episode.id.clone()));
            }
        }
        // No two commits of a group touch one person: there is nothing to carry over.
        Ok(())
    }
}

#[derive(Default)]
struct Staged {
    states: BTreeMap<Name, State>,
    order: Vec<Name>,
}

/// A resource that has no version yet.
fn unborn(key: i64, at: Timestamp) -> State {
    State {
        key,
        version: 0,
        at,
        deleted: false,
        before: Vec::new(),
        index: Vec::new(),
        packed: String::new(),
        new: true,
        changed: false,
    }
}

/// The state after one more version.
fn after(state: &State, write: &ResourceWrite) -> State {
    let index = if write.deleted { &[][..] } else { &write.index[..] };
    let (index, packed) = rows::pack_index(index);
    State {
        key: state.key,
        version: write.version,
        at: write.at,
        deleted: write.deleted,
        before: state.before.clone(),
        index,
        packed,
        new: state.new,
        changed: true,
    }
}
