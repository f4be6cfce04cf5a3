//! The host's API at its edges: parameters that there aren't, names that nothing can have, what is asked for twice or
//! at the same moment.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use local::template::{TEMPLATE, Template};
use pruvan::integration::IntegrationType;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{Harness, PHOTO, encode, order, picture};

async fn get(harness: &Harness, path: &str) -> (u16, Value) {
    harness.host("GET", path, None).await
}

/// The status of a request whose path goes out as it stands here.
async fn raw(harness: &Harness, method: &str, path: &str) -> u16 {
    let address = harness.system.gateway_url.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    reply.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Every route of the host's API, and the query parameters that it takes.
fn routes() -> BTreeMap<(String, String), Vec<&'static str>> {
    let functions = Template::parse(TEMPLATE).unwrap().functions;
    let routes =
        functions.values().flat_map(|function| &function.routes).filter(|route| route.path.starts_with("/accounts"));
    routes
        .map(|route| {
            let name = format!("{} {}", route.method, route.path);
            let known = accounts::QUERY.iter().chain(orders::QUERY).find(|(route, _)| *route == name);
            ((route.method.clone(), route.path.clone()), known.map_or_else(Vec::new, |(_, known)| known.to_vec()))
        })
        .collect()
}

#[tokio::test]
async fn a_query_parameter_that_a_route_does_not_take_is_refused_and_those_that_it_takes_are_named() {
    let harness = Harness::start().await;
    harness.account("vendor1", IntegrationType::Internal).await;
    harness.put("vendor1", "1", json!({})).await;
    let before = harness.dump().await;
    let mut tried = 0;
    for ((method, route), known) in routes() {
        let path = [("{username}", "vendor1"), ("{workOrderNumber}", "1"), ("{uuId}", "a"), ("{keyId}", "k")];
        let path = path.iter().fold(route.clone(), |path, (name, value)| path.replace(name, value));
        let twice = known.first().map(|name| format!("{name}=1&{name}=1"));
        for query in ["since=2026-11-23", "Limit=1", "force=true", "%00=1"].map(str::to_owned).into_iter().chain(twice)
        {
            let (status, problem) = harness.host(&method, &format!("{path}?{query}"), None).await;
            assert_eq!((status, &problem["title"]), (400, &json!("Bad Request")), "{method} {path}?{query}: {problem}");
            let detail = problem["detail"].as_str().unwrap();
            let named = known.iter().all(|name| detail.contains(name)) || detail.contains("twice");
            assert!(named && (!known.is_empty() || detail.contains("takes none")), "{detail}");
            tried += 1;
        }
        if method == "GET" {
            // A request can be signed in its URL.
            let (_, reply) = get(&harness, &format!("{path}?X-Amz-Signature=x&X-Amz-Date=x")).await;
            assert!(!reply.to_string().contains("query parameter"), "{reply}");
        }
    }
    assert_eq!(harness.dump().await, before);
    assert!(tried > 80, "{tried}");
}

#[tokio::test]
async fn a_limit_is_a_whole_number_in_its_range_in_every_list() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.publish(picture("a", "1", json!({})), Some(("1.jpg", PHOTO))).await.unwrap();
    let lists = routes().into_iter().filter(|(_, known)| known.contains(&"limit"));
    let mut tried = 0;
    for ((_, route), _) in lists {
        let path = route.replace("{username}", "vendor1").replace("{workOrderNumber}", "1").replace("{uuId}", "a");
        for limit in ["0", "1e3", "-1", "", "null", "1.0", "99999999999999999999", "%201", "0x10", "5001"] {
            assert_eq!(get(&harness, &format!("{path}?limit={limit}")).await.0, 400, "{path}?limit={limit}");
        }
        for cursor in ["", "AAAA", "%00", "null", "..", "MTIzNDU2Nzh4"] {
            assert_eq!(get(&harness, &format!("{path}?cursor={cursor}")).await.0, 400, "{path}?cursor={cursor}");
        }
        let (status, page) = get(&harness, &format!("{path}?limit=1")).await;
        assert!(status == 200 && page.get("next").is_some(), "{path}: {page}");
        tried += 1;
    }
    assert_eq!(tried, 8);
}

