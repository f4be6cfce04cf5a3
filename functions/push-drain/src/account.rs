//! One account's share of a tick: claim, batches, release.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_dynamodb::types::TransactWriteItem;
use bridge::StoreError;
use bridge::accounts::{Account, Lease, PushKeyState};
use bridge::orders::Order;
use bridge::outbound::{Called, post_form};
use bridge::push_queue::Waiting;
use bridge::run::Deadline;
use pruvan::push::{FORM_FIELD, PushError, PushReply, PushRequest};
use secrecy::ExposeSecret as _;

use crate::PushDrain;

/// Orders a call, and bytes.
const MAX_BATCH: usize = 200;
const MAX_BATCH_BYTES: usize = 1_000_000;

/// A refused order is tried again after these waits, and then parked.
const RETRIES: [Duration; 8] =
    [minutes(1), minutes(5), minutes(15), minutes(60), minutes(180), minutes(360), minutes(720), minutes(1440)];

/// Failures of the account (time-outs, 5xx, maintenance) hold it back for 5 s, doubled each time, at most this long.
const MAX_BACKOFF: Duration = minutes(5);

/// The hourly limit holds for any sixty minutes, counted in one-minute buckets; the bucket that the window begins in counts whole.
const WINDOW_MINUTES: i64 = 60;

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

/// An order and the queue row that asked for it.
#[derive(Clone)]
struct Item {
    row: Waiting,
    order: Order,
}

/// What one call came to.
enum Sent {
    /// Pruvan looked at the orders.
    Looked {
        /// How many it counted as created, updated or deleted.
        taken: u64,
        /// Those it refused by name.
        errors: Vec<PushError>,
        /// An error that names none of them.
        error: Option<String>,
    },
    /// The push key is dead.
    BadKey,
    /// The account can't be served now. `retry_after` is in seconds.
    Failed { why: &'static str, retry_after: Option<u64> },
}

/// Sends what the account has waiting, as much as time and its hourly limit allow.
pub async fn drain(state: &PushDrain, username: &str, deadline: Deadline) -> Result<(), StoreError> {
    let now = state.clock.now_ms();
    let Some((mut account, mut lease)) = state.accounts.lease(username, &state.random.bytes(), now).await? else {
        return Ok(());
    };
    let read_at = now;
    if account.push_key_state != PushKeyState::Live {
        // The rows stay; the next validate wakes the account.
        return state.accounts.release_asleep(&account, &lease, now).await;
    }
    if account.backoff_until > now {
        return state.accounts.release(&account, &lease, Some((account.failures, account.backoff_until))).await;
    }
    loop {
        if !state.time_for_a_call(deadline) {
            return state.accounts.release(&account, &lease, None).await;
        }
        let now = state.clock.now_ms();
        let allowance = allowance(state, &account, now);
        let rows = state.queue.due(username, now, MAX_BATCH.min(allowance.max(1))).await?;
        if rows.is_empty() {
            return match state.queue.next_due(username).await? {
                Some(at) => state.accounts.release_until(&account, &lease, now, at).await,
                None => state.accounts.release_asleep(&account, &lease, now).await,
            };
        }
        if allowance == 0 {
            tracing::warn!(account = %username, "push.hourly_limit_reached");
            return state.accounts.release_until(&account, &lease, now, now + state.waits.ms(minutes(1))).await;
        }
        // A batch that is refused whole is halved, until the order at fault stands alone. Orders are read just before they are
        // sent, so that a report that comes meanwhile is heeded.
        let mut batches = vec![rows];
        while let Some(rows) = batches.pop() {
            let (batch, rest) = cut(&account, read(state, username, rows).await?);
            if !rest.is_empty() {
                batches.push(rest.into_iter().map(|item| item.row).collect());
            }
            if batch.is_empty() {
                continue;
            }
            if !state.time_for_a_call(deadline) || allowance_of(state, &account) < batch.len() {
                break;
            }
            match send(state, &mut account, &mut lease, &batch).await? {
                // Another has the lease, or there is another push key: what is in the queue is still right.
                None => return state.accounts.release(&account, &lease, None).await,
                Some(Sent::Looked { taken, errors, error }) => {
                    batches.extend(conclude(state, &account, read_at, batch, taken, errors, error).await?);
                }
                Some(Sent::BadKey) => {
                    state.accounts.bury_push_key(&account).await?;
                    return state.accounts.release_asleep(&account, &lease, now).await;
                }
                Some(Sent::Failed { why, retry_after }) => {
                    return back_off(state, &account, &lease, why, retry_after).await;
                }
            }
        }
    }
}

/// Reads the orders of the queue rows as they are now. A row without an order has nothing to tell, and goes.
async fn read(state: &PushDrain, username: &str, rows: Vec<Waiting>) -> Result<Vec<Item>, StoreError> {
    let numbers: Vec<String> = rows.iter().map(|row| row.work_order_number.clone()).collect();
    let orders = state.orders.get_all(username, &numbers).await?;
    let mut orders: HashMap<String, Order> =
        orders.into_iter().map(|order| (order.work_order_number.clone(), order)).collect();
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        match orders.remove(&row.work_order_number) {
            Some(order) => items.push(Item { row, order }),
            None => state.queue.remove(username, &row).await?,
        }
    }
    Ok(items)
}

