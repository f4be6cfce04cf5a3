//! A system with a clock that tests move, an account in it, and a simulated Pruvan.

pub mod broken_host;
pub mod faults;
pub mod imports;
pub mod lambda;
pub mod pages;
pub mod permissions;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use bridge::Dependencies;
use bridge::lines::Lines;
use bridge::outbound::Outbound;
use bridge::time::{Clock, Random, Waits};
use jiff::Timestamp;
use local::gateway::Variant;
use local::template::{TEMPLATE, Template};
use local::{Options, System};
use pruvan::integration::IntegrationType;
use serde_json::{Value, json};
use simulator::{Integration, Simulator};

use permissions::Permissions;

pub const PHOTO: &[u8] = include_bytes!("../../fixtures/photo.jpg");
pub const SURVEY_PDF: &[u8] = include_bytes!("../../fixtures/survey.pdf");

/// 2026-11-23 12:00 UTC.
pub const START_MS: i64 = 1_795_435_200_000;

pub struct Harness {
    pub system: System,
    pub pruvan: Simulator,
    pub client: reqwest::Client,
    /// What the functions asked of AWS. A test whose function was refused something fails when it ends.
    pub permissions: Permissions,
    clock: Clock,
    now: Arc<AtomicI64>,
    lines: Arc<Mutex<Vec<Value>>>,
}

impl Harness {
    pub async fn start() -> Harness {
        Harness::with_environment(Vec::new()).await
    }

    /// By the real clock, with schedules that fire by themselves and waits that are short.
    pub async fn with_real_time() -> Harness {
        Harness::with_real_time_behind(Variant::default()).await
    }

    /// The same, behind a gateway that differs from the local one.
    pub async fn with_real_time_behind(gateway: Variant) -> Harness {
        let clock = Clock::system();
        let tick = Some(std::time::Duration::from_millis(50));
        let permissions = Permissions::default();
        let clients = Some(permissions.clients());
        let options = Options { clock: clock.clone(), tick, time_scale: 100, clients, gateway, ..Options::default() };
        let system = System::start(options).await.unwrap();
        let pruvan = Simulator::with_clock(milliseconds(&clock)).await.unwrap();
        let (client, now, lines) = (reqwest::Client::new(), Arc::default(), Arc::default());
        Harness { system, pruvan, client, permissions, clock, now, lines }
    }

    pub async fn with_environment(environment: Vec<(String, String)>) -> Harness {
        Harness::with(Options { environment, ..Options::default() }).await
    }

    /// Behind a gateway that differs from the local one.
    pub async fn with_gateway(gateway: Variant) -> Harness {
        Harness::with(Options { gateway, ..Options::default() }).await
    }

    async fn with(options: Options) -> Harness {
        let now = Arc::new(AtomicI64::new(START_MS));
        let told = now.clone();
        let clock = Clock::new(move || Timestamp::from_millisecond(told.load(Ordering::SeqCst)).unwrap());
        let lines: Arc<Mutex<Vec<Value>>> = Arc::default();
        let said = lines.clone();
        let sink = Lines::new("PruvanBridge/test", move |line| said.lock().unwrap().push(line.clone()));
        let permissions = Permissions::default();
        let clients = Some(permissions.clients());
        let options = Options { clock: clock.clone(), lines: sink, clients, ..options };
        let system = System::start(options).await.unwrap();
        let pruvan = Simulator::with_clock(milliseconds(&clock)).await.unwrap();
        Harness { system, pruvan, client: reqwest::Client::new(), permissions, clock, now, lines }
    }

    /// What the functions have said of requests and ticks since this was last asked.
    pub fn lines(&self) -> Vec<Value> {
        std::mem::take(&mut *self.lines.lock().unwrap())
    }

    pub fn advance(&self, seconds: i64) {
        self.now.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    /// Moves the clock from elsewhere.
    pub fn clock_hand(&self) -> impl Fn(i64) + Send + Sync + 'static {
        let now = self.now.clone();
        move |seconds| {
            now.fetch_add(seconds * 1000, Ordering::SeqCst);
        }
    }

    pub fn now(&self) -> i64 {
        self.now.load(Ordering::SeqCst) / 1000
    }

