//! The PushQueue table: one row per order that differs from what Pruvan has. It holds no payload: the drain reads the
//! order as it is when it is sent.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, TransactWriteItem, Update};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::settings::SettingError;
use crate::store::{Item, StoreError, batch_get, conditional, failed, n, row, s, sortable};
use crate::time::display;
use crate::world::World;

/// What goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Rushes, cancellations, deletions and forced updates, and what the host asks for by name.
    Urgent,
    /// All else.
    Normal,
}

/// A row of the PushQueue table: an order that Pruvan doesn't have as it is now.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// Of the order that waits.
    pub work_order_number: String,
    /// The order's revision when it was last changed: a row is removed only by who sent this one or a later one.
    pub version: i64,
    /// When the first change came that Pruvan doesn't have.
    pub queued_at: i64,
    /// What goes first, and when, sorted as text.
    pub due: String,
    /// Times that Pruvan refused it.
    #[serde(default)]
    pub attempts: u32,
    /// Pruvan's words when it last did.
    #[serde(default)]
    pub last_error: Option<String>,
    /// The version that is to override what an external integration may not set.
    #[serde(default)]
    pub forced: Option<i64>,
    /// What must go out before the order as it is.
    #[serde(flatten)]
    pub before: Before,
}

/// What must go out before an order as it is (*Available workOrder service Object Fields*): Pruvan changes no survey
/// under the same service name, and nothing at all but the updatable fields, so what is to be made anew is deleted
/// first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Before {
    /// The whole order is deleted first: it was deleted and made anew before Pruvan knew.
    pub delete_first: bool,
    /// It goes without these services first.
    pub without: BTreeSet<String>,
    /// For which push key this was found ([`crate::accounts::Account::push_key_serial`]): an integration made anew has
    /// nothing to delete.
    pub before_for: i64,
    /// Services that were left out before Pruvan knew, each with its survey: one that comes back with another survey
    /// must be deleted first.
    pub shed: BTreeMap<String, String>,
}

impl Before {
    /// Whether another push must go first.
    pub fn is_needed(&self) -> bool {
        self.delete_first || !self.without.is_empty()
    }
}

const URGENT: char = '0';
const NORMAL: char = '1';
const PARKED: char = '2';

impl Waiting {
    /// When it is due, in milliseconds since 1970; `None` once it is parked.
    pub fn due_at(&self) -> Option<i64> {
        if self.due.starts_with(PARKED) { None } else { self.due.split('#').nth(1)?.parse().ok() }
    }

    /// In a word: `due`, `waiting` for a later time, or `parked` until somebody steps in.
    pub fn state(&self, now: i64) -> &'static str {
        match self.due_at() {
            Some(at) if at <= now => "due",
            Some(_) => "waiting",
            None => "parked",
        }
    }

    /// As the host sees it, wherever it is shown: times in RFC 3339.
    pub fn shown(&self, now: i64) -> Map<String, Value> {
        Map::from_iter([
            ("state".to_owned(), Value::from(self.state(now))),
            ("since".to_owned(), Value::from(display(self.queued_at))),
            ("due".to_owned(), Value::from(self.due_at().map(display))),
            ("attempts".to_owned(), Value::from(self.attempts)),
            ("lastError".to_owned(), Value::from(self.last_error.clone())),
        ])
    }

    fn class(&self) -> char {
        if self.due.starts_with(URGENT) { URGENT } else { NORMAL }
    }
}

/// What an account has waiting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Orders that are due now or later.
    pub waiting: u64,
    /// When the oldest of them was queued that Pruvan has not refused.
    pub oldest: Option<i64>,
    /// Orders that are sent again only when somebody steps in.
    pub parked: u64,
}

/// The table.
#[derive(Debug, Clone)]
pub struct PushQueue {
    client: Client,
    table: String,
}

impl PushQueue {
    /// Named by `PUSH_QUEUE_TABLE`.
    pub fn new(world: &World) -> Result<PushQueue, SettingError> {
        Ok(PushQueue { client: world.dynamodb()?, table: world.settings.get("PUSH_QUEUE_TABLE")?.to_owned() })
    }

