//! The Postgres store.
#![allow(missing_docs, unused_variables, clippy::todo)]

mod staging;

use jiff::Timestamp;

use super::{EntrySearch, Page, Search, StoreError, Stored, commit};

/// See the contract in `store`.
#[derive(Clone)]
pub struct Postgres {}

pub async fn migrate(url: &str) -> Result<Vec<String>, StoreError> {
    todo!()
}

impl Postgres {
    pub async fn open(
        config: &crate::config::Store,
        url: &str,
        signer: crate::audit::Signer,
    ) -> Result<Self, StoreError> {
        todo!()
    }

    pub async fn commit(&self, commit: commit::Commit) -> Result<commit::Committed, StoreError> {
        todo!()
    }

    pub async fn read_resource(&self, kind: &str, id: &str) -> Result<Option<Stored>, StoreError> {
        todo!()
    }

    pub async fn vread(&self, kind: &str, id: &str, version: u32) -> Result<Option<Stored>, StoreError> {
        todo!()
    }

    pub async fn history(&self, kind: &str, id: &str, before: u32, count: usize) -> Result<Vec<Stored>, StoreError> {
        todo!()
    }

    pub async fn search(&self, search: Search) -> Result<Page, StoreError> {
        todo!()
    }

    pub async fn visibility(&self, kind: &str, id: &str) -> Result<Vec<(u8, String)>, StoreError> {
        todo!()
    }

    pub async fn door_key(&self, scope: &str, key: &str) -> Result<Option<String>, StoreError> {
        todo!()
    }

    pub async fn message(&self, id: uuid::Uuid) -> Result<Option<commit::Message>, StoreError> {
        todo!()
    }

    pub async fn ledger(
        &self,
        practice: Option<&str>,
        day: Option<&str>,
    ) -> Result<Vec<commit::LedgerRow>, StoreError> {
        todo!()
    }

    pub async fn ledger_row(&self, id: &str) -> Result<Option<commit::LedgerRow>, StoreError> {
        todo!()
    }

    pub async fn open_to_read(config: &crate::config::Store, url: &str) -> Result<Self, StoreError> {
        todo!()
    }

    pub fn faults(&self) -> &super::fault::Faults {
        todo!()
    }

    pub async fn ledger_counts(&self, practice: Option<&str>) -> Result<Vec<(String, u64)>, StoreError> {
        todo!()
    }

    pub async fn highest_entry_seen(&self) -> Result<Option<u64>, StoreError> {
        todo!()
    }

    pub async fn misindexed(&self, from: u64, count: usize) -> Result<Vec<u64>, StoreError> {
        todo!()
    }

    pub async fn ignored(&self) -> Result<Vec<(String, String, u64)>, StoreError> {
        todo!()
    }

    pub async fn holds(&self) -> Result<Vec<commit::Hold>, StoreError> {
        todo!()
    }

    pub async fn open_episode(&self, nhs_number: &str) -> Result<Option<commit::Episode>, StoreError> {
        todo!()
    }

    pub async fn episode(&self, id: &str) -> Result<Option<commit::Episode>, StoreError> {
        todo!()
    }

    pub async fn caseloads(&self) -> Result<Vec<(String, u64)>, StoreError> {
        todo!()
    }

    pub async fn claim(
        &self,
        queue: &str,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<commit::Claimed>, StoreError> {
        todo!()
    }

    pub async fn queues(&self) -> Result<Vec<(String, u64, u64)>, StoreError> {
        todo!()
    }

    pub async fn outbox_of(
        &self,
        episode: &str,
        prefix: &str,
    ) -> Result<Vec<(uuid::Uuid, String, String)>, StoreError> {
        todo!()
    }

    pub async fn entries(&self, from: u64, count: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        todo!()
    }

    pub async fn leaf_hashes(&self, from: u64, count: usize) -> Result<Vec<[u8; 32]>, StoreError> {
        todo!()
    }

    pub async fn find_entries(&self, find: EntrySearch) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        todo!()
    }

    pub async fn checkpoints(&self) -> Result<Vec<(u64, String)>, StoreError> {
        todo!()
    }

    pub async fn ready(&self) -> Result<(), StoreError> {
        todo!()
    }

    pub async fn close(&self) {
        todo!()
    }
}
