//! Who saw one person's data, in plain words, for a subject access request. The asking is itself
//! logged, before the answer.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::{Action, Agent, Entry, Kind, Outcome};
use crate::fhir::ids::NhsNumber;
use crate::store::commit::Commit;
use crate::store::{Criterion, EntrySearch, Search, Store, StoreError, Test, param};

/// The system of NHS numbers.
const NHS_NUMBER: &str = "https://fhir.nhs.uk/Id/nhs-number";
/// Patient resources looked for; one person has one, unless identifiers were mended.
const PATIENTS_MAX: usize = 100;
/// Entries read at once.
const PAGE: usize = 500;

/// One event that touched the person's data.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// When, UTC.
    pub at: Timestamp,
    /// Who: client, organisation, role, and the person where known.
    pub who: String,
    /// What was done.
    pub what: String,
    /// Why.
    pub why: String,
    /// Whether it was done.
    pub done: bool,
    /// The entry's id, for `audit prove`.
    pub entry: Uuid,
}

/// The list, newest first.
#[derive(Debug, Clone, Serialize)]
pub struct Disclosure {
    /// Records of the person that the gateway holds.
    pub records: usize,
    /// The events.
    pub lines: Vec<Line>,
}

impl std::fmt::Display for Disclosure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.records == 0 {
            return write!(f, "The gateway holds no record of this person.");
        }
        writeln!(f, "{} events touched this person's data, newest first:", self.lines.len())?;
        for line in &self.lines {
            let refused = if line.done { "" } else { " (refused)" };
            let at = line.at.strftime("%Y-%m-%d %H:%M:%S UTC");
            writeln!(f, "{at}  {} {}, for {}{refused}", line.who, line.what, line.why)?;
        }
        Ok(())
    }
}

/// Everyone who touched the data of the person with this NHS number. `asked_by` and `now` go into
/// the log with the question.
///
/// # Errors
/// When the store cannot be read, or the question cannot be logged: then nothing is disclosed.
pub async fn disclosure(
    store: &Store,
    nhs_number: &NhsNumber,
    asked_by: Agent,
    now: Timestamp,
) -> Result<Disclosure, StoreError> {
    let patients = patients(store, nhs_number).await?;
    let mut lines = Vec::new();
    for patient in &patients {
        gather(store, patient, &mut lines).await?;
    }
    lines.sort_by(|a, b| b.at.cmp(&a.at).then(a.entry.cmp(&b.entry)));
    lines.dedup_by_key(|line| line.entry);
    let entry = Entry {
        purpose: "PATRQT".to_owned(),
        patients: patients.clone(),
        ..Entry::care(Kind::Operation, "disclosure", Action::R, asked_by, now)
    };
    store.commit(Commit { audit: vec![entry], ..Commit::default() }).await?;
    Ok(Disclosure { records: patients.len(), lines })
}

async fn patients(store: &Store, nhs_number: &NhsNumber) -> Result<Vec<String>, StoreError> {
    let number = Test::Is { value: nhs_number.as_str().to_owned(), extra: Some(NHS_NUMBER.to_owned()) };
    let criteria = vec![Criterion { param: param::IDENTIFIER, any_of: vec![number], negated: false }];
    let search = Search { criteria, count: PATIENTS_MAX, ..Search::of("Patient") };
    Ok(store.search(search).await?.found.into_iter().map(|found| format!("Patient/{}", found.id)).collect())
}

async fn gather(store: &Store, patient: &str, lines: &mut Vec<Line>) -> Result<(), StoreError> {
    let mut before = None;
    loop {
        let find = EntrySearch { patient: Some(patient.to_owned()), before, count: PAGE, ..EntrySearch::default() };
        let page = store.find_entries(find).await?;
        let Some((lowest, _)) = page.last() else { return Ok(()) };
        before = Some(*lowest);
        for (position, bytes) in &page {
            let entry = serde_json::from_slice(bytes)
                .map_err(|_| StoreError::Engine(format!("the audit entry at position {position} is not readable")))?;
            lines.push(line(&entry));
        }
    }
}

fn line(entry: &Entry) -> Line {
    let Agent { client, ods, role, user, .. } = &entry.agent;
    let mut who = match client.as_str() {
        "gateway" => "The gateway itself".to_owned(),
        "operator" => "An operator at the gateway".to_owned(),
        client => format!("{client} ({ods}, {role})"),
    };
    if !user.is_empty() {
        who.push_str(&format!(", person {user}"));
    }
    Line {
        at: entry.at,
        who,
        what: what(entry),
        why: why(&entry.purpose).to_owned(),
        done: entry.outcome == Outcome::Success,
        entry: entry.id,
    }
}

fn what(entry: &Entry) -> String {
    let mut kinds: Vec<&str> = entry.entities.iter().filter_map(|entity| entity.split('/').next()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let of = if kinds.is_empty() { "the record".to_owned() } else { kinds.join(", ") };
    match (entry.kind, entry.interaction.as_str()) {
        (Kind::Rest, "read" | "vread") => format!("read {of}"),
        (Kind::Rest, "history-instance" | "history-type") => format!("read the history of {of}"),
        (Kind::Rest, "search" | "search-type") => format!("searched, and was shown {of}"),
        (Kind::Rest, "create") => format!("recorded {of}"),
        (Kind::Rest, "update") => format!("changed {of}"),
        (Kind::Intake, _) => format!("sent a referral ({of})"),
        (Kind::Delivery, _) => format!("was sent {of}{}", to(entry)),
        (Kind::WriteBack, _) => format!("sent {of} to the practice's record{}", to(entry)),
        (Kind::Operation, "disclosure") => "listed who had seen the data".to_owned(),
        (_, other) => format!("did '{other}' to {of}"),
    }
}

fn to(entry: &Entry) -> String {
    if entry.detail.is_empty() { String::new() } else { format!(" ({})", entry.detail) }
}

fn why(purpose: &str) -> &str {
    match purpose {
        "TREAT" => "direct care",
        "HOPERAT" => "running the service",
        "PATRQT" => "the person's own request",
        "" => "a purpose that was not given",
        other => other,
    }
}
