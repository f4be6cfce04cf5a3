//! Many orders in one request: each judged on its own, in as few calls as can be, and no harm in sending it again.

use bridge::accounts::{Account, Accounts};
use bridge::change::{BulkResult, Changes, Given, Instructions};
use bridge::http::Problem;
use bridge::orders::{Effect, Intent, Orders};
use pruvan::integration::IntegrationType;
use pruvan::work_order::WorkOrder;
use serde_json::{Value, json};

use crate::harness::faults::{Fault, Faults};
use crate::harness::{Harness, order};

async fn post(harness: &Harness, query: &str, content_type: &str, body: &str) -> (u16, Value) {
    let url = format!("{}/accounts/vendor1/orders{query}", harness.system.gateway_url);
    let request = harness.client.post(url).header("content-type", content_type).body(body.to_owned());
    let reply = request.send().await.unwrap();
    (reply.status().as_u16(), serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap())
}

fn counts(reply: &Value) -> [u64; 5] {
    ["created", "changed", "unchanged", "refused", "notAttempted"].map(|name| reply[name].as_u64().unwrap())
}

#[tokio::test]
async fn each_order_is_judged_on_its_own_in_every_format() {
    let harness = Harness::start().await;
    harness.account("vendor1", IntegrationType::Internal).await;
    harness.put("vendor1", "same", json!({})).await;
    harness.put("vendor1", "other", json!({})).await;
    harness.advance(60);
    let orders = [
        order(json!({ "workOrderNumber": "new", "city": "Caf\u{e9}" })),
        order(json!({ "workOrderNumber": "other", "reference": "R", "address1": "elsewhere" })),
        order(json!({ "workOrderNumber": "same" })),
        order(json!({ "workOrderNumber": "bad", "zip": null, "adress2": "x" })),
        order(json!({ "workOrderNumber": "new" })),
        order(json!({})),
        json!(7),
    ];
    let (status, reply) = post(&harness, "", "application/json", &json!(orders).to_string()).await;
    assert_eq!((status, counts(&reply)), (200, [1, 1, 1, 4, 0]), "{reply}");
    let results = reply["results"].as_array().unwrap();
    assert_eq!(results[0]["warnings"][0]["field"], "/city");
    // Stored and sent, though Pruvan keeps what it has.
    assert_eq!(results[1]["warnings"][0]["field"], "/address1");
    assert_eq!((&results[2]["result"], &results[2]["changed"]), (&json!("unchanged"), &json!("2026-11-23T12:00:00Z")));
    let fields: Vec<&str> =
        results[3]["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["/zip", "/adress2"]);
    assert_eq!(results[4]["detail"], "/workOrderNumber is in the list twice: send each order once");
    assert_eq!(results[5]["detail"], "/workOrderNumber is required");
    assert_eq!(results[6]["detail"], "must be a JSON object: a work order");
    assert!(results.iter().all(|result| result.get("line").is_none()));

    let lines = format!("{}\n\n{{bad\n{}\n", orders[0], orders[1]);
    let (status, reply) = post(&harness, "", "application/x-ndjson", &lines).await;
    assert_eq!((status, counts(&reply)), (200, [0, 0, 2, 1, 0]), "{reply}");
    assert_eq!(
        (&reply["results"][1]["line"], &reply["results"][1]["detail"]),
        (&json!(3), &json!("is not valid JSON"))
    );
    assert_eq!(reply["results"][2]["line"], 4);
}

/// What `infra/docs/host-api.md` shows, too.
const PRUVANS: &str = include_str!("../fixtures/pruvan-export.csv");

#[tokio::test]
async fn a_file_in_pruvans_own_columns_comes_in_as_it_is() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    let (status, reply) = post(&harness, "?service=Photos", "text/csv", PRUVANS).await;
    assert_eq!((status, counts(&reply)), (200, [4, 0, 0, 0, 0]), "{reply}");
    assert_eq!(reply["results"][0]["warnings"][0]["field"], "/services");
    let given = harness.order("vendor1", "2026-0102").await["workOrder"].clone();
    assert_eq!(
        given,
        json!({
            "workOrderNumber": "2026-0102", "dueDate": "2026-06-02 1200 +0", "address1": "2200 Oak Drive", "address2": "Unit 4",
            "city": "Georgetown", "state": "TX", "zip": "78626", "status": "unassigned", "reference": "PO 7732",
            "instructions": "<b>Lockbox 4411.</b><br>Winterize; photos of every valve.", "description": "Winterization",
            "services": [{ "serviceName": "Photos" }],
        })
    );
    assert_eq!(vendor.import(None).await.unwrap().reply()["workOrders"].as_array().unwrap().len(), 4);
    assert_eq!(counts(&post(&harness, "?service=Photos", "text/csv", PRUVANS).await.1), [0, 0, 4, 0, 0]);
    // What names no service takes none away.
    let services = json!([{ "serviceName": "Grass cut" }, { "serviceName": "Inspection", "survey": "master::id-v2" }]);
    harness.host("PATCH", "/accounts/vendor1/orders/2026-0101", Some(json!({ "services": services }))).await;
    let (_, again) = post(&harness, "", "text/csv", &PRUVANS.replace("6/1/2026", "6/8/2026")).await;
    assert_eq!((counts(&again), &again["results"][0]["warnings"]), ([0, 1, 3, 0, 0], &json!([])), "{again}");
    let order = harness.order("vendor1", "2026-0101").await;
    assert_eq!(order["workOrder"]["services"], services);
    assert_eq!(order["workOrder"]["dueDate"], "2026-06-08 1200 +0");
    let whole = order_of(&order["workOrder"], json!({ "services": [{ "serviceName": "Task" }], "keepServices": true }));
    let (_, kept) = harness.host("PUT", "/accounts/vendor1/orders/2026-0101", Some(whole)).await;
    assert_eq!(kept["result"], "unchanged");
}

