//! A FHIR Bundle that carries one referral - a BaRS message or a transaction - to a source tree.
//! <https://simplifier.net/guide/nhsbookingandreferralstandard>
//!
//! Resources are found by following references from the ServiceRequest, by `fullUrl` or by
//! `Type/id`; a reference that leads nowhere is a finding, not a fault: the official examples
//! have them. Which elements matter is the mapping's decision.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Parsed, Wish};
use crate::fhir::{self, each, ids::stable_id};
use crate::mapping::SourceTree;
use crate::rejection::{IssueType, Rejection};

/// Who sent the Bundle and in which journey: what makes its referral's key unique.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The caller's ODS code.
    pub sender: &'a str,
    /// `X-Correlation-Id`, or empty.
    pub correlation: &'a str,
}

/// Reads the one referral in `bundle`.
///
/// # Errors
/// 400 `required` when the ServiceRequest or its Patient is not in the Bundle, 422
/// `not-supported` for more than one referral or a status that is neither active nor a cancel.
pub fn parse(bundle: &Value, origin: Origin<'_>) -> Result<Parsed, Rejection> {
    let entries = Entries::of(bundle);
    let header = entries.first("MessageHeader");
    let (at, request) = entries.referral(header)?;
    let patient = entries
        .follow(&request["subject"])
        .ok_or_else(|| missing("the Patient that ServiceRequest.subject names is not in the Bundle", at, "subject"))?;
    let mut found = Found { entries: &entries, tree: SourceTree::default(), findings: Vec::new() };
    found.put("header", header);
    found.put("sr", Some(request));
    found.put("pat", Some(patient));
    found.requester(request, header);
    found.practice(patient);
    found.put("encounter", entries.follow(&request["encounter"]).or_else(|| entries.first("Encounter")));
    let plan = each(&request["basedOn"]).find_map(|plan| entries.follow(plan)).or_else(|| entries.first("CarePlan"));
    found.put("careplan", plan);
    found.put("task", entries.first("Task"));
    found.list("consents", "Consent");
    found.list("flags", "Flag");
    found.dangling(request);
    let (tree, findings) = (found.tree, found.findings);
    Ok(Parsed {
        tree,
        wish: wish(request, header, at)?,
        referral: referral_id(request, entries.url(at), origin),
        named: request["id"].as_str().map(str::to_owned),
        written_at: written_at(bundle, request),
        entries: entries.all.iter().map(|e| (e.url.to_owned(), fhir::kind(e.resource).to_owned())).collect(),
        findings,
    })
}

struct Entry<'a> {
    url: &'a str,
    resource: &'a Value,
}

struct Entries<'a> {
    all: Vec<Entry<'a>>,
    by_url: BTreeMap<String, usize>,
}

impl<'a> Entries<'a> {
    fn of(bundle: &'a Value) -> Self {
        let all: Vec<Entry<'a>> = each(&bundle["entry"])
            .map(|entry| Entry { url: entry["fullUrl"].as_str().unwrap_or(""), resource: &entry["resource"] })
            .collect();
        let mut by_url = BTreeMap::new();
        for (i, entry) in all.iter().enumerate() {
            by_url.entry(entry.url.to_owned()).or_insert(i);
            if let Some(id) = entry.resource["id"].as_str() {
                by_url.entry(format!("{}/{id}", fhir::kind(entry.resource))).or_insert(i);
            }
        }
        Self { all, by_url }
    }

    fn url(&self, at: usize) -> &'a str {
        self.all[at].url
    }

    fn first(&self, kind: &str) -> Option<&'a Value> {
        self.all.iter().map(|e| e.resource).find(|resource| fhir::kind(resource) == kind)
    }

    fn follow(&self, reference: &Value) -> Option<&'a Value> {
        let text = reference["reference"].as_str()?;
        let found = self.by_url.get(text).or_else(|| {
            let (kind, id) = fhir::split_reference(text)?;
            self.by_url.get(&format!("{kind}/{id}"))
        });
        found.map(|i| self.all[*i].resource)
    }

    /// The one ServiceRequest: the message's focus, else the only one there is.
    fn referral(&self, header: Option<&'a Value>) -> Result<(usize, &'a Value), Rejection> {
        let focus = header.and_then(|header| each(&header["focus"]).find_map(|focus| self.follow(focus)));
        let mut requests = self.all.iter().enumerate().filter(|(_, e)| fhir::kind(e.resource) == "ServiceRequest");
        let chosen = match focus {
            Some(focus) => requests.find(|(_, e)| std::ptr::eq(e.resource, focus)),
            None => {
                let first = requests.next();
                if requests.next().is_some() {
                    return Err(Rejection::unprocessable(
                        IssueType::NotSupported,
                        "the Bundle holds more than one ServiceRequest; send one referral in each Bundle",
                    )
                    .at("Bundle.entry"));
                }
                first
            }
        };
        chosen.map(|(i, e)| (i, e.resource)).ok_or_else(|| {
            Rejection::bad_request(IssueType::Required, "the Bundle holds no ServiceRequest to act on")
                .at("Bundle.entry")
        })
    }
}

