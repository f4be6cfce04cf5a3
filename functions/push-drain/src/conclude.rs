//! What is written after a call, and only while the lease holds and the push key is the one that it was made with. An
//! order's directives (fields that Pruvan is told once only) are closed in the transaction that removes its row from
//! the queue, so that a crash can't leave one of the two.

use bridge::StoreError;
use bridge::accounts::{Account, Lease};
use bridge::orders::Order;
use bridge::push_queue::{QueueRow, RowOutcome};
use bridge::transaction::{Action, Group, MOST_ACTIONS, Writes, Written};

use crate::drain::PushDrain;

/// Orders that one transaction concludes at most: one of its actions looks at the lease.
pub const ORDERS: usize = MOST_ACTIONS - 1;

/// What is to be written of one order.
#[derive(Debug)]
pub struct Conclusion {
    pub row: QueueRow,
    /// The order whose directives have been told.
    pub told: Option<Order>,
    pub how: RowOutcome,
}

/// A conclusion that is not written yet.
struct Unwritten {
    row: QueueRow,
    /// What becomes of the row; nothing more, if a change of the order has taken it over.
    how: Option<RowOutcome>,
    /// The order as it was sent.
    told: Option<Order>,
    /// The order as it is now, if that is another.
    now: Option<Order>,
}

/// Writes all conclusions; false if the lease is lost or there is another push key, and then no more is written.
/// Directives are closed as of `read_at`, when the account was read, and for the push key that it had then: an
/// integration with a newer key was not told them.
pub async fn write(
    state: &PushDrain,
    account: &Account,
    lease: &Lease,
    read_at: i64,
    conclusions: Vec<Conclusion>,
) -> Result<bool, StoreError> {
    let guard = state.accounts.lease_check(account, lease)?;
    let opened = |Conclusion { row, told, how }| Unwritten { row, how: Some(how), told, now: None };
    let mut open: Vec<Unwritten> = conclusions.into_iter().map(opened).collect();
    let mut tries = state.contention.tries();
    loop {
        let groups = open.iter().map(|open| group(account, open)).collect();
        let overtaken = vec![None; open.len()];
        let mut writes = Conclusions { state, account, read_at, open, overtaken, failed: None };
        if !state.transactions.write(Some(&guard), groups, &mut writes, &|| false).await {
            return Ok(false);
        }
        if let Some(error) = writes.failed {
            return Err(error);
        }
        let mut left = Vec::new();
        for (open, actions) in writes.open.into_iter().zip(writes.overtaken) {
            left.extend(actions.map(|actions| after(open, &actions)));
        }
        // Who has neither a row to see to nor directives to close is done with.
        left.retain(|open| open.how.is_some() || open.told.is_some());
        if left.is_empty() {
            return Ok(true);
        }
        if !tries.again().await {
            return Err(StoreError::Contended("an order that was pushed"));
        }
        let told = left.iter().filter_map(|open| open.told.as_ref());
        let numbers: Vec<String> = told.map(|order| order.work_order_number.clone()).collect();
        for order in state.orders.get_all(&account.username, &numbers).await? {
            let of = |open: &&mut Unwritten| open.row.work_order_number == order.work_order_number;
            if let Some(open) = left.iter_mut().find(of) {
                open.now = Some(order);
            }
        }
        open = left;
    }
}

/// Conclusions that are being written.
struct Conclusions<'a> {
    state: &'a PushDrain,
    account: &'a Account,
    read_at: i64,
    open: Vec<Unwritten>,
    /// Of those whose rows others have changed: which of their actions were on such a row.
    overtaken: Vec<Option<Vec<usize>>>,
    failed: Option<StoreError>,
}

impl Writes for Conclusions<'_> {
    /// The row of the queue first, if there is anything to do to it.
    fn actions(&self, group: usize) -> Result<Vec<Action>, StoreError> {
        let Unwritten { row, how, told, now } = &self.open[group];
        let mut actions = Vec::with_capacity(2);
        if let Some(how) = how {
            actions.push(self.state.queue.settle(&self.account.username, row, how)?);
        }
        if let Some(told) = told {
            let current = now.as_ref().unwrap_or(told);
            actions.extend(self.state.orders.closing(self.account, told, current, self.read_at)?);
        }
        Ok(actions)
    }

    fn ended(&mut self, group: usize, written: Written) {
        match written {
            Written::Done => {}
            Written::Unmet(actions) => self.overtaken[group] = Some(actions),
            Written::Failed(error) => self.failed = self.failed.take().or(Some(error)),
        }
    }
}

/// An order whose directives went out is written to as well as its row of the queue.
fn group(account: &Account, open: &Unwritten) -> Group {
    let tells = |order: &&Order| !order.outgoing(account).0.is_empty();
    let told = open.told.as_ref().filter(tells);
    Group {
        actions: usize::from(open.how.is_some()) + usize::from(told.is_some()),
        bytes: told.map_or(0, Order::bytes),
    }
}

/// What is left to write when others changed the rows of these actions meanwhile. An order whose row changed goes again
/// as it is now; if it went out as forced, that is noted, so that it isn't forced twice.
fn after(open: Unwritten, unmet: &[usize]) -> Unwritten {
    if !unmet.contains(&0) {
        return open;
    }
    let Some(how) = &open.how else { return open };
    let forced = *how == RowOutcome::Taken && open.row.forced.is_some();
    Unwritten { how: forced.then_some(RowOutcome::ForceTaken), ..open }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(how: Option<RowOutcome>, forced: Option<i64>) -> Unwritten {
        Unwritten { row: QueueRow { forced, ..QueueRow::default() }, how, told: Some(Order::default()), now: None }
    }

    #[test]
    fn an_order_that_changed_meanwhile_keeps_its_row_and_goes_again() {
        assert_eq!(after(open(Some(RowOutcome::Taken), None), &[0]).how, None);
        assert_eq!(after(open(Some(RowOutcome::ForceTaken), Some(3)), &[0]).how, None);
    }

    #[test]
    fn what_was_forced_goes_out_forced_once_only() {
        assert_eq!(after(open(Some(RowOutcome::Taken), Some(3)), &[0]).how, Some(RowOutcome::ForceTaken));
    }

    #[test]
    fn a_report_that_came_meanwhile_leaves_the_row_to_be_settled() {
        assert_eq!(after(open(Some(RowOutcome::Taken), None), &[1]).how, Some(RowOutcome::Taken));
        assert_eq!(after(open(None, None), &[0]).how, None, "only the directives are left");
    }
}
