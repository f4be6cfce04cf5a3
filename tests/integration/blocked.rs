//! Why an order isn't pushed yet: told on the order and in the queue, for as long as it is so.

use std::collections::BTreeMap;
use std::sync::Arc;

use bridge::outbound::Outbound;
use pruvan::integration::IntegrationType;
use serde_json::{Value, json};
use simulator::{Integration, Weather};

use crate::harness::{Harness, order};

/// What is in the way of order 1 of vendor1: in the order and in the queue's row, which say the same.
async fn blocked(harness: &Harness) -> Value {
    let push = harness.order("vendor1", "1").await["push"].clone();
    let (_, queue) = harness.host("GET", "/accounts/vendor1/push-queue", None).await;
    let three = |of: &Value| json!([of["blockedBy"], of["reason"], of["until"]]);
    assert_eq!(three(&push), three(&queue["waiting"][0]), "{queue}");
    for name in ["blockedBy", "reason", "until"] {
        assert!(push.get(name).is_some() && queue.get(name).is_some(), "null is said, too: {push} {queue}");
    }
    push
}

async fn queue(harness: &Harness) -> Value {
    harness.host("GET", "/accounts/vendor1/push-queue", None).await.1
}

async fn waiting(harness: &Harness) -> Integration {
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness.put("vendor1", "1", json!({})).await;
    vendor
}

