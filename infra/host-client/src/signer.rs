//! Signature Version 4, with the caller's own credentials.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;

/// Why a host can't be called at all: what is missing or wrong in what was given, with the next step. One line for a
/// person.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SetupError(pub String);

/// Signs requests to AWS (Signature Version 4).
pub struct Signer {
    credentials: Credentials,
    region: String,
}

impl Signer {
    /// With an access key, for this region.
    pub fn with_keys(id: &str, secret: &str, region: &str) -> Signer {
        Signer { credentials: Credentials::new(id, secret, None, None, "given"), region: region.to_owned() }
    }

    /// With the credentials in the variables that all AWS tools read, and their region if none is given.
    pub fn from_environment(region: Option<String>) -> Result<Signer, SetupError> {
        let (Some(id), Some(secret)) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")) else {
            return Err(SetupError(
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set: eval \"$(aws configure export-credentials --format env)\""
                    .to_owned(),
            ));
        };
        let credentials = Credentials::new(id, secret, variable("AWS_SESSION_TOKEN"), None, "environment");
        let region = region.or_else(|| variable("AWS_REGION")).or_else(|| variable("AWS_DEFAULT_REGION"));
        let region = region.ok_or_else(|| SetupError("AWS_REGION is not set".to_owned()))?;
        Ok(Signer { credentials, region })
    }

    /// Adds the headers that sign a request to this AWS service, or says why not.
    pub fn sign(&self, service: &str, request: &mut http::Request<Vec<u8>>) -> Result<(), String> {
        let identity = self.credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| error.to_string())?
            .into();
        let (method, url) = (request.method().to_string(), request.uri().to_string());
        let headers = request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let signable = SignableRequest::new(&method, url, headers, SignableBody::Bytes(request.body()));
        let signed = signable.and_then(|signable| sign(signable, &parameters)).map_err(|error| error.to_string())?;
        signed.into_parts().0.apply_to_request_http1x(request);
        Ok(())
    }
}

/// An environment variable that says something.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
