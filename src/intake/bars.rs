//! What a BaRS message must be before the path takes it. Pure.
//! <https://simplifier.net/guide/nhsbookingandreferralstandard>
//!
//! Lenient in: what the standard asks for and the gateway can do without is a finding, not a
//! refusal. All faults of one kind are told at once. What becomes of the referral is the path's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use uuid::Uuid;

use crate::config::Bars;
use crate::fhir::{self, each};
use crate::rejection::{BarsError, Issue, IssueType, Rejection};

/// Resources that a new referral cannot do without, by its MessageDefinition.
const REFERRAL_NEEDS: [&str; 5] = ["ServiceRequest", "Patient", "Encounter", "CarePlan", "Consent"];
/// Resources that its MessageDefinition asks for and the gateway can do without.
const REFERRAL_WISHES: [&str; 4] = ["HealthcareService", "Organization", "Practitioner", "PractitionerRole"];
/// Resources that a cancellation cannot do without.
const CANCEL_NEEDS: [&str; 2] = ["ServiceRequest", "Patient"];
/// The MessageDefinitions that are taken.
const REFERRAL: &str = "bars-message-servicerequest-request-referral";
const CANCELLED: &str = "bars-message-servicerequest-request-cancelled";
/// What a ServiceRequest's category says of the message.
const MESSAGE_CATEGORY: &str = "https://fhir.nhs.uk/CodeSystem/message-category-servicerequest";
/// What a ServiceRequest's category says of the use case.
const USE_CASES: &str = "https://fhir.nhs.uk/CodeSystem/usecases-categories-bars";

/// Checks the headers; `header` gives a header's text, or an empty one.
///
/// # Errors
/// 400 `required` or `invalid` for the ids, 400 `invalid` for a target that cannot be read, 422
/// `not-supported` for a target that is not this gateway.
pub fn check_headers(header: impl Fn(&str) -> String, config: &Bars) -> Result<(), Rejection> {
    let mut issues = Vec::new();
    for name in ["X-Request-Id", "X-Correlation-Id"] {
        let value = header(name);
        if value.is_empty() {
            issues.push(issue(IssueType::Required, format!("the header {name} is required"), None));
        } else if Uuid::try_parse(&value).is_err() {
            issues.push(issue(IssueType::Invalid, format!("the header {name} must be a UUID"), None));
        }
    }
    let target = header("NHSD-Target-Identifier");
    let named = if target.is_empty() { None } else { Some(target_of(&target)) };
    match &named {
        Some(None) => issues.push(issue(
            IssueType::Invalid,
            "NHSD-Target-Identifier must be Base64 of JSON with value and system".into(),
            None,
        )),
        None if !config.service_ids.is_empty() => {
            issues.push(issue(IssueType::Required, "the header NHSD-Target-Identifier is required".into(), None));
        }
        _ => {}
    }
    refuse(BarsError::BadRequest, issues)?;
    match named.flatten() {
        Some(service) if !ours(&service, config) => Err(Rejection::unprocessable(
            IssueType::NotSupported,
            "NHSD-Target-Identifier names a service that is not here",
        )),
        _ => Ok(()),
    }
}

fn target_of(header: &str) -> Option<String> {
    let decoded = STANDARD.decode(header.trim()).ok()?;
    let target: Value = serde_json::from_slice(&decoded).ok()?;
    target["system"].as_str().filter(|system| !system.is_empty())?;
    target["value"].as_str().filter(|value| !value.is_empty()).map(str::to_owned)
}

/// Checks a message; gives the findings of a lenient reading.
///
/// # Errors
/// 400, 404, 422 or 501 by the BaRS rules; nothing in them repeats the message's content.
pub fn check_message(bundle: &Value, config: &Bars) -> Result<Vec<String>, Rejection> {
    check_bundle(bundle, config)?;
    let header = &bundle["entry"][0]["resource"];
    check_event(header)?;
    let definition = check_header(header, config)?;
    let message = Message::of(bundle);
    let mut findings = message.findings(header);
    if definition == CANCELLED {
        message.need(&CANCEL_NEEDS)?;
    } else {
        message.need(&REFERRAL_NEEDS)?;
        message.check_assessed(header)?;
        findings.extend(message.wish(&REFERRAL_WISHES));
    }
    message.check_category(config, definition == CANCELLED)?;
    Ok(findings)
}

