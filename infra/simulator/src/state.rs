//! What the simulator holds: the integrations, and what is to come.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::projects::Projects;
use crate::video::VideoReply;
use crate::weather::Weather;
use crate::wire::Wire;

/// Tells the time, in milliseconds since 1970.
pub(crate) type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Everything, behind one lock.
pub(crate) struct State {
    pub url: String,
    /// Of all integrations. A redirect would carry the key elsewhere.
    pub client: reqwest::Client,
    /// Whether pushes are remembered, as tests want it.
    pub remembers: bool,
    pub clock: Clock,
    pub wire: Arc<Wire>,
    /// How long Pruvan takes for a push.
    pub delay: Duration,
    /// By the secret in the push key.
    pub integrations: BTreeMap<String, Held>,
    /// What pushes to come get, whosever they are.
    pub weather: VecDeque<Weather>,
    /// By name, what their links give: one after another, the last for ever.
    pub videos: BTreeMap<String, VecDeque<VideoReply>>,
}

impl State {
    /// The time, in milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        (self.clock)()
    }
}

/// What its user has typed, and the push key.
#[derive(Clone, Serialize, Deserialize)]
pub struct Connection {
    /// What the user typed as the web service URL.
    pub web_service_url: String,
    /// What the user typed as the extension: empty or such as `html`.
    pub extension: String,
    /// The user name at the host.
    pub username: String,
    /// The account's API key at the host, as the user typed it; it is sent with every call of a web service.
    pub token: String,
    /// Pruvan's client code, which stands before the numbers that it shows.
    pub client_code: String,
    /// The secret in the push key.
    pub(crate) secret: String,
}

/// What Pruvan holds for one integration, and how the pushes to come are answered.
#[derive(Default)]
pub(crate) struct Held {
    /// As it was set up, to import when a GET of the push key asks for it.
    pub connection: Option<Connection>,
    pub dead: bool,
    pub projects: Projects,
    pub pushes: Vec<Value>,
    pub weather: VecDeque<Weather>,
    /// What comes after all that was forecast.
    pub climate: Weather,
    /// What calls that were cut off will do, and when, in milliseconds.
    pub late: Vec<(i64, Vec<Value>)>,
    /// When the last import that succeeded began, in UNIX seconds.
    pub imported: Option<i64>,
}

/// What is kept of an integration between runs.
#[derive(Serialize, Deserialize)]
pub struct Kept {
    pub(crate) connection: Connection,
    pub(crate) dead: bool,
    pub(crate) imported: Option<i64>,
    pub(crate) projects: Projects,
    pub(crate) late: Vec<(i64, Vec<Value>)>,
}

impl Kept {
    /// The same for a server that has moved: hosts that were at the old URL are at the new one.
    pub fn moved(mut self, from: &str, to: &str) -> Kept {
        if self.connection.web_service_url == from {
            to.clone_into(&mut self.connection.web_service_url);
        }
        self
    }

    /// The same as its user has set it up now: what it holds and the push key stay.
    pub fn set_up(mut self, now: Kept) -> Kept {
        let secret = std::mem::take(&mut self.connection.secret);
        self.connection = Connection { secret, ..now.connection };
        (self.projects.kind, self.projects.auto_admin) = (now.projects.kind, now.projects.auto_admin);
        self
    }
}

impl Held {
    /// What calls that were cut off still do, up to `now`.
    pub fn catch_up(&mut self, now: i64) {
        let (over, still): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.late).into_iter().partition(|(at, _)| *at <= now);
        self.late = still;
        for (at, orders) in over {
            self.projects.push(&orders, at);
        }
    }
}

pub(crate) fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
