//! The simulator's server: push keys and links to videos.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::Path;
use axum::response::Response;
use host_client::web_services::random_hex;
use pruvan::integration::IntegrationType;
use tokio::task::JoinHandle;

use crate::integration::Integration;
use crate::listen::{ListenError, listen};
use crate::projects::Projects;
use crate::push;
use crate::state::{Connection, Held, Kept, State, lock};
use crate::video::{self, VideoReply};
use crate::weather::Weather;
use crate::wire::Wire;

/// Below which paths the [routes](Simulator::routes) are: push keys, and links to videos.
pub const PATHS: [&str; 2] = ["/api/", "/video/"];

/// The largest push that is taken, in bytes.
const MAX_PUSH: usize = 32 * 1024 * 1024;

/// A Pruvan: it takes pushes, and its integrations call hosts.
pub struct Simulator {
    /// Base URL; push keys are below it.
    pub url: String,
    /// Every exchange with hosts.
    pub wire: Arc<Wire>,
    state: Arc<Mutex<State>>,
    server: Option<JoinHandle<()>>,
}

impl Simulator {
    /// Starts the server on a free port of 127.0.0.1. It remembers the pushes that come, for tests.
    pub async fn start() -> Result<Simulator, ListenError> {
        Simulator::with_clock(system_ms).await
    }

    /// The same, by this clock, which tells milliseconds since 1970.
    pub async fn with_clock(clock: impl Fn() -> i64 + Send + Sync + 'static) -> Result<Simulator, ListenError> {
        let (listener, url) = listen(0).await?;
        let mut simulator = Simulator::at(&url, clock);
        lock(&simulator.state).remembers = true;
        let app = simulator.routes();
        simulator.server = Some(tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!(%error, "simulator.stopped");
            }
        }));
        Ok(simulator)
    }

    /// One whose [routes](Simulator::routes) somebody else serves at `url`.
    pub fn at(url: &str, clock: impl Fn() -> i64 + Send + Sync + 'static) -> Simulator {
        let wire = Arc::new(Wire::default());
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap_or_default();
        let state = State {
            url: url.to_owned(),
            client,
            remembers: false,
            clock: Arc::new(clock),
            wire: wire.clone(),
            delay: Duration::ZERO,
            integrations: BTreeMap::new(),
            weather: VecDeque::new(),
            videos: BTreeMap::new(),
        };
        Simulator { url: url.to_owned(), wire, state: Arc::new(Mutex::new(state)), server: None }
    }

    /// The push keys and the links to videos.
    pub fn routes(&self) -> axum::Router {
        axum::Router::new()
            .route("/api/", axum::routing::post(push::push).get(push::refresh))
            .route("/video/{name}", axum::routing::get(video))
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
            secret: random_hex::<24>(),
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
    pub fn clear_forecast(&self) {
        lock(&self.state).weather.clear();
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

/// Answers a request for a video with what its link gives next.
async fn video(
    axum::extract::State(state): axum::extract::State<Arc<Mutex<State>>>,
    Path(name): Path<String>,
) -> Response {
    let reply = {
        let mut state = lock(&state);
        let replies = state.videos.get_mut(&name);
        replies.and_then(|replies| if replies.len() > 1 { replies.pop_front() } else { replies.front().cloned() })
    };
    video::answer(reply)
}

/// The system's time, in milliseconds since 1970.
pub fn system_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
