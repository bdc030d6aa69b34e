//! `routing.toml`: ordered rules, the first that matches decides whose link workers are asked.
//!
//! A rule says when it applies and where it leads, by words and lists only: no expressions. The
//! laws that stand before all rules are `engine`'s; what rules get wrong of each other and of the
//! place is `check`'s.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use super::input::{Day, RouteInput, Sex, Source};
use super::place::{PlaceFiles, Practice};
use crate::config::Fault;
use crate::config::settings::{self, Key, Setting};
use crate::config::shape::Shape;
use crate::fhir::ids::{OdsCode, SnomedCode};

/// The most rules that a place may have: more are no longer readable.
pub const RULES_MAX: usize = 200;
// The index keeps a rule's position in a byte.
const _: () = assert!(RULES_MAX <= 256);

const fn key(path: &'static str, shape: Shape) -> Key {
    Key { path, shape, required: false }
}

/// The keys of `routing.toml`.
pub const RULE_KEYS: &[Key] = &[
    Key { path: "rule[].name", shape: Shape::Name, required: true },
    key("rule[].why", Shape::Name),
    key("rule[].when.practice", Shape::Words),
    key("rule[].when.network", Shape::Words),
    key("rule[].when.cluster", Shape::Words),
    key("rule[].when.district", Shape::Words),
    key("rule[].when.age", Shape::Name),
    key("rule[].when.need", Shape::Words),
    key("rule[].when.language", Shape::Words),
    key("rule[].when.interpreter", Shape::Flag),
    key("rule[].when.worker_sex", Shape::OneOf(&["female", "male"])),
    key("rule[].when.home_visit", Shape::Flag),
    key("rule[].when.accessible", Shape::Flag),
    key("rule[].when.day", Shape::Words),
    key("rule[].when.evening", Shape::Flag),
    key("rule[].when.source", Shape::Words),
    key("rule[].when.safeguarding", Shape::Flag),
    key("rule[].when.specialism", Shape::Words),
    key("rule[].to.pools", Shape::Words),
    key("rule[].to.own", Shape::OneOf(&["network", "cluster", "place"])),
    key("rule[].to.desk", Shape::Name),
];

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name, which a decision keeps.
    pub name: String,
    /// Why it is so, in the place's words; may be empty.
    pub why: String,
    /// When it applies.
    pub when: When,
    /// Where it leads.
    pub to: To,
    /// The line on which it begins.
    pub line: usize,
    /// The line of each of its settings, by the path after the rule, such as `when.age`.
    pub(super) lines: BTreeMap<String, usize>,
}

/// When a rule applies: all that is set must hold. An empty list is not set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct When {
    pub practice: Vec<OdsCode>,
    pub network: Vec<String>,
    pub cluster: Vec<String>,
    pub district: Vec<String>,
    /// First and last year of age.
    pub age: Option<(u8, u8)>,
    /// One of these needs, by SNOMED CT id.
    pub need: Vec<SnomedCode>,
    pub language: Vec<String>,
    pub interpreter: Option<bool>,
    pub worker_sex: Option<Sex>,
    pub home_visit: Option<bool>,
    pub accessible: Option<bool>,
    /// The person can be seen on some of these days only.
    pub day: Vec<Day>,
    pub evening: Option<bool>,
    pub source: Vec<Source>,
    pub safeguarding: Option<bool>,
    /// One of these specialisms.
    pub specialism: Vec<String>,
}

/// Where a rule leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// These pools, by id.
    Pools(Vec<String>),
    /// The pools that serve the practice's network, its cluster, or the place.
    Own(Own),
    /// A desk, by its key.
    Desk(String),
}

/// Whose pools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Own {
    Network,
    Cluster,
    Place,
}

impl When {
    /// True when nothing is asked.
    pub fn is_always(&self) -> bool {
        *self == Self::default()
    }

    /// True when it holds for a person of a practice.
    pub fn holds(&self, input: &RouteInput, practice: &Practice) -> bool {
        self.holds_for_practice(practice) && self.holds_for_person(input)
    }

