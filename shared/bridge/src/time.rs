//! Time and randomness, injected so that tests can move a clock and repeat a run.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

/// Tells the time; tests set it.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The clock of the machine.
    pub fn system() -> Clock {
        Clock::new(Timestamp::now)
    }

    /// One that tells what `now` returns.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Clock {
        Clock(Arc::new(now))
    }

    /// Milliseconds since 1970: how all times are stored.
    pub fn now_ms(&self) -> i64 {
        self.0().as_millisecond()
    }
}

/// Makes random bytes; tests choose them.
#[derive(Clone)]
pub struct Random(Arc<Fill>);

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Random").finish_non_exhaustive()
    }
}

type Fill = dyn Fn(&mut [u8]) + Send + Sync;

impl Random {
    /// The operating system's. It is asked for little and can't be done without, so a failure ends the invocation.
    #[expect(
        clippy::expect_used,
        reason = "there is no way on without randomness, and the handler's guard answers JSON"
    )]
    pub fn system() -> Random {
        Random::new(|bytes| getrandom::fill(bytes).expect("the operating system gives random bytes"))
    }

    /// One that fills with what `fill` makes.
    pub fn new(fill: impl Fn(&mut [u8]) + Send + Sync + 'static) -> Random {
        Random(Arc::new(fill))
    }

    /// Makes `N` bytes that can't be guessed.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0(&mut bytes);
        bytes
    }
}

/// The long waits (backoff, retries, the hourly window), divided by a factor for demos and tests; never leases or
/// network time-outs.
#[derive(Debug, Clone, Copy)]
pub struct Waits {
    divisor: i64,
}

impl Waits {
    /// Waits that are not shortened.
    pub const REAL: Waits = Waits { divisor: 1 };

    /// `divisor` times as fast, at least once.
    pub fn divided_by(divisor: u32) -> Waits {
        Waits { divisor: i64::from(divisor.max(1)) }
    }

    /// `wait` in milliseconds, at least one.
    pub fn ms(self, wait: Duration) -> i64 {
        (ms(wait) / self.divisor).max(1)
    }
}

/// A duration as times are stored: in milliseconds.
pub fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A stored time as people read it: RFC 3339, UTC.
pub fn display(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map(|instant| instant.to_string()).unwrap_or_default()
}
