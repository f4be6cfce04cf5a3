//! SDK clients from the environment variables that Lambda sets.
//!
//! `aws-config` is left out on purpose: its chain tries profiles, SSO and instance metadata, and in Lambda credentials
//! are environment variables that stay the same as long as the process lives.

use std::time::Duration;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedHttpClient};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;

use crate::settings::{SettingError, Settings};

fn credentials(settings: &Settings) -> Result<Credentials, SettingError> {
    Ok(Credentials::new(
        settings.get("AWS_ACCESS_KEY_ID")?,
        settings.get("AWS_SECRET_ACCESS_KEY")?,
        settings.optional("AWS_SESSION_TOKEN").map(str::to_owned),
        None,
        "environment",
    ))
}

fn region(settings: &Settings) -> Result<Region, SettingError> {
    Ok(Region::new(settings.get("AWS_REGION")?.to_owned()))
}

/// DynamoDB; `AWS_ENDPOINT_URL_DYNAMODB` names another endpoint.
pub fn dynamodb(settings: &Settings, http: &SharedHttpClient) -> Result<aws_sdk_dynamodb::Client, SettingError> {
    let mut config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(region(settings)?)
        .credentials_provider(credentials(settings)?)
        .http_client(http.clone())
        .retry_config(patient())
        .timeout_config(timeouts(3, 12));
    if let Some(url) = endpoint(settings, "AWS_ENDPOINT_URL_DYNAMODB") {
        config = config.endpoint_url(url);
    }
    Ok(aws_sdk_dynamodb::Client::from_conf(config.build()))
}

/// S3; `AWS_ENDPOINT_URL_S3` names another endpoint, which then gets the bucket in the path.
pub fn s3(settings: &Settings, http: &SharedHttpClient) -> Result<aws_sdk_s3::Client, SettingError> {
    let mut config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(region(settings)?)
        .credentials_provider(credentials(settings)?)
        .http_client(http.clone())
        .timeout_config(timeouts(15, 22));
    if let Some(url) = endpoint(settings, "AWS_ENDPOINT_URL_S3") {
        config = config.endpoint_url(url).force_path_style(true);
    }
    Ok(aws_sdk_s3::Client::from_conf(config.build()))
}

/// A sandbox that slept wakes with sockets that the other side has closed meanwhile; those are not tried any more. AWS
/// keeps an idle connection for longer than this.
const IDLE_FOR: Duration = Duration::from_secs(15);

/// The connections of all clients of a function: each client of its own would read all root certificates again.
pub fn http_client() -> SharedHttpClient {
    Builder::new().pool_idle_timeout(IDLE_FOR).tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https()
}

/// DynamoDB throttles by the second: in the middle of a list, what is refused three times in a row must still come. The
/// pauses between eight attempts are 3.3 seconds at most, and half of that as a rule.
fn patient() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(8)
        .with_initial_backoff(Duration::from_millis(50))
        .with_max_backoff(Duration::from_secs(1))
}

/// So that a call that hangs is tried again within API Gateway's 29 seconds.
fn timeouts(attempt_seconds: u64, operation_seconds: u64) -> TimeoutConfig {
    TimeoutConfig::builder()
        .operation_attempt_timeout(Duration::from_secs(attempt_seconds))
        .operation_timeout(Duration::from_secs(operation_seconds))
        .build()
}

fn endpoint<'a>(settings: &'a Settings, service: &str) -> Option<&'a str> {
    settings.optional(service).or_else(|| settings.optional("AWS_ENDPOINT_URL"))
}
