//! A year of Sefton, played to a real gateway in this process, which writes back to the practices'
//! simulated systems with all that goes wrong there (`year/plan.rs`): its ledger then reconciles,
//! each entry stands once in its practice's record, what is filed equals what `year/filed.rs`
//! counts by itself, and the evaluation equals what `year/truth.rs` does.
//!
//! 2,000 referrals, 15,450 contacts, 13,000 entries; two minutes of processor time in a debug build.
//! `FINGERPOST_YEAR_REFERRALS=400` plays a fifth of it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "year/filed.rs"]
mod filed;
#[path = "year/plan.rs"]
mod plan;
#[path = "year/play.rs"]
mod play;
#[path = "support/pool.rs"]
mod pool;
#[path = "year/practices.rs"]
mod practices;
#[path = "support/program.rs"]
mod program;
#[path = "support/referrals.rs"]
mod referrals;
#[path = "year/story.rs"]
mod story;
#[path = "year/truth.rs"]
mod truth;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use filed::{Entries, Filed};
use fingerpost::clock::Clock;
use fingerpost::config::Config;
use fingerpost::evaluation::{self, Evaluation, GroupRow, Question, Row};
use fingerpost::gateway::Gateway;
use fingerpost::ledger::{Books, Ledger, Outcomes, reckon};
use fingerpost::store::{Search, Store, Stored};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use pool::House;
use practices::Practices;
use story::Story;
use truth::Truth;

/// Referrals played where nothing else is asked for.
const REFERRALS: u32 = 2_000;
/// The queues of write-backs begin with this.
const WRITEBACK: &str = "writeback:";
/// A whole year: its referrals, and its contacts, at least.
const WHOLE: u32 = 2_000;
const CONTACTS_MIN: u64 = 15_000;
const SEED: u64 = 20_260_401;
/// A practice that is asked about by itself.
const PRACTICE: &str = "N84630";
/// Referrals at a scale at which no count is hidden by chance alone.
const BELOW: u64 = 5;

fn date(day: u32) -> Date {
    Date::constant(2026, 4, 1).checked_add(i64::from(day).days()).unwrap()
}

