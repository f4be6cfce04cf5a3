//! Files of both sides, through this server: the page loads nothing from elsewhere, and shows no signed link.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use host_client::segment;

use crate::state::Console;

/// What may be shown: the rest is only to be saved.
const SHOWN: [&str; 6] = ["image/jpeg", "image/png", "image/gif", "image/webp", "application/pdf", "video/mp4"];

/// A file of an item on our side.
pub async fn file(
    State(console): State<Arc<Console>>,
    Path((username, id, part)): Path<(String, String, String)>,
    asked: HeaderMap,
) -> Response {
    let missing = || (StatusCode::NOT_FOUND, "there is no such file\n").into_response();
    let Some(host) = &console.host else { return missing() };
    let mut link = console.link(&username, &id, &part);
    if link.is_none() {
        let path = format!("/accounts/{}/uploads/{}", segment(&username), segment(&id));
        if let Ok(item) = host.get(&path).await {
            console.note_links(&username, &item);
            link = console.link(&username, &id, &part);
        }
    }
    let Some(link) = link else { return missing() };
    // A browser asks for parts of a video.
    let range = asked.get(header::RANGE).map(|range| (header::RANGE, range.clone()));
    let reply = match console.client.get(link).headers(range.into_iter().collect()).send().await {
        Ok(reply) if reply.status().is_success() => reply,
        _ => return (StatusCode::BAD_GATEWAY, "the file could not be fetched from S3\n").into_response(),
    };
    let (status, headers) = (reply.status(), reply.headers().clone());
    let said = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let chunks = futures_util::stream::try_unfold(reply, |mut reply| async move {
        reply.chunk().await.map(|chunk| chunk.map(|chunk| (chunk, reply)))
    });
    let mut response = shown(said, Body::from_stream(chunks));
    *response.status_mut() = status;
    for name in [header::CONTENT_LENGTH, header::CONTENT_RANGE, header::ACCEPT_RANGES] {
        if let Some(value) = headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

/// A file of an item on Pruvan's side.
pub async fn item(State(console): State<Arc<Console>>, Path((username, id)): Path<(String, String)>) -> Response {
    let account = console.desk.as_ref().and_then(|desk| desk.account(&username));
    let made = account.as_ref().and_then(|account| account.item(&id));
    let file = account.zip(made).and_then(|(account, made)| account.file(&made).ok().flatten());
    match file {
        Some(file) => untrusted(file.into()),
        None => (StatusCode::NOT_FOUND, "there is no such file\n").into_response(),
    }
}

/// Bytes that came from outside, of a kind that is told by what they begin with.
pub fn untrusted(bytes: Bytes) -> Response {
    let kind = infer::get(&bytes).map_or("", |kind| kind.mime_type());
    shown(kind, Body::from(bytes))
}

/// What came from outside is shown only if it is of a kind that can do nothing; all else can be saved.
fn shown(kind: &str, body: Body) -> Response {
    let known = SHOWN.iter().find(|known| kind.starts_with(**known)).copied();
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(known.unwrap_or("application/octet-stream")));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=600"));
    if known.is_none() {
        headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    }
    (headers, body).into_response()
}
