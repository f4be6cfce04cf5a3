//! The developer's machine: other pages, other programs and other runs on it, which must get nothing out of the runner.

use std::time::Duration;

use axum::extract::Request;
use axum::response::IntoResponse as _;
use bridge::accounts::Accounts;
use bridge::import::Choices;
use bridge::outbound::{GetError, Outbound, Refused};
use bridge::settings::Settings;
use bridge_console::commands::{PruvanOptions, pruvan};
use host_client::HostClient;
use host_client::import::{ImportError, rows, run, run_until};
use local::serve::{ServeOptions, command};
use pruvan::integration::IntegrationType;
use reqwest::{Method, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use simulator::VideoReply;
use simulator::folder::take;

use crate::harness::{Harness, PHOTO, picture};

/// The settings of the functions, with other ones in their places.
fn settings(harness: &Harness, others: &[(&str, &str)]) -> Settings {
    let settings = harness.system.settings.iter().map(|(name, value)| {
        let other = others.iter().find(|(other, _)| *other == name);
        (name.to_owned(), other.map_or(value, |(_, value)| value).to_owned())
    });
    settings.collect()
}

const EXAMPLE_KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "local"), ("AWS_SECRET_ACCESS_KEY", "localsecret")];

#[tokio::test]
async fn the_embedded_dynamodb_answers_sdks_with_the_runners_key_and_no_page() {
    let harness = Harness::start().await;
    let url = &harness.system.stores.dynamodb_url;
    let http = bridge::aws::http_client();
    let list = async |others: &[(&str, &str)]| {
        let client = bridge::aws::dynamodb(&settings(&harness, others), &http).unwrap();
        match client.list_tables().send().await {
            Ok(tables) => format!("{} tables", tables.table_names().len()),
            Err(error) => format!("{}", aws_sdk_dynamodb::error::DisplayErrorContext(error)),
        }
    };
    assert!(list(&[]).await.ends_with(" tables"));
    // As a container on this machine calls it.
    let port = url.rsplit(':').next().unwrap();
    let by_name = format!("http://localhost:{port}");
    assert!(list(&[("AWS_ENDPOINT_URL_DYNAMODB", &by_name)]).await.ends_with(" tables"));
    let said = list(&EXAMPLE_KEYS).await;
    assert!(said.contains("UnrecognizedClientException") && said.contains("accessKeyId"), "{said}");
    let said = list(&EXAMPLE_KEYS[1..]).await;
    assert!(said.contains("InvalidSignatureException") && said.contains("secretAccessKey"), "{said}");

    let before = harness.dump().await;
    let any =
        "AWS4-HMAC-SHA256 Credential=local/20261123/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0";
    let presigned = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=local%2F20261123%2Fus-east-1%2Fdynamodb%2Faws4_request\
        &X-Amz-Date=20261123T120000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=0";
    for (method, path, name, value, status) in [
        (Method::OPTIONS, "", "origin", "http://other.example", 403),
        (Method::POST, "", "origin", "http://other.example", 403),
        (Method::POST, "", "origin", "null", 403),
        (Method::POST, "", "origin", url.as_str(), 403),
        (Method::POST, "", "sec-fetch-site", "same-site", 403),
        (Method::POST, "", "host", "rebound.example", 403),
        (Method::POST, "", "host", "0.0.0.0:8000", 403),
        (Method::POST, "", "accept", "*/*", 400),
        (Method::POST, "", "authorization", any, 400),
        (Method::POST, presigned, "accept", "*/*", 400),
        (Method::GET, "", "accept", "*/*", 400),
        (Method::DELETE, "", "accept", "*/*", 400),
    ] {
        let request = harness.client.request(method.clone(), format!("{url}/?{path}")).header(name, value);
        let request = request.header("x-amz-target", "DynamoDB_20120810.DeleteTable");
        let request = request.header("content-type", "application/x-amz-json-1.0");
        let reply = request.body(r#"{"TableName":"AccountsTable"}"#).send().await.unwrap();
        assert_eq!(reply.status().as_u16(), status, "{method} {name}: {value}");
        assert!(!reply.headers().keys().any(|name| name.as_str().starts_with("access-control")), "{method} {name}");
        let said: Value = serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap();
        assert!(said["__type"].is_string() && said["message"].as_str().is_some_and(|said| said.len() > 20), "{said}");
    }
    assert_eq!(harness.dump().await, before);
}

#[tokio::test]
async fn the_embedded_s3_answers_sdks_with_the_runners_key_and_links_that_are_signed() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    harness.put("vendor1", "1", json!({})).await;
    vendor.publish(picture("p", "1", json!({})), Some(("1.jpg", PHOTO))).await.unwrap();
    let (_, item) = harness.host("GET", "/accounts/vendor1/uploads/p", None).await;
    let link = item["link"].as_str().unwrap().to_owned();
    let get = async |link: &str, name: &str, value: &str| {
        let reply = harness.client.get(link).header(name, value).send().await.unwrap();
        assert!(!reply.headers().keys().any(|name| name.as_str().starts_with("access-control")), "{name}");
        (reply.status().as_u16(), reply.bytes().await.unwrap() == PHOTO)
    };
    // Opened from the console, from a host's page elsewhere, by typing it, and by a program.
    for site in ["same-site", "cross-site", "none"] {
        assert_eq!(get(&link, "sec-fetch-site", site).await, (200, true), "{site}");
    }
    assert_eq!(get(&link, "accept", "*/*").await, (200, true));
    for (name, value) in [("origin", "http://other.example"), ("origin", "null"), ("host", "rebound.example")] {
        assert_eq!(get(&link, name, value).await, (403, false), "{name}: {value}");
    }
    let (unsigned, _) = link.split_once('?').unwrap();
    let longer = link.replace("X-Amz-Expires=3600", "X-Amz-Expires=360000");
    assert_ne!(longer, link);
    let (mut otherwise, _) = link.split_once("X-Amz-Signature=").map(|(link, end)| (link.to_owned(), end)).unwrap();
    otherwise.push_str(&format!("X-Amz-Signature={}", "0".repeat(64)));
    for link in [unsigned.to_owned(), longer, otherwise] {
        assert_eq!(get(&link, "accept", "*/*").await, (403, false), "{link}");
    }
    let http = bridge::aws::http_client();
    let put = async |others: &[(&str, &str)], bytes: Vec<u8>| {
        let client = bridge::aws::s3(&settings(&harness, others), &http).unwrap();
        let put = client.put_object().bucket("FilesBucket").key("vendor1/x").body(bytes.into()).send().await;
        put.map(drop).map_err(|error| format!("{}", aws_sdk_s3::error::DisplayErrorContext(error)))
    };
    // Of this size the SDK signs the chunks' trailer.
    assert_eq!(put(&[], vec![0; 2_000_000]).await, Ok(()));
    assert!(put(&EXAMPLE_KEYS, Vec::new()).await.unwrap_err().contains("InvalidAccessKeyId"));
    assert!(put(&EXAMPLE_KEYS[1..], Vec::new()).await.unwrap_err().contains("SignatureDoesNotMatch"));
    let files = harness.dump().await["files"].len();
    for (name, value) in
        [("origin", "null"), ("sec-fetch-site", "cross-site"), ("host", "rebound.example"), ("accept", "x")]
    {
        let put = harness.client.put(unsigned).header(name, value).body("x").send().await.unwrap();
        assert_eq!(put.status(), 403, "{name}: {value}");
    }
    assert_eq!(harness.dump().await["files"].len(), files);
}