fn morning(day: u32) -> Timestamp {
    date(day).at(9, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap().timestamp()
}

fn parts(day: u32) -> (i16, u32, u32) {
    let date = date(day);
    (date.year(), u32::try_from(date.month()).unwrap(), u32::try_from(date.day()).unwrap())
}

async fn open(dir: tempfile::TempDir, practices: &Practices) -> House {
    let mut config = Config::development(dir.path());
    config.delivery.receivers.clear();
    practices.join(&mut config);
    let gateway = Gateway::open_or_create(config, Clock::fixed(morning(0))).await.unwrap();
    House { gateway, dir }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_year_of_sefton_reconciles_and_counts_right() {
    let referrals = std::env::var("FINGERPOST_YEAR_REFERRALS").ok().and_then(|n| n.parse().ok()).unwrap_or(REFERRALS);
    let begun = Instant::now();
    let stories = Arc::new(story::year(referrals, SEED));
    let truth = truth::count(&stories, &parts);
    let practices = Practices::start(referrals).await;
    let house = Arc::new(open(tempfile::tempdir().unwrap(), &practices).await);
    let resent = play_all(&house, &stories, &practices).await;
    let played = begun.elapsed();
    let (contacts, missed) = (truth.contacts, truth.missed);
    println!("{referrals} referrals, {contacts} contacts, {missed} attempts in {played:.1?}");
    assert!(referrals < WHOLE || contacts >= CONTACTS_MIN, "{contacts} contacts");

    let store = &house.gateway.store;
    let ledger = ledger(store, &house.gateway.clock).await;
    assert!(ledger.reconciles, "{:?}", ledger.faults);
    assert_eq!(ledger.totals.received, truth.referred);
    let filed = filed::count(&stories);
    ledger_agrees(&ledger, &truth, &filed);
    practices.hold_each_once(store).await;
    let (outcomes, lost) = (ledger.outcomes, practices.lost());
    println!("{outcomes:?}; {lost} answers lost, {resent} entries sent again by a person");
    assert!(referrals < WHOLE || lost > 100 && resent > 10, "{lost} {resent}");

    let gathered = evaluation::gather::gather(store, &Question::default()).await.unwrap();
    let whole = evaluation::reckon(house.gateway.clock.now(), &gathered);
    assert_eq!(seen(&whole), truth);
    a_practice_has_its_own(&house, &stories).await;
    shown_hides_small_numbers(whole);
    println!("reckoned in {:.1?}", begun.elapsed() - played);
    store.close().await;
}

/// Plays the year, each day's write-back done before the next day. How many entries a person had
/// sent again.
async fn play_all(house: &Arc<House>, stories: &Arc<Vec<Story>>, practices: &Practices) -> usize {
    let gateway = &house.gateway;
    let running = tokio::spawn(fingerpost::writeback::run(gateway.clone(), std::future::pending()));
    let (mut lives, mut days, mut resent) = (vec![None; stories.len()], play::calendar(stories), 0);
    for day in 0..story::DAYS {
        practices.day(day);
        if day == plan::RESENT_ON {
            resent = practices::send_again(gateway, morning(plan::RESENT_BEFORE)).await;
        }
        if let Some(acts) = days.remove(&day) {
            play::day(house, stories, &mut lives, acts, &date(day).to_string()).await;
        }
        practices.done(gateway, day).await;
        gateway.clock.advance(morning(day + 1).duration_since(gateway.clock.now()));
    }
    running.abort();
    resent
}

async fn ledger(store: &Store, clock: &Clock) -> Ledger {
    let rows = store.ledger(None, None).await.unwrap();
    let holds = store.holds().await.unwrap();
    let mut kept = BTreeSet::new();
    let keep = |stored: Stored| {
        let request: serde_json::Value = serde_json::from_slice(&stored.body).unwrap();
        if !request["category"].to_string().contains("https://fingerpost.dev/CodeSystem/onward") {
            kept.insert(stored.id);
        }
        Ok(())
    };
    store.each(Search::of("ServiceRequest"), keep).await.unwrap();
    let counts = store.outbox_counts(WRITEBACK).await.unwrap().into_iter();
    let of = |(queue, count): (String, u64)| (queue.strip_prefix(WRITEBACK).unwrap().to_owned(), count);
    let recorded: Vec<(String, u64)> = counts.map(of).collect();
    let filings = store.filing_counts().await.unwrap();
    let (recorded, filings) = (&recorded, &filings);
    let books = Books { rows: &rows, holds: &holds, ignored: &[], recorded, filings, referrals: &kept, whole: true };
    reckon(clock.now(), &books)
}

/// The ledger's states: an ended referral is open until its practice's system has all of it.
fn ledger_agrees(ledger: &Ledger, truth: &Truth, filed: &Filed) {
    let of = |word: &str| truth.standing.get(word).copied().unwrap_or(0);
    let totals = ledger.totals;
    assert_eq!(totals.closed, filed.closed);
    assert_eq!(totals.returned, filed.returned + of("linked to an open episode"));
    assert_eq!(totals.open, of("waiting") + of("open") + filed.waits);
    assert_eq!(totals.held, of("held"));
    assert_eq!(totals.withdrawn, of("withdrawn"));
    let ended: u64 = ["closed", "declined", "returned"].into_iter().map(of).sum();
    assert_eq!(filed.closed + filed.returned + filed.waits, ended);
    let lines = ledger.referrals.as_ref().unwrap();
    let practice = lines.iter().filter(|line| line.waiting_on == "practice-system").count() as u64;
    assert_eq!(practice, filed.waits);
    let practices = ledger.practices.as_ref().unwrap();
    let seen: BTreeMap<String, Entries> = practices.iter().map(|(ods, one)| (ods.clone(), entries(one))).collect();
    assert_eq!(seen, filed.practices);
}

fn entries(one: &Outcomes) -> Entries {
    Entries {
        recorded: one.recorded,
        filed: one.filed,
        without_code: one.filed_without_code,
        in_flight: one.in_flight,
        needs_person: one.needs_person,
    }
}

/// The gateway's figures in the form of the truth's.
fn seen(whole: &Evaluation) -> Truth {
    let rows = |rows: &[Row], by_code: bool| -> BTreeMap<String, u64> {
        let name = |row: &Row| match row.code.rsplit_once('|') {
            Some((_, code)) if by_code => code.to_owned(),
            _ => row.label.clone(),
        };
        rows.iter().map(|row| (name(row), row.count.unwrap())).filter(|(_, count)| *count > 0).collect()
    };
    let groups = |rows: &[GroupRow]| -> BTreeMap<String, [u64; 5]> {
        let figures = |row: &GroupRow| {
            [row.referred, row.accepted, row.declined, row.dropped_out, row.unmet].map(|count| count.unwrap())
        };
        rows.iter().map(|row| (row.group.clone(), figures(row))).collect()
    };
    let change = whole.changes.iter().map(|row| {
        let counts = [row.paired, row.lost, row.waiting, row.improved, row.same, row.worse].map(|count| count.unwrap());
        let [paired, lost, waiting, improved, same, worse] = counts;
        let key = (row.scale.clone(), row.version.clone());
        (key, (paired, lost, waiting, row.mean.clone(), improved, same, worse))
    });
    Truth {
        referred: whole.referred.unwrap(),
        standing: rows(&whole.standing, false),
        reasons: rows(&whole.reasons, true),
        contacts: whole.contacts.met.unwrap(),
        missed: whole.contacts.missed.unwrap(),
        met: whole.contacts.people.unwrap(),
        modes: rows(&whole.contacts.modes, true),
        referred_on: whole.referred_on.unwrap(),
        signposted: whole.signposted.unwrap(),
        support: rows(&whole.support, false),
        closures: rows(&whole.closures, true),
        dropped_out: whole.dropped_out.unwrap(),
        unmet: whole.unmet.unwrap(),
        lacking: rows(&whole.unmet_needs, false),
        ages: groups(&whole.ages),
        sexes: groups(&whole.sexes),
        ethnicities: groups(&whole.ethnicities),
        change: change.collect(),
        absent: rows(&whole.absent, false),
    }
}

/// One practice's figures are those of its own stories, and its two halves come to them.
async fn a_practice_has_its_own(house: &House, stories: &[Story]) {
    let ask = async |from, to| {
        let question = Question { from, to, practice: Some(PRACTICE.to_owned()) };
        let gathered = evaluation::gather::gather(&house.gateway.store, &question).await.unwrap();
        evaluation::reckon(house.gateway.clock.now(), &gathered)
    };
    let own: Vec<Story> = stories.iter().filter(|story| story.practice == PRACTICE).cloned().collect();
    assert_eq!(seen(&ask(None, None).await), truth::count(&own, &parts));
    let figures = |part: &Evaluation| {
        [part.referred, part.contacts.met, part.dropped_out, part.unmet].map(|count| count.unwrap())
    };
    let (first, second) = (ask(None, Some(date(180))).await, ask(Some(date(181)), None).await);
    let both: Vec<u64> = figures(&first).iter().zip(figures(&second)).map(|(a, b)| a + b).collect();
    assert_eq!(both, figures(&ask(Some(date(0)), Some(date(story::DAYS))).await));
}

fn shown_hides_small_numbers(whole: Evaluation) {
    let hidden = whole.hidden(BELOW);
    for line in hidden.lines() {
        let small = line.value.parse::<u64>().is_ok_and(|count| (1..BELOW).contains(&count));
        assert!(!small, "{line:?}");
    }
    assert!(hidden.referred.is_some() && hidden.lines().iter().any(|line| line.value == "*"));
    let report = fingerpost::fhir::evaluation::report(&Question::default(), &hidden);
    fingerpost::fhir::check::check(&report).unwrap();
}

#[test]
fn the_program_answers_an_empty_store_and_refuses_a_backward_period() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    std::fs::write(&file, "[gateway]\nmode = \"development\"\n[store]\nurl = \"sqlite:year.db\"\n").unwrap();
    let file = file.to_str().unwrap();
    let ran = program::fingerpost(folder.path(), &["evaluate", "--config", file, "--json"], &[]).expect(0);
    let answer: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(answer["dataset"]["referred"], 0);
    assert_eq!(answer["dataset"]["hidden_below"], 5);
    let ran = program::fingerpost(folder.path(), &["evaluate", "--config", file, "--csv"], &[]).expect(0);
    assert!(ran.out.starts_with("section,label,code,figure,value\nreferrals,received,,referrals,0\n"), "{}", ran.out);
    let ran = program::fingerpost(folder.path(), &["evaluate", "--config", file], &[]).expect(0);
    assert!(ran.out.contains("Evaluation as of"));
    let backward = ["evaluate", "--config", file, "--from", "2026-02-01", "--to", "2026-01-01"];
    program::fingerpost(folder.path(), &backward, &[]).expect(2);
}
