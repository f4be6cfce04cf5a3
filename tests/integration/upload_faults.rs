//! Whatever fails and in whatever order things come: every upload that was answered `true` is whole and findable, its
//! newest version is the current one, and nothing else changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use lambda_http::{Body, Request};
use proptest::prelude::*;
use pruvan::integration::IntegrationType;
use serde_json::{Value, json};
use simulator::multipart;
use upload_pictures::UploadPictures;

use crate::harness::faults::{Fault, Faults};
use crate::harness::{Harness, PHOTO, picture};

/// One publishing: which item, what it says, which file, and when Pruvan sent it.
#[derive(Debug, Clone, PartialEq)]
struct Item {
    item: u8,
    notes: u8,
    file: u8,
    sent: u8,
}

#[derive(Debug, Clone)]
enum Step {
    /// Published, with a fault at the n-th call.
    One(Item, Option<(usize, Fault)>),
    /// Two at the same moment.
    Pair(Item, Item),
}

fn item() -> impl Strategy<Value = Item> {
    (0..3u8, 0..3u8, 0..2u8, 0..6u8).prop_map(|(item, notes, file, sent)| Item { item, notes, file, sent })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fault = prop_oneof![Just(Fault::Before), Just(Fault::After), Just(Fault::DiesBefore), Just(Fault::DiesAfter)];
    let step = prop_oneof![
        6 => (item(), proptest::option::weighted(0.7, (0..7usize, fault))).prop_map(|(item, fault)| Step::One(item, fault)),
        2 => (item(), item()).prop_map(|(one, other)| Step::Pair(one, other)),
        1 => item().prop_map(|item| Step::Pair(item.clone(), item)),
    ];
    proptest::collection::vec(step, 1..14)
}

fn file(of: u8) -> Vec<u8> {
    [PHOTO, &[of]].concat()
}

fn request(username: &str, token: &str, item: &Item) -> Request {
    let mut payload = picture(
        &format!("item-{}", item.item),
        if item.item == 2 { "unknown" } else { "1" },
        json!({ "notes": format!("n{}", item.notes), "timestamp": 1_414_434_590 + u64::from(item.sent) }),
    );
    payload["username"] = json!(username);
    payload["token"] = json!(token);
    let (content_type, body) = multipart(&payload.to_string(), Some(("1.jpg", &file(item.file))));
    let request = lambda_http::http::Request::builder().method("POST").uri("/uploadPictures");
    request.header("content-type", content_type).body(Body::Binary(body)).unwrap()
}

async fn run(harness: &Harness, username: &str, steps: &[Step]) {
    let vendor = harness.account(username, IntegrationType::Internal).await;
    vendor.validate().await.unwrap();
    harness.put(username, "1", json!({})).await;
    let mut untouched = harness.dump().await;
    let faults = Faults::default();
    let stores = &harness.system.stores;
    let dependencies = faults.meet(harness.dependencies(), &stores.dynamodb_url, &stores.s3_url);
    let state = Arc::new(UploadPictures::new(&dependencies).unwrap());
    let publish = async |item: &Item| {
        let request = request(username, &vendor.token, item);
        let reply = faults.run(upload_pictures::handle(state.clone(), request)).await?;
        let reply: Value = serde_json::from_slice(reply.body().as_ref()).unwrap();
        Some(reply["status"] == true)
    };
    let (mut tried, mut told) = (Vec::new(), Vec::new());
    for step in steps {
        match step {
            Step::One(item, fault) => {
                if let Some((nth, fault)) = fault {
                    faults.plan(*nth, *fault);
                }
                let answer = publish(item).await;
                faults.end();
                assert!(fault.is_some() || answer == Some(true), "{item:?} was refused without a fault");
                tried.push(item.clone());
                told.extend((answer == Some(true)).then(|| item.clone()));
            }
            Step::Pair(one, other) => {
                let answers = tokio::join!(publish(one), publish(other));
                assert_eq!(answers, (Some(true), Some(true)), "{one:?} {other:?}");
                tried.extend([one.clone(), other.clone()]);
                told.extend([one.clone(), other.clone()]);
            }
        }
    }
    for of in 0..3u8 {
        let path = format!("/accounts/{username}/uploads/item-{of}");
        let (status, found) = harness.host("GET", &path, None).await;
        let told: Vec<&Item> = told.iter().filter(|item| item.item == of).collect();
        let tried: Vec<&Item> = tried.iter().filter(|item| item.item == of).collect();
        assert!(status == 200 || told.is_empty(), "item {of} is lost");
        if status == 404 {
            continue;
        }
        let earlier = found["earlierVersions"].as_array().unwrap();
        let all: Vec<&Value> = std::iter::once(&found).chain(earlier).collect();
        // Each version is whole, and is one that was published.
        let mut contents = Vec::new();
        for version in &all {
            let bytes = harness.client.get(version["link"].as_str().unwrap()).send().await.unwrap();
            let bytes = bytes.bytes().await.unwrap();
            let content = tried
                .iter()
                .find(|item| file(item.file) == bytes && version["fields"]["notes"] == format!("n{}", item.notes));
            let content = content.unwrap_or_else(|| panic!("nobody published {version}"));
            contents.push((content.notes, content.file));
        }
        for item in &told {
            assert!(contents.contains(&(item.notes, item.file)), "{item:?} was answered true and is not there");
        }
        // The current one was sent no earlier than any that was answered true.
        if let Some(newest) = told.iter().map(|item| item.sent).max() {
            let current = tried.iter().filter(|item| (item.notes, item.file) == contents[0]);
            assert!(
                current.map(|item| item.sent).max() >= Some(newest),
                "item {of}: an older version is the current one"
            );
        }
        let numbers: Vec<u64> = all.iter().map(|version| version["version"].as_u64().unwrap()).collect();
        assert_eq!(numbers.iter().collect::<std::collections::BTreeSet<_>>().len(), numbers.len(), "{numbers:?}");
        // Exactly one of it is listed, under its order or among the unmatched.
        let list = if of == 2 { "unmatched" } else { "orders/1/uploads" };
        let (_, listed) = harness.host("GET", &format!("/accounts/{username}/{list}"), None).await;
        let listed = listed["uploads"].as_array().unwrap().iter();
        assert_eq!(listed.filter(|upload| upload["uuId"] == format!("item-{of}")).count(), 1);
    }
    let mut after = harness.dump().await;
    for dump in [&mut untouched, &mut after] {
        let changing: BTreeMap<_, _> =
            ["UploadsTable", "files"].into_iter().map(|name| (name, dump.remove(name))).collect();
        assert!(changing.values().all(Option::is_some));
    }
    assert_eq!(after, untouched, "nothing else changes");
}

#[test]
fn what_was_answered_true_is_whole_and_findable() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(48);
    let config =
        ProptestConfig { cases, max_shrink_iters: 100, failure_persistence: None, ..ProptestConfig::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let harness = runtime.block_on(Harness::start());
    let count = std::sync::atomic::AtomicUsize::new(0);
    proptest!(config, |(steps in steps())| {
        let username = format!("u{}", count.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        runtime.block_on(run(&harness, &username, &steps));
    });
}
