//! API Gateway: turns HTTP into REST proxy events with AWS's own limits, calls the functions, and answers with the
//! template's gateway responses where a request never reaches one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bridge::secrets::hex;
use bridge::time::Random;
use futures_util::StreamExt as _;
use serde_json::{Map, Value, json};
use simulator::listen::is_from_here;

use crate::functions::{Function, Reply};
use crate::template::{Api, Route};

/// API Gateway's limit for a body.
const MAX_BODY: usize = 10 * 1024 * 1024;

/// Lambda's limit for an event, as JSON.
const MAX_EVENT: usize = 6_291_456;

/// Lambda's limit for a buffered reply, as JSON.
const MAX_REPLY: usize = 6_291_556;

/// API Gateway's limit for an integration.
const TIMEOUT: Duration = Duration::from_secs(29);

/// What it says above [`MAX_BODY`], whatever the template's gateway responses are.
const BODY_TOO_LONG: &str = "HTTP content length exceeded 10485760 bytes.";

/// What it says of the host's API to other pages, and to what comes through a tunnel: there is no such thing in AWS.
const NOT_FROM_HERE: &str = r#"{"type":"about:blank","title":"Forbidden","status":403,"detail":"on this machine the host's API asks for no signature, so it takes nothing from other pages or through a tunnel: call it from a program on this machine"}"#;

/// What is reported of API Gateway both ways, or differs from how this gateway does it by itself; for tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct Variant {
    /// What fits the gateway but not Lambda (6 to 10 MB) is answered with `{"message":"Request Too Long"}`, and not
    /// with the template's gateway response.
    pub has_its_own_too_long: bool,
    /// A streamed reply is read to its end though the caller has hung up, so that the function never learns of it.
    pub reads_on: bool,
}

/// Both APIs on one port, unsigned.
pub struct Gateway {
    routes: Vec<(Route, Function, Duration)>,
    apis: BTreeMap<String, Api>,
    variant: Variant,
}

impl Gateway {
    /// A gateway of these routes, each with its function and that one's time-out.
    pub fn new(
        routes: Vec<(Route, Function, Duration)>,
        apis: BTreeMap<String, Api>,
        variant: Variant,
    ) -> Arc<Gateway> {
        Arc::new(Gateway { routes, apis, variant })
    }

    /// Answers one request with what the route's function replies, or with an error of the gateway's own: if there is
    /// no such route, the caller may not use it, something is too large, or the function fails or takes too long.
    pub async fn answer(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        let chosen = gateway.routes.iter().find_map(|(route, function, timeout)| {
            let parameters = path_parameters(&route.path, path).filter(|_| route.method == parts.method.as_str())?;
            Some((route, function, *timeout, parameters))
        });
        let Some((route, Function::Http(function), timeout, parameters)) = chosen else {
            if path == "/" && parts.method == Method::GET && accepts_a_page(&parts.headers) {
                // Whoever opens the address in a browser wants to see something.
                return Redirect::to("/console").into_response();
            }
            return gateway.refused(api_of(path), StatusCode::FORBIDDEN, "MISSING_AUTHENTICATION_TOKEN");
        };
        if route.api == "HostApi" && !is_from_here(&parts.method, &parts.headers) {
            // Nothing is signed here, so that a page from elsewhere, or whoever a tunnel brings, could do as it likes.
            return reply(StatusCode::FORBIDDEN, "application/problem+json", NOT_FROM_HERE.to_owned());
        }
        let Ok(body) = to_bytes(body, MAX_BODY).await else {
            return reply(StatusCode::PAYLOAD_TOO_LARGE, "text/plain", BODY_TOO_LONG.to_owned());
        };
        let binary = gateway.apis.get(&route.api).is_some_and(|api| api.binary);
        let event = event(route, binary, &parts, parameters, &body);
        if event.len() > MAX_EVENT {
            return match gateway.variant.has_its_own_too_long {
                true => message(StatusCode::PAYLOAD_TOO_LARGE, "Request Too Long"),
                false => gateway.refused(&route.api, StatusCode::PAYLOAD_TOO_LARGE, "REQUEST_TOO_LARGE"),
            };
        }
        let failed = |status, kind| gateway.refused(&route.api, status, kind);
        let request = match lambda_http::request::from_str(&event) {
            Ok(request) => request,
            Err(error) => {
                tracing::error!(%error, "gateway.bad_event");
                return failed(StatusCode::INTERNAL_SERVER_ERROR, "API_CONFIGURATION_ERROR");
            }
        };
        // The function runs to its end even if the caller hangs up, as in Lambda.
        let running = tokio::spawn(function(request));
        match tokio::time::timeout(timeout.min(TIMEOUT), running).await {
            Ok(Ok(Reply::Buffered(reply))) => {
                to_http(reply).unwrap_or_else(|| failed(StatusCode::BAD_GATEWAY, "INTEGRATION_FAILURE"))
            }
            Ok(Ok(Reply::Streamed(reply))) if gateway.variant.reads_on => reply.map(|body| read_on(Body::new(body))),
            Ok(Ok(Reply::Streamed(reply))) => reply.map(Body::new),
            Ok(Err(_)) => failed(StatusCode::BAD_GATEWAY, "INTEGRATION_FAILURE"),
            Err(_) => failed(StatusCode::GATEWAY_TIMEOUT, "INTEGRATION_TIMEOUT"),
        }
    }

