//! `cargo bench -p tests --bench pushes`: what draining a push queue costs, beside the least that it can cost.
//!
//! 200 accounts with 500 changed orders each; the stores, the simulated Pruvan (which answers in 200 ms) and what is
//! measured run in processes of their own. The floor reads the same orders in batches, posts the same bodies, and
//! deletes the same rows in batches, without leases, hourly limit, conditions or transactions.

#![expect(clippy::expect_used, reason = "a benchmark that meets what it does not expect must stop")]

mod apart;
mod measure;

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use apart::{Item, counted, dynamodb, environment, put, runtime, say, start, stores, text, typical, wait_for_the_end};
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, KeysAndAttributes, WriteRequest};
use bridge::Dependencies;
use bridge::outbound::{Called, Outbound, post_form};
use bridge::run::Deadline;
use bridge::settings::Settings;
use bridge::time::{Clock, Random, Waits};
use cpu_time::ProcessTime;
use futures_util::StreamExt as _;
use measure::{median, memory};
use pruvan::integration::IntegrationType;
use pruvan::push::{FORM_FIELD, PushRequest};
use serde_json::{Value, json};
use simulator::Simulator;

const ACCOUNTS: usize = 200;
const ORDERS: usize = 500;
const AT_ONCE: usize = 8;
const BATCH: usize = 198;
const ANSWER_AFTER: Duration = Duration::from_millis(200);
const ROUNDS: usize = 3;

fn main() {
    match std::env::var("BENCH_AS").as_deref() {
        Ok("stores") => stores(),
        Ok("pruvan") => runtime().block_on(async {
            let pruvan = Simulator::start().await.expect("a simulator");
            pruvan.answer_after(ANSWER_AFTER);
            let integrate = |n: usize| {
                let made = pruvan.integrate("", "", &username(n), "", IntegrationType::Internal, false);
                made.rules(|held| held.hourly_limit = usize::MAX);
                made.push_key()
            };
            say(&(0..ACCOUNTS).map(integrate).collect::<Value>().to_string());
            wait_for_the_end().await;
        }),
        Ok("function") => measured(true),
        Ok("floor") => measured(false),
        _ => parent(),
    }
}

fn username(n: usize) -> String {
    format!("bench{n:03}")
}

/// Runs as the function, or as the floor, and prints a line of JSON.
fn measured(function: bool) {
    let clock = Clock::system();
    let (random, outbound) = (Random::system(), Outbound::with_loopback());
    let dependencies = Dependencies::new(Settings::from_process(), clock.clone(), random, Waits::REAL, outbound);
    let (dependencies, dynamodb, calls) = counted(&dependencies);
    // One thread, as in Lambda.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (begun, cpu) = (Instant::now(), ProcessTime::now());
    if function {
        runtime.block_on(async {
            let state = Arc::new(push_drain::PushDrain::new(&dependencies).expect("settings"));
            push_drain::handle(state, Deadline::at(clock.now_ms() + 900_000)).await.expect("drained");
        });
    } else {
        runtime.block_on(floor(&dependencies, &dynamodb));
    }
    let line = json!({
        "seconds": begun.elapsed().as_secs_f64(), "cpu": cpu.elapsed().as_secs_f64(), "peak": memory("VmHWM:"),
        "requests": calls.load(Ordering::Relaxed),
    });
    say(&line.to_string());
}

