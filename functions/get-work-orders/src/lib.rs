//! `POST /getWorkOrders`: Pruvan pulls the orders of one user (*The getWorkOrders Web Service*).

use std::sync::Arc;
use std::time::Duration;

use bridge::accounts::{Account, Accounts, PushKeyState};
use bridge::auth::{AuthError, authenticate};
use bridge::http::{TRY_AGAIN, guarded, to_pruvan, to_pruvan_text};
use bridge::orders::{ENDED_TOLD_FOR, LOOK_BACK, Orders, Pulled};
use bridge::push_queue::PushQueue;
use bridge::settings::SettingError;
use bridge::time::Clock;
use bridge::{StoreError, World, form};
use futures_util::{StreamExt as _, TryStreamExt as _};
use lambda_http::{Body, Request, Response};
use pruvan::get_work_orders::{GetWorkOrdersError, GetWorkOrdersRequest, MAX_WORK_ORDERS, Mode, WorkOrdersReply};
use pruvan::validate::INVALID_CREDENTIALS;

/// A buffered Lambda reply is JSON of at most 6,291,556 bytes, in which the body's own quotes are escaped. Some of that is left
/// for the envelope.
const MAX_ESCAPED: usize = 6_200_000;

/// What the function needs.
pub struct GetWorkOrders {
    accounts: Accounts,
    orders: Orders,
    queue: PushQueue,
    clock: Clock,
}

impl GetWorkOrders {
    /// Reads `ACCOUNTS_TABLE`, `ORDERS_TABLE` and `PUSH_QUEUE_TABLE`.
    pub fn new(world: &World) -> Result<GetWorkOrders, SettingError> {
        Ok(GetWorkOrders {
            accounts: Accounts::new(world)?,
            orders: Orders::new(world)?,
            queue: PushQueue::new(world)?,
            clock: world.clock.clone(),
        })
    }
}

/// Why there is no list.
enum Refusal {
    /// To be told as it is.
    Told(String),
    /// Our own stores.
    Store(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Refusal {
        Refusal::Store(error)
    }
}

/// Answers one request.
pub async fn handle(state: Arc<GetWorkOrders>, request: Request) -> Response<Body> {
    let reply = async {
        match pull(&state, request).await {
            Ok(body) => to_pruvan_text(body),
            Err(Refusal::Told(error)) => to_pruvan(&GetWorkOrdersError::new(&error)),
            Err(Refusal::Store(error)) => {
                tracing::error!(%error, "store.failed");
                to_pruvan(&GetWorkOrdersError::new(TRY_AGAIN))
            }
        }
    };
    guarded(reply, || to_pruvan(&GetWorkOrdersError::new(TRY_AGAIN))).await
}

async fn pull(state: &GetWorkOrders, request: Request) -> Result<String, Refusal> {
    let form = form::read(request).await.map_err(|error| Refusal::Told(error.to_string()))?;
    let request = GetWorkOrdersRequest::from_payload(form.payload);
    let account = match authenticate(&state.accounts, &request.credentials, state.clock.now_ms()).await {
        Ok(account) => account,
        Err(AuthError::Invalid) => return Err(Refusal::Told(INVALID_CREDENTIALS.to_owned())),
        Err(AuthError::Store(error)) => return Err(error.into()),
    };
    let now = state.clock.now_ms();
    let (since, ended_since) = match request.mode {
        Mode::Full => (None, now - ms(ENDED_TOLD_FOR)),
        Mode::Since(since) => {
            let since = since.as_millisecond() - ms(LOOK_BACK);
            (Some(since), since)
        }
    };
    let mut pulled = state.orders.changed(&account.username, since, ended_since).await?;
    let rest = pulled.split_off(fitting(&pulled, &account));
    if !rest.is_empty() {
        queue_rest(state, &account, &rest).await?;
    }
    let mut reply = WorkOrdersReply::default();
    for order in &pulled {
        reply.push(&order.document, order.fragment(&account));
    }
    // What Pruvan is about to be told it may have from now on: a report that comes after this answers it, and pushes of it can wait. Not so
    // if this pull was cut or leaves a gap to the one before: of what it didn't carry, nobody was told.
    let without_gap = since.is_none_or(|since| account.has_pulled(since));
    if without_gap && rest.is_empty() {
        state.accounts.note_pull(&account, now).await?;
    }
    tracing::info!(
        account = %account.username, full = matches!(request.mode, Mode::Full), orders = pulled.len(), queued = rest.len(),
        "getWorkOrders.done"
    );
    Ok(reply.finish())
}

/// How many orders, from the first, one reply can carry.
fn fitting(pulled: &[Pulled], account: &Account) -> usize {
    let escaped = |text: &str| text.len() + text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
    let mut size = 0;
    for (index, order) in pulled.iter().enumerate() {
        size += escaped(&order.document) + escaped(order.fragment(account)) + 1;
        if index == MAX_WORK_ORDERS || size > MAX_ESCAPED {
            return index;
        }
    }
    pulled.len()
}

/// Queues what has no room for pushes. Without a push key that can't be: then Pruvan gets an error, and never a list that was cut
/// short as if it were whole.
async fn queue_rest(state: &GetWorkOrders, account: &Account, rest: &[Pulled]) -> Result<(), Refusal> {
    if account.push_key_state != PushKeyState::Live {
        return Err(Refusal::Told(format!(
            "there are {} more work orders than one import can carry: press Validate in the integration's settings, so that the \
             rest can be pushed, and import again",
            rest.len()
        )));
    }
    let now = state.clock.now_ms();
    state.accounts.wake(&account.username, now).await?;
    let rows: Vec<(String, i64)> = rest.iter().map(|order| (order.work_order_number.clone(), order.revision)).collect();
    futures_util::stream::iter(rows)
        .map(|(number, revision)| async move {
            state.queue.enqueue_overflow(&account.username, &number, revision, now).await
        })
        .buffer_unordered(32)
        .try_collect::<()>()
        .await?;
    Ok(())
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
