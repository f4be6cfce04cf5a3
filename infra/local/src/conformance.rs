//! `conformance`: whether an implementation of the four web services, of whatever make, does what the specification says, and what Pruvan's
//! users and the integrations in the field count on.
//!
//! It plays Pruvan: it calls the services as Pruvan does, hands over a push key of its own, and judges what is pushed to it. What it sends is
//! the same in each run, so that a second run stores nothing new where uploads are told apart by their `uuId`.

mod call;
mod headers;
mod keys;
mod pull;
mod pushes;
mod receiver;
mod replies;
mod status;
mod upload;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use pruvan::lenient::text;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::doctor::{cause, is_local, web_service_url};
use crate::report::{Fault, Outcome, Report, Row};
use crate::system::StartError;
use call::{Call, Secrets, Spelling};
use receiver::Receiver;
use replies::Seen;

/// What to check.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Web service URL, as it is typed into Pruvan; https, but on this machine
    #[arg(long)]
    pub url: String,
    /// User name of an account that is made for this
    #[arg(long)]
    pub username: String,
    /// Its API key; better in the environment variable PRUVAN_KEY, since others see a command line
    #[arg(long, value_parser = secret)]
    pub token: Option<SecretString>,
    /// Web service extension, as it is typed into Pruvan; "" for none
    #[arg(long, default_value = "html")]
    pub extension: String,
    /// How to print the report
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
    /// Client code, which Pruvan puts before the numbers that it reports
    #[arg(long, value_name = "CODE", default_value = "SMC")]
    pub client_code: String,
    /// So many work orders at least must be in a full refresh
    #[arg(long, value_name = "N")]
    pub orders: Option<usize>,
    /// The work order to report on and to publish for [default: the one with the lowest number]
    #[arg(long, value_name = "NUMBER")]
    pub order: Option<String>,
    /// Public URL that leads to --push-port on this machine, such as a tunnel's; not needed for an implementation on this machine
    #[arg(long, value_name = "URL", requires = "push_port")]
    pub push_url: Option<String>,
    /// Port on 127.0.0.1 that takes pushes [default: a free one]
    #[arg(long, value_name = "PORT")]
    pub push_port: Option<u16>,
    /// Seconds to wait for pushes, at first and again after the last report
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    pub watch: u64,
    /// URL that shows an upload, with {uuId} in it: its bytes, or anything that holds their SHA-256 in hex
    ///
    /// It is fetched for each upload that was acknowledged, so that one that is lost is found. API Gateway's own host names are called with the AWS
    /// credentials of the environment.
    #[arg(long, value_name = "TEMPLATE")]
    pub read_back: Option<String>,
    /// How long to wait.
    #[arg(skip)]
    pub waits: Waits,
}

fn secret(text: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(text.into())
}

/// How a report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A table for people.
    Text,
    /// JSON.
    Json,
    /// JUnit's XML, which CI systems show.
    Junit,
}

impl Format {
    /// The report as text.
    pub fn print(self, report: &Report, colour: bool) -> String {
        match self {
            Format::Text => report.table(colour),
            Format::Json => report.json(),
            Format::Junit => report.junit("Pruvan API v2"),
        }
    }
}

/// How long to wait for what comes by itself.
#[derive(Debug, Clone, Copy)]
pub struct Waits {
    /// For the first push, and for echoes after the last report; without it, so long as `--watch` says.
    pub watch: Option<Duration>,
    /// After the last push, until the queue counts as drained.
    pub quiet: Duration,
    /// For the second try of a push that failed.
    pub retry: Duration,
    /// After a push that failed: what comes later may be a second try of what went through in the meantime, and is no echo.
    pub doubt: Duration,
    /// For an upload that can't be read back yet.
    pub read_back: Duration,
}

impl Default for Waits {
    fn default() -> Waits {
        let seconds = Duration::from_secs;
        Waits { watch: None, quiet: seconds(10), retry: seconds(150), doubt: seconds(200), read_back: seconds(5) }
    }
}

/// A reply is given within this, or there is none.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Makes all checks. An error means that there was nothing to check, and names the next step.
pub async fn run(options: &Options) -> Result<Report, StartError> {
    let mut suite = Suite::new(options).await?;
    let done = tokio::select! {
        () = suite.all() => Ok(()),
        _ = tokio::signal::ctrl_c() => Err(StartError("interrupted".to_owned())),
    };
    suite.bar.finish_and_clear();
    done.map(|()| {
        // In the order of the specification, so that each section is one heading.
        suite
            .report
            .rows
            .sort_by_key(|row| row.section.map(|section| SECTIONS.iter().position(|known| *known == section)));
        suite.report
    })
}

/// Headings of the specification, in its order.
const SECTIONS: [&str; 18] = [
    crate::spec::URL_FORMAT,
    "The validate Web Service",
    "Authentication",
    "The getWorkOrders Web Service",
    "getWorkOrders Modes",
    "Available workOrder Object Fields",
    "Available workOrder service Object Fields",
    "Numbered Attributes",
    "Requirements",
    "Limits",
    "The uploadPictures Web Service",
    "Available uploadPictures Object Fields",
    "Pruvan Status Values",
    "The status Web Service",
    "Pruvan Push API",
    crate::spec::PUSHKEY,
    crate::spec::GENERAL,
    "Date Fields",
];

