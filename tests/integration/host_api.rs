//! The host's API: orders in, results out, errors with the field at fault.

use pruvan::integration::IntegrationType;
use serde_json::{Value, json};

use crate::harness::{Harness, encode, order};

#[tokio::test]
async fn accounts_and_their_keys() {
    let harness = Harness::start().await;
    let settings = json!({
        "integration": "internal", "autoAdmin": true, "clientCode": "SMC", "statusMap": { "Expedite": "Rush" }, "pushLimitPerHour": 100,
    });
    let (status, made) = harness.host("PUT", "/accounts/Vendor1@x.example", Some(settings)).await;
    assert_eq!(
        (status, &made["username"], &made["statusMap"]["Expedite"]),
        (201, &json!("vendor1@x.example"), &json!("rush"))
    );
    assert_eq!(made["apiKey"].as_str().unwrap().len(), 43);
    // Afterwards: no key, and what is left out stays.
    let (status, changed) =
        harness.host("PUT", "/accounts/vendor1@x.example", Some(json!({ "autoAdmin": null }))).await;
    assert_eq!((status, &changed["autoAdmin"], &changed["clientCode"]), (200, &json!(false), &json!("SMC")));
    assert!(changed.get("apiKey").is_none());
    let (_, changed) = harness.host("PUT", "/accounts/vendor1@x.example", Some(json!({ "clientCode": null }))).await;
    assert!(changed.get("clientCode").is_none(), "{changed}");
    let (status, second) = harness.host("POST", "/accounts/vendor1@x.example/keys", None).await;
    assert_eq!(status, 201);
    assert_eq!(harness.host("POST", "/accounts/vendor1@x.example/keys", None).await.0, 409);
    let keys = format!("/accounts/vendor1@x.example/keys/{}", made["keyId"].as_str().unwrap());
    assert_eq!(harness.host("DELETE", &keys, None).await.0, 204);
    assert_eq!(harness.host("DELETE", &keys, None).await.0, 404);
    // The first key is out, the second in; its use is seen.
    let url = &harness.system.gateway_url;
    for (token, validated) in [(&made["apiKey"], false), (&second["apiKey"], true)] {
        let token = token.as_str().unwrap();
        let vendor = harness.pruvan.integrate(url, "", "VENDOR1@x.example", token, IntegrationType::Internal, false);
        assert_eq!(vendor.validate().await.unwrap().reply()["validated"], validated);
    }
    let (_, account) = harness.host("GET", "/accounts/vendor1@x.example", None).await;
    assert_eq!(
        account["keys"],
        json!([{ "keyId": second["keyId"], "made": "2026-11-23T12:00:00Z", "lastUsed": "2026-11-23T12:00:00Z" }])
    );
    let (_, list) = harness.host("GET", "/accounts", None).await;
    assert_eq!(list, json!({ "accounts": [account], "next": null }));
}

#[tokio::test]
async fn bad_accounts_are_told_what_is_wrong() {
    let harness = Harness::start().await;
    for (name, value) in [
        ("integration", json!("Internal!")),
        ("autoAdmin", json!("yes")),
        ("clientCode", json!("A::B")),
        ("statusMap", json!({ "x": "nope" })),
        ("pushLimitPerHour", json!(0)),
        ("pushLimitPerHour", json!("many")),
        ("autoadmin", json!(true)),
    ] {
        let (status, problem) = harness.host("PUT", "/accounts/vendor1", Some(json!({ name: value }))).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!(format!("/{name}"))), "{problem}");
    }
    for name in ["a%20b", "a%23b", "%C3%A9", &"x".repeat(101)] {
        assert_eq!(harness.host("PUT", &format!("/accounts/{name}"), None).await.0, 400, "{name}");
    }
    assert_eq!(harness.host_raw("PUT", "/accounts/vendor1", b"{\"integration\":".to_vec()).await.0, 400);
    assert_eq!(harness.host("GET", "/accounts/vendor1", None).await.0, 404);
    assert_eq!(harness.host("GET", "/accounts/vendor1/orders", None).await.0, 404);
    assert_eq!(harness.dump().await["AccountsTable"].len(), 0);
}

#[tokio::test]
async fn numbers_with_anything_in_them_make_the_whole_trip() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    let numbers = ["A/1", "100%", "100%25", "a b", "#?&=+", "...", "%2F", "\"\\", &"9".repeat(100)];
    for number in numbers {
        assert_eq!(harness.put("vendor1", number, json!({})).await["result"], "created", "{number}");
        assert_eq!(harness.order("vendor1", number).await["workOrderNumber"], number);
    }
    harness.system.tick().await;
    for number in numbers {
        assert!(vendor.project(number).is_some(), "{number}");
        vendor.change_status(number, "complete", "complete").await.unwrap();
        assert_eq!(harness.order("vendor1", number).await["reported"]["status"], "complete");
        assert_eq!(harness.host("DELETE", &format!("/accounts/vendor1/orders/{}", encode(number)), None).await.0, 204);
    }
}

