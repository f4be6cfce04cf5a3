//! A Pruvan on your desk: accounts with their integrations, what their crews have made and what became of it, kept in a folder between runs.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bridge::secrets::sha256_hex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::items::Item;
use crate::stand_in::{CallError, Exchange, Integration, Kept, StandIn, Weather};
use crate::system::StartError;

/// How often what has changed is written down.
const SAVE_EVERY: Duration = Duration::from_secs(5);

/// What Pruvan holds, and where it is kept.
pub struct Desk {
    /// The stand-in that plays it.
    pub stand_in: StandIn,
    accounts: Mutex<BTreeMap<String, Arc<Account>>>,
    folder: PathBuf,
    changes: Arc<AtomicU64>,
    /// Removed in the end if nothing is to be kept.
    _temporary: Option<tempfile::TempDir>,
}

/// A Pruvan account with an integration to a host.
pub struct Account {
    /// The integration.
    pub integration: Integration,
    folder: PathBuf,
    changes: Arc<AtomicU64>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    items: Vec<Made>,
    /// Where in them an item is, by `uuId`.
    places: HashMap<String, usize>,
    sky: Sky,
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
    /// One sentence.
    pub text: String,
    /// The exchange on the wire that it made.
    pub exchange: Option<u64>,
}

/// The weather, as somebody has set it: how Pruvan takes pushes from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sky {
    /// As it should be.
    #[default]
    Fine,
    /// No answer.
    TimeOuts,
    /// Status 500.
    Errors,
    /// Status 503 and a page for people.
    Maintenance,
    /// The push key is not known.
    BadKey,
    /// Five seconds a call, in both directions.
    SlowNetwork,
    /// Answers get lost, and pushes take effect later.
    LateEffects,
    /// The hour's orders have been used up.
    HourlyLimit,
}

impl Sky {
    /// All, as they are shown.
    pub const ALL: [Sky; 8] = [
        Sky::Fine,
        Sky::TimeOuts,
        Sky::Errors,
        Sky::Maintenance,
        Sky::BadKey,
        Sky::SlowNetwork,
        Sky::LateEffects,
        Sky::HourlyLimit,
    ];

    /// As it stands in forms.
    pub fn name(self) -> &'static str {
        match self {
            Sky::Fine => "fine",
            Sky::TimeOuts => "time-outs",
            Sky::Errors => "errors",
            Sky::Maintenance => "maintenance",
            Sky::BadKey => "bad-key",
            Sky::SlowNetwork => "slow-network",
            Sky::LateEffects => "late-effects",
            Sky::HourlyLimit => "hourly-limit",
        }
    }

    /// What it is called.
    pub fn title(self) -> &'static str {
        match self {
            Sky::Fine => "Fine",
            Sky::TimeOuts => "Time-outs",
            Sky::Errors => "Errors (500)",
            Sky::Maintenance => "Maintenance page",
            Sky::BadKey => "Bad push key",
            Sky::SlowNetwork => "Slow network",
            Sky::LateEffects => "Late effects",
            Sky::HourlyLimit => "Hourly limit reached",
        }
    }

    /// What it does.
    pub fn about(self) -> &'static str {
        match self {
            Sky::Fine => "Pushes are taken as they come.",
            Sky::TimeOuts => "Pushes get no answer, and nothing is done.",
            Sky::Errors => "Pushes get status 500, and nothing is done.",
            Sky::Maintenance => "Pushes get status 503 and a page for people, as on Sunday nights.",
            Sky::BadKey => "Pushes get \"invalid clientCode\": press Validate again when it is over.",
            Sky::SlowNetwork => "Every call takes five seconds longer, in both directions.",
            Sky::LateEffects => {
                "Pushes are cut off and take effect 20 seconds later; the answers to Pruvan's own calls get lost."
            }
            Sky::HourlyLimit => "Pushes are refused: this hour's 5,000 orders have been used up.",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Sky> {
        Sky::ALL.into_iter().find(|sky| sky.name() == name)
    }

    fn weather(self) -> Weather {
        let refused = |error: &str| Weather::Answer(200, json!({ "response": false, "error": error }).to_string());
        match self {
            Sky::Fine => Weather::Fine,
            Sky::TimeOuts => Weather::Silent,
            Sky::Errors => Weather::Answer(500, "Internal Server Error".to_owned()),
            Sky::Maintenance => Weather::Answer(
                503,
                "<html><body><h1>Pruvan is being maintained</h1><p>Back at midnight, Central Time.</p></body></html>"
                    .to_owned(),
            ),
            Sky::BadKey => refused("invalid clientCode"),
            Sky::SlowNetwork => Weather::Slow(Duration::from_secs(5)),
            Sky::LateEffects => Weather::Lost(Some(20_000)),
            // The wording is not documented.
            Sky::HourlyLimit => refused("hourly limit exceeded"),
        }
    }
}

