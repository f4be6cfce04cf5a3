//! `doctor` by itself: for whoever operates a deployment.

use std::process::ExitCode;

use checks::{command, doctor};
use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    host_client::print_errors();
    command::exit(doctor::command(Arguments::parse().options).await)
}

/// Check a deployment, or the system on this machine, from outside as Pruvan calls it, and say of each fault what to do
///
/// Prints a table of what holds and what doesn't. It makes an account of its own, "doctor", with a key that is deleted
/// at the end, and stores three photos in it, the same each time. A deployment's API is called with the AWS credentials
/// of the environment. Exits with 1 if a check failed, with 2 if there was nothing to check.
#[derive(clap::Parser)]
#[command(name = "pruvan-doctor", version)]
struct Arguments {
    #[command(flatten)]
    options: doctor::Options,
}
