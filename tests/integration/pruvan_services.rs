//! The four web services, good and bad input both. Each bad input gets its documented JSON and changes nothing.

use std::collections::BTreeSet;

use pruvan::integration::IntegrationType;
use serde_json::{Value, json};
use simulator::multipart;

use crate::harness::{Harness, PHOTO, picture};

const SERVICES: [&str; 4] = ["validate", "getWorkOrders", "uploadPictures", "status"];

/// The documented refusal of each service with this message.
fn refusal(service: &str, error: &str, number: &str) -> Value {
    match service {
        "validate" => json!({ "error": error, "validated": false }),
        "getWorkOrders" => json!({ "error": error }),
        "uploadPictures" => json!({ "status": false, "error": error }),
        _ => json!({ "status": false, "error": [{ "workOrderNumber": number, "error": error }] }),
    }
}

async fn post(harness: &Harness, service: &str, content_type: &str, body: Vec<u8>) -> (u16, String) {
    let url = format!("{}/{service}.html", harness.system.gateway_url);
    let reply = harness.client.post(url).header("content-type", content_type).body(body).send().await.unwrap();
    assert_eq!(reply.headers()["content-type"], "application/json");
    (reply.status().as_u16(), reply.text().await.unwrap())
}

#[tokio::test]
async fn wrong_keys_and_unknown_users_get_the_same_answer() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    harness.put("vendor1", "1", json!({})).await;
    vendor.validate().await.unwrap();
    let before = harness.dump().await;
    for (username, token) in [
        ("vendor1", "wrong"),
        ("vendor1", ""),
        ("vendor2", vendor.token.as_str()),
        ("", vendor.token.as_str()),
        ("", ""),
        ("vendor1#0", vendor.token.as_str()),
        ("vendor1", "d28069c84398483874d2cba15f10ffdd996ec6f5"),
        (&"x".repeat(5000), "x"),
        (&format!("x{}", "\u{e9}".repeat(5000)), "x"),
    ] {
        let mut stranger = vendor.clone();
        stranger.username = username.to_owned();
        stranger.token = token.to_owned();
        for service in SERVICES {
            let fields = json!({
                "pushkey": "https://direct.pruvan.com/api/?apiKey=stolen", "timestamp": null, "uuId": "1", "fileType": "picture",
                "workOrders": [{ "workOrderNumber": "SMC::1", "status": "complete" }],
            });
            let answer = stranger.call(service, fields, Some(("1.jpg", PHOTO))).await.unwrap();
            assert_eq!(answer.status, 200);
            assert_eq!(
                answer.reply(),
                refusal(service, "invalid username or password", "SMC::1"),
                "{service} {username}"
            );
        }
    }
    assert_eq!(harness.dump().await, before);
}

#[tokio::test]
async fn requests_that_cannot_be_read() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    let before = harness.dump().await;
    let good = json!({ "username": "vendor1", "token": vendor.token }).to_string();
    let (content_type, whole) = multipart(&good, Some(("1.jpg", PHOTO)));
    let missing = "the request has no \"payload\": send a form field named payload that holds a JSON object";
    let garbled = "the request was cut short or garbled on its way: send it again";
    let not_json = "the payload is not valid JSON (line 1, column 12): check quotes, commas and that it is complete";
    for (content_type, body, error) in [
        ("text/plain", vec![], missing),
        ("application/x-www-form-urlencoded", b"something=else".to_vec(), missing),
        ("application/x-www-form-urlencoded", b"payload=".to_vec(), missing),
        (
            "multipart/form-data; boundary=X",
            b"--X\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nx\r\n--X--\r\n".to_vec(),
            missing,
        ),
        ("application/json", b"{\"username\": ".to_vec(), not_json),
        (
            "application/x-www-form-urlencoded",
            b"payload=[1]".to_vec(),
            "the payload must be a JSON object, such as {\"username\": ...}",
        ),
        (content_type.as_str(), whole[..whole.len() - 20_000].to_vec(), garbled),
        (content_type.as_str(), whole[..150].to_vec(), garbled),
    ] {
        for service in SERVICES {
            let (status, reply) = post(&harness, service, content_type, body.clone()).await;
            assert_eq!(status, 200);
            assert_eq!(
                serde_json::from_str::<Value>(&reply).unwrap(),
                refusal(service, error, ""),
                "{service} {error}"
            );
        }
    }
    assert_eq!(harness.dump().await, before);
}

