//! The host's side: the account that is checked with, its key for this run, and that nobody calls unsigned.

use host_client::{CallError, HostClient, cause, segment};
use secrecy::{ExposeSecret, SecretString};
use simulator::spec::Service;

use super::replies::judge_refusal;
use super::{ACCOUNT, Checks, NO_KEY};
use crate::report::{Fault, Outcome};

impl Checks {
    /// The account and its key: those given, or else the one that is made, with a key for this run.
    pub(super) async fn account(&mut self) -> Outcome {
        let note = match (&self.key, &self.host) {
            (Some(_), _) => format!("{}, as told", self.username),
            (None, None) => return Outcome::Skip(NO_KEY.to_owned()),
            (None, Some(host)) => match make_key(host).await {
                Ok((id, key)) => {
                    self.key = Some(key);
                    self.lent = Some(id);
                    format!("{ACCOUNT}, with a key for this run")
                }
                Err(error) => {
                    let next = if host.signs() {
                        "see that the URL is the output HostUrl, and that the AWS credentials in the environment are current and have the policy of the output HostPolicyArn"
                    } else {
                        "see that the whole system runs there: cargo run -p local"
                    };
                    return Outcome::Fail(Fault::new(error.to_string(), next));
                }
            },
        };
        let token = self.key.as_ref().map(|key| key.expose_secret().to_owned()).unwrap_or_default();
        match self.service(Service::Validate, "validate.html", &self.username, &token).await {
            Ok(reply) if judge_refusal(Service::Validate, &reply).is_ok() => {
                // Else each service would say the same.
                self.key = None;
                let next = if self.lent.is_some() {
                    "see that the web service URL and the host's API belong to one stack"
                } else {
                    "see that --username and PRUVAN_KEY are right: GET /accounts/{username} lists the keys that live"
                };
                Outcome::Fail(Fault::new(format!("validate.html: {}", reply.seen()), next))
            }
            // Whatever else is wrong with validate has a row of its own.
            _ => Outcome::Pass(note),
        }
    }

    /// Deletes the key of this run.
    pub(super) async fn give_back(&mut self) {
        let (Some(id), Some(host)) = (self.lent.take(), &self.host) else { return };
        self.begin("deleting the key");
        // Between two runs the account has no key.
        let path = format!("/accounts/{ACCOUNT}/keys/{}?last=true", segment(&id));
        let deleted = match host.send("DELETE", &path, Vec::new()).await {
            Ok((204, _)) => Ok(String::new()),
            Ok((status, body)) => Err(CallError::of_reply("DELETE", &path, status, &body)),
            Err(error) => Err(error),
        };
        let deleted = deleted.map_err(|error| {
            Fault::new(
                error.to_string(),
                format!("the key {id} still works: delete it by this call, or run doctor again"),
            )
        });
        self.note("the key of this run is deleted", deleted);
    }

    pub(super) async fn unsigned(&self) -> Outcome {
        let Some(host) = &self.host else { return Outcome::Skip("needs --host-url".to_owned()) };
        if !host.signs() {
            return Outcome::Skip("nothing is signed on this machine".to_owned());
        }
        let reply = self.client.get(format!("{}/accounts", host.base())).send().await;
        Outcome::from(match reply.map(|reply| reply.status().as_u16()) {
            Ok(403) => Ok(String::new()),
            Ok(status @ 200..=299) => Err(Fault::new(
                format!("HTTP {status} to GET /accounts without a signature"),
                "ANYBODY can call the host's API: HostApi in template.yaml must have the authorizer AWS_IAM; deploy it anew at once",
            )),
            Ok(status) => Err(Fault::new(
                format!("HTTP {status}, and not 403, to GET /accounts without a signature"),
                "compare the URL with the output HostUrl, and look what stands in front of it",
            )),
            Err(error) => {
                Err(Fault::new(format!("no reply: {}", cause(&error)), "compare the URL with the output HostUrl"))
            }
        })
    }
}

/// Makes the account, if it isn't there, and a key. Two at most can live: if there are two, the older one was left
/// behind by a run that was killed, and goes.
async fn make_key(host: &HostClient) -> Result<(String, SecretString), CallError> {
    let path = format!("/accounts/{ACCOUNT}");
    let (status, account) = host.send("PUT", &path, Vec::new()).await?;
    match (status, account["keyId"].as_str(), account["apiKey"].as_str()) {
        (201, Some(id), Some(key)) => return Ok((id.to_owned(), key.into())),
        (200, ..) => {}
        _ => return Err(CallError::of_reply("PUT", &path, status, &account)),
    }
    let keys = format!("{path}/keys");
    let (mut status, mut made) = host.send("POST", &keys, Vec::new()).await?;
    if status == 409 {
        let oldest = account["keys"].as_array().into_iter().flatten().min_by_key(|key| key["made"].as_str());
        if let Some(id) = oldest.and_then(|key| key["keyId"].as_str()) {
            let old = format!("{keys}/{}", segment(id));
            // Whether this takes is seen by what follows.
            host.send("DELETE", &old, Vec::new()).await?;
            (status, made) = host.send("POST", &keys, Vec::new()).await?;
        }
    }
    match (status, made["keyId"].as_str(), made["apiKey"].as_str()) {
        (201, Some(id), Some(key)) => Ok((id.to_owned(), key.into())),
        _ => Err(CallError::of_reply("POST", &keys, status, &made)),
    }
}
