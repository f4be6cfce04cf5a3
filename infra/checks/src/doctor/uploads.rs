//! Files of several sizes: each arrives byte for byte, or is refused in Pruvan's words.

use std::time::Instant;

use host_client::{CallError, HostClient, cause, segment};
use secrecy::ExposeSecret;
use sha2::{Digest as _, Sha256};
use simulator::spec::Service;

use super::replies::judge;
use super::sample::{item, photo};
use super::{Call, Checks, FAR_TOO_LARGE, LARGE_TIMEOUT, NO_KEY, TOO_LARGE, USUAL};
use crate::reply::Reply;
use crate::report::{Fault, Outcome};

impl Checks {
    /// Sends a file, and looks whether it can be fetched again as it was.
    pub(super) async fn arrives(&self, uu_id: &str, spelling: &str, file: &[u8]) -> Outcome {
        let Some(key) = &self.key else { return Outcome::Skip(NO_KEY.to_owned()) };
        let since = Instant::now();
        let call = Call {
            path: "uploadPictures.html",
            username: &self.username,
            token: key.expose_secret(),
            fields: item(uu_id),
            file: Some(("doctor.jpg", file)),
            spelling,
        };
        let taken = match self.call(&call).await {
            Ok(reply) => judge(Service::UploadPictures, &reply),
            Err(fault) => Err(fault),
        };
        if let Err(fault) = taken {
            return Outcome::Fail(fault);
        }
        let time = format!("{:.1} s", since.elapsed().as_secs_f64());
        let Some(host) = &self.host else {
            return Outcome::Pass(format!("taken in {time}; whether unharmed can't be seen without --host-url"));
        };
        Outcome::from(match self.fetch(host, uu_id).await {
            Ok(found) if found == file => Ok(format!("byte for byte; taken in {time}")),
            Ok(found) => Err(Fault::new(
                format!(
                    "{} bytes were sent, SHA-256 {:.12}...; {} bytes came back, SHA-256 {:.12}...",
                    file.len(),
                    hex::encode(Sha256::digest(file)),
                    found.len(),
                    hex::encode(Sha256::digest(&found))
                ),
                "photos are RUINED on their way: PruvanApi in template.yaml must have BinaryMediaTypes ['*~1*']; if it has, look what stands in front of it and changes bodies",
            )),
            Err(fault) => Err(fault),
        })
    }

    /// The file of an item, by the link of the host's API.
    async fn fetch(&self, host: &HostClient, uu_id: &str) -> Result<Vec<u8>, Fault> {
        let path = format!("/accounts/{}/uploads/{}", segment(&self.username), segment(uu_id));
        let shown = host.send("GET", &path, Vec::new()).await;
        let shown = match shown {
            Ok((200, body)) => Ok(body),
            Ok((status, body)) => Err(CallError::of_reply("GET", &path, status, &body)),
            Err(error) => Err(error),
        };
        let shown = shown.map_err(|error| {
            Fault::new(
                format!("it was taken, but {error}"),
                "a photo that was acknowledged must be there: see that both URLs belong to one stack, and look into its logs",
            )
        })?;
        let failed = |what: String| {
            Fault::new(
                format!("its link can't be fetched: {what}"),
                "see that this machine reaches S3, and that the orders function may read the bucket (s3:GetObject)",
            )
        };
        let link = shown["link"].as_str().unwrap_or_default();
        let reply = self.client.get(link).timeout(LARGE_TIMEOUT).send().await;
        let reply = reply.map_err(|error| failed(cause(&error)))?;
        if !reply.status().is_success() {
            return Err(failed(format!("HTTP {}", reply.status())));
        }
        reply.bytes().await.map(|bytes| bytes.to_vec()).map_err(|error| failed(cause(&error)))
    }

    /// What Lambda doesn't take. Whether API Gateway answers by the template's gateway response is reported both ways.
    pub(super) async fn too_large(&self) -> Outcome {
        let reply = match self.refused(TOO_LARGE, "doctor-5000000-bytes").await {
            Ok(reply) => reply,
            Err(outcome) => return outcome,
        };
        let json = reply.json().unwrap_or_default();
        let told = json["status"] == false && json["error"].as_str().is_some_and(|error| !error.is_empty());
        if told && matches!(reply.status, 413 | 200) {
            return Outcome::Pass(format!("HTTP {}", reply.status));
        }
        Outcome::Warn(Fault::new(
            reply.seen(),
            "nothing is lost, but Pruvan's user sees this in place of what helps (a smaller photo_size): where API Gateway doesn't take the GatewayResponses of template.yaml for it, tell vendors of the limit of 4.5 MB",
        ))
    }

    /// What API Gateway doesn't take: it answers with text of its own, which nothing can change.
    pub(super) async fn far_too_large(&self) -> Outcome {
        match self.refused(FAR_TOO_LARGE, "doctor-11000000-bytes").await {
            Ok(reply) => Outcome::Pass(format!("HTTP {}", reply.status)),
            Err(outcome) => outcome,
        }
    }

    /// The reply to a photo that must not be taken; of one that was, or of no reply, what that means.
    async fn refused(&self, bytes: usize, uu_id: &str) -> Result<Reply, Outcome> {
        let Some(key) = &self.key else { return Err(Outcome::Skip(NO_KEY.to_owned())) };
        let file = photo(bytes);
        let call = Call {
            path: "uploadPictures.html",
            username: &self.username,
            token: key.expose_secret(),
            fields: item(uu_id),
            file: Some(("doctor.jpg", &file)),
            spelling: USUAL,
        };
        let reply = self.call(&call).await.map_err(Outcome::Warn)?;
        if reply.json().is_ok_and(|json| json["status"] == true) {
            return Err(Outcome::Fail(Fault::new(
                format!("it was taken: {}", reply.seen()),
                "Lambda takes 6 MB, in base64, so this is another system or version than the one of this doctor: see what is deployed",
            )));
        }
        Ok(reply)
    }
}
