//! Pulls of any size: streamed and buffered, above what one list can hold, and while orders change.

use std::collections::BTreeSet;
use std::sync::Arc;

use bridge::Dependencies;
use bridge::change::{Changes, Instructions};
use bridge::http::Problem;
use bridge::orders::{Intent, Orders};
use get_work_orders::GetWorkOrders;
use lambda_http::{Body, Request};
use pruvan::integration::IntegrationType;
use pruvan::work_order::WorkOrder;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use simulator::{Integration, Weather, multipart};

use crate::harness::faults::{Fault, Faults};
use crate::harness::{Harness, encode, order};

async fn import(harness: &Harness, username: &str, orders: &[Value]) {
    for chunk in orders.chunks(2000) {
        let lines: String = chunk.iter().map(|order| format!("{order}\n")).collect();
        let url = format!("{}/accounts/{username}/orders", harness.system.gateway_url);
        let request = harness.client.post(url).header("content-type", "application/x-ndjson").body(lines);
        let reply: Value = serde_json::from_slice(&request.send().await.unwrap().bytes().await.unwrap()).unwrap();
        assert_eq!(reply["created"], chunk.len(), "{reply}");
    }
}

fn numbered(count: usize) -> Vec<Value> {
    (0..count).map(|n| order(json!({ "workOrderNumber": format!("N{n}"), "reference": format!("R{n}") }))).collect()
}

fn numbers(list: &Value) -> Vec<String> {
    let orders = list["workOrders"].as_array().unwrap_or_else(|| panic!("no list: {list}"));
    orders.iter().map(|order| order["workOrderNumber"].as_str().unwrap().to_owned()).collect()
}

/// What waits in the queue.
async fn queued(harness: &Harness) -> BTreeSet<String> {
    let rows = harness.dump().await.remove("PushQueueTable").unwrap();
    rows.iter()
        .map(|row| serde_json::from_str::<Value>(row).unwrap()["workOrderNumber"].as_str().unwrap().to_owned())
        .collect()
}

