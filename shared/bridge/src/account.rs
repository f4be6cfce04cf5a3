//! An account's row: what the host set, the keys, the push key, and how its pushes stand.

use std::collections::BTreeMap;
use std::ops::Range;

use pruvan::integration::IntegrationType;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::bisection::Bisection;
use crate::in_flight::InFlight;

/// Orders an hour that Pruvan takes from a free integration (*Testing*, *General*).
pub const DEFAULT_PUSH_LIMIT: u32 = 5000;

/// Work that was announced is written within a function's time-out, and clocks may be two minutes apart. Until then an
/// empty queue says nothing, and the account stays awake.
pub(crate) const ANNOUNCED_MS: i64 = 180_000;

/// A row of the Accounts table. All times in it are milliseconds since 1970.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The Pruvan user's name, trimmed and in lower case: the row's key.
    pub username: String,
    /// When it was made.
    pub made_at: i64,
    /// The account's API keys by their ids, which are no secret.
    #[serde(default)]
    pub keys: BTreeMap<String, Key>,
    /// What the host set.
    #[serde(flatten)]
    pub settings: AccountSettings,
    /// The URL that Pruvan gave for pushes.
    #[serde(default)]
    pub push_key: Option<SecretString>,
    /// Whether it can be used.
    #[serde(default)]
    pub push_key_state: PushKeyState,
    /// When this push key came.
    #[serde(default)]
    pub push_key_since: i64,
    /// Counts the push keys that came: an integration made anew has another, and knows nothing that was told before.
    /// Times can't say that, since clocks are apart.
    #[serde(default)]
    pub push_key_serial: i64,
    /// Pushes in flight, or whose end is in doubt.
    #[serde(default, rename = "sending")]
    pub in_flight: InFlight,
    /// Pulls have told all that was changed from then on ...
    #[serde(default)]
    pub pulled_from: i64,
    /// ... up to then, without a gap.
    #[serde(default)]
    pub pulled_at: i64,
    /// Which push key there was then.
    #[serde(default)]
    pub pulled_for: i64,
    /// What pulls carried, as far as they had room: of what was changed from then on ...
    #[serde(default)]
    pub carried_from: i64,
    /// ... until before then, all but what is queued as left out, is tried again, or is parked.
    #[serde(default)]
    pub carried_at: i64,
    /// Which push key there was then.
    #[serde(default)]
    pub carried_for: i64,
    /// Grows each time there is new work for the drain.
    #[serde(default)]
    pub wakes: i64,
    /// When it was last said that there is new work, or when work is due.
    #[serde(default)]
    pub wake_at: i64,
    /// No push before this.
    #[serde(default)]
    pub backoff_until: i64,
    /// Failures of the account, one after another.
    #[serde(default)]
    pub failures: u32,
    /// Why the last call failed as a whole, or the push key is no good: in words for the host, without a secret.
    #[serde(default)]
    pub last_failure: Option<String>,
    /// The search for an order that spoils the batches that it is in.
    #[serde(default, rename = "probe")]
    pub bisection: Bisection,
    /// Orders pushed, by the minute since 1970: what the hourly limit counts.
    #[serde(default)]
    pub pushed: BTreeMap<String, u32>,
}

/// One API key, without the key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    /// The key's SHA-256, in lower-case hex.
    pub sha256: String,
    /// When it was made.
    pub made_at: i64,
    /// When it was last used, to the hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<i64>,
}

/// Partitions of the index that says who has work: one of these for each account that has some.
pub(crate) const WORK: std::ops::Range<i64> = 0..16;

/// A further partition: accounts of which all that waits is parked.
pub(crate) const PARKED: i64 = 16;

/// One for those whose push key died.
pub(crate) const DEAD: i64 = 17;

/// And one for those whose push key leads where it must not.
pub(crate) const REFUSED: i64 = 18;

/// The partition that shows the work of an account: any even spread will do, the same in every version.
pub(crate) fn work_partition(username: &str) -> i64 {
    username.bytes().fold(0, |sum, byte| (sum * 31 + i64::from(byte)) % WORK.end)
}

/// When the drain looks at an account again, as a turn leaves it. Times are milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextWakeUp {
    /// There may be more to do: the account stays in the index, and the next tick looks at it.
    StayAwake,
    /// At this time: nothing is due before.
    At(i64),
    /// At `until`, after so many failures of the account in a row.
    AfterFailures {
        /// Failures, one after another.
        failures: u32,
        /// No push before this.
        until: i64,
    },
    /// When an order changes: nothing waits.
    NothingWaits,
    /// When the first validate brings a push key; what waits stays in the queue until then.
    NoKey,
    /// When an order changes or the host asks for another try: all that waits is parked.
    AllParked,
    /// When a validate brings another push key: this one is dead.
    KeyDead,
    /// When a validate brings another push key: this one leads where it must not.
    KeyRefused,
}

/// How an account goes to sleep.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sleep {
    /// Partition and time under which the index has it then; in none of them without.
    pub entry: Option<(i64, i64)>,
    /// It sleeps only if `wakeAt` (when it was last woken, or was due) is before this time.
    pub if_woken_before: i64,
}

