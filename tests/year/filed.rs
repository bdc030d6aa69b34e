//! What the practices' records should hold when the year is over, counted from the stories and the
//! plan alone, by its own rules, without one line of the gateway.

use std::collections::BTreeMap;

use super::plan;
use super::story::{Act, Measured, Story};

/// One practice's entries.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Entries {
    pub recorded: u64,
    pub filed: u64,
    /// Of those filed.
    pub without_code: u64,
    pub in_flight: u64,
    pub needs_person: u64,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Filed {
    pub practices: BTreeMap<String, Entries>,
    /// Episodes that are over and wholly in the record.
    pub closed: u64,
    /// Referrals that came to no episode, of which the record says so.
    pub returned: u64,
    /// Over, but something of them is not in the record.
    pub waits: u64,
}

enum Fate {
    Filed,
    WithoutCode,
    InFlight,
    NeedsPerson,
}

pub fn count(stories: &[Story]) -> Filed {
    let mut filed = Filed::default();
    stories.iter().for_each(|story| one(story, &mut filed));
    filed
}

fn one(story: &Story, filed: &mut Filed) {
    let (mut lacking, mut end) = (0, None);
    for (day, act) in story.happens() {
        for entry in entries(act) {
            let sum = filed.practices.entry(story.practice.to_owned()).or_default();
            sum.recorded += 1;
            match fate(story, *day, entry) {
                Fate::Filed => sum.filed += 1,
                Fate::WithoutCode => (sum.filed, sum.without_code) = (sum.filed + 1, sum.without_code + 1),
                Fate::InFlight => (sum.in_flight, lacking) = (sum.in_flight + 1, lacking + 1),
                Fate::NeedsPerson => (sum.needs_person, lacking) = (sum.needs_person + 1, lacking + 1),
            }
        }
        match act {
            Act::Close(..) | Act::Decline | Act::Return => end = Some(act),
            _ => {}
        }
    }
    match end {
        None => {}
        Some(_) if lacking > 0 => filed.waits += 1,
        Some(Act::Close(..)) => filed.closed += 1,
        Some(_) => filed.returned += 1,
    }
}

/// The entries that an act makes for the record.
fn entries(act: &Act) -> Vec<&'static str> {
    match act {
        Act::Accept => vec!["accepted"],
        Act::Decline => vec!["declined"],
        Act::Return => vec!["returned"],
        Act::Close(..) => vec!["episode-closed"],
        Act::Signpost(_) => vec!["signposted"],
        Act::Onward(_) => vec!["referred-onward"],
        // Of attempts only one that the person missed; tries to reach them would bury the record.
        Act::Attempt("281399006") => vec!["missed"],
        // Above 24 the ninth item is above 0, and the practice is told.
        Act::Measure(Measured::Phq9(total, _)) if *total > 24 => vec!["score", "attention"],
        Act::Measure(measured) => vec!["score"; scores(measured)],
        Act::Refer
        | Act::ReferDamaged
        | Act::Resend
        | Act::ReferAgain(_)
        | Act::Withdraw
        | Act::Attempt(_)
        | Act::Meet(_) => Vec::new(),
    }
}

fn scores(measured: &Measured) -> usize {
    match measured {
        // The raw total, and the metric score made from it.
        Measured::Swemwbs(_) | Measured::SwemwbsItems(_) => 2,
        // ONS4 is never added up: one entry, with its four answers in it.
        Measured::Ons4(_) | Measured::Phq9(..) | Measured::EqVas(_) => 1,
        // No total where an answer is missing, and so no entry.
        Measured::Ucla(answers) => usize::from(answers.len() == 3),
        Measured::NotSuitable => 0,
    }
}

fn fate(story: &Story, day: u32, entry: &str) -> Fate {
    match story.practice {
        plan::ROUTELESS => Fate::NeedsPerson,
        plan::STRANGERS if plan::is_stranger(story.person.n) => Fate::NeedsPerson,
        plan::SWITCHED if plan::OFF.contains(&day) && day >= plan::RESENT_BEFORE => Fate::NeedsPerson,
        plan::ENDS_DOWN if day >= plan::DOWN_FROM => Fate::InFlight,
        plan::GAP if plan::LACKS.contains(&entry) => Fate::WithoutCode,
        _ => Fate::Filed,
    }
}