#[tokio::test]
async fn a_cursor_leads_on_in_its_own_list_only() {
    let harness = Harness::start().await;
    for account in ["vendor1", "vendor2"] {
        let vendor = harness.account(account, IntegrationType::Internal).await;
        for number in ["1", "2"] {
            harness.put(account, number, json!({})).await;
            for id in ["a", "b"] {
                let item = picture(&format!("{id}{number}"), number, json!({}));
                vendor.publish(item, Some(("1.jpg", PHOTO))).await.unwrap();
                harness.advance(1);
            }
        }
    }
    let of = [
        "orders/1/uploads",
        "orders/2/uploads",
        "orders/1/manifest",
        "orders/1/uploads?fileType=picture",
        "orders",
        "orders?text=Main",
        "push-queue",
    ];
    let lists: Vec<String> = ["vendor1", "vendor2"]
        .iter()
        .flat_map(|account| of.map(|list| format!("/accounts/{account}/{list}")))
        .chain(["/accounts".to_owned()])
        .collect();
    for list in &lists {
        let sign = |list: &str| if list.contains('?') { '&' } else { '?' };
        let (_, page) = get(&harness, &format!("{list}{}limit=1", sign(list))).await;
        let next = page["next"].as_str().unwrap_or_else(|| panic!("{list}: {page}"));
        for other in &lists {
            let (status, reply) = get(&harness, &format!("{other}{}cursor={next}&limit=2", sign(other))).await;
            assert_eq!(status, if other == list { 200 } else { 400 }, "{list} -> {other}: {reply}");
        }
    }
}

#[tokio::test]
async fn accounts_that_nobody_could_address_or_log_in_to_are_refused() {
    let harness = Harness::start().await;
    for name in ["null", "NULL", "%20null%20", "%00", "vendor1%00", "%C3%A9", &"%C3%A9".repeat(100)] {
        let (status, problem) = harness.host("PUT", &format!("/accounts/{name}"), None).await;
        assert_eq!((status, &problem["title"]), (400, &json!("Bad Request")), "{name}: {problem}");
        let status = get(&harness, &format!("/accounts/{name}/orders")).await.0;
        assert!(status == 404, "{name}: {status}");
    }
    // A client's library would take these for steps in a path.
    for name in ["%2e", "%2E%2e", ".."] {
        assert_eq!(raw(&harness, "PUT", &format!("/accounts/{name}")).await, 400, "{name}");
        assert_eq!(raw(&harness, "GET", &format!("/accounts/{name}")).await, 404, "{name}");
    }
    assert_eq!(harness.dump().await["AccountsTable"].len(), 0);
    // A dot at the end, and a space that is none.
    for name in ["nullable", "vendor1.", "%20vendor2%20"] {
        assert_eq!(harness.host("PUT", &format!("/accounts/{name}"), None).await.0, 201, "{name}");
        assert_eq!(get(&harness, &format!("/accounts/{name}")).await.0, 200, "{name}");
    }
}

#[tokio::test]
async fn a_number_that_pruvan_reads_as_nothing_is_refused_and_one_that_is_there_can_be_read() {
    let harness = Harness::start().await;
    harness.account("vendor1", IntegrationType::Internal).await;
    let (status, problem) = harness.host("PUT", "/accounts/vendor1/orders/null", Some(order(json!({})))).await;
    assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("/workOrderNumber")), "{problem}");
    let list = json!([order(json!({ "workOrderNumber": "null" }))]);
    let (_, reply) = harness.host("POST", "/accounts/vendor1/orders", Some(list)).await;
    assert_eq!((&reply["refused"], &reply["created"]), (&json!(1), &json!(0)), "{reply}");
    // As an earlier version of this code took it.
    harness.put("vendor1", "1", json!({})).await;
    let client = harness.system.dynamodb().unwrap();
    let mut row = client.scan().table_name("OrdersTable").send().await.unwrap().items.unwrap().remove(0);
    let shard = format!("vendor1#{}", Sha256::digest(b"null")[0] % 8);
    row.insert("accountShard".to_owned(), AttributeValue::S(shard));
    row.insert("workOrderNumber".to_owned(), AttributeValue::S("null".to_owned()));
    client.put_item().table_name("OrdersTable").set_item(Some(row)).send().await.unwrap();
    assert_eq!(harness.order("vendor1", "null").await["workOrderNumber"], "null");
    let (_, list) = get(&harness, "/accounts/vendor1/orders").await;
    assert_eq!(list["orders"].as_array().unwrap().len(), 2);
    let (_, page) = get(&harness, "/accounts/vendor1/orders?limit=1").await;
    let next = page["next"].as_str().unwrap();
    assert_eq!(get(&harness, &format!("/accounts/vendor1/orders?limit=1&cursor={next}")).await.0, 200);
    assert_eq!(harness.host("DELETE", "/accounts/vendor1/orders/null", None).await.0, 204);
    assert_eq!(raw(&harness, "GET", "/accounts/vendor1/orders/%2e%2e").await, 404);
    assert_eq!(raw(&harness, "PUT", "/accounts/vendor1/orders/%2e").await, 422);
    for odd in ["%00", "%C3%A9", &"9".repeat(101), &"%C3%A9".repeat(100)] {
        for list in ["", "/uploads", "/answers", "/manifest"] {
            let path = format!("/accounts/vendor1/orders/{odd}{list}");
            assert_eq!(get(&harness, &path).await.0, 404, "{path}");
        }
    }
}

