//! Orders in: each is checked by the specification's tables, and written with its push in one transaction.

use std::collections::BTreeSet;
use std::time::Duration;

use bridge::accounts::{Account, AccountSettings};
use bridge::host;
use bridge::http::{Problem, no_content, to_host};
use bridge::orders::{Instructions, Intent, Outcome};
use bridge::time::display;
use futures_util::StreamExt as _;
use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use pruvan::lenient;
use pruvan::work_order::{DIRECTIVES, Remark, WorkOrder, merge_patch, number_fault};
use serde_json::{Map, Value, json};

use crate::{OrdersApi, no_such_order, number, show};

/// Orders of a list written at a time.
const AT_ONCE: usize = 16;

/// A list that takes longer is answered with what was done, well within the gateway's 29 seconds.
const STOP_AFTER: Duration = Duration::from_secs(20);

/// `PUT`: the whole order. Fields that are left out are taken back.
pub async fn put(state: &OrdersApi, request: &Request) -> Result<Response<Body>, Problem> {
    let account = host::account(&state.accounts, request).await?;
    let (outcome, reply) = put_one(state, &account, &addressed(request)?, host::json_object(request)?).await?;
    Ok(to_host(if outcome == Outcome::Created { StatusCode::CREATED } else { StatusCode::OK }, &reply))
}

async fn put_one(
    state: &OrdersApi,
    account: &Account,
    number: &str,
    mut body: Map<String, Value>,
) -> Result<(Outcome, Value), Problem> {
    let instructions = take_instructions(&mut body)?;
    map_status(&account.settings, &mut body);
    default_photo_size(state, &mut body);
    let (order, warnings) = WorkOrder::parse(number, body).map_err(Problem::fields)?;
    let make = |_: Option<&_>| Ok::<_, Problem>(order.clone());
    let (outcome, order) =
        state.orders.change(account, number, Intent::State, instructions, state.clock.now_ms(), make).await?;
    tracing::info!(account = %account.username, order = %number, ?outcome, "order.put");
    Ok((outcome, result(number, outcome, order.changed_at, &warnings)))
}

/// The deployment's `photo_size`, for an order that gives none: photos above Lambda's limit don't arrive.
fn default_photo_size(state: &OrdersApi, order: &mut Map<String, Value>) {
    let Some(size) = &state.photo_size else { return };
    let options = order.entry("options").or_insert(Value::Null);
    if options.is_null() {
        *options = Value::Object(Map::new());
    }
    if let Value::Object(options) = options {
        options.entry("photo_size").or_insert_with(|| Value::from(size.as_str()));
    }
}

/// `PATCH`: a JSON merge patch of the order as the host gave it. `services`, when given, replaces all.
pub async fn patch(state: &OrdersApi, request: &Request) -> Result<Response<Body>, Problem> {
    let account = host::account(&state.accounts, request).await?;
    let number = addressed(request)?;
    let mut patch = host::json_object(request)?;
    let instructions = take_instructions(&mut patch)?;
    if patch.get("clientStatus").is_some_and(|status| !status.is_null()) {
        map_status(&account.settings, &mut patch);
    }
    let set: Vec<String> =
        DIRECTIVES.iter().filter(|name| patch.contains_key(**name)).map(|name| (*name).to_owned()).collect();
    let warnings = std::sync::Mutex::new(Vec::new());
    let make = |known: Option<&bridge::orders::Order>| {
        let mut body = known.ok_or_else(|| no_such_order(&number))?.as_given()?;
        merge_patch(&mut body, patch.clone());
        default_photo_size(state, &mut body);
        let (order, remarks) = WorkOrder::parse(&number, body).map_err(Problem::fields)?;
        if let Ok(mut warnings) = warnings.lock() {
            *warnings = remarks;
        }
        Ok::<_, Problem>(order)
    };
    let (outcome, order) =
        state.orders.change(&account, &number, Intent::Set(&set), instructions, state.clock.now_ms(), make).await?;
    let warnings = warnings.into_inner().unwrap_or_default();
    tracing::info!(account = %account.username, order = %number, ?outcome, "order.patched");
    Ok(to_host(StatusCode::OK, &result(&number, outcome, order.changed_at, &warnings)))
}

