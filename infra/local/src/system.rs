//! The system as a whole: what `cargo run -p local` runs, and the tests.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bridge::Dependencies;
use bridge::lines::Lines;
use bridge::outbound::Outbound;
use bridge::settings::Settings;
use bridge::time::{Clock, Random, Waits};
use secrecy::ExposeSecret as _;
use simulator::listen::listen;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::functions::Function;
use crate::gateway::{Gateway, Variant};
use crate::schedules::{Schedule, Schedules};
use crate::start_error::StartError;
use crate::stores::{self, Stores, until};
use crate::template::{TEMPLATE, Template};

/// How to run it.
pub struct Options {
    /// What the gateway listens with, and its URL; without it, a free port is picked.
    pub listener: Option<(TcpListener, String)>,
    /// Pages beside the two APIs.
    pub pages: Router,
    /// Where data is kept between runs; without it nothing is.
    pub data: Option<PathBuf>,
    /// How often the schedules fire; without it they fire when told, by [`System::tick`].
    pub tick: Option<Duration>,
    /// The long waits are divided by this.
    pub time_scale: u32,
    /// Tells the functions and the schedules what time it is.
    pub clock: Clock,
    /// Further environment variables of every function.
    pub environment: Vec<(String, String)>,
    /// Where the functions' lines about requests and ticks go.
    pub lines: Lines,
    /// Gives each function, by the name of its binary, other clients than its own: for tests that look at its calls.
    pub clients: Option<Clients>,
    /// How its gateway differs from what it does by itself.
    pub gateway: Variant,
}

/// Puts other clients into what a function stands on.
pub type Clients = Arc<dyn Fn(&str, Dependencies) -> Dependencies + Send + Sync>;

impl Default for Options {
    fn default() -> Options {
        Options {
            listener: None,
            pages: Router::new(),
            data: None,
            tick: None,
            time_scale: 1,
            clock: Clock::system(),
            environment: Vec::new(),
            lines: Lines::none(),
            clients: None,
            gateway: Variant::default(),
        }
    }
}

/// A running system: the gateway with both APIs, the functions, their schedules, and the stores.
pub struct System {
    /// Base URL of the gateway: both APIs.
    pub gateway_url: String,
    /// DynamoDB and S3, in which the functions keep their data.
    pub stores: Stores,
    /// The environment of the functions, with all tables and the bucket.
    pub settings: Settings,
    functions: BTreeMap<String, Function>,
    schedules: Arc<Schedules>,
    stop: watch::Sender<bool>,
    servers: Vec<JoinHandle<()>>,
    _temporary: Option<tempfile::TempDir>,
}

