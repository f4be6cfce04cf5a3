//! The host's side of accounts: one per Pruvan user, their API keys, and what waits to be pushed.
//!
//! ```text
//! PUT    /accounts/{username}             settings; the first time 201 with an API key, shown this once
//! GET    /accounts                        GET /accounts/{username}
//! POST   /accounts/{username}/keys        a second key, to rotate       DELETE /accounts/{username}/keys/{keyId}
//! GET    /accounts/{username}/push-queue
//! POST   /accounts/{username}/push-queue/retry                         all that is parked
//! POST   /accounts/{username}/push-queue/{workOrderNumber}/retry       one order, whatever it waits for
//! ```

mod show;

use std::sync::Arc;

use bridge::Dependencies;
use bridge::accounts::{AccountSettings, Accounts, MAX_KEYS};
use bridge::blocked;
use bridge::host::{self, PageSize, QueryParameters};
use bridge::http::{Problem, no_content, to_host};
use bridge::push_queue::PushQueue;
use bridge::secrets::{ApiKey, hex};
use bridge::settings::SettingError;
use bridge::telemetry::Telemetry;
use bridge::time::{Clock, Random, Waits};
use futures_util::{StreamExt as _, TryStreamExt as _};
use lambda_http::http::{Method, StatusCode};
use lambda_http::{Body, Request, Response};
use pruvan::lenient::is_nothing;
use pruvan::status::OfficeStatus;
use pruvan::work_order::{Remark, could_be_number};
use serde_json::{Map, Value, json};

/// The query parameters of the routes that take some.
pub const QUERY: &QueryParameters = &[
    ("GET /accounts", &["limit", "cursor"]),
    ("DELETE /accounts/{username}/keys/{keyId}", &["last"]),
    ("GET /accounts/{username}/push-queue", &["limit", "cursor"]),
];

/// How many accounts a page of `GET /accounts` has.
const ACCOUNTS: PageSize = PageSize { default: 100, most: 500 };

/// Orders of the push queue a page.
const WAITING: PageSize = PageSize { default: 500, most: 500 };

/// Parked orders that one request sends again.
const RETRIED: usize = 500;

/// What the function needs.
pub struct AccountsApi {
    telemetry: Telemetry,
    accounts: Accounts,
    queue: PushQueue,
    clock: Clock,
    random: Random,
    waits: Waits,
}

impl AccountsApi {
    /// Reads `ACCOUNTS_TABLE` and `PUSH_QUEUE_TABLE`.
    pub fn new(dependencies: &Dependencies) -> Result<AccountsApi, SettingError> {
        Ok(AccountsApi {
            telemetry: Telemetry::new(dependencies, "accounts"),
            accounts: Accounts::new(dependencies)?,
            queue: PushQueue::new(dependencies)?,
            clock: dependencies.clock.clone(),
            random: dependencies.random.clone(),
            waits: dependencies.waits,
        })
    }

    fn new_key(&self) -> (String, ApiKey) {
        (hex(&self.random.bytes::<4>()), ApiKey::generate(&self.random))
    }
}

/// Answers one request of the host, whatever comes: a fault of ours is a 500 with a problem.
pub async fn handle(state: Arc<AccountsApi>, request: Request) -> Response<Body> {
    host::answer(&state.telemetry, &request, dispatch(&state, &request)).await
}

async fn dispatch(state: &AccountsApi, request: &Request) -> Result<Response<Body>, Problem> {
    host::check_query(request, QUERY)?;
    match (request.method(), host::route(request).as_str()) {
        (&Method::GET, "/accounts") => list(state, request).await,
        (&Method::GET, "/accounts/{username}") => {
            Ok(to_host(StatusCode::OK, &show::account(&host::account(&state.accounts, request).await?)))
        }
        (&Method::PUT, "/accounts/{username}") => put(state, request).await,
        (&Method::POST, "/accounts/{username}/keys") => add_key(state, request).await,
        (&Method::DELETE, "/accounts/{username}/keys/{keyId}") => delete_key(state, request).await,
        (&Method::GET, "/accounts/{username}/push-queue") => push_queue(state, request).await,
        (&Method::POST, "/accounts/{username}/push-queue/retry") => retry_parked(state, request).await,
        (&Method::POST, "/accounts/{username}/push-queue/{workOrderNumber}/retry") => retry(state, request).await,
        (method, route) => Err(Problem::not_found(format!("there is no {method} {route}"))),
    }
}

async fn list(state: &AccountsApi, request: &Request) -> Result<Response<Body>, Problem> {
    let limit = ACCOUNTS.asked_for(request)?;
    let (accounts, next) = state.accounts.page(host::read_cursor(request)?.as_deref(), limit).await?;
    let accounts: Vec<Value> = accounts.iter().map(show::account).collect();
    let next = next.map(|next| host::cursor(request, &next));
    Ok(to_host(StatusCode::OK, &json!({ "accounts": accounts, "next": next })))
}

