//! What the function needs, and what its routes have in common.

use bridge::Dependencies;
use bridge::accounts::Accounts;
use bridge::change::Changes;
use bridge::contention::Contention;
use bridge::files::Files;
use bridge::host;
use bridge::http::Problem;
use bridge::orders::Orders;
use bridge::push_queue::PushQueue;
use bridge::settings::SettingError;
use bridge::telemetry::Telemetry;
use bridge::time::{Clock, Waits};
use bridge::uploads::Uploads;
use lambda_http::Request;

/// Orders and uploads a page, unless `limit` says less or more.
const PAGE: usize = 100;

/// Orders and uploads a page, at most.
const MAX_PAGE: usize = 500;

/// What the function needs.
pub struct OrdersApi {
    pub(crate) telemetry: Telemetry,
    pub(crate) accounts: Accounts,
    pub(crate) changes: Changes,
    pub(crate) orders: Orders,
    pub(crate) queue: PushQueue,
    pub(crate) uploads: Uploads,
    pub(crate) files: Files,
    pub(crate) photo_size: Option<String>,
    pub(crate) clock: Clock,
    pub(crate) waits: Waits,
    pub(crate) contention: Contention,
}

impl OrdersApi {
    /// Reads `ACCOUNTS_TABLE`, `ORDERS_TABLE`, `PUSH_QUEUE_TABLE`, `UPLOADS_TABLE`, `FILES_BUCKET` and, if it is there,
    /// `PHOTO_SIZE`.
    pub fn new(dependencies: &Dependencies) -> Result<OrdersApi, SettingError> {
        Ok(OrdersApi {
            telemetry: Telemetry::new(dependencies, "orders"),
            accounts: Accounts::new(dependencies)?,
            changes: Changes::new(dependencies)?,
            orders: Orders::new(dependencies)?,
            queue: PushQueue::new(dependencies)?,
            uploads: Uploads::new(dependencies)?,
            files: Files::new(dependencies)?,
            photo_size: dependencies.settings.optional("PHOTO_SIZE").map(str::to_owned),
            clock: dependencies.clock.clone(),
            waits: dependencies.waits,
            contention: Contention::new(&dependencies.random),
        })
    }
}

/// The work order number in the path.
pub fn number(request: &Request) -> Result<String, Problem> {
    host::path_parameter(request, "workOrderNumber")
}

/// The reply where an account has no such order.
pub fn no_such_order(number: &str) -> Problem {
    Problem::not_found(format!("there is no work order {number:?} in this account"))
}

/// The query's `limit`, or how many a page has without.
pub fn limit(request: &Request) -> Result<usize, Problem> {
    match host::query(request, "limit").map(|limit| limit.parse()) {
        None => Ok(PAGE),
        Some(Ok(limit @ 1..=MAX_PAGE)) => Ok(limit),
        Some(_) => Err(Problem::bad_request(format!("limit must be a whole number from 1 to {MAX_PAGE}"))),
    }
}
