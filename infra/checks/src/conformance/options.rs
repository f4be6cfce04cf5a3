//! What can be chosen, and how long is waited.

use std::time::Duration;

use secrecy::SecretString;

use crate::report::Report;

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
    /// Public URL that leads to --push-port on this machine, such as a tunnel's; not needed for an implementation on
    /// this machine
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
    /// It is fetched for each upload that was acknowledged, so that one that is lost is found. API Gateway's own host
    /// names are called with the AWS credentials of the environment.
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
    /// After a push that failed: what comes later may be a second try of what went through in the meantime, and is no
    /// echo.
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
