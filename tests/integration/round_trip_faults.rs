//! The whole round trip, once for each call that it makes to DynamoDB, S3 and Pruvan, and for each way in which that
//! can fail: what was acknowledged is there at the end, each error is documented JSON, and nothing hangs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bridge::Dependencies;
use bridge::outbound::Outbound;
use bridge::run::Deadline;
use bridge::time::{Random, Waits};
use lambda_http::Body;
use local::functions::{Function, Reply};
use local::template::{TEMPLATE, Template};
use pruvan::integration::IntegrationType;
use serde_json::{Value, json};
use simulator::{Integration, MP4_HEAD, VideoReply, Weather, multipart};

use crate::harness::faults::{Fault, Faults};
use crate::harness::{Harness, PHOTO, order, picture};

/// One trip of one account, through functions whose calls fail as planned.
struct Trip<'a> {
    harness: &'a Harness,
    functions: &'a BTreeMap<String, Function>,
    username: String,
    vendor: Option<Integration>,
    /// Errors that were told, of the host's API and of Pruvan's services.
    told: usize,
}

const STORED: &str = r#"{"status":true,"error":null}"#;

impl Trip<'_> {
    async fn call(
        &mut self,
        binary: &str,
        method: &str,
        route: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> (u16, String) {
        let Function::Http(function) = &self.functions[binary] else { panic!("{binary}") };
        let path =
            route.replace("{username}", &self.username).replace("{workOrderNumber}", "1").replace("{uuId}", "stray");
        let event = json!({
            "resource": route, "path": path, "httpMethod": method, "headers": { "content-type": content_type },
            "multiValueHeaders": { "content-type": [content_type] },
            "pathParameters": { "username": self.username, "workOrderNumber": "1", "uuId": "stray" },
            "requestContext": { "resourcePath": route, "httpMethod": method, "identity": {} },
            "body": base64::Engine::encode(&base64::engine::general_purpose::STANDARD, body), "isBase64Encoded": true,
        });
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        // API Gateway's patience; the clients here have shorter time-outs than the real ones, which
        // `a_store_that_hangs` is about.
        let reply = tokio::time::timeout(Duration::from_secs(29), function(request)).await.unwrap();
        match reply {
            Reply::Buffered(reply) => {
                assert!(!matches!(reply.body(), Body::Binary(_)));
                (reply.status().as_u16(), String::from_utf8(reply.body().as_ref().to_vec()).unwrap())
            }
            Reply::Streamed(reply) => {
                let status = reply.status().as_u16();
                let whole = tokio::time::timeout(Duration::from_secs(29), reply.into_body().collect()).await;
                // A list that broke off is no JSON, and so not taken for a whole one.
                let whole = whole.unwrap().unwrap_or_else(|_| b"{\"error\":\"broken off".to_vec());
                (status, String::from_utf8(whole).unwrap())
            }
        }
    }

    /// The host calls until it is answered with `expected`, at most twice more; what else comes is a problem of the
    /// documented form.
    async fn host(&mut self, binary: &str, method: &str, route: &str, body: Value, expected: &[u16]) -> Value {
        for _ in 0..3 {
            let (status, reply) = self.call(binary, method, route, "application/json", body.to_string().into()).await;
            let reply: Value = serde_json::from_str(&reply).unwrap_or_else(|_| panic!("{route}: {reply}"));
            if expected.contains(&status) {
                return reply;
            }
            self.told += 1;
            assert!(matches!(status, 409 | 503), "{method} {route}: {status} {reply}");
            assert_eq!(reply["status"], status, "{reply}");
            assert!(reply["title"].is_string() && reply["detail"].as_str().unwrap().contains("again"), "{reply}");
        }
        panic!("{method} {route} doesn't come right when it is tried again");
    }

    /// Pruvan calls until all is well; what else comes is the documented refusal, which tells to try again.
    async fn pruvan(&mut self, binary: &str, service: &str, mut payload: Value, file: Option<&[u8]>) -> Value {
        let vendor = self.vendor.clone().unwrap();
        payload["username"] = json!(self.username);
        payload["token"] = json!(vendor.token);
        for _ in 0..3 {
            let (content_type, body) = multipart(&payload.to_string(), file.map(|file| ("1.jpg", file)));
            let (status, reply) = self.call(binary, "POST", &format!("/{service}.html"), &content_type, body).await;
            assert_eq!(status, 200);
            let Ok(answer) = serde_json::from_str::<Value>(&reply) else {
                assert_eq!((service, reply.as_str()), ("getWorkOrders", "{\"error\":\"broken off"));
                self.told += 1;
                continue;
            };
            let error = answer["error"].as_str().or(answer["error"][0]["error"].as_str()).unwrap_or_default();
            if error.is_empty() {
                return answer;
            }
            self.told += 1;
            assert!(error.contains("please try again"), "{reply}");
            let shape = match service {
                "validate" => answer["validated"] == false,
                "getWorkOrders" => {
                    answer.as_object().unwrap().contains_key("workOrders") || answer.get("error").is_some()
                }
                _ => answer["status"] == false,
            };
            assert!(shape, "{service}: {reply}");
        }
        panic!("{service} doesn't come right when it is tried again");
    }

    async fn tick(&mut self, binary: &str) {
        let Function::Schedule(function) = &self.functions[binary] else { panic!("{binary}") };
        let deadline = Deadline::at(self.harness.now() * 1000 + 120_000);
        // A tick that fails is an error of the function, and the next one goes on.
        let ended = tokio::time::timeout(Duration::from_secs(60), function(deadline)).await.unwrap();
        self.told += usize::from(ended.is_err());
    }
}