struct Found<'a> {
    entries: &'a Entries<'a>,
    tree: SourceTree,
    findings: Vec<String>,
}

impl<'a> Found<'a> {
    fn put(&mut self, name: &str, resource: Option<&'a Value>) {
        let Some(resource) = resource else { return };
        let at = self.entries.all.iter().position(|e| std::ptr::eq(e.resource, resource)).unwrap_or_default();
        self.tree.inputs.insert(name.to_owned(), resource.clone());
        self.tree.origins.insert(name.to_owned(), format!("Bundle.entry[{at}]"));
    }

    fn list(&mut self, name: &str, kind: &str) {
        let all = self.entries.all.iter().map(|e| e.resource).filter(|r| fhir::kind(r) == kind);
        self.tree.inputs.insert(name.to_owned(), Value::Array(all.cloned().collect()));
        self.tree.origins.insert(name.to_owned(), "Bundle.entry".to_owned());
    }

    /// The requesting role, person and organisation, whichever of them the sender gave.
    fn requester(&mut self, request: &'a Value, header: Option<&'a Value>) {
        let requester = self.entries.follow(&request["requester"]);
        let of_kind = |kind: &str| requester.filter(|resource| fhir::kind(resource) == kind);
        let role = of_kind("PractitionerRole");
        let practitioner =
            role.and_then(|role| self.entries.follow(&role["practitioner"])).or_else(|| of_kind("Practitioner"));
        let organisation = header
            .and_then(|header| self.entries.follow(&header["sender"]))
            .or_else(|| role.and_then(|role| self.entries.follow(&role["organization"])))
            .or_else(|| of_kind("Organization"));
        self.put("role", role);
        self.put("practitioner", practitioner);
        self.put("org", organisation);
    }

    /// The Organization where the person is registered.
    fn practice(&mut self, patient: &'a Value) {
        let to_organisation = |resource: &'a Value| match fhir::kind(resource) {
            "Organization" => Some(resource),
            "PractitionerRole" => self.entries.follow(&resource["organization"]),
            _ => None,
        };
        let practice = each(&patient["generalPractitioner"])
            .filter_map(|gp| self.entries.follow(gp))
            .find_map(to_organisation)
            .or_else(|| self.entries.follow(&patient["managingOrganization"]));
        self.put("practice", practice);
    }

    fn dangling(&mut self, request: &Value) {
        for element in ["requester", "encounter"] {
            let reference = &request[element];
            let named = reference["reference"].is_string();
            if named && self.entries.follow(reference).is_none() {
                self.findings.push(format!("ServiceRequest.{element} refers to nothing in the Bundle"));
            }
        }
    }
}

/// What is wanted, by `ServiceRequest.status` alone: the guides contradict each other on the
/// message's reason for a cancel.
fn wish(request: &Value, header: Option<&Value>, at: usize) -> Result<Wish, Rejection> {
    let reason = header
        .and_then(|header| each(&header["reason"]["coding"]).find_map(|coding| coding["code"].as_str()))
        .unwrap_or("new");
    match request["status"].as_str() {
        Some("active") if reason == "new" => Ok(Wish::Take),
        Some("active") => Ok(Wish::Update),
        Some("revoked" | "entered-in-error") => Ok(Wish::Cancel),
        Some(_) => Err(Rejection::unprocessable(
            IssueType::NotSupported,
            "only an active, revoked or entered-in-error ServiceRequest can be sent",
        )
        .at(format!("Bundle.entry[{at}].resource.status"))),
        None => Err(missing("ServiceRequest.status is missing", at, "status")),
    }
}

/// The sender's own identifier makes the id; a sender that gives none is followed by its journey
/// and the entry's `fullUrl`, which the messages of one journey share.
fn referral_id(request: &Value, url: &str, origin: Origin<'_>) -> String {
    let own = each(&request["identifier"])
        .find_map(|identifier| Some((identifier["system"].as_str().unwrap_or(""), identifier["value"].as_str()?)));
    let id = match own {
        Some((system, value)) => stable_id(&["ServiceRequest", "fhir", origin.sender, system, value]),
        None => stable_id(&["ServiceRequest", "journey", origin.sender, origin.correlation, url]),
    };
    id.to_string()
}

