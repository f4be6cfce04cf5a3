//! Whatever fails while videos are fetched, and whatever is published meanwhile: what is told to be stored is whole,
//! and in the end it is the video of the newest link.

use std::sync::Arc;
use std::time::Duration;

use bridge::run::Deadline;
use bridge::uploads::{Uploads, VideoState};
use fetch_videos::FetchVideos;
use proptest::prelude::*;
use pruvan::integration::IntegrationType;
use serde_json::json;
use simulator::{MP4_HEAD, VideoReply};

use crate::harness::faults::{Fault, Faults};
use crate::harness::{Harness, PHOTO, picture};

/// How a link behaves before it gives its video.
#[derive(Debug, Clone, Copy)]
enum Link {
    Small,
    /// Of two parts.
    Large,
    /// Busy at first.
    Busy,
    /// Breaks off in the second part at first.
    Breaks,
}

#[derive(Debug, Clone)]
enum Step {
    Publish(Link),
    /// The last published once more.
    Repeat,
    /// An invocation, with a fault at its n-th call.
    Fetch(Option<(usize, Fault)>),
    /// Two at the same moment.
    Both,
    /// Published while a fetch is under way.
    During(Link),
    Minutes(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let link = || prop_oneof![Just(Link::Small), Just(Link::Large), Just(Link::Busy), Just(Link::Breaks)];
    let fault = prop_oneof![Just(Fault::Before), Just(Fault::After), Just(Fault::DiesBefore), Just(Fault::DiesAfter)];
    let step = prop_oneof![
        2 => link().prop_map(Step::Publish),
        1 => Just(Step::Repeat),
        6 => proptest::option::weighted(0.8, (0..8usize, fault)).prop_map(Step::Fetch),
        1 => Just(Step::Both),
        2 => link().prop_map(Step::During),
        2 => prop_oneof![Just(1), Just(17), Just(61)].prop_map(Step::Minutes),
    ];
    proptest::collection::vec(step, 2..10)
}

/// The video of the n-th link: which one it is can be seen in each of its parts.
fn content(link: Link, n: usize) -> Vec<u8> {
    let size = if matches!(link, Link::Large | Link::Breaks) { 8_500_000 } else { 1000 };
    let mut bytes = MP4_HEAD.to_vec();
    bytes.resize(size, u8::try_from(n).unwrap());
    bytes
}

struct Run<'a> {
    harness: &'a Harness,
    username: String,
    vendor: simulator::Integration,
    links: Vec<(String, Vec<u8>)>,
}

impl Run<'_> {
    fn link(&mut self, link: Link) -> String {
        let n = self.links.len();
        let bytes = content(link, n);
        let whole = VideoReply::Bytes(bytes.clone());
        let replies = match link {
            Link::Small | Link::Large => vec![whole],
            Link::Busy => vec![VideoReply::Status(503), whole],
            Link::Breaks => vec![VideoReply::Cut(bytes[..8_400_000].to_vec()), whole],
        };
        let uri = self.harness.pruvan.video(&format!("{}-{n}", self.username), replies);
        self.links.push((uri.clone(), bytes));
        uri
    }

    async fn publish(&self, uri: &str) {
        self.harness.advance(1);
        let item = picture("v", "1", json!({ "videoUri": uri, "timestamp": self.harness.now() }));
        let answer = self.vendor.publish(item, Some(("1.jpg", PHOTO))).await.unwrap();
        assert_eq!(answer.body, r#"{"status":true,"error":null}"#);
    }

    /// Whether the newest link's video is there; whatever video is there is whole.
    async fn done(&self, uploads: &Uploads) -> bool {
        let Some(row) = uploads.get(&self.username, "v").await.unwrap() else { return self.links.is_empty() };
        let video = row.video.unwrap();
        assert_ne!(video.state, VideoState::Expired, "{:?}", video.error);
        let Some(path) = &video.path else {
            assert_ne!(video.state, VideoState::Stored);
            return false;
        };
        let bytes = uploads_file(self.harness, path).await;
        let of = self
            .links
            .iter()
            .rposition(|(_, content)| *content == bytes)
            .unwrap_or_else(|| panic!("{path} is not whole"));
        assert_eq!((video.size, video.sha256), (bytes.len() as u64, Some(bridge::secrets::sha256_hex(&bytes))));
        if video.state == VideoState::Stored {
            assert_eq!(self.links[of].0, video.uri, "the video of its link");
        }
        video.state == VideoState::Stored && of + 1 == self.links.len()
    }
}

async fn uploads_file(harness: &Harness, path: &str) -> Vec<u8> {
    bridge::files::Files::new(&harness.dependencies()).unwrap().get(path).await.unwrap().to_vec()
}

async fn run(harness: &Harness, username: &str, steps: &[Step]) {
    let vendor = harness.account(username, IntegrationType::Internal).await;
    harness.put(username, "1", json!({})).await;
    let mut run = Run { harness, username: username.to_owned(), vendor, links: Vec::new() };
    let uploads = Uploads::new(&harness.dependencies()).unwrap();
    let faults = Faults::default();
    let stores = &harness.system.stores;
    let dependencies = faults.meet(harness.dependencies(), &stores.dynamodb_url, &stores.s3_url);
    let state = Arc::new(FetchVideos::new(&dependencies).unwrap());
    let fetch = || {
        let deadline = Deadline::at(harness.now() * 1000 + 900_000);
        faults.run(fetch_videos::handle(state.clone(), deadline))
    };
    for step in steps {
        match step {
            Step::Publish(link) => {
                let uri = run.link(*link);
                run.publish(&uri).await;
            }
            Step::Repeat => {
                if let Some((uri, _)) = run.links.last() {
                    run.publish(&uri.clone()).await;
                }
            }
            Step::Fetch(fault) => {
                if let Some((nth, fault)) = fault {
                    faults.plan(*nth, *fault);
                }
                let _ = fetch().await;
                faults.end();
            }
            Step::Both => {
                let _ = tokio::join!(fetch(), fetch());
            }
            Step::During(link) => {
                let uri = run.link(*link);
                let publish = async {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    run.publish(&uri).await;
                };
                let _ = tokio::join!(fetch(), publish);
            }
            Step::Minutes(minutes) => harness.advance(minutes * 60),
        }
        run.done(&uploads).await;
    }
    for _ in 0..12 {
        if run.done(&uploads).await {
            return;
        }
        // Longer than a claim and than the longest wait.
        harness.advance(61 * 60);
        fetch().await.unwrap().unwrap();
    }
    panic!("the video never came");
}

#[test]
fn the_newest_links_video_comes_whole_whatever_fails() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(16);
    let config = ProptestConfig { cases, max_shrink_iters: 60, failure_persistence: None, ..ProptestConfig::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let harness = runtime.block_on(Harness::start());
    let count = std::sync::atomic::AtomicUsize::new(0);
    proptest!(config, |(steps in steps())| {
        let username = format!("u{}", count.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        runtime.block_on(run(&harness, &username, &steps));
    });
}
