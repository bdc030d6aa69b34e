//! Organisation Data Service: FHIR R4 Organization and OrganizationAffiliation, or ORD JSON.
//! <https://digital.nhs.uk/developer/api-catalogue/organisation-data-terminology>,
//! <https://digital.nhs.uk/developer/api-catalogue/organisation-data-service-ord>
//!
//! The Operational period counts; the Legal one where there is no other.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde_json::Value;

use super::{Closed, Fact, Faults, GP_PRACTICE, NETWORK, PARTNER_TO, PRESCRIBING_COST_CENTRE, Snapshot, in_print};
use crate::config::Fault;
use crate::fhir::ids::{ODS, OdsCode};
use crate::fhir::{self, each, wire};
use crate::routing::Period;

/// One organisation.
#[derive(Debug, Default)]
struct Organisation {
    name: String,
    active: bool,
    /// Active roles.
    roles: Vec<String>,
    last: Option<Date>,
    successor: Option<OdsCode>,
}

/// One practice's partnership with a network.
#[derive(Debug)]
struct Partnership {
    practice: String,
    network: String,
    period: Period,
}

#[derive(Debug, Default)]
struct Found {
    organisations: BTreeMap<String, Organisation>,
    partnerships: Vec<Partnership>,
}

/// Reads documents `(file, text)`: each a Bundle, a resource, or ORD's answer to one organisation.
pub fn read(documents: &[(&str, &str)], day: Date) -> Result<Snapshot, Vec<Fault>> {
    let mut found = Found::default();
    for (file, text) in documents {
        found.document(text).map_err(|text| vec![Fault { file: (*file).to_owned(), line: 1, text }])?;
    }
    found.snapshot(documents.first().map_or("", |(file, _)| file), day)
}

impl Found {
    fn document(&mut self, text: &str) -> Result<(), String> {
        let form = if text.trim_start().starts_with('<') { wire::Form::Xml } else { wire::Form::Json };
        let ord: Option<Value> = (form == wire::Form::Json).then(|| serde_json::from_str(text).ok()).flatten();
        match ord.filter(|value| value["Organisation"].is_object() || value["Organisations"].is_array()) {
            Some(value) => {
                let one = Some(&value["Organisation"]).filter(|one| one.is_object());
                one.into_iter().chain(each(&value["Organisations"])).for_each(|one| self.ord(one));
            }
            None => self.fhir(&wire::parse(text.as_bytes(), form).map_err(|why| why.to_string())?),
        }
        Ok(())
    }

    fn fhir(&mut self, resource: &Value) {
        match fhir::kind(resource) {
            "Bundle" => each(&resource["entry"]).for_each(|entry| self.fhir(&entry["resource"])),
            "Organization" => self.organisation(resource),
            "OrganizationAffiliation" => self.affiliation(resource),
            _ => {}
        }
    }

    fn organisation(&mut self, resource: &Value) {
        let Some(code) = each(&resource["identifier"]).find_map(ods_code) else { return };
        let roles = each(&resource["extension"])
            .filter(|one| ends_with(one, "OrganisationRole"))
            .filter(|role| inner(role, "active").is_none_or(|active| active["valueBoolean"].as_bool() == Some(true)));
        let roles = roles
            .filter_map(|role| {
                each(&inner(role, "roleCode")?["valueCodeableConcept"]["coding"]).next()?["code"].as_str()
            })
            .map(str::to_owned)
            .collect();
        let organisation = Organisation {
            name: in_print(resource["name"].as_str().unwrap_or("")),
            active: resource["active"].as_bool() == Some(true),
            roles,
            last: period_of(resource).and_then(|period| period.to),
            successor: None,
        };
        self.organisations.insert(code, organisation);
    }

    fn affiliation(&mut self, resource: &Value) {
        let relation = each(&resource["code"]).flat_map(|code| each(&code["coding"]));
        let is_partner = relation.filter_map(|coding| coding["code"].as_str()).any(|code| code == PARTNER_TO);
        let ends = (ods_code(&resource["organization"]["identifier"]), {
            ods_code(&resource["participatingOrganization"]["identifier"])
        });
        if let (true, (Some(practice), Some(network)), Some(period)) = (is_partner, ends, period_of(resource)) {
            self.partnerships.push(Partnership { practice, network, period });
        }
    }

    /// <https://digital.nhs.uk/developer/api-catalogue/organisation-data-service-ord>
    fn ord(&mut self, one: &Value) {
        let Some(code) = one["OrgId"]["extension"].as_str() else { return };
        let active = |item: &&Value| item["Status"].as_str() == Some("Active");
        let successions = each(&one["Succs"]["Succ"]).filter(|succ| succ["Type"].as_str() == Some("Successor"));
        let successor = successions.filter_map(|succ| succ["Target"]["OrgId"]["extension"].as_str()).next();
        for relation in each(&one["Rels"]["Rel"]).filter(|relation| relation["id"].as_str() == Some(PARTNER_TO)) {
            let target = &relation["Target"];
            let network = target["OrgId"]["extension"].as_str().unwrap_or("");
            let is_network = target["PrimaryRoleId"]["id"].as_str() == Some(NETWORK);
            if let (true, Some(period)) = (is_network, ord_period(&relation["Date"])) {
                self.partnerships.push(Partnership { practice: code.to_owned(), network: network.to_owned(), period });
            }
        }
        let organisation = Organisation {
            name: in_print(one["Name"].as_str().unwrap_or("")),
            active: one["Status"].as_str() == Some("Active"),
            roles: each(&one["Roles"]["Role"])
                .filter(active)
                .filter_map(|r| r["id"].as_str())
                .map(str::to_owned)
                .collect(),
            last: ord_period(&one["Date"]).and_then(|period| period.to),
            successor: successor.and_then(|code| OdsCode::parse(code).ok()),
        };
        self.organisations.insert(code.to_owned(), organisation);
    }