/// A run.
struct Suite {
    options: Options,
    url: Url,
    secrets: Secrets,
    client: reqwest::Client,
    /// Takes pushes; without it, why it can't be reached.
    receiver: Result<Receiver, String>,
    marks: pushes::Marks,
    reader: Option<upload::Reader>,
    /// How multipart is sent: as the specification spells it, unless that isn't understood.
    spelling: Spelling,
    /// What stands before numbers in reports: the client code, unless that isn't understood.
    prefix: String,
    /// What a full refresh gave.
    orders: Vec<Value>,
    /// By `uuId`: files that were acknowledged, the last one.
    acknowledged: BTreeMap<String, Vec<u8>>,
    seen: Mutex<Seen>,
    report: Report,
    bar: ProgressBar,
}

/// The order that everything is about.
#[derive(Debug, Clone)]
struct Target {
    number: String,
    service: String,
}

impl Suite {
    async fn new(options: &Options) -> Result<Suite, StartError> {
        let url = web_service_url(&options.url)?;
        let token = options.token.clone().filter(|token| !token.expose_secret().is_empty()).ok_or_else(|| {
            StartError("PRUVAN_KEY is not set: put the API key of --username into this environment variable".to_owned())
        })?;
        if token.expose_secret().len() < 6 {
            return Err(StartError(
                "the API key has less than 6 characters: make a longer one, which can't be guessed or met by chance"
                    .to_owned(),
            ));
        }
        let reader = options.read_back.as_deref().map(upload::Reader::new).transpose()?;
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .tls_version_min(reqwest::tls::Version::TLS_1_2)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| StartError(format!("no HTTP client: {error}")))?;
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
            marks: pushes::Marks::default(),
            reader,
            spelling: Spelling::AsSpecified,
            orders: Vec::new(),
            acknowledged: BTreeMap::new(),
            seen: Mutex::default(),
            report: Report::default(),
            bar,
        })
    }

    async fn all(&mut self) {
        self.begin("https");
        let reached = self.reached().await;
        let unreachable = matches!(reached, Outcome::Fail(_));
        self.row(crate::spec::URL_FORMAT, "it answers, by https with a valid certificate", reached);
        if unreachable {
            return self.nothing_else("the web service URL can't be reached");
        }
        self.begin("the key");
        if !keys::right(self).await {
            return self.nothing_else("the right key is refused");
        }
        self.begin("imports");
        pull::checks(self).await;
        self.begin("wrong keys");
        keys::wrong(self).await;
        self.begin("waiting for pushes");
        pushes::settle(self).await;
        status::prefixed(self).await;
        self.begin("headers");
        headers::checks(self).await;
        self.begin("reports");
        status::checks(self).await;
        self.begin("uploads");
        upload::checks(self).await;
        self.begin("watching for echoes");
        pushes::checks(self).await;
        self.begin("reading back");
        upload::read_back(self).await;
        replies::checks(self);
    }

    fn begin(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    /// Takes what a check came to into the report.
    fn row(&mut self, section: &'static str, check: &str, outcome: impl Into<Outcome>) {
        self.report.rows.push(Row { section: Some(section), check: check.to_owned(), outcome: outcome.into() });
        self.bar.inc(1);
    }

    fn nothing_else(&mut self, why: &str) {
        self.row(crate::spec::GENERAL, "everything else", Outcome::Skip(why.to_owned()));
    }

    /// Whether there is anything at the URL, and how it is secured.
    async fn reached(&self) -> Outcome {
        match self.client.post(self.url.clone()).send().await {
            Ok(_) if self.url.scheme() == "https" => Outcome::Pass("TLS 1.2 or newer".to_owned()),
            Ok(_) => Outcome::Skip("plain http, on this machine only".to_owned()),
            Err(error) => Outcome::Fail(Fault::new(
                cause(&error),
                "Pruvan calls https with a certificate that is valid: compare the URL, and see that this machine reaches it",
            )),
        }
    }

    /// The order that reports and uploads are about: the one asked for, or else the first by number, which is the same in each run.
    fn target(&self) -> Option<Target> {
        let number = |order: &Value| order.get("workOrderNumber").and_then(text);
        let wanted = self.options.order.as_deref();
        let found =
            self.orders.iter().filter(|order| wanted.is_none_or(|wanted| number(order).as_deref() == Some(wanted)));
        let found = found.min_by_key(|order| number(order))?;
        let service = found["services"][0].get("serviceName").and_then(text).unwrap_or_else(|| "Task".to_owned());
        Some(Target { number: number(found)?, service })
    }

    /// Why there is no order to do it with, and what to do about it.
    fn no_order(&self) -> Outcome {
        Outcome::Skip(match &self.options.order {
            Some(number) => format!("order {number:?} is not in a full refresh: give --order one that is"),
            None => "no work orders: put one in, and run it again".to_owned(),
        })
    }

    fn watch(&self) -> Duration {
        self.options.waits.watch.unwrap_or(Duration::from_secs(self.options.watch))
    }

    /// Makes calls one after another, each of which must be taken.
    async fn all_taken(&mut self, calls: Vec<Call>) -> Outcome {
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
    fn acknowledge(&mut self, call: &Call) {
        if let (Some(id), Some((_, bytes))) = (call.fields["uuId"].as_str(), &call.file) {
            self.acknowledged.insert(id.to_owned(), bytes.clone());
        }
    }
}

/// The first fault of several of one kind, with how many there are.
fn together(faults: Vec<Fault>, of: usize) -> Outcome {
    let count = faults.len();
    match faults.into_iter().next() {
        None => Outcome::Pass(String::new()),
        Some(Fault { seen, next }) if of > 1 => Outcome::Fail(Fault { seen: format!("{count} of {of}: {seen}"), next }),
        Some(fault) => Outcome::Fail(fault),
    }
}