    /// The time as replies write it.
    pub fn time(&self) -> String {
        bridge::time::display(self.now() * 1000)
    }

    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// The same for a simulator.
    pub fn clock_ms(&self) -> impl Fn() -> i64 + Send + Sync + 'static {
        milliseconds(&self.clock)
    }

    /// What the functions stand on, to do part of what one does.
    pub fn dependencies(&self) -> Dependencies {
        Dependencies::new(
            self.system.settings.clone(),
            self.clock.clone(),
            Random::system(),
            Waits::REAL,
            Outbound::with_loopback(),
        )
    }

    /// Calls the host's API.
    pub async fn host(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        self.host_raw(method, path, body.map(|body| body.to_string()).unwrap_or_default().into_bytes()).await
    }

    pub async fn host_raw(&self, method: &str, path: &str, body: Vec<u8>) -> (u16, Value) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let url = format!("{}{path}", self.system.gateway_url);
        let reply = self.client.request(method, url).body(body).send().await.unwrap();
        let status = reply.status().as_u16();
        let body = reply.bytes().await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// A pull whose caller hangs up when it has begun: nobody gets to know what was in it.
    pub async fn pull_that_nobody_reads(&self, vendor: &Integration) {
        let payload = json!({ "username": vendor.username, "token": vendor.token, "timestamp": null });
        let url = format!("{}/getWorkOrders.html", vendor.web_service_url);
        let reply = self.client.post(url).form(&[("payload", payload.to_string())]).send().await.unwrap();
        assert_eq!(reply.status(), 200);
        let pulled = async || self.dump().await["AccountsTable"].iter().any(|row| row.contains("pulledAt"));
        drop(reply);
        while !pulled().await {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// An account that the host made, and its integration in Pruvan, not yet validated.
    pub async fn account(&self, username: &str, kind: IntegrationType) -> Integration {
        let (status, made) =
            self.host("PUT", &format!("/accounts/{username}"), Some(json!({ "integration": kind }))).await;
        assert_eq!(status, 201, "{made}");
        let token = made["apiKey"].as_str().unwrap();
        self.pruvan.integrate(&self.system.gateway_url, "html", username, token, kind, false)
    }

    pub async fn put(&self, username: &str, number: &str, more: Value) -> Value {
        let path = format!("/accounts/{username}/orders/{}", encode(number));
        let (status, reply) = self.host("PUT", &path, Some(order(more))).await;
        assert!(status == 200 || status == 201, "{reply}");
        reply
    }

    pub async fn order(&self, username: &str, number: &str) -> Value {
        let (status, order) = self.host("GET", &format!("/accounts/{username}/orders/{}", encode(number)), None).await;
        assert_eq!(status, 200, "{order}");
        order
    }

    /// Every row of every table, to see what a call changed.
    pub async fn dump(&self) -> BTreeMap<String, Vec<String>> {
        let client = self.system.dynamodb().unwrap();
        let mut dump = BTreeMap::new();
        for table in Template::parse(TEMPLATE).unwrap().tables.into_keys() {
            let mut rows = Vec::new();
            let mut items = client.scan().table_name(&table).into_paginator().items().send();
            while let Some(item) = items.next().await {
                let item: Value = serde_dynamo::from_item(item.unwrap()).unwrap();
                rows.push(item.to_string());
            }
            rows.sort();
            dump.insert(table, rows);
        }
        let mut files: Vec<String> = std::fs::read_dir(&self.system.stores.objects)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        files.sort();
        dump.insert("files".to_owned(), files);
        dump
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        let refused = self.permissions.refused();
        if !std::thread::panicking() {
            assert!(refused.is_empty(), "template.yaml doesn't grant what functions need: {refused:#?}");
        }
    }
}

fn milliseconds(clock: &Clock) -> impl Fn() -> i64 + Send + Sync + use<> {
    let clock = clock.clone();
    move || clock.now_ms()
}

/// The least that an order can be, with `more` put over it.
pub fn order(more: Value) -> Value {
    let mut order = json!({
        "address1": "110 East Main Street", "city": "Round Rock", "state": "TX", "zip": "78664",
        "services": [{ "serviceName": "Task" }],
    });
    if let (Value::Object(order), Value::Object(more)) = (&mut order, more) {
        order.extend(more);
    }
    order
}

/// An upload as Pruvan describes it, with `more` put over it.
pub fn picture(uu_id: &str, number: &str, more: Value) -> Value {
    let mut item = json!({
        "uuId": uu_id, "key1": "77", "key2": number, "key3": "78", "key4": "Task", "fileType": "picture", "fileExt": "jpg",
        "fileName": "1415913831993.jpg", "evidenceType": "before", "notes": null, "authenticated": "1",
        "gpsTimestamp": "1414434574", "creationDate": "2014-10-27 13:29:35", "timestamp": 1_414_434_590,
    });
    if let (Value::Object(item), Value::Object(more)) = (&mut item, more) {
        item.extend(more);
    }
    item
}

/// Percent-encodes a path segment.
pub fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
