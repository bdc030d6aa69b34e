//! Wellbeing measures as data: `mappings/outcome/measures.csv`, compiled in and checked. Scores and
//! item values only; no licensed wording.
//!
//! One [`Scale`] is one line: a total, a panel, an item, or a score converted from a total. What
//! the reference does not confirm (its grade D) is not in the table: such a number is kept as its
//! sender states it and is not judged. SWEMWBS' conversion is Stewart-Brown et al. 2009,
//! <https://doi.org/10.1186/1477-7525-7-15>; ONS4 is reported without a total,
//! <https://analysisfunction.civilservice.gov.uk/policy-store/personal-well-being/>.

pub mod number;
mod table;
pub mod taken;

use std::sync::LazyLock;

use crate::config::Fault;
pub use number::Number;
pub use table::parse;

/// The system of measures, and of their items, that have no confirmed national code.
pub const LOCAL: &str = "https://fingerpost.dev/CodeSystem/measure";

/// The files, as faults name them, with their texts.
const FILE: (&str, &str) = ("mappings/outcome/measures.csv", include_str!("../../mappings/outcome/measures.csv"));
const CONVERSIONS: [(&str, &str, &str); 1] = [(
    "swemwbs-metric",
    "mappings/outcome/swemwbs-metric.csv",
    include_str!("../../mappings/outcome/swemwbs-metric.csv"),
)];

/// What a line of the table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A total that the gateway sums from the items, or that comes by itself.
    Sum,
    /// A number that only its sender can state.
    Stated,
    /// Items in one Observation, without a total.
    Panel,
    /// Items that are an Observation each.
    Group,
    /// One item of a panel or group.
    Item,
    /// Made from a total by a published table.
    Converted,
}

/// What follows when an answer is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The response is refused.
    Refuse,
    /// The answers are kept and there is no total.
    NoTotal,
    /// Each answer stands by itself.
    Apart,
}

/// Which way a score gets better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Up.
    Higher,
    /// Down.
    Lower,
    /// Not confirmed by the reference: change is counted as rose, same, fell.
    Unstated,
}

/// The items of a total or panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Items {
    /// How many.
    pub count: usize,
    /// What each may be, both ends included, where that is confirmed.
    pub range: Option<(Number, Number)>,
}

/// One line: one thing that has a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scale {
    /// Its name in the house; the local code where there is no national one.
    pub id: String,
    /// The instrument that it belongs to.
    pub measure: String,
    /// What it is.
    pub part: Part,
    /// The code's term.
    pub display: String,
    /// The code that is given out.
    pub code: String,
    /// Its system.
    pub system: String,
    /// Codes that are taken as well, `(system, code)`, and never given out.
    pub also: Vec<(String, String)>,
    /// What it may be, both ends included; `None`: not confirmed, so not checked.
    pub range: Option<(Number, Number)>,
    /// True where only whole numbers are scores.
    pub is_whole: bool,
    /// Its items.
    pub items: Option<Items>,
    /// What follows when one is missing.
    pub missing: Missing,
    /// Which way it gets better.
    pub better: Better,
    /// True where the version of the scoring (or the value set) must be named.
    pub needs_version: bool,
    /// Words by which a questionnaire's canonical or an item's link id names it.
    pub link: Vec<String>,
}

/// The whole table.
#[derive(Debug, Default)]
pub struct Measures {
    scales: Vec<Scale>,
    /// `(id of the converted scale, raw, converted digits)`.
    conversions: Vec<(String, Number, String)>,
}

static MEASURES: LazyLock<Measures> = LazyLock::new(|| table::parse(FILE.0, FILE.1, &CONVERSIONS).unwrap_or_default());

/// The compiled-in table.
pub fn measures() -> &'static Measures {
    &MEASURES
}

/// Every fault of the compiled-in table; `fingerpost check` lists them.
pub fn check() -> Vec<Fault> {
    table::parse(FILE.0, FILE.1, &CONVERSIONS).err().unwrap_or_default()
}

impl Measures {
    /// Every line, in the table's order.
    pub fn all(&self) -> &[Scale] {
        &self.scales
    }

    /// A line by its id.
    pub fn scale(&self, id: &str) -> Option<&Scale> {
        self.scales.iter().find(|scale| scale.id == id)
    }

    /// The line that a code names, whether it is given out or only taken.
    pub fn coded(&self, system: &str, code: &str) -> Option<&Scale> {
        let taken = |scale: &&Scale| scale.also.iter().any(|(known, also)| known == system && also == code);
        let own = self.scales.iter().find(|scale| scale.system == system && scale.code == code);
        own.or_else(|| self.scales.iter().find(taken))
    }

    /// The items of a panel or group, in order.
    pub fn items<'a>(&'a self, head: &'a Scale) -> impl Iterator<Item = &'a Scale> {
        let own = move |scale: &&Scale| scale.part == Part::Item && scale.measure == head.id;
        self.scales.iter().filter(own)
    }

    /// The scale that is converted from this total.
    pub fn converted_from(&self, total: &Scale) -> Option<&Scale> {
        self.scales.iter().find(|scale| scale.part == Part::Converted && scale.measure == total.id)
    }

