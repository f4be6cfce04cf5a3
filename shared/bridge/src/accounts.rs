//! The Accounts table: one row per Pruvan user.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use pruvan::integration::IntegrationType;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::secrets::{ApiKey, hex, sha256_hex};
use crate::settings::SettingError;
use crate::store::{Item, StoreError, condition_failed, failed, n, row, s, unreadable};
use crate::world::World;

/// At most this many keys live at a time: one in use, one to rotate to.
pub const MAX_KEYS: usize = 2;

/// Orders an hour that Pruvan takes from a free integration (*Testing*, *General*).
pub const DEFAULT_PUSH_LIMIT: u32 = 5000;

/// A key's use is noted at most this often, so that a busy account costs a write an hour and not one a photo.
const NOTE_USE_EVERY: Duration = Duration::from_secs(3600);

/// One row.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// Trimmed, lower case.
    pub username: String,
    /// When it was made; all times are milliseconds since 1970.
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
    /// When this push key came. An integration made anew knows nothing that was told before.
    #[serde(default)]
    pub push_key_since: i64,
    /// When a push was last made.
    #[serde(default)]
    pub told_at: i64,
    /// The orders in that push, and in earlier ones whose end is in doubt.
    #[serde(default)]
    pub sending: Sending,
    /// When a pull last told all there was.
    #[serde(default)]
    pub pulled_at: i64,
    /// Grows each time there is new work for the drain.
    #[serde(default)]
    pub wakes: i64,
    /// No push before this.
    #[serde(default)]
    pub backoff_until: i64,
    /// Failures of the account, one after another.
    #[serde(default)]
    pub failures: u32,
    /// Orders pushed, by the minute: the hourly limit's ledger.
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

/// A set of orders, each as 8 digits of its number's hash, so that 200 of them cost no more to write than one: a false member
/// in some millions does no harm.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sending(String);

/// Orders in doubt beyond this many are forgotten, oldest first.
const MAX_SENDING: usize = 4000;

impl Sending {
    fn digits(number: &str) -> String {
        sha256_hex(number.as_bytes())[..8].to_owned()
    }

    fn members(&self) -> impl Iterator<Item = &str> {
        self.0.as_bytes().chunks(8).filter_map(|digits| std::str::from_utf8(digits).ok())
    }

    /// Whether `number` is in it.
    pub fn contains(&self, number: &str) -> bool {
        let digits = Sending::digits(number);
        self.members().any(|member| member == digits)
    }

    /// Adds `numbers`.
    pub fn add<'a>(&mut self, numbers: impl Iterator<Item = &'a str>) {
        self.remove_and_add(numbers, true);
    }

    /// Takes `numbers` out: how their push ended is known.
    pub fn remove<'a>(&mut self, numbers: impl Iterator<Item = &'a str>) {
        self.remove_and_add(numbers, false);
    }

    fn remove_and_add<'a>(&mut self, numbers: impl Iterator<Item = &'a str>, add: bool) {
        let given: Vec<String> = numbers.map(Sending::digits).collect();
        let chosen: std::collections::BTreeSet<&str> = given.iter().map(String::as_str).collect();
        let mut members: Vec<&str> = self.members().filter(|member| !chosen.contains(member)).collect();
        if add {
            members.extend(&chosen);
        }
        let kept = members.len().saturating_sub(MAX_SENDING);
        self.0 = members[kept..].concat();
    }
}

impl Account {
    /// Whether Pruvan may have been told a wish for the order `number` that is of the time `at`.
    pub fn may_have_told(&self, number: &str, at: i64) -> bool {
        at <= self.pulled_at || (at <= self.told_at && self.sending.contains(number))
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
    fn as_str(self) -> &'static str {
        match self {
            PushKeyState::None => "none",
            PushKeyState::Live => "live",
            PushKeyState::Dead => "dead",
            PushKeyState::Refused => "refused",
        }
    }
}