/// Every function, with these clients and its own permissions.
fn functions(harness: &Harness, dependencies: &Dependencies) -> BTreeMap<String, Function> {
    let of = Template::parse(TEMPLATE).unwrap().functions.into_values().map(|function| function.binary);
    let start = |binary: String| {
        let dependencies = harness.permissions.of(&binary, dependencies.clone());
        (binary.clone(), local::functions::start(&binary, &dependencies).unwrap().unwrap())
    };
    of.map(start).collect()
}

/// Those whose calls fail as planned.
fn faulty(harness: &Harness, faults: &Faults) -> BTreeMap<String, Function> {
    let stores = &harness.system.stores;
    functions(harness, &faults.meet(harness.dependencies(), &stores.dynamodb_url, &stores.s3_url))
}

/// Makes the trip; what happens at which call is planned already. Gives back how many errors were told,
/// and whether the planned fault met a call.
async fn trip(
    harness: &Harness,
    functions: &BTreeMap<String, Function>,
    faults: &Faults,
    username: &str,
    weather: Option<Weather>,
) -> (usize, bool) {
    let mut trip = Trip { harness, functions, username: username.to_owned(), vendor: None, told: 0 };
    let settings = json!({ "integration": "internal" });
    let made = trip.host("accounts", "PUT", "/accounts/{username}", settings, &[200, 201]).await;
    // A key whose call failed altogether is made anew: that is the one case where a person has to do so.
    let token = match made["apiKey"].as_str() {
        Some(token) => token.to_owned(),
        None => {
            let made = trip.host("accounts", "POST", "/accounts/{username}/keys", json!(null), &[201]).await;
            made["apiKey"].as_str().unwrap().to_owned()
        }
    };
    let vendor = harness.pruvan.integrate(
        &harness.system.gateway_url,
        "html",
        username,
        &token,
        IntegrationType::Internal,
        false,
    );
    trip.vendor = Some(vendor.clone());
    let one = "/accounts/{username}/orders/{workOrderNumber}";
    trip.host("orders", "PUT", one, order(json!({ "status": "assigned" })), &[200, 201]).await;
    trip.pruvan("validate", "validate", json!({ "pushkey": vendor.push_key() }), None).await;
    let pulled = trip.pruvan("get-work-orders", "getWorkOrders", json!({ "timestamp": null }), None).await;
    assert_eq!(pulled["workOrders"][0]["workOrderNumber"], "1");
    vendor.import(None).await.unwrap();
    trip.host("orders", "PATCH", one, json!({ "reference": "changed" }), &[200]).await;
    vendor.forecast(weather);
    trip.tick("push-drain").await;

    let link = harness.pruvan.video(username, [VideoReply::Bytes([MP4_HEAD, &[7; 1000]].concat())]);
    let photo = picture("photo", "1", json!({ "videoUri": link, "timestamp": harness.now() }));
    trip.pruvan("upload-pictures", "uploadPictures", photo, Some(PHOTO)).await;
    let survey = picture("survey", "1", json!({ "fileType": "survey", "survey": { "answers": [] } }));
    trip.pruvan("upload-pictures", "uploadPictures", survey, None).await;
    let stray = picture("stray", "elsewhere", json!({}));
    trip.pruvan("upload-pictures", "uploadPictures", stray, Some(PHOTO)).await;
    let report = json!({ "workOrders": [{ "workOrderNumber": "1", "status": "complete", "fieldStatus": "complete" }] });
    trip.pruvan("status", "status", report, None).await;
    trip.tick("fetch-videos").await;
    let assign = "/accounts/{username}/unmatched/{uuId}/assign";
    trip.host("orders", "POST", assign, json!({ "workOrderNumber": "1" }), &[200]).await;
    let shown = trip.host("orders", "GET", &format!("{one}/uploads"), json!(null), &[200]).await;
    assert_eq!(shown["uploads"].as_array().unwrap().len(), 3);
    let met = faults.end();
    let told = trip.told;

    // Some minutes later, all is well.
    for _ in 0..3 {
        harness.advance(300);
        harness.system.tick().await;
    }
    let of = |path: &str| format!("/accounts/{username}{path}");
    let held = harness.order(username, "1").await;
    assert_eq!(
        (&held["workOrder"]["reference"], &held["push"]["state"]),
        (&json!("changed"), &json!("upToDate")),
        "{held}"
    );
    assert_eq!(held["reported"]["status"], "complete");
    assert_eq!(vendor.project("1").unwrap()["reference"], "changed");
    let (_, photo) = harness.host("GET", &of("/uploads/photo"), None).await;
    assert_eq!(photo["video"]["state"], "stored", "{photo}");
    let file = harness.client.get(photo["link"].as_str().unwrap()).send().await.unwrap().bytes().await.unwrap();
    assert!(file == PHOTO);
    let (_, uploads) = harness.host("GET", &of("/orders/1/uploads"), None).await;
    assert_eq!(uploads["uploads"].as_array().unwrap().len(), 3, "{uploads}");
    let (_, unmatched) = harness.host("GET", &of("/unmatched"), None).await;
    assert_eq!(unmatched["uploads"], json!([]));
    (told, met)
}