    /// True when what it asks of the person and the referral holds.
    pub fn holds_for_person(&self, input: &RouteInput) -> bool {
        let flag = |wanted: Option<bool>, is: bool| wanted.is_none_or(|wanted| wanted == is);
        flag(self.interpreter, input.interpreter)
            && flag(self.home_visit, input.home_visit)
            && flag(self.accessible, input.accessible)
            && flag(self.evening, input.evening)
            && flag(self.safeguarding, input.safeguarding)
            && self.worker_sex.is_none_or(|sex| input.worker_sex == Some(sex))
            && self.age.is_none_or(|(from, to)| input.age.is_some_and(|age| (from..=to).contains(&age)))
            && one_of(&self.source, Some(&input.source))
            && one_of_text(&self.district, input.district.as_deref())
            && one_of_text(&self.language, input.language.as_deref().map(primary))
            && (self.need.is_empty()
                || self.need.iter().any(|need| input.needs.iter().any(|code| code == need.as_str())))
            && (self.specialism.is_empty() || self.specialism.iter().any(|word| input.specialisms.contains(word)))
            && (self.day.is_empty() || (!input.days.is_empty() && input.days.iter().all(|day| self.day.contains(day))))
    }

    /// True when what it asks of the practice holds.
    pub fn holds_for_practice(&self, practice: &Practice) -> bool {
        one_of(&self.practice, Some(&practice.ods))
            && one_of_text(&self.network, practice.pcn.as_deref())
            && one_of_text(&self.cluster, practice.cluster.as_deref())
    }
}

/// The part of a language code before a region: `ur` of `ur-PK`.
pub(super) fn primary(code: &str) -> &str {
    code.split('-').next().unwrap_or(code)
}

fn one_of<T: PartialEq>(list: &[T], is: Option<&T>) -> bool {
    list.is_empty() || is.is_some_and(|is| list.contains(is))
}

fn one_of_text(list: &[String], is: Option<&str>) -> bool {
    list.is_empty() || is.is_some_and(|is| list.iter().any(|word| word.eq_ignore_ascii_case(is)))
}

/// Reads `routing.toml`.
pub(super) fn read(files: &PlaceFiles, faults: &mut Vec<Fault>) -> Vec<Rule> {
    let path = files.path("routing.toml");
    let Some(text) = files.text("routing.toml") else { return Vec::new() };
    let read = match settings::read(&path, text) {
        Ok(read) => read,
        Err(fault) => {
            faults.push(fault);
            return Vec::new();
        }
    };
    let good = settings::check(read, RULE_KEYS, faults);
    let heads = good.iter().filter(|setting| setting.path.ends_with(']'));
    let mut rules = Vec::new();
    for (count, head) in heads.enumerate() {
        if count >= RULES_MAX {
            faults.push(head.at.fault(format!("more than {RULES_MAX} rules")));
            break;
        }
        let start = format!("{}.", head.path);
        let own: Vec<(&str, &Setting)> =
            good.iter().filter_map(|setting| Some((setting.path.strip_prefix(&start)?, setting))).collect();
        rules.extend(rule(head, &own, faults));
    }
    rules
}

fn rule(head: &Setting, own: &[(&str, &Setting)], faults: &mut Vec<Fault>) -> Option<Rule> {
    let mut reader = Reader { own, faults };
    let when = reader.when();
    let to = reader.to(head);
    let text = |key: &str| own.iter().find(|(name, _)| *name == key).and_then(|(_, setting)| setting.value.as_str());
    let lines = own.iter().map(|(name, setting)| ((*name).to_owned(), setting.at.line)).collect();
    let (name, why) = (text("name").unwrap_or("").to_owned(), text("why").unwrap_or("").to_owned());
    Some(Rule { name, why, when, to: to?, line: head.at.line, lines })
}

/// Reads one rule's settings and gathers what is wrong with them.
struct Reader<'a> {
    own: &'a [(&'a str, &'a Setting)],
    faults: &'a mut Vec<Fault>,
}