/// A claim on an account's push queue.
#[derive(Debug, Clone)]
pub struct Lease {
    owner: String,
    /// When others may take it.
    pub until: i64,
}

/// Number of partitions of the index that says who has work.
const WAKE_BUCKETS: i64 = 16;

/// Work that was announced is written within a function's time-out. Until then an empty queue says nothing, and the account
/// stays awake.
const ANNOUNCED_MS: i64 = 60_000;

/// A lease outlives the call's deadline (30 s), since a POST in flight can't be recalled.
const LEASE_MS: i64 = 90_000;

/// The table.
#[derive(Debug, Clone)]
pub struct Accounts {
    client: Client,
    table: String,
}

impl Accounts {
    /// Named by `ACCOUNTS_TABLE`.
    pub fn new(world: &World) -> Result<Accounts, SettingError> {
        Ok(Accounts { client: world.dynamodb()?, table: world.settings.get("ACCOUNTS_TABLE")?.to_owned() })
    }

    /// The row of `username`, as it is now.
    pub async fn get(&self, username: &str) -> Result<Option<Account>, StoreError> {
        let reply = self.client.get_item().table_name(&self.table).key("username", s(username)).consistent_read(true);
        let reply = reply.send().await.map_err(failed("GetItem on Accounts"))?;
        reply.item.map(|item| row("Accounts", item)).transpose()
    }

    /// At most a page of accounts after `after`, in no order, and where to go on.
    pub async fn page(&self, after: Option<&str>) -> Result<(Vec<Account>, Option<String>), StoreError> {
        let start = after.map(|username| Item::from([("username".to_owned(), s(username))]));
        let reply = self.client.scan().table_name(&self.table).limit(100).set_exclusive_start_key(start);
        let reply = reply.send().await.map_err(failed("Scan of Accounts"))?;
        let next = reply.last_evaluated_key.as_ref().and_then(|key| key.get("username")?.as_s().ok().cloned());
        let accounts = reply.items.unwrap_or_default().into_iter().map(|item| row("Accounts", item));
        Ok((accounts.collect::<Result<_, _>>()?, next))
    }

    /// Makes the account; false if there is one already.
    pub async fn create(
        &self,
        username: &str,
        settings: &AccountSettings,
        key_id: &str,
        key: &ApiKey,
        now: i64,
    ) -> Result<bool, StoreError> {
        let keys = BTreeMap::from([(
            key_id.to_owned(),
            Key { sha256: key.hash().to_hex(), made_at: now, last_used_at: None },
        )]);
        let mut item: Item = to_item(settings)?;
        item.insert("username".to_owned(), s(username));
        item.insert("madeAt".to_owned(), n(now));
        item.insert("keys".to_owned(), AttributeValue::M(to_item(&keys)?));
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        match put.condition_expression("attribute_not_exists(username)").send().await {
            Ok(_) => Ok(true),
            Err(error) if condition_failed(&error) => Ok(false),
            Err(error) => Err(StoreError::call("PutItem on Accounts", &error)),
        }
    }

    /// Replaces the settings of an account that exists.
    pub async fn set_settings(&self, username: &str, settings: &AccountSettings) -> Result<(), StoreError> {
        let item = to_item(settings)?;
        let mut update = self.update(username).condition_expression("attribute_exists(username)");
        let mut sets = Vec::new();
        for (index, (name, value)) in item.into_iter().enumerate() {
            sets.push(format!("#n{index} = :v{index}"));
            update = update
                .expression_attribute_names(format!("#n{index}"), name)
                .expression_attribute_values(format!(":v{index}"), value);
        }
        let mut expression = format!("SET {}", sets.join(", "));
        if settings.client_code.is_none() {
            expression.push_str(" REMOVE clientCode");
        }
        update.update_expression(expression).send().await.map_err(failed("UpdateItem on Accounts"))?;
        Ok(())
    }