/// As many orders as one call carries, and the rest.
fn cut(account: &Account, mut batch: Vec<Item>) -> (Vec<Item>, Vec<Item>) {
    let mut bytes = 0;
    let fitting = batch.iter().take(MAX_BATCH).take_while(|item| {
        bytes += item.order.document.len() + item.order.fragment(account).len() + 20;
        bytes <= MAX_BATCH_BYTES
    });
    let fitting = fitting.count().max(1).min(batch.len());
    let rest = batch.split_off(fitting);
    (batch, rest)
}

/// Makes one call; `None` if the lease was lost before it. The ledger is charged first and never refunded.
async fn send(
    state: &PushDrain,
    account: &mut Account,
    lease: &mut Lease,
    batch: &[Item],
) -> Result<Option<Sent>, StoreError> {
    let Some(push_key) = &account.push_key else { return Ok(Some(Sent::BadKey)) };
    let Ok(url) = state.outbound.check(push_key, &state.push_hosts) else { return Ok(Some(Sent::BadKey)) };
    let now = state.clock.now_ms();
    let bucket = bucket(state, now);
    account.pushed.retain(|minute, _| minute.parse::<i64>().is_ok_and(|minute| minute >= bucket - WINDOW_MINUTES));
    *account.pushed.entry(bucket.to_string()).or_default() += u32::try_from(batch.len()).unwrap_or(u32::MAX);
    let numbers = || batch.iter().map(|item| item.row.work_order_number.as_str());
    account.sending.add(numbers());
    if !state.accounts.charge(account, lease, now).await? {
        return Ok(None);
    }
    let mut request = PushRequest::default();
    for item in batch {
        request.push(&item.order.document, &item.order.fragment(account), item.row.force);
    }
    let called = post_form(&state.client, url, FORM_FIELD, &request.finish()).await;
    let duration_ms = state.clock.now_ms() - now;
    let (sent, outcome) = judge(called);
    tracing::info!(account = %account.username, orders = batch.len(), duration_ms, outcome, "push.attempted");
    if !matches!(sent, Sent::Failed { .. }) {
        account.sending.remove(numbers());
    }
    Ok(Some(sent))
}

/// What a call's end means.
fn judge(called: Called) -> (Sent, &'static str) {
    let failed = |why, retry_after| (Sent::Failed { why, retry_after }, why);
    match called {
        Called::NotSent => failed("no connection", None),
        Called::InDoubt => failed("no reply", None),
        Called::Answered { status: 429, retry_after, .. } => failed("too many requests", retry_after),
        Called::Answered { status, retry_after, .. } if !(200..300).contains(&status) => {
            failed("an HTTP error", retry_after)
        }
        Called::Answered { body, retry_after, .. } => match PushReply::parse(&body) {
            PushReply::Counted { created, updated, deleted, errors, error } => (
                Sent::Looked { taken: created.saturating_add(updated).saturating_add(deleted), errors, error },
                "looked at",
            ),
            PushReply::Refused(error) => (Sent::Looked { taken: 0, errors: Vec::new(), error: Some(error) }, "refused"),
            PushReply::BadKey(_) => (Sent::BadKey, "bad key"),
            PushReply::BodyNotSeen => failed("the body was not seen", retry_after),
            PushReply::Unreadable => failed("an unreadable reply", retry_after),
        },
    }
}