fn order_of(given: &Value, more: Value) -> Value {
    let mut order = given.clone();
    order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    order
}

/// What a pull told while a list was being written is not taken for what the list says.
#[tokio::test(flavor = "multi_thread")]
async fn a_directive_counts_from_when_it_is_written() {
    let harness = Harness::start().await;
    harness.account("vendor1", IntegrationType::Internal).await;
    let account = account(&harness).await;
    let (faults, orders) = faulty(&harness);
    let (advance, clock) = (harness.clock_hand(), harness.clock());
    faults.slow(move || advance(15));
    faults.plan(0, Fault::Slow);
    let began = harness.now();
    let results = orders.change_all(&account, &given(0..500, "R"), &clock, &|| false).await;
    let at = |result: &BulkResult| match result {
        BulkResult::Done(changed) => changed.order.changed_at / 1000 - began,
        result => panic!("{result:?}"),
    };
    // Four lists were begun at once, the fifth later.
    assert_eq!((at(&results[0]), at(&results[499])), (0, 15));
}

#[tokio::test]
async fn a_reply_fits_what_lambda_hands_on() {
    let harness = Harness::start().await;
    harness.account("vendor1", IntegrationType::Internal).await;
    let rows = |count: usize, cell: &str| -> String {
        let names =
            "workOrderNumber,address1,address2,city,state,country,source_wo_id,source_wo_number,reference\n".to_owned();
        (0..count).fold(names, |rows, n| format!("{rows}{n},{cell},{cell},{cell},{cell},{cell},{cell},{cell},{cell}\n"))
    };
    let (status, problem) = post(&harness, "", "text/csv", &rows(5_001, "x")).await;
    assert_eq!(status, 400);
    assert!(problem["detail"].as_str().unwrap().contains("at most 5000 at a time"), "{problem}");
    // Each refused, and each with eight warnings' worth of words.
    let (status, reply) = post(&harness, "", "text/csv", &rows(4_999, "\u{e9}")).await;
    assert_eq!((status, counts(&reply)), (200, [0, 0, 0, 4_999, 0]));
    assert!(reply.to_string().len() < 5_000_000);
}

#[tokio::test]
async fn what_is_wrong_with_the_whole_body_changes_nothing() {
    let harness = Harness::start().await;
    harness.account("vendor1", IntegrationType::Internal).await;
    let before = harness.dump().await;
    for (content_type, body, said) in [
        ("application/json", "", "no body"),
        ("application/json", "{}", "must be a JSON array"),
        ("application/json", "[{]", "not valid JSON (line 1"),
        ("text/csv", "workOrderNumber,Crew Chief\n1,x\n", "ignore=Crew Chief"),
        ("text/csv", "city\nx\n", "no column for the number"),
    ] {
        let (status, reply) = post(&harness, "", content_type, body).await;
        assert_eq!(status, 400, "{reply}");
        assert!(reply["detail"].as_str().unwrap().contains(said), "{reply}");
    }
    assert_eq!(harness.dump().await, before);
    let csv = "workOrderNumber,address1,city,state,zip,Crew Chief\n1,Main,R,TX,1,x\n";
    assert_eq!(counts(&post(&harness, "?ignore=crew%20chief", "text/csv", csv).await.1), [1, 0, 0, 0, 0]);
}

