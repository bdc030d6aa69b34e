//! One practice's queue: which route a row is on, the try on it, and what that makes of its filing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::Value;

use super::entry::Submission;
use super::progress::{self, Limits, Next, route_of};
use super::state::FilingState;
use super::{Route, fhir_route, folder_route, gather, mesh_route, settle};
use crate::audit;
use crate::delivery::attempt::backoff;
use crate::delivery::runner::{Receiver, Tried, Unready};
use crate::delivery::{contents, reach};
use crate::fhir::{self, each, observation};
use crate::gateway::Gateway;
use crate::nhs::mesh::Client as Mesh;
use crate::store::commit::{Claimed, Commit, Sent};
use crate::store::filing::{DictionaryRow, Filing};
use crate::store::{StoreError, Stored};

/// What a try came to, in the words of no route.
#[derive(Debug)]
pub enum Came {
    /// There is nothing to send: it is in the record, overtaken, or a person has it.
    Over,
    /// It could not be tried: the store, or what only a person can mend.
    Unready(Unready),
    /// No connection: nothing left the house.
    Unreached,
    /// It may have been done.
    Unanswered {
        /// Why that is not known.
        why: String,
        /// The message that may have left, where acknowledgements would name one.
        message: Option<String>,
        /// How long the other side asked to wait.
        asked: Option<Duration>,
    },
    /// Never on this route.
    Refused(String),
    /// Nobody but a person can say.
    Person(String),
    /// Taken; a person at the practice must accept it.
    Waiting(String),
    /// Looked for while the practice must accept it, and not there yet.
    NotThere,
    /// The carrier has the message; the ids that what is said of it may name.
    Taken(Vec<String>),
    /// It is in the record, and this is what the record shows of it.
    Found(Shown),
    /// It is in the record by the system's word; it cannot be asked.
    Trusted,
}

/// What a record shows of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// `(system, code)` of its codings; none: only the text was kept.
    pub codings: Vec<(String, String)>,
}

/// The clients that all practices share, made at first need.
#[derive(Debug, Clone, Default)]
pub struct Clients(Arc<Mutex<(Option<reqwest::Client>, Option<Mesh>)>>);

impl Clients {
    fn http(&self, gateway: &Gateway) -> Result<reqwest::Client, Unready> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.0.is_none() {
            kept.0 = Some(reach::client(&gateway.config).map_err(Unready::NotNow)?);
        }
        kept.0.clone().ok_or_else(|| Unready::NotNow("the HTTP client could not be made".to_owned()))
    }

    fn mesh(&self, gateway: &Gateway) -> Result<Mesh, Unready> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.1.is_none() {
            kept.1 = Some(Mesh::open(&gateway.config).map_err(Unready::NotNow)?);
        }
        kept.1.clone().ok_or_else(|| Unready::NotNow("the MESH client could not be made".to_owned()))
    }
}

/// One practice's system.
pub struct Practice {
    ods: String,
    clients: Clients,
}

impl Practice {
    /// The system of the practice with that ODS code.
    pub fn new(clients: &Clients, ods: &str) -> Self {
        Self { ods: ods.to_owned(), clients: clients.clone() }
    }

    async fn try_once(&self, gateway: &Gateway, claimed: &Claimed) -> Result<(Came, Disclosed), Unready> {
        let filing = filing(gateway, claimed).await.map_err(not_now)?;
        if filing.state.is_in_record() || matches!(filing.state, FilingState::NeedsPerson | FilingState::Rejected) {
            return Ok((Came::Over, None));
        }
        let routes = Route::words(&gateway.config, &self.ods);
        let word = route_of(&filing, routes)
            .ok_or_else(|| Unready::Never(format!("practice {} has no write-back route that is left", self.ods)))?;
        let others = gateway.store.filings_of(&filing.episode).await.map_err(not_now)?;
        let overtaken = |other: &Filing| {
            settle::is_earlier(&filing, other) && (other.state.is_in_record() || other.state == FilingState::Sent)
        };
        if others.iter().any(overtaken) {
            return Ok((Came::Over, None));
        }
        let route = Route::of(&gateway.config, &self.ods, word).map_err(Unready::Never)?;
        let job = Job { filing: &filing, claimed, others: &others };
        self.on(gateway, route, job).await
    }

    async fn on(&self, gateway: &Gateway, route: Route, job: Job<'_>) -> Result<(Came, Disclosed), Unready> {
        let stored = contents::stored(gateway, &job.claimed.row).await?;
        let (came, left) = match &route {
            Route::Fhir { base, token } => {
                let client = self.clients.http(gateway)?;
                let now = gateway.clock.now();
                let to = fhir_route::Endpoint { client: &client, base, token: token.as_deref(), now };
                by_fhir(gateway, &to, &job, &stored).await?
            }
            Route::Mesh { mailbox, document } => {
                let submission = gather::submission(gateway, &job.claimed.row).await?;
                let client = self.clients.mesh(gateway)?;
                let letter = mesh_route::Letter {
                    client: &client,
                    mailbox: mailbox.as_deref(),
                    birth_date: gateway.config.mesh.birth_date_format,
                    submission: &submission,
                    document: *document,
                    replaced_at: job.replaced(&submission).map(|one| one.since),
                    may_be_sent: job.claimed.attempts > 0,
                };
                mesh_route::attempt(&letter, gateway.clock.now()).await
            }
            Route::Folder { folder, form } => {
                let submission = gather::submission(gateway, &job.claimed.row).await?;
                folder_route::attempt(folder, *form, &submission, job.replaced(&submission)).await
            }
        };
        Ok((came, left.then(|| (contents::entities(&stored), contents::patients(&stored)))))
    }
}