/// Bare batch reads, the same bodies, bare batch deletes.
async fn floor(dependencies: &Dependencies, dynamodb: &aws_sdk_dynamodb::Client) {
    let keys: Value = serde_json::from_str(&std::env::var("BENCH_PUSH_KEYS").unwrap_or_default()).expect("push keys");
    let client = dependencies.outbound.client().expect("a client");
    futures_util::stream::iter(0..ACCOUNTS)
        .for_each_concurrent(AT_ONCE, |n| {
            let (client, url) = (client.clone(), keys[n].as_str().unwrap_or_default().to_owned());
            async move {
                for batch in (0..ORDERS).collect::<Vec<_>>().chunks(BATCH) {
                    let mut request = PushRequest::default();
                    for chunk in batch.chunks(100) {
                        let ask = KeysAndAttributes::builder()
                            .set_keys(Some(chunk.iter().map(|order| order_key(&username(n), *order)).collect()))
                            .consistent_read(true)
                            .build()
                            .expect("a batch");
                        let reply = dynamodb.batch_get_item().request_items("OrdersTable", ask).send().await;
                        for item in reply.expect("orders").responses.into_iter().flatten().flat_map(|(_, items)| items)
                        {
                            request.push(item["document"].as_s().expect("a document"), "", false);
                        }
                    }
                    let called = post_form(&client, url.parse().expect("a URL"), FORM_FIELD, &request.finish()).await;
                    assert!(matches!(called, Called::Answered { status: 200, .. }), "{called:?}");
                    for chunk in batch.chunks(25) {
                        let delete = |order: &usize| {
                            let request = DeleteRequest::builder().set_key(Some(row_key(&username(n), *order)));
                            WriteRequest::builder().delete_request(request.build().expect("a key")).build()
                        };
                        let writes = chunk.iter().map(delete).collect();
                        let deleted = dynamodb.batch_write_item().request_items("PushQueueTable", writes).send().await;
                        deleted.expect("deletes");
                    }
                }
            }
        })
        .await;
}

fn number(order: usize) -> String {
    format!("WO-{order:05}")
}

fn order_key(username: &str, order: usize) -> Item {
    let shard = hex_byte(&bridge::secrets::sha256_hex(number(order).as_bytes())) % bridge::orders::SHARDS;
    Item::from([
        ("accountShard".to_owned(), text(format!("{username}#{shard}"))),
        ("workOrderNumber".to_owned(), text(number(order))),
    ])
}

fn hex_byte(hex: &str) -> u8 {
    u8::from_str_radix(&hex[..2], 16).unwrap_or_default()
}

fn row_key(username: &str, order: usize) -> Item {
    Item::from([("username".to_owned(), text(username)), ("workOrderNumber".to_owned(), text(number(order)))])
}

/// Makes one account with its orders through the host's API, and copies its rows.
async fn seed(stores: &Value, push_keys: &Value) -> aws_sdk_dynamodb::Client {
    let client = reqwest::Client::new();
    let url = format!("{}/accounts/{}", stores["gateway"].as_str().unwrap_or_default(), username(0));
    let settings = json!({ "integration": "internal", "pushLimitPerHour": 1_000_000 }).to_string();
    assert_eq!(client.put(&url).body(settings).send().await.expect("an account").status(), 201);
    for chunk in (0..ORDERS).collect::<Vec<_>>().chunks(100) {
        let body: Value = chunk.iter().map(|n| typical(&number(*n))).collect();
        let reply = client.post(format!("{url}/orders")).body(body.to_string()).send().await.expect("a reply");
        let reply: Value = serde_json::from_slice(&reply.bytes().await.expect("a reply")).expect("JSON");
        assert_eq!(reply["created"], 100, "{reply}");
    }
    let dynamodb = dynamodb(stores);
    let rows = async |table: &str| -> Vec<Item> {
        let pages = dynamodb.scan().table_name(table).into_paginator().items().send();
        pages.collect::<Result<Vec<Item>, _>>().await.expect("rows")
    };
    let (accounts, orders) = (rows("AccountsTable").await, rows("OrdersTable").await);
    for n in 0..ACCOUNTS {
        let mut account = accounts[0].clone();
        account.extend([
            ("username".to_owned(), text(username(n))),
            ("pushKey".to_owned(), text(push_keys[n].as_str().unwrap_or_default())),
            ("pushKeyState".to_owned(), text("live")),
            ("pushKeySerial".to_owned(), AttributeValue::N("1".to_owned())),
            ("wakeBucket".to_owned(), AttributeValue::N((n % 16).to_string())),
        ]);
        dynamodb.put_item().table_name("AccountsTable").set_item(Some(account)).send().await.expect("an account");
    }
    let copies = (1..ACCOUNTS).flat_map(|n| {
        orders.iter().map(move |order| {
            let mut copy = order.clone();
            let shard = order["accountShard"].as_s().expect("a shard").replace(&username(0), &username(n));
            copy.insert("accountShard".to_owned(), text(shard));
            copy
        })
    });
    put(&dynamodb, "OrdersTable", copies.collect()).await;
    dynamodb
}