/// All that the runner's ports must not be called with by itself.
fn ways_back(harness: &Harness) -> Vec<String> {
    let (gateway, stores) = (&harness.system.gateway_url, &harness.system.stores);
    vec![
        format!("{gateway}/accounts/other/keys"),
        format!("{gateway}/api/../accounts/other/keys"),
        format!("{gateway}/api/%2e%2e/accounts/other/keys"),
        gateway.replace("127.0.0.1", "2130706433") + "/accounts/other/keys",
        format!("{gateway}/console/do/validate"),
        format!("{gateway}/"),
        format!("{}/", stores.dynamodb_url),
        format!("{}/FilesBucket/x", stores.s3_url),
    ]
}

#[tokio::test]
async fn no_push_key_leads_back_to_the_runner() {
    let harness = Harness::start().await;
    harness.account("other", IntegrationType::Internal).await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    let state = async || harness.host("GET", "/accounts/vendor1", None).await.1["pushKey"]["state"].clone();
    let others = async || harness.host("GET", "/accounts/other", None).await.1;
    let before = others().await;
    for push_key in ways_back(&harness) {
        vendor.call("validate", json!({ "pushkey": push_key }), None).await.unwrap();
        assert_eq!(state().await, "refused", "{push_key}");
    }
    // Nor does one that was taken when it was no way back: the runner has other ports each time.
    let accounts = Accounts::new(&harness.dependencies()).unwrap();
    for push_key in ways_back(&harness) {
        harness.advance(60);
        let account = accounts.get("vendor1").await.unwrap().unwrap();
        let now = harness.now() * 1000;
        accounts.set_push_key(&account, &SecretString::from(push_key), None, now).await.unwrap();
        harness.put("vendor1", "1", json!({ "clientStatus": harness.now().to_string() })).await;
        harness.system.tick().await;
        let (_, queue) = harness.host("GET", "/accounts/vendor1/push-queue", None).await;
        assert!(queue.to_string().contains("\"1\""), "{queue}");
    }
    assert_eq!(others().await, before);
    // What plays Pruvan beside the gateway is called, and one on another port.
    let beside = format!("{}/api/?apiKey=x", harness.system.gateway_url);
    for push_key in [beside, vendor.push_key()] {
        vendor.call("validate", json!({ "pushkey": push_key }), None).await.unwrap();
        assert_eq!(state().await, "live", "{push_key}");
    }
}

