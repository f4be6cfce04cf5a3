//! What a change of the host's makes of an order, and what must go out before it: the rules, without I/O.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;

use pruvan::status::OfficeStatus;
use pruvan::work_order::{NotUpdated, Remark, WhyNotUpdated, WorkOrder, not_updated, surveys};
use serde_json::{Map, Value};

use crate::accounts::Account;
use crate::order::{Effect, Intent, Order, directives};
use crate::push_queue::{FirstPush, QueueRow, Urgency};
use crate::store::{StoreError, unreadable};

/// How the host wants a change to go out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Instructions {
    /// It overrides what an external integration may not set.
    pub force: bool,
    /// A survey that changes under the same service name is replaced: the task goes with its answers, and is made anew.
    pub replace_survey: bool,
    /// An order that is there keeps its services, whatever is given; a new one has those.
    pub keep_services: bool,
}

/// A change that is done.
#[derive(Debug, Clone)]
pub struct Changed {
    /// Whether the order was made, changed, or is as it was.
    pub effect: Effect,
    /// The order as it is now.
    pub order: Order,
    /// What Pruvan won't take over of it.
    pub remarks: Vec<Remark>,
}

/// An order as it is to be written.
pub(crate) struct Write {
    pub next: Order,
    /// The revision that it was made from.
    pub read: Option<i64>,
    /// Whether the order is new.
    pub effect: Effect,
    pub instructions: Instructions,
    /// What the row of the queue must note for it, with the row that this was made from: what goes out first, or which
    /// services were left out before Pruvan knew.
    pub preparation: Option<(FirstPush, Option<QueueRow>)>,
    /// What Pruvan won't take over of it.
    pub remarks: Vec<Remark>,
}

impl Write {
    /// The change, once it is written.
    pub fn done(self) -> Changed {
        Changed { effect: self.effect, order: self.next, remarks: self.remarks }
    }
}

/// The order with the services that it has here, if the host said to keep them.
pub(crate) fn with_kept_services<'a>(
    order: &'a WorkOrder,
    known: Option<&Order>,
    instructions: Instructions,
) -> Result<Cow<'a, WorkOrder>, StoreError> {
    let Some(live) = live(known).filter(|_| instructions.keep_services) else { return Ok(Cow::Borrowed(order)) };
    let services = fields(&live.document)?.remove("services").unwrap_or_default();
    Ok(Cow::Owned(order.with_services(services)))
}

/// The order, unless it was deleted.
pub(crate) fn live(known: Option<&Order>) -> Option<&Order> {
    known.filter(|order| order.deleted_at.is_none())
}

/// What a change comes to that changes nothing.
pub(crate) fn unchanged(known: Option<Order>) -> Changed {
    let order = known.unwrap_or_default();
    Changed { effect: Effect::Unchanged, order, remarks: Vec::new() }
}

/// The row as the host's order makes it; `None` if nothing differs.
pub(crate) fn next(
    account: &Account,
    known: Option<&Order>,
    order: &WorkOrder,
    intent: Intent<'_>,
    force: bool,
    now: i64,
) -> Option<Order> {
    let live = live(known);
    let document = order.document();
    let revision = known.map_or(1, |order| order.revision + 1);
    // Clocks are apart, and a row must never go back in the order in which pulls read it.
    let changed_at = known.map_or(now, |order| now.max(order.changed_at));
    let directives = directives(account, live, &order.directives(), intent, force, (changed_at, revision));
    if let Some(live) = live
        && live.document == document
        && live.directives == directives
        && !force
    {
        return None;
    }
    let ended = directives
        .get("status")
        .and_then(|directive| OfficeStatus::parse(&directive.value))
        .is_some_and(OfficeStatus::ends_order);
    Some(Order {
        work_order_number: order.number().to_owned(),
        document,
        directives,
        revision,
        version: revision,
        changed_at,
        made_at: live.map_or(changed_at, |order| order.made_at),
        ended_at: ended.then(|| live.and_then(|order| order.ended_at).unwrap_or(changed_at)),
        deleted_at: None,
        reports: known.map(|order| order.reports.clone()).unwrap_or_default(),
    })
}

