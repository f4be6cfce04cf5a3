//! The push queue's drain: what Pruvan took leaves the queue, what it refused is tried again, and nothing is dropped.

use std::sync::Arc;
use std::time::Duration;

use bridge::accounts::Accounts;
use bridge::push_queue::PushQueue;
use local::gateway::Variant;
use pruvan::integration::IntegrationType;
use serde_json::{Value, json};
use simulator::Weather;
use tokio::sync::Notify;

use crate::harness::faults::{Fault, Faults};
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

/// Between the two pushes that another survey takes.
#[tokio::test]
async fn a_rush_that_comes_while_a_first_part_is_under_way_stays_urgent() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness.put("vendor1", "1", form("a")).await;
    harness.system.tick().await;
    let mut replaced = form("b");
    replaced["replaceSurvey"] = json!(true);
    harness.put("vendor1", "1", replaced).await;
    let released = Arc::new(Notify::new());
    // The second part fails, so that the row is there to be looked at.
    vendor.forecast([Weather::Held(released.clone()), Weather::Answer(503, String::new())]);
    let before = vendor.pushes().len();
    let change = async {
        while vendor.pushes().len() == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        harness.host("PATCH", "/accounts/vendor1/orders/1", Some(json!({ "status": "rush" }))).await;
        released.notify_one();
    };
    tokio::join!(harness.system.tick(), change);
    let rows = harness.dump().await.remove("PushQueueTable").unwrap();
    assert!(rows[0].contains(r#""due":"0#"#) && !rows[0].contains("deleteFirst"), "{rows:?}");
    harness.advance(400);
    harness.system.tick().await;
    assert_eq!(vendor.project("1").unwrap()["services"], order(form("b"))["services"]);
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

/// A change wakes its account before it is written. A drain between the two finds nothing, and must not put the account
/// to sleep.
#[tokio::test]
async fn a_wake_up_that_comes_before_its_work_is_not_lost() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness.put("vendor1", "1", json!({})).await;
    harness.advance(3600);
    harness.system.tick().await;
    harness.system.tick().await;
    let dependencies = harness.dependencies();
    let (accounts, queue) = (Accounts::new(&dependencies).unwrap(), PushQueue::new(&dependencies).unwrap());
    let now = harness.now() * 1000;
    accounts.wake("vendor1", now).await.unwrap();
    harness.system.tick().await;
    queue.queue_again("vendor1", "1", (1, now), now).await.unwrap();
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

fn lost(after_seconds: i64) -> Weather {
    Weather::Lost(Some(after_seconds * 1000))
}

/// A call that was cut off takes effect after a newer state went through: the newest is sent once more, when no such
/// call can come.
#[tokio::test]
async fn what_a_lost_push_carried_is_sent_once_more_whatever_went_through_in_between() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness.put("vendor1", "1", json!({ "clientStatus": "old", "status": "assigned" })).await;
    vendor.forecast([lost(110)]);
    harness.system.tick().await;
    harness.put("vendor1", "1", json!({ "clientStatus": "new", "status": "rush" })).await;
    harness.advance(60);
    harness.system.tick().await;
    assert_eq!(vendor.project("1").unwrap()["clientStatus"], "new");
    assert_eq!(harness.order("vendor1", "1").await["push"]["state"], "waiting");
    harness.advance(60);
    assert_eq!(vendor.project("1").unwrap()["clientStatus"], "old", "the late effect");
    harness.advance(160);
    harness.system.tick().await;
    let project = vendor.project("1").unwrap();
    assert_eq!((&project["clientStatus"], &project["status"]), (&json!("new"), &json!("rush")));
    assert_eq!(harness.order("vendor1", "1").await["push"]["state"], "upToDate");
    let pushes = vendor.pushes().len();
    harness.advance(600);
    harness.system.tick().await;
    assert_eq!(vendor.pushes().len(), pushes, "and then no more");
}

/// Pruvan's people have the last word, also while a push of ours is in doubt.
#[tokio::test]
async fn what_is_sent_once_more_undoes_nothing_that_was_reported_since() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness.put("vendor1", "1", json!({ "status": "assigned" })).await;
    vendor.forecast([lost(0)]);
    harness.system.tick().await;
    harness.advance(60);
    harness.system.tick().await;
    vendor.change_status("1", "complete", "complete").await.unwrap();
    for _ in 0..5 {
        harness.advance(120);
        harness.system.tick().await;
        assert_eq!(vendor.project("1").unwrap()["status"], "complete");
    }
    assert_eq!(harness.order("vendor1", "1").await["push"]["state"], "upToDate");
}

