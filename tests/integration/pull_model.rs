//! A model of pulls: however writers, pulls and failures of DynamoDB's calls mix, what was written before a pull began
//! is in that pull or in those that follow, an order is in no list twice, and a list that broke off is none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bridge::accounts::Accounts;
use bridge::change::{Changes, Instructions};
use bridge::http::Problem;
use bridge::orders::{Intent, Orders};
use get_work_orders::GetWorkOrders;
use lambda_http::{Body, Request};
use proptest::prelude::*;
use pruvan::integration::IntegrationType;
use pruvan::work_order::WorkOrder;
use serde_json::{Value, json};
use simulator::multipart;
use tokio::task::JoinHandle;

use crate::harness::faults::{Fault, Faults};
use crate::harness::{Harness, order};

const NUMBERS: u8 = 8;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Current,
    Ended,
    Deleted,
}

/// A change of an order, by a writer whose clock is off by so many seconds.
#[derive(Debug, Clone)]
struct Change {
    number: u8,
    kind: Kind,
    skew: i64,
}

#[derive(Debug, Clone)]
enum Step {
    Write(Change, Option<(usize, Fault)>),
    /// All orders, as a host's nightly job does.
    WriteAll,
    /// It stops at its n-th call, and goes on later.
    Begin(Change, usize),
    /// What began goes on to its end.
    Finish,
    Seconds(i64),
    Pull {
        full: bool,
        fault: Option<(usize, Fault)>,
        /// The pull stops at this call for so many seconds, while these are written.
        during: Option<(usize, i64, Vec<Change>)>,
        /// Pruvan asks next for what changed since this pull ended, not since it began; by a clock that is off by so
        /// many seconds.
        since_end: bool,
        skew: i64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kind = prop_oneof![4 => Just(Kind::Current), 2 => Just(Kind::Ended), 1 => Just(Kind::Deleted)];
    let skew = prop::sample::select(vec![-60, 0, 0, 60]);
    let change = (0..NUMBERS, kind, skew).prop_map(|(number, kind, skew)| Change { number, kind, skew }).boxed();
    let faults =
        vec![Fault::Before, Fault::After, Fault::DiesBefore, Fault::DiesAfter, Fault::Throttled, Fault::Conflict];
    let of_writes = prop::option::weighted(0.4, (0..5usize, prop::sample::select(faults)));
    let faults =
        vec![Fault::Outage, Fault::Outage, Fault::After, Fault::DiesBefore, Fault::DiesAfter, Fault::Throttled];
    let of_pulls = prop::option::weighted(0.6, (0..20usize, prop::sample::select(faults)));
    let during = (0..20usize, 0..280i64, prop::collection::vec(change.clone(), 1..5));
    let pull = (any::<bool>(), of_pulls, prop::option::weighted(0.4, during), any::<bool>(), -120..120i64).prop_map(
        |(full, fault, during, since_end, skew)| {
            // One thing at a time.
            let fault = fault.filter(|_| during.is_none());
            Step::Pull { full, fault, during, since_end, skew }
        },
    );
    let step = prop_oneof![
        6 => (change.clone(), of_writes).prop_map(|(change, fault)| Step::Write(change, fault)),
        1 => Just(Step::WriteAll),
        2 => (change, 0..4usize).prop_map(|(change, nth)| Step::Begin(change, nth)),
        2 => Just(Step::Finish),
        3 => prop::sample::select(vec![1, 30, 300, 2000]).prop_map(Step::Seconds),
        5 => pull,
    ];
    prop::collection::vec(step, 1..16)
}

/// What Pruvan holds of each order: the host's own status says which change it is.
type Held = BTreeMap<String, String>;

struct Model<'a> {
    harness: &'a Harness,
    username: &'a str,
    token: String,
    writer: Faults,
    orders: Arc<Changes>,
    accounts: Arc<Accounts>,
    puller: Faults,
    state: Arc<GetWorkOrders>,
    changes: u32,
    /// A change under way, and the seconds left until it must end.
    begun: Option<(JoinHandle<()>, i64)>,
    held: Held,
    since: Option<i64>,
}

