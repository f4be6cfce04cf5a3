//! Pruvan alone, on a page: for whoever builds another host.

use std::process::ExitCode;

use bridge_console::commands::{PageError, PruvanOptions, pruvan};
use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    host_client::print_errors();
    match run(&Arguments::parse().options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

async fn run(options: &PruvanOptions) -> Result<(), PageError> {
    pruvan(options).await?.until_interrupted().await
}

/// Play Pruvan alone, on a page on this machine, against any implementation of the four web services
#[derive(clap::Parser)]
#[command(name = "pruvan-simulator", version)]
struct Arguments {
    #[command(flatten)]
    options: PruvanOptions,
}
