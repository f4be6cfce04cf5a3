//! An order as the host sees it: times in RFC 3339.

use bridge::StoreError;
use bridge::accounts::Account;
use bridge::blocked;
use bridge::orders::{Order, Report};
use bridge::push_queue::QueueRow;
use bridge::time::{Waits, display};
use serde_json::{Map, Value, json};

/// An order in a list; `given` as the host gave it.
pub fn summary(order: &Order, given: &Map<String, Value>) -> Value {
    json!({
        "workOrderNumber": order.work_order_number,
        "workOrder": given,
        "changed": display(order.changed_at),
        "ended": order.ended_at.map(display),
        "deleted": order.deleted_at.map(display),
        "reported": latest(order),
    })
}

/// An order with all that is known of it.
pub fn whole(
    account: &Account,
    order: &Order,
    waiting: Option<&QueueRow>,
    now: i64,
    waits: Waits,
) -> Result<Value, StoreError> {
    let outgoing = order.outgoing(account);
    let directives = order.directives.iter().map(|(name, directive)| {
        let told = !outgoing.0.contains_key(name);
        (name.clone(), json!({ "value": directive.value, "set": display(directive.at), "told": told }))
    });
    let push = match waiting {
        None => json!({ "state": "upToDate" }),
        Some(row) => {
            let mut push = row.shown(now);
            push.extend(blocked::shown(blocked::order(account, row, now, waits)));
            Value::Object(push)
        }
    };
    Ok(json!({
        "workOrderNumber": order.work_order_number,
        "workOrder": order.as_given()?,
        "made": display(order.made_at),
        "changed": display(order.changed_at),
        "ended": order.ended_at.map(display),
        "deleted": order.deleted_at.map(display),
        "directives": Map::from_iter(directives),
        "reported": latest(order),
        "reports": order.reports.iter().map(report).collect::<Vec<Value>>(),
        "push": push,
    }))
}

fn latest(order: &Order) -> Option<Value> {
    (!order.reports.is_empty()).then(|| report(&order.reported()))
}

fn report(report: &Report) -> Value {
    json!({
        "at": display(report.at),
        "status": report.status,
        "fieldStatus": report.field_status,
        "clientStatus": report.client_status,
        "dueDate": report.due_date,
        "other": parsed(report.other.as_deref()),
    })
}

/// Stored JSON; null if there is none.
pub fn parsed(json: Option<&str>) -> Value {
    json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
}
