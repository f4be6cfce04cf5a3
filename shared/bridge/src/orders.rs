//! The Orders table, and the one transaction in which an order and its push change together.
//!
//! A row holds the order as the very JSON that Pruvan gets, so that a pull copies bytes. The directives (`status`,
//! `assignedTo`, `dueDate`) stand apart: they are sent only until Pruvan has them.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update};
use pruvan::status::OfficeStatus;
use pruvan::work_order::{Directives, Remark, WorkOrder, surveys};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::accounts::{Account, Accounts};
pub use crate::order::{Directive, Intent, Order, Outcome, Pulled, Report};
use crate::order::{directives, trim};
use crate::push_queue::{Before, PushQueue, Urgency, Waiting};
use crate::settings::SettingError;
use crate::store::{Item, StoreError, Transacted, conditional, failed, n, row, s, sortable, transact, unreadable};
use crate::world::World;

/// Partitions an account's orders are spread over, so that 5,000 are read in parallel. Part of the stored keys: never changed.
pub const SHARDS: u8 = 8;

/// An incremental pull looks back this far past the given time: Pruvan's clock and its long imports are not ours.
pub const LOOK_BACK: Duration = Duration::from_secs(15 * 60);

/// Ended orders are told in full refreshes for this long, since Pruvan removes nothing that is merely absent.
pub const ENDED_TOLD_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// A page ends early at about this size: the reply must fit Lambda's 6 MB, with its quotes escaped.
const MAX_PAGE_BYTES: usize = 2_500_000;

/// Others may change a row while we do; each of them gets in at most once a try.
const TRIES: usize = 12;

/// The table.
#[derive(Debug, Clone)]
pub struct Orders {
    client: Client,
    table: String,
    queue: PushQueue,
    accounts: Accounts,
}

impl Orders {
    /// Named by `ORDERS_TABLE`.
    pub fn new(world: &World) -> Result<Orders, SettingError> {
        Ok(Orders {
            client: world.dynamodb()?,
            table: world.settings.get("ORDERS_TABLE")?.to_owned(),
            queue: PushQueue::new(world)?,
            accounts: Accounts::new(world)?,
        })
    }

    /// The order `number`, as it is now.
    pub async fn get(&self, username: &str, number: &str) -> Result<Option<Order>, StoreError> {
        if pruvan::work_order::number_fault(number).is_some() {
            return Ok(None);
        }
        let reply =
            self.client.get_item().table_name(&self.table).set_key(Some(key(username, number))).consistent_read(true);
        let reply = reply.send().await.map_err(failed("GetItem on Orders"))?;
        reply.item.map(|item| row("Orders", item)).transpose()
    }

