//! What the host writes: an order and its push change together, in one transaction or not at all. One by one, or many at once.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use aws_sdk_dynamodb::types::{TransactWriteItem, Update};
use futures_util::StreamExt as _;
use pruvan::status::OfficeStatus;
use pruvan::work_order::{NotUpdated, Remark, WhyNotUpdated, WorkOrder, not_updated, surveys};
use serde_json::{Map, Value};
use tokio::sync::OnceCell;

use crate::accounts::Account;
use crate::order::{Intent, Order, Outcome, directives};
use crate::orders::{DIRECTIVE_SETS, Orders, TRIES, directive_values};
use crate::push_queue::{Before, Urgency, Waiting};
use crate::store::{
    Attempt, MOST_IN_TRANSACTION, StoreError, Transacted, attempt, n, s, sortable, transact, unreadable,
};
use crate::time::Clock;

/// How the host wants a change to go out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Instructions {
    /// It overrides what an external integration may not set.
    pub force: bool,
    /// A survey that changes under the same service name is replaced: the task goes with its answers, and is made anew.
    pub replace_survey: bool,
    /// An order that is there keeps its services, whatever is given; a new one has those.
    pub keep_services: bool,
}

/// A change that is done.
#[derive(Debug, Clone)]
pub struct Changed {
    /// What it did.
    pub outcome: Outcome,
    /// The order as it is now.
    pub order: Order,
    /// What Pruvan won't take over of it.
    pub remarks: Vec<Remark>,
}

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

/// An order as it is to be written.
struct Write {
    next: Order,
    /// The revision that it was made from.
    read: Option<i64>,
    outcome: Outcome,
    instructions: Instructions,
    first: Option<(Before, Option<Waiting>)>,
    remarks: Vec<Remark>,
}

impl Write {
    fn done(self) -> Changed {
        Changed { outcome: self.outcome, order: self.next, remarks: self.remarks }
    }
}

impl Orders {
    /// Writes an order that the host gave, and its push; nothing if nothing differs.
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
    ) -> Result<Changed, E> {
        let mut awake = false;
        for _ in 0..TRIES {
            let known = self.get(&account.username, number).await?;
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
            if transact(&self.client, actions.to_vec()).await? == Transacted::Done {
                return Ok(write.done());
            }
        }
        Err(StoreError::Contended("the order").into())
    }

    /// Writes many whole orders, no number twice, each as [`Orders::change`] does: what keeps one of them from being written keeps back no
    /// other. None is begun once `out_of_time`, and what has not ended some seconds later is given up. The fates are in the orders' order.
    ///
    /// A change counts from when it is written, by `clock`, and not from when the call began: pulls that were answered in between told the
    /// order as it was.
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
        let known = self.get_all(username, &numbers).await?;
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
                Ok(actions) => attempt(&self.client, actions.concat()).await,
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

    /// Deletes an order here and, by a push, in Pruvan. The row stays, so that pulls can tell it. False if there is none. `check` may
    /// forbid it.
    pub async fn delete<E: From<StoreError>>(
        &self,
        account: &Account,
        number: &str,
        now: i64,
        check: impl Fn(&Order) -> Result<(), E>,
    ) -> Result<bool, E> {
        let mut awake = false;
        for _ in 0..TRIES {
            let Some(known) = self.get(&account.username, number).await?.filter(|order| order.deleted_at.is_none())
            else {
                return Ok(false);
            };
            check(&known)?;
            let mut next = known.clone();
            let mut map = fields(&known.document)?;
            // An external integration ignores the status, so the client's own status says it, too.
            map.insert("clientStatus".to_owned(), Value::from("Deleted"));
            map.insert("status".to_owned(), Value::from(OfficeStatus::Deleted.as_str()));
            next.document = Value::Object(map).to_string();
            next.directives.clear();
            next.revision += 1;
            next.version = next.revision;
            next.changed_at = now.max(known.changed_at);
            next.ended_at = Some(now);
            next.deleted_at = Some(now);
            if !awake {
                self.accounts.wake(&account.username, now).await?;
                awake = true;
            }
            let write = Write {
                next,
                read: Some(known.revision),
                outcome: Outcome::Changed,
                instructions: Instructions::default(),
                first: None,
                remarks: Vec::new(),
            };
            let actions = self.write_with_push(&account.username, &write)?;
            if transact(&self.client, actions.to_vec()).await? == Transacted::Done {
                return Ok(true);
            }
        }
        Err(StoreError::Contended("the order").into())
    }

    fn write_with_push(&self, username: &str, write: &Write) -> Result<[TransactWriteItem; 2], StoreError> {
        let Write { next, read, first, instructions: Instructions { force, .. }, .. } = write;
        let status = next.directives.get("status").and_then(|wish| OfficeStatus::parse(&wish.value));
        let urgent = *force
            || next.deleted_at.is_some()
            || matches!(status, Some(OfficeStatus::Rush | OfficeStatus::Canceled | OfficeStatus::Deleted));
        let urgency = if urgent { Urgency::Urgent } else { Urgency::Normal };
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
        self.update(username, &next.work_order_number, expression, values, revision)
    }
}

fn with_kept_services<'a>(
    order: &'a WorkOrder,
    known: Option<&Order>,
    instructions: Instructions,
) -> Result<Cow<'a, WorkOrder>, StoreError> {
    let Some(live) = live(known).filter(|_| instructions.keep_services) else { return Ok(Cow::Borrowed(order)) };
    let services = fields(&live.document)?.remove("services").unwrap_or_default();
    Ok(Cow::Owned(order.with_services(services)))
}

