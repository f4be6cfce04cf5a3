//! Videos: the still at once, and the video before its link ends; tried again, given up with a reason, and begun anew.

use pruvan::integration::IntegrationType;
use serde_json::{Value, json};
use simulator::{Integration, MP4_HEAD, VideoReply};

use crate::harness::{Harness, PHOTO, picture};

async fn start() -> (Harness, Integration) {
    let harness = Harness::start().await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    harness.put("vendor1", "1", json!({})).await;
    (harness, vendor)
}

/// Publishes the still of a video, sent now.
async fn publish(harness: &Harness, vendor: &Integration, link: &str) {
    let item = picture("v", "1", json!({ "videoUri": link, "timestamp": harness.now() }));
    let answer = vendor.publish(item, Some(("1.jpg", PHOTO))).await.unwrap();
    assert_eq!(answer.body, r#"{"status":true,"error":null}"#);
}

async fn video(harness: &Harness) -> Value {
    let (status, reply) = harness.host("GET", "/accounts/vendor1/uploads/v", None).await;
    assert_eq!(status, 200);
    reply["video"].clone()
}

fn mp4(size: usize) -> Vec<u8> {
    let mut video = MP4_HEAD.to_vec();
    video.extend((video.len()..size).map(|n| u8::try_from(n * 31 % 251).unwrap()));
    video
}

#[tokio::test]
async fn a_video_is_fetched_in_parts_and_comes_back_byte_for_byte() {
    let (harness, vendor) = start().await;
    // More than two parts, over three redirects.
    let bytes = mp4(20_000_000);
    let mut link = harness.pruvan.video("whole", [VideoReply::Bytes(bytes.clone())]);
    for n in 0..3 {
        link = harness.pruvan.video(&format!("redirect-{n}"), [VideoReply::Redirect(link)]);
    }
    publish(&harness, &vendor, &link).await;
    assert_eq!((&video(&harness).await["state"], &video(&harness).await["link"]), (&json!("pending"), &Value::Null));
    harness.system.tick().await;
    let stored = video(&harness).await;
    assert_eq!(
        (&stored["state"], &stored["contentType"], &stored["size"]),
        (&json!("stored"), &json!("video/mp4"), &json!(20_000_000))
    );
    let got = harness.client.get(stored["link"].as_str().unwrap()).send().await.unwrap();
    assert!(got.bytes().await.unwrap() == bytes);
    let (_, manifest) = harness.host("GET", "/accounts/vendor1/orders/1/manifest", None).await;
    assert_eq!(manifest["files"][1]["name"], "Task/before/2014-10-27T182934Z-v-video.mp4");
    // Publishing it again with the same link fetches nothing again, and nobody is told the link.
    let before = harness.dump().await["files"].clone();
    publish(&harness, &vendor, &link).await;
    harness.system.tick().await;
    assert_eq!((video(&harness).await["attempts"].clone(), harness.dump().await["files"].clone()), (json!(1), before));
    assert!(!harness.host("GET", "/accounts/vendor1/uploads/v", None).await.1.to_string().contains("/video/"));
}

#[tokio::test]
async fn a_video_is_of_the_item_and_not_of_a_version() {
    let (harness, vendor) = start().await;
    let version = async |more: Value| {
        harness.advance(1);
        let answer = vendor.publish(picture("v", "1", more), Some(("1.jpg", PHOTO))).await.unwrap();
        assert_eq!(answer.body, r#"{"status":true,"error":null}"#);
    };
    let sent = harness.now();
    // The newer version comes first and without the link; the older one has it.
    version(json!({ "notes": "new", "timestamp": sent + 10 })).await;
    let link = harness.pruvan.video("v", [VideoReply::Bytes(mp4(1000))]);
    version(json!({ "notes": "old", "timestamp": sent, "videoUri": link })).await;
    // And one more without it, before it was fetched.
    version(json!({ "notes": "newest", "timestamp": sent + 20 })).await;
    harness.system.tick().await;
    assert_eq!(video(&harness).await["state"], "stored");
    // A new version without the link, or a link that gives nothing, takes away nothing that was fetched.
    version(json!({ "notes": "last", "timestamp": sent + 30 })).await;
    assert_eq!(video(&harness).await["state"], "stored");
    let dead = harness.pruvan.video("dead", [VideoReply::Status(404)]);
    version(json!({ "notes": "last", "timestamp": sent + 40, "videoUri": dead })).await;
    harness.system.tick().await;
    let pending = video(&harness).await;
    assert_eq!((&pending["state"], &pending["attempts"]), (&json!("pending"), &json!(1)));
    let got = harness.client.get(pending["link"].as_str().unwrap()).send().await.unwrap().bytes().await.unwrap();
    assert!(got == mp4(1000));
}

#[tokio::test]
async fn what_fails_is_tried_again_on_schedule_until_the_link_ends() {
    let (harness, vendor) = start().await;
    let link = harness.pruvan.video("gone", [VideoReply::Status(503)]);
    publish(&harness, &vendor, &link).await;
    let mut times = Vec::new();
    for minute in 0..25 * 60 {
        // Nothing is tried in most minutes; those around the hours are looked at, and the first two hours.
        if minute > 150 && !(19..=23).contains(&(minute % 60)) && minute < 24 * 60 - 11 {
            harness.advance(60);
            continue;
        }
        let before = video(&harness).await;
        harness.system.tick().await;
        let after = video(&harness).await;
        if before["attempts"] != after["attempts"] {
            times.push(minute);
        }
        if after["state"] == "expired" {
            break;
        }
        harness.advance(60);
    }
    // At once, after 1, 5, 15 and 60 minutes, then hourly; and each minute at the very end.
    assert_eq!(times[..6], [0, 1, 6, 21, 81, 141]);
    assert_eq!(times.last(), Some(&(24 * 60)));
    let expired = video(&harness).await;
    assert_eq!(expired["state"], "expired");
    assert_eq!(
        expired["error"],
        "the link's host answered with HTTP status 503, and the link has ended: publish the video again in Pruvan"
    );
    // A new link begins anew.
    publish(&harness, &vendor, &harness.pruvan.video("anew", [VideoReply::Bytes(mp4(1000))])).await;
    harness.system.tick().await;
    assert_eq!((&video(&harness).await["state"], &video(&harness).await["attempts"]), (&json!("stored"), &json!(1)));
}

#[tokio::test]
async fn each_way_of_failing_says_what_it_is_and_leaves_nothing_behind() {
    let harness = Harness::with_environment(vec![("MAX_VIDEO_MEGABYTES".to_owned(), "12".to_owned())]).await;
    let vendor = harness.account("vendor1", IntegrationType::Internal).await;
    harness.put("vendor1", "1", json!({})).await;
    let round = harness.pruvan.video("round", [VideoReply::Redirect(format!("{}/video/round", harness.pruvan.url))]);
    let away = harness.pruvan.video("away", [VideoReply::Redirect("https://evil.example/".to_owned())]);
    let inside = harness.pruvan.video("inside", [VideoReply::Redirect("http://169.254.169.254/".to_owned())]);
    for (link, error) in [
        (
            harness.pruvan.video("cut", [VideoReply::Cut(mp4(11_000_000))]),
            "the connection broke before the video's end",
        ),
        (
            harness.pruvan.video("page", [VideoReply::Bytes(b"<html>sign in".to_vec())]),
            "the link gave a page or message and no video",
        ),
        (
            harness.pruvan.video("empty", [VideoReply::Bytes(Vec::new())]),
            "the link gave a page or message and no video",
        ),
        (
            harness.pruvan.video("large", [VideoReply::Made(12_000_001)]),
            "the video is larger than MaxVideoMegabytes (12 MB)",
        ),
        (round, "the link redirects too often"),
        (away, "the link is not called: its host is not on the list of allowed hosts (PushHosts, VideoHosts)"),
        (inside, "the link is not called: it must begin with https://"),
        (
            "https://evil.example/x.mp4".to_owned(),
            "the link is not called: its host is not on the list of allowed hosts (PushHosts, VideoHosts)",
        ),
        ("http://127.0.0.1:1/".to_owned(), "the link's host gave no reply"),
        ("not a link".to_owned(), "the link is not called: it is not a URL"),
    ] {
        harness.advance(1);
        publish(&harness, &vendor, &link).await;
        harness.system.tick().await;
        let failed = video(&harness).await;
        assert_eq!((&failed["state"], &failed["error"]), (&json!("pending"), &json!(error)), "{link}");
        let files = harness.dump().await["files"].clone();
        assert_eq!(files.len(), 2, "the still and its description: {files:?}");
    }
}

#[tokio::test]
async fn a_claim_keeps_others_out_and_ends() {
    let (harness, vendor) = start().await;
    publish(&harness, &vendor, &harness.pruvan.video("v", [VideoReply::Bytes(mp4(1000))])).await;
    let uploads = bridge::uploads::Uploads::new(&harness.dependencies()).unwrap();
    let now = harness.now() * 1000;
    let due = uploads.videos_due(now, 10).await.unwrap();
    assert_eq!(due.len(), 1);
    // A fetcher that dies after its claim.
    assert!(uploads.claim_video(&due[0], "dead", now + 960_000).await.unwrap().is_some());
    assert!(uploads.claim_video(&due[0], "late", now + 960_000).await.unwrap().is_none());
    harness.system.tick().await;
    assert_eq!(video(&harness).await["state"], "pending");
    harness.advance(961);
    harness.system.tick().await;
    let stored = video(&harness).await;
    assert_eq!(stored["state"], "stored");
    // The first wasn't dead but slow: what it has to say comes too late.
    let mut row = uploads.get("vendor1", "v").await.unwrap().unwrap();
    row.video.as_mut().unwrap().error = Some("late".to_owned());
    assert_eq!(uploads.settle_video(&row, "dead").await.unwrap(), bridge::uploads::Written::Overtaken);
    assert_eq!(video(&harness).await, stored);
}
