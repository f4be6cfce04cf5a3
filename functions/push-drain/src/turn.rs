//! One account's turn: claim, batches, release.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;

use bridge::StoreError;
use bridge::accounts::{Account, Lease, NextWakeUp, PushKeyState};
use bridge::hourly_limit;
use bridge::lease::ONE_CALL;
use bridge::push_queue::{QueueRow, RowOutcome};

use crate::batch::{self, MAX_BATCH, MAX_BATCH_BYTES};
use crate::call::{self, CallResult, QueuedOrder};
use crate::conclude::{self, Conclusion};
use crate::drain::{PushDrain, Tick};
use crate::reason;
use crate::reply::{self, Carried, Fault, Finding, Looked, Reply, Verdict};
use crate::retries::{self, Jitter};

/// Orders read at a time: what one `BatchGetItem` gives.
const READ: usize = 100;

/// Rows looked up at a time.
const LOOK_AHEAD: usize = 3 * MAX_BATCH;

/// After so long, others have their turn, in milliseconds.
const TURN_MS: i64 = 15_000;

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// There is no more to do in this invocation.
    Over,
    /// There is more to do, after the others.
    More,
}

/// Sends what the account has waiting, as much as time, its hourly limit and its turn allow.
pub async fn serve(tick: &Tick<'_>, username: &str) -> Result<Turn, StoreError> {
    let state = tick.state;
    if !tick.has(ONE_CALL) {
        return Ok(Turn::Over);
    }
    let now = state.clock.now_ms();
    let Some((account, lease)) = state.accounts.lease(username, &state.random.bytes(), now).await? else {
        return Ok(Turn::Over);
    };
    let mut service = Service {
        tick,
        state,
        account,
        lease,
        began: now,
        due_rows: VecDeque::new(),
        all_read: false,
        went_through: false,
    };
    // Without a key that works the rows stay; the next validate wakes the account.
    let end = match service.account.push_key_state {
        PushKeyState::Live if service.account.backoff_until > now => End::Until(NextWakeUp::AfterFailures {
            failures: service.account.failures,
            until: service.account.backoff_until,
        }),
        PushKeyState::Live => service.run().await?,
        PushKeyState::Dead => End::Until(NextWakeUp::KeyDead),
        PushKeyState::Refused => End::Until(NextWakeUp::KeyRefused),
        PushKeyState::None => End::Until(NextWakeUp::NoKey),
    };
    let Service { account, lease, .. } = service;
    let now = state.clock.now_ms();
    match end {
        End::NotHeld => match state.accounts.give_back(&lease).await? {
            // With another push key, which has been told nothing of what this turn sent.
            true => {
                tracing::info!(account = %username, "drain.push_key_changed");
                Ok(Turn::More)
            }
            false => {
                tracing::warn!(account = %username, "drain.lease_lost");
                Ok(Turn::Over)
            }
        },
        End::Until(next) => state.accounts.release(&account, &lease, now, next).await.map(|()| Turn::Over),
        End::OthersFirst => {
            state.accounts.release(&account, &lease, now, NextWakeUp::StayAwake).await.map(|()| Turn::More)
        }
    }
}

enum End {
    Until(NextWakeUp),
    OthersFirst,
    /// Another has the lease, or a validate brought another push key: what is in the queue is still right.
    NotHeld,
}

struct Service<'a> {
    tick: &'a Tick<'a>,
    state: &'a PushDrain,
    account: Account,
    lease: Lease,
    began: i64,
    /// Rows that were due when they were looked up.
    due_rows: VecDeque<QueueRow>,
    /// Whether these were all that were due then.
    all_read: bool,
    /// Whether anything went through in this turn.
    went_through: bool,
}

