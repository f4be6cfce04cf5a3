//! Who is let in. The routes are the template's, so that one that is added is tested as well, or fails here.

use local::functions::{Function, Reply};
use local::template::{Route, TEMPLATE, Template};
use pruvan::integration::IntegrationType;
use serde_json::{Value, json};
use simulator::multipart;

use crate::harness::faults::Faults;
use crate::harness::{Harness, PHOTO};

const INVALID: &str = "invalid username or password";

fn routes(api: &str) -> Vec<(String, Route)> {
    let functions = Template::parse(TEMPLATE).unwrap().functions.into_values();
    let routes = functions.flat_map(|function| {
        let binary = function.binary.clone();
        function.routes.into_iter().map(move |route| (binary.clone(), route))
    });
    routes.filter(|(_, route)| route.api == api).collect()
}

/// A request that every service would take, if it were let in.
fn payload(username: &str, more: Value) -> Value {
    let mut payload = json!({
        "username": username, "timestamp": null, "pushkey": null, "uuId": "a", "key2": "1", "fileType": "picture",
        "workOrders": [{ "workOrderNumber": "1", "status": "complete" }],
    });
    if let (Value::Object(payload), Value::Object(more)) = (&mut payload, more) {
        payload.extend(more);
    }
    payload
}

#[tokio::test]
async fn no_route_of_pruvans_lets_anybody_in_without_the_key() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    let other = harness.account("vendor2", IntegrationType::Internal).await;
    harness.put("vendor1", "1", json!({})).await;
    let (_, made) = harness.host("POST", "/accounts/vendor1/keys", None).await;
    let path = format!("/accounts/vendor1/keys/{}", made["keyId"].as_str().unwrap());
    assert_eq!(harness.host("DELETE", &path, None).await.0, 204);
    // The note that the key was used, once an hour, is not what this is about.
    vendor.validate().await.unwrap();
    harness.lines();
    let before = harness.dump().await;
    let nobodys: Vec<(&str, Value)> = vec![
        ("nothing at all", payload("vendor1", json!({ "username": null }))),
        ("no key", payload("vendor1", json!({}))),
        ("an empty key", payload("vendor1", json!({ "token": "" }))),
        ("a wrong key", payload("vendor1", json!({ "token": "wrong" }))),
        (
            "the hash of a key as the key",
            payload("vendor1", json!({ "token": bridge::secrets::sha256_hex(vendor.token.as_bytes()) })),
        ),
        ("the key in the wrong field", payload("vendor1", json!({ "password": vendor.token }))),
        ("a key in capitals", payload("vendor1", json!({ "token": vendor.token.to_uppercase() }))),
        ("a key cut short", payload("vendor1", json!({ "token": vendor.token[..42] }))),
        ("another's key", payload("vendor1", json!({ "token": other.token }))),
        ("a deleted key", payload("vendor1", json!({ "token": made["apiKey"] }))),
        ("an unknown user", payload("nobody", json!({ "token": vendor.token }))),
        ("no user", payload("", json!({ "token": vendor.token }))),
        ("a very long user", payload(&"x".repeat(5000), json!({ "token": vendor.token }))),
        ("a list of keys", payload("vendor1", json!({ "token": [vendor.token] }))),
    ];
    let routes = routes("PruvanApi");
    assert_eq!(routes.len(), 20);
    let call = async |route: &Route, payload: &Value| {
        let (content_type, body) = multipart(&payload.to_string(), Some(("1.jpg", PHOTO)));
        let url = format!("{}{}", harness.system.gateway_url, route.path);
        let request = harness.client.request(route.method.parse().unwrap(), url);
        let reply = request.header("content-type", content_type).body(body).send().await.unwrap();
        assert_eq!(reply.status(), 200);
        reply.text().await.unwrap()
    };
    for (binary, route) in &routes {
        let mut answers = Vec::new();
        for (what, payload) in &nobodys {
            let answer = call(route, payload).await;
            assert!(answer.contains(INVALID), "{} with {what}: {answer}", route.path);
            let [line] = harness.lines().try_into().unwrap();
            assert_eq!(
                (&line["outcome"], &line["AuthFailures"], &line["Function"]),
                (&json!("denied"), &json!(1), &json!(binary))
            );
            answers.push(answer);
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "an unknown user and a wrong key can't be told apart: {answers:?}");
    }
    assert!(harness.dump().await == before, "nothing has changed");
    // After all of that nobody is locked out.
    for (_, route) in &routes {
        let answer = call(route, &payload("vendor1", json!({ "token": vendor.token }))).await;
        assert!(!answer.contains(INVALID), "{}: {answer}", route.path);
    }
}

/// The same work, so that time tells nothing: one read, whoever it is.
#[tokio::test]
async fn an_unknown_user_costs_as_many_calls_as_a_wrong_key() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    let faults = Faults::default();
    let stores = &harness.system.stores;
    let dependencies = faults.meet(harness.dependencies(), &stores.dynamodb_url, &stores.s3_url);
    for binary in ["validate", "get-work-orders", "upload-pictures", "status"] {
        let Function::Http(function) = local::functions::start(binary, &dependencies).unwrap().unwrap() else {
            panic!()
        };
        for (username, token) in [("vendor1", "wrong"), ("nobody", "wrong"), ("nobody", &vendor.token), ("", "")] {
            let body = payload(username, json!({ "token": token })).to_string();
            let request =
                lambda_http::http::Request::builder().method("POST").body(lambda_http::Body::Text(body)).unwrap();
            let (Reply::Buffered(_) | Reply::Streamed(_)) = function(request).await;
            assert_eq!(faults.calls().len(), 1, "{binary} for {username:?}");
        }
    }
}

/// The gateway signs the host's API: here it is only seen that no route is left out. `tests/deploy/round_trip.py` calls
/// each of them unsigned.
#[test]
fn the_rest_of_the_routes_are_the_hosts() {
    let all: usize = Template::parse(TEMPLATE).unwrap().functions.values().map(|function| function.routes.len()).sum();
    assert_eq!(routes("PruvanApi").len() + routes("HostApi").len(), all);
}
