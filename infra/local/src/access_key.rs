//! The runner's own access key, and who may call the stores with it: SDKs that sign with it, and no page in a browser,
//! whosever it is. Pages reach every port of their machine.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use axum::http::{HeaderMap, Method, Uri, request};
use bridge::secrets::hex;
use bridge::time::Random;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use simulator::listen::host_of;
use subtle::ConstantTimeEq as _;

/// An access key as those of AWS are.
#[derive(Debug, Clone)]
pub struct AccessKey {
    /// Its id, which stands in every signed request.
    pub id: String,
    /// What is signed with.
    pub secret: SecretString,
}

/// Why the embedded DynamoDB doesn't do what it is asked for: as AWS says it, and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotSigned {
    /// There is no signature, or one in the query.
    #[error("the request is not signed: sign it with AWS Signature Version 4, in its headers")]
    Missing,
    /// It is signed with another key.
    #[error(
        "this is not the access key of this runner: take accessKeyId and secretAccessKey of the line that it printed when it started"
    )]
    OtherKey,
    /// The signature is another than that of this request with this key.
    #[error(
        "the signature does not match: take secretAccessKey of the line that the runner printed when it started, and sign host, x-amz-date and x-amz-target"
    )]
    Mismatch,
    /// It was signed long ago, or will be.
    #[error("the request was not signed within the last {} minutes: compare the clocks", SKEW.as_secs() / 60)]
    Expired,
}

/// How far the caller's clock may be from ours, as in AWS.
const SKEW: Duration = Duration::from_secs(15 * 60);

/// What a signature must cover, so that nothing of a request can be changed under it.
const SIGNED: [&str; 3] = ["host", "x-amz-date", "x-amz-target"];

impl NotSigned {
    /// What AWS calls it.
    pub fn kind(self) -> &'static str {
        match self {
            NotSigned::Missing => "MissingAuthenticationTokenException",
            NotSigned::OtherKey => "UnrecognizedClientException",
            NotSigned::Mismatch | NotSigned::Expired => "InvalidSignatureException",
        }
    }
}

impl AccessKey {
    /// A key pair that nobody has had before, for one run.
    pub fn random(random: &Random) -> AccessKey {
        AccessKey {
            id: format!("LOCAL{}", hex(&random.bytes::<8>()).to_ascii_uppercase()),
            secret: hex(&random.bytes::<20>()).into(),
        }
    }

    /// The one in this file, which is made if need be: what was started with it goes on after the runner has been
    /// started anew.
    pub fn kept(file: &Path, random: &Random) -> std::io::Result<AccessKey> {
        let kept: Option<Value> = std::fs::read(file).ok().and_then(|json| serde_json::from_slice(&json).ok());
        if let Some(kept) = kept
            && let (Some(id), Some(secret)) = (kept["accessKeyId"].as_str(), kept["secretAccessKey"].as_str())
            && !secret.is_empty()
        {
            return Ok(AccessKey { id: id.to_owned(), secret: secret.into() });
        }
        let made = AccessKey::random(random);
        let json = json!({ "accessKeyId": made.id, "secretAccessKey": made.secret.expose_secret() });
        std::fs::write(file, json.to_string())?;
        Ok(made)
    }

    /// Whether a request to DynamoDB with this body is signed with this key, now or a few minutes ago.
    pub fn verify(&self, request: &request::Parts, body: &[u8], now: SystemTime) -> Result<(), NotSigned> {
        let text = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
        let authorization = text("authorization").and_then(Authorization::parse).ok_or(NotSigned::Missing)?;
        let date = text("x-amz-date").ok_or(NotSigned::Missing)?;
        if authorization.key_id != self.id {
            return Err(NotSigned::OtherKey);
        }
        let signed: Vec<&str> = authorization.signed_headers.split(';').collect();
        let covers = |name: &str| signed.contains(&name);
        let there = signed.iter().all(|name| request.headers.contains_key(*name));
        if !there || !SIGNED.iter().all(|name| covers(name)) || !date.starts_with(authorization.date) {
            return Err(NotSigned::Mismatch);
        }
        let at = DateTime::strptime("%Y%m%dT%H%M%SZ", date).and_then(|at| TimeZone::UTC.to_timestamp(at));
        let at = at.ok().and_then(|at| u64::try_from(at.as_second()).ok()).ok_or(NotSigned::Mismatch)?;
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(at);
        let apart = now.duration_since(at).unwrap_or_else(|later| later.duration());
        if apart > SKEW {
            return Err(NotSigned::Expired);
        }
        let headers = request.headers.iter().filter(|(name, _)| covers(name.as_str()));
        let headers = headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let uri = format!("http://{}{}", text("host").unwrap_or_default(), request.uri);
        let signature = self.signature(request.method.as_str(), &uri, headers, body, at, authorization.region);
        let signature = signature.ok_or(NotSigned::Mismatch)?;
        let matches: bool = signature.as_bytes().ct_eq(authorization.signature.as_bytes()).into();
        if matches { Ok(()) } else { Err(NotSigned::Mismatch) }
    }

    fn signature<'a>(
        &self,
        method: &'a str,
        uri: &'a str,
        headers: impl Iterator<Item = (&'a str, &'a str)>,
        body: &'a [u8],
        at: SystemTime,
        region: &str,
    ) -> Option<String> {
        let identity = Credentials::new(&self.id, self.secret.expose_secret(), None, None, "local").into();
        let mut settings = SigningSettings::default();
        // The caller says which headers are signed.
        settings.excluded_headers = None;
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name("dynamodb")
            .time(at)
            .settings(settings)
            .build()
            .ok()?
            .into();
        let request = SignableRequest::new(method, uri, headers, SignableBody::Bytes(body)).ok()?;
        Some(sign(request, &parameters).ok()?.into_parts().1)
    }
}

/// What stands in the header `Authorization`.
struct Authorization<'a> {
    key_id: &'a str,
    date: &'a str,
    region: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    fn parse(text: &'a str) -> Option<Authorization<'a>> {
        let fields = text.trim().strip_prefix("AWS4-HMAC-SHA256 ")?;
        let field =
            |name: &str| fields.split(',').filter_map(|field| field.trim().split_once('=')).find(|(is, _)| *is == name);
        let scope: Vec<&str> = field("Credential")?.1.split('/').collect();
        let [key_id, date, region, "dynamodb", "aws4_request"] = scope[..] else { return None };
        let (signed_headers, signature) = (field("SignedHeaders")?.1, field("Signature")?.1);
        Some(Authorization { key_id, date, region, signed_headers, signature })
    }
}

/// Why a request to one of the stores is not even looked at, if it isn't: a page sends it, or it came by a name that
/// anybody may have made to lead here. Links to files are signed as a whole, so that browsers may follow them.
pub fn why_not(method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<&'static str> {
    let host = host_of(headers).unwrap_or_default();
    // An address leads where it says. Containers know this machine by one of its bridge, or by these names.
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_private(),
        IpAddr::V6(address) => address.is_loopback(),
    });
    if !address && !matches!(host.as_str(), "localhost" | "host.docker.internal" | "host.containers.internal") {
        return Some(
            "the stores answer as 127.0.0.1, localhost, host.docker.internal, host.containers.internal or a private address, and under no other name",
        );
    }
    let link = method == Method::GET && uri.query().is_some_and(|query| query.contains("X-Amz-Signature="));
    let page = headers.get("sec-fetch-site").is_some_and(|from| from != "none");
    (headers.contains_key("origin") || (page && !link))
        .then_some("the stores answer SDKs, and no page in a browser: call the host's API")
}

#[cfg(test)]
mod tests;
