//! Who can see a person: each link worker of a pool against what the referral asks for.

use std::borrow::Cow;

use jiff::civil::Date;

use super::crew::{Crews, Hand};
use super::input::{Day, Loads, RouteInput, Sex};
use super::place::{Place, Pool};
use super::rules::primary;

/// What a referral asks of a link worker. English is no language to ask for: everybody has it.
pub(super) struct Ask<'a> {
    pub on: Date,
    pub sex: Option<Sex>,
    pub language: Option<&'a str>,
    /// The language as crews number it; `None`: not asked for, or nobody speaks it.
    tongue: Option<u32>,
    pub interpreter: bool,
    /// Bits of the days, Monday lowest; 0: any day.
    pub days: u8,
    pub evening: bool,
    pub home_visit: bool,
    pub accessible: bool,
    /// The skills as crews number them; `None`: nobody has all.
    skills: Option<Vec<u32>>,
    pub previous: Option<(&'a str, Option<&'a str>)>,
}

impl<'a> Ask<'a> {
    pub fn of(input: &'a RouteInput, crews: &Crews) -> Self {
        let language = input.language.as_deref().map(primary).filter(|code| !code.eq_ignore_ascii_case("en"));
        Self {
            on: input.on,
            sex: input.worker_sex,
            language,
            tongue: language.and_then(|code| crews.number(&small(code))),
            interpreter: input.interpreter,
            days: bits(&input.days),
            evening: input.evening,
            home_visit: input.home_visit,
            accessible: input.accessible,
            skills: input.specialisms.iter().map(|skill| crews.number(skill)).collect(),
            previous: input.previous.as_ref().map(|(pool, worker)| (pool.as_str(), worker.as_deref())),
        }
    }

    fn refuses(&self, pool: &Pool, hand: &Hand, crews: &Crews, speaks: bool) -> Option<Unfit> {
        let on_days = |bits: u8| if self.days == 0 { bits != 0 } else { bits & self.days != 0 };
        let skilled = |skills: &Vec<u32>| skills.iter().all(|skill| crews.has_skill(hand, *skill));
        if self.sex.is_some() && hand.sex != self.sex {
            Some(Unfit::Sex)
        } else if self.language.is_some() && !speaks && !(self.interpreter && pool.interpreter) {
            Some(Unfit::Language)
        } else if self.home_visit && !hand.home_visits {
            Some(Unfit::HomeVisit)
        } else if !self.skills.as_ref().is_some_and(skilled) {
            Some(Unfit::Skill)
        } else if !on_days(hand.days) {
            Some(Unfit::Day)
        } else if self.evening && !on_days(hand.evenings) {
            Some(Unfit::Evening)
        } else {
            None
        }
    }
}

/// A code in small letters.
fn small(code: &str) -> Cow<'_, str> {
    if code.bytes().any(|byte| byte.is_ascii_uppercase()) { code.to_ascii_lowercase().into() } else { code.into() }
}

/// Days as bits, Monday lowest.
pub(super) fn bits(days: &[Day]) -> u8 {
    days.iter().fold(0, |bits, day| bits | 1 << *day as u8)
}

/// Why a link worker is not the one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    Absent,
    Sex,
    Language,
    HomeVisit,
    Skill,
    Day,
    Evening,
}

/// Why a pool cannot take a referral.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    HandedBack,
    Closed,
    AtLimit(u32),
    NobodyAtWork,
    NobodySuitable,
    NoStepFreeVenue,
}

impl Refusal {
    /// True when those who stand in for the pool are asked.
    pub fn wants_cover(self) -> bool {
        matches!(self, Self::Closed | Self::NobodyAtWork | Self::NobodySuitable | Self::NoStepFreeVenue)
    }

    /// True when those who take its overflow are asked.
    pub fn wants_overflow(self) -> bool {
        matches!(self, Self::Closed | Self::AtLimit(_))
    }
}

/// A pool that was looked at.
pub(super) struct Weighed<'a> {
    pub pool: &'a Pool,
    /// Open episodes.
    pub open: u64,
    /// At work, in hundredths of full-time.
    pub fte_hundredths: u32,
    /// Open episodes that those at work have room for.
    pub room: u64,
    /// The days that people wait.
    pub waiting_days: u32,
    /// Who would be suggested.
    pub worker: Option<&'a Hand>,
    /// True when `worker` saw the person before.
    pub known: bool,
    pub refusal: Option<Refusal>,
}

impl Weighed<'_> {
    /// True when those at work have no room left by the year's figures.
    pub fn is_full(&self) -> bool {
        self.open >= self.room
    }

    /// The order of fair choice: room, load for each full-time worker at work, wait, id.
    pub fn fairer(&self, other: &Self) -> std::cmp::Ordering {
        let (a, b) = (u128::from(self.fte_hundredths), u128::from(other.fte_hundredths));
        let load = || (u128::from(self.open) * b).cmp(&(u128::from(other.open) * a));
        let last = || self.waiting_days.cmp(&other.waiting_days).then_with(|| self.pool.id.cmp(&other.pool.id));
        self.is_full().cmp(&other.is_full()).then_with(load).then_with(last)
    }
}

/// Looks at one pool. `unfit` hears of each link worker in force who is not the one.
pub(super) fn weigh<'a>(
    place: &'a Place,
    loads: &Loads,
    ask: &Ask<'_>,
    row: usize,
    mut unfit: impl FnMut(&'a Hand, Unfit),
) -> Weighed<'a> {
    let (pool, crews) = (&place.rows.pools[row], &place.index.crews);
    let mut fte_hundredths = 0;
    let mut best: Option<(bool, bool, u64, &Hand)> = None;
    let previous = ask.previous.filter(|(before, _)| *before == pool.id).and_then(|(_, worker)| worker);
    for hand in crews.pool(row).iter().filter(|hand| hand.period.holds(ask.on)) {
        if crews.away(hand).iter().any(|period| period.holds(ask.on)) {
            unfit(hand, Unfit::Absent);
            continue;
        }
        fte_hundredths += hand.fte_hundredths;
        let speaks = ask.tongue.is_some_and(|tongue| crews.speaks(hand, tongue));
        if let Some(why) = ask.refuses(pool, hand, crews, speaks) {
            unfit(hand, why);
            continue;
        }
        // A smaller tuple is the better suggestion: known, speaks the language, less to do; then by id,
        // which is the order of the hands.
        let load = loads.worker(hand.id()) * 100 * 100 / u64::from(hand.fte_hundredths.max(1));
        let rank = (previous != Some(hand.id()), !speaks, load);
        if best.is_none_or(|(a, b, c, _)| rank < (a, b, c)) {
            best = Some((rank.0, rank.1, rank.2, hand));
        }
    }
    let open = loads.pool(&pool.id);
    let refusal = match () {
        () if !pool.open => Some(Refusal::Closed),
        () if fte_hundredths == 0 => Some(Refusal::NobodyAtWork),
        () if best.is_none() => Some(Refusal::NobodySuitable),
        () if ask.accessible
            && !ask.home_visit
            && !place.index.step_free[row].iter().any(|period| period.holds(ask.on)) =>
        {
            Some(Refusal::NoStepFreeVenue)
        }
        () => pool.limit.filter(|limit| open >= u64::from(*limit)).map(Refusal::AtLimit),
    };
    Weighed {
        pool,
        open,
        fte_hundredths,
        room: place.capacity.room(fte_hundredths),
        waiting_days: loads.waiting_days.get(&pool.id).copied().unwrap_or(0),
        worker: best.map(|(_, _, _, hand)| hand),
        known: best.is_some_and(|(unknown, ..)| !unknown),
        refusal,
    }
}