    fn snapshot(self, file: &str, day: Date) -> Result<Snapshot, Vec<Fault>> {
        let mut faults = Faults::of(file);
        let mut snapshot = Snapshot { form: "ODS organisations", as_of: day, ..Snapshot::default() };
        let has = |one: &Organisation, role: &str| one.roles.iter().any(|held| held == role);
        for (code, one) in self.organisations.iter().filter(|(_, one)| has(one, NETWORK)) {
            snapshot.networks.insert(code.clone(), one.name.clone());
        }
        for (code, one) in &self.organisations {
            let Some(practice) = faults.practice(1, code) else { continue };
            let is_open = one.active && one.last.is_none_or(|last| last >= day);
            if is_open && has(one, PRESCRIBING_COST_CENTRE) && has(one, GP_PRACTICE) {
                let fact = self.fact(&mut faults, code, &one.name, day);
                snapshot.practices.insert(practice, fact);
            } else if !is_open {
                snapshot.closed.insert(practice, Closed { last: one.last, successor: one.successor.clone() });
            }
        }
        // A partnership whose practice was not sent with it: its name is not known.
        for partner in &self.partnerships {
            if !self.organisations.contains_key(&partner.practice)
                && let Some(practice) = faults.practice(1, &partner.practice)
            {
                let fact = self.fact(&mut faults, &partner.practice, &partner.practice, day);
                snapshot.practices.entry(practice).or_insert(fact);
            }
        }
        let codes: Vec<String> = snapshot.practices.values().filter_map(|fact| fact.pcn.clone()).collect();
        for code in codes {
            snapshot.networks.entry(code.clone()).or_insert(code);
        }
        if snapshot.practices.is_empty() && snapshot.closed.is_empty() {
            faults
                .add(1, format!("has no practice ({PRESCRIBING_COST_CENTRE} with {GP_PRACTICE}) and no {PARTNER_TO}"));
        }
        faults.or(snapshot)
    }

    fn fact(&self, faults: &mut Faults<'_>, code: &str, name: &str, day: Date) -> Fact {
        let all = self.partnerships.iter().filter(|partner| partner.practice == code && partner.period.holds(day));
        let mut now: Vec<&Partnership> = all.collect();
        now.sort_by(|a, b| (&a.network, a.period.from).cmp(&(&b.network, b.period.from)));
        now.dedup_by(|a, b| a.network == b.network);
        if let [first, second, ..] = now.as_slice() {
            faults.add(1, format!("{code} is partner to {} and to {} on {day}", first.network, second.network));
        }
        let partner = now.first();
        Fact {
            name: name.to_owned(),
            pcn: partner.map(|partner| partner.network.clone()),
            since: partner.map(|partner| partner.period.from),
            commissioner: String::new(),
        }
    }
}

fn ods_code(identifier: &Value) -> Option<String> {
    let ours = identifier["system"].as_str().is_some_and(|system| system.eq_ignore_ascii_case(ODS));
    ours.then(|| identifier["value"].as_str()).flatten().map(str::to_owned)
}

fn ends_with(extension: &Value, name: &str) -> bool {
    extension["url"].as_str().is_some_and(|url| url.ends_with(name))
}

fn inner<'a>(extension: &'a Value, url: &str) -> Option<&'a Value> {
    each(&extension["extension"]).find(|one| one["url"].as_str() == Some(url))
}

/// The Operational typed period, or `period`.
fn period_of(resource: &Value) -> Option<Period> {
    let typed = each(&resource["extension"]).filter(|one| ends_with(one, "TypedPeriod"));
    let operational = typed.filter(|one| {
        inner(one, "dateType").is_some_and(|kind| kind["valueCoding"]["code"].as_str() == Some("Operational"))
    });
    let typed = operational.filter_map(|one| read_period(&inner(one, "period")?["valuePeriod"], "start", "end")).next();
    typed.or_else(|| read_period(&resource["period"], "start", "end"))
}

fn ord_period(dates: &Value) -> Option<Period> {
    let of = |kind: &str| each(dates).find(|one| one["Type"].as_str() == Some(kind));
    read_period(of("Operational").or_else(|| of("Legal"))?, "Start", "End")
}

fn read_period(value: &Value, start: &str, end: &str) -> Option<Period> {
    let day = |name: &str| value[name].as_str().and_then(super::dates::day);
    Some(Period { from: day(start)?, to: day(end) })
}
