//! What a try, an acknowledgement, a person's word or the clock makes of a filing. Pure; the table
//! of what is decided stands at the head of `writeback`.

use jiff::{SignedDuration, Timestamp};

use super::acknowledge::{Acknowledgement, Stage, Verdict};
use super::route::Route;
use super::state::{FilingState, may_follow};
use crate::config;
use crate::store::filing::Filing;

/// Most acknowledgements that are noted of one filing; the oldest are forgotten first.
const ACKNOWLEDGEMENTS_MAX: usize = 32;
/// Longest code that is repeated in words.
const CODE_CHARS_MAX: usize = 12;

/// Codes that say it is the person, not the route: no other route would be better. Those of
/// ITK-ResponseCodes-1, and of MESH when it addresses by the person's own details: an invalid
/// number, one that is not found, details that differ.
/// <https://fhir.nhs.uk/STU3/CodeSystem/ITK-ResponseCodes-1>
const PERSON: [&str; 6] = ["30002", "30003", "30004", "EPL-152", "EPL-153", "EPL-154"];
/// The receiver has had this message or document: what a second try of a good one is told.
const DUPLICATE: [&str; 2] = ["20007", "20008"];
/// The entry that a correction replaces is not there, or can no longer be replaced.
const CANNOT_REPLACE: &str = "20014";
/// The person is known: said with an infrastructure acknowledgement by some systems.
const PERSON_KNOWN: &str = "30001";

/// How long each acknowledgement may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Until the system has the message.
    pub infrastructure: SignedDuration,
    /// Until it dealt with it.
    pub business: SignedDuration,
    /// Until a person at the practice accepted it.
    pub practice: SignedDuration,
    /// Between two looks at a record that a person must file into.
    pub look_again: SignedDuration,
    /// Before a message that was refused for now is sent again.
    pub resend: SignedDuration,
}

impl Limits {
    /// As configured.
    pub fn of(config: &config::Config) -> Self {
        let (wait, delivery) = (&config.writeback, &config.delivery);
        let millis = i64::try_from(delivery.retry_max_ms).unwrap_or(i64::MAX);
        Self {
            infrastructure: SignedDuration::from_hours(i64::from(wait.infrastructure_hours)),
            business: SignedDuration::from_hours(i64::from(wait.business_hours)),
            practice: SignedDuration::from_hours(24 * i64::from(wait.practice_days)),
            look_again: SignedDuration::from_mins(i64::from(wait.look_again_minutes)),
            resend: SignedDuration::from_millis(millis),
        }
    }
}

/// Why somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alert {
    /// An acknowledgement is missing.
    Overdue,
    /// Nobody but a person can say or do more.
    NeedsPerson,
    /// Every route refused it.
    Rejected,
    /// It is in the record as text: a person must code it.
    WithoutCode,
    /// The practice's system took back what it had said.
    Contradicted,
}

impl Alert {
    /// The event under which subscribers are told.
    pub const fn event(self) -> &'static str {
        match self {
            Self::Overdue => "writeback.overdue",
            Self::NeedsPerson => "writeback.needs-person",
            Self::Rejected => "writeback.rejected",
            Self::WithoutCode => "writeback.without-code",
            Self::Contradicted => "writeback.contradicted",
        }
    }
}

/// What comes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// The filing's next version.
    pub filing: Filing,
    /// When its outbox row is to be sent again, if it is.
    pub resend: Option<Timestamp>,
    /// Whether somebody is told.
    pub alert: Option<Alert>,
}

impl Next {
    /// The filing's next version as it is.
    pub fn of(filing: &Filing) -> Self {
        let filing = Filing { version: filing.version.saturating_add(1), ..filing.clone() };
        Self { filing, resend: None, alert: None }
    }

