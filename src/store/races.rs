//! Lost races: somebody else committed first, so the same work is read and done again.
//!
//! Those of one process who lost over the same thing try again one after another, oldest first:
//! sixteen at once then cost thirty-one tries, not a hundred and thirty-six. Against other
//! processes, who stand in no such queue, helps a random wait that grows. Both are bounded.
//!
//! Only who has lost waits: whoever meets nobody pays nothing.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};

use super::StoreError;

/// Times that something is tried in all.
const TRIES_MAX: u32 = 8;
/// Queues of losers. Two things may share one; they then wait for each other, no more.
const QUEUES: usize = 64;
/// How long a loser stands in the queue before it tries without its turn; well under the door's
/// `serve.answer_seconds_max`.
const TURN_WAIT_MAX: Duration = Duration::from_millis(2_500);
/// The longest first wait of who lost in its turn; it doubles with each loss.
const FIRST_WAIT_MAX: Duration = Duration::from_millis(8);

static TURNS: [Mutex<()>; QUEUES] = [const { Mutex::const_new(()) }; QUEUES];

/// The races that one piece of work lost. Dropped when the work is done: the next has its turn.
pub struct Races {
    queue: &'static Mutex<()>,
    turn: Option<MutexGuard<'static, ()>>,
    lost: u32,
}

impl Races {
    /// Nothing lost yet. Those who change the same `thing` stand in one queue when they lose.
    pub fn over(thing: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        thing.hash(&mut hasher);
        let number = usize::try_from(hasher.finish() % QUEUES as u64).unwrap_or_default();
        Self { queue: &TURNS[number], turn: None, lost: 0 }
    }

    /// Waits after a lost race until it is time to try again.
    ///
    /// # Errors
    /// `Overloaded` when the tries are used up.
    pub async fn again(&mut self) -> Result<(), StoreError> {
        self.lost += 1;
        if self.lost >= TRIES_MAX {
            return Err(StoreError::Overloaded);
        }
        if self.lost == 1 {
            self.turn = tokio::time::timeout(TURN_WAIT_MAX, self.queue.lock()).await.ok();
            return Ok(());
        }
        let longest = FIRST_WAIT_MAX * 2_u32.pow(self.lost);
        tokio::time::sleep(longest.mul_f64(fastrand::f64())).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Reads, works, and writes where nobody else did meanwhile.
    async fn add(thing: Arc<AtomicU32>) -> Result<(), StoreError> {
        let mut races = Races::over("the thing");
        loop {
            let seen = thing.load(Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(2)).await;
            match thing.compare_exchange(seen, seen + 1, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return Ok(()),
                Err(_) => races.again().await?,
            }
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_hundred_at_once_all_have_their_turn() {
        let thing = Arc::new(AtomicU32::new(0));
        let all: Vec<_> = (0..100).map(|_| tokio::spawn(add(thing.clone()))).collect();
        for one in all {
            assert!(matches!(one.await, Ok(Ok(()))));
        }
        assert_eq!(thing.load(Ordering::SeqCst), 100);
    }

    #[tokio::test]
    async fn who_loses_to_others_each_time_is_told_in_the_end() {
        let mut races = Races::over("another thing");
        let mut tries = 1;
        while races.again().await.is_ok() {
            tries += 1;
        }
        assert_eq!(tries, TRIES_MAX);
    }
}
