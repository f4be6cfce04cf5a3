//! The list of orders: filters, pages, CSV that comes back in; and tags, by which the second of two writers is told.

use std::collections::BTreeSet;

use pruvan::integration::IntegrationType;
use serde_json::{Value, json};

use crate::harness::faults::{Fault, Faults};
use crate::harness::{Harness, order};

async fn numbers(harness: &Harness, query: &str) -> Vec<String> {
    let mut numbers = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let (status, page) = harness.host("GET", &format!("/accounts/vendor1/orders?{query}{cursor}"), None).await;
        assert_eq!(status, 200, "{page}");
        for order in page["orders"].as_array().unwrap() {
            assert!(numbers.insert(order["workOrderNumber"].as_str().unwrap().to_owned()), "{order} is there twice");
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return numbers.into_iter().collect(),
        }
    }
}

#[tokio::test]
async fn orders_are_found_by_how_they_stand() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness.put("vendor1", "A1", json!({ "dueDate": "2026-05-25", "status": "assigned" })).await;
    harness.put("vendor1", "A2", json!({ "dueDate": "2026-05-26", "address1": "9 Cedar Lane", "city": "Hutto" })).await;
    harness.put("vendor1", "B3", json!({ "status": "canceled" })).await;
    harness.advance(3600);
    harness.put("vendor1", "B4", json!({ "dueDate": "2026-06-01" })).await;
    harness.host("DELETE", "/accounts/vendor1/orders/B3", None).await;
    harness.system.tick().await;
    vendor
        .edit("A2", json!({ "status": "complete", "fieldStatus": "in-process", "dueDate": "2026-05-28" }))
        .await
        .unwrap();
    let since = harness.now();
    for (query, found) in [
        ("", vec!["A1", "A2", "B3", "B4"]),
        ("status=Assigned", vec!["A1"]),
        ("status=Completed", vec!["A2"]),
        ("fieldStatus=In%20Process", vec!["A2"]),
        ("dueFrom=2026-05-26&dueTo=2026-05-31", vec!["A2"]),
        ("dueFrom=2026-05-28", vec!["A2", "B4"]),
        ("dueTo=5/25/2026", vec!["A1"]),
        ("text=cedar", vec!["A2"]),
        ("text=b", vec!["B3", "B4"]),
        ("text=HUTTO&status=complete", vec!["A2"]),
        (&format!("changedSince={since}"), vec!["B3", "B4"]),
        ("changedSince=2026-11-23T12:00:00Z", vec!["A1", "A2", "B3", "B4"]),
        ("changedSince=2026-11-23T14:00:00Z", vec![]),
        (&format!("changedSince={since}&dueFrom=2026-01-01"), vec!["B4"]),
        ("status=nonsense", vec![]),
    ] {
        for limit in ["", "limit=1&", "limit=2&"] {
            assert_eq!(numbers(&harness, &format!("{limit}{query}")).await, found, "{limit}{query}");
        }
    }
    for bad in [
        "dueFrom=soon",
        "changedSince=x",
        "limit=0",
        "limit=501",
        "format=xml",
        "changed_since=2026-01-01",
        "cursor=AAAA",
        "cursor=%2F",
    ] {
        let (status, problem) = harness.host("GET", &format!("/accounts/vendor1/orders?{bad}"), None).await;
        assert_eq!(status, 400, "{bad}: {problem}");
    }
    // A page of one list is none of another.
    let (_, page) = harness.host("GET", "/accounts/vendor1/orders?limit=1", None).await;
    let next = page["next"].as_str().unwrap();
    let other = format!("/accounts/vendor1/orders?changedSince={since}&cursor={next}");
    assert_eq!(harness.host("GET", &other, None).await.0, 400);
    let earlier = "/accounts/vendor1/orders?changedSince=2026-11-23T12:00:00Z&limit=1";
    let next = harness.host("GET", earlier, None).await.1["next"].as_str().unwrap().to_owned();
    assert_eq!(harness.host("GET", &format!("{earlier}&cursor={next}"), None).await.0, 200);
    let later = format!("/accounts/vendor1/orders?changedSince={}&cursor={next}", since + 3600);
    assert_eq!(harness.host("GET", &later, None).await.0, 400);
}

