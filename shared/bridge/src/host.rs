//! What the two functions of the host's API share: paths, bodies, cursors and names.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lambda_http::http::StatusCode;
use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt as _, Response};
use percent_encoding::percent_decode_str;
use pruvan::lenient::not_json;
use serde_json::{Map, Value};

use crate::accounts::{Account, Accounts};
use crate::http::{Problem, guarded};
use crate::telemetry::{Notes, Telemetry};

/// Runs a handler of the host's API, and records what became of its request.
pub async fn answer(
    telemetry: &Telemetry,
    request: &Request,
    handler: impl Future<Output = Result<Response<Body>, Problem>>,
) -> Response<Body> {
    let mut record = telemetry.request(request);
    record.note("route", format!("{} {}", request.method(), route(request)));
    if let Some(username) = path_parameter(request, "username").ok().filter(|username| !username.is_empty()) {
        record.account(&pruvan::credentials::normalize_username(&username));
    }
    if let Some(number) = path_parameter(request, "workOrderNumber").ok().filter(|number| !number.is_empty()) {
        record.order(&number);
    }
    let internal = || Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "a fault of this service; it is logged"));
    let mut contention = None;
    let mut response = match guarded(handler, internal).await {
        Ok(response) => response,
        Err(problem) => {
            record.note("error", problem.why());
            contention = problem.behind().filter(|error| error.is_contention()).cloned();
            problem.response()
        }
    };
    for (name, value) in response.extensions_mut().remove::<Notes>().unwrap_or_default().0 {
        record.note(name, value);
    }
    record.status(response.status());
    if let Some(error) = contention {
        record.store_failed(&error);
    }
    response
}

/// The route that API Gateway chose, such as `/accounts/{username}/orders`.
pub fn route(request: &Request) -> String {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => context.resource_path.clone().unwrap_or_default(),
        _ => String::new(),
    }
}

/// A path parameter, percent-decoded: a REST API hands it on as it was sent.
pub fn path_parameter(request: &Request, name: &str) -> Result<String, Problem> {
    let parameters = request.path_parameters_ref();
    let encoded = parameters.and_then(|parameters| parameters.first(name)).unwrap_or_default();
    let decoded = percent_decode_str(encoded).decode_utf8();
    decoded.map(|text| text.into_owned()).map_err(|_| Problem::bad_request(format!("{name} in the path is not UTF-8")))
}

/// The path's `username`, as accounts are keyed.
pub fn username(request: &Request) -> Result<String, Problem> {
    Ok(pruvan::credentials::normalize_username(&path_parameter(request, "username")?))
}

/// The account that the path names.
pub async fn account(accounts: &Accounts, request: &Request) -> Result<Account, Problem> {
    let username = username(request)?;
    let account = if username.is_empty() || username.len() > 100 { None } else { accounts.get(&username).await? };
    account.ok_or_else(|| {
        Problem::not_found(format!("there is no account {username:?}: PUT /accounts/{{username}} makes one"))
    })
}

/// The body as JSON.
pub fn json(request: &Request) -> Result<Value, Problem> {
    let body: &[u8] = request.body().as_ref();
    if body.trim_ascii().is_empty() {
        return Err(Problem::bad_request("the request has no body: send JSON"));
    }
    serde_json::from_slice(body).map_err(|error| Problem::bad_request(format!("the body {}", not_json(&error))))
}

/// The body as a JSON object.
pub fn json_object(request: &Request) -> Result<Map<String, Value>, Problem> {
    match json(request)? {
        Value::Object(map) => Ok(map),
        _ => Err(Problem::bad_request("the body must be a JSON object")),
    }
}

/// A query parameter of the request, the first if it comes several times.
pub fn query(request: &Request, name: &str) -> Option<String> {
    request.query_string_parameters_ref().and_then(|parameters| parameters.first(name)).map(str::to_owned)
}

/// The names of the query parameters.
pub fn query_names(request: &Request) -> impl Iterator<Item = String> {
    let parameters = request.query_string_parameters();
    parameters.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>().into_iter()
}

/// The query parameter `cursor`, as [`cursor`] made it.
pub fn read_cursor(request: &Request) -> Result<Option<String>, Problem> {
    let Some(cursor) = query(request, "cursor") else { return Ok(None) };
    let text = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let text = text.filter(|text| (1..=1000).contains(&text.len()));
    text.map(Some).ok_or_else(|| Problem::bad_request("cursor is not one that an earlier page gave as next"))
}

/// Where a list goes on, to be sent back as it is.
pub fn cursor(position: &str) -> String {
    URL_SAFE_NO_PAD.encode(position)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_http::Body;

    #[test]
    fn a_body_too_deep_is_told_from_one_that_is_no_json() {
        let error = |body: String| json(&Request::new(Body::Text(body))).unwrap_err().detail().to_owned();
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(json(&Request::new(Body::Text(nested(127)))).is_ok());
        assert_eq!(error(nested(128)), "the body is nested too deep: at most 127 levels are read");
        assert_eq!(error("[1".to_owned()), "the body is not valid JSON (line 1, column 2)");
    }
}
