//! What the function needs, and what its routes have in common.

use std::time::Duration;

use bridge::Dependencies;
use bridge::accounts::Accounts;
use bridge::change::Changes;
use bridge::contention::Contention;
use bridge::files::Files;
use bridge::host::{self, PageSize};
use bridge::http::Problem;
use bridge::orders::Orders;
use bridge::push_queue::PushQueue;
use bridge::settings::SettingError;
use bridge::telemetry::Telemetry;
use bridge::time::{Clock, Waits, ms};
use bridge::uploads::Uploads;
use lambda_http::Request;
use serde_json::Value;

/// Orders and uploads a page.
const PAGE: PageSize = PageSize { default: 100, most: 500 };

/// So long a request looks for what its list shall show, well within the gateway's 29 seconds.
const LOOKS_FOR: Duration = Duration::from_secs(8);

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

    /// Says whether the time is up that a request has, from now on, to look for what its list shall show.
    pub fn looking(&self) -> impl Fn() -> bool {
        let stop_at = self.clock.now_ms() + ms(LOOKS_FOR);
        move || self.clock.now_ms() >= stop_at
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

/// The query's `limit`, or how many orders or uploads a page has without.
pub fn limit(request: &Request) -> Result<usize, Problem> {
    PAGE.asked_for(request)
}

/// How a page of a list ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageEnd<P> {
    /// Where the next one begins; none if the list is at its end.
    pub next: Option<P>,
    /// The time was up, and not the page full: what comes next may be what was looked for.
    pub time_up: bool,
}

impl<P> PageEnd<P> {
    /// At the end of what is wanted for one page, or of the list.
    pub fn at(next: Option<P>) -> PageEnd<P> {
        PageEnd { next, time_up: false }
    }

    /// Where the time was up.
    pub fn out_of_time(next: P) -> PageEnd<P> {
        PageEnd { next: Some(next), time_up: true }
    }
}

impl PageEnd<String> {
    /// The reply with how it ends.
    pub fn put_into(self, mut reply: Value, request: &Request) -> Value {
        reply["next"] = self.next.map(|next| host::cursor(request, &next)).into();
        reply["timeUp"] = self.time_up.into();
        reply
    }
}