/// Drains hour by hour, until nothing waits; how many hours it took.
async fn drain(harness: &Harness, vendor: &Integration, wanted: usize) -> usize {
    let mut hours = 0;
    loop {
        for _ in 0..10 {
            harness.system.tick().await;
        }
        if vendor.projects() == wanted && queued(harness).await.is_empty() {
            return hours;
        }
        hours += 1;
        assert!(hours < 12, "{} of {wanted} orders", vendor.projects());
        harness.advance(3800);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_list_cannot_hold_is_pushed_and_each_order_goes_one_way() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    import(&harness, "vendor1", &numbered(5_300)).await;
    // Nobody pressed Validate: nothing can be pushed, so there is no list, and nothing is changed.
    let before = harness.dump().await;
    let refused = vendor.import(None).await.unwrap().reply();
    assert!(refused["error"].as_str().unwrap().contains("press Validate"), "{refused}");
    assert_eq!(
        (refused.get("workOrders"), harness.dump().await["PushQueueTable"] == before["PushQueueTable"]),
        (None, true)
    );
    vendor.validate().await.unwrap();
    drain(&harness, &vendor, 5_300).await;
    // An integration made anew knows nothing.
    let anew = harness.pruvan.integrate(
        &harness.system.gateway_url,
        "html",
        "vendor1",
        &vendor.token,
        IntegrationType::Internal,
        false,
    );
    anew.validate().await.unwrap();
    let list = anew.import(None).await.unwrap().reply();
    let told = numbers(&list);
    let unique: BTreeSet<String> = told.iter().cloned().collect();
    assert_eq!((told.len(), unique.len(), &list["error"]), (5_000, 5_000, &json!("")));
    let waiting = queued(&harness).await;
    assert_eq!((waiting.len(), unique.is_disjoint(&waiting)), (300, true));
    drain(&harness, &anew, 5_300).await;
    let pushed: Vec<String> = anew.pushes().iter().flat_map(numbers).collect();
    assert_eq!((pushed.len(), pushed.into_iter().collect::<BTreeSet<_>>()), (300, waiting));
}

/// Ticks until the hour's pushes are used up; which orders went, in their order.
async fn pushed_within_the_hour(harness: &Harness, vendor: &Integration) -> Vec<String> {
    for _ in 0..10 {
        harness.system.tick().await;
    }
    vendor.pushes().iter().flat_map(numbers).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cut_pull_left_out_goes_before_what_it_carried() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    // Each has its row in the queue when the pull comes.
    import(&harness, "vendor1", &numbered(6_000)).await;
    harness.advance(60);
    let told: BTreeSet<String> = numbers(&vendor.import(None).await.unwrap().reply()).into_iter().collect();
    assert_eq!(told.len(), 5_000);
    // One that was told and one that was left out change since; a rush goes before all of them.
    let left_out = (0..6_000).map(|n| format!("N{n}")).find(|number| !told.contains(number)).unwrap();
    let carried = told.first().unwrap();
    harness.advance(1);
    for number in [carried, &left_out] {
        harness.put("vendor1", number, json!({ "reference": "changed" })).await;
    }
    harness.put("vendor1", "rush", json!({ "status": "rush" })).await;
    let pushed = pushed_within_the_hour(&harness, &vendor).await;
    assert_eq!((pushed.len(), vendor.projects()), (5_000, 6_001), "all are there within the hour");
    assert_eq!(pushed[0], "rush");
    let first: BTreeSet<&String> = pushed[1..=1_000].iter().collect();
    assert!(first.iter().all(|number| !told.contains(*number)) && first.contains(&left_out));
    assert_eq!(&pushed[1_001], carried, "what has changed since goes before what the pull told");
    harness.advance(3800);
    assert_eq!(drain(&harness, &vendor, 6_001).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_changed_since_the_given_time_comes_before_the_look_back() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    let mut orders = numbered(5_500);
    import(&harness, "vendor1", &orders.split_off(300)).await;
    harness.advance(120);
    let since = harness.now();
    import(&harness, "vendor1", &orders).await;
    harness.advance(60);
    let told: BTreeSet<String> = numbers(&vendor.import(Some(since)).await.unwrap().reply()).into_iter().collect();
    assert_eq!(told.len(), 5_000);
    assert!((0..300).all(|n| told.contains(&format!("N{n}"))), "every change since then is in the list");
    let pushed = pushed_within_the_hour(&harness, &vendor).await;
    assert!(pushed[..500].iter().all(|number| !told.contains(number)), "nobody was told of these before");
    assert_eq!(vendor.projects(), 5_500);
}

/// Shards of more than a megabyte, which no single query gives.
#[tokio::test(flavor = "multi_thread")]
async fn the_look_back_comes_last_and_each_order_once_however_large_the_shards_are() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    let long = "x".repeat(49_000);
    let orders = |kind: &str| -> Vec<Value> {
        let status = if kind.starts_with("ended") { json!("closed") } else { Value::Null };
        let numbers = (0..60).map(|n| format!("{kind}-{n}"));
        let order_of = |number| {
            order(json!({
                "workOrderNumber": number, "instructions": long, "clientInstructions": long, "status": status,
            }))
        };
        numbers.map(order_of).collect()
    };
    let make = async |kinds: [&str; 2]| {
        for kind in kinds {
            for chunk in orders(kind).chunks(30) {
                import(&harness, "vendor1", chunk).await;
            }
        }
    };
    make(["before", "ended-before"]).await;
    harness.advance(60);
    let since = harness.now();
    make(["changed", "ended-changed"]).await;
    harness.advance(1);
    let told = numbers(&vendor.import(Some(since)).await.unwrap().reply());
    let (first, last) = told.split_at(120);
    assert!(first.iter().all(|number| number.contains("changed")), "{told:?}");
    assert!(last.iter().all(|number| number.contains("before")));
    assert_eq!((told.len(), told.iter().collect::<BTreeSet<_>>().len()), (240, 240));
}

/// What is to come last of a large shard is read after all else; what changes before that has moved to where was read.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_changes_before_the_look_back_of_its_shard_is_read_is_in_the_list_all_the_same() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    let long = "x".repeat(49_000);
    let large = |number: &str, status: &str| {
        order(json!({
            "workOrderNumber": number, "instructions": long, "clientInstructions": long, "clientStatus": status,
        }))
    };
    let all: Vec<String> = (0..120).map(|n| n.to_string()).collect();
    let puller = Puller::new(&harness);
    for number in &all {
        put(&harness, number, large(number, "before")).await;
    }
    harness.advance(60);
    // The account, its key's use, three queries of each shard, and then the look-backs, four at a time.
    puller.faults.plan(27, Fault::Pauses);
    let mut pull = tokio::spawn(puller.pull(&vendor, Some(harness.now())));
    tokio::select! {
        _ = &mut pull => panic!("it makes more calls than that"),
        () = puller.faults.paused() => {}
    }
    harness.advance(1);
    for number in all.iter().step_by(2) {
        put(&harness, number, large(number, "while")).await;
    }
    puller.faults.resume();
    let list = pull.await.unwrap();
    puller.faults.end();
    let told: BTreeSet<String> = numbers(&list).into_iter().collect();
    assert_eq!((told.len(), numbers(&list).len()), (120, 120));
    let mixed: BTreeSet<&str> =
        list["workOrders"].as_array().unwrap().iter().map(|order| order["clientStatus"].as_str().unwrap()).collect();
    assert_eq!(mixed.len(), 2, "some were read before they changed, and some after");
}