type Disclosed = Option<(Vec<String>, Vec<String>)>;

/// One row to try.
struct Job<'a> {
    filing: &'a Filing,
    claimed: &'a Claimed,
    others: &'a [Filing],
}

impl Job<'_> {
    /// The filing of the version that this one replaces.
    fn replaced(&self, submission: &Submission) -> Option<&Filing> {
        submission.replaces.and_then(|id| self.others.iter().find(|one| one.id == id))
    }
}

/// The filing of a row; of rows from before filings were kept, a new one.
async fn filing(gateway: &Gateway, claimed: &Claimed) -> Result<Filing, StoreError> {
    let kept = gateway.store.filing(claimed.row.id).await?;
    let made = || Filing::queued(&claimed.row).map(|filing| Filing { version: 0, ..filing });
    kept.or_else(made).ok_or_else(|| StoreError::Engine("a write-back row must hold one entry".to_owned()))
}

fn not_now(fault: StoreError) -> Unready {
    Unready::NotNow(format!("the store did not answer: {fault}"))
}

async fn by_fhir(
    gateway: &Gateway,
    to: &fhir_route::Endpoint<'_>,
    job: &Job<'_>,
    stored: &[Stored],
) -> Result<(Came, bool), Unready> {
    let [one] = stored else {
        return Err(Unready::Never("a write-back row must hold one entry".to_owned()));
    };
    let entry: Value =
        serde_json::from_slice(&one.body).map_err(|_| Unready::Never("the stored entry cannot be read".to_owned()))?;
    let key = job.claimed.row.id.to_string();
    let known = known(gateway, &job.filing.practice, &entry).await.map_err(not_now)?;
    let mut body = fhir::logical::outside(entry.clone());
    observation::keyed(&mut body, &key);
    if let Some(row) = known.filter(|row| !row.kept) {
        match local(&row, &entry) {
            Some((scheme, code)) => observation::localised(&mut body, &scheme, &code),
            None => tracing::warn!(
                filing = %job.filing.id,
                practice = %row.practice,
                code = row.code,
                "the practice's dictionary is known to lack this code: it will be kept as text"
            ),
        }
    }
    let entry = fhir_route::Entry {
        body: &body,
        key: &key,
        version: one.version,
        may_be_there: job.filing.state != FilingState::Queued || job.claimed.attempts > 0,
        waits: job.filing.state == FilingState::AwaitingPractice,
    };
    Ok(fhir_route::attempt(to, &entry).await)
}

/// The entry's own code: its first coding.
fn code(entry: &Value) -> Option<(&str, &str)> {
    let coding = each(&entry["code"]["coding"]).next()?;
    Some((coding["system"].as_str()?, coding["code"].as_str()?))
}

async fn known(
    gateway: &Gateway,
    practice: &crate::fhir::ids::OdsCode,
    entry: &Value,
) -> Result<Option<DictionaryRow>, StoreError> {
    match code(entry) {
        Some((system, code)) => gateway.store.dictionary(practice.as_str(), system, code).await,
        None => Ok(None),
    }
}

/// The practice system's own code for the entry: as it showed it, or as the mapping has it.
fn local(row: &DictionaryRow, entry: &Value) -> Option<(String, String)> {
    let seen = Some(row.local.clone()).filter(|(_, code)| !code.is_empty());
    seen.or_else(|| observation::practice_codes(each(&entry["code"]["coding"]).next()?).into_iter().next())
}

impl Receiver for Practice {
    const KIND: audit::Kind = audit::Kind::WriteBack;
    const INTERACTION: &'static str = "write-back";
    type Came = Came;

    async fn attempt(&self, gateway: &Gateway, claimed: &Claimed) -> Tried<Came> {
        let (came, disclosed) = self.try_once(gateway, claimed).await.unwrap_or_else(|why| (Came::Unready(why), None));
        let healthy = !matches!(came, Came::Unreached | Came::Unanswered { .. });
        Tried { came, disclosed, healthy }
    }

    async fn settle(&self, gateway: &Gateway, claimed: &Claimed, came: &Came) -> Result<(Sent, Commit), StoreError> {
        let filing = filing(gateway, claimed).await?;
        let (next, sent) = decide(gateway, claimed, &filing, came);
        let Some(next) = next else { return Ok((sent, Commit::default())) };
        let sent = if next.resend.is_some() && !matches!(sent, Sent::Retry { .. }) {
            Sent::Retry { next: gateway.clock.now(), why: next.filing.why.clone() }
        } else {
            sent
        };
        let mut commit = settle::with(gateway, next).await?;
        commit.requeue.clear();
        if let Came::Found(shown) = came {
            commit.dictionary.extend(learnt(gateway, claimed, &filing, shown).await?);
        }
        Ok((sent, commit))
    }
}

