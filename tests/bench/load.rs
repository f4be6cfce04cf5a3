//! Load on the local runner: `cargo run --release -p tests --example load`. Fifty connections, 70 % status reports, 20
//! % uploads of 300 KB, 10 % pulls of 500 orders; ten seconds as fast as it goes, and then two minutes at 150 requests
//! a second, so that what is written stays bounded. The stores, the gateway with its functions, and the callers are
//! processes of their own.
//!
//! It ends with 1 if there were fewer than 50 requests a second, any error, an acknowledged upload that isn't there as
//! it was sent, or if the gateway's memory at the end is more than 1.1 times that after 30 seconds. A number of seconds
//! as an argument shortens it.

#![expect(clippy::too_many_lines, reason = "a run is told from beginning to end")]
#![expect(clippy::expect_used, reason = "a measurement that meets what it does not expect must stop")]

#[expect(dead_code, reason = "the benchmarks use the rest")]
mod apart;
#[expect(dead_code, reason = "likewise")]
mod measure;

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use apart::{environment, runtime, say, start, stores, typical, wait_for_the_end};
use bridge::secrets::sha256_hex;
use futures_util::StreamExt as _;
use local::{Options, System};
use measure::median;
use serde_json::{Value, json};
use simulator::multipart;

const CONNECTIONS: usize = 50;
const ACCOUNTS: usize = 10;
const ORDERS: usize = 500;
const PHOTO_BYTES: usize = 300_000;
const AS_FAST_AS_IT_GOES: Duration = Duration::from_secs(10);
const PACE: f64 = 150.0;
const LEAST: f64 = 50.0;
const MOST_MEMORY: f64 = 1.1;

fn main() -> ExitCode {
    match std::env::var("BENCH_AS").as_deref() {
        Ok("stores") => stores(),
        Ok("gateway") => gateway(),
        _ => {
            let seconds = std::env::args().nth(1).and_then(|seconds| seconds.parse().ok()).unwrap_or(120);
            return runtime().block_on(parent(Duration::from_secs(seconds)));
        }
    }
    ExitCode::SUCCESS
}

/// The local runner over stores that are elsewhere.
fn gateway() {
    let stores: Value = serde_json::from_str(&std::env::var("STORES").expect("where the stores are")).expect("JSON");
    let endpoints = environment(&stores).into_iter().filter(|(name, _)| name.starts_with("AWS_")).collect();
    runtime().block_on(async {
        let system = System::start(Options { environment: endpoints, ..Options::default() }).await.expect("a gateway");
        say(&json!({ "gateway": system.gateway_url, "pid": std::process::id() }).to_string());
        wait_for_the_end().await;
    });
}

/// What was called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Status,
    Upload,
    Pull,
}

const KINDS: [(Kind, &str); 3] =
    [(Kind::Status, "status"), (Kind::Upload, "upload, 300 KB"), (Kind::Pull, "pull, 500 orders")];

/// What the callers share.
struct Load {
    url: String,
    accounts: Vec<(String, String)>,
    client: reqwest::Client,
    next: AtomicUsize,
    /// Milliseconds of each call.
    took: Mutex<Vec<(Kind, f64)>>,
    errors: Mutex<Vec<String>>,
    /// Acknowledged uploads: account, `uuId`, SHA-256.
    acknowledged: Mutex<Vec<(usize, String, String)>>,
}

