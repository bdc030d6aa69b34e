//! Why an episode was closed: `Task.statusReason` in [`CLOSURE_REASON`], and what was lacking.
//!
//! No national code list was found for the end of social prescribing; the ITK referral code beside
//! it is the nearest that a practice system knows. The codes are documented in
//! `mappings/README.md`.

use serde_json::{Value, json};

use super::check::refused;
use crate::fhir::episode::UNMET_NEED;
use crate::fhir::{coding, each};
use crate::rejection::{IssueType, Rejection};

/// The code system of closure reasons.
pub const CLOSURE_REASON: &str = "https://fingerpost.dev/CodeSystem/closure-reason";
/// The reason that must name what was lacking.
const UNMET: &str = "unmet-need";

/// A reason: code, display, and the ITK referral code that a Task closed for it has by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    /// The code.
    pub code: &'static str,
    /// Its display.
    pub display: &'static str,
    /// The business status by default.
    pub business: &'static str,
}

const fn reason(code: &'static str, display: &'static str, business: &'static str) -> Reason {
    Reason { code, display, business }
}

/// Every reason.
pub const REASONS: [Reason; 6] = [
    reason("completed", "Completed", "30006"),
    reason("did-not-engage", "Did not engage", "30012"),
    reason("moved", "Moved away", "30013"),
    reason("died", "Died", "30013"),
    reason(UNMET, "No suitable support was available", "30006"),
    reason("returned-to-referrer", "Returned to the referrer", "30008"),
];

/// The reason of a Task that is being closed: what it says, or what its business status says
/// without doubt.
///
/// # Errors
/// 422 at `Task.statusReason` where neither says it, at `Task.extension` where an unmet need is not named.
pub fn of(task: &Value) -> Result<&'static Reason, Rejection> {
    let named = coding(&task["statusReason"], CLOSURE_REASON);
    let code = match named {
        Some(code) => code,
        None => implied(super::state::itk_code(task)).unwrap_or(""),
    };
    let found = REASONS.iter().find(|reason| reason.code == code).ok_or_else(|| {
        let known: Vec<&str> = REASONS.iter().map(|reason| reason.code).collect();
        let words = format!("say why it is closed, as a code of {CLOSURE_REASON}: {}", known.join(", "));
        Rejection::unprocessable(IssueType::BusinessRule, words).at("Task.statusReason")
    })?;
    if found.code == UNMET && lacking(task).is_empty() {
        return Err(refused("Task", "extension", format!("an unmet need is named in the extension {UNMET_NEED}")));
    }
    Ok(found)
}

/// What a business status says by itself.
fn implied(business: &str) -> Option<&'static str> {
    match business {
        "" | "30006" => Some("completed"),
        "30012" | "30018" => Some("did-not-engage"),
        "30007" | "30008" => Some("returned-to-referrer"),
        _ => None,
    }
}

/// The reason as `Task.statusReason`, with the sender's own words where it had any.
pub fn concept(reason: &Reason, sent: &Value) -> Value {
    let mut concept = json!({"coding": [{"system": CLOSURE_REASON, "code": reason.code, "display": reason.display}]});
    let others = each(&sent["coding"]).filter(|one| one["system"].as_str() != Some(CLOSURE_REASON));
    if let Some(codings) = concept["coding"].as_array_mut() {
        codings.extend(others.cloned());
    }
    if let Some(text) = sent["text"].as_str() {
        concept["text"] = json!(text);
    }
    concept
}

/// What was lacking, in words.
pub fn lacking(task: &Value) -> Vec<&str> {
    let ours = each(&task["extension"]).filter(|one| one["url"].as_str() == Some(UNMET_NEED));
    ours.filter_map(|one| {
        let concept = &one["valueCodeableConcept"];
        let display = || each(&concept["coding"]).find_map(|coding| coding["display"].as_str());
        concept["text"].as_str().or_else(display).map(str::trim).filter(|words| !words.is_empty())
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::task::business_status;

    #[test]
    fn every_reason_has_a_business_status_that_a_closed_task_may_carry() {
        for reason in REASONS {
            assert!(super::super::state::allows("completed", reason.business), "{}", reason.code);
        }
    }

    #[test]
    fn a_reason_is_said_or_follows_or_is_asked_for() {
        let code = |task: &Value| of(task).map(|reason| reason.code).map_err(|r| r.issues[0].expression.clone());
        let task = |business: &str| json!({"businessStatus": business_status(business, "")});
        assert_eq!(code(&task("30006")), Ok("completed"));
        assert_eq!(code(&task("30012")), Ok("did-not-engage"));
        assert_eq!(code(&task("30013")), Err(Some("Task.statusReason".into())));
        let mut said = json!({"statusReason": {"coding": [{"system": CLOSURE_REASON, "code": "moved"}]}});
        assert_eq!(code(&said), Ok("moved"));
        said["statusReason"]["coding"][0]["code"] = json!("bored");
        assert_eq!(code(&said), Err(Some("Task.statusReason".into())));
        said["statusReason"]["coding"][0]["code"] = json!("unmet-need");
        assert_eq!(code(&said), Err(Some("Task.extension".into())));
        said["extension"] = json!([{"url": UNMET_NEED, "valueCodeableConcept": {"text": "a warm place"}}]);
        assert_eq!((code(&said), lacking(&said)), (Ok("unmet-need"), vec!["a warm place"]));
    }
}