impl Service<'_> {
    async fn run(&mut self) -> Result<End, StoreError> {
        loop {
            let now = self.state.clock.now_ms();
            if !self.tick.has(ONE_CALL) {
                return Ok(End::Until(NextWakeUp::StayAwake));
            }
            if now - self.began >= TURN_MS {
                return Ok(End::OthersFirst);
            }
            let limit = self.account.settings.push_limit_per_hour;
            let allowance = hourly_limit::allowance(&self.account.pushed, limit, now, self.state.waits);
            let rows = match self.pick(allowance.min(MAX_BATCH), now).await? {
                Picked::Rows(rows) => rows,
                Picked::Nothing(next) => return Ok(End::Until(next)),
            };
            if allowance == 0 {
                tracing::warn!(account = %self.account.username, "push.hourly_limit_reached");
                return Ok(End::Until(NextWakeUp::At(hourly_limit::next_look(now, self.state.waits))));
            }
            // Orders are read just before they are sent, so that a report that comes meanwhile is heeded.
            let Some(items) = self.read(rows).await? else { return Ok(End::NotHeld) };
            let batch = self.cut(items);
            if batch.is_empty() {
                continue;
            }
            if let Some(end) = self.push(batch).await? {
                return Ok(end);
            }
        }
    }

    /// The rows that go next, at most `most` (though one at least, to see whether there is any).
    async fn pick(&mut self, most: usize, now: i64) -> Result<Picked, StoreError> {
        let username = &self.account.username;
        while self.due_rows.is_empty() {
            if self.all_read && !self.account.may_sleep(now) {
                return Ok(Picked::Nothing(NextWakeUp::StayAwake));
            }
            if self.all_read {
                let (next, parked) = self.state.queue.next(username).await?;
                match next {
                    Some(at) if at > now => return Ok(Picked::Nothing(NextWakeUp::At(at))),
                    None if parked => return Ok(Picked::Nothing(NextWakeUp::AllParked)),
                    None => return Ok(Picked::Nothing(NextWakeUp::NothingWaits)),
                    Some(_) => {}
                }
            }
            self.due_rows = self.state.queue.due(username, now, self.account.carried(), LOOK_AHEAD).await?.into();
            self.all_read = self.due_rows.len() < LOOK_AHEAD;
        }
        let rows = batch::pick(
            &mut self.due_rows,
            |row| &row.work_order_number,
            &self.account.bisection,
            most,
            self.went_through,
        );
        Ok(Picked::Rows(rows))
    }

    /// Reads the orders of the rows as they are now. A row without an order has nothing to tell, and goes; one with a
    /// part that must go first waits until no earlier push can still take effect after it. `None` if they may not be
    /// sent.
    async fn read(&mut self, rows: Vec<QueueRow>) -> Result<Option<Vec<QueuedOrder>>, StoreError> {
        // Large orders fill a call long before all of them are read.
        let (mut rows, mut orders, mut bytes) = (rows, HashMap::new(), 0);
        let mut read = 0;
        while read < rows.len() && bytes < MAX_BATCH_BYTES {
            let next = rows.len().min(read + READ);
            let numbers: Vec<String> = rows[read..next].iter().map(|row| row.work_order_number.clone()).collect();
            for order in self.state.orders.get_all(&self.account.username, &numbers).await? {
                bytes += order.document.len();
                orders.insert(order.work_order_number.clone(), order);
            }
            read = next;
        }
        for row in rows.split_off(read).into_iter().rev() {
            self.due_rows.push_front(row);
        }
        let now = self.state.clock.now_ms();
        let (mut items, mut conclusions) = (Vec::with_capacity(rows.len()), Vec::new());
        for row in rows {
            let Some(order) = orders.remove(&row.work_order_number) else {
                conclusions.push(Conclusion { row, told: None, how: RowOutcome::Taken });
                continue;
            };
            let item = QueuedOrder { row, order };
            match self.account.in_flight.in_doubt_until(self.account.push_key_serial, item.number(), now) {
                Some(until) if item.needs_first_push(&self.account) => {
                    conclusions.push(Conclusion { row: item.row, told: None, how: RowOutcome::Postponed { until } });
                }
                _ => items.push(item),
            }
        }
        let held = self.conclude(conclusions).await?;
        Ok(held.then_some(items))
    }

    /// As many orders as one call carries; the others wait on.
    fn cut(&mut self, mut batch: Vec<QueuedOrder>) -> Vec<QueuedOrder> {
        let size = |item: &QueuedOrder| item.order.document.len() + item.order.fragment(&self.account).len();
        let fitting = batch::fitting(batch.iter().map(size)).min(batch.len());
        for item in batch.split_off(fitting).into_iter().rev() {
            self.due_rows.push_front(item.row);
        }
        batch
    }

    /// Sends a batch and writes what came of it. `Some` if the turn is over by that.
    async fn push(&mut self, batch: Vec<QueuedOrder>) -> Result<Option<End>, StoreError> {
        let (orders, attempt) = (batch.len(), self.account.failures.saturating_add(1));
        let (made, at, duration_ms) = call::make(self.state, &mut self.account, &mut self.lease, &batch).await?;
        let reply = match made {
            CallResult::Ended(reply) => reply,
            CallResult::NotHeld => return Ok(Some(End::NotHeld)),
            CallResult::TooLate => {
                self.wait_on(batch);
                return Ok(None);
            }
        };
        let mut counts = Counts::default();
        let (outcome, end) = match reply {
            Reply::Looked(looked) => {
                let held = self.looked_at(batch, at, looked, &mut counts).await?;
                (if counts.accepted == orders { "taken" } else { "looked at" }, (!held).then_some(End::NotHeld))
            }
            Reply::BadKey(words) => {
                self.account.last_failure = Some(words);
                // A validate that came meanwhile has brought the key anew: Pruvan's word is of the time before.
                let buried = self.state.accounts.mark_push_key_dead(&self.account, &self.lease).await?;
                let next = if buried { NextWakeUp::KeyDead } else { NextWakeUp::StayAwake };
                ("the push key is dead", Some(End::Until(next)))
            }
            Reply::Failed { why, reason, retry_after, fault } => {
                (why, self.failed(batch, reason, retry_after, fault, &mut counts).await?)
            }
        };
        self.tick.pushed.fetch_add(counts.accepted as u64, Ordering::Relaxed);
        self.tick.refused.fetch_add(counts.refused as u64, Ordering::Relaxed);
        tracing::info!(
            account = %self.account.username, orders, accepted = counts.accepted, refused = counts.refused, attempt, duration_ms,
            outcome, "push.attempted"
        );
        Ok(end)
    }

    /// After a call, begun at `at`, whose orders Pruvan looked at: what it took is settled and leaves the queue, what
    /// it refused is noted, and what can't be told goes again. False if the lease is lost.
    async fn looked_at(
        &mut self,
        batch: Vec<QueuedOrder>,
        at: i64,
        looked: Looked,
        counts: &mut Counts,
    ) -> Result<bool, StoreError> {
        self.account.failures = 0;
        let carried: Vec<Carried<'_>> = batch.iter().map(|order| order.carried(&self.account)).collect();
        let (verdicts, finding) = reply::verdicts(&carried, looked, self.account.bisection.sends_singly());
        let (mut conclusions, mut again, mut done_with) = (Vec::new(), Vec::new(), Vec::new());
        for (order, verdict) in batch.into_iter().zip(verdicts) {
            match verdict {
                Verdict::Again => again.push(order),
                Verdict::NothingToDelete => conclusions.push(self.nothing_to_delete(order)),
                Verdict::Refused(reason) => {
                    counts.refused += 1;
                    done_with.push(order.number().to_owned());
                    conclusions.push(self.refused(order, &reason));
                }
                Verdict::Taken => {
                    if finding == Finding::NotCounted {
                        tracing::warn!(account = %self.account.username, order = %order.number(), "push.not_counted");
                    }
                    counts.accepted += 1;
                    done_with.push(order.number().to_owned());
                    conclusions.push(self.taken(order, at));
                }
            }
        }
        self.account.bisection.clear(done_with.iter().map(String::as_str));
        match finding {
            Finding::Found => self.account.bisection.found(),
            Finding::Among(orders) => self.account.bisection.halve(orders),
            Finding::Uncounted(orders) => self.account.bisection.send_singly(orders),
            Finding::None | Finding::NotCounted => {}
        }
        self.went_through |= counts.accepted > 0;
        self.wait_on(again);
        // What comes after a first part is due at once.
        self.all_read &= !conclusions.iter().any(|conclusion| matches!(conclusion.how, RowOutcome::FirstPart { .. }));
        self.conclude(conclusions).await
    }

    /// Either Pruvan has no such order, or it will not delete it: the order as it is goes next in any case.
    fn nothing_to_delete(&self, QueuedOrder { row, .. }: QueuedOrder) -> Conclusion {
        tracing::warn!(account = %self.account.username, order = %row.work_order_number, "push.delete_first_refused");
        Conclusion { row, told: None, how: RowOutcome::FirstPart { services_still_to_remove: true } }
    }

    /// Pruvan has this one, by a call that began at `at`.
    fn taken(&self, order: QueuedOrder, at: i64) -> Conclusion {
        let doubt = self.account.in_flight.in_doubt_until(self.account.push_key_serial, order.number(), at);
        let how = match doubt {
            _ if order.needs_first_push(&self.account) => RowOutcome::FirstPart { services_still_to_remove: false },
            Some(again_at) => RowOutcome::TakenInDoubt { again_at },
            None => RowOutcome::Taken,
        };
        // What an earlier push may still undo is to be told once more.
        let told = doubt.is_none() && !order.deletes_first(&self.account);
        Conclusion { told: told.then_some(order.order), row: order.row, how }
    }

    fn refused(&self, QueuedOrder { row, .. }: QueuedOrder, error: &str) -> Conclusion {
        let error = reason::shown(error, self.account.push_key.as_ref());
        let now = self.state.clock.now_ms();
        let retry_at = retries::wait_of_order(row.attempts).map(|wait| now + self.jitter().of(wait));
        tracing::warn!(
            account = %self.account.username, order = %row.work_order_number, %error, attempts = row.attempts + 1,
            parked = retry_at.is_none(), "push.refused"
        );
        Conclusion { row, told: None, how: RowOutcome::Refused { error, retry_at, now } }
    }

    /// After a call that failed as a whole. It uses up no order's attempts, but for an order in quarantine that fails
    /// alone after another has gone through in this turn: that one is refused. The next batch is half as large.
    async fn failed(
        &mut self,
        batch: Vec<QueuedOrder>,
        reason: String,
        retry_after: Option<u64>,
        fault: Fault,
        counts: &mut Counts,
    ) -> Result<Option<End>, StoreError> {
        let again = |item: &QueuedOrder| self.went_through && self.account.bisection.is_in_quarantine(item.number());
        if let [only] = batch.as_slice()
            && fault == Fault::Unknown
            && again(only)
        {
            counts.refused += 1;
            self.account.bisection.clear([only.number()]);
            let held = self.conclude(vec![self.refused(only.clone(), &reason)]).await?;
            return Ok((!held).then_some(End::NotHeld));
        }
        if fault != Fault::NotReached {
            self.account.bisection.halve(batch.len());
            if let ([only], Fault::Unknown) = (batch.as_slice(), fault) {
                self.account.bisection.quarantine(only.number());
            }
        }
        self.account.last_failure = Some(reason);
        let failures = self.account.failures.saturating_add(1);
        let until = self.state.clock.now_ms() + retries::wait_of_account(failures, retry_after, self.jitter());
        Ok(Some(End::Until(NextWakeUp::AfterFailures { failures, until })))
    }

    async fn conclude(&self, conclusions: Vec<Conclusion>) -> Result<bool, StoreError> {
        conclude::write(self.state, &self.account, &self.lease, self.began, conclusions).await
    }

    fn wait_on(&mut self, items: Vec<QueuedOrder>) {
        for item in items.into_iter().rev() {
            self.due_rows.push_front(item.row);
        }
    }

    fn jitter(&self) -> Jitter {
        Jitter { waits: self.state.waits, random: self.state.random.bytes::<1>()[0] }
    }
}

enum Picked {
    Rows(Vec<QueueRow>),
    /// No row is due; and when the account is to be looked at again.
    Nothing(NextWakeUp),
}

#[derive(Default)]
struct Counts {
    accepted: usize,
    refused: usize,
}
