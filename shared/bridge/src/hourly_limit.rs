//! The hourly limit: at most so many orders in any sixty minutes, counted by the minute in the account's row
//! (*Testing*, *General*).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::time::Waits;

const MINUTE: Duration = Duration::from_secs(60);

/// Sixty minutes, of which the first counts whole; and two more, since the clocks of two invocations may each be a
/// minute off.
const WINDOW: i64 = 62;

/// Orders pushed, by the minute since 1970, as the account's row has them.
type Pushed = BTreeMap<String, u32>;

/// Orders that may still be pushed at `now`, in milliseconds since 1970, where `limit` of them are allowed an hour.
pub fn allowance(pushed: &Pushed, limit: u32, now: i64, waits: Waits) -> usize {
    let pushed: u64 = counting(pushed, now, waits).values().sum();
    usize::try_from(u64::from(limit).saturating_sub(pushed)).unwrap_or(usize::MAX)
}

/// When an order may be pushed again, if none may be at `now`: as soon as enough of what was pushed counts no more.
pub fn used_up_until(pushed: &Pushed, limit: u32, now: i64, waits: Waits) -> Option<i64> {
    let minutes = counting(pushed, now, waits);
    let mut left: u64 = minutes.values().sum();
    let mut until = None;
    for (minute, orders) in minutes {
        if left < u64::from(limit) {
            break;
        }
        left -= orders;
        until = Some((minute + WINDOW + 1) * waits.ms(MINUTE));
    }
    until
}

/// What counts at `now`, by the minute.
fn counting(pushed: &Pushed, now: i64, waits: Waits) -> BTreeMap<i64, u64> {
    let first = minute(now, waits) - WINDOW;
    let parsed = pushed.iter().filter_map(|(minute, orders)| Some((minute.parse().ok()?, u64::from(*orders))));
    parsed.filter(|(minute, _)| *minute >= first).collect()
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
    fn a_limit_that_is_used_up_says_until_when() {
        let mut pushed = Pushed::new();
        for minutes in 0..50 {
            count(&mut pushed, 100, at(minutes), Waits::REAL);
        }
        let until = |limit, minutes| used_up_until(&pushed, limit, at(minutes), Waits::REAL);
        assert_eq!(until(5000, 50), Some(at(63)));
        assert_eq!(left(&pushed, 62), 0, "not a minute before");
        assert_eq!(until(4800, 50), Some(at(65)), "two minutes more must be over");
        assert_eq!((until(5001, 50), until(5000, 63), until(5000, 500)), (None, None, None));
        assert_eq!(used_up_until(&Pushed::new(), 1, at(0), Waits::REAL), None);
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
