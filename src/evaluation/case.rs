//! One referral as the evaluation sees it, read from its resources: groups, words and counts, and
//! nothing by which a person could be known.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::fhir::episode::UNMET_NEED;
use crate::fhir::ethnicity::{self, ETHNIC_CATEGORY};
use crate::fhir::{coding, dates, each};
use crate::outcome::reason::CLOSURE_REASON;
use crate::outcome::{Came, came, state};
use crate::store::commit::{LedgerRow, LedgerState};

/// Where a restricted person's groups would stand.
const WITHHELD: &str = "withheld";
/// What a record or message did not say.
const NOT_SENT: &str = "not sent";
/// Upper ends of the age bands, in whole years, with their words.
const AGES: [(i16, &str); 9] = [
    (17, "under 18"),
    (24, "18 to 24"),
    (34, "25 to 34"),
    (44, "35 to 44"),
    (54, "45 to 54"),
    (64, "55 to 64"),
    (74, "65 to 74"),
    (84, "75 to 84"),
    (i16::MAX, "85 and over"),
];
/// Where a referral stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Standing {
    /// Nobody has accepted yet.
    #[default]
    Waiting,
    /// The person accepted and the episode goes on.
    Open,
    /// The episode is over.
    Closed,
    /// The person said no.
    Declined,
    /// It ended before the person accepted, otherwise than by their no.
    Returned,
    /// Taken back by its referrer.
    Withdrawn,
    /// A second referral of somebody with an open episode.
    Linked,
    /// A person must look.
    Held,
}

impl Standing {
    /// All of them, in order.
    pub const ALL: [Self; 8] = [
        Self::Waiting,
        Self::Open,
        Self::Closed,
        Self::Declined,
        Self::Returned,
        Self::Withdrawn,
        Self::Linked,
        Self::Held,
    ];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Declined => "declined",
            Self::Returned => "returned",
            Self::Withdrawn => "withdrawn",
            Self::Linked => "linked to an open episode",
            Self::Held => "held",
        }
    }

    /// True once the person accepted.
    pub const fn is_accepted(self) -> bool {
        matches!(self, Self::Open | Self::Closed)
    }

    /// True when nothing more will come of it.
    pub const fn is_over(self) -> bool {
        !matches!(self, Self::Waiting | Self::Open | Self::Held)
    }

    /// By the ledger where it says it all; else a Task tells.
    pub fn of_ledger(row: &LedgerRow) -> Self {
        match row.state {
            LedgerState::Held => Self::Held,
            LedgerState::Withdrawn => Self::Withdrawn,
            LedgerState::Returned if row.waiting_on.starts_with("linked to") => Self::Linked,
            LedgerState::Returned => Self::Returned,
            LedgerState::Closed => Self::Closed,
            LedgerState::Waiting | LedgerState::Open => Self::Waiting,
        }
    }
}

/// Something that is counted: a code with its term, or words alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Label {
    /// `SYSTEM|CODE`; empty where it is words alone.
    pub code: String,
    /// The term, or the words.
    pub words: String,
}

/// One referral.
#[derive(Debug, Clone, Default)]
pub struct Case {
    /// The ServiceRequest's id; stays in the house.
    pub referral: String,
    /// Where it stands.
    pub standing: Standing,
    /// The person's age band when it was received.
    pub age: String,
    /// Administrative gender.
    pub sex: String,
    /// Ethnic category.
    pub ethnicity: String,
    /// Why it came.
    pub reasons: Vec<Label>,
    /// Why the episode was closed.
    pub closure: Option<Label>,
    /// Needs that nothing was found for.
    pub unmet: Vec<Label>,
    /// Services that the person was referred on to.
    pub onward: Vec<Label>,
    /// What they were signposted to.
    pub signposts: Vec<Label>,
    /// Contacts at which they were met.
    pub met: u64,
    /// Attempts that did not reach them.
    pub missed: u64,
    /// Contacts by `Encounter.class`.
    pub modes: BTreeMap<String, u64>,
}

impl Case {
    /// True when it ended because the person did not engage.
    pub fn dropped_out(&self) -> bool {
        self.closure.as_ref().is_some_and(|label| label.code.ends_with(super::DROPPED_OUT))
    }

    /// Takes in what the Task says.
    pub fn task(&mut self, task: &Value) {
        let business = coding(&task["businessStatus"], crate::fhir::task::ITK_RESPONSE_CODE).unwrap_or("");
        // A held change and a second referral have no say over where the ledger puts them.
        if !matches!(self.standing, Standing::Held | Standing::Linked | Standing::Withdrawn) {
            self.standing = match task["status"].as_str().unwrap_or("") {
                "accepted" | "in-progress" | "on-hold" => Standing::Open,
                "completed" | "failed" => Standing::Closed,
                "rejected" if state::is_decline(business) => Standing::Declined,
                "rejected" => Standing::Returned,
                "cancelled" | "entered-in-error" => Standing::Withdrawn,
                _ => Standing::Waiting,
            };
        }
        if self.standing == Standing::Closed {
            let reason = &task["statusReason"];
            let code = coding(reason, CLOSURE_REASON);
            self.closure = Some(code.map_or_else(
                || Label { code: String::new(), words: "no reason given".to_owned() },
                |code| Label { code: format!("{CLOSURE_REASON}|{code}"), words: code.to_owned() },
            ));
        }
        let needs = each(&task["extension"]).filter(|one| one["url"].as_str() == Some(UNMET_NEED));
        self.unmet = needs.filter_map(|one| label(&one["valueCodeableConcept"])).collect();
    }

