//! The Accounts table: one row per Pruvan user.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, ReturnValue, TransactWriteItem};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::account::ANNOUNCED_MS;
pub use crate::account::{Account, AccountSettings, DEFAULT_PUSH_LIMIT, Key, PushKeyState};
use crate::lease::LEASE;
pub use crate::lease::Lease;
use crate::secrets::{ApiKey, hex};
use crate::settings::SettingError;
use crate::store::{Item, StoreError, condition_failed, conditional, conflicted, failed, n, row, s, unreadable};
use crate::time::ms;
use crate::world::World;

/// At most this many keys live at a time: one in use, one to rotate to.
pub const MAX_KEYS: usize = 2;

/// A key's use is noted at most this often, so that a busy account costs a write an hour and not one a photo.
const NOTE_USE_EVERY: Duration = Duration::from_secs(3600);

/// Partitions of the index that says who has work.
const WORK: std::ops::Range<i64> = 0..16;

/// A further one: accounts that sleep, but for orders that are parked.
const PARKED: i64 = 16;

/// One for those whose push key died.
const DEAD: i64 = 17;

/// And one for those whose push key leads where it must not.
const REFUSED: i64 = 18;

/// How an account is left when its lease is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// There is more to do at once.
    Awake,
    /// Nothing is due before this time.
    Until(i64),
    /// Nothing is sent before `until`, after so many failures in a row.
    BackedOff {
        /// One after another.
        failures: u32,
        /// When to try again.
        until: i64,
    },
    /// Nothing waits.
    Asleep,
    /// Nothing waits but what is parked.
    Parked,
    /// The push key is dead.
    Dead,
    /// The push key leads where it must not.
    Refused,
}

