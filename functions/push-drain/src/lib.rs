//! Each minute: sends every order in the push queue to its account's push key (*Pruvan Push API*).
//!
//! The queue says which orders differ from what Pruvan has, and holds no payload: an order is read when it is sent, and
//! sent whole. A crash at any point leaves its row in the queue, so that it is sent again; sending twice does no harm.

mod batch;
mod call;
mod conclude;
mod drain;
mod reason;
mod reply;
mod retries;
mod turn;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bridge::StoreError;
use bridge::http::guarded;
use bridge::run::Deadline;
use bridge::telemetry::{Record, Unit};
use lambda_runtime::Error;

pub use drain::PushDrain;
use drain::Tick;
use turn::Turn;

/// No backlog is counted when less than this is left.
const COUNTING: Duration = Duration::from_secs(10);

/// Serves all accounts that have work, several at once and each a turn at a time, until it is done or the time is up.
/// One account's failure is logged and keeps no other waiting; its lease runs out within
/// 90 seconds, and the next tick after that tries again.
pub async fn handle(state: Arc<PushDrain>, deadline: Deadline) -> Result<(), Error> {
    let mut record = state.telemetry.tick(&deadline.request_id);
    let tick = Tick {
        state: &state,
        deadline,
        pushed: AtomicU64::new(0),
        refused: AtomicU64::new(0),
        failed: AtomicU64::new(0),
        contended: AtomicU64::new(0),
    };
    let awake = state.accounts.awake(state.clock.now_ms()).await;
    let awake = awake.inspect_err(|error| record.fault(&error.to_string()))?;
    let line = Mutex::new(VecDeque::from(awake));
    let locked = || line.lock().unwrap_or_else(PoisonError::into_inner);
    let work = async || {
        loop {
            let Some(username) = locked().pop_front() else { return };
            match guarded(turn::serve(&tick, &username), || Err(panicked())).await {
                Ok(Turn::Over) => {}
                Ok(Turn::More) => locked().push_back(username),
                Err(error) if error.is_contention() => {
                    tick.contended.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(account = %username, %error, "drain.contended");
                }
                Err(error) => {
                    tick.failed.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(account = %username, %error, "drain.failed");
                }
            }
        }
    };
    futures_util::future::join_all((0..state.at_once).map(|_| work())).await;
    let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
    record.counts([("Pushed", of(&tick.pushed)), ("Refused", of(&tick.refused))]);
    match measure(&tick, &mut record).await {
        Err(error) => record.store_failed(&error),
        Ok(()) if of(&tick.failed) > 0 => record.fault(&format!("{} accounts failed", of(&tick.failed))),
        Ok(()) if of(&tick.contended) > 0 => record.store_failed(&StoreError::Contended("an account")),
        Ok(()) => record.ok(),
    }
    Ok(())
}

fn panicked() -> StoreError {
    StoreError::Call { operation: "the turn", reason: "it panicked".to_owned() }
}

/// Tells how things stand: what waits and for how long, and what needs somebody.
async fn measure(tick: &Tick<'_>, record: &mut Record) -> Result<(), StoreError> {
    let state = tick.state;
    let census = state.accounts.census().await?;
    record.counts([("DeadPushKeys", census.dead as u64), ("RefusedPushKeys", census.refused as u64)]);
    let (mut waiting, mut parked, mut oldest) = (0, 0, None);
    for (counted, username) in census.working.iter().chain(&census.parked).enumerate() {
        // What was counted until then is at least so much, and an alarm must not fall silent because there is too much
        // to count. If nothing was counted there is no metric: a zero would be wrong.
        if !tick.has(COUNTING) {
            record.note("counted", counted);
            if counted == 0 {
                return Ok(());
            }
            break;
        }
        let backlog = state.queue.backlog(username).await?;
        waiting += backlog.waiting;
        parked += backlog.parked;
        oldest = oldest.into_iter().chain(backlog.oldest).min();
    }
    let now = state.clock.now_ms();
    let age = oldest.map_or(0, |oldest: i64| (now - oldest).max(0) / 1000);
    record.counts([("Waiting", waiting), ("Parked", parked)]);
    record.metric("OldestWaiting", Unit::Seconds, age as f64);
    Ok(())
}
