//! `POST /getWorkOrders`: Pruvan pulls the orders of one user (*The getWorkOrders Web Service*).
//!
//! The reply is streamed: it begins when a first part is full, and holds the bytes that are stored.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bridge::accounts::{Account, Accounts, PushKeyState};
use bridge::auth::authenticate;
use bridge::http::{guarded, to_pruvan, to_pruvan_streamed, to_pruvan_text};
use bridge::orders::span::{Pages, Span};
use bridge::orders::{Orders, Pulled};
use bridge::push_queue::PushQueue;
use bridge::settings::SettingError;
use bridge::streamed::{BrokenOff, NobodyReads, Streamed, Writer, streamed};
use bridge::telemetry::{Record, Telemetry, Unit};
use bridge::time::{Clock, ms};
use bridge::web_service::{self, Refusal};
use bridge::{Dependencies, StoreError};
use futures_util::{StreamExt as _, TryStreamExt as _};
use lambda_http::{Body, Request, Response};
use pruvan::get_work_orders::{GetWorkOrdersError, GetWorkOrdersRequest, MAX_WORK_ORDERS, Mode, WorkOrdersReply};
use tokio::task::JoinHandle;

/// What a reply can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    /// Lambda streams at most 200 MB.
    Streamed,
    /// A buffered reply is JSON of at most 6,291,556 bytes, in which the body's own quotes are escaped.
    Buffered,
}

impl Room {
    /// Some is left for the envelope.
    fn bytes(self) -> usize {
        match self {
            Room::Streamed => 190_000_000,
            Room::Buffered => 6_200_000,
        }
    }

    fn takes(self, text: &str) -> usize {
        match self {
            Room::Streamed => text.len(),
            Room::Buffered => text.len() + text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count(),
        }
    }
}

/// A reply goes out in parts of about so many bytes: small enough to stay in a processor's cache between being written
/// and being sent. What fails before the first one is full can still be told as an error.
const PART: usize = 65_536;

/// Orders without room that are queued at a time.
const QUEUED_AT_ONCE: usize = 32;

/// What is set aside for a part, so that the order that fills it seldom moves it.
const PART_WITH_AN_ORDER: usize = PART + 16_384;

/// An incremental pull looks back this far past the given time: Pruvan's clock and its long imports are not ours.
pub const LOOK_BACK: Duration = Duration::from_secs(15 * 60);

/// Ended orders are told in full refreshes for this long, since Pruvan removes nothing that is merely absent.
pub const ENDED_TOLD_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// What the function needs.
pub struct GetWorkOrders {
    telemetry: Telemetry,
    accounts: Accounts,
    orders: Orders,
    queue: PushQueue,
    clock: Clock,
}

impl GetWorkOrders {
    /// Reads `ACCOUNTS_TABLE`, `ORDERS_TABLE` and `PUSH_QUEUE_TABLE`.
    pub fn new(dependencies: &Dependencies) -> Result<GetWorkOrders, SettingError> {
        Ok(GetWorkOrders {
            telemetry: Telemetry::new(dependencies, "get-work-orders"),
            accounts: Accounts::new(dependencies)?,
            orders: Orders::new(dependencies)?,
            queue: PushQueue::new(dependencies)?,
            clock: dependencies.clock.clone(),
        })
    }
}

/// Answers one request while the orders are still being read. What fails before the first of them is told as the
/// specification says; after that the reply breaks off.
pub async fn handle(state: Arc<GetWorkOrders>, request: Request) -> Response<Streamed> {
    let reply = async {
        let begun = async {
            let (mut body, writing) = pull(state, request, Room::Streamed).await?;
            match body.begun().await {
                Ok(()) => Ok(body),
                Err(BrokenOff) => Err(refusal(writing).await),
            }
        };
        match begun.await {
            Ok(body) => to_pruvan_streamed(body),
            Err(why) => refused(&why).map(Streamed::from),
        }
    };
    guarded(reply, || refused(&Refusal::again()).map(Streamed::from)).await
}

/// Answers one request with a reply that is whole, for where nothing streams.
pub async fn handle_buffered(state: Arc<GetWorkOrders>, request: Request) -> Response<Body> {
    let reply = async {
        let whole = async {
            let (body, writing) = pull(state, request, Room::Buffered).await?;
            match body.collect().await.map(String::from_utf8) {
                Ok(Ok(body)) => Ok(body),
                _ => Err(refusal(writing).await),
            }
        };
        match whole.await {
            Ok(body) => to_pruvan_text(body),
            Err(why) => refused(&why),
        }
    };
    guarded(reply, || refused(&Refusal::again())).await
}

