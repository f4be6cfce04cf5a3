//! What keeps an account's queue, or one order of it, from going out with the next tick: the rules, without I/O. What
//! the host's API says of it is decided here and nowhere else.

use serde_json::{Map, Value};

use crate::account::{Account, PushKeyState};
use crate::hourly_limit;
use crate::push_queue::QueueRow;
use crate::time::{Waits, display};

/// What an order waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockedBy {
    /// Nobody has pressed Validate yet.
    NoPushKey,
    /// Pruvan said that the push key is no good.
    DeadPushKey,
    /// The push key leads where it must not.
    RefusedPushKey,
    /// Calls of the account failed as a whole, the last of them too.
    Backoff,
    /// The orders an hour are used up that Pruvan takes.
    HourlyLimit,
    /// An earlier push of the order may still take effect, and this one is to come after it.
    InDoubt,
    /// Pruvan refused the order.
    Refused,
    /// Pruvan refused it so often that it is tried no more.
    Parked,
}

impl BlockedBy {
    /// As it is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            BlockedBy::NoPushKey => "noPushKey",
            BlockedBy::DeadPushKey => "deadPushKey",
            BlockedBy::RefusedPushKey => "refusedPushKey",
            BlockedBy::Backoff => "backoff",
            BlockedBy::HourlyLimit => "hourlyLimit",
            BlockedBy::InDoubt => "inDoubt",
            BlockedBy::Refused => "refused",
            BlockedBy::Parked => "parked",
        }
    }
}

/// What is in the way, and what its reader can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// What is in the way.
    pub by: BlockedBy,
    /// In words, with Pruvan's own where it gave some.
    pub reason: String,
    /// When it ends by itself, in milliseconds since 1970; without, somebody must act.
    pub until: Option<i64>,
}

impl Blocked {
    fn new(by: BlockedBy, until: Option<i64>, reason: impl Into<String>) -> Blocked {
        Blocked { by, until, reason: reason.into() }
    }
}

/// What keeps all orders of an account back at `now`; `None` if they go with the next tick.
pub fn queue(account: &Account, now: i64, waits: Waits) -> Option<Blocked> {
    push_key(account).or_else(|| wait(account, now, waits))
}

/// The same of one order. Without a push key that works nothing else matters; what must be acted on comes before what
/// passes; and of two waits the longer one is told.
pub fn order(account: &Account, row: &QueueRow, now: i64, waits: Waits) -> Option<Blocked> {
    if let Some(blocked) = push_key(account) {
        return Some(blocked);
    }
    let (own, of_all) = (of_row(account, row, now), wait(account, now, waits));
    let lasts = |blocked: &Blocked| blocked.until.unwrap_or(i64::MAX);
    own.into_iter().chain(of_all).max_by_key(lasts)
}

/// As the host sees it, wherever it is shown: all three are null if nothing is in the way.
pub fn shown(blocked: Option<Blocked>) -> Map<String, Value> {
    let (by, reason, until) = match blocked {
        Some(Blocked { by, reason, until }) => (Some(by.as_str()), Some(reason), until),
        None => (None, None, None),
    };
    Map::from_iter([
        ("blockedBy".to_owned(), Value::from(by)),
        ("reason".to_owned(), Value::from(reason)),
        ("until".to_owned(), Value::from(until.map(display))),
    ])
}

fn push_key(account: &Account) -> Option<Blocked> {
    let why = |unknown: &str| account.last_failure.clone().unwrap_or_else(|| unknown.to_owned());
    Some(match account.push_key_state {
        PushKeyState::Live => return None,
        PushKeyState::None => {
            let reason = "there is no push key yet: the Pruvan user has to press Validate";
            Blocked::new(BlockedBy::NoPushKey, None, reason)
        }
        PushKeyState::Dead => {
            let said = why("no more is known");
            let reason = format!("Pruvan takes the push key no more ({said}): the Pruvan user has to press Validate");
            Blocked::new(BlockedBy::DeadPushKey, None, reason)
        }
        PushKeyState::Refused => {
            let fault = why("it leads where it must not");
            let reason = format!(
                "the push key is not used, since {fault}: once that is mended, the Pruvan user has to press Validate"
            );
            Blocked::new(BlockedBy::RefusedPushKey, None, reason)
        }
    })
}

/// What passes by itself, and holds for all orders of an account.
fn wait(account: &Account, now: i64, waits: Waits) -> Option<Blocked> {
    // Until a call goes through, the last one failed, also when its wait is over and the next tick tries again.
    let backoff = (account.failures > 0).then(|| {
        let why = account.last_failure.as_deref().unwrap_or("Pruvan did not take the call");
        let why = sentence(why);
        let calls = if account.failures == 1 { "call" } else { "calls in a row" };
        let reason = format!("{why} After {} failed {calls} it is tried again by itself", account.failures);
        Blocked::new(BlockedBy::Backoff, Some(account.backoff_until.max(now)), reason)
    });
    let limit = account.settings.push_limit_per_hour;
    let used_up = hourly_limit::used_up_until(&account.pushed, limit, now, waits).map(|until| {
        let reason = format!("the {limit} orders an hour that this account may push (pushLimitPerHour) are used up");
        Blocked::new(BlockedBy::HourlyLimit, Some(until), reason)
    });
    used_up.into_iter().chain(backoff).max_by_key(|blocked| blocked.until)
}

/// Words with a full stop behind them, of which Pruvan's own have one at times.
fn sentence(words: &str) -> String {
    if words.ends_with(['.', '!', '?']) { words.to_owned() } else { format!("{words}.") }
}

