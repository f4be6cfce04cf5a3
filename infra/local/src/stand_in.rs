//! A stand-in for Pruvan: a server that takes pushes, and a client that calls the four web services as Pruvan does.
//!
//! What it holds it holds by the specification's rules ([`crate::projects`]); its people edit it, and calls can take effect late.

mod integration;
mod push;
mod video;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bridge::secrets::hex;
use bridge::time::{Clock, Random};
use pruvan::integration::IntegrationType;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::projects::Projects;
use crate::stores::listen;
use crate::system::StartError;
pub use crate::wire::Exchange;
use crate::wire::Wire;
pub use integration::{CallError, Connection, Integration, multipart};
pub use video::VideoReply;

/// The largest push that is taken, in bytes.
const MAX_PUSH: usize = 32 * 1024 * 1024;

/// The server, and what it holds.
pub struct StandIn {
    /// Base URL; push keys are below it.
    pub url: String,
    /// Every exchange with hosts.
    pub wire: Arc<Wire>,
    state: Arc<Mutex<World>>,
    server: Option<JoinHandle<()>>,
}

struct World {
    url: String,
    /// Of all integrations. A redirect would carry the key elsewhere.
    client: reqwest::Client,
    /// Whether pushes are remembered, as tests want it.
    remembers: bool,
    clock: Clock,
    wire: Arc<Wire>,
    /// How long Pruvan takes for a push.
    delay: Duration,
    /// By the secret in the push key.
    integrations: BTreeMap<String, Held>,
    weather: VecDeque<Weather>,
    /// By name, what their links give: one after another, the last for ever.
    videos: BTreeMap<String, VecDeque<VideoReply>>,
}

/// What an MP4 begins with.
pub const MP4_HEAD: &[u8] = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom";

/// One integration.
#[derive(Default)]
struct Held {
    /// As it was set up, to import when a GET of the push key asks for it.
    connection: Option<Connection>,
    dead: bool,
    projects: Projects,
    pushes: Vec<Value>,
    weather: VecDeque<Weather>,
    /// What comes after all that was forecast.
    climate: Weather,
    /// What calls that were cut off will do, and when, in milliseconds.
    late: Vec<(i64, Vec<Value>)>,
    /// When the last import that succeeded began, in UNIX seconds.
    imported: Option<i64>,
}

/// How the next push is answered, instead of as it should be.
#[derive(Debug, Clone, Default)]
pub enum Weather {
    /// Answered as it should be.
    #[default]
    Fine,
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
    /// Nothing is done and no answer comes, until the caller gives up.
    Silent,
    /// All takes so long.
    Slow(Duration),
}

/// What is kept of an integration between runs.
#[derive(Serialize, Deserialize)]
pub struct Kept {
    connection: Connection,
    dead: bool,
    imported: Option<i64>,
    projects: Projects,
    late: Vec<(i64, Vec<Value>)>,
}

impl Kept {
    /// The same for a server that has moved: hosts that were at the old URL are at the new one.
    pub fn moved(mut self, from: &str, to: &str) -> Kept {
        if self.connection.web_service_url == from {
            to.clone_into(&mut self.connection.web_service_url);
        }
        self
    }

    /// The same as its user has set it up now.
    pub fn set_up(mut self, now: &Integration) -> Kept {
        let secret = std::mem::take(&mut self.connection.secret);
        self.connection = Connection { secret, ..now.keep().connection };
        now.rules(|rules| (self.projects.kind, self.projects.auto_admin) = (rules.kind, rules.auto_admin));
        self
    }
}

impl StandIn {
    /// Starts the server on a free port of 127.0.0.1.
    pub async fn start() -> Result<StandIn, StartError> {
        StandIn::with_clock(Clock::system()).await
    }

    /// The same, by this clock.
    pub async fn with_clock(clock: Clock) -> Result<StandIn, StartError> {
        let (listener, url) = listen(0).await?;
        let mut stand_in = StandIn::at(&url, clock);
        lock(&stand_in.state).remembers = true;
        let app = stand_in.routes();
        stand_in.server = Some(tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!(%error, "stand_in.stopped");
            }
        }));
        Ok(stand_in)
    }

    /// One whose [routes](StandIn::routes) somebody else serves at `url`.
    pub fn at(url: &str, clock: Clock) -> StandIn {
        let wire = Arc::new(Wire::default());
        let (integrations, weather, videos) = (BTreeMap::new(), VecDeque::new(), BTreeMap::new());
        let url = url.to_owned();
        let (delay, on_wire) = (Duration::ZERO, wire.clone());
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap_or_default();
        let world = World {
            url: url.clone(),
            client,
            remembers: false,
            clock,
            wire: on_wire,
            delay,
            integrations,
            weather,
            videos,
        };
        StandIn { url, wire, state: Arc::new(Mutex::new(world)), server: None }
    }

    /// The push keys and the links to videos.
    pub fn routes(&self) -> axum::Router {
        axum::Router::new()
            .route("/api/", axum::routing::post(push::push).get(push::refresh))
            .route("/video/{name}", axum::routing::get(video::video))
            .layer(axum::extract::DefaultBodyLimit::max(MAX_PUSH))
            .with_state(self.state.clone())
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
        let connection = Connection {
            web_service_url: web_service_url.to_owned(),
            extension: extension.to_owned(),
            username: username.to_owned(),
            token: token.to_owned(),
            client_code: "SMC".to_owned(),
            secret: hex(&Random::system().bytes::<24>()),
        };
        let projects = Projects { kind, auto_admin, ..Projects::default() };
        self.restore(Kept { connection, dead: false, imported: None, projects, late: Vec::new() })
    }

    /// Sets an integration up as it was in an earlier run.
    pub fn restore(&self, kept: Kept) -> Integration {
        let Kept { connection, dead, imported, projects, late } = kept;
        let held = Held { connection: Some(connection.clone()), dead, imported, projects, late, ..Held::default() };
        lock(&self.state).integrations.insert(connection.secret.clone(), held);
        Integration::new(connection, &self.url, self.state.clone())
    }

    /// Deletes an integration, and its push key with it.
    pub fn remove(&self, integration: &Integration) {
        lock(&self.state).integrations.remove(&integration.secret);
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
        if let Some(server) = &self.server {
            server.abort();
        }
    }
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

fn lock(state: &Mutex<World>) -> MutexGuard<'_, World> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
