//! The push queue's drain: what Pruvan took leaves the queue, what it refused is tried again, and nothing is dropped.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::TransactWriteItem;
use bridge::accounts::Accounts;
use bridge::orders::Orders;
use bridge::push_queue::{PushQueue, Urgency};
use bridge::store::Transacted;
use local::stand_in::Weather;
use pruvan::integration::IntegrationType;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::harness::{Harness, order};

#[tokio::test]
async fn ten_quick_changes_cost_one_push_of_the_newest_state() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    for n in 0..10 {
        harness.put("vendor1", "1", json!({ "clientStatus": format!("step {n}") })).await;
    }
    harness.system.tick().await;
    assert_eq!(vendor.pushes().len(), 1);
    assert_eq!(vendor.project("1").unwrap()["clientStatus"], "step 9");
    // The same order again changes nothing and is not pushed.
    assert_eq!(harness.put("vendor1", "1", json!({ "clientStatus": "step 9" })).await["result"], "unchanged");
    harness.system.tick().await;
    assert_eq!(vendor.pushes().len(), 1);
}

#[tokio::test]
async fn a_change_made_while_a_push_is_under_way_is_pushed_too() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness.put("vendor1", "1", json!({ "clientStatus": "old", "status": "assigned" })).await;
    let released = Arc::new(Notify::new());
    harness.pruvan.forecast([Weather::Held(released.clone())]);
    let change = async {
        while vendor.pushes().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        harness.host("PATCH", "/accounts/vendor1/orders/1", Some(json!({ "clientStatus": "new" }))).await;
        released.notify_one();
    };
    tokio::join!(harness.system.tick(), change);
    harness.system.tick().await;
    assert_eq!(vendor.project("1").unwrap()["clientStatus"], "new");
    // What the first push told is not told again by the second.
    assert_eq!(vendor.pushes().last().unwrap()["workOrders"][0].get("status"), None);
}

#[tokio::test]
async fn two_drains_at_once_push_an_order_once() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness.put("vendor1", "1", json!({})).await;
    let released = Arc::new(Notify::new());
    harness.pruvan.forecast([Weather::Held(released.clone())]);
    let second = async {
        while vendor.pushes().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        harness.system.tick().await;
        released.notify_one();
    };
    tokio::join!(harness.system.tick(), second);
    assert_eq!(vendor.pushes().len(), 1);
}

/// A change wakes its account before it is written. A drain between the two finds nothing, and must not put the account to sleep.
#[tokio::test]
async fn a_wake_up_that_comes_before_its_work_is_not_lost() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness.put("vendor1", "1", json!({})).await;
    harness.advance(3600);
    harness.system.tick().await;
    harness.system.tick().await;
    let world = harness.world();
    let (accounts, orders, queue) =
        (Accounts::new(&world).unwrap(), Orders::new(&world).unwrap(), PushQueue::new(&world).unwrap());
    let now = harness.now() * 1000;
    accounts.wake("vendor1", now).await.unwrap();
    harness.system.tick().await;
    let row = queue.enqueue("vendor1", "1", 1, Urgency::Normal, false, None, now).unwrap();
    assert_eq!(
        orders.transact(vec![TransactWriteItem::builder().update(row).build()]).await.unwrap(),
        Transacted::Done
    );
    harness.system.tick().await;
    assert_eq!(vendor.pushes().len(), 2);
    // Once it is clear that no more comes, the account sleeps.
    harness.advance(181);
    harness.system.tick().await;
    assert!(!harness.dump().await["AccountsTable"][0].contains("wakeAt"));
}

#[tokio::test]
async fn many_orders_go_in_batches_and_urgent_ones_first() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    let mut orders: Vec<Value> = (0..450).map(|n| order(json!({ "workOrderNumber": n.to_string() }))).collect();
    orders.push(order(json!({ "workOrderNumber": "urgent", "status": "rush" })));
    let (_, reply) = harness.host("POST", "/accounts/vendor1/orders", Some(Value::from(orders))).await;
    assert_eq!(reply["created"], 451);
    harness.system.tick().await;
    let sizes: Vec<usize> = vendor.pushes().iter().map(|push| push["workOrders"].as_array().unwrap().len()).collect();
    assert_eq!(sizes, [198, 198, 55]);
    assert_eq!(vendor.pushes()[0]["workOrders"][0]["workOrderNumber"], "urgent");
    assert_eq!(vendor.projects(), 451);
    let (_, queue) = harness.host("GET", "/accounts/vendor1/push-queue", None).await;
    assert_eq!(queue["waiting"], json!([]));
}

