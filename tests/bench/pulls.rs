//! `cargo bench -p tests --bench pulls`: what pulls and imports of any size cost, beside the least that a pull can
//! cost.
//!
//! The stores run in a process of their own, and so does each run of what is measured, on one thread as in Lambda. The
//! function answers the call, and its reply is read and dropped part by part. The floor is a bare SDK client that reads
//! the same pages in parallel and drops them.

#![expect(clippy::too_many_lines, reason = "a run is told from beginning to end")]
#![expect(clippy::expect_used, reason = "a benchmark that meets what it does not expect must stop")]

mod apart;
mod measure;

use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use apart::{Item, counted, dynamodb, environment, put, runtime, say, start, stores, text, typical};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity, Select};
use bridge::Dependencies;
use bridge::orders::SHARDS;
use bridge::outbound::Outbound;
use bridge::settings::Settings;
use bridge::time::{Clock, Random, Waits};
use cpu_time::ProcessTime;
use futures_util::future::poll_fn;
use get_work_orders::{ENDED_TOLD_FOR, LOOK_BACK};
use http_body::Body as _;
use lambda_http::{Body, Request};
use measure::{median, memory};
use serde_json::{Value, json};
use simulator::multipart;

const ROUNDS: usize = 11;

/// Orders of an import, and of one of its calls.
const IMPORTED: usize = 5_000;
const A_CALL: usize = 1_000;

/// When the orders were changed that no incremental pull is to give, in milliseconds before now.
const LONG_AGO: i64 = 86_400_000;

fn main() {
    match std::env::var("BENCH_AS").as_deref() {
        Ok("stores") => stores(),
        Ok("function") => measured(true, |dependencies, case| Box::pin(function(dependencies, case))),
        Ok("floor") => measured(true, |dependencies, case| Box::pin(floor(dependencies, case))),
        Ok("import") => measured(false, |dependencies, case| Box::pin(import(dependencies, case))),
        _ => parent(),
    }
}

/// What a run is told: whose orders, since when, and its key.
#[derive(Clone)]
struct Case {
    username: String,
    token: String,
    /// UNIX seconds.
    since: Option<i64>,
    url: String,
    /// Whether to count the orders in the reply, which is no part of what is measured.
    count: bool,
}

/// What a run found.
#[derive(Default)]
struct Found {
    /// Seconds until the first bytes.
    first: f64,
    orders: usize,
}

type Running<'a> = Pin<Box<dyn Future<Output = Found> + 'a>>;

fn measured(warms_up: bool, run: impl for<'a> Fn(&'a Dependencies, &'a Case) -> Running<'a>) {
    let case: Value = serde_json::from_str(&std::env::var("BENCH_CASE").unwrap_or_default()).expect("a case");
    let text = |name: &str| case[name].as_str().unwrap_or_default().to_owned();
    let case = Case {
        username: text("username"),
        token: text("token"),
        since: case["since"].as_i64(),
        url: text("url"),
        count: case["count"] == true,
    };
    let outbound = Outbound::with_loopback();
    let dependencies =
        Dependencies::new(Settings::from_process(), Clock::system(), Random::system(), Waits::REAL, outbound);
    let (dependencies, _, calls) = counted(&dependencies);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        // Connections and code that has run once, as a warm function has them; in the future nothing has changed.
        if warms_up {
            let nothing = Case { since: Some(Clock::system().now_ms() / 1000 + 3600), count: false, ..case.clone() };
            run(&dependencies, &nothing).await;
        }
        calls.store(0, Ordering::Relaxed);
        let (begun, cpu) = (Instant::now(), ProcessTime::now());
        let found = run(&dependencies, &case).await;
        let line = json!({
            "first": found.first * 1000.0, "total": begun.elapsed().as_secs_f64() * 1000.0, "cpu": cpu.elapsed().as_secs_f64() * 1000.0,
            "peak": memory("VmHWM:"), "calls": calls.load(Ordering::Relaxed), "orders": found.orders,
        });
        say(&line.to_string());
    });
}

