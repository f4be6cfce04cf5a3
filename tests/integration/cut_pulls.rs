//! Pulls that have no room for all orders, with an hourly limit that has none for the rest: whatever the host changes
//! meanwhile, and wherever a pull fails, nothing that Pruvan was never told waits behind what it was, and a pull of
//! changes has them all, or none of what it only looks back at.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bridge::accounts::Accounts;
use bridge::push_queue::PushQueue;
use get_work_orders::GetWorkOrders;
use lambda_http::{Body, Request};
use proptest::prelude::*;
use pruvan::integration::IntegrationType;
use serde_json::{Value, json};
use simulator::{Integration, multipart};

use crate::harness::faults::{Fault, Faults};
use crate::harness::{Harness, order};

const ORDERS: usize = 30;

/// Pushes within an hour.
const LIMIT: usize = 6;

/// Instructions of so many quotes, twice in an order: a buffered reply, which escapes each of them, has room for 21.
const QUOTES: usize = 37_000;

#[derive(Debug, Clone)]
enum Step {
    /// Orders from this one on, so many, are made or changed.
    Put(usize, usize),
    /// One goes before all else.
    Rush(usize),
    /// Of everything, or of what has changed since the last one, from so many seconds before it on; with a fault at its
    /// n-th call to DynamoDB.
    Pull(Option<i64>, Option<(usize, Fault)>),
    Drain,
    /// Crews report, if they have the order.
    Report(usize),
    /// An integration made anew has nothing, and another push key.
    Anew,
    Seconds(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let faults = vec![Fault::Outage, Fault::DiesBefore, Fault::DiesAfter];
    let fault = prop::option::weighted(0.3, (0..50usize, prop::sample::select(faults)));
    let since = prop::option::weighted(0.6, prop::sample::select(vec![0, 0, 60, 1500]));
    let step = prop_oneof![
        4 => (0..ORDERS, 1..20usize).prop_map(|(first, count)| Step::Put(first, count)),
        1 => (0..ORDERS).prop_map(Step::Rush),
        5 => (since, fault).prop_map(|(since, fault)| Step::Pull(since, fault)),
        4 => Just(Step::Drain),
        2 => (0..ORDERS).prop_map(Step::Report),
        1 => Just(Step::Anew),
        4 => prop::sample::select(vec![1, 1, 60, 400, 1000, 3700]).prop_map(Step::Seconds),
    ];
    // It begins with more than a list has room for, all of it within the look-back.
    let begun = prop::collection::vec(step, 4..16);
    begun.prop_map(|steps| std::iter::once(Step::Put(0, ORDERS)).chain(steps).collect())
}

/// The state of an order: which change it is, when it was made, and whether it goes before all else.
#[derive(Debug, Clone, Copy)]
struct Current {
    version: usize,
    changed_at: i64,
    rush: bool,
}

struct Model<'a> {
    harness: &'a Harness,
    username: String,
    vendor: Integration,
    accounts: Accounts,
    queue: PushQueue,
    faults: Faults,
    puller: Arc<GetWorkOrders>,
    orders: BTreeMap<String, Current>,
    /// The state of each order that Pruvan was told last.
    told: BTreeMap<String, usize>,
    /// Of what is told by pushes alone, nobody can say for which integration, if it is older than this.
    pushed: BTreeSet<String>,
    made_anew_at: i64,
    versions: usize,
    pushes_seen: usize,
    pulled: Option<i64>,
    /// Orders that a list had no room for, so that the test sees what it is about.
    left_out: usize,
}