    /// Moves it, where that may be: else only the words change. Being there already keeps the
    /// deadline.
    pub fn to(mut self, state: FilingState, why: &str, now: Timestamp, limits: &Limits) -> Self {
        let filing = &mut self.filing;
        if !may_follow(filing.state, state) {
            return self;
        }
        why.clone_into(&mut filing.why);
        let stays = filing.state == state && filing.deadline.is_some();
        let late = filing.deadline.filter(|_| stays);
        if filing.state != state {
            (filing.since, filing.overdue) = (now, false);
        }
        filing.state = state;
        let wait = match state {
            FilingState::Queued | FilingState::Sent => Some(limits.infrastructure),
            FilingState::Received | FilingState::PatientMatched => Some(limits.business),
            FilingState::AwaitingPractice => Some(limits.practice),
            _ => None,
        };
        filing.deadline = wait.map(|wait| late.unwrap_or_else(|| after(now, wait)));
        let due = filing.deadline.filter(|_| !filing.overdue);
        let looks = state == FilingState::AwaitingPractice && filing.route == "fhir";
        let look = looks.then(|| after(now, limits.look_again));
        filing.look_at = [due, look].into_iter().flatten().min();
        self.alert = match state {
            FilingState::FiledWithoutCode => Some(Alert::WithoutCode),
            FilingState::Rejected => Some(Alert::Rejected),
            FilingState::NeedsPerson => Some(Alert::NeedsPerson),
            _ => None,
        };
        self
    }
}

/// The route that this filing is on, or begins with: the first that is not over.
pub fn route_of<'a>(filing: &Filing, routes: &'a [String]) -> Option<&'a String> {
    let open = |route: &&String| !filing.tried.contains(route);
    routes.iter().filter(open).find(|route| **route == filing.route).or_else(|| routes.iter().find(open))
}

/// The route refused for good: the next one is tried under the same key, or every one has refused.
pub fn refused(filing: &Filing, why: &str, routes: &[String], now: Timestamp, limits: &Limits) -> Next {
    let mut next = Next::of(filing);
    if !filing.route.is_empty() && !next.filing.tried.contains(&filing.route) {
        next.filing.tried.push(filing.route.clone());
    }
    next.filing.route.clear();
    let Some(route) = route_of(&next.filing, routes) else {
        next.filing.route.clone_from(&filing.route);
        return next.to(FilingState::Rejected, why, now, limits);
    };
    let words = format!("{why}; now by {route}");
    next.filing.route.clone_from(route);
    let mut next = next.to(FilingState::Queued, &words, now, limits);
    next.filing.deadline = Some(after(now, limits.infrastructure));
    next.filing.look_at = next.filing.deadline;
    next.resend = Some(now);
    next
}

/// What an acknowledgement makes of the filing whose message it names. One that was taken before
/// changes nothing: `None`.
pub fn acknowledged(filing: &Filing, ack: &Acknowledgement, routes: &[String], limits: &Limits) -> Option<Next> {
    if filing.acknowledgements.contains(&ack.id) {
        return None;
    }
    let sent_by = filing.messages.iter().find(|(_, message)| *message == ack.message).map(|(route, _)| route.as_str());
    let mut noted = filing.clone();
    noted.acknowledgements.push(ack.id.clone());
    if noted.acknowledgements.len() > ACKNOWLEDGEMENTS_MAX {
        noted.acknowledgements.remove(0);
    }
    let current = sent_by == Some(filing.route.as_str());
    Some(match ack.verdict {
        Verdict::Accepted => accepted(&noted, ack, sent_by.unwrap_or(""), limits),
        Verdict::Transient if current && filing.state.is_moving() => later(&noted, ack, limits),
        Verdict::Refused if filing.state.is_in_record() && current && !duplicate(ack) => {
            Next { alert: Some(Alert::Contradicted), ..Next::of(&noted) }
        }
        Verdict::Refused if current && filing.state.is_moving() => negative(&noted, ack, routes, limits),
        // Of a route that is over, or of a filing that a person has: it is noted.
        Verdict::Transient | Verdict::Refused => Next::of(&noted),
    })
}

