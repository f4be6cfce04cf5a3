//! `conformance` by itself: for whoever has built another host.

use std::process::ExitCode;

use checks::{command, conformance};
use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    host_client::print_errors();
    command::exit(conformance::command(Arguments::parse().options).await)
}

/// Check any implementation of the four web services against the specification, playing Pruvan
///
/// Prints a table of what holds and what doesn't, by the sections of the specification. The key is best put into the
/// environment variable PRUVAN_KEY: a command line is seen by others. Exits with 1 if a check failed, with 2 if there
/// was nothing to check.
///
/// Use an account made for it, with a work order or two. What it leaves behind can't be taken back: reports of many
/// statuses on one order (--order, or the one with the lowest number), the last of them "complete"; some thirty
/// small uploads, most to that order and one to an order that isn't there; and its own push key in the place of the
/// account's, which only Validate in Pruvan brings back. No push key is sent where pushes can't reach this machine.
/// Pushes are taken on 127.0.0.1 only, and the first three are answered with an error, a maintenance page and a
/// broken answer, to see them come again.
#[derive(clap::Parser)]
#[command(name = "pruvan-conformance", version)]
struct Arguments {
    #[command(flatten)]
    options: conformance::Options,
}
