//! What the two functions of the host's API share: paths, bodies, cursors and names.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lambda_http::http::StatusCode;
use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt as _, Response};
use percent_encoding::percent_decode_str;
use pruvan::json::read as read_json;
use serde_json::{Map, Value};

use crate::accounts::{Account, Accounts};
use crate::http::{Problem, guarded};
use crate::import::text_of;
use crate::secrets::sha256_hex;
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
    let text = text_of(request.body().as_ref()).map_err(|fault| Problem::bad_request(format!("the body {fault}")))?;
    if text.trim().is_empty() {
        return Err(Problem::bad_request("the request has no body: send JSON"));
    }
    let json = read_json(&text).map_err(|fault| Problem::bad_request(format!("the body {fault}")))?;
    Ok(json.value)
}

/// The body as a JSON object.
pub fn json_object(request: &Request) -> Result<Map<String, Value>, Problem> {
    match json(request)? {
        Value::Object(map) => Ok(map),
        _ => Err(Problem::bad_request("the body must be a JSON object")),
    }
}

/// The query parameters of a function's routes, each route as `GET /accounts/{username}`. A route that is not among
/// them takes none.
pub type QueryParameters = [(&'static str, &'static [&'static str])];

/// Refuses a request with a query parameter that its route doesn't take, or with one given twice: a slip of the pen
/// must not list, write or delete what nobody asked for.
pub fn check_query(request: &Request, routes: &QueryParameters) -> Result<(), Problem> {
    let wanted = format!("{} {}", request.method(), route(request));
    let known = routes.iter().find(|(route, _)| *route == wanted).map_or(&[][..], |(_, known)| *known);
    let parameters = request.query_string_parameters();
    let mut seen = BTreeSet::new();
    for (name, _) in parameters.iter().filter(|(name, _)| !is_aws(name)) {
        let shown: String = name.chars().take(50).collect();
        if !known.contains(&name) {
            let takes = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(Problem::bad_request(format!(
                "there is no query parameter {shown:?} here: {wanted} takes {takes}"
            )));
        }
        if !seen.insert(name) {
            return Err(Problem::bad_request(format!("the query parameter {shown:?} is there twice: give it once")));
        }
    }
    Ok(())
}

/// Whether it belongs to AWS: a request that is signed in its URL has some.
fn is_aws(name: &str) -> bool {
    name.to_ascii_lowercase().starts_with("x-amz-")
}

/// A query parameter of the request.
pub fn query(request: &Request, name: &str) -> Option<String> {
    request.query_string_parameters_ref().and_then(|parameters| parameters.first(name)).map(str::to_owned)
}

/// How many entries a page has.
#[derive(Debug, Clone, Copy)]
pub struct PageSize {
    /// Rows of a page whose request has no `limit`.
    pub default: usize,
    /// Rows that a request may ask for at most.
    pub most: usize,
}

impl PageSize {
    /// The query's `limit`, or how many a page has without.
    pub fn asked_for(self, request: &Request) -> Result<usize, Problem> {
        match query(request, "limit").map(|limit| limit.parse()) {
            None => Ok(self.default),
            Some(Ok(limit)) if (1..=self.most).contains(&limit) => Ok(limit),
            Some(_) => Err(Problem::bad_request(format!("limit must be a whole number from 1 to {}", self.most))),
        }
    }
}

/// The query parameter `cursor`, as [`cursor`] made it for a page of the same list.
pub fn read_cursor(request: &Request) -> Result<Option<String>, Problem> {
    let Some(cursor) = query(request, "cursor") else { return Ok(None) };
    let text = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let position = text.as_deref().and_then(|text| text.strip_prefix(&list_of(request)));
    let position = position.filter(|position| (1..=1100).contains(&position.len())).map(str::to_owned);
    position.map(Some).ok_or_else(bad_cursor)
}

/// The reply to a cursor that leads nowhere.
pub fn bad_cursor() -> Problem {
    Problem::bad_request("cursor is not one that an earlier page of this list, with the same conditions, gave as next")
}

/// Where the list that is asked for goes on, to be sent back as it is.
pub fn cursor(request: &Request, position: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}{position}", list_of(request)))
}

/// Tells lists apart, by route, account, order, item and conditions: a position in one is none in another.
fn list_of(request: &Request) -> String {
    let parameters = request.query_string_parameters();
    let of_list = |name: &str| !is_aws(name) && !["cursor", "limit", "format"].contains(&name);
    let conditions: BTreeSet<(&str, &str)> = parameters.iter().filter(|(name, _)| of_list(name)).collect();
    let named = ["workOrderNumber", "uuId"].map(|name| path_parameter(request, name).unwrap_or_default());
    let list = serde_json::json!([route(request), username(request).unwrap_or_default(), named, conditions]);
    sha256_hex(list.to_string().as_bytes())[..8].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_http::Body;

    #[test]
    fn a_body_is_read_with_the_faults_of_its_writer() {
        let read = |body: &[u8]| json(&Request::new(Body::Binary(body.to_vec())));
        let utf_16: Vec<u8> = "\u{feff}{\"a\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for body in [&b"\xef\xbb\xbf{\"a\":1}"[..], b"\xef\xbb\xbf\r\n {\"a\":1}", &utf_16] {
            assert_eq!(read(body).unwrap(), serde_json::json!({ "a": 1 }));
        }
        assert_eq!(read(br#"{"a":"\ud83d"}"#).unwrap()["a"], "\u{fffd}");
        assert_eq!(read(b"\xef\xbb\xbf").unwrap_err().detail(), "the request has no body: send JSON");
        assert!(read(b"{\"city\":\"Zo\xeb\"}").unwrap_err().detail().starts_with("the body is not UTF-8"));
    }

    #[test]
    fn a_body_too_deep_is_told_from_one_that_is_no_json() {
        let error = |body: String| json(&Request::new(Body::Text(body))).unwrap_err().detail().to_owned();
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(json(&Request::new(Body::Text(nested(127)))).is_ok());
        assert_eq!(error(nested(128)), "the body is nested too deep: at most 127 levels are read");
        assert_eq!(error("[1".to_owned()), "the body is not valid JSON (line 1, column 2)");
    }

    #[test]
    fn a_byte_order_mark_before_a_body_is_passed_over() {
        assert_eq!(json(&Request::new(Body::Text("\u{feff}{}".to_owned()))).unwrap(), serde_json::json!({}));
    }
}
