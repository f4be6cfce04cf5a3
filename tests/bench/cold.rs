//! `cargo bench -p tests --bench cold`: what a function takes that has just been started, and one that is warm, beside
//! the least that either can take.
//!
//! The programs are those that are deployed, each a process under Lambda's Runtime API, with the stores behind TLS in a
//! process of their own; they must be there already. The floors are `bare.rs` and, for uploads, `bare_put.rs`. A number
//! as an argument is that of the rounds, `ROUND_TRIP_MS` is how far away the stores are, and `FUNCTION_BINARIES` is a
//! folder with other builds of the functions.

#![expect(clippy::expect_used, reason = "a benchmark that meets what it does not expect must stop")]

#[expect(dead_code, reason = "the other benchmarks use the rest")]
mod apart;
#[expect(dead_code, reason = "likewise")]
mod measure;
mod runtime_api;
mod tls;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use apart::{environment, runtime, say, start, told, typical, wait_for_the_end};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use local::template::{TEMPLATE, Template};
use local::{Options, System};
use measure::{median, photo};
use runtime_api::{Taken, run};
use serde_json::{Value, json};
use simulator::multipart;
use tls::{Certificates, before};

const ROUNDS: usize = 11;
const PHOTO_BYTES: usize = 100_000;
const ORDERS: usize = 3;

/// Has orders and no push key, so that nothing leaves this machine.
const USERNAME: &str = "bench";

/// Has a push key and no orders, likewise.
const WITH_KEY: &str = "with-key";

/// What is wrong if a program is not there.
const TO_BUILD: &str =
    "cargo build --release --workspace --bins && cargo build --release -p tests --example bare --example bare-put";

fn main() -> ExitCode {
    if std::env::var("BENCH_AS").as_deref() == Ok("stores") {
        stores();
        return ExitCode::SUCCESS;
    }
    let programs = ["floor: GetItem", "floor: GetItem, PutObject"].into_iter().chain(FUNCTIONS).map(find);
    match programs.collect::<Result<Vec<Program>, String>>() {
        Ok(programs) => {
            parent(&programs);
            ExitCode::SUCCESS
        }
        Err(missing) => {
            eprintln!("{missing} is not there; first of all:\n{TO_BUILD}");
            ExitCode::FAILURE
        }
    }
}

/// The functions, each after those whose traces it needs.
const FUNCTIONS: [&str; 9] = [
    "validate",
    "get-work-orders",
    "upload-pictures",
    "status",
    "orders",
    "accounts",
    "push-drain",
    "count-orders",
    "fetch-videos",
];

/// A function or a floor: where its binary is, and which floor it stands beside.
struct Program {
    name: &'static str,
    file: PathBuf,
    /// Which of the programs is its floor.
    floor: usize,
}

/// The program of a name, or which file is missing.
fn find(name: &'static str) -> Result<Program, String> {
    // Cargo puts a benchmark into the folder `deps` beside the programs.
    let built = std::env::current_exe().expect("this program");
    let built = built.ancestors().nth(2).expect("two folders above it").to_owned();
    let functions = std::env::var_os("FUNCTION_BINARIES").map_or(built.clone(), PathBuf::from);
    let file = match name {
        "floor: GetItem" => built.join("examples/bare"),
        "floor: GetItem, PutObject" => built.join("examples/bare-put"),
        name => {
            let zipped = functions.join(name).join("bootstrap");
            if zipped.is_file() { zipped } else { functions.join(name) }
        }
    };
    let floor = usize::from(matches!(name, "upload-pictures" | "floor: GetItem, PutObject"));
    if file.is_file() { Ok(Program { name, file, floor }) } else { Err(file.display().to_string()) }
}

