//! The console: one page that plays Pruvan, shows what our side makes of it, and every exchange between the two.
//!
//! Our side is shown through the host's API alone, so that the same page shows a deployed stack. All pages are plain HTML with links and
//! forms, which work as they are; htmx swaps what has changed.

mod act;
mod file;
mod our_side;
mod page;
mod positions;
mod pruvan_side;
mod results;
mod view;
mod wire_side;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use crate::desk::{Desk, Told};
use crate::gateway::is_from_here;
use crate::host_client::HostClient;
use view::View;

/// What a form may bring: a photo.
const MAX_FORM: usize = 32 * 1024 * 1024;

/// The page's own files. Its policy lets it load nothing else, and nothing from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

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
    client: reqwest::Client,
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

    /// Everything below `/console`.
    pub fn routes(self) -> Router {
        let console = Arc::new(self);
        Router::new()
            .route("/console", get(show))
            .route("/console/pulse", get(pulse))
            .route("/console/do/{action}", post(act::act))
            .route("/console/file/{username}/{uu_id}/{part}", get(file::file))
            .route("/console/item/{username}/{uu_id}", get(file::item))
            .route("/console/wire/{id}", get(wire_side::whole))
            .route("/console/wire/{id}/{part}", get(wire_side::part))
            .route("/console/assets/{name}", get(asset))
            .layer(DefaultBodyLimit::max(MAX_FORM))
            .layer(from_fn_with_state(console.clone(), guard))
            .with_state(console)
    }

    /// Notes what came of a button.
    fn tell(&self, told: Option<Told>) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = told;
    }

    fn told(&self) -> Option<Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes whenever the page would.
    fn version(&self) -> u64 {
        let desk = self.desk.as_ref().map_or(0, |desk| desk.changes());
        desk + self.activity.as_ref().map_or(0, |count| count.load(std::sync::atomic::Ordering::Relaxed))
    }

    /// Why a request is not answered, if it isn't.
    fn why_not(&self, method: &Method, headers: &HeaderMap) -> Option<&'static str> {
        if !is_from_here(headers) {
            return Some("the console answers only on its own machine, and nothing that came from elsewhere");
        }
        let elsewhere = headers.get("sec-fetch-site").is_some_and(|from| from == "cross-site" || from == "same-site");
        (elsewhere && method != Method::GET).then_some("the console takes nothing from other pages")
    }
}

/// The console shows keys to whoever asks, so other pages in the same browser must not be able to: neither by a name of theirs that leads
/// here, nor by a form of theirs that is sent here.
async fn guard(State(console): State<Arc<Console>>, request: Request, next: Next) -> Response {
    if let Some(why) = console.why_not(request.method(), request.headers()) {
        return (StatusCode::FORBIDDEN, format!("{why}: open {}/console\n", console.url)).into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn show(State(console): State<Arc<Console>>, Query(view): Query<View>) -> Response {
    page::page(&console, &view).await.into_response()
}

#[derive(Deserialize)]
struct Seen {
    #[serde(default)]
    seen: u64,
}

/// Asked every other second: says when there is something new to see.
async fn pulse(State(console): State<Arc<Console>>, Query(Seen { seen }): Query<Seen>) -> Response {
    if console.version() == seen {
        return StatusCode::NO_CONTENT.into_response();
    }
    let mut headers = HeaderMap::new();
    headers.insert("hx-trigger", HeaderValue::from_static("changed"));
    (StatusCode::NO_CONTENT, headers).into_response()
}

async fn asset(Path(name): Path<String>) -> Response {
    let (content_type, text) = match name.as_str() {
        "console.css" => ("text/css", include_str!("console/assets/console.css")),
        "console.js" => ("text/javascript", include_str!("console/assets/console.js")),
        // 4.0.1, as the npm package htmx.org has it; its licence lies beside it.
        "htmx.js" => ("text/javascript", include_str!("console/assets/htmx.min.js")),
        "icon.svg" => ("image/svg+xml", include_str!("console/assets/icon.svg")),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    ([(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "no-cache")], text).into_response()
}
