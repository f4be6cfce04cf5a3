//! What is written to the queue: an order that has changed, what the host asks for by name, and what a push came to.

use aws_sdk_dynamodb::types::{AttributeValue, Delete, TransactWriteItem};

use super::row::{AGAIN, FirstPush, LEFT_OUT, NORMAL, PARKED, QueueRow, RETRY, RowOutcome, URGENT, Urgency, due};
use super::{PushQueue, key};
use crate::order::Order;
use crate::store::{StoreError, n, s};
use crate::transaction::Action;
use crate::update::Update;

/// The order hasn't changed since its row was read: a change gives the row another version.
const UNCHANGED: &str = "version = :read";

/// Nor has it been sent or postponed.
const AS_READ: &str = "version = :read AND due = :place";

/// Nothing of the order waits.
const NOT_QUEUED: &str = "attribute_not_exists(version)";

/// Pruvan lacks the order as it is, though there may be reports of it since, and it has not been tried.
const NOT_TRIED: &str = "version <= :version AND begins_with(due, :place) AND attribute_not_exists(attempts)";

/// Nor does it matter if nothing waits.
const NOT_QUEUED_OR_TRIED: &str = "attribute_not_exists(version) OR \
    (version <= :version AND begins_with(due, :place) AND attribute_not_exists(attempts))";

/// What `due` begins with in rows of changes that aren't urgent.
const CHANGES: &str = "1#";

/// And in those together with what is left out and what goes again.
const ALL_BUT_URGENT: &str = "1";

/// Something of it does.
const QUEUED: &str = "attribute_exists(version)";

impl PushQueue {
    /// Queues an order as it is to be, for the transaction that changes it. A new state has a fresh set of attempts.
    /// `before` comes with the row that it was made from: if that has changed, nothing is written.
    pub(crate) fn enqueue(
        &self,
        username: &str,
        next: &Order,
        urgency: Urgency,
        force: bool,
        before: Option<(&FirstPush, Option<&QueueRow>)>,
    ) -> Result<Action, StoreError> {
        let (version, now) = (n(next.version), next.changed_at);
        let mut update = self
            .update(username, &next.work_order_number)
            .set("version", version.clone())
            .set_if_missing("queuedAt", n(now))
            .remove(["attempts", "lastError"]);
        update = match urgency {
            Urgency::Urgent => update.set("due", s(due(URGENT, now))),
            // What nobody was told stays before what was.
            Urgency::Normal => update.set_unless("due", "leftOut", s(due(NORMAL, now))),
        };
        if force {
            update = update.set("forced", version);
        }
        if let Some((before, row)) = before {
            if before.delete_first {
                update = update.set("deleteFirst", AttributeValue::Bool(true));
            }
            if before.is_needed() {
                update = update.set("beforeFor", n(before.for_push_key));
            }
            let removed = before.removed_unsent.iter().map(|(name, survey)| (name.clone(), s(survey))).collect();
            let without = before.without.iter().cloned().collect();
            update = update
                .set_or_remove("shed", (!before.removed_unsent.is_empty()).then_some(AttributeValue::M(removed)))
                .set_or_remove("without", (!before.without.is_empty()).then_some(AttributeValue::Ss(without)));
            update = match row {
                Some(row) => update.only_if(UNCHANGED, [(":read", n(row.version))]),
                None => update.only_if(NOT_QUEUED, []),
            };
        }
        update.action()
    }

    /// Puts an order as it was at `version`, changed at `changed_at`, before all that isn't urgent, since a pull had no
    /// room for it: what was changed first goes first. False if it has changed since or waits for another try; and if
    /// it is not queued or goes again only, unless the integration is `new` and was told nothing of that.
    pub async fn leave_out(
        &self,
        username: &str,
        number: &str,
        (version, changed_at): (i64, i64),
        now: i64,
        new: bool,
    ) -> Result<bool, StoreError> {
        let place = s(due(LEFT_OUT, changed_at));
        let update = self.update(username, number).set_if_missing("version", n(version));
        let update = update.set_if_missing("queuedAt", n(now)).set("due", place.clone()).set("leftOut", place);
        let (condition, from) = if new { (NOT_QUEUED_OR_TRIED, ALL_BUT_URGENT) } else { (NOT_TRIED, CHANGES) };
        self.write(update.only_if(condition, [(":place", s(from))])).await
    }