    /// Adds a key; false if the account has [`MAX_KEYS`] already.
    pub async fn add_key(&self, username: &str, id: &str, key: &ApiKey, now: i64) -> Result<bool, StoreError> {
        let key = to_item(&Key { sha256: key.hash().to_hex(), made_at: now, last_used_at: None })?;
        let update = self
            .update(username)
            .update_expression("SET #keys.#id = :key")
            .condition_expression("attribute_exists(username) AND size(#keys) < :max")
            .expression_attribute_names("#keys", "keys")
            .expression_attribute_names("#id", id)
            .expression_attribute_values(":key", AttributeValue::M(key))
            .expression_attribute_values(":max", n(MAX_KEYS));
        done_unless_condition(update.send().await)
    }

    /// Deletes a key; false if there is none of that id.
    pub async fn delete_key(&self, username: &str, id: &str) -> Result<bool, StoreError> {
        let update = self
            .update(username)
            .update_expression("REMOVE #keys.#id")
            .condition_expression("attribute_exists(#keys.#id)")
            .expression_attribute_names("#keys", "keys")
            .expression_attribute_names("#id", id);
        done_unless_condition(update.send().await)
    }

    /// Notes that a key was used, if that was not noted within the hour.
    pub async fn note_use(&self, username: &str, id: &str, key: &Key, now: i64) -> Result<(), StoreError> {
        let every = i64::try_from(NOTE_USE_EVERY.as_millis()).unwrap_or(i64::MAX);
        if key.last_used_at.is_some_and(|last| now - last < every) {
            return Ok(());
        }
        let update = self
            .update(username)
            .update_expression("SET #keys.#id.lastUsedAt = :now")
            .condition_expression("attribute_exists(#keys.#id)")
            .expression_attribute_names("#keys", "keys")
            .expression_attribute_names("#id", id)
            .expression_attribute_values(":now", n(now));
        done_unless_condition(update.send().await).map(|_| ())
    }

    /// Keeps a push key that a validate brought, and lets the drain look at the queue at once. A key that was there already
    /// keeps its date: only a new integration is told everything again.
    pub async fn set_push_key(
        &self,
        account: &Account,
        key: &SecretString,
        state: PushKeyState,
        now: i64,
    ) -> Result<(), StoreError> {
        let same = account.push_key.as_ref().is_some_and(|known| known.expose_secret() == key.expose_secret());
        let since = if same { account.push_key_since } else { now };
        self.waking(
            &account.username,
            now,
            "pushKey = :key, pushKeyState = :state, pushKeySince = :since REMOVE backoffUntil, failures",
        )
        .expression_attribute_values(":key", s(key.expose_secret()))
        .expression_attribute_values(":state", s(state.as_str()))
        .expression_attribute_values(":since", n(since))
        .send()
        .await
        .map_err(failed("UpdateItem on Accounts"))?;
        Ok(())
    }

    /// Says that there is work for the drain. Called before the work is written, since the index it feeds is a hint that must
    /// not be missed.
    pub async fn wake(&self, username: &str, now: i64) -> Result<(), StoreError> {
        self.waking(username, now, "").send().await.map_err(failed("UpdateItem on Accounts"))?;
        Ok(())
    }

    /// Notes that a pull told Pruvan all there was.
    pub async fn note_pull(&self, username: &str, now: i64) -> Result<(), StoreError> {
        let update = self
            .update(username)
            .update_expression("SET pulledAt = :now")
            .condition_expression("attribute_exists(username)")
            .expression_attribute_values(":now", n(now));
        update.send().await.map_err(failed("UpdateItem on Accounts"))?;
        Ok(())
    }

