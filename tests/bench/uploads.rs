//! `cargo bench -p tests`: what an upload costs, beside the least that it can cost, and what a video of a gigabyte
//! takes.
//!
//! The stores run in this process, the function and the floor in processes of their own, so that only their own CPU
//! time, allocations and memory are counted. The floor decodes the body's base64, hashes it, and calls `PutObject`
//! once.

#![expect(clippy::too_many_lines, reason = "a run is told from beginning to end")]
#![expect(clippy::expect_used, reason = "a benchmark that meets what it does not expect must stop")]

mod measure;

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bridge::Dependencies;
use bridge::files::Files;
use bridge::outbound::Outbound;
use bridge::run::Deadline;
use bridge::secrets::sha256_hex;
use bridge::settings::Settings;
use bridge::time::{Clock, Random, Waits};
use bytes::Bytes;
use cpu_time::ProcessTime;
use local::{Options, System};
use measure::{median, memory, photo};
use pruvan::integration::IntegrationType;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use simulator::{Simulator, VideoReply, multipart};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

const PHOTO_BYTES: usize = 4_400_000;
const WARM_UP: usize = 10;
const MEASURED: usize = 50;
const ROUNDS: usize = 3;
const VIDEO_BYTES: u64 = 1_000_000_000;

fn main() {
    match std::env::var("BENCH_AS").as_deref() {
        Ok("function") => child(true),
        Ok("floor") => child(false),
        Ok("video") => video(),
        _ => parent(),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn say(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn event(token: &str, n: usize) -> Value {
    let payload = json!({
        "username": "bench", "token": token, "uuId": format!("photo-{n}"), "key2": "1", "key4": "Task", "fileType": "picture",
        "evidenceType": "before", "timestamp": 1_414_434_590, "gpsTimestamp": "1414434574",
    });
    let (content_type, body) = multipart(&payload.to_string(), Some(("1.jpg", &photo(PHOTO_BYTES))));
    let mut event: Value =
        serde_json::from_str(include_str!("../../infra/events/upload-pictures.json")).expect("the sample event");
    event["headers"]["Content-Type"] = json!(content_type);
    event["multiValueHeaders"]["Content-Type"] = json!([content_type]);
    event["body"] = json!(STANDARD.encode(body));
    event["isBase64Encoded"] = json!(true);
    event
}

/// Runs as the function, or as the floor, and prints a line of JSON.
fn child(function: bool) {
    let dependencies = Dependencies::new(
        Settings::from_process(),
        Clock::system(),
        Random::system(),
        Waits::REAL,
        Outbound::with_loopback(),
    );
    let token = std::env::var("BENCH_TOKEN").unwrap_or_default();
    let (mut cpu, mut allocated, mut parts) = (Vec::new(), Vec::new(), Vec::new());
    runtime().block_on(async {
        let state = Arc::new(upload_pictures::UploadPictures::new(&dependencies).expect("settings"));
        let files = Files::new(&dependencies).expect("settings");
        if function {
            // What of it the runtime's reading of the event takes, and what the form's: a copy of the body each.
            let event = event(&token, 0).to_string();
            let region = Region::new(ALLOCATOR);
            let request = lambda_http::request::from_str(&event).expect("an event");
            parts.push(region.change().bytes_allocated as f64 / 1e6);
            let region = Region::new(ALLOCATOR);
            bridge::form::read(request).await.expect("a form");
            parts.push(region.change().bytes_allocated as f64 / 1e6);
        }
        for n in 0..WARM_UP + MEASURED {
            let event = event(&token, n);
            let body = event["body"].as_str().unwrap_or_default().to_owned();
            let event = event.to_string();
            let (region, begun) = (Region::new(ALLOCATOR), ProcessTime::now());
            if function {
                let request = lambda_http::request::from_str(&event).expect("an event");
                let reply = upload_pictures::handle(state.clone(), request).await;
                assert_eq!(reply.body().as_ref(), br#"{"status":true,"error":null}"#);
            } else {
                let bytes = Bytes::from(STANDARD.decode(&body).expect("base64"));
                let path = format!("bench/floor/{}.jpg", sha256_hex(&bytes));
                files.put(&path, bytes, "image/jpeg").await.expect("PutObject");
            }
            if n >= WARM_UP {
                cpu.push(begun.elapsed().as_secs_f64() * 1000.0);
                allocated.push(region.change().bytes_allocated as f64 / 1e6);
            }
        }
    });
    let (event, form) = (parts.first(), parts.last());
    let line = json!({
        "cpu": median(cpu), "allocated": median(allocated), "peak": memory("VmHWM:"), "event": event, "form": form,
    });
    say(&line.to_string());
}

/// Fetches a large video, and prints the memory before and at most.
fn video() {
    let dependencies = Dependencies::new(
        Settings::from_process(),
        Clock::system(),
        Random::system(),
        Waits::REAL,
        Outbound::with_loopback(),
    );
    let start = std::cell::Cell::new(0.0);
    runtime().block_on(async {
        let state = Arc::new(fetch_videos::FetchVideos::new(&dependencies).expect("settings"));
        start.set(memory("VmHWM:"));
        let deadline = Deadline::at(dependencies.clock.now_ms() + 900_000);
        fetch_videos::handle(state, deadline).await.expect("fetched");
    });
    say(&json!({ "start": start.get(), "peak": memory("VmHWM:") }).to_string());
}

fn parent() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let (system, pruvan) = runtime.block_on(async {
        (System::start(Options::default()).await.expect("the stores"), Simulator::start().await.expect("a simulator"))
    });
    let client = reqwest::Client::new();
    let token = runtime.block_on(async {
        let put = client.put(format!("{}/accounts/bench", system.gateway_url)).send().await.expect("an account");
        let made: Value = serde_json::from_slice(&put.bytes().await.expect("a reply")).expect("JSON");
        let order =
            json!({ "address1": "a", "city": "b", "state": "TX", "zip": "1", "services": [{ "serviceName": "Task" }] });
        let url = format!("{}/accounts/bench/orders/1", system.gateway_url);
        client.put(url).body(order.to_string()).send().await.expect("an order");
        made["apiKey"].as_str().unwrap_or_default().to_owned()
    });
    let run = |role: &str| -> Value {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.env("BENCH_AS", role).env("BENCH_TOKEN", &token);
        for (name, value) in [
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", &system.stores.key.id),
            ("AWS_SECRET_ACCESS_KEY", system.stores.key.secret.expose_secret()),
            ("AWS_ENDPOINT_URL_DYNAMODB", &system.stores.dynamodb_url),
            ("AWS_ENDPOINT_URL_S3", &system.stores.s3_url),
            ("ACCOUNTS_TABLE", "AccountsTable"),
            ("ORDERS_TABLE", "OrdersTable"),
            ("PUSH_QUEUE_TABLE", "PushQueueTable"),
            ("UPLOADS_TABLE", "UploadsTable"),
            ("FILES_BUCKET", "FilesBucket"),
            ("VIDEO_HOSTS", "pruvan.com"),
            ("MAX_VIDEO_MEGABYTES", "2000"),
        ] {
            command.env(name, value);
        }
        let output = command.output().expect("a child");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
            panic!("{role} failed: {}", String::from_utf8_lossy(&output.stderr));
        })
    };
    say(&format!(
        "An upload of {:.1} MB: medians of {MEASURED} requests, medians of {ROUNDS} alternating runs",
        PHOTO_BYTES as f64 / 1e6
    ));
    let (mut function, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        floor.push(run("floor"));
        function.push(run("function"));
    }
    let of = |runs: &[Value], name: &str| median(runs.iter().filter_map(|run| run[name].as_f64()).collect());
    say(&format!("{:<28}{:>10}{:>10}{:>8}", "", "function", "floor", "ratio"));
    for (what, name) in
        [("CPU a request, ms", "cpu"), ("allocated a request, MB", "allocated"), ("peak memory, MB", "peak")]
    {
        let (function, floor) = (of(&function, name), of(&floor, name));
        say(&format!("{what:<28}{function:>10.1}{floor:>10.1}{:>8.2}", function / floor));
    }
    let (event, form) = (of(&function, "event"), of(&function, "form"));
    say(&format!(
        "Of what the function allocates, {event:.1} MB are the runtime's reading and decoding of the event, {form:.1} MB the form's, \
         {:.1} MB all else; the body has {:.1} MB.",
        of(&function, "allocated") - event - form,
        PHOTO_BYTES as f64 / 1e6
    ));

    runtime.block_on(async {
        let link = pruvan.video("large", [VideoReply::Made(VIDEO_BYTES)]);
        let vendor = pruvan.integrate(&system.gateway_url, "html", "bench", &token, IntegrationType::External, false);
        let item = json!({ "uuId": "video", "key2": "1", "fileType": "picture", "videoUri": link });
        vendor.publish(item, Some(("1.jpg", b"\xFF\xD8\xFF still"))).await.expect("a still");
    });
    let begun = std::time::Instant::now();
    let memory = run("video");
    let (start, peak) = (memory["start"].as_f64().unwrap_or(f64::NAN), memory["peak"].as_f64().unwrap_or(f64::NAN));
    let stored: Value = runtime.block_on(async {
        let get = client.get(format!("{}/accounts/bench/uploads/video", system.gateway_url)).send().await;
        serde_json::from_slice(&get.expect("a reply").bytes().await.expect("a reply")).expect("JSON")
    });
    assert_eq!(stored["video"]["size"], VIDEO_BYTES, "{stored}");
    say(&format!(
        "\nA video of {} MB: {:.1} MB of memory at the start, {peak:.1} MB at most, {:.1} MB above; {:.0} s",
        VIDEO_BYTES / 1_000_000,
        start,
        peak - start,
        begun.elapsed().as_secs_f64()
    ));
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(5), system.stop()).await }).ok();
}
