//! What the benchmarks share that measure in processes of their own: the stores in one, what is measured in another.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use bridge::Dependencies;
use futures_util::StreamExt as _;
use local::{Options, System};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

pub type Item = HashMap<String, AttributeValue>;

/// Of several threads.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}

/// A line for who started this process, or for people.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Until the parent closes the standard input.
pub async fn wait_for_the_end() {
    let _ = tokio::task::spawn_blocking(|| std::io::stdin().lock().lines().count()).await;
}

/// Where a system is, and the access key of its stores.
pub fn told(system: &System) -> Value {
    let stores = &system.stores;
    json!({
        "gateway": system.gateway_url, "dynamodb": stores.dynamodb_url, "s3": stores.s3_url,
        "id": stores.key.id, "secret": stores.key.secret.expose_secret(),
    })
}

/// Runs the stores until the parent closes the standard input; the first line says where they are.
pub fn stores() {
    runtime().block_on(async {
        let system = System::start(Options::default()).await.expect("the stores");
        say(&told(&system).to_string());
        wait_for_the_end().await;
    });
}

/// An SDK's HTTP client that counts.
#[derive(Debug, Clone)]
struct Counting {
    calls: Arc<AtomicUsize>,
    inner: SharedHttpClient,
}

impl HttpClient for Counting {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(CountingConnector { calls: self.calls.clone(), inner })
    }
}

#[derive(Debug)]
struct CountingConnector {
    calls: Arc<AtomicUsize>,
    inner: SharedHttpConnector,
}

impl HttpConnector for CountingConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.inner.call(request)
    }
}

/// `dependencies` with a DynamoDB client that counts its calls.
pub fn counted(dependencies: &Dependencies) -> (Dependencies, aws_sdk_dynamodb::Client, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let inner = aws_smithy_http_client::Builder::new().build_http();
    let counting = SharedHttpClient::new(Counting { calls: calls.clone(), inner });
    let dynamodb = dependencies.dynamodb().expect("settings");
    let dynamodb = aws_sdk_dynamodb::Client::from_conf(dynamodb.config().to_builder().http_client(counting).build());
    let dependencies = dependencies.clone().with_clients(dynamodb.clone(), dependencies.s3().expect("settings"));
    (dependencies, dynamodb, calls)
}

/// A process of this program in another role, and the line that it says first.
pub fn start(role: &str) -> (Child, Value) {
    start_with(role, &[])
}

/// The same, with these environment variables.
pub fn start_with(role: &str, environment: &[(&str, String)]) -> (Child, Value) {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    let mut child = command
        .env("BENCH_AS", role)
        .envs(environment.iter().cloned())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("its output")).read_line(&mut line).expect("a line");
    (child, serde_json::from_str(&line).expect("JSON"))
}

/// Typical orders: 400 characters of instructions, three services.
pub fn typical(number: &str) -> Value {
    let service = |name: &str| json!({ "serviceName": name, "instructions": "Photos of all sides, before and after. ".repeat(6), "attribute1": "4711" });
    json!({
        "workOrderNumber": number, "address1": "110 East Main Street", "city": "Round Rock", "state": "TX", "zip": "78664",
        "clientStatus": "open", "clientInstructions": "Call the office if the gate is locked. ".repeat(5),
        "instructions": "Cut the grass, trim the edges, remove all debris and take photos of everything. ".repeat(5),
        "services": [service("Grass Cut"), service("Trim"), service("Debris")],
    })
}

/// A text attribute.
pub fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// A client of the stores.
pub fn dynamodb(stores: &Value) -> aws_sdk_dynamodb::Client {
    let settings: BTreeMap<String, String> = environment(stores).into_iter().collect();
    bridge::aws::dynamodb(&settings.into_iter().collect(), &bridge::aws::http_client()).expect("settings")
}

/// Writes rows as they are.
pub async fn put(dynamodb: &aws_sdk_dynamodb::Client, table: &str, items: Vec<Item>) {
    let chunks: Vec<Vec<Item>> = items.chunks(25).map(<[Item]>::to_vec).collect();
    futures_util::stream::iter(chunks)
        .for_each_concurrent(4, |chunk| async move {
            let write = |item: Item| {
                let put = PutRequest::builder().set_item(Some(item)).build().expect("an item");
                WriteRequest::builder().put_request(put).build()
            };
            let writes = chunk.into_iter().map(write).collect();
            dynamodb.batch_write_item().request_items(table, writes).send().await.expect("rows");
        })
        .await;
}

/// Environment variables of what is measured.
pub fn environment(stores: &Value) -> Vec<(String, String)> {
    let text_of = |name: &str| stores[name].as_str().unwrap_or_default().to_owned();
    let mut environment = vec![
        ("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), text_of("dynamodb")),
        ("AWS_ENDPOINT_URL_S3".to_owned(), text_of("s3")),
        ("AWS_ACCESS_KEY_ID".to_owned(), text_of("id")),
        ("AWS_SECRET_ACCESS_KEY".to_owned(), text_of("secret")),
    ];
    let fixed = [
        ("AWS_REGION", "us-east-1"),
        ("ACCOUNTS_TABLE", "AccountsTable"),
        ("ORDERS_TABLE", "OrdersTable"),
        ("PUSH_QUEUE_TABLE", "PushQueueTable"),
        ("UPLOADS_TABLE", "UploadsTable"),
        ("FILES_BUCKET", "FilesBucket"),
        ("PUSH_HOSTS", "pruvan.com"),
    ];
    environment.extend(fixed.map(|(name, value)| (name.to_owned(), value.to_owned())));
    environment
}
