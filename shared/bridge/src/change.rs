//! What the host writes: an order and its push change together, in one transaction or not at all. One by one, or many
//! at once.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use aws_sdk_dynamodb::types::{TransactWriteItem, Update};
use futures_util::StreamExt as _;
use pruvan::work_order::{Remark, WorkOrder};
use tokio::sync::OnceCell;

use crate::accounts::{Account, Accounts};
use crate::order::{Intent, Order};
use crate::orders::{DIRECTIVE_SETS, Orders, directive_values};
pub use crate::plan::{Changed, Instructions};
use crate::plan::{Write, deletion, live, needs_row, next, plan, unchanged, urgency, with_kept_services};
use crate::push_queue::{PushQueue, Waiting};
use crate::settings::SettingError;
use crate::store::{Attempt, MOST_IN_TRANSACTION, StoreError, TRIES, Transacted, attempt, n, s, sortable, transact};
use crate::time::Clock;
use crate::world::World;

/// What became of one order of many.
#[derive(Debug, Clone)]
pub enum Fate {
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
    /// The order.
    pub order: WorkOrder,
    /// How it goes out.
    pub instructions: Instructions,
}

/// Orders read at a time; they are written in transactions of half as many.
const CHUNK: usize = 100;

/// A call of the API ends after 29 seconds, and one of DynamoDB's may take twelve.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(25);

/// Such chunks at a time.
const CHUNKS_AT_ONCE: usize = 4;

/// Bytes of a transaction, whose rows may have 4 MB together; a deal is left for what is only estimated.
const BYTES: usize = 3_000_000;

/// Writes what the host gives: orders, and with each of them the row of the push queue by which Pruvan gets it.
#[derive(Debug, Clone)]
pub struct Changes {
    orders: Orders,
    queue: PushQueue,
    accounts: Accounts,
}

impl Changes {
    /// On the tables named by `ORDERS_TABLE`, `PUSH_QUEUE_TABLE` and `ACCOUNTS_TABLE`.
    pub fn new(world: &World) -> Result<Changes, SettingError> {
        Ok(Changes { orders: Orders::new(world)?, queue: PushQueue::new(world)?, accounts: Accounts::new(world)? })
    }

    /// Writes an order that the host gave, and its push; nothing if nothing differs.
    ///
    /// `make` gets the row as it is (`None` if there is none, or it was deleted) and returns the order as it shall be.
    /// It may be called again if others change the row meanwhile, so that nobody's change is lost. A survey that
    /// changes under the same service name is refused, unless the host says to replace it.
    pub async fn change<E: From<StoreError> + From<Vec<Remark>>>(
        &self,
        account: &Account,
        number: &str,
        intent: Intent<'_>,
        instructions: Instructions,
        now: i64,
        make: impl Fn(Option<&Order>) -> Result<WorkOrder, E>,
    ) -> Result<Changed, E> {
        let mut awake = false;
        for _ in 0..TRIES {
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
            let actions = self.write_with_push(&account.username, &write)?;
            if transact(&self.orders.client, actions.to_vec()).await? == Transacted::Done {
                return Ok(write.done());
            }
        }
        Err(StoreError::Contended("the order").into())
    }

    /// Writes many whole orders, no number twice, each as [`Changes::change`] does: what keeps one of them from being
    /// written keeps back no other. None is begun once `out_of_time`, and what has not ended some seconds later is
    /// given up. The fates are in the orders' order.
    ///
    /// A change counts from when it is written, by `clock`, and not from when the call began: pulls that were answered
    /// in between told the order as it was.
    pub async fn change_all(
        &self,
        account: &Account,
        given: &[Given],
        clock: &Clock,
        out_of_time: &(dyn Fn() -> bool + Sync),
    ) -> Vec<Fate> {
        let awake = OnceCell::new();
        let give_up = tokio::time::Instant::now() + GIVEN_UP_AFTER;
        let chunk = |chunk| self.change_chunk(account, chunk, clock, &awake, out_of_time, give_up);
        let chunks: Vec<_> = given.chunks(CHUNK).map(chunk).collect();
        let fates = futures_util::stream::iter(chunks).buffered(CHUNKS_AT_ONCE).collect::<Vec<_>>().await;
        fates.into_iter().flatten().collect()
    }

    async fn change_chunk(
        &self,
        account: &Account,
        given: &[Given],
        clock: &Clock,
        awake: &OnceCell<()>,
        out_of_time: &(dyn Fn() -> bool + Sync),
        give_up: tokio::time::Instant,
    ) -> Vec<Fate> {
        let mut fates: Vec<Option<Fate>> = vec![None; given.len()];
        let work = self.work_on_chunk(account, given, clock, awake, out_of_time, &mut fates);
        let late = tokio::time::timeout_at(give_up, work).await.is_err();
        let left = match (late, out_of_time()) {
            (true, _) => Fate::Failed(StoreError::Call { operation: "DynamoDB", reason: "took too long".to_owned() }),
            (false, true) => Fate::NoTime,
            (false, false) => Fate::Failed(StoreError::Contended("the order")),
        };
        fates.into_iter().map(|fate| fate.unwrap_or_else(|| left.clone())).collect()
    }

