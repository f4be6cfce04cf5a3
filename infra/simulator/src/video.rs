//! Links to videos, as a crew's items have them.

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::Response;

/// What an MP4 begins with.
pub const MP4_HEAD: &[u8] = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom";

/// What a video's link gives.
#[derive(Debug, Clone)]
pub enum VideoReply {
    /// These bytes with status 200, as the whole video.
    Bytes(Vec<u8>),
    /// A video of so many bytes, made as it is sent.
    Made(u64),
    /// The beginning of a video, and then the connection breaks.
    Cut(Vec<u8>),
    /// Status 302, which redirects to this URL.
    Redirect(String),
    /// This status and a page.
    Status(u16),
}

/// The response to a request for a video.
pub(crate) fn answer(reply: Option<VideoReply>) -> Response {
    let (mut status, mut location, mut length) = (StatusCode::OK, None, None);
    let body = match reply {
        Some(VideoReply::Bytes(bytes)) => Body::from(bytes),
        Some(VideoReply::Made(size)) => {
            length = Some(size);
            Body::from_stream(made(size))
        }
        Some(VideoReply::Cut(bytes)) => {
            length = Some(bytes.len() as u64 + 1);
            let cut = Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
            Body::from_stream(futures_util::stream::iter([Ok(bytes), cut]))
        }
        Some(VideoReply::Redirect(to)) => {
            (status, location) = (StatusCode::FOUND, Some(to));
            Body::empty()
        }
        Some(VideoReply::Status(code)) => {
            status = StatusCode::from_u16(code).unwrap_or(StatusCode::NOT_FOUND);
            Body::from("<html>the link has expired</html>")
        }
        None => {
            status = StatusCode::NOT_FOUND;
            Body::empty()
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if let Some(location) = location.and_then(|location| location.parse().ok()) {
        headers.insert("location", location);
    }
    if let Some(length) = length {
        headers.insert("content-length", length.into());
    }
    response
}

/// So many bytes that begin like an MP4.
fn made(size: u64) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> {
    const CHUNK: usize = 64 * 1024;
    let zeros = Bytes::from_static(&[0; CHUNK]);
    futures_util::stream::unfold(0, move |sent: u64| {
        let zeros = zeros.clone();
        async move {
            let left = usize::try_from(size - sent).unwrap_or(usize::MAX).min(CHUNK);
            let chunk = if sent == 0 { MP4_HEAD[..left.min(MP4_HEAD.len())].into() } else { zeros.slice(..left) };
            (left > 0).then(|| (Ok(chunk.clone()), sent + chunk.len() as u64))
        }
    })
}
