//! `cargo run -p local -- doctor`: all is well with the local system, and what isn't is told by the right row with the
//! next step.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, Response, Uri};
use checks::doctor::{Options, run};
use checks::report::{Outcome, Report};
use host_client::Signer;
use host_client::stack;
use serde_json::json;

use local::gateway::Variant;

use crate::harness::Harness;

fn at(url: &str) -> Options {
    Options { url: Some(url.to_owned()), ..Options::default() }
}

/// The rows that failed: name, what was seen and what to do.
fn faults(report: &Report) -> Vec<(&str, &str, &str)> {
    let failed = report.rows.iter().filter_map(|row| match &row.outcome {
        Outcome::Fail(fault) => Some((row.check.as_str(), fault.seen.as_str(), fault.next.as_str())),
        _ => None,
    });
    failed.collect()
}

fn only_fault(report: &Report) -> (&str, &str, &str) {
    let [only] = faults(report).try_into().unwrap();
    only
}

/// All rows and files, but for the account's own row, which notes when orders were pulled.
async fn stored(harness: &Harness) -> BTreeMap<String, Vec<String>> {
    let mut stored = harness.dump().await;
    stored.remove("AccountsTable");
    stored
}

#[tokio::test(flavor = "multi_thread")]
async fn all_is_well_and_a_second_run_stores_nothing_new() {
    let harness = Harness::start().await;
    let options = at(&harness.system.gateway_url);
    let report = run(&options).await.unwrap();
    let shown: Vec<String> = report
        .rows
        .iter()
        .map(|row| match &row.outcome {
            Outcome::Pass(_) => format!("PASS {}", row.check),
            Outcome::Fail(fault) => format!("FAIL {} {fault:?}", row.check),
            Outcome::Warn(fault) => format!("WARN {} {fault:?}", row.check),
            Outcome::Skip(why) => format!("SKIP {}: {why}", row.check),
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    SKIP https, with a valid certificate: plain http, on this machine only
    PASS an account to check with
    SKIP the host's API refuses unsigned calls: nothing is signed on this machine
    PASS validate, under all five extensions
    PASS getWorkOrders, under all five extensions
    PASS uploadPictures, under all five extensions
    PASS status, under all five extensions
    PASS Content-Type: Mulipart/Form-Data
    PASS validate refuses a wrong key
    PASS getWorkOrders refuses a wrong key
    PASS uploadPictures refuses a wrong key
    PASS status refuses a wrong key
    PASS an unknown user is answered like a wrong key
    PASS an unknown path gets Pruvan's JSON
    PASS a photo of 4.5 MB arrives
    PASS a photo of 5 MB gets Pruvan's JSON
    PASS a photo of 11 MB is refused
    PASS all replies are ASCII
    PASS the key of this run is deleted
    ");
    assert!(report.is_healthy() && report.table(false).ends_with("17 passed, 0 failed, 2 skipped\n"));
    let (_, account) = harness.host("GET", "/accounts/doctor", None).await;
    assert_eq!((&account["keys"], &account["pushKey"]["state"]), (&json!([]), &json!("none")));
    let before = stored(&harness).await;
    // As if two runs had been killed: what they left behind makes room.
    for _ in 0..2 {
        assert_eq!(harness.host("POST", "/accounts/doctor/keys", None).await.0, 201);
    }
    assert!(run(&options).await.unwrap().is_healthy());
    let (_, account) = harness.host("GET", "/accounts/doctor", None).await;
    let [left] = account["keys"].as_array().unwrap().as_slice() else { panic!("{account}") };
    let path = format!("/accounts/doctor/keys/{}?last=true", left["keyId"].as_str().unwrap());
    assert_eq!(harness.host("DELETE", &path, None).await.0, 204);
    assert_eq!(stored(&harness).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_hosts_api_a_given_key_does() {
    let harness = Harness::start().await;
    let (_, made) = harness.host("PUT", "/accounts/checks", None).await;
    let key = made["apiKey"].as_str().unwrap();
    let mut options = Options { username: Some("checks".to_owned()), ..at(&harness.system.gateway_url) };
    assert!(run(&options).await.unwrap_err().to_string().starts_with("PRUVAN_KEY is not set"));
    options.key = Some(key.into());
    let report = run(&options).await.unwrap();
    assert!(report.is_healthy(), "{}", report.table(false));
    let large = report.rows.iter().find(|row| row.check == "a photo of 4.5 MB arrives").unwrap();
    assert!(format!("{:?}", large.outcome).contains("can't be seen without --host-url"), "{large:?}");
    assert!(!format!("{options:?}").contains(key));
    // A wrong one is told once, and nobody is blamed for refusing it.
    options.key = Some("another".into());
    let report = run(&options).await.unwrap();
    let (check, _, next) = only_fault(&report);
    assert!(check == "an account to check with" && next.contains("--username and PRUVAN_KEY are right"), "{next}");
}

/// Passes everything on to the system, but for what `spoil` says of a request or a reply.
struct Between {
    to: String,
    client: reqwest::Client,
    spoil: Spoil,
}

type Spoil = fn(&Uri, &HeaderMap, Vec<u8>, Stage) -> Spoiled;

enum Stage {
    Request,
    Reply(u16),
}

enum Spoiled {
    Body(Vec<u8>),
    Instead(u16, &'static str, &'static str),
}

impl Between {
    async fn answer(State(between): State<Arc<Between>>, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        let instead = |status: u16, kind: &str, text: &str| {
            let reply = Response::builder().status(status).header("content-type", kind);
            reply.body(Body::from(text.to_owned())).unwrap()
        };
        let body = match (between.spoil)(&parts.uri, &parts.headers, body, Stage::Request) {
            Spoiled::Body(body) => body,
            Spoiled::Instead(status, kind, text) => return instead(status, kind, text),
        };
        let mut sent = between.client.request(parts.method, format!("{}{}", between.to, parts.uri)).body(body);
        if let Some(kind) = parts.headers.get("content-type") {
            sent = sent.header("content-type", kind);
        }
        let reply = sent.send().await.unwrap();
        let (status, headers) = (reply.status().as_u16(), reply.headers().clone());
        let body = reply.bytes().await.unwrap().to_vec();
        match (between.spoil)(&parts.uri, &parts.headers, body, Stage::Reply(status)) {
            Spoiled::Body(body) => {
                let mut reply = Response::builder().status(status);
                if let Some(kind) = headers.get("content-type") {
                    reply = reply.header("content-type", kind);
                }
                reply.body(Body::from(body)).unwrap()
            }
            Spoiled::Instead(status, kind, text) => instead(status, kind, text),
        }
    }
}

/// What doctor says of the system with that in front of it.
async fn spoiled(harness: &Harness, spoil: Spoil) -> Report {
    let between = Between { to: harness.system.gateway_url.clone(), client: reqwest::Client::new(), spoil };
    let app = axum::Router::new().fallback(Between::answer).with_state(Arc::new(between));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let report = run(&at(&url)).await.unwrap();
    // Whatever happened, the key is gone again.
    assert_eq!(harness.host("GET", "/accounts/doctor", None).await.1["keys"], json!([]));
    report
}

fn has(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_the_replies_fails_its_own_row() {
    let harness = Harness::start().await;
    let report = spoiled(&harness, |uri, _, body, stage| match (uri.path(), stage) {
        // A wrong shape.
        ("/validate.php", Stage::Reply(_)) if has(&body, "true") => {
            Spoiled::Instead(200, "application/json", r#"{"valid":"yes"}"#)
        }
        // A page for people.
        ("/getWorkOrders" | "/getWorkOrders.aspx", Stage::Request) => {
            Spoiled::Instead(200, "text/html", "<html><title>Please log in</title></html>")
        }
        // More than ASCII in a message.
        ("/status.svc", Stage::Reply(_)) => {
            Spoiled::Body(String::from_utf8(body).unwrap().replace("does not", "doesn\u{2019}t").into_bytes())
        }
        // What API Gateway says where the template's own responses are missing.
        ("/doctor-no-such-service.html", Stage::Reply(_)) => {
            Spoiled::Instead(403, "application/json", r#"{"message":"Missing Authentication Token"}"#)
        }
        // Too large a photo answered in HTML, as proxies do.
        (_, Stage::Reply(413)) => Spoiled::Instead(413, "text/html", "<h1>413 Request Entity Too Large</h1>"),
        _ => Spoiled::Body(body),
    })
    .await;
    let [shape, page, path, ascii] = faults(&report).try_into().unwrap();
    assert_eq!(shape.0, "validate, under all five extensions");
    assert_eq!(shape.1, r#"validate.php: HTTP 200, application/json: {"valid":"yes"}"#);
    assert!(shape.2.contains(r#"documented is {"error":"","validated":true}"#), "{shape:?}");
    assert_eq!(page.0, "getWorkOrders, under all five extensions");
    assert!(page.1.starts_with("getWorkOrders, getWorkOrders.aspx: HTTP 200, text/html: <html>"), "{page:?}");
    assert!(page.2.contains("compare the URL with the output WebServiceUrl"), "{page:?}");
    assert_eq!(path.0, "an unknown path gets Pruvan's JSON");
    assert!(path.2.contains("with its stage (/live)") && path.2.contains("GatewayResponses"), "{path:?}");
    let warned = |row: &&checks::report::Row| matches!(row.outcome, Outcome::Warn(_));
    let size = report.rows.iter().find(warned).unwrap();
    assert_eq!(size.check, "a photo of 5 MB gets Pruvan's JSON");
    let Outcome::Warn(fault) = &size.outcome else { unreachable!() };
    assert!(fault.seen.starts_with("HTTP 413, text/html: <h1>413") && fault.next.contains("4.5 MB"), "{fault:?}");
    assert_eq!((ascii.0, ascii.1), ("all replies are ASCII", "other characters in the replies of status.svc"));
}

/// What API Gateway is reported to do where it doesn't take the template's gateway response.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_with_words_of_its_own_is_warned_of_and_fails_nobody() {
    let harness = Harness::with_gateway(Variant { has_its_own_too_long: true, reads_on: true }).await;
    let report = run(&at(&harness.system.gateway_url)).await.unwrap();
    assert!(report.is_healthy(), "{}", report.table(false));
    let table = report.table(false);
    assert!(
        table.contains(r#"WARN  a photo of 5 MB gets Pruvan's JSON"#) && table.contains("Request Too Long"),
        "{table}"
    );
    assert!(table.ends_with("16 passed, 0 failed, 2 skipped, 1 with a warning\n"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn photos_that_are_changed_on_their_way_are_seen() {
    let harness = Harness::start().await;
    // One bit of a large photo.
    let report = spoiled(&harness, |uri, _, mut body, stage| {
        if uri.path() == "/uploadPictures.html" && body.len() > 1_000_000 && matches!(stage, Stage::Request) {
            let middle = body.len() / 2;
            body[middle] ^= 1;
        }
        Spoiled::Body(body)
    })
    .await;
    let (check, seen, next) = only_fault(&report);
    assert_eq!(check, "a photo of 4.5 MB arrives");
    assert!(seen.starts_with("4500000 bytes were sent") && seen.contains("4500000 bytes came back"), "{seen}");
    assert!(next.contains("BinaryMediaTypes ['*~1*']"), "{next}");
    // A gateway that takes multipart in the specification's spelling for text.
    let report = spoiled(&harness, |_, headers, body, stage| {
        let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        match stage {
            Stage::Request if kind.starts_with("Mulipart/Form-Data") => {
                Spoiled::Body(String::from_utf8_lossy(&body).into_owned().into_bytes())
            }
            _ => Spoiled::Body(body),
        }
    })
    .await;
    // The large one, which was ruined before, came again and is well now.
    let (check, seen, _) = only_fault(&report);
    assert_eq!(check, "Content-Type: Mulipart/Form-Data");
    assert!(seen.starts_with("256 bytes were sent") && seen.contains("512 bytes came back"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_and_unknown_users() {
    let harness = Harness::start().await;
    let report = spoiled(&harness, |uri, _, body, stage| match (uri.path(), stage) {
        // A wrong key is let in ...
        ("/getWorkOrders.html", Stage::Request) if has(&body, "doctor-wrong-key") => {
            Spoiled::Instead(200, "application/json", r#"{"workOrders":[],"error":""}"#)
        }
        // ... also where it shows only by what is said of an unknown order.
        ("/status.html", Stage::Request) if has(&body, "doctor-wrong-key") => Spoiled::Instead(
            200,
            "application/json",
            r#"{"status":false,"error":[{"workOrderNumber":"doctor-no-such-order","error":"work order does not exist"}]}"#,
        ),
        // Names can be guessed.
        ("/uploadPictures.html", Stage::Request) if has(&body, "doctor-unknown-user") => {
            Spoiled::Instead(200, "application/json", r#"{"status":false,"error":"no such user"}"#)
        }
        _ => Spoiled::Body(body),
    })
    .await;
    let [pull, status, unknown] = faults(&report).try_into().unwrap();
    assert_eq!(pull.0, "getWorkOrders refuses a wrong key");
    assert!(pull.2.contains("a WRONG key was let in: anybody can call getWorkOrders"), "{pull:?}");
    assert_eq!(status.0, "status refuses a wrong key");
    assert!(status.2.contains("a WRONG key was let in: anybody can call status"), "{status:?}");
    assert_eq!(unknown.0, "an unknown user is answered like a wrong key");
    assert!(unknown.1.starts_with("uploadPictures: ") && unknown.1.contains("no such user"), "{unknown:?}");
    assert!(unknown.1.contains("invalid username or password") && unknown.2.contains("can be guessed"), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_never_shown() {
    let harness = Harness::start().await;
    // A server that repeats what it was sent.
    let report = spoiled(&harness, |uri, _, body, stage| match (uri.path(), stage) {
        ("/validate.svc", Stage::Request) => {
            let token = String::from_utf8_lossy(&body);
            let (_, token) = token.split_once("\"token\":\"").unwrap();
            let token = token.split('"').next().unwrap().to_owned();
            Spoiled::Instead(200, "text/plain", token.leak())
        }
        _ => Spoiled::Body(body),
    })
    .await;
    let (_, seen, _) = only_fault(&report);
    assert_eq!(seen, "validate.svc: HTTP 200, text/plain: ***");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_api_that_fails_leaves_the_rest_to_be_checked() {
    let harness = Harness::start().await;
    harness.host("PUT", "/accounts/doctor", None).await;
    let (_, account) = harness.host("GET", "/accounts/doctor", None).await;
    let path = format!("/accounts/doctor/keys/{}?last=true", account["keys"][0]["keyId"].as_str().unwrap());
    assert_eq!(harness.host("DELETE", &path, None).await.0, 204);
    let report = spoiled(&harness, |uri, _, body, stage| match stage {
        Stage::Request if uri.path().starts_with("/accounts") => {
            Spoiled::Instead(403, "application/json", r#"{"message":"Forbidden"}"#)
        }
        _ => Spoiled::Body(body),
    })
    .await;
    let (check, seen, _) = only_fault(&report);
    assert_eq!(check, "an account to check with");
    assert_eq!(seen, "PUT /accounts/doctor failed: 403 Forbidden: Forbidden");
    let outcome = |check: &str| &report.rows.iter().find(|row| row.check == check).unwrap().outcome;
    assert!(matches!(outcome("validate refuses a wrong key"), Outcome::Pass(_)));
    assert!(matches!(outcome("validate, under all five extensions"), Outcome::Skip(_)));
}

#[tokio::test]
async fn what_cannot_be_reached_is_one_fault() {
    // Bound and dropped: nothing listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let report = run(&at(&format!("http://127.0.0.1:{port}"))).await.unwrap();
    let (check, seen, next) = only_fault(&report);
    assert_eq!(check, "https, with a valid certificate");
    assert!(seen.contains("refused") && next.contains("cargo run -p local"), "{seen} {next}");
    assert!(report.table(false).ends_with("0 passed, 1 failed, 1 skipped\n"), "{}", report.table(false));
    // A server that speaks no TLS.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, axum::Router::new()).await.unwrap() });
    let options = Options {
        username: Some("u".to_owned()),
        key: Some("k".into()),
        ..at(&format!("https://127.0.0.1:{port}/live"))
    };
    let report = run(&options).await.unwrap();
    assert_eq!(only_fault(&report).0, "https, with a valid certificate");
    // And what isn't worth a try.
    let error = run(&at("http://pruvan.example.com")).await.unwrap_err().to_string();
    assert!(error.contains("must begin with https://"), "{error}");
    let error = run(&at("https://pruvan.example.com/live")).await.unwrap_err().to_string();
    assert!(error.contains("give --host-url"), "{error}");
}

/// CloudFormation, as far as it is asked.
async fn cloudformation(State(calls): State<Arc<AtomicUsize>>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let header = |name: &str| parts.headers.get(name).unwrap().to_str().unwrap().to_owned();
    assert_eq!((parts.method, parts.uri.path()), (Method::POST, "/"));
    let authorization = header("authorization");
    assert!(authorization.contains("/eu-west-1/cloudformation/aws4_request"), "{authorization}");
    assert!(authorization.contains("SignedHeaders=content-type;host;x-amz-date,"), "{authorization}");
    assert_eq!(header("content-type"), "application/x-www-form-urlencoded");
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let (status, text) = match calls.fetch_add(1, Ordering::SeqCst) {
        0 => {
            assert_eq!(&body[..], b"Action=DescribeStacks&Version=2010-05-15&StackName=pruvan+bridge");
            (
                200,
                "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><Outputs><member><OutputKey>HostUrl</OutputKey>\
                  <OutputValue>https://h</OutputValue></member></Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>",
            )
        }
        1 => (
            400,
            "<ErrorResponse><Error><Code>ValidationError</Code><Message>Stack with id x does not exist</Message></Error></ErrorResponse>",
        ),
        2 => (
            403,
            "<ErrorResponse><Error><Code>ExpiredToken</Code><Message>The security token is expired</Message></Error></ErrorResponse>",
        ),
        3 => (403, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"),
        _ => (502, "<html>"),
    };
    Response::builder().status(status).body(Body::from(text)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_of_a_stack() {
    let app = axum::Router::new().fallback(cloudformation).with_state(Arc::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let signer = Signer::with_keys("id", "secret", "eu-west-1");
    let outputs = async || stack::outputs(&url, &signer, "eu-west-1", "pruvan bridge").await;
    assert_eq!(outputs().await.unwrap()["HostUrl"], "https://h");
    for next in ["give --stack and --region", "are current", "may not look at stack", "502 Bad Gateway: give --url"] {
        let error = outputs().await.unwrap_err().to_string();
        assert!(error.contains(next) && !error.contains('\n'), "{error}");
    }
}
