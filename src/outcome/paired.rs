//! Change between a person's first and last score: the same person, instrument and version, inside
//! one episode. Pure.
//!
//! Averages of different people are never taken from each other: who has one score only is counted
//! as lost to follow-up, or as not yet followed up while the episode is open. A raw total that has
//! a converted score is not reckoned: raw differences of it do not compare.

use std::collections::BTreeMap;

use serde::Serialize;

use super::interval;
use super::measure::{Better, Measures, Number, Part, Scale};

/// One score of one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Score {
    /// The scale, by its id in the table of measures.
    pub scale: String,
    /// The version of the instrument; empty where none was said.
    pub version: String,
    /// The episode, which is one person's.
    pub episode: String,
    /// True once the episode is over.
    pub ended: bool,
    /// When it was answered, as a text that sorts; scores at the same instant go by `order`.
    pub at: String,
    /// The order in which scores came in.
    pub order: u64,
    /// The number.
    pub number: Number,
}

/// What became of the scores of one scale and version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The scale.
    pub scale: String,
    /// The version; empty where none was said.
    pub version: String,
    /// People with a first and a later score.
    pub paired: u64,
    /// People with one score only, whose episode is over.
    pub lost: u64,
    /// People with one score only, whose episode is open.
    pub waiting: u64,
    /// Mean of last minus first, two decimal places; `None` without pairs.
    pub mean: Option<String>,
    /// The ends of the mean's 95 % interval, two decimal places; `None` for fewer than two pairs.
    pub interval: Option<[String; 2]>,
    /// `higher`, `lower` or `unstated`: which way is better.
    pub better: &'static str,
    /// People whose score got better (rose, where the direction is not confirmed).
    pub improved: u64,
    /// People whose score stayed the same.
    pub same: u64,
    /// People whose score got worse (fell, where the direction is not confirmed).
    pub worse: u64,
}

/// The change of every scale and version that has scores, in order.
pub fn changes(measures: &Measures, scores: &[Score]) -> Vec<Change> {
    let mut groups: BTreeMap<(usize, &str), BTreeMap<&str, Vec<&Score>>> = BTreeMap::new();
    for score in scores {
        let at = measures.all().iter().position(|scale| scale.id == score.scale);
        let Some(at) = at.filter(|at| compares(measures, &measures.all()[*at])) else { continue };
        groups.entry((at, &score.version)).or_default().entry(&score.episode).or_default().push(score);
    }
    groups.into_iter().map(|((at, version), people)| change(&measures.all()[at], version, people)).collect()
}

/// True for a scale whose differences mean something.
fn compares(measures: &Measures, scale: &Scale) -> bool {
    !matches!(scale.part, Part::Panel | Part::Group) && measures.converted_from(scale).is_none()
}

fn change(scale: &Scale, version: &str, people: BTreeMap<&str, Vec<&Score>>) -> Change {
    let better = match scale.better {
        Better::Higher => "higher",
        Better::Lower => "lower",
        Better::Unstated => "unstated",
    };
    let mut change = Change {
        scale: scale.id.clone(),
        version: version.to_owned(),
        paired: 0,
        lost: 0,
        waiting: 0,
        mean: None,
        interval: None,
        better,
        improved: 0,
        same: 0,
        worse: 0,
    };
    let mut differences = Vec::new();
    for mut scores in people.into_values() {
        scores.sort_by(|a, b| (&a.at, a.order).cmp(&(&b.at, b.order)));
        match scores.as_slice() {
            [] => {}
            [one] if one.ended => change.lost += 1,
            [_] => change.waiting += 1,
            [first, .., last] => differences.push(last.number - first.number),
        }
    }
    for difference in &differences {
        let rose = *difference > Number::ZERO;
        match (*difference == Number::ZERO, rose == (scale.better != Better::Lower)) {
            (true, _) => change.same += 1,
            (false, true) => change.improved += 1,
            (false, false) => change.worse += 1,
        }
    }
    change.paired = differences.len() as u64;
    change.mean = Number::mean(&differences).map(Number::two_places);
    change.interval = interval::of_mean(&differences);
    change
}

#[cfg(test)]
mod tests {
    use super::super::measure::measures;
    use super::*;

    fn score(scale: &str, episode: &str, at: &str, digits: &str) -> Score {
        Score {
            scale: scale.into(),
            version: String::new(),
            episode: episode.into(),
            ended: true,
            at: at.into(),
            order: 0,
            number: Number::parse(digits).unwrap_or(Number::ZERO),
        }
    }

    #[test]
    fn only_the_same_persons_scores_are_compared() {
        let mut open = score("phq9", "d", "2026-01", "3");
        open.ended = false;
        let scores = [
            score("phq9", "a", "2026-03", "9"),
            score("phq9", "a", "2026-01", "15"),
            score("phq9", "a", "2026-02", "27"),
            score("phq9", "b", "2026-01", "5"),
            score("phq9", "b", "2026-02", "7"),
            score("phq9", "c", "2026-01", "20"),
            open,
        ];
        let changes = changes(measures(), &scores);
        assert_eq!(changes.len(), 1);
        let change = &changes[0];
        assert_eq!((change.paired, change.lost, change.waiting), (2, 1, 1));
        assert_eq!((change.improved, change.same, change.worse), (1, 0, 1), "lower is better");
        assert_eq!(change.mean.as_deref(), Some("-2.00"));
        assert_eq!(change.interval, Some(["-52.82".to_owned(), "48.82".to_owned()]));
    }

    #[test]
    fn versions_and_scales_are_not_mixed_and_raw_totals_not_compared() {
        let mut other = score("eq5d5l-index", "a", "2026-02", "0.9");
        other.version = "b".into();
        let scores = [
            score("eq5d5l-index", "a", "2026-01", "0.5"),
            other,
            score("swemwbs", "a", "2026-01", "10"),
            score("swemwbs", "a", "2026-02", "20"),
            score("swemwbs-metric", "a", "2026-01", "12.40"),
            score("swemwbs-metric", "a", "2026-02", "18.59"),
            score("nothing", "a", "2026-01", "1"),
        ];
        let found: Vec<_> = changes(measures(), &scores)
            .into_iter()
            .map(|change| (change.scale, change.version, change.paired, change.lost, change.mean))
            .collect();
        let row = |scale: &str, version: &str, paired, lost, mean: Option<&str>| {
            (scale.to_owned(), version.to_owned(), paired, lost, mean.map(str::to_owned))
        };
        assert_eq!(
            found,
            [
                row("swemwbs-metric", "", 1, 0, Some("6.19")),
                row("eq5d5l-index", "", 0, 1, None),
                row("eq5d5l-index", "b", 0, 1, None),
            ]
        );
    }

    #[test]
    fn without_a_confirmed_direction_up_and_down_are_counted() {
        let scores = [score("reqol10", "a", "1", "10"), score("reqol10", "a", "2", "12")];
        let change = changes(measures(), &scores).remove(0);
        assert_eq!((change.better, change.improved, change.worse), ("unstated", 1, 0));
    }
}
