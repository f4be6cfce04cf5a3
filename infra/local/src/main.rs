//! `cargo run -p local`: the whole system on one machine, and a short list of commands. Each is a file of the crate
//! that it belongs to.

use std::process::ExitCode;

use bridge::settings::Settings;
use bridge_console::commands::{self as page, ConsoleOptions, PageError, PruvanOptions};
use checks::{command, conformance, doctor};
use clap::{Parser, Subcommand};
use host_client::download;
use host_client::import::{self, ImportError};
use local::{demo, serve};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// Pruvan Bridge on one machine: the functions, DynamoDB, S3, the gateway and the schedule, with no AWS account.
///
/// When it is ready, it prints one line of JSON on stdout with the base URLs and the access key of the stores;
/// everything for people goes to stderr.
#[derive(Debug, Parser)]
#[command(name = "local", version, arg_required_else_help = false)]
struct Arguments {
    #[command(flatten)]
    serve: serve::ServeOptions,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show our side of a deployed stack on a page on this machine, with the AWS credentials of the environment
    Console(ConsoleOptions),
    /// Play Pruvan alone, on a page on this machine, against any implementation of the four web services
    Pruvan(PruvanOptions),
    /// Make a scripted round trip against a simulated Pruvan, print each step, and exit 0 only if all of it held
    Demo,
    /// Check a deployment, or the system on this machine, from outside as Pruvan calls it, and say of each fault what
    /// to do
    ///
    /// Prints a table of what holds and what doesn't. It makes an account of its own, "doctor", with a key that is
    /// deleted at the end, and stores three photos in it, the same each time. A deployment's API is called with the AWS
    /// credentials of the environment. Exits with 1 if a check failed, with 2 if there was nothing to check.
    Doctor(doctor::Options),
    /// Check any implementation of the four web services against the specification, playing Pruvan
    ///
    /// Prints a table of what holds and what doesn't, by the sections of the specification. The key is best put into
    /// the environment variable PRUVAN_KEY: a command line is seen by others. Exits with 1 if a check failed, with 2 if
    /// there was nothing to check.
    ///
    /// Use an account made for it, with a work order or two. What it leaves behind can't be taken back: reports of many
    /// statuses on one order (--order, or the one with the lowest number), the last of them "complete"; some thirty
    /// small uploads, most to that order and one to an order that isn't there; and its own push key in the place of the
    /// account's, which only Validate in Pruvan brings back. No push key is sent where pushes can't reach this machine.
    /// Pushes are taken on 127.0.0.1 only, and the first three are answered with an error, a maintenance page and a
    /// broken answer, to see them come again.
    Conformance(conformance::Options),
    /// Fetch all files of an order, here or from a deployment, into folders by task and evidence type
    ///
    /// A deployed API is called with the AWS credentials of the environment. What is there already is not fetched
    /// again.
    Download(download::Options),
    /// Put the orders of a file into an account, here or in a deployment
    ///
    /// CSV (with a row of names: the specification's, or those of Pruvan's own import), NDJSON or a JSON array, told by
    /// what is in it. Several rows with one number are one order with several services. It can be run again: what is
    /// there as in the file isn't changed. A deployed API is called with the AWS credentials of the environment. Exits
    /// with 1 if an order was refused, with 130 if it was broken off, and says what is in by then.
    Import(import::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    say_to_stderr(arguments.command.is_some());
    match arguments.command {
        None => exit(serve::command(arguments.serve).await.map(|()| true), 2),
        Some(Command::Console(options)) => exit(console_of_a_stack(&options).await.map(|()| true), 2),
        Some(Command::Pruvan(options)) => exit(pruvan_alone(&options).await.map(|()| true), 2),
        Some(Command::Demo) => exit(demo::run().await.map(|()| true), 1),
        Some(Command::Doctor(options)) => command::exit(doctor::command(options).await),
        Some(Command::Conformance(options)) => command::exit(conformance::command(options).await),
        Some(Command::Download(options)) => exit(download::command(options).await.map(|()| true), 1),
        Some(Command::Import(options)) => {
            let done = import::command(options).await;
            let failed = done.as_ref().err().map_or(2, ImportError::exit_code);
            exit(done, failed)
        }
    }
}

async fn console_of_a_stack(options: &ConsoleOptions) -> Result<(), PageError> {
    page::console(options).await?.until_interrupted().await
}

async fn pruvan_alone(options: &PruvanOptions) -> Result<(), PageError> {
    page::pruvan(options).await?.until_interrupted().await
}

/// 0 if all went well, 1 if not all did; an error is told, with the exit code `failed`.
fn exit(done: Result<bool, impl std::error::Error>, failed: u8) -> ExitCode {
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(failed)
        }
    }
}

/// What happens, for people. A command says by itself what it does.
fn say_to_stderr(is_command: bool) {
    let quiet = if is_command { LevelFilter::ERROR } else { LevelFilter::INFO };
    let ours = bridge::log::level(&Settings::from_process()).unwrap_or(quiet);
    let people = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    // The embedded DynamoDB warns of each condition that doesn't hold, which is how two writers are told apart.
    let filter = bridge::log::filter(ours, LevelFilter::ERROR);
    tracing_subscriber::registry().with(people.with_filter(filter)).init();
}