    /// The update that queues an order, for the transaction that changes it. A new state has a fresh set of attempts.
    /// `before` comes with the row that it was made from: if that has changed, the update isn't written.
    #[expect(clippy::too_many_arguments, reason = "each says a different thing of one update, and there is one caller")]
    pub fn enqueue(
        &self,
        username: &str,
        number: &str,
        version: i64,
        urgency: Urgency,
        force: bool,
        before: Option<(&Before, Option<&Waiting>)>,
        now: i64,
    ) -> Result<Update, StoreError> {
        let mut sets = "SET version = :version, due = :due, queuedAt = if_not_exists(queuedAt, :now)".to_owned();
        let mut update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key(username, number)))
            .expression_attribute_values(":version", n(version))
            .expression_attribute_values(":due", s(due(class(urgency), now)))
            .expression_attribute_values(":now", n(now));
        if force {
            sets.push_str(", forced = :version");
        }
        let mut removes = "attempts, lastError".to_owned();
        if let Some((before, row)) = before {
            if before.delete_first {
                sets.push_str(", deleteFirst = :true");
                update = update.expression_attribute_values(":true", AttributeValue::Bool(true));
            }
            if before.is_needed() {
                sets.push_str(", beforeFor = :beforeFor");
                update = update.expression_attribute_values(":beforeFor", n(before.before_for));
            }
            if before.shed.is_empty() {
                removes.push_str(", shed");
            } else {
                sets.push_str(", shed = :shed");
                let shed = before.shed.iter().map(|(name, survey)| (name.clone(), s(survey))).collect();
                update = update.expression_attribute_values(":shed", AttributeValue::M(shed));
            }
            update = update.expression_attribute_names("#without", "without");
            if before.without.is_empty() {
                removes.push_str(", #without");
            } else {
                sets.push_str(", #without = :without");
                let names = AttributeValue::Ss(before.without.iter().cloned().collect());
                update = update.expression_attribute_values(":without", names);
            }
            update = match row {
                Some(row) => {
                    update.condition_expression("version = :read").expression_attribute_values(":read", n(row.version))
                }
                None => update.condition_expression("attribute_not_exists(version)"),
            };
        }
        let expression = format!("{sets} REMOVE {removes}");
        update.update_expression(expression).build().map_err(|_| StoreError::Unfit("an update without an expression"))
    }

    /// Queues an order as it was at `version`, changed at `changed_at`, unless it is queued already: what a pull had no
    /// room for. What was changed first is due first.
    pub async fn enqueue_overflow(
        &self,
        username: &str,
        number: &str,
        (version, changed_at): (i64, i64),
        now: i64,
    ) -> Result<(), StoreError> {
        self.enqueue_unchanged(username, number, version, due(NORMAL, changed_at), now).await.map(|_| ())
    }

    /// Queues an order as it is at `version`; false if it is queued already.
    async fn enqueue_unchanged(
        &self,
        username: &str,
        number: &str,
        version: i64,
        due: String,
        now: i64,
    ) -> Result<bool, StoreError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(username, number)))
            .update_expression("SET version = :version, due = :due, queuedAt = :now")
            .condition_expression("attribute_not_exists(version)")
            .expression_attribute_values(":version", n(version))
            .expression_attribute_values(":due", s(due))
            .expression_attribute_values(":now", n(now));
        conditional("UpdateItem on PushQueue", || update.clone().send()).await
    }

    /// Makes an order go out next, whether it waits or is as Pruvan has it: what the host asks for by name.
    pub async fn push_again(&self, username: &str, number: &str, version: i64, now: i64) -> Result<(), StoreError> {
        while !self.retry(username, number, now).await? {
            if self.enqueue_unchanged(username, number, version, due(URGENT, now), now).await? {
                break;
            }
        }
        Ok(())
    }

    /// Makes an order that waits or is parked go out next, with a fresh set of attempts; false if it does neither.
    pub async fn retry(&self, username: &str, number: &str, now: i64) -> Result<bool, StoreError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(username, number)))
            .update_expression("SET due = :due REMOVE attempts")
            .condition_expression("attribute_exists(version)")
            .expression_attribute_values(":due", s(due(URGENT, now)));
        conditional("UpdateItem on PushQueue", || update.clone().send()).await
    }

    /// What is due at `now`: urgent ones first, and last those that a pull had carried by `carried`. At most `limit`,
    /// and each once, also if it changes its place meanwhile.
    pub async fn due(&self, username: &str, now: i64, carried: i64, limit: usize) -> Result<Vec<Waiting>, StoreError> {
        let carried = carried.min(now);
        let mut rows = self.range(username, due(URGENT, 0), due(URGENT, now), limit).await?;
        for (from, to) in [(carried + 1, now), (0, carried)] {
            let left = limit.saturating_sub(rows.len());
            if left > 0 && from <= to && to > 0 {
                rows.extend(self.range(username, due(NORMAL, from), due(NORMAL, to), left).await?);
            }
        }
        // The later a row was read, the newer it is.
        let mut seen = BTreeSet::new();
        rows.reverse();
        rows.retain(|row| seen.insert(row.work_order_number.clone()));
        rows.reverse();
        Ok(rows)
    }

    /// When the next row will be due, if any waits, and whether any is parked.
    pub async fn next(&self, username: &str) -> Result<(Option<i64>, bool), StoreError> {
        let first = |class| self.range(username, due(class, 0), due(class, i64::MAX), 1);
        let (urgent, normal, parked) = futures_util::try_join!(first(URGENT), first(NORMAL), first(PARKED))?;
        Ok((urgent.iter().chain(&normal).filter_map(Waiting::due_at).min(), !parked.is_empty()))
    }

    /// Parked orders, at most `limit`.
    pub async fn parked(&self, username: &str, limit: usize) -> Result<Vec<Waiting>, StoreError> {
        self.range(username, due(PARKED, 0), due(PARKED, i64::MAX), limit).await
    }

    /// What an account has waiting.
    pub async fn backlog(&self, username: &str) -> Result<Backlog, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("due")
            .key_condition_expression("username = :username")
            .projection_expression("due, queuedAt, attempts")
            .expression_attribute_values(":username", s(username));
        let mut items = query.into_paginator().items().send();
        let mut backlog = Backlog::default();
        while let Some(item) = items.next().await {
            let item = item.map_err(failed("Query of PushQueue"))?;
            if item.get("due").and_then(|due| due.as_s().ok()).is_some_and(|due| due.starts_with(PARKED)) {
                backlog.parked += 1;
                continue;
            }
            backlog.waiting += 1;
            let number = |name: &str| item.get(name)?.as_n().ok()?.parse::<i64>().ok();
            // What Pruvan refused waits for its next try by itself: it must not hide that nothing else goes out.
            if number("attempts").unwrap_or(0) == 0 {
                backlog.oldest = backlog.oldest.into_iter().chain(number("queuedAt")).min();
            }
        }
        Ok(backlog)
    }

    async fn range(&self, username: &str, from: String, to: String, limit: usize) -> Result<Vec<Waiting>, StoreError> {
        let reply = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("due")
            .key_condition_expression("username = :username AND due BETWEEN :from AND :to")
            .expression_attribute_values(":username", s(username))
            .expression_attribute_values(":from", s(from))
            .expression_attribute_values(":to", s(to))
            .consistent_read(true)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(failed("Query of PushQueue"))?;
        reply.items.unwrap_or_default().into_iter().map(|item| row("PushQueue", item)).collect()
    }

    /// A page of the rows of an account, by number, and where to go on.
    pub async fn page(
        &self,
        username: &str,
        after: Option<&str>,
    ) -> Result<(Vec<Waiting>, Option<String>), StoreError> {
        let reply = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("username = :username")
            .expression_attribute_values(":username", s(username))
            .consistent_read(true)
            .limit(500)
            .set_exclusive_start_key(after.map(|number| key(username, number)))
            .send()
            .await
            .map_err(failed("Query of PushQueue"))?;
        let next = reply.last_evaluated_key.as_ref().and_then(|key| key.get("workOrderNumber")?.as_s().ok().cloned());
        let rows = reply.items.unwrap_or_default().into_iter().map(|item| row("PushQueue", item));
        Ok((rows.collect::<Result<_, _>>()?, next))
    }

    /// The row of one order.
    pub async fn get(&self, username: &str, number: &str) -> Result<Option<Waiting>, StoreError> {
        let reply =
            self.client.get_item().table_name(&self.table).set_key(Some(key(username, number))).consistent_read(true);
        let reply = reply.send().await.map_err(failed("GetItem on PushQueue"))?;
        reply.item.map(|item| row("PushQueue", item)).transpose()
    }

    /// The rows of these orders that there are.
    pub async fn get_all(&self, username: &str, numbers: &[String]) -> Result<Vec<Waiting>, StoreError> {
        let keys = numbers.iter().map(|number| key(username, number)).collect();
        let items = batch_get(&self.client, &self.table, keys).await?;
        items.into_iter().map(|item| row("PushQueue", item)).collect()
    }

    /// What becomes of a row that was sent, for a transaction; but for [`Sent::FirstPart`], only if the order hasn't
    /// changed since.
    pub fn settle(&self, username: &str, sent: &Waiting, how: &Sent<'_>) -> Result<TransactWriteItem, StoreError> {
        let key = key(username, &sent.work_order_number);
        let unfit = |_| StoreError::Unfit("an action without a key");
        let action = TransactWriteItem::builder();
        let update = Update::builder().table_name(&self.table).set_key(Some(key.clone()));
        let unchanged = "version = :version";
        let version = n(sent.version);
        let update = match how {
            Sent::Taken => {
                let delete =
                    Delete::builder().table_name(&self.table).set_key(Some(key)).condition_expression(unchanged);
                let delete = delete.expression_attribute_values(":version", version).build().map_err(unfit)?;
                return Ok(action.delete(delete).build());
            }
            Sent::TakenInDoubt { again_at } => update
                .update_expression("SET due = :due REMOVE attempts, lastError")
                .condition_expression(unchanged)
                .expression_attribute_values(":version", version)
                .expression_attribute_values(":due", s(due(sent.class(), *again_at))),
            Sent::FirstPart { now, keep_services } => {
                let update = update
                    .condition_expression("attribute_exists(version)")
                    .expression_attribute_values(":due", s(due(sent.class(), *now)));
                match *keep_services || sent.before.without.is_empty() {
                    true => update.update_expression("SET due = :due REMOVE deleteFirst"),
                    false => update
                        .update_expression("SET due = :due REMOVE deleteFirst DELETE #without :without")
                        .expression_attribute_names("#without", "without")
                        .expression_attribute_values(
                            ":without",
                            AttributeValue::Ss(sent.before.without.iter().cloned().collect()),
                        ),
                }
            }
            Sent::Postponed { until } => update
                .update_expression("SET due = :due")
                .condition_expression(unchanged)
                .expression_attribute_values(":version", version)
                .expression_attribute_values(":due", s(due(sent.class(), *until))),
            Sent::Refused { error, retry_at, now } => update
                .update_expression("SET attempts = :attempts, lastError = :error, due = :due")
                .condition_expression(unchanged)
                .expression_attribute_values(":version", version)
                .expression_attribute_values(":attempts", n(sent.attempts + 1))
                .expression_attribute_values(":error", s(*error))
                .expression_attribute_values(
                    ":due",
                    s(retry_at.map_or_else(|| due(PARKED, *now), |at| due(sent.class(), at))),
                ),
            Sent::ForceTaken => update
                .update_expression("REMOVE forced")
                .condition_expression("forced = :forced")
                .expression_attribute_values(":forced", n(sent.forced.unwrap_or(0))),
        };
        Ok(action.update(update.build().map_err(unfit)?).build())
    }
}