/// What is in the file.
#[derive(Serialize, Deserialize)]
struct Saved {
    /// Where the stand-in was served.
    url: String,
    accounts: Vec<SavedAccount>,
}

#[derive(Serialize, Deserialize)]
struct SavedAccount {
    integration: Kept,
    items: Vec<Made>,
}

impl Desk {
    /// The desk that is kept in `folder`, or one of which nothing is kept.
    pub fn open(folder: Option<&Path>, stand_in: StandIn) -> Result<Arc<Desk>, StartError> {
        let failed = |error: &dyn std::fmt::Display| StartError(format!("what Pruvan holds can't be kept: {error}"));
        let temporary = folder.is_none().then(tempfile::tempdir).transpose().map_err(|error| failed(&error))?;
        let folder = folder.or(temporary.as_ref().map(tempfile::TempDir::path)).unwrap_or(Path::new(".")).to_owned();
        fs::create_dir_all(folder.join("files")).map_err(|error| failed(&error))?;
        private(&folder).map_err(|error| failed(&error))?;
        let (accounts, changes) = (Mutex::default(), Arc::default());
        let desk = Arc::new(Desk { stand_in, accounts, folder, changes, _temporary: temporary });
        match fs::read(desk.file()) {
            Ok(json) => {
                let saved: Saved = serde_json::from_slice(&json).map_err(|error| {
                    StartError(format!("{} can't be read: {error}; delete it to begin anew", desk.file().display()))
                })?;
                for account in saved.accounts {
                    let SavedAccount { integration, items } = account;
                    let moved = saved.url != desk.stand_in.url;
                    let integration = desk.stand_in.restore(integration.moved(&saved.url, &desk.stand_in.url));
                    let account = desk.insert(integration, items);
                    if moved {
                        account.tell(false, "The push key begins with another address now: press Validate.", None);
                    }
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(&error)),
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
    pub fn save(&self) -> Result<(), StartError> {
        let accounts = self.accounts();
        let save = |account: &Arc<Account>| SavedAccount {
            integration: account.integration.keep(),
            items: account.inner().items.clone(),
        };
        let saved = Saved { url: self.stand_in.url.clone(), accounts: accounts.iter().map(save).collect() };
        let written = serde_json::to_vec(&saved).map_err(std::io::Error::from);
        written
            .and_then(|json| write_whole(&self.file(), &json))
            .map_err(|error| StartError(format!("{} can't be written: {error}", self.file().display())))
    }

    /// Changes whenever something has.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed) + self.stand_in.wire.count()
    }

    /// Takes an integration in, in place of one with the same user name, whose push key dies.
    pub fn add(&self, integration: Integration) -> Arc<Account> {
        if let Some(old) = self.account(&integration.username) {
            self.stand_in.remove(&old.integration);
        }
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.insert(integration, Vec::new())
    }

    /// Lets an account be as its user has set it up now, with what it holds and the push key that it has.
    pub fn set_up(&self, integration: Integration) -> Arc<Account> {
        let Some(old) = self.account(&integration.username) else { return self.add(integration) };
        let items = old.items(None).into_iter().rev().collect();
        let kept = old.integration.keep().set_up(&integration);
        self.stand_in.remove(&integration);
        self.changes.fetch_add(1, Ordering::Relaxed);
        let account = self.insert(self.stand_in.restore(kept), items);
        account.inner().told = old.told();
        account
    }

    fn insert(&self, integration: Integration, items: Vec<Made>) -> Arc<Account> {
        let places = items.iter().enumerate().map(|(at, made)| (made.text("uuId").to_owned(), at)).collect();
        let inner = Mutex::new(Inner { items, places, ..Inner::default() });
        let (username, folder) = (integration.username.clone(), self.folder.join("files"));
        let account = Arc::new(Account { integration, folder, changes: self.changes.clone(), inner });
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

    /// The weather.
    pub fn sky(&self) -> Sky {
        self.inner().sky
    }

    /// Sets the weather.
    pub fn set_sky(&self, sky: Sky) {
        self.integration.settle(sky.weather());
        self.inner().sky = sky;
        self.tell(true, format!("Weather: {}. {}", sky.title(), sky.about()), None);
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

    /// The Validate button.
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

    /// Pruvan's people or crews change fields of a project, and Pruvan reports it; not if they unassign it (*The status Web Service*).
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
        let hash = (!file.is_empty()).then(|| sha256_hex(&file));
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

/// Lets only its owner look into a folder: there are keys in it.
pub fn private(folder: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    Ok(())
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
