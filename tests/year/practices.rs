//! The practices' simulated systems over the year: their faults planted, the gateway's runner held
//! to having done each day's work, their records looked at in the end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use fingerpost::audit::{Action, Agent, Entry, Kind};
use fingerpost::config::{Config, PracticeSystem as System};
use fingerpost::delivery::{WRITEBACK, wake};
use fingerpost::demo::practice::PracticeSystem;
use fingerpost::fhir::ids::OdsCode;
use fingerpost::fhir::observation::WRITE_BACK;
use fingerpost::fhir::{each, identifier};
use fingerpost::gateway::Gateway;
use fingerpost::store::Store;
use fingerpost::store::filing::{FilingSearch, FilingState};
use fingerpost::writeback::person::{Word, says};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::plan;
use super::referrals;
use super::story::PRACTICES;

/// How far the year's clock moves while a day's work is not done, so that what is to be tried again
/// comes due.
const STEP: SignedDuration = SignedDuration::from_secs(2);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(4);
/// One day's work takes longer than this only when it never ends.
const DAY_MAX: Duration = Duration::from_secs(300);
/// Longer than a busy machine stops for; the answer to a lost one comes at once.
const TIMEOUT_MS: u64 = 120_000;
/// Less than a day, so that nothing is claimed twice within one.
const LEASE_SECONDS: u32 = 43_200;

pub struct Practices {
    systems: BTreeMap<&'static str, PracticeSystem>,
    /// Losses of answers that were planted.
    planted: AtomicU32,
}

impl Practices {
    pub async fn start(people: u32) -> Self {
        let mut systems = BTreeMap::new();
        for ods in PRACTICES.into_iter().filter(|ods| *ods != plan::ROUTELESS) {
            systems.insert(ods, PracticeSystem::start().await.unwrap());
        }
        systems[plan::GAP].habits().lacks = plan::LACKS.map(str::to_owned).to_vec();
        let strangers = (1..=people).filter(|n| plan::is_stranger(*n));
        systems[plan::STRANGERS].habits().unknown = strangers.map(referrals::nhs_number).collect();
        systems[plan::FORGETFUL].habits().forgetful = true;
        Self { systems, planted: AtomicU32::new(0) }
    }

    /// Tells the gateway how to reach them.
    pub fn join(&self, config: &mut Config) {
        config.delivery.timeout_ms = TIMEOUT_MS;
        config.delivery.lease_seconds = LEASE_SECONDS;
        for (ods, system) in &self.systems {
            let ods = OdsCode::parse(ods).unwrap();
            let base_url = system.base_url.clone();
            config.writeback.practices.push(System { base_url, ..System::new(ods, &["fhir"]) });
        }
    }

    /// The day's faults.
    pub fn day(&self, day: u32) {
        for (ods, system) in &self.systems {
            let refuse = if plan::is_down(ods, day) { u32::MAX } else { 0 };
            for side in [&system.steering, &system.searches] {
                let mut faults = side.faults();
                (faults.refuse, faults.status) = (refuse, 503);
            }
        }
        self.systems[plan::SWITCHED].habits().switched_off = plan::OFF.contains(&day);
        let mut faults = self.systems[plan::FORGETFUL].steering.faults();
        // What no write of the last days used up is not planted again.
        if day.is_multiple_of(plan::LOST_EVERY) {
            self.planted.fetch_add(plan::LOST - faults.lose_answer, Ordering::Relaxed);
            faults.lose_answer = plan::LOST;
        }
    }

    /// Waits until nothing is to be sent but to those that are down, moving the clock on meanwhile.
    pub async fn done(&self, gateway: &Gateway, day: u32) {
        let begun = Instant::now();
        loop {
            let queues = gateway.store.queues().await.unwrap();
            let up = |queue: &str| queue.strip_prefix(WRITEBACK).is_some_and(|ods| !plan::is_down(ods, day));
            let left: u64 = queues.iter().filter(|(queue, ..)| up(queue)).map(|(_, to_send, _)| to_send).sum();
            if left == 0 {
                return;
            }
            assert!(begun.elapsed() < DAY_MAX, "day {day}: {left} entries are still to be sent");
            tokio::time::sleep(LOOK).await;
            gateway.clock.advance(STEP);
            wake();
        }
    }

    /// How many answers were lost so far.
    pub fn lost(&self) -> u32 {
        self.planted.load(Ordering::Relaxed) - self.systems[plan::FORGETFUL].steering.faults().lose_answer
    }

    /// Each entry that the gateway calls filed stands in its practice's record once, and no other.
    pub async fn hold_each_once(&self, store: &Store) {
        for (ods, system) in &self.systems {
            let mut held: BTreeMap<String, u64> = BTreeMap::new();
            for entry in &system.record().entries {
                *held.entry(identifier(entry, WRITE_BACK).unwrap().to_owned()).or_default() += 1;
            }
            let mut filed = BTreeMap::new();
            for state in [FilingState::Filed, FilingState::FiledWithoutCode] {
                filed.extend(all(store, ods, state).await.into_iter().map(|filing| (filing.id.to_string(), 1)));
            }
            assert!(held == filed, "{ods}: {} entries held under {} keys", held.values().sum::<u64>(), held.len());
            let coded = |entry: &&serde_json::Value| each(&entry["code"]["coding"]).next().is_some();
            let codeless = system.record().entries.iter().filter(|entry| !coded(entry)).count();
            assert_eq!(codeless > 0, *ods == plan::GAP, "{ods}: {codeless} entries have no code");
        }
    }
}

async fn all(store: &Store, ods: &str, state: FilingState) -> Vec<fingerpost::store::filing::Filing> {
    let find = FilingSearch {
        practice: Some(ods.to_owned()),
        state: Some(state),
        count: usize::try_from(i32::MAX).unwrap(),
        ..FilingSearch::default()
    };
    store.find_filings(find).await.unwrap()
}

/// A person has what the practice refused before then sent again. How many entries there were.
pub async fn send_again(gateway: &Gateway, before: Timestamp) -> usize {
    let refused = all(&gateway.store, plan::SWITCHED, FilingState::Rejected).await;
    let early: Vec<Uuid> = refused.iter().filter(|filing| filing.since < before).map(|filing| filing.id).collect();
    for id in &early {
        says(gateway, *id, Word::Retry, "they have switched it on again", entry(gateway)).await.unwrap();
    }
    early.len()
}

fn entry(gateway: &Gateway) -> Entry {
    let agent = Agent::gateway(&gateway.config.gateway.ods);
    Entry::care(Kind::WriteBack, "write-back", Action::U, agent, gateway.clock.now())
}
