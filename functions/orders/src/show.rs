//! Rows as the host sees them: times in RFC 3339.

use bridge::StoreError;
use bridge::accounts::Account;
use bridge::files::Files;
use bridge::orders::{Order, Report};
use bridge::push_queue::Waiting;
use bridge::time::display;
use bridge::uploads::UploadRow;
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};

/// An order in a list.
pub fn summary(order: &Order) -> Result<Value, StoreError> {
    Ok(json!({
        "workOrderNumber": order.work_order_number,
        "workOrder": order.as_given()?,
        "changed": display(order.changed_at),
        "ended": order.ended_at.map(display),
        "deleted": order.deleted_at.map(display),
        "reported": latest(order),
    }))
}

/// An order with all that is known of it.
pub fn whole(account: &Account, order: &Order, waiting: Option<&Waiting>, now: i64) -> Result<Value, StoreError> {
    let outgoing = order.outgoing(account);
    let directives = order.directives.iter().map(|(name, directive)| {
        let told = !outgoing.0.contains_key(name);
        (name.clone(), json!({ "value": directive.value, "set": display(directive.at), "told": told }))
    });
    let push = match waiting {
        None => json!({ "state": "upToDate" }),
        Some(row) => json!({
            "state": row.state(now),
            "since": display(row.queued_at),
            "due": row.due_at().map(display),
            "attempts": row.attempts,
            "lastError": row.last_error,
        }),
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

/// An upload, with links that work for an hour.
pub async fn upload(files: &Files, row: &UploadRow) -> Result<Value, StoreError> {
    let link = link(files, row.path.as_deref(), row.file_name.as_deref().unwrap_or(&row.uu_id)).await?;
    let fields_link = link_to_fields(files, row).await?;
    Ok(json!({
        "uuId": row.uu_id,
        "workOrderNumber": row.work_order_number,
        "matched": row.matched,
        "fileType": row.file_type,
        "service": row.service,
        "evidenceType": row.evidence_type,
        "fileName": row.file_name,
        "contentType": row.content_type,
        "size": row.size,
        "sha256": row.sha256,
        "received": display(row.received_at),
        "taken": row.taken_at.map(display),
        "link": link,
        "fields": parsed(row.payload.as_deref()),
        "fieldsLink": fields_link,
    }))
}

async fn link_to_fields(files: &Files, row: &UploadRow) -> Result<Option<String>, StoreError> {
    link(files, row.payload_path.as_deref(), "fields.json").await
}

async fn link(files: &Files, path: Option<&str>, name: &str) -> Result<Option<String>, StoreError> {
    match path {
        Some(path) => Ok(Some(files.link(path, name).await?.expose_secret().to_owned())),
        None => Ok(None),
    }
}

fn parsed(json: Option<&str>) -> Value {
    json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
}
