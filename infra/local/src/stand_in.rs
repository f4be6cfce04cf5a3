//! A stand-in for Pruvan: a server that takes pushes, and a client that calls the four web services as Pruvan does.
//!
//! What it holds it holds by the specification's rules ([`crate::projects`]); its people edit it, and calls can take effect late.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use bridge::secrets::hex;
use bridge::time::{Clock, Random};
use pruvan::dates::WrittenDate;
use pruvan::integration::IntegrationType;
use serde_json::{Map, Value, json};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::projects::Projects;
use crate::stores::listen;
use crate::system::StartError;

/// The server, and what it holds.
pub struct StandIn {
    /// Base URL; push keys are below it.
    pub url: String,
    state: Arc<Mutex<World>>,
    server: JoinHandle<()>,
}

struct World {
    clock: Clock,
    /// How long Pruvan takes for a push.
    delay: Duration,
    /// By the secret in the push key.
    integrations: BTreeMap<String, Held>,
    weather: VecDeque<Weather>,
    /// By name, what their links give: one after another, the last for ever.
    videos: BTreeMap<String, VecDeque<VideoReply>>,
}

/// What a video's link gives.
#[derive(Debug, Clone)]
pub enum VideoReply {
    /// The video.
    Bytes(Vec<u8>),
    /// A video of so many bytes, made as it is sent.
    Made(u64),
    /// The beginning of a video, and then the connection breaks.
    Cut(Vec<u8>),
    /// Another link.
    Redirect(String),
    /// This status and a page.
    Status(u16),
}

/// What an MP4 begins with.
pub const MP4_HEAD: &[u8] = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom";

/// One integration.
#[derive(Default)]
struct Held {
    dead: bool,
    projects: Projects,
    pushes: Vec<Value>,
    weather: VecDeque<Weather>,
    /// What calls that were cut off will do, and when, in milliseconds.
    late: Vec<(i64, Vec<Value>)>,
}

/// How the next push is answered, instead of as it should be.
#[derive(Debug, Clone)]
pub enum Weather {
    /// This status and body, and nothing is done.
    Answer(u16, String),
    /// HTTP status 503 with this `Retry-After`, and nothing is done.
    Later(String),
    /// It takes effect, and is answered when this is notified.
    Held(Arc<Notify>),
    /// The connection breaks before the answer; it takes effect after so many milliseconds, or never.
    Lost(Option<i64>),
    /// It takes effect, and is answered as if it hadn't.
    Uncounted,
    /// Answered as it should be.
    Fine,
}

/// An integration as its Pruvan user has set it up.
#[derive(Clone)]
pub struct Integration {
    /// What the user typed as the web service URL.
    pub web_service_url: String,
    /// What the user typed as the extension: empty or such as `html`.
    pub extension: String,
    /// The user name at the host.
    pub username: String,
    /// The API key.
    pub token: String,
    /// Pruvan's client code, which stands before the numbers that it shows.
    pub client_code: String,
    /// The secret in the push key.
    secret: String,
    stand_in_url: String,
    state: Arc<Mutex<World>>,
    client: reqwest::Client,
}

/// One call of a web service.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The URL called.
    pub url: String,
    /// The payload, with its secrets masked.
    pub payload: Value,
    /// HTTP status.
    pub status: u16,
    /// The body as it came.
    pub body: String,
}

