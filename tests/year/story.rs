//! The year as it happens: people, what is done for them and when. Drawn from a seed; knows
//! nothing of the gateway.

/// Days of the year; what would happen later does not.
pub const DAYS: u32 = 365;
/// Practices of Sefton that refer.
pub const PRACTICES: [&str; 8] = ["N84001", "N84002", "N84004", "N84005", "N84006", "N84008", "N84012", "N84630"];
/// Reasons for referral, SNOMED CT.
pub const REASONS: [&str; 6] = ["267076002", "422650009", "733423003", "81877007", "73438004", "160695008"];
const SUPPORT: [&str; 5] = ["befriending", "walking group", "debt advice", "gardening", "carers' centre"];
const LACKING: [&str; 3] = ["transport", "a warm place", "evening groups"];
const ETHNICITIES: [&str; 8] = ["A", "B", "C", "H", "J", "R", "Z", "99"];
const CLASSES: [&str; 4] = ["AMB", "HH", "VR", "FLD"];
const MISSED: [&str; 3] = ["281399006", "185337004", "294631000000100"];

/// SplitMix64: the same numbers on every machine.
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both included.
    pub fn of(&mut self, low: u32, high: u32) -> u32 {
        low + u32::try_from(self.next() % u64::from(high - low + 1)).unwrap()
    }

    /// True in `share` of a hundred.
    pub fn in_100(&mut self, share: u32) -> bool {
        self.of(1, 100) <= share
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.of(0, u32::try_from(from.len()).unwrap() - 1) as usize]
    }
}

#[derive(Debug, Clone)]
pub struct Person {
    /// Which NHS number of the test range.
    pub n: u32,
    /// Year, month, day; month and day 0: only the year is known.
    pub birth: (i16, u32, u32),
    pub sex: Option<&'static str>,
    pub ethnicity: Option<&'static str>,
    pub restricted: bool,
}