#[tokio::test]
async fn what_pruvan_refuses_is_tried_again_and_then_parked_with_the_reason() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness.put("vendor1", "bad", json!({})).await;
    harness.put("vendor1", "good", json!({})).await;
    let refusal = r#"{"response":{"created":1,"updated":0,"deleted":0},"error":[{"workOrderNumber":"SMC::bad","error":"no such state"}]}"#;
    harness.pruvan.forecast(vec![Weather::Answer(200, refusal.to_owned()); 9]);
    harness.system.tick().await;
    assert_eq!(harness.order("vendor1", "good").await["push"]["state"], "upToDate");
    let bad = harness.order("vendor1", "bad").await["push"].clone();
    assert_eq!(
        (&bad["state"], &bad["attempts"], &bad["lastError"]),
        (&json!("waiting"), &json!(1), &json!("no such state"))
    );
    for _ in 0..8 {
        harness.advance(30 * 3600);
        harness.system.tick().await;
    }
    let (_, queue) = harness.host("GET", "/accounts/vendor1/push-queue", None).await;
    let row = &queue["waiting"][0];
    assert_eq!((&row["state"], &row["attempts"], &row["due"]), (&json!("parked"), &json!(9), &Value::Null));
    // A parked order is not sent again by itself, but by the next change.
    harness.advance(365 * 24 * 3600);
    harness.system.tick().await;
    assert_eq!(vendor.pushes().len(), 0);
    harness.put("vendor1", "bad", json!({ "state": "OK" })).await;
    harness.system.tick().await;
    assert!(vendor.project("bad").is_some());
}

#[tokio::test]
async fn a_batch_refused_whole_is_halved_until_the_poison_order_stands_alone() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    for number in ["1", "2", "3", "4"] {
        harness.put("vendor1", number, json!({})).await;
    }
    let whole = || Weather::Answer(200, r#"{"response":false,"error":"internal error"}"#.to_owned());
    // All four; then 1 and 2; then 1 alone, which is the poison; the others go through.
    harness.pruvan.forecast([whole(), whole(), whole()]);
    harness.system.tick().await;
    assert_eq!(vendor.projects(), 3);
    let poison = harness.order("vendor1", "1").await["push"].clone();
    assert_eq!((&poison["state"], &poison["lastError"]), (&json!("waiting"), &json!("internal error")));
}