    /// The template's gateway response of this type, or of all of its class.
    fn refused(&self, api: &str, status: StatusCode, kind: &str) -> Response<Body> {
        let class = if status.is_server_error() { "DEFAULT_5XX" } else { "DEFAULT_4XX" };
        let responses = self.apis.get(api).map(|api| &api.responses);
        let response = responses.and_then(|responses| responses.get(kind).or_else(|| responses.get(class)));
        let Some(response) = response else { return message(status, kind) };
        reply(status, &response.content_type, response.body.clone())
    }
}

/// Whether a page is what the caller would like best, as browsers do and Pruvan, SDKs and curl don't.
fn accepts_a_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    accept.split([',', ';']).any(|kind| kind.trim() == "text/html")
}

/// What the gateway says where the template doesn't.
fn message(status: StatusCode, text: &str) -> Response<Body> {
    reply(status, "application/json", json!({ "message": text }).to_string())
}

fn reply(status: StatusCode, content_type: &str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    if let Ok(content_type) = content_type.parse() {
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    }
    response
}

/// The same body, which is read to its end whether or not anybody takes it.
fn read_on(body: Body) -> Body {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        let mut parts = body.into_data_stream();
        while let Some(part) = parts.next().await {
            // Whoever hung up gets no more.
            let _ = sender.send(part).await;
        }
    });
    Body::from_stream(futures_util::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|part| (part, receiver))
    }))
}

/// Whose error an unknown path gets: all of the host's begin alike.
fn api_of(path: &str) -> &'static str {
    if path.starts_with("/accounts") { "HostApi" } else { "PruvanApi" }
}

/// The values of a route's `{parameters}` if it is the path's: as they were sent, still encoded.
fn path_parameters(route: &str, path: &str) -> Option<Map<String, Value>> {
    let (mut route, mut path) = (route.split('/'), path.split('/'));
    let mut parameters = Map::new();
    loop {
        match (route.next(), path.next()) {
            (None, None) => return Some(parameters),
            (Some(part), Some(value)) => match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                Some(name) if !value.is_empty() => {
                    parameters.insert(name.to_owned(), Value::from(value));
                }
                None if part == value => {}
                _ => return None,
            },
            _ => return None,
        }
    }
}

fn event(
    route: &Route,
    binary: bool,
    parts: &axum::http::request::Parts,
    parameters: Map<String, Value>,
    body: &[u8],
) -> String {
    let query: Vec<(String, String)> = parts.uri.query().map(query_pairs).unwrap_or_default();
    let (headers, multi_headers) = collect(header_pairs(&parts.headers));
    let (single, multi) = collect(query);
    let body = match (body.is_empty(), binary) {
        (true, _) => Value::Null,
        (false, true) => Value::from(STANDARD.encode(body)),
        (false, false) => Value::from(String::from_utf8_lossy(body)),
    };
    let or_null = |map: Map<String, Value>| if map.is_empty() { Value::Null } else { Value::Object(map) };
    json!({
        "resource": route.path,
        "path": parts.uri.path(),
        "httpMethod": parts.method.as_str(),
        "headers": headers,
        "multiValueHeaders": multi_headers,
        "queryStringParameters": or_null(single),
        "multiValueQueryStringParameters": or_null(multi),
        "pathParameters": or_null(parameters),
        "stageVariables": null,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": route.api,
            "resourceId": "local",
            "resourcePath": route.path,
            "httpMethod": parts.method.as_str(),
            "path": parts.uri.path(),
            "stage": "live",
            "requestId": hex(&Random::system().bytes::<8>()),
            "protocol": "HTTP/1.1",
            "identity": { "sourceIp": "127.0.0.1" },
        },
        "body": body,
        "isBase64Encoded": binary && !body.is_null(),
    })
    .to_string()
}

fn header_pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}

/// Decoded, as the gateway decodes query parameters.
fn query_pairs(query: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// The last value of each name, and all of them.
fn collect(pairs: Vec<(String, String)>) -> (Map<String, Value>, Map<String, Value>) {
    let (mut single, mut multi) = (Map::new(), Map::new());
    for (name, value) in pairs {
        if let Value::Array(values) = multi.entry(name.clone()).or_insert_with(|| Value::Array(Vec::new())) {
            values.push(Value::from(value.as_str()));
        }
        single.insert(name, Value::from(value));
    }
    (single, multi)
}

/// The HTTP response that the gateway makes of a function's; `None` if it is larger than Lambda hands on.
fn to_http(reply: lambda_http::Response<lambda_http::Body>) -> Option<Response<Body>> {
    let (parts, body) = reply.into_parts();
    let escaped = |text: &str| text.len() + text.bytes().filter(|byte| matches!(byte, b'"' | b'\\' | 0..=31)).count();
    let (size, body) = match body {
        lambda_http::Body::Text(text) => (escaped(&text), Body::from(text)),
        lambda_http::Body::Binary(bytes) => (bytes.len().div_ceil(3) * 4, Body::from(bytes)),
        _ => (0, Body::empty()),
    };
    (size + 300 <= MAX_REPLY).then(|| Response::from_parts(parts, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_match_whole_segments_and_keep_encoding() {
        let path = "/accounts/{username}/orders/{workOrderNumber}";
        let parameters = path_parameters(path, "/accounts/u/orders/A%2F1%20%25").unwrap();
        assert_eq!(parameters["workOrderNumber"], "A%2F1%20%25");
        assert!(path_parameters(path, "/accounts/u/orders/").is_none());
        assert!(path_parameters(path, "/accounts/u/orders/a/b").is_none());
        assert!(path_parameters("/validate.html", "/validate.html").is_some());
        assert!(path_parameters("/validate.html", "/validate").is_none());
    }
}
