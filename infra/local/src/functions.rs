//! The functions, by the names of their binaries: the same handlers that Lambda runs.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bridge::Dependencies;
use bridge::run::Deadline;
use bridge::settings::SettingError;
use bridge::streamed::Streamed;
use lambda_http::{Body, Request, Response};

type Answer = Pin<Box<dyn Future<Output = Reply> + Send>>;
/// When it is done.
pub type Done = Pin<Box<dyn Future<Output = Result<(), lambda_runtime::Error>> + Send>>;

/// What a function answers.
pub enum Reply {
    /// A whole reply, made before any of it is sent.
    Buffered(Response<Body>),
    /// While it is still being made.
    Streamed(Response<Streamed>),
}

/// What a schedule runs.
pub type Scheduled = Arc<dyn Fn(Deadline) -> Done + Send + Sync>;

/// What calls a function.
#[derive(Clone)]
pub enum Function {
    /// A function that API Gateway calls, with an HTTP request.
    Http(Arc<dyn Fn(Request) -> Answer + Send + Sync>),
    /// A function that a schedule calls.
    Schedule(Scheduled),
}

/// Starts the function whose binary is `binary`; `None` if there is none.
pub fn start(binary: &str, dependencies: &Dependencies) -> Option<Result<Function, SettingError>> {
    Some(match binary {
        "validate" => http(validate::Validate::new(dependencies), validate::handle),
        "get-work-orders" if bridge::run::streams(&dependencies.settings) => {
            function(get_work_orders::GetWorkOrders::new(dependencies), get_work_orders::handle, Reply::Streamed)
        }
        "get-work-orders" => http(get_work_orders::GetWorkOrders::new(dependencies), get_work_orders::handle_buffered),
        "upload-pictures" => http(upload_pictures::UploadPictures::new(dependencies), upload_pictures::handle),
        "status" => http(status::Status::new(dependencies), status::handle),
        "orders" => http(orders::OrdersApi::new(dependencies), orders::handle),
        "accounts" => http(accounts::AccountsApi::new(dependencies), accounts::handle),
        "push-drain" => schedule(push_drain::PushDrain::new(dependencies), push_drain::handle),
        "count-orders" => schedule(count_orders::CountOrders::new(dependencies), count_orders::handle),
        "fetch-videos" => schedule(fetch_videos::FetchVideos::new(dependencies), fetch_videos::handle),
        _ => return None,
    })
}

fn schedule<S, F>(
    state: Result<S, SettingError>,
    handle: impl Fn(Arc<S>, Deadline) -> F + Send + Sync + 'static,
) -> Result<Function, SettingError>
where
    S: Send + Sync + 'static,
    F: Future<Output = Result<(), lambda_runtime::Error>> + Send + 'static,
{
    let state = Arc::new(state?);
    Ok(Function::Schedule(Arc::new(move |deadline| Box::pin(handle(state.clone(), deadline)))))
}

fn http<S, F>(
    state: Result<S, SettingError>,
    handle: impl Fn(Arc<S>, Request) -> F + Send + Sync + 'static,
) -> Result<Function, SettingError>
where
    S: Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    function(state, handle, Reply::Buffered)
}

fn function<S, F>(
    state: Result<S, SettingError>,
    handle: impl Fn(Arc<S>, Request) -> F + Send + Sync + 'static,
    reply: impl Fn(F::Output) -> Reply + Send + Sync + Copy + 'static,
) -> Result<Function, SettingError>
where
    S: Send + Sync + 'static,
    F: Future + Send + 'static,
{
    let state = Arc::new(state?);
    Ok(Function::Http(Arc::new(move |request| {
        let answer = handle(state.clone(), request);
        Box::pin(async move { reply(answer.await) })
    })))
}
