//! The PushQueue table: one row per order that differs from what Pruvan has. It holds no payload: the drain reads the
//! order as it is when it is sent.

mod row;
mod write;

use std::collections::BTreeSet;
use std::ops::Range;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;

use crate::contention::Contention;
use crate::dependencies::Dependencies;
use crate::settings::SettingError;
use crate::store::{Item, StoreError, batch_get, failed, row, s};
use row::{AGAIN, LEFT_OUT, NORMAL, PARKED, RETRY, URGENT, due};
pub use row::{FirstPush, QueueRow, RowOutcome, Urgency};

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

/// Access to the table PushQueue.
#[derive(Debug, Clone)]
pub struct PushQueue {
    client: Client,
    table: String,
    contention: Contention,
}

impl PushQueue {
    /// Of the table that the setting `PUSH_QUEUE_TABLE` names.
    pub fn new(dependencies: &Dependencies) -> Result<PushQueue, SettingError> {
        Ok(PushQueue {
            client: dependencies.dynamodb()?,
            table: dependencies.settings.get("PUSH_QUEUE_TABLE")?.to_owned(),
            contention: Contention::new(&dependencies.random),
        })
    }

    /// What is due at `now`: what is urgent, what a pull had no room for, changes, what is tried again, and last what
    /// pulls have `carried` or was told otherwise. At most `limit`, and each once, also if it changes its place
    /// meanwhile.
    pub async fn due(
        &self,
        username: &str,
        now: i64,
        carried: Range<i64>,
        limit: usize,
    ) -> Result<Vec<QueueRow>, StoreError> {
        let all = |class| (due(class, 0), due(class, now));
        let normal = |from: i64, to: i64| (due(NORMAL, from), due(NORMAL, to));
        // What was left out is due in any case, and sorts before all changes.
        let left_out_and = |to: i64| (due(LEFT_OUT, 0), due(NORMAL, to));
        let Range { start, end } = carried.start..carried.end.min(now + 1);
        let ranges = match carried.is_empty() {
            true => vec![all(URGENT), left_out_and(now), all(RETRY), all(AGAIN)],
            false => vec![
                all(URGENT),
                left_out_and(start - 1),
                normal(end, now),
                all(RETRY),
                normal(start, end - 1),
                all(AGAIN),
            ],
        };
        let mut rows = Vec::new();
        for (from, to) in ranges {
            let left = limit.saturating_sub(rows.len());
            if left > 0 && from <= to {
                rows.extend(self.range(username, from, to, left).await?);
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
        let first = |from, to| self.range(username, due(from, 0), due(to, i64::MAX), 1);
        let waiting = [(URGENT, URGENT), (LEFT_OUT, NORMAL), (RETRY, RETRY), (AGAIN, AGAIN)];
        let waiting = waiting.map(|(from, to)| first(from, to));
        let waiting = futures_util::future::try_join_all(waiting);
        let (waiting, parked) = futures_util::try_join!(waiting, first(PARKED, PARKED))?;
        Ok((waiting.iter().flatten().filter_map(QueueRow::due_at).min(), !parked.is_empty()))
    }

    /// What pulls had no room for, as it waits.
    pub async fn left_out(&self, username: &str) -> Result<Vec<QueueRow>, StoreError> {
        let query = self.query(username, due(LEFT_OUT, 0), due(LEFT_OUT, i64::MAX));
        let mut items = query.into_paginator().items().send();
        let mut rows = Vec::new();
        while let Some(item) = items.next().await {
            rows.push(row("PushQueue", item.map_err(failed("Query of PushQueue"))?)?);
        }
        Ok(rows)
    }

    /// Parked orders, at most `limit`.
    pub async fn parked(&self, username: &str, limit: usize) -> Result<Vec<QueueRow>, StoreError> {
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

    fn query(&self, username: &str, from: String, to: String) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .index_name("due")
            .key_condition_expression("username = :username AND due BETWEEN :from AND :to")
            .expression_attribute_values(":username", s(username))
            .expression_attribute_values(":from", s(from))
            .expression_attribute_values(":to", s(to))
            .consistent_read(true)
    }

    async fn range(&self, username: &str, from: String, to: String, limit: usize) -> Result<Vec<QueueRow>, StoreError> {
        let query = self.query(username, from, to).limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let reply = query.send().await.map_err(failed("Query of PushQueue"))?;
        reply.items.unwrap_or_default().into_iter().map(|item| row("PushQueue", item)).collect()
    }

    /// At most `limit` rows of an account, by number, and where to go on.
    pub async fn page(
        &self,
        username: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<QueueRow>, Option<String>), StoreError> {
        let reply = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("username = :username")
            .expression_attribute_values(":username", s(username))
            .consistent_read(true)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(after.map(|number| key(username, number)))
            .send()
            .await
            .map_err(failed("Query of PushQueue"))?;
        let next = reply.last_evaluated_key.as_ref().and_then(|key| key.get("workOrderNumber")?.as_s().ok().cloned());
        let rows = reply.items.unwrap_or_default().into_iter().map(|item| row("PushQueue", item));
        Ok((rows.collect::<Result<_, _>>()?, next))
    }

    /// The row of one order.
    pub async fn get(&self, username: &str, number: &str) -> Result<Option<QueueRow>, StoreError> {
        let reply =
            self.client.get_item().table_name(&self.table).set_key(Some(key(username, number))).consistent_read(true);
        let reply = reply.send().await.map_err(failed("GetItem on PushQueue"))?;
        reply.item.map(|item| row("PushQueue", item)).transpose()
    }

    /// The rows of these orders that there are.
    pub async fn get_all(&self, username: &str, numbers: &[String]) -> Result<Vec<QueueRow>, StoreError> {
        let keys = numbers.iter().map(|number| key(username, number)).collect();
        let items = batch_get(&self.client, &self.table, keys, &[]).await?;
        items.into_iter().map(|item| row("PushQueue", item)).collect()
    }
}

fn key(username: &str, number: &str) -> Item {
    Item::from([("username".to_owned(), s(username)), ("workOrderNumber".to_owned(), s(number))])
}