#[tokio::test]
async fn whatever_pruvan_answers_in_place_of_a_reply_is_told_until_a_push_goes_through() {
    let notice = "<br />\n<b>Notice</b>: Undefined index: zip in <b>/var/www/push.php</b> on line <b>7</b><br />\n{\"response\":{\"created\":1}}";
    let harness = Harness::start().await;
    let vendor = waiting(&harness).await;
    assert_eq!(blocked(&harness).await["blockedBy"], Value::Null, "it goes with the next tick");
    for (weather, words) in [
        (Weather::Answer(500, "oops".to_owned()), "HTTP status 500 Internal Server Error: oops"),
        (Weather::Answer(403, "<h1>Forbidden</h1>".to_owned()), "HTTP status 403 Forbidden"),
        (Weather::Answer(429, String::new()), "HTTP status 429 Too Many Requests"),
        (Weather::Later("31536000".to_owned()), "HTTP status 503"),
        (Weather::Answer(503, "<title>x</title><p>Down for <b>maintenance</b>".to_owned()), "Down for maintenance"),
        (Weather::Answer(200, "<html>Down for maintenance</html>".to_owned()), "none of the Push API's"),
        (Weather::Answer(200, notice.to_owned()), "Undefined index: zip in /var/www/push.php on line 7"),
        (Weather::Answer(200, r#"{"response":false,"error":"busy, try again"}"#.to_owned()), "busy, try again"),
        (Weather::Answer(200, r#"{"response":true,"error":"success"}"#.to_owned()), "did not see the orders"),
        (Weather::Answer(200, String::new()), "it was empty"),
        (Weather::Lost(None), "there was no reply in time"),
    ] {
        vendor.forecast([weather.clone()]);
        harness.system.tick().await;
        let push = blocked(&harness).await;
        assert_eq!((&push["blockedBy"], &push["state"]), (&json!("backoff"), &json!("due")), "{weather:?}");
        assert!(push["reason"].as_str().unwrap().contains(words), "{push}");
        assert!(push["until"].as_str().unwrap() > harness.time().as_str(), "{push}");
        let of_all = queue(&harness).await;
        assert_eq!((&of_all["blockedBy"], &of_all["reason"]), (&push["blockedBy"], &push["reason"]));
        // At most five minutes, and a fifth of jitter; the reason stands until a call goes through.
        harness.advance(361);
        assert_eq!(blocked(&harness).await["reason"], push["reason"]);
    }
    harness.system.tick().await;
    assert_eq!(harness.order("vendor1", "1").await["push"], json!({ "state": "upToDate" }));
    assert_eq!(queue(&harness).await["blockedBy"], Value::Null);
    let account = harness.dump().await["AccountsTable"][0].clone();
    assert!(!account.contains("lastFailure"), "{account}");
}

#[tokio::test]
async fn no_connection_and_a_host_off_the_list_are_told() {
    let harness = Harness::start().await;
    let vendor = waiting(&harness).await;
    for (outbound, words) in [
        (Outbound::public(), "not on the list of allowed hosts (PushHosts)"),
        (Outbound::with_loopback().with_names(BTreeMap::new()), "there was no connection"),
    ] {
        let mut dependencies = harness.dependencies();
        if words.contains("connection") {
            let key = secrecy::SecretString::from("http://127.0.0.1:9/?apiKey=x");
            let accounts = bridge::accounts::Accounts::new(&dependencies).unwrap();
            let account = accounts.get("vendor1").await.unwrap().unwrap();
            accounts.set_push_key(&account, &key, None, harness.now() * 1000).await.unwrap();
        }
        dependencies.outbound = outbound;
        let drain = Arc::new(::push_drain::PushDrain::new(&dependencies).unwrap());
        let deadline = bridge::run::Deadline::at(harness.now() * 1000 + 120_000);
        ::push_drain::handle(drain, deadline).await.unwrap();
        let push = blocked(&harness).await;
        assert_eq!(push["blockedBy"], "backoff");
        assert!(push["reason"].as_str().unwrap().contains(words), "{push}");
        harness.advance(400);
    }
    assert_eq!(vendor.projects(), 0);
}

#[tokio::test]
async fn a_push_key_that_can_not_be_used_is_told_and_who_must_act() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    harness.put("vendor1", "1", json!({})).await;
    harness.system.tick().await;
    let none = blocked(&harness).await;
    assert_eq!((&none["blockedBy"], &none["until"]), (&json!("noPushKey"), &Value::Null));
    assert!(none["reason"].as_str().unwrap().contains("press Validate"));
    let with_key = |key: &str| json!({ "pushkey": key });
    vendor.call("validate", with_key("https://evil.example.com/?apiKey=0123456789abcdef0123"), None).await.unwrap();
    for _ in 0..2 {
        let refused = blocked(&harness).await;
        assert_eq!((&refused["blockedBy"], &refused["until"]), (&json!("refusedPushKey"), &Value::Null));
        assert!(refused["reason"].as_str().unwrap().contains("its host is not on the list of allowed hosts"));
        assert!(!refused.to_string().contains("evil"), "a push key is a secret, whoever sent it");
        harness.system.tick().await;
    }
    vendor.validate().await.unwrap();
    assert_eq!(blocked(&harness).await["blockedBy"], Value::Null);
    vendor.kill_push_key();
    for _ in 0..2 {
        harness.system.tick().await;
        let dead = blocked(&harness).await;
        assert_eq!((&dead["blockedBy"], &dead["until"]), (&json!("deadPushKey"), &Value::Null));
        assert!(dead["reason"].as_str().unwrap().contains("invalid clientCode"), "{dead}");
        harness.advance(60);
    }
    // An empty push key changes nothing; the same one again is tried again.
    vendor.call("validate", with_key(""), None).await.unwrap();
    assert_eq!(blocked(&harness).await["blockedBy"], "deadPushKey");
    vendor.validate().await.unwrap();
    assert_eq!(blocked(&harness).await["blockedBy"], Value::Null);
}

#[tokio::test]
async fn an_hourly_limit_that_is_used_up_says_until_when() {
    let harness = Harness::start().await;
    let vendor = waiting(&harness).await;
    harness.host("PUT", "/accounts/vendor1", Some(json!({ "pushLimitPerHour": 2 }))).await;
    harness.system.tick().await;
    let orders: Vec<Value> = (0..2).map(|n| order(json!({ "workOrderNumber": n.to_string() }))).collect();
    harness.advance(600);
    harness.host("POST", "/accounts/vendor1/orders", Some(Value::from(orders))).await;
    harness.host("PATCH", "/accounts/vendor1/orders/1", Some(json!({ "reference": "x" }))).await;
    assert_eq!(blocked(&harness).await["blockedBy"], Value::Null, "one more may go");
    harness.system.tick().await;
    let blocked = blocked(&harness).await;
    assert_eq!((&blocked["blockedBy"], &blocked["state"]), (&json!("hourlyLimit"), &json!("due")), "{blocked}");
    // The first one went at 12:00, and counts to the end of the hour and two minutes.
    assert_eq!(blocked["until"], "2026-11-23T13:03:00Z");
    harness.advance(53 * 60 - 1);
    harness.system.tick().await;
    assert_eq!(queue(&harness).await["blockedBy"], "hourlyLimit");
    harness.advance(61);
    harness.system.tick().await;
    assert_eq!((queue(&harness).await["waiting"].clone(), vendor.projects()), (json!([]), 2));
}

#[tokio::test]
async fn what_pruvan_refused_says_so_and_is_retried_or_parked() {
    let harness = Harness::start().await;
    let vendor = waiting(&harness).await;
    let secret = vendor.push_key();
    let error = format!("no such\u{0} state, <b>sorry</b>: POST {secret} https://x.example/?token=1");
    let errors = json!([{ "workOrderNumber": "1", "error": error }]);
    vendor.rules(|held| {
        held.breaks_on.insert("1".to_owned(), (200, json!({ "response": false, "error": errors }).to_string()))
    });
    harness.system.tick().await;
    let refused = blocked(&harness).await;
    assert_eq!((&refused["blockedBy"], &refused["until"]), (&json!("refused"), &refused["due"]));
    assert_eq!(refused["lastError"], "no such state, <b>sorry</b>: POST *** https://x.example/***");
    assert!(refused["reason"].as_str().unwrap().contains(refused["lastError"].as_str().unwrap()));
    assert_eq!(queue(&harness).await["blockedBy"], Value::Null, "all others go");
    for _ in 0..8 {
        harness.advance(30 * 3600);
        harness.system.tick().await;
    }
    let parked = blocked(&harness).await;
    assert_eq!((&parked["blockedBy"], &parked["until"]), (&json!("parked"), &Value::Null));
    assert!(parked["reason"].as_str().unwrap().contains("refused it 9 times"), "{parked}");
    let (_, again) = harness.host("POST", "/accounts/vendor1/push-queue/1/retry", None).await;
    assert_eq!((&again["blockedBy"], &again["reason"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn an_order_that_an_earlier_push_may_still_change_says_so() {
    let harness = Harness::start().await;
    let vendor = waiting(&harness).await;
    vendor.forecast([Weather::Lost(Some(110_000))]);
    harness.system.tick().await;
    harness.put("vendor1", "1", json!({ "clientStatus": "new" })).await;
    harness.advance(60);
    harness.system.tick().await;
    let in_doubt = blocked(&harness).await;
    assert_eq!((&in_doubt["blockedBy"], &in_doubt["until"]), (&json!("inDoubt"), &in_doubt["due"]));
    assert!(in_doubt["reason"].as_str().unwrap().contains("may still take effect"));
}

/// A year of `Retry-After`, and failures that are counted up to the last number there is.
#[tokio::test]
async fn the_longest_waits_there_are_are_five_minutes() {
    let harness = Harness::start().await;
    let vendor = waiting(&harness).await;
    let client = harness.system.dynamodb().unwrap();
    let fail = client
        .update_item()
        .table_name("AccountsTable")
        .key("username", bridge::store::s("vendor1"))
        .update_expression("SET failures = :most")
        .expression_attribute_values(":most", bridge::store::n(u32::MAX));
    fail.send().await.unwrap();
    vendor.forecast([Weather::Later("31536000".to_owned())]);
    harness.system.tick().await;
    let blocked = blocked(&harness).await;
    assert!(blocked["reason"].as_str().unwrap().contains("4294967295 failed calls"), "{blocked}");
    harness.advance(300);
    harness.system.tick().await;
    assert_eq!(vendor.projects(), 1);
}