#[tokio::test]
async fn a_search_goes_on_until_it_has_something_or_its_time_is_up_and_says_which() {
    let harness = Harness::start().await;
    harness.account("vendor1", IntegrationType::Internal).await;
    let all: Vec<Value> = (0..2600).map(|n| order(json!({ "workOrderNumber": format!("N{n:04}") }))).collect();
    harness.host("POST", "/accounts/vendor1/orders", Some(Value::from(all))).await;
    let (mut last, mut cursor) = (String::new(), String::new());
    loop {
        let (_, page) = harness.host("GET", &format!("/accounts/vendor1/orders?limit=500{cursor}"), None).await;
        last = page["orders"]
            .as_array()
            .unwrap()
            .last()
            .map_or(last, |order| order["workOrderNumber"].as_str().unwrap().to_owned());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let (_, page) = harness.host("GET", &format!("/accounts/vendor1/orders?text={last}"), None).await;
    assert_eq!((&page["orders"][0]["workOrderNumber"], &page["timeUp"]), (&json!(last), &json!(false)), "{page}");
    let (_, page) = harness.host("GET", "/accounts/vendor1/orders?text=nowhere", None).await;
    assert_eq!(page, json!({ "orders": [], "next": null, "timeUp": false }));

    // A read that takes nine seconds: the next page goes on behind it.
    let (faults, stores) = (Faults::default(), &harness.system.stores);
    let hand = harness.clock_hand();
    faults.slow(move || hand(9));
    let of = faults.meet(harness.dependencies(), &stores.dynamodb_url, &stores.s3_url);
    let function = local::functions::start("orders", &of).unwrap().unwrap();
    let local::functions::Function::Http(function) = function else { panic!("orders answers requests") };
    let search = async |more: Value| {
        let (route, mut query) = ("/accounts/{username}/orders", json!({ "text": last }));
        query.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let event = json!({
            "resource": route, "path": route, "httpMethod": "GET", "headers": {}, "multiValueHeaders": {},
            "pathParameters": { "username": "vendor1" }, "queryStringParameters": query,
            "requestContext": { "resourcePath": route, "httpMethod": "GET", "identity": {} },
            "body": null, "isBase64Encoded": false,
        });
        let reply = function(lambda_http::request::from_str(&event.to_string()).unwrap()).await;
        let local::functions::Reply::Buffered(reply) = reply else { panic!("it is whole") };
        let body: Value = serde_json::from_slice(reply.body().as_ref()).unwrap_or_default();
        (reply.headers().clone(), body)
    };
    faults.plan(1, Fault::Slow);
    let (headers, page) = search(json!({})).await;
    assert!(faults.end() && headers.get("x-time-up").is_none());
    assert_eq!((&page["orders"], &page["timeUp"]), (&json!([]), &json!(true)));
    let next = page["next"].as_str().unwrap();
    let (_, page) = search(json!({ "cursor": next })).await;
    assert_eq!((&page["orders"][0]["workOrderNumber"], &page["timeUp"]), (&json!(last), &json!(false)));
    faults.plan(1, Fault::Slow);
    let (headers, _) = search(json!({ "format": "csv" })).await;
    assert!(headers["x-time-up"] == "true" && headers.contains_key("x-next-cursor"));
}

#[tokio::test]
async fn a_list_as_csv_comes_back_in_unchanged() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness
        .put(
            "vendor1",
            "1",
            json!({
                "instructions": "<b>Gate</b>, \"code\" 12\nsecond line", "reference": "=SUM(A1)", "workOrderInfo": "-not a number",
                "options": { "photo_size": "1024", "camera_orientation": "portrait" }, "gpsLatitude": "30.5", "gpsLongitude": -97.6,
                "attribute7": "{\"id\":1}", "dueDate": "2026-05-25", "status": "rush", "assignedTo": "~all~",
                "services": [
                    { "serviceName": "Photos", "options": { "required": true, "evidenceTypes": ["before", "after"] }, "attribute1": "a" },
                    { "serviceName": "Survey", "survey": "master::id-v2", "instructions": "<i>all</i>", "surveyDynamic": { "questions": [] } },
                ],
            }),
        )
        .await;
    harness.put("vendor1", "2", json!({})).await;
    harness.put("vendor1", "3", json!({})).await;
    harness.host("DELETE", "/accounts/vendor1/orders/3", None).await;
    harness.system.tick().await;
    vendor.change_status("1", "complete", "complete").await.unwrap();
    let url = format!("{}/accounts/vendor1/orders", harness.system.gateway_url);
    let reply = harness.client.get(format!("{url}?format=csv")).send().await.unwrap();
    assert_eq!(reply.headers()["content-type"], "text/csv; charset=utf-8");
    assert!(reply.headers().get("x-next-cursor").is_none());
    let csv = reply.text().await.unwrap();
    let mut table = ::csv::Reader::from_reader(csv.as_bytes());
    let names = table.headers().unwrap().clone();
    let rows: Vec<_> = table.records().map(Result::unwrap).collect();
    let cell = |row: usize, name: &str| {
        rows[row].get(names.iter().position(|column| column == name).unwrap()).unwrap().to_owned()
    };
    let row = (0..rows.len()).find(|row| cell(*row, "serviceName") == "Photos").unwrap();
    assert_eq!((cell(row, "reported.status"), cell(row, "reference")), ("complete".to_owned(), "'=SUM(A1)".to_owned()));
    let before = harness.order("vendor1", "1").await;
    harness.advance(60);
    let post = harness.client.post(&url).header("content-type", "text/csv").body(csv);
    let reply: Value = serde_json::from_slice(&post.send().await.unwrap().bytes().await.unwrap()).unwrap();
    // The deleted one stays deleted.
    assert_eq!(
        (&reply["unchanged"], &reply["refused"], &reply["changed"]),
        (&json!(2), &json!(1), &json!(0)),
        "{reply}"
    );
    assert_eq!(harness.order("vendor1", "1").await, before);
    let limited = harness.client.get(format!("{url}?format=csv&limit=1")).send().await.unwrap();
    assert!(limited.headers().contains_key("x-next-cursor"));
}