/// What a list is written by.
type Writing = JoinHandle<Result<(), Broken>>;

/// Why it broke off before anybody got anything of it.
async fn refusal(writing: Writing) -> Refusal {
    match writing.await {
        Ok(Err(Broken::NoPushKey)) => Refusal::recorded(TOO_MANY),
        _ => Refusal::again(),
    }
}

fn refused(why: &Refusal) -> Response<Body> {
    to_pruvan(&GetWorkOrdersError::new(why.as_str()))
}

/// Begins a list; what has no room in it is queued for pushes.
async fn pull(state: Arc<GetWorkOrders>, request: Request, room: Room) -> Result<(Streamed, Writing), Refusal> {
    let mut record = state.telemetry.request(&request);
    let request = GetWorkOrdersRequest::from_payload(web_service::read(request, &mut record).await?.payload);
    let account = authenticate(&state.accounts, &request.credentials, state.clock.now_ms(), &mut record).await?;
    let now = state.clock.now_ms();
    let span = span(request.mode, now);
    let since = span.last_before.map(|_| span.since);
    let username = &account.username;
    // Without a push key nothing can be pushed, and Pruvan gets an error: never a list that was cut short as if it were
    // whole. So that must be known before the first byte.
    if account.push_key_state != PushKeyState::Live {
        let too_many = state.orders.are_more_than(MAX_WORK_ORDERS, username, span).await;
        if too_many.map_err(|error| Refusal::failed(&mut record, &error))? {
            return Err(Refusal::bad_request(&mut record, TOO_MANY));
        }
    }
    let pages = state.orders.pages(username, span);
    let list = List {
        record,
        state,
        account,
        since,
        now,
        room,
        left: room.bytes(),
        bytes: 0,
        sent: HashMap::new(),
        queued: 0,
    };
    let (writer, body) = streamed();
    let writing = tokio::spawn(async move { list.write(pages, writer).await });
    Ok((body, writing))
}

/// What is read for a pull: of an incremental one, what was changed since the given time comes before the look-back, so
/// that it is the look-back that has no room.
fn span(mode: Mode, now: i64) -> Span {
    match mode {
        Mode::Full => Span { since: 0, ended_since: now - ms(ENDED_TOLD_FOR), last_before: None, began: now },
        Mode::Since(since) => {
            // Since a time to come nothing has changed: it is a clock's fault, and the present time is meant.
            let since = since.as_millisecond().min(now);
            let back = since - ms(LOOK_BACK);
            Span { since: back, ended_since: back, last_before: Some(since), began: now }
        }
    }
}

/// There is more than one reply can carry, and no push key for the rest.
const TOO_MANY: &str = "there are more work orders than one import can carry: press Validate in the integration's settings, so that the rest \
                        can be pushed, and import again";

/// A list under way.
struct List {
    record: Record,
    state: Arc<GetWorkOrders>,
    account: Account,
    since: Option<i64>,
    now: i64,
    room: Room,
    /// Bytes that the reply may still grow by.
    left: usize,
    /// Of the reply, until now.
    bytes: usize,
    sent: HashMap<String, Told>,
    queued: usize,
}

/// An order as the list has it.
struct Told {
    revision: i64,
    changed_at: i64,
}

/// Why a list breaks off.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("nobody reads it any more")]
    Unread,
    #[error("it has no room for all orders, and there is no push key for the rest")]
    NoPushKey,
}

impl From<NobodyReads> for Broken {
    fn from(_: NobodyReads) -> Broken {
        Broken::Unread
    }
}

impl List {
    /// Writes all of it. The record goes before the last part does: Lambda may stop the process as soon as that is out.
    async fn write(mut self, mut pages: Pages, writer: Writer) -> Result<(), Broken> {
        let last = self.write_orders(&mut pages, &writer).await;
        let List { mut record, since, sent, queued, bytes, .. } = self;
        record.note("full", since.is_none());
        record.note("queued", queued);
        record.counts([("Orders", sent.len() as u64)]);
        record.metric("Bytes", Unit::Bytes, (bytes + last.as_ref().map_or(0, String::len)) as f64);
        match &last {
            Ok(_) => record.ok(),
            Err(Broken::NoPushKey) => {
                record.bad_request(TOO_MANY);
            }
            Err(Broken::Store(error)) => record.store_failed(error),
            Err(broken) => record.fault(&broken.to_string()),
        }
        drop(record);
        writer.end(last?).await?;
        Ok(())
    }

