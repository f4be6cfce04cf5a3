//! Each tenant alone: whatever several accounts do through every endpoint, no reply and no stored byte of one shows in
//! another's.
//!
//! All of them use the same work order numbers and the same `uuId`s, and each writes its mark into all that it sends.

use std::sync::atomic::{AtomicUsize, Ordering};

use local::template::{Route, TEMPLATE, Template};
use proptest::prelude::*;
use pruvan::integration::IntegrationType;
use serde_json::{Value, json};
use simulator::{Integration, MP4_HEAD, VideoReply};

use crate::harness::{Harness, PHOTO, order, picture};

#[derive(Debug, Clone)]
enum Step {
    Put(u8),
    Patch(u8),
    Bulk,
    Delete(u8),
    Publish(u8, u8),
    Survey(u8),
    Report(u8),
    Pull(bool),
    Validate,
    /// With another's user name.
    Trespass(u8),
    Assign(u8, u8),
    PushAgain(u8),
    Retry(u8),
    Look(u8),
    Tick,
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let step = prop_oneof![
        4 => (0..3u8).prop_map(Step::Put),
        1 => (0..3u8).prop_map(Step::Patch),
        1 => Just(Step::Bulk),
        1 => (0..3u8).prop_map(Step::Delete),
        3 => (0..4u8, 0..3u8).prop_map(|(number, item)| Step::Publish(number, item)),
        1 => (0..4u8).prop_map(Step::Survey),
        2 => (0..4u8).prop_map(Step::Report),
        2 => any::<bool>().prop_map(Step::Pull),
        1 => Just(Step::Validate),
        2 => (0..3u8).prop_map(Step::Trespass),
        1 => (0..3u8, 0..3u8).prop_map(|(item, number)| Step::Assign(item, number)),
        1 => (0..3u8).prop_map(Step::PushAgain),
        1 => (0..3u8).prop_map(Step::Retry),
        2 => (0..12u8).prop_map(Step::Look),
        2 => Just(Step::Tick),
    ];
    prop::collection::vec((0..3usize, step), 1..40)
}

struct Tenant {
    vendor: Integration,
    username: String,
    mark: String,
}