async fn function(dependencies: &Dependencies, case: &Case) -> Found {
    let begun = Instant::now();
    let state = Arc::new(get_work_orders::GetWorkOrders::new(dependencies).expect("settings"));
    let payload = json!({ "username": case.username, "token": case.token, "timestamp": case.since });
    let (content_type, body) = multipart(&payload.to_string(), None);
    let request = lambda_http::http::Request::builder().method("POST").uri("/getWorkOrders");
    let request: Request = request.header("content-type", content_type).body(Body::Binary(body)).expect("a request");
    let mut body = get_work_orders::handle(state, request).await.into_body();
    let mut found = Found::default();
    let mut last = bytes::Bytes::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let bytes = frame.expect("a reply that doesn't break off").into_data().expect("data");
        if found.first == 0.0 {
            found.first = begun.elapsed().as_secs_f64();
        }
        if case.count {
            found.orders += memchr::memmem::find_iter(&bytes, b"{\"workOrderNumber\":").count();
        }
        last = bytes;
    }
    assert!(last.ends_with(b"\"error\":\"\"}"), "the list is whole");
    found
}

/// The same queries.
fn queries(
    client: &aws_sdk_dynamodb::Client,
    case: &Case,
) -> Vec<aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder> {
    let now = Clock::system().now_ms();
    let ms = |duration: std::time::Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    let (since, ended) = match case.since {
        None => (0, now - ms(ENDED_TOLD_FOR)),
        Some(since) => (since * 1000 - ms(LOOK_BACK), since * 1000 - ms(LOOK_BACK)),
    };
    let ranges = |shard: u8| [("current", since), ("ended", ended)].map(|(phase, since)| (shard, phase, since));
    (0..SHARDS)
        .flat_map(ranges)
        .map(|(shard, phase, since)| {
            client
                .query()
                .table_name("OrdersTable")
                .index_name("changes")
                .key_condition_expression("accountShard = :shard AND change BETWEEN :from AND :to")
                .projection_expression("workOrderNumber, document, #open, wishes, settledFor, changedAt, revision")
                .expression_attribute_names("#open", "open")
                .expression_attribute_values(":shard", text(format!("{}#{shard}", case.username)))
                .expression_attribute_values(":from", text(format!("{phase}#{since:015}")))
                .expression_attribute_values(":to", text(format!("{phase}#~")))
                .consistent_read(true)
        })
        .collect()
}

async fn floor(dependencies: &Dependencies, case: &Case) -> Found {
    let begun = Instant::now();
    let client = dependencies.dynamodb().expect("settings");
    let mut queries = queries(&client, case).into_iter();
    let (sender, mut pages) = tokio::sync::mpsc::channel(1);
    while let (Some(current), Some(ended)) = (queries.next(), queries.next()) {
        let sender = sender.clone();
        tokio::spawn(async move {
            for query in [current, ended] {
                let mut paginator = query.into_paginator().send();
                while let Some(page) = paginator.next().await {
                    let _ = sender.send(page.expect("a page").items.unwrap_or_default()).await;
                }
            }
        });
    }
    drop(sender);
    let mut found = Found::default();
    while let Some(page) = pages.recv().await {
        if found.first == 0.0 {
            found.first = begun.elapsed().as_secs_f64();
        }
        found.orders += page.len();
    }
    found
}

async fn import(dependencies: &Dependencies, case: &Case) -> Found {
    let begun = Instant::now();
    let state = Arc::new(orders::OrdersApi::new(dependencies).expect("settings"));
    let mut found = Found::default();
    let all: Vec<usize> = (0..IMPORTED).collect();
    for chunk in all.chunks(A_CALL) {
        let body: Value = chunk.iter().map(|n| common(&format!("{}-{n}", case.url))).collect();
        let event = json!({
            "resource": "/accounts/{username}/orders", "path": "/accounts/x/orders", "httpMethod": "POST", "headers": {}, "multiValueHeaders": {},
            "pathParameters": { "username": case.username }, "body": body.to_string(), "isBase64Encoded": false,
            "requestContext": { "resourcePath": "/accounts/{username}/orders", "httpMethod": "POST", "stage": "live", "identity": {} },
        });
        let request = lambda_http::request::from_str(&event.to_string()).expect("an event");
        let reply = orders::handle(state.clone(), request).await;
        let reply: Value = serde_json::from_slice(reply.body().as_ref()).expect("JSON");
        found.orders += usize::try_from(reply["created"].as_u64().unwrap_or(0)).unwrap_or(0);
        if found.first == 0.0 {
            found.first = begun.elapsed().as_secs_f64();
        }
    }
    assert_eq!(found.orders, IMPORTED);
    found
}