/// The filing's next version, where it moves, and what becomes of the row.
fn decide(gateway: &Gateway, claimed: &Claimed, filing: &Filing, came: &Came) -> (Option<Next>, Sent) {
    let (limits, now) = (Limits::of(&gateway.config), gateway.clock.now());
    let routes = Route::words(&gateway.config, filing.practice.as_str());
    let mut on = filing.clone();
    if let Some(route) = route_of(filing, routes) {
        on.route.clone_from(route);
    }
    let to = |state, why: &str| Next::of(&on).to(state, why, now, &limits);
    let given_up = |why: &str| Sent::GivenUp { why: why.to_owned() };
    match came {
        Came::Over => (None, Sent::Done),
        Came::Unready(Unready::NotNow(why)) => (None, retry(gateway, claimed, why, None)),
        Came::Unready(Unready::Never(why)) | Came::Person(why) => {
            (Some(to(FilingState::NeedsPerson, why)), given_up(why))
        }
        Came::Unreached => {
            let why = "no connection could be made";
            let late = on.state == FilingState::Queued && on.deadline.is_some_and(|deadline| deadline <= now);
            let left = routes.iter().any(|route| *route != on.route && !on.tried.contains(route));
            if late && left {
                return (Some(progress::refused(&on, why, routes, now, &limits)), Sent::Done);
            }
            (Some(to(on.state, why)), retry(gateway, claimed, why, None))
        }
        Came::Unanswered { why, message, asked } => {
            let mut next = to(FilingState::Sent, why);
            note_message(&mut next.filing, message.as_deref());
            (Some(next), retry(gateway, claimed, why, *asked))
        }
        Came::Refused(why) => {
            let next = progress::refused(&on, why, routes, now, &limits);
            let sent = if next.resend.is_some() { Sent::Done } else { given_up(why) };
            (Some(next), sent)
        }
        Came::Waiting(why) => (Some(to(FilingState::AwaitingPractice, why)), Sent::Done),
        Came::NotThere => (Some(to(FilingState::AwaitingPractice, "looked for: not there yet")), Sent::Done),
        Came::Taken(messages) => {
            let mut next = to(FilingState::Sent, "sent; an acknowledgement is waited for");
            messages.iter().for_each(|message| note_message(&mut next.filing, Some(message)));
            (Some(next), Sent::Done)
        }
        Came::Found(shown) => {
            let (state, read_back, why) = match shown.codings.is_empty() {
                false => (FilingState::Filed, "coded", "read back with its code"),
                true => (FilingState::FiledWithoutCode, "text-only", "read back as text without its code"),
            };
            let mut next = to(state, why);
            read_back.clone_into(&mut next.filing.read_back);
            (Some(next), Sent::Done)
        }
        Came::Trusted => (Some(to(FilingState::Filed, "filed, by the system's word")), Sent::Done),
    }
}

/// Tried again, however often: what is missing at the deadline is told to somebody.
fn retry(gateway: &Gateway, claimed: &Claimed, why: &str, asked: Option<Duration>) -> Sent {
    let wait = backoff(&gateway.config.delivery, claimed.attempts, fastrand::f64()).max(asked.unwrap_or_default());
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::from_hours(1));
    Sent::Retry { next: progress::after(gateway.clock.now(), wait), why: why.to_owned() }
}

fn note_message(filing: &mut Filing, message: Option<&str>) {
    let Some(message) = message else { return };
    let sent = (filing.route.clone(), message.to_owned());
    if !filing.messages.contains(&sent) {
        filing.messages.push(sent);
    }
}

/// What read-back says of the practice's dictionary, where that is news.
async fn learnt(
    gateway: &Gateway,
    claimed: &Claimed,
    filing: &Filing,
    shown: &Shown,
) -> Result<Option<DictionaryRow>, StoreError> {
    let stored = match claimed.row.resources.as_slice() {
        [(kind, id, version)] => gateway.store.vread(kind, id, *version).await?,
        _ => None,
    };
    let entry: Value = stored.map(|one| serde_json::from_slice(&one.body).unwrap_or_default()).unwrap_or_default();
    let Some((system, code)) = code(&entry) else { return Ok(None) };
    let before = gateway.store.dictionary(filing.practice.as_str(), system, code).await?;
    let other = shown.codings.iter().find(|(shown, _)| shown != system).cloned();
    let local = other.or(before.as_ref().map(|row| row.local.clone())).unwrap_or_default();
    let kept = shown.codings.iter().any(|(shown, kept)| shown == system && kept == code);
    if before.is_some_and(|row| row.kept == kept && row.local == local) {
        return Ok(None);
    }
    let (system, code) = (system.to_owned(), code.to_owned());
    let practice = filing.practice.clone();
    Ok(Some(DictionaryRow { practice, system, code, kept, local, seen_at: gateway.clock.now() }))
}