/// Trips one after another, each with `fault` at another call. Pulls read sixteen pages, and a tick asks the index
/// sixteen times: of calls that are alike, one after another, the first stands for all. So it does of all that are
/// alike where each takes its time.
async fn trips(fault: Fault) {
    let harness = Harness::start().await;
    let faults = Faults::default();
    assert_eq!(trip(&harness, &faulty(&harness, &faults), &faults, "clean", None).await, (0, true));
    let calls = faults.calls();
    assert!(calls.len() > 60, "{calls:?}");
    if fault == Fault::Hangs {
        faults.patience(Duration::from_secs(1));
    }
    let functions = faulty(&harness, &faults);
    let (mut told, mut met, mut tried) = (0, 0, 0);
    for nth in 0..calls.len() {
        let alike = if fault == Fault::Hangs { &calls[..nth] } else { &calls[nth.saturating_sub(1)..nth] };
        if alike.contains(&calls[nth]) {
            continue;
        }
        faults.plan(nth, fault);
        let began = Instant::now();
        let (errors, was_met) = trip(&harness, &functions, &faults, &format!("trip-{nth}"), None).await;
        told += errors;
        met += usize::from(was_met);
        tried += 1;
        assert!(began.elapsed() < Duration::from_secs(60));
    }
    // A trip may make a call or two less than the first.
    assert!(met + 2 >= tried, "{met} of {tried} faults met a call");
    // What is lost after it took effect is mended by the SDK; all else is told.
    assert!(if fault == Fault::After { told == 0 } else { told > 5 }, "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_call_is_cut_off() {
    trips(Fault::Before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_reply_is_lost() {
    trips(Fault::After).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_call_is_throttled() {
    trips(Fault::Throttled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_call_gets_a_500() {
    trips(Fault::Broken).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_call_hangs() {
    trips(Fault::Hangs).await;
}

#[tokio::test]
async fn pruvan_fails_in_each_way() {
    let harness = Harness::start().await;
    let weathers = [
        Weather::Answer(500, String::new()),
        Weather::Answer(429, String::new()),
        Weather::Later("60".to_owned()),
        Weather::Answer(200, "<html>".to_owned()),
        Weather::Lost(None),
        Weather::Lost(Some(20_000)),
        Weather::Uncounted,
    ];
    let faults = Faults::default();
    let functions = faulty(&harness, &faults);
    for (n, weather) in weathers.into_iter().enumerate() {
        assert_eq!(trip(&harness, &functions, &faults, &format!("weather-{n}"), Some(weather)).await, (0, true));
    }
}

/// With the real clients and their real time-outs: DynamoDB that takes connections and never answers, and S3 likewise.
#[tokio::test]
async fn a_store_that_hangs_is_given_up_before_the_gateway_gives_us_up() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_url = format!("http://{}", silent.local_addr().unwrap());
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((connection, _)) = silent.accept().await {
            open.push(connection);
        }
    });
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    let ask = async |hangs: &str, binary: &str| {
        let stores = &harness.system.stores;
        let settings: Vec<(String, String)> = harness
            .system
            .settings
            .iter()
            .map(|(name, value)| {
                let silent = name.starts_with("AWS_ENDPOINT_URL") && name.ends_with(hangs);
                (name.to_owned(), if silent { silent_url.clone() } else { value.to_owned() })
            })
            .collect();
        assert!(stores.dynamodb_url != silent_url);
        let (clock, outbound) = (harness.clock(), Outbound::with_loopback());
        let dependencies =
            Dependencies::new(settings.into_iter().collect(), clock, Random::system(), Waits::REAL, outbound);
        let functions = functions(&harness, &dependencies);
        let username = "vendor1".to_owned();
        let mut trip =
            Trip { harness: &harness, functions: &functions, username, vendor: Some(vendor.clone()), told: 0 };
        let payload = picture(
            "p",
            "1",
            json!({ "username": "vendor1", "token": vendor.token, "workOrders": [{ "workOrderNumber": "1" }] }),
        );
        let (content_type, body) = multipart(&payload.to_string(), Some(("1.jpg", PHOTO)));
        let route = if binary == "orders" { "/accounts/{username}/orders" } else { "/any" };
        let method = if binary == "orders" { "GET" } else { "POST" };
        let (_, reply) = trip.call(binary, method, route, &content_type, body).await;
        assert!(reply.contains("again"), "{binary}: {reply}");
        assert!(reply != STORED);
    };
    tokio::join!(
        ask("DYNAMODB", "validate"),
        ask("DYNAMODB", "get-work-orders"),
        ask("DYNAMODB", "upload-pictures"),
        ask("DYNAMODB", "status"),
        ask("DYNAMODB", "orders"),
        ask("S3", "upload-pictures"),
    );
}
