//! Writes that took effect and whose reply was lost: the SDK makes them again, and then their own condition is false.
//! Each of them knows its own work again.

use bridge::accounts::{AccountSettings, Accounts};
use bridge::orders::{Orders, Report};
use bridge::push_queue::PushQueue;
use bridge::secrets::ApiKey;
use bridge::time::Random;
use bridge::uploads::{UploadRow, Uploads, Video, VideoState, Written};
use pruvan::integration::IntegrationType;
use serde_json::json;

use crate::harness::Harness;
use crate::harness::faults::{Fault, Faults};

const NOW: i64 = crate::harness::START_MS;

/// The tables, by a client whose calls fail as planned, and by one whose calls don't.
struct Tables {
    harness: Harness,
    faults: Faults,
    accounts: Accounts,
    orders: Orders,
    uploads: Uploads,
    queue: PushQueue,
    /// The same tables, by the client whose calls don't fail: what others do meanwhile.
    others: (Accounts, Orders, Uploads),
}

impl Tables {
    async fn new() -> Tables {
        let (harness, faults) = (Harness::start().await, Faults::default());
        let stores = &harness.system.stores;
        let of = faults.meet(harness.dependencies(), &stores.dynamodb_url, &stores.s3_url);
        let clean = harness.dependencies();
        Tables {
            accounts: Accounts::new(&of).unwrap(),
            orders: Orders::new(&of).unwrap(),
            uploads: Uploads::new(&of).unwrap(),
            queue: PushQueue::new(&of).unwrap(),
            others: (Accounts::new(&clean).unwrap(), Orders::new(&clean).unwrap(), Uploads::new(&clean).unwrap()),
            harness,
            faults,
        }
    }

    /// The reply of `write` is lost, and the SDK makes it again.
    async fn lost<T>(&self, write: impl Future<Output = T>) -> T {
        self.faults.calls();
        self.faults.plan(0, Fault::After);
        let result = write.await;
        assert!(self.faults.end() && self.faults.calls().len() > 1, "nothing was lost");
        result
    }

    /// The same, but that others act before it is made again. `nth` is the write among the calls.
    async fn lost_while<T>(&self, nth: usize, write: impl Future<Output = T>, others: impl Future<Output = ()>) -> T {
        self.faults.plan(nth, Fault::AfterAWhile);
        let (result, ()) = tokio::join!(write, async {
            self.faults.paused().await;
            others.await;
            self.faults.resume();
        });
        assert!(self.faults.end());
        result
    }
}

fn key() -> ApiKey {
    ApiKey::generate(&Random::system())
}

#[tokio::test]
async fn a_key_that_is_shown_once_is_told() {
    let tables = Tables::new().await;
    let (accounts, settings) = (&tables.accounts, AccountSettings::default());
    let first = key();
    assert!(tables.lost(accounts.create("vendor1", &settings, "k1", &first, NOW)).await.unwrap());
    assert!(!accounts.create("vendor1", &settings, "k2", &key(), NOW).await.unwrap(), "another's account");
    assert!(tables.lost(accounts.add_key("vendor1", "k2", &key(), NOW)).await.unwrap());
    assert!(!accounts.add_key("vendor1", "k3", &key(), NOW).await.unwrap(), "there are two");
    assert!(tables.lost(accounts.delete_key("vendor1", "k2", false)).await.unwrap());
    let account = accounts.get("vendor1").await.unwrap().unwrap();
    assert_eq!(account.keys.keys().collect::<Vec<_>>(), ["k1"]);
    assert_eq!(account.keys["k1"].sha256, first.hash().to_hex());

    // The host sets the account up once more before the call is made again.
    let other = AccountSettings { auto_admin: true, ..AccountSettings::default() };
    let made = accounts.create("vendor2", &settings, "k1", &first, NOW);
    let others = async { tables.others.0.set_settings("vendor2", &other, ["autoAdmin"]).await.map(drop).unwrap() };
    assert!(tables.lost_while(0, made, others).await.unwrap(), "its key is told all the same");
    assert!(accounts.get("vendor2").await.unwrap().unwrap().settings.auto_admin, "and nothing is taken back");
}

#[tokio::test]
async fn a_key_is_told_by_the_hosts_api() {
    let tables = Tables::new().await;
    let stores = &tables.harness.system.stores;
    let of = tables.faults.meet(tables.harness.dependencies(), &stores.dynamodb_url, &stores.s3_url);
    let function = local::functions::start("accounts", &of).unwrap().unwrap();
    let local::functions::Function::Http(function) = function else { panic!("accounts answers requests") };
    let call = async |method: &str, route: &str| {
        let event = json!({
            "resource": route, "path": route, "httpMethod": method, "headers": {}, "multiValueHeaders": {},
            "pathParameters": { "username": "vendor1" },
            "requestContext": { "resourcePath": route, "httpMethod": method, "identity": {} },
            "body": null, "isBase64Encoded": false,
        });
        // The account is looked up first.
        tables.faults.plan(1, Fault::After);
        let reply = function(lambda_http::request::from_str(&event.to_string()).unwrap()).await;
        assert!(tables.faults.end());
        let local::functions::Reply::Buffered(reply) = reply else { panic!("it is whole") };
        let body: serde_json::Value = serde_json::from_slice(reply.body().as_ref()).unwrap();
        (reply.status().as_u16(), body["apiKey"].as_str().map(str::len))
    };
    assert_eq!(call("PUT", "/accounts/{username}").await, (201, Some(43)));
    assert_eq!(call("POST", "/accounts/{username}/keys").await, (201, Some(43)));
}

