//! What each function does to the tables and the bucket, and what template.yaml lets it do, are the same. That nothing
//! is refused is looked at in every test that runs functions; that nothing is granted in vain, here.

use pruvan::integration::IntegrationType;
use serde_json::json;
use simulator::{MP4_HEAD, VideoReply, Weather};

use crate::harness::permissions::granted;
use crate::harness::{Harness, PHOTO, order, picture};

/// Each kind of thing that the functions do, once.
async fn everything(harness: &Harness) {
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    let of = |path: &str| format!("/accounts/vendor1{path}");
    let ok = async |method: &str, path: &str, body| {
        let (status, reply) = harness.host(method, &of(path), body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {reply}");
        reply
    };
    let key = ok("POST", "/keys", None).await;
    ok("DELETE", &format!("/keys/{}", key["keyId"].as_str().unwrap()), None).await;
    ok("PUT", "", Some(json!({ "clientCode": "SMC" }))).await;
    harness.host("GET", "/accounts", None).await;

    vendor.validate().await.unwrap();
    for number in ["1", "2", "3"] {
        harness.put("vendor1", number, json!({ "status": "assigned" })).await;
    }
    // More than one pull can carry, and among them one whose survey changes.
    let many = |survey: &str| {
        let services = json!([{ "serviceName": "A", "survey": survey }, { "serviceName": "B" }]);
        (0..5001)
            .map(|n| order(json!({ "workOrderNumber": format!("N{n}"), "services": services })).to_string() + "\n")
            .collect::<String>()
    };
    let bulk = async |lines: String| {
        let url = format!("{}/accounts/vendor1/orders", harness.system.gateway_url);
        let request = harness.client.post(url).header("content-type", "application/x-ndjson").body(lines);
        assert_eq!(request.send().await.unwrap().status(), 200);
    };
    let lines = many("one");
    for chunk in lines.lines().collect::<Vec<_>>().chunks(2000) {
        bulk(chunk.join("\n")).await;
    }
    vendor.import(None).await.unwrap();
    bulk(many("two").lines().take(1).collect()).await;
    ok("PATCH", "/orders/1", Some(json!({ "reference": "changed" }))).await;
    ok("GET", "/orders", None).await;
    ok("GET", "/orders?changedSince=2026-11-01T00:00:00Z", None).await;
    ok("GET", "/push-queue", None).await;
    // One push fails, one order is refused until it is parked; then both go.
    vendor.forecast(Some(Weather::Answer(500, String::new())));
    for _ in 0..3 {
        harness.system.tick().await;
        harness.advance(900);
    }
    ok("PATCH", "/orders/2", Some(json!({ "reference": "changed" }))).await;
    ok("POST", "/push-queue/2/retry", None).await;
    ok("POST", "/orders/3/push", None).await;
    ok("POST", "/push-queue/retry", None).await;
    // A service that gets another survey goes first without it.
    let with_survey = |survey: &str| json!({ "services": [{ "serviceName": "A", "survey": survey }, { "serviceName": "B" }], "replaceSurvey": true });
    for survey in ["one", "two"] {
        harness.put("vendor1", "4", with_survey(survey)).await;
        harness.system.tick().await;
        harness.advance(300);
    }
    ok("DELETE", "/orders/2", None).await;
    harness.system.tick().await;

    // Once an hour it is noted that a key was used.
    harness.advance(3601);
    vendor.change_status("1", "complete", "complete").await.unwrap();
    harness.advance(3601);
    let link = harness.pruvan.video("vendor1", [VideoReply::Bytes([MP4_HEAD, &[7; 1000]].concat())]);
    vendor.publish(picture("photo", "1", json!({ "videoUri": link })), Some(("1.jpg", PHOTO))).await.unwrap();
    vendor.publish(picture("photo", "1", json!({ "notes": "another" })), Some(("1.jpg", PHOTO))).await.unwrap();
    let late = json!({ "notes": "older", "timestamp": 1_414_434_000 });
    vendor.publish(picture("photo", "1", late), Some(("1.jpg", PHOTO))).await.unwrap();
    let survey =
        json!({ "fileType": "survey", "survey": { "answers": [{ "id": "q", "answer": ["a"], "picIds": ["photo"] }] } });
    vendor.publish(picture("survey", "1", survey), None).await.unwrap();
    vendor.publish(picture("stray", "elsewhere", json!({})), Some(("1.jpg", PHOTO))).await.unwrap();
    ok("GET", "/unmatched", None).await;
    ok("POST", "/unmatched/stray/assign", Some(json!({ "workOrderNumber": "1" }))).await;
    for list in ["uploads", "answers", "manifest"] {
        ok("GET", &format!("/orders/1/{list}"), None).await;
    }
    let photo = ok("GET", "/uploads/photo", None).await;
    let file = harness.client.get(photo["link"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(file.status(), 200);
    // Whoever follows a link has the rights of the function that signed it.
    harness.permissions.use_of("orders", "s3:GetObject FilesBucket/*");
    harness.system.tick().await;
    // A video that breaks off in its second part.
    let large = [MP4_HEAD, &[7; 12_000_000]].concat();
    let link = harness.pruvan.video("vendor1", [VideoReply::Cut(large)]);
    vendor.publish(picture("video", "1", json!({ "videoUri": link })), Some(("1.jpg", PHOTO))).await.unwrap();
    harness.system.tick().await;
}

#[tokio::test]
async fn nothing_is_granted_that_no_function_needs() {
    let harness = Harness::start().await;
    everything(&harness).await;
    let used = harness.permissions.used();
    let mut in_vain = Vec::new();
    for (function, may) in granted() {
        let used = used.get(&function).cloned().unwrap_or_default();
        in_vain.extend(may.difference(&used).map(|permission| format!("{function}: {permission}")));
    }
    assert!(in_vain.is_empty(), "template.yaml grants what no function needs: {in_vain:#?}");
}
