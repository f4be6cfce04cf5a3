//! A Pruvan on your desk: accounts with their integrations, what their crews have made and what became of it, kept in a
//! folder between runs.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::folder::private;
use crate::integration::{CallError, Integration};
use crate::items::Item;
use crate::server::Simulator;
use crate::state::Kept;
use crate::weather::{PRESETS, Preset};
use crate::wire::Exchange;

/// How often what has changed is written down.
const SAVE_EVERY: Duration = Duration::from_secs(5);

/// What Pruvan holds, and where it is kept.
pub struct Desk {
    /// The simulator that takes pushes and calls hosts in Pruvan's place.
    pub simulator: Simulator,
    accounts: Mutex<BTreeMap<String, Arc<Account>>>,
    folder: PathBuf,
    changes: Arc<AtomicU64>,
    /// Removed in the end if nothing is to be kept.
    _temporary: Option<tempfile::TempDir>,
}

/// A Pruvan account with an integration to a host.
pub struct Account {
    /// The account's integration with a host, which makes Pruvan's calls.
    pub integration: Integration,
    folder: PathBuf,
    changes: Arc<AtomicU64>,
    inner: Mutex<Inner>,
}

struct Inner {
    items: Vec<Made>,
    /// Where in them an item is, by `uuId`.
    places: HashMap<String, usize>,
    weather: &'static Preset,
    told: Option<Told>,
    last_error: Option<String>,
}

/// An item that a crew has made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Made {
    /// All fields that Pruvan sends, but for the credentials.
    pub fields: Map<String, Value>,
    /// The file's name as it is sent.
    pub file_name: String,
    /// The SHA-256 of the file, by which it is kept; `None` if it has none.
    file: Option<String>,
    /// How often it has been published.
    pub published: u32,
    /// Why the last try to publish it failed.
    pub failed: Option<String>,
}

impl Made {
    /// A field as a text; empty if it has none.
    pub fn text(&self, name: &str) -> &str {
        self.fields.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

/// How large a crew's video is, in bytes.
const VIDEO: u64 = 2_000_000;

/// What came of the last thing that was done.
#[derive(Debug, Clone)]
pub struct Told {
    /// Whether it went well.
    pub ok: bool,
    /// What came of it, as a sentence for people.
    pub text: String,
    /// The exchange on the wire that it made.
    pub exchange: Option<u64>,
}

/// What is in the file.
#[derive(Serialize, Deserialize)]
struct Saved {
    /// Where the simulator was served.
    url: String,
    accounts: Vec<SavedAccount>,
}

#[derive(Serialize, Deserialize)]
struct SavedAccount {
    integration: Kept,
    items: Vec<Made>,
}

/// Why what Pruvan holds can't be kept, with the next step.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The folder can't be used.
    #[error("what Pruvan holds can't be kept: {0}")]
    Keep(std::io::Error),
    /// The file of an earlier run is damaged.
    #[error("{} can't be read from line {line} on; delete it to begin anew", file.display())]
    Read {
        /// `pruvan.json` in the folder of the data.
        file: PathBuf,
        /// Where in it. What is wrong there is not told: it may be a key.
        line: usize,
    },
    /// The file can't be written.
    #[error("{} can't be written: {error}", file.display())]
    Write {
        /// `pruvan.json` in the folder of the data.
        file: PathBuf,
        /// What the operating system says.
        error: std::io::Error,
    },
}

impl Desk {
    /// The desk that is kept in `folder`, or one of which nothing is kept.
    pub fn open(folder: Option<&Path>, simulator: Simulator) -> Result<Arc<Desk>, DeskError> {
        let temporary = folder.is_none().then(tempfile::tempdir).transpose().map_err(DeskError::Keep)?;
        let folder = folder.or(temporary.as_ref().map(tempfile::TempDir::path)).unwrap_or(Path::new(".")).to_owned();
        fs::create_dir_all(folder.join("files")).map_err(DeskError::Keep)?;
        private(&folder).map_err(DeskError::Keep)?;
        let (accounts, changes) = (Mutex::default(), Arc::default());
        let desk = Arc::new(Desk { simulator, accounts, folder, changes, _temporary: temporary });
        match fs::read(desk.file()) {
            Ok(json) => {
                let saved: Saved = serde_json::from_slice(&json)
                    .map_err(|error| DeskError::Read { file: desk.file(), line: error.line() })?;
                for account in saved.accounts {
                    let SavedAccount { integration, items } = account;
                    let moved = saved.url != desk.simulator.url;
                    let integration = desk.simulator.restore(integration.moved(&saved.url, &desk.simulator.url));
                    let account = desk.insert(integration, items);
                    if moved {
                        account.tell(false, "The push key begins with another address now: press Validate.", None);
                    }
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(DeskError::Keep(error)),
        }
        let (saver, mut written) = (Arc::downgrade(&desk), desk.changes());
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(SAVE_EVERY).await;
                let Some(desk) = saver.upgrade() else { return };
                let now = desk.changes();
                if now != written && desk.save().inspect_err(|error| tracing::error!("{error}")).is_ok() {
                    written = now;
                }
            }
        });
        Ok(desk)
    }

