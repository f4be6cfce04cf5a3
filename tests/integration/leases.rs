//! A validate in the middle of a drain's call: the lease is given back, and a new push key begins afresh.

use std::sync::Arc;
use std::time::Duration;

use bridge::accounts::Accounts;
use pruvan::integration::IntegrationType;
use serde_json::{Value, json};
use simulator::{Integration, Weather};
use tokio::sync::Notify;

use crate::harness::{Harness, order};

/// A tick whose first call is answered by `weather` only after `meanwhile`.
async fn amid(harness: &Harness, vendor: &Integration, meanwhile: impl Future<Output = ()>) {
    let released = Arc::new(Notify::new());
    vendor.forecast([Weather::Held(released.clone())]);
    let before = vendor.pushes().len();
    let other = async {
        while vendor.pushes().len() == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        meanwhile.await;
        released.notify_one();
    };
    tokio::join!(harness.system.tick(), other);
}

fn anew(harness: &Harness, vendor: &Integration) -> Integration {
    let (url, token) = (vendor.web_service_url.clone(), vendor.token.clone());
    harness.pruvan.integrate(&url, "html", "vendor1", &token, IntegrationType::Internal, false)
}

async fn account(harness: &Harness) -> Value {
    serde_json::from_str(&harness.dump().await["AccountsTable"][0]).unwrap()
}

async fn orders(harness: &Harness, count: usize) {
    let orders: Vec<Value> = (0..count).map(|n| order(json!({ "workOrderNumber": n.to_string() }))).collect();
    let (status, reply) = harness.host("POST", "/accounts/vendor1/orders", Some(Value::from(orders))).await;
    assert_eq!((status, &reply["created"]), (200, &json!(count)), "{reply}");
}

#[tokio::test]
async fn a_validate_with_a_new_push_key_during_a_call_delays_nothing_and_what_went_before_does_not_count() {
    // Of one call, and of more: the drain finds out when it concludes, or when it begins the next one.
    for count in [1, 250] {
        let harness = Harness::start().await;
        let vendor = harness.account("vendor1", IntegrationType::Internal).await;
        vendor.validate().await.unwrap();
        orders(&harness, count).await;
        let fresh = anew(&harness, &vendor);
        amid(&harness, &vendor, async { drop(fresh.validate().await.unwrap()) }).await;
        assert_eq!(account(&harness).await.get("leaseOwner"), None, "the lease is given back");
        assert_eq!(vendor.pushes().len(), 1, "no more with the old key");
        harness.advance(1);
        harness.system.tick().await;
        assert_eq!(fresh.projects(), count, "each goes with the new key");
        let (_, queue) = harness.host("GET", "/accounts/vendor1/push-queue", None).await;
        assert_eq!(queue["waiting"], json!([]));
    }
}

#[tokio::test]
async fn a_validate_with_the_same_push_key_during_a_call_changes_nothing() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    orders(&harness, 250).await;
    amid(&harness, &vendor, async { drop(vendor.validate().await.unwrap()) }).await;
    assert_eq!((vendor.projects(), vendor.pushes().len()), (250, 2), "none goes twice");
    assert_eq!(account(&harness).await.get("leaseOwner"), None);
}

/// The call fails, or says that the old key is dead, when the new one has come.
#[tokio::test]
async fn neither_the_failures_nor_the_death_of_a_push_key_are_those_of_the_next() {
    for (status, body) in [(500, "oops"), (200, r#"{"response":false,"error":"invalid clientCode"}"#)] {
        let harness = Harness::start().await;
        let vendor = harness.account("vendor1", IntegrationType::Internal).await;
        vendor.validate().await.unwrap();
        orders(&harness, 1).await;
        let fresh = anew(&harness, &vendor);
        // The answer stands in the forecast; the validate comes while the drain still reads.
        vendor.forecast([Weather::Answer(status, body.to_owned())]);
        let accounts = Accounts::new(&harness.dependencies()).unwrap();
        let now = harness.now() * 1000;
        let (mut read, lease) = accounts.lease("vendor1", &[1; 16], now).await.unwrap().unwrap();
        fresh.validate().await.unwrap();
        read.last_failure = Some("oops".to_owned());
        let next = match status {
            500 => bridge::accounts::NextWakeUp::AfterFailures { failures: 7, until: now + 300_000 },
            _ => {
                assert!(!accounts.mark_push_key_dead(&read, &lease).await.unwrap());
                bridge::accounts::NextWakeUp::StayAwake
            }
        };
        accounts.release(&read, &lease, now, next).await.unwrap();
        let row = account(&harness).await;
        for name in ["leaseOwner", "failures", "backoffUntil", "lastFailure"] {
            assert_eq!(row.get(name), None, "{name}");
        }
        assert_eq!(row["pushKeyState"], "live");
        harness.system.tick().await;
        assert_eq!(fresh.projects(), 1);
    }
}

/// What an old key's call that was cut off may still do is nothing to a new integration.
#[tokio::test]
async fn a_lost_call_with_the_old_key_holds_nothing_back_for_the_new_one() {
    let form = |survey: &str| json!([{ "serviceName": "Task" }, { "serviceName": "Form", "survey": survey }]);
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness.put("vendor1", "1", json!({ "services": form("a") })).await;
    vendor.forecast([Weather::Lost(None)]);
    harness.system.tick().await;
    let fresh = anew(&harness, &vendor);
    harness.advance(1);
    fresh.validate().await.unwrap();
    fresh.import(None).await.unwrap();
    // A survey that is replaced goes in two pushes, and only what this key was sent could come after them.
    let mut replaced = order(json!({ "services": form("b") }));
    replaced["replaceSurvey"] = json!(true);
    harness.advance(1);
    assert_eq!(harness.host("PUT", "/accounts/vendor1/orders/1", Some(replaced)).await.0, 200);
    assert_eq!(harness.order("vendor1", "1").await["push"]["blockedBy"], Value::Null);
    harness.system.tick().await;
    assert_eq!((fresh.pushes().len(), fresh.project("1").unwrap()["services"].clone()), (2, form("b")));
    assert_eq!(harness.order("vendor1", "1").await["push"]["state"], "upToDate");
}

/// Two drains: the one whose lease ran out while it called writes nothing and takes nothing from the other.
#[tokio::test]
async fn a_drain_that_has_lost_its_lease_gives_back_nobody_elses() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    orders(&harness, 1).await;
    let accounts = Accounts::new(&harness.dependencies()).unwrap();
    let of_another = async {
        harness.advance(91);
        accounts.lease("vendor1", &[2; 16], harness.now() * 1000).await.unwrap().unwrap();
    };
    amid(&harness, &vendor, of_another).await;
    let row = account(&harness).await;
    assert_eq!(row["leaseOwner"], "02".repeat(16));
    assert_eq!(harness.order("vendor1", "0").await["push"]["state"], "due", "it is concluded by whoever has the lease");
}