impl Model<'_> {
    /// The change, as a writer makes it.
    fn change(&mut self, Change { number, kind, skew }: &Change) -> impl Future<Output = ()> + Send + use<> {
        self.changes += 1;
        let (orders, accounts, username) = (self.orders.clone(), self.accounts.clone(), self.username.to_owned());
        let (number, kind, version) = (number.to_string(), *kind, self.changes);
        let now = (self.harness.now() + skew) * 1000;
        async move {
            let Ok(Some(account)) = accounts.get(&username).await else { return };
            if kind == Kind::Deleted {
                let _ = orders.delete::<Problem>(&account, &number, now, |_| Ok(())).await;
                return;
            }
            let mut body = order(json!({ "workOrderNumber": number, "clientStatus": format!("v{version}") }));
            if kind == Kind::Ended {
                body["status"] = json!("closed");
            }
            let (order, _) = WorkOrder::parse(&number, body.as_object().unwrap().clone()).unwrap();
            let make = |_: Option<&_>| Ok::<_, Problem>(order.clone());
            let _ = orders.change(&account, &number, Intent::State, Instructions::default(), now, make).await;
        }
    }

    async fn finish(&mut self) {
        if let Some((begun, _)) = self.begun.take() {
            self.writer.resume();
            begun.await.unwrap();
        }
    }

    /// A function ends within its time-out.
    async fn pass(&mut self, seconds: i64) {
        if let Some((_, left)) = &mut self.begun {
            *left -= seconds;
            if *left <= 0 {
                self.finish().await;
            }
        }
        self.harness.advance(seconds);
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Write(change, fault) => {
                // Two plans at once are one too many.
                self.finish().await;
                if let Some((nth, fault)) = fault {
                    self.writer.plan(*nth, *fault);
                }
                let change = self.change(change);
                self.writer.clone().run(change).await;
                self.writer.end();
            }
            Step::WriteAll => {
                for number in 0..NUMBERS {
                    self.change(&Change { number, kind: Kind::Current, skew: 0 }).await;
                }
            }
            Step::Begin(change, nth) => {
                self.finish().await;
                self.writer.plan(*nth, Fault::Pauses);
                let mut begun = tokio::spawn(self.change(change));
                let writer = self.writer.clone();
                tokio::select! {
                    () = writer.paused() => self.begun = Some((begun, 25)),
                    done = &mut begun => done.unwrap(),
                }
                self.writer.end();
            }
            Step::Finish => self.finish().await,
            Step::Seconds(seconds) => self.pass(*seconds).await,
            Step::Pull { full, fault, during, since_end, skew } => {
                let begun = self.harness.now();
                let disturbed = self.begun.is_some() || during.is_some();
                if self.pull(*full, *fault, during.as_ref()).await {
                    self.since = Some(if *since_end { self.harness.now() } else { begun } + skew);
                    if !disturbed {
                        self.holds_everything().await;
                    }
                }
            }
        }
    }

    /// True if Pruvan got a list.
    async fn pull(
        &mut self,
        full: bool,
        fault: Option<(usize, Fault)>,
        during: Option<&(usize, i64, Vec<Change>)>,
    ) -> bool {
        let mut payload = json!({ "username": self.username, "token": self.token });
        payload["timestamp"] = json!(if full { None } else { self.since });
        let (content_type, body) = multipart(&payload.to_string(), None);
        let request = lambda_http::http::Request::builder().method("POST").uri("/getWorkOrders");
        let request: Request = request.header("content-type", content_type).body(Body::Binary(body)).unwrap();
        if let Some((nth, fault)) = fault {
            self.puller.plan(nth, fault);
        }
        if let Some((nth, ..)) = during {
            self.puller.plan(*nth, Fault::Pauses);
        }
        let (faults, state) = (self.puller.clone(), self.state.clone());
        let mut pull = tokio::spawn(async move {
            faults.run(async { get_work_orders::handle(state, request).await.into_body().collect().await }).await
        });
        let puller = self.puller.clone();
        let list = match during {
            None => pull.await.unwrap(),
            Some((_, seconds, changes)) => tokio::select! {
                // It makes fewer calls than that.
                list = &mut pull => list.unwrap(),
                () = puller.paused() => {
                    for change in changes {
                        self.change(change).await;
                    }
                    self.pass(*seconds).await;
                    puller.resume();
                    pull.await.unwrap()
                }
            },
        };
        self.puller.end();
        // It died, or broke off: no reply, or one that nobody takes for a list.
        let Some(Ok(bytes)) = list else {
            assert!(fault.is_some(), "a pull broke off without a fault");
            return false;
        };
        let reply: Value = serde_json::from_slice(&bytes).unwrap();
        let Some(orders) = reply["workOrders"].as_array() else {
            assert!(fault.is_some(), "{reply}");
            return false;
        };
        let mut told = Held::new();
        for order in orders {
            let text = |name: &str| order[name].as_str().unwrap().to_owned();
            let twice = told.insert(text("workOrderNumber"), text("clientStatus"));
            assert_eq!(twice, None, "a number is there twice: {reply}");
        }
        self.held.extend(told);
        true
    }

    /// Pruvan holds what is stored.
    async fn holds_everything(&self) {
        let orders = Orders::new(&self.harness.dependencies()).unwrap();
        let mut stored = Held::new();
        for number in 0..NUMBERS {
            if let Some(order) = orders.get(self.username, &number.to_string()).await.unwrap() {
                let document: Value = serde_json::from_str(&order.document).unwrap();
                stored.insert(number.to_string(), document["clientStatus"].as_str().unwrap().to_owned());
            }
        }
        assert_eq!(self.held, stored, "left: held by Pruvan, right: stored");
    }
}

async fn run(harness: &Harness, username: &str, steps: &[Step]) {
    let vendor = harness.account(username, IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    let (writer, puller) = (Faults::default(), Faults::default());
    let stores = &harness.system.stores;
    let written = writer.meet(harness.dependencies(), &stores.dynamodb_url, &stores.s3_url);
    let pulled = puller.meet(harness.dependencies(), &stores.dynamodb_url, &stores.s3_url);
    let mut model = Model {
        harness,
        username,
        token: vendor.token.clone(),
        orders: Arc::new(Changes::new(&written).unwrap()),
        accounts: Arc::new(Accounts::new(&written).unwrap()),
        writer,
        state: Arc::new(GetWorkOrders::new(&pulled).unwrap()),
        puller,
        changes: 0,
        begun: None,
        held: Held::new(),
        since: None,
    };
    for step in steps {
        model.step(step).await;
    }
    // The writers have stopped: the next pull makes it whole.
    model.finish().await;
    assert!(model.pull(false, None, None).await);
    model.holds_everything().await;
}

#[test]
fn nothing_is_missing_from_the_pulls_that_follow() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(40);
    let config =
        ProptestConfig { cases, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let harness = runtime.block_on(Harness::start());
    let count = AtomicUsize::new(0);
    proptest!(config, |(steps in steps())| {
        let username = format!("u{}", count.fetch_add(1, Ordering::Relaxed));
        runtime.block_on(run(&harness, &username, &steps));
    });
}
