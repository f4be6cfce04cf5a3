//! What the host writes: an order and its row of the push queue, in one transaction or not at all. One by one, or many
//! at once.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use pruvan::work_order::{Remark, WorkOrder};
use tokio::sync::OnceCell;

use crate::accounts::{Account, Accounts};
use crate::contention::Contention;
use crate::dependencies::Dependencies;
use crate::order::{Intent, Order};
use crate::orders::Orders;
pub use crate::plan::{Changed, Instructions};
use crate::plan::{Write, deletion, live, needs_row, next, plan, unchanged, urgency, with_kept_services};
use crate::push_queue::{PushQueue, QueueRow};
use crate::settings::SettingError;
use crate::store::StoreError;
use crate::time::Clock;
use crate::transaction::{Action, Group, Transactions, Writes, Written};

/// What became of one order of many.
#[derive(Debug, Clone)]
pub enum BulkResult {
    /// It is as it was given.
    Done(Box<Changed>),
    /// It can't be sent.
    Refused(Vec<Remark>),
    /// There was no time left.
    NoTime,
    /// A call failed. It may have taken effect all the same; giving the order once more does no harm.
    Failed(StoreError),
}

/// One order of many.
#[derive(Debug, Clone)]
pub struct Given {
    /// The order, checked.
    pub order: WorkOrder,
    /// How it goes out.
    pub instructions: Instructions,
}

/// Orders read at a time; they are written in transactions of half as many.
const CHUNK: usize = 100;

/// What is still running then is given up, so that the reply leaves before the gateway's 29 seconds are over.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(25);

/// Chunks that are worked on at a time.
const CHUNKS_AT_ONCE: usize = 4;

/// Writes what the host gives: orders, and with each of them the row of the push queue by which Pruvan gets it.
#[derive(Debug, Clone)]
pub struct Changes {
    orders: Orders,
    queue: PushQueue,
    accounts: Accounts,
    transactions: Transactions,
    contention: Contention,
}

impl Changes {
    /// On the tables named by `ORDERS_TABLE`, `PUSH_QUEUE_TABLE` and `ACCOUNTS_TABLE`.
    pub fn new(dependencies: &Dependencies) -> Result<Changes, SettingError> {
        Ok(Changes {
            orders: Orders::new(dependencies)?,
            queue: PushQueue::new(dependencies)?,
            accounts: Accounts::new(dependencies)?,
            transactions: Transactions::new(dependencies)?,
            contention: Contention::new(&dependencies.random),
        })
    }

    /// Writes an order that the host gave, and its push; nothing if nothing differs.
    ///
    /// `make` gets the row as it is (`None` if there is none, or it was deleted) and returns the order as it shall be.
    /// It may be called again if others change the row meanwhile, so that nobody's change is lost. A survey that
    /// changes under the same service name is refused, unless the host says to replace it and a service is left
    /// meanwhile.
    pub async fn change<E: From<StoreError> + From<Vec<Remark>>>(
        &self,
        account: &Account,
        number: &str,
        intent: Intent<'_>,
        instructions: Instructions,
        now: i64,
        make: impl Fn(Option<&Order>) -> Result<WorkOrder, E>,
    ) -> Result<Changed, E> {
        let (mut awake, mut tries) = (false, self.contention.tries());
        loop {
            let known = self.orders.get(&account.username, number).await?;
            let order = make(live(known.as_ref()))?;
            let order = with_kept_services(&order, known.as_ref(), instructions)?;
            let Some(next) = next(account, known.as_ref(), &order, intent, instructions.force, now) else {
                return Ok(unchanged(known));
            };
            let row = match needs_row(known.as_ref(), &next)? {
                true => self.queue.get(&account.username, number).await?,
                false => None,
            };
            let write = plan(account, known.as_ref(), next, row, intent, instructions)?.map_err(E::from)?;
            if !awake {
                self.accounts.wake(&account.username, now).await?;
                awake = true;
            }
            let actions = self.write_and_enqueue(&account.username, &write)?;
            if self.transactions.write_one(actions.to_vec()).await? {
                return Ok(write.done());
            }
            if !tries.again().await {
                return Err(StoreError::Contended("the order").into());
            }
        }
    }

