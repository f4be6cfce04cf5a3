//! `conformance` by itself: for whoever has built another host.

use std::process::ExitCode;

use checks::{command, conformance};
use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    command::exit(conformance::command(Arguments::parse().options).await)
}

/// Check any implementation of the four web services against the specification, playing Pruvan
///
/// Prints a table of what holds and what doesn't, by the sections of the specification. The key is best put into the
/// environment variable PRUVAN_KEY: a command line is seen by others. Exits with 1 if a check failed, with 2 if there
/// was nothing to check.
#[derive(clap::Parser)]
#[command(name = "pruvan-conformance", version, after_long_help = conformance::LEAVES_BEHIND)]
struct Arguments {
    #[command(flatten)]
    options: conformance::Options,
}