    /// The orders `numbers` that exist, as they are now.
    pub async fn get_all(&self, username: &str, numbers: &[String]) -> Result<Vec<Order>, StoreError> {
        let mut orders = Vec::with_capacity(numbers.len());
        for chunk in numbers.chunks(100) {
            let mut keys: Vec<Item> = chunk.iter().map(|number| key(username, number)).collect();
            while !keys.is_empty() {
                let ask =
                    aws_sdk_dynamodb::types::KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true);
                let ask = ask.build().map_err(|_| StoreError::Contended("a batch without keys"))?;
                let reply = self.client.batch_get_item().request_items(&self.table, ask).send().await;
                let reply = reply.map_err(failed("BatchGetItem on Orders"))?;
                for item in reply.responses.into_iter().flatten().flat_map(|(_, items)| items) {
                    orders.push(row("Orders", item)?);
                }
                keys = reply.unprocessed_keys.into_iter().flatten().flat_map(|(_, left)| left.keys).collect();
                if !keys.is_empty() {
                    // Throttled: not asked again at once.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        Ok(orders)
    }

    /// A page of an account's orders, shard after shard, and where to go on.
    pub async fn page(
        &self,
        username: &str,
        mut shard: u8,
        mut after: Option<String>,
        limit: usize,
    ) -> Result<(Vec<Order>, Option<(u8, Option<String>)>), StoreError> {
        let (mut orders, mut bytes) = (Vec::<Order>::new(), 0);
        while shard < SHARDS {
            let partition = partition(username, shard);
            let start = after.take().map(|number| {
                Item::from([("accountShard".to_owned(), s(&partition)), ("workOrderNumber".to_owned(), s(number))])
            });
            let reply = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("accountShard = :shard")
                .expression_attribute_values(":shard", s(&partition))
                .consistent_read(true)
                .limit(i32::try_from(limit - orders.len()).unwrap_or(1))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(failed("Query of Orders"))?;
            for item in reply.items.unwrap_or_default() {
                let order: Order = row("Orders", item)?;
                bytes += order.document.len();
                orders.push(order);
            }
            let more =
                reply.last_evaluated_key.as_ref().and_then(|key| key.get("workOrderNumber")?.as_s().ok().cloned());
            if more.is_none() {
                shard += 1;
            }
            if orders.len() >= limit || bytes >= MAX_PAGE_BYTES {
                return Ok((orders, (shard < SHARDS).then_some((shard, more))));
            }
            after = more;
        }
        Ok((orders, None))
    }

    /// Current orders changed since `since` (all of them without it), and those ended since `ended_since`: oldest change first.
    pub async fn changed(
        &self,
        username: &str,
        since: Option<i64>,
        ended_since: i64,
    ) -> Result<Vec<Pulled>, StoreError> {
        let queries = (0..SHARDS).flat_map(|shard| {
            [
                self.range(partition(username, shard), "current", since.unwrap_or(0)),
                self.range(partition(username, shard), "ended", ended_since),
            ]
        });
        let mut pulled: Vec<Pulled> =
            futures_util::future::try_join_all(queries).await?.into_iter().flatten().collect();
        pulled.sort_by(|a, b| (a.changed_at, &a.work_order_number).cmp(&(b.changed_at, &b.work_order_number)));
        // A row that moved from one range to the other between the two reads is in both.
        let mut newest: BTreeMap<String, i64> = BTreeMap::new();
        for order in &pulled {
            let revision = newest.entry(order.work_order_number.clone()).or_insert(order.revision);
            *revision = order.revision.max(*revision);
        }
        pulled.retain(|order| newest.get(&order.work_order_number) == Some(&order.revision));
        Ok(pulled)
    }

    async fn range(&self, partition: String, phase: &str, since: i64) -> Result<Vec<Pulled>, StoreError> {
        let mut pulled = Vec::new();
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("changes")
            .key_condition_expression("accountShard = :shard AND change BETWEEN :from AND :to")
            .projection_expression("workOrderNumber, document, #open, wishes, settledFor, changedAt, revision")
            .expression_attribute_names("#open", "open")
            .expression_attribute_values(":shard", s(partition))
            .expression_attribute_values(":from", s(format!("{phase}#{}", sortable(since))))
            .expression_attribute_values(":to", s(format!("{phase}#~")))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        while let Some(item) = pages.next().await {
            pulled.push(row("Orders", item.map_err(failed("Query of Orders"))?)?);
        }
        Ok(pulled)
    }

    /// Writes an order that the host gave, and its push, in one transaction; nothing if nothing differs.
    ///
    /// `make` gets the row as it is (`None` if there is none, or it was deleted) and returns the order as it shall be. It may
    /// be called again if others change the row meanwhile, so that nobody's change is lost. A survey that changes under the same service
    /// name is refused, unless the host says to replace it.
    pub async fn change<E: From<StoreError> + From<Vec<Remark>>>(
        &self,
        account: &Account,
        number: &str,
        intent: Intent<'_>,
        instructions: Instructions,
        now: i64,
        make: impl Fn(Option<&Order>) -> Result<WorkOrder, E>,
    ) -> Result<(Outcome, Order), E> {
        let Instructions { force, replace_survey } = instructions;
        let mut awake = false;
        for _ in 0..TRIES {
            let known = self.get(&account.username, number).await?;
            let live = known.as_ref().filter(|order| order.deleted_at.is_none());
            let order = make(live)?;
            let document = order.document();
            let revision = known.as_ref().map_or(1, |order| order.revision + 1);
            let directives = directives(account, live, &order.directives(), intent, force, (now, revision));
            if let Some(live) = live
                && live.document == document
                && live.directives == directives
                && !force
            {
                return Ok((Outcome::Unchanged, live.clone()));
            }
            let ended = directives
                .get("status")
                .and_then(|wish| OfficeStatus::parse(&wish.value))
                .is_some_and(OfficeStatus::ends_order);
            let ended_at = ended.then(|| live.and_then(|order| order.ended_at).unwrap_or(now));
            let next = Order {
                work_order_number: number.to_owned(),
                document,
                directives,
                revision,
                changed_at: now,
                made_at: live.map_or(now, |order| order.made_at),
                ended_at,
                deleted_at: None,
                reports: known.as_ref().map(|order| order.reports.clone()).unwrap_or_default(),
            };
            let first = match &known {
                Some(known) => self.what_goes_first(account, known, &next).await?,
                None => None,
            };
            if let Some((before, _)) = &first {
                survey_faults::<E>(live, &next, before, replace_survey)?;
            }
            if !awake {
                self.accounts.wake(&account.username, now).await?;
                awake = true;
            }
            let read = known.as_ref().map(|order| order.revision);
            if self.write_with_push(&account.username, &next, read, force, first.as_ref()).await? {
                return Ok((if live.is_some() { Outcome::Changed } else { Outcome::Created }, next));
            }
        }
        Err(StoreError::Contended("the order").into())
    }

    /// What must go out before `next`, where it can't be told that Pruvan knows of what lies between: an order that was deleted, or services
    /// that were left out. With it, the row of the queue that says so.
    async fn what_goes_first(
        &self,
        account: &Account,
        known: &Order,
        next: &Order,
    ) -> Result<Option<(Before, Option<Waiting>)>, StoreError> {
        let (was, is) = (services(known)?, services(next)?);
        if known.deleted_at.is_none() && was == is {
            return Ok(None);
        }
        let row = self.queue.get(&account.username, &next.work_order_number).await?;
        // Pruvan knows what a pull told, and else what the queue has no row for any more. What it knows must not be sent again: crews may
        // have worked on what came since.
        let unknown = row.as_ref().filter(|_| !account.has_pulled(known.changed_at));
        let mut before = Before { before_for: account.push_key_serial, ..Before::default() };
        if let Some(row) = row.as_ref().filter(|row| row.before.before_for == account.push_key_serial) {
            before.without.extend(row.before.without.iter().filter(|name| is.contains_key(*name)).cloned());
        }
        if known.deleted_at.is_some() {
            // Where the crews are a vendor's, a deletion deletes nothing.
            let may_delete = account.settings.integration.may_set("status", account.settings.auto_admin);
            if may_delete && unknown.is_none() {
                return Ok(None);
            }
            let changed = |name: &&String| was.get(*name).is_some_and(|survey| Some(survey) != is.get(*name));
            before.delete_first = may_delete;
            before.without.extend(is.keys().filter(changed).cloned());
            return Ok(before.is_needed().then_some((before, row)));
        }
        before.shed = unknown.map(|row| row.before.shed.clone()).unwrap_or_default();
        for (name, survey) in &is {
            let in_pruvan = was.get(name).cloned().or_else(|| before.shed.remove(name));
            if in_pruvan.is_some_and(|known| known != *survey) {
                before.without.insert(name.clone());
            }
        }
        before.shed.extend(was.into_iter().filter(|(name, _)| !is.contains_key(name)));
        Ok(Some((before, row)))
    }

    /// Deletes an order here and, by a push, in Pruvan. The row stays, so that pulls can tell it. False if there is none.
    pub async fn delete(&self, account: &Account, number: &str, now: i64) -> Result<bool, StoreError> {
        let mut awake = false;
        for _ in 0..TRIES {
            let Some(known) = self.get(&account.username, number).await?.filter(|order| order.deleted_at.is_none())
            else {
                return Ok(false);
            };
            let mut next = known.clone();
            let mut map: Map<String, Value> =
                serde_json::from_str(&known.document).map_err(|error| unreadable("Orders", &error))?;
            // An external integration ignores the status, so the client's own status says it, too.
            map.insert("clientStatus".to_owned(), Value::from("Deleted"));
            map.insert("status".to_owned(), Value::from(OfficeStatus::Deleted.as_str()));
            next.document = Value::Object(map).to_string();
            next.directives.clear();
            next.revision += 1;
            next.changed_at = now;
            next.ended_at = Some(now);
            next.deleted_at = Some(now);
            if !awake {
                self.accounts.wake(&account.username, now).await?;
                awake = true;
            }
            if self.write_with_push(&account.username, &next, Some(known.revision), false, None).await? {
                return Ok(true);
            }
        }
        Err(StoreError::Contended("the order"))
    }

    async fn write_with_push(
        &self,
        username: &str,
        next: &Order,
        revision: Option<i64>,
        force: bool,
        first: Option<&(Before, Option<Waiting>)>,
    ) -> Result<bool, StoreError> {
        let status = next.directives.get("status").and_then(|wish| OfficeStatus::parse(&wish.value));
        let urgent = force
            || next.deleted_at.is_some()
            || matches!(status, Some(OfficeStatus::Rush | OfficeStatus::Canceled | OfficeStatus::Deleted));
        let urgency = if urgent { Urgency::Urgent } else { Urgency::Normal };
        let number = &next.work_order_number;
        let first = first.map(|(before, row)| (before, row.as_ref()));
        let push = self.queue.enqueue(username, number, next.revision, urgency, force, first, next.changed_at)?;
        let order = self.host_update(username, next, revision)?;
        let actions = [order, push].map(|update| TransactWriteItem::builder().update(update).build());
        Ok(transact(&self.client, actions.to_vec()).await? == Transacted::Done)
    }

    /// The host's side of the row; what Pruvan reported is not touched.
    fn host_update(&self, username: &str, next: &Order, revision: Option<i64>) -> Result<Update, StoreError> {
        let phase = if next.ended_at.is_some() { "ended" } else { "current" };
        let mut values = directive_values(next)?;
        values.extend([
            (":document".to_owned(), s(&next.document)),
            (":changedAt".to_owned(), n(next.changed_at)),
            (":change".to_owned(), s(format!("{phase}#{}", sortable(next.changed_at)))),
            (":madeAt".to_owned(), n(next.made_at)),
        ]);
        let mut expression = format!(
            "SET {DIRECTIVE_SETS}, document = :document, changedAt = :changedAt, change = :change, madeAt = :madeAt"
        );
        let mut removes = Vec::new();
        for (name, at) in [("endedAt", next.ended_at), ("deletedAt", next.deleted_at)] {
            match at {
                Some(at) => {
                    expression.push_str(&format!(", {name} = :{name}"));
                    values.insert(format!(":{name}"), n(at));
                }
                None => removes.push(name),
            }
        }
        if !removes.is_empty() {
            expression.push_str(&format!(" REMOVE {}", removes.join(", ")));
        }
        self.update(username, &next.work_order_number, expression, values, revision)
    }

    fn update(
        &self,
        username: &str,
        number: &str,
        expression: String,
        mut values: Item,
        revision: Option<i64>,
    ) -> Result<Update, StoreError> {
        let condition = match revision {
            Some(revision) => {
                values.insert(":read".to_owned(), n(revision));
                "revision = :read"
            }
            None => "attribute_not_exists(revision)",
        };
        Update::builder()
            .table_name(&self.table)
            .set_key(Some(key(username, number)))
            .update_expression(expression)
            .condition_expression(condition)
            .expression_attribute_names("#open", "open")
            .set_expression_attribute_values(Some(values))
            .build()
            .map_err(|_| StoreError::Contended("an update without an expression"))
    }

    /// The update that marks as told what went out of the order as it was read, for a transaction; `None` if there is nothing to mark.
    pub fn settling(&self, account: &Account, sent: &Order, now: i64) -> Result<Option<TransactWriteItem>, StoreError> {
        self.settling_of(account, sent, sent.clone(), now)
    }

    /// The same, of the order as it is now: what was set anew since it was sent is not told yet.
    pub async fn settling_anew(
        &self,
        account: &Account,
        sent: &Order,
        now: i64,
    ) -> Result<Option<TransactWriteItem>, StoreError> {
        match self.get(&account.username, &sent.work_order_number).await? {
            Some(order) => self.settling_of(account, sent, order, now),
            None => Ok(None),
        }
    }

    fn settling_of(
        &self,
        account: &Account,
        sent: &Order,
        mut order: Order,
        now: i64,
    ) -> Result<Option<TransactWriteItem>, StoreError> {
        let (read, directives) = (order.revision, order.directives.clone());
        let told = sent.outgoing(account);
        order.close(account, now, |name, wish| {
            told.0.contains_key(name) && sent.directives.get(name).is_some_and(|sent| wish.revision <= sent.revision)
        });
        if order.directives == directives {
            return Ok(None);
        }
        order.revision += 1;
        let values = directive_values(&order)?;
        let expression = format!("SET {DIRECTIVE_SETS}");
        let update = self.update(&account.username, &sent.work_order_number, expression, values, Some(read))?;
        Ok(Some(TransactWriteItem::builder().update(update).build()))
    }

    /// Writes actions on this and other tables: all of them, or none.
    pub async fn transact(&self, actions: Vec<TransactWriteItem>) -> Result<Transacted, StoreError> {
        transact(&self.client, actions).await
    }

    /// Adds what Pruvan reported. The order doesn't count as changed by it (no echo), and directives that Pruvan may have got
    /// before it reported are never sent again (no regress). False if there is no such order.
    pub async fn report(&self, account: &Account, number: &str, report: &Report) -> Result<bool, StoreError> {
        for _ in 0..TRIES {
            let Some(mut order) = self.get(&account.username, number).await? else { return Ok(false) };
            let read = order.revision;
            order.reports.push(report.clone());
            trim(&mut order.reports);
            // A wish that may have been sent is answered by any report. One that was not is overtaken only by news: Pruvan
            // repeats itself, and a repeat of what was known before must not take a new wish back.
            order.close(account, report.at, |name, directive| {
                let told = account.may_have_told(number, directive);
                let news = report.of(name).is_some_and(|reported| directive.before.as_deref() != Some(&reported));
                told || (directive.open && news)
            });
            order.revision += 1;
            let reports =
                serde_dynamo::to_attribute_value(&order.reports).map_err(|error| unreadable("Orders", &error))?;
            let values = Item::from([(":reports".to_owned(), reports)]);
            if self.apply(&account.username, &order, read, ", reports = :reports".to_owned(), values).await? {
                return Ok(true);
            }
        }
        Err(StoreError::Contended("the order"))
    }

    async fn apply(
        &self,
        username: &str,
        order: &Order,
        read: i64,
        more: String,
        mut values: Item,
    ) -> Result<bool, StoreError> {
        values.extend(directive_values(order)?);
        values.insert(":read".to_owned(), n(read));
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(username, &order.work_order_number)))
            .update_expression(format!("SET {DIRECTIVE_SETS}{more}"))
            .condition_expression("revision = :read")
            .expression_attribute_names("#open", "open")
            .set_expression_attribute_values(Some(values));
        conditional("UpdateItem on Orders", || update.clone().send()).await
    }
}

