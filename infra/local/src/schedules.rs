//! The template's schedules: which function is called when.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bridge::run::Deadline;
use bridge::time::Clock;
use tokio::sync::{Semaphore, watch};

use crate::functions::Scheduled;
use crate::stores::until;

/// Ticks that may be under way at once. As in AWS the next one comes whether or not the last has ended, so that an
/// account that gets no answers keeps no other waiting.
const OVERLAPPING: usize = 3;

/// The schedules of the template.
pub struct Schedules {
    all: Vec<Schedule>,
    clock: Clock,
    minutes: AtomicU64,
}

pub struct Schedule {
    /// The function that is called at each of its ticks.
    pub run: Scheduled,
    /// Time between two ticks.
    pub every: Duration,
    /// How long the function has.
    pub timeout: Duration,
}

impl Schedules {
    /// All of them, by this clock.
    pub fn new(all: Vec<Schedule>, clock: Clock) -> Schedules {
        Schedules { all, clock, minutes: AtomicU64::new(0) }
    }

    /// Fires ticks until it is told to stop.
    pub async fn each(self: Arc<Schedules>, every: Duration, stopping: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval(every.max(Duration::from_millis(10)));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let places = Arc::new(Semaphore::new(OVERLAPPING));
        loop {
            tokio::select! {
                () = until(stopping.clone()) => return,
                _ = ticks.tick() => {}
            }
            let Ok(place) = places.clone().try_acquire_owned() else { continue };
            let schedules = self.clone();
            tokio::spawn(async move {
                schedules.tick().await;
                drop(place);
            });
        }
    }

    /// Lets a minute pass: fires those that it is time for, at first all of them, and waits until the functions are
    /// done.
    pub async fn tick(&self) {
        let minute = self.minutes.fetch_add(1, Ordering::Relaxed);
        for Schedule { run, every, timeout } in &self.all {
            if !minute.is_multiple_of((every.as_secs() / 60).max(1)) {
                continue;
            }
            let timeout = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
            if let Err(error) = run(Deadline::at(self.clock.now_ms().saturating_add(timeout))).await {
                tracing::error!(%error, "schedule.failed");
            }
        }
    }
}
