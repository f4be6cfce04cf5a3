//! The hourly limit: at most so many orders in any sixty minutes, counted by the minute in the account's row.

use std::time::Duration;

use bridge::accounts::Account;

use crate::drain::PushDrain;

const MINUTE: Duration = Duration::from_secs(60);

/// Sixty minutes, of which the first counts whole; and two more, since the clocks of two invocations may each be a minute off.
const WINDOW: i64 = 62;

/// Orders that may still be pushed at `now`.
pub fn allowance(state: &PushDrain, account: &Account, now: i64) -> usize {
    let first = minute(state, now) - WINDOW;
    let pushed: u64 = account
        .pushed
        .iter()
        .filter(|(minute, _)| minute.parse::<i64>().is_ok_and(|minute| minute >= first))
        .map(|(_, orders)| u64::from(*orders))
        .sum();
    usize::try_from(u64::from(account.settings.push_limit_per_hour).saturating_sub(pushed)).unwrap_or(usize::MAX)
}

/// Enters `orders` at `now`. They are never taken out again: Pruvan may have counted them, whatever came of the call.
pub fn enter(state: &PushDrain, account: &mut Account, now: i64, orders: usize) {
    let this = minute(state, now);
    account.pushed.retain(|minute, _| minute.parse::<i64>().is_ok_and(|minute| minute >= this - WINDOW));
    *account.pushed.entry(this.to_string()).or_default() += u32::try_from(orders).unwrap_or(u32::MAX);
}

/// When to look again at an allowance that is used up.
pub fn next_look(state: &PushDrain, now: i64) -> i64 {
    now + state.waits.ms(MINUTE)
}

fn minute(state: &PushDrain, now: i64) -> i64 {
    now / state.waits.ms(MINUTE)
}
