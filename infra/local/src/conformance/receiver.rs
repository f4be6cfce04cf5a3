//! Takes pushes, as Pruvan does, and answers the first of them as Pruvan does on a bad day.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Method, Response, StatusCode};
use bridge::secrets::hex;
use bridge::time::Random;
use pruvan::lenient::text;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::spec::pushed_orders;
use crate::stores::listen;
use crate::system::StartError;

/// How a push is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// HTTP status 500.
    Broken,
    /// A page for people, with status 200.
    Maintenance,
    /// The connection breaks within the answer.
    CutOff,
}

impl Weather {
    /// In the order in which they come.
    const ALL: [Weather; 3] = [Weather::Broken, Weather::Maintenance, Weather::CutOff];

    pub fn told(self) -> &'static str {
        match self {
            Weather::Broken => "HTTP 500",
            Weather::Maintenance => "a maintenance page",
            Weather::CutOff => "an answer that broke off",
        }
    }
}

/// A push that came.
#[derive(Debug, Clone)]
pub struct Push {
    pub at: Instant,
    /// How it was answered, unless as it should be.
    pub weather: Option<Weather>,
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

/// The server.
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
    weather: VecDeque<Weather>,
    pushes: Vec<Push>,
    /// Pushes to the key that came with a wrong API key.
    to_bait: usize,
}

impl Receiver {
    /// Starts it on 127.0.0.1; push keys begin with `public`, if it is given.
    pub async fn start(port: u16, public: Option<&str>) -> Result<Receiver, StartError> {
        let (listener, url) = listen(port).await?;
        let base = public.map_or(url, |public| public.trim_end_matches('/').to_owned());
        let made = || hex(&Random::system().bytes::<24>());
        let (secret, bait) = (made(), made());
        let shared = Arc::new(Mutex::new(Shared {
            secret: secret.clone(),
            bait: bait.clone(),
            weather: Weather::ALL.into(),
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

    /// A secret URL.
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
) -> Response<Body> {
    let mut shared = lock(&shared);
    if key.api_key != shared.secret {
        shared.to_bait += usize::from(key.api_key == shared.bait);
        return answer(StatusCode::OK, json!({ "response": false, "error": "invalid clientCode" }).to_string());
    }
    if method == Method::GET {
        // A wish that Pruvan imports.
        return answer(StatusCode::OK, json!({ "response": true, "error": "success" }).to_string());
    }
    let weather = shared.weather.pop_front();
    let content_type = headers.get("content-type").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let orders = pushed_orders(content_type.as_deref(), &body);
    let taken =
        json!({ "response": { "created": 0, "updated": orders.len(), "deleted": 0 }, "error": null }).to_string();
    shared.pushes.push(Push { at: Instant::now(), weather, content_type, body, orders });
    match weather {
        None => answer(StatusCode::OK, taken),
        Some(Weather::Broken) => answer(StatusCode::INTERNAL_SERVER_ERROR, String::new()),
        Some(Weather::Maintenance) => answer(StatusCode::OK, "<html>Pruvan is down for maintenance</html>".to_owned()),
        Some(Weather::CutOff) => {
            let broken = Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
            Response::new(Body::from_stream(futures_util::stream::iter([Ok("{"), broken])))
        }
    }
}

/// Pruvan says `text/html` of its JSON, too.
fn answer(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", axum::http::HeaderValue::from_static("text/html"));
    response
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