/// Whether the order's row of the queue decides what must go first.
pub(crate) fn needs_row(known: Option<&Order>, next: &Order) -> Result<bool, StoreError> {
    match known {
        Some(known) => Ok(known.deleted_at.is_some() || survey_by_service(known)? != survey_by_service(next)?),
        None => Ok(false),
    }
}

/// The change from `known` to `next`; `row` is the order's row of the queue, where [`needs_row`]. The inner error: it
/// can't be sent.
pub(crate) fn plan(
    account: &Account,
    known: Option<&Order>,
    next: Order,
    row: Option<QueueRow>,
    intent: Intent<'_>,
    instructions: Instructions,
) -> Result<Result<Write, Vec<Remark>>, StoreError> {
    let first = match known {
        Some(known) if needs_row(Some(known), &next)? => what_goes_first(account, known, &next, row)?,
        _ => None,
    };
    if let Some((before, _)) = &first {
        let faults = survey_faults(live(known), &next, before, instructions.replace_survey)?;
        if !faults.is_empty() {
            return Ok(Err(faults));
        }
    }
    let remarks = match live(known) {
        Some(live) => remarks(account, live, &next, &first, intent, instructions.force)?,
        None => Vec::new(),
    };
    let effect = if live(known).is_some() { Effect::Changed } else { Effect::Created };
    Ok(Ok(Write { next, read: known.map(|order| order.revision), effect, instructions, preparation: first, remarks }))
}

/// What Pruvan won't take over, of an order that it has.
fn remarks(
    account: &Account,
    live: &Order,
    next: &Order,
    first: &Option<(FirstPush, Option<QueueRow>)>,
    intent: Intent<'_>,
    force: bool,
) -> Result<Vec<Remark>, StoreError> {
    let (was, is) = (live.as_given()?, next.as_given()?);
    let settings = &account.settings;
    let anew = |service: &str| first.as_ref().is_some_and(|(before, _)| before.without.contains(service));
    let set = if let Intent::Set(fields) = intent { fields } else { &[] };
    let found = not_updated(&was, &is, settings.integration, settings.auto_admin, force, set, anew);
    Ok(found.into_iter().map(|NotUpdated { field, why }| Remark::new(field, explanation(why))).collect())
}

/// Why Pruvan won't take a value over, in the words of the host's API.
fn explanation(why: WhyNotUpdated) -> String {
    match why {
        WhyNotUpdated::OnlyByAutoAdmin => {
            "is not taken from an external integration without its option auto_admin once Pruvan has the order: set autoAdmin in this account if it is on in Pruvan, or override with \"force\": true".to_owned()
        }
        why => why.to_string(),
    }
}

/// Of a service in Pruvan whose survey isn't known here: no survey is called so.
const UNKNOWN_SURVEY: &str = " ";

/// What must go out before `next`: a deletion, or the order without services whose survey changes, where Pruvan may
/// still have them otherwise. With it, the row of the queue from which that was decided.
fn what_goes_first(
    account: &Account,
    known: &Order,
    next: &Order,
    row: Option<QueueRow>,
) -> Result<Option<(FirstPush, Option<QueueRow>)>, StoreError> {
    let (was, is) = (survey_by_service(known)?, survey_by_service(next)?);
    // Pruvan has the state before this one for sure if the queue has no row of the order. Then a service that was left
    // out, or a deletion, has reached Pruvan and must not be sent again: crews may have worked on what came since.
    // Without a push key nothing goes first, and pulls alone tell the order.
    let row_if_unsent = row.as_ref().filter(|_| account.push_key_serial > 0);
    let mut before = FirstPush { for_push_key: account.push_key_serial, ..FirstPush::default() };
    if let Some(row) = row.as_ref().filter(|row| row.first_push.for_push_key == account.push_key_serial) {
        before.without.extend(row.first_push.without.iter().filter(|name| is.contains_key(*name)).cloned());
    }
    if known.deleted_at.is_some() {
        // Where the crews are a vendor's, a deletion deletes nothing: services with another survey are made anew one by
        // one. So they are, too, if Pruvan refuses the deletion.
        let may_delete = account.settings.integration.may_set("status", account.settings.auto_admin);
        if may_delete && row_if_unsent.is_none() {
            return Ok(None);
        }
        let changed = |name: &&String| was.get(*name).is_some_and(|survey| Some(survey) != is.get(*name));
        before.delete_first = may_delete;
        before.without.extend(is.keys().filter(changed).cloned());
        return Ok(before.is_needed().then_some((before, row)));
    }
    before.removed_unsent = row_if_unsent.map(|row| row.first_push.removed_unsent.clone()).unwrap_or_default();
    for (name, survey) in &is {
        let in_pruvan = was.get(name).cloned().or_else(|| before.removed_unsent.remove(name));
        if in_pruvan.is_some_and(|known| known != *survey) {
            before.without.insert(name.clone());
        }
    }
    before.removed_unsent.extend(was.into_iter().filter(|(name, _)| !is.contains_key(name)));
    // A service that goes before it was made anew: Pruvan still has it with an earlier survey, or not at all.
    let row_of_key = row.as_ref().filter(|row| row.first_push.for_push_key == account.push_key_serial);
    let without = row_of_key.into_iter().flat_map(|row| &row.first_push.without);
    before
        .removed_unsent
        .extend(without.filter(|name| !is.contains_key(*name)).map(|name| (name.clone(), UNKNOWN_SURVEY.to_owned())));
    Ok(Some((before, row)))
}

