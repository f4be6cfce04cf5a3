//! A claim on an account's push queue, so that no two invocations push for one account at once, and the times that hang
//! together with it.

use std::time::Duration;

use crate::outbound::CALL_DEADLINE;
use crate::time::ms;

/// No call begins when less than this is left, of the lease or of the invocation: one call and its writes.
pub const ONE_CALL: Duration = Duration::from_secs(45);

/// How long a lease holds. It outlives the call, since a POST in flight can't be recalled.
pub(crate) const LEASE: Duration = Duration::from_secs(90);

/// How long after its beginning a call whose end isn't known may still take effect, 270 seconds: its own 30, two
/// minutes on the way, and two that the clocks of two invocations may be apart.
pub(crate) const IN_DOUBT_FOR: Duration = Duration::from_secs(CALL_DEADLINE.as_secs() + 120 + 120);

const _: () = {
    assert!(CALL_DEADLINE.as_secs() < ONE_CALL.as_secs(), "what is left of a lease carries a call and its writes");
    assert!(ONE_CALL.as_secs() < LEASE.as_secs(), "a lease that has just begun carries a call");
    assert!(LEASE.as_secs() < IN_DOUBT_FOR.as_secs(), "who takes over a lease finds the last call in doubt");
};

/// A claim on an account's push queue.
#[derive(Debug, Clone)]
pub struct Lease {
    pub(crate) username: String,
    pub(crate) owner: String,
    pub(crate) until: i64,
}

impl Lease {
    /// Whether a call that starts at `now` surely ends before others may take the lease.
    pub fn carries_a_call(&self, now: i64) -> bool {
        self.until - now >= ms(ONE_CALL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_carries_a_call_until_forty_five_seconds_before_its_end() {
        let lease = Lease { username: "vendor1".to_owned(), owner: "1".to_owned(), until: 90_000 };
        assert!(lease.carries_a_call(45_000) && !lease.carries_a_call(45_001));
    }
}