    /// Users that had work at `now`, a bucket at a time.
    pub async fn awake(&self, now: i64) -> Result<Vec<String>, StoreError> {
        let mut usernames = Vec::new();
        for bucket in 0..WAKE_BUCKETS {
            let mut pages = self
                .client
                .query()
                .table_name(&self.table)
                .index_name("wake")
                .key_condition_expression("wakeBucket = :bucket AND wakeAt <= :now")
                .expression_attribute_values(":bucket", n(bucket))
                .expression_attribute_values(":now", n(now))
                .into_paginator()
                .items()
                .send();
            while let Some(item) = pages.next().await {
                let item = item.map_err(failed("Query of Accounts"))?;
                usernames.extend(item.get("username").and_then(|name| name.as_s().ok()).cloned());
            }
        }
        Ok(usernames)
    }

    /// Claims the account's push queue; `None` while another has it.
    pub async fn lease(
        &self,
        username: &str,
        owner: &[u8; 16],
        now: i64,
    ) -> Result<Option<(Account, Lease)>, StoreError> {
        let lease = Lease { owner: hex(owner), until: now + LEASE_MS };
        let update = self
            .update(username)
            .update_expression("SET leaseOwner = :owner, leaseUntil = :until")
            .condition_expression(
                "attribute_exists(username) AND (attribute_not_exists(leaseUntil) OR leaseUntil < :now)",
            )
            .expression_attribute_values(":owner", s(&lease.owner))
            .expression_attribute_values(":until", n(lease.until))
            .expression_attribute_values(":now", n(now))
            .return_values(ReturnValue::AllNew);
        match update.send().await {
            Ok(reply) => Ok(Some((row("Accounts", reply.attributes.unwrap_or_default())?, lease))),
            Err(error) if condition_failed(&error) => Ok(None),
            Err(error) => Err(StoreError::call("UpdateItem on Accounts", &error)),
        }
    }

    /// Enters a push in the ledger before it is made, and makes the lease last its whole time again; false if the lease is
    /// lost, or a validate brought another push key.
    pub async fn charge(&self, account: &Account, lease: &mut Lease, now: i64) -> Result<bool, StoreError> {
        let until = now + LEASE_MS;
        let update = self
            .held(&account.username, lease)
            .condition_expression("leaseOwner = :owner AND pushKeySince = :since")
            .expression_attribute_values(":since", n(account.push_key_since))
            .update_expression("SET pushed = :pushed, sending = :sending, toldAt = :now, leaseUntil = :until")
            .expression_attribute_values(":pushed", AttributeValue::M(to_item(&account.pushed)?))
            .expression_attribute_values(":sending", s(&account.sending.0))
            .expression_attribute_values(":now", n(now))
            .expression_attribute_values(":until", n(until));
        let held = done_unless_condition(update.send().await)?;
        if held {
            lease.until = until;
        }
        Ok(held)
    }

    /// Gives the lease back with nothing left to do: the account sleeps, unless it was woken since it was read, or so shortly
    /// before that the work may yet be written.
    pub async fn release_asleep(&self, account: &Account, lease: &Lease, now: i64) -> Result<(), StoreError> {
        let update = self
            .update(&account.username)
            .update_expression("REMOVE leaseOwner, leaseUntil, wakeBucket, wakeAt, backoffUntil, failures, sending")
            .condition_expression("leaseOwner = :owner AND wakes = :wakes AND wakeAt < :announced")
            .expression_attribute_values(":announced", n(now - ANNOUNCED_MS))
            .expression_attribute_values(":owner", s(&lease.owner))
            .expression_attribute_values(":wakes", n(account.wakes));
        if done_unless_condition(update.send().await)? { Ok(()) } else { self.release(account, lease, None).await }
    }

    /// Gives the lease back; `backoff` is how many failures in a row there were, and until when nothing is sent.
    pub async fn release(
        &self,
        account: &Account,
        lease: &Lease,
        backoff: Option<(u32, i64)>,
    ) -> Result<(), StoreError> {
        let update = self.held(&account.username, lease);
        let update = match backoff {
            Some((failures, until)) => update
                .update_expression("SET failures = :failures, backoffUntil = :backoff, sending = :sending REMOVE leaseOwner, leaseUntil")
                .expression_attribute_values(":failures", n(failures))
                .expression_attribute_values(":backoff", n(until)),
            None => update.update_expression("SET sending = :sending REMOVE leaseOwner, leaseUntil, failures, backoffUntil"),
        };
        // Without the orders of the pushes that ended well.
        let update = update.expression_attribute_values(":sending", s(&account.sending.0));
        done_unless_condition(update.send().await).map(|_| ())
    }