/// Typical orders: 400 characters of instructions, three services; 2.2 KB.
fn common(number: &str) -> Value {
    let mut order = typical(number);
    order["workOrderInfo"] = json!("Lock box on the left side of the garage door, code 4411. ".repeat(5));
    order["attribute7"] = json!("{\"requestedServiceId\":4711,\"requestId\":815}".repeat(4));
    order["description"] = json!("Initial service of the season, occupancy unknown. ");
    order
}

/// Heavy orders: 2 KB of HTML, six services; 6.7 KB.
fn heavy(number: &str) -> Value {
    let mut order = common(number);
    let service = order["services"][0].clone();
    let services = (0..6).map(|n| {
        let mut service = service.clone();
        service["serviceName"] = json!(format!("Service {n}"));
        service["instructions"] = json!("<b>Photos of all sides, before and after.</b> Mind the dog. ".repeat(9));
        service
    });
    order["services"] = services.collect();
    order["instructions"] =
        json!("<p>Cut the grass, <b>trim the edges</b>, remove all debris, photograph it.</p>".repeat(26));
    order
}

/// An account with so many orders like this one, of which some were changed lately.
async fn account(stores: &Value, username: &str, order: fn(&str) -> Value, count: usize, lately: usize) -> Value {
    let client = reqwest::Client::new();
    let url = format!("{}/accounts/{username}", stores["gateway"].as_str().unwrap_or_default());
    let made = client.put(&url).body("{}").send().await.expect("a reply").bytes().await.expect("a reply");
    let made: Value = serde_json::from_slice(&made).expect("JSON");
    // With a push key, as an integration has one.
    let pushkey = "http://127.0.0.1:1/api/?apiKey=x";
    let payload = json!({ "username": username, "token": made["apiKey"], "pushkey": pushkey }).to_string();
    let (content_type, body) = multipart(&payload, None);
    let validate = format!("{}/validate.html", stores["gateway"].as_str().unwrap_or_default());
    let validated =
        client.post(validate).header("content-type", content_type).body(body).send().await.expect("a reply");
    assert_eq!(validated.status(), 200);
    let number = |n: usize| format!("WO-{n:06}");
    let put_one = client.put(format!("{url}/orders/{}", number(0))).body(order(&number(0)).to_string());
    assert_eq!(put_one.send().await.expect("a reply").status(), 201);
    let dynamodb = dynamodb(stores);
    let shard = |n: usize| {
        let hash = bridge::secrets::sha256_hex(number(n).as_bytes());
        format!("{username}#{}", u8::from_str_radix(&hash[..2], 16).expect("hex") % SHARDS)
    };
    let get = dynamodb.get_item().table_name("OrdersTable").key("accountShard", text(shard(0)));
    let row = get.key("workOrderNumber", text(number(0))).send().await.expect("a row");
    let row: Item = row.item.expect("a row");
    let now = Clock::system().now_ms();
    let rows = (0..count).map(|n| {
        let changed = if n < lately { now - 60_000 } else { now - LONG_AGO - i64::try_from(n).unwrap_or(0) };
        let mut row = row.clone();
        let document = row["document"].as_s().expect("a document").replace(&number(0), &number(n));
        row.extend([
            ("accountShard".to_owned(), text(shard(n))),
            ("workOrderNumber".to_owned(), text(number(n))),
            ("document".to_owned(), text(document)),
            ("change".to_owned(), text(format!("current#{changed:015}"))),
            ("changedAt".to_owned(), AttributeValue::N(changed.to_string())),
        ]);
        row
    });
    put(&dynamodb, "OrdersTable", rows.collect()).await;
    json!({ "username": username, "token": made["apiKey"], "bytes": order(&number(0)).to_string().len() })
}

