//! A model of the push queue: whatever the host does, whatever fails and whenever, Pruvan holds the newest state of
//! every order in the end, the hourly limit was passed in no window, and nothing that Pruvan's own people set was
//! undone by an older directive.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ::push_drain::PushDrain;
use bridge::Dependencies;
use bridge::outbound::Outbound;
use bridge::push_queue::PushQueue;
use bridge::run::Deadline;
use bridge::time::{Clock, Random, Waits};
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use pruvan::integration::IntegrationType;
use serde_json::{Value, json};
use simulator::{Integration, Weather};

use crate::harness::faults::{Fault, Faults};
use crate::harness::{Harness, order};

const ORDERS: u8 = 4;
const LIMIT: usize = 7;

/// What a service list can look like.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Services {
    TaskOnly,
    Survey(u8),
}

#[derive(Debug, Clone)]
enum Step {
    Put {
        order: u8,
        text: u8,
        services: Services,
        directive: Option<&'static str>,
    },
    Patch {
        order: u8,
        directive: &'static str,
        force: bool,
    },
    Delete(u8),
    /// Pruvan's people change the status, if that changes it.
    Edit(u8, &'static str),
    PushAgain(u8),
    RetryParked,
    /// The Validate button, of the same integration or of one made anew.
    Validate(bool),
    KeyDies,
    Pull(bool),
    /// What the next push meets.
    Weather(Sky),
    /// An invocation whose clock is off by so many seconds, with a fault at its n-th call to DynamoDB.
    Drain(i64, Option<(usize, Fault)>),
    /// Two at once, their clocks apart.
    Both(i64, i64),
    /// An invocation, in the middle of which the host changes an order, and then another one.
    Amid(u8, u8, u8),
    /// An invocation whose call is under way while the host changes an order and, if so many seconds are enough for the
    /// lease to end, another invocation takes over.
    Overtaken(u8, u8, i64),
    /// An invocation whose call is under way while a validate comes, of the same integration or of one made anew; the
    /// lease is given back.
    Revalidated(u8, u8, bool),
    /// A push of an order is cut off and takes effect after so many seconds; meanwhile the host changes the order, and
    /// that goes through.
    Late(u8, u8, i64),
    /// An invocation that is killed while its call is under way.
    Killed,
    Seconds(i64),
}

#[derive(Debug, Clone)]
enum Sky {
    Answer(u16, &'static str),
    /// Refused by name.
    Named(u8),
    Lost(Option<i64>),
    Uncounted,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let directive = || prop::sample::select(vec!["assigned", "rush", "rework"]);
    let services = prop_oneof![2 => Just(Services::TaskOnly), 3 => (0..2u8).prop_map(Services::Survey)];
    let fault = prop::sample::select(vec![
        Fault::Before,
        Fault::After,
        Fault::DiesBefore,
        Fault::DiesAfter,
        Fault::Throttled,
        Fault::Conflict,
        Fault::Slow,
    ]);
    let skew = || prop::sample::select(vec![-60, 0, 0, 60]);
    let weather = prop_oneof![
        3 => prop::sample::select(vec![
            (500, ""),
            (429, ""),
            (502, "<html>down for maintenance</html>"),
            (200, "<html>down for maintenance</html>"),
            (200, r#"{"response":true,"error":"success"}"#),
            (200, r#"{"response":false,"error":"internal error"}"#),
            (200, r#"{"response":false,"error":"hourly limit exceeded"}"#),
            (200, ""),
        ]).prop_map(|(status, body)| Sky::Answer(status, body)),
        1 => (0..ORDERS).prop_map(Sky::Named),
        1 => Just(Sky::Uncounted),
        4 => prop_oneof![Just(None), Just(Some(0)), (1..118i64).prop_map(|seconds| Some(seconds * 1000))].prop_map(Sky::Lost),
    ];
    // The first sixteen calls look at who has work.
    let nth = prop_oneof![1 => 0..16usize, 8 => 16..30usize];
    let step = prop_oneof![
        7 => (0..ORDERS, any::<u8>(), services, prop::option::of(directive()))
            .prop_map(|(order, text, services, directive)| Step::Put { order, text, services, directive }),
        2 => (0..ORDERS, directive(), any::<bool>()).prop_map(|(order, directive, force)| Step::Patch { order, directive, force }),
        2 => (0..ORDERS).prop_map(Step::Delete),
        2 => (0..ORDERS, prop::sample::select(vec!["accepted", "complete", "submitted"]))
            .prop_map(|(order, status)| Step::Edit(order, status)),
        1 => (0..ORDERS).prop_map(Step::PushAgain),
        1 => Just(Step::RetryParked),
        1 => any::<bool>().prop_map(Step::Validate),
        1 => Just(Step::KeyDies),
        2 => any::<bool>().prop_map(Step::Pull),
        6 => weather.prop_map(Step::Weather),
        10 => (skew(), prop::option::weighted(0.5, (nth, fault))).prop_map(|(skew, fault)| Step::Drain(skew, fault)),
        2 => (skew(), skew()).prop_map(|(one, other)| Step::Both(one, other)),
        3 => (0..ORDERS, any::<u8>(), 0..20u8).prop_map(|(order, text, ms)| Step::Amid(order, text, ms)),
        2 => (0..ORDERS, any::<u8>(), prop::sample::select(vec![10, 100]))
            .prop_map(|(order, text, seconds)| Step::Overtaken(order, text, seconds)),
        2 => (0..ORDERS, any::<u8>(), any::<bool>())
            .prop_map(|(order, text, anew)| Step::Revalidated(order, text, anew)),
        2 => (0..ORDERS, any::<u8>(), 70..118i64).prop_map(|(order, text, seconds)| Step::Late(order, text, seconds)),
        1 => Just(Step::Killed),
        5 => prop_oneof![2 => 1..130i64, 1 => 130..400i64, 1 => 3000..4000i64].prop_map(Step::Seconds),
    ];
    prop::collection::vec(step, 5..40)
}

/// What the host has said of an order.
#[derive(Debug, Clone, Default)]
struct Told {
    fields: Value,
    status: Value,
    deleted: bool,
    /// It was made anew while Pruvan still had the one that was deleted: what its people do to that goes with it.
    twin: bool,
    /// The step of the last directive for a status, and it.
    last_set: (usize, String),
    /// The step of the last change of the status by Pruvan's people, and it.
    edited: (usize, String),
}

struct Model<'a> {
    harness: &'a Harness,
    username: String,
    kind: IntegrationType,
    vendor: Integration,
    told: BTreeMap<u8, Told>,
    drains: BTreeMap<i64, Arc<PushDrain>>,
    faults: Faults,
    /// The audit of integrations that were replaced.
    brought: Vec<(i64, usize)>,
}

impl Model<'_> {
    fn path(&self, order: u8, more: &str) -> String {
        format!("/accounts/{}/orders/{order}{more}", self.username)
    }

    async fn drain(&self, skew: i64) -> Option<()> {
        let deadline = Deadline::at((self.harness.now() + skew) * 1000 + 120_000);
        let run = ::push_drain::handle(self.drains[&skew].clone(), deadline);
        self.faults.run(run).await.map(drop)
    }

    async fn step(&mut self, at: usize, step: &Step) {
        match step {
            Step::Put { order: number, text, services, directive } => {
                self.put(at, *number, *text, *services, *directive).await
            }
            Step::Amid(number, text, ms) => {
                let (first, second) = (self.drains[&0].clone(), self.drains[&0].clone());
                let deadline = Deadline::at(self.harness.now() * 1000 + 120_000);
                let first = tokio::spawn(::push_drain::handle(first, deadline.clone()));
                tokio::time::sleep(Duration::from_millis(u64::from(*ms))).await;
                self.put(at, *number, *text, Services::TaskOnly, None).await;
                let _ = ::push_drain::handle(second, deadline).await;
                let _ = first.await.unwrap();
            }
            Step::Overtaken(number, text, seconds) => {
                let released = Arc::new(tokio::sync::Notify::new());
                self.vendor.forecast([Weather::Held(released.clone())]);
                let before = self.vendor.pushes().len();
                let deadline = Deadline::at(self.harness.now() * 1000 + 120_000);
                let first = tokio::spawn(::push_drain::handle(self.drains[&0].clone(), deadline));
                while self.vendor.pushes().len() == before && !first.is_finished() {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                self.put(at, *number, *text, Services::TaskOnly, None).await;
                self.harness.advance(*seconds);
                if !first.is_finished() {
                    let _ = self.drain(0).await;
                }
                released.notify_one();
                let _ = first.await.unwrap();
                self.vendor.clear_forecast();
            }
            Step::Revalidated(number, text, anew) => {
                let (vendor, released) = (self.vendor.clone(), Arc::new(tokio::sync::Notify::new()));
                self.put(at, *number, *text, Services::TaskOnly, None).await;
                vendor.forecast([Weather::Held(released.clone())]);
                let before = vendor.pushes().len();
                let deadline = Deadline::at(self.harness.now() * 1000 + 120_000);
                let drain = tokio::spawn(::push_drain::handle(self.drains[&0].clone(), deadline));
                while vendor.pushes().len() == before && !drain.is_finished() {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                let held = !drain.is_finished();
                self.validate(at, *anew).await;
                released.notify_one();
                let _ = drain.await.unwrap();
                vendor.clear_forecast();
                if held {
                    let rows = self.harness.dump().await.remove("AccountsTable").unwrap_or_default();
                    let own = format!("\"username\":\"{}\"", self.username);
                    let row = rows.into_iter().find(|row| row.contains(&own)).unwrap();
                    assert!(!row.contains("leaseOwner"), "{row}");
                }
            }
            Step::Patch { order: number, directive, force } => {
                let body = json!({ "status": directive, "force": force });
                if self.harness.host("PATCH", &self.path(*number, ""), Some(body)).await.0 == 200 {
                    let told = self.told.get_mut(number).unwrap();
                    (told.last_set, told.status) = ((at, (*directive).to_owned()), json!(directive));
                }
            }
            Step::Delete(number) => {
                if self.harness.host("DELETE", &self.path(*number, ""), None).await.0 == 204 {
                    self.told.get_mut(number).unwrap().deleted = true;
                }
            }
            Step::Edit(number, status) => {
                // What is on its way was sent before they looked.
                let known = self.vendor.project(&number.to_string());
                let changes = known.is_some_and(|project| project["status"] != *status);
                let twin = self.told.get(number).is_none_or(|told| told.twin);
                if changes && !twin && self.vendor.late_effects() == 0 {
                    let answer = self.vendor.change_status(&number.to_string(), status, "viewed").await.unwrap();
                    if answer.body == r#"{"status":true,"error":null}"#
                        && let Some(told) = self.told.get_mut(number)
                    {
                        told.edited = (at, (*status).to_owned());
                    }
                }
            }
            Step::PushAgain(number) => drop(self.harness.host("POST", &self.path(*number, "/push"), None).await),
            Step::RetryParked => {
                let path = format!("/accounts/{}/push-queue/retry", self.username);
                assert_eq!(self.harness.host("POST", &path, None).await.0, 202);
            }
            Step::Validate(anew) => self.validate(at, *anew).await,
            Step::KeyDies => self.vendor.kill_push_key(),
            Step::Pull(full) => {
                let since = (!full).then(|| self.harness.now() - 600);
                drop(self.vendor.import(since).await.unwrap());
                if *full {
                    // Pruvan has been told the new ones, and what its people do from now on counts.
                    self.told.values_mut().for_each(|told| told.twin = false);
                }
            }
            Step::Weather(weather) => {
                let weather = match weather {
                    Sky::Answer(status, body) => Weather::Answer(*status, (*body).to_owned()),
                    Sky::Named(number) => {
                        let errors = json!([{ "workOrderNumber": format!("SMC::{number}"), "error": "no such state" }]);
                        let reply =
                            json!({ "response": { "created": 0, "updated": 0, "deleted": 0 }, "error": errors });
                        Weather::Answer(200, reply.to_string())
                    }
                    Sky::Uncounted => Weather::Uncounted,
                    Sky::Lost(effect) => Weather::Lost(*effect),
                };
                self.vendor.forecast([weather]);
            }
            Step::Drain(skew, fault) => {
                if let Some((nth, fault)) = fault {
                    self.faults.plan(*nth, *fault);
                }
                let _ = self.drain(*skew).await;
                self.faults.end();
            }
            Step::Both(one, other) => {
                let _ = tokio::join!(self.drain(*one), self.drain(*other));
            }
            Step::Late(number, text, seconds) => {
                self.vendor.clear_forecast();
                self.put(at, *number, *text, Services::TaskOnly, None).await;
                self.vendor.forecast([Weather::Lost(Some(seconds * 1000))]);
                let _ = self.drain(0).await;
                self.vendor.clear_forecast();
                self.put(at, *number, text.wrapping_add(1), Services::TaskOnly, None).await;
                self.harness.advance(65);
                let _ = self.drain(0).await;
            }
            Step::Killed => {
                let released = Arc::new(tokio::sync::Notify::new());
                self.vendor.forecast([Weather::Held(released.clone())]);
                let before = self.vendor.pushes().len();
                let called = async {
                    while self.vendor.pushes().len() == before {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                };
                tokio::select! {
                    _ = self.drain(0) => {}
                    () = called => {}
                }
                released.notify_one();
                self.vendor.clear_forecast();
            }
            Step::Seconds(seconds) => self.harness.advance(*seconds),
        }
    }

    async fn put(&mut self, at: usize, number: u8, text: u8, services: Services, directive: Option<&'static str>) {
        let services = match services {
            Services::TaskOnly => json!([{ "serviceName": "Task" }]),
            Services::Survey(survey) => {
                json!([{ "serviceName": "Task" }, { "serviceName": "Form", "survey": format!("form{survey}") }])
            }
        };
        let fields =
            json!({ "clientStatus": format!("c{text}"), "reference": format!("r{text}"), "services": services });
        let mut body = order(fields.clone());
        body["status"] = json!(directive);
        body["replaceSurvey"] = json!(true);
        let (status, reply) = self.harness.host("PUT", &self.path(number, ""), Some(body)).await;
        assert!(status == 200 || status == 201, "{reply}");
        let told = self.told.entry(number).or_default();
        if told.deleted || status == 201 {
            let twin = self.vendor.project(&number.to_string()).is_some() || self.vendor.late_effects() > 0;
            *told = Told { twin, ..Told::default() };
        }
        if directive.is_none() && told.last_set.0 > told.edited.0 {
            // Taken back, and nobody can say whether it has arrived.
            (told.last_set, told.edited) = Default::default();
        }
        if let Some(directive) = directive.filter(|directive| told.status != *directive) {
            told.last_set = (at, directive.to_owned());
        }
        (told.fields, told.status) = (fields, json!(directive));
    }

    async fn validate(&mut self, at: usize, anew: bool) {
        if anew {
            self.brought.extend(self.vendor.rules(|held| held.brought.clone()));
            let web_service_url = self.vendor.web_service_url.clone();
            let integrate = |token: &str| {
                self.harness.pruvan.integrate(&web_service_url, "html", &self.username, token, self.kind, false)
            };
            let vendor = integrate(&self.vendor.token);
            vendor.rules(|held| held.hourly_limit = usize::MAX);
            self.vendor = vendor;
            // What its people had set is gone with the integration; it is told everything that is set.
            for told in self.told.values_mut() {
                told.twin = false;
                told.edited = (0, String::new());
                told.last_set = told.status.as_str().map_or_else(Default::default, |status| (at, status.to_owned()));
            }
        }
        self.vendor.validate().await.unwrap();
        if anew {
            // What its user is asked to do next: an integration made anew has only what it imports, and what changes
            // from then on.
            self.vendor.import(None).await.unwrap();
        }
    }

    /// Everything gets through in the end, and then all is as it should be.
    async fn settle_and_check(&mut self) {
        self.faults.end();
        self.vendor.clear_forecast();
        let path = format!("/accounts/{}", self.username);
        if self.harness.host("GET", &path, None).await.1["pushKey"]["state"] != "live" || self.is_dead().await {
            self.harness.advance(1);
            self.validate(usize::MAX, true).await;
        }
        let queue = PushQueue::new(&self.harness.dependencies()).unwrap();
        for _ in 0..60 {
            self.harness.advance(30);
            self.step(0, &Step::RetryParked).await;
            self.harness.advance(600);
            self.drain(0).await.unwrap();
            let (next, parked) = queue.next(&self.username).await.unwrap();
            if next.is_none() && !parked && self.vendor.late_effects() == 0 {
                break;
            }
        }
        let left = queue.page(&self.username, None, 500).await.unwrap().0;
        assert!(left.is_empty(), "still waiting: {left:?}");
        for (number, told) in &self.told {
            let project = self.vendor.project(&number.to_string());
            if told.deleted {
                match (self.kind, project) {
                    (IntegrationType::External, Some(project)) => assert_eq!(project["clientStatus"], "Deleted"),
                    (_, project) => assert_eq!(project, None, "order {number} was deleted"),
                }
                continue;
            }
            let project = project.unwrap_or_else(|| panic!("order {number} is not in Pruvan"));
            for (name, value) in told.fields.as_object().unwrap() {
                // Pruvan's people own it where the crews are a vendor's.
                if name == "reference" && self.kind == IntegrationType::External {
                    continue;
                }
                assert_eq!(project[name], *value, "{name} of order {number}");
            }
            if self.kind == IntegrationType::Internal {
                let last = if told.edited.0 > told.last_set.0 { &told.edited.1 } else { &told.last_set.1 };
                assert!(
                    last.is_empty() || project["status"] == *last,
                    "status of order {number}: {} {told:?}",
                    project["status"]
                );
            }
        }
        self.brought.extend(self.vendor.rules(|held| held.brought.clone()));
        self.brought.sort();
        for (end, _) in &self.brought {
            let window = self.brought.iter().filter(|(at, _)| *at <= *end && *at > end - 3_600_000);
            let orders: usize = window.map(|(_, orders)| orders).sum();
            assert!(orders <= LIMIT, "{orders} orders within an hour");
        }
        // Nothing of it is left for the next case.
        self.harness.advance(400);
        self.drain(0).await.unwrap();
    }

    async fn is_dead(&self) -> bool {
        // Pruvan alone knows: a key can die and nobody has noticed yet.
        let url = self.vendor.push_key();
        let probe = self.harness.client.post(url).body("workOrders=").send().await.unwrap().text().await.unwrap();
        probe.contains("invalid clientCode")
    }
}

async fn run(harness: &Harness, username: &str, kind: IntegrationType, steps: &[Step]) {
    let vendor = harness.account(username, kind).await;
    let limit = json!({ "pushLimitPerHour": LIMIT });
    assert_eq!(harness.host("PUT", &format!("/accounts/{username}"), Some(limit)).await.0, 200);
    vendor.validate().await.unwrap();
    let faults = Faults::default();
    let hand = harness.clock_hand();
    faults.slow(move || hand(50));
    let stores = &harness.system.stores;
    let drains = [-60, 0, 60].map(|skew| {
        let now = harness.clock();
        let clock = Clock::new(move || Timestamp::from_millisecond(now.now_ms() + skew * 1000).unwrap());
        let settings = harness.system.settings.clone();
        let dependencies = Dependencies::new(settings, clock, Random::system(), Waits::REAL, Outbound::with_loopback());
        let dependencies = faults.meet(dependencies, &stores.dynamodb_url, &stores.s3_url);
        (skew, Arc::new(PushDrain::new(&dependencies).unwrap()))
    });
    let username = username.to_owned();
    let (told, brought) = (BTreeMap::new(), Vec::new());
    let mut model = Model { harness, username, kind, vendor, told, drains: drains.into(), faults, brought };
    for (at, step) in steps.iter().enumerate() {
        harness.advance(1);
        model.step(at + 1, step).await;
    }
    model.settle_and_check().await;
}

#[test]
fn pruvan_holds_the_newest_state_in_the_end() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let cases = number("PROPTEST_CASES").and_then(|cases| cases.try_into().ok()).unwrap_or(40);
    let seed = number("MODEL_SEED").unwrap_or_else(|| u64::from_ne_bytes(Random::system().bytes()));
    eprintln!("MODEL_SEED={seed} repeats these cases");
    let config =
        ProptestConfig { cases, max_shrink_iters: 400, failure_persistence: None, ..ProptestConfig::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_ne_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let harness = runtime.block_on(Harness::start());
    let (cases, steps_run) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let result = runner.run(&(steps(), prop::bool::weighted(0.75)), |(steps, internal)| {
        let username = format!("u{}", cases.fetch_add(1, Ordering::Relaxed));
        let kind = if internal { IntegrationType::Internal } else { IntegrationType::External };
        runtime.block_on(run(&harness, &username, kind, &steps));
        steps_run.fetch_add(steps.len(), Ordering::Relaxed);
        Ok(())
    });
    eprintln!("{} cases, {} steps", cases.into_inner(), steps_run.into_inner());
    if let Err(failure) = result {
        panic!("{failure}");
    }
}