/// The order deleted, here and by a push in Pruvan. The row stays, so that pulls can tell it.
pub(crate) fn deletion(known: &Order, now: i64) -> Result<Write, StoreError> {
    let mut next = known.clone();
    let mut map = fields(&known.document)?;
    // An external integration ignores the status, so the client's own status says it, too.
    map.insert("clientStatus".to_owned(), Value::from("Deleted"));
    map.insert("status".to_owned(), Value::from(OfficeStatus::Deleted.as_str()));
    next.document = Value::Object(map).to_string();
    next.directives.clear();
    next.revision += 1;
    next.version = next.revision;
    next.changed_at = now.max(known.changed_at);
    next.ended_at = Some(now);
    next.deleted_at = Some(now);
    let (read, instructions) = (Some(known.revision), Instructions::default());
    Ok(Write { next, read, effect: Effect::Changed, instructions, preparation: None, remarks: Vec::new() })
}

/// Whether it goes before all that waits: rushes, cancellations, deletions and what is forced.
pub(crate) fn urgency(next: &Order, force: bool) -> Urgency {
    let status = next.directives.get("status").and_then(|directive| OfficeStatus::parse(&directive.value));
    let urgent = force
        || next.deleted_at.is_some()
        || matches!(status, Some(OfficeStatus::Rush | OfficeStatus::Canceled | OfficeStatus::Deleted));
    if urgent { Urgency::Urgent } else { Urgency::Normal }
}

fn fields(document: &str) -> Result<Map<String, Value>, StoreError> {
    serde_json::from_str(document).map_err(|error| unreadable("Orders", &error))
}

fn survey_by_service(order: &Order) -> Result<BTreeMap<String, String>, StoreError> {
    Ok(surveys(&fields(&order.document)?))
}

/// Why `next` can't be sent: a survey that changes under the same name though nobody said to replace it, or no service
/// that would be left meanwhile. A service that the host had left out needs no permission: its answers were given up
/// then.
fn survey_faults(
    live: Option<&Order>,
    next: &Order,
    before: &FirstPush,
    replace_survey: bool,
) -> Result<Vec<Remark>, StoreError> {
    let was = live.map(survey_by_service).transpose()?.unwrap_or_default();
    let is = survey_by_service(next)?;
    let names: Vec<&String> = is.keys().collect();
    let mut faults = Vec::new();
    let changed = |name: &&String| was.get(*name).is_some_and(|survey| Some(survey) != is.get(*name));
    if !replace_survey {
        for name in before.without.iter().filter(changed) {
            faults.push(Remark::new("/services", format!(
                    "the survey of {name:?} changes, which Pruvan takes under another serviceName only: rename the service, or send \
                     \"replaceSurvey\": true, which deletes the task with its answers and makes it anew"
                )));
        }
    }
    if faults.is_empty()
        && !before.delete_first
        && !names.is_empty()
        && names.iter().all(|name| before.without.contains(*name))
    {
        faults.push(Remark::new(
            "/services",
            "an order keeps at least one service while others are replaced: rename the service, or add another one",
        ));
    }
    Ok(faults)
}
