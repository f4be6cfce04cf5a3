//! The HTTP edge: replies to Pruvan and to the host, and the guard that lets no panic out.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use lambda_http::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use lambda_http::http::{HeaderValue, StatusCode};
use lambda_http::{Body, Response};
use pruvan::work_order::Remark;
use serde::Serialize;

use crate::store::StoreError;
use crate::streamed::Streamed;

/// A page of a list ends early at about so many bytes. With its quotes escaped, and more than one thing above that, the
/// reply fits Lambda's 6 MB.
pub const PAGE_BYTES: usize = 2_000_000;

/// What Pruvan is told when our own stores fail. It is shown to a person, who can only try again.
pub const TRY_AGAIN: &str = "the order system is not available at the moment: please try again in a few minutes";

/// And when others change the same thing all the while.
pub const TRY_AGAIN_CONTENDED: &str = "others are changing the same at the moment: please try again in a minute";

/// What Pruvan is told of a store that didn't do what it was asked.
pub fn try_again(error: &StoreError) -> &'static str {
    if error.is_contention() { TRY_AGAIN_CONTENDED } else { TRY_AGAIN }
}

/// A reply to Pruvan: always 200, since its documented JSON says what went wrong.
pub fn to_pruvan(reply: &impl Serialize) -> Response<Body> {
    json(StatusCode::OK, "application/json", reply)
}

/// A reply to Pruvan that is JSON already.
pub fn to_pruvan_text(body: String) -> Response<Body> {
    with_body(StatusCode::OK, "application/json", body)
}

/// A reply to Pruvan that is JSON, and still being made.
pub fn to_pruvan_streamed(body: Streamed) -> Response<Streamed> {
    to_pruvan_text(String::new()).map(|_| body)
}

/// A reply to the host.
pub fn to_host(status: StatusCode, reply: &impl Serialize) -> Response<Body> {
    json(status, "application/json", reply)
}

/// A reply to the host without a body.
pub fn no_content() -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

fn json(status: StatusCode, content_type: &'static str, reply: &impl Serialize) -> Response<Body> {
    match serde_json::to_string(reply) {
        Ok(body) => with_body(status, content_type, body),
        Err(_) => {
            with_body(StatusCode::INTERNAL_SERVER_ERROR, content_type, "{\"error\":\"internal error\"}".to_owned())
        }
    }
}

/// A reply with a text of this type.
pub fn with_body(status: StatusCode, content_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::Text(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An error reply of the host's API: `application/problem+json`, RFC 9457.
#[derive(Debug, Serialize)]
pub struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    /// The fields at fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Remark>,
    /// What is behind it, for the log.
    #[serde(skip)]
    behind: Option<Box<StoreError>>,
}

impl Problem {
    /// A problem of a status code; `detail` says what to do.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Problem {
        let kind = "about:blank";
        let title = status.canonical_reason().unwrap_or("Error");
        Problem { kind, title, status: status.as_u16(), detail: detail.into(), errors: Vec::new(), behind: None }
    }

    /// The request can't be done as it is (400): what its sender has to change.
    pub fn bad_request(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, detail)
    }

    /// What the path names isn't there (404).
    pub fn not_found(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, detail)
    }

    /// 422, with the fields at fault.
    pub fn fields(errors: Vec<Remark>) -> Problem {
        let detail = match errors.as_slice() {
            [only] => format!("{} {}", only.field, only.detail).trim_start().to_owned(),
            several => format!("{} fields are at fault; errors names each", several.len()),
        };
        Problem { errors, ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail) }
    }

    /// What is wrong, in one line.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Whether it says that something isn't there (404).
    pub fn is_not_found(&self) -> bool {
        self.status == StatusCode::NOT_FOUND.as_u16()
    }

    /// What went wrong, for the log: no value of the request is in it, which may be anything.
    pub fn why(&self) -> String {
        match &self.behind {
            Some(error) => error.to_string(),
            None if self.errors.is_empty() => self.title.to_owned(),
            None => self.errors.iter().map(|error| error.field.as_str()).take(20).collect::<Vec<_>>().join(" "),
        }
    }

    /// The fields at fault.
    pub fn errors(&self) -> &[Remark] {
        &self.errors
    }

    /// Where a store is behind it: what that said.
    pub fn behind(&self) -> Option<&StoreError> {
        self.behind.as_deref()
    }

    /// The problem as `application/problem+json` (RFC 9457). Where others were quicker, the same request does it a
    /// little later.
    pub fn response(&self) -> Response<Body> {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = json(status, "application/problem+json", self);
        if self.behind().is_some_and(StoreError::is_contention) {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<Vec<Remark>> for Problem {
    fn from(errors: Vec<Remark>) -> Problem {
        Problem::fields(errors)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        let (status, detail) = match error {
            // No 5XX, which would ring an alarm.
            StoreError::Contended(_) => {
                (StatusCode::CONFLICT, "others changed the same row all the while: send the request again")
            }
            _ => (
                StatusCode::SERVICE_UNAVAILABLE,
                "the database is not available at the moment: send the request again in a few seconds",
            ),
        };
        Problem { behind: Some(Box::new(error)), ..Problem::new(status, detail) }
    }
}

/// Runs a handler; if it panics, logs that and answers with `on_panic`. A panic is a bug, and still answers JSON.
pub async fn guarded<T>(handler: impl Future<Output = T>, on_panic: impl FnOnce() -> T) -> T {
    match AssertUnwindSafe(handler).catch_unwind().await {
        Ok(reply) => reply,
        Err(_) => {
            tracing::error!("handler.panicked");
            on_panic()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_others_were_quicker_the_host_is_told_when_to_send_it_again() {
        let told = |error| {
            let response = Problem::from(error).response();
            (response.status().as_u16(), response.headers().get(RETRY_AFTER).cloned())
        };
        assert_eq!(told(StoreError::Contended("the order")), (409, Some(HeaderValue::from_static("1"))));
        assert_eq!(told(StoreError::Unfit("an update")), (503, None));
    }
}
