//! An integration: what its user can do in Pruvan, and what Pruvan holds for it.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use host_client::cause;
use host_client::web_services::{multipart, random_hex};
use pruvan::dates::WrittenDate;
use serde_json::{Map, Value, json};
use sha1::{Digest as _, Sha1};

use crate::projects::Projects;
use crate::state::{Connection, Held, Kept, State, lock};
use crate::video::VideoReply;
use crate::weather::Weather;
use crate::wire::{Direction, Exchange, Sent, masked, without};

/// The longest reply that is read: Lambda's limit for one that is streamed.
const MAX_REPLY: usize = 200_000_000;

/// How long Pruvan waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(60);

/// An integration as its Pruvan user has set it up.
#[derive(Clone)]
pub struct Integration {
    connection: Connection,
    pruvan_url: String,
    state: Arc<Mutex<State>>,
    client: reqwest::Client,
}

impl Deref for Integration {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

/// The user types something else.
impl DerefMut for Integration {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

/// A call that got no answer.
#[derive(Debug, thiserror::Error)]
#[error("{url} could not be called: {reason}")]
pub struct CallError {
    url: String,
    reason: String,
}

impl Integration {
    pub(crate) fn new(connection: Connection, pruvan_url: &str, state: Arc<Mutex<State>>) -> Integration {
        let client = lock(&state).client.clone();
        Integration { connection, pruvan_url: pruvan_url.to_owned(), state, client }
    }

    /// The push key: a secret URL.
    pub fn push_key(&self) -> String {
        format!("{}/api/?apiKey={}", self.pruvan_url, self.secret)
    }

    /// Presses the Validate button, which hands the push key to the host. An error means that no answer came; whether
    /// the host accepted is in the reply.
    pub async fn validate(&self) -> Result<Exchange, CallError> {
        self.call("validate", json!({ "pushkey": self.push_key() }), None).await
    }

    /// The Import button (`since` in UNIX seconds), or Full Refresh without it. What comes is taken as Pruvan takes it.
    pub async fn import(&self, since: Option<i64>) -> Result<Exchange, CallError> {
        let began = lock(&self.state).now_ms() / 1000;
        let exchange = self.call("getWorkOrders", json!({ "timestamp": since }), None).await?;
        if let Some(Value::Array(orders)) = exchange.reply().get("workOrders") {
            self.held(|held| {
                held.projects.take(orders);
                held.imported = Some(began);
            });
        }
        Ok(exchange)
    }

    /// The Import button: all that has changed since the last import that succeeded.
    pub async fn import_changes(&self) -> Result<Exchange, CallError> {
        let since = self.held(|held| held.imported);
        self.import(since).await
    }

    /// When the last import that succeeded began, in UNIX seconds.
    pub fn imported(&self) -> Option<i64> {
        self.held(|held| held.imported)
    }

    /// Publishes an item, which is a call of `uploadPictures`: its fields, and its file as name and bytes. An error
    /// means that no answer came; a refusal is in the reply.
    pub async fn publish(&self, fields: Value, file: Option<(&str, &[u8])>) -> Result<Exchange, CallError> {
        self.call("uploadPictures", fields, file).await
    }

    /// Pruvan's people or crews change a project's status, and Pruvan reports it. A field status of `complete` makes
    /// the office status so.
    pub async fn change_status(&self, number: &str, status: &str, field_status: &str) -> Result<Exchange, CallError> {
        self.edit(number, json!({ "status": status, "fieldStatus": field_status })).await
    }

    /// Pruvan's people or crews change fields of a project (`status`, `fieldStatus`, `dueDate`), and Pruvan reports how
    /// it stands.
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

    /// All pushes to come with this key get this, after what was forecast. [`Weather::Slow`] slows Pruvan's own calls,
    /// too, and after [`Weather::Lost`] their answers get lost.
    pub fn settle(&self, climate: Weather) {
        self.held(|held| held.climate = climate);
    }

