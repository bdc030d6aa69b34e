//! One batch: its files known or new, its rows staged or put aside.

use std::collections::HashMap;

use csv::ByteRecord;
use serde_json::Value;

use super::files::{Batch, Source};
use super::open::{self, Part};
use super::park::Aside;
use super::row::{Fate, KEY_ONLY, Lot, Staged, codes, half, is_test_patient, judge, reference, references, take};
use super::select::{self, Organisations};
use super::{IngestFault, Run};
use crate::parsing::emis::rows::View;
use crate::parsing::emis::{Columns, Table, cells};
use crate::referral::hold_id;
use crate::store::StoreError;
use crate::store::commit::{Cause, Commit, DoorKey, Hold};
use crate::store::staging::{self, Kind, Known, Reference, State};

/// The scope of door keys for files.
const FILE: &str = "file";

impl Run<'_> {
    /// Stages one batch.
    pub(super) async fn batch(&mut self, batch: Batch, accept_changed: bool) -> Result<(), IngestFault> {
        let mut files = Vec::new();
        for file in batch.files {
            if let Some(digest) = self.is_new(&file, accept_changed).await? {
                files.push((file, digest));
            }
        }
        if files.is_empty() {
            return Ok(());
        }
        let sequence = self.batches;
        self.batches += 1;
        let time =
            batch.time.map_or_else(|| format!("{}/{sequence:06}", super::local(self.at)), |time| time.to_string());
        if let Some((first, last)) = batch.processing {
            self.note_gap(&batch.feed, first, last).await?;
        }
        let (reference, records): (Vec<_>, Vec<_>) = files.iter().partition(|(file, _)| {
            matches!(file.name.table, Table::Agreement | Table::Organisation | Table::UserInRole | Table::Code)
        });
        let mut aside = Aside::new(&time);
        for (file, digest) in reference {
            self.file(file, digest, &batch.feed, &time, &mut aside).await?;
        }
        self.codes.forget();
        self.organisations = Organisations::load(self.gateway).await?;
        self.gate(&batch.feed, &mut aside).await?;
        let sources: Vec<&Source> = records.iter().map(|(file, _)| file).collect();
        self.breaker(&sources, &mut aside).await?;
        for (file, digest) in records {
            self.file(file, digest, &batch.feed, &time, &mut aside).await?;
        }
        Ok(self.keep_aside(aside).await?)
    }

    /// The digest of a file that is to be read. One that is known is skipped; a known name with
    /// other content is held.
    async fn is_new(&mut self, file: &Source, accept: bool) -> Result<Option<String>, IngestFault> {
        let digest = match open::digest(file).await {
            Ok(digest) => digest,
            Err(why) => {
                self.unreadable(&file.label, &why).await?;
                return Ok(None);
            }
        };
        let is_read = self.done.iter().any(|done| done.key == digest);
        let is_known = is_read || self.gateway.store.door_key(FILE, &digest).await?.is_some();
        // Rows of agreements have no ProcessingId: one that is switched off and on again can come in
        // the same bytes. It is small, and its version says whether it is news.
        if is_known && file.name.table != Table::Agreement {
            self.result.line(&file.label, "file-known", Vec::new());
            return Ok(None);
        }
        let Some(known_as) = &file.known_as else { return Ok(Some(digest)) };
        let before = self.gateway.store.door_key(FILE, &format!("name/{known_as}")).await?;
        if before.is_some_and(|before| before != digest) && !accept {
            let detail =
                format!("{} was read before with other content; replay it if the new one is right", file.label);
            let place = file.path.canonicalize().unwrap_or_else(|_| file.path.clone());
            self.hold_file(&file.label, Cause::FileChanged, &detail, format!("file:{}", place.display())).await?;
            self.result.line(&file.label, "file-changed", vec![detail]);
            return Ok(None);
        }
        Ok(Some(digest))
    }

    /// A gap in an agreement's processing ids is shown until it closes.
    async fn note_gap(&mut self, feed: &str, first: u64, last: u64) -> Result<(), StoreError> {
        let batch = staging::Batch { feed: feed.to_owned(), first, last };
        let noted = self.gateway.store.note_batch(batch).await?;
        let missing = gaps(&noted);
        let what = format!("gap/{feed}");
        if missing.is_empty() {
            self.released.push(hold_id(&what, Cause::FileGap));
            return Ok(());
        }
        let words: Vec<String> = missing.iter().map(|(from, to)| format!("{from}-{to}")).collect();
        let detail = format!("batches with processing ids {} have not come", words.join(", "));
        self.hold_file(&what, Cause::FileGap, &detail, String::new()).await
    }

    /// A file that is not what it claims to be.
    pub(super) async fn unreadable(&mut self, label: &str, why: &str) -> Result<(), StoreError> {
        self.result.unreadable += 1;
        self.result.line(label, "file-unreadable", vec![why.to_owned()]);
        self.hold_file(label, Cause::Unreadable, &format!("{label}: {why}"), String::new()).await
    }

    async fn hold_file(&mut self, what: &str, cause: Cause, detail: &str, replay: String) -> Result<(), StoreError> {
        let hold = Hold {
            id: hold_id(what, cause),
            cause,
            channel: "emis-extract".into(),
            received_at: self.at,
            source: what.to_owned(),
            practice: None,
            detail: detail.to_owned(),
            count: 1,
            referral: None,
            replay,
        };
        let audit = vec![self.entry("file", &format!("held: {}", cause.word()))];
        self.gateway.store.commit(Commit { holds: vec![hold], audit, ..Commit::default() }).await.map(drop)
    }

    /// Reads one file through.
    async fn file(
        &mut self,
        file: &Source,
        digest: &str,
        feed: &str,
        time: &str,
        aside: &mut Aside,
    ) -> Result<(), IngestFault> {
        let mut parts = open::stream(file, &self.gateway.config.intake.emis.pgp_key_file);
        let lot = Lot { feed, time, table: file.name.table, label: &file.label };
        let mut columns = None;
        let mut done = 0;
        while let Some(part) = parts.recv().await {
            match part {
                Part::Columns(found) => {
                    self.report_unknown(&file.label, &found);
                    columns = Some(found);
                }
                Part::Rows(rows) => {
                    done += rows.len() as u64;
                    let Some(columns) = &columns else { continue };
                    self.rows(&lot, columns, &rows, aside).await?;
                    (self.progress)(done, &file.label);
                }
                Part::Fault(why) => return Ok(self.unreadable(&file.label, &why.to_string()).await?),
            }
        }
        let is_read = self.done.iter().any(|done| done.key == digest);
        if is_read || self.gateway.store.door_key(FILE, digest).await?.is_some() {
            return Ok(());
        }
        self.result.files += 1;
        let key = |key: String| DoorKey { scope: FILE, key, digest: digest.to_owned(), expires: None };
        if let Some(known_as) = &file.known_as {
            let name = format!("name/{known_as}");
            if self.gateway.store.door_key(FILE, &name).await?.is_none() {
                self.done.push(key(name));
            }
        }
        self.done.push(key(digest.to_owned()));
        self.released.extend([Cause::FileChanged, Cause::Unreadable].map(|cause| hold_id(&file.label, cause)));
        Ok(())
    }

    fn report_unknown(&mut self, label: &str, columns: &Columns) {
        if !columns.unknown.is_empty() {
            self.result.unknown_columns += columns.unknown.len() as u64;
            tracing::warn!(file = label, columns = ?columns.unknown, "columns that no version of the extract has");
        }
    }

    async fn rows(
        &mut self,
        lot: &Lot<'_>,
        columns: &Columns,
        rows: &[(ByteRecord, u64)],
        aside: &mut Aside,
    ) -> Result<(), StoreError> {
        let views: Vec<View<'_>> = rows.iter().map(|(record, line)| View::of(record, columns, *line)).collect();
        if lot.table == Table::Observation {
            let views = self.of_interest(lot, &views).await?;
            return self.stage(lot, views, aside).await;
        }
        let staged = views.iter().map(|view| take(lot, view)).collect();
        self.stage(lot, staged, aside).await
    }

    /// Observations that may concern us. Of the others nothing is made but a count.
    async fn of_interest(&mut self, lot: &Lot<'_>, views: &[View<'_>]) -> Result<Vec<Staged>, StoreError> {
        self.codes.learn(self.gateway, views.iter().map(|view| view.text("CodeId"))).await?;
        let mut asked = Vec::new();
        for view in views {
            let deleted = cells::boolean(view.text("Deleted")) == Some(true);
            let class = self.codes.class(view.text("CodeId"));
            let certain = !deleted && class.is_none_or(|class| class.prescribing);
            if !certain {
                asked.push((view.guid("OrganisationGuid"), view.guid("ObservationGuid")));
            }
        }
        let known = self.gateway.store.known_candidates(asked).await?;
        let known: HashMap<(&str, &str), &Known> =
            known.iter().map(|known| ((known.organisation.as_str(), known.observation.as_str()), known)).collect();
        let wide = select::is_wide(self.gateway);
        let by_form = |known: &Known| select::by_form(self.gateway, self.organisations.ods(&known.target).as_ref());
        let (mut staged, mut others) = (Vec::new(), Vec::new());
        for view in views {
            let (organisation, observation) = (view.guid("OrganisationGuid"), view.guid("ObservationGuid"));
            let known = known.get(&(organisation.as_str(), observation.as_str())).copied();
            let deleted = cells::boolean(view.text("Deleted")) == Some(true);
            let class = self.codes.class(view.text("CodeId"));
            // A row whose key cannot be read is kept for a person whatever its code says.
            let keyless = organisation.is_empty() || observation.is_empty();
            let by_form = known.filter(|known| known.has_referral).map(by_form);
            match judge(class, deleted, known, by_form, wide) {
                Fate::Count if !keyless => others.push(organisation),
                Fate::Count | Fate::Stage => staged.push(take(lot, view)),
                Fate::KeyOnly => {
                    let mut row = take(lot, view);
                    row.cells.insert(KEY_ONLY.to_owned(), Value::Null);
                    staged.push(row);
                }
            }
        }
        for organisation in others {
            self.ignore(&organisation, "not-social-prescribing");
        }
        Ok(staged)
    }

    /// Rows of any table, off a file or taken back from where they were put aside.
    pub(super) async fn stage(
        &mut self,
        lot: &Lot<'_>,
        rows: Vec<Staged>,
        aside: &mut Aside,
    ) -> Result<(), StoreError> {
        let store = &self.gateway.store;
        match lot.table {
            Table::Agreement => {
                store.stage_references(references(Kind::Agreement, lot.feed, "OrganisationGuid", &rows)).await
            }
            Table::Organisation => {
                store.stage_references(references(Kind::Organisation, "", "OrganisationGuid", &rows)).await
            }
            Table::UserInRole => {
                store.stage_references(references(Kind::UserInRole, "", "UserInRoleGuid", &rows)).await
            }
            Table::Code => store.stage_references(codes(&rows)).await,
            Table::Patient => {
                let rows = self.unless_aside(lot, rows, aside).await?;
                self.patients(rows).await
            }
            Table::Referral | Table::Observation => {
                let rows = self.unless_aside(lot, rows, aside).await?;
                self.halves(lot, rows).await
            }
            Table::Other => Ok(()),
        }
    }

    async fn patients(&mut self, rows: Vec<Staged>) -> Result<(), StoreError> {
        let (gone, here): (Vec<Staged>, Vec<Staged>) = rows.into_iter().partition(|row| row.is("Deleted"));
        let mut staged: Vec<Reference> = Vec::new();
        for mut row in here {
            if is_test_patient(&row) {
                // A test patient is known for what it is, and nothing else of it is kept.
                row.cells.retain(|name, _| matches!(name.as_str(), "PatientGuid" | "OrganisationGuid"));
                row.cells.insert("DummyType".into(), Value::String("true".into()));
            }
            staged.extend(reference(Kind::Patient, row.cell("OrganisationGuid"), "PatientGuid", &row));
        }
        self.gateway.store.stage_references(staged).await?;
        let mut left = Vec::new();
        for mut row in gone {
            let key = vec![row.owned("PatientGuid")];
            let before = self.gateway.store.references(Kind::Patient, row.cell("OrganisationGuid"), key).await?;
            // Only the key of a deleted row can be relied on: the rest is what it was.
            if let Some(Value::Object(before)) = before.first().and_then(|(_, body)| serde_json::from_str(body).ok()) {
                row.cells = before;
            }
            row.cells.insert("Deleted".into(), Value::String("true".into()));
            left.extend(reference(Kind::Patient, row.cell("OrganisationGuid"), "PatientGuid", &row));
        }
        self.gateway.store.stage_references(left).await
    }

    async fn halves(&mut self, lot: &Lot<'_>, rows: Vec<Staged>) -> Result<(), StoreError> {
        let known = self.known(&rows).await?;
        let mut halves = Vec::new();
        let mut stray = Vec::new();
        for row in rows {
            let (organisation, observation) = (row.owned("OrganisationGuid"), row.owned("ObservationGuid"));
            if cells::guid(&organisation).is_none() || cells::guid(&observation).is_none() {
                stray.push(row);
                continue;
            }
            let known = known.get(&(organisation.clone(), observation.clone()));
            let ignored_before = known.is_none_or(|known| known.state == State::Ignored);
            let deleted = lot.table == Table::Observation && row.is("Deleted");
            let mut half = half(lot, &row, organisation, observation);
            half.deleted = deleted;
            half.ignored = row.cells.contains_key(KEY_ONLY) || (deleted && ignored_before);
            if lot.table == Table::Referral && known.is_some_and(|known| known.state == State::Ignored) {
                let target = self.organisations.ods(&half.target);
                half.ignored = !select::by_form(self.gateway, target.as_ref());
            }
            // A form is counted with its observation, or when its candidate is looked at.
            if half.ignored && !half.is_referral {
                let reason = if deleted { "deleted-before-it-was-seen" } else { "not-social-prescribing" };
                self.ignore(&half.organisation, reason);
            }
            halves.push(half);
        }
        self.keep_stray(lot, stray).await?;
        self.gateway.store.stage_halves(halves, self.at).await
    }

    pub(super) async fn known(&self, rows: &[Staged]) -> Result<HashMap<(String, String), Known>, StoreError> {
        let keys = rows.iter().map(|row| (row.owned("OrganisationGuid"), row.owned("ObservationGuid"))).collect();
        let known = self.gateway.store.known_candidates(keys).await?;
        Ok(known.into_iter().map(|known| ((known.organisation.clone(), known.observation.clone()), known)).collect())
    }
}

/// The ids between batches that are here, `(first, last)`.
fn gaps(noted: &[staging::Batch]) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = noted.iter().map(|batch| (batch.first, batch.last)).collect();
    ranges.sort_unstable();
    let mut missing = Vec::new();
    let mut reached = ranges.first().map_or(0, |(_, last)| *last);
    for (first, last) in ranges {
        if first > reached + 1 {
            missing.push((reached + 1, first - 1));
        }
        reached = reached.max(last);
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_seen_in_any_order_and_close() {
        let batch = |first, last| staging::Batch { feed: String::new(), first, last };
        assert_eq!(gaps(&[batch(291, 300), batch(301, 301)]), []);
        assert_eq!(gaps(&[batch(305, 305), batch(291, 300)]), [(301, 304)]);
        assert_eq!(gaps(&[batch(305, 305), batch(291, 300), batch(300, 304)]), []);
    }
}