impl Exchange {
    /// The body as JSON; null if it isn't.
    pub fn reply(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// A call that got no answer.
#[derive(Debug, thiserror::Error)]
#[error("{url} could not be called: {reason}")]
pub struct CallError {
    url: String,
    reason: String,
}

impl StandIn {
    /// Starts the server on a free port of 127.0.0.1.
    pub async fn start() -> Result<StandIn, StartError> {
        StandIn::with_clock(Clock::system()).await
    }

    /// The same, by this clock.
    pub async fn with_clock(clock: Clock) -> Result<StandIn, StartError> {
        let (listener, url) = listen(0).await?;
        let (integrations, weather, videos) = (BTreeMap::new(), VecDeque::new(), BTreeMap::new());
        let state = Arc::new(Mutex::new(World { clock, delay: Duration::ZERO, integrations, weather, videos }));
        let app = axum::Router::new()
            .route("/api/", axum::routing::post(push).get(refresh))
            .route("/video/{name}", axum::routing::get(video))
            .layer(axum::extract::DefaultBodyLimit::max(64 * 1024 * 1024))
            .with_state(state.clone());
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!(%error, "stand_in.stopped");
            }
        });
        Ok(StandIn { url, state, server })
    }

    /// Sets an integration up, as its user does in Pruvan. Each has a push key of its own.
    pub fn integrate(
        &self,
        web_service_url: &str,
        extension: &str,
        username: &str,
        token: &str,
        kind: IntegrationType,
        auto_admin: bool,
    ) -> Integration {
        let secret = hex(&Random::system().bytes::<24>());
        let held = Held { projects: Projects { kind, auto_admin, ..Projects::default() }, ..Held::default() };
        lock(&self.state).integrations.insert(secret.clone(), held);
        Integration {
            web_service_url: web_service_url.to_owned(),
            extension: extension.to_owned(),
            username: username.to_owned(),
            token: token.to_owned(),
            client_code: "SMC".to_owned(),
            secret,
            stand_in_url: self.url.clone(),
            state: self.state.clone(),
            client: reqwest::Client::new(),
        }
    }

    /// Pushes to come get this, one after another.
    pub fn forecast(&self, weather: impl IntoIterator<Item = Weather>) {
        lock(&self.state).weather.extend(weather);
    }

    /// A link to a video that gives these replies, one after another and the last for ever.
    pub fn video(&self, name: &str, replies: impl IntoIterator<Item = VideoReply>) -> String {
        lock(&self.state).videos.insert(name.to_owned(), replies.into_iter().collect());
        format!("{}/video/{name}", self.url)
    }

    /// Pushes are answered after this long from now on.
    pub fn answer_after(&self, delay: Duration) {
        lock(&self.state).delay = delay;
    }

    /// Forgets what was forecast.
    pub fn clear_sky(&self) {
        lock(&self.state).weather.clear();
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Integration {
    /// The push key: a secret URL.
    pub fn push_key(&self) -> String {
        format!("{}/api/?apiKey={}", self.stand_in_url, self.secret)
    }

    /// The Validate button.
    pub async fn validate(&self) -> Result<Exchange, CallError> {
        self.call("validate", json!({ "pushkey": self.push_key() }), None).await
    }

    /// The Import button (`since` in UNIX seconds), or Full Refresh without it. What comes is taken as Pruvan takes it.
    pub async fn import(&self, since: Option<i64>) -> Result<Exchange, CallError> {
        let exchange = self.call("getWorkOrders", json!({ "timestamp": since }), None).await?;
        if let Some(Value::Array(orders)) = exchange.reply().get("workOrders") {
            self.held(|held| drop(held.projects.take(orders)));
        }
        Ok(exchange)
    }

    /// Publishes an item.
    pub async fn publish(&self, fields: Value, file: Option<(&str, &[u8])>) -> Result<Exchange, CallError> {
        self.call("uploadPictures", fields, file).await
    }

    /// Pruvan's people or crews change a project's status, and Pruvan reports it. A field status of `complete` makes the office
    /// status so.
    pub async fn change_status(&self, number: &str, status: &str, field_status: &str) -> Result<Exchange, CallError> {
        self.edit(number, json!({ "status": status, "fieldStatus": field_status })).await
    }

    /// Pruvan's people or crews change fields of a project (`status`, `fieldStatus`, `dueDate`), and Pruvan reports how it stands.
    pub async fn edit(&self, number: &str, fields: Value) -> Result<Exchange, CallError> {
        let report = self.held(|held| {
            let project = held.projects.by_number.entry(number.to_owned()).or_default();
            if let Value::Object(fields) = fields {
                project.extend(fields);
            }
            let field = |name: &str| project.get(name).cloned().unwrap_or_default();
            let due = WrittenDate::parse(&field("dueDate")).ok().and_then(|date| date.instant().ok());
            json!({
                "workOrderNumber": format!("{}::{number}", self.client_code),
                "clientStatus": field("clientStatus"),
                "status": field("status"),
                "fieldStatus": field("fieldStatus"),
                "dueDate": due.map(|at| at.as_second()),
            })
        });
        self.call("status", json!({ "workOrders": [report] }), None).await
    }

    /// What Pruvan holds of a work order.
    pub fn project(&self, number: &str) -> Option<Map<String, Value>> {
        self.held(|held| held.projects.by_number.get(number).cloned())
    }

    /// How many work orders Pruvan holds.
    pub fn projects(&self) -> usize {
        self.held(|held| held.projects.by_number.len())
    }

    /// The projects, and the rules by which they are held, to look at and to change.
    pub fn rules<T>(&self, of: impl FnOnce(&mut Projects) -> T) -> T {
        self.held(|held| of(&mut held.projects))
    }

    /// Pushes to come with this key get this, one after another.
    pub fn forecast(&self, weather: impl IntoIterator<Item = Weather>) {
        self.held(|held| held.weather.extend(weather));
    }

    /// Forgets what was forecast.
    pub fn clear_sky(&self) {
        self.held(|held| held.weather.clear());
    }

    /// How many calls that were cut off are still to take effect.
    pub fn late_effects(&self) -> usize {
        self.held(|held| held.late.len())
    }

    /// The pushes that came, as JSON, oldest first.
    pub fn pushes(&self) -> Vec<Value> {
        self.held(|held| held.pushes.clone())
    }

    /// The integration is deleted in Pruvan, and its push key with it.
    pub fn kill_push_key(&self) {
        self.held(|held| held.dead = true);
    }

    fn held<T>(&self, of: impl FnOnce(&mut Held) -> T) -> T {
        let mut world = lock(&self.state);
        let now = world.clock.now_ms();
        let held = world.integrations.entry(self.secret.clone()).or_default();
        held.catch_up(now);
        of(held)
    }

    /// Calls a web service with these fields beside the credentials.
    pub async fn call(&self, service: &str, fields: Value, file: Option<(&str, &[u8])>) -> Result<Exchange, CallError> {
        let dot = if self.extension.is_empty() { "" } else { "." };
        let url = format!("{}/{service}{dot}{}", self.web_service_url, self.extension);
        let mut payload = json!({
            "username": self.username, "password": "d28069c84398483874d2cba15f10ffdd996ec6f5", "token": self.token,
        });
        if let (Value::Object(payload), Value::Object(fields)) = (&mut payload, fields) {
            payload.extend(fields);
        }
        let (content_type, body) = multipart(&payload.to_string(), file);
        for secret in ["password", "token", "pushkey"] {
            if payload.get(secret).is_some() {
                payload[secret] = Value::from("***");
            }
        }
        let failed = |error: reqwest::Error| CallError { url: url.clone(), reason: error.without_url().to_string() };
        let sent =
            self.client.post(&url).header("content-type", content_type).timeout(Duration::from_secs(60)).body(body);
        let reply = sent.send().await.map_err(failed)?;
        let status = reply.status().as_u16();
        let body = reply.text().await.map_err(failed)?;
        Ok(Exchange { url, payload, status, body })
    }
}

/// A body as Pruvan sends it: multipart, under the specification's own spelling of the header.
pub fn multipart(payload: &str, file: Option<(&str, &[u8])>) -> (String, Vec<u8>) {
    let boundary = format!("----Pruvan{}", hex(&Random::system().bytes::<12>()));
    let mut body =
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"payload\"\r\n\r\n{payload}\r\n").into_bytes();
    if let Some((name, bytes)) = file {
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: application/octet-stream\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (format!("Mulipart/Form-Data; boundary={boundary}"), body)
}

impl Held {
    /// What calls that were cut off still do, up to `now`.
    fn catch_up(&mut self, now: i64) {
        let (over, still): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.late).into_iter().partition(|(at, _)| *at <= now);
        self.late = still;
        for (at, orders) in over {
            self.projects.push(&orders, at);
        }
    }
}

