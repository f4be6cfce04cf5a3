//! One order in: checked by the specification's tables, and written with its push in one transaction.

use bridge::accounts::AccountSettings;
use bridge::change::{Changed, Instructions};
use bridge::host;
use bridge::http::{Problem, no_content, to_host};
use bridge::import::put_zeros_back;
use bridge::orders::{Effect, Intent, Order};
use bridge::time::display;
use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use pruvan::lenient;
use pruvan::work_order::{DIRECTIVES, Remark, WorkOrder, merge_patch, number_fault};
use serde_json::{Map, Value, json};

use crate::api::{OrdersApi, no_such_order, number};
use crate::condition::{Condition, with_etag};
use crate::show;

/// `PUT`: the whole order. Fields that are left out are removed here; Pruvan keeps what it has of them, which is told.
pub async fn put(state: &OrdersApi, request: &Request) -> Result<Response<Body>, Problem> {
    let account = host::account(&state.accounts, request).await?;
    let number = addressed(request)?;
    let condition = Condition::read(request)?;
    let mut body = host::json_object(request)?;
    let instructions = take_instructions(&mut body)?;
    let (order, warnings) = checked(state, &account.settings, &number, body)?;
    let make = |known: Option<&Order>| {
        condition.check(known)?;
        Ok::<_, Problem>(order.clone())
    };
    let changed =
        state.changes.change(&account, &number, Intent::State, instructions, state.clock.now_ms(), make).await?;
    let status = if changed.effect == Effect::Created { StatusCode::CREATED } else { StatusCode::OK };
    Ok(with_etag(to_host(status, &result(&changed, warnings)), &changed.order))
}

/// A whole order as it is given, with what the account and the deployment put into it.
pub fn checked(
    state: &OrdersApi,
    settings: &AccountSettings,
    number: &str,
    mut body: Map<String, Value>,
) -> Result<(WorkOrder, Vec<Remark>), Vec<Remark>> {
    map_status(settings, &mut body);
    default_photo_size(state, &mut body);
    let zeros = put_zeros_back(&mut body, false);
    let (order, mut warnings) = WorkOrder::parse(number, body)?;
    warnings.splice(0..0, zeros);
    Ok((order, warnings))
}

/// Whether the account has the order, as one that the host deleted.
async fn is_deleted(state: &OrdersApi, username: &str, number: &str) -> Result<bool, Problem> {
    Ok(state.orders.get(username, number).await?.is_some_and(|order| order.deleted_at.is_some()))
}

/// The deployment's `photo_size`, for an order that gives none: photos above Lambda's limit don't arrive.
fn default_photo_size(state: &OrdersApi, order: &mut Map<String, Value>) {
    let Some(size) = &state.photo_size else { return };
    let options = order.entry("options").or_insert(Value::Null);
    if lenient::is_nothing(options) {
        *options = Value::Object(Map::new());
    } else if let Some(given) = lenient::structure(options) {
        *options = given;
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
    if !patch.contains_key("status") {
        map_status(&account.settings, &mut patch);
    }
    let set: Vec<String> =
        DIRECTIVES.iter().filter(|name| patch.contains_key(**name)).map(|name| (*name).to_owned()).collect();
    let condition = Condition::read(request)?;
    let warnings = std::sync::Mutex::new(Vec::new());
    let make = |known: Option<&Order>| {
        condition.check(known)?;
        let mut body = known.ok_or_else(|| no_such_order(&number))?.as_given()?;
        merge_patch(&mut body, patch.clone());
        default_photo_size(state, &mut body);
        let zeros = put_zeros_back(&mut body, false);
        let (order, mut remarks) = WorkOrder::parse(&number, body).map_err(Problem::fields)?;
        remarks.splice(0..0, zeros);
        if let Ok(mut warnings) = warnings.lock() {
            *warnings = remarks;
        }
        Ok::<_, Problem>(order)
    };
    let changed = state.changes.change(&account, &number, Intent::Set(&set), instructions, state.clock.now_ms(), make);
    let changed = match changed.await {
        // Among those that are, a deleted one isn't found.
        Err(problem) if problem.is_not_found() && is_deleted(state, &account.username, &number).await? => {
            let detail = format!("work order {number:?} is deleted: PUT makes it anew");
            return Err(Problem::new(StatusCode::CONFLICT, detail));
        }
        changed => changed?,
    };
    let warnings = warnings.into_inner().unwrap_or_default();
    Ok(with_etag(to_host(StatusCode::OK, &result(&changed, warnings)), &changed.order))
}

/// `DELETE`: here, and by a push in Pruvan. Once more does no more, and is answered alike: the first reply may have
/// been lost.
pub async fn delete(state: &OrdersApi, request: &Request) -> Result<Response<Body>, Problem> {
    let account = host::account(&state.accounts, request).await?;
    let number = number(request)?;
    let condition = Condition::read(request)?;
    let check = |order: &Order| condition.check(Some(order));
    if !state.changes.delete(&account, &number, state.clock.now_ms(), check).await? {
        let deleted = state.orders.get(&account.username, &number).await?.is_some();
        if !deleted {
            condition.check(None)?;
            return Err(no_such_order(&number));
        }
    }
    Ok(no_content())
}

/// `POST …/push`: the order goes out next, with the directives that are still to be told.
pub async fn push(state: &OrdersApi, request: &Request) -> Result<Response<Body>, Problem> {
    let account = host::account(&state.accounts, request).await?;
    let number = number(request)?;
    let order = state.orders.get(&account.username, &number).await?.ok_or_else(|| no_such_order(&number))?;
    let now = state.clock.now_ms();
    state.accounts.wake(&account.username, now).await?;
    state.queue.push_again(&account.username, &number, order.revision, now).await?;
    let waiting = state.queue.get(&account.username, &number).await?;
    let shown = show::whole(&account, &order, waiting.as_ref(), now, state.waits)?;
    Ok(with_etag(to_host(StatusCode::ACCEPTED, &shown), &order))
}

fn addressed(request: &Request) -> Result<String, Problem> {
    let number = number(request)?;
    match number_fault(&number) {
        Some(fault) => Err(number_problem(fault)),
        None => Ok(number),
    }
}

pub fn number_problem(fault: &str) -> Problem {
    Problem::fields(vec![Remark::new("/workOrderNumber", fault)])
}

/// `force`, `replaceSurvey` and `keepServices` are instructions for the change and no fields of the order.
pub fn take_instructions(body: &mut Map<String, Value>) -> Result<Instructions, Problem> {
    let mut faults = Vec::new();
    let mut flag = |name: &str| match body.remove(name) {
        None | Some(Value::Null) => false,
        Some(Value::Bool(flag)) => flag,
        Some(_) => {
            faults.push(Remark::new(format!("/{name}"), "must be true or false"));
            false
        }
    };
    let (force, replace_survey, keep_services) = (flag("force"), flag("replaceSurvey"), flag("keepServices"));
    if faults.is_empty() {
        Ok(Instructions { force, replace_survey, keep_services })
    } else {
        Err(Problem::fields(faults))
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

/// What became of an order that was taken; warnings that its text gave come first.
pub fn result(changed: &Changed, mut warnings: Vec<Remark>) -> Value {
    warnings.extend(changed.remarks.iter().cloned());
    json!({
        "workOrderNumber": changed.order.work_order_number,
        "result": changed.effect,
        "changed": display(changed.order.changed_at),
        "warnings": warnings,
    })
}
