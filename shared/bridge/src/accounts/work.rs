//! Accounts that have work for the drain: who they are, the lease on each, and how it is given back.

use std::ops::Range;

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, TransactWriteItem};

use futures_util::{StreamExt as _, TryStreamExt as _};

use super::{Accounts, to_item};
use crate::account::{Account, DEAD, NextWakeUp, PARKED, PushKeyState, REFUSED, WORK, work_partition};
use crate::lease::{LEASE, Lease};
use crate::secrets::hex;
use crate::store::{StoreError, failed, n, row, s};
use crate::time::ms;
use crate::transaction::Action;
use crate::update::Update;

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

/// The lease is held, and the push key is the one that the account had when it was read.
const HELD: &str = "leaseOwner = :owner AND pushKeySerial = :serial";

/// Partitions of the index that are read at once.
const BUCKETS_AT_ONCE: usize = 4;

impl Accounts {
    /// Says that there is work for the drain. Called before the work is written, since the index it feeds is a hint
    /// that must not be missed.
    pub async fn wake(&self, username: &str, now: i64) -> Result<(), StoreError> {
        self.write_to_existing(self.waking(username, now)).await
    }

    /// An update that also says so.
    pub(super) fn waking(&self, username: &str, now: i64) -> Update {
        self.update(username).set("wakeBucket", n(work_partition(username))).set("wakeAt", n(now)).count_up("wakes")
    }

    /// Users that had work at `now`, those first that have waited longest.
    pub async fn awake(&self, now: i64) -> Result<Vec<String>, StoreError> {
        let mut found = self.buckets(WORK, now).await?.concat();
        found.sort();
        Ok(found.into_iter().map(|(_, username)| username).collect())
    }

    /// Who has work now or later, who has parked orders, and whose push key is dead or refused.
    pub async fn census(&self) -> Result<Census, StoreError> {
        let found = self.buckets(WORK.start..REFUSED + 1, i64::MAX).await?;
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

    /// These partitions of the index, some at once: each takes a connection, which costs more than what is in it.
    async fn buckets(&self, buckets: Range<i64>, until: i64) -> Result<Vec<Vec<(i64, String)>>, StoreError> {
        let found = buckets.map(|bucket| self.bucket(bucket, until));
        futures_util::stream::iter(found).buffered(BUCKETS_AT_ONCE).try_collect().await
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
        let free = "attribute_exists(username) AND (attribute_not_exists(leaseUntil) OR leaseUntil < :now)";
        let update = self
            .update(username)
            .set("leaseOwner", s(&lease.owner))
            .set("leaseUntil", n(lease.until))
            .only_if(free, [(":now", n(now))]);
        match update.send_and_read(&self.client, &self.contention, "UpdateItem on Accounts").await {
            Ok(Some(account)) => Ok(Some((row("Accounts", account)?, lease))),
            Ok(None) | Err(StoreError::Contended(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Counts a push against the hourly limit before it is made, and makes the lease last its whole time again; false
    /// if the lease is lost, or a validate brought another push key.
    pub async fn announce_call(&self, account: &Account, lease: &mut Lease, now: i64) -> Result<bool, StoreError> {
        let until = now + ms(LEASE);
        let values = [(":owner", s(&lease.owner)), (":serial", n(account.push_key_serial))];
        let update = self
            .update(&account.username)
            .set("pushed", AttributeValue::M(to_item(&account.pushed)?))
            .set("sending", AttributeValue::M(to_item(&account.in_flight)?))
            .set("leaseUntil", n(until))
            .only_if(HELD, values);
        let held = self.write(update).await?;
        if held {
            lease.until = until;
        }
        Ok(held)
    }

    /// For a transaction that is to be written only while the lease holds, and for the push key of `account`: what
    /// another one was told is of no account to a key that a validate brought since.
    pub fn lease_check(&self, account: &Account, lease: &Lease) -> Result<Action, StoreError> {
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .key("username", s(&lease.username))
            .condition_expression(HELD)
            .expression_attribute_values(":owner", s(&lease.owner))
            .expression_attribute_values(":serial", n(account.push_key_serial))
            .build()
            .map_err(|_| StoreError::Unfit("a check without a condition"))?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    /// Gives the lease back, if it is still held. An account that was woken since it was read, or so shortly before
    /// that the work may yet be written, stays awake. Nothing but the lease is written if a validate brought another
    /// push key: that one begins without failures.
    pub async fn release(
        &self,
        account: &Account,
        lease: &Lease,
        now: i64,
        next: NextWakeUp,
    ) -> Result<(), StoreError> {
        let (failures, backoff_until) = match next {
            NextWakeUp::AfterFailures { failures, until } => (Some(n(failures)), Some(n(until))),
            _ => (None, None),
        };
        let is_blocked =
            matches!(next, NextWakeUp::AfterFailures { .. } | NextWakeUp::KeyDead | NextWakeUp::KeyRefused);
        let last_failure = account.last_failure.as_ref().filter(|_| is_blocked).map(s);
        let freed = self
            .freeing(lease)
            .set_or_remove("failures", failures)
            .set_or_remove("backoffUntil", backoff_until)
            .set_or_remove("lastFailure", last_failure);
        let in_flight = AttributeValue::M(to_item(&account.in_flight)?);
        let bisection = AttributeValue::M(to_item(&account.bisection)?);
        let awake = freed.clone().set("sending", in_flight.clone()).set("probe", bisection.clone());
        if let Some(sleep) = account.sleep(next, now) {
            let asleep = match sleep.entry {
                Some((partition, at)) => awake.clone().set("wakeBucket", n(partition)).set("wakeAt", n(at)),
                // An account that is in no index has nothing in flight and searches for nothing either.
                None => freed.remove(["sending", "probe", "wakeBucket", "wakeAt"]),
            };
            let values =
                [(":owner", s(&lease.owner)), (":wakes", n(account.wakes)), (":before", n(sleep.if_woken_before))];
            let undisturbed = "leaseOwner = :owner AND wakes = :wakes AND wakeAt < :before";
            if self.write(asleep.only_if(undisturbed, values)).await? {
                return Ok(());
            }
        }
        let values = [(":owner", s(&lease.owner)), (":serial", n(account.push_key_serial))];
        if !self.write(awake.only_if(HELD, values)).await? {
            self.give_back(lease).await?;
        }
        Ok(())
    }

    /// Gives the lease back and writes nothing else; false if it was lost.
    pub async fn give_back(&self, lease: &Lease) -> Result<bool, StoreError> {
        self.write(self.freeing(lease).only_if("leaseOwner = :owner", [(":owner", s(&lease.owner))])).await
    }

    fn freeing(&self, lease: &Lease) -> Update {
        self.update(&lease.username).remove(["leaseOwner", "leaseUntil"])
    }

    /// Marks the push key dead, for the reason in `account.last_failure`; false if a validate came since the account
    /// was read, also of the same key, or other work.
    pub async fn mark_push_key_dead(&self, account: &Account, lease: &Lease) -> Result<bool, StoreError> {
        let values =
            [(":owner", s(&lease.owner)), (":serial", n(account.push_key_serial)), (":wakes", n(account.wakes))];
        let undisturbed = "leaseOwner = :owner AND pushKeySerial = :serial AND wakes = :wakes";
        let update = self
            .update(&account.username)
            .set("pushKeyState", s(PushKeyState::Dead.as_str()))
            .set_or_remove("lastFailure", account.last_failure.as_ref().map(s));
        self.write(update.only_if(undisturbed, values)).await
    }
}