/// What keeps this order back and no other.
fn of_row(account: &Account, row: &QueueRow, now: i64) -> Option<Blocked> {
    let said = || row.last_error.as_deref().unwrap_or("without a reason");
    let again = "a change of the order, or POST …/push-queue/{workOrderNumber}/retry, sends it at once";
    let in_doubt = |until| {
        let reason = "an earlier push of it may still take effect in Pruvan: it goes when that can't be any more";
        Blocked::new(BlockedBy::InDoubt, Some(until), reason)
    };
    match row.due_at() {
        None => {
            let reason = format!(
                "Pruvan refused it {} times and it is tried no more: {} {again}",
                row.attempts,
                sentence(said())
            );
            Some(Blocked::new(BlockedBy::Parked, None, reason))
        }
        Some(due) if due > now && row.attempts > 0 => Some(Blocked::new(
            BlockedBy::Refused,
            Some(due),
            format!("Pruvan refused it: {} {again}", sentence(said())),
        )),
        Some(due) if due > now => Some(in_doubt(due)),
        // What goes first must not come before what an earlier push may still do.
        Some(_) if row.first_push.is_needed() && row.first_push.for_push_key == account.push_key_serial => {
            account.in_flight.in_doubt_until(account.push_key_serial, &row.work_order_number, now).map(in_doubt)
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_795_435_200_000;

    fn account(more: Value) -> Account {
        let mut account = json!({ "username": "vendor1", "madeAt": 0, "pushKeyState": "live", "pushKeySerial": 1 });
        account.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(account).unwrap()
    }

    fn row(due: &str, more: Value) -> QueueRow {
        let mut row = json!({ "workOrderNumber": "1", "version": 1, "queuedAt": NOW, "due": due });
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(row).unwrap()
    }

    fn due(at: i64) -> String {
        format!("1#{at:015}")
    }

    /// By which, until when, and a word of the reason.
    fn of(account: &Account, row: &QueueRow) -> Option<(&'static str, Option<i64>, String)> {
        order(account, row, NOW, Waits::REAL).map(|blocked| (blocked.by.as_str(), blocked.until, blocked.reason))
    }

    #[test]
    fn each_thing_in_the_way_is_told_with_its_reason_and_its_end() {
        let ready = row(&due(NOW), json!({}));
        let refused = row(&due(NOW + 60_000), json!({ "attempts": 2, "lastError": "no such state" }));
        let parked = row(&format!("2#{NOW:015}"), json!({ "attempts": 9, "lastError": "no such state" }));
        let again = row(&due(NOW + 90_000), json!({}));
        let live = json!({});
        let failing = json!({ "failures": 3, "backoffUntil": NOW + 20_000, "lastFailure": "HTTP status 500 (oops)" });
        let minute = NOW / 60_000;
        let spent = json!({ "pushLimitPerHour": 2, "pushed": { (minute - 2).to_string(): 2 } });
        let freed = (minute - 2 + 63) * 60_000;
        for (of_account, row, by, until, word) in [
            (json!({ "pushKeyState": "none" }), &ready, "noPushKey", None, "press Validate"),
            (
                json!({ "pushKeyState": "dead", "lastFailure": "invalid clientCode" }),
                &ready,
                "deadPushKey",
                None,
                "(invalid clientCode)",
            ),
            (json!({ "pushKeyState": "dead" }), &parked, "deadPushKey", None, "press Validate"),
            (
                json!({ "pushKeyState": "refused", "lastFailure": "it must name a host" }),
                &ready,
                "refusedPushKey",
                None,
                "it must name a host",
            ),
            (failing.clone(), &ready, "backoff", Some(NOW + 20_000), "HTTP status 500 (oops). After 3 failed calls"),
            (json!({ "failures": 1, "backoffUntil": NOW - 9 }), &ready, "backoff", Some(NOW), "After 1 failed call it"),
            (failing.clone(), &refused, "refused", Some(NOW + 60_000), "no such state"),
            (failing, &parked, "parked", None, "no such state"),
            (spent.clone(), &ready, "hourlyLimit", Some(freed), "pushLimitPerHour"),
            (spent, &refused, "hourlyLimit", Some(freed), "pushLimitPerHour"),
            (live.clone(), &refused, "refused", Some(NOW + 60_000), "retry"),
            (live.clone(), &parked, "parked", None, "9 times"),
            (live, &again, "inDoubt", Some(NOW + 90_000), "may still take effect"),
        ] {
            let told = of(&account(of_account.clone()), row).unwrap_or_else(|| panic!("{of_account} is in no way"));
            assert_eq!((told.0, told.1), (by, until), "{of_account}");
            assert!(told.2.contains(word), "{}", told.2);
        }
    }

    #[test]
    fn what_goes_with_the_next_tick_is_blocked_by_nothing() {
        let ready = row(&due(NOW), json!({ "attempts": 3, "lastError": "no such state" }));
        assert_eq!(of(&account(json!({})), &ready), None);
        assert_eq!(of(&account(json!({ "lastFailure": "of another time" })), &ready), None);
        assert_eq!(queue(&account(json!({})), NOW, Waits::REAL), None);
        assert_eq!(Value::from(shown(None)), json!({ "blockedBy": null, "reason": null, "until": null }));
    }

    #[test]
    fn a_part_that_goes_first_waits_for_what_an_earlier_push_with_the_same_key_may_still_do() {
        let mut account = account(json!({}));
        account.in_flight.begin(1, NOW - 1000, [("1", 1)].into_iter());
        let first = row(&due(NOW), json!({ "deleteFirst": true, "beforeFor": 1 }));
        let until = account.in_flight.in_doubt_until(1, "1", NOW);
        assert_eq!(of(&account, &first).map(|told| (told.0, told.1)), Some(("inDoubt", until)));
        assert_eq!(of(&account, &row(&due(NOW), json!({}))), None);
        account.push_key_serial = 2;
        assert_eq!(of(&account, &first), None, "another integration was sent nothing");
    }
}
