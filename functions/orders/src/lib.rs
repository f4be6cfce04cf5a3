//! The host puts orders in and takes results out.
//!
//! ```text
//! PUT    /accounts/{username}/orders/{workOrderNumber}           a whole work order
//! PATCH  /accounts/{username}/orders/{workOrderNumber}           some fields of it (JSON merge patch, RFC 7386)
//! POST   /accounts/{username}/orders                             many whole work orders: JSON, NDJSON or CSV
//! GET    /accounts/{username}/orders                             filtered; GET .../{workOrderNumber}
//! DELETE /accounts/{username}/orders/{workOrderNumber}           here, and Pruvan is asked to
//! POST   /accounts/{username}/orders/{workOrderNumber}/push      sent again, with the directives still to be told
//! GET    /accounts/{username}/orders/{workOrderNumber}/uploads   with links that work for an hour
//! GET    /accounts/{username}/orders/{workOrderNumber}/answers   GET .../manifest
//! GET    /accounts/{username}/uploads/{uuId}                     one item, with its earlier versions
//! GET    /accounts/{username}/unmatched                          POST .../unmatched/{uuId}/assign
//! ```

mod answers;
mod api;
mod bulk;
mod condition;
mod items;
mod list;
mod manifest;
mod show;
mod table;
mod unmatched;
mod uploads;
mod write;

use std::sync::Arc;

use bridge::host::{self, QueryParameters};
use bridge::http::{Problem, to_host};
use lambda_http::http::{Method, StatusCode};
use lambda_http::{Body, Request, Response};

pub use api::OrdersApi;
use api::{no_such_order, number};
use condition::with_etag;

/// The query parameters of the routes that take some.
pub const QUERY: &QueryParameters = &[
    (
        "GET /accounts/{username}/orders",
        &["status", "fieldStatus", "changedSince", "dueFrom", "dueTo", "text", "limit", "cursor", "format"],
    ),
    ("POST /accounts/{username}/orders", &["ignore", "service", "dates"]),
    (
        "GET /accounts/{username}/orders/{workOrderNumber}/uploads",
        &["fileType", "service", "evidenceType", "limit", "cursor"],
    ),
    ("GET /accounts/{username}/orders/{workOrderNumber}/answers", &["limit", "cursor", "format"]),
    ("GET /accounts/{username}/orders/{workOrderNumber}/manifest", &["limit", "cursor"]),
    ("GET /accounts/{username}/uploads/{uuId}", &["limit", "cursor"]),
    ("GET /accounts/{username}/unmatched", &["limit", "cursor"]),
];

/// Answers one request of the host, whatever comes: a fault of ours is a 500 with a problem.
pub async fn handle(state: Arc<OrdersApi>, request: Request) -> Response<Body> {
    host::answer(&state.telemetry, &request, dispatch(&state, &request)).await
}

async fn dispatch(state: &OrdersApi, request: &Request) -> Result<Response<Body>, Problem> {
    host::check_query(request, QUERY)?;
    match (request.method(), host::route(request).as_str()) {
        (&Method::GET, "/accounts/{username}/orders") => list::list(state, request).await,
        (&Method::POST, "/accounts/{username}/orders") => bulk::post(state, request).await,
        (&Method::GET, "/accounts/{username}/orders/{workOrderNumber}") => get(state, request).await,
        (&Method::PUT, "/accounts/{username}/orders/{workOrderNumber}") => write::put(state, request).await,
        (&Method::PATCH, "/accounts/{username}/orders/{workOrderNumber}") => write::patch(state, request).await,
        (&Method::DELETE, "/accounts/{username}/orders/{workOrderNumber}") => write::delete(state, request).await,
        (&Method::POST, "/accounts/{username}/orders/{workOrderNumber}/push") => write::push(state, request).await,
        (&Method::GET, "/accounts/{username}/orders/{workOrderNumber}/uploads") => uploads::list(state, request).await,
        (&Method::GET, "/accounts/{username}/orders/{workOrderNumber}/answers") => answers::list(state, request).await,
        (&Method::GET, "/accounts/{username}/orders/{workOrderNumber}/manifest") => {
            manifest::list(state, request).await
        }
        (&Method::GET, "/accounts/{username}/uploads/{uuId}") => uploads::one(state, request).await,
        (&Method::GET, "/accounts/{username}/unmatched") => unmatched::list(state, request).await,
        (&Method::POST, "/accounts/{username}/unmatched/{uuId}/assign") => unmatched::assign(state, request).await,
        (method, route) => Err(Problem::not_found(format!("there is no {method} {route}"))),
    }
}

async fn get(state: &OrdersApi, request: &Request) -> Result<Response<Body>, Problem> {
    let account = host::account(&state.accounts, request).await?;
    let number = number(request)?;
    let order = state.orders.get(&account.username, &number).await?.ok_or_else(|| no_such_order(&number))?;
    let waiting = state.queue.get(&account.username, &number).await?;
    let shown = show::whole(&account, &order, waiting.as_ref(), state.clock.now_ms(), state.waits)?;
    Ok(with_etag(to_host(StatusCode::OK, &shown), &order))
}