#[tokio::test]
async fn orders_that_are_refused_change_nothing() {
    let harness = Harness::start().await;
    harness.account("vendor1", IntegrationType::Internal).await;
    harness.put("vendor1", "1", json!({})).await;
    let before = harness.dump().await;
    let path = "/accounts/vendor1/orders/1";
    for (body, field) in [
        (json!({}), "/address1"),
        (order(json!({ "zip": null })), "/zip"),
        (order(json!({ "services": [] })), "/services"),
        (order(json!({ "workOrderNumber": "2" })), "/workOrderNumber"),
        (order(json!({ "dueDate": "soon" })), "/dueDate"),
        (order(json!({ "status": "done" })), "/status"),
        (order(json!({ "adress2": "x" })), "/adress2"),
        (order(json!({ "force": "yes" })), "/force"),
        (order(json!({ "options": { "required": true } })), "/options/required"),
    ] {
        let (status, problem) = harness.host("PUT", path, Some(body.clone())).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!(field)), "{body} {problem}");
        assert_eq!((&problem["status"], &problem["title"]), (&json!(422), &json!("Unprocessable Entity")));
    }
    for number in ["9".repeat(300), "A::B".to_owned(), "\u{e9}".to_owned(), " x".to_owned()] {
        let (status, problem) =
            harness.host("PUT", &format!("/accounts/vendor1/orders/{}", encode(&number)), Some(order(json!({})))).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("/workOrderNumber")), "{problem}");
    }
    for body in ["", "[", "[]", "7"] {
        assert_eq!(harness.host_raw("PUT", path, body.as_bytes().to_vec()).await.0, 400, "{body}");
    }
    assert_eq!(harness.host("PATCH", path, Some(json!({ "city": null }))).await.0, 422);
    assert_eq!(harness.host("PATCH", "/accounts/vendor1/orders/none", Some(json!({ "city": "x" }))).await.0, 404);
    assert_eq!(harness.host("DELETE", "/accounts/vendor1/orders/none", None).await.0, 404);
    assert_eq!(harness.host("GET", "/accounts/vendor1/orders/none", None).await.0, 404);
    assert_eq!(harness.host("GET", "/accounts/vendor1/orders/none/uploads", None).await.0, 404);
    // Waking the account for a change that then wasn't one does no harm, but a refusal doesn't even do that.
    assert_eq!(harness.dump().await, before);
}

#[tokio::test]
async fn patches_merge_and_services_are_replaced() {
    let harness = Harness::start().await;
    harness.account("vendor1", IntegrationType::Internal).await;
    harness.host("PUT", "/accounts/vendor1", Some(json!({ "statusMap": { "Expedite": "rush" } }))).await;
    let whole =
        json!({ "reference": "r", "options": { "photo_size": "1024", "auto_relay": "off" }, "dueDate": "2026-12-01" });
    harness.put("vendor1", "1", whole).await;
    let patch = json!({
        "reference": null, "options": { "auto_relay": null }, "services": [{ "serviceName": "Other" }], "clientStatus": "expedite",
    });
    let (status, reply) = harness.host("PATCH", "/accounts/vendor1/orders/1", Some(patch)).await;
    assert_eq!((status, &reply["result"]), (200, &json!("changed")));
    let order = harness.order("vendor1", "1").await["workOrder"].clone();
    assert_eq!(
        (order.get("reference"), &order["options"], &order["services"], &order["dueDate"]),
        (None, &json!({ "photo_size": "1024" }), &json!([{ "serviceName": "Other" }]), &json!("2026-12-01 1200 +0"))
    );
    // The account's map made Pruvan's status of the client's.
    assert_eq!(order["status"], "rush");
    let (_, reply) = harness.host("PATCH", "/accounts/vendor1/orders/1", Some(json!({}))).await;
    assert_eq!(reply["result"], "unchanged");
}