impl Account {
    /// How the account goes to sleep until its next wake-up; `None` if it stays awake.
    pub(crate) fn sleep(&self, next: NextWakeUp, now: i64) -> Option<Sleep> {
        let entry = match next {
            NextWakeUp::StayAwake => return None,
            NextWakeUp::At(at) | NextWakeUp::AfterFailures { until: at, .. } => {
                Some((work_partition(&self.username), at))
            }
            NextWakeUp::NothingWaits | NextWakeUp::NoKey => None,
            NextWakeUp::AllParked => Some((PARKED, now)),
            NextWakeUp::KeyDead => Some((DEAD, now)),
            NextWakeUp::KeyRefused => Some((REFUSED, now)),
        };
        // What waits for another key waits for a validate, which wakes: work that was announced and is written later
        // need not be waited for.
        if matches!(next, NextWakeUp::KeyDead | NextWakeUp::KeyRefused) {
            return Some(Sleep { entry, if_woken_before: now + ANNOUNCED_MS });
        }
        self.may_sleep(now).then_some(Sleep { entry, if_woken_before: now - ANNOUNCED_MS })
    }

    /// Whether an empty queue means that there is nothing to do: not within three minutes after the account was woken,
    /// or after the time for which it slept, since work that was announced may yet be written.
    pub fn may_sleep(&self, now: i64) -> bool {
        self.wake_at < now - ANNOUNCED_MS
    }

    /// Whether a pull may have told the integration that there is now what was changed at `at`: nobody says whether it
    /// was read to its end. That Pruvan has something for sure, only a push says.
    pub fn may_have_pulled(&self, at: i64) -> bool {
        self.pulled_for == self.push_key_serial && (self.pulled_from..=self.pulled_at).contains(&at)
    }

    /// Whether an order that was changed then and isn't queued has gone out by a push: one that is older than the push
    /// key may have gone to an integration that was there before.
    pub fn has_pushed_unless_queued(&self, changed_at: i64) -> bool {
        self.push_key_serial == 1 || changed_at >= self.push_key_since
    }

    /// The changes that pulls have carried to the integration that there is now: their pushes can wait. What a pull had
    /// no room for has a place of its own in the queue.
    pub fn carried(&self) -> Range<i64> {
        match self.carried_for == self.push_key_serial {
            true => self.carried_from..self.carried_at,
            false => 0..0,
        }
    }
}

/// What the host decides about an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AccountSettings {
    /// Who owns the crews.
    pub integration: IntegrationType,
    /// The integration's `auto_admin` option, as it is set in Pruvan.
    pub auto_admin: bool,
    /// The client code under which Pruvan shows the orders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_code: Option<String>,
    /// From the host's status to Pruvan's.
    pub status_map: BTreeMap<String, String>,
    /// Orders an hour that Pruvan takes for this account.
    pub push_limit_per_hour: u32,
}

impl Default for AccountSettings {
    fn default() -> AccountSettings {
        AccountSettings {
            integration: IntegrationType::default(),
            auto_admin: false,
            client_code: None,
            status_map: BTreeMap::new(),
            push_limit_per_hour: DEFAULT_PUSH_LIMIT,
        }
    }
}

/// What can be done with the push key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PushKeyState {
    /// There is none: nobody has pressed Validate.
    #[default]
    None,
    /// Pushes go to it.
    Live,
    /// Pruvan said that it is no good; the next validate brings a new one.
    Dead,
    /// Its host is not allowed, so nothing is sent there.
    Refused,
}

impl PushKeyState {
    /// As it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            PushKeyState::None => "none",
            PushKeyState::Live => "live",
            PushKeyState::Dead => "dead",
            PushKeyState::Refused => "refused",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_435_200_000;

    fn woken(ago: i64) -> Account {
        let mut account: Account = serde_json::from_str(r#"{"username":"vendor1","madeAt":0}"#).unwrap();
        account.wake_at = NOW - ago;
        account
    }

    #[test]
    fn an_account_that_was_woken_within_three_minutes_stays_awake() {
        for next in [NextWakeUp::NothingWaits, NextWakeUp::AllParked, NextWakeUp::At(NOW + 5)] {
            assert_eq!(woken(ANNOUNCED_MS).sleep(next, NOW), None);
            assert!(woken(ANNOUNCED_MS + 1).sleep(next, NOW).is_some());
        }
        assert_eq!(woken(ANNOUNCED_MS + 1).sleep(NextWakeUp::StayAwake, NOW), None, "there is more to do");
    }

    #[test]
    fn an_account_sleeps_where_the_index_shows_why() {
        let entry = |next| woken(ANNOUNCED_MS + 1).sleep(next, NOW).unwrap().entry;
        let own = work_partition("vendor1");
        assert_eq!(entry(NextWakeUp::NothingWaits), None);
        assert_eq!(entry(NextWakeUp::At(NOW + 5)), Some((own, NOW + 5)));
        assert_eq!(entry(NextWakeUp::AfterFailures { failures: 3, until: NOW + 9 }), Some((own, NOW + 9)));
        assert_eq!(entry(NextWakeUp::AllParked), Some((PARKED, NOW)));
        assert_eq!(entry(NextWakeUp::KeyDead), Some((DEAD, NOW)));
        assert_eq!(entry(NextWakeUp::KeyRefused), Some((REFUSED, NOW)));
        assert!(WORK.contains(&own) && !WORK.contains(&PARKED));
    }

    #[test]
    fn an_account_without_a_usable_key_sleeps_at_once_since_a_validate_wakes_it() {
        for next in [NextWakeUp::KeyDead, NextWakeUp::KeyRefused] {
            assert!(woken(0).sleep(next, NOW).unwrap().if_woken_before > NOW);
        }
    }
}
