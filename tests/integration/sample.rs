//! The sample that `cargo run -p local -- --sample` makes, on a smaller share.

use local::sample::{Counts, Size, fill};
use serde_json::Value;
use simulator::Simulator;
use simulator::desk::Desk;
use simulator::listen::listen;

use crate::harness::{Harness, encode};

const SIZE: Size = Size { orders: 40, photos: 120 };

async fn numbers(at: &Harness, username: &str) -> Vec<String> {
    let (status, page) = at.host("GET", &format!("/accounts/{username}/orders?limit=500"), None).await;
    assert_eq!(status, 200, "{page}");
    page["orders"].as_array().unwrap().iter().map(|one| one["workOrderNumber"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_arrives_what_goes_wrong_does_and_a_second_time_adds_nothing() {
    let at = Harness::start().await;
    let url = at.system.gateway_url.clone();
    let (listener, simulator_url) = listen(0).await.unwrap();
    let desk = Desk::open(None, Simulator::at(&simulator_url, at.clock_ms())).unwrap();
    let routes = desk.simulator.routes();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let made = fill(&url, &desk, &at.clock(), SIZE, &|_| {}).await.unwrap();
    assert_eq!(made.orders, SIZE.orders);
    assert!((SIZE.photos * 8 / 10..SIZE.photos * 13 / 10).contains(&made.photos), "{:?}", made);
    assert!(made.surveys > 0 && made.reports > SIZE.orders / 3, "{:?}", made);

    let (mut orders, mut uploads, mut kinds, mut complete) = (0, 0, std::collections::BTreeSet::new(), 0);
    for account in desk.accounts() {
        let username = &account.integration.username;
        for number in numbers(&at, username).await {
            orders += 1;
            let order = at.order(username, &number).await;
            complete += usize::from(order["reported"]["fieldStatus"] == "complete");
            let path = format!("/accounts/{username}/orders/{}/uploads?limit=500", encode(&number));
            for upload in at.host("GET", &path, None).await.1["uploads"].as_array().unwrap() {
                uploads += 1;
                kinds.insert(upload["fileType"].as_str().unwrap().to_owned());
            }
        }
    }
    let (_, unmatched) = at.host("GET", "/accounts/patchwork-vendor/unmatched", None).await;
    assert_eq!(unmatched["uploads"].as_array().unwrap().len(), made.unmatched);
    assert_eq!((orders, uploads), (SIZE.orders, made.items - made.unmatched));
    assert!(["picture", "survey", "check-in", "csr"].iter().all(|kind| kinds.contains(*kind)), "{kinds:?}");
    assert!(complete > 5, "{complete}");

    let dump = at.dump().await;
    assert_eq!(fill(&url, &desk, &at.clock(), SIZE, &|_| {}).await.unwrap(), Counts::default());
    // Published once more from the start, as if the first run had been broken off.
    let file = desk.folder().join("sample.json");
    let broken_off = std::fs::read_to_string(&file).unwrap().replace("true", "false");
    std::fs::write(&file, broken_off).unwrap();
    let again = fill(&url, &desk, &at.clock(), SIZE, &|_| {}).await.unwrap();
    assert_eq!((again.orders, again.items), (0, made.items));
    let after = at.dump().await;
    for table in ["UploadsTable", "files"] {
        assert_eq!(dump[table].len(), after[table].len(), "{table}");
    }
    assert_eq!(dump["OrdersTable"].len(), after["OrdersTable"].len());

    // Refused orders are tried for some days, and then parked.
    for _ in 0..40 {
        at.system.tick().await;
        at.advance(3 * 3600);
    }
    let (_, queue) = at.host("GET", "/accounts/patchwork-vendor/push-queue", None).await;
    let waiting = queue["waiting"].as_array().unwrap();
    assert_eq!(waiting.len(), 4, "{queue}");
    assert!(waiting.iter().all(|row| row["state"] == "parked" && row["lastError"].is_string()), "{queue}");
    let states: Vec<Value> =
        futures_util::future::join_all(["hillside-field", "lapsed-vendor"].map(async |username| {
            at.host("GET", &format!("/accounts/{username}"), None).await.1["pushKey"]["state"].clone()
        }))
        .await;
    assert_eq!(states, ["live", "dead"]);
    let (_, queue) = at.host("GET", "/accounts/hillside-field/push-queue", None).await;
    assert_eq!(queue["waiting"].as_array().unwrap().len(), 0, "{queue}");
}
