//! The Orders table: what is read, pulled, told and reported. [`crate::change`] has what the host writes.
//!
//! A row holds the order as the very JSON that Pruvan gets, so that a pull copies bytes. The directives (`status`,
//! `assignedTo`, `dueDate`) stand apart: they are sent only until Pruvan has them.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Select, TransactWriteItem, Update};
use pruvan::work_order::Directives;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::accounts::Account;
use crate::order::trim;
pub use crate::order::{Directive, Intent, Order, Outcome, Pulled, Report};
use crate::settings::SettingError;
use crate::store::{
    Item, StoreError, TRIES, Transacted, batch_get, conditional, failed, n, row, s, sortable, transact, unreadable,
};
use crate::world::World;

/// Partitions an account's orders are spread over, so that 5,000 are read in parallel. Part of the stored keys: never
/// changed.
pub const SHARDS: u8 = 8;

/// A page ends early at about this size: the reply must fit Lambda's 6 MB, with its quotes escaped.
const MAX_PAGE_BYTES: usize = 2_500_000;

/// Orders that are being read.
#[derive(Debug)]
pub struct Pages {
    receiver: mpsc::Receiver<Result<Read, StoreError>>,
    shards_left: u8,
}

/// What is read of a shard.
#[derive(Debug)]
enum Read {
    Page(Vec<Pulled>),
    ToItsEnd,
}

impl Pages {
    /// The next page; `None` when every shard has been read to its end.
    pub async fn next(&mut self) -> Result<Option<Vec<Pulled>>, StoreError> {
        loop {
            match self.receiver.recv().await.transpose()? {
                Some(Read::Page(orders)) => return Ok(Some(orders)),
                Some(Read::ToItsEnd) => self.shards_left -= 1,
                None if self.shards_left == 0 => return Ok(None),
                None => {
                    let reason = "a shard was not read to its end".to_owned();
                    return Err(StoreError::Call { operation: "Query of Orders", reason });
                }
            }
        }
    }
}

/// Where a list of orders goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    shard: u8,
    /// Among those that ended.
    ended: bool,
    /// After the order with this change and number.
    after: Option<(String, String)>,
}

impl Place {
    /// Whether a list of what was changed since then, or of everything, can go on here.
    pub fn fits(&self, since: Option<i64>) -> bool {
        let phase = if self.ended { "ended" } else { "current" };
        match (since, &self.after) {
            (None, after) => !self.ended && after.as_ref().is_none_or(|(change, _)| change.is_empty()),
            (Some(_), None) => true,
            (Some(since), Some((change, _))) => {
                change.starts_with(phase) && *change >= format!("{phase}#{}", sortable(since))
            }
        }
    }

    /// As text, for [`Place::parse`].
    pub fn to_text(&self) -> String {
        let (change, number) = self.after.as_ref().map_or(("", ""), |(change, number)| (change, number));
        format!("{}|{}|{change}|{number}", self.shard, u8::from(self.ended))
    }

    /// What [`Place::to_text`] wrote.
    pub fn parse(text: &str) -> Option<Place> {
        let mut parts = text.splitn(4, '|');
        let (shard, ended, change, number) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let shard = shard.parse().ok().filter(|shard| *shard < SHARDS)?;
        let ended = match ended {
            "0" => false,
            "1" => true,
            _ => return None,
        };
        let after = match (change, number) {
            (_, "") => None,
            (change, number) => {
                let whole = pruvan::work_order::number_fault(number).is_none() && change.len() <= 40;
                Some((change.to_owned(), number.to_owned())).filter(|_| whole)
            }
        };
        (after.is_some() != number.is_empty()).then_some(Place { shard, ended, after })
    }
}

/// The table.
#[derive(Debug, Clone)]
pub struct Orders {
    pub(crate) client: Client,
    table: String,
}

impl Orders {
    /// Named by `ORDERS_TABLE`.
    pub fn new(world: &World) -> Result<Orders, SettingError> {
        Ok(Orders { client: world.dynamodb()?, table: world.settings.get("ORDERS_TABLE")?.to_owned() })
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
        let keys = numbers.iter().map(|number| key(username, number)).collect();
        let items = batch_get(&self.client, &self.table, keys).await?;
        items.into_iter().map(|item| row("Orders", item)).collect()
    }

