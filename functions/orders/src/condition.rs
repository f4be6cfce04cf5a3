//! `ETag`, `If-Match` and `If-None-Match` (RFC 9110): of two writers that read the same order, the second is told.
//!
//! The tag is that of the order as the host gave it. What Pruvan reports changes no tag, or a busy crew would keep the
//! host from writing.

use bridge::http::Problem;
use bridge::orders::Order;
use lambda_http::http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use lambda_http::http::{HeaderName, HeaderValue, StatusCode};
use lambda_http::{Body, Request, Response};

/// What must hold of an order before it is written.
#[derive(Debug, Default)]
pub struct Condition {
    /// It has one of these tags; or it is there at all.
    matching: Option<Tags>,
    /// It is not there.
    absent: bool,
}

#[derive(Debug)]
enum Tags {
    Any,
    These(Vec<String>),
}

impl Condition {
    /// From the request's headers.
    pub fn read(request: &Request) -> Result<Condition, Problem> {
        let matching = match header(request, &IF_MATCH)? {
            None => None,
            Some("*") => Some(Tags::Any),
            Some(tags) => Some(Tags::These(tags.split(',').map(|tag| tag.trim().to_owned()).collect())),
        };
        let absent = match header(request, &IF_NONE_MATCH)? {
            None => false,
            Some("*") => true,
            Some(_) => {
                return Err(Problem::bad_request("If-None-Match is understood with * only: the order must be new"));
            }
        };
        Ok(Condition { matching, absent })
    }

    /// Whether it holds of the order as it is, `None` if there is none.
    pub fn check(&self, order: Option<&Order>) -> Result<(), Problem> {
        let failed = |detail: String| Err(Problem::new(StatusCode::PRECONDITION_FAILED, detail));
        match (order, &self.matching) {
            (Some(_), _) if self.absent => {
                failed("the order is there already: without If-None-Match it is replaced".to_owned())
            }
            (None, Some(_)) => failed("there is no such order: without If-Match it is made".to_owned()),
            (Some(order), Some(Tags::These(tags))) if !tags.contains(&etag(order)) => failed(format!(
                "the order has changed since, its ETag is {} now: GET it, apply your change to that, and send it again",
                etag(order)
            )),
            _ => Ok(()),
        }
    }
}

fn header<'a>(request: &'a Request, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let value = request.headers().get(name).map(|value| value.to_str().map(str::trim));
    value.transpose().map_err(|_| Problem::bad_request(format!("{name} is not ASCII")))
}

/// Quoted, as it stands in headers.
fn etag(order: &Order) -> String {
    format!("\"{}\"", order.version)
}

/// The reply with the order's tag.
pub fn with_etag(mut reply: Response<Body>, order: &Order) -> Response<Body> {
    if let Ok(tag) = HeaderValue::from_str(&etag(order)) {
        reply.headers_mut().insert(ETAG, tag);
    }
    reply
}
