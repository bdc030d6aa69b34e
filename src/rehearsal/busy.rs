//! How busy each pool is over time, before and after: referrals open at the end of each week.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::replay::Replayed;
use super::{PoolLine, day};
use crate::routing::Place;

/// Seconds of a week.
const WEEK_SECONDS: i64 = 7 * 86_400;

/// What one pool's referrals come to.
#[derive(Debug, Default, Clone)]
struct Count {
    referrals: u64,
    weeks: Vec<i64>,
}

/// A line a pool that has a referral before or after, in the order of their ids.
pub fn pools(old: Option<&Place>, new: &Place, replayed: &[Replayed<'_>]) -> Vec<PoolLine> {
    let Some(first) = replayed.first().map(|one| one.past.at) else { return Vec::new() };
    let last = replayed.iter().map(|one| one.past.at).max().unwrap_or(first);
    let before = counts(replayed, first, last, |one| &one.before);
    let after = counts(replayed, first, last, |one| &one.after);
    let ids: std::collections::BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    let on = day(last);
    let room = |place: &Place, id: &str| place.pool(id, on).map(|_| place.room(id, on));
    ids.into_iter()
        .map(|id| {
            let (was, would) =
                (before.get(id).cloned().unwrap_or_default(), after.get(id).cloned().unwrap_or_default());
            let weeks = |count: &Count| -> Vec<u64> { count.weeks.iter().map(|open| open.unsigned_abs()).collect() };
            let name = new.pool_name(id).or_else(|| old.and_then(|old| old.pool_name(id))).unwrap_or(id).to_owned();
            PoolLine {
                pool: id.to_owned(),
                name,
                referrals: (was.referrals, would.referrals),
                room: (old.and_then(|old| room(old, id)), room(new, id)),
                open_by_week: (weeks(&was), weeks(&would)),
                waits: (None, None),
            }
        })
        .collect()
}

/// The last day of each week, as `open_by_week` counts them.
pub fn week_ends(replayed: &[Replayed<'_>]) -> Vec<Date> {
    let Some(first) = replayed.first().map(|one| one.past.at) else { return Vec::new() };
    let last = replayed.iter().map(|one| one.past.at).max().unwrap_or(first);
    (0..=week(first, last)).filter_map(|n| n.try_into().ok()).map(|n: i64| day(first + weeks(n + 1))).collect()
}

fn weeks(n: i64) -> SignedDuration {
    SignedDuration::from_secs(n * WEEK_SECONDS)
}

fn week(first: Timestamp, at: Timestamp) -> usize {
    usize::try_from(at.duration_since(first).as_secs() / WEEK_SECONDS).unwrap_or(0)
}

fn counts<'r>(
    replayed: &'r [Replayed<'_>],
    first: Timestamp,
    last: Timestamp,
    pool: impl Fn(&'r Replayed<'_>) -> &'r str,
) -> BTreeMap<&'r str, Count> {
    let all = week(first, last) + 1;
    let mut out: BTreeMap<&str, Count> = BTreeMap::new();
    for one in replayed {
        let count = out.entry(pool(one)).or_insert_with(|| Count { referrals: 0, weeks: vec![0; all + 1] });
        count.referrals += u64::from(!one.early);
        let from = week(first, one.past.at);
        let to = one.past.ended.map_or(all, |ended| week(first, ended).max(from).min(all));
        count.weeks[from] += 1;
        count.weeks[to] -= 1;
    }
    for count in out.values_mut() {
        let mut open = 0;
        for week in &mut count.weeks {
            open += *week;
            *week = open;
        }
        count.weeks.truncate(all);
    }
    out
}