    fn file(&self) -> PathBuf {
        self.folder.join("pruvan.json")
    }

    /// Where it is kept.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes down what is held.
    pub fn save(&self) -> Result<(), DeskError> {
        let accounts = self.accounts();
        let save = |account: &Arc<Account>| SavedAccount {
            integration: account.integration.keep(),
            items: account.inner().items.clone(),
        };
        let saved = Saved { url: self.simulator.url.clone(), accounts: accounts.iter().map(save).collect() };
        let written = serde_json::to_vec(&saved).map_err(std::io::Error::from);
        written
            .and_then(|json| write_whole(&self.file(), &json))
            .map_err(|error| DeskError::Write { file: self.file(), error })
    }

    /// Changes whenever something has.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed) + self.simulator.wire.count()
    }

    /// Takes an integration in, in place of one with the same user name, whose push key dies.
    pub fn add(&self, integration: Integration) -> Arc<Account> {
        if let Some(old) = self.account(&integration.username) {
            self.simulator.remove(&old.integration);
        }
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.insert(integration, Vec::new())
    }

    /// Lets an account be as its user has set it up now, with what it holds and the push key that it has.
    pub fn set_up(&self, integration: Integration) -> Arc<Account> {
        let Some(old) = self.account(&integration.username) else { return self.add(integration) };
        let items = old.items(None).into_iter().rev().collect();
        let kept = old.integration.keep().set_up(integration.keep());
        self.simulator.remove(&integration);
        self.changes.fetch_add(1, Ordering::Relaxed);
        let account = self.insert(self.simulator.restore(kept), items);
        account.inner().told = old.told();
        account
    }

    fn insert(&self, integration: Integration, items: Vec<Made>) -> Arc<Account> {
        let places = items.iter().enumerate().map(|(at, made)| (made.text("uuId").to_owned(), at)).collect();
        let inner = Inner { items, places, weather: &PRESETS[0], told: None, last_error: None };
        let (username, folder) = (integration.username.clone(), self.folder.join("files"));
        let account =
            Arc::new(Account { integration, folder, changes: self.changes.clone(), inner: Mutex::new(inner) });
        self.lock().insert(username, account.clone());
        account
    }

    /// The accounts, by user name.
    pub fn accounts(&self) -> Vec<Arc<Account>> {
        self.lock().values().cloned().collect()
    }

    /// The account with this user name.
    pub fn account(&self, username: &str) -> Option<Arc<Account>> {
        self.lock().get(username).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Account>>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what came of something, for the page.
    pub fn tell(&self, ok: bool, text: impl Into<String>, exchange: Option<u64>) {
        self.inner().told = Some(Told { ok, text: text.into(), exchange });
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// What came of the last thing that was done.
    pub fn told(&self) -> Option<Told> {
        self.inner().told.clone()
    }

    /// What the host said of the last import, if that was an error.
    pub fn last_error(&self) -> Option<String> {
        self.inner().last_error.clone()
    }

    /// The weather: how Pruvan takes the pushes of this account from now on.
    pub fn weather(&self) -> &'static Preset {
        self.inner().weather
    }

    /// Chooses how Pruvan takes the pushes of this account from now on, and notes that for the page.
    pub fn set_weather(&self, weather: &'static Preset) {
        self.integration.settle(weather.weather());
        self.inner().weather = weather;
        self.tell(true, format!("Weather: {}. {}", weather.title, weather.about), None);
    }

    /// The items of a project, newest first, or of all.
    pub fn items(&self, number: Option<&str>) -> Vec<Made> {
        let inner = self.inner();
        let wanted = inner.items.iter().rev().filter(|made| number.is_none_or(|number| made.text("key2") == number));
        wanted.cloned().collect()
    }

    /// The item with this `uuId`.
    pub fn item(&self, uu_id: &str) -> Option<Made> {
        let inner = self.inner();
        inner.places.get(uu_id).and_then(|at| inner.items.get(*at)).cloned()
    }

    /// The file of an item.
    pub fn file(&self, made: &Made) -> std::io::Result<Option<Vec<u8>>> {
        made.file.as_ref().map(|hash| fs::read(self.folder.join(hash))).transpose()
    }

    /// Presses the Validate button, which hands the push key to the host, and notes for the page what came of it.
    pub async fn validate(&self) {
        match self.integration.validate().await {
            Ok(exchange) if exchange.reply()["validated"] == true => {
                self.tell(true, "Validated: the host has the push key.", Some(exchange.id));
            }
            Ok(exchange) => {
                let text = format!("Not validated: {}", said(&exchange));
                self.tell(false, text, Some(exchange.id));
            }
            Err(error) => self.not_called(&error),
        }
    }

    /// The Import button, or Full Refresh.
    pub async fn import(&self, full: bool) {
        let before = self.integration.projects();
        let done = match full {
            true => self.integration.import(None).await,
            false => self.integration.import_changes().await,
        };
        match done {
            Ok(exchange) => {
                if let Some(orders) = exchange.reply()["workOrders"].as_array() {
                    self.inner().last_error = None;
                    let new = self.integration.projects().saturating_sub(before);
                    let text = format!("Imported {}, {new} of them new.", count(orders.len(), "order"));
                    self.tell(true, text, Some(exchange.id));
                } else {
                    let error = said(&exchange);
                    self.inner().last_error = Some(error.clone());
                    self.tell(false, format!("The import failed: {error}"), Some(exchange.id));
                }
            }
            Err(error) => {
                self.inner().last_error = Some(error.to_string());
                self.not_called(&error);
            }
        }
    }

    /// Pruvan's people or crews change fields of a project, and Pruvan reports it; not if they unassign it (*The status
    /// Web Service*).
    pub async fn edit(&self, number: &str, mut fields: Map<String, Value>) {
        if self.integration.project(number).is_none() {
            return self.tell(false, format!("Pruvan has no project {number}."), None);
        }
        if fields.is_empty() {
            return self.tell(true, format!("{number} is so already: nothing is reported."), None);
        }
        if fields.get("fieldStatus").is_some_and(|status| status == "complete") {
            fields.entry("status").or_insert_with(|| Value::from("complete"));
        }
        if fields.get("status").is_some_and(|status| status == "unassigned") {
            self.integration.rules(|projects| projects.by_number.entry(number.to_owned()).or_default().extend(fields));
            self.tell(true, format!("{number} is unassigned, which Pruvan does not report."), None);
            return;
        }
        match self.integration.edit(number, Value::Object(fields)).await {
            Ok(exchange) if exchange.reply()["status"] == true => {
                self.tell(true, format!("{number}: the host has taken the report."), Some(exchange.id));
            }
            Ok(exchange) => {
                let text = format!("{number}: the host has refused the report: {}", said(&exchange));
                self.tell(false, text, Some(exchange.id));
            }
            Err(error) => self.not_called(&error),
        }
    }

    /// A crew has made an item; it is published at once, as with the option `auto_relay`.
    pub async fn publish(&self, item: Item) {
        match self.take(item) {
            Ok(uu_id) => self.publish_again(&uu_id).await,
            Err(error) => self.tell(false, error, None),
        }
    }

    /// Publishes an item that is there.
    pub async fn publish_again(&self, uu_id: &str) {
        let made = self.item(uu_id);
        let what =
            made.map_or_else(String::new, |made| format!("{} for {}", kind(made.text("fileType")), made.text("key2")));
        match self.relay(uu_id).await {
            Ok(exchange) => self.tell(true, format!("{what}: published."), Some(exchange)),
            Err(error) => {
                self.tell(false, format!("{what}: publishing failed: {error}"), self.integration.last_exchange())
            }
        }
    }

    /// Keeps an item that a crew has made, in place of one with the same `uuId`, and gives that.
    pub fn take(&self, item: Item) -> Result<String, String> {
        let Item { fields, file_name, file } = item;
        let hash = (!file.is_empty()).then(|| hex::encode(Sha256::digest(&file)));
        if let Some(path) = hash.as_ref().map(|hash| self.folder.join(hash)).filter(|path| !path.exists()) {
            write_whole(&path, &file).map_err(|error| format!("the file can't be kept: {error}"))?;
        }
        let made = Made { fields, file_name, file: hash, published: 0, failed: None };
        let uu_id = made.text("uuId").to_owned();
        let mut inner = self.inner();
        match inner.places.get(&uu_id).copied() {
            Some(at) => inner.items[at] = made,
            None => {
                let at = inner.items.len();
                inner.places.insert(uu_id.clone(), at);
                inner.items.push(made);
            }
        }
        Ok(uu_id)
    }

    /// Relays an item to the host, and gives the exchange; or why it failed, as Pruvan shows it.
    pub async fn relay(&self, uu_id: &str) -> Result<u64, String> {
        let made = self.item(uu_id);
        let mut made = made.ok_or("there is no such item")?;
        if made.fields.get("videoUri").is_some_and(Value::is_string) {
            // The link works for a day; publishing again gives a new one.
            made.fields.insert("videoUri".to_owned(), Value::from(self.integration.video(VIDEO)));
        }
        let file = self.file(&made).map_err(|error| format!("the file can't be read: {error}"))?;
        let file = file.as_deref().map(|file| (made.file_name.as_str(), file));
        let done = match self.integration.publish(Value::Object(made.fields.clone()), file).await {
            Ok(exchange) if exchange.reply()["status"] == true => Ok(exchange.id),
            Ok(exchange) => Err(said(&exchange)),
            Err(error) => Err(error.to_string()),
        };
        let mut inner = self.inner();
        let at = inner.places.get(uu_id).copied();
        // Another may have taken its place in the meantime.
        if let Some(made) = at.and_then(|at| inner.items.get_mut(at)).filter(|now| now.file == made.file) {
            made.published += u32::from(done.is_ok());
            made.failed = done.as_ref().err().cloned();
        }
        drop(inner);
        done
    }

    /// The crew has begun: the first item that it makes says so.
    pub async fn begin(&self, number: &str) {
        let project = self.integration.project(number).unwrap_or_default();
        let status = project.get("fieldStatus").and_then(Value::as_str).unwrap_or_default();
        if matches!(status, "" | "new" | "viewed" | "updated" | "field-accepted") {
            let fields = Map::from_iter([("fieldStatus".to_owned(), Value::from("in-process"))]);
            self.edit(number, fields).await;
        }
    }

    fn not_called(&self, error: &CallError) {
        self.tell(false, error.to_string(), self.integration.last_exchange());
    }
}

/// Writes a file so that a crash leaves the old one or the new one, and only its owner can read it.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut next = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    next.write_all(bytes)?;
    next.as_file().sync_all()?;
    next.persist(path).map(drop).map_err(|error| error.error)
}

/// A file type as people say it.
pub fn kind(file_type: &str) -> &str {
    match file_type {
        "picture" => "Photo",
        "survey" => "Survey",
        "check-in" => "Check-in",
        "csr" => "Service record",
        "file" => "File",
        "" => "Item",
        other => other,
    }
}

/// A number and what it counts.
pub fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// What the host said, for the people of Pruvan, who see it as it is.
fn said(exchange: &Exchange) -> String {
    let reply = exchange.reply();
    let error = &reply["error"];
    let text = error.as_str().or(error[0]["error"].as_str()).map(str::to_owned);
    text.filter(|text| !text.is_empty()).unwrap_or_else(|| {
        let start: String = exchange.body.chars().take(200).collect();
        format!("HTTP status {}, {start:?}", exchange.status)
    })
}