impl Model<'_> {
    async fn step(&mut self, step: &Step) {
        match step {
            Step::Put(first, count) => {
                for number in *first..(*first + *count).min(ORDERS) {
                    self.put(number, false).await;
                }
            }
            Step::Rush(number) => self.put(*number, true).await,
            Step::Pull(back, fault) => {
                let since = back.and_then(|back| Some(self.pulled? - back));
                self.pull(since, *fault).await;
            }
            Step::Drain => self.drain().await,
            Step::Report(number) => {
                let number = number.to_string();
                if self.vendor.project(&number).is_some() {
                    drop(self.vendor.change_status(&number, "accepted", "viewed").await.unwrap());
                }
            }
            Step::Anew => self.made_anew().await,
            Step::Seconds(seconds) => self.harness.advance(*seconds),
        }
    }

    async fn put(&mut self, number: usize, rush: bool) {
        self.versions += 1;
        let long = "\"".repeat(QUOTES);
        let number = number.to_string();
        let mut body = order(json!({
            "clientStatus": self.versions.to_string(), "instructions": long, "clientInstructions": long,
        }));
        if rush {
            body["status"] = json!("rush");
        }
        let path = format!("/accounts/{}/orders/{number}", self.username);
        let (status, reply) = self.harness.host("PUT", &path, Some(body)).await;
        assert!(status == 200 || status == 201, "{reply}");
        let current = Current { version: self.versions, changed_at: self.harness.now(), rush };
        self.orders.insert(number, current);
        // Of a change within the millisecond in which a pull begins, nobody can say whether that has it.
        self.harness.advance(1);
    }

    fn is_told(&self, number: &str) -> bool {
        self.told.get(number) == self.orders.get(number).map(|current| &current.version)
    }

    async fn waiting(&self) -> BTreeMap<String, String> {
        let rows = self.queue.page(&self.username, None, 500).await.unwrap().0;
        rows.into_iter().map(|row| (row.work_order_number, row.due)).collect()
    }

    async fn pull(&mut self, since: Option<i64>, fault: Option<(usize, Fault)>) {
        let payload = json!({ "username": self.username, "token": self.vendor.token, "timestamp": since });
        let (content_type, body) = multipart(&payload.to_string(), None);
        let request = lambda_http::http::Request::builder().method("POST").uri("/getWorkOrders");
        let request: Request = request.header("content-type", content_type).body(Body::Binary(body)).unwrap();
        if let Some((nth, fault)) = fault {
            self.faults.plan(nth, fault);
        }
        let pull = get_work_orders::handle_buffered(self.puller.clone(), request);
        let reply = self.faults.run(pull).await;
        self.faults.end();
        let reply: Value = reply.map_or(Value::Null, |reply| serde_json::from_slice(reply.body()).unwrap());
        let waiting = self.waiting().await;
        let begins = |number: &String, class: &str| waiting.get(number).is_some_and(|due| due.starts_with(class));
        let Some(list) = reply["workOrders"].as_array() else {
            assert!(fault.is_some() || self.vendor.is_dead(), "{reply}");
            // Once it is noted, a pull counts as told: nobody can say who read it.
            let account = self.accounts.get(&self.username).await.unwrap().unwrap();
            if account.carried().end == self.harness.now() * 1000 {
                let told = self.orders.iter().filter(|(number, _)| !begins(number, "1!"));
                self.told.extend(told.map(|(number, current)| (number.clone(), current.version)));
            }
            return;
        };
        let text = |order: &Value, name: &str| order[name].as_str().unwrap().to_owned();
        let listed: BTreeMap<String, usize> = list
            .iter()
            .map(|order| (text(order, "workOrderNumber"), text(order, "clientStatus").parse().unwrap()))
            .collect();
        let looked_back = listed.keys().any(|number| Some(self.orders[number].changed_at) < since);
        for (number, current) in &self.orders {
            if listed.get(number) == Some(&current.version) {
                continue;
            }
            assert!(!listed.contains_key(number), "an old state of {number}");
            let changed = since.is_none_or(|since| current.changed_at >= since);
            let waits = begins(number, "0#") || begins(number, "1!") || self.is_told(number) && begins(number, "1");
            assert!(!changed || waits && !looked_back, "{number} {current:?} is nowhere: {:?}", waiting.get(number));
            self.left_out += usize::from(changed);
        }
        self.pushed.retain(|number| !listed.contains_key(number));
        self.told.extend(listed);
        self.pulled = Some(self.harness.now());
    }

    async fn drain(&mut self) {
        let mut waiting: BTreeSet<String> = self.waiting().await.into_keys().collect();
        self.harness.system.tick().await;
        let pushes = self.vendor.pushes();
        for push in pushes.iter().skip(self.pushes_seen) {
            for pushed in push["workOrders"].as_array().unwrap() {
                let number = pushed["workOrderNumber"].as_str().unwrap().trim_start_matches("SMC::").to_owned();
                waiting.remove(&number);
                let current = self.orders[&number];
                assert_eq!(pushed["clientStatus"], current.version.to_string());
                let doubtful = self.pushed.contains(&number) && current.changed_at <= self.made_anew_at;
                if self.is_told(&number) && !current.rush && !doubtful {
                    let behind: Vec<&String> = waiting.iter().filter(|number| !self.is_told(number)).collect();
                    assert!(behind.is_empty(), "{behind:?} wait behind {number}, which Pruvan has");
                }
                self.told.insert(number.clone(), current.version);
                self.pushed.insert(number);
            }
        }
        self.pushes_seen = pushes.len();
    }

    async fn made_anew(&mut self) {
        let (url, token) = (self.vendor.web_service_url.clone(), self.vendor.token.clone());
        let kind = IntegrationType::Internal;
        self.vendor = self.harness.pruvan.integrate(&url, "html", &self.username, &token, kind, false);
        self.vendor.validate().await.unwrap();
        self.told.clear();
        (self.pushes_seen, self.pulled, self.made_anew_at) = (0, None, self.harness.now());
    }

    /// By the hour, until nothing waits.
    async fn settle(&mut self) {
        self.pull(None, None).await;
        for _ in 0..20 {
            self.harness.advance(3700);
            self.drain().await;
            if self.waiting().await.is_empty() {
                break;
            }
        }
        for number in self.orders.keys() {
            assert!(self.is_told(number), "{number} was never told");
        }
    }
}

