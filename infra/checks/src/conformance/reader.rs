//! Where uploads can be looked at, to see whether what was acknowledged is there.

use host_client::{SetupError, Signer, cause};

/// Where uploads can be looked at.
pub struct Reader {
    template: String,
    signer: Option<Signer>,
}

impl Reader {
    /// API Gateway's own host names (`{id}.execute-api.{region}.amazonaws.com`) are called signed.
    pub fn new(template: &str) -> Result<Reader, SetupError> {
        let url = reqwest::Url::parse(&template.replace("{uuId}", "x"));
        let host = url.ok().and_then(|url| url.host_str().map(str::to_owned));
        let (Some(host), true) = (host, template.contains("{uuId}")) else {
            return Err(SetupError(
                "--read-back must be a URL with {uuId} where the id of the upload belongs".to_owned(),
            ));
        };
        let region = host.split_once(".execute-api.").and_then(|(_, rest)| rest.split('.').next());
        let signer = region.map(|region| Signer::from_environment(Some(region.to_owned()))).transpose()?;
        Ok(Reader { template: template.to_owned(), signer })
    }

    /// What is shown of an upload, or why nothing is. The URL may hold a secret, and is not told.
    pub async fn get(&self, client: &reqwest::Client, id: &str) -> Result<Vec<u8>, String> {
        let url = self.template.replace("{uuId}", id);
        let mut request = http::Request::get(url).body(Vec::new()).map_err(|error| error.to_string())?;
        if let Some(signer) = &self.signer {
            signer.sign("execute-api", &mut request)?;
        }
        let request = reqwest::Request::try_from(request).map_err(|error| cause(&error))?;
        let reply = client.execute(request).await.map_err(|error| cause(&error))?;
        match reply.status() {
            reqwest::StatusCode::OK => reply.bytes().await.map(|bytes| bytes.to_vec()).map_err(|error| cause(&error)),
            status => Err(format!("HTTP {status}")),
        }
    }
}
