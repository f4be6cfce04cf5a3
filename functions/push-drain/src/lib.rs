//! Each minute: sends every order in the push queue to its account's push key (*Pruvan Push API*).
//!
//! The queue says which orders differ from what Pruvan has, and holds no payload: an order is read when it is sent, and sent
//! whole. A crash at any point leaves its row in the queue, so that it is sent again; sending twice does no harm.

mod account;

use std::sync::Arc;
use std::time::Duration;

use bridge::World;
use bridge::accounts::Accounts;
use bridge::http::guarded;
use bridge::orders::Orders;
use bridge::outbound::Outbound;
use bridge::push_queue::PushQueue;
use bridge::run::Deadline;
use bridge::settings::SettingError;
use bridge::time::{Clock, Random, Waits};
use futures_util::StreamExt as _;
use lambda_runtime::Error;

/// Accounts served at a time.
const AT_ONCE: usize = 8;

/// No account is begun when less than this is left: one call and its writes.
const ONE_CALL: Duration = Duration::from_secs(45);

/// What the function needs.
pub struct PushDrain {
    accounts: Accounts,
    orders: Orders,
    queue: PushQueue,
    clock: Clock,
    random: Random,
    waits: Waits,
    outbound: Outbound,
    client: reqwest::Client,
    push_hosts: Vec<String>,
}

impl PushDrain {
    /// Reads `ACCOUNTS_TABLE`, `ORDERS_TABLE`, `PUSH_QUEUE_TABLE` and `PUSH_HOSTS`.
    pub fn new(world: &World) -> Result<PushDrain, SettingError> {
        let no_tls = SettingError::Invalid { name: "SSL_CERT_FILE", fault: "the root certificates could not be read" };
        Ok(PushDrain {
            accounts: Accounts::new(world)?,
            orders: Orders::new(world)?,
            queue: PushQueue::new(world)?,
            clock: world.clock.clone(),
            random: world.random.clone(),
            waits: world.waits,
            outbound: world.outbound.clone(),
            client: world.outbound.client().map_err(|_| no_tls)?,
            push_hosts: world.settings.get("PUSH_HOSTS")?.split(',').map(str::to_owned).collect(),
        })
    }
}

/// Serves all accounts that have work, until it is done or the time is up. One account's failure is logged and keeps no other
/// waiting; the next tick is the retry.
pub async fn handle(state: Arc<PushDrain>, deadline: Deadline) -> Result<(), Error> {
    let usernames = state.accounts.awake(state.clock.now_ms()).await?;
    let state = &state;
    futures_util::stream::iter(usernames)
        .for_each_concurrent(AT_ONCE, |username| async move {
            if let Err(error) = guarded(account::drain(state, &username, deadline), || Ok(())).await {
                tracing::error!(account = %username, %error, "drain.failed");
            }
        })
        .await;
    Ok(())
}

impl PushDrain {
    fn time_for_a_call(&self, deadline: Deadline) -> bool {
        let needed = i64::try_from(ONE_CALL.as_millis()).unwrap_or(i64::MAX);
        deadline.at_ms.saturating_sub(self.clock.now_ms()) > needed
    }
}
