//! Pushes whose end isn't known: under way, or cut off. What they carried may be in Pruvan, now or in a while.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::lease::IN_DOUBT_FOR;
use crate::secrets::sha256_hex;
use crate::store::sortable;
use crate::time::ms;

/// Orders kept; beyond them, the oldest calls are forgotten.
const MAX_ORDERS: usize = 4000;

/// Digits an order takes: 8 of its number's hash, so that an account's row stays small (a false member in some millions
/// costs a push), and 8 of its revision.
const DIGITS: usize = 16;

/// The orders of each such call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InFlight {
    /// With which push key they were made ([`crate::accounts::Account::push_key_serial`]).
    to: i64,
    /// By when they began.
    calls: BTreeMap<String, String>,
}

impl InFlight {
    /// A call with the push key `to` begins at `at`; it carries `orders`, each with the revision in which it was read.
    /// What was sent with another key is of no interest any more.
    pub fn begin<'a>(&mut self, to: i64, at: i64, orders: impl Iterator<Item = (&'a str, i64)>) {
        if self.to != to {
            *self = InFlight { to, calls: BTreeMap::new() };
        }
        let call = self.calls.entry(sortable(at)).or_default();
        call.extend(orders.map(|(number, revision)| entry(&hash(number), revision)));
        while self.calls.len() > 1 && self.calls.values().map(|call| call.len() / DIGITS).sum::<usize>() > MAX_ORDERS {
            self.calls.pop_first();
        }
    }

    /// The call that began at `at` is known to have done nothing.
    pub fn cancel(&mut self, at: i64) {
        self.calls.remove(&sortable(at));
    }

    /// The call that began at `at` ended well. An order that an earlier call may still change stays: that it was told
    /// more since is noted.
    pub fn end<'a>(&mut self, at: i64, orders: impl Iterator<Item = (&'a str, i64)>) {
        self.calls.remove(&sortable(at));
        let orders: BTreeMap<String, i64> = orders.map(|(number, revision)| (hash(number), revision)).collect();
        self.calls.retain(|began, call| {
            let over = began.parse().is_ok_and(|began: i64| began + ms(IN_DOUBT_FOR) <= at);
            *call = members(call)
                .filter_map(|(hash, revision)| match orders.get(hash) {
                    None => Some(entry(hash, revision)),
                    Some(_) if over => None,
                    Some(told) => Some(entry(hash, revision.max(*told))),
                })
                .collect();
            !call.is_empty()
        });
    }

    /// Until when an earlier call with the push key `to` may change the order, if one may at `now`.
    pub fn in_doubt_until(&self, to: i64, number: &str, now: i64) -> Option<i64> {
        if self.to != to {
            return None;
        }
        let hash = hash(number);
        let calls = self.calls.iter().filter(|(_, call)| members(call).any(|(member, _)| member == hash));
        calls
            .filter_map(|(began, _)| began.parse().ok())
            .map(|began: i64| began + ms(IN_DOUBT_FOR))
            .filter(|until| *until > now)
            .max()
    }

    /// Whether a call with the push key `to` may have told of the order what it was at `revision`.
    pub fn may_have_told(&self, to: i64, number: &str, revision: i64) -> bool {
        let hash = hash(number);
        let mut members = self.calls.values().flat_map(|call| members(call));
        self.to == to && members.any(|(member, told)| member == hash && told >= revision)
    }
}

fn hash(number: &str) -> String {
    sha256_hex(number.as_bytes())[..8].to_owned()
}

fn entry(hash: &str, revision: i64) -> String {
    format!("{hash}{:08x}", revision.clamp(0, 0xFFFF_FFFF))
}

fn members(call: &str) -> impl Iterator<Item = (&str, i64)> {
    (0..call.len() / DIGITS).filter_map(|index| {
        let entry = call.get(index * DIGITS..(index + 1) * DIGITS)?;
        Some((entry.get(..8)?, i64::from_str_radix(entry.get(8..)?, 16).ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_lost_call_carried_is_in_doubt_until_it_can_do_no_more() {
        let mut in_flight = InFlight::default();
        in_flight.begin(1, 1000, [("1", 3), ("2", 7)].into_iter());
        assert_eq!(in_flight.in_doubt_until(1, "1", 2000), Some(1000 + ms(IN_DOUBT_FOR)));
        assert!(in_flight.may_have_told(1, "2", 7) && !in_flight.may_have_told(1, "2", 8));
        assert!(!in_flight.may_have_told(2, "2", 7), "another integration");
        assert_eq!(in_flight.in_doubt_until(2, "1", 2000), None);
        // A later call ends well: the doubt stays, and what was told since is known.
        in_flight.begin(1, 5000, [("1", 4)].into_iter());
        in_flight.end(5000, [("1", 4)].into_iter());
        assert!(in_flight.may_have_told(1, "1", 4) && !in_flight.may_have_told(1, "1", 5));
        assert_eq!(in_flight.in_doubt_until(1, "1", 6000), Some(1000 + ms(IN_DOUBT_FOR)));
        // One that begins after the doubt ends it.
        in_flight.begin(1, 1000 + ms(IN_DOUBT_FOR), [("1", 4)].into_iter());
        in_flight.end(1000 + ms(IN_DOUBT_FOR), [("1", 4)].into_iter());
        assert_eq!((in_flight.in_doubt_until(1, "1", 0), in_flight.may_have_told(1, "1", 1)), (None, false));
        assert!(in_flight.may_have_told(1, "2", 7));
        // With another key all is new.
        in_flight.begin(2, 9000, [("3", 1)].into_iter());
        assert!(!in_flight.may_have_told(2, "2", 7) && in_flight.may_have_told(2, "3", 1));
        in_flight.cancel(9000);
        assert_eq!(in_flight, InFlight { to: 2, ..InFlight::default() });
    }

    #[test]
    fn the_oldest_calls_make_room() {
        let mut in_flight = InFlight::default();
        for call in 0..30 {
            let numbers: Vec<String> = (0..198).map(|n| format!("{call}-{n}")).collect();
            in_flight.begin(1, call, numbers.iter().map(|number| (number.as_str(), 1)));
        }
        assert!(!in_flight.may_have_told(1, "0-0", 1) && in_flight.may_have_told(1, "29-0", 1));
        assert!(serde_json::to_string(&in_flight).unwrap().len() < 80_000);
    }
}
