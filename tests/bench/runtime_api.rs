//! Lambda's Runtime API for one process, with the times at which the process asks and answers.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};

use crate::measure::{median, megabytes};

const SOON: Duration = Duration::from_secs(20);

/// Events that a process answers before it counts as warm, and those after them that are measured.
const WARM_UP: usize = 10;
const WARM: usize = 50;

/// What a process does.
enum Told {
    /// It asks for an event.
    Asks(Instant),
    /// The last byte of its reply is here.
    Answers(Instant, Vec<u8>),
}

#[derive(Clone)]
struct Api {
    events: Arc<Mutex<mpsc::UnboundedReceiver<String>>>,
    told: mpsc::UnboundedSender<Told>,
}

async fn answer(State(api): State<Api>, request: Request) -> Response<Body> {
    if request.uri().path().ends_with("/invocation/next") {
        let _ = api.told.send(Told::Asks(Instant::now()));
        let Some(event) = api.events.lock().await.recv().await else { return Response::new(Body::empty()) };
        let response = Response::builder()
            .header("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
            .header("lambda-runtime-deadline-ms", "4102444800000")
            .header("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419")
            .header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:000000000000:function:bench");
        return response.body(Body::from(event)).expect("a response");
    }
    let path = request.uri().path().to_owned();
    let body = to_bytes(request.into_body(), usize::MAX).await.expect("a whole reply");
    let at = Instant::now();
    assert!(path.ends_with("/response"), "{path}: {}", String::from_utf8_lossy(&body));
    let _ = api.told.send(Told::Answers(at, body.to_vec()));
    Response::builder().status(StatusCode::ACCEPTED).body(Body::from("{\"status\":\"OK\"}")).expect("a response")
}

/// A function's process, which ends with this.
struct Process {
    child: Child,
    events: mpsc::UnboundedSender<String>,
    told: mpsc::UnboundedReceiver<Told>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// The process, and when it was started.
    async fn start(program: &Path, environment: &[(String, String)]) -> (Process, Instant) {
        let (events, waiting) = mpsc::unbounded_channel();
        let (sender, told) = mpsc::unbounded_channel();
        let api = Api { events: Arc::new(Mutex::new(waiting)), told: sender };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("a port").to_string();
        // A large event goes out in several parts, and none is to wait until the one before has been acknowledged.
        let listener = listener.tap_io(|socket| {
            let _ = socket.set_nodelay(true);
        });
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer).with_state(api)).await });
        let mut command = Command::new(program);
        command.env_clear().env("AWS_LAMBDA_RUNTIME_API", address).envs(environment.iter().cloned());
        for (name, value) in [
            ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "bench"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "bench"),
        ] {
            command.env(name, value);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let begun = Instant::now();
        let child = command.spawn().expect("the function's process");
        (Process { child, events, told }, begun)
    }

    async fn told(&mut self) -> Told {
        let told = tokio::time::timeout(SOON, self.told.recv()).await;
        told.ok().flatten().expect("a process that says something within 20 seconds")
    }

    async fn asks(&mut self) -> Instant {
        match self.told().await {
            Told::Asks(at) => at,
            Told::Answers(_, body) => panic!("an answer that nobody asked for: {}", String::from_utf8_lossy(&body)),
        }
    }

    /// Milliseconds from handing out the event until the last byte of the reply, in which `right` must be. When this
    /// returns, the process asks for the next one.
    async fn answers(&mut self, event: String, right: &str) -> f64 {
        let sent = Instant::now();
        let _ = self.events.send(event);
        let Told::Answers(at, body) = self.told().await else { panic!("no answer") };
        let body = String::from_utf8_lossy(&body).replace('\\', ""); // JSON in JSON, but for what is streamed
        assert!(body.contains(right), "{right} is not in {body}");
        self.asks().await;
        ms(at - sent)
    }

    /// Milliseconds of CPU that its threads have taken. Linux counts to the nanosecond, but adds it up when a thread
    /// stops, so that this waits until none runs.
    async fn cpu(&self) -> f64 {
        let mut last = None;
        loop {
            let now = nanoseconds(self.child.id());
            if last == Some(now) {
                return now as f64 / 1e6;
            }
            last = Some(now);
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }
}

fn nanoseconds(process: u32) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).expect("threads");
    let of = |thread: std::fs::DirEntry| {
        let said = std::fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        said.split(' ').next().and_then(|first| first.parse::<u64>().ok()).unwrap_or_default()
    };
    threads.flatten().map(of).sum()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// What one process took: milliseconds and megabytes.
pub struct Taken {
    /// From its start until it asks for its first event.
    pub init: f64,
    /// Milliseconds from its first event to the answer.
    pub first: f64,
    /// The median of its later events, in milliseconds.
    pub warm: f64,
    /// CPU from its start until its first event is answered.
    pub cold_cpu: f64,
    /// CPU of one of the later events.
    pub warm_cpu: f64,
    /// The most memory that it ever had, in megabytes (VmHWM).
    pub peak: f64,
}

/// Starts a program as Lambda does, and has it answer events, of which it gets one at a time.
pub async fn run(
    program: &Path,
    environment: &[(String, String)],
    mut event: impl FnMut() -> String,
    right: &str,
) -> Taken {
    let first = event();
    let (mut process, begun) = Process::start(program, environment).await;
    let init = ms(process.asks().await - begun);
    let first = process.answers(first, right).await;
    let cold_cpu = process.cpu().await;
    for _ in 0..WARM_UP {
        process.answers(event(), right).await;
    }
    let before = process.cpu().await;
    let mut warm = Vec::new();
    for _ in 0..WARM {
        warm.push(process.answers(event(), right).await);
    }
    let warm_cpu = (process.cpu().await - before) / WARM as f64;
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.child.id())).unwrap_or_default();
    Taken { init, first, warm: median(warm), cold_cpu, warm_cpu, peak: megabytes(&status, "VmHWM:") }
}
