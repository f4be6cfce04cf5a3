//! The orders of a pull, page by page, as they are read from all shards at once.

use std::sync::Arc;

use aws_sdk_dynamodb::types::Select;
use tokio::sync::{Semaphore, mpsc};

use super::pages::NO_END;
use super::{CURRENT, ENDED, Orders, SHARDS, partition};
use crate::account::ANNOUNCED_MS;
use crate::order::Pulled;
use crate::store::{Item, StoreError, failed};

/// Shards that are read at once. Each takes a connection of its own, and in a function that has just been started a
/// connection costs more than a page.
const AT_ONCE: usize = 4;

/// Which orders are read, by when the host changed them, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Current ones that were changed since then.
    pub since: i64,
    /// Those that ended since then.
    pub ended_since: i64,
    /// What was changed before then comes after all others.
    pub last_before: Option<i64>,
    /// When the reading began: what is changed from then on may be where it was read already.
    pub began: i64,
}

/// Orders that are being read.
#[derive(Debug)]
pub struct Pages {
    receiver: mpsc::Receiver<Result<Read, StoreError>>,
    parts_left: usize,
    /// What comes last, of shards that were read with one query.
    held: Vec<Vec<Pulled>>,
    /// Of the others, what is still to be read.
    unread: Vec<Part>,
    /// Whose orders they are, and where they are read from.
    reader: Reader,
}

/// What is read of a shard.
#[derive(Debug)]
enum Read {
    Page(Vec<Pulled>),
    /// These come last.
    Held(Vec<Pulled>),
    /// This comes last, and is still to be read.
    Unread(Part),
    ToItsEnd,
}

impl Pages {
    /// The next page; `None` when every shard has been read to its end.
    pub async fn next(&mut self) -> Result<Option<Vec<Pulled>>, StoreError> {
        loop {
            match self.receiver.recv().await.transpose()? {
                Some(Read::Page(orders)) => return Ok(Some(orders)),
                Some(Read::Held(orders)) => self.held.push(orders),
                Some(Read::Unread(part)) => self.unread.push(part),
                Some(Read::ToItsEnd) => self.parts_left -= 1,
                None if self.parts_left > 0 => {
                    let reason = "a shard was not read to its end".to_owned();
                    return Err(StoreError::Call { operation: "Query of Orders", reason });
                }
                None if !self.held.is_empty() => return Ok(self.held.pop()),
                None if self.unread.is_empty() => return Ok(None),
                None => {
                    let parts = std::mem::take(&mut self.unread);
                    self.parts_left = parts.len();
                    self.receiver = self.reader.start(parts);
                }
            }
        }
    }
}

/// A part of a span, which is read by a task of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Of this shard all, or what comes first.
    Shard(u8),
    /// Of this shard what comes last, among those that are current or have ended.
    Last(u8, &'static str),
}

/// Reads the shards of an account.
#[derive(Debug, Clone)]
struct Reader {
    orders: Orders,
    username: String,
    span: Span,
}

impl Reader {
    /// Reads these parts, some at a time.
    fn start(&self, parts: impl IntoIterator<Item = Part>) -> mpsc::Receiver<Result<Read, StoreError>> {
        let (pages, receiver) = mpsc::channel(1);
        let places = Arc::new(Semaphore::new(AT_ONCE));
        for part in parts {
            let (reader, pages, places) = (self.clone(), pages.clone(), places.clone());
            tokio::spawn(async move {
                let _place = places.acquire().await;
                let end = match reader.read(part, &pages).await {
                    Ok(()) => Ok(Read::ToItsEnd),
                    Err(Stopped::Failed(error)) => Err(error),
                    Err(Stopped::NobodyReads) => return,
                };
                let _ = pages.send(end).await;
            });
        }
        receiver
    }

    async fn read(&self, part: Part, pages: &Sender) -> Result<(), Stopped> {
        let Span { since, ended_since, last_before, began } = self.span;
        let phases = [(CURRENT, since), (ENDED, ended_since)];
        match (part, last_before) {
            // What ends while its shard is read is in one of the two ranges, or in both.
            (Part::Shard(shard), None) => {
                for (phase, since) in phases {
                    self.range(shard, (phase, since, NO_END), pages).await?;
                }
            }
            (Part::Shard(shard), Some(before)) => {
                for (phase, since) in phases {
                    self.first_of_range(shard, (phase, since, before), pages).await?;
                }
            }
            (Part::Last(shard, wanted), before) => {
                for (phase, since) in phases.into_iter().filter(|(phase, _)| *phase == wanted) {
                    self.range(shard, (phase, since, before.unwrap_or(NO_END)), pages).await?;
                }
                // What was to come last, and changed or ended meanwhile, is behind what was read first.
                for (phase, _) in phases {
                    self.range(shard, (phase, began - ANNOUNCED_MS, NO_END), pages).await?;
                }
            }
        }
        Ok(())
    }

