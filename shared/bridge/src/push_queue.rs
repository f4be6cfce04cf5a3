//! The PushQueue table: one row per order that differs from what Pruvan has. It holds no payload: the drain reads the order as
//! it is when it is sent.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{Delete, Update};
use serde::Deserialize;

use crate::settings::SettingError;
use crate::store::{Item, StoreError, conditional, failed, n, row, s, sortable};
use crate::world::World;

/// What goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Rushes, cancellations, deletions and forced updates.
    Urgent,
    /// All else.
    Normal,
}

/// One row.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// The order.
    pub work_order_number: String,
    /// The order's revision when it was last changed: a row is removed only by who sent this one or a later one.
    pub version: i64,
    /// When the first change came that Pruvan doesn't have.
    pub queued_at: i64,
    /// Urgency and time, sorted as text; missing once it is parked.
    #[serde(default)]
    pub due: Option<String>,
    /// Times that Pruvan refused it.
    #[serde(default)]
    pub attempts: u32,
    /// Pruvan's words when it last did.
    #[serde(default)]
    pub last_error: Option<String>,
    /// Overrides what an external integration may not set.
    #[serde(default)]
    pub force: bool,
}

impl Waiting {
    /// When it is due, in milliseconds since 1970; `None` once it is parked.
    pub fn due_at(&self) -> Option<i64> {
        self.due.as_ref()?.split('#').nth(1)?.parse().ok()
    }

    /// In a word: `due`, `waiting` for a later time, or `parked` until somebody steps in.
    pub fn state(&self, now: i64) -> &'static str {
        match self.due_at() {
            Some(at) if at <= now => "due",
            Some(_) => "waiting",
            None => "parked",
        }
    }

    fn urgency(&self) -> Urgency {
        if self.due.as_ref().is_some_and(|due| due.starts_with('0')) { Urgency::Urgent } else { Urgency::Normal }
    }
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
    pub fn enqueue(
        &self,
        username: &str,
        number: &str,
        version: i64,
        urgency: Urgency,
        force: bool,
        now: i64,
    ) -> Result<Update, StoreError> {
        let forced = if force { ", #force = :true" } else { "" };
        let mut update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key(username, number)))
            .update_expression(format!(
                "SET version = :version, due = :due, queuedAt = if_not_exists(queuedAt, :now){forced} REMOVE attempts, lastError"
            ))
            .expression_attribute_values(":version", n(version))
            .expression_attribute_values(":due", s(due(urgency, now)))
            .expression_attribute_values(":now", n(now));
        if force {
            update = update
                .expression_attribute_names("#force", "force")
                .expression_attribute_values(":true", aws_sdk_dynamodb::types::AttributeValue::Bool(true));
        }
        update.build().map_err(|_| StoreError::Contended("an update without an expression"))
    }

    /// Queues an order that a pull had no room for, unless it is queued already.
    pub async fn enqueue_overflow(
        &self,
        username: &str,
        number: &str,
        version: i64,
        now: i64,
    ) -> Result<(), StoreError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(username, number)))
            .update_expression("SET version = :version, due = :due, queuedAt = :now")
            .condition_expression("attribute_not_exists(version)")
            .expression_attribute_values(":version", n(version))
            .expression_attribute_values(":due", s(due(Urgency::Normal, now)))
            .expression_attribute_values(":now", n(now));
        conditional("UpdateItem on PushQueue", || update.clone().send()).await.map(|_| ())
    }

    /// What is due at `now`, urgent ones first, at most `limit`.
    pub async fn due(&self, username: &str, now: i64, limit: usize) -> Result<Vec<Waiting>, StoreError> {
        let mut rows = self.range(username, due(Urgency::Urgent, 0), due(Urgency::Urgent, now), limit).await?;
        if rows.len() < limit {
            let left = limit - rows.len();
            rows.extend(self.range(username, due(Urgency::Normal, 0), due(Urgency::Normal, now), left).await?);
        }
        Ok(rows)
    }

    /// When the next row will be due, if any waits.
    pub async fn next_due(&self, username: &str) -> Result<Option<i64>, StoreError> {
        let mut next = Vec::new();
        for urgency in [Urgency::Urgent, Urgency::Normal] {
            next.extend(self.range(username, due(urgency, 0), due(urgency, i64::MAX), 1).await?);
        }
        Ok(next.iter().filter_map(Waiting::due_at).min())
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

    /// The removal of a row that was sent, unless the order changed since, for a transaction.
    pub fn removal(&self, username: &str, sent: &Waiting) -> Result<Delete, StoreError> {
        Delete::builder()
            .table_name(&self.table)
            .set_key(Some(key(username, &sent.work_order_number)))
            .condition_expression("version = :version")
            .expression_attribute_values(":version", n(sent.version))
            .build()
            .map_err(|_| StoreError::Contended("a removal without a key"))
    }

    /// Removes a row that was sent; one whose order changed since stays.
    pub async fn remove(&self, username: &str, sent: &Waiting) -> Result<(), StoreError> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key(username, &sent.work_order_number)))
            .condition_expression("version = :version")
            .expression_attribute_values(":version", n(sent.version));
        conditional("DeleteItem on PushQueue", || delete.clone().send()).await.map(|_| ())
    }

    /// Notes that Pruvan refused the order: it is tried again at `retry_at`, or parked without one. If the order changed since,
    /// the refusal is of no interest.
    pub async fn refuse(
        &self,
        username: &str,
        sent: &Waiting,
        error: &str,
        retry_at: Option<i64>,
    ) -> Result<(), StoreError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(username, &sent.work_order_number)))
            .condition_expression("version = :version")
            .expression_attribute_values(":version", n(sent.version))
            .expression_attribute_values(":attempts", n(sent.attempts + 1))
            .expression_attribute_values(":error", s(error));
        let update = match retry_at {
            Some(at) => update
                .update_expression("SET attempts = :attempts, lastError = :error, due = :due")
                .expression_attribute_values(":due", s(due(sent.urgency(), at))),
            None => update.update_expression("SET attempts = :attempts, lastError = :error REMOVE due"),
        };
        conditional("UpdateItem on PushQueue", || update.clone().send()).await.map(|_| ())
    }
}

fn due(urgency: Urgency, at: i64) -> String {
    format!("{}#{}", if urgency == Urgency::Urgent { 0 } else { 1 }, sortable(at.min(999_999_999_999_999)))
}

fn key(username: &str, number: &str) -> Item {
    Item::from([("username".to_owned(), s(username)), ("workOrderNumber".to_owned(), s(number))])
}
