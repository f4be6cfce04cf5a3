//! No reply, stored row or log line holds a token, a password or, outside its own column, a push key.

use std::cell::Cell;
use std::io::Write;
use std::sync::{Arc, Mutex};

use local::stand_in::Weather;
use pruvan::integration::IntegrationType;
use serde_json::{Value, json};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::harness::{Harness, PHOTO, picture};

thread_local! {
    /// Whether this thread's log is kept.
    static HERE: Cell<bool> = const { Cell::new(false) };
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

/// One thread, so that the log of this test is all of its log and no other's.
#[tokio::test(flavor = "current_thread")]
async fn nothing_holds_a_secret() {
    let log = Log::default();
    // Our own code at its most verbose. The SDK's and hyper's traces show bodies by design; in Lambda they are off.
    let ours = [
        "accounts",
        "bridge",
        "fetch_videos",
        "get_work_orders",
        "local",
        "orders",
        "pruvan",
        "push_drain",
        "status",
        "upload_pictures",
        "validate",
    ];
    let filter = ours.iter().fold("info".to_owned(), |filter, name| format!("{filter},{name}=trace"));
    // A subscriber of the whole process that looks at this thread alone. One of the thread's own would miss what another test's thread,
    // which has none, meets first: tracing remembers "nobody listens" for a place in the code, whoever asked.
    HERE.set(true);
    let here = dynamic_filter_fn(|_, _| HERE.get());
    let layer = tracing_subscriber::fmt::layer().json().with_writer(log.clone());
    let layer = layer.with_filter(EnvFilter::new(filter)).with_filter(here);
    tracing_subscriber::registry().with(layer).init();

    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    let mut replies = Vec::new();
    harness.put("vendor1", "1", json!({})).await;
    let mut liar = vendor.clone();
    liar.token = "a-wrong-token-0123456789".to_owned();
    for integration in [&vendor, &liar] {
        replies.push(integration.validate().await.unwrap().body);
        replies.push(integration.import(None).await.unwrap().body);
        replies.push(integration.publish(picture("a", "1", json!({})), Some(("1.jpg", PHOTO))).await.unwrap().body);
        replies.push(integration.publish(picture("b", "1", json!({})), None).await.unwrap().body);
        let link = "https://evil.example/v.mp4?sig=secret-video-link";
        let still = picture("c", "1", json!({ "videoUri": link }));
        replies.push(integration.publish(still, Some(("1.jpg", PHOTO))).await.unwrap().body);
        replies.push(integration.change_status("1", "complete", "complete").await.unwrap().body);
        replies.push(integration.change_status("unknown", "complete", "complete").await.unwrap().body);
    }
    // Credentials in a payload that is no JSON any more.
    for service in ["validate", "getWorkOrders", "uploadPictures", "status"] {
        let broken = format!("{{\"username\":\"vendor1\",\"token\":\"{}\",", vendor.token);
        let reply =
            harness.client.post(format!("{}/{service}", vendor.web_service_url)).body(broken).send().await.unwrap();
        replies.push(reply.text().await.unwrap());
    }
    for weather in [
        Weather::Answer(500, String::new()),
        Weather::Answer(200, "<html>".to_owned()),
        Weather::Fine,
        Weather::Answer(200, r#"{"response":{"created":0},"error":[{"workOrderNumber":"1","error":"no"}]}"#.to_owned()),
        Weather::Answer(200, r#"{"response":false,"error":"invalid clientCode"}"#.to_owned()),
    ] {
        harness.advance(400);
        harness
            .host("PATCH", "/accounts/vendor1/orders/1", Some(json!({ "reference": harness.now().to_string() })))
            .await;
        harness.pruvan.forecast([weather]);
        harness.system.tick().await;
    }
    let hostile = json!({ "pushkey": "https://evil.example/?apiKey=hostile-push-key" });
    replies.push(vendor.call("validate", hostile, None).await.unwrap().body);
    vendor.validate().await.unwrap();
    for path in [
        "/accounts",
        "/accounts/vendor1",
        "/accounts/vendor1/push-queue",
        "/accounts/vendor1/orders",
        "/accounts/vendor1/orders/1",
        "/accounts/vendor1/uploads/c",
        "/accounts/vendor1/unmatched",
        "/accounts/vendor1/orders/1/answers",
        "/accounts/vendor1/orders/1/manifest",
        "/accounts/vendor1/orders/1/uploads",
        "/accounts/vendor1/orders/none",
    ] {
        replies.push(harness.host("GET", path, None).await.1.to_string());
    }

    let push_key = vendor.push_key();
    let push_secret = push_key.split("apiKey=").nth(1).unwrap();
    let sha1 = "d28069c84398483874d2cba15f10ffdd996ec6f5";
    let secrets = [vendor.token.as_str(), liar.token.as_str(), sha1, push_secret, "hostile-push-key"];
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        log.contains("uploadPictures.done") && log.contains("push.attempted") && log.contains("auth.refused"),
        "{log}"
    );
    let replies = replies.join("\n");
    let mut rows = String::new();
    for (table, items) in harness.dump().await {
        for item in items {
            // The push key's own column, and nothing but that column.
            let own = format!("\"pushKey\":{push_key:?}");
            let rest = if table == "AccountsTable" { item.replacen(&own, "", 1) } else { item.clone() };
            assert!(table != "AccountsTable" || rest != item, "the push key is in its column");
            rows.push_str(&rest);
        }
    }
    let mut files = String::new();
    for entry in std::fs::read_dir(&harness.system.stores.objects).unwrap() {
        files.push_str(&String::from_utf8_lossy(&std::fs::read(entry.unwrap().path()).unwrap()));
    }
    for secret in secrets {
        for (what, text) in [("log", &log), ("reply", &replies), ("row", &rows), ("file", &files)] {
            assert!(!text.contains(secret), "a {what} holds a secret that begins with {}", &secret[..6]);
        }
    }
    // A video's link is in its own column alone.
    assert!(
        !log.contains("secret-video-link") && !replies.contains("secret-video-link") && log.contains("video.attempted")
    );
    // Signed links are for the one reply that lists uploads, and never in a log.
    assert!(!log.contains("X-Amz-Signature"));
    let listed: Value = serde_json::from_str(replies.lines().rev().nth(1).unwrap()).unwrap();
    assert!(listed["uploads"][0]["link"].as_str().unwrap().contains("X-Amz-Signature"));
}
