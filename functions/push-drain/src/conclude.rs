//! What is written after a call, and only while the lease holds: directives that were told and rows that are done with
//! go together, so that a crash can't leave a wish that Pruvan has to be told again later.

use aws_sdk_dynamodb::types::TransactWriteItem;
use bridge::StoreError;
use bridge::accounts::{Account, Lease};
use bridge::orders::Order;
use bridge::push_queue::{Sent, Waiting};
use bridge::store::{MOST_IN_TRANSACTION, TRIES, Transacted};

use crate::drain::PushDrain;

/// Orders a transaction: one of its actions looks at the lease.
pub const ORDERS: usize = MOST_IN_TRANSACTION - 1;

/// And rows of 4 MB together, of which a deal is left for what is only estimated.
const BYTES: usize = 3_000_000;

/// What is to be written of one order.
#[derive(Debug)]
pub struct Conclusion<'a> {
    pub row: Waiting,
    /// The order whose directives have been told.
    pub told: Option<Order>,
    pub how: Sent<'a>,
}

/// Writes all conclusions; false if the lease is lost, and then no more is written. They count as of `read_at`, when
/// the account was read: what a push key that came since was told is another matter.
pub async fn write(
    state: &PushDrain,
    account: &Account,
    lease: &Lease,
    read_at: i64,
    mut conclusions: Vec<Conclusion<'_>>,
) -> Result<bool, StoreError> {
    while !conclusions.is_empty() {
        let (mut actions, mut owners) = (vec![state.accounts.while_held(lease)?], vec![usize::MAX]);
        let mut bytes = 0;
        for (index, conclusion) in conclusions.iter().enumerate() {
            let told =
                conclusion.told.as_ref().map(|order| state.orders.settling(account, order, read_at)).transpose()?;
            let mut own = vec![state.queue.settle(&account.username, &conclusion.row, &conclusion.how)?];
            own.extend(told.flatten());
            bytes += conclusion.told.as_ref().map_or(0, Order::bytes);
            if actions.len() + own.len() > ORDERS + 1 || (bytes > BYTES && index > 0) {
                break;
            }
            owners.extend(own.iter().map(|_| index));
            actions.extend(own);
        }
        let written = owners.last().copied().unwrap_or(0) + 1;
        match state.orders.transact(actions).await? {
            Transacted::Done => drop(conclusions.drain(..written)),
            Transacted::Unmet(unmet) if unmet.contains(&0) => return Ok(false),
            Transacted::Unmet(unmet) => {
                // Others changed these meanwhile; each is seen to on its own.
                let mut owners: Vec<usize> = unmet.iter().filter_map(|action| owners.get(*action)).copied().collect();
                owners.dedup();
                for owner in owners.into_iter().rev() {
                    let conclusion = conclusions.remove(owner);
                    if !write_one(state, account, lease, read_at, conclusion).await? {
                        return Ok(false);
                    }
                }
            }
        }
    }
    Ok(true)
}

async fn write_one(
    state: &PushDrain,
    account: &Account,
    lease: &Lease,
    read_at: i64,
    Conclusion { row, told, how }: Conclusion<'_>,
) -> Result<bool, StoreError> {
    let mut how = Some(how);
    for _ in 0..TRIES {
        let told = match &told {
            Some(order) => state.orders.settling_anew(account, order, read_at).await?,
            None => None,
        };
        let about_row = how.as_ref().map(|how| state.queue.settle(&account.username, &row, how)).transpose()?;
        let row_at = if about_row.is_some() { 1 } else { usize::MAX };
        let mut actions: Vec<TransactWriteItem> = vec![state.accounts.while_held(lease)?];
        actions.extend(about_row.into_iter().chain(told));
        if actions.len() == 1 {
            return Ok(true);
        }
        match state.orders.transact(actions).await? {
            Transacted::Done => return Ok(true),
            Transacted::Unmet(unmet) if unmet.contains(&0) => return Ok(false),
            Transacted::Unmet(unmet) if unmet.contains(&row_at) => {
                // The order has changed since and goes again as it is now; but what was forced has been.
                how = (how == Some(Sent::Taken) && row.forced.is_some()).then_some(Sent::ForceTaken);
            }
            Transacted::Unmet(_) => {}
        }
    }
    Err(StoreError::Contended("an order that was pushed"))
}
