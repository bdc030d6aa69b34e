//! What a rehearsal comes to. Referrals by id; people only in groups.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::Serialize;

use super::replay::{Moved, Replayed};
use super::waits::{Spread, Wait};
use super::{HIDE_BELOW, Plan, busy, day, equity};

/// The whole report.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Report {
    /// The proposed place.
    pub place: String,
    /// Version of its files.
    pub version: String,
    /// Version of the place in force, where it is known.
    pub version_in_force: Option<String>,
    /// The days of the referrals asked again.
    pub days: Option<Span>,
    /// Referrals asked again.
    pub asked: u64,
    /// Earlier referrals, which only keep the pools busy.
    pub earlier: u64,
    /// Of those asked, how many a person placed by hand: they stay where they are.
    pub by_hand: u64,
    /// Referrals that would move.
    pub moved: Vec<Move>,
    /// How many of these move by the proposal itself, and how many only because pools would be
    /// busier or less busy by then.
    pub moved_by: By,
    /// Referrals that the place in force would not send where they were sent.
    pub drift: Vec<Drift>,
    /// What is kept up to date by FHIR and stands over the proposed files.
    pub kept: Kept,
    /// Each pool with a referral before or after.
    pub pools: Vec<PoolLine>,
    /// The last day of each week of `pools[].open_by_week`.
    pub weeks: Vec<Date>,
    /// Waits for a first contact over all pools, before and after.
    pub waits: Waits,
    /// Whom it falls on.
    pub equity: Vec<Equity>,
    /// What was taken for granted.
    pub assumptions: Vec<String>,
    /// The seed of the simulation's draws.
    pub seed: u64,
}

/// First and last day.
#[derive(Debug, Clone, Copy, Serialize, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Span {
    pub from: Date,
    pub to: Date,
}

/// Pools, link workers and venues that are kept up to date by FHIR, and what came of them.
#[derive(Debug, Clone, Default, Serialize, PartialEq, Eq)]
pub struct Kept {
    /// True: all of it was left aside, as asked.
    pub aside: bool,
    /// What stands over the proposed files, such as `pool coastal`.
    pub rows: Vec<String>,
    /// What does not fit the proposed files, and is left out as a gateway would.
    pub left_out: Vec<LeftOut>,
    /// Of `rows`: what the proposal changes in the files to no effect, as it is kept by FHIR.
    pub hidden: Vec<String>,
}

/// Something kept by FHIR that the proposed files have no place for.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct LeftOut {
    /// Type and id, such as `HealthcareService/coastal`.
    pub what: String,
    /// Why.
    pub why: String,
}

/// Moves by their cause.
#[derive(Debug, Clone, Copy, Default, Serialize, PartialEq, Eq)]
pub struct By {
    /// The proposal would have sent it elsewhere at that moment.
    pub proposal: u64,
    /// It would have gone elsewhere because of other moves.
    pub knock_on: u64,
}

/// One referral that would move.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Move {
    /// The ServiceRequest's id.
    pub referral: String,
    /// The day on which it was received.
    pub on: Date,
    /// The pool that it has.
    pub from: String,
    /// The pool that it would have.
    pub to: String,
    /// True when only caseloads move it.
    pub knock_on: bool,
    /// The proposed rule.
    pub rule: String,
    /// Why there, as the decision says it.
    pub why: Vec<String>,
    /// Why not where it is.
    pub why_not: String,
}

/// A referral that was decided otherwise than the place in force would.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Drift {
    /// The ServiceRequest's id.
    pub referral: String,
    /// Where it was sent.
    pub sent: String,
    /// Where the place in force would send it.
    pub now: String,
    /// The version of the place files that decided.
    pub version: String,
}

/// One pool, before and after. What is before may be unknown.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct PoolLine {
    /// Its id.
    pub pool: String,
    /// Its name.
    pub name: String,
    /// Referrals asked again that it has and would have.
    pub referrals: (u64, u64),
    /// Its soft room for open episodes on the last day; `None`: a desk, or no such pool.
    pub room: (Option<u64>, Option<u64>),
    /// Open referrals at the end of each week.
    pub open_by_week: (Vec<u64>, Vec<u64>),
    /// Waits for a first contact.
    pub waits: (Option<Spread>, Option<Spread>),
}

/// Waits before and after.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Waits {
    /// By the place in force, where it is known.
    pub before: Option<Spread>,
    /// By the proposal.
    pub after: Spread,
}

/// Contacts a person.
#[derive(Debug, Clone, Copy, Serialize, PartialEq, Eq)]
pub struct Contacts {
    /// At least so many.
    pub least: u32,
    /// At most so many.
    pub most: u32,
    /// Days over which they are spread.
    pub spread_days: u32,
    /// From stored Encounters rather than from the place's figures.
    pub measured: bool,
}

/// One characteristic's groups.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Equity {
    /// The characteristic.
    pub by: String,
    /// Its groups.
    pub groups: Vec<Group>,
}

/// One group; what is hidden is `None`.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub group: String,
    /// People of it.
    pub people: Option<u64>,
    /// Of these, how many would move.
    pub moved: Option<u64>,
    /// Half of them waited no longer, before and after.
    pub median_wait_days: (Option<u32>, Option<u32>),
}

