//! What clocks, lists and files are on bad days: nothing is lost for it, and nothing else is decided by it.

use pruvan::integration::IntegrationType;
use serde_json::{Value, json};

use crate::harness::{Harness, picture};

const PHOTO: &[u8] = b"\xFF\xD8\xFF\xE0\0\x10JFIF photo";

async fn item(harness: &Harness, uu_id: &str) -> Value {
    harness.host("GET", &format!("/accounts/vendor1/uploads/{uu_id}"), None).await.1
}

#[tokio::test]
async fn a_pull_since_a_time_to_come_is_one_since_now() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    harness.put("vendor1", "1", json!({})).await;
    harness.advance(3600);
    harness.put("vendor1", "2", json!({})).await;
    for since in [4_102_444_800, 99_999_999_999] {
        let reply = vendor.import(Some(since)).await.unwrap().reply();
        let orders = reply["workOrders"].as_array().unwrap();
        assert_eq!((orders.len(), &orders[0]["workOrderNumber"]), (1, &json!("2")), "{since}: {reply}");
    }
}

#[tokio::test]
async fn an_upload_from_a_time_to_come_keeps_no_later_one_out() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    harness.put("vendor1", "1", json!({})).await;
    for (timestamp, notes) in
        [(json!(99_999_999_999_i64), "first"), (json!(1_795_435_300), "second"), (json!(null), "third")]
    {
        let fields = picture("1", "1", json!({ "timestamp": timestamp, "notes": notes }));
        vendor.publish(fields, Some(("1.jpg", PHOTO))).await.unwrap();
        assert_eq!(item(&harness, "1").await["fields"]["notes"], notes);
    }
}

#[tokio::test]
async fn a_receivers_time_that_cannot_be_true_is_told_and_not_taken() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    harness.put("vendor1", "1", json!({})).await;
    for gps in ["801014400", "4102444800"] {
        let fields = picture(gps, "1", json!({ "gpsTimestamp": gps, "creationDate": "2026-11-20 10:04:05" }));
        vendor.publish(fields, Some(("1.jpg", PHOTO))).await.unwrap();
        let item = item(&harness, gps).await;
        assert_eq!(item["taken"], "2026-11-20T16:04:05Z");
        assert!(item["takenDoubt"].as_str().unwrap().contains("can't be"), "{item}");
    }
}

#[tokio::test]
async fn thousands_of_reports_of_one_order_are_one_write() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    harness.put("vendor1", "1", json!({})).await;
    let revision = async || {
        let row: Value = serde_json::from_str(&harness.dump().await["OrdersTable"][0]).unwrap();
        row["revision"].to_string()
    };
    let before = revision().await;
    let entry = |n: usize| json!({ "workOrderNumber": "1", "clientStatus": format!("s{n}"), "status": "assigned" });
    // As PHP writes a list that has gaps.
    let reports: serde_json::Map<String, Value> = (0..3000).map(|n| ((n * 2).to_string(), entry(n))).collect();
    let reply = vendor.call("status", json!({ "workOrders": reports }), None).await.unwrap().reply();
    assert_eq!(reply, json!({ "status": true, "error": null }));
    let order = harness.host("GET", "/accounts/vendor1/orders/1", None).await.1;
    let kept = order["reports"].as_array().unwrap();
    assert_eq!((kept.len(), &kept[49]["clientStatus"]), (50, &json!("s2999")), "the newest last");
    let (before, after): (String, String) = (before, revision().await);
    let number = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>().parse::<i64>().unwrap();
    assert_eq!(number(&after), number(&before) + 1);
    let many: Vec<Value> = (0..=10_000).map(|n| json!({ "workOrderNumber": n.to_string() })).collect();
    let reply = vendor.call("status", json!({ "workOrders": many }), None).await.unwrap().reply();
    let error = "the payload has more than 10000 work orders: report fewer at a time";
    assert_eq!(reply["error"], json!([{ "workOrderNumber": "", "error": error }]));
}

#[tokio::test]
async fn byte_order_marks_and_halves_of_emojis_are_read_in_files_and_surveys_too() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    harness.put("vendor1", "1", json!({})).await;
    let check_in = "\u{feff}{\"checkedIn\":true,\"notes\":\"\\ud83d\"}";
    let fields = picture("c", "1", json!({ "fileType": "check-in", "fileExt": "json" }));
    vendor.publish(fields, Some(("1.json", check_in.as_bytes()))).await.unwrap();
    let stored = item(&harness, "c").await;
    assert_eq!((&stored["contentType"], &stored["checkIn"]["checkedIn"]), (&json!("application/json"), &json!(true)));
    let survey =
        "\u{feff}{\"answers\":{\"0\":{\"id\":\"q1\",\"answer\":{\"1\":\"half \\ud83d\"}},\"2\":{\"id\":\"q2\"}}}";
    let fields = picture("s", "1", json!({ "fileType": "survey", "survey": survey }));
    vendor.publish(fields, Some(("1.pdf", b"\r\n%PDF-1.4"))).await.unwrap();
    let answers = harness.host("GET", "/accounts/vendor1/orders/1/answers", None).await.1;
    let ids: Vec<&Value> = answers["answers"].as_array().unwrap().iter().map(|answer| &answer["questionId"]).collect();
    assert_eq!(ids, [&json!("q1"), &json!("q2")]);
    assert_eq!(answers["answers"][0]["answer"], json!(["half \u{fffd}"]));
    assert_eq!(item(&harness, "s").await["contentType"], "application/pdf");
}