/// Queues every order of every account, as if all of them had just been changed.
async fn queue(dynamodb: &aws_sdk_dynamodb::Client, template: &Item) {
    let rows = (0..ACCOUNTS).flat_map(|n| {
        (0..ORDERS).map(move |order| {
            let mut row = template.clone();
            row.extend(row_key(&username(n), order));
            row
        })
    });
    put(dynamodb, "PushQueueTable", rows.collect()).await;
}

fn parent() {
    let runtime = runtime();
    let ((mut stores_process, stores), (mut pruvan_process, push_keys)) = (start("stores"), start("pruvan"));
    say(&format!(
        "{ACCOUNTS} accounts with {ORDERS} changed orders each; Pruvan answers in {} ms",
        ANSWER_AFTER.as_millis()
    ));
    let dynamodb = runtime.block_on(seed(&stores, &push_keys));
    let template = runtime.block_on(async {
        let key = row_key(&username(0), 0);
        let row = dynamodb.get_item().table_name("PushQueueTable").set_key(Some(key)).send().await.expect("a row");
        row.item.expect("a row")
    });
    let run = |role: &str| -> Value {
        runtime.block_on(queue(&dynamodb, &template));
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command
            .env("BENCH_AS", role)
            .env("BENCH_PUSH_KEYS", push_keys.to_string())
            .envs(environment(&stores))
            .env("PUSH_AT_ONCE", AT_ONCE.to_string());
        let output = command.stderr(Stdio::inherit()).output().expect("a child");
        let left = runtime.block_on(async {
            let count = dynamodb.scan().table_name("PushQueueTable").limit(10).send().await;
            count.expect("a scan").count()
        });
        assert_eq!(left, 0, "{role} left rows in the queue");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{role} said nothing"))
    };
    let (mut function, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        floor.push(run("floor"));
        function.push(run("function"));
    }
    let of = |runs: &[Value], name: &str| median(runs.iter().filter_map(|run| run[name].as_f64()).collect());
    let orders = (ACCOUNTS * ORDERS) as f64;
    say(&format!("medians of {ROUNDS} alternating runs, {AT_ONCE} accounts at once, {BATCH} orders a call"));
    say(&format!("{:<28}{:>10}{:>10}{:>8}", "", "function", "floor", "ratio"));
    for (what, name, per) in [
        ("seconds", "seconds", 1.0),
        ("CPU an order, \u{b5}s", "cpu", 1e6 / orders),
        ("DynamoDB requests an order", "requests", 1.0 / orders),
        ("peak memory, MB", "peak", 1.0),
    ] {
        let (function, floor) = (of(&function, name) * per, of(&floor, name) * per);
        let places = if per == 1.0 / orders { 4 } else { 1 };
        say(&format!("{what:<28}{function:>10.places$}{floor:>10.places$}{:>8.2}", function / floor));
    }
    say(&format!(
        "{:<28}{:>10.0}{:>10.0}",
        "orders a second",
        orders / of(&function, "seconds"),
        orders / of(&floor, "seconds")
    ));
    let calls = ACCOUNTS * ORDERS.div_ceil(BATCH);
    say(&format!("{:<28}{calls:>10}{calls:>10}", "calls of Pruvan"));
    for process in [&mut stores_process, &mut pruvan_process] {
        drop(process.stdin.take());
        let _ = process.wait();
    }
}
