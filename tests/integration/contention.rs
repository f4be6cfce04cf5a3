//! Many writers of one row at the same moment: each gets in, and none rings an alarm.

use std::sync::Arc;

use pruvan::integration::IntegrationType;
use serde_json::{Value, json};

use crate::harness::{Harness, PHOTO, picture};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_versions_of_one_item_at_once_are_all_stored() {
    let harness = Harness::start().await;
    let vendor = Arc::new(harness.account("vendor1", IntegrationType::Internal).await);
    harness.put("vendor1", "1", json!({})).await;
    harness.lines();
    let uploads = (0..50).map(|version| {
        let vendor = vendor.clone();
        tokio::spawn(async move {
            // Each is another version, and half of them come late.
            let sent = 1_414_434_590 + (version * 7) % 50;
            let fields = picture("item", "1", json!({ "notes": format!("n{version}"), "timestamp": sent }));
            vendor.publish(fields, Some(("1.jpg", PHOTO))).await.unwrap().body
        })
    });
    let mut taken = 0;
    for upload in uploads.collect::<Vec<_>>() {
        taken += usize::from(upload.await.unwrap() == r#"{"status":true,"error":null}"#);
    }
    assert_eq!(taken, 50);
    let (_, item) = harness.host("GET", "/accounts/vendor1/uploads/item", None).await;
    assert_eq!((&item["versions"], item["earlierVersions"].as_array().unwrap().len()), (&json!(50), 49));
    let failures: Vec<Value> = harness.lines().into_iter().filter(|line| line["outcome"] != "ok").collect();
    assert_eq!(failures, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_changes_and_reports_of_one_order_at_once_are_all_written() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness.put("vendor1", "1", json!({})).await;
    let changes = (0..30).map(async |n: u8| {
        if n.is_multiple_of(2) {
            let entry = json!({ "workOrderNumber": "1", "status": "accepted", "clientStatus": n.to_string() });
            let answer = vendor.call("status", json!({ "workOrders": [entry] }), None).await.unwrap();
            assert_eq!(answer.body, r#"{"status":true,"error":null}"#);
        } else {
            let patch = json!({ "reference": n.to_string() });
            let (status, reply) = harness.host("PATCH", "/accounts/vendor1/orders/1", Some(patch)).await;
            assert_eq!(status, 200, "{reply}");
        }
    });
    futures_util::future::join_all(changes).await;
    let order = harness.order("vendor1", "1").await;
    assert_eq!(order["reports"].as_array().unwrap().len(), 15);
    assert!(harness.lines().iter().all(|line| line["outcome"] == "ok"));
}
