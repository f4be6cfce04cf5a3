//! The built `get-work-orders` under a Lambda Runtime API that takes streamed replies: what it sends before its stores
//! have given everything, and how it ends when they stop giving.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use futures_util::StreamExt as _;
use local::template::{TEMPLATE, Template};
use pruvan::integration::IntegrationType;
use serde_json::{Value, json};
use tokio::sync::{Mutex, Semaphore, mpsc};

use crate::harness::lambda::{endpoints, event, executable};
use crate::harness::{Harness, order};

const SOON: Duration = Duration::from_secs(20);

/// Between a streamed reply's head and its body.
const DELIMITER: [u8; 8] = [0; 8];

/// Lambda's Runtime API: hands out one event after another, and takes each reply as it comes.
struct RuntimeApi {
    events: mpsc::UnboundedSender<String>,
    replies: mpsc::UnboundedReceiver<Reply>,
    address: String,
}

/// A reply under way.
struct Reply {
    headers: HeaderMap,
    parts: mpsc::UnboundedReceiver<Vec<u8>>,
}

impl Reply {
    async fn next(&mut self) -> Option<Vec<u8>> {
        tokio::time::timeout(SOON, self.parts.recv()).await.unwrap()
    }

    /// Its head, and what of the body comes before `enough`.
    async fn head(&mut self) -> (Value, Vec<u8>) {
        let mut bytes = Vec::new();
        loop {
            bytes.extend(self.next().await.unwrap());
            if let Some(at) = bytes.windows(8).position(|window| window == DELIMITER) {
                let body = bytes.split_off(at + 8);
                return (serde_json::from_slice(&bytes[..at]).unwrap(), body);
            }
        }
    }
}

#[derive(Clone)]
struct Api {
    events: Arc<Mutex<mpsc::UnboundedReceiver<String>>>,
    replies: mpsc::UnboundedSender<Reply>,
}

impl RuntimeApi {
    async fn start() -> RuntimeApi {
        let (events, waiting) = mpsc::unbounded_channel();
        let (sender, replies) = mpsc::unbounded_channel();
        let api = Api { events: Arc::new(Mutex::new(waiting)), replies: sender };
        let address = serve(axum::Router::new().fallback(answer).with_state(api)).await;
        RuntimeApi { events, replies, address }
    }

    async fn invoke(&mut self, event: &Value) -> Reply {
        self.events.send(event.to_string()).unwrap();
        tokio::time::timeout(SOON, self.replies.recv()).await.unwrap().unwrap()
    }
}

