//! A client of the host's API: signed with the caller's own AWS credentials where it is deployed, unsigned on this machine.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use reqwest::Url;
use serde_json::Value;

use crate::system::StartError;

/// The client.
pub struct HostClient {
    base: Url,
    signer: Option<Signer>,
    client: reqwest::Client,
}

struct Signer {
    credentials: Credentials,
    region: String,
}

impl HostClient {
    /// Of the API at `url`. Credentials and region come from the variables that all AWS tools read.
    pub fn new(url: &str) -> Result<HostClient, StartError> {
        let base = Url::parse(url.trim_end_matches('/'));
        let base =
            base.map_err(|_| StartError(format!("{url:?} is not a URL: give the output HostUrl of the stack")))?;
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let on_this_machine = base.path() == "/" && matches!(base.host_str(), Some("127.0.0.1" | "localhost"));
        let signer = if on_this_machine {
            None
        } else {
            let (Some(id), Some(secret)) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")) else {
                return Err(StartError(
                    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set: eval \"$(aws configure export-credentials --format env)\""
                        .to_owned(),
                ));
            };
            let credentials = Credentials::new(id, secret, variable("AWS_SESSION_TOKEN"), None, "environment");
            // https://{id}.execute-api.{region}.amazonaws.com/…
            let named = base.host_str().and_then(|host| host.split_once(".execute-api.")?.1.split('.').next());
            let region = named.map(str::to_owned).or_else(|| variable("AWS_REGION"));
            let region = region.or_else(|| variable("AWS_DEFAULT_REGION"));
            let region = region.ok_or_else(|| StartError("AWS_REGION is not set".to_owned()))?;
            Some(Signer { credentials, region })
        };
        let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).build();
        let client = client.map_err(|error| StartError(format!("no HTTP client: {error}")))?;
        Ok(HostClient { base, signer, client })
    }

    /// GETs a path, percent-encoded, below the base URL; anything but 200 is an error that says what the API said.
    pub async fn get(&self, path: &str) -> Result<Value, StartError> {
        self.call("GET", path, Vec::new()).await.map_err(|error| StartError(error.to_string()))
    }

    /// POSTs JSON, likewise.
    pub async fn post(&self, path: &str, body: Vec<u8>) -> Result<Value, CallError> {
        self.call("POST", path, body).await
    }

    async fn call(&self, method: &str, path: &str, body: Vec<u8>) -> Result<Value, CallError> {
        let failed = |status, error: &dyn std::fmt::Display| CallError {
            call: format!("{method} {path}"),
            status,
            reason: error.to_string(),
        };
        let none = |error: &dyn std::fmt::Display| failed(None, error);
        let url = format!("{}{path}", self.base.as_str().trim_end_matches('/'));
        let mut request = http::Request::builder().method(method).uri(&url).body(body).map_err(|error| none(&error))?;
        if let Some(Signer { credentials, region }) = &self.signer {
            let identity = credentials.clone().into();
            let parameters = v4::SigningParams::builder()
                .identity(&identity)
                .region(region)
                .name("execute-api")
                .time(SystemTime::now())
                .settings(SigningSettings::default())
                .build()
                .map_err(|error| none(&error))?
                .into();
            let signable = SignableRequest::new(method, &url, std::iter::empty(), SignableBody::Bytes(request.body()));
            let signed = signable.and_then(|signable| sign(signable, &parameters)).map_err(|error| none(&error))?;
            signed.into_parts().0.apply_to_request_http1x(&mut request);
        }
        let request = reqwest::Request::try_from(request).map_err(|error| none(&error))?;
        let reply = self.client.execute(request).await.map_err(|error| none(&error.without_url()))?;
        let status = reply.status();
        let body = reply.bytes().await.map_err(|error| none(&error.without_url()))?;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status.as_u16() == 200 {
            return Ok(body);
        }
        let said =
            body["detail"].as_str().or(body["message"].as_str()).or(body["Message"].as_str()).unwrap_or_default();
        Err(failed(Some(status.as_u16()), &format!("{status} {said}")))
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
}

impl CallError {
    /// The same call would fail again.
    pub fn is_lasting(&self) -> bool {
        self.status.is_some_and(|status| status < 500 && !matches!(status, 408 | 429))
    }
}

/// Percent-encodes a segment of a path.
pub fn segment(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}
