//! `cargo run -p local`: the whole system on one machine. See the library beside it.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bridge::record::Lines;
use bridge::settings::Settings;
use bridge::time::Clock;
use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use local::console::Console;
use local::desk::Desk;
use local::host_client::HostClient;
use local::sample::{Progress, Size, fill};
use local::stand_in::StandIn;
use local::{Options, System, system::StartError};
use pruvan::import::Choices;
use pruvan::integration::IntegrationType;
use secrecy::SecretString;
use serde_json::{Value, json};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// Pruvan Bridge on one machine: the functions, DynamoDB, S3, the gateway and the schedule, with no AWS account.
///
/// When it is ready, it prints one line of JSON on stdout with the base URLs; everything for people goes to stderr.
#[derive(Debug, Parser)]
#[command(name = "local", version, arg_required_else_help = false)]
struct Arguments {
    /// Port of the gateway on 127.0.0.1; 0 picks a free one
    #[arg(long, default_value_t = 9000)]
    port: u16,
    /// Folder for the data, kept between runs
    #[arg(long, value_name = "DIR", default_value = ".local")]
    data: PathBuf,
    /// Keep nothing
    #[arg(long, conflicts_with = "data")]
    memory: bool,
    /// Seconds between two ticks of the schedule (a minute in AWS)
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    tick: u64,
    /// Divide the long waits (backoff, the hourly window) by this; never leases or network time-outs
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    time_scale: u32,
    /// Fill it with sample data: four accounts, 200 orders around one town, 2,000 photos, surveys and a few failures
    #[arg(long)]
    sample: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show our side of a deployed stack on a page on this machine, with the AWS credentials of the environment
    Console(local::serve::ConsoleOptions),
    /// Play Pruvan alone, on a page on this machine, against any implementation of the four web services
    Pruvan(local::serve::PruvanOptions),
    /// Make a scripted round trip against a stand-in for Pruvan, print each step, and exit 0 only if all of it held
    Demo,
    /// Check a deployment, or the system on this machine, from outside as Pruvan calls it, and say of each fault what to do
    ///
    /// Prints a table of what holds and what doesn't. It makes an account of its own, "doctor", with a key that is deleted at the end, and stores three
    /// photos in it, the same each time. A deployment's API is called with the AWS credentials of the environment. Exits with 1 if a check failed, with 2
    /// if there was nothing to check.
    Doctor(local::doctor::Options),
    /// Check any implementation of the four web services against the specification, playing Pruvan
    ///
    /// Prints a table of what holds and what doesn't, by the sections of the specification. The key is best put into the environment variable PRUVAN_KEY:
    /// a command line is seen by others. Exits with 1 if a check failed, with 2 if there was nothing to check.
    ///
    /// Use an account made for it, with a work order or two. What it leaves behind can't be taken back: reports of many statuses on one order (--order, or
    /// the one with the lowest number), the last of them "complete"; some thirty small uploads, most to that order and one to an order that isn't there; and
    /// its own push key in the place of the account's, which only Validate in Pruvan brings back. No push key is sent where pushes can't reach this
    /// machine. Pushes are taken on 127.0.0.1 only, and the first three are answered with an error, a maintenance page and a broken answer, to see them
    /// come again.
    Conformance(local::conformance::Options),
    /// Fetch all files of an order, here or from a deployment, into folders by task and evidence type
    ///
    /// A deployed API is called with the AWS credentials of the environment. What is there already is not fetched again.
    Download {
        /// The work order number
        order: String,
        /// The account
        #[arg(long)]
        username: String,
        /// Base URL of the host's API: the output HostUrl of the stack
        #[arg(long, default_value = "http://127.0.0.1:9000")]
        url: String,
        /// Folder for the files, made if need be; by default one named like the order
        #[arg(long, value_name = "DIR")]
        into: Option<PathBuf>,
    },
    /// Put the orders of a file into an account, here or in a deployment
    ///
    /// CSV (with a row of names: the specification's, or those of Pruvan's own import), NDJSON or a JSON array, told by what is in it. Several
    /// rows with one number are one order with several services. It can be run again: what is there as in the file isn't changed. A deployed
    /// API is called with the AWS credentials of the environment. Exits with 1 if an order was refused.
    Import {
        /// The file; - for the standard input
        file: PathBuf,
        /// The account
        #[arg(long)]
        username: String,
        /// Base URL of the host's API: the output HostUrl of the stack
        #[arg(long, default_value = "http://127.0.0.1:9000")]
        url: String,
        /// The service of orders whose rows name none: Pruvan's own files have no column for it
        #[arg(long, value_name = "NAME", default_value = "Task")]
        service: String,
        /// A column that is no field and doesn't matter; may be given several times
        #[arg(long, value_name = "COLUMN")]
        ignore: Vec<String>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let quiet = if arguments.command.is_some() { LevelFilter::ERROR } else { LevelFilter::INFO };
    let ours = bridge::log::level(&Settings::from_process()).unwrap_or(quiet);
    let people = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    // The embedded DynamoDB warns of each condition that doesn't hold, which is how two writers are told apart.
    let filter = bridge::log::filter(ours, LevelFilter::ERROR);
    tracing_subscriber::registry().with(people.with_filter(filter)).init();
    let done = match arguments.command {
        Some(Command::Console(options)) => page(local::serve::console(&options).await).await,
        Some(Command::Pruvan(mut options)) => {
            options.key = pruvan_key();
            page(local::serve::pruvan(&options).await).await
        }
        Some(Command::Demo) => local::demo::run().await.map_err(|error| (1, error.to_string())),
        Some(Command::Doctor(options)) => match doctor(options).await {
            Ok(true) => Ok(()),
            Ok(false) => return ExitCode::from(1),
            Err(error) => Err((2, error.to_string())),
        },
        Some(Command::Conformance(options)) => match conformance(options).await {
            Ok(true) => Ok(()),
            Ok(false) => return ExitCode::from(1),
            Err(error) => Err((2, error.to_string())),
        },
        Some(Command::Download { order, username, url, into }) => {
            download(&order, &username, &url, into).await.map_err(|error| (1, error.to_string()))
        }
        Some(Command::Import { file, username, url, service, ignore }) => {
            match import(&file, &username, &url, Choices { ignore, service, ..Choices::default() }).await {
                Ok(true) => Ok(()),
                Ok(false) => return ExitCode::from(1),
                Err(error) => Err((2, error.to_string())),
            }
        }
        None => serve(arguments).await.map_err(|error| (2, error.to_string())),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, error)) => {
            eprintln!("error: {error}");
            ExitCode::from(code)
        }
    }
}

