//! Rows put aside: all that a practice's batch brought, kept until a person has looked.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use uuid::Uuid;

use super::row::{Lot, Staged};
use super::{Run, agent};
use crate::intake::result::Count;
use crate::parsing::emis::Table;
use crate::referral::{emis_referral_id, hold_id};
use crate::store::StoreError;
use crate::store::commit::{Cause, Commit, Hold, LedgerRow, LedgerState, Message, digest};
use crate::store::staging::Parked;

/// Bytes of rows without a readable key that are kept with one hold.
const STRAY_BYTES_MAX: usize = 1024 * 1024;

/// What one batch put aside.
pub(super) struct Aside {
    time: String,
    /// Practices whose agreement is open; `None`: no agreement came, all are.
    pub agreement: Option<HashSet<String>>,
    /// Practices whose batch deletes too much.
    pub mass_delete: HashSet<String>,
    /// Candidates of each practice's hold.
    candidates: BTreeMap<(String, Cause), BTreeSet<String>>,
    /// A person has looked: nothing is put aside.
    pub waived: bool,
}

impl Aside {
    pub fn new(time: &str) -> Self {
        Self {
            time: time.to_owned(),
            agreement: None,
            mass_delete: HashSet::new(),
            candidates: BTreeMap::new(),
            waived: false,
        }
    }

    /// Why a practice's rows are put aside.
    fn cause(&self, organisation: &str) -> Option<Cause> {
        if self.agreement.as_ref().is_some_and(|open| !open.contains(organisation)) {
            return Some(Cause::Agreement);
        }
        (!self.waived && self.mass_delete.contains(organisation)).then_some(Cause::MassDelete)
    }

    fn hold(&self, organisation: &str, cause: Cause) -> Uuid {
        hold_id(&format!("{organisation}@{}", self.time), cause)
    }
}

impl Run<'_> {
    /// The rows that may be staged; the others are put aside.
    pub(super) async fn unless_aside(
        &mut self,
        lot: &Lot<'_>,
        rows: Vec<Staged>,
        aside: &mut Aside,
    ) -> Result<Vec<Staged>, StoreError> {
        let (mut free, mut parked) = (Vec::new(), Vec::new());
        for row in rows {
            let organisation = row.cell("OrganisationGuid").to_owned();
            let Some(cause) = aside.cause(&organisation).filter(|_| !organisation.is_empty()) else {
                free.push(row);
                continue;
            };
            let hold = aside.hold(&organisation, cause);
            let candidates = aside.candidates.entry((organisation, cause)).or_default();
            if lot.table != Table::Patient {
                candidates.insert(row.cell("ObservationGuid").to_owned());
            }
            let (table, feed) = (lot.table.name().to_owned(), lot.feed.to_owned());
            let body = row.body();
            parked.push(Parked { hold, table, version: row.version, feed, origin: row.origin, body });
        }
        if !parked.is_empty() {
            self.gateway.store.park(parked).await?;
        }
        Ok(free)
    }

    /// The holds of what was put aside.
    pub(super) async fn keep_aside(&mut self, aside: Aside) -> Result<(), StoreError> {
        for ((organisation, cause), candidates) in &aside.candidates {
            let id = aside.hold(organisation, *cause);
            let practice = self.organisations.ods(organisation);
            let mut ledger = Vec::new();
            for observation in candidates {
                let referral = emis_referral_id(organisation, observation);
                if self.gateway.store.ledger_row(&referral).await?.is_none() {
                    ledger.push(LedgerRow {
                        id: referral.clone(),
                        message: id,
                        practice: practice.clone(),
                        state: LedgerState::Held,
                        since: self.at,
                        waiting_on: cause.word().to_owned(),
                        received_at: self.at,
                    });
                }
                self.result.say(&referral, Count::Held, vec![cause.word().to_owned()]);
            }
            let detail = match cause {
                Cause::Agreement => {
                    "the practice's sharing agreement is not active: its rows are kept and not applied, and its \
                    referrals stay as they are; once it is active again ask for a full extract and replay"
                }
                _ => {
                    "the batch deletes an unusual share of the practice's rows: nothing of it was applied; ask the \
                    practice, and replay if it is right"
                }
            };
            let hold = Hold {
                id,
                cause: *cause,
                channel: "emis-extract".into(),
                received_at: self.at,
                source: aside.time.clone(),
                practice,
                detail: detail.to_owned(),
                count: (candidates.len() as u64).max(1),
                referral: None,
                replay: format!("aside:{id}"),
            };
            let audit = vec![self.entry("batch", &format!("held: {}", cause.word()))];
            self.gateway.store.commit(Commit { holds: vec![hold], ledger, audit, ..Commit::default() }).await?;
            tracing::error!(cause = cause.word(), hold = %id, "a practice's batch is held");
        }
        Ok(())
    }

    /// Rows whose key cannot be read: kept as they came, with a hold for the file.
    pub(super) async fn keep_stray(&mut self, lot: &Lot<'_>, rows: Vec<Staged>) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        for row in &rows {
            let what = hold_id(&row.origin, Cause::Encoding).to_string();
            self.result.say(&what, Count::Held, vec![Cause::Encoding.word().to_owned()]);
            if bytes.len() < STRAY_BYTES_MAX {
                bytes.extend_from_slice(row.body().as_bytes());
                bytes.push(b'\n');
            }
        }
        let count = rows.len() as u64;
        let first = &rows[0].origin;
        let message = Message {
            id: Uuid::new_v4(),
            channel: "emis-extract".into(),
            sender: agent(self.gateway).client,
            received_at: self.at,
            content_type: "application/x-ndjson".into(),
            digest: digest(&bytes),
            bytes: bytes.into(),
            outcome: "held",
        };
        let hold = Hold {
            id: hold_id(first, Cause::Encoding),
            cause: Cause::Encoding,
            channel: "emis-extract".into(),
            received_at: self.at,
            source: lot.label.to_owned(),
            practice: None,
            detail: format!("{count} rows from {first} on have no readable key; their bytes are kept with the message"),
            count,
            referral: None,
            replay: message.id.to_string(),
        };
        let audit = vec![self.entry("rows", "held: encoding")];
        let commit = Commit { message: Some(message), holds: vec![hold], audit, ..Commit::default() };
        self.gateway.store.commit(commit).await.map(drop)
    }
}
