//! What a person with pencil and paper would count: from the stories alone, by its own rules,
//! without one line of the gateway.

use std::collections::BTreeMap;

use super::story::{Act, Measured, Story};

/// SWEMWBS' published conversion, copied here by hand: in hundredths, from a raw total of 7.
const METRIC: [i64; 29] = [
    700, 951, 1125, 1240, 1333, 1408, 1475, 1532, 1584, 1636, 1688, 1743, 1798, 1859, 1925, 1998, 2073, 2154, 2235,
    2321, 2411, 2503, 2602, 2703, 2813, 2931, 3070, 3255, 3500,
];

/// `(scale, version)`.
type Instrument = (&'static str, &'static str);

/// One instrument's figures: paired, lost, waiting, mean, improved, same, worse.
pub type Paired = (u64, u64, u64, Option<String>, u64, u64, u64);

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Truth {
    pub referred: u64,
    pub standing: BTreeMap<String, u64>,
    pub reasons: BTreeMap<String, u64>,
    pub contacts: u64,
    pub missed: u64,
    pub met: u64,
    pub modes: BTreeMap<String, u64>,
    pub referred_on: u64,
    pub signposted: u64,
    pub support: BTreeMap<String, u64>,
    pub closures: BTreeMap<String, u64>,
    pub dropped_out: u64,
    pub unmet: u64,
    pub lacking: BTreeMap<String, u64>,
    /// Group: referred, accepted, declined, dropped out, unmet.
    pub ages: BTreeMap<String, [u64; 5]>,
    pub sexes: BTreeMap<String, [u64; 5]>,
    pub ethnicities: BTreeMap<String, [u64; 5]>,
    pub change: BTreeMap<(String, String), Paired>,
    pub absent: BTreeMap<String, u64>,
}

/// Counts the year; `first_day` is year, month, day of day 0.
pub fn count(stories: &[Story], date_of: &dyn Fn(u32) -> (i16, u32, u32)) -> Truth {
    let mut truth = Truth::default();
    let mut scores: BTreeMap<Instrument, Vec<(bool, Vec<i64>)>> = BTreeMap::new();
    for story in stories {
        one(story, date_of, &mut truth, &mut scores);
    }
    for ((scale, version), people) in scores {
        truth.change.insert((scale.to_owned(), version.to_owned()), paired(scale, &people));
    }
    truth
}

fn add(map: &mut BTreeMap<String, u64>, key: &str) {
    *map.entry(key.to_owned()).or_default() += 1;
}

fn one(
    story: &Story,
    date_of: &dyn Fn(u32) -> (i16, u32, u32),
    truth: &mut Truth,
    scores: &mut BTreeMap<Instrument, Vec<(bool, Vec<i64>)>>,
) {
    let mut standing = "waiting";
    let (mut met, mut on, mut signposts) = (0, 0, 0);
    let (mut dropped, mut unmet) = (0, 0);
    let mut own: BTreeMap<Instrument, Vec<i64>> = BTreeMap::new();
    let mut received = None;
    for (day, act) in story.happens() {
        match act {
            Act::Refer | Act::ReferDamaged => {
                received = Some(*day);
                if matches!(act, Act::ReferDamaged) {
                    standing = "held";
                } else {
                    story.reasons.iter().for_each(|reason| add(&mut truth.reasons, reason));
                }
            }
            Act::Resend => {}
            Act::ReferAgain(_) => {
                truth.referred += 1;
                add(&mut truth.standing, "linked to an open episode");
                story.reasons.iter().for_each(|reason| add(&mut truth.reasons, reason));
                group(story, date_of(*day), truth, [1, 0, 0, 0, 0], false);
            }
            Act::Withdraw => standing = "withdrawn",
            Act::Attempt(_) => truth.missed += 1,
            Act::Accept => standing = "open",
            Act::Meet(class) => {
                met += 1;
                add(&mut truth.modes, class);
            }
            Act::Measure(measured) => taken(measured, &mut own, &mut truth.absent),
            Act::Signpost(to) => {
                signposts += 1;
                add(&mut truth.support, to);
            }
            Act::Onward(to) => {
                on += 1;
                add(&mut truth.support, to);
            }
            Act::Decline => standing = "declined",
            Act::Return => standing = "returned",
            Act::Close(reason, lacking) => {
                standing = "closed";
                add(&mut truth.closures, reason);
                lacking.iter().for_each(|need| add(&mut truth.lacking, need));
                dropped = u64::from(*reason == "did-not-engage");
                unmet = u64::from(!lacking.is_empty());
            }
        }
    }
    let Some(received) = received else { return };
    truth.referred += 1;
    add(&mut truth.standing, standing);
    truth.contacts += met;
    truth.met += u64::from(met > 0);
    truth.referred_on += u64::from(on > 0);
    truth.signposted += u64::from(signposts > 0);
    truth.dropped_out += dropped;
    truth.unmet += unmet;
    let accepted = u64::from(standing == "open" || standing == "closed");
    let figures = [1, accepted, u64::from(standing == "declined"), dropped, unmet];
    group(story, date_of(received), truth, figures, standing == "held");
    for (instrument, values) in own {
        scores.entry(instrument).or_default().push((standing != "open", values));
    }
}