    /// A page of an account's orders from `place` on, shard after shard, and where to go on. With `since` only those
    /// that the host changed since then: by the index, so that it costs what they are. Each comes with the place after
    /// it.
    pub async fn page(
        &self,
        username: &str,
        since: Option<i64>,
        mut place: Place,
        limit: usize,
    ) -> Result<(Vec<(Order, Place)>, Option<Place>), StoreError> {
        let (mut orders, mut bytes) = (Vec::new(), 0);
        while place.shard < SHARDS {
            let partition = partition(username, place.shard);
            let query = match since {
                None => {
                    let query = self.client.query().table_name(&self.table).consistent_read(true);
                    let query = query.key_condition_expression("accountShard = :shard");
                    query.expression_attribute_values(":shard", s(&partition))
                }
                Some(since) => {
                    let query = self.range(&partition, if place.ended { "ended" } else { "current" }, since);
                    query.projection_expression("workOrderNumber, change").set_expression_attribute_names(None)
                }
            };
            let start = place.after.as_ref().map(|(change, number)| {
                let mut start =
                    Item::from([("accountShard".to_owned(), s(&partition)), ("workOrderNumber".to_owned(), s(number))]);
                if since.is_some() {
                    start.insert("change".to_owned(), s(change));
                }
                start
            });
            let query = query.limit(i32::try_from(limit - orders.len()).unwrap_or(1)).set_exclusive_start_key(start);
            let reply = query.send().await.map_err(failed("Query of Orders"))?;
            let text = |item: &Item, name: &str| item.get(name).and_then(|value| value.as_s().ok().cloned());
            let at = |item: &Item| {
                // Of the index only.
                let change = since.and_then(|_| text(item, "change")).unwrap_or_default();
                Place { after: text(item, "workOrderNumber").map(|number| (change, number)), ..place.clone() }
            };
            let next = reply.last_evaluated_key.as_ref().map(at);
            let places: Vec<Place> = reply.items.iter().flatten().map(at).collect();
            let mut read: Vec<Order> = match since {
                None => reply
                    .items
                    .unwrap_or_default()
                    .into_iter()
                    .map(|item| row("Orders", item))
                    .collect::<Result<_, _>>()?,
                Some(_) => {
                    let numbers: Vec<String> =
                        places.iter().filter_map(|place| place.after.clone()).map(|(_, number)| number).collect();
                    self.get_all(username, &numbers).await?
                }
            };
            bytes += read.iter().map(Order::bytes).sum::<usize>();
            for place in places {
                let same =
                    |order: &Order| place.after.as_ref().is_some_and(|(_, number)| *number == order.work_order_number);
                if let Some(at) = read.iter().position(same) {
                    orders.push((read.swap_remove(at), place));
                }
            }
            place = match next {
                Some(next) => next,
                None if since.is_some() && !place.ended => Place { ended: true, after: None, ..place },
                None => Place { shard: place.shard + 1, ended: false, after: None },
            };
            if orders.len() >= limit || bytes >= MAX_PAGE_BYTES {
                return Ok((orders, Some(place).filter(|place| place.shard < SHARDS)));
            }
        }
        Ok((orders, None))
    }

    /// Current orders changed since `since` (all of them without it), and those ended since `ended_since`, page by page
    /// as the shards give them: no more pages are read ahead than the shards there are, and none once the receiver is
    /// gone. The last message is an error if not all could be read, whatever kept them from being read.
    ///
    /// Within a shard the oldest change comes first, so an order that changes meanwhile may come again, newer, and none
    /// is passed over.
    pub fn pages(&self, username: &str, since: Option<i64>, ended_since: i64) -> Pages {
        let (pages, receiver) = mpsc::channel(1);
        for shard in 0..SHARDS {
            let (orders, partition, pages) = (self.clone(), partition(username, shard), pages.clone());
            tokio::spawn(async move {
                // What ends while its shard is read is in one of the two ranges, or in both.
                for (phase, since) in [("current", since.unwrap_or(0)), ("ended", ended_since)] {
                    let mut query = orders.range(&partition, phase, since).into_paginator().send();
                    while let Some(page) = query.next().await {
                        let page = page.map_err(failed("Query of Orders")).and_then(|page| {
                            let items = page.items.unwrap_or_default();
                            items.into_iter().map(Pulled::from_item).collect::<Result<Vec<Pulled>, _>>()
                        });
                        let failed = page.is_err();
                        if pages.send(page.map(Read::Page)).await.is_err() || failed {
                            return;
                        }
                    }
                }
                let _ = pages.send(Ok(Read::ToItsEnd)).await;
            });
        }
        Pages { receiver, shards_left: SHARDS }
    }

