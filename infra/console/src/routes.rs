//! The page's routes, who may call them, and its own files.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use simulator::listen::is_from_here;

use crate::state::Console;
use crate::view::View;
use crate::{act, file, page, wire_side};

/// What a form may bring: a photo.
const MAX_FORM: usize = 32 * 1024 * 1024;

/// The page's own files. Its policy lets it load nothing else, and nothing from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

impl Console {
    /// Routes of the page and of all that it fetches, below `/console`. They answer on this machine only.
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
}

/// The console shows keys to whoever asks, so other pages in the same browser must not be able to: neither by a name of
/// theirs that leads here, nor by a form of theirs that is sent here.
async fn guard(State(console): State<Arc<Console>>, request: Request, next: Next) -> Response {
    if !is_from_here(request.method(), request.headers()) {
        let why =
            "the console takes nothing from other pages or through a tunnel, and answers on its own machine alone";
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
        "console.css" => ("text/css", include_str!("assets/console.css")),
        "console.js" => ("text/javascript", include_str!("assets/console.js")),
        // 4.0.1, as the npm package htmx.org has it; its licence lies beside it.
        "htmx.js" => ("text/javascript", include_str!("assets/htmx.min.js")),
        "icon.svg" => ("image/svg+xml", include_str!("assets/icon.svg")),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    ([(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "no-cache")], text).into_response()
}
