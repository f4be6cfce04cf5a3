//! No reply, stored row, log line, metric or error holds a token, a password, a SHA-1, a link with a signature or,
//! outside its own column, a push key.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

use bridge::log;
use bridge::run::Deadline;
use lambda_http::{Body, Request};
use local::functions::{Function, Reply};
use local::template::{TEMPLATE, Template};
use pruvan::integration::IntegrationType;
use serde_json::{Value, json};
use simulator::{Weather, multipart};
use tracing_subscriber::filter::{LevelFilter, dynamic_filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::harness::faults::{Fault, Faults};
use crate::harness::{Harness, PHOTO, order, picture};
use crate::house::packages;

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

/// The password that the simulated Pruvan sends, as SHA-1.
const SHA1: &str = "d28069c84398483874d2cba15f10ffdd996ec6f5";

/// One thread, so that the log of this test is all of its log and no other's.
#[tokio::test(flavor = "current_thread")]
async fn nothing_holds_a_secret() {
    let log = Log::default();
    // A subscriber of the whole process that looks at this thread alone. One of the thread's own would miss what
    // another test's thread, which has none, meets first: tracing remembers "nobody listens" for a place in the code,
    // whoever asked.
    HERE.set(true);
    let here = dynamic_filter_fn(|_, _| HERE.get());
    let layer = tracing_subscriber::fmt::layer().json().with_writer(log.clone());
    // As verbose as any setting of a function makes it.
    let layer = layer.with_filter(log::filter(LevelFilter::TRACE, LevelFilter::TRACE)).with_filter(here);
    tracing_subscriber::registry().with(layer).init();

    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    // Replies by what was called.
    let mut replies: Vec<(String, String)> = Vec::new();
    harness.put("vendor1", "1", json!({})).await;
    let mut liar = vendor.clone();
    liar.token = "a-wrong-token-0123456789".to_owned();
    let link = harness.pruvan.video("v.mp4?sig=secret-video-link", []);
    for integration in [&vendor, &liar] {
        let mut reply = |service: &str, body: String| replies.push((service.to_owned(), body));
        reply("validate", integration.validate().await.unwrap().body);
        reply("getWorkOrders", integration.import(None).await.unwrap().body);
        let photo = Some(("1.jpg", PHOTO));
        reply("uploadPictures", integration.publish(picture("a", "1", json!({})), photo).await.unwrap().body);
        reply("uploadPictures", integration.publish(picture("b", "1", json!({})), None).await.unwrap().body);
        for (uu_id, link) in [("c", "https://evil.example/v.mp4?sig=secret-video-link"), ("d", &link)] {
            let still = picture(uu_id, "1", json!({ "videoUri": link }));
            reply("uploadPictures", integration.publish(still, photo).await.unwrap().body);
        }
        reply("status", integration.change_status("1", "complete", "complete").await.unwrap().body);
        reply("status", integration.change_status("unknown", "complete", "complete").await.unwrap().body);
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
    replies.push(("validate".to_owned(), vendor.call("validate", hostile, None).await.unwrap().body));
    harness.system.tick().await;
    vendor.validate().await.unwrap();

    // Every route there is, with whatever may come.
    let credentials = json!({ "username": "vendor1", "password": SHA1, "token": vendor.token });
    let broken = format!("{{\"username\":\"vendor1\",\"password\":\"{SHA1}\",\"token\":\"{}\",", vendor.token);
    let whole = order(json!({ "workOrderNumber": "7", "status": "assigned" })).to_string();
    let list = format!("[{whole}]");
    let mut called = BTreeMap::new();
    for (binary, route) in routes() {
        let path = route.path.replace("{username}", "vendor1").replace("{workOrderNumber}", "1");
        let path = path.replace("{uuId}", "a").replace("{id}", "00000000");
        let bodies: Vec<(String, Vec<u8>)> = match route.api.as_str() {
            "PruvanApi" => {
                let form = multipart(&credentials.to_string(), Some(("1.jpg", PHOTO)));
                vec![
                    form,
                    ("application/json".to_owned(), credentials.to_string().into()),
                    (String::new(), broken.clone().into()),
                ]
            }
            _ => {
                ["", "{", "{}", &whole, &list, &json!({ "workOrderNumber": "1" }).to_string(), &credentials.to_string()]
                    .map(|body| ("application/json".to_owned(), body.as_bytes().to_vec()))
                    .to_vec()
            }
        };
        for (content_type, body) in bodies {
            let request =
                harness.client.request(route.method.parse().unwrap(), format!("{}{path}", harness.system.gateway_url));
            let reply = request.header("content-type", content_type).body(body).send().await.unwrap();
            replies.push((format!("{} {}", route.method, route.path), reply.text().await.unwrap()));
        }
        *called.entry(binary).or_insert(0) += 1;
    }
    harness.system.tick().await;
    assert_eq!(called.len(), 6, "every function that a route calls");
    let mut lines = harness.lines();

    // And with stores that fail.
    let faults = Faults::default();
    let stores = &harness.system.stores;
    let mut dependencies = faults.meet(harness.dependencies(), &stores.dynamodb_url, &stores.s3_url);
    let said: Arc<Mutex<Vec<Value>>> = Arc::default();
    let hears = said.clone();
    dependencies.lines = bridge::lines::Lines::new("", move |line| hears.lock().unwrap().push(line.clone()));
    let mut payload = picture("e", "1", json!({ "workOrders": [{ "workOrderNumber": "1", "status": "complete" }] }));
    payload.as_object_mut().unwrap().extend(credentials.as_object().unwrap().clone());
    payload["pushkey"] = vendor.push_key().into();
    let (content_type, body) = multipart(&payload.to_string(), Some(("1.jpg", PHOTO)));
    for binary in Template::parse(TEMPLATE).unwrap().functions.into_values().map(|function| function.binary) {
        let function = local::functions::start(&binary, &dependencies).unwrap().unwrap();
        for nth in 0..4 {
            faults.plan(nth, Fault::Outage);
            let reply = match &function {
                Function::Schedule(tick) => {
                    let ended = tick(Deadline::at(harness.now() * 1000 + 120_000)).await;
                    ended.err().map(|error| format!("{error} {error:?}")).unwrap_or_default()
                }
                Function::Http(function) => match function(failing(&binary, &content_type, &body)).await {
                    Reply::Buffered(reply) => String::from_utf8(reply.body().as_ref().to_vec()).unwrap(),
                    Reply::Streamed(reply) => {
                        String::from_utf8(reply.into_body().collect().await.unwrap_or_default()).unwrap()
                    }
                },
            };
            faults.end();
            replies.push((binary.clone(), reply));
        }
        let failed = said.lock().unwrap().iter().any(|line| line["Function"] == *binary && line["outcome"] == "failed");
        assert!(failed, "{binary} has not failed");
    }
    lines.extend(std::mem::take(&mut *said.lock().unwrap()));

    let push_key = vendor.push_key();
    let push_secret = push_key.split("apiKey=").nth(1).unwrap();
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("push.attempted") && log.contains("video.attempted"), "{log}");
    let lines: String = lines.iter().map(Value::to_string).collect();
    for outcome in ["ok", "bad_request", "denied", "failed"] {
        assert!(lines.contains(&format!("\"outcome\":\"{outcome}\"")), "{outcome}");
    }
    let mut rows = String::new();
    for (table, items) in harness.dump().await {
        for item in items {
            // The push key's own column, and nothing but that column.
            let own = format!("\"pushKey\":{push_key:?}");
            let rest = if table == "AccountsTable" { item.replacen(&own, "", 1) } else { item.clone() };
            assert!(table != "AccountsTable" || rest != item, "the push key is in its column");
            // The link to a video, likewise.
            rows.push_str(&rest.replace("secret-video-link\"", "\""));
        }
    }
    let mut files = String::new();
    for entry in std::fs::read_dir(&harness.system.stores.objects).unwrap() {
        files.push_str(&String::from_utf8_lossy(&std::fs::read(entry.unwrap().path()).unwrap()));
    }
    let told: String = replies.iter().map(|(_, reply)| reply.as_str()).collect::<Vec<_>>().join("\n");
    // Keys that were made on the way are in the reply that made them.
    let made: Vec<String> = replies
        .iter()
        .filter_map(|(_, reply)| serde_json::from_str::<Value>(reply).ok()?["apiKey"].as_str().map(str::to_owned))
        .collect();
    assert!(!made.is_empty());
    for key in &made {
        for (what, text) in [("log", &log), ("line", &lines), ("row", &rows), ("file", &files)] {
            assert!(!text.contains(key), "a {what} holds a key");
        }
    }
    let secrets =
        [vendor.token.as_str(), liar.token.as_str(), SHA1, push_secret, "hostile-push-key", "secret-video-link"];
    for secret in secrets {
        for (what, text) in [("log", &log), ("line", &lines), ("reply", &told), ("row", &rows), ("file", &files)] {
            assert!(!text.contains(secret), "a {what} holds a secret that begins with {}", &secret[..6]);
        }
    }
    // Signed links are in the replies that are there to give them, and nowhere else.
    let gives_links = ["uploads", "manifest", "uploads/{uuId}", "unmatched", "assign", "answers"];
    for (of, reply) in &replies {
        let may = of.contains(' ') && gives_links.iter().any(|end| of.ends_with(end));
        assert!(may || !reply.contains("X-Amz-Signature"), "{of} gives a signed link");
    }
    assert!(told.contains("X-Amz-Signature"));
    for (what, text) in [("log", &log), ("line", &lines), ("row", &rows)] {
        assert!(!text.contains("X-Amz-"), "a {what} holds a signed link");
    }
    // New keys are shown in the one reply that makes them.
    for (of, reply) in &replies {
        let makes = of == "POST /accounts/{username}/keys";
        assert!(makes || !reply.contains("apiKey"), "{of} shows a key");
    }
}

/// A request that the function answers from its stores.
fn failing(binary: &str, content_type: &str, body: &[u8]) -> Request {
    let route = match binary {
        "orders" => "/accounts/{username}/orders",
        "accounts" => "/accounts",
        _ => return pruvans(content_type, body),
    };
    let event = json!({
        "resource": route, "path": "/accounts/vendor1/orders", "httpMethod": "GET", "headers": {}, "multiValueHeaders": {},
        "pathParameters": { "username": "vendor1" }, "body": null, "isBase64Encoded": false,
        "requestContext": { "resourcePath": route, "httpMethod": "GET", "identity": {} },
    });
    lambda_http::request::from_str(&event.to_string()).unwrap()
}

fn pruvans(content_type: &str, body: &[u8]) -> Request {
    let request = lambda_http::http::Request::builder().method("POST").header("content-type", content_type);
    request.body(Body::Binary(body.to_vec())).unwrap()
}

fn routes() -> Vec<(String, local::template::Route)> {
    let functions = Template::parse(TEMPLATE).unwrap().functions.into_values();
    functions
        .flat_map(|function| function.routes.into_iter().map(move |route| (function.binary.clone(), route)))
        .collect()
}

/// A crate that isn't in the list is logged like a stranger's; a stranger's in it would show requests whole.
#[test]
fn the_log_knows_our_own_crates() {
    let names = packages().into_iter().map(|package| package["name"].as_str().unwrap().replace('-', "_"));
    let mut crates: Vec<String> = names.filter(|name| name != "tests").collect();
    crates.sort();
    assert_eq!(crates, log::OURS);
}
