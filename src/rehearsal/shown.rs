//! A report in words, for a network manager.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::report::{Equity, Kept, Move, PoolLine, Report};
use super::waits::Spread;

/// Columns of a line.
const WIDTH: usize = 100;
/// Causes of moves that are told.
const CAUSES_SHOWN: usize = 12;
/// Days more that nine of ten wait, from which on it is said.
const LONGER_DAYS: u32 = 5;
/// Moves that are told one by one; `--json` has all.
const MOVES_SHOWN: usize = 20;
/// Rows kept by FHIR that are named.
const KEPT_SHOWN: usize = 8;

/// The report as text. `table` lays rows of cells out in columns.
pub fn shown(report: &Report, table: &dyn Fn(&[Vec<String>]) -> String) -> String {
    let days = report.days.map_or_else(|| "no day".to_owned(), |days| format!("{} to {}", days.from, days.to));
    let mut text = format!(
        "Rehearsal of {} (place files {})\n{} referrals of {days}, {} earlier ones, {} placed by hand.\n\n",
        report.place, report.version, report.asked, report.earlier, report.by_hand
    );
    text.push_str(&match report.moved.len() {
        0 => "Nobody would move.\n".to_owned(),
        many => format!(
            "{many} would move: {} by the proposal itself, {} because pools would be busier or less busy by then\n\
             (knock-on).\n{}",
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
    let look_at = look_at(report);
    if !look_at.is_empty() {
        text.push_str("\nTo look at before it is put in force\n");
        look_at.iter().for_each(|line| text.push_str(&wrapped(line, "  - ", "    ")));
    }
    text.push_str(&format!(
        "\nPools (before -> after; waits in days to the first contact)\n{}\n",
        table(&pools(report))
    ));
    for equity in report.equity.iter().filter(|_| report.asked > 0) {
        text.push_str(&format!("\nBy {}\n{}\n", equity.by, table(&groups(equity))));
    }
    text.push_str("\nTaken for granted\n");
    for line in &report.assumptions {
        text.push_str(&wrapped(line, "  - ", "    "));
    }
    text.push_str(&format!("  - The seed of the draws is {}.\n\nNothing was stored or sent.", report.seed));
    text
}

/// The moves, those of one cause together and the largest first, and then some one by one.
fn moves(moves: &[Move], table: &dyn Fn(&[Vec<String>]) -> String) -> String {
    let mut causes: BTreeMap<(bool, &str, &str, &str), u64> = BTreeMap::new();
    for one in moves {
        *causes.entry((one.knock_on, &one.from, &one.to, &one.why_not)).or_default() += 1;
    }
    let mut causes: Vec<_> = causes.into_iter().collect();
    causes.sort_by_key(|((knock_on, ..), count)| (*knock_on, Reverse(*count)));
    let mut text = String::new();
    for ((knock_on, from, to, why_not), count) in causes.iter().take(CAUSES_SHOWN) {
        let cause = if *knock_on { " (knock-on)" } else { "" };
        text.push_str(&wrapped(
            &format!("{count} from {from} to {to}{cause}: not {from}, as {why_not}"),
            "  ",
            "      ",
        ));
    }
    if causes.len() > CAUSES_SHOWN {
        text.push_str(&format!("  ... and {} more causes.\n", causes.len() - CAUSES_SHOWN));
    }
    let mut rows = vec![cells(["referral", "received", "from", "to"])];
    rows.extend(moves.iter().take(MOVES_SHOWN).map(|one| {
        let cause = if one.knock_on { " (knock-on)" } else { "" };
        vec![one.referral.clone(), one.on.to_string(), one.from.clone(), format!("{}{cause}", one.to)]
    }));
    text.push_str(&format!("\n{}\n", table(&rows)));
    if moves.len() > MOVES_SHOWN {
        text.push_str(&format!("... and {} more; --json has all of them.\n", moves.len() - MOVES_SHOWN));
    }
    text
}

/// What a network manager would look at before putting the proposal in force.
fn look_at(report: &Report) -> Vec<String> {
    let mut out = Vec::new();
    for line in &report.pools {
        let (pool, (was, would)) = (&line.pool, line.referrals);
        let most = line.open_by_week.1.iter().max().copied().unwrap_or(0);
        let before = line.open_by_week.0.iter().max().copied().unwrap_or(0);
        match line.room.1 {
            None if would > was => out.push(format!(
                "{pool} is a desk and would have {} more to place by hand: a pool that serves or covers them (pools.csv) \
                 would take them.",
                would - was
            )),
            Some(room) if most > room && most > before => out.push(format!(
                "{pool} would have up to {most} open with room for {room} ({before} before): give it hours, or a pool \
                 that takes its overflow."
            )),
            _ => {}
        }
        let wait = |spread: &Option<Spread>| spread.as_ref().and_then(|spread| spread.ninetieth_days);
        if let Some((was, would)) = wait(&line.waits.0).zip(wait(&line.waits.1))
            && would >= was + LONGER_DAYS
        {
            out.push(format!("People of {pool} would wait up to {would} days (9 of 10) rather than {was}."));
        }
        let not_seen = |spread: &Option<Spread>| spread.as_ref().map_or(0, |spread| spread.not_seen);
        let (was, would) = (not_seen(&line.waits.0), not_seen(&line.waits.1));
        if would > was && (line.waits.0.is_some() || line.referrals.0 == 0) {
            out.push(format!("{would} people of {pool} would not be seen within a year ({was} before)."));
        }
    }
    out
}

/// Text in lines of at most [`WIDTH`], the first after `first`, the others after `rest`.
fn wrapped(text: &str, first: &str, rest: &str) -> String {
    let (mut out, mut line) = (String::new(), first.to_owned());
    let mut begun = false;
    for word in text.split(' ') {
        if begun && line.chars().count() + 1 + word.chars().count() > WIDTH {
            out.push_str(&line);
            out.push('\n');
            (line, begun) = (rest.to_owned(), false);
        }
        if begun {
            line.push(' ');
        }
        line.push_str(word);
        begun = true;
    }
    out + &line + "\n"
}

/// What is kept by FHIR, and where it and the proposed files disagree.
fn kept(kept: &Kept) -> String {
    let mut text = String::new();
    if kept.aside {
        text.push_str("\nWhat is kept up to date by FHIR was left aside (--without-kept).\n");
    }
    if !kept.rows.is_empty() {
        let line = format!("Kept up to date by FHIR, over the proposed files: {}.", listed(&kept.rows));
        text.push_str(&format!("\n{}", wrapped(&line, "", "  ")));
    }
    for what in &kept.hidden {
        let line =
            format!("{what}: the proposed files change it to no effect, as it is kept by FHIR: change it there.");
        text.push_str(&wrapped(&line, "  ! ", "    "));
    }
    if !kept.left_out.is_empty() {
        text.push_str("\nKept by FHIR, and left out because it does not fit the proposed files:\n");
    }
    for one in &kept.left_out {
        text.push_str(&wrapped(&format!("{}: {}", one.what, one.why), "  ! ", "    "));
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