    /// All of a range.
    async fn range(&self, shard: u8, (phase, since, before): (&str, i64, i64), pages: &Sender) -> Result<(), Stopped> {
        let query = self.orders.range(&partition(&self.username, shard), phase, since, before);
        let mut queries = query.into_paginator().send();
        while let Some(page) = queries.next().await {
            let page = page.map_err(failed("Query of Orders"))?.items.unwrap_or_default();
            pages.send(Ok(Read::Page(pulled(page)?))).await?;
        }
        Ok(())
    }

    /// What of a range comes first. If one query gives all of it, as it mostly does, the rest is held until it is
    /// wanted; else that is read again then.
    async fn first_of_range(
        &self,
        shard: u8,
        (phase, since, before): (&'static str, i64, i64),
        pages: &Sender,
    ) -> Result<(), Stopped> {
        let query = self.orders.range(&partition(&self.username, shard), phase, since, NO_END);
        let reply = query.send().await.map_err(failed("Query of Orders"))?;
        if reply.last_evaluated_key.is_some() {
            self.range(shard, (phase, before, NO_END), pages).await?;
            pages.send(Ok(Read::Unread(Part::Last(shard, phase)))).await?;
            return Ok(());
        }
        let orders = pulled(reply.items.unwrap_or_default())?;
        let (last, first): (Vec<Pulled>, Vec<Pulled>) = orders.into_iter().partition(|order| order.changed_at < before);
        pages.send(Ok(Read::Page(first))).await?;
        if !last.is_empty() {
            pages.send(Ok(Read::Held(last))).await?;
        }
        Ok(())
    }
}

type Sender = mpsc::Sender<Result<Read, StoreError>>;

/// Why a shard is not read to its end.
enum Stopped {
    Failed(StoreError),
    NobodyReads,
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Stopped {
        Stopped::Failed(error)
    }
}

impl<T> From<mpsc::error::SendError<T>> for Stopped {
    fn from(_: mpsc::error::SendError<T>) -> Stopped {
        Stopped::NobodyReads
    }
}

fn pulled(items: Vec<Item>) -> Result<Vec<Pulled>, StoreError> {
    items.into_iter().map(Pulled::from_item).collect()
}

impl Orders {
    /// The orders of a span, page by page as the shards give them: no more pages are read ahead than shards are read at
    /// once, and none once nobody asks for more. The last one is an error if not all could be read, whatever kept them
    /// from being read.
    ///
    /// Within a shard the oldest change comes first, so an order that changes meanwhile may come again, newer, and none
    /// is passed over. Where that order is broken, since something comes last, what has changed meanwhile is read
    /// again.
    pub fn pages(&self, username: &str, span: Span) -> Pages {
        let reader = Reader { orders: self.clone(), username: username.to_owned(), span };
        let receiver = reader.start((0..SHARDS).map(Part::Shard));
        Pages { receiver, parts_left: SHARDS.into(), held: Vec::new(), unread: Vec::new(), reader }
    }

    /// Whether there are more than `most` orders that [`Orders::pages`] would give, without reading them.
    pub async fn are_more_than(&self, most: usize, username: &str, span: Span) -> Result<bool, StoreError> {
        let mut count = 0;
        for shard in 0..SHARDS {
            let partition = partition(username, shard);
            for (phase, since) in [(CURRENT, span.since), (ENDED, span.ended_since)] {
                let query = self.range(&partition, phase, since, NO_END).set_projection_expression(None);
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contention::Contention;
    use crate::time::Random;

    /// Pages of what comes by this channel.
    fn pages(receiver: mpsc::Receiver<Result<Read, StoreError>>) -> Pages {
        let config = aws_sdk_dynamodb::Config::builder().behavior_version_latest().build();
        let orders = Orders {
            client: aws_sdk_dynamodb::Client::from_conf(config),
            table: "Orders".to_owned(),
            contention: Contention::new(&Random::system()),
        };
        let span = Span { since: 0, ended_since: 0, last_before: None, began: 0 };
        let reader = Reader { orders, username: "vendor1".to_owned(), span };
        Pages { receiver, parts_left: SHARDS.into(), held: Vec::new(), unread: Vec::new(), reader }
    }

    #[tokio::test]
    async fn a_shard_that_is_not_read_to_its_end_is_an_error_and_no_end() {
        for (ends, whole) in [(0, false), (SHARDS - 1, false), (SHARDS, true)] {
            let (sender, receiver) = mpsc::channel(16);
            let mut pages = pages(receiver);
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