async fn serve(app: axum::Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

async fn answer(State(api): State<Api>, request: Request<Body>) -> Response<Body> {
    if request.uri().path().ends_with("/invocation/next") {
        let Some(event) = api.events.lock().await.recv().await else { return Response::new(Body::empty()) };
        return Response::builder()
            .header("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
            .header("lambda-runtime-deadline-ms", "4102444800000")
            .header(
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:us-east-1:000000000000:function:get-work-orders",
            )
            .body(Body::from(event))
            .unwrap();
    }
    let (head, body) = request.into_parts();
    let (sender, parts) = mpsc::unbounded_channel();
    api.replies.send(Reply { headers: head.headers, parts }).unwrap();
    let mut body = body.into_data_stream();
    while let Some(Ok(part)) = body.next().await {
        sender.send(part.to_vec()).unwrap();
    }
    Response::builder().status(StatusCode::ACCEPTED).body(Body::from("{}")).unwrap()
}

/// A way to DynamoDB on which so many queries pass; further ones wait for more, or fail.
#[derive(Clone)]
struct Gate {
    to: String,
    pass: Arc<Semaphore>,
    fail: bool,
    queries: Arc<AtomicUsize>,
    client: reqwest::Client,
}

impl Gate {
    async fn start(harness: &Harness, pass: usize, fail: bool) -> (Gate, String) {
        let gate = Gate {
            to: harness.system.stores.dynamodb_url.clone(),
            pass: Arc::new(Semaphore::new(pass)),
            fail,
            queries: Arc::default(),
            client: reqwest::Client::new(),
        };
        let address = serve(axum::Router::new().fallback(through).with_state(gate.clone())).await;
        (gate, format!("http://{address}"))
    }
}

async fn through(State(gate): State<Gate>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    if head.headers.get("x-amz-target").is_some_and(|target| target.to_str().unwrap().ends_with(".Query")) {
        gate.queries.fetch_add(1, Ordering::SeqCst);
        match gate.pass.try_acquire() {
            Ok(permit) => permit.forget(),
            Err(_) if gate.fail => {
                return Response::builder()
                    .status(500)
                    .body(Body::from("{\"__type\":\"InternalServerError\"}"))
                    .unwrap();
            }
            Err(_) => gate.pass.acquire().await.unwrap().forget(),
        }
    }
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let headers = head
        .headers
        .iter()
        .filter(|(name, _)| *name != "content-length")
        .map(|(name, value)| (name.clone(), value.clone()));
    let reply = gate.client.post(&gate.to).headers(headers.collect()).body(body).send().await.unwrap();
    let status = reply.status();
    let mut response = Response::builder().status(status);
    for (name, value) in
        reply.headers().iter().filter(|(name, _)| *name != "content-length" && *name != "transfer-encoding")
    {
        response = response.header(name, value);
    }
    response.body(Body::from(reply.bytes().await.unwrap())).unwrap()
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// The function, on DynamoDB by `dynamodb_url`.
fn function(harness: &Harness, api: &RuntimeApi, dynamodb_url: &str) -> Process {
    let template = Template::parse(TEMPLATE).unwrap().functions;
    let environment = &template["GetWorkOrdersFunction"].environment;
    let mut command = Command::new(executable("get-work-orders"));
    command.env_clear().envs(environment).envs(endpoints(harness)).envs([
        ("AWS_LAMBDA_RUNTIME_API", api.address.as_str()),
        ("AWS_LAMBDA_FUNCTION_NAME", "get-work-orders"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb_url),
    ]);
    Process(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

async fn with_orders(count: usize) -> (Harness, Value) {
    let harness = Harness::start().await;
    let vendor = harness.account("example", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    // So large that the orders of one shard are more than a part of the reply.
    let instructions = "Mow the grass. ".repeat(1700);
    let orders = (0..count).map(|n| json!({ "workOrderNumber": format!("{n:03}"), "instructions": instructions }));
    let orders: Vec<Value> = orders.map(order).collect();
    let (status, reply) = harness.host("POST", "/accounts/example/orders", Some(Value::from(orders))).await;
    assert_eq!((status, &reply["created"]), (200, &json!(count)), "{reply}");
    let event = event("get-work-orders", &vendor.token);
    (harness, event)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reply_begins_before_the_stores_have_given_everything() {
    let (harness, event) = with_orders(60).await;
    let mut api = RuntimeApi::start().await;
    let (gate, url) = Gate::start(&harness, 1, false).await;
    let _function = function(&harness, &api, &url);
    let mut reply = api.invoke(&event).await;
    assert_eq!(reply.headers["lambda-runtime-function-response-mode"], "streaming");
    assert_eq!(reply.headers["content-type"], "application/vnd.awslambda.http-integration-response");
    let (head, mut body) = reply.head().await;
    assert_eq!((&head["statusCode"], &head["headers"]["content-type"]), (&json!(200), &json!("application/json")));
    while body.is_empty() {
        body.extend(reply.next().await.unwrap());
    }
    // The orders of one shard, while seven have given nothing.
    let begun = String::from_utf8(body.clone()).unwrap();
    let orders = begun.matches("\"workOrderNumber\"").count();
    assert!(begun.starts_with("{\"workOrders\":[{") && (1..60).contains(&orders), "{begun}");
    gate.pass.add_permits(1000);
    while let Some(part) = reply.next().await {
        body.extend(part);
    }
    let whole: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((whole["workOrders"].as_array().unwrap().len(), &whole["error"]), (60, &json!("")));
    // Two ranges of eight shards, each a page, and a look for what earlier pulls left out.
    assert_eq!(gate.queries.load(Ordering::SeqCst), 17);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_before_the_first_byte_is_told_and_what_fails_later_is_no_list() {
    let (harness, event) = with_orders(60).await;
    for (pass, told) in [(0, true), (1, false), (7, false)] {
        let mut api = RuntimeApi::start().await;
        let (_, url) = Gate::start(&harness, pass, true).await;
        let _function = function(&harness, &api, &url);
        let mut reply = api.invoke(&event).await;
        let (head, mut body) = reply.head().await;
        assert_eq!(head["statusCode"], 200);
        while let Some(part) = reply.next().await {
            body.extend(part);
        }
        let text = String::from_utf8(body).unwrap();
        let json = serde_json::from_str::<Value>(&text);
        if told {
            let error = json.unwrap()["error"].as_str().unwrap().to_owned();
            assert!(error.starts_with("the order system is not available"), "{error}");
        } else {
            assert!(text.starts_with("{\"workOrders\":[{") && json.is_err(), "{pass}: {text}");
        }
    }
    // The integration was told nothing: what is given out next is everything.
    let vendor = harness.host("GET", "/accounts/example/push-queue", None).await.1;
    assert_eq!(
        vendor["orders"].as_array().map(Vec::len).or(vendor["waiting"].as_array().map(Vec::len)),
        Some(60),
        "{vendor}"
    );
}