    /// Forgets what was forecast.
    pub fn clear_forecast(&self) {
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

    /// The same with another client code.
    pub fn with_client_code(mut self, code: &str) -> Integration {
        code.clone_into(&mut self.connection.client_code);
        let connection = self.connection.clone();
        self.held(|held| held.connection = Some(connection));
        self
    }

    /// A new link to a video of so many bytes: each is good for a day.
    pub fn video(&self, size: u64) -> String {
        let name = random_hex::<8>();
        let mut state = lock(&self.state);
        state.videos.insert(name.clone(), VecDeque::from([VideoReply::Made(size)]));
        format!("{}/video/{name}", state.url)
    }

    /// The last exchange of this integration, on the wire.
    pub fn last_exchange(&self) -> Option<u64> {
        let wire = lock(&self.state).wire.clone();
        wire.last(1, |exchange| exchange.username == self.username).first().map(|exchange| exchange.id)
    }

    /// Whether its push key is no longer one that Pruvan knows.
    pub fn is_dead(&self) -> bool {
        self.held(|held| held.dead)
    }

    /// What is to be kept of it between runs.
    pub fn keep(&self) -> Kept {
        let now = lock(&self.state).now_ms();
        self.held(|held| {
            let mut projects = held.projects.clone();
            // What the hourly limit looks at.
            projects.brought.retain(|(at, _)| *at > now - 3_600_000);
            let (connection, late) = (self.connection.clone(), held.late.clone());
            Kept { connection, dead: held.dead, imported: held.imported, projects, late }
        })
    }

    fn held<T>(&self, of: impl FnOnce(&mut Held) -> T) -> T {
        let mut state = lock(&self.state);
        let now = state.now_ms();
        let held = state.integrations.entry(self.secret.clone()).or_default();
        held.catch_up(now);
        of(held)
    }

    /// Calls a web service with these fields beside the credentials.
    pub async fn call(&self, service: &str, fields: Value, file: Option<(&str, &[u8])>) -> Result<Exchange, CallError> {
        let dot = if self.extension.is_empty() { "" } else { "." };
        let url = format!("{}/{service}{dot}{}", self.web_service_url, self.extension);
        let password = hex::encode(Sha1::digest(self.token.as_bytes()));
        let mut payload = json!({ "username": self.username, "password": password, "token": self.token });
        if let (Value::Object(payload), Value::Object(fields)) = (&mut payload, fields) {
            payload.extend(fields);
        }
        let (climate, wire, at) = {
            let state = lock(&self.state);
            let held = state.integrations.get(&self.secret);
            let climate = held.map(|held| held.climate.clone()).unwrap_or_default();
            (climate, state.wire.clone(), state.now_ms())
        };
        let sent = payload.to_string();
        let (content_type, body) = multipart(&sent, file);
        let since = Instant::now();
        if let Weather::Slow(wait) = climate {
            tokio::time::sleep(wait).await;
        }
        let answer = self.post(&url, &content_type, body).await;
        let mut exchange = Exchange {
            at,
            took_ms: u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
            content_type: content_type.split(';').next().unwrap_or_default().to_owned(),
            payload: masked(&payload).to_string(),
            ..self.exchange(service, &url, sent, file)
        };
        match answer {
            Ok(_) if matches!(climate, Weather::Lost(_)) => {
                exchange.error = Some("the answer was lost; what was asked for has been done".to_owned());
            }
            Ok((status, reply_type, body)) => {
                let body = String::from_utf8_lossy(&body);
                let secrets = [self.token.as_str(), &password, &self.secret];
                exchange.body = without(&body, &secrets);
                (exchange.status, exchange.reply_type) = (status, without(&reply_type, &secrets));
            }
            Err(reason) => exchange.error = Some(reason),
        }
        let exchange = wire.put(exchange);
        match exchange.error {
            Some(reason) => Err(CallError { url, reason }),
            None => Ok(exchange),
        }
    }

    /// A call without what comes of it.
    fn exchange(&self, service: &str, url: &str, sent: String, file: Option<(&str, &[u8])>) -> Exchange {
        Exchange {
            id: 0,
            at: 0,
            took_ms: 0,
            direction: Direction::ToHost,
            username: self.username.clone(),
            service: service.to_owned(),
            method: "POST",
            url: url.to_owned(),
            content_type: String::new(),
            payload: String::new(),
            file: file.map(|(name, bytes)| (name.to_owned(), bytes.len())),
            status: 0,
            reply_type: String::new(),
            body: String::new(),
            error: None,
            judged: OnceLock::new(),
            sent: Sent {
                url: url.into(),
                payload: sent.into(),
                file: file.map(|(_, bytes)| Bytes::copy_from_slice(bytes)),
                ..Sent::default()
            },
        }
    }

    async fn post(&self, url: &str, content_type: &str, body: Vec<u8>) -> Result<(u16, String, Bytes), String> {
        let failed = |error: reqwest::Error| cause(&error);
        let request = self.client.post(url).header("content-type", content_type).timeout(TIMEOUT).body(body);
        let reply = request.send().await.map_err(failed)?;
        let status = reply.status().as_u16();
        let reply_type = reply.headers().get("content-type").and_then(|value| value.to_str().ok());
        let reply_type = reply_type.unwrap_or_default().to_owned();
        let mut reply = reply;
        let mut body = bytes::BytesMut::new();
        while let Some(chunk) = reply.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_REPLY {
                return Err(format!("the reply is larger than {} MB", MAX_REPLY / 1_000_000));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status, reply_type, body.freeze()))
    }
}