/// The person's groups. Of a held referral nothing is known to the service yet.
fn group(story: &Story, on: (i16, u32, u32), truth: &mut Truth, figures: [u64; 5], held: bool) {
    let person = &story.person;
    let (age, sex, ethnicity) = if held {
        ("not sent", "not sent", "not sent")
    } else if person.restricted {
        ("withheld", "withheld", "withheld")
    } else {
        (band(person.birth, on), person.sex.unwrap_or("not sent"), ethnicity(person.ethnicity))
    };
    for (map, key) in [(&mut truth.ages, age), (&mut truth.sexes, sex), (&mut truth.ethnicities, ethnicity)] {
        let row = map.entry(key.to_owned()).or_default();
        row.iter_mut().zip(figures).for_each(|(sum, more)| *sum += more);
    }
}

fn band(birth: (i16, u32, u32), on: (i16, u32, u32)) -> &'static str {
    let of = |years: i16| match years {
        ..=17 => "under 18",
        18..=24 => "18 to 24",
        25..=34 => "25 to 34",
        35..=44 => "35 to 44",
        45..=54 => "45 to 54",
        55..=64 => "55 to 64",
        65..=74 => "65 to 74",
        75..=84 => "75 to 84",
        _ => "85 and over",
    };
    let years = on.0 - birth.0;
    if birth.1 > 0 {
        return of(if (on.1, on.2) < (birth.1, birth.2) { years - 1 } else { years });
    }
    // Born on the first of January they have had their birthday; on the last of December not yet.
    let last = if (on.1, on.2) < (12, 31) { years - 1 } else { years };
    if of(years) == of(last) { of(years) } else { "not known" }
}

fn ethnicity(code: Option<&str>) -> &'static str {
    match code {
        None => "not sent",
        Some("A") => "A British",
        Some("B") => "B Irish",
        Some("C") => "C any other White",
        Some("H") => "H Indian",
        Some("J") => "J Pakistani",
        Some("R") => "R Chinese",
        Some("Z") => "Z not stated",
        Some("99") => "99 not known",
        Some(other) => panic!("{other}"),
    }
}

/// Values in hundredths.
fn taken(measured: &Measured, own: &mut BTreeMap<Instrument, Vec<i64>>, absent: &mut BTreeMap<String, u64>) {
    let mut keep = |scale, version, value: i64| own.entry((scale, version)).or_default().push(value);
    let metric = |raw: u32| METRIC[raw as usize - 7];
    match measured {
        Measured::Swemwbs(raw) => keep("swemwbs-metric", "", metric(*raw)),
        Measured::SwemwbsItems(items) => keep("swemwbs-metric", "", metric(items.iter().sum())),
        Measured::Ons4([satisfaction, worthwhile, happiness, anxiety]) => {
            keep("ons4-satisfaction", "", i64::from(*satisfaction) * 100);
            keep("ons4-worthwhile", "", i64::from(*worthwhile) * 100);
            keep("ons4-happiness", "", i64::from(*happiness) * 100);
            keep("ons4-anxiety", "", i64::from(*anxiety) * 100);
        }
        Measured::Phq9(total, version) => keep("phq9", version, i64::from(*total) * 100),
        Measured::EqVas(value) => keep("eq-vas", "", i64::from(*value) * 100),
        Measured::Ucla(answers) if answers.len() == 3 => {
            keep("ucla3", "", i64::from(answers.iter().sum::<u32>()) * 100);
        }
        Measured::Ucla(_) => add(absent, "ucla3: incomplete"),
        Measured::NotSuitable => add(absent, "swemwbs: not-suitable"),
    }
}

fn paired(scale: &str, people: &[(bool, Vec<i64>)]) -> Paired {
    let alone = |ended: bool| people.iter().filter(|(is, values)| values.len() == 1 && *is == ended).count() as u64;
    let changes: Vec<i64> = people
        .iter()
        .filter(|(_, values)| values.len() > 1)
        .map(|(_, values)| values[values.len() - 1] - values[0])
        .collect();
    let lower_is_better = ["ons4-anxiety", "phq9", "ucla3"].contains(&scale);
    let better = |change: &&i64| if lower_is_better { **change < 0 } else { **change > 0 };
    let improved = changes.iter().filter(better).count() as u64;
    let same = changes.iter().filter(|change| **change == 0).count() as u64;
    let n = changes.len() as i64;
    let mean = (n > 0).then(|| {
        let sum: i64 = changes.iter().sum();
        // Half away from zero, in hundredths.
        let hundredths = (2 * sum.abs() + n) / (2 * n);
        let sign = if sum < 0 && hundredths > 0 { "-" } else { "" };
        format!("{sign}{}.{:02}", hundredths / 100, hundredths % 100)
    });
    (changes.len() as u64, alone(true), alone(false), mean, improved, same, changes.len() as u64 - improved - same)
}
