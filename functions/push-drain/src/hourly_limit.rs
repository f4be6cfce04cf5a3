//! The hourly limit: at most so many orders in any sixty minutes, counted by the minute in the account's row
//! (*Testing*, *General*).

use std::collections::BTreeMap;
use std::time::Duration;

use bridge::time::Waits;

const MINUTE: Duration = Duration::from_secs(60);

/// Sixty minutes, of which the first counts whole; and two more, since the clocks of two invocations may each be a
/// minute off.
const WINDOW: i64 = 62;

/// Orders pushed, by the minute since 1970, as the account's row has them.
type Pushed = BTreeMap<String, u32>;

/// Orders that may still be pushed at `now`, in milliseconds since 1970, where `limit` of them are allowed an hour.
pub fn allowance(pushed: &Pushed, limit: u32, now: i64, waits: Waits) -> usize {
    let first = minute(now, waits) - WINDOW;
    let within = pushed.iter().filter(|(minute, _)| minute.parse::<i64>().is_ok_and(|minute| minute >= first));
    let pushed: u64 = within.map(|(_, orders)| u64::from(*orders)).sum();
    usize::try_from(u64::from(limit).saturating_sub(pushed)).unwrap_or(usize::MAX)
}

/// Counts `orders` at `now`. They are never taken out again: Pruvan may have counted them, whatever came of the call.
pub fn count(pushed: &mut Pushed, orders: usize, now: i64, waits: Waits) {
    let this = minute(now, waits);
    pushed.retain(|minute, _| minute.parse::<i64>().is_ok_and(|minute| minute >= this - WINDOW));
    *pushed.entry(this.to_string()).or_default() += u32::try_from(orders).unwrap_or(u32::MAX);
}

/// When to look again at an allowance that is used up.
pub fn next_look(now: i64, waits: Waits) -> i64 {
    now + waits.ms(MINUTE)
}

fn minute(now: i64, waits: Waits) -> i64 {
    now / waits.ms(MINUTE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Minutes after a whole hour.
    fn at(minutes: i64) -> i64 {
        (490_000 * 60 + minutes) * 60_000
    }

    fn left(pushed: &Pushed, minutes: i64) -> usize {
        allowance(pushed, 5000, at(minutes), Waits::REAL)
    }

    #[test]
    fn what_was_pushed_counts_for_an_hour_and_two_minutes() {
        let mut pushed = Pushed::new();
        count(&mut pushed, 5000, at(0), Waits::REAL);
        assert_eq!((left(&pushed, 0), left(&pushed, 62), left(&pushed, 63)), (0, 0, 5000));
        assert_eq!(next_look(at(0), Waits::REAL), at(1));
    }

    #[test]
    fn each_minute_counts_by_itself() {
        let mut pushed = Pushed::new();
        for minutes in 0..50 {
            count(&mut pushed, 100, at(minutes), Waits::REAL);
        }
        assert_eq!(left(&pushed, 50), 0);
        assert_eq!(left(&pushed, 63), 100);
        assert_eq!(left(&pushed, 72), 1000);
    }

    #[test]
    fn the_row_keeps_no_more_minutes_than_count() {
        let mut pushed = Pushed::new();
        for minutes in 0..500 {
            count(&mut pushed, 1, at(minutes), Waits::REAL);
        }
        assert_eq!(pushed.len(), 63);
    }

    #[test]
    fn a_limit_below_what_was_pushed_allows_nothing() {
        let mut pushed = Pushed::new();
        count(&mut pushed, 300, at(0), Waits::REAL);
        assert_eq!(allowance(&pushed, 200, at(1), Waits::REAL), 0);
    }

    #[test]
    fn waits_that_are_divided_make_the_minutes_shorter() {
        let quick = Waits::divided_by(60);
        let mut pushed = Pushed::new();
        count(&mut pushed, 5000, 1_000_000_000, quick);
        assert_eq!(allowance(&pushed, 5000, 1_000_000_000 + 62_000, quick), 0);
        assert_eq!(allowance(&pushed, 5000, 1_000_000_000 + 63_000, quick), 5000);
    }
}