async fn parent(paced: Duration) -> ExitCode {
    let (mut stores, at) = start("stores");
    let (mut gateway, told) = apart::start_with("gateway", &[("STORES", at.to_string())]);
    let url = told["gateway"].as_str().expect("a URL").to_owned();
    let pid = told["pid"].as_u64().expect("a process");
    let client = reqwest::Client::new();
    let mut accounts = Vec::new();
    for account in 0..ACCOUNTS {
        let username = format!("load{account}");
        let made = client.put(format!("{url}/accounts/{username}")).send().await.expect("an account");
        let made: Value = serde_json::from_slice(&made.bytes().await.expect("a reply")).expect("JSON");
        let orders: Vec<Value> = (0..ORDERS).map(|number| typical(&number.to_string())).collect();
        let post = client.post(format!("{url}/accounts/{username}/orders")).header("content-type", "application/json");
        let done = post.body(json!(orders).to_string()).send().await.expect("orders").text().await.expect("a reply");
        assert!(done.contains("\"created\":500"), "{}", &done[..200]);
        accounts.push((username, made["apiKey"].as_str().expect("a key").to_owned()));
    }
    let load = Arc::new(Load {
        url,
        accounts,
        client,
        next: AtomicUsize::new(0),
        took: Mutex::default(),
        errors: Mutex::default(),
        acknowledged: Mutex::default(),
    });
    say(&format!(
        "{CONNECTIONS} connections, {}",
        if cfg!(debug_assertions) { "a debug build" } else { "a release build" }
    ));
    let fast = load.run(AS_FAST_AS_IT_GOES, None, pid).await;
    say(&format!("\nas fast as it goes, {} s: {:.0} requests a second", AS_FAST_AS_IT_GOES.as_secs(), fast.rate));
    say(&fast.table);
    let steady = load.run(paced, Some(PACE), pid).await;
    let ratio = steady.memory_at_end / steady.memory_early;
    say(&format!(
        "at {PACE} a second, {} s: {:.0} requests a second; the gateway's memory: {:.1} MB early, {:.1} MB at the end, ratio {ratio:.2}",
        paced.as_secs(),
        steady.rate,
        steady.memory_early,
        steady.memory_at_end
    ));
    say(&steady.table);
    let lost = load.lost().await;
    let errors = load.errors.lock().expect("errors").clone();
    let acknowledged = load.acknowledged.lock().expect("uploads").len();
    say(&format!(
        "{} requests, {} errors, {acknowledged} uploads, {} lost",
        load.next.load(Ordering::Relaxed),
        errors.len(),
        lost.len()
    ));
    for fault in errors.iter().chain(&lost).take(10) {
        say(fault);
    }
    for child in [&mut gateway, &mut stores] {
        drop(child.stdin.take());
        let _ = child.wait();
    }
    let holds =
        steady.rate >= LEAST && fast.rate >= LEAST && errors.is_empty() && lost.is_empty() && ratio <= MOST_MEMORY;
    say(if holds { "it holds" } else { "it does not hold" });
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A phase.
struct Phase {
    rate: f64,
    table: String,
    /// After a quarter of the time: 30 of 120 seconds.
    memory_early: f64,
    memory_at_end: f64,
}

impl Load {
    async fn run(self: &Arc<Load>, time: Duration, pace: Option<f64>, pid: u64) -> Phase {
        self.took.lock().expect("times").clear();
        let began = Instant::now();
        let callers: Vec<_> = (0..CONNECTIONS)
            .map(|connection| {
                let load = self.clone();
                tokio::spawn(async move {
                    let mut own = 0;
                    while began.elapsed() < time {
                        let n = load.next.fetch_add(1, Ordering::Relaxed);
                        load.call(n).await;
                        own += 1;
                        if let Some(pace) = pace {
                            let due = (own * CONNECTIONS + connection) as f64 / pace;
                            tokio::time::sleep_until((began + Duration::from_secs_f64(due)).into()).await;
                        }
                    }
                })
            })
            .collect();
        tokio::time::sleep(time / 4).await;
        let memory_early = resident(pid);
        for caller in callers {
            caller.await.expect("a caller");
        }
        let elapsed = began.elapsed().as_secs_f64();
        let took = self.took.lock().expect("times").clone();
        let mut table = format!("{:<18}{:>9}{:>10}{:>10}\n", "", "requests", "p50, ms", "p99, ms");
        for (kind, name) in KINDS {
            let mut of: Vec<f64> = took.iter().filter(|(of, _)| *of == kind).map(|(_, ms)| *ms).collect();
            of.sort_by(f64::total_cmp);
            let p99 = of.get(of.len() * 99 / 100).copied().unwrap_or(f64::NAN);
            table += &format!("{name:<18}{:>9}{:>10.1}{:>10.1}\n", of.len(), median(of.clone()), p99);
        }
        Phase { rate: took.len() as f64 / elapsed, table, memory_early, memory_at_end: resident(pid) }
    }

    async fn call(&self, n: usize) {
        let account = n / 10 % ACCOUNTS;
        let (username, token) = &self.accounts[account];
        let mut payload = json!({ "username": username, "token": token });
        let order = (n / 100 % ORDERS).to_string();
        let (kind, service, file) = match n % 10 {
            0 => (Kind::Pull, "getWorkOrders", None),
            1 | 6 => {
                payload["uuId"] = json!(format!("photo-{n}"));
                payload["key2"] = json!(order);
                payload["key4"] = json!("Trim");
                payload["fileType"] = json!("picture");
                payload["evidenceType"] = json!("after");
                (Kind::Upload, "uploadPictures", Some(photo(n)))
            }
            _ => {
                payload["workOrders"] =
                    json!([{ "workOrderNumber": order, "status": "assigned", "fieldStatus": "started" }]);
                (Kind::Status, "status", None)
            }
        };
        let sha256 = file.as_ref().map(|file| sha256_hex(file));
        let (content_type, body) = multipart(&payload.to_string(), file.as_deref().map(|file| ("1.jpg", file)));
        let began = Instant::now();
        let post = self.client.post(format!("{}/{service}.html", self.url)).header("content-type", content_type);
        let answer = async { post.body(body).send().await?.bytes().await }.await;
        let took = began.elapsed().as_secs_f64() * 1000.0;
        let fine = match &answer {
            Ok(bytes) if kind == Kind::Pull => {
                let reply: Value = serde_json::from_slice(bytes).unwrap_or_default();
                reply["error"] == "" && reply["workOrders"].as_array().is_some_and(|orders| orders.len() == ORDERS)
            }
            Ok(bytes) => &bytes[..] == br#"{"status":true,"error":null}"#,
            Err(_) => false,
        };
        self.took.lock().expect("times").push((kind, took));
        if !fine {
            let seen = answer.map(|bytes| String::from_utf8_lossy(&bytes).chars().take(200).collect::<String>());
            self.errors.lock().expect("errors").push(format!("{service}: {seen:?}"));
        } else if let Some(sha256) = sha256 {
            self.acknowledged.lock().expect("uploads").push((account, format!("photo-{n}"), sha256));
        }
    }

    /// The acknowledged uploads whose file isn't there byte for byte.
    async fn lost(&self) -> Vec<String> {
        let uploads = self.acknowledged.lock().expect("uploads").clone();
        let lost = futures_util::stream::iter(uploads).map(|(account, uu_id, sha256)| async move {
            let url = format!("{}/accounts/{}/uploads/{uu_id}", self.url, self.accounts[account].0);
            let there = async {
                let shown = self.client.get(url).send().await.ok()?.bytes().await.ok()?;
                let shown: Value = serde_json::from_slice(&shown).ok()?;
                let file = self.client.get(shown["link"].as_str()?).send().await.ok()?.bytes().await.ok()?;
                (sha256_hex(&file) == sha256).then_some(())
            };
            if there.await.is_some() { None } else { Some(format!("{uu_id} is lost")) }
        });
        lost.buffer_unordered(16).filter_map(std::future::ready).collect().await
    }
}

/// Bytes that nothing compresses, and that no other photo has.
fn photo(n: usize) -> Vec<u8> {
    let mut noise = n as u64 ^ 0x9E37_79B9_7F4A_7C15;
    let mut bytes = b"\xFF\xD8\xFF\xE0".to_vec();
    while bytes.len() < PHOTO_BYTES {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&noise.to_be_bytes());
    }
    bytes
}

/// Megabytes of a process.
fn resident(pid: u64) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    measure::megabytes(&status, "VmRSS")
}
