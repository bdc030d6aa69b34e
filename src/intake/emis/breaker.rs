//! What keeps a practice's batch from being applied: its agreement, and mass deletion.
//!
//! EMIS once deleted everything of a practice whose agreement was switched off, and brought it
//! back later. Since 2019 it sends empty files meanwhile, and does not send what changed.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::files::Source;
use super::open::{self, Part};
use super::park::Aside;
use super::row::Deleted;
use super::{IngestFault, Run};
use crate::gateway::Gateway;
use crate::parsing::emis::rows::View;
use crate::parsing::emis::{Table, cells};
use crate::store::StoreError;
use crate::store::staging::{Kind, State};

/// Fewer deletions than this are no mass, whatever their share: a practice with two referrals may
/// delete one.
const MASS_DELETE_ROWS_MIN: u64 = 3;

impl Run<'_> {
    /// Which practices may be read at all, by the sharing agreement.
    pub(super) async fn gate(&mut self, feed: &str, aside: &mut Aside) -> Result<(), StoreError> {
        aside.agreement = open_practices(self.gateway, feed).await?;
        Ok(())
    }

    /// Looks through a batch's deletions before any is applied.
    pub(super) async fn breaker(&mut self, files: &[&Source], aside: &mut Aside) -> Result<(), IngestFault> {
        let rows = self.gateway.store.practice_rows().await?;
        if rows.is_empty() {
            return Ok(());
        }
        let (mut candidates, mut patients) = (Deleted::new(), Deleted::new());
        for file in files {
            match file.name.table {
                Table::Observation => self.deletions(file, "ObservationGuid", &mut candidates).await?,
                Table::Patient => self.deletions(file, "PatientGuid", &mut patients).await?,
                _ => {}
            }
        }
        let share = self.gateway.config.intake.emis.mass_delete_share;
        #[allow(clippy::cast_precision_loss)] // a share needs no more digits
        let is_mass =
            |deleted: usize, of: u64| deleted as u64 >= MASS_DELETE_ROWS_MIN && deleted as f64 > share * of as f64;
        let count = |deleted: &Deleted, organisation: &str| deleted.get(organisation).map_or(0, HashSet::len);
        for row in rows {
            let of_candidates = is_mass(count(&candidates, &row.organisation), row.candidates);
            if of_candidates || is_mass(count(&patients, &row.organisation), row.patients) {
                aside.mass_delete.insert(row.organisation);
            }
        }
        Ok(())
    }

    /// Deletions in a file of rows that are here.
    async fn deletions(&self, file: &Source, key: &str, found: &mut Deleted) -> Result<(), StoreError> {
        let mut parts = open::stream(file, &self.gateway.config.intake.emis.pgp_key_file);
        let mut columns = None;
        while let Some(part) = parts.recv().await {
            match part {
                Part::Columns(here) => columns = Some(here),
                Part::Rows(rows) => {
                    let Some(columns) = &columns else { continue };
                    let views = rows.iter().map(|(record, line)| View::of(record, columns, *line));
                    let deleted = views.filter(|view| cells::boolean(view.text("Deleted")) == Some(true));
                    let keys: Vec<_> = deleted.map(|view| (view.guid("OrganisationGuid"), view.guid(key))).collect();
                    self.keep_those_here(file.name.table, keys, found).await?;
                }
                // The file is read again in a moment, and the fault told then.
                Part::Fault(_) => break,
            }
        }
        Ok(())
    }

    async fn keep_those_here(
        &self,
        table: Table,
        keys: Vec<(String, String)>,
        found: &mut Deleted,
    ) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        if table == Table::Observation {
            let known = self.gateway.store.known_candidates(keys).await?;
            for known in known.into_iter().filter(|known| !matches!(known.state, State::Ignored | State::Withdrawn)) {
                found.entry(known.organisation).or_default().insert(known.observation);
            }
            return Ok(());
        }
        let mut by_practice: HashMap<String, Vec<String>> = HashMap::new();
        for (organisation, key) in keys {
            by_practice.entry(organisation).or_default().push(key);
        }
        for (organisation, keys) in by_practice {
            let here = self.gateway.store.references(Kind::Patient, &organisation, keys).await?;
            found.entry(organisation).or_default().extend(here.into_iter().map(|(key, _)| key));
        }
        Ok(())
    }
}

/// The practices that an agreement is open for. An agreement that never came - a folder made by
/// hand - gates nothing: `None`.
pub(super) async fn open_practices(gateway: &Gateway, feed: &str) -> Result<Option<HashSet<String>>, StoreError> {
    let rows = gateway.store.references(Kind::Agreement, feed, Vec::new()).await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let is_open = |body: &str| {
        let row: Value = serde_json::from_str(body).unwrap_or_default();
        let is = |name: &str| row[name].as_str().and_then(cells::boolean) == Some(true);
        is("IsActivated") && !is("Disabled") && !is("Deleted")
    };
    Ok(Some(rows.into_iter().filter(|(_, body)| is_open(body)).map(|(key, _)| key).collect()))
}