    /// Takes in the groups that the person belongs to. A restricted person's are withheld.
    pub fn person(&mut self, patient: &Value, received: Timestamp) {
        let restricted = each(&patient["meta"]["security"]).any(|label| label["code"].as_str() == Some("R"));
        if restricted {
            (self.age, self.sex, self.ethnicity) = (WITHHELD.into(), WITHHELD.into(), WITHHELD.into());
            return;
        }
        self.age = age(patient["birthDate"].as_str(), received).to_owned();
        self.sex = patient["gender"].as_str().unwrap_or(NOT_SENT).to_owned();
        self.ethnicity = ethnicity(patient).to_owned();
    }

    /// Takes in one contact.
    pub fn contact(&mut self, encounter: &Value) {
        match came(encounter) {
            Came::Met => {}
            Came::Missed(_) => {
                self.missed += 1;
                return;
            }
            Came::Not => return,
        }
        self.met += 1;
        let mode = encounter["class"]["code"].as_str().unwrap_or("not said").to_owned();
        *self.modes.entry(mode).or_default() += 1;
    }
}

/// The first coding of a concept, or its words.
pub fn label(concept: &Value) -> Option<Label> {
    let text = concept["text"].as_str().map(str::trim).filter(|text| !text.is_empty());
    let coded = each(&concept["coding"]).find(|coding| coding["code"].is_string());
    match (coded, text) {
        (Some(coding), _) => {
            let (system, code) = (coding["system"].as_str().unwrap_or(""), coding["code"].as_str().unwrap_or(""));
            let words = coding["display"].as_str().or(text).unwrap_or(code);
            Some(Label { code: format!("{system}|{code}"), words: words.to_owned() })
        }
        (None, Some(text)) => Some(Label { code: String::new(), words: text.to_lowercase() }),
        (None, None) => None,
    }
}

/// The age band at an instant. A partial birth date gives one only where every day of it does.
fn age(birth: Option<&str>, at: Timestamp) -> &'static str {
    let Some((first, after)) = birth.and_then(dates::bounds) else { return NOT_SENT };
    let on = at.to_zoned(TimeZone::UTC).date();
    let band = |born: Timestamp| {
        let born = born.to_zoned(TimeZone::UTC).date();
        let had = (on.month(), on.day()) >= (born.month(), born.day());
        let years = on.year() - born.year() - i16::from(!had);
        AGES.iter().find(|(last, _)| years <= *last).map_or(NOT_SENT, |(_, words)| words)
    };
    let last = after.checked_sub(jiff::SignedDuration::from_secs(1)).unwrap_or(after);
    let (oldest, youngest) = (band(first), band(last));
    if oldest == youngest { oldest } else { "not known" }
}

fn ethnicity(patient: &Value) -> &'static str {
    let found = each(&patient["extension"]).find(|one| one["url"].as_str() == Some(ETHNIC_CATEGORY));
    let code = found.and_then(|one| each(&one["valueCodeableConcept"]["coding"]).find_map(|c| c["code"].as_str()));
    code.map_or(NOT_SENT, ethnicity::category)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ages_are_bands_and_partial_dates_are_not_guessed() {
        let at = "2026-03-01T10:00:00Z".parse().unwrap();
        for (birth, band) in [
            ("2008-03-01", "18 to 24"),
            ("2008-03-02", "under 18"),
            ("1950-01-01", "75 to 84"),
            ("1900", "85 and over"),
            ("1970", "55 to 64"),
            ("1961", "not known"),
            ("soon", NOT_SENT),
        ] {
            assert_eq!(age(Some(birth), at), band, "{birth}");
        }
        assert_eq!(age(None, at), NOT_SENT);
    }

    #[test]
    fn not_stated_not_known_and_not_sent_are_three_facts() {
        let of = |code: &str| {
            let concept = json!({"coding": [{"code": code}]});
            ethnicity(&json!({"extension": [{"url": ETHNIC_CATEGORY, "valueCodeableConcept": concept}]}))
        };
        assert_eq!((of("Z"), of("99"), ethnicity(&json!({}))), ("Z not stated", "99 not known", NOT_SENT));
    }

    #[test]
    fn a_restricted_persons_groups_are_withheld() {
        let mut case = Case::default();
        let patient = json!({"meta": {"security": [{"code": "R"}]}, "gender": "female", "birthDate": "1950-01-01"});
        case.person(&patient, Timestamp::UNIX_EPOCH);
        assert_eq!((case.age.as_str(), case.sex.as_str(), case.ethnicity.as_str()), (WITHHELD, WITHHELD, WITHHELD));
    }
}