#[tokio::test]
async fn the_last_key_of_an_account_goes_only_when_that_is_asked_for() {
    let harness = Harness::start().await;
    let (_, made) = harness.host("PUT", "/accounts/vendor1", None).await;
    let path = |key: &Value| format!("/accounts/vendor1/keys/{}", key["keyId"].as_str().unwrap());
    let (status, problem) = harness.host("DELETE", &path(&made), None).await;
    assert_eq!(status, 409);
    assert!(problem["detail"].as_str().unwrap().contains("?last=true"), "{problem}");
    // Of two, one is not the last, whichever goes first.
    let (_, second) = harness.host("POST", "/accounts/vendor1/keys", None).await;
    let (first_path, second_path) = (path(&made), path(&second));
    let gone = tokio::join!(harness.host("DELETE", &first_path, None), harness.host("DELETE", &second_path, None));
    let mut statuses = [gone.0.0, gone.1.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 409]);
    let (_, account) = get(&harness, "/accounts/vendor1").await;
    let [left] = account["keys"].as_array().unwrap().as_slice() else { panic!("{account}") };
    assert_eq!(harness.host("DELETE", &format!("{}?last=yes", path(left)), None).await.0, 400);
    assert_eq!(harness.host("DELETE", &format!("{}?last=true", path(left)), None).await.0, 204);
    assert_eq!(harness.host("DELETE", &format!("{}?last=true", path(left)), None).await.0, 404);
    assert_eq!(get(&harness, "/accounts/vendor1").await.1["keys"], json!([]));
}

#[tokio::test]
async fn an_order_is_deleted_once_however_often_it_is_asked_for() {
    let harness = Harness::start().await;
    harness.account("vendor1", IntegrationType::Internal).await;
    harness.put("vendor1", "A/1", json!({})).await;
    let path = format!("/accounts/vendor1/orders/{}", encode("A/1"));
    let url = format!("{}{path}", harness.system.gateway_url);
    let tag = harness.client.get(&url).send().await.unwrap().headers()["etag"].clone();
    let delete = async || harness.client.delete(&url).header("if-match", &tag).send().await.unwrap().status().as_u16();
    assert_eq!(delete().await, 204);
    let before = harness.dump().await;
    // The reply was lost, and the host sends the same once more.
    assert_eq!(delete().await, 204);
    assert_eq!(harness.host("DELETE", &path, None).await.0, 204);
    let (status, problem) = harness.host("PATCH", &path, Some(json!({ "city": "Hutto" }))).await;
    assert_eq!(status, 409, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("PUT makes it anew"), "{problem}");
    assert_eq!(harness.dump().await, before);
    assert_eq!(harness.order("vendor1", "A/1").await["deleted"], "2026-11-23T12:00:00Z");
    assert_eq!(harness.host("DELETE", "/accounts/vendor1/orders/none", None).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_are_set_at_the_same_moment_all_hold() {
    let harness = Harness::start().await;
    for round in 0..20 {
        let path = format!("/accounts/vendor{round}");
        // In every other round the account is there already.
        if round % 2 == 0 {
            harness.host("PUT", &path, Some(json!({ "clientCode": "OLD", "statusMap": { "Old": "rush" } }))).await;
        }
        let put = |body: Value| harness.host("PUT", &path, Some(body));
        let (first, second, third) = tokio::join!(
            put(json!({ "clientCode": null, "autoAdmin": true })),
            put(json!({ "statusMap": { "Expedite": "rush" } })),
            put(json!({ "pushLimitPerHour": 7, "integration": "internal" })),
        );
        for (status, reply) in [first, second, third] {
            assert!(status == 200 || status == 201, "{reply}");
        }
        let (_, account) = get(&harness, &path).await;
        let held =
            ["clientCode", "autoAdmin", "statusMap", "pushLimitPerHour", "integration"].map(|name| &account[name]);
        let wanted = [json!(null), json!(true), json!({ "Expedite": "rush" }), json!(7), json!("internal")];
        assert_eq!(held, wanted.each_ref(), "round {round}");
    }
}