    /// Whether there are more than `most` orders that [`Orders::pages`] would give, without reading them.
    pub async fn are_more_than(
        &self,
        most: usize,
        username: &str,
        since: Option<i64>,
        ended_since: i64,
    ) -> Result<bool, StoreError> {
        let mut count = 0;
        for shard in 0..SHARDS {
            let partition = partition(username, shard);
            for (phase, since) in [("current", since.unwrap_or(0)), ("ended", ended_since)] {
                let query = self.range(&partition, phase, since).set_projection_expression(None);
                let query = query.set_expression_attribute_names(None).select(Select::Count);
                let mut pages = query.into_paginator().send();
                while let Some(page) = pages.next().await {
                    count += usize::try_from(page.map_err(failed("Query of Orders"))?.count).unwrap_or(0);
                    if count > most {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }

    /// How many orders of the account are current.
    pub async fn current(&self, username: &str) -> Result<u64, StoreError> {
        let mut count = 0;
        for shard in 0..SHARDS {
            let query = self.range(&partition(username, shard), "current", 0).consistent_read(false);
            let query = query.set_projection_expression(None).set_expression_attribute_names(None);
            let mut pages = query.select(Select::Count).into_paginator().send();
            while let Some(page) = pages.next().await {
                count += u64::try_from(page.map_err(failed("Query of Orders"))?.count).unwrap_or(0);
            }
        }
        Ok(count)
    }

    fn range(&self, partition: &str, phase: &str, since: i64) -> QueryFluentBuilder {
        self.client
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
    }

    pub(crate) fn update(
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
            .map_err(|_| StoreError::Unfit("an update without an expression"))
    }

    /// The update that marks as told what went out of the order as it was read, for a transaction; `None` if there is
    /// nothing to mark.
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

    /// Adds what Pruvan reported. The order doesn't count as changed by it (no echo), and directives that Pruvan may
    /// have got before it reported are never sent again (no regress). False if there is no such order.
    pub async fn report(&self, account: &Account, number: &str, report: &Report) -> Result<bool, StoreError> {
        for _ in 0..TRIES {
            let Some(mut order) = self.get(&account.username, number).await? else { return Ok(false) };
            let read = order.revision;
            order.reports.push(report.clone());
            trim(&mut order.reports);
            // A wish that may have been sent is answered by any report. One that was not is overtaken only by news:
            // Pruvan repeats itself, and a repeat of what was known before must not take a new wish back.
            order.close(account, report.at, |name, directive| {
                let told = directive.may_have_been_told(account, number);
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

pub(crate) const DIRECTIVE_SETS: &str =
    "directives = :directives, #open = :open, wishes = :wishes, settledFor = :settledFor, revision = :revision";

/// Values for [`DIRECTIVE_SETS`]: the directives as a map for our own logic, and as JSON fragments for pulls.
pub(crate) fn directive_values(order: &Order) -> Result<Item, StoreError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_shard_that_is_not_read_to_its_end_is_an_error_and_no_end() {
        for (ends, whole) in [(0, false), (SHARDS - 1, false), (SHARDS, true)] {
            let (sender, receiver) = mpsc::channel(16);
            let mut pages = Pages { receiver, shards_left: SHARDS };
            sender.send(Ok(Read::Page(Vec::new()))).await.unwrap();
            for _ in 0..ends {
                sender.send(Ok(Read::ToItsEnd)).await.unwrap();
            }
            drop(sender);
            assert_eq!(pages.next().await.map(|page| page.map(|orders| orders.len())), Ok(Some(0)));
            assert_eq!(pages.next().await.is_ok_and(|page| page.is_none()), whole, "{ends}");
        }
    }
}
