//! A row of the PushQueue table, and the order in which rows go out: the rules, without I/O.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::store::sortable;
use crate::time::display;

/// Which of the orders that are due go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Rushes, cancellations, deletions and forced updates, and what the host asks for by name.
    Urgent,
    /// All others, in the order in which they were changed: first what a pull had no room for, and last what a pull has
    /// carried.
    Normal,
}

/// A row of the PushQueue table: an order that Pruvan doesn't have as it is now.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueRow {
    /// Of the order that waits.
    pub work_order_number: String,
    /// The order's revision when it was last changed: a row is removed only by who sent this one or a later one.
    pub version: i64,
    /// When the first change came that Pruvan doesn't have.
    pub queued_at: i64,
    /// What goes first, and when, sorted as text.
    pub due: String,
    /// Times that Pruvan refused it.
    #[serde(default)]
    pub attempts: u32,
    /// Pruvan's words when it last did.
    #[serde(default)]
    pub last_error: Option<String>,
    /// The version that is to override what an external integration may not set.
    #[serde(default)]
    pub forced: Option<i64>,
    /// What must go out before the order as it is.
    #[serde(flatten)]
    pub first_push: FirstPush,
}

/// What must go out before an order as it is (*Available workOrder service Object Fields*): Pruvan changes no survey
/// under the same service name, and nothing at all but the updatable fields, so what is to be made anew is deleted
/// first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FirstPush {
    /// The whole order is deleted first: it was deleted and made anew before Pruvan knew.
    pub delete_first: bool,
    /// It goes once without these services first, so that Pruvan deletes them.
    pub without: BTreeSet<String>,
    /// For which push key this was found ([`crate::accounts::Account::push_key_serial`]): an integration made anew has
    /// nothing to delete.
    #[serde(rename = "beforeFor")]
    pub for_push_key: i64,
    /// Services that the host left out in a change that was not pushed yet, each with its survey: Pruvan still has
    /// them, and one that comes back with another survey must be deleted there first.
    #[serde(rename = "shed")]
    pub removed_unsent: BTreeMap<String, String>,
}

impl FirstPush {
    /// Whether another push must go first.
    pub fn is_needed(&self) -> bool {
        self.delete_first || !self.without.is_empty()
    }
}

// They stand in rows, and sort as text.
pub(super) const URGENT: &str = "0";
/// What a pull had no room for: nobody was told of it.
pub(super) const LEFT_OUT: &str = "1!";
pub(super) const NORMAL: &str = "1";
/// What is tried again: when it is due is no time of a change.
pub(super) const RETRY: &str = "1$";
/// What a pull had no room for, but was told before.
pub(super) const AGAIN: &str = "1~";
pub(super) const PARKED: &str = "2";

impl QueueRow {
    /// When it is due, in milliseconds since 1970; `None` once it is parked.
    pub fn due_at(&self) -> Option<i64> {
        if self.due.starts_with(PARKED) { None } else { self.due.split('#').nth(1)?.parse().ok() }
    }

    /// In a word: `due`, `waiting` for a later time, or `parked` until somebody steps in.
    pub fn state(&self, now: i64) -> &'static str {
        match self.due_at() {
            Some(at) if at <= now => "due",
            Some(_) => "waiting",
            None => "parked",
        }
    }

    /// As the host sees it, wherever it is shown: times in RFC 3339.
    pub fn shown(&self, now: i64) -> Map<String, Value> {
        Map::from_iter([
            ("state".to_owned(), Value::from(self.state(now))),
            ("since".to_owned(), Value::from(display(self.queued_at))),
            ("due".to_owned(), Value::from(self.due_at().map(display))),
            ("attempts".to_owned(), Value::from(self.attempts)),
            ("lastError".to_owned(), Value::from(self.last_error.clone())),
        ])
    }

    /// Where it goes when it is sent again: what is urgent stays so.
    pub(super) fn class(&self, otherwise: &'static str) -> &'static str {
        if self.due.starts_with(URGENT) { URGENT } else { otherwise }
    }
}

/// What became of an order that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowOutcome {
    /// Pruvan has it: the row goes.
    Taken,
    /// Pruvan has it, but an earlier push of it may still take effect: it goes once more at `again_at`.
    TakenInDoubt {
        /// When the earlier one can do no more.
        again_at: i64,
    },
    /// What had to go first has gone; the order as it is goes next, in the same place.
    FirstPart {
        /// The push without the services in [`FirstPush::without`] is still to come.
        services_still_to_remove: bool,
    },
    /// It was not sent, since an earlier push of it may still take effect, and what goes first must not come before
    /// that.
    Postponed {
        /// When the earlier one can do no more.
        until: i64,
    },
    /// Pruvan refused it: it is sent again later, or is parked.
    Refused {
        /// Pruvan's reason, as the host may see it.
        error: String,
        /// When to try again; it is parked without.
        retry_at: Option<i64>,
        /// The time, in milliseconds since 1970: parked rows are sorted by it.
        now: i64,
    },
    /// The order has changed since; that it was forced goes out once only.
    ForceTaken,
}

/// The sort key of the index `due`: what goes first, and when.
pub(super) fn due(class: &str, at: i64) -> String {
    format!("{class}#{}", sortable(at.min(999_999_999_999_999)))
}