async fn run(harness: &Harness, username: &str, steps: &[Step]) -> usize {
    let vendor = harness.account(username, IntegrationType::Internal).await;
    let limit = json!({ "pushLimitPerHour": LIMIT });
    assert_eq!(harness.host("PUT", &format!("/accounts/{username}"), Some(limit)).await.0, 200);
    vendor.validate().await.unwrap();
    let (faults, stores) = (Faults::default(), &harness.system.stores);
    let met = faults.meet(harness.dependencies(), &stores.dynamodb_url, &stores.s3_url);
    let dependencies = harness.dependencies();
    let mut model = Model {
        harness,
        username: username.to_owned(),
        vendor,
        accounts: Accounts::new(&dependencies).unwrap(),
        queue: PushQueue::new(&dependencies).unwrap(),
        puller: Arc::new(GetWorkOrders::new(&met).unwrap()),
        faults,
        orders: BTreeMap::new(),
        told: BTreeMap::new(),
        pushed: BTreeSet::new(),
        made_anew_at: 0,
        versions: 0,
        pushes_seen: 0,
        pulled: None,
        left_out: 0,
    };
    for step in steps {
        model.step(step).await;
    }
    model.settle().await;
    model.left_out
}

#[test]
fn nothing_that_nobody_was_told_waits_behind_what_pruvan_has() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(12);
    let config =
        ProptestConfig { cases, max_shrink_iters: 100, failure_persistence: None, ..ProptestConfig::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let harness = runtime.block_on(Harness::start());
    let (count, left_out) = (AtomicUsize::new(0), AtomicUsize::new(0));
    proptest!(config, |(steps in steps())| {
        let username = format!("u{}", count.fetch_add(1, Ordering::Relaxed));
        left_out.fetch_add(runtime.block_on(run(&harness, &username, &steps)), Ordering::Relaxed);
    });
    assert!(left_out.into_inner() > count.into_inner(), "the lists were hardly ever cut");
}
