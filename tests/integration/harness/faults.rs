//! SDK clients whose n-th call fails before or after it took effect, or never comes back, as if the function had died
//! there.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, HttpClient, Region, RuntimeComponents, SharedHttpClient};
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use bridge::Dependencies;
use serde_json::{Value, json};
use tokio::sync::Notify;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails and has done nothing, and so do the SDK's retries of it.
    Before,
    /// It and what follows fail, sixty-four tries in all.
    Outage,
    /// It takes effect, and the reply is lost. The SDK tries again.
    After,
    /// The same, but that the reply is lost, and the SDK tries again, when the test says so: others may act between.
    AfterAWhile,
    /// The function dies before it.
    DiesBefore,
    /// The function dies when it has taken effect.
    DiesAfter,
    /// The service refuses it for now, and the SDK's retries of it.
    Throttled,
    /// The service says 500, and so to the SDK's retries.
    Broken,
    /// No answer comes, nor one to the SDK's retries. It has done nothing.
    Hangs,
    /// Another transaction has the row.
    Conflict,
    /// It waits until it is told to go on.
    Pauses,
    /// It takes effect, and takes so long that the clock goes on by [`Faults::slow`].
    Slow,
}

impl Fault {
    /// How many calls in a row it meets.
    fn times(self) -> u32 {
        match self {
            Fault::Before | Fault::Throttled | Fault::Broken | Fault::Hangs => TRIES,
            Fault::Outage => 64,
            _ => 1,
        }
    }
}

/// Which of the calls to come is met by which fault.
#[derive(Clone, Default)]
pub struct Faults {
    plan: Arc<Mutex<Option<(usize, Fault, u32)>>>,
    died: Arc<Notify>,
    paused: Arc<Notify>,
    resumed: Arc<Notify>,
    slow: Arc<Mutex<Option<MovesTheClock>>>,
    calls: Arc<Mutex<Vec<String>>>,
    patience: Arc<Mutex<Option<Duration>>>,
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Faults").field("plan", &self.plan).finish_non_exhaustive()
    }
}

type MovesTheClock = Box<dyn Fn() + Send>;

/// As many as the SDK tries a call.
const TRIES: u32 = 2;

impl Faults {
    /// `fault` meets the `nth` call from now (from 0).
    pub fn plan(&self, nth: usize, fault: Fault) {
        self.plan_row(nth, fault, fault.times());
    }

    /// The same, so many calls in a row.
    pub fn plan_row(&self, nth: usize, fault: Fault, times: u32) {
        *self.plan.lock().unwrap() = Some((nth, fault, times));
    }

    /// The calls since this was last asked, each by its operation and table; tries are counted singly.
    pub fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    /// How long a call may take, of clients that are made from now on.
    pub fn patience(&self, patience: Duration) {
        *self.patience.lock().unwrap() = Some(patience);
    }

    /// Until a call waits.
    pub async fn paused(&self) {
        self.paused.notified().await;
    }

    /// Lets the call that waits go on.
    pub fn resume(&self) {
        self.resumed.notify_one();
    }

    /// What a slow call does to the clock.
    pub fn slow(&self, moves_the_clock: impl Fn() + Send + 'static) {
        *self.slow.lock().unwrap() = Some(Box::new(moves_the_clock));
    }

    /// No fault any more. Whether the planned one has met a call.
    pub fn end(&self) -> bool {
        match self.plan.lock().unwrap().take() {
            None => true,
            Some((nth, fault, times)) => nth == 0 && times < fault.times(),
        }
    }

