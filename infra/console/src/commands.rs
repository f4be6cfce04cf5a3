//! Pages without a system on this machine: our side of a deployed stack, and Pruvan alone.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use host_client::web_services::{pruvan_key, web_service_url};
use host_client::{CallError, HostClient, SetupError, stack};
use pruvan::integration::IntegrationType;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use simulator::desk::{Desk, DeskError};
use simulator::folder::{FolderError, take};
use simulator::listen::{ListenError, listen};
use simulator::{Integration, Simulator, system_ms};
use tokio::task::JoinHandle;

use crate::state::Console;

/// Why a page isn't served, with the next step.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// What was given doesn't do.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The host's API doesn't answer as it should.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A port can't be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// What Pruvan holds can't be kept.
    #[error(transparent)]
    Desk(#[from] DeskError),
    /// It is kept where another run keeps its own.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The implementation gives no answer.
    #[error("{0}; see that it runs (ours by `cargo run -p local`), and that --url is right")]
    NoAnswer(#[from] simulator::CallError),
    /// It says that the user name and the key are not right.
    #[error("validate is refused: {0}; compare --username, PRUVAN_KEY (or --token), --url and --extension")]
    NotValidated(String),
}

/// A page that is served.
pub struct Page {
    /// URL of the page on this machine, to be opened in a browser.
    pub url: String,
    /// What the page shows, in a line that is printed above its URL.
    pub about: String,
    desk: Option<Arc<Desk>>,
    servers: Vec<JoinHandle<()>>,
    /// Keeps the folder of the data for this run.
    _taken: Option<File>,
}

impl Page {
    /// Says where it is, serves it until it is interrupted, and keeps what is to be kept.
    pub async fn until_interrupted(self) -> Result<(), PageError> {
        eprintln!("{}\n\n  {}\n\nCtrl-C stops it.", self.about, self.url);
        interrupted().await;
        Ok(self.stop()?)
    }

    /// Stops it and keeps what is to be kept.
    pub fn stop(self) -> Result<(), DeskError> {
        self.servers.iter().for_each(JoinHandle::abort);
        self.desk.map_or(Ok(()), |desk| desk.save())
    }
}

/// Our side of a deployed stack.
#[derive(Debug, Clone, clap::Args)]
pub struct ConsoleOptions {
    /// Name of the stack
    #[arg(long, value_name = "NAME", required_unless_present = "host_url")]
    pub stack: Option<String>,
    /// Region of the stack [default: AWS_REGION, AWS_DEFAULT_REGION or us-east-1]
    #[arg(long, requires = "stack")]
    pub region: Option<String>,
    /// Base URL of the host's API, instead of a stack's name: its output HostUrl
    #[arg(long, conflicts_with = "stack")]
    pub host_url: Option<String>,
    /// Port of the page on 127.0.0.1; 0 picks a free one
    #[arg(long, default_value_t = 9001)]
    pub port: u16,
}

/// Pruvan alone.
#[derive(Debug, Clone, clap::Args)]
pub struct PruvanOptions {
    /// Web service URL of the implementation, as it is typed into Pruvan
    #[arg(long)]
    pub url: String,
    /// Extension of the web services: html, php, svc, aspx or empty
    #[arg(long, default_value = "html")]
    pub extension: String,
    /// The user name there
    #[arg(long)]
    pub username: String,
    /// The API key. Others on this machine can see command lines: the environment variable PRUVAN_KEY is safer
    #[arg(long)]
    pub token: Option<SecretString>,
    /// The host's own users (internal), rather than a vendor's (external)
    #[arg(long)]
    pub internal: bool,
    /// The option auto_admin of an external integration
    #[arg(long, conflicts_with = "internal")]
    pub auto_admin: bool,
    /// Public URL that leads to --push-port on this machine, such as a tunnel's: push keys begin with it; not needed
    /// for an implementation on this machine
    #[arg(long, value_name = "URL", requires = "push_port")]
    pub push_url: Option<String>,
    /// Port on 127.0.0.1 that takes pushes [default: a free one]
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    pub push_port: u16,
    /// Port of the page on 127.0.0.1; 0 picks a free one
    #[arg(long, default_value_t = 9001)]
    pub port: u16,
    /// Folder for what Pruvan holds, kept between runs; nothing is kept without it
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// Serves our side of a stack.
pub async fn console(options: &ConsoleOptions) -> Result<Page, PageError> {
    let (host, place) = match (&options.host_url, &options.stack) {
        (Some(url), _) => (HostClient::new(url)?, url.clone()),
        (None, stack) => {
            let stack = stack.as_deref().unwrap_or_default();
            let (_, host_url) = stack::urls_of(stack, options.region.as_deref()).await?;
            (HostClient::new(&host_url)?, format!("stack {stack}"))
        }
    };
    // Before a page is opened that could only say so.
    host.get("/accounts").await?;
    let (listener, url) = listen(options.port).await?;
    let console = Console::new(&url, &place, None, Some(host));
    Ok(Page {
        about: format!("Our side, {place}:"),
        url: format!("{url}/console"),
        desk: None,
        servers: vec![serve(listener, console.routes())],
        _taken: None,
    })
}

/// Serves a Pruvan with one integration.
pub async fn pruvan(options: &PruvanOptions) -> Result<Page, PageError> {
    let token = options.token.clone().or_else(pruvan_key).ok_or_else(|| {
        SetupError("give the API key, in the environment variable PRUVAN_KEY or with --token".to_owned())
    })?;
    let web_service_url = web_service_url(&options.url)?;
    let web_service_url = web_service_url.as_str().trim_end_matches('/');
    let taken = options.data.as_deref().map(take).transpose()?;
    let (listener, url) = listen(options.port).await?;
    // A port of its own: what a tunnel leads to must not have the page.
    let (pushes, push_url) = listen(options.push_port).await?;
    let reached = options.push_url.as_deref().unwrap_or(&push_url).trim_end_matches('/').to_owned();
    let desk = Desk::open(options.data.as_deref(), Simulator::at(&reached, system_ms))?;
    let kind = if options.internal { IntegrationType::Internal } else { IntegrationType::External };
    let (username, extension) = (options.username.trim(), options.extension.trim_start_matches('.'));
    let simulator = &desk.simulator;
    let token = token.expose_secret();
    let integration = simulator.integrate(web_service_url, extension, username, token, kind, options.auto_admin);
    // Before a page is opened on which the first button would say so.
    let odd = check(&integration).await?;
    desk.set_up(integration);
    let receiver = serve(pushes, desk.simulator.routes());
    let mut console = Console::new(&url, &format!("Pruvan for {web_service_url}"), Some(desk.clone()), None);
    web_service_url.clone_into(&mut console.web_service_url);
    let about = format!("{odd}A Pruvan for {web_service_url}, whose push keys begin with {reached}:");
    Ok(Page {
        about,
        url: format!("{url}/console"),
        desk: Some(desk),
        servers: vec![receiver, serve(listener, console.routes())],
        _taken: taken,
    })
}

/// Asks whether the implementation takes the user name and the key, and gives what is odd about the answer: that is
/// what the page is there to show. No push key is sent: which one an account has is decided by who presses Validate.
async fn check(integration: &Integration) -> Result<String, PageError> {
    let exchange = integration.call("validate", json!({}), None).await?;
    let reply = exchange.reply();
    match reply["validated"].as_bool() {
        Some(true) => Ok(String::new()),
        Some(false) => Err(PageError::NotValidated(reply["error"].as_str().unwrap_or_default().to_owned())),
        None => Ok(format!(
            "{} answers with status {} and not as validate does: compare --url and --extension, and see The wire.\n",
            exchange.url, exchange.status
        )),
    }
}

fn serve(listener: tokio::net::TcpListener, routes: axum::Router) -> JoinHandle<()> {
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::error!(%error, "page.stopped");
        }
    })
}

/// Ctrl-C, or what a process manager sends.
pub async fn interrupted() {
    #[cfg(unix)]
    if let Ok(mut terminated) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated.recv() => {}
        }
        return;
    }
    let _ = tokio::signal::ctrl_c().await;
}
