//! The Orders table: what is read, told and reported. `orders/pages.rs` has how many orders are listed,
//! `orders/span.rs` how they are read for a pull, and [`crate::change`] what the host writes.
//!
//! A row holds the order as the very JSON that Pruvan gets, so that a pull copies bytes. The directives (`status`,
//! `assignedTo`, `dueDate`) stand apart: they are sent only until Pruvan has them.

pub mod pages;
pub mod span;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use pruvan::work_order::{Directives, could_be_number};
use sha2::{Digest, Sha256};

use crate::accounts::Account;
use crate::contention::Contention;
use crate::dependencies::Dependencies;
use crate::order::trim;
pub use crate::order::{Directive, Effect, Intent, Order, Pulled, Report};
use crate::settings::SettingError;
use crate::store::{Item, StoreError, batch_get, failed, n, row, s, sortable, unreadable};
use crate::transaction::Action;
use crate::update::Update;

/// Partitions an account's orders are spread over, so that 5,000 are read in parallel. Part of the stored keys: never
/// changed.
pub const SHARDS: u8 = 8;

/// Access to the table Orders.
#[derive(Debug, Clone)]
pub struct Orders {
    client: Client,
    table: String,
    contention: Contention,
}

impl Orders {
    /// Of the table that the setting `ORDERS_TABLE` names.
    pub fn new(dependencies: &Dependencies) -> Result<Orders, SettingError> {
        Ok(Orders {
            client: dependencies.dynamodb()?,
            table: dependencies.settings.get("ORDERS_TABLE")?.to_owned(),
            contention: Contention::new(&dependencies.random),
        })
    }

    /// The order `number`, as it is now.
    pub async fn get(&self, username: &str, number: &str) -> Result<Option<Order>, StoreError> {
        if !could_be_number(number) {
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
        let items = batch_get(&self.client, &self.table, keys, &[]).await?;
        items.into_iter().map(|item| row("Orders", item)).collect()
    }

    /// Marks as told what went out of the order as it was when it was sent, for a transaction; `None` if there is
    /// nothing to mark. `current` is the order as it is: what was set anew since it was sent is not told yet.
    pub fn closing(
        &self,
        account: &Account,
        sent: &Order,
        current: &Order,
        read_at: i64,
    ) -> Result<Option<Action>, StoreError> {
        let (told, mut next) = (sent.outgoing(account), current.clone());
        next.close(account, read_at, |name, directive| {
            told.0.contains_key(name)
                && sent.directives.get(name).is_some_and(|sent| directive.revision <= sent.revision)
        });
        if next.directives == current.directives {
            return Ok(None);
        }
        next.revision += 1;
        self.update(&account.username, &next, Some(current.revision))?.action().map(Some)
    }

    /// Adds what Pruvan reported, in this order and in one write. The order doesn't count as changed by it, so nothing
    /// is pushed back. Each report closes each directive that Pruvan may have been told, whatever it reports, and each
    /// other one of which it reports news. False if there is no such order.
    pub async fn report(&self, account: &Account, number: &str, reports: &[Report]) -> Result<bool, StoreError> {
        let (mut tries, mut tried) = (self.contention.tries(), false);
        loop {
            let Some(mut order) = self.get(&account.username, number).await? else { return Ok(false) };
            // It may have been written, its reply lost, and the row changed by others before the next try.
            if tried && reports.last().is_none_or(|last| order.reports.contains(last)) {
                return Ok(true);
            }
            let read = order.revision;
            order.reports.extend_from_slice(reports);
            trim(&mut order.reports);
            // A directive that may have been sent is answered by any report. One that was not is overtaken only by
            // news: Pruvan repeats itself, and a repeat of what was known before must not take a new directive back.
            for report in reports {
                order.close(account, report.at, |name, directive| {
                    let told = directive.may_have_been_told(account, number);
                    let news = report.of(name).is_some_and(|reported| directive.before.as_deref() != Some(&reported));
                    told || (directive.open && news)
                });
            }
            order.revision += 1;
            let reports =
                serde_dynamo::to_attribute_value(&order.reports).map_err(|error| unreadable("Orders", &error))?;
            let update = self.update(&account.username, &order, Some(read))?.set("reports", reports);
            if update.send(&self.client, &self.contention, "UpdateItem on Orders").await? {
                return Ok(true);
            }
            tried = true;
            if !tries.again().await {
                return Err(StoreError::Contended("the order"));
            }
        }
    }

    /// The host's side of the row, made from revision `read`, for a transaction; what Pruvan reported is not touched.
    pub(crate) fn host_update(&self, username: &str, next: &Order, read: Option<i64>) -> Result<Action, StoreError> {
        let phase = if next.ended_at.is_some() { ENDED } else { CURRENT };
        self.update(username, next, read)?
            .set("document", s(&next.document))
            .set("changedAt", n(next.changed_at))
            .set("change", s(change_key(phase, next.changed_at)))
            .set("madeAt", n(next.made_at))
            .set("version", n(next.version))
            .set_or_remove("endedAt", next.ended_at.map(n))
            .set_or_remove("deletedAt", next.deleted_at.map(n))
            .action()
    }

    /// An update of the row as it was at revision `read`, with the directives and the revision of `order`: the
    /// directives as a map for our own logic, and as JSON fragments for pulls.
    fn update(&self, username: &str, order: &Order, read: Option<i64>) -> Result<Update, StoreError> {
        let fragment = |open_only: bool| {
            let open = |directive: &Directive| directive.open || directive.closed_for < order.settled_for();
            let chosen = order.directives.iter().filter(|(_, directive)| !open_only || open(directive));
            Directives(chosen.map(|(name, directive)| (name.clone(), directive.value.clone())).collect()).fragment()
        };
        let directives =
            serde_dynamo::to_attribute_value(&order.directives).map_err(|error| unreadable("Orders", &error))?;
        let update = Update::new(&self.table, key(username, &order.work_order_number))
            .set("directives", directives)
            .set("open", s(fragment(true)))
            .set("wishes", s(fragment(false))) // all of them
            .set("settledFor", n(order.settled_for()))
            .set("revision", n(order.revision));
        Ok(match read {
            Some(read) => update.only_if("revision = :read", [(":read", n(read))]),
            None => update.only_if("attribute_not_exists(revision)", []),
        })
    }
}

/// How the index `changes` calls orders that have not ended.
const CURRENT: &str = "current";

/// And those that have.
const ENDED: &str = "ended";

/// The sort key of the index `changes`: current or ended, and when the order was last changed.
fn change_key(phase: &str, at: i64) -> String {
    format!("{phase}#{}", sortable(at))
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