/// `POST`: a list of whole orders, each judged on its own. It can be repeated: what is there already is unchanged.
pub async fn post(state: &OrdersApi, request: &Request) -> Result<Response<Body>, Problem> {
    let account = host::account(&state.accounts, request).await?;
    let Value::Array(bodies) = host::json(request)? else {
        return Err(Problem::bad_request("the body must be a JSON array of work orders"));
    };
    let stop_at = state.clock.now_ms() + i64::try_from(STOP_AFTER.as_millis()).unwrap_or(i64::MAX);
    let mut numbers = BTreeSet::new();
    let checked: Vec<_> = bodies.into_iter().map(|body| check_in_list(body, &mut numbers)).collect();
    let results: Vec<Value> = futures_util::stream::iter(checked)
        .map(|(number, body)| {
            let account = &account;
            async move {
                if state.clock.now_ms() >= stop_at {
                    return json!({ "workOrderNumber": number, "result": "notAttempted" });
                }
                let done = match body {
                    Ok(body) => put_one(state, account, &number, body).await.map(|(_, reply)| reply),
                    Err(problem) => Err(problem),
                };
                done.unwrap_or_else(|problem| {
                    json!({
                        "workOrderNumber": number, "result": "refused", "detail": problem.detail(), "errors": problem.errors(),
                    })
                })
            }
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut counts = Map::new();
    for name in ["created", "changed", "unchanged", "refused", "notAttempted"] {
        let count = results.iter().filter(|result| result["result"] == name).count();
        counts.insert(name.to_owned(), Value::from(count));
    }
    counts.insert("results".to_owned(), Value::from(results));
    Ok(to_host(StatusCode::OK, &Value::Object(counts)))
}

fn check_in_list(body: Value, numbers: &mut BTreeSet<String>) -> (String, Result<Map<String, Value>, Problem>) {
    let Value::Object(body) = body else {
        return (String::new(), Err(Problem::bad_request("each element must be a JSON object: a work order")));
    };
    let number = lenient::text_field(&body, "workOrderNumber").unwrap_or_default();
    if let Some(fault) = number_fault(&number) {
        return (number, Err(number_problem(fault)));
    }
    if !numbers.insert(number.clone()) {
        return (number, Err(number_problem("is in the list twice: send each order once")));
    }
    (number, Ok(body))
}

/// `DELETE`: here, and by a push in Pruvan.
pub async fn delete(state: &OrdersApi, request: &Request) -> Result<Response<Body>, Problem> {
    let account = host::account(&state.accounts, request).await?;
    let number = number(request)?;
    if !state.orders.delete(&account, &number, state.clock.now_ms()).await? {
        return Err(no_such_order(&number));
    }
    tracing::info!(account = %account.username, order = %number, "order.deleted");
    Ok(no_content())
}

/// `POST …/push`: the order goes out next, whatever Pruvan has of it.
pub async fn push(state: &OrdersApi, request: &Request) -> Result<Response<Body>, Problem> {
    let account = host::account(&state.accounts, request).await?;
    let number = number(request)?;
    let order = state.orders.get(&account.username, &number).await?.ok_or_else(|| no_such_order(&number))?;
    let now = state.clock.now_ms();
    state.accounts.wake(&account.username, now).await?;
    state.queue.push_again(&account.username, &number, order.revision, now).await?;
    tracing::info!(account = %account.username, order = %number, "push.asked_for");
    let waiting = state.queue.get(&account.username, &number).await?;
    Ok(to_host(StatusCode::ACCEPTED, &show::whole(&account, &order, waiting.as_ref(), now)?))
}

fn addressed(request: &Request) -> Result<String, Problem> {
    let number = number(request)?;
    match number_fault(&number) {
        Some(fault) => Err(number_problem(fault)),
        None => Ok(number),
    }
}

fn number_problem(fault: &str) -> Problem {
    Problem::fields(vec![Remark { field: "/workOrderNumber".to_owned(), detail: fault.to_owned() }])
}

/// `force` and `replaceSurvey` are instructions for the next push and no fields of the order.
fn take_instructions(body: &mut Map<String, Value>) -> Result<Instructions, Problem> {
    let mut flag = |name: &str| match body.remove(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(flag),
        Some(_) => Err(Remark { field: format!("/{name}"), detail: "must be true or false".to_owned() }),
    };
    match (flag("force"), flag("replaceSurvey")) {
        (Ok(force), Ok(replace_survey)) => Ok(Instructions { force, replace_survey }),
        (force, replace_survey) => {
            Err(Problem::fields([force, replace_survey].into_iter().filter_map(Result::err).collect()))
        }
    }
}

/// A status of Pruvan's for the client's own, by the account's map, unless the order gives one itself.
fn map_status(settings: &AccountSettings, body: &mut Map<String, Value>) {
    if body.get("status").is_some_and(|status| !lenient::is_nothing(status)) {
        return;
    }
    let Some(client_status) = lenient::text_field(body, "clientStatus") else { return };
    let known = settings.status_map.iter().find(|(from, _)| from.trim().eq_ignore_ascii_case(&client_status));
    if let Some((_, status)) = known {
        body.insert("status".to_owned(), Value::from(status.as_str()));
    }
}

fn result(number: &str, outcome: Outcome, changed_at: i64, warnings: &[Remark]) -> Value {
    json!({ "workOrderNumber": number, "result": outcome, "changed": display(changed_at), "warnings": warnings })
}