/// Puts the report together.
pub fn report(
    plan: &Plan<'_>,
    replayed: Vec<Replayed<'_>>,
    contacts: Contacts,
    before: Option<&[Wait]>,
    after: &[Wait],
) -> Report {
    let asked = || replayed.iter().filter(|one| !one.early);
    let moves = |knock_on| asked().filter_map(|one| one.moved.as_ref()).filter(move |one| one.knock_on == knock_on);
    let below = match plan.new.equity.hide_below {
        0 => HIDE_BELOW,
        below => u64::from(below),
    };
    let mut pools = busy::pools(plan.old, plan.new, &replayed);
    add_waits(&mut pools, &replayed, before, after);
    Report {
        place: plan.new.name.clone(),
        version: plan.new.version.clone(),
        version_in_force: plan.old.map(|old| old.version.clone()),
        days: asked().next().zip(asked().next_back()).map(|(a, z)| Span { from: day(a.past.at), to: day(z.past.at) }),
        asked: asked().count() as u64,
        earlier: replayed.iter().filter(|one| one.early).count() as u64,
        by_hand: asked().filter(|one| one.past.decision.by_hand).count() as u64,
        moved_by: By { proposal: moves(false).count() as u64, knock_on: moves(true).count() as u64 },
        drift: asked().filter_map(drift).collect(),
        kept: plan.kept.clone(),
        pools,
        weeks: busy::week_ends(&replayed),
        waits: Waits {
            before: before.map(|waits| spread(&replayed, waits, |_| true)),
            after: spread(&replayed, after, |_| true),
        },
        equity: equity::tables(&replayed, before, after, !plan.deprivation.is_empty(), below),
        assumptions: assumptions(plan, contacts, below),
        seed: plan.seed,
        moved: replayed.into_iter().filter_map(told).collect(),
    }
}

fn told(one: Replayed<'_>) -> Option<Move> {
    let Moved { knock_on, rule, why, why_not } = one.moved?;
    let (referral, on) = (one.past.referral.clone(), day(one.past.at));
    Some(Move { referral, on, from: one.before, to: one.after, knock_on, rule, why, why_not })
}

fn drift(one: &Replayed<'_>) -> Option<Drift> {
    let decision = &one.past.decision;
    Some(Drift {
        referral: one.past.referral.clone(),
        sent: decision.pool.to_string(),
        now: one.drift.clone()?,
        version: decision.version.to_string(),
    })
}

/// The spread of the waits of some of the referrals asked again.
fn spread(replayed: &[Replayed<'_>], waits: &[Wait], of: impl Fn(&Replayed<'_>) -> bool) -> Spread {
    let chosen = replayed.iter().zip(waits).filter(|(one, _)| !one.early && of(one));
    Spread::of(chosen.map(|(_, wait)| *wait))
}

fn add_waits(pools: &mut [PoolLine], replayed: &[Replayed<'_>], before: Option<&[Wait]>, after: &[Wait]) {
    type ByPool<'a> = BTreeMap<&'a str, Vec<Wait>>;
    let (mut was, mut would) = (ByPool::new(), ByPool::new());
    for (index, one) in replayed.iter().enumerate().filter(|(_, one)| !one.early) {
        if let Some(wait) = before.and_then(|waits| waits.get(index)) {
            was.entry(&one.before).or_default().push(*wait);
        }
        if let Some(wait) = after.get(index) {
            would.entry(&one.after).or_default().push(*wait);
        }
    }
    let spread = |waits: Option<&Vec<Wait>>| {
        waits.map(|waits| Spread::of(waits.iter().copied())).filter(|spread| spread.people > 0)
    };
    for pool in pools {
        pool.waits = (spread(was.get(pool.pool.as_str())), spread(would.get(pool.pool.as_str())));
    }
}

fn assumptions(plan: &Plan<'_>, contacts: Contacts, below: u64) -> Vec<String> {
    let capacity = plan.new.capacity;
    let from = if contacts.measured { "stored Encounters" } else { "the place's figures" };
    let mut out = vec![
        format!(
            "Each person has {} to {} contacts ({from}), the first as soon as the pool has time, the others spread \
             over {} days.",
            contacts.least, contacts.most, contacts.spread_days
        ),
        format!(
            "A full-time link worker has time for {} people a year, spread evenly over their working days; none on \
             a day of absence. People already seen come first, then new ones in the order of arrival.",
            capacity.yearly_per_fte
        ),
        "Waits do not reckon with which link worker suits whom, nor with people who give up; desks are left out."
            .to_owned(),
        "A referral that moves stays open as long as it was; one that a person placed by hand stays where it is."
            .to_owned(),
        format!("Groups of fewer than {below}, and what would give them away, are hidden in the equity tables."),
    ];
    if plan.old.is_none() {
        out.push(
            "The place files in force are not known, so waits before are not given and a difference may be that of \
             earlier files: name them with --running."
                .to_owned(),
        );
    }
    out.push(match plan.deprivation {
        "" => "No deprivation data is configured ([equity] in place.toml).".to_owned(),
        release => format!("Deciles of deprivation are those of {release}; withheld addresses count as unknown."),
    });
    out
}
