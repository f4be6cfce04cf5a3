//! `doctor`: checks a deployment from outside, the way Pruvan calls it and the way the host does.
//!
//! It works in an account of its own, `doctor`, with a key that lives as long as the run. What it sends is the same
//! each time, so that a second run stores nothing new.

mod host_api;
mod replies;
mod sample;
mod uploads;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use host_client::web_services::{self, is_local, multipart, pruvan_key, web_service_url};
use host_client::{HostClient, SetupError, cause, stack};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use simulator::spec::Service;

use crate::command::{NothingToCheck, print};
use crate::reply::Reply;
use crate::report::{Fault, Outcome, Report, Row};
use replies::{NO_ORDER, is_general_refusal, judge, judge_refusal, taken_anyway};
use sample::{item, photo};

/// The account that is made for it. Nobody else uses it.
const ACCOUNT: &str = "doctor";

/// What the integration in Pruvan can be set to.
const EXTENSIONS: [&str; 5] = ["", ".html", ".php", ".svc", ".aspx"];

/// The header that Pruvan's calls have by the specification, and the one they ought to have.
const AS_SPECIFIED: &str = "Mulipart/Form-Data";
const USUAL: &str = "multipart/form-data";

/// The size up to which uploads are promised to work, one that is more than Lambda takes, and one that is more than API
/// Gateway does.
const LARGE: usize = 4_500_000;
const TOO_LARGE: usize = 5_000_000;
const FAR_TOO_LARGE: usize = 11_000_000;

/// A gateway answers within 29 seconds; a large upload takes its time before that.
const TIMEOUT: Duration = Duration::from_secs(35);
const LARGE_TIMEOUT: Duration = Duration::from_secs(120);

/// What to check.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Options {
    /// Web service URL, as it is typed into Pruvan: the output WebServiceUrl of the stack
    #[arg(long)]
    pub url: Option<String>,
    /// Base URL of the host's API: the output HostUrl of the stack. On this machine it is the same as --url
    #[arg(long, requires = "url")]
    pub host_url: Option<String>,
    /// Name of a deployed stack, whose outputs have both URLs
    #[arg(long, value_name = "NAME", conflicts_with_all = ["url", "host_url"])]
    pub stack: Option<String>,
    /// Region of the stack [default: AWS_REGION, AWS_DEFAULT_REGION or us-east-1]
    #[arg(long, requires = "stack")]
    pub region: Option<String>,
    /// An account, where the host's API is not at hand; its key is in the environment variable PRUVAN_KEY
    ///
    /// It should be one made for this: orders are pulled from it, and three photos are stored in it.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["host_url", "stack"])]
    pub username: Option<String>,
    /// The key of that account.
    #[arg(skip)]
    pub key: Option<SecretString>,
}

/// The command: makes all checks and prints the table. True if nothing is wrong.
pub async fn command(mut options: Options) -> Result<bool, NothingToCheck> {
    options.key = pruvan_key();
    let report = run(&options).await?;
    print(|colour| report.table(colour))?;
    Ok(report.is_healthy())
}

/// Makes all checks. An error means that there was nothing to check, and names the next step.
pub async fn run(options: &Options) -> Result<Report, NothingToCheck> {
    let (url, host) = find(options).await?;
    let given = match (&options.username, &options.key) {
        (Some(_), None) => {
            return Err(SetupError(
                "PRUVAN_KEY is not set: put the API key of --username into this environment variable".to_owned(),
            )
            .into());
        }
        (Some(username), Some(key)) => Some((username.clone(), key.clone())),
        (None, _) if host.is_none() => {
            return Err(SetupError(
                "give --host-url (the output HostUrl), or --username with its key in PRUVAN_KEY".to_owned(),
            )
            .into());
        }
        (None, _) => None,
    };
    let mut checks = Checks::new(url, host, given)?;
    let done = tokio::select! {
        () = checks.all() => Ok(()),
        _ = tokio::signal::ctrl_c() => Err(NothingToCheck::Interrupted),
    };
    // Also then: a key that is left behind works until somebody deletes it.
    checks.give_back().await;
    checks.bar.finish_and_clear();
    done.map(|()| checks.report)
}

