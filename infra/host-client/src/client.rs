//! A client of the host's API: signed with the caller's own AWS credentials where it is deployed, unsigned on this
//! machine.

use std::error::Error;
use std::time::Duration;

use reqwest::Url;
use serde_json::Value;

use crate::signer::{SetupError, Signer};
use crate::web_services::{is_local, shown};

/// A client of the host's API at one base URL.
pub struct HostClient {
    base: Url,
    signer: Option<Signer>,
    client: reqwest::Client,
}

impl HostClient {
    /// Of the API at `url`. Credentials and region come from the variables that all AWS tools read.
    pub fn new(url: &str) -> Result<HostClient, SetupError> {
        let base = Url::parse(url.trim_end_matches('/'));
        let base = base
            .map_err(|_| SetupError(format!("{:?} is not a URL: give the output HostUrl of the stack", shown(url))))?;
        if !base.username().is_empty() || base.password().is_some() {
            return Err(SetupError(format!(
                "{:?} must have no user name in it: calls are signed with the AWS credentials of the environment",
                shown(url)
            )));
        }
        let on_this_machine = base.path() == "/" && matches!(base.host_str(), Some("127.0.0.1" | "localhost"));
        let signer = if on_this_machine {
            None
        } else {
            // https://{id}.execute-api.{region}.amazonaws.com/…
            let named = base.host_str().and_then(|host| host.split_once(".execute-api.")?.1.split('.').next());
            Some(Signer::from_environment(named.map(str::to_owned))?)
        };
        let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).build();
        let client = client.map_err(|error| SetupError(format!("no HTTP client: {error}")))?;
        Ok(HostClient { base, signer, client })
    }

    /// GETs a path, percent-encoded, below the base URL; anything but 200 is an error that says what the API said.
    pub async fn get(&self, path: &str) -> Result<Value, CallError> {
        self.call("GET", path, Vec::new()).await
    }

    /// POSTs JSON to a path, percent-encoded, below the base URL; anything but 200 is an error that says what the API
    /// said.
    pub async fn post(&self, path: &str, body: Vec<u8>) -> Result<Value, CallError> {
        self.call("POST", path, body).await
    }

    /// Whether calls are signed: they are, but on this machine.
    pub fn signs(&self) -> bool {
        self.signer.is_some()
    }

    /// Base URL of the API, without a slash at its end.
    pub fn base(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    async fn call(&self, method: &str, path: &str, body: Vec<u8>) -> Result<Value, CallError> {
        match self.send(method, path, body).await? {
            (200, body) => Ok(body),
            (status, body) => Err(CallError::of_reply(method, path, status, &body)),
        }
    }

    /// Makes a call and gives the status and the JSON of whatever the API says.
    pub async fn send(&self, method: &str, path: &str, body: Vec<u8>) -> Result<(u16, Value), CallError> {
        let failed = |error: &dyn std::fmt::Display| CallError {
            call: format!("{method} {path}"),
            status: None,
            reason: error.to_string(),
            nobody_there: false,
        };
        let url = format!("{}{path}", self.base());
        let mut request =
            http::Request::builder().method(method).uri(&url).body(body).map_err(|error| failed(&error))?;
        if let Some(signer) = &self.signer {
            signer.sign("execute-api", &mut request).map_err(|error| failed(&error))?;
        }
        let request = reqwest::Request::try_from(request).map_err(|error| failed(&error))?;
        let reply = self.client.execute(request).await.map_err(|error| match nobody_there(&error) {
            Some(at) => CallError {
                nobody_there: true,
                ..failed(&format_args!("nothing answers at {at}: start `cargo run -p local`"))
            },
            None => failed(&cause(&error)),
        })?;
        let status = reply.status().as_u16();
        let body = reply.bytes().await.map_err(|error| failed(&cause(&error)))?;
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }
}

/// A call that wasn't answered with 200.
#[derive(Debug, thiserror::Error)]
#[error("{call} failed: {reason}")]
pub struct CallError {
    call: String,
    /// HTTP status, if there was a reply.
    status: Option<u16>,
    reason: String,
    /// On this machine nothing listens there.
    nobody_there: bool,
}

impl CallError {
    /// Of a reply that isn't the one hoped for, with what it says.
    pub fn of_reply(method: &str, path: &str, status: u16, body: &Value) -> CallError {
        let said =
            body["detail"].as_str().or(body["message"].as_str()).or(body["Message"].as_str()).unwrap_or_default();
        let named = http::StatusCode::from_u16(status).map_or_else(|_| status.to_string(), |status| status.to_string());
        CallError {
            call: format!("{method} {path}"),
            status: Some(status),
            reason: join(&named, said),
            nobody_there: false,
        }
    }

    /// The same call would fail again.
    pub fn is_lasting(&self) -> bool {
        self.nobody_there || self.status.is_some_and(|status| status < 500 && !matches!(status, 408 | 429))
    }
}

fn join(status: &str, said: &str) -> String {
    if said.is_empty() { status.to_owned() } else { format!("{status}: {said}") }
}

/// Percent-encodes a segment of a path.
pub fn segment(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// The innermost cause of an error, which is the one that tells a person something; never the whole URL, which may be
/// secret.
pub fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no reply in time".to_owned();
    }
    if let Some(at) = nobody_there(error) {
        return format!("nothing answers at {at}: the connection is refused");
    }
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    // One of its own would print the URL.
    if cause.is::<reqwest::Error>() { "the request failed".to_owned() } else { cause.to_string() }
}

/// Where on this machine nothing listens, if that is why a call failed.
fn nobody_there(error: &reqwest::Error) -> Option<String> {
    let url = error.url().filter(|url| is_local(url))?;
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(inner) = cause {
        let refused = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionRefused;
        if inner.downcast_ref::<std::io::Error>().is_some_and(refused) {
            return Some(url.origin().ascii_serialization());
        }
        cause = inner.source();
    }
    None
}