/// Runs the stores behind TLS until the parent closes the standard input; the first line says where they are.
fn stores() {
    let round_trip = std::env::var("ROUND_TRIP_MS").ok().and_then(|ms| ms.parse().ok()).unwrap_or(0.0);
    let round_trip = Duration::from_secs_f64(round_trip / 1000.0);
    runtime().block_on(async {
        let system = System::start(Options::default()).await.expect("the stores");
        let certificates = Certificates::make();
        let dynamodb = before(&system.stores.dynamodb_url, &certificates, round_trip).await;
        let s3 = before(&system.stores.s3_url, &certificates, round_trip).await;
        let mut line = told(&system);
        line["dynamodb"] = json!(dynamodb);
        line["s3"] = json!(s3);
        line["trusted"] = json!(certificates.trusted());
        say(&line.to_string());
        wait_for_the_end().await;
    });
}

/// Makes an account with so many orders, and gives its key.
async fn account(stores: &Value, username: &str, orders: usize) -> String {
    let client = reqwest::Client::new();
    let url = format!("{}/accounts/{username}", stores["gateway"].as_str().unwrap_or_default());
    let made = client.put(&url).body("{}").send().await.expect("a reply").bytes().await.expect("a reply");
    for number in 1..=orders {
        let order = typical(&number.to_string()).to_string();
        let put = client.put(format!("{url}/orders/{number}")).body(order).send().await.expect("a reply");
        assert_eq!(put.status(), 201);
    }
    let made: Value = serde_json::from_slice(&made).expect("JSON");
    made["apiKey"].as_str().expect("a key").to_owned()
}

/// An event as AWS sends it, without a body.
fn event(method: &str, resource: &str, path: &str) -> Value {
    let text = include_str!("../fixtures/apigw-event.json").replace("RESOURCE", resource);
    let mut event: Value =
        serde_json::from_str(&text.replace("PATH", path).replace("METHOD", method)).expect("the recorded event");
    (event["body"], event["isBase64Encoded"]) = (Value::Null, json!(false));
    event
}

/// A call of Pruvan's, with an account's credentials.
fn pruvan(service: &str, username: &str, token: &str, fields: Value, photo: Option<&[u8]>) -> String {
    let path = format!("/{service}.html");
    let mut payload = fields;
    (payload["username"], payload["token"]) = (json!(username), json!(token));
    let (content_type, body) = multipart(&payload.to_string(), photo.map(|photo| ("1.jpg", photo)));
    let mut event = event("POST", &path, &path);
    event["headers"]["Content-Type"] = json!(content_type);
    event["multiValueHeaders"]["Content-Type"] = json!([content_type]);
    (event["body"], event["isBase64Encoded"]) = (json!(STANDARD.encode(body)), json!(true));
    event.to_string()
}

/// Keys of the two accounts, and how many events there were.
struct Events {
    token: String,
    token_with_key: String,
    photo: Vec<u8>,
    count: usize,
}

