//! What a pool may make of a Task: the state machine and the business statuses of each state.
//! <https://hl7.org/fhir/R4/task.html#statemachine>; business statuses are the referral codes of
//! ITK-ResponseCodes-1 (30005-30018).
//!
//! `accepted` says that the *person* accepted: until then a pool that has taken a look says
//! `received`. Cancelling is the referrer's, by a message; `failed` is said as `completed` with
//! a business status that tells why. A completed Task goes on as `in-progress`: the same episode
//! reopened. What may happen in each state beside is `episode`'s table.

use serde_json::Value;

use super::episode::Event;
use crate::fhir::coding;
use crate::fhir::task::ITK_RESPONSE_CODE;

/// Where a step leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing but notes or the business status changed.
    Stay,
    /// The pool has looked at it.
    Receive,
    /// The person accepted: the episode begins.
    Accept,
    /// Work goes on, or rests.
    Carry,
    /// It ends before the person accepted.
    Reject,
    /// The episode ends.
    Close,
    /// The episode goes on after its end.
    Reopen,
}

impl Step {
    /// The same in the words of the episode's state machine; `None` where nothing happens to it.
    pub fn event(self, is_decline: bool) -> Option<Event> {
        match self {
            Self::Stay => None,
            Self::Receive => Some(Event::Look),
            Self::Accept => Some(Event::Accept),
            Self::Carry => Some(Event::Carry),
            Self::Reject if is_decline => Some(Event::Decline),
            Self::Reject => Some(Event::Return),
            Self::Close => Some(Event::Close),
            Self::Reopen => Some(Event::Reopen),
        }
    }
}

/// The step from one `Task.status` to another, or why it is not one.
pub fn step(from: &str, to: &str) -> Result<Step, String> {
    match (from, to) {
        ("completed", "in-progress") => Ok(Step::Reopen),
        ("completed" | "rejected" | "cancelled" | "failed" | "entered-in-error", _) => {
            Err(format!("the Task is {from}, and nothing follows that"))
        }
        _ if from == to => Ok(Step::Stay),
        ("requested", "received") => Ok(Step::Receive),
        ("requested" | "received", "accepted" | "in-progress") => Ok(Step::Accept),
        ("requested" | "received", "rejected") => Ok(Step::Reject),
        ("accepted", "in-progress" | "on-hold")
        | ("in-progress", "on-hold")
        | ("on-hold", "in-progress" | "accepted")
        | ("in-progress", "accepted") => Ok(Step::Carry),
        ("accepted" | "in-progress" | "on-hold", "completed") => Ok(Step::Close),
        (_, "rejected") => Err("the person accepted; close it as completed and say why".to_owned()),
        ("requested" | "received", "completed") => Err("accept it first, or reject it".to_owned()),
        (_, "cancelled") => Err("only the referrer cancels; reject or complete it".to_owned()),
        _ => Err(format!("a Task does not go from {from} to this")),
    }
}

/// True for states in which measures are taken: the person accepted and the episode has not ended.
pub fn measures(status: &str) -> bool {
    matches!(status, "accepted" | "in-progress" | "on-hold")
}

/// True for states in which contacts are recorded: all before the end.
pub fn contacts(status: &str) -> bool {
    measures(status) || matches!(status, "requested" | "received")
}

/// The referral codes of ITK-ResponseCodes-1 that each state may carry; the first is its default.
/// `(code, display, why a rejected Task with it is a decline by the person)`.
const BUSINESS: [(&str, &str, &[Phase], bool); 14] = {
    use Phase::{After, Before, During};
    [
        ("30005", "Referral open", &[Before, During], false),
        ("30006", "Referral completed", &[After], false),
        ("30007", "Referral closed: escalated to GP", &[After, Phase::Rejected], false),
        ("30008", "Referral closed: signposted to GP", &[After, Phase::Rejected], false),
        ("30009", "Referral closed: escalated to urgent care, 111 or out of hours", &[After, Phase::Rejected], false),
        ("30010", "Referral closed: sent to A&E or 999", &[After, Phase::Rejected], false),
        ("30011", "Referral closed: go elsewhere or self-refer", &[After, Phase::Rejected], false),
        ("30012", "Unable to contact the patient", &[After, Phase::Rejected], false),
        ("30013", "Referral closed: not needed", &[After, Phase::Rejected], false),
        ("30014", "Referral closed: not accepted", &[After, Phase::Rejected], true),
        ("30015", "Referral closed: duplicate", &[After, Phase::Rejected], false),
        ("30016", "Referral accepted", &[During], false),
        ("30017", "Referral rejected", &[Phase::Rejected], true),
        ("30018", "Did not attend", &[During, After, Phase::Rejected], false),
    ]
};

