//! How a writer waits whom others keep from a row: a little longer each time, no two writers alike, and not for ever.

use std::time::Duration;

use tokio::time::Instant;

use crate::time::Random;

/// The first wait at most, doubled each time: about what one write takes.
const FIRST: Duration = Duration::from_millis(30);

/// And at most so long.
const LONGEST: Duration = Duration::from_millis(500);

/// After so long a write is given up: well within the gateway's 29 seconds, also where one such write holds another.
const PATIENCE: Duration = Duration::from_secs(8);

/// When a write is tried again that others have kept from its row.
#[derive(Debug, Default)]
pub struct Backoff {
    waits: u32,
}

impl Backoff {
    /// The next wait, by what is random, so that those who met don't meet again: between half of it and all of it.
    /// `None` if the write has been tried for long enough, `elapsed` since it first failed.
    pub fn next(&mut self, elapsed: Duration, random: u16) -> Option<Duration> {
        if elapsed >= PATIENCE {
            return None;
        }
        let whole = FIRST.saturating_mul(1 << self.waits.min(10)).min(LONGEST);
        self.waits = self.waits.saturating_add(1);
        Some(whole / 2 + whole / 2 * u32::from(random) / u32::from(u16::MAX))
    }
}

/// What writers need to wait each in its own time.
#[derive(Debug, Clone)]
pub struct Contention {
    random: Random,
}

impl Contention {
    /// With the randomness that keeps writers apart.
    pub fn new(random: &Random) -> Contention {
        Contention { random: random.clone() }
    }

    /// A write that may have to be tried again begins.
    pub fn tries(&self) -> Tries<'_> {
        Tries { random: &self.random, backoff: Backoff::default(), since: None }
    }
}

/// The tries of one write.
#[derive(Debug)]
pub struct Tries<'a> {
    random: &'a Random,
    backoff: Backoff,
    /// When it first failed.
    since: Option<Instant>,
}

impl Tries<'_> {
    /// Waits before the write is tried again; false, at once, if it has been tried for long enough.
    pub async fn again(&mut self) -> bool {
        let elapsed = self.since.get_or_insert_with(Instant::now).elapsed();
        let wait = self.backoff.next(elapsed, u16::from_be_bytes(self.random.bytes()));
        if let Some(wait) = wait {
            tokio::time::sleep(wait).await;
        }
        wait.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All waits of a write whose tries take so long, in milliseconds.
    fn waits(random: u16, each_try: u64) -> Vec<u128> {
        let (mut backoff, mut elapsed, mut waits) = (Backoff::default(), Duration::ZERO, Vec::new());
        while let Some(wait) = backoff.next(elapsed, random) {
            elapsed += wait + Duration::from_millis(each_try);
            waits.push(wait.as_millis());
        }
        waits
    }

    #[test]
    fn each_wait_is_twice_as_long_as_the_one_before_and_at_most_half_a_second() {
        assert_eq!(waits(u16::MAX, 10)[..7], [30, 60, 120, 240, 480, 500, 500]);
        assert_eq!(waits(0, 10)[..7], [15, 30, 60, 120, 240, 250, 250], "at least half of it");
    }

    #[test]
    fn a_write_is_tried_for_eight_seconds_whatever_is_random_and_however_long_a_try_takes() {
        let tries = [(0, 10), (u16::MAX, 10), (0, 2000)].map(|(random, each_try)| waits(random, each_try).len());
        assert_eq!(tries, [34, 19, 4]);
    }
}
