//! Files of both sides, through this server: the page loads nothing from elsewhere, and shows no signed link.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use file_format::FileFormat;
use host_client::segment;

use crate::state::Console;

/// What may be shown: the rest is only to be saved.
const SHOWN: [&str; 7] =
    ["image/jpeg", "image/png", "image/gif", "image/webp", "application/pdf", "video/mp4", "video/quicktime"];

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
    let format = FileFormat::from_bytes(&bytes);
    // Of some the beginning doesn't tell whether they have a picture.
    let kind = if format.extension() == "mp4" { "video/mp4" } else { format.media_type() };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_videos_and_pdfs_are_shown_and_all_else_is_only_to_be_saved() {
        let told = |bytes: &'static [u8]| {
            let response = untrusted(Bytes::from_static(bytes));
            let headers = response.headers();
            let kind = headers[header::CONTENT_TYPE].to_str().unwrap().to_owned();
            (kind, headers.contains_key(header::CONTENT_DISPOSITION))
        };
        for (bytes, kind) in [
            (b"\xff\xd8\xff\xe0\0\x10JFIF".as_slice(), "image/jpeg"),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
            (b"GIF89a\x01\0\x01\0", "image/gif"),
            (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
            (b"%PDF-1.7\n", "application/pdf"),
            (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "video/mp4"),
            (b"\0\0\0\x14ftypisom\0\0\x02\0isom", "video/mp4"),
            (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "video/quicktime"),
        ] {
            assert_eq!(told(bytes), (kind.to_owned(), false), "{kind}");
        }
        for bytes in [
            b"<!DOCTYPE html><script>alert(1)</script>".as_slice(),
            b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>",
            b"<?xml version=\"1.0\"?><svg/>",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
            b"\x7fELF\x02\x01\x01",
            b"",
        ] {
            assert_eq!(told(bytes), ("application/octet-stream".to_owned(), true), "{}", bytes.escape_ascii());
        }
    }
}
