//! Wiring to the Lambda runtime: what every `main.rs` calls.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use lambda_http::{Body, Request, Response};
use lambda_runtime::{Error, LambdaEvent};
use serde_json::Value;

use crate::accounts::Accounts;
use crate::dependencies::Dependencies;
use crate::log;
use crate::settings::{SettingError, Settings};
use crate::streamed::Streamed;

/// Runs a function behind API Gateway: `make` builds its state, once; `handle` answers a request.
pub async fn http<S, F>(
    make: impl FnOnce(&Dependencies) -> Result<S, SettingError>,
    handle: impl Fn(Arc<S>, Request) -> F + Sync,
) -> Result<(), Error>
where
    S: Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send,
{
    let state = start_connected(make).await?;
    lambda_http::run(lambda_http::service_fn(|request: Request| {
        let reply = handle(state.clone(), request);
        async { Ok::<_, std::convert::Infallible>(reply.await) }
    }))
    .await
}

/// Runs a function behind API Gateway whose replies go out while they are made: `handle` answers so, `handle_buffered`
/// where [`streams`] says that it can't be.
pub async fn streaming<S, F, G>(
    make: impl FnOnce(&Dependencies) -> Result<S, SettingError>,
    handle: impl Fn(Arc<S>, Request) -> F + Sync,
    handle_buffered: impl Fn(Arc<S>, Request) -> G + Sync,
) -> Result<(), Error>
where
    S: Send + Sync + 'static,
    F: Future<Output = Response<Streamed>> + Send,
    G: Future<Output = Response<Body>> + Send,
{
    if !streams(&Settings::from_process()) {
        return Box::pin(http(make, handle_buffered)).await;
    }
    let state = start_connected(make).await?;
    lambda_http::run_with_streaming_response(lambda_http::service_fn(|request: Request| {
        let reply = Box::pin(handle(state.clone(), request)); // the compiler gives up on how deep it is otherwise
        async { Ok::<_, std::convert::Infallible>(reply.await) }
    }))
    .await
}

/// Whether replies can be streamed: not in `sam local`, which sets `AWS_SAM_LOCAL`, nor where `BUFFERED_REPLIES` is
/// set, for whatever else stands in for Lambda.
pub fn streams(settings: &Settings) -> bool {
    settings.optional("AWS_SAM_LOCAL").is_none() && settings.optional("BUFFERED_REPLIES").is_none()
}

/// Runs a function on a schedule: `handle` does the work and returns what to log about it; the event has nothing of
/// interest.
pub async fn schedule<S, F>(
    make: impl FnOnce(&Dependencies) -> Result<S, SettingError>,
    handle: impl Fn(Arc<S>, Deadline) -> F,
) -> Result<(), Error>
where
    S: Send + Sync + 'static,
    F: Future<Output = Result<(), Error>>,
{
    let state = start(&Dependencies::lambda(), make)?;
    lambda_runtime::run(lambda_runtime::service_fn(|event: LambdaEvent<Value>| {
        let at_ms = i64::try_from(event.context.deadline).unwrap_or(i64::MAX);
        handle(state.clone(), Deadline { at_ms, request_id: event.context.request_id })
    }))
    .await
}

/// One call of a function by its schedule.
#[derive(Debug, Clone)]
pub struct Deadline {
    /// When the function will be stopped, in milliseconds since 1970.
    pub at_ms: i64,
    /// Lambda's id of the call.
    pub request_id: String,
}

impl Deadline {
    /// A call by nobody in particular.
    pub fn at(at_ms: i64) -> Deadline {
        Deadline { at_ms, request_id: String::new() }
    }
}

/// Why a function can't start.
#[derive(Debug, thiserror::Error)]
#[error("this function can't start: {0}")]
struct StartError(SettingError);

/// How long a function's start waits for its first connection: Lambda gives a start ten seconds.
const CONNECT: Duration = Duration::from_secs(2);

/// Starts a function behind API Gateway, with its connection to DynamoDB: made here, with the full processor that
/// Lambda gives a start, it spares the first request most of its time.
async fn start_connected<S>(make: impl FnOnce(&Dependencies) -> Result<S, SettingError>) -> Result<Arc<S>, Error> {
    let dependencies = Dependencies::lambda();
    let state = start(&dependencies, make)?;
    // Each of these functions authenticates or looks up its account, so this is a call that it may make.
    let connected = async { Accounts::new(&dependencies)?.connect().await.map_err(Error::from) };
    match tokio::time::timeout(CONNECT, connected).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "function.not_connected"),
        Err(_) => tracing::warn!(error = "timed out", "function.not_connected"),
    }
    Ok(state)
}

fn start<S>(
    dependencies: &Dependencies,
    make: impl FnOnce(&Dependencies) -> Result<S, SettingError>,
) -> Result<Arc<S>, Error> {
    log::start(&dependencies.settings);
    let state = make(dependencies).map_err(|error| {
        let error = StartError(error);
        tracing::error!(%error, "function.not_started");
        error
    })?;
    Ok(Arc::new(state))
}