#[tokio::test]
async fn no_videos_link_leads_back_to_the_runner_also_over_a_redirect() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    harness.put("vendor1", "1", json!({})).await;
    let mut links = ways_back(&harness);
    links.extend(ways_back(&harness).into_iter().enumerate().map(|(n, to)| {
        let once = harness.pruvan.video(&format!("once-{n}"), [VideoReply::Redirect(to)]);
        harness.pruvan.video(&format!("twice-{n}"), [VideoReply::Redirect(once)])
    }));
    for (n, link) in links.iter().enumerate() {
        let uu_id = format!("v{n}");
        let mut item = picture(&uu_id, "1", json!({ "videoUri": link, "timestamp": harness.now() }));
        item["uuId"] = json!(uu_id);
        vendor.publish(item, Some(("1.jpg", PHOTO))).await.unwrap();
        harness.system.tick().await;
        let (_, item) = harness.host("GET", &format!("/accounts/vendor1/uploads/{uu_id}"), None).await;
        let video = &item["video"];
        assert_eq!(video["error"], "the link is not called: it must not lead back to this system", "{link}: {item}");
        harness.advance(60);
    }
    // An https host of the list that redirects to this machine is no way here, either.
    let public = Outbound::public();
    let link = SecretString::from(ways_back(&harness).remove(0));
    let got = public.get(&public.streaming_client().unwrap(), &link, &["pruvan.com".to_owned()]).await;
    assert_eq!(got.unwrap_err(), GetError::Refused(Refused::NotHttps));
}

