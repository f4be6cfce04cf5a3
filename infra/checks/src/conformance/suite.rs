//! A run: what was given, what was learnt so far, and the calls that it makes.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use host_client::web_services::{self, is_local, web_service_url};
use host_client::{SetupError, cause};
use indicatif::{ProgressBar, ProgressStyle};
use pruvan::lenient::text;
use reqwest::Url;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};
use simulator::spec::{self, GENERAL, Service};

use super::call::{Answer, Call, Secrets, Spelling, Who};
use super::options::Options;
use super::reader::Reader;
use super::receiver::Receiver;
use super::seen::Seen;
use crate::command::NothingToCheck;
use crate::reply::Reply;
use crate::report::{Fault, Outcome, Report, Row};

/// A reply is given within this, or there is none.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How far the run was when how many pushes had come.
#[derive(Debug, Default)]
pub struct Marks {
    /// Before the first report.
    pub reported: usize,
    /// Before the report that the order is complete.
    pub completed: Option<usize>,
    /// The queue was not drained before the first report.
    pub restless: bool,
}

/// One run of the conformance checks: its settings, what it has learnt so far, and its report.
pub struct Suite {
    pub options: Options,
    pub url: Url,
    pub secrets: Secrets,
    pub client: reqwest::Client,
    /// Takes pushes; without it, why it can't be reached.
    pub receiver: Result<Receiver, String>,
    pub marks: Marks,
    pub reader: Option<Reader>,
    /// How multipart is sent: as the specification spells it, unless that isn't understood.
    pub spelling: Spelling,
    /// What stands before numbers in reports: the client code, unless that isn't understood.
    pub prefix: String,
    /// What a full refresh gave.
    pub orders: Vec<Value>,
    /// By `uuId`: files that were acknowledged, the last one.
    pub acknowledged: BTreeMap<String, Vec<u8>>,
    pub seen: Mutex<Seen>,
    pub report: Report,
    pub bar: ProgressBar,
}

/// The order that everything is about.
#[derive(Debug, Clone)]
pub struct Target {
    pub number: String,
    pub service: String,
}

impl Suite {
    pub async fn new(options: &Options) -> Result<Suite, NothingToCheck> {
        let url = web_service_url(&options.url)?;
        let token = options.token.clone().filter(|token| !token.expose_secret().is_empty()).ok_or_else(|| {
            SetupError("PRUVAN_KEY is not set: put the API key of --username into this environment variable".to_owned())
        })?;
        if token.expose_secret().len() < 6 {
            return Err(SetupError(
                "the API key has less than 6 characters: make a longer one, which can't be guessed or met by chance"
                    .to_owned(),
            )
            .into());
        }
        let reader = options.read_back.as_deref().map(Reader::new).transpose()?;
        let client = web_services::client(TIMEOUT)?;
        let receiver = match &options.push_url {
            None if !is_local(&url) => {
                Err("pushes can't reach this machine: give --push-url, a public URL that leads to --push-port"
                    .to_owned())
            }
            public => Ok(Receiver::start(options.push_port.unwrap_or(0), public.as_deref()).await?),
        };
        let secrets = Secrets::new(&token, receiver.as_ref().ok());
        let style = ProgressStyle::with_template("{spinner} {pos} checks  {msg}");
        let bar = ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.enable_steady_tick(Duration::from_millis(100));
        Ok(Suite {
            prefix: format!("{}::", options.client_code),
            options: options.clone(),
            url,
            secrets,
            client,
            receiver,
            marks: Marks::default(),
            reader,
            spelling: Spelling::AsSpecified,
            orders: Vec::new(),
            acknowledged: BTreeMap::new(),
            seen: Mutex::default(),
            report: Report::default(),
            bar,
        })
    }