#[tokio::test]
async fn lists_in_and_out() {
    let harness = Harness::start().await;
    harness.account("vendor1", IntegrationType::Internal).await;
    harness.put("vendor1", "same", json!({ "workOrderNumber": "same" })).await;
    let list = json!([
        order(json!({ "workOrderNumber": "new" })),
        order(json!({ "workOrderNumber": "same" })),
        order(json!({ "workOrderNumber": "new" })),
        order(json!({ "workOrderNumber": "bad", "city": "" })),
        order(json!({})),
        "rubbish",
    ]);
    let (status, reply) = harness.host("POST", "/accounts/vendor1/orders", Some(list)).await;
    assert_eq!(status, 200);
    let results: Vec<&str> =
        reply["results"].as_array().unwrap().iter().map(|result| result["result"].as_str().unwrap()).collect();
    assert_eq!(results, ["created", "unchanged", "refused", "refused", "refused", "refused"]);
    assert_eq!((&reply["created"], &reply["unchanged"], &reply["refused"]), (&json!(1), &json!(1), &json!(4)));
    assert_eq!(reply["results"][3]["errors"][0]["field"], "/city");
    assert_eq!(harness.host("POST", "/accounts/vendor1/orders", Some(json!("rubbish"))).await.0, 400);

    let many: Vec<Value> = (0..25).map(|n| order(json!({ "workOrderNumber": format!("m{n}") }))).collect();
    harness.host("POST", "/accounts/vendor1/orders", Some(Value::from(many))).await;
    harness.account("vendor2", IntegrationType::Internal).await;
    let (mut numbers, mut cursor) = (Vec::new(), String::new());
    loop {
        let (_, page) = harness.host("GET", &format!("/accounts/vendor1/orders?limit=4{cursor}"), None).await;
        let orders = page["orders"].as_array().unwrap();
        assert!(orders.len() <= 4);
        numbers.extend(orders.iter().map(|order| order["workOrderNumber"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), 27);
    assert_eq!(
        harness.host("GET", "/accounts/vendor2/orders", None).await.1,
        json!({ "orders": [], "next": null, "timeUp": false })
    );
    assert_eq!(harness.host("GET", "/accounts/vendor1/orders?limit=0", None).await.0, 400);
    assert_eq!(harness.host("GET", "/accounts/vendor1/orders?cursor=%00", None).await.0, 400);
}

#[tokio::test]
async fn a_page_of_large_orders_fits_a_reply() {
    let harness = Harness::start().await;
    harness.account("vendor1", IntegrationType::Internal).await;
    let text = "x".repeat(49_000);
    for chunk in 0..3 {
        let orders: Vec<Value> = (0..40)
            .map(|n| {
                order(json!({ "workOrderNumber": format!("{chunk}-{n}"), "instructions": text, "description": text }))
            })
            .collect();
        harness.host("POST", "/accounts/vendor1/orders", Some(Value::from(orders))).await;
    }
    let (mut orders, mut pages, mut cursor) = (0, 0, String::new());
    loop {
        let (status, page) = harness.host("GET", &format!("/accounts/vendor1/orders?limit=500{cursor}"), None).await;
        assert_eq!(status, 200);
        (orders, pages) = (orders + page["orders"].as_array().unwrap().len(), pages + 1);
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(orders, 120);
    assert!(pages > 2, "{pages}");
}

#[tokio::test]
async fn deleted_orders_are_kept_to_be_told_and_can_be_made_again() {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness.put("vendor1", "1", json!({})).await;
    harness.system.tick().await;
    assert_eq!(harness.host("DELETE", "/accounts/vendor1/orders/1", None).await.0, 204);
    assert_eq!(harness.host("DELETE", "/accounts/vendor1/orders/1", None).await.0, 204);
    assert_eq!(harness.order("vendor1", "1").await["deleted"], "2026-11-23T12:00:00Z");
    assert_eq!(harness.host("PATCH", "/accounts/vendor1/orders/1", Some(json!({ "city": "x" }))).await.0, 409);
    harness.system.tick().await;
    assert_eq!(vendor.projects(), 0);
    assert_eq!(harness.put("vendor1", "1", json!({})).await["result"], "created");
    harness.system.tick().await;
    assert_eq!(vendor.projects(), 1);
}

#[tokio::test]
async fn writers_at_once_lose_nobodys_change() {
    let harness = Harness::start().await;
    harness.account("vendor1", IntegrationType::Internal).await;
    harness.put("vendor1", "1", json!({})).await;
    let fields = ["workOrderInfo", "country", "address2", "reference", "description", "attribute7"];
    let patches =
        fields.map(|field| harness.host("PATCH", "/accounts/vendor1/orders/1", Some(json!({ field: field }))));
    let mut patches: Vec<_> = patches.into_iter().map(Box::pin).collect();
    let mut done = 0;
    std::future::poll_fn(|context| {
        patches.retain_mut(|patch| match patch.as_mut().poll(context) {
            std::task::Poll::Ready((status, reply)) => {
                assert_eq!(status, 200, "{reply}");
                done += 1;
                false
            }
            std::task::Poll::Pending => true,
        });
        if patches.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    assert_eq!(done, fields.len());
    let order = harness.order("vendor1", "1").await["workOrder"].clone();
    for field in fields {
        assert_eq!(order[field], field);
    }
}
