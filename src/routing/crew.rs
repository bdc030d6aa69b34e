//! Link workers as a decision weighs them: those of a pool stand side by side, and hold in place
//! all that they are asked about. The rows that people read are `people`'s.

use super::index::{Stretch, pour};
use super::input::Sex;
use super::people::Worker;
use super::place::Tables;
use super::rows::Period;
use super::suit::bits;
use super::table::Table;

/// The crews of all pools.
#[derive(Debug, Clone, Default)]
pub(super) struct Crews {
    /// For each row of a pool, its hands in the order of their ids.
    pools: Vec<Stretch>,
    hands: Vec<Hand>,
    /// A number for each language and each skill that a hand has.
    numbers: Table<String, u32>,
    /// The numbers of all hands' languages and skills.
    told: Vec<u32>,
    /// When hands are away.
    away: Vec<Period>,
}

/// A link worker's time in a pool.
#[derive(Debug, Clone)]
pub(super) struct Hand {
    /// The row in the table of link workers.
    pub row: u32,
    pub period: Period,
    pub fte_hundredths: u32,
    pub sex: Option<Sex>,
    pub home_visits: bool,
    /// Days with a shift, as bits, Monday lowest.
    pub days: u8,
    /// Days with a shift that has an evening.
    pub evenings: u8,
    languages: Stretch,
    skills: Stretch,
    away: Stretch,
    /// `pool/worker`, as decisions name a link worker who was passed over.
    pub path: Box<str>,
    /// Where the link worker's id begins in `path`.
    id_from: u32,
}

impl Hand {
    /// The link worker's id.
    pub fn id(&self) -> &str {
        &self.path[self.id_from as usize..]
    }
}

impl Crews {
    /// The hands of tables that are sorted by their keys.
    pub fn of(rows: &Tables) -> Self {
        let mut own: Table<&str, Vec<u32>> = Table::default();
        for (row, worker) in (0u32..).zip(&rows.workers) {
            own.entry(&worker.pool).or_default().push(row);
        }
        let mut crews = Self::default();
        let mut known: Table<&str, Stretch> = Table::default();
        for pool in &rows.pools {
            let hands = *known.entry(&pool.id).or_insert_with(|| {
                let from = crews.hands.len();
                for row in own.get(pool.id.as_str()).into_iter().flatten() {
                    let hand = crews.hand(*row, rows);
                    crews.hands.push(hand);
                }
                Stretch::between(from, crews.hands.len())
            });
            crews.pools.push(hands);
        }
        crews
    }

    fn hand(&mut self, row: u32, rows: &Tables) -> Hand {
        let worker = &rows.workers[row as usize];
        let on = |evening: bool| {
            let shifts = worker.shifts.iter().filter(|shift| !evening || shift.has_evening());
            bits(&shifts.map(|shift| shift.day).collect::<Vec<_>>())
        };
        let absences = rows.absences.partition_point(|absence| absence.worker < worker.id);
        let absences = rows.absences[absences..].iter().take_while(|absence| absence.worker == worker.id);
        Hand {
            row,
            period: worker.period,
            fte_hundredths: worker.fte_hundredths,
            sex: worker.sex,
            home_visits: worker.home_visits,
            days: on(false),
            evenings: on(true),
            languages: self.tell(worker.languages.iter().map(|code| code.to_ascii_lowercase())),
            skills: self.tell(worker.skills.iter().cloned()),
            away: pour(&mut self.away, absences.map(|absence| absence.period)),
            path: [&worker.pool, "/", &worker.id].concat().into(),
            id_from: Stretch::between(0, worker.pool.len() + 1).to,
        }
    }

    fn tell(&mut self, words: impl Iterator<Item = String>) -> Stretch {
        let numbers = &mut self.numbers;
        let number = |word| {
            let next = Stretch::between(0, numbers.len()).to;
            *numbers.entry(word).or_insert(next)
        };
        pour(&mut self.told, words.map(number))
    }

    /// The hands of a pool, by its row.
    pub fn pool(&self, row: usize) -> &[Hand] {
        self.pools.get(row).map_or(&[], |hands| hands.of(&self.hands))
    }

    /// The number of a language (in small letters) or a skill; `None`: nobody has it.
    pub fn number(&self, word: &str) -> Option<u32> {
        self.numbers.get(word).copied()
    }

    /// True when a hand speaks a language, by its number.
    pub fn speaks(&self, hand: &Hand, language: u32) -> bool {
        hand.languages.of(&self.told).contains(&language)
    }

    /// True when a hand has a skill, by its number.
    pub fn has_skill(&self, hand: &Hand, skill: u32) -> bool {
        hand.skills.of(&self.told).contains(&skill)
    }

    /// When a hand is away.
    pub fn away(&self, hand: &Hand) -> &[Period] {
        hand.away.of(&self.away)
    }

    /// The rows of a pool's hands, and when each is away.
    pub fn rows<'a>(&'a self, row: usize, workers: &'a [Worker]) -> impl Iterator<Item = (&'a Worker, &'a [Period])> {
        self.pool(row).iter().map(|hand| (&workers[hand.row as usize], self.away(hand)))
    }
}
