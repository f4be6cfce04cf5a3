//! `POST /status`: Pruvan reports how orders stand (*The status Web Service*).

use std::collections::BTreeMap;
use std::sync::Arc;

use bridge::accounts::{Account, Accounts};
use bridge::auth::authenticate;
use bridge::http::{TRY_AGAIN, TRY_AGAIN_CONTENDED, guarded, to_pruvan, try_again};
use bridge::orders::{Orders, Report};
use bridge::settings::SettingError;
use bridge::telemetry::{Record, Telemetry};
use bridge::time::Clock;
use bridge::web_service::{self, Refusal};
use bridge::{Dependencies, StoreError};
use futures_util::StreamExt as _;
use lambda_http::{Body, Request, Response};
use pruvan::status::{StatusEntry, StatusError, StatusReply, StatusRequest};

/// Orders updated at a time.
const AT_ONCE: usize = 16;

/// A single report's unknown fields are kept up to this many bytes.
const MAX_OTHER: usize = 20_000;

/// More reports than Pruvan has orders of one account: what a call takes stays well within the gateway's 29 seconds.
const MOST: usize = 10_000;

const TOO_MANY: &str = "the payload has more than 10000 work orders: report fewer at a time";

const NO_WORK_ORDERS: &str = "the payload has no workOrders: send a list with at least one work order";

/// What the function needs.
pub struct Status {
    telemetry: Telemetry,
    accounts: Accounts,
    orders: Orders,
    clock: Clock,
}

impl Status {
    /// Reads `ACCOUNTS_TABLE` and `ORDERS_TABLE`.
    pub fn new(dependencies: &Dependencies) -> Result<Status, SettingError> {
        Ok(Status {
            telemetry: Telemetry::new(dependencies, "status"),
            accounts: Accounts::new(dependencies)?,
            orders: Orders::new(dependencies)?,
            clock: dependencies.clock.clone(),
        })
    }
}

/// Answers one request of Pruvan's, whatever comes (*The status Web Service*).
pub async fn handle(state: Arc<Status>, request: Request) -> Response<Body> {
    let mut record = state.telemetry.request(&request);
    let reported = guarded(report(&state, request, &mut record), || Err(Refusal::again().into())).await;
    to_pruvan(&match reported {
        Ok(failures) => StatusReply::new(failures),
        Err(Refused { work_orders, why }) => StatusReply::refused(&work_orders, why.as_str()),
    })
}

/// Why no report was taken, to be told of each of these orders.
struct Refused {
    work_orders: Vec<StatusEntry>,
    why: Refusal,
}

impl From<Refusal> for Refused {
    fn from(why: Refusal) -> Refused {
        Refused { work_orders: Vec::new(), why }
    }
}

async fn report(state: &Status, request: Request, record: &mut Record) -> Result<Vec<StatusError>, Refused> {
    let request = StatusRequest::from_payload(web_service::read(request, record).await?.payload);
    let now = state.clock.now_ms();
    let account = authenticate(&state.accounts, &request.credentials, now, record).await;
    let account = account.map_err(|why| Refused { work_orders: request.work_orders.clone(), why })?;
    match request.work_orders.as_slice() {
        [] => return Err(Refusal::bad_request(record, NO_WORK_ORDERS).into()),
        more if more.len() > MOST => return Err(Refusal::bad_request(record, TOO_MANY).into()),
        [only] => record.order(only.host_number()),
        _ => {}
    }
    // Each order on its own, and the reports of one order in the order in which they stand.
    let orders = request.work_orders.len();
    let mut by_order: BTreeMap<String, Vec<StatusEntry>> = BTreeMap::new();
    for entry in request.work_orders {
        by_order.entry(entry.host_number().to_owned()).or_default().push(entry);
    }
    let account = &account;
    let failures: Vec<StatusError> = futures_util::stream::iter(by_order)
        .map(|(number, entries)| async move { apply(state, account, &number, &entries, now).await })
        .buffered(AT_ONCE)
        .flat_map(futures_util::stream::iter)
        .collect()
        .await;
    record.note("orders", orders);
    record.note("refused", failures.len());
    match failures.first() {
        None => record.ok(),
        Some(_) if failures.iter().any(|failure| failure.error() == TRY_AGAIN) => record.fault(TRY_AGAIN),
        Some(_) if failures.iter().any(|failure| failure.error() == TRY_AGAIN_CONTENDED) => {
            record.store_failed(&StoreError::Contended("an order"));
        }
        Some(failure) => {
            record.bad_request(failure.error());
        }
    }
    Ok(failures)
}

/// Applies the reports of one order together; what failed, it failed for all of them.
async fn apply(state: &Status, account: &Account, number: &str, entries: &[StatusEntry], now: i64) -> Vec<StatusError> {
    let reports: Vec<Report> = entries.iter().map(|entry| to_report(entry, now)).collect();
    let error = match state.orders.report(account, number, &reports).await {
        Ok(true) => return Vec::new(),
        Ok(false) if number.is_empty() => "the entry has no workOrderNumber",
        Ok(false) => "work order does not exist",
        Err(error) => {
            if !error.is_contention() {
                tracing::error!(account = %account.username, order = %number, %error, "store.failed");
            }
            try_again(&error)
        }
    };
    entries.iter().map(|entry| StatusError::new(&entry.work_order_number, error)).collect()
}

fn to_report(entry: &StatusEntry, now: i64) -> Report {
    let text = |value: &Option<String>| value.as_ref().map(|text| text.chars().take(255).collect());
    let other = serde_json::to_string(&entry.other).unwrap_or_default();
    Report {
        at: now,
        status: text(&entry.status),
        field_status: text(&entry.field_status),
        client_status: text(&entry.client_status),
        due_date: entry.due_date.map(|date| date.day().to_string()),
        other: (!entry.other.is_empty() && other.len() <= MAX_OTHER).then_some(other),
    }
}
