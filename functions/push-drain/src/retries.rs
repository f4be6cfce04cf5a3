//! When what failed goes again: an order that Pruvan refused, and an account whose calls fail as a whole.

use std::time::Duration;

use bridge::time::Waits;

/// A refused order is tried again after these waits, and then parked.
const OF_ORDER: [Duration; 8] =
    [minutes(1), minutes(5), minutes(15), minutes(60), minutes(180), minutes(360), minutes(720), minutes(1440)];

/// Failures of the account (no connection, no reply in time, maintenance, any HTTP status that is no success) hold it
/// back for so long at first, doubled each time. A failure ends the turn, so the wait decides which tick comes next.
const FIRST_OF_ACCOUNT: Duration = Duration::from_secs(5);

/// And at most for so long.
const LONGEST_OF_ACCOUNT: Duration = minutes(5);

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

/// The wait before the next try of an order that was refused after `attempts` earlier tries; `None` if that was the
/// last, and it is parked.
pub fn wait_of_order(attempts: u32) -> Option<Duration> {
    usize::try_from(attempts).ok().and_then(|attempts| OF_ORDER.get(attempts)).copied()
}

/// Milliseconds before the next call for an account whose last `failures` calls failed; Pruvan may have asked for a
/// pause of `retry_after` seconds, which is kept, up to five minutes.
pub fn wait_of_account(failures: u32, retry_after: Option<u64>, jitter: Jitter) -> i64 {
    let wait = match retry_after {
        Some(seconds) => {
            jitter.waits.ms(Duration::from_secs(seconds).min(LONGEST_OF_ACCOUNT)) + jitter.of(FIRST_OF_ACCOUNT)
        }
        None => jitter.of((FIRST_OF_ACCOUNT * (1 << failures.clamp(1, 7).saturating_sub(1))).min(LONGEST_OF_ACCOUNT)),
    };
    wait.min(jitter.waits.ms(LONGEST_OF_ACCOUNT))
}

/// Makes a wait up to 20 % longer or shorter, so that what failed together doesn't come back together.
#[derive(Debug, Clone, Copy)]
pub struct Jitter {
    /// By how much all waits are divided.
    pub waits: Waits,
    /// 0 makes it 20 % shorter, 255 20 % longer.
    pub random: u8,
}

impl Jitter {
    /// `wait` in milliseconds, at least one.
    pub fn of(self, wait: Duration) -> i64 {
        (self.waits.ms(wait) * (800 + i64::from(self.random) * 400 / 255) / 1000).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jitter(random: u8) -> Jitter {
        Jitter { waits: Waits::REAL, random }
    }

    #[test]
    fn a_refused_order_is_tried_later_each_time_and_then_parked() {
        let waits: Vec<u64> = (0..).map_while(wait_of_order).map(|wait| wait.as_secs() / 60).collect();
        assert_eq!(waits, [1, 5, 15, 60, 180, 360, 720, 1440]);
    }

    #[test]
    fn an_account_waits_twice_as_long_after_each_failure_and_at_most_five_minutes() {
        let waits = [1, 2, 3, 4, 5, 6, 7, 100].map(|failures| wait_of_account(failures, None, jitter(128)) / 1000);
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300]);
    }

    #[test]
    fn a_pause_that_pruvan_asked_for_is_kept_up_to_five_minutes() {
        assert!((60_000 + 4_000..=60_000 + 6_000).contains(&wait_of_account(1, Some(60), jitter(0))));
        assert_eq!(wait_of_account(1, Some(86_400), jitter(255)), 300_000);
    }

    #[test]
    fn waits_are_up_to_a_fifth_longer_or_shorter() {
        let of = |random| jitter(random).of(Duration::from_secs(100));
        assert_eq!((of(0), of(255)), (80_000, 120_000));
        assert_eq!(jitter(0).of(Duration::ZERO), 1);
    }
}
