//! What the function needs, and what one invocation counts.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bridge::Dependencies;
use bridge::accounts::Accounts;
use bridge::contention::Contention;
use bridge::orders::Orders;
use bridge::outbound::Outbound;
use bridge::push_queue::PushQueue;
use bridge::run::Deadline;
use bridge::settings::SettingError;
use bridge::telemetry::Telemetry;
use bridge::time::{Clock, Random, Waits, ms};
use bridge::transaction::Transactions;

/// What the function needs.
pub struct PushDrain {
    pub(crate) telemetry: Telemetry,
    pub(crate) accounts: Accounts,
    pub(crate) orders: Orders,
    pub(crate) queue: PushQueue,
    pub(crate) transactions: Transactions,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) contention: Contention,
    pub(crate) waits: Waits,
    pub(crate) outbound: Outbound,
    pub(crate) client: reqwest::Client,
    pub(crate) push_hosts: Vec<String>,
    pub(crate) at_once: usize,
}

impl PushDrain {
    /// Reads `ACCOUNTS_TABLE`, `ORDERS_TABLE`, `PUSH_QUEUE_TABLE`, `PUSH_HOSTS` and `PUSH_AT_ONCE`.
    pub fn new(dependencies: &Dependencies) -> Result<PushDrain, SettingError> {
        let no_tls = SettingError::Invalid { name: "SSL_CERT_FILE", fault: "the root certificates could not be read" };
        let not_a_number =
            SettingError::Invalid { name: "PUSH_AT_ONCE", fault: "it must be a whole number from 1 to 32" };
        let at_once =
            dependencies.settings.get("PUSH_AT_ONCE")?.parse().ok().filter(|accounts| (1..=32).contains(accounts));
        Ok(PushDrain {
            telemetry: Telemetry::new(dependencies, "push-drain"),
            accounts: Accounts::new(dependencies)?,
            orders: Orders::new(dependencies)?,
            queue: PushQueue::new(dependencies)?,
            transactions: Transactions::new(dependencies)?,
            clock: dependencies.clock.clone(),
            random: dependencies.random.clone(),
            contention: Contention::new(&dependencies.random),
            waits: dependencies.waits,
            outbound: dependencies.outbound.clone(),
            client: dependencies.outbound.client().map_err(|_| no_tls)?,
            push_hosts: dependencies.settings.get("PUSH_HOSTS")?.split(',').map(str::to_owned).collect(),
            at_once: at_once.ok_or(not_a_number)?,
        })
    }
}

/// What the turns of one invocation share, and what they count.
pub(crate) struct Tick<'a> {
    pub state: &'a PushDrain,
    pub deadline: Deadline,
    pub pushed: AtomicU64,
    pub refused: AtomicU64,
    /// Accounts whose turn failed.
    pub failed: AtomicU64,
    /// Those of which others kept changing the same rows.
    pub contended: AtomicU64,
}

impl Tick<'_> {
    /// Whether so much of the invocation is left.
    pub fn has(&self, time: Duration) -> bool {
        self.deadline.at_ms.saturating_sub(self.state.clock.now_ms()) > ms(time)
    }
}