async fn account(harness: &Harness) -> Account {
    Accounts::new(&harness.dependencies()).unwrap().get("vendor1").await.unwrap().unwrap()
}

fn given(range: std::ops::Range<u32>, reference: &str) -> Vec<Given> {
    let parsed = |n: u32| {
        let body = order(json!({ "workOrderNumber": format!("{n}"), "reference": reference }));
        WorkOrder::parse(&n.to_string(), body.as_object().unwrap().clone()).unwrap().0
    };
    range.map(|n| Given { order: parsed(n), instructions: Instructions::default() }).collect()
}

/// The table, with calls that fail as planned.
fn faulty(harness: &Harness) -> (Faults, Changes) {
    let (faults, stores) = (Faults::default(), &harness.system.stores);
    let dependencies = faults.meet(harness.dependencies(), &stores.dynamodb_url, &stores.s3_url);
    (faults, Changes::new(&dependencies).unwrap())
}

fn outcome(result: &BulkResult) -> Option<Effect> {
    match result {
        BulkResult::Done(changed) => Some(changed.effect),
        _ => None,
    }
}

/// Each call fails in each way, once. What is told is true, and once more makes it whole.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_once_more_makes_it_whole() {
    let harness = Harness::start().await;
    harness.account("vendor1", IntegrationType::Internal).await;
    let account = account(&harness).await;
    let (faults, orders) = faulty(&harness);
    let plain = Orders::new(&harness.dependencies()).unwrap();
    let clock = harness.clock();
    let mut round = 0;
    for fault in [Fault::Before, Fault::After, Fault::DiesBefore, Fault::DiesAfter, Fault::Throttled, Fault::Conflict] {
        for nth in 0..7 {
            round += 1;
            let reference = format!("R{round}");
            let given = given(0..130, &reference);
            faults.calls();
            faults.plan(nth, fault);
            let results = faults.run(orders.change_all(&account, &given, &clock, &|| false)).await;
            faults.end();
            let met = faults.calls().into_iter().nth(nth).unwrap_or_default();
            let stored = async |n: usize| {
                let order = plain.get("vendor1", &n.to_string()).await.unwrap();
                order.is_some_and(|order| order.document.contains(&format!("\"{reference}\"")))
            };
            for (n, result) in results.iter().flatten().enumerate() {
                match result {
                    BulkResult::Done(_) => assert!(stored(n).await, "{fault:?} at {nth}: {n} was told done"),
                    BulkResult::Failed(_) => {}
                    _ => panic!("{fault:?} at {nth}: {result:?}"),
                }
            }
            // What is only held up, or told twice, is no failure. A call that reads meets no conflict in truth.
            if fault == Fault::After || (fault == Fault::Conflict && met.contains("TransactWriteItems")) {
                assert!(results.unwrap().iter().all(|result| outcome(result).is_some()), "{fault:?} at {nth}");
            }
            let again = orders.change_all(&account, &given, &clock, &|| false).await;
            assert!(again.iter().all(|result| outcome(result).is_some()));
            let once_more = orders.change_all(&account, &given, &clock, &|| false).await;
            assert!(once_more.iter().all(|result| outcome(result) == Some(Effect::Unchanged)));
            // Each has its push.
            let queue = bridge::push_queue::PushQueue::new(&harness.dependencies()).unwrap();
            let numbers: Vec<String> = (0..130).map(|n| n.to_string()).collect();
            let waiting = queue.get_all("vendor1", &numbers).await.unwrap();
            assert_eq!(waiting.len(), 130);
            for row in waiting {
                let order = plain.get("vendor1", &row.work_order_number).await.unwrap().unwrap();
                assert_eq!(row.version, order.version);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_others_change_holds_back_no_other() {
    let harness = Harness::start().await;
    harness.account("vendor1", IntegrationType::Internal).await;
    let account = account(&harness).await;
    let (faults, orders) = faulty(&harness);
    let others = Changes::new(&harness.dependencies()).unwrap();
    let (now, clock) = (harness.now() * 1000, harness.clock());
    orders.change_all(&account, &given(0..40, "first"), &clock, &|| false).await;
    // Read, woken, and about to be written.
    faults.plan(2, Fault::Pauses);
    let second = given(0..40, "second");
    let change = orders.change_all(&account, &second, &clock, &|| false);
    let meddle = async {
        faults.paused().await;
        let meddler = given(17..18, "third").remove(0).order;
        let make = |_: Option<&_>| Ok::<_, Problem>(meddler.clone());
        others.change(&account, "17", Intent::State, Instructions::default(), now, make).await.unwrap();
        faults.resume();
    };
    let (results, ()) = tokio::join!(change, meddle);
    assert!(results.iter().all(|result| outcome(result) == Some(Effect::Changed)));
    // The others' change isn't lost in silence: it is one version more.
    let there = Orders::new(&harness.dependencies()).unwrap();
    let version = async |number: &str| there.get("vendor1", number).await.unwrap().unwrap().version;
    assert_eq!((version("16").await, version("17").await), (2, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_would_run_out_of_time_says_what_it_did_not_attempt() {
    let harness = Harness::start().await;
    harness.account("vendor1", IntegrationType::Internal).await;
    let account = account(&harness).await;
    let (faults, orders) = faulty(&harness);
    let advance = harness.clock_hand();
    faults.slow(move || advance(21));
    let began = harness.now();
    let clock = harness.clock();
    let out_of_time = move || clock.now_ms() >= (began + 20) * 1000;
    // Four lists of a hundred are read at a time; each is two transactions.
    faults.plan(6, Fault::Slow);
    let given = given(0..1000, "R");
    let results = orders.change_all(&account, &given, &harness.clock(), &out_of_time).await;
    let done = results.iter().filter(|result| outcome(result) == Some(Effect::Created)).count();
    let left = results.iter().filter(|result| matches!(result, BulkResult::NoTime)).count();
    assert!(done >= 50 && left >= 600 && done + left == 1000, "{done} {left}");
    let again = orders.change_all(&account, &given, &harness.clock(), &|| false).await;
    let count = |wanted| again.iter().filter(|result| outcome(result) == Some(wanted)).count();
    assert_eq!((count(Effect::Unchanged), count(Effect::Created)), (done, left));
}

#[tokio::test]
async fn surveys_and_instructions_are_judged_as_with_one_order() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::External).await;
    vendor.validate().await.unwrap();
    let with = |survey: &str, more: Value| {
        let mut order = order(json!({
            "workOrderNumber": "1", "services": [{ "serviceName": "Photos" }, { "serviceName": "Survey", "survey": survey }],
        }));
        order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([order]).to_string()
    };
    let json = "application/json";
    assert_eq!(counts(&post(&harness, "", json, &with("a-v1", json!({}))).await.1), [1, 0, 0, 0, 0]);
    harness.system.tick().await;
    let (_, refused) = post(&harness, "", json, &with("a-v2", json!({}))).await;
    assert!(refused["results"][0]["detail"].as_str().unwrap().contains("replaceSurvey"), "{refused}");
    let (_, replaced) = post(&harness, "", json, &with("a-v2", json!({ "replaceSurvey": true }))).await;
    assert_eq!((counts(&replaced), &replaced["results"][0]["warnings"]), ([0, 1, 0, 0, 0], &json!([])));
    harness.system.tick().await;
    // An external integration sets no status, but by force.
    let (_, told) = post(&harness, "", json, &with("a-v2", json!({ "status": "rush" }))).await;
    assert_eq!(told["results"][0]["warnings"][0]["field"], "/status");
    let (_, again) = harness.host("PATCH", "/accounts/vendor1/orders/1", Some(json!({ "status": "rush" }))).await;
    assert_eq!(again["warnings"][0]["field"], "/status");
    let (_, forced) = post(&harness, "", json, &with("a-v2", json!({ "status": "rework", "force": true }))).await;
    assert_eq!(forced["results"][0]["warnings"], json!([]));
    harness.system.tick().await;
    assert_eq!(vendor.project("1").unwrap()["status"], "rework");
}
