//! Many orders: page by page as the host lists them, or how many there are.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::Select;

use super::{CURRENT, ENDED, Orders, SHARDS, change_key, partition};
use crate::http::PAGE_BYTES;
use crate::order::Order;
use crate::store::{Item, StoreError, failed, row, s};

/// No end of a range.
pub(super) const NO_END: i64 = i64::MAX;

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
        let phase = if self.ended { ENDED } else { CURRENT };
        match (since, &self.after) {
            (None, after) => !self.ended && after.as_ref().is_none_or(|(change, _)| change.is_empty()),
            (Some(_), None) => true,
            (Some(since), Some((change, _))) => change.starts_with(phase) && *change >= change_key(phase, since),
        }
    }

    /// The place after a row of the table, or of the index, which tells the change.
    fn after(&self, item: &Item, in_index: bool) -> Place {
        let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok().cloned());
        let change = if in_index { text("change").unwrap_or_default() } else { String::new() };
        Place { after: text("workOrderNumber").map(|number| (change, number)), ..self.clone() }
    }

    /// As text, for [`Place::parse`].
    pub fn to_text(&self) -> String {
        let (change, number) = self.after.as_ref().map_or(("", ""), |(change, number)| (change, number));
        format!("{}|{}|{change}|{number}", self.shard, u8::from(self.ended))
    }

    /// Reads what [`Place::to_text`] wrote; `None` if it is anything else.
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
                let whole = pruvan::work_order::could_be_number(number) && change.len() <= 40;
                Some((change.to_owned(), number.to_owned())).filter(|_| whole)
            }
        };
        (after.is_some() != number.is_empty()).then_some(Place { shard, ended, after })
    }
}

impl Orders {
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
            let (read, next) = self.read_on(username, since, &place, limit - orders.len()).await?;
            bytes += read.iter().map(|(order, _)| order.bytes()).sum::<usize>();
            orders.extend(read);
            place = next;
            if orders.len() >= limit || bytes >= PAGE_BYTES {
                return Ok((orders, Some(place).filter(|place| place.shard < SHARDS)));
            }
        }
        Ok((orders, None))
    }

    /// What one query gives of the shard from `place` on, and where to go on after it: in the next shard, if this one
    /// was read to its end.
    async fn read_on(
        &self,
        username: &str,
        since: Option<i64>,
        place: &Place,
        limit: usize,
    ) -> Result<(Vec<(Order, Place)>, Place), StoreError> {
        let partition = partition(username, place.shard);
        let query = match since {
            None => {
                let query = self.client.query().table_name(&self.table).consistent_read(true);
                let query = query.key_condition_expression("accountShard = :shard");
                query.expression_attribute_values(":shard", s(&partition))
            }
            Some(since) => {
                let query = self.range(&partition, if place.ended { ENDED } else { CURRENT }, since, NO_END);
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
        let query = query.limit(i32::try_from(limit).unwrap_or(1)).set_exclusive_start_key(start);
        let reply = query.send().await.map_err(failed("Query of Orders"))?;
        let after = |item: &Item| place.after(item, since.is_some());
        let next = match &reply.last_evaluated_key {
            Some(key) => after(key),
            None if since.is_some() && !place.ended => Place { shard: place.shard, ended: true, after: None },
            None => Place { shard: place.shard + 1, ended: false, after: None },
        };
        let items = reply.items.unwrap_or_default();
        let places: Vec<Place> = items.iter().map(after).collect();
        let mut read: Vec<Order> = match since {
            None => items.into_iter().map(|item| row("Orders", item)).collect::<Result<_, _>>()?,
            Some(_) => {
                let numbers: Vec<String> =
                    places.iter().filter_map(|place| place.after.clone()).map(|(_, number)| number).collect();
                self.get_all(username, &numbers).await?
            }
        };
        let order_at = |place: Place| {
            let same =
                |order: &Order| place.after.as_ref().is_some_and(|(_, number)| *number == order.work_order_number);
            let at = read.iter().position(same)?;
            Some((read.swap_remove(at), place))
        };
        Ok((places.into_iter().filter_map(order_at).collect(), next))
    }

    /// How many orders of the account are current.
    pub async fn current(&self, username: &str) -> Result<u64, StoreError> {
        let mut count = 0;
        for shard in 0..SHARDS {
            let query = self.range(&partition(username, shard), CURRENT, 0, NO_END).consistent_read(false);
            let query = query.set_projection_expression(None).set_expression_attribute_names(None);
            let mut pages = query.select(Select::Count).into_paginator().send();
            while let Some(page) = pages.next().await {
                count += u64::try_from(page.map_err(failed("Query of Orders"))?.count).unwrap_or(0);
            }
        }
        Ok(count)
    }

    /// Orders of a shard that are current or ended, and were changed from `since` on and before `before`, oldest change
    /// first.
    pub(super) fn range(&self, partition: &str, phase: &str, since: i64, before: i64) -> QueryFluentBuilder {
        let to = if before == NO_END { format!("{phase}#~") } else { change_key(phase, before - 1) };
        self.client
            .query()
            .table_name(&self.table)
            .index_name("changes")
            .key_condition_expression("accountShard = :shard AND change BETWEEN :from AND :to")
            .projection_expression("workOrderNumber, document, #open, wishes, settledFor, changedAt, revision")
            .expression_attribute_names("#open", "open")
            .expression_attribute_values(":shard", s(partition))
            .expression_attribute_values(":from", s(change_key(phase, since)))
            .expression_attribute_values(":to", s(to))
            .consistent_read(true)
    }
}
