//! `cargo run -p local`: starts all of it, with an example account and the console, and says what to try.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bridge::lines::Lines;
use bridge::time::Clock;
use bridge_console::Console;
use bridge_console::commands::interrupted;
use host_client::HostClient;
use indicatif::{ProgressBar, ProgressStyle};
use pruvan::integration::IntegrationType;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use simulator::desk::Desk;
use simulator::folder::take;
use simulator::listen::listen;
use simulator::{Simulator, system_ms};

use crate::sample::{Progress, Size, fill};
use crate::start_error::StartError;
use crate::system::{Options, System};

/// How to run it.
#[derive(Debug, clap::Args)]
pub struct ServeOptions {
    /// Port of the gateway on 127.0.0.1; 0 picks a free one
    #[arg(long, default_value_t = 9000)]
    pub port: u16,
    /// Folder for the data, kept between runs
    #[arg(long, value_name = "DIR", default_value = ".local")]
    pub data: PathBuf,
    /// Keep nothing
    #[arg(long, conflicts_with = "data")]
    pub memory: bool,
    /// Seconds between two ticks of the schedule (a minute in AWS)
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    pub tick: u64,
    /// Divide the long waits (backoff, the hourly window) by this; never leases or network time-outs
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub time_scale: u32,
    /// Fill it with sample data: four accounts, 200 orders around one town, 2,000 photos, surveys and a few failures
    #[arg(long)]
    pub sample: bool,
}

/// Starts the system and serves it until it is interrupted.
pub async fn command(arguments: ServeOptions) -> Result<(), StartError> {
    let data = (!arguments.memory).then_some(arguments.data);
    let activity = Arc::new(AtomicU64::new(0));
    // What plays Pruvan may be run alone on its part of the folder, too.
    let folders = data.iter().flat_map(|data| [data.clone(), data.join("pruvan")]);
    let _taken = folders.map(|folder| take(&folder)).collect::<Result<Vec<_>, _>>()?;
    let (listener, url) = listen(arguments.port).await?;
    let desk = Desk::open(data.as_ref().map(|data| data.join("pruvan")).as_deref(), Simulator::at(&url, system_ms))?;
    let mut console = Console::new(&url, "on this machine", Some(desk.clone()), Some(HostClient::new(&url)?));
    console.activity = Some(activity.clone());
    let pages = desk.simulator.routes().merge(console.routes());
    // Until then what goes well gets no line: the calls that set things up, and the thousands that make the sample.
    let ready = Arc::new(AtomicBool::new(false));
    let is_ready = ready.clone();
    let lines = Lines::new("PruvanBridge/local", move |line| {
        // What only looks, as the page does all the time, changes nothing that it would have to show.
        let looks = line["route"].as_str().is_some_and(|route| route.starts_with("GET "));
        let quiet = (looks || !is_ready.load(Ordering::Relaxed)) && line["outcome"] == "ok";
        if (quiet || say(line)) && !looks {
            activity.fetch_add(1, Ordering::Relaxed);
        }
    });
    let system = System::start(Options {
        listener: Some((listener, url)),
        pages,
        data: data.clone(),
        tick: Some(Duration::from_secs(arguments.tick)),
        time_scale: arguments.time_scale,
        lines,
        ..Options::default()
    })
    .await?;
    let key = example_key(&system, data.as_deref()).await?;
    if let (Some(key), None) = (&key, desk.account("example")) {
        let url = &system.gateway_url;
        desk.add(desk.simulator.integrate(url, "html", "example", key, IntegrationType::External, false));
    }
    welcome(&system, key.as_deref());
    if arguments.sample {
        sample(&system, &desk).await?;
    }
    ready.store(true, Ordering::Relaxed);
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", ready_line(&system))
        .and_then(|()| stdout.flush())
        .map_err(|error| StartError(format!("stdout: {error}")))?;
    interrupted().await;
    eprintln!("stopping");
    system.stop().await;
    Ok(desk.save()?)
}

/// Where it is, for programs, and the access key that `sam local` needs to call the stores.
fn ready_line(system: &System) -> Value {
    let stores = &system.stores;
    json!({
        "gateway": system.gateway_url,
        "dynamodb": stores.dynamodb_url,
        "s3": stores.s3_url,
        "accessKeyId": stores.key.id,
        "secretAccessKey": stores.key.secret.expose_secret(),
    })
}

/// Fills it with sample data, once.
async fn sample(system: &System, desk: &Desk) -> Result<(), StartError> {
    let bar = ProgressBar::new(0).with_style(
        ProgressStyle::with_template("sample [{bar:40}] {pos} of {len}  {msg}")
            .map_err(|error| StartError(error.to_string()))?
            .progress_chars("=> "),
    );
    let progress = |so_far: Progress| {
        bar.set_length(so_far.of as u64);
        bar.set_position(so_far.done as u64);
        bar.set_message(so_far.what);
    };
    let made = fill(&system.gateway_url, desk, &Clock::system(), Size::default(), &progress).await?;
    bar.finish_and_clear();
    match made.items {
        0 => eprintln!("The sample is there already."),
        _ => eprintln!(
            "The sample: {} orders, {} photos, {} surveys, {} status reports, {} items for orders that nobody knows.",
            made.orders, made.photos, made.surveys, made.reports, made.unmatched
        ),
    }
    // The account that the page would begin with is another one, and empty.
    if let Some(account) = desk.accounts().into_iter().max_by_key(|account| account.integration.projects()) {
        eprintln!("Begin with {}/console?account={}\n", system.gateway_url, account.integration.username);
    }
    Ok(())
}