/// Read units of the queries, as the stores count them.
async fn units(stores: &Value, case: &Value) -> f64 {
    let client = dynamodb(stores);
    let case = Case {
        username: case["username"].as_str().unwrap_or_default().to_owned(),
        token: String::new(),
        since: case["since"].as_i64(),
        url: String::new(),
        count: false,
    };
    let mut units = 0.0;
    for query in queries(&client, &case) {
        let query = query.set_projection_expression(None).set_expression_attribute_names(None).select(Select::Count);
        let mut pages = query.return_consumed_capacity(ReturnConsumedCapacity::Total).into_paginator().send();
        while let Some(page) = pages.next().await {
            let used = page.expect("a page").consumed_capacity.and_then(|used| used.capacity_units);
            units += used.unwrap_or(f64::NAN);
        }
    }
    units
}

fn parent() {
    let runtime = runtime();
    let (mut process, stores) = start("stores");
    let since = Clock::system().now_ms() / 1000 - 30;
    let seeded = |username, order, count, lately| runtime.block_on(account(&stores, username, order, count, lately));
    let (typical_orders, heavy_orders) = (seeded("typical", common, 5_000, 50), seeded("heavy", heavy, 5_000, 0));
    let many_orders = seeded("many", common, 100_000, 50);
    let run = |role: &str, case: &Value| -> Value {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.env("BENCH_AS", role).env("BENCH_CASE", case.to_string()).envs(environment(&stores));
        let output = command.stderr(Stdio::inherit()).output().expect("a child");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{role} said nothing"))
    };
    let of = |runs: &[Value], name: &str| median(runs.iter().filter_map(|run| run[name].as_f64()).collect());
    say(&format!("medians of {ROUNDS} alternating runs; the ratio is that of the function to the floor"));
    for (what, seeded, since) in [
        ("full pull of 5,000", &typical_orders, None),
        ("full pull of 5,000", &heavy_orders, None),
        ("incremental pull of 50 out of 5,000", &typical_orders, Some(since)),
        ("incremental pull of 50 out of 100,000", &many_orders, Some(since)),
    ] {
        let mut case = seeded.clone();
        case["since"] = json!(since);
        case["count"] = json!(true);
        assert_eq!(run("function", &case)["orders"], run("floor", &case)["orders"]);
        case["count"] = json!(false);
        let (mut function, mut floor) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            floor.push(run("floor", &case));
            function.push(run("function", &case));
        }
        say(&format!(
            "\n{what}, {} bytes an order; {:.0} read units",
            seeded["bytes"],
            runtime.block_on(units(&stores, &case))
        ));
        say(&format!("{:<28}{:>10}{:>10}{:>8}", "", "function", "floor", "ratio"));
        for (what, name) in [
            ("first byte, ms", "first"),
            ("total, ms", "total"),
            ("CPU, ms", "cpu"),
            ("peak memory, MB", "peak"),
            ("DynamoDB calls", "calls"),
        ] {
            let (function, floor) = (of(&function, name), of(&floor, name));
            say(&format!("{what:<28}{function:>10.1}{floor:>10.1}{:>8.2}", function / floor));
        }
    }
    let mut imports = Vec::new();
    for round in 0..ROUNDS {
        let mut case = typical_orders.clone();
        case["url"] = json!(format!("I{round}"));
        imports.push(run("import", &case));
    }
    let orders = IMPORTED as f64;
    say(&format!("\nimport of {IMPORTED} orders, {A_CALL} a call"));
    for (what, number) in [
        ("orders a second", orders / of(&imports, "total") * 1000.0),
        ("CPU an order, \u{b5}s", of(&imports, "cpu") / orders * 1000.0),
        ("DynamoDB requests an order", of(&imports, "calls") / orders),
        ("peak memory, MB", of(&imports, "peak")),
    ] {
        say(&format!("{what:<28}{number:>10.4}"));
    }
    drop(process.stdin.take());
    let _ = process.wait();
}