    /// Writes many whole orders, no number twice, each as [`Changes::change`] does: a condition, a conflict or a row
    /// that is too large holds back no other order; a call that fails, those that it carried. None is begun once
    /// `out_of_time`, and what has not ended some seconds later is given up. The results are in the orders' order.
    ///
    /// A change counts from when it is written, by `clock`, and not from when the call began: pulls that were answered
    /// in between told the order as it was.
    pub async fn change_all(
        &self,
        account: &Account,
        given: &[Given],
        clock: &Clock,
        out_of_time: &(dyn Fn() -> bool + Sync),
    ) -> Vec<BulkResult> {
        let awake = OnceCell::new();
        let give_up = tokio::time::Instant::now() + GIVEN_UP_AFTER;
        let chunk = |chunk| self.change_chunk(account, chunk, clock, &awake, out_of_time, give_up);
        let chunks: Vec<_> = given.chunks(CHUNK).map(chunk).collect();
        let results = futures_util::stream::iter(chunks).buffered(CHUNKS_AT_ONCE).collect::<Vec<_>>().await;
        results.into_iter().flatten().collect()
    }

    async fn change_chunk(
        &self,
        account: &Account,
        given: &[Given],
        clock: &Clock,
        awake: &OnceCell<()>,
        out_of_time: &(dyn Fn() -> bool + Sync),
        give_up: tokio::time::Instant,
    ) -> Vec<BulkResult> {
        let mut results: Vec<Option<BulkResult>> = vec![None; given.len()];
        let work = self.work_on_chunk(account, given, clock, awake, out_of_time, &mut results);
        let late = tokio::time::timeout_at(give_up, work).await.is_err();
        let left = match (late, out_of_time()) {
            (true, _) => {
                BulkResult::Failed(StoreError::Call { operation: "DynamoDB", reason: "took too long".to_owned() })
            }
            (false, true) => BulkResult::NoTime,
            (false, false) => BulkResult::Failed(StoreError::Contended("the order")),
        };
        results.into_iter().map(|result| result.unwrap_or_else(|| left.clone())).collect()
    }

    async fn work_on_chunk(
        &self,
        account: &Account,
        given: &[Given],
        clock: &Clock,
        awake: &OnceCell<()>,
        out_of_time: &(dyn Fn() -> bool + Sync),
        results: &mut [Option<BulkResult>],
    ) {
        let mut tries = self.contention.tries();
        loop {
            let open: Vec<usize> = (0..given.len()).filter(|index| results[*index].is_none()).collect();
            if open.is_empty() || out_of_time() {
                break;
            }
            let now = clock.now_ms();
            let written = async {
                let writes = self.plan_all(account, given, &open, now, results).await?;
                if !writes.is_empty() {
                    awake.get_or_try_init(|| self.accounts.wake(&account.username, now)).await?;
                }
                Ok(writes)
            };
            match written.await {
                Ok(writes) => self.write_all(&account.username, writes, results, out_of_time).await,
                Err(error) => {
                    let error: StoreError = error;
                    for result in results.iter_mut().filter(|result| result.is_none()) {
                        *result = Some(BulkResult::Failed(error.clone()));
                    }
                }
            }
            if results.iter().all(Option::is_some) || !tries.again().await {
                break;
            }
        }
    }

    /// Decides what is to be written of the orders `open`, by what is there now.
    async fn plan_all(
        &self,
        account: &Account,
        given: &[Given],
        open: &[usize],
        now: i64,
        results: &mut [Option<BulkResult>],
    ) -> Result<Vec<(usize, Write)>, StoreError> {
        let username = &account.username;
        let numbers: Vec<String> = open.iter().map(|index| given[*index].order.number().to_owned()).collect();
        let known = self.orders.get_all(username, &numbers).await?;
        let mut known: HashMap<String, Order> =
            known.into_iter().map(|order| (order.work_order_number.clone(), order)).collect();
        let (mut nexts, mut rows) = (Vec::new(), Vec::new());
        for index in open {
            let Given { order, instructions } = &given[*index];
            let known = known.remove(order.number());
            let planned = (|| {
                let order = with_kept_services(order, known.as_ref(), *instructions)?;
                let next = next(account, known.as_ref(), &order, Intent::State, instructions.force, now);
                let needs = next.as_ref().map(|next| needs_row(known.as_ref(), next)).transpose()?.unwrap_or(false);
                Ok::<_, StoreError>((next, needs))
            })();
            match planned {
                // A row that can't be read is no other order's fault.
                Err(error) => results[*index] = Some(BulkResult::Failed(error)),
                Ok((None, _)) => results[*index] = Some(BulkResult::Done(Box::new(unchanged(known)))),
                Ok((Some(next), needs)) => {
                    rows.extend(needs.then(|| order.number().to_owned()));
                    nexts.push((*index, known, next));
                }
            }
        }
        let rows = self.queue.get_all(username, &rows).await?;
        let mut rows: HashMap<String, QueueRow> =
            rows.into_iter().map(|row| (row.work_order_number.clone(), row)).collect();
        let mut writes = Vec::with_capacity(nexts.len());
        for (index, known, next) in nexts {
            let row = rows.remove(&next.work_order_number);
            match plan(account, known.as_ref(), next, row, Intent::State, given[index].instructions) {
                Ok(Ok(write)) => writes.push((index, write)),
                Ok(Err(faults)) => results[index] = Some(BulkResult::Refused(faults)),
                Err(error) => results[index] = Some(BulkResult::Failed(error)),
            }
        }
        Ok(writes)
    }