/// The time of a retry is no time of a change.
#[tokio::test]
async fn what_pruvan_refused_goes_before_what_a_pull_carried_since() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    let began = harness.now();
    harness.put("vendor1", "refused", json!({})).await;
    let errors = json!([{ "workOrderNumber": "refused", "error": "no such state" }]);
    let reply = json!({ "response": { "created": 0, "updated": 0, "deleted": 0 }, "error": errors });
    vendor.forecast([Weather::Answer(200, reply.to_string())]);
    harness.system.tick().await;
    // It is to be tried again after a minute; the pull looks back to half of that.
    harness.advance(960);
    harness.put("vendor1", "carried", json!({})).await;
    harness.advance(60);
    let told = numbers(&vendor.import(Some(began + 930)).await.unwrap().reply());
    assert_eq!(told, ["carried"]);
    harness.advance(1);
    harness.put("vendor1", "new", json!({})).await;
    harness.system.tick().await;
    let pushed: Vec<String> = vendor.pushes().iter().flat_map(numbers).collect();
    assert_eq!(pushed, ["new", "refused", "carried"]);
}

/// A list that breaks off behind its note would count as told.
#[tokio::test]
async fn where_the_look_for_what_was_left_out_fails_nothing_counts_as_told() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness.put("vendor1", "1", json!({})).await;
    let puller = Puller::new(&harness);
    let mut broke_off = 0;
    for nth in 0..30 {
        puller.faults.plan(nth, Fault::Outage);
        let list = puller.pull(&vendor, None).await;
        let met = puller.faults.end();
        let noted = harness.dump().await["AccountsTable"].iter().any(|row| row.contains("carriedAt"));
        let told = list["workOrders"].is_array();
        assert!(told || !noted, "call {nth}: noted, and nobody was told");
        broke_off += usize::from(!told);
        if !met || noted {
            break;
        }
    }
    assert!(broke_off >= 18, "{broke_off}");
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_orders_arrive_within_the_hourly_limit() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    let orders = numbered(20_000);
    import(&harness, "vendor1", &orders).await;
    assert_eq!(numbers(&vendor.import(None).await.unwrap().reply()).len(), 5_000);
    let hours = drain(&harness, &vendor, 20_000).await;
    assert!(hours <= 5, "{hours}");
    for order in &orders {
        let project = vendor.project(order["workOrderNumber"].as_str().unwrap()).unwrap();
        for (name, value) in order.as_object().unwrap() {
            assert_eq!(project.get(name), Some(value), "{name} of {order}");
        }
    }
}