    /// The converted score of a raw total: its digits as published.
    pub fn convert(&self, converted: &Scale, raw: Number) -> Option<&str> {
        let found = self.conversions.iter().find(|(id, from, _)| *id == converted.id && *from == raw);
        found.map(|(_, _, digits)| digits.as_str())
    }

    /// The raw total that a number is the converted score of: proof that it is not raw.
    pub fn unconvert(&self, converted: &Scale, score: Number) -> Option<Number> {
        let own =
            |(id, _, digits): &&(String, Number, String)| *id == converted.id && Number::parse(digits) == Some(score);
        self.conversions.iter().find(own).map(|(_, raw, _)| *raw)
    }

    /// The total or panel that a questionnaire's canonical names by the last part of its path, such
    /// as `.../Questionnaire/ons4|1`. `None` where it names none, or two.
    pub fn questionnaire(&self, canonical: &str) -> Option<&Scale> {
        let path = canonical.split('|').next().unwrap_or("").trim_end_matches('/');
        let named = plain(path.rsplit('/').next().unwrap_or(""));
        let heads = self.scales.iter().filter(|scale| !matches!(scale.part, Part::Item | Part::Converted));
        let words = heads.flat_map(|scale| scale.link.iter().map(move |word| (scale, word.as_str())));
        let found: Vec<(&Scale, &str)> = words.filter(|(_, word)| named.contains(word)).collect();
        let (scale, longest) = found.iter().max_by_key(|(_, word)| word.len())?;
        // `swemwbs` has `wemwbs` in it; `phq9-gad7` names two.
        found.iter().all(|(other, word)| other.id == scale.id || longest.contains(word)).then_some(*scale)
    }

    /// The item of a panel or group that a link id names; `None` where it names none, or two.
    pub fn item_named<'a>(&'a self, head: &'a Scale, link: &str) -> Option<&'a Scale> {
        let link = plain(link);
        let mut found = self.items(head).filter(|item| item.link.iter().any(|word| link.contains(word.as_str())));
        found.next().filter(|_| found.next().is_none())
    }
}

impl Scale {
    /// The code as `fhir::observation` takes it.
    pub fn coding(&self) -> (&str, &str, &str) {
        (&self.system, &self.code, &self.display)
    }

    /// What it may be, in words for a sender.
    pub fn wanted(&self) -> String {
        wanted(&self.display, self.is_whole, self.range)
    }
}

/// What a number may be, in words.
fn wanted(what: &str, is_whole: bool, range: Option<(Number, Number)>) -> String {
    let kind = if is_whole { "a whole number" } else { "a number" };
    match range {
        Some((low, high)) => format!("{what} is {kind} from {low} to {high}"),
        None => format!("{what} is {kind}"),
    }
}

impl Items {
    /// What an item may be, in words for a sender.
    pub fn wanted(&self, of: &Scale) -> String {
        wanted(&format!("an item of {}", of.display), true, self.range)
    }
}

/// Lower case, letters and digits only.
fn plain(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn metric_scores_are_the_published_ones() {
        let measures = measures();
        let metric = measures.scale("swemwbs-metric").unwrap();
        let convert = |raw| measures.convert(metric, Number::whole(raw)?);
        for (raw, score) in [(7, "7.00"), (10, "12.40"), (14, "15.32"), (21, "19.25"), (29, "26.02"), (35, "35.00")] {
            assert_eq!(convert(raw), Some(score));
            assert_eq!(measures.unconvert(metric, Number::parse(score).unwrap()), Number::whole(raw));
        }
        assert_eq!((convert(6), convert(36)), (None, None));
    }

    #[test]
    fn a_questionnaire_names_one_measure() {
        let named = |canonical: &str| measures().questionnaire(canonical).map(|scale| scale.id.as_str());
        assert_eq!(named("https://fingerpost.dev/Questionnaire/ons4"), Some("ons4"));
        assert_eq!(named("https://a.example/Questionnaire/SWEMWBS-7|2"), Some("swemwbs"));
        assert_eq!(named("https://a.example/Questionnaire/WEMWBS/"), Some("wemwbs"));
        assert_eq!(named("https://a.example/Questionnaire/EQ-5D-5L"), Some("eq5d5l"));
        assert_eq!(named("https://swemwbs.example/Questionnaire/x"), None);
        assert_eq!(named("https://a.example/Questionnaire/phq-9-gad-7"), None);
        assert_eq!(named("https://a.example/Questionnaire/ucla-3-loneliness"), Some("ucla3"));
        assert_eq!(named(""), None);
    }

    #[test]
    fn a_code_names_one_line() {
        let coded = |system, code| measures().coded(system, code).map(|scale| scale.id.as_str());
        assert_eq!(coded(crate::fhir::ids::SNOMED, "960481000000107"), Some("swemwbs"));
        assert_eq!(coded("http://loinc.org", "100946-3"), Some("ons-loneliness"));
        assert_eq!(coded(LOCAL, "718466001"), None);
        assert_eq!(coded(LOCAL, "mycaw-wellbeing"), Some("mycaw-wellbeing"));
    }
}