fn form(survey: &str) -> Value {
    json!({ "services": [{ "serviceName": "Task" }, { "serviceName": "Form", "survey": survey }] })
}

#[tokio::test]
async fn a_survey_under_the_same_name_is_refused_or_replaced_in_two_pushes() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness.put("vendor1", "1", form("a")).await;
    harness.system.tick().await;
    let path = "/accounts/vendor1/orders/1";
    let (status, refused) = harness.host("PUT", path, Some(order(form("b")))).await;
    assert_eq!((status, &refused["errors"][0]["field"]), (422, &json!("/services")));
    assert!(refused["detail"].as_str().unwrap().contains("replaceSurvey"), "{refused}");
    // Another name is another task.
    let renamed =
        json!({ "services": [{ "serviceName": "Form 2", "survey": "b" }, { "serviceName": "Form", "survey": "a" }] });
    harness.put("vendor1", "1", renamed).await;
    harness.put("vendor1", "1", form("a")).await;
    harness.system.tick().await;
    let mut replaced = order(form("b"));
    replaced["replaceSurvey"] = json!(true);
    assert_eq!(harness.host("PUT", path, Some(replaced.clone())).await.0, 200);
    // It dies between the two: the phase is kept.
    let before = vendor.pushes().len();
    vendor.forecast([Weather::Fine, Weather::Answer(503, String::new())]);
    harness.system.tick().await;
    let services = vendor.project("1").unwrap()["services"].clone();
    assert_eq!(services, json!([{ "serviceName": "Task" }]));
    harness.advance(400);
    harness.system.tick().await;
    assert_eq!(vendor.project("1").unwrap()["services"], order(form("b"))["services"]);
    let names: Vec<usize> = vendor.pushes()[before..]
        .iter()
        .map(|push| push["workOrders"][0]["services"].as_array().unwrap().len())
        .collect();
    assert_eq!(names, [1, 2]);
    // Left out and back with another survey, before Pruvan knew: two pushes as well. Back as it was: one.
    harness.put("vendor1", "1", json!({})).await;
    harness.put("vendor1", "1", form("c")).await;
    harness.advance(400);
    harness.system.tick().await;
    assert_eq!(vendor.project("1").unwrap()["services"], order(form("c"))["services"]);
    let before = vendor.pushes().len();
    harness.put("vendor1", "1", json!({})).await;
    harness.put("vendor1", "1", form("c")).await;
    harness.system.tick().await;
    assert_eq!(vendor.pushes().len(), before + 1);
    // An order needs one service all the while.
    let only = json!({ "services": [{ "serviceName": "Form", "survey": "c" }] });
    harness.put("vendor1", "2", only).await;
    let mut other = order(json!({ "services": [{ "serviceName": "Form", "survey": "d" }] }));
    other["replaceSurvey"] = json!(true);
    let (status, refused) = harness.host("PUT", "/accounts/vendor1/orders/2", Some(other)).await;
    assert_eq!(status, 422);
    assert!(refused["detail"].as_str().unwrap().contains("at least one service"), "{refused}");
    // A flag is a flag.
    replaced["replaceSurvey"] = json!("yes");
    assert_eq!(harness.host("PUT", path, Some(replaced)).await.1["errors"][0]["field"], "/replaceSurvey");
}

/// Lambda writes a pull to its end whether or not anybody reads it. What must be known for sure goes by pushes.
#[tokio::test]
async fn a_service_that_only_a_pull_nobody_read_left_out_is_made_anew_all_the_same() {
    let harness = Harness::with_gateway(Variant { reads_on: true, ..Variant::default() }).await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness.put("vendor1", "1", form("a")).await;
    harness.system.tick().await;
    harness.put("vendor1", "1", json!({})).await;
    harness.pull_that_nobody_reads(&vendor).await;
    harness.put("vendor1", "1", form("b")).await;
    harness.advance(400);
    harness.system.tick().await;
    assert_eq!(vendor.project("1").unwrap()["services"], order(form("b"))["services"]);
}