    /// Gives the lease back and lets the account sleep till `at`, unless it was woken since it was read.
    pub async fn release_until(&self, account: &Account, lease: &Lease, now: i64, at: i64) -> Result<(), StoreError> {
        let update = self
            .update(&account.username)
            .update_expression(
                "SET wakeAt = :at, wakeBucket = :bucket, sending = :sending REMOVE leaseOwner, leaseUntil, failures, backoffUntil",
            )
            .condition_expression("leaseOwner = :owner AND wakes = :wakes AND wakeAt < :announced")
            .expression_attribute_values(":announced", n(now - ANNOUNCED_MS))
            .expression_attribute_values(":owner", s(&lease.owner))
            .expression_attribute_values(":wakes", n(account.wakes))
            .expression_attribute_values(":sending", s(&account.sending.0))
            .expression_attribute_values(":at", n(at))
            .expression_attribute_values(":bucket", n(wake_bucket(&account.username)));
        if done_unless_condition(update.send().await)? { Ok(()) } else { self.release(account, lease, None).await }
    }

    /// Marks the push key dead, if it is still the one that was used.
    pub async fn bury_push_key(&self, account: &Account) -> Result<(), StoreError> {
        let update = self
            .update(&account.username)
            .update_expression("SET pushKeyState = :dead")
            .condition_expression("pushKeySince = :since")
            .expression_attribute_values(":dead", s(PushKeyState::Dead.as_str()))
            .expression_attribute_values(":since", n(account.push_key_since));
        done_unless_condition(update.send().await).map(|_| ())
    }

    fn update(&self, username: &str) -> aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder {
        self.client.update_item().table_name(&self.table).key("username", s(username))
    }

    fn held(
        &self,
        username: &str,
        lease: &Lease,
    ) -> aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder {
        self.update(username)
            .condition_expression("leaseOwner = :owner")
            .expression_attribute_values(":owner", s(&lease.owner))
    }

    /// An update that also wakes; `more` goes on in the SET clause.
    fn waking(
        &self,
        username: &str,
        now: i64,
        more: &str,
    ) -> aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder {
        let comma = if more.is_empty() { "" } else { ", " };
        self.update(username)
            .update_expression(format!(
                "SET wakeBucket = :bucket, wakeAt = :now, wakes = if_not_exists(wakes, :zero) + :one{comma}{more}"
            ))
            .condition_expression("attribute_exists(username)")
            .expression_attribute_values(":bucket", n(wake_bucket(username)))
            .expression_attribute_values(":now", n(now))
            .expression_attribute_values(":zero", n(0))
            .expression_attribute_values(":one", n(1))
    }
}

/// Any even spread will do; this one is the same in every version.
fn wake_bucket(username: &str) -> i64 {
    username.bytes().fold(0, |sum, byte| (sum * 31 + i64::from(byte)) % WAKE_BUCKETS)
}

fn to_item<T: Serialize>(value: &T) -> Result<Item, StoreError> {
    serde_dynamo::to_item(value).map_err(|error| unreadable("Accounts", &error))
}

fn done_unless_condition<T, E: aws_sdk_dynamodb::error::ProvideErrorMetadata, R>(
    reply: Result<T, aws_sdk_dynamodb::error::SdkError<E, R>>,
) -> Result<bool, StoreError> {
    match reply {
        Ok(_) => Ok(true),
        Err(error) if condition_failed(&error) => Ok(false),
        Err(error) => Err(StoreError::call("UpdateItem on Accounts", &error)),
    }
}