/// After a call that Pruvan looked at: what it took is settled and leaves the queue, what it refused by name is noted. Where it
/// can't be told which orders it took, they are to be sent again in smaller batches, which are returned.
async fn conclude(
    state: &PushDrain,
    account: &Account,
    read_at: i64,
    batch: Vec<Item>,
    taken: u64,
    errors: Vec<PushError>,
    mut error: Option<String>,
) -> Result<Vec<Vec<Waiting>>, StoreError> {
    let mut named: BTreeMap<String, String> =
        errors.into_iter().map(|error| (error.work_order_number, error.error)).collect();
    let alone = batch.len() == 1;
    let (refused, rest): (Vec<Item>, Vec<Item>) =
        batch.into_iter().partition(|item| named.contains_key(&item.row.work_order_number));
    for item in &refused {
        let reason = named.remove(&item.row.work_order_number).unwrap_or_default();
        refuse(state, account, &item.row, &reason).await?;
    }
    // An error of an order that was not sent is one that names none of them.
    error = error.or_else(|| named.into_values().next());
    if let (true, [only], Some(error)) = (alone, rest.as_slice(), &error) {
        refuse(state, account, &only.row, error).await?;
        return Ok(Vec::new());
    }
    let rows = |items: &[Item]| items.iter().map(|item| item.row.clone()).collect::<Vec<_>>();
    if error.is_some() {
        let (first, second) = rest.split_at(rest.len() / 2);
        return Ok([second, first].into_iter().map(rows).filter(|rows| !rows.is_empty()).collect());
    }
    if taken < rest.len() as u64 {
        if !alone {
            return Ok(rest.chunks(1).map(rows).collect());
        }
        tracing::warn!(account = %account.username, order = %rest[0].row.work_order_number, "push.not_counted");
    }
    // A transaction holds 100 items; an order needs two if it had directives to tell.
    for chunk in rest.chunks(50) {
        take(state, account, read_at, chunk).await?;
    }
    Ok(Vec::new())
}

/// Settles directives and removes rows together, so that a crash can't leave a wish that Pruvan has to be told again later.
/// If a row changed meanwhile, each order is seen to on its own. They are settled as of when the account was read: what a push
/// key that came since was told is another matter.
async fn take(state: &PushDrain, account: &Account, read_at: i64, items: &[Item]) -> Result<(), StoreError> {
    let mut actions = Vec::with_capacity(items.len() * 2);
    for item in items {
        if let Some(update) = state.orders.settling(account, &item.order, &item.order.outgoing(account), read_at)? {
            actions.push(TransactWriteItem::builder().update(update).build());
        }
        actions.push(TransactWriteItem::builder().delete(state.queue.removal(&account.username, &item.row)?).build());
    }
    if state.orders.transact(actions).await? {
        return Ok(());
    }
    for item in items {
        state.orders.settle(account, &item.order, read_at).await?;
        state.queue.remove(&account.username, &item.row).await?;
    }
    Ok(())
}

async fn refuse(state: &PushDrain, account: &Account, row: &Waiting, error: &str) -> Result<(), StoreError> {
    // Pruvan's words are shown to the host; should they repeat the push key, they must not.
    let key = account.push_key.as_ref().map(|key| key.expose_secret()).filter(|key| !key.is_empty());
    let error = key.map_or_else(|| error.to_owned(), |key| error.replace(key, "***"));
    let error: String = error.chars().take(1000).collect();
    let retry_at = usize::try_from(row.attempts)
        .ok()
        .and_then(|attempts| RETRIES.get(attempts))
        .map(|wait| state.clock.now_ms() + jittered(state, state.waits.ms(*wait)));
    tracing::warn!(
        account = %account.username, order = %row.work_order_number, %error, attempts = row.attempts + 1,
        parked = retry_at.is_none(), "push.refused"
    );
    state.queue.refuse(&account.username, row, &error, retry_at).await
}

async fn back_off(
    state: &PushDrain,
    account: &Account,
    lease: &Lease,
    why: &str,
    retry_after: Option<u64>,
) -> Result<(), StoreError> {
    let failures = account.failures.saturating_add(1);
    let wait = Duration::from_secs(5 << failures.min(7).saturating_sub(1));
    let wait = retry_after.map_or(wait, Duration::from_secs).min(MAX_BACKOFF);
    let until = state.clock.now_ms() + jittered(state, state.waits.ms(wait));
    tracing::warn!(account = %account.username, why, failures, "push.backed_off");
    state.accounts.release(account, lease, Some((failures, until))).await
}

/// `wait`, 20 % more or less, so that what failed together doesn't come back together.
fn jittered(state: &PushDrain, wait: i64) -> i64 {
    let [byte] = state.random.bytes::<1>();
    (wait * (800 + i64::from(byte) * 400 / 255) / 1000).max(1)
}

fn bucket(state: &PushDrain, now: i64) -> i64 {
    now / state.waits.ms(minutes(1))
}

fn allowance_of(state: &PushDrain, account: &Account) -> usize {
    allowance(state, account, state.clock.now_ms())
}

/// Orders that may still be pushed in the sixty minutes that end now.
fn allowance(state: &PushDrain, account: &Account, now: i64) -> usize {
    let first = bucket(state, now) - WINDOW_MINUTES;
    let pushed: u64 = account
        .pushed
        .iter()
        .filter(|(minute, _)| minute.parse::<i64>().is_ok_and(|minute| minute >= first))
        .map(|(_, orders)| u64::from(*orders))
        .sum();
    usize::try_from(u64::from(account.settings.push_limit_per_hour).saturating_sub(pushed)).unwrap_or(usize::MAX)
}