async fn put(state: &AccountsApi, request: &Request) -> Result<Response<Body>, Problem> {
    let username = host::username(request)?;
    let fine = |c: char| c.is_ascii_alphanumeric() || "._@+-".contains(c);
    if username.is_empty() || username.len() > 100 || !username.chars().all(fine) {
        return Err(Problem::bad_request(
            "the username must be 1 to 100 letters, digits and . _ @ + -; it is what the Pruvan user types as username",
        ));
    }
    let body: &[u8] = request.body().as_ref();
    let given = if body.trim_ascii().is_empty() { Map::new() } else { host::json_object(request)? };
    let known = state.accounts.get(&username).await?;
    if known.is_none() && (matches!(username.as_str(), "." | "..") || is_nothing(&Value::from(username.as_str()))) {
        return Err(Problem::bad_request(format!(
            "{username:?} can be no account: no path can have . and .. in it, and null is a word for nothing in Pruvan's payloads, so that nobody could log in"
        )));
    }
    let named: Vec<String> = given.keys().cloned().collect();
    let settings = settings(known.as_ref().map(|account| &account.settings), given).map_err(Problem::fields)?;
    let now = state.clock.now_ms();
    if known.is_none() {
        let (id, key) = state.new_key();
        if state.accounts.create(&username, &settings, &id, &key, now).await? {
            let mut shown = show::settings(&settings);
            shown.insert("username".to_owned(), Value::from(username));
            shown.insert("keyId".to_owned(), Value::from(id));
            shown.insert("apiKey".to_owned(), Value::from(key.reveal()));
            return Ok(to_host(StatusCode::CREATED, &Value::Object(shown)));
        }
    }
    let account = match named.is_empty() {
        true => host::account(&state.accounts, request).await?,
        false => state.accounts.set_settings(&username, &settings, named.iter().map(String::as_str)).await?,
    };
    Ok(to_host(StatusCode::OK, &show::account(&account)))
}

/// The settings there were, with those given put over them; `null` puts one back to its default.
fn settings(known: Option<&AccountSettings>, given: Map<String, Value>) -> Result<AccountSettings, Vec<Remark>> {
    const FIELDS: [&str; 5] = ["integration", "autoAdmin", "clientCode", "statusMap", "pushLimitPerHour"];
    let mut settings = known.cloned().unwrap_or_default();
    let default = AccountSettings::default();
    let mut errors = Vec::new();
    for (name, value) in given {
        let read = match name.as_str() {
            "integration" => read_or(value, default.integration).map(|value| settings.integration = value),
            "autoAdmin" => read_or(value, default.auto_admin).map(|value| settings.auto_admin = value),
            "clientCode" => client_code(value).map(|value| settings.client_code = value),
            "statusMap" => status_map(value).map(|value| settings.status_map = value),
            "pushLimitPerHour" => match read_or(value, default.push_limit_per_hour) {
                Ok(limit @ 1..=1_000_000) => {
                    settings.push_limit_per_hour = limit;
                    Ok(())
                }
                _ => Err(()),
            },
            _ => Err(()),
        };
        if read.is_err() {
            let detail = match name.as_str() {
                "integration" => "must be \"internal\" or \"external\"".to_owned(),
                "autoAdmin" => "must be true or false".to_owned(),
                "clientCode" => "must be a text of at most 50 printable ASCII characters without \"::\"".to_owned(),
                "statusMap" => {
                    let known: Vec<&str> = OfficeStatus::ALL.iter().map(|status| status.as_str()).collect();
                    format!("must be an object of at most 200 entries, from your status to one of {}", known.join(", "))
                }
                "pushLimitPerHour" => "must be a whole number from 1 to 1000000".to_owned(),
                _ => format!("is not a setting of an account: use {}", FIELDS.join(", ")),
            };
            errors.push(Remark::new(format!("/{name}"), detail));
        }
    }
    if errors.is_empty() { Ok(settings) } else { Err(errors) }
}

fn read_or<T: serde::de::DeserializeOwned>(value: Value, default: T) -> Result<T, ()> {
    if value.is_null() { Ok(default) } else { serde_json::from_value(value).map_err(|_| ()) }
}

fn client_code(value: Value) -> Result<Option<String>, ()> {
    let code: Option<String> = serde_json::from_value(value).map_err(|_| ())?;
    let code = code.map(|code| code.trim().to_owned()).filter(|code| !code.is_empty());
    let fine = |code: &String| {
        code.len() <= 50 && !code.contains("::") && code.bytes().all(|byte| (b' '..=b'~').contains(&byte))
    };
    if code.as_ref().is_none_or(fine) { Ok(code) } else { Err(()) }
}