#[tokio::test]
async fn orders_that_may_not_have_been_taken_are_sent_again() {
    for (reply, calls) in [
        // Something went wrong, and it isn't said with which: halved, so both go again.
        (r#"{"response":{"created":1,"updated":0,"deleted":0},"error":"something broke"}"#, 2),
        (r#"{"response":false,"error":[{"workOrderNumber":"another","error":"no such state"}]}"#, 2),
        // Fewer counted than sent, and no error: each goes singly.
        (r#"{"response":{"created":1,"updated":0,"deleted":0},"error":null}"#, 2),
        // One is refused by name, and nothing was taken: the other goes again.
        (r#"{"response":false,"error":[{"workOrderNumber":"1","error":"no such state"}]}"#, 1),
    ] {
        let harness = Harness::start().await;
        let vendor = harness.account("vendor1", IntegrationType::Internal).await;
        vendor.validate().await.unwrap();
        harness.put("vendor1", "1", json!({})).await;
        harness.put("vendor1", "2", json!({})).await;
        harness.pruvan.forecast([Weather::Answer(200, reply.to_owned())]);
        harness.system.tick().await;
        assert_eq!((vendor.pushes().len(), vendor.project("2").is_some()), (calls, true), "{reply}");
    }
}

#[tokio::test]
async fn a_push_key_that_comes_during_a_push_is_told_everything() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness.put("vendor1", "1", json!({ "status": "assigned" })).await;
    let anew = harness.pruvan.integrate(
        &vendor.web_service_url,
        "html",
        "vendor1",
        &vendor.token,
        IntegrationType::Internal,
        false,
    );
    let released = Arc::new(Notify::new());
    harness.pruvan.forecast([Weather::Held(released.clone())]);
    harness.advance(60);
    let validate = async {
        while vendor.pushes().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        harness.advance(1);
        anew.validate().await.unwrap();
        harness.advance(1);
        released.notify_one();
    };
    tokio::join!(harness.system.tick(), validate);
    anew.import(None).await.unwrap();
    assert_eq!(anew.project("1").unwrap()["status"], "assigned");
}

#[tokio::test]
async fn failures_of_the_account_use_up_no_attempts_and_are_caught_up_with() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness.put("vendor1", "1", json!({})).await;
    for weather in [
        Weather::Answer(500, String::new()),
        Weather::Answer(429, String::new()),
        Weather::Answer(200, "<html>down for maintenance</html>".to_owned()),
        Weather::Answer(200, r#"{"response":true,"error":"success"}"#.to_owned()),
        Weather::Answer(200, "x".repeat(200_000)),
        Weather::Answer(302, String::new()),
    ] {
        harness.pruvan.forecast([weather]);
        harness.system.tick().await;
        let push = harness.order("vendor1", "1").await["push"].clone();
        assert_eq!((&push["state"], &push["attempts"]), (&json!("due"), &json!(0)));
        // Held back: nothing is sent at once.
        harness.system.tick().await;
        assert_eq!(vendor.pushes().len(), 0);
        // At most five minutes at a time, and a fifth of jitter.
        harness.advance(361);
    }
    harness.system.tick().await;
    assert_eq!(vendor.pushes().len(), 1);
    assert_eq!(harness.order("vendor1", "1").await["push"]["state"], "upToDate");
}

#[tokio::test]
async fn a_dead_key_stops_pushes_keeps_their_rows_and_delays_nobody_else() {
    let harness = Harness::start().await;
    let dying = harness.account("vendor1", IntegrationType::Internal).await;
    let other = harness.account("vendor2", IntegrationType::Internal).await;
    dying.validate().await.unwrap();
    other.validate().await.unwrap();
    dying.kill_push_key();
    harness.put("vendor1", "1", json!({})).await;
    harness.put("vendor2", "1", json!({})).await;
    harness.system.tick().await;
    assert_eq!(other.projects(), 1);
    let (_, account) = harness.host("GET", "/accounts/vendor1", None).await;
    assert_eq!(account["pushKey"]["state"], "dead");
    harness.put("vendor1", "2", json!({})).await;
    harness.system.tick().await;
    let (_, queue) = harness.host("GET", "/accounts/vendor1/push-queue", None).await;
    assert_eq!(queue["waiting"].as_array().unwrap().len(), 2);
    // The next validate revives all of it at once.
    let anew = harness.pruvan.integrate(
        &dying.web_service_url,
        "html",
        "vendor1",
        &dying.token,
        IntegrationType::Internal,
        false,
    );
    harness.advance(1);
    anew.validate().await.unwrap();
    harness.system.tick().await;
    assert_eq!(anew.projects(), 2);
}

#[tokio::test]
async fn deletes_are_told_and_force_goes_out_once() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::External).await;
    vendor.validate().await.unwrap();
    harness.put("vendor1", "1", json!({ "assignedTo": "crew1" })).await;
    harness.system.tick().await;
    let forced = json!({ "assignedTo": "crew2", "force": true });
    let (status, _) = harness.host("PATCH", "/accounts/vendor1/orders/1", Some(forced)).await;
    assert_eq!(status, 200);
    harness.system.tick().await;
    assert_eq!(vendor.project("1").unwrap()["assignedTo"], "crew2");
    harness.host("PATCH", "/accounts/vendor1/orders/1", Some(json!({ "clientStatus": "x" }))).await;
    harness.system.tick().await;
    let forces: Vec<bool> = vendor.pushes().iter().map(|push| push["workOrders"][0]["force"] == true).collect();
    assert_eq!(forces, [false, true, false]);
    let (status, _) = harness.host("DELETE", "/accounts/vendor1/orders/1", None).await;
    assert_eq!(status, 204);
    harness.system.tick().await;
    let last = vendor.pushes().pop().unwrap()["workOrders"][0].clone();
    assert_eq!((&last["status"], &last["clientStatus"]), (&json!("deleted"), &json!("Deleted")));
    assert_eq!(vendor.project("1").unwrap()["clientStatus"], "Deleted");
}

#[tokio::test]
async fn the_hourly_limit_is_kept_and_what_waits_goes_later() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness.host("PUT", "/accounts/vendor1", Some(json!({ "pushLimitPerHour": 30 }))).await;
    let orders: Vec<Value> = (0..100).map(|n| order(json!({ "workOrderNumber": n.to_string() }))).collect();
    harness.host("POST", "/accounts/vendor1/orders", Some(Value::from(orders))).await;
    let mut taken = vec![0];
    for minute in 0..200 {
        harness.system.tick().await;
        harness.advance(60);
        taken.push(vendor.projects());
        if minute >= 60 {
            assert!(taken[minute + 1] - taken[minute - 59] <= 30, "minute {minute}");
        }
    }
    assert_eq!(taken[1], 30);
    assert_eq!(vendor.projects(), 100);
}
