//! Leg 4: which patient. The NHS number must be there, hold its check digit and be of the kind
//! this gateway takes; nobody is ever matched by name. A trace by PDS is not done here yet.

use serde_json::Value;

use crate::config::TestNumbers;
use crate::fhir::ids::{NHS_NUMBER, NhsNumber, ODS, OdsCode, stable_id};
use crate::fhir::{self, each};
use crate::store::commit::Cause;

/// The person a referral is for, as one practice knows them.
#[derive(Debug, Clone)]
pub struct Person {
    /// The NHS number, checked.
    pub nhs_number: NhsNumber,
    /// The practice where they are registered, or which referred them.
    pub practice: OdsCode,
    /// The Patient's logical id: one for each person and practice, since two practices keep two
    /// records of one person and neither may see the other's.
    pub patient: String,
}

/// Finds the person in a mapped Patient and ServiceRequest.
///
/// # Errors
/// The causes for which the referral must be held, all of them, with words that name no one.
pub fn person(patient: &Value, request: &Value, test_numbers: TestNumbers) -> Result<Person, Vec<(Cause, String)>> {
    let mut held = Vec::new();
    let nhs_number = nhs_number(patient, test_numbers).map_err(|hold| held.push(hold)).ok();
    let practice = practice(patient, request);
    if practice.is_none() {
        held.push((
            Cause::PracticeUnknown,
            "no ODS code of the patient's or the referring practice was sent".to_owned(),
        ));
    }
    if patient.get("deceasedDateTime").is_some() || patient["deceasedBoolean"] == Value::Bool(true) {
        held.push((Cause::Deceased, "the sender records this patient as deceased; ask the practice".to_owned()));
    }
    match (nhs_number, practice) {
        (Some(nhs_number), Some(practice)) if held.is_empty() => {
            let patient = stable_id(&["Patient", practice.as_str(), nhs_number.as_str()]).to_string();
            Ok(Person { nhs_number, practice, patient })
        }
        _ => Err(held),
    }
}

fn nhs_number(patient: &Value, test_numbers: TestNumbers) -> Result<NhsNumber, (Cause, String)> {
    let text = fhir::identifier(patient, NHS_NUMBER).ok_or_else(|| {
        (Cause::NhsNumberMissing, "the patient has no NHS number; trace them, then replay".to_owned())
    })?;
    let number = NhsNumber::parse(text)
        .map_err(|fault| (Cause::NhsNumberInvalid, format!("the NHS number {fault}; correct it at the practice")))?;
    match (test_numbers, number.is_test()) {
        (TestNumbers::Refuse, true) => {
            Err((Cause::NhsNumberInvalid, "the NHS number is of the test range, which this gateway refuses".to_owned()))
        }
        (TestNumbers::Require, false) => Err((
            Cause::NhsNumberInvalid,
            "the NHS number is not of the test range, which this gateway requires".to_owned(),
        )),
        _ => Ok(number),
    }
}

/// The registered practice; failing that, the organisation that referred.
pub fn practice(patient: &Value, request: &Value) -> Option<OdsCode> {
    let of = |reference: &Value| {
        let identifier = &reference["identifier"];
        let ods = identifier["system"].as_str() == Some(ODS);
        ods.then(|| OdsCode::parse(identifier["value"].as_str().unwrap_or("")).ok()).flatten()
    };
    each(&patient["generalPractitioner"])
        .find_map(of)
        .or_else(|| of(&patient["managingOrganization"]))
        .or_else(|| of(&request["requester"]))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(patient: Value, policy: TestNumbers) -> Result<String, Vec<Cause>> {
        let request = json!({"requester": {"identifier": {"system": ODS, "value": "N84001"}}});
        person(&patient, &request, policy)
            .map(|person| person.practice.to_string())
            .map_err(|held| held.into_iter().map(|(cause, _)| cause).collect())
    }

    fn patient(number: &str) -> Value {
        json!({"identifier": [{"system": NHS_NUMBER, "value": number}]})
    }

    #[test]
    fn holds_for_every_cause_at_once() {
        assert_eq!(check(patient("9449305552"), TestNumbers::Refuse), Ok("N84001".into()));
        assert_eq!(check(patient("9449305553"), TestNumbers::Refuse), Err(vec![Cause::NhsNumberInvalid]));
        assert_eq!(check(json!({}), TestNumbers::Allow), Err(vec![Cause::NhsNumberMissing]));
        let mut dead = patient("9449305553");
        dead["deceasedDateTime"] = json!("2025-01");
        assert_eq!(check(dead, TestNumbers::Refuse), Err(vec![Cause::NhsNumberInvalid, Cause::Deceased]));
    }

    #[test]
    fn keeps_test_numbers_where_they_belong() {
        assert_eq!(check(patient("9990000018"), TestNumbers::Refuse), Err(vec![Cause::NhsNumberInvalid]));
        assert!(check(patient("9990000018"), TestNumbers::Allow).is_ok());
        assert_eq!(check(patient("9449305552"), TestNumbers::Require), Err(vec![Cause::NhsNumberInvalid]));
    }
}