/// Where nothing streams, a reply has 6 MB.
#[tokio::test]
async fn a_buffered_list_that_does_not_fit_is_never_sent_as_if_it_were_whole() {
    let harness = Harness::with_environment(vec![("BUFFERED_REPLIES".to_owned(), "true".to_owned())]).await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    let long = "x".repeat(49_000);
    let orders: Vec<Value> = (0..150)
        .map(|n| json!({ "workOrderNumber": format!("{n:03}"), "instructions": long, "clientInstructions": long }))
        .map(order)
        .collect();
    for chunk in orders.chunks(50) {
        import(&harness, "vendor1", chunk).await;
        harness.advance(1);
    }
    // Without a push key the rest can't be told.
    let refused = vendor.import(None).await.unwrap().reply();
    assert!(refused["error"].as_str().unwrap().contains("press Validate"), "{refused}");
    assert!(refused.get("workOrders").is_none());
    vendor.validate().await.unwrap();
    let reply = vendor.import(None).await.unwrap();
    assert_eq!(reply.reply()["error"], "");
    let first = vendor.projects();
    assert!((40..150).contains(&first), "{first}");
    drain(&harness, &vendor, 150).await;
}

/// What needs its own state to be stopped in the middle.
struct Puller {
    faults: Faults,
    state: Arc<GetWorkOrders>,
}

impl Puller {
    fn new(harness: &Harness) -> Puller {
        let faults = Faults::default();
        let stores = &harness.system.stores;
        let dependencies: Dependencies = faults.meet(harness.dependencies(), &stores.dynamodb_url, &stores.s3_url);
        Puller { faults, state: Arc::new(GetWorkOrders::new(&dependencies).unwrap()) }
    }

    fn pull(&self, vendor: &Integration, since: Option<i64>) -> impl Future<Output = Value> + Send + use<> {
        let payload = json!({ "username": vendor.username, "token": vendor.token, "timestamp": since });
        let (content_type, body) = multipart(&payload.to_string(), None);
        let request = lambda_http::http::Request::builder().method("POST").uri("/getWorkOrders");
        let request: Request = request.header("content-type", content_type).body(Body::Binary(body)).unwrap();
        let state = self.state.clone();
        async move {
            let body = get_work_orders::handle(state, request).await.into_body();
            serde_json::from_slice(&body.collect().await.unwrap()).unwrap()
        }
    }
}

/// Orders of one shard, of several pages; some of those of the first and of the last page change while the second is
/// read.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_changes_while_its_shard_is_read_is_in_the_list_once() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    let shard = |number: &String| Sha256::digest(number.as_bytes())[0].is_multiple_of(8);
    let own: Vec<String> = (0..).map(|n| format!("S{n}")).filter(shard).take(10).collect();
    let long = "x".repeat(48_000);
    let large = |number: &str, version: &str| {
        order(json!({
            "workOrderNumber": number, "clientStatus": version, "instructions": long, "clientInstructions": long, "workOrderInfo": long,
        }))
    };
    let puller = Puller::new(&harness);
    let mut mixed = 0;
    // The account, its key's use, the first pages of eight shards, and then the ended of seven and the second page of
    // ours, in any order: on a busy machine it may take more than one round until one is stopped at the page that
    // matters.
    for nth in (9..19).cycle().take(50) {
        if nth == 9 && mixed > 0 {
            break;
        }
        for number in &own {
            harness.advance(1);
            put(&harness, number, large(number, &format!("before {nth}"))).await;
        }
        harness.advance(3600);
        puller.faults.plan(nth, Fault::Pauses);
        let mut pull = tokio::spawn(puller.pull(&vendor, None));
        let version = format!("while {nth}");
        let list = tokio::select! {
            list = &mut pull => list.unwrap(),
            () = puller.faults.paused() => {
                for index in [0, 1, 8, 9] {
                    put(&harness, &own[index], large(&own[index], &version)).await;
                }
                harness.host("DELETE", &format!("/accounts/vendor1/orders/{}", own[2]), None).await;
                puller.faults.resume();
                pull.await.unwrap()
            }
        };
        puller.faults.end();
        let told = numbers(&list);
        let unique: BTreeSet<&String> = told.iter().collect();
        assert_eq!((told.len(), unique.len()), (10, 10), "call {nth}");
        let orders = list["workOrders"].as_array().unwrap();
        let is_new = |index: usize| {
            let order = orders.iter().find(|order| order["workOrderNumber"] == own[index].as_str()).unwrap();
            order["clientStatus"] == version.as_str()
        };
        mixed += usize::from(!is_new(0) && is_new(9));
        // Nothing is missing from the next.
        let next = puller.pull(&vendor, Some(harness.now())).await;
        let next = next["workOrders"].as_array().unwrap();
        let changed = next.iter().filter(|order| order["clientStatus"] == version.as_str()).count();
        assert_eq!((next.len(), changed), (5, 4), "call {nth}");
        harness.advance(3600);
    }
    // Or this has shown nothing.
    assert!(mixed > 0, "no pull was stopped between two pages");
}