/// The web service URL, and the host's API if it is at hand.
async fn find(options: &Options) -> Result<(Url, Option<HostClient>), SetupError> {
    if let Some(stack) = &options.stack {
        let (url, host) = stack::urls_of(stack, options.region.as_deref()).await?;
        return Ok((web_service_url(&url)?, Some(HostClient::new(&host)?)));
    }
    let url = options.url.as_deref().ok_or_else(|| {
        SetupError(
            "give --stack, the name of a deployed stack, or --url; on this machine --url http://127.0.0.1:9000"
                .to_owned(),
        )
    })?;
    let url = web_service_url(url)?;
    let host = match &options.host_url {
        Some(host) => Some(host.clone()),
        // Both APIs are on one port there.
        None if is_local(&url) && url.path() == "/" && options.username.is_none() => Some(url.to_string()),
        None => None,
    };
    Ok((url, host.map(|host| HostClient::new(&host)).transpose()?))
}

/// A call of a web service.
struct Call<'a> {
    /// Path below the web service URL, with the extension, such as `status.php`.
    path: &'a str,
    username: &'a str,
    token: &'a str,
    fields: Value,
    file: Option<(&'a str, &'a [u8])>,
    /// How its header spells multipart.
    spelling: &'a str,
}

struct Checks {
    url: Url,
    host: Option<HostClient>,
    client: reqwest::Client,
    username: String,
    key: Option<SecretString>,
    /// Id of the key that was made for this run.
    lent: Option<String>,
    /// Paths whose replies had more than ASCII in them, and how many were looked at.
    not_ascii: Mutex<(BTreeSet<String>, usize)>,
    report: Report,
    bar: ProgressBar,
}

