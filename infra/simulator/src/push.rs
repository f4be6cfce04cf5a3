//! Pruvan's side of the push key: what hosts POST is taken, a GET asks for an import.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use crate::integration::Integration;
use crate::spec;
use crate::state::{self, lock};
use crate::weather::Weather;
use crate::wire::{Direction, Exchange, Sent, masked};

/// How long a call that gets no answer is held, unless its caller gives up before that.
const HELD: Duration = Duration::from_secs(300);

/// What becomes of a call.
enum CallEnd {
    Answered(Response, u16, String),
    /// The connection is cut, so that the caller gets no answer.
    Broken,
    /// The call is held without an answer until its caller gives up.
    Silent,
}

pub(crate) async fn push(
    state: State<Arc<Mutex<state::State>>>,
    query: Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    // A caller that hangs up stops nothing: what has begun takes its effect, and is on the wire.
    let done = tokio::spawn(take(state, query, headers, body)).await;
    done.unwrap_or_else(|_| answer(500, String::new()))
}

async fn take(
    State(state): State<Arc<Mutex<state::State>>>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let secret = query.get("apiKey").cloned().unwrap_or_default();
    let (at, since) = (lock(&state).now_ms(), Instant::now());
    let mut exchange = call(&state, "push", &secret, at);
    exchange.method = "POST";
    exchange.content_type = content_type.split(';').next().unwrap_or_default().to_owned();
    // Anybody can send anything here: nothing is made of it, or kept, if it isn't for somebody.
    let known = lock(&state).integrations.contains_key(&secret);
    let orders = if known { spec::pushed(Some(content_type), &body).unwrap_or_default() } else { String::new() };
    let request: Value = serde_json::from_str(&orders).unwrap_or_default();
    exchange.payload = if request.is_null() { orders.clone() } else { masked(&request).to_string() };
    exchange.sent.payload = orders.into();
    content_type.clone_into(&mut exchange.sent.content_type);
    exchange.sent.body = if known { body } else { Bytes::new() };
    let delay = lock(&state).delay;
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let wire = lock(&state).wire.clone();
    let outcome = answer_push(&state, &secret, request).await;
    exchange.took_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
    match outcome {
        CallEnd::Answered(response, status, body) => {
            (exchange.status, exchange.body) = (status, body);
            wire.put(exchange);
            response
        }
        CallEnd::Broken => {
            exchange.error = Some("the connection was cut before the answer".to_owned());
            wire.put(exchange);
            cut_off()
        }
        CallEnd::Silent => {
            exchange.error = Some("no answer is given".to_owned());
            wire.put(exchange);
            tokio::time::sleep(HELD).await;
            answer(504, String::new())
        }
    }
}

/// The beginning of an exchange about this key.
fn call(state: &Mutex<state::State>, service: &str, secret: &str, at: i64) -> Exchange {
    let pruvan = lock(state);
    let connection = pruvan.integrations.get(secret).and_then(|held| held.connection.as_ref());
    let key = format!("{}/api/?apiKey=", pruvan.url);
    Exchange {
        id: 0,
        at,
        took_ms: 0,
        direction: Direction::ToPruvan,
        username: connection.map_or_else(|| "(unknown push key)".to_owned(), |connection| connection.username.clone()),
        service: service.to_owned(),
        method: "GET",
        url: format!("{key}***"),
        content_type: String::new(),
        payload: String::new(),
        file: None,
        status: 0,
        reply_type: "text/html".to_owned(),
        body: String::new(),
        error: None,
        judged: OnceLock::new(),
        sent: Sent { url: format!("{key}{secret}").into(), ..Sent::default() },
    }
}

async fn answer_push(state: &Mutex<state::State>, secret: &str, request: Value) -> CallEnd {
    let (weather, reply) = {
        let mut pruvan = lock(state);
        let now = pruvan.now_ms();
        let (general, remembers) = (pruvan.weather.pop_front(), pruvan.remembers);
        let held = pruvan.integrations.get_mut(secret).filter(|held| !held.dead);
        let Some(held) = held else {
            return match general {
                Some(Weather::Answer(status, body)) => answered(status, body),
                _ => answered(200, invalid_key()),
            };
        };
        held.catch_up(now);
        let weather = general.or_else(|| held.weather.pop_front()).unwrap_or_else(|| held.climate.clone());
        match weather {
            Weather::Answer(status, body) => return answered(status, body),
            Weather::Silent => return CallEnd::Silent,
            Weather::Later(wait) => {
                let mut busy = answer(503, String::new());
                busy.headers_mut().extend(wait.parse().ok().map(|wait| (header::RETRY_AFTER, wait)));
                return CallEnd::Answered(busy, 503, String::new());
            }
            _ => {}
        }
        let Some(Value::Array(orders)) = request.get("workOrders").cloned() else {
            return answered(200, json!({ "response": true, "error": "success" }).to_string());
        };
        if remembers {
            held.pushes.push(request);
        }
        if let Some((status, body)) = held.projects.breaks(&orders) {
            held.projects.brought.push((now, orders.len()));
            return answered(status, body);
        }
        let reply = match weather {
            Weather::Lost(None) => Value::Null,
            Weather::Lost(Some(after)) if after > 0 => {
                held.late.push((now + after, orders));
                Value::Null
            }
            _ => held.projects.push(&orders, now),
        };
        (weather, reply)
    };
    match weather {
        Weather::Uncounted => {
            return answered(200, r#"{"response":{"created":0,"updated":0,"deleted":0},"error":null}"#.to_owned());
        }
        Weather::Held(released) => released.notified().await,
        Weather::Slow(wait) => tokio::time::sleep(wait).await,
        Weather::Lost(_) => return CallEnd::Broken,
        _ => {}
    }
    answered(200, reply.to_string())
}

fn invalid_key() -> String {
    json!({ "response": false, "error": "invalid clientCode" }).to_string()
}

fn answered(status: u16, body: String) -> CallEnd {
    CallEnd::Answered(answer(status, body.clone()), status, body)
}

/// An answer as Pruvan gives it: it says `text/html` of its JSON, too.
pub fn answer(status: u16, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/html"));
    response
}

/// An answer whose connection breaks in its middle.
pub fn cut_off() -> Response {
    let broken = Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
    Response::new(Body::from_stream(futures_util::stream::iter([Ok("{"), broken])))
}

/// A GET of a push key: Pruvan imports what has changed, after it has answered.
pub(crate) async fn refresh(
    State(state): State<Arc<Mutex<state::State>>>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let secret = query.get("apiKey").cloned().unwrap_or_default();
    let (at, integration) = {
        let pruvan = lock(&state);
        let held = pruvan.integrations.get(&secret).filter(|held| !held.dead);
        let connection = held.and_then(|held| held.connection.clone());
        let url = pruvan.url.clone();
        (pruvan.now_ms(), connection.map(|connection| Integration::new(connection, &url, state.clone())))
    };
    let body = match &integration {
        Some(_) => json!({ "response": true, "error": "success" }).to_string(),
        None => invalid_key(),
    };
    let mut exchange = call(&state, "refresh", &secret, at);
    (exchange.status, exchange.body) = (200, body.clone());
    let wire = lock(&state).wire.clone();
    wire.put(exchange);
    if let Some(integration) = integration {
        tokio::spawn(async move {
            // Whether it succeeds is on the wire.
            let _ = integration.import_changes().await;
        });
    }
    answer(200, body)
}