    /// All but the last part, which it gives back.
    async fn write_orders(&mut self, pages: &mut Pages, writer: &Writer) -> Result<String, Broken> {
        let mut reply = WorkOrdersReply::default();
        while let Some(orders) = pages.next().await? {
            let rest = self.copy(orders, &mut reply, writer).await?;
            if !rest.is_empty() {
                self.queue(rest).await?;
            }
        }
        self.note().await?;
        Ok(reply.finish())
    }

    /// What Pruvan is about to be told it may have from now on: a report that comes after this answers it, unless this
    /// pull was cut: of what it didn't carry, nobody was told. Pushes of what it carried can wait, also of what earlier
    /// pulls had no room for.
    async fn note(&mut self) -> Result<(), Broken> {
        let (state, username, whole) = (&self.state, &self.account.username, self.queued == 0);
        // After the note nothing may fail that keeps the list from being sent: it would count as told, and nobody was.
        let left_out = state.queue.left_out(username).await?;
        state.accounts.note_pull(&self.account, self.since, self.now, whole).await?;
        let carried = left_out.into_iter().filter_map(|row| {
            let told = self.sent.get(&row.work_order_number).filter(|told| told.revision >= row.version)?;
            Some((row, told.changed_at))
        });
        futures_util::stream::iter(carried.collect::<Vec<_>>())
            .for_each_concurrent(QUEUED_AT_ONCE, |(row, changed_at)| async move {
                // One that stays in front is pushed early, which does no harm.
                if let Err(error) = state.queue.carry(username, &row, changed_at).await {
                    tracing::warn!(account = %username, order = %row.work_order_number, %error, "pull.mark_not_taken");
                }
            })
            .await;
        Ok(())
    }

    /// Copies a page into the reply, and hands on what is ready; gives back what has no room in it.
    async fn copy(
        &mut self,
        orders: Vec<Pulled>,
        reply: &mut WorkOrdersReply,
        writer: &Writer,
    ) -> Result<Vec<Pulled>, Broken> {
        let mut rest = Vec::new();
        for order in orders {
            // It changed while the list was read: Pruvan takes no number twice, and its push or the next pull tells the
            // rest.
            if self.sent.contains_key(&order.work_order_number) {
                continue;
            }
            let directives = order.fragment(&self.account);
            let size = self.room.takes(&order.document) + self.room.takes(directives) + 1;
            if self.sent.len() == MAX_WORK_ORDERS || size > self.left {
                self.left = 0;
                rest.push(order);
                continue;
            }
            self.left -= size;
            reply.push(&order.document, directives);
            let told = Told { revision: order.revision, changed_at: order.changed_at };
            self.sent.insert(order.work_order_number, told);
            if reply.pending() >= PART {
                self.bytes += reply.pending();
                writer.write(reply.take(PART_WITH_AN_ORDER)).await?;
            }
        }
        Ok(rest)
    }

    async fn queue(&mut self, rest: Vec<Pulled>) -> Result<(), Broken> {
        if self.account.push_key_state != PushKeyState::Live {
            return Err(Broken::NoPushKey);
        }
        let (state, account, now) = (&self.state, &self.account, self.state.clock.now_ms());
        let username = &account.username;
        // For each page anew: an account that was woken stays awake for some minutes only.
        state.accounts.wake(username, now).await?;
        self.queued += rest.len();
        futures_util::stream::iter(rest)
            .map(|order| async move {
                let (number, of) = (&order.work_order_number, (order.revision, order.changed_at));
                // What pulls carried and what pushes took is told once more, after all others.
                let told = account.carried().contains(&order.changed_at);
                let pushed = account.has_pushed_unless_queued(order.changed_at);
                match !told && state.queue.leave_out(username, number, of, now, !pushed).await? {
                    true => Ok(()),
                    false => state.queue.queue_again(username, number, of, now).await,
                }
            })
            .buffer_unordered(QUEUED_AT_ONCE)
            .try_collect::<()>()
            .await?;
        Ok(())
    }
}
