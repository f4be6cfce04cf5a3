//! Which orders go in one call.

use std::collections::VecDeque;

use bridge::bisection::Bisection;

use crate::conclude;

/// Orders a call, at most: as many as two full transactions can conclude.
pub const MAX_BATCH: usize = 2 * conclude::ORDERS;

/// Bytes a call, at most, unless one order is larger.
pub const MAX_BATCH_BYTES: usize = 1_000_000;

/// What stands around an order in a push, in bytes, at most.
const AROUND: usize = 20;

/// Takes what goes next out of what waits, in its order: at most `most`, fewer while an order at fault is searched for,
/// one at least.
///
/// An order that failed alone goes alone, and only after another went through in this turn, so that it can be told
/// whose fault it was; or if nothing else waits.
pub fn pick<T>(
    waiting: &mut VecDeque<T>,
    number: impl Fn(&T) -> &str,
    bisection: &Bisection,
    most: usize,
    went_through: bool,
) -> Vec<T> {
    let most = bisection.limit(most);
    let held: Vec<bool> = waiting.iter().map(|row| bisection.is_in_quarantine(number(row))).collect();
    let alone = held.iter().position(|held| *held).filter(|_| went_through || !held.contains(&false));
    if let Some(at) = alone {
        return waiting.remove(at).into_iter().collect();
    }
    let (mut picked, mut left) = (Vec::new(), VecDeque::new());
    for (row, held) in waiting.drain(..).zip(held) {
        if held || picked.len() == most { left.push_back(row) } else { picked.push(row) }
    }
    *waiting = left;
    picked
}

/// How many orders of these sizes one call carries, the first of them in any case.
pub fn fitting(sizes: impl Iterator<Item = usize>) -> usize {
    let mut bytes = 0;
    let fits = |size: &usize| {
        bytes += size + AROUND;
        bytes <= MAX_BATCH_BYTES
    };
    sizes.take_while(fits).count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting() -> VecDeque<&'static str> {
        VecDeque::from(["1", "2", "3", "4", "5"])
    }

    fn picked(
        waiting: &mut VecDeque<&'static str>,
        bisection: &Bisection,
        most: usize,
        went: bool,
    ) -> Vec<&'static str> {
        pick(waiting, |row| row, bisection, most, went)
    }

    #[test]
    fn what_waits_longest_goes_first_and_the_rest_waits_on() {
        let mut rows = waiting();
        assert_eq!(picked(&mut rows, &Bisection::default(), 3, false), ["1", "2", "3"]);
        assert_eq!(rows, ["4", "5"]);
        assert_eq!(picked(&mut rows, &Bisection::default(), 0, false), ["4"], "one, to see whether there is any");
    }

    #[test]
    fn batches_are_smaller_while_an_order_at_fault_is_searched_for() {
        let mut search = Bisection::default();
        search.halve(5);
        assert_eq!(picked(&mut waiting(), &search, 198, false), ["1", "2"]);
    }

    #[test]
    fn an_order_in_quarantine_goes_alone_and_after_another() {
        let mut search = Bisection::default();
        search.quarantine("2");
        let mut rows = waiting();
        assert_eq!(picked(&mut rows, &search, 198, false), ["1", "3", "4", "5"]);
        assert_eq!(rows, ["2"]);
        assert_eq!(picked(&mut waiting(), &search, 198, true), ["2"], "another has gone through");
        assert_eq!(picked(&mut rows, &search, 198, false), ["2"], "there is no other");
    }

    #[test]
    fn a_call_carries_a_megabyte_and_one_order_in_any_case() {
        assert_eq!(fitting([600_000, 300_000, 200_000].into_iter()), 2);
        assert_eq!(fitting([2_000_000, 1].into_iter()), 1);
        let half = MAX_BATCH_BYTES / 2 - AROUND;
        assert_eq!(fitting([half, half].into_iter()), 2);
        assert_eq!(fitting([half, half + 1].into_iter()), 1);
    }
}
