//! Takes pushes, as Pruvan does, and answers the first of them as Pruvan does on a bad day.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use host_client::web_services::random_hex;
use pruvan::lenient::text;
use serde::Deserialize;
use serde_json::{Value, json};
use simulator::Weather;
use simulator::listen::{ListenError, listen};
use simulator::push::{answer, cut_off};
use simulator::spec::pushed_orders;
use tokio::task::JoinHandle;

/// How the first pushes are answered, and how that is told.
fn first_answers() -> VecDeque<(Weather, &'static str)> {
    let maintenance = "<html>Pruvan is down for maintenance</html>".to_owned();
    VecDeque::from([
        (Weather::Answer(500, String::new()), "HTTP 500"),
        (Weather::Answer(200, maintenance), "a maintenance page"),
        (Weather::Lost(None), "an answer that broke off"),
    ])
}

/// A push that came.
#[derive(Debug, Clone)]
pub struct Push {
    pub at: Instant,
    /// How it was answered, in words, unless as it should be.
    pub failed: Option<&'static str>,
    pub content_type: Option<String>,
    pub body: Bytes,
    /// Those that can be read.
    pub orders: Vec<Value>,
}

impl Push {
    /// What is pushed of an order.
    pub fn of(&self, number: &str) -> Option<&Value> {
        self.orders.iter().find(|order| order.get("workOrderNumber").and_then(text).as_deref() == Some(number))
    }
}

/// A server that takes pushes and remembers them; it ends when this is dropped.
pub struct Receiver {
    base: String,
    secret: String,
    bait: String,
    shared: Arc<Mutex<Shared>>,
    server: JoinHandle<()>,
}

struct Shared {
    secret: String,
    bait: String,
    weather: VecDeque<(Weather, &'static str)>,
    pushes: Vec<Push>,
    /// Pushes to the key that came with a wrong API key.
    to_bait: usize,
}

impl Receiver {
    /// Starts it on 127.0.0.1; push keys begin with `public`, if it is given.
    pub async fn start(port: u16, public: Option<&str>) -> Result<Receiver, ListenError> {
        let (listener, url) = listen(port).await?;
        let base = public.map_or(url, |public| public.trim_end_matches('/').to_owned());
        let (secret, bait) = (random_hex::<24>(), random_hex::<24>());
        let shared = Arc::new(Mutex::new(Shared {
            secret: secret.clone(),
            bait: bait.clone(),
            weather: first_answers(),
            pushes: Vec::new(),
            to_bait: 0,
        }));
        let app = axum::Router::new()
            .fallback(push)
            .layer(axum::extract::DefaultBodyLimit::max(64 * 1024 * 1024))
            .with_state(shared.clone());
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!(%error, "receiver.stopped");
            }
        });
        Ok(Receiver { base, secret, bait, shared, server })
    }

    /// The push key that is handed over: a URL with a secret in its query.
    pub fn push_key(&self) -> String {
        format!("{}/api/?apiKey={}", self.base, self.secret)
    }

    /// One that comes from somebody who isn't let in.
    pub fn bait(&self) -> String {
        format!("{}/api/?apiKey={}", self.base, self.bait)
    }

    /// What is secret in the push key.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// What came, oldest first.
    pub fn pushes(&self) -> Vec<Push> {
        lock(&self.shared).pushes.clone()
    }

    /// How many pushes came.
    pub fn count(&self) -> usize {
        lock(&self.shared).pushes.len()
    }

    /// How many came to the bait.
    pub fn to_bait(&self) -> usize {
        lock(&self.shared).to_bait
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    #[serde(default)]
    api_key: String,
}

async fn push(
    State(shared): State<Arc<Mutex<Shared>>>,
    method: Method,
    Query(key): Query<Key>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut shared = lock(&shared);
    if key.api_key != shared.secret {
        shared.to_bait += usize::from(key.api_key == shared.bait);
        return answer(200, json!({ "response": false, "error": "invalid clientCode" }).to_string());
    }
    if method == Method::GET {
        // A directive that Pruvan imports.
        return answer(200, json!({ "response": true, "error": "success" }).to_string());
    }
    let (weather, failed) =
        shared.weather.pop_front().map_or((Weather::Fine, None), |(weather, told)| (weather, Some(told)));
    let content_type = headers.get("content-type").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let orders = pushed_orders(content_type.as_deref(), &body);
    let taken =
        json!({ "response": { "created": 0, "updated": orders.len(), "deleted": 0 }, "error": null }).to_string();
    shared.pushes.push(Push { at: Instant::now(), failed, content_type, body, orders });
    match weather {
        Weather::Answer(status, body) => answer(status, body),
        Weather::Lost(_) => cut_off(),
        _ => answer(200, taken),
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