impl Events {
    /// The next event of a program, and what is in the right answer.
    fn next(&mut self, program: &str) -> (String, &'static str) {
        self.count += 1;
        let (token, count) = (&self.token, self.count);
        let parameters = |mut event: Value| {
            event["pathParameters"] = json!({ "username": USERNAME, "workOrderNumber": "1" });
            event.to_string()
        };
        let stored = r#""status":true"#;
        match program {
            "validate" => {
                let key = json!({ "pushkey": "https://direct.pruvan.com/api/?apiKey=x" });
                (pruvan("validate", WITH_KEY, &self.token_with_key, key, None), r#""validated":true"#)
            }
            "get-work-orders" => {
                let whole = r#""workOrderNumber":"3""#;
                (pruvan("getWorkOrders", USERNAME, token, json!({ "timestamp": null }), None), whole)
            }
            "upload-pictures" | "floor: GetItem, PutObject" => {
                let item = json!({
                    "uuId": format!("photo-{count}"), "key2": "2", "key4": "Task", "fileType": "picture",
                    "evidenceType": "before", "timestamp": 1_414_434_590, "gpsTimestamp": "1414434574",
                });
                let right = if program == "upload-pictures" { stored } else { r#""found":true"# };
                (pruvan("uploadPictures", USERNAME, token, item, Some(&self.photo)), right)
            }
            "status" => {
                let report = json!({ "workOrderNumber": "SMC::3", "status": "complete", "fieldStatus": "complete" });
                (pruvan("status", USERNAME, token, json!({ "workOrders": [report] }), None), stored)
            }
            "orders" => {
                let resource = "/accounts/{username}/orders/{workOrderNumber}";
                (parameters(event("GET", resource, "/accounts/bench/orders/1")), r#""statusCode":200"#)
            }
            "accounts" | "floor: GetItem" => {
                let event = parameters(event("GET", "/accounts/{username}", "/accounts/bench"));
                (event, if program == "accounts" { r#""statusCode":200"# } else { r#""found":true"# })
            }
            _ => ("{}".to_owned(), "null"),
        }
    }
}

/// Environment variables of a program: those of the template, and where the stores are.
fn settings(stores: &Value, program: &str) -> Vec<(String, String)> {
    let all = environment(stores);
    if program.starts_with("floor") {
        return all.into_iter().chain(fixed(stores)).collect();
    }
    let functions = Template::parse(TEMPLATE).expect("the template").functions;
    let function = functions.into_values().find(|function| function.binary == program).expect("a function");
    let stores_of = all.into_iter().filter(|(name, _)| name.starts_with("AWS_")).chain(fixed(stores));
    function.environment.into_iter().chain(stores_of).collect()
}

fn fixed(stores: &Value) -> [(String, String); 2] {
    let trusted = stores["trusted"].as_str().unwrap_or_default();
    [("SSL_CERT_FILE", trusted), ("USERNAME", USERNAME)].map(|(name, value)| (name.to_owned(), value.to_owned()))
}

fn parent(programs: &[Program]) {
    let rounds = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(ROUNDS);
    let runtime = runtime();
    let (mut process, stores) = start("stores");
    let mut taken: Vec<Vec<Taken>> = programs.iter().map(|_| Vec::new()).collect();
    runtime.block_on(async {
        let (token, token_with_key) = (account(&stores, USERNAME, ORDERS).await, account(&stores, WITH_KEY, 0).await);
        let mut events = Events { token, token_with_key, photo: photo(PHOTO_BYTES), count: 0 };
        for _ in 0..rounds {
            for (program, taken) in programs.iter().zip(&mut taken) {
                let (_, right) = events.next(program.name);
                let environment = settings(&stores, program.name);
                taken.push(run(&program.file, &environment, || events.next(program.name).0, right).await);
            }
        }
    });
    tell(programs, &taken, rounds);
    drop(process.stdin.take());
    let _ = process.wait();
}

fn tell(programs: &[Program], taken: &[Vec<Taken>], rounds: usize) {
    say(&format!(
        "medians of {rounds} processes each, taken in turns: milliseconds, megabytes; cold is the start and the first \
         event,\nratios are those of the column before to the floor, which for upload-pictures is the second\n"
    ));
    let columns = ["start", "first", "cold", "ratio", "cold CPU", "ratio", "warm", "warm CPU", "peak", "size"];
    let head: String = columns.iter().map(|column| format!("{column:>9}")).collect();
    say(&format!("{:<27}{head}", ""));
    let of = |index: usize, part: fn(&Taken) -> f64| median(taken[index].iter().map(part).collect());
    let (cold, cpu) = (|taken: &Taken| taken.init + taken.first, |taken: &Taken| taken.cold_cpu);
    for (index, program) in programs.iter().enumerate() {
        let size = std::fs::metadata(&program.file).map_or(f64::NAN, |file| file.len() as f64 / 1e6);
        let numbers = [
            (of(index, |taken| taken.init), 1),
            (of(index, |taken| taken.first), 1),
            (of(index, cold), 1),
            (of(index, cold) / of(program.floor, cold), 2),
            (of(index, cpu), 1),
            (of(index, cpu) / of(program.floor, cpu), 2),
            (of(index, |taken| taken.warm), 2),
            (of(index, |taken| taken.warm_cpu), 2),
            (of(index, |taken| taken.peak), 1),
            (size, 1),
        ];
        let row: String = numbers.iter().map(|(number, places)| format!("{number:>9.places$}")).collect();
        say(&format!("{:<27}{row}", program.name));
    }
}