    /// Runs `function` to its end, or to its death: then `None`.
    pub async fn run<T>(&self, function: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            result = function => Some(result),
            () = self.died.notified() => None,
        }
    }

    /// `dependencies` with clients that these faults meet.
    pub fn meet(&self, dependencies: Dependencies, dynamodb_url: &str, s3_url: &str) -> Dependencies {
        let client = SharedHttpClient::new(Faulty {
            faults: self.clone(),
            inner: aws_smithy_http_client::Builder::new().build_http(),
        });
        let setting = |name| dependencies.settings.get(name).unwrap();
        let (id, secret) = (setting("AWS_ACCESS_KEY_ID"), setting("AWS_SECRET_ACCESS_KEY"));
        let credentials = Credentials::new(id, secret, None, None, "test");
        let retries = RetryConfig::standard().with_max_attempts(TRIES).with_initial_backoff(Duration::from_millis(1));
        let patience = *self.patience.lock().unwrap();
        let timeouts = TimeoutConfig::builder().set_operation_attempt_timeout(patience).clone().build();
        let dynamodb = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(credentials.clone())
            .retry_config(retries.clone())
            .timeout_config(timeouts.clone())
            .http_client(client.clone())
            .endpoint_url(dynamodb_url);
        let s3 = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(credentials)
            .retry_config(retries)
            .timeout_config(timeouts)
            .http_client(client)
            .endpoint_url(s3_url)
            .force_path_style(true);
        dependencies.with_clients(
            aws_sdk_dynamodb::Client::from_conf(dynamodb.build()),
            aws_sdk_s3::Client::from_conf(s3.build()),
        )
    }

    /// `dependencies` with their own retries and time-outs, and a DynamoDB client that these faults meet.
    pub fn meet_as_in_aws(&self, dependencies: Dependencies) -> Dependencies {
        let config = dependencies.dynamodb().unwrap().config().clone();
        let client = Faulty { faults: self.clone(), inner: config.http_client().unwrap() };
        let dynamodb = aws_sdk_dynamodb::Client::from_conf(config.to_builder().http_client(client).build());
        let s3 = dependencies.s3().unwrap();
        dependencies.with_clients(dynamodb, s3)
    }

    fn next(&self, request: &HttpRequest) -> Option<Fault> {
        self.calls.lock().unwrap().push(name(request));
        let mut plan = self.plan.lock().unwrap();
        let (nth, fault, times) = (*plan)?;
        if nth > 0 {
            *plan = Some((nth - 1, fault, times));
            return None;
        }
        // What comes after goes well again: a failure that was swallowed must show.
        *plan = (times > 1).then_some((0, fault, times - 1));
        Some(fault)
    }
}

#[derive(Debug)]
struct Faulty {
    faults: Faults,
    inner: SharedHttpClient,
}

impl HttpClient for Faulty {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(FaultyConnector { faults: self.faults.clone(), inner })
    }
}

#[derive(Debug)]
struct FaultyConnector {
    faults: Faults,
    inner: SharedHttpConnector,
}

impl HttpConnector for FaultyConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (faults, inner) = (self.faults.clone(), self.inner.clone());
        HttpConnectorFuture::new(async move {
            let broken = || Err(ConnectorError::io("planned".into()));
            let die = async |faults: &Faults| -> ! {
                faults.died.notify_one();
                std::future::pending().await
            };
            match faults.next(&request) {
                None => inner.call(request).await,
                Some(Fault::Before | Fault::Outage) => broken(),
                Some(Fault::DiesBefore) => die(&faults).await,
                Some(Fault::Slow) => {
                    let reply = inner.call(request).await;
                    if let Some(moves_the_clock) = &*faults.slow.lock().unwrap() {
                        moves_the_clock();
                    }
                    reply
                }
                Some(Fault::Pauses) => {
                    faults.paused.notify_one();
                    faults.resumed.notified().await;
                    inner.call(request).await
                }
                Some(Fault::Throttled) => Ok(refusal(&request, "ThrottlingException")),
                Some(Fault::Broken) => Ok(HttpResponse::new(500.try_into().unwrap(), SdkBody::empty())),
                Some(Fault::Hangs) => std::future::pending().await,
                Some(Fault::Conflict) => Ok(refusal(&request, "TransactionConflictException")),
                Some(Fault::After) => {
                    let _ = inner.call(request).await;
                    broken()
                }
                Some(Fault::AfterAWhile) => {
                    let _ = inner.call(request).await;
                    faults.paused.notify_one();
                    faults.resumed.notified().await;
                    broken()
                }
                Some(Fault::DiesAfter) => {
                    let _ = inner.call(request).await;
                    die(&faults).await
                }
            }
        })
    }
}

/// The operation, and of DynamoDB the table.
fn name(request: &HttpRequest) -> String {
    let Some(target) = request.headers().get("x-amz-target") else { return format!("S3 {}", request.method()) };
    let body: Value = request.body().bytes().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
    format!("{target} {}", body["TableName"])
}

/// What a service says when it does nothing. A transaction says of each action why.
fn refusal(request: &HttpRequest, kind: &str) -> HttpResponse {
    if request.headers().get("x-amz-target").is_none() {
        let body = "<Error><Code>SlowDown</Code><Message></Message></Error>";
        return HttpResponse::new(503.try_into().unwrap(), SdkBody::from(body));
    }
    let transaction =
        request.headers().get("x-amz-target").is_some_and(|target| target.ends_with("TransactWriteItems"));
    let error = |kind: &str| format!("com.amazonaws.dynamodb.v20120810#{kind}");
    let body = match (transaction, kind) {
        (true, "TransactionConflictException") => json!({
            "__type": error("TransactionCanceledException"), "Message": "",
            "CancellationReasons": [{ "Code": "None" }, { "Code": "TransactionConflict", "Message": "" }],
        }),
        _ => json!({ "__type": error(kind), "message": "" }),
    };
    HttpResponse::new(400.try_into().unwrap(), SdkBody::from(body.to_string()))
}
