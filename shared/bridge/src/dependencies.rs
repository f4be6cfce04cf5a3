//! All that a function gets from outside, in one place.

use std::sync::OnceLock;

use aws_sdk_dynamodb::config::SharedHttpClient;

use crate::aws;
use crate::lines::Lines;
use crate::outbound::Outbound;
use crate::settings::{SettingError, Settings};
use crate::time::{Clock, Random, Waits};

/// Settings, stores, time, randomness and the way out.
#[derive(Clone)]
pub struct Dependencies {
    /// The function's environment variables.
    pub settings: Settings,
    /// What time it is.
    pub clock: Clock,
    /// Where keys come from.
    pub random: Random,
    /// How much shorter the long waits are; [`Waits::REAL`] but in demos and tests.
    pub waits: Waits,
    /// Who may be called.
    pub outbound: Outbound,
    /// Where the lines about requests and ticks go, and with them the metrics.
    pub lines: Lines,
    http: OnceLock<SharedHttpClient>,
    dynamodb: OnceLock<aws_sdk_dynamodb::Client>,
    s3: OnceLock<aws_sdk_s3::Client>,
}

impl Dependencies {
    /// Those of a Lambda function.
    pub fn lambda() -> Dependencies {
        let (clock, random) = (Clock::system(), Random::system());
        let settings = Settings::from_process();
        let lines = Lines::lambda(settings.optional("METRICS_NAMESPACE").unwrap_or("PruvanBridge"));
        Dependencies { lines, ..Dependencies::new(settings, clock, random, Waits::REAL, Outbound::public()) }
    }

    /// Of other parts, for the local runner and tests; the lines go nowhere.
    pub fn new(settings: Settings, clock: Clock, random: Random, waits: Waits, outbound: Outbound) -> Dependencies {
        let (http, dynamodb, s3) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Dependencies { settings, clock, random, waits, outbound, lines: Lines::none(), http, dynamodb, s3 }
    }

    /// The same with these clients, for tests whose calls fail.
    pub fn with_clients(mut self, dynamodb: aws_sdk_dynamodb::Client, s3: aws_sdk_s3::Client) -> Dependencies {
        (self.dynamodb, self.s3) = (OnceLock::from(dynamodb), OnceLock::from(s3));
        self
    }

    /// The DynamoDB client, made when it is first asked for: a function that needs none makes none.
    pub fn dynamodb(&self) -> Result<aws_sdk_dynamodb::Client, SettingError> {
        match self.dynamodb.get() {
            Some(client) => Ok(client.clone()),
            None => {
                aws::dynamodb(&self.settings, self.http()).map(|client| self.dynamodb.get_or_init(|| client).clone())
            }
        }
    }

    /// The S3 client, likewise.
    pub fn s3(&self) -> Result<aws_sdk_s3::Client, SettingError> {
        match self.s3.get() {
            Some(client) => Ok(client.clone()),
            None => aws::s3(&self.settings, self.http()).map(|client| self.s3.get_or_init(|| client).clone()),
        }
    }

    fn http(&self) -> &SharedHttpClient {
        self.http.get_or_init(aws::http_client)
    }
}
