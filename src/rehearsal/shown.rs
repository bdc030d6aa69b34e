//! A report in words, for a network manager.

use super::report::{Equity, Kept, Move, PoolLine, Report};
use super::waits::Spread;

/// Moves that are told one by one; `--json` has all.
const MOVES_SHOWN: usize = 20;
/// Rows kept by FHIR that are named.
const KEPT_SHOWN: usize = 8;

/// The report as text. `table` lays rows of cells out in columns.
pub fn shown(report: &Report, table: &dyn Fn(&[Vec<String>]) -> String) -> String {
    let days = report.days.map_or_else(|| "no day".to_owned(), |days| format!("{} to {}", days.from, days.to));
    let mut text = format!(
        "Rehearsal of {} (place files {}): {} referrals of {days}, {} earlier ones, {} placed by hand.\n\n",
        report.place, report.version, report.asked, report.earlier, report.by_hand
    );
    text.push_str(&match report.moved.len() {
        0 => "Nobody would move.\n".to_owned(),
        many => format!(
            "{many} would move: {} by the proposal itself, {} because pools would be busier or less busy by then.\n{}",
            report.moved_by.proposal,
            report.moved_by.knock_on,
            moves(&report.moved, table)
        ),
    });
    if !report.drift.is_empty() {
        let count = report.drift.len();
        text.push_str(&format!("\n{count} were sent elsewhere, by earlier place files, than those in force would.\n"));
    }
    text.push_str(&kept(&report.kept));
    text.push_str(&format!(
        "\nPools (before -> after; waits in days to the first contact)\n{}\n",
        table(&pools(report))
    ));
    for equity in report.equity.iter().filter(|_| report.asked > 0) {
        text.push_str(&format!("\nBy {}\n{}\n", equity.by, table(&groups(equity))));
    }
    text.push_str("\nTaken for granted\n");
    for line in &report.assumptions {
        text.push_str(&format!("  - {line}\n"));
    }
    text.push_str(&format!("  - The seed of the draws is {}.\n\nNothing was stored or sent.", report.seed));
    text
}

fn moves(moves: &[Move], table: &dyn Fn(&[Vec<String>]) -> String) -> String {
    let mut rows = vec![cells(["referral", "received", "from", "to", "why"])];
    for one in moves.iter().take(MOVES_SHOWN) {
        let cause = if one.knock_on { "knock-on; " } else { "" };
        let why = format!("{cause}not {}: {}", one.from, one.why_not);
        rows.push(vec![one.referral.clone(), one.on.to_string(), one.from.clone(), one.to.clone(), why]);
    }
    let mut text = format!("{}\n", table(&rows));
    if moves.len() > MOVES_SHOWN {
        text.push_str(&format!("... and {} more; --json has all of them.\n", moves.len() - MOVES_SHOWN));
    }
    text
}

/// What is kept by FHIR, and where it and the proposed files disagree.
fn kept(kept: &Kept) -> String {
    let mut text = String::new();
    if kept.aside {
        text.push_str("\nWhat is kept up to date by FHIR was left aside (--without-kept).\n");
    }
    if !kept.rows.is_empty() {
        text.push_str(&format!("\nKept up to date by FHIR, over the proposed files: {}.\n", listed(&kept.rows)));
    }
    for what in &kept.hidden {
        text.push_str(&format!(
            "  ! {what}: the proposed files change it to no effect, as it is kept by FHIR: change it there.\n"
        ));
    }
    if !kept.left_out.is_empty() {
        text.push_str("\nKept by FHIR, and left out because it does not fit the proposed files:\n");
    }
    for one in &kept.left_out {
        text.push_str(&format!("  ! {}: {}\n", one.what, one.why));
    }
    text
}

/// The first few of a list, and how many more.
fn listed(all: &[String]) -> String {
    let shown = all.iter().take(KEPT_SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match all.len().checked_sub(KEPT_SHOWN).filter(|more| *more > 0) {
        Some(more) => format!("{shown} and {more} more"),
        None => shown,
    }
}

fn pools(report: &Report) -> Vec<Vec<String>> {
    let mut rows = vec![cells(["pool", "referrals", "most open", "room", "median wait", "9 of 10 within", "not seen"])];
    rows.extend(report.pools.iter().map(pool));
    let (before, after) = (report.waits.before.as_ref(), Some(&report.waits.after));
    let all = |of: fn(&Spread) -> Option<u64>| pair(before.and_then(of), after.and_then(of));
    rows.push(vec![
        "all".to_owned(),
        String::new(),
        String::new(),
        String::new(),
        all(median),
        all(ninetieth),
        all(not_seen),
    ]);
    rows
}

fn pool(line: &PoolLine) -> Vec<String> {
    let most = |weeks: &[u64]| weeks.iter().max().copied();
    let waits =
        |of: fn(&Spread) -> Option<u64>| pair(line.waits.0.as_ref().and_then(of), line.waits.1.as_ref().and_then(of));
    vec![
        line.pool.clone(),
        pair(Some(line.referrals.0), Some(line.referrals.1)),
        pair(most(&line.open_by_week.0), most(&line.open_by_week.1)),
        pair(line.room.0, line.room.1),
        waits(median),
        waits(ninetieth),
        waits(not_seen),
    ]
}

fn median(spread: &Spread) -> Option<u64> {
    spread.median_days.map(u64::from)
}

fn ninetieth(spread: &Spread) -> Option<u64> {
    spread.ninetieth_days.map(u64::from)
}

fn not_seen(spread: &Spread) -> Option<u64> {
    Some(spread.not_seen)
}

fn groups(equity: &Equity) -> Vec<Vec<String>> {
    let hidden = |count: Option<u64>| count.map_or_else(|| "hidden".to_owned(), |count| count.to_string());
    let mut rows = vec![cells(["group", "people", "moved", "share moved", "median wait"])];
    rows.extend(equity.groups.iter().map(|group| {
        let share = group.people.zip(group.moved).filter(|(people, _)| *people > 0);
        let wait = group.median_wait_days;
        vec![
            group.group.clone(),
            hidden(group.people),
            hidden(group.moved),
            share
                .map_or_else(|| "-".to_owned(), |(people, moved)| format!("{} %", (moved * 100 + people / 2) / people)),
            pair(wait.0.map(u64::from), wait.1.map(u64::from)),
        ]
    }));
    rows
}

fn pair(before: Option<u64>, after: Option<u64>) -> String {
    let one = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
    format!("{} -> {}", one(before), one(after))
}

fn cells<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}