    pub fn begin(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    /// Takes what a check came to into the report.
    pub fn row(&mut self, section: &'static str, check: &str, outcome: impl Into<Outcome>) {
        self.report.rows.push(Row { section: Some(section), check: check.to_owned(), outcome: outcome.into() });
        self.bar.inc(1);
    }

    pub fn nothing_else(&mut self, why: &str) {
        self.row(GENERAL, "everything else", Outcome::Skip(why.to_owned()));
    }

    /// Whether there is anything at the URL, and how it is secured.
    pub async fn reached(&self) -> Outcome {
        match self.client.post(self.url.clone()).send().await {
            Ok(_) if self.url.scheme() == "https" => Outcome::Pass("TLS 1.2 or newer".to_owned()),
            Ok(_) => Outcome::Skip("plain http, on this machine only".to_owned()),
            Err(error) => Outcome::Fail(Fault::new(
                cause(&error),
                "Pruvan calls https with a certificate that is valid: compare the URL, and see that this machine reaches it",
            )),
        }
    }

    /// The order that reports and uploads are about: the one asked for, or else the first by number, which is the same
    /// in each run.
    pub fn target(&self) -> Option<Target> {
        let number = |order: &Value| order.get("workOrderNumber").and_then(text);
        let wanted = self.options.order.as_deref();
        let found =
            self.orders.iter().filter(|order| wanted.is_none_or(|wanted| number(order).as_deref() == Some(wanted)));
        let found = found.min_by_key(|order| number(order))?;
        let service = found["services"][0].get("serviceName").and_then(text).unwrap_or_else(|| "Task".to_owned());
        Some(Target { number: number(found)?, service })
    }

    /// Why there is no order to do it with, and what to do about it.
    pub fn no_order(&self) -> Outcome {
        Outcome::Skip(match &self.options.order {
            Some(number) => format!("order {number:?} is not in a full refresh: give --order one that is"),
            None => "no work orders: put one in, and run it again".to_owned(),
        })
    }

    pub fn watch(&self) -> Duration {
        self.options.waits.watch.unwrap_or(Duration::from_secs(self.options.watch))
    }

    /// Makes calls one after another, each of which must be taken.
    pub async fn all_taken(&mut self, calls: Vec<Call>) -> Outcome {
        let mut faults = Vec::new();
        let of = calls.len();
        for call in calls {
            let answer = self.call(&call).await;
            if let Err(fault) = answer.and_then(|answer| answer.taken()) {
                faults.push(fault);
                continue;
            }
            self.acknowledge(&call);
        }
        together(faults, of)
    }

    /// Notes that an upload was acknowledged.
    pub fn acknowledge(&mut self, call: &Call) {
        if let (Some(id), Some((_, bytes))) = (call.fields["uuId"].as_str(), &call.file) {
            self.acknowledged.insert(id.to_owned(), bytes.clone());
        }
    }

    /// The Validate button, which hands the push key over.
    pub fn validate(&self) -> Call {
        Call::new(
            Service::Validate,
            match &self.receiver {
                Ok(receiver) => json!({ "pushkey": receiver.push_key() }),
                // One that leads nowhere would take the place of the one that is there.
                Err(_) => json!({}),
            },
        )
    }

    /// Makes a call as Pruvan does, and notes what breaks the specification in its reply. An error says why there was
    /// none.
    pub async fn call(&self, call: &Call) -> Result<Answer, Fault> {
        let wrong = "conformance-wrong-key";
        let sha1 = |token: &str| hex::encode(Sha1::digest(token.as_bytes()));
        let (username, password, token) = match call.who {
            Who::Right => {
                let (sha1, token) = (self.secrets.sha1.expose_secret(), self.secrets.token.expose_secret());
                (self.options.username.as_str(), sha1.to_owned(), token)
            }
            Who::WrongKey => (self.options.username.as_str(), sha1(wrong), wrong),
            Who::UnknownUser => ("conformance-unknown-user", sha1(wrong), wrong),
            Who::EmptyToken => (self.options.username.as_str(), sha1(""), ""),
        };
        let mut payload = json!({ "username": username, "password": password, "token": token });
        if let (Value::Object(payload), Value::Object(fields)) = (&mut payload, call.fields.clone()) {
            payload.extend(fields);
        }
        let payload = payload.to_string();
        let (content_type, body) = call.body(&payload, call.spelling.unwrap_or(self.spelling));
        let sent_secrets = self.secrets.in_text(&payload);
        let dot = if self.options.extension.is_empty() { "" } else { "." };
        let extension = self.options.extension.trim_start_matches('.');
        let url = format!("{}/{}{dot}{extension}", self.url.as_str().trim_end_matches('/'), call.service.name());
        let sent = self.secrets.mask(&call.told());
        let no_reply = |error: reqwest::Error| {
            let next =
                format!("a reply is due within {} seconds: look into the log of the implementation", TIMEOUT.as_secs());
            Fault::new(format!("sent {sent}; no reply: {}", cause(&error)), next)
        };
        let reply =
            self.client.post(url).header("content-type", content_type).body(body).send().await.map_err(no_reply)?;
        let status = reply.status().as_u16();
        let content_type = reply.headers().get("content-type").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let bytes = reply.bytes().await.map_err(no_reply)?;
        let text = String::from_utf8_lossy(&bytes);
        let mut repeated = self.secrets.in_text(&text);
        repeated.retain(|name| sent_secrets.contains(name));
        let text = self.secrets.mask(&text);
        let content_type = content_type.map(|kind| self.secrets.mask(&kind));
        let breaches = spec::reply(call.service, status, content_type.as_deref(), text.as_bytes());
        self.noted().note(call.service, &sent, breaches, repeated);
        let json = serde_json::from_str(&text).unwrap_or_default();
        let reply = Reply { status, content_type: content_type.unwrap_or_default(), text };
        Ok(Answer { service: call.service, sent, reply, json })
    }

    /// What was seen in the replies so far.
    pub fn noted(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first fault of several of one kind, with how many there are.
pub fn together(faults: Vec<Fault>, of: usize) -> Outcome {
    let count = faults.len();
    match faults.into_iter().next() {
        None => Outcome::Pass(String::new()),
        Some(Fault { seen, next }) if of > 1 => Outcome::Fail(Fault { seen: format!("{count} of {of}: {seen}"), next }),
        Some(fault) => Outcome::Fail(fault),
    }
}