/// How the host wants a change to go out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Instructions {
    /// It overrides what an external integration may not set.
    pub force: bool,
    /// A survey that changes under the same service name is replaced: the task goes with its answers, and is made anew.
    pub replace_survey: bool,
}

fn services(order: &Order) -> Result<BTreeMap<String, String>, StoreError> {
    let document: Map<String, Value> =
        serde_json::from_str(&order.document).map_err(|error| unreadable("Orders", &error))?;
    Ok(surveys(&document))
}

/// Why `next` can't be sent: a survey that changes under the same name though nobody said to replace it, or no service that would be left
/// meanwhile.
fn survey_faults<E: From<StoreError> + From<Vec<Remark>>>(
    live: Option<&Order>,
    next: &Order,
    before: &Before,
    replace_survey: bool,
) -> Result<(), E> {
    let was = live.map(services).transpose()?.unwrap_or_default();
    let is = services(next)?;
    let names: Vec<&String> = is.keys().collect();
    let mut faults = Vec::new();
    let changed = |name: &&String| was.get(*name).is_some_and(|survey| Some(survey) != is.get(*name));
    if !replace_survey {
        for name in before.without.iter().filter(changed) {
            faults.push(Remark {
                field: "/services".to_owned(),
                detail: format!(
                    "the survey of {name:?} changes, which Pruvan takes under another serviceName only: rename the service, or send \
                     \"replaceSurvey\": true, which deletes the task with its answers and makes it anew"
                ),
            });
        }
    }
    if faults.is_empty()
        && !before.delete_first
        && !names.is_empty()
        && names.iter().all(|name| before.without.contains(*name))
    {
        faults.push(Remark {
            field: "/services".to_owned(),
            detail:
                "an order keeps at least one service while others are replaced: rename the service, or add another one"
                    .to_owned(),
        });
    }
    if faults.is_empty() { Ok(()) } else { Err(E::from(faults)) }
}