#[tokio::test]
async fn a_page_on_another_port_changes_nothing_by_the_hosts_api() {
    let harness = Harness::start().await;
    harness.account("vendor1", IntegrationType::Internal).await;
    let url = format!("{}/accounts/vendor1/keys", harness.system.gateway_url);
    let before = harness.dump().await;
    for (name, value) in [
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "cross-site"),
        ("origin", "http://127.0.0.1:8000"),
        ("origin", "http://localhost:8000"),
        ("origin", "null"),
        ("host", "rebound.example"),
        ("host", "0.0.0.0:9000"),
    ] {
        let reply = harness.client.post(&url).header(name, value).body("{}").send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::FORBIDDEN, "{name}: {value}");
        assert_eq!(reply.headers()["content-type"], "application/problem+json");
        let problem: Value = serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap();
        assert!(problem["detail"].as_str().unwrap().contains("nothing from other pages"), "{problem}");
    }
    assert_eq!(harness.dump().await, before);
    let account = format!("{}/accounts/vendor1", harness.system.gateway_url);
    let from_elsewhere = harness.client.get(&account).header("sec-fetch-site", "cross-site");
    let loaded = from_elsewhere.try_clone().unwrap().header("sec-fetch-mode", "no-cors").send().await.unwrap();
    let opened = from_elsewhere.header("sec-fetch-mode", "navigate").send().await.unwrap();
    assert_eq!((loaded.status().as_u16(), opened.status().as_u16()), (403, 200));
    // Pruvan's own calls say who they are.
    let reply = harness.client.post(format!("{}/validate.html", harness.system.gateway_url));
    let reply = reply.header("sec-fetch-site", "cross-site").form(&[("payload", "{}")]).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_browser_is_led_from_the_gateways_root_to_the_console() {
    let harness = Harness::start().await;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let ask = async |method: Method, path: &str, accept: &str| {
        let url = format!("{}{path}", harness.system.gateway_url);
        client.request(method, url).header("accept", accept).send().await.unwrap()
    };
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let reply = ask(Method::GET, "/", browser).await;
    assert_eq!((reply.status().as_u16(), reply.headers()["location"].to_str().unwrap()), (303, "/console"));
    for (method, path, accept) in
        [(Method::GET, "/", "*/*"), (Method::POST, "/", browser), (Method::GET, "/nothing", browser)]
    {
        let reply = ask(method.clone(), path, accept).await;
        assert_eq!(reply.status(), StatusCode::FORBIDDEN, "{method} {path} {accept}");
    }
}

fn orders(count: usize) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("orders.ndjson");
    let line = |n| {
        json!({ "workOrderNumber": format!("N{n}"), "address1": "a", "city": "b", "state": "TX", "zip": "78664", "services": [{ "serviceName": "Task" }] }).to_string()
    };
    std::fs::write(&file, (0..count).map(line).collect::<Vec<_>>().join("\n")).unwrap();
    (folder, file)
}

/// A host's API that takes the first call whole and never answers the second.
async fn falls_silent(request: Request) -> axum::response::Response {
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
    let orders: Vec<Value> = serde_json::from_slice(&body).unwrap();
    if orders[0]["workOrderNumber"] != "N0" {
        std::future::pending::<()>().await;
    }
    let created = |order: &Value| json!({ "workOrderNumber": order["workOrderNumber"], "result": "created" });
    json!({ "results": orders.iter().map(created).collect::<Vec<_>>() }).to_string().into_response()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_broken_off_says_what_is_in() {
    let (listener, url) = simulator::listen::listen(0).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(falls_silent)).await });
    let (_folder, file) = orders(2_300);
    let choices = Choices::default();
    let host = HostClient::new(&url).unwrap();
    let interrupted = tokio::time::sleep(Duration::from_secs(3));
    let rows = rows(&file, &choices).unwrap();
    let (done, error) = run_until(&host, "vendor1", rows, &choices, interrupted).await.unwrap_err();
    assert_eq!(done.counts["created"], 1_000);
    assert!(matches!(error, ImportError::Interrupted { left: 1_300 }), "{error}");
    assert_eq!(error.exit_code(), 130);
    assert!(error.to_string().contains("1300 orders are not in yet"), "{error}");
}

/// A URL of this machine at which nothing listens.
async fn nobody() -> String {
    let (listener, url) = simulator::listen::listen(0).await.unwrap();
    drop(listener);
    url
}