    async fn work_on_chunk(
        &self,
        account: &Account,
        given: &[Given],
        clock: &Clock,
        awake: &OnceCell<()>,
        out_of_time: &(dyn Fn() -> bool + Sync),
        fates: &mut [Option<Fate>],
    ) {
        for tries in 1..=TRIES {
            let open: Vec<usize> = (0..given.len()).filter(|index| fates[*index].is_none()).collect();
            if open.is_empty() || out_of_time() {
                break;
            }
            if tries > 1 {
                tokio::time::sleep(Duration::from_millis(20 * u64::try_from(tries).unwrap_or(1))).await;
            }
            let now = clock.now_ms();
            let written = async {
                let writes = self.plan_all(account, given, &open, now, fates).await?;
                if !writes.is_empty() {
                    awake.get_or_try_init(|| self.accounts.wake(&account.username, now)).await?;
                }
                Ok(writes)
            };
            match written.await {
                Ok(writes) => self.write_all(&account.username, writes, fates, out_of_time).await,
                Err(error) => {
                    let error: StoreError = error;
                    for fate in fates.iter_mut().filter(|fate| fate.is_none()) {
                        *fate = Some(Fate::Failed(error.clone()));
                    }
                }
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
        fates: &mut [Option<Fate>],
    ) -> Result<VecDeque<(usize, Write)>, StoreError> {
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
                Err(error) => fates[*index] = Some(Fate::Failed(error)),
                Ok((None, _)) => fates[*index] = Some(Fate::Done(Box::new(unchanged(known)))),
                Ok((Some(next), needs)) => {
                    rows.extend(needs.then(|| order.number().to_owned()));
                    nexts.push((*index, known, next));
                }
            }
        }
        let rows = self.queue.get_all(username, &rows).await?;
        let mut rows: HashMap<String, Waiting> =
            rows.into_iter().map(|row| (row.work_order_number.clone(), row)).collect();
        let mut writes = VecDeque::with_capacity(nexts.len());
        for (index, known, next) in nexts {
            let row = rows.remove(&next.work_order_number);
            match plan(account, known.as_ref(), next, row, Intent::State, given[index].instructions) {
                Ok(Ok(write)) => writes.push_back((index, write)),
                Ok(Err(faults)) => fates[index] = Some(Fate::Refused(faults)),
                Err(error) => fates[index] = Some(Fate::Failed(error)),
            }
        }
        Ok(writes)
    }

    /// Writes in as few transactions as can be. What others changed meanwhile is left without a fate.
    async fn write_all(
        &self,
        username: &str,
        mut writes: VecDeque<(usize, Write)>,
        fates: &mut [Option<Fate>],
        out_of_time: &(dyn Fn() -> bool + Sync),
    ) {
        // What was held up goes when all else has, and when it has had some time.
        let (mut held_up_before, mut later) = (0, VecDeque::new());
        loop {
            if writes.is_empty() && !later.is_empty() {
                held_up_before += 1;
                tokio::time::sleep(Duration::from_millis((20 << held_up_before.min(5)).min(500))).await;
                writes.append(&mut later);
            }
            if writes.is_empty() || out_of_time() {
                break;
            }
            let (mut batch, mut bytes) = (Vec::new(), 0);
            while let Some((_, write)) = writes.front() {
                bytes += write.next.bytes();
                if batch.len() * 2 == MOST_IN_TRANSACTION || (bytes > BYTES && !batch.is_empty()) {
                    break;
                }
                batch.extend(writes.pop_front());
            }
            let actions = batch.iter().map(|(_, write)| self.write_with_push(username, write));
            let attempted = match actions.collect::<Result<Vec<_>, _>>() {
                Ok(actions) => attempt(&self.orders.client, actions.concat()).await,
                Err(error) => Err(error),
            };
            match attempted {
                Ok(Attempt::Done) => {
                    for (index, write) in batch {
                        fates[index] = Some(Fate::Done(Box::new(write.done())));
                    }
                }
                Ok(Attempt::Canceled { unmet, held_up, impossible }) => {
                    let (impossible, reason) = impossible.unwrap_or_default();
                    let of = |actions: &[usize], at: usize| actions.iter().any(|action| action / 2 == at);
                    let mut free = Vec::new();
                    for (at, write) in batch.into_iter().enumerate() {
                        match () {
                            () if of(&impossible, at) => {
                                let reason = reason.clone();
                                fates[write.0] =
                                    Some(Fate::Failed(StoreError::Call { operation: "TransactWriteItems", reason }));
                            }
                            () if of(&unmet, at) => {}
                            () if of(&held_up, at) => later.push_back(write),
                            () => free.push(write),
                        }
                    }
                    for write in free.into_iter().rev() {
                        writes.push_front(write);
                    }
                }
                Err(error) => {
                    for (index, _) in batch {
                        fates[index] = Some(Fate::Failed(error.clone()));
                    }
                }
            }
        }
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
        let mut awake = false;
        for _ in 0..TRIES {
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
            let actions = self.write_with_push(&account.username, &write)?;
            if transact(&self.orders.client, actions.to_vec()).await? == Transacted::Done {
                return Ok(true);
            }
        }
        Err(StoreError::Contended("the order").into())
    }

    fn write_with_push(&self, username: &str, write: &Write) -> Result<[TransactWriteItem; 2], StoreError> {
        let Write { next, read, first, instructions: Instructions { force, .. }, .. } = write;
        let urgency = urgency(next, *force);
        let number = &next.work_order_number;
        let first = first.as_ref().map(|(before, row)| (before, row.as_ref()));
        let push = self.queue.enqueue(username, number, next.revision, urgency, *force, first, next.changed_at)?;
        let order = self.host_update(username, next, *read)?;
        Ok([order, push].map(|update| TransactWriteItem::builder().update(update).build()))
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
            (":version".to_owned(), n(next.version)),
        ]);
        let mut expression = format!(
            "SET {DIRECTIVE_SETS}, document = :document, changedAt = :changedAt, change = :change, madeAt = :madeAt, version = :version"
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
        self.orders.update(username, &next.work_order_number, expression, values, revision)
    }
}