fn accepted(filing: &Filing, ack: &Acknowledgement, route: &str, limits: &Limits) -> Next {
    let (state, why) = match ack.stage {
        Stage::Carrier => (FilingState::Sent, "the carrier handed it over"),
        Stage::Infrastructure if has(ack, &[PERSON_KNOWN]) => {
            (FilingState::PatientMatched, "the practice's system has it and knows the person")
        }
        Stage::Infrastructure => (FilingState::Received, "the practice's system has it"),
        Stage::Business if Route::is_document(route) => {
            (FilingState::FiledWithoutCode, "the practice has it as a document: a person must code it")
        }
        Stage::Business => (FilingState::Filed, "the practice acknowledged it; this route is not read back"),
    };
    let next = Next::of(filing);
    let on_its_way = ack.stage != Stage::Business;
    // What is late of a route that is over, or comes after a person was asked, must not make a
    // filing look as if it moved.
    if on_its_way && (route != filing.route || !filing.state.is_moving()) {
        return next;
    }
    let route = if on_its_way { filing.route.clone() } else { route.to_owned() };
    let mut next = next.to(state, why, ack.at, limits);
    next.filing.route = route;
    next
}

/// Not now: the same message goes again; the receiver knows it by its id.
fn later(filing: &Filing, ack: &Acknowledgement, limits: &Limits) -> Next {
    let mut next = Next::of(filing);
    next.filing.why = format!("not now{}; it is sent again", said(ack));
    next.resend = Some(after(ack.at, limits.resend));
    next
}

fn negative(filing: &Filing, ack: &Acknowledgement, routes: &[String], limits: &Limits) -> Next {
    let next = || Next::of(filing);
    if duplicate(ack) {
        return next().to(FilingState::Received, "the practice's system has had it before", ack.at, limits);
    }
    if has(ack, &PERSON) {
        let why = format!("the practice does not have this person{}: nobody but a person can say why", said(ack));
        return next().to(FilingState::NeedsPerson, &why, ack.at, limits);
    }
    if has(ack, &[CANNOT_REPLACE]) {
        let why = format!("the correction could not be applied{}: the first entry still stands", said(ack));
        return next().to(FilingState::NeedsPerson, &why, ack.at, limits);
    }
    let why = match ack.stage {
        Stage::Carrier if filing.state != FilingState::Sent => return next(),
        Stage::Carrier => format!("it was not collected{}", said(ack)),
        Stage::Infrastructure => format!("the practice's system refused it{}", said(ack)),
        Stage::Business => format!("the practice refused it{}", said(ack)),
    };
    refused(filing, &why, routes, ack.at, limits)
}

fn duplicate(ack: &Acknowledgement) -> bool {
    has(ack, &DUPLICATE)
}

fn has(ack: &Acknowledgement, codes: &[&str]) -> bool {
    ack.codes.iter().any(|(code, _)| codes.contains(&code.as_str()))
}

/// ` (20010, 20009)`: codes alone, because a display may hold anything.
fn said(ack: &Acknowledgement) -> String {
    let plain = |code: &&str| code.len() <= CODE_CHARS_MAX && code.bytes().all(|b| b.is_ascii_alphanumeric());
    let codes: Vec<&str> = ack.codes.iter().map(|(code, _)| code.as_str()).filter(plain).collect();
    if codes.is_empty() { String::new() } else { format!(" ({})", codes.join(", ")) }
}

/// What its deadline makes of a filing: somebody is told, once.
pub fn overdue(filing: &Filing, limits: &Limits, now: Timestamp) -> Next {
    let mut next = Next::of(filing);
    let looks = filing.state == FilingState::AwaitingPractice && filing.route == "fhir";
    next.filing.look_at = looks.then(|| after(now, limits.look_again));
    if filing.deadline.is_some_and(|deadline| deadline <= now) && !filing.overdue {
        next.filing.overdue = true;
        next.alert = Some(Alert::Overdue);
    } else if !filing.overdue {
        next.filing.look_at = [next.filing.look_at, filing.deadline].into_iter().flatten().min();
    }
    next.resend = looks.then_some(now);
    next
}

/// The instant that much later, or the latest there is.
pub fn after(at: Timestamp, wait: SignedDuration) -> Timestamp {
    at.checked_add(wait).unwrap_or(Timestamp::MAX)
}