impl Reader<'_> {
    fn when(&mut self) -> When {
        When {
            practice: self.list("when.practice", |word| OdsCode::parse(word).map_err(|_| "is not an ODS code".into())),
            network: self.list("when.network", text),
            cluster: self.list("when.cluster", text),
            district: self.list("when.district", district),
            age: self.one("when.age", age),
            need: self.list("when.need", |word| SnomedCode::parse(word).map_err(|why| why.to_string())),
            language: self.list("when.language", language),
            interpreter: self.flag("when.interpreter"),
            worker_sex: self.one("when.worker_sex", code),
            home_visit: self.flag("when.home_visit"),
            accessible: self.flag("when.accessible"),
            day: self.list("when.day", |word| {
                Day::parse(word).ok_or_else(|| "is not one of mon, tue, wed, thu, fri, sat, sun".into())
            }),
            evening: self.flag("when.evening"),
            source: self.list("when.source", code),
            safeguarding: self.flag("when.safeguarding"),
            specialism: self.list("when.specialism", text),
        }
    }

    fn to(&mut self, head: &Setting) -> Option<To> {
        let pools = self.list("to.pools", text);
        let own = self.one("to.own", |word| match word {
            "cluster" => Ok(Own::Cluster),
            "place" => Ok(Own::Place),
            _ => Ok(Own::Network),
        });
        let desk = self.one("to.desk", text);
        let pools = Some(pools).filter(|pools| !pools.is_empty());
        match (pools, own, desk) {
            (Some(pools), None, None) => Some(To::Pools(pools)),
            (None, Some(own), None) => Some(To::Own(own)),
            (None, None, Some(desk)) => Some(To::Desk(desk)),
            _ => {
                let text = format!("{}: needs exactly one of to.pools, to.own and to.desk", head.path);
                self.faults.push(head.at.fault(text));
                None
            }
        }
    }

    fn setting(&self, key: &str) -> Option<&Setting> {
        self.own.iter().find(|(name, _)| *name == key).map(|(_, setting)| *setting)
    }

    fn flag(&self, key: &str) -> Option<bool> {
        self.setting(key)?.value.as_bool()
    }

    fn one<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        self.list(key, parse).into_iter().next()
    }

    fn list<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        let Some(setting) = self.setting(key).cloned() else { return Vec::new() };
        let words: Vec<&str> = match &setting.value {
            toml::Value::Array(list) => list.iter().filter_map(toml::Value::as_str).collect(),
            value => value.as_str().into_iter().collect(),
        };
        let mut out = Vec::new();
        for word in words {
            match parse(word.trim()) {
                Ok(good) => out.push(good),
                Err(why) => self.faults.push(setting.at.fault(format!("{}: '{word}' {why}", setting.path))),
            }
        }
        out
    }
}

// The shape of a parser of words, which may fail.
#[allow(clippy::unnecessary_wraps)]
fn text(word: &str) -> Result<String, String> {
    Ok(word.to_owned())
}

/// A word that serde knows: a source or a sex.
fn code<T: DeserializeOwned>(word: &str) -> Result<T, String> {
    toml::Value::String(word.to_owned()).try_into().map_err(|why: toml::de::Error| {
        let expected = why.message().split_once("expected ").map_or(String::new(), |(_, words)| format!(": {words}"));
        format!("is not known{expected}")
    })
}

fn district(word: &str) -> Result<String, String> {
    let fits = (2..=4).contains(&word.len())
        && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        && word.starts_with(|c: char| c.is_ascii_uppercase());
    if fits { Ok(word.to_owned()) } else { Err("is not the outward part of a postcode such as PE37".into()) }
}

pub(super) fn language(word: &str) -> Result<String, String> {
    let fits = (2..=3).contains(&word.len())
        && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && word.starts_with(|c: char| c.is_ascii_lowercase());
    if fits { Ok(word.to_owned()) } else { Err("is not a language code such as ur".into()) }
}

/// `18-64`, `65+`.
fn age(text: &str) -> Result<(u8, u8), String> {
    let wrong = || "is not an age band such as 18-64 or 65+".to_owned();
    let number = |text: &str| text.trim().parse::<u8>().map_err(|_| wrong());
    let (from, to) = match text.strip_suffix('+') {
        Some(from) => (number(from)?, u8::MAX),
        None => {
            let (from, to) = text.split_once('-').ok_or_else(wrong)?;
            (number(from)?, number(to)?)
        }
    };
    if from <= to { Ok((from, to)) } else { Err("goes back: the first age is the lower".into()) }
}