impl System {
    /// Starts it; when this returns, it answers.
    pub async fn start(options: Options) -> Result<System, StartError> {
        let template = Template::parse(TEMPLATE).map_err(|error| StartError(error.to_string()))?;
        let (stop, stopping) = watch::channel(false);
        let (listener, gateway_url) = if let Some(listener) = options.listener { listener } else { listen(0).await? };
        let (folder, temporary) = folder(options.data.as_ref())?;
        let stores = Stores::start(&folder, options.data.is_some(), &template, &stopping).await?;
        let base = [
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", stores.key.id.as_str()),
            ("AWS_SECRET_ACCESS_KEY", stores.key.secret.expose_secret()),
            ("AWS_ENDPOINT_URL_DYNAMODB", stores.dynamodb_url.as_str()),
            ("AWS_ENDPOINT_URL_S3", stores.s3_url.as_str()),
        ];
        let base = base.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let all = template.functions.values().flat_map(|function| function.environment.clone());
        let settings: Settings = base.iter().cloned().chain(all).chain(options.environment.clone()).collect();
        let outbound = outbound(&[&stores.dynamodb_url, &stores.s3_url], &gateway_url);
        let dependencies = |settings: Settings| {
            let waits = Waits::divided_by(options.time_scale);
            let clock = options.clock.clone();
            let mut dependencies = Dependencies::new(settings, clock, Random::system(), waits, outbound.clone());
            dependencies.lines = options.lines.clone();
            dependencies
        };
        let client = dependencies(settings.clone()).dynamodb().map_err(|error| StartError(error.to_string()))?;
        stores::create_tables(&client, &template).await?;

        let (mut routes, mut all, mut functions) = (Vec::new(), Vec::new(), BTreeMap::new());
        for (id, described) in &template.functions {
            let environment = described.environment.clone().into_iter();
            let settings: Settings =
                base.iter().cloned().chain(environment).chain(options.environment.clone()).collect();
            let mut dependencies = dependencies(settings);
            if let Some(clients) = &options.clients {
                dependencies = clients(&described.binary, dependencies);
            }
            let function = crate::functions::start(&described.binary, &dependencies);
            let function =
                function.ok_or_else(|| StartError(format!("template.yaml: {id} has a binary that is not here")))?;
            let function = function.map_err(|error| StartError(format!("{id}: {error}")))?;
            routes.extend(described.routes.iter().map(|route| (route.clone(), function.clone(), described.timeout)));
            functions.insert(described.binary.clone(), function.clone());
            if let (Some(every), Function::Schedule(run)) = (described.every, function) {
                all.push(Schedule { run, every, timeout: described.timeout });
            }
        }
        let schedules = Arc::new(Schedules::new(all, options.clock));
        let gateway = Gateway::new(routes, template.apis, options.gateway);
        let app = Router::new().fallback(Gateway::answer).with_state(gateway).merge(options.pages);
        let stopped = until(stopping.clone());
        let mut servers = vec![tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(stopped).await {
                tracing::error!(%error, "gateway.stopped");
            }
        })];
        if let Some(every) = options.tick {
            servers.push(tokio::spawn(schedules.clone().each(every, stopping)));
        }
        Ok(System { gateway_url, stores, settings, functions, schedules, stop, servers, _temporary: temporary })
    }

    /// Lets a minute pass for the schedules: fires those that it is time for, at first all of them, and waits until the
    /// functions are done.
    pub async fn tick(&self) {
        self.schedules.tick().await;
    }

    /// The function whose binary is `binary`, to call it with an event of one's own.
    pub fn function(&self, binary: &str) -> Option<&Function> {
        self.functions.get(binary)
    }

    /// A DynamoDB client, to look at what is stored.
    pub fn dynamodb(&self) -> Result<aws_sdk_dynamodb::Client, StartError> {
        bridge::aws::dynamodb(&self.settings, &bridge::aws::http_client())
            .map_err(|error| StartError(error.to_string()))
    }

    /// Stops taking requests, lets those under way end, and closes the stores.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        for server in self.servers {
            let _ = tokio::time::timeout(Duration::from_secs(5), server).await;
        }
        let _ = tokio::time::timeout(Duration::from_secs(5), self.stores.stopped()).await;
    }
}

/// The way out of the functions. A push key or a video's link that leads to one of our own ports would call the host's
/// API, which asks for no signature here, or a store: of all that, only what plays Pruvan beside the gateway is open.
fn outbound(stores: &[&str], gateway: &str) -> Outbound {
    let port =
        |url: &str| reqwest::Url::parse(url).ok().and_then(|url| url.port_or_known_default()).unwrap_or_default();
    let outbound = Outbound::with_loopback().with_own_port(port(gateway), &simulator::PATHS);
    stores.iter().fold(outbound, |outbound, url| outbound.with_own_port(port(url), &[]))
}

/// Where data is kept, and what removes it in the end if nothing is to stay.
fn folder(data: Option<&PathBuf>) -> Result<(PathBuf, Option<tempfile::TempDir>), StartError> {
    if let Some(data) = data {
        return Ok((data.clone(), None));
    }
    let made = tempfile::tempdir().map_err(|error| StartError(format!("no temporary folder: {error}")))?;
    Ok((made.path().to_owned(), Some(made)))
}
