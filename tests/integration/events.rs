//! API Gateway events as AWS sends them, handed to the handlers without the local gateway between.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambda_http::Body;
use local::functions::{Function, Reply};
use pruvan::integration::IntegrationType;
use serde_json::{Value, json};
use simulator::multipart;

use crate::harness::{Harness, PHOTO, SURVEY_PDF, picture};

/// The recorded event with this request in it; the stage stands in `requestContext.path` only, as in AWS.
fn event(resource: &str, content_type: &str, body: &[u8]) -> String {
    let text = include_str!("../fixtures/apigw-event.json");
    let text = text.replace("RESOURCE", resource).replace("PATH", resource).replace("METHOD", "POST");
    text.replace("CONTENT-TYPE", content_type).replace("\"BODY\"", &Value::from(STANDARD.encode(body)).to_string())
}

async fn invoke(harness: &Harness, binary: &str, event: &str) -> (u16, String) {
    let Some(Function::Http(function)) = harness.system.function(binary) else { panic!("no function {binary}") };
    match function(lambda_http::request::from_str(event).unwrap()).await {
        Reply::Buffered(reply) => {
            let Body::Text(body) = reply.body() else { panic!("a reply that is not text") };
            (reply.status().as_u16(), body.clone())
        }
        Reply::Streamed(reply) => {
            let status = reply.status().as_u16();
            (status, String::from_utf8(reply.into_body().collect().await.unwrap()).unwrap())
        }
    }
}

#[tokio::test]
async fn a_round_trip_in_aws_own_events() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    harness.put("vendor1", "1", json!({})).await;
    let send = async |binary: &str, service: &str, mut payload: Value, file: Option<(&str, &[u8])>| {
        payload["username"] = json!("vendor1");
        payload["token"] = json!(vendor.token);
        let (content_type, body) = multipart(&payload.to_string(), file);
        invoke(&harness, binary, &event(&format!("/{service}.html"), &content_type, &body)).await
    };
    let validated = send("validate", "validate", json!({ "pushkey": vendor.push_key() }), None).await;
    assert_eq!(validated, (200, r#"{"error":"","validated":true}"#.to_owned()));
    let (_, pulled) = send("get-work-orders", "getWorkOrders", json!({ "timestamp": null }), None).await;
    assert_eq!(serde_json::from_str::<Value>(&pulled).unwrap()["workOrders"][0]["workOrderNumber"], "1");
    let stored = (200, r#"{"status":true,"error":null}"#.to_owned());
    let photo = send("upload-pictures", "uploadPictures", picture("p", "1", json!({})), Some(("1.jpg", PHOTO))).await;
    assert_eq!(photo, stored);
    let survey = picture("s", "1", json!({ "fileType": "survey", "survey": { "answers": [] } }));
    assert_eq!(send("upload-pictures", "uploadPictures", survey, Some(("s.pdf", SURVEY_PDF))).await, stored);
    let report = json!({ "workOrders": [{ "workOrderNumber": "SMC::1", "status": "complete" }] });
    assert_eq!(send("status", "status", report, None).await, stored);
    let (_, uploads) = harness.host("GET", "/accounts/vendor1/orders/1/uploads", None).await;
    let links = uploads["uploads"].as_array().unwrap().iter().map(|upload| upload["link"].as_str().unwrap());
    let mut files = Vec::new();
    for link in links {
        files.push(harness.client.get(link).send().await.unwrap().bytes().await.unwrap());
    }
    assert!(files.iter().any(|file| file == PHOTO) && files.iter().any(|file| file == SURVEY_PDF));
}

#[tokio::test]
async fn an_event_without_body_or_headers_is_answered() {
    let harness = Harness::start().await;
    let bare = json!({
        "resource": "/validate", "path": "/validate", "httpMethod": "POST", "headers": null, "multiValueHeaders": null,
        "queryStringParameters": null, "multiValueQueryStringParameters": null, "pathParameters": null, "stageVariables": null,
        "requestContext": { "resourcePath": "/validate", "httpMethod": "POST", "identity": {} }, "body": null, "isBase64Encoded": false,
    });
    let (status, reply) = invoke(&harness, "validate", &bare.to_string()).await;
    assert_eq!(status, 200);
    assert!(reply.contains("the request has no"), "{reply}");
}

/// The sample events for `sam local invoke`, in an order in which each finds what it needs.
#[tokio::test]
async fn every_sample_event_does_what_it_shows() {
    let harness = Harness::start().await;
    let vendor = harness.account("example", IntegrationType::Internal).await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/events");
    let read = |name: &str| {
        std::fs::read_to_string(format!("{folder}/{name}.json")).unwrap().replace("API-KEY", &vendor.token)
    };
    let stored = r#"{"status":true,"error":null}"#;
    for (name, expected) in [
        ("accounts", "\"username\":\"example\""),
        ("orders", "\"result\":\"created\""),
        ("validate", r#"{"error":"","validated":true}"#),
        ("get-work-orders", "\"workOrderNumber\":\"1001\""),
        ("upload-pictures", stored),
        ("status", stored),
    ] {
        let (_, reply) = invoke(&harness, name, &read(name)).await;
        assert!(reply.contains(expected), "{name}: {reply}");
    }
    assert_eq!(["push-drain", "fetch-videos", "count-orders"].map(|name| read(name).trim().to_owned()), ["{}"; 3]);
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 9, "every event has its line above");
    let (_, uploads) = harness.host("GET", "/accounts/example/orders/1001/uploads", None).await;
    assert_eq!(uploads["uploads"][0]["contentType"], "application/json");
}