impl Checks {
    fn new(url: Url, host: Option<HostClient>, given: Option<(String, SecretString)>) -> Result<Checks, SetupError> {
        let client = web_services::client(TIMEOUT)?;
        let (username, key) = match given {
            Some((username, key)) => (username, Some(key)),
            None => (ACCOUNT.to_owned(), None),
        };
        let style = ProgressStyle::with_template("{spinner} {pos}/{len}  {msg}");
        let bar = ProgressBar::new(19).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(100));
        let (report, not_ascii) = (Report::default(), Mutex::default());
        Ok(Checks { url, host, client, username, key, lent: None, not_ascii, report, bar })
    }

    /// Takes what a check came to into the report.
    fn note(&mut self, check: &str, outcome: impl Into<Outcome>) {
        self.report.rows.push(Row { section: None, check: check.to_owned(), outcome: outcome.into() });
        self.bar.inc(1);
    }

    async fn all(&mut self) {
        self.begin("https");
        let reached = self.reached().await;
        let unreachable = matches!(reached, Outcome::Fail(_));
        self.note("https, with a valid certificate", reached);
        if unreachable {
            // Else the table would say the same eighteen times.
            self.note("everything else", Outcome::Skip("the web service URL can't be reached".to_owned()));
            return;
        }
        self.begin("the host's API");
        let account = self.account().await;
        self.note("an account to check with", account);
        let unsigned = self.unsigned().await;
        self.note("the host's API refuses unsigned calls", unsigned);
        let known = self.known().await;
        let unknown_order = known.get(3).and_then(|(_, reply)| reply.clone());
        for (service, (outcome, _)) in Service::ALL.into_iter().zip(known) {
            self.note(&format!("{}, under all five extensions", service.name()), outcome);
        }
        self.begin("the header that the specification has");
        let small: Vec<u8> = (0..=255).collect();
        let spelled = self.arrives("doctor-every-byte", AS_SPECIFIED, &small).await;
        self.note("Content-Type: Mulipart/Form-Data", spelled);
        self.begin("wrong keys");
        self.wrong_keys(unknown_order.as_ref()).await;
        self.begin("an unknown path");
        let unknown = self.unknown_path().await;
        self.note("an unknown path gets Pruvan's JSON", unknown);
        self.begin("an upload of 4.5 MB");
        let large = self.arrives("doctor-4500000-bytes", USUAL, &photo(LARGE)).await;
        self.note("a photo of 4.5 MB arrives", large);
        self.begin("an upload of 5 MB");
        let too_large = self.too_large().await;
        self.note("a photo of 5 MB gets Pruvan's JSON", too_large);
        self.begin("an upload of 11 MB");
        let far_too_large = self.far_too_large().await;
        self.note("a photo of 11 MB is refused", far_too_large);
        let ascii = self.ascii();
        self.note("all replies are ASCII", ascii);
    }

    fn begin(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    /// Makes a call as Pruvan does. An error says why there was no reply.
    async fn call(&self, call: &Call<'_>) -> Result<Reply, Fault> {
        let mut payload = json!({
            // Of no password: the token decides.
            "username": call.username, "password": "d28069c84398483874d2cba15f10ffdd996ec6f5", "token": call.token,
        });
        if let (Value::Object(payload), Value::Object(fields)) = (&mut payload, call.fields.clone()) {
            payload.extend(fields);
        }
        let (content_type, body) = multipart(&payload.to_string(), call.file);
        let content_type = content_type.replace(AS_SPECIFIED, call.spelling);
        let timeout = if body.len() > 1_000_000 { LARGE_TIMEOUT } else { TIMEOUT };
        let url = format!("{}/{}", self.url.as_str().trim_end_matches('/'), call.path);
        let no_reply = |error: reqwest::Error| {
            let next = "if it stays so, look whether a firewall or proxy cuts calls off, and into the function's log";
            Fault::new(format!("no reply: {}", cause(&error)), next)
        };
        let sent = self.client.post(url).header("content-type", content_type).timeout(timeout).body(body);
        let reply = sent.send().await.map_err(no_reply)?;
        let status = reply.status().as_u16();
        let content_type = reply.headers().get("content-type").and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_owned();
        let bytes = reply.bytes().await.map_err(no_reply)?;
        let mut seen = self.not_ascii.lock().unwrap_or_else(PoisonError::into_inner);
        seen.1 += 1;
        if !bytes.is_ascii() {
            seen.0.insert(call.path.to_owned());
        }
        drop(seen);
        let mut text = String::from_utf8_lossy(&bytes).into_owned();
        // What answers there may be anything, also something that repeats what it was sent.
        if let Some(key) = self.key.as_ref().map(ExposeSecret::expose_secret).filter(|key| !key.is_empty()) {
            text = text.replace(key, "***");
        }
        Ok(Reply { status, content_type, text })
    }

    /// Whether there is anything at the URL, and how it is secured.
    async fn reached(&self) -> Outcome {
        let error = match self.client.post(self.url.clone()).send().await {
            Ok(_) if self.url.scheme() == "https" => return Outcome::Pass("TLS 1.2 or newer".to_owned()),
            Ok(_) => return Outcome::Skip("plain http, on this machine only".to_owned()),
            Err(error) => cause(&error),
        };
        let about = |words: &[&str]| words.iter().any(|word| error.to_ascii_lowercase().contains(word));
        let next = if about(&["certificate", "issuer", "notvalidforname"]) {
            "Pruvan needs a valid certificate: CertificateArn must cover DomainName, and nothing in between may put its own there"
        } else if about(&["lookup", "resolve", "dns", "name or service", "nodename"]) {
            "the name isn't known: compare the URL with the output WebServiceUrl; with DomainName, a DNS record must lead to the output DomainTarget (a new one takes some minutes)"
        } else if is_local(&self.url) {
            "start the system in another shell, cargo run -p local, and give the port that it says"
        } else if about(&["handshake", "protocol", "alert"]) {
            "TLS 1.2 or newer is needed: look what answers at this address"
        } else {
            "compare the URL with the output WebServiceUrl, and see that this machine reaches the internet"
        };
        Outcome::Fail(Fault::new(error, next))
    }

    /// Each service under each extension, with the right key; and of each the last reply.
    async fn known(&self) -> Vec<(Outcome, Option<Reply>)> {
        let mut outcomes = Vec::new();
        for service in Service::ALL {
            self.begin(service.name());
            let Some(key) = &self.key else {
                outcomes.push((Outcome::Skip(NO_KEY.to_owned()), None));
                continue;
            };
            let since = Instant::now();
            let paths = EXTENSIONS.map(|extension| format!("{}{extension}", service.name()));
            let calls = paths.iter().map(|path| async move {
                let reply = self.service(service, path, &self.username, key.expose_secret()).await?;
                judge(service, &reply).map(|()| reply)
            });
            let (mut faults, mut last): (Vec<(&str, Fault)>, Option<Reply>) = (Vec::new(), None);
            for (path, judged) in paths.iter().zip(join_all(calls).await) {
                match judged {
                    Ok(reply) => last = Some(reply),
                    Err(fault) => faults.push((path, fault)),
                }
            }
            let outcome = match together(faults, EXTENSIONS.len()) {
                Some(fault) => Outcome::Fail(fault),
                None => Outcome::Pass(format!("{} ms", since.elapsed().as_millis())),
            };
            outcomes.push((outcome, last));
        }
        outcomes
    }

    /// A call that changes nothing: no push key, no order, and always the same photo.
    async fn service(&self, service: Service, path: &str, username: &str, token: &str) -> Result<Reply, Fault> {
        let fields = match service {
            Service::Validate => json!({}),
            Service::GetWorkOrders => json!({ "timestamp": Timestamp::now().as_second() }),
            Service::UploadPictures => item("doctor-small"),
            Service::Status => json!({ "workOrders": [
                { "workOrderNumber": NO_ORDER, "clientStatus": "", "status": "assigned", "fieldStatus": "viewed" },
            ] }),
        };
        let small = photo(100);
        let file = (service == Service::UploadPictures).then_some(("doctor.jpg", small.as_slice()));
        self.call(&Call { path, username, token, fields, file, spelling: USUAL }).await
    }

    /// A wrong key in each service, and then an unknown user, who must get the same answer: else names could be
    /// guessed.
    async fn wrong_keys(&mut self, unknown_order: Option<&Reply>) {
        const WRONG: &str = "doctor-wrong-key";
        let (mut differing, mut refusing) = (Vec::new(), 0);
        for service in Service::ALL {
            let path = format!("{}.html", service.name());
            let wrong = self.service(service, &path, &self.username, WRONG).await;
            let refused = wrong.as_ref().map_err(Clone::clone).and_then(|reply| {
                // What it says of an unknown order has the shape of a refusal, too.
                match unknown_order {
                    Some(known) if service == Service::Status && known.text == reply.text => {
                        Err(Fault::new(reply.seen(), taken_anyway(service)))
                    }
                    _ => judge_refusal(service, reply),
                }
            });
            let is_refused = refused.is_ok();
            refusing += usize::from(is_refused);
            self.note(&format!("{} refuses a wrong key", service.name()), refused.map(|()| String::new()));
            let unknown = self.service(service, &path, "doctor-unknown-user", WRONG).await;
            match (wrong, unknown) {
                // It has a row of its own.
                (Ok(_), Ok(_)) if !is_refused => {}
                (Ok(wrong), Ok(unknown)) if wrong != unknown => differing.push((service.name(), Fault::new(
                    format!("{}; to a wrong key: {}", unknown.seen(), wrong.seen()),
                    "the two must be answered alike, or user names can be guessed: see that the latest version is deployed",
                ))),
                (_, Err(fault)) => differing.push((service.name(), fault)),
                _ => {}
            }
        }
        let outcome = match together(differing, Service::ALL.len()) {
            Some(fault) => Outcome::Fail(fault),
            None if refusing == 0 => Outcome::Skip("no wrong key was refused as documented".to_owned()),
            None => Outcome::Pass(String::new()),
        };
        self.note("an unknown user is answered like a wrong key", outcome);
    }

    async fn unknown_path(&self) -> Outcome {
        let fields = json!({});
        let path = "doctor-no-such-service.html";
        let call = Call { path, username: &self.username, token: "", fields, file: None, spelling: USUAL };
        Outcome::from(self.call(&call).await.and_then(|reply| {
            let next = "documented for errors is {\"status\":false,...,\"error\":\"...\"}: the URL must be the output WebServiceUrl as it is, with its stage (/live); if it is, deploy template.yaml anew: its GatewayResponses make this reply";
            match reply.json()? {
                json if is_general_refusal(&json) => Ok(format!("HTTP {}", reply.status)),
                _ => Err(Fault::new(reply.seen(), next)),
            }
        }))
    }

    fn ascii(&self) -> Outcome {
        let seen = self.not_ascii.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.0.is_empty() {
            return Outcome::Pass(format!("{} replies", seen.1));
        }
        let paths: Vec<&str> = seen.0.iter().map(String::as_str).collect();
        Outcome::Fail(Fault::new(
            format!("other characters in the replies of {}", paths.join(", ")),
            "Pruvan takes ASCII only, and may drop what holds more: see that the latest version is deployed, and what changes replies on their way",
        ))
    }
}

const NO_KEY: &str = "needs an API key, and there is none";

/// The first fault, with the places that have one, of so many.
fn together(faults: Vec<(&str, Fault)>, of: usize) -> Option<Fault> {
    let places = if faults.len() == of {
        format!("all {of}")
    } else {
        faults.iter().map(|(place, _)| *place).collect::<Vec<_>>().join(", ")
    };
    let (_, Fault { seen, next }) = faults.into_iter().next()?;
    Some(Fault { seen: format!("{places}: {seen}"), next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_once_with_all_their_places() {
        assert_eq!(together(Vec::new(), 5), None);
        let fault = || Fault::new("HTTP 500", "look into the log");
        let both = || vec![("status", fault()), ("status.php", fault())];
        assert_eq!(together(both(), 5), Some(Fault::new("status, status.php: HTTP 500", "look into the log")));
        assert_eq!(together(both(), 2), Some(Fault::new("all 2: HTTP 500", "look into the log")));
    }
}
