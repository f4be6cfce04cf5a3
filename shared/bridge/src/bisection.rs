//! The search for the one order that spoils a batch: Pruvan refuses or fails a whole push, and names no order.
//!
//! After a batch that failed as a whole, smaller ones go, until the order at fault stands alone. How far the search has
//! come is kept in the account's row when a turn ends, so that the hourly limit doesn't make it start over.

use serde::{Deserialize, Serialize};

/// Orders that are in quarantine at most: where more of them fail alone, it is the account that fails.
const MOST_IN_QUARANTINE: usize = 20;

/// How far the search has come. The names in the row are those that it has always had.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Bisection {
    /// At most so many orders a batch; 0 while nothing is searched for.
    #[serde(rename = "size")]
    max_batch: usize,
    /// How many orders must still be done with before the search ends; any order counts.
    #[serde(rename = "left")]
    left_to_clear: usize,
    /// Pruvan counted fewer orders than it was sent and named none: each goes singly, and then counts as taken.
    #[serde(rename = "secondLook")]
    singly: bool,
    /// Orders that failed alone, without a word about them: each goes again, alone, when another has gone through, and
    /// is at fault if it fails then.
    #[serde(rename = "aside")]
    quarantine: Vec<String>,
}

impl Bisection {
    /// How many orders the next batch may have, of `most`; one at least.
    pub fn limit(&self, most: usize) -> usize {
        if self.max_batch == 0 { most.max(1) } else { most.min(self.max_batch).max(1) }
    }

    /// A batch of so many orders failed as a whole: half of it goes next.
    pub fn halve(&mut self, orders: usize) {
        (self.max_batch, self.left_to_clear, self.singly) = ((orders / 2).max(1), orders, false);
    }

    /// Pruvan counted fewer of these orders than it was sent: each goes once more, by itself.
    pub fn send_singly(&mut self, orders: usize) {
        (self.max_batch, self.left_to_clear, self.singly) = (1, orders, true);
    }

    /// Whether orders go singly since Pruvan counted fewer than it was sent.
    pub fn sends_singly(&self) -> bool {
        self.singly
    }

    /// The order at fault stood alone, and was refused.
    pub fn found(&mut self) {
        self.end();
    }

    /// These orders are done with: they went through, or were refused by name. The search ends when as many are done
    /// with as the failed batch had.
    pub fn clear<'a>(&mut self, numbers: impl IntoIterator<Item = &'a str>) {
        for number in numbers {
            self.left_to_clear = self.left_to_clear.saturating_sub(1);
            self.quarantine.retain(|held| held != number);
        }
        if self.left_to_clear == 0 {
            self.end();
        }
    }

    /// The search is over. Orders in quarantine stay there: their turn still comes.
    fn end(&mut self) {
        (self.max_batch, self.left_to_clear, self.singly) = (0, 0, false);
    }

    /// An order failed alone, and Pruvan said nothing of it: it may be its fault, or the account's.
    pub fn quarantine(&mut self, number: &str) {
        if self.quarantine.len() < MOST_IN_QUARANTINE && !self.is_in_quarantine(number) {
            self.quarantine.push(number.to_owned());
        }
    }

    /// Whether an order failed alone before.
    pub fn is_in_quarantine(&self, number: &str) -> bool {
        self.quarantine.iter().any(|held| held == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_a_failed_batch_goes_next_until_one_order_stands_alone() {
        let mut search = Bisection::default();
        assert_eq!(search.limit(198), 198);
        let mut batches = Vec::new();
        let mut batch = 198;
        while batch > 1 {
            search.halve(batch);
            batch = search.limit(198);
            batches.push(batch);
        }
        assert_eq!(batches, [99, 49, 24, 12, 6, 3, 1]);
    }

    #[test]
    fn the_search_ends_when_all_suspects_have_gone_through_or_one_was_found() {
        let mut search = Bisection::default();
        search.halve(3);
        search.clear(["1"]);
        assert_eq!(search.limit(198), 1);
        search.clear(["2", "3"]);
        assert_eq!(search, Bisection::default());
        search.halve(100);
        search.found();
        assert_eq!(search, Bisection::default());
    }

    #[test]
    fn the_hourly_limit_makes_a_batch_smaller_still_and_never_empty() {
        let mut search = Bisection::default();
        search.halve(100);
        assert_eq!((search.limit(198), search.limit(7), search.limit(0)), (50, 7, 1));
        assert_eq!(Bisection::default().limit(0), 1);
    }

    #[test]
    fn what_was_not_counted_goes_singly_until_a_batch_fails() {
        let mut search = Bisection::default();
        search.send_singly(5);
        assert!(search.sends_singly() && search.limit(198) == 1);
        search.halve(1);
        assert!(!search.sends_singly());
    }

    #[test]
    fn quarantine_holds_an_order_until_it_is_done_with_and_at_most_twenty() {
        let mut search = Bisection::default();
        for number in (0..30).map(|number| number.to_string()) {
            search.quarantine(&number);
            search.quarantine(&number);
        }
        assert!(search.is_in_quarantine("19") && !search.is_in_quarantine("20"));
        search.clear(["3"]);
        search.quarantine("20");
        assert!(!search.is_in_quarantine("3") && search.is_in_quarantine("20"));
        search.found();
        assert!(search.is_in_quarantine("0"), "the search is over, and their turn still comes");
    }

    #[test]
    fn a_row_of_an_earlier_version_is_read() {
        let stored = r#"{"size":4,"left":9,"secondLook":false,"aside":["7"]}"#;
        let search: Bisection = serde_json::from_str(stored).unwrap();
        assert_eq!((search.limit(198), search.is_in_quarantine("7")), (4, true));
        assert_eq!(serde_json::to_string(&search).unwrap(), stored);
        assert_eq!(serde_json::from_str::<Bisection>("{}").unwrap(), Bisection::default());
    }
}