    /// A later pull carried what was left out, as it was changed at `changed_at`: it waits like all others from now on,
    /// unless anything has become of it meanwhile.
    pub async fn carry(&self, username: &str, left_out: &QueueRow, changed_at: i64) -> Result<(), StoreError> {
        let read = [(":read", n(left_out.version)), (":place", s(&left_out.due))];
        let update = self.update(username, &left_out.work_order_number).set("due", s(due(NORMAL, changed_at)));
        self.write(update.remove(["leftOut"]).only_if(AS_READ, read)).await.map(|_| ())
    }

    /// Queues an order as it was at `version`, changed at `changed_at`, after all others, unless it is queued already:
    /// what a pull had no room for, but was told before.
    pub async fn queue_again(
        &self,
        username: &str,
        number: &str,
        (version, changed_at): (i64, i64),
        now: i64,
    ) -> Result<(), StoreError> {
        self.enqueue_unchanged(username, number, version, due(AGAIN, changed_at), now).await.map(|_| ())
    }

    /// Queues an order as it is at `version`; false if it is queued already.
    async fn enqueue_unchanged(
        &self,
        username: &str,
        number: &str,
        version: i64,
        due: String,
        now: i64,
    ) -> Result<bool, StoreError> {
        let update =
            self.update(username, number).set("version", n(version)).set("due", s(due)).set("queuedAt", n(now));
        self.write(update.only_if(NOT_QUEUED, [])).await
    }

    /// Makes an order go out next, whether it waits or is as Pruvan has it: what the host asks for by name.
    pub async fn push_again(&self, username: &str, number: &str, version: i64, now: i64) -> Result<(), StoreError> {
        let mut tries = self.contention.tries();
        while !self.retry(username, number, now).await?
            && !self.enqueue_unchanged(username, number, version, due(URGENT, now), now).await?
        {
            if !tries.again().await {
                return Err(StoreError::Contended("the order's row of the push queue"));
            }
        }
        Ok(())
    }

    /// Makes an order that waits or is parked go out next, with a fresh set of attempts; false if it does neither.
    pub async fn retry(&self, username: &str, number: &str, now: i64) -> Result<bool, StoreError> {
        let update = self.update(username, number).set("due", s(due(URGENT, now))).remove(["attempts"]);
        self.write(update.only_if(QUEUED, [])).await
    }

    /// What becomes of a row that was sent, for a transaction; but for [`RowOutcome::FirstPart`], only if the order
    /// hasn't changed since.
    pub fn settle(&self, username: &str, sent: &QueueRow, how: &RowOutcome) -> Result<Action, StoreError> {
        let read = [(":read", n(sent.version))];
        let update = self.update(username, &sent.work_order_number);
        let due_at = |at| s(due(sent.class(RETRY), at));
        let update = match how {
            RowOutcome::Taken => return self.delete_unchanged(username, sent),
            RowOutcome::TakenInDoubt { again_at } => update
                // Pruvan has it, most likely: it doesn't go before what it surely hasn't.
                .set("due", s(due(sent.class(NORMAL), *again_at)))
                .remove(["attempts", "lastError", "leftOut"])
                .only_if(UNCHANGED, read),
            // It is due already, and keeps its place.
            RowOutcome::FirstPart { services_still_to_remove } => {
                let update = update.remove(["deleteFirst"]).only_if(QUEUED, []);
                match *services_still_to_remove || sent.first_push.without.is_empty() {
                    true => update,
                    false => update.delete_from("without", sent.first_push.without.iter().cloned().collect()),
                }
            }
            RowOutcome::Postponed { until } => update.set("due", due_at(*until)).only_if(UNCHANGED, read),
            RowOutcome::Refused { error, retry_at, now } => update
                .set("attempts", n(sent.attempts + 1))
                .set("lastError", s(error))
                .set("due", retry_at.map_or_else(|| s(due(PARKED, *now)), due_at))
                .remove(["leftOut"])
                .only_if(UNCHANGED, read),
            RowOutcome::ForceTaken => {
                update.remove(["forced"]).only_if("forced = :forced", [(":forced", n(sent.forced.unwrap_or(0)))])
            }
        };
        update.action()
    }

    fn delete_unchanged(&self, username: &str, sent: &QueueRow) -> Result<Action, StoreError> {
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(key(username, &sent.work_order_number)))
            .condition_expression(UNCHANGED)
            .expression_attribute_values(":read", n(sent.version))
            .build()
            .map_err(|_| StoreError::Unfit("an action without a key"))?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    fn update(&self, username: &str, number: &str) -> Update {
        Update::new(&self.table, key(username, number))
    }

    async fn write(&self, update: Update) -> Result<bool, StoreError> {
        update.send(&self.client, &self.contention, "UpdateItem on PushQueue").await
    }
}
