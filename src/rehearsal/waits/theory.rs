//! The simulation against queues whose waits are known.

use super::*;

/// Arrivals on days in order, with their contacts.
fn arrivals(each: impl Iterator<Item = (i64, u32)>) -> Vec<Arrival> {
    each.enumerate().map(|(index, (on, contacts))| Arrival { index, on, contacts }).collect()
}

fn mean(waits: &[Wait]) -> f64 {
    let days = waits.iter().map(|wait| match wait {
        Wait::Days(days) => f64::from(*days),
        other => panic!("{other:?}"),
    });
    days.sum::<f64>() / f64::from(u32::try_from(waits.len()).unwrap_or(u32::MAX))
}

/// Days between arrivals at so many a day: exponential.
fn pause(rng: &mut fastrand::Rng, a_day: f64) -> f64 {
    -(1.0 - rng.f64()).ln() / a_day
}

/// Arrivals by Poisson with geometric contacts of a mean, one a day once begun.
fn poisson(seed: u64, many: usize, a_day: f64, mean_contacts: f64) -> Vec<Arrival> {
    let (mut rng, mut at) = (fastrand::Rng::with_seed(seed), 0.0);
    arrivals((0..many).map(|_| {
        at += pause(&mut rng, a_day);
        let mut contacts = 1;
        while rng.f64() >= 1.0 / mean_contacts {
            contacts += 1;
        }
        // Days are small enough for this to be exact.
        #[allow(clippy::cast_possible_truncation)]
        (at.floor() as i64, contacts)
    }))
}

#[test]
fn d_d_1_waits_are_exact() {
    // One a day for one slot a day: the next day, always.
    let waits = one_pool(|_| CONTACT, 0, &arrivals((0..200).map(|day| (day, 1))));
    assert!(waits.iter().all(|wait| *wait == Wait::Days(1)), "{waits:?}");
    // Two a day for one slot a day: the kth is seen on day k + 1.
    let waits = one_pool(|_| CONTACT, 0, &arrivals((0..200).map(|k| (k / 2, 1))));
    for (k, wait) in (0_u32..).zip(&waits) {
        assert_eq!(*wait, Wait::Days(k + 1 - k / 2), "the {k}th");
    }
    // Three contacts each, a day apart, and a new person every third day: the slot is always taken, by one.
    let waits = one_pool(|_| CONTACT, 3, &arrivals((0..200).map(|n| (n * 3, 3))));
    assert!(waits.iter().all(|wait| *wait == Wait::Days(1)), "{waits:?}");
    // Half a slot a day is one every second day.
    let waits = one_pool(|_| CONTACT / 2, 0, &arrivals([(0, 1), (0, 1), (0, 1)].into_iter()));
    assert_eq!(waits, [Wait::Days(2), Wait::Days(4), Wait::Days(6)]);
}

#[test]
fn m_d_1_waits_are_those_of_pollaczek_and_khinchine() {
    // One contact each and one slot a day: L / (2 (1 - L)), and the day after at the earliest.
    let a_day = 0.8;
    let waits = one_pool(|_| CONTACT, 0, &poisson(7, 200_000, a_day, 1.0));
    let theory = 1.0 + a_day / (2.0 * (1.0 - a_day));
    assert!((mean(&waits) / theory - 1.0).abs() < 0.05, "{} days, not {theory}", mean(&waits));
}

#[test]
fn m_m_c_waits_are_erlangs() {
    // Three slots a day, each taken by one person daily for 20 days on average: three servers. The
    // simulation has whole days, so it comes out some 2 % lower (6.77 days of 6.91 over 3,000,000 people).
    let (servers, days, busy) = (3_u32, 20.0, 0.6);
    let offered = f64::from(servers) * busy;
    let a_day = offered / days;
    let waits = one_pool(|_| CONTACT * u64::from(servers), 0, &poisson(3, 120_000, a_day, days));
    let (mut term, mut sum) = (1.0, 0.0);
    for k in 0..servers {
        sum += term;
        term *= offered / f64::from(k + 1);
    }
    let last = term / (1.0 - busy);
    let waits_at_all = last / (sum + last);
    let theory = 1.0 + waits_at_all / (f64::from(servers) / days - a_day);
    assert!((mean(&waits) / theory - 1.0).abs() < 0.05, "{} days, not {theory}", mean(&waits));
}