/// The Bundle itself: type, timestamp, version, the MessageHeader first and alone, each fullUrl once.
fn check_bundle(bundle: &Value, config: &Bars) -> Result<(), Rejection> {
    let mut issues = Vec::new();
    let mut fault = |kind, words: &str, at: &str| issues.push(issue(kind, words.to_owned(), Some(at.to_owned())));
    if fhir::kind(bundle) != "Bundle" || bundle["type"].as_str() != Some("message") {
        fault(IssueType::Invalid, "$process-message takes a Bundle of type message", "Bundle.type");
        return refuse(BarsError::BadRequest, issues);
    }
    if bundle["timestamp"].is_null() {
        fault(IssueType::Required, "Bundle.timestamp is required", "Bundle.timestamp");
    }
    let version = bundle["meta"]["versionId"].as_str();
    if version.is_none() {
        fault(IssueType::Invariant, "meta.versionId must name the version of BaRS", "Bundle.meta.versionId");
    }
    let headers: Vec<usize> = each(&bundle["entry"])
        .enumerate()
        .filter(|(_, entry)| fhir::kind(&entry["resource"]) == "MessageHeader")
        .map(|(i, _)| i)
        .collect();
    if headers != [0] {
        fault(IssueType::Invariant, "the first entry, and no other, must be the MessageHeader", "Bundle.entry[0]");
    }
    let mut urls: Vec<&str> = each(&bundle["entry"]).filter_map(|entry| entry["fullUrl"].as_str()).collect();
    urls.sort_unstable();
    if urls.windows(2).any(|pair| pair[0] == pair[1]) {
        fault(IssueType::Invariant, "two entries have the same fullUrl", "Bundle.entry.fullUrl");
    }
    refuse(BarsError::BadRequest, issues)?;
    if version.is_some_and(|version| !config.versions.iter().any(|known| known == version)) {
        return Err(unsupported("this version of BaRS is not taken here", "Bundle.meta.versionId"));
    }
    Ok(())
}

/// Which events are for a receiver of referrals.
fn check_event(header: &Value) -> Result<(), Rejection> {
    let at = "Bundle.entry[0].resource.eventCoding.code";
    match header["eventCoding"]["code"].as_str() {
        Some("servicerequest-request") => Ok(()),
        // The gateway sends no BaRS requests, so no response answers one of its own.
        Some("servicerequest-response") => Err(Rejection::new(
            BarsError::NotFound,
            IssueType::NotFound,
            "MessageHeader.response.identifier names no message of this gateway",
        )
        .at("Bundle.entry[0].resource.response.identifier")),
        Some("booking-request" | "booking-response") => Err(Rejection::new(
            BarsError::NotImplemented,
            IssueType::NotSupported,
            "bookings are not done here; send a referral",
        )
        .at(at)),
        Some(_) => Err(unsupported("this message event is not known here", at)),
        None => Err(Rejection::bad_request(IssueType::Required, "MessageHeader.eventCoding is required").at(at)),
    }
}

/// Destination, reason and definition; gives the definition's name.
fn check_header<'a>(header: &'a Value, config: &Bars) -> Result<&'a str, Rejection> {
    let at = |what: &str| format!("Bundle.entry[0].resource.{what}");
    let mut issues = Vec::new();
    let destinations: Vec<&str> =
        each(&header["destination"]).filter_map(|destination| destination["endpoint"].as_str()).collect();
    if destinations.is_empty() {
        let words = "MessageHeader.destination.endpoint is required".to_owned();
        issues.push(issue(IssueType::Required, words, Some(at("destination"))));
    }
    let reason = each(&header["reason"]["coding"]).find_map(|coding| coding["code"].as_str());
    if !matches!(reason, Some("new" | "update" | "delete")) {
        let words = "MessageHeader.reason must be new, update or delete".to_owned();
        issues.push(issue(IssueType::CodeInvalid, words, Some(at("reason"))));
    }
    let definition = header["definition"].as_str().unwrap_or("");
    if definition.is_empty() {
        let words = "MessageHeader.definition is required".to_owned();
        issues.push(issue(IssueType::Required, words, Some(at("definition"))));
    }
    refuse(BarsError::BadRequest, issues)?;
    let service = |endpoint: &str| endpoint.rsplit('|').next().unwrap_or("").to_owned();
    if !destinations.iter().any(|endpoint| ours(&service(endpoint), config)) {
        return Err(unsupported("this destination is not here", &at("destination[0].endpoint")));
    }
    let name = definition.split('|').next().and_then(|url| url.rsplit('/').next()).unwrap_or("");
    if name == REFERRAL || name == CANCELLED {
        Ok(name)
    } else {
        Err(unsupported("messages of this definition are not taken here", &at("definition")))
    }
}

fn ours(service: &str, config: &Bars) -> bool {
    config.service_ids.is_empty() || config.service_ids.iter().any(|known| known == service)
}

/// The resources of a message.
struct Message<'a>(Vec<(usize, &'a Value)>);

