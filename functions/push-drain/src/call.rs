//! One call of the Push API: charged, made, and its reply read.

use bridge::StoreError;
use bridge::accounts::{Account, Lease};
use bridge::hourly_limit;
use bridge::orders::Order;
use bridge::outbound::{Called, post_form};
use bridge::push_queue::QueueRow;
use pruvan::push::{FORM_FIELD, PushRequest};
use pruvan::work_order::{delete_request, without_services};

use crate::drain::PushDrain;
use crate::reply::{Carried, Fault, Reply};

/// An order as it was read, and the queue row that asked for it.
#[derive(Debug, Clone)]
pub struct QueuedOrder {
    pub row: QueueRow,
    pub order: Order,
}

impl QueuedOrder {
    /// Whether another push must go before the order as it is. What is deleted needs nothing made anew.
    pub fn needs_first_push(&self, account: &Account) -> bool {
        let before = &self.row.first_push;
        self.deletes_first(account)
            || (!before.without.is_empty()
                && before.for_push_key == account.push_key_serial
                && self.order.deleted_at.is_none())
    }

    /// Whether the order goes first as deleted. Once a pull has told the new one, crews may have worked on it, and
    /// nothing is deleted.
    pub fn deletes_first(&self, account: &Account) -> bool {
        let before = &self.row.first_push;
        before.delete_first
            && before.for_push_key == account.push_key_serial
            && self.order.deleted_at.is_none()
            && !account.may_have_pulled(self.order.made_at)
    }

    /// What goes now, as JSON, and the directives with it.
    fn content(&self, account: &Account) -> (String, String) {
        if self.deletes_first(account) {
            return (delete_request(&self.order.work_order_number), String::new());
        }
        let document = match self.needs_first_push(account) {
            true => without_services(&self.order.document, &self.row.first_push.without),
            false => self.order.document.clone(),
        };
        (document, self.order.fragment(account))
    }

    /// The number under which Pruvan knows the order.
    pub fn number(&self) -> &str {
        &self.row.work_order_number
    }

    /// What the verdict on it asks for.
    pub fn carried(&self, account: &Account) -> Carried<'_> {
        let is_deleted = self.order.deleted_at.is_some();
        Carried { number: self.number(), deletes_first: self.deletes_first(account), is_deleted }
    }

    /// What Pruvan is told of: the number, and the order's revision.
    fn told(&self) -> (&str, i64) {
        (self.number(), self.order.revision)
    }
}

/// How a call went.
#[derive(Debug)]
pub enum CallResult {
    /// It has ended, or could not be begun, and came to this.
    Ended(Reply),
    /// Another has the lease, or there is another push key: nothing was sent, and nothing may be written.
    NotHeld,
    /// The lease was about to end when the orders had been counted: nothing was sent, and they are counted again when
    /// they go.
    TooLate,
}

/// Counts the orders against the hourly limit, makes the call, and notes in `account` which orders are in doubt. With
/// it, when it began and how long it took, in milliseconds.
pub async fn make(
    state: &PushDrain,
    account: &mut Account,
    lease: &mut Lease,
    batch: &[QueuedOrder],
) -> Result<(CallResult, i64, i64), StoreError> {
    let at = state.clock.now_ms();
    // The list of hosts may have been changed since the key came; it may be mended again, so the key isn't dead by
    // that.
    let url = account.push_key.as_ref().and_then(|key| state.outbound.check(key, &state.push_hosts).ok());
    let Some(url) = url else {
        let why = "the push key's host is not on the list of allowed hosts (PushHosts)";
        return Ok((CallResult::Ended(Reply::failed(why, "", None, Fault::NotReached)), at, 0));
    };
    hourly_limit::count(&mut account.pushed, batch.len(), at, state.waits);
    let told = || batch.iter().map(QueuedOrder::told);
    account.in_flight.begin(account.push_key_serial, at, told());
    if !state.accounts.announce_call(account, lease, at).await? {
        return Ok((CallResult::NotHeld, at, 0));
    }
    if !lease.carries_a_call(state.clock.now_ms()) {
        account.in_flight.cancel(at);
        return Ok((CallResult::TooLate, at, 0));
    }
    let mut request = PushRequest::default();
    for item in batch {
        let (document, directives) = item.content(account);
        request.push(&document, &directives, item.row.forced.is_some());
    }
    let called = post_form(&state.client, url, FORM_FIELD, &request.finish()).await;
    // Also after an error reply Pruvan may have taken some of the orders.
    let was_sent = !matches!(called, Called::NotSent);
    let reply = Reply::of(called, account.push_key.as_ref());
    match &reply {
        Reply::Looked(_) => account.in_flight.end(at, told()),
        Reply::Failed { .. } if was_sent => {}
        Reply::BadKey(_) | Reply::Failed { .. } => account.in_flight.cancel(at),
    }
    Ok((CallResult::Ended(reply), at, state.clock.now_ms() - at))
}