/// What became of an order that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent<'a> {
    /// Pruvan has it: the row goes.
    Taken,
    /// Pruvan has it, but an earlier push of it may still take effect: it goes once more at `again_at`.
    TakenInDoubt {
        /// When the earlier one can do no more.
        again_at: i64,
    },
    /// What had to go first has gone; the order as it is goes next.
    FirstPart {
        /// The time.
        now: i64,
        /// The services that go first have not gone yet.
        keep_services: bool,
    },
    /// It was not sent, since an earlier push of it may still take effect, and what goes first must not come before
    /// that.
    Postponed {
        /// When the earlier one can do no more.
        until: i64,
    },
    /// Pruvan refused it.
    Refused {
        /// Why.
        error: &'a str,
        /// When to try again; it is parked without.
        retry_at: Option<i64>,
        /// The time.
        now: i64,
    },
    /// The order has changed since; that it was forced goes out once only.
    ForceTaken,
}

fn class(urgency: Urgency) -> char {
    if urgency == Urgency::Urgent { URGENT } else { NORMAL }
}

fn due(class: char, at: i64) -> String {
    format!("{class}#{}", sortable(at.min(999_999_999_999_999)))
}

fn key(username: &str, number: &str) -> Item {
    Item::from([("username".to_owned(), s(username)), ("workOrderNumber".to_owned(), s(number))])
}