#[tokio::test]
async fn where_nothing_listens_on_this_machine_it_is_said_at_once_what_to_start() {
    let url = nobody().await;
    let next = format!("nothing answers at {url}: start `cargo run -p local`");
    let host = HostClient::new(&url).unwrap();
    let error = host.get("/accounts?secret=x").await.unwrap_err();
    assert!(error.is_lasting() && error.to_string().contains(&next), "{error}");
    let (_folder, file) = orders(1);
    let choices = Choices::default();
    let import = run(&host, "vendor1", rows(&file, &choices).unwrap(), &choices);
    // Trying again would take half a minute.
    let (_, error) = tokio::time::timeout(Duration::from_secs(5), import).await.unwrap().unwrap_err();
    assert!(error.to_string().contains(&next), "{error}");
    assert_eq!(error.exit_code(), 2);
    let error = pruvan(&pruvan_alone(&url, "key", None)).await.err().unwrap().to_string();
    assert!(error.contains(&format!("nothing answers at {url}")) && error.contains("cargo run -p local"), "{error}");
}

fn pruvan_alone(url: &str, token: &str, data: Option<&std::path::Path>) -> PruvanOptions {
    PruvanOptions {
        url: url.to_owned(),
        extension: "html".to_owned(),
        username: "vendor1".to_owned(),
        token: Some(token.into()),
        internal: false,
        auto_admin: false,
        push_url: None,
        push_port: 0,
        port: 0,
        data: data.map(std::path::Path::to_owned),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pruvan_alone_says_at_once_that_a_key_is_wrong_and_leaves_the_push_key_as_it_was() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::External).await;
    vendor.validate().await.unwrap();
    let url = &harness.system.gateway_url;
    let error = pruvan(&pruvan_alone(url, "wrong", None)).await.err().unwrap().to_string();
    assert!(error.contains("invalid username or password") && error.contains("PRUVAN_KEY"), "{error}");
    let mut other = pruvan_alone(url, &vendor.token, None);
    other.username = "vendor2".to_owned();
    assert!(pruvan(&other).await.is_err());
    other = pruvan_alone(url, &vendor.token, None);
    other.extension = "cfm".to_owned();
    let error = pruvan(&other).await.err().unwrap().to_string();
    assert!(error.contains("this address does not exist") && error.contains("--extension"), "{error}");
    // What an implementation under way answers the page is there to show.
    let (listener, odd) = simulator::listen::listen(0).await.unwrap();
    let answer = axum::Router::new().fallback(|| async { "Notice: Undefined index" });
    tokio::spawn(async move { axum::serve(listener, answer).await });
    let page = pruvan(&pruvan_alone(&odd, "key", None)).await.unwrap();
    assert!(page.about.contains("status 200 and not as validate does"), "{}", page.about);
    page.stop().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let options = pruvan_alone(url, &vendor.token, Some(folder.path()));
    let page = pruvan(&options).await.unwrap();
    let (_, account) = harness.host("GET", "/accounts/vendor1", None).await;
    assert_eq!(account["pushKey"]["state"], "live");
    // One folder is one run's.
    let error = pruvan(&options).await.err().unwrap().to_string();
    assert!(error.contains("is in use") && error.contains("--data"), "{error}");
    page.stop().unwrap();
    pruvan(&options).await.unwrap().stop().unwrap();
}

#[tokio::test]
async fn a_second_runner_on_a_data_folder_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let start = async |data: &std::path::Path| {
        let options =
            ServeOptions { port: 0, data: data.to_owned(), memory: false, tick: 3600, time_scale: 1, sample: false };
        // It would run until it is stopped.
        tokio::time::timeout(Duration::from_secs(20), command(options)).await.unwrap().unwrap_err().to_string()
    };
    let first = take(folder.path()).unwrap();
    let error = start(folder.path()).await;
    assert!(error.contains("is in use") && error.contains("--data"), "{error}");
    drop(first);
    // Nor while Pruvan is played alone on its part of the folder.
    let pruvan = folder.path().join("pruvan");
    let _first = take(&pruvan).unwrap();
    let error = start(folder.path()).await;
    assert!(error.contains(&pruvan.display().to_string()) && error.contains("is in use"), "{error}");
}
