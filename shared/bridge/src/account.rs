//! An account's row: what the host set, the keys, the push key, and how its pushes stand.

use std::collections::BTreeMap;

use pruvan::integration::IntegrationType;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::bisection::Bisection;
use crate::sending::Sending;

/// Orders an hour that Pruvan takes from a free integration (*Testing*, *General*).
pub const DEFAULT_PUSH_LIMIT: u32 = 5000;

/// Work that was announced is written within a function's time-out, and clocks may be two minutes apart. Until then an
/// empty queue says nothing, and the account stays awake.
pub(crate) const ANNOUNCED_MS: i64 = 180_000;

/// A row of the Accounts table. All times in it are milliseconds since 1970.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// Trimmed, lower case.
    pub username: String,
    /// When it was made.
    pub made_at: i64,
    /// By id.
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
    /// Pushes under way, or whose end is in doubt.
    #[serde(default)]
    pub sending: Sending,
    /// Pulls have told all that was changed from then on ...
    #[serde(default)]
    pub pulled_from: i64,
    /// ... up to then, without a gap.
    #[serde(default)]
    pub pulled_at: i64,
    /// Which push key there was then.
    #[serde(default)]
    pub pulled_for: i64,
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
    /// SHA-256, in hex.
    pub sha256: String,
    /// When it was made.
    pub made_at: i64,
    /// When it was last used, to the hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<i64>,
}

impl Account {
    /// Whether an empty queue means that there is nothing to do: not while work that was announced may yet be written.
    pub fn may_sleep(&self, now: i64) -> bool {
        self.wake_at < now - ANNOUNCED_MS
    }

    /// Whether a pull has told the integration that there is now what was changed at `at`.
    pub fn has_pulled(&self, at: i64) -> bool {
        self.pulled_for == self.push_key_serial && (self.pulled_from..=self.pulled_at).contains(&at)
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
    /// In use.
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