    /// Writes what was planned. What others changed meanwhile is left without a result.
    async fn write_all(
        &self,
        username: &str,
        writes: Vec<(usize, Write)>,
        results: &mut [Option<BulkResult>],
        out_of_time: &(dyn Fn() -> bool + Sync),
    ) {
        // An order's row, and its row of the queue.
        let groups = writes.iter().map(|(_, write)| Group { actions: 2, bytes: write.next.bytes() }).collect();
        let writes = writes.into_iter().map(|(index, write)| (index, Some(write))).collect();
        let mut bulk = Bulk { changes: self, username, writes, results };
        self.transactions.write(None, groups, &mut bulk, out_of_time).await;
    }

    /// Deletes an order here and, by a push, in Pruvan. The row stays, so that pulls can tell it. False if there is
    /// none. `check` may forbid it.
    pub async fn delete<E: From<StoreError>>(
        &self,
        account: &Account,
        number: &str,
        now: i64,
        check: impl Fn(&Order) -> Result<(), E>,
    ) -> Result<bool, E> {
        let (mut awake, mut tries) = (false, self.contention.tries());
        loop {
            let Some(known) =
                self.orders.get(&account.username, number).await?.filter(|order| order.deleted_at.is_none())
            else {
                return Ok(false);
            };
            check(&known)?;
            let write = deletion(&known, now)?;
            if !awake {
                self.accounts.wake(&account.username, now).await?;
                awake = true;
            }
            let actions = self.write_and_enqueue(&account.username, &write)?;
            if self.transactions.write_one(actions.to_vec()).await? {
                return Ok(true);
            }
            if !tries.again().await {
                return Err(StoreError::Contended("the order").into());
            }
        }
    }

    /// The order's row and its row of the queue: both are written, or neither.
    fn write_and_enqueue(&self, username: &str, write: &Write) -> Result<[Action; 2], StoreError> {
        let Write { next, read, preparation, instructions: Instructions { force, .. }, .. } = write;
        let urgency = urgency(next, *force);
        let preparation = preparation.as_ref().map(|(before, row)| (before, row.as_ref()));
        let order = self.orders.host_update(username, next, *read)?;
        Ok([order, self.queue.enqueue(username, next, urgency, *force, preparation)?])
    }
}

/// Many changes that are being written.
struct Bulk<'a> {
    changes: &'a Changes,
    username: &'a str,
    /// Each with its place among the results, until it is written.
    writes: Vec<(usize, Option<Write>)>,
    results: &'a mut [Option<BulkResult>],
}

impl Writes for Bulk<'_> {
    fn actions(&self, group: usize) -> Result<Vec<Action>, StoreError> {
        let write = self.writes.get(group).and_then(|(_, write)| write.as_ref());
        let write = write.ok_or(StoreError::Unfit("an order that is written already"))?;
        self.changes.write_and_enqueue(self.username, write).map(Vec::from)
    }

    fn ended(&mut self, group: usize, written: Written) {
        let (index, write) = &mut self.writes[group];
        self.results[*index] = match written {
            Written::Done => write.take().map(|write| BulkResult::Done(Box::new(write.done()))),
            // Planned anew, from what is there now; what is held up for long, too.
            Written::Unmet(_) | Written::Failed(StoreError::Contended(_)) => None,
            Written::Failed(error) => Some(BulkResult::Failed(error)),
        };
    }
}
