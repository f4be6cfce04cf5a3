//! What the console shows and remembers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use host_client::HostClient;
use serde_json::Value;
use simulator::desk::{Desk, Told};

/// Links work for an hour.
const FRESH: Duration = Duration::from_secs(50 * 60);

/// Links that are remembered.
const REMEMBERED: usize = 20_000;

/// What the console shows.
pub struct Console {
    /// Pruvan's side; without it there is none.
    pub desk: Option<Arc<Desk>>,
    /// Our side; without it there is none.
    pub host: Option<HostClient>,
    /// Where our side is, in a word or two.
    pub place: String,
    /// What new integrations are given as web service URL.
    pub web_service_url: String,
    /// The server's own URL, which links on the page and commands for the shell begin with.
    pub url: String,
    /// Counts what our side did, so that the page knows when to look again; `None` if nobody counts.
    pub activity: Option<Arc<std::sync::atomic::AtomicU64>>,
    /// What came of the last button that is of no account in Pruvan.
    told: Mutex<Option<Told>>,
    /// Where files are, and since when that is known.
    links: Mutex<HashMap<String, (String, Instant)>>,
    /// Fetches files from S3.
    pub client: reqwest::Client,
}

impl Console {
    /// One with these sides, served at `url`.
    pub fn new(url: &str, place: &str, desk: Option<Arc<Desk>>, host: Option<HostClient>) -> Console {
        Console {
            desk,
            host,
            place: place.to_owned(),
            web_service_url: url.to_owned(),
            url: url.to_owned(),
            activity: None,
            told: Mutex::default(),
            links: Mutex::default(),
            client: reqwest::Client::new(),
        }
    }

    /// Notes what came of a button.
    pub fn tell(&self, told: Option<Told>) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = told;
    }

    /// What came of the last button.
    pub fn told(&self) -> Option<Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes whenever the page would.
    pub fn version(&self) -> u64 {
        let desk = self.desk.as_ref().map_or(0, |desk| desk.changes());
        desk + self.activity.as_ref().map_or(0, |count| count.load(std::sync::atomic::Ordering::Relaxed))
    }

    /// Remembers the links of an item that the host's API gave.
    pub fn note_links(&self, username: &str, item: &Value) {
        let Some(id) = item["uuId"].as_str() else { return };
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if links.len() > REMEMBERED {
            links.clear();
        }
        for (part, link) in [("file", &item["link"]), ("video", &item["video"]["link"])] {
            if let Some(link) = link.as_str() {
                links.insert(key(username, id, part), (link.to_owned(), Instant::now()));
            }
        }
    }

    /// The link of a file, if it is known and still works.
    pub fn link(&self, username: &str, id: &str, part: &str) -> Option<String> {
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let (link, since) = links.get(&key(username, id, part))?;
        (since.elapsed() < FRESH).then(|| link.clone())
    }
}

fn key(username: &str, id: &str, part: &str) -> String {
    format!("{username}\n{id}\n{part}")
}