async fn put(harness: &Harness, number: &str, order: Value) {
    let (status, reply) = harness.host("PUT", &format!("/accounts/vendor1/orders/{number}"), Some(order)).await;
    assert!((200..300).contains(&status), "{reply}");
}

/// A row never goes back in the order in which pulls read it, whatever the writers' clocks say.
#[tokio::test]
async fn the_time_of_a_change_never_goes_back() {
    let harness = Harness::start().await;
    harness.account("vendor1", IntegrationType::Internal).await;
    let orders = Changes::new(&harness.dependencies()).unwrap();
    let account =
        bridge::accounts::Accounts::new(&harness.dependencies()).unwrap().get("vendor1").await.unwrap().unwrap();
    let mut times = Vec::new();
    for (version, skew) in [("a", 0), ("b", -50), ("c", 20), ("d", -10)] {
        let body = order(json!({ "workOrderNumber": "1", "clientStatus": version }));
        let (order, _) = WorkOrder::parse("1", body.as_object().unwrap().clone()).unwrap();
        let make = |_: Option<&_>| Ok::<_, Problem>(order.clone());
        let now = (harness.now() + skew) * 1000;
        let changed = orders.change(&account, "1", Intent::State, Instructions::default(), now, make).await.unwrap();
        times.push(changed.order.changed_at / 1000 - harness.now());
    }
    assert_eq!(times, [0, 0, 20, 20]);
    orders.delete::<Problem>(&account, "1", (harness.now() - 5) * 1000, |_| Ok(())).await.unwrap();
    let there = Orders::new(&harness.dependencies()).unwrap();
    assert_eq!(there.get("vendor1", "1").await.unwrap().unwrap().changed_at / 1000 - harness.now(), 20);
}

/// While nothing has gone out, whatever fails is told as the specification says.
#[tokio::test(flavor = "multi_thread")]
async fn what_fails_while_pages_are_empty_is_told() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    let puller = Puller::new(&harness);
    let mut told = 0;
    // The account, sixteen empty pages, the note of the pull.
    for nth in 0..18 {
        puller.faults.plan(nth, Fault::Outage);
        let reply = puller.pull(&vendor, None).await;
        puller.faults.end();
        match reply["error"].as_str().unwrap() {
            "" => assert_eq!(reply, json!({ "workOrders": [], "error": "" })),
            error => {
                assert!(error.starts_with("the order system is not available"), "{reply}");
                told += 1;
            }
        }
    }
    assert!(told >= 17, "{told}");
}

/// With the retries that the functions have in AWS.
#[tokio::test]
async fn a_pull_survives_that_its_reads_are_throttled_three_times_in_a_row() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    for n in 0..40 {
        harness.put("vendor1", &n.to_string(), json!({})).await;
    }
    let faults = Faults::default();
    let of = faults.meet_as_in_aws(harness.dependencies());
    let state = Arc::new(::get_work_orders::GetWorkOrders::new(&of).unwrap());
    let body = json!({ "username": "vendor1", "token": vendor.token, "timestamp": null }).to_string();
    let pull = async || {
        let body = lambda_http::Body::Text(format!("payload={}", encode(&body)));
        let request = lambda_http::http::Request::builder().method("POST").uri("/getWorkOrders");
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body).unwrap();
        let reply = ::get_work_orders::handle(state.clone(), request).await.into_body().collect().await.unwrap();
        let reply: Value = serde_json::from_slice(&reply).unwrap();
        reply["workOrders"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(pull().await, 40);
    let calls = faults.calls();
    assert!(calls.len() > 16, "{calls:?}");
    for nth in [1, 8, 15] {
        faults.plan_row(nth, Fault::Throttled, 3);
        assert_eq!(pull().await, 40, "throttled at call {nth}");
        assert!(faults.end());
        assert!(faults.calls().len() > 16 + 3);
    }
}