/// A score, as it is sent.
#[derive(Debug, Clone)]
pub enum Measured {
    /// SWEMWBS by its raw total.
    Swemwbs(u32),
    /// SWEMWBS by its seven answers.
    SwemwbsItems([u32; 7]),
    /// ONS4: satisfaction, worthwhile, happiness, anxiety.
    Ons4([u32; 4]),
    /// PHQ-9's total, and the version named with it.
    Phq9(u32, &'static str),
    /// EQ-VAS.
    EqVas(u32),
    /// UCLA-3's answers; with fewer than three there is no total.
    Ucla(Vec<u32>),
    /// SWEMWBS does not suit the person.
    NotSuitable,
}

#[derive(Debug, Clone)]
pub enum Act {
    Refer,
    /// The same message again.
    Resend,
    /// A number with a wrong check digit.
    ReferDamaged,
    /// A second referral of the person, by this message number.
    ReferAgain(u32),
    Withdraw,
    Attempt(&'static str),
    Accept,
    Meet(&'static str),
    Measure(Measured),
    Signpost(&'static str),
    Onward(&'static str),
    Decline,
    Return,
    Close(&'static str, Vec<&'static str>),
}

/// One referral, and all that is done about it, in order of the days.
#[derive(Debug, Clone)]
pub struct Story {
    /// The message number.
    pub message: u32,
    pub person: Person,
    pub practice: &'static str,
    pub reasons: Vec<&'static str>,
    pub acts: Vec<(u32, Act)>,
}

impl Story {
    /// What happens within the year.
    pub fn happens(&self) -> impl Iterator<Item = &(u32, Act)> {
        self.acts.iter().filter(|(day, _)| *day < DAYS)
    }
}

/// So many referrals.
pub fn year(referrals: u32, seed: u64) -> Vec<Story> {
    let mut dice = Dice(seed);
    (1..=referrals).map(|n| story(n, &mut dice)).collect()
}

fn person(n: u32, dice: &mut Dice) -> Person {
    let whole = !dice.in_100(4);
    Person {
        n,
        birth: (
            i16::try_from(dice.of(1932, 2009)).unwrap(),
            if whole { dice.of(1, 12) } else { 0 },
            if whole { dice.of(1, 28) } else { 0 },
        ),
        sex: (!dice.in_100(3)).then(|| dice.pick(&["female", "female", "male", "other"])),
        ethnicity: (!dice.in_100(10)).then(|| dice.pick(&ETHNICITIES)),
        restricted: dice.in_100(1),
    }
}

fn story(n: u32, dice: &mut Dice) -> Story {
    let person = person(n, dice);
    let mut reasons = vec![dice.pick(&REASONS)];
    let second = dice.pick(&REASONS);
    if dice.in_100(30) && !reasons.contains(&second) {
        reasons.push(second);
    }
    let day = dice.of(0, 330);
    let mut acts = Vec::new();
    let damaged = dice.in_100(1);
    acts.push((day, if damaged { Act::ReferDamaged } else { Act::Refer }));
    if !damaged {
        if dice.in_100(5) {
            acts.push((day, Act::Resend));
        }
        life(day, n, dice, &mut acts);
    }
    Story { message: n, person, practice: dice.pick(&PRACTICES), reasons, acts }
}

/// What follows a referral.
fn life(mut day: u32, n: u32, dice: &mut Dice, acts: &mut Vec<(u32, Act)>) {
    if dice.in_100(3) {
        acts.push((day + dice.of(1, 3), Act::Withdraw));
        return;
    }
    for _ in 0..dice.of(0, 2) {
        day += dice.of(2, 5);
        acts.push((day, Act::Attempt(dice.pick(&MISSED))));
    }
    day += dice.of(1, 6);
    match dice.of(1, 100) {
        1..=8 => acts.push((day, Act::Decline)),
        9..=13 => acts.push((day, Act::Return)),
        14..=15 => {}
        _ => episode(day, n, dice, acts),
    }
}

/// From acceptance to the end.
fn episode(mut day: u32, n: u32, dice: &mut Dice, acts: &mut Vec<(u32, Act)>) {
    acts.push((day, Act::Accept));
    if dice.in_100(2) {
        // Message numbers of second referrals follow all others.
        acts.push((day + 1, Act::ReferAgain(10_000 + n)));
    }
    let drops = dice.in_100(15);
    let contacts = if drops { dice.of(1, 4) } else { dice.of(8, 14) };
    let kinds = [dice.of(0, 5), dice.of(0, 5)];
    let review = contacts / 2;
    for nth in 1..=contacts {
        day += dice.of(4, 8);
        if dice.in_100(8) {
            acts.push((day, Act::Attempt(dice.pick(&MISSED))));
            day += 1;
        }
        acts.push((day, Act::Meet(dice.pick(&CLASSES))));
        let due = nth == 1 || (nth == review && dice.in_100(50)) || (nth == contacts && !drops && dice.in_100(80));
        for (i, kind) in kinds.iter().enumerate() {
            if due && (i == 0 || kinds[0] != kinds[1]) {
                acts.push((day, Act::Measure(measured(*kind, dice))));
            }
        }
        if dice.in_100(12) {
            acts.push((day, Act::Signpost(dice.pick(&SUPPORT))));
        }
        if dice.in_100(5) {
            acts.push((day, Act::Onward(dice.pick(&SUPPORT))));
        }
    }
    day += dice.of(1, 10);
    acts.push((day, close(drops, dice)));
}

fn close(drops: bool, dice: &mut Dice) -> Act {
    if drops {
        return Act::Close("did-not-engage", Vec::new());
    }
    match dice.of(1, 100) {
        1..=6 => Act::Close("moved", Vec::new()),
        7..=8 => Act::Close("died", Vec::new()),
        9..=18 => {
            let mut lacking = vec![dice.pick(&LACKING)];
            let second = dice.pick(&LACKING);
            if dice.in_100(20) && !lacking.contains(&second) {
                lacking.push(second);
            }
            Act::Close("unmet-need", lacking)
        }
        19..=22 => Act::Close("returned-to-referrer", Vec::new()),
        _ => Act::Close("completed", Vec::new()),
    }
}

fn measured(kind: u32, dice: &mut Dice) -> Measured {
    match kind {
        0 if dice.in_100(5) => Measured::NotSuitable,
        0 => Measured::Swemwbs(dice.of(7, 35)),
        1 => Measured::SwemwbsItems(std::array::from_fn(|_| dice.of(1, 5))),
        2 => Measured::Ons4(std::array::from_fn(|_| dice.of(0, 10))),
        3 => Measured::Phq9(dice.of(0, 27), dice.pick(&["", "", "", "easy read"])),
        4 => Measured::EqVas(dice.of(0, 100)),
        _ => {
            let answers = if dice.in_100(6) { 2 } else { 3 };
            Measured::Ucla((0..answers).map(|_| dice.of(1, 3)).collect())
        }
    }
}