async fn run(harness: &Harness, case: usize, steps: &[(usize, Step)]) {
    let mut tenants = Vec::new();
    for name in ["ann", "bob", "ann2"] {
        // One name begins with another.
        let username = format!("c{case}-{name}");
        let vendor = harness.account(&username, IntegrationType::Internal).await;
        let mark = format!("mark-of-{}-{case}-", ["ann", "bob", "zoe"][tenants.len()]);
        tenants.push(Tenant { vendor, username, mark });
    }
    let seen = |who: usize, what: &str, text: &str| {
        for (other, tenant) in tenants.iter().enumerate().filter(|(other, _)| *other != who) {
            assert!(!text.contains(&tenant.mark), "{what} of {who} shows {other}'s: {text}");
        }
    };
    for (who, step) in steps {
        let who = *who;
        let Tenant { vendor, username, mark } = &tenants[who];
        let of = |path: &str| format!("/accounts/{username}{path}");
        let marked = |number: u8| json!({ "workOrderNumber": number.to_string(), "reference": mark, "address2": mark });
        let host = async |method: &str, path: String, body: Option<Value>| {
            let (status, reply) = harness.host(method, &path, body).await;
            assert!(status < 500, "{path}: {reply}");
            seen(who, &path, &reply.to_string());
        };
        harness.advance(1);
        match step {
            Step::Put(number) => host("PUT", of(&format!("/orders/{number}")), Some(order(marked(*number)))).await,
            Step::Patch(number) => {
                host("PATCH", of(&format!("/orders/{number}")), Some(json!({ "instructions": mark }))).await;
            }
            Step::Bulk => {
                let orders: Vec<Value> = (0..3).map(|number| order(marked(number))).collect();
                host("POST", of("/orders"), Some(json!(orders))).await;
            }
            Step::Delete(number) => host("DELETE", of(&format!("/orders/{number}")), None).await,
            Step::Publish(number, item) => {
                // One of them has a video, too.
                let film = [MP4_HEAD, mark.as_bytes()].concat();
                let link = (*item == 2).then(|| harness.pruvan.video(mark, [VideoReply::Bytes(film)]));
                let more = json!({ "notes": mark, "videoUri": link, "timestamp": harness.now() });
                let item = picture(&format!("item-{item}"), &number.to_string(), more);
                let file = [PHOTO, mark.as_bytes()].concat();
                seen(who, "an upload", &vendor.publish(item, Some(("1.jpg", &file))).await.unwrap().body);
            }
            Step::Survey(number) => {
                let survey =
                    json!({ "meta": { "surveyTemplateId": mark }, "answers": [{ "id": "q", "answer": mark }] });
                let item = picture("survey", &number.to_string(), json!({ "fileType": "survey", "survey": survey }));
                seen(who, "a survey", &vendor.publish(item, None).await.unwrap().body);
            }
            Step::Report(number) => {
                let report = vendor.change_status(&number.to_string(), mark, "viewed").await.unwrap();
                seen(who, "a status", &report.body);
            }
            Step::Pull(full) => {
                let since = (!full).then(|| harness.now() - 60);
                seen(who, "a pull", &vendor.import(since).await.unwrap().body);
            }
            Step::Validate => seen(who, "a validate", &vendor.validate().await.unwrap().body),
            Step::Trespass(service) => {
                let mut trespasser = vendor.clone();
                trespasser.username = tenants[(who + 1) % 3].username.clone();
                let item = picture("item-0", "0", json!({ "notes": mark }));
                let reply = match service {
                    0 => trespasser.import(None).await.unwrap().body,
                    1 => trespasser.publish(item, Some(("1.jpg", PHOTO))).await.unwrap().body,
                    _ => trespasser.change_status("0", mark, "viewed").await.unwrap().body,
                };
                assert!(reply.contains("invalid username or password"), "{reply}");
                seen(who, "a trespass", &reply);
            }
            Step::Assign(item, number) => {
                let to = json!({ "workOrderNumber": number.to_string() });
                host("POST", of(&format!("/unmatched/item-{item}/assign")), Some(to)).await;
            }
            Step::PushAgain(number) => host("POST", of(&format!("/orders/{number}/push")), None).await,
            Step::Retry(number) => {
                host("POST", of(&format!("/push-queue/{number}/retry")), None).await;
                host("POST", of("/push-queue/retry"), None).await;
            }
            Step::Look(at) => {
                let paths = [
                    "",
                    "/orders",
                    "/orders?format=csv",
                    "/orders/0",
                    "/orders/1/uploads",
                    "/orders/1/answers",
                    "/orders/0/manifest",
                    "/orders/1/answers?format=csv",
                    "/uploads/item-0",
                    "/uploads/survey",
                    "/unmatched",
                    "/push-queue",
                ];
                let path = of(paths[usize::from(*at)]);
                let reply = harness.client.get(format!("{}{path}", harness.system.gateway_url)).send().await.unwrap();
                seen(who, &path, &reply.text().await.unwrap());
            }
            Step::Tick => harness.system.tick().await,
        }
    }
    harness.system.tick().await;
    // Whatever the steps were: each route of the template, as each of them.
    let routes = Template::parse(TEMPLATE).unwrap().functions.into_values().flat_map(|function| function.routes);
    let routes: Vec<Route> =
        routes.filter(|route| route.api == "HostApi" && route.path.contains("{username}")).collect();
    for (who, tenant) in tenants.iter().enumerate() {
        for route in &routes {
            let path = route.path.replace("{username}", &tenant.username).replace("{workOrderNumber}", "1");
            let path = path.replace("{uuId}", "item-0").replace("{id}", "00000000");
            let body = match route.path.as_str() {
                "/accounts/{username}" => json!({ "statusMap": { &tenant.mark: "rush" } }),
                path if path.ends_with("assign") => json!({ "workOrderNumber": "1" }),
                _ => order(json!({ "reference": tenant.mark })),
            };
            let body = if route.method == "GET" { String::new() } else { body.to_string() };
            let url = format!("{}{path}", harness.system.gateway_url);
            let reply = harness.client.request(route.method.parse().unwrap(), url).body(body).send().await.unwrap();
            assert!(reply.status().as_u16() < 500, "{} {path}", route.method);
            seen(who, &path, &reply.text().await.unwrap());
        }
    }
    harness.system.tick().await;
    for (who, tenant) in tenants.iter().enumerate() {
        for push in tenant.vendor.pushes() {
            seen(who, "a push", &push.to_string());
        }
    }
    // Every row and every file is of one tenant, by its key and by what is in it.
    let all = harness.dump().await;
    let rows = all.iter().filter(|(table, _)| *table != "files").flat_map(|(_, rows)| rows);
    let mut texts: Vec<String> = rows.cloned().collect();
    // An object of the store: a JSON that has its path, and the bytes beside it.
    let objects = &harness.system.stores.objects;
    for name in all["files"].iter().filter(|name| name.ends_with(".json")) {
        let object: Value = serde_json::from_slice(&std::fs::read(objects.join(name)).unwrap()).unwrap();
        let bytes = std::fs::read(objects.join(object["bytes_in"].as_str().unwrap())).unwrap();
        texts.push(format!("{object} {}", String::from_utf8_lossy(&bytes)));
    }
    assert!(
        texts.iter().any(|text| text.contains("JFIF")) || all["UploadsTable"].iter().all(|row| row.contains("survey"))
    );
    for text in texts {
        let marks = tenants.iter().filter(|tenant| text.contains(&tenant.mark)).count();
        assert!(marks <= 1, "of several: {text}");
        for tenant in tenants.iter().filter(|tenant| text.contains(&tenant.mark)) {
            let others = tenants.iter().filter(|other| other.username != tenant.username);
            let keyed =
                |username: &str| ["\"", "/", "#", "%2F"].iter().any(|end| text.contains(&format!("{username}{end}")));
            assert!(keyed(&tenant.username), "not keyed by its own: {text}");
            for other in others {
                assert!(!keyed(&other.username), "keyed by another: {text}");
            }
        }
    }
}

#[test]
fn no_reply_and_no_stored_byte_of_one_shows_in_anothers() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(24);
    let config =
        ProptestConfig { cases, max_shrink_iters: 100, failure_persistence: None, ..ProptestConfig::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let harness = runtime.block_on(Harness::start());
    let count = AtomicUsize::new(0);
    proptest!(config, |(steps in steps())| {
        runtime.block_on(run(&harness, count.fetch_add(1, Ordering::Relaxed), &steps));
    });
}