fn live(known: Option<&Order>) -> Option<&Order> {
    known.filter(|order| order.deleted_at.is_none())
}

fn unchanged(known: Option<Order>) -> Changed {
    let order = known.unwrap_or_default();
    Changed { outcome: Outcome::Unchanged, order, remarks: Vec::new() }
}

/// The row as the host's order makes it; `None` if nothing differs.
fn next(
    account: &Account,
    known: Option<&Order>,
    order: &WorkOrder,
    intent: Intent<'_>,
    force: bool,
    now: i64,
) -> Option<Order> {
    let live = live(known);
    let document = order.document();
    let revision = known.map_or(1, |order| order.revision + 1);
    // Clocks are apart, and a row must never go back in the order in which pulls read it.
    let changed_at = known.map_or(now, |order| now.max(order.changed_at));
    let directives = directives(account, live, &order.directives(), intent, force, (changed_at, revision));
    if let Some(live) = live
        && live.document == document
        && live.directives == directives
        && !force
    {
        return None;
    }
    let ended = directives
        .get("status")
        .and_then(|wish| OfficeStatus::parse(&wish.value))
        .is_some_and(OfficeStatus::ends_order);
    Some(Order {
        work_order_number: order.number().to_owned(),
        document,
        directives,
        revision,
        version: revision,
        changed_at,
        made_at: live.map_or(changed_at, |order| order.made_at),
        ended_at: ended.then(|| live.and_then(|order| order.ended_at).unwrap_or(changed_at)),
        deleted_at: None,
        reports: known.map(|order| order.reports.clone()).unwrap_or_default(),
    })
}

/// Whether the order's row of the queue decides what must go first.
fn needs_row(known: Option<&Order>, next: &Order) -> Result<bool, StoreError> {
    match known {
        Some(known) => Ok(known.deleted_at.is_some() || services(known)? != services(next)?),
        None => Ok(false),
    }
}

/// The change from `known` to `next`; `row` is the order's row of the queue, where [`needs_row`]. The inner error: it can't be sent.
fn plan(
    account: &Account,
    known: Option<&Order>,
    next: Order,
    row: Option<Waiting>,
    intent: Intent<'_>,
    instructions: Instructions,
) -> Result<Result<Write, Vec<Remark>>, StoreError> {
    let first = match known {
        Some(known) if needs_row(Some(known), &next)? => what_goes_first(account, known, &next, row)?,
        _ => None,
    };
    if let Some((before, _)) = &first {
        let faults = survey_faults(live(known), &next, before, instructions.replace_survey)?;
        if !faults.is_empty() {
            return Ok(Err(faults));
        }
    }
    let remarks = match live(known) {
        Some(live) => remarks(account, live, &next, &first, intent, instructions.force)?,
        None => Vec::new(),
    };
    let outcome = if live(known).is_some() { Outcome::Changed } else { Outcome::Created };
    Ok(Ok(Write { next, read: known.map(|order| order.revision), outcome, instructions, first, remarks }))
}

/// What Pruvan won't take over, of an order that it has.
fn remarks(
    account: &Account,
    live: &Order,
    next: &Order,
    first: &Option<(Before, Option<Waiting>)>,
    intent: Intent<'_>,
    force: bool,
) -> Result<Vec<Remark>, StoreError> {
    let (was, is) = (live.as_given()?, next.as_given()?);
    let settings = &account.settings;
    let anew = |service: &str| first.as_ref().is_some_and(|(before, _)| before.without.contains(service));
    let set = if let Intent::Set(fields) = intent { fields } else { &[] };
    let found = not_updated(&was, &is, settings.integration, settings.auto_admin, force, set, anew);
    Ok(found.into_iter().map(|NotUpdated { field, why }| Remark { field, detail: told(why) }).collect())
}

/// Why Pruvan won't take a value over, in the words of the host's API.
fn told(why: WhyNotUpdated) -> String {
    match why {
        WhyNotUpdated::OnlyByAutoAdmin => {
            "is not taken from an external integration without its option auto_admin once Pruvan has the order: set autoAdmin in this account if it is on in Pruvan, or override with \"force\": true".to_owned()
        }
        why => why.to_string(),
    }
}

/// What must go out before `next`, where it can't be told that Pruvan knows of what lies between: an order that was deleted, or services
/// that were left out. With it, the row of the queue that says so.
fn what_goes_first(
    account: &Account,
    known: &Order,
    next: &Order,
    row: Option<Waiting>,
) -> Result<Option<(Before, Option<Waiting>)>, StoreError> {
    let (was, is) = (services(known)?, services(next)?);
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

fn fields(document: &str) -> Result<Map<String, Value>, StoreError> {
    serde_json::from_str(document).map_err(|error| unreadable("Orders", &error))
}

fn services(order: &Order) -> Result<BTreeMap<String, String>, StoreError> {
    Ok(surveys(&fields(&order.document)?))
}

/// Why `next` can't be sent: a survey that changes under the same name though nobody said to replace it, or no service that would be left
/// meanwhile.
fn survey_faults(
    live: Option<&Order>,
    next: &Order,
    before: &Before,
    replace_survey: bool,
) -> Result<Vec<Remark>, StoreError> {
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
    Ok(faults)
}