const DIRECTIVE_SETS: &str =
    "directives = :directives, #open = :open, wishes = :wishes, settledFor = :settledFor, revision = :revision";

/// Values for [`DIRECTIVE_SETS`]: the directives as a map for our own logic, and as JSON fragments for pulls.
fn directive_values(order: &Order) -> Result<Item, StoreError> {
    let fragment = |open_only: bool| {
        let open = |directive: &Directive| directive.open || directive.closed_for < order.settled_for();
        let chosen = order.directives.iter().filter(|(_, directive)| !open_only || open(directive));
        Directives(chosen.map(|(name, directive)| (name.clone(), directive.value.clone())).collect()).fragment()
    };
    let directives =
        serde_dynamo::to_attribute_value(&order.directives).map_err(|error| unreadable("Orders", &error))?;
    Ok(Item::from([
        (":directives".to_owned(), directives),
        (":open".to_owned(), s(fragment(true))),
        (":wishes".to_owned(), s(fragment(false))),
        (":settledFor".to_owned(), n(order.settled_for())),
        (":revision".to_owned(), n(order.revision)),
    ]))
}

fn key(username: &str, number: &str) -> Item {
    let shard = Sha256::digest(number.as_bytes())[0] % SHARDS;
    Item::from([
        ("accountShard".to_owned(), AttributeValue::S(partition(username, shard))),
        ("workOrderNumber".to_owned(), s(number)),
    ])
}

fn partition(username: &str, shard: u8) -> String {
    format!("{username}#{shard}")
}