#[tokio::test]
async fn an_order_deleted_and_made_anew_is_made_anew_in_pruvan() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness.put("vendor1", "1", json!({ "address1": "1 Old Street" })).await;
    harness.system.tick().await;
    harness.host("DELETE", "/accounts/vendor1/orders/1", None).await;
    harness.put("vendor1", "1", json!({ "address1": "2 New Street" })).await;
    harness.system.tick().await;
    assert_eq!(vendor.project("1").unwrap()["address1"], "2 New Street");
}

/// An order on which Pruvan breaks (5xx, or a refusal of the whole) is found, whatever else waits, and keeps the others
/// only for minutes.
#[tokio::test]
async fn an_order_at_fault_is_found_and_the_others_go_through() {
    for (limit, fault) in [
        (5000, (500, String::new())),
        (5000, (200, r#"{"response":false,"error":"internal error"}"#.to_owned())),
        // With a low limit, a batch that is refused whole must not eat each hour's allowance.
        (12, (200, r#"{"response":false,"error":"internal error"}"#.to_owned())),
        (12, (502, "<html>bad gateway</html>".to_owned())),
    ] {
        let harness = Harness::start().await;
        let vendor = harness.account("vendor1", IntegrationType::Internal).await;
        vendor.validate().await.unwrap();
        harness.host("PUT", "/accounts/vendor1", Some(json!({ "pushLimitPerHour": limit }))).await;
        // Two, side by side: neither can hide behind the other.
        for number in ["13", "14"] {
            vendor.rules(|held| held.breaks_on.insert(number.to_owned(), fault.clone()));
        }
        let orders: Vec<Value> = (0..24).map(|n| order(json!({ "workOrderNumber": n.to_string() }))).collect();
        harness.host("POST", "/accounts/vendor1/orders", Some(Value::from(orders))).await;
        let mut minutes = 0;
        while vendor.projects() < 22 {
            harness.system.tick().await;
            harness.advance(60);
            minutes += 1;
            assert!(minutes < if limit == 12 { 600 } else { 30 }, "{fault:?}: {} orders", vendor.projects());
        }
        // They alone are blamed, and in the end they are parked.
        for _ in 0..60 {
            harness.advance(30 * 3600);
            harness.put("vendor1", "other", json!({ "reference": harness.now().to_string() })).await;
            harness.system.tick().await;
        }
        for number in ["13", "14"] {
            let bad = harness.order("vendor1", number).await["push"].clone();
            assert_eq!(bad["state"], "parked", "{fault:?} {bad:?}");
            assert!(!bad["lastError"].as_str().unwrap().is_empty());
        }
        let (_, queue) = harness.host("GET", "/accounts/vendor1/push-queue", None).await;
        let waiting = queue["waiting"].as_array().unwrap();
        assert!(waiting.iter().all(|row| row["workOrderNumber"] == "other" || row["state"] == "parked"), "{queue}");
    }
}

#[tokio::test]
async fn six_hours_of_maintenance_lose_nothing_and_are_caught_up_with_in_minutes() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    let orders: Vec<Value> = (0..450).map(|n| order(json!({ "workOrderNumber": n.to_string() }))).collect();
    harness.host("POST", "/accounts/vendor1/orders", Some(Value::from(orders))).await;
    harness.pruvan.forecast(vec![Weather::Answer(503, "<html>down for maintenance</html>".to_owned()); 1000]);
    let mut calls = 0;
    for _ in 0..6 * 60 {
        harness.system.tick().await;
        harness.advance(60);
        calls += 1;
    }
    assert_eq!((vendor.projects(), calls), (0, 360));
    harness.pruvan.clear_forecast();
    for minute in 0.. {
        harness.system.tick().await;
        harness.advance(60);
        if vendor.projects() == 450 {
            assert!(minute <= 6, "caught up after {minute} minutes");
            break;
        }
    }
    // Nobody is to blame.
    let (_, queue) = harness.host("GET", "/accounts/vendor1/push-queue", None).await;
    assert!(queue["waiting"].as_array().unwrap().iter().all(|row| row["attempts"] == 0), "{queue}");
}

#[tokio::test]
async fn what_a_pull_has_carried_goes_last_and_what_is_urgent_first() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness.put("vendor1", "carried", json!({})).await;
    harness.advance(1);
    vendor.import(None).await.unwrap();
    harness.advance(1);
    harness.put("vendor1", "fresh", json!({})).await;
    harness.advance(1);
    harness.put("vendor1", "urgent", json!({ "status": "rush" })).await;
    harness.host("PUT", "/accounts/vendor1", Some(json!({ "pushLimitPerHour": 1 }))).await;
    let mut order = Vec::new();
    for _ in 0..3 {
        harness.system.tick().await;
        let pushes = vendor.pushes();
        order.push(pushes.last().unwrap()["workOrders"][0]["workOrderNumber"].as_str().unwrap().to_owned());
        harness.advance(63 * 60);
    }
    assert_eq!(order, ["urgent", "fresh", "carried"]);
}

#[tokio::test]
async fn parked_orders_and_any_other_go_again_when_the_host_says_so() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness.put("vendor1", "1", json!({})).await;
    harness.put("vendor1", "2", json!({})).await;
    vendor.rules(|held| {
        for number in ["1", "2"] {
            let error = json!([{ "workOrderNumber": number, "error": "no such state" }]);
            held.breaks_on.insert(number.to_owned(), (200, json!({ "response": false, "error": error }).to_string()));
        }
    });
    for _ in 0..24 {
        harness.system.tick().await;
        harness.advance(30 * 3600);
    }
    let waiting = async || {
        let (_, queue) = harness.host("GET", "/accounts/vendor1/push-queue", None).await;
        queue["waiting"].as_array().unwrap().clone()
    };
    let rows = waiting().await;
    assert!(rows.len() == 2 && rows.iter().all(|row| row["state"] == "parked" && row["attempts"] == 9), "{rows:?}");
    assert!(rows[0]["ageSeconds"].as_i64().unwrap() > 24 * 30 * 3600 - 10);
    // One by one, and all; the reason is fixed in between.
    let (status, row) = harness.host("POST", "/accounts/vendor1/push-queue/1/retry", None).await;
    assert_eq!((status, &row["state"], &row["attempts"]), (202, &json!("due"), &json!(0)));
    vendor.rules(|held| held.breaks_on.clear());
    harness.system.tick().await;
    assert_eq!((vendor.projects(), waiting().await.len()), (1, 1));
    let (status, retried) = harness.host("POST", "/accounts/vendor1/push-queue/retry", None).await;
    assert_eq!((status, retried), (202, json!({ "retried": 1, "more": false })));
    harness.system.tick().await;
    assert_eq!((vendor.projects(), waiting().await.len()), (2, 0));
    assert_eq!(harness.host("POST", "/accounts/vendor1/push-queue/retry", None).await.1["retried"], 0);
    for number in ["1", "none"] {
        let (status, _) = harness.host("POST", &format!("/accounts/vendor1/push-queue/{number}/retry"), None).await;
        assert_eq!(status, 404, "{number}");
    }
    // An order that Pruvan has is sent again when it is asked for.
    let before = vendor.pushes().len();
    let (status, shown) = harness.host("POST", "/accounts/vendor1/orders/1/push", None).await;
    assert_eq!((status, &shown["push"]["state"]), (202, &json!("due")));
    assert_eq!(harness.host("POST", "/accounts/vendor1/orders/none/push", None).await.0, 404);
    harness.system.tick().await;
    assert_eq!((vendor.pushes().len(), waiting().await.len()), (before + 1, 0));
}

#[tokio::test]
async fn a_long_backlog_lets_others_have_their_turn() {
    let harness = Harness::with_environment(vec![("PUSH_AT_ONCE".to_owned(), "1".to_owned())]).await;
    let long = harness.account("vendor1", IntegrationType::Internal).await;
    let short = harness.account("vendor2", IntegrationType::Internal).await;
    long.validate().await.unwrap();
    short.validate().await.unwrap();
    let orders: Vec<Value> = (0..450).map(|n| order(json!({ "workOrderNumber": n.to_string() }))).collect();
    harness.host("POST", "/accounts/vendor1/orders", Some(Value::from(orders))).await;
    harness.advance(1);
    harness.put("vendor2", "1", json!({})).await;
    // Each call of the long one takes twenty seconds.
    let released = Arc::new(Notify::new());
    long.forecast(vec![Weather::Held(released.clone()); 3]);
    let mut served = Vec::new();
    let calls = async {
        for call in 1..=3 {
            while long.pushes().len() < call {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            served.push(short.projects());
            harness.advance(20);
            released.notify_one();
        }
    };
    tokio::join!(harness.system.tick(), calls);
    assert_eq!((served, long.projects()), (vec![0, 1, 1], 450));
}

#[tokio::test]
async fn no_call_starts_at_the_end_of_a_lease() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness.put("vendor1", "1", json!({})).await;
    let faults = Faults::default();
    let stores = &harness.system.stores;
    let dependencies = faults.meet(harness.dependencies(), &stores.dynamodb_url, &stores.s3_url);
    let state = Arc::new(::push_drain::PushDrain::new(&dependencies).unwrap());
    // The write that counts the orders, after which the call is due, takes fifty seconds of the lease's ninety.
    let hand = harness.clock_hand();
    faults.slow(move || hand(50));
    // Sixteen look for work; then lease, three looks at the queue at most, the orders, and the charge.
    for nth in 17..24 {
        harness.advance(60);
        harness.put("vendor1", "1", json!({ "reference": nth.to_string() })).await;
        faults.plan(nth, Fault::Slow);
        let deadline = bridge::run::Deadline::at(harness.now() * 1000 + 120_000);
        ::push_drain::handle(state.clone(), deadline).await.unwrap();
        faults.end();
        let newest = vendor.pushes().last().cloned().unwrap()["workOrders"][0]["reference"].clone();
        assert_eq!(newest, nth.to_string(), "it is sent all the same, by a lease that lasts");
    }
    let account = harness.dump().await["AccountsTable"][0].clone();
    let charged: Value = serde_json::from_str(&account).unwrap();
    let charged: i64 = charged["pushed"].as_object().unwrap().values().map(|orders| orders.as_i64().unwrap()).sum();
    assert!(
        charged > i64::try_from(vendor.pushes().len()).unwrap(),
        "one charge was for a call that wasn't made: {account}"
    );
}

#[tokio::test]
async fn metrics_say_what_waits_what_is_parked_and_which_keys_are_dead() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    let dying = harness.account("vendor2", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    dying.validate().await.unwrap();
    let lines: Arc<std::sync::Mutex<Vec<Value>>> = Arc::default();
    let hears = lines.clone();
    let mut dependencies = harness.dependencies();
    dependencies.lines = bridge::lines::Lines::new("", move |line| hears.lock().unwrap().push(line.clone()));
    let state = Arc::new(::push_drain::PushDrain::new(&dependencies).unwrap());
    let tick = async || {
        let deadline = bridge::run::Deadline::at(harness.now() * 1000 + 120_000);
        ::push_drain::handle(state.clone(), deadline).await.unwrap();
        let line = lines.lock().unwrap().pop().unwrap();
        ["Waiting", "OldestWaiting", "Parked", "DeadPushKeys", "Pushed", "Refused"]
            .map(|name| line[name].as_f64().unwrap())
    };
    for number in ["1", "2", "bad"] {
        harness.put("vendor1", number, json!({})).await;
    }
    let error = r#"{"response":{"created":2},"error":[{"workOrderNumber":"bad","error":"no such state"}]}"#;
    vendor.rules(|held| held.breaks_on.insert("bad".to_owned(), (200, error.to_owned())));
    harness.advance(10);
    assert_eq!(tick().await, [1.0, 0.0, 0.0, 0.0, 2.0, 1.0]);
    for _ in 0..12 {
        harness.advance(30 * 3600);
        tick().await;
    }
    dying.kill_push_key();
    harness.put("vendor2", "1", json!({})).await;
    harness.advance(200);
    tick().await;
    harness.advance(200);
    // What waits for a dead key waits for somebody, and is told by its number.
    assert_eq!(tick().await, [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
}

#[tokio::test]
async fn retry_after_is_honoured_and_clamped() {
    for (asked, not_yet, at_last) in
        [("120", 115, 20), ("86400", 290, 20), ("Wed, 21 Oct 2015 07:28:00 GMT", 2, 8), ("soon", 3, 5)]
    {
        let harness = Harness::start().await;
        let vendor = harness.account("vendor1", IntegrationType::Internal).await;
        vendor.validate().await.unwrap();
        harness.put("vendor1", "1", json!({})).await;
        vendor.forecast([Weather::Later(asked.to_owned())]);
        harness.system.tick().await;
        harness.advance(not_yet);
        harness.system.tick().await;
        assert_eq!(vendor.projects(), 0, "{asked}: not yet");
        harness.advance(at_last);
        harness.system.tick().await;
        assert_eq!(vendor.projects(), 1, "{asked}");
    }
}

#[tokio::test]
async fn no_call_is_begun_that_the_invocation_could_not_end() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness.put("vendor1", "1", json!({})).await;
    let state = Arc::new(::push_drain::PushDrain::new(&harness.dependencies()).unwrap());
    for (seconds, projects) in [(0, 0), (45, 0), (46, 1)] {
        let deadline = bridge::run::Deadline::at((harness.now() + seconds) * 1000);
        ::push_drain::handle(state.clone(), deadline).await.unwrap();
        assert_eq!(vendor.projects(), projects, "{seconds} seconds left");
    }
}

/// What a first part can't delete must not keep the order from going.
#[tokio::test]
async fn what_cannot_be_deleted_first_goes_all_the_same() {
    for refusal in [
        r#"{"response":false,"error":"work order not found"}"#,
        r#"{"response":false,"error":[{"workOrderNumber":"1","error":"address1 is required"}]}"#,
        r#"{"response":{"created":0,"updated":0,"deleted":0},"error":null}"#,
    ] {
        let harness = Harness::start().await;
        let vendor = harness.account("vendor1", IntegrationType::Internal).await;
        vendor.validate().await.unwrap();
        harness.put("vendor1", "1", json!({})).await;
        harness.host("DELETE", "/accounts/vendor1/orders/1", None).await;
        harness.put("vendor1", "1", json!({ "reference": "anew" })).await;
        vendor.forecast([Weather::Answer(200, refusal.to_owned())]);
        harness.system.tick().await;
        assert_eq!(vendor.project("1").unwrap()["reference"], "anew", "{refusal}");
        assert_eq!(harness.order("vendor1", "1").await["push"]["state"], "upToDate");
    }
}

/// A validate that comes while "invalid clientCode" is on its way has the last word, also with the same key; and a host
/// that is taken off the list and put on it again costs no key.
#[tokio::test]
async fn a_key_is_dead_only_if_pruvan_said_so_after_it_came() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness.put("vendor1", "1", json!({})).await;
    let accounts = Accounts::new(&harness.dependencies()).unwrap();
    let now = harness.now() * 1000;
    let (account, lease) = accounts.lease("vendor1", &[1; 16], now).await.unwrap().unwrap();
    vendor.validate().await.unwrap();
    assert!(!accounts.mark_push_key_dead(&account, &lease).await.unwrap());
    assert_eq!(harness.host("GET", "/accounts/vendor1", None).await.1["pushKey"]["state"], "live");
    harness.advance(100);
    let mut dependencies = harness.dependencies();
    dependencies.outbound = bridge::outbound::Outbound::public();
    let narrow = Arc::new(::push_drain::PushDrain::new(&dependencies).unwrap());
    let deadline = bridge::run::Deadline::at(harness.now() * 1000 + 120_000);
    ::push_drain::handle(narrow, deadline).await.unwrap();
    assert_eq!((vendor.pushes().len(), vendor.projects()), (0, 0));
    harness.advance(400);
    harness.system.tick().await;
    assert_eq!(vendor.projects(), 1);
}

#[tokio::test]
async fn a_call_carries_a_megabyte_at_most() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    for n in 0..12 {
        let services: Vec<Value> =
            (0..3).map(|at| json!({ "serviceName": at.to_string(), "instructions": "x".repeat(40_000) })).collect();
        harness.put("vendor1", &n.to_string(), json!({ "services": services, "status": "assigned" })).await;
    }
    harness.system.tick().await;
    let pushes = vendor.pushes();
    assert!(pushes.len() > 1 && pushes.iter().all(|push| push.to_string().len() < 1_100_000), "{}", pushes.len());
    assert_eq!(vendor.projects(), 12);
    assert!(!harness.dump().await["PushQueueTable"].iter().any(|row| row.contains("vendor1")));
}