/// The part of a Task's life that a business status belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Before,
    During,
    After,
    Rejected,
}

fn phase(status: &str) -> Phase {
    match status {
        "accepted" | "in-progress" | "on-hold" => Phase::During,
        "completed" => Phase::After,
        "rejected" => Phase::Rejected,
        _ => Phase::Before,
    }
}

/// The business status that a state has when its writer names none: `(code, display)`.
pub fn default_business(status: &str) -> (&'static str, &'static str) {
    let code = match phase(status) {
        Phase::Before => "30005",
        Phase::During => "30016",
        Phase::After => "30006",
        Phase::Rejected => "30017",
    };
    (code, display(code))
}

/// The display of a referral code, or `""`.
pub fn display(code: &str) -> &'static str {
    BUSINESS.iter().find(|(known, ..)| *known == code).map_or("", |(_, display, ..)| display)
}

/// True when a Task of that status may carry that business status.
pub fn allows(status: &str, code: &str) -> bool {
    BUSINESS.iter().any(|(known, _, phases, _)| *known == code && phases.contains(&phase(status)))
}

/// The referral code of a Task, or `""`.
pub fn itk_code(task: &Value) -> &str {
    coding(&task["businessStatus"], ITK_RESPONSE_CODE).unwrap_or("")
}

/// True when a rejection with this business status is the person's own no.
pub fn is_decline(code: &str) -> bool {
    BUSINESS.iter().any(|(known, _, _, decline)| *known == code && *decline)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [&str; 12] = [
        "draft",
        "requested",
        "received",
        "accepted",
        "rejected",
        "ready",
        "cancelled",
        "in-progress",
        "on-hold",
        "failed",
        "completed",
        "entered-in-error",
    ];

    #[test]
    fn every_pair_of_states_is_decided() {
        let legal = [
            ("requested", "received", Step::Receive),
            ("requested", "accepted", Step::Accept),
            ("requested", "in-progress", Step::Accept),
            ("requested", "rejected", Step::Reject),
            ("received", "accepted", Step::Accept),
            ("received", "in-progress", Step::Accept),
            ("received", "rejected", Step::Reject),
            ("accepted", "in-progress", Step::Carry),
            ("accepted", "on-hold", Step::Carry),
            ("accepted", "completed", Step::Close),
            ("in-progress", "on-hold", Step::Carry),
            ("in-progress", "accepted", Step::Carry),
            ("in-progress", "completed", Step::Close),
            ("on-hold", "in-progress", Step::Carry),
            ("on-hold", "accepted", Step::Carry),
            ("on-hold", "completed", Step::Close),
            ("completed", "in-progress", Step::Reopen),
        ];
        for from in STATES {
            for to in STATES {
                let found = step(from, to).ok().filter(|step| *step != Step::Stay);
                let wanted = legal.iter().find(|(a, b, _)| (*a, *b) == (from, to)).map(|(.., step)| *step);
                assert_eq!(found, wanted, "{from} -> {to}");
            }
        }
        assert_eq!(step("accepted", "accepted"), Ok(Step::Stay));
        assert!(step("completed", "completed").is_err());
    }

    #[test]
    fn each_state_carries_its_own_business_statuses() {
        for status in ["requested", "accepted", "in-progress", "completed", "rejected"] {
            assert!(allows(status, default_business(status).0), "{status}");
        }
        assert!(!allows("accepted", "30006"));
        assert!(!allows("completed", "30016"));
        assert!(!allows("completed", "20013"));
        assert!(is_decline("30017") && !is_decline("30012"));
    }
}