#[tokio::test]
async fn a_lease_is_held_by_who_took_it() {
    let tables = Tables::new().await;
    tables.accounts.create("vendor1", &AccountSettings::default(), "k1", &key(), NOW).await.unwrap();
    let (account, lease) = tables.lost(tables.accounts.lease("vendor1", &[1; 16], NOW)).await.unwrap().unwrap();
    assert!(tables.accounts.lease("vendor1", &[2; 16], NOW).await.unwrap().is_none(), "another has it");
    let next = bridge::accounts::NextWakeUp::NothingWaits;
    tables.lost(tables.accounts.release(&account, &lease, NOW, next)).await.unwrap();
    let other = async { tables.others.0.wake("vendor1", NOW + 5).await.unwrap() };
    let taken = tables.lost_while(0, tables.accounts.lease("vendor1", &[3; 16], NOW + 1), other).await.unwrap();
    assert_eq!(taken.unwrap().0.wakes, 1, "the account as it is");
}

#[tokio::test]
async fn a_report_stands_once_on_its_order() {
    let tables = Tables::new().await;
    tables.harness.account("vendor1", IntegrationType::Internal).await;
    tables.harness.put("vendor1", "1", json!({})).await;
    let account = tables.others.0.get("vendor1").await.unwrap().unwrap();
    let report = |at| Report { at, status: Some("complete".to_owned()), ..Report::default() };
    tables.faults.plan(1, Fault::After);
    assert!(tables.orders.report(&account, "1", &[report(1)]).await.unwrap() && tables.faults.end());
    let (second, third) = (report(2), report(3));
    let other = async { assert!(tables.others.1.report(&account, "1", std::slice::from_ref(&third)).await.unwrap()) };
    assert!(
        tables.lost_while(1, tables.orders.report(&account, "1", std::slice::from_ref(&second)), other).await.unwrap()
    );
    let order = tables.orders.get("vendor1", "1").await.unwrap().unwrap();
    assert_eq!(order.reports.iter().map(|report| report.at).collect::<Vec<_>>(), [1, 2, 3]);
}

/// The row of a photo with a video.
fn upload() -> UploadRow {
    let row = json!({
        "username": "vendor1", "uuId": "1", "workOrderNumber": "1001", "order": "vendor1#1001", "receivedAt": NOW,
        "version": 1, "versions": 1, "revision": 1, "fingerprint": "a", "size": 7, "contentType": "image/jpeg",
        "path": "a/b", "sha256": "c", "received": "1#1",
    });
    let mut row: UploadRow = serde_json::from_value(row).unwrap();
    row.video = Some(Video::new("https://a.example/1".to_owned(), None, NOW));
    row.queue_video(NOW);
    row
}

#[tokio::test]
async fn an_upload_is_stored_once_and_its_video_stays_claimed() {
    let tables = Tables::new().await;
    let (uploads, row) = (&tables.uploads, upload());
    assert_eq!(tables.lost(uploads.create(&row)).await.unwrap(), Written::Done);
    assert_eq!(uploads.get("vendor1", "1").await.unwrap().unwrap(), row);
    let other = UploadRow { fingerprint: "b".to_owned(), ..row.clone() };
    assert_eq!(uploads.create(&other).await.unwrap(), Written::Overtaken, "another's row");
    let amended = UploadRow { assigned: Some("7".to_owned()), unmatched: None, ..row.clone() };
    assert_eq!(tables.lost(uploads.amend(&amended)).await.unwrap(), Written::Done);
    assert_eq!(uploads.amend(&row).await.unwrap(), Written::Overtaken, "the row has changed");

    let due = ("vendor1".to_owned(), "1".to_owned(), NOW);
    let mut claimed = tables.lost(uploads.claim_video(&due, "mine", NOW + 900)).await.unwrap().unwrap();
    assert!(uploads.claim_video(&due, "another's", NOW + 900).await.unwrap().is_none());
    let video = claimed.video.as_mut().unwrap();
    (video.state, video.claim) = (VideoState::Stored, None);
    claimed.queue_video(NOW);
    assert_eq!(tables.lost(uploads.settle_video(&claimed, "mine")).await.unwrap(), Written::Done);
    assert_eq!(uploads.settle_video(&row, "another's").await.unwrap(), Written::Overtaken);
}

#[tokio::test]
async fn an_order_is_queued_once() {
    let tables = Tables::new().await;
    let queue = &tables.queue;
    tables.lost(queue.queue_again("vendor1", "1", (3, NOW), NOW)).await.unwrap();
    assert_eq!(queue.get("vendor1", "1").await.unwrap().unwrap().version, 3);
    queue.queue_again("vendor1", "1", (2, NOW), NOW).await.unwrap();
    assert_eq!(queue.get("vendor1", "1").await.unwrap().unwrap().version, 3, "it was queued already");
    assert!(tables.lost(queue.retry("vendor1", "1", NOW + 1)).await.unwrap());
    tables.faults.plan(1, Fault::After);
    queue.push_again("vendor1", "2", 1, NOW).await.unwrap();
    assert!(tables.faults.end() && queue.get("vendor1", "2").await.unwrap().is_some());
}