type Answer = Result<axum::response::Response, StatusCode>;

async fn push(
    State(state): State<Arc<Mutex<World>>>,
    Query(query): Query<BTreeMap<String, String>>,
    body: axum::body::Bytes,
) -> Answer {
    let orders =
        form_urlencoded::parse(&body).find(|(name, _)| name == "workOrders").map(|(_, value)| value.into_owned());
    let request: Value = orders.and_then(|orders| serde_json::from_str(&orders).ok()).unwrap_or_default();
    let delay = lock(&state).delay;
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let (weather, reply) = {
        let mut world = lock(&state);
        let now = world.clock.now_ms();
        let general = world.weather.pop_front();
        let held = query.get("apiKey").and_then(|secret| world.integrations.get_mut(secret)).filter(|held| !held.dead);
        let Some(held) = held else {
            return Ok(match general {
                Some(Weather::Answer(status, body)) => answer(status, body),
                _ => answer(200, json!({ "response": false, "error": "invalid clientCode" }).to_string()),
            });
        };
        held.catch_up(now);
        let weather = general.or_else(|| held.weather.pop_front()).unwrap_or(Weather::Fine);
        if let Weather::Answer(status, body) = weather {
            return Ok(answer(status, body));
        }
        if let Weather::Later(wait) = weather {
            let mut busy = answer(503, String::new());
            busy.headers_mut().extend(wait.parse().ok().map(|wait| (axum::http::header::RETRY_AFTER, wait)));
            return Ok(busy);
        }
        let Some(Value::Array(orders)) = request.get("workOrders").cloned() else {
            return Ok(answer(200, json!({ "response": true, "error": "success" }).to_string()));
        };
        held.pushes.push(request);
        if let Some((status, body)) = held.projects.breaks(&orders) {
            held.projects.brought.push((now, orders.len()));
            return Ok(answer(status, body));
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
            return Ok(answer(200, r#"{"response":{"created":0,"updated":0,"deleted":0},"error":null}"#.to_owned()));
        }
        Weather::Held(released) => released.notified().await,
        Weather::Lost(_) => {
            let broken = Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
            let body = axum::body::Body::from_stream(futures_util::stream::iter([Ok("{"), broken]));
            return Ok(axum::response::Response::new(body));
        }
        _ => {}
    }
    Ok(answer(200, reply.to_string()))
}

fn answer(status: u16, body: String) -> axum::response::Response {
    let mut response = axum::response::Response::new(axum::body::Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    response
}

async fn video(
    State(state): State<Arc<Mutex<World>>>,
    axum::extract::Path(name): axum::extract::Path<String>,
) -> axum::response::Response {
    let reply = {
        let mut world = lock(&state);
        let replies = world.videos.entry(name).or_default();
        if replies.len() > 1 { replies.pop_front() } else { replies.front().cloned() }
    };
    let (mut status, mut location, mut length) = (StatusCode::OK, None, None);
    let body = match reply {
        Some(VideoReply::Bytes(bytes)) => axum::body::Body::from(bytes),
        Some(VideoReply::Made(size)) => {
            length = Some(size);
            axum::body::Body::from_stream(made(size))
        }
        Some(VideoReply::Cut(bytes)) => {
            length = Some(bytes.len() as u64 + 1);
            let cut = Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
            axum::body::Body::from_stream(futures_util::stream::iter([Ok(bytes), cut]))
        }
        Some(VideoReply::Redirect(to)) => {
            (status, location) = (StatusCode::FOUND, Some(to));
            axum::body::Body::empty()
        }
        Some(VideoReply::Status(code)) => {
            status = StatusCode::from_u16(code).unwrap_or(StatusCode::NOT_FOUND);
            axum::body::Body::from("<html>the link has expired</html>")
        }
        None => {
            status = StatusCode::NOT_FOUND;
            axum::body::Body::empty()
        }
    };
    let mut response = axum::response::Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if let Some(location) = location.and_then(|location| location.parse().ok()) {
        headers.insert("location", location);
    }
    if let Some(length) = length {
        headers.insert("content-length", length.into());
    }
    response
}

/// So many bytes that begin like an MP4.
fn made(size: u64) -> impl futures_util::Stream<Item = std::io::Result<axum::body::Bytes>> {
    const CHUNK: usize = 64 * 1024;
    let zeros = axum::body::Bytes::from_static(&[0; CHUNK]);
    futures_util::stream::unfold(0, move |sent: u64| {
        let zeros = zeros.clone();
        async move {
            let left = usize::try_from(size - sent).unwrap_or(usize::MAX).min(CHUNK);
            let chunk = if sent == 0 { MP4_HEAD[..left.min(MP4_HEAD.len())].into() } else { zeros.slice(..left) };
            (left > 0).then(|| (Ok(chunk.clone()), sent + chunk.len() as u64))
        }
    })
}

async fn refresh() -> String {
    json!({ "response": true, "error": "success" }).to_string()
}

fn lock(state: &Mutex<World>) -> MutexGuard<'_, World> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
