//! Rows as the host sees them: times in RFC 3339, and never a key.

use bridge::accounts::{Account, AccountSettings, PushKeyState};
use bridge::blocked;
use bridge::push_queue::QueueRow;
use bridge::time::{Waits, display};
use serde_json::{Map, Value, json};

pub fn settings(settings: &AccountSettings) -> Map<String, Value> {
    match serde_json::to_value(settings) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

pub fn account(account: &Account) -> Value {
    let keys = account.keys.iter().map(
        |(id, key)| json!({ "keyId": id, "made": display(key.made_at), "lastUsed": key.last_used_at.map(display) }),
    );
    let mut shown = settings(&account.settings);
    shown.insert("username".to_owned(), Value::from(account.username.as_str()));
    shown.insert("made".to_owned(), Value::from(display(account.made_at)));
    shown.insert("keys".to_owned(), keys.collect());
    shown.insert("pushKey".to_owned(), push_key(account));
    Value::Object(shown)
}

pub fn push_key(account: &Account) -> Value {
    let since = (account.push_key_state != PushKeyState::None).then(|| display(account.push_key_since));
    json!({ "state": account.push_key_state, "since": since })
}

/// How long nothing goes out, if Pruvan failed with whole calls.
pub fn backoff(account: &Account, now: i64) -> Option<Value> {
    let rests = account.failures > 0 && account.backoff_until > now;
    rests.then(|| json!({ "failures": account.failures, "until": display(account.backoff_until) }))
}

pub fn waiting(account: &Account, row: &QueueRow, now: i64, waits: Waits) -> Value {
    let mut shown = row.shown(now);
    shown.extend(blocked::shown(blocked::order(account, row, now, waits)));
    shown.insert("workOrderNumber".to_owned(), Value::from(row.work_order_number.as_str()));
    shown.insert("ageSeconds".to_owned(), Value::from((now - row.queued_at).max(0) / 1000));
    Value::Object(shown)
}