/// Tells people of a request or a tick, and whether it did: ticks that found nothing to do are not worth a line.
fn say(line: &Value) -> bool {
    let idle =
        ["Pushed", "Refused", "Fetched", "Expired"].iter().all(|count| line[*count].as_f64().unwrap_or(0.0) == 0.0);
    if line["message"] == "tick.done" && line["outcome"] == "ok" && idle {
        return false;
    }
    let left_out =
        ["timestamp", "level", "message", "Function", "outcome", "_aws", "requestId", "gatewayRequestId", "Requests"];
    let told = line.as_object().into_iter().flatten().filter(|(name, _)| !left_out.contains(&name.as_str()));
    let told: Vec<String> = told.map(|(name, value)| format!("{name}={value}")).collect();
    let (function, outcome) =
        (line["Function"].as_str().unwrap_or_default(), line["outcome"].as_str().unwrap_or_default());
    match outcome {
        "failed" => tracing::error!("{function} {outcome} {}", told.join(" ")),
        _ => tracing::info!("{function} {outcome} {}", told.join(" ")),
    }
    true
}

/// The key of the example account, which is made if need be. A key is shown once, so it is kept beside the data.
async fn example_key(system: &System, data: Option<&Path>) -> Result<Option<String>, StartError> {
    let failed = |error: &dyn std::fmt::Display| StartError(format!("the example account could not be made: {error}"));
    let file = data.map(|data| data.join("example-account.json"));
    let reply = reqwest::Client::new().put(format!("{}/accounts/example", system.gateway_url)).send().await;
    let reply = reply.map_err(|error| failed(&error))?;
    let body: Value = serde_json::from_slice(&reply.bytes().await.map_err(|error| failed(&error))?).unwrap_or_default();
    if let Some(key) = body["apiKey"].as_str() {
        if let Some(file) = &file {
            std::fs::write(file, json!({ "username": "example", "apiKey": key }).to_string())
                .map_err(|error| failed(&error))?;
        }
        return Ok(Some(key.to_owned()));
    }
    let kept = file.and_then(|file| std::fs::read(file).ok());
    let kept: Option<Value> = kept.and_then(|json| serde_json::from_slice(&json).ok());
    Ok(kept.and_then(|kept| kept["apiKey"].as_str().map(str::to_owned)))
}

fn welcome(system: &System, key: Option<&str>) {
    let url = &system.gateway_url;
    eprintln!(
        "Pruvan Bridge is running on this machine. Ctrl-C stops it.\n\n\
         A page that plays Pruvan and shows our side and the wire between them:\n\n  {url}/console\n\n\
         To type into Pruvan (Integrations, New, Pruvan APIv2; Pruvan itself needs a public https address):\n  \
           URL        {url}\n  \
           Extension  html   (or none, php, svc, aspx)\n  \
           Username   example\n  \
           Password   {}\n\n\
         To try by hand:\n",
        key.unwrap_or("(made in an earlier run, and its note was deleted: see POST .../keys below)")
    );
    let Some(key) = key else {
        eprintln!("curl -sw '\\n' -X POST {url}/accounts/example/keys\n");
        return;
    };
    let order = r#"{"address1":"110 East Main Street","city":"Round Rock","state":"TX","zip":"78664","services":[{"serviceName":"Task"}]}"#;
    let photo = r#"\"key2\":\"1001\",\"key4\":\"Task\",\"fileType\":\"picture\",\"evidenceType\":\"before\",\"uuId\":\"photo-1\""#;
    let report =
        r#"\"workOrders\":[{\"workOrderNumber\":\"SMC::1001\",\"status\":\"complete\",\"fieldStatus\":\"complete\"}]"#;
    let service = |name: &str, fields: &str| format!("curl -sw '\\n' $URL/{name}.html -F \"payload={{$WHO{fields}}}\"");
    for (what, line) in [
        (
            "first of all",
            format!("URL={url}; KEY={key}\nWHO=\"\\\"username\\\":\\\"example\\\",\\\"token\\\":\\\"$KEY\\\"\""),
        ),
        ("put an order in", format!("curl -sw '\\n' -X PUT $URL/accounts/example/orders/1001 -d '{order}'")),
        ("validate, as Pruvan does", service("validate", "")),
        ("pull the orders", service("getWorkOrders", r#",\"timestamp\":null"#)),
        (
            "publish a photo",
            format!("{} -F file=@tests/fixtures/photo.jpg", service("uploadPictures", &format!(",{photo}"))),
        ),
        (
            "report a status; Pruvan puts its client code, here SMC, before the number",
            service("status", &format!(",{report}")),
        ),
        ("look at the order", "curl -sw '\\n' $URL/accounts/example/orders/1001".to_owned()),
        ("get the photo's link", "curl -sw '\\n' $URL/accounts/example/orders/1001/uploads".to_owned()),
    ] {
        eprintln!("# {what}\n{line}\n");
    }
}