impl<'a> Message<'a> {
    fn of(bundle: &'a Value) -> Self {
        Self(each(&bundle["entry"]).map(|entry| &entry["resource"]).enumerate().collect())
    }

    fn of_kind(&self, kind: &'a str) -> impl Iterator<Item = (usize, &'a Value)> {
        self.0.iter().filter(move |(_, resource)| fhir::kind(resource) == kind).copied()
    }

    /// 400 for each type that is missing, and for more than one ServiceRequest.
    fn need(&self, kinds: &[&'static str]) -> Result<(), Rejection> {
        let missing = kinds.iter().filter(|kind| self.of_kind(kind).next().is_none());
        let mut issues: Vec<Issue> = missing
            .map(|kind| issue(IssueType::Required, format!("the message needs a {kind}"), Some("Bundle.entry".into())))
            .collect();
        if let Some((second, _)) = self.of_kind("ServiceRequest").nth(1) {
            let words = "a message holds one ServiceRequest".to_owned();
            issues.push(issue(IssueType::Invariant, words, Some(format!("Bundle.entry[{second}].resource"))));
        }
        refuse(BarsError::BadRequest, issues)
    }

    fn wish(&self, kinds: &[&'static str]) -> Vec<String> {
        let missing = kinds.iter().filter(|kind| self.of_kind(kind).next().is_none());
        missing.map(|kind| format!("the message has no {kind}, which its definition asks for")).collect()
    }

    /// A new active referral comes after its assessment: CarePlan completed, Encounter over.
    fn check_assessed(&self, header: &Value) -> Result<(), Rejection> {
        let reason = each(&header["reason"]["coding"]).find_map(|coding| coding["code"].as_str());
        let active = self.of_kind("ServiceRequest").any(|(_, request)| request["status"] == "active");
        if reason != Some("new") || !active {
            return Ok(());
        }
        let mut issues = Vec::new();
        let mut needs = |kind: &'a str, wanted: &[&str]| {
            let all: Vec<_> = self.of_kind(kind).collect();
            let fits = |resource: &Value| resource["status"].as_str().is_some_and(|status| wanted.contains(&status));
            if let Some((i, _)) = all.first()
                && !all.iter().any(|(_, resource)| fits(resource))
            {
                let words = format!("a new referral needs its {kind} with status {}", wanted.join(" or "));
                issues.push(issue(IssueType::Invariant, words, Some(format!("Bundle.entry[{i}].resource.status"))));
            }
        };
        needs("CarePlan", &["completed"]);
        needs("Encounter", &["triaged", "finished"]);
        refuse(BarsError::BadRequest, issues)
    }

    /// What kind of referral: `referral`, and for one that is not cancelled a use case taken here.
    fn check_category(&self, config: &Bars, cancelled: bool) -> Result<(), Rejection> {
        let Some((i, request)) = self.of_kind("ServiceRequest").next() else { return Ok(()) };
        let at = format!("Bundle.entry[{i}].resource.category");
        // What is not here cannot be cancelled, so a cancellation's category decides nothing.
        if cancelled {
            return Ok(());
        }
        let code = |system: &str| each(&request["category"]).find_map(|concept| fhir::coding(concept, system));
        if code(MESSAGE_CATEGORY).is_some_and(|category| category != "referral") {
            return Err(unsupported("only the message category 'referral' is taken here", &at));
        }
        let use_case = code(USE_CASES);
        let known = use_case.is_some_and(|code| config.use_cases.iter().any(|known| known == code));
        if known {
            return Ok(());
        }
        let words =
            if use_case.is_some() { "this use case is not taken here" } else { "the category names no use case" };
        Err(unsupported(words, &at))
    }

    fn findings(&self, header: &Value) -> Vec<String> {
        let mut findings = Vec::new();
        if each(&header["focus"]).next().is_none() {
            findings.push("MessageHeader.focus does not name the ServiceRequest".to_owned());
        }
        if self.0.iter().any(|(_, resource)| resource["meta"]["lastUpdated"].is_null()) {
            findings.push("a resource has no meta.lastUpdated".to_owned());
        }
        findings
    }
}

fn issue(kind: IssueType, diagnostics: String, expression: Option<String>) -> Issue {
    Issue { kind, diagnostics, expression }
}

fn refuse(error: BarsError, issues: Vec<Issue>) -> Result<(), Rejection> {
    if issues.is_empty() { Ok(()) } else { Err(Rejection { error, issues }) }
}

fn unsupported(words: &str, at: &str) -> Rejection {
    Rejection::unprocessable(IssueType::NotSupported, words).at(at)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config() -> Bars {
        Bars { service_ids: vec!["111".into()], versions: vec!["1.1.0".into()], use_cases: vec!["sp1".into()] }
    }

    fn message() -> Value {
        let resource = |value: Value| json!({"fullUrl": format!("urn:uuid:{}", Uuid::new_v4()), "resource": value});
        let category = |system: &str, code: &str| json!({"system": system, "code": code});
        json!({"resourceType": "Bundle", "id": "b", "type": "message", "timestamp": "2026-01-05T10:00:00Z",
            "meta": {"versionId": "1.1.0"}, "entry": [
            resource(json!({"resourceType": "MessageHeader", "eventCoding": {"code": "servicerequest-request"},
                "destination": [{"endpoint": "https://fhir.nhs.uk/Id/dos-service-id|111"}],
                "reason": {"coding": [{"code": "new"}]},
                "definition": "https://fhir.nhs.uk/MessageDefinition/bars-message-servicerequest-request-referral"})),
            resource(json!({"resourceType": "ServiceRequest", "status": "active",
                "category": [{"coding": [category(MESSAGE_CATEGORY, "referral"), category(USE_CASES, "sp1")]}]})),
            resource(json!({"resourceType": "Patient"})),
            resource(json!({"resourceType": "Encounter", "status": "finished"})),
            resource(json!({"resourceType": "CarePlan", "status": "completed"})),
            resource(json!({"resourceType": "Consent"})),
        ]})
    }

    fn told(change: impl Fn(&mut Value)) -> (u16, &'static str) {
        let mut bundle = message();
        change(&mut bundle);
        match check_message(&bundle, &config()) {
            Ok(_) => (200, ""),
            Err(rejection) => (rejection.status(), rejection.issues[0].kind.code()),
        }
    }

    #[test]
    fn each_rule_has_its_answer() {
        assert_eq!(told(|_| {}), (200, ""));
        assert_eq!(told(|b| b["type"] = json!("batch")), (400, "invalid"));
        assert_eq!(told(|b| b["timestamp"] = Value::Null), (400, "required"));
        assert_eq!(told(|b| b["meta"] = json!({})), (400, "invariant"));
        assert_eq!(told(|b| b["meta"]["versionId"] = json!("9.9.9")), (422, "not-supported"));
        assert_eq!(told(|b| b["entry"].as_array_mut().unwrap().swap(0, 1)), (400, "invariant"));
        let header =
            |name: &'static str, value: Value| move |b: &mut Value| b["entry"][0]["resource"][name] = value.clone();
        assert_eq!(told(header("eventCoding", json!({"code": "booking-request"}))), (501, "not-supported"));
        assert_eq!(told(header("eventCoding", json!({"code": "servicerequest-response"}))), (404, "not-found"));
        assert_eq!(told(header("eventCoding", json!({"code": "x"}))), (422, "not-supported"));
        assert_eq!(told(header("destination", json!([{"endpoint": "a|222"}]))), (422, "not-supported"));
        assert_eq!(told(header("destination", json!([]))), (400, "required"));
        assert_eq!(
            told(header("definition", json!("x/bars-message-servicerequest-request-validation"))),
            (422, "not-supported")
        );
        assert_eq!(told(|b| b["entry"][3]["resource"]["status"] = json!("planned")), (400, "invariant"));
        assert_eq!(told(|b| b["entry"][4]["resource"]["status"] = json!("active")), (400, "invariant"));
        assert_eq!(told(|b| b["entry"].as_array_mut().unwrap().truncate(5)), (400, "required"));
        let use_case = |b: &mut Value| b["entry"][1]["resource"]["category"][0]["coding"][1]["code"] = json!("a5t1");
        assert_eq!(told(use_case), (422, "not-supported"));
    }

    #[test]
    fn headers_are_checked() {
        let id = "79120f41-a431-4f08-bcc5-1e67006fcae0";
        let target = |value: &str| STANDARD.encode(json!({"value": value, "system": "s"}).to_string());
        let told = |request: &str, target: String| {
            let header = |name: &str| match name {
                "X-Request-Id" => request.to_owned(),
                "X-Correlation-Id" => id.to_owned(),
                _ => target.clone(),
            };
            check_headers(header, &config()).map_err(|r| (r.status(), r.issues[0].kind.code()))
        };
        assert_eq!(told(id, target("111")), Ok(()));
        assert_eq!(told("", target("111")), Err((400, "required")));
        assert_eq!(told("1", target("111")), Err((400, "invalid")));
        assert_eq!(told(id, "@@".into()), Err((400, "invalid")));
        assert_eq!(told(id, target("222")), Err((422, "not-supported")));
    }
}