async fn serve(arguments: Arguments) -> Result<(), StartError> {
    let data = (!arguments.memory).then_some(arguments.data);
    let (listener, url) = local::stores::listen(arguments.port).await?;
    let activity = Arc::new(AtomicU64::new(0));
    if let Some(data) = &data {
        let kept = std::fs::create_dir_all(data).and_then(|()| local::desk::private(data));
        kept.map_err(|error| {
            StartError(format!(
                "the folder {} can't be used: {error}; choose another with --data, or --memory",
                data.display()
            ))
        })?;
    }
    let desk =
        Desk::open(data.as_ref().map(|data| data.join("pruvan")).as_deref(), StandIn::at(&url, Clock::system()))?;
    let mut console = Console::new(&url, "on this machine", Some(desk.clone()), Some(HostClient::new(&url)?));
    console.activity = Some(activity.clone());
    let pages = desk.stand_in.routes().merge(console.routes());
    // While the sample is made there is a line for each of its thousands of calls.
    let filling = Arc::new(AtomicBool::new(arguments.sample));
    let fills = filling.clone();
    let lines = Lines::new("PruvanBridge/local", move |line| {
        // What only looks, as the page does all the time, changes nothing that it would have to show.
        let looks = line["route"].as_str().is_some_and(|route| route.starts_with("GET "));
        let quiet = (looks || fills.load(Ordering::Relaxed)) && line["outcome"] == "ok";
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
        desk.add(desk.stand_in.integrate(url, "html", "example", key, IntegrationType::External, false));
    }
    welcome(&system, key.as_deref());
    if arguments.sample {
        sample(&system, &desk).await?;
        filling.store(false, Ordering::Relaxed);
    }
    let ready =
        json!({ "gateway": system.gateway_url, "dynamodb": system.stores.dynamodb_url, "s3": system.stores.s3_url });
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{ready}")
        .and_then(|()| stdout.flush())
        .map_err(|error| StartError(format!("stdout: {error}")))?;
    interrupted().await;
    eprintln!("stopping");
    system.stop().await;
    desk.save()
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
        0 => eprintln!("The sample is there already.\n"),
        _ => eprintln!(
            "The sample: {} orders, {} photos, {} surveys, {} status reports, {} items for orders that nobody knows.\n",
            made.orders, made.photos, made.surveys, made.reports, made.unmatched
        ),
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

/// A key that isn't given on the command line, where others would see it.
fn pruvan_key() -> Option<SecretString> {
    std::env::var("PRUVAN_KEY").ok().filter(|key| !key.is_empty()).map(Into::into)
}

/// Serves a page until it is interrupted.
async fn page(page: Result<local::serve::Page, StartError>) -> Result<(), (u8, String)> {
    let failed = |error: StartError| (2, error.to_string());
    let page = page.map_err(failed)?;
    eprintln!("{}\n\n  {}\n\nCtrl-C stops it.", page.about, page.url);
    interrupted().await;
    page.stop().map_err(failed)
}

/// True if nothing is wrong.
async fn doctor(mut options: local::doctor::Options) -> Result<bool, StartError> {
    options.key = pruvan_key();
    let report = local::doctor::run(&options).await?;
    let mut stdout = std::io::stdout();
    let colour = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    write!(stdout, "{}", report.table(colour)).map_err(|error| StartError(format!("stdout: {error}")))?;
    Ok(report.is_healthy())
}

/// True if nothing failed.
async fn conformance(mut options: local::conformance::Options) -> Result<bool, StartError> {
    options.token = options.token.or_else(pruvan_key);
    let report = local::conformance::run(&options).await?;
    let mut stdout = std::io::stdout();
    let colour = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let printed = options.format.print(&report, colour);
    write!(stdout, "{printed}").map_err(|error| StartError(format!("stdout: {error}")))?;
    Ok(report.is_healthy())
}

async fn download(order: &str, username: &str, url: &str, into: Option<PathBuf>) -> Result<(), StartError> {
    let into = into.unwrap_or_else(|| PathBuf::from(local::host_client::segment(order)));
    let host = local::host_client::HostClient::new(url)?;
    let done = local::download::run(&host, username, order, &into).await?;
    eprintln!(
        "{} files fetched, {} there already, {:.1} MB in {}",
        done.fetched,
        done.there,
        done.bytes as f64 / 1e6,
        into.display()
    );
    Ok(())
}

/// True if all orders were taken.
async fn import(file: &Path, username: &str, url: &str, choices: Choices) -> Result<bool, StartError> {
    let rows = local::import::rows(file, &choices)?;
    let host = local::host_client::HostClient::new(url)?;
    let (done, error) = match local::import::run(&host, username, rows, &choices).await {
        Ok(done) => (done, None),
        Err((done, error)) => (done, Some(error)),
    };
    let mut stdout = std::io::stdout();
    write!(stdout, "{}", done.report()).map_err(|error| StartError(format!("stdout: {error}")))?;
    error.map_or(Ok(done.refused.is_empty()), Err)
}

/// Ctrl-C, or what a process manager sends.
async fn interrupted() {
    #[cfg(unix)]
    if let Ok(mut terminated) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated.recv() => {}
        }
        return;
    }
    let _ = tokio::signal::ctrl_c().await;
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
    let order = r#"{"address1":"110 East Main Street","city":"Round Rock","state":"TX","zip":"78664","services":[{"serviceName":"Task"}]}"#;
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
    let credentials = format!(r#""username":"example","token":"{key}""#);
    for (what, line) in [
        ("put an order in", format!("curl -sw '\\n' -X PUT {url}/accounts/example/orders/1001 -d '{order}'")),
        ("validate, as Pruvan does", format!("curl -sw '\\n' {url}/validate.html -F 'payload={{{credentials}}}'")),
        (
            "pull the orders",
            format!("curl -sw '\\n' {url}/getWorkOrders.html -F 'payload={{{credentials},\"timestamp\":null}}'"),
        ),
        (
            "publish a photo",
            format!(
                "curl -sw '\\n' {url}/uploadPictures.html -F 'payload={{{credentials},\"key2\":\"1001\",\"key4\":\"Task\",\"fileType\":\"picture\",\"evidenceType\":\"before\",\"uuId\":\"photo-1\"}}' -F file=@tests/fixtures/photo.jpg"
            ),
        ),
        (
            "report a status",
            format!(
                "curl -sw '\\n' {url}/status.html -F 'payload={{{credentials},\"workOrders\":[{{\"workOrderNumber\":\"SMC::1001\",\"status\":\"complete\",\"fieldStatus\":\"complete\"}}]}}'"
            ),
        ),
        ("look at the order", format!("curl -sw '\\n' {url}/accounts/example/orders/1001")),
        ("get the photo's link", format!("curl -sw '\\n' {url}/accounts/example/orders/1001/uploads")),
    ] {
        eprintln!("# {what}\n{line}\n");
    }
}
