//! Staging in PostgreSQL. The contract is in `store::staging`.
#![allow(unused_variables, clippy::todo)]

use jiff::Timestamp;
use uuid::Uuid;

use super::Postgres;
use crate::store::StoreError;
use crate::store::staging::{Batch, Candidate, Half, Kind, Known, Parked, PracticeRows, Reference, Settled};

impl Postgres {
    pub(crate) async fn stage_references(&self, rows: Vec<Reference>) -> Result<(), StoreError> {
        todo!()
    }

    pub(crate) async fn stage_halves(&self, rows: Vec<Half>, at: Timestamp) -> Result<(), StoreError> {
        todo!()
    }

    pub(crate) async fn known_candidates(&self, keys: Vec<(String, String)>) -> Result<Vec<Known>, StoreError> {
        todo!()
    }

    pub(crate) async fn references(
        &self,
        kind: Kind,
        scope: String,
        keys: Vec<String>,
    ) -> Result<Vec<(String, String)>, StoreError> {
        todo!()
    }

    pub(crate) async fn touched_candidates(
        &self,
        after: (String, String),
        count: usize,
    ) -> Result<Vec<Candidate>, StoreError> {
        todo!()
    }

    pub(crate) async fn candidate(
        &self,
        organisation: String,
        observation: String,
    ) -> Result<Option<Candidate>, StoreError> {
        todo!()
    }

    pub(crate) async fn settle(&self, settled: Vec<Settled>) -> Result<(), StoreError> {
        todo!()
    }

    pub(crate) async fn touch_waiting(&self, before: Timestamp) -> Result<(), StoreError> {
        todo!()
    }

    pub(crate) async fn practice_rows(&self) -> Result<Vec<PracticeRows>, StoreError> {
        todo!()
    }

    pub(crate) async fn park(&self, rows: Vec<Parked>) -> Result<(), StoreError> {
        todo!()
    }

    pub(crate) async fn parked(&self, hold: Uuid, after: i64, count: usize) -> Result<Vec<(i64, Parked)>, StoreError> {
        todo!()
    }

    pub(crate) async fn unpark(&self, hold: Uuid) -> Result<(), StoreError> {
        todo!()
    }

    pub(crate) async fn note_batch(&self, batch: Batch) -> Result<Vec<Batch>, StoreError> {
        todo!()
    }

    pub(crate) async fn take_turn(&self, holder: Uuid, now: Timestamp, until: Timestamp) -> Result<bool, StoreError> {
        todo!()
    }
}