#[tokio::test]
async fn every_extension_and_every_form_of_body() {
    let harness = Harness::start().await;
    let mut vendor = harness.account("vendor1", IntegrationType::Internal).await;
    for extension in ["", "html", "php", "svc", "aspx"] {
        vendor.extension = extension.to_owned();
        assert_eq!(vendor.validate().await.unwrap().body, r#"{"error":"","validated":true}"#, "{extension}");
    }
    let payload = json!({ "username": " VENDOR1 ", "token": vendor.token }).to_string();
    let encoded: String = payload.bytes().map(|byte| format!("%{byte:02x}")).collect();
    for (content_type, body) in [
        ("application/x-www-form-urlencoded", format!("payload={encoded}")),
        ("application/json", payload.clone()),
        ("text/plain", Value::from(payload.as_str()).to_string().replacen('"', "payload=\"", 1)),
    ] {
        let (_, reply) = post(&harness, "validate", content_type, body.into_bytes()).await;
        assert_eq!(reply, r#"{"error":"","validated":true}"#, "{content_type}");
    }
    vendor.extension = "exe".to_owned();
    let unknown = vendor.validate().await.unwrap();
    assert_eq!((unknown.status, unknown.reply()["validated"].clone()), (403, json!(false)));
}

#[tokio::test]
async fn a_push_key_is_kept_and_only_a_new_one_replaces_it() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    let push_key = async || harness.host("GET", "/accounts/vendor1", None).await.1["pushKey"].clone();
    assert_eq!(push_key().await, json!({ "state": "none", "since": null }));
    vendor.validate().await.unwrap();
    let live = push_key().await;
    assert_eq!(live, json!({ "state": "live", "since": "2026-11-23T12:00:00Z" }));
    harness.advance(60);
    vendor.call("validate", json!({}), None).await.unwrap();
    vendor.call("validate", json!({ "pushkey": "null" }), None).await.unwrap();
    vendor.validate().await.unwrap();
    assert_eq!(push_key().await, live);
    // The credentials are right, whatever the key; a key that leads elsewhere is kept to be seen and never used.
    let hostile = json!({ "pushkey": "https://evil.example/?apiKey=x" });
    assert_eq!(vendor.call("validate", hostile, None).await.unwrap().body, r#"{"error":"","validated":true}"#);
    assert_eq!(push_key().await["state"], "refused");
    harness.put("vendor1", "1", json!({})).await;
    harness.system.tick().await;
    assert_eq!(harness.order("vendor1", "1").await["push"]["state"], "due");
}

#[tokio::test]
async fn pulls_full_and_incremental() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    let numbers = async |since: Option<i64>| {
        let reply = vendor.import(since).await.unwrap().reply();
        assert_eq!(reply["error"], "");
        let numbers = reply["workOrders"].as_array().unwrap().iter();
        let numbers = numbers.map(|order| order["workOrderNumber"].as_str().unwrap().to_owned());
        numbers.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };
    assert_eq!(vendor.import(None).await.unwrap().body, r#"{"workOrders":[],"error":""}"#);
    harness.put("vendor1", "old", json!({})).await;
    harness.put("vendor1", "canceled", json!({ "status": "canceled" })).await;
    harness.put("vendor1", "deleted", json!({})).await;
    harness.advance(3600);
    harness.host("DELETE", "/accounts/vendor1/orders/deleted", None).await;
    harness.put("vendor1", "new", json!({})).await;
    assert_eq!(numbers(None).await, ["canceled", "deleted", "new", "old"]);
    assert_eq!(numbers(Some(harness.now())).await, ["deleted", "new"]);
    // A time to come is read as now, and now looks back 15 minutes.
    assert_eq!(numbers(Some(harness.now() + 16 * 60)).await, ["deleted", "new"]);
    harness.advance(14 * 60);
    assert_eq!(numbers(Some(harness.now())).await, ["deleted", "new"]);
    harness.advance(2 * 60);
    assert_eq!(numbers(Some(harness.now())).await, Vec::<String>::new());
    assert_eq!(numbers(Some(harness.now() - 2 * 3600)).await, ["canceled", "deleted", "new", "old"]);
    // What ended is told for 30 days; what is current, for good.
    harness.advance(31 * 24 * 3600);
    assert_eq!(numbers(None).await, ["new", "old"]);
    // Another account has none of it.
    let other = harness.account("vendor2", IntegrationType::Internal).await;
    assert_eq!(other.import(None).await.unwrap().body, r#"{"workOrders":[],"error":""}"#);
}

#[tokio::test]
async fn each_status_is_applied_on_its_own() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    harness.put("vendor1", "1", json!({})).await;
    harness.put("vendor1", "2", json!({})).await;
    let long = "9".repeat(300);
    let report = json!({ "workOrders": [
        { "workOrderNumber": "SMC::1", "status": "Complete", "fieldStatus": "Completed", "clientStatus": "x", "dueDate": 1414434590, "source_wo_id": "77" },
        { "workOrderNumber": "SMC::unknown", "status": "complete" },
        { "workOrderNumber": long, "status": "complete" },
        { "workOrderNumber": "", "status": "complete" },
        "rubbish",
        { "workOrderNumber": "2", "status": "On Hold", "fieldStatus": "In Process" },
    ]});
    let answer = vendor.call("status", report, None).await.unwrap();
    let mut failed: Vec<(String, String)> = serde_json::from_value::<Vec<Value>>(answer.reply()["error"].clone())
        .unwrap()
        .into_iter()
        .map(|failure| {
            (failure["workOrderNumber"].as_str().unwrap().to_owned(), failure["error"].as_str().unwrap().to_owned())
        })
        .collect();
    failed.sort();
    let nothing = |number: &str| (number.to_owned(), "work order does not exist".to_owned());
    let unnamed = (String::new(), "the entry has no workOrderNumber".to_owned());
    assert_eq!(failed, [unnamed.clone(), unnamed, nothing(&long), nothing("SMC::unknown")]);
    assert_eq!(answer.reply()["status"], false);
    let first = harness.order("vendor1", "1").await["reported"].clone();
    assert_eq!(
        first,
        json!({
            "at": "2026-11-23T12:00:00Z", "status": "complete", "fieldStatus": "complete", "clientStatus": "x", "dueDate": "2014-10-27",
            "other": null,
        })
    );
    assert_eq!(harness.order("vendor1", "1").await["reports"][0]["other"], json!({ "source_wo_id": "77" }));
    let second = harness.order("vendor1", "2").await;
    assert_eq!(
        (&second["reported"]["status"], &second["reported"]["fieldStatus"]),
        (&json!("On Hold"), &json!("in-process"))
    );
    // No echo: what Pruvan reports doesn't make an order changed.
    assert_eq!(second["changed"], "2026-11-23T12:00:00Z");
    harness.advance(3600);
    vendor
        .call("status", json!({ "workOrders": [{ "workOrderNumber": "2", "status": "complete" }] }), None)
        .await
        .unwrap();
    assert_eq!(vendor.import(Some(harness.now())).await.unwrap().body, r#"{"workOrders":[],"error":""}"#);
    let empty = vendor.call("status", json!({}), None).await.unwrap().reply();
    assert_eq!(empty["error"][0]["error"], "the payload has no workOrders: send a list with at least one work order");
}

#[tokio::test]
async fn an_upload_of_a_number_that_no_order_can_have_is_stored_all_the_same() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    for number in ["9".repeat(300), "\u{e9}".repeat(3000), "../../x".to_owned(), String::new()] {
        let answer =
            vendor.publish(picture(&format!("id {number}"), &number, json!({})), Some(("1.jpg", PHOTO))).await.unwrap();
        assert_eq!(answer.body, r#"{"status":true,"error":null}"#, "{number}");
    }
    assert_eq!(harness.dump().await["UploadsTable"].len(), 4);
}
