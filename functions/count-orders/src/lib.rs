//! Each day: counts the current orders of all accounts, since Pruvan charges hosts that have more than 5,000 active
//! work orders a day (*Pricing*). What Pruvan counts as active isn't documented; here it is every order that has not
//! ended.

use std::sync::Arc;

use bridge::accounts::Accounts;
use bridge::orders::Orders;
use bridge::run::Deadline;
use bridge::settings::SettingError;
use bridge::telemetry::Telemetry;
use bridge::{Dependencies, StoreError};
use lambda_runtime::Error;

/// What the function needs.
pub struct CountOrders {
    telemetry: Telemetry,
    accounts: Accounts,
    orders: Orders,
}

impl CountOrders {
    /// Reads `ACCOUNTS_TABLE` and `ORDERS_TABLE`.
    pub fn new(dependencies: &Dependencies) -> Result<CountOrders, SettingError> {
        Ok(CountOrders {
            telemetry: Telemetry::new(dependencies, "count-orders"),
            accounts: Accounts::new(dependencies)?,
            orders: Orders::new(dependencies)?,
        })
    }
}

/// Counts, and tells it as a metric. A count that failed half-way is none.
pub async fn handle(state: Arc<CountOrders>, deadline: Deadline) -> Result<(), Error> {
    let mut record = state.telemetry.tick(&deadline.request_id);
    match count(&state).await {
        Ok(active) => {
            record.counts([("ActiveOrders", active)]);
            record.ok();
            Ok(())
        }
        Err(error) => {
            record.fault(&error.to_string());
            Err(error.into())
        }
    }
}

async fn count(state: &CountOrders) -> Result<u64, StoreError> {
    let (mut active, mut after) = (0, None);
    loop {
        let (usernames, next) = state.accounts.usernames(after.as_deref()).await?;
        for username in usernames {
            active += state.orders.current(&username).await?;
        }
        after = next;
        if after.is_none() {
            return Ok(active);
        }
    }
}