/// Accounts as the index of who has work has them.
#[derive(Debug, Default)]
pub struct Census {
    /// Those with something waiting, now or for a later time.
    pub working: Vec<String>,
    /// Those that sleep, but for orders that are parked.
    pub parked: Vec<String>,
    /// How many push keys are dead.
    pub dead: usize,
    /// How many lead where they must not.
    pub refused: usize,
}

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

    /// The same, but for what the accounts are.
    pub async fn usernames(&self, after: Option<&str>) -> Result<(Vec<String>, Option<String>), StoreError> {
        let start = after.map(|username| Item::from([("username".to_owned(), s(username))]));
        let scan = self.client.scan().table_name(&self.table).projection_expression("username");
        let reply = scan.set_exclusive_start_key(start).send().await.map_err(failed("Scan of Accounts"))?;
        let username = |item: &Item| item.get("username")?.as_s().ok().cloned();
        let next = reply.last_evaluated_key.as_ref().and_then(username);
        Ok((reply.items().iter().filter_map(username).collect(), next))
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
        must(update.update_expression(expression)).await
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
        write(update).await
    }

    /// Deletes a key; false if there is none of that id.
    pub async fn delete_key(&self, username: &str, id: &str) -> Result<bool, StoreError> {
        let update = self
            .update(username)
            .update_expression("REMOVE #keys.#id")
            .condition_expression("attribute_exists(#keys.#id)")
            .expression_attribute_names("#keys", "keys")
            .expression_attribute_names("#id", id);
        write(update).await
    }

    /// Notes that a key was used, if that was not noted within the hour.
    pub async fn note_use(&self, username: &str, id: &str, key: &Key, now: i64) -> Result<(), StoreError> {
        if key.last_used_at.is_some_and(|last| now - last < ms(NOTE_USE_EVERY)) {
            return Ok(());
        }
        let update = self
            .update(username)
            .update_expression("SET #keys.#id.lastUsedAt = :now")
            .condition_expression("attribute_exists(#keys.#id)")
            .expression_attribute_names("#keys", "keys")
            .expression_attribute_names("#id", id)
            .expression_attribute_values(":now", n(now));
        write(update).await.map(|_| ())
    }

    /// Keeps a push key that a validate brought, and lets the drain look at the queue at once. A key that was there
    /// already keeps its date: only a new integration is told everything again.
    pub async fn set_push_key(
        &self,
        account: &Account,
        key: &SecretString,
        state: PushKeyState,
        now: i64,
    ) -> Result<(), StoreError> {
        let same = account.push_key.as_ref().is_some_and(|known| known.expose_secret() == key.expose_secret());
        let since = if same { account.push_key_since } else { now };
        let serial = if same { "" } else { ", pushKeySerial = if_not_exists(pushKeySerial, :zero) + :one" };
        let update = self
            .waking(
                &account.username,
                now,
                &format!(
                "pushKey = :key, pushKeyState = :state, pushKeySince = :since{serial} REMOVE backoffUntil, failures, probe"
            ),
            )
            .expression_attribute_values(":key", s(key.expose_secret()))
            .expression_attribute_values(":state", s(state.as_str()))
            .expression_attribute_values(":since", n(since));
        must(update).await
    }

    /// Says that there is work for the drain. Called before the work is written, since the index it feeds is a hint
    /// that must not be missed.
    pub async fn wake(&self, username: &str, now: i64) -> Result<(), StoreError> {
        must(self.waking(username, now, "")).await
    }

    /// Notes that at `at` a pull told Pruvan all that was changed since then, or all at all. One that leaves a gap to
    /// those before it is where counting begins anew.
    pub async fn note_pull(&self, account: &Account, since: Option<i64>, at: i64) -> Result<(), StoreError> {
        let from = match since {
            None => 0,
            Some(since) if account.has_pulled(since) => account.pulled_from,
            Some(since) => since,
        };
        let update = self
            .update(&account.username)
            .update_expression("SET pulledFrom = :from, pulledAt = :at, pulledFor = :serial")
            .expression_attribute_values(":serial", n(account.push_key_serial))
            .condition_expression("attribute_exists(username)")
            .expression_attribute_values(":from", n(from))
            .expression_attribute_values(":at", n(at));
        must(update).await
    }

    /// Users that had work at `now`, those first that have waited longest.
    pub async fn awake(&self, now: i64) -> Result<Vec<String>, StoreError> {
        let buckets = WORK.map(|bucket| self.bucket(bucket, now));
        let mut found: Vec<(i64, String)> =
            futures_util::future::try_join_all(buckets).await?.into_iter().flatten().collect();
        found.sort();
        Ok(found.into_iter().map(|(_, username)| username).collect())
    }

    /// Who has work now or later, who has parked orders, and whose push key is dead or refused.
    pub async fn census(&self) -> Result<Census, StoreError> {
        let buckets = (WORK.start..=REFUSED).map(|bucket| self.bucket(bucket, i64::MAX));
        let found = futures_util::future::try_join_all(buckets).await?;
        let mut census = Census::default();
        for (bucket, accounts) in (WORK.start..).zip(found) {
            let usernames = accounts.into_iter().map(|(_, username)| username);
            match bucket {
                DEAD => census.dead = usernames.count(),
                REFUSED => census.refused = usernames.count(),
                PARKED => census.parked = usernames.collect(),
                _ => census.working.extend(usernames),
            }
        }
        Ok(census)
    }

    async fn bucket(&self, bucket: i64, until: i64) -> Result<Vec<(i64, String)>, StoreError> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("wake")
            .key_condition_expression("wakeBucket = :bucket AND wakeAt <= :until")
            .expression_attribute_values(":bucket", n(bucket))
            .expression_attribute_values(":until", n(until))
            .into_paginator()
            .items()
            .send();
        let mut found = Vec::new();
        while let Some(item) = pages.next().await {
            let item = item.map_err(failed("Query of Accounts"))?;
            let number = |name: &str| item.get(name)?.as_n().ok()?.parse().ok();
            let username = item.get("username").and_then(|name| name.as_s().ok()).cloned();
            found.extend(number("wakeAt").zip(username));
        }
        Ok(found)
    }

    /// Claims the account's push queue; `None` while another has it.
    pub async fn lease(
        &self,
        username: &str,
        owner: &[u8; 16],
        now: i64,
    ) -> Result<Option<(Account, Lease)>, StoreError> {
        let lease = Lease { username: username.to_owned(), owner: hex(owner), until: now + ms(LEASE) };
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
            Err(error) if condition_failed(&error) || conflicted(&error) => Ok(None),
            Err(error) => Err(StoreError::call("UpdateItem on Accounts", &error)),
        }
    }

    /// Counts a push against the hourly limit before it is made, and makes the lease last its whole time again; false
    /// if the lease is lost, or a validate brought another push key.
    pub async fn charge(&self, account: &Account, lease: &mut Lease, now: i64) -> Result<bool, StoreError> {
        let until = now + ms(LEASE);
        let update = self
            .held(&account.username, lease)
            .condition_expression("leaseOwner = :owner AND pushKeySerial = :serial")
            .expression_attribute_values(":serial", n(account.push_key_serial))
            .update_expression("SET pushed = :pushed, sending = :sending, leaseUntil = :until")
            .expression_attribute_values(":pushed", AttributeValue::M(to_item(&account.pushed)?))
            .expression_attribute_values(":sending", AttributeValue::M(to_item(&account.sending)?))
            .expression_attribute_values(":until", n(until));
        let held = write(update).await?;
        if held {
            lease.until = until;
        }
        Ok(held)
    }

    /// For a transaction that is to be written only while the lease holds.
    pub fn while_held(&self, lease: &Lease) -> Result<TransactWriteItem, StoreError> {
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .key("username", s(&lease.username))
            .condition_expression("leaseOwner = :owner")
            .expression_attribute_values(":owner", s(&lease.owner))
            .build()
            .map_err(|_| StoreError::Unfit("a check without a condition"))?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    /// Gives the lease back, if it is still held. An account that was woken since it was read, or so shortly before
    /// that the work may yet be written, stays awake.
    pub async fn release(&self, account: &Account, lease: &Lease, now: i64, rest: Rest) -> Result<(), StoreError> {
        const FREE: &str = "leaseOwner, leaseUntil";
        let (mut sets, mut removes) = (vec!["sending = :sending", "probe = :probe"], vec![FREE]);
        match rest {
            Rest::BackedOff { .. } => sets.push("failures = :failures, backoffUntil = :backoff"),
            _ => removes.push("failures, backoffUntil"),
        }
        let expression = |sets: &[&str], removes: &[&str]| match sets {
            [] => format!("REMOVE {}", removes.join(", ")),
            _ => format!("SET {} REMOVE {}", sets.join(", "), removes.join(", ")),
        };
        let values = |sets: &[&str]| -> Result<Item, StoreError> {
            let mut values = Item::from([(":owner".to_owned(), s(&lease.owner))]);
            if sets.contains(&"sending = :sending") {
                values.insert(":sending".to_owned(), AttributeValue::M(to_item(&account.sending)?));
                values.insert(":probe".to_owned(), AttributeValue::M(to_item(&account.bisection)?));
            }
            if let Rest::BackedOff { failures, until } = rest {
                values.insert(":failures".to_owned(), n(failures));
                values.insert(":backoff".to_owned(), n(until));
            }
            Ok(values)
        };
        let give_back = async |expression: String, condition: &str, values: Item| {
            let update = self.update(&account.username).update_expression(expression).condition_expression(condition);
            write(update.set_expression_attribute_values(Some(values))).await
        };
        let awake = (expression(&sets, &removes), values(&sets)?);
        let bucket_and_time = match rest {
            Rest::Awake => None,
            Rest::Until(at) | Rest::BackedOff { until: at, .. } => Some((wake_bucket(&account.username), at)),
            Rest::Parked => Some((PARKED, now)),
            Rest::Dead => Some((DEAD, now)),
            Rest::Refused => Some((REFUSED, now)),
            Rest::Asleep => {
                sets.clear();
                removes.push("sending, probe, wakeBucket, wakeAt");
                None
            }
        };
        // What waits for another key waits for a validate, which wakes: it needs no time to be written.
        let waits_for_a_key = matches!(rest, Rest::Dead | Rest::Refused);
        let announced = if waits_for_a_key { now + ANNOUNCED_MS } else { now - ANNOUNCED_MS };
        if waits_for_a_key || (rest != Rest::Awake && account.may_sleep(now)) {
            if bucket_and_time.is_some() {
                sets.push("wakeBucket = :bucket, wakeAt = :at");
            }
            let mut values = values(&sets)?;
            values.insert(":wakes".to_owned(), n(account.wakes));
            values.insert(":announced".to_owned(), n(announced));
            if let Some((bucket, at)) = bucket_and_time {
                values.insert(":bucket".to_owned(), n(bucket));
                values.insert(":at".to_owned(), n(at));
            }
            let undisturbed = "leaseOwner = :owner AND wakes = :wakes AND wakeAt < :announced";
            if give_back(expression(&sets, &removes), undisturbed, values).await? {
                return Ok(());
            }
        }
        give_back(awake.0, "leaseOwner = :owner", awake.1).await.map(|_| ())
    }

    /// Marks the push key dead; false if a validate came since the account was read, also of the same key, or other
    /// work.
    pub async fn bury_push_key(&self, account: &Account, lease: &Lease) -> Result<bool, StoreError> {
        let update = self
            .held(&account.username, lease)
            .update_expression("SET pushKeyState = :dead")
            .condition_expression("leaseOwner = :owner AND pushKeySerial = :serial AND wakes = :wakes")
            .expression_attribute_values(":wakes", n(account.wakes))
            .expression_attribute_values(":dead", s(PushKeyState::Dead.as_str()))
            .expression_attribute_values(":serial", n(account.push_key_serial));
        write(update).await
    }

    fn update(&self, username: &str) -> Update {
        self.client.update_item().table_name(&self.table).key("username", s(username))
    }

    fn held(&self, username: &str, lease: &Lease) -> Update {
        self.update(username)
            .condition_expression("leaseOwner = :owner")
            .expression_attribute_values(":owner", s(&lease.owner))
    }

    /// An update that also wakes; `more` goes on in the SET clause.
    fn waking(&self, username: &str, now: i64, more: &str) -> Update {
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
    username.bytes().fold(0, |sum, byte| (sum * 31 + i64::from(byte)) % WORK.end)
}

fn to_item<T: Serialize>(value: &T) -> Result<Item, StoreError> {
    serde_dynamo::to_item(value).map_err(|error| unreadable("Accounts", &error))
}

type Update = aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;

/// False if the update's condition doesn't hold. A drain's transactions look at the account, so an update may have to
/// be tried again.
async fn write(update: Update) -> Result<bool, StoreError> {
    conditional("UpdateItem on Accounts", || update.clone().send()).await
}

/// For updates of an account that is there.
async fn must(update: Update) -> Result<(), StoreError> {
    if write(update).await? { Ok(()) } else { Err(StoreError::Contended("the account")) }
}