#[tokio::test]
async fn the_second_of_two_writers_is_told() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    let url = format!("{}/accounts/vendor1/orders/1", harness.system.gateway_url);
    let call = async |method: &str, header: Option<(&str, &str)>, body: Option<Value>| {
        let mut request = harness.client.request(method.parse().unwrap(), &url);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let reply = request.body(body.map(|body| body.to_string()).unwrap_or_default()).send().await.unwrap();
        let tag = reply.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned());
        (reply.status().as_u16(), tag.unwrap_or_default())
    };
    let whole = || Some(crate::harness::order(json!({ "reference": harness.now().to_string() })));
    let part = |text: &str| Some(json!({ "reference": text }));
    assert_eq!(call("PUT", Some(("if-match", "*")), whole()).await.0, 412);
    assert_eq!(call("DELETE", Some(("if-match", "\"1\"")), None).await.0, 412);
    let (status, first) = call("PUT", Some(("if-none-match", "*")), whole()).await;
    assert_eq!(status, 201);
    assert_eq!(call("PUT", Some(("if-none-match", "*")), whole()).await.0, 412);
    assert_eq!(call("GET", None, None).await, (200, first.clone()));
    // What Pruvan and the drain do is no change of the host's.
    harness.system.tick().await;
    vendor.change_status("1", "complete", "complete").await.unwrap();
    assert_eq!(call("GET", None, None).await.1, first);
    let (status, second) = call("PATCH", Some(("if-match", &first)), part("one")).await;
    assert_eq!((status, second != first), (200, true));
    let before = harness.dump().await;
    for (method, body) in [("PATCH", part("two")), ("PUT", whole()), ("DELETE", None)] {
        assert_eq!(call(method, Some(("if-match", &first)), body).await.0, 412, "{method}");
    }
    assert_eq!(harness.dump().await, before);
    assert_eq!(call("PATCH", Some(("if-match", &format!("\"x\", {second}"))), part("two")).await.0, 200);
    assert_eq!(call("PATCH", Some(("if-match", "*")), part("three")).await.0, 200);
    assert_eq!(call("PUT", Some(("if-none-match", "\"1\"")), whole()).await.0, 400);
    let (_, last) = call("GET", None, None).await;
    assert_eq!(call("DELETE", Some(("if-match", &last)), None).await.0, 204);
}