fn written_at(bundle: &Value, request: &Value) -> Option<jiff::Timestamp> {
    let text = request["meta"]["lastUpdated"].as_str().or_else(|| bundle["timestamp"].as_str())?;
    text.parse().ok()
}

fn missing(what: &str, at: usize, element: &str) -> Rejection {
    Rejection::bad_request(IssueType::Required, what).at(format!("Bundle.entry[{at}].resource.{element}"))
}

/// Rewrites references into the Bundle to the logical ids that we gave, and takes out those that
/// lead nowhere in the store, keeping their identifier and display. What is left empty goes.
pub fn relink(value: &mut Value, assigned: &BTreeMap<String, String>) {
    match value {
        Value::Object(members) => {
            relink_reference(members, assigned);
            members.values_mut().for_each(|member| relink(member, assigned));
            members.retain(|_, member| !is_empty(member));
        }
        Value::Array(items) => {
            items.iter_mut().for_each(|item| relink(item, assigned));
            items.retain(|item| !is_empty(item));
        }
        _ => {}
    }
}

fn relink_reference(members: &mut Map<String, Value>, assigned: &BTreeMap<String, String>) {
    let Some(reference) = members.get("reference").and_then(Value::as_str) else { return };
    if let Some(ours) = assigned.get(reference) {
        members.insert("reference".to_owned(), Value::String(ours.clone()));
    } else if !reference.starts_with('#') && !reference.starts_with("http") {
        members.shift_remove("reference");
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn bundle() -> Value {
        json!({"resourceType": "Bundle", "type": "message", "timestamp": "2026-01-05T10:00:00+00:00", "entry": [
            {"fullUrl": "urn:uuid:h", "resource": {"resourceType": "MessageHeader", "sender": {"reference": "urn:uuid:o"},
             "reason": {"coding": [{"code": "new"}]}, "focus": [{"reference": "urn:uuid:s"}]}},
            {"fullUrl": "urn:uuid:s", "resource": {"resourceType": "ServiceRequest", "status": "active",
             "subject": {"reference": "urn:uuid:p"}, "requester": {"reference": "urn:uuid:gone"}}},
            {"fullUrl": "urn:uuid:p", "resource": {"resourceType": "Patient", "generalPractitioner": [{"reference": "urn:uuid:o"}]}},
            {"fullUrl": "urn:uuid:o", "resource": {"resourceType": "Organization", "name": "A"}},
        ]})
    }

    const ORIGIN: Origin<'_> = Origin { sender: "N84001", correlation: "j" };

    #[test]
    fn follows_references_and_tells_the_dangling() {
        let parsed = parse(&bundle(), ORIGIN).unwrap();
        assert_eq!(parsed.wish, Wish::Take);
        assert_eq!(parsed.tree.origins["practice"], "Bundle.entry[3]");
        assert_eq!(parsed.findings, ["ServiceRequest.requester refers to nothing in the Bundle"]);
    }

    #[test]
    fn status_decides_whatever_the_reason_says() {
        for reason in ["update", "delete", "new"] {
            let mut cancel = bundle();
            cancel["entry"][0]["resource"]["reason"]["coding"][0]["code"] = json!(reason);
            cancel["entry"][1]["resource"]["status"] = json!("revoked");
            assert_eq!(parse(&cancel, ORIGIN).unwrap().wish, Wish::Cancel);
        }
    }

    #[test]
    fn one_journey_and_one_entry_are_one_referral() {
        let again = parse(&bundle(), ORIGIN).unwrap().referral;
        assert_eq!(again, parse(&bundle(), ORIGIN).unwrap().referral);
        let elsewhere = parse(&bundle(), Origin { correlation: "k", ..ORIGIN }).unwrap().referral;
        assert_ne!(again, elsewhere);
    }

    #[test]
    fn refuses_what_it_cannot_act_on() {
        let mut two = bundle();
        two["entry"][0]["resource"]["focus"] = json!([]);
        two["entry"][3]["resource"] = json!({"resourceType": "ServiceRequest", "status": "active"});
        assert_eq!(parse(&two, ORIGIN).unwrap_err().status(), 422);
        let mut lost = bundle();
        lost["entry"][2]["fullUrl"] = json!("urn:uuid:else");
        assert_eq!(parse(&lost, ORIGIN).unwrap_err().issues[0].kind, IssueType::Required);
    }

    #[test]
    fn relinks_to_our_ids() {
        let mut value = json!({"a": {"reference": "urn:uuid:p"}, "b": [{"reference": "urn:uuid:x", "display": "X"}], "c": {"reference": "urn:uuid:y"}});
        relink(&mut value, &[("urn:uuid:p".to_owned(), "Patient/1".to_owned())].into());
        assert_eq!(value, json!({"a": {"reference": "Patient/1"}, "b": [{"display": "X"}]}));
    }
}
