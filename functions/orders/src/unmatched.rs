//! What belongs to no order that we know, and how it gets one.

use std::collections::BTreeSet;

use bridge::StoreError;
use bridge::host;
use bridge::http::{PAGE_BYTES, Problem, to_host};
use bridge::telemetry::Notes;
use bridge::uploads::{UploadRow, Written, order_key};
use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use pruvan::lenient;
use pruvan::work_order::could_be_number;
use serde_json::{Value, json};

use crate::api::{OrdersApi, PageEnd, limit, no_such_order};
use crate::items::{held, item};
use crate::uploads;

/// `GET …/unmatched`: items that belong to no order that we know, newest first.
pub async fn list(state: &OrdersApi, request: &Request) -> Result<Response<Body>, Problem> {
    let account = host::account(&state.accounts, request).await?;
    let limit = limit(request)?;
    let mut before = host::read_cursor(request)?;
    let time_is_up = state.looking();
    let (mut shown, mut bytes) = (Vec::new(), 0);
    let end = loop {
        // Few at a time: each may hold much, and what is shown can't be taken back.
        let page = i32::try_from((limit - shown.len()).min(8)).unwrap_or(1);
        let (rows, next) = state.uploads.unmatched(&account.username, before.as_deref(), page).await?;
        let numbers: BTreeSet<String> = rows.iter().map(|row| row.number().to_owned()).collect();
        let numbers: Vec<String> = numbers.into_iter().filter(|number| could_be_number(number)).collect();
        let known = state.orders.get_all(&account.username, &numbers).await?;
        let known: BTreeSet<&str> = known.iter().map(|order| order.work_order_number.as_str()).collect();
        for row in &rows {
            if known.contains(row.number()) {
                // The order has come since. Whether this takes or not, the next look sees the same.
                let _ = state.uploads.amend(&UploadRow { unmatched: None, ..row.clone() }).await?;
            } else {
                bytes += held(row);
                shown.push(uploads::show(&state.files, row, None).await?);
            }
        }
        match next {
            Some(next) if shown.len() >= limit || bytes > PAGE_BYTES => break PageEnd::at(Some(next)),
            Some(next) if time_is_up() => break PageEnd::out_of_time(next),
            None => break PageEnd::at(None),
            next => before = next,
        }
    };
    Ok(to_host(StatusCode::OK, &end.put_into(json!({ "uploads": shown }), request)))
}

/// `POST …/unmatched/{uuId}/assign` `{"workOrderNumber"}`: the item belongs to that order from now on.
pub async fn assign(state: &OrdersApi, request: &Request) -> Result<Response<Body>, Problem> {
    let account = host::account(&state.accounts, request).await?;
    let body = host::json_object(request)?;
    let number = lenient::text_field(&body, "workOrderNumber");
    let number = number.ok_or_else(|| {
        Problem::bad_request("send {\"workOrderNumber\": …}, the number of the order that the item belongs to")
    })?;
    let number = number.as_str();
    if state.orders.get(&account.username, number).await?.is_none() {
        return Err(no_such_order(number));
    }
    let mut tries = state.contention.tries();
    loop {
        let row = item(state, &account, request).await?;
        let mut next = row.clone();
        next.assigned = Some(number.to_owned()).filter(|number| *number != row.work_order_number);
        next.order = Some(order_key(&account.username, number));
        next.unmatched = None;
        if next == row || state.uploads.amend(&next).await? == Written::Done {
            let mut response = to_host(StatusCode::OK, &uploads::show(&state.files, &next, None).await?);
            response.extensions_mut().insert(Notes(vec![("order", Value::from(number))]));
            return Ok(response);
        }
        if !tries.again().await {
            return Err(StoreError::Contended("the upload").into());
        }
    }
}