fn status_map(value: Value) -> Result<std::collections::BTreeMap<String, String>, ()> {
    let map: std::collections::BTreeMap<String, String> = read_or(value, Default::default())?;
    if map.len() > 200 {
        return Err(());
    }
    map.into_iter()
        .map(|(from, to)| {
            let to = OfficeStatus::parse(&to).ok_or(())?;
            if from.len() > 255 { Err(()) } else { Ok((from, to.as_str().to_owned())) }
        })
        .collect()
}

async fn add_key(state: &AccountsApi, request: &Request) -> Result<Response<Body>, Problem> {
    let account = host::account(&state.accounts, request).await?;
    let (id, key) = state.new_key();
    if !state.accounts.add_key(&account.username, &id, &key, state.clock.now_ms()).await? {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            format!("the account has {MAX_KEYS} keys already: delete the one that is no longer in use first"),
        ));
    }
    Ok(to_host(StatusCode::CREATED, &json!({ "keyId": id, "apiKey": key.reveal() })))
}

async fn delete_key(state: &AccountsApi, request: &Request) -> Result<Response<Body>, Problem> {
    let account = host::account(&state.accounts, request).await?;
    let id = host::path_parameter(request, "keyId")?;
    let also_the_last = match host::query(request, "last").as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Problem::bad_request("last must be true or false")),
    };
    let known = account.keys.contains_key(&id);
    if known && state.accounts.delete_key(&account.username, &id, also_the_last).await? {
        return Ok(no_content());
    }
    // Another request may have deleted one of two meanwhile.
    if known && host::account(&state.accounts, request).await?.keys.contains_key(&id) {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "it is the account's last key, without which Pruvan is shut out: POST …/keys makes another to be typed into Pruvan first, or ?last=true deletes it all the same",
        ));
    }
    Err(Problem::not_found("the account has no key of this keyId: GET /accounts/{username} lists them"))
}

async fn push_queue(state: &AccountsApi, request: &Request) -> Result<Response<Body>, Problem> {
    let account = host::account(&state.accounts, request).await?;
    let limit = WAITING.asked_for(request)?;
    let (rows, next) = state.queue.page(&account.username, host::read_cursor(request)?.as_deref(), limit).await?;
    let now = state.clock.now_ms();
    let rows: Vec<Value> = rows.iter().map(|row| show::waiting(&account, row, now, state.waits)).collect();
    let mut shown = blocked::shown(blocked::queue(&account, now, state.waits));
    shown.insert("pushKey".to_owned(), show::push_key(&account));
    shown.insert("backoff".to_owned(), Value::from(show::backoff(&account, now)));
    shown.insert("waiting".to_owned(), Value::from(rows));
    shown.insert("next".to_owned(), Value::from(next.map(|next| host::cursor(request, &next))));
    Ok(to_host(StatusCode::OK, &Value::Object(shown)))
}

/// One order of the queue goes out next, with a fresh set of attempts.
async fn retry(state: &AccountsApi, request: &Request) -> Result<Response<Body>, Problem> {
    let account = host::account(&state.accounts, request).await?;
    let number = host::path_parameter(request, "workOrderNumber")?;
    let now = state.clock.now_ms();
    state.accounts.wake(&account.username, now).await?;
    // No order has such a number, and no table takes it.
    let possible = could_be_number(&number);
    if !possible || !state.queue.retry(&account.username, &number, now).await? {
        return Err(Problem::not_found(format!(
            "work order {number:?} is not in the push queue: there is none, or Pruvan has it as it is; POST …/orders/{{workOrderNumber}}/push sends one again"
        )));
    }
    let row = state.queue.get(&account.username, &number).await?;
    Ok(to_host(StatusCode::ACCEPTED, &json!(row.map(|row| show::waiting(&account, &row, now, state.waits)))))
}

/// All parked orders go out next, at most [`RETRIED`] a request.
async fn retry_parked(state: &AccountsApi, request: &Request) -> Result<Response<Body>, Problem> {
    let account = host::account(&state.accounts, request).await?;
    let now = state.clock.now_ms();
    state.accounts.wake(&account.username, now).await?;
    let parked = state.queue.parked(&account.username, RETRIED + 1).await?;
    let more = parked.len() > RETRIED;
    let retries = parked.into_iter().take(RETRIED).map(|row| {
        let username = &account.username;
        async move { state.queue.retry(username, &row.work_order_number, now).await }
    });
    let retried: Vec<bool> = futures_util::stream::iter(retries).buffer_unordered(32).try_collect().await?;
    let retried = retried.into_iter().filter(|retried| *retried).count();
    Ok(to_host(StatusCode::ACCEPTED, &json!({ "retried": retried, "more": more })))
}
